//! Row code: round trips, projections, added and dropped columns, damage, golden bytes.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;
use cairn_types::row::{RowColumn, RowDecoder, RowEncoder, RowSlot, decode_row};
use cairn_types::{DataType, Decimal, TypeError, Value};

use crate::random::{Random, all_types};

fn batch(types: &[DataType], rows: &[Vec<Value>]) -> RecordBatch {
    let fields: Vec<_> = types.iter().enumerate().map(|(i, ty)| ty.to_field(format!("c{i}"), true)).collect();
    let columns: Vec<ArrayRef> = types
        .iter()
        .enumerate()
        .map(|(i, ty)| {
            Value::to_array(&rows.iter().map(|row| row[i].clone()).collect::<Vec<_>>(), ty).unwrap()
        })
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn columns(types: &[DataType]) -> Vec<RowColumn> {
    types
        .iter()
        .enumerate()
        .map(|(ordinal, ty)| RowColumn { ordinal, ty: ty.clone(), missing: None })
        .collect()
}

/// Equal and of the same text, so that -0 is not 0.
fn assert_same(a: &Value, b: &Value, ty: &DataType) {
    assert_eq!((a, a.to_text(ty)), (b, b.to_text(ty)), "{ty}");
}

#[test]
fn rows_round_trip() {
    let mut random = Random::of_test("rows_round_trip");
    for _ in 0..40 {
        let all = all_types();
        let count = random.below(20) as usize + 1;
        let types: Vec<DataType> =
            (0..count).map(|_| all[random.below(all.len() as u64) as usize].clone()).collect();
        let rows: Vec<Vec<Value>> =
            (0..20).map(|_| types.iter().map(|ty| random.value(ty)).collect()).collect();
        let batch = batch(&types, &rows);
        let encoder = RowEncoder::new(&types).unwrap();
        let bound = encoder.bind(&batch).unwrap();
        let projection: Vec<usize> =
            (0..random.below(5)).map(|_| random.below(count as u64) as usize).collect();
        let mut decoder = RowDecoder::new(&columns(&types), &projection).unwrap();
        for (i, row) in rows.iter().enumerate() {
            let (mut from_batch, mut from_values) = (Vec::new(), Vec::new());
            bound.encode(i, &mut from_batch).unwrap();
            encoder.encode_values(row, &mut from_values).unwrap();
            assert_eq!(from_batch, from_values, "{types:?} {row:?}");
            for ((a, b), ty) in decode_row(&from_batch, &types).unwrap().iter().zip(row).zip(&types) {
                assert_same(a, b, ty);
            }
            decoder.push(&from_batch).unwrap();
        }
        let schema = Arc::new(batch.schema().project(&projection).unwrap());
        let decoded = decoder.finish_batch(&schema).unwrap();
        assert_eq!(decoded.num_rows(), rows.len());
        for (column, &index) in decoded.columns().iter().zip(&projection) {
            for (i, row) in rows.iter().enumerate() {
                assert_same(&Value::from_array(column, i, &types[index]), &row[index], &types[index]);
            }
        }
    }
}

#[test]
fn long_rows_take_the_wide_form() {
    let types = [DataType::Text, DataType::Integer, DataType::Bytea];
    for length in [65_534, 65_535, 65_536, 200_000] {
        let row = vec![Value::Text("x".repeat(length)), Value::from(5), Value::from(vec![1u8])];
        let mut bytes = vec![];
        RowEncoder::new(&types).unwrap().encode_values(&row, &mut bytes).unwrap();
        assert_eq!(bytes[0], if length + 1 > 65_535 { 2 } else { 1 });
        assert_eq!(decode_row(&bytes, &types).unwrap(), row);
        let (mut from_batch, batch) = (vec![], batch(&types, std::slice::from_ref(&row)));
        RowEncoder::new(&types).unwrap().bind(&batch).unwrap().encode(0, &mut from_batch).unwrap();
        assert_eq!(bytes, from_batch);
    }
}

#[test]
fn added_columns_have_their_missing_value_and_dropped_ones_their_place() {
    let mut old = Vec::new();
    let types = [DataType::Integer, DataType::Text];
    RowEncoder::new(&types).unwrap().encode_values(&[Value::from(1), Value::from("a")], &mut old).unwrap();
    // c0 is dropped, c2 and c3 are new.
    let new_types = [DataType::Integer, DataType::Text, DataType::Varchar(None), DataType::BigInt];
    let slots = new_types.iter().zip([None, Some(0), Some(1), Some(2)]);
    let encoder =
        RowEncoder::with_slots(slots.map(|(ty, input)| RowSlot { ty: ty.clone(), input }).collect()).unwrap();
    let mut new = Vec::new();
    encoder.encode_values(&[Value::from("b"), Value::from("c"), Value::from(2i64)], &mut new).unwrap();
    let mut layout = columns(&new_types);
    layout[2].missing = Some(Value::from("none"));
    let mut decoder = RowDecoder::new(&layout, &[1, 2, 3]).unwrap();
    decoder.push(&old).unwrap();
    decoder.push(&new).unwrap();
    let arrays = decoder.finish().unwrap();
    let value = |column: usize, row: usize| Value::from_array(&arrays[column], row, &new_types[column + 1]);
    assert_eq!([value(0, 0), value(1, 0), value(2, 0)], [Value::from("a"), Value::from("none"), Value::Null]);
    assert_eq!(
        [value(0, 1), value(1, 1), value(2, 1)],
        [Value::from("b"), Value::from("c"), Value::from(2i64)]
    );
    assert!(decoder.is_empty());
    let gap = RowColumn { ordinal: 2, ty: DataType::Text, missing: None };
    assert!(RowDecoder::new(&[layout[0].clone(), gap], &[0]).is_err());
}

#[test]
fn golden_bytes() {
    let types = [DataType::Integer, DataType::Text, DataType::Boolean, DataType::Numeric(Some((5, 2)))];
    let row = [Value::from(258), Value::from("hé"), Value::Null, Value::from(Decimal::new(-1, 2))];
    let mut bytes = Vec::new();
    RowEncoder::new(&types).unwrap().encode_values(&row, &mut bytes).unwrap();
    #[rustfmt::skip]
    let golden: &[u8] = &[
        1, 4, 0, // form, columns
        0b100, // null bits
        2, 1, 0, 0, /* 258 */ 3, 0, /* end of the text */ 0, /* NULL */
        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, // -0.01
        b'h', 0xC3, 0xA9,
    ];
    assert_eq!(bytes, golden);
    let array = [DataType::Array(Box::new(DataType::Text))];
    let value = Value::Array(vec![Value::from("a"), Value::Null, Value::from("bc")]);
    bytes.clear();
    RowEncoder::new(&array).unwrap().encode_values(&[value], &mut bytes).unwrap();
    #[rustfmt::skip]
    let golden: &[u8] = &[
        1, 1, 0, 0, 22, 0, // head, null bits, end
        3, 0, 0, 0, 0b010, // count, null bits
        1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, b'a', b'b', b'c',
    ];
    assert_eq!(bytes.len(), golden.len());
    assert_eq!(bytes[6..], golden[6..]);
    assert_eq!(usize::from(bytes[4]), golden.len() - 6);
}

#[test]
fn damaged_rows_never_panic() {
    let mut random = Random::of_test("damaged_rows_never_panic");
    let types = all_types();
    let all: Vec<usize> = (0..types.len()).collect();
    let encoder = RowEncoder::new(&types).unwrap();
    let mut refused = 0;
    for _ in 0..3000 {
        let row: Vec<Value> = types.iter().map(|ty| random.value(ty)).collect();
        let mut bytes = Vec::new();
        encoder.encode_values(&row, &mut bytes).unwrap();
        for _ in 0..=random.below(4) {
            let at = match random.below(2) {
                0 => random.below(12.min(bytes.len() as u64)),
                _ => random.below(bytes.len() as u64),
            };
            bytes[at as usize] = random.next() as u8;
        }
        if random.below(3) == 0 {
            bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
        }
        let mut decoder = RowDecoder::new(&columns(&types), &all).unwrap();
        let pushed = decoder.push(&bytes).and_then(|()| decoder.finish()).is_err();
        refused += usize::from(decode_row(&bytes, &types).is_err() || pushed);
        if let Ok(values) = decode_row(&bytes, &types) {
            // Whatever came out can be printed.
            for (value, ty) in values.iter().zip(&types) {
                let _ = value.to_text(ty);
            }
        }
    }
    assert!(refused > 500, "{refused}");
    assert!(matches!(decode_row(&[], &types), Err(TypeError::Corrupt { .. })));
    assert!(matches!(decode_row(&[9, 0, 0], &types), Err(TypeError::Corrupt { .. })));
    assert!(matches!(decode_row(&[1, 0xFF, 0xFF], &types), Err(TypeError::Corrupt { .. })));
}

#[test]
fn a_batch_of_other_types_is_refused() {
    let batch = batch(&[DataType::Integer], &[vec![Value::from(1)]]);
    let encoder = RowEncoder::new(&[DataType::BigInt]).unwrap();
    assert!(matches!(encoder.bind(&batch), Err(TypeError::Mismatch { .. })));
    let encoder = RowEncoder::new(&[DataType::Integer, DataType::Integer]).unwrap();
    assert!(matches!(encoder.bind(&batch), Err(TypeError::Mismatch { .. })));
}

#[test]
fn no_column_at_all() {
    let types = [DataType::Integer];
    let mut row = Vec::new();
    RowEncoder::new(&types).unwrap().encode_values(&[Value::from(1)], &mut row).unwrap();
    let mut decoder = RowDecoder::new(&columns(&types), &[]).unwrap();
    decoder.push(&row).unwrap();
    decoder.push(&row).unwrap();
    assert_eq!(decoder.finish_batch(&Arc::new(Schema::empty())).unwrap().num_rows(), 2);
}
