//! The check as a whole, and what it says.

use std::collections::BTreeMap;
use std::fmt;

use crate::anomaly::{Anomaly, AnomalyKind, Level};
use crate::cycles::cycles;
use crate::explain;
use crate::graph::Graph;
use crate::history::{History, Key, Value};
use crate::local::Locals;
use crate::versions::Versions;

/// Anomalies of one kind that are explained; all are counted.
const EXPLAINED_MAX: usize = 4;

/// A history that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedHistory {
    /// A value must be written to a key once only, so that a read tells its writer.
    WrittenTwice {
        /// The key.
        key: Key,
        /// What was written to it again.
        value: Value,
    },
    /// A key is either a list or a register.
    ListAndRegister {
        /// The key.
        key: Key,
    },
}

impl fmt::Display for MalformedHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MalformedHistory::WrittenTwice { key, value } => {
                write!(f, "value {value} is written to key {key} twice")
            }
            MalformedHistory::ListAndRegister { key } => {
                write!(f, "key {key} is used as a list and as a register")
            }
        }
    }
}

impl std::error::Error for MalformedHistory {}

/// What a history says.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Transactions that count: committed, or of unknown outcome and seen.
    pub transactions: usize,
    /// Edges of the dependency graph, orders of time included.
    pub edges: usize,
    /// How often each anomaly was found; `true`: with a cycle that needs the order of time or of a process. Of
    /// cycles, one or two of each connected part are counted.
    pub counts: BTreeMap<(AnomalyKind, bool), usize>,
    /// The first few of each, explained.
    pub anomalies: Vec<Anomaly>,
}

/// Judges a history. Time and memory grow linearly with the operations and the values that were read (see the
/// decision record for figures), as long as the keys' lists stay short.
///
/// # Errors
/// When the history breaks the rule of unique values.
pub fn check(history: &History) -> Result<Verdict, MalformedHistory> {
    let versions = Versions::of(history)?;
    let mut locals = Locals::new(&versions);
    let graph = Graph::of(&versions, |txn, seen| locals.look_at(txn, seen));
    let (mut seen, mut unfit) = (Vec::new(), Vec::new());
    for txn in (0..versions.counts.len()).filter(|txn| versions.counts[*txn]) {
        seen.clear();
        unfit.clear();
        versions.resolve(txn, &mut seen, &mut unfit);
        locals.look_at_unfit(txn, &unfit);
    }
    let mut verdict = Verdict {
        transactions: versions.counts.iter().filter(|counts| **counts).count(),
        edges: graph.len(),
        ..Verdict::default()
    };
    for local in &locals.found {
        verdict.add(local.kind, false, || explain::local(&versions, local));
    }
    for cycle in cycles(&graph) {
        verdict.add(cycle.kind, cycle.ordered, || explain::cycle(&versions, &graph, &cycle));
    }
    Ok(verdict)
}

impl Verdict {
    fn add(&mut self, kind: AnomalyKind, ordered: bool, explain: impl FnOnce() -> Anomaly) {
        let count = self.counts.entry((kind, ordered)).or_default();
        *count += 1;
        if *count <= EXPLAINED_MAX {
            self.anomalies.push(explain());
        }
    }

    /// Whether nothing at all was found.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// Whether an anomaly was found, with or without the order of time.
    pub fn has(&self, kind: AnomalyKind) -> bool {
        self.counts.keys().any(|(found, _)| *found == kind)
    }

    /// Whether the history cannot have come about at a level.
    pub fn violates(&self, level: Level) -> bool {
        self.counts.keys().any(|(kind, ordered)| level.forbids(*kind, *ordered))
    }

    /// The levels that the history violates, the weakest first.
    pub fn violated(&self) -> Vec<Level> {
        Level::ALL.into_iter().filter(|level| self.violates(*level)).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} transactions, {} edges: ", self.transactions, self.edges)?;
        if self.is_clean() {
            return f.write_str("no anomaly");
        }
        let counts = self.counts.iter().map(|((kind, ordered), count)| {
            format!("{count} × {kind}{}", if *ordered { " in time" } else { "" })
        });
        f.write_str(&counts.collect::<Vec<_>>().join(", "))?;
        let levels: Vec<String> = self.violated().iter().map(Level::to_string).collect();
        write!(f, "\nviolates {}", levels.join(", "))?;
        self.anomalies.iter().try_for_each(|anomaly| write!(f, "\n\n{anomaly}"))
    }
}
