//! `cargo xtask isolation`: long histories of concurrent transactions, judged by `cairn-history`.
//!
//! ```text
//! cargo xtask isolation [--transactions N] [--level L] [--clients C] [--seed S]     on threads, N commits a level
//! cargo xtask isolation --seeds N [--first F]                                       simulated, with crashes
//! cargo xtask isolation --crashes N [--first F] [--kills K]      rows and keys, N seeds with crashes and K killed processes
//! ```
//! Levels are those of the table in `crates/cairndb/tests/it/isolation`; without `--level` each of them is run. A
//! simulated seed that failed is replayed by `CAIRN_SEED=<seed> cargo test -p cairn-storage isolation`.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::cargo::cargo_with;
use crate::sim;

/// The test that records and judges on threads.
const THREADED: &str = "isolation::histories_show_what_their_level_permits";
/// The test that does so in the simulation.
pub(crate) const SIMULATED: &str = "isolation::simulated_histories_show_what_their_level_permits";

/// The tests of rows and keys through crashes.
const CRASHED: [&str; 2] = [
    "isolation::crashes::histories_of_rows_and_keys_through_crashes",
    "isolation::killed::histories_of_a_killed_process",
];

/// Runs what the arguments ask for.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let mut asked = vec![("CAIRN_TRANSACTIONS", "1000000".to_string())];
    let (mut simulated, mut crashed) = (false, false);
    let mut words = std::env::args().skip(2);
    while let Some(word) = words.next() {
        let name = match word.as_str() {
            "--transactions" => "CAIRN_TRANSACTIONS",
            "--level" => "CAIRN_LEVEL",
            "--clients" => "CAIRN_CLIENTS",
            "--seed" => "CAIRN_SEED",
            "--seeds" | "--crashes" => "CAIRN_SEEDS",
            "--kills" => "CAIRN_KILLS",
            "--first" => "CAIRN_FIRST_SEED",
            _ => bail!(
                "usage: cargo xtask isolation [--transactions N] [--level L] [--clients C] [--seed S] | --seeds N [--first F] | --crashes N [--first F] [--kills K]"
            ),
        };
        simulated |= word == "--seeds";
        crashed |= word == "--crashes";
        asked.push((name, words.next().with_context(|| format!("{word} needs a value"))?));
    }
    let begun = Instant::now();
    if crashed {
        // With the whole workspace: a package alone would have other features, and build all that it stands on again.
        let args: Vec<&str> = ["test", "--workspace", "--test", "it", "--", "--exact", "--nocapture"]
            .into_iter()
            .chain(CRASHED)
            .collect();
        cargo_with(root, &args, &asked)?;
        println!("nothing lost, nothing that was not permitted, {} s", begun.elapsed().as_secs());
        return Ok(());
    }
    let mut command = if simulated {
        sim::run_test(&sim::build(root, &[])?, SIMULATED)
    } else {
        sim::run_test(&sim::build_tests(root, "cairndb", &["--no-default-features"])?, THREADED)
    };
    let status = command.envs(asked).stdin(Stdio::null()).status()?;
    ensure!(status.success(), "a history shows what its level forbids, see above");
    println!("nothing that was not permitted, {} s", begun.elapsed().as_secs());
    Ok(())
}
