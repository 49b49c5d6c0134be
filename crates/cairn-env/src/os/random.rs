//! Randomness from the kernel.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;

use parking_lot::Mutex;

use crate::random::Random;

const BUFFER_BYTES: usize = 256;

/// Bytes of `/dev/urandom`, read 256 at a time. Where that device is missing (a bare chroot), the standard
/// library's hash keys serve, which also come from the kernel.
#[derive(Debug)]
pub(crate) struct OsRandom {
    state: Mutex<Buffer>,
}

#[derive(Debug)]
struct Buffer {
    device: Option<File>,
    bytes: [u8; BUFFER_BYTES],
    used: usize,
}

impl OsRandom {
    pub(crate) fn new() -> OsRandom {
        let device = File::open("/dev/urandom").ok();
        OsRandom { state: Mutex::new(Buffer { device, bytes: [0; BUFFER_BYTES], used: BUFFER_BYTES }) }
    }
}

impl Buffer {
    fn refill(&mut self) {
        let read = self.device.as_mut().is_some_and(|device| device.read_exact(&mut self.bytes).is_ok());
        if !read {
            for (i, chunk) in self.bytes.chunks_mut(8).enumerate() {
                chunk.copy_from_slice(&RandomState::new().hash_one(i).to_le_bytes());
            }
        }
        self.used = 0;
    }

    fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            if self.used == BUFFER_BYTES {
                self.refill();
            }
            let n = out.len().min(BUFFER_BYTES - self.used);
            out[..n].copy_from_slice(&self.bytes[self.used..self.used + n]);
            self.used += n;
            out = &mut out[n..];
        }
    }
}

impl Random for OsRandom {
    fn next_u64(&self) -> u64 {
        let mut word = [0; 8];
        self.state.lock().fill(&mut word);
        u64::from_le_bytes(word)
    }

    fn fill(&self, buf: &mut [u8]) {
        self.state.lock().fill(buf);
    }
}
