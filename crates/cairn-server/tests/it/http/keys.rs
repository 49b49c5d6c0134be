//! Keys and values.

use serde_json::json;

use super::site;

#[tokio::test]
async fn keys_are_put_and_found_again() {
    let site = site().await;
    assert_eq!(
        site.post("/api/put", json!({"key": "user:1", "value": "Ann"})).await.ok(),
        json!({"ok": true})
    );
    let found = site.post("/api/get", json!({"key": "user:1"})).await.ok();
    assert_eq!(found, json!({"key": "user:1", "value": "Ann"}));
    assert_eq!(site.server.database.get(b"user:1").unwrap().unwrap(), "Ann");
    site.post("/api/flush", json!({})).await.ok();
    site.post("/api/delete", json!({"key": "user:1"})).await.ok();
    assert_eq!(site.post("/api/get", json!({"key": "user:1"})).await.problem(), (404, "02000".to_owned()));
}

#[tokio::test]
async fn any_bytes_are_keys() {
    let site = site().await;
    let bytes = json!({"key": "AAE=", "value": "//4=", "encoding": "base64"});
    site.post("/api/put", bytes.clone()).await.ok();
    assert_eq!(site.server.database.get([0, 1]).unwrap().unwrap(), &[0xff, 0xfe][..]);
    let found = site.post("/api/get", json!({"key": "AAE=", "encoding": "base64"})).await.ok();
    assert_eq!(found, json!({"key": "AAE=", "value": "//4="}));
    let text = site.post("/api/get", json!({"key": "\u{0}\u{1}"})).await;
    assert_eq!(text.problem(), (400, "22021".to_owned()));
    let wrong = site.post("/api/get", json!({"key": "?", "encoding": "base64"})).await;
    assert_eq!(wrong.problem().0, 400);
    assert_eq!(site.post("/api/put", json!({"key": "a"})).await.problem().0, 400);
}
