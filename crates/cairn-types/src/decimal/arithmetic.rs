//! Arithmetic with PostgreSQL's number of digits (`numeric.c`), NaN and the infinities included. A result has at most
//! [`DIGITS_AFTER`] digits after the point; what is computed has no more than that, rounded half away from zero.
//!
//! Numbers of 128 and 256 bits are computed as such, what needs more as a big integer.

use std::cmp::Ordering;

use arrow_buffer::i256;
use num_bigint::BigInt;

use super::wide::DIGITS_AFTER;
use super::{Decimal, TENS, TENS_MAX, divide_rounding, ten_to};
use crate::error::TypeError;

/// Significant digits of a quotient, at least.
const DIGITS: i32 = 16;

fn by_zero() -> TypeError {
    TypeError::invalid("22012", "division by zero")
}

/// A number of 256 bits as a big one.
#[must_use]
pub fn big(n: i256) -> BigInt {
    BigInt::from_signed_bytes_le(&n.to_le_bytes())
}

/// A big number as one of 256 bits.
fn small(n: &BigInt) -> Option<i256> {
    let bytes = n.to_signed_bytes_le();
    let fill = if n.sign() == num_bigint::Sign::Minus { 0xFF } else { 0 };
    let mut all = [fill; 32];
    all.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    Some(i256::from_le_bytes(all))
}

/// 10 to that power.
#[must_use]
pub fn big_ten_to(exponent: u32) -> BigInt {
    BigInt::from(10u8).pow(exponent)
}

/// A quotient of big numbers, rounded half away from zero.
#[must_use]
pub fn divide_big(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    let quotient = dividend / divisor;
    let rest = dividend - &quotient * divisor;
    if rest.magnitude() * 2u8 < *divisor.magnitude() {
        return quotient;
    }
    let negative =
        (dividend.sign() == num_bigint::Sign::Minus) != (divisor.sign() == num_bigint::Sign::Minus);
    if negative { quotient - 1u8 } else { quotient + 1u8 }
}

impl Decimal {
    /// `unscaled × 10^-scale` with at most [`DIGITS_AFTER`] digits after the point.
    ///
    /// # Errors
    /// [`TypeError::NumericFormat`] beyond 76 digits.
    pub fn of_big(unscaled: &BigInt, scale: i32) -> Result<Self, TypeError> {
        let last = i32::from(DIGITS_AFTER);
        let (cut, scale) = match scale > last {
            true => (divide_big(unscaled, &big_ten_to((scale - last).unsigned_abs())), last),
            false => (unscaled.clone(), scale),
        };
        let unscaled = small(&cut).filter(|n| n.wrapping_abs() < TENS[TENS_MAX] && n.checked_abs().is_some());
        let scale = i8::try_from(scale).ok();
        unscaled.zip(scale).map(|(unscaled, scale)| Self { unscaled, scale }).ok_or(TypeError::NumericFormat)
    }

    fn is_zero(self) -> bool {
        self.unscaled == i256::ZERO
    }

    /// With the other sign.
    #[must_use]
    pub fn negated(self) -> Self {
        if self.is_nan() { self } else { Self { unscaled: self.unscaled.wrapping_neg(), ..self } }
    }

    /// Without a sign.
    #[must_use]
    pub fn absolute(self) -> Self {
        if self.sign() < 0 { self.negated() } else { self }
    }

    /// The sum.
    ///
    /// # Errors
    /// [`TypeError::NumericFormat`] beyond 76 digits.
    pub fn plus(self, other: Self) -> Result<Self, TypeError> {
        if !self.is_finite() || !other.is_finite() {
            let nan = self.is_nan() || other.is_nan();
            let opposite = !self.is_finite() && !other.is_finite() && self.sign() != other.sign();
            return Ok(match self.is_finite() {
                _ if nan || opposite => Self::NAN,
                true => other,
                false => self,
            });
        }
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.rescale(scale), other.rescale(scale));
        let sum = a.zip(b).and_then(|(a, b)| a.unscaled.checked_add(b.unscaled));
        let sum = sum.filter(|n| n.wrapping_abs() < TENS[TENS_MAX]).ok_or(TypeError::NumericFormat)?;
        Ok(Self { unscaled: sum, scale })
    }

    /// The difference.
    ///
    /// # Errors
    /// As [`Decimal::plus`].
    pub fn minus(self, other: Self) -> Result<Self, TypeError> {
        self.plus(other.negated())
    }

    /// The product.
    ///
    /// # Errors
    /// As [`Decimal::plus`].
    pub fn times(self, other: Self) -> Result<Self, TypeError> {
        if !self.is_finite() || !other.is_finite() {
            return Ok(match i32::from(self.sign()) * i32::from(other.sign()) {
                _ if self.is_nan() || other.is_nan() => Self::NAN,
                0 => Self::NAN,
                1 => Self::INFINITY,
                _ => Self::NEG_INFINITY,
            });
        }
        let scale = i32::from(self.scale) + i32::from(other.scale);
        let narrow = self.narrow().zip(other.narrow()).and_then(|(a, b)| a.checked_mul(b));
        let product = match narrow {
            Some(product) => Some(i256::from_i128(product)),
            None => self.unscaled.checked_mul(other.unscaled).filter(|n| n.wrapping_abs() < TENS[TENS_MAX]),
        };
        match (product, i8::try_from(scale)) {
            (Some(unscaled), Ok(scale)) => Ok(Self { unscaled, scale }.rounded_wide()),
            _ => Self::of_big(&(big(self.unscaled) * big(other.unscaled)), scale),
        }
    }

    /// The place of the first digit in base 10,000, 0 for that of the units, and the digit.
    fn weight(self) -> (i32, i32) {
        if self.is_zero() {
            return (0, 0);
        }
        let magnitude = self.unscaled.wrapping_abs();
        let count = match magnitude.to_i128() {
            Some(narrow) => narrow.ilog10() as i32 + 1,
            None => magnitude.ilog10() as i32 + 1,
        };
        let first = count - 1 - i32::from(self.scale);
        let (weight, digits) = (first.div_euclid(4), first.rem_euclid(4) + 1);
        let digit = match u32::try_from(count - digits) {
            Ok(behind) => match magnitude.to_i128() {
                Some(narrow) => narrow / 10i128.pow(behind),
                None => magnitude.wrapping_div(TENS[behind as usize]).as_i128(),
            },
            Err(_) => magnitude.as_i128() * 10i128.pow((digits - count).unsigned_abs()),
        };
        (weight, digit as i32)
    }

    /// How many digits after the point the quotient has (`select_div_scale`): 16 significant ones at least, by the
    /// weights in base 10,000.
    #[must_use]
    pub fn quotient_scale(self, divisor: Self) -> i32 {
        let ((weight, first), (by_weight, by_first)) = (self.weight(), divisor.weight());
        let quotient_weight = weight - by_weight - i32::from(first <= by_first);
        let wanted = DIGITS - quotient_weight * 4;
        wanted.max(i32::from(self.scale)).max(i32::from(divisor.scale)).clamp(0, i32::from(DIGITS_AFTER))
    }

    /// The quotient.
    ///
    /// # Errors
    /// 22012 by zero, else as [`Decimal::plus`].
    pub fn over(self, divisor: Self) -> Result<Self, TypeError> {
        if !self.is_finite() || !divisor.is_finite() {
            if self.is_nan() || divisor.is_nan() {
                return Ok(Self::NAN);
            }
            return match (self.is_finite(), divisor.is_finite()) {
                (false, false) => Ok(Self::NAN),
                (true, _) => Ok(Self::new(0, 0)),
                _ if divisor.is_zero() => Err(by_zero()),
                _ => Ok(if self.sign() == divisor.sign() { Self::INFINITY } else { Self::NEG_INFINITY }),
            };
        }
        self.over_with(divisor, self.quotient_scale(divisor))
    }

    /// The quotient of finite numbers with so many digits after the point.
    ///
    /// # Errors
    /// As [`Decimal::over`].
    pub fn over_with(self, divisor: Self, scale: i32) -> Result<Self, TypeError> {
        if divisor.is_zero() {
            return Err(by_zero());
        }
        let shift = scale + i32::from(divisor.scale) - i32::from(self.scale);
        let negative = divisor.unscaled.is_negative();
        let turned = |n: i256| if negative { n.wrapping_neg() } else { n };
        if let Ok(up) = u32::try_from(shift)
            && let Some(dividend) = ten_to(up).and_then(|factor| self.unscaled.checked_mul(factor))
        {
            let quotient = divide_rounding(turned(dividend), divisor.unscaled.wrapping_abs());
            if quotient.wrapping_abs() < TENS[TENS_MAX] {
                return Ok(Self { unscaled: quotient, scale: scale as i8 });
            }
        }
        let (mut dividend, mut by) = (big(self.unscaled), big(divisor.unscaled));
        match u32::try_from(shift) {
            Ok(up) => dividend *= big_ten_to(up),
            Err(_) => by *= big_ten_to(shift.unsigned_abs()),
        }
        Self::of_big(&divide_big(&dividend, &by), scale)
    }

    /// What is left of a division with a whole quotient, which is cut; it has the dividend's sign.
    ///
    /// # Errors
    /// As [`Decimal::over`].
    pub fn remainder(self, divisor: Self) -> Result<Self, TypeError> {
        if self.is_nan() || divisor.is_nan() {
            return Ok(Self::NAN);
        }
        if divisor.is_finite() && divisor.is_zero() {
            return Err(by_zero());
        }
        match (self.is_finite(), divisor.is_finite()) {
            (false, _) => return Ok(Self::NAN),
            (true, false) => return Ok(self),
            _ => {}
        }
        let scale = self.scale.max(divisor.scale);
        let unscaled = match (self.rescale(scale), divisor.rescale(scale)) {
            (Some(a), Some(b)) => a.unscaled.wrapping_rem(b.unscaled),
            _ => {
                let wide = |n: Self| {
                    big(n.unscaled) * big_ten_to((i32::from(scale) - i32::from(n.scale)).unsigned_abs())
                };
                small(&(wide(self) % wide(divisor))).ok_or(TypeError::NumericFormat)?
            }
        };
        Ok(Self { unscaled, scale })
    }

    /// The whole part of the quotient.
    ///
    /// # Errors
    /// As [`Decimal::over`].
    pub fn whole_quotient(self, divisor: Self) -> Result<Self, TypeError> {
        if !self.is_finite() || !divisor.is_finite() {
            return self.over(divisor);
        }
        if divisor.is_zero() {
            return Err(by_zero());
        }
        let shift = i32::from(divisor.scale) - i32::from(self.scale);
        let (mut dividend, mut by) = (big(self.unscaled), big(divisor.unscaled));
        match u32::try_from(shift) {
            Ok(up) => dividend *= big_ten_to(up),
            Err(_) => by *= big_ten_to(shift.unsigned_abs()),
        }
        Self::of_big(&(dividend / by), 0)
    }

    /// The number cut to so many digits after the point (below 0: before it); `step` says by how much its last digit is
    /// to change, given the sign of what is cut off.
    fn cut(self, digits: i32, step: fn(i8) -> i128) -> Result<Self, TypeError> {
        if !self.is_finite() {
            return Ok(self);
        }
        let shown = digits.clamp(0, i32::from(DIGITS_AFTER));
        if digits >= i32::from(self.scale) {
            return self.rescale(shown as i8).ok_or(TypeError::NumericFormat);
        }
        let cut = (i32::from(self.scale) - digits).unsigned_abs();
        let Some(factor) = ten_to(cut) else {
            let sign = if self.is_zero() { 0 } else { step(self.sign()) };
            let whole = Self { unscaled: i256::from_i128(sign), scale: shown as i8 };
            return if sign == 0 { Ok(whole) } else { Err(TypeError::NumericFormat) };
        };
        let whole = self.unscaled.wrapping_div(factor);
        let rest = self.unscaled.wrapping_sub(whole.wrapping_mul(factor));
        let sign = i8::from(rest.is_positive()) - i8::from(rest.is_negative());
        let unscaled = whole.wrapping_add(i256::from_i128(step(sign)));
        let result = match u32::try_from(-digits) {
            Ok(zeros) => ten_to(zeros).and_then(|factor| unscaled.checked_mul(factor)),
            Err(_) => Some(unscaled),
        };
        result.map(|unscaled| Self { unscaled, scale: shown as i8 }).ok_or(TypeError::NumericFormat)
    }

    /// Rounded half away from zero to so many digits after the point; below 0, before it.
    ///
    /// # Errors
    /// As [`Decimal::plus`].
    pub fn rounded(self, digits: i32) -> Result<Self, TypeError> {
        if !self.is_finite() || digits >= i32::from(self.scale) {
            return self.cut(digits, |_| 0);
        }
        let rounded = match ten_to((i32::from(self.scale) - digits).unsigned_abs()) {
            Some(factor) => divide_rounding(self.unscaled, factor),
            None => i256::ZERO,
        };
        let scale = digits.clamp(0, i32::from(DIGITS_AFTER)) as i8;
        let result = match u32::try_from(-digits) {
            Ok(zeros) => match ten_to(zeros) {
                Some(factor) => rounded.checked_mul(factor),
                None if rounded == i256::ZERO => Some(rounded),
                None => None,
            },
            Err(_) => Some(rounded),
        };
        result.map(|unscaled| Self { unscaled, scale }).ok_or(TypeError::NumericFormat)
    }

    /// Cut to so many digits after the point; below 0, before it.
    ///
    /// # Errors
    /// As [`Decimal::plus`].
    pub fn truncated(self, digits: i32) -> Result<Self, TypeError> {
        self.cut(digits, |_| 0)
    }

    /// The least whole number that is not below.
    ///
    /// # Errors
    /// As [`Decimal::plus`].
    pub fn ceiling(self) -> Result<Self, TypeError> {
        self.cut(0, |rest| i128::from(rest > 0))
    }

    /// The greatest whole number that is not above.
    ///
    /// # Errors
    /// As [`Decimal::plus`].
    pub fn floor(self) -> Result<Self, TypeError> {
        self.cut(0, |rest| -i128::from(rest < 0))
    }

    /// The square root of a number not below 0, with 16 significant digits at least.
    ///
    /// # Errors
    /// As [`Decimal::plus`].
    pub fn square_root(self) -> Result<Self, TypeError> {
        if !self.is_finite() {
            return Ok(self);
        }
        let weight = self.weight().0;
        // PostgreSQL's division cuts.
        let scale = DIGITS - ((weight + 1) * 4 / 2 - 1);
        self.square_root_with(scale.max(i32::from(self.scale)).clamp(0, i32::from(DIGITS_AFTER)))
    }

    /// The square root of a number not below 0 with so many digits after the point.
    ///
    /// # Errors
    /// As [`Decimal::plus`].
    pub fn square_root_with(self, scale: i32) -> Result<Self, TypeError> {
        // Rounding looks at one digit more.
        let shift = 2 * (scale + 1) - i32::from(self.scale);
        let square = match u32::try_from(shift) {
            Ok(up) => big(self.unscaled) * big_ten_to(up),
            Err(_) => big(self.unscaled) / big_ten_to(shift.unsigned_abs()),
        };
        Self::of_big(&divide_big(&square.sqrt(), &BigInt::from(10u8)), scale)
    }

    /// The greatest common divisor, with the more digits of both.
    ///
    /// # Errors
    /// As [`Decimal::plus`].
    pub fn common_divisor(self, other: Self) -> Result<Self, TypeError> {
        if !self.is_finite() || !other.is_finite() {
            return Ok(Self::NAN);
        }
        let (mut a, mut b) = (self.absolute(), other.absolute());
        let scale = a.scale.max(b.scale);
        while !b.is_zero() {
            (a, b) = (b, a.remainder(b)?);
        }
        a.rescale(scale).ok_or(TypeError::NumericFormat)
    }

    /// Whole, cut: the integer where the number is one and fits 64 bits after rounding half away from zero.
    #[must_use]
    pub fn to_i64(self) -> Option<i64> {
        if !self.is_finite() {
            return None;
        }
        self.rescale(0)?.unscaled.to_i128().and_then(|n| i64::try_from(n).ok())
    }

    /// Compares the absolute values.
    #[must_use]
    pub fn compare_sizes(self, other: Self) -> Ordering {
        self.absolute().cmp(&other.absolute())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn quotients_are_postgresqls() {
        for (a, b, wanted) in [
            ("1", "3", "0.33333333333333333333"),
            ("10", "3", "3.3333333333333333"),
            ("1.50", "0.5", "3.0000000000000000"),
            ("0", "7", "0.00000000000000000000"),
            ("-2", "3", "-0.66666666666666666667"),
            ("100000", "7", "14285.714285714286"),
            ("1", "Infinity", "0"),
            ("Infinity", "-2", "-Infinity"),
            ("NaN", "0", "NaN"),
            (
                "12345678901234567890123456789012345678",
                "0.000000000000000001",
                "12345678901234567890123456789012345678000000000000000000.000000000000000000",
            ),
        ] {
            assert_eq!(number(a).over(number(b)).unwrap().to_string(), wanted, "{a} / {b}");
        }
        assert!(number("1").over(number("0.0")).is_err());
    }

    #[test]
    fn digits_are_kept() {
        assert_eq!(number("1.50").plus(number("2")).unwrap().to_string(), "3.50");
        assert_eq!(number("1.50").times(number("2.0")).unwrap().to_string(), "3.000");
        assert_eq!(number("7.5").remainder(number("-2.00")).unwrap().to_string(), "1.50");
        assert_eq!(number("-7.5").whole_quotient(number("2")).unwrap().to_string(), "-3");
        assert_eq!(number("2.5").rounded(0).unwrap().to_string(), "3");
        assert_eq!(number("-2.5").rounded(0).unwrap().to_string(), "-3");
        assert_eq!(number("1234.567").rounded(-2).unwrap().to_string(), "1200");
        assert_eq!(number("1.5").rounded(3).unwrap().to_string(), "1.500");
        assert_eq!(number("-1.59").truncated(1).unwrap().to_string(), "-1.5");
        assert_eq!(number("-1.5").ceiling().unwrap().to_string(), "-1");
        assert_eq!(number("-1.5").floor().unwrap().to_string(), "-2");
        assert_eq!(number("2").square_root().unwrap().to_string(), "1.414213562373095");
        assert_eq!(number("0.00005").square_root().unwrap().to_string(), "0.0070710678118654752");
        assert_eq!(number("330.3").common_divisor(number("462")).unwrap().to_string(), "0.3");
        let long = number("1.234567890123456789012345678901234567");
        assert_eq!(long.times(long).unwrap().scale, DIGITS_AFTER);
    }
}
