//! Operators and functions of arrays. Arrays begin at 1 and have as many dimensions as their type says.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::{ScalarUDF, Volatility};

use super::overload::{
    Args, Code, Kind, Overload, Overloaded, Returns, function, is, operator, stable, text_of,
};
use crate::{Error, Result};

/// An array, the empty one where it is NULL: what ARRAY(SELECT …) makes of an aggregate.
pub(crate) const OR_EMPTY: &str = "cairn_array_or_empty";
/// Elements that a function makes, at most.
const ELEMENTS_MAX: i64 = 10_000_000;

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    use Kind::{Array, Element};
    let integers = || T::Array(Box::new(T::Integer));
    let list = |takes: Vec<Kind>, returns: Returns, code: Code| vec![Overload::new(takes, returns, code)];
    let nulls = |takes: Vec<Kind>, returns: Returns, code: Code| {
        vec![Overload::new(takes, returns, code).with_nulls()]
    };
    let boolean = || Returns::Is(T::Boolean);
    let integer = || Returns::Is(T::Integer);
    let mut all = vec![
        operator(
            "cairn_array_contains",
            "@>",
            list(vec![Array, Array], boolean(), |args| {
                Ok(Value::Boolean(contains(args.array(0)?, args.array(1)?)))
            }),
        ),
        operator(
            "cairn_array_contained",
            "<@",
            list(vec![Array, Array], boolean(), |args| {
                Ok(Value::Boolean(contains(args.array(1)?, args.array(0)?)))
            }),
        ),
        operator(
            "cairn_array_overlap",
            "&&",
            list(vec![Array, Array], boolean(), |args| {
                let (a, b) = (flat(args.array(0)?), flat(args.array(1)?));
                Ok(Value::Boolean(a.iter().any(|x| !x.is_null() && b.contains(x))))
            }),
        ),
        operator(
            "cairn_array_concat",
            "||",
            vec![
                Overload::new(vec![Array, Array], Returns::Array, concat).with_nulls(),
                Overload::new(vec![Array, Element], Returns::Array, append).with_nulls(),
                Overload::new(vec![Element, Array], Returns::Array, prepend).with_nulls(),
            ],
        ),
        function(
            OR_EMPTY,
            nulls(vec![Array], Returns::Array, |args| Ok(Value::Array(items(&args.values[0])))),
        ),
        function("array_append", nulls(vec![Array, Element], Returns::Array, append)),
        function("array_prepend", nulls(vec![Element, Array], Returns::Array, prepend)),
        function("array_cat", nulls(vec![Array, Array], Returns::Array, concat)),
        function(
            "array_dims",
            list(vec![Array], Returns::Is(T::Text), |args| {
                let dims = dimensions(args.array(0)?);
                let text: String = dims.iter().map(|count| format!("[1:{count}]")).collect();
                Ok(if dims.is_empty() { Value::Null } else { Value::Text(text) })
            }),
        ),
        function(
            "array_ndims",
            list(vec![Array], integer(), |args| {
                let dims = dimensions(args.array(0)?).len();
                Ok(if dims == 0 { Value::Null } else { Value::Integer(dims as i32) })
            }),
        ),
        function(
            "array_fill",
            vec![
                Overload::new(vec![Element, is(integers()), is(integers())], Returns::Array, fill)
                    .optional(1)
                    .with_nulls(),
            ],
        ),
        function("array_length", list(vec![Array, is(T::Integer)], integer(), length)),
        function(
            "array_upper",
            list(vec![Array, is(T::Integer)], integer(), |args| {
                Ok(match length(args)? {
                    Value::Integer(count) => Value::Integer(count - 1 + args.lower_bound(0)),
                    none => none,
                })
            }),
        ),
        function(
            "array_lower",
            list(vec![Array, is(T::Integer)], integer(), |args| {
                Ok(if length(args)?.is_null() { Value::Null } else { Value::Integer(args.lower_bound(0)) })
            }),
        ),
        function(
            "cardinality",
            list(vec![Array], integer(), |args| Ok(Value::Integer(flat(args.array(0)?).len() as i32))),
        ),
        function(
            "array_position",
            vec![
                Overload::new(vec![Array, Element, is(T::Integer)], integer(), |args| {
                    Ok(positions(args)?.first().map_or(Value::Null, |at| Value::Integer(*at)))
                })
                .optional(1)
                .with_nulls(),
            ],
        ),
        function(
            "array_positions",
            nulls(vec![Array, Element], Returns::Is(integers()), |args| {
                if args.values[0].is_null() {
                    return Ok(Value::Null);
                }
                Ok(Value::Array(positions(args)?.into_iter().map(Value::Integer).collect()))
            }),
        ),
        function(
            "array_remove",
            nulls(vec![Array, Element], Returns::Array, |args| {
                let Value::Array(items) = &args.values[0] else { return Ok(Value::Null) };
                Ok(Value::Array(items.iter().filter(|item| **item != args.values[1]).cloned().collect()))
            }),
        ),
        function(
            "array_replace",
            nulls(vec![Array, Element, Element], Returns::Array, |args| {
                let Value::Array(items) = &args.values[0] else { return Ok(Value::Null) };
                Ok(Value::Array(replace(items, &args.values[1], &args.values[2])))
            }),
        ),
        function(
            "trim_array",
            list(vec![Array, is(T::Integer)], Returns::Array, |args| {
                let (items, count) = (args.array(0)?, args.int(1)?);
                match usize::try_from(count).ok().filter(|count| *count <= items.len()) {
                    Some(count) => Ok(Value::Array(items[..items.len() - count].to_vec())),
                    None => Err(Error::new(
                        "2202E",
                        format!("number of elements to trim must be between 0 and {}", items.len()),
                    )),
                }
            }),
        ),
        stable(
            "array_to_string",
            vec![
                Overload::new(vec![Array, is(T::Text), is(T::Text)], Returns::Is(T::Text), to_string)
                    .optional(1)
                    .with_nulls(),
            ],
        ),
        function(
            "string_to_array",
            vec![
                Overload::new(
                    vec![is(T::Text), is(T::Text), is(T::Text)],
                    Returns::Is(T::Array(Box::new(T::Text))),
                    split,
                )
                .optional(1)
                .with_nulls(),
            ],
        ),
        function(
            "cairn_set_generate_subscripts",
            vec![
                Overload::new(vec![Array, is(T::Integer), is(T::Boolean)], Returns::Is(integers()), |args| {
                    let count = length(args)?.as_i64().unwrap_or(0) as i32;
                    let first = args.lower_bound(0);
                    let all = (first..first + count).map(Value::Integer);
                    Ok(Value::Array(if args.bool_or(2, false)? {
                        all.rev().collect()
                    } else {
                        all.collect()
                    }))
                })
                .optional(1),
            ],
        ),
    ];
    for (name, code) in [("array_shuffle", shuffle as Code), ("array_sample", sample)] {
        let takes = if name == "array_sample" { vec![Array, is(T::Integer)] } else { vec![Array] };
        let overloads = vec![Overload::new(takes, Returns::Array, code)];
        all.push(Overloaded::new(name, overloads, Volatility::Volatile).into());
    }
    all
}

/// The elements of all dimensions.
pub(super) fn flat(items: &[Value]) -> Vec<&Value> {
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::Array(inner) => out.extend(flat(inner)),
            other => out.push(other),
        }
    }
    out
}

fn contains(all: &[Value], wanted: &[Value]) -> bool {
    let all = flat(all);
    flat(wanted).iter().all(|x| !x.is_null() && all.contains(x))
}

/// The length of each dimension; none for an empty array.
fn dimensions(items: &[Value]) -> Vec<usize> {
    let mut dims = Vec::new();
    let mut at = items;
    while let Some(first) = at.first() {
        dims.push(at.len());
        match first {
            Value::Array(inner) => at = inner,
            _ => break,
        }
    }
    dims
}

fn length(args: &Args<'_>) -> Result<Value> {
    let dims = dimensions(args.array(0)?);
    let at = usize::try_from(args.int(1)? - 1).ok();
    Ok(at.and_then(|at| dims.get(at)).map_or(Value::Null, |count| Value::Integer(*count as i32)))
}

fn concat(args: &Args<'_>) -> Result<Value> {
    Ok(match (&args.values[0], &args.values[1]) {
        (Value::Null, other) | (other, Value::Null) => other.clone(),
        (Value::Array(a), Value::Array(b)) => Value::Array(a.iter().chain(b).cloned().collect()),
        _ => return Err(Error::internal("two arrays expected")),
    })
}

fn items(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        _ => Vec::new(),
    }
}

fn append(args: &Args<'_>) -> Result<Value> {
    let mut all = items(&args.values[0]);
    all.push(args.values[1].clone());
    Ok(Value::Array(all))
}

fn prepend(args: &Args<'_>) -> Result<Value> {
    let mut all = items(&args.values[1]);
    all.insert(0, args.values[0].clone());
    Ok(Value::Array(all))
}

fn fill(args: &Args<'_>) -> Result<Value> {
    if args.values[1..].iter().any(Value::is_null) {
        return Err(Error::new("22004", "dimension array or low bound array cannot be null"));
    }
    let counts: Vec<i64> = args.array(1)?.iter().filter_map(Value::as_i64).collect();
    if args.len() > 2 && args.array(2)?.iter().any(|low| low.as_i64() != Some(1)) {
        return Err(Error::unsupported("an array that does not begin at 1"));
    }
    match counts.as_slice() {
        [] => Ok(Value::Array(Vec::new())),
        [count] if (0..=ELEMENTS_MAX).contains(count) => {
            Ok(Value::Array(vec![args.values[0].clone(); *count as usize]))
        }
        [_] => Err(Error::new("54000", format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})"))),
        _ => Err(Error::unsupported("array_fill with more than one dimension")),
    }
}

/// Where an element is, from 1, beginning at the third argument.
fn positions(args: &Args<'_>) -> Result<Vec<i32>> {
    let Value::Array(items) = &args.values[0] else { return Ok(Vec::new()) };
    if matches!(items.first(), Some(Value::Array(_))) {
        return Err(Error::new(
            "0A000",
            "searching for elements in multidimensional arrays is not supported",
        ));
    }
    if args.values.get(2).is_some_and(Value::is_null) {
        return Err(Error::new("22004", "initial position must not be null"));
    }
    let from = args.int_or(2, 1)?;
    let found =
        items.iter().zip(1i32..).filter(|(item, at)| i64::from(*at) >= from && **item == args.values[1]);
    Ok(found.map(|(_, at)| at).collect())
}

fn replace(items: &[Value], from: &Value, to: &Value) -> Vec<Value> {
    let each = |item: &Value| match item {
        Value::Array(inner) => Value::Array(replace(inner, from, to)),
        item if item == from => to.clone(),
        item => item.clone(),
    };
    items.iter().map(each).collect()
}

fn to_string(args: &Args<'_>) -> Result<Value> {
    if args.values[0].is_null() || args.values[1].is_null() {
        return Ok(Value::Null);
    }
    let mut element = &args.types[0];
    while let T::Array(inner) = element {
        element = inner;
    }
    let null = args.values.get(2).and_then(Value::as_str);
    let zone = args.zone();
    let texts: Vec<String> = flat(args.array(0)?)
        .into_iter()
        .filter_map(
            |item| if item.is_null() { null.map(str::to_owned) } else { Some(text_of(item, element, zone)) },
        )
        .collect();
    Ok(Value::Text(texts.join(args.text(1)?)))
}

fn split(args: &Args<'_>) -> Result<Value> {
    if args.values[0].is_null() {
        return Ok(Value::Null);
    }
    let text = args.text(0)?;
    let parts: Vec<String> = match args.values[1].as_str() {
        _ if text.is_empty() => Vec::new(),
        None => text.chars().map(String::from).collect(),
        Some("") => vec![text.to_owned()],
        Some(delimiter) => text.split(delimiter).map(str::to_owned).collect(),
    };
    let null = args.values.get(2).and_then(Value::as_str);
    let value = |part: String| if Some(part.as_str()) == null { Value::Null } else { Value::Text(part) };
    Ok(Value::Array(parts.into_iter().map(value).collect()))
}

fn shuffled(args: &Args<'_>) -> Result<Vec<Value>> {
    let mut items = args.array(0)?.to_vec();
    for at in (1..items.len()).rev() {
        items.swap(at, (super::math::random() * (at + 1) as f64) as usize);
    }
    Ok(items)
}

fn shuffle(args: &Args<'_>) -> Result<Value> {
    Ok(Value::Array(shuffled(args)?))
}

fn sample(args: &Args<'_>) -> Result<Value> {
    let (mut items, count) = (shuffled(args)?, args.int(1)?);
    match usize::try_from(count).ok().filter(|count| *count <= items.len()) {
        Some(count) => {
            items.truncate(count);
            Ok(Value::Array(items))
        }
        None => Err(Error::new("22023", format!("sample size must be between 0 and {}", items.len()))),
    }
}
