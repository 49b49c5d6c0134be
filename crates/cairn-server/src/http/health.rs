//! Whether the server lives, whether it takes work.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::problem::Problem;
use super::{Http, reply};
use crate::registry::Stage;

/// `GET /health`: the process answers.
pub(super) async fn alive() -> Response {
    reply::json(StatusCode::OK, json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}).to_string())
}

/// `GET /ready`: it takes requests, and the store can be read.
pub(super) async fn ready(State(http): State<Arc<Http>>) -> Result<Response, Problem> {
    if *http.shared.registry.stages().borrow() != Stage::Open {
        return Err(Problem::new(503, "57P01", "the server is shutting down"));
    }
    http.shared
        .database
        .get(b"")
        .map_err(|error| Problem::from(error).with_status(StatusCode::SERVICE_UNAVAILABLE))?;
    Ok(reply::json(StatusCode::OK, json!({"status": "ready"}).to_string()))
}
