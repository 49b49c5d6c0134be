//! INSERT and UPDATE of one row given by values, where nothing but the row and its index entries is concerned: no batch is made.
//!
//! What else there may be (CHECK, foreign keys, domains, partitions, indexes on expressions) is left to [`super::insert`] and
//! [`super::update`], as are all errors of data, so that there is one place that words them: whoever is told `None` has had
//! nothing happen, and goes that way.

use arrow_array::{Array, ArrayRef};
use bytes::Bytes;
use cairn_index::Entry;
use cairn_storage::{KeyLock, Locked, ObjectLock};
use cairn_types::key::{self, KeyOrder};
use cairn_types::{Value, row::RowEncoder};

use super::check;
use super::codec::Codec;
use super::update::lock_mode;
use crate::catalog::Table;
use crate::error::{Error, Result};
use crate::transaction::{Transaction, Writer};

/// Inserts of one row into a table.
///
/// ```
/// use cairn_engine::table::{RowInsert, RowUpdate, WhichRow};
/// use cairn_engine::{Database, ddl::{ColumnSpec, ConstraintSpec, TableSpec}};
/// use cairn_types::{DataType, Value, key};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let txn = Database::in_memory()?.begin(Default::default())?;
/// let columns = vec![ColumnSpec::new("id", DataType::Integer), ColumnSpec::new("n", DataType::Integer)];
/// let constraints = vec![ConstraintSpec::PrimaryKey { name: None, columns: vec!["id".into()], deferrable: None }];
/// let t = txn.create_table(TableSpec { schema: "public".into(), name: "t".into(), columns, constraints, ..Default::default() })?;
/// let insert = RowInsert::of(&t)?.expect("a plain table");
/// assert_eq!(insert.run(&txn, &t, &[Value::from(1), Value::from(5)])?, Some(()));
/// let update = RowUpdate::of(&t, &[1])?.expect("only the row is concerned");
/// let mut key = Vec::new();
/// key::encode_value(&Value::from(1), &DataType::Integer, key::KeyOrder::ASCENDING, &mut key)?;
/// let rows = update.run(&txn, &t, &key, WhichRow::OfStatement, |row| {
///     Ok(row.value(1)?.as_i64().map(|n| vec![Value::from(n as i32 + 1)]))
/// })?;
/// assert_eq!(rows, Some(1));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RowInsert(());

/// Updates of some columns of one row.
#[derive(Clone, Debug)]
pub struct RowUpdate {
    /// The columns' places in the row, ascending, with that of the value among those given.
    ordinals: Vec<(usize, usize)>,
    nullable: Vec<bool>,
    mode: KeyLock,
}

/// Which state of a row an update is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichRow {
    /// That which the statement sees; one that has changed since is [`Error::RowsChanged`].
    OfStatement,
    /// The newest, as ON CONFLICT goes by; not under Repeatable Read.
    Newest,
}

/// A row that is about to be changed.
#[derive(Debug)]
pub struct OldRow<'a> {
    table: &'a Table,
    encoder: &'a RowEncoder,
    bytes: &'a [u8],
}

impl OldRow<'_> {
    /// The value of the live column at that place.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub fn value(&self, place: usize) -> Result<Value> {
        let ordinal = self.table.ordinal_of_place(place);
        let value = self.encoder.value(self.bytes, ordinal)?;
        Ok(value.unwrap_or_else(|| self.table.columns[ordinal].missing.clone().unwrap_or(Value::Null)))
    }
}

/// Whether the table is one whose rows stand by themselves.
fn is_plain(table: &Table) -> bool {
    !table.is_partitioned() && table.partition.is_none() && table.triggers.is_empty()
}

impl RowInsert {
    /// For that table; `None` where rows concern more than themselves.
    ///
    /// # Errors
    /// A definition that makes no sense.
    pub fn of(table: &Table) -> Result<Option<RowInsert>> {
        let codec = table.codec()?;
        let has_domains = table.columns.iter().any(|column| column.domain.is_some());
        let is_own = is_plain(table)
            && table.all_checks().is_empty()
            && table.foreign_keys.is_empty()
            && !has_domains
            && table.generated_places().is_empty()
            && codec.indexes.iter().all(|index| index.is_plain())
            && table.indexes.iter().all(|index| index.deferrable.is_none());
        Ok(is_own.then_some(RowInsert(())))
    }

    /// Inserts a row: a value of its column's type for each live column. `None` where it has to go the general way: a key is
    /// taken, a column is NULL that may not be, a value does not fit.
    ///
    /// # Errors
    /// As [`super::insert`], but for [`Error::Constraint`].
    pub fn run(&self, txn: &Transaction, table: &Table, values: &[Value]) -> Result<Option<()>> {
        let codec = table.codec()?;
        match encoded(table, codec, values) {
            Some(row) => txn.write("INSERT", |writer| insert(writer, table, codec, values, &row)),
            None => Ok(None),
        }
    }

    /// Whether a row could be inserted if its keys were free: ON CONFLICT too asks that of the row that it does not insert.
    ///
    /// # Errors
    /// A definition that makes no sense.
    pub fn accepts(&self, table: &Table, values: &[Value]) -> Result<bool> {
        Ok(encoded(table, table.codec()?, values).is_some())
    }
}

/// The code of a row of those values; `None` where they cannot be one.
fn encoded(table: &Table, codec: &Codec, values: &[Value]) -> Option<Vec<u8>> {
    let lacks = |(place, value): (usize, &Value)| value.is_null() && !table.live_column(place).nullable;
    if values.len() != table.live_columns().len() || values.iter().enumerate().any(lacks) {
        return None;
    }
    let mut row = Vec::with_capacity(128);
    codec.encoder.encode_values(values, &mut row).ok().map(|()| row)
}

fn insert(
    writer: &mut Writer<'_>,
    table: &Table,
    codec: &Codec,
    values: &[Value],
    row: &[u8],
) -> Result<Option<()>> {
    writer.guard_table(table.id, ObjectLock::RowExclusive)?;
    let mut key = Vec::with_capacity(32);
    key.extend_from_slice(&codec.prefix);
    let prefix = key.len();
    if table.has_hidden_key() {
        let id = writer.database.sequences.count(&writer.database.store, table.id, 1, 1)?;
        key.extend_from_slice(&id.to_be_bytes());
    } else {
        for (place, ty) in &codec.key {
            if key::encode_value(&values[*place], ty, KeyOrder::ASCENDING, &mut key).is_err() {
                return Ok(None);
            }
        }
        if is_taken(writer, &key)? {
            return Ok(None);
        }
    }
    let mut entries = Vec::with_capacity(codec.indexes.len());
    for index in &codec.indexes {
        let cells = index.places.iter().chain(&index.include);
        let cells =
            cells.map(|place| Value::to_array(&values[*place..=*place], &table.live_column(*place).ty));
        let cells: Vec<ArrayRef> = cells.collect::<std::result::Result<_, _>>()?;
        let cells: Vec<&dyn Array> = cells.iter().map(AsRef::as_ref).collect();
        let mut entry = Entry::default();
        index.encode_columns(&cells, 0, &key[prefix..], &mut entry)?;
        if entry.exclusive && is_taken(writer, &entry.key)? {
            return Ok(None);
        }
        entries.push(entry);
    }
    for entry in &entries {
        writer.txn().put(&entry.key, &entry.value)?;
    }
    writer.txn().put(&key, row)?;
    writer.count_rows(table.id, 1);
    Ok(Some(()))
}

/// Claims a key that is about to be written, and looks whether it is there.
fn is_taken(writer: &mut Writer<'_>, key: &[u8]) -> Result<bool> {
    if writer.is_locking() {
        writer.claim(key, KeyLock::NoKeyUpdate)?;
    }
    Ok(writer.txn_ref().get_latest(key)?.is_some())
}

impl RowUpdate {
    /// Of the columns at those places; `None` where that concerns more than the row: a key, an index, CHECK, a foreign key.
    ///
    /// # Errors
    /// A definition that makes no sense.
    pub fn of(table: &Table, changed: &[usize]) -> Result<Option<RowUpdate>> {
        let codec = table.codec()?;
        let concerns = |places: &[usize]| places.iter().any(|place| changed.contains(place));
        let keys: Vec<usize> = codec.key.iter().map(|(place, _)| *place).collect();
        // What other tables refer to is a key, which an index or the rows' own order has.
        let is_own = is_plain(table)
            && !concerns(&keys)
            && !codec.indexes.iter().any(|index| concerns(&index.reads))
            && !table.foreign_keys.iter().any(|key| concerns(&check::places(table, &key.columns)))
            && table
                .all_checks()
                .iter()
                .all(|check| !check.columns.is_empty() && !concerns(&check::places(table, &check.columns)))
            && changed.iter().all(|place| table.domain(*place).is_none())
            && table.generated_places().is_empty();
        if !is_own {
            return Ok(None);
        }
        let ordinals = changed.iter().enumerate().map(|(at, place)| (table.ordinal_of_place(*place), at));
        let mut ordinals: Vec<(usize, usize)> = ordinals.collect();
        ordinals.sort_unstable();
        let nullable = changed.iter().map(|place| table.live_column(*place).nullable).collect();
        Ok(Some(RowUpdate { ordinals, nullable, mode: lock_mode(codec, changed) }))
    }

    /// Updates the row of that row key to what `new` makes of it: a value for each of the columns, in the order given to
    /// [`RowUpdate::of`], or `None`. How many rows there were; `None` where it has to go the general way.
    ///
    /// # Errors
    /// As [`super::update`], but for [`Error::Constraint`], and those of `new`.
    pub fn run(
        &self,
        txn: &Transaction,
        table: &Table,
        row_key: &[u8],
        which: WhichRow,
        new: impl FnOnce(&OldRow<'_>) -> Result<Option<Vec<Value>>>,
    ) -> Result<Option<usize>> {
        let codec = table.codec()?;
        let mut key = Vec::with_capacity(codec.prefix.len() + row_key.len());
        key.extend_from_slice(&codec.prefix);
        key.extend_from_slice(row_key);
        txn.write("UPDATE", |writer| {
            writer.guard_table(table.id, ObjectLock::RowExclusive)?;
            let Some(old) = self.claimed(writer, &key, which)? else { return Ok(Some(0)) };
            let row = OldRow { table, encoder: &codec.encoder, bytes: &old };
            let Some(mut values) = new(&row)? else { return Ok(None) };
            if values.len() != self.nullable.len()
                || values.iter().zip(&self.nullable).any(|(value, nullable)| value.is_null() && !nullable)
            {
                return Ok(None);
            }
            let take = |(ordinal, at): &(usize, usize)| (*ordinal, std::mem::take(&mut values[*at]));
            let given: Vec<(usize, Value)> = self.ordinals.iter().map(take).collect();
            let mut changed = Vec::with_capacity(old.len() + 16);
            if !matches!(codec.encoder.replace(&old, &given, &mut changed), Ok(true)) {
                return Ok(None);
            }
            writer.txn().put(&key, &changed)?;
            writer.count_updated(table.id, 1);
            Ok(Some(1))
        })
    }

    /// The row, locked at the levels that lock.
    fn claimed(&self, writer: &mut Writer<'_>, key: &[u8], which: WhichRow) -> Result<Option<Bytes>> {
        if which == WhichRow::Newest {
            writer.claim(key, self.mode)?;
            return Ok(writer.txn_ref().get_latest(key)?);
        }
        // Nobody waits for rows that the statement does not see.
        let Some(old) = writer.txn_ref().get(key)? else { return Ok(None) };
        if writer.claim_unchanged(key, self.mode)? == Locked::Changed {
            return Err(Error::RowsChanged);
        }
        Ok(Some(old))
    }
}
