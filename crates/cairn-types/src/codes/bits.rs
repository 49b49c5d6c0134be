//! BIT and BIT VARYING: strings of bits, and what the operators do with them.
//!
//! I1: bits beyond the length are 0.

use super::{get_bits, put_bits};
use crate::error::TypeError;

/// A string of bits, the first one highest in its byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bits {
    bytes: Vec<u8>,
    length: usize,
}

impl FromIterator<bool> for Bits {
    fn from_iter<I: IntoIterator<Item = bool>>(bits: I) -> Self {
        let mut new = Self::default();
        for bit in bits {
            if new.length.is_multiple_of(8) {
                new.bytes.push(0);
            }
            if bit {
                new.bytes[new.length / 8] |= 0x80 >> (new.length % 8);
            }
            new.length += 1;
        }
        new
    }
}

impl Bits {
    /// The last `length` bits of a number, filled up with its sign.
    #[must_use]
    pub fn of_integer(n: i64, length: usize) -> Self {
        Self::from_iter((0..length).rev().map(|at| (n >> at.min(63)) & 1 == 1))
    }

    /// The number in two's complement of `width` bits; `None` for more bits than these.
    #[must_use]
    pub fn to_integer(&self, width: usize) -> Option<i64> {
        if self.length > width {
            return None;
        }
        let n = self.iter().fold(0u64, |n, bit| n << 1 | u64::from(bit));
        Some(if width == 32 { i64::from(n as u32 as i32) } else { n as i64 })
    }

    /// Reads `0101`, `b0101` or `x1F`.
    ///
    /// # Errors
    /// 22P02.
    pub fn parse(text: &str) -> Result<Self, TypeError> {
        let bad =
            |c: char, what: &str| TypeError::invalid("22P02", format!("\"{c}\" is not a valid {what} digit"));
        if let Some(digits) = text.strip_prefix(['x', 'X']) {
            let mut bits = Vec::with_capacity(digits.len() * 4);
            for c in digits.chars() {
                let digit = c.to_digit(16).ok_or_else(|| bad(c, "hexadecimal"))?;
                bits.extend((0..4).rev().map(|at| digit >> at & 1 == 1));
            }
            return Ok(Self::from_iter(bits));
        }
        let digits = text.strip_prefix(['b', 'B']).unwrap_or(text);
        let bits = digits.chars().map(|c| match c {
            '0' => Ok(false),
            '1' => Ok(true),
            c => Err(bad(c, "binary")),
        });
        Ok(Self::from_iter(bits.collect::<Result<Vec<_>, _>>()?))
    }

    /// The bits in bytes, the last one filled up with zeros.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bit at a place, from 0; `None` beyond the end.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<bool> {
        (at < self.length).then(|| self.bytes[at / 8] & (0x80 >> (at % 8)) != 0)
    }

    /// The bits, in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.length).filter_map(|at| self.get(at))
    }

    /// Moved by places to the left, or to the right where negative; zeros move in.
    #[must_use]
    pub fn shifted(&self, left: i64) -> Self {
        Self::from_iter((0..self.length).map(|at| {
            let from = i64::try_from(at).unwrap_or(i64::MAX).checked_add(left);
            from.and_then(|from| usize::try_from(from).ok()).and_then(|from| self.get(from)).unwrap_or(false)
        }))
    }

    /// Cut or filled up with zeros at its end.
    #[must_use]
    pub fn resized(&self, length: usize) -> Self {
        Self::from_iter((0..length).map(|at| self.get(at).unwrap_or(false)))
    }

    /// The code.
    #[must_use]
    pub fn to_code(&self) -> Vec<u8> {
        let mut code = Vec::with_capacity(self.bytes.len() * 2 + 2);
        put_bits(&self.bytes, self.length, &mut code);
        code
    }

    /// The bits of a code.
    #[must_use]
    pub fn from_code(code: &[u8]) -> Option<Self> {
        get_bits(code).map(|(bytes, length)| Self { bytes, length })
    }

    /// Appends the digits.
    pub fn write(&self, out: &mut String) {
        out.extend(self.iter().map(|bit| if bit { '1' } else { '0' }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn order_is_that_of_the_first_difference() {
        let sorted = ["", "0", "00", "01", "011111111", "1", "10", "100000000", "1000000001", "11"];
        let codes: Vec<_> = sorted.iter().map(|text| Bits::parse(text).unwrap().to_code()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        for (code, text) in codes.iter().zip(sorted) {
            let mut out = String::new();
            Bits::from_code(code).unwrap().write(&mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn numbers_and_shifts() {
        assert_eq!(Bits::of_integer(-1, 3), Bits::parse("111").unwrap());
        assert_eq!(Bits::parse("101").unwrap().to_integer(32), Some(5));
        assert_eq!(Bits::of_integer(-5, 32).to_integer(32), Some(-5));
        assert_eq!(Bits::parse("10001").unwrap().shifted(3), Bits::parse("01000").unwrap());
        assert_eq!(Bits::parse("10001").unwrap().shifted(-2), Bits::parse("00100").unwrap());
        assert_eq!(Bits::parse("x1F").unwrap(), Bits::parse("00011111").unwrap());
    }
}
