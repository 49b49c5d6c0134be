//! PostgreSQL's protocol, version 3: opening, simple and extended queries, COPY, cancelling.

mod connection;
mod copy;
mod extended;
mod message;
mod object_number;
mod opening;
mod reply;
mod rows;
mod scram;
mod simple;
mod wire;

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(any(test, fuzzing))]
pub(crate) use message::messages;
pub use scram::Verifier;

use crate::access::Peer;
use crate::server::Shared;

/// What a connection is made of.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Serves a connection to its end.
pub(crate) async fn serve(shared: Arc<Shared>, stream: impl Io + 'static, peer: Peer) {
    let mut wire = wire::Wire::new(Box::new(stream), message::OPENING_MAX, &shared.registry);
    let opened =
        tokio::time::timeout(shared.options.opening_time_max, opening::open(&shared, &mut wire, peer));
    // A client that goes away, or that does not come to the point, is told nothing.
    if let Ok(Ok(Some(session))) = opened.await {
        wire.limit(shared.options.message_bytes_max);
        let _ = connection::Connection::new(wire, session).run().await;
    }
}
