//! The block cache: uncompressed data blocks, shared by all files of a store.
//!
//! A block lives in a [`Slot`] beside its index entry, so that a hit looks nothing up: it locks the
//! slot, sets a bit and searches the block in place. What the cache itself holds is the order of
//! eviction: sharded queues of slots, first in first out with a second chance for those whose bit is set.
//!
//! Guarantees:
//! - I1: the bytes held stay at or below the capacity; a block greater than a shard is not kept at all.
//! - I2: a hit allocates nothing and takes no lock but the slot's.
//! - I3: which blocks are evicted depends on file numbers and pages, never on addresses: runs replay.
//!
//! Lock order: shard, slot. A slot is locked only for a search.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use cairn_env::{Env, OpenMode};
use parking_lot::Mutex;

use crate::error::Result;

/// Bookkeeping charged for a block besides its bytes.
const OVERHEAD: usize = 192;
/// Counters are spread over so many lines of memory.
const COUNTERS: usize = 16;

/// The place of one block.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    block: Mutex<Option<Arc<[u8]>>>,
    used: AtomicBool,
}

/// Places for `n` blocks.
pub(crate) fn slots(n: usize) -> Arc<[Slot]> {
    (0..n).map(|_| Slot::default()).collect()
}

/// A slot in the queue.
#[derive(Debug)]
struct Entry {
    slots: Weak<[Slot]>,
    at: u32,
    charge: usize,
}

#[derive(Debug, Default)]
struct Shard {
    queue: VecDeque<Entry>,
    bytes: usize,
}

impl Shard {
    fn evict_to(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some(entry) = self.queue.pop_front() else { return };
            // The file may be closed: its blocks are gone already.
            if let Some(slots) = entry.slots.upgrade() {
                let slot = &slots[entry.at as usize];
                if slot.used.swap(false, Ordering::Relaxed) {
                    self.queue.push_back(entry);
                    continue;
                }
                *slot.block.lock() = None;
            }
            self.bytes -= entry.charge;
        }
    }
}

/// Counters of the cache since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Lookups that found the block.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Bytes held now; blocks of files that were closed count until their turn comes.
    pub bytes: u64,
    /// Bytes allowed.
    pub capacity: u64,
}

/// Counters on a line of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct BlockCache {
    shards: Box<[Mutex<Shard>]>,
    counters: [Counter; COUNTERS],
    shard_bytes: usize,
}

impl BlockCache {
    /// A cache of `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> BlockCache {
        let shards = 1 << (capacity >> 20).clamp(1, 64).ilog2();
        BlockCache {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            counters: Default::default(),
            shard_bytes: capacity / shards,
        }
    }

    /// Runs `search` on the block of a slot of file `file`; `load` gives it, with its first page, if it is
    /// not there.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        file: u64,
        (slots, at): (&Arc<[Slot]>, usize),
        load: impl FnOnce() -> Result<(u32, Arc<[u8]>)>,
        search: impl FnOnce(&Arc<[u8]>) -> R,
    ) -> Result<R> {
        let slot = &slots[at];
        let counter = &self.counters[at % COUNTERS];
        {
            let held = slot.block.lock();
            if let Some(block) = &*held {
                if !slot.used.load(Ordering::Relaxed) {
                    slot.used.store(true, Ordering::Relaxed);
                }
                counter.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(search(block));
            }
        }
        counter.misses.fetch_add(1, Ordering::Relaxed);
        let (page, block) = load()?;
        self.insert((file, page), (slots, at), &block);
        Ok(search(&block))
    }

    /// Keeps a block, evicting others.
    #[cold]
    fn insert(&self, (file, page): (u64, u32), (slots, at): (&Arc<[Slot]>, usize), block: &Arc<[u8]>) {
        let charge = block.len() + OVERHEAD;
        if charge > self.shard_bytes {
            return;
        }
        let mixed = (file << 20 ^ u64::from(page)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut shard = self.shards[(mixed >> 40) as usize & (self.shards.len() - 1)].lock();
        shard.evict_to(self.shard_bytes - charge);
        let mut place = slots[at].block.lock();
        if place.is_none() {
            *place = Some(Arc::clone(block));
            shard.bytes += charge;
            shard.queue.push_back(Entry { slots: Arc::downgrade(slots), at: at as u32, charge });
        }
    }

    /// Counters and size.
    pub(crate) fn stats(&self) -> CacheStats {
        CacheStats {
            hits: self.counters.iter().map(|counter| counter.hits.load(Ordering::Relaxed)).sum(),
            misses: self.counters.iter().map(|counter| counter.misses.load(Ordering::Relaxed)).sum(),
            bytes: self.shards.iter().map(|shard| shard.lock().bytes as u64).sum(),
            capacity: (self.shard_bytes * self.shards.len()) as u64,
        }
    }
}

/// The default capacity: an eighth of the memory (of the machine, or of the control group if that is
/// less), at most 256 MiB; 64 MiB where the memory is not known.
pub(crate) fn default_capacity(env: &Env) -> usize {
    const MAX: u64 = 256 << 20;
    let machine = read_number(env, "/proc/meminfo", "MemTotal:").map(|kib| kib * 1024);
    let group = read_number(env, "/sys/fs/cgroup/memory.max", "");
    match machine.into_iter().chain(group).min() {
        Some(memory) => (memory / 8).min(MAX) as usize,
        None => 64 << 20,
    }
}

/// The number behind `label` in a small text file of the system.
fn read_number(env: &Env, path: &str, label: &str) -> Option<u64> {
    let file = env.files().open(Path::new(path), OpenMode::Read).ok()?;
    let mut text = [0; 256];
    let len = file.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..len]).ok()?;
    text[text.find(label)? + label.len()..].split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn block(len: usize) -> Arc<[u8]> {
        vec![1; len].into()
    }

    #[test]
    fn stays_within_its_bytes_and_keeps_what_is_used() {
        let cache = BlockCache::new(1 << 20);
        let places = slots(5_000);
        let touch = |at: usize, len: usize| {
            let mut loaded = false;
            let load = || {
                loaded = true;
                Ok((at as u32, block(len)))
            };
            cache.with(7, (&places, at), load, |block| assert_eq!(block[0], 1)).unwrap();
            loaded
        };
        assert!(touch(0, 1_000));
        for at in 1..5_000 {
            assert!(touch(at, 1_000));
            assert!(!touch(0, 1_000), "evicted although used all the time");
            assert!(cache.stats().bytes <= 1 << 20);
        }
        assert!(touch(1, 1_000), "the oldest unused is gone");
        let kept = places.iter().filter(|slot| slot.block.lock().is_some()).count();
        assert!(kept > 500 && kept * (1_000 + OVERHEAD) <= 1 << 20, "{kept} blocks are kept");
        assert!(touch(2, 2 << 20) && touch(2, 2 << 20), "too big to be kept");
    }

    #[test]
    fn blocks_of_closed_files_make_room() {
        let cache = BlockCache::new(1 << 20);
        for file in 0..100 {
            let places = slots(20);
            for at in 0..20 {
                cache.with(file, (&places, at), || Ok((at as u32, block(5_000))), |_| ()).unwrap();
            }
        }
        assert!(cache.stats().bytes <= 1 << 20);
    }
}
