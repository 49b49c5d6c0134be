//! HTTP: SQL, tables and keys as JSON, for programs without a driver and for operators.
//!
//! ```text
//!   connection ─ hyper ─ origin, limits, compression ─ routes ─┬─ query, sessions ─┐
//!                                                              ├─ tables ──────────┼─ Guest: a session of the role's
//!                                                              └─ keys, stats ─────┘        │
//!                                              answer, streamed ◀── batches ────────────────┘
//! ```
//! A request is a session of its own, begun as the role of its credentials, or one that the client has opened (`sessions.rs`).
//! What it answers and why is in [decision 0029](../../../../docs/decisions/0029-http.md).
//!
//! I1. A request that is dropped, because its client is gone or the server ends, cancels its statement and rolls back.
//! I2. No text of a request becomes SQL, but that of `/api/query`.

mod guest;
mod health;
mod json;
mod keys;
mod listening;
mod login;
mod metrics;
mod openapi;
mod origin;
mod parameters;
mod problem;
mod query;
mod rate;
mod reply;
mod request;
mod sessions;
mod socket;
mod tables;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};
use tokio::sync::Semaphore;

pub(crate) use listening::serve;

use crate::access::Peer;
use crate::server::Shared;
use problem::Problem;

/// What all requests share.
pub(crate) struct Http {
    shared: Arc<Shared>,
    logins: login::Logins,
    sessions: sessions::Sessions,
    rates: rate::Rates,
    bodies: Arc<Semaphore>,
    requests: metrics::Requests,
}

/// The connection that a request came over.
#[derive(Clone, Copy, Debug)]
struct Connection {
    peer: Peer,
    /// Whether it has TLS.
    protected: bool,
}

/// All that is answered.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let http = Arc::new(Http {
        bodies: request::room(shared.options.http_body_bytes_max),
        shared,
        logins: login::Logins::default(),
        sessions: sessions::Sessions::default(),
        rates: rate::Rates::default(),
        requests: metrics::Requests::default(),
    });
    let routes = Router::new()
        .route("/health", get(health::alive))
        .route("/api/health", get(health::alive))
        .route("/ready", get(health::ready))
        .route("/api/stats", get(metrics::stats))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/api/query", post(query::run))
        .route("/api/ws", get(socket::open))
        .route("/api/sessions", post(sessions::open))
        .route("/api/sessions/{session}", delete(sessions::close))
        .route("/api/put", post(keys::put))
        .route("/api/get", post(keys::get))
        .route("/api/delete", post(keys::delete))
        .route("/api/flush", post(keys::flush))
        .route("/api/tables", get(tables::list))
        .route(
            "/api/tables/{table}",
            get(tables::select).post(tables::insert).patch(tables::update).delete(tables::delete),
        )
        .route(
            "/api/tables/{table}/{key}",
            get(tables::select_one)
                .patch(tables::update_one)
                .delete(tables::delete_one)
                .put(tables::replace_one),
        )
        .fallback(async || Problem::new(404, "42704", "there is nothing at this address"))
        .method_not_allowed_fallback(async || Problem::new(405, "0A000", "this address has no such method"));
    origin::layers(routes, &http).with_state(http)
}
