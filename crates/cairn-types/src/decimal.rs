//! Exact decimal numbers of up to 76 digits, NaN and the infinities: comparison, rescaling, rounding and PostgreSQL's
//! text. [`arithmetic`] computes with them, [`wide`] brings them to Arrow, [`code`] to rows and keys.

pub mod arithmetic;
pub mod code;
pub mod wide;

use std::cmp::Ordering;

use arrow_buffer::i256;

use crate::datatype::DataType;
use crate::error::TypeError;

/// The number `unscaled × 10^-scale`, or one of [`Decimal::NAN`], [`Decimal::INFINITY`], [`Decimal::NEG_INFINITY`].
/// Equality and order are those of the number: 1.0 equals 1.00. NaN is above all and equal to itself.
///
/// ```
/// use cairn_types::Decimal;
/// assert_eq!(Decimal::parse("1.50").unwrap(), Decimal::new(15, 1));
/// assert_eq!(Decimal::parse("1.50").unwrap().to_string(), "1.50");
/// assert!(Decimal::NAN > Decimal::INFINITY);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Decimal {
    /// All digits as one integer, with the sign.
    pub unscaled: i256,
    /// How many of the digits stand after the point; negative: how many zeros follow. [`Decimal::SPECIAL`] for what is
    /// no finite number.
    pub scale: i8,
}

/// The largest power of ten in 256 bits.
const TENS_MAX: usize = 76;
/// The powers of ten.
const TENS: [i256; TENS_MAX + 1] = {
    let mut all = [i256::ONE; TENS_MAX + 1];
    let mut at = 1;
    while at <= TENS_MAX {
        all[at] = all[at - 1].wrapping_mul(i256::from_i128(10));
        at += 1;
    }
    all
};

/// 10 to the power `exponent`, where that fits 256 bits (exponent ≤ 76).
#[must_use]
pub fn ten_to(exponent: u32) -> Option<i256> {
    TENS.get(exponent as usize).copied()
}

impl Decimal {
    /// The scale of NaN and the infinities.
    pub const SPECIAL: i8 = i8::MIN;
    /// Not a number: above all numbers, and equal to itself.
    pub const NAN: Self = Self { unscaled: i256::from_i128(2), scale: Self::SPECIAL };
    /// Above all finite numbers.
    pub const INFINITY: Self = Self { unscaled: i256::ONE, scale: Self::SPECIAL };
    /// Below all finite numbers.
    pub const NEG_INFINITY: Self = Self { unscaled: i256::MINUS_ONE, scale: Self::SPECIAL };

    /// `unscaled × 10^-scale`.
    #[must_use]
    pub const fn new(unscaled: i128, scale: i8) -> Self {
        Self { unscaled: i256::from_i128(unscaled), scale }
    }

    /// Whether it is neither NaN nor infinite.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        self.scale != Self::SPECIAL
    }

    /// Whether it is NaN.
    #[must_use]
    pub fn is_nan(self) -> bool {
        !self.is_finite() && self.unscaled == Self::NAN.unscaled
    }

    /// -1, 0 or 1, as the number is below, at or above 0; 1 of NaN.
    #[must_use]
    pub fn sign(self) -> i8 {
        i8::from(self.unscaled.is_positive()) - i8::from(self.unscaled.is_negative())
    }

    /// The digits where they fit 128 bits and the number is finite.
    #[must_use]
    pub fn narrow(self) -> Option<i128> {
        if self.is_finite() { self.unscaled.to_i128() } else { None }
    }

    /// Reads `[+-]digits[.digits][e[+-]digits]`, `NaN` and `[+-]Infinity`, blanks around it allowed, with as many
    /// digits after the point as are written.
    ///
    /// # Errors
    /// [`TypeError::InvalidText`] for anything else, and [`TypeError::NumericFormat`] beyond 76 digits.
    pub fn parse(text: &str) -> Result<Self, TypeError> {
        let invalid = || TypeError::InvalidText { type_name: "numeric".to_owned(), input: text.to_owned() };
        let trimmed = text.trim_ascii();
        if let Some(special) = special(trimmed) {
            return Ok(special);
        }
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
        // As many digits as 128 bits hold for sure are read in these.
        let mut narrow: u128 = 0;
        let mut wide: Option<i256> = None;
        let mut scale: i32 = 0;
        let mut after_point = false;
        let mut any_digit = false;
        let mut dropped_zero_scale = false;
        for &byte in digits {
            match byte {
                b'0'..=b'9' => {
                    any_digit = true;
                    if wide.is_none() && narrow < 10u128.pow(37) {
                        narrow = narrow * 10 + u128::from(byte - b'0');
                        scale += i32::from(after_point);
                        continue;
                    }
                    let all = wide.unwrap_or_else(|| i256::from_parts(narrow, 0));
                    let next = all
                        .checked_mul(i256::from_i128(10))
                        .and_then(|n| n.checked_add(i256::from_i128(i128::from(byte - b'0'))))
                        .filter(|n| *n < TENS[TENS_MAX]);
                    match next {
                        Some(next) if !dropped_zero_scale => {
                            wide = Some(next);
                            scale += i32::from(after_point);
                        }
                        // Zeros behind the last digit after the point change nothing.
                        _ if after_point && byte == b'0' => {
                            wide = Some(all);
                            dropped_zero_scale = true;
                        }
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
        let unscaled = wide.unwrap_or_else(|| i256::from_parts(narrow, 0));
        let unscaled = if negative { unscaled.wrapping_neg() } else { unscaled };
        let scale = scale.checked_sub(exponent).ok_or(TypeError::NumericFormat)?;
        Self::with_wide_scale(unscaled, scale)
    }

    /// Brings a scale from an exponent into 0…76. What is less than the last of these digits becomes that digit, so
    /// that nobody takes it for 0.
    fn with_wide_scale(unscaled: i256, scale: i32) -> Result<Self, TypeError> {
        if unscaled == i256::ZERO {
            return Ok(Self { unscaled, scale: scale.clamp(0, i32::from(wide::DIGITS_AFTER)) as i8 });
        }
        if (0..=TENS_MAX as i32).contains(&scale) {
            return Ok(Self { unscaled, scale: scale as i8 });
        }
        if scale < 0 {
            let factor = ten_to(scale.unsigned_abs()).ok_or(TypeError::NumericFormat)?;
            let unscaled = unscaled.checked_mul(factor).filter(|n| n.wrapping_abs() < TENS[TENS_MAX]);
            return unscaled.map(|unscaled| Self { unscaled, scale: 0 }).ok_or(TypeError::NumericFormat);
        }
        let last = if unscaled.is_negative() { i256::MINUS_ONE } else { i256::ONE };
        let rounded = ten_to((scale - TENS_MAX as i32).unsigned_abs())
            .map(|factor| divide_rounding(unscaled, factor))
            .filter(|rounded| *rounded != i256::ZERO);
        Ok(Self { unscaled: rounded.unwrap_or(last), scale: TENS_MAX as i8 })
    }

    /// The same number with `scale` digits after the point, rounded half away from zero where digits are
    /// lost; `None` where it does not fit 76 digits. What is not finite stays as it is.
    #[must_use]
    pub fn rescale(self, scale: i8) -> Option<Self> {
        if !self.is_finite() {
            return Some(self);
        }
        let change = i32::from(scale) - i32::from(self.scale);
        let unscaled = match change.cmp(&0) {
            Ordering::Equal => self.unscaled,
            Ordering::Greater if self.unscaled == i256::ZERO => i256::ZERO,
            Ordering::Greater => self.unscaled.checked_mul(ten_to(change.unsigned_abs())?)?,
            Ordering::Less => ten_to(change.unsigned_abs())
                .map_or(i256::ZERO, |factor| divide_rounding(self.unscaled, factor)),
        };
        (unscaled.wrapping_abs() < TENS[TENS_MAX]).then_some(Self { unscaled, scale })
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
        if self.is_nan() {
            return Ok(self);
        }
        if !self.is_finite() {
            return Err(TypeError::Invalid {
                sqlstate: "22003",
                message: "numeric field overflow".to_owned(),
                detail: Some(format!(
                    "A field with precision {precision}, scale {scale} cannot hold an infinite value."
                )),
            });
        }
        let rescaled = self.rescale(scale).ok_or_else(overflow)?;
        let bound = ten_to(u32::from(precision)).ok_or_else(overflow)?;
        (rescaled.unscaled.wrapping_abs() < bound).then_some(rescaled).ok_or_else(overflow)
    }

    /// The same number without zeros at the end of its fraction.
    #[must_use]
    pub fn normalised(self) -> Self {
        if self.scale <= 0 {
            return self;
        }
        if self.unscaled == i256::ZERO {
            return Self::new(0, 0);
        }
        let Self { mut unscaled, mut scale } = self;
        for step in [32, 16, 8, 4, 2, 1] {
            while scale >= step {
                let shorter = unscaled.wrapping_div(TENS[step as usize]);
                if shorter.wrapping_mul(TENS[step as usize]) != unscaled {
                    break;
                }
                unscaled = shorter;
                scale -= step;
            }
        }
        Self { unscaled, scale }
    }

    /// Appends the number as PostgreSQL prints it: always `scale` digits after the point.
    pub fn write(self, out: &mut String) {
        if !self.is_finite() {
            out.push_str(match self.sign() {
                _ if self.is_nan() => "NaN",
                -1 => "-Infinity",
                _ => "Infinity",
            });
            return;
        }
        let digits = match self.unscaled.to_i128() {
            Some(narrow) => narrow.unsigned_abs().to_string(),
            None => self.unscaled.wrapping_abs().to_string(),
        };
        write_digits(&digits, self.unscaled.is_negative(), self.scale, out);
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        const EXACT: u128 = 1 << 53;
        match (self.unscaled.to_i128(), self.scale) {
            // Both are floats exactly, so the division rounds once.
            (Some(n), scale @ 0..=22) if n.unsigned_abs() <= EXACT => n as f64 / 10f64.powi(i32::from(scale)),
            // Through the text, because that rounds once.
            _ => self.to_string().parse().unwrap_or(f64::NAN),
        }
    }
}

/// Division rounding half away from zero; `divisor` is positive.
pub(crate) fn divide_rounding(dividend: i256, divisor: i256) -> i256 {
    if let (Some(dividend), Some(divisor)) = (dividend.to_i128(), divisor.to_i128()) {
        let (quotient, remainder) = (dividend / divisor, (dividend % divisor).unsigned_abs());
        let up = remainder >= divisor.unsigned_abs() - remainder;
        return i256::from_i128(if up { quotient + dividend.signum() } else { quotient });
    }
    let quotient = dividend.wrapping_div(divisor);
    let remainder = dividend.wrapping_sub(quotient.wrapping_mul(divisor)).wrapping_abs();
    let up = remainder >= divisor.wrapping_sub(remainder);
    if up { quotient.wrapping_add(dividend.signum()) } else { quotient }
}

/// `NaN` and the infinities.
fn special(text: &str) -> Option<Decimal> {
    let (negative, word) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if text.eq_ignore_ascii_case("nan") {
        return Some(Decimal::NAN);
    }
    let infinite = word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("infinity");
    infinite.then_some(if negative { Decimal::NEG_INFINITY } else { Decimal::INFINITY })
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
        if self.is_finite() != other.is_finite() {
            // NaN, too, is on the side that its sign says.
            return if self.is_finite() { 0.cmp(&other.sign()) } else { self.sign().cmp(&0) };
        }
        if self.scale == other.scale {
            return self.unscaled.cmp(&other.unscaled);
        }
        let signs = self.sign().cmp(&other.sign());
        if signs != Ordering::Equal || self.unscaled == i256::ZERO {
            return signs;
        }
        let (coarse, fine, flipped) =
            if self.scale < other.scale { (self, other, false) } else { (other, self, true) };
        let change = (i32::from(fine.scale) - i32::from(coarse.scale)).unsigned_abs();
        let ordering = match ten_to(change).and_then(|factor| coarse.unscaled.checked_mul(factor)) {
            Some(same) => same.cmp(&fine.unscaled),
            // It is farther from 0 than 256 bits can say.
            None => coarse.sign().cmp(&0),
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
            Self::Numeric(None) => decimal.fit_wide(),
            _ => Ok(decimal),
        }
    }
}
