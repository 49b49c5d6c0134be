//! Bulk loading: sorted rows written straight to SSTs, visible as one commit.
//!
//! ```text
//! rows ─▶ SSTs (sequence 0, synced) ─▶ memtables flushed ─▶ lock out commits ─▶ what came since flushed
//!      ─▶ an empty commit in the log takes the sequence, synced ─▶ manifest edit: files with that sequence
//!      ─▶ visible
//! ```
//! The rows never pass through the log or a memtable. The files are written while others commit; only the last
//! steps keep commits out, for a few syncs.
//!
//! Invariants:
//! - I1: what lies in memtables is newer than the tree, and an SST says by its sequences that everything before
//!   is in the tree too: so the memtables are flushed before the files enter it, with no commit in between.
//! - I2: the log shows the sequence as a commit without effects, before the edit names the files: after a crash
//!   between the two the commit is there and empty, and nobody was told of it.
//! - I3: files go below level 0 only while no compaction runs: one that does may write around a gap in the keys
//!   that the files would fill.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::commit::Writer;
use crate::compaction::groups::borders;
use crate::compaction::rewrite::{Below, Outputs, Retention, Span, Target, rewrite};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Cursor, Kind};
use crate::manifest::format::{Edit, FileMeta};
use crate::options::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::tombstone::Fragments;
use crate::tree::Tree;
use crate::version::Version;
use crate::wal::{RecordBuffer, RecordHeader, RecordKind};

/// The rows of an ingest as a cursor that only goes forward.
struct Rows<I> {
    rows: I,
    row: Option<(Bytes, Bytes)>,
}

impl<I: Iterator<Item = Result<(Bytes, Bytes)>> + Send> Rows<I> {
    fn read(&mut self) -> Result<()> {
        let last = self.row.take().map(|(key, _)| key);
        let Some((key, value)) = self.rows.next().transpose()? else { return Ok(()) };
        if key.len() > KEY_BYTES_MAX {
            return Err(Error::KeyTooLarge { len: key.len(), max: KEY_BYTES_MAX });
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(Error::ValueTooLarge { len: value.len(), max: VALUE_BYTES_MAX });
        }
        if last.is_some_and(|last| last >= key) {
            return Err(Error::InvalidArgument("the keys of an ingest must ascend".to_string()));
        }
        self.row = Some((key, value));
        Ok(())
    }

    fn here(&self) -> &(Bytes, Bytes) {
        self.row.as_ref().expect("I: the accessors of a cursor are called only where it is valid")
    }
}

impl<I: Iterator<Item = Result<(Bytes, Bytes)>> + Send> Cursor for Rows<I> {
    fn seek(&mut self, _key: &[u8], _seq: CommitSeq) -> Result<()> {
        self.read()
    }

    fn seek_last_before(&mut self, _key: Option<&[u8]>) -> Result<()> {
        Err(Error::InvalidArgument("the rows of an ingest go forward only".to_string()))
    }

    fn next(&mut self) -> Result<()> {
        self.read()
    }

    fn prev(&mut self) -> Result<()> {
        self.seek_last_before(None)
    }

    fn valid(&self) -> bool {
        self.row.is_some()
    }

    fn key(&self) -> &[u8] {
        &self.here().0
    }

    fn seq(&self) -> CommitSeq {
        0
    }

    fn kind(&self) -> Kind {
        Kind::Put
    }

    fn value(&self) -> &[u8] {
        &self.here().1
    }
}

impl Core {
    /// Loads rows with ascending keys as one commit.
    pub(crate) fn ingest(
        &self,
        rows: impl Iterator<Item = Result<(Bytes, Bytes)>> + Send,
    ) -> Result<CommitSeq> {
        self.check_writable()?;
        self.finish_recovery()?;
        let outputs = self.tree.write_rows(rows)?;
        if outputs.files().is_empty() {
            return Ok(self.snapshots.newest());
        }
        self.wait_for_room()?;
        // Most of it is done before commits are kept out.
        self.flush_all()?;
        let idle = self.tree.compaction.try_lock();
        let _flushing = self.flush_lock.lock();
        let mut writer = self.write.lock();
        self.check_writable()?;
        self.flush_under_lock(&mut writer)?;
        let seq = self.log_empty_commit(&mut writer)?;
        let installed = self.install_rows(outputs, seq, idle.is_some());
        // The sequence is used up, whether the files are there or not.
        writer.last_seq = seq;
        writer.log.accept_last_seq(seq);
        self.snapshots.publish(seq);
        drop(writer);
        drop(idle);
        self.wake_compaction();
        installed.map(|()| seq)
    }

    /// Flushes every memtable; the caller holds the flush lock and the writer (I1).
    fn flush_under_lock(&self, writer: &mut Writer) -> Result<()> {
        if !self.sources().active.is_empty() {
            self.rotate_memtable();
        }
        while let Some(table) = self.sources().immutable.last().map(Arc::clone) {
            self.write_log(writer)?;
            self.sync_written(writer)?;
            let floor = self.log_floor(writer, &table)?;
            self.flush_table(&table, floor)?;
        }
        Ok(())
    }

    /// Puts a commit without effects in the log, durably (I2); its sequence.
    fn log_empty_commit(&self, writer: &mut Writer) -> Result<CommitSeq> {
        let mut record = RecordBuffer::with_capacity(0);
        let staged =
            writer.log.prepare(record.padded_len(), || self.tree.new_file_number()).and_then(|segment| {
                let (seq, time) = self.next_stamp(writer);
                let header = RecordHeader {
                    kind: RecordKind::Commit,
                    effects: 0,
                    epoch: 0,
                    seq,
                    time,
                    txn_id: self.next_txn_id(),
                    client_token: 0,
                    schema_version: 0,
                    synced_offset: 0,
                };
                writer.log.stage(&mut record, header)?;
                writer.log.write()?;
                Ok((segment, seq))
            });
        let (segment, seq) = staged.map_err(|error| self.undo_log(writer, error))?;
        self.sync_written(writer)?;
        self.sources().active.note_segment(segment);
        Ok(seq)
    }

    /// Makes the files part of the tree and shows them to readers from `seq` on.
    fn install_rows(&self, mut outputs: Outputs, seq: CommitSeq, idle: bool) -> Result<()> {
        outputs.stamp(seq);
        let level = if idle { free_level(&self.tree.version(), &outputs) } else { 0 };
        // I1: everything up to here is in the tree as soon as the files are.
        let last_seq = Some(seq);
        let bytes = outputs.bytes();
        self.tree.install_ingest(Edit { last_seq, ..Edit::default() }, level, outputs)?;
        self.tree.counters.ingests.fetch_add(1, Ordering::Relaxed);
        self.tree.counters.ingested_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.install_version();
        Ok(())
    }
}

/// The deepest level in use that the files can go to: neither it nor any above holds a key of theirs.
fn free_level(version: &Version, outputs: &Outputs) -> usize {
    let taken = |level: usize| {
        let hit = |file: &FileMeta| version.level(level).iter().any(|other| other.meta().overlaps(file));
        outputs.files().iter().any(|(file, _)| hit(file))
    };
    let first_taken = (0..=version.bottom()).find(|&level| taken(level));
    first_taken.unwrap_or(version.bottom() + 1).saturating_sub(1)
}

impl Tree {
    /// Writes rows to files with sequence 0, which are in no manifest yet.
    fn write_rows(&self, rows: impl Iterator<Item = Result<(Bytes, Bytes)>> + Send) -> Result<Outputs> {
        let version = self.version();
        let bottom = version.bottom();
        let new_file = || self.new_sst(bottom);
        let target = Target {
            versions_kept: &self.counters.versions_kept,
            env: &self.env,
            layout: self.options.layout(bottom, bottom),
            separation: self.options.separation(version.blobs(), Default::default()),
            database: self.database,
            dir: &self.dir,
            new_file: &new_file,
            file_bytes: self.options.target_file_bytes,
            stop: self.stopping(),
            written_micros: self.now_micros(),
            throttle: &|_| {},
            borders: &borders(&self.options),
            grandparents: &[],
        };
        let (tombstones, keep_all) = (Fragments::default(), Retention::new(&[]));
        let mut rows = Rows { rows, row: None };
        rewrite(&target, &mut rows, &tombstones, &keep_all, &Below::unknown(), &Span::default())
    }
}
