//! Files in memory, for databases that need not outlive the process and for tests.
//!
//! Syncs do nothing; there is no power cut to survive. For that see [`crate::sim`].

mod content;
mod files;
mod paths;

pub(crate) use content::Content;
pub(crate) use files::MemoryFileSystem;
pub(crate) use paths::{normal, parent_and_name};
