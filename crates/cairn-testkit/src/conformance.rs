//! `docs/sql/conformance.md`: which entries of PostgreSQL's chapter on functions, and which features of Core SQL, are there. It is
//! made from the SQL tests alone, so that it says what they show:
//!
//! ```text
//! # PostgreSQL 16, chapter 9.3 Mathematical functions and operators: …     the section of a file
//! # section: E011 Numeric data types             the same, of several in one file
//! # entry: abs(numeric_type) → numeric_type      the records below give PostgreSQL's answers: yes
//! # missing: erf(double precision)               a record below shows how it is refused or differs: no
//! ```

use std::fmt::Write as _;
use std::path::Path;

/// Where the tests of functions stand, relative to the repository.
const FUNCTIONS: &str = "tests/sql/functions";
/// Where those of Core SQL's features stand.
const FEATURES: &str = "tests/sql/core";
/// Where the document stands.
pub const DOCUMENT: &str = "docs/sql/conformance.md";

const CHAPTER: &str = "# PostgreSQL 16, chapter ";
const SECTION: &str = "# section: ";

/// A part of the document.
#[derive(Default)]
struct Part {
    yes: usize,
    all: usize,
    sections: Vec<Section>,
}

#[derive(Default)]
struct Section {
    title: String,
    yes: usize,
    all: usize,
    rows: String,
}

impl Part {
    fn of(files: &[(String, String)]) -> Part {
        let mut part = Part::default();
        for (name, text) in files {
            let mut section = Section { title: name.clone(), ..Section::default() };
            for (at, line) in text.lines().enumerate() {
                if let Some(chapter) = line.strip_prefix(CHAPTER) {
                    section.title = chapter.split(':').next().unwrap_or(chapter).to_owned();
                }
                if let Some(title) = line.strip_prefix(SECTION) {
                    part.add(std::mem::replace(
                        &mut section,
                        Section { title: title.to_owned(), ..Section::default() },
                    ));
                }
                let there = line.strip_prefix("# entry: ");
                let Some(entry) = there.or_else(|| line.strip_prefix("# missing: ")) else { continue };
                let (word, entry) = (if there.is_some() { "yes" } else { "no" }, entry.replace('|', "\\|"));
                // Writing to a string cannot fail.
                let _ = writeln!(section.rows, "| {entry} | {word} | {name}:{} |", at + 1);
                section.all += 1;
                section.yes += usize::from(there.is_some());
            }
            part.add(section);
        }
        part
    }

    fn add(&mut self, section: Section) {
        if section.all > 0 {
            self.yes += section.yes;
            self.all += section.all;
            self.sections.push(section);
        }
    }

    /// How many of how many.
    fn share(&self) -> String {
        format!("{} of {} ({} %)", self.yes, self.all, self.yes * 100 / self.all.max(1))
    }

    fn tables(&self) -> String {
        let mut tables = String::new();
        for Section { title, yes, all, rows } in &self.sections {
            let _ = writeln!(
                tables,
                "\n### {title} ({yes} of {all})\n\n| Entry | There | Test |\n|---|---|---|\n{rows}"
            );
        }
        tables
    }
}

/// The document from the files of both folders.
fn document(functions: &[(String, String)], features: &[(String, String)]) -> String {
    let (functions, features) = (Part::of(functions), Part::of(features));
    format!(
        "# Conformance\n\nEvery entry of PostgreSQL 16's chapter 9 on functions and operators: {}. Every feature of Core SQL \
         (SQL:2023, part 2): {}. \"Yes\" means that the records at the named line of `{FUNCTIONS}` and `{FEATURES}` give \
         PostgreSQL's answers, error cases included; at a \"no\" they show how it is refused, or what differs. Made by \
         `cargo xtask conformance` from the tests, which run in `cargo test`.\n\n## Functions and operators\n{}\n\
         ## Core SQL\n{}",
        functions.share(),
        features.share(),
        functions.tables(),
        features.tables()
    )
}

/// The document of the repository at `root`.
///
/// # Errors
/// Files that cannot be read.
pub fn made(root: &Path) -> std::io::Result<String> {
    Ok(document(&crate::slt::files(&root.join(FUNCTIONS))?, &crate::slt::files(&root.join(FEATURES))?))
}

/// Whether the document of the repository at `root` is the one that its tests make.
///
/// # Errors
/// Files that cannot be read.
pub fn is_current(root: &Path) -> std::io::Result<bool> {
    Ok(std::fs::read_to_string(root.join(DOCUMENT))? == made(root)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_become_rows() {
        let text = "# PostgreSQL 16, chapter 9.1 Logic: answers\n\n# entry: a | b\n\n# missing: c\n";
        let core =
            "# a file\n# section: E011 Numbers\n# entry: E011-01\n# section: E021 Texts\n# entry: E021-01\n";
        let document =
            document(&[("01.slt".to_owned(), text.to_owned())], &[("c.slt".to_owned(), core.to_owned())]);
        assert!(document.contains("### 9.1 Logic (1 of 2)"), "{document}");
        assert!(document.contains("| a \\| b | yes | 01.slt:3 |"), "{document}");
        assert!(document.contains("| c | no | 01.slt:5 |"), "{document}");
        assert!(document.contains("1 of 2 (50 %)"), "{document}");
        assert!(document.contains("### E011 Numbers (1 of 1)"), "{document}");
        assert!(document.contains("| E021-01 | yes | c.slt:5 |"), "{document}");
        assert!(document.contains("2 of 2 (100 %)"), "{document}");
    }
}
