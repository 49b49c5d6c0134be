//! Real threads on real implementations: what many clients do at once must equal some order of doing it.
//!
//! The simulation runs on one thread; races in the commit queue, the memtable and the background workers show
//! up here. No result depends on timing, only how much of it happens at once does.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cairn_env::{Env, SeededRandom};
use cairn_storage::{
    Direction, Error, Isolation, KeyRange, Options, Store, SyncMode, TxnOptions, WriteBatch,
};

use crate::model::small_options;

const ACCOUNTS: u64 = 24;
const BALANCE: i64 = 100;
const WRITERS: u64 = 4;
const COMMITS: u64 = 150;

fn account(number: u64) -> Vec<u8> {
    format!("account/{number:03}").into_bytes()
}

fn number(bytes: &[u8]) -> i64 {
    i64::from_le_bytes(bytes[..8].try_into().unwrap())
}

/// A value that carries a number and weight, so that memtables fill.
fn value(number: i64, weight: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(8 + weight as usize, 0x55);
    bytes
}

fn on_both(test: impl Fn(&Env, &Path, Options)) {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..4 {
        let options = || small_options(&mut SeededRandom::new(seed));
        test(&Env::os(), &dir.path().join(seed.to_string()), options());
        test(&Env::memory(), Path::new("/db"), options());
    }
}

fn options(isolation: Isolation, random: &mut SeededRandom) -> TxnOptions {
    let sync = match random.below(8) {
        0 => SyncMode::Sync,
        1..=3 => SyncMode::Async,
        _ => SyncMode::None,
    };
    TxnOptions { isolation, sync: Some(sync), client_token: 0 }
}

/// Runs a transaction until it meets no conflict; how many tries it took.
fn until_done(mut attempt: impl FnMut() -> cairn_storage::Result<()>) -> u64 {
    for tries in 1.. {
        match attempt() {
            Ok(()) => return tries,
            Err(Error::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!()
}

fn total(reader: &cairn_storage::Snapshot, direction: Direction) -> i64 {
    let mut scan = reader.scan(KeyRange::prefix(b"account/"), direction);
    let mut sum = 0;
    while let Some((_, value)) = scan.next().unwrap() {
        sum += number(value);
    }
    sum
}

#[test]
fn money_is_neither_made_nor_lost() {
    on_both(|env, dir, small| {
        let store = Store::open(env, dir, small.clone()).unwrap();
        let mut batch = WriteBatch::new();
        for n in 0..ACCOUNTS {
            batch.put(&account(n), &value(BALANCE, 0)).unwrap();
        }
        store.write(batch, None).unwrap();
        let done = AtomicBool::new(false);
        let left = AtomicU64::new(WRITERS);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (store, done, left) = (&store, &done, &left);
                scope.spawn(move || {
                    let mut random = SeededRandom::new(writer);
                    for _ in 0..COMMITS {
                        let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
                        until_done(|| {
                            let mut txn = store.begin(options(Isolation::Snapshot, &mut random));
                            let a = number(&txn.get(&account(from))?.unwrap());
                            txn.put(&account(from), &value(a - 1, random.below(300)))?;
                            let b = number(&txn.get(&account(to))?.unwrap());
                            txn.put(&account(to), &value(b + 1, random.below(300)))?;
                            txn.commit().map(drop)
                        });
                    }
                    if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                        done.store(true, Ordering::SeqCst);
                    }
                });
            }
            scope.spawn(|| {
                let mut rounds = 0;
                while !done.load(Ordering::SeqCst) || rounds < 3 {
                    let snapshot = store.snapshot();
                    assert_eq!(total(&snapshot, Direction::Forward), ACCOUNTS as i64 * BALANCE);
                    assert_eq!(total(&snapshot, Direction::Reverse), ACCOUNTS as i64 * BALANCE);
                    rounds += 1;
                    if rounds % 8 == 0 {
                        store.flush().unwrap();
                        store.compact(KeyRange::all()).unwrap();
                    }
                }
            });
        });
        store.close().unwrap();
        let store = Store::open(env, dir, small).unwrap();
        assert_eq!(total(&store.snapshot(), Direction::Forward), ACCOUNTS as i64 * BALANCE);
        assert!(store.verify().unwrap().is_sound());
        store.close().unwrap();
    });
}

#[test]
fn counted_once_each_under_either_isolation() {
    on_both(|env, dir, small| {
        let store = Store::open(env, dir, small).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let store = &store;
                scope.spawn(move || {
                    let mut random = SeededRandom::new(writer);
                    let isolation =
                        if writer % 2 == 0 { Isolation::Snapshot } else { Isolation::Serializable };
                    for _ in 0..COMMITS {
                        until_done(|| {
                            let mut txn = store.begin(options(isolation, &mut random));
                            let before = txn.get(b"counter")?.map_or(0, |bytes| number(&bytes));
                            txn.put(b"counter", &value(before + 1, 50))?;
                            txn.commit().map(drop)
                        });
                    }
                });
            }
        });
        let counter = store.snapshot().get(b"counter").unwrap().unwrap();
        assert_eq!(number(&counter), (WRITERS * COMMITS) as i64);
        store.close().unwrap();
    });
}

#[test]
fn serializable_has_no_write_skew() {
    on_both(|env, dir, small| {
        let store = Store::open(env, dir, small).unwrap();
        let pairs = 6;
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let store = &store;
                scope.spawn(move || {
                    let mut random = SeededRandom::new(writer);
                    for _ in 0..COMMITS {
                        let pair = random.below(pairs);
                        let range = KeyRange::prefix(format!("pair{pair}/").as_bytes());
                        let own = format!("pair{pair}/{}", random.below(4));
                        // At most one key of a pair may be there: a rule that only a reader of the range sees.
                        until_done(|| {
                            let mut txn = store.begin(options(Isolation::Serializable, &mut random));
                            let mut scan = txn.scan(range.clone(), Direction::Forward);
                            let first = scan.next()?.map(|(key, _)| key.to_vec());
                            assert!(scan.next()?.is_none(), "two keys of one pair");
                            drop(scan);
                            match first {
                                Some(key) => txn.delete(&key)?,
                                None => txn.put(own.as_bytes(), b"here")?,
                            }
                            txn.commit().map(drop)
                        });
                    }
                });
            }
        });
        store.close().unwrap();
    });
}
