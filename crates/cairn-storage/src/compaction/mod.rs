//! Compaction: which files to merge ([`leveled`]), and the merge itself ([`rewrite`]).
//!
//! A strategy looks at a version and names a job; it knows nothing of how jobs are run. To add one:
//! a module with an implementation of [`Strategy`], and a line in [`STRATEGIES`].

pub(crate) mod leveled;
pub(crate) mod rewrite;
mod run;

use std::sync::Arc;

use crate::options::Options;
use crate::version::{TableFile, Version};

/// Files to merge into one level.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Files by level, newer levels first; at most one level is given as the output level.
    pub(crate) inputs: Vec<(usize, Vec<Arc<TableFile>>)>,
    /// Where the result goes.
    pub(crate) output_level: usize,
    /// The files can be moved as they are: one input level, nothing to merge with.
    pub(crate) is_move: bool,
}

impl Job {
    /// Whether a row of an input may point to a blob file.
    pub(crate) fn uses_blob(&self, number: u64) -> bool {
        let files = self.inputs.iter().flat_map(|(_, files)| files);
        files.flat_map(|file| &file.meta().blobs).any(|one| one.number == number)
    }
}

/// A way to choose what to compact next.
pub(crate) trait Strategy: Sync {
    /// Its permanent name.
    fn name(&self) -> &'static str;

    /// The most urgent job; `None` where the version is in shape.
    fn pick(&self, version: &Version, options: &Options) -> Option<Job>;
}

/// Every strategy; the first is the default.
pub(crate) const STRATEGIES: &[&dyn Strategy] = &[&leveled::Leveled];
