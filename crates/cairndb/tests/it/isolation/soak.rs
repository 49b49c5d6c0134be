//! Rules over keys that only isolation keeps: the sum of a bank's accounts, and that somebody is on call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairndb::{Database, IsolationLevel, Transaction};

const ACCOUNTS: u64 = 12;
const BALANCE: i64 = 100;
const DOCTORS: u64 = 4;
const THREADS: u64 = 4;
/// Transactions of a thread in an ordinary run; `CAIRN_TRANSACTIONS` sets how many all threads run together.
const ROUNDS: u64 = 500;

fn rounds() -> u64 {
    super::number("CAIRN_TRANSACTIONS", ROUNDS * THREADS) / THREADS
}

fn key(kind: &str, number: u64) -> String {
    format!("{kind}/{number:04}")
}

fn value(bytes: &[u8]) -> i64 {
    i64::from_le_bytes(bytes.try_into().unwrap())
}

fn sum(tx: &Transaction, kind: &str) -> i64 {
    let entries = tx.get_range(key(kind, 0)..key(kind, 9999)).unwrap();
    entries.map(|entry| value(&entry.unwrap().1)).sum()
}

fn fill(db: &Database, kind: &str, count: u64, each: i64) {
    (0..count).for_each(|number| db.put(key(kind, number), each.to_le_bytes()).unwrap());
}

/// Runs a transaction until it meets no conflict, with pauses in which others can come between.
fn transact(db: &Database, level: IsolationLevel, work: impl Fn(&Transaction) -> cairndb::Result<()>) {
    loop {
        let tx = db.begin_transaction(level).unwrap();
        match work(&tx).and_then(|()| tx.commit()) {
            Ok(_) => return,
            Err(error) if error.is_retryable() => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn on_threads(work: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        let work = &work;
        (0..THREADS).for_each(|thread| drop(scope.spawn(move || work(thread))));
    });
}

#[test]
fn money_is_neither_made_nor_lost() {
    for level in [IsolationLevel::RepeatableRead, IsolationLevel::Snapshot, IsolationLevel::Serializable] {
        let db = Database::in_memory().unwrap();
        fill(&db, "account", ACCOUNTS, BALANCE);
        let total = ACCOUNTS as i64 * BALANCE;
        on_threads(|thread| {
            for round in 0..rounds() {
                let from = (thread * 7 + round) % ACCOUNTS;
                let to = (from + 1 + round / ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS;
                transact(&db, level, |tx| {
                    for (number, change) in [(from, -1), (to, 1)] {
                        let name = key("account", number);
                        let now = value(&tx.get(&name)?.unwrap()) + change;
                        std::thread::sleep(Duration::from_micros(1));
                        tx.put(&name, now.to_le_bytes())?;
                    }
                    assert_eq!(sum(tx, "account"), total, "within a transfer");
                    Ok(())
                });
                if round % 8 == 0 {
                    assert_eq!(sum(&db.begin_transaction(level).unwrap(), "account"), total);
                }
            }
        });
        assert_eq!(sum(&db.begin_transaction(level).unwrap(), "account"), total);
    }
}

/// Doctors go off call as long as another one is on call. Write skew leaves nobody: Snapshot shows it, which says that
/// the soak is sharp, and Serializable never.
#[test]
fn somebody_is_on_call() {
    let nobody = |level| {
        let db = Database::in_memory().unwrap();
        fill(&db, "doctor", DOCTORS, 1);
        let nobody = AtomicU64::new(0);
        on_threads(|thread| {
            for round in 0..rounds() {
                let own = key("doctor", (thread + round) % DOCTORS);
                transact(&db, level, |tx| {
                    let on_call = sum(tx, "doctor");
                    nobody.fetch_add(u64::from(on_call == 0), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(1));
                    tx.put(&own, i64::from(on_call < 2).to_le_bytes())
                });
            }
        });
        nobody.into_inner()
    };
    assert_eq!(nobody(IsolationLevel::Serializable), 0, "nobody was on call");
    assert!(nobody(IsolationLevel::Snapshot) > 0, "write skew was never seen");
}
