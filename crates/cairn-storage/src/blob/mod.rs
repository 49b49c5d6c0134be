//! Blob files: long values kept beside the SSTs, so that compaction moves a pointer and not the value.
//!
//! ```text
//! flush / compaction: value ─▶ blob file, pointer ─▶ SST;  both synced, then named in one manifest edit
//! read:               pointer ─▶ cache or one read of the record, checked
//! ```
//! Each SST says how many bytes it uses of which blob file; what no SST uses is garbage. Compaction moves the
//! values that it meets in a blob file with much garbage to a new one; a file that nothing uses is removed.
//!
//! Invariants:
//! - I1: a blob file is durable, its name included, before an edit names it; the edit that adds an SST adds
//!   the blob files that only it uses, and the edit that removes the last user removes the blob file.
//! - I2: a blob file is unlinked only when no version that a reader holds names it.
//! - I3: the bytes are specified in `docs/format/blob.md`; decoding is total.

pub(crate) mod format;
#[cfg(test)]
mod tests;
pub(crate) mod verify;
pub(crate) mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use cairn_env::{Env, File};
use parking_lot::RwLock;

use self::format::{BlobMeta, HEADER, Pointer, decode_record};
use crate::cache::{BlockCache, Content, Evictable, Piece, Pinned, Place, Shelf, Slot};
use crate::error::{Error, Result};
use crate::handles::{Handles, Holder};
use crate::sst::codec::DecodeError;
use crate::sst::format::FileId;

/// Values of one file that are cached at a time, at most.
const SLOTS_MAX: u64 = 4096;

/// The path of a blob file.
pub(crate) fn blob_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}.blob"))
}

/// Cached values, each with its offset: a value's place is its number modulo the number of places.
struct Values {
    slots: Box<[Slot<(u64, Bytes)>]>,
    _pinned: Pinned,
}

impl Content for (u64, Bytes) {}

impl Shelf for Values {
    fn slot(&self, at: u32) -> &dyn Evictable {
        &self.slots[at as usize]
    }
}

/// A blob file of the tree: opened when first read, unlinked when obsolete and unused (I2).
pub(crate) struct BlobFile {
    meta: BlobMeta,
    path: PathBuf,
    id: FileId,
    env: Env,
    cache: Arc<BlockCache>,
    handles: Arc<Handles>,
    file: RwLock<Option<Arc<dyn File>>>,
    used: AtomicBool,
    values: OnceLock<Arc<Values>>,
    obsolete: AtomicBool,
}

impl std::fmt::Debug for BlobFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobFile").field("meta", &self.meta).finish_non_exhaustive()
    }
}

impl BlobFile {
    /// A file that the manifest names.
    pub(crate) fn new(
        meta: BlobMeta,
        dir: &Path,
        id: FileId,
        env: &Env,
        cache: &Arc<BlockCache>,
        handles: &Arc<Handles>,
    ) -> Arc<BlobFile> {
        Arc::new(BlobFile {
            path: blob_path(dir, meta.number),
            meta,
            id,
            env: env.clone(),
            cache: Arc::clone(cache),
            handles: Arc::clone(handles),
            file: RwLock::new(None),
            used: AtomicBool::new(false),
            values: OnceLock::new(),
            obsolete: AtomicBool::new(false),
        })
    }

    /// What the manifest says of it.
    pub(crate) fn meta(&self) -> &BlobMeta {
        &self.meta
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file is to be unlinked when nothing uses it any more.
    pub(crate) fn mark_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    fn file(self: &Arc<Self>) -> Result<Arc<dyn File>> {
        if let Some(file) = &*self.file.read() {
            if !self.used.load(Ordering::Relaxed) {
                self.used.store(true, Ordering::Relaxed);
            }
            return Ok(Arc::clone(file));
        }
        let file = self.handles.open(&self.path)?;
        let mut place = self.file.write();
        if let Some(first) = &*place {
            return Ok(Arc::clone(first));
        }
        *place = Some(Arc::clone(&file));
        drop(place);
        let holder: Weak<BlobFile> = Arc::downgrade(self);
        self.handles.enter(holder);
        Ok(file)
    }

    /// Reads a value beside the cache.
    fn read(self: &Arc<Self>, pointer: &Pointer) -> Result<Bytes> {
        let damaged = |what: String| Error::corrupt(&self.path, pointer.offset, what);
        let end = pointer.offset.saturating_add(u64::from(pointer.record_len));
        if pointer.offset < HEADER as u64 || end > self.meta.file_len {
            return Err(damaged(format!("a pointer to {pointer:?} leaves the file")));
        }
        let mut record = vec![0; pointer.record_len as usize];
        self.file()?.read_exact_at(&mut record, pointer.offset).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged("the file ends before the value".to_string()),
            _ => Error::io("read", &self.path, e),
        })?;
        let found = decode_record(self.id.number, &record, pointer.offset).map_err(damaged)?;
        if found.value_len != pointer.value_len || found.len != record.len() {
            return Err(damaged(format!("expected {pointer:?}, found {} bytes", found.value_len)));
        }
        found.value().map_err(|error| match error {
            DecodeError::Damaged(what) => damaged(what),
            DecodeError::Missing(what) => Error::NotBuiltIn { path: self.path.clone(), what },
        })
    }

    /// A value, from the cache or the file.
    fn get(self: &Arc<Self>, pointer: &Pointer) -> Result<Bytes> {
        let places = self.values.get_or_init(|| {
            let slots = (0..self.meta.records.clamp(1, SLOTS_MAX)).map(|_| Slot::default());
            let slots: Box<[Slot<(u64, Bytes)>]> = slots.collect();
            let _pinned = Pinned::new(&self.cache, size_of_val(&*slots));
            Arc::new(Values { slots, _pinned })
        });
        let at = pointer.index as usize % places.slots.len();
        let load = || {
            let value = self.read(pointer)?;
            let bytes = value.len();
            Ok(((pointer.offset, value), bytes))
        };
        let place = || {
            let shelf: Weak<Values> = Arc::downgrade(places);
            let page = (pointer.offset / 8) as u32;
            Place { shelf, at: at as u32, piece: Piece::Blob, file: self.id.number, page }
        };
        let take = |(offset, value): &(u64, Bytes)| (*offset == pointer.offset).then(|| value.clone());
        match self.cache.with(&places.slots[at], (Piece::Blob, at), place, load, take)? {
            Some(value) => Ok(value),
            // Another value has the place.
            None => self.read(pointer),
        }
    }
}

impl Holder for BlobFile {
    fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn close(&self) {
        *self.file.write() = None;
    }
}

impl Drop for BlobFile {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Acquire) {
            // No manifest names the file; if it cannot be removed now, the next open does it.
            let _ = self.env.files().remove_file(&self.path);
        }
    }
}

/// The blob files of a version.
#[derive(Debug, Default, Clone)]
pub(crate) struct Blobs {
    files: BTreeMap<u64, Arc<BlobFile>>,
    dir: PathBuf,
}

impl Blobs {
    /// No files yet, in this directory.
    pub(crate) fn new(dir: &Path) -> Blobs {
        Blobs { files: BTreeMap::new(), dir: dir.to_path_buf() }
    }

    /// Adds a file.
    pub(crate) fn insert(&mut self, file: Arc<BlobFile>) {
        self.files.insert(file.meta.number, file);
    }

    /// Takes a file out.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Arc<BlobFile>> {
        self.files.remove(&number)
    }

    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<BlobFile>> {
        self.files.values()
    }

    fn find(&self, pointer: &Pointer) -> Result<&Arc<BlobFile>> {
        self.files.get(&pointer.file).ok_or_else(|| {
            Error::corrupt(
                &blob_path(&self.dir, pointer.file),
                pointer.offset,
                "the manifest has no such file",
            )
        })
    }

    fn pointer(&self, stored: &[u8]) -> Result<Pointer> {
        Pointer::decode(stored)
            .ok_or_else(|| Error::corrupt(&self.dir, 0, "a row points to no place in a blob file"))
    }

    /// The value behind a stored pointer.
    pub(crate) fn get(&self, stored: &[u8]) -> Result<Bytes> {
        let pointer = self.pointer(stored)?;
        self.find(&pointer)?.get(&pointer)
    }

    /// The value behind a pointer, read beside the cache: for compaction.
    pub(crate) fn read(&self, pointer: &Pointer) -> Result<Bytes> {
        self.find(pointer)?.read(pointer)
    }
}
