//! `cargo xtask fuzz`: every decoder under libFuzzer, each target of `fuzz/fuzz_targets` for some seconds, beginning
//! with valid encodings. Needs `cargo-fuzz`; without it the mutation tests of `cargo test` are there, of which
//! `CAIRN_MUTANTS` sets the number.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::arguments::numbers;
use crate::cargo::cargo_with;

const INSTALL: &str =
    "cargo-fuzz is not installed: `cargo install cargo-fuzz` (and a C++ compiler, for libFuzzer)";

/// Runs each target; findings are files below `fuzz/artifacts`.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let [seconds] = numbers([("seconds", 60)])?;
    let mut version = Command::new("cargo");
    version.args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    ensure!(version.status().is_ok_and(|status| status.success()), INSTALL);
    let corpus = root.join("fuzz/corpus");
    for package in ["cairn-storage", "cairn-types", "cairn-engine", "cairn-server"] {
        let env = [("CAIRN_CORPUS", corpus.display().to_string())];
        let args = ["test", "--package", package, "--lib", "fuzzing::tests::write_corpus", "--", "--ignored"];
        cargo_with(root, &args, &env)?;
    }
    let mut targets = Vec::new();
    for entry in
        std::fs::read_dir(root.join("fuzz/fuzz_targets")).context("fuzz/fuzz_targets cannot be read")?
    {
        let name = entry?.file_name();
        targets.extend(name.to_string_lossy().strip_suffix(".rs").map(str::to_owned));
    }
    targets.sort();
    let time = format!("-max_total_time={seconds}");
    for target in &targets {
        // The one stable toolchain has no sanitizers: what is looked for are panics and broken promises.
        let mut args = vec!["fuzz", "run", target, "--sanitizer", "none"];
        if target.starts_with("server_") {
            args.extend(["--features", "server"]);
        }
        args.extend(["--", &time, "-max_len=20000", "-timeout=20"]);
        cargo_with(root, &args, &[])?;
    }
    println!("{} targets, {seconds} s each, no finding", targets.len());
    Ok(())
}
