//! Random concurrent histories on real threads, judged: each level shows what it permits and nothing else.
//!
//! `CAIRN_TRANSACTIONS` (commits), `CAIRN_LEVEL`, `CAIRN_CLIENTS` and `CAIRN_SEED` set what runs; `cargo xtask
//! isolation` sets them. The seed decides what the transactions do, the machine how they meet.

#[cfg(feature = "sql")]
mod crashes;
#[cfg(feature = "sql")]
mod ddl;
mod keys;
#[cfg(feature = "sql")]
mod killed;
#[cfg(feature = "sql")]
mod mixed;
#[cfg(feature = "sql")]
mod parts;
#[cfg(feature = "sql")]
mod past;
mod soak;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "sql")]
mod waits;

use cairn_history::{Shape, Workload};
use cairn_testkit::histories::{expected, judge, record, unseen};
use cairn_testkit::interleave::ScriptLevel;
use cairndb::{Database, IsolationLevel, OpenOptions, SyncMode};

use self::keys::Keys;

/// The levels of the key-value API, as in `CAIRN_LEVEL`, and what the table says of them.
const LEVELS: &[(&str, IsolationLevel, ScriptLevel)] = &[
    ("read-committed", IsolationLevel::ReadCommitted, ScriptLevel::ReadCommitted),
    ("repeatable-read", IsolationLevel::RepeatableRead, ScriptLevel::RepeatableRead),
    ("snapshot", IsolationLevel::Snapshot, ScriptLevel::RepeatableRead),
    ("serializable", IsolationLevel::Serializable, ScriptLevel::Serializable),
];

/// Commits of a history in an ordinary test run.
const TRANSACTIONS: u64 = 6_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn histories_show_what_their_level_permits() {
    let seed = number("CAIRN_SEED", 1);
    let commits = number("CAIRN_TRANSACTIONS", TRANSACTIONS);
    let clients = number("CAIRN_CLIENTS", 6);
    let asked = std::env::var("CAIRN_LEVEL").ok();
    let chosen = LEVELS.iter().filter(|(name, ..)| asked.as_deref().is_none_or(|asked| asked == *name));
    let mut ran = 0;
    for (name, level, table) in chosen {
        ran += 1;
        let expected = expected(*table);
        // In memory, and on disk with memtables so small that flushes and compactions go on all the time.
        let directory = tempfile::tempdir().unwrap();
        let options = OpenOptions::new().sync(SyncMode::None).memtable_bytes(64 << 10);
        let databases = [
            Database::in_memory().unwrap(),
            Database::open_with(directory.path().join("db"), options).unwrap(),
        ];
        let mut verdicts = Vec::new();
        for (number, (db, place)) in databases.iter().zip(["in memory", "on disk"]).enumerate() {
            let seed = seed + number as u64;
            let workload = Workload::new(seed, Shape::default());
            let history =
                record(&workload, commits / 2, clients, |process| Keys::new(db, workload, *level, process));
            let verdict = judge(&format!("{name} {place}, seed {seed}"), &expected, &history).unwrap();
            let line = verdict.to_string().lines().next().unwrap_or_default().to_owned();
            println!("{name} {place}, seed {seed}: {} begun; {line}", history.transactions.len());
            verdicts.push(verdict);
        }
        let unseen = unseen(&expected, &verdicts);
        assert!(unseen.is_empty(), "{name} never shows {unseen:?}: the workload is not sharp");
    }
    assert!(ran > 0, "there is no level {asked:?}");
}
