//! Bodies of requests, and what they may ask for in their answers.

use std::ops::Deref;
use std::sync::Arc;

use axum::body::{Body, HttpBody, to_bytes};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Http;
use super::problem::Problem;

/// Bytes for which one permit stands.
const PERMIT_BYTES: usize = 1 << 10;
/// Bodies of the greatest length that are held at once.
const BODIES_MAX: usize = 8;

/// What all bodies together may take.
pub(super) fn room(body_bytes_max: usize) -> Arc<Semaphore> {
    let permits = body_bytes_max.div_ceil(PERMIT_BYTES).saturating_mul(BODIES_MAX);
    Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)))
}

/// A body, and its place among all of them.
pub(super) struct Whole {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bytes of a body. It waits while others take all the room that there is.
pub(super) async fn bytes(http: &Http, body: Body) -> Result<Whole, Problem> {
    let max = http.shared.options.http_body_bytes_max;
    // Without a length it may be as long as any.
    let length =
        body.size_hint().exact().and_then(|exact| usize::try_from(exact).ok()).unwrap_or(max).min(max);
    let permits = u32::try_from(length.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
    let ended = || Problem::new(503, "57P01", "the server is shutting down");
    let room = Arc::clone(&http.bodies).acquire_many_owned(permits).await.map_err(|_| ended())?;
    let time = http.shared.options.opening_time_max;
    let late = || Problem::new(408, "57014", format!("the body did not come within {time:?}"));
    let read = tokio::time::timeout(time, read(body, max)).await.map_err(|_| late())?;
    Ok(Whole { bytes: read?, _room: room })
}

async fn read(body: Body, max: usize) -> Result<Bytes, Problem> {
    to_bytes(body, max).await.map_err(|error| {
        let too_long = std::error::Error::source(&error)
            .is_some_and(|inner| inner.is::<http_body_util::LengthLimitError>());
        match too_long {
            true => Problem::new(413, "54000", format!("the body is longer than {max} bytes"))
                .with_hint("COPY over PostgreSQL's protocol takes more."),
            false => Problem::request(format!("the body could not be read: {error}")),
        }
    })
}

/// A body of JSON.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::request(format!("the body is not as expected: {error}")))
}

/// The media type of a body, without its parameters, in lower case; empty where there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let given = headers.get(header::CONTENT_TYPE).and_then(|own| own.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What an answer with rows looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    JsonLines,
    Csv,
    Arrow,
    Parquet,
}

impl Form {
    const ALL: [(Form, &str, &str); 5] = [
        (Form::Json, "json", "application/json"),
        (Form::JsonLines, "jsonl", "application/x-ndjson"),
        (Form::Csv, "csv", "text/csv"),
        (Form::Arrow, "arrow", "application/vnd.apache.arrow.stream"),
        (Form::Parquet, "parquet", "application/vnd.apache.parquet"),
    ];

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Form::Csv => "text/csv; charset=utf-8; header=present",
            _ => Form::ALL.iter().find(|own| own.0 == self).map_or("", |own| own.2),
        }
    }

    /// The form by its name, else by `Accept`, else JSON.
    pub(super) fn of(name: Option<&str>, headers: &HeaderMap) -> Result<Form, Problem> {
        if let Some(name) = name {
            let found = Form::ALL.iter().find(|own| own.1 == name);
            return found.map(|own| own.0).ok_or_else(|| {
                Problem::request(format!("format \"{name}\" is none of json, jsonl, csv, arrow and parquet"))
            });
        }
        let accept = headers.get(header::ACCEPT).and_then(|own| own.to_str().ok()).unwrap_or("*/*");
        best(accept).ok_or_else(|| {
            let all: Vec<&str> = Form::ALL.iter().map(|own| own.2).collect();
            Problem::new(406, "0A000", format!("none of {accept} can be had; there are {}", all.join(", ")))
        })
    }
}

/// The form that `Accept` likes best.
fn best(accept: &str) -> Option<Form> {
    let mut found: Option<(f32, Form)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight =
            parts.find_map(|own| own.strip_prefix("q=")).map_or(1.0, |own| own.parse().unwrap_or(0.0));
        let form = match kind.as_str() {
            "*/*" | "application/*" => Some(Form::Json),
            "text/*" => Some(Form::Csv),
            "application/jsonl" | "application/jsonlines" => Some(Form::JsonLines),
            kind => Form::ALL.iter().find(|own| own.2 == kind).map(|own| own.0),
        };
        if let Some(form) = form
            && weight > 0.0
            && found.is_none_or(|(best, _)| weight > best)
        {
            found = Some((weight, form));
        }
    }
    found.map(|(_, form)| form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_form_is_taken() {
        assert_eq!(best("text/html, */*;q=0.1"), Some(Form::Json));
        assert_eq!(best("application/json;q=0.5, text/csv"), Some(Form::Csv));
        assert_eq!(best("text/csv;q=0, application/x-ndjson;q=0.2"), Some(Form::JsonLines));
        assert_eq!(best("image/png"), None);
    }
}
