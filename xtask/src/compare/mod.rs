//! `cargo xtask compare`: bodies of SQL through `cairn` and through PostgreSQL, statement by statement, and where they differ.
//!
//! ```text
//! cargo xtask compare --postgres CONNINFO [--setup FILE] [--set NAME=VALUE]… FILE…
//! ```
//! Files are scripts for psql, such as PostgreSQL's own regression tests (`src/test/regress/sql`, whose `test_setup.sql` is the
//! setup and whose variable `abs_srcdir` is their directory). Each gets a new database on both sides, in which the setup runs first;
//! PostgreSQL's is called `cairn_compare`. What differs is written to `target/compare`, a file for each script.

mod script;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::cargo::cargo;

const DATABASE: &str = "cairn_compare";
/// What both sides are told before all: what shows times, and how long a statement may take.
const BEFORE: &str = "SET timezone = 'UTC';\nSET datestyle = 'ISO, MDY';\nSET statement_timeout = '30s';\n";
/// Stands before the output of a statement, with its number.
const MARK: &str = "@@";

struct Asked {
    postgres: String,
    setup: Option<PathBuf>,
    variables: BTreeMap<String, String>,
    files: Vec<PathBuf>,
}

/// How the answers to a statement compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Same,
    /// The same rows, in an order that was not asked for, or was.
    OtherOrder,
    BothFail,
    /// Both fail with different words.
    OtherError,
    OnlyCairnFails,
    OnlyPostgresFails,
    OtherRows,
    /// Plans are for people.
    Plan,
    /// In a transaction that has failed for one of the others.
    Aborted,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Error(String),
    Rows(Vec<String>),
}

/// Runs what the arguments ask for.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let asked = asked(std::env::args().skip(2))?;
    cargo(root, &["build", "--workspace", "--bin", "cairn"])?;
    let target = crate::cargo::target(root);
    let cairn = target.join("debug/cairn");
    let out = root.join("target/compare");
    std::fs::create_dir_all(&out).context("making target/compare")?;
    let setup = match &asked.setup {
        Some(path) => statements(path, &asked.variables)?,
        None => Vec::new(),
    };
    let mut total: BTreeMap<Verdict, usize> = BTreeMap::new();
    for file in &asked.files {
        let all = [setup.clone(), statements(file, &asked.variables)?].concat();
        let found = compare(&asked.postgres, &cairn, &all, setup.len(), file, &out)?;
        println!("{}: {}", file.display(), figures(&found));
        for (verdict, count) in found {
            *total.entry(verdict).or_default() += count;
        }
    }
    println!("all: {}", figures(&total));
    Ok(())
}

fn asked(mut words: impl Iterator<Item = String>) -> anyhow::Result<Asked> {
    let mut asked =
        Asked { postgres: String::new(), setup: None, variables: BTreeMap::new(), files: Vec::new() };
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--postgres" => asked.postgres = value()?,
            "--setup" => asked.setup = Some(PathBuf::from(value()?)),
            "--set" => {
                let given = value()?;
                let (name, value) = given.split_once('=').context("--set takes NAME=VALUE")?;
                asked.variables.insert(name.to_owned(), value.to_owned());
            }
            option if option.starts_with("--") => bail!("unknown option {option}"),
            _ => asked.files.push(PathBuf::from(word)),
        }
    }
    ensure!(!asked.postgres.is_empty(), "--postgres CONNINFO says which server to compare with");
    ensure!(!asked.files.is_empty(), "there is no file to run");
    Ok(asked)
}

fn statements(path: &Path, variables: &BTreeMap<String, String>) -> anyhow::Result<Vec<String>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(script::statements(&String::from_utf8_lossy(&bytes), variables))
}

fn figures(found: &BTreeMap<Verdict, usize>) -> String {
    found.iter().map(|(verdict, count)| format!("{verdict:?} {count}")).collect::<Vec<_>>().join(", ")
}

fn compare(
    postgres: &str,
    cairn: &Path,
    all: &[String],
    skipped: usize,
    file: &Path,
    out: &Path,
) -> anyhow::Result<BTreeMap<Verdict, usize>> {
    let psql = |database: &str, script: &str| {
        let conninfo = format!("{postgres} dbname={database}");
        let mut command = Command::new("psql");
        command.args(["--no-psqlrc", "--quiet", "--csv", "--dbname", &conninfo]);
        output(command, script)
    };
    psql("postgres", &format!("DROP DATABASE IF EXISTS {DATABASE};\nCREATE DATABASE {DATABASE};"))?;
    let script = numbered(all);
    let theirs = answers(&psql(DATABASE, &script)?, all.len());
    let mut command = Command::new(cairn);
    command.args([":memory:", "--format", "csv"]);
    let ours = answers(&output(command, &script)?, all.len());
    psql("postgres", &format!("DROP DATABASE IF EXISTS {DATABASE};"))?;
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut report = std::fs::File::create(out.join(format!("{name}.txt")))?;
    let mut found = BTreeMap::new();
    for (at, statement) in all.iter().enumerate().skip(skipped) {
        let verdict = judge(statement, &theirs[at], &ours[at]);
        *found.entry(verdict).or_default() += 1;
        if !matches!(verdict, Verdict::Same | Verdict::BothFail | Verdict::Plan | Verdict::Aborted) {
            let number = at - skipped;
            writeln!(report, "=== {verdict:?} #{number}\n{statement}")?;
            writeln!(report, "--- postgres\n{}\n--- cairn\n{}", shown(&theirs[at]), shown(&ours[at]))?;
        }
    }
    Ok(found)
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Error(message) => message.clone(),
        Answer::Rows(rows) => rows.iter().take(25).cloned().collect::<Vec<_>>().join("\n"),
    }
}

fn numbered(all: &[String]) -> String {
    let mut script = BEFORE.to_owned();
    for (at, statement) in all.iter().enumerate() {
        script.push_str(&format!("\n\\echo {MARK}{at}\n{statement}\n"));
    }
    script
}

/// What a command writes, errors among the rest, when it is given a script.
fn output(mut command: Command, script: &str) -> anyhow::Result<String> {
    let (mut reader, writer) = std::io::pipe()?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    drop(command);
    let mut input = child.stdin.take().context("no standard input")?;
    let script = script.to_owned();
    let feeding = std::thread::spawn(move || input.write_all(script.as_bytes()));
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut bytes)?;
    child.wait()?;
    // A side that has ended early does not read the rest.
    let _ = feeding.join();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The answers by the numbers of their statements; nothing where a side ended before.
fn answers(output: &str, count: usize) -> Vec<Answer> {
    let mut lines: Vec<Vec<&str>> = vec![Vec::new(); count];
    let mut at = None;
    for line in output.lines() {
        match line.strip_prefix(MARK).and_then(|number| number.parse::<usize>().ok()) {
            Some(number) if number < count => at = Some(number),
            _ => {
                if let Some(at) = at {
                    lines[at].push(line);
                }
            }
        }
    }
    lines.into_iter().map(|lines| answer(&lines)).collect()
}

fn answer(lines: &[&str]) -> Answer {
    let error = lines.iter().find_map(|line| {
        let from = ["ERROR:", "FATAL:", "PANIC:"].iter().find_map(|word| line.find(word))?;
        (from == 0 || line.starts_with("psql:")).then(|| line[from..].to_owned())
    });
    if let Some(error) = error {
        return Answer::Error(error);
    }
    // Notices are told, not answered; a caret stands below the text of one.
    let told = ["NOTICE:", "WARNING:", "INFO:", "DETAIL:", "HINT:", "CONTEXT:", "LINE "];
    let is_row = |line: &&&str| {
        !line.is_empty() && !told.iter().any(|word| line.starts_with(word)) && line.trim() != "^"
    };
    Answer::Rows(lines.iter().filter(is_row).map(|line| cells(line)).collect())
}

/// A line without the quotes of empty strings, which psql does not write.
fn cells(line: &str) -> String {
    line.split(',').map(|cell| if cell == "\"\"" { "" } else { cell }).collect::<Vec<_>>().join(",")
}

fn judge(statement: &str, theirs: &Answer, ours: &Answer) -> Verdict {
    let is_plan = statement.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("explain"));
    match (theirs, ours) {
        (Answer::Error(theirs), Answer::Error(ours)) if theirs.trim() == ours.trim() => Verdict::BothFail,
        (Answer::Error(_), Answer::Error(_)) => Verdict::OtherError,
        (Answer::Error(_), Answer::Rows(_)) => Verdict::OnlyPostgresFails,
        (Answer::Rows(_), Answer::Error(error)) => match error.contains("current transaction is aborted") {
            true => Verdict::Aborted,
            false => Verdict::OnlyCairnFails,
        },
        (Answer::Rows(_), Answer::Rows(_)) if is_plan => Verdict::Plan,
        (Answer::Rows(theirs), Answer::Rows(ours)) => {
            let without_blank =
                |rows: &[String]| rows.iter().filter(|row| !row.is_empty()).cloned().collect::<Vec<_>>();
            let (mut theirs, mut ours) = (without_blank(theirs), without_blank(ours));
            if theirs == ours {
                return Verdict::Same;
            }
            theirs.sort();
            ours.sort();
            match (theirs == ours, statement.to_ascii_lowercase().contains("order by")) {
                (true, false) => Verdict::Same,
                (true, true) => Verdict::OtherOrder,
                (false, _) => Verdict::OtherRows,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        let rows = |rows: &[&str]| Answer::Rows(rows.iter().map(|row| (*row).to_owned()).collect());
        let error = |text: &str| Answer::Error(text.to_owned());
        assert_eq!(judge("SELECT 1", &rows(&["a", "1"]), &rows(&["a", "1"])), Verdict::Same);
        assert_eq!(judge("SELECT x ORDER BY y", &rows(&["1", "2"]), &rows(&["2", "1"])), Verdict::OtherOrder);
        assert_eq!(judge("SELECT x", &rows(&["1"]), &rows(&["2"])), Verdict::OtherRows);
        assert_eq!(judge("x", &error("ERROR:  a"), &error("ERROR:  b")), Verdict::OtherError);
        assert_eq!(judge("x", &rows(&[]), &error("ERROR:  a")), Verdict::OnlyCairnFails);
        let output = "SET\n@@0\na,b\n1,\"\"\n@@1\nNOTICE:  so\npsql:<stdin>:3: ERROR:  no\n";
        assert_eq!(answers(output, 3), [rows(&["a,b", "1,"]), error("ERROR:  no"), rows(&[])]);
    }
}
