//! The operators of JSON and JSONB, and the functions that take a value apart.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::tree::{Json, Kind, Node, compare, sort_key};
use super::{path, strings};
use crate::functions::overload::{Args, Code, Overload, Returns, function, is, operator};
use crate::{Error, Result};

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let texts = || T::Array(Box::new(T::Text));
    let both = |second: T, result: Option<T>, code: Code| {
        [T::Json, T::Jsonb].map(|own| {
            let returns = result.clone().unwrap_or_else(|| own.clone());
            Overload::new(vec![is(own), is(second.clone())], Returns::Is(returns), code)
        })
    };
    let jsonb = |second: T, result: T, code: Code| {
        Overload::new(vec![is(T::Jsonb), is(second)], Returns::Is(result), code)
    };
    let get: Vec<Overload> =
        both(T::Text, None, get_field).into_iter().chain(both(T::BigInt, None, get_element)).collect();
    let get_text: Vec<Overload> = both(T::Text, Some(T::Text), get_field_text)
        .into_iter()
        .chain(both(T::BigInt, Some(T::Text), get_element_text))
        .collect();
    vec![
        operator("cairn_json_get", "->", get),
        operator("cairn_json_get_text", "->>", get_text),
        operator("cairn_json_path", "#>", both(texts(), None, get_path).to_vec()),
        operator("cairn_json_path_text", "#>>", both(texts(), Some(T::Text), get_path_text).to_vec()),
        operator("cairn_jsonb_contains", "@>", vec![jsonb(T::Jsonb, T::Boolean, contains)]),
        operator("cairn_jsonb_contained", "<@", vec![jsonb(T::Jsonb, T::Boolean, contained)]),
        operator("cairn_jsonb_exists", "?", vec![jsonb(T::Text, T::Boolean, exists)]),
        operator("cairn_jsonb_exists_any", "?|", vec![jsonb(texts(), T::Boolean, exists_any)]),
        operator("cairn_jsonb_exists_all", "?&", vec![jsonb(texts(), T::Boolean, exists_all)]),
        operator("cairn_jsonb_concat", "||", vec![jsonb(T::Jsonb, T::Jsonb, concat)]),
        operator(
            "cairn_jsonb_delete",
            "-",
            vec![
                jsonb(T::Text, T::Jsonb, delete_key),
                jsonb(texts(), T::Jsonb, delete_keys),
                jsonb(T::Integer, T::Jsonb, delete_element),
            ],
        ),
        operator("cairn_jsonb_delete_path", "#-", vec![jsonb(texts(), T::Jsonb, delete_path)]),
        operator("cairn_jsonb_path_exists", "@?", vec![jsonb(T::Text, T::Boolean, path::exists_operator)]),
        operator("cairn_jsonb_path_match", "@@", vec![jsonb(T::Text, T::Boolean, path::match_operator)]),
        function(
            "cairn_interval_key",
            vec![Overload::new(
                vec![is(T::Interval(None))],
                Returns::Is(T::Numeric(Some((38, 0)))),
                |args| Ok(Value::Numeric(cairn_types::Decimal::new(args.interval(0)?.comparison_nanos(), 0))),
            )],
        ),
        function(
            "cairn_jsonb_key_text",
            vec![Overload::new(vec![is(T::Jsonb)], Returns::Is(T::Text), |args| {
                let key = sort_key(&Node::parse(args.text(0)?)?);
                Ok(Value::Text(key.iter().map(|byte| format!("{byte:02x}")).collect()))
            })],
        ),
        function(
            "cairn_jsonb_key",
            vec![Overload::new(vec![is(T::Jsonb)], Returns::Is(T::Bytea), |args| {
                Ok(Value::Bytea(sort_key(&Node::parse(args.text(0)?)?)))
            })],
        ),
    ]
}

fn node<'a>(args: &'a Args<'_>) -> Result<Node<'a>> {
    Node::parse(args.text(0)?)
}

/// A part, of the type of the whole.
fn part(args: &Args<'_>, part: Option<&Node<'_>>) -> Value {
    match part {
        None => Value::Null,
        Some(node) if args.types[0] == T::Jsonb => Value::Jsonb(node.raw.to_owned()),
        Some(node) => Value::Json(node.raw.to_owned()),
    }
}

fn part_text(part: Option<&Node<'_>>) -> Value {
    part.and_then(Node::as_text).map_or(Value::Null, Value::Text)
}

fn get_field(args: &Args<'_>) -> Result<Value> {
    Ok(part(args, node(args)?.field(args.text(1)?)))
}

fn get_element(args: &Args<'_>) -> Result<Value> {
    Ok(part(args, node(args)?.element(args.int(1)?)))
}

fn get_field_text(args: &Args<'_>) -> Result<Value> {
    Ok(part_text(node(args)?.field(args.text(1)?)))
}

fn get_element_text(args: &Args<'_>) -> Result<Value> {
    Ok(part_text(node(args)?.element(args.int(1)?)))
}

fn get_path(args: &Args<'_>) -> Result<Value> {
    let Some(path) = strings(args.array(1)?) else { return Ok(Value::Null) };
    Ok(part(args, node(args)?.at_path(&path)))
}

fn get_path_text(args: &Args<'_>) -> Result<Value> {
    let Some(path) = strings(args.array(1)?) else { return Ok(Value::Null) };
    Ok(part_text(node(args)?.at_path(&path)))
}

fn contains(args: &Args<'_>) -> Result<Value> {
    Ok(Value::Boolean(holds(&node(args)?, &Node::parse(args.text(1)?)?, true)))
}

fn contained(args: &Args<'_>) -> Result<Value> {
    Ok(Value::Boolean(holds(&Node::parse(args.text(1)?)?, &node(args)?, true)))
}

/// Whether `a` contains `b`: objects by members, arrays as sets; at the top an array also contains a scalar.
fn holds(a: &Node<'_>, b: &Node<'_>, top: bool) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Object(_), Kind::Object(wanted)) => {
            wanted.iter().all(|(key, value)| a.field(key).is_some_and(|own| holds(own, value, false)))
        }
        (Kind::Array(items), Kind::Array(wanted)) => {
            wanted.iter().all(|value| items.iter().any(|item| holds(item, value, false)))
        }
        (Kind::Array(_), Kind::Object(_)) => false,
        (Kind::Array(items), _) if top => items.iter().any(|item| compare(item, b).is_eq()),
        (Kind::Array(_) | Kind::Object(_), _) | (_, Kind::Array(_) | Kind::Object(_)) => false,
        _ => compare(a, b).is_eq(),
    }
}

fn has(node: &Node<'_>, key: &str) -> bool {
    match &node.kind {
        Kind::Object(_) => node.field(key).is_some(),
        Kind::Array(items) => items.iter().any(|item| matches!(&item.kind, Kind::Text(text) if text == key)),
        Kind::Text(text) => text == key,
        _ => false,
    }
}

fn exists(args: &Args<'_>) -> Result<Value> {
    Ok(Value::Boolean(has(&node(args)?, args.text(1)?)))
}

fn exists_any(args: &Args<'_>) -> Result<Value> {
    let node = node(args)?;
    Ok(Value::Boolean(args.array(1)?.iter().filter_map(Value::as_str).any(|key| has(&node, key))))
}

fn exists_all(args: &Args<'_>) -> Result<Value> {
    let node = node(args)?;
    Ok(Value::Boolean(args.array(1)?.iter().filter_map(Value::as_str).all(|key| has(&node, key))))
}

fn concat(args: &Args<'_>) -> Result<Value> {
    let (a, b) = (Json::parse(args.text(0)?)?, Json::parse(args.text(1)?)?);
    let joined = match (a, b) {
        (Json::Object(mut a), Json::Object(b)) => {
            a.extend(b);
            Json::Object(a)
        }
        (a, b) => {
            let items = |json| match json {
                Json::Array(items) => items,
                other => vec![other],
            };
            let (mut a, b) = (items(a), items(b));
            a.extend(b);
            Json::Array(a)
        }
    };
    Ok(Value::Jsonb(joined.to_jsonb()?))
}

fn delete_key(args: &Args<'_>) -> Result<Value> {
    delete(args, &[args.text(1)?])
}

fn delete_keys(args: &Args<'_>) -> Result<Value> {
    let keys: Vec<&str> = args.array(1)?.iter().filter_map(Value::as_str).collect();
    delete(args, &keys)
}

fn delete(args: &Args<'_>, keys: &[&str]) -> Result<Value> {
    let mut json = Json::parse(args.text(0)?)?;
    match &mut json {
        Json::Object(members) => members.retain(|(key, _)| !keys.contains(&key.as_str())),
        Json::Array(items) => {
            items.retain(|item| !matches!(item, Json::Text(text) if keys.contains(&text.as_str())));
        }
        _ => return Err(Error::new("22023", "cannot delete from scalar")),
    }
    Ok(Value::Jsonb(json.to_jsonb()?))
}

fn delete_element(args: &Args<'_>) -> Result<Value> {
    let mut json = Json::parse(args.text(0)?)?;
    match &mut json {
        Json::Array(items) => {
            let index = args.int(1)?;
            let at = if index < 0 { index + items.len() as i64 } else { index };
            if let Ok(at) = usize::try_from(at)
                && at < items.len()
            {
                items.remove(at);
            }
        }
        Json::Object(_) => return Err(Error::new("22023", "cannot delete from object using integer index")),
        _ => return Err(Error::new("22023", "cannot delete from scalar")),
    }
    Ok(Value::Jsonb(json.to_jsonb()?))
}

fn delete_path(args: &Args<'_>) -> Result<Value> {
    let mut json = Json::parse(args.text(0)?)?;
    if matches!(json, Json::Null | Json::Boolean(_) | Json::Number(_) | Json::Text(_)) {
        return Err(Error::new("22023", "cannot delete path in scalar"));
    }
    let path = super::modify::path(args, 1)?;
    if !path.is_empty() {
        super::modify::delete_at(&mut json, &path, 1)?;
    }
    Ok(Value::Jsonb(json.to_jsonb()?))
}
