//! New files take over what the cache holds of the files that they replace.
//!
//! A flush or compaction writes keys anew that are being read, to blocks that no cache has: without this, readers would
//! load each of them once more. So before readers see a new file, those of its blocks are loaded whose keys lie, for the
//! greater part, in blocks that are in the cache and were used there. What is read by nobody is not loaded, and a scan's
//! blocks, used once, are not either.
//!
//! Guarantees: the cache's bound holds; an error here concerns nobody, as a reader would meet it again; where the cache
//! holds nothing that was used, the new files are not read.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::core::Core;
use crate::error::Result;
use crate::sst::reader::{Stream, Table};
use crate::version::{TableFile, Version};

/// How much is read of a new file at once.
const WINDOW_BYTES: usize = 128 << 10;

/// Goes through the blocks of an old file, in key order.
struct Walk {
    table: Arc<Table>,
    smallest: Vec<u8>,
    partition: usize,
    at: usize,
}

/// Blocks, and how many of them are in the cache and were used.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    used: usize,
    all: usize,
}

impl Walk {
    /// From the block on that may hold `key`.
    fn new(table: Arc<Table>, key: &[u8]) -> Walk {
        let partition = table.top().lower_bound(key);
        let leaf = (partition < table.top().len()).then(|| table.held_leaf(partition)).flatten();
        let at = leaf.map_or(0, |leaf| leaf.index().lower_bound(key));
        let smallest = table.properties().smallest.to_vec();
        Walk { table, smallest, partition, at }
    }

    /// Counts up to the block that may hold `end`, with it; the next call begins with it too.
    fn count_to(&mut self, end: &[u8], count: &mut Count) {
        // Of many files most lie elsewhere.
        if &self.smallest[..] > end || self.partition >= self.table.top().len() {
            return;
        }
        let last = self.table.top().lower_bound(end);
        while self.partition < self.table.top().len() && self.partition <= last {
            let Some(leaf) = self.table.held_leaf(self.partition) else {
                // Blocks are held by their leaf.
                count.all += 1;
                if self.partition == last {
                    return;
                }
                (self.partition, self.at) = (self.partition + 1, 0);
                continue;
            };
            let blocks = leaf.index().len();
            let to = if self.partition == last { leaf.index().lower_bound(end) } else { blocks };
            for at in self.at..(to + 1).min(blocks) {
                count.all += 1;
                count.used += usize::from(self.table.is_block_used(&leaf, at));
            }
            if self.partition == last {
                self.at = self.at.max(to);
                return;
            }
            (self.partition, self.at) = (self.partition + 1, 0);
        }
    }

    fn is_any_used(&self) -> bool {
        (0..self.table.top().len())
            .filter_map(|partition| self.table.held_leaf(partition))
            .any(|leaf| (0..leaf.index().len()).any(|at| self.table.is_block_used(&leaf, at)))
    }
}

impl Core {
    /// Loads what readers of the tree's newest version are going to want of its new files. They do not see it yet.
    pub(crate) fn warm_new_files(&self) {
        let (old, new) = (self.sources().version.clone(), self.tree.version());
        if !Arc::ptr_eq(&old, &new) {
            let _ = warm(&old, &new, &|| self.tree.stopping().load(Ordering::Relaxed));
        }
    }
}

fn warm(old: &Version, new: &Version, stop: &dyn Fn() -> bool) -> Result<()> {
    let numbers =
        |version: &Version| -> HashSet<u64> { version.files().map(|(_, file)| file.meta().number).collect() };
    let (before, after) = (numbers(old), numbers(new));
    let replaced: Vec<_> = old.files().filter(|(_, file)| !after.contains(&file.meta().number)).collect();
    // A flush replaces no file: its keys are read where they lay before.
    let sources = if replaced.is_empty() { old.files().collect() } else { replaced };
    let tables: Vec<Arc<Table>> = sources.into_iter().filter_map(|(_, file)| file.open_table()).collect();
    if !tables.iter().any(|table| Walk::new(Arc::clone(table), b"").is_any_used()) {
        return Ok(());
    }
    for (_, file) in new.files().filter(|(_, file)| !before.contains(&file.meta().number)) {
        warm_file(file, &tables, stop)?;
    }
    Ok(())
}

fn warm_file(file: &Arc<TableFile>, tables: &[Arc<Table>], stop: &dyn Fn() -> bool) -> Result<()> {
    let facts = &file.meta().properties;
    let overlapping = tables.iter().filter(|table| {
        let other = table.properties();
        other.smallest <= facts.largest && facts.smallest <= other.largest
    });
    let mut walks: Vec<Walk> =
        overlapping.map(|table| Walk::new(Arc::clone(table), &facts.smallest)).collect();
    let table = file.table()?;
    let mut stream = Stream::new(WINDOW_BYTES);
    for partition in 0..table.top().len() {
        if stop() {
            return Ok(());
        }
        let end = table.top().separator(partition);
        let mut leaf = None;
        let index = table.read_leaf(partition)?;
        for at in 0..index.index().len() {
            let mut count = Count::default();
            let separator = index.index().separator(at);
            walks.iter_mut().for_each(|walk| walk.count_to(separator.as_slice().min(&end), &mut count));
            if 2 * count.used > count.all {
                let leaf = match &mut leaf {
                    Some(leaf) => leaf,
                    none => {
                        table.warm_filter(partition)?;
                        none.insert(table.leaf(partition)?)
                    }
                };
                table.warm_block(leaf, at, &mut stream)?;
            }
        }
    }
    Ok(())
}
