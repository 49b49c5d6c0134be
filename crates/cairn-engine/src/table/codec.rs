//! How the rows, row keys and index entries of one table become keys and values.
//!
//! I1: a row key is the encoded primary key, in key order; without a primary key, 8 bytes of row id, big-endian.
//! I2: columns of a batch are the live columns; places of dropped columns are written as NULL.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, NullArray, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use cairn_index::{AccessMethod, Entry, IndexShape, KeyColumn};
use cairn_types::DataType;
use cairn_types::key::{self, KeyOrder};
use cairn_types::row::{RowColumn, RowDecoder, RowEncoder, RowSlot};

use parking_lot::Mutex;

use crate::catalog::{IndexDescriptor, IndexId, Table};
use crate::database::Expressions;
use crate::error::{Error, Result};
use crate::key_space::{self, PREFIX_BYTES};

/// Many byte strings in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    pub(crate) fn with_capacity(keys: usize, bytes: usize) -> Keys {
        Keys { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(keys) }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start..self.ends[i]]
    }

    pub(crate) fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    /// Appends what `write` puts at the end of the buffer.
    pub(crate) fn push_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        write(&mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// The places of the keys in ascending order of the keys.
    pub(crate) fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        if (1..self.len()).any(|i| self.get(i - 1) > self.get(i)) {
            order.sort_by(|a, b| self.get(*a as usize).cmp(self.get(*b as usize)));
        }
        order
    }
}

/// The entries of one index for the rows of a batch. Keys are whole keys; a row without an entry (of a partial index)
/// has an empty one.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) keys: Keys,
    pub(crate) values: Keys,
    /// Whether another row's entry with the same key is a violation.
    pub(crate) exclusive: Vec<bool>,
}

impl Entries {
    /// The rows that have an entry, in ascending order of the keys.
    pub(crate) fn order(&self) -> Vec<u32> {
        let mut order = self.keys.order();
        order.retain(|row| self.has(*row as usize));
        order
    }

    /// Whether a row has an entry.
    pub(crate) fn has(&self, row: usize) -> bool {
        !self.keys.get(row).is_empty()
    }
}

/// One index of a table. *Cells* are the live columns of a batch, and behind them what indexes derive from them
/// ([`Codec::cells`]).
pub(crate) struct IndexCodec {
    pub(crate) id: IndexId,
    pub(crate) method: &'static dyn AccessMethod,
    pub(crate) shape: IndexShape,
    /// The places of the key's columns among the cells.
    pub(crate) places: Vec<usize>,
    /// The places of the included columns.
    pub(crate) include: Vec<usize>,
    /// The places of all live columns that an entry depends on.
    pub(crate) reads: Vec<usize>,
    /// Cells of its own: expressions, and whether the predicate holds.
    derived: usize,
    /// The place of the predicate's cell.
    filter: Option<usize>,
    prefix: [u8; PREFIX_BYTES],
}

impl std::fmt::Debug for IndexCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexCodec").field("id", &self.id).finish_non_exhaustive()
    }
}

impl IndexCodec {
    /// `next` is the place of the next derived cell.
    pub(crate) fn new(table: &Table, index: &IndexDescriptor, next: &mut usize) -> Result<IndexCodec> {
        let method = cairn_index::kind(&index.kind).ok_or_else(|| Error::Unsupported {
            message: format!("access method \"{}\" does not exist", index.kind),
        })?;
        let place_of = |id| {
            let place = table.place_of(id);
            place.ok_or_else(|| Error::corrupt("catalog", "index on a missing column"))
        };
        let first = *next;
        let mut columns = Vec::new();
        let mut places = Vec::new();
        for (column, expression) in index.key_parts() {
            let order = KeyOrder { descending: column.descending, nulls_first: column.nulls_first };
            let (ty, place) = match expression {
                Some(expression) => {
                    *next += 1;
                    (expression.ty.clone(), *next - 1)
                }
                None => {
                    let place = place_of(column.column)?;
                    (table.live_column(place).ty.clone(), place)
                }
            };
            columns.push(KeyColumn { ty, order });
            places.push(place);
        }
        let filter = index.predicate.as_ref().map(|_| {
            *next += 1;
            *next - 1
        });
        let include = index.include.iter().map(|id| place_of(*id)).collect::<Result<Vec<_>>>()?;
        let included = include
            .iter()
            .map(|place| KeyColumn { ty: table.live_column(*place).ty.clone(), order: KeyOrder::ASCENDING });
        let shape = IndexShape {
            columns,
            unique: index.is_always_unique(),
            nulls_not_distinct: index.nulls_not_distinct,
            include: included.collect(),
        };
        let ids = table.live_columns().enumerate();
        let reads = ids.filter(|(_, column)| index.uses(column.id)).map(|(place, _)| place).collect();
        let (id, derived) = (index.id, *next - first);
        let prefix = key_space::prefix(table.id, index.id);
        Ok(IndexCodec { id, method, shape, places, include, reads, derived, filter, prefix })
    }

    /// Whether it has an entry for each row, made of columns.
    pub(crate) fn is_plain(&self) -> bool {
        self.derived == 0
    }

    /// Whether a row has an entry.
    fn holds(&self, cells: &[ArrayRef], row: usize) -> Result<bool> {
        let Some(filter) = self.filter else { return Ok(true) };
        let wrong = || Error::InvalidArgument("the predicate of an index is not boolean".to_owned());
        let holds = cells[filter].as_boolean_opt().ok_or_else(wrong)?;
        Ok(holds.is_valid(row) && holds.value(row))
    }

    fn columns<'c>(&self, cells: &'c [ArrayRef]) -> Vec<&'c dyn Array> {
        self.places.iter().chain(&self.include).map(|place| cells[*place].as_ref()).collect()
    }

    /// The whole key and the value of one row's entry, in `entry`; no key where it has none.
    pub(crate) fn entry(
        &self,
        cells: &[ArrayRef],
        row: usize,
        row_key: &[u8],
        entry: &mut Entry,
    ) -> Result<()> {
        entry.key.clear();
        if !self.holds(cells, row)? {
            entry.exclusive = false;
            return Ok(());
        }
        self.encode_columns(&self.columns(cells), row, row_key, entry)
    }

    /// As [`IndexCodec::entry`], of a row that has one; `cells` are the key's columns and the included ones.
    pub(crate) fn encode_columns(
        &self,
        cells: &[&dyn Array],
        row: usize,
        row_key: &[u8],
        entry: &mut Entry,
    ) -> Result<()> {
        entry.key.extend_from_slice(&self.prefix);
        Ok(self.method.encode_entry(&self.shape, cells, row, row_key, entry)?)
    }

    /// The entries of the rows of a batch whose whole row keys are `keys`.
    pub(crate) fn entries(&self, cells: &[ArrayRef], keys: &Keys) -> Result<Entries> {
        let rows = keys.len();
        let columns = self.columns(cells);
        let mut out = Entries {
            keys: Keys::with_capacity(rows, rows * 32),
            values: Keys::with_capacity(rows, rows * 8),
            exclusive: Vec::with_capacity(rows),
        };
        let mut entry = Entry::default();
        for row in 0..rows {
            entry.key.clear();
            if !self.holds(cells, row)? {
                out.keys.push(&[]);
                out.values.push(&[]);
                out.exclusive.push(false);
                continue;
            }
            entry.key.extend_from_slice(&self.prefix);
            let row_key = &keys.get(row)[PREFIX_BYTES..];
            self.method.encode_entry(&self.shape, &columns, row, row_key, &mut entry)?;
            out.keys.push(&entry.key);
            out.values.push(&entry.value);
            out.exclusive.push(entry.exclusive);
        }
        Ok(out)
    }

    /// The row key in an entry (whole key and value).
    pub(crate) fn row_key<'a>(&self, key: &'a [u8], value: &'a [u8]) -> Result<&'a [u8]> {
        Ok(self.method.split_entry(&self.shape, &key[PREFIX_BYTES..], value)?.1)
    }
}

/// How many projections are kept ready.
const READY_MAX: usize = 8;

/// Decoders used before, for the next reader of the same columns.
type Ready = Mutex<Vec<Parts>>;

#[derive(Debug)]
struct Parts {
    places: Vec<usize>,
    decoder: RowDecoder,
    schema: SchemaRef,
}

/// A decoder of some live columns, with the schema of its batches. Making one costs more than reading a row with it, so
/// it is given back after use; one that has failed is dropped instead.
#[derive(Debug)]
pub(crate) struct Projected {
    parts: Parts,
    home: Arc<Ready>,
}

impl Projected {
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.parts.schema
    }

    pub(crate) fn push(&mut self, row: &[u8]) -> Result<()> {
        Ok(self.parts.decoder.push(row)?)
    }

    /// The columns of the rows so far.
    pub(crate) fn columns(&mut self) -> Result<Vec<ArrayRef>> {
        Ok(self.parts.decoder.finish()?)
    }

    /// The batch of the rows so far, the last that is wanted.
    pub(crate) fn finish(mut self) -> Result<RecordBatch> {
        let batch = self.parts.decoder.finish_batch(&self.parts.schema)?;
        self.give_back();
        Ok(batch)
    }

    /// Keeps the decoder for the next reader, where it has not failed and no rows are left in it.
    pub(crate) fn give_back(self) {
        let mut ready = self.home.lock();
        if ready.len() < READY_MAX && self.parts.decoder.is_empty() {
            ready.push(self.parts);
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Codec {
    pub(crate) encoder: RowEncoder,
    columns: Vec<RowColumn>,
    /// Places and types of the primary key's columns.
    pub(crate) key: Vec<(usize, DataType)>,
    pub(crate) indexes: Vec<IndexCodec>,
    /// The prefix of row keys.
    pub(crate) prefix: [u8; PREFIX_BYTES],
    ready: Arc<Ready>,
}

impl Codec {
    pub(crate) fn new(table: &Table) -> Result<Codec> {
        let mut slots = Vec::new();
        let mut columns = Vec::new();
        for (ordinal, column) in table.columns.iter().enumerate() {
            slots.push(RowSlot { ty: column.ty.clone(), input: table.place_of_ordinal(ordinal) });
            columns.push(RowColumn { ordinal, ty: column.ty.clone(), missing: column.missing.clone() });
        }
        let key = table.primary_key_places().into_iter();
        let key = key.map(|place| (place, table.live_column(place).ty.clone())).collect();
        let mut next = table.live_columns().len();
        let indexes = table.indexes.iter().map(|i| IndexCodec::new(table, i, &mut next));
        let indexes = indexes.collect::<Result<_>>()?;
        Ok(Codec {
            encoder: RowEncoder::with_slots(slots)?,
            columns,
            key,
            indexes,
            prefix: key_space::prefix(table.id, 0),
            ready: Arc::default(),
        })
    }

    /// The cells of the rows of a batch; of the derived ones only those of `only`, if given (the others are NULL).
    pub(crate) fn cells(
        &self,
        expressions: Option<&Arc<dyn Expressions>>,
        table: &Table,
        rows: &RecordBatch,
        only: Option<IndexId>,
    ) -> Result<Vec<ArrayRef>> {
        let mut cells = rows.columns().to_vec();
        for index in self.indexes.iter().filter(|index| !index.is_plain()) {
            if only.is_some_and(|only| only != index.id) {
                let none: ArrayRef = Arc::new(NullArray::new(rows.num_rows()));
                cells.extend(std::iter::repeat_n(none, index.derived));
                continue;
            }
            let expressions = expressions.ok_or_else(|| {
                Error::InvalidArgument(format!("an index of table \"{}\" needs SQL", table.name))
            })?;
            let own = expressions.index_cells(table, index.id, rows)?;
            if own.len() != index.derived || own.iter().any(|cell| cell.len() != rows.num_rows()) {
                return Err(Error::InvalidArgument("an index was given other cells than it has".to_owned()));
            }
            cells.extend(own);
        }
        Ok(cells)
    }

    pub(crate) fn index(&self, id: IndexId) -> Result<&IndexCodec> {
        let index = self.indexes.iter().find(|i| i.id == id);
        index.ok_or_else(|| Error::InvalidArgument(format!("the table has no index {id}")))
    }

    /// A decoder of the live columns at those places.
    pub(crate) fn decoder(&self, table: &Table, projection: &[usize]) -> Result<RowDecoder> {
        let live = table.live_columns().len();
        if let Some(place) = projection.iter().find(|place| **place >= live) {
            return Err(Error::InvalidArgument(format!("column {place} of {live}")));
        }
        let ordinals: Vec<usize> = projection.iter().map(|p| table.ordinal_of_place(*p)).collect();
        Ok(RowDecoder::new(&self.columns, &ordinals)?)
    }

    /// A decoder of those live columns, perhaps one that was used before.
    pub(crate) fn projected(&self, table: &Table, places: &[usize]) -> Result<Projected> {
        let home = Arc::clone(&self.ready);
        let mut ready = home.lock();
        let at = ready.iter().position(|parts| parts.places == places);
        let used = at.map(|at| ready.swap_remove(at));
        drop(ready);
        if let Some(parts) = used {
            return Ok(Projected { parts, home });
        }
        let decoder = self.decoder(table, places)?;
        let fields = table.arrow_schema().fields();
        let fields: Vec<_> = places.iter().map(|p| fields[*p].clone()).collect();
        let parts = Parts { places: places.to_vec(), decoder, schema: Arc::new(Schema::new(fields)) };
        Ok(Projected { parts, home })
    }

    /// The whole row keys of a batch; `first_row_id` is used where there is no primary key.
    pub(crate) fn row_keys(&self, batch: &RecordBatch, first_row_id: u64) -> Result<Keys> {
        let rows = batch.num_rows();
        let mut keys = Keys::with_capacity(rows, rows * (PREFIX_BYTES + 10 * self.key.len().max(1)));
        if self.key.is_empty() {
            for row in 0..rows {
                keys.push_with(|out| {
                    out.extend_from_slice(&self.prefix);
                    out.extend_from_slice(&(first_row_id + row as u64).to_be_bytes());
                    Ok::<(), Error>(())
                })?;
            }
            return Ok(keys);
        }
        let columns: Vec<&dyn Array> = self.key.iter().map(|(p, _)| batch.column(*p).as_ref()).collect();
        for row in 0..rows {
            keys.push_with(|out| {
                out.extend_from_slice(&self.prefix);
                let columns = columns.iter().zip(&self.key);
                columns.into_iter().try_for_each(|(column, (_, ty))| {
                    key::encode_cell(*column, row, ty, KeyOrder::ASCENDING, out)
                })
            })?;
        }
        Ok(keys)
    }
}
