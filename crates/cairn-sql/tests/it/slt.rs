//! The SQL files under `tests/sql` against an in-memory database each.

use std::collections::HashMap;
use std::path::Path;

use cairn_engine::Database;
use cairn_sql::{Engine, Session, SqlOptions, StatementResult};
use cairn_testkit::slt::{self, Outcome};
use cairn_types::text::format_cell;

fn run(session: &mut Session, sql: &str) -> cairn_sql::Result<Outcome> {
    let mut rows = match session.execute(sql, &[])? {
        StatementResult::Command { rows, .. } => return Ok(Outcome::Command(rows)),
        StatementResult::Rows(rows) => rows,
    };
    let types: Vec<_> = rows.columns().iter().map(|c| c.ty.clone()).collect();
    let mut out = Vec::new();
    while let Some(batch) = rows.next_batch()? {
        for row in 0..batch.num_rows() {
            let cell = |(i, ty)| {
                let array = batch.column(i);
                (!array.is_null(row)).then(|| {
                    let mut text = String::new();
                    format_cell(array, row, ty, &mut text);
                    text
                })
            };
            out.push(types.iter().enumerate().map(cell).collect());
        }
    }
    Ok(Outcome::Rows(out))
}

pub(crate) fn outcome(session: &mut Session, sql: &str) -> Outcome {
    run(session, sql).unwrap_or_else(|error| {
        let detail = error.detail().map(|d| format!(" / {d}")).unwrap_or_default();
        let hint = error.hint().map(|h| format!(" / {h}")).unwrap_or_default();
        Outcome::Error(error.sqlstate().to_owned(), format!("{}{detail}{hint}", error.message()))
    })
}

/// `CAIRN_SLT=name` runs the files whose name holds it.
#[test]
fn sql_files_give_postgresqls_answers() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sql");
    let only = std::env::var("CAIRN_SLT").unwrap_or_default();
    let scratch = tempfile::tempdir().expect("a directory for files");
    let (mut count, mut failures) = (0, String::new());
    for (name, text) in slt::files(&dir).expect("tests/sql is there") {
        if !name.contains(&only) {
            continue;
        }
        let database = Database::in_memory().expect("a database in memory");
        let engine = Engine::new(database, SqlOptions::default()).expect("an engine");
        let mut sessions: HashMap<String, Session> = HashMap::new();
        let text = text.replace("$DIR", &scratch.path().to_string_lossy());
        let mut on = |connection: &str, sql: &str| {
            let session = sessions.entry(connection.to_owned()).or_insert_with(|| engine.session());
            outcome(session, sql)
        };
        match slt::run_text(&name, &text, &mut on) {
            Ok(records) => count += records,
            Err(report) => failures.push_str(&report),
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(count > 0, "no records ran");
}

/// `cargo xtask conformance` writes the document.
#[test]
fn the_conformance_document_is_what_the_tests_show() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let current = cairn_testkit::conformance::is_current(&root).expect("tests and document are there");
    assert!(current, "run `cargo xtask conformance`");
}
