//! Completion: keywords, tables, columns, and the shell's own commands.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use reedline::{Completer, CompletionResult, Span, Suggestion};

use crate::script::Runner;

/// Words of SQL that are worth completing.
pub(crate) const KEYWORDS: &[&str] = &[
    "ADD",
    "ALL",
    "ALTER",
    "ANALYZE",
    "AND",
    "ARRAY",
    "AS",
    "ASC",
    "BEGIN",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "BYTEA",
    "CASCADE",
    "CASE",
    "CAST",
    "CHECK",
    "COALESCE",
    "COLUMN",
    "COMMIT",
    "CONFLICT",
    "CONSTRAINT",
    "COPY",
    "COUNT",
    "CREATE",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DATE",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DO",
    "DOUBLE PRECISION",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXECUTE",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FOREIGN KEY",
    "FROM",
    "FULL",
    "GENERATED",
    "GROUP BY",
    "HAVING",
    "IDENTITY",
    "IF",
    "IN",
    "INDEX",
    "INNER",
    "INSERT INTO",
    "INTEGER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "ISOLATION LEVEL",
    "JOIN",
    "JSON",
    "JSONB",
    "KEY",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NOTHING",
    "NULL",
    "NUMERIC",
    "OFFSET",
    "ON",
    "OR",
    "ORDER BY",
    "OUTER",
    "OVER",
    "PARTITION BY",
    "PREPARE",
    "PRIMARY KEY",
    "REAL",
    "RECURSIVE",
    "REFERENCES",
    "RENAME",
    "REPEATABLE READ",
    "RESTRICT",
    "RETURNING",
    "RIGHT",
    "ROLLBACK",
    "SAVEPOINT",
    "SCHEMA",
    "SELECT",
    "SEQUENCE",
    "SERIAL",
    "SERIALIZABLE",
    "SET",
    "SHOW",
    "SMALLINT",
    "STDIN",
    "STDOUT",
    "TABLE",
    "TEXT",
    "THEN",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TO",
    "TRANSACTION",
    "TRUE",
    "TRUNCATE",
    "UNION",
    "UNIQUE",
    "UPDATE",
    "USING",
    "UUID",
    "VALUES",
    "VARCHAR",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// Names in the database, as they were before the line was begun.
#[derive(Clone, Default)]
pub(crate) struct Words(Arc<Mutex<Names>>);

#[derive(Default)]
struct Names {
    version: Option<u64>,
    tables: BTreeSet<String>,
    columns: BTreeSet<String>,
}

impl Words {
    /// Takes over new names, when definitions have changed.
    pub(crate) fn refresh(&self, runner: &Runner) {
        let catalog = runner.session.catalog();
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.version == Some(catalog.version()) {
            return;
        }
        *names = Names { version: Some(catalog.version()), ..Names::default() };
        names.tables.insert(cairndb::catalog::STORE.to_owned());
        names.columns.extend(["key".to_owned(), "value".to_owned()]);
        for table in catalog.tables() {
            names.tables.insert(shown(&table.schema, &table.name));
            names.columns.extend(table.live_columns().map(|column| quoted(&column.name)));
        }
        for view in catalog.views() {
            names.tables.insert(shown(&view.schema, &view.name));
            names.columns.extend(view.columns.iter().map(|column| quoted(&column.name)));
        }
    }
}

/// A name as a statement must spell it: with its schema unless that is `public`, in quotes where needed.
fn shown(schema: &str, name: &str) -> String {
    if schema == cairndb::catalog::PUBLIC {
        quoted(name)
    } else {
        format!("{}.{}", quoted(schema), quoted(name))
    }
}

/// The name, in double quotes where SQL would read it otherwise.
pub(crate) fn quoted(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_')
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// The completer of the shell.
pub(crate) struct SqlCompleter {
    words: Words,
}

impl SqlCompleter {
    /// A completer over these names.
    pub(crate) fn new(words: Words) -> SqlCompleter {
        SqlCompleter { words }
    }

    fn candidates(&self, before: &str, word: &str) -> Vec<String> {
        if before.trim().is_empty() && word.starts_with('\\') {
            return starting_with(
                super::help::COMMANDS.iter().map(|(name, _)| first_word(name)),
                word,
                false,
            );
        }
        let names = self.words.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = || names.tables.iter().map(String::as_str);
        let columns = || names.columns.iter().map(String::as_str);
        let last = before.split_whitespace().next_back().unwrap_or("").to_ascii_uppercase();
        let wants_table =
            matches!(&*last, "FROM" | "JOIN" | "INTO" | "UPDATE" | "TABLE" | "TRUNCATE" | "COPY" | "VIEW")
                || last.starts_with('\\');
        if wants_table {
            return starting_with(tables(), word, false);
        }
        if word.is_empty() {
            return Vec::new();
        }
        let mut all = starting_with(columns(), word, false);
        all.extend(starting_with(tables(), word, false));
        all.extend(starting_with(KEYWORDS.iter().copied(), word, word.chars().all(|c| !c.is_uppercase())));
        all
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or(text)
}

/// Candidates that begin with `word`, whatever its case.
fn starting_with<'a>(all: impl Iterator<Item = &'a str>, word: &str, lower: bool) -> Vec<String> {
    let fits = |candidate: &&str| {
        candidate.len() >= word.len()
            && candidate.is_char_boundary(word.len())
            && candidate[..word.len()].eq_ignore_ascii_case(word)
    };
    let mut found: Vec<String> =
        all.filter(fits).map(|c| if lower { c.to_ascii_lowercase() } else { c.to_owned() }).collect();
    found.dedup();
    found
}

impl Completer for SqlCompleter {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        let typed = &line[..position];
        let start = typed
            .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '\\' | '?')))
            .map_or(0, |at| at + typed[at..].chars().next().map_or(1, char::len_utf8));
        let (before, word) = typed.split_at(start);
        let suggestions: Vec<Suggestion> = self
            .candidates(before, word)
            .into_iter()
            .map(|value| Suggestion {
                value,
                span: Span::new(start, position),
                append_whitespace: true,
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

#[cfg(test)]
mod tests {
    //! What is offered where.

    use super::*;

    fn offered(line: &str) -> Vec<String> {
        let words = Words::default();
        {
            let mut names = words.0.lock().unwrap_or_else(PoisonError::into_inner);
            names.tables.extend(["flights".to_owned(), "planes".to_owned()]);
            names.columns.extend(["dest".to_owned(), "\"Odd\"".to_owned()]);
        }
        let mut completer = SqlCompleter::new(words);
        completer.complete(line, line.len()).suggestions().iter().map(|s| s.value.clone()).collect()
    }

    #[test]
    fn tables_after_from_and_names_elsewhere() {
        assert_eq!(offered("SELECT * FROM "), ["flights", "planes"]);
        assert_eq!(offered("select * from fl"), ["flights"]);
        assert_eq!(offered("SELECT de"), ["dest", "default", "delete", "desc"]);
        assert_eq!(offered("SEL"), ["SELECT"]);
        assert_eq!(offered("\\tim"), ["\\timing"]);
    }

    #[test]
    fn odd_names_are_quoted() {
        assert_eq!(quoted("plain_1"), "plain_1");
        assert_eq!(quoted("Odd \"x\""), "\"Odd \"\"x\"\"\"");
    }
}
