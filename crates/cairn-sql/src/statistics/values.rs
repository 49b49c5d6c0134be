//! Which share of a table's rows have a value, or one within bounds: from most common values and histogram, as
//! PostgreSQL's `selfuncs.c` does it.

use std::cmp::Ordering;
use std::ops::Bound;

use cairn_engine::catalog::ColumnStatistics;
use cairn_types::Value;

/// Of the rows, those with one value of a column of which nothing is known.
pub(crate) const EQUAL: f64 = 0.01;
/// Those in a range with one end.
pub(crate) const ONE_END: f64 = 0.3;
/// Those in a range with two ends.
pub(crate) const TWO_ENDS: f64 = 0.1;
/// Those with NULL.
const NULLS: f64 = 0.01;

/// What is known of a column, of a table of so many rows.
#[derive(Clone, Copy)]
pub(crate) struct Known<'s> {
    pub(crate) statistics: Option<&'s ColumnStatistics>,
    pub(crate) rows: f64,
    /// Whether no two rows have the same value.
    pub(crate) unique: bool,
}

impl Known<'_> {
    /// Distinct values; `None` where nothing is known.
    pub(crate) fn distinct(&self) -> Option<f64> {
        match self.statistics {
            _ if self.unique => Some(self.rows.max(1.0)),
            Some(statistics) if statistics.distinct != 0.0 => Some(statistics.distinct_of(self.rows)),
            _ => None,
        }
    }

    /// The share of rows with NULL.
    pub(crate) fn null(&self) -> f64 {
        self.statistics.map_or(NULLS, |statistics| statistics.null_fraction)
    }

    /// The share of rows with this value; with any one where it is not known.
    pub(crate) fn equal(&self, value: Option<&Value>) -> f64 {
        let Some(distinct) = self.distinct() else {
            return if self.statistics.is_some() { 0.0 } else { EQUAL };
        };
        let Some(statistics) = self.statistics else { return 1.0 / distinct };
        let present = 1.0 - statistics.null_fraction;
        let Some(value) = value else { return present / distinct };
        let common = &statistics.most_common;
        if let Some((_, share)) = common.iter().find(|(known, _)| known.cmp(value) == Ordering::Equal) {
            return *share;
        }
        let named: f64 = common.iter().map(|(_, share)| share).sum();
        let others = (distinct - common.len() as f64).max(1.0);
        let least = common.last().map_or(1.0, |(_, share)| *share);
        // Where all values are named there may be new ones.
        let rest = (present - named).max(0.0) / others;
        rest.min(least).max(0.5 / self.rows.max(1.0))
    }

    /// The share of rows within bounds.
    pub(crate) fn within(&self, lower: &Bound<Value>, upper: &Bound<Value>) -> f64 {
        let ends = |end: &Bound<Value>| !matches!(end, Bound::Unbounded);
        let Some(statistics) =
            self.statistics.filter(|s| !s.most_common.is_empty() || !s.histogram.is_empty())
        else {
            return match (ends(lower), ends(upper)) {
                (true, true) => TWO_ENDS,
                (false, false) => 1.0,
                _ => ONE_END,
            };
        };
        let least = 0.5 / self.rows.max(1.0);
        let named: f64 = statistics.most_common.iter().map(|(_, share)| share).sum();
        let inside: f64 = statistics
            .most_common
            .iter()
            .filter(|(value, _)| is_within(value, lower, upper))
            .map(|(_, share)| share)
            .sum();
        let rest = (1.0 - statistics.null_fraction - named).max(0.0);
        let below = |end: &Bound<Value>, open: f64| match end {
            Bound::Unbounded => open,
            Bound::Included(value) | Bound::Excluded(value) => position(&statistics.histogram, value),
        };
        let part = (below(upper, 1.0) - below(lower, 0.0)).max(0.0);
        (inside + rest * part).clamp(least, 1.0)
    }
}

fn is_within(value: &Value, lower: &Bound<Value>, upper: &Bound<Value>) -> bool {
    let above = match lower {
        Bound::Unbounded => true,
        Bound::Included(end) => value >= end,
        Bound::Excluded(end) => value > end,
    };
    above
        && match upper {
            Bound::Unbounded => true,
            Bound::Included(end) => value <= end,
            Bound::Excluded(end) => value < end,
        }
}

/// Which share of a histogram lies below a value.
fn position(histogram: &[Value], value: &Value) -> f64 {
    let [first, .., last] = histogram else { return 0.5 };
    if value <= first {
        return 0.0;
    }
    if value >= last {
        return 1.0;
    }
    // At least one bound lies below, and one above.
    let after = histogram.partition_point(|bound| bound < value);
    let (low, high) = (&histogram[after - 1], &histogram[after]);
    let within = match (number(low, low, high), number(value, low, high), number(high, low, high)) {
        (Some(low), Some(at), Some(high)) if high > low => ((at - low) / (high - low)).clamp(0.0, 1.0),
        _ => 0.5,
    };
    ((after - 1) as f64 + within) / (histogram.len() - 1) as f64
}

/// A number in the order of values between `low` and `high`.
fn number(value: &Value, low: &Value, high: &Value) -> Option<f64> {
    Some(match value {
        Value::Date(days) => f64::from(*days),
        Value::Time(micros) | Value::Timestamp(micros) | Value::TimestampTz(micros) => *micros as f64,
        Value::Numeric(number) => number.to_string().parse().ok()?,
        Value::Text(text) => {
            let (Value::Text(low), Value::Text(high)) = (low, high) else { return None };
            let same = low.bytes().zip(high.bytes()).take_while(|(a, b)| a == b).count();
            let digits = text.bytes().skip(same).take(6);
            digits.chain(std::iter::repeat(0)).take(6).fold(0.0, |sum, byte| sum * 256.0 + f64::from(byte))
        }
        other => match other.as_f64() {
            Some(number) => number,
            None => other.as_i64()? as f64,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_types::DataType;

    fn statistics() -> ColumnStatistics {
        ColumnStatistics {
            column: 1,
            ty: DataType::Integer,
            null_fraction: 0.1,
            average_width: 4,
            distinct: 101.0,
            most_common: vec![(Value::Integer(7), 0.4)],
            histogram: (0..=100).map(|v| Value::Integer(v * 10)).collect(),
            correlation: None,
        }
    }

    #[test]
    fn values_and_ranges() {
        let statistics = statistics();
        let known = Known { statistics: Some(&statistics), rows: 10_000.0, unique: false };
        assert_eq!(known.equal(Some(&Value::Integer(7))), 0.4);
        assert!((known.equal(Some(&Value::Integer(8))) - 0.005).abs() < 1e-9);
        let upto = |v| Bound::Included(Value::Integer(v));
        assert!((known.within(&Bound::Unbounded, &upto(500)) - 0.65).abs() < 1e-9);
        assert!((known.within(&upto(250), &upto(755)) - 0.2525).abs() < 1e-9);
        assert_eq!(known.within(&upto(1001), &Bound::Unbounded), 0.5 / 10_000.0);
    }

    #[test]
    fn texts_have_places() {
        let bounds: Vec<Value> = ["ab0", "ab5", "ac"].map(Value::from).to_vec();
        assert_eq!(position(&bounds, &Value::from("aa")), 0.0);
        let middle = position(&bounds, &Value::from("ab3"));
        assert!(middle > 0.2 && middle < 0.4, "{middle}");
    }
}
