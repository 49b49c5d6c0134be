//! Rows of partitioned tables: each is a row of one of the partitions, and what is asked of the table is handed on to them.
//!
//! ```text
//!   row key of a partitioned table = id of the partition (u32, big-endian), row key there
//!   insert  ─ route ─→ insert into each partition
//!   update  ─ route ─→ rows that stay: update there; rows that move: out of one partition, into another
//!   delete, get, lock ─ by the ids in the row keys
//! ```
//!
//! I1: nothing is ever written under the id of a partitioned table.
//! I2: a row lies in the partition that its key belongs to: rows that come by another way are checked
//! ([`check_bounds`]).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use cairn_storage::ObjectLock;
use cairn_types::{ColumnBuilder, DataType, Value};

use super::check;
use super::children;
use super::delete;
use super::insert;
use super::parent::PendingForeignKeys;
use super::read::{Fetched, get};
use super::request::{ConflictTarget, Inserted, OnConflict, RowConflict};
use super::statement::{Statement, references};
use super::update;
use crate::catalog::{Catalog, ObjectId, Table};
use crate::error::{Error, Result, Violation};
use crate::transaction::{Transaction, Writer};
use crate::view::ReadView;

/// Bytes of a partition's id in a row key.
pub(super) const ID_BYTES: usize = 4;

/// What a row key of a partitioned table begins with where the row is in that partition.
pub fn row_key_prefix(partition: ObjectId) -> [u8; ID_BYTES] {
    partition.to_be_bytes()
}

fn qualified(partition: ObjectId, row_key: &[u8]) -> Bytes {
    let mut key = Vec::with_capacity(ID_BYTES + row_key.len());
    key.extend_from_slice(&row_key_prefix(partition));
    key.extend_from_slice(row_key);
    key.into()
}

/// The partition and the row key there.
pub(super) fn split_key(key: &Bytes) -> Result<(ObjectId, Bytes)> {
    match key.first_chunk::<ID_BYTES>() {
        Some(id) => Ok((ObjectId::from_be_bytes(*id), key.slice(ID_BYTES..))),
        None => Err(Error::InvalidArgument("a row key of a partitioned table without its partition".into())),
    }
}

fn partition(catalog: &Catalog, id: ObjectId) -> Result<Arc<Table>> {
    let found = catalog.table_by_id(id).cloned();
    found.ok_or_else(|| Error::corrupt("catalog", format!("partition {id} is missing")))
}

/// For each column of `to` the place of the same column in `from`; `None` where they are the same places.
fn mapping(from: &Table, to: &Table) -> Result<Option<Vec<usize>>> {
    let place = |name: &str| from.column_place(name).ok_or_else(|| Error::undefined_column(&from.name, name));
    let places: Vec<usize> = to.live_columns().map(|column| place(&column.name)).collect::<Result<_>>()?;
    let same = places.iter().enumerate().all(|(at, place)| at == *place);
    Ok(if same && places.len() == from.live_columns().len() { None } else { Some(places) })
}

/// Those places of `from` in `to`.
fn mapped_places(from: &Table, to: &Table, places: &[usize]) -> Vec<usize> {
    places.iter().filter_map(|place| to.column_place(&from.live_column(*place).name)).collect()
}

fn batch_of(table: &Table, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let fields = table.arrow_schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    let schema = Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// Those rows of a batch of `from` as rows of `to`, whose columns have the same names.
fn rows_of(from: &Table, to: &Table, batch: &RecordBatch, rows: Option<&[usize]>) -> Result<RecordBatch> {
    let columns: Vec<ArrayRef> = match mapping(from, to)? {
        None => batch.columns().to_vec(),
        Some(places) => places.into_iter().map(|place| batch.column(place).clone()).collect(),
    };
    let Some(rows) = rows.filter(|rows| rows.len() != batch.num_rows()) else {
        return batch_of(to, columns, batch.num_rows());
    };
    let picked = columns.iter().zip(to.live_columns()).map(|(cells, column)| pick(cells, &column.ty, rows));
    batch_of(to, picked.collect::<Result<_>>()?, rows.len())
}

/// Those rows of a column.
fn pick(cells: &ArrayRef, ty: &DataType, rows: &[usize]) -> Result<ArrayRef> {
    let mut builder = ColumnBuilder::with_capacity(ty, rows.len());
    for row in rows {
        builder.push(&Value::from_array(cells.as_ref(), *row, ty))?;
    }
    Ok(builder.finish()?)
}

/// Finds the partitions of rows of one table.
struct Router<'c> {
    catalog: &'c Catalog,
    root: &'c Table,
    /// The places and types of the key's columns among those of the root, for each table that is divided.
    keys: HashMap<ObjectId, Vec<(usize, DataType)>>,
}

impl<'c> Router<'c> {
    fn new(catalog: &'c Catalog, root: &'c Table) -> Router<'c> {
        Router { catalog, root, keys: HashMap::new() }
    }

    fn key(&mut self, table: &Table, batch: &RecordBatch, row: usize) -> Vec<Value> {
        let (catalog, root) = (self.catalog, self.root);
        let places = self.keys.entry(table.id).or_insert_with(|| {
            let key = catalog.partitions(table).key().iter();
            key.filter_map(|(name, ty)| Some((root.column_place(name)?, ty.clone()))).collect()
        });
        places.iter().map(|(place, ty)| Value::from_array(batch.column(*place).as_ref(), row, ty)).collect()
    }

    /// The partition that holds rows which a row of the root belongs to.
    fn leaf(&mut self, batch: &RecordBatch, row: usize) -> Result<ObjectId> {
        let mut table: &Table = self.root;
        loop {
            let key = self.key(table, batch, row);
            let found = self.catalog.partitions(table).find(&key);
            let next = found.and_then(|id| self.catalog.table_by_id(id));
            match next {
                None => return Err(no_partition(self.catalog, table, &key)),
                Some(next) if next.is_partitioned() => table = next,
                Some(next) => return Ok(next.id),
            }
        }
    }

    /// The rows of each partition.
    fn groups(&mut self, batch: &RecordBatch) -> Result<BTreeMap<ObjectId, Vec<usize>>> {
        let mut groups: BTreeMap<ObjectId, Vec<usize>> = BTreeMap::new();
        for row in 0..batch.num_rows() {
            groups.entry(self.leaf(batch, row)?).or_default().push(row);
        }
        Ok(groups)
    }
}

fn no_partition(catalog: &Catalog, table: &Table, key: &[Value]) -> Error {
    let columns = catalog.partitions(table).key();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let cells = key.iter().zip(columns).map(|(value, (_, ty))| match value {
        Value::Null => "null".to_owned(),
        value => value.to_text(ty),
    });
    let cells: Vec<String> = cells.collect();
    Error::Constraint {
        violation: Violation::Check,
        message: format!("no partition of relation \"{}\" found for row", table.name),
        detail: Some(format!(
            "Partition key of the failing row contains ({}) = ({}).",
            names.join(", "),
            cells.join(", ")
        )),
        object: check::object(table, None, None),
    }
}

/// Checks that rows of a partition belong to it, and to the tables that it is a part of (I2).
///
/// # Errors
/// [`Error::Constraint`] (23514).
pub(crate) fn check_bounds(catalog: &Catalog, table: &Table, batch: &RecordBatch) -> Result<()> {
    match stranger(catalog, table, batch) {
        None => Ok(()),
        Some(row) => Err(Error::Constraint {
            violation: Violation::Check,
            message: format!("new row for relation \"{}\" violates partition constraint", table.name),
            detail: Some(check::failing_row(batch.columns(), table, row)),
            object: check::object(table, None, None),
        }),
    }
}

/// The first row of a partition that does not belong to it.
pub(crate) fn stranger(catalog: &Catalog, table: &Table, batch: &RecordBatch) -> Option<usize> {
    let mut strangers = Vec::new();
    let mut child = table.id;
    for parent in catalog.ancestors(table) {
        let partitions = catalog.partitions(&parent);
        strangers.extend(strangers_to(partitions, child, table, batch));
        child = parent.id;
    }
    strangers.into_iter().min()
}

/// The first row (of a table with the key's columns) that does not belong to partition `own`.
pub(crate) fn strangers_to(
    partitions: &crate::catalog::Partitions,
    own: ObjectId,
    table: &Table,
    batch: &RecordBatch,
) -> Option<usize> {
    let key = partitions.key().iter();
    let places: Vec<(usize, &DataType)> =
        key.filter_map(|(name, ty)| Some((table.column_place(name)?, ty))).collect();
    (0..batch.num_rows()).find(|row| {
        let cell =
            |(place, ty): &(usize, &DataType)| Value::from_array(batch.column(*place).as_ref(), *row, ty);
        let key: Vec<Value> = places.iter().map(cell).collect();
        partitions.find(&key) != Some(own)
    })
}

/// Whether a change of those columns can make rows leave a partition.
fn may_move(catalog: &Catalog, table: &Table, changed: &[usize]) -> bool {
    let in_key = |divided: &Table| {
        let mut key = catalog.partitions(divided).key().iter();
        key.any(|(name, _)| table.column_place(name).is_some_and(|place| changed.contains(&place)))
    };
    catalog.ancestors(table).iter().any(|own| in_key(own))
        || table.is_partitioned()
            && (in_key(table) || catalog.descendants(table.id).iter().any(|own| in_key(own)))
}

/// Checks that an UPDATE of a partition leaves its rows in it.
pub(super) fn check_update(
    catalog: &Catalog,
    table: &Table,
    new: &RecordBatch,
    changed: &[usize],
) -> Result<()> {
    match table.partition.is_some() && may_move(catalog, table, changed) {
        true => check_bounds(catalog, table, new),
        false => Ok(()),
    }
}

/// A value of a bound as PostgreSQL writes it: text and its like in quotes.
pub fn bound_literal(value: &Value, ty: &DataType) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(b) => b.to_string(),
        Value::SmallInt(_) | Value::Integer(_) | Value::BigInt(_) => value.to_text(ty),
        Value::Numeric(_) | Value::Real(_) | Value::Double(_)
            if !value.to_text(ty).contains(|c: char| c.is_alphabetic()) =>
        {
            value.to_text(ty)
        }
        other => format!("'{}'", other.to_text(ty).replace('\'', "''")),
    }
}

/// Rows on their way into the partitions of a table.
pub(super) struct Routed {
    parts: Vec<(Arc<Table>, Vec<usize>, RecordBatch)>,
}

/// Finds the partition of each row, and checks NOT NULL and CHECK there.
pub(super) fn route(txn: &Transaction, table: &Table, batch: &RecordBatch) -> Result<Routed> {
    let catalog = txn.catalog();
    let mut parts = Vec::new();
    for (id, rows) in Router::new(&catalog, table).groups(batch)? {
        let own = partition(&catalog, id)?;
        let part = rows_of(table, &own, batch, Some(&rows))?;
        check::rows(&txn.database, &own, &part, None)?;
        check_above(&catalog, table, &own, &part)?;
        parts.push((own, rows, part));
    }
    Ok(Routed { parts })
}

/// Rows that come into a partition's partition must belong to the tables above it, too.
fn check_above(catalog: &Catalog, table: &Table, leaf: &Table, part: &RecordBatch) -> Result<()> {
    match table.partition.is_some() {
        true => check_bounds(catalog, leaf, part).map_err(|error| match error {
            // The table that was named is the one to name.
            Error::Constraint { violation, detail, .. } => Error::Constraint {
                violation,
                message: format!("new row for relation \"{}\" violates partition constraint", table.name),
                detail,
                object: check::object(table, None, None),
            },
            other => other,
        }),
        false => Ok(()),
    }
}

/// Inserts rows into the partitions of a table.
pub(super) fn insert_rows(
    writer: &mut Writer<'_>,
    table: &Table,
    routed: Routed,
    on_conflict: OnConflict,
    mut pending: Option<&mut PendingForeignKeys>,
) -> Result<Inserted> {
    writer.guard_table(table.id, ObjectLock::RowExclusive)?;
    let mut answer = Inserted::default();
    let mut keys: Vec<(usize, Bytes)> = Vec::new();
    for (own, rows, part) in routed.parts {
        let mode = match on_conflict {
            OnConflict::Error => OnConflict::Error,
            OnConflict::DoNothing { target } => {
                OnConflict::DoNothing { target: target_in(&writer.catalog, table, &own, target)? }
            }
            OnConflict::Report { target } => {
                OnConflict::Report { target: target_in(&writer.catalog, table, &own, target)? }
            }
        };
        let inserted = insert::into(writer, &own, &part, mode, pending.as_deref_mut())?;
        answer.rows += inserted.rows;
        let taken: Vec<usize> = inserted.conflicts.iter().map(|conflict| conflict.row).collect();
        let fresh = (0..rows.len()).filter(|row| !taken.contains(row)).map(|row| rows[row]);
        keys.extend(fresh.zip(inserted.keys.iter().map(|key| qualified(own.id, key))));
        answer.conflicts.extend(inserted.conflicts.into_iter().map(|conflict| RowConflict {
            row: rows[conflict.row],
            existing: qualified(own.id, &conflict.existing),
        }));
    }
    keys.sort_by_key(|(row, _)| *row);
    answer.keys = keys.into_iter().map(|(_, key)| key).collect();
    answer.conflicts.sort_by_key(|conflict| conflict.row);
    Ok(answer)
}

/// The key of a partition that stands for one of a table above it.
fn target_in(
    catalog: &Catalog,
    table: &Table,
    leaf: &Table,
    target: ConflictTarget,
) -> Result<ConflictTarget> {
    let ConflictTarget::Index(index) = target else { return Ok(target) };
    let missing = || Error::corrupt("catalog", format!("index {index} is missing in a partition"));
    let own = index_in(catalog, table, leaf, index).ok_or_else(missing)?;
    Ok(if own == 0 { ConflictTarget::PrimaryKey } else { ConflictTarget::Index(own) })
}

/// The index of a partition that stands for one of a table above it.
pub(super) fn index_in(
    catalog: &Catalog,
    table: &Table,
    leaf: &Table,
    index: crate::catalog::IndexId,
) -> Option<crate::catalog::IndexId> {
    let mut path = vec![catalog.table_by_id(leaf.id)?.clone()];
    path.extend(catalog.ancestors(leaf).into_iter().take_while(|own| own.id != table.id));
    let mut index = index;
    for own in path.iter().rev() {
        let links = &own.partition.as_ref()?.indexes;
        index = links.iter().find(|(parent, _)| *parent == index)?.1;
    }
    Some(index)
}

/// NOT NULL and CHECK of rows about to be updated, by the partitions that they come to.
pub(super) fn check_new_rows(
    txn: &Transaction,
    table: &Table,
    keys: &[Bytes],
    new: &RecordBatch,
    changed: &[usize],
) -> Result<()> {
    let catalog = txn.catalog();
    for (id, rows) in destinations(&catalog, table, keys, new, changed)? {
        let own = partition(&catalog, id)?;
        let part = rows_of(table, &own, new, Some(&rows))?;
        let moves = rows.iter().map(|row| Ok(split_key(&keys[*row])?.0 != id));
        let moves = moves.collect::<Result<Vec<bool>>>()?.contains(&true);
        let places = mapped_places(table, &own, changed);
        check::rows(&txn.database, &own, &part, (!moves).then_some(places.as_slice()))?;
        check_above(&catalog, table, &own, &part)?;
    }
    Ok(())
}

/// The rows that come to each partition.
fn destinations(
    catalog: &Catalog,
    table: &Table,
    keys: &[Bytes],
    new: &RecordBatch,
    changed: &[usize],
) -> Result<BTreeMap<ObjectId, Vec<usize>>> {
    if may_move(catalog, table, changed) {
        return Router::new(catalog, table).groups(new);
    }
    let mut groups: BTreeMap<ObjectId, Vec<usize>> = BTreeMap::new();
    for (row, key) in keys.iter().enumerate() {
        groups.entry(split_key(key)?.0).or_default().push(row);
    }
    Ok(groups)
}

/// As [`update::rows`], of a partitioned table.
pub(super) fn update_rows(
    writer: &mut Writer<'_>,
    table: &Table,
    row_keys: &[Bytes],
    new: &RecordBatch,
    changed: &[usize],
    statement: &mut Statement,
    direct: bool,
) -> Result<usize> {
    writer.guard_table(table.id, ObjectLock::RowExclusive)?;
    let catalog = writer.catalog.clone();
    let mut stay: BTreeMap<ObjectId, (Vec<usize>, Vec<Bytes>)> = BTreeMap::new();
    let mut moves: BTreeMap<(ObjectId, ObjectId), (Vec<usize>, Vec<Bytes>)> = BTreeMap::new();
    let mut seen = std::collections::HashSet::new();
    for (to, rows) in destinations(&catalog, table, row_keys, new, changed)? {
        for row in rows {
            let (from, key) = split_key(&row_keys[row])?;
            if !seen.insert(&row_keys[row]) {
                continue;
            }
            let group =
                if from == to { stay.entry(to).or_default() } else { moves.entry((from, to)).or_default() };
            group.0.push(row);
            group.1.push(key);
        }
    }
    // Rows that move leave first and come last, so that keys they give up are free and those they take are looked at
    // when all others have found their places.
    let mut count = 0;
    let mut arriving = Vec::new();
    for ((from, to), (rows, keys)) in moves {
        let (from, to) = (partition(&catalog, from)?, partition(&catalog, to)?);
        let old = delete::take_out(writer, &from, &keys, direct)?;
        let rows: Vec<usize> = old.found.iter().map(|at| rows[*at]).collect();
        count += rows.len();
        arriving.push((from, to, old.batch, rows));
    }
    for (id, (rows, keys)) in stay {
        let own = partition(&catalog, id)?;
        let part = rows_of(table, &own, new, Some(&rows))?;
        let places = mapped_places(table, &own, changed);
        count += update::rows(writer, &own, &keys, &part, &places, statement, direct)?;
    }
    for (from, to, old, rows) in arriving {
        if rows.is_empty() {
            continue;
        }
        let part = rows_of(table, &to, new, Some(&rows))?;
        insert::into(writer, &to, &part, OnConflict::Error, None)?;
        let new = rows_of(&to, &from, &part, None)?;
        for reference in references(writer, &from) {
            children::follow(writer, &from, &reference, &old, Some(&new), statement)?;
        }
    }
    Ok(count)
}

/// As [`delete::rows`], of a partitioned table.
pub(super) fn delete_rows(
    writer: &mut Writer<'_>,
    table: &Table,
    row_keys: &[Bytes],
    statement: &mut Statement,
    direct: bool,
) -> Result<usize> {
    writer.guard_table(table.id, ObjectLock::RowExclusive)?;
    let mut count = 0;
    for (id, keys) in by_partition(row_keys)? {
        let own = partition(&writer.catalog, id)?;
        let keys: Vec<Bytes> = keys.into_iter().map(|(_, key)| key).collect();
        count += delete::rows(writer, &own, &keys, statement, direct)?;
    }
    Ok(count)
}

/// Row keys by partition, with their places.
fn by_partition(row_keys: &[Bytes]) -> Result<BTreeMap<ObjectId, Vec<(usize, Bytes)>>> {
    let mut groups: BTreeMap<ObjectId, Vec<(usize, Bytes)>> = BTreeMap::new();
    for (at, key) in row_keys.iter().enumerate() {
        let (id, key) = split_key(key)?;
        groups.entry(id).or_default().push((at, key));
    }
    Ok(groups)
}

/// As [`super::get`], of a partitioned table.
pub(super) fn get_rows(
    view: &ReadView,
    table: &Table,
    row_keys: &[Bytes],
    projection: &[usize],
) -> Result<Fetched> {
    // For each row found: its place among the keys, its batch, its place there.
    let mut order: Vec<(usize, usize, usize)> = Vec::new();
    let mut batches: Vec<RecordBatch> = Vec::new();
    for (id, keys) in by_partition(row_keys)? {
        let Some(own) = view.catalog().table_by_id(id) else { continue };
        let (places, keys): (Vec<usize>, Vec<Bytes>) = keys.into_iter().unzip();
        let fetched = get(view, own, &keys, &mapped_places(table, own, projection))?;
        let found = fetched.found.iter().enumerate();
        order.extend(found.map(|(row, at)| (places[*at], batches.len(), row)));
        batches.push(fetched.batch);
    }
    order.sort_unstable();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(projection.len());
    let mut fields = Vec::with_capacity(projection.len());
    for (at, place) in projection.iter().enumerate() {
        let ty = &table.live_column(*place).ty;
        let mut builder = ColumnBuilder::with_capacity(ty, order.len());
        for (_, batch, row) in &order {
            builder.push(&Value::from_array(batches[*batch].column(at).as_ref(), *row, ty))?;
        }
        columns.push(builder.finish()?);
        fields.push(table.arrow_schema().field(*place).clone());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
    let schema = Arc::new(arrow_schema::Schema::new(fields));
    let batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
    Ok(Fetched { batch, found: order.into_iter().map(|(at, ..)| at).collect() })
}

/// A change of rows: the table, the row keys, the rows as they are to become, the places of the columns that change.
type Change = (Arc<Table>, Vec<Bytes>, RecordBatch, Vec<usize>);

/// A change of rows of a partition that a foreign key asks for and that may move them: the same of the topmost table.
pub(super) fn of_topmost(
    catalog: &Catalog,
    table: &Table,
    keys: &[Bytes],
    new: &RecordBatch,
    places: &[usize],
) -> Result<Option<Change>> {
    let Some(top) = catalog.ancestors(table).pop() else { return Ok(None) };
    if !may_move(catalog, table, places) {
        return Ok(None);
    }
    let keys = keys.iter().map(|key| qualified(table.id, key)).collect();
    let new = rows_of(table, &top, new, None)?;
    let places = mapped_places(table, &top, places);
    Ok(Some((top, keys, new, places)))
}
