//! Reading and appending to a manifest.
//!
//! ```text
//! append: write ─▶ sync ─▶ acknowledged ─▶ note "synced up to here" (not synced itself)
//! ```
//! Guarantees:
//! - I1: an edit is acknowledged after it is durable; SSTs it names were durable before.
//! - I2: a bad record is a torn tail, dropped on open, only if nothing behind it says that the log was
//!   durable past it; everywhere else it is damage, told with file and offset.
//! - I3: after a failed write or sync the log takes no more edits: whether the edit is there is
//!   unknown, and the owner goes on with a new manifest (a failed sync is never retried).
//! - I4: a manifest that was read is gone on with only where a note says that every edit in it was synced,
//!   and from the end of what was: an edit without a note may be in the page cache only, left there by a sync
//!   that failed, and another sync would not say so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_env::{Env, File, OpenMode};

use super::format::{
    Edit, FileMeta, HEADER, LEVELS, MAGIC, VERSION, decode_header, decode_record, encode_header,
    encode_record,
};
use super::identity::{manifest_path, read_whole, refuse, sync_dir};
use crate::blob::format::BlobMeta;
use crate::error::{Error, Result};
use crate::fields::u32_at;
use crate::key::CommitSeq;
use crate::sst::format::FileId;

/// The state that a manifest amounts to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Every file number below is used up.
    pub(crate) next_file: u64,
    /// Every commit up to this one is in the tree.
    pub(crate) last_seq: CommitSeq,
    /// The oldest log segment that is still needed.
    pub(crate) log_floor: u64,
    /// The epoch of the writer.
    pub(crate) epoch: u64,
    /// Every commit up to this one is durable, in the tree or in the log.
    pub(crate) durable_seq: CommitSeq,
    /// Files by level.
    pub(crate) levels: [Vec<FileMeta>; LEVELS],
    /// Blob files by number.
    pub(crate) blobs: BTreeMap<u64, BlobMeta>,
    /// What every commit from this one on saw is still there; `None`: not known.
    pub(crate) kept_from: Option<CommitSeq>,
    /// Commits in the tree that can still be read at, and when they were made; both ascend.
    pub(crate) times: Vec<(u64, CommitSeq)>,
}

impl State {
    /// Applies an edit; an edit that does not fit the state is damage.
    pub(crate) fn apply(&mut self, edit: &Edit) -> Result<(), String> {
        if edit.snapshot {
            *self = State::default();
        }
        self.next_file = edit.next_file.unwrap_or(self.next_file);
        self.last_seq = edit.last_seq.unwrap_or(self.last_seq);
        self.log_floor = edit.log_floor.unwrap_or(self.log_floor);
        self.epoch = edit.epoch.unwrap_or(self.epoch);
        self.durable_seq = edit.durable_seq.unwrap_or(self.durable_seq);
        self.kept_from = self.kept_from.max(edit.kept_from);
        let newest = self.times.last().map_or(0, |(_, seq)| *seq);
        self.times.extend(edit.times.iter().filter(|(_, seq)| *seq > newest));
        if let Some(kept_from) = self.kept_from {
            // The newest of those before counts until the first one that is kept.
            let behind = self.times.partition_point(|(_, seq)| *seq <= kept_from);
            self.times.drain(..behind.saturating_sub(1));
        }
        for (level, number) in &edit.removed {
            let files = &mut self.levels[usize::from(*level)];
            match files.iter().position(|file| file.number == *number) {
                Some(at) => drop(files.remove(at)),
                None => return Err(format!("an edit removes file {number}, which level {level} has not")),
            }
        }
        for (level, file) in &edit.added {
            if file.number >= self.next_file {
                return Err(format!("file {} is not below the next file number", file.number));
            }
            self.levels[usize::from(*level)].push(file.clone());
        }
        for number in &edit.blobs_removed {
            if self.blobs.remove(number).is_none() {
                return Err(format!("an edit removes blob file {number}, which is not there"));
            }
        }
        for blob in &edit.blobs_added {
            if blob.number >= self.next_file {
                return Err(format!("blob file {} is not below the next file number", blob.number));
            }
            self.blobs.insert(blob.number, blob.clone());
        }
        for (_, file) in &edit.added {
            if let Some(missing) = file.blobs.iter().find(|one| !self.blobs.contains_key(&one.number)) {
                return Err(format!(
                    "file {} uses blob file {}, which is not there",
                    file.number, missing.number
                ));
            }
        }
        Ok(())
    }

    /// The blob files that no file of the tree uses.
    pub(crate) fn unused_blobs(&self) -> Vec<u64> {
        if self.blobs.is_empty() {
            return Vec::new();
        }
        let uses = self.levels.iter().flatten().flat_map(|file| &file.blobs);
        let used: BTreeSet<u64> = uses.map(|one| one.number).collect();
        self.blobs.keys().copied().filter(|number| !used.contains(number)).collect()
    }

    /// The state as one edit.
    pub(crate) fn to_edit(&self) -> Edit {
        let mut added = Vec::new();
        for (level, files) in self.levels.iter().enumerate() {
            added.extend(files.iter().map(|file| (level as u8, file.clone())));
        }
        Edit {
            snapshot: true,
            next_file: Some(self.next_file),
            last_seq: Some(self.last_seq),
            log_floor: Some(self.log_floor),
            epoch: Some(self.epoch),
            durable_seq: Some(self.durable_seq),
            kept_from: self.kept_from,
            times: self.times.clone(),
            added,
            blobs_added: self.blobs.values().cloned().collect(),
            ..Edit::default()
        }
    }
}

/// What reading a manifest gives.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// The state after the last sound edit.
    pub(crate) state: State,
    /// Everything before is durable: a sync was over before this was written.
    pub(crate) durable_end: u64,
    /// Whether every edit lies before `durable_end` (I4).
    pub(crate) is_durable: bool,
    /// The floor of the log in the first record, behind which no damage of the others can go back.
    pub(crate) begun_floor: u64,
    /// The end of the last sound record.
    #[cfg(test)]
    pub(crate) end: u64,
    /// The tail behind the last sound record was torn off by a crash.
    pub(crate) torn: bool,
    /// Length of the file.
    pub(crate) file_len: u64,
}

/// Reads a manifest.
pub(crate) fn replay(env: &Env, dir: &Path, id: FileId) -> Result<Replayed> {
    let path = manifest_path(dir, id.number);
    let bytes = read_whole(env, &path)?;
    let found = decode_header(&bytes, MAGIC).map_err(|refused| refuse(&path, 0, refused))?;
    if found != id {
        let what = format!("expected manifest {}, found {} or another database", id.number, found.number);
        return Err(Error::corrupt(&path, 16, what));
    }
    let mut state = State::default();
    let mut at = HEADER;
    // The first record was durable before CURRENT named the manifest.
    let mut durable_end = 0;
    let mut edits_end = 0;
    let mut begun_floor = 0;
    while at < bytes.len() {
        match decode_record(id.number, &bytes, at) {
            Ok((edit, end)) => {
                if at == HEADER && !edit.snapshot {
                    return Err(Error::corrupt(&path, at as u64, "the first edit is not a snapshot"));
                }
                state.apply(&edit).map_err(|what| Error::corrupt(&path, at as u64, what))?;
                if at == HEADER {
                    (durable_end, begun_floor) = (end as u64, state.log_floor);
                } else {
                    durable_end = edit.synced.max(durable_end);
                }
                if !edit.is_note() {
                    edits_end = end as u64;
                }
                at = end;
            }
            Err(bad) if at == HEADER || was_durable_past(id.number, &bytes, at) => {
                return Err(Error::corrupt(&path, at as u64, bad.0));
            }
            Err(_) => break,
        }
    }
    if at == HEADER {
        return Err(Error::corrupt(&path, at as u64, "the manifest holds no edit"));
    }
    Ok(Replayed {
        state,
        durable_end,
        // What an older program began is begun anew: its version does not allow all tags.
        is_durable: edits_end <= durable_end && u32_at(&bytes, 8) == VERSION,
        begun_floor,
        #[cfg(test)]
        end: at as u64,
        torn: at < bytes.len(),
        file_len: bytes.len() as u64,
    })
}

/// I2: whether a sound record behind `at` says that the log was durable past `at`.
fn was_durable_past(number: u64, bytes: &[u8], at: usize) -> bool {
    (at + 8..bytes.len())
        .step_by(8)
        .any(|next| decode_record(number, bytes, next).is_ok_and(|(edit, _)| edit.synced > at as u64))
}

/// A manifest that takes edits.
#[derive(Debug)]
pub(crate) struct ManifestLog {
    file: Arc<dyn File>,
    path: PathBuf,
    id: FileId,
    end: u64,
    synced: u64,
    failed: bool,
    /// Opened, not begun: before the first edit the tail is cut off and the name in CURRENT made durable.
    adopted: bool,
    /// A note waits for a sync.
    noted: bool,
}

impl ManifestLog {
    /// Creates a manifest with a whole state, synced; the name is durable after a sync of the directory.
    pub(crate) fn create(env: &Env, dir: &Path, id: FileId, state: &State) -> Result<ManifestLog> {
        let path = manifest_path(dir, id.number);
        let written = (|| {
            let file =
                env.files().open(&path, OpenMode::CreateNew).map_err(|e| Error::io("create", &path, e))?;
            let mut bytes = encode_header(MAGIC, id);
            bytes.extend_from_slice(&encode_record(id.number, HEADER as u64, &state.to_edit().encode()));
            file.write_all_at(&bytes, 0).map_err(|e| Error::io("write", &path, e))?;
            file.sync_data().map_err(|e| Error::io("sync", &path, e))?;
            Ok((file, bytes.len() as u64))
        })();
        match written {
            Ok((file, end)) => {
                let mut log = ManifestLog {
                    file,
                    path,
                    id,
                    end,
                    synced: end,
                    failed: false,
                    adopted: false,
                    noted: false,
                };
                // A manifest that takes no edits would be of no use to whoever wants to make one.
                match log.note_synced() {
                    Ok(()) => Ok(log),
                    Err(error) => {
                        let _ = env.files().remove_file(&log.path);
                        Err(error)
                    }
                }
            }
            Err(error) => {
                let _ = env.files().remove_file(&path);
                Err(error)
            }
        }
    }

    /// Goes on with a manifest that was read. Where it is not certain what of it is durable, it takes no
    /// edits (I3, I4). Nothing is written before the first edit.
    pub(crate) fn adopt(env: &Env, dir: &Path, id: FileId, replayed: &Replayed) -> Result<ManifestLog> {
        let path = manifest_path(dir, id.number);
        let file = env.files().open(&path, OpenMode::ReadWrite).map_err(|e| Error::io("open", &path, e))?;
        Ok(ManifestLog {
            file,
            path,
            id,
            end: replayed.durable_end,
            synced: replayed.durable_end,
            failed: !replayed.is_durable,
            adopted: true,
            noted: false,
        })
    }

    /// Makes an adopted manifest as if it had been begun here: its directory entry and that of CURRENT may be
    /// as undurable as the process before left them, and behind its durable part may be anything.
    fn take_over(&mut self, env: &Env) -> Result<()> {
        if !self.adopted {
            return Ok(());
        }
        if let Some(dir) = self.path.parent() {
            sync_dir(env, dir)?;
        }
        self.file.set_len(self.end).map_err(|e| Error::io("cut", &self.path, e))?;
        self.adopted = false;
        Ok(())
    }

    /// How long a manifest is that begins with this state.
    pub(crate) fn begun_len(id: FileId, state: &State) -> u64 {
        (HEADER + encode_record(id.number, HEADER as u64, &state.to_edit().encode()).len()) as u64
    }

    /// Which manifest this is.
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Its length.
    pub(crate) fn len(&self) -> u64 {
        self.end
    }

    /// Makes the name in `CURRENT` durable where that is not certain, so that files which only an older
    /// manifest names can go.
    pub(crate) fn settle_name(&self, env: &Env, dir: &Path) -> Result<()> {
        if self.adopted { sync_dir(env, dir) } else { Ok(()) }
    }

    /// Whether an edit failed, so that the log takes no more (I3).
    pub(crate) fn is_failed(&self) -> bool {
        self.failed
    }

    /// Has the log take no more edits (I3): `CURRENT` may name another manifest by now.
    pub(crate) fn give_up(&mut self) {
        self.failed = true;
    }

    /// Appends an edit and syncs (I1).
    pub(crate) fn append(&mut self, env: &Env, edit: &Edit) -> Result<()> {
        assert!(!self.failed, "I3: a failed manifest takes no edit");
        self.failed = true;
        self.take_over(env)?;
        let edit = Edit { synced: self.synced, ..edit.clone() };
        let record = encode_record(self.id.number, self.end, &edit.encode());
        self.file.write_all_at(&record, self.end).map_err(|e| Error::io("write", &self.path, e))?;
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))?;
        self.failed = false;
        self.end += record.len() as u64;
        self.synced = self.end;
        // The edit is done; the next one begins a new manifest where this failed.
        let _ = self.note_synced();
        Ok(())
    }

    /// Writes that the log is durable up to here. Not synced: it helps if it survives, and nothing
    /// depends on it; after a failure the manifest takes no more edits (I3).
    fn note_synced(&mut self) -> Result<()> {
        let edit = Edit { synced: self.synced, ..Edit::default() };
        let record = encode_record(self.id.number, self.end, &edit.encode());
        match self.file.write_all_at(&record, self.end) {
            Ok(()) => {
                self.end += record.len() as u64;
                self.noted = true;
                Ok(())
            }
            Err(e) => {
                self.failed = true;
                Err(Error::io("write", &self.path, e))
            }
        }
    }

    /// Makes the last note durable, so that damage to the last edit is found even after a power cut.
    pub(crate) fn close(&mut self) -> Result<()> {
        if self.failed || !self.noted {
            return Ok(());
        }
        self.noted = false;
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))
    }
}
