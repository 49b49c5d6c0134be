//! Functions over text that DataFusion lacks.

use cairn_types::{DataType, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::{Simple, Takes};

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use DataType as T;
    let immutable = Volatility::Immutable;
    vec![
        Simple::new("cairn_similar", Takes::Exact(vec![T::Text, T::Text]), T::Text, immutable, |call| {
            super::similar::pattern(call.text(0)?, call.text(1)?).map(Value::Text)
        }),
        Simple::new("quote_ident", Takes::Exact(vec![T::Text]), T::Text, immutable, |call| {
            Ok(Value::Text(quote_ident(call.text(0)?)))
        }),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
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
