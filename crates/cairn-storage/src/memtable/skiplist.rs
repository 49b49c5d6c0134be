//! The arena skiplist: entries in order, inserted concurrently, read without locks. The crate's unsafe
//! island, with [`super::arena`]; everything outside this folder uses the safe face.
//!
//! A node lies in the arena in one piece: trailer, lengths, tower of next pointers, key bytes, value bytes.
//! Insertion links bottom-up with compare-and-swap. A [`Hint`] remembers where the last insertion of one
//! writer was, so that ascending keys cost O(1). (After Pugh 1990; splice hints after RocksDB.)
//! Positions far from each other are sought together ([`Skiplist::search_together`]): a way down is mostly waiting for
//! memory, and eight ways wait at the same time.
//!
//! Invariants:
//! - I1: a node is immutable but for its tower once it is linked, and lives as long as the list.
//! - I2: no two entries have the same (key, trailer); the caller numbers them.
//! - I3: a node linked at level n is linked at every level below n, at last; level 0 holds them all.
//! - I4: whoever inserts looks for a directory after linking, whoever makes one looks at links after announcing it, with a
//!   fence between on either side: so one of the two enters the node.
#![allow(unsafe_code)]

use std::cmp::Ordering as Order;
use std::mem::size_of;
use std::ptr::{NonNull, copy_nonoverlapping, null, null_mut};
use std::slice::from_raw_parts;
use std::sync::{Arc, OnceLock};

use super::arena::Arena;
use super::directory::{Directory, Lookup};
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Mutex, Ordering, fence};

const HEIGHT_MAX: usize = 16;
/// Versions of a key that are passed one by one before the list is searched.
const VERSIONS_STEPPED: usize = 8;
/// Lookups that a list without a directory answers in any case before it is given one.
const LOOKUPS_MIN: usize = 256;
/// Of so many lookups one goes on making the directory,
const LOOKUPS_A_STEP: usize = 8;
/// by so many entries: some microseconds' work.
const ENTRIES_A_STEP: usize = 64;

#[repr(C)]
pub(super) struct Node {
    trailer: u64,
    value_len: u32,
    key_len: u32,
    height: u64,
    // `height` pointers follow, then the key, then the value.
}

type Link = AtomicPtr<Node>;

impl Node {
    /// # Safety
    /// `node` must be a node of a living list, and `level` below its height.
    unsafe fn link<'a>(node: *const Node, level: usize) -> &'a Link {
        // SAFETY: the tower follows the header in the same allocation (layout above).
        unsafe { &*node.add(1).cast::<Link>().add(level) }
    }

    /// # Safety
    /// `node` must be a node of a list that outlives the slice.
    pub(super) unsafe fn key<'a>(node: *const Node) -> &'a [u8] {
        // SAFETY: the key follows the tower; it was written before the node was linked (I1).
        unsafe {
            let start = node.add(1).cast::<Link>().add((*node).height as usize).cast::<u8>();
            from_raw_parts(start, (*node).key_len as usize)
        }
    }

    /// # Safety
    /// As for `key`.
    pub(super) unsafe fn trailer(node: *const Node) -> u64 {
        // SAFETY: promised by the caller.
        unsafe { (*node).trailer }
    }

    /// # Safety
    /// As for `key`.
    unsafe fn value<'a>(node: *const Node) -> &'a [u8] {
        // SAFETY: the value follows the key (I1).
        unsafe {
            let key = Node::key(node);
            from_raw_parts(key.as_ptr().add(key.len()), (*node).value_len as usize)
        }
    }
}

/// Where a writer inserted last: per level the nodes before and behind.
pub(crate) struct Hint {
    // The list that the nodes belong to; numbers are never used twice, so a stale hint is never followed.
    list: u64,
    previous: [*mut Node; HEIGHT_MAX],
    next: [*mut Node; HEIGHT_MAX],
}

// SAFETY: the pointers are followed only by `insert` of the list they came from, which is alive then.
unsafe impl Send for Hint {}
// SAFETY: a shared hint gives no access to anything.
unsafe impl Sync for Hint {}

impl Default for Hint {
    fn default() -> Hint {
        Hint { list: 0, previous: [null_mut(); HEIGHT_MAX], next: [null_mut(); HEIGHT_MAX] }
    }
}

/// The numbers of lists, from 1. A plain counter, which no model needs to look at.
static LISTS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

/// The list.
pub(crate) struct Skiplist {
    id: u64,
    arena: Arena,
    head: NonNull<Node>,
    height: AtomicUsize,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    // State of the height generator: deterministic, so that a simulated run repeats.
    dice: AtomicU64,
    directory: OnceLock<Directory>,
    /// Insertions are to enter their nodes (I4).
    is_announced: AtomicBool,
    making: Mutex<Making>,
    lookups: Lookups,
}

/// How far the directory is made.
#[derive(Default)]
enum Making {
    #[default]
    NotBegun,
    /// The last node entered, or the head.
    At(*mut Node),
    Done,
}

/// Counts lookups, away from what every reader reads.
#[derive(Default)]
#[repr(align(64))]
struct Lookups(AtomicUsize);

// SAFETY: nodes are shared through atomic links and are otherwise immutable (I1); the arena is Sync.
unsafe impl Send for Skiplist {}
// SAFETY: as above.
unsafe impl Sync for Skiplist {}

impl Skiplist {
    pub(crate) fn new() -> Skiplist {
        let arena = Arena::new();
        let head = allocate_node(&arena, b"", 0, b"", HEIGHT_MAX);
        Skiplist {
            id: LISTS.fetch_add(1, Ordering::Relaxed),
            arena,
            head,
            height: AtomicUsize::new(1),
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            dice: AtomicU64::new(0),
            directory: OnceLock::new(),
            is_announced: AtomicBool::new(false),
            making: Mutex::default(),
            lookups: Lookups::default(),
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Whether lookups are many beside insertions.
    pub(crate) fn is_asked(&self) -> bool {
        let counted = self.directory.get().map_or(0, Directory::lookups);
        self.lookups.0.load(Ordering::Relaxed) + counted > LOOKUPS_MIN + self.len() / 8
    }

    /// About how many lookups the directory answered; `None` where there is none.
    #[cfg(test)]
    pub(crate) fn directory_lookups(&self) -> Option<usize> {
        self.directory.get().map(Directory::lookups)
    }

    /// Makes a directory for about so many entries.
    pub(crate) fn set_directory(&self, expected: usize) {
        self.make_directory(&mut self.making.lock(), expected, usize::MAX);
    }

    /// Makes some more of the directory if many lookups could use one and nobody else is making it.
    fn help_directory(&self) {
        if self.is_asked()
            && let Some(mut making) = self.making.try_lock()
        {
            self.make_directory(&mut making, 2 * self.len(), ENTRIES_A_STEP);
        }
    }

    /// Enters the next nodes. Others may insert and read meanwhile.
    fn make_directory(&self, making: &mut Making, expected: usize, entries: usize) {
        let mut node = match *making {
            Making::Done => return,
            Making::At(node) => node,
            Making::NotBegun => {
                self.directory.get_or_init(|| Directory::new(expected));
                self.is_announced.store(true, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                self.head.as_ptr()
            }
        };
        let Some(directory) = self.directory.get() else { return };
        for _ in 0..entries {
            // SAFETY: the head and the nodes behind it are nodes of this list; versions of a key come newest
            // first, and later ones do not replace it.
            unsafe {
                let next = Node::link(node, 0).load(Ordering::Acquire);
                if next.is_null() {
                    directory.set_whole();
                    *making = Making::Done;
                    return;
                }
                directory.enter(next);
                node = next;
            }
        }
        *making = Making::At(node);
    }

    /// Bytes of keys and values.
    pub(crate) fn data_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes taken from the system.
    pub(crate) fn allocated(&self) -> usize {
        self.arena.allocated() + self.directory.get().map_or(0, Directory::allocated)
    }

    /// Adds an entry, which must not be there yet (I2). Any number of threads may insert at once, each with
    /// a hint of its own. Key and value are shorter than 4 GiB (the store's limits are far lower).
    pub(crate) fn insert(&self, key: &[u8], trailer: u64, value: &[u8], hint: &mut Hint) {
        let height = self.random_height();
        let node = allocate_node(&self.arena, key, trailer, value, height).as_ptr();
        let list_height = self.height.fetch_max(height, Ordering::Relaxed).max(height);
        self.search(key, trailer, list_height, hint);
        for level in 0..height {
            loop {
                let (previous, next) = (hint.previous[level], hint.next[level]);
                // SAFETY: both are nodes of this list or null (next); previous reaches `level`, because it
                // was found by walking that level or is the head; `node` has `height` links.
                let linked = unsafe {
                    Node::link(node, level).store(next, Ordering::Relaxed);
                    Node::link(previous, level).compare_exchange(
                        next,
                        node,
                        Ordering::Release,
                        Ordering::Relaxed,
                    )
                };
                if linked.is_ok() {
                    break;
                }
                let (previous, next) = self.walk(previous, level, key, trailer);
                (hint.previous[level], hint.next[level]) = (previous, next);
            }
            hint.previous[level] = node;
        }
        fence(Ordering::SeqCst);
        if self.is_announced.load(Ordering::Relaxed)
            && let Some(directory) = self.directory.get()
        {
            // SAFETY: a node of this list.
            unsafe { directory.enter(node) };
        }
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(key.len() + value.len(), Ordering::Relaxed);
    }

    /// Whether the hint encloses the position on `level`; the levels above then do too.
    fn brackets(&self, hint: &Hint, level: usize, key: &[u8], trailer: u64) -> bool {
        let (previous, next) = (hint.previous[level], hint.next[level]);
        // SAFETY: nodes of this list (the hint belongs to it).
        unsafe {
            (previous == self.head.as_ptr() || is_before(previous, key, trailer))
                && (next.is_null() || !is_before(next, key, trailer))
                && Node::link(previous, level).load(Ordering::Acquire) == next
        }
    }

    /// Moves the hint to a position: from the lowest level that encloses it already, so that the keys of a
    /// sorted batch are found from each other and not from the top.
    fn search(&self, key: &[u8], trailer: u64, height: usize, hint: &mut Hint) {
        let mut top = HEIGHT_MAX;
        if hint.list == self.id {
            let enclosing = (0..height).find(|&level| self.brackets(hint, level, key, trailer));
            top = enclosing.unwrap_or(HEIGHT_MAX);
        }
        let (mut previous, mut known) = (self.head.as_ptr(), null_mut());
        if let (Some(&above), Some(&behind)) = (hint.previous.get(top), hint.next.get(top)) {
            (previous, known) = (above, behind);
        }
        for level in (0..top).rev() {
            if level >= height {
                (hint.previous[level], hint.next[level]) = (previous, null_mut());
                continue;
            }
            let next;
            (previous, next) = self.walk_known(previous, level, key, trailer, known);
            (hint.previous[level], hint.next[level]) = (previous, next);
            known = next;
        }
        hint.list = self.id;
    }

    /// Whether a position is at most some dozens of entries from where the hint is.
    pub(crate) fn is_near(&self, key: &[u8], trailer: u64, hint: &Hint) -> bool {
        hint.list == self.id && (0..NEAR_LEVELS).any(|level| self.brackets(hint, level, key, trailer))
    }

    /// Moves hints to the positions of as many keys, on their ways down in turns: while one waits for memory the others
    /// go on.
    pub(crate) fn search_together<'k>(
        &self,
        keys: impl Iterator<Item = (&'k [u8], u64)>,
        hints: &mut [Hint; TOGETHER],
    ) {
        let height = self.height.load(Ordering::Relaxed);
        let head = self.head.as_ptr();
        let mut ways: [Option<Descent<'k>>; TOGETHER] = [const { None }; TOGETHER];
        for (((key, trailer), way), hint) in keys.zip(&mut ways).zip(hints.iter_mut()) {
            hint.list = self.id;
            hint.previous[height..].fill(head);
            hint.next[height..].fill(null_mut());
            // SAFETY: the head has every level.
            let next = unsafe { Node::link(head, height - 1).load(Ordering::Acquire) };
            prefetch(next);
            *way = Some(Descent { key, trailer, previous: head, next, known: null_mut(), level: height - 1 });
        }
        let mut is_moving = true;
        while is_moving {
            is_moving = false;
            for (way, hint) in ways.iter_mut().zip(hints.iter_mut()) {
                if let Some(descent) = way {
                    is_moving = true;
                    // SAFETY: its nodes are nodes of this list.
                    if unsafe { descent.step(hint) } {
                        *way = None;
                    }
                }
            }
        }
    }

    /// On `level`, from `from`: the last node before the position and the first not before it.
    fn walk(&self, from: *mut Node, level: usize, key: &[u8], trailer: u64) -> (*mut Node, *mut Node) {
        self.walk_known(from, level, key, trailer, null_mut())
    }

    /// As `walk`; `known` is a node already found to be not before the position, which saves comparing it.
    fn walk_known(
        &self,
        from: *mut Node,
        level: usize,
        key: &[u8],
        trailer: u64,
        known: *mut Node,
    ) -> (*mut Node, *mut Node) {
        let mut previous = from;
        loop {
            // SAFETY: `previous` is a node of this list that reaches `level`; links lead to such nodes.
            unsafe {
                let next = Node::link(previous, level).load(Ordering::Acquire);
                if next.is_null() || next == known || !is_before(next, key, trailer) {
                    return (previous, next);
                }
                previous = next;
            }
        }
    }

    fn first_not_before(&self, key: &[u8], trailer: u64) -> *const Node {
        let mut previous = self.head.as_ptr();
        let mut next = null_mut();
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            (previous, next) = self.walk_known(previous, level, key, trailer, next);
        }
        next
    }

    /// The last node before the position, or null; `None` is the position behind all.
    fn last_before(&self, position: Option<(&[u8], u64)>) -> *const Node {
        let mut previous = self.head.as_ptr();
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            match position {
                Some((key, trailer)) => (previous, _) = self.walk(previous, level, key, trailer),
                // SAFETY: as in `walk_known`.
                None => unsafe {
                    loop {
                        let next = Node::link(previous, level).load(Ordering::Acquire);
                        if next.is_null() {
                            break;
                        }
                        previous = next;
                    }
                },
            }
        }
        if previous == self.head.as_ptr() { null() } else { previous }
    }

    fn random_height(&self) -> usize {
        let mut roll = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        roll = (roll ^ (roll >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        roll = (roll ^ (roll >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        roll ^= roll >> 31;
        // One in four reaches the next level.
        (1 + (roll.trailing_ones() / 2) as usize).min(HEIGHT_MAX)
    }
}

/// Keys that are sought together.
pub(crate) const TOGETHER: usize = 8;
/// Levels on which a hint that encloses a position spares the way from the top.
const NEAR_LEVELS: usize = 3;

/// A key on its way down: `next` follows `previous` on `level` and was asked for from memory, but not looked at.
struct Descent<'k> {
    key: &'k [u8],
    trailer: u64,
    previous: *mut Node,
    next: *mut Node,
    /// A node already found to be not before the position.
    known: *mut Node,
    level: usize,
}

impl Descent<'_> {
    /// To the next node that has to come from memory; true where the way has ended, and the hint is whole.
    ///
    /// # Safety
    /// `previous` and `next` must be as described, of a living list.
    unsafe fn step(&mut self, hint: &mut Hint) -> bool {
        // SAFETY: links lead to nodes of the list that reach their level; the level only falls.
        unsafe {
            let is_known = self.next.is_null() || self.next == self.known;
            if !is_known && is_before(self.next, self.key, self.trailer) {
                self.previous = self.next;
                self.next = Node::link(self.previous, self.level).load(Ordering::Acquire);
            } else {
                loop {
                    (hint.previous[self.level], hint.next[self.level]) = (self.previous, self.next);
                    self.known = self.next;
                    if self.level == 0 {
                        return true;
                    }
                    self.level -= 1;
                    self.next = Node::link(self.previous, self.level).load(Ordering::Acquire);
                    if self.next != self.known {
                        break;
                    }
                }
            }
        }
        prefetch(self.next);
        false
    }
}

/// Asks for the lines of memory with a node's header, lower links and the beginning of its key. Any address will do.
#[inline]
fn prefetch(node: *const Node) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint to the processor, which reads nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let line = node.cast::<i8>();
        _mm_prefetch::<_MM_HINT_T0>(line);
        _mm_prefetch::<_MM_HINT_T0>(line.wrapping_add(64));
    }
    // Elsewhere the processor looks ahead by itself, or not.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = node;
}

/// # Safety
/// `node` must be a node of a living list, not its head.
unsafe fn is_before(node: *const Node, key: &[u8], trailer: u64) -> bool {
    // SAFETY: promised by the caller.
    let (own, own_trailer) = unsafe { (Node::key(node), (*node).trailer) };
    match compare_keys(own, key) {
        Order::Less => true,
        Order::Equal => own_trailer < trailer,
        Order::Greater => false,
    }
}

/// As `a.cmp(b)`, with the usual short keys compared in words without a call.
#[inline]
fn compare_keys(mut a: &[u8], mut b: &[u8]) -> Order {
    for _ in 0..3 {
        let (Some((first, rest)), Some((second, other))) =
            (a.split_first_chunk::<8>(), b.split_first_chunk::<8>())
        else {
            break;
        };
        match u64::from_be_bytes(*first).cmp(&u64::from_be_bytes(*second)) {
            Order::Equal => (a, b) = (rest, other),
            different => return different,
        }
    }
    a.cmp(b)
}

fn allocate_node(arena: &Arena, key: &[u8], trailer: u64, value: &[u8], height: usize) -> NonNull<Node> {
    assert!(key.len() <= u32::MAX as usize && value.len() <= u32::MAX as usize, "entry too long");
    let tower = height * size_of::<Link>();
    let memory = arena.allocate(size_of::<Node>() + tower + key.len() + value.len());
    let node = memory.cast::<Node>();
    // SAFETY: the allocation has room for header, tower, key and value in this order and is aligned to 8;
    // nobody else knows it yet.
    unsafe {
        node.write(Node {
            trailer,
            value_len: value.len() as u32,
            key_len: key.len() as u32,
            height: height as u64,
        });
        let links = node.add(1).cast::<Link>();
        for level in 0..height {
            links.add(level).write(AtomicPtr::new(null_mut()));
        }
        let bytes = links.add(height).cast::<u8>().as_ptr();
        copy_nonoverlapping(key.as_ptr(), bytes, key.len());
        copy_nonoverlapping(value.as_ptr(), bytes.add(key.len()), value.len());
    }
    node
}

/// A position in a list that it keeps alive. Moves see entries inserted meanwhile.
pub(crate) struct Walker {
    list: Arc<Skiplist>,
    node: *const Node,
}

// SAFETY: `node` points into the list, which the walker keeps alive and which is Sync.
unsafe impl Send for Walker {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Walker {}

impl Walker {
    pub(crate) fn new(list: Arc<Skiplist>) -> Walker {
        Walker { list, node: null() }
    }

    /// To the first entry not before (`key`, `trailer`).
    pub(crate) fn seek(&mut self, key: &[u8], trailer: u64) {
        self.node = self.list.first_not_before(key, trailer);
    }

    /// To the first entry.
    pub(crate) fn seek_first(&mut self) {
        // SAFETY: the head is a node with every level.
        self.node = unsafe { Node::link(self.list.head.as_ptr(), 0).load(Ordering::Acquire) };
    }

    /// To the last entry before the first one with `key` or a greater key; `None` is the very last.
    pub(crate) fn seek_last_before(&mut self, key: Option<&[u8]>) {
        // Trailer 0 sorts before every entry of the key.
        self.node = self.list.last_before(key.map(|key| (key, 0)));
    }

    pub(crate) fn valid(&self) -> bool {
        !self.node.is_null()
    }

    /// To the next entry; the walker must be valid.
    pub(crate) fn next(&mut self) {
        assert!(self.valid(), "next on a walker that stands nowhere");
        // SAFETY: valid, so a node of the list.
        self.node = unsafe { Node::link(self.node, 0).load(Ordering::Acquire) };
    }

    /// To the entry before; the walker must be valid.
    pub(crate) fn prev(&mut self) {
        let (key, trailer) = (self.key(), self.trailer());
        self.node = self.list.last_before(Some((key, trailer)));
    }

    /// The key; the walker must be valid.
    pub(crate) fn key(&self) -> &[u8] {
        assert!(self.valid(), "key of a walker that stands nowhere");
        // SAFETY: valid, and the list lives at least as long as the borrow of self.
        unsafe { Node::key(self.node) }
    }

    /// The trailer; the walker must be valid.
    pub(crate) fn trailer(&self) -> u64 {
        assert!(self.valid(), "trailer of a walker that stands nowhere");
        // SAFETY: as in `key`.
        unsafe { (*self.node).trailer }
    }

    /// The value; the walker must be valid.
    pub(crate) fn value(&self) -> &[u8] {
        assert!(self.valid(), "value of a walker that stands nowhere");
        // SAFETY: as in `key`.
        unsafe { Node::value(self.node) }
    }

    /// The value for as long as the list lives: the caller keeps `list` beside it.
    pub(crate) fn value_owner(&self) -> ValueOwner {
        ValueOwner { _list: Arc::clone(&self.list), node: self.node }
    }
}

/// A value in a list that it keeps alive.
pub(crate) struct ValueOwner {
    _list: Arc<Skiplist>,
    node: *const Node,
}

// SAFETY: as for `Walker`.
unsafe impl Send for ValueOwner {}
// SAFETY: as for `Walker`.
unsafe impl Sync for ValueOwner {}

impl AsRef<[u8]> for ValueOwner {
    fn as_ref(&self) -> &[u8] {
        assert!(!self.node.is_null(), "value of a walker that stands nowhere");
        // SAFETY: a node of the list, which self keeps alive.
        unsafe { Node::value(self.node) }
    }
}

/// An entry borrowed from a list.
pub(crate) struct Found<'a> {
    pub(crate) trailer: u64,
    pub(crate) value: &'a [u8],
}

/// Keys of a sample from which a level of the list is dense enough.
const SAMPLE_MIN: usize = 64;

impl Skiplist {
    /// Keys from `start` on, up to where `is_past` says, and how many entries each stands for: those of the
    /// uppermost level that has enough of them.
    pub(crate) fn sample(&self, start: &[u8], is_past: impl Fn(&[u8]) -> bool) -> (Vec<&[u8]>, u64) {
        let mut previous = self.head.as_ptr();
        let mut keys: Vec<&[u8]> = Vec::new();
        let top = self.height.load(Ordering::Relaxed).max(1);
        for level in (0..top).rev() {
            keys.clear();
            let mut next;
            (previous, next) = self.walk(previous, level, start, 0);
            while !next.is_null() {
                // SAFETY: `next` is a node of this list that was reached on `level`; the key lives as long
                // as the list (I1).
                let (key, behind) =
                    unsafe { (Node::key(next), Node::link(next, level).load(Ordering::Acquire)) };
                if is_past(key) {
                    break;
                }
                keys.push(key);
                next = behind;
            }
            if keys.len() >= SAMPLE_MIN || level == 0 {
                return (keys, 4u64.pow(level as u32));
            }
        }
        (keys, 1)
    }

    /// The first entry of `key` that is not before `trailer`, for a lookup without a walker.
    pub(crate) fn find(&self, key: &[u8], trailer: u64) -> Option<Found<'_>> {
        let found = self.directory.get().map_or(Lookup::Unknown, |directory| directory.newest(key));
        let node = match found {
            Lookup::Absent => return None,
            Lookup::Newest(node) => self.older(node, key, trailer),
            Lookup::Unknown => {
                let before = self.lookups.0.fetch_add(1, Ordering::Relaxed);
                if before.is_multiple_of(LOOKUPS_A_STEP) {
                    self.help_directory();
                }
                self.first_not_before(key, trailer)
            }
        };
        // SAFETY: a node of this list or null, borrowed no longer than self.
        unsafe {
            if node.is_null() || Node::key(node) != key {
                return None;
            }
            Some(Found { trailer: (*node).trailer, value: Node::value(node) })
        }
    }

    /// The first node from `newest`, the newest entry of `key`, on that is not before `trailer`.
    fn older(&self, newest: *const Node, key: &[u8], trailer: u64) -> *const Node {
        let mut node = newest;
        for _ in 0..VERSIONS_STEPPED {
            // SAFETY: a node of this list. Versions of a key stand one behind the other, newest first.
            unsafe {
                if node.is_null() || (*node).trailer >= trailer || Node::key(node) != key {
                    return node;
                }
                node = Node::link(node, 0).load(Ordering::Acquire);
            }
        }
        self.first_not_before(key, trailer)
    }
}
