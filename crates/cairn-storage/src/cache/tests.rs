//! Every policy: bounds, what stays and what goes, and what a scan does to the hot set.
#![allow(clippy::unwrap_used)]

use cairn_env::SeededRandom;

use super::*;

const ALL: [Eviction; 3] = [Eviction::S3Fifo, Eviction::Lru, Eviction::Lfu];

struct Blocks(Box<[Slot<Arc<[u8]>>]>);

impl Shelf for Blocks {
    fn slot(&self, at: u32) -> &dyn Evictable {
        &self.0[at as usize]
    }
}

fn blocks(n: usize) -> Arc<Blocks> {
    Arc::new(Blocks((0..n).map(|_| Slot::default()).collect()))
}

/// Asks for a block; whether it had to be loaded.
fn touch(cache: &BlockCache, file: u64, blocks: &Arc<Blocks>, at: usize, len: usize) -> bool {
    let mut loaded = false;
    let place = || {
        let shelf: Weak<dyn Shelf> = Arc::downgrade(blocks) as Weak<dyn Shelf>;
        Place { shelf, at: at as u32, piece: Piece::Block, file, page: at as u32 }
    };
    let load = || {
        loaded = true;
        Ok((Arc::from(vec![at as u8; len]), len))
    };
    cache
        .with(&blocks.0[at], (Piece::Block, at), place, load, |block| assert_eq!(block[0], at as u8))
        .unwrap();
    loaded
}

#[test]
fn stays_within_its_bytes_and_keeps_what_is_used() {
    for eviction in ALL {
        let cache = BlockCache::new(1 << 20, eviction);
        let places = blocks(5_000);
        assert!(touch(&cache, 7, &places, 0, 1_000));
        for at in 1..5_000 {
            assert!(touch(&cache, 7, &places, at, 1_000));
            assert!(!touch(&cache, 7, &places, 0, 1_000), "{eviction:?}: evicted although used all the time");
            assert!(cache.stats().bytes <= 1 << 20);
        }
        let kept = places.0.iter().filter(|slot| slot.held.read().is_some()).count();
        assert!(kept > 500 && kept * (1_000 + OVERHEAD) <= 1 << 20, "{eviction:?}: {kept} blocks are kept");
        let huge = touch(&cache, 7, &places, 4_000, 2 << 20);
        assert_eq!(huge, touch(&cache, 7, &places, 4_000, 2 << 20), "too big to be kept, or there");
        assert!(cache.stats().evictions > 4_000 - 1_000);
    }
}

#[test]
fn blocks_of_closed_files_make_room() {
    for eviction in ALL {
        let cache = BlockCache::new(1 << 20, eviction);
        for file in 0..100 {
            let places = blocks(20);
            for at in 0..20 {
                touch(&cache, file, &places, at, 5_000);
            }
        }
        assert!(cache.stats().bytes <= 1 << 20);
    }
}

#[test]
fn pinned_memory_counts() {
    let cache = Arc::new(BlockCache::new(1 << 20, Eviction::S3Fifo));
    let places = blocks(2_000);
    let pinned = Pinned::new(&cache, 512 << 10);
    for at in 0..2_000 {
        touch(&cache, 1, &places, at, 1_000);
    }
    let stats = cache.stats();
    assert_eq!(stats.pinned_bytes, 512 << 10);
    assert!(stats.bytes + stats.pinned_bytes <= 1 << 20, "{stats:?}");
    drop(pinned);
    for at in 0..2_000 {
        touch(&cache, 1, &places, at, 1_000);
    }
    assert!(cache.stats().bytes > 900 << 10, "the room was given back");
    // However much is pinned, something is cached.
    let _much = Pinned::new(&cache, 64 << 20);
    assert!(touch(&cache, 2, &blocks(1), 0, 1_000));
    assert!(cache.stats().bytes <= 1 << 20);
}

/// The part of lookups of a hot set that hit, while a scan of everything runs beside them.
fn hit_rate_beside_scan(eviction: Eviction) -> f64 {
    const HOT: u64 = 500;
    let cache = BlockCache::new(1 << 20, eviction);
    let places = blocks(40_000);
    let mut random = SeededRandom::new(7);
    let (mut hits, mut asked) = (0, 0);
    for step in 0..100_000usize {
        // Ten blocks of the scan for one lookup, after a quiet beginning.
        if step > 20_000 && step % 11 != 0 {
            touch(&cache, 7, &places, 1_000 + step % 39_000, 1_000);
            continue;
        }
        let missed = touch(&cache, 7, &places, random.below(HOT) as usize, 1_000);
        if step > 30_000 {
            asked += 1;
            hits += usize::from(!missed);
        }
    }
    hits as f64 / f64::from(asked)
}

#[test]
fn a_scan_does_not_flush_the_hot_set_by_default() {
    let [s3fifo, lru, lfu] = ALL.map(hit_rate_beside_scan);
    println!("hit rates beside a scan: S3-FIFO {s3fifo:.3}, LRU {lru:.3}, LFU {lfu:.3}");
    assert!(Eviction::default() == Eviction::S3Fifo && s3fifo > 0.9, "S3-FIFO {s3fifo}");
    assert!(lru < 0.5, "the test is one that a plain LRU fails: {lru}");
}

#[test]
fn marks_choose_as_the_policy_says() {
    // Room for 8 blocks; block 0 was used often, block 1 last.
    for (eviction, stays) in [(Eviction::Lru, 1), (Eviction::Lfu, 0)] {
        let cache = BlockCache::new(8 * (1_000 + OVERHEAD), eviction);
        let places = blocks(64);
        for at in 0..8 {
            touch(&cache, 7, &places, at, 1_000);
        }
        for _ in 0..50 {
            touch(&cache, 7, &places, 0, 1_000);
        }
        for at in 10..16 {
            touch(&cache, 7, &places, at, 1_000);
        }
        touch(&cache, 7, &places, 1, 1_000);
        for at in 20..26 {
            touch(&cache, 7, &places, at, 1_000);
        }
        assert!(!touch(&cache, 7, &places, stays, 1_000), "{eviction:?} evicted block {stays}");
    }
}
