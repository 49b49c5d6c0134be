//! Values in blob files, through the whole store: space comes back, snapshots keep what they see, copies are
//! whole, damage is found and hurts nothing else. Crashes are the business of the crash test, which draws
//! the options of blob files too.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cairn_env::{Env, OpenMode};
use cairn_storage::{Direction, Error, KeyRange, Options, Store, WriteBatch};

const KEYS: u64 = 120;

fn key(number: u64) -> Vec<u8> {
    format!("key{number:05}").into_bytes()
}

/// A value that does not compress, of `round`.
fn value(number: u64, round: u64) -> Vec<u8> {
    let mut state = number << 32 | round << 8 | 1;
    let mut out = Vec::new();
    while out.len() < 5_000 + number as usize {
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ number;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out
}

fn options() -> Options {
    let mut options = Options::default();
    options.blob_bytes_min = 1_000;
    options.blob_file_bytes = 100_000;
    options.memtable_bytes = 1 << 20;
    options.level1_bytes = 64 << 10;
    options.target_file_bytes = 16 << 10;
    options.background = false;
    options
}

fn put_all(store: &Store, round: u64) {
    for number in 0..KEYS {
        let mut batch = WriteBatch::new();
        batch.put(&key(number), &value(number, round)).unwrap();
        batch.put(&[&key(number)[..], b"/short"].concat(), b"inline").unwrap();
        store.write(batch, None).unwrap();
    }
    store.flush().unwrap();
}

fn check(store: &Store, round: u64) {
    for number in 0..KEYS {
        assert_eq!(store.get(&key(number)).unwrap().unwrap(), value(number, round));
    }
    for direction in [Direction::Forward, Direction::Reverse] {
        let mut scan = store.snapshot().scan(KeyRange::all(), direction);
        let mut long = 0;
        while let Some((_, value)) = scan.next().unwrap() {
            long += u64::from(value.len() > 1_000);
        }
        assert_eq!(long, KEYS);
    }
}

#[test]
fn space_comes_back_without_being_asked() {
    let env = Env::memory();
    let store = Store::open(&env, "/db".as_ref(), options()).unwrap();
    put_all(&store, 0);
    let before = store.snapshot();
    for round in 1..12 {
        put_all(&store, round);
        check(&store, round);
    }
    // What the snapshot sees is there still.
    for number in 0..KEYS {
        assert_eq!(before.get(&key(number)).unwrap().unwrap(), value(number, 0));
    }
    drop(before);
    let live: u64 = (0..KEYS).map(|number| value(number, 0).len() as u64).sum();
    store.compact(KeyRange::all()).unwrap();
    let blobs = store.stats().tree.blobs;
    assert!(blobs.files > 3 && blobs.bytes >= live, "values are in blob files: {blobs:?}");
    assert!(blobs.bytes < live * 14 / 10, "garbage goes: {blobs:?}, live {live}");
    check(&store, 11);
    assert!(store.verify().unwrap().is_sound());
    let copy = Path::new("/copy");
    store.checkpoint(copy).unwrap();
    let mut batch = WriteBatch::new();
    batch.delete_range(b"", b"z").unwrap();
    store.write(batch, None).unwrap();
    store.compact(KeyRange::all()).unwrap();
    assert_eq!(store.stats().tree.blobs.files, 0);
    store.close().unwrap();
    let names = env.files().list("/db".as_ref()).unwrap();
    assert!(!names.iter().any(|name| name.ends_with(".blob")), "{names:?}");
    let mut options = options();
    options.blob_bytes_min = 0;
    let copy = Store::open(&env, copy, options).unwrap();
    check(&copy, 11);
    assert!(copy.verify().unwrap().is_sound());
}

#[test]
fn damage_in_a_blob_file_is_found_and_hurts_one_value() {
    let env = Env::memory();
    let dir = Path::new("/db");
    let mut options = options();
    options.cache_bytes = Some(0);
    let store = Store::open(&env, dir, options.clone()).unwrap();
    put_all(&store, 0);
    store.close().unwrap();
    let name = env.files().list(dir).unwrap().into_iter().find(|name| name.ends_with(".blob")).unwrap();
    let file = env.files().open(&dir.join(&name), OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 30_000).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 30_000).unwrap();
    let report = Store::verify_dir(&env, dir).unwrap();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert!(report.damage[0].file.ends_with(&name));
    let store = Store::open(&env, dir, options).unwrap();
    let mut broken = 0;
    for number in 0..KEYS {
        match store.get(&key(number)) {
            Ok(found) => assert_eq!(found.unwrap(), value(number, 0)),
            Err(Error::Corrupt { file, .. }) => {
                assert!(file.ends_with(&name));
                broken += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(broken, 1);
    drop(store);
    // A file that is gone is noticed at once.
    env.files().remove_file(&dir.join(&name)).unwrap();
    assert!(matches!(Store::open(&env, dir, Options::default()), Err(Error::Corrupt { .. })));
}
