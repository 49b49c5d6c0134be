//! Forms of expressions that the planner does not know, said by subqueries and functions that it does:
//! `x = ANY (array)`, quantified comparisons with subqueries in select lists, rows beside subqueries, SQL/JSON's
//! constructors, and words that are functions (`current_role`, `localtime`).

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArgumentClause, FunctionArguments, Ident, JsonNullClause, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SetExpr, Statement, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::rewrite::{call, cast_to, string, take};
use crate::session::variables::fold;
use crate::{Error, Result};

/// The expression of a text `SELECT …`.
fn parsed(text: &str) -> Result<Expr> {
    let Statement::Query(query) = super::parse_text(text)? else {
        return Err(Error::internal("a form is no query"));
    };
    let SetExpr::Select(select) = *query.body else { return Err(Error::internal("a form is no SELECT")) };
    match select.projection.into_iter().next() {
        Some(SelectItem::UnnamedExpr(expr)) => Ok(Expr::Nested(Box::new(expr))),
        _ => Err(Error::internal("a form has no expression")),
    }
}

/// How many parts a row has, which is `(a, b)` or `ROW(a, b)`; `None` for any other expression.
fn width(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Tuple(parts) => Some(parts.len()),
        Expr::Nested(inner) => width(inner),
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. })
            if name.to_string().eq_ignore_ascii_case("row") =>
        {
            Some(list.args.len())
        }
        _ => None,
    }
}

/// The names of a subquery's columns, as many as the other side has, and what stands for them in a comparison.
fn columns(left: &Expr) -> (String, String) {
    let names: Vec<String> =
        (1..=width(left).unwrap_or(1)).map(|at| format!("cairn_quantified_{at}")).collect();
    let list = names.join(", ");
    let value = if width(left).is_some() { format!("ROW({list})") } else { list.clone() };
    (list, value)
}

/// `left op ANY | ALL (query)` as a subquery of one value, which may be NULL.
fn quantified(left: &Expr, op: &str, all: bool, rows: &str) -> Result<Expr> {
    let (list, value) = columns(left);
    let test = format!("(({left}) {op} {value})");
    let (found, decided) = if all { (format!("NOT {test}"), false) } else { (test.clone(), true) };
    parsed(&format!(
        "SELECT (SELECT CASE WHEN bool_or({found}) THEN {decided} WHEN bool_or({test} IS NULL) THEN NULL \
         ELSE {} END FROM ({rows}) AS cairn_quantified({list}))",
        !decided
    ))
}

/// Comparisons with subqueries in a select list. `IN` stays what it is, and what is the same becomes it.
///
/// # Errors
/// Those of the text that they become.
pub(super) fn in_select_list(expr: &mut Expr) -> Result<()> {
    let (left, op, right, all) = match expr {
        Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op, right, false),
        Expr::AllOp { left, compare_op, right } => (left, compare_op, right, true),
        _ => return Ok(()),
    };
    let Expr::Subquery(query) = &mut **right else { return Ok(()) };
    *expr = match (op, all) {
        (BinaryOperator::Eq, false) | (BinaryOperator::NotEq, true) if width(left).is_none() => {
            Expr::InSubquery { expr: left.clone(), subquery: query.clone(), negated: all }
        }
        (op, all) => quantified(left, &op.to_string(), all, &query.to_string())?,
    };
    Ok(())
}

/// Rewrites WHERE: a row that is looked for in a subquery asks whether there is an equal row; comparisons with subqueries
/// that are no terms of AND, OR and NOT have three values.
///
/// # Errors
/// Those of the text that they become.
fn in_where(selection: &mut Expr, term: bool) -> Result<()> {
    match selection {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            in_where(left, term)?;
            in_where(right, term)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            in_where(left, false)?;
            in_where(right, false)
        }
        Expr::Nested(inner) => in_where(inner, term),
        Expr::UnaryOp { op: UnaryOperator::Not, expr: inner } => in_where(inner, false),
        Expr::InSubquery { expr: left, subquery, negated: false } if term && width(left).is_some() => {
            let (list, value) = columns(left);
            *selection = parsed(&format!(
                "SELECT EXISTS (SELECT 1 FROM ({subquery}) AS cairn_quantified({list}) WHERE ({left}) = {value})"
            ))?;
            Ok(())
        }
        Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. } => Ok(()),
        other => match other.visit(&mut Within { queries: 0 }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
    }
}

/// Rewrites comparisons with subqueries within an expression, but not within its subqueries.
struct Within {
    queries: usize,
}

impl VisitorMut for Within {
    type Break = Error;
    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.queries += 1;
        ControlFlow::Continue(())
    }
    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match self.queries {
            0 => in_select_list(expr).map_or_else(ControlFlow::Break, ControlFlow::Continue),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Rewrites an expression before its parts are looked at.
///
/// # Errors
/// `42601`, `0A000`.
pub(super) fn before(expr: &mut Expr) -> Result<()> {
    let rewritten = match expr {
        Expr::InSubquery { expr: left, subquery, negated } if width(left).is_some() => {
            let test = quantified(left, "=", false, &subquery.to_string())?;
            match negated {
                true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(test) },
                false => test,
            }
        }
        Expr::InList { expr: left, list, negated }
            if width(left).is_some() && list.iter().all(|item| width(item).is_some()) =>
        {
            let equal = |item: &Expr| Expr::BinaryOp {
                left: left.clone(),
                op: BinaryOperator::Eq,
                right: Box::new(item.clone()),
            };
            let any = list.iter().map(equal).reduce(|all, one| Expr::BinaryOp {
                left: Box::new(all),
                op: BinaryOperator::Or,
                right: Box::new(one),
            });
            let Some(any) = any else { return Ok(()) };
            let any = Expr::Nested(Box::new(any));
            match negated {
                true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(any) },
                false => any,
            }
        }
        Expr::BinaryOp { left, op, right } => match (&**left, &**right) {
            (row, Expr::Subquery(query)) if width(row).is_some() => {
                let (list, value) = columns(row);
                parsed(&format!(
                    "SELECT (SELECT ({row}) {op} {value} FROM ({query}) AS cairn_quantified({list}))"
                ))?
            }
            _ => return Ok(()),
        },
        Expr::AnyOp { left, compare_op, right, .. } => match other_array(left, compare_op, right, false)? {
            Some(other) => other,
            None => return Ok(()),
        },
        Expr::AllOp { left, compare_op, right } => match other_array(left, compare_op, right, true)? {
            Some(other) => other,
            None => return Ok(()),
        },
        Expr::Function(function) => return unknown_literals(function),
        Expr::Case { conditions, else_result, .. } => {
            let results = conditions.iter_mut().map(|when| &mut when.result);
            adopt_types(results.chain(else_result.as_deref_mut()).collect(), is_array);
            return Ok(());
        }
        _ => return Ok(()),
    };
    *expr = rewritten;
    Ok(())
}

/// Gives literals beside other arguments their type; a literal alone has none for `to_json`.
fn unknown_literals(function: &mut Function) -> Result<()> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return Ok(()) };
    let name = fold(name);
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    let mut exprs: Vec<&mut Expr> = list
        .args
        .iter_mut()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    match name.as_str() {
        "coalesce" | "greatest" | "least" | "nullif" => adopt_types(exprs, |_| true),
        "to_json" | "to_jsonb" if exprs.first_mut().is_some_and(|expr| literal_text(expr).is_some()) => {
            let message = "could not determine polymorphic type because input has type unknown";
            return Err(Error::new("42804", message));
        }
        _ => {}
    }
    Ok(())
}

fn literal_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a text is that of an array.
fn is_array(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('{') && text.ends_with('}')
}

/// Literals whose text passes take the type of what stands beside them.
fn adopt_types(exprs: Vec<&mut Expr>, passes: fn(&str) -> bool) {
    let known = |expr: &&mut Expr| !matches!(&**expr, Expr::Value(_));
    if !exprs.iter().any(known) || !exprs.iter().any(|expr| literal_text(expr).is_some_and(passes)) {
        return;
    }
    let others: Vec<Expr> = exprs.iter().filter(|expr| known(expr)).map(|expr| (**expr).clone()).collect();
    for expr in exprs {
        if literal_text(expr).is_some_and(passes) {
            let args = std::iter::once(take(expr)).chain(others.iter().cloned()).collect();
            *expr = call(crate::functions::unknown::NAME, args);
        }
    }
}

/// A comparison of rows with a subquery, or of another operator than those of order with the elements of an array.
fn other_array(left: &Expr, op: &BinaryOperator, right: &Expr, all: bool) -> Result<Option<Expr>> {
    if let Expr::Subquery(query) = right {
        return match width(left) {
            Some(_) => quantified(left, &op.to_string(), all, &query.to_string()).map(Some),
            None => Ok(None),
        };
    }
    if name_of(op, all).is_some() {
        return Ok(None);
    }
    let test = quantified(left, &op.to_string(), all, &format!("SELECT unnest({right})"))?;
    parsed(&format!("SELECT CASE WHEN ({right}) IS NOT NULL THEN {test} END")).map(Some)
}

/// The function of a comparison with each element of an array.
fn name_of(op: &BinaryOperator, all: bool) -> Option<&'static str> {
    use BinaryOperator as Op;
    Some(match (op, all) {
        (Op::Eq, false) => "cairn_any_eq",
        (Op::NotEq, false) => "cairn_any_ne",
        (Op::Lt, false) => "cairn_any_lt",
        (Op::LtEq, false) => "cairn_any_le",
        (Op::Gt, false) => "cairn_any_gt",
        (Op::GtEq, false) => "cairn_any_ge",
        (Op::Eq, true) => "cairn_all_eq",
        (Op::NotEq, true) => "cairn_all_ne",
        (Op::Lt, true) => "cairn_all_lt",
        (Op::LtEq, true) => "cairn_all_le",
        (Op::Gt, true) => "cairn_all_gt",
        (Op::GtEq, true) => "cairn_all_ge",
        _ => return None,
    })
}

/// Rewrites an expression whose parts are rewritten; whether it was one of these.
///
/// # Errors
/// `42601`.
pub(super) fn after(expr: &mut Expr) -> Result<bool> {
    let rewritten = match expr {
        Expr::AnyOp { left, compare_op, right, .. } if !matches!(**right, Expr::Subquery(_)) => {
            match name_of(compare_op, false) {
                Some(name) => call(name, vec![take(left), take(right)]),
                None => return Ok(false),
            }
        }
        Expr::AllOp { left, compare_op, right } if !matches!(**right, Expr::Subquery(_)) => {
            match name_of(compare_op, true) {
                Some(name) => call(name, vec![take(left), take(right)]),
                None => return Ok(false),
            }
        }
        Expr::Cast { expr: inner, data_type, .. } if special(inner, data_type).is_some() => {
            special(inner, data_type).unwrap_or(Expr::Value(Value::Null.into()))
        }
        Expr::TypedString(typed)
            if special(&Expr::Value(typed.value.clone()), &typed.data_type).is_some() =>
        {
            special(&Expr::Value(typed.value.clone()), &typed.data_type)
                .unwrap_or(Expr::Value(Value::Null.into()))
        }
        Expr::Cast { expr: inner, data_type, .. } => {
            // The elements of an ARRAY constructor are cast, as in PostgreSQL.
            if elements(inner, data_type) {
                take(inner)
            } else if let Some(call) = registered(inner, data_type) {
                call
            } else if let Some((function, ty)) = numbered(data_type) {
                call(function, vec![cast_to(take(inner), &ty)])
            } else {
                return Ok(false);
            }
        }
        Expr::Function(function) if looked_up(function).is_some() => {
            let Some(to_id) = looked_up(function) else { return Ok(false) };
            function.name = ObjectName::from(Ident::new(to_id));
            return Ok(true);
        }
        Expr::TypedString(typed) => {
            let Some((_, to_id, _)) = reg(&typed.data_type) else { return Ok(false) };
            call(to_id, vec![string(typed.value.clone().into_string().unwrap_or_default())])
        }
        Expr::Identifier(ident) if ident.quote_style.is_none() => match word(&ident.value) {
            Some(function) => call(function, Vec::new()),
            None => return Ok(false),
        },
        Expr::Substring { expr: text, substring_from, substring_for, .. }
            if !substring_from.as_deref().is_some_and(super::spelled::is_text) =>
        {
            let one = || Expr::Value(Value::Number("1".to_owned(), false).into());
            let from = substring_from.as_mut().map_or_else(one, |from| take(from));
            let mut args = vec![take(text), from];
            args.extend(substring_for.as_mut().map(|count| take(count)));
            call("substr", args)
        }
        Expr::IsNormalized { expr: text, form, negated } => {
            let mut args = vec![take(text)];
            args.extend(form.as_ref().map(|form| string(form.to_string())));
            let test = call("cairn_is_normalized", args);
            match negated {
                true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(test) },
                false => test,
            }
        }
        Expr::Value(value) => match &value.value {
            Value::UnicodeStringLiteral(text) => string(text.clone()),
            // Beyond what NUMERIC holds it is a float.
            Value::Number(number, _)
                if number.contains(['e', 'E'])
                    && cairn_types::Decimal::parse(number)
                        .and_then(cairn_types::Decimal::fit_wide)
                        .is_err() =>
            {
                cast_to(string(number.clone()), &cairn_types::DataType::Double)
            }
            _ => return Ok(false),
        },
        Expr::Function(function) => return called(function).map(|other| replaced(other, expr)),
        _ => return Ok(false),
    };
    *expr = rewritten;
    Ok(true)
}

/// `'now'`, `'today'`, `'tomorrow'` and `'yesterday'` as a date or time: what the clock says when the statement runs.
fn special(text: &Expr, ty: &SqlType) -> Option<Expr> {
    use cairn_types::{Coded, DataType as T};
    let Expr::Value(value) = text else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let word = text.trim().to_ascii_lowercase();
    if !matches!(word.as_str(), "now" | "today" | "tomorrow" | "yesterday") {
        return None;
    }
    let ty = super::types::data_type(ty).ok()?;
    let rounded = |now: &str| match ty.clone().without_limit() == ty {
        true => call(now, Vec::new()),
        false => cast_to(call(now, Vec::new()), &ty),
    };
    let now = match ty {
        T::Timestamp(_) => "localtimestamp",
        T::TimestampTz(_) => "now",
        T::Date => "current_date",
        T::Time(_) if word == "now" => return Some(rounded("cairn_localtime")),
        T::Coded(Coded::TimeTz(_)) if word == "now" => return Some(rounded("cairn_current_time")),
        _ => return None,
    };
    if word == "now" {
        return Some(rounded(now));
    }
    let today = call("current_date", Vec::new());
    let one = || Box::new(Expr::Value(Value::Number("1".to_owned(), false).into()));
    let moved =
        |op| Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(today.clone()), op, right: one() }));
    let day = match word.as_str() {
        "tomorrow" => moved(BinaryOperator::Plus),
        "yesterday" => moved(BinaryOperator::Minus),
        _ => today.clone(),
    };
    Some(if ty == T::Date { day } else { cast_to(day, &ty) })
}

/// Puts the cast of an ARRAY constructor on its elements that are literals; whether there were any elements.
fn elements(array: &mut Expr, ty: &SqlType) -> bool {
    let Expr::Array(array) = array else { return false };
    let Ok(cairn_types::DataType::Array(item)) = super::types::data_type(ty) else { return false };
    let nested = array.elem.iter().any(|item| matches!(item, Expr::Array(_)));
    if array.elem.is_empty() || nested || matches!(*item, cairn_types::DataType::Array(_)) {
        return false;
    }
    let written = super::types::written(&item);
    for element in &mut array.elem {
        *element = match special(element, &written) {
            Some(moment) => moment,
            None => cast_to(take(element), &item),
        };
    }
    true
}

/// The type of a cast of a string literal to an array: as many dimensions as the literal has.
pub(super) fn with_dimensions(text: &Expr, ty: cairn_types::DataType) -> cairn_types::DataType {
    use cairn_types::DataType as T;
    let Expr::Value(value) = text else { return ty };
    let Value::SingleQuotedString(text) = &value.value else { return ty };
    let braces = text.chars().filter(|c| !c.is_whitespace()).take_while(|c| *c == '{').count();
    let mut declared = 0;
    let mut inner = &ty;
    while let T::Array(item) = inner {
        declared += 1;
        inner = item;
    }
    match declared {
        0 => ty,
        _ => (declared..braces.min(6)).fold(ty, |ty, _| T::Array(Box::new(ty))),
    }
}

/// The functions of `regclass` and its kin, where a type is one of these.
fn reg(ty: &SqlType) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let name = catalog_name(ty);
    crate::functions::objects::CASTS.iter().find(|(own, ..)| *own == name)
}

/// The name of a type of `pg_catalog`, quoted or not.
fn catalog_name(ty: &SqlType) -> String {
    let name = ty.to_string().replace('"', "").to_ascii_lowercase();
    name.strip_prefix("pg_catalog.").unwrap_or(&name).to_owned()
}

/// A cast to `regclass`, which is an id, or of one to text, which is a name.
fn registered(inner: &mut Expr, ty: &SqlType) -> Option<Expr> {
    if let Some((_, to_id, _)) = reg(ty) {
        return Some(call(to_id, vec![take(inner)]));
    }
    let Expr::Function(function) = inner else { return None };
    let name = function.name.to_string();
    if let Some((.., to_name)) = lookup(&name) {
        let found = super::types::data_type(ty).is_ok_and(|ty| ty.is_character());
        return found.then(|| call(to_name, vec![take(inner)]));
    }
    let (.., to_name) = crate::functions::objects::CASTS.iter().find(|(_, to_id, _)| **to_id == name)?;
    if !super::types::data_type(ty).is_ok_and(|ty| ty.is_character()) {
        return None;
    }
    function.name = ObjectName::from(Ident::new(*to_name));
    Some(take(inner))
}

/// The function around a cast to `oid` or a list of them, and the type that the value is cast to first.
fn numbered(ty: &SqlType) -> Option<(&'static str, cairn_types::DataType)> {
    let name = catalog_name(ty);
    let (_, function) = crate::functions::objects::OID_CASTS.iter().find(|(own, _)| *own == name)?;
    Some((function, super::types::data_type(ty).ok()?))
}

/// What looks for the id of a name, by the function that it became.
fn lookup(name: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    crate::functions::objects::LOOKUPS.iter().find(|(_, to_id, _)| *to_id == name)
}

/// The function that gives the id, where a call is `to_regclass(…)` or one of its kin.
fn looked_up(function: &Function) -> Option<&'static str> {
    let name = function.name.0.last()?.as_ident().map(fold)?;
    let all = crate::functions::objects::LOOKUPS;
    all.iter().find(|(own, ..)| *own == name).map(|(_, to_id, _)| *to_id)
}

/// The columns of a query that are of these types show names.
pub(super) fn show_names(select: &mut Select) {
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        let names = match &*expr {
            Expr::Cast { data_type, .. } => reg(data_type).is_some(),
            Expr::Function(function) => looked_up(function).is_some(),
            _ => false,
        };
        if names {
            let inner = Box::new(take(expr));
            *expr = Expr::Cast {
                kind: sqlparser::ast::CastKind::DoubleColon,
                expr: inner,
                data_type: SqlType::Text,
                array: false,
                format: None,
            };
        }
    }
}

fn replaced(other: Option<Expr>, expr: &mut Expr) -> bool {
    match other {
        Some(other) => {
            *expr = other;
            true
        }
        None => false,
    }
}

/// Words that PostgreSQL reserves for functions without arguments.
fn word(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "current_role" => "current_user",
        "current_schema" => "current_schema",
        "current_catalog" => "current_database",
        "session_user" => "session_user",
        "system_user" => "system_user",
        "user" => "current_user",
        "localtime" => "cairn_localtime",
        _ => return None,
    })
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

/// Functions whose names mean another one where they are called so.
fn called(function: &mut Function) -> Result<Option<Expr>> {
    let [ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else { return Ok(None) };
    let name = fold(name);
    match name.as_str() {
        "localtime" => {
            function.name = ObjectName::from(Ident::new("cairn_localtime"));
            if matches!(function.args, FunctionArguments::None) {
                return Ok(Some(call("cairn_localtime", Vec::new())));
            }
        }
        "current_time" if matches!(function.args, FunctionArguments::None) => {
            return Ok(Some(call("cairn_current_time", Vec::new())));
        }
        "current_time" | "current_timestamp" | "localtimestamp" if arguments(function).len() == 1 => {
            function.name = ObjectName::from(Ident::new(format!("cairn_{name}")));
        }
        "user" | "current_role" | "session_user" | "current_catalog" | "system_user"
            if matches!(function.args, FunctionArguments::None) =>
        {
            return Ok(word(&name).map(|own| call(own, Vec::new())));
        }
        "ntile" | "nth_value" if function.over.is_some() => return positive(function, &name).map(|()| None),
        // An array of arrays is filled with arrays.
        "array_fill" if arguments(function).len() == 2 => {
            let [value, counts] = arguments(function) else { return Ok(None) };
            let (Some(value), Some(Expr::Array(counts))) = (plain(value), plain(counts)) else {
                return Ok(None);
            };
            if counts.elem.len() < 2 {
                return Ok(None);
            }
            let filled = counts.elem.iter().rev().fold(value.clone(), |value, count| {
                let one = sqlparser::ast::Array { elem: vec![count.clone()], named: true };
                call("array_fill", vec![value, Expr::Array(one)])
            });
            return Ok(Some(filled));
        }
        // The form is a word of the syntax.
        "normalize" => {
            let FunctionArguments::List(list) = &mut function.args else { return Ok(None) };
            if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(form))) = list.args.get_mut(1)
                && let Expr::Identifier(word) = form
            {
                *form = string(word.value.clone());
            }
        }
        "string_agg" => {
            let literal = |expr: &Expr| matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
            let plain_call = arguments(function).get(1).and_then(plain).is_some_and(literal);
            let ordered = match &function.args {
                FunctionArguments::List(list) => {
                    !list.clauses.is_empty() || list.duplicate_treatment.is_some()
                }
                _ => false,
            };
            if !plain_call || ordered {
                function.name = ObjectName::from(Ident::new("cairn_string_agg"));
            }
        }
        "json_array" | "json_object" | "json_arrayagg" | "json_objectagg" if function.over.is_none() => {
            return constructor(function, &name);
        }
        _ => {}
    }
    Ok(None)
}

/// `ntile(0)` and `nth_value(x, 0)` are errors.
fn positive(function: &Function, name: &str) -> Result<()> {
    let at = usize::from(name == "nth_value");
    let Some(count) = arguments(function).get(at).and_then(plain) else { return Ok(()) };
    let bad = match count {
        Expr::Value(value) => matches!(&value.value, Value::Number(number, _) if number == "0"),
        Expr::UnaryOp { op: UnaryOperator::Minus, .. } => true,
        _ => false,
    };
    let state = if name == "ntile" { "22014" } else { "22016" };
    if bad {
        return Err(Error::new(state, format!("argument of {name} must be greater than zero")));
    }
    Ok(())
}

/// SQL/JSON's constructors as the functions that do the same.
fn constructor(function: &mut Function, name: &str) -> Result<Option<Expr>> {
    let FunctionArguments::List(list) = &mut function.args else { return Ok(None) };
    let pairs = list.args.iter().any(|arg| !matches!(arg, FunctionArg::Unnamed(_)));
    if name == "json_object" && !pairs && list.clauses.is_empty() && !list.args.is_empty() {
        return Ok(None);
    }
    let mut absent = name.starts_with("json_array");
    let mut returning = None;
    let mut clauses = Vec::new();
    for clause in list.clauses.drain(..) {
        match clause {
            FunctionArgumentClause::JsonNullClause(own) => absent = own == JsonNullClause::AbsentOnNull,
            FunctionArgumentClause::JsonReturningClause(own) => {
                returning = Some(super::types::data_type(&own.data_type)?);
            }
            other => clauses.push(other),
        }
    }
    list.clauses = clauses;
    let mut flat = Vec::with_capacity(list.args.len() * 2);
    for arg in list.args.drain(..) {
        match arg {
            FunctionArg::Unnamed(_) => flat.push(arg),
            FunctionArg::Named {
                name,
                arg,
                operator: FunctionArgOperator::Value | FunctionArgOperator::Colon,
            } => {
                let key = match name.quote_style {
                    Some('\'') => string(name.value),
                    _ => Expr::Identifier(name),
                };
                flat.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(key)));
                flat.push(FunctionArg::Unnamed(arg));
            }
            FunctionArg::ExprNamed {
                name,
                arg,
                operator: FunctionArgOperator::Value | FunctionArgOperator::Colon,
            } => {
                flat.push(FunctionArg::Unnamed(FunctionArgExpr::Expr(name)));
                flat.push(FunctionArg::Unnamed(arg));
            }
            _ => return Err(Error::unsupported("this form of argument")),
        }
    }
    list.args = flat;
    let own = match (name, absent) {
        ("json_array", false) => "json_build_array",
        ("json_array", true) => "cairn_json_array_absent",
        ("json_object", false) => "json_build_object",
        ("json_object", true) => "cairn_json_object_absent",
        ("json_arrayagg", false) => "json_agg",
        ("json_arrayagg", true) => "json_agg_strict",
        (_, false) => "json_object_agg",
        (_, true) => "json_object_agg_strict",
    };
    function.name = ObjectName::from(Ident::new(own));
    let mut made = Expr::Function(function.clone());
    // The aggregates' arguments become JSON as those of the functions by these names do.
    super::spelled::rewrite(&mut made)?;
    Ok(Some(match returning {
        Some(ty) => cast_to(made, &ty),
        None => made,
    }))
}

/// Rewrites the WHERE of a SELECT.
///
/// # Errors
/// Those of [`in_where`].
pub(super) fn rows_in_where(select: &mut Select) -> Result<()> {
    match &mut select.selection {
        Some(selection) => in_where(selection, true),
        None => Ok(()),
    }
}
