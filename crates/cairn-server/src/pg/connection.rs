//! A session's loop: one message after the other.
//!
//! ```text
//!   ready ── Query ──▶ ready
//!     │── Parse, Bind, Describe, Execute, Close ──▶ in a series ── Sync ──▶ ready
//!     └── error within a series ──▶ everything is skipped until Sync
//! ```
//! Statements between two Syncs, and those of one Query, are one transaction, as in PostgreSQL: where more than one of them
//! comes, a block is opened for them ([`Connection::begin_implicit`]).
//!
//! I1. Every Query and every Sync is answered by exactly one ReadyForQuery.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use cairndb::{Outcome, Session, SessionStatus, Value};

use super::extended::{Portal, Statement};
use super::message::{Message, Violation};
use super::opening::Opened;
use super::reply::Report;
use super::wire::{Received, Wire};
use crate::registry::Place;

pub(crate) struct Connection {
    pub(super) wire: Wire,
    pub(super) session: Session,
    pub(super) statements: HashMap<String, Arc<Statement>>,
    pub(super) portals: HashMap<String, Portal>,
    /// Whether the open block is none of the client's.
    pub(super) implicit: bool,
    /// Whether messages are skipped until Sync.
    skipping: bool,
    _place: Place,
}

/// The fields of an error, as the client gets them.
pub(super) fn report(error: &cairndb::Error) -> Report {
    let own = |text: Option<&str>| text.map(str::to_owned);
    Report {
        severity: "ERROR",
        sqlstate: error.sqlstate().to_owned(),
        message: error.message().to_owned(),
        detail: own(error.detail()),
        hint: own(error.hint()),
        position: error.position(),
        schema: own(error.schema()),
        table: own(error.table()),
        column: own(error.column()),
        constraint: own(error.constraint()),
    }
}

/// What a message came to.
pub(super) enum Failure {
    /// The client is told, and the session goes on.
    Told(Box<Report>),
    /// The connection is gone.
    Gone(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Gone(error)
    }
}

impl From<cairndb::Error> for Failure {
    fn from(error: cairndb::Error) -> Failure {
        Failure::Told(Box::new(report(&error)))
    }
}

impl From<Report> for Failure {
    fn from(report: Report) -> Failure {
        Failure::Told(Box::new(report))
    }
}

pub(super) type Done<T = ()> = Result<T, Failure>;

impl Connection {
    pub(crate) fn new(wire: Wire, opened: Opened) -> Connection {
        Connection {
            wire,
            session: opened.session,
            statements: HashMap::new(),
            portals: HashMap::new(),
            implicit: false,
            skipping: false,
            _place: opened.place,
        }
    }

    /// Serves messages until the client or the server ends the session.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let ended = self.serve().await;
        // Nobody reads what still runs for it.
        self.session.cancel_handle().cancel();
        ended
    }

    async fn serve(&mut self) -> io::Result<()> {
        loop {
            if self.session.is_terminated() {
                return self.end().await;
            }
            let idle = self.session.status() == SessionStatus::Idle;
            let received = match self.wire.buffered() {
                Some(received) => received,
                None => {
                    // Before the wait, so that its end cuts no reply in two.
                    self.wire.flush().await?;
                    tokio::select! {
                        received = self.wire.next(idle) => received?,
                        () = self.session.notified(), if idle => {
                            self.tell_notifications();
                            continue;
                        }
                        () = self.session.terminated() => continue,
                    }
                }
            };
            match received {
                Received::Message(Message::Terminate) | Received::End => return Ok(()),
                Received::Message(message) => self.handle(message).await?,
                // The message is gone from the input, what comes after it is sound.
                Received::Violation(violation @ Violation::Text) => {
                    self.failed(&Report::error(violation.sqlstate(), violation.to_string()), true).await?;
                }
                Received::Violation(violation) => {
                    self.wire.replies.error(&Report::fatal(violation.sqlstate(), violation.to_string()));
                    return self.wire.flush().await;
                }
                Received::Stopping => return self.end().await,
            }
        }
    }

    /// Tells the client that an administrator has ended the session.
    async fn end(&mut self) -> io::Result<()> {
        let message = "terminating connection due to administrator command";
        self.wire.replies.error(&Report::fatal("57P01", message));
        self.wire.flush().await
    }

    async fn handle(&mut self, message: Message) -> io::Result<()> {
        if self.skipping && message != Message::Sync {
            return Ok(());
        }
        let (series, done) = match message {
            Message::Query(sql) => {
                let done = self.query(&sql).await;
                (false, done)
            }
            Message::Parse { name, sql, types } => (true, self.parse(name, sql, types).await),
            Message::Bind { portal, statement, forms, values, results } => {
                (true, self.bind(portal, &statement, &forms, &values, &results))
            }
            Message::Describe(object) => (true, self.describe(&object)),
            Message::Close(object) => {
                self.close(&object);
                (true, Ok(()))
            }
            Message::Execute { portal, rows_max } => (true, self.execute(&portal, rows_max).await),
            Message::Flush => (true, self.wire.flush().await.map_err(Failure::from)),
            Message::Sync => {
                self.skipping = false;
                let done = self.end_implicit().await;
                if self.session.status() == SessionStatus::Idle {
                    self.portals.clear();
                }
                (false, done)
            }
            // What a COPY that has failed is still sent.
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => return Ok(()),
            Message::FunctionCall => {
                let report = Report::error("0A000", "function calls over the protocol are not supported")
                    .with_hint("Use SELECT with the function.");
                (false, Err(Failure::from(report)))
            }
            Message::Password(_) => {
                (false, Err(Report::error("08P01", "unexpected password message").into()))
            }
            Message::Terminate => return Ok(()),
        };
        match done {
            Err(Failure::Gone(error)) => return Err(error),
            Err(Failure::Told(report)) => return self.failed(&report, series).await,
            Ok(()) if series => return Ok(()),
            Ok(()) => {}
        }
        self.ready();
        Ok(())
    }

    /// Tells of an error. A series is skipped to its end; otherwise the session is ready again.
    async fn failed(&mut self, report: &Report, series: bool) -> io::Result<()> {
        if self.session.is_terminated() {
            // That is all the client is told.
            return Ok(());
        }
        self.tell_notices();
        self.wire.replies.error(report);
        if self.implicit {
            self.implicit = false;
            // It has failed: there is nothing that could go wrong.
            let _ = self.session.run_async("ROLLBACK").await;
        }
        if series {
            self.skipping = true;
        } else {
            self.ready();
        }
        self.wire.flush_many().await
    }

    fn ready(&mut self) {
        self.tell_notices();
        for (name, value) in self.session.changed_parameters().unwrap_or_default() {
            self.wire.replies.parameter(name, &value);
        }
        let status = match self.session.status() {
            SessionStatus::Idle => b'I',
            SessionStatus::InTransaction => b'T',
            SessionStatus::Failed => b'E',
        };
        if status == b'I' {
            self.tell_notifications();
        }
        self.wire.replies.ready(status);
    }

    /// Sends the messages that have arrived on channels that the session listens on.
    fn tell_notifications(&mut self) {
        for message in self.session.take_notifications() {
            self.wire.replies.notification(message.process_id, &message.channel, &message.payload);
        }
    }

    /// Sends what the statements so far had to say.
    pub(super) fn tell_notices(&mut self) {
        for notice in self.session.notices() {
            let severity = if notice.sqlstate.starts_with("01") { "WARNING" } else { "NOTICE" };
            let report = Report { severity, ..Report::error(notice.sqlstate, notice.message) };
            self.wire.replies.notice(&report);
        }
    }

    /// Runs a statement, here where it can be done without waiting.
    pub(super) async fn run_statement(&mut self, sql: &str, values: &[Value]) -> cairndb::Result<Outcome> {
        match self.session.run_now(sql, values) {
            Some(result) => result,
            None => self.session.run_values_async(sql, values).await,
        }
    }

    /// Opens a block of the server's own, where none is open.
    pub(super) async fn begin_implicit(&mut self) -> Done {
        if self.session.status() == SessionStatus::Idle {
            self.session.run_async("BEGIN").await?;
            self.implicit = true;
        }
        Ok(())
    }

    /// Commits the block of the server's own, where one is open.
    pub(super) async fn end_implicit(&mut self) -> Done {
        if std::mem::take(&mut self.implicit) && self.session.status() != SessionStatus::Idle {
            self.session.run_async("COMMIT").await?;
        }
        Ok(())
    }
}
