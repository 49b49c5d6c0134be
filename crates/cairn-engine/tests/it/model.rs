//! Random work on one table against a model: a map of rows, searched by brute force. Whatever was done (batches,
//! moves of keys, savepoints, rollbacks, indexes made and dropped, flushes), every index gives what a scan gives.
//!
//! `CAIRN_SEED` replays a seed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use cairn_engine::ddl::{IndexColumnSpec, IndexSpec};
use cairn_engine::table::{self, Access, Bounds, ConflictTarget, OnConflict, ScanRequest};
use cairn_engine::{Database, Direction, Error, Options, Result, Table, Transaction};
use cairn_types::key::{self, KeyOrder};
use cairn_types::{DataType, Value};

use crate::support::{Random, all_rows, batch, begin, rows, seed, simple_table};

/// `a` and `b`.
type Cells = (Option<i32>, Option<i32>);
/// `id` → `(a, b)`; `b` is unique.
pub(crate) type State = BTreeMap<i32, Cells>;

#[test]
fn indexes_agree_with_scans_whatever_is_done() {
    let first = seed(1);
    for seed in first..first + 60 {
        let db = Database::in_memory().unwrap();
        let mut random = Random(seed);
        make(&db).unwrap();
        let mut state = State::new();
        for _ in 0..40 {
            state = transaction(&db, &state, &mut random).unwrap().0;
            if random.below(8) == 0 {
                db.flush().unwrap();
            }
            check(&db, &state, &mut random);
        }
    }
}

#[test]
fn many_rows_over_many_files() {
    let db = Database::open(&cairn_env::Env::memory(), "/db".as_ref(), small_options()).unwrap();
    make(&db).unwrap();
    let mut random = Random(seed(7));
    let mut state = State::new();
    for _ in 0..20 {
        let txn = begin(&db);
        let table = txn.catalog().table("public", "t").unwrap();
        let new: Vec<i32> = (0..500).map(|_| random.below(20_000) as i32).collect();
        let fresh = |id: &i32| !state.contains_key(id);
        let mut ids: Vec<i32> = new.into_iter().filter(fresh).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows: Vec<_> = ids.iter().map(|id| row(*id, &(Some(id % 7), Some(*id)))).collect();
        table::insert(&txn, &table, &batch(&table, &rows), OnConflict::Error).unwrap();
        state.extend(ids.iter().map(|id| (*id, (Some(id % 7), Some(*id)))));
        let gone: Vec<i32> = state.keys().copied().filter(|_| random.below(10) == 0).collect();
        assert_eq!(table::delete(&txn, &table, &keys(&gone)).unwrap(), gone.len());
        state.retain(|id, _| !gone.contains(id));
        txn.commit().unwrap();
        check(&db, &state, &mut random);
    }
    db.compact().unwrap();
    check(&db, &state, &mut random);
    db.verify().unwrap();
    let table = db.catalog().table("public", "t").unwrap();
    let view = db.view().unwrap();
    for parts in 1..6 {
        let accesses = table::split(&view, &table, &Access::Full, parts);
        let count: usize = accesses
            .into_iter()
            .map(|access| rows(&view, &table, ScanRequest::new(access, [0])).unwrap().len())
            .sum();
        assert_eq!(count, state.len());
    }
}

/// Small memtables and files, so that little data makes many.
pub(crate) fn small_options() -> Options {
    let mut options = Options::default();
    options.memtable_bytes = 16 * 1024;
    options.wal_segment_bytes = 64 * 1024;
    options.wal_allocate_bytes = 16 * 1024;
    options.target_file_bytes = 16 * 1024;
    options.level1_bytes = 64 * 1024;
    options
}

pub(crate) fn make(db: &Database) -> Result<()> {
    let txn = db.begin(Default::default())?;
    simple_table(&txn, "t", &[("a", DataType::Integer), ("b", DataType::Integer)])?;
    index(&txn, "by_a", &["a"], false)?;
    index(&txn, "by_b", &["b"], true)?;
    txn.commit()?;
    Ok(())
}

pub(crate) fn index(txn: &Transaction, name: &str, columns: &[&str], unique: bool) -> Result<()> {
    let columns = columns.iter().map(|c| IndexColumnSpec {
        column: (*c).to_owned(),
        expression: None,
        descending: name == "by_ba",
        nulls_first: name == "by_ba",
    });
    txn.create_index(&IndexSpec {
        schema: "public".into(),
        table: "t".into(),
        name: Some(name.into()),
        kind: "btree".into(),
        columns: columns.collect(),
        unique,
        ..Default::default()
    })?;
    Ok(())
}

fn row(id: i32, (a, b): &Cells) -> Vec<Value> {
    vec![Value::Integer(id), Value::from(*a), Value::from(*b)]
}

fn keys(ids: &[i32]) -> Vec<Bytes> {
    let key = |id: &i32| {
        let mut out = Vec::new();
        key::encode_value(&Value::Integer(*id), &DataType::Integer, KeyOrder::ASCENDING, &mut out).unwrap();
        Bytes::from(out)
    };
    ids.iter().map(key).collect()
}

/// One transaction of random work. Gives the state after it, and whether it was committed; an error is one of the
/// commit.
pub(crate) fn transaction(db: &Database, before: &State, random: &mut Random) -> Result<(State, bool)> {
    let txn = db.begin(Default::default())?;
    let mut state = before.clone();
    let mut savepoints = Vec::new();
    for _ in 0..random.below(6) + 1 {
        match random.below(20) {
            0..=7 => insert(&txn, &mut state, random)?,
            8..=12 => update(&txn, &mut state, random)?,
            13..=15 => {
                let gone = some_ids(&state, random);
                let table = txn.catalog().table("public", "t")?;
                let wanted = gone.iter().filter(|id| state.contains_key(id)).count();
                assert_eq!(table::delete(&txn, &table, &keys(&gone))?, wanted);
                state.retain(|id, _| !gone.contains(id));
            }
            16 => savepoints.push((txn.savepoint()?, state.clone())),
            17 => {
                if let Some((savepoint, saved)) = savepoints.last() {
                    txn.rollback_to(*savepoint)?;
                    state = saved.clone();
                }
            }
            18 => {
                let there = txn.catalog().table("public", "t")?.index_by_name("by_ba").is_some();
                if there {
                    txn.drop_index("public", "by_ba", false)?;
                } else {
                    index(&txn, "by_ba", &["b", "a"], false)?;
                }
            }
            _ if random.below(4) == 0 => {
                let table = txn.catalog().table("public", "t")?;
                table::truncate(&txn, &[&table], false, false)?;
                state.clear();
            }
            _ => compare(&txn.view()?, &state, random)?,
        }
    }
    if random.below(4) == 0 {
        txn.rollback();
        return Ok((before.clone(), false));
    }
    txn.commit()?;
    Ok((state, true))
}

fn some_ids(state: &State, random: &mut Random) -> Vec<i32> {
    let mut ids: Vec<i32> = state.keys().copied().filter(|_| random.below(3) == 0).collect();
    if random.below(4) == 0 {
        ids.push(random.below(60) as i32);
        ids.sort_unstable();
        ids.dedup();
    }
    ids
}

fn cell(random: &mut Random) -> Option<i32> {
    (random.below(4) > 0).then(|| random.below(40) as i32)
}

fn unique(state: &State) -> bool {
    let mut seen = std::collections::HashSet::new();
    state.values().filter_map(|(_, b)| *b).all(|b| seen.insert(b))
}

fn insert(txn: &Transaction, state: &mut State, random: &mut Random) -> Result<()> {
    let table = txn.catalog().table("public", "t")?;
    let count = if random.below(4) == 0 { 40 } else { 1 + random.below(4) };
    let sorted = random.below(2) == 0;
    let mut new: Vec<(i32, Cells)> =
        (0..count).map(|_| (random.below(60) as i32, (cell(random), cell(random)))).collect();
    if sorted {
        new.sort_unstable();
        new.dedup_by_key(|(id, _)| *id);
    }
    let rows: Vec<_> = new.iter().map(|(id, cells)| row(*id, cells)).collect();
    let batch = batch(&table, &rows);
    if random.below(3) == 0 {
        let target = ConflictTarget::Any;
        let inserted = table::insert(txn, &table, &batch, OnConflict::DoNothing { target })?;
        let mut wanted = 0;
        for (id, cells) in new {
            let taken = |b: i32| state.values().any(|(_, other)| *other == Some(b));
            if !state.contains_key(&id) && !cells.1.is_some_and(taken) {
                state.insert(id, cells);
                wanted += 1;
            }
        }
        assert_eq!(inserted.rows, wanted);
        return Ok(());
    }
    let mut after = state.clone();
    let mut fits = true;
    for (id, cells) in new {
        fits &= after.insert(id, cells).is_none();
    }
    expect(table::insert(txn, &table, &batch, OnConflict::Error).map(|_| ()), fits && unique(&after))?;
    if fits && unique(&after) {
        *state = after;
    }
    Ok(())
}

fn update(txn: &Transaction, state: &mut State, random: &mut Random) -> Result<()> {
    let table = txn.catalog().table("public", "t")?;
    let ids = some_ids(state, random);
    let what = random.below(4);
    let shift = random.below(5) as i32 - 2;
    let mut after: State =
        state.iter().filter(|(id, _)| !ids.contains(id)).map(|(id, c)| (*id, *c)).collect();
    let mut fits = true;
    let mut new = Vec::new();
    for id in &ids {
        let old = state.get(id).copied();
        let (mut new_id, mut cells) = (*id, old.unwrap_or((None, None)));
        match what {
            0 => cells.0 = cell(random),
            1 => cells.1 = cells.1.map(|b| b + shift),
            2 => cells = (cell(random), cell(random)),
            _ => new_id += shift,
        }
        new.push(row(new_id, &cells));
        if old.is_some() {
            fits &= after.insert(new_id, cells).is_none();
        }
    }
    fits &= unique(&after);
    let changed: &[usize] = [&[1][..], &[2], &[1, 2], &[0]][what as usize];
    let done = table::update(txn, &table, &keys(&ids), &batch(&table, &new), changed);
    expect(done.map(|_| ()), fits)?;
    if fits {
        *state = after;
    }
    Ok(())
}

/// The call must succeed, or fail with 23505; other errors go on.
fn expect(done: Result<()>, fits: bool) -> Result<()> {
    match done {
        Ok(()) => assert!(fits, "a duplicate key was accepted"),
        Err(e @ Error::Constraint { .. }) => {
            assert_eq!(e.sqlstate(), "23505");
            assert!(!fits, "{e} {:?}", e.detail());
        }
        Err(e) => return Err(e),
    }
    Ok(())
}

pub(crate) fn check(db: &Database, state: &State, random: &mut Random) {
    let view = db.view().unwrap();
    compare(&view, state, random).unwrap();
    cairn_engine::verify::indexes(&view).unwrap();
}

fn compare(view: &cairn_engine::ReadView, state: &State, random: &mut Random) -> Result<()> {
    let table: Arc<Table> = view.catalog().table("public", "t").unwrap();
    let mut wanted: Vec<_> = state.iter().map(|(id, cells)| row(*id, cells)).collect();
    assert_eq!(all_rows(view, &table)?, wanted);
    let (low, high) = (random.below(30) as i32, 10 + random.below(40) as i32);
    for index in &table.indexes {
        let column = if index.name == "by_a" { 1 } else { 2 };
        let bounds = match random.below(4) {
            0 => Bounds::default(),
            1 => Bounds::equal([Value::Integer(low)]),
            2 => Bounds { lower: Bound::Excluded(Value::Integer(low)), ..Bounds::default() },
            _ => Bounds {
                lower: Bound::Included(Value::Integer(low)),
                upper: Bound::Excluded(Value::Integer(high)),
                ..Bounds::default()
            },
        };
        let holds = |cell: &Value| match (&bounds.equal[..], &bounds.lower, &bounds.upper) {
            ([], Bound::Unbounded, _) => true,
            ([], Bound::Excluded(_), _) => cell.as_i64().is_some_and(|v| v > i64::from(low)),
            ([], ..) => cell.as_i64().is_some_and(|v| (i64::from(low)..i64::from(high)).contains(&v)),
            _ => cell.as_i64() == Some(i64::from(low)),
        };
        wanted = state.iter().map(|(id, cells)| row(*id, cells)).filter(|r| holds(&r[column])).collect();
        let access = table::index_access(&table, index.id, std::slice::from_ref(&bounds)).unwrap();
        let direction = if random.below(2) == 0 { Direction::Forward } else { Direction::Reverse };
        let columns = if random.below(2) == 0 { vec![0, 1, 2] } else { vec![0, column] };
        let request = ScanRequest { direction, ..ScanRequest::new(access, columns.clone()) };
        let mut found = rows(view, &table, request)?;
        let in_order = found.windows(2).all(|pair| {
            let order = pair[0].last().unwrap().compare_as(pair[1].last().unwrap(), &DataType::Integer);
            let order = if columns.len() == 3 {
                pair[0][column].compare_as(&pair[1][column], &DataType::Integer)
            } else {
                order
            };
            let turned = (index.name == "by_ba") != (direction == Direction::Reverse);
            if turned { order.is_ge() } else { order.is_le() }
        });
        assert!(in_order, "{} out of order", index.name);
        found.sort_by_key(|r| r[0].as_i64());
        let wanted: Vec<Vec<Value>> =
            wanted.iter().map(|r| columns.iter().map(|c| r[*c].clone()).collect()).collect();
        assert_eq!(found, wanted, "{} {bounds:?}", index.name);
    }
    Ok(())
}
