//! Repair after every kind of damage: all that is undamaged is there, what is lost is listed, the damaged
//! database is kept as it was.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cairn_env::{Env, OpenMode, SeededRandom};
use cairn_storage::{KeyRange, RepairReport, Store, SyncMode, WriteBatch};

use crate::damage_image::{DIR, Files, Image, read_everything, world};
use crate::damage_kinds::{Fault, damage};
use crate::model::{KEYS, State, everything, for_seeds, key};

/// Repairs of each database.
const REPAIRS: u64 = 25;

#[derive(Debug, Default)]
struct Seen {
    repairs: AtomicU64,
    sound: AtomicU64,
    nothing_lost: AtomicU64,
    rows_lost: AtomicU64,
    commits_lost: AtomicU64,
    rebuilt: AtomicU64,
}

#[test]
fn repair_saves_all_that_is_undamaged() {
    let seen = Seen::default();
    for_seeds("repair", 80, |seed| {
        let image = Image::build(seed);
        let mut random = SeededRandom::new(seed ^ 0x4e9a14);
        for _ in 0..REPAIRS {
            repair_once(&image, &mut random, &seen);
        }
    });
    eprintln!("repair test: {seen:?}");
    if std::env::var_os("CAIRN_SEED").is_none() {
        let all = [
            &seen.repairs,
            &seen.sound,
            &seen.nothing_lost,
            &seen.rows_lost,
            &seen.commits_lost,
            &seen.rebuilt,
        ];
        assert!(all.iter().all(|counter| counter.load(Ordering::Relaxed) > 0), "not all happened: {seen:?}");
    }
}

/// One, two or three faults, then a repair.
fn repair_once(image: &Image, random: &mut SeededRandom, seen: &Seen) {
    let mut files = image.files.clone();
    let mut faults: Vec<Fault> = Vec::new();
    for _ in 0..[1, 1, 1, 2, 3][random.below(5) as usize] {
        faults.extend(damage(&mut files, random));
    }
    let context = faults.iter().map(|fault| fault.what.clone()).collect::<Vec<_>>().join(", ");
    let env = world(&files);
    let dir = Path::new(DIR);
    let readable = readable_before(image, &files, faults.len(), &context);
    let report = Store::repair(&env, dir).unwrap_or_else(|error| panic!("{context}: {error}"));
    let count =
        |counter: &AtomicU64, happened: bool| counter.fetch_add(u64::from(happened), Ordering::Relaxed);
    let Some(aside) = &report.moved_to else {
        count(&seen.sound, true);
        return assert_untouched(&env, dir, &files, &context);
    };
    count(&seen.repairs, true);
    count(&seen.nothing_lost, report.lost.is_empty());
    count(&seen.rows_lost, report.lost.iter().any(|loss| loss.commits.is_none()));
    count(&seen.commits_lost, report.lost.iter().any(|loss| loss.commits.is_some()));
    count(&seen.rebuilt, report.manifest_rebuilt);
    assert!(!report.damage.is_empty(), "{context}: repaired without damage");
    assert_untouched(&env, aside, &files, &context);
    assert!(report.lost.iter().all(|loss| loss.file.starts_with(aside)), "{context}: {:?}", report.lost);
    check_repaired(&env, image, &report, &faults, readable, &context);
}

/// The keys that could be read before; `None` where the database did not open, or where two faults together
/// may have hidden each other.
fn readable_before(image: &Image, files: &Files, faults: usize, context: &str) -> Option<BTreeSet<u64>> {
    if !image.closed || faults > 1 {
        return None;
    }
    let mut options = image.options.clone();
    options.background = false;
    let store = Store::open(&world(files), Path::new(DIR), options).ok()?;
    let reading = read_everything(&store.snapshot(), image.state(), context);
    Some((0..KEYS).filter(|number| !reading.failed.contains(number)).collect())
}

/// The damaged files are byte by byte what they were.
fn assert_untouched(env: &Env, dir: &Path, files: &Files, context: &str) {
    for (name, bytes) in files {
        let file = env.files().open(&dir.join(name), OpenMode::Read).unwrap();
        let mut found = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut found, 0).unwrap();
        assert!(found == *bytes, "{context}: the repair changed {name}");
    }
}

fn check_repaired(
    env: &Env,
    image: &Image,
    report: &RepairReport,
    faults: &[Fault],
    readable: Option<BTreeSet<u64>>,
    context: &str,
) {
    let dir = Path::new(DIR);
    let verified = Store::verify_dir(env, dir).unwrap();
    assert!(verified.is_sound(), "{context}: the new store is not sound: {verified:?}");
    let store = Store::open(env, dir, image.options.clone()).unwrap();
    let found = everything(&store.snapshot()).unwrap();
    let touches = |part: &str| faults.iter().any(|fault| fault.touches(part));
    let lost_rows: Vec<&KeyRange> =
        report.lost.iter().filter(|loss| loss.commits.is_none()).map(|loss| &loss.keys).collect();
    let listed = |key: &Bytes| lost_rows.iter().any(|range| range.contains(key));
    for number in 0..KEYS {
        let key = key(number);
        let known = image.states.iter().any(|state| state.get(&key) == found.get(&key));
        assert!(known, "{context}: {key:?} never had the value found");
    }
    assert!(found.keys().all(|found| (0..KEYS).any(|number| key(number) == *found)), "{context}: new keys");
    // Without a manifest SSTs that were deleted just before a power cut may be back, and nobody can name an SST
    // that is not there.
    let unnamed = faults.iter().any(|fault| fault.whole_file && fault.touches(".sst"));
    let exact = match report.manifest_rebuilt {
        true => image.closed && !unnamed,
        // A manifest that was cut back by one damage does not know what another did to the log.
        false => !(touches("MANIFEST") && touches(".wal")),
    };
    if exact {
        let last = image.commits.len();
        let tail_unknown = !image.closed && touches(".wal");
        let first = if tail_unknown { image.flushed } else { last };
        // "Commits behind n, if there were any": some of them may be there.
        let open_ended = report.lost.iter().filter_map(|loss| loss.commits).find(|(_, to)| *to == u64::MAX);
        let first = open_ended.map_or(first, |(from, _)| first.min(from as usize - 1));
        let is_found =
            |state: &State| (0..KEYS).map(key).all(|key| listed(&key) || state.get(&key) == found.get(&key));
        // Commits that nothing tells of may be in an SST all the same, overwritten by none.
        let fits = (first..=last)
            .any(|upto| is_found(&image.states[upto]) || is_found(&state_without(image, upto, report)));
        let now = image.state();
        let differing: Vec<_> =
            (0..KEYS).map(key).filter(|key| !listed(key) && now.get(key) != found.get(key)).collect();
        assert!(fits, "{context}: {differing:?} are wrong, listed are {:?}", report.lost);
    }
    for number in readable.into_iter().flatten() {
        let key = key(number);
        let right = image.state().get(&key) == found.get(&key);
        assert!(right, "{context}: {key:?} was readable and is lost; {:?}", report.lost);
    }
    // The new store works, and never uses a commit number twice.
    assert!(store.last_committed() >= report.last_commit, "{context}");
    let mut batch = WriteBatch::new();
    batch.put(b"after", b"repair").unwrap();
    store.write(batch, Some(SyncMode::Sync)).unwrap();
    store.close().unwrap();
    let store = Store::open(env, dir, image.options.clone()).unwrap();
    assert_eq!(store.get(b"after").unwrap().as_deref(), Some(&b"repair"[..]));
    assert_eq!(everything(&store.snapshot()).unwrap().len(), found.len() + 1, "{context}");
}

/// What the commits up to `upto` made, without those that the report lists as lost.
fn state_without(image: &Image, upto: usize, report: &RepairReport) -> State {
    let lost: Vec<(u64, u64)> =
        report.lost.iter().filter_map(|loss| loss.commits).filter(|(_, to)| *to < u64::MAX).collect();
    if lost.is_empty() {
        return image.states[upto].clone();
    }
    let mut state = State::new();
    for (at, writes) in image.commits[..upto].iter().enumerate() {
        let seq = at as u64 + 1;
        if !lost.iter().any(|(first, last)| (*first..=*last).contains(&seq)) {
            writes.iter().for_each(|write| write.apply(&mut state));
        }
    }
    state
}

/// Without identity, `CURRENT` and manifest everything is rebuilt from SSTs and log, and nothing is missing.
#[test]
fn a_closed_database_is_rebuilt_without_its_manifest() {
    for_seeds("rebuild", 40, |seed| {
        let seed = if seed % 4 == 0 { seed + 1 } else { seed };
        let image = Image::build(seed);
        for gone in [&["MANIFEST"][..], &["CURRENT"], &["CAIRN"], &["MANIFEST", "CURRENT", "CAIRN", "LOCK"]] {
            let mut files = image.files.clone();
            files.retain(|(name, _)| !gone.iter().any(|part| name.starts_with(part)));
            if !files.iter().any(|(name, _)| name.ends_with(".sst") || name.ends_with(".wal")) {
                continue;
            }
            let env = world(&files);
            let report = Store::repair(&env, Path::new(DIR)).unwrap();
            let store = Store::open(&env, Path::new(DIR), image.options.clone()).unwrap();
            let found = everything(&store.snapshot()).unwrap();
            assert!(found == *image.state(), "seed {seed} without {gone:?}: {report:?}");
        }
    });
}

/// Each file of a database removed in turn.
#[test]
fn a_missing_file_costs_its_own_data_only() {
    for_seeds("missing file", 25, |seed| {
        let image = Image::build(seed);
        for at in 0..image.files.len() {
            let mut files = image.files.clone();
            let (name, _) = files.remove(at);
            let env = world(&files);
            let report = Store::repair(&env, Path::new(DIR)).unwrap();
            let store = Store::open(&env, Path::new(DIR), image.options.clone()).unwrap();
            let found = everything(&store.snapshot()).unwrap();
            let mut wrong = (0..KEYS).map(key).filter(|key| image.state().get(key) != found.get(key));
            let listed = |key: Bytes| report.lost.iter().any(|loss| loss.keys.contains(&key));
            let orphans = !image.closed && report.manifest_rebuilt;
            let tail = !image.closed && name.ends_with(".wal");
            assert!(orphans || tail || wrong.all(listed), "seed {seed} without {name}: {report:?}");
        }
    });
}

/// The interrupted repair of yesterday is in nobody's way, and a repaired database needs no repair.
#[test]
fn repairs_follow_each_other() {
    let image = Image::build(1);
    let mut files = image.files.clone();
    let at = files.iter().position(|(name, _)| name.starts_with("MANIFEST")).unwrap();
    files[at].1[70] ^= 1;
    let env = world(&files);
    let dir = Path::new(DIR);
    env.files().create_dir_all(Path::new("/dbs/db.repairing")).unwrap();
    env.files().create_dir_all(Path::new("/dbs/db.damaged")).unwrap();
    let report = Store::repair(&env, dir).unwrap();
    assert_eq!(report.moved_to.as_deref(), Some(Path::new("/dbs/db.damaged-2")));
    assert!(report.manifest_rebuilt && report.lost.is_empty(), "{report:?}");
    assert_eq!(
        env.files().list(Path::new("/dbs")).unwrap(),
        ["db", "db.damaged", "db.damaged-2", "db.repairing"]
    );
    assert_eq!(Store::repair(&env, dir).unwrap(), RepairReport::default());
    let store = Store::open(&env, dir, image.options.clone()).unwrap();
    assert!(matches!(Store::repair(&env, dir), Err(cairn_storage::Error::Locked { .. })));
    drop(store);
    let nothing = Store::repair(&env, Path::new("/elsewhere"));
    assert!(matches!(nothing, Err(cairn_storage::Error::NotFound { .. })));
    let empty = Store::repair(&env, Path::new("/dbs/db.repairing"));
    assert!(matches!(empty, Err(cairn_storage::Error::NotADatabase { .. })));
}

/// A repair in which a file operation fails leaves the damaged database where it was, and the next one succeeds.
#[test]
fn a_failing_repair_changes_nothing() {
    use cairn_env::sim::{Fault as Failure, Repeat, SimOptions, Simulation};
    let image = Image::build(2);
    let mut files = image.files.clone();
    let at = files.iter().position(|(name, _)| name.ends_with(".sst")).unwrap();
    files[at].1[5000] ^= 1;
    for failure in [Failure::Eio, Failure::Enospc, Failure::FsyncFails] {
        for n in 1.. {
            let simulation = Simulation::new(SimOptions { short_one_in: 0, ..SimOptions::new(n) });
            let env = simulation.env();
            env.files().create_dir_all(Path::new(DIR)).unwrap();
            for (name, bytes) in &files {
                simulation.write_file(&Path::new(DIR).join(name), bytes).unwrap();
            }
            simulation.fail_nth(n, failure, Repeat::Once);
            let first = Store::repair(&env, Path::new(DIR));
            let hit = simulation.fault_hits() > 0;
            simulation.clear_faults();
            let context = format!("{failure:?} at {n}");
            if first.is_err() && env.files().exists(Path::new("/dbs/db.damaged")).unwrap() {
                // Only the last sync of the parent failed: the exchange was done.
                assert_untouched(&env, Path::new("/dbs/db.damaged"), &files, &context);
            } else if first.is_err() {
                assert_untouched(&env, Path::new(DIR), &files, &context);
            }
            let again = Store::repair(&env, Path::new(DIR)).unwrap_or_else(|e| panic!("{context}: {e}"));
            assert!(again.lost.is_empty() || again.moved_to.is_some(), "{context}");
            assert!(env.files().exists(Path::new("/dbs/db.damaged")).unwrap(), "{context}");
            let store = Store::open(&env, Path::new(DIR), image.options.clone()).unwrap();
            everything(&store.snapshot()).unwrap();
            if !hit {
                break;
            }
        }
    }
}
