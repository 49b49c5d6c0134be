//! Ranges: constructors, operators and functions, one overload for each of the six types.

use std::ops::Bound;

use cairn_types::codes::Range;
use cairn_types::{Coded, DataType as T, RangeKind, Value};
use datafusion::functions::string;
use datafusion::logical_expr::ScalarUDF;

use super::overload::{Args, Code, Overload, Returns, function, is, operator};
use crate::{Error, Result};

fn ty(kind: RangeKind) -> T {
    T::Coded(Coded::Range(kind))
}

/// One overload for each type.
fn each(make: impl Fn(RangeKind) -> Overload) -> Vec<Overload> {
    RangeKind::ALL.into_iter().map(make).collect()
}

/// Of two ranges.
fn pairs(result: Option<T>, code: Code) -> Vec<Overload> {
    each(|kind| {
        let returns = Returns::Is(result.clone().unwrap_or_else(|| ty(kind)));
        Overload::new(vec![is(ty(kind)), is(ty(kind))], returns, code)
    })
}

/// Of one range.
fn one(result: T, code: Code) -> Vec<Overload> {
    each(|kind| Overload::new(vec![is(ty(kind))], Returns::Is(result.clone()), code))
}

/// Overloads of `lower` and `upper`.
pub(super) fn bound_overloads(upper: bool) -> Vec<Overload> {
    let code: Code = if upper { |args| bound(args, true) } else { |args| bound(args, false) };
    each(|kind| Overload::new(vec![is(ty(kind))], Returns::Is(kind.element()), code))
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let with_values = |turned: bool, ranges: Code, value: Code| {
        let mut all = pairs(Some(T::Boolean), ranges);
        all.extend(each(|kind| {
            let (range, element) = (is(ty(kind)), is(kind.element()));
            let takes = if turned { vec![element, range] } else { vec![range, element] };
            Overload::new(takes, Returns::Is(T::Boolean), value)
        }));
        all
    };
    let boolean = |code: Code| pairs(Some(T::Boolean), code);
    let mut all = vec![
        operator(
            "cairn_range_contains",
            "@>",
            with_values(
                false,
                |args| test(args, Range::contains),
                |args| Ok(Value::Boolean(range(args, 0)?.holds(&args.values[1]))),
            ),
        ),
        operator(
            "cairn_range_contained",
            "<@",
            with_values(
                true,
                |args| test(args, |a, b| b.contains(a)),
                |args| Ok(Value::Boolean(range(args, 1)?.holds(&args.values[0]))),
            ),
        ),
        operator("cairn_range_overlaps", "&&", boolean(|args| test(args, Range::overlaps))),
        operator("cairn_range_before", "<<", boolean(|args| test(args, Range::is_before))),
        operator("cairn_range_after", ">>", boolean(|args| test(args, |a, b| b.is_before(a)))),
        operator("cairn_range_overleft", "&<", boolean(|args| test(args, Range::ends_within))),
        operator("cairn_range_overright", "&>", boolean(|args| test(args, Range::begins_within))),
        operator("cairn_range_adjacent", "-|-", boolean(|args| test(args, Range::is_adjacent))),
        operator("cairn_range_union", "+", pairs(None, |args| combined(args, Range::union))),
        operator("cairn_range_minus", "-", pairs(None, |args| combined(args, Range::difference))),
        operator(
            "cairn_range_intersect",
            "*",
            pairs(None, |args| combined(args, |a, b| Ok(a.intersection(b)))),
        ),
        function("range_merge", pairs(None, |args| combined(args, |a, b| Ok(a.merge(b))))),
        function("isempty", one(T::Boolean, |args| Ok(Value::Boolean(range(args, 0)?.is_empty())))),
        function("lower_inc", one(T::Boolean, |args| side(args, false, |b| matches!(b, Bound::Included(_))))),
        function("upper_inc", one(T::Boolean, |args| side(args, true, |b| matches!(b, Bound::Included(_))))),
        function("lower_inf", one(T::Boolean, |args| side(args, false, |b| matches!(b, Bound::Unbounded)))),
        function("upper_inf", one(T::Boolean, |args| side(args, true, |b| matches!(b, Bound::Unbounded)))),
    ];
    // Its sister `upper` stands with the other functions of text.
    let lower = Overload::new(vec![is(T::Text)], Returns::Is(T::Text), |args| {
        Ok(Value::Text(args.text(0)?.to_lowercase()))
    });
    let lower = std::iter::once(lower.native(string::lower())).chain(bound_overloads(false));
    all.push(function("lower", lower.collect()));
    for kind in RangeKind::ALL {
        let made = Overload::new(
            vec![is(kind.element()), is(kind.element()), is(T::Text)],
            Returns::Is(ty(kind)),
            construct,
        );
        all.push(function(kind.name(), vec![made.optional(1).with_nulls()]));
    }
    all
}

/// The kind of range that an argument or the result is.
fn kind_of(ty: &T) -> Result<RangeKind> {
    match ty {
        T::Coded(Coded::Range(kind)) => Ok(*kind),
        _ => Err(Error::internal("no range")),
    }
}

fn range(args: &Args<'_>, at: usize) -> Result<Range> {
    let kind = kind_of(&args.types[at])?;
    match &args.values[at] {
        Value::Coded { code, .. } => {
            Range::from_code(code, kind).ok_or_else(|| Error::new("XX001", "the code of a range is damaged"))
        }
        _ => Err(Error::internal("no range")),
    }
}

fn value(range: &Range, kind: RangeKind) -> Result<Value> {
    Ok(Value::Coded { ty: Coded::Range(kind), code: range.to_code(kind)? })
}

fn test(args: &Args<'_>, code: fn(&Range, &Range) -> bool) -> Result<Value> {
    Ok(Value::Boolean(code(&range(args, 0)?, &range(args, 1)?)))
}

fn combined(
    args: &Args<'_>,
    code: fn(&Range, &Range) -> std::result::Result<Range, cairn_types::TypeError>,
) -> Result<Value> {
    value(&code(&range(args, 0)?, &range(args, 1)?)?, kind_of(args.result)?)
}

fn side(args: &Args<'_>, upper: bool, test: fn(&Bound<Value>) -> bool) -> Result<Value> {
    let range = range(args, 0)?;
    let holds = range.bounds().is_some_and(|(low, high)| test(if upper { high } else { low }));
    Ok(Value::Boolean(holds))
}

fn bound(args: &Args<'_>, upper: bool) -> Result<Value> {
    let range = range(args, 0)?;
    Ok(match range.bounds().map(|(low, high)| if upper { high } else { low }) {
        Some(Bound::Included(value) | Bound::Excluded(value)) => value.clone(),
        _ => Value::Null,
    })
}

/// `int4range(1, 5, '[]')`: NULL for a bound is none.
fn construct(args: &Args<'_>) -> Result<Value> {
    let kind = kind_of(args.result)?;
    let flags = match args.values.get(2) {
        None => "[)",
        Some(Value::Null) => {
            return Err(Error::new("22000", "range constructor flags argument must not be null"));
        }
        Some(_) => args.text(2)?,
    };
    let (low, high) = match flags {
        "[)" => (true, false),
        "[]" => (true, true),
        "(]" => (false, true),
        "()" => (false, false),
        _ => {
            return Err(Error::new("42601", "invalid range bound flags")
                .with_hint("Valid values are \"[]\", \"[)\", \"(]\", and \"()\"."));
        }
    };
    let bound = |at: usize, included: bool| -> Result<Bound<Value>> {
        Ok(match args.values[at].clone() {
            Value::Null => Bound::Unbounded,
            own => {
                let own = own.fit(&kind.element())?;
                if included { Bound::Included(own) } else { Bound::Excluded(own) }
            }
        })
    };
    value(&Range::new(kind, bound(0, low)?, bound(1, high)?)?, kind)
}
