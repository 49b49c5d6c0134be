//! Values in blob files, for a repair: each row that points to one gets it back inline.
//!
//! - I1: a value counts whose record is sound in its place; a row whose value is not is left out, and listed.

use std::path::Path;
use std::sync::Arc;

use cairn_env::Env;
use parking_lot::Mutex;

use super::Loss;
use crate::blob::format::BlobMeta;
use crate::blob::{BlobFile, Blobs, blob_path};
use crate::cache::BlockCache;
use crate::error::{Error, Result};
use crate::handles::Handles;
use crate::key::{CommitSeq, Cursor, Kind};
use crate::manifest::identity::{FileName, parse_name};
use crate::options::Eviction;
use crate::range::KeyRange;
use crate::sst::format::FileId;

/// Blob files open at once.
const FILES_MAX: usize = 256;

/// The blob files of a damaged database, whatever the manifest says of them.
pub(super) fn blobs_in(env: &Env, dir: &Path, database: [u8; 16]) -> Result<Blobs> {
    let mut blobs = Blobs::new(dir);
    let cache = Arc::new(BlockCache::new(0, Eviction::default()));
    let handles = Handles::new(env, FILES_MAX, false);
    for name in env.files().list(dir).map_err(|e| Error::io("list", dir, e))? {
        let Some(FileName::Blob(number)) = parse_name(&name) else { continue };
        let path = blob_path(dir, number);
        let found = env.files().metadata(&path).map_err(|e| Error::io("look at", &path, e))?;
        // Each record tells by its checksum whether it is one.
        let meta = BlobMeta { number, file_len: found.len, content_hash: 0, records: 1 };
        blobs.insert(BlobFile::new(meta, dir, FileId { number, database }, env, &cache, &handles));
    }
    Ok(blobs)
}

/// The value that a row points to; `None`, and a loss, where it is damaged or gone (I1).
pub(super) fn value_of(
    blobs: &Blobs,
    key: &[u8],
    stored: &[u8],
    lost: &mut Vec<Loss>,
) -> Result<Option<bytes::Bytes>> {
    match blobs.get(stored) {
        Ok(value) => Ok(Some(value)),
        Err(Error::Corrupt { file, offset, what }) => {
            let what = format!("a long value: {what}");
            lost.push(Loss { file, offset, keys: KeyRange::key(key), commits: None, what });
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// Rows with their values inline; goes forward only.
pub(super) struct Inline {
    rows: Box<dyn Cursor>,
    blobs: Arc<Blobs>,
    value: Option<bytes::Bytes>,
    lost: Arc<Mutex<Vec<Loss>>>,
}

impl Inline {
    pub(super) fn new(rows: Box<dyn Cursor>, blobs: &Arc<Blobs>, lost: &Arc<Mutex<Vec<Loss>>>) -> Inline {
        Inline { rows, blobs: Arc::clone(blobs), value: None, lost: Arc::clone(lost) }
    }

    /// Reads the value of the row, or goes on to one whose value is there.
    fn settle(&mut self) -> Result<()> {
        self.value = None;
        while self.rows.valid() && self.rows.kind() == Kind::Blob {
            let mut lost = self.lost.lock();
            self.value = value_of(&self.blobs, self.rows.key(), self.rows.value(), &mut lost)?;
            drop(lost);
            if self.value.is_some() {
                return Ok(());
            }
            self.rows.next()?;
        }
        Ok(())
    }
}

impl Cursor for Inline {
    fn seek(&mut self, key: &[u8], seq: CommitSeq) -> Result<()> {
        self.rows.seek(key, seq)?;
        self.settle()
    }

    fn seek_last_before(&mut self, _key: Option<&[u8]>) -> Result<()> {
        Err(Error::InvalidArgument("the rows of a repair go forward only".to_string()))
    }

    fn next(&mut self) -> Result<()> {
        self.rows.next()?;
        self.settle()
    }

    fn prev(&mut self) -> Result<()> {
        self.seek_last_before(None)
    }

    fn valid(&self) -> bool {
        self.rows.valid()
    }

    fn key(&self) -> &[u8] {
        self.rows.key()
    }

    fn seq(&self) -> CommitSeq {
        self.rows.seq()
    }

    fn kind(&self) -> Kind {
        if self.value.is_some() { Kind::Put } else { self.rows.kind() }
    }

    fn value(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_else(|| self.rows.value())
    }
}
