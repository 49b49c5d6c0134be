//! The tree is tidy: `cargo test` fails where `cargo xtask tidy` would. And the planted bugs fit the code.

#[test]
fn every_planted_bug_has_its_place() {
    let mut names = std::collections::BTreeSet::new();
    use xtask::planted::{HARMLESS, ISOLATION_PLANTS, LOCK_PLANTS, MODEL_PLANTS, PLANTS};
    let harmless = HARMLESS.iter().map(|harmless| &harmless.plant);
    for plant in PLANTS.iter().chain(MODEL_PLANTS).chain(ISOLATION_PLANTS).chain(LOCK_PLANTS).chain(harmless)
    {
        plant.original(&xtask::repository_root()).expect("the list fits the code");
        assert_ne!(plant.text, plant.replacement, "{}", plant.name);
        assert!(names.insert(plant.name), "two bugs are named {}", plant.name);
    }
    assert!(PLANTS.len() >= 25 && HARMLESS.iter().all(|harmless| !harmless.reason.is_empty()));
}

#[test]
fn the_tree_is_tidy() {
    let findings = xtask::tidy::findings(&xtask::repository_root()).expect("the tree can be read");
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
