//! JSON as a tree: read from text, written in JSONB's normal form, compared as PostgreSQL compares JSONB.
//!
//! A value of type JSON is its text, which parts of it must keep ([`Node::raw`]); one of type JSONB is its normal
//! form (`cairn_types::json`), which needs nothing more than to be written again.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::{Error, Result};

/// A part of a JSON text that is known to be well-formed.
#[derive(Debug, Clone)]
pub(crate) struct Node<'t> {
    /// Its text.
    pub(crate) raw: &'t str,
    pub(crate) kind: Kind<'t>,
}

/// What a [`Node`] is.
#[derive(Debug, Clone)]
pub(crate) enum Kind<'t> {
    Null,
    Boolean(bool),
    Number(&'t str),
    Text(Cow<'t, str>),
    Array(Vec<Node<'t>>),
    /// In the order of the text, with all keys that are equal.
    Object(Vec<(Cow<'t, str>, Node<'t>)>),
}

impl<'t> Node<'t> {
    /// Reads a text that was checked when it became a value.
    ///
    /// # Errors
    /// `22P02` where it was not.
    pub(crate) fn parse(text: &'t str) -> Result<Self> {
        let mut reader = Reader { text, at: 0 };
        let node = reader.value().ok_or_else(|| Error::new("22P02", "invalid input syntax for type json"))?;
        Ok(node)
    }

    /// `object`, `array`, `string`, `number`, `boolean` or `null`.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Boolean(_) => "boolean",
            Kind::Number(_) => "number",
            Kind::Text(_) => "string",
            Kind::Array(_) => "array",
            Kind::Object(_) => "object",
        }
    }

    /// The value of a key; of equal keys the last one.
    pub(crate) fn field(&self, key: &str) -> Option<&Node<'t>> {
        match &self.kind {
            Kind::Object(members) => members.iter().rev().find(|(k, _)| k == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// An element by its place; from the end if negative.
    pub(crate) fn element(&self, index: i64) -> Option<&Node<'t>> {
        let Kind::Array(items) = &self.kind else { return None };
        let at = if index < 0 { index + items.len() as i64 } else { index };
        usize::try_from(at).ok().and_then(|at| items.get(at))
    }

    /// What a path of keys and places leads to.
    pub(crate) fn at_path<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node<'t>> {
        let mut node = self;
        for step in path {
            node = match &node.kind {
                Kind::Object(_) => node.field(step.as_ref())?,
                Kind::Array(_) => node.element(step.as_ref().trim().parse().ok()?)?,
                _ => return None,
            };
        }
        Some(node)
    }

    /// As text: a string's content, anything else as it is written; `None` for null.
    pub(crate) fn as_text(&self) -> Option<String> {
        match &self.kind {
            Kind::Null => None,
            Kind::Text(text) => Some(text.to_string()),
            _ => Some(self.raw.to_owned()),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Option<Node<'t>> {
        self.blanks();
        let start = self.at;
        let kind = match self.peek()? {
            b'{' => self.object()?,
            b'[' => self.array()?,
            b'"' => Kind::Text(self.string()?),
            b'-' | b'0'..=b'9' => {
                while matches!(self.peek(), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
                    self.at += 1;
                }
                Kind::Number(&self.text[start..self.at])
            }
            b't' => self.word("true", Kind::Boolean(true))?,
            b'f' => self.word("false", Kind::Boolean(false))?,
            _ => self.word("null", Kind::Null)?,
        };
        Some(Node { raw: &self.text[start..self.at], kind })
    }

    fn word(&mut self, word: &str, kind: Kind<'t>) -> Option<Kind<'t>> {
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            kind
        })
    }

    fn array(&mut self) -> Option<Kind<'t>> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Some(Kind::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.take(b']') {
                return Some(Kind::Array(items));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn object(&mut self) -> Option<Kind<'t>> {
        self.at += 1;
        let mut members = Vec::new();
        if self.take(b'}') {
            return Some(Kind::Object(members));
        }
        loop {
            self.blanks();
            let key = self.string()?;
            self.take(b':').then_some(())?;
            members.push((key, self.value()?));
            if self.take(b'}') {
                return Some(Kind::Object(members));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn string(&mut self) -> Option<Cow<'t, str>> {
        self.at += 1;
        let start = self.at;
        let mut out: Option<String> = None;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|b| b == b'"' || b == b'\\')?;
            if let Some(out) = &mut out {
                out.push_str(&rest[..plain]);
            }
            self.at += plain;
            if self.peek() == Some(b'"') {
                self.at += 1;
                return Some(match out {
                    Some(out) => Cow::Owned(out),
                    None => Cow::Borrowed(&self.text[start..self.at - 1]),
                });
            }
            let out = out.get_or_insert_with(|| self.text[start..self.at].to_owned());
            self.at += 1;
            let byte = self.text.as_bytes().get(self.at).copied()?;
            self.at += 1;
            out.push(match byte {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let mut code = four_hex(self.text, &mut self.at)?;
                    if (0xD800..0xDC00).contains(&code) && self.text[self.at..].starts_with("\\u") {
                        let mut at = self.at + 2;
                        let low = four_hex(self.text, &mut at)?;
                        if (0xDC00..0xE000).contains(&low) {
                            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                            self.at = at;
                        }
                    }
                    char::from_u32(code).unwrap_or('\u{fffd}')
                }
                other => char::from(other),
            });
        }
    }
}

fn four_hex(text: &str, at: &mut usize) -> Option<u32> {
    let code = u32::from_str_radix(text.get(*at..*at + 4)?, 16).ok()?;
    *at += 4;
    Some(code)
}

/// A tree that can be changed and written.
#[derive(Debug, Clone)]
pub(crate) enum Json {
    Null,
    Boolean(bool),
    /// As NUMERIC writes it.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    /// Of equal keys the last one counts.
    Object(Vec<(String, Json)>),
    /// A date or time of `jsonpath`, which no document holds.
    Moment(super::path::moment::Moment),
}

impl From<&Node<'_>> for Json {
    fn from(node: &Node<'_>) -> Self {
        match &node.kind {
            Kind::Null => Json::Null,
            Kind::Boolean(b) => Json::Boolean(*b),
            Kind::Number(text) => Json::Number((*text).to_owned()),
            Kind::Text(text) => Json::Text(text.to_string()),
            Kind::Array(items) => Json::Array(items.iter().map(Json::from).collect()),
            Kind::Object(members) => {
                Json::Object(members.iter().map(|(key, node)| (key.to_string(), Json::from(node))).collect())
            }
        }
    }
}

impl Json {
    /// The tree of a JSONB value.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Ok(Json::from(&Node::parse(text)?))
    }

    /// JSONB's normal form.
    ///
    /// # Errors
    /// Numbers out of range.
    pub(crate) fn to_jsonb(&self) -> Result<String> {
        let mut out = String::new();
        self.write(&mut out);
        Ok(cairn_types::json::normalise(&out)?)
    }

    /// JSON, with `", "` and `": "` between parts.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
            Json::Number(text) => out.push_str(text),
            Json::Text(text) => write_string(text, out),
            Json::Moment(moment) => {
                out.push('"');
                moment.write(out);
                out.push('"');
            }
            Json::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { ", " } else { "" });
                    write_string(key, out);
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// A text as a JSON string, as PostgreSQL escapes it.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The order of JSONB (PostgreSQL's `compareJsonbContainers`): objects above arrays above booleans above numbers above
/// strings above null; more elements above fewer; an array without elements below everything at the top.
pub(crate) fn compare(a: &Node<'_>, b: &Node<'_>) -> Ordering {
    let scalar = |node: &Node<'_>| !matches!(node.kind, Kind::Array(_) | Kind::Object(_));
    match (&a.kind, &b.kind) {
        (Kind::Array(items), _) if scalar(b) => {
            if items.is_empty() {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (_, Kind::Array(items)) if scalar(a) => {
            if items.is_empty() {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        _ => compare_inner(a, b),
    }
}

fn rank(kind: &Kind<'_>) -> u8 {
    match kind {
        Kind::Null => 0,
        Kind::Text(_) => 1,
        Kind::Number(_) => 2,
        Kind::Boolean(_) => 3,
        Kind::Array(_) => 4,
        Kind::Object(_) => 5,
    }
}

fn compare_inner(a: &Node<'_>, b: &Node<'_>) -> Ordering {
    match (&a.kind, &b.kind) {
        (Kind::Boolean(a), Kind::Boolean(b)) => a.cmp(b),
        (Kind::Number(a), Kind::Number(b)) => compare_numbers(a, b),
        (Kind::Text(a), Kind::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Kind::Array(a), Kind::Array(b)) => a.len().cmp(&b.len()).then_with(|| {
            a.iter().zip(b).map(|(a, b)| compare_inner(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
        }),
        (Kind::Object(a), Kind::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
            let pairs = a.iter().zip(b);
            pairs
                .map(|((k, v), (l, w))| k.as_bytes().cmp(l.as_bytes()).then_with(|| compare_inner(v, w)))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        }),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

/// Compares two numbers without exponents, of any length.
pub(crate) fn compare_numbers(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> (i8, String, String) {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let whole = whole.trim_start_matches('0').to_owned();
        let fraction = fraction.trim_end_matches('0').to_owned();
        let sign = if whole.is_empty() && fraction.is_empty() { 0 } else { sign };
        (sign, whole, fraction)
    };
    let ((s, w, f), (t, x, g)) = (parts(a), parts(b));
    s.cmp(&t).then_with(|| {
        let size = w.len().cmp(&x.len()).then_with(|| w.cmp(&x)).then_with(|| f.cmp(&g));
        if s < 0 { size.reverse() } else { size }
    })
}

/// Bytes whose order is that of [`compare`]: sort keys.
pub(crate) fn sort_key(node: &Node<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match &node.kind {
        Kind::Object(_) => out.push(3),
        Kind::Array(items) if items.is_empty() => out.push(0),
        Kind::Array(_) => out.push(2),
        _ => out.push(1),
    }
    write_key(node, &mut out);
    out
}

fn write_key(node: &Node<'_>, out: &mut Vec<u8>) {
    out.push(rank(&node.kind));
    match &node.kind {
        Kind::Null => {}
        Kind::Boolean(b) => out.push(u8::from(*b)),
        Kind::Text(text) => write_text_key(text, out),
        Kind::Number(text) => write_number_key(text, out),
        Kind::Array(items) => {
            out.extend((items.len() as u32).to_be_bytes());
            items.iter().for_each(|item| write_key(item, out));
        }
        Kind::Object(members) => {
            out.extend((members.len() as u32).to_be_bytes());
            for (key, value) in members {
                write_text_key(key, out);
                write_key(value, out);
            }
        }
    }
}

fn write_text_key(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend([0, 1]);
}

/// Sign, power of ten of the first digit, digits; inverted below zero.
fn write_number_key(text: &str, out: &mut Vec<u8>) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let all = format!("{whole}{fraction}");
    let leading = all.len() - all.trim_start_matches('0').len();
    let significant = all.trim_matches('0');
    if significant.is_empty() {
        out.push(1);
        return;
    }
    let exponent = whole.len() as i32 - leading as i32;
    let mut body = Vec::with_capacity(significant.len() + 5);
    body.extend((exponent as u32 ^ 0x8000_0000).to_be_bytes());
    body.extend(significant.bytes());
    body.push(0);
    out.push(if negative { 0 } else { 2 });
    out.extend(body.into_iter().map(|byte| if negative { !byte } else { byte }));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sort_keys_have_the_order_of_values() {
        let texts = [
            "[]",
            "null",
            r#""""#,
            r#""a""#,
            r#""a\u0001""#,
            r#""ab""#,
            r#""b""#,
            "-100",
            "-10.5",
            "-10",
            "-0.001",
            "0",
            "0.0001",
            "0.001",
            "1",
            "1.5",
            "9",
            "10",
            "100.01",
            "1000",
            "false",
            "true",
            "[null]",
            "[9]",
            "[10]",
            "[[]]",
            "[1, 2]",
            "[1, 3]",
            "{}",
            r#"{"a": 1}"#,
            r#"{"a": 2}"#,
            r#"{"b": 1}"#,
            r#"{"a": 1, "b": 1}"#,
        ];
        let nodes: Vec<Node<'_>> = texts.iter().map(|text| Node::parse(text).unwrap()).collect();
        for (i, a) in nodes.iter().enumerate() {
            for (j, b) in nodes.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{} and {}", texts[i], texts[j]);
                assert_eq!(sort_key(a).cmp(&sort_key(b)), i.cmp(&j), "keys of {} and {}", texts[i], texts[j]);
            }
        }
        let equal =
            |a: &str, b: &str| sort_key(&Node::parse(a).unwrap()) == sort_key(&Node::parse(b).unwrap());
        assert!(equal("1.0", "1.00") && equal("0", "0.000") && !equal("1", "10"));
    }
}
