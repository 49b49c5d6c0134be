//! Where the newest entry of each key is: a hash table beside the list, so that a lookup costs two reads of
//! memory instead of a walk, and one where the key is not there. Part of the crate's unsafe island.
//!
//! A bucket is a line of memory with eight slots. A slot holds the address of a node and, in its upper 16 bits,
//! part of the key's hash. A full bucket goes on in the next one.
//!
//! Invariants:
//! - I1: slots point at nodes of the list that owns the directory, which live as long as it does.
//! - I2: what a reader may see was entered before its sequence was published; a slot only ever changes to a
//!   newer entry of the same key. Older tables are kept until the list goes: a reader may be inside one.
//! - I3: one thread at a time changes the directory (`state`).
//! - I4: lookups go by it once it is `whole`: the entries that were there before it are entered one by one, while later
//!   ones enter themselves.
#![allow(unsafe_code)]

use std::ptr::null_mut;

use xxhash_rust::xxh3::xxh3_64;

use super::skiplist::Node;
use crate::sync::{AtomicBool, AtomicPtr, AtomicUsize, Mutex, Ordering, ZERO_IS_NULL};

const SLOTS: usize = 8;
/// Buckets of a table that was not told how many entries to expect.
const BUCKETS_MIN: usize = 16;
/// Addresses have so many bits; nodes with longer ones (memory tagging) switch the directory off.
const ADDRESS_BITS: u32 = 48;
const ADDRESS: usize = (1 << ADDRESS_BITS) - 1;
/// Lookups of one key in so many are counted.
const SAMPLE: usize = 32;

#[repr(align(64))]
struct Bucket([AtomicPtr<Node>; SLOTS]);

struct Table(Box<[Bucket]>);

impl Table {
    fn new(buckets: usize) -> Box<Table> {
        if !ZERO_IS_NULL {
            let empty = || Bucket(std::array::from_fn(|_| AtomicPtr::new(null_mut())));
            return Box::new(Table((0..buckets).map(|_| empty()).collect()));
        }
        let zeros = Box::<[Bucket]>::new_zeroed_slice(buckets);
        // SAFETY: a bucket is pointers, and zero is the null pointer. (Zeroed memory that is not touched yet
        // costs nothing.)
        Box::new(Table(unsafe { zeros.assume_init() }))
    }

    /// The slots where an entry with this hash may be, in order, endlessly.
    fn slots(&self, hash: u64) -> impl Iterator<Item = &AtomicPtr<Node>> {
        let first = (((hash >> 32) * self.0.len() as u64) >> 32) as usize;
        let (before, from) = self.0.split_at(first);
        from.iter().chain(before).flat_map(|bucket| &bucket.0)
    }

    /// Slots that may be filled: seven in ten.
    fn entries_max(&self) -> usize {
        self.0.len() * SLOTS * 7 / 10
    }
}

/// What a lookup found.
pub(super) enum Lookup {
    /// The newest entry.
    Newest(*const Node),
    /// No entry.
    Absent,
    /// The directory cannot tell.
    Unknown,
}

/// The table that grows, for one writer at a time.
#[derive(Default)]
struct State {
    entries: usize,
    // Boxed: `current` points at one of them.
    #[allow(clippy::vec_box)]
    tables: Vec<Box<Table>>,
}

/// The directory of a list.
pub(super) struct Directory {
    current: AtomicPtr<Table>,
    state: Mutex<State>,
    whole: AtomicBool,
    off: AtomicBool,
    allocated: AtomicUsize,
    sampled: Sampled,
}

/// Counts one lookup in [`SAMPLE`], away from what every reader reads.
#[derive(Default)]
#[repr(align(64))]
struct Sampled(AtomicUsize);

/// A slot's content for a node; `None` where the address is too long.
fn tagged(node: *mut Node, hash: u64) -> Option<*mut Node> {
    (node.addr() <= ADDRESS)
        .then(|| node.map_addr(|address| address | (hash as usize & 0xffff) << ADDRESS_BITS))
}

fn has_tag(slot: *mut Node, hash: u64) -> bool {
    slot.addr() >> ADDRESS_BITS == hash as usize & 0xffff
}

fn node_of(slot: *mut Node) -> *mut Node {
    slot.map_addr(|address| address & ADDRESS)
}

impl Directory {
    /// A directory for about so many keys; it grows where there are more.
    pub(super) fn new(expected: usize) -> Directory {
        let buckets = (expected * 10 / 7 / SLOTS + 1).max(BUCKETS_MIN);
        let directory = Directory {
            current: AtomicPtr::new(null_mut()),
            state: Mutex::default(),
            whole: AtomicBool::new(false),
            off: AtomicBool::new(cfg!(target_pointer_width = "32")),
            allocated: AtomicUsize::new(0),
            sampled: Sampled::default(),
        };
        directory.install(&mut directory.state.lock(), Table::new(buckets));
        directory
    }

    /// All entries that were there before it are entered (I4).
    pub(super) fn set_whole(&self) {
        self.whole.store(true, Ordering::Release);
    }

    /// Bytes taken from the system.
    pub(super) fn allocated(&self) -> usize {
        self.allocated.load(Ordering::Relaxed)
    }

    /// About how many lookups there were.
    pub(super) fn lookups(&self) -> usize {
        self.sampled.0.load(Ordering::Relaxed)
    }

    fn install(&self, state: &mut State, table: Box<Table>) {
        self.allocated.fetch_add(size_of_val(&*table.0), Ordering::Relaxed);
        let pointer: *const Table = &*table;
        state.tables.push(table);
        self.current.store(pointer.cast_mut(), Ordering::Release);
    }

    fn table(&self) -> &Table {
        // SAFETY: set in `new`, and every table lives as long as self (I2).
        unsafe { &*self.current.load(Ordering::Acquire) }
    }

    /// Enters a node that was linked in the list.
    ///
    /// # Safety
    /// `node` is a node of the list that owns the directory (I1).
    pub(super) unsafe fn enter(&self, node: *mut Node) {
        // SAFETY: promised by the caller.
        let (key, trailer) = unsafe { (Node::key(node), Node::trailer(node)) };
        let hash = xxh3_64(key);
        let Some(content) = tagged(node, hash) else { return self.off.store(true, Ordering::Release) };
        let mut state = self.state.lock();
        let mut table = self.table();
        if state.entries >= table.entries_max() {
            self.grow(&mut state);
            table = self.table();
        }
        for slot in table.slots(hash) {
            let held = slot.load(Ordering::Relaxed);
            if held.is_null() {
                slot.store(content, Ordering::Release);
                state.entries += 1;
                return;
            }
            // SAFETY: I1.
            let other = || unsafe { (Node::key(node_of(held)), Node::trailer(node_of(held))) };
            if has_tag(held, hash) && other().0 == key {
                if trailer < other().1 {
                    slot.store(content, Ordering::Release);
                }
                return;
            }
        }
    }

    /// Moves to a table of twice the size.
    fn grow(&self, state: &mut State) {
        let old = self.table();
        let table = Table::new(2 * old.0.len());
        for slot in old.0.iter().flat_map(|bucket| &bucket.0) {
            let held = slot.load(Ordering::Relaxed);
            if held.is_null() {
                continue;
            }
            // SAFETY: I1.
            let hash = xxh3_64(unsafe { Node::key(node_of(held)) });
            let free = table.slots(hash).find(|slot| slot.load(Ordering::Relaxed).is_null());
            free.expect("I3: the new table has twice the slots").store(held, Ordering::Relaxed);
        }
        self.install(state, table);
    }

    /// The newest entry of a key.
    pub(super) fn newest(&self, key: &[u8]) -> Lookup {
        if !self.whole.load(Ordering::Acquire) || self.off.load(Ordering::Acquire) {
            return Lookup::Unknown;
        }
        let hash = xxh3_64(key);
        if ((hash >> 16) as usize).is_multiple_of(SAMPLE) {
            self.sampled.0.fetch_add(SAMPLE, Ordering::Relaxed);
        }
        for slot in self.table().slots(hash) {
            let held = slot.load(Ordering::Acquire);
            if held.is_null() {
                return Lookup::Absent;
            }
            // SAFETY: I1.
            if has_tag(held, hash) && unsafe { Node::key(node_of(held)) } == key {
                return Lookup::Newest(node_of(held));
            }
        }
        Lookup::Absent
    }
}
