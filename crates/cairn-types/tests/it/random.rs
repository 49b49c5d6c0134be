//! Random values of every type, from a seed that `CAIRN_SEED` overrides and that every test prints.

#![allow(clippy::unwrap_used)]

use cairn_types::{DataType, Decimal, Interval, Value};

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    /// The generator of one test; its seed is printed, so that a failure shows it.
    pub(crate) fn of_test(test: &str) -> Self {
        let seed = std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
        println!("{test}: CAIRN_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// An integer of `bits` bits: small ones, limits and any.
    fn integer(&mut self, bits: u32) -> i64 {
        let max = i64::MAX >> (64 - bits);
        match self.below(6) {
            0 => [0, 1, -1, max, -max - 1][self.below(5) as usize],
            1 | 2 => self.below(7) as i64 - 3,
            _ => (self.next() as i64) >> (64 - bits),
        }
    }

    fn text(&mut self) -> String {
        const ALPHABET: [char; 12] =
            ['a', 'b', '\0', ' ', '\u{1}', 'ä', '\u{10FFFF}', '"', '\\', ',', '{', '\t'];
        let length = self.below(6);
        (0..length).map(|_| ALPHABET[self.below(12) as usize]).collect()
    }

    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        let length = self.below(7);
        (0..length).map(|_| [0, 1, 2, 0xFE, 0xFF, b'a', b'\\'][self.below(7) as usize]).collect()
    }

    /// A value of the type, NULL now and then.
    pub(crate) fn value(&mut self, ty: &DataType) -> Value {
        if self.below(10) == 0 { Value::Null } else { self.present(ty) }
    }

    /// A value of the type that is not NULL.
    pub(crate) fn present(&mut self, ty: &DataType) -> Value {
        match ty {
            DataType::Boolean => Value::Boolean(self.below(2) == 1),
            DataType::SmallInt => Value::SmallInt(self.integer(16) as i16),
            DataType::Integer => Value::Integer(self.integer(32) as i32),
            DataType::BigInt => Value::BigInt(self.integer(64)),
            DataType::Real => Value::Real(self.float() as f32),
            DataType::Double => Value::Double(self.float()),
            DataType::Numeric(Some((p, s))) => {
                let bound = 10i128.pow(u32::from(*p));
                let wide = i128::from(self.next() as i64) * i128::from(self.integer(63))
                    + i128::from(self.integer(20));
                Value::Numeric(Decimal::new(wide % bound, *s))
            }
            DataType::Numeric(None) => Value::Numeric(match self.below(20) {
                0 => Decimal::NAN,
                1 => Decimal::INFINITY,
                2 => Decimal::NEG_INFINITY,
                _ => {
                    let wide = i128::from(self.integer(64)) * i128::from(self.integer(50));
                    Decimal::new(wide, self.below(37) as i8)
                }
            }),
            DataType::Text => {
                Value::Text(self.text().replace('\0', if self.below(2) == 0 { "\0" } else { "z" }))
            }
            DataType::Varchar(_) => Value::Text(self.text()),
            DataType::Char(n) => {
                let text: String = self.text().chars().take(*n as usize).collect();
                Value::Text(text).fit(ty).unwrap()
            }
            DataType::Bytea => Value::Bytea(self.bytes()),
            DataType::Date => Value::Date(self.integer(22) as i32),
            DataType::Time(_) => Value::Time(self.below(86_400_000_001) as i64),
            DataType::Timestamp(_) => Value::Timestamp(self.integer(60)),
            DataType::TimestampTz(_) => Value::TimestampTz(self.integer(60)),
            DataType::Interval(_) => Value::Interval(Interval {
                months: self.integer(8) as i32,
                days: self.integer(10) as i32,
                nanos: self.integer(50),
            }),
            DataType::Uuid => {
                let mut id = [0; 16];
                id[..8].copy_from_slice(&self.next().to_be_bytes());
                id[8..].copy_from_slice(&self.next().to_be_bytes());
                Value::Uuid(id)
            }
            DataType::Json => {
                Value::Json(["{}", "[1, 2]", "{\"b\":1}", "null"][self.below(4) as usize].to_owned())
            }
            DataType::Jsonb => {
                Value::Jsonb(["{}", "[1, 2]", "{\"b\": 1}", "null"][self.below(4) as usize].to_owned())
            }
            DataType::Coded(_) => {
                let text = ["[1,5)", "empty", "(,3]"][self.below(3) as usize];
                Value::parse_text(text, ty).unwrap()
            }
            DataType::Array(element) => {
                let length = self.below(4);
                Value::Array((0..length).map(|_| self.value(element)).collect())
            }
        }
    }

    fn float(&mut self) -> f64 {
        match self.below(4) {
            0 => [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 1e300]
                [self.below(8) as usize],
            1 => self.integer(20) as f64 / 8.0,
            _ => f64::from_bits(self.next()),
        }
    }
}

/// Every type, with several parameters.
pub(crate) fn all_types() -> Vec<DataType> {
    let scalar = [
        DataType::Boolean,
        DataType::SmallInt,
        DataType::Integer,
        DataType::BigInt,
        DataType::Real,
        DataType::Double,
        DataType::Numeric(None),
        DataType::Numeric(Some((5, 2))),
        DataType::Numeric(Some((18, 0))),
        DataType::Numeric(Some((38, 10))),
        DataType::Numeric(Some((38, 38))),
        DataType::Text,
        DataType::Varchar(None),
        DataType::Varchar(Some(10)),
        DataType::Char(5),
        DataType::Bytea,
        DataType::Date,
        DataType::Time(None),
        DataType::Timestamp(None),
        DataType::TimestampTz(None),
        DataType::Interval(None),
        DataType::Uuid,
        DataType::Json,
        DataType::Jsonb,
    ];
    let mut all: Vec<DataType> = scalar.to_vec();
    all.extend(scalar.into_iter().map(|ty| DataType::Array(Box::new(ty))));
    all.push(DataType::Array(Box::new(DataType::Array(Box::new(DataType::Text)))));
    all.push(DataType::Array(Box::new(DataType::Array(Box::new(DataType::Integer)))));
    all
}
