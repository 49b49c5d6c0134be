//! Compares CairnDB with SQLite, redb, fjall, DuckDB and PostgreSQL and writes `docs/benchmarks.md`.
//!
//! ```text
//! cargo run --release                      everything (needs python3 with duckdb, see requirements.txt)
//! cargo run --release -- --quick           smaller and once: a look, no figures to publish
//! cargo run --release -- --only storage    one of storage, kv, sql, server; the rest of the page stays as it is
//! cargo run --release -- --peers cairndb,redb --cases get_1m --no-page
//! cargo run --release -- --only storage --engines cairndb,rocksdb --work load,reads --keys 1000000 --value 400
//! ```
//!
//! Each measurement runs in a process of its own: the binary executes itself with `--child`. Every figure is the
//! median of three runs; the runs of the peers take turns, so that a slow minute of the machine hits all.

// The storage half uses all of these, the others a part.
#[cfg_attr(not(feature = "storage"), allow(dead_code))]
mod data;
#[cfg_attr(not(feature = "storage"), allow(dead_code))]
mod engine;
#[cfg_attr(not(feature = "storage"), allow(dead_code))]
mod engines;
mod kv;
#[cfg_attr(not(feature = "storage"), allow(dead_code))]
mod meter;
mod page;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "sql")]
mod sql;
#[cfg(feature = "storage")]
mod storage;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Bytes of cache that every engine gets.
pub const CACHE_BYTES: usize = 256 << 20;

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Smaller, one run.
    pub quick: bool,
    /// Runs of each measurement.
    pub runs: usize,
    /// `storage`, `kv`, `sql` or `server`.
    pub only: Option<String>,
    /// Peers to run, all where empty.
    pub peers: Vec<String>,
    /// Cases to run, all where empty.
    pub cases: Vec<String>,
    /// What the storage half does.
    #[cfg(feature = "storage")]
    pub storage: storage::Choice,
    /// Write `docs/benchmarks.md`.
    pub page: bool,
    /// Where the databases are made.
    pub directory: PathBuf,
}

impl Plan {
    /// Whether a part of the page is wanted.
    fn wants_part(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }

    /// Whether the peer is wanted.
    pub fn wants_peer(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|wanted| wanted == peer)
    }

    /// Whether the case is wanted.
    pub fn wants_case(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| case.starts_with(wanted.as_str()))
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--child") {
        return child(&arguments[1..]);
    }
    #[cfg(feature = "server")]
    if let [first, directory] = arguments.as_slice()
        && first == "--serve"
    {
        return server::serve(directory.as_ref());
    }
    let plan = read_plan(&arguments)?;
    std::fs::create_dir_all(&plan.directory).context("making the directory of the databases")?;
    let outcome = run(&plan);
    if plan.directory.exists() {
        std::fs::remove_dir_all(&plan.directory).context("removing the databases")?;
    }
    outcome
}

fn run(plan: &Plan) -> Result<()> {
    if plan.wants_part("storage") {
        #[cfg(feature = "storage")]
        storage::run(plan, &mut |section| {
            if plan.page {
                page::write_storage(&storage::introduction(), &storage::titles(), section)
            } else {
                Ok(())
            }
        })?;
        #[cfg(not(feature = "storage"))]
        eprintln!("built without the feature `storage`: that half is left out");
    }
    let mut sections = page::Sections::default();
    if plan.wants_part("kv") {
        sections.kv = Some(kv::run(plan)?);
    }
    if plan.wants_part("sql") {
        #[cfg(feature = "sql")]
        {
            sections.sql = Some(sql::run(plan)?);
        }
        #[cfg(not(feature = "sql"))]
        eprintln!("built without the feature `sql`: that half is left out");
    }
    if plan.wants_part("server") {
        #[cfg(feature = "server")]
        {
            sections.server = Some(server::run(plan)?);
        }
        #[cfg(not(feature = "server"))]
        eprintln!("built without the feature `server`: that half is left out");
    }
    if plan.page {
        page::write(&sections)?;
    }
    Ok(())
}

/// `--child kv|sql PEER CASE DIRECTORY [quick]`: one measurement, its figures as JSON on standard output.
fn child(arguments: &[String]) -> Result<()> {
    #[cfg(feature = "storage")]
    if arguments.first().is_some_and(|half| half == "storage") {
        return storage::child(&arguments[1..]);
    }
    let [half, peer, case, directory, rest @ ..] = arguments else { bail!("--child needs four arguments") };
    let quick = rest.first().is_some_and(|word| word == "quick");
    let figures = match half.as_str() {
        "kv" => kv::measure(peer, case, directory.as_ref(), quick)?,
        #[cfg(feature = "sql")]
        "sql" => sql::measure(peer, case, directory.as_ref(), quick)?,
        other => bail!("no half named {other}"),
    };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

fn read_plan(arguments: &[String]) -> Result<Plan> {
    let mut plan = Plan {
        quick: false,
        runs: 3,
        only: None,
        #[cfg(feature = "storage")]
        storage: storage::Choice::new(arguments.iter().any(|word| word == "--quick")),
        peers: Vec::new(),
        cases: Vec::new(),
        page: true,
        directory: std::env::temp_dir().join(format!("cairn-bench-{}", std::process::id())),
    };
    let list = |text: &String| text.split(',').map(str::to_owned).collect();
    let mut forced = false;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => (plan.quick, plan.runs) = (true, 1),
            "--runs" => plan.runs = next()?.parse().context("--runs needs a number")?,
            "--no-page" => (plan.page, forced) = (false, false),
            "--page" => forced = true,
            "--only" => plan.only = Some(next()?.clone()),
            "--peers" | "--engines" => plan.peers = list(next()?),
            "--cases" => plan.cases = list(next()?),
            "--dir" => {
                plan.directory = PathBuf::from(next()?).join(format!("cairn-bench-{}", std::process::id()))
            }
            #[cfg(feature = "storage")]
            other => plan.page &= plan.storage.read(other, &mut next)?,
            #[cfg(not(feature = "storage"))]
            other => bail!("unknown option {other}"),
        }
    }
    // A part of the peers or cases, or one quick run, is no page.
    plan.page &= plan.peers.is_empty() && plan.cases.is_empty() && !plan.quick && plan.runs >= 3;
    plan.page |= forced;
    check_names(&plan)?;
    Ok(plan)
}

/// Refuses names that nothing has.
fn check_names(plan: &Plan) -> Result<()> {
    let parts = ["storage", "kv", "sql", "server"];
    if let Some(only) = plan.only.as_deref().filter(|only| !parts.contains(only)) {
        bail!("--only {only}: not one of {}", parts.join(", "));
    }
    let peers =
        ["cairndb", "cairn-storage", "rocksdb", "fjall", "redb", "lmdb", "sqlite", "duckdb", "postgresql"];
    if let Some(peer) = plan.peers.iter().find(|peer| !peers.contains(&peer.as_str())) {
        bail!("--engines {peer}: not one of {}", peers.join(", "));
    }
    Ok(())
}

/// Runs one measurement in a process of its own.
pub fn in_child(
    half: &str,
    peer: &str,
    case: &str,
    directory: &std::path::Path,
    quick: bool,
) -> Result<kv::Figures> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(["--child", half, peer, case]).arg(directory);
    if quick {
        command.arg("quick");
    }
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("{peer} {case}: {}", output.status);
    }
    let line = output.stdout.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"{"));
    serde_json::from_slice(line.unwrap_or_default()).with_context(|| format!("{peer} {case}: no figures"))
}
