//! Version orders: which writes of a key came in which order, as far as the reads tell.
//!
//! A version of a list is its length: version 0 is the empty list, version n has the first n values of the longest
//! list that anybody read. A version of a register is the number of its value, 0 where nothing was written; the
//! writes that a transaction made after it had read the key follow what it had read.
//!
//! - I1: only transactions that count are read from: committed ones, and those of unknown outcome whose writes were
//!   read by one that counts.
//! - I2: an own read is resolved without what its transaction itself had written before.

use crate::hash::Map;
use crate::history::{Found, History, Key, Operation, Outcome, Value};
use crate::verdict::MalformedHistory;

/// No transaction, or no version.
pub(crate) const NONE: u32 = u32::MAX;

/// Writers whose values nobody read are put behind the others one by one up to this many: more would cost the
/// square of their number, and a history that ends with a read of all keys has none.
const UNREAD_MAX: usize = 8;

/// A write of a value to a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    pub(crate) txn: u32,
    pub(crate) operation: u32,
    /// Whether its transaction wrote the key no more.
    pub(crate) is_final: bool,
    /// The version that it made; [`NONE`] where nobody read it.
    pub(crate) version: u32,
}

/// What is known of a key.
#[derive(Debug)]
pub(crate) struct KeyVersions {
    pub(crate) key: Key,
    pub(crate) is_list: bool,
    /// The values in the order of their versions, from version 1 on.
    pub(crate) order: Vec<Value>,
    /// Who made each; [`NONE`] for values of aborted transactions and of nobody.
    pub(crate) writers: Vec<u32>,
    /// Who read the longest list.
    pub(crate) reader: u32,
    /// Committed transactions whose values nobody read.
    pub(crate) unread: Vec<u32>,
    /// Of a register: the versions that directly follow each version.
    after: Vec<Vec<u32>>,
    /// The registers' versions follow each other in a circle, so nothing is derived from them.
    pub(crate) cyclic: Option<Vec<Value>>,
    /// For each version of a list the earliest end of a later write; only with times.
    ends_after: Vec<u64>,
}

/// A read of a version by a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) operation: u32,
    /// Index of the key.
    pub(crate) key: u32,
    pub(crate) version: u32,
    /// A range read that did not find the key.
    pub(crate) phantom: bool,
}

/// A read that fits no version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Own writes are not where they belong.
    Internal { operation: u32, key: u32 },
    /// The list is not a beginning of the longest.
    Incompatible { operation: u32, key: u32 },
    /// A register's value that nobody wrote, or that an aborted transaction wrote.
    Register { operation: u32, key: u32, value: Value },
}

/// All keys, all writes, all orders.
pub(crate) struct Versions<'h> {
    pub(crate) history: &'h History,
    pub(crate) keys: Vec<KeyVersions>,
    numbers: Map<Key, u32>,
    /// The keys in order, with their numbers.
    sorted: Vec<(Key, u32)>,
    written: Map<(u32, Value), Written>,
    /// Which transactions count (I1).
    pub(crate) counts: Vec<bool>,
}

impl<'h> Versions<'h> {
    pub(crate) fn of(history: &'h History) -> Result<Versions<'h>, MalformedHistory> {
        let mut versions = Versions {
            history,
            keys: Vec::new(),
            numbers: Map::default(),
            sorted: Vec::new(),
            written: Map::default(),
            counts: Vec::new(),
        };
        versions.collect_writes()?;
        versions.decide_who_counts();
        versions.order_lists();
        versions.order_registers();
        versions.note_unread();
        versions.note_ends();
        Ok(versions)
    }

    /// The number of a key.
    fn number(&mut self, key: Key, is_list: bool) -> Result<u32, MalformedHistory> {
        let next = self.keys.len() as u32;
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.keys.push(KeyVersions {
                key,
                is_list,
                order: Vec::new(),
                writers: Vec::new(),
                reader: NONE,
                unread: Vec::new(),
                after: Vec::new(),
                cyclic: None,
                ends_after: Vec::new(),
            });
        }
        if self.keys[number as usize].is_list != is_list {
            return Err(MalformedHistory::ListAndRegister { key });
        }
        Ok(number)
    }

    fn collect_writes(&mut self) -> Result<(), MalformedHistory> {
        for (txn, transaction) in self.history.transactions.iter().enumerate() {
            let mut own: Vec<(u32, Value)> = Vec::new();
            for (at, operation) in transaction.operations.iter().enumerate() {
                match operation {
                    Operation::Append { key, value } | Operation::Write { key, value } => {
                        let number = self.number(*key, matches!(operation, Operation::Append { .. }))?;
                        if let Some(last) = own.iter_mut().rev().find(|(key, _)| *key == number) {
                            if let Some(earlier) = self.written.get_mut(&(number, last.1)) {
                                earlier.is_final = false;
                            }
                            last.1 = *value;
                        } else {
                            own.push((number, *value));
                        }
                        let written =
                            Written { txn: txn as u32, operation: at as u32, is_final: true, version: NONE };
                        if self.written.insert((number, *value), written).is_some() {
                            return Err(MalformedHistory::WrittenTwice { key: *key, value: *value });
                        }
                    }
                    Operation::Read { key, found } => {
                        self.number(*key, matches!(found, Found::List(_)))?;
                    }
                    Operation::Scan { found, .. } => {
                        for (key, found) in found {
                            self.number(*key, matches!(found, Found::List(_)))?;
                        }
                    }
                }
            }
        }
        self.sorted = self.keys.iter().enumerate().map(|(at, key)| (key.key, at as u32)).collect();
        self.sorted.sort_unstable();
        Ok(())
    }

    /// I1: unknown outcomes that were seen by somebody who counts are commits.
    fn decide_who_counts(&mut self) {
        let transactions = &self.history.transactions;
        let committed = |txn: &usize| transactions[*txn].outcome == Outcome::Committed;
        self.counts = (0..transactions.len()).map(|txn| committed(&txn)).collect();
        if transactions.iter().all(|txn| txn.outcome != Outcome::Unknown) {
            return;
        }
        let mut open: Vec<usize> = (0..transactions.len()).filter(committed).collect();
        while let Some(txn) = open.pop() {
            for operation in &transactions[txn].operations {
                let single;
                let reads: &[(Key, Found)] = match operation {
                    Operation::Read { key, found } => {
                        single = [(*key, found.clone())];
                        &single
                    }
                    Operation::Scan { found, .. } => found,
                    Operation::Append { .. } | Operation::Write { .. } => continue,
                };
                for (key, found) in reads {
                    let Some(&number) = self.numbers.get(key) else { continue };
                    let values: &[Value] = match found {
                        Found::List(values) => values,
                        Found::Register(value) => value.as_slice(),
                    };
                    for value in values {
                        let Some(written) = self.written.get(&(number, *value)) else { continue };
                        let writer = written.txn as usize;
                        if transactions[writer].outcome == Outcome::Unknown && !self.counts[writer] {
                            self.counts[writer] = true;
                            open.push(writer);
                        }
                    }
                }
            }
        }
    }

    /// The longest list that anybody who counts read of each key, without what the reader itself had appended.
    fn order_lists(&mut self) {
        let mut longest: Vec<(u32, Option<&'h [Value]>)> = vec![(NONE, None); self.keys.len()];
        for (txn, transaction) in self.history.transactions.iter().enumerate() {
            if !self.counts[txn] {
                continue;
            }
            for (at, operation) in transaction.operations.iter().enumerate() {
                let mut consider = |key: &Key, found: &'h Found| {
                    let (Some(&number), Found::List(values)) = (self.numbers.get(key), found) else { return };
                    let own = own_appends(&transaction.operations[..at], *key);
                    // A read without its own appends is judged later; here it is as good as it is.
                    let base = match values.len().checked_sub(own) {
                        Some(length) if own > 0 && self.ends_with_own(transaction, at, *key, values) => {
                            &values[..length]
                        }
                        _ => values,
                    };
                    let (reader, best) = &mut longest[number as usize];
                    if best.is_none_or(|best| best.len() < base.len()) {
                        (*reader, *best) = (txn as u32, Some(base));
                    }
                };
                match operation {
                    Operation::Read { key, found } => consider(key, found),
                    Operation::Scan { found, .. } => {
                        found.iter().for_each(|(key, found)| consider(key, found))
                    }
                    Operation::Append { .. } | Operation::Write { .. } => {}
                }
            }
        }
        for (number, (reader, order)) in longest.into_iter().enumerate() {
            let order = order.unwrap_or_default().to_vec();
            let writers = order.iter().enumerate().map(|(at, value)| {
                let Some(written) = self.written.get_mut(&(number as u32, *value)) else { return NONE };
                if !self.counts[written.txn as usize] {
                    return NONE;
                }
                if written.version == NONE {
                    written.version = at as u32 + 1;
                }
                written.txn
            });
            let writers: Vec<u32> = writers.collect();
            let key = &mut self.keys[number];
            (key.reader, key.order, key.writers) = (reader, order, writers);
        }
    }

    fn ends_with_own(
        &self,
        transaction: &crate::history::Transaction,
        at: usize,
        key: Key,
        values: &[Value],
    ) -> bool {
        let own = transaction.operations[..at].iter().rev().filter_map(|operation| match operation {
            Operation::Append { key: own, value } if *own == key => Some(value),
            _ => None,
        });
        let mut tail = values.iter().rev();
        own.into_iter().all(|own| tail.next() == Some(own))
    }

    /// Values of registers are versions; what a transaction wrote after a read follows what it read.
    fn order_registers(&mut self) {
        let committed = |versions: &Self, written: &Written| versions.counts[written.txn as usize];
        let mut values: Vec<(u32, u32, u32, Value)> = self
            .written
            .iter()
            .filter(|((key, _), written)| !self.keys[*key as usize].is_list && committed(self, written))
            .map(|((key, value), written)| (*key, written.txn, written.operation, *value))
            .collect();
        values.sort_unstable();
        for (key, txn, _, value) in values {
            let versions = &mut self.keys[key as usize];
            versions.order.push(value);
            versions.writers.push(txn);
            let version = versions.order.len() as u32;
            if let Some(written) = self.written.get_mut(&(key, value)) {
                written.version = version;
            }
        }
        for key in self.keys.iter_mut().filter(|key| !key.is_list) {
            key.after = vec![Vec::new(); key.order.len() + 1];
        }
        let mut seen = Vec::new();
        for txn in 0..self.history.transactions.len() {
            if !self.counts[txn] {
                continue;
            }
            seen.clear();
            self.resolve(txn, &mut seen, &mut Vec::new());
            let mut earlier: Vec<u32> = Vec::new();
            for (at, operation) in self.history.transactions[txn].operations.iter().enumerate() {
                let Operation::Write { key, value } = operation else { continue };
                let number = self.numbers[key];
                if earlier.contains(&number) {
                    continue;
                }
                earlier.push(number);
                let read = seen.iter().rev().find(|seen| seen.key == number && seen.operation < at as u32);
                if let (Some(read), Some(written)) = (read, self.written.get(&(number, *value))) {
                    self.keys[number as usize].after[read.version as usize].push(written.version);
                }
            }
        }
        for key in self.keys.iter_mut().filter(|key| !key.is_list) {
            key.finish_register();
        }
    }

    fn note_unread(&mut self) {
        let mut unread: Vec<(u32, u32)> = self
            .written
            .iter()
            .filter(|((key, _), written)| {
                written.version == NONE
                    && self.keys[*key as usize].is_list
                    && self.history.transactions[written.txn as usize].outcome == Outcome::Committed
            })
            .map(|((key, _), written)| (*key, written.txn))
            .collect();
        unread.sort_unstable();
        unread.dedup();
        for (key, txn) in unread {
            self.keys[key as usize].unread.push(txn);
        }
        for key in &mut self.keys {
            if key.unread.len() > UNREAD_MAX {
                key.unread.clear();
            }
        }
    }

    fn note_ends(&mut self) {
        let transactions = &self.history.transactions;
        let end = |txn: u32| match transactions.get(txn as usize) {
            Some(transaction) if transaction.outcome == Outcome::Committed => {
                transaction.times.map_or(u64::MAX, |(_, end)| end)
            }
            _ => u64::MAX,
        };
        for key in self.keys.iter_mut().filter(|key| key.is_list) {
            let mut earliest = key.unread.iter().map(|txn| end(*txn)).min().unwrap_or(u64::MAX);
            key.ends_after = vec![earliest; key.order.len() + 1];
            for at in (0..key.order.len()).rev() {
                earliest = earliest.min(end(key.writers[at]));
                key.ends_after[at] = earliest;
            }
        }
    }

    /// What a transaction read, without its own writes (I2); `unfit` gets the reads that fit no version.
    pub(crate) fn resolve(&self, txn: usize, seen: &mut Vec<Seen>, unfit: &mut Vec<Unfit>) {
        let operations = &self.history.transactions[txn].operations;
        for (at, operation) in operations.iter().enumerate() {
            match operation {
                Operation::Append { .. } | Operation::Write { .. } => {}
                Operation::Read { key, found } => {
                    let number = self.numbers[key];
                    self.resolve_one(operations, at, number, Some(found), seen, unfit);
                }
                Operation::Scan { first, end, found } => {
                    // A range may be all there is: look for each key by halving, not one by one.
                    let mut there: Vec<(Key, &Found)> =
                        found.iter().map(|(key, found)| (*key, found)).collect();
                    there.sort_unstable_by_key(|(key, _)| *key);
                    let from = self.sorted.partition_point(|(key, _)| key < first);
                    for (key, number) in self.sorted[from..].iter().take_while(|(key, _)| key < end) {
                        let place = there.binary_search_by_key(key, |(own, _)| *own);
                        let found = place.ok().map(|place| there[place].1);
                        self.resolve_one(operations, at, *number, found, seen, unfit);
                    }
                    for (key, _) in found.iter().filter(|(key, _)| !(first..end).contains(&key)) {
                        unfit.push(Unfit::Internal { operation: at as u32, key: self.numbers[key] });
                    }
                }
            }
        }
    }

    fn resolve_one(
        &self,
        operations: &[Operation],
        at: usize,
        number: u32,
        found: Option<&Found>,
        seen: &mut Vec<Seen>,
        unfit: &mut Vec<Unfit>,
    ) {
        let key = &self.keys[number as usize];
        let operation = at as u32;
        let phantom = found.is_none();
        match found {
            Some(Found::Register(value)) => {
                self.resolve_register(operations, at, number, *value, seen, unfit)
            }
            None if !key.is_list => {
                let before = seen.len();
                self.resolve_register(operations, at, number, None, seen, unfit);
                seen[before..].iter_mut().for_each(|seen| seen.phantom = true);
            }
            Some(Found::List(_)) | None => {
                let values = match found {
                    Some(Found::List(values)) => &values[..],
                    _ => &[],
                };
                let own = own_values(operations, key.key);
                let before = own.iter().filter(|(own, _)| *own < at).count();
                let base = values.len().checked_sub(before).map(|length| values.split_at(length));
                let base = base.filter(|(_, tail)| tail.iter().eq(own[..before].iter().map(|(_, own)| own)));
                let Some((base, _)) = base.filter(|(base, _)| own.iter().all(|(_, own)| !base.contains(own)))
                else {
                    unfit.push(Unfit::Internal { operation, key: number });
                    return;
                };
                if !key.order.starts_with(base) {
                    unfit.push(Unfit::Incompatible { operation, key: number });
                    return;
                }
                seen.push(Seen { operation, key: number, version: base.len() as u32, phantom });
            }
        }
    }

    fn resolve_register(
        &self,
        operations: &[Operation],
        at: usize,
        number: u32,
        value: Option<Value>,
        seen: &mut Vec<Seen>,
        unfit: &mut Vec<Unfit>,
    ) {
        let operation = at as u32;
        let key = self.keys[number as usize].key;
        let own = operations[..at].iter().rev().find_map(|operation| match operation {
            Operation::Write { key: own, value } if *own == key => Some(*value),
            _ => None,
        });
        if own.is_some() {
            if own != value {
                unfit.push(Unfit::Internal { operation, key: number });
            }
            return;
        }
        let version = match value {
            None => 0,
            Some(value) => match self.written.get(&(number, value)) {
                Some(written) if written.version != NONE => written.version,
                _ => {
                    unfit.push(Unfit::Register { operation, key: number, value });
                    return;
                }
            },
        };
        seen.push(Seen { operation, key: number, version, phantom: false });
    }

    /// Where a value was written.
    pub(crate) fn written(&self, key: u32, value: Value) -> Option<&Written> {
        self.written.get(&(key, value))
    }

    /// The writes of a transaction to a key, by version.
    pub(crate) fn versions_by(&self, txn: u32, key: u32) -> impl Iterator<Item = &Written> {
        let name = self.keys[key as usize].key;
        self.history.transactions[txn as usize].operations.iter().filter_map(move |operation| match operation
        {
            Operation::Append { key: own, value } | Operation::Write { key: own, value } if *own == name => {
                self.written.get(&(key, *value))
            }
            _ => None,
        })
    }

    /// The earliest acknowledgement among the writes behind a version of a list.
    pub(crate) fn end_after(&self, seen: &Seen) -> u64 {
        self.keys[seen.key as usize].ends_after.get(seen.version as usize).copied().unwrap_or(u64::MAX)
    }
}

impl KeyVersions {
    /// Who made a version; `None` for the first one and for what aborted transactions and nobody made.
    pub(crate) fn writer(&self, version: u32) -> Option<u32> {
        let writer = *self.writers.get((version as usize).checked_sub(1)?)?;
        (writer != NONE).then_some(writer)
    }

    /// Who wrote next after a version, other than its own writer: the ends of anti-dependencies.
    pub(crate) fn next_writers(&self, version: u32, mut to: impl FnMut(u32)) {
        let own = self.writer(version).unwrap_or(NONE);
        if !self.is_list {
            if self.cyclic.is_none() {
                for next in &self.after[version as usize] {
                    self.writer(*next).filter(|next| *next != own).into_iter().for_each(&mut to);
                }
            }
            return;
        }
        let later = self.writers.get(version as usize..).unwrap_or_default();
        match later.iter().find(|writer| **writer != NONE && **writer != own) {
            Some(next) => to(*next),
            None => self.unread.iter().filter(|unread| **unread != own).for_each(|next| to(*next)),
        }
    }

    /// Whether a version of this key certainly comes after another.
    pub(crate) fn is_after(&self, later: u32, version: u32) -> bool {
        match self.is_list {
            // What nobody read is behind everything that was read.
            true => later == NONE || later > version,
            false => self.cyclic.is_none() && self.after[version as usize].contains(&later),
        }
    }

    /// Write dependencies: pairs of writers that follow each other.
    pub(crate) fn write_pairs(&self, mut pair: impl FnMut(u32, u32)) {
        if !self.is_list {
            for version in 1..=self.order.len() as u32 {
                if let Some(writer) = self.writer(version) {
                    self.next_writers(version, |next| pair(writer, next));
                }
            }
            return;
        }
        let mut last = None;
        for writer in self.writers.iter().copied().filter(|writer| *writer != NONE) {
            if let Some(last) = last.filter(|last| *last != writer) {
                pair(last, writer);
            }
            last = Some(writer);
        }
        if let Some(last) = last {
            self.unread.iter().filter(|next| **next != last).for_each(|next| pair(last, *next));
        }
    }

    /// The first version precedes all that follows nothing else; circles are noted.
    fn finish_register(&mut self) {
        for after in &mut self.after {
            after.sort_unstable();
            after.dedup();
        }
        let mut before = vec![0usize; self.order.len() + 1];
        self.after.iter().flatten().for_each(|next| before[*next as usize] += 1);
        let orphans = (1..before.len()).filter(|version| before[*version] == 0);
        let orphans: Vec<u32> = orphans.map(|version| version as u32).collect();
        for orphan in orphans {
            self.after[0].push(orphan);
            before[orphan as usize] += 1;
        }
        let mut open: Vec<usize> = (0..before.len()).filter(|version| before[*version] == 0).collect();
        while let Some(version) = open.pop() {
            for next in &self.after[version] {
                before[*next as usize] -= 1;
                if before[*next as usize] == 0 {
                    open.push(*next as usize);
                }
            }
        }
        let circle = (1..before.len()).filter(|version| before[*version] > 0);
        let circle: Vec<Value> = circle.map(|version| self.order[version - 1]).collect();
        self.cyclic = (!circle.is_empty()).then_some(circle);
    }
}

fn own_values(operations: &[Operation], key: Key) -> Vec<(usize, Value)> {
    let appends = operations.iter().enumerate().filter_map(|(at, operation)| match operation {
        Operation::Append { key: own, value } if *own == key => Some((at, *value)),
        _ => None,
    });
    appends.collect()
}

fn own_appends(operations: &[Operation], key: Key) -> usize {
    let own = |operation: &&Operation| matches!(operation, Operation::Append { key: own, .. } if *own == key);
    operations.iter().filter(own).count()
}
