//! Partitioning: which partition of a table a row belongs to, and which partitions can hold rows of given values.
//!
//! A partitioned table holds no rows itself: its partitions, tables of their own, do (decision 0018). What is looked up
//! often is worked out once for each state of the catalog ([`Partitions`]).
//!
//! I1: a row belongs to one partition at most: bounds do not overlap, and the default one takes what no other does.
//! I2: [`Partitions::candidates`] may name too many partitions, never too few.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use cairn_types::{DataType, Value};

use super::descriptor::{ColumnId, IndexId, ObjectId};
use super::partition_hash;
use super::table::Table;

/// Combinations of key values that pruning tries, at most.
const COMBINATIONS_MAX: usize = 1024;

/// PARTITION BY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionStrategy {
    /// Ranges of the key, the upper end excluded.
    Range,
    /// Lists of values of one column.
    List,
    /// The rest of a hash of the key, divided by a modulus.
    Hash,
}

impl PartitionStrategy {
    /// `range`, `list` or `hash`.
    pub fn word(self) -> &'static str {
        match self {
            PartitionStrategy::Range => "range",
            PartitionStrategy::List => "list",
            PartitionStrategy::Hash => "hash",
        }
    }
}

/// How a table is divided.
#[derive(Clone, Debug, PartialEq)]
pub struct Partitioning {
    /// By what.
    pub strategy: PartitionStrategy,
    /// The columns of the key, in order.
    pub columns: Vec<ColumnId>,
}

/// An end of a range, one column of it. The order of the variants is that of the ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RangeEnd {
    /// MINVALUE: before every value.
    Min,
    /// That value.
    Value(Value),
    /// MAXVALUE: behind every value.
    Max,
}

/// Which rows a partition takes.
#[derive(Clone, Debug, PartialEq)]
pub enum PartitionBound {
    /// DEFAULT: those that no other takes.
    Default,
    /// FROM (included) TO (excluded).
    Range {
        /// The lower end.
        from: Vec<RangeEnd>,
        /// The upper end.
        to: Vec<RangeEnd>,
    },
    /// IN; NULL may be among them.
    List(Vec<Value>),
    /// WITH (MODULUS, REMAINDER).
    Hash {
        /// From 1.
        modulus: u32,
        /// Below the modulus.
        remainder: u32,
    },
}

impl PartitionBound {
    /// Whether rows could belong to both; of two hash bounds the moduli divide one another.
    pub fn overlaps(&self, other: &PartitionBound) -> bool {
        match (self, other) {
            (PartitionBound::Default, PartitionBound::Default) => true,
            (PartitionBound::Range { from, to }, PartitionBound::Range { from: low, to: high }) => {
                from < high && low < to
            }
            (PartitionBound::List(own), PartitionBound::List(values)) => {
                own.iter().any(|value| values.contains(value))
            }
            (
                PartitionBound::Hash { modulus, remainder },
                PartitionBound::Hash { modulus: m, remainder: r },
            ) => {
                let shared = (*modulus).min(*m).max(1);
                remainder % shared == r % shared
            }
            _ => false,
        }
    }
}

/// What makes a table a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionOf {
    /// The partitioned table.
    pub parent: ObjectId,
    /// The types of the parent's key.
    pub types: Vec<DataType>,
    /// The rows it takes.
    pub bound: PartitionBound,
    /// The parent's indexes and those of this table that stand for them; 0 = the primary key.
    pub indexes: Vec<(IndexId, IndexId)>,
}

/// What is known of a column's value where partitions are chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Allowed {
    /// It is NULL.
    Null,
    /// One of these; none of them NULL.
    OneOf(Vec<Value>),
    /// Between these, and not NULL.
    Range(Bound<Value>, Bound<Value>),
}

/// The partitions of one table, ready to be looked up.
#[derive(Debug)]
pub struct Partitions {
    strategy: PartitionStrategy,
    /// The key: names and types of its columns.
    key: Vec<(String, DataType)>,
    /// In the order of their bounds; the default one comes last.
    parts: Vec<(ObjectId, PartitionBound)>,
    default: Option<usize>,
    /// Of lists: the place of each value's partition.
    by_value: BTreeMap<Value, usize>,
}

impl Partitions {
    pub(crate) fn new<'t>(table: &Table, partitions: impl Iterator<Item = &'t Table>) -> Partitions {
        let (strategy, columns) = match &table.partitioning {
            Some(own) => (own.strategy, own.columns.as_slice()),
            None => (PartitionStrategy::Range, &[][..]),
        };
        let columns = columns.iter().filter_map(|id| table.column_by_id(*id));
        let key = columns.map(|column| (column.name.clone(), column.ty.clone())).collect();
        let of = |table: &Table| Some((table.id, table.partition.as_ref()?.bound.clone()));
        let mut parts: Vec<(ObjectId, PartitionBound)> = partitions.filter_map(of).collect();
        parts.sort_by(|a, b| order(&a.1, &b.1).then(a.0.cmp(&b.0)));
        let default = parts.iter().position(|(_, bound)| *bound == PartitionBound::Default);
        let mut by_value = BTreeMap::new();
        for (at, (_, bound)) in parts.iter().enumerate() {
            if let PartitionBound::List(values) = bound {
                by_value.extend(values.iter().map(|value| (value.clone(), at)));
            }
        }
        Partitions { strategy, key, parts, default, by_value }
    }

    /// The names and types of the key's columns.
    pub fn key(&self) -> &[(String, DataType)] {
        &self.key
    }

    /// All of them with their bounds, in the order of their bounds, the default one last.
    pub fn all(&self) -> &[(ObjectId, PartitionBound)] {
        &self.parts
    }

    /// The default partition.
    pub fn default(&self) -> Option<ObjectId> {
        self.default.map(|at| self.parts[at].0)
    }

    /// The partition that a row with that key belongs to.
    pub fn find(&self, key: &[Value]) -> Option<ObjectId> {
        self.place(key).or(self.default).map(|at| self.parts[at].0)
    }

    /// The place of the partition, the default one aside.
    fn place(&self, key: &[Value]) -> Option<usize> {
        match self.strategy {
            PartitionStrategy::List => self.by_value.get(key.first()?).copied(),
            PartitionStrategy::Hash => {
                let hash = partition_hash::of_row(key, self.key.iter().map(|(_, ty)| ty));
                self.parts.iter().position(|(_, bound)| match bound {
                    PartitionBound::Hash { modulus, remainder } => {
                        hash % u64::from(*modulus) == u64::from(*remainder)
                    }
                    _ => false,
                })
            }
            PartitionStrategy::Range => {
                if key.iter().any(Value::is_null) {
                    return None;
                }
                let is_before = |bound: &PartitionBound| match bound {
                    PartitionBound::Range { to, .. } => compare(key, to) != Ordering::Less,
                    _ => false,
                };
                let at = self.parts.partition_point(|(_, bound)| is_before(bound));
                match self.parts.get(at) {
                    Some((_, PartitionBound::Range { from, .. })) => {
                        (compare(key, from) != Ordering::Less).then_some(at)
                    }
                    _ => None,
                }
            }
        }
    }

    /// The partitions that can hold rows of which that is known, column by column of the key (I2).
    pub fn candidates(&self, known: &[Vec<Allowed>]) -> Vec<ObjectId> {
        if let Some(keys) = combinations(known) {
            let found: std::collections::BTreeSet<usize> =
                keys.iter().filter_map(|key| self.place(key).or(self.default)).collect();
            return found.into_iter().map(|at| self.parts[at].0).collect();
        }
        let may = |bound: &PartitionBound| match bound {
            PartitionBound::Default | PartitionBound::Hash { .. } => true,
            PartitionBound::List(values) => {
                let fits = |value: &Value| known.first().is_none_or(|all| all.iter().all(|a| a.takes(value)));
                values.iter().any(fits)
            }
            PartitionBound::Range { from, to } => {
                let has_null = known.iter().any(|all| all.contains(&Allowed::Null));
                !has_null && meets(known, from, to, true, true)
            }
        };
        self.parts.iter().filter(|(_, bound)| may(bound)).map(|(id, _)| *id).collect()
    }
}

impl Allowed {
    fn takes(&self, value: &Value) -> bool {
        match self {
            Allowed::Null => value.is_null(),
            Allowed::OneOf(values) => values.contains(value),
            Allowed::Range(low, high) => {
                let above = match low {
                    Bound::Unbounded => true,
                    Bound::Included(low) => value >= low,
                    Bound::Excluded(low) => value > low,
                };
                let below = match high {
                    Bound::Unbounded => true,
                    Bound::Included(high) => value <= high,
                    Bound::Excluded(high) => value < high,
                };
                !value.is_null() && above && below
            }
        }
    }
}

/// The order in which partitions are read.
fn order(a: &PartitionBound, b: &PartitionBound) -> Ordering {
    let least = |values: &[Value]| values.iter().filter(|value| !value.is_null()).min().cloned();
    match (a, b) {
        (PartitionBound::Default, PartitionBound::Default) => Ordering::Equal,
        (PartitionBound::Default, _) => Ordering::Greater,
        (_, PartitionBound::Default) => Ordering::Less,
        (PartitionBound::Range { from: a, .. }, PartitionBound::Range { from: b, .. }) => a.cmp(b),
        (PartitionBound::List(a), PartitionBound::List(b)) => match (least(a), least(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => a.is_none().cmp(&b.is_none()),
        },
        (
            PartitionBound::Hash { modulus: m, remainder: r },
            PartitionBound::Hash { modulus: n, remainder: s },
        ) => (m, r).cmp(&(n, s)),
        _ => Ordering::Equal,
    }
}

/// A key against an end of a range.
fn compare(key: &[Value], end: &[RangeEnd]) -> Ordering {
    for (value, end) in key.iter().zip(end) {
        let order = match end {
            RangeEnd::Min => Ordering::Greater,
            RangeEnd::Value(end) => value.cmp(end),
            RangeEnd::Max => Ordering::Less,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// All keys that are possible, where there are few.
fn combinations(known: &[Vec<Allowed>]) -> Option<Vec<Vec<Value>>> {
    let mut keys: Vec<Vec<Value>> = vec![Vec::new()];
    for all in known {
        let values = all.iter().find_map(|allowed| match allowed {
            Allowed::Null => Some(vec![Value::Null]),
            Allowed::OneOf(values) => Some(values.clone()),
            Allowed::Range(..) => None,
        })?;
        let values: Vec<Value> =
            values.into_iter().filter(|value| all.iter().all(|allowed| allowed.takes(value))).collect();
        if keys.len() * values.len() > COMBINATIONS_MAX {
            return None;
        }
        let longer = |key: &Vec<Value>| {
            let key = key.clone();
            values.iter().map(move |value| key.iter().cloned().chain([value.clone()]).collect())
        };
        keys = keys.iter().flat_map(longer).collect();
    }
    Some(keys)
}

/// Whether a key of which that is known can lie between two ends; `low` and `high`: whether the columns before are equal
/// to that end's.
fn meets(known: &[Vec<Allowed>], from: &[RangeEnd], to: &[RangeEnd], low: bool, high: bool) -> bool {
    let (Some(all), Some(first), Some(last)) = (known.first(), from.first(), to.first()) else {
        // The lower end itself belongs to the range, the upper one does not.
        return !high;
    };
    let rest = |low, high| meets(&known[1..], &from[1..], &to[1..], low, high);
    let inside = |value: &Value| {
        let above = match first {
            RangeEnd::Value(first) if low => value.cmp(first),
            RangeEnd::Max if low => Ordering::Less,
            _ => Ordering::Greater,
        };
        let below = match last {
            RangeEnd::Value(last) if high => value.cmp(last),
            RangeEnd::Min if high => Ordering::Greater,
            _ => Ordering::Less,
        };
        if above == Ordering::Less || below == Ordering::Greater {
            return false;
        }
        let (low, high) = (above == Ordering::Equal, below == Ordering::Equal);
        !(low || high) || rest(low, high)
    };
    if let Some(values) = all.iter().find_map(|allowed| match allowed {
        Allowed::OneOf(values) => Some(values),
        _ => None,
    }) {
        return values.iter().any(|value| all.iter().all(|allowed| allowed.takes(value)) && inside(value));
    }
    for allowed in all {
        let Allowed::Range(least, most) = allowed else { continue };
        if let (true, RangeEnd::Value(first)) = (low, first) {
            match most {
                Bound::Included(most) if most < first => return false,
                Bound::Included(most) if most == first => return inside(most),
                Bound::Excluded(most) if most <= first => return false,
                _ => {}
            }
        }
        if let (true, RangeEnd::Value(last)) = (high, last) {
            match least {
                Bound::Included(least) if least > last => return false,
                Bound::Included(least) if least == last => return inside(least),
                Bound::Excluded(least) if least >= last => return false,
                _ => {}
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn range(from: i32, to: i32) -> PartitionBound {
        let end = |n: i32| vec![RangeEnd::Value(Value::from(n))];
        PartitionBound::Range { from: end(from), to: end(to) }
    }

    fn partitions(strategy: PartitionStrategy, bounds: Vec<PartitionBound>) -> Partitions {
        let parts: Vec<_> = bounds.into_iter().enumerate().map(|(at, bound)| (at as u32, bound)).collect();
        let default = parts.iter().position(|(_, bound)| *bound == PartitionBound::Default);
        let mut by_value = BTreeMap::new();
        for (at, (_, bound)) in parts.iter().enumerate() {
            if let PartitionBound::List(values) = bound {
                by_value.extend(values.iter().map(|value| (value.clone(), at)));
            }
        }
        let key = vec![("a".to_owned(), DataType::Integer)];
        Partitions { strategy, key, parts, default, by_value }
    }

    #[test]
    fn ranges_take_their_lower_end_and_not_their_upper_one() {
        let all = partitions(PartitionStrategy::Range, vec![range(0, 10), range(20, 30)]);
        let find = |n: i32| all.find(&[Value::from(n)]);
        assert_eq!((find(-1), find(0), find(9), find(10)), (None, Some(0), Some(0), None));
        assert_eq!((find(20), find(29), find(30)), (Some(1), Some(1), None));
        assert_eq!(all.find(&[Value::Null]), None);
    }

    #[test]
    fn pruning_keeps_what_can_hold_rows() {
        let bounds = vec![range(0, 10), range(10, 20), range(20, 30), PartitionBound::Default];
        let all = partitions(PartitionStrategy::Range, bounds);
        let one = |n: i32| Allowed::OneOf(vec![Value::from(n)]);
        assert_eq!(all.candidates(&[vec![one(10)]]), [1]);
        assert_eq!(all.candidates(&[vec![one(99)]]), [3]);
        assert_eq!(all.candidates(&[vec![Allowed::Null]]), [3]);
        let from = |n: i32| Allowed::Range(Bound::Included(Value::from(n)), Bound::Unbounded);
        let below = |n: i32| Allowed::Range(Bound::Unbounded, Bound::Excluded(Value::from(n)));
        assert_eq!(all.candidates(&[vec![from(20)]]), [2, 3]);
        assert_eq!(all.candidates(&[vec![below(10)]]), [0, 3]);
        assert_eq!(all.candidates(&[vec![from(5), below(15)]]), [0, 1, 3]);
        assert_eq!(all.candidates(&[vec![]]), [0, 1, 2, 3]);
        assert!(all.candidates(&[vec![one(1), one(2)]]).is_empty());
    }

    #[test]
    fn lists_have_null() {
        let bounds = vec![
            PartitionBound::List(vec![Value::from(1), Value::Null]),
            PartitionBound::List(vec![Value::from(5)]),
        ];
        let all = partitions(PartitionStrategy::List, bounds);
        assert_eq!(all.find(&[Value::Null]), Some(0));
        assert_eq!(all.find(&[Value::from(5)]), Some(1));
        assert_eq!(all.find(&[Value::from(2)]), None);
        let from = Allowed::Range(Bound::Excluded(Value::from(1)), Bound::Unbounded);
        assert_eq!(all.candidates(&[vec![from]]), [1]);
    }
}
