//! Golden scripts of interleaved SQL sessions: each step with the outcome that PostgreSQL gives at each level.
//!
//! ```text
//! # a comment
//! setup create table test (id int primary key, value int)
//! T1 begin                                   becomes BEGIN with the level
//! T2 begin
//! T1 update test set value = 11 where id = 1
//! T2 update test set value = 12 where id = 1
//!    blocks                                  an indented line is what is expected of the step above
//! T1 commit
//! T2 resumes                                 what the blocked step gives in the end
//!    rc: 1 changed                           only at these levels
//!    rr ser: error 40001
//! T2 [rc] select value from test             a step that is done at these levels only
//!    = 12 | 20                               rows, cells apart by one blank; `=` alone: none
//! ```
//! A step without expectation must succeed. Levels: `rc` read committed, `rr` repeatable read, `ser` serializable.
//!
//! A session is a thread, so that it can wait for another. That a step blocks is seen by its not having ended for a
//! while: a slow machine can hide that a step does not block, but never fails a script that is right.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::slt::Outcome;

/// A connection that runs statements, one after the other.
pub trait Session: Send {
    /// Runs one statement to its end, waiting as long as it waits.
    fn execute(&mut self, sql: &str) -> Outcome;
}

/// A way to open sessions of one database, which is empty at the beginning of each script.
pub type Connect<'c> = dyn FnMut() -> Box<dyn Session> + 'c;

/// At which level the sessions begin their transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptLevel {
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

impl ScriptLevel {
    /// Every level.
    pub const ALL: [ScriptLevel; 3] =
        [ScriptLevel::ReadCommitted, ScriptLevel::RepeatableRead, ScriptLevel::Serializable];

    fn word(self) -> &'static str {
        match self {
            ScriptLevel::ReadCommitted => "rc",
            ScriptLevel::RepeatableRead => "rr",
            ScriptLevel::Serializable => "ser",
        }
    }

    /// As SQL spells it.
    pub fn sql(self) -> &'static str {
        match self {
            ScriptLevel::ReadCommitted => "read committed",
            ScriptLevel::RepeatableRead => "repeatable read",
            ScriptLevel::Serializable => "serializable",
        }
    }
}

/// How sessions meet who wants to write the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflicts {
    /// They wait, as in PostgreSQL: the script is taken by the letter.
    Wait,
    /// They go on and fail at their commit at the latest. What the script says of steps after the one that should
    /// have failed is not looked at; that the commit fails is.
    AtCommit,
}

/// How long a step must not have ended to count as blocked.
const BLOCKED: Duration = Duration::from_millis(150);
/// How long any other step may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expected {
    Success,
    Blocks,
    Changed(u64),
    Rows(Vec<String>),
    Error(String),
}

#[derive(Clone, Debug)]
struct Step {
    line: usize,
    session: String,
    sql: String,
    /// Empty: all.
    levels: Vec<String>,
    /// Levels (empty: all) and what is expected there.
    expected: Vec<(Vec<String>, Expected)>,
}

fn levels(words: &str) -> Option<Vec<String>> {
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    let known = |word: &String| ScriptLevel::ALL.iter().any(|level| level.word() == word);
    (!words.is_empty() && words.iter().all(known)).then_some(words)
}

fn expectation(text: &str) -> Option<(Vec<String>, Expected)> {
    let (at, what) = match text.split_once(':').map(|(words, rest)| (levels(words), rest)) {
        Some((Some(at), rest)) => (at, rest.trim()),
        _ => (Vec::new(), text),
    };
    let expected = match what {
        "ok" => Expected::Success,
        "blocks" => Expected::Blocks,
        _ => {
            if let Some(rows) = what.strip_prefix('=') {
                let rows = rows.split('|').map(|row| row.trim().to_owned()).filter(|row| !row.is_empty());
                Expected::Rows(rows.collect())
            } else if let Some(count) = what.strip_suffix(" changed") {
                Expected::Changed(count.parse().ok()?)
            } else {
                Expected::Error(what.strip_prefix("error ")?.to_owned())
            }
        }
    };
    Some((at, expected))
}

fn parse(text: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let error = || format!("line {}: cannot read {line}", at + 1);
        let words = line.trim();
        if words.is_empty() || words.starts_with('#') {
            continue;
        }
        if line.starts_with(' ') {
            let expected = expectation(words).ok_or_else(error)?;
            steps.last_mut().ok_or_else(error)?.expected.push(expected);
            continue;
        }
        let (session, mut sql) = words.split_once(' ').ok_or_else(error)?;
        let mut only = Vec::new();
        if let Some((inner, rest)) = sql.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            only = levels(inner).ok_or_else(error)?;
            sql = rest.trim();
        }
        let (session, sql) = (session.to_owned(), sql.to_owned());
        steps.push(Step { line: at + 1, session, sql, levels: only, expected: Vec::new() });
    }
    Ok(steps)
}

/// A session's thread, seen from outside.
struct Worker {
    work: Sender<String>,
    results: Receiver<Outcome>,
    /// A step that has not ended yet.
    waits: bool,
    /// It should have failed and went on: its commit must fail.
    doomed: bool,
}

impl Worker {
    fn start(mut session: Box<dyn Session>) -> Worker {
        let (work, todo) = channel::<String>();
        let (done, results) = channel();
        // Detached: where a script fails, a session may wait for a lock until the others are dropped.
        std::thread::spawn(move || {
            while let Ok(sql) = todo.recv() {
                if done.send(session.execute(&sql)).is_err() {
                    return;
                }
            }
        });
        Worker { work, results, waits: false, doomed: false }
    }
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Command(count) => format!("{count} changed"),
        Outcome::Error(state, message) => format!("error {state} ({message})"),
        Outcome::Rows(rows) => format!("= {}", texts(rows).join(" | ")),
    }
}

fn texts(rows: &[Vec<Option<String>>]) -> Vec<String> {
    let text = |row: &Vec<Option<String>>| {
        row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join(" ")
    };
    rows.iter().map(text).collect()
}

fn fits(expected: &Expected, outcome: &Outcome) -> bool {
    match (expected, outcome) {
        (Expected::Success, Outcome::Rows(_) | Outcome::Command(_)) => true,
        (Expected::Changed(count), Outcome::Command(found)) => count == found,
        (Expected::Rows(rows), Outcome::Rows(found)) => *rows == texts(found),
        (Expected::Error(state), Outcome::Error(found, _)) => state == found,
        _ => false,
    }
}

/// The scripts (`.txt`) of a directory, by name.
///
/// # Errors
/// The directory cannot be read.
pub fn scripts(dir: &std::path::Path) -> std::io::Result<Vec<(String, String)>> {
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            scripts.push((name, std::fs::read_to_string(&path)?));
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// Runs a script at a level; gives how many steps were judged.
///
/// # Errors
/// The first step that went otherwise, with what was expected; or a line that cannot be read.
pub fn run_script(
    name: &str,
    text: &str,
    level: ScriptLevel,
    conflicts: Conflicts,
    connect: &mut Connect<'_>,
) -> Result<usize, String> {
    let steps = parse(text).map_err(|error| format!("{name}: {error}"))?;
    let mut workers: BTreeMap<String, Worker> = BTreeMap::new();
    let mut judged = 0;
    let applies = |at: &[String]| at.is_empty() || at.iter().any(|word| word == level.word());
    for step in steps.iter().filter(|step| applies(&step.levels)) {
        let expected = step.expected.iter().find(|(at, _)| applies(at));
        let expected = expected.map_or(Expected::Success, |(_, expected)| expected.clone());
        let worker = workers.entry(step.session.clone()).or_insert_with(|| Worker::start(connect()));
        let fail = |found: String| {
            Err(format!(
                "{name}:{} at {}: {} {}\n  expected {expected:?}\n  got {found}",
                step.line,
                level.sql(),
                step.session,
                step.sql
            ))
        };
        judged += 1;
        if step.sql == "resumes" {
            if !worker.waits {
                // It did not wait: now it has done what it had to wait for, and pays at its commit.
                worker.doomed |= matches!(expected, Expected::Error(_));
                continue;
            }
        } else {
            let sql = match step.sql.as_str() {
                "begin" => format!("begin isolation level {}", level.sql()),
                sql => sql.to_owned(),
            };
            if worker.work.send(sql).is_err() {
                return fail("a session that is gone".to_owned());
            }
        }
        worker.waits = false;
        let patience = if expected == Expected::Blocks { BLOCKED } else { PATIENCE };
        let outcome = match worker.results.recv_timeout(patience) {
            Ok(outcome) => outcome,
            Err(RecvTimeoutError::Timeout) if expected == Expected::Blocks => {
                worker.waits = true;
                continue;
            }
            Err(RecvTimeoutError::Timeout) => return fail("nothing: it waits".to_owned()),
            Err(RecvTimeoutError::Disconnected) => return fail("a session that failed".to_owned()),
        };
        if conflicts == Conflicts::AtCommit {
            let serialization =
                matches!(&outcome, Outcome::Error(state, _) if state == "40001" || state == "25P02");
            let ends = ["commit", "rollback"].contains(&step.sql.as_str());
            match (worker.doomed, ends) {
                (true, true) if step.sql == "commit" && !serialization => return fail(shown(&outcome)),
                (true, _) => {
                    worker.doomed = !ends;
                    continue;
                }
                (false, _) if expected == Expected::Blocks => continue,
                (false, false) if matches!(&expected, Expected::Error(state) if state == "40001") => {
                    worker.doomed = !serialization;
                    continue;
                }
                _ => {}
            }
        }
        if !fits(&expected, &outcome) {
            return fail(shown(&outcome));
        }
    }
    match workers.iter().find(|(_, worker)| worker.doomed) {
        Some((session, _)) => Err(format!("{name} at {}: {session} should have failed", level.sql())),
        None => Ok(judged),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Answers from a list; waits for a word where the list says so.
    struct Canned;

    impl Session for Canned {
        fn execute(&mut self, sql: &str) -> Outcome {
            match sql {
                "wait" => {
                    std::thread::sleep(4 * BLOCKED);
                    Outcome::Error("40001".into(), String::new())
                }
                "read" => Outcome::Rows(vec![vec![Some("1".into()), None], vec![Some("2".into()), None]]),
                "begin isolation level repeatable read" | "commit" => Outcome::Command(0),
                "late" => Outcome::Error("40001".into(), String::new()),
                other => panic!("{other}"),
            }
        }
    }

    fn run(text: &str, conflicts: Conflicts) -> Result<usize, String> {
        run_script("t", text, ScriptLevel::RepeatableRead, conflicts, &mut || Box::new(Canned))
    }

    #[test]
    fn steps_are_judged() {
        let text = "# c\nT1 begin\nT2 [rc] nothing\nT1 wait\n  rc: ok\n  rr ser: blocks\nT2 read\n  = 1 NULL | 2 NULL\nT1 resumes\n  error 40001\nT1 commit\n  0 changed";
        assert_eq!(run(text, Conflicts::Wait), Ok(5));
        assert!(run("T1 read\n  = 1 NULL", Conflicts::Wait).unwrap_err().contains("t:1 at repeatable read"));
        assert!(run("T1 read\n  blocks", Conflicts::Wait).unwrap_err().contains("got = 1 NULL"));
        assert!(run("T1 read\n  bloks", Conflicts::Wait).unwrap_err().contains("line 2"));
    }

    #[test]
    fn who_should_have_waited_pays_at_the_commit() {
        let text = "T1 read\n  blocks\nT1 resumes\n  error 40001\nT1 commit";
        assert!(run(text, Conflicts::Wait).is_err());
        assert!(run(text, Conflicts::AtCommit).unwrap_err().contains("commit"));
        assert!(
            run("T1 read\n  error 40001", Conflicts::AtCommit).unwrap_err().contains("should have failed")
        );
    }
}
