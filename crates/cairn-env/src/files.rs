//! Files and directories as the database uses them: positioned reads and writes, explicit syncs.
//!
//! What an implementation promises, and nothing more:
//! - I1: bytes written are visible to every later read in this process, through any handle.
//! - I2: bytes survive a power cut only after [`File::sync_data`] (or `sync_all`) returned `Ok`.
//! - I3: a created, renamed, linked or removed name survives a power cut only after
//!   [`FileSystem::sync_dir`] of its directory returned `Ok`; this is independent of I2.
//! - I4: after a failed sync the unsynced bytes are in an unknown state, and a later successful sync says
//!   nothing about them.
//! - I5: a handle stays usable after its file was renamed or removed.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How [`FileSystem::open`] treats a file that is there or missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenMode {
    /// Reads only; the file must be there.
    Read,
    /// Reads and writes; the file must be there.
    ReadWrite,
    /// Reads and writes; created if missing, cut to length 0 if there.
    Create,
    /// Reads and writes; created, `AlreadyExists` if there.
    CreateNew,
}

impl OpenMode {
    /// Whether a file opened so can be written.
    pub fn writes(self) -> bool {
        self != OpenMode::Read
    }
}

/// A hint about coming accesses. Never changes results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Advice {
    /// No particular pattern.
    Normal,
    /// Reads at random places: read-ahead is wasted.
    Random,
    /// Reads from front to back: read-ahead helps.
    Sequential,
    /// The range will be read soon.
    WillNeed,
    /// The range will not be read soon: its cache may go.
    DontNeed,
}

/// What is known of a path without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Length in bytes; meaningless for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// A tree of directories and files. All calls block.
pub trait FileSystem: Send + Sync + Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` if the file (or its directory) is missing, `AlreadyExists` for [`OpenMode::CreateNew`],
    /// otherwise whatever the system reports.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading through a mapping of it, where the implementation has such; otherwise as
    /// [`OpenMode::Read`]. Reads give the same bytes and errors, without a system call each. Only for files that are
    /// finished: nobody may write to or cut one while it is open so. Where some other program cuts it all the same,
    /// or the disk cannot read a page, a read ends the process (SIGBUS).
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn open_mapped(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.open(path, OpenMode::Read)
    }

    /// How many files this process may have open at once; `None` where there is no such limit.
    fn open_files_max(&self) -> Option<u64> {
        None
    }

    /// Creates a directory and all missing parents. Fine if it is there.
    ///
    /// The new names are durable only after `sync_dir` of each parent that gained one.
    ///
    /// # Errors
    /// Whatever the system reports; `NotADirectory` or `AlreadyExists` if a file is in the way.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Renames a file or directory; an existing file at `to` is replaced atomically.
    ///
    /// # Errors
    /// `NotFound` if `from` or the directory of `to` is missing.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name of a file. Open handles stay usable.
    ///
    /// # Errors
    /// `NotFound` if the file is missing.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `NotFound` if missing, `DirectoryNotEmpty` if it holds anything.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Gives the file `from` a second name `to`.
    ///
    /// # Errors
    /// `NotFound` if `from` is missing, `AlreadyExists` if `to` is there; `Unsupported` or `CrossesDevices`
    /// where links are impossible (the caller then copies).
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// Whatever the system reports; see I4.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, sorted by bytes, without `.` and `..`. Names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// `NotFound` if missing.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Length and kind of what a path names.
    ///
    /// # Errors
    /// `NotFound` if missing.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Whether a path names anything.
    ///
    /// # Errors
    /// Whatever the system reports other than `NotFound`.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Takes the exclusive lock on a file, which is created if missing; `None` if another holder (of this
    /// or another process) has it. Released on drop and on the death of the process. Never waits.
    ///
    /// # Errors
    /// Whatever opening the file reports.
    fn lock_exclusive(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>>;

    /// Bytes that this process could still write on the file system that holds `path`.
    ///
    /// # Errors
    /// `NotFound` if the path is missing.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. Positioned access only: handles have no cursor and can be shared between threads.
pub trait File: Send + Sync + Debug {
    /// Reads into `buf` from `offset`; returns how many bytes, which may be fewer than asked for. 0 means the
    /// end of the file (or an empty `buf`).
    ///
    /// # Errors
    /// Whatever the system reports; `Interrupted` is to be retried.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes from `buf` at `offset`; returns how many bytes, which may be fewer than given. Extends the file;
    /// a gap reads as zeros.
    ///
    /// # Errors
    /// Whatever the system reports; `Interrupted` is to be retried; `StorageFull` on a full disk.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Fills `buf` from `offset`, looping over short and interrupted reads.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends first; otherwise that of [`File::read_at`].
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "file ended before the read did",
                    ));
                }
                Ok(n) => {
                    buf = &mut buf[n..];
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Writes all of `buf` at `offset`, looping over short and interrupted writes. After an error an unknown
    /// part was written.
    ///
    /// # Errors
    /// `WriteZero` if the system takes no byte; otherwise that of [`File::write_at`].
    fn write_all_at(&self, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write_at(buf, offset) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::WriteZero, "the system took no byte")),
                Ok(n) => {
                    buf = &buf[n..];
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// The file's length in bytes.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no byte.
    ///
    /// # Errors
    /// As [`File::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends the file; new bytes read as zeros.
    ///
    /// # Errors
    /// Whatever the system reports.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space for the first `len` bytes, so that writing there cannot find the disk full; extends the
    /// file with zeros if it is shorter, never cuts it. Where the file system cannot reserve, it only extends.
    ///
    /// # Errors
    /// `StorageFull` if the space is not there.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes data and length durable (fdatasync).
    ///
    /// # Errors
    /// After any error the unsynced bytes are lost or not, and it must not be retried (I4).
    fn sync_data(&self) -> io::Result<()>;

    /// Makes data, length and the file's other metadata durable (fsync).
    ///
    /// # Errors
    /// As [`File::sync_data`].
    fn sync_all(&self) -> io::Result<()>;

    /// A hint about coming reads of `len` bytes (0 = to the end) from `offset`. Never fails.
    fn advise(&self, advice: Advice, offset: u64, len: u64);
}

/// A held lock; released on drop.
pub trait FileLock: Send + Sync + Debug {}
