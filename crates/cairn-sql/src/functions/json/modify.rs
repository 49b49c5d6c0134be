//! Functions that change a JSONB value: `jsonb_set`, `jsonb_set_lax`, `jsonb_insert`, `jsonb_strip_nulls`,
//! `jsonb_pretty` and their kin.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;

use super::tree::{Json, Kind, Node, write_string};
use crate::functions::overload::{Args, Code, Overload, Returns, function, is};
use crate::{Error, Result};

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let texts = || is(T::Array(Box::new(T::Text)));
    let changing = |more: Vec<T>, code: Code| {
        let optional = more.len();
        let mut takes = vec![is(T::Jsonb), texts(), is(T::Jsonb)];
        takes.extend(more.into_iter().map(is));
        vec![Overload::new(takes, Returns::Is(T::Jsonb), code).optional(optional)]
    };
    let lax = changing(vec![T::Boolean, T::Text], set_lax).into_iter().map(Overload::with_nulls).collect();
    vec![
        function(
            "jsonb_set",
            changing(vec![T::Boolean], |args| {
                let value = Json::parse(args.text(2)?)?;
                set(args, value, args.bool_or(3, true)?)
            }),
        ),
        function("jsonb_set_lax", lax),
        function("jsonb_insert", changing(vec![T::Boolean], insert)),
        function(
            "jsonb_strip_nulls",
            vec![Overload::new(vec![is(T::Jsonb)], Returns::Is(T::Jsonb), |args| {
                let mut json = Json::parse(args.text(0)?)?;
                strip_nulls(&mut json);
                Ok(Value::Jsonb(json.to_jsonb()?))
            })],
        ),
        function(
            "json_strip_nulls",
            vec![Overload::new(vec![is(T::Json)], Returns::Is(T::Json), |args| {
                let mut out = String::new();
                write_stripped(&Node::parse(args.text(0)?)?, &mut out);
                Ok(Value::Json(out))
            })],
        ),
        function(
            "jsonb_pretty",
            vec![Overload::new(vec![is(T::Jsonb)], Returns::Is(T::Text), |args| {
                let mut out = String::new();
                pretty(&Node::parse(args.text(0)?)?, 0, &mut out);
                Ok(Value::Text(out))
            })],
        ),
    ]
}

/// A path of keys and places.
///
/// # Errors
/// `22004` for NULL in it.
pub(super) fn path<'a>(args: &'a Args<'_>, at: usize) -> Result<Vec<&'a str>> {
    let items = args.array(at)?.iter().enumerate();
    items
        .map(|(place, item)| {
            item.as_str()
                .ok_or_else(|| Error::new("22004", format!("path element at position {} is null", place + 1)))
        })
        .collect()
}

fn place(step: &str, number: usize) -> Result<i64> {
    step.trim().parse().map_err(|_| {
        Error::new("22P02", format!("path element at position {number} is not an integer: \"{step}\""))
    })
}

fn is_scalar(json: &Json) -> bool {
    !matches!(json, Json::Array(_) | Json::Object(_))
}

/// Takes away what a path leads to.
pub(super) fn delete_at(json: &mut Json, path: &[&str], number: usize) -> Result<()> {
    let [step, rest @ ..] = path else { return Ok(()) };
    match json {
        Json::Object(members) => {
            if rest.is_empty() {
                members.retain(|(key, _)| key != step);
            } else if let Some((_, inner)) = members.iter_mut().find(|(key, _)| key == step) {
                delete_at(inner, rest, number + 1)?;
            }
        }
        Json::Array(items) => {
            let index = place(step, number)?;
            let at = if index < 0 { index + items.len() as i64 } else { index };
            let Some(at) = usize::try_from(at).ok().filter(|at| *at < items.len()) else { return Ok(()) };
            if rest.is_empty() {
                items.remove(at);
            } else {
                delete_at(&mut items[at], rest, number + 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// What is done at the end of a path.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    /// Replaces what is there; puts it where nothing is, if asked.
    Set { create: bool },
    /// Puts it before or after what is there.
    Insert { after: bool },
}

fn change_at(json: &mut Json, path: &[&str], value: &Json, change: Change, number: usize) -> Result<()> {
    let [step, rest @ ..] = path else { return Ok(()) };
    match json {
        Json::Object(members) => {
            let found = members.iter_mut().find(|(key, _)| key == step);
            match (found, rest.is_empty(), change) {
                (Some((_, inner)), false, _) => change_at(inner, rest, value, change, number + 1)?,
                (Some((_, inner)), true, Change::Set { .. }) => *inner = value.clone(),
                (Some(_), true, Change::Insert { .. }) => {
                    return Err(Error::new("22023", "cannot replace existing key")
                        .with_hint("Try using the function jsonb_set to replace key value."));
                }
                (None, true, Change::Set { create: true } | Change::Insert { .. }) => {
                    members.push(((*step).to_owned(), value.clone()));
                }
                _ => {}
            }
        }
        Json::Array(items) => {
            let index = place(step, number)?;
            let length = items.len() as i64;
            let at = if index < 0 { index + length } else { index };
            let within = (0..length).contains(&at);
            if !rest.is_empty() {
                if within {
                    change_at(&mut items[at as usize], rest, value, change, number + 1)?;
                }
                return Ok(());
            }
            match change {
                Change::Set { .. } if within => items[at as usize] = value.clone(),
                Change::Set { create: false } => {}
                Change::Insert { after } if within => {
                    items.insert(at as usize + usize::from(after), value.clone());
                }
                _ if at < 0 => items.insert(0, value.clone()),
                _ => items.push(value.clone()),
            }
        }
        _ => {}
    }
    Ok(())
}

fn set(args: &Args<'_>, value: Json, create: bool) -> Result<Value> {
    change(args, &value, Change::Set { create })
}

fn change(args: &Args<'_>, value: &Json, change: Change) -> Result<Value> {
    let mut json = Json::parse(args.text(0)?)?;
    if is_scalar(&json) {
        return Err(Error::new("22023", "cannot set path in scalar"));
    }
    let path = path(args, 1)?;
    change_at(&mut json, &path, value, change, 1)?;
    Ok(Value::Jsonb(json.to_jsonb()?))
}

fn insert(args: &Args<'_>) -> Result<Value> {
    let value = Json::parse(args.text(2)?)?;
    change(args, &value, Change::Insert { after: args.bool_or(3, false)? })
}

/// As `jsonb_set`, but for a new value of NULL.
fn set_lax(args: &Args<'_>) -> Result<Value> {
    if args.values[0].is_null() || args.values[1].is_null() || args.values.get(3).is_some_and(Value::is_null)
    {
        return Ok(Value::Null);
    }
    let create = args.bool_or(3, true)?;
    if !args.values[2].is_null() {
        return set(args, Json::parse(args.text(2)?)?, create);
    }
    if args.values.get(4).is_some_and(Value::is_null) {
        return Err(Error::new(
            "22004",
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        ));
    }
    match args.text_or(4, "use_json_null")? {
        "use_json_null" => set(args, Json::Null, create),
        "return_target" => Ok(args.values[0].clone()),
        "raise_exception" => Err(Error::new("22004", "JSON value must not be null")
            .with_detail("Exception was raised because null_value_treatment is \"raise_exception\".")),
        "delete_key" => {
            let mut json = Json::parse(args.text(0)?)?;
            delete_at(&mut json, &path(args, 1)?, 1)?;
            Ok(Value::Jsonb(json.to_jsonb()?))
        }
        _ => Err(Error::new(
            "22023",
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        )),
    }
}

fn strip_nulls(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(strip_nulls),
        Json::Object(members) => {
            members.retain(|(_, value)| !matches!(value, Json::Null));
            members.iter_mut().for_each(|(_, value)| strip_nulls(value));
        }
        _ => {}
    }
}

/// JSON without members that are null, and without blanks.
fn write_stripped(node: &Node<'_>, out: &mut String) {
    match &node.kind {
        Kind::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write_stripped(item, out);
            }
            out.push(']');
        }
        Kind::Object(members) => {
            out.push('{');
            let kept = members.iter().filter(|(_, value)| !matches!(value.kind, Kind::Null));
            for (at, (key, value)) in kept.enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write_string(key, out);
                out.push(':');
                write_stripped(value, out);
            }
            out.push('}');
        }
        Kind::Text(text) => write_string(text, out),
        _ => out.push_str(node.raw),
    }
}

fn pretty(node: &Node<'_>, depth: usize, out: &mut String) {
    let indent = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    match &node.kind {
        Kind::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                indent(depth + 1, out);
                pretty(item, depth + 1, out);
            }
            indent(depth, out);
            out.push(']');
        }
        Kind::Object(members) => {
            out.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                indent(depth + 1, out);
                write_string(key, out);
                out.push_str(": ");
                pretty(value, depth + 1, out);
            }
            indent(depth, out);
            out.push('}');
        }
        _ => out.push_str(node.raw),
    }
}
