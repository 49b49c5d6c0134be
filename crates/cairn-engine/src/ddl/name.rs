//! Names: which may be used, which PostgreSQL would choose, and where a column's name stands in SQL text.

use crate::catalog::{Catalog, RESERVED_SCHEMAS};
use crate::error::{Error, ObjectKind, Result};

/// The longest name, in bytes, as PostgreSQL has it.
const NAME_BYTES_MAX: usize = 63;

/// The schema exists, and objects may be made in it.
pub(super) fn usable_schema(catalog: &Catalog, schema: &str) -> Result<()> {
    if RESERVED_SCHEMAS.contains(&schema) {
        return Err(Error::definition(
            "42501",
            format!("permission denied for schema {schema}: it belongs to the database itself"),
        ));
    }
    match catalog.schema(schema) {
        Some(_) => Ok(()),
        None => Err(Error::undefined(ObjectKind::Schema, schema)),
    }
}

/// No relation of the schema has that name.
pub(super) fn free(catalog: &Catalog, schema: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::definition("42601", "zero-length delimited identifier"));
    }
    if catalog.name_taken(schema, name) {
        return Err(Error::duplicate(ObjectKind::Relation, name));
    }
    Ok(())
}

/// `{first}_{second}_{label}`, cut to fit, with a number behind it where `taken`.
pub(super) fn choose(first: &str, second: &str, label: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut number = 0;
    loop {
        let tail = if number == 0 { label.to_owned() } else { format!("{label}{number}") };
        let room = NAME_BYTES_MAX.saturating_sub(tail.len() + 1 + usize::from(!second.is_empty()));
        let (mut a, mut b) = (first.len(), second.len());
        while a + b > room {
            if a > b { a -= 1 } else { b -= 1 }
        }
        let head = floor_char(first, a);
        let middle = floor_char(second, b);
        let name =
            if second.is_empty() { format!("{head}_{tail}") } else { format!("{head}_{middle}_{tail}") };
        if !taken(&name) {
            return name;
        }
        number += 1;
    }
}

fn floor_char(text: &str, mut at: usize) -> &str {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    &text[..at]
}

/// A name as it stands in SQL: quoted where it must be.
pub(super) fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// The default of a SERIAL column.
pub(super) fn nextval_default(schema: &str, sequence: &str) -> String {
    let name = match schema {
        crate::catalog::PUBLIC => quoted(sequence),
        _ => format!("{}.{}", quoted(schema), quoted(sequence)),
    };
    format!("nextval('{}')", name.replace('\'', "''"))
}

/// SQL text with the column `old` renamed. Strings and comments stay; a name before `(` is a function's.
pub(crate) fn rename_in_sql(sql: &str, old: &str, new: &str) -> String {
    rename_where(sql, old, new, |before, called| {
        let _ = before;
        !called
    })
}

/// SQL text with the type `old` renamed: where it stands behind `::` or AS.
pub(super) fn rename_type_in_sql(sql: &str, old: &str, new: &str) -> String {
    rename_where(sql, old, new, |before, _| {
        let before = without_schema(before).trim_end();
        before.ends_with("::") || before.to_ascii_lowercase().ends_with(" as")
    })
}

/// The text before a name, without the schema that may stand there.
fn without_schema(before: &str) -> &str {
    let Some(rest) = before.strip_suffix('.') else { return before };
    match rest.strip_suffix('"') {
        Some(inner) => inner.rfind('"').map_or(inner, |at| &inner[..at]),
        None => rest.trim_end_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$')),
    }
}

/// SQL text with names changed where `meant` says so of the text before them and of whether `(` follows.
fn rename_where(sql: &str, old: &str, new: &str, meant: impl Fn(&str, bool) -> bool) -> String {
    let bytes = sql.as_bytes();
    let mut out = String::with_capacity(sql.len() + 16);
    let mut at = 0;
    while at < bytes.len() {
        let end = token_end(bytes, at);
        let token = &sql[at..end];
        let name = if token.starts_with('"') && token.len() >= 2 {
            Some(token[1..token.len() - 1].replace("\"\"", "\""))
        } else if token.starts_with(is_name_start) {
            Some(token.to_lowercase())
        } else {
            None
        };
        let called = sql[end..].trim_start().starts_with('(') && !token.starts_with('"');
        if name.as_deref() == Some(old) && meant(&sql[..at], called) {
            out.push_str(&quoted(new));
        } else {
            out.push_str(token);
        }
        at = end;
    }
    out
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Where the token that begins at `at` ends: a string, a quoted name, a comment, a word, or one character.
fn token_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let quoted_end = |quote: u8| {
        let mut i = 1;
        while i < rest.len() {
            if rest[i] == quote {
                if rest.get(i + 1) != Some(&quote) {
                    return at + i + 1;
                }
                i += 1;
            }
            i += 1;
        }
        bytes.len()
    };
    match rest[0] {
        b'\'' => quoted_end(b'\''),
        b'"' => quoted_end(b'"'),
        b'-' if rest.starts_with(b"--") => at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        b'/' if rest.starts_with(b"/*") => {
            at + rest.windows(2).position(|w| w == b"*/").map_or(rest.len(), |i| i + 2)
        }
        b if b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80 => {
            let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'$' || *b >= 0x80;
            at + rest.iter().position(|b| !word(b)).unwrap_or(rest.len())
        }
        _ => at + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_only_the_column() {
        let sql = r#"a > 0 AND "a" <> 'a' AND a(b) = ab -- a"#;
        assert_eq!(rename_in_sql(sql, "a", "x y"), r#""x y" > 0 AND "x y" <> 'a' AND a(b) = ab -- a"#);
        assert_eq!(rename_in_sql("É > 1 and A < 2", "a", "b"), "É > 1 and b < 2");
        let typed = r#"x::s.mood, y::"S".mood, CAST(z AS mood), s.mood"#;
        let renamed = r#"x::s.temper, y::"S".temper, CAST(z AS temper), s.mood"#;
        assert_eq!(rename_type_in_sql(typed, "mood", "temper"), renamed);
    }

    #[test]
    fn names_are_cut_and_numbered() {
        assert_eq!(choose("t", "a", "key", |_| false), "t_a_key");
        assert_eq!(choose("t", "", "pkey", |n| n == "t_pkey"), "t_pkey1");
        assert_eq!(choose(&"t".repeat(70), "a", "key", |_| false).len(), 63);
    }
}
