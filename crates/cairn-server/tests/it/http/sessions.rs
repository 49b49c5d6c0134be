//! Transactions of several requests.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::{Answer, Site, send, site, site_with};

async fn open(site: &Site) -> String {
    let answer = site.post("/api/sessions", json!({})).await;
    assert_eq!(answer.status, 201);
    let name = answer.json()["session"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), format!("/api/sessions/{name}"));
    name
}

fn within(site: &Site, session: &str, sql: &str) -> RequestBuilder {
    let request = site.request(Method::POST, "/api/query").header("cairn-session", session);
    request.json(&json!({"sql": sql}))
}

async fn run(site: &Site, session: &str, sql: &str) -> Answer {
    send(within(site, session, sql)).await
}

#[tokio::test]
async fn a_session_keeps_its_transaction_between_requests() {
    let site = site().await;
    site.sql("CREATE TABLE t (a int)").await;
    let session = open(&site).await;
    for sql in ["BEGIN", "INSERT INTO t VALUES (1)", "SET LOCAL timezone TO 'Asia/Tokyo'"] {
        run(&site, &session, sql).await.ok();
    }
    assert_eq!(run(&site, &session, "SELECT count(*) FROM t").await.ok()["rows"], json!([[1]]));
    assert_eq!(run(&site, &session, "SHOW timezone").await.ok()["rows"], json!([["Asia/Tokyo"]]));
    assert_eq!(site.sql("SELECT count(*) FROM t").await["rows"], json!([[0]]));
    assert_eq!(run(&site, &session, "COMMIT").await.ok()["tag"], "COMMIT");
    assert_eq!(site.sql("SELECT count(*) FROM t").await["rows"], json!([[1]]));
}

#[tokio::test]
async fn a_failed_transaction_is_one_until_it_is_ended() {
    let site = site().await;
    let session = open(&site).await;
    run(&site, &session, "BEGIN").await.ok();
    assert_eq!(run(&site, &session, "SELECT 1/0").await.problem().1, "22012");
    assert_eq!(run(&site, &session, "SELECT 1").await.problem().1, "25P02");
    run(&site, &session, "ROLLBACK").await.ok();
    run(&site, &session, "SELECT 1").await.ok();
}

#[tokio::test]
async fn closing_a_session_rolls_back() {
    let site = site().await;
    site.sql("CREATE TABLE t (a int)").await;
    let session = open(&site).await;
    run(&site, &session, "BEGIN").await.ok();
    run(&site, &session, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.ok();
    let close = || site.request(Method::DELETE, &format!("/api/sessions/{session}"));
    assert_eq!(send(close()).await.status, 204);
    assert_eq!(site.sql("SELECT count(*) FROM t").await["rows"], json!([[0]]));
    assert_eq!(send(close()).await.problem().0, 404);
    assert_eq!(run(&site, &session, "SELECT 1").await.problem(), (404, "08003".to_owned()));
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends() {
    let site = site_with(|options| options.http_session_idle = std::time::Duration::from_millis(100)).await;
    site.sql("CREATE TABLE t (a int)").await;
    let session = open(&site).await;
    run(&site, &session, "BEGIN").await.ok();
    run(&site, &session, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.ok();
    // Waits for the lock.
    site.sql("INSERT INTO t VALUES (1)").await;
    assert_eq!(run(&site, &session, "SELECT 1").await.problem().0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_does_one_thing_at_a_time() {
    let site = site().await;
    let session = open(&site).await;
    let slow =
        tokio::spawn(within(&site, &session, "SELECT count(*) FROM generate_series(1, 100000000000)").send());
    while site.server.activity().await < 1 {
        tokio::task::yield_now().await;
    }
    let answer = run(&site, &session, "SELECT 1").await;
    assert_eq!(answer.problem(), (409, "55006".to_owned()));
    // When its client goes away the session is free again, and its own transaction is all that was lost.
    slow.abort();
    while run(&site, &session, "SELECT 1").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nobody_uses_the_session_of_another() {
    let site = site().await;
    site.sql("CREATE ROLE other LOGIN PASSWORD 'secret'").await;
    let session = open(&site).await;
    let request =
        site.request_of("other", "secret", Method::POST, "/api/query").header("cairn-session", &session);
    assert_eq!(send(request.json(&json!({"sql": "SELECT 1"}))).await.problem().0, 404);
    let close = site.request_of("other", "secret", Method::DELETE, &format!("/api/sessions/{session}"));
    assert_eq!(send(close).await.problem().0, 404);
    run(&site, &session, "SELECT 1").await.ok();
}

#[tokio::test]
async fn a_server_that_ends_does_not_wait_for_idle_sessions() {
    let site = site_with(|options| options.grace = std::time::Duration::from_secs(3600)).await;
    let session = open(&site).await;
    run(&site, &session, "SELECT 1").await.ok();
    site.server.stop().await;
}
