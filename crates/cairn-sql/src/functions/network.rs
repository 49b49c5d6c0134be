//! INET and CIDR: operators and functions.

use cairn_types::codes::Network;
use cairn_types::{Coded, DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::overload::{Args, Code, Overload, Returns, function, is, operator};
use crate::{Error, Result};

const INET: T = T::Coded(Coded::Inet);
const CIDR: T = T::Coded(Coded::Cidr);

/// A MACADDR as MACADDR8, or the other way round.
///
/// # Errors
/// `22003` for a MACADDR8 without `ff:fe` in its middle.
pub(super) fn resized(code: Vec<u8>, to: &Coded) -> Result<Vec<u8>> {
    match (to, code.as_slice()) {
        (Coded::MacAddr8, [a, b, c, d, e, f]) => Ok(vec![*a, *b, *c, 0xFF, 0xFE, *d, *e, *f]),
        (Coded::MacAddr, [a, b, c, 0xFF, 0xFE, d, e, f]) => Ok(vec![*a, *b, *c, *d, *e, *f]),
        (Coded::MacAddr, [_, _, _, _, _, _, _, _]) => {
            Err(Error::new("22003", "macaddr8 data out of range to convert to macaddr").with_hint(
                "Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, for example \
                 xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to macaddr.",
            ))
        }
        _ => Ok(code),
    }
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let one = |result: T, code: Code| vec![Overload::new(vec![is(INET)], Returns::Is(result), code)];
    let two = |second: T, result: T, code: Code| {
        vec![Overload::new(vec![is(INET), is(second)], Returns::Is(result), code)]
    };
    let test = |code: Code| two(INET, T::Boolean, code);
    let mut minus = two(INET, T::BigInt, difference);
    minus.extend(two(T::BigInt, INET, |args| shifted(args, 0, -i128::from(args.int(1)?))));
    vec![
        operator(
            "cairn_inet_within",
            "<<",
            test(|args| relation(args, |a, b| b.contains(a) && b.bits() < a.bits())),
        ),
        operator("cairn_inet_within_eq", "<<=", test(|args| relation(args, |a, b| b.contains(a)))),
        operator(
            "cairn_inet_holds",
            ">>",
            test(|args| relation(args, |a, b| a.contains(b) && a.bits() < b.bits())),
        ),
        operator("cairn_inet_holds_eq", ">>=", test(|args| relation(args, Network::contains))),
        operator(
            "cairn_inet_overlaps",
            "&&",
            test(|args| relation(args, |a, b| a.contains(b) || b.contains(a))),
        ),
        operator("cairn_inet_not", "~", one(INET, |args| bitwise(args, |a, _| !a))),
        operator("cairn_inet_and", "&", two(INET, INET, |args| bitwise(args, |a, b| a & b))),
        operator("cairn_inet_or", "|", two(INET, INET, |args| bitwise(args, |a, b| a | b))),
        operator(
            "cairn_inet_plus",
            "+",
            two(T::BigInt, INET, |args| shifted(args, 0, i128::from(args.int(1)?))),
        ),
        operator("cairn_inet_minus", "-", minus),
        function("abbrev", {
            let mut all = one(T::Text, |args| Ok(Value::Text(args.as_text(0)?)));
            all.push(Overload::new(vec![is(CIDR)], Returns::Is(T::Text), |args| {
                Ok(Value::Text(abbreviated(&network(args, 0)?)))
            }));
            all
        }),
        function(
            "text",
            one(T::Text, |args| {
                let mut text = String::new();
                network(args, 0)?.write(true, &mut text);
                Ok(Value::Text(text))
            }),
        ),
        function("broadcast", one(INET, |args| inet(network(args, 0)?.broadcast()))),
        function("family", one(T::Integer, |args| Ok(Value::Integer(network(args, 0)?.family())))),
        function(
            "host",
            one(T::Text, |args| {
                let mut text = String::new();
                network(args, 0)?.write_address(&mut text);
                Ok(Value::Text(text))
            }),
        ),
        function("hostmask", one(INET, |args| inet(network(args, 0)?.hostmask()))),
        function("inet_merge", two(INET, CIDR, merged)),
        function("inet_same_family", test(|args| relation(args, |a, b| a.family() == b.family()))),
        function("masklen", one(T::Integer, |args| Ok(Value::Integer(i32::from(network(args, 0)?.bits()))))),
        function("netmask", one(INET, |args| inet(network(args, 0)?.netmask()))),
        function("network", one(CIDR, |args| cidr(network(args, 0)?.network()))),
        function("set_masklen", {
            let mut all = two(T::Integer, INET, |args| inet(with_length(args)?));
            all.push(Overload::new(vec![is(CIDR), is(T::Integer)], Returns::Is(CIDR), |args| {
                cidr(with_length(args)?.network())
            }));
            all
        }),
    ]
}

fn network(args: &Args<'_>, at: usize) -> Result<Network> {
    match &args.values[at] {
        Value::Coded { code, .. } => {
            Network::from_code(code).ok_or_else(|| Error::new("XX001", "the code of an address is damaged"))
        }
        _ => Err(Error::internal("no address")),
    }
}

fn inet(network: Network) -> Result<Value> {
    Ok(Value::Coded { ty: Coded::Inet, code: network.to_code() })
}

fn cidr(network: Network) -> Result<Value> {
    Ok(Value::Coded { ty: Coded::Cidr, code: network.to_code() })
}

fn relation(args: &Args<'_>, code: fn(&Network, &Network) -> bool) -> Result<Value> {
    Ok(Value::Boolean(code(&network(args, 0)?, &network(args, 1)?)))
}

/// Byte by byte.
fn bitwise(args: &Args<'_>, code: fn(u8, u8) -> u8) -> Result<Value> {
    let first = network(args, 0)?;
    let second = if args.len() > 1 { network(args, 1)? } else { first.clone() };
    if first.family() != second.family() {
        let verb = if code(1, 0) == 0 { "AND" } else { "OR" };
        return Err(Error::new("22023", format!("cannot {verb} inet values of different sizes")));
    }
    let bytes = first.bytes().iter().zip(second.bytes()).map(|(a, b)| code(*a, *b)).collect();
    let bits = first.bits().max(second.bits());
    inet(Network::new(bytes, bits).ok_or_else(|| Error::internal("no address"))?)
}

fn shifted(args: &Args<'_>, at: usize, by: i128) -> Result<Value> {
    let own = network(args, at)?;
    let number = own.number().checked_add_signed(by).and_then(|number| own.with_number(number));
    inet(number.ok_or_else(|| Error::new("22003", "result is out of range"))?)
}

fn difference(args: &Args<'_>) -> Result<Value> {
    let (a, b) = (network(args, 0)?, network(args, 1)?);
    if a.family() != b.family() {
        return Err(Error::new("22023", "cannot subtract inet values of different sizes"));
    }
    let difference = a.number().wrapping_sub(b.number()).cast_signed();
    let difference = i64::try_from(difference).map_err(|_| Error::new("22003", "result is out of range"))?;
    Ok(Value::BigInt(difference))
}

fn merged(args: &Args<'_>) -> Result<Value> {
    let merged = network(args, 0)?.merge(&network(args, 1)?);
    cidr(merged.ok_or_else(|| Error::new("22023", "cannot merge addresses from different families"))?)
}

fn with_length(args: &Args<'_>) -> Result<Network> {
    let (own, length) = (network(args, 0)?, args.int(1)?);
    let bits = if length == -1 { Some(own.bits_max()) } else { u8::try_from(length).ok() };
    let changed = bits.and_then(|bits| Network::new(own.bytes().to_vec(), bits));
    changed.ok_or_else(|| Error::new("22023", format!("invalid mask length: {length}")))
}

/// A network without the bytes that say nothing.
fn abbreviated(network: &Network) -> String {
    let mut text = String::new();
    if network.family() == 6 {
        network.write(true, &mut text);
        return text;
    }
    let shown = usize::from(network.bits()).div_ceil(8).max(1);
    let parts: Vec<String> = network.bytes()[..shown].iter().map(ToString::to_string).collect();
    format!("{}/{}", parts.join("."), network.bits())
}
