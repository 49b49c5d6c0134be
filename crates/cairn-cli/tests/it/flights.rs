//! The flights data through the command: every question gives the answer that DuckDB and SQLite gave, and so it does
//! when the tables are queried again after the process that loaded them is gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cairn_testkit::answers;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cairn(database: &Path, script: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .arg(database)
        .arg("-f")
        .arg(script)
        .args(["--format", "csv"])
        .current_dir(root())
        .output()
        .expect("cairn starts");
    assert!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn every_question_has_the_independent_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("flights.db");
    for script in ["schema.sql", "load.sql"] {
        cairn(&database, &root().join("examples/flights").join(script));
    }
    let questions = answers::questions(&root(), "flights").expect("questions");
    assert!(questions.len() >= 25, "only {} questions", questions.len());
    let wrong: Vec<String> = questions
        .iter()
        .filter_map(|question| {
            let expected = fs::read_to_string(&question.answer).expect("a golden answer");
            let found = cairn(&database, &question.sql);
            answers::compare(&expected, &found)
                .err()
                .map(|difference| format!("{}: {difference}", question.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
