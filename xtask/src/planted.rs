//! `cargo xtask planted`: the simulation is tested by bugs. Each of `PLANTS` is put, alone, into a copy of the kernel
//! crates under the target directory and must be found by the simulation within 10,000 seeds. A rig that misses one
//! would miss the like in earnest.
//!
//! ```text
//! cargo xtask planted [NAME …]
//! ```

mod list;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};

pub use list::{PLANTS, Plant};

use crate::sim;

/// Seeds within which a bug is to be found.
const SEEDS_MAX: u64 = 10_000;
/// Seeds that must pass where nothing is planted.
const CONTROL_SEEDS: u64 = 500;
/// What the copy consists of.
const CRATES: [&str; 3] = ["crates/cairn-env", "crates/cairn-storage", "crates/cairn-testkit"];

/// Plants every bug, or those that are named, one after the other; fails when one was not found.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args().skip(2).collect();
    let chosen = |plant: &&Plant| names.is_empty() || names.iter().any(|name| name == plant.name);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let copy = target.join("planted");
    copy_workspace(root, &copy)?;
    let sound = sim::build(&copy, &build_options(&copy).each_ref().map(String::as_str))?;
    let control = sim::simulate(&sound).env("CAIRN_SEEDS", CONTROL_SEEDS.to_string()).output()?;
    ensure!(control.status.success(), "the simulation fails without a bug; mend that first");
    let mut missed = Vec::new();
    let mut count = 0;
    for plant in PLANTS.iter().filter(chosen) {
        count += 1;
        let begun = Instant::now();
        let outcome = try_plant(root, &copy, plant)?;
        println!("{:<44} {outcome} ({:.0} s)", plant.name, begun.elapsed().as_secs_f64());
        if !matches!(outcome, Outcome::Found(_)) {
            missed.push(plant.name);
        }
    }
    ensure!(missed.is_empty(), "{} of {count} planted bugs were not found: {missed:?}", missed.len());
    println!("all {count} planted bugs were found");
    Ok(())
}

fn build_options(copy: &Path) -> [String; 3] {
    let target = copy.join("target").to_string_lossy().into_owned();
    ["--offline".to_string(), "--target-dir".to_string(), target]
}

/// What became of a planted bug.
enum Outcome {
    Found(String),
    Missed,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&match self {
            Outcome::Found(seed) => format!("found by seed {seed}"),
            Outcome::Missed => format!("NOT FOUND in {SEEDS_MAX} seeds"),
        })
    }
}

fn try_plant(root: &Path, copy: &Path, plant: &Plant) -> anyhow::Result<Outcome> {
    let original = plant.original(root)?;
    let path = copy.join(plant.file);
    fs::write(&path, original.replacen(plant.text, plant.replacement, 1))?;
    let built = sim::build(copy, &build_options(copy).each_ref().map(String::as_str));
    let output = built.with_context(|| plant.name).and_then(|test| {
        let mut command: Command = sim::simulate(&test);
        command.env("CAIRN_SEEDS", SEEDS_MAX.to_string()).env("CAIRN_FAILURES", "1");
        Ok(command.output()?)
    });
    fs::write(&path, original)?;
    let output = output?;
    if output.status.success() {
        return Ok(Outcome::Missed);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let seed = text.lines().find_map(|line| {
        let told = line.strip_prefix("sim: seed ").or_else(|| line.strip_prefix("simulation: seed "))?;
        told.split([' ', ':']).next().map(str::to_string)
    });
    Ok(Outcome::Found(seed.context("the simulation failed and named no seed")?))
}

/// Copies the kernel crates into a workspace of their own; what is as before keeps its time, so that little is
/// compiled again.
fn copy_workspace(root: &Path, copy: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(copy)?;
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    let (_, rest) =
        manifest.split_once("[workspace.package]").context("Cargo.toml has a [workspace.package]")?;
    let (rest, _) =
        rest.split_once("[profile.dev.package]").context("Cargo.toml has a [profile.dev.package]")?;
    let members = CRATES.map(|name| format!("\"{name}\"")).join(", ");
    let rest = rest.replace("debug = \"line-tables-only\"\n", "");
    let profiles = CRATES
        .map(|name| name.trim_start_matches("crates/"))
        .map(|name| format!("{name} = {{ opt-level = 1 }}\n"));
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n[workspace.package]{rest}debug = false\n\n[profile.dev.package]\n{}",
        profiles.concat()
    );
    write_changed(&copy.join("Cargo.toml"), manifest.as_bytes())?;
    if !copy.join("Cargo.lock").exists() {
        fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock"))?;
    }
    for name in CRATES {
        copy_tree(&root.join(name), &copy.join(name))?;
    }
    // Only the simulation: the other tests would be compiled for each bug.
    let tests =
        "//! The simulation alone.\n#![allow(clippy::unwrap_used, dead_code)]\n\nmod model;\nmod sim;\n";
    write_changed(&copy.join("crates/cairn-storage/tests/it/main.rs"), tests.as_bytes())
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    let names = |dir: &Path| -> anyhow::Result<Vec<_>> {
        Ok(fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?)
    };
    let wanted = names(from)?;
    for name in names(to)?.into_iter().filter(|name| !wanted.contains(name)) {
        let gone = to.join(name);
        if gone.is_dir() { fs::remove_dir_all(gone)? } else { fs::remove_file(gone)? }
    }
    for name in wanted {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy_tree(&from, &to)?;
        } else {
            write_changed(&to, &fs::read(&from)?)?;
        }
    }
    Ok(())
}

fn write_changed(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

impl Plant {
    /// The file without the bug.
    ///
    /// # Errors
    /// When the text does not stand exactly once in it: the list has rotted.
    pub fn original(&self, root: &Path) -> anyhow::Result<String> {
        let file = fs::read_to_string(root.join(self.file)).with_context(|| self.file)?;
        let count = file.matches(self.text).count();
        ensure!(count == 1, "{}: {} has the text {count} times, 1 expected", self.name, self.file);
        Ok(file)
    }
}
