//! The bytes of a file in memory: chunks that appear when they are written, so that reserved space is free.

/// Bytes per chunk.
const CHUNK: usize = 16 * 1024;

/// A file's bytes. Everything never written reads as zeros.
///
/// Invariant I1: bytes of a chunk at or past `len` are zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    chunks: Vec<Option<Box<[u8]>>>,
    len: u64,
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Copies bytes out; returns how many there were.
    pub(crate) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let Some(left) = self.len.checked_sub(offset) else { return 0 };
        let n = (buf.len() as u64).min(left) as usize;
        let mut done = 0;
        while done < n {
            let at = offset as usize + done;
            let within = at % CHUNK;
            let part = (n - done).min(CHUNK - within);
            let target = &mut buf[done..done + part];
            match self.chunks.get(at / CHUNK) {
                Some(Some(chunk)) => target.copy_from_slice(&chunk[within..within + part]),
                _ => target.fill(0),
            }
            done += part;
        }
        n
    }

    /// Puts bytes in place, extending the file.
    pub(crate) fn write(&mut self, bytes: &[u8], offset: u64) {
        let end = offset as usize + bytes.len();
        if self.chunks.len() < end.div_ceil(CHUNK) {
            self.chunks.resize(end.div_ceil(CHUNK), None);
        }
        let mut done = 0;
        while done < bytes.len() {
            let at = offset as usize + done;
            let within = at % CHUNK;
            let part = (bytes.len() - done).min(CHUNK - within);
            let chunk = self.chunks[at / CHUNK].get_or_insert_with(|| vec![0; CHUNK].into_boxed_slice());
            chunk[within..within + part].copy_from_slice(&bytes[done..done + part]);
            done += part;
        }
        if !bytes.is_empty() {
            self.len = self.len.max(end as u64);
        }
    }

    /// Cuts or extends; new bytes are zeros.
    pub(crate) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let at = len as usize;
            self.chunks.truncate(at.div_ceil(CHUNK));
            let within = at % CHUNK;
            if within != 0
                && let Some(Some(chunk)) = self.chunks.get_mut(at / CHUNK)
            {
                chunk[within..].fill(0);
            }
        }
        self.len = len;
    }

    /// All bytes as one vector.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut out = vec![0; self.len as usize];
        self.read(&mut out, 0);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn behaves_like_a_vector() {
        let mut random = SeededRandom::new(1);
        let mut content = Content::default();
        let mut model: Vec<u8> = Vec::new();
        for _ in 0..2000 {
            let offset = random.below(60_000) as usize;
            match random.below(3) {
                0 => {
                    let mut bytes = vec![0; random.below(40_000) as usize];
                    random.fill(&mut bytes);
                    content.write(&bytes, offset as u64);
                    if !bytes.is_empty() {
                        model.resize(model.len().max(offset + bytes.len()), 0);
                        model[offset..offset + bytes.len()].copy_from_slice(&bytes);
                    }
                }
                1 => {
                    content.set_len(offset as u64);
                    model.resize(offset, 0);
                }
                _ => {
                    let mut bytes = vec![1; random.below(40_000) as usize];
                    let n = content.read(&mut bytes, offset as u64);
                    assert_eq!(n, bytes.len().min(model.len().saturating_sub(offset)));
                    assert_eq!(bytes[..n], model[offset.min(model.len())..][..n]);
                }
            }
            assert_eq!(content.len(), model.len() as u64);
        }
        assert_eq!(content.to_vec(), model);
    }
}
