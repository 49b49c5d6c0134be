//! Tiered compaction: files of similar age come together, and each byte is rewritten seldom.
//!
//! Level 0 and each level below it are runs, newest first. When level 0 has enough files, they are merged with
//! the runs below that are no greater than what is merged already, and the result lies directly above the
//! first run that is greater. So a run is rewritten when as much has come after it: about log2 of the data over
//! a memtable times, against the level ratio times the levels of leveled compaction. What it costs: up to
//! seven runs to look into, and while the greatest is rewritten twice its space.

use std::sync::Arc;

use super::{Job, Situation, Strategy};
use crate::manifest::format::LEVELS;
use crate::version::{TableFile, Version};

/// Few, big rewrites.
#[derive(Debug)]
pub(crate) struct Tiered;

fn bytes(files: &[Arc<TableFile>]) -> u64 {
    files.iter().map(|file| file.meta().file_len).sum()
}

impl Strategy for Tiered {
    fn name(&self) -> &'static str {
        "tiered"
    }

    fn pick(&self, view: &Version, situation: &Situation<'_>) -> Option<Job> {
        if view.level(0).len() < situation.options.l0_compaction_files {
            return None;
        }
        let mut inputs = vec![(0, view.level(0).to_vec())];
        let mut merged = bytes(view.level(0));
        // The runs above this level are all taken.
        let mut output_level = LEVELS - 1;
        for level in 1..LEVELS {
            let run = view.level(level);
            if run.is_empty() {
                continue;
            }
            // Directly below level 0 there is no room above the run.
            let must = level == 1;
            if !must && bytes(run) > merged {
                output_level = level - 1;
                break;
            }
            merged += bytes(run);
            inputs.push((level, run.to_vec()));
        }
        Some(Job { inputs, output_level, is_move: false })
    }
}
