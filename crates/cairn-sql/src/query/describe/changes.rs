//! Parameters and columns of INSERT, UPDATE, DELETE and MERGE: a parameter that alone is what a column is set to has the
//! column's type; what the others are, queries over the same relations tell.

use std::borrow::Cow;
use std::sync::Arc;

use cairn_engine::Table;
use cairn_types::DataType;
use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, DoUpdate, Expr, FromTable, Insert, Merge, MergeAction,
    MergeInsertKind, ObjectName, OnConflict, OnConflictAction, OnInsert, Query, SelectItem, SetExpr,
    Statement, TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind, Value as Literal, With,
};

use super::{Types, of_query};
use crate::context::Context;
use crate::dml::literal::is_default;
use crate::results::Column;
use crate::session::variables::fold;
use crate::{Result, catalog, parse};

/// The columns of what a statement changes, a table or a view.
struct Target(Vec<(String, DataType)>);

impl Target {
    fn of(context: &Context, name: &ObjectName) -> Result<Target> {
        let all = context.catalog()?;
        let (schema, relation) = catalog::resolve_name(context, &all, name)?;
        let table = match all.view(&schema, &relation) {
            Ok(view) => Arc::new(Table::of_view(&view)),
            Err(_) => all.table(&schema, &relation)?,
        };
        let columns = table.live_columns().map(|column| (column.name.clone(), column.ty.clone()));
        Ok(Target(columns.collect()))
    }

    fn in_factor(context: &Context, factor: &TableFactor) -> Result<Target> {
        match factor {
            TableFactor::Table { name, .. } => Target::of(context, name),
            _ => Ok(Target(Vec::new())),
        }
    }

    /// The type of a column; `None` for a part of one.
    fn ty(&self, name: &ObjectName) -> Option<&DataType> {
        let name = last_name(name)?;
        self.0.iter().find(|(own, _)| *own == name).map(|(_, ty)| ty)
    }
}

fn last_name(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(fold)
}

/// What a statement computes over some relations.
struct Computed<'w> {
    /// The WITH before the statement.
    with: Option<&'w With>,
    /// FROM.
    from: String,
    exprs: Vec<String>,
    /// WHERE, ON and the like.
    conditions: Vec<String>,
}

impl<'w> Computed<'w> {
    fn over(with: Option<&'w With>, relations: impl IntoIterator<Item = String>) -> Self {
        let from = relations.into_iter().collect::<Vec<_>>().join(", ");
        Computed { with, from, exprs: Vec::new(), conditions: Vec::new() }
    }

    /// Takes what a column of type `ty` is set to.
    fn value(&mut self, expr: &Expr, ty: Option<&DataType>, types: &mut Types) {
        match (parameter(expr), ty) {
            (Some(number), Some(ty)) => {
                types.entry(number).or_insert_with(|| ty.clone());
            }
            _ if is_default(expr) => {}
            _ => self.exprs.push(expr.to_string()),
        }
    }

    fn condition(&mut self, expr: Option<&Expr>) {
        self.conditions.extend(expr.map(ToString::to_string));
    }

    fn assignments(&mut self, target: &Target, list: &[Assignment], types: &mut Types) {
        for Assignment { target: to, value } in list {
            match (to, value) {
                (AssignmentTarget::ColumnName(name), value) => self.value(value, target.ty(name), types),
                (AssignmentTarget::Tuple(names), Expr::Tuple(values)) => {
                    let pairs = names.iter().zip(values);
                    pairs.for_each(|(name, value)| self.value(value, target.ty(name), types));
                }
                (AssignmentTarget::Tuple(names), Expr::Subquery(query)) => {
                    let columns = names.iter().map(|name| target.ty(name));
                    note_selected(query, columns, types);
                    self.exprs.push(format!("EXISTS ({query})"));
                }
                (AssignmentTarget::Tuple(_), value) => self.exprs.push(value.to_string()),
            }
        }
    }

    /// Plans it: as one query, or where that is none piece by piece. What cannot be planned is reported when the statement
    /// runs.
    fn tell(&self, context: &Context, types: &mut Types) {
        let from = if self.from.is_empty() { String::new() } else { format!(" FROM {}", self.from) };
        let pieces = self.exprs.len() + self.conditions.len();
        if pieces == 0 {
            return;
        }
        let list = if self.exprs.is_empty() { "1".to_owned() } else { self.exprs.join(", ") };
        let condition = match self.conditions.as_slice() {
            [] => String::new(),
            all => format!(" WHERE ({})", all.join(") AND (")),
        };
        if self.of_text(context, &format!("SELECT {list}{from}{condition}"), types).is_ok() || pieces == 1 {
            return;
        }
        for expr in &self.exprs {
            let _ = self.of_text(context, &format!("SELECT {expr}{from}"), types);
        }
        for condition in &self.conditions {
            let _ = self.of_text(context, &format!("SELECT 1{from} WHERE {condition}"), types);
        }
    }

    fn of_text(&self, context: &Context, sql: &str, types: &mut Types) -> Result<Vec<Column>> {
        let Statement::Query(mut query) = parse::parse_text(sql)? else { return Ok(Vec::new()) };
        query.with = self.with.cloned();
        of_query(context, &query, types)
    }

    /// The columns of RETURNING.
    fn returning(
        &self,
        context: &Context,
        items: Option<&[SelectItem]>,
        types: &mut Types,
    ) -> Result<Vec<Column>> {
        let Some(items) = items else { return Ok(Vec::new()) };
        let list = items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.of_text(context, &format!("SELECT {list} FROM {}", self.from), types)
    }
}

/// The number of a parameter that stands alone.
fn parameter(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Nested(inner) => parameter(inner),
        Expr::Value(value) => match &value.value {
            Literal::Placeholder(name) => name.strip_prefix('$')?.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Parameters that stand alone in a list of SELECT have the types of the columns that they are for.
fn note_selected<'t>(query: &Query, columns: impl Iterator<Item = Option<&'t DataType>>, types: &mut Types) {
    let SetExpr::Select(select) = &*query.body else { return };
    for (item, ty) in select.projection.iter().zip(columns) {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return };
        if let (Some(number), Some(ty)) = (parameter(expr), ty) {
            types.entry(number).or_insert_with(|| ty.clone());
        }
    }
}

fn texts(tables: &[TableWithJoins]) -> impl Iterator<Item = String> {
    tables.iter().map(ToString::to_string)
}

/// Parameters and columns of a statement that changes data, with the WITH before it.
pub(super) fn of_change(
    context: &Context,
    with: Option<&With>,
    statement: &Statement,
    types: &mut Types,
) -> Result<Vec<Column>> {
    match statement {
        Statement::Insert(insert) => of_insert(context, with, insert, types),
        Statement::Update(update) => of_update(context, with, update, types),
        Statement::Delete(delete) => of_delete(context, with, delete, types),
        Statement::Merge(merge) => of_merge(context, with, merge, types),
        _ => Ok(Vec::new()),
    }
}

/// A query with the WITH of the statement that it is part of.
fn under<'q>(with: Option<&With>, query: &'q Query) -> Cow<'q, Query> {
    let Some(with) = with else { return Cow::Borrowed(query) };
    let mut query = query.clone();
    match &mut query.with {
        None => query.with = Some(with.clone()),
        Some(own) => {
            own.recursive |= with.recursive;
            own.cte_tables.splice(0..0, with.cte_tables.iter().cloned());
        }
    }
    Cow::Owned(query)
}

fn of_update(
    context: &Context,
    with: Option<&With>,
    update: &Update,
    types: &mut Types,
) -> Result<Vec<Column>> {
    let target = Target::in_factor(context, &update.table.relation)?;
    let more: &[TableWithJoins] = match &update.from {
        Some(UpdateTableFromKind::BeforeSet(tables) | UpdateTableFromKind::AfterSet(tables)) => tables,
        None => &[],
    };
    let mut computed = Computed::over(with, std::iter::once(update.table.to_string()).chain(texts(more)));
    computed.assignments(&target, &update.assignments, types);
    computed.condition(update.selection.as_ref());
    computed.tell(context, types);
    computed.returning(context, update.returning.as_deref(), types)
}

fn of_delete(
    context: &Context,
    with: Option<&With>,
    delete: &Delete,
    types: &mut Types,
) -> Result<Vec<Column>> {
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let more = delete.using.as_deref().unwrap_or(&[]);
    let mut computed = Computed::over(with, texts(tables).chain(texts(more)));
    computed.condition(delete.selection.as_ref());
    computed.tell(context, types);
    computed.returning(context, delete.returning.as_deref(), types)
}

fn of_insert(
    context: &Context,
    with: Option<&With>,
    insert: &Insert,
    types: &mut Types,
) -> Result<Vec<Column>> {
    let TableObject::TableName(name) = &insert.table else { return Ok(Vec::new()) };
    let target = Target::of(context, name)?;
    let columns: Vec<Option<&DataType>> = match insert.columns.as_slice() {
        [] => target.0.iter().map(|(_, ty)| Some(ty)).collect(),
        names => names.iter().map(|name| target.ty(name)).collect(),
    };
    match insert.source.as_deref() {
        Some(Query { body, with: None, .. }) if matches!(**body, SetExpr::Values(_)) => {
            let SetExpr::Values(values) = &**body else { return Ok(Vec::new()) };
            let mut computed = Computed::over(with, None);
            for row in &values.rows {
                row.content.iter().zip(&columns).for_each(|(expr, ty)| computed.value(expr, *ty, types));
            }
            computed.tell(context, types);
        }
        Some(query) => {
            note_selected(query, columns.iter().copied(), types);
            of_query(context, &under(with, query), types)?;
        }
        None => {}
    }
    let alias = insert.table_alias.as_ref().map(|alias| alias.alias.clone());
    let own = alias.map_or_else(|| name.to_string(), |alias| format!("{name} AS {alias}"));
    if let Some(OnInsert::OnConflict(OnConflict {
        action: OnConflictAction::DoUpdate(DoUpdate { assignments, selection }),
        ..
    })) = &insert.on
    {
        let mut computed = Computed::over(with, [own.clone(), format!("{name} AS excluded")]);
        computed.assignments(&target, assignments, types);
        computed.condition(selection.as_ref());
        computed.tell(context, types);
    }
    Computed::over(with, [own]).returning(context, insert.returning.as_deref(), types)
}

fn of_merge(context: &Context, with: Option<&With>, merge: &Merge, types: &mut Types) -> Result<Vec<Column>> {
    let target = Target::in_factor(context, &merge.table)?;
    let mut computed = Computed::over(with, [merge.source.to_string(), merge.table.to_string()]);
    computed.condition(Some(&merge.on));
    for clause in &merge.clauses {
        computed.condition(clause.predicate.as_ref());
        match &clause.action {
            MergeAction::Update(update) => computed.assignments(&target, &update.assignments, types),
            MergeAction::Insert(insert) => {
                let MergeInsertKind::Values(values) = &insert.kind else { continue };
                let columns: Vec<Option<&DataType>> = match insert.columns.as_slice() {
                    [] => target.0.iter().map(|(_, ty)| Some(ty)).collect(),
                    names => names.iter().map(|name| target.ty(name)).collect(),
                };
                for row in &values.rows {
                    row.content.iter().zip(&columns).for_each(|(expr, ty)| computed.value(expr, *ty, types));
                }
            }
            MergeAction::Delete { .. } => {}
        }
    }
    computed.tell(context, types);
    computed.returning(context, crate::dml::merge_returning::described(merge).as_deref(), types)
}
