//! Reading the log back: every commit in order, and the judgement of where it ends.
//!
//! A bad record at P ends the log (a torn tail: it was never acknowledged as durable) only in the last
//! segment that holds a record, and only if no whole record behind it says that more than P had been synced
//! when it was written. Everything else is damage, and reported with file and offset.
//!
//! Invariants:
//! - I1: commits are handed out in sequence without gap, across segments too.
//! - I2: reading changes nothing, and nothing is ever written to a segment of an earlier run: after an
//!   unclean end recovery flushes what was read and moves the floor behind it. What a failed fsync left in
//!   the page cache only can be read, but a seal or a segment built on it would outlive it.

use std::path::{Path, PathBuf};

use cairn_env::{Env, File, OpenMode};

use crate::error::{Error, Result};

use super::format::{
    HEADER_BYTES, Identity, RECORD_BYTES, Record, RecordBuffer, RecordHeader, RecordKind, SegmentHeader,
    VERSION, may_follow, parse_file_name,
};

/// How far a segment reaches.
#[derive(Debug)]
enum End {
    /// A seal closes it.
    Sealed,
    /// It ends at `offset` without a seal.
    Open { offset: u64 },
    /// So does one that is not the last.
    Suspect(Error),
}

/// The log as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// The segments that count, ascending.
    pub(crate) segments: Vec<u64>,
    /// The sequence of the last commit, in the log or (if later) as given.
    pub(crate) last_seq: u64,
    /// The greatest hybrid time found.
    pub(crate) last_time: u64,
    /// The greatest transaction id found.
    pub(crate) last_txn_id: u64,
    /// The end of the last segment with records, if it is not sealed.
    pub(crate) open_tail: Option<Tail>,
    /// The last segment on disk, if it has no record: it does not count and is to be begun again.
    pub(crate) unborn: Option<u64>,
    /// Whether all that counts is sealed and at most one segment is behind it: as a clean close leaves it.
    pub(crate) is_sealed: bool,
}

/// The open end of the last segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

impl Log {
    /// Checks that the log reaches the commit that the manifest says is durable: where it ends before, its
    /// end is no torn tail but damage.
    pub(crate) fn check_reaches(&self, dir: &Path, floor: u64, durable_seq: u64) -> Result<()> {
        if self.last_seq >= durable_seq {
            return Ok(());
        }
        let (segment, offset) = match (self.unborn, self.open_tail) {
            (Some(segment), _) => (segment, 0),
            (None, Some(tail)) => (tail.segment, tail.offset),
            (None, None) => (self.segments.last().map_or(floor.max(1), |last| last + 1), 0),
        };
        let path = dir.join(super::format::file_name(segment));
        let what = format!("commits up to {durable_seq} expected, the log ends with {}", self.last_seq);
        Err(Error::corrupt(&path, offset, what))
    }
}

/// What is done with each commit: segment and record.
pub(crate) type Apply<'a> = dyn FnMut(u64, &Record<'_>) -> Result<()> + 'a;

/// The numbers of the segments in a directory, ascending.
pub(crate) fn list_segments(env: &Env, dir: &Path) -> Result<Vec<u64>> {
    let names = env.files().list(dir).map_err(|e| Error::io("list", dir, e))?;
    let mut segments: Vec<u64> = names.iter().filter_map(|name| parse_file_name(name)).collect();
    segments.sort_unstable();
    Ok(segments)
}

/// Reads the log from segment `floor` on, which must be there unless `floor` is 0. `flushed_seq` is the last
/// commit that the SSTs hold: the first commit of the log must not be later than the one after it.
pub(crate) fn read_log(
    env: &Env,
    dir: &Path,
    identity: &Identity,
    floor: u64,
    flushed_seq: u64,
    apply: &mut Apply<'_>,
) -> Result<Log> {
    let mut segments = list_segments(env, dir)?;
    segments.retain(|&segment| segment >= floor);
    let mut log = Log {
        segments: Vec::new(),
        last_seq: flushed_seq,
        last_time: 0,
        last_txn_id: 0,
        open_tail: None,
        unborn: None,
        is_sealed: true,
    };
    if floor > 0 && segments.first() != Some(&floor) {
        let path = dir.join(super::format::file_name(floor));
        return Err(Error::corrupt(&path, 0, "a log segment expected, the file is missing"));
    }
    // Segments without a record do not count: begun when the power went, or by a recovery that did not come
    // to its end. All but the last of them are from before that recovery.
    let mut last_counted = None;
    while let Some(&segment) = segments.last() {
        let reader = SegmentReader::open(env, dir, identity, segment)?;
        if !reader.holds_no_record() {
            last_counted = Some(reader);
            break;
        }
        log.is_sealed = log.unborn.is_none();
        log.unborn = log.unborn.or(Some(segment));
        segments.pop();
    }
    let mut expected: Option<u64> = None;
    // A segment that does not end as it should, though others follow: harmless where those go on with the very
    // next commit, for then only the seal is missing. A recovery that was killed may have left it in the page
    // cache, and the next have gone on.
    let mut suspect: Option<Error> = None;
    for &segment in &segments {
        let is_last = Some(&segment) == segments.last();
        let reader = match last_counted.take_if(|reader| reader.segment == segment) {
            Some(reader) => reader,
            None => SegmentReader::open(env, dir, identity, segment)?,
        };
        if expected.is_some_and(|seq| reader.header.as_ref().is_ok_and(|header| header.first_seq != seq))
            && let Some(suspect) = suspect.take()
        {
            return Err(suspect);
        }
        match reader.read(is_last, flushed_seq, &mut expected, &mut log, apply)? {
            End::Sealed => {}
            End::Open { offset } => {
                log.open_tail = Some(Tail { segment, offset });
                log.is_sealed = false;
            }
            End::Suspect(error) => suspect = Some(error),
        }
    }
    log.segments = segments;
    if let Some(next) = expected {
        log.last_seq = log.last_seq.max(next - 1);
    }
    Ok(log)
}

/// One segment in memory.
struct SegmentReader<'a> {
    path: PathBuf,
    identity: &'a Identity,
    segment: u64,
    bytes: Vec<u8>,
    header: Result<SegmentHeader, String>,
}

impl<'a> SegmentReader<'a> {
    fn open(env: &Env, dir: &Path, identity: &'a Identity, segment: u64) -> Result<SegmentReader<'a>> {
        let path = dir.join(super::format::file_name(segment));
        let file = env.files().open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        let bytes = read_whole(&*file, &path)?;
        let header = match SegmentHeader::decode(&bytes) {
            Ok((_, found)) if found > VERSION => {
                return Err(Error::NewerFormat { path, found, supported: VERSION });
            }
            Ok((header, VERSION)) => Ok(header),
            Ok((_, found)) => Err(format!("format version {VERSION} expected, found {found}")),
            Err(reason) => Err(reason),
        };
        Ok(SegmentReader { path, identity, segment, bytes, header })
    }

    /// Whether the segment has no record, and there is no sign that it had one.
    fn holds_no_record(&self) -> bool {
        let first = HEADER_BYTES as u64;
        Record::decode(&self.bytes, first, self.identity, self.segment).is_err()
            && self.synced_record_behind(if self.header.is_ok() { first } else { 0 }).is_none()
    }

    fn checked_header(&self) -> Result<SegmentHeader> {
        let header = match &self.header {
            Ok(header) => header,
            Err(reason) => return Err(Error::corrupt(&self.path, 0, reason.clone())),
        };
        let (own, found) = (self.identity, header.identity);
        if header.segment != self.segment {
            let what = format!("segment number {} expected, found {}", self.segment, header.segment);
            return Err(Error::corrupt(&self.path, 16, what));
        }
        if found.database_id != own.database_id {
            let what =
                format!("database id {:02x?} expected, found {:02x?}", own.database_id, found.database_id);
            return Err(Error::corrupt(&self.path, 24, what));
        }
        if found.epoch > own.epoch {
            let what = format!("an epoch up to {} expected, found {}", own.epoch, found.epoch);
            return Err(Error::corrupt(&self.path, 40, what));
        }
        Ok(*header)
    }

    fn read(
        &self,
        is_last: bool,
        flushed_seq: u64,
        expected: &mut Option<u64>,
        log: &mut Log,
        apply: &mut Apply<'_>,
    ) -> Result<End> {
        let header = self.checked_header()?;
        match *expected {
            Some(seq) if seq != header.first_seq => {
                let what = format!("first commit {seq} expected, found {}", header.first_seq);
                return Err(Error::corrupt(&self.path, 48, what));
            }
            None if header.first_seq > flushed_seq + 1 => {
                let what =
                    format!("a first commit up to {} expected, found {}", flushed_seq + 1, header.first_seq);
                return Err(Error::corrupt(&self.path, 48, what));
            }
            _ => *expected = Some(header.first_seq),
        }
        let mut next_seq = header.first_seq;
        let mut offset = HEADER_BYTES as u64;
        loop {
            let record = match Record::decode(&self.bytes, offset, self.identity, self.segment) {
                Ok(record) => record,
                Err(reason) if !is_last => {
                    return Ok(End::Suspect(Error::corrupt(&self.path, offset, reason)));
                }
                Err(reason) => {
                    self.judge_bad_record(offset, &reason)?;
                    return Ok(End::Open { offset });
                }
            };
            self.check_sequence(&record.header, offset, next_seq)?;
            if record.header.kind == RecordKind::Seal {
                return Ok(End::Sealed);
            }
            apply(self.segment, &record).map_err(|error| match error {
                // `apply` knows what is wrong with the effects, not where they stand.
                Error::Corrupt { what, .. } => Error::corrupt(&self.path, offset, what),
                other => other,
            })?;
            log.last_time = log.last_time.max(record.header.time);
            log.last_txn_id = log.last_txn_id.max(record.header.txn_id);
            next_seq += 1;
            *expected = Some(next_seq);
            offset = record.next;
        }
    }

    fn check_sequence(&self, header: &RecordHeader, offset: u64, next_seq: u64) -> Result<()> {
        let seq = match header.kind {
            RecordKind::Commit => next_seq,
            RecordKind::Seal => next_seq - 1,
        };
        if header.seq != seq {
            let what = format!("commit sequence {seq} expected, found {}", header.seq);
            return Err(Error::corrupt(&self.path, offset, what));
        }
        Ok(())
    }

    fn judge_bad_record(&self, offset: u64, reason: &str) -> Result<()> {
        match self.synced_record_behind(offset) {
            Some(at) => {
                Err(Error::corrupt(&self.path, offset, format!("{reason}; a synced record follows at {at}")))
            }
            None => Ok(()),
        }
    }

    /// A whole record behind `damage` that was written when `damage` had been synced.
    fn synced_record_behind(&self, damage: u64) -> Option<u64> {
        let first = (damage as usize + 1).next_multiple_of(super::format::ALIGN).max(HEADER_BYTES);
        (first..self.bytes.len().saturating_sub(RECORD_BYTES - 1)).step_by(super::format::ALIGN).find_map(
            |at| {
                let offset = at as u64;
                let whole = may_follow(&self.bytes[at..], offset, damage)
                    && Record::decode(&self.bytes, offset, self.identity, self.segment).is_ok();
                whole.then_some(offset)
            },
        )
    }
}

fn read_whole(file: &dyn File, path: &Path) -> Result<Vec<u8>> {
    let len = file.len().map_err(|e| Error::io("measure", path, e))?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0).map_err(|e| Error::io("read", path, e))?;
    Ok(bytes)
}

/// The bytes of a seal; all before `offset` must be durable.
pub(crate) fn seal(identity: &Identity, segment: u64, offset: u64, last_seq: u64) -> Vec<u8> {
    let header = RecordHeader {
        kind: RecordKind::Seal,
        effects: 0,
        epoch: identity.epoch,
        seq: last_seq,
        time: 0,
        txn_id: 0,
        client_token: 0,
        schema_version: 0,
        synced_offset: offset,
    };
    RecordBuffer::with_capacity(0).finish(&header, identity, segment, offset).to_vec()
}
