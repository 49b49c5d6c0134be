//! The tree is tidy: `cargo test` fails where `cargo xtask tidy` would.

#[test]
fn the_tree_is_tidy() {
    let findings = xtask::tidy::findings(&xtask::repository_root()).expect("the tree can be read");
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
