//! `docs/sql/conformance.md`: which entries of PostgreSQL's chapter on functions are there. It is made from the SQL
//! tests alone, so that it says what they show:
//!
//! ```text
//! # PostgreSQL 16, chapter 9.3 Mathematical functions and operators: …     the section of a file
//! # entry: abs(numeric_type) → numeric_type        the records below give PostgreSQL's answers: yes
//! # missing: erf(double precision)                 a record below shows how it is refused or differs: no
//! ```

use std::fmt::Write as _;
use std::path::Path;

/// Where the tests stand, relative to the repository.
pub const TESTS: &str = "tests/sql/functions";
/// Where the document stands.
pub const DOCUMENT: &str = "docs/sql/conformance.md";

const CHAPTER: &str = "# PostgreSQL 16, chapter ";

/// The document from the files of [`TESTS`].
pub fn document(files: &[(String, String)]) -> String {
    let mut sections = String::new();
    let (mut yes, mut all) = (0, 0);
    for (name, text) in files {
        let (mut here, mut entries, mut rows) = (0, 0, String::new());
        let mut title = name.as_str();
        for (at, line) in text.lines().enumerate() {
            if let Some(chapter) = line.strip_prefix(CHAPTER) {
                title = chapter.split(':').next().unwrap_or(chapter);
            }
            let there = line.strip_prefix("# entry: ");
            let Some(entry) = there.or_else(|| line.strip_prefix("# missing: ")) else { continue };
            let (word, entry) = (if there.is_some() { "yes" } else { "no" }, entry.replace('|', "\\|"));
            // Writing to a string cannot fail.
            let _ = writeln!(rows, "| {entry} | {word} | {name}:{} |", at + 1);
            entries += 1;
            here += usize::from(there.is_some());
        }
        let _ = writeln!(
            sections,
            "\n## {title} ({here} of {entries})\n\n| Entry | There | Test |\n|---|---|---|\n{rows}"
        );
        yes += here;
        all += entries;
    }
    let share = yes * 100 / all.max(1);
    format!(
        "# Conformance: functions and operators\n\nEvery entry of PostgreSQL 16's chapter 9: {yes} of {all} ({share} %). \
         \"Yes\" means that the records at the named line of `{TESTS}` give PostgreSQL's answers, error cases \
         included; at a \"no\" they show how it is refused, or what differs. Made by `cargo xtask conformance` from \
         the tests, which run in `cargo test`.\n{sections}"
    )
}

/// Whether the document of the repository at `root` is the one that its tests make.
///
/// # Errors
/// Files that cannot be read.
pub fn is_current(root: &Path) -> std::io::Result<bool> {
    let files = crate::slt::files(&root.join(TESTS))?;
    Ok(std::fs::read_to_string(root.join(DOCUMENT))? == document(&files))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_become_rows() {
        let text = "# PostgreSQL 16, chapter 9.1 Logic: answers\n\n# entry: a | b\n\n# missing: c\n";
        let document = document(&[("01.slt".to_owned(), text.to_owned())]);
        assert!(document.contains("## 9.1 Logic (1 of 2)"), "{document}");
        assert!(document.contains("| a \\| b | yes | 01.slt:3 |"), "{document}");
        assert!(document.contains("| c | no | 01.slt:5 |"), "{document}");
        assert!(document.contains("1 of 2 (50 %)"), "{document}");
    }
}
