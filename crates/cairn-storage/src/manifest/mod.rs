//! What the database consists of: its identity, which manifest is current, and the manifest, a log
//! of edits to the set of files. Specified in `docs/format/manifest.md`.
//!
//! ```text
//! CAIRN (identity, two copies)   CURRENT ──names──▶ MANIFEST-n ──names──▶ SSTs, log floor
//! ```

pub(crate) mod format;
pub(crate) mod identity;
pub(crate) mod log;
#[cfg(test)]
mod tests;
