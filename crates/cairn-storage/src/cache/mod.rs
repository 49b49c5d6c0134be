//! The cache of the store: data blocks, index leaves and filters of all its files, under one bound.
//!
//! A piece lives in a [`Slot`] beside what points to it, so that a hit looks nothing up: it takes the
//! slot's lock shared, notes the use in a number of its own, and searches the piece in place. What the
//! cache itself holds is the order of eviction, by shard, kept by a [`policy::CachePolicy`].
//!
//! ```text
//! hit:  slot (shared lock, mark) ─▶ search
//! miss: load ─▶ shard lock: evict until it fits ─▶ slot (exclusive) ─▶ policy
//! ```
//! Guarantees:
//! - I1: the bytes held stay at or below the capacity less what is pinned (open files' fixed parts); a
//!   piece greater than a shard is not kept at all.
//! - I2: a hit allocates nothing and takes no exclusive lock.
//! - I3: which pieces are evicted depends on file numbers and pages, never on addresses: runs replay.
//!
//! Lock order: shard, slot. A slot is locked only for a search, never over I/O.

mod buffers;
mod lfu;
mod lru;
mod policy;
mod s3fifo;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};

use self::buffers::Buffers;
use self::policy::CachePolicy;
use crate::error::Result;
use crate::options::Eviction;

/// Bookkeeping charged for a piece besides its bytes.
const OVERHEAD: usize = 96;
/// Counters are spread over so many lines of memory.
const COUNTERS: usize = 16;
/// Part of the capacity that stays for evictable pieces however much is pinned: one in so many.
const UNPINNED_PART: usize = 8;
/// Part of the capacity that may wait as buffers for the next blocks, one in so many, and how much at most.
const BUFFERS_PART: usize = 32;
const BUFFERS_BYTES_MAX: usize = 4 << 20;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A data block.
    Block,
    /// The index of a partition.
    Leaf,
    /// The filter of a partition.
    Filter,
    /// Values of a blob file.
    Blob,
}

const PIECES: usize = 4;

/// The place of one piece, and the mark in which its uses are noted for the policy.
pub(crate) struct Slot<T> {
    held: RwLock<Option<T>>,
    mark: AtomicU32,
}

impl<T> Default for Slot<T> {
    fn default() -> Slot<T> {
        Slot { held: RwLock::new(None), mark: AtomicU32::new(0) }
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("mark", &self.mark).finish_non_exhaustive()
    }
}

impl<T: Clone> Slot<T> {
    /// What it holds; that is not a use.
    pub(crate) fn held(&self) -> Option<T> {
        self.held.read().clone()
    }
}

/// A slot as the policies see it.
pub(crate) trait Evictable {
    /// How it was used; the policy says what the number means.
    fn mark(&self) -> &AtomicU32;
    /// Lets the piece go; what it gives back can serve another one.
    fn clear(&self) -> Option<Arc<[u8]>>;
}

/// What slots hold.
pub(crate) trait Content {
    /// The memory of a piece that is let go, where another piece can use it.
    fn into_buffer(self) -> Option<Arc<[u8]>>
    where
        Self: Sized,
    {
        None
    }
}

impl Content for Arc<[u8]> {
    fn into_buffer(self) -> Option<Arc<[u8]>> {
        Some(self)
    }
}

impl<T: Content> Evictable for Slot<T> {
    fn mark(&self) -> &AtomicU32 {
        &self.mark
    }

    fn clear(&self) -> Option<Arc<[u8]>> {
        // Dropped after the lock is given back.
        let piece = self.held.write().take();
        piece.and_then(T::into_buffer)
    }
}

/// What holds slots: alive as long as they can be reached.
pub(crate) trait Shelf: Send + Sync {
    /// The slot of a number that was given to the cache with this shelf.
    fn slot(&self, at: u32) -> &dyn Evictable;
}

/// Where a piece is to be kept, for a miss.
pub(crate) struct Place {
    /// Holds the slot.
    pub(crate) shelf: Weak<dyn Shelf>,
    /// The slot's number there.
    pub(crate) at: u32,
    /// What it is.
    pub(crate) piece: Piece,
    /// Where it comes from.
    pub(crate) file: u64,
    /// Its first page there.
    pub(crate) page: u32,
}

/// A piece in a policy's order.
pub(crate) struct Entry {
    shelf: Weak<dyn Shelf>,
    at: u32,
    piece: Piece,
    charge: usize,
    /// Names the piece beyond its life: file and page, mixed.
    key: u64,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("piece", &self.piece).field("charge", &self.charge).finish()
    }
}

impl Entry {
    /// Reads and maybe changes the mark; `None` where the slot is gone.
    fn with_mark<R>(&self, change: impl FnOnce(&AtomicU32) -> R) -> Option<R> {
        let shelf = self.shelf.upgrade()?;
        Some(change(shelf.slot(self.at).mark()))
    }
}

#[derive(Debug)]
struct Shard {
    policy: Box<dyn CachePolicy>,
    bytes: [usize; PIECES],
}

impl Shard {
    fn total(&self) -> usize {
        self.bytes.iter().sum()
    }

    fn evict_to(&mut self, bytes_max: usize, buffers: &Buffers) -> u64 {
        let mut evicted = 0;
        while self.total() > bytes_max {
            let Some(entry) = self.policy.evict(bytes_max) else { return evicted };
            // The file may be closed: its pieces are gone already.
            if let Some(shelf) = entry.shelf.upgrade() {
                if let Some(buffer) = shelf.slot(entry.at).clear() {
                    buffers.give(buffer);
                }
                evicted += 1;
            }
            self.bytes[entry.piece as usize] -= entry.charge;
        }
        evicted
    }
}

/// What the cache holds, and counters since the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Lookups of data blocks that found them.
    pub hits: u64,
    /// Lookups of data blocks that did not.
    pub misses: u64,
    /// Lookups of index leaves and filters that found them.
    pub metadata_hits: u64,
    /// Lookups of index leaves and filters that did not.
    pub metadata_misses: u64,
    /// Pieces evicted to make room.
    pub evictions: u64,
    /// Reads of several neighbouring blocks at once, by scans.
    pub readaheads: u64,
    /// Bytes held now, of all kinds; those of files that were closed count until their turn comes.
    pub bytes: u64,
    /// Of these: index leaves.
    pub index_bytes: u64,
    /// Of these: filters.
    pub filter_bytes: u64,
    /// Of these: values from blob files.
    pub blob_bytes: u64,
    /// Bytes that open files hold for as long as they are open; they count against the capacity.
    pub pinned_bytes: u64,
    /// Bytes allowed, all together.
    pub capacity: u64,
}

/// Counters on a line of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counter {
    hits: AtomicU64,
    misses: AtomicU64,
    metadata_hits: AtomicU64,
    metadata_misses: AtomicU64,
}

/// The cache.
#[derive(Debug)]
pub(crate) struct BlockCache {
    eviction: Eviction,
    shards: Box<[Mutex<Shard>]>,
    buffers: Buffers,
    counters: [Counter; COUNTERS],
    evictions: AtomicU64,
    readaheads: AtomicU64,
    /// Counts misses: the clock of the policies that need one.
    now: AtomicU32,
    pinned: AtomicUsize,
    capacity: usize,
}

impl BlockCache {
    /// A cache of `capacity` bytes.
    pub(crate) fn new(capacity: usize, eviction: Eviction) -> BlockCache {
        let shards = 1 << (capacity >> 20).clamp(1, 64).ilog2();
        let shard =
            |_| Mutex::new(Shard { policy: policy::new(eviction, capacity / shards), bytes: [0; PIECES] });
        BlockCache {
            eviction,
            shards: (0..shards).map(shard).collect(),
            buffers: Buffers::new((capacity / BUFFERS_PART).min(BUFFERS_BYTES_MAX)),
            counters: Default::default(),
            evictions: AtomicU64::new(0),
            readaheads: AtomicU64::new(0),
            now: AtomicU32::new(1),
            pinned: AtomicUsize::new(0),
            capacity,
        }
    }

    /// What a shard may hold.
    fn shard_bytes(&self) -> usize {
        let pinned = self.pinned.load(Ordering::Relaxed);
        let fixed = pinned + self.buffers.bytes_max();
        let free = self.capacity.saturating_sub(fixed).max(self.capacity / UNPINNED_PART);
        free / self.shards.len()
    }

    /// Memory for a block of `len` bytes: at least so long, of any content, with one owner.
    pub(crate) fn buffer(&self, len: usize) -> Arc<[u8]> {
        self.buffers.take(len)
    }

    /// Runs `search` on the piece of a slot; `load` gives it, with its bytes, if it is not there, and
    /// `place` says then where to keep it.
    #[inline]
    pub(crate) fn with<T: Clone, R>(
        &self,
        slot: &Slot<T>,
        (piece, spread): (Piece, usize),
        place: impl FnOnce() -> Place,
        load: impl FnOnce() -> Result<(T, usize)>,
        search: impl FnOnce(&T) -> R,
    ) -> Result<R> {
        let counter = &self.counters[spread % COUNTERS];
        let data = matches!(piece, Piece::Block | Piece::Blob);
        {
            let held = slot.held.read();
            if let Some(piece) = &*held {
                let mark = slot.mark.load(Ordering::Relaxed);
                let touched = self.eviction.touched(mark, &self.now);
                if mark != touched {
                    slot.mark.store(touched, Ordering::Relaxed);
                }
                let hits = if data { &counter.hits } else { &counter.metadata_hits };
                hits.fetch_add(1, Ordering::Relaxed);
                return Ok(search(piece));
            }
        }
        let misses = if data { &counter.misses } else { &counter.metadata_misses };
        misses.fetch_add(1, Ordering::Relaxed);
        let (found, bytes) = load()?;
        self.insert(slot, &place(), &found, bytes);
        Ok(search(&found))
    }

    /// Whether a slot holds a piece that was used since it was loaded.
    pub(crate) fn is_used<T>(&self, slot: &Slot<T>) -> bool {
        self.eviction.is_used(slot.mark.load(Ordering::Relaxed)) && slot.held.read().is_some()
    }

    /// Keeps a piece as if it had been used: it takes the place of others that were. Nobody asked for it, so it
    /// counts neither as found nor as missed.
    pub(crate) fn warm<T: Clone>(
        &self,
        slot: &Slot<T>,
        place: &Place,
        load: impl FnOnce() -> Result<(T, usize)>,
    ) -> Result<()> {
        if slot.held.read().is_some() {
            return Ok(());
        }
        let (found, bytes) = load()?;
        self.insert(slot, place, &found, bytes);
        let mark = slot.mark.load(Ordering::Relaxed);
        slot.mark.store(self.eviction.touched(mark, &self.now), Ordering::Relaxed);
        Ok(())
    }

    /// Keeps a piece, evicting others.
    #[cold]
    fn insert<T: Clone>(&self, slot: &Slot<T>, place: &Place, found: &T, bytes: usize) {
        let charge = bytes + OVERHEAD;
        let shard_bytes = self.shard_bytes();
        if charge > shard_bytes {
            return;
        }
        let key = (place.file << 22 ^ u64::from(place.page) << 2 ^ place.piece as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut shard = self.shards[(key >> 40) as usize & (self.shards.len() - 1)].lock();
        let evicted = shard.evict_to(shard_bytes - charge, &self.buffers);
        self.evictions.fetch_add(evicted, Ordering::Relaxed);
        let mut held = slot.held.write();
        if held.is_none() {
            *held = Some(found.clone());
            let now = self.now.fetch_add(1, Ordering::Relaxed);
            slot.mark.store(self.eviction.first_mark(now), Ordering::Relaxed);
            drop(held);
            shard.bytes[place.piece as usize] += charge;
            let (shelf, at, piece) = (Weak::clone(&place.shelf), place.at, place.piece);
            shard.policy.insert(Entry { shelf, at, piece, charge, key });
        }
    }

    /// Counts a block that a scan got through its buffer, if the file was read for it.
    pub(crate) fn note_readahead(&self, read: bool) {
        self.readaheads.fetch_add(u64::from(read), Ordering::Relaxed);
    }

    /// Counters and size.
    pub(crate) fn stats(&self) -> CacheStats {
        let sum = |which: fn(&Counter) -> &AtomicU64| {
            self.counters.iter().map(|counter| which(counter).load(Ordering::Relaxed)).sum()
        };
        let mut bytes = [0; PIECES];
        for shard in &self.shards {
            let shard = shard.lock();
            bytes.iter_mut().zip(shard.bytes).for_each(|(sum, one)| *sum += one as u64);
        }
        CacheStats {
            hits: sum(|counter| &counter.hits),
            misses: sum(|counter| &counter.misses),
            metadata_hits: sum(|counter| &counter.metadata_hits),
            metadata_misses: sum(|counter| &counter.metadata_misses),
            evictions: self.evictions.load(Ordering::Relaxed),
            readaheads: self.readaheads.load(Ordering::Relaxed),
            bytes: bytes.iter().sum(),
            index_bytes: bytes[Piece::Leaf as usize],
            filter_bytes: bytes[Piece::Filter as usize],
            blob_bytes: bytes[Piece::Blob as usize],
            pinned_bytes: self.pinned.load(Ordering::Relaxed) as u64,
            capacity: self.capacity as u64,
        }
    }
}

/// Memory that is held as long as this lives, and counts against the cache's capacity.
#[derive(Debug)]
pub(crate) struct Pinned {
    cache: Arc<BlockCache>,
    bytes: usize,
}

impl Pinned {
    /// Charges `bytes` to a cache.
    pub(crate) fn new(cache: &Arc<BlockCache>, bytes: usize) -> Pinned {
        cache.pinned.fetch_add(bytes, Ordering::Relaxed);
        Pinned { cache: Arc::clone(cache), bytes }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.cache.pinned.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
