//! Every code block of the documentation runs. Per document, in order, in one temporary directory that has the
//! repository's `examples`:
//! - `sql` is given to `cairn guide.db` on standard input and must succeed; a `text` block right behind it is the
//!   output that the reader is told to expect, in table form;
//! - `sh` lines that begin with `cairn` run in a shell with this build's `cairn`; other lines must be commands that
//!   CI runs by itself;
//! - `toml` blocks are excerpts of the reader's own manifest, and `text` blocks are shown only;
//! - `curl` lines, and the `json` and `csv` behind them, are the tests' of `cairn-server`;
//! - `rust` blocks are documentation tests of `cairndb`, which must include the document.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cairn_testkit::markdown::{Block, blocks};

/// Lines of `sh` blocks that CI, or a test of its own, runs.
const RUN_ELSEWHERE: &[&str] = &[
    "cargo xtask",
    "cargo test",
    "cargo install --path crates/cairn-cli",
    "cd bench",
    "bash .ci/run",
    "CAIRN_SEED=",
    // By the tests of cairn-server.
    "curl ",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md"), root().join("docs/sql.md")];
    for entry in fs::read_dir(root().join("docs/guide")).expect("docs/guide") {
        found.push(entry.expect("entry").path());
    }
    found.sort();
    found
}

fn cairn() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cairn"))
}

fn with_input(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cairn starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("input is read");
    child.wait_with_output().expect("cairn ends")
}

fn run_sql(directory: &Path, block: &Block, expected: Option<&Block>, place: &str) {
    let format = if expected.is_some() { "table" } else { "csv" };
    let output =
        with_input(cairn().args(["guide.db", "--format", format]).current_dir(directory), &block.text);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{place}: {errors}");
    if let Some(expected) = expected {
        let lines = |text: &str| text.lines().map(|line| line.trim_end().to_string()).collect::<Vec<_>>();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(lines(shown.trim_end()), lines(expected.text.trim_end()), "{place}: output differs");
    }
}

fn run_shell(directory: &Path, block: &Block, place: &str) {
    let binary = Path::new(env!("CARGO_BIN_EXE_cairn")).parent().expect("a directory");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    for line in block.text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if RUN_ELSEWHERE.iter().any(|known| line.starts_with(known)) {
            continue;
        }
        assert!(line.split_whitespace().any(|word| word == "cairn"), "{place}: nobody runs `{line}`");
        let output =
            with_input(Command::new("sh").args(["-ec", line]).env("PATH", &path).current_dir(directory), "");
        assert!(output.status.success(), "{place}: `{line}`: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_code_block_runs() {
    let facade = fs::read_to_string(root().join("crates/cairndb/src/lib.rs")).expect("cairndb");
    for document in documents() {
        let name = document.file_name().expect("a file").to_string_lossy().into_owned();
        let directory = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink(
            root().canonicalize().expect("root").join("examples"),
            directory.path().join("examples"),
        )
        .expect("link");
        old_sqlite(directory.path());
        let text = fs::read_to_string(&document).expect("a document");
        let blocks = blocks(&text);
        for (index, block) in blocks.iter().enumerate() {
            let place = format!("{name}:{}", block.line);
            match block.info.as_str() {
                "sql" => {
                    let expected =
                        blocks.get(index + 1).filter(|next| next.info == "text" && adjacent(block, next));
                    run_sql(directory.path(), block, expected, &place);
                }
                "sh" => run_shell(directory.path(), block, &place),
                "rust" => assert!(
                    facade.contains(&name),
                    "{place}: cairndb does not include this document's examples"
                ),
                "text" => {}
                // What curl shows; the tests of cairn-server ask and compare.
                "json" | "csv" => assert!(
                    index > 0
                        && adjacent(&blocks[index - 1], block)
                        && blocks[index - 1].text.contains("curl "),
                    "{place}: an answer without a question"
                ),
                "toml" => assert!(block.text.contains("[dependencies]"), "{place}: nobody reads this"),
                other => panic!("{place}: a code block of kind `{other}` is run by nobody"),
            }
        }
    }
}

/// The SQLite database that the guide imports.
fn old_sqlite(directory: &Path) {
    let connection = rusqlite::Connection::open(directory.join("old.sqlite")).expect("SQLite");
    let sql = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes VALUES (1, 'a'), (2, NULL)";
    connection.execute_batch(sql).expect("SQLite");
}

/// Whether one block stands right behind the other, with nothing but a blank line between.
fn adjacent(block: &Block, next: &Block) -> bool {
    next.line <= block.line + block.text.lines().count() + 3
}
