//! Cycles by class: which there are at all is decided exactly, by components; of each component one or two short
//! cycles are shown.
//!
//! - I1: a class is reported if and only if the graph has a cycle that no weaker class of the same component explains.
//! - I2: what costs more than linear time (naming) has a budget; what it leaves unnamed is still reported.

use std::collections::{HashSet, VecDeque};

use crate::anomaly::AnomalyKind;
use crate::components::{Part, components};
use crate::graph::{ANTI, Edge, Graph, Kinds, ORDER, PREDICATE_RW, RW, WR, WW};
use crate::versions::NONE;

/// Edges of one component that cycles are sought through.
const TRIES_MAX: usize = 64;
/// States that all searches together may visit.
const VISITS_MAX: usize = 200_000_000;

/// A cycle: edges with where they come from.
#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    pub(crate) kind: AnomalyKind,
    pub(crate) ordered: bool,
    pub(crate) edges: Vec<(u32, Edge)>,
}

/// All classes of cycles of a graph, a few of each component.
pub(crate) fn cycles(graph: &Graph) -> Vec<Cycle> {
    let whole = Part { graph, kinds: WW | WR | ANTI | ORDER, double: false, within: None };
    let all = components(&whole);
    if all.members.is_empty() {
        return Vec::new();
    }
    let mut search = Search::new(graph);
    let mut found = Vec::new();
    for order in [0, ORDER] {
        // What needs the order is only of interest where nothing of the class was found without.
        let before = found.len();
        for class in [Class::Write, Class::Read, Class::Apart, Class::Any] {
            search.class(class, order, &all.of, &mut found);
        }
        if order == 0 {
            search.explained = explained(&all.of, &found[before..]);
        }
    }
    found
}

/// The classes, from the worst on: each is sought among more edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    /// Only writes: G0.
    Write,
    /// With a read dependency: G1c.
    Read,
    /// Anti-dependencies, no two of them adjacent: what snapshot isolation forbids.
    Apart,
    /// Anything: what serializability forbids.
    Any,
}

impl Class {
    fn of(kind: AnomalyKind) -> Class {
        match kind {
            AnomalyKind::G0 => Class::Write,
            AnomalyKind::G1c => Class::Read,
            AnomalyKind::G2 | AnomalyKind::G2Item => Class::Any,
            _ => Class::Apart,
        }
    }

    /// What to call a component whose cycles are too long to be looked for.
    fn worst(self) -> AnomalyKind {
        match self {
            Class::Write => AnomalyKind::G0,
            Class::Read => AnomalyKind::G1c,
            Class::Apart => AnomalyKind::GNonadjacent,
            Class::Any => AnomalyKind::G2,
        }
    }

    fn kinds(self) -> Kinds {
        match self {
            Class::Write => WW,
            Class::Read => WW | WR,
            Class::Apart | Class::Any => WW | WR | ANTI,
        }
    }
}

/// By component of the whole: the classes that have a cycle without the order of time.
fn explained(whole: &[u32], cycles: &[Cycle]) -> HashSet<(u32, Class)> {
    let of = |cycle: &Cycle| whole[cycle.edges[0].0 as usize];
    cycles.iter().map(|cycle| (of(cycle), Class::of(cycle.kind))).collect()
}

struct Search<'g> {
    graph: &'g Graph,
    /// The edge by which each state was reached, and when.
    reached: Vec<(u32, u32, u32)>,
    round: u32,
    visits: usize,
    explained: HashSet<(u32, Class)>,
}

impl<'g> Search<'g> {
    fn new(graph: &'g Graph) -> Search<'g> {
        let reached = vec![(0, NONE, 0); graph.nodes() * 2];
        Search { graph, reached, round: 0, visits: 0, explained: HashSet::new() }
    }

    /// Reports the cycles of a class within the components of the whole.
    fn class(&mut self, class: Class, order: Kinds, whole: &[u32], found: &mut Vec<Cycle>) {
        let kinds = class.kinds() | order;
        let part = Part { graph: self.graph, kinds, double: class == Class::Apart, within: Some(whole) };
        let parts = components(&part);
        for (number, members) in parts.members.iter().enumerate() {
            let home = whole[part.node(members[0]) as usize];
            if order != 0 && self.explained.contains(&(home, class)) {
                continue;
            }
            // Edges that make a cycle one of this class, each within the component.
            let through = match class {
                Class::Write => WW,
                Class::Read => WR,
                Class::Apart | Class::Any => ANTI,
            };
            let through = if class == Class::Write && order != 0 { order } else { through };
            let inside = |state: u32, edge: &Edge| {
                edge.kind & through != 0
                    && part.follow(state, edge).is_some_and(|to| parts.of[to as usize] == number as u32)
            };
            let mut edges: Vec<(u32, Edge)> = Vec::new();
            for state in members {
                let from = part.graph.from(part.node(*state));
                edges.extend(from.iter().filter(|edge| inside(*state, edge)).map(|edge| (*state, *edge)));
                if edges.len() > TRIES_MAX * 64 {
                    break;
                }
            }
            self.name(class, order, &part, &edges, found);
        }
    }

    /// Finds short cycles through some of the edges.
    fn name(
        &mut self,
        class: Class,
        order: Kinds,
        part: &Part<'_>,
        edges: &[(u32, Edge)],
        found: &mut Vec<Cycle>,
    ) {
        let mut named: Vec<AnomalyKind> = Vec::new();
        let mut fallback = None;
        // Evenly over the component, phantoms first: they are fewer.
        let (phantoms, items): (Vec<_>, Vec<_>) =
            edges.iter().copied().partition(|(_, e): &(u32, Edge)| e.kind == PREDICATE_RW);
        for some in [phantoms, items] {
            let step = some.len().div_ceil(TRIES_MAX).max(1);
            for (state, edge) in some.into_iter().step_by(step) {
                for cycle in self.through(class, order, part, state, &edge) {
                    // A cycle of another class, or without the order, is reported by its own search.
                    let (own, ordered) = (Class::of(cycle.kind) == class, cycle.ordered == (order != 0));
                    if !own || !ordered {
                        continue;
                    }
                    if cycle.kind == AnomalyKind::GNonadjacent || cycle.kind == AnomalyKind::LongFork {
                        fallback.get_or_insert(cycle);
                    } else if !named.contains(&cycle.kind) {
                        named.push(cycle.kind);
                        found.push(cycle);
                    }
                }
            }
        }
        if named.is_empty() && fallback.is_none() && self.visits > VISITS_MAX {
            fallback = edges.first().map(|(state, edge)| Cycle {
                kind: class.worst(),
                ordered: order != 0,
                edges: vec![(part.node(*state), *edge)],
            });
        }
        if named.is_empty() {
            found.extend(fallback);
        }
    }

    /// Cycles through one edge: as few anti-dependencies as can be, and the shortest at all.
    fn through(
        &mut self,
        class: Class,
        order: Kinds,
        part: &Part<'_>,
        state: u32,
        edge: &Edge,
    ) -> Vec<Cycle> {
        let mut found = Vec::new();
        let from = part.node(state);
        let mut close = |search: &mut Self, kinds: Kinds, double: bool| {
            let part = Part { kinds, double, ..*part };
            if let Some(path) = search.shortest(&part, part.state(edge.to, edge.kind), from) {
                let edges: Vec<(u32, Edge)> = std::iter::once((from, *edge)).chain(path).collect();
                found.push(classified(edges));
            }
        };
        match class {
            Class::Write => close(self, WW | order, false),
            Class::Read => close(self, WW | WR | order, false),
            Class::Apart => {
                close(self, WW | WR | order, false);
                close(self, WW | WR | ANTI | order, true);
            }
            Class::Any => {
                if edge.kind == RW {
                    close(self, WW | WR | RW | order, false);
                }
                close(self, WW | WR | ANTI | order, false);
            }
        }
        found
    }

    /// The shortest path from a state to a node, by breadth; `None` also when the budget is spent (I2).
    fn shortest(&mut self, part: &Part<'_>, from: u32, to: u32) -> Option<Vec<(u32, Edge)>> {
        self.round += 1;
        let mut queue = VecDeque::from([from]);
        self.reached[from as usize] = (self.round, NONE, 0);
        // With no two adjacent anti-dependencies the first one must not follow one either.
        let target = part.state(to, 0);
        while let Some(state) = queue.pop_front() {
            if state == target {
                return Some(self.path(part, from, state));
            }
            self.visits += 1;
            if self.visits > VISITS_MAX {
                return None;
            }
            for (at, edge) in part.graph.from(part.node(state)).iter().enumerate() {
                let Some(next) = part.follow(state, edge) else { continue };
                if self.reached[next as usize].0 != self.round {
                    self.reached[next as usize] = (self.round, state, at as u32);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    fn path(&self, part: &Part<'_>, from: u32, to: u32) -> Vec<(u32, Edge)> {
        let mut edges = Vec::new();
        let mut state = to;
        while state != from {
            let (_, before, at) = self.reached[state as usize];
            let node = part.node(before);
            edges.push((node, part.graph.from(node)[at as usize]));
            state = before;
        }
        edges.reverse();
        edges
    }
}

/// Names a cycle by its edges.
fn classified(edges: Vec<(u32, Edge)>) -> Cycle {
    let anti = |at: usize| edges[at % edges.len()].1.kind & ANTI != 0;
    let count = (0..edges.len()).filter(|at| anti(*at)).count();
    let adjacent = (0..edges.len()).any(|at| anti(at) && anti(at + 1));
    let phantom = edges.iter().any(|(_, edge)| edge.kind == PREDICATE_RW);
    let ordered = edges.iter().any(|(_, edge)| edge.kind & ORDER != 0);
    let reads = edges.iter().any(|(_, edge)| edge.kind == WR);
    let kind = match count {
        0 if reads => AnomalyKind::G1c,
        0 => AnomalyKind::G0,
        1 if phantom => AnomalyKind::Pmp,
        1 => AnomalyKind::GSingle,
        2 if !adjacent && edges.len() == 4 && reads => AnomalyKind::LongFork,
        _ if !adjacent => AnomalyKind::GNonadjacent,
        _ if phantom => AnomalyKind::G2,
        _ => AnomalyKind::G2Item,
    };
    Cycle { kind, ordered, edges }
}
