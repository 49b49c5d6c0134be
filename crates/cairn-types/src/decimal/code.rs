//! Codes of numbers of NUMERIC without parameters. Byte tables: `docs/format/row.md`, `docs/format/key.md`.
//!
//! In rows: a head of two bytes and the digits as an integer, least byte first, without zeros at its end. In keys, where
//! the order of bytes is that of the numbers and the scale does not count: a class, a power of 100 and the digits in
//! base 100.

use arrow_buffer::i256;

use super::wide::DIGITS_AFTER;
use super::{Decimal, TENS, TENS_MAX};
use crate::error::TypeError;

const NEGATIVE: u16 = 1 << 15;
const SPECIAL: u16 = 1 << 14;

/// Classes of keys. What stands at their place in keys of NUMERIC(p,s) is between 0x20 and 0xD0.
const MINUS_INFINITY: u8 = 0x08;
const BELOW: u8 = 0x10;
const ZERO: u8 = 0xE0;
const ABOVE: u8 = 0xE8;
const INFINITY: u8 = 0xF0;
const NAN: u8 = 0xF8;
/// Added to the power of 100.
const BIAS: i32 = 0x4000;

/// Appends the code in rows.
pub(crate) fn put_row(number: Decimal, out: &mut Vec<u8>) {
    let sign = if number.unscaled.is_negative() { NEGATIVE } else { 0 };
    if !number.is_finite() {
        let kind = u16::from(!number.is_nan());
        out.extend_from_slice(&(sign | SPECIAL | kind).to_le_bytes());
        return;
    }
    let scale = u16::from(number.scale.max(0).unsigned_abs());
    out.extend_from_slice(&(sign | scale).to_le_bytes());
    let bytes = number.unscaled.wrapping_abs().to_le_bytes();
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    out.extend_from_slice(&bytes[..length]);
}

/// Reads the code in rows.
///
/// # Errors
/// [`TypeError::Corrupt`] where no encoder wrote these bytes.
#[inline]
pub(crate) fn of_row(bytes: &[u8]) -> Result<Decimal, TypeError> {
    let corrupt = |what: &str| TypeError::corrupt("row", 0, format!("numeric: {what}"));
    let (head, digits) = bytes.split_first_chunk::<2>().ok_or_else(|| corrupt("cut short"))?;
    let head = u16::from_le_bytes(*head);
    let (negative, scale) = (head & NEGATIVE != 0, head & !(NEGATIVE | SPECIAL));
    if head & SPECIAL != 0 {
        return match (scale, negative, digits.is_empty()) {
            (0, false, true) => Ok(Decimal::NAN),
            (1, false, true) => Ok(Decimal::INFINITY),
            (1, true, true) => Ok(Decimal::NEG_INFINITY),
            _ => Err(corrupt("unknown kind")),
        };
    }
    if scale > DIGITS_AFTER as u16 || digits.last() == Some(&0) {
        return Err(corrupt("digits out of range"));
    }
    let magnitude = if let Some(room) = 16usize.checked_sub(digits.len()) {
        let mut all = [0; 16];
        all[..16 - room].copy_from_slice(digits);
        i256::from_parts(u128::from_le_bytes(all), 0)
    } else {
        let mut all = [0; 32];
        all.get_mut(..digits.len()).ok_or_else(|| corrupt("too many digits"))?.copy_from_slice(digits);
        i256::from_le_bytes(all)
    };
    if magnitude.is_negative() || magnitude >= TENS[TENS_MAX] {
        return Err(corrupt("too many digits"));
    }
    let unscaled = if negative { magnitude.wrapping_neg() } else { magnitude };
    let number = Decimal { unscaled, scale: scale as i8 };
    // 120 bits are less than 10^38.
    if digits.len() > 15 && number.to_wide().is_err() {
        return Err(corrupt("too many digits"));
    }
    Ok(number)
}

/// Appends the body of a key, ascending.
pub(crate) fn put_key(number: Decimal, out: &mut Vec<u8>) {
    if !number.is_finite() {
        out.push(match number.sign() {
            _ if number.is_nan() => NAN,
            -1 => MINUS_INFINITY,
            _ => INFINITY,
        });
        return;
    }
    if number.unscaled == i256::ZERO {
        out.push(ZERO);
        return;
    }
    let negative = number.unscaled.is_negative();
    out.push(if negative { BELOW } else { ABOVE });
    let start = out.len();
    let mut text = match number.unscaled.to_i128() {
        Some(narrow) => narrow.unsigned_abs().to_string(),
        None => number.unscaled.wrapping_abs().to_string(),
    };
    // An even number of digits after the point, and before it.
    let mut scale = i32::from(number.scale);
    if scale % 2 != 0 {
        text.push('0');
        scale += 1;
    }
    if text.len() % 2 != 0 {
        text.insert(0, '0');
    }
    let digits = text.as_bytes().as_chunks::<2>().0;
    let power = digits.len() as i32 - scale / 2 + BIAS;
    out.extend_from_slice(&(power as u16).to_be_bytes());
    let last = digits.iter().rposition(|pair| pair != b"00").unwrap_or_default();
    for (at, [tens, ones]) in digits[..=last].iter().enumerate() {
        let digit = (tens - b'0') * 10 + (ones - b'0');
        out.push(digit * 2 + u8::from(at < last));
    }
    if negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// Reads the body of a key, byte by byte; without zeros at the end of the fraction.
///
/// # Errors
/// [`TypeError::Corrupt`] where no encoder wrote these bytes.
pub(crate) fn of_key(mut next: impl FnMut() -> Result<u8, TypeError>) -> Result<Decimal, TypeError> {
    let corrupt = |what: &str| TypeError::corrupt("key", 1, format!("numeric: {what}"));
    let mask = match next()? {
        MINUS_INFINITY => return Ok(Decimal::NEG_INFINITY),
        INFINITY => return Ok(Decimal::INFINITY),
        NAN => return Ok(Decimal::NAN),
        ZERO => return Ok(Decimal::new(0, 0)),
        BELOW => 0xFF,
        ABOVE => 0,
        _ => return Err(corrupt("unknown class")),
    };
    let power = u16::from_be_bytes([next()? ^ mask, next()? ^ mask]);
    let mut unscaled = i256::ZERO;
    let mut count = 0;
    loop {
        let byte = next()? ^ mask;
        let digit = byte / 2;
        count += 1;
        let all = unscaled
            .checked_mul(i256::from_i128(100))
            .and_then(|n| n.checked_add(i256::from_i128(i128::from(digit))))
            .filter(|_| digit < 100 && (count > 1 || digit > 0) && (byte & 1 == 1 || digit > 0));
        unscaled = all.ok_or_else(|| corrupt("digits out of range"))?;
        if byte & 1 == 0 {
            break;
        }
    }
    let scale = 2 * (count - (i32::from(power) - BIAS));
    let unscaled = if mask == 0 { unscaled } else { unscaled.wrapping_neg() };
    if scale > TENS_MAX as i32 + 1 || unscaled.wrapping_abs() >= TENS[TENS_MAX] {
        return Err(corrupt("digits out of range"));
    }
    if scale >= 0 {
        return Ok(Decimal { unscaled, scale: scale as i8 }.normalised());
    }
    let shift = TENS.get(scale.unsigned_abs() as usize).and_then(|factor| unscaled.checked_mul(*factor));
    let unscaled = shift.filter(|n| n.wrapping_abs() < TENS[TENS_MAX]);
    unscaled.map(|unscaled| Decimal { unscaled, scale: 0 }).ok_or_else(|| corrupt("digits out of range"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(number: Decimal) -> Vec<u8> {
        let mut out = Vec::new();
        put_key(number, &mut out);
        out
    }

    #[test]
    fn codes_of_random_numbers_come_back_in_order() {
        let mut random = 11u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 11
        };
        let mut all = vec![
            Decimal::NAN,
            Decimal::INFINITY,
            Decimal::NEG_INFINITY,
            Decimal::new(0, 0),
            Decimal::new(0, 7),
        ];
        for _ in 0..3000 {
            let digits = (next() % 75) as u32;
            let mut unscaled = i256::from_i128(i128::from(next()) * i128::from(next()));
            unscaled = unscaled.wrapping_mul(unscaled).wrapping_rem(TENS[digits as usize + 1]);
            if next() % 3 == 0 {
                unscaled = unscaled.wrapping_mul(TENS[3]).wrapping_rem(TENS[75]);
            }
            if next() % 2 == 0 {
                unscaled = unscaled.wrapping_neg();
            }
            let number = Decimal { unscaled, scale: (next() % 37) as i8 };
            if number.to_wide().is_ok() {
                all.push(number);
            }
        }
        for number in &all {
            let mut row = Vec::new();
            put_row(*number, &mut row);
            let back = of_row(&row).unwrap();
            assert_eq!((back.unscaled, back.scale), (number.unscaled, number.scale));
            let code = key(*number);
            let mut bytes = code.iter();
            let back = of_key(|| Ok(*bytes.next().unwrap())).unwrap();
            assert_eq!(back, *number, "{number}");
            assert!(bytes.next().is_none());
        }
        for pair in all.windows(2) {
            let (a, b) = (key(pair[0]), key(pair[1]));
            assert_eq!(a.cmp(&b), pair[0].cmp(&pair[1]), "{} {}", pair[0], pair[1]);
            assert!(a == b || !a.starts_with(&b) && !b.starts_with(&a));
        }
    }

    #[test]
    fn damage_is_refused() {
        for bytes in [&[][..], &[0], &[0, 0x40, 1], &[2, 0x40], &[200, 0], &[0, 0, 0], &[0, 0, 1, 0]] {
            assert!(of_row(bytes).is_err(), "{bytes:?}");
        }
        assert!(of_row(&[[0; 2].as_slice(), &[0xFF; 32]].concat()).is_err());
        for bytes in [&[0x30][..], &[ABOVE, 0x40, 1, 0], &[ABOVE, 0x40, 1, 201], &[ABOVE, 0, 1, 2]] {
            let mut rest = bytes.iter().copied();
            let read = of_key(|| rest.next().ok_or_else(|| TypeError::corrupt("key", 0, "cut short")));
            assert!(read.is_err(), "{bytes:?}");
        }
    }
}
