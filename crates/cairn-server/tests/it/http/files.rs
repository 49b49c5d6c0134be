//! Answers in other forms than JSON, and answers of any length.

use futures::StreamExt;
use reqwest::Method;
use serde_json::json;

use super::{Answer, Site, send, site};

async fn asked(site: &Site, sql: &str, accept: &str) -> Answer {
    send(site.request(Method::POST, "/api/query").header("accept", accept).json(&json!({"sql": sql}))).await
}

#[tokio::test]
async fn text_forms_are_those_of_copy() {
    let site = site().await;
    let sql = "SELECT n AS a, repeat('x\"', n) AS b, NULL AS c FROM generate_series(1, 2) AS g(n)";
    let csv = asked(&site, sql, "text/csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(csv.text, "a,b,c\n1,\"x\"\"\",\n2,\"x\"\"x\"\"\",\n");
    let lines = asked(&site, sql, "application/x-ndjson").await;
    assert_eq!(
        lines.text,
        "{\"a\":1,\"b\":\"x\\\"\",\"c\":null}\n{\"a\":2,\"b\":\"x\\\"x\\\"\",\"c\":null}\n"
    );
}

#[tokio::test]
async fn columnar_forms_can_be_read_back() {
    let site = site().await;
    let sql =
        "SELECT n, n::text AS t, n / 4.0 AS q, '10.0.0.1'::inet AS i FROM generate_series(1, 20000) AS g(n)";
    let directory = tempfile::tempdir().unwrap();
    for (format, name) in [("arrow", "rows.arrow"), ("parquet", "rows.parquet")] {
        let body = json!({"sql": sql, "format": format});
        let response = site.request(Method::POST, "/api/query").json(&body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let path = directory.path().join(name);
        std::fs::write(&path, response.bytes().await.unwrap()).unwrap();
        site.sql("DROP TABLE IF EXISTS t").await;
        site.sql("CREATE TABLE t (n int, t text, q numeric, i inet)").await;
        site.sql(&format!("COPY t FROM '{}'", path.display())).await;
        let sums = "SELECT count(*), sum(n), sum(t::int), sum(q), max(i) FROM t";
        assert_eq!(
            site.sql(sums).await["rows"][0].to_string(),
            "[20000,200010000,200010000,50002500.00000000000000000000,\"10.0.0.1\"]",
            "{format}"
        );
    }
}

#[tokio::test]
async fn long_answers_are_streamed() {
    let site = site().await;
    let body = json!({"sql": "SELECT n, repeat('x', 100) FROM generate_series(1, 200000) AS g(n)"});
    let answer = site.post("/api/query", body).await.ok();
    assert_eq!(answer["row_count"], 200_000);
    assert_eq!(answer["rows"].as_array().unwrap().len(), 200_000);
    assert_eq!(answer["rows"][199_999][0], 200_000);
}

/// The first pieces of a result without end come at once, and nothing runs on when nobody reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_ends_the_query() {
    let site = site().await;
    let body = json!({"sql": "SELECT n FROM generate_series(1, 100000000000) AS g(n)"});
    let response = site.request(Method::POST, "/api/query").json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut pieces = response.bytes_stream();
    assert!(pieces.next().await.unwrap().unwrap().starts_with(b"{\"columns\":[{\"name\":\"n\""));
    drop(pieces);
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%100000000000)%' AND pid <> pg_backend_pid()";
    while site.sql(running).await["rows"] != json!([[0]]) {
        tokio::task::yield_now().await;
    }
}

/// A part is not to be taken for the whole: what fails late breaks the transfer off, or leaves a document of JSON open.
#[tokio::test]
async fn what_fails_late_is_no_whole_answer() {
    let site = site().await;
    let sql = "SELECT n, 1 / (300000 - n) AS q FROM generate_series(1, 300001) AS g(n)";
    for accept in
        ["application/json", "text/csv", "application/x-ndjson", "application/vnd.apache.arrow.stream"]
    {
        let request =
            site.request(Method::POST, "/api/query").header("accept", accept).json(&json!({"sql": sql}));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{accept}");
        let mut pieces = response.bytes_stream();
        let (mut text, mut broken) = (Vec::new(), false);
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => text.extend_from_slice(&piece),
                Err(_) => broken = true,
            }
        }
        assert_eq!(broken, accept != "application/json", "{accept}");
        if accept == "application/json" {
            let text = String::from_utf8(text).unwrap();
            assert!(
                text.contains("\"error\":{") && text.contains("\"22012\""),
                "{}",
                &text[text.len() - 200..]
            );
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());
        }
    }
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_ask() {
    let site = site().await;
    let body = json!({"sql": "SELECT repeat('x', 100000) AS x"});
    let answer = site.post("/api/query", body.clone()).await.ok();
    assert_eq!(answer["rows"][0][0].as_str().unwrap().len(), 100_000);
    let plain = reqwest::Client::builder().no_gzip().build().unwrap();
    let request = plain.post(site.address("/api/query")).basic_auth("cairn", Some("open sesame")).json(&body);
    let response = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.bytes().await.unwrap().len() < 5_000);
}
