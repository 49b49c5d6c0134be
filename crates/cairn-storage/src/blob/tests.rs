//! Blob files by themselves: round trips, every flipped byte, golden bytes.
#![allow(clippy::unwrap_used)]

use cairn_env::OpenMode;

use super::verify::verify_blob;
use super::writer::BlobWriter;
use super::*;
use crate::options::{Compression, Eviction};

const ID: FileId = FileId { number: 9, database: *b"0123456789abcdef" };

fn values() -> Vec<Vec<u8>> {
    (1..40usize)
        .map(|i| (0..i * 37).map(|n| (n * i) as u8 & if i % 2 == 0 { 3 } else { 0xff }).collect())
        .collect()
}

fn write(env: &Env, compression: Compression) -> (BlobMeta, Vec<Pointer>) {
    let mut writer = BlobWriter::create(env, &blob_path(Path::new("/"), ID.number), ID, compression).unwrap();
    let pointers = values().iter().map(|value| writer.add(value).unwrap()).collect();
    (writer.finish().unwrap(), pointers)
}

fn blobs(env: &Env, meta: &BlobMeta, cache_bytes: usize) -> Blobs {
    let cache = Arc::new(BlockCache::new(cache_bytes, Eviction::default()));
    let mut blobs = Blobs::new(Path::new("/"));
    blobs.insert(BlobFile::new(meta.clone(), Path::new("/"), ID, env, &cache, &Handles::new(env, 8, false)));
    blobs
}

#[test]
fn values_come_back() {
    for compression in [Compression::None, Compression::Lz4] {
        let env = Env::memory();
        let (meta, pointers) = write(&env, compression);
        assert!(verify_blob(&env, Path::new("/000009.blob"), ID, &meta).1.is_ok());
        for cache_bytes in [0, 1 << 20] {
            let blobs = blobs(&env, &meta, cache_bytes);
            for _ in 0..2 {
                for (value, pointer) in values().iter().zip(&pointers) {
                    assert_eq!(Pointer::decode(&pointer.encode()), Some(*pointer));
                    assert_eq!(blobs.get(&pointer.encode()).unwrap(), value);
                    assert_eq!(blobs.read(pointer).unwrap(), value);
                }
            }
            let elsewhere = Pointer { file: 8, ..pointers[0] };
            assert!(matches!(blobs.get(&elsewhere.encode()), Err(Error::Corrupt { .. })));
            let between = Pointer { offset: pointers[0].offset + 8, ..pointers[0] };
            assert!(matches!(blobs.get(&between.encode()), Err(Error::Corrupt { .. })));
            let behind = Pointer { offset: meta.file_len, ..pointers[0] };
            assert!(matches!(blobs.get(&behind.encode()), Err(Error::Corrupt { .. })));
        }
    }
}

#[test]
fn every_flipped_byte_is_found() {
    let env = Env::memory();
    let (meta, pointers) = write(&env, Compression::Lz4);
    let path = Path::new("/000009.blob");
    let file = env.files().open(path, OpenMode::ReadWrite).unwrap();
    for at in 0..meta.file_len {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
        let (_, found) = verify_blob(&env, path, ID, &meta);
        assert!(
            matches!(found, Err(Error::Corrupt { .. } | Error::NewerFormat { .. })),
            "byte {at}: {found:?}"
        );
        let blobs = blobs(&env, &meta, 0);
        let broken = pointers.iter().zip(values()).filter(|(pointer, value)| match blobs.read(pointer) {
            Ok(read) => {
                assert_eq!(read, value, "a wrong value");
                false
            }
            Err(_) => true,
        });
        assert_eq!(broken.count(), usize::from(at >= HEADER as u64), "one value is damaged by byte {at}");
        file.write_all_at(&byte, at).unwrap();
    }
}

#[test]
fn golden_bytes() {
    // A change here is a new format version: see docs/format/blob.md.
    let env = Env::memory();
    let (meta, pointers) = write(&env, Compression::None);
    let file = env.files().open(Path::new("/000009.blob"), OpenMode::Read).unwrap();
    let mut whole = vec![0; meta.file_len as usize];
    file.read_exact_at(&mut whole, 0).unwrap();
    assert_eq!(&whole[..12], b"CAIRNBLB\x01\0\0\0");
    assert_eq!((pointers[0].offset, pointers[1].offset, pointers[1].record_len), (64, 120, 96));
    assert_eq!((whole.len(), xxhash_rust::xxh3::xxh3_64(&whole)), GOLDEN);
}

const GOLDEN: (usize, u64) = (29_688, 9_224_342_276_372_833_829);
