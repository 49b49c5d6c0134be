//! NUMERIC without parameters in Arrow: `Decimal256(76, 38)`, in whose last two digits stands how many digits after the
//! point are shown.
//!
//! ```text
//! value × 10^38 ± shown        |value| < 10^38, 0 ≤ shown ≤ 36
//! ```
//!
//! I1. A value has at most [`DIGITS_BEFORE`] digits before the point and [`DIGITS_AFTER`] behind it.
//! I2. The sign of `shown` is the value's, so that negating both is negating the number.
//! I3. Where `shown` is less than the digits that the value has, all of these are shown. So what the query engine casts
//!     by itself, with 0 there, is the right number and, if it is an integer, in the right form.
//! I4. Without `shown` ([`key`]) equal values are equal, and the order is that of the values: -Infinity, numbers,
//!     Infinity, NaN.

use arrow_buffer::i256;
use arrow_schema::DataType as ArrowType;

use super::{Decimal, TENS, divide_rounding, ten_to};
use crate::error::TypeError;

/// The precision of the Arrow type.
pub const PRECISION: u8 = 76;
/// The scale of the Arrow type.
pub const SCALE: i8 = 38;
/// Digits before the point, at most.
pub const DIGITS_BEFORE: u8 = 38;
/// Digits after the point, at most.
pub const DIGITS_AFTER: i8 = 36;
/// The Arrow type.
pub const ARROW: ArrowType = ArrowType::Decimal256(PRECISION, SCALE);

/// What all finite values are below.
const BOUND: i256 = TENS[PRECISION as usize];
const INFINITY: i256 = BOUND.wrapping_mul(i256::from_i128(2));
const NAN: i256 = BOUND.wrapping_mul(i256::from_i128(3));

/// How many digits are to be shown at least, with the value's sign: what stands in the last two digits.
#[inline]
fn shown(raw: i256) -> i128 {
    let magnitude = raw.wrapping_abs();
    let (low, high) = magnitude.to_parts();
    // 2^64 is 16 by 100, and so on.
    let limb = |n: u128| (n as u64) % 100;
    let rest = limb(low) + 16 * limb(low >> 64) + 56 * limb(high as u128) + 96 * limb((high as u128) >> 64);
    let rest = i128::from(rest % 100);
    if raw.is_negative() { -rest } else { rest }
}

/// The value without the digits that it shows (I4).
#[inline]
#[must_use]
pub fn key(raw: i256) -> i256 {
    raw.wrapping_sub(i256::from_i128(shown(raw)))
}

/// Whether it is a number, not NaN or infinite.
#[inline]
#[must_use]
pub fn is_finite(raw: i256) -> bool {
    raw < BOUND && raw > BOUND.wrapping_neg()
}

/// A value's key (I4) and how many digits it shows at least.
#[inline]
#[must_use]
pub fn parts(raw: i256) -> (i256, i8) {
    let shown = shown(raw);
    (raw.wrapping_sub(i256::from_i128(shown)), shown.unsigned_abs() as i8)
}

/// The value of a key, which shows so many digits at least; `None` beyond I1.
#[inline]
#[must_use]
pub fn join(key: i256, shown: i8) -> Option<i256> {
    if !is_finite(key) {
        return None;
    }
    let shown = i256::from_i128(i128::from(shown.clamp(0, DIGITS_AFTER)));
    Some(if key.is_negative() { key.wrapping_sub(shown) } else { key.wrapping_add(shown) })
}

/// `unscaled × 10^-scale` as a value; `None` beyond I1, also where digits would be lost.
#[inline]
#[must_use]
pub fn of_parts(unscaled: i256, scale: i8) -> Option<i256> {
    let key = match SCALE - scale {
        shift @ 2..=38 => unscaled.checked_mul(TENS[shift as usize])?,
        shift if shift > 38 => unscaled.checked_mul(ten_to(shift as u32)?)?,
        shift => {
            // Zeros alone may stand beyond the last digit.
            let cut = ten_to(u32::from((2 - shift).unsigned_abs()))?;
            let short = unscaled.wrapping_div(cut);
            if short.wrapping_mul(cut) != unscaled {
                return None;
            }
            short.wrapping_mul(i256::from_i128(100))
        }
    };
    join(key, scale)
}

impl Decimal {
    /// The value in Arrow.
    ///
    /// # Errors
    /// [`TypeError::NumericFormat`] beyond I1.
    #[inline]
    pub fn to_wide(self) -> Result<i256, TypeError> {
        if !self.is_finite() {
            return Ok(match self.sign() {
                _ if self.is_nan() => NAN,
                -1 => INFINITY.wrapping_neg(),
                _ => INFINITY,
            });
        }
        of_parts(self.unscaled, self.scale).ok_or(TypeError::NumericFormat)
    }

    /// The number of a value in Arrow, with as many digits as it shows.
    #[must_use]
    pub fn from_wide(raw: i256) -> Self {
        let (key, shown) = parts(raw);
        if !is_finite(key) {
            return match key {
                NAN => Self::NAN,
                key if key.is_negative() => Self::NEG_INFINITY,
                _ => Self::INFINITY,
            };
        }
        let factor = TENS[(SCALE - shown.min(DIGITS_AFTER)) as usize];
        let unscaled = key.wrapping_div(factor);
        if unscaled.wrapping_mul(factor) == key {
            return Self { unscaled, scale: shown.min(DIGITS_AFTER) };
        }
        Self { unscaled: key, scale: SCALE }.normalised()
    }

    /// Checked as a value of NUMERIC without parameters is.
    ///
    /// # Errors
    /// [`TypeError::NumericFormat`] beyond I1.
    pub fn fit_wide(self) -> Result<Self, TypeError> {
        if (0..=20).contains(&self.scale)
            && self.unscaled.to_i128().is_some_and(|n| n.unsigned_abs() < 1 << 120)
        {
            return Ok(self);
        }
        Ok(Self::from_wide(self.to_wide()?))
    }

    /// As many digits after the point as there is room for, rounded half away from zero: what is computed.
    #[must_use]
    pub fn rounded_wide(self) -> Self {
        if self.scale <= DIGITS_AFTER {
            return self;
        }
        let cut = ten_to(u32::from((self.scale - DIGITS_AFTER).unsigned_abs()));
        let unscaled = cut.map_or(i256::ZERO, |cut| divide_rounding(self.unscaled, cut));
        Self { unscaled, scale: DIGITS_AFTER }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wide(text: &str) -> i256 {
        Decimal::parse(text).unwrap().to_wide().unwrap()
    }

    #[test]
    fn values_come_back_with_their_digits() {
        for text in [
            "0",
            "0.00",
            "1",
            "-1.50",
            "1.5",
            "100",
            "-0.000000000000000000000000000000000001",
            "99999999999999999999999999999999999999",
            "12345678901234567890.123456789012345678901234567890123456",
            "NaN",
            "Infinity",
            "-Infinity",
            "99999999999999999999999999999999999999.999999999999999999999999999999999999",
        ] {
            assert_eq!(Decimal::from_wide(wide(text)).to_string(), text);
            let negated = Decimal::from_wide(wide(text).wrapping_neg());
            if Decimal::parse(text).unwrap().is_finite() {
                assert_eq!(negated.scale, Decimal::parse(text).unwrap().scale);
            }
        }
        for text in
            ["100000000000000000000000000000000000000", "0.0000000000000000000000000000000000001", "1e-80"]
        {
            assert!(Decimal::parse(text).unwrap().to_wide().is_err(), "{text}");
        }
        assert_eq!(
            Decimal::from_wide(wide("1.0000000000000000000000000000000000000000")).scale,
            DIGITS_AFTER
        );
    }

    #[test]
    fn keys_are_the_values() {
        assert_eq!(key(wide("1.50")), key(wide("1.5")));
        assert_eq!(key(wide("-0.00")), i256::ZERO);
        assert_eq!(key(wide("-7.250")), key(wide("-7.25")));
        let sorted = ["-Infinity", "-3", "-2.5", "0.0", "0.10", "1", "1.01", "Infinity", "NaN"];
        assert!(sorted.windows(2).all(|pair| key(wide(pair[0])) < key(wide(pair[1]))));
    }

    #[test]
    fn too_few_digits_are_not_shown() {
        // 2.5 as the query engine casts it.
        let cast = TENS[37].wrapping_mul(i256::from_i128(25));
        assert_eq!(Decimal::from_wide(cast).to_string(), "2.5");
        assert_eq!(Decimal::from_wide(TENS[38].wrapping_mul(i256::from_i128(1200))).to_string(), "1200");
    }
}
