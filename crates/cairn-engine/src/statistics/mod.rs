//! What the planner knows of a table's values: counted from a sample, by ANALYZE or when a query is planned after much
//! has changed.
//!
//! ANALYZE writes its findings in its transaction, like a definition but without a new schema version. What is found on the
//! way, unasked, is kept in memory and written at a clean close. Statistics are hints: no answer depends on them.
//!
//! I1: what is given for a table is of columns that it has, with the types that they have.
//! I2: [`Entry::version`] moves whenever statistics do, and when so much has changed that they ought to be made anew:
//! whoever keeps a plan keeps the version with it.

mod compute;
mod sample;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cairn_storage::{KeyLock, ObjectLock, Store, SyncMode, TxnOptions};
use parking_lot::Mutex;

use crate::catalog::format::Descriptor;
use crate::catalog::{ColumnStatistics, ObjectId, Table, TableDescriptor, TableStatistics};
use crate::database::Database;
use crate::error::Result;
use crate::key_space::{object_key, section};
use crate::transaction::{Transaction, Writer};
use crate::view::ReadView;

/// Rows that may change before statistics are made anew: so many, and a share of the table's.
const CHANGES_MIN: u64 = 50;
/// See [`CHANGES_MIN`]: one in so many rows.
const CHANGES_SHARE: u64 = 10;
/// How long closing waits for whoever writes the same statistics.
const LOCK_WAIT: Duration = Duration::from_millis(1);

/// What is known of the tables, by id.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    tables: Mutex<HashMap<ObjectId, Entry>>,
    /// Tables that are being looked at, each by one caller.
    busy: Mutex<HashSet<ObjectId>>,
}

/// What is known of one table.
#[derive(Debug, Default)]
struct Entry {
    /// The newest; `None` where there are none.
    statistics: Option<Arc<TableStatistics>>,
    /// Whether `statistics` is what the store has, or newer.
    loaded: bool,
    /// Whether the store does not have it yet.
    dirty: bool,
    /// I2.
    version: u64,
    /// Rows inserted, updated and deleted since.
    changes: u64,
    /// Whether these are so many that the version was moved for them.
    stale: bool,
}

impl Entry {
    fn renew(&mut self, statistics: Option<Arc<TableStatistics>>, dirty: bool) {
        *self =
            Entry { statistics, loaded: true, dirty, version: self.version + 1, changes: 0, stale: false };
    }

    fn threshold(&self) -> u64 {
        let rows = self.statistics.as_ref().map_or(0, |statistics| statistics.rows as u64);
        CHANGES_MIN + rows / CHANGES_SHARE
    }
}

impl Statistics {
    /// A transaction that touched so many rows of these tables has committed.
    pub(crate) fn change(&self, changes: impl Iterator<Item = (ObjectId, u64)>) {
        for (table, touched) in changes {
            let mut tables = self.tables.lock();
            // Of a table that nobody has planned for nothing is known that could be stale.
            let Some(entry) = tables.get_mut(&table) else { continue };
            entry.changes = entry.changes.saturating_add(touched);
            if !entry.stale && entry.changes > entry.threshold() {
                (entry.stale, entry.version) = (true, entry.version + 1);
            }
        }
    }

    /// Statistics of these tables were committed, or went with them.
    pub(crate) fn committed(&self, changed: &HashSet<ObjectId>) {
        let mut tables = self.tables.lock();
        for table in changed {
            let entry = tables.entry(*table).or_default();
            entry.renew(None, false);
            entry.loaded = false;
        }
    }

    fn get(&self, store: &Store, table: &Table) -> Option<Arc<TableStatistics>> {
        let version = {
            let mut tables = self.tables.lock();
            let entry = tables.entry(table.id).or_default();
            if entry.loaded {
                return entry.statistics.clone();
            }
            entry.version
        };
        // What cannot be read is as if it were not there.
        let bytes = store.snapshot().get(&object_key(section::STATISTICS, table.id)).ok().flatten();
        let found = bytes.and_then(|bytes| TableStatistics::decode(&bytes).ok()).map(Arc::new);
        let mut tables = self.tables.lock();
        let entry = tables.entry(table.id).or_default();
        if !entry.loaded && entry.version == version {
            (entry.statistics, entry.loaded) = (found.clone(), true);
        }
        found
    }

    /// Writes what only memory has. `known` tells which tables still exist. What cannot be written is counted again when it is
    /// needed; nothing waits for a transaction that has an ANALYZE of its own open.
    pub(crate) fn keep(&self, store: &Store, known: impl Fn(ObjectId) -> bool) {
        let mut found = Vec::new();
        for (table, entry) in self.tables.lock().iter_mut() {
            if let (true, true, Some(statistics)) = (entry.dirty, known(*table), &entry.statistics)
                && let Ok(bytes) = statistics.encode()
            {
                entry.dirty = false;
                found.push((object_key(section::STATISTICS, *table), bytes));
            }
        }
        if found.is_empty() {
            return;
        }
        let options = TxnOptions { sync: Some(SyncMode::None), ..TxnOptions::default() };
        let mut txn = store.begin(options);
        txn.set_lock_timeout(Some(LOCK_WAIT));
        let written = found.iter().try_for_each(|(key, bytes)| txn.put(key, bytes));
        if written.is_ok() {
            let _ = txn.commit();
        }
    }
}

impl Database {
    /// The newest committed statistics of a table, of columns that it has (I1); `None` where there are none.
    pub fn statistics(&self, table: &Table) -> Option<Arc<TableStatistics>> {
        let inner = self.inner();
        inner.statistics.get(&inner.store, table).map(|found| fitting(found, table))
    }

    /// A number that moves with the statistics of a table, and when they ought to be made anew.
    pub fn statistics_version(&self, table: ObjectId) -> u64 {
        self.inner().statistics.tables.lock().get(&table).map_or(0, |entry| entry.version)
    }

    /// Makes the statistics of a table anew where that is due: where it has none and more than 50 rows, or where more than
    /// 50 rows and a tenth of it have changed since. Reads the newest commit, a sample of a large table; nobody waits for
    /// it, and while another caller is at the same table nothing happens. Says whether there are new ones.
    ///
    /// # Errors
    /// [`crate::Error::Storage`], [`crate::Error::Corrupt`].
    pub fn refresh_statistics(&self, table: ObjectId) -> Result<bool> {
        let inner = self.inner();
        let Some(table) = inner.catalogs.latest().table_by_id(table).cloned() else { return Ok(false) };
        let has_some = inner.statistics.get(&inner.store, &table).is_some();
        let due = match has_some {
            true => inner.statistics.tables.lock().get(&table.id).is_some_and(|entry| entry.stale),
            false => self.approximate_rows(table.id) > CHANGES_MIN,
        };
        if !due || !inner.statistics.busy.lock().insert(table.id) {
            return Ok(false);
        }
        let places: Vec<usize> = (0..table.live_columns().len()).collect();
        let made = self.view().and_then(|view| statistics_of(&view, self, &table, &places, &|| Ok(())));
        inner.statistics.busy.lock().remove(&table.id);
        let mut tables = inner.statistics.tables.lock();
        let entry = tables.entry(table.id).or_default();
        match made {
            Ok(made) => {
                entry.renew(Some(Arc::new(made)), true);
                Ok(true)
            }
            Err(error) => {
                // Not again before much has changed.
                (entry.changes, entry.stale, entry.loaded) = (0, false, true);
                Err(error)
            }
        }
    }
}

impl Transaction {
    /// The statistics of a table as this transaction sees them: its own ANALYZE, or [`Database::statistics`].
    ///
    /// # Errors
    /// [`crate::Error::TransactionEnded`], [`crate::Error::Storage`], [`crate::Error::Corrupt`].
    pub fn statistics(&self, table: &Table) -> Result<Option<Arc<TableStatistics>>> {
        let state = self.lock()?;
        if !state.analyzed.contains(&table.id) {
            return Ok(Database::of(&self.database).statistics(table));
        }
        let bytes = state.txn.get(&object_key(section::STATISTICS, table.id))?;
        let found = bytes.map(|bytes| TableStatistics::decode(&bytes)).transpose()?;
        Ok(found.map(|found| fitting(Arc::new(found), table)))
    }

    /// Counts the values of the columns at these places (of the live columns), from a sample where the table is large, and
    /// keeps the findings beside those of its other columns.
    ///
    /// # Errors
    /// [`crate::Error::Storage`], [`crate::Error::Corrupt`], [`crate::Error::ReadOnly`], [`crate::Error::TransactionEnded`].
    pub fn analyze(&self, table: &Table, places: &[usize]) -> Result<()> {
        self.check_writable("ANALYZE")?;
        let view = self.view()?;
        let before = self.statistics(table)?;
        let cancel = self.cancel_handle()?;
        let look = || match cancel.is_cancelled() {
            true => Err(cairn_storage::Error::Cancelled.into()),
            false => Ok(()),
        };
        let mut made = statistics_of(&view, &Database::of(&self.database), table, places, &look)?;
        if let Some(before) = before {
            let others =
                before.columns.iter().filter(|old| !made.columns.iter().any(|new| new.column == old.column));
            let others: Vec<ColumnStatistics> = others.cloned().collect();
            made.columns.extend(others);
            made.columns.sort_by_key(|column| column.column);
        }
        let bytes = made.encode()?;
        self.write("ANALYZE", |writer| {
            writer.guard_table(table.id, ObjectLock::ShareUpdateExclusive)?;
            let key = object_key(section::STATISTICS, table.id);
            if writer.is_locking() {
                writer.claim(&key, KeyLock::NoKeyUpdate)?;
            }
            writer.txn().put(&key, &bytes)?;
            writer.note_analyzed(table.id);
            Ok(())
        })
    }
}

impl Writer<'_> {
    /// A definition of a table is about to replace another: statistics of columns that go, or get another type, go too
    /// (I1). With `None` the table itself goes.
    pub(crate) fn follow_statistics(&mut self, id: ObjectId, new: Option<&TableDescriptor>) -> Result<()> {
        let Some(old) = self.catalog.table_by_id(id).cloned() else { return Ok(()) };
        let stays = |column: &crate::catalog::Column| {
            new.is_some_and(|new| {
                new.columns.iter().any(|c| c.id == column.id && !c.dropped && c.ty == column.ty)
            })
        };
        if old.live_columns().all(stays) && new.is_some() {
            return Ok(());
        }
        let key = object_key(section::STATISTICS, id);
        let Some(bytes) = self.txn().get(&key)? else {
            self.note_analyzed(id);
            return Ok(());
        };
        let kept = TableStatistics::decode(&bytes).ok().filter(|_| new.is_some()).map(|mut found| {
            let live = |id: u32| old.live_columns().any(|column| column.id == id && stays(column));
            found.columns.retain(|column| live(column.column));
            found
        });
        match kept {
            Some(kept) => self.txn().put(&key, &kept.encode()?)?,
            None => self.txn().delete(&key)?,
        }
        self.note_analyzed(id);
        Ok(())
    }
}

/// The statistics of those columns that the table has, with its types (I1).
fn fitting(found: Arc<TableStatistics>, table: &Table) -> Arc<TableStatistics> {
    let fits = |column: &ColumnStatistics| {
        table.live_columns().any(|live| live.id == column.column && same_type(&live.ty, &column.ty))
    };
    let coded = |column: &ColumnStatistics| matches!(column.ty, cairn_types::DataType::Coded(_));
    if found.columns.iter().all(|column| fits(column) && !coded(column)) {
        return found;
    }
    let mut own = TableStatistics::clone(&found);
    own.columns.retain(fits);
    for column in &mut own.columns {
        let live = table.live_columns().find(|live| live.id == column.column);
        if let Some(cairn_types::DataType::Coded(ty)) = live.map(|live| &live.ty) {
            column.complete(ty);
        }
    }
    Arc::new(own)
}

/// Whether two types are written the same: labels of an enum are not.
fn same_type(a: &cairn_types::DataType, b: &cairn_types::DataType) -> bool {
    let bytes = |ty: &cairn_types::DataType| {
        let mut out = Vec::new();
        ty.encode(&mut out);
        out
    };
    a == b || bytes(a) == bytes(b)
}

/// `look` fails where nobody waits for it any more.
fn statistics_of(
    view: &ReadView,
    database: &Database,
    table: &Table,
    places: &[usize],
    look: &dyn Fn() -> Result<()>,
) -> Result<TableStatistics> {
    let approximate = database.approximate_rows(table.id);
    let mut rows = approximate as f64;
    let mut columns = Vec::with_capacity(places.len());
    for some in places.chunks(sample::COLUMNS_MAX) {
        let sample = sample::take(view, table, some, approximate, look)?;
        rows = sample.total;
        columns.extend(
            sample
                .columns
                .into_iter()
                .zip(some)
                .map(|(values, place)| compute::column(table.live_column(*place), values, sample.rows, rows)),
        );
    }
    if places.is_empty() {
        rows = sample::take(view, table, &[], approximate, look)?.total;
    }
    columns.sort_by_key(|column| column.column);
    let bytes = database.approximate_bytes(table.id, 0);
    Ok(TableStatistics { table: table.id, rows, pages: bytes.div_ceil(PAGE_BYTES), columns })
}

/// What `relpages` counts in, as PostgreSQL's.
pub(crate) const PAGE_BYTES: u64 = 8192;
