//! The storage half: workloads of issue "storage engine" against RocksDB, fjall, redb, LMDB and SQLite.
//!
//! The runs of the engines take turns; every run is a process of its own. Answers are checked in all of them.
//! An engine that fails has its error in its cell, and the others go on.

mod report;
mod suites;
mod work;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::page::Section;
use crate::{Plan, engines};
use report::{Outcome, Report};
use suites::{SUITES, Suite};
use work::{Figures, Run};
use work::{Sizes, help};

/// The engines in the order of the columns, ours first.
const ENGINES: [&str; 7] = ["cairndb", "cairn-storage", "rocksdb", "fjall", "redb", "lmdb", "sqlite"];
/// Cases of which a long run is not repeated, and for which engines: no goal of these cases names them.
const SLOW_CASES: [&str; 2] = ["load_rand", "churn"];
const SLOW: [&str; 3] = ["redb", "lmdb", "sqlite"];
/// What is a long run.
const LONG: Duration = Duration::from_secs(15);
/// A run that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(400);

/// What the command line asks of this half.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Suites, all where empty.
    work: Vec<String>,
    sizes: Sizes,
}

impl Choice {
    /// Everything.
    pub fn new(quick: bool) -> Self {
        Self { work: Vec::new(), sizes: Sizes::new(quick) }
    }

    /// Reads an option, its value from `next`; whether figures with it are for the page.
    pub fn read<'a>(&mut self, option: &str, next: &mut dyn FnMut() -> Result<&'a String>) -> Result<bool> {
        let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
        match option {
            "--work" => {
                self.work = next()?.split(',').map(str::to_owned).collect();
                if let Some(work) = self.work.iter().find(|work| !names.contains(&work.as_str())) {
                    bail!("--work {work}: not one of {}", names.join(", "));
                }
                Ok(true)
            }
            "--help" => bail!("see README.md; suites of --work: {}; sizes: {}", names.join(", "), help()),
            _ => {
                let name = option.strip_prefix("--").with_context(|| format!("unknown argument {option}"))?;
                let number = next()?.parse().with_context(|| format!("{option} needs a number"))?;
                self.sizes.set(name, number)?;
                Ok(false)
            }
        }
    }
}

/// Names and titles of all suites.
pub fn titles() -> Vec<(&'static str, &'static str)> {
    SUITES.iter().map(|suite| (suite.name, suite.title)).collect()
}

/// Versions and settings that stand above the tables.
pub fn introduction() -> String {
    let lmdb = heed::lmdb_version();
    format!(
        "RocksDB {}, LMDB {}.{}.{} (heed).\n\n{}",
        engines::rocksdb::version().unwrap_or_else(|| "of unknown version".to_owned()),
        lmdb.major,
        lmdb.minor,
        lmdb.patch,
        include_str!("storage/settings.md").trim()
    )
}

/// Runs the suites that are wanted; `written` gets each section when it is done.
pub fn run(plan: &Plan, written: &mut dyn FnMut(&Section) -> Result<()>) -> Result<()> {
    for suite in &SUITES {
        if !plan.storage.work.is_empty() && !plan.storage.work.iter().any(|wanted| wanted == suite.name) {
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
        "reads" | "updates" | "transactions" | "recovery" => vec!["keys", "value"],
        "durable" => vec!["value"],
        "big" => vec!["big-rows", "big-value"],
        _ => vec!["records", "record"],
    }
    .into_iter()
    .map(|name| format!("`{name}` {}", plan.storage.sizes.get(name)))
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
        plan.storage.sizes.get("cache"),
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
        let engines = if suite.engines.is_empty() { &ENGINES[..] } else { suite.engines };
        let all = engines.iter().chain(suite.extra).copied();
        let columns = all.filter(|column| {
            plan.wants_peer(column)
                || *column == "bare"
                || (*column == "rocksdb-ptx" && plan.wants_peer("rocksdb"))
                || (column.starts_with("cairndb-") && plan.wants_peer("cairndb"))
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
            "transactions" => self.transactions(&mut outcomes),
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
                long[at] = began.elapsed() > LONG && SLOW.contains(column) && SLOW_CASES.contains(&case);
            }
        }
    }

    fn turn(&self, column: &str, case: &str, run: usize, place: Place, outcome: &mut Outcome) {
        let fresh = self.plan.directory.join(column).join("fresh");
        let kept = self.kept(column);
        let directory = match place {
            Place::Kept if kept.exists() => &kept,
            Place::Kept => {
                let reason = outcome.errors.values().next().cloned();
                outcome.errors.insert(case.to_owned(), reason.unwrap_or_else(|| "no store".to_owned()));
                return;
            }
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

    /// Works with a part of the columns.
    fn among(
        &self,
        wanted: impl Fn(&str) -> bool,
        outcomes: &mut [Outcome],
        work: impl FnOnce(&Bench<'_>, &mut [Outcome]),
    ) {
        let places: Vec<usize> = (0..self.columns.len()).filter(|at| wanted(self.columns[*at])).collect();
        let columns = places.iter().map(|at| self.columns[*at]).collect();
        let mut part: Vec<Outcome> = places.iter().map(|at| std::mem::take(&mut outcomes[*at])).collect();
        work(&Bench { plan: self.plan, suite: self.suite, columns }, &mut part);
        for (at, outcome) in places.into_iter().zip(part) {
            outcomes[at] = outcome;
        }
    }

    fn transactions(&self, outcomes: &mut [Outcome]) {
        self.among(
            |column| column != "bare",
            outcomes,
            |part, outcomes| {
                part.prepare("prepare_updates", outcomes);
                part.turns("txn_rate", outcomes, Place::Kept);
                part.turns("txn_reads", outcomes, Place::Kept);
            },
        );
        let both_levels = |column: &str| column == "cairndb";
        self.among(both_levels, outcomes, |part, outcomes| part.turns("txn_levels", outcomes, Place::Kept));
        self.turns("txn_durable", outcomes, Place::Fresh);
    }

    /// In two groups, so that not all stores are on the disk at once.
    fn ycsb(&self, outcomes: &mut [Outcome]) {
        let second = |column: &str| ["redb", "sqlite"].contains(&column);
        for group in [false, true] {
            self.among(
                |column| second(column) == group,
                outcomes,
                |part, outcomes| {
                    part.prepare("prepare_ycsb", outcomes);
                    part.turns("ycsb", outcomes, Place::Kept);
                },
            );
            let _ = std::fs::remove_dir_all(&self.plan.directory);
        }
    }

    /// Kills a loading process when enough is acknowledged, and opens what it left.
    fn recovery(&self, outcomes: &mut [Outcome]) -> Result<()> {
        for run in 0..self.plan.runs {
            for (column, outcome) in self.columns.iter().zip(outcomes.iter_mut()) {
                let _ = std::fs::remove_dir_all(self.kept(column));
                let rows = self.plan.storage.sizes.get("keys") / 40 * (3 + run as u64);
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
    let mut sizes = plan.storage.sizes.clone();
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
