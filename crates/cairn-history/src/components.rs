//! Strongly connected components (Tarjan, 1972, without recursion) of a part of the graph, and of its double.
//!
//! The double of the graph answers whether there is a cycle in which no two anti-dependencies are adjacent, which is
//! what snapshot isolation forbids: each node is there twice, as reached by an anti-dependency and as reached
//! otherwise, and an anti-dependency leads on only from the latter. A closed walk there is one in the graph, and where
//! it meets itself one of its two halves is again without adjacent anti-dependencies.

use crate::graph::{ANTI, Edge, Graph, Kinds};
use crate::versions::NONE;

/// A part of the graph.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) graph: &'a Graph,
    /// The edges that count.
    pub(crate) kinds: Kinds,
    /// Whether anti-dependencies must not be adjacent.
    pub(crate) double: bool,
    /// Only edges within one component of an earlier search; [`NONE`] is outside of all.
    pub(crate) within: Option<&'a [u32]>,
}

impl Part<'_> {
    fn width(&self) -> u32 {
        1 + u32::from(self.double)
    }

    /// The state of a node as reached by an edge.
    pub(crate) fn state(&self, node: u32, by: Kinds) -> u32 {
        node * self.width() + u32::from(self.double && by & ANTI != 0)
    }

    /// The node of a state.
    pub(crate) fn node(&self, state: u32) -> u32 {
        state / self.width()
    }

    /// Where an edge leads from a state, if it counts there.
    pub(crate) fn follow(&self, state: u32, edge: &Edge) -> Option<u32> {
        if edge.kind & self.kinds == 0 {
            return None;
        }
        if self.double && edge.kind & ANTI != 0 && state % 2 == 1 {
            return None;
        }
        if let Some(within) = self.within {
            let own = within[self.node(state) as usize];
            if own == NONE || own != within[edge.to as usize] {
                return None;
            }
        }
        Some(self.state(edge.to, edge.kind))
    }

    /// How many states there are.
    pub(crate) fn states(&self) -> usize {
        self.graph.nodes() * self.width() as usize
    }
}

/// The components of more than one state.
pub(crate) struct Components {
    /// The component of each state; [`NONE`] for a state alone.
    pub(crate) of: Vec<u32>,
    /// The states of each component.
    pub(crate) members: Vec<Vec<u32>>,
}

/// Finds the components of a part.
pub(crate) fn components(part: &Part<'_>) -> Components {
    let states = part.states();
    let mut found = Components { of: vec![NONE; states], members: Vec::new() };
    // 0: not seen. `low` is the least order number that is reached.
    let mut order = vec![0u32; states];
    let mut low = vec![0u32; states];
    let mut waiting: Vec<u32> = Vec::new();
    let mut is_waiting = vec![false; states];
    let mut path: Vec<(u32, u32)> = Vec::new();
    let mut next_order = 1;
    for root in 0..states as u32 {
        let outside = part.within.is_some_and(|within| within[part.node(root) as usize] == NONE);
        if order[root as usize] != 0 || outside {
            continue;
        }
        path.push((root, 0));
        while let Some((state, at)) = path.last_mut() {
            let own = *state as usize;
            if *at == 0 && order[own] == 0 {
                (order[own], low[own]) = (next_order, next_order);
                next_order += 1;
                waiting.push(*state);
                is_waiting[own] = true;
            }
            let edges = part.graph.from(part.node(*state));
            let mut deeper = None;
            while let Some(edge) = edges.get(*at as usize) {
                *at += 1;
                let Some(to) = part.follow(*state, edge) else { continue };
                if order[to as usize] == 0 {
                    deeper = Some(to);
                    break;
                }
                if is_waiting[to as usize] {
                    low[own] = low[own].min(order[to as usize]);
                }
            }
            if let Some(to) = deeper {
                path.push((to, 0));
                continue;
            }
            let done = *state;
            path.pop();
            if let Some((parent, _)) = path.last() {
                low[*parent as usize] = low[*parent as usize].min(low[own]);
            }
            if low[own] == order[own] {
                close(&mut found, &mut waiting, &mut is_waiting, done);
            }
        }
    }
    found
}

/// Takes a component off the waiting states.
fn close(found: &mut Components, waiting: &mut Vec<u32>, is_waiting: &mut [bool], root: u32) {
    let from = waiting.iter().rposition(|state| *state == root).unwrap_or(0);
    let members = waiting.split_off(from);
    members.iter().for_each(|state| is_waiting[*state as usize] = false);
    if members.len() > 1 {
        let number = found.members.len() as u32;
        members.iter().for_each(|state| found.of[*state as usize] = number);
        found.members.push(members);
    }
}
