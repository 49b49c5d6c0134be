//! Writes blob files: values in the order of their keys, in one pass.
//!
//! Guarantees: [`BlobWriter::finish`] returns only after the file is synced (its name is durable after a sync
//! of the directory, the caller's duty); a writer that is dropped before that removes its file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_env::{Env, File, OpenMode};
use xxhash_rust::xxh3::Xxh3;

use super::format::{BlobMeta, MAGIC, Pointer, encode_record, record_len};
use crate::error::{Error, Result};
use crate::manifest::format::encode_header;
use crate::options::Compression;
use crate::sst::codec::Compressor;
use crate::sst::format::FileId;

/// Finished records are handed to the file in pieces of this size.
const WRITE_BYTES: usize = 1 << 20;

/// Writes one file.
pub(crate) struct BlobWriter {
    env: Env,
    file: Arc<dyn File>,
    path: PathBuf,
    id: FileId,
    compressor: Compressor,
    packed: Vec<u8>,
    buffer: Vec<u8>,
    written: u64,
    records: u64,
    sums: Xxh3,
    finished: bool,
}

impl BlobWriter {
    /// Creates the file.
    pub(crate) fn create(env: &Env, path: &Path, id: FileId, compression: Compression) -> Result<BlobWriter> {
        let file = env.files().open(path, OpenMode::CreateNew).map_err(|e| Error::io("create", path, e))?;
        Ok(BlobWriter {
            env: env.clone(),
            file,
            path: path.to_path_buf(),
            id,
            compressor: Compressor::new(compression),
            packed: Vec::new(),
            buffer: encode_header(MAGIC, id),
            written: 0,
            records: 0,
            sums: Xxh3::new(),
            finished: false,
        })
    }

    /// Length of the file so far.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Whether the numbers of its records are used up.
    pub(crate) fn is_full(&self) -> bool {
        self.records >= u64::from(u32::MAX)
    }

    /// Adds a value, which is not empty.
    pub(crate) fn add(&mut self, value: &[u8]) -> Result<Pointer> {
        let codec = self.compressor.compress(value, &mut self.packed);
        // Less than an eighth saved is not worth the time of every reader.
        let codec = codec.filter(|_| !self.packed.is_empty() && self.packed.len() < value.len() / 8 * 7);
        let stored = if codec.is_some() { &self.packed[..] } else { value };
        let pointer = Pointer {
            file: self.id.number,
            offset: self.len(),
            record_len: record_len(stored.len()) as u32,
            value_len: value.len() as u32,
            index: self.records as u32,
        };
        let facts = (codec, value.len());
        let sum = encode_record(self.id.number, pointer.offset, stored, facts, &mut self.buffer);
        self.sums.update(&sum.to_le_bytes());
        self.records += 1;
        if self.buffer.len() >= WRITE_BYTES {
            self.write_buffer()?;
        }
        Ok(pointer)
    }

    fn write_buffer(&mut self) -> Result<()> {
        self.file.write_all_at(&self.buffer, self.written).map_err(|e| Error::io("write", &self.path, e))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left, and syncs.
    pub(crate) fn finish(mut self) -> Result<BlobMeta> {
        self.write_buffer()?;
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))?;
        self.finished = true;
        Ok(BlobMeta {
            number: self.id.number,
            file_len: self.written,
            content_hash: self.sums.digest(),
            records: self.records,
        })
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.finished {
            // The file is in no manifest; if it cannot be removed now, the next open does it.
            let _ = self.env.files().remove_file(&self.path);
        }
    }
}
