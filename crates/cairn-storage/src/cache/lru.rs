//! Least recently used: what was not used for the longest time goes.
//!
//! The mark is the number of misses at the time of the last use. The heap orders entries by the mark that was
//! read last; an entry whose mark has moved on is put back with it, so the one evicted is the oldest truly.
//! After 2^32 misses the clock starts again, and the order is wrong once.

use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;

use super::Entry;
use super::policy::CachePolicy;

#[derive(Debug)]
struct Ranked {
    mark: u32,
    number: u64,
    entry: Entry,
}

impl Ranked {
    fn rank(&self) -> std::cmp::Reverse<(u32, u64)> {
        std::cmp::Reverse((self.mark, self.number))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.rank() == other.rank()
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
        self.rank().cmp(&other.rank())
    }
}

#[derive(Debug, Default)]
pub(super) struct Lru {
    heap: BinaryHeap<Ranked>,
    inserted: u64,
}

impl CachePolicy for Lru {
    fn insert(&mut self, entry: Entry) {
        let mark = entry.with_mark(|mark| mark.load(Ordering::Relaxed)).unwrap_or(0);
        self.inserted += 1;
        self.heap.push(Ranked { mark, number: self.inserted, entry });
    }

    fn evict(&mut self, _bytes_max: usize) -> Option<Entry> {
        loop {
            let mut oldest = self.heap.pop()?;
            match oldest.entry.with_mark(|mark| mark.load(Ordering::Relaxed)) {
                Some(mark) if mark > oldest.mark => {
                    oldest.mark = mark;
                    self.heap.push(oldest);
                }
                _ => return Some(oldest.entry),
            }
        }
    }
}
