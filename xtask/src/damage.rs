//! `cargo xtask damage`: the damage tests of `cairn-storage` on many databases; more than 200,000 faults by default.

use std::path::Path;

use crate::arguments::numbers;
use crate::cargo::cargo_with;

/// Runs the damage tests; a failing seed is named and replays with `CAIRN_SEED`.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let [databases, first] = numbers([("databases", 3_500), ("first-seed", 0)])?;
    let env = [("CAIRN_SEEDS", databases.to_string()), ("CAIRN_FIRST_SEED", first.to_string())];
    let args = ["test", "--package", "cairn-storage", "--test", "it", "damage", "--", "--nocapture"];
    cargo_with(root, &args, &env)
}
