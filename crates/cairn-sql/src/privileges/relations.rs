//! Relations that a query reads: whether the role may, which columns, which rows.
//!
//! A relation of which not all may be seen by a query takes the place of its table or view as a [`Secured`] scan.
//! I1: conditions go into it only where they can tell nothing of the rows that it keeps back: comparisons of columns
//!     with constants of their type. Everything else stands above it, and the physical plan has a barrier between.
//! I2: a view is read with the privileges and policies of its owner, unless it is a `security_invoker`.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cairn_engine::Catalog;
use cairn_engine::catalog::{Dependency, ObjectId, Privileges, Relation, STORE};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, Result as DataFusionResult, TableReference, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, TableProviderFilterPushDown, TableType,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::{denied, policies, target_of, word};
use crate::context::Context;
use crate::parse::only;
use crate::session::temporary;
use crate::{Error, Result, catalog};

/// What a table's rows are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// SELECT.
    Select,
    /// SELECT … FOR UPDATE and its like.
    Lock,
    /// To look whether an expression of a change names columns that may not be read.
    Names,
    /// UPDATE; whether SELECT is needed for it, too.
    Update { selects: bool },
    /// DELETE; the same.
    Delete { selects: bool },
    /// MERGE.
    Merge,
}

impl Reads {
    const ALL: [(Reads, &'static str); 8] = [
        (Reads::Select, "r"),
        (Reads::Lock, "l"),
        (Reads::Names, "n"),
        (Reads::Update { selects: true }, "wr"),
        (Reads::Update { selects: false }, "w"),
        (Reads::Delete { selects: true }, "dr"),
        (Reads::Delete { selects: false }, "d"),
        (Reads::Merge, "m"),
    ];

    /// As part of a name, with the role whose policies count.
    pub(crate) fn mark(self, role: Option<ObjectId>) -> String {
        let code = Self::ALL.iter().find(|own| own.0 == self).map_or("r", |own| own.1);
        role.map_or_else(|| format!(":{code}"), |role| format!(":{code}:{role}"))
    }

    /// The inverse.
    fn read(mark: &str) -> (Reads, Option<ObjectId>) {
        let mut parts = mark.trim_start_matches(':').split(':');
        let code = parts.next().unwrap_or_default();
        let reads = Self::ALL.iter().find(|own| own.1 == code).map_or(Reads::Select, |own| own.0);
        (reads, parts.next().and_then(|role| role.parse().ok()))
    }

    /// Whether the query names the columns that it reads, all of which have to be allowed.
    fn names_columns(self) -> bool {
        matches!(self, Reads::Select | Reads::Lock | Reads::Names)
    }
}

/// What a name in FROM stands for, as far as that matters here.
enum Named {
    Relation(Relation),
    System(String),
    File,
    Other,
}

/// Whether a query may read what a name stands for, and how: what it may not see of it.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// The columns that may be named, by place; `None`: all.
    pub(crate) columns: Option<BTreeSet<usize>>,
    /// The condition that rows have to meet, as SQL text.
    pub(crate) condition: Option<String>,
    /// Whether conditions are to stay outside.
    pub(crate) barrier: bool,
}

impl Admission {
    /// Whether there is nothing to be kept back.
    pub(crate) fn is_free(&self) -> bool {
        self.columns.is_none() && self.condition.is_none() && !self.barrier
    }
}

/// Looks whether `role` may read what a name stands for. `written`: the name is the user's own, not a view's.
///
/// # Errors
/// `42501`.
pub(crate) fn admit(
    context: &Context,
    all: &Catalog,
    role: ObjectId,
    name: &TableReference,
    written: bool,
) -> Result<Admission> {
    let catalog = context.txn().catalog();
    let (reads, as_role) = catalog::row_key_mark(name).map_or((Reads::Select, None), Reads::read);
    let role = as_role.unwrap_or(role);
    if catalog.is_superuser(role) {
        return Ok(Admission::default());
    }
    if written
        && let TableReference::Partial { schema, .. } = name
        && !schema.starts_with('\u{1}')
    {
        super::require_usage(&catalog, role, schema)?;
    }
    match named(context, all, name) {
        Named::Relation(relation) => of_relation(context, &catalog, role, reads, &relation),
        Named::System(name) if matches!(name.as_str(), "pg_authid" | "pg_shadow") => {
            Err(denied(if name == "pg_shadow" { "view" } else { "table" }, &name))
        }
        Named::System(name) if name == STORE => Err(denied("table", &name)),
        Named::System(_) | Named::File | Named::Other => Ok(Admission::default()),
    }
}

/// Looks, before anything is looked for there, whether `role` may read a file that a name stands for.
///
/// # Errors
/// `42501`.
pub(crate) fn require_file(context: &Context, role: ObjectId, name: &TableReference) -> Result<()> {
    match name {
        TableReference::Partial { schema, .. } if **schema == *catalog::FILE_CATALOG => {
            super::require_files(context, role, super::FILE_READERS)
        }
        _ => Ok(()),
    }
}

fn of_relation(
    context: &Context,
    catalog: &Catalog,
    role: ObjectId,
    reads: Reads,
    relation: &Relation,
) -> Result<Admission> {
    let (name, target) = target_of(relation);
    let mut admission = Admission::default();
    let whole = !catalog.privileges(role, target, Privileges::SELECT).is_empty();
    if !whole && reads.names_columns() {
        let columns = columns_of(relation);
        let may = |id: u32| !catalog.column_privileges(role, target.1, id, Privileges::SELECT).is_empty();
        let mut allowed: BTreeSet<usize> =
            columns.iter().enumerate().filter(|(_, id)| may(**id)).map(|(place, _)| place).collect();
        if allowed.is_empty() && reads != Reads::Names {
            return Err(denied(word(relation), name));
        }
        // The row key.
        allowed.insert(columns.len());
        admission.columns = Some(allowed);
    }
    if let Relation::View(view) = relation {
        admission.barrier = view.options.security_barrier == Some(true);
    }
    if let Relation::Table(table) = relation
        && reads != Reads::Names
        && let Some(access) = catalog.row_security(role, table.id)
    {
        if context.scope.settings.show("row_security")? == "off" {
            let message =
                format!("query would be affected by row-level security policy for table \"{name}\"");
            return Err(Error::new("42501", message));
        }
        admission.condition = Some(policies::visible(catalog, access, role, reads));
        admission.barrier = true;
    }
    Ok(admission)
}

/// The numbers of the columns of a table or view.
pub(super) fn columns_of(relation: &Relation) -> Vec<u32> {
    match relation {
        Relation::Table(table) => table.live_columns().map(|column| column.id).collect(),
        // Columns of a view are numbered by their places.
        Relation::View(view) => (1..=view.columns.len() as u32).collect(),
        Relation::Sequence(_) | Relation::Index(..) => Vec::new(),
    }
}

fn named(context: &Context, all: &Catalog, name: &TableReference) -> Named {
    let in_schema = |schema: &str, table: &str| {
        if catalog::is_computed_in(schema, table) || catalog::is_store(all, schema, table) {
            return Some(Named::System(table.to_owned()));
        }
        all.relation(schema, table).map(Named::Relation)
    };
    let found = match name {
        TableReference::Bare { table } => {
            let path = context.scope.settings.search_path.iter();
            let mut schemas = std::iter::once("pg_catalog").chain(path.map(String::as_str));
            schemas.find_map(|schema| in_schema(schema, table))
        }
        TableReference::Partial { schema, table } if **schema == *only::ONLY => {
            return named(context, all, &TableReference::bare(table.to_string()));
        }
        TableReference::Partial { schema, .. } if **schema == *catalog::FILE_CATALOG => Some(Named::File),
        TableReference::Partial { schema, table } if **schema == *temporary::OWN => {
            in_schema(&context.scope.temporary_schema(), table)
        }
        TableReference::Full { catalog: mark, schema, table } if **mark == *only::ONLY => {
            return named(context, all, &TableReference::partial(schema.to_string(), table.to_string()));
        }
        TableReference::Partial { schema, table } | TableReference::Full { schema, table, .. } => {
            in_schema(schema, table)
        }
    };
    found.unwrap_or(Named::Other)
}

/// The schema and name of what a view reads, by the name that its text has for it.
pub(crate) fn read_by(all: &Catalog, reads: &[Dependency], name: &str) -> Option<(String, String)> {
    reads.iter().find_map(|own| {
        let table = all.table_by_id(own.object).map(|own| (&own.schema, &own.name));
        let view = || all.view_by_id(own.object).map(|own| (&own.schema, &own.name));
        let sequence = || all.sequence_by_id(own.object).map(|own| (&own.schema, &own.name));
        let (schema, own) = table.or_else(view).or_else(sequence)?;
        (own == name).then(|| (schema.clone(), own.clone()))
    })
}

/// A relation of which a query may not see all.
#[derive(Debug)]
pub(crate) struct Secured {
    /// What it is read by: columns without qualifiers.
    plan: LogicalPlan,
    schema: SchemaRef,
    /// Whether conditions are to stay outside (I1).
    barrier: bool,
    /// The columns that may be named, and what is said of others.
    pub(super) allowed: Option<(BTreeSet<usize>, Error)>,
}

impl Secured {
    /// What the plan gives, as far as admitted.
    ///
    /// # Errors
    /// None that a plan that stands has.
    pub(crate) fn new(plan: LogicalPlan, admission: Admission, refusal: Error) -> Result<Secured> {
        let columns: Vec<Expr> = plan
            .schema()
            .iter()
            .map(|(qualifier, field)| {
                Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(field.name())
            })
            .collect();
        let plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let allowed = admission.columns.map(|columns| (columns, refusal));
        Ok(Secured { plan, schema, barrier: admission.barrier, allowed })
    }
}

/// What is said where a column may not be read.
pub(crate) fn refusal(context: &Context, all: &Catalog, name: &TableReference) -> Error {
    match named(context, all, name) {
        Named::Relation(relation) => denied(word(&relation), target_of(&relation).0),
        _ => denied("table", name.table()),
    }
}

/// Whether a condition can be computed without telling anything of the rows that it is computed on (I1).
fn is_leakproof(condition: &Expr, schema: &SchemaRef) -> bool {
    let ty = |expr: &Expr| match expr {
        Expr::Column(column) => schema.field_with_name(&column.name).ok().map(|f| f.data_type().clone()),
        Expr::Literal(value, _) => Some(value.data_type()),
        _ => None,
    };
    match condition {
        Expr::BinaryExpr(both) if matches!(both.op, Operator::And | Operator::Or) => {
            is_leakproof(&both.left, schema) && is_leakproof(&both.right, schema)
        }
        Expr::BinaryExpr(both) => {
            let compares = matches!(
                both.op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            );
            let (left, right) = (ty(&both.left), ty(&both.right));
            compares && left.is_some() && left == right
        }
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => matches!(**inner, Expr::Column(_)),
        Expr::Not(inner) => is_leakproof(inner, schema),
        Expr::InList(list) => {
            let own = ty(&list.expr);
            own.is_some() && list.list.iter().all(|item| ty(item) == own)
        }
        Expr::Between(between) => {
            let own = ty(&between.expr);
            own.is_some() && ty(&between.low) == own && ty(&between.high) == own
        }
        _ => false,
    }
}

#[async_trait]
impl TableProvider for Secured {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let one = |filter: &&Expr| match !self.barrier && !filter.contains_outer()
            || is_leakproof(filter, &self.schema)
        {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(one).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let mut plan = LogicalPlanBuilder::from(self.plan.clone());
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            plan = plan.filter(filter)?;
        }
        if let Some(places) = projection {
            let column = |place: &usize| {
                Expr::Column(Column::new_unqualified(self.schema.field(*place).name().clone()))
            };
            plan = plan.project(places.iter().map(column).collect::<Vec<_>>())?;
        }
        let input = state.create_physical_plan(&plan.build()?).await?;
        Ok(if self.barrier { Arc::new(BarrierExec { input }) } else { input })
    }
}

/// Whether a plan reads any relation of which not all may be seen.
pub(super) fn secured(
    source: &Arc<dyn datafusion::logical_expr::TableSource>,
) -> Option<Arc<dyn TableProvider>> {
    let provider = datafusion::datasource::source_as_provider(source).ok()?;
    (provider.as_ref() as &dyn Any).is::<Secured>().then_some(provider)
}

/// Whether a plan has any.
pub(super) fn any_secured(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= secured(&scan.source).is_some();
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// Gives its input as it is; conditions of what stands above stay there.
#[derive(Debug)]
struct BarrierExec {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for BarrierExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Barrier")
    }
}

impl ExecutionPlan for BarrierExec {
    fn name(&self) -> &str {
        "BarrierExec"
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else {
            return internal_err!("a barrier is before one input");
        };
        Ok(Arc::new(BarrierExec { input }))
    }

    fn execute(
        &self,
        partition: usize,
        task: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        self.input.execute(partition, task)
    }
}
