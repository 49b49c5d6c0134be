//! TPC-H at scale factor 0.01 through the command: every query gives PostgreSQL's answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cairn_testkit::{answers, tpch};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cairn(database: &Path, script: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .arg(database)
        .arg("-f")
        .arg(script)
        .args(["--format", "csv"])
        .output()
        .expect("cairn starts");
    assert!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn every_query_has_postgresqls_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    for table in tpch::TABLES {
        let mut file = fs::File::create(directory.path().join(format!("{table}.csv"))).expect("a file");
        tpch::write(table, 0.01, &mut file).expect("data");
    }
    let example = root().join("examples/tpch");
    let load = fs::read_to_string(example.join("load.sql")).expect("load.sql");
    let own = directory.path().join("load.sql");
    fs::write(&own, load.replace("target/tpch", &directory.path().display().to_string())).expect("a file");
    let database = directory.path().join("tpch.db");
    cairn(&database, &example.join("schema.sql"));
    cairn(&database, &own);
    let questions = answers::questions(&root(), "tpch").expect("questions");
    assert_eq!(questions.len(), 22);
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
