//! Progress of long work, on standard error and only on a terminal.

use std::io::{self, IsTerminal, Read};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line that says how far the work is; nothing where standard error is no terminal.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Work over so many bytes.
    pub(crate) fn bytes(what: &str, total: u64) -> Progress {
        Progress::new(what, Some(total), "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
    }

    /// Work over so many rows.
    pub(crate) fn rows(what: &str, total: u64) -> Progress {
        Progress::new(what, Some(total), "{msg} {bar:30} {human_pos}/{human_len} rows {eta} left")
    }

    /// Work of unknown length.
    pub(crate) fn unknown(what: &str) -> Progress {
        Progress::new(what, None, "{msg} {elapsed}")
    }

    fn new(what: &str, total: Option<u64>, template: &str) -> Progress {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        if !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress { bar }
    }

    /// So much more is done.
    pub(crate) fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Counts what is read through it.
    pub(crate) fn reader<R: Read>(&self, inner: R) -> Counted<R> {
        Counted { inner, progress: self.clone() }
    }
}

/// A reader that tells its progress.
pub(crate) struct Counted<R> {
    inner: R,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.advance(count as u64);
        Ok(count)
    }
}
