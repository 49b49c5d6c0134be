//! Every Rust file begins with a module header and stays short; names say what a thing is; nothing names the machine
//! it was written on.

use super::Tree;

/// Production lines at which a file has outgrown its purpose. Registries of equal entries are listed below.
const LINES_MAX: usize = 1000;
const REGISTRIES: &[&str] = &[];
const VAGUE: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "manager"];

pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    for (path, text) in tree.rust(&["crates/", "xtask/", "bench/", "examples/", "fuzz/", "models/"]) {
        if !text.trim_start().starts_with("//!") {
            findings.push(format!("{path}:1: no module header (`//!`)"));
        }
        let test = path.contains("/tests/") || path.ends_with("/tests.rs");
        let production = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text).lines().count();
        if !test && production > LINES_MAX && !REGISTRIES.contains(&path) {
            findings.push(format!("{path}: {production} lines of production code, the limit is {LINES_MAX}"));
        }
        for part in path.split('/').map(|part| part.trim_end_matches(".rs")) {
            if VAGUE.contains(&part) {
                findings.push(format!("{path}: `{part}` names no concept"));
            }
        }
    }
    // Spelled in two halves, so that this file does not find itself.
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tm", "p/b/")];
    for (path, text) in &tree.texts {
        for (index, line) in text.lines().enumerate() {
            // At the beginning of a path, not within one.
            let begins = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if machine.iter().any(|word| line.match_indices(word).any(|(at, _)| begins(at))) {
                findings.push(format!("{path}:{}: names a path of one machine", index + 1));
            }
        }
    }
}
