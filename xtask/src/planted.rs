//! `cargo xtask planted`: the rigs are tested by bugs. Each is put, alone, into a copy of the kernel crates under the
//! target directory. Those of `PLANTS` must be found by the simulation within 10,000 seeds, those of `MODEL_PLANTS` by
//! the models, those of `ISOLATION_PLANTS` and `LOCK_PLANTS` by
//! simulated histories and counters; a rig that misses one would miss the like in earnest. In what `HARMLESS` lists nothing may be found.
//!
//! ```text
//! cargo xtask planted [--first F] [NAME …]
//! ```
//! `--first` begins the search at another seed than 0.

mod harmless;
mod isolation;
mod list;
mod models;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};

pub use harmless::HARMLESS;
pub use isolation::{ISOLATION_PLANTS, LOCK_PLANTS};
pub use list::{PLANTS, Plant};
pub use models::MODEL_PLANTS;

use crate::isolation::SIMULATED;
use crate::{models as rig, sim};

/// Seeds within which a bug is to be found.
const SEEDS_MAX: u64 = 10_000;
/// Seeds that must pass where nothing is planted.
const CONTROL_SEEDS: u64 = 500;
/// The simulation of locks beside optimistic commits.
const LOCKS: &str = "isolation::optimistic_commits_do_not_break_in_on_locks";
/// The models, a workspace of its own in the copy too.
const MODELS: &str = "models";
/// What the copy consists of.
const CRATES: [&str; 4] =
    ["crates/cairn-env", "crates/cairn-history", "crates/cairn-storage", "crates/cairn-testkit"];

/// Who is to find a bug.
#[derive(Clone, Copy)]
enum Finder {
    Simulation,
    Histories,
    Locks,
    Models,
    Nobody,
}

/// Every planted bug, and who is to find it.
fn all() -> impl Iterator<Item = (&'static Plant, Finder)> {
    let harmless = HARMLESS.iter().map(|harmless| (&harmless.plant, Finder::Nobody));
    let models = MODEL_PLANTS.iter().map(|plant| (plant, Finder::Models));
    let histories = ISOLATION_PLANTS.iter().map(|plant| (plant, Finder::Histories));
    let locks = LOCK_PLANTS.iter().map(|plant| (plant, Finder::Locks));
    PLANTS
        .iter()
        .map(|plant| (plant, Finder::Simulation))
        .chain(histories)
        .chain(locks)
        .chain(models)
        .chain(harmless)
}

/// Plants every bug, or those that are named, one after the other; fails when one was not found.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let (first, names) = asked(std::env::args().skip(2))?;
    let target = crate::cargo::target(root);
    let rig = Rig { copy: target.join("planted"), first };
    copy_workspace(root, &rig.copy)?;
    rig.control()?;
    let (mut surprises, mut count) = (Vec::new(), 0);
    for (plant, finder) in all() {
        if !names.is_empty() && !names.iter().any(|name| name == plant.name) {
            continue;
        }
        count += 1;
        let begun = Instant::now();
        let found = rig.try_plant(plant, finder);
        let (outcome, fine) = match (&found, finder) {
            (Err(error), _) => (format!("{error:#}"), false),
            (Ok(Some(what)), Finder::Nobody) => (format!("found by {what}, NOT HARMLESS"), false),
            (Ok(None), Finder::Nobody) => (format!("harmless, {SEEDS_MAX} seeds"), true),
            (Ok(Some(what)), _) => (format!("found by {what}"), true),
            (Ok(None), _) => ("NOT FOUND".to_string(), false),
        };
        println!("{:<60} {outcome} ({:.0} s)", plant.name, begun.elapsed().as_secs_f64());
        if !fine {
            surprises.push(plant.name);
        }
    }
    ensure!(
        surprises.is_empty(),
        "{} of {count} planted bugs are not as told: {surprises:?}",
        surprises.len()
    );
    println!("all {count} planted bugs are as told");
    Ok(())
}

/// The first seed, and the bugs that are named.
fn asked(mut words: impl Iterator<Item = String>) -> anyhow::Result<(u64, Vec<String>)> {
    let (mut first, mut names) = (0, Vec::new());
    while let Some(word) = words.next() {
        if word == "--first" {
            let number = words.next().context("--first needs a number")?;
            first = number.parse().with_context(|| format!("--first {number}: not a number"))?;
        } else {
            ensure!(all().any(|(plant, _)| plant.name == word), "no planted bug is named {word:?}");
            names.push(word);
        }
    }
    Ok((first, names))
}

/// The copy of the kernel crates.
struct Rig {
    copy: PathBuf,
    /// The seed that the search begins with.
    first: u64,
}

impl Rig {
    fn build_simulation(&self) -> anyhow::Result<PathBuf> {
        let target = self.copy.join("target").to_string_lossy().into_owned();
        sim::build(&self.copy, &["--offline", "--target-dir", &target])
    }

    fn run_models(&self) -> anyhow::Result<Option<String>> {
        rig::find(&self.copy, &self.copy.join("target/models"))
    }

    /// Where nothing is planted nothing is found.
    fn control(&self) -> anyhow::Result<()> {
        let sound = self.build_simulation()?;
        for test in [sim::TEST, SIMULATED] {
            let control =
                sim::run_test(&sound, test).env("CAIRN_SEEDS", CONTROL_SEEDS.to_string()).output()?;
            ensure!(control.status.success(), "{test} fails without a bug; mend that first");
        }
        ensure!(self.run_models()?.is_none(), "the models fail without a bug; mend that first");
        Ok(())
    }

    /// What found the bug, if anything did.
    fn try_plant(&self, plant: &Plant, finder: Finder) -> anyhow::Result<Option<String>> {
        // Of the copy: whoever works in the tree meanwhile changes nothing.
        let original = plant.original(&self.copy)?;
        let path = self.copy.join(plant.file);
        fs::write(&path, original.replacen(plant.text, plant.replacement, 1))?;
        let found = match finder {
            Finder::Models => self.run_models(),
            Finder::Histories => self.search(SIMULATED),
            Finder::Locks => self.search(LOCKS),
            Finder::Simulation | Finder::Nobody => self.search(sim::TEST),
        };
        fs::write(&path, original)?;
        found.with_context(|| plant.name)
    }

    /// Has a simulation look for the bug.
    fn search(&self, test: &str) -> anyhow::Result<Option<String>> {
        let mut command: Command = sim::run_test(&self.build_simulation()?, test);
        command.env("CAIRN_FIRST_SEED", self.first.to_string());
        command.env("CAIRN_SEEDS", SEEDS_MAX.to_string()).env("CAIRN_FAILURES", "1");
        let output = command.output()?;
        if output.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let seed = text.lines().find_map(|line| {
            let named = ["sim", "simulation", "isolation", "locks"].iter();
            let told = named.filter_map(|name| line.strip_prefix(name)?.strip_prefix(": seed ")).next()?;
            told.split([' ', ':']).next().map(|seed| format!("seed {seed}"))
        });
        // A process that dies (of memory, say) has no time to name one.
        let found = seed.or_else(|| output.status.code().is_none().then(|| output.status.to_string()));
        let last = || text.lines().rev().take(5).collect::<Vec<_>>().join(" | ");
        found.map(Some).with_context(|| format!("the simulation failed and named no seed: {}", last()))
    }
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
        "[workspace]\nresolver = \"3\"\nmembers = [{members}]\nexclude = [\"{MODELS}\"]\n\n[workspace.package]{rest}debug = false\n\n[profile.dev.package]\n{}",
        profiles.concat()
    );
    write_changed(&copy.join("Cargo.toml"), manifest.as_bytes())?;
    if !copy.join("Cargo.lock").exists() {
        fs::copy(root.join("Cargo.lock"), copy.join("Cargo.lock"))?;
    }
    for name in CRATES.into_iter().chain([MODELS]) {
        copy_tree(&root.join(name), &copy.join(name))?;
    }
    // Only the simulations: the other tests would be compiled for each bug.
    let tests = "//! The simulations alone.\n#![allow(clippy::unwrap_used, dead_code)]\n\nmod awaitable;\nmod isolation;\nmod model;\nmod rig;\nmod sim;\n";
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
