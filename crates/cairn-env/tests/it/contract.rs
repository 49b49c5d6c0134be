//! What every file system must do, run over all three.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::path::Path;

use cairn_env::sim::{SimOptions, Simulation};
use cairn_env::{Advice, Env, OpenMode};

fn on_every_file_system(test: impl Fn(&Env, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    test(&Env::os(), dir.path());
    let memory = Env::memory();
    memory.files().create_dir_all(Path::new("/base")).unwrap();
    test(&memory, Path::new("/base"));
    for seed in 0..20 {
        let simulation = Simulation::new(SimOptions::new(seed));
        let env = simulation.env();
        env.files().create_dir_all(Path::new("/base")).unwrap();
        test(&env, Path::new("/base"));
    }
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.map(|_| ()).unwrap_err().kind()
}

#[test]
fn files_read_and_write_at_positions() {
    on_every_file_system(|env, base| {
        let files = env.files();
        let path = base.join("a");
        assert_eq!(kind(files.open(&path, OpenMode::Read)), ErrorKind::NotFound);
        assert_eq!(kind(files.open(&path, OpenMode::ReadWrite)), ErrorKind::NotFound);
        let file = files.open(&path, OpenMode::CreateNew).unwrap();
        assert_eq!(kind(files.open(&path, OpenMode::CreateNew)), ErrorKind::AlreadyExists);
        assert!(file.is_empty().unwrap());
        file.write_all_at(b"hello world", 20_000).unwrap();
        assert_eq!(file.len().unwrap(), 20_011);
        let mut all = vec![1; 20_011];
        file.read_exact_at(&mut all, 0).unwrap();
        assert!(all[..20_000].iter().all(|byte| *byte == 0));
        assert_eq!(&all[20_000..], b"hello world");
        assert_eq!(kind(file.read_exact_at(&mut all, 1)), ErrorKind::UnexpectedEof);
        let past_the_end = loop {
            match file.read_at(&mut all, 30_000) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        assert_eq!(past_the_end.unwrap(), 0);
        let reader = files.open(&path, OpenMode::Read).unwrap();
        assert!(reader.write_at(b"x", 0).is_err());
        let mut word = [0; 5];
        reader.read_exact_at(&mut word, 20_006).unwrap();
        assert_eq!(&word, b"world");
        file.set_len(20_005).unwrap();
        file.set_len(20_011).unwrap();
        reader.read_exact_at(&mut word, 20_006).unwrap();
        assert_eq!(word, [0; 5], "cut bytes come back as zeros");
        file.allocate(1 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 1 << 20);
        file.allocate(5).unwrap();
        assert_eq!(reader.len().unwrap(), 1 << 20, "allocate never cuts");
        file.advise(Advice::WillNeed, 0, 4096);
        file.sync_data().unwrap();
        file.sync_all().unwrap();
        assert_eq!(kind(files.open_mapped(&base.join("none"))), ErrorKind::NotFound);
        assert_eq!(kind(files.open_mapped(base)), ErrorKind::IsADirectory);
        let finished = base.join("finished");
        for len in [0, 1, 4096, 10_000usize] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            files.open(&finished, OpenMode::Create).unwrap().write_all_at(&bytes, 0).unwrap();
            let mapped = files.open_mapped(&finished).unwrap();
            mapped.advise(Advice::Sequential, 0, 0);
            mapped.advise(Advice::WillNeed, 5000, 100_000);
            assert_eq!(mapped.len().unwrap(), len as u64);
            let mut all = vec![1; len];
            mapped.read_exact_at(&mut all, 0).unwrap();
            assert_eq!(all, bytes);
            let mut more = vec![1; 10];
            assert_eq!(
                kind(mapped.read_exact_at(&mut more, (len as u64).saturating_sub(9))),
                ErrorKind::UnexpectedEof
            );
            assert_eq!(kind(mapped.read_exact_at(&mut more, u64::MAX)), ErrorKind::UnexpectedEof);
            assert!(mapped.write_at(b"x", 0).is_err());
            // Its bytes outlive its name.
            files.remove_file(&finished).unwrap();
            mapped.read_exact_at(&mut all, 0).unwrap();
            assert_eq!(all, bytes);
        }
        let cut = files.open(&path, OpenMode::Create).unwrap();
        assert_eq!(cut.len().unwrap(), 0);
        assert_eq!(files.metadata(&path).unwrap().len, 0);
    });
}

#[test]
fn names_behave() {
    on_every_file_system(|env, base| {
        let files = env.files();
        let (a, b, sub) = (base.join("a"), base.join("b"), base.join("x/y/z"));
        assert_eq!(kind(files.open(&sub, OpenMode::CreateNew)), ErrorKind::NotFound);
        files.create_dir_all(&sub).unwrap();
        files.create_dir_all(&sub).unwrap();
        assert!(files.metadata(&sub).unwrap().is_dir);
        assert_eq!(kind(files.open(&sub, OpenMode::Read)), ErrorKind::IsADirectory);
        assert_eq!(kind(files.remove_dir(&base.join("x"))), ErrorKind::DirectoryNotEmpty);
        files.open(&a, OpenMode::CreateNew).unwrap().write_all_at(b"aaaa", 0).unwrap();
        files.open(&b, OpenMode::CreateNew).unwrap().write_all_at(b"bb", 0).unwrap();
        let old = files.open(&b, OpenMode::Read).unwrap();
        assert_eq!(files.list(base).unwrap(), ["a", "b", "x"]);
        assert_eq!(kind(files.list(&base.join("no"))), ErrorKind::NotFound);
        assert_eq!(kind(files.hard_link(&a, &b)), ErrorKind::AlreadyExists);
        files.rename(&a, &b).unwrap();
        assert!(!files.exists(&a).unwrap());
        assert_eq!(files.metadata(&b).unwrap().len, 4);
        assert_eq!(old.len().unwrap(), 2, "a replaced file lives on in its handle");
        assert_eq!(kind(files.rename(&a, &b)), ErrorKind::NotFound);
        let linked = sub.join("linked");
        files.hard_link(&b, &linked).unwrap();
        let handle = files.open(&linked, OpenMode::ReadWrite).unwrap();
        files.remove_file(&b).unwrap();
        assert_eq!(kind(files.remove_file(&b)), ErrorKind::NotFound);
        files.remove_file(&linked).unwrap();
        handle.write_all_at(b"still", 0).unwrap();
        assert_eq!(handle.len().unwrap(), 5, "a removed file lives on in its handle");
        files.open(&sub.join("inside"), OpenMode::CreateNew).unwrap();
        files.rename(&base.join("x/y"), &base.join("moved")).unwrap();
        assert!(files.exists(&base.join("moved/z/inside")).unwrap());
        files.remove_dir(&base.join("x")).unwrap();
        files.sync_dir(base).unwrap();
        assert_eq!(files.list(base).unwrap(), ["moved"]);
        assert!(files.free_bytes(base).unwrap() > 0);
    });
}

#[test]
fn one_holder_has_the_lock() {
    on_every_file_system(|env, base| {
        let path = base.join("LOCK");
        let held = env.files().lock_exclusive(&path).unwrap();
        assert!(held.is_some());
        assert!(env.files().exists(&path).unwrap());
        assert!(env.files().lock_exclusive(&path).unwrap().is_none());
        assert!(env.files().lock_exclusive(&base.join("OTHER")).unwrap().is_some());
        drop(held);
        assert!(env.files().lock_exclusive(&path).unwrap().is_some());
    });
}

#[test]
fn clocks_and_random_numbers_move() {
    on_every_file_system(|env, _| {
        let start = env.clock().monotonic_nanos();
        env.clock().sleep(std::time::Duration::from_millis(1));
        assert!(env.clock().monotonic_nanos() >= start + 1_000_000);
        assert!(env.clock().wall_micros() > 1_600_000_000_000_000);
        let mut bytes = [0; 1000];
        env.random().fill(&mut bytes);
        assert!(bytes.iter().any(|byte| *byte != 0));
        assert_ne!(env.random().next_u64(), env.random().next_u64());
        assert!(env.tasks().parallelism() >= 1);
    });
}
