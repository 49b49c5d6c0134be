//! The simulated file system's calls. Every call asks [`World::enter`] how it fares; a crash in a call does it
//! wholly, partly or not, then cuts the power.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::baton;
use super::fault::{Fault, Op};
use super::world::{DirNode, DirOp, FileNode, Inode, Verdict, World, power_cut};
use crate::files::{Advice, File, FileLock, FileSystem, Metadata, OpenMode};
use crate::memory::normal;

/// The disk as one process (one environment) sees it.
#[derive(Debug)]
pub(super) struct SimFileSystem {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) incarnation: u64,
}

impl SimFileSystem {
    /// A call that has nothing in parts: it happens or not.
    fn call<T>(
        &self,
        op: Op,
        paths: &[&Path],
        act: impl FnOnce(&mut World) -> io::Result<T>,
    ) -> io::Result<T> {
        if matches!(op, Op::Create | Op::Rename | Op::Link) {
            baton::pause();
        }
        let mut world = self.world.lock();
        let verdict = world.enter(self.incarnation, op)?;
        for path in paths {
            world.note_bytes(path.as_os_str().as_encoded_bytes());
        }
        match verdict {
            Verdict::Go => act(&mut world),
            Verdict::Fail(fault) => Err(fault.error()),
            Verdict::Crash => {
                if world.random.one_in(2) {
                    // What it returns does not matter: its caller is gone.
                    let _ = act(&mut world);
                }
                world.cut_power();
                Err(power_cut())
            }
        }
    }
}

fn create_dirs(world: &mut World, path: &Path) -> io::Result<()> {
    let path = normal(path);
    let mut dirs: Vec<&Path> = path.ancestors().collect();
    dirs.reverse();
    for dir in dirs {
        match world.find(dir) {
            Ok(number) => {
                world.dir(number)?;
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let (parent, name) = world.find_parent(dir)?;
                let inode = world.add(Inode::Dir(DirNode::default()));
                world.dir(parent)?.change(DirOp::Link { name, inode });
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn open_file(world: &mut World, path: &Path, mode: OpenMode) -> io::Result<u64> {
    let number = match world.find(path) {
        Ok(number) => {
            let file = world.file(number)?;
            match mode {
                OpenMode::CreateNew => return Err(ErrorKind::AlreadyExists.into()),
                OpenMode::Create => file.set_len(0),
                OpenMode::Read | OpenMode::ReadWrite => {}
            }
            number
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            if !matches!(mode, OpenMode::Create | OpenMode::CreateNew) {
                return Err(e);
            }
            let (parent, name) = world.find_parent(path)?;
            let inode = world.add(Inode::File(FileNode::default()));
            world.dir(parent)?.change(DirOp::Link { name, inode });
            inode
        }
        Err(e) => return Err(e),
    };
    world.file(number)?.handles += 1;
    Ok(number)
}

fn rename(world: &mut World, from: &Path, to: &Path) -> io::Result<()> {
    let inode = world.find(from)?;
    let (from_dir, from_name) = world.find_parent(from)?;
    let (to_dir, to_name) = world.find_parent(to)?;
    let from_is_dir = world.dir(inode).is_ok();
    if let Ok(target) = world.find(to) {
        if target == inode {
            return Ok(());
        }
        match (from_is_dir, world.dir(target)) {
            (false, Ok(_)) => return Err(ErrorKind::IsADirectory.into()),
            (true, Err(_)) => return Err(ErrorKind::NotADirectory.into()),
            (true, Ok(dir)) if !dir.current.is_empty() => return Err(ErrorKind::DirectoryNotEmpty.into()),
            _ => {}
        }
    }
    if from_is_dir && normal(to).starts_with(normal(from)) {
        return Err(ErrorKind::InvalidInput.into());
    }
    if from_dir == to_dir {
        world.dir(from_dir)?.change(DirOp::Rename { from: from_name, to: to_name, inode });
    } else {
        world.dir(from_dir)?.change(DirOp::Unlink { name: from_name });
        world.dir(to_dir)?.change(DirOp::Link { name: to_name, inode });
    }
    Ok(())
}

impl FileSystem for SimFileSystem {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let creates = matches!(mode, OpenMode::Create | OpenMode::CreateNew);
        let op = if creates { Op::Create } else { Op::Open };
        let number = self.call(op, &[path], |world| open_file(world, path, mode))?;
        Ok(Arc::new(SimFile {
            world: Arc::clone(&self.world),
            incarnation: self.incarnation,
            number,
            writes: mode.writes(),
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(Op::CreateDir, &[path], |world| create_dirs(world, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Op::Rename, &[from, to], |world| rename(world, from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call(Op::Remove, &[path], |world| {
            let number = world.find(path)?;
            world.file(number)?;
            let (parent, name) = world.find_parent(path)?;
            world.dir(parent)?.change(DirOp::Unlink { name });
            Ok(())
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Op::Remove, &[path], |world| {
            let number = world.find(path)?;
            if !world.dir(number)?.current.is_empty() {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            let (parent, name) = world.find_parent(path)?;
            world.dir(parent)?.change(DirOp::Unlink { name });
            Ok(())
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Op::Link, &[from, to], |world| {
            let inode = world.find(from)?;
            if world.dir(inode).is_ok() {
                return Err(ErrorKind::PermissionDenied.into());
            }
            let (parent, name) = world.find_parent(to)?;
            let dir = world.dir(parent)?;
            if dir.current.contains_key(&name) {
                return Err(ErrorKind::AlreadyExists.into());
            }
            dir.change(DirOp::Link { name, inode });
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        baton::pause();
        let mut world = self.world.lock();
        let verdict = world.enter(self.incarnation, Op::SyncDir)?;
        world.note_bytes(path.as_os_str().as_encoded_bytes());
        let number = world.find(path)?;
        world.dir(number)?;
        settle(&mut world, verdict, |world, how| {
            // Names are in the file system's journal: a failed sync leaves them waiting for the next.
            if let (Sync::Whole, Some(Inode::Dir(dir))) = (how, world.inodes.get_mut(&number)) {
                dir.sync();
            }
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.call(Op::List, &[path], |world| {
            let number = world.find(path)?;
            Ok(world.dir(number)?.current.keys().cloned().collect())
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.call(Op::Metadata, &[path], |world| {
            let number = world.find(path)?;
            match world.file(number) {
                Ok(file) => Ok(Metadata { len: file.current.len(), is_dir: false }),
                Err(_) => Ok(Metadata { len: 0, is_dir: true }),
            }
        })
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.call(Op::Metadata, &[path], |world| match world.find(path) {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(e) => Err(e),
        })
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        let number = self.call(Op::Lock, &[path], |world| {
            let mode = if world.find(path).is_ok() { OpenMode::ReadWrite } else { OpenMode::CreateNew };
            let number = open_file(world, path, mode)?;
            if world.locks.insert(number) {
                return Ok(Some(number));
            }
            world.file(number)?.handles -= 1;
            Ok(None)
        })?;
        let lock = number.map(|number| -> Box<dyn FileLock> {
            Box::new(SimLock { world: Arc::clone(&self.world), incarnation: self.incarnation, number })
        });
        Ok(lock)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.call(Op::FreeBytes, &[path], |world| {
            world.find(path)?;
            Ok(world.room())
        })
    }
}

/// How a sync ends.
enum Sync {
    Whole,
    Failed,
}

/// Runs a sync under a verdict.
fn settle(world: &mut World, verdict: Verdict, act: impl FnOnce(&mut World, Sync)) -> io::Result<()> {
    match verdict {
        Verdict::Go => act(world, Sync::Whole),
        Verdict::Fail(Fault::SyncLies) => {}
        Verdict::Fail(fault @ Fault::Emfile) => return Err(fault.error()),
        Verdict::Fail(fault) => {
            act(world, Sync::Failed);
            return Err(fault.error());
        }
        Verdict::Crash => {
            if world.random.one_in(2) {
                act(world, Sync::Whole);
            }
            world.cut_power();
            return Err(power_cut());
        }
    }
    Ok(())
}

#[derive(Debug)]
struct SimFile {
    world: Arc<Mutex<World>>,
    incarnation: u64,
    number: u64,
    writes: bool,
}

impl SimFile {
    fn enter(&self, op: Op, a: u64, b: u64) -> io::Result<(MutexGuard<'_, World>, Verdict)> {
        // Not when reading: readers hold locks of caches for a moment.
        if matches!(op, Op::Write | Op::Sync | Op::Grow | Op::Cut) {
            baton::pause();
        }
        let mut world = self.world.lock();
        let verdict = world.enter(self.incarnation, op)?;
        world.note(self.number);
        world.note(a);
        world.note(b);
        Ok((world, verdict))
    }

    /// How many of `len` bytes a legal short call handles; an interruption is an error.
    fn noise(world: &mut World, len: usize) -> io::Result<usize> {
        let rate = world.options.short_one_in;
        if len < 2 || !world.random.one_in(rate) {
            return Ok(len);
        }
        match world.random.below(4) {
            0 => Err(ErrorKind::Interrupted.into()),
            _ => Ok(world.random.between(1, len as u64 - 1) as usize),
        }
    }

    fn resize(&self, len: u64, only_grow: bool) -> io::Result<()> {
        let grows = self.world.lock().file(self.number).is_ok_and(|file| file.current.len() < len);
        let op = if grows { Op::Grow } else { Op::Cut };
        let (mut world, verdict) = self.enter(op, len, u64::from(only_grow))?;
        if !self.writes {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let room = world.room();
        let crash = verdict == Verdict::Crash;
        let acts = !crash || world.random.one_in(2);
        if let Verdict::Fail(fault) = verdict {
            return Err(fault.error());
        }
        let file = world.file(self.number)?;
        let now = file.current.len();
        if len > now && len - now > room {
            return Err(Fault::Enospc.error());
        }
        if acts && (len > now || !only_grow) {
            file.set_len(len);
        }
        if crash {
            world.cut_power();
            return Err(power_cut());
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let (mut world, verdict) = self.enter(Op::Sync, 0, 0)?;
        settle(&mut world, verdict, |world, how| {
            let World { inodes, random, .. } = world;
            if let Some(Inode::File(file)) = inodes.get_mut(&self.number) {
                match how {
                    Sync::Whole => file.sync(),
                    Sync::Failed => file.fail_sync(random),
                }
            }
        })
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut world, verdict) = self.enter(Op::Read, offset, buf.len() as u64)?;
        let len = match verdict {
            Verdict::Fail(Fault::ShortRead) => buf.len().div_ceil(2),
            Verdict::Fail(Fault::FlippedRead) => buf.len(),
            Verdict::Fail(fault) => return Err(fault.error()),
            Verdict::Go | Verdict::Crash => SimFile::noise(&mut world, buf.len())?,
        };
        let n = world.file(self.number)?.current.read(&mut buf[..len], offset);
        if verdict == Verdict::Fail(Fault::FlippedRead) && n > 0 {
            let at = world.random.below(n as u64) as usize;
            buf[at] ^= 1 << world.random.below(8);
        }
        Ok(n)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let (mut world, verdict) = self.enter(Op::Write, offset, buf.len() as u64)?;
        world.note_bytes(buf);
        if !self.writes {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let any = world.random.between(0, buf.len() as u64) as usize;
        let part = [0, any, buf.len()][world.random.below(3) as usize];
        let (mut len, error) = match verdict {
            Verdict::Go => (SimFile::noise(&mut world, buf.len())?, None),
            Verdict::Crash => (part, Some(power_cut())),
            Verdict::Fail(Fault::ShortWrite) => (buf.len().div_ceil(2), None),
            Verdict::Fail(Fault::Enospc) => (0, Some(Fault::Enospc.error())),
            Verdict::Fail(fault) => (part, Some(fault.error())),
        };
        let room = world.room();
        let file = world.file(self.number)?;
        let fits = file.current.len().saturating_add(room).saturating_sub(offset);
        if len as u64 > fits {
            len = fits as usize;
            if len == 0 && error.is_none() {
                return Err(Fault::Enospc.error());
            }
        }
        file.write(&buf[..len], offset);
        if verdict == Verdict::Crash {
            world.cut_power();
        }
        error.map_or(Ok(len), Err)
    }

    fn len(&self) -> io::Result<u64> {
        let (mut world, verdict) = self.enter(Op::Len, 0, 0)?;
        match verdict {
            Verdict::Fail(fault) => Err(fault.error()),
            Verdict::Go | Verdict::Crash => Ok(world.file(self.number)?.current.len()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.resize(len, false)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.resize(len, true)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }

    fn advise(&self, _advice: Advice, _offset: u64, _len: u64) {}
}

/// Closes a handle of a process that still runs.
fn release(world: &Mutex<World>, incarnation: u64, number: u64) {
    let mut world = world.lock();
    if world.powered
        && world.incarnation == incarnation
        && let Ok(file) = world.file(number)
    {
        file.handles = file.handles.saturating_sub(1);
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        release(&self.world, self.incarnation, self.number);
    }
}

#[derive(Debug)]
struct SimLock {
    world: Arc<Mutex<World>>,
    incarnation: u64,
    number: u64,
}

impl FileLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        {
            let mut world = self.world.lock();
            if world.powered && world.incarnation == self.incarnation {
                world.locks.remove(&self.number);
            }
        }
        release(&self.world, self.incarnation, self.number);
    }
}
