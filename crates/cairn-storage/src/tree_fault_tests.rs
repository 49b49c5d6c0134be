//! The tree on a simulated disk: power cuts at any file operation, and failing operations.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use cairn_env::sim::{Fault, Repeat, SimOptions, Simulation};

use crate::error::{Error, Result};
use crate::key::CommitSeq;
use crate::memtable::Memtable;
use crate::past::Kept;
use crate::range::KeyRange;
use crate::tree::Tree;
use crate::tree_tests::{DIR, Dice, Model, check, fill, open, pick, seeds};
use crate::verify::verify_closed;

/// One random operation. A flush that fails keeps its memtable for another try.
fn step(
    tree: &Tree,
    random: &Dice,
    model: &mut Model,
    waiting: &mut Option<(Memtable, CommitSeq)>,
    flushed: &mut CommitSeq,
) -> Result<()> {
    let readable = [model.states.len() as CommitSeq];
    match pick(random, 8) {
        0..=4 => {
            if waiting.is_none() {
                let table = fill(random, model);
                *waiting = Some((table, model.states.len() as CommitSeq));
            }
            if let Some((table, last)) = waiting {
                tree.flush(table, 0, *last, Kept::at(*flushed))?;
                *flushed = *last;
                *waiting = None;
            }
            Ok(())
        }
        5 | 6 => tree.compact_step(&readable).map(|_| ()),
        _ => tree.compact_range(&KeyRange::all(), &readable),
    }
}

#[test]
fn a_power_cut_anywhere_loses_nothing_acknowledged() {
    for seed in seeds(400) {
        println!("CAIRN_SEED={seed}");
        let random = Dice::new(seed);
        let simulation = Simulation::new(SimOptions::new(seed));
        let mut env = simulation.env();
        let mut model = Model::default();
        let mut flushed = 0;
        for _round in 0..5 {
            simulation.crash_after(1 + pick(&random, 60));
            let mut waiting = None;
            let _ = (|| -> Result<()> {
                let (tree, _) = open(&env)?;
                for _ in 0..12 {
                    step(&tree, &random, &mut model, &mut waiting, &mut flushed)?;
                }
                tree.close(0)
            })();
            simulation.crash();
            env = simulation.restart();
            let (tree, last) = open(&env).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            // A flush that was cut short is there whole or not at all.
            let possible = waiting.as_ref().map_or(flushed, |(_, last)| *last);
            assert!(last == flushed || last == possible, "{last}: {flushed} or {possible} expected");
            model.states.truncate(last as usize);
            flushed = last;
            check(&tree.version(), &model, last, &random);
            assert!(tree.verify().unwrap().is_sound());
        }
    }
}

#[test]
fn creation_cut_short_is_begun_anew() {
    for seed in seeds(600) {
        let simulation = Simulation::new(SimOptions::new(seed));
        let mut env = simulation.env();
        simulation.crash_after(1 + seed % 24);
        let created = open(&env).map(|_| ());
        simulation.crash();
        for _ in 0..2 {
            env = simulation.restart();
            if created.is_ok() {
                assert!(env.files().exists(&Path::new(DIR).join("CURRENT")).unwrap(), "seed {seed}");
            }
            // The second time, a manifest is begun anew and the power is cut meanwhile.
            let (tree, last) = open(&env).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert_eq!(last, 0);
            simulation.fail_nth(1, Fault::FsyncFails, Repeat::Once);
            assert!(tree.set_epoch(2).is_err());
            simulation.crash_after(1 + seed / 24 % 12);
            let _ = tree.set_epoch(2);
            simulation.crash();
        }
        let (tree, _) = open(&simulation.restart()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        tree.set_epoch(3).unwrap();
        assert!(tree.verify().unwrap().is_sound());
    }
}

#[test]
fn a_failed_operation_leaves_the_tree_usable() {
    let faults = [Fault::Enospc, Fault::Eio, Fault::Emfile, Fault::FsyncFails];
    for seed in seeds(300) {
        println!("CAIRN_SEED={seed}");
        let random = Dice::new(seed);
        let simulation = Simulation::new(SimOptions::new(seed));
        let env = simulation.env();
        let mut model = Model::default();
        let (mut flushed, mut waiting) = (0, None);
        let (tree, _) = open(&env).unwrap();
        for _ in 0..6 {
            let repeat = if pick(&random, 3) == 0 { Repeat::Sticky } else { Repeat::Once };
            simulation.fail_nth(1 + pick(&random, 40), faults[pick(&random, 4) as usize], repeat);
            for _ in 0..4 {
                let result = step(&tree, &random, &mut model, &mut waiting, &mut flushed);
                let known = matches!(result, Ok(()) | Err(Error::Io { .. } | Error::DiskFull { .. }));
                assert!(known, "seed {seed}: {result:?}");
            }
            simulation.clear_faults();
            // Reads go on, and the work succeeds when the cause is gone.
            check(&tree.version(), &model, flushed, &random);
            if let Some((table, last)) = waiting.take() {
                tree.flush(&table, 0, last, Kept::at(flushed)).unwrap();
                flushed = last;
            }
            tree.compact_step(&[flushed]).unwrap();
            check(&tree.version(), &model, flushed, &random);
        }
        drop(tree);
        simulation.crash();
        let env = simulation.restart();
        let (tree, last) = open(&env).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(last, flushed);
        check(&tree.version(), &model, last, &random);
        let live = tree.version().files().count();
        drop(tree);
        let names = env.files().list(Path::new(DIR)).unwrap();
        let ssts = names.iter().filter(|name| name.ends_with(".sst")).count();
        assert_eq!(ssts, live, "orphans are removed at open: {names:?}");
        assert!(verify_closed(&env, Path::new(DIR)).unwrap().is_sound());
    }
}

#[test]
fn every_flipped_bit_of_a_closed_tree_is_found_or_harmless() {
    let random = Dice::new(9);
    let simulation = Simulation::new(SimOptions { short_one_in: 0, ..SimOptions::new(9) });
    let env = simulation.env();
    let mut model = Model::default();
    let (tree, _) = open(&env).unwrap();
    for _ in 0..3 {
        let table = fill(&random, &mut model);
        tree.flush(&table, 0, model.states.len() as u64, Kept::at(0)).unwrap();
    }
    tree.close(0).unwrap();
    drop(tree);
    let dir = Path::new(DIR);
    assert!(verify_closed(&env, dir).unwrap().is_sound());
    for name in env.files().list(dir).unwrap() {
        let path = dir.join(&name);
        let len = simulation.read_file(&path).unwrap().len() as u64;
        // The last note of the manifest says nothing that is not known.
        let covered = if name.starts_with("MANIFEST") { len - 24 } else { len };
        for offset in (0..covered).step_by(if name.ends_with(".sst") { 37 } else { 1 }) {
            simulation.flip_bit(&path, offset, (offset % 8) as u8).unwrap();
            let found = verify_closed(&env, dir);
            let noticed = match found {
                Ok(report) => report.damage.iter().any(|damage| damage.file == path),
                Err(_) => true,
            };
            assert!(noticed, "{name} at {offset}");
            simulation.flip_bit(&path, offset, (offset % 8) as u8).unwrap();
        }
    }
    assert!(verify_closed(&env, dir).unwrap().is_sound());
}
