//! Bulk loading through the whole store: one commit, newer than all before it, in conflict with what was read
//! before it. Crashes are the business of the crash test, which ingests too.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use cairn_env::Env;
use cairn_storage::{Direction, Error, Isolation, KeyRange, Options, Result, Store, TxnOptions, WriteBatch};

type Row = Result<(Bytes, Bytes)>;

fn options() -> Options {
    let mut options = Options::default();
    options.target_file_bytes = 64 << 10;
    options.blob_bytes_min = 2_000;
    options.background = false;
    options
}

fn rows(numbers: std::ops::Range<u32>, what: &'static str) -> impl Iterator<Item = Row> + Send {
    numbers.map(move |number| {
        let len = if number % 50 == 0 { 3_000 } else { 20 };
        Ok((format!("k{number:06}").into(), format!("{what} {number:0len$}").into()))
    })
}

fn check(store: &Store, number: u32, what: &str) {
    let found = store.get(format!("k{number:06}").as_bytes()).unwrap().unwrap();
    assert!(found.starts_with(what.as_bytes()), "{number}: {:?}", &found[..10]);
}

fn put(store: &Store, number: u32) {
    let mut batch = WriteBatch::new();
    batch.put(format!("k{number:06}").as_bytes(), b"single").unwrap();
    store.write(batch, None).unwrap();
}

#[test]
fn rows_are_one_commit_and_the_newest() {
    let env = Env::memory();
    let store = Store::open(&env, "/db".as_ref(), options()).unwrap();
    put(&store, 5);
    let before = store.snapshot();
    let seq = store.ingest(rows(0..20_000, "first")).unwrap();
    assert_eq!((seq, store.last_committed()), (2, 2));
    let stats = store.stats().tree;
    assert!(
        stats.levels.iter().map(|level| level.files).sum::<u64>() > 5 && stats.blobs.files > 0,
        "{stats:?}"
    );
    let told = store.stats();
    assert_eq!((told.tree.ingests, told.write_stalls), (1, 0));
    assert!(told.tree.ingested_bytes > 400_000 && told.wal_segments == 1 && told.wal_bytes > 0, "{told:?}");
    assert!(told.memory_used_bytes > 0 && told.memory_used_bytes < told.memory_allowed_bytes.unwrap());
    check(&store, 5, "first");
    check(&store, 19_999, "first");
    assert_eq!(before.get(b"k000005").unwrap().unwrap(), "single");
    assert_eq!(before.get(b"k000006").unwrap(), None);
    let mut scan = before.scan(KeyRange::all(), Direction::Forward);
    assert!(scan.next().unwrap().is_some() && scan.next().unwrap().is_none());
    // Later commits are newer, an ingest over them is newer still; what a range delete hid comes back.
    put(&store, 7);
    check(&store, 7, "single");
    let mut batch = WriteBatch::new();
    batch.delete_range(b"k000100", b"k000200").unwrap();
    store.write(batch, None).unwrap();
    assert_eq!(store.get(b"k000150").unwrap(), None);
    store.ingest(rows(6..151, "second")).unwrap();
    for (number, what) in [(5, "first"), (7, "second"), (150, "second"), (300, "first")] {
        check(&store, number, what);
    }
    assert_eq!(store.get(b"k000151").unwrap(), None);
    assert!(store.verify().unwrap().is_sound());
    // An ingest with nobody after it is in a checkpoint, and there after a restart.
    let last = store.ingest(rows(30_000..30_010, "third")).unwrap();
    assert_eq!(store.checkpoint("/copy".as_ref()).unwrap(), last);
    drop(before);
    store.close().unwrap();
    for dir in ["/db", "/copy"] {
        let store = Store::open(&env, dir.as_ref(), options()).unwrap();
        assert_eq!(store.last_committed(), last);
        for (number, what) in [(5, "first"), (7, "second"), (150, "second"), (30_005, "third")] {
            check(&store, number, what);
        }
        put(&store, 150);
        check(&store, 150, "single");
        store.compact(KeyRange::all()).unwrap();
        check(&store, 150, "single");
        check(&store, 149, "second");
        assert!(store.verify().unwrap().is_sound());
    }
}

#[test]
fn a_copy_after_an_ingest_beside_a_memtable_is_whole() {
    let env = Env::memory();
    let store = Store::open(&env, "/db".as_ref(), options()).unwrap();
    put(&store, 900_000);
    let last = store.ingest(rows(0..10, "rows")).unwrap();
    assert_eq!(store.checkpoint("/copy".as_ref()).unwrap(), last);
    let copy = Store::open(&env, "/copy".as_ref(), options()).unwrap();
    check(&copy, 3, "rows");
    check(&copy, 900_000, "single");
    assert_eq!(copy.last_committed(), last);
}

#[test]
fn transactions_conflict_with_it() {
    let store = Store::open(&Env::memory(), "/db".as_ref(), options()).unwrap();
    put(&store, 1);
    for isolation in [Isolation::Snapshot, Isolation::Serializable] {
        let begin = || store.begin(TxnOptions { isolation, ..TxnOptions::default() });
        let (mut same, mut other, mut reader) = (begin(), begin(), begin());
        same.put(b"k000001", b"mine").unwrap();
        other.put(b"z", b"mine").unwrap();
        reader.get(b"k000001").unwrap();
        reader.put(b"y", b"mine").unwrap();
        store.ingest(rows(0..10, "rows")).unwrap();
        assert!(matches!(same.commit(), Err(Error::Conflict { .. })));
        other.commit().unwrap();
        let read = reader.commit();
        let refused = matches!(read, Err(Error::Conflict { .. }));
        assert_eq!(refused, isolation == Isolation::Serializable);
    }
}

#[test]
fn wrong_rows_leave_nothing_behind() {
    let env = Env::memory();
    let store = Store::open(&env, "/db".as_ref(), options()).unwrap();
    put(&store, 1);
    store.flush().unwrap();
    let files = || env.files().list("/db".as_ref()).unwrap();
    let before = files();
    let row = |key: &'static str| -> Row { Ok((key.into(), "v".into())) };
    for wrong in [vec![row("b"), row("a")], vec![row("a"), row("a")], vec![row("a"), Err(Error::Closed)]] {
        assert!(store.ingest(wrong).is_err());
    }
    assert_eq!(store.ingest(Vec::new()).unwrap(), 1);
    assert_eq!((files(), store.last_committed()), (before, 1));
    put(&store, 2);
    assert!(store.verify().unwrap().is_sound());
}
