//! Who may ask for what.

use reqwest::Method;
use serde_json::json;

use super::{send, site, site_with};

#[tokio::test]
async fn nobody_comes_in_without_a_password() {
    let site = site().await;
    let body = json!({"sql": "SELECT 1"});
    let bare = send(site.client.post(site.address("/api/query")).json(&body)).await;
    assert_eq!(bare.problem(), (401, "28000".to_owned()));
    assert_eq!(bare.header("www-authenticate"), "Basic realm=\"cairn\", charset=\"UTF-8\"");
    for (user, password) in [("cairn", "wrong"), ("nobody", "open sesame"), ("", ""), ("cairn", "")] {
        let request = site.request_of(user, password, Method::POST, "/api/query");
        assert_eq!(send(request.json(&body)).await.problem(), (401, "28P01".to_owned()), "{user}");
    }
    for credentials in ["Basic", "Basic !!!", "Basic Y2Fpcm4=", "Bearer abc", "\u{7f}"] {
        let request = site.client.post(site.address("/api/query")).json(&body);
        let Ok(request) = request.header("authorization", credentials).build() else { continue };
        assert_eq!(site.client.execute(request).await.unwrap().status(), 401, "{credentials}");
    }
    for path in ["/api/tables", "/api/stats", "/api/tables/t", "/api/tables/t/1"] {
        assert_eq!(send(site.client.get(site.address(path))).await.status, 401, "{path}");
    }
    for path in ["/health", "/api/health", "/ready"] {
        assert_eq!(send(site.client.get(site.address(path))).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_changed_password_counts_at_once() {
    let site = site().await;
    site.sql("CREATE ROLE ann LOGIN PASSWORD 'first'").await;
    let asked = async |password: &str| {
        let request = site.request_of("ann", password, Method::POST, "/api/query");
        send(request.json(&json!({"sql": "SELECT current_user"}))).await
    };
    assert_eq!(asked("first").await.ok()["rows"], json!([["ann"]]));
    assert_eq!(asked("first").await.ok()["rows"], json!([["ann"]]));
    site.sql("ALTER ROLE ann PASSWORD 'second'").await;
    assert_eq!(asked("first").await.problem().0, 401);
    asked("second").await.ok();
    site.sql("ALTER ROLE ann NOLOGIN").await;
    assert_eq!(asked("second").await.problem(), (401, "28000".to_owned()));
}

#[tokio::test]
async fn privileges_and_policies_are_the_roles() {
    let site = site().await;
    for sql in [
        "CREATE TABLE orders (id int PRIMARY KEY, owner text)",
        "INSERT INTO orders VALUES (1, 'ann'), (2, 'bob')",
        "CREATE TABLE secrets (a int)",
        "CREATE ROLE ann LOGIN PASSWORD 'secret'",
        "GRANT SELECT, INSERT ON orders TO ann",
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON orders USING (owner = current_user)",
    ] {
        site.sql(sql).await;
    }
    let ann = |method, path: &str| site.request_of("ann", "secret", method, path);
    let sql = async |sql: &str| send(ann(Method::POST, "/api/query").json(&json!({"sql": sql}))).await;
    assert_eq!(sql("SELECT id FROM orders").await.ok()["rows"], json!([[1]]));
    assert_eq!(sql("SELECT * FROM secrets").await.problem(), (403, "42501".to_owned()));
    assert_eq!(send(ann(Method::GET, "/api/tables/orders")).await.ok(), json!([{"id": 1, "owner": "ann"}]));
    assert_eq!(send(ann(Method::GET, "/api/tables/orders/2")).await.problem().0, 404);
    assert_eq!(send(ann(Method::GET, "/api/tables/secrets")).await.problem().0, 403);
    assert_eq!(send(ann(Method::DELETE, "/api/tables/orders/1")).await.problem().0, 403);
    let foreign = ann(Method::POST, "/api/tables/orders").json(&json!({"id": 3, "owner": "bob"}));
    assert_eq!(send(foreign).await.problem(), (403, "42501".to_owned()));
    let names: Vec<String> = send(ann(Method::GET, "/api/tables"))
        .await
        .ok()
        .as_array()
        .unwrap()
        .iter()
        .map(|own| own["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["orders"]);
    for path in ["/api/put", "/api/get", "/api/delete", "/api/flush"] {
        let request = ann(Method::POST, path).json(&json!({"key": "a", "value": "b"}));
        assert_eq!(send(request).await.problem(), (403, "42501".to_owned()), "{path}");
    }
}

/// Who may only write is not asked to read.
#[tokio::test]
async fn rows_are_made_without_the_privilege_to_read_them() {
    let site = site().await;
    site.sql("CREATE TABLE events (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, what text)").await;
    site.sql("CREATE ROLE ann LOGIN PASSWORD 'secret'").await;
    site.sql("GRANT INSERT ON events TO ann").await;
    let post = |row: serde_json::Value| {
        site.request_of("ann", "secret", Method::POST, "/api/tables/events").json(&row)
    };
    assert_eq!(send(post(json!({"what": "a"}))).await.status, 201);
    assert_eq!(send(post(json!([{"what": "b"}, {"what": "c"}]))).await.header("content-range"), "*/2");
    let told = post(json!({"what": "d"})).header("prefer", "return=representation");
    assert_eq!(send(told).await.problem(), (403, "42501".to_owned()));
    assert_eq!(site.sql("SELECT count(*) FROM events").await["rows"], json!([[3]]));
}

#[tokio::test]
async fn rules_hold_for_http_too() {
    let rules = "host all ann 127.0.0.1/32 trust\nhost all bob all reject\nhost all all all scram-sha-256";
    let site = site_with(|options| options.rules = Some(cairn_server::Rules::parse(rules).unwrap())).await;
    site.sql("CREATE ROLE ann LOGIN").await;
    site.sql("CREATE ROLE bob LOGIN PASSWORD 'secret'").await;
    let asked = async |user: &str, password: &str| {
        let request = site.request_of(user, password, Method::POST, "/api/query");
        send(request.json(&json!({"sql": "SELECT 1"}))).await.status.as_u16()
    };
    assert_eq!(asked("ann", "anything").await, 200);
    assert_eq!(asked("bob", "secret").await, 401);
    assert_eq!(asked("cairn", "wrong").await, 401);
}

#[tokio::test]
async fn pages_of_elsewhere_cannot_ask() {
    let site = site_with(|options| options.http_origins.push("https://app.example".to_owned())).await;
    let asked = async |origin: &str| {
        let request = site.request(Method::POST, "/api/query").header("origin", origin);
        send(request.json(&json!({"sql": "SELECT 1"}))).await
    };
    assert_eq!(asked("https://evil.example").await.problem(), (403, "42501".to_owned()));
    let allowed = asked("https://app.example").await;
    assert_eq!(
        (allowed.status.as_u16(), allowed.header("access-control-allow-origin")),
        (200, "https://app.example")
    );
    assert_eq!(asked(&format!("http://{}", site.server.http)).await.status, 200);
    let preflight = site
        .client
        .request(Method::OPTIONS, site.address("/api/query"))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    let answer = send(preflight).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("access-control-allow-headers").contains("authorization"));
}
