//! Time-window compaction: what was written in one window of time lies together, and windows never mix. For
//! data that is written once and deleted by age: a window whose keys are all deleted falls in whole files, and
//! old windows are not rewritten.
//!
//! The runs are files of level 0, newest first. Those of a window that has passed are merged into one; those of
//! the present window when enough of similar size are there. The oldest windows go down to the levels below,
//! which are leveled, when there are more than [`WINDOWS_MAX`] files: a lookup looks into each.

use std::sync::Arc;

use super::leveled::{Leveled, overlapping};
use super::{Job, Situation, Strategy};
use crate::version::{TableFile, Version};

/// Files in level 0 from which the oldest go down.
const WINDOWS_MAX: usize = 32;

/// One run for each window of time.
#[derive(Debug)]
pub(crate) struct TimeWindow;

/// The runs of files of the same window, newest first.
fn windows<'a>(view: &'a Version, situation: &Situation<'_>) -> Vec<(u64, &'a [Arc<TableFile>])> {
    let of = |file: &Arc<TableFile>| file.meta().written_micros / situation.window_micros.max(1);
    view.level(0).chunk_by(|a, b| of(a) == of(b)).map(|files| (of(&files[0]), files)).collect()
}

fn merge(files: &[Arc<TableFile>]) -> Job {
    Job { inputs: vec![(0, files.to_vec())], output_level: 0, is_move: false }
}

/// The newest files of the window that are of similar size, if they are enough.
fn similar(files: &[Arc<TableFile>], enough: usize) -> Option<&[Arc<TableFile>]> {
    let mut sum = files.first()?.meta().file_len;
    let mut taken = 1;
    while let Some(file) = files.get(taken).filter(|file| file.meta().file_len <= 2 * sum) {
        sum += file.meta().file_len;
        taken += 1;
    }
    (taken >= enough.max(2)).then(|| &files[..taken])
}

impl Strategy for TimeWindow {
    fn name(&self) -> &'static str {
        "time window"
    }

    fn pick(&self, view: &Version, situation: &Situation<'_>) -> Option<Job> {
        let present = situation.now_micros / situation.window_micros.max(1);
        for (window, files) in windows(view, situation) {
            if window < present && files.len() > 1 {
                return Some(merge(files));
            }
            // Writers may wait for as many: then there has to be a job.
            let all = (files.len() > situation.options.l0_compaction_files).then_some(files);
            if let Some(files) = similar(files, situation.options.l0_compaction_files).or(all) {
                return Some(merge(files));
            }
        }
        if view.level(0).len() > WINDOWS_MAX
            && let Some(oldest) = view.level(0).last()
        {
            let oldest = vec![Arc::clone(oldest)];
            let older = overlapping(view, 1, &oldest);
            return Some(Job { inputs: vec![(0, oldest), (1, older)], output_level: 1, is_move: false });
        }
        Leveled::pick_below(view, situation.options)
    }

    /// Files that are one run with another do not count: only what is still to be merged.
    fn waiting_files(&self, view: &Version, situation: &Situation<'_>) -> usize {
        view.level(0).len() - windows(view, situation).len()
    }
}
