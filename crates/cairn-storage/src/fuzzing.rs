//! Fuzz targets: every decoder of this crate takes any bytes, and gives a value or an error.
//!
//! Built only for tests and by `cargo fuzz` (`--cfg fuzzing`). Each target is given bytes as they are and once more
//! with right checksums: a fuzzer does not guess those, but what lies behind them must be survived too.
//! What decodes is encoded and decoded again: the same value must come back.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cairn_env::{Env, OpenMode};

use crate::blob::format::{self as blob, BlobMeta, BlobUse, Pointer};
use crate::blob::verify::walk_blob;
use crate::cache::BlockCache;
use crate::error::Error;
use crate::fields::Fields;
use crate::key::{Cursor, SEQ_LAST, SEQ_MAX};
use crate::manifest::format::{self as manifest, Edit};
use crate::manifest::identity::{CURRENT, IDENTITY, read_current, read_identity};
use crate::manifest::log::State;
use crate::options::{Compression, Eviction};
use crate::sst::block::Block;
use crate::sst::codec::Codec;
use crate::sst::cursor::TableCursor;
use crate::sst::filter::{self, Filter};
use crate::sst::format::{self as sst, FileId, Footer, Handle, PAGE, Properties};
use crate::sst::index::Index;
use crate::sst::reader::Table;
use crate::sst::verify::verify_sst;
use crate::sst::{tombstones, writer::SstWriter};
use crate::tombstone::Fragments;
use crate::verify::verify_closed;
use crate::wal::format::{self as wal, HEADER_BYTES, Record, RecordBuffer, SegmentHeader, checksum};
use crate::wal::{Identity, read_log};

const DATABASE: [u8; 16] = *b"0123456789abcdef";
const ID: FileId = FileId { number: 7, database: DATABASE };
const IDENTITY_OF_LOG: Identity = Identity { database_id: DATABASE, epoch: 3 };
const SEGMENT: u64 = 7;
const DIR: &str = "/db";

/// A target: it panics on a finding.
pub type Target = fn(&[u8]);

/// Every target by the name of its file in `fuzz/fuzz_targets`.
pub const TARGETS: &[(&str, Target)] = &[
    ("wal_record", wal_record),
    ("wal_segment", wal_segment),
    ("manifest_record", manifest_record),
    ("identity", identity),
    ("sst_block", sst_block),
    ("sst_index", sst_index),
    ("sst_filter", sst_filter),
    ("sst_footer", sst_footer),
    ("sst_facts", sst_facts),
    ("sst_extent", sst_extent),
    ("sst_file", sst_file),
    ("blob_record", blob_record),
    ("blob_file", blob_file),
    ("repair", repair),
];

/// One record of the log.
pub fn wal_record(data: &[u8]) {
    let _ = Record::decode(data, 0, &IDENTITY_OF_LOG, SEGMENT).map(|record| record.effects().count());
    let bytes = with_record_checksum(data, 0);
    let Ok(record) = Record::decode(&bytes, 0, &IDENTITY_OF_LOG, SEGMENT) else { return };
    let mut again = RecordBuffer::with_capacity(data.len());
    for effect in record.effects() {
        match effect {
            Ok(effect) => {
                again.push(effect);
            }
            Err(_) => return,
        }
    }
    assert_eq!(again.effects(), record.header.effects);
    let encoded = again.finish(&record.header, &IDENTITY_OF_LOG, SEGMENT, 0);
    let decoded = Record::decode(encoded, 0, &IDENTITY_OF_LOG, SEGMENT).expect("what was encoded decodes");
    assert_eq!(decoded.header, record.header);
    assert!(decoded.effects().eq(record.effects()));
}

/// The bytes as a record: with its length and its checksum.
fn with_record_checksum(data: &[u8], offset: u64) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.resize(data.len().max(wal::RECORD_BYTES), 0);
    let len = bytes.len() as u32;
    bytes[0..4].copy_from_slice(&len.to_le_bytes());
    let sum = checksum(&IDENTITY_OF_LOG, SEGMENT, offset, len, &bytes[8..]);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A whole segment: the first byte says what of it is made right, the rest is header and records.
pub fn wal_segment(data: &[u8]) {
    let (&how, data) = data.split_first().unwrap_or((&0, &[]));
    let mut bytes = data.to_vec();
    if how & 1 != 0 && bytes.len() >= HEADER_BYTES {
        let sum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&sum.to_le_bytes());
    }
    if how & 2 != 0 {
        let header = SegmentHeader { segment: SEGMENT, identity: IDENTITY_OF_LOG, first_seq: 1 };
        bytes.splice(..bytes.len().min(HEADER_BYTES), header.encode());
        // Records as long as they say, each with its checksum.
        let mut at = HEADER_BYTES;
        while at + wal::RECORD_BYTES <= bytes.len() {
            let left = bytes.len() - at;
            let len = (crate::fields::u32_at(&bytes, at) as usize).clamp(wal::RECORD_BYTES, left);
            let record = with_record_checksum(&bytes[at..at + len], at as u64);
            bytes[at..at + len].copy_from_slice(&record);
            at += len.next_multiple_of(wal::ALIGN);
        }
    }
    if let Ok((header, _)) = SegmentHeader::decode(&bytes) {
        let (again, version) = SegmentHeader::decode(&header.encode()).expect("what was encoded decodes");
        assert_eq!((again, version), (header, wal::VERSION));
    }
    let env = world(&wal::file_name(SEGMENT), &bytes);
    let mut effects = 0;
    let read = read_log(&env, Path::new(DIR), &IDENTITY_OF_LOG, SEGMENT, 0, &mut |_, record| {
        for effect in record.effects() {
            effect.map_err(|what| Error::corrupt(Path::new(DIR), 0, what))?;
            effects += 1;
        }
        Ok(())
    });
    assert_damage(read.map(drop));
}

/// The pointer in a row, and the record of a value behind the header of a blob file.
pub fn blob_record(data: &[u8]) {
    if let Some(pointer) = Pointer::decode(data) {
        assert_eq!(pointer.encode(), data, "one encoding for each pointer");
    }
    let offset = blob::HEADER as u64;
    let _ = blob::decode_record(ID.number, data, offset).map(|record| record.value());
    let bytes = as_blob_record(data, offset);
    let Ok(record) = blob::decode_record(ID.number, &bytes, offset) else { return };
    if let Ok(value) = record.value() {
        assert_eq!(value.len(), record.value_len as usize);
    }
    let mut again = Vec::new();
    let packed = (record.codec, record.value_len as usize);
    blob::encode_record(ID.number, offset, record.stored, packed, &mut again);
    assert_eq!(again, bytes[..record.len], "one encoding for each record");
}

/// The bytes as a record: at least so long as it says, with its checksum.
fn as_blob_record(data: &[u8], offset: u64) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.resize(data.len().max(blob::RECORD_HEADER + 1), 0);
    let stored = crate::fields::u32_at(&bytes, 4).clamp(1, (bytes.len() - blob::RECORD_HEADER) as u32);
    bytes[4..8].copy_from_slice(&stored.to_le_bytes());
    let len = blob::record_len(stored as usize);
    bytes.resize(bytes.len().max(len), 0);
    let sum = sst::checksum(ID.number, offset, &bytes[4..len]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A whole blob file: the first byte says whether header and records are made right.
pub fn blob_file(data: &[u8]) {
    let (&how, data) = data.split_first().unwrap_or((&0, &[]));
    let mut bytes = data.to_vec();
    if how & 1 != 0 {
        bytes.splice(..bytes.len().min(blob::HEADER), manifest::encode_header(blob::MAGIC, ID));
        let mut at = blob::HEADER;
        while at + blob::RECORD_HEADER < bytes.len() {
            let record = as_blob_record(&bytes[at..], at as u64);
            let len = blob::peek_len(&record).expect("it was made right");
            bytes.splice(at.., record);
            at += len;
        }
    }
    let name = "000007.blob";
    let (len, walked) = walk_blob(&world(name, &bytes), &Path::new(DIR).join(name), ID);
    assert_eq!(len, bytes.len() as u64);
    if let Ok(meta) = &walked {
        assert_eq!((meta.number, meta.file_len), (ID.number, len));
    }
    assert_damage(walked.map(drop));
}

/// An edit of the manifest, and a whole manifest.
pub fn manifest_record(data: &[u8]) {
    let _ = manifest::decode_record(ID.number, data, 0);
    let _ = manifest::decode_header(data, manifest::MAGIC);
    if let Ok(edit) = Edit::decode(data) {
        let again = Edit::decode(&edit.encode()).expect("what was encoded decodes");
        assert_eq!(again, edit);
        let mut state = State::default();
        if state.apply(&edit).is_ok() {
            let mut copy = State::default();
            copy.apply(&state.to_edit()).expect("a state is an edit");
            assert_eq!(copy.levels, state.levels);
        }
    }
    // A manifest of one edit that is a snapshot, read by everything that reads manifests.
    let snapshot = [&[8], data].concat();
    let mut bytes = manifest::encode_header(manifest::MAGIC, ID);
    bytes.extend_from_slice(&manifest::encode_record(ID.number, bytes.len() as u64, &snapshot));
    let env = world("MANIFEST-000007", &bytes);
    let dir = Path::new(DIR);
    crate::manifest::identity::write_identity(&env, dir, DATABASE).expect("memory takes it");
    crate::manifest::identity::write_current(&env, dir, ID).expect("memory takes it");
    assert_damage(verify_closed(&env, dir).map(drop));
}

/// The identity and the pointer to the manifest, as they are and with right checksums.
pub fn identity(data: &[u8]) {
    for name in [IDENTITY, CURRENT] {
        let mut bytes = data.to_vec();
        for fixed in [false, true] {
            let len = bytes.len();
            for at in [0, 512].into_iter().filter(|at| fixed && at + manifest::HEADER <= len) {
                let end = at + manifest::HEADER;
                let number = crate::fields::u64_at(&bytes, at + 16);
                let sum = sst::checksum(number, 0, &bytes[at..end - 4]);
                bytes[end - 4..end].copy_from_slice(&sum.to_le_bytes());
            }
            let env = world(name, &bytes);
            let dir = Path::new(DIR);
            assert_damage(read_identity(&env, dir, &mut Vec::new()).map(drop));
            assert_damage(read_current(&env, dir, DATABASE).map(drop));
        }
    }
}

/// The rows of a data block.
pub fn sst_block(data: &[u8]) {
    let Ok(block) = Block::check(data) else { return };
    let mut bytes = 0;
    for row in 0..block.len() {
        let key = [block.common(), block.rest(row)].concat();
        bytes += key.len() + block.value(row).len();
        let found = block.lower_bound(&key, block.seq(row).min(SEQ_LAST));
        assert!(found <= block.len());
        let _ = (block.kind(row), block.has_key(row, &key));
    }
    assert!(bytes <= data.len() + block.len() * block.common().len());
    let _ = block.lower_bound(b"", SEQ_LAST) + block.lower_bound(&[0xff; 40], 0);
    let kept = Block::open(Arc::from(data));
    assert_eq!(kept.value_bytes(kept.len() - 1), block.value(block.len() - 1));
}

/// An index block: leaf or top.
pub fn sst_index(data: &[u8]) {
    for handles in [1, 2] {
        let Ok(index) = Index::parse(Bytes::copy_from_slice(data), handles, 1 << 20) else { continue };
        for at in 0..index.len() {
            let separator = index.separator(at);
            assert!(index.is_separator(at, &separator));
            assert!(index.lower_bound(&separator) <= index.len());
            assert!(index.handle(at, 0).is_inside(1 << 20));
        }
        let _ = index.lower_bound(b"") + index.lower_bound(&[0xff; 40]);
    }
}

/// A filter.
pub fn sst_filter(data: &[u8]) {
    if let Ok(filter) = Filter::parse(data) {
        for key in [&b""[..], b"a", data] {
            filter.may_contain(filter::hash(key));
        }
        filter.may_contain(u64::MAX);
    }
}

/// Header and footer pages.
pub fn sst_footer(data: &[u8]) {
    let mut page = data.to_vec();
    let _ = Footer::decode(&page, ID, 1 << 20);
    page.resize(PAGE - 4, 0);
    for offset in [0, (1 << 20) - PAGE as u64] {
        let mut page = page.clone();
        let sum = sst::checksum(ID.number, offset, &page);
        page.extend_from_slice(&sum.to_le_bytes());
        let _ = sst::decode_header(&page, ID);
        if let Ok(footer) = Footer::decode(&page, ID, 1 << 20) {
            assert_eq!(Footer::decode(&footer.encode(sst::VERSION_EXTENDED, ID), ID, 1 << 20), Ok(footer));
        }
        assert!(sst::claimed_id(&page, offset).is_none_or(|id| id.number == ID.number));
    }
}

/// Properties and range tombstones.
pub fn sst_facts(data: &[u8]) {
    if let Ok(properties) = Properties::read(&mut Fields::new(data)) {
        let mut again = Vec::new();
        properties.put(&mut again);
        assert_eq!(Properties::read(&mut Fields::new(&again)), Ok(properties));
    }
    if let Ok(all) = tombstones::decode(data) {
        assert_eq!(tombstones::decode(&tombstones::encode(&all)).as_ref(), Ok(&all));
        let fragments = Fragments::build(&all);
        assert!(fragments.pieces().windows(2).all(|pair| pair[0].end <= pair[1].start));
        assert!(fragments.pieces().iter().all(|piece| piece.start < piece.end));
    }
}

/// The frame of a block, and its decompression.
pub fn sst_extent(data: &[u8]) {
    let _ = sst::open_extent(data, ID.number, 0);
    let mut bytes = data.to_vec();
    bytes.resize(data.len().next_multiple_of(PAGE).max(PAGE), 0);
    // The last bytes of the input are the trailer.
    let tail = &data[data.len().saturating_sub(12)..];
    let end = bytes.len() - 4;
    bytes[end - tail.len()..end].copy_from_slice(tail);
    let sum = sst::checksum(ID.number, 0, &bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    if let Ok(extent) = sst::open_extent(&bytes, ID.number, 0)
        && let Some((codec, len)) = extent.compressed_from
    {
        assert!(codec.may_expand(bytes.len() + 1, len), "no more is allocated than the bytes can back");
        let _ = codec.decompress(extent.body, len);
    }
}

/// The bytes as whole pages whose checksums are all right.
fn as_sst(data: &[u8]) -> Vec<u8> {
    let mut bytes = data[..data.len().min(64 * PAGE)].to_vec();
    bytes.resize(bytes.len().next_multiple_of(PAGE).max(4 * PAGE), 0);
    let pages = bytes.len() / PAGE;
    for (at, page) in bytes.chunks_exact_mut(PAGE).enumerate() {
        if at == pages - 1 {
            // The footer is for a file of this length.
            let len = (pages * PAGE) as u64;
            page[72..80].copy_from_slice(&len.to_le_bytes());
        }
        let sum = sst::checksum(ID.number, (at * PAGE) as u64, &page[..PAGE - 4]);
        page[PAGE - 4..].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

/// Repair of a directory that holds one SST, as it comes and with right checksums: whatever is in it, the outcome
/// is a sound database or an error, and the file is what it was.
pub fn repair(data: &[u8]) {
    for bytes in [data.to_vec(), as_sst(data)] {
        let env = world("000007.sst", &bytes);
        let dir = Path::new(DIR);
        let Ok(report) = crate::repair::repair(&env, dir) else { continue };
        let checked = verify_closed(&env, dir).expect("memory can be read");
        assert!(checked.is_sound(), "{:?}", checked.damage);
        let aside = report.moved_to.expect("an SST alone is no sound database").join("000007.sst");
        let kept = crate::manifest::identity::read_whole(&env, &aside).expect("it is kept");
        assert_eq!(kept, bytes);
    }
}

/// A whole file whose checksums are all right: opened, searched, scanned both ways, verified.
pub fn sst_file(data: &[u8]) {
    let bytes = as_sst(data);
    let pages = bytes.len() / PAGE;
    let env = world("000007.sst", &bytes);
    let path = Path::new(DIR).join("000007.sst");
    let checked = verify_sst(&env, &path, ID);
    checked.damage.into_iter().for_each(|error| assert_damage(Err(error)));
    let opened =
        Table::open(&env, &path, ID, Arc::new(BlockCache::new(0, Eviction::default())), Arc::default());
    let table = match opened {
        Ok(table) => Arc::new(table),
        Err(error) => return assert_damage(Err(error)),
    };
    for key in [&b""[..], b"key00007", &[0xff; 9]] {
        assert_damage(table.get(key, filter::hash(key), SEQ_MAX).map(drop));
    }
    for cursor in [TableCursor::new(Arc::clone(&table)), TableCursor::streaming(Arc::clone(&table), 64 << 10)]
    {
        assert_damage(walk(cursor, pages * PAGE));
    }
}

/// Goes through a file from the front and from the back; a file of `len` bytes has no more rows than that
/// times what LZ4 can make of it.
fn walk(mut cursor: TableCursor, len: usize) -> crate::Result<()> {
    let most = len * 256;
    let mut steps = 0;
    cursor.seek(b"", SEQ_LAST)?;
    while cursor.valid() && steps < most {
        assert!(cursor.key().len() <= crate::KEY_BYTES_MAX && cursor.value().len() <= most);
        steps += 1;
        cursor.next()?;
    }
    let forward = steps;
    cursor.seek_last_before(None)?;
    while cursor.valid() && steps < 2 * most {
        steps += 1;
        cursor.prev()?;
    }
    assert!(forward < most && steps < 2 * most, "the cursor goes in circles");
    Ok(())
}

/// A database directory in memory with one file.
fn world(name: &str, bytes: &[u8]) -> Env {
    let env = Env::memory();
    env.files().create_dir_all(Path::new(DIR)).expect("memory has room");
    let file = env.files().open(&Path::new(DIR).join(name), OpenMode::Create).expect("memory has room");
    file.write_all_at(bytes, 0).expect("memory has room");
    env
}

/// Damage is told as damage (or as what this program or build cannot read), never as an I/O error.
fn assert_damage(result: crate::Result<()>) {
    match result {
        Ok(()) | Err(Error::Corrupt { .. } | Error::NewerFormat { .. } | Error::NotBuiltIn { .. }) => {}
        Err(other) => panic!("told as {other:?}"),
    }
}

/// Valid inputs of a target, to begin with.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "wal_record" => vec![sample_record(0, 1), sample_record(0, 900)],
        "wal_segment" => {
            let header = SegmentHeader { segment: SEGMENT, identity: IDENTITY_OF_LOG, first_seq: 1 };
            let mut bytes = [&[3], &header.encode()[..]].concat();
            for seq in 1..4 {
                bytes.extend_from_slice(&sample_record(bytes.len() as u64 - 1, seq));
            }
            vec![bytes[..HEADER_BYTES + 1].to_vec(), bytes]
        }
        "manifest_record" => sample_edits(),
        "identity" => {
            let copy = |number| manifest::encode_header(*b"CAIRNDB\0", FileId { number, database: DATABASE });
            let mut both = copy(0);
            both.resize(512, 0);
            both.extend_from_slice(&copy(1));
            vec![both, manifest::encode_header(*b"CAIRNCUR", ID)]
        }
        "blob_record" => {
            let pointer = Pointer { file: 7, offset: 24, record_len: 40, value_len: 20, index: 3 };
            let mut seeds = sample_blobs();
            seeds.push(pointer.encode().to_vec());
            seeds
        }
        "blob_file" => {
            let whole =
                [&[1], &manifest::encode_header(blob::MAGIC, ID)[..], &sample_blobs().concat()].concat();
            vec![whole[..blob::HEADER + 1].to_vec(), whole]
        }
        _ => sst_seeds(target),
    }
}

/// Records of values, one of them compressed, one after the other behind a header.
fn sample_blobs() -> Vec<Vec<u8>> {
    let packed = lz4_flex::block::compress(&[7; 900]);
    let values: [(&[u8], _, usize); 3] =
        [(b"a value of its own", None, 18), (&packed, Some(Codec::Lz4), 900), (b"another", None, 7)];
    let mut offset = blob::HEADER as u64;
    let record = |(stored, codec, len)| {
        let mut out = Vec::new();
        blob::encode_record(ID.number, offset, stored, (codec, len), &mut out);
        offset += out.len() as u64;
        out
    };
    values.into_iter().map(record).collect()
}

fn sample_record(offset: u64, seq: u64) -> Vec<u8> {
    let mut record = RecordBuffer::with_capacity(64);
    record.push(wal::Effect::Put { key: b"key00007", value: b"value" });
    record.push(wal::Effect::Delete { key: b"gone" });
    record.push(wal::Effect::DeleteRange { start: b"a", end: b"b" });
    let header = wal::RecordHeader {
        kind: wal::RecordKind::Commit,
        effects: 3,
        epoch: 3,
        seq,
        time: 5,
        txn_id: 6,
        client_token: 7,
        schema_version: 8,
        synced_offset: HEADER_BYTES as u64,
    };
    record.finish(&header, &IDENTITY_OF_LOG, SEGMENT, offset).to_vec()
}

fn sample_edits() -> Vec<Vec<u8>> {
    let (_, written) = sample_sst();
    let meta = manifest::FileMeta {
        number: 7,
        file_len: written.file_len,
        content_hash: written.content_hash,
        properties: written.properties,
        blobs: Vec::new(),
        written_micros: 0,
        seq_shift: 0,
        place: 0,
    };
    let blob = BlobMeta { number: 5, file_len: 96, content_hash: 1, records: 1 };
    let mut user = manifest::FileMeta {
        blobs: vec![BlobUse { number: 5, bytes: 32 }],
        written_micros: 77,
        ..meta.clone()
    };
    user.shift_seq(12);
    let mut all = Edit { next_file: Some(9), last_seq: Some(60), log_floor: Some(3), ..Edit::default() };
    all.epoch = Some(3);
    all.durable_seq = Some(61);
    all.added = vec![(0, meta.clone()), (6, manifest::FileMeta { number: 8, ..meta })];
    all.added.push((5, manifest::FileMeta { number: 6, place: 1, ..user.clone() }));
    all.added.push((3, user));
    all.blobs_added = vec![blob];
    (all.kept_from, all.times) = (Some(40), vec![(1_000, 39), (1_000, 41), (2_500, 60)]);
    let removed = Edit { removed: vec![(1, 4), (2, 5)], blobs_removed: vec![5], ..Edit::default() };
    vec![all.encode(), removed.encode(), Edit { snapshot: true, ..Edit::default() }.encode()]
}

/// A small file with every kind of block, and what is known of it.
fn sample_sst() -> (Vec<u8>, crate::sst::writer::Written) {
    let env = world("seed", b"");
    let path = Path::new(DIR).join("000007.sst");
    let options = crate::Options { compression: vec![Compression::None], ..crate::Options::default() };
    let mut writer = SstWriter::create(&env, &path, ID, options.layout(1, 1)).expect("memory has room");
    for number in 0..60u64 {
        let kind = if number % 7 == 0 { crate::key::Kind::Delete } else { crate::key::Kind::Put };
        let value = vec![number as u8; if kind == crate::key::Kind::Put { 90 } else { 0 }];
        let key = format!("key{number:05}");
        writer.add(key.as_bytes(), number + 1, kind, &value).expect("memory has room");
    }
    let deleted = [crate::key::RangeTombstone { start: "a".into(), end: "c".into(), seq: 61 }];
    let written = writer.finish(&deleted).expect("memory has room");
    let file = env.files().open(&path, OpenMode::Read).expect("it was written");
    let mut bytes = vec![0; file.len().expect("it has a length") as usize];
    file.read_exact_at(&mut bytes, 0).expect("it has these bytes");
    (bytes, written)
}

fn sst_seeds(target: &str) -> Vec<Vec<u8>> {
    let (bytes, _) = sample_sst();
    let env = world("000007.sst", &bytes);
    let path = Path::new(DIR).join("000007.sst");
    let source = crate::sst::source::Source::open(&env, &path, ID).expect("a sound file");
    let footer = source.footer().expect("a sound file");
    let body = |handle: Handle, kind| source.extent(handle, kind).expect("a sound file").to_vec();
    let top = body(footer.top, sst::BlockKind::Top);
    let index = Index::parse(Bytes::from(top.clone()), 2, source.len).expect("a sound file");
    let leaf = body(index.handle(0, 0), sst::BlockKind::Leaf);
    let first = Index::parse(Bytes::from(leaf.clone()), 1, source.len).expect("a sound file").handle(0, 0);
    match target {
        "sst_block" => vec![body(first, sst::BlockKind::Data)],
        "sst_index" => vec![leaf, top],
        "sst_filter" => vec![body(index.handle(0, 1), sst::BlockKind::Filter)],
        "sst_footer" => vec![bytes[..64].to_vec(), bytes[bytes.len() - PAGE..][..128].to_vec()],
        "sst_facts" => {
            vec![
                body(footer.properties, sst::BlockKind::Properties),
                body(footer.tombstones, sst::BlockKind::Tombstones),
            ]
        }
        "sst_extent" => {
            let packed = lz4_flex::block::compress(&[7; 9000]);
            let trailer = |kind: u8, len: usize| {
                let mut trailer = (packed.len() as u32).to_le_bytes().to_vec();
                trailer.extend_from_slice(&(len as u32).to_le_bytes());
                trailer.extend_from_slice(&[kind, 1, 0, 0]);
                trailer
            };
            vec![[&packed[..], &trailer(1, 9000)].concat(), bytes[PAGE..2 * PAGE - 4].to_vec()]
        }
        _ => vec![bytes],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutants of each seed that `cargo test` tries; `CAIRN_MUTANTS` sets another number.
    const MUTANTS: usize = 3_000;

    #[test]
    fn decoders_survive_mutants() {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let count = number("CAIRN_MUTANTS").map_or(MUTANTS, |count| count as usize);
        let seed = number("CAIRN_SEED").unwrap_or(1);
        for (name, target) in TARGETS {
            // A repair writes, syncs and verifies a database.
            let count = if *name == "repair" { count / 20 } else { count };
            eprintln!("{name}: {count} mutants of seed {seed}");
            cairn_testkit::mutate::run(seed, count, &seeds(name), target);
        }
    }

    /// Writes the seeds for `cargo xtask fuzz`.
    #[test]
    #[ignore = "run by `cargo xtask fuzz`"]
    fn write_corpus() {
        let Some(corpus) = std::env::var_os("CAIRN_CORPUS") else { return };
        for (name, _) in TARGETS {
            let dir = Path::new(&corpus).join(name);
            cairn_testkit::mutate::write_corpus(&dir, &seeds(name)).expect("the corpus can be written");
        }
    }
}
