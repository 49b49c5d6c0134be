//! Serial histories with one thing changed: the anomaly that this makes is found and named.

use cairn_history::{AnomalyKind, Found, History, Key, Level, Operation, Outcome, Value, check};

use crate::reference::{Model, Random, generate};

/// Moves an operation to keys that nobody else uses.
pub(crate) fn on_other_keys(operation: &mut Operation, by: Key) {
    match operation {
        Operation::Append { key, .. } | Operation::Write { key, .. } | Operation::Read { key, .. } => {
            *key += by
        }
        Operation::Scan { first, end, found } => {
            (*first, *end) = (*first + by, *end + by);
            found.iter_mut().for_each(|(key, _)| *key += by);
        }
    }
}

/// A list that a transaction read: which, at which operation, of which key.
type Place = (usize, usize, Key);

fn lists(history: &History) -> Vec<(Place, Vec<Value>)> {
    let mut found = Vec::new();
    for (txn, transaction) in history.transactions.iter().enumerate() {
        if transaction.outcome != Outcome::Committed {
            continue;
        }
        for (at, operation) in transaction.operations.iter().enumerate() {
            if let Operation::Read { key, found: Found::List(values) } = operation {
                found.push(((txn, at, *key), values.clone()));
            }
        }
    }
    found
}

fn replace(history: &mut History, (txn, at, _): Place, values: Vec<Value>) {
    let Operation::Read { found, .. } = &mut history.transactions[txn].operations[at] else { unreachable!() };
    *found = Found::List(values);
}

fn own(history: &History, (txn, at, key): Place) -> Vec<Value> {
    let before = history.transactions[txn].operations[..at].iter();
    let own = before.filter_map(|operation| match operation {
        Operation::Append { key: own, value } if *own == key => Some(*value),
        _ => None,
    });
    own.collect()
}

fn writer(history: &History, key: Key, value: Value) -> usize {
    let wrote = Operation::Append { key, value };
    history.transactions.iter().position(|txn| txn.operations.contains(&wrote)).unwrap()
}

/// Makes a change in each of many histories, wherever it can be made, and looks whether it was found.
fn each(kind: AnomalyKind, change: impl Fn(&mut History, &mut Random) -> Option<()>) {
    let mut changed = 0;
    for seed in 0..60 {
        let mut history = generate(seed, Model::Serial, 120);
        if change(&mut history, &mut Random::new(seed)).is_none() {
            continue;
        }
        changed += 1;
        let verdict = check(&history).unwrap();
        assert!(verdict.has(kind), "seed {seed}: {kind} was not found: {verdict}");
    }
    assert!(changed >= 10, "{kind}: only {changed} histories could be changed");
}

/// One of the places that a condition holds for.
fn pick(
    history: &History,
    random: &mut Random,
    holds: impl Fn(Place, &[Value]) -> bool,
) -> Option<(Place, Vec<Value>)> {
    let mut fit: Vec<_> =
        lists(history).into_iter().filter(|(place, values)| holds(*place, values)).collect();
    (!fit.is_empty()).then(|| fit.swap_remove(random.below(fit.len())))
}

#[test]
fn a_writer_that_aborted() {
    each(AnomalyKind::G1a, |history, random| {
        let (place, values) =
            pick(history, random, |place, values| !values.is_empty() && own(history, place).is_empty())?;
        let writer = writer(history, place.2, *values.last()?);
        history.transactions[writer].outcome = Outcome::Aborted;
        Some(())
    });
}

#[test]
fn a_read_in_the_middle_of_a_writer() {
    each(AnomalyKind::G1b, |history, random| {
        let twice = |place: Place, values: &[Value]| {
            let [.., a, b] = values else { return false };
            let one = writer(history, place.2, *a);
            own(history, place).is_empty() && one == writer(history, place.2, *b) && one != place.0
        };
        let (place, mut values) = pick(history, random, twice)?;
        values.pop();
        replace(history, place, values);
        Some(())
    });
}

#[test]
fn a_value_twice() {
    each(AnomalyKind::Duplicate, |history, random| {
        let (place, mut values) =
            pick(history, random, |place, values| !values.is_empty() && own(history, place).is_empty())?;
        values.push(values[0]);
        replace(history, place, values);
        Some(())
    });
}

#[test]
fn values_in_another_order() {
    each(AnomalyKind::IncompatibleOrder, |history, random| {
        let (place, mut values) =
            pick(history, random, |place, values| values.len() > 1 && own(history, place).is_empty())?;
        values.swap(0, 1);
        replace(history, place, values);
        Some(())
    });
}

#[test]
fn an_own_write_that_is_missing() {
    each(AnomalyKind::Internal, |history, random| {
        let (place, mut values) = pick(history, random, |place, _| !own(history, place).is_empty())?;
        values.pop();
        replace(history, place, values);
        Some(())
    });
}

#[test]
fn a_value_of_nobody() {
    each(AnomalyKind::Garbage, |history, random| {
        let (place, mut values) = pick(history, random, |place, _| own(history, place).is_empty())?;
        values.insert(0, u64::MAX);
        replace(history, place, values);
        Some(())
    });
}

/// Whatever a read misses, serial it is no more: by the data, or by the clock.
#[test]
fn a_read_of_an_older_version() {
    each(AnomalyKind::StaleRead, |history, random| {
        let missed = |place: Place, values: &[Value]| {
            let Some(last) = values.last() else { return false };
            let writer = &history.transactions[writer(history, place.2, *last)];
            own(history, place).is_empty()
                && writer.times.unwrap().1 < history.transactions[place.0].times.unwrap().0
        };
        let (place, mut values) = pick(history, random, missed)?;
        let last = writer(history, place.2, *values.last()?);
        while values.last().is_some_and(|value| writer(history, place.2, *value) == last) {
            values.pop();
        }
        replace(history, place, values);
        assert!(check(history).unwrap().violates(Level::StrictSerializable));
        Some(())
    });
}

/// Of two that overlap and wrote the same key the second is made to have read what the first had read.
#[test]
fn an_update_that_was_lost() {
    each(AnomalyKind::LostUpdate, |history, _| {
        for (second, at, key) in lists(history).into_iter().map(|(place, _)| place).collect::<Vec<_>>() {
            let Operation::Read { found: Found::List(values), .. } =
                history.transactions[second].operations[at].clone()
            else {
                continue;
            };
            let writes = |txn: usize| {
                history.transactions[txn]
                    .operations
                    .iter()
                    .position(|o| matches!(o, Operation::Append { key: own, .. } if *own == key))
            };
            let touches = |operation: &&Operation| match operation {
                Operation::Read { key: own, .. } => *own == key,
                Operation::Scan { first, end, .. } => (*first..*end).contains(&key),
                _ => false,
            };
            let read_once = history.transactions[second].operations.iter().filter(touches).count() == 1;
            if values.is_empty() || !read_once || writes(second).is_none_or(|write| write < at) {
                continue;
            }
            let first = writer(history, key, *values.last().unwrap());
            // The first one is made to have read the key before it wrote, too.
            let of_first = values.iter().take_while(|value| writer(history, key, **value) != first);
            let base: Vec<Value> = of_first.copied().collect();
            let read = Operation::Read { key, found: Found::List(base.clone()) };
            history.transactions[first].operations.insert(0, read);
            replace(history, (second, at, key), base);
            return Some(());
        }
        None
    });
}
