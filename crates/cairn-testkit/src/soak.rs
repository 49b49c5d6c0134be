//! Soaks over SQL sessions: rules that only isolation keeps.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::interleave::{ScriptLevel, Session};
use crate::slt::Outcome;

/// Accounts of the bank.
const ACCOUNTS: u64 = 8;
/// What each has in the beginning.
const BALANCE: i64 = 100;
/// Who may be on call.
const DOCTORS: u64 = 4;

/// Opens sessions from any thread.
pub type Open<'o> = dyn Fn() -> Box<dyn Session> + Sync + 'o;

/// What a soak saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Soaked {
    /// Transactions that were committed.
    pub commits: u64,
    /// Transactions that met a conflict and were run again.
    pub conflicts: u64,
    /// How often the rule was found broken.
    pub broken: u64,
}

#[derive(Default)]
struct Counts {
    commits: AtomicU64,
    conflicts: AtomicU64,
    broken: AtomicU64,
}

impl Counts {
    fn soaked(&self) -> Soaked {
        let [commits, conflicts, broken] =
            [&self.commits, &self.conflicts, &self.broken].map(|count| count.load(Ordering::Relaxed));
        Soaked { commits, conflicts, broken }
    }
}

/// The answer was a conflict.
struct Conflict;

fn ask(session: &mut dyn Session, sql: &str) -> Result<i64, Conflict> {
    match session.execute(sql) {
        Outcome::Rows(rows) => {
            let cell = rows.first().and_then(|row| row.first()).and_then(Option::as_deref);
            Ok(cell.and_then(|cell| cell.parse().ok()).unwrap_or_else(|| panic!("{sql}: {rows:?}")))
        }
        Outcome::Command(count) => Ok(count as i64),
        Outcome::Error(state, _) if ["40001", "40P01"].contains(&state.as_str()) => Err(Conflict),
        Outcome::Error(state, message) => panic!("{sql}: {state} {message}"),
    }
}

/// Runs a transaction until it meets no conflict.
fn transact(
    session: &mut dyn Session,
    level: ScriptLevel,
    counts: &Counts,
    work: impl Fn(&mut dyn Session) -> Result<(), Conflict>,
) {
    loop {
        let done = ask(session, &format!("begin isolation level {}", level.sql()))
            .and_then(|_| work(session))
            .and_then(|()| ask(session, "commit"));
        if done.is_ok() {
            counts.commits.fetch_add(1, Ordering::Relaxed);
            return;
        }
        counts.conflicts.fetch_add(1, Ordering::Relaxed);
        let _ = session.execute("rollback");
    }
}

fn scatter(seed: u64) -> u64 {
    let z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 33
}

fn set_up(open: &Open<'_>, statements: &[String]) {
    let mut session = open();
    for sql in statements {
        assert!(!matches!(session.execute(sql), Outcome::Error(..)), "{sql} failed");
    }
}

/// Money goes from account to account; the total, read at any time, must not change. At read committed the
/// transfers are relative, at the other levels they write what they computed from what they read.
pub fn bank(open: &Open<'_>, level: ScriptLevel, threads: u64, transfers: u64) -> Soaked {
    let mut statements = vec!["create table account (id int primary key, balance int not null)".to_owned()];
    statements.extend((0..ACCOUNTS).map(|id| format!("insert into account values ({id}, {BALANCE})")));
    set_up(open, &statements);
    let counts = Counts::default();
    let total = |session: &mut dyn Session| {
        ask(session, "select cast(sum(balance) as int) from account").unwrap_or(i64::MIN)
    };
    let work = |thread: u64| {
        let mut session = open();
        for round in 0..transfers {
            let random = scatter(thread * 1_000_003 + round);
            let (from, to) = (random % ACCOUNTS, (random / ACCOUNTS) % ACCOUNTS);
            if from == to {
                continue;
            }
            transact(&mut *session, level, &counts, |session| {
                for (id, change) in [(from, -1), (to, 1)] {
                    let read = ask(session, &format!("select balance from account where id = {id}"))?;
                    let new = match level {
                        ScriptLevel::ReadCommitted => format!("balance + {change}"),
                        _ => (read + change).to_string(),
                    };
                    ask(session, &format!("update account set balance = {new} where id = {id}"))?;
                }
                Ok(())
            });
            if round % 8 == 0 && total(&mut *session) != ACCOUNTS as i64 * BALANCE {
                counts.broken.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        (0..threads).for_each(|thread| drop(scope.spawn(move || work(thread))));
    });
    let sum = total(&mut *open());
    counts.broken.fetch_add(u64::from(sum != ACCOUNTS as i64 * BALANCE), Ordering::Relaxed);
    counts.soaked()
}

/// Doctors go off call as long as another one is on call, and on call otherwise: write skew would leave nobody. Only
/// serializable keeps the rule.
pub fn on_call(open: &Open<'_>, level: ScriptLevel, threads: u64, rounds: u64) -> Soaked {
    let mut statements = vec!["create table doctor (id int primary key, on_call int not null)".to_owned()];
    statements.extend((0..DOCTORS).map(|id| format!("insert into doctor values ({id}, 1)")));
    set_up(open, &statements);
    let counts = Counts::default();
    let work = |thread: u64| {
        let mut session = open();
        for round in 0..rounds {
            let own = (thread + round) % DOCTORS;
            transact(&mut *session, level, &counts, |session| {
                let on_call = ask(session, "select cast(count(*) as int) from doctor where on_call = 1")?;
                if on_call == 0 {
                    counts.broken.fetch_add(1, Ordering::Relaxed);
                }
                let now = i64::from(on_call < 2);
                ask(session, &format!("update doctor set on_call = {now} where id = {own}"))?;
                Ok(())
            });
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        (0..threads).for_each(|thread| drop(scope.spawn(move || work(thread))));
    });
    counts.soaked()
}
