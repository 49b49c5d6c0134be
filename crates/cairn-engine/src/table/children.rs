//! FOREIGN KEY from the parent's side: which child rows refer to keys that go, and what becomes of them.
//!
//! I1: the range in which children were looked for is guarded, so that a transaction that inserts such a child and
//! this one cannot both commit, at any isolation level.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use cairn_index::{Bounds, Match, key_range};
use cairn_storage::{Direction, KeyRange, ObjectLock};
use cairn_types::Value;
use cairn_types::key::{self, KeyOrder};

use super::check::{object, places};
use super::parent::ParentKey;
use super::statement::{KeySet, NewValues, Statement, references, row_values};
use crate::catalog::{ColumnId, ForeignKey, IndexId, ReferentialAction, Table};
use crate::error::{Error, Result, Violation};
use crate::key_space::{self, PREFIX_BYTES};
use crate::transaction::Writer;

/// A child table and its key.
pub(super) struct References {
    pub(super) child: Arc<Table>,
    pub(super) foreign_key: ForeignKey,
}

/// Rows of `parent` are gone (`new` = none) or have changed (the same rows in `new`): sets in motion what the
/// foreign keys of its children say.
pub(super) fn follow(
    writer: &mut Writer<'_>,
    parent: &Table,
    references: &References,
    old: &RecordBatch,
    new: Option<&RecordBatch>,
    statement: &mut Statement,
) -> Result<()> {
    let References { child, foreign_key } = references;
    let parent_places = places(parent, &foreign_key.parent_columns);
    let moved = |row: usize| {
        new.is_none_or(|new| {
            row_values(parent, old, &parent_places, row) != row_values(parent, new, &parent_places, row)
        })
    };
    let set = KeySet::of(parent, old, &parent_places, moved);
    if set.keys.is_empty() {
        return Ok(());
    }
    let action = if new.is_some() { foreign_key.on_update } else { foreign_key.on_delete };
    if action == ReferentialAction::NoAction {
        statement.check_at_end(child.clone(), foreign_key.clone(), set.keys);
        return Ok(());
    }
    if action == ReferentialAction::Restrict {
        return refuse(writer, child, foreign_key, set.keys);
    }
    let found = referring(writer, child, foreign_key, &set.keys)?;
    if found.is_empty() {
        return Ok(());
    }
    let (which, keys): (Vec<usize>, Vec<Bytes>) = found.into_iter().unzip();
    let child_places = places(child, &foreign_key.columns);
    let values = match (action, new) {
        (ReferentialAction::Cascade, None) => {
            statement.delete(child.clone(), keys);
            return Ok(());
        }
        (ReferentialAction::Cascade, Some(new)) => {
            let values = which.iter().map(|i| row_values(parent, new, &parent_places, set.rows[*i]));
            NewValues::Given(values.collect())
        }
        (ReferentialAction::SetDefault, _) => NewValues::Default,
        _ => NewValues::Null,
    };
    statement.assign(child.clone(), keys, child_places, values);
    // A SET DEFAULT that gives the very key that goes, or a row changed by two keys at once, shows at the end.
    statement.check_at_end(child.clone(), foreign_key.clone(), set.keys);
    Ok(())
}

/// An error where a child row refers to a row of a partition through one of the tables above it, which lose it.
pub(crate) fn check_unreferred(writer: &mut Writer<'_>, table: &Arc<Table>) -> Result<()> {
    let above: Vec<_> = references(writer, table)
        .into_iter()
        .filter(|own| {
            let direct = writer
                .catalog
                .children(table.id)
                .any(|(child, key)| child.id == own.child.id && key.name == own.foreign_key.name);
            !direct
        })
        .collect();
    for References { child, foreign_key } in above {
        writer.guard_rows(table.id);
        let places = places(table, &foreign_key.parent_columns);
        let all: Vec<usize> = (0..table.live_columns().len()).collect();
        for batch in super::scan(&writer.view(), table, super::ScanRequest::full(all))? {
            let set = KeySet::of(table, &batch?, &places, |_| true);
            let found = referring(writer, &child, &foreign_key, &set.keys)?;
            let Some((which, _)) = found.first() else { continue };
            let names: Vec<&str> = places.iter().map(|p| table.live_column(*p).name.as_str()).collect();
            let cells = set.keys[*which].iter().zip(&places);
            let cells: Vec<String> = cells.map(|(v, p)| v.to_text(&table.live_column(*p).ty)).collect();
            return Err(Error::Constraint {
                violation: Violation::ForeignKey,
                message: format!(
                    "removing partition \"{}\" violates foreign key constraint \"{}\"",
                    table.name, foreign_key.name
                ),
                detail: Some(format!(
                    "Key ({})=({}) is still referenced from table \"{}\".",
                    names.join(", "),
                    cells.join(", "),
                    child.name
                )),
                object: object(&child, None, Some(&foreign_key.name)),
            });
        }
    }
    Ok(())
}

/// An error where a child row refers to one of those keys, and no parent row has that key (any more).
pub(super) fn refuse(
    writer: &mut Writer<'_>,
    child: &Arc<Table>,
    foreign_key: &ForeignKey,
    keys: Vec<Vec<Value>>,
) -> Result<()> {
    let parent = writer.catalog.table_by_id(foreign_key.parent).cloned();
    let parent = parent.ok_or_else(|| Error::corrupt("catalog", "foreign key to a missing table"))?;
    let parent_key = ParentKey::new(&writer.catalog, &parent, foreign_key)?;
    let mut gone = Vec::new();
    let mut whole = Vec::new();
    for key in keys {
        if parent_key.encode(&key, &mut whole) && writer.txn_ref().get_latest(&whole)?.is_none() {
            gone.push(key);
        }
    }
    let found = referring(writer, child, foreign_key, &gone)?;
    let Some((which, _)) = found.first() else { return Ok(()) };
    let columns = foreign_key.parent_columns.iter().filter_map(|id| parent.column_by_id(*id));
    let (names, cells): (Vec<_>, Vec<_>) =
        columns.zip(&gone[*which]).map(|(c, v)| (c.name.clone(), v.to_text(&c.ty))).unzip();
    Err(Error::Constraint {
        violation: Violation::ForeignKey,
        message: format!(
            "update or delete on table \"{}\" violates foreign key constraint \"{}\" on table \"{}\"",
            parent.name, foreign_key.name, child.name
        ),
        detail: Some(format!(
            "Key ({})=({}) is still referenced from table \"{}\".",
            names.join(", "),
            cells.join(", "),
            child.name
        )),
        object: object(child, None, Some(&foreign_key.name)),
    })
}

/// Whether a row of `child` refers to one of `keys`, as [`referring`].
pub(super) fn has_referring(
    writer: &mut Writer<'_>,
    child: &Arc<Table>,
    foreign_key: &ForeignKey,
    keys: &[Vec<Value>],
) -> Result<bool> {
    Ok(!referring(writer, child, foreign_key, keys)?.is_empty())
}

/// The rows of `child` that refer to one of `keys` (values in the order of the foreign key, none NULL): the place of
/// the key, and the row key. What was looked at is guarded (I1).
fn referring(
    writer: &mut Writer<'_>,
    child: &Arc<Table>,
    foreign_key: &ForeignKey,
    keys: &[Vec<Value>],
) -> Result<Vec<(usize, Bytes)>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    writer.guard_table(child.id, ObjectLock::RowShare)?;
    match index_on(child, &foreign_key.columns) {
        Some(index) => by_index(writer, child, foreign_key, keys, index),
        None => by_scan(writer, child, foreign_key, keys),
    }
}

/// An index (0 = the primary key) of which those columns, in any order, come first.
fn index_on(child: &Table, columns: &[ColumnId]) -> Option<IndexId> {
    let leads = |key: Vec<ColumnId>| {
        key.len() >= columns.len() && key[..columns.len()].iter().all(|c| columns.contains(c))
    };
    if leads(child.primary_key.clone()) {
        return Some(0);
    }
    let mut indexes = child.indexes.iter().filter(|index| index.is_plain());
    let usable = |kind: &str| cairn_index::kind(kind).is_some_and(|kind| kind.capabilities().equality);
    indexes.find(|i| usable(&i.kind) && leads(i.columns.iter().map(|c| c.column).collect())).map(|i| i.id)
}

fn by_index(
    writer: &mut Writer<'_>,
    child: &Arc<Table>,
    foreign_key: &ForeignKey,
    keys: &[Vec<Value>],
    index: IndexId,
) -> Result<Vec<(usize, Bytes)>> {
    let codec = child.codec()?;
    let key_columns = child.index_key(index).ok_or_else(|| Error::corrupt("catalog", "missing index"))?;
    let mut leading = Vec::new();
    for (column, order) in key_columns.into_iter().take(foreign_key.columns.len()) {
        let at = foreign_key.columns.iter().position(|id| *id == column.id);
        let at = at.ok_or_else(|| Error::corrupt("catalog", "index on other columns"))?;
        leading.push((at, cairn_index::KeyColumn { ty: column.ty.clone(), order }));
    }
    let shape: Vec<_> = leading.iter().map(|(_, column)| column.clone()).collect();
    let mut found = Vec::new();
    for (which, values) in keys.iter().enumerate() {
        let fitted = leading.iter().map(|(at, column)| values[*at].clone().fit(&column.ty).map(Match::Equal));
        // A value that the child's type cannot hold, no child has.
        let Ok(equal) = fitted.collect::<Result<Vec<_>, _>>() else { continue };
        let Some(range) = key_range(&shape, &Bounds { equal, ..Bounds::default() })? else { continue };
        let range = key_space::absolute(child.id, index, &range);
        writer.txn().guard_range(&range);
        let mut scan = writer.txn_ref().scan_latest(range, Direction::Forward);
        while let Some((key, value)) = scan.next()? {
            let row_key =
                if index == 0 { &key[PREFIX_BYTES..] } else { codec.index(index)?.row_key(key, value)? };
            found.push((which, Bytes::copy_from_slice(row_key)));
        }
    }
    Ok(found)
}

fn by_scan(
    writer: &mut Writer<'_>,
    child: &Arc<Table>,
    foreign_key: &ForeignKey,
    keys: &[Vec<Value>],
) -> Result<Vec<(usize, Bytes)>> {
    let codec = child.codec()?;
    let child_places = places(child, &foreign_key.columns);
    let types: Vec<_> = child_places.iter().map(|p| child.live_column(*p).ty.clone()).collect();
    let mut wanted: HashMap<Vec<u8>, usize> = HashMap::new();
    for (which, values) in keys.iter().enumerate() {
        let mut code = Vec::new();
        let fits = values.iter().zip(&types).all(|(value, ty)| {
            let value = value.clone().fit(ty);
            value.is_ok_and(|v| key::encode_value(&v, ty, KeyOrder::ASCENDING, &mut code).is_ok())
        });
        if fits {
            wanted.insert(code, which);
        }
    }
    let range = key_space::absolute(child.id, 0, &KeyRange::all());
    writer.txn().guard_range(&range);
    let mut scan = writer.txn_ref().scan_latest(range, Direction::Forward);
    let mut decoder = codec.decoder(child, &child_places)?;
    let mut row_keys: Vec<Bytes> = Vec::new();
    let mut found = Vec::new();
    let mut code = Vec::new();
    loop {
        let entry = scan.next()?;
        if let Some((key, value)) = entry {
            decoder.push(value)?;
            row_keys.push(Bytes::copy_from_slice(&key[PREFIX_BYTES..]));
            if row_keys.len() < 4096 {
                continue;
            }
        }
        let ended = entry.is_none();
        let columns = decoder.finish()?;
        for (row, row_key) in row_keys.drain(..).enumerate() {
            if columns.iter().any(|c| c.is_null(row)) {
                continue;
            }
            code.clear();
            for (column, ty) in columns.iter().zip(&types) {
                key::encode_cell(column.as_ref(), row, ty, KeyOrder::ASCENDING, &mut code)?;
            }
            if let Some(which) = wanted.get(&code) {
                found.push((*which, row_key));
            }
        }
        if ended {
            return Ok(found);
        }
    }
}
