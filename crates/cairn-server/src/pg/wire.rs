//! The bytes of a connection: messages in, replies out.
//!
//! I1. Nothing is read while replies wait, so that a slow reader holds up itself and no one's memory.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::Io;
use super::message::{self, Message, Opening, Violation};
use super::reply::Replies;
use crate::registry::{Registry, Stage};
use crate::tls::common_name;

/// Replies that are sent without waiting for more.
const SEND_AT: usize = 32 << 10;
/// What is read at once: from a client that sends little, and from one that has filled that.
const READ: usize = 4 << 10;
const READ_MANY: usize = 64 << 10;
/// Capacity that an idle connection keeps.
const KEPT: usize = 8 << 10;

pub(crate) struct Wire {
    stream: Box<dyn Io>,
    input: BytesMut,
    /// Whether the last read took all there was room for.
    filled: bool,
    pub(crate) replies: Replies,
    message_bytes_max: usize,
    stages: watch::Receiver<Stage>,
    /// What the client's certificate calls it.
    certified: Option<String>,
}

/// What a client sent, or why nothing more comes.
#[derive(Debug)]
pub(crate) enum Received {
    Message(Message),
    /// It broke the protocol.
    Violation(Violation),
    /// It is gone.
    End,
    /// The server comes to its end.
    Stopping,
}

impl Wire {
    pub(crate) fn new(stream: Box<dyn Io>, message_bytes_max: usize, registry: &Arc<Registry>) -> Wire {
        Wire {
            stream,
            input: BytesMut::new(),
            filled: false,
            replies: Replies::default(),
            message_bytes_max,
            stages: registry.stages(),
            certified: None,
        }
    }

    /// Has messages be no longer than this.
    pub(crate) fn limit(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max;
    }

    /// Changes what the bytes go through.
    ///
    /// # Errors
    /// When bytes came before it was agreed upon: they would be taken for protected ones.
    pub(crate) async fn protect(&mut self, tls: &TlsAcceptor) -> io::Result<()> {
        self.flush().await?;
        if !self.input.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let stream = tls.accept(plain).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|all| all.first());
        self.certified = shown.and_then(|own| common_name(own));
        self.stream = Box::new(stream);
        Ok(())
    }

    /// The common name of the certificate that the client has shown, and that an authority has signed.
    pub(crate) fn certified(&self) -> Option<&str> {
        self.certified.as_deref()
    }

    async fn read(&mut self) -> io::Result<usize> {
        if self.input.is_empty() && self.input.capacity() > KEPT {
            self.input = BytesMut::new();
        }
        self.input.reserve(if self.filled { READ_MANY } else { READ });
        let room = self.input.capacity() - self.input.len();
        let read = self.stream.read_buf(&mut self.input).await?;
        self.filled = read == room;
        Ok(read)
    }

    /// Sends all replies.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if !self.replies.buffer.is_empty() {
            self.stream.write_all(&self.replies.buffer).await?;
            self.stream.flush().await?;
            self.replies.buffer.clear();
            if self.replies.buffer.capacity() > KEPT * 8 {
                self.replies.buffer = BytesMut::new();
            }
        }
        Ok(())
    }

    /// Sends replies where many wait.
    pub(crate) async fn flush_many(&mut self) -> io::Result<()> {
        if self.replies.buffer.len() >= SEND_AT { self.flush().await } else { Ok(()) }
    }

    /// The next opening packet; `None` at the end.
    pub(crate) async fn opening(&mut self) -> io::Result<Option<Result<Opening, Violation>>> {
        loop {
            match message::opening(&mut self.input) {
                Ok(Some(opening)) => return Ok(Some(Ok(opening))),
                Err(violation) => return Ok(Some(Err(violation))),
                Ok(None) => {}
            }
            self.flush().await?;
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next message, if it has come.
    pub(crate) fn buffered(&mut self) -> Option<Received> {
        match message::next(&mut self.input, self.message_bytes_max) {
            Ok(Some(message)) => Some(Received::Message(message)),
            Err(violation) => Some(Received::Violation(violation)),
            Ok(None) => None,
        }
    }

    /// The next message; replies are sent before it is waited for. With `idle` the wait ends with the server.
    ///
    /// Dropping the future loses nothing that was read, and nothing at all where no replies wait.
    pub(crate) async fn next(&mut self, idle: bool) -> io::Result<Received> {
        loop {
            if let Some(received) = self.buffered() {
                return Ok(received);
            }
            self.flush().await?;
            let stop_at = if idle { Stage::Closing } else { Stage::Ending };
            let mut stages = self.stages.clone();
            let read = tokio::select! {
                read = self.read() => read?,
                _ = stages.wait_for(|stage| *stage >= stop_at) => return Ok(Received::Stopping),
            };
            if read == 0 {
                return Ok(Received::End);
            }
        }
    }

    /// The type of the next message, waited for; `None` at the end.
    pub(crate) async fn peek(&mut self) -> io::Result<Option<u8>> {
        while self.input.is_empty() {
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
        Ok(self.input.first().copied())
    }
}
