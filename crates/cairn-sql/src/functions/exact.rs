//! Powers, logarithms and exponentials of NUMERIC, with PostgreSQL's number of digits (`numeric.c`). They are computed in
//! fixed point with 90 digits after the point: every digit that a result has is right.

use std::sync::LazyLock;

use cairn_types::decimal::arithmetic::{big, big_ten_to, divide_big};
use cairn_types::decimal::wide::{DIGITS_AFTER, DIGITS_BEFORE};
use cairn_types::{DataType as T, Decimal, Value};
use datafusion::logical_expr::ScalarUDF;
use num_bigint::{BigInt, Sign};

use super::overload::{Args, Code, Overload, Returns, function, is};
use crate::{Error, Result};

/// Digits after the point that are computed.
const PLACES: u32 = 90;
/// The digits that a result has at least.
const DIGITS: i32 = 16;
/// Results of more digits before the point do not fit, and of so many zeros behind it are 0.
const DIGITS_MOST: f64 = 2.0 * DIGITS_BEFORE as f64;

/// 1 in fixed point.
static ONE: LazyLock<BigInt> = LazyLock::new(|| big_ten_to(PLACES));
/// ln 2 = 2 artanh 1/3.
static LN_2: LazyLock<BigInt> = LazyLock::new(|| artanh(&(&*ONE / 3)) * 2);
/// ln 10 = 3 ln 2 + 2 artanh 1/9.
static LN_10: LazyLock<BigInt> = LazyLock::new(|| &*LN_2 * 3 + artanh(&(&*ONE / 9)) * 2);

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let numeric = || T::Numeric(None);
    let double =
        |count: usize, code: Code| Overload::new(vec![is(T::Double); count], Returns::Is(T::Double), code);
    let exact =
        |count: usize, code: Code| Overload::new(vec![is(numeric()); count], Returns::Is(numeric()), code);
    vec![
        function(
            "exp",
            vec![
                double(1, |args| finite(args, args.double(0)?.exp())),
                exact(1, |args| exponential(args.decimal(0)?).map(Value::Numeric)),
            ],
        ),
        function(
            "ln",
            vec![
                double(1, |args| Ok(Value::Double(positive(args.double(0)?)?.ln()))),
                exact(1, |args| natural(args.decimal(0)?).map(Value::Numeric)),
            ],
        ),
        function("log10", logarithms()),
        function("log", {
            let mut all = logarithms();
            all.push(exact(2, |args| logarithm(args.decimal(0)?, args.decimal(1)?).map(Value::Numeric)));
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
                exact(2, |args| power(args.decimal(0)?, args.decimal(1)?).map(Value::Numeric)),
            ],
        ),
    ]
}

fn logarithms() -> Vec<Overload> {
    vec![
        Overload::new(vec![is(T::Double)], Returns::Is(T::Double), |args| {
            Ok(Value::Double(positive(args.double(0)?)?.log10()))
        }),
        Overload::new(vec![is(T::Numeric(None))], Returns::Is(T::Numeric(None)), |args| {
            logarithm(Decimal::new(10, 0), args.decimal(0)?).map(Value::Numeric)
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

fn times(a: &BigInt, b: &BigInt) -> BigInt {
    a * b / &*ONE
}

fn over(a: &BigInt, b: &BigInt) -> BigInt {
    a * &*ONE / b
}

/// The inverse hyperbolic tangent of a number well below 1.
fn artanh(z: &BigInt) -> BigInt {
    let square = times(z, z);
    let (mut sum, mut term, mut at) = (BigInt::ZERO, z.clone(), 1u32);
    while term != BigInt::ZERO {
        sum += &term / at;
        term = times(&term, &square);
        at += 2;
    }
    sum
}

/// ln of a number above 0.
fn ln(number: Decimal) -> BigInt {
    let digits = big(number.unscaled);
    let count = digits.magnitude().to_string().len() as i32;
    // number = m · 10^exponent with m from 1 to 10.
    let exponent = count - 1 - i32::from(number.scale);
    let mut m = digits * big_ten_to((PLACES as i32 - (count - 1)).unsigned_abs());
    let limit = &*ONE * 3 / 2;
    let mut halvings = 0;
    while m > limit {
        m /= 2;
        halvings += 1;
    }
    let z = over(&(&m - &*ONE), &(&m + &*ONE));
    artanh(&z) * 2 + &*LN_2 * halvings + &*LN_10 * exponent
}

/// e^y as `m · 10^exponent`.
fn exp(y: &BigInt) -> (BigInt, i32) {
    let tens = y / &*LN_10;
    let rest = y - &tens * &*LN_10;
    let (mut sum, mut term, mut at) = (ONE.clone(), ONE.clone(), 1u32);
    while term != BigInt::ZERO {
        term = times(&term, &rest) / at;
        sum += &term;
        at += 1;
    }
    (sum, i32::try_from(tens).unwrap_or(i32::MAX))
}

/// A number in fixed point times 10^exponent, with so many digits after the point, or as many as there are at most.
fn rounded(m: &BigInt, exponent: i32, scale: i32) -> Result<Decimal> {
    let scale = scale.clamp(0, i32::from(DIGITS_AFTER));
    let shift = exponent.saturating_add(scale - PLACES as i32);
    if shift > DIGITS_MOST as i32 {
        return Err(overflow());
    }
    let unscaled = match u32::try_from(shift) {
        Ok(shift) => m * big_ten_to(shift),
        Err(_) => divide_big(m, &big_ten_to(shift.unsigned_abs())),
    };
    Ok(Decimal::of_big(&unscaled, scale)?)
}

/// The weight of the first digit of ln(number), by PostgreSQL's estimate.
fn ln_weight(number: Decimal) -> i32 {
    if number.sign() <= 0 {
        return 0;
    }
    if number >= Decimal::new(9, 1) && number <= Decimal::new(11, 1) {
        let Ok(rest) = number.minus(Decimal::new(1, 0)) else { return 0 };
        let digits = big(rest.unscaled);
        return match digits.sign() {
            Sign::NoSign => 0,
            _ => digits.magnitude().to_string().len() as i32 - 1 - i32::from(rest.scale),
        };
    }
    let ln = number.to_f64().ln();
    ln.abs().log10() as i32
}

fn exponential(x: Decimal) -> Result<Decimal> {
    if !x.is_finite() {
        return Ok(if x.sign() < 0 { Decimal::new(0, 0) } else { x });
    }
    let weight = x.to_f64() * std::f64::consts::LOG10_E;
    let scale = (DIGITS - weight.clamp(-1000.0, 1000.0) as i32).max(i32::from(x.scale)).max(0);
    if weight > DIGITS_MOST {
        return Err(overflow());
    }
    if weight < -DIGITS_MOST {
        return Ok(Decimal::new(0, scale.min(i32::from(DIGITS_AFTER)) as i8));
    }
    let (m, exponent) = exp(&fixed(x));
    rounded(&m, exponent, scale)
}

/// A number in fixed point.
fn fixed(x: Decimal) -> BigInt {
    big(x.unscaled) * big_ten_to((PLACES as i32 - i32::from(x.scale)).unsigned_abs())
}

fn natural(x: Decimal) -> Result<Decimal> {
    if !x.is_finite() && x.sign() > 0 {
        return Ok(x);
    }
    if x.sign() <= 0 {
        return Err(no_logarithm(x.sign() == 0));
    }
    rounded(&ln(x), 0, (DIGITS - ln_weight(x)).max(i32::from(x.scale)))
}

fn logarithm(base: Decimal, x: Decimal) -> Result<Decimal> {
    if base.is_nan() || x.is_nan() {
        return Ok(Decimal::NAN);
    }
    for number in [base, x] {
        if number.sign() <= 0 {
            return Err(no_logarithm(number.sign() == 0));
        }
    }
    match (base.is_finite(), x.is_finite()) {
        (false, false) => return Ok(Decimal::NAN),
        (false, true) => return Ok(Decimal::new(0, 0)),
        (true, false) => return Ok(Decimal::INFINITY),
        (true, true) => {}
    }
    let scale = DIGITS - (ln_weight(x) - ln_weight(base));
    let below = ln(base);
    if below.sign() == Sign::NoSign {
        return Err(Error::new("22012", "division by zero"));
    }
    rounded(&over(&ln(x), &below), 0, scale.max(i32::from(base.scale)).max(i32::from(x.scale)))
}

/// What a power is where a side is no finite number.
fn special_power(base: Decimal, exponent: Decimal) -> Result<Decimal> {
    let (zero, one) = (Decimal::new(0, 0), Decimal::new(1, 0));
    if exponent == zero || base == one {
        return Ok(one);
    }
    if base.is_nan() || exponent.is_nan() {
        return Ok(Decimal::NAN);
    }
    if !exponent.is_finite() {
        check_power(base == zero, false, exponent.sign() < 0)?;
        return Ok(match base.absolute().cmp(&one) {
            std::cmp::Ordering::Equal => one,
            size if size.is_gt() == (exponent.sign() > 0) => Decimal::INFINITY,
            _ => zero,
        });
    }
    let whole = exponent.rescale_exact(0);
    check_power(false, base.sign() < 0 && whole.is_none(), false)?;
    let odd = whole.is_some_and(|whole| big(whole.unscaled).bit(0));
    Ok(match exponent.sign() {
        -1 => zero,
        _ if base.sign() < 0 && odd => Decimal::NEG_INFINITY,
        _ => Decimal::INFINITY,
    })
}

fn power(base: Decimal, exponent: Decimal) -> Result<Decimal> {
    if !base.is_finite() || !exponent.is_finite() {
        return special_power(base, exponent);
    }
    let whole = exponent.rescale_exact(0);
    check_power(base.sign() == 0, base.sign() < 0 && whole.is_none(), exponent.sign() < 0)?;
    let own_scale = i32::from(base.scale);
    if let Some(n) = whole.and_then(Decimal::to_i64).and_then(|n| i32::try_from(n).ok()) {
        let scale = DIGITS.max(own_scale);
        if let Some(value) = whole_power(base, n, scale) {
            return value;
        }
        if base.sign() == 0 {
            return Ok(Decimal::new(0, scale.min(i32::from(DIGITS_AFTER)) as i8));
        }
        let (m, tens) = raised(base, exponent)?;
        return rounded(&if base.sign() < 0 && n % 2 != 0 { -m } else { m }, tens, scale);
    }
    if base.sign() == 0 {
        return Ok(Decimal::new(0, DIGITS as i8));
    }
    let weight = exponent.to_f64() * base.to_f64().abs().ln() * std::f64::consts::LOG10_E;
    let weight = weight.clamp(-1000.0, 1000.0) as i32;
    let scale = (DIGITS - weight).max(own_scale).max(i32::from(exponent.scale)).max(0);
    let (m, tens) = raised(base, exponent)?;
    let odd = whole.is_some_and(|whole| big(whole.unscaled).bit(0));
    rounded(&if base.sign() < 0 && odd { -m } else { m }, tens, scale)
}

/// |base|^exponent by its logarithm.
fn raised(base: Decimal, exponent: Decimal) -> Result<(BigInt, i32)> {
    let size = exponent.to_f64() * base.to_f64().abs().log10();
    if size > DIGITS_MOST {
        return Err(overflow());
    }
    if size < -DIGITS_MOST {
        return Ok((BigInt::ZERO, 0));
    }
    Ok(exp(&times(&ln(base.absolute()), &fixed(exponent))))
}

/// base^n exactly, then rounded; `None` where that takes too many digits.
fn whole_power(base: Decimal, n: i32, scale: i32) -> Option<Result<Decimal>> {
    let scale = scale.min(i32::from(DIGITS_AFTER));
    let digits = big(base.unscaled);
    let one = digits.magnitude().bits() <= 1;
    let count =
        if one && base.scale == 0 { n.unsigned_abs() % 2 + 2 * u32::from(n != 0) } else { n.unsigned_abs() };
    if u64::from(count) * digits.bits().max(1) > 4096
        || u64::from(count) * u64::from(base.scale.unsigned_abs()) > 2048
    {
        return None;
    }
    let power = digits.pow(count);
    let places = i32::try_from(count).ok()? * i32::from(base.scale);
    // digits · 10^-places, or its inverse.
    let (top, bottom, shift) = match n < 0 {
        true => (BigInt::from(1), power, places + scale),
        false => (power, BigInt::from(1), scale - places),
    };
    let (top, bottom) = match u32::try_from(shift) {
        Ok(up) => (top * big_ten_to(up), bottom),
        Err(_) => (top, bottom * big_ten_to(shift.unsigned_abs())),
    };
    Some(Decimal::of_big(&divide_big(&top, &bottom), scale).map_err(Error::from))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn digits_are_postgresqls() {
        let text = |value: Result<Decimal>| value.unwrap().to_string();
        assert_eq!(text(exponential(number("1.0"))), "2.7182818284590452");
        assert_eq!(text(exponential(number("50.0"))), "5184705528587072464087.5");
        assert_eq!(text(natural(number("2.0"))), "0.6931471805599453");
        assert_eq!(text(logarithm(number("2.0"), number("64.0"))), "6.0000000000000000");
        assert_eq!(text(power(number("2.0"), number("0.5"))), "1.4142135623730950");
        assert_eq!(text(power(number("9.0"), number("3.0"))), "729.0000000000000000");
        assert_eq!(text(power(number("2"), number("-2"))), "0.2500000000000000");
        assert_eq!(text(power(number("Infinity"), number("-2"))), "0");
        assert_eq!(text(power(number("NaN"), number("0"))), "1");
    }
}
