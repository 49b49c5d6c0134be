//! COPY between a table and the client.
//!
//! The statement runs on a thread of the database and reads or writes a bounded queue; the session passes on what comes.

use std::io::{self, Read, Write};
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use cairndb::copy::{Begun, Format, Streams};
use cairndb::{Outcome, Result};
use tokio::sync::{mpsc, oneshot};

use super::connection::{Connection, Done, report};
use super::message::{Form, Message};
use super::reply::Report;
use super::wire::{Received, Wire};

/// Bytes of the client's messages that are passed on as one piece, where so many have come.
const GATHERED: usize = 64 << 10;
/// Pieces that wait between the client and the statement.
const QUEUED_MAX: usize = 4;
/// Bytes that the statement writes before they are passed on.
const PIECE: usize = 32 << 10;

/// What COPY FROM STDIN reads.
///
/// I1. It ends only where the client said so: whatever else ends it is an error, and stays one.
struct Input {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
    ended: bool,
}

/// A piece of what a client copies.
enum Piece {
    Data(Bytes),
    /// That was all.
    End,
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Data(piece)) => self.piece = piece,
                Some(Piece::End) => self.ended = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let count = out.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

/// What COPY TO STDOUT writes.
struct Output {
    pieces: mpsc::Sender<Vec<u8>>,
    piece: Vec<u8>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.piece);
        self.pieces.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// Cuts what COPY writes into rows: each is a message of its own, which drivers count on.
struct Rows {
    begun: Begun,
    kept: Vec<u8>,
    quoted: bool,
    escaped: bool,
    /// Whether the header of the binary format is still to come.
    has_header: bool,
}

impl Rows {
    /// Gives the rows that are whole with `bytes` to `row`.
    fn cut(&mut self, bytes: &[u8], mut row: impl FnMut(&[u8])) {
        match self.begun.format {
            Format::Parquet => return row(bytes),
            Format::Binary => return self.cut_binary(bytes, row),
            _ => {}
        }
        let (quote, escape) = self.begun.quote;
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if self.begun.format == Format::Csv {
                let escapes = self.quoted && *byte == escape && escape != quote && !self.escaped;
                if *byte == quote && !self.escaped {
                    self.quoted = !self.quoted;
                }
                self.escaped = escapes;
            }
            if *byte == b'\n' && !self.quoted {
                let end = at + 1;
                if self.kept.is_empty() {
                    row(&bytes[start..end]);
                } else {
                    self.kept.extend_from_slice(&bytes[start..end]);
                    row(&std::mem::take(&mut self.kept));
                }
                start = end;
            }
        }
        self.kept.extend_from_slice(&bytes[start..]);
    }

    /// The same for the binary format, whose header goes with the first row.
    fn cut_binary(&mut self, bytes: &[u8], mut row: impl FnMut(&[u8])) {
        self.kept.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(length) =
            binary_row(&self.kept[start..], if self.has_header { BINARY_HEADER } else { 0 })
        {
            row(&self.kept[start..start + length]);
            self.has_header = false;
            start += length;
        }
        self.kept.drain(..start);
    }
}

/// Bytes before the first row of the binary format.
const BINARY_HEADER: usize = 19;

/// How long the first row in `bytes` is, which begins at `at`; `None` where it is not whole, or the end.
fn binary_row(bytes: &[u8], at: usize) -> Option<usize> {
    let fields = i16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
    let mut at = at + 2;
    for _ in 0..u16::try_from(fields).ok()? {
        let length = i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        at += 4 + usize::try_from(length).unwrap_or(0);
    }
    (at <= bytes.len()).then_some(at)
}

impl Connection {
    /// Runs a COPY statement.
    pub(super) async fn copy(&mut self, sql: &str) -> Done {
        let (to_statement, pieces) = mpsc::channel(QUEUED_MAX);
        let (written, mut from_statement) = mpsc::channel(QUEUED_MAX);
        let (begin, begun) = oneshot::channel();
        let streams = Streams {
            input: Some(Box::new(Input { pieces, piece: Bytes::new(), ended: false })),
            output: Some(Box::new(Output { pieces: written, piece: Vec::new() })),
            begun: Some(Box::new(move |how| {
                // The receiver is gone only with the session.
                let _ = begin.send(how);
            })),
        };
        let (outcome, failed) = {
            let wire = &mut self.wire;
            let statement = self.session.copy_async(sql, streams);
            tokio::pin!(statement);
            let begun = tokio::select! {
                biased;
                begun = begun => begun.ok(),
                // It failed, or reads and writes files.
                outcome = &mut statement => return Self::copied(wire, outcome, None),
            };
            match begun {
                Some(begun) if begun.input => {
                    wire.replies.copy_in(form_of(&begun), begun.columns);
                    // Here, and not while the statement is waited for as well: it must not be cut off halfway.
                    wire.flush().await?;
                    feed(wire, statement, to_statement).await?
                }
                Some(begun) => {
                    wire.replies.copy_out(form_of(&begun), begun.columns);
                    (drain(wire, statement, &mut from_statement, begun).await?, None)
                }
                None => (statement.await, None),
            }
        };
        self.tell_notices();
        Self::copied(&mut self.wire, outcome, failed)
    }

    fn copied(wire: &mut Wire, outcome: Result<Outcome>, failed: Option<Report>) -> Done {
        match (outcome, failed) {
            (_, Some(failed)) => return Err(failed.into()),
            (Err(error), None) => return Err(report(&error).into()),
            (Ok(Outcome::Command { tag, .. }), None) => wire.replies.complete(&tag),
            (Ok(Outcome::Rows(rows)), None) => wire.replies.complete(&rows.tag()),
        }
        Ok(())
    }
}

fn form_of(begun: &Begun) -> Form {
    match begun.format {
        Format::Parquet | Format::Binary => Form::Binary,
        _ => Form::Text,
    }
}

/// Gives a statement what the client sends; what it came to, and what the client is to be told instead.
async fn feed(
    wire: &mut Wire,
    mut statement: Pin<&mut impl Future<Output = Result<Outcome>>>,
    queue: mpsc::Sender<Piece>,
) -> io::Result<(Result<Outcome>, Option<Report>)> {
    let mut gone = false;
    let mut ahead = None;
    let failed = loop {
        let received = match ahead.take() {
            Some(received) => received,
            None => tokio::select! {
                outcome = &mut statement => return Ok((outcome, None)),
                received = wire.next(false) => received?,
            },
        };
        let piece = match received {
            Received::Message(Message::CopyData(piece)) => Piece::Data(gather(wire, piece, &mut ahead)),
            Received::Message(Message::CopyDone) => Piece::End,
            // Drivers that send a series ahead.
            Received::Message(Message::Flush | Message::Sync) => continue,
            Received::Message(Message::CopyFail(why)) => {
                break Some(Report::error("57014", format!("COPY from stdin failed: {why}")));
            }
            Received::Message(_) => {
                break Some(Report::error("08P01", "unexpected message type during COPY from stdin"));
            }
            Received::Violation(violation) => {
                break Some(Report::error(violation.sqlstate(), violation.to_string()));
            }
            Received::End | Received::Stopping => {
                gone = true;
                break None;
            }
        };
        let ends = matches!(piece, Piece::End);
        tokio::select! {
            outcome = &mut statement => return Ok((outcome, None)),
            // A statement that does not read any more is about to end.
            _ = queue.send(piece) => {}
        }
        if ends {
            break None;
        }
    };
    drop(queue);
    let outcome = statement.await;
    if gone { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok((outcome, failed)) }
}

/// A piece, and those behind it that have come already: each row is a message of its own, and to hand it over costs more than
/// to read it. What follows that is none of them is left in `ahead`.
fn gather(wire: &mut Wire, first: Bytes, ahead: &mut Option<Received>) -> Bytes {
    let mut all = BytesMut::new();
    let mut piece = first;
    while all.len() + piece.len() < GATHERED {
        match wire.buffered() {
            Some(Received::Message(Message::CopyData(next))) => {
                all.extend_from_slice(&piece);
                piece = next;
            }
            other => {
                *ahead = other;
                break;
            }
        }
    }
    if all.is_empty() {
        return piece;
    }
    all.extend_from_slice(&piece);
    all.freeze()
}

/// Sends the client what a statement writes.
async fn drain(
    wire: &mut Wire,
    mut statement: Pin<&mut impl Future<Output = Result<Outcome>>>,
    queue: &mut mpsc::Receiver<Vec<u8>>,
    begun: Begun,
) -> io::Result<Result<Outcome>> {
    let mut rows = Rows { begun, kept: Vec::new(), quoted: false, escaped: false, has_header: true };
    let outcome = loop {
        tokio::select! {
            biased;
            Some(piece) = queue.recv() => {
                rows.cut(&piece, |row| wire.replies.copy_data(row));
                wire.flush_many().await?;
            }
            outcome = &mut statement => break outcome,
        }
    };
    while let Some(piece) = queue.recv().await {
        rows.cut(&piece, |row| wire.replies.copy_data(row));
        wire.flush_many().await?;
    }
    if outcome.is_ok() {
        if !rows.kept.is_empty() {
            wire.replies.copy_data(&rows.kept);
        }
        wire.replies.copy_done();
    }
    Ok(outcome)
}
