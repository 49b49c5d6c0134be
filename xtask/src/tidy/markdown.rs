//! Links between documents lead somewhere; decisions are numbered without gaps; ARCHITECTURE.md stays short.

use std::path::{Component, Path, PathBuf};

use cairn_testkit::markdown::links;

use super::Tree;

const ARCHITECTURE_LINES_MAX: usize = 500;
const REQUIRED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "STYLE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "deny.toml",
    "docs/glossary.md",
    "docs/benchmarks.md",
    "docs/format/registry.md",
    "docs/format/wal.md",
    "docs/format/sst.md",
    "docs/format/manifest.md",
    "docs/format/keyspace.md",
    "docs/format/row.md",
];

pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    for required in REQUIRED.iter().filter(|required| !tree.paths.iter().any(|path| path == *required)) {
        findings.push(format!("{required}: missing"));
    }
    for (path, text) in tree.texts.iter().filter(|(path, _)| path.ends_with(".md")) {
        for link in links(text) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let from = Path::new(path).parent().unwrap_or(Path::new(""));
            if !tree.root.join(normalise(&from.join(target))).exists() {
                findings.push(format!("{path}: broken link {link}"));
            }
        }
    }
    let lines = tree.text("ARCHITECTURE.md").unwrap_or_default().lines().count();
    if lines > ARCHITECTURE_LINES_MAX {
        findings.push(format!("ARCHITECTURE.md: {lines} lines, the limit is {ARCHITECTURE_LINES_MAX}"));
    }
    let mut numbers: Vec<u32> = tree
        .paths
        .iter()
        .filter_map(|path| path.strip_prefix("docs/decisions/")?.get(..4)?.parse().ok())
        .collect();
    numbers.sort_unstable();
    for (index, number) in numbers.iter().enumerate() {
        if *number as usize != index + 1 {
            findings.push(format!("docs/decisions: expected number {:04}, found {number:04}", index + 1));
            break;
        }
    }
}

fn normalise(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}
