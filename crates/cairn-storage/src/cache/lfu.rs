//! Least frequently used, with age: what was used least goes, and old fame fades (LFU with dynamic aging,
//! Arlitt et al. 2000).
//!
//! The mark counts uses. An entry's rank is the age of the cache when it was loaded and its uses since; the
//! age is the rank of the last entry evicted. So what was used often long ago does not stay forever.

use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;

use super::Entry;
use super::policy::CachePolicy;

#[derive(Debug)]
struct Ranked {
    rank: u64,
    number: u64,
    /// The mark that is in the rank already.
    counted: u32,
    entry: Entry,
}

impl Ranked {
    fn order(&self) -> std::cmp::Reverse<(u64, u64)> {
        std::cmp::Reverse((self.rank, self.number))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

#[derive(Debug, Default)]
pub(super) struct Lfu {
    heap: BinaryHeap<Ranked>,
    inserted: u64,
    age: u64,
}

impl CachePolicy for Lfu {
    fn insert(&mut self, entry: Entry) {
        self.inserted += 1;
        self.heap.push(Ranked { rank: self.age + 1, number: self.inserted, counted: 0, entry });
    }

    fn evict(&mut self, _bytes_max: usize) -> Option<Entry> {
        loop {
            let mut least = self.heap.pop()?;
            match least.entry.with_mark(|mark| mark.load(Ordering::Relaxed)) {
                Some(mark) if mark > least.counted => {
                    least.rank += u64::from(mark - least.counted);
                    least.counted = mark;
                    self.heap.push(least);
                }
                _ => {
                    self.age = self.age.max(least.rank);
                    return Some(least.entry);
                }
            }
        }
    }
}
