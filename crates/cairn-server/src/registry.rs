//! The sessions that are open: who may cancel which statement, how many there are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cairndb::StatementCancel;
use tokio::sync::watch;

/// Bytes of a secret, at most; clients of protocol 3.0 are given the first four.
pub(crate) const SECRET_BYTES: usize = 32;

/// All sessions, by number.
#[derive(Debug)]
pub(crate) struct Registry {
    sessions: Mutex<HashMap<u32, Entry>>,
    /// Connections that have no session of their own: those of HTTP.
    visitors: AtomicUsize,
    connections_max: usize,
    visitors_max: usize,
    stopping: watch::Sender<Stage>,
}

/// How far the server is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Open,
    /// Sessions end when their transaction has.
    Closing,
    /// Sessions end now.
    Ending,
}

#[derive(Debug)]
struct Entry {
    user: String,
    secret: Vec<u8>,
    cancel: StatementCancel,
}

/// Why there is no place for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// There are as many sessions as there may be.
    Server,
    /// The same of the role's.
    Role,
}

/// A place among the sessions; it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    registry: Arc<Registry>,
    pid: u32,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.pid);
    }
}

/// A place of a connection without a session.
#[derive(Debug)]
pub(crate) struct Visit(Arc<Registry>);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.visitors.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Registry {
    pub(crate) fn new(connections_max: usize, visitors_max: usize) -> Arc<Registry> {
        let stopping = watch::Sender::new(Stage::Open);
        Arc::new(Registry {
            sessions: Mutex::default(),
            visitors: AtomicUsize::new(0),
            connections_max,
            visitors_max,
            stopping,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a session of a user, of whom there may be so many.
    pub(crate) fn enter(
        self: &Arc<Registry>,
        pid: u32,
        (user, user_max): (&str, Option<usize>),
        secret: Vec<u8>,
        cancel: StatementCancel,
    ) -> Result<Place, Full> {
        let mut sessions = self.lock();
        if sessions.len() >= self.connections_max {
            return Err(Full::Server);
        }
        if user_max.is_some_and(|max| sessions.values().filter(|own| own.user == user).count() >= max) {
            return Err(Full::Role);
        }
        sessions.insert(pid, Entry { user: user.to_owned(), secret, cancel });
        Ok(Place { registry: Arc::clone(self), pid })
    }

    /// A place for a connection without a session; `None` where there are as many as there may be.
    pub(crate) fn visit(self: &Arc<Registry>) -> Option<Visit> {
        // Given back where there are too many.
        let visit = Visit(Arc::clone(self));
        (self.visitors.fetch_add(1, Ordering::Relaxed) < self.visitors_max).then_some(visit)
    }

    /// Ends the statement of a session, for one who knows its secret.
    pub(crate) fn cancel(&self, pid: u32, secret: &[u8]) {
        if let Some(entry) = self.lock().get(&pid)
            && is_same(&entry.secret, secret)
        {
            entry.cancel.cancel();
        }
    }

    /// Ends the statements of all sessions.
    pub(crate) fn cancel_all(&self) {
        self.lock().values().for_each(|entry| entry.cancel.cancel());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty() && self.visitors.load(Ordering::Relaxed) == 0
    }

    /// Sessions that are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn stages(&self) -> watch::Receiver<Stage> {
        self.stopping.subscribe()
    }

    pub(crate) fn go_to(&self, stage: Stage) {
        self.stopping.send_replace(stage);
    }
}

/// Waits until the server is that far.
pub(crate) async fn until(stages: &mut watch::Receiver<Stage>, wanted: Stage) {
    // The sender lives as long as the registry does.
    let _ = stages.wait_for(|stage| *stage >= wanted).await;
}

/// Compares in a time that does not tell where they differ.
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
