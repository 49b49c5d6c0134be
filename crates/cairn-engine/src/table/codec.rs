//! How the rows, row keys and index entries of one table become keys and values.
//!
//! I1: a row key is the encoded primary key, in key order; without a primary key, 8 bytes of row id, big-endian.
//! I2: columns of a batch are the live columns; places of dropped columns are written as NULL.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use cairn_index::{AccessMethod, Entry, IndexShape, KeyColumn};
use cairn_types::DataType;
use cairn_types::key::{self, KeyOrder};
use cairn_types::row::{RowColumn, RowDecoder, RowEncoder, RowSlot};

use parking_lot::Mutex;

use crate::catalog::{IndexDescriptor, IndexId, Table};
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

/// The entries of one index for the rows of a batch. Keys are whole keys.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) keys: Keys,
    pub(crate) values: Keys,
    /// Whether another row's entry with the same key is a violation.
    pub(crate) exclusive: Vec<bool>,
}

/// One index of a table.
pub(crate) struct IndexCodec {
    pub(crate) id: IndexId,
    pub(crate) method: &'static dyn AccessMethod,
    pub(crate) shape: IndexShape,
    /// The places of the key's columns among the live columns.
    pub(crate) places: Vec<usize>,
    prefix: [u8; PREFIX_BYTES],
}

impl std::fmt::Debug for IndexCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexCodec").field("id", &self.id).finish_non_exhaustive()
    }
}

impl IndexCodec {
    pub(crate) fn new(table: &Table, index: &IndexDescriptor) -> Result<IndexCodec> {
        let method = cairn_index::kind(&index.kind).ok_or_else(|| Error::Unsupported {
            message: format!("access method \"{}\" does not exist", index.kind),
        })?;
        let mut columns = Vec::new();
        let mut places = Vec::new();
        for column in &index.columns {
            let place = table.place_of(column.column);
            let place = place.ok_or_else(|| Error::corrupt("catalog", "index on a missing column"))?;
            let order = KeyOrder { descending: column.descending, nulls_first: column.nulls_first };
            columns.push(KeyColumn { ty: table.live_column(place).ty.clone(), order });
            places.push(place);
        }
        let shape = IndexShape { columns, unique: index.unique };
        Ok(IndexCodec { id: index.id, method, shape, places, prefix: key_space::prefix(table.id, index.id) })
    }

    /// The whole key and the value of one row's entry, in `entry`. `columns` are all live columns.
    pub(crate) fn entry(
        &self,
        columns: &[ArrayRef],
        row: usize,
        row_key: &[u8],
        entry: &mut Entry,
    ) -> Result<()> {
        let cells: Vec<&dyn Array> = self.places.iter().map(|p| columns[*p].as_ref()).collect();
        entry.key.clear();
        entry.key.extend_from_slice(&self.prefix);
        Ok(self.method.encode_entry(&self.shape, &cells, row, row_key, entry)?)
    }

    /// The entries of the rows of a batch whose whole row keys are `keys`.
    pub(crate) fn entries(&self, columns: &[ArrayRef], keys: &Keys) -> Result<Entries> {
        let rows = keys.len();
        let cells: Vec<&dyn Array> = self.places.iter().map(|p| columns[*p].as_ref()).collect();
        let mut out = Entries {
            keys: Keys::with_capacity(rows, rows * 32),
            values: Keys::with_capacity(rows, rows * 8),
            exclusive: Vec::with_capacity(rows),
        };
        let mut entry = Entry::default();
        for row in 0..rows {
            entry.key.clear();
            entry.key.extend_from_slice(&self.prefix);
            let row_key = &keys.get(row)[PREFIX_BYTES..];
            self.method.encode_entry(&self.shape, &cells, row, row_key, &mut entry)?;
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
        let indexes = table.indexes.iter().map(|i| IndexCodec::new(table, i)).collect::<Result<_>>()?;
        Ok(Codec {
            encoder: RowEncoder::with_slots(slots)?,
            columns,
            key,
            indexes,
            prefix: key_space::prefix(table.id, 0),
            ready: Arc::default(),
        })
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
