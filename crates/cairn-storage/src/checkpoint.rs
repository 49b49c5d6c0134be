//! A consistent copy of the tree in another directory: SSTs are linked, not copied.
//!
//! Guarantees: the copy is a whole database of the same id, durable when the call returns; the version
//! it was made of is held meanwhile, so no file goes away under it. After an error the directory is
//! left without `CURRENT`, which is no database.

use std::path::Path;

use cairn_env::{Env, OpenMode};

use crate::blob::blob_path;
use crate::error::{Error, Result};
use crate::key::CommitSeq;
use crate::manifest::identity::{create_dir, sst_path, sync_dir, write_identity};
use crate::places::MAIN;
use crate::sst::format::FileId;
use crate::tree::{Tree, begin_manifest};

/// Files are copied in pieces of this size where they cannot be linked.
const COPY_BYTES: usize = 1 << 20;

impl Tree {
    /// Makes a copy in `dir`, which must be missing or empty. Returns the last commit in it.
    ///
    /// # Errors
    /// `InvalidArgument` where `dir` holds anything; `Io`, `DiskFull`.
    pub(crate) fn checkpoint(&self, dir: &Path) -> Result<CommitSeq> {
        let files = self.env.files();
        match files.list(dir) {
            Ok(names) if names.is_empty() => {}
            Ok(_) => {
                let what = format!("the directory {} for the checkpoint is not empty", dir.display());
                return Err(Error::InvalidArgument(what));
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                files.create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
            }
            Err(e) => return Err(Error::io("list", dir, e)),
        }
        let (version, mut state) = self.version_and_state();
        let filled = (|| {
            for (_, file) in version.files() {
                link_or_copy(&self.env, file.path(), &sst_path(dir, file.meta().number))?;
            }
            for file in version.blobs().files() {
                link_or_copy(&self.env, file.path(), &blob_path(dir, file.meta().number))?;
            }
            // The names of the directory and of those above it, before anything says that this is a database.
            create_dir(&self.env, dir)?;
            write_identity(&self.env, dir, self.database)?;
            sync_dir(&self.env, dir)?;
            let manifest = FileId { number: self.new_file_number(), database: self.database };
            state.next_file = manifest.number + 1;
            state.log_floor = 0;
            // All of it lies in one directory.
            state.levels.iter_mut().flatten().for_each(|file| file.place = MAIN);
            // The copy has no log: what is only there in the source is not to be looked for.
            state.durable_seq = state.last_seq;
            begin_manifest(&self.env, dir, manifest, &state)?;
            Ok(state.last_seq)
        })();
        if filled.is_err() {
            // Best effort: what stays is no database, and says so when it is opened.
            for name in files.list(dir).unwrap_or_default() {
                let _ = files.remove_file(&dir.join(name));
            }
        }
        filled
    }
}

fn link_or_copy(env: &Env, from: &Path, to: &Path) -> Result<()> {
    match env.files().hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(e)
            if matches!(e.kind(), std::io::ErrorKind::Unsupported | std::io::ErrorKind::CrossesDevices) =>
        {
            copy(env, from, to)
        }
        // Some file systems refuse links with "not permitted".
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => copy(env, from, to),
        Err(e) => Err(Error::io("link", to, e)),
    }
}

fn copy(env: &Env, from: &Path, to: &Path) -> Result<()> {
    let source = env.files().open(from, OpenMode::Read).map_err(|e| Error::io("open", from, e))?;
    let target = env.files().open(to, OpenMode::CreateNew).map_err(|e| Error::io("create", to, e))?;
    let mut piece = vec![0; COPY_BYTES];
    let mut offset = 0;
    loop {
        let len = match source.read_at(&mut piece, offset) {
            Ok(0) => break,
            Ok(len) => len,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::io("read", from, e)),
        };
        target.write_all_at(&piece[..len], offset).map_err(|e| Error::io("write", to, e))?;
        offset += len as u64;
    }
    target.sync_data().map_err(|e| Error::io("sync", to, e))
}
