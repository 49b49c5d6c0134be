//! The hash of a partition key: PostgreSQL's own for the usual types, so that rows lie in the partitions that they would lie
//! in there.
//!
//! I1: it never changes: rows are found again by it.

use cairn_types::key::{self, KeyOrder};
use cairn_types::{DataType, Value};

const SEED: u64 = 0x7A5B_2236_7996_DCFD;
const INITIAL: u32 = 0x9e37_79b9;
/// Days and microseconds from 1970 to 2000, where PostgreSQL begins to count.
const DAYS: i32 = 10_957;
const MICROSECONDS: i64 = 946_684_800_000_000;

/// The hash of a key; NULLs do not count.
pub(super) fn of_row<'t>(key: &[Value], types: impl Iterator<Item = &'t DataType>) -> u64 {
    let mut hash: u64 = 0;
    for (value, ty) in key.iter().zip(types).filter(|(value, _)| !value.is_null()) {
        let own = of_value(value, ty);
        let mixed = own.wrapping_add(0x49a0_f4dd_15e5_a8e3).wrapping_add(hash << 54).wrapping_add(hash >> 7);
        hash ^= mixed;
    }
    hash
}

fn of_value(value: &Value, ty: &DataType) -> u64 {
    match value {
        Value::Boolean(b) => of_word(u32::from(*b)),
        Value::SmallInt(n) => of_word(i32::from(*n) as u32),
        Value::Integer(n) => of_word(*n as u32),
        Value::BigInt(n) => of_long(*n),
        Value::Date(n) => of_word(n.wrapping_sub(DAYS) as u32),
        Value::Time(n) => of_long(*n),
        Value::Timestamp(n) | Value::TimestampTz(n) => of_long(n.wrapping_sub(MICROSECONDS)),
        Value::Real(n) => of_double(f64::from(*n)),
        Value::Double(n) => of_double(*n),
        Value::Text(text) => match ty {
            DataType::Char(_) => of_bytes(text.trim_end_matches(' ').as_bytes()),
            _ => of_bytes(text.as_bytes()),
        },
        Value::Bytea(bytes) => of_bytes(bytes),
        Value::Uuid(bytes) => of_bytes(bytes),
        other => {
            // The code of a value that was stored: it has one.
            let mut code = Vec::new();
            match key::encode_value(other, ty, KeyOrder::ASCENDING, &mut code) {
                Ok(()) => of_bytes(&code),
                Err(_) => SEED,
            }
        }
    }
}

fn of_double(n: f64) -> u64 {
    if n == 0.0 {
        return SEED;
    }
    of_bytes(&if n.is_nan() { f64::NAN } else { n }.to_le_bytes())
}

fn of_long(n: i64) -> u64 {
    let (low, high) = (n as u32, (n >> 32) as u32);
    of_word(low ^ if n >= 0 { high } else { !high })
}

fn seeded(bytes: u32) -> [u32; 3] {
    let start = INITIAL.wrapping_add(bytes).wrapping_add(3_923_095);
    let mut words = [start; 3];
    words[0] = words[0].wrapping_add((SEED >> 32) as u32);
    words[1] = words[1].wrapping_add(SEED as u32);
    mix(&mut words);
    words
}

fn of_word(word: u32) -> u64 {
    let mut words = seeded(4);
    words[0] = words[0].wrapping_add(word);
    finish(words)
}

fn of_bytes(bytes: &[u8]) -> u64 {
    let mut words = seeded(bytes.len() as u32);
    let mut chunks = bytes.chunks_exact(12);
    for chunk in &mut chunks {
        for (word, four) in words.iter_mut().zip(chunk.chunks_exact(4)) {
            *word = word.wrapping_add(u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        }
        mix(&mut words);
    }
    for (at, byte) in chunks.remainder().iter().enumerate() {
        // The lowest byte of the last word stands for the length.
        let place = if at < 8 { at } else { at + 1 };
        let word = &mut words[place / 4];
        *word = word.wrapping_add(u32::from(*byte) << (8 * (place % 4)));
    }
    finish(words)
}

/// Jenkins' mixing, as PostgreSQL has it.
fn mix(words: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *words;
    let step = |x: &mut u32, y: u32, rotation: u32| *x = x.wrapping_sub(y) ^ y.rotate_left(rotation);
    step(&mut a, c, 4);
    c = c.wrapping_add(b);
    step(&mut b, a, 6);
    a = a.wrapping_add(c);
    step(&mut c, b, 8);
    b = b.wrapping_add(a);
    step(&mut a, c, 16);
    c = c.wrapping_add(b);
    step(&mut b, a, 19);
    a = a.wrapping_add(c);
    step(&mut c, b, 4);
    b = b.wrapping_add(a);
    *words = [a, b, c];
}

fn finish([mut a, mut b, mut c]: [u32; 3]) -> u64 {
    let step = |x: &mut u32, y: u32, rotation: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(rotation));
    step(&mut c, b, 14);
    step(&mut a, c, 11);
    step(&mut b, a, 25);
    step(&mut c, b, 16);
    step(&mut a, c, 4);
    step(&mut b, a, 14);
    step(&mut c, b, 24);
    u64::from(b) << 32 | u64::from(c)
}
