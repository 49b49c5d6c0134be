//! The log written, cut, damaged and read back.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cairn_env::sim::{Fault, Repeat, SimOptions, Simulation};
use cairn_env::{Env, OpenMode};

use super::format::file_name;
use super::upkeep::Upkeep;
use super::*;
use crate::error::{Error, Result};
use crate::options::Options;

const IDENTITY: Identity = Identity { database_id: [9; 16], epoch: 1 };

fn dir() -> &'static Path {
    Path::new("/log")
}

fn new_env() -> Env {
    let env = Env::memory();
    env.files().create_dir_all(dir()).unwrap();
    env
}

fn options() -> Options {
    Options { wal_segment_bytes: 4096, wal_allocate_bytes: 2048, ..Options::default() }
}

fn header(seq: u64) -> RecordHeader {
    RecordHeader {
        kind: RecordKind::Commit,
        effects: 1,
        epoch: 0,
        seq,
        time: seq * 10,
        txn_id: seq,
        client_token: 0,
        schema_version: 0,
        synced_offset: 0,
    }
}

/// Commits `seqs`, each with one put of `len` bytes, syncing every one.
fn write(log: &mut LogWriter, seqs: std::ops::RangeInclusive<u64>, len: usize) {
    for seq in seqs {
        let mut record = RecordBuffer::with_capacity(0);
        record.push(Effect::Put { key: &seq.to_be_bytes(), value: &vec![seq as u8; len] });
        log.prepare(record.padded_len(), || seq + 100).unwrap();
        log.stage(&mut record, header(seq)).unwrap();
        log.write().unwrap();
        let job = log.sync_job().unwrap();
        job.run().unwrap();
        log.note_synced(&job);
        log.accept_last_seq(seq);
    }
}

fn read(env: &Env) -> Result<(Vec<u64>, Log)> {
    let mut seqs = Vec::new();
    let log = read_log(env, dir(), &IDENTITY, 0, 0, &mut |_, record| {
        let effects: Vec<_> = record.effects().map(|effect| effect.unwrap()).collect();
        assert!(matches!(effects[0], Effect::Put { key, .. } if key == record.header.seq.to_be_bytes()));
        seqs.push(record.header.seq);
        Ok(())
    })?;
    Ok((seqs, log))
}

fn path_of(env: &Env, nth: usize) -> std::path::PathBuf {
    dir().join(file_name(list_segments(env, dir()).unwrap()[nth]))
}

fn flip(env: &Env, path: &Path, offset: u64) {
    let file = env.files().open(path, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
}

#[test]
fn segments_follow_each_other() {
    let env = new_env();
    let mut log = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), None, 0);
    write(&mut log, 1..=40, 300);
    let (seqs, found) = read(&env).unwrap();
    assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
    assert!(found.segments.len() >= 4 && found.open_tail.is_some());
    assert_eq!((found.last_seq, found.last_time, found.last_txn_id), (40, 400, 40));
    log.seal_segment(false).unwrap();
    let (seqs, found) = read(&env).unwrap();
    assert_eq!((seqs.len(), found.open_tail), (40, None));
    // A longer record than a segment makes a longer segment.
    write(&mut log, 41..=41, 10_000);
    write(&mut log, 42..=42, 100_000);
    write(&mut log, 43..=43, 1);
    assert_eq!(read(&env).unwrap().0.len(), 43);
}

#[test]
fn a_torn_tail_is_cut_and_damage_is_told() {
    let env = new_env();
    let mut log = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), None, 0);
    write(&mut log, 1..=3, 100);
    let path = path_of(&env, 0);
    let record = 72 + 9 + 8 + 100u64;
    let record = record.next_multiple_of(8);
    // The last record: nothing says it was synced.
    flip(&env, &path, 64 + 2 * record + 80);
    let (seqs, found) = read(&env).unwrap();
    assert_eq!(seqs, [1, 2]);
    assert_eq!(found.open_tail.map(|tail| tail.offset), Some(64 + 2 * record));
    // The one before: the last record says it was.
    flip(&env, &path, 64 + 2 * record + 80);
    flip(&env, &path, 64 + record + 80);
    let error = read(&env).unwrap_err();
    assert!(matches!(error, Error::Corrupt { offset, .. } if offset == 64 + record), "{error}");
    flip(&env, &path, 64 + record + 80);
    // Behind a seal even the last record is known to be durable.
    log.seal_segment(false).unwrap();
    flip(&env, &path, 64 + 2 * record + 80);
    assert!(matches!(read(&env), Err(Error::Corrupt { .. })));
}

#[test]
fn a_torn_tail_may_have_an_empty_segment_behind_it() {
    let env = new_env();
    let mut log = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), None, 0);
    write(&mut log, 1..=3, 100);
    let path = path_of(&env, 0);
    let record = (72 + 9 + 8 + 100u64).next_multiple_of(8);
    flip(&env, &path, 64 + 2 * record + 80);
    let mut next = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), Some(900), 3);
    next.ensure_segment(|| 0).unwrap();
    let (seqs, found) = read(&env).unwrap();
    assert_eq!((seqs, found.unborn), (vec![1, 2], Some(900)));
    assert_eq!(found.open_tail.map(|tail| tail.offset), Some(64 + 2 * record));
    // With a record behind it, it is damage.
    write(&mut next, 4..=4, 10);
    assert!(matches!(read(&env), Err(Error::Corrupt { .. })));
}

#[test]
fn damage_in_an_earlier_segment_is_told() {
    let env = new_env();
    let mut log = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), None, 0);
    write(&mut log, 1..=25, 300);
    let (first, second) = (path_of(&env, 0), path_of(&env, 1));
    let len = env.files().metadata(&first).unwrap().len;
    for offset in [0, 8, 16, 24, 40, 48, 60, 64, 100, len - 90] {
        flip(&env, &first, offset);
        assert!(matches!(read(&env), Err(Error::Corrupt { .. })), "offset {offset}");
        flip(&env, &first, offset);
    }
    // Without its seal nothing is missing: the next segment goes on with the very next commit.
    for offset in [len - 72, len - 1] {
        flip(&env, &first, offset);
        assert_eq!(read(&env).unwrap().0, (1..=25).collect::<Vec<_>>(), "offset {offset}");
        flip(&env, &first, offset);
    }
    // A missing segment is a gap.
    env.files().remove_file(&second).unwrap();
    assert!(matches!(read(&env), Err(Error::Corrupt { .. })));
}

#[test]
fn a_segment_without_header_is_unborn() {
    let env = new_env();
    let mut log = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), None, 0);
    write(&mut log, 1..=2, 10);
    log.seal_segment(false).unwrap();
    let file = env.files().open(&dir().join(file_name(900)), OpenMode::Create).unwrap();
    file.write_all_at(&[0; 100], 0).unwrap();
    let (seqs, found) = read(&env).unwrap();
    assert_eq!((seqs, found.unborn), (vec![1, 2], Some(900)));
    let mut log = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), found.unborn, 2);
    write(&mut log, 3..=3, 10);
    assert_eq!(read(&env).unwrap().1.segments, [101, 900]);
}

#[test]
fn segments_without_records_do_not_count() {
    let env = new_env();
    let mut log = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), None, 0);
    write(&mut log, 1..=2, 10);
    log.seal_segment(false).unwrap();
    // Begun, its only record lost; then one begun by a recovery that was cut short, for a commit that is lost.
    LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), Some(800), 2)
        .ensure_segment(|| 0)
        .unwrap();
    assert!(read(&env).unwrap().1.is_sealed);
    LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), Some(900), 3)
        .ensure_segment(|| 0)
        .unwrap();
    let (seqs, found) = read(&env).unwrap();
    assert_eq!((seqs, found.unborn, found.is_sealed), (vec![1, 2], Some(900), false));
}

#[test]
fn pending_records_keep_their_places() {
    let env = new_env();
    let mut log = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), None, 0);
    let mut record = RecordBuffer::with_capacity(0);
    record.push(Effect::Put { key: &1u64.to_be_bytes(), value: b"pending" });
    log.prepare(record.padded_len(), || 1).unwrap();
    log.stage(&mut record, header(1)).unwrap();
    log.keep_pending();
    log.accept_last_seq(1);
    // A record is staged and taken back again.
    let mut undone = RecordBuffer::with_capacity(0);
    undone.push(Effect::Put { key: &2u64.to_be_bytes(), value: b"undone" });
    log.stage(&mut undone, header(2)).unwrap();
    log.undo().unwrap();
    assert_eq!(read(&env).unwrap().0, Vec::<u64>::new());
    write(&mut log, 2..=3, 50);
    assert_eq!(read(&env).unwrap().0, [1, 2, 3]);
}

/// A log whose first segments are sealed, kept and written again: the numbers of all of them.
fn recycled(env: &Env, len: usize, commits: u64) -> (LogWriter, Vec<u64>) {
    let mut log = LogWriter::new(env, dir(), IDENTITY, &options(), Upkeep::new(1, &[]), None, 0);
    let mut numbers = Vec::new();
    for seq in 1..=commits {
        write(&mut log, seq..=seq, len);
        let current = log.current().unwrap();
        if numbers.last() != Some(&current) {
            numbers.push(current);
            log.upkeep().note_floor(current);
            let unneeded = list_segments(env, dir()).unwrap().into_iter().filter(|&old| old < current);
            for old in unneeded.filter(|&old| !log.upkeep().keep(old)) {
                env.files().remove_file(&dir().join(file_name(old))).unwrap();
            }
        }
    }
    (log, numbers)
}

fn read_from(env: &Env, floor: u64, flushed: u64) -> Result<(Vec<u64>, Log)> {
    let mut seqs = Vec::new();
    let log = read_log(env, dir(), &IDENTITY, floor, flushed, &mut |_, record| {
        seqs.push(record.header.seq);
        Ok(())
    })?;
    Ok((seqs, log))
}

/// Whatever is cut from or lost of a recycled segment: what was in the file before is never read as new, and
/// never taken for a sign that something new is missing.
#[test]
fn old_records_in_a_recycled_segment_are_not_read() {
    let env = new_env();
    let record = (72 + 9 + 8 + 100u64).next_multiple_of(8);
    let (log, numbers) = recycled(&env, 100, 70);
    assert!(numbers.len() >= 4 && log.meter().recycled.load(std::sync::atomic::Ordering::Relaxed) >= 2);
    let current = *numbers.last().unwrap();
    let first = current - 100;
    let path = dir().join(file_name(current));
    let file = env.files().open(&path, OpenMode::ReadWrite).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let live = 64 + (70 - first + 1) * record;
    // What is behind the last record would be a record, were it not for the segment's number.
    let behind = &bytes[live as usize..];
    let len = u32::from_le_bytes(behind[..4].try_into().unwrap());
    assert_eq!(u64::from(len).next_multiple_of(8), record, "an old record lies in its place");
    let old = numbers[numbers.len() - 3..]
        .iter()
        .any(|&number| super::format::Record::decode(&bytes, live, &IDENTITY, number).is_ok());
    assert!(old, "the bytes behind the end are those of an old record");
    let (seqs, found) = read_from(&env, current, first - 1).unwrap();
    assert_eq!(seqs, (first..=70).collect::<Vec<_>>());
    assert_eq!(found.open_tail.map(|tail| tail.offset), Some(live));
    // The last record is lost in any way, in whole sectors' worth or by a bit: then it is the one before.
    for at in (live - record..live).step_by(8) {
        flip(&env, &path, at);
        let (seqs, found) = read_from(&env, current, first - 1).unwrap();
        assert_eq!(seqs.last().copied().unwrap_or(first - 1), 69, "damage at {at}");
        assert!(found.open_tail.is_some() || found.unborn.is_some());
        flip(&env, &path, at);
    }
}

/// The rename is on the disk and the header is not, or in part: the segment counts as absent.
#[test]
fn a_renamed_segment_without_its_header_is_unborn() {
    let env = new_env();
    let (mut log, numbers) = recycled(&env, 100, 40);
    log.seal_segment(true).unwrap();
    let floor = *numbers.last().unwrap();
    let spare = list_segments(&env, dir()).unwrap()[0];
    assert!(spare < floor);
    env.files().rename(&dir().join(file_name(spare)), &dir().join(file_name(900))).unwrap();
    let first = floor - 100;
    for torn in [0, 8, 16, 20, 48, 60] {
        let header =
            super::format::SegmentHeader { segment: 900, identity: IDENTITY, first_seq: 41 }.encode();
        let file = env.files().open(&dir().join(file_name(900)), OpenMode::ReadWrite).unwrap();
        file.write_all_at(&header[..torn], 0).unwrap();
        let (seqs, found) = read_from(&env, floor, first - 1).unwrap();
        assert_eq!((seqs.last(), found.unborn), (Some(&40), Some(900)), "{torn} bytes of the header");
    }
    // A spare one under its old name, below the floor, does not count either, with whatever header.
    env.files().rename(&dir().join(file_name(900)), &dir().join(file_name(spare))).unwrap();
    assert_eq!(read_from(&env, floor, first - 1).unwrap().0.last(), Some(&40));
}

#[test]
fn a_record_is_whole_after_a_failed_direct_write() {
    let simulation = Simulation::new(SimOptions::new(1));
    let env = simulation.env();
    env.files().create_dir_all(dir()).unwrap();
    let mut log = LogWriter::new(&env, dir(), IDENTITY, &options(), Upkeep::new(0, &[]), None, 0);
    let mut record = RecordBuffer::with_capacity(0);
    // With padding behind it.
    record.push(Effect::Put { key: b"key", value: &vec![7; 70_003] });
    let len = record.padded_len();
    log.prepare(len, || 1).unwrap();
    for failing in [true, false] {
        if failing {
            simulation.fail_nth(1, Fault::Enospc, Repeat::Sticky);
        }
        assert_eq!(log.stage(&mut record, header(1)).is_err(), failing);
        simulation.clear_faults();
        assert_eq!(record.iter().filter(|effect| effect.is_ok()).count(), 1);
        assert_eq!((record.iter().count(), record.padded_len()), (1, len));
        log.undo().unwrap();
    }
}
