//! The tree against a model: flushes, compactions, snapshots, range deletes, reopening, crashes, faults.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use cairn_env::{Env, Random, SeededRandom};
use parking_lot::Mutex;

use crate::core::Sources;
use crate::error::Error;
use crate::estimate::RangeSize;
use crate::key::{CommitSeq, Cursor, Kind, SEQ_LAST};
use crate::memtable::Memtable;
use crate::merge::MergeCursor;
use crate::options::Options;
use crate::past::Kept;
use crate::range::KeyRange;
use crate::tombstone::Fragments;
use crate::tree::Tree;
use crate::verify::verify_closed;
use crate::version::{Lookup, Version};

pub(crate) const DIR: &str = "/db";

/// A seeded generator behind the trait.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) Mutex<SeededRandom>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(Mutex::new(SeededRandom::new(seed)))
    }
}

impl Random for Dice {
    fn next_u64(&self) -> u64 {
        self.0.lock().next()
    }
}

/// Every commit so far: the state after each.
#[derive(Debug, Default, Clone)]
pub(crate) struct Model {
    pub(crate) states: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Model {
    fn at(&self, seq: CommitSeq) -> BTreeMap<Vec<u8>, Vec<u8>> {
        match seq.checked_sub(1) {
            Some(i) => self.states[i as usize].clone(),
            None => BTreeMap::new(),
        }
    }
}

pub(crate) fn options() -> Options {
    Options {
        cache_bytes: Some(1 << 20),
        l0_compaction_files: 3,
        level1_bytes: 48 << 10,
        level_ratio: 3,
        target_file_bytes: 24 << 10,
        ..Options::default()
    }
}

pub(crate) fn pick(random: &dyn Random, below: u64) -> u64 {
    random.next_u64() % below
}

pub(crate) fn random_key(random: &dyn Random) -> Vec<u8> {
    format!("t{}:key{:03}", pick(random, 3), pick(random, 120)).into_bytes()
}

/// Commits some transactions to a new memtable.
pub(crate) fn fill(random: &dyn Random, model: &mut Model) -> Memtable {
    let table = Memtable::new();
    let mut hint = Default::default();
    for _ in 0..1 + pick(random, 40) {
        let seq = model.states.len() as u64 + 1;
        let mut state = model.at(seq - 1);
        let mut keys = BTreeSet::new();
        if pick(random, 12) == 0 {
            let (a, b) = (random_key(random), random_key(random));
            let (start, end) = if a < b { (a, b) } else { (b, a) };
            if start < end {
                table.delete_range(&start, &end, seq);
                state.retain(|key, _| !(start <= *key && *key < end));
            }
        }
        for _ in 0..1 + pick(random, 3) {
            let key = random_key(random);
            if !keys.insert(key.clone()) {
                continue;
            }
            if pick(random, 4) == 0 {
                table.insert(&key, seq, Kind::Delete, b"", &mut hint);
                state.remove(&key);
            } else {
                let len = pick(random, 300) as usize;
                let mut value = vec![0; len];
                random.fill(&mut value);
                table.insert(&key, seq, Kind::Put, &value, &mut hint);
                state.insert(key, value);
            }
        }
        model.states.push(state);
    }
    table
}

/// The state that a version shows at a sequence, by a scan.
fn scan(version: &Version, seq: CommitSeq, back: bool) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let all = KeyRange::all();
    let deleted = Fragments::build(&version.tombstones(&all).unwrap());
    let mut merge = MergeCursor::new(version.cursors(&all).unwrap());
    let mut newest: BTreeMap<Vec<u8>, (CommitSeq, Option<Vec<u8>>)> = BTreeMap::new();
    if back {
        merge.seek_last_before(None).unwrap()
    } else {
        merge.seek(b"", SEQ_LAST).unwrap()
    }
    while merge.valid() {
        if merge.seq() <= seq {
            let key = merge.key().to_vec();
            let hidden = deleted.newest_covering(&key, seq).is_some_and(|at| at > merge.seq());
            let value = (merge.kind() == Kind::Put && !hidden).then(|| merge.value().to_vec());
            let better = newest.get(&key).is_none_or(|(at, _)| *at < merge.seq());
            if better {
                newest.insert(key, (merge.seq(), value));
            }
        }
        if back { merge.prev().unwrap() } else { merge.next().unwrap() }
    }
    newest.into_iter().filter_map(|(key, (_, value))| Some((key, value?))).collect()
}

pub(crate) fn check(version: &Version, model: &Model, seq: CommitSeq, random: &dyn Random) {
    version.check_order().unwrap();
    let expected = model.at(seq);
    assert_eq!(scan(version, seq, false), expected, "scan at {seq}");
    assert_eq!(scan(version, seq, true), expected, "scan back at {seq}");
    for _ in 0..30 {
        let key = random_key(random);
        let found = match version.get(&key, seq).unwrap() {
            Lookup::Found { value, .. } => Some(value.to_vec()),
            Lookup::Separated { .. } | Lookup::Deleted { .. } | Lookup::Missing => None,
        };
        assert_eq!(found.as_ref(), expected.get(&key), "{key:?} at {seq}");
    }
}

pub(crate) fn open(env: &Env) -> Result<(Tree, CommitSeq), Error> {
    let dir = Path::new(DIR);
    let exists = env.files().exists(&dir.join("CURRENT")).map_err(|e| Error::io("look at", dir, e))?;
    let (tree, state) = if exists {
        Tree::open(env, dir, &options())?
    } else {
        env.files().create_dir_all(dir).map_err(|e| Error::io("create", dir, e))?;
        Tree::create(env, dir, &options())?
    };
    tree.remove_orphans();
    Ok((tree, state.last_seq))
}

pub(crate) fn seeds(default: u64) -> std::ops::Range<u64> {
    match std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..default,
    }
}

#[test]
fn agrees_with_a_model_through_flush_compaction_and_reopening() {
    for seed in seeds(40) {
        println!("CAIRN_SEED={seed}");
        let random = Dice::new(seed);
        let env = Env::memory();
        let (mut tree, _) = open(&env).unwrap();
        let mut model = Model::default();
        let mut snapshots: Vec<CommitSeq> = Vec::new();
        let mut held: Vec<(std::sync::Arc<Version>, CommitSeq)> = Vec::new();
        for _ in 0..30 {
            let last = model.states.len() as CommitSeq;
            let mut readable = snapshots.clone();
            readable.push(last);
            match pick(&random, 12) {
                0..=4 => {
                    let table = fill(&random, &mut model);
                    let oldest = readable.iter().copied().min().unwrap();
                    let last = model.states.len() as CommitSeq;
                    tree.flush(&table, 0, last, Kept::at(oldest)).unwrap();
                }
                5 | 6 => {
                    tree.compact_step(&readable).unwrap();
                }
                7 => while tree.compact_step(&readable).unwrap() {},
                8 => {
                    let (a, b) = (random_key(&random), random_key(&random));
                    let range =
                        if pick(&random, 2) == 0 { KeyRange::all() } else { KeyRange::half_open(&a, &b) };
                    tree.compact_range(&range, &readable).unwrap();
                }
                9 => snapshots.push(last),
                10 => held.push((tree.version(), last)),
                _ => {
                    // Snapshots end with the process.
                    snapshots.clear();
                    held.clear();
                    drop(tree);
                    tree = open(&env).unwrap().0;
                }
            }
            let last = model.states.len() as CommitSeq;
            let version = tree.version();
            check(&version, &model, last, &random);
            for &seq in &snapshots {
                check(&version, &model, seq, &random);
            }
            for (version, seq) in &held {
                check(version, &model, *seq, &random);
            }
        }
        drop(held);
        let report = tree.verify().unwrap();
        assert!(report.is_sound(), "{report:?}");
        let live: usize = tree.version().files().count();
        drop(tree);
        let names = env.files().list(Path::new(DIR)).unwrap();
        let ssts = names.iter().filter(|name| name.ends_with(".sst")).count();
        assert_eq!(ssts, live, "files that nobody uses are unlinked: {names:?}");
        assert!(verify_closed(&env, Path::new(DIR)).unwrap().is_sound());
    }
}

#[test]
fn conflict_checks_see_every_change() {
    for seed in seeds(10) {
        println!("CAIRN_SEED={seed}");
        let random = Dice::new(seed);
        let env = Env::memory();
        let (tree, _) = open(&env).unwrap();
        let mut model = Model::default();
        for _ in 0..6 {
            let table = fill(&random, &mut model);
            tree.flush(&table, 0, model.states.len() as u64, Kept::at(0)).unwrap();
            if pick(&random, 3) == 0 {
                tree.compact_step(&[0]).unwrap();
            }
        }
        let version = tree.version();
        let last = model.states.len() as CommitSeq;
        for _ in 0..200 {
            let seq = pick(&random, last + 1);
            let key = random_key(&random);
            // A change of the value is a change for certain; a delete of nothing may be one.
            let changed = (seq..last).any(|at| model.at(at).get(&key) != model.at(at + 1).get(&key));
            let newest = version.newest_seq(&key, seq).unwrap();
            assert!(!changed || newest.is_some(), "{key:?} after {seq}");
            assert!(newest.is_none_or(|newest| newest > seq));
            let range = KeyRange::key(&key);
            assert_eq!(version.changed_since(&range, seq).unwrap(), newest.is_some(), "{key:?} {seq}");
        }
        assert!(!version.changed_since(&KeyRange::all(), last).unwrap());
    }
}

#[test]
fn deleted_ranges_drop_files_unread() {
    let env = Env::memory();
    let (tree, _) = open(&env).unwrap();
    let mut hint = Default::default();
    let table = Memtable::new();
    for i in 0..4_000u32 {
        let mut value = [0; 64];
        Dice::new(u64::from(i)).fill(&mut value);
        table.insert(format!("a{i:06}").as_bytes(), 1, Kind::Put, &value, &mut hint);
    }
    tree.flush(&table, 0, 1, Kept::at(0)).unwrap();
    tree.compact_range(&KeyRange::all(), &[1]).unwrap();
    let files = tree.version().files().count();
    assert!(files > 3, "{files}");
    let table = Memtable::new();
    table.delete_range(b"a", b"b", 2);
    tree.flush(&table, 0, 2, Kept::at(2)).unwrap();
    while tree.compact_step(&[1, 2]).unwrap() {}
    assert!(tree.version().files().count() > files, "a snapshot still sees the files");
    let written = tree.stats().compacted_bytes;
    while tree.compact_step(&[2]).unwrap() {}
    assert_eq!(tree.stats().compacted_bytes, written);
    assert_eq!(tree.version().files().count(), 1);
    tree.compact_range(&KeyRange::all(), &[2]).unwrap();
    assert_eq!(tree.version().files().count(), 0, "the tombstone goes when nothing is below it");
}

#[test]
fn checkpoint_is_a_database_and_survives_its_source() {
    let env = Env::memory();
    let random = Dice::new(5);
    let (tree, _) = open(&env).unwrap();
    let mut model = Model::default();
    for _ in 0..5 {
        let table = fill(&random, &mut model);
        tree.flush(&table, 3, model.states.len() as u64, Kept::at(0)).unwrap();
    }
    let last = model.states.len() as CommitSeq;
    let copy = Path::new("/copy");
    assert_eq!(tree.checkpoint(copy).unwrap(), last);
    assert!(matches!(tree.checkpoint(copy), Err(Error::InvalidArgument(_))));
    let later = fill(&random, &mut model.clone());
    tree.flush(&later, 3, last + 40, Kept::at(0)).unwrap();
    tree.compact_range(&KeyRange::all(), &[last + 40]).unwrap();
    drop(tree);
    assert!(verify_closed(&env, copy).unwrap().is_sound());
    let (tree, state) = Tree::open(&env, copy, &options()).unwrap();
    assert_eq!((state.last_seq, state.log_floor), (last, 0));
    check(&tree.version(), &model, last, &random);
}

#[test]
fn estimates_follow_the_data() {
    let env = Env::memory();
    let (tree, _) = open(&env).unwrap();
    let mut hint = Default::default();
    let table = Memtable::new();
    for i in 0..20_000u32 {
        table.insert(format!("k{i:06}").as_bytes(), 1, Kind::Put, &i.to_be_bytes().repeat(20), &mut hint);
    }
    tree.flush(&table, 0, 1, Kept::at(0)).unwrap();
    tree.compact_range(&KeyRange::all(), &[1]).unwrap();
    // In files, in a memtable, and half in each.
    let upper = Memtable::new();
    for i in 10_000..20_000u32 {
        upper.insert(format!("k{i:06}").as_bytes(), 1, Kind::Put, &i.to_be_bytes().repeat(20), &mut hint);
    }
    let version = tree.version();
    let (env, half_table) = (Env::memory(), Memtable::new());
    let (half_tree, _) = open(&env).unwrap();
    for i in 0..10_000u32 {
        half_table.insert(
            format!("k{i:06}").as_bytes(),
            1,
            Kind::Put,
            &i.to_be_bytes().repeat(20),
            &mut hint,
        );
    }
    half_tree.flush(&half_table, 0, 1, Kept::at(0)).unwrap();
    let none = Arc::new(Memtable::new());
    let sources = [
        Sources { active: none, immutable: Vec::new(), version },
        Sources { active: Arc::new(table), immutable: Vec::new(), version: Arc::default() },
        Sources { active: Arc::new(upper), immutable: Vec::new(), version: half_tree.version() },
    ];
    for sources in sources {
        estimates_fit(&sources);
    }
}

fn estimates_fit(sources: &Sources) {
    let near = |found: u64, expected: u64| found * 10 > expected * 7 && found * 10 < expected * 13;
    let all = sources.approximate_size(&KeyRange::all());
    let half = sources.approximate_size(&KeyRange::half_open(b"k005000", b"k015000"));
    assert!(near(all.entries, 20_000) && near(half.entries, 10_000), "{half:?} of {all:?}");
    assert!(near(half.bytes, all.bytes / 2), "{half:?} of {all:?}");
    assert_eq!(sources.approximate_size(&KeyRange::half_open(b"x", b"y")), RangeSize::default());
    let points = sources.split_points(&KeyRange::all(), 4);
    assert_eq!(points.len(), 3);
    for (point, expected) in points.iter().zip([5_000, 10_000, 15_000]) {
        // A border may be shorter than any key.
        let digits = format!("{:0<6}", std::str::from_utf8(&point[1..]).unwrap());
        let number: i32 = digits.parse().unwrap();
        assert!((number - expected).abs() < 2_000, "{point:?}, expected about {expected}");
    }
    assert!(sources.split_points(&KeyRange::key(b"k000001"), 8).is_empty());
    assert!(sources.split_points(&KeyRange::half_open(b"x", b"y"), 8).is_empty());
}
