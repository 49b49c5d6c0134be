//! Keys, ranges and snapshots.

use std::ops::Bound;

use cairndb::{Database, ErrorClass, KeyRange, OpenOptions, WriteBatch};

fn keys(entries: cairndb::KeyValues) -> Vec<String> {
    entries.map(|entry| String::from_utf8(entry.unwrap().0.to_vec()).unwrap()).collect()
}

fn filled() -> Database {
    let db = Database::in_memory().unwrap();
    for key in ["a", "b", "ba", "c", "d"] {
        db.put(key, format!("value of {key}")).unwrap();
    }
    db
}

#[test]
fn ranges_have_the_ends_that_rust_gives_them() {
    let db = filled();
    assert_eq!(keys(db.get_range("b".."c").unwrap()), ["b", "ba"]);
    assert_eq!(keys(db.get_range("b"..="c").unwrap()), ["b", "ba", "c"]);
    assert_eq!(keys(db.get_range("ba"..).unwrap()), ["ba", "c", "d"]);
    assert_eq!(keys(db.get_range(.."b").unwrap()), ["a"]);
    assert_eq!(keys(db.get_range(..="b").unwrap()), ["a", "b"]);
    assert_eq!(keys(db.get_range(..).unwrap()), ["a", "b", "ba", "c", "d"]);
    assert_eq!(keys(db.get_range((Bound::Excluded("b"), Bound::Unbounded)).unwrap()), ["ba", "c", "d"]);
    assert_eq!(keys(db.get_range(KeyRange::prefix(b"b")).unwrap()), ["b", "ba"]);
    assert_eq!(keys(db.get_range("c".."b").unwrap()), Vec::<String>::new());
    assert_eq!(keys(db.get_range_reverse("b"..).unwrap()), ["d", "c", "ba", "b"]);
}

#[test]
fn lent_entries_are_the_owned_ones() {
    let db = filled();
    let mut entries = db.get_range("b".."c").unwrap();
    let (key, value) = entries.next_entry().unwrap().unwrap();
    assert_eq!((key, value), (&b"b"[..], &b"value of b"[..]));
    assert_eq!(entries.next().unwrap().unwrap().0, "ba");
    assert!(entries.next_entry().unwrap().is_none() && entries.next().is_none());
}

#[test]
fn a_range_shows_the_moment_it_was_asked_for() {
    let db = filled();
    let entries = db.get_range(..).unwrap();
    let snapshot = db.snapshot().unwrap();
    db.delete_range(.."c").unwrap();
    db.put("z", "").unwrap();
    assert_eq!(keys(entries).len(), 5);
    assert_eq!(keys(snapshot.get_range(..).unwrap()).len(), 5);
    assert_eq!(keys(snapshot.get_range_reverse("c"..).unwrap()), ["d", "c"]);
    assert_eq!(keys(db.get_range(..).unwrap()), ["c", "d", "z"]);
    assert_eq!(db.get("z").unwrap().as_deref(), Some(&b""[..]));
}

#[test]
fn any_bytes_are_a_key_and_limits_are_told() {
    let db = Database::in_memory().unwrap();
    for key in [&b""[..], b"\0", b"\xff\xff", &vec![7; 65_536]] {
        db.put(key, key).unwrap();
        assert_eq!(db.get(key).unwrap().as_deref(), Some(key), "{} bytes", key.len());
    }
    assert_eq!(db.get_range(..).unwrap().count(), 4);
    let error = db.put(vec![7; 65_537], "").unwrap_err();
    assert_eq!((error.class(), error.sqlstate()), (ErrorClass::User, "54000"));
    assert!(error.message().contains("65537") && error.message().contains("65536"), "{error}");
}

#[test]
fn everything_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    for round in 0..3u8 {
        let options = OpenOptions::new().memtable_bytes(1 << 16);
        let db = Database::open_with(&path, options).unwrap();
        for i in 0..2_000u32 {
            let key = [&[round], &i.to_be_bytes()[..]].concat();
            if i % 500 == 0 { db.put(key, [round; 100]).unwrap() } else { continue }
        }
        let tx = db.begin_transaction(Default::default()).unwrap();
        for i in 0..2_000u32 {
            tx.put([&[round], &i.to_be_bytes()[..]].concat(), [round; 100]).unwrap();
        }
        tx.commit().unwrap();
        if round == 1 {
            db.flush().unwrap();
            db.compact().unwrap();
        }
        if round == 2 { drop(db) } else { db.close().unwrap() }
    }
    let db = Database::open(&path).unwrap();
    assert_eq!(db.get_range(..).unwrap().count(), 6_000);
    assert_eq!(db.get([&[1u8], &7u32.to_be_bytes()[..]].concat()).unwrap().unwrap().len(), 100);
}

#[test]
fn a_batch_is_written_in_its_order_and_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = Database::open(&path).unwrap();
    db.put("a/old", "1").unwrap();
    let before = db.stats().last_committed;
    let mut batch = WriteBatch::new();
    batch.put("a/gone", "1").unwrap();
    batch.delete_range("a/"..="a/~").unwrap();
    batch.put("a/new", "1").unwrap();
    batch.put("a/new", "2").unwrap();
    batch.put("b", "1").unwrap();
    batch.delete("b").unwrap();
    assert_eq!(batch.put(vec![0; 70_000], "1").unwrap_err().class(), ErrorClass::User);
    assert_eq!((batch.len(), batch.is_empty()), (6, false));
    assert_eq!(db.write(batch).unwrap(), before + 1, "one commit");
    assert_eq!(db.write(WriteBatch::new()).unwrap(), before + 1, "an empty one is none");
    db.close().unwrap();
    let db = Database::open(&path).unwrap();
    assert_eq!(keys(db.get_range(..).unwrap()), ["a/new"]);
    assert_eq!(db.get("a/new").unwrap().unwrap(), "2");
    db.clone().close().unwrap();
    let mut late = WriteBatch::new();
    late.put("c", "1").unwrap();
    assert!(db.write(late).unwrap_err().to_string().contains("closed"));
}
