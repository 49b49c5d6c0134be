//! Rows of a table for counting: all of a small one, short runs from all over a large one.
//!
//! Bounded: so many rows of so many columns, and of long values only their lengths.

use cairn_types::Value;

use crate::catalog::Table;
use crate::error::Result;
use crate::table::{Access, ScanRequest, scan, split};
use crate::view::ReadView;

/// Rows of a sample of a large table: PostgreSQL's 300 times 100, enough for a histogram of 100 parts.
const SAMPLE_ROWS: u64 = 30_000;
/// Tables up to this size are read whole, and one of every so many rows of them taken.
const WHOLE_ROWS_MAX: u64 = 200_000;
/// Places of a large table that are looked at: the more, the less neighbours tell.
const RUNS: usize = 3000;
/// Where the store cannot tell so many: borders that make a part, and parts at least.
const BORDERS_OF_RUN: usize = 8;
/// See [`BORDERS_OF_RUN`].
const RUNS_MIN: usize = 16;
/// Columns of one pass.
pub(super) const COLUMNS_MAX: usize = 8;
/// Longer values are counted, not kept.
const WIDTH_MAX: usize = 512;
/// Rows in a batch: values may be long.
const BATCH_ROWS: usize = 512;

/// Values of a column, in the order of the keys.
#[derive(Default)]
pub(super) struct Values {
    /// Those that are neither NULL nor long, with their places among all.
    pub(super) kept: Vec<(Value, u32)>,
    pub(super) nulls: u64,
    /// Those that are too long to be kept.
    pub(super) wide: u64,
    /// Bytes of all that are not NULL.
    pub(super) bytes: u64,
}

/// A sample.
pub(super) struct Sample {
    pub(super) columns: Vec<Values>,
    pub(super) rows: u64,
    /// Rows that were read; of them so many for each that is taken.
    seen: u64,
    stride: u64,
    /// About how many rows the table has.
    pub(super) total: f64,
}

/// `look` is asked at each batch whether to go on.
pub(super) fn take(
    view: &ReadView,
    table: &Table,
    places: &[usize],
    approximate: u64,
    look: &dyn Fn() -> Result<()>,
) -> Result<Sample> {
    let columns = places.iter().map(|_| Values::default()).collect();
    let mut sample = Sample { columns, rows: 0, seen: 0, stride: 1, total: 0.0 };
    if approximate <= WHOLE_ROWS_MAX {
        sample.stride = (approximate / SAMPLE_ROWS).max(1);
        // The estimate may be off: then a sample of the beginning is what there is.
        let most = 2 * WHOLE_ROWS_MAX;
        read(view, table, places, Access::Full, most, &mut sample, look)?;
        sample.total = if sample.seen == most { approximate.max(most) } else { sample.seen } as f64;
        return Ok(sample);
    }
    let mut runs = split(view, table, &Access::Full, RUNS);
    if runs.len() < RUNS / 2 {
        // There are no more borders: what lies between them differs in size. Some of them make parts of about the same.
        runs = split(view, table, &Access::Full, (runs.len() / BORDERS_OF_RUN).max(RUNS_MIN));
    }
    let each = SAMPLE_ROWS.div_ceil(runs.len() as u64);
    for run in runs {
        read(view, table, places, run, each, &mut sample, look)?;
    }
    sample.total = (approximate as f64).max(sample.rows as f64);
    Ok(sample)
}

fn read(
    view: &ReadView,
    table: &Table,
    places: &[usize],
    access: Access,
    most: u64,
    sample: &mut Sample,
    look: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let mut request = ScanRequest::new(access, places.to_vec());
    request.limit = Some(most as usize);
    request.first_batch_rows = BATCH_ROWS.min(most as usize);
    request.batch_rows = BATCH_ROWS;
    for batch in scan(view, table, request)? {
        look()?;
        let batch = batch?;
        let taken: Vec<usize> =
            (0..batch.num_rows()).filter(|row| is_taken(sample.seen + *row as u64, sample.stride)).collect();
        for ((values, array), place) in sample.columns.iter_mut().zip(batch.columns()).zip(places) {
            let ty = &table.live_column(*place).ty;
            for (at, row) in taken.iter().copied().enumerate() {
                let value = Value::from_array(array, row, ty);
                if value.is_null() {
                    values.nulls += 1;
                    continue;
                }
                let bytes = width(&value);
                values.bytes += bytes as u64;
                match bytes > WIDTH_MAX {
                    true => values.wide += 1,
                    false => values.kept.push((value, (sample.rows + at as u64) as u32)),
                }
            }
        }
        sample.rows += taken.len() as u64;
        sample.seen += batch.num_rows() as u64;
    }
    Ok(())
}

/// Whether the row of that number is the one that is taken of its `stride` neighbours: any of them, so that values that come
/// again at equal distances are met as often as others.
fn is_taken(row: u64, stride: u64) -> bool {
    // The finalizer of SplitMix64.
    let mut mixed = (row / stride).wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    row % stride == (mixed ^ (mixed >> 31)) % stride
}

/// About what a value takes, in bytes.
pub(super) fn width(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Boolean(_) => 1,
        Value::SmallInt(_) => 2,
        Value::Integer(_) | Value::Real(_) | Value::Date(_) => 4,
        Value::BigInt(_)
        | Value::Double(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::TimestampTz(_) => 8,
        Value::Numeric(_) => 10,
        Value::Interval(_) | Value::Uuid(_) => 16,
        Value::Text(text) | Value::Json(text) | Value::Jsonb(text) => text.len() + 1,
        Value::Bytea(bytes) => bytes.len() + 1,
        Value::Array(values) => 8 + values.iter().map(width).sum::<usize>(),
        Value::Coded { code, .. } => code.len() + 1,
    }
}
