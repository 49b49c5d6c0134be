//! Random concurrent histories on real threads, judged: each level shows what it permits and nothing else.
//!
//! `CAIRN_TRANSACTIONS` (commits), `CAIRN_LEVEL`, `CAIRN_CLIENTS` and `CAIRN_SEED` set what runs; `cargo xtask
//! isolation` sets them. The seed decides what the transactions do, the machine how they meet.

mod keys;

use std::sync::atomic::{AtomicU64, Ordering};

use cairn_history::{
    AnomalyKind, History, Level, Outcome, Plan, Planned, Shape, Ticks, Transaction, Verdict, Workload, check,
    run,
};
use cairndb::{Database, IsolationLevel, OpenOptions, SyncMode};

use self::keys::Keys;

/// What histories of a level may show.
struct Expected {
    /// As in `CAIRN_LEVEL`.
    name: &'static str,
    level: IsolationLevel,
    /// Must not be violated.
    keeps: Level,
    /// All that may be found.
    permitted: &'static [AnomalyKind],
    /// What must be found, or the workload is not sharp enough to find anything.
    seen: &'static [AnomalyKind],
}

/// The expected table.
const EXPECTED: &[Expected] = &[
    Expected {
        name: "snapshot",
        level: IsolationLevel::Snapshot,
        keeps: Level::StrongSnapshot,
        permitted: &[AnomalyKind::G2Item, AnomalyKind::G2],
        seen: &[AnomalyKind::G2Item, AnomalyKind::G2],
    },
    Expected {
        name: "serializable",
        level: IsolationLevel::Serializable,
        keeps: Level::StrictSerializable,
        permitted: &[],
        seen: &[],
    },
];

/// Commits of a history in an ordinary test run.
const TRANSACTIONS: u64 = 6_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Runs clients until so many transactions are committed, and then reads everything once.
fn record(db: &Database, level: IsolationLevel, workload: &Workload, commits: u64, clients: u64) -> History {
    let (ticks, next, committed) = (Ticks::default(), AtomicU64::new(0), AtomicU64::new(0));
    let work = |process: u64| {
        let mut client = Keys::new(db, *workload, level, process);
        let mut own: Vec<Transaction> = Vec::new();
        while committed.load(Ordering::Relaxed) < commits {
            let plan = workload.plan(next.fetch_add(1, Ordering::Relaxed));
            let transaction = run(&mut client, &plan, process as u32, &ticks);
            if transaction.outcome == Outcome::Committed {
                committed.fetch_add(1, Ordering::Relaxed);
            }
            own.push(transaction);
        }
        own
    };
    let mut history = History::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|process| scope.spawn(move || work(process))).collect();
        for thread in threads {
            history.transactions.extend(thread.join().unwrap());
        }
    });
    let end = workload.keys_end(next.load(Ordering::Relaxed));
    let all = Plan { operations: vec![Planned::Scan(0, end)], rolls_back: false };
    let mut reader = Keys::new(db, *workload, level, clients);
    history.transactions.push(run(&mut reader, &all, clients as u32, &ticks));
    history
}

/// Fails where a history shows what its level does not permit.
fn judge(expected: &Expected, what: &str, history: &History) -> Verdict {
    let verdict = check(history).unwrap();
    let foreign = verdict.counts.keys().any(|(kind, _)| !expected.permitted.contains(kind));
    assert!(
        !foreign && !verdict.violates(expected.keeps),
        "{} ({what}) shows what it must not: {verdict}",
        expected.name
    );
    verdict
}

#[test]
fn histories_show_what_their_level_permits() {
    let seed = number("CAIRN_SEED", 1);
    let commits = number("CAIRN_TRANSACTIONS", TRANSACTIONS);
    let clients = number("CAIRN_CLIENTS", 6);
    let asked = std::env::var("CAIRN_LEVEL").ok();
    let mut ran = 0;
    for expected in
        EXPECTED.iter().filter(|expected| asked.as_deref().is_none_or(|name| name == expected.name))
    {
        ran += 1;
        // In memory, and on disk with memtables so small that flushes and compactions go on all the time.
        let directory = tempfile::tempdir().unwrap();
        let options = OpenOptions::new().sync(SyncMode::None).memtable_bytes(64 << 10);
        let databases = [
            Database::in_memory().unwrap(),
            Database::open_with(directory.path().join("db"), options).unwrap(),
        ];
        let mut seen = Vec::new();
        for (number, (db, what)) in databases.iter().zip(["in memory", "on disk"]).enumerate() {
            let workload = Workload::new(seed + number as u64, Shape::default());
            let history = record(db, expected.level, &workload, commits / 2, clients);
            let verdict = judge(expected, what, &history);
            let line = verdict.to_string().lines().next().unwrap_or_default().to_owned();
            let begun = history.transactions.len();
            println!("{} {what}, seed {}: {begun} begun; {line}", expected.name, seed + number as u64);
            seen.extend(verdict.counts.into_keys().map(|(kind, _)| kind));
        }
        for kind in expected.seen {
            assert!(seen.contains(kind), "{} never shows {kind}: the workload is not sharp", expected.name);
        }
    }
    assert!(ran > 0, "there is no level {asked:?}");
}
