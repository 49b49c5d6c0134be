//! Functions with a syntax or a meaning of their own become calls that the planner finds: `EXTRACT`, `OVERLAY`,
//! `SUBSTRING … FROM pattern`, `TRIM`, `OVERLAPS`, ordered-set aggregates, aggregates of JSON, named arguments.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Subscript, TrimWhereField, Value, ValueWithSpan,
};

use super::rewrite::{call, string, take};
use crate::functions::date_field::{EXTRACT, PART};
use crate::functions::like;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Fields of `extract` that the query engine gives as PostgreSQL does.
const PLAIN_FIELDS: &[&str] = &["year", "month", "day", "hour", "minute", "quarter", "week", "doy", "dow"];

/// Rewrites an expression whose parts are rewritten; whether it was one of these.
///
/// # Errors
/// `42883` for arguments with names that a function does not have.
pub(super) fn rewrite(expr: &mut Expr) -> Result<bool> {
    let rewritten = match expr {
        Expr::Extract { field, expr: source, .. } => {
            let field = field.to_string().to_ascii_lowercase();
            let field = field.trim_matches(['\'', '"']);
            let name = if PLAIN_FIELDS.contains(&field) { EXTRACT } else { extracting(field) };
            call(name, vec![string(field), take(source)])
        }
        Expr::Overlay { expr: text, overlay_what, overlay_from, overlay_for } => {
            let mut args = vec![take(text), take(overlay_what), take(overlay_from)];
            args.extend(overlay_for.as_mut().map(|count| take(count)));
            call("overlay", args)
        }
        Expr::Position { expr: part, r#in: text } => call("strpos", vec![take(text), take(part)]),
        Expr::Substring { expr: text, substring_from: Some(from), substring_for, .. } if is_text(from) => {
            let mut args = vec![take(text), take(from)];
            args.extend(substring_for.as_mut().map(|escape| take(escape)));
            call("cairn_substring_regex", args)
        }
        Expr::Substring { expr: text, substring_from, substring_for, .. } => {
            let one = || Expr::Value(Value::Number("1".to_owned(), false).into());
            let mut args = vec![take(text), substring_from.as_mut().map_or_else(one, |from| take(from))];
            args.extend(substring_for.as_mut().map(|count| take(count)));
            call("substr", args)
        }
        Expr::Trim { trim_where, trim_what, expr: text, trim_characters } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            };
            let mut args = vec![take(text)];
            args.extend(trim_what.as_mut().map(|what| take(what)));
            args.extend(trim_characters.iter_mut().flatten().map(take));
            call(name, args)
        }
        Expr::BinaryOp { left, op, right } if row(left).is_some() && row(right).is_some() => {
            let (Some(left), Some(right)) = (row(left), row(right)) else { return Ok(false) };
            match op {
                BinaryOperator::Overlaps if left.len() == 2 && right.len() == 2 => {
                    call("cairn_overlaps", left.into_iter().chain(right).collect())
                }
                op => match compared(left, op, right)? {
                    Some(compared) => compared,
                    None => return Ok(false),
                },
            }
        }
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right)
            if row(left).is_some() && row(right).is_some() =>
        {
            let (left, right) = (row(left).unwrap_or_default(), row(right).unwrap_or_default());
            if left.len() != right.len() {
                return Err(Error::new("42601", "unequal number of entries in row expressions"));
            }
            let pairs = left.into_iter().map(Box::new).zip(right.into_iter().map(Box::new));
            match expr {
                Expr::IsDistinctFrom(..) => {
                    joined(pairs.map(|(a, b)| Expr::IsDistinctFrom(a, b)), BinaryOperator::Or)
                }
                _ => joined(pairs.map(|(a, b)| Expr::IsNotDistinctFrom(a, b)), BinaryOperator::And),
            }
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner) if row(inner).is_some() => {
            let parts = row(inner).unwrap_or_default().into_iter().map(Box::new);
            let null = matches!(expr, Expr::IsNull(_));
            let each = parts.map(|part| if null { Expr::IsNull(part) } else { Expr::IsNotNull(part) });
            joined(each, BinaryOperator::And)
        }
        Expr::BinaryOp { op: BinaryOperator::Overlaps, .. } => {
            return Err(Error::new("42601", "wrong number of parameters on the side of OVERLAPS expression"));
        }
        Expr::Like { negated, any, expr: text, pattern, escape_char }
        | Expr::ILike { negated, any, expr: text, pattern, escape_char }
            if escape_char.is_none() && (*any || all_of(pattern).is_some()) =>
        {
            let all = all_of(pattern);
            let (every, patterns) = (all.is_some(), all.unwrap_or_else(|| take(pattern)));
            let args = vec![take(text), patterns];
            let negated = *negated;
            let any_case = matches!(expr, Expr::ILike { .. });
            call(crate::functions::like::name(every, any_case, negated), args)
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            escaped(pattern, escape_char)?;
            return Ok(false);
        }
        Expr::CompoundFieldAccess { access_chain, .. } => {
            access_chain.iter_mut().for_each(whole_slice);
            return Ok(false);
        }
        Expr::Tuple(parts) => call(crate::functions::composite::ROW, std::mem::take(parts)),
        Expr::Function(function) => return function_call(function).map(|()| false),
        _ => return Ok(false),
    };
    *expr = rewritten;
    Ok(true)
}

/// The array of `ALL (array)`, which the parser takes for a function.
fn all_of(pattern: &Expr) -> Option<Expr> {
    let Expr::Function(function) = pattern else { return None };
    match arguments(function) {
        [array] if function.name.to_string().eq_ignore_ascii_case("all") => plain(array).cloned(),
        _ => None,
    }
}

/// The parts of a row: `(a, b)` or `ROW(a, b)`.
fn row(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(parts) => Some(parts.clone()),
        Expr::Nested(inner) => row(inner),
        Expr::Function(function) if is_row_call(function) => {
            arguments(function).iter().map(|arg| plain(arg).cloned()).collect()
        }
        _ => None,
    }
}

/// Whether a call is `ROW(…)`, which is called otherwise once it is rewritten.
fn is_row_call(function: &Function) -> bool {
    let name = function.name.to_string();
    name.eq_ignore_ascii_case("row") || name == crate::functions::composite::ROW
}

fn joined(parts: impl IntoIterator<Item = Expr>, op: BinaryOperator) -> Expr {
    let nested = |expr: Expr| Box::new(Expr::Nested(Box::new(expr)));
    let whole = parts.into_iter().reduce(|left, right| Expr::BinaryOp {
        left: nested(left),
        op: op.clone(),
        right: nested(right),
    });
    Expr::Nested(Box::new(whole.unwrap_or(Expr::Value(Value::Boolean(true).into()))))
}

/// Rows compared part by part; `None` for what is no comparison.
fn compared(left: Vec<Expr>, op: &BinaryOperator, right: Vec<Expr>) -> Result<Option<Expr>> {
    use BinaryOperator as Op;
    let strict = match op {
        Op::Eq | Op::NotEq => op.clone(),
        Op::Lt | Op::LtEq => Op::Lt,
        Op::Gt | Op::GtEq => Op::Gt,
        _ => return Ok(None),
    };
    if left.len() != right.len() {
        return Err(Error::new("42601", "unequal number of entries in row expressions"));
    }
    let pair = |at: usize, op: &Op| Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(left[at].clone()))),
        op: op.clone(),
        right: Box::new(Expr::Nested(Box::new(right[at].clone()))),
    };
    let last = left.len().saturating_sub(1);
    Ok(Some(match op {
        Op::Eq => joined((0..left.len()).map(|at| pair(at, op)), Op::And),
        Op::NotEq => joined((0..left.len()).map(|at| pair(at, op)), Op::Or),
        // The first parts that differ decide.
        _ => joined(
            (0..left.len()).map(|at| {
                let own = if at == last { op } else { &strict };
                joined((0..at).map(|before| pair(before, &Op::Eq)).chain([pair(at, own)]), Op::And)
            }),
            Op::Or,
        ),
    }))
}

/// A slice without a bound begins at the first element and ends at the last.
fn whole_slice(access: &mut AccessExpr) {
    let AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, .. }) = access else { return };
    let number = |n: &str| Expr::Value(Value::Number(n.to_owned(), false).into());
    lower_bound.get_or_insert_with(|| number("1"));
    upper_bound.get_or_insert_with(|| number("134217727"));
}

/// A pattern with an escape character of its own is written with backslashes.
fn escaped(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) -> Result<()> {
    let Some(character) = escape.as_ref().and_then(|value| value.value.clone().into_string()) else {
        return Ok(());
    };
    let text = match pattern {
        Expr::Value(value) if is_quoted(&value.value) => value.value.clone().into_string(),
        _ => None,
    };
    *pattern = match text {
        Some(text) => string(like::with_backslashes(&text, &character)?),
        None => call("like_escape", vec![take(pattern), string(character)]),
    };
    *escape = None;
    Ok(())
}

fn is_quoted(value: &Value) -> bool {
    matches!(value, Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_))
}

/// Whether an expression is a string literal.
pub(super) fn is_text(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_)))
}

/// The function of a field: they differ in how many digits their values have.
fn extracting(field: &str) -> &'static str {
    match field {
        "second" | "seconds" | "sec" | "secs" | "s" => "cairn_extract",
        "milliseconds" | "millisecond" | "msec" | "ms" => "cairn_extract_milliseconds",
        "epoch" => "cairn_extract_epoch",
        "julian" => "cairn_extract_julian",
        _ => "cairn_extract_whole",
    }
}

fn function_call(function: &mut Function) -> Result<()> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return Ok(()) };
    let name = fold(name);
    let renamed = match name.as_str() {
        "row" => crate::functions::composite::ROW.to_owned(),
        "rank" | "dense_rank" | "percent_rank" | "cume_dist" if !function.within_group.is_empty() => {
            format!("cairn_{name}")
        }
        "json_agg" | "jsonb_agg" | "json_agg_strict" => {
            each_argument(function, |_, arg| *arg = call("cairn_to_json", vec![take(arg)]));
            return Ok(());
        }
        name if name.starts_with("json_object_agg") || name.starts_with("jsonb_object_agg") => {
            each_argument(function, |at, arg| {
                let of = if at == 0 { "cairn_json_key_text" } else { "cairn_to_json" };
                *arg = call(of, vec![take(arg)]);
            });
            return Ok(());
        }
        "date_part" => match first_text(function) {
            Some(field) if !PLAIN_FIELDS.contains(&field.to_ascii_lowercase().as_str()) => {
                "cairn_date_part".to_owned()
            }
            Some(_) => PART.to_owned(),
            None => "cairn_date_part".to_owned(),
        },
        // With a time zone it is said with another one, without.
        "date_trunc" if arguments(function).len() == 3 => return Ok(()),
        "date_trunc" => match first_text(function).map(|unit| unit.to_ascii_lowercase()).as_deref() {
            _ if is_interval(function) => "cairn_trunc_interval".to_owned(),
            Some("year" | "quarter" | "month" | "week" | "day" | "hour" | "minute" | "second") | None => {
                return Ok(());
            }
            Some(_) => "cairn_trunc_date".to_owned(),
        },
        "make_interval" => {
            return positional(function, &["years", "months", "weeks", "days", "hours", "mins", "secs"]);
        }
        "substring" if second_is_text(function) => "cairn_substring_regex".to_owned(),
        _ => return Ok(()),
    };
    function.name = ObjectName::from(Ident::new(renamed));
    Ok(())
}

fn arguments(function: &Function) -> &[FunctionArg] {
    match &function.args {
        FunctionArguments::List(list) => &list.args,
        _ => &[],
    }
}

fn plain(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

fn first_text(function: &Function) -> Option<String> {
    match arguments(function).first().and_then(plain)? {
        Expr::Value(value) => value.value.clone().into_string(),
        _ => None,
    }
}

fn second_is_text(function: &Function) -> bool {
    arguments(function).get(1).and_then(plain).is_some_and(is_text)
}

/// Whether the second argument is a cast to INTERVAL, which casts are calls of by now.
fn is_interval(function: &Function) -> bool {
    let Some(Expr::Function(cast)) = arguments(function).get(1).and_then(plain) else { return false };
    let target = arguments(cast).get(1).and_then(plain);
    cast.name.to_string() == crate::functions::cast::NAME
        && matches!(target, Some(Expr::Value(value)) if value.value.clone().into_string().as_deref() == Some("interval"))
}

fn each_argument(function: &mut Function, mut change: impl FnMut(usize, &mut Expr)) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    for (at, arg) in list.args.iter_mut().enumerate() {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
            change(at, expr);
        }
    }
}

/// Puts arguments with names in their places; what is left out is 0.
fn positional(function: &mut Function, names: &[&str]) -> Result<()> {
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    if !list.args.iter().any(|arg| matches!(arg, FunctionArg::Named { .. })) {
        return Ok(());
    }
    let zero = || Expr::Value(Value::Number("0".to_owned(), false).into());
    let mut placed: Vec<Expr> = names.iter().map(|_| zero()).collect();
    for (at, arg) in list.args.drain(..).enumerate() {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if at < placed.len() => placed[at] = expr,
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                let place = names.iter().position(|known| *known == fold(&name)).ok_or_else(|| {
                    Error::new("42883", format!("function {} does not exist", function.name))
                        .with_hint("No function matches the given argument names.")
                })?;
                placed[place] = expr;
            }
            _ => return Err(Error::unsupported("this form of argument")),
        }
    }
    list.args = placed.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    Ok(())
}
