//! Functions of numbers that the query engine lacks or computes otherwise.

use std::cell::Cell;
use std::sync::Arc;

use cairn_types::{Coded, DataType as T, Decimal, Value};
use datafusion::functions::math;
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::overload::{Args, Code, Kind, Overload, Overloaded, Returns, function, is};
use crate::{Error, Result};

const MACADDR: T = T::Coded(Coded::MacAddr);
const MACADDR8: T = T::Coded(Coded::MacAddr8);

/// A hardware address with other bytes.
fn with_bytes(args: &Args<'_>, change: fn(usize, u8) -> u8) -> Result<Value> {
    match &args.values[0] {
        Value::Coded { ty, code } => {
            let code = code.iter().enumerate().map(|(at, byte)| change(at, *byte)).collect();
            Ok(Value::Coded { ty: ty.clone(), code })
        }
        _ => Err(Error::internal("no hardware address")),
    }
}

/// The maker's three bytes.
fn maker(args: &Args<'_>) -> Result<Value> {
    with_bytes(args, |at, byte| if at < 3 { byte } else { 0 })
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let numeric = || T::Numeric(None);
    let double = |code: Code| vec![Overload::new(vec![is(T::Double)], Returns::Is(T::Double), code)];
    let to_whole = |code: Code, float: Code, native: Arc<ScalarUDF>| {
        vec![
            Overload::new(vec![is(numeric())], Returns::Is(numeric()), code),
            Overload::new(vec![is(T::Double)], Returns::Is(T::Double), float).native(native),
        ]
    };
    let pair = |name: &'static str, ints: Code, decimals: Code| {
        function(
            name,
            vec![
                Overload::new(vec![is(T::Integer), is(T::Integer)], Returns::Is(T::Integer), ints),
                Overload::new(vec![is(T::BigInt), is(T::BigInt)], Returns::Is(T::BigInt), ints),
                Overload::new(vec![is(numeric()), is(numeric())], Returns::Is(numeric()), decimals),
            ],
        )
    };
    let volatile = |name, overloads| Overloaded::new(name, overloads, Volatility::Volatile);
    vec![
        function(
            "ceil",
            to_whole(|args| number(args.decimal(0)?.ceiling()), |args| float(args, f64::ceil), math::ceil()),
        ),
        function(
            "floor",
            to_whole(|args| number(args.decimal(0)?.floor()), |args| float(args, f64::floor), math::floor()),
        ),
        function(
            "sign",
            vec![
                Overload::new(vec![is(numeric())], Returns::Is(numeric()), |args| {
                    let own = args.decimal(0)?;
                    let sign = Decimal::new(i128::from(own.sign()), 0);
                    Ok(Value::Numeric(if own.is_nan() { own } else { sign }))
                }),
                Overload::new(vec![is(T::Double)], Returns::Is(T::Double), |args| {
                    let x = args.double(0)?;
                    // 0 of NaN, too.
                    Ok(Value::Double(f64::from(i8::from(x > 0.0) - i8::from(x < 0.0))))
                }),
            ],
        ),
        function(
            "div",
            vec![Overload::new(vec![is(numeric()), is(numeric())], Returns::Is(numeric()), |args| {
                number(args.decimal(0)?.whole_quotient(args.decimal(1)?))
            })],
        ),
        function(
            "macaddr8_set7bit",
            vec![Overload::new(vec![is(MACADDR8)], Returns::Is(MACADDR8), |args| {
                with_bytes(args, |at, byte| if at == 0 { byte | 2 } else { byte })
            })],
        ),
        function(
            "trunc",
            vec![
                Overload::new(vec![is(MACADDR)], Returns::Is(MACADDR), maker),
                Overload::new(vec![is(MACADDR8)], Returns::Is(MACADDR8), maker),
                Overload::new(vec![is(numeric())], Returns::Is(numeric()), cut),
                Overload::new(vec![is(T::Double)], Returns::Is(T::Double), |args| float(args, f64::trunc)),
                Overload::new(vec![is(numeric()), is(T::Integer)], Returns::Digits(1), cut),
            ],
        ),
        function(
            "round",
            vec![
                Overload::new(vec![is(numeric())], Returns::Is(numeric()), half),
                Overload::new(vec![is(T::Double)], Returns::Is(T::Double), |args| {
                    float(args, f64::round_ties_even)
                }),
                Overload::new(vec![is(numeric()), is(T::Integer)], Returns::Digits(1), half),
                // Integers are not to become floats by the last one.
                Overload::new(vec![is(T::BigInt), is(T::Integer)], Returns::Digits(1), half),
                Overload::new(vec![is(T::Integer), is(T::Integer)], Returns::Digits(1), half),
                Overload::new(vec![is(T::SmallInt), is(T::Integer)], Returns::Digits(1), half),
                // Not PostgreSQL's: there `avg` of integers is NUMERIC.
                Overload::new(vec![is(T::Double), is(T::Integer)], Returns::Is(T::Double), |args| {
                    let factor = 10f64.powi(args.int_or(1, 0)?.clamp(-300, 300) as i32);
                    let x = args.double(0)?;
                    let rounded = (x * factor).round() / factor;
                    Ok(Value::Double(if rounded.is_finite() { rounded } else { x }))
                }),
            ],
        ),
        function(
            "sqrt",
            vec![
                Overload::new(vec![is(T::Double)], Returns::Is(T::Double), |args| {
                    let x = args.double(0)?;
                    if x < 0.0 { Err(no_root()) } else { Ok(Value::Double(x.sqrt())) }
                }),
                Overload::new(vec![is(numeric())], Returns::Is(numeric()), |args| {
                    let own = args.decimal(0)?;
                    if own.sign() < 0 { Err(no_root()) } else { number(own.square_root()) }
                }),
            ],
        ),
        function(
            "scale",
            vec![Overload::new(vec![is(numeric())], Returns::Is(T::Integer), |args| {
                Ok(digits_of(args.decimal(0)?))
            })],
        ),
        function(
            "min_scale",
            vec![Overload::new(vec![is(numeric())], Returns::Is(T::Integer), |args| {
                Ok(digits_of(args.decimal(0)?.normalised()))
            })],
        ),
        function(
            "trim_scale",
            vec![Overload::new(vec![is(numeric())], Returns::Is(numeric()), |args| {
                Ok(Value::Numeric(args.decimal(0)?.normalised()))
            })],
        ),
        function("factorial", vec![Overload::new(vec![is(T::BigInt)], Returns::Is(numeric()), factorial)]),
        pair("gcd", integer_gcd, |args| number(args.decimal(0)?.common_divisor(args.decimal(1)?))),
        pair("lcm", integer_lcm, |args| {
            let (a, b) = (args.decimal(0)?, args.decimal(1)?);
            let divisor = a.common_divisor(b)?;
            if divisor.sign() == 0 || !divisor.is_finite() {
                return Ok(Value::Numeric(divisor));
            }
            let whole = a.whole_quotient(divisor)?.times(b)?.absolute();
            number(whole.rounded(i32::from(divisor.scale)))
        }),
        function(
            "width_bucket",
            vec![
                Overload::new(
                    vec![is(numeric()), is(numeric()), is(numeric()), is(T::Integer)],
                    Returns::Is(T::Integer),
                    |args| exact_bucket(args.decimal(0)?, args.decimal(1)?, args.decimal(2)?, args.int(3)?),
                ),
                Overload::new(
                    vec![is(T::Double), is(T::Double), is(T::Double), is(T::Integer)],
                    Returns::Is(T::Integer),
                    |args| bucket(args.double(0)?, args.double(1)?, args.double(2)?, args.int(3)?),
                ),
                Overload::new(vec![Kind::Element, Kind::Array], Returns::Is(T::Integer), |args| {
                    let bounds = args.array(1)?;
                    if bounds.iter().any(Value::is_null) {
                        return Err(Error::new("22004", "thresholds array must not contain NULLs"));
                    }
                    Ok(Value::Integer(bounds.partition_point(|bound| *bound <= args.values[0]) as i32))
                }),
            ],
        ),
        function("erf", double(|args| Ok(Value::Double(super::erf::erf(args.double(0)?))))),
        function("erfc", double(|args| Ok(Value::Double(super::erf::erfc(args.double(0)?))))),
        function(
            "acosh",
            double(|args| {
                let x = args.double(0)?;
                if x < 1.0 { Err(out_of_range()) } else { Ok(Value::Double(x.acosh())) }
            }),
        ),
        function(
            "atanh",
            double(|args| {
                let x = args.double(0)?;
                if x.abs() > 1.0 { Err(out_of_range()) } else { Ok(Value::Double(x.atanh())) }
            }),
        ),
        function("sind", double(|args| degrees(args, sind))),
        function("cosd", double(|args| degrees(args, |x| sind(x + 90.0)))),
        function("tand", double(|args| degrees(args, |x| sind(x) / sind(x + 90.0)))),
        function("cotd", double(|args| degrees(args, |x| sind(x + 90.0) / sind(x)))),
        function("asind", double(|args| inverse(args, |x| exact_degrees(x.asin())))),
        function("acosd", double(|args| inverse(args, |x| exact_degrees(x.acos())))),
        function("atand", double(|args| Ok(Value::Double(exact_degrees(args.double(0)?.atan()))))),
        function(
            "atan2d",
            vec![Overload::new(vec![is(T::Double), is(T::Double)], Returns::Is(T::Double), |args| {
                Ok(Value::Double(exact_degrees(args.double(0)?.atan2(args.double(1)?))))
            })],
        ),
        volatile(
            "setseed",
            vec![Overload::new(vec![is(T::Double)], Returns::Is(T::Text), |args| {
                let seed = args.double(0)?;
                if !(-1.0..=1.0).contains(&seed) {
                    return Err(Error::new(
                        "22023",
                        format!("setseed parameter {seed} is out of allowed range [-1,1]"),
                    ));
                }
                STATE.set(seed.to_bits() | 1);
                Ok(Value::Text(String::new()))
            })],
        )
        .into(),
        volatile(
            "random_normal",
            vec![
                Overload::new(vec![is(T::Double), is(T::Double)], Returns::Is(T::Double), |args| {
                    let mean = if args.len() > 0 { args.double(0)? } else { 0.0 };
                    let deviation = if args.len() > 1 { args.double(1)? } else { 1.0 };
                    let (u, v) = (1.0 - random(), random());
                    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
                    Ok(Value::Double(mean + deviation * normal))
                })
                .optional(2),
            ],
        )
        .into(),
        function("num_nulls", counting(|args| Ok(count(args, true)))),
        function("num_nonnulls", counting(|args| Ok(count(args, false)))),
    ]
}

/// A function of one argument or more.
fn counting(code: Code) -> Vec<Overload> {
    vec![Overload::new(vec![Kind::Any, Kind::Any], Returns::Is(T::Integer), code).variadic().with_nulls()]
}

pub(super) fn count(args: &Args<'_>, nulls: bool) -> Value {
    Value::Integer(args.values.iter().filter(|value| value.is_null() == nulls).count() as i32)
}

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// A random number from 0 to 1 (xorshift, seeded from the hasher's random keys).
pub(super) fn random() -> f64 {
    use std::hash::{BuildHasher, Hasher};
    STATE.with(|state| {
        let mut x = state.get();
        if x == 0 {
            x = std::collections::hash_map::RandomState::new().build_hasher().finish() | 1;
        }
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        (x >> 11) as f64 / (1u64 << 53) as f64
    })
}

fn out_of_range() -> Error {
    Error::new("22003", "input is out of range")
}

fn number(result: std::result::Result<Decimal, cairn_types::TypeError>) -> Result<Value> {
    Ok(Value::Numeric(result?))
}

/// Digits after the point; NULL of what is no finite number.
fn digits_of(number: Decimal) -> Value {
    if number.is_finite() { Value::Integer(i32::from(number.scale)) } else { Value::Null }
}

/// How many digits after the point the second argument asks for, none without it.
fn digits(args: &Args<'_>) -> Result<i32> {
    Ok(args.int_or(1, 0)?.clamp(-2000, 2000) as i32)
}

fn half(args: &Args<'_>) -> Result<Value> {
    number(args.decimal(0)?.rounded(digits(args)?))
}

fn cut(args: &Args<'_>) -> Result<Value> {
    number(args.decimal(0)?.truncated(digits(args)?))
}

fn float(args: &Args<'_>, code: fn(f64) -> f64) -> Result<Value> {
    Ok(Value::Double(code(args.double(0)?)))
}

fn no_root() -> Error {
    Error::new("2201F", "cannot take square root of a negative number")
}

fn factorial(args: &Args<'_>) -> Result<Value> {
    let n = args.int(0)?;
    if n < 0 {
        return Err(Error::new("22003", "factorial of a negative number is undefined"));
    }
    let product = (1..=i128::from(n)).try_fold(1i128, |product, k| product.checked_mul(k));
    let fits = product.filter(|product| *product < 10i128.pow(38));
    let overflow = || Error::new("22003", "value overflows numeric format");
    fits.map(|n| Value::Numeric(Decimal::new(n, 0))).ok_or_else(overflow)
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// An integer of the result's width.
fn integer(args: &Args<'_>, value: Option<i128>) -> Result<Value> {
    let range = || Error::new("22003", format!("{} out of range", args.result.base_name()));
    let value = value.ok_or_else(range)?;
    match args.result {
        T::BigInt => i64::try_from(value).map(Value::BigInt).map_err(|_| range()),
        _ => i32::try_from(value).map(Value::Integer).map_err(|_| range()),
    }
}

fn integer_gcd(args: &Args<'_>) -> Result<Value> {
    integer(args, Some(gcd(i128::from(args.int(0)?), i128::from(args.int(1)?))))
}

fn integer_lcm(args: &Args<'_>) -> Result<Value> {
    let (a, b) = (i128::from(args.int(0)?), i128::from(args.int(1)?));
    let divisor = gcd(a, b);
    integer(args, Some(if divisor == 0 { 0 } else { (a / divisor * b).abs() }))
}

fn bucket(operand: f64, low: f64, high: f64, count: i64) -> Result<Value> {
    let wrong = |message: &str| Err(Error::new("2201G", message));
    if count <= 0 {
        return wrong("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return wrong("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return wrong("lower and upper bounds must be finite");
    }
    if low == high {
        return wrong("lower bound cannot equal upper bound");
    }
    let share = (operand - low) / (high - low);
    let number = if share < 0.0 {
        0
    } else if share >= 1.0 {
        count + 1
    } else {
        (share * count as f64) as i64 + 1
    };
    i32::try_from(number).map(Value::Integer).map_err(|_| Error::new("22003", "integer out of range"))
}

/// The same of numbers, exactly.
fn exact_bucket(operand: Decimal, low: Decimal, high: Decimal, count: i64) -> Result<Value> {
    if count <= 0 || [operand, low, high].iter().any(|n| !n.is_finite()) || low == high {
        return bucket(operand.to_f64(), low.to_f64(), high.to_f64(), count);
    }
    let up = low < high;
    let number = if up && operand < low || !up && operand > low {
        0
    } else if up && operand >= high || !up && operand <= high {
        count + 1
    } else {
        let share = operand.minus(low)?.times(Decimal::from(count))?.whole_quotient(high.minus(low)?)?;
        share.to_i64().unwrap_or(count) + 1
    };
    i32::try_from(number).map(Value::Integer).map_err(|_| Error::new("22003", "integer out of range"))
}

fn degrees(args: &Args<'_>, code: fn(f64) -> f64) -> Result<Value> {
    let x = args.double(0)?;
    if x.is_infinite() { Err(out_of_range()) } else { Ok(Value::Double(code(x))) }
}

/// The sine of degrees, exact where it is 0, a half or 1.
fn sind(x: f64) -> f64 {
    let mut x = x % 360.0;
    let mut sign = 1.0;
    if x < 0.0 {
        (x, sign) = (-x, -1.0);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        x = 180.0 - x;
    }
    let value = match x {
        0.0 => return 0.0,
        30.0 => 0.5,
        90.0 => 1.0,
        x if x <= 30.0 => x.to_radians().sin() / 30f64.to_radians().sin() / 2.0,
        x => (90.0 - x).to_radians().cos(),
    };
    sign * value
}

fn inverse(args: &Args<'_>, code: fn(f64) -> f64) -> Result<Value> {
    let x = args.double(0)?;
    if !(-1.0..=1.0).contains(&x) && !x.is_nan() {
        return Err(out_of_range());
    }
    Ok(Value::Double(code(x)))
}

/// Radians as degrees, without the error of the last digit where a whole number is meant.
fn exact_degrees(radians: f64) -> f64 {
    let degrees = radians.to_degrees();
    let whole = degrees.round();
    if (degrees - whole).abs() < 1e-12 { whole } else { degrees }
}
