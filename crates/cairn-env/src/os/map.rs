//! Files read through a mapping: a read copies from memory instead of asking the system.
//!
//! The only unsafe code of this crate: making the mapping. It is sound because
//! - I1: nobody writes to or cuts the file while it is mapped. Callers map only files that are finished and never
//!   change again ([`crate::FileSystem::open_mapped`] says so); this process does neither, and the database's lock
//!   keeps others of its kind away. Unlinking takes away the name only.
//! - I2: no reference into the mapping leaves this module, and each byte is read once: what `read_at` copied is the
//!   caller's own, whatever happens to the file afterwards.
//!
//! What breaks I1 from outside (another program cuts or overwrites the file): changed bytes are found by the
//! caller's checksums, as with any read; bytes behind a new, earlier end raise SIGBUS, which ends the process. So
//! does a disk that cannot read a page.
#![allow(unsafe_code)]

use std::fs;
use std::io;

use memmap2::{Advice as Os, Mmap};

use crate::files::{Advice, File};

/// A file and its mapping. Reads only.
#[derive(Debug)]
pub(crate) struct MappedFile {
    map: Mmap,
}

impl MappedFile {
    /// Maps the whole file; `None` where the system does not map it (an empty file, an odd file system).
    pub(crate) fn map(file: &fs::File) -> Option<MappedFile> {
        // SAFETY: I1 and I2.
        let map = unsafe { Mmap::map(file) }.ok()?;
        Some(MappedFile { map })
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the file was opened for reading")
}

impl File for MappedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let at = usize::try_from(offset).map_or(self.map.len(), |at| at.min(self.map.len()));
        let len = buf.len().min(self.map.len() - at);
        buf[..len].copy_from_slice(&self.map[at..at + len]);
        Ok(len)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(read_only())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.map.len() as u64)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn advise(&self, advice: Advice, offset: u64, len: u64) {
        let advice = match advice {
            Advice::Normal => Os::Normal,
            Advice::Random => Os::Random,
            Advice::Sequential => Os::Sequential,
            Advice::WillNeed => Os::WillNeed,
            // Of a mapping it would be an order, not a hint.
            Advice::DontNeed => return,
        };
        let size = self.map.len();
        let at = usize::try_from(offset).map_or(size, |at| at.min(size));
        let rest = size - at;
        let len = usize::try_from(len).map_or(rest, |len| if len == 0 { rest } else { len.min(rest) });
        // A hint: nothing is lost where the system takes none.
        let _ = self.map.advise_range(advice, at, len);
    }
}
