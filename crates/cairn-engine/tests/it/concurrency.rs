//! Transactions side by side: what must conflict does, at commit, whichever order; what need not, does not.

use cairn_engine::ddl::{ConstraintSpec, IndexColumnSpec, IndexSpec};
use cairn_engine::table::{self, OnConflict};
use cairn_engine::{Database, Error, Result, Transaction};
use cairn_types::key::{self, KeyOrder};
use cairn_types::{DataType, Value};

use crate::support::{Random, all_rows, batch, begin, seed, simple_table};

fn row_key(id: i32) -> bytes::Bytes {
    let mut out = Vec::new();
    key::encode_value(&Value::Integer(id), &DataType::Integer, KeyOrder::ASCENDING, &mut out).unwrap();
    out.into()
}

fn insert(txn: &Transaction, table: &str, row: &[Option<i32>]) -> Result<()> {
    let table = txn.catalog().table("public", table)?;
    let row: Vec<Value> = row.iter().map(|v| Value::from(*v)).collect();
    table::insert(txn, &table, &batch(&table, &[row]), OnConflict::Error).map(|_| ())
}

fn delete(txn: &Transaction, table: &str, id: i32) -> Result<()> {
    let table = txn.catalog().table("public", table)?;
    table::delete(txn, &table, &[row_key(id)]).map(|_| ())
}

/// A parent with rows 1 to 3, a child (indexed or not) without rows.
fn family(child_index: bool) -> Database {
    let db = Database::in_memory().unwrap();
    let txn = begin(&db);
    simple_table(&txn, "p", &[("v", DataType::Integer)]).unwrap();
    simple_table(&txn, "c", &[("p", DataType::Integer)]).unwrap();
    txn.add_constraint("public", "c", foreign_key()).unwrap();
    if child_index {
        create_index(&txn, "c", "p").unwrap();
    }
    for id in 1..4 {
        insert(&txn, "p", &[Some(id), Some(id)]).unwrap();
    }
    txn.commit().unwrap();
    db
}

fn foreign_key() -> ConstraintSpec {
    ConstraintSpec::ForeignKey {
        name: None,
        columns: vec!["p".into()],
        parent: ("public".into(), "p".into()),
        parent_columns: vec![],
        on_delete: Default::default(),
        on_update: Default::default(),
        not_valid: false,
        deferrable: None,
    }
}

fn create_index(txn: &Transaction, table: &str, column: &str) -> Result<()> {
    let columns = vec![IndexColumnSpec::ascending(column)];
    let (schema, table, kind) = ("public".into(), table.into(), "btree".into());
    txn.create_index(&IndexSpec {
        schema,
        table,
        name: None,
        kind,
        columns,
        unique: true,
        ..Default::default()
    })
    .map(|_| ())
}

/// Both do their work on one snapshot; `a` commits first. The second must conflict exactly where `wanted`.
fn both(db: &Database, a: impl Fn(&Transaction), b: impl Fn(&Transaction), wanted: bool) {
    let (first, second) = (begin(db), begin(db));
    a(&first);
    b(&second);
    first.commit().unwrap();
    match second.commit() {
        Ok(_) => assert!(!wanted, "both committed"),
        Err(e) => {
            assert!(e.is_retryable(), "{e}");
            assert!(wanted, "{e} {:?}", e.detail());
        }
    }
    cairn_engine::verify::indexes(&db.view().unwrap()).unwrap();
}

#[test]
fn the_same_unique_key_conflicts() {
    let db = family(true);
    both(
        &db,
        |t| insert(t, "p", &[Some(10), None]).unwrap(),
        |t| insert(t, "p", &[Some(10), None]).unwrap(),
        true,
    );
    both(
        &db,
        |t| insert(t, "c", &[Some(1), Some(1)]).unwrap(),
        |t| insert(t, "c", &[Some(2), Some(1)]).unwrap(),
        true,
    );
    both(
        &db,
        |t| insert(t, "c", &[Some(5), Some(2)]).unwrap(),
        |t| insert(t, "c", &[Some(6), Some(3)]).unwrap(),
        false,
    );
}

#[test]
fn a_parent_and_its_new_child_conflict_in_either_order() {
    for indexed in [false, true] {
        let child = |t: &Transaction| insert(t, "c", &[Some(1), Some(2)]).unwrap();
        let parent = |t: &Transaction| delete(t, "p", 2).unwrap();
        both(&family(indexed), child, parent, true);
        both(&family(indexed), parent, child, true);
        both(&family(true), |t| delete(t, "p", 1).unwrap(), child, false);
        both(&family(true), child, |t| delete(t, "p", 1).unwrap(), false);
    }
}

#[test]
fn definitions_and_rows_conflict_in_either_order() {
    type Work<'a> = &'a dyn Fn(&Transaction);
    let insert_row: Work<'_> = &|t| insert(t, "c", &[Some(1), None]).unwrap();
    let by_rows: [Work<'_>; 4] = [
        &|t| create_index(t, "c", "id").unwrap(),
        &|t| t.set_not_null("public", "c", "p", true).unwrap(),
        &|t| {
            let unique = ConstraintSpec::Unique {
                name: None,
                columns: vec!["p".into(), "id".into()],
                nulls_not_distinct: false,
                include: Vec::new(),
                deferrable: None,
            };
            t.add_constraint("public", "c", unique).unwrap();
        },
        &|t| t.drop_constraint("public", "c", "c_pkey", false).unwrap(),
    ];
    for ddl in by_rows {
        both(&family(false), ddl, insert_row, true);
        both(&family(false), insert_row, ddl, true);
    }
    // A range of keys that is deleted conflicts with what others wrote in it.
    let drop: Work<'_> = &|t| t.drop_tables(&[("public", "c")], false).unwrap();
    both(&family(false), drop, insert_row, true);
    both(&family(false), insert_row, drop, true);
    let rename: Work<'_> = &|t| t.rename_column("public", "c", "p", "q").unwrap();
    both(&family(false), rename, insert_row, true);
    both(&family(false), insert_row, rename, false);
}

#[test]
fn a_new_foreign_key_and_a_parent_that_goes_conflict() {
    for first in [true, false] {
        let db = family(false);
        let txn = begin(&db);
        simple_table(&txn, "d", &[("p", DataType::Integer)]).unwrap();
        insert(&txn, "d", &[Some(1), Some(3)]).unwrap();
        txn.commit().unwrap();
        let key = |t: &Transaction| t.add_constraint("public", "d", foreign_key()).unwrap();
        let parent = |t: &Transaction| delete(t, "p", 3).unwrap();
        if first { both(&db, key, parent, true) } else { both(&db, parent, key, true) }
    }
}

#[test]
fn a_statement_of_several_batches_may_refer_forward() {
    let db = family(true);
    let txn = begin(&db);
    let table = txn.catalog().table("public", "c").unwrap();
    txn.drop_constraint("public", "c", "c_p_fkey", false).unwrap();
    let own = match foreign_key() {
        ConstraintSpec::ForeignKey { name, columns, parent_columns, on_delete, on_update, .. } => {
            let parent = ("public".into(), "c".into());
            ConstraintSpec::ForeignKey {
                name,
                columns,
                parent,
                parent_columns,
                on_delete,
                on_update,
                not_valid: false,
                deferrable: None,
            }
        }
        other => other,
    };
    txn.add_constraint("public", "c", own).unwrap();
    let table = txn.catalog().table("public", &table.name).unwrap();
    let mut pending = table::PendingForeignKeys::default();
    let mut add = |id: i32, up: i32| {
        let rows = batch(&table, &[vec![Value::Integer(id), Value::Integer(up)]]);
        table::insert_batch(&txn, &table, &rows, OnConflict::Error, &mut pending).unwrap();
    };
    add(1, 2);
    add(2, 1);
    add(3, 9);
    assert_eq!(pending.check(&txn).unwrap_err().sqlstate(), "23503");
    assert_eq!(insert(&txn, "c", &[Some(4), Some(8)]).unwrap_err().sqlstate(), "23503");
}

#[test]
fn definitions_of_a_snapshot_stay() {
    let db = family(true);
    let (old, view) = (begin(&db), db.view().unwrap());
    let txn = begin(&db);
    txn.drop_tables(&[("public", "c")], false).unwrap();
    txn.commit().unwrap();
    assert!(db.catalog().table("public", "c").is_err());
    assert!(old.catalog().table("public", "c").is_ok());
    let table = view.catalog().table("public", "c").unwrap();
    assert_eq!(all_rows(&view, &table).unwrap().len(), 0);
    let begun_later = begin(&db);
    assert!(begun_later.catalog().table("public", "c").is_err());
    assert!(begun_later.catalog().version() > old.catalog().version());
}

#[test]
fn threads_that_take_and_give_back_keys() {
    let db = family(true);
    let first = seed(3);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let db = db.clone();
            scope.spawn(move || {
                let mut random = Random(first + worker);
                for _ in 0..150 {
                    let done = once(&db, &mut random);
                    assert!(
                        matches!(done, Ok(()) | Err(Error::Conflict { .. } | Error::Constraint { .. })),
                        "{done:?}"
                    );
                }
            });
        }
    });
    let view = db.view().unwrap();
    cairn_engine::verify::indexes(&view).unwrap();
    let ids = |name: &str, column: usize| {
        let table = view.catalog().table("public", name).unwrap();
        let rows = all_rows(&view, &table).unwrap();
        rows.into_iter().filter_map(move |row| row[column].as_i64()).collect::<Vec<_>>()
    };
    let parents = ids("p", 0);
    let mut children = ids("c", 1);
    assert!(children.iter().all(|p| parents.contains(p)), "children without parents");
    let count = children.len();
    children.sort_unstable();
    children.dedup();
    assert_eq!(children.len(), count, "a unique key twice");
}

fn once(db: &Database, random: &mut Random) -> Result<()> {
    let txn = db.begin(Default::default())?;
    let (parent, child) = (random.below(6) as i32, random.below(8) as i32);
    match random.below(4) {
        0 => insert(&txn, "p", &[Some(parent), None])?,
        1 => delete(&txn, "p", parent)?,
        2 => delete(&txn, "c", child)?,
        _ => insert(&txn, "c", &[Some(child), Some(parent)])?,
    }
    txn.commit()?;
    Ok(())
}
