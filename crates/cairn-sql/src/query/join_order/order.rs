//! The cheapest order of a group of inner joins.
//!
//! Up to [`EXACT_MAX`] relations every order that joins only what conditions connect is looked at, by dynamic programming over
//! sets of relations (bushy ones too); above, the two whose join has the fewest rows are joined again and again. What
//! conditions do not connect is multiplied at the end.
//!
//! I1: how many rows a set of relations has when joined does not depend on the order in which it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_engine::catalog::IndexId;

use super::flatten::{Group, Leaf};
use crate::scan::access::FETCH_COST;
use crate::scan::narrow::{LIST_MAX, leads};
use crate::session::methods::Methods;
use crate::statistics::conditions::selectivity;
use crate::statistics::estimate::{Estimate, OPERATION, ROW, joined_share};

/// Relations of which all orders are looked at.
const EXACT_MAX: usize = 10;
/// A row that is found by its key, in rows of a scan in order.
pub(super) const KEY_COST: f64 = 5.0;

/// A way to join.
pub(super) enum Tree {
    /// A relation.
    Relation(usize),
    /// The first one is kept in memory, the second one read past it.
    Join(Box<Tree>, Box<Tree>),
}

/// Columns that are equal.
pub(super) struct Class {
    /// By relation: a column of it.
    pub(super) members: BTreeMap<usize, Vec<usize>>,
    relations: u64,
}

/// Relations, and what connects them.
pub(super) struct Graph {
    pub(super) classes: Vec<Class>,
    single: Vec<Set>,
    /// What each relation is connected with.
    neighbors: Vec<u64>,
    conditions: Vec<(u64, f64)>,
    lookups: Vec<Option<Lookup>>,
}

/// How a relation's rows can be found for values of another.
struct Lookup {
    /// Classes whose column leads a key or an index, and which.
    classes: Vec<(usize, IndexId)>,
    /// Rows of the table, of which the relation's are some.
    rows: f64,
    /// Whether a join may look them up itself, however many the values are.
    free: bool,
}

/// What joining two sets takes.
struct Work {
    cost: f64,
    /// The class and the index by which the second side is looked up.
    by: Option<(usize, IndexId)>,
}

/// A set of relations, joined.
#[derive(Clone, Default)]
struct Set {
    rows: f64,
    cost: f64,
    /// Distinct values of each class that has a column here; 0 elsewhere.
    distinct: Vec<f64>,
}

impl Graph {
    pub(super) fn new(group: &Group, estimates: &[Arc<Estimate>], methods: &Methods) -> Graph {
        let classes = classes(group);
        let column = |global: usize| {
            let relation = group.relation_of(global);
            estimates[relation].columns.get(global - group.relations[relation].first)
        };
        let count = group.relations.len();
        let single = (0..count).map(|relation| {
            let estimate = &estimates[relation];
            let distinct = |class: &Class| {
                let members = class.members.get(&relation).into_iter().flatten();
                let values = members.filter_map(|global| column(*global)).map(|c| c.distinct.max(1.0));
                values.fold(None, |least: Option<f64>, v| Some(least.map_or(v, |l| l.min(v)))).unwrap_or(0.0)
            };
            Set { rows: estimate.rows, cost: estimate.cost, distinct: classes.iter().map(distinct).collect() }
        });
        let mut neighbors = vec![0_u64; count];
        let mut connect = |relations: u64| {
            for relation in members(relations) {
                neighbors[relation] |= relations & !(1 << relation);
            }
        };
        classes.iter().for_each(|class| connect(class.relations));
        let mut all_columns = Vec::new();
        for estimate in estimates {
            all_columns.extend(estimate.columns.iter().cloned());
        }
        let conditions = group.conditions.iter().map(|condition| {
            if condition.relations.count_ones() == 2 {
                connect(condition.relations);
            }
            (condition.relations, selectivity(&condition.expr, &all_columns))
        });
        let conditions = conditions.collect();
        let lookups = group.relations.iter().enumerate().map(|(relation, of)| {
            let leaf = Leaf::of(&of.plan).filter(|_| methods.indexscan)?;
            let scan = leaf.table_scan()?;
            let index = |class: &Class| {
                let [column] = class.members.get(&relation)?.as_slice() else { return None };
                let place = scan.place_of_output(*leaf.columns.get(column - of.first)?)?;
                let exact = scan.table().live_column(place).ty.is_key_exact();
                leads(scan.table(), place).filter(|_| exact)
            };
            let serves = |(at, class): (usize, &Class)| Some((at, index(class)?));
            let classes: Vec<_> = classes.iter().enumerate().filter_map(serves).collect();
            let free = methods.nestloop && scan.can_look_up();
            (!classes.is_empty()).then(|| Lookup { classes, rows: scan.estimate().before, free })
        });
        let lookups = lookups.collect();
        Graph { single: single.collect(), neighbors, conditions, lookups, classes }
    }

    /// The cheapest way that was found.
    pub(super) fn best(&self) -> Tree {
        let mut parts: Vec<(u64, Set, Tree)> = self
            .components()
            .into_iter()
            .map(|relations| match relations.count_ones() as usize {
                count if count <= EXACT_MAX => self.exact(relations),
                _ => self.greedy(members(relations).map(|at| self.leaf(at)).collect()),
            })
            .collect();
        if parts.len() > 1 {
            parts = vec![self.greedy(parts)];
        }
        match parts.pop() {
            Some((_, _, tree)) => tree,
            None => Tree::Relation(0),
        }
    }

    fn leaf(&self, relation: usize) -> (u64, Set, Tree) {
        (1 << relation, self.single[relation].clone(), Tree::Relation(relation))
    }

    /// Sets of relations that conditions connect.
    fn components(&self) -> Vec<u64> {
        let mut left: u64 = (0..self.single.len()).map(|at| 1 << at).sum();
        let mut components = Vec::new();
        while left != 0 {
            let mut component = 1 << left.trailing_zeros();
            loop {
                let wider = component | self.around(component);
                if wider == component {
                    break;
                }
                component = wider;
            }
            components.push(component);
            left &= !component;
        }
        components
    }

    fn around(&self, relations: u64) -> u64 {
        members(relations).map(|relation| self.neighbors[relation]).fold(0, |a, b| a | b) & !relations
    }

    /// Two sets as one: rows and distinct values; the cost is another matter.
    fn joined(&self, a: (u64, &Set), b: (u64, &Set)) -> Set {
        let keys: Vec<(f64, f64)> =
            a.1.distinct
                .iter()
                .zip(&b.1.distinct)
                .filter(|(l, r)| **l > 0.0 && **r > 0.0)
                .map(|(l, r)| (*l, *r))
                .collect();
        let both = a.0 | b.0;
        let kept: f64 = self
            .conditions
            .iter()
            .filter(|(needs, _)| needs & !both == 0 && needs & !a.0 != 0 && needs & !b.0 != 0)
            .map(|(_, share)| share)
            .product();
        let rows = (a.1.rows * b.1.rows * joined_share(&keys, a.1.rows, b.1.rows) * kept).max(1.0);
        let distinct = a.1.distinct.iter().zip(&b.1.distinct).map(|(l, r)| match (*l > 0.0, *r > 0.0) {
            (true, true) => l.min(*r).min(rows),
            _ => l.max(*r).min(rows),
        });
        Set { rows, cost: 0.0, distinct: distinct.collect() }
    }

    /// What joining costs besides what its first side costs.
    fn work(&self, build: (u64, &Set), probe: (u64, &Set), rows: f64) -> Work {
        let keys = build.1.distinct.iter().zip(&probe.1.distinct).filter(|(l, r)| **l > 0.0 && **r > 0.0);
        if keys.count() == 0 {
            let cost = probe.1.cost + build.1.rows * probe.1.rows * OPERATION + rows * ROW;
            return Work { cost, by: None };
        }
        let kept = build.1.rows * (ROW + OPERATION);
        let mut work = Work { cost: kept + probe.1.cost + probe.1.rows * OPERATION + rows * ROW, by: None };
        let lookup = match probe.0.count_ones() {
            1 => self.lookups[probe.0.trailing_zeros() as usize].as_ref(),
            _ => None,
        };
        let Some(lookup) = lookup else { return work };
        for (class, index) in &lookup.classes {
            let (values, own) = (build.1.distinct[*class], probe.1.distinct[*class]);
            if values <= 0.0 {
                continue;
            }
            let found = values * lookup.rows / own.max(1.0);
            let narrows = values <= LIST_MAX as f64 && found <= lookup.rows / FETCH_COST;
            let each = if *index == 0 { KEY_COST } else { FETCH_COST };
            let cost = kept + found * (each * ROW + OPERATION) + rows * ROW;
            if (narrows || lookup.free) && cost < work.cost {
                work = Work { cost, by: (!narrows).then_some((*class, *index)) };
            }
        }
        work
    }

    /// The class and the index by which the second of two sides is looked up, if it is.
    pub(super) fn looked_up(&self, left: &Tree, right: &Tree) -> Option<(usize, IndexId)> {
        let (left, right) = (self.set(left), self.set(right));
        let rows = self.joined((left.0, &left.1), (right.0, &right.1)).rows;
        self.work((left.0, &left.1), (right.0, &right.1), rows).by
    }

    /// The cheaper of two ways to join two sets: which is first, and the cost.
    fn cheaper(&self, a: (u64, &Set), b: (u64, &Set), rows: f64) -> (bool, f64) {
        let first = a.1.cost + self.work(a, b, rows).cost;
        let second = b.1.cost + self.work(b, a, rows).cost;
        if second < first { (false, second) } else { (true, first) }
    }

    /// All orders of connected relations.
    fn exact(&self, relations: u64) -> (u64, Set, Tree) {
        let places: Vec<usize> = members(relations).collect();
        let count = places.len();
        let global =
            |local: usize| (0..count).filter(|at| local >> at & 1 == 1).map(|at| 1 << places[at]).sum();
        let masks: Vec<u64> = (0..1_usize << count).map(global).collect();
        let mut best: Vec<Option<(Set, usize)>> = vec![None; 1 << count];
        for local in 1..1_usize << count {
            if local.is_power_of_two() {
                best[local] = Some((self.single[places[local.trailing_zeros() as usize]].clone(), 0));
                continue;
            }
            // I1: rows by the one way of taking away its last relation that leaves a connected set.
            let without = |at: &usize| {
                let rest = local & !(1 << at);
                local >> at & 1 == 1 && best[rest].is_some() && self.neighbors[places[*at]] & masks[rest] != 0
            };
            let Some(last) = (0..count).rev().find(without) else { continue };
            let (rest, one) = (local & !(1 << last), 1_usize << last);
            let (Some((left, _)), Some((right, _))) = (&best[rest], &best[one]) else { continue };
            let mut set = self.joined((masks[rest], left), (masks[one], right));
            let (mut cost, mut split) = (f64::INFINITY, rest);
            // Each pair of halves once.
            let top = 1 << (usize::BITS - 1 - local.leading_zeros());
            let mut half = (local - 1) & local;
            while half != 0 {
                let other = local & !half;
                if half & top != 0
                    && let (Some((a, _)), Some((b, _))) = (&best[half], &best[other])
                    && self.around(masks[half]) & masks[other] != 0
                {
                    let (first, found) = self.cheaper((masks[half], a), (masks[other], b), set.rows);
                    if found < cost {
                        (cost, split) = (found, if first { half } else { other });
                    }
                }
                half = (half - 1) & local;
            }
            set.cost = cost;
            best[local] = Some((set, split));
        }
        fn tree(best: &[Option<(Set, usize)>], places: &[usize], local: usize) -> Tree {
            match &best[local] {
                Some((_, split)) if *split != 0 => Tree::Join(
                    Box::new(tree(best, places, *split)),
                    Box::new(tree(best, places, local & !*split)),
                ),
                _ => Tree::Relation(places[local.trailing_zeros() as usize]),
            }
        }
        let whole = (1 << count) - 1;
        let found = tree(&best, &places, whole);
        let set = best[whole].take().map(|(set, _)| set).unwrap_or_default();
        (relations, set, found)
    }

    /// The two whose join has the fewest rows, again and again.
    fn greedy(&self, mut parts: Vec<(u64, Set, Tree)>) -> (u64, Set, Tree) {
        while parts.len() > 1 {
            let mut best: Option<(bool, f64, usize, usize, Set)> = None;
            for a in 0..parts.len() {
                for b in a + 1..parts.len() {
                    let ((left, l, _), (right, r, _)) = (&parts[a], &parts[b]);
                    let apart = self.around(*left) & right == 0;
                    let set = self.joined((*left, l), (*right, r));
                    let better =
                        best.as_ref().is_none_or(|(other, rows, ..)| (apart, set.rows) < (*other, *rows));
                    if better {
                        best = Some((apart, set.rows, a, b, set));
                    }
                }
            }
            let Some((_, _, a, b, mut set)) = best else { break };
            let (right, left) = (parts.swap_remove(b), parts.swap_remove(a));
            let (first, cost) = self.cheaper((left.0, &left.1), (right.0, &right.1), set.rows);
            set.cost = cost;
            let (build, probe) = if first { (left, right) } else { (right, left) };
            parts.push((build.0 | probe.0, set, Tree::Join(Box::new(build.2), Box::new(probe.2))));
        }
        parts.pop().unwrap_or_else(|| self.leaf(0))
    }

    /// Rows of a way to join.
    pub(super) fn rows(&self, tree: &Tree) -> f64 {
        self.set(tree).1.rows
    }

    fn set(&self, tree: &Tree) -> (u64, Set) {
        match tree {
            Tree::Relation(at) => (1 << at, self.single[*at].clone()),
            Tree::Join(left, right) => {
                let (left, right) = (self.set(left), self.set(right));
                (left.0 | right.0, self.joined((left.0, &left.1), (right.0, &right.1)))
            }
        }
    }
}

/// The numbers of a set.
pub(super) fn members(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(at)
    })
}

/// Columns that are equal, directly or through others.
fn classes(group: &Group) -> Vec<Class> {
    let mut sets: Vec<Vec<usize>> = Vec::new();
    for (a, b) in &group.pairs {
        let find = |column: &usize| sets.iter().position(|set| set.contains(column));
        match (find(a), find(b)) {
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => {
                let moved = sets.swap_remove(x.max(y));
                sets[x.min(y)].extend(moved);
            }
            (Some(x), None) => sets[x].push(*b),
            (None, Some(y)) => sets[y].push(*a),
            (None, None) => sets.push(vec![*a, *b]),
        }
    }
    let class = |set: Vec<usize>| {
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for column in set {
            members.entry(group.relation_of(column)).or_default().push(column);
        }
        let relations = members.keys().map(|relation| 1 << relation).sum();
        Class { members, relations }
    };
    sets.into_iter().map(class).collect()
}
