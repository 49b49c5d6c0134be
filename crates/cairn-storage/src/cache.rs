//! The block cache: uncompressed data blocks, shared by all files of a store.
//!
//! Sharded by a hash of (file number, page); each shard is a map and a clock (second chance): a hit
//! sets a bit, the hand evicts the first block without it. A hit takes one uncontended lock, one
//! map lookup and one reference count, and allocates nothing.
//!
//! Guarantees: the bytes held stay at or below the capacity (I1), but for a single block greater than
//! a shard, which is not kept at all. Locks are leaves: nothing is called under them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_env::{Env, OpenMode};
use parking_lot::Mutex;

use crate::sst::block::Block;

/// Bookkeeping charged for a block besides its bytes.
const OVERHEAD: usize = 160;

type Key = (u64, u32);

/// Mixes the two numbers of a key; they are not chosen by an adversary.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

#[derive(Debug)]
struct Slot {
    key: Key,
    block: Block,
    used: bool,
}

#[derive(Debug, Default)]
struct Shard {
    map: HashMap<Key, u32, BuildHasherDefault<Mixer>>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    hand: usize,
    bytes: usize,
}

impl Shard {
    fn evict_to(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max && !self.map.is_empty() {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let place = &mut self.slots[self.hand];
            match place {
                Some(slot) if slot.used => slot.used = false,
                Some(slot) => {
                    self.bytes -= slot.block.bytes() + OVERHEAD;
                    self.map.remove(&slot.key);
                    *place = None;
                    self.free.push(self.hand as u32);
                }
                None => {}
            }
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
    /// Bytes held now.
    pub bytes: u64,
    /// Bytes allowed.
    pub capacity: u64,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct BlockCache {
    shards: Box<[Counted]>,
    shard_bytes: usize,
}

/// A shard with its counters, on lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counted {
    shard: Mutex<Shard>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl BlockCache {
    /// A cache of `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> BlockCache {
        let shards = (capacity >> 20).clamp(1, 64).next_power_of_two();
        BlockCache {
            shards: (0..shards).map(|_| Counted::default()).collect(),
            shard_bytes: capacity / shards,
        }
    }

    fn shard(&self, key: Key) -> &Counted {
        let mut mixer = Mixer::default();
        mixer.write_u32(key.1);
        mixer.write_u64(key.0);
        // The map uses the low bits of the same numbers in another order; these are high ones.
        &self.shards[(mixer.0 >> 40) as usize & (self.shards.len() - 1)]
    }

    /// The block at `page` of `file`.
    pub(crate) fn get(&self, file: u64, page: u32) -> Option<Block> {
        let counted = self.shard((file, page));
        let mut guard = counted.shard.lock();
        let shard = &mut *guard;
        let found = match shard.map.get(&(file, page)) {
            Some(&place) => shard.slots[place as usize].as_mut().map(|slot| {
                slot.used = true;
                slot.block.clone()
            }),
            None => None,
        };
        // Counted under the lock, so plain additions suffice.
        let counter = if found.is_some() { &counted.hits } else { &counted.misses };
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        found
    }

    /// Keeps a block, evicting others.
    pub(crate) fn insert(&self, file: u64, page: u32, block: Block) {
        let charge = block.bytes() + OVERHEAD;
        if charge > self.shard_bytes {
            return;
        }
        let mut guard = self.shard((file, page)).shard.lock();
        let shard = &mut *guard;
        if shard.map.contains_key(&(file, page)) {
            return;
        }
        shard.evict_to(self.shard_bytes - charge);
        let slot = Some(Slot { key: (file, page), block, used: false });
        let place = match shard.free.pop() {
            Some(place) => {
                shard.slots[place as usize] = slot;
                place
            }
            None => {
                shard.slots.push(slot);
                (shard.slots.len() - 1) as u32
            }
        };
        shard.map.insert((file, page), place);
        shard.bytes += charge;
    }

    /// Counters and size.
    pub(crate) fn stats(&self) -> CacheStats {
        let mut stats =
            CacheStats { capacity: (self.shard_bytes * self.shards.len()) as u64, ..CacheStats::default() };
        for counted in &self.shards {
            stats.bytes += counted.shard.lock().bytes as u64;
            stats.hits += counted.hits.load(Ordering::Relaxed);
            stats.misses += counted.misses.load(Ordering::Relaxed);
        }
        stats
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
    use super::*;
    use crate::key::Kind;
    use crate::sst::block::BlockBuilder;
    use bytes::Bytes;

    fn block(value: usize) -> Block {
        let mut builder = BlockBuilder::default();
        builder.add(b"k", 1, Kind::Put, &vec![1; value]);
        let mut out = Vec::new();
        builder.encode(1, &mut out);
        Block::parse(Bytes::from(out)).expect("a block just built is sound")
    }

    #[test]
    fn stays_within_its_bytes_and_keeps_what_is_used() {
        let cache = BlockCache::new(1 << 20);
        for page in 0..5_000 {
            cache.insert(7, page, block(1_000));
            assert!(cache.get(7, 0).is_some(), "evicted although used all the time");
            assert!(cache.stats().bytes <= 1 << 20);
        }
        assert!(cache.get(8, 0).is_none());
        assert!(cache.stats().bytes > 1 << 19);
        cache.insert(9, 1, block(2 << 20));
        assert!(cache.get(9, 1).is_none());
    }
}
