//! A file system in memory.
//!
//! Lock order: the tree, then one file's content. A read of a file takes no lock of the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::content::Content;
use super::paths::{normal, parent_and_name};
use crate::files::{Advice, File, FileLock, FileSystem, Metadata, OpenMode};

/// Files and directories by path. The root is always there.
#[derive(Debug)]
pub(crate) struct MemoryFileSystem {
    tree: Mutex<BTreeMap<PathBuf, Node>>,
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
}

#[derive(Clone, Debug)]
enum Node {
    Dir,
    File(Arc<RwLock<Content>>),
}

impl MemoryFileSystem {
    pub(crate) fn new() -> MemoryFileSystem {
        let tree = BTreeMap::from([(PathBuf::new(), Node::Dir)]);
        MemoryFileSystem { tree: Mutex::new(tree), locks: Arc::default() }
    }
}

fn require_dir(tree: &BTreeMap<PathBuf, Node>, path: &Path) -> io::Result<()> {
    match tree.get(path) {
        Some(Node::Dir) => Ok(()),
        Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
        None => Err(ErrorKind::NotFound.into()),
    }
}

impl FileSystem for MemoryFileSystem {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let path = normal(path);
        let mut tree = self.tree.lock();
        let content = match tree.get(&path) {
            Some(Node::Dir) => return Err(ErrorKind::IsADirectory.into()),
            Some(Node::File(_)) if mode == OpenMode::CreateNew => return Err(ErrorKind::AlreadyExists.into()),
            Some(Node::File(content)) => {
                if mode == OpenMode::Create {
                    content.write().set_len(0);
                }
                Arc::clone(content)
            }
            None if matches!(mode, OpenMode::Create | OpenMode::CreateNew) => {
                require_dir(&tree, &parent_and_name(&path)?.0)?;
                let content = Arc::new(RwLock::new(Content::default()));
                tree.insert(path, Node::File(Arc::clone(&content)));
                content
            }
            None => return Err(ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(MemoryFile { content, writes: mode.writes() }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut tree = self.tree.lock();
        let mut dirs: Vec<&Path> = path.ancestors().collect();
        dirs.reverse();
        for dir in dirs {
            match tree.get(dir) {
                Some(Node::Dir) => {}
                Some(Node::File(_)) => return Err(ErrorKind::NotADirectory.into()),
                None => {
                    tree.insert(dir.to_owned(), Node::Dir);
                }
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (normal(from), normal(to));
        let mut tree = self.tree.lock();
        let node = tree.get(&from).cloned().ok_or(ErrorKind::NotFound)?;
        require_dir(&tree, &parent_and_name(&to)?.0)?;
        if from == to {
            return Ok(());
        }
        match (&node, tree.get(&to)) {
            (Node::File(_), Some(Node::Dir)) => return Err(ErrorKind::IsADirectory.into()),
            (Node::Dir, Some(Node::File(_))) => return Err(ErrorKind::NotADirectory.into()),
            (Node::Dir, _) if to.starts_with(&from) => return Err(ErrorKind::InvalidInput.into()),
            (Node::Dir, Some(Node::Dir)) if has_children(&tree, &to) => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        let moved: Vec<PathBuf> = tree.keys().filter(|path| path.starts_with(&from)).cloned().collect();
        for old in moved {
            if let (Some(node), Ok(rest)) = (tree.remove(&old), old.strip_prefix(&from)) {
                let new = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                tree.insert(new, node);
            }
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut tree = self.tree.lock();
        match tree.get(&path) {
            Some(Node::File(_)) => {
                tree.remove(&path);
                Ok(())
            }
            Some(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let path = normal(path);
        let mut tree = self.tree.lock();
        require_dir(&tree, &path)?;
        if path.as_os_str().is_empty() || has_children(&tree, &path) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        tree.remove(&path);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (normal(from), normal(to));
        let mut tree = self.tree.lock();
        let node = match tree.get(&from) {
            Some(Node::File(content)) => Node::File(Arc::clone(content)),
            Some(Node::Dir) => return Err(ErrorKind::PermissionDenied.into()),
            None => return Err(ErrorKind::NotFound.into()),
        };
        require_dir(&tree, &parent_and_name(&to)?.0)?;
        if tree.contains_key(&to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        tree.insert(to, node);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        require_dir(&self.tree.lock(), &normal(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let path = normal(path);
        let tree = self.tree.lock();
        require_dir(&tree, &path)?;
        let children = tree.keys().filter(|child| child.parent() == Some(&path));
        let mut names: Vec<String> =
            children.filter_map(|child| child.file_name()?.to_str().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        match self.tree.lock().get(&normal(path)) {
            Some(Node::Dir) => Ok(Metadata { len: 0, is_dir: true }),
            Some(Node::File(content)) => Ok(Metadata { len: content.read().len(), is_dir: false }),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.tree.lock().contains_key(&normal(path)))
    }

    fn lock_exclusive(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        let path = normal(path);
        {
            let mut tree = self.tree.lock();
            match tree.get(&path) {
                Some(Node::File(_)) => {}
                Some(Node::Dir) => return Err(ErrorKind::IsADirectory.into()),
                None => {
                    require_dir(&tree, &parent_and_name(&path)?.0)?;
                    tree.insert(path.clone(), Node::File(Arc::default()));
                }
            }
        }
        if !self.locks.lock().insert(path.clone()) {
            return Ok(None);
        }
        Ok(Some(Box::new(MemoryLock { path, locks: Arc::clone(&self.locks) })))
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

fn has_children(tree: &BTreeMap<PathBuf, Node>, path: &Path) -> bool {
    tree.keys().any(|child| child.starts_with(path) && child != path)
}

#[derive(Debug)]
struct MemoryFile {
    content: Arc<RwLock<Content>>,
    writes: bool,
}

impl MemoryFile {
    fn require_writes(&self) -> io::Result<()> {
        if self.writes { Ok(()) } else { Err(ErrorKind::PermissionDenied.into()) }
    }
}

impl File for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.content.read().read(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.require_writes()?;
        self.content.write().write(buf, offset);
        Ok(buf.len())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.content.read().len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.require_writes()?;
        self.content.write().set_len(len);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.require_writes()?;
        let mut content = self.content.write();
        if content.len() < len {
            content.set_len(len);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    fn advise(&self, _advice: Advice, _offset: u64, _len: u64) {}
}

#[derive(Debug)]
struct MemoryLock {
    path: PathBuf,
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl FileLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.locks.lock().remove(&self.path);
    }
}
