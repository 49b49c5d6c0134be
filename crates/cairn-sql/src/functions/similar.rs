//! SIMILAR TO and `substring(… SIMILAR … ESCAPE …)`: SQL's patterns as regular expressions.

use cairn_types::Value;

use super::regex::{Flags, Pattern};
use crate::{Error, Result};

/// A pattern of SIMILAR TO as a regular expression (PostgreSQL's `similar_to_escape`).
pub(super) fn pattern(pattern: &str, escape: &str) -> Result<String> {
    Ok(format!("^(?:{})$", inner(pattern, escape_character(escape)?)))
}

fn escape_character(escape: &str) -> Result<Option<char>> {
    let mut escapes = escape.chars();
    let (escape, rest) = (escapes.next(), escapes.next());
    if rest.is_some() {
        return Err(Error::new("22025", "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    Ok(escape)
}

fn inner(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::new();
    let (mut escaped, mut in_brackets) = (false, false);
    for c in pattern.chars() {
        if escaped {
            out.push('\\');
            out.push(c);
            escaped = false;
        } else if Some(c) == escape {
            escaped = true;
        } else if in_brackets {
            if c == '\\' || c == '[' {
                out.push('\\');
            }
            in_brackets = c != ']';
            out.push(c);
        } else {
            match c {
                '[' => {
                    in_brackets = true;
                    out.push(c);
                }
                '%' => out.push_str(".*"),
                '_' => out.push('.'),
                '(' => out.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    out.push('\\');
                    out.push(c);
                }
                c => out.push(c),
            }
        }
    }
    out
}

/// The part of a text between the two `escape "` of a pattern that all of it is similar to.
pub(super) fn substring(text: &str, pattern: &str, escape: &str) -> Result<Value> {
    let escape = escape_character(escape)?;
    let Some(character) = escape else {
        return Err(Error::new("22025", "invalid escape string"));
    };
    let mark = format!("{character}\"");
    let parts: Vec<&str> = pattern.split(mark.as_str()).collect();
    let regex = match parts.as_slice() {
        [whole] => format!("^({})$", inner(whole, escape)),
        [before, part, after] => format!(
            "^(?:{})({})(?:{})$",
            inner(before, escape).replace(".*", ".*?"),
            inner(part, escape),
            inner(after, escape)
        ),
        _ => {
            return Err(Error::new(
                "2200C",
                "SQL regular expression may not contain more than two escape-double-quote separators",
            ));
        }
    };
    Pattern::new(&regex, Flags::default())?.first_group(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn similar_patterns() {
        assert_eq!(pattern("a(b|c)+", "\\").unwrap(), "^(?:a(?:b|c)+)$");
        assert_eq!(pattern("_\\%.%", "\\").unwrap(), "^(?:.\\%\\..*)$");
        assert_eq!(pattern("[a-c]#_", "#").unwrap(), "^(?:[a-c]\\_)$");
        assert_eq!(pattern("a", "xy").unwrap_err().sqlstate(), "22025");
        let part = substring("Thomas", "%#\"o_a#\"_", "#").unwrap();
        assert_eq!(part, Value::Text("oma".into()));
    }
}
