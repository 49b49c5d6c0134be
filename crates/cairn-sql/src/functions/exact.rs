//! Powers, logarithms and exponentials of NUMERIC, with PostgreSQL's number of digits (`numeric.c`). They are computed in
//! fixed point with 36 digits after the point, in integers of 256 bits: at least 34 digits of a result are right.

use arrow::datatypes::i256;
use cairn_types::{DataType as T, Decimal, Value};
use datafusion::logical_expr::ScalarUDF;

use super::overload::{Args, Code, Overload, Returns, function, is};
use crate::{Error, Result};

/// Digits after the point that are computed.
const PLACES: u32 = 36;
/// The digits that a result has at least.
const DIGITS: i32 = 16;
/// Digits after the point of what is computed of columns.
const COLUMN_SCALE: i8 = 16;
/// ln 2 and ln 10, with [`PLACES`] digits after the point.
const LN_2: i128 = 693_147_180_559_945_309_417_232_121_458_176_568;
const LN_10: i128 = 2_302_585_092_994_045_684_017_991_454_684_364_208;

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let numeric = || T::Numeric(None);
    let double =
        |count: usize, code: Code| Overload::new(vec![is(T::Double); count], Returns::Is(T::Double), code);
    let exact = |count: usize, code: Code| {
        Overload::new(vec![is(numeric()); count], Returns::Numeric(|_| COLUMN_SCALE), code)
    };
    vec![
        function(
            "exp",
            vec![
                double(1, |args| finite(args, args.double(0)?.exp())),
                exact(1, |args| exponential(args.decimal(0)?)),
            ],
        ),
        function(
            "ln",
            vec![
                double(1, |args| Ok(Value::Double(positive(args.double(0)?)?.ln()))),
                exact(1, |args| natural(args.decimal(0)?)),
            ],
        ),
        function("log10", logarithms()),
        function("log", {
            let mut all = logarithms();
            all.push(exact(2, |args| logarithm(args.decimal(0)?, args.decimal(1)?)));
            all
        }),
        function(
            "power",
            vec![
                double(2, |args| {
                    let (x, y) = (args.double(0)?, args.double(1)?);
                    check_power(x == 0.0, x < 0.0 && y.is_finite() && y.fract() != 0.0, y < 0.0)?;
                    let power = x.powf(y);
                    if power.is_infinite() && x.is_finite() && y.is_finite() {
                        return Err(Error::new("22003", "value out of range: overflow"));
                    }
                    if power == 0.0 && x != 0.0 && x.is_finite() && y.is_finite() {
                        return Err(Error::new("22003", "value out of range: underflow"));
                    }
                    Ok(Value::Double(power))
                }),
                exact(2, |args| power(args.decimal(0)?, args.decimal(1)?)),
            ],
        ),
    ]
}

fn logarithms() -> Vec<Overload> {
    vec![
        Overload::new(vec![is(T::Double)], Returns::Is(T::Double), |args| {
            Ok(Value::Double(positive(args.double(0)?)?.log10()))
        }),
        Overload::new(vec![is(T::Numeric(None))], Returns::Numeric(|_| COLUMN_SCALE), |args| {
            logarithm(Decimal::new(10, 0), args.decimal(0)?)
        }),
    ]
}

fn finite(args: &Args<'_>, value: f64) -> Result<Value> {
    let x = args.double(0)?;
    if value.is_infinite() && x.is_finite() {
        return Err(Error::new("22003", "value out of range: overflow"));
    }
    if value == 0.0 && x.is_finite() {
        return Err(Error::new("22003", "value out of range: underflow"));
    }
    Ok(Value::Double(value))
}

fn positive(x: f64) -> Result<f64> {
    match x {
        0.0 => Err(no_logarithm(true)),
        x if x < 0.0 => Err(no_logarithm(false)),
        x => Ok(x),
    }
}

fn no_logarithm(zero: bool) -> Error {
    let what = if zero { "zero" } else { "a negative number" };
    Error::new("2201E", format!("cannot take logarithm of {what}"))
}

fn check_power(zero: bool, complex: bool, negative: bool) -> Result<()> {
    if zero && negative {
        return Err(Error::new("2201F", "zero raised to a negative power is undefined"));
    }
    if complex {
        let message = "a negative number raised to a non-integer power yields a complex result";
        return Err(Error::new("2201F", message));
    }
    Ok(())
}

fn overflow() -> Error {
    Error::new("22003", "value overflows numeric format")
}

fn one() -> i256 {
    ten_to(PLACES)
}

fn ten_to(exponent: u32) -> i256 {
    (0..exponent).fold(i256::ONE, |power, _| power.wrapping_mul(i256::from_i128(10)))
}

/// `a · b`; neither above 10^38 in fixed point.
fn times(a: i256, b: i256) -> i256 {
    a.wrapping_mul(b).wrapping_div(one())
}

fn over(a: i256, b: i256) -> i256 {
    a.wrapping_mul(one()).wrapping_div(b)
}

/// ln of a number above 0, in fixed point.
fn ln(number: Decimal) -> i256 {
    let digits = number.unscaled.unsigned_abs().to_string().len() as i32;
    // number = m · 10^exponent with m from 1 to 10.
    let exponent = digits - 1 - i32::from(number.scale);
    let shift = PLACES as i32 - (digits - 1);
    let mantissa = i256::from_i128(number.unscaled);
    let mut m = match u32::try_from(shift) {
        Ok(shift) => mantissa.wrapping_mul(ten_to(shift)),
        Err(_) => mantissa.wrapping_div(ten_to(shift.unsigned_abs())),
    };
    let limit = one().wrapping_mul(i256::from_i128(3)).wrapping_div(i256::from_i128(2));
    let mut halvings = 0;
    while m > limit {
        m = m.wrapping_div(i256::from_i128(2));
        halvings += 1;
    }
    // ln m = 2 artanh z, z = (m - 1) / (m + 1).
    let z = over(m.wrapping_sub(one()), m.wrapping_add(one()));
    let square = times(z, z);
    let (mut sum, mut term, mut at) = (i256::ZERO, z, 1);
    while term != i256::ZERO {
        sum = sum.wrapping_add(term.wrapping_div(i256::from_i128(at)));
        term = times(term, square);
        at += 2;
    }
    sum.wrapping_mul(i256::from_i128(2))
        .wrapping_add(i256::from_i128(LN_2).wrapping_mul(i256::from_i128(halvings)))
        .wrapping_add(i256::from_i128(LN_10).wrapping_mul(i256::from_i128(i128::from(exponent))))
}

/// e^y as `m · 10^exponent`, m in fixed point.
fn exp(y: i256) -> (i256, i32) {
    let tens = y.wrapping_div(i256::from_i128(LN_10));
    let rest = y.wrapping_sub(tens.wrapping_mul(i256::from_i128(LN_10)));
    let (mut sum, mut term, mut at) = (one(), one(), 1);
    while term != i256::ZERO {
        term = times(term, rest).wrapping_div(i256::from_i128(at));
        sum = sum.wrapping_add(term);
        at += 1;
    }
    (sum, tens.to_i128().and_then(|tens| i32::try_from(tens).ok()).unwrap_or(i32::MAX))
}

/// A fixed-point number times 10^exponent, with so many digits after the point, or as many as there is room for.
fn rounded(m: i256, exponent: i32, scale: i32) -> Result<Value> {
    let mut scale = scale.clamp(0, 38);
    loop {
        let shift = exponent + scale - PLACES as i32;
        let scaled = match u32::try_from(shift) {
            Ok(shift) if shift > 40 => return Err(overflow()),
            Ok(shift) => m.checked_mul(ten_to(shift)),
            Err(_) if shift < -76 => Some(i256::ZERO),
            Err(_) => {
                let factor = ten_to(shift.unsigned_abs());
                let half = factor.wrapping_div(i256::from_i128(2));
                let half = if m < i256::ZERO { half.wrapping_neg() } else { half };
                Some(m.wrapping_add(half).wrapping_div(factor))
            }
        };
        let fits = scaled.and_then(i256::to_i128).filter(|n| n.unsigned_abs() < 10u128.pow(38));
        match fits {
            Some(unscaled) => return Ok(Value::Numeric(Decimal::new(unscaled, scale as i8))),
            None if scale == 0 => return Err(overflow()),
            None => scale -= 1,
        }
    }
}

/// The weight of the first digit of ln(number), by PostgreSQL's estimate.
fn ln_weight(number: Decimal) -> i32 {
    if number.unscaled <= 0 {
        return 0;
    }
    if number >= Decimal::new(9, 1) && number <= Decimal::new(11, 1) {
        let scale = number.scale.max(0);
        let Some(one) = 10i128.checked_pow(u32::from(scale.unsigned_abs())) else { return 0 };
        let rest = (number.unscaled - one).unsigned_abs();
        if rest == 0 {
            return 0;
        }
        return rest.to_string().len() as i32 - 1 - i32::from(scale);
    }
    let ln = number.to_f64().ln();
    ln.abs().log10() as i32
}

fn exponential(x: Decimal) -> Result<Value> {
    let weight = (x.to_f64() * std::f64::consts::LOG10_E).clamp(-1000.0, 1000.0) as i32;
    let scale = (DIGITS - weight).max(i32::from(x.scale)).max(0);
    if x.to_f64() > 90.0 {
        return Err(overflow());
    }
    if x.to_f64() < -100.0 {
        return Ok(Value::Numeric(Decimal::new(0, scale.min(38) as i8)));
    }
    let (m, exponent) = exp(fixed(x));
    rounded(m, exponent, scale)
}

/// A number below 10^38 in fixed point.
fn fixed(x: Decimal) -> i256 {
    let shift = PLACES as i32 - i32::from(x.scale);
    let unscaled = i256::from_i128(x.unscaled);
    match u32::try_from(shift) {
        Ok(shift) => unscaled.wrapping_mul(ten_to(shift)),
        Err(_) => unscaled.wrapping_div(ten_to(shift.unsigned_abs())),
    }
}

fn natural(x: Decimal) -> Result<Value> {
    if x.unscaled <= 0 {
        return Err(no_logarithm(x.unscaled == 0));
    }
    rounded(ln(x), 0, (DIGITS - ln_weight(x)).max(i32::from(x.scale)))
}

fn logarithm(base: Decimal, x: Decimal) -> Result<Value> {
    for number in [base, x] {
        if number.unscaled <= 0 {
            return Err(no_logarithm(number.unscaled == 0));
        }
    }
    let scale = DIGITS - (ln_weight(x) - ln_weight(base));
    let below = ln(base);
    if below == i256::ZERO {
        return Err(Error::new("22012", "division by zero"));
    }
    // The quotient of two numbers below 100 keeps its digits.
    rounded(over(ln(x), below), 0, scale.max(i32::from(base.scale)).max(i32::from(x.scale)))
}

fn power(base: Decimal, exponent: Decimal) -> Result<Value> {
    let whole = exponent.rescale_exact(0).and_then(|n| i32::try_from(n.unscaled).ok());
    check_power(base.unscaled == 0, base.unscaled < 0 && whole.is_none(), exponent.unscaled < 0)?;
    let own_scale = i32::from(base.scale);
    if let Some(n) = whole {
        let scale = DIGITS.max(own_scale);
        if let Some(value) = whole_power(base, n, scale) {
            return Ok(value);
        }
        if base.unscaled == 0 {
            return Ok(Value::Numeric(Decimal::new(0, scale.min(38) as i8)));
        }
        let (m, tens) = raised(base, exponent)?;
        let negative = base.unscaled < 0 && n % 2 != 0;
        return rounded(if negative { m.wrapping_neg() } else { m }, tens, scale);
    }
    if base.unscaled == 0 {
        return Ok(Value::Numeric(Decimal::new(0, DIGITS as i8)));
    }
    let weight = (exponent.to_f64() * base.to_f64().ln() * std::f64::consts::LOG10_E) as i32;
    let scale = (DIGITS - weight).max(own_scale).max(i32::from(exponent.scale)).max(0);
    let (m, tens) = raised(base, exponent)?;
    rounded(m, tens, scale)
}

/// |base|^exponent by its logarithm.
fn raised(base: Decimal, exponent: Decimal) -> Result<(i256, i32)> {
    let size = exponent.to_f64() * base.to_f64().abs().ln();
    if size > 90.0 {
        return Err(overflow());
    }
    if size < -100.0 {
        return Ok((i256::ZERO, 0));
    }
    let ln = ln(Decimal::new(base.unscaled.abs(), base.scale));
    let ten = ten_to(u32::from(exponent.scale.unsigned_abs()));
    let product = ln.checked_mul(i256::from_i128(exponent.unscaled)).ok_or_else(overflow)?;
    Ok(exp(product.wrapping_div(ten)))
}

/// base^n exactly, then rounded; `None` where 256 bits are not enough.
fn whole_power(base: Decimal, n: i32, scale: i32) -> Option<Value> {
    let count = n.unsigned_abs();
    if count > 256 && base.unscaled.unsigned_abs() > 1 {
        return None;
    }
    let steps = if base.unscaled.unsigned_abs() <= 1 { count % 2 + 2 } else { count };
    let steps = if count == 0 { 0 } else { steps };
    let digits = (0..steps).try_fold(i256::ONE, |all, _| all.checked_mul(i256::from_i128(base.unscaled)))?;
    let places = i32::try_from(count).ok()?.checked_mul(i32::from(base.scale))?;
    let (mut top, bottom, shift) = match n < 0 {
        // 10^places / digits
        true => (i256::ONE, digits, places + scale),
        false => (digits, i256::ONE, scale - places),
    };
    let mut bottom = bottom;
    match u32::try_from(shift) {
        Ok(shift) if shift > 76 => return None,
        Ok(shift) => top = top.checked_mul(ten_to(shift))?,
        Err(_) if shift < -76 => return None,
        Err(_) => bottom = bottom.checked_mul(ten_to(shift.unsigned_abs()))?,
    }
    let quotient = top.checked_div(bottom)?;
    let rest = top.wrapping_sub(quotient.wrapping_mul(bottom)).wrapping_abs();
    let up = rest >= bottom.wrapping_abs().wrapping_sub(rest) && rest != i256::ZERO;
    let sign = if (top < i256::ZERO) == (bottom < i256::ZERO) { 1 } else { -1 };
    let result = if up { quotient.wrapping_add(i256::from_i128(sign)) } else { quotient };
    let unscaled = result.to_i128().filter(|n| n.unsigned_abs() < 10u128.pow(38))?;
    Some(Value::Numeric(Decimal::new(unscaled, scale as i8)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(value: Result<Value>) -> String {
        match value.unwrap() {
            Value::Numeric(n) => n.to_string(),
            other => format!("{other:?}"),
        }
    }

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn digits_are_postgresqls() {
        assert_eq!(text(exponential(number("1.0"))), "2.7182818284590452");
        assert_eq!(text(exponential(number("50.0"))), "5184705528587072464087.5");
        assert_eq!(text(natural(number("2.0"))), "0.6931471805599453");
        assert_eq!(text(logarithm(number("2.0"), number("64.0"))), "6.0000000000000000");
        assert_eq!(text(power(number("2.0"), number("0.5"))), "1.4142135623730950");
        assert_eq!(text(power(number("9.0"), number("3.0"))), "729.0000000000000000");
        assert_eq!(text(power(number("2"), number("-2"))), "0.2500000000000000");
    }
}
