//! Reads every byte of an SST and checks all that can be checked.
//!
//! Guarantees: every page is covered (I1): header, footer, and each extent between, which must follow
//! each other without a gap; beyond checksums, the order of rows, separators, filters, properties and
//! the content hash must agree. All damage is reported, not the first only.

use std::collections::BTreeMap;
use std::path::Path;

use cairn_env::Env;
use xxhash_rust::xxh3::Xxh3;

use super::block::Block;
use super::filter::{self, Filter};
use super::format::{BlockKind, FileId, Footer, Handle, PAGE, Properties};
use super::index::Index;
use super::reader::Stream;
use super::source::Source;
use super::tombstones;
use crate::blob::format::{BlobUse, Pointer, read_uses};
use crate::error::{Error, Result};
use crate::fields::Fields;
use crate::key::{CommitSeq, Kind};
use crate::memory::STREAM_BYTES_MAX;

/// What the walk over a file learns.
struct Walk<'a> {
    source: &'a Source,
    stream: Stream,
    damage: Vec<Error>,
    extents: Vec<(Handle, u32)>,
    last: Option<(Vec<u8>, CommitSeq)>,
    first_key: Option<Vec<u8>>,
    entries: u64,
    keys: u64,
    deletes: u64,
    data_blocks: u64,
    raw_bytes: u64,
    min_seq: CommitSeq,
    max_seq: CommitSeq,
    blobs: BTreeMap<u64, u64>,
}

/// What was found in a file.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Every damage.
    pub(crate) damage: Vec<Error>,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// The properties and the content hash, where they could be read.
    pub(crate) facts: Option<(Properties, u64)>,
    /// The blob files that its rows point to.
    pub(crate) blobs: Vec<BlobUse>,
}

/// Checks a whole file.
pub(crate) fn verify_sst(env: &Env, path: &Path, id: FileId) -> Checked {
    let mut checked = Checked::default();
    let source = match Source::open(env, path, id) {
        Ok(source) => source,
        Err(error) => {
            checked.damage.push(error);
            return checked;
        }
    };
    checked.bytes = source.len;
    if let Err(error) = source.check_header() {
        checked.damage.push(error);
    }
    let footer = match source.footer() {
        Ok(footer) => footer,
        Err(error) => {
            checked.damage.push(error);
            return checked;
        }
    };
    let mut walk = Walk {
        source: &source,
        stream: Stream::new(STREAM_BYTES_MAX),
        damage: Vec::new(),
        extents: Vec::new(),
        last: None,
        first_key: None,
        entries: 0,
        keys: 0,
        deletes: 0,
        data_blocks: 0,
        raw_bytes: 0,
        min_seq: CommitSeq::MAX,
        max_seq: 0,
        blobs: BTreeMap::new(),
    };
    let properties = walk.run(&footer);
    walk.check_cover(&footer);
    checked.blobs = walk.uses();
    checked.damage.append(&mut walk.damage);
    checked.facts = properties.map(|properties| (properties, footer.content_hash));
    checked
}

impl Walk<'_> {
    fn note(&mut self, handle: Handle, what: impl Into<String>) {
        self.damage.push(self.source.damaged(handle, what));
    }

    /// The body of an extent; damage is noted.
    fn body(&mut self, handle: Handle, kind: BlockKind) -> Option<bytes::Bytes> {
        let read = (|| -> Result<_> {
            let bytes = self.stream.read(self.source, handle)?;
            let extent = self.source.open_extent(bytes, handle, kind)?;
            let stored = extent.body.len();
            let padding = bytes.len() - super::format::TRAILER;
            let clean = bytes[stored..padding].iter().all(|&byte| byte == 0);
            Ok((extent.sum, clean, self.source.unpack(&extent, handle)?))
        })();
        match read {
            Ok((sum, clean, body)) => {
                self.extents.push((handle, sum));
                if !clean {
                    self.note(handle, "expected zeros behind the block");
                }
                Some(body)
            }
            Err(error) => {
                self.extents.push((handle, 0));
                self.damage.push(error);
                None
            }
        }
    }

    fn run(&mut self, footer: &Footer) -> Option<Properties> {
        if let Some(body) = self.body(footer.top, BlockKind::Top) {
            match Index::parse(body, 2, self.source.len) {
                Ok(top) => {
                    for partition in 0..top.len() {
                        self.check_partition(&top, partition);
                    }
                }
                Err(what) => self.note(footer.top, what),
            }
        }
        let mut tombstone_bytes = 0;
        let mut tombstone_count = 0;
        let mut tombstone_end = None;
        if footer.tombstones.pages > 0 {
            let body = self.body(footer.tombstones, BlockKind::Tombstones)?;
            match tombstones::decode(&body) {
                Ok(all) => {
                    for one in all {
                        tombstone_count += 1;
                        tombstone_bytes += (one.start.len() + one.end.len()) as u64;
                        self.min_seq = self.min_seq.min(one.seq);
                        self.max_seq = self.max_seq.max(one.seq);
                        let first = self.first_key.get_or_insert_with(|| one.start.to_vec());
                        if one.start < first[..] {
                            *first = one.start.to_vec();
                        }
                        tombstone_end = tombstone_end.max(Some(one.end.to_vec()));
                    }
                }
                Err(bad) => self.note(footer.tombstones, bad.0),
            }
        }
        self.check_blobs(footer);
        let body = self.body(footer.properties, BlockKind::Properties)?;
        let mut fields = Fields::new(&body);
        let read = Properties::read(&mut fields).and_then(|all| fields.end().map(|()| all));
        let properties = match read {
            Ok(properties) => properties,
            Err(bad) => {
                self.note(footer.properties, bad.0);
                return None;
            }
        };
        let last = self.last.take().map(|(key, _)| key);
        let excluded = tombstone_end > last;
        let found = Properties {
            smallest: self.first_key.take().unwrap_or_default().into(),
            largest: tombstone_end.max(last).unwrap_or_default().into(),
            largest_excluded: excluded,
            min_seq: self.min_seq,
            max_seq: self.max_seq,
            entries: self.entries,
            keys: self.keys,
            deletes: self.deletes,
            range_tombstones: tombstone_count,
            raw_bytes: self.raw_bytes + tombstone_bytes,
            data_blocks: self.data_blocks,
        };
        if self.damage.is_empty() && found != properties {
            self.note(footer.properties, format!("expected {found:?}, found {properties:?}"));
        }
        Some(properties)
    }

    /// What the file says of the blob files it uses must be what its rows point to.
    fn check_blobs(&mut self, footer: &Footer) {
        let mut told = Vec::new();
        if footer.blobs.pages > 0 {
            let Some(body) = self.body(footer.blobs, BlockKind::Blobs) else { return };
            let mut fields = Fields::new(&body);
            match read_uses(&mut fields).and_then(|uses| fields.end().map(|()| uses)) {
                Ok(uses) => told = uses,
                Err(bad) => return self.note(footer.blobs, bad.0),
            }
        }
        let found = self.uses();
        if self.damage.is_empty() && told != found {
            let place = if footer.blobs.pages > 0 { footer.blobs } else { footer.properties };
            self.note(place, format!("expected {found:?}, found {told:?}"));
        }
    }

    fn uses(&self) -> Vec<BlobUse> {
        self.blobs.iter().map(|(&number, &bytes)| BlobUse { number, bytes }).collect()
    }

    fn check_partition(&mut self, top: &Index, partition: usize) {
        let filter_handle = top.handle(partition, 1);
        let filter = if filter_handle.pages == 0 {
            None
        } else {
            let parsed = self.body(filter_handle, BlockKind::Filter).map(|body| Filter::parse(&body));
            match parsed {
                Some(Ok(filter)) => Some(filter),
                Some(Err(what)) => {
                    self.note(filter_handle, what);
                    None
                }
                None => None,
            }
        };
        let leaf_handle = top.handle(partition, 0);
        let Some(body) = self.body(leaf_handle, BlockKind::Leaf) else { return };
        let leaf = match Index::parse(body, 1, self.source.len) {
            Ok(leaf) if leaf.len() > 0 => leaf,
            Ok(_) => return self.note(leaf_handle, "expected at least one data block, found none"),
            Err(what) => return self.note(leaf_handle, what),
        };
        for at in 0..leaf.len() {
            let handle = leaf.handle(at, 0);
            let Some(body) = self.body(handle, BlockKind::Data) else { continue };
            match Block::check(&body[..]) {
                Ok(block) => self.check_rows(handle, &block, &leaf.separator(at), filter.as_ref()),
                Err(what) => self.note(handle, what),
            }
        }
        if top.separator(partition) != leaf.separator(leaf.len() - 1) {
            self.note(leaf_handle, "the separators of the two index levels differ");
        }
    }

    fn check_rows(
        &mut self,
        handle: Handle,
        block: &Block<&[u8]>,
        separator: &[u8],
        filter: Option<&Filter>,
    ) {
        self.data_blocks += 1;
        for row in 0..block.len() {
            let key = [block.common(), block.rest(row)].concat();
            let seq = block.seq(row);
            let in_order = match &self.last {
                Some((last, last_seq)) => {
                    (&last[..], std::cmp::Reverse(*last_seq)) < (&key[..], std::cmp::Reverse(seq))
                }
                None => true,
            };
            if !in_order || &key[..] > separator {
                self.note(handle, format!("row {row} is out of order"));
            }
            if filter.is_some_and(|filter| !filter.may_contain(filter::hash(&key))) {
                self.note(handle, format!("the filter does not know row {row}"));
            }
            if block.lower_bound(&key, seq) != row {
                self.note(handle, format!("a search does not find row {row}"));
            }
            self.entries += 1;
            self.keys += u64::from(self.last.as_ref().is_none_or(|(last, _)| *last != key));
            self.deletes += u64::from(block.kind(row) == Kind::Delete);
            self.raw_bytes += (key.len() + block.value(row).len()) as u64;
            if block.kind(row) == Kind::Blob {
                match Pointer::decode(block.value(row)) {
                    Some(to) => *self.blobs.entry(to.file).or_default() += u64::from(to.record_len),
                    None => self.note(handle, format!("row {row} points to no place in a blob file")),
                }
            }
            self.min_seq = self.min_seq.min(seq);
            self.max_seq = self.max_seq.max(seq);
            self.first_key.get_or_insert_with(|| key.clone());
            self.last = Some((key, seq));
        }
    }

    /// I1: the extents follow each other from the header to the footer, and hash to the content hash.
    fn check_cover(&mut self, footer: &Footer) {
        if !self.damage.is_empty() {
            return; // What was not readable has not told its extents.
        }
        self.extents.sort();
        let mut page = 1;
        let mut sums = Xxh3::new();
        for (handle, sum) in std::mem::take(&mut self.extents) {
            if handle.page != page {
                self.note(handle, format!("expected the next block at page {page}"));
            }
            page = handle.page + handle.pages;
            sums.update(&sum.to_le_bytes());
        }
        let end = Handle { page, pages: 1 };
        if end.offset() + PAGE as u64 != self.source.len {
            self.note(end, "bytes between the last block and the footer belong to nothing");
        } else if sums.digest() != footer.content_hash {
            self.note(end, "the content hash of the footer does not match the blocks");
        }
    }
}
