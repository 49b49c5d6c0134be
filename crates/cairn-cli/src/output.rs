//! Where results go: standard output, or the file that `\o` names.
//!
//! I1: what a statement prints is written through before the next statement is read (`flush`), so that a
//! program at the other end of a pipe can answer.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::Outcome;

/// Bytes collected before a write.
const BUFFER_BYTES: usize = 64 * 1024;

/// The place of results. Clones write to the same place.
#[derive(Clone)]
pub(crate) struct Output {
    to: Arc<Mutex<Box<dyn Write + Send>>>,
    terminal: bool,
    /// Whether the reader went away.
    broken: Arc<AtomicBool>,
}

impl Output {
    /// Standard output.
    pub(crate) fn stdout() -> Output {
        Output::new(RawStdout, io::stdout().is_terminal())
    }

    /// A file, emptied first.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(crate) fn file(path: &Path) -> Outcome<Output> {
        let file = File::create(path)
            .map_err(|e| anyhow::anyhow!("cannot create {}: {}", path.display(), reason(&e)))?;
        Ok(Output::new(file, false))
    }

    fn new(to: impl Write + Send + 'static, terminal: bool) -> Output {
        let buffered = BufWriter::with_capacity(BUFFER_BYTES, to);
        Output { to: Arc::new(Mutex::new(Box::new(buffered))), terminal, broken: Arc::default() }
    }

    /// Whether people read along.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether the reader went away: what failed then is no error.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn note<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            self.broken.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.note(self.to.lock().unwrap_or_else(PoisonError::into_inner).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.note(self.to.lock().unwrap_or_else(PoisonError::into_inner).flush())
    }
}

/// Standard output without the line buffer that `std` puts in front of it.
struct RawStdout;

impl Write for RawStdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The lock's own buffer is emptied at once: it is line-buffered, ours is in front of it.
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}

/// The system's words for an error, without `(os error 2)`, in lower case.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => text,
    }
}
