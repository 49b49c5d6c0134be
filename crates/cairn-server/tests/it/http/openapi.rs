//! The document that says what can be asked for.

use serde_json::Value as Json;

use super::{send, site};

/// All references of a document.
fn references<'d>(json: &'d Json, found: &mut Vec<&'d str>) {
    match json {
        Json::Object(all) => {
            found.extend(all.get("$ref").and_then(Json::as_str));
            all.values().for_each(|own| references(own, found));
        }
        Json::Array(all) => all.iter().for_each(|own| references(own, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_that_of_the_tables() {
    let site = site().await;
    site.sql("CREATE TABLE orders (id int PRIMARY KEY, \"note ö\" text, total numeric NOT NULL, made timestamptz NOT NULL DEFAULT now())").await;
    site.sql("CREATE VIEW big AS SELECT id FROM orders WHERE total > 100").await;
    let document = site.get("/openapi.json").await.ok();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let new = &document["components"]["schemas"]["row.orders.new"];
    assert_eq!(new["required"], serde_json::json!(["id", "total"]));
    assert_eq!(new["properties"]["id"]["format"], "int32");
    assert!(document["paths"]["/api/tables/orders/{key}"]["put"].is_object());
    assert!(document["paths"]["/api/tables/big"]["get"].is_object());
    assert!(document["paths"]["/api/tables/big/{key}"].is_null());
    // Every operation has a name of its own.
    let mut names = Vec::new();
    for path in document["paths"].as_object().unwrap().values() {
        names.extend(path.as_object().unwrap().values().filter_map(|own| own["operationId"].as_str()));
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[tokio::test]
async fn it_tells_nobody_of_what_they_may_not_see() {
    let site = site().await;
    site.sql("CREATE TABLE secrets (a int)").await;
    site.sql("CREATE ROLE ann LOGIN PASSWORD 'secret'").await;
    let document = send(site.request_of("ann", "secret", reqwest::Method::GET, "/openapi.json")).await;
    assert!(!document.text.contains("secrets"));
    assert_eq!(send(site.client.get(site.address("/openapi.json"))).await.status, 401);
}
