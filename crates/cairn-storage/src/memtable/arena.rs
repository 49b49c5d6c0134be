//! Bump allocation for skiplist nodes: memory that is given back only as a whole.
//!
//! Guarantees: what `allocate` returns is aligned to 8, zeroed never, private to the caller, and stays
//! where it is until the arena is dropped. Allocation is lock-free but where a new chunk is needed.
//!
//! Invariants:
//! - I1: a chunk is never moved or freed before the arena is dropped; `chunks` keeps every one.
//! - I2: `used` of a chunk only grows, by fetch-and-add, so no byte is handed out twice.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{NonNull, null_mut};

use crate::sync::{AtomicPtr, AtomicUsize, Mutex, Ordering};

const FIRST_CHUNK_BYTES: usize = 2048;
const CHUNK_BYTES_MAX: usize = 1 << 20;
const ALIGN: usize = 8;

struct Chunk {
    memory: NonNull<u8>,
    size: usize,
    used: AtomicUsize,
}

/// The allocator.
pub(super) struct Arena {
    current: AtomicPtr<Chunk>,
    // Boxed: `current` points at the chunk's header, which must stay when the vector grows.
    #[allow(clippy::vec_box)]
    chunks: Mutex<Vec<Box<Chunk>>>,
    allocated: AtomicUsize,
}

// SAFETY: the chunks' memory is plain bytes without thread affinity; handing it out is atomic (I2), the
// list of chunks is under a mutex.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    pub(super) fn new() -> Arena {
        Arena {
            current: AtomicPtr::new(null_mut()),
            chunks: Mutex::new(Vec::new()),
            allocated: AtomicUsize::new(0),
        }
    }

    /// Bytes taken from the system.
    pub(super) fn allocated(&self) -> usize {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Memory for `size` bytes, aligned to 8, not initialised.
    pub(super) fn allocate(&self, size: usize) -> NonNull<u8> {
        let size = size.next_multiple_of(ALIGN);
        loop {
            let current = self.current.load(Ordering::Acquire);
            // SAFETY: `current` is null or points at a chunk that lives as long as self (I1).
            if let Some(chunk) = unsafe { current.as_ref() }
                && let Some(memory) = chunk.take(size)
            {
                return memory;
            }
            if let Some(memory) = self.grow(current, size) {
                return memory;
            }
        }
    }

    /// Adds a chunk that has room for `size`, unless another thread replaced `full` meanwhile.
    fn grow(&self, full: *mut Chunk, size: usize) -> Option<NonNull<u8>> {
        let mut chunks = self.chunks.lock();
        if self.current.load(Ordering::Acquire) != full {
            return None;
        }
        let usual = (FIRST_CHUNK_BYTES << chunks.len().min(16)).min(CHUNK_BYTES_MAX);
        if size > usual / 4 {
            // A chunk of its own, so that the rest of the current one is not wasted.
            let chunk = Box::new(Chunk::new(size));
            self.allocated.fetch_add(size, Ordering::Relaxed);
            let memory = chunk.take(size);
            chunks.push(chunk);
            return memory;
        }
        let chunk = Box::new(Chunk::new(usual));
        self.allocated.fetch_add(usual, Ordering::Relaxed);
        let memory = chunk.take(size);
        let pointer: *const Chunk = &*chunk;
        chunks.push(chunk);
        self.current.store(pointer.cast_mut(), Ordering::Release);
        memory
    }
}

impl Chunk {
    fn new(size: usize) -> Chunk {
        let layout = Chunk::layout(size);
        // SAFETY: the layout's size is not zero: callers ask for at least one aligned word.
        let memory = unsafe { alloc(layout) };
        let Some(memory) = NonNull::new(memory) else { handle_alloc_error(layout) };
        Chunk { memory, size, used: AtomicUsize::new(0) }
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size.max(ALIGN), ALIGN).expect("I2: chunk sizes are far below isize::MAX")
    }

    fn take(&self, size: usize) -> Option<NonNull<u8>> {
        if self.used.load(Ordering::Relaxed).saturating_add(size) > self.size {
            return None;
        }
        let offset = self.used.fetch_add(size, Ordering::Relaxed);
        if offset.saturating_add(size) > self.size {
            return None;
        }
        // SAFETY: offset + size lies inside the chunk's allocation, and by I2 nobody else has the bytes.
        Some(unsafe { self.memory.add(offset) })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout; the arena's users are gone (I1).
        unsafe { dealloc(self.memory.as_ptr(), Chunk::layout(self.size)) }
    }
}
