//! From a sample of values to statistics, as PostgreSQL's `analyze.c` does it: distinct values by Haas and Stokes' Duj1,
//! the most common ones, a histogram of equal shares of the rest, the correlation of their order with the keys'.

use std::cmp::Ordering;

use cairn_types::Value;

use super::sample::Values;
use crate::catalog::{Column, ColumnStatistics};

/// Most common values at most, and parts of a histogram: PostgreSQL's `default_statistics_target`.
const TARGET: usize = 100;
/// More distinct values than this share of the rows grow with them.
const SCALES_FROM: f64 = 0.1;

/// The statistics of a column, from the values of `sampled` rows of about `total`.
pub(super) fn column(column: &Column, mut values: Values, sampled: u64, total: f64) -> ColumnStatistics {
    let mut found = ColumnStatistics {
        column: column.id,
        ty: column.ty.clone(),
        null_fraction: values.nulls as f64 / sampled.max(1) as f64,
        average_width: 0,
        distinct: 0.0,
        most_common: Vec::new(),
        histogram: Vec::new(),
        correlation: None,
    };
    let present = values.kept.len() as u64 + values.wide;
    if present == 0 {
        return found;
    }
    found.average_width = (values.bytes / present).min(u64::from(u32::MAX)) as u32;
    // The sort keeps equal values in the order of the keys.
    values.kept.sort_by(|(a, _), (b, _)| a.cmp(b));
    let groups = groups(&values.kept);
    let many: Vec<&(usize, usize)> = groups.iter().filter(|(_, count)| *count > 1).collect();
    let distinct = distinct(&groups, many.len(), values.wide, present, sampled, total);
    found.distinct = match total > 0.0 && distinct > SCALES_FROM * total {
        true => -(distinct / total).min(1.0),
        false => distinct.round().max(1.0),
    };
    found.correlation = correlation(&values.kept);
    let complete = values.wide == 0 && groups.len() <= TARGET && groups.len() == many.len();
    let mut common = most_common(&groups, complete, present, distinct);
    let share = |count: usize| count as f64 / sampled as f64;
    found.most_common =
        common.iter().map(|(start, count)| (values.kept[*start].0.clone(), share(*count))).collect();
    common.sort_unstable();
    found.histogram = histogram(&values.kept, &groups, &common);
    found
}

/// Equal values in a sorted list: where they begin, how many they are.
fn groups(sorted: &[(Value, u32)]) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (at, (value, _)) in sorted.iter().enumerate() {
        match groups.last_mut() {
            Some((start, count)) if sorted[*start].0.cmp(value) == Ordering::Equal => *count += 1,
            _ => groups.push((at, 1)),
        }
    }
    groups
}

/// About how many distinct values all rows have. Long values are taken for distinct.
fn distinct(
    groups: &[(usize, usize)],
    repeated: usize,
    wide: u64,
    present: u64,
    sampled: u64,
    total: f64,
) -> f64 {
    let share = present as f64 / sampled.max(1) as f64;
    let all = total * share;
    let (d, n) = (groups.len() as f64 + wide as f64, present as f64);
    let once = d - repeated as f64;
    if n >= all || once == 0.0 {
        return d;
    }
    if repeated == 0 {
        // As if it were a key.
        return all;
    }
    // Duj1: n*d / (n - f1 + f1*n/N).
    (n * d / (n - once + once * n / all)).clamp(d, all)
}

/// The groups that are worth naming, most common first.
fn most_common(
    groups: &[(usize, usize)],
    complete: bool,
    present: u64,
    distinct: f64,
) -> Vec<(usize, usize)> {
    let average = present as f64 / distinct.max(1.0);
    let least = if complete { 1.0 } else { (1.25 * average).max(2.0) };
    let mut common: Vec<(usize, usize)> =
        groups.iter().copied().filter(|(_, count)| *count as f64 >= least).collect();
    common.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
    common.truncate(TARGET);
    common
}

/// Bounds of parts of equal size of the values that are not among the common ones, which are in order.
fn histogram(sorted: &[(Value, u32)], groups: &[(usize, usize)], common: &[(usize, usize)]) -> Vec<Value> {
    let rest: Vec<&(usize, usize)> = groups.iter().filter(|g| common.binary_search(g).is_err()).collect();
    if rest.len() < 2 {
        return Vec::new();
    }
    let places: Vec<usize> = rest.iter().flat_map(|(start, count)| *start..*start + *count).collect();
    let bounds = rest.len().min(TARGET + 1);
    let place = |at: usize| places[at * (places.len() - 1) / (bounds - 1)];
    (0..bounds).map(|at| sorted[place(at)].0.clone()).collect()
}

/// Between the order of the values and that of the keys, from -1 to 1.
fn correlation(sorted: &[(Value, u32)]) -> Option<f64> {
    let n = sorted.len() as f64;
    if sorted.len() < 2 {
        return None;
    }
    // The places are those of all rows: their ranks among these are what counts.
    let mut order: Vec<usize> = (0..sorted.len()).collect();
    order.sort_unstable_by_key(|at| sorted[*at].1);
    let products: f64 = order.iter().enumerate().map(|(rank, at)| rank as f64 * *at as f64).sum();
    let sum = n * (n - 1.0) / 2.0;
    let squares = n * (n - 1.0) * (2.0 * n - 1.0) / 6.0;
    Some(((n * products - sum * sum) / (n * squares - sum * sum)).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_types::DataType;

    fn integers(values: impl Iterator<Item = i64>) -> Values {
        let kept: Vec<_> = values.enumerate().map(|(at, v)| (Value::BigInt(v), at as u32)).collect();
        Values { bytes: 8 * kept.len() as u64, kept, nulls: 0, wide: 0 }
    }

    fn of(values: Values, sampled: u64, total: f64) -> ColumnStatistics {
        let own = Column {
            id: 1,
            name: "c".to_owned(),
            ty: DataType::BigInt,
            nullable: true,
            default: None,
            missing: None,
            identity: None,
            generated: None,
            domain: None,
            dropped: false,
            comment: None,
        };
        column(&own, values, sampled, total)
    }

    #[test]
    fn a_key_grows_with_its_table() {
        let found = of(integers(0..1000), 1000, 100_000.0);
        assert_eq!(found.distinct, -1.0);
        assert!(found.most_common.is_empty());
        assert_eq!(found.histogram.len(), 101);
        assert_eq!(found.correlation, Some(1.0));
        let back = of(integers((0..1000).rev()), 1000, 1000.0);
        assert_eq!(back.correlation, Some(-1.0));
    }

    #[test]
    fn few_values_are_all_named() {
        let found = of(integers((0..1000).map(|v| v % 4)), 1000, 1000.0);
        assert_eq!((found.distinct, found.most_common.len(), found.histogram.len()), (4.0, 4, 0));
        assert!(found.most_common.iter().all(|(_, share)| (*share - 0.25).abs() < 1e-9));
    }

    #[test]
    fn skew_and_a_tail() {
        // Half are 7; the others distinct.
        let found = of(integers((0..2000).map(|v| if v % 2 == 0 { 7 } else { v })), 2000, 2000.0);
        assert_eq!(found.most_common[0].0, Value::BigInt(7));
        assert!((found.most_common[0].1 - 0.5).abs() < 0.01);
        assert!(found.histogram.len() > 50);
        assert!(found.distinct < 0.0 && found.distinct > -0.6, "{}", found.distinct);
    }

    #[test]
    fn duj1_of_a_sample() {
        // 30 rows of each of 1,000 values, one in ten sampled: all seen, few once.
        let found = of(integers((0..3000).map(|v| v % 1000)), 3000, 30_000.0);
        assert!((found.distinct - 1000.0).abs() < 1.0, "{}", found.distinct);
    }
}
