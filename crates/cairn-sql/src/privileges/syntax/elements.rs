//! The elements of CREATE SCHEMA: statements that follow it without a semicolon between them.

use crate::parse::lexer::{Kind, Lexer};

/// A CREATE SCHEMA without its elements, and these; `None` for any other text.
pub(crate) fn of_schema(sql: &str) -> Option<(&str, Vec<&str>)> {
    let mut words = Lexer::new(sql).map(|token| &sql[token.start..token.end]);
    let is = |word: Option<&str>, wanted: &str| word.is_some_and(|own| own.eq_ignore_ascii_case(wanted));
    if !is(words.next(), "CREATE") || !is(words.next(), "SCHEMA") {
        return None;
    }
    let (mut starts, mut depth) = (Vec::new(), 0_usize);
    for token in Lexer::new(sql).skip(2) {
        match token.kind {
            Kind::Punctuation(b'(' | b'[') => depth += 1,
            Kind::Punctuation(b')' | b']') => depth = depth.saturating_sub(1),
            Kind::Word if depth == 0 => {
                let word = &sql[token.start..token.end];
                if word.eq_ignore_ascii_case("CREATE") || word.eq_ignore_ascii_case("GRANT") {
                    starts.push(token.start);
                }
            }
            _ => {}
        }
    }
    let head = &sql[..starts.first().copied().unwrap_or(sql.len())];
    let ends = starts.iter().skip(1).copied().chain([sql.len()]);
    let elements = starts.iter().zip(ends).map(|(start, end)| sql[*start..end].trim()).collect();
    Some((head, elements))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_begin_with_create_and_grant() {
        let sql = "CREATE SCHEMA s CREATE TABLE t (a int DEFAULT (1)) CREATE VIEW v AS SELECT 'CREATE' GRANT SELECT ON t TO x";
        let (head, elements) = of_schema(sql).expect("CREATE SCHEMA");
        assert_eq!(head, "CREATE SCHEMA s ");
        assert_eq!(elements.len(), 3);
        assert_eq!(elements[1], "CREATE VIEW v AS SELECT 'CREATE'");
        assert_eq!(of_schema("CREATE SCHEMA s").map(|(_, elements)| elements.len()), Some(0));
        assert!(of_schema("CREATE TABLE t (a int)").is_none());
    }
}
