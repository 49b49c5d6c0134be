//! Histories of reference models: clean where the model is, and sharp enough to show what it permits.

use std::collections::BTreeSet;
use std::time::Instant;

use cairn_history::{AnomalyKind, Level, check};

use crate::reference::{Model, generate};

/// What all histories of a model show together; each must keep to its level.
fn shown(model: Model, keeps: Level) -> BTreeSet<AnomalyKind> {
    let mut shown = BTreeSet::new();
    for seed in 0..20 {
        let history = generate(seed, model, 400);
        let verdict = check(&history).unwrap();
        assert!(!verdict.violates(keeps), "{model:?}, seed {seed}: {verdict}");
        assert!(verdict.transactions > 100, "{model:?}, seed {seed}: {verdict}");
        if model == Model::Committed {
            // A statement sees what was acknowledged before it.
            assert!(!verdict.has(AnomalyKind::StaleRead), "{model:?}, seed {seed}: {verdict}");
        }
        shown.extend(verdict.counts.into_keys().map(|(kind, _)| kind));
    }
    shown
}

#[test]
fn serial_histories_are_clean() {
    assert!(shown(Model::Serial, Level::StrictSerializable).is_empty());
    assert!(shown(Model::Validated, Level::StrictSerializable).is_empty());
}

#[test]
fn snapshots_show_write_skew_and_nothing_else() {
    let shown = shown(Model::Snapshot, Level::StrongSnapshot);
    assert_eq!(shown, BTreeSet::from([AnomalyKind::G2Item, AnomalyKind::G2]));
}

#[test]
fn read_committed_shows_skew_of_every_kind_and_nothing_dirty() {
    let shown = shown(Model::Committed, Level::MonotonicAtomicView);
    for kind in [AnomalyKind::GSingle, AnomalyKind::Pmp, AnomalyKind::LostUpdate, AnomalyKind::G2Item] {
        assert!(shown.contains(&kind), "{kind} is not among {shown:?}");
    }
}

#[test]
fn read_uncommitted_shows_dirty_reads_and_no_dirty_writes() {
    let shown = shown(Model::Uncommitted, Level::ReadUncommitted);
    for kind in [AnomalyKind::G1a, AnomalyKind::G1b, AnomalyKind::G1c] {
        assert!(shown.contains(&kind), "{kind} is not among {shown:?}");
    }
}

/// `CAIRN_TRANSACTIONS` sets how many; the time that the check took is printed.
#[test]
fn many_transactions_are_judged_at_once() {
    let number = std::env::var("CAIRN_TRANSACTIONS").ok().map(|text| text.parse::<u64>().unwrap());
    for model in [Model::Validated, Model::Snapshot, Model::Committed] {
        let history = generate(1, model, number.unwrap_or(5_000));
        let reads = history.transactions.iter().map(|txn| txn.operations.len()).sum::<usize>();
        let begun = Instant::now();
        let verdict = check(&history).unwrap();
        let milliseconds = begun.elapsed().as_millis();
        let first = verdict.to_string().lines().take(2).collect::<Vec<_>>().join("; ");
        eprintln!("{model:?}: {reads} operations, {milliseconds} ms: {first}");
        assert_eq!(verdict.violates(Level::Serializable), model != Model::Validated);
    }
}
