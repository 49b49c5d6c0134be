//! Models of the concurrent parts: the real source files of the memtable's skiplist and arena, the commit queue, the
//! registry of snapshots and the operating system's signals, compiled against the types of `loom`, which runs each
//! model through its interleavings, weak memory included.
//!
//! `LOOM_MAX_PREEMPTIONS` sets how often a thread may be interrupted in one interleaving (default 3); everything up
//! to that is tried.

#![cfg(test)]
#![deny(unsafe_code)]
#![allow(dead_code)]

#[path = "../../crates/cairn-storage/src/commit_lead.rs"]
mod commit_lead;
#[path = "../../crates/cairn-storage/src/commit_queue.rs"]
mod commit_queue;
mod commits;
mod memtable;
#[path = "../../crates/cairn-env/src/os/signal.rs"]
mod os_signal;
#[path = "../../crates/cairn-storage/src/registry.rs"]
mod registry;
#[path = "../../crates/cairn-env/src/signal.rs"]
mod signal;
mod snapshots;
mod stand_in;
mod sync;

use loom::thread;

// What the sources name of the store's other modules, as far as they need it.
pub(crate) use stand_in::{commit, core, error, key, options};

/// Two threads beside the one that waits for them. Each may be the first: the checker begins with the order in which
/// they are started and leaves out what it takes for the same, for which it looks at the last access only.
fn together(swapped: bool, one: impl FnOnce() + 'static, other: impl FnOnce() + 'static) {
    let threads = match swapped {
        false => [thread::spawn(one), thread::spawn(other)],
        true => [thread::spawn(other), thread::spawn(one)],
    };
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Runs a model of two threads, each first in turn.
fn model_of_two(run: impl Fn(bool) + Sync + Send + Copy + 'static) {
    [false, true].into_iter().for_each(|swapped| model(move || run(swapped)));
}

/// Runs a model through its interleavings.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(run);
}
