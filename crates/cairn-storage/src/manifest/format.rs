//! The bytes of a manifest: header, records, edits (`docs/format/manifest.md`).
//!
//! Guarantees: I1: decoding is total. I2: a record's checksum covers the manifest's number and the
//! record's offset, its length and its padding: bytes of another place are refused.

use crate::blob::format::{BlobMeta, BlobUse, encode_uses, read_uses};
use crate::fields::{BadField, Fields, u32_at};
use crate::key::{CommitSeq, SEQ_MAX};
use crate::sst::format::{FileId, Properties, Refused, checksum};

/// First eight bytes of a manifest.
pub(crate) const MAGIC: [u8; 8] = *b"CAIRNMAN";
/// The newest version read, and the one in which manifests are written; identity and `CURRENT` have 1.
pub(crate) const VERSION: u32 = 4;
/// Bytes of the header.
pub(crate) const HEADER: usize = 64;
/// Levels of the tree: 0 to 6.
pub(crate) const LEVELS: usize = 7;

const RECORD_HEADER: usize = 8;

/// A file of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileMeta {
    /// Its number.
    pub(crate) number: u64,
    /// Its length.
    pub(crate) file_len: u64,
    /// The hash that names its content.
    pub(crate) content_hash: u64,
    /// Its properties.
    pub(crate) properties: Properties,
    /// The blob files that its rows point to, by number.
    pub(crate) blobs: Vec<BlobUse>,
    /// When the newest memtable in it was flushed, in microseconds since 1970; 0 = not known.
    pub(crate) written_micros: u64,
    /// What is added to the sequences in the file: of an ingest, whose rows were written with sequence 0.
    /// `properties` has it added already.
    pub(crate) seq_shift: CommitSeq,
    /// In which directory it lies: 0 the database's own, 1 the second one (`places.rs`).
    pub(crate) place: u8,
}

impl FileMeta {
    /// Adds to the sequences of the file.
    pub(crate) fn shift_seq(&mut self, shift: CommitSeq) {
        self.seq_shift += shift;
        self.properties.min_seq += shift;
        self.properties.max_seq += shift;
    }

    /// The properties as they stand in the file.
    pub(crate) fn stored_properties(&self) -> Properties {
        let Properties { min_seq, max_seq, .. } = self.properties;
        let shift = self.seq_shift;
        Properties { min_seq: min_seq - shift, max_seq: max_seq - shift, ..self.properties.clone() }
    }

    /// Whether the file's range of keys holds `key`.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        &self.properties.smallest[..] <= key && !self.ends_before(key)
    }

    /// Whether every key of the file lies before `key`.
    pub(crate) fn ends_before(&self, key: &[u8]) -> bool {
        match self.properties.largest_excluded {
            true => &self.properties.largest[..] <= key,
            false => &self.properties.largest[..] < key,
        }
    }

    /// Whether the key ranges of two files have a key in common.
    pub(crate) fn overlaps(&self, other: &FileMeta) -> bool {
        !self.ends_before(&other.properties.smallest) && !other.ends_before(&self.properties.smallest)
    }
}

/// A change of the tree, or all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The edit is the whole state; what was before is void.
    pub(crate) snapshot: bool,
    /// Every file number below is used up.
    pub(crate) next_file: Option<u64>,
    /// Every commit up to this one is in the tree.
    pub(crate) last_seq: Option<CommitSeq>,
    /// The oldest log segment that is still needed.
    pub(crate) log_floor: Option<u64>,
    /// The epoch of the writer.
    pub(crate) epoch: Option<u64>,
    /// Files removed, by level and number.
    pub(crate) removed: Vec<(u8, u64)>,
    /// Files added, by level.
    pub(crate) added: Vec<(u8, FileMeta)>,
    /// The manifest was durable up to this offset when the edit was written.
    pub(crate) synced: u64,
    /// Every commit up to this one is durable, in the tree or in the log: a log that ends before it was
    /// damaged. Written by a clean close.
    pub(crate) durable_seq: Option<CommitSeq>,
    /// Blob files added.
    pub(crate) blobs_added: Vec<BlobMeta>,
    /// Blob files removed, by number.
    pub(crate) blobs_removed: Vec<u64>,
    /// What every commit from this one on saw is still there; older ones may have lost versions.
    pub(crate) kept_from: Option<CommitSeq>,
    /// Commits in the tree and when they were made, in microseconds since 1970; both ascend.
    pub(crate) times: Vec<(u64, CommitSeq)>,
}

impl Edit {
    /// Whether it changes nothing: it only tells how far the manifest was durable.
    pub(crate) fn is_note(&self) -> bool {
        *self == Edit { synced: self.synced, ..Edit::default() }
    }

    /// The payload of the edit's record.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut number = |tag: u8, value: Option<u64>| {
            if let Some(value) = value {
                out.push(tag);
                out.extend_from_slice(&value.to_le_bytes());
            }
        };
        number(7, Some(self.synced));
        number(1, self.next_file);
        number(2, self.last_seq);
        number(3, self.log_floor);
        number(4, self.epoch);
        number(9, self.durable_seq);
        number(14, self.kept_from);
        for (micros, seq) in &self.times {
            out.push(15);
            out.extend_from_slice(&micros.to_le_bytes());
            out.extend_from_slice(&seq.to_le_bytes());
        }
        if self.snapshot {
            out.push(8);
        }
        for (level, file) in &self.removed {
            out.extend_from_slice(&[6, *level]);
            out.extend_from_slice(&file.to_le_bytes());
        }
        for number in &self.blobs_removed {
            out.push(11);
            out.extend_from_slice(&number.to_le_bytes());
        }
        for blob in &self.blobs_added {
            out.push(10);
            for field in [blob.number, blob.file_len, blob.content_hash, blob.records] {
                out.extend_from_slice(&field.to_le_bytes());
            }
        }
        for (level, file) in &self.added {
            let plain = file.blobs.is_empty() && file.written_micros == 0 && file.seq_shift == 0;
            let tag = match file.place {
                0 if plain => 5,
                0 => 12,
                _ => 13,
            };
            out.extend_from_slice(&[tag, *level]);
            for field in [file.number, file.file_len, file.content_hash] {
                out.extend_from_slice(&field.to_le_bytes());
            }
            file.stored_properties().put(&mut out);
            if tag != 5 {
                out.extend_from_slice(&file.written_micros.to_le_bytes());
                out.extend_from_slice(&file.seq_shift.to_le_bytes());
                out.extend_from_slice(&encode_uses(&file.blobs));
            }
            if tag == 13 {
                out.push(file.place);
            }
        }
        out
    }

    /// Reads a payload.
    pub(crate) fn decode(payload: &[u8]) -> Result<Edit, BadField> {
        let mut fields = Fields::new(payload);
        let mut edit = Edit::default();
        let level = |fields: &mut Fields<'_>| match fields.u8("level")? {
            level if usize::from(level) < LEVELS => Ok(level),
            level => Err(BadField(format!("level {level} is not below {LEVELS}"))),
        };
        while !fields.is_at_end() {
            match fields.u8("tag")? {
                1 => edit.next_file = Some(fields.u64("next file")?),
                2 => edit.last_seq = Some(fields.u64("last sequence")?),
                3 => edit.log_floor = Some(fields.u64("log floor")?),
                4 => edit.epoch = Some(fields.u64("epoch")?),
                tag @ (5 | 12 | 13) => {
                    let level = level(&mut fields)?;
                    let mut file = FileMeta {
                        number: fields.u64("file number")?,
                        file_len: fields.u64("file length")?,
                        content_hash: fields.u64("content hash")?,
                        properties: Properties::read(&mut fields)?,
                        blobs: Vec::new(),
                        written_micros: 0,
                        seq_shift: 0,
                        place: 0,
                    };
                    if tag != 5 {
                        file.written_micros = fields.u64("time of the file")?;
                        let shift = fields.u64("sequence of the file")?;
                        if shift.max(file.properties.max_seq) > SEQ_MAX / 2 {
                            return Err(BadField(format!("the sequence {shift} of a file is impossible")));
                        }
                        file.shift_seq(shift);
                        file.blobs = read_uses(&mut fields)?;
                    }
                    if tag == 13 {
                        file.place = fields.u8("place of the file")?;
                        if file.place != 1 {
                            return Err(BadField(format!(
                                "expected the place 1 of a file, found {}",
                                file.place
                            )));
                        }
                    }
                    edit.added.push((level, file));
                }
                6 => edit.removed.push((level(&mut fields)?, fields.u64("file number")?)),
                7 => edit.synced = fields.u64("synced offset")?,
                8 => edit.snapshot = true,
                9 => edit.durable_seq = Some(fields.u64("durable sequence")?),
                10 => edit.blobs_added.push(BlobMeta {
                    number: fields.u64("blob file")?,
                    file_len: fields.u64("length of the blob file")?,
                    content_hash: fields.u64("content hash of the blob file")?,
                    records: fields.u64("records of the blob file")?,
                }),
                11 => edit.blobs_removed.push(fields.u64("blob file")?),
                14 => edit.kept_from = Some(fields.u64("sequence kept from")?),
                15 => {
                    let time = (fields.u64("time of a commit")?, fields.u64("commit of a time")?);
                    if edit.times.last().is_some_and(|last| time.0 < last.0 || time.1 <= last.1) {
                        return Err(BadField(format!(
                            "the commit {} is not newer than the one before",
                            time.1
                        )));
                    }
                    edit.times.push(time);
                }
                tag => return Err(BadField(format!("unknown edit tag {tag}"))),
            }
        }
        Ok(edit)
    }
}

/// The version in which a kind of file is written, and the newest one read.
fn version_of(magic: [u8; 8]) -> u32 {
    if magic == MAGIC { VERSION } else { 1 }
}

/// The header of manifest or identity-like file.
pub(crate) fn encode_header(magic: [u8; 8], id: FileId) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&magic);
    header.extend_from_slice(&version_of(magic).to_le_bytes());
    header.extend_from_slice(&0u32.to_le_bytes());
    header.extend_from_slice(&id.number.to_le_bytes());
    header.extend_from_slice(&id.database);
    header.resize(HEADER - 4, 0);
    let sum = checksum(id.number, 0, &header);
    header.extend_from_slice(&sum.to_le_bytes());
    header
}

/// Reads a header: the file number and the database id it names.
pub(crate) fn decode_header(bytes: &[u8], magic: [u8; 8]) -> Result<FileId, Refused> {
    if bytes.len() < HEADER {
        return Err(Refused::Damaged(format!("expected {HEADER} bytes of header, found {}", bytes.len())));
    }
    let header = &bytes[..HEADER];
    let mut fields = Fields::new(&header[..HEADER - 4]);
    if fields.take(8, "magic")? != magic {
        return Err(Refused::Damaged(format!("expected the magic {}", magic.escape_ascii())));
    }
    let version = fields.u32("version")?;
    fields.u32("flags")?;
    let number = fields.u64("number")?;
    let mut database = [0; 16];
    database.copy_from_slice(fields.take(16, "database id")?);
    if u32_at(header, HEADER - 4) != checksum(number, 0, &header[..HEADER - 4]) {
        return Err(Refused::Damaged("the checksum of the header does not match".into()));
    }
    if version > version_of(magic) {
        return Err(Refused::Newer(version));
    }
    Ok(FileId { number, database })
}

/// A record: length, checksum, payload, zeros up to a multiple of eight bytes.
pub(crate) fn encode_record(number: u64, offset: u64, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_HEADER + payload.len() + 8);
    record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    record.extend_from_slice(&[0; 4]);
    record.extend_from_slice(payload);
    record.resize(record.len().next_multiple_of(8), 0);
    let sum = record_checksum(number, offset, &record);
    record[4..8].copy_from_slice(&sum.to_le_bytes());
    record
}

fn record_checksum(number: u64, offset: u64, record: &[u8]) -> u32 {
    let sum = checksum(number, offset, &record[..4]);
    crc32c::crc32c_append(sum, &record[RECORD_HEADER..])
}

/// The record at `offset` of the whole manifest `bytes`: its edit and its end.
pub(crate) fn decode_record(number: u64, bytes: &[u8], offset: usize) -> Result<(Edit, usize), BadField> {
    let rest = &bytes[offset..];
    if rest.len() < RECORD_HEADER {
        return Err(BadField(format!("a record cannot have {} bytes", rest.len())));
    }
    let len = u32_at(rest, 0) as usize;
    let end = (RECORD_HEADER + len).next_multiple_of(8);
    if len == 0 || end > rest.len() {
        return Err(BadField(format!("a record of {len} bytes does not fit {}", rest.len())));
    }
    let (found, expected) = (u32_at(rest, 4), record_checksum(number, offset as u64, &rest[..end]));
    if found != expected {
        return Err(BadField(format!(
            "the checksum of the record is {found:#010x}, expected {expected:#010x}"
        )));
    }
    Ok((Edit::decode(&rest[RECORD_HEADER..RECORD_HEADER + len])?, offset + end))
}
