//! The bytes of a blob file: header, records (`docs/format/blob.md`); and the pointer that a row holds.
//!
//! Guarantees: I1: decoding is total. I2: a record's checksum covers the file's number and the record's
//! offset, so that bytes of another place are refused.

use bytes::Bytes;

use crate::fields::{BadField, Fields, u32_at, u64_at};
use crate::sst::codec::{Codec, DecodeError};
use crate::sst::format::{BLOCK_BYTES_MAX, checksum};

/// First eight bytes of a file.
pub(crate) const MAGIC: [u8; 8] = *b"CAIRNBLB";
/// Bytes of the header.
pub(crate) const HEADER: usize = crate::manifest::format::HEADER;
/// Bytes before the value in a record.
pub(crate) const RECORD_HEADER: usize = 16;
/// Bytes of a pointer.
pub(crate) const POINTER: usize = 32;

/// A blob file as the manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlobMeta {
    /// Its number.
    pub(crate) number: u64,
    /// Its length.
    pub(crate) file_len: u64,
    /// xxh3 of the checksums of all records in file order: names the content.
    pub(crate) content_hash: u64,
    /// Values in it.
    pub(crate) records: u64,
}

impl BlobMeta {
    /// Bytes of its records.
    pub(crate) fn record_bytes(&self) -> u64 {
        self.file_len.saturating_sub(HEADER as u64)
    }
}

/// How much an SST uses of a blob file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlobUse {
    /// The blob file.
    pub(crate) number: u64,
    /// Bytes of the records that rows of the SST point to.
    pub(crate) bytes: u64,
}

/// Uses with their number before them: in SSTs and in the manifest.
pub(crate) fn encode_uses(uses: &[BlobUse]) -> Vec<u8> {
    let mut out = (uses.len() as u32).to_le_bytes().to_vec();
    for one in uses {
        out.extend_from_slice(&one.number.to_le_bytes());
        out.extend_from_slice(&one.bytes.to_le_bytes());
    }
    out
}

/// Reads what [`encode_uses`] wrote.
pub(crate) fn read_uses(fields: &mut Fields<'_>) -> Result<Vec<BlobUse>, BadField> {
    let count = fields.u32("number of blob files")?;
    let mut uses: Vec<BlobUse> = Vec::new();
    for _ in 0..count {
        let one = BlobUse { number: fields.u64("blob file")?, bytes: fields.u64("bytes in use")? };
        if uses.last().is_some_and(|last| last.number >= one.number) {
            return Err(BadField("the blob files in use are not in order".into()));
        }
        uses.push(one);
    }
    Ok(uses)
}

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// The blob file.
    pub(crate) file: u64,
    /// Where the record begins.
    pub(crate) offset: u64,
    /// Length of the whole record.
    pub(crate) record_len: u32,
    /// Length of the value.
    pub(crate) value_len: u32,
    /// The number of the record in the file, from 0.
    pub(crate) index: u32,
}

impl Pointer {
    /// As a row's value.
    pub(crate) fn encode(&self) -> [u8; POINTER] {
        let mut out = [0; POINTER];
        out[..8].copy_from_slice(&self.file.to_le_bytes());
        out[8..16].copy_from_slice(&self.offset.to_le_bytes());
        out[16..20].copy_from_slice(&self.record_len.to_le_bytes());
        out[20..24].copy_from_slice(&self.value_len.to_le_bytes());
        out[24..28].copy_from_slice(&self.index.to_le_bytes());
        out
    }

    /// From a row's value; `None` where it is none.
    pub(crate) fn decode(stored: &[u8]) -> Option<Pointer> {
        let sound = stored.len() == POINTER && u32_at(stored, 28) == 0;
        let pointer = sound.then(|| Pointer {
            file: u64_at(stored, 0),
            offset: u64_at(stored, 8),
            record_len: u32_at(stored, 16),
            value_len: u32_at(stored, 20),
            index: u32_at(stored, 24),
        })?;
        (pointer.offset.is_multiple_of(8) && pointer.record_len as usize > RECORD_HEADER).then_some(pointer)
    }
}

/// Appends a record that begins at `offset`; its checksum.
pub(crate) fn encode_record(
    number: u64,
    offset: u64,
    stored: &[u8],
    (codec, value_len): (Option<Codec>, usize),
    out: &mut Vec<u8>,
) -> u32 {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    out.extend_from_slice(&(value_len as u32).to_le_bytes());
    out.extend_from_slice(&[codec.map_or(0, |codec| codec as u8), 0, 0, 0]);
    out.extend_from_slice(stored);
    out.resize(start + record_len(stored.len()), 0);
    let sum = checksum(number, offset, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&sum.to_le_bytes());
    sum
}

/// Length of a record with so many stored bytes.
pub(crate) fn record_len(stored: usize) -> usize {
    (RECORD_HEADER + stored).next_multiple_of(8)
}

/// A record that was checked.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Length of the whole record.
    pub(crate) len: usize,
    /// Length of the value.
    pub(crate) value_len: u32,
    /// The checksum, part of the content hash.
    pub(crate) sum: u32,
    /// How the value is compressed.
    pub(crate) codec: Option<Codec>,
    /// The value as it is stored.
    pub(crate) stored: &'a [u8],
}

impl Record<'_> {
    /// The value, decompressed.
    pub(crate) fn value(&self) -> Result<Bytes, DecodeError> {
        match self.codec {
            None => Ok(Bytes::copy_from_slice(self.stored)),
            Some(codec) => codec.decompress(self.stored, self.value_len as usize).map(Bytes::from),
        }
    }
}

/// Length of the record that these first bytes begin.
pub(crate) fn peek_len(bytes: &[u8]) -> Option<usize> {
    let stored = bytes.get(..RECORD_HEADER).map(|header| u32_at(header, 4) as usize)?;
    (stored > 0 && stored <= BLOCK_BYTES_MAX).then(|| record_len(stored))
}

/// Checks the record that begins with `bytes`, at `offset` of its file.
pub(crate) fn decode_record(number: u64, bytes: &[u8], offset: u64) -> Result<Record<'_>, String> {
    let len = peek_len(bytes).ok_or("the record has no possible length")?;
    let Some(record) = bytes.get(..len) else {
        return Err(format!("a record of {len} bytes does not fit {}", bytes.len()));
    };
    let (sum, expected) = (u32_at(record, 0), checksum(number, offset, &record[4..]));
    if sum != expected {
        return Err(format!("the checksum of the value is {sum:#010x}, expected {expected:#010x}"));
    }
    let (stored_len, value_len) = (u32_at(record, 4) as usize, u32_at(record, 8));
    let stored = &record[RECORD_HEADER..RECORD_HEADER + stored_len];
    let codec = match (record[12], Codec::from_number(record[12])) {
        (0, _) if stored_len == value_len as usize => None,
        (_, Some(codec))
            if codec.may_expand(stored_len, value_len as usize) && value_len as usize <= BLOCK_BYTES_MAX =>
        {
            Some(codec)
        }
        (other, _) => return Err(format!("compression {other} of {value_len} to {stored_len} bytes")),
    };
    let clean = record[13..16].iter().chain(&record[RECORD_HEADER + stored_len..]).all(|&byte| byte == 0);
    if !clean {
        return Err("expected zeros around the value".to_string());
    }
    Ok(Record { len, value_len, sum, codec, stored })
}
