//! Paths of file systems that are not the operating system's: resolved by their text alone.

use std::io;
use std::path::{Component, Path, PathBuf};

/// The path without `.`, `..` and the leading root: relative paths count from the root.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// A normal path's directory and last name.
///
/// # Errors
/// `InvalidInput` for the root and for names that are not UTF-8.
pub(crate) fn parent_and_name(path: &Path) -> io::Result<(PathBuf, String)> {
    let name = path.file_name().and_then(|name| name.to_str());
    match (path.parent(), name) {
        (Some(parent), Some(name)) => Ok((parent.to_owned(), name.to_owned())),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file")),
    }
}
