//! Anomalies that need no cycle: of a read, of a list, of two transactions.

use crate::anomaly::AnomalyKind;
use crate::hash::Map;
use crate::history::{Found, Key, Operation, Outcome, Value};
use crate::versions::{NONE, Seen, Unfit, Versions};

/// Observed transactions among which a writer is looked for, so as not to note it twice.
const OBSERVED_RECENTLY: usize = 32;

/// One of them: the transactions it is about and the key, and what there is to say.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) kind: AnomalyKind,
    pub(crate) transactions: Vec<u32>,
    pub(crate) key: Key,
    pub(crate) what: String,
}

/// Gathers them, transaction by transaction.
pub(crate) struct Locals<'v, 'h> {
    versions: &'v Versions<'h>,
    pub(crate) found: Vec<Local>,
    /// Who first read a version of a key and then wrote the key.
    updates: Map<(u32, u32), u32>,
}

impl<'v, 'h> Locals<'v, 'h> {
    pub(crate) fn new(versions: &'v Versions<'h>) -> Locals<'v, 'h> {
        let mut locals = Locals { versions, found: Vec::new(), updates: Map::default() };
        for number in 0..versions.keys.len() {
            locals.look_at_key(number as u32);
        }
        locals
    }

    fn add(&mut self, kind: AnomalyKind, transactions: Vec<u32>, key: u32, what: String) {
        let key = self.versions.keys[key as usize].key;
        self.found.push(Local { kind, transactions, key, what });
    }

    /// The longest list of a key, or its writes as a register.
    fn look_at_key(&mut self, number: u32) {
        let versions = self.versions;
        let key = &versions.keys[number as usize];
        if let Some(circle) = &key.cyclic {
            let writers = circle.iter().filter_map(|value| Some(versions.written(number, *value)?.txn));
            let what = format!("each of the values {circle:?} is written after reading another of them");
            self.add(AnomalyKind::CyclicVersions, writers.collect(), number, what);
        }
        if key.is_list {
            self.look_at_list(number, key.reader, &key.order);
        }
    }

    /// A list that a transaction read: what is in it at all.
    fn look_at_list(&mut self, number: u32, reader: u32, list: &[Value]) {
        let versions = self.versions;
        let mut places: Map<Value, usize> = Map::default();
        let mut aborted = None;
        for (at, value) in list.iter().enumerate() {
            if let Some(first) = places.insert(*value, at) {
                let what = format!("it read {value} at places {} and {}", first + 1, at + 1);
                self.add(AnomalyKind::Duplicate, vec![reader], number, what);
            }
            let Some(written) = versions.written(number, *value) else {
                let what = format!("it read {value}, which nobody wrote");
                self.add(AnomalyKind::Garbage, vec![reader], number, what);
                continue;
            };
            if versions.history.transactions[written.txn as usize].outcome == Outcome::Aborted {
                let what = format!("it read {value}, which T{} wrote and took back", written.txn + 1);
                self.add(AnomalyKind::G1a, vec![reader, written.txn], number, what);
                aborted = Some((*value, written.txn));
            } else if let Some((below, writer)) = aborted.filter(|(_, writer)| *writer != written.txn) {
                let what = format!(
                    "T{} wrote {value} upon {below} of T{}, which aborted",
                    written.txn + 1,
                    writer + 1
                );
                self.add(AnomalyKind::DirtyUpdate, vec![written.txn, writer], number, what);
                aborted = None;
            }
        }
    }

    /// The reads of one transaction.
    pub(crate) fn look_at(&mut self, txn: usize, seen: &[Seen]) {
        self.intermediate(txn, seen);
        self.vanished(txn, seen);
        self.stale(txn, seen);
        self.update(txn, seen);
    }

    /// Reads that fit no version.
    pub(crate) fn look_at_unfit(&mut self, txn: usize, unfit: &[Unfit]) {
        let own = txn as u32;
        for unfit in unfit {
            match unfit {
                Unfit::Internal { operation, key } => {
                    let what = format!("operation {} does not show its own writes as made", operation + 1);
                    self.add(AnomalyKind::Internal, vec![own], *key, what);
                }
                Unfit::Incompatible { operation, key } => self.incompatible(own, *operation, *key),
                Unfit::Register { operation, key, value } => {
                    let writer = self.versions.written(*key, *value).map(|written| written.txn);
                    match writer {
                        None => {
                            let what =
                                format!("operation {} read {value}, which nobody wrote", operation + 1);
                            self.add(AnomalyKind::Garbage, vec![own], *key, what);
                        }
                        Some(writer) => {
                            let what = format!("it read {value}, which T{} wrote and took back", writer + 1);
                            self.add(AnomalyKind::G1a, vec![own, writer], *key, what);
                        }
                    }
                }
            }
        }
    }

    fn incompatible(&mut self, own: u32, operation: u32, number: u32) {
        let versions = self.versions;
        let key = &versions.keys[number as usize];
        let what = format!(
            "operation {} contradicts the {:?} that T{} read",
            operation + 1,
            key.order,
            key.reader + 1
        );
        self.add(AnomalyKind::IncompatibleOrder, vec![own, key.reader], number, what);
        let read = &versions.history.transactions[own as usize].operations[operation as usize];
        let list = match read {
            Operation::Read { found: Found::List(values), .. } => Some(values),
            Operation::Scan { found, .. } => found.iter().find_map(|(own, found)| match found {
                Found::List(values) if *own == key.key => Some(values),
                _ => None,
            }),
            _ => None,
        };
        if let Some(values) = list {
            self.look_at_list(number, own, values);
        }
    }

    fn intermediate(&mut self, txn: usize, seen: &[Seen]) {
        for read in seen {
            let key = &self.versions.keys[read.key as usize];
            let Some(value) = (read.version as usize).checked_sub(1).map(|at| key.order[at]) else {
                continue;
            };
            let written = self.versions.written(read.key, value);
            let Some(written) = written.filter(|written| !written.is_final && written.txn != txn as u32)
            else {
                continue;
            };
            let what = format!(
                "operation {} read {value}, after which T{} wrote the key again",
                read.operation + 1,
                written.txn + 1
            );
            self.add(AnomalyKind::G1b, vec![txn as u32, written.txn], read.key, what);
        }
    }

    /// Observed transactions of which a later operation misses a write.
    fn vanished(&mut self, txn: usize, seen: &[Seen]) {
        let versions = self.versions;
        let mut observed: Vec<(u32, u32)> = Vec::new();
        for read in seen {
            let key = &versions.keys[read.key as usize];
            // In the order of operations, so that those of the same one are at the end.
            for (writer, operation) in
                observed.iter().take_while(|(_, operation)| *operation < read.operation)
            {
                let missed = |version| key.is_after(version, read.version);
                if versions.versions_by(*writer, read.key).any(|written| missed(written.version)) {
                    let what = format!(
                        "operation {} saw T{}, operation {} does not see its write of the key",
                        operation + 1,
                        writer + 1,
                        read.operation + 1
                    );
                    self.found.push(Local {
                        kind: AnomalyKind::Otv,
                        transactions: vec![txn as u32, *writer],
                        key: key.key,
                        what,
                    });
                    return;
                }
            }
            if let Some(writer) = key.writer(read.version).filter(|writer| *writer != txn as u32)
                && !observed.iter().rev().take(OBSERVED_RECENTLY).any(|(known, _)| *known == writer)
            {
                observed.push((writer, read.operation));
            }
        }
    }

    fn stale(&mut self, txn: usize, seen: &[Seen]) {
        let Some((begin, _)) = self.versions.history.transactions[txn].times else { return };
        for read in seen.iter().filter(|read| self.versions.end_after(read) < begin) {
            let key = &self.versions.keys[read.key as usize];
            let mut missed = key.writers.get(read.version as usize..).unwrap_or_default().iter();
            let ended = |writer: &&u32| {
                let writer = self.versions.history.transactions.get(**writer as usize);
                writer.and_then(|writer| writer.times).is_some_and(|(_, end)| end < begin)
            };
            let Some(writer) = missed.find(ended).copied().or(key.unread.first().copied()) else { continue };
            let what = format!(
                "operation {} misses the write of T{}, acknowledged before it began",
                read.operation + 1,
                writer + 1
            );
            self.add(AnomalyKind::StaleRead, vec![txn as u32, writer], read.key, what);
            return;
        }
    }

    /// Lost updates: who read which version before writing the key.
    fn update(&mut self, txn: usize, seen: &[Seen]) {
        let own = txn as u32;
        let mut done: Vec<u32> = Vec::new();
        // The last read before the first write: the one that the write can depend on.
        for read in seen.iter().rev() {
            if done.contains(&read.key) || read.version == NONE {
                continue;
            }
            let mut writes = self.versions.versions_by(own, read.key);
            if writes.next().is_none_or(|first| first.operation <= read.operation) {
                continue;
            }
            done.push(read.key);
            let first = *self.updates.entry((read.key, read.version)).or_insert(own);
            if first != own {
                let what = "both read the same version of the key and then wrote it".to_string();
                self.add(AnomalyKind::LostUpdate, vec![first, own], read.key, what);
            }
        }
    }
}
