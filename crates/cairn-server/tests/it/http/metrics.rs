//! Figures.

use reqwest::Method;

use super::{send, site};

#[tokio::test]
async fn prometheus_reads_the_figures() {
    let site = site().await;
    site.sql("CREATE TABLE t (a int)").await;
    site.sql("INSERT INTO t SELECT n FROM generate_series(1, 1000) AS g(n)").await;
    site.get("/api/nothing").await;
    let answer = site.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let mut typed = "";
    let mut values = std::collections::HashMap::new();
    for line in answer.text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed = rest.split(' ').next().unwrap();
            let kind = rest.split(' ').nth(1).unwrap();
            assert_eq!(typed.ends_with("_total"), kind == "counter", "{rest}");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(typed), "{name} stands behind {typed}");
            assert!(values.insert(name, value.parse::<f64>().unwrap()).is_none(), "{name} twice");
        }
    }
    assert!(values["cairn_commits_total"] >= 2.0);
    assert_eq!(
        (
            values["cairn_http_requests_total{status=\"2xx\"}"],
            values["cairn_http_requests_total{status=\"4xx\"}"]
        ),
        (2.0, 1.0)
    );
    assert_eq!(
        values["cairn_http_request_seconds_bucket{le=\"+Inf\"}"],
        values["cairn_http_request_seconds_count"]
    );
    assert_eq!(values["cairn_writes_refused"], 0.0);
    let stats = site.get("/api/stats").await.ok();
    assert!(stats["commits_total"].as_i64().unwrap() >= 2 && stats["commit_seconds"]["0.99"].is_number());
    let json = send(site.request(Method::GET, "/metrics").header("accept", "application/json")).await.ok();
    assert_eq!(json["commits_total"], stats["commits_total"]);
}
