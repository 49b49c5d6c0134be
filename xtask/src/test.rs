//! `cargo xtask test`: every test of the workspace, documentation examples included, the key-value build of
//! `cairndb` that leaves DataFusion out, and the models.

use std::path::Path;

use crate::cargo::cargo;
use crate::models::{PREEMPTIONS_TEST, check};

/// Runs everything; stops at the first failing part.
pub fn run(root: &Path) -> anyhow::Result<()> {
    cargo(root, &["test", "--workspace"])?;
    cargo(root, &["test", "--package", "cairndb", "--no-default-features"])?;
    check(root, PREEMPTIONS_TEST)
}
