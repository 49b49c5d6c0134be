//! Parts of columns as targets, fields of composite values, elements and slices of arrays, members of JSONB: `UPDATE … SET
//! c.f = …, a[1] = …` and `INSERT INTO t (c.f, a[1], …)`. They become values of the whole column: its old value, or one
//! without values, with the parts put in.

use std::borrow::Cow;

use cairn_engine::Table;
use cairn_types::DataType;
use sqlparser::ast::{
    AccessExpr, Assignment, AssignmentTarget, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    Insert, ObjectName, SetExpr, Statement, Subscript, Value,
};

use super::literal::is_default;
use super::relations::{column, quoted};
use crate::functions::composite::{FIELD, WITH_FIELD, composite};
use crate::functions::elements::{WITH_ELEMENT, WITH_MEMBER, WITH_SLICE};
use crate::parse::element_targets::{self, MARK};
use crate::parse::rewrite::{call, cast_to, string};
use crate::session::variables::fold;
use crate::{Error, Result};

/// A step from a value to a part of it.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// A field of a composite value.
    Field(String),
    /// An element of an array, a member of JSONB.
    Item(Box<Expr>),
    /// A slice of an array.
    Slice(Box<(Option<Expr>, Option<Expr>)>),
}

/// The place of the column of whose value a name means a part, and the steps to it. `held` are the subscripts that the
/// name only numbers.
fn path(table: &Table, name: &ObjectName, held: &[Expr]) -> Result<Option<(usize, Vec<Step>)>> {
    let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    let [first, rest @ ..] = parts.as_slice() else { return Ok(None) };
    let first = fold(first);
    let subscripted = rest.first().is_some_and(|part| part.value.starts_with(MARK));
    if rest.is_empty() || first == table.name && !subscripted {
        return Ok(None);
    }
    let Some(place) = table.column_place(&first) else { return Ok(None) };
    let given = |expr: Expr| match element_targets::held(&expr) {
        Some(at) => held.get(at).cloned().unwrap_or(expr),
        None => expr,
    };
    let mut steps = Vec::new();
    for part in rest {
        match element_targets::carried(part)? {
            None => steps.push(Step::Field(fold(part))),
            Some(subscripts) => steps.extend(subscripts.into_iter().map(|subscript| match subscript {
                Subscript::Index { index } => Step::Item(Box::new(given(index))),
                Subscript::Slice { lower_bound, upper_bound, .. } => {
                    Step::Slice(Box::new((lower_bound.map(given), upper_bound.map(given))))
                }
            })),
        }
    }
    check(&first, &table.live_column(place).ty, &steps)?;
    Ok(Some((place, steps)))
}

/// How many of the steps lead through the dimensions of an array, and to what.
fn dimensions<'t>(ty: &'t DataType, steps: &[Step]) -> (usize, &'t DataType) {
    let (mut count, mut ty) = (0, ty);
    while let (DataType::Array(item), Some(Step::Item(_) | Step::Slice(..))) = (ty, steps.get(count)) {
        (count, ty) = (count + 1, item);
    }
    (count, ty)
}

/// Looks whether a type has such parts.
fn check(column: &str, ty: &DataType, steps: &[Step]) -> Result<()> {
    let Some(step) = steps.first() else { return Ok(()) };
    match (step, ty) {
        (Step::Field(field), ty) => {
            let Some(own) = composite(ty) else {
                return Err(Error::new(
                    "42804",
                    format!(
                        "cannot assign to field \"{field}\" of column \"{column}\" because its type {} is not a composite type",
                        crate::functions::overload::type_name(ty)
                    ),
                ));
            };
            let at = own.place(field).ok_or_else(|| {
                let message = format!(
                    "cannot assign to field \"{field}\" of column \"{column}\" because there is no such column in data type {}",
                    own.sql_name()
                );
                Error::new("42703", message)
            })?;
            check(column, &own.fields[at].ty, &steps[1..])
        }
        (_, DataType::Array(_)) => {
            let (count, item) = dimensions(ty, steps);
            let (own, rest) = steps.split_at(count);
            if matches!(item, DataType::Array(_)) {
                return Err(Error::new("2202E", "wrong number of array subscripts"));
            }
            let sliced = own.iter().any(|step| matches!(step, Step::Slice(..)));
            if sliced && (count > 1 || !rest.is_empty()) {
                return Err(Error::unsupported(
                    "assignment to a slice of several dimensions or to parts of one",
                ));
            }
            check(column, item, rest)
        }
        (_, DataType::Jsonb) => match steps.iter().find(|step| !matches!(step, Step::Item(_))) {
            None => Ok(()),
            Some(Step::Slice(..)) => Err(Error::new("42804", "jsonb subscript does not support slices")),
            Some(_) => Err(Error::new(
                "42804",
                "column notation applied to type jsonb, which is not a composite type",
            )),
        },
        (_, ty) => Err(Error::new(
            "42804",
            format!(
                "cannot subscript type {} because it does not support subscripting",
                crate::functions::overload::type_name(ty)
            ),
        )),
    }
}

/// The new value and the subscripts of an assignment to a part.
fn unpacked(value: &Expr) -> (Expr, Vec<Expr>) {
    if let Expr::Function(function) = value
        && function.name.to_string() == element_targets::PUT
        && let FunctionArguments::List(list) = &function.args
    {
        let mut all = list.args.iter().filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        });
        if let Some(new) = all.next() {
            return (new, all.collect());
        }
    }
    (value.clone(), Vec::new())
}

/// Refuses a field where a column is wanted.
pub(super) fn refuse_field(table: &Table, name: &ObjectName) -> Result<()> {
    match name.0.len() > 1 && path(table, name, &[])?.is_some() {
        true => Err(Error::unsupported("a part of a column in this place")),
        false => Ok(()),
    }
}

/// What goes into a column: the type where it is put together, and for each value its place and the path to its part.
type Source = (Option<DataType>, Vec<(usize, Vec<Step>)>);

/// A value of a type with another one for the part at the end of a path. `column` is for messages.
fn with(column: &str, value: Expr, ty: &DataType, path: &[Step], new: Expr) -> Result<Expr> {
    let [step, rest @ ..] = path else { return Ok(new) };
    if is_default(&new) {
        let what = if matches!(step, Step::Field(_)) { "a subfield" } else { "an array element" };
        return Err(Error::new("0A000", format!("cannot set {what} to DEFAULT")));
    }
    if let Step::Field(field) = step {
        let own = composite(ty).and_then(|own| Some(&own.fields[own.place(field)?].ty));
        let own = own.ok_or_else(|| Error::internal("a field of no composite value"))?;
        let new = match rest {
            [] => new,
            _ => with(column, call(FIELD, vec![value.clone(), string(field)]), own, rest, new)?,
        };
        return Ok(call(WITH_FIELD, vec![value, string(field), new]));
    }
    let whole = || Expr::Value(Value::Null.into());
    if *ty == DataType::Jsonb {
        let keys = path.iter().filter_map(|step| match step {
            Step::Item(key) => Some(Expr::clone(key)),
            _ => None,
        });
        let mut arguments = vec![string(column), value, new];
        arguments.extend(keys);
        return Ok(call(WITH_MEMBER, arguments));
    }
    let (count, item) = dimensions(ty, path);
    let (own, rest) = path.split_at(count);
    if let [Step::Slice(bounds)] = own {
        let (from, to) = &**bounds;
        let bound = |bound: &Option<Expr>| bound.clone().unwrap_or_else(whole);
        let given = |bound: &Option<Expr>| Expr::Value(Value::Boolean(bound.is_some()).into());
        let arguments = vec![string(column), value, new, bound(from), given(from), bound(to), given(to)];
        return Ok(call(WITH_SLICE, arguments));
    }
    let places = own.iter().filter_map(|step| match step {
        Step::Item(place) => Some(Expr::clone(place)),
        _ => None,
    });
    let places: Vec<Expr> = places.collect();
    let new = match rest {
        [] => new,
        _ => {
            let chain =
                places.iter().map(|place| AccessExpr::Subscript(Subscript::Index { index: place.clone() }));
            let root = Box::new(Expr::Nested(Box::new(value.clone())));
            let old = Expr::CompoundFieldAccess { root, access_chain: chain.collect() };
            with(column, old, item, rest, new)?
        }
    };
    let mut arguments = vec![string(column), value, new];
    arguments.extend(places);
    Ok(call(WITH_ELEMENT, arguments))
}

/// The assignments of SET, those of fields as assignments of their columns.
///
/// # Errors
/// `42703`, `42804` for what is no field, `42601` for a column that is assigned to besides.
pub(super) fn assignments<'a>(
    table: &Table,
    alias: &str,
    list: &'a [Assignment],
) -> Result<Cow<'a, [Assignment]>> {
    let is_field =
        |name: &ObjectName| name.0.len() > 1 && matches!(path(table, name, &[]), Ok(Some(_)) | Err(_));
    let any = list.iter().any(|assignment| match &assignment.target {
        AssignmentTarget::ColumnName(name) => is_field(name),
        AssignmentTarget::Tuple(names) => names.iter().any(is_field),
    });
    if !any {
        return Ok(Cow::Borrowed(list));
    }
    let mut out: Vec<Assignment> = Vec::new();
    let mut fields: Vec<(usize, usize, Vec<Vec<Step>>)> = Vec::new();
    for assignment in list {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(Error::unsupported("parts of a column in (…) = …"));
        };
        let (new, subscripts) = unpacked(&assignment.value);
        let Some((place, path)) = path(table, name, &subscripts)? else {
            out.push(assignment.clone());
            continue;
        };
        let own = &table.live_column(place).name;
        let known = fields.iter_mut().find(|(column, ..)| *column == place);
        let (at, before) = match known {
            Some((_, at, paths)) => {
                // Elements may be the same, which shows only when they are assigned to: the last one counts.
                let fields = path.iter().all(|step| matches!(step, Step::Field(_)));
                if fields && paths.iter().any(|other| other.starts_with(&path) || path.starts_with(other)) {
                    let message = format!("multiple assignments to same column \"{own}\"");
                    return Err(Error::new("42601", message));
                }
                paths.push(path.clone());
                (*at, out[*at].value.clone())
            }
            None => {
                fields.push((place, out.len(), vec![path.clone()]));
                let target = AssignmentTarget::ColumnName(ObjectName::from(vec![quoted(own)]));
                let value = column(alias, own);
                out.push(Assignment { target, value: value.clone() });
                (out.len() - 1, value)
            }
        };
        out[at].value = with(own, before, &table.live_column(place).ty, &path, new)?;
    }
    Ok(Cow::Owned(out))
}

/// An INSERT whose columns have no fields; `None` where they have none now.
///
/// # Errors
/// As [`assignments`].
pub(super) fn insert(table: &Table, statement: &Insert) -> Result<Option<Insert>> {
    let paths = statement.columns.iter().map(|name| path(table, name, &[])).collect::<Result<Vec<_>>>()?;
    if paths.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut columns: Vec<Ident> = Vec::new();
    // For each column, the places of its values: of the column itself, or of its fields.
    let mut sources: Vec<Source> = Vec::new();
    for (at, (name, path)) in statement.columns.iter().zip(paths).enumerate() {
        let (ident, ty, path) = match path {
            None => (super::target::column_ident(name)?.clone(), None, Vec::new()),
            Some((place, path)) => {
                let column = table.live_column(place);
                (quoted(&column.name), Some(column.ty.clone()), path)
            }
        };
        let same = columns.iter().position(|other| fold(other) == fold(&ident));
        match same.filter(|at| sources[*at].0.is_some() && ty.is_some()) {
            Some(own) => sources[own].1.push((at, path)),
            None => {
                columns.push(ident);
                sources.push((ty, vec![(at, path)]));
            }
        }
    }
    let null = || Expr::Value(Value::Null.into());
    let value =
        |name: &Ident, ty: &Option<DataType>, parts: &[(usize, Vec<Step>)], given: &dyn Fn(usize) -> Expr| {
            let Some(ty) = ty else { return Ok(given(parts[0].0)) };
            parts.iter().try_fold(cast_to(null(), ty), |value, (at, path)| {
                with(&fold(name), value, ty, path, given(*at))
            })
        };
    let mut new = statement.clone();
    new.columns = columns.iter().map(|ident| ObjectName::from(vec![ident.clone()])).collect();
    let Some(query) = &mut new.source else { return Ok(Some(new)) };
    let count = statement.columns.len();
    let plain = super::insert::values_of(query).is_some();
    if let (true, SetExpr::Values(values)) = (plain, &mut *query.body) {
        for row in &mut values.rows {
            if row.content.len() != count {
                let words = if row.content.len() > count {
                    "expressions than target columns"
                } else {
                    "target columns than expressions"
                };
                return Err(Error::new("42601", format!("INSERT has more {words}")));
            }
            let given = row.content.clone();
            row.content = columns
                .iter()
                .zip(&sources)
                .map(|(name, (ty, parts))| value(name, ty, parts, &|at| given[at].clone()))
                .collect::<Result<_>>()?;
        }
        return Ok(Some(new));
    }
    let name = |at: usize| format!("__cairn_{at}");
    let items: Vec<String> = columns
        .iter()
        .zip(&sources)
        .map(|(own, (ty, parts))| {
            let expr = value(own, ty, parts, &|at| Expr::Identifier(quoted(&name(at))))?;
            Ok(expr.to_string())
        })
        .collect::<Result<_>>()?;
    let names: Vec<String> = (0..count).map(name).collect();
    let text = format!("SELECT {} FROM ({query}) AS __cairn_source({})", items.join(", "), names.join(", "));
    let Statement::Query(wrapped) = crate::parse::parse_text(&text)? else {
        return Err(Error::internal("a query did not parse as one"));
    };
    *query = wrapped;
    Ok(Some(new))
}
