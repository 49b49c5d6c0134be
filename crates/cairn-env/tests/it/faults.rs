//! Each planned fault of the simulation.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::path::Path;

use cairn_env::sim::{Fault, Repeat, SimOptions, Simulation};
use cairn_env::{Env, File, OpenMode};

fn quiet(seed: u64) -> Simulation {
    Simulation::new(SimOptions { short_one_in: 0, ..SimOptions::new(seed) })
}

fn create(env: &Env, path: &str) -> std::sync::Arc<dyn File> {
    env.files().open(Path::new(path), OpenMode::CreateNew).unwrap()
}

#[test]
fn the_nth_operation_fails_once() {
    let simulation = quiet(1);
    let file = create(&simulation.env(), "/f");
    simulation.fail_nth(2, Fault::Enospc, Repeat::Once);
    file.write_all_at(b"one", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(simulation.fault_hits(), 0);
    assert_eq!(file.write_all_at(b"two", 3).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_all_at(b"two", 3).unwrap();
    assert_eq!(simulation.fault_hits(), 1);
    assert_eq!(simulation.read_file(Path::new("/f")).unwrap(), b"onetwo");
}

#[test]
fn a_sticky_fault_stays_until_cleared() {
    let simulation = quiet(1);
    let env = simulation.env();
    let file = create(&env, "/f");
    simulation.fail_nth(1, Fault::Eio, Repeat::Sticky);
    assert!(file.write_at(b"x", 0).is_err());
    assert!(file.read_at(&mut [0], 0).is_err());
    assert!(env.files().list(Path::new("/")).is_err());
    assert!(env.files().lock_exclusive(Path::new("/l")).is_err());
    simulation.clear_faults();
    file.write_all_at(b"x", 0).unwrap();
    simulation.fail_nth(1, Fault::Emfile, Repeat::Sticky);
    assert!(env.files().open(Path::new("/f"), OpenMode::Read).is_err());
    file.write_all_at(b"x", 0).unwrap();
}

#[test]
fn a_failed_sync_loses_bytes_and_the_next_one_lies() {
    let (mut lost, mut there) = (0, 0);
    for seed in 0..200 {
        let simulation = quiet(seed);
        let env = simulation.env();
        let file = create(&env, "/f");
        env.files().sync_dir(Path::new("/")).unwrap();
        file.write_all_at(b"data", 0).unwrap();
        simulation.fail_nth(1, Fault::FsyncFails, Repeat::Once);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        let mut cached = [0; 4];
        file.read_exact_at(&mut cached, 0).unwrap();
        assert_eq!(&cached, b"data", "the cache still shows the bytes");
        simulation.crash();
        let env = simulation.restart();
        let file = env.files().open(Path::new("/f"), OpenMode::Read).unwrap();
        let mut after = [0; 4];
        if file.read_exact_at(&mut after, 0).is_ok() && &after == b"data" {
            there += 1;
        } else {
            lost += 1;
        }
    }
    assert!(lost > 20 && there > 20, "{lost} {there}");
}

#[test]
fn a_lying_sync_keeps_nothing() {
    let mut lost = 0;
    for seed in 0..50 {
        let simulation = quiet(seed);
        let env = simulation.env();
        let file = create(&env, "/f");
        env.files().sync_dir(Path::new("/")).unwrap();
        file.write_all_at(b"data", 0).unwrap();
        simulation.fail_nth(1, Fault::SyncLies, Repeat::Sticky);
        file.sync_data().unwrap();
        simulation.crash();
        simulation.restart();
        lost += u64::from(simulation.read_file(Path::new("/f")).unwrap() != b"data");
    }
    assert!(lost > 10);
}

#[test]
fn a_full_disk_takes_what_fits_and_recovers() {
    let simulation = quiet(3);
    simulation.set_capacity(1000);
    let env = simulation.env();
    let file = create(&env, "/f");
    assert_eq!(file.write_at(&[1; 600], 0).unwrap(), 600);
    assert_eq!(env.files().free_bytes(Path::new("/")).unwrap(), 400);
    assert_eq!(file.write_at(&[1; 600], 600).unwrap(), 400, "what fits is taken");
    assert_eq!(file.write_at(&[1; 600], 1000).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.write_at(&[2; 600], 0).unwrap(), 600, "overwriting needs no space");
    assert_eq!(file.allocate(1001).unwrap_err().kind(), ErrorKind::StorageFull);
    simulation.fail_nth(1, Fault::Enospc, Repeat::Sticky);
    assert_eq!(file.set_len(1001).unwrap_err().kind(), ErrorKind::StorageFull);
    file.set_len(999).unwrap();
    simulation.clear_faults();
    file.set_len(1000).unwrap();
    env.files().remove_file(Path::new("/f")).unwrap();
    assert_eq!(simulation.free_bytes(), 0, "an open file keeps its space");
    drop(file);
    assert_eq!(simulation.free_bytes(), 1000);
    simulation.set_capacity(u64::MAX);
    create(&env, "/g").allocate(1 << 40).unwrap();
}

#[test]
fn short_reads_and_writes_happen_and_the_loops_cope() {
    let simulation = Simulation::new(SimOptions { short_one_in: 2, ..SimOptions::new(5) });
    let file = create(&simulation.env(), "/f");
    let bytes: Vec<u8> = (0..200_000u32).map(|i| (i * 7 % 251) as u8).collect();
    for chunk in 0..20 {
        file.write_all_at(&bytes[chunk * 10_000..][..10_000], chunk as u64 * 10_000).unwrap();
    }
    let mut back = vec![0; bytes.len()];
    file.read_exact_at(&mut back, 0).unwrap();
    assert_eq!(back, bytes);
    let shorts = (0..100).filter(|_| !matches!(file.read_at(&mut back, 0), Ok(200_000))).count();
    assert!((20..80).contains(&shorts), "{shorts}");
    let simulation = quiet(5);
    let file = create(&simulation.env(), "/f");
    simulation.fail_nth(1, Fault::ShortWrite, Repeat::Once);
    simulation.fail_nth(1, Fault::ShortRead, Repeat::Once);
    assert_eq!(file.write_at(&[1; 100], 0).unwrap(), 50);
    assert_eq!(file.read_at(&mut [0; 50], 0).unwrap(), 25);
}

#[test]
fn bits_flip_on_disk_and_in_passing() {
    let simulation = quiet(7);
    let file = create(&simulation.env(), "/f");
    file.write_all_at(&[0; 64], 0).unwrap();
    let read = || {
        let mut bytes = [0; 64];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes.iter().map(|byte| byte.count_ones()).sum::<u32>()
    };
    simulation.fail_nth(1, Fault::FlippedRead, Repeat::Once);
    assert_eq!(read(), 1);
    assert_eq!(read(), 0);
    simulation.flip_bit(Path::new("/f"), 10, 3).unwrap();
    assert_eq!(read(), 1);
    assert_eq!(simulation.read_file(Path::new("/f")).unwrap()[10], 8);
    assert!(simulation.flip_bit(Path::new("/f"), 64, 0).is_err());
    simulation.remove_file(Path::new("/f")).unwrap();
    assert!(simulation.list(Path::new("/")).unwrap().is_empty());
}
