//! Memory of blocks that were evicted, for the blocks that come in their place.
//!
//! Blocks are loaded by one thread and evicted by another, and no two are equally long: left to the allocator,
//! which keeps freed memory by thread and by size, a cache of 256 MiB came to hold 700 MiB of the system's
//! memory. Here sizes are rounded up to a few classes, and what is freed serves the next load, on any thread.
//!
//! Guarantees:
//! - I1: a buffer that is given out has one owner.
//! - I2: not more than the bytes allowed are held back.

use std::iter::repeat_n;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

/// Sizes up to [`FINE_BYTES_MAX`] are multiples of this.
const STEP: usize = 512;
const FINE_BYTES_MAX: usize = 16 << 10;
/// From there on a size has its three uppermost bits and no others, up to here; longer ones are not kept.
const POOLED_BYTES_MAX: usize = 1 << 20;
const FINE: usize = FINE_BYTES_MAX / STEP;
const CLASSES: usize = FINE + 1 + 4 * (POOLED_BYTES_MAX / FINE_BYTES_MAX).ilog2() as usize;

/// The class of a length and the bytes of its buffers; `None` for what is not kept.
fn class(len: usize) -> Option<(usize, usize)> {
    if len <= FINE_BYTES_MAX {
        let steps = len.div_ceil(STEP);
        return Some((steps, steps * STEP));
    }
    if len > POOLED_BYTES_MAX {
        return None;
    }
    let power = (len - 1).ilog2();
    let quarter = 1 << (power - 2);
    let quarters = len.div_ceil(quarter);
    Some((FINE + 4 * (power - FINE_BYTES_MAX.ilog2()) as usize + quarters - 4, quarters * quarter))
}

/// Free buffers of one size.
type Shelf = Mutex<Vec<Arc<[u8]>>>;

/// Free buffers by class.
#[derive(Debug)]
pub(super) struct Buffers {
    free: Box<[Shelf]>,
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Buffers {
    /// None yet, and at most `bytes_max` bytes of them later.
    pub(super) fn new(bytes_max: usize) -> Buffers {
        let free = (0..CLASSES).map(|_| Shelf::default()).collect();
        Buffers { free, bytes: AtomicUsize::new(0), bytes_max }
    }

    /// The bytes that may be held back.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// A buffer of at least `len` bytes, of any content, which nobody else holds (I1).
    pub(super) fn take(&self, len: usize) -> Arc<[u8]> {
        let Some((class, bytes)) = class(len) else { return repeat_n(0, len).collect() };
        let kept = self.free[class].lock().pop();
        match kept {
            Some(buffer) => {
                self.bytes.fetch_sub(bytes, Ordering::Relaxed);
                buffer
            }
            None => repeat_n(0, bytes).collect(),
        }
    }

    /// Keeps a buffer for later, unless somebody still reads it, it is of another size, or there are enough.
    pub(super) fn give(&self, mut buffer: Arc<[u8]>) {
        let len = buffer.len();
        let Some((class, bytes)) = class(len) else { return };
        if bytes != len || Arc::get_mut(&mut buffer).is_none() {
            return;
        }
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > self.bytes_max {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return;
        }
        self.free[class].lock().push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_all_lengths_and_waste_little() {
        let mut last = (0, 0);
        for len in 0..=POOLED_BYTES_MAX {
            let (number, bytes) = class(len).expect("a class");
            assert!(bytes >= len && bytes - len < (len / 4).max(STEP), "{len} takes {bytes}");
            assert!(number < CLASSES && class(bytes) == Some((number, bytes)), "{len}");
            assert!((number, bytes) == last || number == last.0 + 1 && bytes > last.1, "{len}");
            last = (number, bytes);
        }
        assert_eq!(class(POOLED_BYTES_MAX + 1), None);
        assert_eq!(last.0 + 1, CLASSES);
    }

    #[test]
    fn buffers_come_back_unless_they_are_read() {
        let buffers = Buffers::new(4096);
        let (mut first, second) = (buffers.take(1000), buffers.take(1000));
        Arc::get_mut(&mut first).expect("I1: one owner")[0] = 7;
        let address = first.as_ptr();
        let reader = Arc::clone(&second);
        buffers.give(first);
        buffers.give(second);
        let again = buffers.take(900);
        assert_eq!((again.len(), again[0], again.as_ptr()), (1024, 7, address));
        assert_eq!(buffers.take(900)[0], 0, "the other one is still read");
        assert_eq!(reader.len(), 1024);
        let many: Vec<_> = (0..10).map(|_| buffers.take(1024)).collect();
        many.into_iter().for_each(|buffer| buffers.give(buffer));
        assert_eq!(buffers.bytes.load(Ordering::Relaxed), 4096, "I2: no more than allowed");
        buffers.give(buffers.take(2 << 20));
        buffers.give(Arc::from(vec![0; 1000]));
        assert_eq!(buffers.bytes.load(Ordering::Relaxed), 4096);
    }
}
