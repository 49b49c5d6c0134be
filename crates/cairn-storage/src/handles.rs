//! The open files of a store, SSTs and blob files: how they are opened for reading, and how many are at once.
//!
//! Guarantees: at most so many are kept open; the longest unused are closed first (second chance). A file that
//! somebody reads at the moment stays open until that is over. Where the process or the system has no handle left,
//! half of them are closed and the file is opened once more.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use cairn_env::{Env, File, OpenMode};
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// Files kept open where the process may have few.
const FILES_MIN: usize = 8;

/// What keeps a file open.
pub(crate) trait Holder: Send + Sync {
    /// Whether it was used since this was asked last.
    fn take_used(&self) -> bool;

    /// Closes the file; it is opened again when it is read.
    fn close(&self);
}

/// See the module.
pub(crate) struct Handles {
    env: Env,
    mapped: bool,
    files_max: usize,
    open: Mutex<VecDeque<Weak<dyn Holder>>>,
    closed: AtomicBool,
}

impl std::fmt::Debug for Handles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handles").field("files_max", &self.files_max).finish_non_exhaustive()
    }
}

impl Handles {
    /// Keeps at most `files_max` files open, and never more than half of what the process may; `mapped` reads them
    /// through mappings.
    pub(crate) fn new(env: &Env, files_max: usize, mapped: bool) -> Arc<Handles> {
        let half = env.files().open_files_max().map_or(usize::MAX, |max| (max / 2) as usize);
        let files_max = files_max.min(half).max(FILES_MIN);
        Arc::new(Handles {
            env: env.clone(),
            mapped,
            files_max,
            open: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Opens a finished file for reading. Not entered yet: see [`Handles::enter`].
    ///
    /// # Errors
    /// `Corrupt` where the file is missing, but `Closed` once the store was closed; otherwise `Io`, with EMFILE and
    /// ENFILE only when they come a second time.
    pub(crate) fn open(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.try_open(path).map_err(|e| self.refuse("open", path, e))
    }

    /// The error of an operation that met a file which should be there.
    pub(crate) fn refuse(&self, operation: &'static str, path: &Path, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::NotFound if self.closed.load(Ordering::Acquire) => Error::Closed,
            io::ErrorKind::NotFound => Error::corrupt(path, 0, "expected the file, found none"),
            _ => Error::io(operation, path, error),
        }
    }

    /// The store was closed: its files may be another's by now, which removes them at will.
    pub(crate) fn note_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    fn try_open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let files = self.env.files();
        let open = || if self.mapped { files.open_mapped(path) } else { files.open(path, OpenMode::Read) };
        match open() {
            Err(error) if is_out_of_handles(&error) => {
                self.make_room();
                open()
            }
            other => other,
        }
    }

    /// Enters a holder that has opened its file, and closes others where there are too many.
    pub(crate) fn enter(&self, holder: Weak<dyn Holder>) {
        let mut open = self.open.lock();
        open.push_back(holder);
        shrink(&mut open, self.files_max);
    }

    /// Closes half of the files.
    pub(crate) fn make_room(&self) {
        let mut open = self.open.lock();
        let keep = open.len() / 2;
        shrink(&mut open, keep);
    }

    /// Files in the list of the open ones.
    pub(crate) fn count(&self) -> u64 {
        self.open.lock().len() as u64
    }
}

fn shrink(open: &mut VecDeque<Weak<dyn Holder>>, keep: usize) {
    let mut chances = open.len();
    while open.len() > keep {
        let Some(oldest) = open.pop_front() else { return };
        let Some(holder) = oldest.upgrade() else { continue };
        if chances > 0 && holder.take_used() {
            chances -= 1;
            open.push_back(oldest);
        } else {
            holder.close();
        }
    }
}

fn is_out_of_handles(error: &io::Error) -> bool {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// Whether an operation failed for want of a handle.
pub(crate) fn lacks_handles(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if is_out_of_handles(source))
}
