//! Two directories: where files go, what happens when the second one moves, is missing, or is another's.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use cairn_env::{Env, OpenMode};
use cairn_storage::{Error, KeyRange, Options, Store, WriteBatch};

const KEYS: u32 = 500;

fn options(slow: Option<&str>) -> Options {
    let mut options = Options::default();
    options.memtable_bytes = 8192;
    options.level1_bytes = 16384;
    options.level_ratio = 2;
    options.target_file_bytes = 8192;
    options.blob_bytes_min = 1000;
    options.slow_path = slow.map(PathBuf::from);
    options.slow_level = 1;
    options.background = false;
    options
}

fn open(env: &Env, slow: Option<&str>) -> cairn_storage::Result<Store> {
    Store::open(env, Path::new("/db"), options(slow))
}

fn value(key: u32, round: u8) -> Vec<u8> {
    vec![round ^ key as u8; if key.is_multiple_of(50) { 1500 } else { 80 }]
}

fn fill(store: &Store, round: u8) {
    for key in 0..KEYS {
        let mut batch = WriteBatch::new();
        batch.put(&key.to_be_bytes(), &value(key, round)).unwrap();
        store.write(batch, None).unwrap();
    }
    store.compact(KeyRange::all()).unwrap();
}

fn check(store: &Store, round: u8) {
    for key in 0..KEYS {
        assert_eq!(store.get(&key.to_be_bytes()).unwrap().as_deref(), Some(&value(key, round)[..]), "{key}");
    }
}

fn ssts(env: &Env, dir: &str) -> Vec<String> {
    let mut names = env.files().list(Path::new(dir)).unwrap_or_default();
    names.retain(|name| name.ends_with(".sst"));
    names
}

/// A database whose lower levels lie in `/slow`, closed.
fn two_places() -> Env {
    let env = Env::memory();
    let store = open(&env, Some("/slow")).unwrap();
    fill(&store, 1);
    check(&store, 1);
    assert!(store.verify().unwrap().is_sound());
    store.close().unwrap();
    env
}

#[test]
fn lower_levels_lie_in_the_second_directory() {
    let env = two_places();
    assert!(ssts(&env, "/slow").len() > 2 && ssts(&env, "/db").is_empty());
    assert!(!env.files().list(Path::new("/slow")).unwrap().iter().any(|name| name.ends_with(".blob")));
    assert!(Store::verify_dir(&env, Path::new("/db")).unwrap().is_sound());
    // What belongs to nothing goes, what is not ours stays.
    for name in ["999999.sst", "notes.txt", "CAIRN.tmp"] {
        env.files().open(&Path::new("/slow").join(name), OpenMode::CreateNew).unwrap();
    }
    // Without the option the files are found where they are.
    let store = open(&env, None).unwrap();
    check(&store, 1);
    let names = env.files().list(Path::new("/slow")).unwrap();
    assert!(names.contains(&"notes.txt".to_string()));
    assert!(!names.contains(&"999999.sst".to_string()) && !names.contains(&"CAIRN.tmp".to_string()));
    // What is rewritten comes back.
    fill(&store, 2);
    check(&store, 2);
    assert!(ssts(&env, "/slow").is_empty() && !ssts(&env, "/db").is_empty());
    store.close().unwrap();
    // And goes there again.
    let store = open(&env, Some("/slow")).unwrap();
    fill(&store, 3);
    check(&store, 3);
    assert!(!ssts(&env, "/slow").is_empty() && ssts(&env, "/db").is_empty());
}

#[test]
fn a_second_directory_that_is_missing_is_told_and_may_have_moved() {
    let env = two_places();
    env.files().rename(Path::new("/slow"), Path::new("/moved")).unwrap();
    for slow in [None, Some("/slow"), Some("/elsewhere")] {
        let error = open(&env, slow).unwrap_err();
        let path = Path::new(slow.unwrap_or("/slow"));
        assert!(matches!(&error, Error::Io { path: named, .. } if named == path), "{error}");
        assert!(!Store::verify_dir(&env, Path::new("/db")).unwrap().is_sound());
    }
    assert!(!env.files().exists(Path::new("/slow")).unwrap(), "nothing was begun in its place");
    let store = open(&env, Some("/moved")).unwrap();
    check(&store, 1);
    store.close().unwrap();
    // That is remembered.
    let store = open(&env, None).unwrap();
    check(&store, 1);
    drop(store);
    // A single file that is missing is named.
    let lost = Path::new("/moved").join(&ssts(&env, "/moved")[0]);
    env.files().remove_file(&lost).unwrap();
    let error = open(&env, None).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { file, .. } if *file == lost), "{error}");
}

#[test]
fn another_directory_is_refused_and_left_alone() {
    let env = two_places();
    env.files().create_dir_all(Path::new("/full")).unwrap();
    env.files().open(Path::new("/full/letter"), OpenMode::CreateNew).unwrap();
    let other = |slow: &str| Store::open(&env, Path::new("/other"), options(Some(slow)));
    for slow in ["/slow", "/full", "/db"] {
        let error = other(slow).unwrap_err();
        assert!(matches!(error, Error::NotADatabase { .. }), "{slow}: {error}");
    }
    assert!(matches!(other("relative/path"), Err(Error::InvalidArgument(_))));
    let mut wrong = options(None);
    wrong.slow_level = 7;
    assert!(matches!(wrong.validate(), Err(Error::InvalidArgument(_))));
    assert_eq!(env.files().list(Path::new("/full")).unwrap(), ["letter"]);
    check(&open(&env, None).unwrap(), 1);
    // The database's own directory is none to begin with either.
    assert!(matches!(open(&Env::memory(), Some("/db")), Err(Error::NotADatabase { .. })));
}

#[test]
fn a_checkpoint_is_one_directory() {
    let env = two_places();
    let store = open(&env, Some("/slow")).unwrap();
    store.checkpoint(Path::new("/copy")).unwrap();
    store.close().unwrap();
    let copy = Store::open(&env, Path::new("/copy"), options(None)).unwrap();
    check(&copy, 1);
    assert!(copy.verify().unwrap().is_sound());
    fill(&copy, 2);
    copy.close().unwrap();
    // The original's second directory is not the copy's, though both are the same database by name.
    for slow in ["/slow", "/db"] {
        let error = Store::open(&env, Path::new("/copy"), options(Some(slow))).unwrap_err();
        assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    }
    check(&open(&env, None).unwrap(), 1);
}

#[test]
fn damage_in_the_second_directory_is_found_and_repaired() {
    let env = two_places();
    let hurt = Path::new("/slow").join(&ssts(&env, "/slow")[0]);
    let file = env.files().open(&hurt, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 4200).unwrap();
    file.write_all_at(&[!byte[0]], 4200).unwrap();
    let report = Store::verify_dir(&env, Path::new("/db")).unwrap();
    assert!(report.damage.iter().all(|damage| damage.file == hurt) && !report.is_sound(), "{report:?}");
    let repaired = Store::repair(&env, Path::new("/db")).unwrap();
    assert!(!repaired.lost.is_empty() && !repaired.manifest_rebuilt, "{repaired:?}");
    assert!(repaired.lost.iter().all(|loss| loss.file == hurt), "{repaired:?}");
    // What lies there belongs to the damaged one.
    let before = ssts(&env, "/slow");
    assert!(matches!(open(&env, Some("/slow")), Err(Error::NotADatabase { .. })));
    let store = open(&env, None).unwrap();
    assert_eq!(ssts(&env, "/slow"), before);
    let kept = (0..KEYS).filter(|key| store.get(&key.to_be_bytes()).unwrap().is_some()).count();
    assert!(kept > KEYS as usize / 2 && kept < KEYS as usize, "{kept} keys");
    for key in (0..KEYS).filter(|key| store.get(&key.to_be_bytes()).unwrap().is_some()) {
        assert_eq!(store.get(&key.to_be_bytes()).unwrap().as_deref(), Some(&value(key, 1)[..]));
    }
    store.close().unwrap();
    let store = open(&env, Some("/new")).unwrap();
    fill(&store, 2);
    check(&store, 2);
}

/// The record of the second directory, damaged at every byte or missing, is told.
#[test]
fn a_damaged_record_of_the_second_directory_is_told() {
    let env = two_places();
    let path = Path::new("/db/SLOW");
    let file = env.files().open(path, OpenMode::ReadWrite).unwrap();
    for offset in 0..file.len().unwrap() {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).unwrap();
        file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
        let error = open(&env, None).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. } | Error::NewerFormat { .. }), "{offset}: {error}");
        assert!(!Store::verify_dir(&env, Path::new("/db")).is_ok_and(|report| report.is_sound()));
        file.write_all_at(&byte, offset).unwrap();
    }
    env.files().remove_file(path).unwrap();
    let error = open(&env, None).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { file, .. } if file == path), "{error}");
    // Told where it is, the record is written again.
    open(&env, Some("/slow")).unwrap().close().unwrap();
    check(&open(&env, None).unwrap(), 1);
}

/// A manifest as the versions before wrote it is read, and followed by one of the newest version.
#[test]
fn an_older_manifest_is_opened() {
    for version in [1, 2, 3] {
        let env = Env::memory();
        let mut plain = options(None);
        // What version 1 knew: no blob files, and no times of files.
        plain.blob_bytes_min = 0;
        let store = Store::open(&env, Path::new("/db"), plain).unwrap();
        fill(&store, 1);
        store.close().unwrap();
        let manifest = |env: &Env| {
            let names = env.files().list(Path::new("/db")).unwrap();
            Path::new("/db").join(names.iter().find(|name| name.starts_with("MANIFEST")).unwrap())
        };
        let old = manifest(&env);
        let file = env.files().open(&old, OpenMode::ReadWrite).unwrap();
        let mut header = [0; 60];
        file.read_exact_at(&mut header, 0).unwrap();
        assert_eq!(header[8], 4);
        header[8] = version;
        let sum = crc32c::crc32c(&[&header[16..24], &[0; 8], &header[..]].concat());
        file.write_all_at(&[&header[..], &sum.to_le_bytes()].concat(), 0).unwrap();
        assert!(Store::verify_dir(&env, Path::new("/db")).unwrap().is_sound());
        let store = open(&env, Some("/slow")).unwrap();
        check(&store, 1);
        fill(&store, 2);
        store.close().unwrap();
        assert_ne!(manifest(&env), old, "it was begun anew");
        assert!(!ssts(&env, "/slow").is_empty());
        check(&open(&env, None).unwrap(), 2);
    }
}

/// Where nothing lies in the second directory, it may go.
#[test]
fn an_empty_second_directory_is_not_missed() {
    let env = Env::memory();
    open(&env, Some("/slow")).unwrap().close().unwrap();
    env.files().remove_file(Path::new("/slow/CAIRN")).unwrap();
    env.files().remove_dir(Path::new("/slow")).unwrap();
    assert!(Store::verify_dir(&env, Path::new("/db")).unwrap().is_sound());
    let store = open(&env, None).unwrap();
    fill(&store, 1);
    assert!(store.verify().unwrap().is_sound());
    store.close().unwrap();
    let store = open(&env, Some("/slow")).unwrap();
    fill(&store, 2);
    assert!(!ssts(&env, "/slow").is_empty());
    check(&store, 2);
}
