//! Types: names, catalog code, Arrow mapping, assignment.
#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;

use arrow_schema::{DataType as ArrowType, Field, TimeUnit};
use cairn_types::{DataType, Decimal, Interval, TypeError, Value};

use crate::random::{Random, all_types};

/// Types with digits of a second and fields of an interval.
fn limited() -> Vec<DataType> {
    [
        "time(1)",
        "timestamp(3)",
        "timestamptz(0)[]",
        "interval year",
        "interval day to second(2)",
        "interval(4)",
        "macaddr8",
    ]
    .map(|name| DataType::parse(name).unwrap())
    .to_vec()
}

#[test]
fn names_read_back() {
    for ty in all_types().into_iter().chain(limited()) {
        assert_eq!(DataType::parse(&ty.sql_name()), Some(ty.clone()), "{ty}");
        if ty.is_numeric() || ty == DataType::TimestampTz(None) {
            assert!(DataType::parse(&ty.pg_name()).is_some(), "{ty}");
        }
    }
}

#[test]
fn spellings_of_postgresql() {
    let cases = [
        ("INT4", "integer"),
        (" int8 ", "bigint"),
        ("float8", "double precision"),
        ("float(24)", "real"),
        ("double  PRECISION", "double precision"),
        ("decimal(10 , 2)", "numeric(10,2)"),
        ("numeric(5)", "numeric(5,0)"),
        ("char", "character(1)"),
        ("character varying (7)", "character varying(7)"),
        ("timestamptz", "timestamp with time zone"),
        ("timestamp(6) with time zone", "timestamp(6) with time zone"),
        ("TIMESTAMPTZ (3)", "timestamp(3) with time zone"),
        ("timestamp(9)", "timestamp(6) without time zone"),
        ("timetz(2)", "time(2) with time zone"),
        ("INTERVAL DAY TO SECOND (3)", "interval day to second(3)"),
        ("interval(0)", "interval(0)"),
        ("time", "time without time zone"),
        ("int[]", "integer[]"),
        ("text array", "text[]"),
        ("varchar(3)[][]", "character varying(3)[][]"),
        ("pg_catalog.int4", "integer"),
    ];
    for (text, name) in cases {
        assert_eq!(DataType::parse(text).map(|ty| ty.sql_name()).as_deref(), Some(name), "{text}");
    }
    for text in [
        "serial",
        "",
        "int(4)",
        "varchar(0)",
        "numeric(39,2)",
        "timestamp(-1)",
        "interval year(2)",
        "int[",
        "foo",
        "]",
        "[]",
    ] {
        assert_eq!(DataType::parse(text), None, "{text}");
    }
}

#[test]
fn catalog_code_round_trips_and_is_golden() {
    for ty in all_types().into_iter().chain(limited()) {
        let mut code = Vec::new();
        ty.encode(&mut code);
        for end in 0..code.len() {
            assert!(DataType::decode(&mut &code[..end]).is_err(), "{ty}");
        }
        let mut bytes = code.as_slice();
        assert_eq!(DataType::decode(&mut bytes).unwrap(), ty);
        assert!(bytes.is_empty());
    }
    let mut code = Vec::new();
    for ty in ["numeric(10,-2)", "varchar(258)", "uuid[][]"] {
        DataType::parse(ty).unwrap().encode(&mut code);
    }
    assert_eq!(code, [8, 10, 0xFE, 11, 2, 1, 0, 0, 32, 32, 19]);
    // What NUMERIC was before it had scales of its own.
    assert_eq!(DataType::decode(&mut [7].as_slice()).unwrap(), DataType::Numeric(Some((38, 10))));
    code.clear();
    for ty in [
        "time(1)",
        "timestamp(3)",
        "timestamptz(0)",
        "interval year",
        "interval day to second(2)",
        "timetz(1)",
    ] {
        DataType::parse(ty).unwrap().encode(&mut code);
    }
    assert_eq!(code, [24, 1, 25, 3, 26, 0, 27, 1, 255, 27, 10, 2, 33, 15, 2, 0, 0, 0]);
    for damaged in [[25, 7].as_slice(), &[27, 14, 255], &[27, 0, 7], &[33, 15, 8, 0, 0, 0]] {
        assert!(DataType::decode(&mut &*damaged).is_err());
    }
    assert!(DataType::decode(&mut [32; 20].as_slice()).is_err());
    assert!(DataType::decode(&mut [99].as_slice()).is_err());
}

#[test]
fn types_survive_arrow() {
    for ty in all_types().into_iter().chain(limited()) {
        let field = ty.to_field("c", true);
        assert_eq!(DataType::from_field(&field), ty);
    }
    let bare = |arrow| DataType::from_field(&Field::new("c", arrow, true)).sql_name();
    assert_eq!(bare(ArrowType::Utf8View), "text");
    assert_eq!(bare(ArrowType::UInt64), "numeric(20,0)");
    assert_eq!(bare(ArrowType::Decimal128(38, 10)), "numeric(38,10)");
    assert_eq!(bare(ArrowType::Decimal256(76, 38)), "numeric");
    assert_eq!(bare(ArrowType::Decimal256(76, 4)), "numeric(38,4)");
    assert_eq!(bare(ArrowType::Null), "text");
    assert_eq!(
        bare(ArrowType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into()))),
        "timestamp with time zone"
    );
    let dictionary = ArrowType::Dictionary(Box::new(ArrowType::Int32), Box::new(ArrowType::Utf8));
    assert_eq!(bare(dictionary), "text");
    // Inherited metadata that no longer fits the Arrow type loses.
    let stale = DataType::Uuid.to_field("c", true).with_data_type(ArrowType::Int64);
    assert_eq!(DataType::from_field(&stale), DataType::BigInt);
}

#[test]
fn values_survive_arrow() {
    let mut random = Random::of_test("values_survive_arrow");
    for ty in all_types() {
        let values: Vec<Value> = (0..200).map(|_| random.value(&ty)).collect();
        let array = Value::to_array(&values, &ty).unwrap();
        assert_eq!(*array.data_type(), ty.to_arrow());
        for (row, value) in values.iter().enumerate() {
            let back = Value::from_array(&array, row, &ty);
            assert_eq!(back, *value, "{ty}");
            assert_eq!(back.to_text(&ty), value.to_text(&ty), "{ty}");
        }
    }
}

#[test]
fn foreign_arrays_are_read() {
    use arrow_array::*;
    let read = |array: &dyn Array| Value::from_array(array, 0, &DataType::from_arrow(array.data_type()));
    assert_eq!(read(&UInt64Array::from(vec![u64::MAX])).to_text(&DataType::Text), "18446744073709551615");
    assert_eq!(read(&TimestampNanosecondArray::from(vec![-1])), Value::Timestamp(-1));
    assert_eq!(read(&StringViewArray::from(vec!["x"])), Value::from("x"));
    let dictionary: DictionaryArray<types::Int8Type> = vec!["a", "b"].into_iter().collect();
    assert_eq!(Value::from_array(&dictionary, 1, &DataType::Text), Value::from("b"));
    let wide = arrow_buffer::i256::from_string("123456789012345678901234567890123456789012345").unwrap();
    let wide = Decimal256Array::from(vec![wide]).with_precision_and_scale(76, 10).unwrap();
    assert_eq!(read(&wide).to_text(&DataType::Text), "12345678901234567890123456789012345.6789012345");
}

#[test]
fn order_of_values() {
    assert!(Value::Null > Value::from(i64::MAX));
    assert!(Value::from(f64::NAN) > Value::from(f64::INFINITY));
    assert_eq!(Value::from(f64::NAN), Value::from(-f64::NAN));
    assert_eq!(Value::from(-0.0), Value::from(0.0));
    assert_eq!(Value::from(Decimal::new(10, 1)), Value::from(Decimal::new(1, 0)));
    assert!(Decimal::new(-101, 2) < Decimal::new(-1, 0));
    assert!(Decimal::new(i128::MAX, 0) > Decimal::new(i128::MAX, 38));
    assert!(Decimal::new(1, -38) > Decimal::new(i128::MAX, 38));
    assert!(Decimal::new(-1, -38) < Decimal::new(i128::MIN, 38));
    assert_eq!(
        Value::from(Interval { months: 1, days: 0, nanos: 0 }),
        Value::from(Interval { months: 0, days: 29, nanos: 86_400_000_000_000 })
    );
    let padded = Value::from("a ").compare_as(&Value::from("a"), &DataType::Char(2));
    assert_eq!(padded, Ordering::Equal);
    let array = |values: &[i32]| Value::Array(values.iter().map(|n| Value::from(*n)).collect());
    assert!(array(&[1, 2]) < array(&[1, 2, 0]));
    assert!(array(&[1, 3]) > array(&[1, 2, 9]));
}

#[test]
fn assignment_fits_parameters() {
    let fit = |value: Value, ty: &str| value.fit(&DataType::parse(ty).unwrap());
    assert_eq!(fit(Value::from(7i64), "smallint").unwrap(), Value::SmallInt(7));
    assert_eq!(fit(Value::from(70_000), "smallint").unwrap_err().to_string(), "smallint out of range");
    assert_eq!(
        fit(Value::from(Decimal::new(12345, 3)), "numeric(4,2)").unwrap().to_text(&DataType::Text),
        "12.35"
    );
    let overflow = fit(Value::from(Decimal::new(1000, 0)), "numeric(5,2)").unwrap_err();
    assert_eq!(overflow.sqlstate(), "22003");
    assert_eq!(
        overflow.detail().unwrap(),
        "A field with precision 5, scale 2 must round to an absolute value less than 10^3."
    );
    assert_eq!(fit(Value::from("ab "), "varchar(2)").unwrap().as_str(), Some("ab"));
    assert_eq!(fit(Value::from("äb"), "char(3)").unwrap().as_str(), Some("äb "));
    let long = fit(Value::from("abc"), "varchar(2)").unwrap_err();
    assert_eq!(
        (long.sqlstate(), long.to_string().as_str()),
        ("22001", "value too long for type character varying(2)")
    );
    assert!(matches!(fit(Value::from("1"), "integer"), Err(TypeError::Mismatch { .. })));
}
