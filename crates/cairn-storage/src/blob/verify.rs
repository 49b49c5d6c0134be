//! Reads every byte of a blob file: what it amounts to, and whether that is what the manifest says.
//!
//! Guarantees: header, every record (checksum, place, padding, decompression), their number, the length and
//! the content hash are covered. After a record that is not sound the walk ends: where the next one begins is
//! not known.

use std::path::Path;

use cairn_env::{Env, OpenMode};
use xxhash_rust::xxh3::Xxh3;

use super::format::{BlobMeta, HEADER, MAGIC, RECORD_HEADER, decode_record, peek_len};
use crate::error::{Error, Result};
use crate::manifest::format::decode_header;
use crate::manifest::identity::refuse;
use crate::sst::codec::DecodeError;
use crate::sst::format::FileId;

/// Checks a whole file against what the manifest says; its length as found.
pub(crate) fn verify_blob(env: &Env, path: &Path, id: FileId, meta: &BlobMeta) -> (u64, Result<()>) {
    let (found_len, walked) = walk_blob(env, path, id);
    let checked = walked.and_then(|found| match found == *meta {
        true => Ok(()),
        false => {
            let at = found.file_len.min(meta.file_len);
            Err(Error::corrupt(path, at, format!("expected {meta:?}, found {found:?}")))
        }
    });
    (found_len, checked)
}

/// Checks a whole file; its length, and what the manifest would have to say of it.
pub(crate) fn walk_blob(env: &Env, path: &Path, id: FileId) -> (u64, Result<BlobMeta>) {
    let mut found_len = 0;
    let result = (|| {
        let file = env.files().open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
        found_len = file.len().map_err(|e| Error::io("read the length of", path, e))?;
        let read = |offset: u64, len: usize| -> Result<Vec<u8>> {
            if offset.saturating_add(len as u64) > found_len {
                return Err(Error::corrupt(
                    path,
                    offset,
                    format!("expected {len} bytes, the file ends before"),
                ));
            }
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, offset).map_err(|e| Error::io("read", path, e))?;
            Ok(bytes)
        };
        let header = decode_header(&read(0, HEADER)?, MAGIC).map_err(|refused| refuse(path, 0, refused))?;
        if header != id {
            return Err(Error::corrupt(path, 16, format!("expected blob file {}", id.number)));
        }
        let (mut at, mut records, mut sums) = (HEADER as u64, 0, Xxh3::new());
        while at < found_len {
            let damaged = |what: String| Error::corrupt(path, at, what);
            let len = peek_len(&read(at, RECORD_HEADER)?)
                .ok_or_else(|| damaged("the record has no possible length".to_string()))?;
            let bytes = read(at, len)?;
            let record = decode_record(id.number, &bytes, at).map_err(damaged)?;
            match record.value() {
                Ok(_) => {}
                Err(DecodeError::Damaged(what)) => return Err(damaged(what)),
                Err(DecodeError::Missing(what)) => {
                    return Err(Error::NotBuiltIn { path: path.to_path_buf(), what });
                }
            }
            sums.update(&record.sum.to_le_bytes());
            records += 1;
            at += len as u64;
        }
        Ok(BlobMeta { number: id.number, file_len: found_len, content_hash: sums.digest(), records })
    })();
    (found_len, result)
}
