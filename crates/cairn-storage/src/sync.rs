//! What the concurrent parts are made of: the memtable's skiplist and arena, the commit queue, the registry of
//! snapshots. Here the plain types under their own names, at no cost; `models/` compiles the same source files
//! against the types of a model checker, which tries their interleavings.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};

pub(crate) use cairn_env::Signal;
pub(crate) use parking_lot::Mutex;

/// Whether zeroed memory is null atomic pointers.
pub(crate) const ZERO_IS_NULL: bool = true;
