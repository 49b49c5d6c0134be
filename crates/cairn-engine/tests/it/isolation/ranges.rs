//! Ranges: deleting one beside writers of its keys at every level, and transactions with so many rows locked that they
//! lock the whole table instead.

use super::*;
use crate::support::{Random, seed};
use cairn_engine::{Direction, KeyLock, Options, Wait};

fn client(work: impl FnOnce(&Here) + Send + 'static) -> Client {
    Box::new(work)
}

fn end(txn: &Transaction, commits: bool) {
    if commits {
        txn.commit().unwrap();
    } else {
        txn.rollback();
    }
}

fn range() -> KeyRange {
    KeyRange::half_open(b"b", b"m")
}

fn fill(db: &Database) {
    let txn = begin(db, Isolation::Snapshot);
    txn.delete_range(&KeyRange::all()).unwrap();
    for key in ["a", "c", "z"] {
        txn.put(key.as_bytes(), b"old").unwrap();
    }
    txn.commit().unwrap();
}

fn left(db: &Database) -> String {
    let keys = keys(&begin(db, Isolation::Snapshot));
    keys.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// A writer at Read Committed has put a key that was there and one that was not, and ends after the deletion is asked for.
#[test]
fn deleting_a_range_waits_for_writers_of_its_keys() {
    let world = World::new(1);
    for (isolation, commits, outcome_wanted, left_wanted) in [
        (Isolation::ReadCommitted, true, "ok", "a=old z=old"),
        (Isolation::ReadCommitted, false, "ok", "a=old z=old"),
        (Isolation::RepeatableRead, true, "40001", "a=old c=new d=new z=old"),
        (Isolation::RepeatableRead, false, "ok", "a=old z=old"),
        (Isolation::Snapshot, true, "40001", "a=old c=new d=new z=old"),
        (Isolation::Snapshot, false, "ok", "a=old z=old"),
        (Isolation::Serializable, true, "40001", "a=old c=new d=new z=old"),
        (Isolation::Serializable, false, "ok", "a=old z=old"),
    ] {
        fill(&world.db);
        let writer = client(move |here| {
            let txn = here.begin(Isolation::ReadCommitted);
            txn.put(b"c", b"new").unwrap();
            txn.put(b"d", b"new").unwrap();
            here.pause(10);
            here.say("writer ends");
            end(&txn, commits);
        });
        let deleter = client(move |here| {
            here.pause(5);
            let txn = here.begin(isolation);
            let done = txn.delete_range(&range()).and_then(|()| txn.commit());
            here.say(format!("deleter: {}", outcome(&done)));
        });
        let lines = world.run(vec![writer, deleter]);
        assert_eq!(lines, ["writer ends".to_owned(), format!("deleter: {outcome_wanted}")], "{isolation:?}");
        assert_eq!(left(&world.db), left_wanted, "{isolation:?} {commits}");
    }
}

/// A range deleted and not committed keeps writers of its keys waiting, of those that are not there too, and no others.
#[test]
fn writers_wait_for_a_range_that_is_being_deleted() {
    let world = World::new(1);
    for key in [b"c", b"d"] {
        for (isolation, commits, wanted) in [
            (Isolation::ReadCommitted, true, "ok"),
            (Isolation::RepeatableRead, false, "ok"),
            (Isolation::Snapshot, false, "ok"),
            // Who read or changes what is gone: the first wins.
            (Isolation::RepeatableRead, true, "40001"),
            (Isolation::Snapshot, true, "40001"),
            (Isolation::Serializable, true, "40001"),
        ] {
            fill(&world.db);
            let deleter = client(move |here| {
                let txn = here.begin(Isolation::ReadCommitted);
                txn.delete_range(&range()).unwrap();
                here.pause(10);
                here.say("deleter ends");
                end(&txn, commits);
            });
            let beside = client(move |here| {
                here.pause(4);
                let txn = here.begin(isolation);
                txn.put(b"z", b"new").unwrap();
                txn.commit().unwrap();
                here.say("beside");
            });
            let writer = client(move |here| {
                here.pause(5);
                let txn = here.begin(isolation);
                let done = txn.put(key, b"new").and_then(|()| txn.commit());
                here.say(format!("writer: {}", outcome(&done)));
            });
            let lines = world.run(vec![deleter, beside, writer]);
            let wanted_lines = ["beside".to_owned(), "deleter ends".to_owned(), format!("writer: {wanted}")];
            assert_eq!(lines, wanted_lines, "{isolation:?} {commits} {key:?}");
            let is_there = left(&world.db).contains(&format!("{}=new", key[0] as char));
            assert_eq!(is_there, wanted == "ok", "{isolation:?} {commits}");
        }
    }
}

const COUNTERS: u64 = 6;

fn count(bytes: Option<bytes::Bytes>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_le_bytes(bytes[..].try_into().unwrap()))
}

/// One adds to a counter; or takes all counters of a range away, and notes what they had.
fn step(txn: &Transaction, isolation: Isolation, random: &mut Random, here: &Here) -> Result<u64> {
    let key = |n: u64| n.to_be_bytes();
    if random.below(3) > 0 {
        let own = key(random.below(COUNTERS));
        let old = match isolation.is_locking() {
            true => txn.get_for_update(&own)?,
            false => txn.get(&own)?,
        };
        here.pause(random.below(2));
        txn.put(&own, &(count(old) + 1).to_le_bytes())?;
        return Ok(0);
    }
    let first = random.below(COUNTERS);
    let range = KeyRange::half_open(&key(first), &key(first + 1 + random.below(COUNTERS)));
    let mut taken = 0;
    if isolation == Isolation::ReadCommitted {
        for n in first..COUNTERS {
            if range.contains(&key(n)) {
                taken += count(txn.get_for_update(&key(n))?);
            }
        }
    } else {
        for entry in txn.scan(range.clone(), Direction::Forward)? {
            taken += count(Some(entry?.1));
        }
    }
    here.pause(random.below(2));
    txn.delete_range(&range)?;
    Ok(taken)
}

#[test]
fn nothing_is_lost_beside_deletions_of_ranges() {
    let first = seed(1);
    let mut retried = 0;
    for seed in first..first + 40 {
        let world = World::new(seed);
        let clients = (0..4u64).map(|own| {
            client(move |here| {
                let mut random = Random(seed * 100 + own);
                for _ in 0..10 {
                    let isolation = LEVELS[random.below(4) as usize];
                    loop {
                        let mut again = Random(random.0);
                        let txn = here.begin(isolation);
                        let done = step(&txn, isolation, &mut again, here);
                        match done.and_then(|taken| txn.commit().map(|_| taken)) {
                            Ok(taken) => {
                                here.say(format!("took {taken}"));
                                random = again;
                                break;
                            }
                            Err(error) => {
                                assert!(error.is_retryable(), "seed {seed}: {error}");
                                here.say("again");
                                here.pause(1 + own);
                            }
                        }
                    }
                }
            })
        });
        let lines = world.run(clients.collect());
        retried += lines.iter().filter(|line| *line == "again").count();
        let took: Vec<u64> =
            lines.iter().filter_map(|line| line.strip_prefix("took ")?.parse().ok()).collect();
        let scan = begin(&world.db, Isolation::Snapshot).scan(KeyRange::all(), Direction::Forward).unwrap();
        let left: u64 = scan.map(|entry| count(Some(entry.unwrap().1))).sum();
        let added = counted(seed);
        assert_eq!(took.iter().sum::<u64>() + left, added, "seed {seed}: {lines:?}");
    }
    assert!(retried > 0, "nothing ever collided");
}

/// How many steps of a seed add one: each client's plan does not depend on how they meet.
fn counted(seed: u64) -> u64 {
    let mut added = 0;
    for own in 0..4u64 {
        let mut random = Random(seed * 100 + own);
        for _ in 0..10 {
            random.below(4);
            let adds = random.below(3) > 0;
            added += u64::from(adds);
            random.below(COUNTERS);
            random.below(if adds { 2 } else { COUNTERS });
            if !adds {
                random.below(2);
            }
        }
    }
    added
}

fn small_locks() -> Database {
    let mut options = Options::default();
    options.lock_bytes_max = 64 << 10;
    let db = Database::open(&Env::memory(), "/db".as_ref(), options).unwrap();
    let txn = begin(&db, Isolation::Snapshot);
    for name in ["t", "other"] {
        simple_table(&txn, name, &[("v", DataType::Integer)]).unwrap();
    }
    insert(&txn, "other", 1, None).unwrap();
    txn.commit().unwrap();
    db
}

fn insert_many(txn: &Transaction, ids: std::ops::Range<i32>) -> Result<()> {
    for first in ids.clone().step_by(500) {
        let table = table_of(txn, "t");
        let rows = (first..ids.end.min(first + 500)).map(|id| vec![Value::from(id), Value::from(id)]);
        table::insert(txn, &table, &batch(&table, &rows.collect::<Vec<_>>()), OnConflict::Error)?;
    }
    Ok(())
}

/// Rows by the thousand take no lock each: the table is locked as a whole. Whoever inserts one of the keys waits as for a
/// row, others find memory for their locks, and nobody is refused.
#[test]
fn very_many_rows_are_locked_as_a_table() {
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let db = small_locks();
        let big = begin(&db, isolation);
        insert_many(&big, 0..5_000).unwrap();
        let held = db.stats().lock_bytes;
        assert!(held < 32 << 10, "{held}");
        let other = begin(&db, Isolation::ReadCommitted);
        assert_eq!(update(&other, "other", 1, Some(7)).unwrap(), 1);
        other.commit().unwrap();
        std::thread::scope(|threads| {
            let inserter = threads.spawn(|| {
                let txn = begin(&db, Isolation::ReadCommitted);
                insert(&txn, "t", 4_999, None)
            });
            while !db.locks().iter().any(|lock| !lock.granted) {
                std::thread::yield_now();
            }
            big.commit().unwrap();
            assert_eq!(outcome(&inserter.join().unwrap()), "23505", "{isolation:?}");
        });
        // All of them are changed in the same way, and by whom they were locked does not matter afterwards.
        let again = begin(&db, isolation);
        let table = table_of(&again, "t");
        let keys: Vec<_> = (0..5_000).map(row_key).collect();
        let locked = table::lock_rows(&again, &table, &keys, KeyLock::Update, Wait::Block).unwrap();
        assert!(locked.are_unchanged());
        assert_eq!(table::delete(&again, &table, &keys).unwrap(), 5_000);
        assert!(db.stats().lock_bytes < 32 << 10);
        again.commit().unwrap();
        assert!(db.locks().is_empty() && db.stats().lock_bytes == 0);
    }
}

/// Where others have rows of the table it cannot be locked as a whole: locks stop at half of their memory, the rest is
/// validated at commit. Going back to a savepoint gives the table back.
#[test]
fn a_table_that_others_use_is_not_locked_as_a_whole() {
    let db = small_locks();
    let one = begin(&db, Isolation::ReadCommitted);
    insert(&one, "t", -1, None).unwrap();
    let big = begin(&db, Isolation::ReadCommitted);
    insert_many(&big, 0..5_000).unwrap();
    assert!(db.stats().lock_bytes < 48 << 10, "{}", db.stats().lock_bytes);
    // Memory is left for others, and the same table is open to them.
    insert(&one, "t", -2, None).unwrap();
    one.commit().unwrap();
    big.commit().unwrap();
    let alone = begin(&db, Isolation::ReadCommitted);
    let before = alone.savepoint().unwrap();
    insert_many(&alone, 5_000..9_000).unwrap();
    let small = begin(&db, Isolation::ReadCommitted);
    small.set_lock_timeout(Some(std::time::Duration::from_millis(1))).unwrap();
    assert_eq!(outcome(&insert(&small, "t", 8_999, None)), "55P03");
    alone.rollback_to(before).unwrap();
    insert(&small, "t", 8_999, None).unwrap();
    small.commit().unwrap();
    alone.commit().unwrap();
    assert_eq!(db.approximate_rows(table_of(&begin(&db, Isolation::Snapshot), "t").id), 5_003);
}
