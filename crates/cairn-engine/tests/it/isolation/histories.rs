//! Random histories of clients at all levels on the same keys and rows, in the simulation: what must hold of the outcome
//! whatever the interleaving, and the same seed gives the same history.

use super::*;
use crate::support::{Random, seed};
use cairn_engine::{KeyLock, Wait};

const ACCOUNTS: u64 = 5;

fn account(number: u64) -> Vec<u8> {
    format!("account/{number}").into_bytes()
}

fn amount(bytes: Option<bytes::Bytes>) -> i64 {
    bytes.map_or(100, |bytes| i64::from_le_bytes(bytes[..].try_into().unwrap()))
}

/// One transfer, as its level asks for it: Read Committed and Repeatable Read lock what they read, the optimistic levels
/// rely on the validation of their commit. `counter` counts transfers, in a row of `t`.
fn transfer(txn: &Transaction, isolation: Isolation, random: &mut Random, here: &Here) -> Result<()> {
    let (from, to) = (random.below(ACCOUNTS), random.below(ACCOUNTS));
    let read = |number| match isolation.is_locking() {
        true => txn.get_for_update(&account(number)),
        false => txn.get(&account(number)),
    };
    let (a, sum) = (amount(read(from)?), random.below(20) as i64);
    if random.below(3) == 0 {
        here.pause(random.below(2));
    }
    if from != to {
        let b = amount(read(to)?);
        txn.put(&account(from), &(a - sum).to_le_bytes())?;
        let savepoint = txn.savepoint()?;
        txn.put(&account(to), &0i64.to_le_bytes())?;
        if random.below(2) == 0 {
            txn.rollback_to(savepoint)?;
        }
        txn.put(&account(to), &(b + sum).to_le_bytes())?;
    }
    count(txn, isolation)
}

/// UPDATE t SET v = v + 1 WHERE id = 1.
fn count(txn: &Transaction, isolation: Isolation) -> Result<()> {
    txn.begin_statement()?;
    let table = table_of(txn, "t");
    let view = match isolation {
        Isolation::ReadCommitted => {
            table::lock_rows(txn, &table, &[row_key(1)], KeyLock::NoKeyUpdate, Wait::Block)?.view
        }
        _ => txn.view()?,
    };
    let row = table::get(&view, &table, &[row_key(1)], &[1])?;
    match Value::from_array(row.batch.column(0).as_ref(), 0, &DataType::Integer) {
        Value::Integer(v) => update(txn, "t", 1, Some(v + 1)).map(drop),
        other => panic!("{other:?}"),
    }
}

#[test]
fn mixed_levels_lose_nothing() {
    let first = seed(1);
    let mut retried = 0;
    for seed in first..first + 30 {
        let once = transfers(seed);
        if seed % 10 == 0 {
            assert_eq!(once, transfers(seed), "seed {seed} is not replayable");
        }
        retried += once.iter().filter(|line| line.starts_with("again")).count();
    }
    assert!(retried > 0, "nothing ever collided");
}

fn transfers(seed: u64) -> Vec<String> {
    let world = World::new(seed);
    let clients = (0..4u64).map(|own| -> Client {
        Box::new(move |here: &Here| {
            let mut random = Random(seed * 100 + own);
            for _ in 0..8 {
                let isolation = LEVELS[random.below(4) as usize];
                loop {
                    let txn = here.begin(isolation);
                    let done = transfer(&txn, isolation, &mut random, here).and_then(|()| txn.commit());
                    drop(txn);
                    match done {
                        Ok(sequence) => {
                            here.say(format!("done {own} {isolation:?} {sequence}"));
                            break;
                        }
                        Err(error) if error.is_retryable() => {
                            here.say(format!("again {own} {}", error.sqlstate()));
                            here.pause(random.below(3));
                        }
                        Err(error) => panic!("seed {seed}: {error}"),
                    }
                }
            }
        })
    });
    let audit: Client = Box::new(move |here: &Here| {
        for _ in 0..20 {
            here.pause(1);
            let txn = here.begin(Isolation::Serializable);
            let total: i64 = (0..ACCOUNTS).map(|n| amount(txn.get(&account(n)).unwrap())).sum();
            assert_eq!(total, 100 * ACCOUNTS as i64, "seed {seed}");
            txn.commit().unwrap();
        }
    });
    let mut all: Vec<Client> = clients.collect();
    all.push(audit);
    let lines = world.run(all);
    let end = begin(&world.db, Isolation::Snapshot);
    let total: i64 = (0..ACCOUNTS).map(|n| amount(end.get(&account(n)).unwrap())).sum();
    assert_eq!(total, 100 * ACCOUNTS as i64, "seed {seed}");
    assert_eq!(read(&end, "t", 1).unwrap(), Some(10 + 32), "seed {seed}: a count was lost");
    lines
}

/// The bound of memory for locks: writes go on without, and are validated at commit; nothing is lost.
#[test]
fn without_memory_for_locks_validation_decides() {
    let options = || {
        let mut options = cairn_engine::Options::default();
        options.lock_bytes_max = 64 << 10;
        options
    };
    let db = Database::open(&Env::memory(), "/db".as_ref(), options()).unwrap();
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let (big, small) = (begin(&db, isolation), begin(&db, isolation));
        for n in 0..2_000u32 {
            big.put(&n.to_be_bytes(), b"big").unwrap();
        }
        assert!(db.stats().lock_bytes < 128 << 10, "{}", db.stats().lock_bytes);
        // Locks asked for get the rest, until there is none.
        let more = (0..2_000u32).find(|n| {
            let key = [b"more", &n.to_be_bytes()[..]].concat();
            outcome(&big.lock_key(&key, KeyLock::Share, Wait::Block)) == "53200"
        });
        assert!(more.is_some());
        // One of the keys that have no lock.
        let free = (0..2_000u32)
            .find(|n| small.lock_key(&n.to_be_bytes(), KeyLock::Update, Wait::SkipLocked).is_err());
        let key = free.unwrap().to_be_bytes();
        small.put(&key, b"small").unwrap();
        small.commit().unwrap();
        assert_eq!(outcome(&big.commit()), "40001", "{isolation:?}");
        assert_eq!(db.view().unwrap().get(&key).unwrap().as_deref(), Some(&b"small"[..]));
        assert!(db.locks().is_empty());
    }
}
