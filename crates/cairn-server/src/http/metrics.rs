//! Figures of the store and the server: `/metrics` for Prometheus, `/api/stats` as JSON.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cairndb::{Latency, Stats};
use serde_json::{Map, Value as Json, json};

use super::guest::Guest;
use super::{Http, reply};

/// Upper bounds of the times of requests, in seconds.
const BOUNDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What is counted of requests.
#[derive(Default)]
pub(super) struct Requests {
    /// By the hundreds of their status.
    by_status: [AtomicU64; 6],
    /// By [`BOUNDS`]; the last one counts all others.
    by_time: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// Counts a request; the time is that until its answer begins.
pub(super) async fn count(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    let took = begun.elapsed();
    let counts = &http.requests;
    let class = usize::from(response.status().as_u16() / 100);
    if let Some(count) = counts.by_status.get(class) {
        count.fetch_add(1, Ordering::Relaxed);
    }
    let seconds = took.as_secs_f64();
    let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
    counts.by_time[bucket].fetch_add(1, Ordering::Relaxed);
    counts.micros.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    response
}

/// A figure: name, whether it only grows, what it is, and its values by labels.
struct Figure {
    name: &'static str,
    counts: bool,
    help: &'static str,
    values: Vec<(String, f64)>,
}

/// All figures, in order.
fn figures(http: &Http, stats: &Stats) -> Vec<Figure> {
    let mut all = Vec::new();
    let mut add = |name, counts, help, values| all.push(Figure { name, counts, help, values });
    let one = |value: f64| vec![(String::new(), value)];
    let seconds = |micros: u64| micros as f64 / 1e6;
    let (tree, cache, commits) = (&stats.tree, &stats.tree.cache, &stats.commits);
    add(
        "cairn_sessions",
        false,
        "Sessions and requests that are open.",
        one(http.shared.registry.len() as f64),
    );
    let by_status = http.requests.by_status.iter().enumerate().skip(1);
    let by_status = by_status
        .map(|(class, count)| (format!("status=\"{class}xx\""), count.load(Ordering::Relaxed) as f64));
    add("cairn_http_requests_total", true, "Requests answered over HTTP.", by_status.collect());
    add("cairn_commits_total", true, "Transactions committed.", one(commits.commits as f64));
    add(
        "cairn_commit_groups_total",
        true,
        "Writes to the log, each of one commit or several.",
        one(commits.groups as f64),
    );
    add(
        "cairn_commit_seconds",
        false,
        "Time from the call of a commit until its outcome is known.",
        quantiles(&commits.latency),
    );
    add("cairn_sync_seconds", false, "Time of an fsync of the log.", quantiles(&commits.syncs));
    add("cairn_syncs_total", true, "Times that the log was synced.", one(commits.syncs.count as f64));
    add("cairn_log_written_bytes_total", true, "Bytes written to the log.", one(commits.log_bytes as f64));
    add("cairn_log_bytes", false, "Bytes of the log on disk.", one(stats.wal_bytes as f64));
    add(
        "cairn_log_needed_bytes",
        false,
        "Bytes of the log that a recovery would read.",
        one(stats.wal_needed_bytes as f64),
    );
    add(
        "cairn_memtable_bytes",
        false,
        "Memory of memtables.",
        one((stats.memtable_bytes + stats.immutable_bytes) as f64),
    );
    add(
        "cairn_memory_used_bytes",
        false,
        "What memtables and the cache hold.",
        one(stats.memory_used_bytes as f64),
    );
    if let Some(allowed) = stats.memory_allowed_bytes {
        add(
            "cairn_memory_allowed_bytes",
            false,
            "What memtables and the cache may hold.",
            one(allowed as f64),
        );
    }
    add("cairn_lock_bytes", false, "Memory of locks.", one(stats.lock_bytes as f64));
    add("cairn_snapshots", false, "Different commits that are read at.", one(stats.snapshots as f64));
    let oldest = stats.oldest_snapshot_age.as_secs_f64();
    add(
        "cairn_oldest_snapshot_seconds",
        false,
        "Time for which the oldest of them has been read at.",
        one(oldest),
    );
    add("cairn_cache_hits_total", true, "Blocks found in the cache.", one(cache.hits as f64));
    add("cairn_cache_misses_total", true, "Blocks not found in the cache.", one(cache.misses as f64));
    add("cairn_cache_bytes", false, "Bytes in the cache.", one(cache.bytes as f64));
    add("cairn_cache_capacity_bytes", false, "Bytes that the cache may hold.", one(cache.capacity as f64));
    add("cairn_flushes_total", true, "Memtables written to files.", one(tree.flushes as f64));
    add("cairn_flush_seconds_total", true, "Time spent in that.", one(seconds(tree.flush_micros)));
    add("cairn_compactions_total", true, "Compactions.", one(tree.compactions as f64));
    add(
        "cairn_compaction_seconds_total",
        true,
        "Time spent in compactions.",
        one(seconds(tree.compaction_micros)),
    );
    add(
        "cairn_compacted_bytes_total",
        true,
        "Bytes written by compactions.",
        one(tree.compacted_bytes as f64),
    );
    add(
        "cairn_compaction_waiting_files",
        false,
        "Files that wait for compaction.",
        one(tree.waiting_files as f64),
    );
    let levels = |value: fn(&cairndb::LevelStats) -> u64| -> Vec<(String, f64)> {
        tree.levels
            .iter()
            .enumerate()
            .map(|(at, level)| (format!("level=\"{at}\""), value(level) as f64))
            .collect()
    };
    add("cairn_level_files", false, "Files of each level.", levels(|level| level.files));
    add("cairn_level_bytes", false, "Bytes of each level.", levels(|level| level.bytes));
    add(
        "cairn_write_stalls_total",
        true,
        "Times that a writer waited for a flush or a compaction.",
        one(stats.write_stalls as f64),
    );
    add(
        "cairn_write_stall_seconds_total",
        true,
        "Time that writers waited so.",
        one(seconds(stats.write_stall_micros)),
    );
    add(
        "cairn_write_slowdowns_total",
        true,
        "Times that a writer was slowed a little.",
        one(stats.write_slowdowns as f64),
    );
    add(
        "cairn_writes_refused",
        false,
        "1 where the store refuses writes until it is opened again.",
        one(f64::from(u8::from(stats.poisoned))),
    );
    let failing = f64::from(u8::from(stats.background_error.is_some()));
    add("cairn_background_failing", false, "1 where background work fails.", one(failing));
    all
}

fn quantiles(latency: &Latency) -> Vec<(String, f64)> {
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    vec![
        ("quantile=\"0.5\"".to_owned(), seconds(latency.p50_nanos)),
        ("quantile=\"0.99\"".to_owned(), seconds(latency.p99_nanos)),
        ("quantile=\"1\"".to_owned(), seconds(latency.max_nanos)),
    ]
}

/// Prometheus' text format.
fn exposition(http: &Http, figures: &[Figure]) -> String {
    let mut out = String::new();
    for figure in figures {
        let kind = if figure.counts { "counter" } else { "gauge" };
        let _ = writeln!(out, "# HELP {0} {1}\n# TYPE {0} {kind}", figure.name, figure.help);
        for (labels, value) in &figure.values {
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            let _ = writeln!(out, "{}{labels} {value}", figure.name);
        }
    }
    let name = "cairn_http_request_seconds";
    let _ =
        writeln!(out, "# HELP {name} Time until the answer of a request begins.\n# TYPE {name} histogram");
    let mut sum = 0;
    for (at, count) in http.requests.by_time.iter().enumerate() {
        sum += count.load(Ordering::Relaxed);
        let bound = BOUNDS.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
        let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {sum}");
    }
    let seconds = http.requests.micros.load(Ordering::Relaxed) as f64 / 1e6;
    let _ = writeln!(out, "{name}_sum {seconds}\n{name}_count {sum}");
    out
}

/// The same names as JSON; what has labels is an object.
fn as_json(figures: &[Figure], stats: &Stats) -> Json {
    let mut all = Map::new();
    for figure in figures {
        let value = match &figure.values[..] {
            [(labels, value)] if labels.is_empty() => number(*value),
            several => {
                let entry = |(labels, value): &(String, f64)| {
                    let label = labels.split('"').nth(1).unwrap_or(labels);
                    (label.to_owned(), number(*value))
                };
                Json::Object(several.iter().map(entry).collect())
            }
        };
        all.insert(figure.name.trim_start_matches("cairn_").to_owned(), value);
    }
    all.insert("warnings".to_owned(), json!(stats.warnings()));
    Json::Object(all)
}

/// Whole where it is.
fn number(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}

/// `GET /api/stats`.
pub(super) async fn stats(State(http): State<Arc<Http>>, _guest: Guest) -> Response {
    let stats = http.shared.database.stats();
    reply::json(StatusCode::OK, as_json(&figures(&http, &stats), &stats).to_string())
}

/// `GET /metrics`: text, or JSON for those who accept that only.
pub(super) async fn metrics(State(http): State<Arc<Http>>, headers: HeaderMap, guest: Guest) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|own| own.to_str().ok()).unwrap_or_default();
    if accept.trim().starts_with("application/json") {
        return stats(State(http), guest).await;
    }
    let text = exposition(&http, &figures(&http, &http.shared.database.stats()));
    let mut response = text.into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
