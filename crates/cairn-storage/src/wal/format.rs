//! The bytes of the write-ahead log; docs/format/wal.md is the specification.
//!
//! Guarantees: encoding is deterministic; decoding is total: any bytes give a record or a reason, never a
//! panic or an allocation from an unchecked length.

use crc32c::{crc32c, crc32c_append};

/// First bytes of a segment.
pub(crate) const MAGIC: [u8; 8] = *b"CAIRNWAL";
/// The version written, and the newest that is read.
pub(crate) const VERSION: u32 = 1;
/// Length of a segment's header.
pub(crate) const HEADER_BYTES: usize = 64;
/// Length of a record without effects.
pub(crate) const RECORD_BYTES: usize = 72;
/// Records begin at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// Length of an effect without its key and value.
pub(crate) const EFFECT_BYTES: usize = 9;

const KIND_COMMIT: u32 = 1;
const KIND_SEAL: u32 = 2;
const EFFECT_PUT: u8 = 1;
const EFFECT_DELETE: u8 = 2;
const EFFECT_DELETE_RANGE: u8 = 3;

/// Whose log it is; every checksum covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) database_id: [u8; 16],
    pub(crate) epoch: u64,
}

/// The first bytes of a segment, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) segment: u64,
    pub(crate) identity: Identity,
    /// The sequence of the segment's first commit.
    pub(crate) first_seq: u64,
}

/// What kind of record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A commit with its effects.
    Commit,
    /// The end of a segment: nothing behind it counts. Its sequence is that of the last commit.
    Seal,
}

/// A record without its effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: RecordKind,
    pub(crate) effects: u32,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) time: u64,
    pub(crate) txn_id: u64,
    pub(crate) client_token: u64,
    pub(crate) schema_version: u64,
    pub(crate) synced_offset: u64,
}

/// One resolved change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect<'a> {
    Put { key: &'a [u8], value: &'a [u8] },
    Delete { key: &'a [u8] },
    DeleteRange { start: &'a [u8], end: &'a [u8] },
}

/// Why bytes are no record (or no header), in words for `Error::Corrupt`.
pub(crate) type Reason = String;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[16..24].copy_from_slice(&self.segment.to_le_bytes());
        out[24..40].copy_from_slice(&self.identity.database_id);
        out[40..48].copy_from_slice(&self.identity.epoch.to_le_bytes());
        out[48..56].copy_from_slice(&self.first_seq.to_le_bytes());
        let sum = crc32c(&out[..60]);
        out[60..64].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Decodes and checks everything but the version, which is returned beside the header so that the
    /// caller can tell a newer format from damage.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(SegmentHeader, u32), Reason> {
        if bytes.len() < HEADER_BYTES {
            return Err(format!("a header of {HEADER_BYTES} bytes expected, the file has {}", bytes.len()));
        }
        if bytes[0..8] != MAGIC {
            return Err(format!("magic {MAGIC:?} expected, found {:?}", &bytes[0..8]));
        }
        let (sum, found) = (crc32c(&bytes[..60]), u32_at(bytes, 60));
        if sum != found {
            return Err(format!("header checksum {sum:08x} expected, found {found:08x}"));
        }
        let mut database_id = [0; 16];
        database_id.copy_from_slice(&bytes[24..40]);
        let header = SegmentHeader {
            segment: u64_at(bytes, 16),
            identity: Identity { database_id, epoch: u64_at(bytes, 40) },
            first_seq: u64_at(bytes, 48),
        };
        Ok((header, u32_at(bytes, 8)))
    }
}

/// The checksum of a record: over database, segment, offset, length, and the bytes behind the checksum.
pub(crate) fn checksum(identity: &Identity, segment: u64, offset: u64, len: u32, body: &[u8]) -> u32 {
    let mut place = [0; 36];
    place[0..16].copy_from_slice(&identity.database_id);
    place[16..24].copy_from_slice(&segment.to_le_bytes());
    place[24..32].copy_from_slice(&offset.to_le_bytes());
    place[32..36].copy_from_slice(&len.to_le_bytes());
    crc32c_append(crc32c(&place), body)
}

/// A record being built: room for the header, then effects. Empty it has no memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecordBuffer {
    bytes: Vec<u8>,
    effects: u32,
}

impl RecordBuffer {
    pub(crate) fn with_capacity(effect_bytes: usize) -> RecordBuffer {
        let mut bytes = Vec::with_capacity(RECORD_BYTES + effect_bytes + ALIGN);
        bytes.resize(RECORD_BYTES, 0);
        RecordBuffer { bytes, effects: 0 }
    }

    /// Adds an effect and tells where its key begins. Keys and values are below 4 GiB (the store's limits are far lower).
    pub(crate) fn push(&mut self, effect: Effect<'_>) -> usize {
        let (kind, key, value) = match effect {
            Effect::Put { key, value } => (EFFECT_PUT, key, value),
            Effect::Delete { key } => (EFFECT_DELETE, key, &b""[..]),
            Effect::DeleteRange { start, end } => (EFFECT_DELETE_RANGE, start, end),
        };
        self.append(kind, [b"", key], value)
    }

    /// As `push` of a put whose key comes in two parts.
    pub(crate) fn push_put(&mut self, key: [&[u8]; 2], value: &[u8]) -> usize {
        self.append(EFFECT_PUT, key, value)
    }

    #[inline]
    fn append(&mut self, kind: u8, key: [&[u8]; 2], value: &[u8]) -> usize {
        if self.bytes.is_empty() {
            self.bytes.resize(RECORD_BYTES, 0);
        }
        let mut head = [kind; EFFECT_BYTES];
        head[1..5].copy_from_slice(&((key[0].len() + key[1].len()) as u32).to_le_bytes());
        head[5..9].copy_from_slice(&(value.len() as u32).to_le_bytes());
        self.bytes.reserve(EFFECT_BYTES + key[0].len() + key[1].len() + value.len());
        self.bytes.extend_from_slice(&head);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key[0]);
        self.bytes.extend_from_slice(key[1]);
        self.bytes.extend_from_slice(value);
        self.effects += 1;
        start
    }

    /// What was pushed: a key, or the value behind it.
    pub(crate) fn slice(&self, start: usize, len: usize) -> &[u8] {
        &self.bytes[start..start + len]
    }

    /// Bytes of the effects.
    pub(crate) fn effect_bytes(&self) -> usize {
        self.bytes.len().saturating_sub(RECORD_BYTES)
    }

    /// Takes the effects away, and memory beyond `keep` bytes.
    pub(crate) fn clear(&mut self, keep: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(keep);
        self.effects = 0;
    }

    /// Number of effects.
    pub(crate) fn effects(&self) -> u32 {
        self.effects
    }

    /// The effects pushed so far.
    pub(crate) fn iter(&self) -> Effects<'_> {
        Effects::new(self.bytes.get(RECORD_BYTES..).unwrap_or(&[]), self.effects)
    }

    /// Length of the record once finished, padding included.
    pub(crate) fn padded_len(&self) -> usize {
        self.bytes.len().next_multiple_of(ALIGN)
    }

    /// Length of the record without padding.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes header and checksum for this place and returns the record, padded with zeros.
    pub(crate) fn finish(
        &mut self,
        header: &RecordHeader,
        identity: &Identity,
        segment: u64,
        offset: u64,
    ) -> &[u8] {
        let len = self.bytes.len();
        let out = &mut self.bytes;
        let kind = match header.kind {
            RecordKind::Commit => KIND_COMMIT,
            RecordKind::Seal => KIND_SEAL,
        };
        out[0..4].copy_from_slice(&(len as u32).to_le_bytes());
        out[8..12].copy_from_slice(&kind.to_le_bytes());
        out[12..16].copy_from_slice(&header.effects.to_le_bytes());
        let fields = [
            header.epoch,
            header.seq,
            header.time,
            header.txn_id,
            header.client_token,
            header.schema_version,
            header.synced_offset,
        ];
        for (field, place) in fields.iter().zip(out[16..RECORD_BYTES].chunks_exact_mut(8)) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let sum = checksum(identity, segment, offset, len as u32, &out[8..len]);
        out[4..8].copy_from_slice(&sum.to_le_bytes());
        out.resize(len.next_multiple_of(ALIGN), 0);
        &self.bytes
    }

    /// Takes the padding away again, so that `iter` and `finish` may be used once more.
    pub(crate) fn unfinish(&mut self, len: usize) {
        self.bytes.truncate(len);
    }
}

/// A record that was found whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) header: RecordHeader,
    effects: &'a [u8],
    /// Where the next record begins.
    pub(crate) next: u64,
}

impl<'a> Record<'a> {
    /// Decodes the record at `offset` of a segment's bytes.
    pub(crate) fn decode(
        bytes: &'a [u8],
        offset: u64,
        identity: &Identity,
        segment: u64,
    ) -> Result<Record<'a>, Reason> {
        let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or(&[]);
        if rest.len() < RECORD_BYTES {
            return Err(format!("a record expected, {} bytes are left", rest.len()));
        }
        let len = u32_at(rest, 0) as usize;
        if len < RECORD_BYTES || len > rest.len() {
            return Err(format!(
                "a record length from {RECORD_BYTES} to {} expected, found {len}",
                rest.len()
            ));
        }
        let (sum, found) = (checksum(identity, segment, offset, len as u32, &rest[8..len]), u32_at(rest, 4));
        if sum != found {
            return Err(format!("record checksum {sum:08x} expected, found {found:08x}"));
        }
        let kind = match u32_at(rest, 8) {
            KIND_COMMIT => RecordKind::Commit,
            KIND_SEAL => RecordKind::Seal,
            other => return Err(format!("record kind 1 or 2 expected, found {other}")),
        };
        let header = RecordHeader {
            kind,
            effects: u32_at(rest, 12),
            epoch: u64_at(rest, 16),
            seq: u64_at(rest, 24),
            time: u64_at(rest, 32),
            txn_id: u64_at(rest, 40),
            client_token: u64_at(rest, 48),
            schema_version: u64_at(rest, 56),
            synced_offset: u64_at(rest, 64),
        };
        let next = offset + len.next_multiple_of(ALIGN) as u64;
        Ok(Record { header, effects: &rest[RECORD_BYTES..len], next })
    }

    /// The effects; an item is an error where they are malformed in spite of the checksum.
    pub(crate) fn effects(&self) -> Effects<'a> {
        Effects::new(self.effects, self.header.effects)
    }
}

/// Whether a synced record may begin with these bytes: what can be told without its checksum. `damage` is
/// the place of a bad record before it that must have been synced if this record is real.
pub(crate) fn may_follow(rest: &[u8], offset: u64, damage: u64) -> bool {
    if rest.len() < RECORD_BYTES {
        return false;
    }
    let (len, kind, synced) = (u32_at(rest, 0) as usize, u32_at(rest, 8), u64_at(rest, 64));
    (RECORD_BYTES..=rest.len()).contains(&len)
        && (kind == KIND_COMMIT || kind == KIND_SEAL)
        && synced > damage
        && synced <= offset
}

/// Goes through the effects of a record.
#[derive(Debug, Clone)]
pub(crate) struct Effects<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Effects<'a> {
    fn new(rest: &'a [u8], left: u32) -> Effects<'a> {
        Effects { rest, left }
    }

    fn take(&mut self) -> Result<Effect<'a>, Reason> {
        let short = || "an effect reaches past the end of its record".to_string();
        let (head, rest) = self.rest.split_at_checked(EFFECT_BYTES).ok_or_else(short)?;
        let (key_len, value_len) = (u32_at(head, 1) as usize, u32_at(head, 5) as usize);
        let (key, rest) = rest.split_at_checked(key_len).ok_or_else(short)?;
        let (value, rest) = rest.split_at_checked(value_len).ok_or_else(short)?;
        self.rest = rest;
        match head[0] {
            EFFECT_PUT => Ok(Effect::Put { key, value }),
            EFFECT_DELETE => Ok(Effect::Delete { key }),
            EFFECT_DELETE_RANGE => Ok(Effect::DeleteRange { start: key, end: value }),
            other => Err(format!("effect kind 1, 2 or 3 expected, found {other}")),
        }
    }
}

impl<'a> Iterator for Effects<'a> {
    type Item = Result<Effect<'a>, Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            if self.rest.is_empty() {
                return None;
            }
            let extra = std::mem::take(&mut self.rest).len();
            return Some(Err(format!("{extra} bytes behind the last effect")));
        }
        self.left -= 1;
        let effect = self.take();
        if effect.is_err() {
            (self.left, self.rest) = (0, &[]);
        }
        Some(effect)
    }
}

/// The file name of a segment.
pub(crate) fn file_name(segment: u64) -> String {
    format!("{segment:06}.wal")
}

/// The segment that a file name means.
pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal")?;
    let well_formed = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed { digits.parse().ok() } else { None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { database_id: *b"0123456789abcdef", epoch: 1 };

    fn sample() -> (RecordBuffer, RecordHeader) {
        let mut record = RecordBuffer::with_capacity(0);
        record.push(Effect::Put { key: b"k", value: b"val" });
        record.push(Effect::Delete { key: b"d" });
        record.push(Effect::DeleteRange { start: b"a", end: b"b" });
        let header = RecordHeader {
            kind: RecordKind::Commit,
            effects: 3,
            epoch: 1,
            seq: 42,
            time: 0x0102_0304_0506_0708,
            txn_id: 9,
            client_token: 7,
            schema_version: 5,
            synced_offset: 64,
        };
        (record, header)
    }

    #[test]
    fn golden_bytes() {
        let (mut record, header) = sample();
        let bytes = record.finish(&header, &IDENTITY, 3, 64);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = concat!(
            "6a000000",
            "CHECKSUM",
            "01000000",
            "03000000",
            "0100000000000000",
            "2a00000000000000",
            "0807060504030201",
            "0900000000000000",
            "0700000000000000",
            "0500000000000000",
            "4000000000000000",
            "01",
            "01000000",
            "03000000",
            "6b",
            "76616c",
            "02",
            "01000000",
            "00000000",
            "64",
            "03",
            "01000000",
            "01000000",
            "61",
            "62",
            "000000000000",
        );
        let sum = &hex[8..16];
        assert_eq!(hex, expected.replace("CHECKSUM", sum));
        assert_eq!(sum, "6d312347");
        let header = SegmentHeader { segment: 3, identity: IDENTITY, first_seq: 42 }.encode();
        let hex: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            concat!(
                "434149524e57414c",
                "01000000",
                "00000000",
                "0300000000000000",
                "30313233343536373839616263646566",
                "0100000000000000",
                "2a00000000000000",
                "00000000",
                "847136e1"
            )
        );
    }

    #[test]
    fn round_trip_and_every_flipped_bit() {
        let (mut record, header) = sample();
        let mut bytes = vec![0; 64];
        bytes.extend_from_slice(record.finish(&header, &IDENTITY, 3, 64));
        let decoded = Record::decode(&bytes, 64, &IDENTITY, 3).unwrap();
        assert_eq!((decoded.header, decoded.next), (header, 64 + 112));
        let effects: Vec<_> = decoded.effects().map(|effect| effect.unwrap()).collect();
        assert_eq!(effects.len(), 3);
        assert_eq!(effects[2], Effect::DeleteRange { start: b"a", end: b"b" });
        assert!(Record::decode(&bytes, 64, &IDENTITY, 4).is_err());
        let other = Identity { database_id: [1; 16], epoch: 1 };
        assert!(Record::decode(&bytes, 64, &other, 3).is_err());
        let moved: Vec<u8> = [&[0; 8], &bytes[..]].concat();
        assert!(Record::decode(&moved, 72, &IDENTITY, 3).is_err());
        for bit in 64 * 8..(64 + 0x6a) * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&bytes, 64, &IDENTITY, 3).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let header = SegmentHeader { segment: 3, identity: IDENTITY, first_seq: 42 };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes).unwrap(), (header, VERSION));
        for bit in 0..HEADER_BYTES * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn file_names() {
        assert_eq!(file_name(7), "000007.wal");
        assert_eq!(parse_file_name("000007.wal"), Some(7));
        assert_eq!(parse_file_name("1234567.wal"), Some(1_234_567));
        assert_eq!(parse_file_name("7.wal"), None);
        assert_eq!(parse_file_name("00000x.wal"), None);
    }
}
