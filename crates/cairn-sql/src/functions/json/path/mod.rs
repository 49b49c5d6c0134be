//! `jsonpath`: PostgreSQL's SQL/JSON path language ([`parse`], [`evaluate`]), and the functions that run a path.

mod evaluate;
mod methods;
pub(crate) mod moment;
mod parse;

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::tree::{Json, Node};
use crate::functions::overload::{Args, Code, Overload, Returns, function, is, stable};
use crate::{Error, Result};

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let with = |returns: T, code: Code| {
        let takes = vec![is(T::Jsonb), is(T::Text), is(T::Jsonb), is(T::Boolean)];
        vec![Overload::new(takes, Returns::Is(returns), code).optional(2)]
    };
    let mut all = Vec::new();
    all.extend(named::<false>(
        ["jsonb_path_exists", "jsonb_path_match", "jsonb_path_query_array", "jsonb_path_query_first"],
        "cairn_set_jsonb_path_query",
        with,
    ));
    all.extend(named::<true>(
        [
            "jsonb_path_exists_tz",
            "jsonb_path_match_tz",
            "jsonb_path_query_array_tz",
            "jsonb_path_query_first_tz",
        ],
        "cairn_set_jsonb_path_query_tz",
        with,
    ));
    all
}

/// The functions; those that know the session's time zone where `TZ`.
fn named<const TZ: bool>(
    [exists, matches, array, first]: [&'static str; 4],
    query: &'static str,
    with: impl Fn(T, Code) -> Vec<Overload>,
) -> Vec<ScalarUDF> {
    let make = if TZ { stable } else { function };
    vec![
        make(
            exists,
            with(T::Boolean, |args| {
                let found = run::<TZ>(args, silent(args)?)?;
                Ok(found.map_or(Value::Null, |items| Value::Boolean(!items.is_empty())))
            }),
        ),
        make(matches, with(T::Boolean, |args| matched::<TZ>(args, silent(args)?))),
        make(
            array,
            with(T::Jsonb, |args| {
                let items = run::<TZ>(args, silent(args)?)?.unwrap_or_default();
                Ok(Value::Jsonb(Json::Array(items).to_jsonb()?))
            }),
        ),
        make(
            first,
            with(T::Jsonb, |args| match run::<TZ>(args, silent(args)?)?.unwrap_or_default().first() {
                Some(item) => Ok(Value::Jsonb(item.to_jsonb()?)),
                None => Ok(Value::Null),
            }),
        ),
        make(
            query,
            with(T::Array(Box::new(T::Jsonb)), |args| {
                let items = run::<TZ>(args, silent(args)?)?.unwrap_or_default();
                Ok(Value::Array(
                    items.iter().map(|item| Ok(Value::Jsonb(item.to_jsonb()?))).collect::<Result<_>>()?,
                ))
            }),
        ),
    ]
}

fn silent(args: &Args<'_>) -> Result<bool> {
    args.bool_or(3, false)
}

/// `jsonb @? jsonpath`: errors of the data make it NULL.
pub(super) fn exists_operator(args: &Args<'_>) -> Result<Value> {
    Ok(run::<false>(args, true)?.map_or(Value::Null, |items| Value::Boolean(!items.is_empty())))
}

/// `jsonb @@ jsonpath`.
pub(super) fn match_operator(args: &Args<'_>) -> Result<Value> {
    matched::<false>(args, true)
}

fn matched<const TZ: bool>(args: &Args<'_>, silent: bool) -> Result<Value> {
    match run::<TZ>(args, silent)?.as_deref() {
        Some([Json::Boolean(b)]) => Ok(Value::Boolean(*b)),
        Some([Json::Null]) => Ok(Value::Null),
        Some(_) if !silent => Err(Error::new("22038", "single boolean result is expected")),
        _ => Ok(Value::Null),
    }
}

/// Runs a path; `None` where the data made it fail and nobody wants to hear of it.
fn run<const TZ: bool>(args: &Args<'_>, silent: bool) -> Result<Option<Vec<Json>>> {
    let path = parse::parse(args.text(1)?)?;
    let root = Json::parse(args.text(0)?)?;
    let variables = match args.len() > 2 {
        true => match Json::parse(args.text(2)?)? {
            Json::Object(members) => members,
            _ => {
                return Err(Error::new("22023", "\"vars\" argument is not an object").with_detail(
                    "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.",
                ));
            }
        },
        false => Vec::new(),
    };
    match evaluate::evaluate(&path, &root, &variables, TZ.then(|| args.zone())) {
        Ok(items) => Ok(Some(items)),
        Err(error) if silent && error.is_suppressible() => Ok(None),
        Err(error) => Err(error.into_error()),
    }
}

/// Whether two trees are equal.
fn text_of(json: &Json) -> String {
    let mut out = String::new();
    json.write(&mut out);
    out
}

/// The order of two values as JSONB.
fn compare(a: &Json, b: &Json) -> Result<std::cmp::Ordering> {
    let (a, b) = (text_of(a), text_of(b));
    Ok(super::tree::compare(&Node::parse(&a)?, &Node::parse(&b)?))
}
