//! BIT and BIT VARYING: operators and functions.

use cairn_types::codes::Bits;
use cairn_types::{Coded, DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::overload::{Args, Code, Overload, Returns, is, operator};
use crate::{Error, Result};

const BIT: T = T::Coded(Coded::Bit(None));
const VARBIT: T = T::Coded(Coded::VarBit(None));

/// Registers the operators.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let two = |second: &T, code: Code| {
        let takes = |own: T| vec![is(own.clone()), is(if *second == BIT { own } else { second.clone() })];
        [BIT, VARBIT].map(|own| Overload::new(takes(own), Returns::Is(BIT), code)).to_vec()
    };
    vec![
        operator("cairn_bit_and", "&", two(&BIT, |args| joined(args, "AND", |a, b| a & b))),
        operator("cairn_bit_or", "|", two(&BIT, |args| joined(args, "OR", |a, b| a | b))),
        operator("cairn_bit_xor", "#", two(&BIT, |args| joined(args, "XOR", |a, b| a ^ b))),
        operator(
            "cairn_bit_shift_left",
            "<<",
            two(&T::Integer, |args| value(bits(args, 0)?.shifted(args.int(1)?))),
        ),
        operator(
            "cairn_bit_shift_right",
            ">>",
            two(&T::Integer, |args| value(bits(args, 0)?.shifted(-args.int(1)?))),
        ),
        operator(
            "cairn_bit_not",
            "~",
            [BIT, VARBIT]
                .map(|own| {
                    Overload::new(vec![is(own)], Returns::Is(BIT), |args| {
                        value(Bits::from_iter(bits(args, 0)?.iter().map(|bit| !bit)))
                    })
                })
                .to_vec(),
        ),
        operator(
            "cairn_bit_concat",
            "||",
            vec![Overload::new(vec![is(VARBIT), is(VARBIT)], Returns::Is(VARBIT), |args| {
                let (a, b) = (bits(args, 0)?, bits(args, 1)?);
                let joined = Bits::from_iter(a.iter().chain(b.iter()));
                Ok(Value::Coded { ty: Coded::VarBit(None), code: joined.to_code() })
            })],
        ),
    ]
}

/// Overloads for bit strings of functions that there are for text or bytes too.
pub(super) fn overloads(name: &str) -> Vec<Overload> {
    let one = |code: Code| {
        [BIT, VARBIT].map(|own| Overload::new(vec![is(own)], Returns::Is(T::Integer), code)).to_vec()
    };
    match name {
        "length" | "bit_length" => one(|args| Ok(Value::Integer(bits(args, 0)?.len() as i32))),
        "octet_length" => one(|args| Ok(Value::Integer(bits(args, 0)?.len().div_ceil(8) as i32))),
        "bit_count" => [BIT, VARBIT]
            .map(|own| {
                Overload::new(vec![is(own)], Returns::Is(T::BigInt), |args| {
                    Ok(Value::BigInt(bits(args, 0)?.iter().filter(|bit| *bit).count() as i64))
                })
            })
            .to_vec(),
        "get_bit" => [BIT, VARBIT]
            .map(|own| Overload::new(vec![is(own), is(T::Integer)], Returns::Is(T::Integer), get))
            .to_vec(),
        "substr" => [BIT, VARBIT]
            .map(|own| {
                let takes = vec![is(own), is(T::BigInt), is(T::BigInt)];
                Overload::new(takes, Returns::Is(BIT), |args| {
                    let own = bits(args, 0)?;
                    let range = super::bytes::part(args, own.len())?;
                    value(Bits::from_iter(own.iter().skip(range.start).take(range.len())))
                })
                .optional(1)
            })
            .to_vec(),
        "strpos" => [BIT, VARBIT]
            .map(|own| {
                Overload::new(vec![is(own.clone()), is(own)], Returns::Is(T::Integer), |args| {
                    let all: Vec<bool> = bits(args, 0)?.iter().collect();
                    let wanted: Vec<bool> = bits(args, 1)?.iter().collect();
                    let last = all.len().checked_sub(wanted.len().max(1)).map(|_| all.len() - wanted.len());
                    let found = last.and_then(|last| (0..=last).find(|at| all[*at..].starts_with(&wanted)));
                    Ok(Value::Integer(found.map_or(0, |at| at as i32 + 1)))
                })
            })
            .to_vec(),
        "overlay" => [BIT, VARBIT]
            .map(|own| {
                let takes = vec![is(own.clone()), is(own), is(T::Integer), is(T::Integer)];
                Overload::new(takes, Returns::Is(BIT), overlay).optional(1)
            })
            .to_vec(),
        "set_bit" => [BIT, VARBIT]
            .map(|own| Overload::new(vec![is(own), is(T::Integer), is(T::Integer)], Returns::Is(BIT), set))
            .to_vec(),
        _ => Vec::new(),
    }
}

fn overlay(args: &Args<'_>) -> Result<Value> {
    let all: Vec<bool> = bits(args, 0)?.iter().collect();
    let new: Vec<bool> = bits(args, 1)?.iter().collect();
    let (from, count) = (args.int(2)?, args.int_or(3, new.len() as i64)?);
    if from < 1 || count < 0 {
        return Err(Error::new("22011", "negative substring length not allowed"));
    }
    let start = usize::try_from(from - 1).unwrap_or(usize::MAX).min(all.len());
    let end = start.saturating_add(usize::try_from(count).unwrap_or(usize::MAX)).min(all.len());
    value(Bits::from_iter(all[..start].iter().chain(&new).chain(&all[end..]).copied()))
}

fn bits(args: &Args<'_>, at: usize) -> Result<Bits> {
    match &args.values[at] {
        Value::Coded { code, .. } => {
            Bits::from_code(code).ok_or_else(|| Error::new("XX001", "the code of a bit string is damaged"))
        }
        _ => Err(Error::internal("no bit string")),
    }
}

fn value(bits: Bits) -> Result<Value> {
    Ok(Value::Coded { ty: Coded::Bit(None), code: bits.to_code() })
}

fn joined(args: &Args<'_>, verb: &str, code: fn(bool, bool) -> bool) -> Result<Value> {
    let (a, b) = (bits(args, 0)?, bits(args, 1)?);
    if a.len() != b.len() {
        return Err(Error::new("22026", format!("cannot {verb} bit strings of different sizes")));
    }
    value(Bits::from_iter(a.iter().zip(b.iter()).map(|(a, b)| code(a, b))))
}

fn place(own: &Bits, at: i64) -> Result<usize> {
    let place = usize::try_from(at).ok().filter(|at| *at < own.len());
    place.ok_or_else(|| {
        let last = own.len() as i64 - 1;
        Error::new("2202E", format!("bit index {at} out of valid range (0..{last})"))
    })
}

fn get(args: &Args<'_>) -> Result<Value> {
    let own = bits(args, 0)?;
    let at = place(&own, args.int(1)?)?;
    Ok(Value::Integer(i32::from(own.get(at).unwrap_or(false))))
}

fn set(args: &Args<'_>) -> Result<Value> {
    let own = bits(args, 0)?;
    let (at, new) = (place(&own, args.int(1)?)?, args.int(2)?);
    if !(0..=1).contains(&new) {
        return Err(Error::new("22023", "new bit must be 0 or 1"));
    }
    value(Bits::from_iter(own.iter().enumerate().map(|(n, bit)| if n == at { new == 1 } else { bit })))
}

/// An explicit cast between bit strings, and between them and integers; `None` for any other.
///
/// # Errors
/// `22003`.
pub(super) fn cast(value: &Value, source: &T, ty: &T) -> Result<Option<Value>> {
    let coded = |bits: Bits, to: &Coded| Value::Coded { ty: to.clone(), code: bits.to_code() };
    Ok(match (value, ty) {
        (Value::Coded { ty: Coded::Bit(_) | Coded::VarBit(_), code }, to) => {
            let own = Bits::from_code(code).unwrap_or_default();
            match to {
                T::Coded(to @ Coded::Bit(Some(n))) => Some(coded(own.resized(*n as usize), to)),
                T::Coded(to @ Coded::VarBit(Some(n))) => {
                    Some(coded(own.resized(own.len().min(*n as usize)), to))
                }
                T::Coded(to @ (Coded::Bit(None) | Coded::VarBit(None))) => Some(coded(own, to)),
                T::Integer => {
                    let n = own.to_integer(32).and_then(|n| i32::try_from(n).ok());
                    Some(Value::Integer(n.ok_or_else(|| Error::new("22003", "integer out of range"))?))
                }
                T::BigInt => {
                    let n = own.to_integer(64);
                    Some(Value::BigInt(n.ok_or_else(|| Error::new("22003", "bigint out of range"))?))
                }
                _ => None,
            }
        }
        (value, T::Coded(to @ Coded::Bit(n))) if matches!(source, T::SmallInt | T::Integer | T::BigInt) => {
            let length = n.unwrap_or(1) as usize;
            value.as_i64().map(|own| coded(Bits::of_integer(own, length), to))
        }
        _ => None,
    })
}
