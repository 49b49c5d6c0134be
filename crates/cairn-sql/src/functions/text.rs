//! Functions over text that DataFusion lacks.

use cairn_types::{DataType, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::{Simple, Takes};
use crate::{Error, Result};

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use DataType as T;
    let immutable = Volatility::Immutable;
    vec![
        Simple::new("cairn_similar", Takes::Exact(vec![T::Text, T::Text]), T::Text, immutable, |call| {
            similar_pattern(call.text(0)?, call.text(1)?).map(Value::Text)
        }),
        Simple::new("quote_ident", Takes::Exact(vec![T::Text]), T::Text, immutable, |call| {
            Ok(Value::Text(quote_ident(call.text(0)?)))
        }),
        Simple::new("quote_literal", Takes::Exact(vec![T::Text]), T::Text, immutable, |call| {
            Ok(Value::Text(quote_literal(call.text(0)?)))
        }),
        Simple::new("quote_nullable", Takes::Exact(vec![T::Text]), T::Text, immutable, |call| {
            Ok(Value::Text(match &call.values[0] {
                Value::Null => "NULL".to_owned(),
                _ => quote_literal(call.text(0)?),
            }))
        })
        .with_nulls(),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

/// A pattern of SIMILAR TO as a regular expression (PostgreSQL's `similar_to_escape`).
fn similar_pattern(pattern: &str, escape: &str) -> Result<String> {
    let mut escapes = escape.chars();
    let (escape, rest) = (escapes.next(), escapes.next());
    if rest.is_some() {
        return Err(Error::new("22025", "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    let mut out = String::from("^(?s:");
    let (mut escaped, mut in_brackets) = (false, false);
    for c in pattern.chars() {
        if escaped {
            // A letter or digit after a backslash would mean something else.
            if !c.is_alphanumeric() && c != '_' {
                out.push('\\');
            }
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
    out.push_str(")$");
    Ok(out)
}

/// A name as it must be written in SQL.
pub(crate) fn quote_ident(name: &str) -> String {
    let mut characters = name.chars();
    let plain = characters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let reserved = || {
        sqlparser::keywords::RESERVED_FOR_COLUMN_ALIAS
            .iter()
            .chain(sqlparser::keywords::RESERVED_FOR_TABLE_ALIAS)
            .any(|keyword| format!("{keyword:?}").eq_ignore_ascii_case(name))
    };
    if plain && !reserved() { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A text as a literal.
pub(crate) fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn similar_patterns() {
        assert_eq!(similar_pattern("a(b|c)+", "\\").unwrap(), "^(?s:a(?:b|c)+)$");
        assert_eq!(similar_pattern("_\\%.%", "\\").unwrap(), "^(?s:.\\%\\..*)$");
        assert_eq!(similar_pattern("[a-c]#_", "#").unwrap(), "^(?s:[a-c]_)$");
        assert_eq!(similar_pattern("a", "xy").unwrap_err().sqlstate(), "22025");
    }
}
