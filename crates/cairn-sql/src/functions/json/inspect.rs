//! Functions that look into JSON: types, lengths, keys, parts, and the lists behind functions that yield sets.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::strings;
use super::tree::{Kind, Node, write_string};
use crate::functions::overload::{Args, Code, Overload, Returns, function, is};
use crate::{Error, Result};

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let list = |ty: T| T::Array(Box::new(ty));
    let one = |own: T, result: T, code: Code| vec![Overload::new(vec![is(own)], Returns::Is(result), code)];
    let mut all = vec![
        function(
            "json_object",
            vec![
                Overload::new(vec![is(list(T::Text))], Returns::Is(T::Json), |args| {
                    pairs(args).map(Value::Json)
                }),
                Overload::new(vec![is(list(T::Text)), is(list(T::Text))], Returns::Is(T::Json), |args| {
                    zipped(args).map(Value::Json)
                }),
            ],
        ),
        function(
            "jsonb_object",
            vec![
                Overload::new(vec![is(list(T::Text))], Returns::Is(T::Jsonb), |args| {
                    Ok(Value::Jsonb(cairn_types::json::normalise(&pairs(args)?)?))
                }),
                Overload::new(vec![is(list(T::Text)), is(list(T::Text))], Returns::Is(T::Jsonb), |args| {
                    Ok(Value::Jsonb(cairn_types::json::normalise(&zipped(args)?)?))
                }),
            ],
        ),
        function(
            "cairn_is_json",
            [T::Text, T::Json, T::Jsonb, T::Bytea]
                .into_iter()
                .map(|own| {
                    Overload::new(vec![is(own), is(T::Text), is(T::Text)], Returns::Is(T::Boolean), is_json)
                })
                .collect(),
        ),
        function(
            "cairn_json_texts",
            one(T::Json, list(T::Text), |args| {
                let node = Node::parse(args.text(0)?)?;
                let Kind::Array(items) = &node.kind else { return Ok(Value::Null) };
                Ok(Value::Array(
                    items.iter().map(|item| item.as_text().map_or(Value::Null, Value::Text)).collect(),
                ))
            }),
        ),
        function(
            "cairn_json_array_text",
            vec![
                Overload::new(vec![is(T::Json)], Returns::Is(T::Text), array_literal),
                Overload::new(vec![is(T::Jsonb)], Returns::Is(T::Text), array_literal),
            ],
        ),
    ];
    for (own, names) in [(T::Json, JSON), (T::Jsonb, JSONB)] {
        let [kind, length, path, path_text, elements, elements_text, each, each_text, keys] = names;
        let variadic = |result: T, code: Code| {
            vec![Overload::new(vec![is(own.clone()), is(T::Text)], Returns::Is(result), code).variadic()]
        };
        all.push(function(
            kind,
            one(own.clone(), T::Text, |args| {
                Ok(Value::Text(Node::parse(args.text(0)?)?.type_name().to_owned()))
            }),
        ));
        all.push(function(length, one(own.clone(), T::Integer, array_length)));
        all.push(function(path, variadic(own.clone(), |args| extract(args, false))));
        all.push(function(path_text, variadic(T::Text, |args| extract(args, true))));
        all.push(function(elements, one(own.clone(), list(own.clone()), |args| array_elements(args, false))));
        all.push(function(elements_text, one(own.clone(), list(T::Text), |args| array_elements(args, true))));
        all.push(function(each, one(own.clone(), list(T::Json), |args| members(args, false))));
        all.push(function(each_text, one(own.clone(), list(T::Json), |args| members(args, true))));
        all.push(function(keys, one(own, list(T::Text), object_keys)));
    }
    all
}

const JSON: [&str; 9] = [
    "json_typeof",
    "json_array_length",
    "json_extract_path",
    "json_extract_path_text",
    "cairn_set_json_array_elements",
    "cairn_set_json_array_elements_text",
    "cairn_set_json_each",
    "cairn_set_json_each_text",
    "cairn_set_json_object_keys",
];
const JSONB: [&str; 9] = [
    "jsonb_typeof",
    "jsonb_array_length",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "cairn_set_jsonb_array_elements",
    "cairn_set_jsonb_array_elements_text",
    "cairn_set_jsonb_each",
    "cairn_set_jsonb_each_text",
    "cairn_set_jsonb_object_keys",
];

fn of_type(own: &T, raw: &str) -> Value {
    match own {
        T::Jsonb => Value::Jsonb(raw.to_owned()),
        _ => Value::Json(raw.to_owned()),
    }
}

fn array_length(args: &Args<'_>) -> Result<Value> {
    let node = Node::parse(args.text(0)?)?;
    match &node.kind {
        Kind::Array(items) => Ok(Value::Integer(items.len() as i32)),
        Kind::Object(_) => Err(Error::new("22023", "cannot get array length of a non-array")),
        _ => Err(Error::new("22023", "cannot get array length of a scalar")),
    }
}

fn extract(args: &Args<'_>, text: bool) -> Result<Value> {
    let Some(path) = strings(&args.values[1..]) else { return Ok(Value::Null) };
    let node = Node::parse(args.text(0)?)?;
    Ok(match node.at_path(&path) {
        None => Value::Null,
        Some(part) if text => part.as_text().map_or(Value::Null, Value::Text),
        Some(part) => of_type(&args.types[0], part.raw),
    })
}

fn array_elements(args: &Args<'_>, text: bool) -> Result<Value> {
    let node = Node::parse(args.text(0)?)?;
    let Kind::Array(items) = &node.kind else {
        let name = if text { "json_array_elements_text" } else { "json_array_elements" };
        return Err(Error::new(
            "22023",
            match (&args.types[0], &node.kind) {
                (T::Jsonb, Kind::Object(_)) => "cannot extract elements from an object".to_owned(),
                (T::Jsonb, _) => "cannot extract elements from a scalar".to_owned(),
                (_, Kind::Object(_)) => format!("cannot call {name} on a non-array"),
                _ => format!("cannot call {name} on a scalar"),
            },
        ));
    };
    let element = |item: &Node<'_>| match text {
        true => item.as_text().map_or(Value::Null, Value::Text),
        false => of_type(&args.types[0], item.raw),
    };
    Ok(Value::Array(items.iter().map(element).collect()))
}

/// The members of an object as arrays of key and value.
fn members(args: &Args<'_>, text: bool) -> Result<Value> {
    let node = Node::parse(args.text(0)?)?;
    let Kind::Object(members) = &node.kind else {
        return Err(match node.kind {
            _ if args.types[0] == T::Jsonb => {
                let name = if text { "jsonb_each_text" } else { "jsonb_each" };
                Error::new("22023", format!("cannot call {name} on a non-object"))
            }
            Kind::Array(_) => Error::new("22023", "cannot deconstruct an array as an object"),
            _ => Error::new("22023", "cannot deconstruct a scalar"),
        });
    };
    let pair = |(key, value): &(std::borrow::Cow<'_, str>, Node<'_>)| {
        let mut out = String::from("[");
        write_string(key, &mut out);
        out.push(',');
        match (text, value.as_text()) {
            (true, Some(text)) => write_string(&text, &mut out),
            _ => out.push_str(value.raw),
        }
        out.push(']');
        Value::Json(out)
    };
    Ok(Value::Array(members.iter().map(pair).collect()))
}

fn object_keys(args: &Args<'_>) -> Result<Value> {
    let name = if args.types[0] == T::Jsonb { "jsonb_object_keys" } else { "json_object_keys" };
    let node = Node::parse(args.text(0)?)?;
    let Kind::Object(members) = &node.kind else {
        return Err(match node.kind {
            Kind::Array(_) => Error::new("22023", format!("cannot call {name} on an array")),
            _ => Error::new("22023", format!("cannot call {name} on a scalar")),
        });
    };
    Ok(Value::Array(members.iter().map(|(key, _)| Value::Text(key.to_string())).collect()))
}

fn write_pairs<'v>(pairs: impl Iterator<Item = (&'v Value, &'v Value)>) -> Result<String> {
    let mut out = String::from("{");
    for (at, (key, value)) in pairs.enumerate() {
        out.push_str(if at > 0 { ", " } else { "" });
        let key = key.as_str().ok_or_else(|| Error::new("22004", "null value not allowed for object key"))?;
        write_string(key, &mut out);
        out.push_str(" : ");
        match value.as_str() {
            Some(text) => write_string(text, &mut out),
            None => out.push_str("null"),
        }
    }
    out.push('}');
    Ok(out)
}

/// `json_object('{a, 1, b, 2}')`, also of pairs.
fn pairs(args: &Args<'_>) -> Result<String> {
    let items = args.array(0)?;
    let flat: Vec<&Value> = match items.first() {
        Some(Value::Array(_)) => {
            let mut flat = Vec::new();
            for item in items {
                let Value::Array(pair) = item else { continue };
                if pair.len() != 2 {
                    return Err(Error::new("2202E", "array must have two columns"));
                }
                flat.extend(pair.iter());
            }
            flat
        }
        _ => items.iter().collect(),
    };
    if flat.len() % 2 == 1 {
        return Err(Error::new("2202E", "array must have even number of elements"));
    }
    write_pairs(flat.chunks_exact(2).map(|pair| (pair[0], pair[1])))
}

fn zipped(args: &Args<'_>) -> Result<String> {
    let (keys, values) = (args.array(0)?, args.array(1)?);
    if keys.len() != values.len() {
        return Err(Error::new("2202E", "mismatched array dimensions"));
    }
    write_pairs(keys.iter().zip(values))
}

/// A JSON array as SQL writes one.
fn array_literal(args: &Args<'_>) -> Result<Value> {
    fn write(node: &Node<'_>, out: &mut String) {
        match &node.kind {
            Kind::Array(items) => {
                out.push('{');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    write(item, out);
                }
                out.push('}');
            }
            Kind::Null => out.push_str("NULL"),
            _ => {
                let text = node.as_text().unwrap_or_default();
                out.push_str(&format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
            }
        }
    }
    let node = Node::parse(args.text(0)?)?;
    match node.kind {
        Kind::Null => return Ok(Value::Null),
        Kind::Array(_) => {}
        _ => return Err(Error::new("22P02", "expected JSON array")),
    }
    let mut out = String::new();
    write(&node, &mut out);
    Ok(Value::Text(out))
}

/// `text IS JSON kind [WITH UNIQUE KEYS]`.
fn is_json(args: &Args<'_>) -> Result<Value> {
    let text = match &args.values[0] {
        Value::Bytea(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => return Ok(Value::Boolean(false)),
        },
        other => other.as_str().unwrap_or_default(),
    };
    let Ok(node) = Node::parse(text) else { return Ok(Value::Boolean(false)) };
    let is_kind = match args.text(1)? {
        "array" => matches!(node.kind, Kind::Array(_)),
        "object" => matches!(node.kind, Kind::Object(_)),
        "scalar" => !matches!(node.kind, Kind::Array(_) | Kind::Object(_)),
        _ => true,
    };
    Ok(Value::Boolean(is_kind && (args.text(2)? != "unique" || has_unique_keys(&node))))
}

fn has_unique_keys(node: &Node) -> bool {
    match &node.kind {
        Kind::Array(items) => items.iter().all(has_unique_keys),
        Kind::Object(members) => {
            let mut seen = std::collections::HashSet::new();
            members.iter().all(|(key, value)| seen.insert(&**key) && has_unique_keys(value))
        }
        _ => true,
    }
}
