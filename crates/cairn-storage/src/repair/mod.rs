//! Repair: a new store of all that is undamaged, beside the damaged one, which is moved aside and kept.
//!
//! ```text
//! verify ─▶ survey: whose files are these, which of them count ─▶ salvage: sound SSTs as they are, of the
//! damaged ones every sound block, of the log every sound record ─▶ rebuild: all merged into `DIR.repairing`
//! ─▶ verify that ─▶ DIR becomes DIR.damaged ─▶ DIR.repairing becomes DIR
//! ```
//! Guarantees:
//! - I1: no byte of the damaged database is changed or removed; its directory gets another name, after the
//!   new one is durable and verified.
//! - I2: every entry in a sound block of a file that counts, and every sound record of the log that is not in
//!   an SST already, is in the new store; what is not is listed with file, offset and keys.
//! - I3: outside the keys listed, the new store answers as the old one did before the damage. Within them an
//!   older value or a deleted key may be back: the newest version is what was lost.

mod log;
mod rebuild;
mod survey;
mod table;
mod values;

use std::path::{Path, PathBuf};

use cairn_env::{Env, FileLock};

use crate::error::{Error, Result};
use crate::key::CommitSeq;
use crate::places;
use crate::range::KeyRange;
use crate::recovery;
use crate::verify::{Damage, verify_closed};

/// Something that could not be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The file that held it, where it lies after the repair.
    pub file: PathBuf,
    /// Where in the file what is lost begins.
    pub offset: u64,
    /// The keys that may be affected: all that were lost lie within.
    pub keys: KeyRange,
    /// The commits that are missing in the log, first and last; `None` where what is lost is part of an SST.
    /// Where nothing tells how far the log went, the last is [`CommitSeq::MAX`]: maybe none is missing.
    pub commits: Option<(CommitSeq, CommitSeq)>,
    /// What was lost, for people.
    pub what: String,
}

/// What a repair found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairReport {
    /// The damage that verification found, in the files as they lie after the repair.
    pub damage: Vec<Damage>,
    /// What could not be saved. Empty with damage found: all data was saved.
    pub lost: Vec<Loss>,
    /// Where the damaged database is now. `None`: there was no damage, nothing was done.
    pub moved_to: Option<PathBuf>,
    /// The manifest could not be used: which SSTs count was found from the files themselves. A key that was
    /// deleted shortly before a crash may be back, and an SST that is missing altogether cannot be named.
    pub manifest_rebuilt: bool,
    /// Entries in the new store.
    pub entries: u64,
    /// The newest commit in the new store.
    pub last_commit: CommitSeq,
}

/// Repairs the database in `dir`, which nobody has open.
pub(crate) fn repair(env: &Env, dir: &Path) -> Result<RepairReport> {
    let lock = lock_damaged(env, dir)?;
    let found = verify_closed(env, dir)?;
    if found.is_sound() {
        return Ok(RepairReport::default());
    }
    let survey = survey::survey(env, dir)?;
    let beside = free_name(env, dir, "repairing")?;
    env.files().create_dir_all(&beside).map_err(|e| Error::io("create", &beside, e))?;
    let _new_lock = recovery::lock(env, &beside)?;
    let rebuilt = rebuild::rebuild(env, dir, &beside, &survey)?;
    let check = verify_closed(env, &beside)?;
    if let Some(damage) = check.damage.into_iter().next() {
        return Err(Error::Corrupt { file: damage.file, offset: damage.offset, what: damage.what });
    }
    let aside = free_name(env, dir, "damaged")?;
    exchange(env, dir, &beside, &aside, lock)?;
    if let Some(second) = survey.places.second() {
        // All of it is in the new store; what lies there must not be taken for rubbish of that.
        places::disown(env, second)?;
    }
    let mut report = RepairReport {
        damage: found.damage,
        lost: rebuilt.lost,
        moved_to: Some(aside.clone()),
        manifest_rebuilt: survey.state.is_none(),
        entries: rebuilt.entries,
        last_commit: rebuilt.last_seq,
    };
    let moved = |file: &Path| aside.join(file.strip_prefix(dir).unwrap_or(file));
    report.damage.iter_mut().for_each(|damage| damage.file = moved(&damage.file));
    report.lost.iter_mut().for_each(|loss| loss.file = moved(&loss.file));
    Ok(report)
}

/// Locks a directory with something of a database in it.
fn lock_damaged(env: &Env, dir: &Path) -> Result<Box<dyn FileLock>> {
    match env.files().metadata(dir) {
        Ok(found) if found.is_dir => {}
        Ok(_) => {
            let reason = "it is a file, a database is a directory".to_owned();
            return Err(Error::NotADatabase { path: dir.to_path_buf(), reason });
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound { path: dir.to_path_buf() });
        }
        Err(e) => return Err(Error::io("look at", dir, e)),
    }
    if !survey::holds_any_file(env, dir)? {
        let reason = "there is no file of a database in it".to_owned();
        return Err(Error::NotADatabase { path: dir.to_path_buf(), reason });
    }
    recovery::lock(env, dir)
}

/// A name beside the directory that is not taken: `DIR.what`, `DIR.what-2` and so on.
fn free_name(env: &Env, dir: &Path, what: &str) -> Result<PathBuf> {
    let Some(name) = dir.file_name() else {
        return Err(Error::InvalidArgument(format!("{} has no name to put another beside", dir.display())));
    };
    for number in 1..=u32::MAX {
        let mut beside = name.to_os_string();
        beside.push(format!(".{what}"));
        if number > 1 {
            beside.push(format!("-{number}"));
        }
        let path = dir.with_file_name(beside);
        if !env.files().exists(&path).map_err(|e| Error::io("look at", &path, e))? {
            return Ok(path);
        }
    }
    Err(Error::InvalidArgument(format!("no name is free beside {}", dir.display())))
}

/// Puts the new directory in the place of the damaged one (I1).
fn exchange(env: &Env, dir: &Path, new: &Path, aside: &Path, lock: Box<dyn FileLock>) -> Result<()> {
    let sync_parent = || match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => env.files().sync_dir(parent).map_err(|e| Error::io("sync", parent, e)),
        None => Ok(()),
    };
    // The new directory's name is durable before the old one's is changed.
    sync_parent()?;
    env.files().rename(dir, aside).map_err(|e| Error::io("rename", dir, e))?;
    let renamed = env.files().rename(new, dir).map_err(|e| Error::io("rename", new, e));
    if renamed.is_err() {
        // Back to where it was; should that fail too, both are there under the names told.
        let _ = env.files().rename(aside, dir);
    }
    drop(lock);
    renamed?;
    sync_parent()
}
