//! Open files: few at once, one more try where the system has none, and reads through mappings.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cairn_env::sim::{Fault, Repeat, SimOptions, Simulation};
use cairn_env::{Env, OpenMode, SeededRandom};
use cairn_storage::{Direction, Error, KeyRange, Options, Store, WriteBatch};

use crate::model::{State, Values, batch_of, check_all, collect, everything, random_write, small_options};

/// Small files, many of them, and nothing cached: every read needs its file.
fn many_files() -> Options {
    let mut options = Options::default();
    options.memtable_bytes = 4096;
    options.l0_compaction_files = 2;
    options.level1_bytes = 8192;
    options.target_file_bytes = 4096;
    options.blob_bytes_min = 500;
    options.blob_file_bytes = 4096;
    options.cache_bytes = Some(0);
    options.open_files_max = 8;
    options.background = false;
    options
}

fn fill(store: &Store, keys: u32) {
    for number in 0..keys {
        let mut batch = WriteBatch::new();
        let value = vec![number as u8; if number % 4 == 0 { 600 } else { 100 }];
        batch.put(&number.to_be_bytes(), &value).unwrap();
        store.write(batch, None).unwrap();
    }
    store.flush().unwrap();
}

#[test]
fn few_files_are_open_at_once() {
    let store = Store::open(&Env::memory(), Path::new("/db"), many_files()).unwrap();
    fill(&store, 1000);
    let tree = store.stats().tree;
    let files: u64 = tree.levels.iter().map(|level| level.files).sum();
    assert!(files > 10 && tree.blobs.files > 10, "{tree:?}");
    for round in 0..2000u32 {
        let number = round * 7919 % 1000;
        assert_eq!(store.get(&number.to_be_bytes()).unwrap().unwrap()[0], number as u8);
        assert!(store.stats().tree.open_files <= 8);
    }
    assert_eq!(everything(&store.snapshot()).unwrap().len(), 1000);
}

#[test]
fn a_read_without_a_handle_closes_others_and_tries_again() {
    let simulation = Simulation::new(SimOptions::new(3));
    let store = Store::open(&simulation.env(), Path::new("/db"), many_files()).unwrap();
    fill(&store, 300);
    for number in 0..300u32 {
        simulation.fail_nth(1, Fault::Emfile, Repeat::Once);
        let found = store.get(&number.to_be_bytes());
        assert!(found.unwrap().is_some());
        simulation.clear_faults();
    }
    // Where there is none at all it is told, and nothing is broken by it.
    simulation.fail_nth(1, Fault::Emfile, Repeat::Sticky);
    let failed = (0..300u32).filter(|number| store.get(&number.to_be_bytes()).is_err()).count();
    assert!(failed > 0);
    simulation.clear_faults();
    assert_eq!(everything(&store.snapshot()).unwrap().len(), 300);
}

/// The model test on real files, mapped.
#[test]
fn mapped_reads_give_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..8 {
        let mut random = SeededRandom::new(seed);
        let mut options = small_options(&mut random);
        options.mmap_reads = true;
        options.cache_bytes = [Some(0), None][seed as usize % 2];
        let path = dir.path().join(seed.to_string());
        let (mut state, mut values) = (State::default(), Values::new(10, seed % 4 == 3));
        for life in 0..3 {
            let store = Store::open(&Env::os(), &path, options.clone()).unwrap();
            for round in 0..60 {
                let writes: Vec<_> =
                    (0..random.between(1, 5)).map(|_| random_write(&mut random, &mut values)).collect();
                store.write(batch_of(&writes), None).unwrap();
                writes.iter().for_each(|write| write.apply(&mut state));
                match round % 20 {
                    7 => store.flush().unwrap(),
                    13 => store.compact(KeyRange::all()).unwrap(),
                    19 => check_all(&store.snapshot(), &state).unwrap(),
                    _ => {}
                }
            }
            assert!(store.verify().unwrap().is_sound());
            check_all(&store.snapshot(), &state).unwrap();
            store.close().unwrap();
            options.mmap_reads = life != 1;
        }
    }
}

/// Damage in every page of every file: told in the same words, mapped or not.
#[test]
fn damage_is_told_the_same_way_through_a_mapping() {
    let dir = tempfile::tempdir().unwrap();
    let (env, path) = (Env::os(), dir.path().join("db"));
    let store = Store::open(&env, &path, many_files()).unwrap();
    fill(&store, 120);
    store.compact(KeyRange::all()).unwrap();
    store.close().unwrap();
    let names = env.files().list(&path).unwrap();
    let mut told = 0;
    for name in names.iter().filter(|name| name.ends_with(".sst") || name.ends_with(".blob")) {
        let file = env.files().open(&path.join(name), OpenMode::ReadWrite).unwrap();
        for offset in (5..file.len().unwrap()).step_by(6144) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset).unwrap();
            file.write_all_at(&[byte[0] ^ 0x40], offset).unwrap();
            let look = |mmap_reads: bool| {
                let mut options = many_files();
                options.mmap_reads = mmap_reads;
                let store = Store::open(&env, &path, options).unwrap();
                let found = collect(&store.snapshot(), &KeyRange::all(), Direction::Forward);
                if let Err(error) = &found {
                    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
                }
                let gets: Vec<String> =
                    (0..120u32).map(|key| format!("{:?}", store.get(&key.to_be_bytes()))).collect();
                (format!("{found:?}"), gets)
            };
            let (plain, mapped) = (look(false), look(true));
            assert!(plain == mapped, "{name} at {offset}");
            told += usize::from(plain.0.contains("Corrupt"));
            file.write_all_at(&byte, offset).unwrap();
        }
    }
    assert!(told > 10, "{told} places");
}
