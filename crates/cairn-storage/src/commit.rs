//! Group commit: transactions queue, a leader takes them, and one append and one fsync serve them all.
//!
//! ```text
//! commit ── nobody leads ──▶ lead: validate, number, stage, write, sync, apply, publish ──▶ done
//!    └───── somebody does ─▶ wait ──▶ done (by the leader)      │
//!                               └───▶ lead (handed over) ◀──────┘ if others wait
//! ```
//! A lone committer never switches threads. The next leader is woken before the finished group's members. Commits
//! that are awaited have no thread to lead with: whoever leads takes them along, and where nobody does a
//! background task is woken that leads; without background work the thread that began them does it at once.
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

use crate::commit_queue::{CommitHandle, Ticket};
use crate::core::{Core, Sources};
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Kind, SEQ_MAX};
use crate::memtable::{Hint, Memtable};
use crate::options::SyncMode;
use crate::range::KeyRange;
use crate::reads::Checks;
use crate::snapshot::Hold;
use crate::wal::{Effect, LogWriter, RecordBuffer, RecordHeader, RecordKind};

const EFFECTS_WHOLE: &str = "I4: a request's effects were encoded by this process";

/// Bits of the hybrid clock below the microseconds.
const CLOCK_COUNTER_BITS: u32 = 16;

/// A transaction ready to commit.
pub(crate) struct Request {
    pub(crate) record: RecordBuffer,
    /// What the transaction read at; `None` asks for no validation.
    pub(crate) snapshot: Option<CommitSeq>,
    pub(crate) checks: Checks,
    pub(crate) sync: SyncMode,
    pub(crate) client_token: u64,
    pub(crate) schema_version: u64,
    pub(crate) txn_id: u64,
    /// Keeps the versions that validation needs, where the caller does not.
    pub(crate) hold: Option<Arc<Hold>>,
    /// When it was asked for, by the monotonic clock.
    pub(crate) begun: u64,
}

/// What the write lock protects.
pub(crate) struct Writer {
    pub(crate) log: LogWriter,
    pub(crate) last_seq: CommitSeq,
    pub(crate) last_time: u64,
    hint: Hint,
}

impl Writer {
    pub(crate) fn new(log: LogWriter, last_seq: CommitSeq, last_time: u64) -> Writer {
        Writer { log, last_seq, last_time, hint: Hint::default() }
    }
}

impl Core {
    /// Commits, alone or in a group.
    pub(crate) fn commit(self: &Arc<Core>, mut request: Request) -> Result<CommitSeq> {
        self.check_writable()?;
        if request.record.effects() == 0 {
            return Ok(self.visible.load(Ordering::Acquire));
        }
        request.begun = self.env.clock().monotonic_nanos();
        let mut request = Box::new(request);
        let ticket = {
            let mut queue = self.queue.lock();
            if queue.led {
                let ticket = Ticket::new(request, self.env.signal(), false);
                queue.waiting.push(Arc::clone(&ticket));
                ticket
            } else {
                queue.led = true;
                drop(queue);
                return self.lead_own(request);
            }
        };
        match ticket.wait() {
            Ok(result) => result,
            Err(own) => {
                request = own;
                self.lead_own(request)
            }
        }
    }

    /// Begins a commit that nobody need wait for.
    pub(crate) fn commit_async(self: &Arc<Core>, mut request: Request) -> CommitHandle {
        if let Err(error) = self.check_writable() {
            return CommitHandle::done(Err(error));
        }
        if request.record.effects() == 0 {
            return CommitHandle::done(Ok(self.visible.load(Ordering::Acquire)));
        }
        request.begun = self.env.clock().monotonic_nanos();
        let ticket = Ticket::new(Box::new(request), self.env.signal(), true);
        let led = {
            let mut queue = self.queue.lock();
            if queue.closing {
                return CommitHandle::done(Err(Error::Closed));
            }
            queue.awaited += 1;
            queue.waiting.push(Arc::clone(&ticket));
            queue.led
        };
        if !led {
            self.see_to_awaited();
        }
        CommitHandle::queued(ticket)
    }

    /// Has somebody lead who commits what is awaited.
    fn see_to_awaited(self: &Arc<Core>) {
        if !self.wake_commit() {
            while self.lead_awaited() {}
        }
    }

    /// Commits those that wait, if nobody leads; false where there is nothing to do.
    pub(crate) fn lead_awaited(self: &Arc<Core>) -> bool {
        {
            let mut queue = self.queue.lock();
            if queue.led || queue.waiting.is_empty() {
                return false;
            }
            queue.led = true;
        }
        self.lead(None);
        true
    }

    /// Returns when every awaited commit is done; later ones are refused. Call it without locks.
    pub(crate) fn finish_awaited(&self) {
        self.queue.lock().closing = true;
        self.room.wait_until(|| self.queue.lock().awaited == 0);
    }

    /// Commits the own request and those that wait.
    fn lead_own(self: &Arc<Core>, own: Box<Request>) -> Result<CommitSeq> {
        let (result, left) = self.lead(Some(own));
        if left {
            self.see_to_awaited();
        }
        result.unwrap_or(Err(Error::Closed))
    }

    /// Commits the own request and those that wait, then hands the lead over. The result of the own one, and
    /// whether there are others whom nobody leads.
    fn lead(self: &Arc<Core>, own: Option<Box<Request>>) -> (Option<Result<CommitSeq>>, bool) {
        let room = self.finish_recovery().and_then(|()| self.wait_for_room());
        let tickets = std::mem::take(&mut self.queue.lock().waiting);
        let is_own = own.is_some();
        let mut requests = Vec::with_capacity(1 + tickets.len());
        requests.extend(own);
        requests.extend(tickets.iter().filter_map(|ticket| ticket.take()));
        let results = match room {
            Ok(()) => self.commit_group(&mut requests),
            Err(error) => requests.iter().map(|_| Err(error.clone())).collect(),
        };
        let left = self.hand_over();
        self.note_commits(&requests, &results);
        // Whoever is told finds the snapshot released.
        requests.iter_mut().for_each(|request| request.hold = None);
        // Big records are freed by their own threads' turn only after the others were told.
        let mut results = results.into_iter();
        let own = if is_own { results.next() } else { None };
        for (ticket, result) in tickets.iter().zip(results) {
            ticket.finish(result);
        }
        self.note_done(tickets.iter().filter(|ticket| ticket.awaited).count());
        (own, left)
    }

    /// Notes how long the commits of a group took.
    fn note_commits(&self, requests: &[Box<Request>], results: &[Result<CommitSeq>]) {
        let now = self.env.clock().monotonic_nanos();
        let done = requests.iter().zip(results).filter(|(_, result)| result.is_ok());
        for (request, _) in done {
            self.commits.latency.note(now.saturating_sub(request.begun));
        }
    }

    /// So many awaited commits are done.
    fn note_done(&self, done: usize) {
        if done == 0 {
            return;
        }
        let closing = {
            let mut queue = self.queue.lock();
            queue.awaited -= done;
            queue.closing
        };
        if closing {
            self.room.notify_all();
        }
    }

    /// Whether there are others whom nobody leads.
    fn hand_over(&self) -> bool {
        let mut queue = self.queue.lock();
        let Some(next) = queue.take_leader() else {
            queue.led = false;
            return !queue.waiting.is_empty();
        };
        drop(queue);
        if let Some(request) = next.take() {
            next.give_lead(request);
        }
        false
    }

    /// Commits a group under the write lock.
    fn commit_group(self: &Arc<Core>, requests: &mut [Box<Request>]) -> Vec<Result<CommitSeq>> {
        let mut writer = self.write.lock();
        let writer = &mut *writer;
        let len = requests.iter().map(|request| request.record.padded_len()).sum();
        let prepared = self.check_writable().and_then(|()| {
            self.rotate_full_memtable(&self.sources(), writer);
            writer.log.prepare(len, || self.tree.new_file_number())
        });
        let segment = match prepared {
            Ok(segment) => segment,
            Err(error) => return self.fail_group(writer, requests.iter().map(|_| Ok(0)).collect(), &error),
        };
        let sources = self.sources();
        let (results, staged) = self.validate_and_stage(writer, &sources, requests);
        let accepted: Vec<&Request> =
            requests.iter().zip(&results).filter(|(_, r)| r.is_ok()).map(|(request, _)| &**request).collect();
        if accepted.is_empty() {
            return match staged {
                Ok(()) => results,
                Err(error) => self.fail_group(writer, results, &error),
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
            return self.fail_group(writer, results, &error);
        }
        if sync && let Err(error) = self.sync_written(writer) {
            return results.into_iter().map(|result| result.and(Err(error.clone()))).collect();
        }
        let seqs = results.iter().filter_map(|result| result.as_ref().ok());
        apply_group(&sources.active, &mut writer.hint, segment, seqs.zip(&accepted));
        self.commits.note_group(accepted.len() as u64);
        writer.last_seq += accepted.len() as u64;
        writer.log.accept_last_seq(writer.last_seq);
        self.visible.store(writer.last_seq, Ordering::Release);
        if !sync && write && !self.sync_due.swap(true, Ordering::AcqRel) {
            self.wake_sync();
        }
        results
    }

    /// The sequence and the hybrid time of the next commit.
    pub(crate) fn next_stamp(&self, writer: &mut Writer) -> (CommitSeq, u64) {
        let seq = writer.last_seq + 1;
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
        error: &Error,
    ) -> Vec<Result<CommitSeq>> {
        self.undo_log(writer, error);
        results.into_iter().map(|result| result.and(Err(error.clone()))).collect()
    }

    /// Syncs what was handed to the operating system; a failure poisons the store.
    pub(crate) fn sync_written(&self, writer: &mut Writer) -> Result<()> {
        let Some(job) = writer.log.sync_job() else { return Ok(()) };
        let _syncing = self.sync_lock.lock();
        // Not whether it is closed: the records are in the file, and `close` waits for them.
        self.check_sound()?;
        if let Err(error) = job.run() {
            self.poison(&error);
            return Err(error);
        }
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
            seq += 1;
            assert!(seq <= SEQ_MAX, "the commit sequence has 55 bits");
            let now = (self.env.clock().wall_micros().max(0) as u64) << CLOCK_COUNTER_BITS;
            writer.last_time = now.max(writer.last_time + 1);
            let header = RecordHeader {
                kind: RecordKind::Commit,
                effects: request.record.effects(),
                epoch: 0,
                seq,
                time: writer.last_time,
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
    key_list: Vec<Vec<u8>>,
    ranges: Vec<KeyRange>,
}

impl Group {
    fn is_unchanged(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty()
    }

    fn add(&mut self, record: &RecordBuffer) {
        for effect in record.iter() {
            match effect.expect(EFFECTS_WHOLE) {
                Effect::Put { key, .. } | Effect::Delete { key } => {
                    self.keys.insert(xxh3_64(key));
                    self.key_list.push(key.to_vec());
                }
                Effect::DeleteRange { start, end } => self.ranges.push(KeyRange::half_open(start, end)),
            }
        }
    }

    fn changes_key(&self, key: &[u8]) -> bool {
        // A collision of the hashes costs a needless conflict, no more.
        (!self.keys.is_empty() && self.keys.contains(&xxh3_64(key)))
            || self.ranges.iter().any(|range| range.contains(key))
    }

    fn changes_range(&self, range: &KeyRange) -> bool {
        self.key_list.iter().any(|key| range.contains(key))
            || self.ranges.iter().any(|own| own.overlaps(&range.start_key(), range.end_key().as_deref()))
    }
}

fn validate(request: &Request, sources: &Sources, last_seq: CommitSeq, group: &Group) -> Result<()> {
    let Some(snapshot) = request.snapshot else { return Ok(()) };
    let others = last_seq > snapshot;
    if !others && group.is_unchanged() {
        return Ok(());
    }
    let key_changed = |key: &[u8]| -> Result<bool> {
        Ok(group.changes_key(key) || others && sources.key_changed_since(key, snapshot)?)
    };
    let range_changed = |range: &KeyRange| -> Result<bool> {
        Ok(group.changes_range(range) || others && sources.range_changed_since(range, snapshot)?)
    };
    let conflict = |reason: &str| Err(Error::Conflict { reason: reason.to_string() });
    for effect in request.record.iter() {
        let changed = match effect.expect(EFFECTS_WHOLE) {
            Effect::Put { key, .. } | Effect::Delete { key } => key_changed(key)?,
            Effect::DeleteRange { start, end } => range_changed(&KeyRange::half_open(start, end))?,
        };
        if changed {
            return conflict("another transaction wrote the same key");
        }
    }
    for key in &request.checks.keys {
        if key_changed(key)? {
            return conflict("another transaction changed a key that this one read");
        }
    }
    for range in &request.checks.ranges {
        if range_changed(range)? {
            return conflict("another transaction changed a range that this one read");
        }
    }
    Ok(())
}

fn apply_group<'a>(
    table: &Memtable,
    hint: &mut Hint,
    segment: u64,
    members: impl Iterator<Item = (&'a CommitSeq, &'a &'a Request)>,
) {
    table.note_segment(segment);
    for (&seq, request) in members {
        for effect in request.record.iter() {
            apply_effect(table, hint, seq, effect.expect(EFFECTS_WHOLE));
        }
    }
}

/// Puts one effect into a memtable; recovery does the same from the log.
pub(crate) fn apply_effect(table: &Memtable, hint: &mut Hint, seq: CommitSeq, effect: Effect<'_>) {
    match effect {
        Effect::Put { key, value } => table.insert(key, seq, Kind::Put, value, hint),
        Effect::Delete { key } => table.insert(key, seq, Kind::Delete, b"", hint),
        Effect::DeleteRange { start, end } => table.delete_range(start, end, seq),
    }
}
