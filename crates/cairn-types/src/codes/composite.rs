//! Codes of composite values: those of the fields one after the other, so that the first field that differs decides and NULL
//! comes last, as in PostgreSQL.
//!
//! A field that is NULL is `FE`, or nothing where only NULLs follow; any other is its key code, ascending. Behind it stands
//! its text form, escaped as text in keys, where the key does not give the value back. The last byte is `FF`. So a field
//! that is added to the type is NULL in all values that there are.

use super::parse as parse_coded;
use crate::composite::CompositeType;
use crate::datatype::DataType;
use crate::datetime::{self, Zone};
use crate::error::TypeError;
use crate::key::{KeyOrder, decode_value, encode_value};
use crate::value::Value;

const NULL: u8 = 0xFE;
const END: u8 = 0xFF;

/// Whether a field's code has its key, and its text. Types without an order are text alone; of coded types the code says all,
/// whatever becomes of the type. The forms of 0 and NaN that a key unites are united.
fn parts(ty: &DataType) -> (bool, bool) {
    let mut element = ty;
    while let DataType::Array(inner) = element {
        element = inner;
    }
    match element {
        DataType::Coded(_) => (true, false),
        DataType::Json | DataType::Jsonb => (false, true),
        DataType::Real | DataType::Double if element == ty => (true, false),
        element => (true, !element.is_key_exact()),
    }
}

/// The code of a row of one value for each field, those that are dropped NULL.
///
/// # Errors
/// Where a value is not of its field's type or does not fit it.
pub fn encode(ty: &CompositeType, values: &[Value]) -> Result<Vec<u8>, TypeError> {
    let given =
        |place: usize| values.get(place).filter(|_| !ty.fields[place].dropped).unwrap_or(&Value::Null);
    let count = (0..ty.fields.len()).rev().find(|place| !given(*place).is_null()).map_or(0, |last| last + 1);
    let mut out = Vec::new();
    for (place, field) in ty.fields.iter().enumerate().take(count) {
        let value = given(place);
        if value.is_null() {
            out.push(NULL);
            continue;
        }
        let value = value.clone().fit(&field.ty)?;
        let (key, as_text) = parts(&field.ty);
        if key {
            encode_value(&value, &field.ty, KeyOrder::ASCENDING, &mut out)?;
        }
        if as_text {
            let text = Value::Text(value.to_text(&field.ty));
            encode_value(&text, &DataType::Text, KeyOrder::ASCENDING, &mut out)?;
        }
    }
    out.push(END);
    Ok(out)
}

/// The values of the fields, those that are dropped NULL; `None` where no encoder wrote the code.
#[must_use]
pub fn decode(ty: &CompositeType, code: &[u8]) -> Option<Vec<Value>> {
    let mut rest = code;
    let mut values = Vec::with_capacity(ty.fields.len());
    for field in &ty.fields {
        match *rest.first()? {
            END => values.push(Value::Null),
            NULL => {
                rest = &rest[1..];
                values.push(Value::Null);
            }
            _ => {
                let value = field_of(&mut rest, &field.ty)?;
                values.push(if field.dropped { Value::Null } else { value });
            }
        }
    }
    (rest == [END]).then_some(values)
}

fn field_of(rest: &mut &[u8], ty: &DataType) -> Option<Value> {
    let (has_key, has_text) = parts(ty);
    let key = match has_key {
        true => Some(decode_value(rest, ty, KeyOrder::ASCENDING).ok()?),
        false => None,
    };
    if !has_text {
        return key;
    }
    let text = decode_value(rest, &DataType::Text, KeyOrder::ASCENDING).ok()?;
    match ty {
        DataType::Json => Some(Value::Json(text.as_str()?.to_owned())),
        DataType::Jsonb => Some(Value::Jsonb(text.as_str()?.to_owned())),
        _ => Value::parse_text(text.as_str()?, ty).ok(),
    }
}

/// Appends the text: `(1,"a b",)`.
pub(super) fn write(ty: &CompositeType, values: &[Value], zone: Zone, out: &mut String) {
    out.push('(');
    let mut text = String::new();
    for (count, (place, field)) in ty.live().enumerate() {
        if count > 0 {
            out.push(',');
        }
        let value = &values[place];
        if value.is_null() {
            continue;
        }
        text.clear();
        value.write_text_in(&field.ty, zone, &mut text);
        let special = |c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || is_space(c);
        if !text.is_empty() && !text.contains(special) {
            out.push_str(&text);
            continue;
        }
        out.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                out.push(c);
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push(')');
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

/// Reads the text; moments without a zone of their own are `zone`'s.
///
/// # Errors
/// `22P02`, and what the text of a field says.
pub(super) fn parse(ty: &CompositeType, text: &str, zone: Zone) -> Result<Vec<u8>, TypeError> {
    let malformed = |detail: &str| TypeError::Invalid {
        sqlstate: "22P02",
        message: format!("malformed record literal: \"{text}\""),
        detail: Some(detail.to_owned()),
    };
    let rest = text.trim_start_matches(is_space);
    let mut rest = rest.strip_prefix('(').ok_or_else(|| malformed("Missing left parenthesis."))?;
    let mut values = vec![Value::Null; ty.fields.len()];
    for (count, (place, field)) in ty.live().enumerate() {
        if count > 0 {
            rest = rest.strip_prefix(',').ok_or_else(|| malformed("Too few columns."))?;
        }
        if rest.starts_with([',', ')']) {
            continue;
        }
        let (own, after) = part(rest).ok_or_else(|| malformed("Unexpected end of input."))?;
        rest = after;
        values[place] = match &field.ty {
            DataType::TimestampTz(_) => Value::TimestampTz(datetime::parse_timestamptz(&own, zone)?),
            DataType::Coded(coded) => {
                Value::Coded { ty: coded.clone(), code: parse_coded(coded, &own, zone)? }
            }
            ty => Value::parse_text(&own, ty)?,
        };
    }
    let rest = rest.strip_prefix(')').ok_or_else(|| malformed("Too many columns."))?;
    if !rest.trim_start_matches(is_space).is_empty() {
        return Err(malformed("Junk after right parenthesis."));
    }
    encode(ty, &values)
}

/// The text of a field up to the comma or bracket behind it, and what follows.
fn part(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut within = false;
    let mut characters = text.char_indices().peekable();
    loop {
        match characters.next()? {
            (at, ',' | ')') if !within => return Some((out, &text[at..])),
            (_, '\\') => out.push(characters.next()?.1),
            (_, '"') if !within => within = true,
            (_, '"') => match characters.next_if(|(_, c)| *c == '"') {
                Some(_) => out.push('"'),
                None => within = false,
            },
            (_, c) => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::composite::CompositeField;

    fn ty(fields: &[(&str, DataType)]) -> CompositeType {
        let fields = fields.iter().map(|(name, ty)| CompositeField {
            name: (*name).to_owned(),
            ty: ty.clone(),
            dropped: false,
        });
        CompositeType { id: 7, schema: "public".to_owned(), name: "t".to_owned(), fields: fields.collect() }
    }

    fn text(ty: &CompositeType, code: &[u8]) -> String {
        let mut out = String::new();
        write(ty, &decode(ty, code).unwrap(), Zone::UTC, &mut out);
        out
    }

    #[test]
    fn texts_come_back_in_order() {
        let t = ty(&[("a", DataType::Integer), ("b", DataType::Text), ("c", DataType::Interval(None))]);
        let ascending = [
            "(-1,zz,)",
            "(1,\"\",)",
            "(1,\"a \"\"\\\\\",)",
            "(1,a(,\"1 mon\")",
            "(1,b,\"31 days\")",
            "(1,b,)",
            "(1,,01:00:00)",
            "(1,,)",
            "(,a,)",
            "(,,)",
        ];
        let codes: Vec<_> = ascending.iter().map(|text| parse(&t, text, Zone::UTC).unwrap()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        let shown: Vec<_> = codes.iter().map(|code| text(&t, code)).collect();
        assert_eq!(shown[2], "(1,\"a \"\"\\\\\",)");
        assert_eq!(shown[3], "(1,\"a(\",\"1 mon\")");
        for (code, shown) in codes.iter().zip(&shown) {
            assert_eq!(parse(&t, shown, Zone::UTC).unwrap(), *code);
        }
        assert_eq!(codes[9], [END]);
    }

    #[test]
    fn fields_that_are_added_are_null() {
        let old = ty(&[("a", DataType::Integer)]);
        let new = ty(&[("a", DataType::Integer), ("b", DataType::Jsonb)]);
        let code = parse(&old, "(5)", Zone::UTC).unwrap();
        assert_eq!(text(&new, &code), "(5,)");
        assert_eq!(parse(&new, "(5,)", Zone::UTC).unwrap(), code);
        let whole = parse(&new, "(5,\"{\"\"a\"\": 1}\")", Zone::UTC).unwrap();
        assert_eq!(text(&new, &whole), "(5,\"{\"\"a\"\": 1}\")");
        assert_eq!(decode(&old, &whole), None);
        assert_eq!(decode(&new, &whole[..whole.len() - 1]), None);
    }

    #[test]
    fn malformed_texts_are_refused() {
        let t = ty(&[("a", DataType::Integer), ("b", DataType::Text)]);
        let detail = |text| parse(&t, text, Zone::UTC).unwrap_err().detail();
        assert_eq!(detail("1,a)").unwrap(), "Missing left parenthesis.");
        assert_eq!(detail("(1)").unwrap(), "Too few columns.");
        assert_eq!(detail("(1,a,b)").unwrap(), "Too many columns.");
        assert_eq!(detail("(1,a").unwrap(), "Unexpected end of input.");
        assert_eq!(detail("(1,a) b").unwrap(), "Junk after right parenthesis.");
    }
}
