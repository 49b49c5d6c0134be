//! DEFAULT: what a column gets when a row does not say.
//!
//! Constants, `nextval` and `now()` are recognised from the text and cost no planning; anything else is planned over a
//! table of as many rows as are wanted, so that volatile functions differ from row to row.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use cairn_engine::catalog::{Column, ObjectId, PUBLIC, Privileges, TypeKind};
use cairn_types::{DataType, Value};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, SetExpr, Statement};

use super::assign::{assign_array, assign_value};
use super::literal;
use super::relations::{self, Relation};
use crate::context::Context;
use crate::functions::text::quote_ident;
use crate::session::variables::fold;
use crate::{Error, Result, parse};

/// How a column's default is made.
#[derive(Debug, Clone)]
pub(crate) enum Default {
    /// The same for all rows; NULL where there is no default.
    Constant(Value),
    /// The next value of a sequence.
    Sequence(ObjectId),
    /// The start of the transaction.
    Now,
    /// Evaluated.
    Expression(Box<Expr>),
}

impl Default {
    /// The default of `column`.
    ///
    /// # Errors
    /// `42P01` where its sequence is gone; what is wrong with its text.
    pub(crate) fn of(context: &Context, column: &Column) -> Result<Default> {
        if column.generated.is_some() {
            // What the engine's `with_generated` replaces.
            return Ok(Default::Constant(Value::Null));
        }
        if let Some(identity) = &column.identity {
            return Ok(Default::Sequence(identity.sequence));
        }
        let of_domain = match (&column.default, column.domain) {
            (None, Some(domain)) => domain_default(context, domain)?,
            _ => None,
        };
        let Some(sql) = column.default.as_ref().or(of_domain.as_ref()) else {
            return Ok(Default::Constant(Value::Null));
        };
        let expr = parse_expr(sql)?;
        if let Some(value) = literal::value(&expr, &column.ty, &column.name, &[], context.zone())? {
            return Ok(Default::Constant(value));
        }
        // A sequence of `public` is stored without its schema.
        if let Some(name) = nextval_argument(&expr)
            && let Some(id) = sequence_in(context, &name, PUBLIC)?
        {
            require_draw(context, id)?;
            return Ok(Default::Sequence(id));
        }
        Ok(Self::recognised(context, &expr, column)?.unwrap_or_else(|| Default::Expression(Box::new(expr))))
    }

    /// An expression that needs no planning: `nextval` of a sequence, `now()` for a time.
    pub(super) fn recognised(context: &Context, expr: &Expr, column: &Column) -> Result<Option<Default>> {
        if let Some(name) = nextval_argument(expr)
            && let Some(id) = sequence_id(context, &name)?
        {
            require_draw(context, id)?;
            return Ok(Some(Default::Sequence(id)));
        }
        let is_time = matches!(column.ty, DataType::Timestamp(_) | DataType::TimestampTz(_) | DataType::Date);
        Ok((is_time && is_now(expr)).then_some(Default::Now))
    }

    /// One value.
    pub(crate) fn value(&self, context: &Context, column: &Column) -> Result<Value> {
        match self {
            Default::Constant(value) => Ok(value.clone()),
            Default::Sequence(id) => {
                let n = context.txn().nextval(*id)?;
                remember(context, *id, n);
                assign_value(Value::BigInt(n), &column.ty, &column.name, false, context.zone())
            }
            Default::Now => {
                let now = Value::TimestampTz(context.scope.transaction_start_us);
                assign_value(now, &column.ty, &column.name, false, context.zone())
            }
            Default::Expression(_) => {
                let array = self.array(context, column, 1)?;
                Ok(Value::from_array(&array, 0, &column.ty))
            }
        }
    }

    /// Values for `rows` rows.
    pub(crate) fn array(&self, context: &Context, column: &Column, rows: usize) -> Result<ArrayRef> {
        match self {
            Default::Sequence(id) => {
                let numbers = context.txn().nextval_many(*id, rows)?;
                if let Some(last) = numbers.last() {
                    remember(context, *id, *last);
                }
                let array: ArrayRef = Arc::new(Int64Array::from(numbers));
                assign_array(&array, &DataType::BigInt, &column.ty, &column.name, false, context.zone())
            }
            Default::Constant(_) | Default::Now => {
                let value = self.value(context, column)?;
                Ok(Value::to_array(&vec![value; rows], &column.ty)?)
            }
            Default::Expression(expr) => {
                let items = [relations::item(Expr::clone(expr), "value")];
                let values = relations::evaluate(context, &[numbers(rows)?], &items)?;
                let from = DataType::from_field(values.schema().field(0));
                assign_array(values.column(0), &from, &column.ty, &column.name, false, context.zone())
            }
        }
    }
}

fn require_draw(context: &Context, sequence: ObjectId) -> Result<()> {
    let all = context.txn().catalog();
    let name = all.sequence_by_id(sequence).map(|own| own.name.clone()).unwrap_or_default();
    crate::privileges::require_sequence(context, sequence, &name, Privileges::DRAW)
}

/// The default of a domain, for columns without one of their own.
fn domain_default(context: &Context, domain: ObjectId) -> Result<Option<String>> {
    let catalog = context.catalog()?;
    let kind = catalog.type_by_id(domain).map(|ty| &ty.kind);
    Ok(match kind {
        Some(TypeKind::Domain { default, .. }) => default.clone(),
        _ => None,
    })
}

/// Lets `currval` and `lastval` see a number drawn by a default.
fn remember(context: &Context, id: ObjectId, value: i64) {
    let mut memory = context.scope.sequences.lock();
    memory.current.insert(id, value);
    memory.last = Some(id);
}

/// A relation of `rows` rows without a column of interest.
fn numbers(rows: usize) -> Result<Relation> {
    let schema = Arc::new(Schema::new(vec![Field::new("__cairn_row", ArrowType::Int64, false)]));
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    let rows = RecordBatch::try_new(schema, vec![column]).map_err(relations::arrow_error)?;
    Ok(Relation { alias: "__cairn_default".to_owned(), rows, in_wildcard: false })
}

/// Parses the text of an expression.
///
/// # Errors
/// `42601`.
pub(crate) fn parse_expr(sql: &str) -> Result<Expr> {
    if let Statement::Query(mut query) = parse::parse_text(&format!("SELECT {sql}"))?
        && let SetExpr::Select(select) = &mut *query.body
        && select.projection.len() == 1
        && let Some(sqlparser::ast::SelectItem::UnnamedExpr(expr)) = select.projection.pop()
    {
        return Ok(expr);
    }
    Err(Error::new("42601", format!("\"{sql}\" is not an expression")))
}

fn call(expr: &Expr) -> Option<(String, &FunctionArguments)> {
    match expr {
        Expr::Nested(inner) => call(inner),
        Expr::Function(f) if f.over.is_none() && f.filter.is_none() => {
            let name = f.name.0.last()?.as_ident()?.value.to_lowercase();
            Some((name, &f.args))
        }
        _ => None,
    }
}

/// The sequence that a default as SQL text takes its values from, as its name is written.
pub(crate) fn sequence_name(sql: &str) -> Option<String> {
    nextval_argument(&parse_expr(sql).ok()?)
}

/// The name in `nextval('name')` or `nextval('name'::regclass)`.
fn nextval_argument(expr: &Expr) -> Option<String> {
    let (name, FunctionArguments::List(list)) = call(expr)? else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] = list.args.as_slice() else { return None };
    let text = match argument {
        Expr::Cast { expr, .. } => expr,
        other => other,
    };
    match text {
        Expr::Value(value) if name == "nextval" => value.value.clone().into_string(),
        _ => None,
    }
}

/// A default to be stored: what it calls has its schema, and so has a sequence that it takes its values from, where that is not
/// `public`.
pub(crate) fn bound(context: &Context, expr: &Expr) -> Result<String> {
    if let Some(name) = nextval_argument(expr)
        && let Ok(parsed) = crate::ddl::names::parse(&name)
        && parsed.0.len() == 1
    {
        let catalog = context.catalog()?;
        let (schema, sequence) = crate::catalog::resolve_name(context, &catalog, &parsed)?;
        if schema != PUBLIC && catalog.sequence(&schema, &sequence).is_ok() {
            return Ok(nextval(&format!("{}.{}", quote_ident(&schema), quote_ident(&sequence)), ""));
        }
    }
    crate::catalog::view::bound_expr(context, expr)
}

/// A stored default for who reads it: a sequence has its schema where the search path does not find it.
pub(crate) fn shown(sql: &str, path: &[String]) -> String {
    let named = parse_expr(sql).ok().and_then(|expr| nextval_argument(&expr));
    let Some(Ok(parsed)) = named.map(|name| crate::ddl::names::parse(&name)) else {
        return crate::parse::bound::unbound(sql, path);
    };
    let parts: Vec<String> = parsed.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
    let (schema, sequence) = match parts.as_slice() {
        [sequence] => (PUBLIC, sequence),
        [schema, sequence] => (schema.as_str(), sequence),
        _ => return sql.to_owned(),
    };
    let name = match path.iter().any(|own| own == schema) {
        true => quote_ident(sequence),
        false => format!("{}.{}", quote_ident(schema), quote_ident(sequence)),
    };
    nextval(&name, "::regclass")
}

fn nextval(name: &str, cast: &str) -> String {
    format!("nextval('{}'{cast})", name.replace('\'', "''"))
}

/// A sequence whose name may go without that schema.
fn sequence_in(context: &Context, name: &str, schema: &str) -> Result<Option<ObjectId>> {
    let parsed = crate::ddl::names::parse(name)?;
    let [part] = parsed.0.as_slice() else { return sequence_id(context, name) };
    let own = part.as_ident().map(fold).unwrap_or_default();
    Ok(context.catalog()?.sequence(schema, &own).ok().map(|s| s.id))
}

fn sequence_id(context: &Context, name: &str) -> Result<Option<ObjectId>> {
    let catalog = context.catalog()?;
    let parsed = crate::ddl::names::parse(name)?;
    let (schema, sequence) = crate::catalog::resolve_name(context, &catalog, &parsed)?;
    Ok(catalog.sequence(&schema, &sequence).ok().map(|s| s.id))
}

/// `now()`, `CURRENT_TIMESTAMP`, `transaction_timestamp()`.
fn is_now(expr: &Expr) -> bool {
    match call(expr) {
        Some((name, FunctionArguments::None)) => name == "current_timestamp",
        Some((name, FunctionArguments::List(list))) => {
            list.args.is_empty()
                && matches!(name.as_str(), "now" | "transaction_timestamp" | "current_timestamp")
        }
        _ => false,
    }
}
