//! The storage half: workloads of issue "storage engine" against RocksDB, fjall, redb, LMDB and SQLite.
//!
//! The runs of the engines take turns; every run is a process of its own. Answers are checked in all of them.
//! An engine that fails has its error in its cell, and the others go on.

mod data;
mod engine;
mod engines;
mod meter;
mod report;
mod suites;
mod work;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Plan;
pub use engine::ENGINES;
pub use report::Section;
use report::{Outcome, Report};
use suites::{SUITES, Suite};
use work::{Figures, Run};
pub use work::{Sizes, help};

/// Peers of which a long run is not repeated: none of the goals of long runs names them.
const SLOW: [&str; 3] = ["redb", "lmdb", "sqlite"];
/// What is a long run.
const LONG: Duration = Duration::from_secs(15);
/// A run that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(400);

/// The names of the suites.
pub fn names() -> Vec<String> {
    SUITES.iter().map(|suite| suite.name.to_owned()).collect()
}

/// The version of LMDB.
pub fn lmdb_version() -> String {
    let version = heed::lmdb_version();
    format!("{}.{}.{}", version.major, version.minor, version.patch)
}

/// The version of RocksDB: by the name of the library that is linked; its C interface does not tell.
pub fn rocksdb_version() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let version = maps.lines().find_map(|line| line.split_once("librocksdb.so.").map(|(_, version)| version));
    version.map_or_else(|| "as in the crate rocksdb".to_owned(), str::to_owned)
}

/// Settings that stand above the tables.
pub fn settings() -> String {
    "Every engine has the same cache (beside it the memtables of CairnDB, RocksDB and fjall, by default of 64 MiB each; SQLite: shared out to its connections; LMDB has none but the page cache) and runs in a process of its \
     own; figures are medians of three runs, which take turns (runs of redb, LMDB and SQLite of more than 15 s are not repeated). Keys have 16 bytes; \
     half of each value is random, the rest compresses. Durable: CairnDB `SyncMode::Sync`, RocksDB `sync`, fjall `PersistMode::SyncData`, redb `Immediate`, LMDB \
     its default, SQLite `synchronous = FULL`. No fsync: CairnDB `SyncMode::Async` (the log is with the operating system, and synced in the background every 100 ms), RocksDB and fjall \
     their default (the log is with the operating system), redb `Durability::None`, LMDB `MDB_NOSYNC`, SQLite `synchronous = OFF`; redb alone loses such commits when the process dies. \
     All else is the default, but RocksDB has bloom filters of 10 bits, LZ4 and dynamic level sizes. Compression: CairnDB LZ4, RocksDB LZ4, fjall its default \
     (LZ4 from level 1 or 2 on), the others none. SQLite WAL; LMDB map of 256 GiB, no `WRITEMAP`. `cairndb` is the public key-value API, `cairn-storage` the \
     storage engine below it. `× best`: how many times as good as the best peer (more is better, in lines where less is better too); goals as in the issue, ✗ missed."
        .to_owned()
}

/// Runs the suites that are wanted; `written` gets each section when it is done.
pub fn run(plan: &Plan, written: &mut dyn FnMut(&Section) -> Result<()>) -> Result<()> {
    for suite in &SUITES {
        if !plan.work.is_empty() && !plan.work.iter().any(|wanted| wanted == suite.name) {
            continue;
        }
        let began = Instant::now();
        let bench = Bench::new(plan, suite);
        println!("\n{}", suite.title);
        let outcomes = bench.run()?;
        let columns = &bench.columns;
        let report = Report { lines: suite.lines, columns, outcomes: &outcomes };
        report.print();
        println!("({} took {:.0} s)", suite.name, began.elapsed().as_secs_f64());
        written(&Section { name: suite.name, markdown: section(plan, suite, &report) })?;
        if suite.name != "load" {
            let _ = std::fs::remove_dir_all(&plan.directory);
        }
    }
    Ok(())
}

fn section(plan: &Plan, suite: &Suite, report: &Report<'_>) -> String {
    let sizes: Vec<String> = match suite.name {
        "bulk" => vec!["bulk", "value", "batch"],
        "load" | "churn" => vec!["keys", "value", "batch"],
        "reads" | "updates" | "recovery" => vec!["keys", "value"],
        "durable" => vec!["value"],
        "big" => vec!["big-rows", "big-value"],
        _ => vec!["records", "record"],
    }
    .into_iter()
    .map(|name| format!("`{name}` {}", plan.sizes.get(name)))
    .collect();
    let missed = match report.missed().as_slice() {
        [] => "Every goal is reached.".to_owned(),
        missed => format!("Goals missed by the first column: {}.", missed.join("; ")),
    };
    format!(
        "\n### {}\n\n{} Sizes: {}, {} runs, cache {} MiB. Measured {}.\n\n{}\n{missed}\n",
        suite.title,
        suite.settings,
        sizes.join(", "),
        plan.runs,
        plan.sizes.get("cache"),
        crate::page::today(),
        report.markdown()
    )
}

/// A suite with the columns that it has here.
struct Bench<'a> {
    plan: &'a Plan,
    suite: &'a Suite,
    columns: Vec<&'static str>,
}

impl<'a> Bench<'a> {
    fn new(plan: &'a Plan, suite: &'a Suite) -> Self {
        let all = engine::ENGINES.into_iter().chain(suite.extra.iter().copied());
        let columns = all.filter(|column| {
            plan.wants_peer(column)
                || *column == "bare"
                || (*column == "rocksdb-ptx" && plan.wants_peer("rocksdb"))
        });
        Self { plan, suite, columns: columns.collect() }
    }

    fn run(&self) -> Result<Vec<Outcome>> {
        let mut outcomes = vec![Outcome::default(); self.columns.len()];
        match self.suite.name {
            "bulk" => {
                for case in ["bulk_one_seq", "bulk_one_rand", "bulk_batch_seq", "bulk_batch_rand"] {
                    self.turns(case, &mut outcomes, Place::Fresh);
                }
            }
            "load" => {
                self.turns("load_seq", &mut outcomes, Place::Fresh);
                self.turns("load_rand", &mut outcomes, Place::KeepLast);
            }
            "reads" => {
                self.prepare("load_rand", &mut outcomes);
                self.turns("reads", &mut outcomes, Place::Kept);
                self.turns("open", &mut outcomes, Place::Kept);
            }
            "updates" => {
                self.prepare("prepare_updates", &mut outcomes);
                self.turns("updates", &mut outcomes, Place::Kept);
            }
            "ycsb" => self.ycsb(&mut outcomes),
            "recovery" => self.recovery(&mut outcomes)?,
            case => self.turns(case, &mut outcomes, Place::Fresh),
        }
        Ok(outcomes)
    }

    /// The directory of a store that several cases use.
    fn kept(&self, column: &str) -> PathBuf {
        self.plan.directory.join(column).join("kept")
    }

    /// Runs a case as often as planned, the engines in turns.
    fn turns(&self, case: &str, outcomes: &mut [Outcome], place: Place) {
        let mut long = vec![false; self.columns.len()];
        for run in 0..self.plan.runs {
            for (at, column) in self.columns.iter().enumerate() {
                if long[at] || outcomes[at].errors.contains_key(case) {
                    continue;
                }
                let began = Instant::now();
                self.turn(column, case, run, place, &mut outcomes[at]);
                long[at] = began.elapsed() > LONG && SLOW.contains(column);
            }
        }
    }

    fn turn(&self, column: &str, case: &str, run: usize, place: Place, outcome: &mut Outcome) {
        let fresh = self.plan.directory.join(column).join("fresh");
        let kept = self.kept(column);
        let directory = match place {
            Place::Kept if kept.exists() => &kept,
            // What was to be prepared failed.
            Place::Kept => return,
            Place::Fresh => &fresh,
            Place::KeepLast => {
                let _ = std::fs::remove_dir_all(&kept);
                &kept
            }
        };
        match in_child(self.plan, column, case, directory, run) {
            Ok((figures, error)) => {
                for (name, figure) in figures {
                    outcome.figures.entry((case.to_owned(), name)).or_default().push(figure);
                }
                if let Some(error) = error {
                    eprintln!("{column} {case}: {error}");
                    outcome.errors.insert(case.to_owned(), error);
                    if place == Place::KeepLast {
                        let _ = std::fs::remove_dir_all(&kept);
                    }
                }
            }
            Err(error) => {
                eprintln!("{column} {case}: {error:#}");
                outcome.errors.insert(case.to_owned(), format!("{error:#}"));
                if place == Place::KeepLast {
                    let _ = std::fs::remove_dir_all(&kept);
                }
            }
        }
        let _ = std::fs::remove_dir_all(&fresh);
    }

    /// Makes the stores that the suite's cases use, where a suite before did not leave them.
    fn prepare(&self, case: &str, outcomes: &mut [Outcome]) {
        for (column, outcome) in self.columns.iter().zip(outcomes) {
            if !self.kept(column).exists() {
                self.turn(column, case, 0, Place::KeepLast, outcome);
            }
        }
    }

    /// In two groups, so that not all stores are on the disk at once.
    fn ycsb(&self, outcomes: &mut [Outcome]) {
        let second = |column: &str| ["redb", "sqlite"].contains(&column);
        for group in [false, true] {
            let columns = self.columns.iter().copied().filter(|column| second(column) == group).collect();
            let part = Bench { plan: self.plan, suite: self.suite, columns };
            let mut of_part = vec![Outcome::default(); part.columns.len()];
            part.prepare("prepare_ycsb", &mut of_part);
            part.turns("ycsb", &mut of_part, Place::Kept);
            let mut of_part = of_part.into_iter();
            for (at, column) in self.columns.iter().enumerate() {
                if second(column) == group {
                    outcomes[at] = of_part.next().unwrap_or_default();
                }
            }
            let _ = std::fs::remove_dir_all(&self.plan.directory);
        }
    }

    /// Kills a loading process when enough is acknowledged, and opens what it left.
    fn recovery(&self, outcomes: &mut [Outcome]) -> Result<()> {
        for run in 0..self.plan.runs {
            for (column, outcome) in self.columns.iter().zip(outcomes.iter_mut()) {
                let _ = std::fs::remove_dir_all(self.kept(column));
                let rows = self.plan.sizes.get("keys") / 40 * (3 + run as u64);
                let mut child = spawn(self.plan, column, "recovery_load", &self.kept(column), run)?;
                let began = Instant::now();
                while work::progress_of(&self.kept(column)) < rows.max(1)
                    && began.elapsed() < LIMIT / 4
                    && child.try_wait()?.is_none()
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
                child.kill()?;
                child.wait()?;
                self.turn(column, "recovery", run, Place::Kept, outcome);
                let _ = std::fs::remove_dir_all(self.kept(column));
            }
        }
        Ok(())
    }
}

/// Where a case finds its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A new directory, removed after the run.
    Fresh,
    /// A new directory for each run, of which the last stays.
    KeepLast,
    /// The directory that was kept.
    Kept,
}

fn spawn(plan: &Plan, column: &str, case: &str, directory: &Path, run: usize) -> Result<Child> {
    let mut sizes = plan.sizes.clone();
    sizes.set("run", run as f64)?;
    std::fs::create_dir_all(directory)?;
    Command::new(std::env::current_exe()?)
        .args(["--child", "storage", column, case])
        .arg(directory)
        .arg(sizes.encode())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting a run")
}

/// The figures of a run and the error that ended it, if one did.
fn in_child(
    plan: &Plan,
    column: &str,
    case: &str,
    directory: &Path,
    run: usize,
) -> Result<(Figures, Option<String>)> {
    let mut child = spawn(plan, column, case, directory, run)?;
    let began = Instant::now();
    while child.try_wait()?.is_none() {
        if began.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            bail!("took longer than {} s", LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output()?;
    let line = output.stdout.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"["));
    match line {
        Some(line) => Ok(serde_json::from_slice(line)?),
        None => bail!("{}", output.status),
    }
}

/// `ENGINE CASE DIRECTORY SIZES`: one run in this process. Prints its figures and its error as JSON.
pub fn child(arguments: &[String]) -> Result<()> {
    let [engine, case, directory, sizes] = arguments else { bail!("--child storage needs four arguments") };
    let (mut figures, sizes) = (Figures::new(), Sizes::decode(sizes)?);
    let directory = Path::new(directory);
    let outcome = work::measure(case, &mut Run { engine, directory, sizes: &sizes, figures: &mut figures });
    let error = outcome.err().map(|error| format!("{error:#}"));
    println!("{}", serde_json::to_string(&(figures, error))?);
    Ok(())
}
