//! Cycles and other anomalies in words, with the operations that somebody must look at.

use std::fmt::Write as _;

use crate::anomaly::Anomaly;
use crate::cycles::Cycle;
use crate::graph::{Edge, Graph, ORDER, PREDICATE_RW, PROCESS, RW, WR, WW};
use crate::history::Operation;
use crate::local::Local;
use crate::versions::{Seen, Versions};

/// Operations of a transaction that are shown where there are more.
const OPERATIONS_SHOWN: usize = 24;

/// A cycle with its reasons.
pub(crate) fn cycle(versions: &Versions<'_>, graph: &Graph, cycle: &Cycle) -> Anomaly {
    let edges = without_moments(graph, &cycle.edges);
    let mut text = String::new();
    let Some((first, _)) = edges.first() else { unreachable!("a cycle has edges") };
    // Writing to a string cannot fail.
    let _ = write!(text, "T{}", first + 1);
    for (_, edge) in &edges {
        let _ = write!(text, " -{}-> T{}", label(versions, edge), edge.to + 1);
    }
    for (from, edge) in &edges {
        let _ = write!(text, "\n    {}", reason(versions, *from, edge));
    }
    let transactions: Vec<u32> = edges.iter().map(|(from, _)| *from).collect();
    show(versions, &transactions, &mut text);
    let transactions = transactions.into_iter().map(|txn| txn as usize).collect();
    Anomaly { kind: cycle.kind, ordered: cycle.ordered, transactions, explanation: text }
}

/// An anomaly without a cycle.
pub(crate) fn local(versions: &Versions<'_>, local: &Local) -> Anomaly {
    let names: Vec<String> = local.transactions.iter().map(|txn| format!("T{}", txn + 1)).collect();
    let mut text = format!("{} on key {}: {}", names.join(", "), local.key, local.what);
    show(versions, &local.transactions, &mut text);
    let transactions = local.transactions.iter().map(|txn| *txn as usize).collect();
    Anomaly { kind: local.kind, ordered: false, transactions, explanation: text }
}

/// Each way over moments becomes one edge; the cycle then begins with a transaction.
fn without_moments(graph: &Graph, edges: &[(u32, Edge)]) -> Vec<(u32, Edge)> {
    let start = edges.iter().position(|(from, _)| *from < graph.transactions).unwrap_or(0);
    let mut plain: Vec<(u32, Edge)> = Vec::new();
    for at in 0..edges.len() {
        let (from, edge) = edges[(start + at) % edges.len()];
        match plain.last_mut() {
            Some((_, last)) if last.to >= graph.transactions => last.to = edge.to,
            _ => plain.push((from, edge)),
        }
    }
    plain
}

fn label(versions: &Versions<'_>, edge: &Edge) -> String {
    let key = |name: &str| match versions.keys.get(edge.key as usize) {
        Some(key) => format!("{name}(k {})", key.key),
        None => name.to_string(),
    };
    match edge.kind {
        WW => key("ww"),
        WR => key("wr"),
        RW => key("rw"),
        PREDICATE_RW => key("rw-predicate"),
        PROCESS => "process".to_string(),
        _ => "time".to_string(),
    }
}

fn reason(versions: &Versions<'_>, from: u32, edge: &Edge) -> String {
    let (a, b) = (from + 1, edge.to + 1);
    if edge.kind & ORDER != 0 {
        return match edge.kind {
            PROCESS => format!("T{a} was done before T{b} began, by the same process"),
            _ => format!("T{a} was acknowledged before T{b} began"),
        };
    }
    let key = &versions.keys[edge.key as usize];
    let name = key.key;
    let wrote = |txn: u32| {
        let operations = &versions.history.transactions[txn as usize].operations;
        let values = operations.iter().filter_map(|operation| match operation {
            Operation::Append { key, value } | Operation::Write { key, value } if *key == name => {
                Some(value.to_string())
            }
            _ => None,
        });
        values.collect::<Vec<_>>().join(", ")
    };
    let mut seen: Vec<Seen> = Vec::new();
    let reader = if edge.kind == WR { edge.to } else { from };
    versions.resolve(reader as usize, &mut seen, &mut Vec::new());
    let fits = |seen: &&Seen| {
        let mut is_next = false;
        if seen.key == edge.key {
            key.next_writers(seen.version, |next| is_next |= next == edge.to);
        }
        match edge.kind {
            WR => seen.key == edge.key && key.writer(seen.version) == Some(from),
            _ => is_next && seen.phantom == (edge.kind == PREDICATE_RW),
        }
    };
    let operation = seen.iter().find(fits).map_or(0, |seen| seen.operation + 1);
    match edge.kind {
        WW => format!("T{a} wrote {} to key {name}, next wrote T{b}: {}", wrote(from), wrote(edge.to)),
        WR => format!("T{a} wrote {} to key {name}, T{b} read it (operation {operation})", wrote(from)),
        PREDICATE_RW => format!(
            "T{a} read a range without key {name} (operation {operation}), then T{b} wrote {} there",
            wrote(edge.to)
        ),
        _ => format!(
            "T{a} read key {name} (operation {operation}) without the next write, T{b}: {}",
            wrote(edge.to)
        ),
    }
}

/// The transactions themselves.
fn show(versions: &Versions<'_>, transactions: &[u32], text: &mut String) {
    let mut shown: Vec<u32> = transactions.to_vec();
    shown.sort_unstable();
    shown.dedup();
    for txn in shown {
        let mut transaction = versions.history.transactions[txn as usize].clone();
        let more = transaction.operations.len().saturating_sub(OPERATIONS_SHOWN);
        transaction.operations.truncate(OPERATIONS_SHOWN);
        let more = if more > 0 { format!(" and {more} more operations") } else { String::new() };
        let _ = write!(text, "\n  T{} {transaction}{more}", txn + 1);
    }
}
