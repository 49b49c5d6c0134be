//! The sessions of a database as they see each other: what each is doing, and how it is told to stop. `pg_stat_activity`,
//! `pg_cancel_backend` and `pg_terminate_backend` go by this list.
//!
//! I1: what is shown of a session changes only under its own lock, which is held for no longer than that; nothing else is locked
//! meanwhile.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use cairn_engine::catalog::ObjectId;
use parking_lot::Mutex;

use super::State;
use super::timeouts::Running;
use crate::engine::Shared;
use crate::{Error, Result};

/// Bytes of a statement that are shown, as PostgreSQL's `track_activity_query_size`.
const QUERY_BYTES_MAX: usize = 1023;

/// What a session does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Doing {
    #[default]
    Idle,
    Active,
    IdleInBlock,
    IdleInFailedBlock,
}

impl Doing {
    /// As PostgreSQL calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Doing::Idle => "idle",
            Doing::Active => "active",
            Doing::IdleInBlock => "idle in transaction",
            Doing::IdleInFailedBlock => "idle in transaction (aborted)",
        }
    }
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// On this machine, by a Unix socket.
    Local,
    /// At the other end of a network connection.
    Network(IpAddr, u16),
}

/// What is shown of a session. Times are microseconds since 1970 UTC.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) doing: Doing,
    /// The statement that runs, or that ran last.
    pub(crate) query: String,
    pub(crate) query_start_us: Option<i64>,
    pub(crate) changed_us: Option<i64>,
    /// When the open transaction began.
    pub(crate) transaction_start_us: Option<i64>,
    pub(crate) application_name: String,
    pub(crate) role: ObjectId,
    pub(crate) client: Option<ClientAddress>,
    /// Statements begun.
    statements: u64,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) process_id: i32,
    pub(crate) started_us: i64,
    running: Running,
    shown: Mutex<Shown>,
    ended: AtomicBool,
    told: tokio::sync::Notify,
}

impl Activity {
    pub(crate) fn shown(&self) -> Shown {
        self.shown.lock().clone()
    }

    /// Shows who the session is, and what its client is called.
    pub(super) fn note(&self, settings: &super::settings::Settings) {
        self.shown.lock().note(settings);
    }

    pub(crate) fn set_client(&self, client: ClientAddress) {
        self.shown.lock().client = Some(client);
    }

    /// Ends the statement that runs.
    pub(crate) fn cancel(&self) {
        super::timeouts::StatementCancel::new(&self.running).cancel();
    }

    /// Ends the session: the statement that runs, and all that come.
    pub(crate) fn terminate(&self) {
        self.ended.store(true, Ordering::Release);
        self.told.notify_waiters();
        self.cancel();
    }

    pub(crate) fn is_terminated(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until the session is to end.
    pub(crate) async fn terminated(&self) {
        loop {
            let told = self.told.notified();
            tokio::pin!(told);
            // Before the look, so that what comes between is heard.
            told.as_mut().enable();
            if self.is_terminated() {
                return;
            }
            told.await;
        }
    }

    /// A statement begins; it ends when what is returned is dropped.
    pub(super) fn begin(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        state: &Arc<Mutex<State>>,
        sql: &str,
    ) -> Result<Active> {
        if self.is_terminated() {
            if let Some(block) = state.lock().block.take().filter(|block| !block.is_adopted()) {
                block.end();
            }
            return Err(terminated());
        }
        let now = shared.now_us();
        let mut shown = self.shown.lock();
        shown.doing = Doing::Active;
        let end = sql.floor_char_boundary(QUERY_BYTES_MAX);
        shown.query.clear();
        shown.query.push_str(&sql[..end]);
        shown.query_start_us = Some(now);
        shown.changed_us = Some(now);
        shown.transaction_start_us.get_or_insert(now);
        shown.statements += 1;
        let number = shown.statements;
        drop(shown);
        Ok(Active {
            activity: Arc::clone(self),
            shared: Arc::downgrade(shared),
            state: Arc::downgrade(state),
            number,
        })
    }

    /// What an error is, where the session has been told to end.
    pub(super) fn told<T>(&self, result: Result<T>) -> Result<T> {
        match result {
            Err(error) if error.sqlstate() == "57014" && self.is_terminated() => Err(terminated()),
            other => other,
        }
    }
}

fn terminated() -> Error {
    Error::new("57P01", "terminating connection due to administrator command")
}

/// A statement that runs, or whose rows are being read.
pub(crate) struct Active {
    activity: Arc<Activity>,
    shared: Weak<Shared>,
    state: Weak<Mutex<State>>,
    number: u64,
}

impl Drop for Active {
    fn drop(&mut self) {
        let (Some(shared), Some(state)) = (self.shared.upgrade(), self.state.upgrade()) else { return };
        // Where the session is at work, its next statement has begun, or this one still runs.
        let Some(state) = state.try_lock() else { return };
        let (doing, transaction) = match &state.block {
            None => (Doing::Idle, None),
            Some(block) if block.failed => (Doing::IdleInFailedBlock, Some(block.start_us)),
            Some(block) => (Doing::IdleInBlock, Some(block.start_us)),
        };
        let settings = Arc::clone(&state.settings);
        drop(state);
        let mut shown = self.activity.shown.lock();
        if shown.statements != self.number {
            return;
        }
        shown.doing = doing;
        shown.changed_us = Some(shared.now_us());
        shown.transaction_start_us = transaction;
        shown.note(&settings);
    }
}

impl Shown {
    fn note(&mut self, settings: &super::settings::Settings) {
        self.role = settings.identity.session;
        let name = settings.application_name();
        if self.application_name != name {
            name.clone_into(&mut self.application_name);
        }
    }
}

/// The sessions of a database, by number.
#[derive(Debug, Default)]
pub(crate) struct Activities(Mutex<BTreeMap<i32, Arc<Activity>>>);

impl Activities {
    /// Adds a session.
    pub(super) fn add(&self, process_id: i32, started_us: i64, running: Running) -> Arc<Activity> {
        let activity = Arc::new(Activity {
            process_id,
            started_us,
            running,
            shown: Mutex::default(),
            ended: AtomicBool::new(false),
            told: tokio::sync::Notify::new(),
        });
        self.0.lock().insert(process_id, Arc::clone(&activity));
        activity
    }

    pub(super) fn remove(&self, activity: &Arc<Activity>) {
        let mut all = self.0.lock();
        // Numbers come again after two thousand million sessions.
        if all.get(&activity.process_id).is_some_and(|own| Arc::ptr_eq(own, activity)) {
            all.remove(&activity.process_id);
        }
    }

    /// The session of a number.
    pub(crate) fn get(&self, process_id: i32) -> Option<Arc<Activity>> {
        self.0.lock().get(&process_id).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Activity>> {
        self.0.lock().values().cloned().collect()
    }
}

impl super::Session {
    /// Says where the client is that the session is for.
    pub fn set_client(&self, client: ClientAddress) {
        self.activity.set_client(client);
    }

    /// Whether `pg_terminate_backend` has ended the session: all its statements fail with `57P01`.
    pub fn is_terminated(&self) -> bool {
        self.activity.is_terminated()
    }

    /// Waits until [`Session::is_terminated`](super::Session::is_terminated).
    pub async fn terminated(&self) {
        self.activity.terminated().await;
    }
}
