//! A session in memory, and results as text.

use cairn_engine::Database;
use cairn_sql::{Engine, Error, Results, Session, SqlOptions, StatementResult};
use cairn_types::text::format_cell;

/// An engine over an empty database in memory.
pub(crate) fn engine() -> Engine {
    Engine::new(Database::in_memory().unwrap(), SqlOptions::default()).unwrap()
}

/// A session over an empty database in memory.
pub(crate) fn session() -> Session {
    engine().session()
}

/// Rows as lines, columns separated by `|`, NULL as `NULL`.
pub(crate) fn lines(mut rows: Results) -> Result<Vec<String>, Error> {
    let types: Vec<_> = rows.columns().iter().map(|column| column.ty.clone()).collect();
    let mut lines = Vec::new();
    while let Some(batch) = rows.next_batch()? {
        for row in 0..batch.num_rows() {
            let mut line = String::new();
            for (at, ty) in types.iter().enumerate() {
                if at > 0 {
                    line.push('|');
                }
                let column = batch.column(at);
                if column.is_null(row) {
                    line.push_str("NULL");
                } else {
                    format_cell(&**column, row, ty, &mut line);
                }
            }
            lines.push(line);
        }
    }
    Ok(lines)
}

/// Runs a statement; rows as lines, a command as its tag.
pub(crate) fn run(session: &mut Session, sql: &str) -> Result<Vec<String>, Error> {
    match session.execute(sql, &[])? {
        StatementResult::Rows(rows) => lines(rows),
        StatementResult::Command { tag, .. } => Ok(vec![tag]),
    }
}

/// Runs a statement that must succeed.
pub(crate) fn ok(session: &mut Session, sql: &str) -> Vec<String> {
    run(session, sql).unwrap_or_else(|error| panic!("{sql}\n  {} {error:?}", error.sqlstate()))
}

/// Runs a statement that must fail, and gives its SQLSTATE and message.
pub(crate) fn fails(session: &mut Session, sql: &str) -> (String, String) {
    match run(session, sql) {
        Ok(lines) => panic!("{sql}\n  gave {lines:?}"),
        Err(error) => (error.sqlstate().to_owned(), error.message().to_owned()),
    }
}

/// The names of a query's columns.
pub(crate) fn names(session: &mut Session, sql: &str) -> Vec<String> {
    let rows = session.query(sql, &[]).unwrap_or_else(|error| panic!("{sql}\n  {error:?}"));
    rows.columns().iter().map(|column| column.name.clone()).collect()
}
