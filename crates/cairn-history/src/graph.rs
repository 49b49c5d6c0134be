//! The dependency graph: transactions, and behind them moments of time, with the edges that the reads prove.
//!
//! Real-time order has a square number of pairs; it is kept linear by a chain of moments. A transaction leads to the
//! first moment at or after its end, each moment to the next, and the last moment before a begin to its transaction.
//!
//! ```text
//!   T1 ─ends─▶ moment ─▶ moment ─begins─▶ T5       T1 was acknowledged before T5 began
//! ```

use crate::history::{History, Outcome};
use crate::versions::{NONE, Seen, Versions};

/// Kinds of edges, as bits.
pub(crate) type Kinds = u8;
/// Overwrote.
pub(crate) const WW: Kinds = 1;
/// Was read by.
pub(crate) const WR: Kinds = 2;
/// Read what the other overwrote.
pub(crate) const RW: Kinds = 4;
/// Read a range in which the other then put a key.
pub(crate) const PREDICATE_RW: Kinds = 8;
/// The same process did it later.
pub(crate) const PROCESS: Kinds = 16;
/// To, between and from moments.
pub(crate) const TIME: Kinds = 32;

/// Any anti-dependency.
pub(crate) const ANTI: Kinds = RW | PREDICATE_RW;
/// Any order that the data do not prove.
pub(crate) const ORDER: Kinds = PROCESS | TIME;

/// Reads of a transaction that are looked at for the same one again.
const RECENT: usize = 32;

/// One edge, without where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) to: u32,
    /// Index of the key that proves it; [`NONE`] for orders.
    pub(crate) key: u32,
    pub(crate) kind: Kinds,
}

/// The edges, by where they come from.
pub(crate) struct Graph {
    starts: Vec<u32>,
    edges: Vec<Edge>,
    /// Nodes from here on are moments.
    pub(crate) transactions: u32,
}

impl Graph {
    /// The graph of all that counts; `look` gets each transaction with its reads.
    pub(crate) fn of(versions: &Versions<'_>, mut look: impl FnMut(usize, &[Seen])) -> Graph {
        let mut pairs: Vec<(u32, Edge)> = Vec::new();
        for (number, key) in versions.keys.iter().enumerate() {
            let number = number as u32;
            key.write_pairs(|from, to| pairs.push((from, Edge { to, key: number, kind: WW })));
        }
        let mut seen = Vec::new();
        for txn in (0..versions.counts.len()).filter(|txn| versions.counts[*txn]) {
            seen.clear();
            versions.resolve(txn, &mut seen, &mut Vec::new());
            let own = txn as u32;
            for (at, read) in seen.iter().enumerate() {
                let again = |other: &Seen| (other.key, other.version) == (read.key, read.version);
                // Read again and again: one edge will do, but looking for it must not cost the square.
                let recent = &seen[at.saturating_sub(RECENT)..at];
                if recent.iter().any(|other| again(other) && other.phantom == read.phantom) {
                    continue;
                }
                let key = &versions.keys[read.key as usize];
                if let Some(writer) = key.writer(read.version).filter(|writer| *writer != own) {
                    pairs.push((writer, Edge { to: own, key: read.key, kind: WR }));
                }
                let kind = if read.phantom { PREDICATE_RW } else { RW };
                key.next_writers(read.version, |next| {
                    if next != own {
                        pairs.push((own, Edge { to: next, key: read.key, kind }));
                    }
                });
            }
            look(txn, &seen);
        }
        let nodes = add_orders(versions.history, &versions.counts, &mut pairs);
        Graph::packed(nodes, versions.counts.len() as u32, &pairs)
    }

    fn packed(nodes: usize, transactions: u32, pairs: &[(u32, Edge)]) -> Graph {
        let mut starts = vec![0u32; nodes + 1];
        for (from, _) in pairs {
            starts[*from as usize + 1] += 1;
        }
        for at in 0..nodes {
            starts[at + 1] += starts[at];
        }
        let mut next = starts.clone();
        let mut edges = vec![Edge { to: NONE, key: NONE, kind: 0 }; pairs.len()];
        for (from, edge) in pairs {
            edges[next[*from as usize] as usize] = *edge;
            next[*from as usize] += 1;
        }
        Graph { starts, edges, transactions }
    }

    /// Transactions and moments.
    pub(crate) fn nodes(&self) -> usize {
        self.starts.len() - 1
    }

    /// All edges.
    pub(crate) fn len(&self) -> usize {
        self.edges.len()
    }

    /// The edges from a node.
    pub(crate) fn from(&self, node: u32) -> &[Edge] {
        let (start, end) = (self.starts[node as usize], self.starts[node as usize + 1]);
        &self.edges[start as usize..end as usize]
    }
}

/// Adds the order of processes and of time; gives the number of nodes.
fn add_orders(history: &History, counts: &[bool], pairs: &mut Vec<(u32, Edge)>) -> usize {
    let mut last: Vec<(u32, u32)> = Vec::new();
    let mut events: Vec<(u64, bool, u32)> = Vec::new();
    for (at, txn) in history.transactions.iter().enumerate().filter(|(at, _)| counts[*at]) {
        let own = at as u32;
        match last.binary_search_by_key(&txn.process, |(process, _)| *process) {
            Ok(found) => {
                let before = std::mem::replace(&mut last[found].1, own);
                pairs.push((before, Edge { to: own, key: NONE, kind: PROCESS }));
            }
            Err(place) => last.insert(place, (txn.process, own)),
        }
        if let Some((begin, end)) = txn.times {
            events.push((begin, false, own));
            // Nobody knows when an unknown outcome came about.
            if txn.outcome == Outcome::Committed {
                events.push((end, true, own));
            }
        }
    }
    // Begins before ends of the same moment: only what is surely earlier counts.
    events.sort_unstable();
    let mut nodes = counts.len() as u32;
    let (mut latest, mut is_open) = (None, false);
    let mut add = |from, to| pairs.push((from, Edge { to, key: NONE, kind: TIME }));
    for (_, is_end, txn) in events {
        match (is_end, latest) {
            (true, Some(moment)) if is_open => add(txn, moment),
            (true, before) => {
                if let Some(before) = before {
                    add(before, nodes);
                }
                add(txn, nodes);
                (latest, is_open) = (Some(nodes), true);
                nodes += 1;
            }
            (false, Some(moment)) => {
                add(moment, txn);
                is_open = false;
            }
            (false, None) => {}
        }
    }
    nodes as usize
}
