//! Planned faults: which file operation fails, how, and whether it goes on failing.

use std::io;

/// A way in which a file operation goes wrong. It hits only operations that can go wrong so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Disk full: writes, longer files, new names. Cutting a file works.
    Enospc,
    /// The device reports an error: any operation. A failed write has written an unknown part; a failed sync
    /// is as in [`Fault::FsyncFails`].
    Eio,
    /// No file descriptor left: opening, locking, listing, syncing a directory.
    Emfile,
    /// A write takes only part of the bytes, which is legal.
    ShortWrite,
    /// A read gives only part of the bytes, which is legal.
    ShortRead,
    /// A sync fails; what was unsynced of a file reached the disk or not, by seed, and its pages are marked
    /// clean, so that a later sync succeeds without writing them. Unsynced names go on waiting: they are in
    /// the file system's journal, not in pages of the cache.
    FsyncFails,
    /// A sync says yes and does nothing: for showing that a test has teeth.
    SyncLies,
    /// A read gives one wrong bit, once; the file is as it was.
    FlippedRead,
}

/// Whether a fault hits once or from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repeat {
    /// One operation fails.
    Once,
    /// That operation and every later one that the fault can hit.
    Sticky,
}

/// Kinds of file operations, as faults, counters and the trace see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Op {
    Open = 1,
    /// Opening that creates or cuts the file.
    Create,
    CreateDir,
    Rename,
    Remove,
    Link,
    SyncDir,
    List,
    Metadata,
    Lock,
    FreeBytes,
    Read,
    Write,
    Len,
    /// A longer file, or space reserved.
    Grow,
    /// A shorter file, or one of the same length.
    Cut,
    Sync,
}

impl Op {
    /// Whether it changes the file system or what of it is durable: a crash elsewhere is a crash before the
    /// next of these.
    pub(super) fn changes(self) -> bool {
        match self {
            Op::Create | Op::CreateDir | Op::Rename | Op::Remove | Op::Link | Op::SyncDir => true,
            Op::Lock | Op::Write | Op::Grow | Op::Cut | Op::Sync => true,
            Op::Open | Op::List | Op::Metadata | Op::FreeBytes | Op::Read | Op::Len => false,
        }
    }
}

impl Fault {
    pub(super) fn hits(self, op: Op) -> bool {
        match self {
            Fault::Enospc => {
                matches!(op, Op::Create | Op::CreateDir | Op::Rename | Op::Link | Op::Write | Op::Grow)
            }
            Fault::Eio => true,
            Fault::Emfile => matches!(op, Op::Open | Op::Create | Op::SyncDir | Op::List | Op::Lock),
            Fault::ShortWrite => op == Op::Write,
            Fault::ShortRead | Fault::FlippedRead => op == Op::Read,
            Fault::FsyncFails | Fault::SyncLies => matches!(op, Op::Sync | Op::SyncDir),
        }
    }

    pub(super) fn error(self) -> io::Error {
        match self {
            Fault::Enospc => io::Error::new(io::ErrorKind::StorageFull, "simulated full disk"),
            // As the system tells it: callers may close files and try again.
            Fault::Emfile => io::Error::from_raw_os_error(EMFILE),
            _ => io::Error::other("simulated i/o error"),
        }
    }
}

const EMFILE: i32 = 24;

/// A fault that waits for its operation.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) fault: Fault,
    pub(super) repeat: Repeat,
    /// Operations that it can hit until it does; 0 = it does.
    pub(super) left: u64,
    pub(super) hits: u64,
}

impl Plan {
    /// Whether the fault hits this operation.
    pub(super) fn strikes(&mut self, op: Op) -> bool {
        if !self.fault.hits(op) || (self.repeat == Repeat::Once && self.hits > 0) {
            return false;
        }
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return false;
        }
        self.hits += 1;
        true
    }
}
