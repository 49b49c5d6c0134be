//! S3-FIFO: three queues, first in first out (Yang et al., "FIFO queues are all you need for cache
//! eviction", SOSP 2023).
//!
//! New pieces enter a small queue, a tenth of the shard; those that are not used again while they pass
//! through it leave no trace but a fingerprint. Pieces used again, or loaded again soon after, enter the main
//! queue, where each use buys another round. So a scan, which uses every block once, flows through the small
//! queue and leaves the main queue alone. Index leaves and filters enter the main queue at once: they lead to
//! hundreds of blocks, and the main queue finds out whether these are asked for.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use super::Entry;
use super::policy::{CachePolicy, is_metadata};

/// Uses that are counted at most: rounds in the main queue without further use.
pub(super) const MARK_MAX: u32 = 3;
/// The small queue's part of the bytes: one in so many.
const SMALL_PART: usize = 10;
/// One fingerprint for so many bytes of the shard.
const GHOST_BYTES: usize = 2048;

#[derive(Debug)]
pub(super) struct S3Fifo {
    small: VecDeque<Entry>,
    small_bytes: usize,
    main: VecDeque<Entry>,
    /// Fingerprints of what left the small queue, each at a place given by its key; 0 is none.
    ghost: Box<[u32]>,
}

impl S3Fifo {
    pub(super) fn new(bytes: usize) -> S3Fifo {
        let places = (bytes / GHOST_BYTES).max(16).next_power_of_two();
        S3Fifo {
            small: VecDeque::new(),
            small_bytes: 0,
            main: VecDeque::new(),
            ghost: vec![0; places].into(),
        }
    }

    fn ghost(&mut self, key: u64) -> (&mut u32, u32) {
        let at = (key >> 8) as usize & (self.ghost.len() - 1);
        (&mut self.ghost[at], (key >> 32) as u32 | 1)
    }

    /// Takes the oldest of the small queue; those used again go on to the main queue.
    fn evict_small(&mut self) -> Option<Entry> {
        while let Some(entry) = self.small.pop_front() {
            self.small_bytes -= entry.charge;
            let used = entry.with_mark(|mark| mark.swap(0, Ordering::Relaxed));
            if used.is_some_and(|uses| uses > 0) {
                self.main.push_back(entry);
                continue;
            }
            let (place, fingerprint) = self.ghost(entry.key);
            *place = fingerprint;
            return Some(entry);
        }
        None
    }

    fn evict_main(&mut self) -> Option<Entry> {
        while let Some(entry) = self.main.pop_front() {
            let used = entry.with_mark(|mark| {
                let uses = mark.load(Ordering::Relaxed);
                mark.store(uses.saturating_sub(1), Ordering::Relaxed);
                uses > 0
            });
            if used == Some(true) {
                self.main.push_back(entry);
            } else {
                return Some(entry);
            }
        }
        None
    }
}

impl CachePolicy for S3Fifo {
    fn insert(&mut self, entry: Entry) {
        let (place, fingerprint) = self.ghost(entry.key);
        let seen = *place == fingerprint;
        if seen {
            *place = 0;
        }
        if seen || is_metadata(&entry) {
            self.main.push_back(entry);
        } else {
            self.small_bytes += entry.charge;
            self.small.push_back(entry);
        }
    }

    fn evict(&mut self, bytes_max: usize) -> Option<Entry> {
        if self.small_bytes > bytes_max / SMALL_PART || self.main.is_empty() {
            self.evict_small().or_else(|| self.evict_main())
        } else {
            self.evict_main().or_else(|| self.evict_small())
        }
    }
}
