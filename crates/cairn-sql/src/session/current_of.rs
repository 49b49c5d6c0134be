//! UPDATE and DELETE … WHERE CURRENT OF cursor: a cursor over one table with a primary key reads the key, too, and the
//! statement is run with a condition on it.
//!
//! I1. The columns of the key stand behind the query's own and are never shown.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cairn_engine::catalog::Relation;
use cairn_types::{DataType, Value};
use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, FromTable, GroupByExpr, Ident, ObjectName, Query, SelectItem, SetExpr,
    Statement, TableAlias, TableFactor, TableWithJoins,
};

use crate::context::Context;
use crate::dml::default::parse_expr;
use crate::parse::names::exact;
use crate::query::output::UNIQUE_MARK;
use crate::session::variables::fold;
use crate::{Error, Result, catalog};

/// The key of the table that a cursor reads.
#[derive(Debug, Clone)]
pub(super) struct Key {
    table: (String, String),
    columns: Vec<(String, DataType)>,
}

impl Key {
    /// How many columns of the query are not its own.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// The fields that are shown.
    pub(super) fn shown(&self, schema: &SchemaRef) -> Result<SchemaRef> {
        let own: Vec<usize> = (0..schema.fields().len() - self.width()).collect();
        Ok(schema.project(&own).map_err(|error| Error::internal(error.to_string()))?.into())
    }

    /// The columns that are shown.
    pub(super) fn without(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let own: Vec<usize> = (0..batch.num_columns() - self.width()).collect();
        batch.project(&own).map_err(|error| Error::internal(error.to_string()))
    }

    /// What is true of the row alone that a batch of one row holds.
    fn condition(&self, row: &RecordBatch, alias: &str) -> Result<Expr> {
        let first = row.num_columns() - self.width();
        let mut whole: Option<Expr> = None;
        for (at, (name, ty)) in self.columns.iter().enumerate() {
            let mut text = String::new();
            Value::from_array(row.column(first + at), 0, ty).write_text(ty, &mut text);
            let value = parse_expr(&format!("'{}'::{}", text.replace('\'', "''"), ty.sql_name()))?;
            let column = Expr::CompoundIdentifier(vec![exact(alias), exact(name)]);
            let equal = and(column, BinaryOperator::Eq, value);
            whole = Some(match whole {
                None => equal,
                Some(before) => and(before, BinaryOperator::And, equal),
            });
        }
        whole.ok_or_else(|| Error::internal("a key without columns"))
    }
}

fn and(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// The query with the key of its table behind its columns; `None` where it is no scan of one table with a key.
pub(super) fn with_key(context: &Context, query: &Query) -> Result<Option<(Query, Key)>> {
    let mut query = query.clone();
    let SetExpr::Select(select) = &mut *query.body else { return Ok(None) };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let distinct = matches!(&select.distinct, Some(Distinct::Distinct | Distinct::On(_)));
    let [TableWithJoins { relation: TableFactor::Table { name, alias, args: None, .. }, joins }] =
        select.from.as_slice()
    else {
        return Ok(None);
    };
    if grouped || distinct || select.having.is_some() || !joins.is_empty() || query.with.is_some() {
        return Ok(None);
    }
    let known = context.catalog()?;
    let Ok((schema, own)) = catalog::resolve_name(context, &known, name) else { return Ok(None) };
    let Some(Relation::Table(table)) = known.relation(&schema, &own) else { return Ok(None) };
    if table.primary_key.is_empty() || alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
        return Ok(None);
    }
    let called = alias.as_ref().map_or_else(|| own.clone(), |alias| fold(&alias.name));
    let mut columns = Vec::new();
    for id in &table.primary_key {
        let Some(column) = table.live_columns().find(|column| column.id == *id) else { return Ok(None) };
        columns.push((column.name.clone(), column.ty.clone()));
    }
    for (at, (column, _)) in columns.iter().enumerate() {
        let expr = Expr::CompoundIdentifier(vec![exact(&called), exact(column)]);
        let alias = exact(&format!("{column}{UNIQUE_MARK}key{at}"));
        select.projection.push(SelectItem::ExprWithAlias { expr, alias });
    }
    Ok(Some((query, Key { table: (schema, own), columns })))
}

/// A statement whose condition is CURRENT OF, with the key's in its place.
pub(super) fn located(
    context: &Context,
    statement: &Statement,
    cursor: &str,
    key: Option<&Key>,
    row: Option<&RecordBatch>,
) -> Result<Statement> {
    let mut statement = statement.clone();
    let (target, selection) = match &mut statement {
        Statement::Update(update) => (&update.table, &mut update.selection),
        Statement::Delete(delete) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
            let Some(first) = from.first() else { return Err(Error::internal("DELETE without a table")) };
            (first, &mut delete.selection)
        }
        _ => return Err(Error::internal("neither UPDATE nor DELETE")),
    };
    let TableFactor::Table { name, alias, .. } = &target.relation else {
        return Err(Error::internal("a table expected"));
    };
    let known = context.catalog()?;
    let table = catalog::resolve_name(context, &known, name)?;
    let Some(key) = key.filter(|key| key.table == table) else {
        return Err(Error::new(
            "24000",
            format!("cursor \"{cursor}\" is not a simply updatable scan of table \"{}\"", table.1),
        ));
    };
    let Some(row) = row else {
        return Err(Error::new("24000", format!("cursor \"{cursor}\" is not positioned on a row")));
    };
    *selection = Some(key.condition(row, &called(name, alias.as_ref()))?);
    Ok(statement)
}

fn called(name: &ObjectName, alias: Option<&TableAlias>) -> String {
    let own = || name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    alias.map_or_else(own, |alias: &TableAlias| fold(&alias.name))
}

/// The cursor of a statement whose condition is CURRENT OF.
pub(super) fn cursor_of(statement: &Statement) -> Option<String> {
    let selection = match statement {
        Statement::Update(update) => update.selection.as_ref()?,
        Statement::Delete(delete) => delete.selection.as_ref()?,
        _ => return None,
    };
    match selection {
        Expr::Identifier(Ident { value, quote_style: Some('"'), .. }) => {
            value.strip_prefix(crate::parse::cursor::CURRENT_OF).map(str::to_owned)
        }
        _ => None,
    }
}
