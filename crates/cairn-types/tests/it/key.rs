//! Key code: order, round trips, damage, golden bytes.
#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use cairn_types::key::{KeyOrder, decode_value, encode_cell, encode_value};
use cairn_types::{DataType, Decimal, Interval, TypeError, Value};

use crate::random::{Random, all_types};

fn orders() -> impl Iterator<Item = KeyOrder> {
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(descending, nulls_first)| KeyOrder { descending, nulls_first })
}

fn key(value: &Value, ty: &DataType, order: KeyOrder) -> Vec<u8> {
    let mut out = Vec::new();
    encode_value(value, ty, order, &mut out).unwrap();
    out
}

/// The order that the key must have.
fn expected(a: &Value, b: &Value, ty: &DataType, order: KeyOrder) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (false, false) if order.descending => b.compare_as(a, ty),
        (false, false) => a.compare_as(b, ty),
        (a_null, _) => {
            if a_null == order.nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
    }
}

#[test]
fn key_order_is_value_order() {
    let mut random = Random::of_test("key_order_is_value_order");
    for ty in all_types().into_iter().filter(DataType::is_indexable) {
        for order in orders() {
            let values: Vec<Value> = (0..60).map(|_| random.value(&ty)).collect();
            let keys: Vec<Vec<u8>> = values.iter().map(|value| key(value, &ty, order)).collect();
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values.iter().enumerate() {
                    let context = || format!("{ty} {order:?} {a:?} {b:?}");
                    assert_eq!(keys[i].cmp(&keys[j]), expected(a, b, &ty, order), "{}", context());
                    let prefix = keys[i] != keys[j] && keys[i].starts_with(&keys[j]);
                    assert!(!prefix, "prefix: {}", context());
                }
            }
        }
    }
}

#[test]
fn keys_of_several_columns_order_by_the_first_difference() {
    let mut random = Random::of_test("keys_of_several_columns");
    let types = [DataType::Text, DataType::Integer, DataType::Bytea];
    let orders = [KeyOrder::DESCENDING, KeyOrder::ASCENDING, KeyOrder::DESCENDING];
    let rows: Vec<Vec<Value>> = (0..150).map(|_| types.iter().map(|ty| random.value(ty)).collect()).collect();
    let keys: Vec<Vec<u8>> = rows
        .iter()
        .map(|row| {
            let mut out = Vec::new();
            for ((value, ty), order) in row.iter().zip(&types).zip(orders) {
                encode_value(value, ty, order, &mut out).unwrap();
            }
            out
        })
        .collect();
    for (a, key_a) in rows.iter().zip(&keys) {
        for (b, key_b) in rows.iter().zip(&keys) {
            let columns = a.iter().zip(b).zip(types.iter().zip(orders));
            let wanted = columns.map(|((a, b), (ty, order))| expected(a, b, ty, order)).find(|o| o.is_ne());
            assert_eq!(key_a.cmp(key_b), wanted.unwrap_or(Ordering::Equal), "{a:?} {b:?}");
        }
    }
}

#[test]
fn keys_decode_to_equal_values() {
    let mut random = Random::of_test("keys_decode_to_equal_values");
    for ty in all_types().into_iter().filter(DataType::is_indexable) {
        for order in orders() {
            let values: Vec<Value> = (0..100).map(|_| random.value(&ty)).collect();
            let array = Value::to_array(&values, &ty).unwrap();
            for (row, value) in values.iter().enumerate() {
                let mut bytes = key(value, &ty, order);
                let mut cell = Vec::new();
                encode_cell(&array, row, &ty, order, &mut cell).unwrap();
                assert_eq!(bytes, cell, "{ty}");
                bytes.extend_from_slice(b"rest");
                let mut rest = bytes.as_slice();
                let back = decode_value(&mut rest, &ty, order).unwrap();
                assert_eq!(rest, b"rest");
                assert_eq!(back.compare_as(value, &ty), Ordering::Equal, "{ty} {value:?} {back:?}");
                if ty.is_key_exact() {
                    assert_eq!(back.to_text(&ty), value.to_text(&ty), "{ty}");
                }
            }
        }
    }
}

#[test]
fn extreme_intervals_round_trip() {
    for months in [i32::MIN, -1, 0, i32::MAX] {
        for days in [i32::MIN, -1, 0, i32::MAX] {
            for nanos in [i64::MIN, -1, 0, i64::MAX] {
                let value = Value::from(Interval { months, days, nanos });
                let bytes = key(&value, &DataType::Interval(None), KeyOrder::ASCENDING);
                let back =
                    decode_value(&mut bytes.as_slice(), &DataType::Interval(None), KeyOrder::ASCENDING)
                        .unwrap();
                assert_eq!(back, value, "{months} {days} {nanos}");
            }
        }
    }
}

#[test]
fn damaged_keys_never_panic() {
    let mut random = Random::of_test("damaged_keys_never_panic");
    let mut refused = 0;
    for ty in all_types() {
        for order in orders() {
            for _ in 0..200 {
                let mut bytes = match ty.is_indexable() {
                    true => key(&random.value(&ty), &ty, order),
                    false => random.bytes(),
                };
                for _ in 0..=random.below(2) {
                    if !bytes.is_empty() {
                        let at = random.below(bytes.len() as u64) as usize;
                        bytes[at] = random.next() as u8;
                    }
                }
                bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
                refused += usize::from(decode_value(&mut bytes.as_slice(), &ty, order).is_err());
            }
        }
    }
    assert!(refused > 1000);
}

#[test]
fn golden_bytes() {
    let cases: [(Value, &str, KeyOrder, &[u8]); 18] = [
        (Value::Null, "integer", KeyOrder::ASCENDING, &[0xFF]),
        (Value::Null, "integer", KeyOrder::DESCENDING, &[0x00]),
        (Value::from(true), "boolean", KeyOrder::ASCENDING, &[0x80, 1]),
        (Value::from(1i16), "smallint", KeyOrder::ASCENDING, &[0x80, 0x80, 1]),
        (Value::from(-1), "integer", KeyOrder::ASCENDING, &[0x80, 0x7F, 0xFF, 0xFF, 0xFF]),
        (Value::from(-1), "integer", KeyOrder::DESCENDING, &[0x80, 0x80, 0, 0, 0]),
        (Value::from(1i64), "bigint", KeyOrder::ASCENDING, &[0x80, 0x80, 0, 0, 0, 0, 0, 0, 1]),
        (Value::from(1.0), "double precision", KeyOrder::ASCENDING, &[0x80, 0xBF, 0xF0, 0, 0, 0, 0, 0, 0]),
        (Value::from(-0.0f32), "real", KeyOrder::ASCENDING, &[0x80, 0x80, 0, 0, 0]),
        (
            Value::from(Decimal::new(15, 1)),
            "numeric(5,2)",
            KeyOrder::ASCENDING,
            &[0x80, 0x80, 0, 0, 0, 0, 0, 0, 150],
        ),
        (Value::from(Decimal::new(150, 2)), "numeric", KeyOrder::ASCENDING, &[0x80, 0xE8, 0x40, 1, 3, 100]),
        (
            Value::from(Decimal::new(-15, 1)),
            "numeric",
            KeyOrder::ASCENDING,
            &[0x80, 0x10, 0xBF, 0xFE, 0xFC, 0x9B],
        ),
        (Value::from("a\0b"), "text", KeyOrder::ASCENDING, &[0x80, b'a', 0, 0xFF, b'b', 0, 1]),
        (Value::from("a"), "text", KeyOrder::DESCENDING, &[0x80, !b'a', 0xFF, 0xFE]),
        (Value::from("a  "), "char(3)", KeyOrder::ASCENDING, &[0x80, b'a', 0, 1]),
        (Value::from(vec![7u8]), "bytea", KeyOrder::ASCENDING, &[0x80, 7, 0, 1]),
        (Value::Date(0), "date", KeyOrder::ASCENDING, &[0x80, 0x80, 0, 0, 0]),
        (
            Value::Array(vec![Value::from(true), Value::Null]),
            "boolean[]",
            KeyOrder::ASCENDING,
            &[0x80, 0x80, 1, 0xFF, 0],
        ),
    ];
    for (value, ty, order, bytes) in cases {
        assert_eq!(key(&value, &DataType::parse(ty).unwrap(), order), bytes, "{value:?}");
    }
    let month = Value::from(Interval { months: 1, days: 0, nanos: 0 });
    let bytes = key(&month, &DataType::Interval(None), KeyOrder::ASCENDING);
    assert_eq!(bytes, [0x80, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0x09, 0x35, 0x69, 0x07, 0x42, 0x00, 0x00]);
}

#[test]
fn what_no_key_can_hold_is_refused() {
    let refused = |value: Value, ty: &str| {
        let mut out = vec![9];
        let error =
            encode_value(&value, &DataType::parse(ty).unwrap(), KeyOrder::ASCENDING, &mut out).unwrap_err();
        assert_eq!(out, [9]);
        error
    };
    assert!(matches!(refused(Value::Json("1".into()), "json"), TypeError::NotIndexable { .. }));
    assert!(matches!(refused(Value::Null, "jsonb[]"), TypeError::NotIndexable { .. }));
    assert!(matches!(refused(Value::from(Decimal::new(1234, 3)), "numeric(5,2)"), TypeError::Inexact { .. }));
    assert!(matches!(refused(Value::from(1i64 << 40), "integer"), TypeError::TypeRange { .. }));
    assert!(matches!(refused(Value::from("x"), "integer"), TypeError::Mismatch { .. }));
}
