//! Views that can be changed as they are: INSERT, UPDATE and DELETE of a view that shows rows of one table (or of such a view) are
//! said as the same of what is beneath, the view's columns as what they stand for, its WHERE as a condition more.

use std::ops::ControlFlow;
use std::sync::Arc;

use cairn_engine::Catalog;
use cairn_engine::catalog::{CheckOption, ObjectId, Relation, ViewDescriptor};
use sqlparser::ast::{
    AssignmentTarget, BinaryOperator, ConflictTarget, Delete, Distinct, Expr, FromTable, Function,
    GroupByExpr, Ident, Insert, ObjectName, OnConflictAction, OnInsert, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement, TableAlias, TableAliasWithoutColumns, TableFactor,
    TableObject, TableWithJoins, Update, UpdateTableFromKind, Visit, Visitor, With,
};

use super::check_option::Check;
use super::default::parse_expr;
use super::relations::{quoted, select_of};
use super::target::column_ident;
use super::{layers, literal};
use crate::context::Context;
use crate::parse::substitute::{self, Meaning};
use crate::parse::{rewrite::column_name, scope_names};
use crate::privileges::{changes, relations};
use crate::session::variables::fold;
use crate::{Error, Result, catalog, parse, trigger};

/// Views upon views.
const DEPTH_MAX: usize = 64;
/// Why a view of several relations, or of none, cannot be changed.
const SINGLE: &str = "Views that do not select from a single table or view are not automatically updatable.";

/// A statement as it is said of the table, and what the views above it ask of new rows.
pub(super) struct Said<S> {
    pub(super) statement: S,
    pub(super) checks: Vec<Check>,
    /// Whether the views beneath check, too.
    cascaded: bool,
    /// Whose privileges and policies count for the table.
    pub(super) role: ObjectId,
}

impl<S> Said<S> {
    /// The statement as it is said of what is beneath a view, which it calls `outer`, after what was said of the view.
    fn below(
        before: Option<Self>,
        beneath: &Beneath<'_>,
        (outer, role): (&str, ObjectId),
        statement: S,
    ) -> Self {
        let (mut checks, cascaded) =
            before.map_or((Vec::new(), false), |before| (before.checks, before.cascaded));
        let meaning = beneath.outer(outer);
        for check in &mut checks {
            substitute::columns(beneath.context, &beneath.catalog, &meaning, &mut check.condition);
        }
        let own = beneath.view.options.check;
        let cascaded = cascaded || own == Some(CheckOption::Cascaded);
        if (own.is_some() || cascaded)
            && let Some(condition) = beneath.with_selection(outer, None)
        {
            // The views beneath are looked at first.
            checks.insert(0, Check { view: beneath.view.name.clone(), condition });
        }
        Said { statement, checks, cascaded, role }
    }
}

/// An INSERT of what is beneath, where its target is a view that can be changed.
///
/// # Errors
/// `55000` where the view cannot be changed, `0A000` for a column that is computed.
pub(super) fn insert(
    context: &Context,
    statement: &Insert,
    with: Option<&With>,
) -> Result<Option<Said<Insert>>> {
    let mut current: Option<Said<Insert>> = None;
    let mut role = context.role();
    for depth in 0..DEPTH_MAX {
        let insert = current.as_ref().map_or(statement, |said| &said.statement);
        let TableObject::TableName(name) = &insert.table else { return Ok(current) };
        changes::insert(context, (role, depth == 0), insert, with)?;
        let Some(beneath) = Beneath::of(context, name, "INSERT")? else { return Ok(current) };
        role = changes::beneath(context, &beneath.view, role);
        let (outer, insert) = beneath.insert(insert)?;
        current = Some(Said::below(current, &beneath, (&outer, role), insert));
    }
    Err(Error::new("54001", "views nest too deep"))
}

/// An UPDATE of what is beneath.
///
/// # Errors
/// As [`insert`].
pub(super) fn update(
    context: &Context,
    statement: &Update,
    with: Option<&With>,
) -> Result<Option<Said<Update>>> {
    let mut current: Option<Said<Update>> = None;
    let mut role = context.role();
    for depth in 0..DEPTH_MAX {
        let update = current.as_ref().map_or(statement, |said| &said.statement);
        let TableFactor::Table { name, .. } = &update.table.relation else { return Ok(current) };
        changes::update(context, (role, depth == 0), update, with)?;
        let Some(beneath) = Beneath::of(context, name, "UPDATE")? else { return Ok(current) };
        role = changes::beneath(context, &beneath.view, role);
        let (outer, update) = beneath.update(update)?;
        current = Some(Said::below(current, &beneath, (&outer, role), update));
    }
    Err(Error::new("54001", "views nest too deep"))
}

/// A DELETE of what is beneath.
///
/// # Errors
/// As [`insert`].
pub(super) fn delete(
    context: &Context,
    statement: &Delete,
    with: Option<&With>,
) -> Result<Option<(Delete, ObjectId)>> {
    let mut current: Option<(Delete, ObjectId)> = None;
    let mut role = context.role();
    for depth in 0..DEPTH_MAX {
        let delete = current.as_ref().map_or(statement, |own| &own.0);
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let [TableWithJoins { relation: TableFactor::Table { name, .. }, .. }] = from.as_slice() else {
            return Ok(current);
        };
        changes::delete(context, (role, depth == 0), delete, with)?;
        let Some(beneath) = Beneath::of(context, name, "DELETE")? else { return Ok(current) };
        role = changes::beneath(context, &beneath.view, role);
        current = Some((beneath.delete(delete)?, role));
    }
    Err(Error::new("54001", "views nest too deep"))
}

/// Refuses a query that is not that of a view which can be changed, for WITH CHECK OPTION.
///
/// # Errors
/// `0A000`.
pub(crate) fn require_updatable(context: &Context, query: &Query) -> Result<()> {
    let refuse = |reason: String| {
        let message = "WITH CHECK OPTION is supported only on automatically updatable views";
        Err(Error::new("0A000", message).with_hint(reason))
    };
    let aggregates = context.scope.shared.template.aggregate_functions();
    let (select, name, _) = match shown(query, &|name| aggregates.contains_key(name)) {
        Ok(shown) => shown,
        Err(reason) => return refuse(reason),
    };
    let all = context.catalog()?;
    let (schema, name) = catalog::resolve_name(context, &all, name)?;
    match all.relation(&schema, &name) {
        Some(Relation::Table(table)) if table.materialized.is_none() => {}
        Some(Relation::View(_)) => {}
        _ => return refuse(SINGLE.to_owned()),
    }
    let is_column = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => simple(expr).is_some(),
        _ => true,
    };
    match select.projection.iter().any(is_column) {
        true => Ok(()),
        false => refuse("Views that have no updatable columns are not automatically updatable.".to_owned()),
    }
}

/// Which columns of a view can be changed; of a view that cannot be changed none.
pub(crate) fn writable_columns(context: &Context, view: &ViewDescriptor) -> Vec<bool> {
    let writable = context.catalog().ok().and_then(|all| writable_of(context, &all, view, 0));
    writable.unwrap_or_else(|| vec![false; view.columns.len()])
}

fn writable_of(context: &Context, all: &Catalog, view: &ViewDescriptor, depth: usize) -> Option<Vec<bool>> {
    let Ok(Statement::Query(query)) = parse::parse_text(&view.sql) else { return None };
    let aggregates = context.scope.shared.template.aggregate_functions();
    let (select, name, _) = shown(&query, &|name| aggregates.contains_key(name)).ok()?;
    let (schema, name) = catalog::resolve_name(context, all, name).ok()?;
    let below: Vec<(String, bool)> = match all.relation(&schema, &name)? {
        Relation::Table(table) if table.materialized.is_none() => {
            table.live_columns().map(|column| (column.name.clone(), true)).collect()
        }
        Relation::View(below) if depth < DEPTH_MAX => {
            let names = below.columns.iter().map(|column| column.name.clone());
            names.zip(writable_of(context, all, &below, depth + 1)?).collect()
        }
        _ => return None,
    };
    let mut writable = Vec::with_capacity(view.columns.len());
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                let column = simple(expr).map(fold);
                writable
                    .push(below.iter().any(|(name, writable)| *writable && Some(name) == column.as_ref()));
            }
            _ => writable.extend(below.iter().map(|(_, writable)| *writable)),
        }
    }
    Some(writable)
}

/// The one SELECT of a view's query and the relation that it reads.
fn shown<'q>(
    query: &'q Query,
    is_aggregate: &dyn Fn(&str) -> bool,
) -> std::result::Result<(&'q Select, &'q ObjectName, Option<&'q TableAlias>), String> {
    let containing = |what: &str| format!("Views containing {what} are not automatically updatable.");
    if query.with.is_some() {
        return Err(containing("WITH"));
    }
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return Err(containing("LIMIT or OFFSET"));
    }
    let SetExpr::Select(select) = &*query.body else {
        return Err(match &*query.body {
            SetExpr::SetOperation { .. } => containing("UNION, INTERSECT, or EXCEPT"),
            _ => SINGLE.to_owned(),
        });
    };
    if matches!(&select.distinct, Some(Distinct::Distinct | Distinct::On(_))) {
        return Err(containing("DISTINCT"));
    }
    let groups = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if groups {
        return Err(containing("GROUP BY"));
    }
    if select.having.is_some() {
        return Err(containing("HAVING"));
    }
    let mut calls = Calls { is_aggregate, found: None };
    let _ = select.projection.visit(&mut calls);
    if let Some(what) = calls.found {
        return Err(format!("Views that return {what} are not automatically updatable."));
    }
    match select.from.as_slice() {
        [TableWithJoins { relation: TableFactor::Table { name, alias, args: None, sample, .. }, joins }]
            if joins.is_empty() =>
        {
            match sample {
                Some(_) => Err(containing("TABLESAMPLE")),
                None => Ok((select, name, alias.as_ref())),
            }
        }
        _ => Err(SINGLE.to_owned()),
    }
}

/// Looks for calls that make rows of several rows, or several of one.
struct Calls<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
    found: Option<&'static str>,
}

impl Visitor for Calls<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let Expr::Function(Function { name, over, .. }) = expr else { return ControlFlow::Continue(()) };
        let name = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
        self.found = if over.is_some() {
            Some("window functions")
        } else if (self.is_aggregate)(&name) {
            Some("aggregate functions")
        } else if matches!(name.as_str(), "unnest" | "generate_series" | "generate_subscripts") {
            Some("set-returning functions")
        } else {
            self.found
        };
        ControlFlow::Continue(())
    }
}

/// A view that is about to be changed.
struct Beneath<'c> {
    context: &'c Context,
    catalog: Arc<Catalog>,
    view: Arc<ViewDescriptor>,
    /// The relation that it shows.
    name: ObjectName,
    /// What the view's text calls that.
    alias: String,
    /// Its columns.
    columns: Vec<String>,
    /// What the view's columns are, over the relation's.
    shown: Vec<(String, Expr)>,
    selection: Option<Expr>,
}

/// The column of the relation that an expression is.
fn simple(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(parts) => parts.last(),
        Expr::Nested(inner) => simple(inner),
        _ => None,
    }
}

impl<'c> Beneath<'c> {
    /// What is beneath the target, if that is a view without a trigger that does the work.
    fn of(context: &'c Context, name: &ObjectName, verb: &str) -> Result<Option<Self>> {
        let all = context.catalog()?;
        let Ok((schema, relation)) = catalog::resolve_name(context, &all, name) else { return Ok(None) };
        let Some(Relation::View(view)) = all.relation(&schema, &relation) else { return Ok(None) };
        if trigger::view::as_table(&view, verb).is_some() {
            return Ok(None);
        }
        let Statement::Query(query) = parse::parse_text(&view.sql)? else {
            return Err(Error::new(
                "XX001",
                format!("the definition of view \"{}\" is not a query", view.name),
            ));
        };
        let aggregates = context.scope.shared.template.aggregate_functions();
        let (select, base, alias) = shown(&query, &|name| aggregates.contains_key(name))
            .map_err(|reason| refused(&view.name, verb).with_detail(reason))?;
        // Names of the text were resolved when the view was made; they are resolved again as its query is.
        let bare = match base.0.as_slice() {
            [part] => part.as_ident().map(fold),
            _ => None,
        };
        let read = bare.and_then(|name| relations::read_by(&all, &view.depends_on, &name));
        let (base_schema, base_name) = match read {
            Some(found) => found,
            None => catalog::resolve_name(context, &all, base)?,
        };
        let columns: Vec<String> = match all.relation(&base_schema, &base_name) {
            Some(Relation::Table(table)) if table.materialized.is_none() => {
                table.live_columns().map(|column| column.name.clone()).collect()
            }
            Some(Relation::View(below)) => below.columns.iter().map(|column| column.name.clone()).collect(),
            _ => return Err(refused(&view.name, verb).with_detail(SINGLE)),
        };
        let alias = alias.map_or_else(|| base_name.clone(), |alias| fold(&alias.name));
        let mut exprs = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    exprs.push(expr.clone())
                }
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                    exprs.extend(columns.iter().map(|column| Expr::Identifier(quoted(column))));
                }
                _ => return Err(refused(&view.name, verb)),
            }
        }
        let names = view.columns.iter().map(|column| column.name.clone());
        let shown: Vec<(String, Expr)> = names.zip(exprs).collect();
        let selection = select.selection.clone();
        let name = ObjectName::from(vec![quoted(&base_schema), quoted(&base_name)]);
        Ok(Some(Self { context, catalog: all, name, alias, columns, shown, selection, view }))
    }

    /// The relation's columns, as the statement qualifies them.
    fn inner(&self, outer: &str) -> Meaning {
        let column =
            |name: &String| (name.clone(), Expr::CompoundIdentifier(vec![quoted(outer), quoted(name)]));
        Meaning { alias: self.alias.clone(), columns: self.columns.iter().map(column).collect() }
    }

    /// The view's columns, as the statement may name them: what they are over the relation, qualified by the same name.
    fn outer(&self, outer: &str) -> Meaning {
        let inner = self.inner(outer);
        let columns = self.shown.iter().map(|(name, expr)| {
            let mut expr = expr.clone();
            substitute::columns(self.context, &self.catalog, &inner, &mut expr);
            (name.clone(), expr)
        });
        Meaning { alias: outer.to_owned(), columns: columns.collect() }
    }

    /// The column of the relation that a column of the view is.
    fn column(&self, ident: &Ident, how: &str) -> Result<Ident> {
        let name = fold(ident);
        let Some((_, expr)) = self.shown.iter().find(|(shown, _)| *shown == name) else {
            return Err(Error::new(
                "42703",
                format!("column \"{name}\" of relation \"{}\" does not exist", self.view.name),
            ));
        };
        simple(expr).map(|ident| quoted(&fold(ident))).ok_or_else(|| {
            Error::new("0A000", format!("cannot {how} column \"{name}\" of view \"{}\"", self.view.name))
                .with_detail("View columns that are not columns of their base relation are not updatable.")
        })
    }

    /// Condition and the view's own.
    fn with_selection(&self, outer: &str, condition: Option<Expr>) -> Option<Expr> {
        let own = self.selection.clone().map(|mut own| {
            substitute::columns(self.context, &self.catalog, &self.inner(outer), &mut own);
            own
        });
        let nested = |expr: Expr| Box::new(Expr::Nested(Box::new(expr)));
        let barrier = self.view.options.security_barrier == Some(true);
        let condition = if barrier { condition.map(layers::outside) } else { condition };
        match (own, condition) {
            (Some(own), Some(condition)) => {
                Some(Expr::BinaryOp { left: nested(own), op: BinaryOperator::And, right: nested(condition) })
            }
            (own, condition) => own.or(condition),
        }
    }

    fn returning(&self, meaning: &Meaning, items: &[SelectItem], others: &[String]) -> Vec<SelectItem> {
        let all = || {
            self.shown.iter().filter_map(|(name, _)| {
                let expr = meaning.columns.get(name)?.clone();
                Some(SelectItem::ExprWithAlias { expr, alias: quoted(name) })
            })
        };
        let mut out = Vec::new();
        for item in items {
            match item {
                SelectItem::Wildcard(options) => {
                    out.extend(all());
                    out.extend(others.iter().map(|name| {
                        let kind =
                            SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(quoted(name)));
                        SelectItem::QualifiedWildcard(kind, options.clone())
                    }));
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _)
                    if name.0.last().and_then(|part| part.as_ident()).map(fold).as_deref()
                        == Some(&meaning.alias) =>
                {
                    out.extend(all());
                }
                SelectItem::UnnamedExpr(expr) => {
                    let (alias, mut expr) = (quoted(&column_name(expr)), expr.clone());
                    substitute::columns(self.context, &self.catalog, meaning, &mut expr);
                    out.push(SelectItem::ExprWithAlias { expr, alias });
                }
                other => {
                    let mut other = other.clone();
                    substitute::columns(self.context, &self.catalog, meaning, &mut other);
                    out.push(other);
                }
            }
        }
        out
    }

    /// The statement said of what is beneath, and the name that it has for the view.
    fn insert(&self, statement: &Insert) -> Result<(String, Insert)> {
        let mut insert = statement.clone();
        let outer = insert.table_alias.as_ref().map_or_else(|| self.view.name.clone(), |a| fold(&a.alias));
        let meaning = self.outer(&outer);
        if insert.columns.is_empty() {
            // As many as there are values, where that can be told.
            let width = insert.source.as_deref().and_then(width_of).unwrap_or(self.shown.len());
            let names = self.shown.iter().take(width.min(self.shown.len()));
            insert.columns = names.map(|(name, _)| ObjectName::from(quoted(name))).collect();
            if width > self.shown.len() {
                return Err(Error::new("42601", "INSERT has more expressions than target columns"));
            }
        }
        if insert.source.is_none() {
            insert.columns.clear();
        }
        self.fill_in(&mut insert)?;
        for name in &mut insert.columns {
            *name = ObjectName::from(self.column(column_ident(name)?, "insert into")?);
        }
        insert.table = TableObject::TableName(self.name.clone());
        insert.table_alias = Some(TableAliasWithoutColumns { explicit: true, alias: quoted(&outer) });
        if let Some(OnInsert::OnConflict(on)) = &mut insert.on {
            if let Some(ConflictTarget::Columns(columns)) = &mut on.conflict_target {
                for column in columns {
                    *column = self.column(column, "insert into")?;
                }
            }
            if let OnConflictAction::DoUpdate(update) = &mut on.action {
                self.assign(&mut update.assignments, &meaning)?;
                let excluded = self.outer("excluded");
                let excluded = Meaning {
                    // Without a qualifier they are those of the row that is there.
                    columns: excluded.columns,
                    alias: "excluded".to_owned(),
                };
                let qualified = |expr: &mut Expr| {
                    substitute::columns(self.context, &self.catalog, &meaning, expr);
                    substitute::qualified(&excluded, expr);
                };
                update.assignments.iter_mut().for_each(|a| substitute::qualified(&excluded, &mut a.value));
                update.selection.iter_mut().for_each(qualified);
            }
        }
        insert.returning = insert.returning.as_deref().map(|items| self.returning(&meaning, items, &[]));
        Ok((outer, insert))
    }

    /// The default of a column of the view.
    fn default(&self, column: &str) -> Result<Option<Expr>> {
        let own = self.view.columns.iter().find(|own| own.name == column);
        own.and_then(|own| own.default.as_deref()).map(parse_expr).transpose()
    }

    /// Puts the view's defaults where nothing or DEFAULT is given.
    fn fill_in(&self, insert: &mut Insert) -> Result<()> {
        if self.view.columns.iter().all(|column| column.default.is_none()) {
            return Ok(());
        }
        let given = insert.columns.iter().map(|name| column_ident(name).map(fold));
        let given = given.collect::<Result<Vec<String>>>()?;
        let mut added = Vec::new();
        for column in self.view.columns.iter().filter(|column| !given.contains(&column.name)) {
            if let Some(default) = self.default(&column.name)? {
                insert.columns.push(ObjectName::from(quoted(&column.name)));
                added.push(default);
            }
        }
        let Some(source) = insert.source.as_deref_mut() else {
            if !added.is_empty() {
                let values: Vec<String> = added.iter().map(Expr::to_string).collect();
                let Statement::Query(query) = parse::parse_text(&format!("VALUES ({})", values.join(", ")))?
                else {
                    return Err(Error::internal("VALUES is no query"));
                };
                insert.source = Some(query);
            }
            return Ok(());
        };
        match &mut *source.body {
            SetExpr::Values(values) => {
                for row in &mut values.rows {
                    for (expr, column) in row.content.iter_mut().zip(&given) {
                        self.or_default(expr, column)?;
                    }
                    row.content.extend(added.iter().cloned());
                }
            }
            _ if added.is_empty() => {}
            _ => {
                let value = |(at, expr): (usize, &Expr)| format!("{expr} AS cairn_{}", given.len() + at);
                let values: Vec<String> = added.iter().enumerate().map(value).collect();
                let names: Vec<String> = (0..given.len()).map(|at| format!("cairn_{at}")).collect();
                let text = format!(
                    "SELECT cairn_source.*, {} FROM (SELECT 1) AS cairn_source ({})",
                    values.join(", "),
                    names.join(", ")
                );
                let Statement::Query(mut around) = parse::parse_text(&text)? else {
                    return Err(Error::internal("SELECT is no query"));
                };
                if let Some(part) = select_of(&mut around)?.from.first_mut()
                    && let TableFactor::Derived { subquery, .. } = &mut part.relation
                {
                    std::mem::swap(&mut **subquery, source);
                }
                *source = *around;
            }
        }
        Ok(())
    }

    /// DEFAULT is the default of the view's column, where that has one.
    fn or_default(&self, expr: &mut Expr, column: &str) -> Result<()> {
        if literal::is_default(expr)
            && let Some(default) = self.default(column)?
        {
            *expr = default;
        }
        Ok(())
    }

    fn assign(&self, assignments: &mut [sqlparser::ast::Assignment], meaning: &Meaning) -> Result<()> {
        for assignment in assignments {
            let one = |name: &mut ObjectName| -> Result<()> {
                *name = ObjectName::from(self.column(column_ident(name)?, "update")?);
                Ok(())
            };
            match &mut assignment.target {
                AssignmentTarget::ColumnName(name) => {
                    self.or_default(&mut assignment.value, &fold(column_ident(name)?))?;
                    one(name)?;
                }
                AssignmentTarget::Tuple(names) => {
                    if let Expr::Tuple(values) = &mut assignment.value {
                        for (name, value) in names.iter().zip(values) {
                            self.or_default(value, &fold(column_ident(name)?))?;
                        }
                    }
                    names.iter_mut().try_for_each(one)?;
                }
            }
            substitute::columns(self.context, &self.catalog, meaning, &mut assignment.value);
        }
        Ok(())
    }

    fn update(&self, statement: &Update) -> Result<(String, Update)> {
        let mut update = statement.clone();
        let outer = self.retarget(&mut update.table);
        let meaning = self.outer(&outer);
        self.assign(&mut update.assignments, &meaning)?;
        let condition = update.selection.take().map(|mut condition| {
            substitute::columns(self.context, &self.catalog, &meaning, &mut condition);
            condition
        });
        update.selection = self.with_selection(&outer, condition);
        let others = match &update.from {
            Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => {
                scope_names(from)
            }
            None => Vec::new(),
        };
        update.returning = update.returning.as_deref().map(|items| self.returning(&meaning, items, &others));
        Ok((outer, update))
    }

    fn delete(&self, statement: &Delete) -> Result<Delete> {
        let mut delete = statement.clone();
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &mut delete.from;
        let Some(table) = from.first_mut() else { return Err(Error::internal("DELETE without a table")) };
        let outer = self.retarget(table);
        let meaning = self.outer(&outer);
        let condition = delete.selection.take().map(|mut condition| {
            substitute::columns(self.context, &self.catalog, &meaning, &mut condition);
            condition
        });
        delete.selection = self.with_selection(&outer, condition);
        let others = delete.using.as_deref().map(scope_names).unwrap_or_default();
        delete.returning = delete.returning.as_deref().map(|items| self.returning(&meaning, items, &others));
        Ok(delete)
    }

    /// Puts the relation in the view's place, under the name that the view had in the statement.
    fn retarget(&self, table: &mut TableWithJoins) -> String {
        let mut outer = self.view.name.clone();
        if let TableFactor::Table { name, alias, .. } = &mut table.relation {
            if let Some(alias) = alias {
                outer = fold(&alias.name);
            }
            *name = self.name.clone();
            *alias = Some(TableAlias { explicit: true, name: quoted(&outer), columns: Vec::new(), at: None });
        }
        outer
    }
}

/// How many values a source gives, where its text says it.
fn width_of(query: &Query) -> Option<usize> {
    match &*query.body {
        SetExpr::Values(values) => values.rows.first().map(|row| row.len()),
        SetExpr::Select(select) => {
            let counted = |item: &SelectItem| {
                matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
            };
            select.projection.iter().all(counted).then_some(select.projection.len())
        }
        _ => None,
    }
}

fn refused(view: &str, verb: &str) -> Error {
    let (what, how, event) = match verb {
        "INSERT" => ("insert into", "inserting into", "INSERT"),
        "UPDATE" => ("update", "updating", "UPDATE"),
        _ => ("delete from", "deleting from", "DELETE"),
    };
    Error::new("55000", format!("cannot {what} view \"{view}\"")).with_hint(format!(
        "To enable {how} the view, provide an INSTEAD OF {event} trigger or an unconditional ON {event} DO INSTEAD rule."
    ))
}
