//! Against what PostgreSQL sends, and against damaged bytes.

#![allow(clippy::unwrap_used)]

use crate::{DataType, Value};

/// Type, text, and what PostgreSQL's `…_send` gives in hexadecimal digits.
const SENT: &[(&str, &str, &str)] = &[
    ("numeric", "NaN", "00000000c0000000"),
    ("numeric", "-Infinity", "00000000f0000020"),
    ("numeric", "Infinity", "00000000d0000020"),
    ("numeric", "1.50", "000200000000000200011388"),
    ("numeric", "0", "0000000000000000"),
    ("numeric", "-12345.678", "0003000140000003000109291a7c"),
    ("numeric", "0.00012", "0002ffff00000005000107d0"),
    ("numeric", "100000000", "00010002000000000001"),
    ("numeric(12,4)", "1.5000", "000200000000000400011388"),
    ("numeric", "99999999999999999999.9999999999", "000800040000000a270f270f270f270f270f270f270f26ac"),
    ("date", "1999-12-31", "ffffffff"),
    ("time", "23:59:59.999999", "000000141dd75fff"),
    ("timestamp", "2026-11-22 01:02:03.000004", "000303d1cb3db8c4"),
    ("date", "infinity", "7fffffff"),
    ("timestamp", "-infinity", "8000000000000000"),
    ("time with time zone", "10:00:00+02", "0000000861c46800ffffe3e0"),
    ("macaddr8", "08:00:2b:01:02:03:04:05", "08002b0102030405"),
    ("interval", "1 year 2 mons 3 days 04:05:06.7", "000000036c966ee0000000030000000e"),
    (
        "integer[][]",
        "{{1,2},{3,NULL}}",
        "00000002000000010000001700000002000000010000000200000001000000040000000100000004000000020000000400000003ffffffff",
    ),
    ("text[]", "{}", "000000000000000000000019"),
    ("int4range", "[1,10)", "020000000400000001000000040000000a"),
    ("numrange", "(,2.5]", "0c0000000c000200000000000100021388"),
    ("daterange", "empty", "01"),
    ("inet", "10.1.2.3/8", "020800040a010203"),
    ("cidr", "2001:db8::/32", "0320011020010db8000000000000000000000000"),
    ("macaddr", "08:00:2b:01:02:03", "08002b010203"),
    ("bit(11)", "10101010111", "0000000baae0"),
    ("jsonb", "{\"a\": [1, null]}", "017b2261223a205b312c206e756c6c5d7d"),
    ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"),
    ("double precision", "-0.1", "bfb999999999999a"),
    ("bytea", "\\x00ff", "00ff"),
    ("boolean", "t", "01"),
];

fn bytes(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn values_are_sent_and_read_as_postgresql_does() {
    for (ty, text, sent) in SENT {
        let ty = DataType::parse(ty).unwrap();
        let value = Value::parse_text(text, &ty).unwrap();
        let mut out = Vec::new();
        value.write_binary(&ty, &mut out).unwrap();
        assert_eq!(out, bytes(sent), "{text}");
        assert_eq!(Value::parse_binary(&out, &ty).unwrap().to_text(&ty), *text);
    }
}

#[test]
fn whatever_the_bytes_the_answer_is_a_value_or_an_error() {
    let mut seed = 1u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    for (ty, _, sent) in SENT {
        let ty = DataType::parse(ty).unwrap();
        for _ in 0..2000 {
            let mut sent = bytes(sent);
            match random() % 3 {
                0 => sent.truncate(random() % (sent.len() + 1)),
                1 => sent.push(random() as u8),
                _ => {
                    let at = random() % sent.len();
                    sent[at] = random() as u8;
                }
            }
            if let Ok(value) = Value::parse_binary(&sent, &ty) {
                let mut out = Vec::new();
                value.write_binary(&ty, &mut out).unwrap();
                let again = Value::parse_binary(&out, &ty).unwrap();
                assert!(value.compare_as(&again, &ty).is_eq(), "{ty:?} {sent:?}");
            }
        }
    }
}
