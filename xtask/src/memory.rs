//! `cargo xtask memory`: the memory limit over a database many times as large. A process with `memory_bytes` = 64 MiB
//! fills it, mixes reads and writes, scans all of it, opens it again; its peak resident memory, as the kernel counts
//! it, must stay under 64 + 16 MiB. `cargo test` does the same with 192 MiB of data.

use std::path::Path;

use crate::arguments::numbers;
use crate::cargo::cargo_with;

/// Runs the test with so many MiB of data.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let [data_mib] = numbers([("data-mib", 2048)])?;
    let test = "memory::a_big_database_fits_its_memory_too";
    let args = ["test", "--package", "cairn-storage", "--test", "it", test, "--", "--exact", "--ignored"];
    let args = [&args[..], &["--nocapture"]].concat();
    cargo_with(root, &args, &[("CAIRN_MEMORY_DATA_MIB", data_mib.to_string())])
}
