//! Prints the speed of the row and key codes on rows like the flights': 336,776 rows of 19 columns.
//!
//! `cargo run --release -p cairn-types --example row_bench`
#![allow(clippy::unwrap_used, clippy::disallowed_types, clippy::cast_precision_loss)]

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::Schema;
use cairn_types::DataType;
use cairn_types::key::{KeyOrder, encode_cell};
use cairn_types::row::{RowColumn, RowDecoder, RowEncoder};

const ROWS: usize = 336_776;
const TEXTS: [usize; 4] = [9, 11, 12, 13];

fn main() {
    let (types, batch) = flights();
    let encoder = RowEncoder::new(&types).unwrap();
    let mut data = Vec::new();
    let mut ends = Vec::with_capacity(ROWS);
    let encode = best(|| {
        data.clear();
        ends.clear();
        let rows = encoder.bind(&batch).unwrap();
        for row in 0..ROWS {
            rows.encode(row, &mut data).unwrap();
            ends.push(data.len());
        }
    });
    println!(
        "encode 19 columns: {:.3} s, {:.1} ns a cell, {} bytes a row",
        encode,
        per(encode, ROWS * 19),
        data.len() / ROWS
    );

    let columns: Vec<RowColumn> = types
        .iter()
        .enumerate()
        .map(|(ordinal, ty)| RowColumn { ordinal, ty: ty.clone(), missing: None })
        .collect();
    for (name, projection) in
        [("3 columns (2 int, 1 text)", vec![3, 5, 12]), ("1 int", vec![5]), ("all 19", (0..19).collect())]
    {
        let mut decoder = RowDecoder::new(&columns, &projection).unwrap();
        let decode = best(|| {
            let mut start = 0;
            for (i, &end) in ends.iter().enumerate() {
                decoder.push(&data[start..end]).unwrap();
                start = end;
                if i % 8192 == 8191 {
                    decoder.finish().unwrap();
                }
            }
            decoder.finish().unwrap();
        });
        println!("decode {name}: {:.3} s, {:.1} ns a row", decode, per(decode, ROWS));
    }

    let mut key = Vec::new();
    for (name, column) in [("integer", 5), ("text", 11)] {
        let keys = best(|| {
            for row in 0..ROWS {
                key.clear();
                encode_cell(batch.column(column), row, &types[column], KeyOrder::ASCENDING, &mut key)
                    .unwrap();
            }
        });
        println!("key of one {name}: {:.1} ns", per(keys, ROWS));
    }
}

fn per(seconds: f64, count: usize) -> f64 {
    seconds * 1e9 / count as f64
}

/// Seconds of the fastest of five runs.
fn best(mut work: impl FnMut()) -> f64 {
    (0..5)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn flights() -> (Vec<DataType>, RecordBatch) {
    let mut types = vec![DataType::Integer; 19];
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (column, ty) in types.iter_mut().enumerate() {
        let at = |i: usize| (i * 2_654_435_761 + column * 97) % 2400;
        let known = |i: usize| at(i) > 40 || column < 3;
        columns.push(if TEXTS.contains(&column) {
            *ty = DataType::Text;
            let texts = (0..ROWS).map(|i| known(i).then(|| format!("N{:03}", at(i) % 900)));
            Arc::new(texts.collect::<StringArray>())
        } else if column == 18 {
            *ty = DataType::Timestamp(None);
            Arc::new(
                (0..ROWS)
                    .map(|i| Some(1_357_000_000_000_000 + at(i) as i64))
                    .collect::<TimestampMicrosecondArray>(),
            )
        } else {
            Arc::new((0..ROWS).map(|i| known(i).then_some(at(i) as i32)).collect::<Int32Array>())
        });
    }
    let fields: Vec<_> = types.iter().enumerate().map(|(i, ty)| ty.to_field(format!("c{i}"), true)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    (types, batch)
}
