//! Every call fails once: for each of the workloads below the n-th file operation fails with ENOSPC, EIO, EMFILE
//! or a short write, once and for good, for n = 1, 2, 3 … until the workload passes untouched.
//!
//! - A short write is no error. Any other failure is coped with or ends in a clean error, after which what was
//!   acknowledged can be read at once.
//! - When the cause is gone the store commits again, or says that it is poisoned (never after ENOSPC).
//! - After a kill or a power cut it opens with all that was acknowledged as durable, each commit whole or not
//!   at all, and works.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairn_env::sim::{Fault, Repeat, SimOptions, Simulation};
use cairn_env::{Env, SeededRandom};
use cairn_storage::{Error, Isolation, KeyRange, Options, Result, Store, SyncMode, TxnOptions};

use crate::model::{History, Values, Write, batch_of, check_all, everything, for_seeds, key, random_write};

const FAULTS: [Fault; 4] = [Fault::Enospc, Fault::Eio, Fault::Emfile, Fault::ShortWrite];

type Act = fn(&mut Stage) -> Result<()>;

/// What is done in peace, then what is done while the n-th operation fails.
struct Workload {
    name: &'static str,
    prepare: Act,
    act: Act,
}

const fn workload(name: &'static str, prepare: Act, act: Act) -> Workload {
    Workload { name, prepare, act }
}

const NOTHING: Act = |_| Ok(());
const OPEN: Act = |stage| stage.open();
const FILLED: Act = |stage| {
    stage.open()?;
    stage.fill(12)
};
const TREE: Act = |stage| {
    stage.open()?;
    for _ in 0..3 {
        stage.fill(8)?;
        stage.flush()?;
    }
    stage.fill(3)
};

const WORKLOADS: &[Workload] = &[
    workload("create", NOTHING, OPEN),
    workload("create below missing directories", |stage| stage.below("/a/b/c"), OPEN),
    workload("create and commit", NOTHING, |stage| {
        stage.open()?;
        stage.put(SyncMode::Sync)
    }),
    workload("create again what was cut short", |stage| stage.cut_short(), OPEN),
    workload("put, Sync", OPEN, |stage| stage.puts(4, SyncMode::Sync)),
    workload("put, Async", OPEN, |stage| stage.puts(4, SyncMode::Async)),
    workload("put, None", OPEN, |stage| stage.puts(12, SyncMode::None)),
    workload("put, None, then sync", OPEN, |stage| {
        stage.puts(4, SyncMode::None)?;
        stage.sync()
    }),
    workload("put, Async, and wait", OPEN, |stage| {
        stage.put(SyncMode::Async)?;
        stage.wait();
        stage.put(SyncMode::Async)
    }),
    workload("modes mixed", FILLED, |stage| {
        for mode in [SyncMode::None, SyncMode::Async, SyncMode::Sync, SyncMode::None, SyncMode::Async] {
            stage.put(mode)?;
        }
        Ok(())
    }),
    workload("batches", FILLED, |stage| stage.fill(4)),
    workload("big values", FILLED, |stage| stage.big(9_000, 3)),
    workload("a value longer than a segment", OPEN, |stage| stage.big(40_000, 1)),
    workload("a value longer than the write buffer", OPEN, |stage| stage.big(150_000, 1)),
    workload("deletes", FILLED, |stage| stage.delete(3)),
    workload("range delete", FILLED, |stage| stage.delete_range()),
    workload("range delete, flushed", TREE, |stage| {
        stage.delete_range()?;
        stage.flush()
    }),
    workload("snapshot transaction, Sync", TREE, |stage| stage.txn(Isolation::Snapshot, SyncMode::Sync)),
    workload("snapshot transaction, Async", TREE, |stage| stage.txn(Isolation::Snapshot, SyncMode::Async)),
    workload("snapshot transaction, None", TREE, |stage| stage.txn(Isolation::Snapshot, SyncMode::None)),
    workload("serializable transaction, Sync", TREE, |stage| {
        stage.txn(Isolation::Serializable, SyncMode::Sync)
    }),
    workload("serializable transaction, Async", TREE, |stage| {
        stage.txn(Isolation::Serializable, SyncMode::Async)
    }),
    workload("serializable transaction, None", TREE, |stage| {
        stage.txn(Isolation::Serializable, SyncMode::None)
    }),
    workload("flush", FILLED, |stage| stage.flush()),
    workload("flush of what was not synced", OPEN, |stage| {
        stage.puts(3, SyncMode::None)?;
        stage.flush()
    }),
    workload("segments and memtables change", OPEN, |stage| stage.fill(40)),
    workload(
        "memtables change without workers",
        |stage| {
            stage.options.background = false;
            stage.open()
        },
        |stage| stage.fill(40),
    ),
    workload("compact everything", TREE, |stage| stage.compact(KeyRange::all())),
    workload("compact a range", TREE, |stage| stage.compact(KeyRange::prefix(b"table/"))),
    workload(
        "compact after deletes",
        |stage| {
            TREE(stage)?;
            stage.delete_range()?;
            stage.delete(5)
        },
        |stage| stage.compact(KeyRange::all()),
    ),
    workload("compact under a snapshot", TREE, |stage| {
        let held = stage.store().snapshot();
        let state = stage.history.now().clone();
        stage.fill(4)?;
        stage.compact(KeyRange::all())?;
        check_all(&held, &state)
    }),
    workload("checkpoint", TREE, |stage| stage.checkpoint("/copy")),
    workload("checkpoint below missing directories", TREE, |stage| stage.checkpoint("/x/y/copy")),
    workload("checkpoint of nothing", OPEN, |stage| stage.checkpoint("/copy")),
    workload("open a checkpoint", |stage| stage.move_to_checkpoint(), OPEN),
    workload("close", FILLED, |stage| stage.close()),
    workload(
        "close with commits that were not written",
        |stage| {
            stage.open()?;
            stage.puts(5, SyncMode::None)
        },
        |stage| stage.close(),
    ),
    workload("close and open", TREE, |stage| {
        stage.close()?;
        stage.open()
    }),
    workload(
        "open a closed database",
        |stage| {
            TREE(stage)?;
            stage.close()
        },
        |stage| {
            stage.open()?;
            stage.put(SyncMode::Sync)
        },
    ),
    workload("open after a kill", |stage| stage.ended(FILLED, false), OPEN),
    workload("open after a power cut", |stage| stage.ended(FILLED, true), OPEN),
    workload("open a tree after a kill", |stage| stage.ended(TREE, false), OPEN),
    workload("open a tree after a power cut", |stage| stage.ended(TREE, true), OPEN),
    workload("open a long log after a kill", |stage| stage.ended(|stage| stage.long_log(), false), OPEN),
    workload(
        "open a long log after a power cut",
        |stage| stage.ended(|stage| stage.long_log(), true),
        |stage| {
            stage.open()?;
            stage.fill(2)
        },
    ),
    workload("open after a failed fsync", |stage| stage.ended(|stage| stage.failed_fsync(), false), OPEN),
    workload(
        "open, commit, close after a kill",
        |stage| stage.ended(TREE, false),
        |stage| {
            stage.open()?;
            stage.fill(2)?;
            stage.close()
        },
    ),
    workload("read a tree for the first time", |stage| stage.reopened(), |stage| stage.read()),
    workload("verify", TREE, |stage| stage.store().verify().map(drop)),
    workload(
        "open a closed database on a full disk",
        |stage| stage.full(true),
        |stage| {
            stage.open()?;
            stage.read()
        },
    ),
    workload(
        "open a killed database on a full disk",
        |stage| stage.full(false),
        |stage| {
            stage.open()?;
            stage.read()
        },
    ),
];

#[test]
fn every_call_fails_once() {
    let (runs, errors) = (AtomicU64::new(0), AtomicU64::new(0));
    for_seeds("sweep", WORKLOADS.len() as u64, |number| {
        let Some(workload) = WORKLOADS.get(number as usize) else { return };
        for fault in FAULTS {
            for repeat in [Repeat::Once, Repeat::Sticky] {
                for n in 1.. {
                    runs.fetch_add(1, Ordering::Relaxed);
                    let (hit, failed) = run(workload, n, fault, repeat);
                    errors.fetch_add(u64::from(failed), Ordering::Relaxed);
                    if !hit {
                        break;
                    }
                }
            }
        }
    });
    eprintln!("sweep: {} workloads, {runs:?} runs, {errors:?} ended in an error", WORKLOADS.len());
}

/// One run: whether the fault was reached, and whether the workload ended in an error.
fn run(workload: &Workload, n: u64, fault: Fault, repeat: Repeat) -> (bool, bool) {
    let mut stage = Stage::new();
    (workload.prepare)(&mut stage).unwrap();
    stage.simulation.fail_nth(n, fault, repeat);
    let result = (workload.act)(&mut stage);
    let hit = stage.simulation.fault_hits() > 0;
    stage.simulation.clear_faults();
    stage.simulation.set_capacity(u64::MAX);
    let context = format!("{}, {fault:?} {repeat:?} at {n}: {result:?}", workload.name);
    if let Err(error) = &result {
        assert!(hit && fault != Fault::ShortWrite, "an error without cause: {context}");
        let clean = matches!(error, Error::Io { .. } | Error::DiskFull { .. } | Error::Poisoned { .. });
        assert!(clean, "not a clean error: {context}");
    }
    stage.check_after(fault, &context);
    stage.end_and_check(n.is_multiple_of(2), &context);
    (hit, result.is_err())
}

/// A database and what is known of it.
struct Stage {
    simulation: Simulation,
    env: Env,
    dir: PathBuf,
    options: Options,
    store: Option<Store>,
    random: SeededRandom,
    values: Values,
    history: History,
}

impl Stage {
    fn new() -> Stage {
        let options = SimOptions { short_one_in: 0, yield_one_in: 2, ..SimOptions::new(11) };
        let simulation = Simulation::new(options);
        let env = simulation.env();
        let mut options = Options::default();
        options.memtable_bytes = 8192;
        options.wal_segment_bytes = 8192;
        options.wal_allocate_bytes = 4096;
        options.wal_buffer_bytes = 1024;
        options.cache_bytes = Some(4096);
        options.l0_compaction_files = 3;
        options.level1_bytes = 16384;
        options.target_file_bytes = 8192;
        options.async_interval = Duration::from_millis(1);
        Stage {
            simulation,
            env,
            dir: PathBuf::from("/db"),
            options,
            store: None,
            random: SeededRandom::new(3),
            values: Values::new(8, false),
            history: History::new(),
        }
    }

    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    fn below(&mut self, dir: &str) -> Result<()> {
        self.dir = PathBuf::from(dir);
        Ok(())
    }

    fn open(&mut self) -> Result<()> {
        self.store = Some(Store::open(&self.env, &self.dir, self.options.clone())?);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let store = self.store.take().unwrap();
        store.close()?;
        self.history.all_durable();
        Ok(())
    }

    fn commit(&mut self, writes: Vec<Write>, mode: SyncMode) -> Result<()> {
        self.env.tasks().yield_point();
        let batch = batch_of(&writes);
        self.history.attempt(writes);
        self.store().write(batch, Some(mode))?;
        self.history.acknowledge(mode);
        Ok(())
    }

    fn put(&mut self, mode: SyncMode) -> Result<()> {
        let write = Write::Put(key(self.random.below(20)), self.values.next(&mut self.random));
        self.commit(vec![write], mode)
    }

    fn puts(&mut self, count: u64, mode: SyncMode) -> Result<()> {
        (0..count).try_for_each(|_| self.put(mode))
    }

    /// Batches of several writes, all kinds, about 400 bytes each.
    fn fill(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            let mut writes: Vec<Write> =
                (0..3).map(|_| random_write(&mut self.random, &mut self.values)).collect();
            let mut value = vec![0; 300];
            self.random.fill(&mut value);
            writes.push(Write::Put(key(self.random.below(60)), value.into()));
            self.commit(writes, SyncMode::Sync)?;
        }
        Ok(())
    }

    fn big(&mut self, len: usize, count: u64) -> Result<()> {
        for at in 0..count {
            let mut value = vec![0; len];
            self.random.fill(&mut value);
            self.commit(vec![Write::Put(key(at), value.into())], SyncMode::Sync)?;
        }
        Ok(())
    }

    fn delete(&mut self, count: u64) -> Result<()> {
        (0..count).try_for_each(|at| self.commit(vec![Write::Delete(key(at))], SyncMode::Sync))
    }

    fn delete_range(&mut self) -> Result<()> {
        let write = Write::DeleteRange(b"table/".to_vec().into(), b"table0".to_vec().into());
        self.commit(vec![write], SyncMode::Sync)
    }

    fn txn(&mut self, isolation: Isolation, mode: SyncMode) -> Result<()> {
        let store = self.store();
        let mut txn = store.begin(TxnOptions { isolation, sync: Some(mode), client_token: 7 });
        let mut writes = Vec::new();
        for number in 0..4 {
            let found = txn.get(&key(number))?;
            assert_eq!(found.as_ref(), self.history.now().get(&key(number)));
            let value = self.values.next(&mut self.random);
            txn.put(&key(number), &value)?;
            writes.push(Write::Put(key(number), value));
        }
        self.history.attempt(writes);
        txn.commit()?;
        self.history.acknowledge(mode);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.store().flush()?;
        self.history.all_durable();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.store().sync()?;
        self.history.all_durable();
        Ok(())
    }

    fn compact(&mut self, range: KeyRange) -> Result<()> {
        self.store().compact(range)?;
        self.history.all_durable();
        Ok(())
    }

    fn checkpoint(&mut self, dir: &str) -> Result<()> {
        self.store().checkpoint(Path::new(dir))?;
        self.history.all_durable();
        let mut options = self.options.clone();
        options.create_if_missing = false;
        options.background = false;
        let copy = Store::open(&self.env, Path::new(dir), options)?;
        check_all(&copy.snapshot(), self.history.now())
    }

    fn move_to_checkpoint(&mut self) -> Result<()> {
        TREE(self)?;
        self.store().checkpoint(Path::new("/moved"))?;
        self.history.all_durable();
        self.store = None;
        self.below("/moved")
    }

    fn wait(&mut self) {
        self.env.clock().sleep(Duration::from_millis(5));
        for _ in 0..8 {
            self.env.tasks().yield_point();
        }
    }

    fn read(&mut self) -> Result<()> {
        check_all(&self.store().snapshot(), self.history.now())
    }

    fn reopened(&mut self) -> Result<()> {
        TREE(self)?;
        self.close()?;
        self.open()
    }

    /// Something was there, and the process or the machine stopped.
    fn ended(&mut self, act: Act, cut: bool) -> Result<()> {
        act(self)?;
        self.end(cut);
        Ok(())
    }

    fn end(&mut self, cut: bool) {
        if cut {
            self.simulation.crash();
        }
        self.env = self.simulation.restart();
        self.store = None;
    }

    fn cut_short(&mut self) -> Result<()> {
        self.simulation.crash_after(9);
        assert!(self.open().is_err());
        self.end(true);
        Ok(())
    }

    /// More in the log than a memtable holds.
    fn long_log(&mut self) -> Result<()> {
        self.options.background = false;
        self.options.memtable_bytes = 1 << 20;
        self.open()?;
        self.fill(60)?;
        self.options.background = true;
        self.options.memtable_bytes = 8192;
        Ok(())
    }

    /// The log's last fsync failed: what the page cache shows may not be on the disk.
    fn failed_fsync(&mut self) -> Result<()> {
        FILLED(self)?;
        self.simulation.fail_nth(1, Fault::FsyncFails, Repeat::Once);
        assert!(self.put(SyncMode::Sync).is_err());
        Ok(())
    }

    /// Not a byte is free.
    fn full(&mut self, closed: bool) -> Result<()> {
        TREE(self)?;
        if closed {
            self.close()?;
        }
        self.end(false);
        const HUGE: u64 = u64::MAX / 2;
        self.simulation.set_capacity(HUGE);
        let used = HUGE - self.simulation.free_bytes();
        self.simulation.set_capacity(used);
        Ok(())
    }

    /// The cause is gone: reads are right, and commits go on or the store is poisoned.
    fn check_after(&mut self, fault: Fault, context: &str) {
        if self.store.is_none() {
            return;
        }
        let store = self.store();
        let tried = self.history.states.len() - 1 > self.history.acknowledged;
        if self.history.acknowledged > 0 || !tried {
            // A database whose log was read again may show an attempt that a failed fsync left.
            let found = everything(&store.snapshot()).unwrap();
            let shown = self.history.states[self.history.acknowledged..].iter().any(|state| **state == found);
            assert!(shown, "what is read is not what was acknowledged: {context}");
        }
        let write = vec![Write::Put(key(1), self.values.next(&mut self.random))];
        match store.write(batch_of(&write), Some(SyncMode::Sync)) {
            Ok(_) => {
                if tried {
                    let found = everything(&store.snapshot()).unwrap();
                    let mut without = self.history.now().as_ref().clone();
                    write[0].apply(&mut without);
                    if found == without {
                        self.history.refuse();
                    } else {
                        self.history.acknowledge(SyncMode::Sync);
                    }
                }
                self.history.attempt(write);
                self.history.acknowledge(SyncMode::Sync);
                check_all(&store.snapshot(), self.history.now()).unwrap();
            }
            Err(Error::Poisoned { .. }) if fault != Fault::Enospc => {}
            Err(Error::Closed) => {}
            Err(error) => panic!("no commit after {context}: {error}"),
        }
    }

    /// After a kill or a power cut everything must be as acknowledged, and work.
    fn end_and_check(mut self, cut: bool, context: &str) {
        self.end(cut);
        self.open().unwrap_or_else(|error| panic!("open after {context}: {error}"));
        let found = everything(&self.store().snapshot()).unwrap();
        let floor = if cut { self.history.durable } else { self.history.written };
        self.history.recover(&found, floor);
        self.fill(2).unwrap();
        self.flush().unwrap();
        check_all(&self.store().snapshot(), self.history.now()).unwrap();
        let report = self.store().verify().unwrap();
        assert!(report.is_sound(), "verify after {context} finds {report:?}");
        self.close().unwrap();
    }
}
