//! `CAIRN`, the identity of a database, and `CURRENT`, the name of its manifest.
//!
//! Guarantees: I1: both are replaced whole: written beside, synced, renamed, the directory synced.
//! I2: the identity is there twice, and one sound copy is enough to open; `verify` reports the other.

use std::io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
use std::path::{Path, PathBuf};

use cairn_env::{Env, OpenMode};

use super::format::{HEADER, VERSION, decode_header, encode_header};
use crate::error::{Error, Result};
use crate::sst::format::{FileId, Refused};

/// File name of the identity.
pub(crate) const IDENTITY: &str = "CAIRN";
/// File name of the pointer to the manifest.
pub(crate) const CURRENT: &str = "CURRENT";
const IDENTITY_MAGIC: [u8; 8] = *b"CAIRNDB\0";
const CURRENT_MAGIC: [u8; 8] = *b"CAIRNCUR";
/// The second copy is in another sector.
const SECOND: usize = 512;

/// Reads a small file whole that must be there; refuses more than 1 GiB.
pub(crate) fn read_whole(env: &Env, path: &Path) -> Result<Vec<u8>> {
    let fail = |e| Error::io("read", path, e);
    let file = env.files().open(path, OpenMode::Read).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::corrupt(path, 0, "expected the file, found none"),
        _ => Error::io("open", path, e),
    })?;
    let len = file.len().map_err(fail)?;
    if len > 1 << 30 {
        return Err(Error::corrupt(path, 0, format!("expected at most 1 GiB, found {len} bytes")));
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, 0).map_err(fail)?;
    Ok(bytes)
}

/// Puts `bytes` in the place of the file `name` (I1).
pub(crate) fn replace_file(env: &Env, dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    write_beside(env, dir, name, bytes)?;
    put_in_place(env, dir, name)
}

/// The first half of a replacement: the new bytes durable beside. After an error nothing has changed.
fn write_beside(env: &Env, dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let beside = dir.join(format!("{name}.tmp"));
    let written = (|| {
        let file =
            env.files().open(&beside, OpenMode::Create).map_err(|e| Error::io("create", &beside, e))?;
        file.write_all_at(bytes, 0).map_err(|e| Error::io("write", &beside, e))?;
        file.sync_data().map_err(|e| Error::io("sync", &beside, e))
    })();
    if let Err(error) = written {
        let _ = env.files().remove_file(&beside);
        return Err(error);
    }
    Ok(())
}

/// The second half. After an error either file may be in the place.
fn put_in_place(env: &Env, dir: &Path, name: &str) -> Result<()> {
    let (path, beside) = (dir.join(name), dir.join(format!("{name}.tmp")));
    env.files().rename(&beside, &path).map_err(|e| Error::io("rename", &path, e))?;
    sync_dir(env, dir)
}

/// Creates the directory and makes its name durable, and those of all above it: who created them before may
/// have been stopped before they were.
pub(crate) fn create_dir(env: &Env, dir: &Path) -> Result<()> {
    let files = env.files();
    files.create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
    for parent in dir.ancestors().skip(1) {
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match files.sync_dir(parent) {
            Ok(()) => {}
            // Not ours to sync, so not ours to have created.
            Err(e)
                if matches!(e.kind(), PermissionDenied | ReadOnlyFilesystem | Unsupported | InvalidInput) => {
            }
            Err(e) => return Err(Error::io("sync", parent, e)),
        }
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(env: &Env, dir: &Path) -> Result<()> {
    env.files().sync_dir(dir).map_err(|e| Error::io("sync", dir, e))
}

/// Turns a refused header into an error.
pub(crate) fn refuse(path: &Path, offset: u64, refused: Refused) -> Error {
    match refused {
        Refused::Damaged(what) => Error::corrupt(path, offset, what),
        Refused::Newer(found) => Error::NewerFormat { path: path.to_path_buf(), found, supported: VERSION },
    }
}

/// Writes the identity of a new database.
pub(crate) fn write_identity(env: &Env, dir: &Path, database: [u8; 16]) -> Result<()> {
    replace_file(env, dir, IDENTITY, &identity_bytes(database))
}

fn identity_bytes(database: [u8; 16]) -> Vec<u8> {
    // The number of the file says which copy it is, so that the copies differ and cannot be swapped.
    let mut bytes = encode_header(IDENTITY_MAGIC, FileId { number: 0, database });
    bytes.resize(SECOND, 0);
    bytes.extend_from_slice(&encode_header(IDENTITY_MAGIC, FileId { number: 1, database }));
    bytes
}

/// The database id, from the sound copy or copies; damage found on the way is noted.
pub(crate) fn read_identity(env: &Env, dir: &Path, damage: &mut Vec<Error>) -> Result<[u8; 16]> {
    let path = dir.join(IDENTITY);
    let bytes = read_whole(env, &path)?;
    let copy = |which: usize| -> Result<[u8; 16], Error> {
        let offset = which * SECOND;
        let part = bytes.get(offset..).unwrap_or_default();
        match decode_header(part, IDENTITY_MAGIC) {
            Ok(id) if id.number == which as u64 => Ok(id.database),
            Ok(id) => Err(Error::corrupt(&path, offset as u64, format!("found copy {}", id.number))),
            Err(refused) => Err(refuse(&path, offset as u64, refused)),
        }
    };
    let database = match (copy(0), copy(1)) {
        (Ok(first), Ok(second)) if first == second => first,
        (Ok(_), Ok(_)) => return Err(Error::corrupt(&path, 0, "the two copies name two databases")),
        (Ok(only), Err(error)) | (Err(error), Ok(only)) => {
            damage.push(error);
            only
        }
        (Err(first), Err(second)) => {
            // A future version is told as such, whichever copy says so.
            let newer = |error: &Error| matches!(error, Error::NewerFormat { .. });
            return Err(if newer(&second) && !newer(&first) { second } else { first });
        }
    };
    if damage.is_empty() && bytes != identity_bytes(database) {
        let expected = identity_bytes(database);
        let at = bytes.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        damage.push(Error::corrupt(&path, at as u64, "expected zeros, or the end of the file"));
    }
    Ok(database)
}

/// The database ids that the sound copies in the bytes of an identity name.
pub(crate) fn identity_ids(bytes: &[u8]) -> Vec<[u8; 16]> {
    let copy = |which: usize| {
        let id = decode_header(bytes.get(which * SECOND..)?, IDENTITY_MAGIC).ok()?;
        (id.number == which as u64).then_some(id.database)
    };
    [copy(0), copy(1)].into_iter().flatten().collect()
}

/// The manifest that the bytes of `CURRENT` name, if they are sound.
pub(crate) fn current_id(bytes: &[u8]) -> Option<FileId> {
    decode_header(bytes, CURRENT_MAGIC).ok()
}

/// Points `CURRENT` at a manifest that is already durable.
pub(crate) fn write_current(env: &Env, dir: &Path, manifest: FileId) -> Result<()> {
    prepare_current(env, dir, manifest)?;
    point_current(env, dir)
}

/// Writes what [`point_current`] puts in place, durably beside. After an error nothing has changed.
pub(crate) fn prepare_current(env: &Env, dir: &Path, manifest: FileId) -> Result<()> {
    write_beside(env, dir, CURRENT, &encode_header(CURRENT_MAGIC, manifest))
}

/// Has `CURRENT` name the manifest that was prepared. After an error it may name either.
pub(crate) fn point_current(env: &Env, dir: &Path) -> Result<()> {
    put_in_place(env, dir, CURRENT)
}

/// The manifest that `CURRENT` names.
pub(crate) fn read_current(env: &Env, dir: &Path, database: [u8; 16]) -> Result<FileId> {
    let path = dir.join(CURRENT);
    let bytes = read_whole(env, &path)?;
    let id = decode_header(&bytes, CURRENT_MAGIC).map_err(|refused| refuse(&path, 0, refused))?;
    if bytes.len() != HEADER {
        return Err(Error::corrupt(
            &path,
            HEADER as u64,
            format!("expected {HEADER} bytes, found {}", bytes.len()),
        ));
    }
    if id.database != database {
        return Err(Error::corrupt(&path, 24, "the file belongs to another database"));
    }
    Ok(id)
}

/// The path of a manifest.
pub(crate) fn manifest_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("MANIFEST-{number:06}"))
}

/// The path of an SST.
pub(crate) fn sst_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:06}.sst"))
}

/// What a file name of ours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileName {
    /// `MANIFEST-n`.
    Manifest(u64),
    /// `n.sst`.
    Sst(u64),
    /// `n.wal`.
    Wal(u64),
    /// `n.blob`.
    Blob(u64),
    /// `CURRENT`, `CAIRN`, `LOCK`, `SLOW`.
    Fixed,
    /// Left of a replacement that did not come to its rename.
    Temporary,
}

/// What a name is; `None` where it is not ours.
pub(crate) fn parse_name(name: &str) -> Option<FileName> {
    let number = |digits: &str| match digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse::<u64>().ok(),
        false => None,
    };
    if let Some(digits) = name.strip_prefix("MANIFEST-") {
        return number(digits).map(FileName::Manifest);
    }
    match name {
        IDENTITY | CURRENT | "LOCK" | "SLOW" => Some(FileName::Fixed),
        "CAIRN.tmp" | "CURRENT.tmp" | "SLOW.tmp" => Some(FileName::Temporary),
        _ => match name.split_once('.') {
            Some((digits, "sst")) => number(digits).map(FileName::Sst),
            Some((digits, "wal")) => number(digits).map(FileName::Wal),
            Some((digits, "blob")) => number(digits).map(FileName::Blob),
            _ => None,
        },
    }
}
