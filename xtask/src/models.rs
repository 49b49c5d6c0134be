//! `cargo xtask models`: the models of `models/` (skiplist, commit queue, registry of snapshots) through all their
//! interleavings with so many preemptions; each more takes about six times as long. `cargo xtask test` runs them with
//! [`PREEMPTIONS_TEST`].

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::arguments::numbers;
use crate::cargo::cargo_with;

/// What every test run tries: some seconds.
pub(crate) const PREEMPTIONS_TEST: u64 = 3;

/// Runs the models with the preemptions that are asked for.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let [preemptions] = numbers([("preemptions", 4)])?;
    check(root, preemptions)
}

/// Runs the models with so many preemptions.
pub(crate) fn check(root: &Path, preemptions: u64) -> anyhow::Result<()> {
    let manifest = root.join("models/Cargo.toml");
    let manifest = manifest.to_str().context("the path of the repository is text")?;
    let target = target(root).display().to_string();
    let args = ["test", "--manifest-path", manifest, "--target-dir", &target];
    cargo_with(root, &args, &[("LOOM_MAX_PREEMPTIONS", preemptions.to_string())])
}

/// Where the models are built: what they depend on is nobody else's.
fn target(root: &Path) -> PathBuf {
    crate::cargo::target(root).join("models")
}

/// Builds and runs the models of the workspace at `copy`: the first that fails, if one does.
pub(crate) fn find(copy: &Path, target: &Path) -> anyhow::Result<Option<String>> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(["test", "--offline", "--manifest-path"]).arg(copy.join("models/Cargo.toml"));
    command.arg("--target-dir").arg(target).current_dir(copy);
    let built = command.arg("--no-run").output().context("cannot start cargo")?;
    ensure!(built.status.success(), "the models do not compile:\n{}", String::from_utf8_lossy(&built.stderr));
    // Each test by itself: one that fails can bring down the process.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["test", "--offline", "--manifest-path"]).arg(copy.join("models/Cargo.toml"));
    command.arg("--target-dir").arg(target).current_dir(copy).args(["--", "--test-threads", "1"]);
    command.env("LOOM_MAX_PREEMPTIONS", PREEMPTIONS_TEST.to_string()).env("RUST_BACKTRACE", "0");
    let output = command.output().context("cannot start cargo")?;
    if output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = text.lines().find_map(|line| {
        let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
        (outcome != "ok").then(|| format!("the model {name}"))
    });
    Ok(Some(failed.unwrap_or_else(|| format!("{}", output.status))))
}
