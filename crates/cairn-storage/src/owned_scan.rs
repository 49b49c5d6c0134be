//! A scan whose entries may be kept: an iterator over shared bytes.
//!
//! Short entries are copied a few dozen at a time into one buffer that they share, which costs less than two
//! allocations for each; long values share the memory that they are read from.
//!
//! Guarantees: how far the scan reads ahead of what was asked for is bounded by `BATCH_MAX` entries, and it
//! begins with one; an error comes after the entries read before it.

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::visible::Scan;

/// An entry that is kept keeps the buffer of its batch: at most about so many bytes.
const BATCH_BYTES: usize = 8 << 10;
/// Entries read at once at most.
const BATCH_MAX: usize = 64;
/// Longer values are not copied.
const COPIED_VALUE_MAX: usize = 512;

/// The entries of a [`Scan`] as an `Iterator`; made by [`Scan::owned`]. It ends after an error.
#[derive(Debug)]
pub struct OwnedScan {
    scan: Scan,
    /// Bytes left out at the beginning of each key.
    stripped: usize,
    batch: Bytes,
    /// Lengths of keys and values in the batch.
    lens: Vec<(usize, usize)>,
    next: usize,
    /// Where the next entry begins in the batch.
    start: usize,
    /// Entries of the next batch; 0 = one entry that is not copied.
    wanted: usize,
    failed: Option<Error>,
    ended: bool,
}

impl OwnedScan {
    pub(crate) fn new(scan: Scan) -> OwnedScan {
        OwnedScan {
            scan,
            stripped: 0,
            batch: Bytes::new(),
            lens: Vec::new(),
            next: 0,
            start: 0,
            wanted: 0,
            failed: None,
            ended: false,
        }
    }

    /// The same without the first `bytes` bytes of each key, which all keys of the range have.
    pub fn stripped(self, bytes: usize) -> OwnedScan {
        OwnedScan { stripped: bytes, ..self }
    }

    /// The next entry, lent until the next call: the quickest way through many entries.
    ///
    /// # Errors
    /// As [`Scan::next`].
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        if let Some((start, middle, end)) = self.take_place() {
            return Ok(Some((&self.batch[start..middle], &self.batch[middle..end])));
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let stripped = self.stripped;
        Ok(self.scan.next()?.map(|(key, value)| (&key[stripped..], value)))
    }

    /// Where the next entry of the batch lies.
    #[inline]
    fn take_place(&mut self) -> Option<(usize, usize, usize)> {
        let &(key_len, value_len) = self.lens.get(self.next)?;
        let start = self.start;
        self.next += 1;
        self.start = start + key_len + value_len;
        Some((start, start + key_len, self.start))
    }

    /// Reads the next batch; false where the next entry is not to be copied.
    fn fill(&mut self) -> bool {
        self.lens.clear();
        (self.next, self.start) = (0, 0);
        let mut bytes = Vec::with_capacity(self.batch.len());
        let (lens, stripped) = (&mut self.lens, self.stripped);
        let mut long = false;
        let read = self.scan.next_many(self.wanted, |key, value| {
            bytes.extend_from_slice(&key[stripped..]);
            bytes.extend_from_slice(value);
            lens.push((key.len() - stripped, value.len()));
            long = value.len() > COPIED_VALUE_MAX;
            !long && bytes.len() < BATCH_BYTES
        });
        self.batch = Bytes::from(bytes);
        self.wanted = if long { 0 } else { (4 * self.wanted).min(BATCH_MAX) };
        self.failed = read.err();
        !self.lens.is_empty()
    }

    fn next_alone(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some((key, value)) = self.scan.next_bytes()? else { return Ok(None) };
        if value.len() <= COPIED_VALUE_MAX {
            self.wanted = 2;
        }
        Ok(Some((key.slice(self.stripped..), value)))
    }
}

impl Iterator for OwnedScan {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((start, middle, end)) = self.take_place() {
                return Some(Ok((self.batch.slice(start..middle), self.batch.slice(middle..end))));
            }
            if self.ended {
                return None;
            }
            if self.failed.is_none() && self.wanted > 0 && self.fill() {
                continue;
            }
            let next = self.next_alone();
            self.ended = !matches!(next, Ok(Some(_)));
            return next.transpose();
        }
    }
}
