//! `POST /api/query`: a statement, or a list of them in one transaction.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use cairndb::{Notice, Outcome, SessionStatus};
use serde::Deserialize;
use serde_json::Value as Json;

use super::Http;
use super::guest::Guest;
use super::json::{Document, RowsAs, command};
use super::parameters::Parameters;
use super::problem::Problem;
use super::reply::{self, Said, Wanted};
use super::request::{self, Form};
use super::sessions::{Held, SESSION};

/// Bytes of the results of a list of statements, at most: they are kept until the transaction is committed.
const RESULTS_BYTES_MAX: usize = 64 << 20;

/// A request.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    sql: Option<String>,
    #[serde(default)]
    params: Parameters,
    statements: Option<Vec<Statement>>,
    isolation: Option<String>,
    #[serde(default)]
    read_only: bool,
    timeout: Option<Json>,
    format: Option<String>,
    #[serde(default)]
    rows: RowsAs,
}

/// One of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    sql: String,
    #[serde(default)]
    params: Parameters,
}

/// What may stand in the address instead.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Address {
    timeout: Option<String>,
    format: Option<String>,
    rows: Option<RowsAs>,
}

/// A session that a request runs in: its own, or one that the client keeps.
enum Running {
    Own(Box<Guest>),
    Held(Held),
}

impl Running {
    fn guest(&mut self) -> &mut Guest {
        match self {
            Running::Own(guest) => guest,
            Running::Held(held) => held.guest(),
        }
    }
}

impl Said for Running {
    fn notices(&mut self) -> Vec<Notice> {
        self.guest().session.notices()
    }

    fn done(&mut self) {
        if let Running::Held(held) = self {
            held.done();
        }
    }
}

/// Answers a request.
pub(super) async fn run(
    State(http): State<Arc<Http>>,
    Query(address): Query<Address>,
    headers: HeaderMap,
    guest: Guest,
    body: Body,
) -> Result<Response, Problem> {
    let body = request::bytes(&http, body).await?;
    let mut asked = match request::media_type(&headers).as_str() {
        "application/sql" | "text/plain" => {
            let sql = String::from_utf8(body.to_vec())
                .map_err(|_| Problem::new(400, "22021", "invalid byte sequence for encoding \"UTF8\""))?;
            Asked { sql: Some(sql), ..Asked::default() }
        }
        _ => request::json::<Asked>(&body)?,
    };
    asked.timeout = asked.timeout.or(address.timeout.map(Json::String));
    asked.rows = address.rows.unwrap_or(asked.rows);
    let form = Form::of(asked.format.as_deref().or(address.format.as_deref()), &headers)?;
    let wanted = Wanted { form, rows_as: asked.rows };
    let mut running = match headers.get(SESSION) {
        None => Running::Own(Box::new(guest)),
        Some(id) => {
            let user = guest.user.clone();
            drop(guest);
            Running::Held(http.sessions.hold(id, &user)?)
        }
    };
    if let Some(timeout) = &asked.timeout {
        let text = timeout.as_str().map_or_else(|| timeout.to_string(), str::to_owned);
        running.guest().session.begin_with("statement_timeout", &text)?;
    }
    match (asked.sql.take(), asked.statements.take()) {
        (Some(sql), None) => one(running, &sql, &asked, wanted).await,
        (None, Some(statements)) => several(running, &statements, &asked, wanted).await,
        _ => Err(Problem::request("a request has either \"sql\" or \"statements\"")),
    }
}

/// Runs one statement.
async fn one(mut running: Running, sql: &str, asked: &Asked, wanted: Wanted) -> Result<Response, Problem> {
    if asked.isolation.is_some() || asked.read_only {
        return Err(Problem::request("\"isolation\" and \"read_only\" belong to \"statements\""));
    }
    let guest = running.guest();
    let values = asked.params.values(guest, sql).await?;
    let outcome = guest.run(sql, &values).await?;
    match outcome {
        Outcome::Rows(rows) => {
            left_idle(&running)?;
            reply::rows(rows, wanted, running).await
        }
        Outcome::Command { tag, rows } => {
            left_idle(&running)?;
            let text = command(&tag, rows, &running.notices());
            running.done();
            Ok(reply::json(StatusCode::OK, text))
        }
    }
}

/// A block that a request of its own left open, nobody could end.
fn left_idle(running: &Running) -> Result<(), Problem> {
    let Running::Own(guest) = running else { return Ok(()) };
    if guest.session.status() == SessionStatus::Idle {
        return Ok(());
    }
    Err(Problem::new(400, "25001", "a transaction block was left open and is rolled back")
        .with_hint("Send the statements as \"statements\", or open a session (POST /api/sessions)."))
}

/// Runs a list of statements: all of them take effect, or none.
async fn several(
    mut running: Running,
    statements: &[Statement],
    asked: &Asked,
    wanted: Wanted,
) -> Result<Response, Problem> {
    if !matches!(asked.params, Parameters::None) {
        return Err(Problem::request("\"params\" stand beside the \"sql\" of each of the \"statements\""));
    }
    if wanted.form != Form::Json {
        return Err(Problem::request("several results can be had as JSON only"));
    }
    let guest = running.guest();
    if guest.session.status() != SessionStatus::Idle {
        return Err(Problem::new(409, "25001", "there is already a transaction in progress"));
    }
    guest.run(&begin(asked)?, &[]).await?;
    let results = in_block(guest, statements, wanted).await;
    let ended = match &results {
        Ok(_) => guest.run("COMMIT", &[]).await.map(drop).map_err(Problem::from),
        Err(_) => guest.run("ROLLBACK", &[]).await.map(drop).map_err(Problem::from),
    };
    let results = results?;
    ended?;
    running.done();
    Ok(reply::json(StatusCode::OK, format!("{{\"results\":[{results}]}}")))
}

/// The BEGIN that is asked for.
fn begin(asked: &Asked) -> Result<String, Problem> {
    let level = match asked.isolation.as_deref() {
        None => "",
        Some("read committed") => " ISOLATION LEVEL READ COMMITTED",
        Some("repeatable read") => " ISOLATION LEVEL REPEATABLE READ",
        Some("serializable") => " ISOLATION LEVEL SERIALIZABLE",
        Some(other) => {
            return Err(Problem::request(format!(
                "isolation \"{other}\" is none of read committed, repeatable read and serializable"
            )));
        }
    };
    Ok(format!("BEGIN{level}{}", if asked.read_only { " READ ONLY" } else { "" }))
}

/// The results of statements within a block, with commas between them.
async fn in_block(guest: &mut Guest, statements: &[Statement], wanted: Wanted) -> Result<String, Problem> {
    let mut all = String::new();
    for statement in statements {
        let values = statement.params.values(guest, &statement.sql).await?;
        let outcome = guest.run(&statement.sql, &values).await?;
        if guest.session.status() != SessionStatus::InTransaction {
            return Err(Problem::request("a list of statements begins and ends its transaction by itself"));
        }
        if !all.is_empty() {
            all.push(',');
        }
        match outcome {
            Outcome::Command { tag, rows } => all.push_str(&command(&tag, rows, &guest.session.notices())),
            Outcome::Rows(mut rows) => {
                let mut document = Document::new(rows.columns(), wanted.rows_as)?;
                while let Some(batch) = rows.next_batch_async().await? {
                    document.batch(&batch);
                    if all.len() + document.len() > RESULTS_BYTES_MAX {
                        let message = format!("the results are longer than {RESULTS_BYTES_MAX} bytes");
                        return Err(Problem::new(413, "54000", message)
                            .with_hint("Results of single statements are streamed, in a session too."));
                    }
                }
                document.finish(&rows.tag(), &guest.session.notices());
                all.push_str(&String::from_utf8_lossy(&document.take()));
            }
        }
    }
    Ok(all)
}
