//! How the cache chooses what goes: the trait, and the registry of its implementations.
//!
//! A policy keeps the entries of one shard, under the shard's lock. It never sees a hit: hits are noted in
//! the slot's mark, without the shard's lock, by [`Eviction::touched`]; the policy reads the marks when it
//! has to choose. To add one: a variant of [`Eviction`], a module, and a line in each function here.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};

use super::lfu::Lfu;
use super::lru::Lru;
use super::s3fifo::{self, S3Fifo};
use super::{Entry, Piece};
use crate::options::Eviction;

/// The order of eviction of one shard.
pub(super) trait CachePolicy: Send + Debug {
    /// Takes an entry that was just loaded.
    fn insert(&mut self, entry: Entry);

    /// Takes out the entry that is to go; `None` where there is none. `bytes_max` is what the shard may hold.
    fn evict(&mut self, bytes_max: usize) -> Option<Entry>;
}

/// A policy for a shard of about `bytes`.
pub(super) fn new(eviction: Eviction, bytes: usize) -> Box<dyn CachePolicy> {
    match eviction {
        Eviction::S3Fifo => Box::new(S3Fifo::new(bytes)),
        Eviction::Lru => Box::new(Lru::default()),
        Eviction::Lfu => Box::new(Lfu::default()),
    }
}

impl Eviction {
    /// The mark after a use; `now` counts misses.
    #[inline]
    pub(super) fn touched(self, mark: u32, now: &AtomicU32) -> u32 {
        match self {
            Eviction::S3Fifo => (mark + 1).min(s3fifo::MARK_MAX),
            Eviction::Lru => now.load(Ordering::Relaxed),
            Eviction::Lfu => mark.saturating_add(1),
        }
    }

    /// Whether a piece with this mark was used since it was loaded, as far as the policy knows.
    pub(super) fn is_used(self, mark: u32) -> bool {
        match self {
            Eviction::S3Fifo | Eviction::Lfu => mark > 0,
            Eviction::Lru => true,
        }
    }

    /// The mark of a piece just loaded.
    pub(super) fn first_mark(self, now: u32) -> u32 {
        match self {
            Eviction::S3Fifo | Eviction::Lfu => 0,
            Eviction::Lru => now,
        }
    }
}

/// Whether the piece leads to others: without it none of them is found.
pub(super) fn is_metadata(entry: &Entry) -> bool {
    matches!(entry.piece, Piece::Leaf | Piece::Filter)
}
