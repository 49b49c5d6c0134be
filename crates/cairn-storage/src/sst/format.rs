//! The frame of an SST: header page, extents, properties, footer page (`docs/format/sst.md`).
//!
//! Guarantees:
//! - I1: a file is a whole number of 4 KiB pages, and every byte of it is covered by a checksum.
//! - I2: a checksum covers the file number and the offset too, so bytes of another file or another
//!   place are refused.
//! - I3: decoding is total: any bytes give a value or an error.

use bytes::Bytes;

use super::codec::Codec;
use crate::fields::{BadField, Fields, put_string, u32_at, u64_at};
use crate::key::CommitSeq;

/// Unit of space and alignment.
pub(crate) const PAGE: usize = 4096;
/// First eight bytes of a file.
pub(crate) const MAGIC: [u8; 8] = *b"CAIRNSST";
/// First eight bytes of the last page.
pub(crate) const FOOTER_MAGIC: [u8; 8] = *b"CAIRNEND";
/// The newest version read.
pub(crate) const VERSION: u32 = 2;
/// The version of files without anything that came later: what old programs read too.
pub(crate) const VERSION_PLAIN: u32 = 1;
/// The version of files that may have blocks compressed with zstd, or pointers to blob files.
pub(crate) const VERSION_EXTENDED: u32 = 2;
/// Bytes at the end of each extent.
pub(crate) const TRAILER: usize = 16;
/// No block, compressed or not, is longer: a value of 1 GiB with its key and tables.
pub(crate) const BLOCK_BYTES_MAX: usize = (1 << 30) + (1 << 20);

/// What an extent holds; permanent numbers, see `docs/format/registry.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BlockKind {
    /// Rows.
    Data = 1,
    /// The bloom filter of one partition.
    Filter = 2,
    /// The index of one partition: its data blocks.
    Leaf = 3,
    /// The index of the partitions.
    Top = 4,
    /// Range tombstones.
    Tombstones = 5,
    /// Facts about the file.
    Properties = 6,
    /// Which blob files its rows point to.
    Blobs = 7,
}

impl BlockKind {
    fn from_number(number: u8) -> Option<BlockKind> {
        Some(match number {
            1 => BlockKind::Data,
            2 => BlockKind::Filter,
            3 => BlockKind::Leaf,
            4 => BlockKind::Top,
            5 => BlockKind::Tombstones,
            6 => BlockKind::Properties,
            7 => BlockKind::Blobs,
            _ => return None,
        })
    }
}

/// Where an extent lies: first page and number of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(crate) struct Handle {
    /// First page.
    pub(crate) page: u32,
    /// Number of pages; 0 = there is no such extent.
    pub(crate) pages: u32,
}

impl Handle {
    /// Offset in the file.
    pub(crate) fn offset(self) -> u64 {
        u64::from(self.page) * PAGE as u64
    }

    /// Length in bytes.
    pub(crate) fn len(self) -> u64 {
        u64::from(self.pages) * PAGE as u64
    }

    /// Whether the extent lies between the header and the footer of a file of `file_len` bytes.
    pub(crate) fn is_inside(self, file_len: u64) -> bool {
        self.pages > 0
            && self.page > 0
            && self.offset().saturating_add(self.len()).saturating_add(PAGE as u64) <= file_len
    }

    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.page.to_le_bytes());
        out.extend_from_slice(&self.pages.to_le_bytes());
    }

    fn read(fields: &mut Fields<'_>, name: &str) -> Result<Handle, BadField> {
        Ok(Handle { page: fields.u32(name)?, pages: fields.u32(name)? })
    }
}

/// Who a file says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    /// Its number, never used again.
    pub(crate) number: u64,
    /// The database it belongs to.
    pub(crate) database: [u8; 16],
}

/// The checksum of `bytes` at `offset` of file `number` (I2).
pub(crate) fn checksum(number: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&number.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

/// Why a page or an extent is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Damage; expected and found.
    Damaged(String),
    /// A format version from the future.
    Newer(u32),
}

impl From<BadField> for Refused {
    fn from(bad: BadField) -> Refused {
        Refused::Damaged(bad.0)
    }
}

fn seal_page(mut page: Vec<u8>, number: u64, offset: u64) -> Vec<u8> {
    page.resize(PAGE - 4, 0);
    let sum = checksum(number, offset, &page);
    page.extend_from_slice(&sum.to_le_bytes());
    page
}

/// Checks length, magic, version, checksum and identity of a header or footer page, in this order,
/// and returns its fields behind the identity.
fn open_page<'a>(page: &'a [u8], magic: [u8; 8], offset: u64, id: FileId) -> Result<Fields<'a>, Refused> {
    if page.len() != PAGE {
        return Err(Refused::Damaged(format!("expected a page of {PAGE} bytes, found {}", page.len())));
    }
    let mut fields = Fields::new(&page[..PAGE - 4]);
    if fields.take(8, "magic")? != magic {
        return Err(Refused::Damaged(format!("expected the magic {}", magic.escape_ascii())));
    }
    let version = fields.u32("version")?;
    let sound = u32_at(page, PAGE - 4) == checksum(id.number, offset, &page[..PAGE - 4]);
    if version > VERSION && sound {
        return Err(Refused::Newer(version));
    }
    if !sound {
        return Err(Refused::Damaged("the checksum of the page does not match".into()));
    }
    fields.u32("flags")?;
    let number = fields.u64("file number")?;
    let database = fields.take(16, "database id")?;
    if number != id.number || database != id.database {
        return Err(Refused::Damaged(format!("expected file {}, found file {number}", id.number)));
    }
    Ok(fields)
}

/// Which file a header page (at offset 0) or a footer page says it is, where its checksum agrees.
pub(crate) fn claimed_id(page: &[u8], offset: u64) -> Option<FileId> {
    let magic = if offset == 0 { MAGIC } else { FOOTER_MAGIC };
    let (number, database) = (page.get(16..24)?, page.get(24..40)?);
    let id = FileId { number: u64_at(number, 0), database: database.try_into().ok()? };
    open_page(page, magic, offset, id).is_ok().then_some(id)
}

fn start_page(magic: [u8; 8], version: u32, id: FileId) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE);
    page.extend_from_slice(&magic);
    page.extend_from_slice(&version.to_le_bytes());
    page.extend_from_slice(&0u32.to_le_bytes());
    page.extend_from_slice(&id.number.to_le_bytes());
    page.extend_from_slice(&id.database);
    page
}

/// The first page of a file of this version.
pub(crate) fn encode_header(version: u32, id: FileId) -> Vec<u8> {
    seal_page(start_page(MAGIC, version, id), id.number, 0)
}

/// Checks the first page of a file.
pub(crate) fn decode_header(page: &[u8], id: FileId) -> Result<(), Refused> {
    open_page(page, MAGIC, 0, id).map(|_| ())
}

/// The last page of a file: where everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The index of the partitions.
    pub(crate) top: Handle,
    /// Range tombstones; no pages where there are none.
    pub(crate) tombstones: Handle,
    /// The properties.
    pub(crate) properties: Handle,
    /// xxh3 of the checksums of all extents in file order: names the content.
    pub(crate) content_hash: u64,
    /// Length of the file.
    pub(crate) file_len: u64,
    /// The blob files in use; no pages where there are none.
    pub(crate) blobs: Handle,
}

impl Footer {
    /// The page, for a file of this version.
    pub(crate) fn encode(&self, version: u32, id: FileId) -> Vec<u8> {
        let mut page = start_page(FOOTER_MAGIC, version, id);
        self.top.put(&mut page);
        self.tombstones.put(&mut page);
        self.properties.put(&mut page);
        page.extend_from_slice(&self.content_hash.to_le_bytes());
        page.extend_from_slice(&self.file_len.to_le_bytes());
        self.blobs.put(&mut page);
        seal_page(page, id.number, self.file_len - PAGE as u64)
    }

    /// Reads the last page of a file of `file_len` bytes.
    pub(crate) fn decode(page: &[u8], id: FileId, file_len: u64) -> Result<Footer, Refused> {
        let offset = file_len.saturating_sub(PAGE as u64);
        let mut fields = open_page(page, FOOTER_MAGIC, offset, id)?;
        let footer = Footer {
            top: Handle::read(&mut fields, "top index")?,
            tombstones: Handle::read(&mut fields, "tombstones")?,
            properties: Handle::read(&mut fields, "properties")?,
            content_hash: fields.u64("content hash")?,
            file_len: fields.u64("file length")?,
            blobs: Handle::read(&mut fields, "blobs")?,
        };
        let absent_or_inside = |handle: Handle| handle.pages == 0 || handle.is_inside(file_len);
        let optional_fit = absent_or_inside(footer.tombstones) && absent_or_inside(footer.blobs);
        let fits = footer.top.is_inside(file_len) && footer.properties.is_inside(file_len);
        if footer.file_len != file_len || !fits || !optional_fit {
            return Err(Refused::Damaged(format!(
                "the footer is for a file of {} bytes, found {file_len}",
                footer.file_len
            )));
        }
        Ok(footer)
    }
}

/// Closes an extent: pads `stored` to whole pages and adds the trailer.
pub(crate) fn seal_extent(
    stored: &mut Vec<u8>,
    kind: BlockKind,
    compressed_from: Option<(Codec, usize)>,
    number: u64,
    offset: u64,
) -> u32 {
    let stored_len = stored.len();
    let pages = (stored_len + TRAILER).div_ceil(PAGE);
    stored.resize(pages * PAGE - TRAILER, 0);
    stored.extend_from_slice(&(stored_len as u32).to_le_bytes());
    stored.extend_from_slice(
        &(compressed_from.map_or(stored_len, |(_, raw_len)| raw_len) as u32).to_le_bytes(),
    );
    stored.extend_from_slice(&[kind as u8, compressed_from.map_or(0, |(codec, _)| codec as u8), 0, 0]);
    let sum = checksum(number, offset, stored);
    stored.extend_from_slice(&sum.to_le_bytes());
    sum
}

/// An extent that was checked: the stored body, and the length to decompress to.
#[derive(Debug)]
pub(crate) struct Extent<'a> {
    /// What it holds.
    pub(crate) kind: BlockKind,
    /// The body as stored.
    pub(crate) body: &'a [u8],
    /// Codec and length before compression; `None` = stored as it is.
    pub(crate) compressed_from: Option<(Codec, usize)>,
    /// The checksum, part of the content hash.
    pub(crate) sum: u32,
}

impl Extent<'_> {
    /// Bytes of the body when it is decompressed.
    pub(crate) fn raw_len(&self) -> usize {
        self.compressed_from.map_or(self.body.len(), |(_, raw_len)| raw_len)
    }
}

/// Checks an extent read at `offset`.
pub(crate) fn open_extent(bytes: &[u8], number: u64, offset: u64) -> Result<Extent<'_>, String> {
    if bytes.len() < PAGE || !bytes.len().is_multiple_of(PAGE) {
        return Err(format!("expected whole pages, found {} bytes", bytes.len()));
    }
    let (covered, sum) = bytes.split_at(bytes.len() - 4);
    let sum = u32_at(sum, 0);
    let expected = checksum(number, offset, covered);
    if sum != expected {
        return Err(format!("the checksum of the block is {sum:#010x}, expected {expected:#010x}"));
    }
    let trailer = bytes.len() - TRAILER;
    let stored_len = u32_at(bytes, trailer) as usize;
    let raw_len = u32_at(bytes, trailer + 4) as usize;
    let Some(kind) = BlockKind::from_number(bytes[trailer + 8]) else {
        return Err(format!("unknown block kind {}", bytes[trailer + 8]));
    };
    if stored_len > trailer || raw_len > BLOCK_BYTES_MAX {
        return Err(format!("block lengths {stored_len} and {raw_len} do not fit"));
    }
    let compressed_from = match (bytes[trailer + 9], Codec::from_number(bytes[trailer + 9])) {
        (0, _) if raw_len == stored_len => None,
        (_, Some(codec)) if codec.may_expand(stored_len, raw_len) => Some((codec, raw_len)),
        (other, _) => return Err(format!("compression {other} of {raw_len} to {stored_len} bytes")),
    };
    Ok(Extent { kind, body: &bytes[..stored_len], compressed_from, sum })
}

/// Facts about a file, in its properties block and in the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Properties {
    /// First user key, of rows and range tombstones.
    pub(crate) smallest: Bytes,
    /// Last user key, or the end of the last range tombstone.
    pub(crate) largest: Bytes,
    /// `largest` is the end of a tombstone: no row has that key.
    pub(crate) largest_excluded: bool,
    /// Least commit sequence.
    pub(crate) min_seq: CommitSeq,
    /// Greatest commit sequence.
    pub(crate) max_seq: CommitSeq,
    /// Rows: all versions, puts and deletes.
    pub(crate) entries: u64,
    /// Different user keys among them.
    pub(crate) keys: u64,
    /// Deletes among them.
    pub(crate) deletes: u64,
    /// Range tombstones.
    pub(crate) range_tombstones: u64,
    /// Bytes of keys and values.
    pub(crate) raw_bytes: u64,
    /// Data blocks.
    pub(crate) data_blocks: u64,
}

impl Properties {
    /// Appends the fields.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put_string(out, &self.smallest);
        put_string(out, &self.largest);
        out.push(u8::from(self.largest_excluded));
        let numbers = [
            self.min_seq,
            self.max_seq,
            self.entries,
            self.keys,
            self.deletes,
            self.range_tombstones,
            self.raw_bytes,
            self.data_blocks,
        ];
        for number in numbers {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// Reads the fields.
    pub(crate) fn read(fields: &mut Fields<'_>) -> Result<Properties, BadField> {
        let properties = Properties {
            smallest: fields.string("smallest key")?,
            largest: fields.string("largest key")?,
            largest_excluded: match fields.u8("largest excluded")? {
                0 => false,
                1 => true,
                other => return Err(BadField(format!("largest excluded is {other}, expected 0 or 1"))),
            },
            min_seq: fields.u64("min seq")?,
            max_seq: fields.u64("max seq")?,
            entries: fields.u64("entries")?,
            keys: fields.u64("keys")?,
            deletes: fields.u64("deletes")?,
            range_tombstones: fields.u64("range tombstones")?,
            raw_bytes: fields.u64("raw bytes")?,
            data_blocks: fields.u64("data blocks")?,
        };
        if properties.smallest > properties.largest || properties.min_seq > properties.max_seq {
            return Err(BadField("the key or sequence range of the properties is inverted".into()));
        }
        Ok(properties)
    }
}
