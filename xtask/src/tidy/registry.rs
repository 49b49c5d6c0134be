//! Permanent numbers: each constant of a `format.rs` file whose line ends in `// registry` stands in
//! `docs/format/registry.md` under the same name, and no two entries of one section share a value. Serialized layouts
//! are specified: every `format.rs` names its page under `docs/format/`.

use super::Tree;

const PAGE: &str = "docs/format/registry.md";

pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    let registry = tree.text(PAGE).unwrap_or_default();
    for (path, text) in tree.rust(&["crates/"]) {
        for (index, line) in text.lines().enumerate() {
            let Some(constant) = line.trim_end().strip_suffix("// registry") else { continue };
            let name =
                constant.split("const ").nth(1).and_then(|rest| rest.split(':').next()).unwrap_or_default();
            if name.is_empty() || !registry.contains(&format!("`{name}`")) {
                findings.push(format!("{path}:{}: `{name}` is not in {PAGE}", index + 1));
            }
        }
        if path.ends_with("/format.rs")
            && path.contains("/src/")
            && path.contains("cairn-storage")
            && !text.contains("docs/format/")
        {
            findings.push(format!("{path}:1: does not name its page under docs/format/"));
        }
    }
    sections(registry, findings);
}

fn sections(registry: &str, findings: &mut Vec<String>) {
    let mut seen: Vec<String> = Vec::new();
    for (index, line) in registry.lines().enumerate() {
        if line.starts_with('#') {
            seen.clear();
        } else if let Some(value) = line.strip_prefix("| `").and_then(|rest| rest.split('|').nth(1)) {
            let value = value.trim().to_string();
            if seen.contains(&value) {
                findings.push(format!("{PAGE}:{}: {value} is given twice in its section", index + 1));
            }
            seen.push(value);
        }
    }
}
