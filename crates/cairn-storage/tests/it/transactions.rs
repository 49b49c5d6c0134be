//! What transactions promise: own writes, savepoints, conflicts, guards, views, limits.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use cairn_env::{Env, SeededRandom};
use cairn_storage::{
    Direction, Error, Isolation, KEY_BYTES_MAX, KeyRange, Options, ReadView, Store, SyncMode, Txn,
    TxnOptions, WriteBatch,
};

use crate::model::for_seeds;

fn store() -> Store {
    Store::open(&Env::memory(), Path::new("/db"), Options::default()).unwrap()
}

fn begin(store: &Store, isolation: Isolation) -> Txn {
    store.begin(TxnOptions { isolation, ..TxnOptions::default() })
}

fn set(store: &Store, pairs: &[(&str, &str)]) {
    let mut batch = WriteBatch::new();
    for (key, value) in pairs {
        batch.put(key.as_bytes(), value.as_bytes()).unwrap();
    }
    store.write(batch, None).unwrap();
}

fn listed(view: &ReadView, range: KeyRange, direction: Direction) -> String {
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let pairs = view.scan(range, direction).owned().map(|pair| pair.unwrap());
    pairs.map(|(key, value)| format!("{}={}", text(key), text(value))).collect::<Vec<_>>().join(" ")
}

fn is_conflict<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    match result {
        Ok(_) => false,
        Err(Error::Conflict { .. }) => true,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn own_writes_lie_over_the_snapshot() {
    let store = store();
    set(&store, &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
    let mut txn = begin(&store, Isolation::Snapshot);
    txn.put(b"b", b"2").unwrap();
    txn.delete(b"c").unwrap();
    txn.put(b"e", b"2").unwrap();
    set(&store, &[("a", "9"), ("x", "9")]);
    let all = KeyRange::all();
    assert_eq!(listed(&txn.read_view(), all.clone(), Direction::Forward), "a=1 b=2 d=1 e=2");
    assert_eq!(listed(&txn.read_view(), all.clone(), Direction::Reverse), "e=2 d=1 b=2 a=1");
    assert_eq!(txn.get(b"c").unwrap(), None);
    assert_eq!(txn.get(b"b").unwrap().as_deref(), Some(&b"2"[..]));
    let view = txn.read_view();
    txn.delete_range(b"a", b"d").unwrap();
    txn.put(b"c", b"3").unwrap();
    assert_eq!(listed(&txn.read_view(), all.clone(), Direction::Forward), "c=3 d=1 e=2");
    assert_eq!(listed(&view, all.clone(), Direction::Forward), "a=1 b=2 d=1 e=2");
    assert_eq!(listed(&view.without_writes(), all.clone(), Direction::Reverse), "d=1 c=1 b=1 a=1");
    assert_eq!(txn.get(b"a").unwrap(), None);
    drop(txn);
    assert_eq!(listed(&store.snapshot().into(), all, Direction::Forward), "a=9 b=1 c=1 d=1 x=9");
}

#[test]
fn savepoints_nest() {
    let store = store();
    let mut txn = begin(&store, Isolation::Snapshot);
    txn.put(b"a", b"1").unwrap();
    let outer = txn.savepoint();
    txn.put(b"a", b"2").unwrap();
    let inner = txn.savepoint();
    txn.delete_range(b"", b"z").unwrap();
    txn.put(b"b", b"3").unwrap();
    txn.rollback_to(inner).unwrap();
    assert_eq!(listed(&txn.read_view(), KeyRange::all(), Direction::Forward), "a=2");
    txn.put(b"c", b"4").unwrap();
    txn.rollback_to(inner).unwrap();
    txn.rollback_to(outer).unwrap();
    txn.put(b"d", b"5").unwrap();
    assert_eq!(listed(&txn.read_view(), KeyRange::all(), Direction::Reverse), "d=5 a=1");
    let other = begin(&store, Isolation::Snapshot).savepoint();
    assert!(matches!(txn.rollback_to(other), Err(Error::InvalidArgument(_))));
    txn.commit().unwrap();
    assert_eq!(listed(&store.snapshot().into(), KeyRange::all(), Direction::Forward), "a=1 d=5");
}

#[test]
fn the_first_committer_wins() {
    let store = store();
    set(&store, &[("a", "1"), ("m", "1")]);
    for flushed in [false, true] {
        let (mut first, mut second) =
            (begin(&store, Isolation::Snapshot), begin(&store, Isolation::Snapshot));
        let (mut range, mut apart) = (begin(&store, Isolation::Snapshot), begin(&store, Isolation::Snapshot));
        first.put(b"a", b"first").unwrap();
        second.delete(b"a").unwrap();
        range.delete_range(b"0", b"b").unwrap();
        apart.put(b"m", b"apart").unwrap();
        first.commit().unwrap();
        if flushed {
            store.flush().unwrap();
            store.compact(KeyRange::all()).unwrap();
        }
        assert!(is_conflict(second.commit()));
        assert!(is_conflict(range.commit()));
        apart.commit().unwrap();
    }
    // A range delete is a change of every key in it, also of absent ones.
    let mut late = begin(&store, Isolation::Snapshot);
    late.put(b"q", b"1").unwrap();
    let mut batch = WriteBatch::new();
    batch.delete_range(b"p", b"r").unwrap();
    store.write(batch, None).unwrap();
    store.flush().unwrap();
    assert!(is_conflict(late.commit()));
}

#[test]
fn serializable_validates_keys_ranges_and_absence() {
    let store = store();
    set(&store, &[("a", "1"), ("b", "1"), ("k", "1"), ("y", "1")]);
    type Read = fn(&Txn);
    let reads: [(&str, Read, &str, bool); 9] = [
        ("key", |txn| drop(txn.get(b"a").unwrap()), "a", true),
        ("absent key", |txn| drop(txn.get(b"none").unwrap()), "none", true),
        ("other key", |txn| drop(txn.get(b"a").unwrap()), "b", false),
        ("phantom", |txn| drop(txn.scan(KeyRange::prefix(b"c"), Direction::Forward).next()), "cc", true),
        ("outside", |txn| drop(txn.scan(KeyRange::prefix(b"c"), Direction::Forward).next()), "d", false),
        ("first row only", |txn| drop(txn.scan(KeyRange::all(), Direction::Forward).next()), "k", false),
        ("up to it", |txn| drop(txn.scan(KeyRange::all(), Direction::Forward).next()), "0", true),
        ("last row only", |txn| drop(txn.scan(KeyRange::all(), Direction::Reverse).next()), "k", false),
        ("view", |txn| drop(txn.read_view().get(b"b").unwrap()), "b", true),
    ];
    for (what, read, written, expected) in reads {
        for isolation in [Isolation::Serializable, Isolation::Snapshot] {
            let mut txn = begin(&store, isolation);
            read(&txn);
            txn.put(b"result", b"1").unwrap();
            set(&store, &[(written, "2")]);
            let conflict = is_conflict(txn.commit());
            assert_eq!(conflict, expected && isolation == Isolation::Serializable, "{what} {isolation:?}");
            let mut batch = WriteBatch::new();
            for key in ["none", "cc", "d", "0", "result"] {
                batch.delete(key.as_bytes()).unwrap();
            }
            store.write(batch, None).unwrap();
        }
    }
    // Reading only never conflicts, and an open scan counts with its whole range.
    let reader = begin(&store, Isolation::Serializable);
    let mut writer = begin(&store, Isolation::Serializable);
    drop(reader.get(b"a").unwrap());
    let mut scan = writer.scan(KeyRange::all(), Direction::Forward);
    scan.next().unwrap();
    writer.put(b"w", b"1").unwrap();
    set(&store, &[("a", "3"), ("y", "3")]);
    reader.commit().unwrap();
    assert!(is_conflict(writer.commit()));
    assert!(scan.next().unwrap().is_some());
}

#[test]
fn guards_hold_at_any_isolation() {
    let store = store();
    set(&store, &[("parent", "1")]);
    let mut child = begin(&store, Isolation::Snapshot);
    child.guard_key(b"parent");
    child.put(b"child", b"1").unwrap();
    let mut batch = WriteBatch::new();
    batch.delete(b"parent").unwrap();
    store.write(batch, None).unwrap();
    assert!(is_conflict(child.commit()));
    let mut parent = begin(&store, Isolation::Snapshot);
    parent.guard_range(&KeyRange::prefix(b"child/"));
    parent.put(b"parent", b"2").unwrap();
    set(&store, &[("child/1", "1")]);
    assert!(is_conflict(parent.commit()));
}

#[test]
fn scans_seek_both_ways() {
    let store = store();
    set(&store, &[("a", "1"), ("c", "2"), ("e", "3"), ("g", "4")]);
    let snapshot = store.snapshot();
    let range = KeyRange::half_open(b"b", b"g");
    let mut scan = snapshot.scan(range.clone(), Direction::Forward);
    for (target, expected) in [("d", Some("e")), ("a", Some("c")), ("c", Some("c")), ("f", None)] {
        scan.seek(target.as_bytes()).unwrap();
        assert_eq!(scan.next().unwrap().map(|(key, _)| key), expected.map(str::as_bytes), "{target}");
    }
    let mut scan = snapshot.scan(range, Direction::Reverse);
    for (target, expected) in [("d", Some("c")), ("z", Some("e")), ("c", Some("c")), ("b", None)] {
        scan.seek(target.as_bytes()).unwrap();
        assert_eq!(scan.next().unwrap().map(|(key, _)| key), expected.map(str::as_bytes), "{target}");
    }
}

#[test]
fn limits_are_errors() {
    let mut options = Options::default();
    options.transaction_bytes_max = 1 << 20;
    let store = Store::open(&Env::memory(), Path::new("/db"), options).unwrap();
    let mut txn = begin(&store, Isolation::Snapshot);
    let long = vec![b'k'; KEY_BYTES_MAX + 1];
    assert!(matches!(txn.put(&long, b""), Err(Error::KeyTooLarge { .. })));
    assert!(matches!(txn.delete(&long), Err(Error::KeyTooLarge { .. })));
    txn.put(&long[1..], b"longest").unwrap();
    assert!(matches!(txn.put(b"k", &vec![0; 2 << 20]), Err(Error::TransactionTooLarge { .. })));
    txn.put(b"", b"the empty key").unwrap();
    txn.commit().unwrap();
    assert_eq!(store.get(b"").unwrap().as_deref(), Some(&b"the empty key"[..]));
    assert_eq!(store.get(&long[1..]).unwrap().as_deref(), Some(&b"longest"[..]));
}

#[test]
fn opening_what_is_no_database() {
    let (env, dir) = (Env::memory(), Path::new("/place/db"));
    let mut options = Options::default();
    options.create_if_missing = false;
    assert!(matches!(Store::open(&env, dir, options.clone()), Err(Error::NotFound { .. })));
    let store = Store::open(&env, dir, Options::default()).unwrap();
    assert!(matches!(Store::open(&env, dir, Options::default()), Err(Error::Locked { .. })));
    let survivor = store.begin(TxnOptions::default());
    let clone = store.clone();
    store.close().unwrap();
    assert!(matches!(clone.sync(), Err(Error::Closed)));
    let reopened = Store::open(&env, dir, options.clone()).unwrap();
    assert_eq!(survivor.get(b"k").unwrap(), None);
    drop((reopened, clone, survivor));
    // Opening and closing leaves no log behind where nothing was written.
    drop(Store::open(&env, dir, options).unwrap());
    assert!(env.files().list(dir).unwrap().iter().all(|name| !name.ends_with(".wal")));
    env.files().create_dir_all(Path::new("/other")).unwrap();
    let other = Path::new("/other/notes.txt");
    env.files().open(other, cairn_env::OpenMode::Create).unwrap();
    for path in [Path::new("/other"), other] {
        assert!(matches!(Store::open(&env, path, Options::default()), Err(Error::NotADatabase { .. })));
    }
    assert_eq!(env.files().list(Path::new("/other")).unwrap(), ["notes.txt"]);
}

/// A random transaction with savepoints against a map, read in all ways, on several shapes of store.
#[test]
fn a_transaction_equals_a_map() {
    for_seeds("transactions", 60, |seed| {
        let mut random = SeededRandom::new(seed);
        let store = store();
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for _ in 0..8 {
            let mut txn = begin(&store, Isolation::Serializable);
            txn.set_sync(SyncMode::None);
            let mut own = model.clone();
            let mut savepoints = Vec::new();
            for _ in 0..random.below(60) {
                let key = format!("{:02}", random.below(40)).into_bytes();
                match random.below(10) {
                    0..=3 => {
                        let value = random.next().to_le_bytes();
                        txn.put(&key, &value).unwrap();
                        own.insert(key, value.to_vec());
                    }
                    4 => {
                        txn.delete(&key).unwrap();
                        own.remove(&key);
                    }
                    5 => {
                        let end = format!("{:02}", random.below(40)).into_bytes();
                        txn.delete_range(&key, &end).unwrap();
                        own.retain(|own, _| *own < key || *own >= end);
                    }
                    6 => savepoints.push((txn.savepoint(), own.clone())),
                    7 => {
                        if let Some((savepoint, then)) = savepoints.pop() {
                            txn.rollback_to(savepoint).unwrap();
                            own = then;
                        }
                    }
                    8 => assert_eq!(txn.get(&key).unwrap().as_deref(), own.get(&key).map(|v| &v[..])),
                    _ => check_scan(&txn.read_view(), &own, &mut random),
                }
            }
            if random.one_in(4) {
                continue;
            }
            txn.commit().unwrap();
            model = own;
            if random.one_in(3) {
                store.flush().unwrap();
            }
            check_scan(&store.snapshot().into(), &model, &mut random);
        }
    });
}

fn check_scan(view: &ReadView, model: &BTreeMap<Vec<u8>, Vec<u8>>, random: &mut SeededRandom) {
    let (start, end) = (format!("{:02}", random.below(40)), format!("{:02}", random.below(41)));
    let range = KeyRange::half_open(start.as_bytes(), end.as_bytes());
    let mut expected: Vec<_> = model.iter().filter(|(key, _)| range.contains(key)).collect();
    let mut direction = Direction::Forward;
    if random.one_in(2) {
        direction = Direction::Reverse;
        expected.reverse();
    }
    let mut scan = view.scan(range, direction);
    for (key, value) in expected {
        assert_eq!(scan.next().unwrap(), Some((&key[..], &value[..])));
    }
    assert_eq!(scan.next().unwrap(), None);
}

#[test]
fn an_owned_scan_gives_what_a_lending_one_gives() {
    let store = Store::open(&Env::memory(), "/db".as_ref(), Options::default()).unwrap();
    for round in 0..3u32 {
        let mut batch = WriteBatch::new();
        for number in (round..2000).step_by(3) {
            let long = if number % 97 == 0 { 3000 } else { 40 };
            batch.put(format!("key{number:05}").as_bytes(), &vec![number as u8; long]).unwrap();
        }
        store.write(batch, None).unwrap();
        if round == 1 {
            store.flush().unwrap();
        }
    }
    for direction in [Direction::Forward, Direction::Reverse] {
        let snapshot = store.snapshot();
        let mut lending = snapshot.scan(KeyRange::all(), direction);
        let mut mixed = snapshot.scan(KeyRange::all(), direction).owned().stripped(3);
        let mut owned = snapshot.scan(KeyRange::all(), direction).owned();
        let mut count = 0;
        while let Some((key, value)) = lending.next().unwrap() {
            let (own_key, own_value) = owned.next().unwrap().unwrap();
            assert_eq!((&own_key[..], &own_value[..]), (key, value));
            // An entry lent, then a few to keep, and so on.
            if count % 7 < 3 {
                assert_eq!(mixed.next_entry().unwrap(), Some((&key[3..], value)));
            } else {
                let (mixed_key, mixed_value) = mixed.next().unwrap().unwrap();
                assert_eq!((&mixed_key[..], &mixed_value[..]), (&key[3..], value));
            }
            count += 1;
        }
        assert_eq!((count, owned.next().is_none(), mixed.next_entry().unwrap()), (2000, true, None));
    }
}
