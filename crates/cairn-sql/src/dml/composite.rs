//! Fields of composite columns as targets: `UPDATE … SET c.f = …` and `INSERT INTO t (c.f, …)`. They become values of the
//! whole column: its old value, or one without values, with the fields put in.

use std::borrow::Cow;

use cairn_engine::Table;
use cairn_types::DataType;
use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Ident, Insert, ObjectName, SetExpr, Statement, Value,
};

use super::literal::is_default;
use super::relations::{column, quoted};
use crate::functions::composite::{FIELD, WITH_FIELD, composite};
use crate::parse::rewrite::{call, cast_to, string};
use crate::session::variables::fold;
use crate::{Error, Result};

/// The place of the composite column whose field a name is, and the names of the fields.
fn path(table: &Table, name: &ObjectName) -> Result<Option<(usize, Vec<String>)>> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
    let [first, rest @ ..] = parts.as_slice() else { return Ok(None) };
    if rest.is_empty() || *first == table.name {
        return Ok(None);
    }
    let Some(place) = table.column_place(first) else { return Ok(None) };
    let mut ty = &table.live_column(place).ty;
    for field in rest {
        let Some(own) = composite(ty) else {
            return Err(Error::new(
                "42804",
                format!(
                    "cannot assign to field \"{field}\" of column \"{first}\" because its type {} is not a composite type",
                    crate::functions::overload::type_name(ty)
                ),
            ));
        };
        let at = own.place(field).ok_or_else(|| {
            let message = format!(
                "cannot assign to field \"{field}\" of column \"{first}\" because there is no such column in data type {}",
                own.sql_name()
            );
            Error::new("42703", message)
        })?;
        ty = &own.fields[at].ty;
    }
    Ok(Some((place, rest.to_vec())))
}

/// Refuses a field where a column is wanted.
pub(super) fn refuse_field(table: &Table, name: &ObjectName) -> Result<()> {
    match name.0.len() > 1 && path(table, name)?.is_some() {
        true => Err(Error::unsupported("a field of a column in this place")),
        false => Ok(()),
    }
}

/// What goes into a column: the type where it is put together, and for each value its place and the path to its field.
type Source = (Option<DataType>, Vec<(usize, Vec<String>)>);

/// A value with another one for the field at the end of a path.
fn with(value: Expr, path: &[String], new: Expr) -> Result<Expr> {
    let [field, rest @ ..] = path else { return Ok(new) };
    if is_default(&new) {
        return Err(Error::new("0A000", "cannot set a subfield to DEFAULT"));
    }
    let new = match rest {
        [] => new,
        _ => with(call(FIELD, vec![value.clone(), string(field)]), rest, new)?,
    };
    Ok(call(WITH_FIELD, vec![value, string(field), new]))
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
    let is_field = |name: &ObjectName| name.0.len() > 1 && matches!(path(table, name), Ok(Some(_)) | Err(_));
    let any = list.iter().any(|assignment| match &assignment.target {
        AssignmentTarget::ColumnName(name) => is_field(name),
        AssignmentTarget::Tuple(names) => names.iter().any(is_field),
    });
    if !any {
        return Ok(Cow::Borrowed(list));
    }
    let mut out: Vec<Assignment> = Vec::new();
    let mut fields: Vec<(usize, usize, Vec<Vec<String>>)> = Vec::new();
    for assignment in list {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(Error::unsupported("fields of a column in (…) = …"));
        };
        let Some((place, path)) = path(table, name)? else {
            out.push(assignment.clone());
            continue;
        };
        let own = &table.live_column(place).name;
        let known = fields.iter_mut().find(|(column, ..)| *column == place);
        let (at, before) = match known {
            Some((_, at, paths)) => {
                if paths.iter().any(|other| other.starts_with(&path) || path.starts_with(other)) {
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
        out[at].value = with(before, &path, assignment.value.clone())?;
    }
    Ok(Cow::Owned(out))
}

/// An INSERT whose columns have no fields; `None` where they have none now.
///
/// # Errors
/// As [`assignments`].
pub(super) fn insert(table: &Table, statement: &Insert) -> Result<Option<Insert>> {
    let paths = statement.columns.iter().map(|name| path(table, name)).collect::<Result<Vec<_>>>()?;
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
    let value = |ty: &Option<DataType>, parts: &[(usize, Vec<String>)], given: &dyn Fn(usize) -> Expr| {
        let Some(ty) = ty else { return Ok(given(parts[0].0)) };
        parts.iter().try_fold(cast_to(null(), ty), |value, (at, path)| with(value, path, given(*at)))
    };
    let mut new = statement.clone();
    new.columns = columns.into_iter().map(|ident| ObjectName::from(vec![ident])).collect();
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
            row.content = sources
                .iter()
                .map(|(ty, parts)| value(ty, parts, &|at| given[at].clone()))
                .collect::<Result<_>>()?;
        }
        return Ok(Some(new));
    }
    let name = |at: usize| format!("__cairn_{at}");
    let items: Vec<String> = sources
        .iter()
        .map(|(ty, parts)| {
            let expr = value(ty, parts, &|at| Expr::Identifier(quoted(&name(at))))?;
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
