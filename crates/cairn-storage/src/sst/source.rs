//! A file of blocks, read and checked: what lies under [`super::reader`], verification and repair.
//!
//! Guarantees: every extent that is given out was read whole and has the place, the checksum and the lengths
//! that it says; nothing is allocated beyond what the file can hold.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cairn_env::{Env, File, OpenMode};

use super::codec::DecodeError;
use super::format::{BlockKind, Extent, FileId, Footer, Handle, PAGE, Refused, decode_header, open_extent};
use crate::error::{Error, Result};

/// A thread keeps a buffer of at most this size for the next block.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

thread_local! {
    /// What was read of a file.
    static STORED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A file with its identity: reads checked extents.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: Arc<dyn File>,
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    pub(crate) len: u64,
}

impl Source {
    /// Opens the file and checks that its length is possible.
    pub(crate) fn open(env: &Env, path: &Path, id: FileId) -> Result<Source> {
        let file = env.files().open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
        Source::new(file, path, id)
    }

    /// A file that was opened; checks that its length is possible.
    pub(crate) fn new(file: Arc<dyn File>, path: &Path, id: FileId) -> Result<Source> {
        let len = file.len().map_err(|e| Error::io("read the length of", path, e))?;
        if len < 4 * PAGE as u64 || !len.is_multiple_of(PAGE as u64) {
            let what = format!("expected at least 4 whole pages of {PAGE} bytes, found {len} bytes");
            return Err(Error::corrupt(path, 0, what));
        }
        Ok(Source { file, path: path.to_path_buf(), id, len })
    }

    /// Reads bytes that must be there.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_into(offset, len, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads bytes that must be there in place of what `bytes` holds.
    fn read_into(&self, offset: u64, len: usize, bytes: &mut Vec<u8>) -> Result<()> {
        // Allocates at most what the file has: `len` comes from the file.
        if offset.saturating_add(len as u64) > self.len {
            let what = format!("expected {len} bytes, the file ends at {}", self.len);
            return Err(Error::corrupt(&self.path, offset, what));
        }
        bytes.resize(len, 0);
        self.file.read_exact_at(bytes, offset).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Error::corrupt(&self.path, offset, format!("expected {len} bytes, the file ends before"))
            }
            _ => Error::io("read", &self.path, e),
        })
    }

    /// Turns a refused page into an error.
    pub(crate) fn refuse(&self, offset: u64, refused: Refused) -> Error {
        match refused {
            Refused::Damaged(what) => Error::corrupt(&self.path, offset, what),
            Refused::Newer(found) => {
                Error::NewerFormat { path: self.path.clone(), found, supported: super::format::VERSION }
            }
        }
    }

    /// Checks the header page.
    pub(crate) fn check_header(&self) -> Result<()> {
        decode_header(&self.read(0, PAGE)?, self.id).map_err(|refused| self.refuse(0, refused))
    }

    /// Reads the footer page.
    pub(crate) fn footer(&self) -> Result<Footer> {
        let offset = self.len - PAGE as u64;
        Footer::decode(&self.read(offset, PAGE)?, self.id, self.len)
            .map_err(|refused| self.refuse(offset, refused))
    }

    /// Reads the body of an extent.
    pub(crate) fn extent(&self, handle: Handle, kind: BlockKind) -> Result<Bytes> {
        let bytes = self.read(handle.offset(), handle.len() as usize)?;
        let extent = self.open_extent(&bytes, handle, kind)?;
        if extent.compressed_from.is_some() {
            return self.unpack(&extent, handle);
        }
        let len = extent.body.len();
        let mut bytes = bytes;
        bytes.truncate(len);
        Ok(Bytes::from(bytes))
    }

    /// Checks an extent that was read.
    pub(crate) fn open_extent<'a>(
        &self,
        bytes: &'a [u8],
        handle: Handle,
        kind: BlockKind,
    ) -> Result<Extent<'a>> {
        let extent =
            open_extent(bytes, self.id.number, handle.offset()).map_err(|what| self.damaged(handle, what))?;
        if extent.kind != kind {
            return Err(self.damaged(handle, format!("expected a {kind:?} block, found {:?}", extent.kind)));
        }
        Ok(extent)
    }

    /// Runs `look` on an extent, which lies in a buffer that the thread uses again.
    pub(crate) fn with_extent<R>(
        &self,
        handle: Handle,
        kind: BlockKind,
        look: impl FnOnce(&Extent<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut bytes = STORED.take();
        let result = self
            .read_into(handle.offset(), handle.len() as usize, &mut bytes)
            .and_then(|()| look(&self.open_extent(&bytes, handle, kind)?));
        if bytes.capacity() <= SCRATCH_BYTES_MAX {
            STORED.set(bytes);
        }
        result
    }

    /// The body of an extent, decompressed.
    pub(crate) fn unpack(&self, extent: &Extent<'_>, handle: Handle) -> Result<Bytes> {
        let mut raw = vec![0; extent.raw_len()];
        self.unpack_into(extent, handle, &mut raw)?;
        Ok(Bytes::from(raw))
    }

    /// The body of an extent, decompressed to [`Extent::raw_len`] bytes.
    pub(crate) fn unpack_into(&self, extent: &Extent<'_>, handle: Handle, raw: &mut [u8]) -> Result<()> {
        match extent.compressed_from {
            Some((codec, _)) => {
                codec.decompress_into(extent.body, raw).map_err(|error| self.refuse_body(error, handle))
            }
            None => {
                raw.copy_from_slice(extent.body);
                Ok(())
            }
        }
    }

    #[cold]
    fn refuse_body(&self, error: DecodeError, handle: Handle) -> Error {
        match error {
            DecodeError::Damaged(what) => self.damaged(handle, what),
            DecodeError::Missing(what) => Error::NotBuiltIn { path: self.path.clone(), what },
        }
    }

    /// Damage in an extent.
    pub(crate) fn damaged(&self, handle: Handle, what: impl Into<String>) -> Error {
        Error::corrupt(&self.path, handle.offset(), what)
    }
}
