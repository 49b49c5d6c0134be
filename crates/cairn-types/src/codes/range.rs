//! Ranges: reading, printing, order, and what the operators and functions ask of them.
//!
//! Code: 0 for the empty range; else 1, the lower bound and the upper one. A lower bound is 0 without limit, or 1, the key
//! code of the value, and 0 where the value belongs to the range or 1 where not; an upper bound is 1, the key code, and 0
//! where the value does not belong to it or 1 where it does, or 2 without limit. So ranges are ordered by their lower
//! bounds and then their upper ones, the empty range first.
//!
//! I1. A range is in its canonical form: one that holds nothing is [`Range::Empty`], one of INTEGER, BIGINT or DATE
//!     holds its lower bound and not its upper one.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::coded::RangeKind;
use crate::datatype::DataType;
use crate::datetime::{Zone, parse_timestamptz};
use crate::error::TypeError;
use crate::key::{KeyOrder, decode_value, encode_value};
use crate::value::Value;

/// A range.
#[derive(Debug, Clone, PartialEq)]
pub enum Range {
    /// The range without a value.
    Empty,
    /// From a lower to an upper bound.
    Of(Bound<Value>, Bound<Value>),
}

impl RangeKind {
    /// The type of the values.
    #[must_use]
    pub fn element(self) -> DataType {
        match self {
            Self::Int4 => DataType::Integer,
            Self::Int8 => DataType::BigInt,
            Self::Num => DataType::Numeric(None),
            Self::Date => DataType::Date,
            Self::Ts => DataType::Timestamp(None),
            Self::TsTz => DataType::TimestampTz(None),
        }
    }
}

/// A bound's place from below: without limit, before the value, behind it.
fn low_key(bound: &Bound<Value>) -> (u8, Option<&Value>, u8) {
    match bound {
        Bound::Unbounded => (0, None, 0),
        Bound::Included(value) => (1, Some(value), 0),
        Bound::Excluded(value) => (1, Some(value), 1),
    }
}

/// An upper bound's place on the same scale.
fn high_key(bound: &Bound<Value>) -> (u8, Option<&Value>, u8) {
    match bound {
        Bound::Unbounded => (2, None, 0),
        Bound::Included(value) => (1, Some(value), 1),
        Bound::Excluded(value) => (1, Some(value), 0),
    }
}

impl Range {
    /// The range from one bound to another, in canonical form.
    ///
    /// # Errors
    /// 22000 where the lower one is above the upper one, 22003 and 22008 where the next value is out of range.
    pub fn new(kind: RangeKind, lower: Bound<Value>, upper: Bound<Value>) -> Result<Self, TypeError> {
        if let (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) =
            (&lower, &upper)
            && a > b
        {
            let message = "range lower bound must be less than or equal to range upper bound";
            return Err(TypeError::invalid("22000", message));
        }
        let (lower, upper) = (plain(lower), plain(upper));
        let lower = match lower {
            Bound::Excluded(value) => next(kind, &value)?.map_or(Bound::Excluded(value), Bound::Included),
            other => other,
        };
        let upper = match upper {
            Bound::Included(value) => next(kind, &value)?.map_or(Bound::Included(value), Bound::Excluded),
            other => other,
        };
        Ok(Self::between(lower, upper))
    }

    /// The range between canonical bounds; empty where nothing lies between them.
    fn between(lower: Bound<Value>, upper: Bound<Value>) -> Self {
        if low_key(&lower) < high_key(&upper) { Self::Of(lower, upper) } else { Self::Empty }
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// The bounds; `None` for the empty range.
    #[must_use]
    pub fn bounds(&self) -> Option<(&Bound<Value>, &Bound<Value>)> {
        match self {
            Self::Empty => None,
            Self::Of(lower, upper) => Some((lower, upper)),
        }
    }

    /// `@>` of a value.
    #[must_use]
    pub fn holds(&self, value: &Value) -> bool {
        let Self::Of(lower, upper) = self else { return false };
        let above = match lower {
            Bound::Unbounded => true,
            Bound::Included(bound) => value >= bound,
            Bound::Excluded(bound) => value > bound,
        };
        above
            && match upper {
                Bound::Unbounded => true,
                Bound::Included(bound) => value <= bound,
                Bound::Excluded(bound) => value < bound,
            }
    }

    /// `@>` of a range.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Empty) => true,
            (Self::Empty, _) => false,
            (Self::Of(a, b), Self::Of(c, d)) => low_key(a) <= low_key(c) && high_key(d) <= high_key(b),
        }
    }

    /// `&&`.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Of(a, b), Self::Of(c, d)) => low_key(a) < high_key(d) && low_key(c) < high_key(b),
            _ => false,
        }
    }

    /// `<<`: wholly before.
    #[must_use]
    pub fn is_before(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Of(_, b), Self::Of(c, _)) => high_key(b) <= low_key(c),
            _ => false,
        }
    }

    /// `&<`: ends no later.
    #[must_use]
    pub fn ends_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Of(_, b), Self::Of(_, d)) => high_key(b) <= high_key(d),
            _ => false,
        }
    }

    /// `&>`: begins no earlier.
    #[must_use]
    pub fn begins_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Of(a, _), Self::Of(c, _)) => low_key(a) >= low_key(c),
            _ => false,
        }
    }

    /// `-|-`: nothing between them and nothing in both.
    #[must_use]
    pub fn is_adjacent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Of(a, b), Self::Of(c, d)) => {
                let meet = |upper: &Bound<Value>, lower: &Bound<Value>| {
                    !matches!((upper, lower), (Bound::Unbounded, _) | (_, Bound::Unbounded))
                        && high_key(upper) == low_key(lower)
                };
                meet(b, c) || meet(d, a)
            }
            _ => false,
        }
    }

    /// `*`.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Of(a, b), Self::Of(c, d)) => {
                let lower = if low_key(a) >= low_key(c) { a } else { c };
                let upper = if high_key(b) <= high_key(d) { b } else { d };
                Self::between(lower.clone(), upper.clone())
            }
            _ => Self::Empty,
        }
    }

    /// `range_merge`: the smallest range that holds both.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Empty, range) | (range, Self::Empty) => range.clone(),
            (Self::Of(a, b), Self::Of(c, d)) => {
                let lower = if low_key(a) <= low_key(c) { a } else { c };
                let upper = if high_key(b) >= high_key(d) { b } else { d };
                Self::Of(lower.clone(), upper.clone())
            }
        }
    }

    /// `+`.
    ///
    /// # Errors
    /// 22000 where something lies between them.
    pub fn union(&self, other: &Self) -> Result<Self, TypeError> {
        let joined = self.is_empty() || other.is_empty() || self.overlaps(other) || self.is_adjacent(other);
        if joined {
            return Ok(self.merge(other));
        }
        Err(TypeError::invalid("22000", "result of range union would not be contiguous"))
    }

    /// `-`.
    ///
    /// # Errors
    /// 22000 where the other lies within it.
    pub fn difference(&self, other: &Self) -> Result<Self, TypeError> {
        let (Self::Of(a, b), Self::Of(c, d)) = (self, other) else { return Ok(self.clone()) };
        if !self.overlaps(other) {
            return Ok(self.clone());
        }
        let before = low_key(a) < low_key(c);
        let behind = high_key(d) < high_key(b);
        Ok(match (before, behind) {
            (true, true) => {
                return Err(TypeError::invalid(
                    "22000",
                    "result of range difference would not be contiguous",
                ));
            }
            (true, false) => Self::between(a.clone(), turned(c)),
            (false, true) => Self::between(turned(d), b.clone()),
            (false, false) => Self::Empty,
        })
    }

    /// The code.
    ///
    /// # Errors
    /// [`TypeError::Inexact`] for numbers of more digits than NUMERIC has after the point.
    pub fn to_code(&self, kind: RangeKind) -> Result<Vec<u8>, TypeError> {
        let Self::Of(lower, upper) = self else { return Ok(vec![0]) };
        let mut code = vec![1];
        let mut put = |(place, value, side): (u8, Option<&Value>, u8)| -> Result<(), TypeError> {
            code.push(place);
            if let Some(value) = value {
                encode_value(value, &kind.element(), KeyOrder::ASCENDING, &mut code)?;
                code.push(side);
            }
            Ok(())
        };
        put(low_key(lower))?;
        put(high_key(upper))?;
        Ok(code)
    }

    /// The range of a code.
    #[must_use]
    pub fn from_code(code: &[u8], kind: RangeKind) -> Option<Self> {
        let (&head, mut rest) = code.split_first()?;
        if head == 0 {
            return rest.is_empty().then_some(Self::Empty);
        }
        let mut bound = |unbounded: u8, included: u8| {
            let (&place, behind) = rest.split_first()?;
            rest = behind;
            if place == unbounded {
                return Some(Bound::Unbounded);
            }
            let value = decode_value(&mut rest, &kind.element(), KeyOrder::ASCENDING).ok()?;
            let (&side, behind) = rest.split_first()?;
            rest = behind;
            Some(if side == included { Bound::Included(value) } else { Bound::Excluded(value) })
        };
        let (lower, upper) = (bound(0, 0)?, bound(2, 1)?);
        (rest.is_empty()).then_some(Self::Of(lower, upper))
    }

    /// Reads PostgreSQL's form: `[1,5)`, `(,3]`, `empty`.
    ///
    /// # Errors
    /// 22P02, and as [`Range::new`].
    pub fn parse(text: &str, kind: RangeKind, zone: Zone) -> Result<Self, TypeError> {
        let malformed = |detail: &str| TypeError::Invalid {
            sqlstate: "22P02",
            message: format!("malformed range literal: \"{text}\""),
            detail: Some(detail.to_owned()),
        };
        let start = text.trim_ascii_start();
        if start.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("empty")) {
            return match start[5..].trim_ascii() {
                "" => Ok(Self::Empty),
                _ => Err(malformed("Junk after \"empty\" key word.")),
            };
        }
        let mut rest = start.chars();
        let lower_included = match rest.next() {
            Some('[') => true,
            Some('(') => false,
            _ => return Err(malformed("Missing left parenthesis or bracket.")),
        };
        let unended = || malformed("Unexpected end of input.");
        let lower = bound_text(&mut rest).ok_or_else(unended)?;
        if rest.next() != Some(',') {
            return Err(malformed("Missing comma after lower bound."));
        }
        let upper = bound_text(&mut rest).ok_or_else(unended)?;
        let upper_included = match rest.next() {
            Some(']') => true,
            Some(')') => false,
            Some(',') => return Err(malformed("Too many commas.")),
            _ => return Err(unended()),
        };
        if !rest.as_str().trim_ascii().is_empty() {
            return Err(malformed("Junk after right parenthesis or bracket."));
        }
        let bound = |text: Option<String>, included: bool| -> Result<Bound<Value>, TypeError> {
            let Some(text) = text else { return Ok(Bound::Unbounded) };
            let value = match kind {
                RangeKind::TsTz => Value::TimestampTz(parse_timestamptz(&text, zone)?),
                kind => Value::parse_text(&text, &kind.element())?,
            };
            Ok(if included { Bound::Included(value) } else { Bound::Excluded(value) })
        };
        Self::new(kind, bound(lower, lower_included)?, bound(upper, upper_included)?)
    }

    /// Appends the text.
    pub fn write(&self, kind: RangeKind, zone: Zone, out: &mut String) {
        let Self::Of(lower, upper) = self else {
            out.push_str("empty");
            return;
        };
        out.push(if matches!(lower, Bound::Included(_)) { '[' } else { '(' });
        write_bound(lower, kind, zone, out);
        out.push(',');
        write_bound(upper, kind, zone, out);
        out.push(if matches!(upper, Bound::Included(_)) { ']' } else { ')' });
    }
}

impl PartialOrd for Range {
    /// PostgreSQL's order: the empty range, then by the lower bounds, then by the upper ones.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Empty, Self::Empty) => Some(Ordering::Equal),
            (Self::Empty, _) => Some(Ordering::Less),
            (_, Self::Empty) => Some(Ordering::Greater),
            (Self::Of(a, b), Self::Of(c, d)) => {
                (low_key(a), high_key(b)).partial_cmp(&(low_key(c), high_key(d)))
            }
        }
    }
}

/// A bound of one range as the bound of what it leaves of another.
fn turned(bound: &Bound<Value>) -> Bound<Value> {
    match bound {
        Bound::Included(value) => Bound::Excluded(value.clone()),
        Bound::Excluded(value) => Bound::Included(value.clone()),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// A bound as its code holds it: a number without zeros at the end of its fraction.
fn plain(bound: Bound<Value>) -> Bound<Value> {
    bound.map(|value| match value {
        Value::Numeric(number) => Value::Numeric(number.normalised()),
        value => value,
    })
}

/// The value after this one, of types whose values can be counted.
fn next(kind: RangeKind, value: &Value) -> Result<Option<Value>, TypeError> {
    let range = |name: &str| TypeError::TypeRange { type_name: name.to_owned() };
    Ok(match (kind, value) {
        (RangeKind::Int4, Value::Integer(n)) => {
            Some(Value::Integer(n.checked_add(1).ok_or_else(|| range("integer"))?))
        }
        (RangeKind::Int8, Value::BigInt(n)) => {
            Some(Value::BigInt(n.checked_add(1).ok_or_else(|| range("bigint"))?))
        }
        (RangeKind::Date, Value::Date(days)) => match *days {
            // The infinities have no next day.
            i32::MAX | i32::MIN => None,
            days => Some(Value::Date(days + 1)),
        },
        _ => None,
    })
}

/// The text of a bound up to the comma or bracket that ends it; the inner `None` where there is nothing at all.
fn bound_text(rest: &mut std::str::Chars<'_>) -> Option<Option<String>> {
    if matches!(rest.clone().next()?, ',' | ')' | ']') {
        return Some(None);
    }
    let mut out = String::new();
    let mut quoted = false;
    loop {
        let c = rest.clone().next()?;
        if !quoted && matches!(c, ',' | ')' | ']' | '(' | '[') {
            // An opening bracket ends it too, and is an error there.
            return Some(Some(out));
        }
        rest.next();
        match c {
            '\\' => out.push(rest.next()?),
            '"' if !quoted => quoted = true,
            '"' if rest.clone().next() == Some('"') => {
                rest.next();
                out.push('"');
            }
            '"' => quoted = false,
            c => out.push(c),
        }
    }
}

fn write_bound(bound: &Bound<Value>, kind: RangeKind, zone: Zone, out: &mut String) {
    let (Bound::Included(value) | Bound::Excluded(value)) = bound else { return };
    let mut text = String::new();
    value.write_text_in(&kind.element(), zone, &mut text);
    if text.contains([' ', ',', '"', '\\']) {
        out.push('"');
        out.push_str(&text);
        out.push('"');
    } else {
        out.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn range(text: &str, kind: RangeKind) -> Range {
        Range::parse(text, kind, Zone::UTC).unwrap()
    }

    fn text(range: &Range, kind: RangeKind) -> String {
        let mut out = String::new();
        range.write(kind, Zone::UTC, &mut out);
        out
    }

    #[test]
    fn canonical_forms_and_codes() {
        for (given, kind, shown) in [
            ("[1,5]", RangeKind::Int4, "[1,6)"),
            (" (1,5) ", RangeKind::Int4, "[2,5)"),
            ("(1,2)", RangeKind::Int4, "empty"),
            ("[,]", RangeKind::Int4, "(,)"),
            ("[1.50,2.0]", RangeKind::Num, "[1.5,2]"),
            ("(1,1)", RangeKind::Num, "empty"),
            ("[1,1]", RangeKind::Num, "[1,1]"),
            ("[2024-01-01,2024-01-31]", RangeKind::Date, "[2024-01-01,2024-02-01)"),
            ("[2024-01-01 10:00,)", RangeKind::Ts, "[\"2024-01-01 10:00:00\",)"),
        ] {
            let parsed = range(given, kind);
            assert_eq!(text(&parsed, kind), shown);
            let code = parsed.to_code(kind).unwrap();
            assert_eq!(text(&Range::from_code(&code, kind).unwrap(), kind), shown);
        }
        for bad in ["", "1,2", "[1,2", "[1", "[1,2,3]", "[1,2] x", "empty x", "[2,1]", "[a,2]"] {
            assert!(Range::parse(bad, RangeKind::Int4, Zone::UTC).is_err(), "{bad}");
        }
    }

    #[test]
    fn codes_are_in_the_order_of_the_ranges() {
        let kind = RangeKind::Num;
        let sorted =
            ["empty", "(,1)", "(,1]", "(,)", "[0,1)", "[0,1]", "[0,2)", "[0,)", "(0,1)", "(0,)", "[1,1]"];
        let ranges: Vec<_> = sorted.iter().map(|text| range(text, kind)).collect();
        assert!(ranges.windows(2).all(|pair| pair[0] < pair[1]));
        let codes: Vec<_> = ranges.iter().map(|range| range.to_code(kind).unwrap()).collect();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
