//! Fixed-width little-endian fields: how every layout of this crate is read.
//!
//! Guarantees: reading is total. A read past the end is an error that names the field, never a panic,
//! and nothing is allocated from a length that the bytes themselves do not back.

use bytes::Bytes;

/// A field that is missing or makes no sense; the caller adds file and offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadField(pub(crate) String);

/// Reads fields one after another from a slice.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// Starts at the first byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, at: 0 }
    }

    /// The next `len` bytes.
    pub(crate) fn take(&mut self, len: usize, name: &str) -> Result<&'a [u8], BadField> {
        let left = self.bytes.len() - self.at;
        if len > left {
            return Err(BadField(format!("{name} needs {len} bytes, {left} are left")));
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    /// One byte.
    pub(crate) fn u8(&mut self, name: &str) -> Result<u8, BadField> {
        Ok(self.take(1, name)?[0])
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self, name: &str) -> Result<u32, BadField> {
        let bytes = self.take(4, name)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// Eight bytes.
    pub(crate) fn u64(&mut self, name: &str) -> Result<u64, BadField> {
        let bytes = self.take(8, name)?;
        Ok(u64_at(bytes, 0))
    }

    /// A byte string with its length in four bytes before it.
    pub(crate) fn string(&mut self, name: &str) -> Result<Bytes, BadField> {
        let len = self.u32(name)? as usize;
        Ok(Bytes::copy_from_slice(self.take(len, name)?))
    }

    /// Whether every byte was read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Every byte must have been read.
    pub(crate) fn end(&self) -> Result<(), BadField> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            left => Err(BadField(format!("{left} bytes follow the last field"))),
        }
    }
}

/// Appends a byte string that [`Fields::string`] reads.
pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The `u16` at `at`; the caller has checked the bounds.
#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let mut field = [0; 2];
    field.copy_from_slice(&bytes[at..at + 2]);
    u16::from_le_bytes(field)
}

/// The `u32` at `at`; the caller has checked the bounds.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(field)
}

/// The `u64` at `at`; the caller has checked the bounds.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_there_and_no_more() {
        let mut out = vec![7];
        put_string(&mut out, b"abc");
        let mut fields = Fields::new(&out);
        assert_eq!(fields.u8("first"), Ok(7));
        assert_eq!(fields.string("name"), Ok(Bytes::from_static(b"abc")));
        assert!(fields.is_at_end());
        assert!(fields.u32("more").is_err());
        let mut short = Fields::new(&[255, 255, 255, 255]);
        assert!(short.string("name").is_err());
    }
}
