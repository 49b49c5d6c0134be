//! Compares CairnDB with SQLite, redb, fjall and DuckDB and writes `docs/benchmarks.md`.
//!
//! ```text
//! cargo run --release                      everything (needs python3 with duckdb, see requirements.txt)
//! cargo run --release -- --quick           smaller and once: a look, no figures to publish
//! cargo run --release -- --only kv|sql     one half; the other half of the page stays as it is
//! cargo run --release -- --peers cairndb,redb --cases get_1m --no-page
//! ```
//!
//! Each measurement runs in a process of its own: the binary executes itself with `--child`. Every figure is the
//! median of three runs; the runs of the peers take turns, so that a slow minute of the machine hits all.

mod kv;
mod page;
#[cfg(feature = "sql")]
mod sql;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// Bytes of cache that every engine gets.
pub const CACHE_BYTES: usize = 256 << 20;

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Smaller, one run.
    pub quick: bool,
    /// `kv` or `sql`.
    pub only: Option<String>,
    /// Peers to run, all where empty.
    pub peers: Vec<String>,
    /// Cases to run, all where empty.
    pub cases: Vec<String>,
    /// Write `docs/benchmarks.md`.
    pub page: bool,
    /// Where the databases are made.
    pub directory: PathBuf,
}

impl Plan {
    /// Runs of each measurement.
    pub fn runs(&self) -> usize {
        if self.quick { 1 } else { 3 }
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
    let plan = read_plan(&arguments)?;
    std::fs::create_dir_all(&plan.directory).context("making the directory of the databases")?;
    let mut sections = page::Sections::default();
    if plan.only.as_deref() != Some("sql") {
        sections.kv = Some(kv::run(&plan)?);
    }
    if plan.only.as_deref() != Some("kv") {
        #[cfg(feature = "sql")]
        {
            sections.sql = Some(sql::run(&plan)?);
        }
        #[cfg(not(feature = "sql"))]
        eprintln!("built without the feature `sql`: that half is left out");
    }
    if plan.page {
        page::write(&sections, &plan)?;
    }
    std::fs::remove_dir_all(&plan.directory).context("removing the databases")
}

/// `--child kv|sql PEER CASE DIRECTORY [quick]`: one measurement, its figures as JSON on standard output.
fn child(arguments: &[String]) -> Result<()> {
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
        only: None,
        peers: Vec::new(),
        cases: Vec::new(),
        page: true,
        directory: std::env::temp_dir().join(format!("cairn-bench-{}", std::process::id())),
    };
    let list = |text: &String| text.split(',').map(str::to_owned).collect();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => plan.quick = true,
            "--no-page" => plan.page = false,
            "--only" => plan.only = Some(next()?.clone()),
            "--peers" => plan.peers = list(next()?),
            "--cases" => plan.cases = list(next()?),
            "--dir" => {
                plan.directory = PathBuf::from(next()?).join(format!("cairn-bench-{}", std::process::id()))
            }
            other => bail!("unknown option {other}"),
        }
    }
    // A part of the peers or cases, or one quick run, is no page.
    plan.page &= plan.peers.is_empty() && plan.cases.is_empty() && !plan.quick;
    Ok(plan)
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
