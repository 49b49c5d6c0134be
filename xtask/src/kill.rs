//! `cargo xtask kill`: a writer with four threads is killed (kill -9) at a random moment and its database opened and
//! checked, again and again on one database: nothing acknowledged may be missing, under sync and async commits alike.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::arguments::numbers;
use crate::rig::{self, Writer, build, missing, scatter};

/// A database is begun anew after so many rounds, so that checking it stays quick.
const ROUNDS_PER_DATABASE: u64 = 40;

/// Runs the rounds; fails at the first that lost anything.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let [rounds, seed] = numbers([("rounds", 2_000), ("seed", 1)])?;
    let rig = build(root)?;
    let dir = std::env::temp_dir().join(format!("cairn-kill-{}", std::process::id()));
    let started = Instant::now();
    let result = kill_again_and_again(&rig, &dir, rounds, seed);
    // What failed is kept to be looked at.
    match &result {
        Ok(commits) => {
            std::fs::remove_dir_all(&dir).context("the databases cannot be removed")?;
            let seconds = started.elapsed().as_secs();
            println!("{rounds} kills, {commits} commits acknowledged, none lost, {seconds} s");
        }
        Err(_) => eprintln!("the database is kept in {}", dir.display()),
    }
    result.map(drop)
}

fn kill_again_and_again(rig: &Path, dir: &Path, rounds: u64, seed: u64) -> anyhow::Result<u64> {
    std::fs::create_dir_all(dir).context("the directory cannot be made")?;
    let mut commits = 0;
    let mut before = Vec::new();
    for round in 0..rounds {
        let database = dir.join(format!("db{}", round / ROUNDS_PER_DATABASE));
        if round % ROUNDS_PER_DATABASE == 0 {
            before.clear();
            if let Some(old) = (round / ROUNDS_PER_DATABASE).checked_sub(1) {
                std::fs::remove_dir_all(dir.join(format!("db{old}")))?;
            }
        }
        let number = seed.wrapping_mul(1_000_003).wrapping_add(round);
        let writer = Writer::start(rig, &database, "mixed", number)?;
        // Often in the middle of opening, mostly while writing.
        std::thread::sleep(Duration::from_micros(scatter(number, 150_000)));
        let acknowledged = writer.kill()?;
        let found = rig::check(rig, &database, number).with_context(|| format!("round {round}"))?;
        // A writer that was killed early acknowledged nothing new; what was there before must be there still.
        let lost = missing(&acknowledged, &found) + missing(&before, &found);
        ensure!(
            lost == 0,
            "round {round}: {lost} commits are lost: {acknowledged:?} acknowledged, {found:?} found"
        );
        commits += found.iter().sum::<u64>() - before.iter().sum::<u64>();
        before = found;
        if (round + 1) % 100 == 0 {
            eprintln!("{} kills, {commits} commits, none lost", round + 1);
        }
    }
    Ok(commits)
}
