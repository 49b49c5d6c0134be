//! What is too much.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{send, site, site_with};

#[tokio::test]
async fn long_bodies_are_refused() {
    let site = site_with(|options| options.http_body_bytes_max = 10_000).await;
    let sql = format!("SELECT '{}'", "x".repeat(20_000));
    assert_eq!(site.post("/api/query", json!({"sql": sql})).await.problem(), (413, "54000".to_owned()));
    site.sql("SELECT 1").await;
}

/// Bodies have room together, too: those that find none wait, and are answered.
#[tokio::test]
async fn many_long_bodies_come_one_after_the_other() {
    let site = site_with(|options| options.http_body_bytes_max = 100_000).await;
    let asked = (0..40).map(|_| async {
        let text = "x".repeat(90_000);
        let sql = format!("SELECT length('{text}')");
        site.sql(&sql).await
    });
    for answer in join_all(asked).await {
        assert_eq!(answer["rows"], json!([[90_000]]));
    }
}

/// A body that does not come ends its request.
#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let site = site_with(|options| options.opening_time_max = std::time::Duration::from_millis(200)).await;
    let mut stream = tokio::net::TcpStream::connect(site.server.http).await.unwrap();
    let head = "POST /api/query HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Y2Fpcm46b3BlbiBzZXNhbWU=\r\nContent-Length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn more_requests_at_once_than_allowed_are_told_to_come_again() {
    let site = site_with(|options| options.connections_max = 3).await;
    let session = async || site.post("/api/sessions", json!({})).await;
    let (first, second, third) = (session().await, session().await, session().await);
    assert!(first.status == 201 && second.status == 201 && third.status == 201);
    let fourth = session().await;
    assert_eq!(fourth.problem(), (429, "53300".to_owned()));
    assert_eq!(fourth.header("retry-after"), "1");
    // The same limit for both doors.
    assert_eq!(site.server.try_client().await.err().unwrap(), "53300");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once() {
    let site = site().await;
    site.sql("CREATE TABLE t (id int PRIMARY KEY, n int)").await;
    site.sql("INSERT INTO t VALUES (1, 0)").await;
    let clients = (0..1000).map(|_| async {
        // Each has a connection of its own.
        let client = reqwest::Client::new();
        let request = client.post(site.address("/api/query")).basic_auth("cairn", Some("open sesame"));
        send(request.json(&json!({"sql": "UPDATE t SET n = n + 1"}))).await.ok()
    });
    join_all(clients).await;
    assert_eq!(site.sql("SELECT n FROM t").await["rows"], json!([[1000]]));
}

/// What no client of HTTP sends.
#[tokio::test]
async fn garbage_ends_its_connection_only() {
    let site = site_with(|options| options.opening_time_max = std::time::Duration::from_millis(200)).await;
    for bytes in [
        &b"\0\0\0\x08\x04\xd2\x16\x2f"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/query HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /api/query HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/tables/%ff%fe HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Y2Fpcm46b3BlbiBzZXNhbWU=\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost",
        &[b'A'; 100_000],
    ] {
        let mut stream = tokio::net::TcpStream::connect(site.server.http).await.unwrap();
        // It may be closed before all is read.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    site.sql("SELECT 1").await;
}

#[tokio::test]
async fn a_request_that_runs_is_answered_before_the_end() {
    let site = site().await;
    let request = site.request(Method::POST, "/api/query");
    let body = json!({"sql": "SELECT count(*) FROM generate_series(1, 3000000)"});
    let running = tokio::spawn(send(request.json(&body)));
    while site.server.activity().await < 1 {
        tokio::task::yield_now().await;
    }
    site.server.stop().await;
    assert_eq!(running.await.unwrap().ok()["rows"], json!([[3_000_000]]));
}

#[tokio::test]
async fn requests_beyond_the_rate_are_told_when_to_come_again() {
    let site = site_with(|options| options.http_requests_per_minute = Some(2)).await;
    let asked = async |user: &str| {
        let request = site.request_of(user, "open sesame", Method::POST, "/api/query");
        send(request.json(&json!({"sql": "SELECT 1"}))).await
    };
    assert!(asked("cairn").await.status.is_success() && asked("cairn").await.status.is_success());
    let third = asked("cairn").await;
    assert_eq!(third.problem(), (429, "53400".to_owned()));
    let wait: u64 = third.header("retry-after").parse().unwrap();
    assert!((1..=30).contains(&wait));
    // Guesses count, too; others do not.
    assert_eq!(asked("nobody").await.status, 401);
    assert_eq!(asked("nobody").await.status, 401);
    assert_eq!(asked("nobody").await.status, 429);
}
