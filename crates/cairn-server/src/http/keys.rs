//! `POST /api/{put,get,delete,flush}`: keys and values, for superusers: no privileges are granted on them.
//!
//! ```text
//!   {"key": "user:1", "value": "Ann"}                          texts
//!   {"key": "AAE=", "value": "/w==", "encoding": "base64"}     any bytes
//! ```

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use cairndb::Outcome;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::guest::Guest;
use super::problem::Problem;
use super::{Http, reply, request};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    key: String,
    value: Option<String>,
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Text,
    Base64,
}

impl Encoding {
    fn read(self, text: &str) -> Result<Vec<u8>, Problem> {
        match self {
            Encoding::Text => Ok(text.as_bytes().to_vec()),
            Encoding::Base64 => {
                BASE64.decode(text).map_err(|error| Problem::request(format!("this is no base64: {error}")))
            }
        }
    }

    fn write(self, bytes: &[u8]) -> Result<String, Problem> {
        match self {
            Encoding::Base64 => Ok(BASE64.encode(bytes)),
            Encoding::Text => String::from_utf8(bytes.to_vec()).map_err(|_| {
                Problem::new(400, "22021", "the value is no text")
                    .with_hint("Ask for it with \"encoding\": \"base64\".")
            }),
        }
    }
}

async fn asked(http: &Http, guest: &mut Guest, body: Body) -> Result<Asked, Problem> {
    superuser(guest).await?;
    request::json(&request::bytes(http, body).await?)
}

/// Refuses all but superusers.
async fn superuser(guest: &mut Guest) -> Result<(), Problem> {
    let sql = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let Outcome::Rows(mut rows) = guest.run(sql, &[]).await? else {
        return Err(Problem::new(500, "XX000", "a SELECT without rows"));
    };
    match rows.next_async().await? {
        Some(row) if row.get::<bool>(0)? => Ok(()),
        _ => Err(Problem::new(403, "42501", "keys are for superusers only")),
    }
}

/// What waits for the disk is not to hold up others.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> cairndb::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|_| Problem::new(500, "XX000", "the call did not end"))??)
}

fn done(told: &Json) -> Response {
    reply::json(StatusCode::OK, told.to_string())
}

pub(super) async fn put(
    State(http): State<Arc<Http>>,
    mut guest: Guest,
    body: Body,
) -> Result<Response, Problem> {
    let asked = asked(&http, &mut guest, body).await?;
    let Some(value) = &asked.value else { return Err(Problem::request("missing field `value`")) };
    let (key, value) = (asked.encoding.read(&asked.key)?, asked.encoding.read(value)?);
    let database = http.shared.database.clone();
    apart(move || database.put(key, value)).await?;
    Ok(done(&json!({"ok": true})))
}

pub(super) async fn get(
    State(http): State<Arc<Http>>,
    mut guest: Guest,
    body: Body,
) -> Result<Response, Problem> {
    let asked = asked(&http, &mut guest, body).await?;
    let key = asked.encoding.read(&asked.key)?;
    let database = http.shared.database.clone();
    match apart(move || database.get(key)).await? {
        Some(value) => Ok(done(&json!({"key": asked.key, "value": asked.encoding.write(&value)?}))),
        None => Err(Problem::new(404, "02000", "there is no such key")),
    }
}

pub(super) async fn delete(
    State(http): State<Arc<Http>>,
    mut guest: Guest,
    body: Body,
) -> Result<Response, Problem> {
    let asked = asked(&http, &mut guest, body).await?;
    let key = asked.encoding.read(&asked.key)?;
    let database = http.shared.database.clone();
    apart(move || database.delete(key)).await?;
    Ok(done(&json!({"ok": true})))
}

pub(super) async fn flush(State(http): State<Arc<Http>>, mut guest: Guest) -> Result<Response, Problem> {
    superuser(&mut guest).await?;
    let database = http.shared.database.clone();
    apart(move || database.flush()).await?;
    Ok(done(&json!({"ok": true})))
}
