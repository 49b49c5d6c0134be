//! CREATE VIEW.

use std::ops::ControlFlow;

use cairn_engine::catalog::{Dependency, Relation, ViewColumn};
use cairn_engine::ddl::ViewSpec;
use cairn_types::DataType;
use sqlparser::ast::{CreateTableOptions, CreateView, ObjectName, Query, Visit, Visitor};

use super::names;
use crate::context::Context;
use crate::query::output::display_name;
use crate::results::StatementResult;
use crate::session::temporary;
use crate::session::variables::fold;
use crate::{Error, Result, catalog};

/// CREATE [OR REPLACE] VIEW.
pub(super) fn create(context: &Context, create: &CreateView) -> Result<StatementResult> {
    if create.materialized {
        return Err(Error::unsupported("this form of CREATE MATERIALIZED VIEW"));
    }
    if create.or_alter
        || create.secure
        || create.if_not_exists
        || create.options != CreateTableOptions::None
        || !create.cluster_by.is_empty()
        || create.comment.is_some()
        || create.with_no_schema_binding
        || create.copy_grants
        || create.to.is_some()
        || create.params.is_some()
        || create.columns.iter().any(|c| c.data_type.is_some() || c.options.is_some())
    {
        return Err(Error::unsupported("this clause of CREATE VIEW"));
    }
    let catalog = context.catalog()?;
    let depends_on = dependencies(context, &create.query)?;
    let reads_temporary = depends_on.iter().any(|read| {
        let table = catalog.table_by_id(read.object).map(|table| &table.schema);
        let schema = table.or_else(|| catalog.view_by_id(read.object).map(|view| &view.schema));
        schema.is_some_and(|schema| temporary::is_temporary(schema))
    });
    if reads_temporary && !create.temporary {
        super::notice(context, "00000", format!("view \"{}\" will be a temporary view", create.name));
    }
    let is_temporary = create.temporary || reads_temporary;
    let (schema, name) = names::for_creation_of(context, &catalog, &create.name, is_temporary)?;
    let plan = context.plan_query(&create.query)?;
    if create.columns.len() > plan.schema().fields().len() {
        return Err(Error::new("42601", "CREATE VIEW specifies more column names than columns"));
    }
    let mut columns: Vec<ViewColumn> = Vec::new();
    for (n, field) in plan.schema().fields().iter().enumerate() {
        let name = match create.columns.get(n) {
            Some(given) => names::stored(&given.name),
            None => display_name(field.name()).to_owned(),
        };
        if columns.iter().any(|c| c.name == name) {
            return Err(Error::new("42701", format!("column \"{name}\" specified more than once")));
        }
        columns.push(ViewColumn { name, ty: DataType::from_field(field) });
    }
    let spec = ViewSpec {
        schema,
        name,
        sql: create.query.to_string(),
        columns,
        depends_on,
        replace: create.or_replace,
    };
    context.txn().create_view(&spec)?;
    Ok(StatementResult::command("CREATE VIEW"))
}

/// The tables and views that a query names directly.
pub(super) fn dependencies(context: &Context, query: &Query) -> Result<Vec<Dependency>> {
    let catalog = context.catalog()?;
    let mut found: Vec<Dependency> = Vec::new();
    for name in relations_of(query) {
        let (schema, relation) = catalog::resolve_name(context, &catalog, &name)?;
        let object = match catalog.relation(&schema, &relation) {
            Some(Relation::Table(table)) => table.id,
            Some(Relation::View(view)) => view.id,
            _ => continue,
        };
        if !found.iter().any(|d| d.object == object) {
            found.push(Dependency { object, columns: Vec::new() });
        }
    }
    Ok(found)
}

/// The names of relations in a query or statement, but those of its common table expressions.
pub(crate) fn relations_of(within: &impl Visit) -> Vec<ObjectName> {
    struct Names {
        /// Names of common table expressions, which hide relations.
        local: Vec<String>,
        relations: Vec<ObjectName>,
    }
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
            self.local.extend(ctes.map(|cte| fold(&cte.alias.name)));
            ControlFlow::Continue(())
        }
        fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
            self.relations.push(name.clone());
            ControlFlow::Continue(())
        }
    }
    let mut names = Names { local: Vec::new(), relations: Vec::new() };
    // Never breaks.
    let _ = within.visit(&mut names);
    let local = names.local;
    names.relations.retain(|name| match name.0.as_slice() {
        [part] => !part.as_ident().is_some_and(|ident| local.contains(&fold(ident))),
        _ => true,
    });
    names.relations
}
