//! Histories by hand: each is found to have exactly the anomalies it was made for, alone and among others.

use std::collections::BTreeSet;

use cairn_history::{AnomalyKind, History, Level, Verdict, check, parse};

use crate::reference::{Model, generate};

const FILE: &str = include_str!("golden.txt");

/// Names, as in the file.
pub(crate) fn names(verdict: &Verdict) -> BTreeSet<String> {
    let name =
        |(kind, ordered): &(AnomalyKind, bool)| format!("{kind}{}", if *ordered { " in time" } else { "" });
    verdict.counts.keys().map(name).collect()
}

/// Name, expected anomalies, history.
fn histories() -> Vec<(String, BTreeSet<String>, History)> {
    let parts = FILE.split("\n== ").skip(1);
    let histories = parts.map(|part| {
        let (title, text) = part.split_once('\n').unwrap();
        let (name, expected) = title.split_once(':').unwrap();
        let expected =
            expected.split(',').map(|word| word.trim().to_string()).filter(|word| !word.is_empty());
        (name.to_string(), expected.collect(), parse(text).unwrap())
    });
    histories.collect()
}

#[test]
fn each_history_has_its_anomalies_and_no_others() {
    let mut all = BTreeSet::new();
    for (name, expected, history) in histories() {
        let verdict = check(&history).unwrap();
        assert_eq!(names(&verdict), expected, "{name}\n{history}{verdict}");
        // What is printed is read again as the same.
        assert_eq!(parse(&history.to_string()).unwrap(), history, "{name}");
        all.extend(expected);
    }
    for kind in AnomalyKind::ALL {
        assert!(all.contains(kind.name()), "no history has {kind}");
    }
}

/// Put among random transactions that are serial, on keys of their own, they are found as well, and only they.
#[test]
fn anomalies_are_found_among_others() {
    for (number, (name, expected, golden)) in histories().into_iter().enumerate() {
        let mut history = generate(number as u64, Model::Serial, 300);
        let timed = golden.transactions.iter().all(|txn| txn.times.is_some());
        for txn in &mut history.transactions {
            txn.times = txn.times.filter(|_| timed).map(|(begin, end)| (begin * 1000, end * 1000));
            txn.process += 1000;
        }
        let middle = history.transactions.iter().filter_map(|txn| txn.times).map(|(begin, _)| begin).max();
        let moment = middle.unwrap_or(0) / 2 / 1000 * 1000 + 100;
        for mut txn in golden.transactions {
            txn.times = txn.times.map(|(begin, end)| (moment + begin, moment + end));
            for operation in &mut txn.operations {
                crate::mutated::on_other_keys(operation, 1_000_000);
            }
            history.transactions.push(txn);
        }
        let verdict = check(&history).unwrap();
        assert_eq!(names(&verdict), expected, "{name}\n{verdict}");
    }
}

#[test]
fn levels_forbid_what_they_say() {
    let weakest = |text: &str| check(&parse(text).unwrap()).unwrap().violated().first().copied();
    let of = |name: &str| {
        let found = histories().into_iter().find(|(own, ..)| own == name).unwrap();
        weakest(&found.2.to_string())
    };
    for (name, level) in [
        ("serial", None),
        ("dirty write", Some(Level::ReadUncommitted)),
        ("circular information flow", Some(Level::ReadCommitted)),
        ("intermediate read", Some(Level::ReadCommitted)),
        ("observed transaction vanishes", Some(Level::MonotonicAtomicView)),
        ("read skew", Some(Level::Snapshot)),
        ("lost update of a list", Some(Level::Snapshot)),
        ("predicate-many-preceders", Some(Level::Snapshot)),
        ("long fork", Some(Level::Snapshot)),
        ("a read of the past", Some(Level::StrongSnapshot)),
        ("write skew", Some(Level::Serializable)),
        ("write skew with a phantom", Some(Level::Serializable)),
        ("an order of transactions that only the clock refutes", Some(Level::StrictSerializable)),
    ] {
        assert_eq!(of(name), level, "{name}");
    }
    for level in Level::ALL {
        assert!(Level::StrictSerializable.implies(level) && level.implies(Level::ReadUncommitted));
    }
    assert!(
        !Level::Serializable.implies(Level::StrongSnapshot) && Level::Serializable.implies(Level::Snapshot)
    );
}

/// What is said of a cycle is what somebody needs to act on it.
#[test]
fn a_cycle_is_explained() {
    let history = parse(
        "T1 p0 0..5 ok r(1)=[] a(2,1)\nT2 p1 1..6 ok s(2..4)={} a(1,2)\nT3 p2 7..8 ok r(1)=[2] r(2)=[1]",
    );
    let verdict = check(&history.unwrap()).unwrap();
    assert_eq!(
        verdict.to_string(),
        "3 transactions, 9 edges: 1 × G2\n\
         violates serializable, strict serializable\n\n\
         G2 (write skew with a phantom): T2 -rw-predicate(k 2)-> T1 -rw(k 1)-> T2\n    \
         T2 read a range without key 2 (operation 1), then T1 wrote 1 there\n    \
         T1 read key 1 (operation 1) without the next write, T2: 2\n  \
         T1 p0 0..5 ok r(1)=[] a(2,1)\n  \
         T2 p1 1..6 ok s(2..4)={} a(1,2)"
    );
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let twice = check(&parse("T1 p0 ok a(1,1)\nT2 p0 ok a(1,1)").unwrap());
    assert!(twice.unwrap_err().to_string().contains("twice"));
    let both = check(&parse("T1 p0 ok a(1,1)\nT2 p0 ok r(1)=1").unwrap());
    assert!(both.unwrap_err().to_string().contains("register"));
    for (text, line) in
        [("T2 p0 ok", 1), ("T1 p0 ok\nT2 p0 maybe", 2), ("T1 p0 ok r(1)=[x]", 1), ("T1 q ok", 1)]
    {
        assert_eq!(parse(text).unwrap_err().line, line, "{text}");
    }
}
