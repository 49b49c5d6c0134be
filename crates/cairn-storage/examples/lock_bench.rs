//! What a lock costs where nobody else wants it: single writes and read-modify-writes at each isolation level, without
//! fsync. Run with `cargo run --release -p cairn-storage --example lock_bench`.

use std::path::Path;

use cairn_env::Env;
use cairn_storage::{Isolation, KeyLock, Options, Store, SyncMode, TxnOptions, Wait};

const ROUNDS: u64 = 200_000;
const KEYS: u64 = 1_000_000;

fn nanos_each(env: &Env, rounds: u64, mut work: impl FnMut(u64)) -> u64 {
    let start = env.clock().monotonic_nanos();
    (0..rounds).for_each(&mut work);
    (env.clock().monotonic_nanos() - start) / rounds
}

fn main() -> cairn_storage::Result<()> {
    let env = Env::memory();
    let mut options = Options::default();
    options.sync = SyncMode::None;
    let store = Store::open(&env, Path::new("/bench"), options)?;
    store.ingest((0..KEYS).map(|n| Ok((n.to_be_bytes().to_vec().into(), vec![0; 100].into()))))?;
    let key = |n: u64| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS).to_be_bytes();
    // Locks alone: many in one transaction, then all given back.
    for locks in [1u64, 10, 1_000] {
        let rounds = ROUNDS / locks;
        let each = nanos_each(&env, rounds, |round| {
            let mut txn =
                store.begin(TxnOptions { isolation: Isolation::ReadCommitted, ..Default::default() });
            for n in 0..locks {
                txn.lock_key(&key(round * locks + n), KeyLock::NoKeyUpdate, Wait::Block).expect("free");
            }
        });
        println!("{locks:>5} locks a transaction: {} ns a lock, begin and end included", each / locks);
    }
    let begin = nanos_each(&env, ROUNDS, |_| drop(store.begin(TxnOptions::default())));
    println!("begin and drop alone: {begin} ns");
    for isolation in
        [Isolation::Snapshot, Isolation::ReadCommitted, Isolation::RepeatableRead, Isolation::Serializable]
    {
        let each = nanos_each(&env, ROUNDS, |round| {
            let mut txn = store.begin(TxnOptions { isolation, ..Default::default() });
            for n in 0..4 {
                let key = key(round * 4 + n);
                txn.claim_unchanged(&key, KeyLock::NoKeyUpdate).expect("free");
                let mut value = txn.get_latest(&key).expect("readable").expect("there").to_vec();
                value[0] = value[0].wrapping_add(1);
                txn.put(&key, &value).expect("small");
            }
            txn.commit().expect("alone");
        });
        println!("{isolation:?}: read-modify-write of 4 keys in {each} ns");
    }
    Ok(())
}
