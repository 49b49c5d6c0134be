//! What a simulated power cut may leave, shown case by case over many seeds.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cairn_env::sim::{SimOptions, Simulation, is_power_cut};
use cairn_env::{Env, OpenMode, SeededRandom};

const SEEDS: u64 = 300;

fn simulation(seed: u64) -> Simulation {
    Simulation::new(SimOptions::new(seed))
}

fn read(env: &Env, path: &str) -> Option<Vec<u8>> {
    let file = env.files().open(Path::new(path), OpenMode::Read).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

#[test]
fn synced_bytes_stay_and_unsynced_sectors_are_kept_lost_or_garbled() {
    let (mut kept, mut lost, mut garbled, mut mixed) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let simulation = simulation(seed);
        let env = simulation.env();
        let file = env.files().open(Path::new("/f"), OpenMode::CreateNew).unwrap();
        file.write_all_at(&[1; 4096], 0).unwrap();
        file.sync_data().unwrap();
        env.files().sync_dir(Path::new("/")).unwrap();
        file.write_all_at(&[2; 2048], 1000).unwrap();
        simulation.crash();
        assert!(is_power_cut(&file.len().unwrap_err()));
        assert!(env.files().list(Path::new("/")).is_err());
        let after = read(&simulation.restart(), "/f").unwrap();
        assert_eq!(after.len(), 4096);
        assert!(after[..1000].iter().chain(&after[3048..]).all(|byte| *byte == 1), "bytes outside are safe");
        let borders = [1000, 1024, 1536, 2048, 2560, 3048];
        let fates: Vec<u8> = borders
            .windows(2)
            .map(|border| {
                let sector = &after[border[0]..border[1]];
                if sector.iter().all(|byte| *byte == 2) {
                    2
                } else if sector.iter().all(|byte| *byte == 1) {
                    1
                } else {
                    3
                }
            })
            .collect();
        kept += u64::from(fates.iter().all(|fate| *fate == 2));
        lost += u64::from(fates.iter().all(|fate| *fate == 1));
        garbled += u64::from(fates.contains(&3));
        mixed += u64::from(fates.contains(&1) && fates.contains(&2));
    }
    assert!(kept > 20 && lost > 20 && garbled > 20 && mixed > 20, "{kept} {lost} {garbled} {mixed}");
}

#[test]
fn length_and_data_are_independent() {
    let (mut short, mut zeros, mut whole) = (0, 0, 0);
    for seed in 0..SEEDS {
        let simulation = simulation(seed);
        let env = simulation.env();
        let file = env.files().open(Path::new("/f"), OpenMode::CreateNew).unwrap();
        env.files().sync_dir(Path::new("/")).unwrap();
        file.allocate(1024).unwrap();
        file.write_all_at(&[7; 512], 0).unwrap();
        simulation.crash();
        let after = read(&simulation.restart(), "/f").unwrap();
        short += u64::from(after.is_empty());
        zeros += u64::from(after.len() == 1024 && after.iter().all(|byte| *byte == 0));
        whole += u64::from(after.len() == 1024 && after[..512] == [7; 512]);
    }
    assert!(short > 20 && zeros > 10 && whole > 20, "{short} {zeros} {whole}");
}

#[test]
fn names_and_contents_are_independent() {
    let (mut name_only, mut nothing, mut both) = (0, 0, 0);
    for seed in 0..SEEDS {
        let simulation = simulation(seed);
        let env = simulation.env();
        let file = env.files().open(Path::new("/f"), OpenMode::CreateNew).unwrap();
        file.write_all_at(b"data", 0).unwrap();
        if seed % 2 == 0 {
            file.sync_data().unwrap();
        } else {
            env.files().sync_dir(Path::new("/")).unwrap();
        }
        simulation.crash();
        match read(&simulation.restart(), "/f") {
            None => {
                assert_eq!(seed % 2, 0, "a synced name is lost");
                nothing += 1;
            }
            Some(bytes) if bytes == b"data" => both += 1,
            Some(_) => {
                assert_eq!(seed % 2, 1, "synced contents are lost");
                name_only += 1;
            }
        }
    }
    assert!(name_only > 20 && nothing > 20 && both > 20, "{name_only} {nothing} {both}");
}

#[test]
fn a_rename_may_survive_without_contents() {
    let (mut old, mut new, mut torn) = (0, 0, 0);
    for seed in 0..SEEDS {
        let simulation = simulation(seed);
        simulation.write_file(Path::new("/target"), b"old!").unwrap();
        let env = simulation.env();
        let file = env.files().open(Path::new("/new"), OpenMode::CreateNew).unwrap();
        file.write_all_at(b"new!", 0).unwrap();
        env.files().rename(Path::new("/new"), Path::new("/target")).unwrap();
        simulation.crash();
        match read(&simulation.restart(), "/target").unwrap().as_slice() {
            b"old!" => old += 1,
            b"new!" => new += 1,
            _ => torn += 1,
        }
    }
    assert!(old > 20 && new > 20 && torn > 20, "{old} {new} {torn}");
}

#[test]
fn removed_names_come_back_until_the_directory_is_synced() {
    let mut back = 0;
    for seed in 0..SEEDS {
        let simulation = simulation(seed);
        simulation.write_file(Path::new("/f"), b"data").unwrap();
        let env = simulation.env();
        env.files().remove_file(Path::new("/f")).unwrap();
        if seed % 2 == 0 {
            env.files().sync_dir(Path::new("/")).unwrap();
        }
        simulation.crash();
        let there = read(&simulation.restart(), "/f").is_some();
        assert!(!there || seed % 2 == 1);
        back += u64::from(there);
    }
    assert!(back > 20);
}

#[test]
fn a_crash_at_an_operation_does_it_or_not() {
    let (mut done, mut not) = (0, 0);
    for seed in 0..SEEDS {
        let simulation = simulation(seed);
        let env = simulation.env();
        simulation.crash_after(3);
        let file = env.files().open(Path::new("/f"), OpenMode::CreateNew).unwrap();
        env.files().sync_dir(Path::new("/")).unwrap();
        let error = loop {
            match file.write_at(b"data", 0) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other.unwrap_err(),
            }
        };
        assert!(is_power_cut(&error));
        assert!(simulation.is_off());
        assert!(file.sync_data().is_err());
        let bytes = read(&simulation.restart(), "/f").unwrap();
        done += u64::from(bytes == b"data");
        not += u64::from(bytes.is_empty());
        assert!(file.len().is_err(), "a handle of before stays dead");
    }
    assert!(done > 20 && not > 20, "{done} {not}");
}

#[test]
fn a_killed_process_leaves_what_it_wrote() {
    for seed in 0..50 {
        let simulation = simulation(seed);
        let env = simulation.env();
        let lock = env.files().lock_exclusive(Path::new("/LOCK")).unwrap();
        let file = env.files().open(Path::new("/f"), OpenMode::CreateNew).unwrap();
        file.write_all_at(b"data", 0).unwrap();
        let env = simulation.restart();
        assert!(file.len().is_err());
        let again = env.files().lock_exclusive(Path::new("/LOCK")).unwrap();
        assert!(again.is_some(), "the dead hold no lock");
        drop(lock);
        assert!(env.files().lock_exclusive(Path::new("/LOCK")).unwrap().is_none());
        assert_eq!(read(&env, "/f").unwrap(), b"data");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed: u64| {
        let simulation = simulation(seed);
        let mut script = SeededRandom::new(99);
        for _ in 0..5 {
            let env = simulation.restart();
            simulation.crash_after(script.between(5, 40));
            for i in 0..30 {
                let name = format!("/{}", script.below(4));
                let path = Path::new(&name);
                let result = env.files().open(path, OpenMode::Create).and_then(|file| {
                    file.write_all_at(&[i; 3000], script.below(10_000))?;
                    file.sync_data()?;
                    env.files().sync_dir(Path::new("/"))
                });
                if result.is_err() {
                    break;
                }
            }
            simulation.crash();
        }
        simulation.trace_hash()
    };
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
        assert_ne!(run(seed), run(seed + 1000));
    }
}
