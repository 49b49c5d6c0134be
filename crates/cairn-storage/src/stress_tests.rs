//! Real threads on the shared structures, from a seed: what is claimed of them is checked while they change.
//!
//! `models/` tries the interleavings of a few steps, these tests run many steps on real memory; the interleavings
//! of the whole engine are the simulation's part. `CAIRN_STRESS` multiplies the rounds.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cairn_env::SeededRandom;

use crate::compaction::rewrite::Retention;
use crate::key::{CommitSeq, Cursor, Kind, SEQ_LAST};
use crate::memtable::{Hint, Memtable};
use crate::registry::Registry;

fn rounds(default: u64) -> u64 {
    let factor = std::env::var("CAIRN_STRESS").ok().and_then(|text| text.parse::<u64>().ok());
    default * factor.unwrap_or(1)
}

/// A value that tells which entry it belongs to, of a length that it tells too.
fn value(key: u64, seq: u64) -> Vec<u8> {
    let mut value = [key.to_le_bytes(), seq.to_le_bytes()].concat();
    value.resize(16 + (key.wrapping_mul(31) + seq.wrapping_mul(7)) as usize % 300, seq as u8);
    value
}

/// Writers of the memtable with sequences of their own, readers that walk both ways and look up.
#[test]
fn memtable_readers_see_whole_entries_in_order() {
    const WRITERS: u64 = 3;
    const ENTRIES: u64 = 1_500;
    for seed in 0..rounds(30) {
        let table = Memtable::new();
        let keys = [40, 700, 5_000][seed as usize % 3];
        // Everything up to here was inserted, by writer.
        let published: Vec<AtomicU64> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
        let done = AtomicBool::new(false);
        let key_of = |seq: u64| SeededRandom::new(seed << 32 | seq).below(keys);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (table, published) = (&table, &published[writer as usize]);
                    scope.spawn(move || {
                        let mut hint = Hint::default();
                        for number in 1..=ENTRIES {
                            let seq = number * WRITERS + writer;
                            let key = key_of(seq);
                            let kind = if seq.is_multiple_of(5) { Kind::Delete } else { Kind::Put };
                            let value = if kind == Kind::Put { value(key, seq) } else { Vec::new() };
                            table.insert(&key.to_be_bytes(), seq, kind, &value, &mut hint);
                            published.store(number, Ordering::Release);
                        }
                    })
                })
                .collect();
            for reader in 0..2 {
                let (table, published, done) = (&table, &published, &done);
                scope.spawn(move || {
                    let mut random = SeededRandom::new(seed ^ reader << 16);
                    while !done.load(Ordering::Acquire) {
                        let writer = random.below(WRITERS);
                        let upto = published[writer as usize].load(Ordering::Acquire);
                        if upto > 0 {
                            let seq = random.between(1, upto) * WRITERS + writer;
                            let key = key_of(seq);
                            let found = table.get(&key.to_be_bytes(), seq).expect("it was published");
                            assert_eq!(found.seq, seq, "an older entry was found");
                        }
                        walk(table, random.one_in(2));
                    }
                });
            }
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            done.store(true, Ordering::Release);
        });
        assert_eq!(table.len() as u64, WRITERS * ENTRIES);
        assert_eq!(walk(&table, true), WRITERS * ENTRIES);
        assert_eq!(walk(&table, false), WRITERS * ENTRIES);
    }
}

/// Walks everything: strictly ordered, and each value its entry's. How many there were.
fn walk(table: &Memtable, forward: bool) -> u64 {
    let mut cursor = table.cursor();
    match forward {
        true => cursor.seek(b"", SEQ_LAST).unwrap(),
        false => cursor.seek_last_before(None).unwrap(),
    }
    let mut count = 0;
    let mut last: Option<(u64, std::cmp::Reverse<CommitSeq>)> = None;
    while cursor.valid() {
        let key = u64::from_be_bytes(cursor.key().try_into().unwrap());
        let here = (key, std::cmp::Reverse(cursor.seq()));
        assert!(last.is_none_or(|last| (last < here) == forward && last != here), "out of order");
        if cursor.kind() == Kind::Put {
            assert_eq!(cursor.value(), value(key, cursor.seq()), "a torn value");
        }
        last = Some(here);
        count += 1;
        match forward {
            true => cursor.next().unwrap(),
            false => cursor.prev().unwrap(),
        }
    }
    count
}

/// Readers hold what they acquired; whoever collects garbage never drops a version that one of them needs.
#[test]
fn registry_never_lets_a_held_version_go() {
    for seed in 0..rounds(4) {
        let registry = Registry::new(1);
        // Versions below this were dropped: each was hidden by a newer one from all that was readable.
        let dropped_below = AtomicU64::new(0);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (2..400_000).for_each(|seq| registry.publish(seq));
                done.store(true, Ordering::Release);
            });
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let readable = registry.readable();
                    assert!(readable.windows(2).all(|pair| pair[0] < pair[1]), "not ascending");
                    let retention = Retention::new(&readable);
                    // One key written by every commit: version s goes if s + 1 hides it from everyone.
                    let oldest = readable[0];
                    assert!(!retention.hides(oldest + 1, oldest), "the oldest snapshot loses its version");
                    dropped_below.fetch_max(oldest, Ordering::AcqRel);
                }
            });
            for reader in 0..3 {
                let (registry, dropped_below, done) = (&registry, &dropped_below, &done);
                scope.spawn(move || {
                    let mut random = SeededRandom::new(seed << 8 | reader);
                    let mut held: Vec<CommitSeq> = Vec::new();
                    while !done.load(Ordering::Acquire) {
                        if held.len() < 4 && random.one_in(2) {
                            held.push(registry.acquire());
                        } else if !held.is_empty() {
                            let at = random.below(held.len() as u64) as usize;
                            let seq = held.swap_remove(at);
                            assert!(
                                dropped_below.load(Ordering::Acquire) <= seq,
                                "{seq} was dropped while held"
                            );
                            registry.release(seq);
                        }
                    }
                    held.into_iter().for_each(|seq| registry.release(seq));
                });
            }
        });
        assert_eq!(registry.len(), 0, "everything was released");
    }
}
