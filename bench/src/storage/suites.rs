//! The table of workloads: suites, their lines and their goals.

use super::report::{Goal, Line};

/// A group of workloads with a table of its own on the page.
#[derive(Debug)]
pub struct Suite {
    pub name: &'static str,
    pub title: &'static str,
    /// The engines, where these are not the usual ones.
    pub engines: &'static [&'static str],
    /// Columns beside those of the engines.
    pub extra: &'static [&'static str],
    pub lines: &'static [Line],
    pub settings: &'static str,
}

const fn line(
    from: (&'static str, &'static str),
    what: &'static str,
    unit: &'static str,
    goals: &'static [Goal],
) -> Line {
    Line { from, what, unit, more: true, goals }
}

const fn less(
    from: (&'static str, &'static str),
    what: &'static str,
    unit: &'static str,
    goals: &'static [Goal],
) -> Line {
    Line { from, what, unit, more: false, goals }
}

const LSM: &[&str] = &["rocksdb", "fjall"];
const FASTEST: &[Goal] = &[Goal::Times(1.0, &[])];
const LOAD: &[Goal] = &[Goal::Times(1.3, LSM)];
const NO_WORSE: &[Goal] = &[Goal::Times(1.0, LSM)];
const POINT: &[Goal] = &[Goal::Times(1.5, LSM), Goal::Times(0.77, &["lmdb"])];
const UPDATES: &[Goal] = &[Goal::Times(1.0, &[]), Goal::Least(50_000.0)];

/// All suites, in the order of the page.
pub const SUITES: [Suite; 10] = [
    Suite {
        name: "bulk",
        title: "Bulk insert",
        engines: &[],
        extra: &[],
        lines: &[
            line(("bulk_one_seq", "rate"), "one batch, keys in order", "rows/s", FASTEST),
            line(("bulk_one_rand", "rate"), "one batch, random keys", "rows/s", FASTEST),
            line(("bulk_batch_seq", "rate"), "batches, keys in order", "rows/s", FASTEST),
            line(("bulk_batch_rand", "rate"), "batches, random keys", "rows/s", FASTEST),
        ],
        settings: "Into an empty store, no fsync. The rows are made before.",
    },
    Suite {
        name: "load",
        title: "Load",
        engines: &[],
        extra: &[],
        lines: &[
            line(("load_seq", "rate"), "load in order until settled", "rows/s", LOAD),
            less(("load_seq", "write_amp"), "load in order: write amplification", "×", NO_WORSE),
            less(("load_seq", "size"), "load in order: size", "MiB", NO_WORSE),
            line(("load_rand", "rate"), "load at random until settled", "rows/s", LOAD),
            less(("load_rand", "write_amp"), "load at random: write amplification", "×", NO_WORSE),
            less(("load_rand", "size"), "load at random: size", "MiB", NO_WORSE),
            line(("load_rand", "accepted"), "load at random: until the last batch returned", "rows/s", &[]),
        ],
        settings: "In batches, no fsync; then flushed, and waited until the process is at rest. The rate includes that wait. \
                   Write amplification: `write_bytes` of the process by bytes of keys and values. Size: blocks on disk, logs included.",
    },
    Suite {
        name: "reads",
        title: "Reads",
        engines: &[],
        extra: &[],
        lines: &[
            line(("reads", "get_1"), "random keys, 1 thread", "reads/s", POINT),
            line(("reads", "get_2"), "random keys, 2 threads", "reads/s", POINT),
            line(("reads", "absent"), "absent keys, 1 thread", "reads/s", FASTEST),
            line(("reads", "range"), "100-row ranges from a random key", "ranges/s", LOAD),
            line(
                ("reads", "scan"),
                "full scan",
                "rows/s",
                &[Goal::Times(1.3, LSM), Goal::Times(0.67, &["lmdb"])],
            ),
            less(("open", "ms"), "open and read a key", "ms", &[Goal::Most(50.0)]),
        ],
        settings: "Of the store that was loaded at random, opened again with `hot-cache` MiB of cache for those that have one, its files and then all its rows read once before (so all of it is in memory), each from \
                   one snapshot a thread. Every value is checked.",
    },
    Suite {
        name: "durable",
        title: "Durable single puts",
        engines: &[],
        extra: &["bare"],
        lines: &[
            line(("durable", "put_1"), "1 thread", "commits/s", &[Goal::Times(0.9, &["bare"])]),
            line(("durable", "put_8"), "8 threads", "commits/s", &[]),
            line(("durable", "put_32"), "32 threads", "commits/s", FASTEST),
        ],
        settings: "Every put is on stable storage when it returns. `bare`: a loop that appends as many bytes to a file and calls `fdatasync`.",
    },
    Suite {
        name: "churn",
        title: "Overwriting and deleting",
        engines: &[],
        extra: &[],
        lines: &[
            line(("churn", "rate"), "overwrite random keys", "rows/s", &[]),
            less(("churn", "size"), "size at rest, by live keys and values", "×", &[Goal::Most(1.2)]),
            less(
                ("churn", "deleted"),
                "size after all is deleted, by what was live",
                "×",
                &[Goal::Most(0.2)],
            ),
        ],
        settings: "A fifth as many keys as writes, in batches, no fsync; then every key is deleted in batches. Nothing is flushed or compacted by \
                   hand: the size is looked at when the process has been at rest for six seconds, at the latest after 30 (redb: after a durable commit).",
    },
    Suite {
        name: "big",
        title: "Big values",
        engines: &[],
        extra: &[],
        lines: &[
            line(("big", "write"), "write until settled", "rows/s", &[Goal::Times(1.0, &["rocksdb"])]),
            line(("big", "read"), "read random keys", "reads/s", &[Goal::Times(1.0, &["rocksdb"])]),
            less(("big", "size"), "size", "MiB", &[]),
        ],
        settings: "Random keys, 20 rows a batch, no fsync. RocksDB with BlobDB (from 4 KiB, LZ4), fjall with key-value separation, CairnDB as always.",
    },
    Suite {
        name: "updates",
        title: "Read-modify-write transactions",
        engines: &[],
        extra: &["rocksdb-ptx"],
        lines: &[
            line(("updates", "rmw_1"), "4 random keys, 1 thread", "txn/s", UPDATES),
            line(("updates", "rmw_2"), "4 random keys, 2 threads", "txn/s", UPDATES),
        ],
        settings: "A transaction reads four random keys and writes them, no fsync; no update may be lost, which is checked at the end. RocksDB: \
                   `OptimisticTransactionDB` (`rocksdb-ptx`: `TransactionDB`), with `get_for_update`; fjall: `OptimisticTxDatabase`; redb, LMDB, SQLite: one writer at a time.",
    },
    Suite {
        name: "transactions",
        title: "Transactions",
        engines: &[
            "cairndb",
            "cairndb-ser",
            "cairndb-rr",
            "cairndb-rc",
            "rocksdb",
            "rocksdb-ptx",
            "redb",
            "sqlite",
        ],
        extra: &["bare"],
        lines: &[
            line(("txn_rate", "rmw_1"), "4 random keys, 1 thread", "txn/s", UPDATES),
            line(("txn_rate", "rmw_2"), "4 random keys, 2 threads", "txn/s", UPDATES),
            line(("txn_rate", "rmw_4"), "4 random keys, 4 threads", "txn/s", UPDATES),
            line(("txn_rate", "rmw_16"), "4 random keys, 16 threads", "txn/s", UPDATES),
            line(("txn_rate", "mixed_2"), "8 keys read, 2 others read and written, 2 threads", "txn/s", &[]),
            line(("txn_rate", "zipf_1"), "4 keys of 1,000 zipfian, 1 thread", "txn/s", FASTEST),
            line(("txn_rate", "zipf_4"), "4 keys of 1,000 zipfian, 4 threads", "txn/s", FASTEST),
            line(("txn_rate", "zipf_16"), "4 keys of 1,000 zipfian, 16 threads", "txn/s", FASTEST),
            line(("txn_rate", "zipf_4_kept"), "zipfian: 4 threads by 1 thread", "×", FASTEST),
            line(("txn_rate", "zipf_16_kept"), "zipfian: 16 threads by 1 thread", "×", FASTEST),
            less(("txn_rate", "zipf_4_retries"), "zipfian, 4 threads: retries for a commit", "×", &[]),
            less(("txn_rate", "zipf_16_retries"), "zipfian, 16 threads: retries for a commit", "×", &[]),
            less(
                ("txn_levels", "ser_rmw"),
                "Snapshot by Serializable: 4 random keys",
                "×",
                &[Goal::Most(1.25)],
            ),
            less(
                ("txn_levels", "ser_mixed"),
                "Snapshot by Serializable: 8 read, 2 written",
                "×",
                &[Goal::Most(1.25)],
            ),
            line(("txn_reads", "get"), "bare get, 1 thread", "reads/s", &[]),
            line(("txn_reads", "get_txn"), "get in a transaction of its own", "txn/s", &[]),
            less(
                ("txn_reads", "get_txn_cost"),
                "transaction of one get by a bare get: time",
                "×",
                &[Goal::Most(1.3)],
            ),
            less(("txn_reads", "p99_alone"), "reader alone: 99th percentile", "µs", &[]),
            less(("txn_reads", "p99_writer"), "reader beside a writer: 99th percentile", "µs", &[]),
            less(
                ("txn_reads", "p99_ratio"),
                "reader beside a writer by alone: 99th percentile",
                "×",
                &[Goal::Most(1.5)],
            ),
            less(
                ("txn_durable", "micros"),
                "durable transaction of 4 keys, median",
                "µs",
                &[Goal::Times(0.8, &["bare"])],
            ),
        ],
        settings: "A transaction reads four keys of 1M and writes them back with a counter raised; one that is refused is run again at once, with the same \
                   keys, and counts once. No fsync but for the last line. All counters are summed up at the end: nothing may be lost. Keys are locked or \
                   written in ascending order. `cairndb` is Snapshot (optimistic), `-ser` Serializable (optimistic), `-rr` and `-rc` Repeatable Read and Read \
                   Committed with `get_for_update`; `rocksdb` `OptimisticTransactionDB`, `rocksdb-ptx` `TransactionDB`, both with `get_for_update`, also of \
                   what is only read; redb and SQLite (`BEGIN IMMEDIATE`) have one writer at a time, and wait. Zipfian: constant 0.99. What is divided by \
                   something was measured in turns in one process. The reader gets random keys, each in a view of its own; the writer beside it runs the first \
                   line's transactions. Durable: one thread; `bare` appends as many bytes as a log record would have and calls `fdatasync`.",
    },
    Suite {
        name: "ycsb",
        title: "YCSB",
        engines: &[],
        extra: &[],
        lines: &[
            line(("prepare_ycsb", "load"), "load until settled (once)", "rows/s", &[]),
            line(("ycsb", "a"), "A: 50 % updates", "ops/s", FASTEST),
            line(("ycsb", "b"), "B: 5 % updates", "ops/s", FASTEST),
            line(("ycsb", "c"), "C: reads", "ops/s", FASTEST),
            line(("ycsb", "e"), "E: ranges of 1 to 100, 5 % inserts", "ops/s", FASTEST),
            line(("ycsb", "f"), "F: 50 % read-modify-writes", "ops/s", FASTEST),
        ],
        settings: "Scrambled zipfian keys (0.99), two threads, no fsync; records of ten fields as one value, 200 a batch, loaded in random order (LMDB, redb and SQLite in key order, \
                   their best case: it spares minutes). An update \
                   writes the whole record. Run in the order C, B, A, F, E, with `hot-cache` MiB of cache and everything read once at the beginning.",
    },
    Suite {
        name: "recovery",
        title: "Recovery",
        engines: &[],
        extra: &[],
        lines: &[
            less(
                ("recovery", "ms_per_64"),
                "open after `kill -9` during a load, for 64 MiB of log",
                "ms",
                &[Goal::Most(1000.0)],
            ),
            less(("recovery", "ms"), "the same, as measured", "ms", &[]),
            less(("recovery", "log"), "log found", "MiB", &[]),
        ],
        settings: "Killed while it loads at random (no fsync; redb durably, as it keeps nothing else), each run a little later; the time until a key was read and one \
                   written. Then every row acknowledged is looked for (one of seven). LMDB and redb have no log.",
    },
];
