//! Writes one SST, rows in order, in one pass.
//!
//! ```text
//! header | (data blocks, filter, leaf) of partition 1 | … | tombstones | top | properties | footer
//! ```
//! The length of a block before compression follows the ratio seen so far, so that what is stored
//! just fills whole pages; a block that misses by much is laid out again with fewer rows.
//!
//! Guarantees: [`SstWriter::finish`] returns only after the file is synced (its name is durable after
//! a sync of the directory, the caller's duty); a writer that is dropped before that removes its file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cairn_env::{Env, File, OpenMode};
use xxhash_rust::xxh3::Xxh3;

use super::block::BlockBuilder;
use super::codec::{Codec, Compressor};
use super::filter::{self, Filter};
use super::format::{
    BlockKind, FileId, Footer, Handle, PAGE, Properties, TRAILER, VERSION_EXTENDED, VERSION_PLAIN,
    encode_header, seal_extent,
};
use super::index::{IndexBuilder, separator};
use super::tombstones;
use crate::blob::format::{BlobUse, Pointer, encode_uses};
use crate::error::{Error, Result};
use crate::key::{CommitSeq, Kind, RangeTombstone};
use crate::options::Compression;

/// A block is cut at this length before compression, however well it compresses.
const RAW_BLOCK_MAX: usize = 32 << 10;
/// A leaf of the index is closed at this length.
const LEAF_BYTES: usize = 4 * PAGE - 512;
/// A block is aimed at so much less than a page as blocks compress differently: one that does not fit is compressed again.
const MARGIN: f64 = 1.012;
/// Finished extents are handed to the file in pieces of this size.
const WRITE_BYTES: usize = 1 << 20;

/// How a file is laid out: what the options say for its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Compresses data blocks.
    pub(crate) compression: Compression,
    /// Bytes of a block on disk aimed at.
    pub(crate) block_bytes: usize,
    /// Filter bits per key; 0 = no filter.
    pub(crate) filter_bits: u32,
    /// Rows may point to blob files.
    pub(crate) blobs: bool,
}

impl Layout {
    /// The oldest format version that has all of it.
    fn version(self) -> u32 {
        let extended = self.blobs || matches!(self.compression, Compression::Zstd(_));
        if extended { VERSION_EXTENDED } else { VERSION_PLAIN }
    }
}

/// A file that was written and synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its length.
    pub(crate) file_len: u64,
    /// The hash that names its content.
    pub(crate) content_hash: u64,
    /// What is in it.
    pub(crate) properties: Properties,
    /// The blob files that it uses, by number.
    pub(crate) blobs: Vec<BlobUse>,
}

/// Writes one file.
pub(crate) struct SstWriter {
    env: Env,
    file: Arc<dyn File>,
    path: PathBuf,
    id: FileId,
    layout: Layout,
    rows: BlockBuilder,
    leaf: IndexBuilder,
    top: IndexBuilder,
    hashes: Vec<u64>,
    /// The last block written, whose separator is known with the first key of the next.
    pending: Option<(Vec<u8>, Handle)>,
    properties: Properties,
    blobs: BTreeMap<u64, u64>,
    sums: Xxh3,
    /// Bytes stored for each byte that the builder estimates.
    ratio: f64,
    raw: Vec<u8>,
    packed: Vec<u8>,
    compressor: Compressor,
    buffer: Vec<u8>,
    written: u64,
    finished: bool,
}

impl SstWriter {
    /// Creates the file.
    pub(crate) fn create(env: &Env, path: &Path, id: FileId, layout: Layout) -> Result<SstWriter> {
        let file = env.files().open(path, OpenMode::CreateNew).map_err(|e| Error::io("create", path, e))?;
        Ok(SstWriter {
            env: env.clone(),
            file,
            path: path.to_path_buf(),
            id,
            layout,
            rows: BlockBuilder::default(),
            leaf: IndexBuilder::default(),
            top: IndexBuilder::default(),
            hashes: Vec::new(),
            pending: None,
            properties: Properties {
                smallest: Bytes::new(),
                largest: Bytes::new(),
                largest_excluded: false,
                min_seq: CommitSeq::MAX,
                max_seq: 0,
                entries: 0,
                keys: 0,
                deletes: 0,
                range_tombstones: 0,
                raw_bytes: 0,
                data_blocks: 0,
            },
            blobs: BTreeMap::new(),
            sums: Xxh3::new(),
            ratio: if layout.compression == Compression::None { 1.0 } else { 0.6 },
            raw: Vec::new(),
            packed: Vec::new(),
            compressor: Compressor::new(layout.compression),
            buffer: encode_header(layout.version(), id),
            written: 0,
            finished: false,
        })
    }

    /// Adds a row behind the last one in the order of entries.
    pub(crate) fn add(&mut self, key: &[u8], seq: CommitSeq, kind: Kind, value: &[u8]) -> Result<()> {
        let row_bytes = key.len() + value.len() + 8;
        let last = match self.rows.len() {
            0 => self.pending.as_ref().map(|(last, _)| &last[..]),
            n => Some(self.rows.key(n - 1)),
        };
        self.properties.keys += u64::from(last != Some(key));
        if self.rows.len() > 0 && self.is_full_before(row_bytes) {
            self.write_block()?;
        }
        let facts = &mut self.properties;
        if facts.entries == 0 {
            facts.smallest = Bytes::copy_from_slice(key);
        }
        facts.min_seq = facts.min_seq.min(seq);
        facts.max_seq = facts.max_seq.max(seq);
        facts.entries += 1;
        facts.deletes += u64::from(kind == Kind::Delete);
        facts.raw_bytes += (key.len() + value.len()) as u64;
        if let Some(pointer) = Pointer::decode(value).filter(|_| kind == Kind::Blob) {
            *self.blobs.entry(pointer.file).or_default() += u64::from(pointer.record_len);
        }
        self.rows.add(key, seq, kind, value);
        Ok(())
    }

    /// Whether the rows collected make a good block that one more row would spoil.
    fn is_full_before(&self, row_bytes: usize) -> bool {
        let raw = self.rows.estimate();
        if raw >= RAW_BLOCK_MAX {
            return true;
        }
        let ratio = self.ratio * if self.layout.compression == Compression::None { 1.0 } else { MARGIN };
        let stored = (raw as f64 * ratio) as usize + TRAILER;
        let with_row = ((raw + row_bytes) as f64 * ratio) as usize + TRAILER;
        with_row > self.layout.block_bytes && is_well_filled(stored)
    }

    /// Number of rows added.
    pub(crate) fn entries(&self) -> u64 {
        self.properties.entries
    }

    /// About the length of the file if it were finished now.
    pub(crate) fn estimated_len(&self) -> u64 {
        self.written
            + self.buffer.len() as u64
            + (self.rows.estimate() as f64 * self.ratio) as u64
            + (self.hashes.len() as u64 * u64::from(self.layout.filter_bits) / 8)
    }

    fn write_block(&mut self) -> Result<()> {
        let mut n = self.rows.len();
        let mut tries = 0;
        let compressed_from = loop {
            self.rows.encode(n, &mut self.raw);
            let (len, compressed_from) = self.compress(n);
            let pages = (len + TRAILER).div_ceil(PAGE);
            let fewer = n * ((pages - 1) * PAGE).saturating_sub(TRAILER) / len.max(1) * 97 / 100;
            if tries == 2 || fewer == 0 || is_well_filled(len + TRAILER) {
                break compressed_from;
            }
            n = fewer;
            tries += 1;
        };
        let first = self.rows.key(0);
        if let Some((last, handle)) = self.pending.take() {
            self.leaf.add(&separator(&last, first), &[handle]);
            if self.leaf.estimate() >= LEAF_BYTES {
                self.close_partition()?;
            }
        }
        let mut newest = None;
        for i in 0..n {
            let hash = filter::hash(self.rows.key(i));
            if newest != Some(hash) && self.layout.filter_bits > 0 {
                self.hashes.push(hash);
            }
            newest = Some(hash);
        }
        let mut body =
            std::mem::take(if compressed_from.is_some() { &mut self.packed } else { &mut self.raw });
        let handle = self.write_extent(&mut body, BlockKind::Data, compressed_from)?;
        *(if compressed_from.is_some() { &mut self.packed } else { &mut self.raw }) = body;
        self.pending = Some((self.rows.key(n - 1).to_vec(), handle));
        self.properties.data_blocks += 1;
        self.rows.remove(n);
        Ok(())
    }

    /// Compresses `raw`, the first `n` rows, to `packed`. The length to be fitted into pages, and codec and length
    /// before where compression saves a page.
    fn compress(&mut self, n: usize) -> (usize, Option<(Codec, usize)>) {
        let (raw, codec) = (self.raw.len(), self.compressor.compress(&self.raw, &mut self.packed));
        let packed = codec.map_or(raw, |_| self.packed.len());
        let saves = (packed + TRAILER).div_ceil(PAGE) < (raw + TRAILER).div_ceil(PAGE);
        let len = if saves || packed * 10 < raw * 9 { packed } else { raw };
        let ratio = len as f64 / self.rows.estimate_of(n) as f64;
        self.ratio = (0.75 * self.ratio + 0.25 * ratio).clamp(0.02, 2.0);
        (len, codec.filter(|_| saves).map(|codec| (codec, raw)))
    }

    fn write_extent(
        &mut self,
        body: &mut Vec<u8>,
        kind: BlockKind,
        compressed_from: Option<(Codec, usize)>,
    ) -> Result<Handle> {
        let offset = self.written + self.buffer.len() as u64;
        let sum = seal_extent(body, kind, compressed_from, self.id.number, offset);
        self.sums.update(&sum.to_le_bytes());
        let page = u32::try_from(offset / PAGE as u64)
            .map_err(|_| Error::InvalidArgument("a sorted file would be longer than 16 TiB".into()))?;
        let handle = Handle { page, pages: (body.len() / PAGE) as u32 };
        self.buffer.extend_from_slice(body);
        if self.buffer.len() >= WRITE_BYTES {
            self.write_buffer()?;
        }
        Ok(handle)
    }

    fn write_buffer(&mut self) -> Result<()> {
        self.file.write_all_at(&self.buffer, self.written).map_err(|e| Error::io("write", &self.path, e))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the filter and the leaf of the partition, and enters them in the top index.
    fn close_partition(&mut self) -> Result<()> {
        let separator = self.leaf.last_separator().to_vec();
        let mut filter_handle = Handle::default();
        if self.layout.filter_bits > 0 {
            // Versions of one key may lie in two blocks; a hash more does no harm.
            let mut body = Filter::encode(&self.hashes, self.layout.filter_bits);
            self.hashes.clear();
            filter_handle = self.write_extent(&mut body, BlockKind::Filter, None)?;
        }
        let mut body = self.leaf.finish(1);
        let leaf_handle = self.write_extent(&mut body, BlockKind::Leaf, None)?;
        self.top.add(&separator, &[leaf_handle, filter_handle]);
        Ok(())
    }

    /// Writes what is left, with the range tombstones of the file, and syncs. The file must not be
    /// empty: a row or a tombstone at least.
    pub(crate) fn finish(mut self, deleted: &[RangeTombstone]) -> Result<Written> {
        assert!(self.properties.entries > 0 || !deleted.is_empty(), "an SST holds something");
        while self.rows.len() > 0 {
            self.write_block()?;
        }
        if let Some((last, handle)) = self.pending.take() {
            self.properties.largest = Bytes::copy_from_slice(&last);
            self.leaf.add(&last, &[handle]);
            self.close_partition()?;
        }
        let mut footer = Footer {
            top: Handle::default(),
            tombstones: Handle::default(),
            properties: Handle::default(),
            content_hash: 0,
            file_len: 0,
            blobs: Handle::default(),
        };
        let blobs: Vec<BlobUse> =
            self.blobs.iter().map(|(&number, &bytes)| BlobUse { number, bytes }).collect();
        if !deleted.is_empty() {
            self.note_tombstones(deleted);
            let mut body = tombstones::encode(deleted);
            footer.tombstones = self.write_extent(&mut body, BlockKind::Tombstones, None)?;
        }
        if !blobs.is_empty() {
            let mut body = encode_uses(&blobs);
            footer.blobs = self.write_extent(&mut body, BlockKind::Blobs, None)?;
        }
        let mut body = self.top.finish(2);
        footer.top = self.write_extent(&mut body, BlockKind::Top, None)?;
        let mut body = Vec::new();
        self.properties.put(&mut body);
        footer.properties = self.write_extent(&mut body, BlockKind::Properties, None)?;
        footer.content_hash = self.sums.digest();
        footer.file_len = self.written + (self.buffer.len() + PAGE) as u64;
        self.buffer.extend_from_slice(&footer.encode(self.layout.version(), self.id));
        self.write_buffer()?;
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))?;
        self.finished = true;
        Ok(Written {
            file_len: footer.file_len,
            content_hash: footer.content_hash,
            properties: self.properties.clone(),
            blobs,
        })
    }

    /// Widens the key and sequence range of the file by its tombstones.
    fn note_tombstones(&mut self, deleted: &[RangeTombstone]) {
        let facts = &mut self.properties;
        for (i, tombstone) in deleted.iter().enumerate() {
            let only = facts.entries == 0 && i == 0;
            if only || tombstone.start < facts.smallest {
                facts.smallest = tombstone.start.clone();
            }
            if only || tombstone.end > facts.largest {
                facts.largest = tombstone.end.clone();
                facts.largest_excluded = true;
            }
            facts.min_seq = facts.min_seq.min(tombstone.seq);
            facts.max_seq = facts.max_seq.max(tombstone.seq);
            facts.range_tombstones += 1;
            facts.raw_bytes += (tombstone.start.len() + tombstone.end.len()) as u64;
        }
    }
}

impl Drop for SstWriter {
    fn drop(&mut self) {
        if !self.finished {
            // The file is in no manifest; if it cannot be removed now, the next open does it.
            let _ = self.env.files().remove_file(&self.path);
        }
    }
}

fn is_well_filled(bytes: usize) -> bool {
    bytes * 100 >= bytes.div_ceil(PAGE) * PAGE * 85
}
