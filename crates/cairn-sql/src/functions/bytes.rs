//! Functions of BYTEA.

use std::sync::Arc;

use cairn_types::{DataType as T, Value};
use datafusion::functions::{string, unicode};
use datafusion::logical_expr::ScalarUDF;
use md5::{Digest, Md5};

use super::overload::{Args, Code, Kind, Overload, Returns, function, is, type_name};
use super::{bits, missing};
use crate::{Error, Result};

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let bytes = || is(T::Bytea);
    let text = || is(T::Text);
    let of = |takes: Vec<Kind>, result: T, code: Code| Overload::new(takes, Returns::Is(result), code);
    let both = |name: &'static str, native: Arc<ScalarUDF>, on_text: Code, on_bytes: Code| {
        function(
            name,
            vec![
                of(vec![text()], T::Integer, on_text).native(native),
                of(vec![bytes()], T::Integer, on_bytes),
            ]
            .into_iter()
            .chain(bits::overloads(name))
            .collect(),
        )
    };
    let trim = |name: &'static str, native: Arc<ScalarUDF>, on_text: Code, on_bytes: Code| {
        function(
            name,
            vec![
                of(vec![text(), text()], T::Text, on_text).optional(1).native(native),
                of(vec![bytes(), bytes()], T::Bytea, on_bytes),
            ],
        )
    };
    vec![
        both(
            "bit_length",
            string::bit_length(),
            |a| count(a.text(0)?.len() * 8),
            |a| count(a.bytes(0)?.len() * 8),
        ),
        function("octet_length", {
            let of_its_own = [
                of(vec![text()], T::Integer, |a| count(a.text(0)?.len())).native(string::octet_length()),
                of(vec![bytes()], T::Integer, |a| count(a.bytes(0)?.len())),
            ];
            let any = [
                // CHAR(n) with the blanks that fill it up.
                of(vec![Kind::Any], T::Integer, |a| match (&a.values[0], &a.types[0]) {
                    (Value::Text(text), T::Char(_)) => count(text.len()),
                    (_, other) => Err(missing::error("octet_length", &[type_name(other)])),
                }),
            ];
            // Of those that fit as well the first is taken.
            of_its_own.into_iter().chain(bits::overloads("octet_length")).chain(any).collect()
        }),
        function(
            "length",
            vec![
                of(vec![text()], T::Integer, |a| count(a.text(0)?.chars().count()))
                    .native(unicode::character_length()),
                of(vec![bytes()], T::Integer, |a| count(a.bytes(0)?.len())),
                of(vec![bytes(), text()], T::Integer, |a| {
                    count(decoded(a.bytes(0)?, a.text(1)?)?.chars().count())
                }),
            ]
            .into_iter()
            .chain(bits::overloads("length"))
            .collect(),
        ),
        trim("btrim", string::btrim(), |a| trimmed(a, true, true), |a| trimmed_bytes(a, true, true)),
        trim("ltrim", string::ltrim(), |a| trimmed(a, true, false), |a| trimmed_bytes(a, true, false)),
        trim("rtrim", string::rtrim(), |a| trimmed(a, false, true), |a| trimmed_bytes(a, false, true)),
        function(
            "strpos",
            vec![
                of(vec![text(), text()], T::Integer, |a| {
                    let (text, part) = (a.text(0)?, a.text(1)?);
                    count(text.find(part).map_or(0, |at| text[..at].chars().count() + 1))
                })
                .native(unicode::strpos()),
                of(vec![bytes(), bytes()], T::Integer, |a| {
                    let (all, part) = (a.bytes(0)?, a.bytes(1)?);
                    let found =
                        (0..=all.len().saturating_sub(part.len())).find(|at| all[*at..].starts_with(part));
                    count(found.map_or(0, |at| at + 1))
                }),
            ]
            .into_iter()
            .chain(bits::overloads("strpos"))
            .collect(),
        ),
        function(
            "md5",
            vec![
                of(vec![text()], T::Text, |args| Ok(digest(args.text(0)?.as_bytes()))),
                of(vec![bytes()], T::Text, |args| Ok(digest(args.bytes(0)?))),
            ],
        ),
        function(
            "substr",
            vec![
                of(vec![text(), is(T::BigInt)], T::Text, part_of_text).native(unicode::substr()),
                of(vec![text(), is(T::BigInt), is(T::BigInt)], T::Text, part_of_text)
                    .native(unicode::substr()),
                of(vec![bytes(), is(T::BigInt), is(T::BigInt)], T::Bytea, |a| {
                    let all = a.bytes(0)?;
                    Ok(Value::Bytea(all[part(a, all.len())?].to_vec()))
                })
                .optional(1),
            ]
            .into_iter()
            .chain(bits::overloads("substr"))
            .collect(),
        ),
        function(
            "bit_count",
            std::iter::once(of(vec![bytes()], T::BigInt, |a| {
                Ok(Value::BigInt(a.bytes(0)?.iter().map(|b| i64::from(b.count_ones())).sum()))
            }))
            .chain(bits::overloads("bit_count"))
            .collect(),
        ),
        function(
            "get_bit",
            std::iter::once(of(vec![bytes(), is(T::BigInt)], T::Integer, |a| {
                let (at, bit) = bit(a)?;
                Ok(Value::Integer(i32::from(a.bytes(0)?[at] >> bit & 1)))
            }))
            .chain(bits::overloads("get_bit"))
            .collect(),
        ),
        function(
            "set_bit",
            std::iter::once(of(vec![bytes(), is(T::BigInt), is(T::Integer)], T::Bytea, set_bit))
                .chain(bits::overloads("set_bit"))
                .collect(),
        ),
        function(
            "get_byte",
            vec![of(vec![bytes(), is(T::Integer)], T::Integer, |a| {
                let at = index(a.int(1)?, a.bytes(0)?.len())?;
                Ok(Value::Integer(i32::from(a.bytes(0)?[at])))
            })],
        ),
        function(
            "set_byte",
            vec![of(vec![bytes(), is(T::Integer), is(T::Integer)], T::Bytea, |a| {
                let mut out = a.bytes(0)?.to_vec();
                let at = index(a.int(1)?, out.len())?;
                out[at] = a.int(2)? as u8;
                Ok(Value::Bytea(out))
            })],
        ),
        function("encode", vec![of(vec![bytes(), text()], T::Text, encode)]),
        function("decode", vec![of(vec![text(), text()], T::Bytea, decode)]),
        function(
            "convert_from",
            vec![of(vec![bytes(), text()], T::Text, |a| decoded(a.bytes(0)?, a.text(1)?).map(Value::Text))],
        ),
        function(
            "convert_to",
            vec![of(vec![text(), text()], T::Bytea, |a| encoded(a.text(0)?, a.text(1)?).map(Value::Bytea))],
        ),
        function(
            "convert",
            vec![of(vec![bytes(), text(), text()], T::Bytea, |a| {
                encoded(&decoded(a.bytes(0)?, a.text(1)?)?, a.text(2)?).map(Value::Bytea)
            })],
        ),
    ]
}

fn count(n: usize) -> Result<Value> {
    i32::try_from(n).map(Value::Integer).map_err(|_| Error::new("22003", "integer out of range"))
}

fn trimmed(args: &Args<'_>, left: bool, right: bool) -> Result<Value> {
    let (mut text, characters) = (args.text(0)?, args.text_or(1, " ")?);
    let among = |c: char| characters.contains(c);
    if left {
        text = text.trim_start_matches(among);
    }
    if right {
        text = text.trim_end_matches(among);
    }
    Ok(Value::Text(text.to_owned()))
}

fn trimmed_bytes(args: &Args<'_>, left: bool, right: bool) -> Result<Value> {
    let (mut bytes, among) = (args.bytes(0)?, args.bytes(1)?);
    while let (true, [first, rest @ ..]) = (left, bytes)
        && among.contains(first)
    {
        bytes = rest;
    }
    while let (true, [rest @ .., last]) = (right, bytes)
        && among.contains(last)
    {
        bytes = rest;
    }
    Ok(Value::Bytea(bytes.to_vec()))
}

fn index(at: i64, length: usize) -> Result<usize> {
    let wrong = || Error::new("2202E", format!("index {at} out of valid range, 0..{}", length as i64 - 1));
    usize::try_from(at).ok().filter(|at| *at < length).ok_or_else(wrong)
}

/// The byte and the bit in it.
fn bit(args: &Args<'_>) -> Result<(usize, usize)> {
    let at = index(args.int(1)?, args.bytes(0)?.len() * 8)?;
    Ok((at / 8, at % 8))
}

fn set_bit(args: &Args<'_>) -> Result<Value> {
    let (at, bit) = bit(args)?;
    let mut out = args.bytes(0)?.to_vec();
    match args.int(2)? {
        0 => out[at] &= !(1 << bit),
        1 => out[at] |= 1 << bit,
        _ => return Err(Error::new("22023", "new bit must be 0 or 1")),
    }
    Ok(Value::Bytea(out))
}

fn unknown_encoding(name: &str) -> Error {
    Error::new("22023", format!("unrecognized encoding: \"{name}\""))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(args: &Args<'_>) -> Result<Value> {
    let bytes = args.bytes(0)?;
    let mut out = String::new();
    match args.text(1)?.to_ascii_lowercase().as_str() {
        "hex" => bytes.iter().for_each(|b| out.push_str(&format!("{b:02x}"))),
        "base64" => {
            for (at, chunk) in bytes.chunks(3).enumerate() {
                // Lines of 76 characters.
                if at > 0 && at % 19 == 0 {
                    out.push('\n');
                }
                let word =
                    chunk.iter().fold(0u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
                for part in 0..4 {
                    match part <= chunk.len() {
                        true => out.push(char::from(BASE64[(word >> (18 - 6 * part) & 63) as usize])),
                        false => out.push('='),
                    }
                }
            }
        }
        "escape" => {
            for b in bytes {
                match b {
                    0 | 128.. => out.push_str(&format!("\\{b:03o}")),
                    b'\\' => out.push_str("\\\\"),
                    b => out.push(char::from(*b)),
                }
            }
        }
        _ => return Err(unknown_encoding(args.text(1)?)),
    }
    Ok(Value::Text(out))
}

fn decode(args: &Args<'_>) -> Result<Value> {
    let text = args.text(0)?;
    Ok(Value::Bytea(match args.text(1)?.to_ascii_lowercase().as_str() {
        "hex" => decode_hex(text)?,
        "base64" => decode_base64(text)?,
        "escape" => match Value::parse_text(text, &T::Bytea)? {
            Value::Bytea(bytes) if !text.starts_with("\\x") => bytes,
            _ => return Err(Error::new("22P02", "invalid input syntax for type bytea")),
        },
        _ => return Err(unknown_encoding(args.text(1)?)),
    }))
}

fn decode_hex(text: &str) -> Result<Vec<u8>> {
    let mut digits = Vec::new();
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        let wrong = || Error::new("22023", format!("invalid hexadecimal digit: \"{c}\""));
        digits.push(c.to_digit(16).ok_or_else(wrong)? as u8);
    }
    if digits.len() % 2 == 1 {
        return Err(Error::new("22023", "invalid hexadecimal data: odd number of digits"));
    }
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let (mut out, mut word, mut count, mut ends) = (Vec::new(), 0u32, 0, 0);
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        let value = match BASE64.iter().position(|known| char::from(*known) == c) {
            Some(value) if ends == 0 => value as u32,
            None if c == '=' && count >= 2 => {
                ends += 1;
                0
            }
            None if c == '=' => {
                return Err(Error::new("22023", "unexpected \"=\" while decoding base64 sequence"));
            }
            _ => {
                return Err(Error::new(
                    "22023",
                    format!("invalid symbol \"{c}\" found while decoding base64 sequence"),
                ));
            }
        };
        word = word << 6 | value;
        count += 1;
        if count == 4 {
            out.extend(&word.to_be_bytes()[1..4 - ends.min(2)]);
            (word, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(Error::new("22023", "invalid base64 end sequence")
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

/// Whether a name means UTF-8 (`true`) or Latin 1.
///
/// # Errors
/// `0A000` for other encodings.
fn is_utf8(name: &str) -> Result<bool> {
    match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "unicode" => Ok(true),
        "latin1" | "iso88591" => Ok(false),
        "sqlascii" => Ok(true),
        _ => Err(Error::unsupported(format!("the encoding \"{name}\""))),
    }
}

fn decoded(bytes: &[u8], encoding: &str) -> Result<String> {
    if !is_utf8(encoding)? {
        return Ok(bytes.iter().map(|b| char::from(*b)).collect());
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let rest = &bytes[error.valid_up_to()..];
            let shown: Vec<String> = rest
                .iter()
                .take(error.error_len().unwrap_or(rest.len()))
                .map(|b| format!("0x{b:02x}"))
                .collect();
            let shown = shown.join(" ");
            Err(Error::new("22021", format!("invalid byte sequence for encoding \"UTF8\": {shown}")))
        }
    }
}

fn encoded(text: &str, encoding: &str) -> Result<Vec<u8>> {
    if is_utf8(encoding)? {
        return Ok(text.as_bytes().to_vec());
    }
    let one = |c: char| {
        u8::try_from(u32::from(c)).map_err(|_| {
            let mut bytes = [0; 4];
            let shown: Vec<String> = c.encode_utf8(&mut bytes).bytes().map(|b| format!("0x{b:02x}")).collect();
            Error::new(
                "22P05",
                format!(
                    "character with byte sequence {} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
                    shown.join(" ")
                ),
            )
        })
    };
    text.chars().map(one).collect()
}

/// Where `substr(x, from [, count])` begins and ends in what has `length` parts.
///
/// # Errors
/// `22011`.
pub(super) fn part(args: &Args<'_>, length: usize) -> Result<std::ops::Range<usize>> {
    let from = args.int(1)?;
    let end = match args.len() {
        2 => i64::MAX,
        _ if args.int(2)? < 0 => return Err(Error::new("22011", "negative substring length not allowed")),
        _ => from.saturating_add(args.int(2)?),
    };
    let place = |at: i64| usize::try_from(at.saturating_sub(1).max(0)).unwrap_or(usize::MAX).min(length);
    Ok(place(from)..place(end).max(place(from)))
}

fn part_of_text(args: &Args<'_>) -> Result<Value> {
    let all: Vec<char> = args.text(0)?.chars().collect();
    let range = part(args, all.len())?;
    Ok(Value::Text(all[range].iter().collect()))
}

/// MD5 in hexadecimal digits.
fn digest(bytes: &[u8]) -> Value {
    Value::Text(Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
