//! Array literals: `{1,2,NULL,"a b"}`, nested braces for further dimensions.

use crate::datatype::DataType;
use crate::datetime::Zone;
use crate::error::TypeError;
use crate::value::Value;

/// Appends the literal of an array of type `ty` (an array type; any other prints its elements as their own type).
pub(super) fn write(values: &[Value], ty: &DataType, zone: Zone, out: &mut String) {
    let element = match ty {
        DataType::Array(element) => element.as_ref(),
        other => other,
    };
    out.push('{');
    let mut text = String::new();
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match value {
            Value::Null => out.push_str("NULL"),
            Value::Array(inner) => write(inner, element, zone, out),
            value => {
                text.clear();
                value.write_text_in(element, zone, &mut text);
                write_element(&text, out);
            }
        }
    }
    out.push('}');
}

fn write_element(text: &str, out: &mut String) {
    let special =
        |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace() || c == '\u{b}';
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(special) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// Reads a literal whose elements are `element`s.
pub(super) fn parse(text: &str, element: &DataType) -> Result<Vec<Value>, TypeError> {
    let mut reader = Reader { text, at: 0 };
    reader.blanks();
    if reader.peek() == Some(b'[') {
        return Err(TypeError::Unsupported { what: "an array literal with bounds".to_owned() });
    }
    let values = reader.array(element)?;
    reader.blanks();
    if reader.at < text.len() {
        return Err(reader.malformed("Junk after closing right brace."));
    }
    Ok(values)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn malformed(&self, detail: &str) -> TypeError {
        TypeError::MalformedArray { input: self.text.to_owned(), detail: detail.to_owned() }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace() || b == 0x0b) {
            self.at += 1;
        }
    }

    /// Recursion is bounded by the depth of the type.
    fn array(&mut self, element: &DataType) -> Result<Vec<Value>, TypeError> {
        if self.peek() != Some(b'{') {
            return Err(self.malformed("Array value must start with \"{\" or dimension information."));
        }
        self.at += 1;
        let mut values = Vec::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(values);
        }
        loop {
            self.blanks();
            values.push(self.element(element)?);
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(values);
                }
                None => return Err(self.malformed("Unexpected end of input.")),
                Some(_) => return Err(self.malformed("Unexpected array element.")),
            }
        }
    }

    fn element(&mut self, ty: &DataType) -> Result<Value, TypeError> {
        match (self.peek(), ty) {
            (Some(b'{'), DataType::Array(inner)) => Ok(Value::Array(self.array(inner)?)),
            (Some(b'{'), _) => Err(TypeError::Unsupported {
                what: format!("an array of more dimensions than {}[] declares", ty.sql_name()),
            }),
            (Some(b'"'), _) => {
                let text = self.quoted()?;
                Value::parse_text(&text, ty)
            }
            _ => {
                let (text, escaped) = self.bare()?;
                if !escaped && text.eq_ignore_ascii_case("null") {
                    return Ok(Value::Null);
                }
                Value::parse_text(&text, ty)
            }
        }
    }

    fn quoted(&mut self) -> Result<String, TypeError> {
        self.at += 1;
        let mut out = String::new();
        let mut characters = self.text[self.at..].char_indices();
        while let Some((offset, c)) = characters.next() {
            match c {
                '"' => {
                    self.at += offset + 1;
                    return Ok(out);
                }
                '\\' => match characters.next() {
                    Some((_, escaped)) => out.push(escaped),
                    None => break,
                },
                c => out.push(c),
            }
        }
        Err(self.malformed("Unexpected end of input."))
    }

    fn bare(&mut self) -> Result<(String, bool), TypeError> {
        let rest: &'a str = &self.text[self.at..];
        let (mut out, mut escaped, mut kept) = (String::new(), false, 0);
        let mut characters = rest.char_indices();
        let mut end = rest.len();
        while let Some((offset, c)) = characters.next() {
            match c {
                ',' | '}' => {
                    end = offset;
                    break;
                }
                '{' | '"' => return Err(self.malformed("Unexpected array element.")),
                '\\' => {
                    let (_, next) =
                        characters.next().ok_or_else(|| self.malformed("Unexpected end of input."))?;
                    out.push(next);
                    escaped = true;
                    kept = out.len();
                }
                c => out.push(c),
            }
        }
        self.at += end;
        // Blanks before the comma are no part of it, but for escaped ones.
        let trimmed = kept.max(out.trim_end_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}').len());
        out.truncate(trimmed);
        if out.is_empty() {
            return Err(self.malformed("Unexpected \",\" or \"}\" character."));
        }
        Ok((out, escaped))
    }
}
