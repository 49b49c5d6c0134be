//! `cargo xtask test`: every test of the workspace, documentation examples included, and the key-value build of
//! `cairndb` that leaves DataFusion out.

use std::path::Path;

use crate::cargo::cargo;

/// Runs everything; stops at the first failing part.
pub fn run(root: &Path) -> anyhow::Result<()> {
    cargo(root, &["test", "--workspace"])?;
    cargo(root, &["test", "--package", "cairndb", "--no-default-features"])
}
