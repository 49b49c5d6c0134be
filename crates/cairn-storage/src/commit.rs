//! Group commit: one append and one fsync serve all that queued (see [`crate::commit_lead`]). A group is validated,
//! numbered, staged, written, synced, applied, published.
//!
//! Invariants:
//! - I1: commits get consecutive sequences in log order; a failed one consumes none.
//! - I2: a transaction is validated against everything committed after its snapshot: the store's sources
//!   and the accepted members of its own group before it.
//! - I3: effects are applied only after the append (and sync) of the whole group succeeded.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use xxhash_rust::xxh3::xxh3_64;

use crate::core::{Core, Sources};
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Kind, SEQ_MAX};
use crate::locks::{ByTarget, HeldLocks, Hold, Name};
use crate::memtable::{Hint, Hints, Memtable, TOGETHER, Write};
use crate::options::SyncMode;
use crate::range::KeyRange;
use crate::reads::{Checks, Guard, Guarded};
use crate::snapshot::Hold as SnapshotHold;
use crate::wal::{Effect, LogWriter, RecordBuffer, RecordHeader, RecordKind};

const EFFECTS_WHOLE: &str = "I4: a request's effects were encoded by this process";

/// Bits of the hybrid clock below the microseconds.
pub(crate) const CLOCK_COUNTER_BITS: u32 = 12;

/// A transaction ready to commit.
pub(crate) struct Request {
    pub(crate) record: RecordBuffer,
    /// What the transaction read at; `None` asks for no validation.
    pub(crate) snapshot: Option<CommitSeq>,
    pub(crate) checks: Checks,
    pub(crate) guards: Vec<Guard>,
    /// Locked keys: for these it is their own commit that counts, not the snapshot's.
    pub(crate) holds: ByTarget<Hold>,
    pub(crate) sync: SyncMode,
    pub(crate) client_token: u64,
    pub(crate) schema_version: u64,
    pub(crate) txn_id: u64,
    /// Given back when the commit is visible, before anybody is told.
    pub(crate) hold: Option<Kept>,
    /// When it was asked for, by the monotonic clock.
    pub(crate) begun: u64,
}

/// What is kept until a commit is visible.
#[derive(Default)]
pub(crate) struct Kept {
    /// Has the versions that validation needs, where the caller does not keep them.
    pub(crate) snapshot: Option<Arc<SnapshotHold>>,
    /// Here to be dropped.
    #[expect(dead_code)]
    pub(crate) locks: Option<Box<HeldLocks>>,
}

impl Request {
    /// The commit after which a written key must not have changed.
    fn base_of(&self, key: &[u8], snapshot: CommitSeq) -> CommitSeq {
        if self.holds.is_empty() {
            return snapshot;
        }
        self.holds.get(&Name::Key(key).id()).and_then(|hold| hold.since).unwrap_or(snapshot)
    }

    /// The oldest of all commits that something is validated against.
    fn oldest_base(&self, snapshot: CommitSeq) -> CommitSeq {
        let holds = self.holds.values().filter_map(|hold| hold.since);
        holds.chain(self.guards.iter().map(|guard| guard.since)).fold(snapshot, CommitSeq::min)
    }
}

/// What the write lock protects.
pub(crate) struct Writer {
    pub(crate) log: LogWriter,
    pub(crate) last_seq: CommitSeq,
    pub(crate) last_time: u64,
    hints: Hints,
}

impl Writer {
    pub(crate) fn new(log: LogWriter, last_seq: CommitSeq, last_time: u64) -> Writer {
        Writer { log, last_seq, last_time, hints: Hints::default() }
    }
}

impl Core {
    /// Commits a group under the write lock.
    pub(crate) fn commit_group(self: &Arc<Core>, requests: &mut [Box<Request>]) -> Vec<Result<CommitSeq>> {
        let mut writer = self.write.lock();
        let writer = &mut *writer;
        let len = requests.iter().map(|request| request.record.padded_len()).sum();
        let prepared = self.check_writable().and_then(|()| {
            self.rotate_full_memtable(&self.sources(), writer);
            writer.log.prepare(len, || self.tree.new_file_number())
        });
        let segment = match prepared {
            Ok(segment) => segment,
            Err(error) => return self.fail_group(writer, requests.iter().map(|_| Ok(0)).collect(), error),
        };
        let sources = self.sources();
        let (results, staged) = self.validate_and_stage(writer, &sources, requests);
        let accepted: Vec<&Request> =
            requests.iter().zip(&results).filter(|(_, r)| r.is_ok()).map(|(request, _)| &**request).collect();
        if accepted.is_empty() {
            return match staged {
                Ok(()) => results,
                Err(error) => self.fail_group(writer, results, error),
            };
        }
        let (sync, write) = (
            accepted.iter().any(|request| request.sync == SyncMode::Sync),
            accepted.iter().any(|request| request.sync != SyncMode::None),
        );
        let appended = staged.and_then(|()| {
            if write || writer.log.pending_bytes() >= self.options.wal_buffer_bytes {
                writer.log.write()
            } else {
                writer.log.keep_pending();
                Ok(())
            }
        });
        if let Err(error) = appended {
            return self.fail_group(writer, results, error);
        }
        if sync && let Err(error) = self.sync_written(writer) {
            return results.into_iter().map(|result| result.and(Err(error.clone()))).collect();
        }
        let seqs = results.iter().filter_map(|result| result.as_ref().ok());
        apply_group(&sources.active, &mut writer.hints, segment, seqs.zip(&accepted));
        self.commits.note_group(accepted.len() as u64);
        writer.last_seq += accepted.len() as u64;
        writer.log.accept_last_seq(writer.last_seq);
        self.snapshots.publish(writer.last_seq);
        self.note_activity();
        if !sync && write && !self.sync_due.swap(true, Ordering::AcqRel) {
            self.wake_sync();
        }
        results
    }

    /// The sequence and the hybrid time of the next commit.
    pub(crate) fn next_stamp(&self, writer: &mut Writer) -> (CommitSeq, u64) {
        self.stamp_after(writer.last_seq, writer)
    }

    /// The sequence and the hybrid time of the commit after another.
    fn stamp_after(&self, seq: CommitSeq, writer: &mut Writer) -> (CommitSeq, u64) {
        let seq = seq + 1;
        assert!(seq <= SEQ_MAX, "the commit sequence has 55 bits");
        let now = (self.env.clock().wall_micros().max(0) as u64) << CLOCK_COUNTER_BITS;
        writer.last_time = now.max(writer.last_time + 1);
        (seq, writer.last_time)
    }

    /// Takes back what was staged and fails every member that was not refused already.
    fn fail_group(
        &self,
        writer: &mut Writer,
        results: Vec<Result<CommitSeq>>,
        error: Error,
    ) -> Vec<Result<CommitSeq>> {
        let error = self.undo_log(writer, error);
        results.into_iter().map(|result| result.and(Err(error.clone()))).collect()
    }

    /// Syncs what was handed to the operating system; a failure poisons the store.
    pub(crate) fn sync_written(&self, writer: &mut Writer) -> Result<()> {
        let Some(job) = writer.log.sync_job() else { return Ok(()) };
        let _syncing = self.sync_lock.lock();
        // Not whether it is closed: the records are in the file, and `close` waits for them.
        self.check_sound()?;
        job.run().map_err(|error| self.poison(&error))?;
        writer.log.note_synced(&job);
        Ok(())
    }

    /// Validates each member and stages the accepted ones (I1, I2).
    fn validate_and_stage(
        &self,
        writer: &mut Writer,
        sources: &Sources,
        requests: &mut [Box<Request>],
    ) -> (Vec<Result<CommitSeq>>, Result<()>) {
        let mut results = Vec::with_capacity(requests.len());
        let mut group = Group::default();
        let mut seq = writer.last_seq;
        let mut staged = Ok(());
        let members = requests.len();
        for (at, request) in requests.iter_mut().enumerate() {
            let valid = validate(request, sources, writer.last_seq, &group);
            if let Err(error) = valid {
                results.push(Err(error));
                continue;
            }
            let time;
            (seq, time) = self.stamp_after(seq, writer);
            let header = RecordHeader {
                kind: RecordKind::Commit,
                effects: request.record.effects(),
                epoch: 0,
                seq,
                time,
                txn_id: request.txn_id,
                client_token: request.client_token,
                schema_version: request.schema_version,
                synced_offset: 0,
            };
            results.push(Ok(seq));
            if staged.is_ok() {
                staged = writer.log.stage(&mut request.record, header);
            }
            if at + 1 < members {
                group.add(&request.record);
            }
        }
        (results, staged)
    }
}

/// What the accepted members of the group so far write.
#[derive(Default)]
struct Group {
    keys: HashSet<u64>,
    /// With whether the key is put, and by which member.
    key_list: Vec<(Vec<u8>, bool, usize)>,
    ranges: Vec<(KeyRange, usize)>,
    members: usize,
}

impl Group {
    fn is_unchanged(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty()
    }

    fn add(&mut self, record: &RecordBuffer) {
        let at = self.members;
        self.members += 1;
        for effect in record.iter() {
            let effect = effect.expect(EFFECTS_WHOLE);
            match effect {
                Effect::Put { key, .. } | Effect::Delete { key } => {
                    self.keys.insert(xxh3_64(key));
                    self.key_list.push((key.to_vec(), matches!(effect, Effect::Put { .. }), at));
                }
                Effect::DeleteRange { start, end } => {
                    self.ranges.push((KeyRange::half_open(start, end), at));
                }
            }
        }
    }

    fn changes_key(&self, key: &[u8]) -> bool {
        // A collision of the hashes costs a needless conflict, no more.
        (!self.keys.is_empty() && self.keys.contains(&xxh3_64(key)))
            || self.ranges.iter().any(|(range, _)| range.contains(key))
    }

    /// Whether the group puts or deletes the key last; `None` where it does neither.
    fn leaves(&self, key: &[u8]) -> Option<bool> {
        let put = self.key_list.iter().rev().find(|(own, ..)| own == key).map(|(_, put, at)| (*put, *at));
        let deleted = self.ranges.iter().rev().find(|(range, _)| range.contains(key)).map(|(_, at)| *at);
        match (put, deleted) {
            // A range delete comes before the other effects of its record.
            (Some((put, at)), deleted) if deleted.is_none_or(|deleted| deleted <= at) => Some(put),
            (_, Some(_)) => Some(false),
            (_, None) => None,
        }
    }

    fn changes_range(&self, range: &KeyRange) -> bool {
        self.key_list.iter().any(|(key, ..)| range.contains(key))
            || self.ranges.iter().any(|(own, _)| own.overlaps(&range.start_key(), range.end_key().as_deref()))
    }
}

/// What has changed since some commit: in the store's sources, or by the group.
struct Changes<'a> {
    sources: &'a Sources,
    last_seq: CommitSeq,
    group: &'a Group,
}

impl Changes<'_> {
    fn of_key(&self, key: &[u8], since: CommitSeq) -> Result<bool> {
        Ok(self.group.changes_key(key)
            || self.last_seq > since && self.sources.key_changed_since(key, since)?)
    }

    fn of_range(&self, range: &KeyRange, since: CommitSeq) -> Result<bool> {
        Ok(self.group.changes_range(range)
            || self.last_seq > since && self.sources.range_changed_since(range, since)?)
    }

    /// Whether the key has a value when the member commits.
    fn has_value(&self, key: &[u8]) -> Result<bool> {
        match self.group.leaves(key) {
            Some(put) => Ok(put),
            None => Ok(self.sources.get(key, SEQ_MAX)?.is_some()),
        }
    }
}

fn conflict(reason: &str) -> Result<()> {
    Err(Error::Conflict { reason: reason.to_string() })
}

fn validate(request: &Request, sources: &Sources, last_seq: CommitSeq, group: &Group) -> Result<()> {
    let Some(snapshot) = request.snapshot else { return Ok(()) };
    if last_seq <= request.oldest_base(snapshot) && group.is_unchanged() {
        return Ok(());
    }
    let changes = Changes { sources, last_seq, group };
    for effect in request.record.iter() {
        let changed = match effect.expect(EFFECTS_WHOLE) {
            Effect::Put { key, .. } | Effect::Delete { key } => {
                changes.of_key(key, request.base_of(key, snapshot))?
            }
            Effect::DeleteRange { start, end } => {
                changes.of_range(&KeyRange::half_open(start, end), snapshot)?
            }
        };
        if changed {
            return conflict("another transaction wrote the same key");
        }
    }
    for key in &request.checks.keys {
        if changes.of_key(key, snapshot)? {
            return conflict("another transaction changed a key that this one read");
        }
    }
    for range in &request.checks.ranges {
        if changes.of_range(range, snapshot)? {
            return conflict("another transaction changed a range that this one read");
        }
    }
    for guard in &request.guards {
        let broken = match &guard.what {
            Guarded::Key(key) => changes.of_key(key, guard.since)?,
            Guarded::Range(range) => changes.of_range(range, guard.since)?,
            Guarded::Exists(key) => changes.of_key(key, guard.since)? && !changes.has_value(key)?,
        };
        if broken {
            return conflict("another transaction changed what this one relies on");
        }
    }
    Ok(())
}

fn apply_group<'a>(
    table: &Memtable,
    hints: &mut Hints,
    segment: u64,
    members: impl Iterator<Item = (&'a CommitSeq, &'a &'a Request)>,
) {
    table.note_segment(segment);
    let mut writes = Vec::with_capacity(TOGETHER);
    for (&seq, request) in members {
        for effect in request.record.iter() {
            match effect.expect(EFFECTS_WHOLE) {
                Effect::Put { key, value } => writes.push(Write { key, seq, kind: Kind::Put, value }),
                Effect::Delete { key } => writes.push(Write { key, seq, kind: Kind::Delete, value: b"" }),
                Effect::DeleteRange { start, end } => table.delete_range(start, end, seq),
            }
            if writes.len() == TOGETHER {
                table.insert_together(&writes, hints);
                writes.clear();
            }
        }
    }
    table.insert_together(&writes, hints);
}

/// Puts one effect into a memtable; repair does the same from the log.
pub(crate) fn apply_effect(table: &Memtable, hint: &mut Hint, seq: CommitSeq, effect: Effect<'_>) {
    match effect {
        Effect::Put { key, value } => table.insert(key, seq, Kind::Put, value, hint),
        Effect::Delete { key } => table.insert(key, seq, Kind::Delete, b"", hint),
        Effect::DeleteRange { start, end } => table.delete_range(start, end, seq),
    }
}
