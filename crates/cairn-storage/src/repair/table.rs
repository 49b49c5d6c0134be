//! What is left of a damaged SST: every block whose checksum is right for its place, indexes or not.
//!
//! The last page of a block tells how many pages the block has; so each page is asked whether it is a last
//! one, and the checksum over all of them decides. No index is needed to find the blocks.
//!
//! Invariants:
//! - I1: what is salvaged was checked as every read checks it: place, checksum, structure.
//! - I2: nothing counts as lost only where the properties say how many rows and range deletes there were, and
//!   all of them were found.

use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use cairn_env::{Env, OpenMode};

use super::Loss;
use super::values::value_of;
use crate::blob::Blobs;
use crate::error::{Error, Result};
use crate::fields::{Fields, u32_at};
use crate::key::{Kind, RangeTombstone, SEQ_MAX};
use crate::manifest::format::FileMeta;
use crate::memtable::{Hint, Memtable};
use crate::range::KeyRange;
use crate::sst::block::Block;
use crate::sst::format::{BlockKind, FileId, Handle, PAGE, Properties, TRAILER};
use crate::sst::source::Source;
use crate::sst::tombstones;

/// What a damaged file gave.
pub(super) struct Salvaged {
    pub(super) table: Memtable,
    pub(super) lost: Vec<Loss>,
}

/// A block that was found whole.
struct Found {
    handle: Handle,
    /// First and last key, of a data block.
    keys: Option<(Bytes, Bytes)>,
}

struct Salvage<'a> {
    source: &'a Source,
    meta: Option<&'a FileMeta>,
    properties: Option<Properties>,
    table: Memtable,
    hint: Hint,
    rows: u64,
    tombstones: Option<Vec<RangeTombstone>>,
    found: Vec<Found>,
    blobs: &'a Blobs,
    values_lost: Vec<Loss>,
}

/// Reads every sound block of a file; `meta` is what the manifest says of it, where it says anything.
pub(super) fn salvage(
    env: &Env,
    path: &Path,
    id: FileId,
    meta: Option<&FileMeta>,
    blobs: &Blobs,
) -> Result<Salvaged> {
    let file = env.files().open(path, OpenMode::Read).map_err(|e| Error::io("open", path, e))?;
    let len = file.len().map_err(|e| Error::io("read the length of", path, e))?;
    // Whole pages only: a piece of one holds no block.
    let source = Source { file, path: path.to_path_buf(), id, len: len / PAGE as u64 * PAGE as u64 };
    let mut salvage = Salvage {
        source: &source,
        meta,
        properties: None,
        table: Memtable::new(),
        hint: Hint::default(),
        rows: 0,
        tombstones: None,
        found: Vec::new(),
        blobs,
        values_lost: Vec::new(),
    };
    for handle in extents(&source)? {
        salvage.take(handle)?;
    }
    for one in salvage.tombstones.iter().flatten() {
        salvage.table.delete_range(&one.start, &one.end, one.seq);
    }
    let mut lost = salvage.losses();
    lost.append(&mut salvage.values_lost);
    Ok(Salvaged { table: salvage.table, lost })
}

/// The places of all blocks whose checksum is right, in file order.
fn extents(source: &Source) -> Result<Vec<Handle>> {
    const WINDOW: u64 = 1 << 20;
    let mut found: Vec<Handle> = Vec::new();
    let mut start = PAGE as u64;
    while start < source.len {
        let bytes = source.read(start, WINDOW.min(source.len - start) as usize)?;
        for (at, page) in bytes.chunks_exact(PAGE).enumerate() {
            let last = start / PAGE as u64 + at as u64;
            let stored = u32_at(page, PAGE - TRAILER) as usize;
            let pages = (stored + TRAILER).div_ceil(PAGE) as u64;
            if pages > last {
                continue;
            }
            let (Ok(first), Ok(pages)) = (u32::try_from(last + 1 - pages), u32::try_from(pages)) else {
                continue;
            };
            let handle = Handle { page: first, pages };
            let whole = source.read(handle.offset(), handle.len() as usize)?;
            if crate::sst::format::open_extent(&whole, source.id.number, handle.offset()).is_ok() {
                found.retain(|other| other.page < first);
                found.push(handle);
            }
        }
        start += bytes.len() as u64;
    }
    Ok(found)
}

impl Salvage<'_> {
    /// Takes what a block holds. A block that is whole but not understood counts as lost.
    fn take(&mut self, handle: Handle) -> Result<()> {
        let bytes = self.source.read(handle.offset(), handle.len() as usize)?;
        let Ok(extent) = crate::sst::format::open_extent(&bytes, self.source.id.number, handle.offset())
        else {
            return Ok(());
        };
        let Ok(body) = self.source.unpack(&extent, handle) else { return Ok(()) };
        let mut keys = None;
        match extent.kind {
            BlockKind::Data => {
                let Ok(block) = Block::check(&body[..]) else { return Ok(()) };
                let shift = self.meta.map_or(0, |meta| meta.seq_shift);
                keys = Some(self.take_rows(&block.shifted(shift))?);
            }
            BlockKind::Tombstones => {
                let Ok(all) = tombstones::decode(&body) else { return Ok(()) };
                self.tombstones = Some(all);
            }
            BlockKind::Properties => {
                let mut fields = Fields::new(&body);
                let read = Properties::read(&mut fields).ok();
                self.properties = read.filter(|_| fields.is_at_end());
            }
            _ => {}
        }
        self.found.push(Found { handle, keys });
        Ok(())
    }

    fn take_rows(&mut self, block: &Block<&[u8]>) -> Result<(Bytes, Bytes)> {
        let key = |row: usize| [block.common(), block.rest(row)].concat();
        for row in (0..block.len()).filter(|&row| block.seq(row) <= SEQ_MAX) {
            self.rows += 1;
            let key = key(row);
            if block.kind(row) == Kind::Blob {
                let value = value_of(self.blobs, &key, block.value(row), &mut self.values_lost)?;
                if let Some(value) = value {
                    self.table.insert(&key, block.seq(row), Kind::Put, &value, &mut self.hint);
                }
                continue;
            }
            self.table.insert(&key, block.seq(row), block.kind(row), block.value(row), &mut self.hint);
        }
        Ok((key(0).into(), key(block.len() - 1).into()))
    }

    /// What is known of the whole file, from itself or from the manifest.
    fn facts(&self) -> Option<&Properties> {
        self.properties.as_ref().or(self.meta.map(|meta| &meta.properties))
    }

    fn all_keys(&self) -> KeyRange {
        let Some(facts) = self.facts() else { return KeyRange::all() };
        KeyRange::new(Bound::Included(facts.smallest.clone()), Bound::Included(facts.largest.clone()))
    }

    /// What is not there (I2).
    fn losses(&self) -> Vec<Loss> {
        let facts = self.facts();
        let mut lost = Vec::new();
        let wanted = facts.map(|facts| facts.range_tombstones);
        let have = self.tombstones.as_ref().map_or(0, |all| all.len() as u64);
        let rows_whole = facts.is_some_and(|facts| facts.entries == self.rows);
        let gaps = self.gaps();
        if wanted != Some(have) && !(wanted.is_none() && self.tombstones.is_some()) {
            let offset = gaps.first().map_or(0, |gap| gap.0);
            let what = "range deletes: keys that they deleted may be back";
            lost.push(self.loss(offset, self.all_keys(), what));
        }
        if rows_whole {
            return lost;
        }
        for (offset, before, behind) in gaps {
            let start = before.map(Bound::Included);
            let end = behind.map(Bound::Included);
            let all = self.all_keys();
            let keys = KeyRange::new(start.unwrap_or(all.start), end.unwrap_or(all.end));
            lost.push(self.loss(offset, keys, "rows of the blocks here"));
        }
        lost
    }

    fn loss(&self, offset: u64, keys: KeyRange, what: &str) -> Loss {
        let file = self.source.path.clone();
        Loss { file, offset, keys, commits: None, what: what.to_owned() }
    }

    /// Where pages belong to no sound block: offset, the last key before and the first key behind.
    fn gaps(&self) -> Vec<(u64, Option<Bytes>, Option<Bytes>)> {
        let footer = self.source.len.saturating_sub(PAGE as u64) / PAGE as u64;
        // A file that was cut ends in a gap, wherever its footer was.
        let short = self.meta.is_none_or(|meta| meta.file_len != self.source.len);
        let end = if short { u64::MAX } else { footer };
        let mut gaps = Vec::new();
        let mut next = 1;
        for (at, found) in self.found.iter().enumerate() {
            let page = u64::from(found.handle.page);
            if page > next {
                gaps.push((next, at));
            }
            next = page + u64::from(found.handle.pages);
        }
        if next < end {
            gaps.push((next, self.found.len()));
        }
        let place = |(page, at): (u64, usize)| {
            let before = self.found[..at].iter().rev().find_map(|found| found.keys.as_ref());
            let behind = self.found[at..].iter().find_map(|found| found.keys.as_ref());
            let (before, behind) = (before.map(|keys| keys.1.clone()), behind.map(|keys| keys.0.clone()));
            (page * PAGE as u64, before, behind)
        };
        gaps.into_iter().map(place).collect()
    }
}
