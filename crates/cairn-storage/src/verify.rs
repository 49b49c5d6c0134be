//! Verification: every byte of every file of a database, while it is open or not.
//!
//! Guarantees: all damage is collected, not the first only; nothing is changed. Covered are the
//! identity (both copies), `CURRENT`, the manifest, every page of every SST (checksums, order, index,
//! filters, properties, content hash), every byte of the blob files, and the log. A torn tail of manifest or log is no damage: what
//! is in it was never acknowledged.

use std::path::{Path, PathBuf};

use cairn_env::Env;

use crate::blob::blob_path;
use crate::blob::format::BlobMeta;
use crate::blob::verify::verify_blob;
use crate::error::{Error, Result};
use crate::manifest::format::{FileMeta, LEVELS};
use crate::manifest::identity::{CURRENT, IDENTITY, manifest_path, read_current, read_identity};
use crate::manifest::log::{State, replay};
use crate::places::{Places, SECOND};
use crate::sst::format::FileId;
use crate::sst::verify::verify_sst;
use crate::tree::Tree;
use crate::wal;

/// One damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in the file.
    pub offset: u64,
    /// What was expected, and what was found.
    pub what: String,
}

/// What a verification read and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Every damage found; empty is sound.
    pub damage: Vec<Damage>,
}

impl VerifyReport {
    /// Whether no damage was found.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    /// Notes damage; an error of another kind ends the verification.
    pub(crate) fn note(&mut self, error: Error) -> Result<()> {
        match error {
            Error::Corrupt { file, offset, what } => self.damage.push(Damage { file, offset, what }),
            Error::Io { ref path, ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                let what = "expected the file, found none".to_string();
                self.damage.push(Damage { file: path.clone(), offset: 0, what });
            }
            other => return Err(other),
        }
        Ok(())
    }

    fn count(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

impl Tree {
    /// Verifies identity, `CURRENT`, manifest and SSTs of the open tree.
    ///
    /// # Errors
    /// `Io` where a file cannot be read; damage is in the report.
    pub(crate) fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        // The manifest must not be replaced while it is read; SSTs are held by the version.
        let (version, state) = self.with_manifest_held(|| verify_head(&self.env, &self.dir, &mut report))?;
        drop(state);
        let used = version.files().any(|(_, file)| file.meta().place == SECOND);
        verify_second(&self.env, &self.places, self.database, used, &mut report)?;
        for (_, file) in version.files() {
            verify_file(&self.env, file.path(), file.meta(), self.database, &mut report)?;
        }
        for file in version.blobs().files() {
            verify_blob_file(&self.env, &self.dir, file.meta(), self.database, &mut report)?;
        }
        Ok(report)
    }
}

/// Verifies identity, `CURRENT` and manifest; `None` where what follows cannot be known.
fn verify_head(env: &Env, dir: &Path, report: &mut VerifyReport) -> Result<Option<([u8; 16], State)>> {
    let len = |path: &Path| env.files().metadata(path).map_or(0, |metadata| metadata.len);
    let mut copies = Vec::new();
    report.count(len(&dir.join(IDENTITY)));
    let database = read_identity(env, dir, &mut copies);
    for error in copies {
        report.note(error)?;
    }
    let database = match database {
        Ok(database) => database,
        Err(error) => return report.note(error).map(|()| None),
    };
    report.count(len(&dir.join(CURRENT)));
    let id = match read_current(env, dir, database) {
        Ok(id) => id,
        Err(error) => return report.note(error).map(|()| None),
    };
    match replay(env, dir, id) {
        Ok(replayed) => {
            report.count(replayed.file_len);
            Ok(Some((database, replayed.state)))
        }
        Err(error) => {
            report.count(len(&manifest_path(dir, id.number)));
            report.note(error).map(|()| None)
        }
    }
}

/// Verifies that the second directory, where there is one, is this database's. Where no file lies in it, it may be
/// gone, as it may for opening.
fn verify_second(
    env: &Env,
    places: &Places,
    database: [u8; 16],
    used: bool,
    report: &mut VerifyReport,
) -> Result<()> {
    let Some(second) = places.second() else { return Ok(()) };
    let identity = second.join(IDENTITY);
    if !used && !env.files().exists(&identity).map_err(|e| Error::io("look at", &identity, e))? {
        return Ok(());
    }
    let mut copies = Vec::new();
    let found = read_identity(env, second, &mut copies);
    for error in copies {
        report.note(error)?;
    }
    match found {
        Ok(found) if found == database => Ok(()),
        Ok(_) => report.note(Error::corrupt(&identity, 24, "the file names another database")),
        Err(error) => report.note(error),
    }
}

/// Verifies one SST against what the manifest says of it.
fn verify_file(
    env: &Env,
    path: &Path,
    meta: &FileMeta,
    database: [u8; 16],
    report: &mut VerifyReport,
) -> Result<()> {
    let checked = verify_sst(env, path, FileId { number: meta.number, database });
    report.count(checked.bytes);
    let clean = checked.damage.is_empty();
    for error in checked.damage {
        report.note(error)?;
    }
    let expected = Some((meta.stored_properties(), meta.content_hash));
    let differs = checked.facts != expected || checked.blobs != meta.blobs;
    if clean && (differs || checked.bytes != meta.file_len) {
        let what = "the file is not the one that the manifest names".to_string();
        report.damage.push(Damage { file: path.to_path_buf(), offset: 0, what });
    }
    Ok(())
}

/// Verifies one blob file against what the manifest says of it.
fn verify_blob_file(
    env: &Env,
    dir: &Path,
    meta: &BlobMeta,
    database: [u8; 16],
    report: &mut VerifyReport,
) -> Result<()> {
    let path = blob_path(dir, meta.number);
    let (bytes, found) = verify_blob(env, &path, FileId { number: meta.number, database }, meta);
    report.count(bytes);
    found.or_else(|error| report.note(error))
}

/// Verifies the part of the log that the state needs.
pub(crate) fn verify_log(
    env: &Env,
    dir: &Path,
    identity: &wal::Identity,
    state: &State,
    report: &mut VerifyReport,
) -> Result<()> {
    for segment in wal::list_segments(env, dir)?.into_iter().filter(|&segment| segment >= state.log_floor) {
        let path = dir.join(wal::format::file_name(segment));
        report.count(env.files().metadata(&path).map_or(0, |metadata| metadata.len));
    }
    let (floor, last_seq) = (state.log_floor, state.last_seq);
    let read = wal::read_log(env, dir, identity, floor, last_seq, &mut |_, _| Ok(()));
    match read.and_then(|log| log.check_reaches(dir, floor, state.durable_seq)) {
        Ok(()) => Ok(()),
        Err(error) => report.note(error),
    }
}

/// Verifies a database that nobody has open. The caller holds its lock.
///
/// # Errors
/// `NotFound`, `NotADatabase`, `NewerFormat`, `Io`; damage is in the report.
pub(crate) fn verify_closed(env: &Env, dir: &Path) -> Result<VerifyReport> {
    let mut report = VerifyReport::default();
    let Some((database, state)) = verify_head(env, dir, &mut report)? else { return Ok(report) };
    let places = match Places::recorded(env, dir, database) {
        Ok(places) => places,
        Err(error) => {
            report.note(error)?;
            Places::one(dir)
        }
    };
    let used = state.levels.iter().flatten().any(|file| file.place == SECOND);
    verify_second(env, &places, database, used, &mut report)?;
    check_levels(&places, &state, &mut report);
    for meta in state.levels.iter().flatten() {
        verify_file(env, &places.sst(meta.place, meta.number), meta, database, &mut report)?;
    }
    for meta in state.blobs.values() {
        verify_blob_file(env, dir, meta, database, &mut report)?;
    }
    let identity = wal::Identity { database_id: database, epoch: state.epoch };
    verify_log(env, dir, &identity, &state, &mut report)?;
    Ok(report)
}

/// Files of a level below 0 must not overlap.
fn check_levels(places: &Places, state: &State, report: &mut VerifyReport) {
    for level in 1..LEVELS {
        let mut files: Vec<&FileMeta> = state.levels[level].iter().collect();
        files.sort_by(|a, b| a.properties.smallest.cmp(&b.properties.smallest));
        for pair in files.windows(2).filter(|pair| pair[0].overlaps(pair[1])) {
            let what = format!("the file overlaps file {} of level {level}", pair[0].number);
            let file = places.sst(pair[1].place, pair[1].number);
            report.damage.push(Damage { file, offset: 0, what });
        }
    }
}
