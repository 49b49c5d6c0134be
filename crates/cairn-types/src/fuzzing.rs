//! Fuzz targets: every decoder of this crate takes any bytes, and gives a value or an error.
//!
//! Built only for tests and by `cargo fuzz` (`--cfg fuzzing`). What decodes is encoded and decoded again: the same
//! value must come back.

use crate::key::{KeyOrder, decode_value, encode_value, skip_value};
use crate::row::{RowColumn, RowDecoder, RowEncoder, decode_row};
use crate::{DataType, Value};

/// A target: it panics on a finding.
pub type Target = fn(&[u8]);

/// Every target by the name of its file in `fuzz/fuzz_targets`.
pub const TARGETS: &[(&str, Target)] = &[("row", row), ("key", key), ("datatype", datatype)];

/// One column type of each kind, and some with parameters.
fn types() -> Vec<DataType> {
    let array = |element| DataType::Array(Box::new(element));
    vec![
        DataType::Boolean,
        DataType::SmallInt,
        DataType::Integer,
        DataType::BigInt,
        DataType::Real,
        DataType::Double,
        DataType::Numeric(None),
        DataType::Numeric(Some((10, 2))),
        DataType::Numeric(Some((30, 5))),
        DataType::Text,
        DataType::Varchar(Some(5)),
        DataType::Char(3),
        DataType::Bytea,
        DataType::Date,
        DataType::Time(None),
        DataType::Timestamp(None),
        DataType::TimestampTz(None),
        DataType::Interval(None),
        DataType::Uuid,
        DataType::Json,
        DataType::Jsonb,
        DataType::Coded(crate::Coded::Range(crate::RangeKind::Num)),
        DataType::Coded(crate::Coded::Inet),
        DataType::Coded(crate::Coded::VarBit(None)),
        array(DataType::Integer),
        array(DataType::Text),
        array(array(DataType::Boolean)),
    ]
}

/// The tables of the row target: all types, the fixed ones, the variable ones, one column each.
fn table(which: u8) -> Vec<DataType> {
    let all = types();
    match usize::from(which) % (all.len() + 3) {
        0 => all,
        1 => all[..6].to_vec(),
        2 => vec![DataType::Text, DataType::Bytea, DataType::Integer, DataType::Jsonb],
        one => vec![all[one - 3].clone()],
    }
}

/// A row: the first byte chooses the table, the rest is the row.
pub fn row(data: &[u8]) {
    let Some((&which, row)) = data.split_first() else { return };
    let types = table(which);
    let columns: Vec<RowColumn> = types
        .iter()
        .cloned()
        .enumerate()
        .map(|(ordinal, ty)| RowColumn { ordinal, ty, missing: None })
        .collect();
    let projection: Vec<usize> = (0..columns.len()).rev().collect();
    let mut decoder = RowDecoder::new(&columns, &projection).expect("the columns are sound");
    // Text is checked when the column is whole.
    let arrays = decoder.push(row).and_then(|()| decoder.finish());
    let Ok(values) = decode_row(row, &types) else { return };
    let arrays = arrays.expect("what one decoder takes, the other takes too");
    for (array, &ordinal) in arrays.iter().zip(&projection) {
        let value = values.get(ordinal).unwrap_or(&Value::Null);
        let found = Value::from_array(array, 0, &types[ordinal]);
        assert_eq!(format!("{found:?}"), format!("{value:?}"), "column {ordinal}");
    }
    let encoder = RowEncoder::new(&types[..values.len()]).expect("the types are sound");
    let mut again = Vec::new();
    if encoder.encode_values(&values, &mut again).is_ok() {
        let decoded = decode_row(&again, &types[..values.len()]).expect("what was encoded decodes");
        assert_eq!(format!("{decoded:?}"), format!("{values:?}"));
    }
}

/// A key of one column: the first byte chooses the type, the second the order.
pub fn key(data: &[u8]) {
    let [which, order, key @ ..] = data else { return };
    let types = types();
    let ty = &types[usize::from(*which) % types.len()];
    let order = KeyOrder { descending: order & 1 != 0, nulls_first: order & 2 != 0 };
    let mut rest = key;
    let decoded = decode_value(&mut rest, ty, order);
    let mut skipped = key;
    let skip = skip_value(&mut skipped, ty, order);
    assert_eq!(decoded.is_ok(), skip.is_ok());
    let Ok(value) = decoded else { return };
    assert_eq!(rest.len(), skipped.len());
    let mut again = Vec::new();
    if encode_value(&value, ty, order, &mut again).is_ok() {
        let found = decode_value(&mut &again[..], ty, order).expect("what was encoded decodes");
        assert_eq!(format!("{found:?}"), format!("{value:?}"));
    }
}

/// The catalog code of a type.
pub fn datatype(data: &[u8]) {
    let mut rest = data;
    let Ok(ty) = DataType::decode(&mut rest) else { return };
    let mut again = Vec::new();
    ty.encode(&mut again);
    let given = &data[..data.len() - rest.len()];
    // 7 is what NUMERIC once was: it reads as NUMERIC(38,10), which has a code of its own.
    let arrays = given.iter().take_while(|byte| **byte == 32).count();
    let expected = match &given[arrays..] {
        [7] => [&given[..arrays], &[8, 38, 10]].concat(),
        _ => given.to_vec(),
    };
    assert_eq!(again, expected, "one code for each type");
    assert_eq!(DataType::decode(&mut &again[..]).as_ref(), Ok(&ty));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Mutants of each target that `cargo test` tries; `CAIRN_MUTANTS` sets another number.
    const MUTANTS: usize = 20_000;

    /// Valid inputs of a target, to begin with.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let texts = [
            "true",
            "-7",
            "123456",
            "-1234567890123",
            "1.5",
            "-2.25e10",
            "3.14159",
            "12345678.90",
            "1e20",
            "text",
            "abc",
            "xy",
            "\\x00ff61",
            "2024-02-29",
            "12:34:56.789",
            "2024-02-29 01:02:03",
            "2024-02-29 01:02:03+02",
            "1 year 2 mons 3 days",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "{\"a\": [1, 2, null]}",
            "{\"b\": {\"c\": \"d\"}}",
            "[1.5,20)",
            "10.1.2.3/24",
            "10110",
            "{1,NULL,3}",
            "{a,\"b c\",NULL}",
            "{{t,f},{f,t}}",
        ];
        let types = types();
        let value = |at: usize| Value::parse_text(texts[at], &types[at]).unwrap_or(Value::Null);
        match target {
            "row" => (0..types.len() as u8 + 3).map(|which| sample_row(which, &value)).collect(),
            "key" => {
                let mut all = Vec::new();
                for (at, ty) in types.iter().enumerate() {
                    for order in 0..4u8 {
                        let mut key = vec![at as u8, order];
                        let place = KeyOrder { descending: order & 1 != 0, nulls_first: order & 2 != 0 };
                        // JSON has no key order: its seed is the two bytes alone.
                        let _ = encode_value(&value(at), ty, place, &mut key);
                        all.push(key);
                    }
                }
                all
            }
            _ => types
                .iter()
                .map(|ty| {
                    let mut code = Vec::new();
                    ty.encode(&mut code);
                    code
                })
                .collect(),
        }
    }

    fn sample_row(which: u8, value: &dyn Fn(usize) -> Value) -> Vec<u8> {
        let all = types();
        let columns = table(which);
        let values: Vec<Value> =
            columns.iter().map(|ty| value(all.iter().position(|other| other == ty).unwrap_or(0))).collect();
        let mut row = vec![which];
        let encoder = RowEncoder::new(&columns).expect("the types are sound");
        encoder.encode_values(&values, &mut row).expect("the values are of these types");
        row
    }

    #[test]
    fn decoders_survive_mutants() {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let count = number("CAIRN_MUTANTS").map_or(MUTANTS, |count| count as usize);
        let seed = number("CAIRN_SEED").unwrap_or(1);
        for (name, target) in TARGETS {
            eprintln!("{name}: {count} mutants of seed {seed}");
            cairn_testkit::mutate::run(seed, count, &seeds(name), target);
        }
    }

    /// Writes the seeds for `cargo xtask fuzz`.
    #[test]
    #[ignore = "run by `cargo xtask fuzz`"]
    fn write_corpus() {
        let Some(corpus) = std::env::var_os("CAIRN_CORPUS") else { return };
        for (name, _) in TARGETS {
            let dir = Path::new(&corpus).join(name);
            cairn_testkit::mutate::write_corpus(&dir, &seeds(name)).expect("the corpus can be written");
        }
    }
}
