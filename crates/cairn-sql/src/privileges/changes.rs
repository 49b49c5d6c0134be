//! What INSERT, UPDATE, DELETE, MERGE, COPY and TRUNCATE need: privileges on the table or on the columns that they name, and
//! SELECT on the columns that their expressions name.
//!
//! A statement on a view is looked at once for the view, as the role, and once for each relation beneath, as the owner of
//! the view above (`dml::updatable`).

use std::ops::ControlFlow;
use std::sync::Arc;

use cairn_engine::catalog::{BOOTSTRAP, Class, ObjectId, Privileges, Relation, ViewDescriptor};
use cairn_engine::{Catalog, Table};
use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, Expr, FromTable, Ident, Insert, Merge, MergeAction,
    MergeInsertKind, ObjectName, OnConflictAction, OnInsert, OutputClause, Query, Select, SelectItem,
    TableFactor, TableObject, TableWithJoins, Update, UpdateTableFromKind, Visit, Visitor, With,
};

use super::relations::{Reads, columns_of};
use super::{denied, target_of, word};
use crate::context::Context;
use crate::dml::layers;
use crate::dml::relations::{empty_query, item, select_of, table_factor};
use crate::dml::target::column_ident;
use crate::parse::merge as marks;
use crate::query::plan::Planner;
use crate::session::variables::fold;
use crate::{Error, Result, catalog};

/// The role whose privileges count for what is beneath a view.
pub(crate) fn beneath(context: &Context, view: &ViewDescriptor, role: ObjectId) -> ObjectId {
    match view.options.security_invoker {
        Some(true) => role,
        _ => context.txn().catalog().owner(view.id),
    }
}

/// A relation that is to be changed, and as whom.
struct Target {
    catalog: Arc<Catalog>,
    role: ObjectId,
    relation: Relation,
    /// Whether it is what the statement names, not what is beneath.
    named: bool,
}

impl Target {
    /// The relation of that name, where anything has to be looked at.
    fn of(context: &Context, role: ObjectId, name: &ObjectName, named: bool) -> Result<Option<Target>> {
        let catalog = context.txn().catalog();
        if catalog.is_superuser(role) {
            return Ok(None);
        }
        let all = context.catalog()?;
        let (schema, table) = catalog::resolve_name(context, &all, name)?;
        if named && name.0.len() > 1 {
            super::require_usage(&catalog, role, &schema)?;
        }
        let Some(relation) = all.relation(&schema, &table) else { return Ok(None) };
        match relation {
            Relation::Table(_) | Relation::View(_) => Ok(Some(Target { catalog, role, relation, named })),
            Relation::Sequence(_) | Relation::Index(..) => Ok(None),
        }
    }

    fn refusal(&self) -> Error {
        denied(word(&self.relation), target_of(&self.relation).0)
    }

    fn schema_and_name(&self) -> (String, String) {
        match &self.relation {
            Relation::View(view) => (view.schema.clone(), view.name.clone()),
            Relation::Table(table) | Relation::Index(table, _) => (table.schema.clone(), table.name.clone()),
            Relation::Sequence(own) => (own.schema.clone(), own.name.clone()),
        }
    }

    /// The whole relation.
    fn require(&self, wanted: Privileges) -> Result<()> {
        let target = target_of(&self.relation).1;
        match self.catalog.privileges(self.role, target, wanted) == wanted {
            true => Ok(()),
            false => Err(self.refusal()),
        }
    }

    /// The whole relation or each of the columns; of no columns, any.
    fn require_columns(&self, wanted: Privileges, names: &[String]) -> Result<()> {
        let target = target_of(&self.relation).1;
        if self.catalog.privileges(self.role, target, wanted) == wanted {
            return Ok(());
        }
        let ids = columns_of(&self.relation);
        let all: Vec<String> = match &self.relation {
            Relation::Table(table) => table.live_columns().map(|own| own.name.clone()).collect(),
            Relation::View(view) => view.columns.iter().map(|own| own.name.clone()).collect(),
            Relation::Sequence(_) | Relation::Index(..) => Vec::new(),
        };
        let has = |id: &u32| !self.catalog.column_privileges(self.role, target.1, *id, wanted).is_empty();
        let allowed = match names.is_empty() {
            true => ids.iter().any(has),
            false => {
                let mut named = all.iter().zip(&ids).filter(|(name, _)| names.contains(name));
                named.all(|(_, id)| has(id))
            }
        };
        if allowed { Ok(()) } else { Err(self.refusal()) }
    }

    /// Refuses a query that has the name of a column that may not be read, whatever it means there.
    fn refuse_named(&self, alias: &str, query: &Query) -> Result<()> {
        let target = target_of(&self.relation).1;
        let wanted = Privileges::SELECT;
        if self.catalog.privileges(self.role, target, wanted) == wanted {
            return Ok(());
        }
        let may = |id: &u32| !self.catalog.column_privileges(self.role, target.1, *id, wanted).is_empty();
        let ids = columns_of(&self.relation);
        let hidden = self.column_names().into_iter().zip(ids).filter(|(_, id)| !may(id)).map(|own| own.0);
        let mut hidden: Vec<String> = hidden.collect();
        if hidden.is_empty() {
            return Ok(());
        }
        // The whole row.
        hidden.push(alias.to_owned());
        match says(query, alias, &hidden) {
            true => Err(self.refusal()),
            false => Ok(()),
        }
    }

    fn column_names(&self) -> Vec<String> {
        match &self.relation {
            Relation::Table(table) => table.live_columns().map(|own| own.name.clone()).collect(),
            Relation::View(view) => view.columns.iter().map(|own| own.name.clone()).collect(),
            Relation::Sequence(_) | Relation::Index(..) => Vec::new(),
        }
    }
}

/// What the expressions of a statement are over.
struct Scope<'s> {
    alias: &'s str,
    from: &'s [TableWithJoins],
    with: Option<&'s With>,
    /// `excluded` of ON CONFLICT.
    excluded: bool,
    /// Source and condition of MERGE.
    join: Option<(&'s TableFactor, &'s Expr)>,
}

/// Looks whether expressions name columns of the target that may not be read. What else is wrong with them shows when the
/// statement runs.
fn names(
    context: &Context,
    target: &Target,
    scope: &Scope<'_>,
    items: Vec<SelectItem>,
    selection: Option<&Expr>,
) -> Result<()> {
    let mut query = empty_query()?;
    query.with = scope.with.cloned();
    let (schema, name) = target.schema_and_name();
    let select = select_of(&mut query)?;
    let marked = |role: ObjectId| catalog::with_row_key_for(&schema, &name, &Reads::Names.mark(Some(role)));
    let relation = table_factor(marked(target.role), scope.alias)?;
    select.from.push(TableWithJoins { relation, joins: Vec::new() });
    select.from.extend(scope.from.iter().cloned());
    if scope.excluded {
        let relation = table_factor(marked(BOOTSTRAP), "excluded")?;
        select.from.push(TableWithJoins { relation, joins: Vec::new() });
    }
    select.selection = selection.cloned();
    if let Some((source, on)) = scope.join {
        select.from.push(TableWithJoins { relation: source.clone(), joins: Vec::new() });
        let nested = |expr: &Expr| Box::new(Expr::Nested(Box::new(expr.clone())));
        select.selection = Some(match selection {
            Some(other) => Expr::BinaryOp {
                left: nested(on),
                op: sqlparser::ast::BinaryOperator::And,
                right: nested(other),
            },
            None => on.clone(),
        });
    }
    let one = Expr::Value(sqlparser::ast::Value::Number("1".to_owned(), false).into());
    select.projection = items;
    select.projection.push(item(one, "__cairn_one"));
    // What is beneath a view is named by the view's text.
    let context = match target.named {
        true => context.clone(),
        false => context.checking_as(BOOTSTRAP),
    };
    let state = crate::query::state::of(&context);
    match Planner::new(&context, &state)?.query(query.clone()) {
        Err(error) if error.sqlstate() == "42501" => Err(error),
        Ok(_) => Ok(()),
        // It may run nevertheless: an unqualified name is the target's in ON CONFLICT.
        Err(_) => target.refuse_named(scope.alias, &query),
    }
}

/// Whether a query has one of the names, alone or behind the alias, or a `*`.
fn says(query: &Query, alias: &str, names: &[String]) -> bool {
    struct Names<'n> {
        alias: &'n str,
        names: &'n [String],
    }
    impl Names<'_> {
        fn has(&self, parts: &[Ident]) -> bool {
            let parts: Vec<String> = parts.iter().map(fold).collect();
            match parts.iter().position(|part| part == self.alias) {
                Some(at) => parts.get(at + 1).is_none_or(|name| self.names.contains(name)),
                None => parts.len() == 1 && self.names.contains(&parts[0]),
            }
        }
    }
    impl Visitor for Names<'_> {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let said = match expr {
                Expr::Identifier(ident) => self.has(std::slice::from_ref(ident)),
                Expr::CompoundIdentifier(parts) => self.has(parts),
                Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => true,
                _ => false,
            };
            if said { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let all = |item: &SelectItem| {
                matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
            };
            if select.projection.iter().any(all) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    query.visit(&mut Names { alias, names }).is_break()
}

/// Whether expressions name any column.
pub(crate) fn mentions(expressions: &impl Visit) -> bool {
    struct Columns;
    impl Visitor for Columns {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expressions.visit(&mut Columns).is_break()
}

fn as_items<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Vec<SelectItem> {
    let one = |(at, expr): (usize, &Expr)| item(expr.clone(), &format!("__cairn_named_{at}"));
    exprs.into_iter().enumerate().map(one).collect()
}

/// The columns that assignments set, and what they set them to.
fn assigned(assignments: &[Assignment]) -> (Vec<String>, Vec<&Expr>) {
    let mut columns = Vec::new();
    let mut values = Vec::new();
    for assignment in assignments {
        let targets = match &assignment.target {
            AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
            AssignmentTarget::Tuple(names) => names.as_slice(),
        };
        // A field of a column is named behind it.
        columns.extend(targets.iter().filter_map(|name| name.0.first()?.as_ident()).map(fold));
        columns.extend(targets.iter().filter_map(|name| column_ident(name).ok()).map(fold));
        if !crate::dml::literal::is_default(&assignment.value) {
            values.push(&assignment.value);
        }
    }
    (columns, values)
}

/// INSERT.
///
/// # Errors
/// `42501`.
pub(crate) fn insert(
    context: &Context,
    (role, named): (ObjectId, bool),
    insert: &Insert,
    with: Option<&With>,
) -> Result<()> {
    let TableObject::TableName(name) = &insert.table else { return Ok(()) };
    let Some(target) = Target::of(context, role, name, named)? else { return Ok(()) };
    let listed: Vec<String> =
        insert.columns.iter().filter_map(|name| name.0.first()?.as_ident()).map(fold).collect();
    let columns = match (listed.is_empty(), &insert.source) {
        (true, Some(_)) => target.column_names(),
        _ => listed,
    };
    target.require_columns(Privileges::INSERT, &columns)?;
    let own = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let alias = insert.table_alias.as_ref().map_or(own, |alias| fold(&alias.alias));
    let scope = Scope { alias: &alias, from: &[], with, excluded: false, join: None };
    if let Some(OnInsert::OnConflict(clause)) = &insert.on {
        if let Some(ConflictTarget::Columns(columns)) = &clause.conflict_target {
            let columns: Vec<Expr> = columns.iter().map(|ident| Expr::Identifier(ident.clone())).collect();
            names(context, &target, &scope, as_items(&columns), None)?;
        }
        if let OnConflictAction::DoUpdate(update) = &clause.action {
            let (columns, values) = assigned(&update.assignments);
            target.require_columns(Privileges::UPDATE, &columns)?;
            let scope = Scope { excluded: true, ..scope };
            let values = as_items(values);
            names(context, &target, &scope, values, update.selection.as_ref())?;
        }
    }
    match &insert.returning {
        Some(items) => names(context, &target, &scope, items.clone(), None),
        None => Ok(()),
    }
}

/// UPDATE.
///
/// # Errors
/// `42501`.
pub(crate) fn update(
    context: &Context,
    (role, named): (ObjectId, bool),
    update: &Update,
    with: Option<&With>,
) -> Result<()> {
    let TableFactor::Table { name, alias, .. } = &update.table.relation else { return Ok(()) };
    let Some(target) = Target::of(context, role, name, named)? else { return Ok(()) };
    let (columns, values) = assigned(&update.assignments);
    target.require_columns(Privileges::UPDATE, &columns)?;
    let own = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let alias = alias.as_ref().map_or(own, |alias| fold(&alias.name));
    let from = match &update.from {
        Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => from.as_slice(),
        None => &[],
    };
    let scope = Scope { alias: &alias, from, with, excluded: false, join: None };
    let mut items = as_items(values);
    items.extend(update.returning.iter().flatten().cloned());
    names(context, &target, &scope, items, layers::flat(update.selection.as_ref()).as_ref())
}

/// DELETE.
///
/// # Errors
/// `42501`.
pub(crate) fn delete(
    context: &Context,
    (role, named): (ObjectId, bool),
    delete: &Delete,
    with: Option<&With>,
) -> Result<()> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [TableWithJoins { relation: TableFactor::Table { name, alias, .. }, .. }] = from.as_slice() else {
        return Ok(());
    };
    let Some(target) = Target::of(context, role, name, named)? else { return Ok(()) };
    target.require(Privileges::DELETE)?;
    let own = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let alias = alias.as_ref().map_or(own, |alias| fold(&alias.name));
    let using = delete.using.as_deref().unwrap_or(&[]);
    let scope = Scope { alias: &alias, from: using, with, excluded: false, join: None };
    let items = delete.returning.clone().unwrap_or_default();
    names(context, &target, &scope, items, layers::flat(delete.selection.as_ref()).as_ref())
}

/// MERGE.
///
/// # Errors
/// `42501`.
pub(crate) fn merge(context: &Context, merge: &Merge, with: Option<&With>) -> Result<()> {
    let TableFactor::Table { name, alias, .. } = &merge.table else { return Ok(()) };
    let Some(target) = Target::of(context, context.role(), name, true)? else { return Ok(()) };
    let own = name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
    let alias = alias.as_ref().map_or(own, |alias| fold(&alias.name));
    let mut exprs: Vec<&Expr> = Vec::new();
    for clause in &merge.clauses {
        exprs.extend(&clause.predicate);
        match &clause.action {
            MergeAction::Delete { .. } => target.require(Privileges::DELETE)?,
            MergeAction::Update(update) => {
                let first = update.assignments.first().map(|own| own.target.to_string());
                if first.is_some_and(|target| target.trim_matches('"') == marks::NOTHING) {
                    continue;
                }
                let (columns, values) = assigned(&update.assignments);
                target.require_columns(Privileges::UPDATE, &columns)?;
                exprs.extend(values);
            }
            MergeAction::Insert(insert) => {
                let listed = insert.columns.iter().filter_map(|name| name.0.first()?.as_ident());
                let listed: Vec<&Ident> = listed.collect();
                if listed.first().is_some_and(|ident| ident.value == marks::NOTHING) {
                    continue;
                }
                let is_mark = |ident: &&Ident| {
                    [marks::DEFAULTS, marks::SYSTEM, marks::USER].contains(&ident.value.as_str())
                };
                let columns: Vec<String> = listed.into_iter().filter(|own| !is_mark(own)).map(fold).collect();
                let columns = if columns.is_empty() { target.column_names() } else { columns };
                target.require_columns(Privileges::INSERT, &columns)?;
                if let MergeInsertKind::Values(values) = &insert.kind {
                    let rows = values.rows.iter().flat_map(|row| &row.content);
                    exprs.extend(rows.filter(|expr| !crate::dml::literal::is_default(expr)));
                }
            }
        }
    }
    let scope =
        Scope { alias: &alias, from: &[], with, excluded: false, join: Some((&merge.source, &merge.on)) };
    let mut items = as_items(exprs);
    if let Some(OutputClause::Returning { select_items, .. }) = &merge.output {
        let calls_action =
            select_items.iter().any(|item| item.to_string().to_lowercase().contains("merge_action"));
        if !calls_action {
            items.extend(select_items.iter().cloned());
        }
    }
    names(context, &target, &scope, items, None)
}

/// SELECT … FOR UPDATE and its like: UPDATE on the table or on any of its columns.
///
/// # Errors
/// `42501`.
pub(crate) fn require_lock(context: &Context, table: &Arc<Table>) -> Result<()> {
    let catalog = context.txn().catalog();
    let role = context.role();
    if catalog.is_superuser(role) {
        return Ok(());
    }
    let relation = Relation::Table(Arc::clone(table));
    Target { catalog, role, relation, named: true }.require_columns(Privileges::UPDATE, &[])
}

/// COPY FROM, of the columns at `places`.
///
/// # Errors
/// `42501`; `0A000` where policies keep rows of the table from the role.
pub(crate) fn copy_from(context: &Context, table: &Arc<Table>, places: &[usize]) -> Result<()> {
    let catalog = context.txn().catalog();
    let role = context.role();
    if catalog.is_superuser(role) {
        return Ok(());
    }
    let relation = match catalog.view_by_id(table.id) {
        Some(view) => Relation::View(Arc::clone(view)),
        None => Relation::Table(Arc::clone(table)),
    };
    let target = Target { catalog, role, relation, named: true };
    let columns: Vec<String> = places.iter().map(|place| table.live_column(*place).name.clone()).collect();
    target.require_columns(Privileges::INSERT, &columns)?;
    match target.catalog.row_security(role, table.id) {
        Some(_) => Err(Error::new("0A000", "COPY FROM not supported with row-level security")
            .with_hint("Use INSERT statements instead.")),
        None => Ok(()),
    }
}

/// What foreign keys, triggers and TRUNCATE need of a table as a whole, or REFERENCES of its columns.
///
/// # Errors
/// `42501`.
pub(crate) fn require_references(context: &Context, table: &Table, columns: &[String]) -> Result<()> {
    let catalog = context.txn().catalog();
    let role = context.role();
    let wanted = Privileges::REFERENCES;
    if catalog.privileges(role, (Class::Table, table.id), wanted) == wanted {
        return Ok(());
    }
    let named =
        |column: &&cairn_engine::catalog::Column| columns.is_empty() || columns.contains(&column.name);
    let mut referred = table.live_columns().filter(named);
    let has = |id: u32| !catalog.column_privileges(role, table.id, id, wanted).is_empty();
    match referred.all(|column| has(column.id)) && !columns.is_empty() {
        true => Ok(()),
        false => Err(denied("table", &table.name)),
    }
}
