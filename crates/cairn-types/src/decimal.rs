//! Exact decimal numbers of up to 38 digits: comparison, rescaling, rounding and PostgreSQL's text.

use std::cmp::Ordering;

use crate::datatype::{DataType, NUMERIC_PRECISION_MAX};
use crate::error::TypeError;

/// The number `unscaled × 10^-scale`. Equality and order are those of the number: 1.0 equals 1.00.
///
/// ```
/// use cairn_types::Decimal;
/// assert_eq!(Decimal::parse("1.50").unwrap(), Decimal::new(15, 1));
/// assert_eq!(Decimal::parse("1.50").unwrap().to_string(), "1.50");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    /// All digits as one integer, with the sign.
    pub unscaled: i128,
    /// How many of the digits stand after the point; negative: how many zeros follow.
    pub scale: i8,
}

/// 10 to the power `exponent`, where that fits 128 bits (exponent ≤ 38).
pub(crate) fn power_of_ten(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}

impl Decimal {
    /// `unscaled × 10^-scale`.
    #[must_use]
    pub const fn new(unscaled: i128, scale: i8) -> Self {
        Self { unscaled, scale }
    }

    /// Reads `[+-]digits[.digits][e[+-]digits]`, blanks around it allowed, with as many digits after the
    /// point as are written.
    ///
    /// # Errors
    /// [`TypeError::InvalidText`] for anything else (NaN and infinities too are not supported), and
    /// [`TypeError::NumericFormat`] beyond 38 digits.
    pub fn parse(text: &str) -> Result<Self, TypeError> {
        let invalid = || TypeError::InvalidText { type_name: "numeric".to_owned(), input: text.to_owned() };
        let trimmed = text.trim_ascii();
        let (mantissa, exponent) = match trimmed.find(['e', 'E']) {
            Some(at) => {
                let exponent: i32 = trimmed[at + 1..].parse().map_err(|_| invalid())?;
                (&trimmed[..at], exponent)
            }
            None => (trimmed, 0),
        };
        let (negative, digits) = match mantissa.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mut unscaled: i128 = 0;
        let mut scale: i32 = 0;
        let mut after_point = false;
        let mut any_digit = false;
        let mut dropped_zero_scale = false;
        for &byte in digits {
            match byte {
                b'0'..=b'9' => {
                    any_digit = true;
                    let next = unscaled
                        .checked_mul(10)
                        .and_then(|n| n.checked_add(i128::from(byte - b'0')))
                        .filter(|n| *n <= DIGITS_38);
                    match next {
                        Some(next) if !dropped_zero_scale => {
                            unscaled = next;
                            scale += i32::from(after_point);
                        }
                        // Zeros behind the 38th digit after the point change nothing.
                        _ if after_point && byte == b'0' => dropped_zero_scale = true,
                        _ => return Err(TypeError::NumericFormat),
                    }
                }
                b'.' if !after_point => after_point = true,
                _ => return Err(invalid()),
            }
        }
        if !any_digit {
            return Err(invalid());
        }
        let unscaled = if negative { -unscaled } else { unscaled };
        let scale = scale.checked_sub(exponent).ok_or(TypeError::NumericFormat)?;
        Self::with_wide_scale(unscaled, scale)
    }

    /// Brings a scale from an exponent into 0…38, exactly.
    fn with_wide_scale(unscaled: i128, scale: i32) -> Result<Self, TypeError> {
        if unscaled == 0 {
            return Ok(Self::new(0, scale.clamp(0, i32::from(NUMERIC_PRECISION_MAX)) as i8));
        }
        if (0..=i32::from(NUMERIC_PRECISION_MAX)).contains(&scale) {
            return Ok(Self::new(unscaled, scale as i8));
        }
        if scale < 0 {
            let factor = power_of_ten(scale.unsigned_abs()).ok_or(TypeError::NumericFormat)?;
            let unscaled = unscaled.checked_mul(factor).filter(|n| n.unsigned_abs() <= DIGITS_38 as u128);
            return unscaled.map(|n| Self::new(n, 0)).ok_or(TypeError::NumericFormat);
        }
        // Beyond 38 digits after the point: drop zeros, then round.
        let excess = scale - i32::from(NUMERIC_PRECISION_MAX);
        let rounded =
            power_of_ten(excess.unsigned_abs()).map_or(0, |factor| divide_rounding(unscaled, factor));
        Ok(Self::new(rounded, NUMERIC_PRECISION_MAX as i8))
    }

    /// The same number with `scale` digits after the point, rounded half away from zero where digits are
    /// lost; `None` where it does not fit 38 digits.
    #[must_use]
    pub fn rescale(self, scale: i8) -> Option<Self> {
        let change = i32::from(scale) - i32::from(self.scale);
        let unscaled = match change.cmp(&0) {
            Ordering::Equal => self.unscaled,
            Ordering::Greater if self.unscaled == 0 => 0,
            Ordering::Greater => self.unscaled.checked_mul(power_of_ten(change.unsigned_abs())?)?,
            Ordering::Less => {
                power_of_ten(change.unsigned_abs()).map_or(0, |factor| divide_rounding(self.unscaled, factor))
            }
        };
        (unscaled.unsigned_abs() <= DIGITS_38 as u128).then_some(Self::new(unscaled, scale))
    }

    /// The same number with `scale` digits after the point; `None` where digits would be lost or it does not fit.
    #[must_use]
    pub fn rescale_exact(self, scale: i8) -> Option<Self> {
        self.rescale(scale).filter(|rescaled| *rescaled == self)
    }

    /// Rounded and checked as a value of NUMERIC(precision, scale) is.
    ///
    /// # Errors
    /// [`TypeError::NumericOverflow`] where it has more digits before the point than the type.
    pub fn fit(self, precision: u8, scale: i8) -> Result<Self, TypeError> {
        let overflow = || TypeError::NumericOverflow { precision, scale };
        let rescaled = self.rescale(scale).ok_or_else(overflow)?;
        let bound = power_of_ten(u32::from(precision)).ok_or_else(overflow)?;
        (rescaled.unscaled.unsigned_abs() < bound.unsigned_abs()).then_some(rescaled).ok_or_else(overflow)
    }

    /// The same number without zeros at the end of its fraction.
    #[must_use]
    pub fn normalised(self) -> Self {
        let Self { mut unscaled, mut scale } = self;
        while scale > 0 && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
        Self { unscaled, scale }
    }

    /// Appends the number as PostgreSQL prints it: always `scale` digits after the point.
    pub fn write(self, out: &mut String) {
        write_digits(&self.unscaled.unsigned_abs().to_string(), self.unscaled < 0, self.scale, out);
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Through the text, because that rounds once.
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

/// The largest number of 38 digits.
const DIGITS_38: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

/// Division rounding half away from zero; `divisor` is positive.
fn divide_rounding(dividend: i128, divisor: i128) -> i128 {
    let quotient = dividend / divisor;
    let remainder = (dividend % divisor).unsigned_abs();
    let up = remainder >= divisor.unsigned_abs() - remainder;
    if up { quotient + dividend.signum() } else { quotient }
}

/// Puts sign and point to the digits of an absolute value. The digits of zero are "0".
pub(crate) fn write_digits(digits: &str, negative: bool, scale: i8, out: &mut String) {
    if negative {
        out.push('-');
    }
    if scale <= 0 {
        out.push_str(digits);
        if digits != "0" {
            out.extend(std::iter::repeat_n('0', usize::from(scale.unsigned_abs())));
        }
        return;
    }
    let scale = usize::from(scale.unsigned_abs());
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    } else {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', scale - digits.len()));
        out.push_str(digits);
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.unscaled.cmp(&other.unscaled);
        }
        let signs = self.unscaled.signum().cmp(&other.unscaled.signum());
        if signs != Ordering::Equal || self.unscaled == 0 {
            return signs;
        }
        // Whole parts first, then fractions brought to a common scale digit by digit.
        let (coarse, fine, flipped) =
            if self.scale < other.scale { (self, other, false) } else { (other, self, true) };
        let change = (i32::from(fine.scale) - i32::from(coarse.scale)).unsigned_abs();
        let ordering = match power_of_ten(change) {
            Some(factor) => {
                let (whole, rest) = (fine.unscaled / factor, fine.unscaled % factor);
                coarse.unscaled.cmp(&whole).then(0.cmp(&rest))
            }
            // |fine| < 10^39 / 10^change < |coarse|, because change > 38.
            None => 0.cmp(&fine.unscaled).reverse(),
        };
        if flipped { ordering.reverse() } else { ordering }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl From<i64> for Decimal {
    fn from(n: i64) -> Self {
        Self::new(i128::from(n), 0)
    }
}

impl DataType {
    /// Rounds and checks a number for a column of this NUMERIC type; other types give it back.
    pub(crate) fn fit_decimal(&self, decimal: Decimal) -> Result<Decimal, TypeError> {
        match self {
            Self::Numeric(Some((precision, scale))) => decimal.fit(*precision, *scale),
            Self::Numeric(None) => {
                let (precision, scale) = Self::numeric_parameters(None);
                Ok(decimal.fit(precision, scale).map_err(|_| TypeError::NumericFormat)?.normalised())
            }
            _ => Ok(decimal),
        }
    }
}
