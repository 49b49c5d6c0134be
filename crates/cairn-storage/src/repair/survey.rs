//! Which files of a damaged database count: found from names, headers, the manifest, or what is left of it.
//!
//! - I1: a file is known by what its own header or footer says, where that is sound, else by its name: files
//!   that were exchanged are still what they are.
//! - I2: a manifest counts only whole, and only if every file that it names is there: one that was cut back
//!   to an earlier state names files that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cairn_env::{Env, OpenMode};

use crate::error::{Error, Result};
use crate::key::CommitSeq;
use crate::manifest::format::{Edit, FileMeta, HEADER, MAGIC, decode_header, decode_record};
use crate::manifest::identity::{
    CURRENT, FileName, IDENTITY, current_id, identity_ids, parse_name, read_whole, sst_path,
};
use crate::manifest::log::{Replayed, State, replay};
use crate::places::{MAIN, Places};
use crate::recovery::LOCK;
use crate::sst::format::{FileId, PAGE, claimed_id};
use crate::wal::format::SegmentHeader;

/// An SST as found.
#[derive(Debug, Clone)]
pub(super) struct SstFile {
    pub(super) path: PathBuf,
    /// What it says it is, or what its name says.
    pub(super) id: FileId,
}

/// What is there, and what of it counts.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) database: [u8; 16],
    /// The state that the manifest tells; `None` where no manifest can be trusted (I2).
    pub(super) state: Option<State>,
    /// Whether the manifest ends with a whole record, so that nothing that it said of the log is missing.
    pub(super) end_known: bool,
    /// SSTs that count, by number.
    pub(super) ssts: Vec<SstFile>,
    /// SSTs that the manifest names and nobody has.
    pub(super) missing: Vec<FileMeta>,
    /// SSTs of another database.
    pub(super) foreign: Vec<PathBuf>,
    /// What sound manifest records say of files.
    pub(super) metas: BTreeMap<u64, FileMeta>,
    /// The directories.
    pub(super) places: Places,
    /// Log segments that count: path and number by name.
    pub(super) segments: Vec<(PathBuf, u64)>,
    /// Greater than every number in use.
    pub(super) next_file: u64,
    /// The greatest epoch that any sound record tells.
    pub(super) epoch: u64,
    /// Every commit up to this one was durable, by any sound record.
    pub(super) durable_seq: CommitSeq,
    /// Every commit up to this one was in SSTs, by any sound record.
    pub(super) flushed_seq: CommitSeq,
}

/// Whether the directory holds any file that is named as one of ours, the lock apart.
pub(super) fn holds_any_file(env: &Env, dir: &Path) -> Result<bool> {
    let names = env.files().list(dir).map_err(|e| Error::io("list", dir, e))?;
    Ok(names.iter().any(|name| name != LOCK && parse_name(name).is_some()))
}

/// Looks at everything in the directory.
pub(super) fn survey(env: &Env, dir: &Path) -> Result<Survey> {
    let names = env.files().list(dir).map_err(|e| Error::io("list", dir, e))?;
    let mut found = Names::default();
    for name in names.iter().filter(|name| *name != LOCK) {
        let path = dir.join(name);
        if let Some(by_name) = parse_name(name) {
            let by_content = by_content(env, &path).unwrap_or(by_name);
            found.add(&path, by_content);
            if std::mem::discriminant(&by_content) != std::mem::discriminant(&by_name) {
                // Begun as another kind of file: what is left of either counts.
                found.add(&path, by_name);
            }
        }
    }
    let database = database_id(env, dir, &found)?;
    // A second directory that nothing sound names is not known; its files are missing then.
    let places = Places::recorded(env, dir, database).unwrap_or_else(|_| Places::one(dir));
    let in_second = places.names_in_second(env)?;
    for name in &in_second {
        if let (Some(second), Some(FileName::Sst(number))) = (places.second(), parse_name(name)) {
            found.add(&second.join(name), FileName::Sst(number));
        }
    }
    let is_there = |meta: &FileMeta| match meta.place {
        MAIN => names.contains(&sst_name(meta.number)),
        _ => in_second.contains(&sst_name(meta.number)),
    };
    let history = History::read(env, &found, database);
    let mut ssts = Vec::new();
    let mut foreign = Vec::new();
    for (path, number) in &found.ssts {
        let id = claims(env, path).unwrap_or(FileId { number: *number, database });
        match id.database == database {
            true => ssts.push(SstFile { path: path.clone(), id }),
            false => foreign.push(path.clone()),
        }
    }
    let replayed = trusted_state(env, dir, database, &found);
    let end_known = replayed.as_ref().is_some_and(|replayed| !replayed.torn);
    let state =
        replayed.map(|replayed| replayed.state).filter(|state| state.levels.iter().flatten().all(is_there));
    let mut missing = Vec::new();
    let mut segments = found.segments.clone();
    match &state {
        Some(state) => {
            let live: BTreeSet<u64> = state.levels.iter().flatten().map(|meta| meta.number).collect();
            ssts.retain(|sst| live.contains(&sst.id.number));
            segments.retain(|(_, number)| *number >= state.log_floor);
        }
        None => ssts.retain(|sst| !history.removed.contains(&sst.id.number)),
    }
    let claimed: BTreeSet<u64> = ssts.iter().map(|sst| sst.id.number).collect();
    for meta in history.metas.values() {
        let counts = match &state {
            Some(state) => state.levels.iter().flatten().any(|live| live.number == meta.number),
            None => !history.removed.contains(&meta.number),
        };
        if counts && !claimed.contains(&meta.number) {
            missing.push(meta.clone());
        }
    }
    let used = found.all().chain(history.metas.keys().copied()).chain(ssts.iter().map(|sst| sst.id.number));
    Ok(Survey {
        database,
        next_file: used.max().unwrap_or(0).saturating_add(1).max(history.next_file),
        end_known: end_known && state.is_some(),
        state,
        ssts,
        missing,
        foreign,
        places,
        metas: history.metas,
        segments,
        epoch: history.epoch.max(1),
        durable_seq: history.durable_seq,
        flushed_seq: history.flushed_seq,
    })
}

fn sst_name(number: u64) -> String {
    sst_path(Path::new(""), number).to_string_lossy().into_owned()
}

/// What a file says it is (I1).
fn by_content(env: &Env, path: &Path) -> Option<FileName> {
    if let Some(id) = claims(env, path) {
        return Some(FileName::Sst(id.number));
    }
    if let Some(bytes) = head(env, path, HEADER) {
        if let Ok(id) = decode_header(&bytes, MAGIC) {
            return Some(FileName::Manifest(id.number));
        }
        if let Ok((header, _)) = SegmentHeader::decode(&bytes) {
            return Some(FileName::Wal(header.segment));
        }
    }
    None
}

/// Paths and numbers by kind.
#[derive(Debug, Default)]
struct Names {
    ssts: Vec<(PathBuf, u64)>,
    segments: Vec<(PathBuf, u64)>,
    manifests: Vec<(PathBuf, u64)>,
}

impl Names {
    fn add(&mut self, path: &Path, name: FileName) {
        let (kind, number) = match name {
            FileName::Sst(number) => (&mut self.ssts, number),
            FileName::Wal(number) => (&mut self.segments, number),
            FileName::Manifest(number) => (&mut self.manifests, number),
            // Values are looked for by the rows that point to them.
            FileName::Fixed | FileName::Temporary | FileName::Blob(_) => return,
        };
        kind.push((path.to_path_buf(), number));
    }

    fn all(&self) -> impl Iterator<Item = u64> {
        self.ssts.iter().chain(&self.segments).chain(&self.manifests).map(|(_, number)| *number)
    }
}

/// The database that most of the sound headers name; both copies of the identity count.
fn database_id(env: &Env, dir: &Path, names: &Names) -> Result<[u8; 16]> {
    let mut votes: Vec<[u8; 16]> = Vec::new();
    if let Ok(bytes) = read_whole(env, &dir.join(IDENTITY)) {
        votes.extend(identity_ids(&bytes));
    }
    if let Ok(bytes) = read_whole(env, &dir.join(CURRENT)) {
        votes.extend(current_id(&bytes).map(|id| id.database));
    }
    for (path, _) in &names.manifests {
        votes.extend(
            head(env, path, HEADER).and_then(|bytes| Some(decode_header(&bytes, MAGIC).ok()?.database)),
        );
    }
    votes.extend(names.ssts.iter().filter_map(|(path, _)| Some(claims(env, path)?.database)));
    for (path, _) in &names.segments {
        let bytes = head(env, path, crate::wal::format::HEADER_BYTES);
        let header = bytes.and_then(|bytes| SegmentHeader::decode(&bytes).ok());
        votes.extend(header.map(|(header, _)| header.identity.database_id));
    }
    let count = |id: &[u8; 16]| votes.iter().filter(|vote| *vote == id).count();
    // Of equals the first: the identity's.
    let most = votes.iter().map(count).max();
    votes.iter().find(|id| Some(count(id)) == most).copied().ok_or_else(|| {
        let what = "no file in the directory tells which database it belongs to";
        Error::corrupt(&dir.join(IDENTITY), 0, what)
    })
}

/// The first bytes of a file, if it has them.
fn head(env: &Env, path: &Path, len: usize) -> Option<Vec<u8>> {
    let file = env.files().open(path, OpenMode::Read).ok()?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

/// Which SST a file says it is, by its header or its footer.
fn claims(env: &Env, path: &Path) -> Option<FileId> {
    let header = head(env, path, PAGE).and_then(|page| claimed_id(&page, 0));
    header.or_else(|| {
        let file = env.files().open(path, OpenMode::Read).ok()?;
        let at = file.len().ok()?.checked_sub(PAGE as u64)?;
        let mut page = vec![0; PAGE];
        file.read_exact_at(&mut page, at).ok()?;
        claimed_id(&page, at)
    })
}

/// The state of the manifest that `CURRENT` names or, where that cannot be read, of the newest (I2).
fn trusted_state(env: &Env, dir: &Path, database: [u8; 16], names: &Names) -> Option<Replayed> {
    let current = read_whole(env, &dir.join(CURRENT)).ok().and_then(|bytes| current_id(&bytes));
    let number = match current.filter(|id| id.database == database) {
        Some(id) => id.number,
        None => names.manifests.iter().map(|(_, number)| *number).max()?,
    };
    let replayed = replay(env, dir, FileId { number, database }).ok()?;
    let floor = replayed.state.log_floor;
    let has_floor = floor == 0 || names.segments.iter().any(|(_, number)| *number == floor);
    has_floor.then_some(replayed)
}

/// What every sound record of every manifest says, whatever lies between them.
#[derive(Debug, Default)]
struct History {
    metas: BTreeMap<u64, FileMeta>,
    removed: BTreeSet<u64>,
    next_file: u64,
    epoch: u64,
    durable_seq: CommitSeq,
    flushed_seq: CommitSeq,
}

impl History {
    fn read(env: &Env, names: &Names, database: [u8; 16]) -> History {
        let mut history = History::default();
        let mut manifests = Vec::new();
        for (path, number) in &names.manifests {
            let Ok(bytes) = read_whole(env, path) else { continue };
            let claimed = decode_header(&bytes, MAGIC).ok().filter(|id| id.database == database);
            manifests.push((claimed.map_or(*number, |id| id.number), bytes));
        }
        manifests.sort_by_key(|(number, _)| *number);
        for (number, bytes) in &manifests {
            let mut at = HEADER;
            while at < bytes.len() {
                match decode_record(*number, bytes, at) {
                    Ok((edit, end)) => {
                        history.note(&edit);
                        at = end;
                    }
                    Err(_) => at += 8,
                }
            }
        }
        history
    }

    fn note(&mut self, edit: &Edit) {
        self.next_file = self.next_file.max(edit.next_file.unwrap_or(0));
        self.epoch = self.epoch.max(edit.epoch.unwrap_or(0));
        self.durable_seq = self.durable_seq.max(edit.durable_seq.unwrap_or(0));
        self.flushed_seq = self.flushed_seq.max(edit.last_seq.unwrap_or(0));
        self.removed.extend(edit.removed.iter().map(|(_, number)| *number));
        for (_, meta) in &edit.added {
            // A file that changes its level is removed and added by one edit.
            self.removed.remove(&meta.number);
            self.metas.insert(meta.number, meta.clone());
        }
    }
}
