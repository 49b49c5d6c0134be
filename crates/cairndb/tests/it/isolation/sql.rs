//! SQL sessions: golden scripts, histories, soaks; and histories of transactions over rows and keys together.

use std::path::Path;

use cairn_history::{Shape, Workload};
use cairn_testkit::histories::{SqlClient, expected, judge, record};
use cairn_testkit::interleave::{Conflicts, ScriptLevel, Session, run_script, scripts};
use cairn_testkit::slt::Outcome;
use cairn_testkit::soak;
use cairndb::Database;

use super::mixed::{LEVELS, Mixed, set_up};

/// How sessions of a level meet: as PostgreSQL's, but for Serializable, where nobody waits and conflicts show at the commit
/// (decision 0011).
fn conflicts(level: ScriptLevel) -> Conflicts {
    match level {
        ScriptLevel::ReadCommitted | ScriptLevel::RepeatableRead => Conflicts::Wait,
        ScriptLevel::Serializable => Conflicts::AtCommit,
    }
}

/// Scripts about waiting, which sessions at Serializable do not follow: another one of the two is refused or waits, or with
/// another error.
const ABOUT_WAITING: [&str; 5] =
    ["first-updater-rolls-back", "for-update-changed", "for-update-join", "foreign-key-race", "unique-race"];

struct SqlSession(cairndb::Session);

impl Session for SqlSession {
    fn execute(&mut self, sql: &str) -> Outcome {
        let rows = match self.0.run(sql) {
            Ok(cairndb::Outcome::Command { rows, .. }) => return Outcome::Command(rows),
            Ok(cairndb::Outcome::Rows(rows)) => rows.collect_rows(),
            Err(error) => Err(error),
        };
        match rows {
            Ok(rows) => Outcome::Rows(rows.iter().map(cells).collect()),
            Err(error) => Outcome::Error(error.sqlstate().to_owned(), error.to_string()),
        }
    }
}

fn cells(row: &cairndb::Row) -> Vec<Option<String>> {
    (0..row.columns().len()).map(|column| row.text(column).unwrap()).collect()
}

fn open(db: &Database) -> Box<dyn Session> {
    Box::new(SqlSession(db.session()))
}

/// `CAIRN_SCRIPT` chooses those whose name begins so.
#[test]
fn scripts_go_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/isolation");
    let mut reports = Vec::new();
    let chosen = std::env::var("CAIRN_SCRIPT").unwrap_or_default();
    for (name, text) in scripts(&directory).unwrap() {
        if !name.starts_with(&chosen) {
            continue;
        }
        for level in ScriptLevel::ALL {
            if level == ScriptLevel::Serializable && ABOUT_WAITING.contains(&name.as_str()) {
                continue;
            }
            let db = Database::in_memory().unwrap();
            if let Err(report) = run_script(&name, &text, level, conflicts(level), &mut || open(&db)) {
                reports.push(report);
            }
        }
    }
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

#[test]
fn histories_of_sessions_show_what_their_level_permits() {
    for level in ScriptLevel::ALL {
        let db = Database::in_memory().unwrap();
        db.execute(SqlClient::SETUP, &[]).unwrap();
        let workload = Workload::new(super::number("CAIRN_SEED", 1), Shape::default());
        let commits = super::number("CAIRN_TRANSACTIONS", 150);
        let history = record(&workload, commits, 4, |_| SqlClient::new(open(&db), workload, level));
        judge(level.sql(), &expected(level), &history).unwrap();
    }
}

#[test]
fn histories_of_rows_and_keys_show_what_their_level_permits() {
    // At Read Committed, where a statement reads one place, in `crashes`.
    for (name, level, table) in LEVELS.into_iter().skip(1) {
        let db = Database::in_memory().unwrap();
        set_up(&db).unwrap();
        let workload = Workload::new(super::number("CAIRN_SEED", 1), Shape::default());
        let commits = super::number("CAIRN_TRANSACTIONS", 150);
        let history = record(&workload, commits, 4, |_| Mixed::new(&db, workload, level, &|| false));
        judge(&format!("{name}, rows and keys"), &expected(table), &history).unwrap();
    }
}

#[test]
fn soaks_of_sessions_keep_their_rules() {
    for level in ScriptLevel::ALL {
        let db = Database::in_memory().unwrap();
        let open = || open(&db);
        let (bank, on_call) = (soak::bank(&open, level, 3, 40), soak::on_call(&open, level, 3, 40));
        println!("{}: bank {bank:?}, on call {on_call:?}", level.sql());
        assert_eq!(bank.broken, 0, "money was made or lost: {bank:?}");
        assert!(level != ScriptLevel::Serializable || on_call.broken == 0, "nobody was on call: {on_call:?}");
    }
}
