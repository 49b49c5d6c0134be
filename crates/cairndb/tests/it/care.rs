//! Opening, closing, copying, checking; and everything that is wrong with a path.

use std::fs;

use cairndb::{Database, ErrorClass, OpenOptions, SyncMode};

#[test]
fn a_database_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = Database::open(&path).unwrap();
    let clone = db.clone();
    let error = Database::open(&path).unwrap_err();
    assert_eq!((error.class(), error.sqlstate()), (ErrorClass::Unavailable, "55006"));
    assert!(error.hint().is_some());
    drop(db);
    assert!(Database::open(&path).is_err(), "a clone still holds it");
    drop(clone);
    Database::open(&path).unwrap();
}

#[test]
fn close_ends_every_handle() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::open(directory.path().join("db")).unwrap();
    let clone = db.clone();
    db.put("key", "value").unwrap();
    db.close().unwrap();
    assert!(clone.put("key", "other").is_err());
    Database::open(directory.path().join("db")).unwrap();
}

#[test]
fn what_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    fs::write(&file, "not a database").unwrap();
    let error = Database::open(&file).unwrap_err();
    assert!(error.message().contains("notes.txt"), "{error}");
    let folder = directory.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("letter.txt"), "dear").unwrap();
    let error = Database::open(&folder).unwrap_err();
    assert!(error.message().contains("folder"), "{error}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing was added");
    let missing = directory.path().join("missing");
    let options = OpenOptions::new().create_if_missing(false);
    let error = Database::open_with(&missing, options).unwrap_err();
    assert_eq!(error.sqlstate(), "58P01");
    assert!(!missing.exists());
}

#[test]
fn verify_finds_a_flipped_byte() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let db = Database::open(&path).unwrap();
    for i in 0..1_000u32 {
        let tx = db.begin_transaction(Default::default()).unwrap();
        tx.set_sync(SyncMode::None).unwrap();
        tx.put(i.to_be_bytes(), [0x5a; 50]).unwrap();
        tx.commit().unwrap();
    }
    db.flush().unwrap();
    assert!(db.verify().unwrap().damage.is_empty());
    db.close().unwrap();
    assert!(Database::verify_path(&path).unwrap().damage.is_empty());
    let sst = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "sst"))
        .unwrap();
    let mut bytes = fs::read(&sst).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x10;
    fs::write(&sst, bytes).unwrap();
    let damage = Database::verify_path(&path).unwrap().damage;
    assert!(damage.iter().any(|found| found.file.file_name() == sst.file_name()), "{damage:?}");

    let report = Database::repair_path(&path).unwrap();
    assert_eq!(report.damage.len(), damage.len());
    assert!(report.lost.iter().all(|loss| loss.file.file_name() == sst.file_name()), "{report:?}");
    assert!(report.moved_to.as_ref().is_some_and(|aside| aside.join("CURRENT").exists()));
    let db = Database::open(&path).unwrap();
    assert!(db.verify().unwrap().damage.is_empty());
    // One block of rows is lost, and it is listed; everything else is there.
    let missing = (0..1_000u32).filter(|i| db.get(i.to_be_bytes()).unwrap().is_none()).count();
    assert!(missing > 0 && missing < 500 && report.lost.len() == 1, "{missing} keys are missing: {report:?}");
}

#[test]
fn a_checkpoint_is_a_database_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let db = Database::open(directory.path().join("db")).unwrap();
    db.put("before", "1").unwrap();
    db.checkpoint(directory.path().join("copy")).unwrap();
    db.put("after", "2").unwrap();
    let copy = Database::open(directory.path().join("copy")).unwrap();
    assert!(copy.get("before").unwrap().is_some() && copy.get("after").unwrap().is_none());
    copy.put("own", "3").unwrap();
    assert!(db.get("own").unwrap().is_none());
    assert!(db.checkpoint(directory.path().join("copy")).is_err(), "the directory is taken");
}

#[test]
fn relaxed_commits_are_there_after_sync() {
    let directory = tempfile::tempdir().unwrap();
    for mode in [SyncMode::Async, SyncMode::None] {
        let path = directory.path().join(format!("{mode:?}"));
        let db = Database::open_with(&path, OpenOptions::new().sync(mode)).unwrap();
        db.put("key", "value").unwrap();
        db.sync().unwrap();
        drop(db);
        assert!(Database::open(&path).unwrap().get("key").unwrap().is_some(), "{mode:?}");
    }
}

#[test]
fn lower_levels_lie_in_a_second_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (path, slow) = (dir.path().join("db"), dir.path().join("slow"));
    let options = OpenOptions::new()
        .slow_directory(&slow)
        .slow_level(1)
        .mmap_reads(true)
        .open_files_max(8)
        .wal_bytes_max(1 << 20)
        .memtable_bytes(64 << 10);
    let db = Database::open_with(&path, options).unwrap();
    for key in 0..2000u32 {
        db.put(key.to_be_bytes(), [7; 200]).unwrap();
    }
    db.compact().unwrap();
    db.close().unwrap();
    assert!(fs::read_dir(&slow).unwrap().count() > 1);
    let db = Database::open(&path).unwrap();
    assert_eq!(db.get_range(..).unwrap().count(), 2000);
    assert!(db.verify().unwrap().is_sound());
    db.close().unwrap();
    fs::rename(&slow, dir.path().join("gone")).unwrap();
    let error = Database::open(&path).unwrap_err();
    assert!(error.to_string().contains("slow"), "{error}");
}
