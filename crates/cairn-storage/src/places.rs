//! Where the files of a database lie: its directory, and a second one, on a slower disk perhaps, for the SSTs of the
//! lower levels.
//!
//! ```text
//! database/  CAIRN CURRENT MANIFEST-… LOCK  *.wal *.blob  *.sst of the upper levels   SLOW: the path of the second
//! second/    CAIRN (the same identity)                    *.sst of the lower levels
//! ```
//! Invariants:
//! - I1: the manifest says of every SST in which directory it lies; changing the options moves none. Compaction puts
//!   what it writes where the options say, and so moves all of it in time.
//! - I2: nothing is written to or removed from a second directory before it is known to be this database's: it was
//!   empty, or has the identity of this one and is recorded in `SLOW` or holds all files that the manifest says.
//! - I3: the second directory and its identity are durable before `SLOW` names it, and `SLOW` before a manifest names
//!   a file in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cairn_env::Env;

use crate::error::{Error, Result};
use crate::manifest::format::{HEADER, decode_header, encode_header};
use crate::manifest::identity::{
    CURRENT, FileName, IDENTITY, create_dir, parse_name, read_identity, read_whole, refuse, replace_file,
    sst_path, sync_dir, write_identity,
};
use crate::manifest::log::State;
use crate::options::Options;
use crate::sst::format::{FileId, checksum};

/// File name of the record of the second directory.
pub(crate) const SLOW: &str = "SLOW";
const MAGIC: [u8; 8] = *b"CAIRNSLW";

/// The place of a file in the database's own directory, and in the second one.
pub(crate) const MAIN: u8 = 0;
pub(crate) const SECOND: u8 = 1;

/// The directories of a database.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    dir: PathBuf,
    second: Option<PathBuf>,
    /// The first level whose new files go to the second directory; none where it only is read.
    from_level: Option<usize>,
}

impl Places {
    /// A database that lies in one directory.
    pub(crate) fn one(dir: &Path) -> Places {
        Places { dir: dir.to_path_buf(), second: None, from_level: None }
    }

    /// The directories as recorded, for who only reads.
    ///
    /// # Errors
    /// `Corrupt`, `Io` from reading the record.
    pub(crate) fn recorded(env: &Env, dir: &Path, database: [u8; 16]) -> Result<Places> {
        Ok(Places { second: read_record(env, dir, database)?, ..Places::one(dir) })
    }

    /// The directories of a database that is being opened; a second one that is new is prepared (I2, I3).
    ///
    /// # Errors
    /// `Io` (not found) where the second directory is missing though files lie in it, `NotADatabase` where it is not
    /// this database's, `Corrupt` where nothing says which it is.
    pub(crate) fn open(
        env: &Env,
        dir: &Path,
        database: [u8; 16],
        state: &State,
        options: &Options,
    ) -> Result<Places> {
        let recorded = read_record(env, dir, database)?;
        let used = state.levels.iter().flatten().any(|file| file.place == SECOND);
        let Some(second) = options.slow_path.clone().or_else(|| recorded.clone()) else {
            if used {
                let what = "SSTs lie in a second directory, and the file that names it is missing";
                return Err(Error::corrupt(&dir.join(SLOW), 0, what));
            }
            return Ok(Places::one(dir));
        };
        let from_level = options.slow_path.is_some().then_some(options.slow_level);
        let is_there = env
            .files()
            .exists(&second.join(IDENTITY))
            .map_err(|e| Error::io("look at the directory of the lower levels", &second, e))?;
        if !is_there && !used && from_level.is_none() {
            // Gone, and nothing in it is missed.
            return Ok(Places::one(dir));
        }
        if !is_there && used {
            let cause = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Error::io("find the lower levels of the database in", &second, cause));
        }
        if !is_there {
            prepare(env, &second, database)?;
        }
        if recorded.as_ref() != Some(&second) {
            check_ours(env, &second, database, state)?;
            // Who made the directory or its identity may have been stopped before either was durable (I3).
            create_dir(env, &second)?;
            sync_dir(env, &second)?;
            replace_file(env, dir, SLOW, &encode(&second, database))?;
        }
        if read_identity(env, &second, &mut Vec::new())? != database {
            let reason = "it holds the lower levels of another database".to_string();
            return Err(Error::NotADatabase { path: second, reason });
        }
        Ok(Places { second: Some(second), from_level, ..Places::one(dir) })
    }

    /// The second directory.
    pub(crate) fn second(&self) -> Option<&Path> {
        self.second.as_deref()
    }

    /// Where a new file of a level goes.
    pub(crate) fn of_level(&self, level: usize) -> u8 {
        if self.from_level.is_some_and(|from| level >= from) { SECOND } else { MAIN }
    }

    /// Where a file with this path lies.
    pub(crate) fn of_path(&self, path: &Path) -> u8 {
        if self.second.is_some() && path.parent() == self.second() { SECOND } else { MAIN }
    }

    /// The path of an SST. One of a second directory that is not known is looked for in the first, where it is
    /// missing.
    pub(crate) fn sst(&self, place: u8, number: u64) -> PathBuf {
        let second = self.second().filter(|_| place == SECOND);
        sst_path(second.unwrap_or(&self.dir), number)
    }

    /// The names in the second directory; none where there is no such directory.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn names_in_second(&self, env: &Env) -> Result<Vec<String>> {
        let Some(second) = self.second() else { return Ok(Vec::new()) };
        match env.files().list(second) {
            Ok(names) => Ok(names),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::io("list", second, e)),
        }
    }
}

/// Makes a missing or empty directory the second one of a database (I2).
fn prepare(env: &Env, second: &Path, database: [u8; 16]) -> Result<()> {
    create_dir(env, second)?;
    let names = env.files().list(second).map_err(|e| Error::io("list", second, e))?;
    if let Some(name) = names.iter().find(|name| parse_name(name) != Some(FileName::Temporary)) {
        let reason = format!("there are other files in it, such as {name}");
        return Err(Error::NotADatabase { path: second.to_path_buf(), reason });
    }
    write_identity(env, second, database)
}

/// Whether a directory that is not the recorded one may be the second one (I2): it has all files that lie in such,
/// because it was moved, or nothing at all yet. A copy of the database has the same identity, and the files of the
/// original are not its own.
fn check_ours(env: &Env, second: &Path, database: [u8; 16], state: &State) -> Result<()> {
    let refuse = |reason: String| Err(Error::NotADatabase { path: second.to_path_buf(), reason });
    let names = env.files().list(second).map_err(|e| Error::io("list", second, e))?;
    if names.iter().any(|name| name == CURRENT) {
        return refuse("it is a database itself, not the second directory of one".to_string());
    }
    let is_bare = |name: &String| name == IDENTITY || parse_name(name) == Some(FileName::Temporary);
    if read_identity(env, second, &mut Vec::new())? != database {
        if names.iter().all(is_bare) {
            // Prepared for a creation that a crash undid: what was begun anew has another identity.
            return write_identity(env, second, database);
        }
        return refuse("it holds the lower levels of another database".to_string());
    }
    let mut used = state.levels.iter().flatten().filter(|file| file.place == SECOND).peekable();
    if used.peek().is_none() {
        return match names.iter().find(|name| !is_bare(name)) {
            Some(name) => refuse(format!("there are other files in it, such as {name}")),
            None => Ok(()),
        };
    }
    for file in used {
        let path = sst_path(second, file.number);
        if !env.files().exists(&path).map_err(|e| Error::io("look at", &path, e))? {
            return Err(Error::corrupt(&path, 0, "expected the file, found none"));
        }
    }
    Ok(())
}

/// Has no database take the directory for its second one any more: what is in it belongs to one that was replaced.
/// `CAIRN` becomes `CAIRN.damaged`.
pub(crate) fn disown(env: &Env, second: &Path) -> Result<()> {
    let (identity, aside) = (second.join(IDENTITY), second.join("CAIRN.damaged"));
    match env.files().rename(&identity, &aside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("rename", &identity, e)),
        _ => Ok(()),
    }
}

fn encode(second: &Path, database: [u8; 16]) -> Vec<u8> {
    let path = second.as_os_str().as_bytes();
    let number = path.len() as u64;
    let mut bytes = encode_header(MAGIC, FileId { number, database });
    bytes.extend_from_slice(path);
    let sum = checksum(number, HEADER as u64, path);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// The second directory that a database's own names.
fn read_record(env: &Env, dir: &Path, database: [u8; 16]) -> Result<Option<PathBuf>> {
    let path = dir.join(SLOW);
    if !env.files().exists(&path).map_err(|e| Error::io("look at", &path, e))? {
        return Ok(None);
    }
    let bytes = read_whole(env, &path)?;
    let id = decode_header(&bytes, MAGIC).map_err(|refused| refuse(&path, 0, refused))?;
    if id.database != database {
        return Err(Error::corrupt(&path, 24, "the file belongs to another database"));
    }
    let body = &bytes[HEADER..];
    let len = usize::try_from(id.number).unwrap_or(usize::MAX);
    let sound = body.len().checked_sub(4) == Some(len)
        && body[len..] == checksum(id.number, HEADER as u64, &body[..len]).to_le_bytes();
    if !sound {
        return Err(Error::corrupt(&path, HEADER as u64, "the checksum of the path does not match"));
    }
    Ok(Some(PathBuf::from(OsStr::from_bytes(&body[..len]))))
}
