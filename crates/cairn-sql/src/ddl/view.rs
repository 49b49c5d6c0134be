//! CREATE VIEW.

use cairn_engine::catalog::{Dependency, Relation, ViewColumn};
use cairn_engine::ddl::ViewSpec;
use cairn_types::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use sqlparser::ast::{CreateTableOptions, CreateView};

use super::names;
use crate::context::Context;
use crate::query::output::display_name;
use crate::results::StatementResult;
use crate::{Error, Result};

/// CREATE [OR REPLACE] VIEW.
pub(super) fn create(context: &Context, create: &CreateView) -> Result<StatementResult> {
    if create.materialized {
        return Err(Error::unsupported("a materialized view"));
    }
    if create.temporary {
        return Err(Error::unsupported("a temporary view"));
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
    let (schema, name) = names::for_creation(context, &catalog, &create.name)?;
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
        depends_on: dependencies(context, &plan)?,
        replace: create.or_replace,
    };
    context.txn().create_view(&spec)?;
    Ok(StatementResult::command("CREATE VIEW"))
}

/// The tables and views that a plan reads.
fn dependencies(context: &Context, plan: &LogicalPlan) -> Result<Vec<Dependency>> {
    let catalog = context.catalog()?;
    let mut found: Vec<Dependency> = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let table = scan.table_name.table();
            let relation = match scan.table_name.schema() {
                Some(schema) => catalog.relation(schema, table),
                None => context.scope.settings.search_path.iter().find_map(|schema| catalog.relation(schema, table)),
            };
            let object = match relation {
                Some(Relation::Table(table)) => Some(table.id),
                Some(Relation::View(view)) => Some(view.id),
                _ => None,
            };
            if let Some(object) = object
                && !found.iter().any(|d| d.object == object)
            {
                found.push(Dependency { object, columns: Vec::new() });
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
