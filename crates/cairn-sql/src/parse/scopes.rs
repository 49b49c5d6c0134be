//! What the parts of FROM are called and which columns they have, before a query is planned: as far as the catalog and the
//! SELECT lists of subqueries say it, and by planning a part by itself where they do not.

use std::cell::Cell;
use std::sync::Arc;

use cairn_engine::catalog::{Relation, TypeDescriptor};
use cairn_engine::table::ROW_KEY;
use cairn_engine::{Catalog, Table};
use cairn_types::DataType;
use sqlparser::ast::{
    JoinOperator, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
    TableAlias, TableFactor, TableWithJoins, With,
};

use super::presence::THERE;
use super::rewrite::column_name;
use super::using;
use crate::catalog::{self, resolve_name};
use crate::context::Context;
use crate::session::variables::fold;

/// A part of FROM.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// What qualifies its columns; empty where nothing does.
    pub(super) name: String,
    /// Its columns; `None` where they are not known.
    pub(super) columns: Option<Vec<String>>,
    /// The type of its rows, where it has one.
    pub(super) rows: Option<DataType>,
    /// Whether it is a function of one column, which its name means.
    pub(super) scalar: bool,
    /// Whether an outer join may leave it without a row.
    pub(super) optional: bool,
    /// A column that is NULL only where there is no row.
    pub(super) present: Option<String>,
    /// The table that it is: its id, and whether its rows lie in partitions.
    pub(super) table: Option<(u32, bool)>,
}

/// The names of WITH that are in sight, with their columns.
type Ctes = Vec<(String, Option<Vec<String>>)>;

/// What names mean at a place of a query.
#[derive(Clone)]
pub(super) struct Scopes<'a> {
    context: &'a Context,
    catalog: &'a Catalog,
    /// Gives the columns of a query that stands alone.
    plan: &'a dyn Fn(Query) -> Option<Vec<String>>,
    ctes: Vec<Ctes>,
    /// Parts of FROM that got names here.
    named: Cell<usize>,
}

/// The columns that an alias renames.
fn renamed(columns: Option<Vec<String>>, alias: Option<&TableAlias>) -> Option<Vec<String>> {
    let mut columns = columns?;
    for (at, new) in alias.iter().flat_map(|alias| &alias.columns).enumerate() {
        *columns.get_mut(at)? = fold(&new.name);
    }
    Some(columns)
}

/// A function in FROM: its columns are those that its alias says, or one of its name, or a key and a value.
fn function(name: &ObjectName, alias: Option<&TableAlias>) -> Item {
    let own = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let name = alias.map_or(own, |alias| fold(&alias.name));
    let columns: Vec<String> =
        alias.iter().flat_map(|alias| &alias.columns).map(|column| fold(&column.name)).collect();
    let columns = match columns.is_empty() {
        true => vec![name.clone(), "key".to_owned(), "value".to_owned()],
        false => columns,
    };
    Item { name, columns: Some(columns), ..Item::default() }
}

/// Whether a subquery is what a function in FROM became.
fn is_set(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    matches!(
        select.from.first().map(|table| &table.relation),
        Some(TableFactor::Derived { alias: Some(alias), .. }) if alias.name.value == "cairn_set"
    )
}

/// `SELECT * FROM` that part.
pub(super) fn all_of(factor: &TableFactor) -> Option<Query> {
    let Ok(Statement::Query(mut query)) = super::parse_text("SELECT * FROM part") else { return None };
    let SetExpr::Select(select) = &mut *query.body else { return None };
    select.from.first_mut()?.relation = factor.clone();
    Some(*query)
}

impl<'a> Scopes<'a> {
    /// The outermost one. `plan` gives the columns of a query that stands alone.
    pub(super) fn new(
        context: &'a Context,
        catalog: &'a Catalog,
        plan: &'a dyn Fn(Query) -> Option<Vec<String>>,
    ) -> Self {
        Self { context, catalog, plan, ctes: Vec::new(), named: Cell::new(0) }
    }

    /// A name for a part of FROM that has none, another each time.
    pub(super) fn new_name(&self) -> String {
        self.named.set(self.named.get() + 1);
        format!("cairn_part_{}", self.named.get())
    }

    /// Opens a query: the names of its WITH are in sight until [`Scopes::close`].
    pub(super) fn open(&mut self, with: Option<&With>) {
        self.ctes.push(Vec::new());
        for cte in with.iter().flat_map(|with| &with.cte_tables) {
            let columns = renamed(self.columns_of(&cte.query), Some(&cte.alias));
            if let Some(open) = self.ctes.last_mut() {
                open.push((fold(&cte.alias.name), columns));
            }
        }
    }

    /// Closes the query that was opened last.
    pub(super) fn close(&mut self) {
        self.ctes.pop();
    }

    /// The columns of a table or view, with their types.
    pub(super) fn relation(&self, name: &ObjectName) -> Option<Vec<(String, DataType)>> {
        if let [part] = name.0.as_slice() {
            let bare = fold(part.as_ident()?);
            if catalog::is_system_table(&bare) {
                return None;
            }
        }
        let (schema, relation) = resolve_name(self.context, self.catalog, name).ok()?;
        match self.catalog.relation(&schema, &relation)? {
            Relation::Table(table) => {
                Some(table.live_columns().map(|c| (c.name.clone(), c.ty.clone())).collect())
            }
            Relation::View(view) => {
                Some(view.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect())
            }
            _ => None,
        }
    }

    /// The table that a name means.
    fn table(&self, name: &ObjectName) -> Option<Arc<Table>> {
        let (schema, relation) = match catalog::is_with_row_key(name) {
            true => {
                let [_, schema, relation] = name.0.as_slice() else { return None };
                (fold(schema.as_ident()?), fold(relation.as_ident()?))
            }
            false => resolve_name(self.context, self.catalog, name).ok()?,
        };
        match self.catalog.relation(&schema, &relation)? {
            Relation::Table(table) => Some(table),
            _ => None,
        }
    }

    /// A part of FROM that is no join.
    pub(super) fn item(&self, factor: &TableFactor) -> Item {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let own = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
                let cte =
                    || self.ctes.iter().rev().flat_map(|open| open.iter().rev()).find(|(cte, _)| *cte == own);
                let columns = match name.0.as_slice() {
                    [_] if cte().is_some() => cte().and_then(|(_, columns)| columns.clone()),
                    _ => self
                        .relation(name)
                        .map(|all| all.into_iter().map(|(name, _)| name).collect())
                        .or_else(|| (self.plan)(all_of(&without_alias(factor))?)),
                };
                let table = match name.0.as_slice() {
                    [_] if cte().is_some() => None,
                    _ => self.table(name),
                };
                // With their keys, rows are of no type.
                let typed = table.as_ref().filter(|_| !catalog::is_with_row_key(name));
                let rows = typed.map(|table| TypeDescriptor::of_rows(table).data_type());
                let is_keyed = catalog::is_with_row_key(name);
                let name = alias.as_ref().map_or(own, |alias| fold(&alias.name));
                let columns = renamed(columns, alias.as_ref());
                let never = table.as_ref().and_then(|table| table.live_columns().position(|c| !c.nullable));
                let present = never.and_then(|at| columns.as_ref()?.get(at).cloned());
                let present = if is_keyed { Some(ROW_KEY.to_owned()) } else { present };
                let table = table.map(|table| (table.id, table.is_partitioned()));
                Item { name, columns, rows, scalar: false, optional: false, present, table }
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let name = alias.as_ref().map(|alias| fold(&alias.name)).unwrap_or_default();
                let said = self.columns_of(subquery).or_else(|| (self.plan)((**subquery).clone()));
                let mut columns = renamed(said, alias.as_ref());
                let mut present = None;
                if let Some(columns) = &mut columns
                    && columns.last().is_some_and(|name| name == THERE)
                {
                    present = columns.pop();
                }
                let scalar = is_set(subquery) && columns.as_ref().is_some_and(|columns| columns.len() == 1);
                Item { name, columns, scalar, present, ..Item::default() }
            }
            TableFactor::Table { name, alias, .. } | TableFactor::Function { name, alias, .. } => {
                let item = function(name, alias.as_ref());
                let scalar = item.columns.as_ref().is_some_and(|columns| columns.len() == 1);
                Item { scalar, ..item }
            }
            TableFactor::NestedJoin { table_with_joins, alias: Some(alias) } => {
                let columns = self.columns_of_joins(table_with_joins);
                Item { name: fold(&alias.name), columns: renamed(columns, Some(alias)), ..Item::default() }
            }
            _ => Item::default(),
        }
    }

    /// The parts of FROM.
    pub(super) fn items(&self, from: &[TableWithJoins]) -> Vec<Item> {
        from.iter().flat_map(|table| self.items_of(table)).collect()
    }

    fn items_of(&self, table: &TableWithJoins) -> Vec<Item> {
        let part = |factor: &TableFactor| match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => self.items_of(table_with_joins),
            other => vec![self.item(other)],
        };
        let mut items = part(&table.relation);
        for join in &table.joins {
            let (left, right) = match join.join_operator {
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
                JoinOperator::FullOuter(_) => (true, true),
                _ => (false, false),
            };
            items.iter_mut().for_each(|item| item.optional |= left);
            items.extend(part(&join.relation).into_iter().map(|mut item| {
                item.optional |= right;
                item
            }));
        }
        items
    }

    /// What `*` gives of a join.
    fn columns_of_joins(&self, table: &TableWithJoins) -> Option<Vec<String>> {
        let shown = using::said(self, &mut table.clone()).ok()??;
        Some(shown.into_iter().map(|column| column.name).collect())
    }

    /// The columns of a query, where its SELECT list says them.
    fn columns_of(&self, query: &Query) -> Option<Vec<String>> {
        let mut inner = self.clone();
        inner.open(query.with.as_ref());
        let mut body = &*query.body;
        while let SetExpr::SetOperation { left, .. } = body {
            body = left;
        }
        match body {
            SetExpr::Query(query) => inner.columns_of(query),
            SetExpr::Select(select) => inner.columns_of_select(select),
            SetExpr::Values(values) => {
                let width = values.rows.first().map_or(0, |row| row.len());
                Some((1..=width).map(|at| format!("column{at}")).collect())
            }
            _ => None,
        }
    }

    fn columns_of_select(&self, select: &Select) -> Option<Vec<String>> {
        let mut columns = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) => columns.push(column_name(expr)),
                SelectItem::ExprWithAlias { alias, .. } => columns.push(fold(alias)),
                SelectItem::Wildcard(_) => {
                    for table in &select.from {
                        columns.extend(self.columns_of_joins(table)?);
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let name = fold(name.0.last()?.as_ident()?);
                    let item = self.items(&select.from).into_iter().find(|item| item.name == name)?;
                    columns.extend(item.columns?);
                }
                _ => return None,
            }
        }
        Some(columns)
    }
}

/// The part by its own name and columns.
fn without_alias(factor: &TableFactor) -> TableFactor {
    let mut factor = factor.clone();
    if let TableFactor::Table { alias, .. } = &mut factor {
        *alias = None;
    }
    factor
}

/// What the parts of FROM are called.
pub(crate) fn names(from: &[TableWithJoins]) -> Vec<String> {
    fn of(table: &TableWithJoins, names: &mut Vec<String>) {
        for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
            match factor {
                TableFactor::NestedJoin { table_with_joins, alias: None } => of(table_with_joins, names),
                TableFactor::Table { alias: Some(alias), .. }
                | TableFactor::Derived { alias: Some(alias), .. }
                | TableFactor::Function { alias: Some(alias), .. }
                | TableFactor::UNNEST { alias: Some(alias), .. }
                | TableFactor::NestedJoin { alias: Some(alias), .. } => names.push(fold(&alias.name)),
                TableFactor::Table { name, .. } | TableFactor::Function { name, .. } => {
                    names.extend(name.0.last().and_then(|part| part.as_ident()).map(fold));
                }
                TableFactor::UNNEST { .. } => names.push("unnest".to_owned()),
                _ => {}
            }
        }
    }
    let mut names = Vec::new();
    from.iter().for_each(|table| of(table, &mut names));
    names
}
