//! Runs `cargo` as the developer would, in the repository's root, with its output passed through.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

/// Runs `cargo ARGS` and fails when it fails.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> anyhow::Result<()> {
    eprintln!("$ cargo {}", args.join(" "));
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(program).args(args).current_dir(root).status().context("cannot start cargo")?;
    ensure!(status.success(), "cargo {} failed", args.join(" "));
    Ok(())
}
