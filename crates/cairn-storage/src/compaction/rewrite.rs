//! Writes merged entries to new files, without those that no snapshot can see.
//!
//! Invariants:
//! - I1: versions of one user key never go to two files.
//! - I2: an entry is dropped only if a newer entry of its key, or a range tombstone over it, is seen by
//!   every present and future snapshot that could see the entry. Snapshots are listed, with the newest
//!   visible sequence among them; entries newer than the whole list are always kept.
//! - I3: a delete or a range tombstone is dropped only if besides nothing below could hold what it hides.
//! - I4: range tombstones are cut at the borders of the files, so that files of a level do not overlap.
//! - I5: after an error every file written is removed.
//! - I6: no file reaches over a border between parts of the tree, with rows or tombstones.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use cairn_env::Env;

use crate::blob::format::{BlobMeta, Pointer};
use crate::blob::writer::BlobWriter;
use crate::blob::{Blobs, blob_path};
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Cursor, Kind, RangeTombstone, SEQ_LAST};
use crate::manifest::format::FileMeta;
use crate::sst::format::FileId;
use crate::sst::writer::{Layout, SstWriter};
use crate::tombstone::Fragments;
use crate::version::TableFile;

/// Keys of a table begin with these many bytes (partition, table): files are cut there.
const TABLE_PREFIX: usize = 6;
/// The throttle is asked after so many bytes.
const THROTTLE_BYTES: u64 = 64 << 10;

/// Which entries snapshots can still see (I2).
#[derive(Debug, Clone)]
pub(crate) struct Retention {
    /// Ascending.
    snapshots: Vec<CommitSeq>,
}

impl Retention {
    /// From every live snapshot and the newest visible sequence, in any order. An empty list keeps all.
    pub(crate) fn new(snapshots: &[CommitSeq]) -> Retention {
        let mut snapshots = snapshots.to_vec();
        snapshots.sort_unstable();
        snapshots.dedup();
        Retention { snapshots }
    }

    /// What commits from this one on saw stays; `None`: everything stays.
    pub(crate) fn kept_from(&self) -> Option<CommitSeq> {
        self.snapshots.last().copied()
    }

    /// The number of snapshots that cannot see commit `seq`.
    fn stripe(&self, seq: CommitSeq) -> usize {
        self.snapshots.partition_point(|&snapshot| snapshot < seq)
    }

    /// Whether every snapshot, present or future, that sees `older` sees `newer` too.
    pub(crate) fn hides(&self, newer: CommitSeq, older: CommitSeq) -> bool {
        let stripe = self.stripe(newer);
        stripe < self.snapshots.len() && stripe == self.stripe(older)
    }

    /// Whether every snapshot, present or future, sees commit `seq`.
    pub(crate) fn seen_by_all(&self, seq: CommitSeq) -> bool {
        self.snapshots.first().is_some_and(|&oldest| seq <= oldest)
    }
}

/// The files below the output level that could hold what a delete hides (I3).
#[derive(Debug, Default)]
pub(crate) struct Below {
    /// By level, in key order. `None`: unknown, so nothing may be dropped.
    levels: Option<Vec<Vec<Arc<TableFile>>>>,
}

impl Below {
    /// Nothing is known of what is below.
    pub(crate) fn unknown() -> Below {
        Below { levels: None }
    }

    /// The files of each level below.
    pub(crate) fn levels(levels: Vec<Vec<Arc<TableFile>>>) -> Below {
        Below { levels: Some(levels.into_iter().filter(|level| !level.is_empty()).collect()) }
    }

    fn may_hold(&self, key: &[u8]) -> bool {
        self.levels.as_ref().is_none_or(|levels| {
            levels.iter().any(|level| {
                let at = level.partition_point(|file| file.meta().ends_before(key));
                level.get(at).is_some_and(|file| file.meta().holds(key))
            })
        })
    }

    fn may_hold_any(&self, start: &[u8], end: &[u8]) -> bool {
        self.levels.as_ref().is_none_or(|levels| {
            levels.iter().any(|level| {
                let at = level.partition_point(|file| file.meta().ends_before(start));
                level.get(at).is_some_and(|file| &file.meta().properties.smallest[..] < end)
            })
        })
    }
}

/// Where and how to write.
pub(crate) struct Target<'a> {
    pub(crate) env: &'a Env,
    pub(crate) layout: Layout,
    pub(crate) separation: Separation,
    pub(crate) database: [u8; 16],
    /// Where blob files go.
    pub(crate) dir: &'a Path,
    /// Gives out a new file number, and the path of an SST with it.
    pub(crate) new_file: &'a (dyn Fn() -> (u64, PathBuf) + Sync),
    /// Files are cut at about this size; `u64::MAX` = one file.
    pub(crate) file_bytes: u64,
    /// Set when the store is being closed: the work is given up.
    pub(crate) stop: &'a AtomicBool,
    /// When the newest of the entries was flushed.
    pub(crate) written_micros: u64,
    /// Called with bytes written, every now and then: may wait.
    pub(crate) throttle: &'a (dyn Fn(u64) + Sync),
    /// Keys at which files are cut (I6), ascending.
    pub(crate) borders: &'a [Bytes],
    /// Counts versions that are not the newest of their key and stay.
    pub(crate) versions_kept: &'a AtomicU64,
    /// Files two levels down: a file that overlaps too many of them is cut.
    pub(crate) grandparents: &'a [Arc<TableFile>],
}

/// The keys that one worker rewrites: from `start` up to, without, `end`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    pub(crate) start: Bytes,
    /// `None`: to the last key.
    pub(crate) end: Option<Bytes>,
}

/// Which values go to blob files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Separation {
    /// Values from this length on; 0 = none.
    pub(crate) bytes_min: usize,
    /// A blob file is cut at about this size.
    pub(crate) file_bytes: u64,
    /// The blob files that rows point to now.
    pub(crate) blobs: Arc<Blobs>,
    /// The blob files whose values are moved to a new one, because too much of them is garbage.
    pub(crate) moved: BTreeSet<u64>,
}

/// Files written and synced, removed again on drop unless kept (I5).
pub(crate) struct Outputs {
    env: Env,
    files: Vec<(FileMeta, PathBuf)>,
    blobs: Vec<(BlobMeta, PathBuf)>,
    kept: bool,
}

impl Outputs {
    /// What was written.
    pub(crate) fn files(&self) -> &[(FileMeta, PathBuf)] {
        &self.files
    }

    /// The blob files that were written.
    pub(crate) fn blobs(&self) -> &[(BlobMeta, PathBuf)] {
        &self.blobs
    }

    /// Bytes written.
    pub(crate) fn bytes(&self) -> u64 {
        let files = self.files.iter().map(|(meta, _)| meta.file_len);
        files.chain(self.blobs.iter().map(|(meta, _)| meta.file_len)).sum()
    }

    /// Adds what another worker wrote.
    pub(crate) fn append(&mut self, mut other: Outputs) {
        self.files.append(&mut other.files);
        self.blobs.append(&mut other.blobs);
    }

    /// Gives the rows, which have sequence 0, the sequence of a commit.
    pub(crate) fn stamp(&mut self, seq: CommitSeq) {
        for (meta, _) in &mut self.files {
            meta.shift_seq(seq);
        }
    }

    /// The files stay; their paths.
    pub(crate) fn keep(mut self) -> Vec<PathBuf> {
        self.kept = true;
        let files = std::mem::take(&mut self.files).into_iter().map(|(_, path)| path);
        files.chain(std::mem::take(&mut self.blobs).into_iter().map(|(_, path)| path)).collect()
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        if !self.kept {
            let blobs = self.blobs.iter().map(|(_, path)| path);
            for path in self.files.iter().map(|(_, path)| path).chain(blobs) {
                let _ = self.env.files().remove_file(path);
            }
        }
    }
}

/// Drives entries into files.
struct Rewriter<'a> {
    target: &'a Target<'a>,
    /// What stays of the range tombstones, in key order.
    deleted: Vec<RangeTombstone>,
    outputs: Outputs,
    writer: Option<(SstWriter, u64, PathBuf)>,
    blob: Option<(BlobWriter, PathBuf)>,
    /// Tombstones before this key are in files already.
    cut: Bytes,
    last_key: Vec<u8>,
    grandparent: usize,
    grandparent_bytes: u64,
    /// The next border.
    border: usize,
    /// Bytes added since the last throttling.
    unpaid: u64,
}

/// Merges what `cursor` gives of a span and `tombstones` into new files. The files are synced;
/// the directory is not.
pub(crate) fn rewrite(
    target: &Target<'_>,
    cursor: &mut dyn Cursor,
    tombstones: &Fragments,
    retention: &Retention,
    below: &Below,
    span: &Span,
) -> Result<Outputs> {
    let grandparent = target.grandparents.partition_point(|file| file.meta().ends_before(&span.start));
    let mut rewriter = Rewriter {
        target,
        deleted: kept_tombstones(tombstones, retention, below),
        outputs: Outputs { env: target.env.clone(), files: Vec::new(), blobs: Vec::new(), kept: false },
        writer: None,
        blob: None,
        cut: span.start.clone(),
        last_key: Vec::new(),
        grandparent,
        grandparent_bytes: 0,
        border: target.borders.partition_point(|border| *border <= span.start),
        unpaid: 0,
    };
    cursor.seek(&span.start, SEQ_LAST)?;
    let mut piece = 0;
    let mut previous: Option<CommitSeq> = None;
    while cursor.valid() && span.end.as_ref().is_none_or(|end| cursor.key() < &end[..]) {
        if target.stop.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        let (key, seq, kind) = (cursor.key(), cursor.seq(), cursor.kind());
        let same_key = previous.is_some() && rewriter.last_key == key;
        let shadowed = match previous {
            // Equal: the entry was given by two sources.
            Some(newer) if same_key => newer == seq || retention.hides(newer, seq),
            _ => false,
        };
        if !same_key {
            rewriter.start_key(key)?;
        }
        previous = Some(seq);
        let dropped = shadowed
            || is_deleted(tombstones, &mut piece, key, seq, retention)
            || (kind == Kind::Delete && retention.seen_by_all(seq) && !below.may_hold(key));
        if !dropped {
            if same_key {
                target.versions_kept.fetch_add(1, Ordering::Relaxed);
            }
            rewriter.add_or_separate(key, seq, kind, cursor.value())?;
        }
        cursor.next()?;
    }
    rewriter.finish(span.end.as_deref())
}

/// Whether a range tombstone hides the entry from everyone (I2). Keys ascend from call to call.
fn is_deleted(
    tombstones: &Fragments,
    piece: &mut usize,
    key: &[u8],
    seq: CommitSeq,
    retention: &Retention,
) -> bool {
    let pieces = tombstones.pieces();
    while *piece < pieces.len() && &pieces[*piece].end[..] <= key {
        *piece += 1;
    }
    match pieces.get(*piece) {
        Some(here) if &here.start[..] <= key => {
            // The oldest tombstone that is newer than the entry hides it from the most snapshots.
            let newer = here.seqs.iter().rev().find(|&&deleted| deleted > seq);
            newer.is_some_and(|&deleted| retention.hides(deleted, seq))
        }
        _ => false,
    }
}

/// The tombstones that must stay: of those over one piece that the same snapshots see, the newest (I3).
fn kept_tombstones(tombstones: &Fragments, retention: &Retention, below: &Below) -> Vec<RangeTombstone> {
    let mut kept = Vec::new();
    for piece in tombstones.pieces() {
        let bottom = !below.may_hold_any(&piece.start, &piece.end);
        let mut newer: Option<CommitSeq> = None;
        for &seq in &piece.seqs {
            let superseded = newer.is_some_and(|newer| retention.hides(newer, seq));
            let needless = bottom && retention.seen_by_all(seq);
            if !(superseded || needless) {
                kept.push(RangeTombstone { start: piece.start.clone(), end: piece.end.clone(), seq });
            }
            newer = Some(seq);
        }
    }
    kept
}

impl Rewriter<'_> {
    /// A new user key begins: the only place where a file may be cut (I1).
    fn start_key(&mut self, key: &[u8]) -> Result<()> {
        self.cut_at_borders(Some(key))?;
        if let Some((writer, ..)) = &self.writer {
            let len = writer.estimated_len();
            let full = len >= self.target.file_bytes;
            let border = len >= self.target.file_bytes / 8
                && key.get(..TABLE_PREFIX) != self.last_key.get(..TABLE_PREFIX);
            if full || border || self.overlaps_too_much(key) {
                self.cut_before(Some(key))?;
            }
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        Ok(())
    }

    /// Cuts at the borders up to `key`, `None` = all of them (I6).
    fn cut_at_borders(&mut self, key: Option<&[u8]>) -> Result<()> {
        let borders = self.target.borders;
        while let Some(border) = borders.get(self.border)
            && key.is_none_or(|key| &border[..] <= key)
        {
            self.cut_before(Some(border))?;
            self.border += 1;
        }
        Ok(())
    }

    fn overlaps_too_much(&mut self, key: &[u8]) -> bool {
        let files = self.target.grandparents;
        while self.grandparent < files.len() && files[self.grandparent].meta().ends_before(key) {
            self.grandparent_bytes += files[self.grandparent].meta().file_len;
            self.grandparent += 1;
        }
        self.grandparent_bytes > self.target.file_bytes.saturating_mul(10)
    }

    fn add(&mut self, key: &[u8], seq: CommitSeq, kind: Kind, value: &[u8]) -> Result<()> {
        if self.writer.is_none() {
            self.writer = Some(self.create()?);
            self.grandparent_bytes = 0;
        }
        match &mut self.writer {
            Some((writer, ..)) => writer.add(key, seq, kind, value)?,
            None => return Ok(()),
        }
        self.unpaid += (key.len() + value.len()) as u64;
        if self.unpaid >= THROTTLE_BYTES {
            (self.target.throttle)(std::mem::take(&mut self.unpaid));
        }
        Ok(())
    }

    /// Adds a row, its value inline or in a blob file.
    fn add_or_separate(&mut self, key: &[u8], seq: CommitSeq, kind: Kind, value: &[u8]) -> Result<()> {
        let separation = &self.target.separation;
        match kind {
            Kind::Put if separation.bytes_min > 0 && value.len() >= separation.bytes_min => {
                let pointer = self.separate(value)?;
                self.add(key, seq, Kind::Blob, &pointer.encode())
            }
            Kind::Blob => {
                let moved = Pointer::decode(value).filter(|to| separation.moved.contains(&to.file));
                match moved {
                    Some(from) => {
                        let value = separation.blobs.read(&from)?;
                        let pointer = self.separate(&value)?;
                        self.add(key, seq, Kind::Blob, &pointer.encode())
                    }
                    None => self.add(key, seq, kind, value),
                }
            }
            Kind::Put | Kind::Delete => self.add(key, seq, kind, value),
        }
    }

    /// Writes a value to the blob file.
    fn separate(&mut self, value: &[u8]) -> Result<Pointer> {
        let full = self.target.separation.file_bytes;
        if self.blob.as_ref().is_some_and(|(blob, _)| blob.len() >= full || blob.is_full()) {
            self.finish_blob()?;
        }
        if self.blob.is_none() {
            let (number, _) = (self.target.new_file)();
            let path = blob_path(self.target.dir, number);
            let id = FileId { number, database: self.target.database };
            let blob = BlobWriter::create(self.target.env, &path, id, self.target.layout.compression)?;
            self.blob = Some((blob, path));
        }
        self.unpaid += value.len() as u64;
        let (blob, _) = self.blob.as_mut().expect("I: the blob file was begun above");
        blob.add(value)
    }

    fn finish_blob(&mut self) -> Result<()> {
        if let Some((blob, path)) = self.blob.take() {
            self.outputs.blobs.push((blob.finish()?, path));
        }
        Ok(())
    }

    fn create(&self) -> Result<(SstWriter, u64, PathBuf)> {
        let (number, path) = (self.target.new_file)();
        let id = FileId { number, database: self.target.database };
        let writer = SstWriter::create(self.target.env, &path, id, self.target.layout)?;
        Ok((writer, number, path))
    }

    /// Finishes the file, with the tombstones from the last cut up to `border` (I4).
    fn cut_before(&mut self, border: Option<&[u8]>) -> Result<()> {
        let deleted = self.tombstones_before(border);
        let current = match self.writer.take() {
            Some((writer, number, path)) if writer.entries() > 0 => Some((writer, number, path)),
            _ if deleted.is_empty() => None,
            _ => Some(self.create()?),
        };
        if let Some((writer, number, path)) = current {
            let written = writer.finish(&deleted)?;
            let meta = FileMeta {
                number,
                file_len: written.file_len,
                content_hash: written.content_hash,
                properties: written.properties,
                blobs: written.blobs,
                written_micros: self.target.written_micros,
                seq_shift: 0,
                place: 0,
            };
            self.outputs.files.push((meta, path));
        }
        self.cut = border.map(Bytes::copy_from_slice).unwrap_or_default();
        Ok(())
    }

    /// The kept tombstones between the last cut and `border`, cut to these.
    fn tombstones_before(&self, border: Option<&[u8]>) -> Vec<RangeTombstone> {
        let mut here = Vec::new();
        for tombstone in &self.deleted {
            let start = if tombstone.start < self.cut { self.cut.clone() } else { tombstone.start.clone() };
            let end = match border {
                Some(border) if border < &tombstone.end[..] => Bytes::copy_from_slice(border),
                _ => tombstone.end.clone(),
            };
            if start < end {
                here.push(RangeTombstone { start, end, seq: tombstone.seq });
            }
        }
        here
    }

    fn finish(mut self, end: Option<&[u8]>) -> Result<Outputs> {
        self.cut_at_borders(end)?;
        self.cut_before(end)?;
        self.finish_blob()?;
        Ok(self.outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_only_what_nobody_can_see() {
        let none = Retention::new(&[]);
        assert!(!none.hides(2, 1) && !none.seen_by_all(0));
        let some = Retention::new(&[10, 5, 20]);
        assert!(some.hides(5, 4) && some.hides(9, 6) && some.hides(20, 11));
        assert!(!some.hides(6, 5) && !some.hides(11, 10) && !some.hides(30, 21) && !some.hides(30, 4));
        assert!(some.seen_by_all(5) && !some.seen_by_all(6));
    }
}
