//! `cargo xtask tidy`: the rules of STYLE.md and ARCHITECTURE.md that the compiler cannot check. Every rule is one
//! module with one `check`, listed in `RULES`; a rule reports findings, never repairs. `cargo test` runs them all.

mod absence;
mod dependencies;
mod files;
mod markdown;
mod registry;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The files that git knows of, read once.
pub(crate) struct Tree {
    /// Root of the repository.
    pub(crate) root: PathBuf,
    /// Path below the root with `/` separators, and the text (binary files are left out).
    pub(crate) texts: Vec<(String, String)>,
    /// Every path, binary files included.
    pub(crate) paths: Vec<String>,
}

impl Tree {
    fn read(root: &Path) -> anyhow::Result<Tree> {
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("cannot start git")?;
        ensure!(listed.status.success(), "git ls-files failed");
        let mut tree = Tree { root: root.to_path_buf(), texts: Vec::new(), paths: Vec::new() };
        for path in String::from_utf8_lossy(&listed.stdout).lines() {
            // A file may have been removed from the work tree but not yet from the index.
            let Ok(bytes) = fs::read(root.join(path)) else { continue };
            tree.paths.push(path.to_string());
            if let Ok(text) = String::from_utf8(bytes) {
                tree.texts.push((path.to_string(), text));
            }
        }
        Ok(tree)
    }

    /// The Rust files below one of the prefixes.
    pub(crate) fn rust(&self, prefixes: &[&str]) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(move |(path, _)| {
                path.ends_with(".rs") && prefixes.iter().any(|prefix| path.starts_with(prefix))
            })
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.iter().find(|(name, _)| name == path).map(|(_, text)| text.as_str())
    }
}

type Rule = fn(&Tree, &mut Vec<String>);

const RULES: &[(&str, Rule)] = &[
    ("absence", absence::check),
    ("dependencies", dependencies::check),
    ("files", files::check),
    ("markdown", markdown::check),
    ("registry", registry::check),
];

/// Every finding of every rule, as `rule: path:line: what`.
///
/// # Errors
/// When the tree cannot be read.
pub fn findings(root: &Path) -> anyhow::Result<Vec<String>> {
    let tree = Tree::read(root)?;
    let mut all = Vec::new();
    for (name, rule) in RULES {
        let mut found = Vec::new();
        rule(&tree, &mut found);
        all.extend(found.into_iter().map(|finding| format!("{name}: {finding}")));
    }
    Ok(all)
}

/// Prints the findings; fails when there is one.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let findings = findings(root)?;
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    println!("tidy");
    Ok(())
}

/// Whether a line is a comment (its words do not count as use).
fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}
