//! `cargo xtask sim`: many seeds of the storage engine's simulation (`crates/cairn-storage/tests/it/sim`), with two
//! threads at a time taking seeds. The rig itself prints the seed that failed; `--seed` replays one and tells what
//! happens in it.
//!
//! ```text
//! cargo xtask sim [--seeds N] [--first F] [--minutes M] [--seed S]
//! ```

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// Seeds that run where nothing else is said.
const SEEDS: u64 = 10_000;
/// Seeds in one run of the test: after each the time is looked at.
const CHUNK: u64 = 10_000;
/// The test that is the simulation.
pub(crate) const TEST: &str = "sim::concurrent_clients_survive_everything";

/// What was asked for.
struct Asked {
    seed: Option<u64>,
    first: u64,
    seeds: u64,
    minutes: Option<u64>,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> anyhow::Result<Asked> {
        let mut asked = Asked { seed: None, first: 0, seeds: SEEDS, minutes: None };
        let mut counted = false;
        while let Some(word) = words.next() {
            let number = words.next().with_context(|| format!("{word} needs a number"))?;
            let number: u64 = number.parse().with_context(|| format!("{word} {number}: not a number"))?;
            match word.as_str() {
                "--seed" => asked.seed = Some(number),
                "--first" => asked.first = number,
                "--seeds" => (asked.seeds, counted) = (number, true),
                "--minutes" => asked.minutes = Some(number),
                _ => bail!("usage: cargo xtask sim [--seeds N] [--first F] [--minutes M] [--seed S]"),
            }
        }
        if asked.minutes.is_some() && !counted {
            asked.seeds = u64::MAX - asked.first;
        }
        Ok(asked)
    }
}

/// Runs the seeds that the arguments ask for; fails with the first chunk that has a failing one.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let asked = Asked::read(std::env::args().skip(2))?;
    let test = build(root, &[])?;
    if let Some(seed) = asked.seed {
        let status = simulate(&test).env("CAIRN_SEED", seed.to_string()).status()?;
        ensure!(status.success(), "seed {seed} failed");
        return Ok(());
    }
    let begun = Instant::now();
    let mut done = 0;
    while done < asked.seeds {
        let chunk = CHUNK.min(asked.seeds - done);
        let first = asked.first + done;
        let status = simulate(&test)
            .env("CAIRN_FIRST_SEED", first.to_string())
            .env("CAIRN_SEEDS", chunk.to_string())
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "seeds from {first} on: one failed, see above");
        done += chunk;
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{done} seeds from {} on without a finding, {:.0} a minute",
            asked.first,
            done as f64 * 60.0 / seconds
        );
        if asked.minutes.is_some_and(|minutes| begun.elapsed() >= Duration::from_secs(60 * minutes)) {
            break;
        }
    }
    Ok(())
}

/// The simulation as a process.
fn simulate(test: &Path) -> Command {
    run_test(test, TEST)
}

/// One test of a test executable as a process.
pub(crate) fn run_test(executable: &Path, name: &str) -> Command {
    let mut command = Command::new(executable);
    command.args([name, "--exact", "--nocapture"]).env("RUST_BACKTRACE", "0");
    command
}

/// Builds the store's integration tests in the workspace at `root`; gives the executable.
pub(crate) fn build(root: &Path, more: &[&str]) -> anyhow::Result<PathBuf> {
    build_tests(root, "cairn-storage", more)
}

/// Builds the integration tests of a package; gives the executable.
pub(crate) fn build_tests(root: &Path, package: &str, more: &[&str]) -> anyhow::Result<PathBuf> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(["test", "--package", package, "--test", "it", "--no-run", "--message-format", "json"])
        .args(more)
        .current_dir(root)
        .stderr(Stdio::piped())
        .output()
        .context("cannot start cargo")?;
    ensure!(
        output.status.success(),
        "the tests do not compile:\n{}{}",
        rendered(&String::from_utf8_lossy(&output.stdout)),
        String::from_utf8_lossy(&output.stderr)
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    let found =
        messages.lines().rev().find_map(|line| line.split_once("\"executable\":\"")?.1.split_once('"'));
    let (path, _) = found.context("cargo names no executable")?;
    Ok(PathBuf::from(path))
}

/// The errors among cargo's messages.
fn rendered(messages: &str) -> String {
    let errors = messages.lines().filter(|line| line.contains("\"level\":\"error\""));
    let texts = errors
        .filter_map(|line| Some(line.split_once("\"rendered\":\"")?.1.split_once("\",\"")?.0.to_string()));
    texts.map(|text| text.replace("\\n", "\n")).collect()
}
