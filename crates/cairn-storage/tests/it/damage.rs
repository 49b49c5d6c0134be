//! Damage to the files of a database: found or harmless, never a wrong answer, never a panic.
//!
//! For each fault, on a copy of a small database of a seed:
//! - every read gives the right answer or an error that names a damaged file and an offset;
//! - what lies in undamaged files stays readable (unless the database refuses to open, and says why);
//! - `verify` finds every fault that a read or the opening runs into, and every change of a file whose bytes
//!   are all live: SSTs, the identity, `CURRENT`;
//! - compaction does not launder damage.
//!
//! `CAIRN_SEEDS` sets how many databases are damaged; `cargo xtask damage` runs more than 200,000 faults.
#![allow(clippy::unwrap_used)]

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_env::{Env, SeededRandom};
use cairn_storage::{Direction, Error, KeyRange, Options, Store, SyncMode, VerifyReport, WriteBatch};

use crate::damage_image::{DIR, Files, Image, Reading, place, read_everything, simulated_world, world};
use crate::damage_kinds::{Fault, damage};
use crate::model::{KEYS, State, for_seeds, key};

/// Damaged copies of each database.
const FAULTS: u64 = 70;

/// What happened in all seeds together.
#[derive(Debug, Default)]
struct Seen {
    faults: AtomicU64,
    refused: AtomicU64,
    partly_readable: AtomicU64,
    harmless: AtomicU64,
    compacted_away: AtomicU64,
}

#[test]
fn damage_is_found_or_harmless() {
    let seen = Seen::default();
    for_seeds("damage", 100, |seed| {
        let bench = Bench::new(Image::build_with_ingests(seed));
        let mut random = SeededRandom::new(seed);
        for _ in 0..FAULTS {
            bench.damage_once(&mut random, &seen);
        }
    });
    eprintln!("damage test: {seen:?}");
    if std::env::var_os("CAIRN_SEED").is_none() {
        let all = [&seen.refused, &seen.partly_readable, &seen.harmless, &seen.compacted_away];
        assert!(all.iter().all(|counter| counter.load(Ordering::Relaxed) > 0), "not all happened: {seen:?}");
    }
}

/// A manifest cut back to the end of any of its records, as if the later ones had never been: everything is there, out of
/// the log, or the database does not open.
#[test]
fn a_manifest_cut_back_hides_nothing() {
    let (refused, whole) = (AtomicU64::new(0), AtomicU64::new(0));
    for_seeds("cut", 150, |seed| {
        let image = Image::build_with_ingests(seed);
        let is_manifest = |(name, _): &(String, Vec<u8>)| name.starts_with("MANIFEST");
        let at = image.files.iter().rposition(is_manifest).unwrap();
        let bytes = &image.files[at].1;
        let mut end = 64;
        while let Some(len) = bytes.get(end..end + 4).map(|len| u32::from_le_bytes(len.try_into().unwrap())) {
            if len == 0 {
                break;
            }
            let mut files = image.files.clone();
            files[at].1.truncate(end);
            let mut options = image.options.clone();
            options.background = false;
            match Store::open(&world(&files), Path::new(DIR), options) {
                Err(error) => {
                    place(&error, "a manifest cut back");
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                Ok(store) => {
                    let context = format!("seed {seed}, cut at {end} of {}", bytes.len());
                    let reading = read_everything(&store.snapshot(), image.state(), &context);
                    assert!(!reading.any, "{context}: {:?}", reading.named);
                    whole.fetch_add(1, Ordering::Relaxed);
                }
            }
            end += (8 + len as usize).next_multiple_of(8);
        }
    });
    let (refused, whole) = (refused.into_inner(), whole.into_inner());
    eprintln!("cut manifests: {refused} refused, {whole} opened whole");
    assert!(std::env::var_os("CAIRN_SEED").is_some() || refused > 0 && whole > 0);
}

/// An image, and which keys need which file.
struct Bench {
    image: Image,
    reach: BTreeMap<String, OnceCell<BTreeSet<u64>>>,
}

impl Bench {
    fn new(image: Image) -> Bench {
        let reach = image.files.iter().map(|(name, _)| (name.clone(), OnceCell::new())).collect();
        Bench { image, reach }
    }

    /// The keys whose reads need the SST or blob file `name`: those that fail when nothing of it is sound.
    fn reach(&self, name: &str) -> &BTreeSet<u64> {
        self.reach[name].get_or_init(|| {
            let mut files = self.image.files.clone();
            let file = files.iter_mut().find(|(n, _)| n == name).unwrap();
            file.1.fill(0);
            let mut options = self.image.options.clone();
            options.background = false;
            let Ok(store) = Store::open(&world(&files), Path::new(DIR), options) else {
                // What recovery flushes and compacts may need the file: nothing can be said.
                return (0..crate::model::KEYS).collect();
            };
            read_everything(&store.snapshot(), self.image.state(), "baseline").failed
        })
    }

    fn damage_once(&self, random: &mut SeededRandom, seen: &Seen) {
        let mut files = self.image.files.clone();
        let Some(fault) = damage(&mut files, random) else { return };
        let data = fault.touches(".sst") || fault.touches(".blob");
        if !self.image.closed && fault.touches(".wal") && data {
            // How much of the log counts can be told only from what the SSTs hold; and where its end is gone, older
            // values show, which may lie in files that nothing needed before.
            return;
        }
        seen.faults.fetch_add(1, Ordering::Relaxed);
        let env = simulated_world(&files, random.next());
        let dir = Path::new(DIR);
        let report = match Store::verify_dir(&env, dir) {
            Ok(report) => report,
            Err(error) => {
                // Without CURRENT and without any data this is no database yet.
                let nothing = matches!(error, Error::NotFound { .. }) && fault.touches("CURRENT");
                assert!(nothing, "{}: verify fails: {error}", fault.what);
                return;
            }
        };
        self.check_verify(&fault, &report);
        match Store::open(&env, dir, self.image.options.clone()) {
            Err(error) => {
                seen.refused.fetch_add(1, Ordering::Relaxed);
                self.check_refusal(&fault, &error);
                assert!(!report.is_sound(), "{}: open fails ({error}), verify is silent", fault.what);
            }
            Ok(store) => self.check_store(&fault, &store, &report, random, seen),
        }
    }

    /// Every byte of these files is live: no change of them goes unnoticed.
    fn check_verify(&self, fault: &Fault, report: &VerifyReport) {
        for name in &fault.files {
            let live = name.ends_with(".sst") && self.image.closed || name == "CAIRN" || name == "CURRENT";
            let named = report.damage.iter().any(|damage| damage.file == Path::new(DIR).join(name));
            // Where the manifest cannot be read, the SSTs are not known.
            let blind = ["CAIRN", "CURRENT", "MANIFEST"].iter().any(|part| fault.touches(part));
            let found = named || blind && !report.is_sound();
            assert!(found || !live, "{}: verify finds only {:?}", fault.what, report.damage);
        }
    }

    /// A database that does not open names a file that was damaged, or (where files were cut back, lost or
    /// exchanged whole) one that does not fit the others.
    fn check_refusal(&self, fault: &Fault, error: &Error) {
        let named = place(error, &fault.what);
        let name = named.file_name().unwrap().to_string_lossy().into_owned();
        let exact = fault.files.contains(&name);
        let misfit = fault.whole_file || fault.touches("MANIFEST") || fault.touches(".wal");
        assert!(exact || misfit, "{}: the error names {name}: {error}", fault.what);
        let only_sst = fault.files.iter().all(|name| name.ends_with(".sst"));
        let removed = fault.what.starts_with("the file removed");
        // A store that recovers from a power cut flushes and may have to compact first.
        assert!(!only_sst || removed || !self.image.closed, "{}: no other file is readable", fault.what);
    }

    fn check_store(
        &self,
        fault: &Fault,
        store: &Store,
        report: &VerifyReport,
        random: &mut SeededRandom,
        seen: &Seen,
    ) {
        let state = self.expected(fault, store);
        let reading = read_everything(&store.snapshot(), state, &fault.what);
        assert!(!reading.any || !report.is_sound(), "{}: reads fail, verify is silent", fault.what);
        let counter = if reading.any { &seen.partly_readable } else { &seen.harmless };
        counter.fetch_add(1, Ordering::Relaxed);
        self.check_reach(fault, &reading);
        if random.one_in(3) {
            match store.compact(KeyRange::all()) {
                Ok(()) => {
                    seen.compacted_away.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    place(&error, &fault.what);
                }
            }
            self.check_reach(fault, &read_everything(&store.snapshot(), state, &fault.what));
        }
        if let Err(error) = store.clone().close() {
            place(&error, &fault.what);
        }
    }

    /// Only keys that need a damaged file fail, and errors name no other.
    fn check_reach(&self, fault: &Fault, reading: &Reading) {
        for named in &reading.named {
            let name = named.file_name().unwrap().to_string_lossy().into_owned();
            assert!(fault.files.contains(&name), "{}: an error names {name}", fault.what);
        }
        let needed = |number: &u64| {
            fault
                .files
                .iter()
                .filter(|name| name.ends_with(".sst") || name.ends_with(".blob"))
                .any(|name| self.reach(name).contains(number))
        };
        let beside: Vec<_> = reading.failed.iter().filter(|number| !needed(number)).collect();
        assert!(beside.is_empty(), "{}: keys {beside:?} lie in sound files", fault.what);
    }

    /// What the store must show. After a power cut the end of the log is not known: damage there cannot be
    /// told from a torn tail, so that then the last commits may be missing, from the end only.
    fn expected(&self, fault: &Fault, store: &Store) -> &State {
        if self.image.closed || !fault.touches(".wal") {
            return self.image.state();
        }
        // A fault in two files may have hidden some keys besides.
        let view = store.snapshot();
        let readable: Vec<_> =
            (0..KEYS).map(key).filter_map(|key| view.get(&key).ok().map(|value| (key, value))).collect();
        let last = self.image.commits.len();
        let floor = if fault.one_bit { last - 1 } else { self.image.flushed };
        let fits = |state: &State| readable.iter().all(|(key, value)| state.get(key) == value.as_ref());
        let at = (floor..=last).rev().find(|&at| fits(&self.image.states[at]));
        &self.image.states[at.unwrap_or_else(|| panic!("{}: no prefix from {floor} on", fault.what))]
    }
}

/// Each page of an SST in turn: a damaged data block hides the keys of that block and no others, a damaged
/// index or filter those of its partition, and only the pages read at opening hide the whole file.
#[test]
fn one_damaged_block_hides_its_own_keys_only() {
    let env = Env::memory();
    let mut options = Options::default();
    options.background = false;
    options.compression = vec![cairn_storage::Compression::None];
    let key = |number: u32| format!("key{number:05}").into_bytes();
    let keys = 600;
    let store = Store::open(&env, Path::new(DIR), options.clone()).unwrap();
    let mut batch = WriteBatch::new();
    for number in 0..keys {
        batch.put(&key(number), &[number as u8; 100]).unwrap();
    }
    store.write(batch, Some(SyncMode::Sync)).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
    let read = |name: &String| {
        let file = env.files().open(&Path::new(DIR).join(name), cairn_env::OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        (name.clone(), bytes)
    };
    let files: Files = env.files().list(Path::new(DIR)).unwrap().iter().map(read).collect();
    let at = files.iter().position(|(name, _)| name.ends_with(".sst")).unwrap();
    let pages = files[at].1.len() / 4096;
    let mut hidden_by_blocks = 0;
    let mut whole = 0;
    for page in 0..pages {
        let mut files = files.clone();
        files[at].1[page * 4096 + 1234] ^= 4;
        let store = Store::open(&world(&files), Path::new(DIR), options.clone()).unwrap();
        let hidden: Vec<u32> = (0..keys).filter(|&number| store.get(&key(number)).is_err()).collect();
        match hidden.len() {
            0 => panic!("page {page} belongs to nothing"),
            n if n == keys as usize => whole += 1,
            n => {
                assert_eq!(hidden[n - 1] - hidden[0], n as u32 - 1, "page {page}: one block's keys");
                hidden_by_blocks += n;
            }
        }
        // A scan gives everything before the damage.
        let snapshot = store.snapshot();
        let mut scan = snapshot.scan(KeyRange::all(), Direction::Forward);
        let mut given = 0;
        while let Ok(Some((found, _))) = scan.next() {
            assert_eq!(found, key(given));
            given += 1;
        }
        if hidden.len() < keys as usize {
            assert_eq!(given, hidden[0], "page {page}");
        }
    }
    // Header, footer, properties, top index; and the filter and leaf of the only partition.
    assert_eq!(hidden_by_blocks, keys as usize, "every key is in one data block");
    assert!(whole <= 6 && pages > 15, "{whole} of {pages} pages hide everything");
}
