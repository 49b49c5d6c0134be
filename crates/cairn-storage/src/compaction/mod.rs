//! Compaction: which files to merge ([`leveled`], [`tiered`], [`time_window`]), for which keys ([`groups`]),
//! and the merge itself ([`rewrite`]).
//!
//! A strategy looks at a version and names a job; it knows nothing of how jobs are run. To add one: a variant
//! of [`Compaction`], a module with an implementation of [`Strategy`], and a line in [`STRATEGIES`].

pub(crate) mod groups;
pub(crate) mod leveled;
pub(crate) mod limiter;
pub(crate) mod rewrite;
mod run;
mod tiered;
mod time_window;

use std::sync::Arc;

use crate::options::{Compaction, Options};
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
    /// Every input.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<TableFile>> {
        self.inputs.iter().flat_map(|(_, files)| files)
    }

    /// Whether a row of an input may point to a blob file.
    pub(crate) fn uses_blob(&self, number: u64) -> bool {
        self.files().flat_map(|file| &file.meta().blobs).any(|one| one.number == number)
    }
}

/// What a strategy has to know besides the files.
#[derive(Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) options: &'a Options,
    /// Length of a window of time.
    pub(crate) window_micros: u64,
    /// The time, as files are stamped with it.
    pub(crate) now_micros: u64,
}

/// The situation for a part of the tree with this strategy.
pub(crate) fn situation(options: &Options, compaction: Compaction, now_micros: u64) -> Situation<'_> {
    let window_micros = match compaction {
        Compaction::TimeWindow(window) => window.as_micros() as u64,
        Compaction::Leveled | Compaction::Tiered => 0,
    };
    Situation { options, window_micros, now_micros }
}

impl Compaction {
    /// The strategy of the option.
    pub(crate) fn strategy(self) -> &'static dyn Strategy {
        match self {
            Compaction::Leveled => STRATEGIES[0],
            Compaction::Tiered => STRATEGIES[1],
            Compaction::TimeWindow(_) => STRATEGIES[2],
        }
    }
}

/// A way to choose what to compact next.
pub(crate) trait Strategy: Sync {
    /// Its permanent name.
    fn name(&self) -> &'static str;

    /// The most urgent job; `None` where the version is in shape.
    fn pick(&self, version: &Version, situation: &Situation<'_>) -> Option<Job>;

    /// A job that pays only when nobody writes: it gives back space, and the next is as good. Jobs end where
    /// little is hidden by what.
    fn pick_at_rest(&self, _version: &Version, _situation: &Situation<'_>) -> Option<Job> {
        None
    }

    /// Files that wait to be merged, for which writers are held back when they are many.
    fn waiting_files(&self, version: &Version, _situation: &Situation<'_>) -> usize {
        version.level(0).len()
    }
}

/// Every strategy; the first is the default.
pub(crate) const STRATEGIES: &[&dyn Strategy] =
    &[&leveled::Leveled, &tiered::Tiered, &time_window::TimeWindow];
