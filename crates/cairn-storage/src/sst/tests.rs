//! SSTs against a model: round trips, seeks, lookups, golden bytes, every flipped byte.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cairn_env::{Env, OpenMode};
use proptest::prelude::*;

use super::cursor::TableCursor;
use super::filter;
use super::format::FileId;
use super::reader::Table;
use super::verify::verify_sst;
use super::writer::{Layout, SstWriter, Written};
use crate::cache::BlockCache;
use crate::error::Error;
use crate::key::{CommitSeq, Cursor, Kind, RangeTombstone, SEQ_LAST};
use crate::options::{Compression, Eviction};

const ID: FileId = FileId { number: 7, database: *b"0123456789abcdef" };
const PATH: &str = "/000007.sst";

/// Zstd in builds that have it.
const WITH_ZSTD: Compression = if cfg!(feature = "zstd") { Compression::Zstd(3) } else { Compression::Lz4 };

/// Rows in the order of entries: key, then sequence descending.
type Model = BTreeMap<Place, (Kind, Vec<u8>)>;
type Place = (Vec<u8>, std::cmp::Reverse<CommitSeq>);
type Row = (Vec<u8>, CommitSeq, Kind, Vec<u8>);

fn build(env: &Env, model: &Model, deleted: &[RangeTombstone], layout: Layout) -> Written {
    let mut writer = SstWriter::create(env, Path::new(PATH), ID, layout).unwrap();
    for ((key, seq), (kind, value)) in model {
        writer.add(key, seq.0, *kind, value).unwrap();
    }
    writer.finish(deleted).unwrap()
}

fn open(env: &Env) -> Arc<Table> {
    Arc::new(
        Table::open(
            env,
            Path::new(PATH),
            ID,
            Arc::new(BlockCache::new(1 << 22, Eviction::default())),
            Arc::default(),
        )
        .unwrap(),
    )
}

fn at(cursor: &TableCursor) -> Option<Row> {
    cursor.valid().then(|| (cursor.key().to_vec(), cursor.seq(), cursor.kind(), cursor.value().to_vec()))
}

fn row(entry: Option<(&Place, &(Kind, Vec<u8>))>) -> Option<Row> {
    entry.map(|((key, seq), (kind, value))| (key.clone(), seq.0, *kind, value.clone()))
}

fn check_against_model(model: &Model, deleted: &[RangeTombstone], layout: Layout, probes: &[(Vec<u8>, u64)]) {
    let env = Env::memory();
    let written = build(&env, model, deleted, layout);
    let checked = verify_sst(&env, Path::new(PATH), ID);
    assert!(checked.damage.is_empty(), "{:?}", checked.damage);
    assert_eq!(checked.facts, Some((written.properties.clone(), written.content_hash)));
    let table = open(&env);
    assert_eq!(table.properties(), &written.properties);
    for streaming in [false, true] {
        let fresh = || match streaming {
            true => TableCursor::streaming(Arc::clone(&table), 20_000),
            false => TableCursor::new(Arc::clone(&table)),
        };
        let mut cursor = fresh();
        cursor.seek(b"", SEQ_LAST).unwrap();
        for entry in model {
            assert_eq!(at(&cursor), row(Some(entry)));
            cursor.next().unwrap();
        }
        assert!(!cursor.valid());
        cursor.seek_last_before(None).unwrap();
        for entry in model.iter().rev() {
            assert_eq!(at(&cursor), row(Some(entry)));
            cursor.prev().unwrap();
        }
        assert!(!cursor.valid());
        for (key, seq) in probes {
            let from = (key.clone(), std::cmp::Reverse(*seq));
            cursor.seek(key, *seq).unwrap();
            let mut following = model.range(from..);
            assert_eq!(at(&cursor), row(following.next()), "seek {key:?} {seq}");
            if cursor.valid() {
                cursor.next().unwrap();
                assert_eq!(at(&cursor), row(following.next()), "next after {key:?} {seq}");
            }
            cursor.seek_last_before(Some(key)).unwrap();
            let mut before = model.range(..(key.clone(), std::cmp::Reverse(u64::MAX)));
            assert_eq!(at(&cursor), row(before.next_back()), "before {key:?}");
            if cursor.valid() {
                cursor.prev().unwrap();
                assert_eq!(at(&cursor), row(before.next_back()), "prev before {key:?}");
            }
        }
    }
    for (key, seq) in probes {
        let expected = model
            .range((key.clone(), std::cmp::Reverse(*seq))..)
            .next()
            .filter(|((found, _), _)| found == key);
        let found = table.get(key, filter::hash(key), *seq).unwrap();
        assert_eq!(
            found.map(|found| (key.clone(), found.seq, found.kind, found.value.to_vec())),
            row(expected),
            "get {key:?} {seq}"
        );
    }
}

/// LZ4 or nothing; zstd has its own.
fn layout(compress: bool, block_bytes: usize, filter_bits: u32) -> Layout {
    let compression = if compress { Compression::Lz4 } else { Compression::None };
    Layout { compression, block_bytes, filter_bits, blobs: false }
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(0u8..4, 0..6),
        (0u32..2000).prop_map(|i| [b"table-one-", &i.to_be_bytes()[..]].concat()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => proptest::collection::vec(0u8..3, 0..60),
        2 => proptest::collection::vec(any::<u8>(), 0..600),
        1 => (0usize..30_000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_rows_round_trip(
        rows in proptest::collection::vec((key(), 0u64..50, any::<bool>(), value()), 1..400),
        probes in proptest::collection::vec((key(), 0u64..60), 0..60),
        compression in prop_oneof![Just(Compression::None), Just(Compression::Lz4), Just(WITH_ZSTD)], big: bool, filter_bits in prop_oneof![Just(0u32), Just(1), Just(8), Just(16), Just(32)],
    ) {
        let mut model = Model::new();
        for (key, seq, put, value) in rows {
            let entry = if put { (Kind::Put, value) } else { (Kind::Delete, Vec::new()) };
            model.insert((key, std::cmp::Reverse(seq)), entry);
        }
        let mut probes = probes;
        probes.extend(model.keys().map(|(key, seq)| (key.clone(), seq.0)));
        probes.extend(model.keys().map(|(key, _)| (key.clone(), SEQ_LAST)));
        let layout = Layout { compression, ..layout(true, if big { 8192 } else { 4096 }, filter_bits) };
        check_against_model(&model, &[], layout, &probes);
    }
}

#[test]
fn many_partitions_and_versions_over_many_blocks() {
    let mut model = Model::new();
    for i in 0..20_000u64 {
        let value = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        let value: Vec<u8> = (0..30u8).flat_map(|n| value.map(|byte| byte.wrapping_mul(n | 1) ^ n)).collect();
        model.insert((format!("key{i:09}").into_bytes(), std::cmp::Reverse(i)), (Kind::Put, value));
    }
    for seq in 0..3_000u64 {
        let value = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes().repeat(8);
        model.insert((b"key000005000".to_vec(), std::cmp::Reverse(seq)), (Kind::Put, value));
    }
    let mut probes: Vec<_> = (0..20_000u64)
        .step_by(97)
        .flat_map(|i| {
            [(format!("key{i:09}").into_bytes(), SEQ_LAST), (format!("key{i:09}x").into_bytes(), i)]
        })
        .collect();
    probes.extend((0..3_100).step_by(31).map(|seq| (b"key000005000".to_vec(), seq)));
    check_against_model(&model, &[], layout(true, 4096, 10), &probes);
    let env = Env::memory();
    build(&env, &model, &[], layout(true, 4096, 10));
    assert!(open(&env).top().len() > 1, "the test wants more than one partition");
}

#[test]
fn long_keys_and_values() {
    let mut model = Model::new();
    for i in 0..40u8 {
        let mut key = vec![b'k'; 60_000];
        key.push(i);
        model.insert((key, std::cmp::Reverse(1)), (Kind::Put, vec![i; 10]));
        model.insert((vec![i; 3], std::cmp::Reverse(1)), (Kind::Put, vec![i; 300_000]));
    }
    let probes: Vec<_> = model.keys().map(|(key, _)| (key.clone(), SEQ_LAST)).collect();
    check_against_model(&model, &[], layout(true, 4096, 10), &probes);
    check_against_model(&model, &[], layout(false, 8192, 10), &probes);
}

fn tombstone(start: &'static str, end: &'static str, seq: u64) -> RangeTombstone {
    RangeTombstone {
        start: Bytes::from_static(start.as_bytes()),
        end: Bytes::from_static(end.as_bytes()),
        seq,
    }
}

#[test]
fn tombstones_widen_the_file() {
    let deleted = [tombstone("a", "c", 5), tombstone("x", "z", 9)];
    let env = Env::memory();
    let mut model = Model::new();
    model.insert((b"m".to_vec(), std::cmp::Reverse(7)), (Kind::Put, b"v".to_vec()));
    let written = build(&env, &model, &deleted, layout(true, 4096, 10));
    let facts = &written.properties;
    assert_eq!((&facts.smallest[..], &facts.largest[..]), (&b"a"[..], &b"z"[..]));
    assert!(facts.largest_excluded);
    assert_eq!((facts.min_seq, facts.max_seq, facts.range_tombstones), (5, 9, 2));
    assert!(verify_sst(&env, Path::new(PATH), ID).damage.is_empty());
    assert_eq!(open(&env).fragments().newest_covering(b"b", 100), Some(5));
    let only = Env::memory();
    build(&only, &Model::new(), &deleted, layout(true, 4096, 10));
    assert!(verify_sst(&only, Path::new(PATH), ID).damage.is_empty());
    let table = open(&only);
    assert!(table.get(b"m", filter::hash(b"m"), 100).unwrap().is_none());
    let mut cursor = TableCursor::new(table);
    cursor.seek(b"", SEQ_LAST).unwrap();
    assert!(!cursor.valid());
    cursor.seek_last_before(None).unwrap();
    assert!(!cursor.valid());
}

fn small_file(env: &Env, compression: bool) {
    let mut model = Model::new();
    for i in 0..90u32 {
        let key = format!("user:{i:05}").into_bytes();
        model.insert((key, std::cmp::Reverse(u64::from(i) + 1)), (Kind::Put, vec![i as u8; 50]));
    }
    model.insert((b"user:00007".to_vec(), std::cmp::Reverse(3)), (Kind::Delete, Vec::new()));
    build(env, &model, &[tombstone("a", "b", 4)], layout(compression, 4096, 10));
}

#[test]
fn every_flipped_byte_is_found() {
    let env = Env::memory();
    small_file(&env, true);
    let file = env.files().open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
    let len = file.len().unwrap();
    assert!(verify_sst(&env, Path::new(PATH), ID).damage.is_empty());
    for offset in 0..len {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        let flipped = [byte[0] ^ (1 << (offset % 8))];
        file.write_all_at(&flipped, offset).unwrap();
        assert!(!verify_sst(&env, Path::new(PATH), ID).damage.is_empty(), "offset {offset}");
        file.write_all_at(&byte, offset).unwrap();
    }
    assert!(verify_sst(&env, Path::new(PATH), ID).damage.is_empty());
}

#[test]
fn moved_swapped_cut_and_foreign_pages_are_found() {
    let env = Env::memory();
    small_file(&env, true);
    let path = Path::new(PATH);
    let file = env.files().open(path, OpenMode::ReadWrite).unwrap();
    let mut whole = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut whole, 0).unwrap();
    for page in 0..whole.len() / 4096 - 1 {
        let mut swapped = whole.clone();
        let (a, b) = (page * 4096, (page + 1) * 4096);
        swapped[a..b].copy_from_slice(&whole[b..b + 4096]);
        swapped[b..b + 4096].copy_from_slice(&whole[a..b]);
        file.write_all_at(&swapped, 0).unwrap();
        assert!(!verify_sst(&env, path, ID).damage.is_empty(), "swapped page {page}");
    }
    file.write_all_at(&whole, 0).unwrap();
    assert!(!verify_sst(&env, path, FileId { number: 8, ..ID }).damage.is_empty());
    assert!(!verify_sst(&env, path, FileId { database: [0; 16], ..ID }).damage.is_empty());
    for len in (0..whole.len() as u64).step_by(512) {
        file.set_len(len).unwrap();
        assert!(!verify_sst(&env, path, ID).damage.is_empty(), "cut to {len}");
        file.write_all_at(&whole, 0).unwrap();
    }
}

/// A file with a codec that the build lacks is refused by name, not as damage.
#[test]
fn zstd_files_have_their_version() {
    let env = Env::memory();
    let mut model = Model::new();
    for i in 0..900u32 {
        model.insert((format!("user:{i:05}").into_bytes(), std::cmp::Reverse(1)), (Kind::Put, vec![1; 50]));
    }
    build(&env, &model, &[], Layout { compression: WITH_ZSTD, ..layout(true, 4096, 10) });
    let file = env.files().open(Path::new(PATH), OpenMode::ReadWrite).unwrap();
    let mut version = [0; 4];
    file.read_exact_at(&mut version, 8).unwrap();
    assert_eq!(version[0], if cfg!(feature = "zstd") { 2 } else { 1 });
    // The first data block, claimed to be zstd by one who can count.
    let mut block = vec![0; 4096];
    file.read_exact_at(&mut block, 4096).unwrap();
    block[4096 - 7] = 2;
    let sum = super::format::checksum(ID.number, 4096, &block[..4092]);
    block[4092..].copy_from_slice(&sum.to_le_bytes());
    file.write_all_at(&block, 4096).unwrap();
    let found = open(&env).get(b"user:00000", filter::hash(b"user:00000"), SEQ_LAST);
    match found {
        Ok(_) if cfg!(feature = "zstd") => {}
        Ok(_) => panic!("read without a decoder"),
        Err(Error::NotBuiltIn { what, .. }) => {
            assert!(!cfg!(feature = "zstd") && what.contains("zstd"));
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn golden_bytes() {
    // A change here is a new format version: see docs/format/sst.md.
    let env = Env::memory();
    small_file(&env, false);
    let file = env.files().open(Path::new(PATH), OpenMode::Read).unwrap();
    let mut whole = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut whole, 0).unwrap();
    assert_eq!(&whole[..12], b"CAIRNSST\x01\0\0\0");
    assert_eq!((whole.len(), xxhash_rust::xxh3::xxh3_64(&whole)), (36_864, GOLDEN));
}

const GOLDEN: u64 = 1_049_120_099_949_569_304;

proptest! {
    #[test]
    fn decoders_are_total(bytes in proptest::collection::vec(any::<u8>(), 0..5000), rows in 0u32..40, handles in 1usize..3) {
        use super::format::{Footer, Properties, decode_header, open_extent};
        let mut counted = rows.to_le_bytes().to_vec();
        counted.extend_from_slice(&bytes);
        for bytes in [&bytes[..], &counted[..]] {
            let _ = decode_header(bytes, ID);
            let _ = Footer::decode(bytes, ID, bytes.len() as u64);
            let _ = open_extent(bytes, 7, 4096);
            let _ = super::tombstones::decode(bytes);
            let _ = filter::Filter::parse(bytes).map(|filter| filter.may_contain(7));
            let _ = Properties::read(&mut crate::fields::Fields::new(bytes));
            let _ = crate::manifest::format::Edit::decode(bytes);
            let _ = crate::manifest::format::decode_record(7, bytes, 0);
            if let Ok(block) = super::block::Block::check(bytes) {
                let _ = block.lower_bound(b"key", 9);
            }
            if let Ok(index) = super::index::Index::parse(Bytes::copy_from_slice(bytes), handles, 1 << 40) {
                let _ = (index.lower_bound(b"key"), index.len());
            }
        }
    }
}
