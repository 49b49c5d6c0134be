//! PostgreSQL's text forms: exact output, accepted input, errors, round trips.
#![allow(clippy::unwrap_used)]

use cairn_types::datetime::{Zone, parse_timestamptz, write_timestamptz};
use cairn_types::text::{format_cell, parse_cell};
use cairn_types::{ColumnBuilder, DataType, Value};

use crate::random::{Random, all_types};

fn ty(name: &str) -> DataType {
    DataType::parse(name).unwrap()
}

/// Reads and prints.
fn through(name: &str, text: &str) -> String {
    let ty = ty(name);
    Value::parse_text(text, &ty).unwrap_or_else(|error| panic!("{name} {text:?}: {error}")).to_text(&ty)
}

fn check(name: &str, cases: &[(&str, &str)]) {
    for (text, printed) in cases {
        assert_eq!(through(name, text), *printed, "{name} {text:?}");
    }
}

fn refuse(name: &str, cases: &[(&str, &str, &str)]) {
    for (text, sqlstate, message) in cases {
        match Value::parse_text(text, &ty(name)) {
            Ok(value) => panic!("{name} {text:?} gave {value:?}"),
            Err(error) => {
                assert_eq!((error.sqlstate(), error.to_string().as_str()), (*sqlstate, *message), "{text:?}")
            }
        }
    }
}

#[test]
fn text_round_trips() {
    let mut random = Random::of_test("text_round_trips");
    for ty in all_types() {
        let values: Vec<Value> = (0..300).map(|_| random.present(&ty)).collect();
        let array = Value::to_array(&values, &ty).unwrap();
        let mut column = ColumnBuilder::new(&ty);
        for (row, value) in values.iter().enumerate() {
            let mut text = String::new();
            format_cell(&array, row, &ty, &mut text);
            assert_eq!(text, value.to_text(&ty), "{ty}");
            let back = Value::parse_text(&text, &ty).unwrap_or_else(|error| panic!("{ty} {text:?}: {error}"));
            assert_eq!((&back, &back.to_text(&ty)), (value, &text), "{ty}");
            parse_cell(&text, &ty, &mut column).unwrap();
        }
        let parsed = column.finish().unwrap();
        for (row, value) in values.iter().enumerate() {
            assert_eq!(Value::from_array(&parsed, row, &ty), *value, "{ty}");
        }
    }
}

#[test]
fn any_text_is_read_or_refused() {
    let mut random = Random::of_test("any_text_is_read_or_refused");
    let alphabet: Vec<char> = "0123456789+-:./ eETZabcpjn{}\",\\[]xä'\u{0}".chars().collect();
    for ty in all_types() {
        for _ in 0..2000 {
            let length = random.below(16);
            let text: String =
                (0..length).map(|_| alphabet[random.below(alphabet.len() as u64) as usize]).collect();
            if let Ok(value) = Value::parse_text(&text, &ty) {
                let printed = value.to_text(&ty);
                assert_eq!(Value::parse_text(&printed, &ty).unwrap(), value, "{ty} {text:?} {printed:?}");
            }
        }
    }
}

#[test]
fn extremes_are_printed() {
    for n in [i64::MIN, -1, i64::MAX] {
        for ty in [DataType::Timestamp(None), DataType::TimestampTz(None), DataType::Time(None)] {
            let value = match ty {
                DataType::Timestamp(_) => Value::Timestamp(n),
                DataType::TimestampTz(_) => Value::TimestampTz(n),
                _ => Value::Time(n),
            };
            assert!(!value.to_text(&ty).is_empty());
        }
    }
    assert_eq!(Value::Date(i32::MAX).to_text(&DataType::Date), "infinity");
    assert_eq!(Value::Date(i32::MAX - 1).to_text(&DataType::Date), "5881580-07-10");
    assert_eq!(Value::Date(i32::MIN).to_text(&DataType::Date), "-infinity");
    assert_eq!(Value::Date(i32::MIN + 1).to_text(&DataType::Date), "5877642-06-24 BC");
    let smallest = cairn_types::Interval { months: i32::MIN, days: i32::MIN, nanos: i64::MIN };
    let _ = Value::from(smallest).to_text(&DataType::Interval(None));
}

#[test]
fn booleans() {
    let cases = [
        ("t", "t"),
        (" TRUE ", "t"),
        ("y", "t"),
        ("on", "t"),
        ("1", "t"),
        ("fal", "f"),
        ("off", "f"),
        ("0", "f"),
    ];
    check("boolean", &cases);
    refuse(
        "boolean",
        &[
            ("o", "22P02", "invalid input syntax for type boolean: \"o\""),
            ("", "22P02", "invalid input syntax for type boolean: \"\""),
        ],
    );
}

#[test]
fn integers() {
    check(
        "integer",
        &[
            ("42", "42"),
            (" -7 ", "-7"),
            ("+1", "1"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("-2147483648", "-2147483648"),
        ],
    );
    check(
        "bigint",
        &[
            ("-9223372036854775808", "-9223372036854775808"),
            ("0009223372036854775807", "9223372036854775807"),
        ],
    );
    refuse(
        "integer",
        &[
            ("abc", "22P02", "invalid input syntax for type integer: \"abc\""),
            ("1.5", "22P02", "invalid input syntax for type integer: \"1.5\""),
            ("", "22P02", "invalid input syntax for type integer: \"\""),
            ("2147483648", "22003", "value \"2147483648\" is out of range for type integer"),
            (
                "99999999999999999999999999999999999999999999",
                "22003",
                "value \"99999999999999999999999999999999999999999999\" is out of range for type integer",
            ),
        ],
    );
    refuse("smallint", &[("32768", "22003", "value \"32768\" is out of range for type smallint")]);
}

#[test]
fn floats() {
    check(
        "double precision",
        &[
            ("1e20", "1e+20"),
            ("1e15", "1e+15"),
            ("123456789012345", "123456789012345"),
            ("1e14", "100000000000000"),
            ("0.1", "0.1"),
            ("1e-4", "0.0001"),
            ("1e-5", "1e-05"),
            ("-1.5", "-1.5"),
            ("1.0", "1"),
            ("-0", "-0"),
            ("infinity", "Infinity"),
            ("-Inf", "-Infinity"),
            ("nan", "NaN"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("5e-324", "5e-324"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1234567.875", "1234567.875"),
        ],
    );
    check(
        "real",
        &[
            ("1e5", "100000"),
            ("1e6", "1e+06"),
            ("0.1", "0.1"),
            ("123456.7", "123456.7"),
            ("16777216", "1.6777216e+07"),
        ],
    );
    refuse(
        "double precision",
        &[
            ("1e400", "22003", "value \"1e400\" is out of range for type double precision"),
            ("1e-400", "22003", "value \"1e-400\" is out of range for type double precision"),
            ("x", "22P02", "invalid input syntax for type double precision: \"x\""),
        ],
    );
}

#[test]
fn numerics() {
    check(
        "numeric(10,2)",
        &[
            ("1", "1.00"),
            ("-1.005", "-1.01"),
            ("0.004", "0.00"),
            ("1e3", "1000.00"),
            ("12345678.994", "12345678.99"),
        ],
    );
    check(
        "numeric",
        &[
            ("1.500", "1.500"),
            ("100", "100"),
            ("-0.0", "0.0"),
            ("1e-10", "0.0000000001"),
            ("1.50e2", "150"),
            ("nan", "NaN"),
            (" -Inf ", "-Infinity"),
            ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
            ("+.5", "0.5"),
            ("5.", "5"),
        ],
    );
    check(
        "numeric(38,0)",
        &[("99999999999999999999999999999999999999", "99999999999999999999999999999999999999")],
    );
    refuse(
        "numeric(5,2)",
        &[
            ("1000", "22003", "numeric field overflow"),
            ("1,5", "22P02", "invalid input syntax for type numeric: \"1,5\""),
            ("", "22P02", "invalid input syntax for type numeric: \"\""),
        ],
    );
    refuse(
        "numeric",
        &[
            ("-NaN", "22P02", "invalid input syntax for type numeric: \"-NaN\""),
            ("1e-37", "22003", "value overflows numeric format"),
            ("1e38", "22003", "value overflows numeric format"),
            ("1e400", "22003", "value overflows numeric format"),
        ],
    );
}

#[test]
fn characters() {
    check("char(3)", &[("a", "a  "), ("abc  ", "abc")]);
    check("varchar(2)", &[("äö", "äö"), ("a", "a")]);
    refuse("varchar(2)", &[("abc", "22001", "value too long for type character varying(2)")]);
    refuse("char(2)", &[("abc", "22001", "value too long for type character(2)")]);
}

#[test]
fn bytes_and_uuids() {
    check("bytea", &[("\\xDEAD be ef", "\\xdeadbeef"), ("a\\\\b\\001", "\\x615c6201"), ("", "\\x")]);
    refuse(
        "bytea",
        &[
            ("\\xabc", "22023", "invalid hexadecimal data: odd number of digits"),
            ("\\xzz", "22023", "invalid hexadecimal digit: \"z\""),
        ],
    );
    let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    check(
        "uuid",
        &[
            (id, id),
            ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", id),
            ("{a0eebc999c0b4ef8bb6d6bb9bd380a11}", id),
            ("a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", id),
        ],
    );
    refuse(
        "uuid",
        &[
            ("a0eebc99", "22P02", "invalid input syntax for type uuid: \"a0eebc99\""),
            (
                "11111111-1111-1111-1111-1111111111111",
                "22P02",
                "invalid input syntax for type uuid: \"11111111-1111-1111-1111-1111111111111\"",
            ),
        ],
    );
}

#[test]
fn dates() {
    check(
        "date",
        &[
            ("2013-01-01", "2013-01-01"),
            ("2012-2-29", "2012-02-29"),
            ("20130101", "2013-01-01"),
            ("1/8/1999", "1999-01-08"),
            ("January 8, 1999", "1999-01-08"),
            ("8 Jan 1999", "1999-01-08"),
            ("1999-Jan-08", "1999-01-08"),
            ("Jan-08-1999", "1999-01-08"),
            ("0044-03-15 BC", "0044-03-15 BC"),
            ("2013-01-01 05:00:00", "2013-01-01"),
            ("Mon Jan 08 1999", "1999-01-08"),
            ("12345-01-01", "12345-01-01"),
            ("epoch", "1970-01-01"),
        ],
    );
    refuse(
        "date",
        &[
            ("2013-13-01", "22008", "date/time field value out of range: \"2013-13-01\""),
            ("2013-02-29", "22008", "date/time field value out of range: \"2013-02-29\""),
            ("0000-01-01", "22008", "date/time field value out of range: \"0000-01-01\""),
            ("abc", "22007", "invalid input syntax for type date: \"abc\""),
            ("", "22007", "invalid input syntax for type date: \"\""),
            ("infinite", "22007", "invalid input syntax for type date: \"infinite\""),
        ],
    );
}

#[test]
fn times_and_timestamps() {
    check(
        "time",
        &[
            ("05:06", "05:06:00"),
            ("04:05:06.789", "04:05:06.789"),
            ("24:00:00", "24:00:00"),
            ("04:05 PM", "16:05:00"),
            ("12:30am", "00:30:00"),
            ("04:05:06.1234567", "04:05:06.123457"),
        ],
    );
    check(
        "timestamp",
        &[
            ("2013-01-01 05:00:00", "2013-01-01 05:00:00"),
            ("2013-01-01T05:00:00.25Z", "2013-01-01 05:00:00.25"),
            ("2013-01-01", "2013-01-01 00:00:00"),
            ("2013-01-01 24:00:00", "2013-01-02 00:00:00"),
            ("1969-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999"),
            ("0001-12-31 00:00 BC", "0001-12-31 00:00:00 BC"),
            ("20130101T053000", "2013-01-01 05:30:00"),
            ("Jan 8 1999 04:05:06", "1999-01-08 04:05:06"),
            ("294247-01-10 04:00:54", "294247-01-10 04:00:54"),
        ],
    );
    check(
        "timestamptz",
        &[
            ("2013-01-01 05:00:00", "2013-01-01 05:00:00+00"),
            ("2013-01-01T10:00:00Z", "2013-01-01 10:00:00+00"),
            ("2013-01-01 05:00:00+05:30", "2012-12-31 23:30:00+00"),
            ("2013-01-01 05:00:00-08", "2013-01-01 13:00:00+00"),
            ("2013-07-01 05:00 America/New_York", "2013-07-01 09:00:00+00"),
            ("2013-01-01 05:00 EST", "2013-01-01 10:00:00+00"),
            ("2013-03-10 02:30 America/New_York", "2013-03-10 07:30:00+00"),
            ("2013-11-03 01:30 america/new_york", "2013-11-03 06:30:00+00"),
        ],
    );
    refuse(
        "timestamp",
        &[
            ("2013-01-01 25:00:00", "22008", "date/time field value out of range: \"2013-01-01 25:00:00\""),
            ("2013-01-01 foo", "22007", "invalid input syntax for type timestamp: \"2013-01-01 foo\""),
            ("300000-01-01 00:00", "22008", "timestamp out of range: \"300000-01-01 00:00\""),
            ("now", "0A000", "\"now\" as a timestamp is not supported"),
        ],
    );
    refuse(
        "timestamptz",
        &[("2013-01-01 05:00 Mars/Base", "22023", "time zone \"Mars/Base\" not recognized")],
    );
    let zone = Zone::parse("America/New_York").unwrap();
    let at = parse_timestamptz("2013-07-01 05:00", zone).unwrap();
    let mut text = String::new();
    write_timestamptz(at, zone.offset_at(at), &mut text);
    assert_eq!(text, "2013-07-01 05:00:00-04");
    text.clear();
    write_timestamptz(0, 19_800, &mut text);
    assert_eq!(text, "1970-01-01 05:30:00+05:30");
}

#[test]
fn intervals() {
    check(
        "interval",
        &[
            ("1 month 2 days 03:00:00", "1 mon 2 days 03:00:00"),
            ("1 year 2 mons", "1 year 2 mons"),
            ("-1 days", "-1 days"),
            ("1 day ago", "-1 days"),
            ("-1 year +3 days -04:05:06.5", "-1 years +3 days -04:05:06.5"),
            ("1-2", "1 year 2 mons"),
            ("3 4:05:06", "3 days 04:05:06"),
            ("1.5 days", "1 day 12:00:00"),
            ("1.5 months", "1 mon 15 days"),
            ("90", "00:01:30"),
            ("1h30m", "01:30:00"),
            ("P1Y2M3DT4H5M6.5S", "1 year 2 mons 3 days 04:05:06.5"),
            ("PT36H", "36:00:00"),
            ("2 weeks", "14 days"),
            ("@ 1 minute", "00:01:00"),
            ("1 microsecond", "00:00:00.000001"),
            ("0", "00:00:00"),
            ("1.5 years", "1 year 6 mons"),
            ("-00:00:01", "-00:00:01"),
        ],
    );
    refuse(
        "interval",
        &[
            ("", "22007", "invalid input syntax for type interval: \"\""),
            ("1 foo", "22007", "invalid input syntax for type interval: \"1 foo\""),
            ("99999999999 years", "22008", "interval out of range: \"99999999999 years\""),
        ],
    );
}

#[test]
fn arrays() {
    check("integer[]", &[("{1, 2,NULL}", "{1,2,NULL}"), (" {} ", "{}")]);
    check(
        "text[]",
        &[("{a,\"b c\",\"\",\"NULL\",null,x\\,y, d e }", "{a,\"b c\",\"\",\"NULL\",NULL,\"x,y\",\"d e\"}")],
    );
    check("integer[][]", &[("{{1,2},{3,4}}", "{{1,2},{3,4}}")]);
    check("numeric(4,1)[]", &[("{1.25,2}", "{1.3,2.0}")]);
    check("timestamp[]", &[("{2013-01-01}", "{\"2013-01-01 00:00:00\"}")]);
    for text in ["", "1", "{", "{1", "{1}}", "{1,}", "{,1}", "{1}x", "{\"1\"2}"] {
        assert_eq!(Value::parse_text(text, &ty("integer[]")).unwrap_err().sqlstate(), "22P02", "{text}");
    }
    let element = Value::parse_text("{1,x}", &ty("integer[]")).unwrap_err();
    assert_eq!(element.to_string(), "invalid input syntax for type integer: \"x\"");
}
