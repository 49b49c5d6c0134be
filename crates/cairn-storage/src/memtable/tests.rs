//! The memtable against a sorted map, hinted and concurrent inserts.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use cairn_env::SeededRandom;

use super::*;

fn random_key(random: &mut SeededRandom, keys: u64) -> Vec<u8> {
    let number = random.next() % keys;
    let mut key = number.to_be_bytes()[4..].to_vec();
    key.truncate(1 + (number % 4) as usize);
    key
}

#[test]
fn agrees_with_a_sorted_map() {
    let mut random = SeededRandom::new(7);
    let table = Memtable::new();
    let mut model: BTreeMap<(Vec<u8>, u64), (Kind, Vec<u8>)> = BTreeMap::new();
    let mut hint = Hint::default();
    for seq in 1..=4000u64 {
        let key = random_key(&mut random, 700);
        let kind = if random.next().is_multiple_of(4) { Kind::Delete } else { Kind::Put };
        let value = seq.to_le_bytes().to_vec();
        table.insert(&key, seq, kind, &value, &mut hint);
        model.insert((key, u64::MAX - seq), (kind, value));
    }
    let mut cursor = table.cursor();
    cursor.seek(b"", SEQ_LAST).unwrap();
    for ((key, inverse), (kind, value)) in &model {
        assert_eq!(
            (cursor.key(), cursor.seq(), cursor.kind(), cursor.value()),
            (&key[..], u64::MAX - inverse, *kind, &value[..])
        );
        cursor.next().unwrap();
    }
    assert!(!cursor.valid());
    cursor.seek_last_before(None).unwrap();
    for ((key, inverse), _) in model.iter().rev() {
        assert_eq!((cursor.key(), cursor.seq()), (&key[..], u64::MAX - inverse));
        cursor.prev().unwrap();
    }
    assert!(!cursor.valid());
    for _ in 0..2000 {
        let (key, seq) = (random_key(&mut random, 800), random.next() % 4100);
        let expected = model.range((key.clone(), u64::MAX - seq)..).next().filter(|e| e.0.0 == key);
        let found = table.get(&key, seq);
        assert_eq!(found.as_ref().map(|e| e.seq), expected.map(|e| u64::MAX - e.0.1));
        cursor.seek_last_before(Some(&key)).unwrap();
        let before = model.range(..(key.clone(), 0)).next_back();
        assert_eq!(cursor.valid().then(|| cursor.key().to_vec()), before.map(|e| e.0.0.clone()));
    }
    assert_eq!(table.len(), 4000);
}

/// Groups near each other and far apart, with several versions of a key in one.
#[test]
fn what_is_inserted_together_is_where_it_would_be_alone() {
    let mut random = SeededRandom::new(11);
    for keys in [3, 40, 100_000] {
        let (together, alone) = (Memtable::new(), Memtable::new());
        let (mut hints, mut hint) = (Hints::default(), Hint::default());
        let mut seq = 0;
        for _ in 0..1000 {
            let len = random.between(0, 1 + TOGETHER as u64) as usize;
            let from = random.next() % keys;
            let is_run = random.one_in(3);
            let group: Vec<(Vec<u8>, u64)> = (0..len as u64)
                .map(|at| {
                    seq += 1;
                    let key = if is_run { from + at } else { random.next() % keys };
                    (key.to_be_bytes()[3..].to_vec(), seq)
                })
                .collect();
            let write = |(key, seq): &'_ (Vec<u8>, u64)| -> (Kind, [u8; 8]) {
                (if seq % 5 == 0 { Kind::Delete } else { Kind::Put }, (seq + key.len() as u64).to_le_bytes())
            };
            let made: Vec<(Kind, [u8; 8])> = group.iter().map(write).collect();
            let writes: Vec<Write<'_>> = group
                .iter()
                .zip(&made)
                .map(|((key, seq), (kind, value))| Write { key, seq: *seq, kind: *kind, value })
                .collect();
            together.insert_together(&writes, &mut hints);
            for write in &writes {
                alone.insert(write.key, write.seq, write.kind, write.value, &mut hint);
            }
        }
        let (mut a, mut b) = (together.cursor(), alone.cursor());
        a.rewind();
        b.rewind();
        while b.valid() {
            assert_eq!((a.key(), a.seq(), a.kind(), a.value()), (b.key(), b.seq(), b.kind(), b.value()));
            // By the upper levels.
            let found = together.get(b.key(), b.seq()).unwrap();
            assert_eq!((found.seq, &found.value[..]), (b.seq(), b.value()));
            a.advance();
            b.advance();
        }
        assert!(!a.valid());
        assert_eq!((together.len(), together.seq_max()), (alone.len(), alone.seq_max()));
    }
}

#[test]
#[allow(clippy::disallowed_methods)]
fn concurrent_inserts_lose_nothing() {
    let table = Arc::new(Memtable::new());
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            let table = Arc::clone(&table);
            std::thread::spawn(move || {
                let mut hint = Hint::default();
                for number in 0..5000u64 {
                    // Two threads ascend side by side, two jump.
                    let key = if thread < 2 { number } else { number.wrapping_mul(7919) % 5000 };
                    table.insert(&key.to_be_bytes(), thread + 1, Kind::Put, b"v", &mut hint);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut cursor = table.cursor();
    cursor.seek(b"", SEQ_LAST).unwrap();
    for key in 0..5000u64 {
        for seq in (1..=4).rev() {
            assert_eq!((cursor.key(), cursor.seq()), (&key.to_be_bytes()[..], seq));
            cursor.next().unwrap();
        }
    }
    assert!(!cursor.valid());
}

#[test]
fn tombstones_are_found_loose_and_cut() {
    let table = Memtable::new();
    for seq in 1..=300u64 {
        let start = (seq * 10).to_be_bytes();
        table.delete_range(&start, &(seq * 10 + 15).to_be_bytes(), seq);
        let at = (seq * 10 + 3).to_be_bytes();
        assert_eq!(table.newest_covering(&at, |_| true), Some(seq));
        assert_eq!(table.newest_covering(&at, |s| s < seq), (seq > 1).then_some(seq - 1));
        assert_eq!(table.newest_change(&at), Some(seq));
    }
    table.delete_range(b"z", b"a", 301);
    assert_eq!((table.tombstones().len(), table.seq_max()), (300, 301));
    assert!(table.changed_since(&KeyRange::key(&2000u64.to_be_bytes()), 199));
    assert!(!table.changed_since(&KeyRange::key(&2000u64.to_be_bytes()), 200));
}

#[test]
fn long_values_are_shared() {
    let table = Memtable::new();
    let value = vec![7u8; 100_000];
    table.insert(b"k", 1, Kind::Put, &value, &mut Hint::default());
    let found = table.get(b"k", 9).unwrap();
    drop(table);
    assert_eq!(found.value, value);
}

/// As `get`, by a cursor.
fn walked(table: &Memtable, key: &[u8], seq: CommitSeq) -> Option<Entry> {
    let mut cursor = table.cursor();
    cursor.seek(key, seq).unwrap();
    (cursor.valid() && cursor.key() == key).then(|| Entry {
        seq: cursor.seq(),
        kind: cursor.kind(),
        value: cursor.value_bytes(),
    })
}

#[test]
fn a_directory_finds_what_the_list_finds() {
    for expected in [0, 3000] {
        let mut random = SeededRandom::new(11);
        let table = Memtable::new();
        let plain = Memtable::new();
        let mut hints = (Hint::default(), Hint::default());
        for seq in 1..=5000u64 {
            if seq == 100 {
                assert!(table.list.directory_lookups().is_none());
                table.list.set_directory(expected);
            }
            // Some keys get many versions, and some keys are prefixes of others.
            let key = random_key(&mut random, if seq % 2 == 0 { 20 } else { 2000 });
            let value = seq.to_le_bytes();
            table.insert(&key, seq, Kind::Put, &value, &mut hints.0);
            plain.insert(&key, seq, Kind::Put, &value, &mut hints.1);
            let (asked, at) = (random_key(&mut random, 2200), random.next() % (seq + 2));
            assert_eq!(table.get(&asked, at), walked(&plain, &asked, at));
            assert_eq!(table.newest_change(&asked), walked(&plain, &asked, SEQ_LAST).map(|entry| entry.seq));
        }
        assert!(table.list.directory_lookups().is_some_and(|lookups| lookups > 1000));
        assert!(table.memory_bytes() > plain.memory_bytes());
    }
}

#[test]
fn a_directory_is_made_when_it_is_asked_for() {
    let table = Memtable::new();
    let mut hint = Hint::default();
    for number in 0..4000u64 {
        table.insert(&number.to_be_bytes(), number + 1, Kind::Put, b"v", &mut hint);
    }
    assert!(table.list.directory_lookups().is_none(), "nobody looked anything up");
    assert!(Memtable::after(&table).list.directory_lookups().is_none());
    for number in 0..1000u64 {
        assert!(table.get(&number.to_be_bytes(), 9000).is_some());
    }
    assert!(table.list.directory_lookups().is_some());
    for number in 0..5000u64 {
        assert_eq!(table.get(&number.to_be_bytes(), 9000).is_some(), number < 4000);
    }
    assert!(Memtable::after(&table).list.directory_lookups().is_some());
}

#[test]
fn readers_beside_a_growing_directory_miss_nothing() {
    readers_miss_nothing(true);
}

#[test]
fn readers_that_make_a_directory_miss_nothing() {
    readers_miss_nothing(false);
}

fn readers_miss_nothing(has_directory: bool) {
    let table = Memtable::new();
    if has_directory {
        table.list.set_directory(0);
    }
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut hint = Hint::default();
            for seq in 1..=50_000u64 {
                let key = (seq.wrapping_mul(7919) % 20_000).to_be_bytes();
                table.insert(&key, seq, Kind::Put, &seq.to_le_bytes(), &mut hint);
                done.store(seq, Ordering::Release);
            }
        });
        let mut seq = 0;
        while seq < 50_000 {
            seq = done.load(Ordering::Acquire);
            let written = seq.saturating_sub(seq % 7).max(1);
            if seq > 0 {
                let key = (written.wrapping_mul(7919) % 20_000).to_be_bytes();
                let found = table.get(&key, seq).expect("it was inserted before");
                assert!(
                    found.seq >= written && found.seq <= seq && found.value == found.seq.to_le_bytes()[..]
                );
            }
        }
    });
}
