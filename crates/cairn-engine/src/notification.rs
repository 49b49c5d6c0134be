//! Messages between sessions: LISTEN and NOTIFY.
//!
//! A message is part of the transaction that sends it: it arrives when that commits, and never where it, or the savepoint
//! behind which it was sent, is rolled back. So is the wish to listen. Messages are kept in memory only; who does not
//! listen at the moment of the commit has missed them.
//!
//! I1: every listener gets the messages of all channels in the order of the commits, and those of one transaction in the order
//! in which it sent them. Transactions that send commit one after the other for that ([`Hub::in_order`]).
//! I2: the messages that wait, counted once for each listener that has not taken them, have at most [`WAITING_BYTES_MAX`]: a
//! transaction whose messages have no room does not commit. What it sends to listeners that it makes itself is not counted
//! before, and has at most as much again.
//! I3: locks are taken in the order `turn`, `channels`, `waiting`; a listener is dropped while none is held.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use cairn_storage::LockOwner;
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

/// Bytes of messages that wait, at most.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// What a message that waits costs besides its text.
const MESSAGE_BYTES: usize = 64;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notification {
    /// The channel that it was sent to.
    pub channel: Arc<str>,
    /// What it says; empty where nothing was given.
    pub payload: Arc<str>,
    /// The owner of the sender's locks ([`crate::LockSession::id`]).
    pub sender: LockOwner,
}

impl Notification {
    fn bytes(&self) -> usize {
        MESSAGE_BYTES + self.channel.len() + self.payload.len()
    }
}

/// Who listens where.
#[derive(Default)]
pub(crate) struct Hub {
    /// Held by a transaction that commits messages.
    turn: Mutex<()>,
    channels: Mutex<HashMap<Arc<str>, Vec<Weak<Listener>>>>,
    waiting_bytes: AtomicUsize,
}

/// A session that may listen. Dropping it ends that.
pub struct Listener {
    hub: Arc<Hub>,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Waiting {
    channels: BTreeSet<Arc<str>>,
    messages: VecDeque<Arc<Notification>>,
}

/// What a transaction has said about messages.
#[derive(Default)]
pub(crate) struct Messages {
    all: Vec<Said>,
    /// The messages among them.
    sent: HashSet<Arc<Notification>>,
    bytes: usize,
}

enum Said {
    Notify(Arc<Notification>),
    Listen(Arc<Listener>, Arc<str>),
    /// From all channels where none is named.
    Unlisten(Arc<Listener>, Option<Arc<str>>),
}

impl Messages {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How much has been said.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Sends a message. One that was sent already is not sent again.
    pub(crate) fn notify(&mut self, message: Notification) -> Result<()> {
        let message = Arc::new(message);
        if self.sent.contains(&message) {
            return Ok(());
        }
        self.bytes += message.bytes();
        if self.bytes > WAITING_BYTES_MAX {
            self.bytes -= message.bytes();
            return Err(Error::TooManyNotifications);
        }
        self.sent.insert(Arc::clone(&message));
        self.all.push(Said::Notify(message));
        Ok(())
    }

    pub(crate) fn listen(&mut self, listener: &Arc<Listener>, channel: &str) {
        self.all.push(Said::Listen(Arc::clone(listener), channel.into()));
    }

    pub(crate) fn unlisten(&mut self, listener: &Arc<Listener>, channel: Option<&str>) {
        self.all.push(Said::Unlisten(Arc::clone(listener), channel.map(Into::into)));
    }

    /// Takes back what was said after there was so much.
    pub(crate) fn truncate(&mut self, len: usize) {
        for said in self.all.drain(len..) {
            if let Said::Notify(message) = said {
                self.bytes -= message.bytes();
                self.sent.remove(&message);
            }
        }
    }
}

impl Hub {
    /// Commits a transaction that has said something; when it has committed, messages arrive.
    pub(crate) fn in_order<T>(&self, messages: Messages, commit: impl FnOnce() -> Result<T>) -> Result<T> {
        if messages.is_empty() {
            return commit();
        }
        // Those are dropped last: dropping a listener takes locks.
        let mut reached: Vec<Arc<Listener>> = Vec::new();
        let turn = self.turn.lock();
        self.check_room(&messages)?;
        let done = commit()?;
        for said in &messages.all {
            match said {
                Said::Listen(listener, channel) => self.listen(listener, channel),
                Said::Unlisten(listener, channel) => self.unlisten(listener, channel.as_ref()),
                Said::Notify(_) => {}
            }
        }
        let channels = self.channels.lock();
        for said in &messages.all {
            let Said::Notify(message) = said else { continue };
            for listener in channels.get(&message.channel).into_iter().flatten().filter_map(Weak::upgrade) {
                self.waiting_bytes.fetch_add(message.bytes(), Ordering::Relaxed);
                listener.waiting.lock().messages.push_back(Arc::clone(message));
                reached.push(listener);
            }
        }
        drop(channels);
        drop(turn);
        let mut woken = HashSet::new();
        for listener in &reached {
            if woken.insert(Arc::as_ptr(listener)) {
                listener.arrived.notify_all();
                if let Some(wake) = listener.wake.get() {
                    wake();
                }
            }
        }
        drop(messages);
        Ok(done)
    }

    fn check_room(&self, messages: &Messages) -> Result<()> {
        let channels = self.channels.lock();
        let more: usize = messages
            .sent
            .iter()
            .map(|message| message.bytes() * channels.get(&message.channel).map_or(0, Vec::len))
            .sum();
        let room = WAITING_BYTES_MAX.saturating_sub(self.waiting_bytes.load(Ordering::Relaxed));
        if more > room { Err(Error::TooManyNotifications) } else { Ok(()) }
    }

    fn listen(&self, listener: &Arc<Listener>, channel: &Arc<str>) {
        let mut channels = self.channels.lock();
        if listener.waiting.lock().channels.insert(Arc::clone(channel)) {
            channels.entry(Arc::clone(channel)).or_default().push(Arc::downgrade(listener));
        }
    }

    fn unlisten(&self, listener: &Arc<Listener>, channel: Option<&Arc<str>>) {
        let mut channels = self.channels.lock();
        let mut waiting = listener.waiting.lock();
        let left: Vec<Arc<str>> = match channel {
            Some(channel) => waiting.channels.take(channel).into_iter().collect(),
            None => std::mem::take(&mut waiting.channels).into_iter().collect(),
        };
        leave(&mut channels, &left, Arc::as_ptr(listener));
    }

    /// How full the room for messages is, from 0 to 1.
    pub(crate) fn usage(&self) -> f64 {
        self.waiting_bytes.load(Ordering::Relaxed) as f64 / WAITING_BYTES_MAX as f64
    }
}

/// Takes a listener out of those of channels.
fn leave(
    channels: &mut HashMap<Arc<str>, Vec<Weak<Listener>>>,
    left: &[Arc<str>],
    listener: *const Listener,
) {
    for channel in left {
        if let Some(listeners) = channels.get_mut(channel) {
            listeners.retain(|other| !std::ptr::eq(other.as_ptr(), listener));
            if listeners.is_empty() {
                channels.remove(channel);
            }
        }
    }
}

impl Listener {
    pub(crate) fn new(hub: &Arc<Hub>) -> Arc<Listener> {
        Arc::new(Listener {
            hub: Arc::clone(hub),
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            wake: OnceLock::new(),
        })
    }

    /// Has `wake` called when messages have arrived, by the thread that committed them. It should not wait. The first call
    /// counts.
    pub fn on_arrival(&self, wake: impl Fn() + Send + Sync + 'static) {
        // A second one is not wanted.
        let _ = self.wake.set(Box::new(wake));
    }

    /// The channels that it listens on, in their order.
    pub fn channels(&self) -> Vec<Arc<str>> {
        self.waiting.lock().channels.iter().cloned().collect()
    }

    /// Whether messages wait.
    pub fn has_messages(&self) -> bool {
        !self.waiting.lock().messages.is_empty()
    }

    /// The oldest message that waits.
    pub fn take(&self) -> Option<Arc<Notification>> {
        let message = self.waiting.lock().messages.pop_front()?;
        self.hub.waiting_bytes.fetch_sub(message.bytes(), Ordering::Relaxed);
        Some(message)
    }

    /// Waits until a message has arrived, but not longer than `timeout`; whether one has.
    pub fn wait(&self, timeout: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        self.arrived.wait_while_for(&mut waiting, |waiting| waiting.messages.is_empty(), timeout);
        !waiting.messages.is_empty()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let waiting = std::mem::take(self.waiting.get_mut());
        let bytes: usize = waiting.messages.iter().map(|message| message.bytes()).sum();
        self.hub.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if !waiting.channels.is_empty() {
            let left: Vec<Arc<str>> = waiting.channels.into_iter().collect();
            leave(&mut self.hub.channels.lock(), &left, self);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("channels", &self.channels()).finish_non_exhaustive()
    }
}
