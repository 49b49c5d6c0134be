//! LISTEN, UNLISTEN and NOTIFY. What they do, the engine does when the transaction commits.

use std::sync::Arc;

use cairn_engine::{Listener, Transaction};
use sqlparser::ast::{Ident, Statement};

use super::variables::fold;
use crate::context::Context;
use crate::functions::lock::pid;
use crate::results::StatementResult;
use crate::{Error, Result};

/// The longest name of a channel, in bytes; LISTEN and NOTIFY cut longer ones off, as PostgreSQL cuts off all names.
pub(crate) const CHANNEL_BYTES_MAX: usize = 63;
/// The longest payload, in bytes.
const PAYLOAD_BYTES_MAX: usize = 7999;

/// A message of another session, or of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// `pg_backend_pid()` of the session that sent it.
    pub process_id: i32,
    /// The channel that it was sent to.
    pub channel: Arc<str>,
    /// What it says; empty where nothing was given.
    pub payload: Arc<str>,
}

/// What is sent.
pub(crate) struct Sent<'a> {
    pub(crate) channel: &'a str,
    pub(crate) payload: &'a str,
}

/// Sends a message with a transaction.
///
/// # Errors
/// `22023` for a payload that is too long, `54000` where too much waits.
pub(crate) fn send(txn: &Transaction, sent: Sent<'_>) -> Result<()> {
    if sent.payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Error::new("22023", "payload string too long"));
    }
    Ok(txn.notify(sent.channel, sent.payload)?)
}

/// The name of a channel.
fn channel(ident: &Ident) -> String {
    let mut name = fold(ident);
    name.truncate(name.floor_char_boundary(CHANNEL_BYTES_MAX));
    name
}

/// The session's listener, made when it is first wanted.
fn listener(context: &Context) -> Arc<Listener> {
    let mut exchange = context.scope.exchange.lock();
    let arrivals = Arc::clone(&exchange.arrivals);
    let made = exchange.listener.get_or_insert_with(|| {
        let listener = context.scope.shared.database.listener();
        listener.on_arrival(move || arrivals.notify_one());
        listener
    });
    Arc::clone(made)
}

/// Runs one of the statements; `None` for others.
pub(super) fn run(context: &Context, statement: &Statement) -> Result<Option<StatementResult>> {
    let txn = context.txn();
    let tag = match statement {
        Statement::LISTEN { channel: name } => {
            txn.listen(&listener(context), &channel(name))?;
            "LISTEN"
        }
        Statement::UNLISTEN { channel: name } => {
            let all = name.quote_style.is_none() && name.value == "*";
            let name = if all { None } else { Some(channel(name)) };
            txn.unlisten(&listener(context), name.as_deref())?;
            "UNLISTEN"
        }
        Statement::NOTIFY { channel: name, payload } => {
            send(txn, Sent { channel: &channel(name), payload: payload.as_deref().unwrap_or("") })?;
            "NOTIFY"
        }
        _ => return Ok(None),
    };
    Ok(Some(StatementResult::command(tag)))
}

impl super::Session {
    /// The messages that have arrived on channels that this session listens on. None arrive within a transaction block.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        let state = self.state.lock();
        let Some(listener) = state.exchange.lock().listener.clone().filter(|_| state.block.is_none()) else {
            return Vec::new();
        };
        let all = std::iter::from_fn(|| listener.take());
        all.map(|message| Notification {
            process_id: pid(message.sender),
            channel: Arc::clone(&message.channel),
            payload: Arc::clone(&message.payload),
        })
        .collect()
    }

    /// Waits until a message has arrived, but not longer than `timeout`; whether one has.
    pub fn wait_for_notification(&mut self, timeout: std::time::Duration) -> bool {
        let listener = self.state.lock().exchange.lock().listener.clone();
        listener.is_some_and(|listener| listener.wait(timeout))
    }

    /// Ends when a message has arrived; never where the session listens on no channel. Dropping it loses nothing.
    pub fn notified(&self) -> impl Future<Output = ()> + Send + 'static {
        let state = self.state.lock();
        let exchange = state.exchange.lock();
        let (listener, arrivals) = (exchange.listener.clone(), Arc::clone(&exchange.arrivals));
        async move {
            match listener {
                Some(listener) => {
                    while !listener.has_messages() {
                        arrivals.notified().await;
                    }
                }
                None => std::future::pending().await,
            }
        }
    }
}

/// Ends listening at once: DISCARD ALL.
pub(super) fn discard(state: &super::State) {
    state.exchange.lock().listener = None;
}
