//! Every arrow between crates points down, shared dependencies have one version, and each has its reason in
//! `deny.toml`.

use super::Tree;

/// What each crate may depend on among the workspace's own; an arrow not drawn here is refused.
const ARROWS: &[(&str, &[&str])] = &[
    ("cairn-env", &[]),
    ("cairn-types", &[]),
    ("cairn-storage", &["cairn-env"]),
    ("cairn-index", &["cairn-storage", "cairn-types"]),
    ("cairn-engine", &["cairn-env", "cairn-index", "cairn-storage", "cairn-types"]),
    ("cairn-sql", &["cairn-engine", "cairn-env", "cairn-types"]),
    ("cairndb", &["cairn-engine", "cairn-env", "cairn-sql", "cairn-storage", "cairn-types"]),
    ("cairn-server", &["cairndb"]),
    ("cairn-cli", &["cairn-server", "cairndb"]),
    ("cairn-testkit", &["cairn-history"]),
    ("cairn-history", &[]),
];

/// Two of these in the lock would give two incompatible worlds of types.
const SINGLE: &[&str] =
    &["arrow", "arrow-array", "arrow-schema", "datafusion", "sqlparser", "tonic", "prost", "object_store"];

pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    for (name, allowed) in ARROWS {
        let path = format!("crates/{name}/Cargo.toml");
        let Some(text) = tree.text(&path) else {
            findings.push(format!("{path}: missing"));
            continue;
        };
        for dependency in section(text, "[dependencies]") {
            let own = dependency.starts_with("cairn");
            if own && !allowed.contains(&dependency.as_str()) {
                findings.push(format!("{path}: {name} must not depend on {dependency}"));
            }
            if dependency == "datafusion" && *name != "cairn-sql" {
                findings.push(format!("{path}: only cairn-sql depends on datafusion"));
            }
        }
    }
    let lock = tree.text("Cargo.lock").unwrap_or_default();
    for name in SINGLE {
        let versions = lock.matches(&format!("\nname = \"{name}\"\n")).count();
        if versions > 1 {
            findings.push(format!("Cargo.lock: {versions} versions of {name}"));
        }
    }
    let (workspace, deny) =
        (tree.text("Cargo.toml").unwrap_or_default(), tree.text("deny.toml").unwrap_or_default());
    for name in
        section(workspace, "[workspace.dependencies]").iter().filter(|name| !name.starts_with("cairn"))
    {
        if !deny.contains(&format!("# {name}: ")) {
            findings.push(format!("deny.toml: no reason for the dependency {name} (a line `# {name}: why`)"));
        }
    }
}

/// The keys of one section of a manifest.
fn section(text: &str, header: &str) -> Vec<String> {
    let mut inside = false;
    let mut keys = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.trim() == header;
        } else if inside
            && !line.starts_with([' ', '#', ']'])
            && let Some((key, _)) = line.split_once(['=', '.'])
        {
            keys.push(key.trim().to_string());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn keys_of_a_section_without_its_neighbours() {
        let text = "[a]\nx = 1\n[dependencies]\n# c\none.workspace = true\ntwo = { path = \"x\" }\nlist = [\n  \"y\",\n]\n[b]\nz = 1\n";
        assert_eq!(section(text, "[dependencies]"), ["one", "two", "list"]);
    }
}
