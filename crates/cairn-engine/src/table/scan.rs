//! Scans: rows straight from the store's blocks into Arrow columns.
//!
//! Through the rows (full, primary key) one pass decodes the columns wanted. Through an index the entries give the row
//! keys, and rows are read one by one; where the entries hold all columns wanted (`is_covered`) no row is read.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef};
use bytes::Bytes;
use cairn_index::AccessMethod;
use cairn_storage::{Direction, KeyRange, Scan};
use cairn_types::key::{self, KeyOrder};
use cairn_types::{ColumnBuilder, DataType};

use super::access::is_covered;
use super::codec::{IndexCodec, Projected};
use super::request::{Access, ROW_KEY, ScanRequest};
use crate::catalog::Table;
use crate::error::{Error, Result};
use crate::key_space::{self, PREFIX_BYTES};
use crate::view::ReadView;

/// Where the columns of a row come from.
enum Reader {
    /// The scan's values are rows.
    Rows,
    /// The scan's entries lead to rows.
    Lookup { index: Route, key: Vec<u8> },
    /// The scan's entries hold all that is wanted.
    Covered { columns: Covered, index: Route },
}

/// What is needed to take an entry apart.
struct Route {
    method: &'static dyn AccessMethod,
    shape: cairn_index::IndexShape,
}

impl Route {
    fn new(index: &IndexCodec) -> Route {
        Route { method: index.method, shape: index.shape.clone() }
    }
}

/// A running scan: an iterator of `Result<RecordBatch>`, `Send`. It reads from a constant view, so what is written
/// meanwhile does not show.
pub struct TableScan {
    view: ReadView,
    schema: SchemaRef,
    table: u32,
    index: u16,
    direction: Direction,
    ranges: VecDeque<KeyRange>,
    /// Instead of ranges: the row keys that are left.
    keys: Option<VecDeque<Bytes>>,
    scan: Option<Scan>,
    reader: Reader,
    /// The decoder of rows; gone when it has failed, and given back at the end.
    rows: Option<Projected>,
    row_keys: Option<BinaryBuilder>,
    batch_rows: usize,
    next_batch_rows: usize,
    left: usize,
}

impl fmt::Debug for TableScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableScan").field("table", &self.table).finish_non_exhaustive()
    }
}

/// Opens a scan. Rows come in the order of the access (or against it); columns as projected, then the row key where
/// asked for.
///
/// # Errors
/// [`Error::InvalidArgument`] for a column or index that the table has not.
pub fn scan(view: &ReadView, table: &Table, request: ScanRequest) -> Result<TableScan> {
    let codec = table.codec()?;
    let (index, ranges) = request.access.parts();
    let rows = codec.projected(table, &request.projection)?;
    let reader = match &request.access {
        Access::Full | Access::Primary(_) | Access::Rows(_) => Reader::Rows,
        Access::Index { index, .. } => {
            let route = Route::new(codec.index(*index)?);
            if is_covered(table, *index, &request.projection)? {
                let columns = Covered::new(table, codec.index(*index)?, &request.projection)?;
                Reader::Covered { columns, index: route }
            } else {
                Reader::Lookup { index: route, key: codec.prefix.to_vec() }
            }
        }
    };
    let mut schema = rows.schema().clone();
    if request.with_row_key {
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(ROW_KEY, ArrowType::Binary, false)));
        schema = Arc::new(Schema::new(fields));
    }
    let mut ranges: VecDeque<KeyRange> = ranges.into();
    let mut keys = request.access.single_rows();
    if keys.is_some() {
        ranges.clear();
    }
    if request.direction == Direction::Reverse {
        ranges.make_contiguous().reverse();
        keys.iter_mut().for_each(|keys: &mut VecDeque<Bytes>| keys.make_contiguous().reverse());
    }
    let batch_rows = request.batch_rows.max(1);
    Ok(TableScan {
        view: view.clone(),
        schema,
        table: table.id,
        index,
        direction: request.direction,
        ranges,
        keys,
        scan: None,
        reader,
        rows: Some(rows),
        row_keys: request.with_row_key.then(BinaryBuilder::new),
        batch_rows,
        next_batch_rows: batch_rows.min(request.first_batch_rows.max(1)),
        left: request.limit.unwrap_or(usize::MAX),
    })
}

impl TableScan {
    /// The schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn fill(&mut self) -> Result<Option<RecordBatch>> {
        let wanted = self.next_batch_rows.min(self.left);
        let mut rows = 0;
        while rows < wanted {
            if self.keys.is_some() {
                self.read_keys(&mut rows, wanted)?;
                break;
            }
            if self.scan.is_none() {
                let Some(range) = self.ranges.pop_front() else { break };
                let range = key_space::absolute(self.table, self.index, &range);
                self.scan = Some(self.view.scan_raw(range, self.direction));
            }
            let ended = self.read(&mut rows, wanted)?;
            if ended {
                self.scan = None;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        self.left -= rows;
        self.next_batch_rows = self.batch_rows.min(self.next_batch_rows.saturating_mul(8));
        let mut columns = match &mut self.reader {
            Reader::Rows | Reader::Lookup { .. } => {
                self.rows.as_mut().map_or_else(|| Ok(Vec::new()), Projected::columns)?
            }
            Reader::Covered { columns, .. } => columns.finish()?,
        };
        if let Some(row_keys) = &mut self.row_keys {
            columns.push(Arc::new(row_keys.finish()));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?))
    }

    /// Reads up to `wanted` rows by their keys.
    fn read_keys(&mut self, rows: &mut usize, wanted: usize) -> Result<()> {
        let (Some(keys), Some(projected)) = (&mut self.keys, &mut self.rows) else { return Ok(()) };
        let mut key = key_space::prefix(self.table, 0).to_vec();
        while *rows < wanted {
            let Some(row_key) = keys.pop_front() else { break };
            key.truncate(PREFIX_BYTES);
            key.extend_from_slice(&row_key);
            if let Some(row) = self.view.get_raw(&key)? {
                projected.push(&row)?;
                if let Some(row_keys) = &mut self.row_keys {
                    row_keys.append_value(&row_key);
                }
                *rows += 1;
            }
        }
        Ok(())
    }

    /// Reads up to `wanted` rows from the current range; whether that has ended.
    fn read(&mut self, rows: &mut usize, wanted: usize) -> Result<bool> {
        let (Some(scan), Some(projected)) = (&mut self.scan, &mut self.rows) else { return Ok(true) };
        let (view, reader, row_keys) = (&self.view, &mut self.reader, &mut self.row_keys);
        let (table, index) = (self.table, self.index);
        let mut read = |entry: &[u8], value: &[u8]| -> Result<()> {
            let row_key = match reader {
                Reader::Rows => {
                    projected.push(value)?;
                    &entry[PREFIX_BYTES..]
                }
                Reader::Lookup { index: route, key } => {
                    let (_, row_key) =
                        route.method.split_entry(&route.shape, &entry[PREFIX_BYTES..], value)?;
                    key.truncate(PREFIX_BYTES);
                    key.extend_from_slice(row_key);
                    let row = view.get_raw(key)?.ok_or_else(|| dangling(table, index))?;
                    projected.push(&row)?;
                    row_key
                }
                Reader::Covered { columns, index: route } => {
                    let (cells, row_key) =
                        route.method.split_entry(&route.shape, &entry[PREFIX_BYTES..], value)?;
                    columns.push(cells, route.method.included(&route.shape, value)?, row_key)?;
                    row_key
                }
            };
            if let Some(row_keys) = row_keys {
                row_keys.append_value(row_key);
            }
            Ok(())
        };
        let mut outcome = Ok(());
        let most = wanted - *rows;
        let given = scan.next_many(most, |entry, value| {
            outcome = read(entry, value);
            outcome.is_ok()
        })?;
        outcome?;
        *rows += given;
        Ok(given < most)
    }
}

impl Iterator for TableScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.fill();
        if batch.is_err() {
            self.left = 0;
            self.rows = None;
        }
        batch.transpose()
    }
}

impl Drop for TableScan {
    fn drop(&mut self) {
        if let Some(rows) = self.rows.take() {
            rows.give_back();
        }
    }
}

fn dangling(table: u32, index: u16) -> Error {
    Error::corrupt(format!("index {index} of table {table}"), "an entry without its row")
}

/// Columns decoded from index entries and row keys.
struct Covered {
    /// The index's columns: type, order, and the output they fill.
    entry: Vec<(DataType, KeyOrder, Option<usize>)>,
    /// The included columns, down to the last one wanted.
    included: Vec<(DataType, Option<usize>)>,
    /// The primary key's columns, down to the last one wanted.
    key: Vec<(DataType, Option<usize>)>,
    outputs: Vec<ColumnBuilder>,
    /// For each projected column its output.
    projection: Vec<usize>,
}

impl Covered {
    fn new(table: &Table, index: &IndexCodec, projection: &[usize]) -> Result<Covered> {
        let mut wanted: Vec<usize> = projection.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let output = |place: &usize| wanted.iter().position(|w| w == place);
        // A column may be listed more than once: its first cell counts.
        let first = |places: &[usize], at: usize| !places[..at].contains(&places[at]);
        let entry = index.places.iter().zip(&index.shape.columns).enumerate();
        let entry = entry
            .map(|(at, (p, column))| {
                let output = output(p).filter(|_| first(&index.places, at));
                (column.ty.clone(), column.order, output)
            })
            .collect();
        let from_included = |place: &usize| output(place).filter(|_| !index.places.contains(place));
        let included = index.include.iter().zip(&index.shape.include).enumerate();
        let mut included: Vec<_> = included
            .map(|(at, (place, column))| {
                let output = from_included(place).filter(|_| first(&index.include, at));
                (column.ty.clone(), output)
            })
            .collect();
        while included.last().is_some_and(|(_, output)| output.is_none()) {
            included.pop();
        }
        let from_key = |place: &usize| from_included(place).filter(|_| !index.include.contains(place));
        let codec = table.codec()?;
        let mut key: Vec<_> = codec.key.iter().map(|(p, ty)| (ty.clone(), from_key(p))).collect();
        while key.last().is_some_and(|(_, output)| output.is_none()) {
            key.pop();
        }
        let outputs = wanted.iter().map(|p| ColumnBuilder::new(&table.live_column(*p).ty)).collect();
        let projection = projection.iter().filter_map(output).collect();
        Ok(Covered { entry, included, key, outputs, projection })
    }

    fn push(&mut self, mut cells: &[u8], mut included: &[u8], mut row_key: &[u8]) -> Result<()> {
        for (ty, order, output) in &self.entry {
            let value = key::decode_value(&mut cells, ty, *order)?;
            if let Some(output) = output {
                self.outputs[*output].push(&value)?;
            }
        }
        for (ty, output) in &self.included {
            let value = key::decode_value(&mut included, ty, KeyOrder::ASCENDING)?;
            if let Some(output) = output {
                self.outputs[*output].push(&value)?;
            }
        }
        for (ty, output) in &self.key {
            let value = key::decode_value(&mut row_key, ty, KeyOrder::ASCENDING)?;
            if let Some(output) = output {
                self.outputs[*output].push(&value)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        let outputs = self.outputs.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>, _>>()?;
        Ok(self.projection.iter().map(|i| outputs[*i].clone()).collect())
    }
}
