//! `cargo xtask conformance`: writes `docs/sql/conformance.md` from the SQL tests. A test of the SQL layer fails when
//! the document is not what this command writes.

use std::path::Path;

use anyhow::Context as _;
use cairn_testkit::conformance;

/// Writes the document.
///
/// # Errors
/// Files that cannot be read or written.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let document = conformance::made(root).context("the tests cannot be read")?;
    let path = root.join(conformance::DOCUMENT);
    std::fs::create_dir_all(path.parent().context("a document stands in a directory")?)?;
    std::fs::write(&path, document)?;
    println!("wrote {}", conformance::DOCUMENT);
    Ok(())
}
