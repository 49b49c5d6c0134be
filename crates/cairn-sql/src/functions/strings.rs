//! Functions of text and of bytes, where the query engine lacks them or means something else.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::normal_form::{Form, normalized};
use super::overload::{Args, Code, Kind, Overload, Returns, function, is, stable};
use super::text::{quote_ident, quote_literal};
use crate::{Error, Result};

/// Bytes that a function makes, at most.
const BYTES_MAX: usize = 1 << 29;

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let text = || is(T::Text);
    let int = || is(T::Integer);
    let to = |takes: Vec<Kind>, result: T, code: Code| vec![Overload::new(takes, Returns::Is(result), code)];
    let list = || T::Array(Box::new(T::Text));
    vec![
        stable(
            "format",
            vec![
                Overload::new(vec![text(), Kind::Any], Returns::Is(T::Text), format).variadic().with_nulls(),
            ],
        ),
        function("chr", to(vec![int()], T::Text, chr)),
        function(
            "overlay",
            vec![
                Overload::new(vec![text(), text(), int(), int()], Returns::Is(T::Text), overlay).optional(1),
                Overload::new(
                    vec![is(T::Bytea), is(T::Bytea), int(), int()],
                    Returns::Is(T::Bytea),
                    overlay_bytes,
                )
                .optional(1),
            ]
            .into_iter()
            .chain(super::bits::overloads("overlay"))
            .collect(),
        ),
        function(
            "parse_ident",
            vec![Overload::new(vec![text(), is(T::Boolean)], Returns::Is(list()), parse_ident).optional(1)],
        ),
        function("getdatabaseencoding", to(vec![], T::Text, |_| Ok(Value::Text("UTF8".to_owned())))),
        function("pg_client_encoding", to(vec![], T::Text, |_| Ok(Value::Text("UTF8".to_owned())))),
        function("unistr", to(vec![text()], T::Text, unistr)),
        function(
            "to_hex",
            vec![
                Overload::new(vec![is(T::Integer)], Returns::Is(T::Text), |args| {
                    Ok(Value::Text(format!("{:x}", args.int(0)? as i32)))
                }),
                Overload::new(vec![is(T::BigInt)], Returns::Is(T::Text), |args| {
                    Ok(Value::Text(format!("{:x}", args.int(0)?)))
                }),
            ],
        ),
        function(
            "starts_with",
            to(vec![text(), text()], T::Boolean, |args| {
                Ok(Value::Boolean(args.text(0)?.starts_with(args.text(1)?)))
            }),
        ),
        function(
            "upper",
            to(vec![text()], T::Text, |args| {
                let one = |c: char| {
                    let mut upper = c.to_uppercase();
                    if upper.len() == 1 { upper.next().unwrap_or(c) } else { c }
                };
                Ok(Value::Text(args.text(0)?.chars().map(one).collect()))
            })
            .into_iter()
            .chain(super::range::bound_overloads(true))
            .collect(),
        ),
        function("split_part", to(vec![text(), text(), int()], T::Text, split_part)),
        stable(
            "quote_literal",
            vec![
                Overload::new(vec![text()], Returns::Is(T::Text), |args| {
                    Ok(Value::Text(quote_literal(args.text(0)?)))
                }),
                Overload::new(vec![Kind::Any], Returns::Is(T::Text), |args| {
                    Ok(Value::Text(quote_literal(&cast_text(args)?)))
                }),
            ],
        ),
        stable(
            "quote_nullable",
            vec![
                Overload::new(vec![Kind::Any], Returns::Is(T::Text), |args| {
                    Ok(Value::Text(match args.values[0] {
                        Value::Null => "NULL".to_owned(),
                        _ => quote_literal(&cast_text(args)?),
                    }))
                })
                .with_nulls(),
            ],
        ),
        function(
            "concat_ws",
            vec![
                Overload::new(vec![text(), Kind::Any], Returns::Is(T::Text), concat_ws)
                    .variadic()
                    .with_nulls(),
            ],
        ),
        function(
            "concat",
            vec![
                Overload::new(vec![Kind::Any, Kind::Any], Returns::Is(T::Text), concat)
                    .variadic()
                    .with_nulls(),
            ],
        ),
        function(
            "pg_size_pretty",
            vec![
                Overload::new(vec![is(T::BigInt)], Returns::Is(T::Text), |args| {
                    Ok(size_pretty(i128::from(args.int(0)?)))
                }),
                Overload::new(vec![is(T::Numeric(None))], Returns::Is(T::Text), |args| {
                    let number = args
                        .decimal(0)?
                        .rescale(0)
                        .and_then(cairn_types::Decimal::narrow)
                        .unwrap_or_default();
                    Ok(size_pretty(number))
                }),
            ],
        ),
        function("pg_size_bytes", to(vec![text()], T::BigInt, size_bytes)),
        stable(
            "cairn_json_key_text",
            vec![Overload::new(vec![Kind::Any], Returns::Is(T::Text), |args| {
                args.as_text(0).map(Value::Text)
            })],
        ),
        // PostgreSQL's, too, has it for other encodings only.
        function(
            "to_ascii",
            to(vec![text()], T::Text, |_| {
                Err(Error::new("0A000", "encoding conversion from UTF8 to ASCII not supported"))
            }),
        ),
        function(
            "normalize",
            vec![
                Overload::new(vec![text(), text()], Returns::Is(T::Text), |args| {
                    Ok(Value::Text(normalized(args.text(0)?, form(args)?)))
                })
                .optional(1),
            ],
        ),
        function(
            "cairn_is_normalized",
            vec![
                Overload::new(vec![text(), text()], Returns::Is(T::Boolean), |args| {
                    Ok(Value::Boolean(normalized(args.text(0)?, form(args)?) == args.text(0)?))
                })
                .optional(1),
            ],
        ),
    ]
}

fn form(args: &Args<'_>) -> Result<Form> {
    let name = args.text_or(1, "NFC")?;
    Form::parse(name)
        .ok_or_else(|| Error::new("22023", format!("invalid normalization form: {}", name.to_lowercase())))
}

/// A value in the text form that `concat` and `format` give it.
fn shown(args: &Args<'_>, at: usize) -> Result<String> {
    Ok(match &args.values[at] {
        Value::Boolean(b) => if *b { "t" } else { "f" }.to_owned(),
        _ => args.as_text(at)?,
    })
}

/// A value as a cast to TEXT gives it.
fn cast_text(args: &Args<'_>) -> Result<String> {
    match &args.values[0] {
        Value::Boolean(b) => Ok(b.to_string()),
        _ => args.as_text(0),
    }
}

pub(super) fn concat(args: &Args<'_>) -> Result<Value> {
    let mut out = String::new();
    for at in (0..args.len()).filter(|at| !args.values[*at].is_null()) {
        out.push_str(&shown(args, at)?);
    }
    Ok(Value::Text(out))
}

pub(super) fn concat_ws(args: &Args<'_>) -> Result<Value> {
    if args.values[0].is_null() {
        return Ok(Value::Null);
    }
    let parts = (1..args.len()).filter(|at| !args.values[*at].is_null());
    let parts: Vec<String> = parts.map(|at| shown(args, at)).collect::<Result<_>>()?;
    Ok(Value::Text(parts.join(args.text(0)?)))
}

/// One specifier of `format`: `%[position$][-][width]type`.
struct Specifier {
    position: Option<usize>,
    left: bool,
    width: Width,
    kind: char,
}

enum Width {
    None,
    Fixed(usize),
    /// From an argument, by its position or the next one.
    Argument(Option<usize>),
}

pub(super) fn format(args: &Args<'_>) -> Result<Value> {
    if args.values[0].is_null() {
        return Ok(Value::Null);
    }
    let template = args.text(0)?;
    let mut out = String::new();
    let mut next = 1;
    let mut rest = template;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let specifier;
        (specifier, rest) = specifier_of(rest)?;
        let (mut width, mut left) = (0, specifier.left);
        match specifier.width {
            Width::None => {}
            Width::Fixed(fixed) => width = fixed,
            Width::Argument(position) => {
                let at = argument(args, position, &mut next)?;
                let wanted = match &args.values[at] {
                    Value::Null => 0,
                    value => value.as_i64().unwrap_or_else(|| {
                        value.as_str().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
                    }),
                };
                left |= wanted < 0;
                width = wanted.unsigned_abs() as usize;
            }
        }
        let at = argument(args, specifier.position, &mut next)?;
        let piece = piece(args, at, specifier.kind)?;
        let padding = width.min(BYTES_MAX).saturating_sub(piece.chars().count());
        if !left {
            out.extend(std::iter::repeat_n(' ', padding));
        }
        out.push_str(&piece);
        if left {
            out.extend(std::iter::repeat_n(' ', padding));
        }
    }
    out.push_str(rest);
    Ok(Value::Text(out))
}

fn argument(args: &Args<'_>, position: Option<usize>, next: &mut usize) -> Result<usize> {
    let at = position.unwrap_or(*next);
    *next = at + 1;
    if at == 0 {
        return Err(Error::new("22023", "format specifies argument 0, but arguments are numbered from 1"));
    }
    if at >= args.len() { Err(Error::new("22023", "too few arguments for format()")) } else { Ok(at) }
}

fn piece(args: &Args<'_>, at: usize, kind: char) -> Result<String> {
    Ok(match (kind, &args.values[at]) {
        ('s', Value::Null) => String::new(),
        ('I', Value::Null) => {
            return Err(Error::new("22004", "null values cannot be formatted as an SQL identifier"));
        }
        ('L', Value::Null) => "NULL".to_owned(),
        ('I', _) => quote_ident(&shown(args, at)?),
        ('L', _) => quote_literal(&shown(args, at)?),
        _ => shown(args, at)?,
    })
}

fn specifier_of(text: &str) -> Result<(Specifier, &str)> {
    let unterminated = || {
        Error::new("22023", "unterminated format() type specifier")
            .with_hint("For a single \"%\" use \"%%\".")
    };
    let number = |text: &mut &str| -> Option<usize> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number = text[..end].parse().ok()?;
        *text = &text[end..];
        Some(number)
    };
    let mut rest = text;
    let mut specifier = Specifier { position: None, left: false, width: Width::None, kind: 's' };
    if let Some(first) = number(&mut rest) {
        match rest.strip_prefix('$') {
            Some(after) => {
                specifier.position = Some(first);
                rest = after;
            }
            None => specifier.width = Width::Fixed(first),
        }
    }
    while let Some(after) = rest.strip_prefix('-') {
        specifier.left = true;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('*') {
        rest = after;
        let position = number(&mut rest);
        if position.is_some() {
            rest = rest.strip_prefix('$').ok_or_else(unterminated)?;
        }
        specifier.width = Width::Argument(position);
    } else if let Some(width) = number(&mut rest) {
        specifier.width = Width::Fixed(width);
    }
    let kind = rest.chars().next().ok_or_else(unterminated)?;
    if !matches!(kind, 's' | 'I' | 'L') {
        return Err(Error::new("22023", format!("unrecognized format() type specifier \"{kind}\""))
            .with_hint("For a single \"%\" use \"%%\"."));
    }
    specifier.kind = kind;
    Ok((specifier, &rest[kind.len_utf8()..]))
}

fn chr(args: &Args<'_>) -> Result<Value> {
    match args.int(0)? {
        0 => Err(Error::new("54000", "null character not permitted")),
        n if n < 0 => Err(Error::new("22023", "character number must be positive")),
        n => match u32::try_from(n).ok().and_then(char::from_u32) {
            Some(c) => Ok(Value::Text(c.to_string())),
            None => Err(Error::new("54000", format!("requested character too large for encoding: {n}"))),
        },
    }
}

/// The bytes that the characters from `start`, as many as `count`, take up.
fn overlaid(start: i64, count: i64) -> Result<(usize, usize)> {
    if start <= 0 {
        return Err(Error::new("22011", "negative substring length not allowed"));
    }
    let before = start as usize - 1;
    Ok((before, usize::try_from(start - 1 + count).unwrap_or(0)))
}

fn overlay(args: &Args<'_>) -> Result<Value> {
    let (text, with) = (args.text(0)?, args.text(1)?);
    let (before, after) = overlaid(args.int(2)?, args.int_or(3, with.chars().count() as i64)?)?;
    let head: String = text.chars().take(before).collect();
    let tail: String = text.chars().skip(after).collect();
    Ok(Value::Text(head + with + &tail))
}

fn overlay_bytes(args: &Args<'_>) -> Result<Value> {
    let (bytes, with) = (args.bytes(0)?, args.bytes(1)?);
    let (before, after) = overlaid(args.int(2)?, args.int_or(3, with.len() as i64)?)?;
    let mut out = bytes[..before.min(bytes.len())].to_vec();
    out.extend(with);
    out.extend(&bytes[after.min(bytes.len())..]);
    Ok(Value::Bytea(out))
}

fn split_part(args: &Args<'_>) -> Result<Value> {
    let (text, delimiter, number) = (args.text(0)?, args.text(1)?, args.int(2)?);
    if number == 0 {
        return Err(Error::new("22023", "field position must not be zero"));
    }
    let parts: Vec<&str> = if delimiter.is_empty() { vec![text] } else { text.split(delimiter).collect() };
    let at = if number > 0 { number - 1 } else { parts.len() as i64 + number };
    let part = usize::try_from(at).ok().and_then(|at| parts.get(at));
    Ok(Value::Text(part.map_or_else(String::new, |part| (*part).to_owned())))
}

fn parse_ident(args: &Args<'_>) -> Result<Value> {
    let (text, strict) = (args.text(0)?, args.bool_or(1, true)?);
    let wrong = |detail: Option<String>| {
        let error = Error::new("22023", format!("string is not a valid identifier: \"{text}\""));
        Err(match detail {
            Some(detail) => error.with_detail(detail),
            None => error,
        })
    };
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut characters = quoted.char_indices().peekable();
            let end = loop {
                match characters.next() {
                    None => return wrong(Some("String has unclosed double quotes.".to_owned())),
                    Some((_, '"')) if characters.peek().is_some_and(|(_, c)| *c == '"') => {
                        characters.next();
                        name.push('"');
                    }
                    Some((at, '"')) => break at,
                    Some((_, c)) => name.push(c),
                }
            };
            if name.is_empty() {
                return wrong(Some("Quoted identifier must not be empty.".to_owned()));
            }
            parts.push(Value::Text(name));
            rest = &quoted[end + 1..];
        } else {
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit() || c == '$') {
                return wrong(None);
            }
            parts.push(Value::Text(rest[..end].to_lowercase()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
        match rest.strip_prefix('.') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() || !strict => return Ok(Value::Array(parts)),
            None => return wrong(None),
        }
    }
}

fn unistr(args: &Args<'_>) -> Result<Value> {
    let invalid = || {
        Error::new("42601", "invalid Unicode escape")
            .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
    };
    let mut out = String::new();
    let mut rest = args.text(0)?;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('\\') {
            out.push('\\');
            rest = after;
            continue;
        }
        let (skip, count) = match rest.bytes().next() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let digits = rest.get(skip..skip + count).ok_or_else(invalid)?;
        let code = u32::from_str_radix(digits, 16).map_err(|_| invalid())?;
        rest = &rest[skip + count..];
        let code = match code {
            // Halves of a pair come one after the other.
            0xD800..0xDC00 => {
                let low =
                    rest.strip_prefix("\\u").or_else(|| rest.strip_prefix('\\')).and_then(|r| r.get(..4));
                let low = low.and_then(|low| u32::from_str_radix(low, 16).ok());
                let low = low.filter(|low| (0xDC00..0xE000).contains(low));
                let low = low.ok_or_else(|| Error::new("42601", "invalid Unicode surrogate pair"))?;
                rest = &rest[if rest.starts_with("\\u") { 6 } else { 5 }..];
                0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            }
            code => code,
        };
        out.push(
            char::from_u32(code)
                .filter(|c| *c != '\0')
                .ok_or_else(|| Error::new("42601", "invalid Unicode code point"))?,
        );
    }
    out.push_str(rest);
    Ok(Value::Text(out))
}

const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];

/// A size in the largest unit in which it is not over 10,240, rounded half away from zero.
fn size_pretty(bytes: i128) -> Value {
    let (mut size, mut unit) = (bytes, 0);
    // Half units are kept for the rounding.
    if size.abs() >= 10 * 1024 {
        size /= 512;
        unit = 1;
        while size.abs() >= 2 * 10 * 1024 - 1 && unit + 1 < UNITS.len() {
            size /= 1024;
            unit += 1;
        }
        size = (size + size.signum()) / 2;
    }
    Value::Text(format!("{size} {}", UNITS[unit]))
}

fn size_bytes(args: &Args<'_>) -> Result<Value> {
    let text = args.text(0)?;
    let invalid = || Error::new("22023", format!("invalid size: \"{text}\""));
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
        .unwrap_or(trimmed.len());
    let number: f64 = trimmed[..end].parse().map_err(|_| invalid())?;
    let unit = trimmed[end..].trim();
    let power = match unit {
        "" => 0,
        unit if unit.eq_ignore_ascii_case("b") => 0,
        unit => UNITS.iter().position(|known| known.eq_ignore_ascii_case(unit)).ok_or_else(|| {
            invalid()
                .with_detail(format!("Invalid size unit: \"{unit}\"."))
                .with_hint("Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
        })?,
    };
    Ok(Value::BigInt((number * 1024f64.powi(power as i32)).round() as i64))
}
