//! One of several clients: commits, transactions, reads, maintenance, each noted in the life it is part of.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use cairn_env::sim::{Fault, Simulation};
use cairn_env::{Env, SeededRandom};
use cairn_storage::{
    CommitHandle, Direction, Error, Isolation, KeyRange, Options, Result, Snapshot, Store, SyncMode, Txn,
    TxnOptions,
};

use super::SEEN;
use super::oracle::{Deal, Life, Look};
use crate::model::{
    Reader, Values, Write, batch_of, block_on, collect, key, random_key, random_mode, random_range,
    random_write,
};
use crate::rig::{count, say};

/// What may go wrong in a life besides its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// The disk fills up, until a client makes room.
    Full,
    Planned(Fault),
}

/// An operation did not succeed: the client ends, or goes on.
pub(crate) enum Stop {
    /// The machine is off, the store is closed or poisoned.
    End,
    /// It failed for a reason that is there; others may succeed.
    Failed,
}

/// What all clients of a life have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) simulation: Arc<Simulation>,
    pub(crate) env: Env,
    pub(crate) store: Store,
    pub(crate) life: Arc<Mutex<Life>>,
    pub(crate) trouble: Trouble,
    pub(crate) talks: bool,
    /// It opened the store again; the others' files may vanish.
    pub(crate) next_holder: bool,
}

impl Shared {
    /// Whether the directory belongs to another holder by now.
    fn is_outlived(&self) -> bool {
        !self.next_holder && self.life.lock().unwrap().reopened
    }

    /// Sorts out a result: an error needs a cause.
    pub(crate) fn sort<T>(&self, what: &str, result: Result<T>) -> std::result::Result<T, Stop> {
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        say!(self, "{what}: {error}");
        if self.simulation.is_off() {
            return Err(Stop::End);
        }
        let hit = self.simulation.fault_hits() > 0;
        match (&error, self.trouble) {
            (Error::Closed, _) if self.life.lock().unwrap().closing => Err(Stop::End),
            (Error::Poisoned { .. }, Trouble::Planned(_)) if hit => {
                count(&SEEN.poisoned, 1);
                self.life.lock().unwrap().poisoned = true;
                Err(Stop::End)
            }
            (Error::DiskFull { .. }, Trouble::Full) => Err(Stop::Failed),
            (Error::DiskFull { .. }, Trouble::Planned(Fault::Enospc)) if hit => Err(Stop::Failed),
            (Error::Io { .. }, Trouble::Planned(_)) if hit => Err(Stop::Failed),
            (Error::Corrupt { .. }, Trouble::Planned(Fault::FlippedRead)) if hit => Err(Stop::Failed),
            _ => panic!("{what} failed without cause ({:?}): {error}", self.trouble),
        }
    }
}

/// What the clients of a life do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Anything, commits mostly.
    Usual,
    /// Maintenance while somebody closes and opens again; commits too, or none.
    HandOver { commits: bool },
}

pub(crate) struct Client {
    pub(crate) number: u64,
    pub(crate) manner: Manner,
    pub(crate) shared: Shared,
    pub(crate) random: SeededRandom,
    pub(crate) values: Values,
    /// Batches of equal length, so that what a failed append left behind fits what comes after.
    pub(crate) even: bool,
    pub(crate) options: Options,
    pub(crate) begun: Vec<Begun>,
}

/// A commit that was begun and not waited for yet.
pub(crate) struct Begun {
    what: &'static str,
    attempt: u64,
    before: (u64, bool),
    mode: SyncMode,
    deal: Option<Deal>,
    handle: CommitHandle,
}

impl Client {
    /// Works until the given number of steps is done, or the end; then hears what became of what it began.
    pub(crate) fn run(mut self, steps: u64) {
        self.work(steps);
        while !self.begun.is_empty() {
            let _ = self.hear_one();
        }
    }

    fn work(&mut self, steps: u64) {
        let mut failures = 0;
        let mut held = Vec::new();
        for _ in 0..steps {
            self.shared.env.tasks().yield_point();
            match self.step(&mut held) {
                Ok(()) => {}
                Err(Stop::End) => return,
                Err(Stop::Failed) => {
                    count(&SEEN.failures, 1);
                    failures += 1;
                    if failures > 2 && self.shared.trouble == Trouble::Full {
                        say!(self.shared, "client {} makes room", self.number);
                        self.shared.simulation.set_capacity(u64::MAX);
                    } else if failures > 3 {
                        return;
                    }
                }
            }
        }
    }

    /// Whether a commit may stay without an answer for good. Where it stands is then a guess among several, which
    /// is good enough unless a checkpoint was made meanwhile.
    fn forgets(&self) -> bool {
        let mut life = self.life();
        life.forgets |= life.copies.is_empty() && !life.copying;
        life.forgets
    }

    /// Waits for a commit that was begun before, or forgets it.
    fn hear_one(&mut self) -> std::result::Result<(), Stop> {
        if self.begun.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.begun.len() as u64) as usize;
        let Begun { what, attempt, before, mode, deal, handle } = self.begun.remove(at);
        if self.random.one_in(20) && self.forgets() {
            say!(self.shared, "client {}: forgets {what}", self.number);
            return Ok(());
        }
        let polls = self.random.one_in(2);
        let result = if polls { block_on(&self.shared.env, handle) } else { handle.wait() };
        count(&SEEN.awaited, 1);
        self.settle_deal(what, attempt, before, mode, deal, result)
    }

    fn life(&self) -> std::sync::MutexGuard<'_, Life> {
        self.shared.life.lock().unwrap()
    }

    fn step(&mut self, held: &mut Vec<Snapshot>) -> std::result::Result<(), Stop> {
        let store = self.shared.store.clone();
        let chosen = match self.manner {
            Manner::Usual => self.random.below(40),
            Manner::HandOver { commits } => {
                let maintained = self.life().maintaining > 0;
                match self.random.below(8) {
                    0 | 1 if commits => 0,
                    0 => 26,
                    1..=3 if maintained => return self.close(),
                    1..=4 => 35,
                    5 | 6 => 36,
                    _ => 40,
                }
            }
        };
        match chosen {
            0..=13 => self.write_batch(),
            14..=25 => self.transaction(),
            26..=28 => {
                let snapshot = self.snapshot();
                self.look(&snapshot, snapshot.seq(), &[])?;
                held.push(snapshot);
                Ok(())
            }
            29 | 30 => {
                let at = self.random.below(held.len().max(1) as u64) as usize;
                if let Some(snapshot) = held.get(at).cloned() {
                    self.look(&snapshot, snapshot.seq(), &[])?;
                    if self.random.one_in(2) {
                        held.swap_remove(at);
                    }
                }
                Ok(())
            }
            31 | 32 => self.make_durable("sync", Store::sync),
            33 | 34 => self.make_durable("flush", Store::flush),
            35 => {
                let range =
                    if self.random.one_in(2) { KeyRange::all() } else { random_range(&mut self.random) };
                self.maintain(|client| client.make_durable("compact", |store| store.compact(range)))
            }
            36 => self.maintain(Client::checkpoint),
            37 => {
                let report = self.shared.sort("verify", store.verify())?;
                let rot = self.shared.trouble == Trouble::Planned(Fault::FlippedRead);
                // The next holder may have removed what this one still knows.
                let sound = report.is_sound() || self.shared.is_outlived();
                assert!(sound || rot, "verify finds {report:?}");
                Ok(())
            }
            38 if self.random.one_in(6) => self.close(),
            39 => self.hear_one(),
            _ => {
                self.shared.env.clock().sleep(std::time::Duration::from_micros(self.random.below(5_000)));
                Ok(())
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let before = self.life().acknowledged;
        let snapshot = self.shared.store.snapshot();
        assert!(snapshot.seq() >= before, "a snapshot at {} after commit {before}", snapshot.seq());
        snapshot
    }

    /// Reads something and notes it.
    fn look(&mut self, reader: &dyn Reader, seq: u64, own: &[Write]) -> std::result::Result<KeyRange, Stop> {
        let (range, found) = if self.random.one_in(2) {
            let key = random_key(&mut self.random);
            let found =
                reader.read(&key).map(|value| value.map(|value| (key.clone(), value)).into_iter().collect());
            (KeyRange::key(&key), found)
        } else {
            let range = if self.random.one_in(3) { KeyRange::all() } else { random_range(&mut self.random) };
            let direction = if self.random.one_in(2) { Direction::Forward } else { Direction::Reverse };
            let found = collect(reader, &range, direction).map(|mut found| {
                if direction == Direction::Reverse {
                    found.reverse();
                }
                found
            });
            (range, found)
        };
        let found: Vec<_> = self.shared.sort("read", found)?;
        self.life().looks.push(Look { seq, own: own.to_vec(), range: range.clone(), found });
        Ok(range)
    }

    /// Notes how an attempt ended.
    fn settle(
        &mut self,
        what: &str,
        attempt: u64,
        before: (u64, bool),
        mode: SyncMode,
        result: Result<u64>,
    ) -> std::result::Result<u64, Stop> {
        let off = self.shared.simulation.is_off();
        let is_nowhere = matches!(result, Err(Error::DiskFull { .. } | Error::Io { .. }));
        let seq = self.shared.sort(what, result).inspect_err(|_| {
            if is_nowhere || !off {
                self.life().fail(attempt, is_nowhere);
            }
        })?;
        say!(self.shared, "client {}: {what} {mode:?} is commit {seq}", self.number);
        assert!(!before.1, "a poisoned store commits");
        self.life().acknowledge(attempt, seq, mode, before.0);
        count(&SEEN.commits, 1);
        Ok(seq)
    }

    fn write_batch(&mut self) -> std::result::Result<(), Stop> {
        let writes: Vec<Write> = if self.even {
            vec![Write::Put(key(4 * self.random.below(4)), self.values.even())]
        } else {
            let count = self.random.between(1, 5);
            (0..count).map(|_| random_write(&mut self.random, &mut self.values)).collect()
        };
        let batch = batch_of(&writes);
        let mode = random_mode(&mut self.random);
        let awaits = self.random.one_in(3);
        let (attempt, before) = self.attempt(writes);
        if awaits {
            let handle = self.shared.store.write_async(batch, Some(mode));
            return self.begin(Begun { what: "batch", attempt, before, mode, deal: None, handle });
        }
        let result = self.shared.store.write(batch, Some(mode));
        self.settle("batch", attempt, before, mode, result).map(drop)
    }

    /// Keeps a commit that was begun; only a few at a time.
    fn begin(&mut self, begun: Begun) -> std::result::Result<(), Stop> {
        self.begun.push(begun);
        if self.begun.len() > 3 || self.random.one_in(3) { self.hear_one() } else { Ok(()) }
    }

    fn attempt(&self, writes: Vec<Write>) -> (u64, (u64, bool)) {
        let mut life = self.life();
        let before = (life.acknowledged, life.poisoned);
        (life.attempt(writes), before)
    }

    fn transaction(&mut self) -> std::result::Result<(), Stop> {
        let serializable = self.random.one_in(2);
        let isolation = if serializable { Isolation::Serializable } else { Isolation::Snapshot };
        let mode = random_mode(&mut self.random);
        let acknowledged = self.life().acknowledged;
        let options = TxnOptions { isolation, sync: Some(mode), client_token: self.random.next() };
        let mut txn = self.shared.store.begin(options);
        let snapshot = txn.snapshot_seq();
        assert!(snapshot >= acknowledged, "a transaction at {snapshot} after commit {acknowledged}");
        let (mut writes, mut reads, mut partly_own) = (Vec::<Write>::new(), Vec::new(), Vec::new());
        for _ in 0..self.random.between(1, 5) {
            if self.random.one_in(3) {
                let range = self.look(&txn, snapshot, &writes)?;
                // What own writes answered need not be validated.
                let own = writes.iter().any(|write| write.touches(&range));
                if serializable {
                    if own { partly_own.push(range) } else { reads.push(range) }
                }
            } else {
                let write = random_write(&mut self.random, &mut self.values);
                let done = put(&mut txn, &write);
                self.shared.sort("transaction", done)?;
                writes.push(write);
            }
            self.shared.env.tasks().yield_point();
        }
        if self.random.one_in(10) {
            txn.rollback();
            return Ok(());
        }
        if writes.is_empty() {
            return self.shared.sort("read-only commit", txn.commit()).map(drop);
        }
        let written = writes.iter().map(Write::range).collect();
        let (attempt, before) = self.attempt(writes);
        let deal = Deal { snapshot, outcome: Ok(0), writes: written, reads, partly_own };
        if self.random.one_in(3) {
            let handle = txn.commit_async();
            let deal = Some(deal);
            return self.begin(Begun { what: "transaction", attempt, before, mode, deal, handle });
        }
        let result = txn.commit();
        self.settle_deal("transaction", attempt, before, mode, Some(deal), result)
    }

    /// Notes how an attempt ended, and where it was a transaction, what it read and wrote.
    fn settle_deal(
        &mut self,
        what: &'static str,
        attempt: u64,
        before: (u64, bool),
        mode: SyncMode,
        deal: Option<Deal>,
        result: Result<u64>,
    ) -> std::result::Result<(), Stop> {
        match (result, deal) {
            (Err(Error::Conflict { .. }), Some(mut deal)) => {
                count(&SEEN.conflicts, 1);
                deal.outcome = Err(self.shared.store.last_committed());
                let mut life = self.life();
                life.refuse(attempt);
                // Reads that own writes answered in part count too.
                deal.reads.append(&mut deal.partly_own);
                life.deals.push(deal);
                Ok(())
            }
            (result, deal) => {
                let seq = self.settle(what, attempt, before, mode, result)?;
                if let Some(mut deal) = deal {
                    deal.outcome = Ok(seq);
                    self.life().deals.push(deal);
                }
                Ok(())
            }
        }
    }

    fn make_durable(
        &mut self,
        what: &str,
        act: impl FnOnce(&Store) -> Result<()>,
    ) -> std::result::Result<(), Stop> {
        let before = self.life().acknowledged;
        self.shared.sort(what, act(&self.shared.store))?;
        say!(self.shared, "client {}: {what} up to commit {before}", self.number);
        self.life().synced(before);
        Ok(())
    }

    /// Does something that takes its time, and says so to the others.
    fn maintain(
        &mut self,
        act: impl FnOnce(&mut Client) -> std::result::Result<(), Stop>,
    ) -> std::result::Result<(), Stop> {
        self.life().maintaining += 1;
        let done = act(self);
        self.life().maintaining -= 1;
        done
    }

    fn checkpoint(&mut self) -> std::result::Result<(), Stop> {
        let dir = PathBuf::from(match self.random.next() {
            odd if odd % 2 == 1 => format!("/copies{odd}/deep/down"),
            even => format!("/copy{even}"),
        });
        let before = {
            let mut life = self.life();
            if life.forgets {
                return Ok(());
            }
            life.copying = true;
            life.acknowledged
        };
        let seq = self.shared.sort("checkpoint", self.shared.store.checkpoint(&dir))?;
        assert!(seq >= before, "a checkpoint at {seq} after commit {before}");
        count(&SEEN.checkpoints, 1);
        let mut life = self.life();
        life.synced(before);
        life.copies.push((dir, seq));
        Ok(())
    }

    /// Closes the store under the others.
    fn close(&mut self) -> std::result::Result<(), Stop> {
        let before = {
            let mut life = self.life();
            life.closing = true;
            life.acknowledged
        };
        say!(self.shared, "client {} closes", self.number);
        self.shared.sort("close", self.shared.store.clone().close())?;
        count(&SEEN.closed_by_client, 1);
        self.life().synced(before);
        if self.manner != Manner::Usual || self.random.one_in(2) {
            // Whatever it meets: this client has done what it came for.
            self.open_again().map_err(|_| Stop::End)?;
        }
        Err(Stop::End)
    }

    /// The next holder comes while others have not noticed that the store is closed.
    fn open_again(&mut self) -> std::result::Result<(), Stop> {
        if std::mem::replace(&mut self.life().reopened, true) {
            return Ok(());
        }
        self.shared.next_holder = true;
        let shared = &self.shared;
        let dir = shared.store.dir();
        let store = shared.sort("open again", Store::open(&shared.env, dir, self.options.clone()))?;
        let snapshot = store.snapshot();
        let found = shared.sort("scan", collect(&snapshot, &KeyRange::all(), Direction::Forward))?;
        say!(shared, "client {} opens again: commit {}", self.number, snapshot.seq());
        self.life().looks.push(Look { seq: snapshot.seq(), own: Vec::new(), range: KeyRange::all(), found });
        shared.sort("flush", store.flush())?;
        shared.sort("compact", store.compact(KeyRange::all()))?;
        let report = shared.sort("verify", store.verify())?;
        let rot = shared.trouble == Trouble::Planned(Fault::FlippedRead);
        assert!(report.is_sound() || rot, "verify finds {report:?}");
        shared.sort("close", store.close())
    }
}

fn put(txn: &mut Txn, write: &Write) -> Result<()> {
    match write {
        Write::Put(key, value) => txn.put(key, value),
        Write::Delete(key) => txn.delete(key),
        Write::DeleteRange(start, end) => txn.delete_range(start, end),
    }
}
