//! Keys of which there are many versions: what every reader sees, both ways.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use cairn_env::{Env, SeededRandom};
use cairn_storage::{
    Direction, Isolation, KeyRange, Options, ReadView, Scan, Snapshot, Store, TxnOptions, WriteBatch,
};

use crate::model::for_seeds;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// One key in two gets most writes, so that it has hundreds of versions.
fn key(random: &mut SeededRandom) -> Vec<u8> {
    let number = if random.one_in(2) { 7 } else { random.below(20) };
    format!("{number:02}").into_bytes()
}

fn step(random: &mut SeededRandom, model: &mut Model, batch: &mut WriteBatch) {
    let key = key(random);
    match random.below(12) {
        0 => {
            batch.delete(&key).unwrap();
            model.remove(&key);
        }
        1 if random.one_in(8) => {
            let end = self::key(random);
            batch.delete_range(&key, &end).unwrap();
            model.retain(|own, _| *own < key || *own >= end);
        }
        _ => {
            let value = random.next().to_le_bytes();
            batch.put(&key, &value).unwrap();
            model.insert(key, value.to_vec());
        }
    }
}

fn check(
    mut scan: Scan,
    direction: Direction,
    model: &Model,
    random: &mut SeededRandom,
    between: &mut dyn FnMut(),
) {
    let mut expected: Vec<_> = model.iter().collect();
    if direction == Direction::Reverse {
        expected.reverse();
    }
    let mut at = 0;
    // Some by one, some by many, some after a seek.
    while at < expected.len() {
        match random.below(4) {
            0 => between(),
            1 => {
                at = random.below(expected.len() as u64) as usize;
                scan.seek(expected[at].0).unwrap();
            }
            2 => {
                let most = 1 + random.below(4) as usize;
                let first = at;
                let given = scan
                    .next_many(most, |key, value| {
                        assert_eq!((key, value), (&expected[at].0[..], &expected[at].1[..]));
                        at += 1;
                        true
                    })
                    .unwrap();
                assert_eq!(given, most.min(expected.len() - first));
            }
            _ => {
                let (key, value) = expected[at];
                assert_eq!(scan.next().unwrap(), Some((&key[..], &value[..])));
                at += 1;
            }
        }
    }
    assert_eq!(scan.next().unwrap(), None);
}

#[test]
fn keys_written_many_times_are_read_both_ways() {
    for_seeds("versions", 12, |seed| {
        let mut random = SeededRandom::new(seed);
        let store = Store::open(&Env::memory(), Path::new("/db"), Options::default()).unwrap();
        let mut model = Model::new();
        let mut snapshots: Vec<(Snapshot, Model)> = Vec::new();
        let mut later = SeededRandom::new(seed + 1);
        for _ in 0..1500 {
            let mut batch = WriteBatch::new();
            for _ in 0..1 + random.below(2) {
                step(&mut random, &mut model, &mut batch);
            }
            store.write(batch, None).unwrap();
            if random.one_in(100) {
                snapshots.push((store.snapshot(), model.clone()));
            }
            if random.one_in(400) {
                store.flush().unwrap();
            }
        }
        snapshots.push((store.snapshot(), model));
        for (snapshot, model) in snapshots {
            for direction in [Direction::Forward, Direction::Reverse] {
                let scan = snapshot.scan(KeyRange::all(), direction);
                // Commits that come while the scan is under way are not seen by it.
                check(scan, direction, &model, &mut random, &mut || {
                    let mut batch = WriteBatch::new();
                    for _ in 0..20 {
                        step(&mut later, &mut Model::new(), &mut batch);
                        store.write(std::mem::take(&mut batch), None).unwrap();
                    }
                });
            }
        }
    });
}

#[test]
fn so_are_a_transactions_own() {
    for_seeds("own versions", 12, |seed| {
        let mut random = SeededRandom::new(seed);
        let store = Store::open(&Env::memory(), Path::new("/db"), Options::default()).unwrap();
        let (mut model, mut batch) = (Model::new(), WriteBatch::new());
        for _ in 0..200 {
            step(&mut random, &mut model, &mut batch);
            store.write(std::mem::take(&mut batch), None).unwrap();
        }
        let mut txn = store.begin(TxnOptions { isolation: Isolation::Snapshot, ..TxnOptions::default() });
        let mut views: Vec<(ReadView, Model)> = Vec::new();
        for _ in 0..600 {
            let key = key(&mut random);
            if random.one_in(8) {
                txn.delete(&key).unwrap();
                model.remove(&key);
            } else {
                let value = random.next().to_le_bytes();
                txn.put(&key, &value).unwrap();
                model.insert(key, value.to_vec());
            }
            if random.one_in(60) {
                views.push((txn.read_view(), model.clone()));
            }
        }
        views.push((txn.read_view(), model));
        for (view, model) in views {
            for direction in [Direction::Forward, Direction::Reverse] {
                check(view.scan(KeyRange::all(), direction), direction, &model, &mut random, &mut || ());
            }
        }
    });
}
