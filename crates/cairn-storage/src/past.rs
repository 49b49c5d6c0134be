//! How far back the store can be read: the registry of snapshots, with what may be asked for besides, and how long a
//! snapshot may keep versions.
//!
//! Invariants:
//! - I1: a sequence below `floor` is registered only if it is held already and has not expired: whoever drops versions was
//!   told the floor. The floor and what depends on it change under one lock, which is taken before the registry's.
//! - I2: who reads at a commit that is no longer kept is told, not shown what is left: `check` comes after the sources of the
//!   read were taken, and a commit expires before sources without its versions are made.

use std::collections::BTreeSet;
use std::time::Duration;

use cairn_env::Env;
use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::history::{AsOf, History};
use crate::key::CommitSeq;
use crate::options::Options;
use crate::registry::Registry;
use crate::sync::{AtomicU64, Ordering};

/// The newest commit, those that are read at, and how far back others may be asked for.
pub(crate) struct Snapshots {
    registry: Registry,
    past: Mutex<Past>,
    env: Env,
    /// A snapshot of this age, in nanoseconds, loses its versions.
    age_max: u64,
    keeps_history: bool,
    /// Above every sequence whose holders have lost their versions; 0 = there is none.
    expired_below: AtomicU64,
}

struct Past {
    /// Below this, versions may have been dropped that nobody held (I1).
    floor: CommitSeq,
    /// Held, but not kept any more.
    expired: BTreeSet<CommitSeq>,
    history: Option<History>,
}

/// What a flush keeps, and what it records of the past.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Not newer than any commit that is to stay readable.
    pub(crate) oldest: CommitSeq,
    /// The commit from which on everything stays.
    pub(crate) from: CommitSeq,
    /// Commits and when they were made.
    pub(crate) times: Vec<(u64, CommitSeq)>,
}

/// A commit that is being read; see [`crate::Store::snapshots`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The commit.
    pub seq: CommitSeq,
    /// Snapshots and transactions that read at it.
    pub holders: usize,
    /// How long it has been read at without a break.
    pub age: Duration,
    /// Whether it was too old ([`crate::Options::snapshot_age_max`]) when versions were dropped: reads fail.
    pub expired: bool,
}

#[cfg(test)]
impl Kept {
    /// Keeps what snapshots from this one on see.
    pub(crate) fn at(seq: CommitSeq) -> Kept {
        Kept { oldest: seq, from: seq, times: Vec::new() }
    }
}

impl Snapshots {
    /// For a store that was opened at `last_seq`; `kept_from` is the first commit of which no version was dropped.
    pub(crate) fn new(
        env: &Env,
        options: &Options,
        last_seq: CommitSeq,
        kept_from: CommitSeq,
        mut history: Option<History>,
    ) -> Snapshots {
        if let Some(history) = &mut history {
            history.begin(now_micros(env), last_seq);
        }
        let age_max = options.snapshot_age_max.map(|age| u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
        Snapshots {
            registry: Registry::new(last_seq),
            keeps_history: history.is_some(),
            past: Mutex::new(Past { floor: kept_from, expired: BTreeSet::new(), history }),
            env: env.clone(),
            age_max: age_max.unwrap_or(u64::MAX),
            expired_below: AtomicU64::new(0),
        }
    }

    fn nanos(&self) -> u64 {
        self.env.clock().monotonic_nanos()
    }

    /// The newest visible commit.
    pub(crate) fn newest(&self) -> CommitSeq {
        self.registry.newest()
    }

    /// As [`Registry::publish`].
    pub(crate) fn publish(&self, seq: CommitSeq) {
        self.registry.publish(seq);
        if self.keeps_history
            && let Some(history) = &mut self.past.lock().history
        {
            history.note(now_micros(&self.env), seq);
        }
    }

    /// Registers the newest visible commit.
    pub(crate) fn acquire(&self) -> CommitSeq {
        self.registry.acquire_since(|| self.nanos())
    }

    pub(crate) fn release(&self, seq: CommitSeq) {
        self.registry.release(seq);
    }

    /// Registers a commit of the past, if its versions are still there (I1).
    pub(crate) fn acquire_at(&self, as_of: AsOf) -> Result<CommitSeq> {
        let past = self.past.lock();
        let newest = self.newest();
        let seq = match as_of {
            AsOf::Commit(seq) => seq,
            AsOf::Micros(micros) => {
                let Some(history) = &past.history else {
                    let message = "reading as of a time needs Options::retention";
                    return Err(Error::InvalidArgument(message.to_string()));
                };
                if micros > self.env.clock().wall_micros() {
                    return Err(Error::InvalidArgument(
                        "the time to read as of is in the future".to_string(),
                    ));
                }
                history.seq_at(u64::try_from(micros).unwrap_or(0)).ok_or(Error::SnapshotTooOld)?.min(newest)
            }
        };
        if seq > newest {
            return Err(Error::InvalidArgument(format!("there is no commit {seq} yet")));
        }
        let is_held = || self.registry.holdings().iter().any(|(held, _)| *held == seq);
        if seq < past.floor && (past.expired.contains(&seq) || !is_held()) {
            return Err(Error::SnapshotTooOld);
        }
        self.registry.hold(seq, self.nanos());
        Ok(seq)
    }

    /// The sequences that must stay readable, ascending: those held and not too old, and the newest visible one. With
    /// a retention the last is instead the one from which on everything must stay: versions newer than the whole
    /// list are kept by whoever asks. Whoever asks may drop the rest (I1).
    pub(crate) fn readable(&self) -> Vec<CommitSeq> {
        let mut past = self.past.lock();
        let mut seqs = self.registry.readable();
        let newest = seqs.last().copied().unwrap_or_default();
        let now = now_micros(&self.env);
        let floor = past.floor;
        let horizon = past.history.as_mut().map_or(newest, |history| history.horizon(now, floor).min(newest));
        if self.age_max < u64::MAX || !past.expired.is_empty() {
            let (held, now) = (self.registry.holdings(), self.nanos());
            past.expired.retain(|seq| held.iter().any(|(held, _)| held == seq));
            for (seq, holding) in held.iter().filter(|(seq, _)| *seq < horizon) {
                if now.saturating_sub(holding.since) > self.age_max && past.expired.insert(*seq) {
                    self.expired_below.fetch_max(seq + 1, Ordering::AcqRel);
                }
            }
        }
        seqs.retain(|seq| *seq < horizon && !past.expired.contains(seq));
        seqs.push(horizon);
        past.floor = past.floor.max(horizon);
        seqs
    }

    /// What a flush of commits up to `seq` is to keep and to record; `recorded` is the newest commit whose time is.
    pub(crate) fn kept(&self, seq: CommitSeq, recorded: CommitSeq) -> Kept {
        let readable = self.readable();
        let past = self.past.lock();
        let times =
            past.history.as_ref().map(|history| history.between(recorded, seq, now_micros(&self.env)));
        Kept {
            oldest: readable.first().copied().unwrap_or_default(),
            from: readable.last().copied().unwrap_or_default().min(seq),
            times: times.unwrap_or_default(),
        }
    }

    /// What is held, oldest first, for telling.
    pub(crate) fn list(&self) -> Vec<SnapshotInfo> {
        let now = self.nanos();
        let past = self.past.lock();
        let holdings = self.registry.holdings().into_iter();
        let info = holdings.map(|(seq, holding)| SnapshotInfo {
            seq,
            holders: holding.count,
            age: Duration::from_nanos(now.saturating_sub(holding.since)),
            expired: past.expired.contains(&seq),
        });
        info.collect()
    }

    /// Fails where the holders of a sequence have lost its versions (I2).
    pub(crate) fn check(&self, seq: CommitSeq) -> Result<()> {
        if seq < self.expired_below.load(Ordering::Acquire) && self.past.lock().expired.contains(&seq) {
            return Err(Error::SnapshotTooOld);
        }
        Ok(())
    }
}

fn now_micros(env: &Env) -> u64 {
    u64::try_from(env.clock().wall_micros()).unwrap_or(0)
}
