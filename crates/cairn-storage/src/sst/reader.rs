//! An open SST: point lookups, and blocks for cursors.
//!
//! A lookup goes top index → filter → leaf → data block → slot search. The top index is read at open and
//! stays, charged to the cache; filters, leaves and data blocks are read when needed, and live in the cache.
//!
//! Guarantees: every block read from the file is verified (place, checksum, structure) before use; a
//! lookup that finds all its pieces in the cache takes no exclusive lock and allocates at most the value.

use std::path::Path;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use cairn_env::Env;

use super::block::{Block, value_bytes};
use super::filter::{Filter, FilterCounts};
use super::format::{BlockKind, Extent, FileId, Handle, Properties};
use super::index::Index;
use super::source::Source;
use super::tombstones;
use crate::cache::{BlockCache, Content, Evictable, Piece, Pinned, Place, Shelf, Slot};
use crate::error::Result;
use crate::fields::Fields;
use crate::key::{CommitSeq, Kind};
use crate::tombstone::Fragments;

/// What a scan reads ahead at first.
const READAHEAD_FIRST: usize = 32 << 10;

/// The index of one partition, with the places of its blocks in the cache.
#[derive(Debug)]
pub(crate) struct Leaf {
    index: Index,
    /// None where the leaf is only gone through once.
    blocks: Box<[Slot<Arc<[u8]>>]>,
}

impl Content for Arc<Leaf> {}
impl Content for Arc<Filter> {}

impl Shelf for Leaf {
    fn slot(&self, at: u32) -> &dyn Evictable {
        &self.blocks[at as usize]
    }
}

impl Leaf {
    /// The index.
    #[inline]
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }
}

#[derive(Debug, Default)]
struct Partition {
    leaf: Slot<Arc<Leaf>>,
    filter: Slot<Arc<Filter>>,
}

/// The partitions of a file: slot 2i is the leaf of partition i, 2i + 1 its filter.
#[derive(Debug)]
struct Partitions(Box<[Partition]>);

impl Shelf for Partitions {
    fn slot(&self, at: u32) -> &dyn Evictable {
        let partition = &self.0[at as usize / 2];
        if at.is_multiple_of(2) { &partition.leaf } else { &partition.filter }
    }
}

/// A version found by a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The commit that wrote it.
    pub(crate) seq: CommitSeq,
    /// Put or delete.
    pub(crate) kind: Kind,
    /// The value; a long one shares the block's memory.
    pub(crate) value: Bytes,
}

/// An open SST.
#[derive(Debug)]
pub(crate) struct Table {
    source: Source,
    top: Index,
    partitions: Arc<Partitions>,
    fragments: Fragments,
    properties: Properties,
    content_hash: u64,
    cache: Arc<BlockCache>,
    filter_counts: Arc<FilterCounts>,
    /// Added to the sequence of every row.
    seq_shift: CommitSeq,
    /// A scan reads so much at once; 0 = block by block.
    readahead_bytes: usize,
    /// What stays in memory while the file is open.
    _pinned: Pinned,
}

impl Table {
    /// Opens a file and reads what [`Table::read`] does.
    pub(crate) fn open(
        env: &Env,
        path: &Path,
        id: FileId,
        cache: Arc<BlockCache>,
        filter_counts: Arc<FilterCounts>,
    ) -> Result<Table> {
        Table::read(Source::open(env, path, id)?, cache, filter_counts)
    }

    /// Reads a file's header, footer, properties, tombstones and top index.
    pub(crate) fn read(
        source: Source,
        cache: Arc<BlockCache>,
        filter_counts: Arc<FilterCounts>,
    ) -> Result<Table> {
        source.check_header()?;
        let footer = source.footer()?;
        let body = source.extent(footer.properties, BlockKind::Properties)?;
        let mut fields = Fields::new(&body);
        let properties = Properties::read(&mut fields)
            .and_then(|properties| fields.end().map(|()| properties))
            .map_err(|bad| source.damaged(footer.properties, bad.0))?;
        let fragments = if footer.tombstones.pages == 0 {
            Fragments::default()
        } else {
            let body = source.extent(footer.tombstones, BlockKind::Tombstones)?;
            let decoded =
                tombstones::decode(&body).map_err(|bad| source.damaged(footer.tombstones, bad.0))?;
            Fragments::build(&decoded)
        };
        let body = source.extent(footer.top, BlockKind::Top)?;
        let top = Index::parse(body, 2, source.len).map_err(|what| source.damaged(footer.top, what))?;
        let partitions: Box<[Partition]> = (0..top.len()).map(|_| Partition::default()).collect();
        let bytes = size_of::<Table>() + top.bytes() + size_of_val(&*partitions) + fragments.bytes();
        let _pinned = Pinned::new(&cache, bytes);
        let partitions = Arc::new(Partitions(partitions));
        let content_hash = footer.content_hash;
        Ok(Table {
            source,
            top,
            partitions,
            fragments,
            properties,
            content_hash,
            cache,
            filter_counts,
            seq_shift: 0,
            readahead_bytes: 0,
            _pinned,
        })
    }

    /// The table with so much added to the sequence of every row.
    pub(crate) fn shifted(self, seq_shift: CommitSeq) -> Table {
        Table { seq_shift, ..self }
    }

    /// The table, whose scans read so much at once; 0 = block by block.
    pub(crate) fn with_readahead(self, readahead_bytes: usize) -> Table {
        Table { readahead_bytes, ..self }
    }

    /// The reader for a scan that goes from block to block; `None` where it reads block by block.
    pub(crate) fn readahead(&self) -> Option<Stream> {
        (self.readahead_bytes > 0).then(|| Stream::growing(READAHEAD_FIRST, self.readahead_bytes))
    }

    /// The file.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Its properties.
    pub(crate) fn properties(&self) -> &Properties {
        &self.properties
    }

    /// The hash that names its content.
    pub(crate) fn content_hash(&self) -> u64 {
        self.content_hash
    }

    /// Its range tombstones.
    pub(crate) fn fragments(&self) -> &Fragments {
        &self.fragments
    }

    /// The top index.
    pub(crate) fn top(&self) -> &Index {
        &self.top
    }

    /// Where a piece of a partition is kept.
    #[cold]
    fn place(&self, partition: usize, piece: Piece) -> Place {
        let which = usize::from(piece == Piece::Filter);
        let shelf: Weak<Partitions> = Arc::downgrade(&self.partitions);
        let (file, page) = (self.source.id.number, self.top.handle(partition, which).page);
        Place { shelf, at: (2 * partition + which) as u32, piece, file, page }
    }

    /// The leaf of a partition, from the cache or the file.
    #[inline]
    pub(crate) fn leaf(&self, partition: usize) -> Result<Arc<Leaf>> {
        let load = || {
            let index = self.read_index(partition)?;
            let blocks: Box<[Slot<Arc<[u8]>>]> = (0..index.len()).map(|_| Slot::default()).collect();
            let bytes = size_of::<Leaf>() + index.bytes() + size_of_val(&*blocks);
            Ok((Arc::new(Leaf { index, blocks }), bytes))
        };
        let place = || self.place(partition, Piece::Leaf);
        let slot = &self.partitions.0[partition].leaf;
        self.cache.with(slot, (Piece::Leaf, partition), place, load, Arc::clone)
    }

    /// The leaf of a partition, read beside the cache; its blocks can only be streamed.
    pub(crate) fn read_leaf(&self, partition: usize) -> Result<Arc<Leaf>> {
        Ok(Arc::new(Leaf { index: self.read_index(partition)?, blocks: Box::default() }))
    }

    #[cold]
    fn read_index(&self, partition: usize) -> Result<Index> {
        let handle = self.top.handle(partition, 0);
        let body = self.source.extent(handle, BlockKind::Leaf)?;
        let index =
            Index::parse(body, 1, self.source.len).map_err(|what| self.source.damaged(handle, what))?;
        if index.len() == 0 {
            return Err(self.source.damaged(handle, "expected at least one data block, found none"));
        }
        Ok(index)
    }

    /// A filter with its bytes.
    #[cold]
    fn read_filter(&self, handle: Handle) -> Result<(Arc<Filter>, usize)> {
        let body = self.source.extent(handle, BlockKind::Filter)?;
        let filter = Filter::parse(&body).map_err(|what| self.source.damaged(handle, what))?;
        Ok((Arc::new(filter), body.len()))
    }

    /// Whether the filter lets a key pass; `None` where there is no filter.
    #[inline]
    fn may_contain(&self, partition: usize, hash: u64) -> Result<Option<bool>> {
        let handle = self.top.handle(partition, 1);
        if handle.pages == 0 {
            return Ok(None);
        }
        let load = || self.read_filter(handle);
        let place = || self.place(partition, Piece::Filter);
        let slot = &self.partitions.0[partition].filter;
        let test = |filter: &Arc<Filter>| filter.may_contain(hash);
        self.cache.with(slot, (Piece::Filter, partition), place, load, test).map(Some)
    }

    /// The leaf of a partition, if the cache holds it.
    pub(crate) fn held_leaf(&self, partition: usize) -> Option<Arc<Leaf>> {
        self.partitions.0[partition].leaf.held()
    }

    /// Whether the cache holds a data block that was used since it was loaded.
    pub(crate) fn is_block_used(&self, leaf: &Leaf, at: usize) -> bool {
        self.cache.is_used(&leaf.blocks[at])
    }

    /// Takes a data block into the cache as one that is used.
    pub(crate) fn warm_block(&self, leaf: &Arc<Leaf>, at: usize, stream: &mut Stream) -> Result<()> {
        let load = || {
            let (block, _) = self.read_streamed(leaf, at, stream)?;
            let bytes = block.len();
            Ok((block, bytes))
        };
        self.cache.warm(&leaf.blocks[at], &self.block_place(leaf, at), load)
    }

    /// Takes the filter of a partition into the cache.
    pub(crate) fn warm_filter(&self, partition: usize) -> Result<()> {
        let handle = self.top.handle(partition, 1);
        if handle.pages == 0 {
            return Ok(());
        }
        let slot = &self.partitions.0[partition].filter;
        self.cache.warm(slot, &self.place(partition, Piece::Filter), || self.read_filter(handle))
    }

    /// The newest version of `key` that is not newer than `seq_max`. `hash` is [`super::filter::hash`]
    /// of the key.
    pub(crate) fn get(&self, key: &[u8], hash: u64, seq_max: CommitSeq) -> Result<Option<Found>> {
        let partition = self.top.lower_bound(key);
        if partition == self.top.len() {
            return Ok(None);
        }
        let filtered = self.may_contain(partition, hash)?;
        if filtered == Some(false) {
            self.filter_counts.note_negative();
            return Ok(None);
        }
        let found = self.search(partition, key, seq_max)?;
        if filtered.is_some() {
            self.filter_counts.note_passed(found.is_some());
        }
        Ok(found)
    }

    /// Searches from a partition on.
    fn search(&self, mut partition: usize, key: &[u8], seq_max: CommitSeq) -> Result<Option<Found>> {
        let mut leaf = self.leaf(partition)?;
        let mut at = leaf.index.lower_bound(key);
        while at < leaf.index.len() {
            let found = self.with_block(&leaf, at, |data| {
                let block = Block::layout(&data[..]).shifted(self.seq_shift);
                let row = block.lower_bound(key, seq_max);
                (row < block.len()).then(|| {
                    block.has_key(row, key).then(|| Found {
                        seq: block.seq(row),
                        kind: block.kind(row),
                        value: value_bytes(&block, data, row),
                    })
                })
            })?;
            if let Some(found) = found {
                return Ok(found);
            }
            // Older versions may lie in the next block, only if this one ends with the key.
            if !leaf.index.is_separator(at, key) {
                return Ok(None);
            }
            at += 1;
            if at == leaf.index.len() && partition + 1 < self.top.len() {
                partition += 1;
                leaf = self.leaf(partition)?;
                at = 0;
            }
        }
        Ok(None)
    }

    /// Runs `search` on the bytes of a data block, from the cache or the file.
    #[inline]
    fn with_block<R>(&self, leaf: &Arc<Leaf>, at: usize, search: impl FnOnce(&Arc<[u8]>) -> R) -> Result<R> {
        self.with_loaded(leaf, at, || self.load_block(leaf.index.handle(at, 0)), search)
    }

    /// Runs `search` on the bytes of a data block, from the cache or from `load`.
    #[inline]
    fn with_loaded<R>(
        &self,
        leaf: &Arc<Leaf>,
        at: usize,
        load: impl FnOnce() -> Result<Arc<[u8]>>,
        search: impl FnOnce(&Arc<[u8]>) -> R,
    ) -> Result<R> {
        let load = || {
            let block = load()?;
            let bytes = block.len();
            Ok((block, bytes))
        };
        let place = || self.block_place(leaf, at);
        self.cache.with(&leaf.blocks[at], (Piece::Block, at), place, load, search)
    }

    /// Where a data block is kept.
    #[cold]
    fn block_place(&self, leaf: &Arc<Leaf>, at: usize) -> Place {
        let shelf: Weak<Leaf> = Arc::downgrade(leaf);
        let (file, page) = (self.source.id.number, leaf.index.handle(at, 0).page);
        Place { shelf, at: at as u32, piece: Piece::Block, file, page }
    }

    /// A data block, from the cache or the file.
    pub(crate) fn block(&self, leaf: &Arc<Leaf>, at: usize) -> Result<Block> {
        let block = self.with_block(leaf, at, Arc::clone).map(Block::open)?;
        Ok(block.shifted(self.seq_shift))
    }

    #[cold]
    fn load_block(&self, handle: Handle) -> Result<Arc<[u8]>> {
        self.source.with_extent(handle, BlockKind::Data, |extent| self.fill_block(extent, handle))
    }

    /// The checked rows of a data block, at the beginning of a buffer of the cache's.
    fn fill_block(&self, extent: &Extent<'_>, handle: Handle) -> Result<Arc<[u8]>> {
        let len = extent.raw_len();
        let mut block = self.cache.buffer(len);
        let bytes = &mut Arc::get_mut(&mut block).expect("I1: a buffer of the cache's has one owner")[..len];
        self.source.unpack_into(extent, handle, bytes)?;
        Block::check(&*bytes).map_err(|what| self.source.damaged(handle, what))?;
        Ok(block)
    }

    /// A data block from the cache, else through a buffer of neighbours.
    pub(crate) fn block_ahead(&self, leaf: &Arc<Leaf>, at: usize, stream: &mut Stream) -> Result<Block> {
        let load = || {
            let (block, read) = self.read_streamed(leaf, at, stream)?;
            self.cache.note_readahead(read);
            Ok(block)
        };
        let block = self.with_loaded(leaf, at, load, Arc::clone).map(Block::open)?;
        Ok(block.shifted(self.seq_shift))
    }

    /// A data block read beside the cache, through a buffer of neighbours.
    pub(crate) fn stream_block(&self, leaf: &Leaf, at: usize, stream: &mut Stream) -> Result<Block> {
        let (block, _) = self.read_streamed(leaf, at, stream)?;
        Ok(Block::open(block).shifted(self.seq_shift))
    }

    /// A data block through a buffer of neighbours, and whether the file was read for it.
    fn read_streamed(&self, leaf: &Leaf, at: usize, stream: &mut Stream) -> Result<(Arc<[u8]>, bool)> {
        let before = stream.start;
        let handle = leaf.index.handle(at, 0);
        let bytes = stream.read(&self.source, handle)?;
        let extent = self.source.open_extent(bytes, handle, BlockKind::Data)?;
        let block = self.fill_block(&extent, handle)?;
        Ok((block, stream.start != before))
    }
}

/// A window of a file, read ahead: for compaction and verification.
#[derive(Debug)]
pub(crate) struct Stream {
    window: Vec<u8>,
    start: u64,
    window_bytes: usize,
    window_bytes_max: usize,
}

impl Stream {
    /// A reader that asks the file for `window_bytes` at once.
    pub(crate) fn new(window_bytes: usize) -> Stream {
        Stream::growing(window_bytes, window_bytes)
    }

    /// A reader that asks for more each time, up to a bound.
    fn growing(first: usize, most: usize) -> Stream {
        Stream { window: Vec::new(), start: 0, window_bytes: first.min(most), window_bytes_max: most }
    }

    /// The bytes of an extent.
    pub(crate) fn read(&mut self, source: &Source, handle: Handle) -> Result<&[u8]> {
        let (offset, len) = (handle.offset(), handle.len());
        let end = self.start + self.window.len() as u64;
        if offset < self.start || offset + len > end {
            let wanted = len.max((self.window_bytes as u64).min(source.len.saturating_sub(offset)));
            self.window = source.read(offset, wanted as usize)?;
            self.start = offset;
            self.window_bytes = (2 * self.window_bytes).min(self.window_bytes_max);
        }
        let at = (offset - self.start) as usize;
        Ok(&self.window[at..at + len as usize])
    }
}
