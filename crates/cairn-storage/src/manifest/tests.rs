//! Manifests: round trips, golden bytes, torn tails, every flipped byte.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use bytes::Bytes;
use cairn_env::{Env, OpenMode};

use super::format::{Edit, FileMeta, decode_record, encode_header, encode_record};
use super::identity::{
    FileName, manifest_path, parse_name, read_current, read_identity, write_current, write_identity,
};
use super::log::{ManifestLog, State, replay};
use crate::blob::format::{BlobMeta, BlobUse};
use crate::error::Error;
use crate::sst::format::{FileId, Properties};

const ID: FileId = FileId { number: 3, database: *b"0123456789abcdef" };

fn file(number: u64) -> FileMeta {
    FileMeta {
        number,
        file_len: 4096 * number,
        content_hash: 77,
        properties: Properties {
            smallest: Bytes::from_static(b"a"),
            largest: Bytes::from_static(b"m"),
            largest_excluded: true,
            min_seq: 1,
            max_seq: 9,
            entries: 5,
            keys: 4,
            deletes: 1,
            range_tombstones: 1,
            raw_bytes: 500,
            data_blocks: 2,
        },
        blobs: Vec::new(),
        written_micros: 0,
        seq_shift: 0,
        place: 0,
    }
}

fn dir() -> &'static Path {
    Path::new("/db")
}

fn env_with_edits(edits: u64) -> (Env, ManifestLog, State) {
    let env = Env::memory();
    env.files().create_dir_all(dir()).unwrap();
    let mut state = State { next_file: 4, ..State::default() };
    let mut log = ManifestLog::create(&env, dir(), ID, &state).unwrap();
    for i in 0..edits {
        let edit = Edit {
            next_file: Some(10 + i),
            last_seq: Some(i),
            log_floor: (i % 2 == 0).then_some(i),
            added: vec![(0, file(9 + i))],
            removed: if i > 0 { vec![(0, 8 + i)] } else { vec![] },
            ..Edit::default()
        };
        log.append(&env, &edit).unwrap();
        state.apply(&edit).unwrap();
    }
    (env, log, state)
}

#[test]
fn edits_replay() {
    let (env, log, state) = env_with_edits(5);
    let replayed = replay(&env, dir(), ID).unwrap();
    assert_eq!((&replayed.state, replayed.end, replayed.torn), (&state, log.len(), false));
    let mut log = log;
    log.append(&env, &Edit { epoch: Some(8), durable_seq: Some(70), ..Edit::default() }).unwrap();
    let replayed = replay(&env, dir(), ID).unwrap();
    assert_eq!(replayed.state, State { epoch: 8, durable_seq: 70, ..state });
    let whole = replayed.state.to_edit();
    assert_eq!(Edit::decode(&whole.encode()), Ok(whole));
}

#[test]
fn blob_files_come_and_go_with_their_users() {
    let blob = BlobMeta { number: 7, file_len: 640, content_hash: 5, records: 3 };
    let user = FileMeta { blobs: vec![BlobUse { number: 7, bytes: 96 }], written_micros: 5, ..file(8) };
    let mut user = user;
    user.shift_seq(700);
    let mut state = State { next_file: 10, ..State::default() };
    let orphan = Edit { added: vec![(1, user.clone())], ..Edit::default() };
    assert!(state.clone().apply(&orphan).is_err(), "the blob file is not there");
    let edit = Edit { added: vec![(1, user)], blobs_added: vec![blob.clone()], ..Edit::default() };
    assert_eq!(Edit::decode(&edit.encode()), Ok(edit.clone()));
    state.apply(&edit).unwrap();
    assert_eq!(
        (state.unused_blobs(), Edit::decode(&state.to_edit().encode())),
        (vec![], Ok(state.to_edit()))
    );
    let gone = Edit { removed: vec![(1, 8)], ..Edit::default() };
    state.apply(&gone).unwrap();
    assert_eq!(state.unused_blobs(), [7]);
    let cleared = Edit { blobs_removed: vec![7], ..Edit::default() };
    assert_eq!(Edit::decode(&cleared.encode()), Ok(cleared.clone()));
    state.apply(&cleared).unwrap();
    assert!(state.blobs.is_empty() && state.apply(&cleared).is_err());
}

/// Which commits can still be read at, and when they were made: what is older than the first that is kept is forgotten.
#[test]
fn times_of_commits_are_kept_as_long_as_their_versions() {
    let mut state = State { next_file: 10, kept_from: Some(0), ..State::default() };
    let edit = Edit { kept_from: Some(4), times: vec![(50, 2), (50, 3), (70, 9)], ..Edit::default() };
    assert_eq!(Edit::decode(&edit.encode()), Ok(edit.clone()));
    state.apply(&edit).unwrap();
    assert_eq!((state.kept_from, &state.times[..]), (Some(4), &[(50, 3), (70, 9)][..]));
    assert_eq!(Edit::decode(&state.to_edit().encode()), Ok(state.to_edit()));
    // Neither goes back.
    let late = Edit { kept_from: Some(1), times: vec![(60, 8), (90, 12)], ..Edit::default() };
    state.apply(&late).unwrap();
    assert_eq!((state.kept_from, &state.times[..]), (Some(4), &[(50, 3), (70, 9), (90, 12)][..]));
    for times in [vec![(50, 3), (49, 4)], vec![(50, 3), (51, 3)]] {
        assert!(Edit::decode(&Edit { times, ..Edit::default() }.encode()).is_err());
    }
}

/// Manifests of older versions are read, and not gone on with; identity and `CURRENT` are still written in the first.
#[test]
fn older_versions_are_read() {
    let (env, log, state) = env_with_edits(2);
    drop(log);
    let path = manifest_path(dir(), 3);
    let file = env.files().open(&path, OpenMode::ReadWrite).unwrap();
    let mut header = vec![0; 60];
    file.read_exact_at(&mut header, 0).unwrap();
    assert_eq!(header[8], 4);
    assert!(replay(&env, dir(), ID).unwrap().is_durable);
    for version in [1, 2, 3] {
        header[8] = version;
        let sum = crate::sst::format::checksum(3, 0, &header);
        file.write_all_at(&[&header[..], &sum.to_le_bytes()].concat(), 0).unwrap();
        let replayed = replay(&env, dir(), ID).unwrap();
        assert_eq!((&replayed.state, replayed.is_durable), (&state, false));
    }
    assert_eq!(encode_header(*b"CAIRNCUR", ID)[8], 1);
}

#[test]
fn golden_record() {
    let edit = Edit { next_file: Some(10), added: vec![(2, file(9))], synced: 64, ..Edit::default() };
    let record = encode_record(3, 64, &edit.encode());
    assert_eq!(&record[8..26], b"\x07\x40\0\0\0\0\0\0\0\x01\x0a\0\0\0\0\0\0\0");
    assert_eq!((record.len(), xxhash_rust::xxh3::xxh3_64(&record)), (128, GOLDEN));
    let mut manifest = vec![0; 64];
    manifest.extend_from_slice(&record);
    assert_eq!(decode_record(3, &manifest, 64), Ok((edit, 192)));
}

const GOLDEN: u64 = 17_513_961_117_781_695_341;

#[test]
fn every_flipped_byte_is_found_or_harmless() {
    let (env, mut log, state) = env_with_edits(3);
    log.close().unwrap();
    let path = manifest_path(dir(), 3);
    let handle = env.files().open(&path, OpenMode::ReadWrite).unwrap();
    let len = handle.len().unwrap();
    let last_note = len - 24;
    for offset in 0..len {
        let mut byte = [0];
        handle.read_exact_at(&mut byte, offset).unwrap();
        handle.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
        match replay(&env, dir(), ID) {
            Err(Error::Corrupt { file, .. }) => assert_eq!(file, path),
            Ok(replayed) => {
                // Only the last note may be lost; it holds nothing.
                assert!(offset >= last_note && replayed.torn, "offset {offset}");
                assert_eq!(replayed.state, state);
            }
            Err(other) => panic!("offset {offset}: {other}"),
        }
        handle.write_all_at(&byte, offset).unwrap();
    }
}

#[test]
fn a_torn_tail_is_dropped_an_acknowledged_edit_is_not() {
    let (env, log, state) = env_with_edits(2);
    let path = manifest_path(dir(), 3);
    let handle = env.files().open(&path, OpenMode::ReadWrite).unwrap();
    let end = log.len();
    let record = encode_record(3, end, &Edit { synced: end, epoch: Some(5), ..Edit::default() }.encode());
    for len in 1..record.len() {
        handle.write_all_at(&record[..len], end).unwrap();
        let replayed = replay(&env, dir(), ID).unwrap();
        assert!(replayed.torn && replayed.state == state && replayed.end == end, "{len}");
    }
    handle.set_len(end).unwrap();
    // The note that followed the last edit says that the edit was durable.
    handle.write_all_at(&[0xff; 8], end - 24 - 16).unwrap();
    assert!(matches!(replay(&env, dir(), ID), Err(Error::Corrupt { .. })));
}

#[test]
fn identity_survives_the_loss_of_a_copy() {
    let env = Env::memory();
    env.files().create_dir_all(dir()).unwrap();
    write_identity(&env, dir(), ID.database).unwrap();
    let handle = env.files().open(&dir().join("CAIRN"), OpenMode::ReadWrite).unwrap();
    let len = handle.len().unwrap();
    for offset in 0..len {
        let mut byte = [0];
        handle.read_exact_at(&mut byte, offset).unwrap();
        handle.write_all_at(&[byte[0] ^ 1], offset).unwrap();
        let mut damage = Vec::new();
        assert_eq!(read_identity(&env, dir(), &mut damage).unwrap(), ID.database);
        assert!(!damage.is_empty(), "offset {offset}");
        handle.write_all_at(&byte, offset).unwrap();
    }
    let mut damage = Vec::new();
    assert_eq!(read_identity(&env, dir(), &mut damage).unwrap(), ID.database);
    assert!(damage.is_empty());
}

#[test]
fn current_names_the_manifest() {
    let env = Env::memory();
    env.files().create_dir_all(dir()).unwrap();
    write_current(&env, dir(), ID).unwrap();
    assert_eq!(read_current(&env, dir(), ID.database).unwrap(), ID);
    assert!(read_current(&env, dir(), [0; 16]).is_err());
    let handle = env.files().open(&dir().join("CURRENT"), OpenMode::ReadWrite).unwrap();
    for offset in 0..handle.len().unwrap() {
        let mut byte = [0];
        handle.read_exact_at(&mut byte, offset).unwrap();
        handle.write_all_at(&[byte[0] ^ 1], offset).unwrap();
        assert!(read_current(&env, dir(), ID.database).is_err(), "offset {offset}");
        handle.write_all_at(&byte, offset).unwrap();
    }
}

#[test]
fn names() {
    assert_eq!(parse_name("MANIFEST-000012"), Some(FileName::Manifest(12)));
    assert_eq!(parse_name("1000000.sst"), Some(FileName::Sst(1_000_000)));
    assert_eq!(parse_name("000007.wal"), Some(FileName::Wal(7)));
    for foreign in ["7.sst", "00000x.sst", "000007.sst.bak", "notes.txt", "MANIFEST-"] {
        assert_eq!(parse_name(foreign), None, "{foreign}");
    }
}
