//! The model that the store is compared with: plain sorted maps, the history of commits, random writes.
//!
//! - I1: `states[i]` is what a reader sees after the first `i` commits; `writes[i]` made `states[i + 1]` of it.
//! - I2: `durable <= written <= acknowledged < states.len()`: the commits that survive a power cut for sure,
//!   those that survive the death of the process, and those that were acknowledged at all.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

use bytes::Bytes;
use cairn_env::{Env, SeededRandom, Signal};
use cairn_storage::{
    Compaction, Compression, Direction, Eviction, FilterTiers, KeyRange, Options, ReadView, Result, Scan,
    Snapshot, SyncMode, Txn, WriteBatch,
};

/// What a store holds.
pub(crate) type State = BTreeMap<Bytes, Bytes>;

/// One write of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put(Bytes, Bytes),
    Delete(Bytes),
    DeleteRange(Bytes, Bytes),
}

impl Write {
    pub(crate) fn apply(&self, state: &mut State) {
        match self {
            Write::Put(key, value) => {
                state.insert(key.clone(), value.clone());
            }
            Write::Delete(key) => {
                state.remove(key);
            }
            Write::DeleteRange(start, end) => {
                state.retain(|key, _| key < start || key >= end);
            }
        }
    }

    /// Whether this write touches a key of the range.
    pub(crate) fn touches(&self, range: &KeyRange) -> bool {
        match self {
            Write::Put(key, _) | Write::Delete(key) => range.contains(key),
            Write::DeleteRange(start, end) => range.overlaps(start, Some(end)),
        }
    }

    /// The keys that this write is about.
    pub(crate) fn range(&self) -> KeyRange {
        match self {
            Write::Put(key, _) | Write::Delete(key) => KeyRange::key(key),
            Write::DeleteRange(start, end) => KeyRange::half_open(start, end),
        }
    }
}

/// All commits of one database, and which of them must survive what.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) states: Vec<Arc<State>>,
    pub(crate) writes: Vec<Arc<Vec<Write>>>,
    pub(crate) durable: usize,
    pub(crate) written: usize,
    pub(crate) acknowledged: usize,
}

impl History {
    pub(crate) fn new() -> History {
        History { states: vec![Arc::default()], writes: Vec::new(), durable: 0, written: 0, acknowledged: 0 }
    }

    pub(crate) fn now(&self) -> &Arc<State> {
        &self.states[self.acknowledged]
    }

    /// Notes a commit that was tried; whether it counts is said by [`History::acknowledge`].
    pub(crate) fn attempt(&mut self, writes: Vec<Write>) {
        // A commit that failed before is either there or not when the store says so by its state; only one
        // attempt can be open.
        assert_eq!(self.states.len(), self.acknowledged + 1, "an attempt is open");
        let mut state = State::clone(self.now());
        for write in &writes {
            write.apply(&mut state);
        }
        self.states.push(Arc::new(state));
        self.writes.push(Arc::new(writes));
    }

    pub(crate) fn acknowledge(&mut self, mode: SyncMode) {
        self.acknowledged += 1;
        match mode {
            SyncMode::Sync => self.all_durable(),
            SyncMode::Async => self.written = self.acknowledged,
            SyncMode::None => {}
        }
    }

    /// The attempt was refused: it is not to be seen.
    pub(crate) fn refuse(&mut self) {
        self.states.pop();
        self.writes.pop();
    }

    pub(crate) fn all_durable(&mut self) {
        self.durable = self.acknowledged;
        self.written = self.acknowledged;
    }

    /// Takes what a reopened store shows for the truth: the longest prefix of the history with this state,
    /// of at least `floor` commits.
    pub(crate) fn recover(&mut self, found: &State, floor: usize) {
        let last = self.states.len() - 1;
        let Some(kept) = (floor..=last).rev().find(|at| *self.states[*at] == *found) else {
            panic!("no prefix of {floor}..={last} commits: {}", self.describe(found, floor));
        };
        self.states.truncate(kept + 1);
        self.writes.truncate(kept);
        self.acknowledged = kept;
        self.durable = self.durable.min(kept);
        self.written = kept;
    }

    fn describe(&self, found: &State, floor: usize) -> String {
        let mut text = String::new();
        for at in (0..self.states.len()).rev() {
            let differing = difference(&self.states[at], found);
            let marks = if at < floor { " (below the floor)" } else { "" };
            text += &format!("\n  after {at} commits{marks}: {} keys differ: ", differing.len());
            text += &differing.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
        }
        text
    }
}

/// The keys in which two states differ, as text.
pub(crate) fn difference(wanted: &State, found: &State) -> Vec<String> {
    let show = |value: Option<&Bytes>| match value {
        None => "nothing".to_owned(),
        Some(value) => {
            format!("{:?} ({} bytes)", String::from_utf8_lossy(&value[..value.len().min(12)]), value.len())
        }
    };
    let mut out = Vec::new();
    for key in wanted.keys().chain(found.keys().filter(|key| !wanted.contains_key(*key))) {
        if wanted.get(key) != found.get(key) {
            let name = String::from_utf8_lossy(&key[..key.len().min(12)]).into_owned();
            out.push(format!("{name}: wanted {}, found {}", show(wanted.get(key)), show(found.get(key))));
        }
    }
    out
}

/// Everything that reads.
pub(crate) trait Reader {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>>;
    fn open_scan(&self, range: KeyRange, direction: Direction) -> Scan;
}

impl Reader for Txn {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.get(key)
    }
    fn open_scan(&self, range: KeyRange, direction: Direction) -> Scan {
        self.scan(range, direction)
    }
}

impl Reader for Snapshot {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.get(key)
    }
    fn open_scan(&self, range: KeyRange, direction: Direction) -> Scan {
        self.scan(range, direction)
    }
}

impl Reader for ReadView {
    fn read(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.get(key)
    }
    fn open_scan(&self, range: KeyRange, direction: Direction) -> Scan {
        self.scan(range, direction)
    }
}

/// Everything in a range, in the order of the scan: first in single steps, then several at a time, which must
/// give the same.
pub(crate) fn collect(
    reader: &dyn Reader,
    range: &KeyRange,
    direction: Direction,
) -> Result<Vec<(Bytes, Bytes)>> {
    let mut scan = reader.open_scan(range.clone(), direction);
    let mut out = Vec::new();
    while let Some((key, value)) = scan.next()? {
        out.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
    }
    let mut scan = reader.open_scan(range.clone(), direction);
    let (mut at, mut most) = (0, 0);
    loop {
        most = most % 7 + 1;
        let mut same = true;
        let given = scan.next_many(most, |key, value| {
            same &= out.get(at).is_some_and(|(k, v)| (key, value) == (&k[..], &v[..]));
            at += 1;
            // Stops by itself now and then.
            same && at % 11 != 0
        })?;
        assert!(same, "entry {at} of many at a time differs: {direction:?} over {range:?}");
        if given < most && at % 11 != 0 || given == 0 {
            break;
        }
    }
    assert_eq!(at, out.len(), "many at a time end early: {direction:?} over {range:?}");
    Ok(out)
}

/// All that the store holds, by a forward scan.
pub(crate) fn everything(reader: &dyn Reader) -> Result<State> {
    let pairs = collect(reader, &KeyRange::all(), Direction::Forward)?;
    assert!(pairs.windows(2).all(|pair| pair[0].0 < pair[1].0), "a scan gives keys out of order or twice");
    Ok(pairs.into_iter().collect())
}

/// Compares scans both ways and all gets with the model.
pub(crate) fn check_all(reader: &dyn Reader, wanted: &State) -> Result<()> {
    let found = everything(reader)?;
    assert!(*wanted == found, "forward scan: {:?}", difference(wanted, &found));
    let mut reverse = collect(reader, &KeyRange::all(), Direction::Reverse)?;
    reverse.reverse();
    assert!(reverse.iter().map(|(key, value)| (key, value)).eq(wanted.iter()), "reverse scan differs");
    for number in 0..KEYS {
        let key = key(number);
        assert!(reader.read(&key)?.as_ref() == wanted.get(&key), "get of {key:?} differs");
    }
    Ok(())
}

/// Compares one random read with the model.
pub(crate) fn check_some(reader: &dyn Reader, wanted: &State, random: &mut SeededRandom) -> Result<KeyRange> {
    if random.one_in(2) {
        let key = random_key(random);
        let found = reader.read(&key)?;
        assert!(found.as_ref() == wanted.get(&key), "get of {key:?}: {found:?}");
        return Ok(KeyRange::key(&key));
    }
    let range = random_range(random);
    let inside: Vec<(&Bytes, &Bytes)> = wanted.iter().filter(|(key, _)| range.contains(key)).collect();
    let direction = if random.one_in(2) { Direction::Forward } else { Direction::Reverse };
    let mut found = collect(reader, &range, direction)?;
    if direction == Direction::Reverse {
        found.reverse();
    }
    let same = found.iter().map(|(key, value)| (key, value)).eq(inside.iter().copied());
    assert!(same, "{direction:?} scan of {range:?} differs: {} for {}", found.len(), inside.len());
    let mut scan = reader.open_scan(range.clone(), direction);
    for _ in 0..random.below(4) {
        let target = random_key(random);
        scan.seek(&target)?;
        let mut left: Vec<_> = match direction {
            Direction::Forward => inside.iter().filter(|(key, _)| **key >= target).collect(),
            Direction::Reverse => inside.iter().rev().filter(|(key, _)| **key <= target).collect(),
        };
        left.truncate(3);
        for (key, value) in left {
            let found = scan.next()?;
            assert!(found == Some((&key[..], &value[..])), "{direction:?} seek to {target:?}: {found:?}");
        }
    }
    Ok(range)
}

/// How many keys there are.
pub(crate) const KEYS: u64 = 60;

/// The key of a number: a few prefixes, several lengths, some long.
pub(crate) fn key(number: u64) -> Bytes {
    let mut key = match number % 4 {
        0 => format!("a{number:02}"),
        1 => format!("table/{number:02}"),
        2 => format!("table/row/{number:02}"),
        _ => format!("z{}", number),
    }
    .into_bytes();
    match number % 7 {
        3 => key.extend([0xff; 3]),
        5 => key.extend([0; 2]),
        6 => key.resize(200, b'.'),
        _ => {}
    }
    Bytes::from(key)
}

pub(crate) fn random_key(random: &mut SeededRandom) -> Bytes {
    // A hot quarter makes versions pile up.
    let number = if random.one_in(2) { random.below(KEYS / 4) } else { random.below(KEYS) };
    key(number)
}

pub(crate) fn random_range(random: &mut SeededRandom) -> KeyRange {
    let (a, b) = (random_key(random), random_key(random));
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    match random.below(6) {
        0 => KeyRange::all(),
        1 => KeyRange::prefix(&low[..1]),
        2 => KeyRange::prefix(b"table/"),
        3 => KeyRange::new(std::ops::Bound::Excluded(low), std::ops::Bound::Included(high)),
        _ => KeyRange::half_open(&low, &high),
    }
}

/// Makes values that are all different, mostly short.
#[derive(Debug)]
pub(crate) struct Values {
    count: u64,
    long_one_in: u64,
    /// Some values are longer than log segments, memtables and write buffers.
    huge: bool,
}

impl Values {
    pub(crate) fn new(long_one_in: u64, huge: bool) -> Values {
        Values::starting(0, long_one_in, huge)
    }

    /// Values that differ from those that start elsewhere.
    pub(crate) fn starting(count: u64, long_one_in: u64, huge: bool) -> Values {
        Values { count, long_one_in, huge }
    }

    /// A value of the length that all values from here have.
    pub(crate) fn even(&mut self) -> Bytes {
        self.count += 1;
        Bytes::from(format!("even{:016}", self.count))
    }

    pub(crate) fn next(&mut self, random: &mut SeededRandom) -> Bytes {
        self.count += 1;
        if self.huge && self.count % 40 == 39 {
            let mut value = vec![b'#'; 60_000 + (self.count * 977 % 90_000) as usize];
            value[..8].copy_from_slice(&self.count.to_le_bytes());
            return Bytes::from(value);
        }
        if random.one_in(40) {
            return Bytes::new();
        }
        let mut value = format!("v{:06}", self.count).into_bytes();
        let len = if random.one_in(100) {
            random.between(5_000, 12_000)
        } else if random.one_in(self.long_one_in) {
            random.between(200, 2_500)
        } else {
            random.below(60)
        };
        let start = value.len();
        value.resize(start + len as usize, b'=');
        if random.one_in(2) {
            random.fill(&mut value[start..]);
        }
        Bytes::from(value)
    }
}

pub(crate) fn random_write(random: &mut SeededRandom, values: &mut Values) -> Write {
    match random.below(12) {
        0..=7 => Write::Put(random_key(random), values.next(random)),
        8..=10 => Write::Delete(random_key(random)),
        _ => {
            let (a, b) = (random_key(random), random_key(random));
            match a.cmp(&b) {
                std::cmp::Ordering::Less => Write::DeleteRange(a, b),
                std::cmp::Ordering::Equal => Write::Delete(a),
                std::cmp::Ordering::Greater => Write::DeleteRange(b, a),
            }
        }
    }
}

pub(crate) fn random_mode(random: &mut SeededRandom) -> SyncMode {
    match random.below(4) {
        0 => SyncMode::None,
        1 => SyncMode::Async,
        _ => SyncMode::Sync,
    }
}

/// Writes as a batch.
pub(crate) fn batch_of(writes: &[Write]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for write in writes {
        match write {
            Write::Put(key, value) => batch.put(key, value).unwrap(),
            Write::Delete(key) => batch.delete(key).unwrap(),
            Write::DeleteRange(start, end) => batch.delete_range(start, end).unwrap(),
        }
    }
    batch
}

/// Options so small that a few dozen commits fill memtables, segments and levels.
pub(crate) fn small_options(random: &mut SeededRandom) -> Options {
    let mut options = Options::default();
    options.memtable_bytes = 4096 << random.below(4);
    options.immutable_memtables_max = random.between(1, 2) as usize;
    options.wal_segment_bytes = 4096 << random.below(5);
    options.wal_allocate_bytes = [1024, 4096, 16384, 1 << 20][random.below(4) as usize];
    options.wal_recycle_segments = random.below(3) as usize;
    options.wal_bytes_max = [0, 3, 8, 1 << 16][random.below(4) as usize] * options.wal_segment_bytes;
    options.wal_buffer_bytes = [256, 4096, 1 << 20][random.below(3) as usize];
    options.async_interval = std::time::Duration::from_micros(100 << random.below(8));
    options.rest_after =
        std::time::Duration::from_micros([0, 100, 5_000, 1_000_000][random.below(4) as usize]);
    options.cache_bytes = [None, Some(0), Some(4096), Some(65536), Some(1 << 20)][random.below(5) as usize];
    options.memory_bytes = [None, Some(1 << 20), Some(4 << 20)][random.below(3) as usize];
    options.eviction = [Eviction::S3Fifo, Eviction::Lru, Eviction::Lfu][random.below(3) as usize];
    let zstd = if cfg!(feature = "zstd") { Compression::Zstd(1) } else { Compression::Lz4 };
    options.compression = match random.below(4) {
        0 => vec![Compression::None],
        1 => vec![Compression::None, Compression::Lz4, zstd],
        2 => vec![zstd, Compression::None],
        _ => vec![Compression::Lz4],
    };
    options.filters = [
        FilterTiers::default(),
        FilterTiers { upper: 0, middle: 0, bottom: 0 },
        FilterTiers { upper: 1, middle: 64, bottom: 0 },
    ][random.below(3) as usize];
    options.blob_bytes_min = [0, 1, 40, 1000, 6000][random.below(5) as usize];
    options.blob_garbage_percent = random.between(1, 100) as u32;
    options.blob_file_bytes = 1 << random.between(10, 20);
    let window = std::time::Duration::from_micros(1 << random.between(0, 24));
    let compactions = [Compaction::Leveled, Compaction::Tiered, Compaction::TimeWindow(window)];
    options.compaction = compactions[random.below(3) as usize];
    for prefix in ["a", "table/", "z"] {
        if random.one_in(3) {
            let compaction = compactions[random.below(3) as usize];
            options.compaction_rules.push((prefix.as_bytes().to_vec(), compaction));
        }
    }
    options.compaction_workers = random.below(4) as usize;
    options.compaction_bytes_per_second = [0, 0, 1 << 20][random.below(3) as usize];
    options.readahead_bytes = [0, 10_000, 256 << 10][random.below(3) as usize];
    options.open_files_max = [8, 9, 512][random.below(3) as usize];
    options.mmap_reads = random.one_in(2);
    options.l0_compaction_files = random.between(1, 4) as usize;
    options.l0_slow_files = options.l0_compaction_files + random.below(3) as usize;
    options.l0_stop_files = options.l0_slow_files + random.below(3) as usize;
    options.level1_bytes = 8192 << random.below(4);
    options.level_ratio = random.between(2, 4);
    options.target_file_bytes = 4096 << random.below(4);
    options.background = !random.one_in(4);
    options
}

/// Runs the seeds that the environment asks for (`CAIRN_SEED` one, `CAIRN_SEEDS` how many, from
/// `CAIRN_FIRST_SEED`), on all processors, until `CAIRN_FAILURES` (8) have failed; panics where one has.
pub(crate) fn for_seeds(name: &str, default: u64, run: impl Fn(u64) + Sync) {
    for_seeds_by(1, name, default, run);
}

/// As [`for_seeds`], with more seeds at a time than processors: those that hand a turn to another thread wait
/// for the system's scheduler meanwhile.
pub(crate) fn for_seeds_by(per_processor: usize, name: &str, default: u64, run: impl Fn(u64) + Sync) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("CAIRN_SEED") {
        eprintln!("{name}: seed {seed}");
        return run(seed);
    }
    let first = number("CAIRN_FIRST_SEED").unwrap_or(0);
    let count = number("CAIRN_SEEDS").unwrap_or(default);
    let failures_max = number("CAIRN_FAILURES").unwrap_or(8) as usize;
    let next = std::sync::atomic::AtomicU64::new(first);
    let failed = std::sync::Mutex::new(Vec::new());
    let workers = per_processor * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= first + count || failed.lock().unwrap().len() >= failures_max {
                        return;
                    }
                    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed))).is_err() {
                        eprintln!("{name}: seed {seed} failed; CAIRN_SEED={seed} replays it");
                        failed.lock().unwrap().push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{name}: seeds {failed:?} failed; CAIRN_SEED=<seed> replays one");
}

/// Wakes whoever waits at a signal.
struct Flag {
    woken: AtomicBool,
    signal: Signal,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.signal.notify_all();
    }
}

/// The smallest executor: polls only when woken.
pub(crate) fn block_on<F: Future>(env: &Env, future: F) -> F::Output {
    let flag = Arc::new(Flag { woken: AtomicBool::new(false), signal: env.signal() });
    let waker = Arc::clone(&flag).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => flag.signal.wait_until(|| flag.woken.swap(false, Ordering::AcqRel)),
        }
    }
}
