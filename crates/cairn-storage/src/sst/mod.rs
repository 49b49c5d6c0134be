//! Sorted files (SST): immutable, checksummed, searched without decoding.
//!
//! Written once by [`writer`], read through [`reader`] (point lookups and cursors). The bytes are
//! specified in `docs/format/sst.md` and laid out in [`format`], [`block`] (rows), [`index`] (which
//! block), [`filter`] (whether at all) and [`tombstones`] (deleted ranges).

pub(crate) mod block;
pub(crate) mod codec;
pub(crate) mod cursor;
pub(crate) mod filter;
pub(crate) mod format;
pub(crate) mod index;
pub(crate) mod reader;
pub(crate) mod source;
pub(crate) mod tombstones;
pub(crate) mod verify;
pub(crate) mod writer;

#[cfg(test)]
mod tests;
