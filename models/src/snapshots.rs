//! The registry of snapshots: who collects garbage never passes a snapshot that lives.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use crate::model;
use crate::registry::Registry;

/// Publishes commits 2 and 3.
fn publisher(registry: &Arc<Registry>) -> thread::JoinHandle<()> {
    let registry = Arc::clone(registry);
    thread::spawn(move || (2..=3).for_each(|seq| registry.publish(seq)))
}

/// Collects garbage once or twice: versions below what it notes are gone for readers.
fn collector(registry: &Arc<Registry>, gone_below: &Arc<AtomicU64>, times: usize) -> thread::JoinHandle<()> {
    let (registry, gone_below) = (Arc::clone(registry), Arc::clone(gone_below));
    thread::spawn(move || {
        for _ in 0..times {
            let readable = registry.readable();
            assert!(readable.is_sorted_by(|a, b| a < b), "not ascending: {readable:?}");
            gone_below.store(readable[0], Ordering::Release);
        }
    })
}

#[test]
fn the_oldest_never_passes_a_snapshot_that_lives() {
    model(|| {
        let registry = Arc::new(Registry::new(1));
        let gone_below = Arc::new(AtomicU64::new(1));
        let threads = [publisher(&registry), collector(&registry, &gone_below, 2)];
        for _ in 0..2 {
            let held = registry.acquire();
            let gone = gone_below.load(Ordering::Acquire);
            assert!(gone <= held, "commit {held} is held, versions below {gone} are gone");
            registry.release(held);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((registry.len(), registry.newest()), (0, 3));
    });
}

#[test]
fn two_holders_of_one_commit_are_counted() {
    model(|| {
        let registry = Arc::new(Registry::new(1));
        let gone_below = Arc::new(AtomicU64::new(1));
        let held = registry.acquire();
        let other = {
            let registry = Arc::clone(&registry);
            thread::spawn(move || {
                let held = registry.acquire();
                registry.release(held);
            })
        };
        registry.publish(2);
        let collector = collector(&registry, &gone_below, 1);
        other.join().unwrap();
        collector.join().unwrap();
        assert!(gone_below.load(Ordering::Acquire) <= held, "the other's release let it go");
        registry.release(held);
    });
}

/// As `Store::get` reads: the sources first, then the newest commit, nothing registered.
#[test]
fn a_read_without_a_snapshot_is_not_passed() {
    model(|| {
        let registry = Arc::new(Registry::new(1));
        let sources = Arc::new(AtomicU64::new(1));
        let threads = [publisher(&registry), collector(&registry, &sources, 1)];
        let gone = sources.load(Ordering::Acquire);
        let newest = registry.newest();
        assert!(gone <= newest, "reads at {newest}, versions below {gone} are gone");
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
