//! `GET /api/ws`: many requests at once over one WebSocket, each with an `id` that its answers carry.
//!
//! ```text
//!   ▶ {"id": 1, "type": "query", "sql": "SELECT …", "params": […]}
//!   ◀ {"id": 1, "type": "columns", "columns": […]}
//!   ◀ {"id": 1, "type": "rows", "rows": […]}            as often as there are
//!   ◀ {"id": 1, "type": "done", "tag": "SELECT 2", …}   or {"id": 1, "type": "error", "error": {…}}
//! ```
//! A request runs in a session of its own, or in one that it names (`"session": "a"`): those run one after the other, and keep
//! their transaction.
//!
//! I1. A request is answered by exactly one `done` or `error`.
//! I2. What waits for a slow client is bounded: a few pieces, whatever the size of the results.

mod listening;
mod message;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use cairndb::Outcome;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::guest::{Guest, enter};
use super::json::{check, columns_of, end, row_of};
use super::login::Credentials;
use super::problem::Problem;
use super::{Connection, Http};
use crate::registry::{Stage, until};
use listening::Listener;
use message::{Asked, Kind};

/// Messages that wait for the client.
const WAITING_MAX: usize = 8;
/// Requests of one connection at once, at most.
const REQUESTS_MAX: usize = 64;
/// Sessions of one connection, at most.
const SESSIONS_MAX: usize = 16;
/// Bytes of a piece of rows, about.
const PIECE_BYTES: usize = 64 << 10;

/// Time without a message after which a client is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(30);

/// Where answers go.
#[derive(Clone)]
struct Out(mpsc::Sender<Message>);

/// The client is gone.
struct Gone;

impl Out {
    async fn send(&self, text: String) -> Result<(), Gone> {
        self.0.send(Message::Text(text.into())).await.map_err(|_| Gone)
    }

    async fn error(&self, id: u64, problem: &Problem) -> Result<(), Gone> {
        self.send(json!({"id": id, "type": "error", "error": problem.to_json()}).to_string()).await
    }
}

/// Begins a connection; credentials may come with it, or with its first message.
pub(super) async fn open(
    State(http): State<Arc<Http>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let credentials = Credentials::of(&headers);
    if let Some(credentials) = &credentials {
        drop(enter(&http, connection, credentials).await?);
    }
    let max = http.shared.options.http_body_bytes_max;
    let upgrade = upgrade.max_message_size(max).max_frame_size(max);
    Ok(upgrade.on_upgrade(move |socket| async move {
        // Its connection has given its place back.
        let Some(_place) = http.shared.registry.visit() else { return };
        serve(http, connection, credentials, socket).await;
    }))
}

/// Serves a connection to its end.
async fn serve(http: Arc<Http>, connection: Connection, given: Option<Credentials>, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let credentials = match given {
        Some(credentials) => credentials,
        None => match log_in(&http, connection, &mut sink, &mut stream).await {
            Some(credentials) => credentials,
            None => return,
        },
    };
    let (out, waiting) = mpsc::channel(WAITING_MAX);
    let writing = tokio::spawn(write(sink, waiting));
    let mut client = Client {
        http: Arc::clone(&http),
        connection,
        credentials,
        out: Out(out),
        tasks: JoinSet::new(),
        running: HashMap::new(),
        sessions: HashMap::new(),
        prepared: HashMap::new(),
        listener: None,
    };
    let mut stages = http.shared.registry.stages();
    let is_closing = loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if client.take(&text).await.is_err() {
                        break false;
                    }
                }
                Some(Ok(Message::Binary(_))) => {
                    let problem = Problem::request("messages are texts");
                    if client.out.error(0, &problem).await.is_err() {
                        break false;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break false,
                Some(Ok(_)) => {}
            },
            Some(done) = client.tasks.join_next_with_id() => client.forget(done.map_or_else(|error| error.id(), |(id, ())| id)),
            () = until(&mut stages, Stage::Closing) => break true,
        }
    };
    if is_closing {
        client.finish(&mut stages).await;
    }
    // What runs is cancelled with its task.
    drop(client);
    let _ = writing.await;
}

/// Writes what waits, until nobody sends any more.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut waiting: mpsc::Receiver<Message>) {
    loop {
        let message = match tokio::time::timeout(PING_AFTER, waiting.recv()).await {
            Ok(Some(message)) => message,
            Ok(None) => break,
            // A client that is gone without a word is found out so.
            Err(_) => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
    let _ = sink.send(Message::Close(None)).await;
}

/// The credentials of the first message, where they are right.
async fn log_in(
    http: &Http,
    connection: Connection,
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
) -> Option<Credentials> {
    let first = tokio::time::timeout(http.shared.options.opening_time_max, stream.next()).await;
    let text = match first {
        Ok(Some(Ok(Message::Text(text)))) => text,
        _ => return None,
    };
    let asked = Asked::parse(&text);
    let admitted = match asked {
        Ok(Asked { id, kind: Kind::Login(credentials) }) => match enter(http, connection, &credentials).await
        {
            Ok(_) => Ok((id, credentials)),
            Err(problem) => Err(problem),
        },
        Ok(_) => Err(Problem::new(401, "28000", "the first message is a login")),
        Err((_, problem)) => Err(problem),
    };
    match admitted {
        Ok((id, credentials)) => {
            let text = json!({"id": id, "type": "done", "tag": "LOGIN"}).to_string();
            sink.send(Message::Text(text.into())).await.ok()?;
            Some(credentials)
        }
        Err(problem) => {
            let text = json!({"id": 0, "type": "error", "error": problem.to_json()}).to_string();
            let _ = sink.send(Message::Text(text.into())).await;
            // Policy violation.
            let frame = CloseFrame { code: 1008, reason: "login failed".into() };
            let _ = sink.send(Message::Close(Some(frame))).await;
            None
        }
    }
}

/// A connection's state.
struct Client {
    http: Arc<Http>,
    connection: Connection,
    credentials: Credentials,
    out: Out,
    tasks: JoinSet<()>,
    /// Requests that run, by their id.
    running: HashMap<u64, AbortHandle>,
    sessions: HashMap<String, Arc<Mutex<Guest>>>,
    /// Statements of `prepare`.
    prepared: HashMap<String, String>,
    listener: Option<Listener>,
}

/// What a request is about to run.
struct Run {
    id: u64,
    sql: String,
    query: message::Query,
    out: Out,
}

impl Client {
    /// Acts on a message.
    async fn take(&mut self, text: &str) -> Result<(), Gone> {
        let asked = match Asked::parse(text) {
            Ok(asked) => asked,
            Err((id, problem)) => return self.out.error(id, &problem).await,
        };
        let id = asked.id;
        match self.act(asked).await {
            Ok(None) => Ok(()),
            Ok(Some(tag)) => self.out.send(json!({"id": id, "type": "done", "tag": tag}).to_string()).await,
            Err(problem) => self.out.error(id, &problem).await,
        }
    }

    /// Does what is done at once, of which it gives the tag; what runs on is answered by its task.
    async fn act(&mut self, asked: Asked) -> Result<Option<&'static str>, Problem> {
        match asked.kind {
            Kind::Login(_) => Err(Problem::request("a connection has one login")),
            Kind::Query(query) => {
                let Some(sql) = query.sql.clone() else {
                    return Err(Problem::request("missing field `sql`"));
                };
                self.start(Run { id: asked.id, sql, query, out: self.out.clone() }).await.map(|()| None)
            }
            Kind::Execute { name, query } => {
                let unknown =
                    || Problem::new(400, "26000", format!("prepared statement \"{name}\" does not exist"));
                let sql = self.prepared.get(&name).cloned().ok_or_else(unknown)?;
                self.start(Run { id: asked.id, sql, query, out: self.out.clone() }).await.map(|()| None)
            }
            Kind::Prepare { name, sql } => {
                let mut guest = enter(&self.http, self.connection, &self.credentials).await?;
                let prepared = guest.session.prepare_async(&sql, &[]).await?;
                let types: Vec<String> =
                    prepared.parameter_types().iter().map(cairndb::DataType::sql_name).collect();
                let mut text =
                    format!("{{\"id\":{},\"type\":\"prepared\",\"parameters\":{},", asked.id, json!(types));
                columns_of(prepared.columns(), &mut text);
                text.push('}');
                self.prepared.insert(name, sql);
                let _ = self.out.send(text).await;
                Ok(Some("PREPARE"))
            }
            Kind::Deallocate { name } => match self.prepared.remove(&name) {
                Some(_) => Ok(Some("DEALLOCATE")),
                None => {
                    Err(Problem::new(400, "26000", format!("prepared statement \"{name}\" does not exist")))
                }
            },
            Kind::Cancel { target } => {
                if let Some(task) = self.running.remove(&target) {
                    task.abort();
                    let cancelled = Problem::new(504, "57014", "canceling statement due to user request");
                    let _ = self.out.error(target, &cancelled).await;
                }
                Ok(Some("CANCEL"))
            }
            Kind::Close { session } => match self.sessions.remove(&session) {
                Some(_) => Ok(Some("CLOSE")),
                None => Err(Problem::new(404, "08003", format!("there is no session \"{session}\""))),
            },
            Kind::Listen { channel } => {
                let listener = match &self.listener {
                    Some(listener) => listener.clone(),
                    None => {
                        let guest = enter(&self.http, self.connection, &self.credentials).await?;
                        let listener = Listener::start(guest, self.out.clone(), &mut self.tasks);
                        self.listener.insert(listener).clone()
                    }
                };
                listener.listen(&channel).await.map(|()| Some("LISTEN"))
            }
            Kind::Unlisten { channel } => {
                if let Some(listener) = &self.listener {
                    listener.unlisten(&channel).await?;
                }
                Ok(Some("UNLISTEN"))
            }
        }
    }

    /// Starts a request.
    async fn start(&mut self, run: Run) -> Result<(), Problem> {
        if self.running.contains_key(&run.id) {
            return Err(Problem::request(format!("a request with the id {} runs already", run.id)));
        }
        if self.running.len() >= REQUESTS_MAX {
            return Err(Problem::new(429, "53300", format!("more than {REQUESTS_MAX} requests at once")));
        }
        let id = run.id;
        let task = match run.query.session.clone() {
            None => {
                let (http, connection, credentials) =
                    (Arc::clone(&self.http), self.connection, self.credentials.clone());
                self.tasks.spawn(async move {
                    match enter(&http, connection, &credentials).await {
                        Ok(mut guest) => answer(&mut guest, run).await,
                        Err(problem) => drop(run.out.error(run.id, &problem).await),
                    }
                })
            }
            Some(name) => {
                let session = self.session(name).await?;
                self.tasks.spawn(async move {
                    let mut guest = session.lock_owned().await;
                    let cancel = CancelOnDrop { cancel: guest.canceller(), done: false };
                    answer(&mut guest, run).await;
                    cancel.done();
                })
            }
        };
        self.running.insert(id, task);
        Ok(())
    }

    /// The session of that name, opened where there is none.
    async fn session(&mut self, name: String) -> Result<Arc<Mutex<Guest>>, Problem> {
        if let Some(session) = self.sessions.get(&name) {
            return Ok(Arc::clone(session));
        }
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(Problem::new(429, "53300", format!("more than {SESSIONS_MAX} sessions")));
        }
        let guest = enter(&self.http, self.connection, &self.credentials).await?;
        let session = Arc::new(Mutex::new(guest));
        self.sessions.insert(name, Arc::clone(&session));
        Ok(session)
    }

    fn forget(&mut self, task: tokio::task::Id) {
        self.running.retain(|_, running| running.id() != task);
    }

    /// Waits for what runs, until the server ends.
    async fn finish(&mut self, stages: &mut tokio::sync::watch::Receiver<Stage>) {
        self.listener = None;
        while !self.running.is_empty() {
            tokio::select! {
                Some(done) = self.tasks.join_next_with_id() => self.forget(done.map_or_else(|error| error.id(), |(id, ())| id)),
                () = until(stages, Stage::Ending) => return,
            }
        }
    }
}

/// Cancels the statement of a session whose request is given up.
struct CancelOnDrop {
    cancel: cairndb::StatementCancel,
    done: bool,
}

impl CancelOnDrop {
    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if !self.done {
            self.cancel.cancel();
        }
    }
}

/// Runs a request and answers it.
async fn answer(guest: &mut Guest, run: Run) {
    if let Err(Some(problem)) = run_to_end(guest, &run).await {
        let _ = run.out.error(run.id, &problem).await;
    }
}

impl From<Gone> for Option<Problem> {
    fn from(_: Gone) -> Option<Problem> {
        None
    }
}

/// `Err(None)` where the client is gone.
async fn run_to_end(guest: &mut Guest, run: &Run) -> Result<(), Option<Problem>> {
    let id = run.id;
    let told = |error: cairndb::Error| Some(Problem::from(error));
    if let Some(timeout) = &run.query.timeout {
        let text = timeout.as_str().map_or_else(|| timeout.to_string(), str::to_owned);
        guest.session.begin_with("statement_timeout", &text).map_err(told)?;
    }
    let values = run.query.params.values(guest, &run.sql).await.map_err(Some)?;
    let (tag, count) = match guest.run(&run.sql, &values).await.map_err(told)? {
        Outcome::Command { tag, rows } => (tag, rows),
        Outcome::Rows(mut rows) => {
            let columns = rows.columns().to_vec();
            check(&columns, run.query.rows).map_err(Some)?;
            let mut text = format!("{{\"id\":{id},\"type\":\"columns\",");
            columns_of(&columns, &mut text);
            run.out.send(text + "}").await?;
            let (mut piece, mut count) = (String::new(), 0);
            while let Some(batch) = rows.next_batch_async().await.map_err(told)? {
                for row in 0..batch.num_rows() {
                    piece.push_str(if piece.is_empty() { "" } else { ",\n" });
                    row_of(&batch, row, &columns, run.query.rows, &mut piece);
                    count += 1;
                    if piece.len() >= PIECE_BYTES {
                        run.out.send(rows_of(id, &std::mem::take(&mut piece))).await?;
                    }
                }
            }
            if !piece.is_empty() {
                run.out.send(rows_of(id, &piece)).await?;
            }
            (rows.tag(), count)
        }
    };
    if run.query.session.is_none() && guest.session.status() != cairndb::SessionStatus::Idle {
        return Err(Some(
            Problem::new(400, "25001", "a transaction block was left open and is rolled back")
                .with_hint("Name a session, which keeps it."),
        ));
    }
    let mut text = format!("{{\"id\":{id},\"type\":\"done\",");
    end(&tag, count, &guest.session.notices(), &mut text);
    run.out.send(text).await?;
    Ok(())
}

fn rows_of(id: u64, rows: &str) -> String {
    format!("{{\"id\":{id},\"type\":\"rows\",\"rows\":[{rows}]}}")
}
