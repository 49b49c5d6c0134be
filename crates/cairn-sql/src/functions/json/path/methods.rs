//! The item methods of `jsonpath`, its arithmetic and its regular expressions.

use cairn_types::Decimal;

use super::super::tree::{Json, compare_numbers};
use super::evaluate::Failure;
use super::moment::Moment;
use crate::functions::regex::{Flags, Pattern};
use crate::{Error, Result};

/// Their names.
pub(super) const NAMES: &[&str] =
    &["type", "size", "double", "ceiling", "floor", "abs", "keyvalue", "datetime"];

/// Calls a method.
///
/// # Errors
/// An item of the wrong type.
pub(super) fn call(
    name: &str,
    argument: Option<&str>,
    item: Json,
    strict: bool,
    out: &mut Vec<Json>,
) -> std::result::Result<(), Failure> {
    let wrong = |state, what: &str| {
        Failure::data(state, format!("jsonpath item method .{name}() can only be applied to {what}"))
    };
    match (name, item) {
        ("type", item) => out.push(Json::Text(type_of(&item).to_owned())),
        ("size", Json::Array(items)) => out.push(Json::Number(items.len().to_string())),
        ("size", _) if !strict => out.push(Json::Number("1".to_owned())),
        ("size", _) => return Err(wrong("22039", "an array")),
        ("abs", Json::Number(text)) => {
            out.push(Json::Number(text.strip_prefix('-').map_or(text.clone(), str::to_owned)));
        }
        ("ceiling", Json::Number(text)) => out.push(Json::Number(rounded(&text, false))),
        ("floor", Json::Number(text)) => out.push(Json::Number(rounded(&text, true))),
        ("abs" | "ceiling" | "floor", _) => return Err(wrong("22036", "a numeric value")),
        ("double", item @ (Json::Number(_) | Json::Text(_))) => out.push(double(item)?),
        ("double", _) => return Err(wrong("22036", "a string or numeric value")),
        ("keyvalue", Json::Object(members)) => {
            out.extend(members.into_iter().map(|(key, value)| {
                Json::Object(vec![
                    ("id".to_owned(), Json::Number("0".to_owned())),
                    ("key".to_owned(), Json::Text(key)),
                    ("value".to_owned(), value),
                ])
            }));
        }
        ("keyvalue", _) => return Err(wrong("2203C", "an object")),
        ("datetime", Json::Text(text)) => out.push(Json::Moment(Moment::read(&text, argument)?)),
        ("datetime", _) => return Err(wrong("22031", "a string")),
        (other, _) => return Err(Error::unsupported(format!("the jsonpath item method .{other}()")).into()),
    }
    Ok(())
}

fn type_of(item: &Json) -> &'static str {
    match item {
        Json::Moment(moment) => moment.type_name(),
        Json::Null => "null",
        Json::Boolean(_) => "boolean",
        Json::Number(_) => "number",
        Json::Text(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn double(item: Json) -> std::result::Result<Json, Failure> {
    let number = match &item {
        Json::Text(text) => cairn_types::float::parse_f64(text).ok().filter(|x| x.is_finite()).ok_or_else(|| {
            let what = "string argument of jsonpath item method .double() is not a valid representation of a double precision number";
            Failure::data("22036", what)
        })?,
        Json::Number(text) => {
            let number = text.parse::<f64>().unwrap_or(f64::NAN);
            if !number.is_finite() {
                let what = "numeric argument of jsonpath item method .double() is out of range for type double precision";
                return Err(Failure::data("22036", what));
            }
            return Ok(item);
        }
        _ => return Ok(item),
    };
    let mut text = String::new();
    cairn_types::float::write_f64(number, &mut text);
    Ok(Json::Number(cairn_types::json::normalise(&text).map_err(Error::from)?))
}

/// The number without its fraction, rounded down or up.
fn rounded(text: &str, down: bool) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = whole.starts_with('-');
    if fraction.bytes().all(|b| b == b'0') || negative != down {
        return if whole == "-0" { "0".to_owned() } else { whole.to_owned() };
    }
    // One further from zero.
    let mut digits = whole.trim_start_matches('-').as_bytes().to_vec();
    let mut at = digits.len();
    loop {
        if at == 0 {
            digits.insert(0, b'1');
            break;
        }
        at -= 1;
        if digits[at] == b'9' {
            digits[at] = b'0';
        } else {
            digits[at] += 1;
            break;
        }
    }
    let digits = String::from_utf8_lossy(&digits).into_owned();
    if negative { format!("-{digits}") } else { digits }
}

/// The number with the other sign.
pub(super) fn negated(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(rest) => rest.to_owned(),
        None if compare_numbers(text, "0").is_eq() => text.to_owned(),
        None => format!("-{text}"),
    }
}

/// `+ - * / %` of two numbers, with NUMERIC's digits.
///
/// # Errors
/// `22012`, and `22003` beyond 38 digits.
pub(super) fn arithmetic(sign: char, left: &str, right: &str) -> std::result::Result<String, Failure> {
    let overflow = || Failure::data("22003", "value overflows numeric format");
    let (a, b) =
        (Decimal::parse(left).map_err(|_| overflow())?, Decimal::parse(right).map_err(|_| overflow())?);
    let result = match sign {
        '+' => a.plus(b),
        '-' => a.minus(b),
        '%' => a.remainder(b),
        '*' => a.times(b),
        _ => a.over(b),
    };
    match result {
        Ok(number) => Ok(number.to_string()),
        Err(error) if error.sqlstate() == "22012" => Err(Failure::data("22012", "division by zero")),
        Err(_) => Err(overflow()),
    }
}

/// The regular expression of `like_regex`, with XQuery's flags.
pub(super) fn regex(pattern: &str, flags: &str) -> Result<Pattern> {
    let mut ours = Flags { newlines_apart: true, ..Flags::default() };
    for flag in flags.chars() {
        match flag {
            'i' => ours.ignore_case = true,
            's' => ours.newlines_apart = false,
            'm' => ours.lines = true,
            'q' => ours.literal = true,
            'x' => {
                return Err(Error::unsupported("XQuery \"x\" flag (expanded regular expressions)"));
            }
            other => {
                return Err(Error::new("42601", "invalid input syntax for type jsonpath").with_detail(
                    format!("Unrecognized flag character \"{other}\" in LIKE_REGEX predicate."),
                ));
            }
        }
    }
    Pattern::new(pattern, ours)
}
