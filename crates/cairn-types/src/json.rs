//! JSON: checking a text, and JSONB's normal form as PostgreSQL prints it.
//!
//! Normal form: `", "` and `": "` between parts, object keys by length and then bytes, of equal keys the last
//! one, numbers without exponent, strings with the fewest escapes. Depth is limited to [`DEPTH_MAX`].

use crate::error::TypeError;

/// Deepest nesting of arrays and objects.
pub const DEPTH_MAX: usize = 1000;
/// Longest number of JSONB once its exponent is written out.
const NUMBER_DIGITS_MAX: i64 = 2000;

/// Checks that a text is JSON.
///
/// # Errors
/// [`TypeError::InvalidJson`] with what is wrong where in its detail.
pub fn validate(text: &str) -> Result<(), TypeError> {
    Parser { text, at: 0, type_name: "json" }.document::<false>().map(drop)
}

/// JSONB's normal form of a JSON text.
///
/// # Errors
/// As [`validate`]; also for `\u0000` and halves of surrogate pairs, and [`TypeError::NumericFormat`] for numbers
/// of more than 2000 digits.
pub fn normalise(text: &str) -> Result<String, TypeError> {
    Parser { text, at: 0, type_name: "jsonb" }.document::<true>()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    type_name: &'static str,
}

impl Parser<'_> {
    fn document<const NORMAL: bool>(mut self) -> Result<String, TypeError> {
        let mut out = String::new();
        self.value::<NORMAL>(0, &mut out)?;
        self.blanks();
        if self.at < self.text.len() {
            return Err(self.error("expected end of input"));
        }
        Ok(out)
    }

    fn error(&self, expected: &str) -> TypeError {
        let found: String = self.text[self.at..].chars().take(20).collect();
        let detail = if found.is_empty() {
            format!("{expected}, but the input ended")
        } else {
            format!("{expected}, but found \"{found}\" at byte {}", self.at + 1)
        };
        TypeError::InvalidJson { type_name: self.type_name.to_owned(), detail: upper_first(&detail) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value<const NORMAL: bool>(&mut self, depth: usize, out: &mut String) -> Result<(), TypeError> {
        if depth > DEPTH_MAX {
            return Err(TypeError::InvalidJson {
                type_name: self.type_name.to_owned(),
                detail: format!("Nested deeper than {DEPTH_MAX}."),
            });
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object::<NORMAL>(depth, out),
            Some(b'[') => self.array::<NORMAL>(depth, out),
            Some(b'"') => self.string::<NORMAL>(out),
            Some(b'-' | b'0'..=b'9') => self.number::<NORMAL>(out),
            _ => {
                let word =
                    ["true", "false", "null"].into_iter().find(|word| self.text[self.at..].starts_with(word));
                let word = word.ok_or_else(|| self.error("expected a JSON value"))?;
                self.at += word.len();
                if NORMAL {
                    out.push_str(word);
                }
                Ok(())
            }
        }
    }

    fn array<const NORMAL: bool>(&mut self, depth: usize, out: &mut String) -> Result<(), TypeError> {
        self.at += 1;
        out.push('[');
        self.blanks();
        if !self.take(b']') {
            loop {
                self.value::<NORMAL>(depth + 1, out)?;
                self.blanks();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.error("expected \",\" or \"]\""));
                }
                if NORMAL {
                    out.push_str(", ");
                }
            }
        }
        out.push(']');
        Ok(())
    }

    fn object<const NORMAL: bool>(&mut self, depth: usize, out: &mut String) -> Result<(), TypeError> {
        self.at += 1;
        let mut members: Vec<(String, String)> = Vec::new();
        self.blanks();
        if !self.take(b'}') {
            loop {
                self.blanks();
                if self.peek() != Some(b'"') {
                    return Err(self.error("expected a string as key"));
                }
                let (mut key, mut member) = (String::new(), String::new());
                self.string::<NORMAL>(&mut key)?;
                self.blanks();
                if !self.take(b':') {
                    return Err(self.error("expected \":\""));
                }
                self.value::<NORMAL>(depth + 1, &mut member)?;
                if NORMAL {
                    members.push((key, member));
                }
                self.blanks();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.error("expected \",\" or \"}\""));
                }
            }
        }
        if NORMAL {
            // Keys are compared by their content; the rendered key has the same order but for escapes.
            members.reverse();
            let content = |key: &str| unescape(key);
            members.sort_by_cached_key(|(key, _)| {
                let content = content(key);
                (content.len(), content)
            });
            members.dedup_by(|later, kept| later.0 == kept.0);
            out.push('{');
            for (i, (key, member)) in members.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                out.push_str(key);
                out.push_str(": ");
                out.push_str(member);
            }
            out.push('}');
        }
        Ok(())
    }

    /// Reads a string and, for the normal form, appends it in quotes.
    fn string<const NORMAL: bool>(&mut self, out: &mut String) -> Result<(), TypeError> {
        self.at += 1;
        if NORMAL {
            out.push('"');
        }
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20);
            let plain = plain.ok_or_else(|| {
                self.at = self.text.len();
                self.error("expected the end of a string")
            })?;
            if NORMAL {
                out.push_str(&rest[..plain]);
            }
            self.at += plain;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let character = self.escape(NORMAL)?;
                    if NORMAL && let Some(character) = character {
                        push_escaped(character, out);
                    }
                }
                _ => return Err(self.error("control characters in strings must be escaped")),
            }
        }
        self.at += 1;
        if NORMAL {
            out.push('"');
        }
        Ok(())
    }

    /// Reads an escape; `None` for what only plain JSON may hold (NUL, half a surrogate pair).
    fn escape(&mut self, strict: bool) -> Result<Option<char>, TypeError> {
        self.at += 1;
        let byte = self.peek().ok_or_else(|| self.error("expected an escape"))?;
        let simple = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode_escape(strict);
            }
            _ => return Err(self.error("expected a valid escape")),
        };
        self.at += 1;
        Ok(Some(simple))
    }

    fn unicode_escape(&mut self, strict: bool) -> Result<Option<char>, TypeError> {
        let first = self.four_hex()?;
        let mut code = first;
        if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.four_hex()?;
            if (0xDC00..0xE000).contains(&second) {
                code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            } else {
                self.at = back;
            }
        }
        match char::from_u32(code) {
            Some(character) if code != 0 => Ok(Some(character)),
            _ if !strict => Ok(None),
            _ => Err(self.error("expected a Unicode character that is not NUL nor half a surrogate pair")),
        }
    }

    fn four_hex(&mut self) -> Result<u32, TypeError> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.error("\"\\u\" must be followed by four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number<const NORMAL: bool>(&mut self, out: &mut String) -> Result<(), TypeError> {
        let start = self.at;
        self.take(b'-');
        let whole = self.at;
        let zero_first = self.peek() == Some(b'0');
        match self.digits() {
            0 => return Err(self.error("expected a digit")),
            1 => {}
            _ if zero_first => {
                self.at = start;
                return Err(self.error("numbers must not begin with 0"));
            }
            _ => {}
        }
        let whole_end = self.at;
        let mut fraction = self.at..self.at;
        if self.take(b'.') {
            let from = self.at;
            if self.digits() == 0 {
                return Err(self.error("expected a digit"));
            }
            fraction = from..self.at;
        }
        let mut exponent = None;
        if self.take(b'e') || self.take(b'E') {
            let from = self.at;
            let _ = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(self.error("expected a digit"));
            }
            exponent = Some(&self.text[from..self.at]);
        }
        if matches!(self.peek(), Some(b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.')) {
            self.at = start;
            return Err(self.error("expected a number"));
        }
        if NORMAL {
            let exponent = exponent.map_or(Ok(0), str::parse::<i64>).map_err(|_| TypeError::NumericFormat)?;
            let (whole, fraction) = (&self.text[whole..whole_end], &self.text[fraction]);
            write_number(self.text.as_bytes()[start] == b'-', whole, fraction, exponent, out)?;
        }
        Ok(())
    }
}

fn upper_first(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |c| c.to_uppercase().chain(characters).collect::<String>() + ".")
}

fn push_escaped(character: char, out: &mut String) {
    match character {
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

/// The content of a string in normal form, quotes included: only the order of keys needs it.
fn unescape(rendered: &str) -> String {
    let inner = &rendered[1..rendered.len().max(2) - 1];
    let mut out = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match characters.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let hex: String = characters.by_ref().take(4).collect();
                out.extend(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// Writes a number as NUMERIC prints it: no exponent, every digit that was written.
fn write_number(
    negative: bool,
    whole: &str,
    fraction: &str,
    exponent: i64,
    out: &mut String,
) -> Result<(), TypeError> {
    let digits: String = [whole, fraction].concat();
    let length = digits.len() as i64;
    let point = (whole.len() as i64).checked_add(exponent).ok_or(TypeError::NumericFormat)?;
    if point.abs() > NUMBER_DIGITS_MAX || length > 100_000 {
        return Err(TypeError::NumericFormat);
    }
    if negative && digits.bytes().any(|b| b != b'0') {
        out.push('-');
    }
    let zeros = |n: i64| std::iter::repeat_n('0', n.max(0) as usize);
    if point <= 0 {
        out.push_str("0.");
        out.extend(zeros(-point));
        out.push_str(&digits);
    } else if point >= length {
        let all: String = digits.chars().chain(zeros(point - length)).collect();
        let trimmed = all.trim_start_matches('0');
        out.push_str(if trimmed.is_empty() { "0" } else { trimmed });
    } else {
        let (before, after) = digits.split_at(point as usize);
        let trimmed = before.trim_start_matches('0');
        out.push_str(if trimmed.is_empty() { "0" } else { trimmed });
        out.push('.');
        out.push_str(after);
    }
    Ok(())
}
