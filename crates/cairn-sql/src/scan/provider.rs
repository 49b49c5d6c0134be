//! A table of the engine as DataFusion sees it while planning.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use cairn_engine::table::ROW_KEY;
use cairn_engine::{ReadView, Table};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraint, Constraints};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::access;
use super::derived::Derived;
use super::exec::{Source, TableScanExec, TableScanSpec};
use super::template::Template;
use crate::Result;
use crate::context::Context;
use crate::session::methods::Methods;

/// Rows below which a scan is not worth splitting.
const ROWS_PER_PARTITION_MIN: u64 = 16 * 1024;

/// A table, as one transaction sees it at the start of one statement.
pub(crate) struct TableScanProvider {
    table: Arc<Table>,
    view: ReadView,
    rows: u64,
    schema: SchemaRef,
    constraints: Constraints,
    derived: Option<Arc<Derived>>,
    methods: Methods,
}

impl std::fmt::Debug for TableScanProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableScanProvider").field("table", &self.table.name).finish_non_exhaustive()
    }
}

impl TableScanProvider {
    /// The table as the statement sees it; with a last column of row keys where wanted.
    pub(crate) fn new(context: &Context, table: Arc<Table>, row_key: bool) -> Result<Self> {
        let schema = if row_key {
            let mut fields: Vec<_> = table.arrow_schema().fields().iter().cloned().collect();
            fields.push(Arc::new(Field::new(ROW_KEY, ArrowType::Binary, false)));
            Arc::new(Schema::new(fields))
        } else {
            Arc::clone(table.arrow_schema())
        };
        Ok(Self {
            view: context.view()?,
            rows: context.scope.shared.database.approximate_rows(table.id),
            constraints: constraints(&table),
            derived: Derived::of(context, &table)?,
            methods: context.scope.settings.methods.clone(),
            schema,
            table,
        })
    }
}

fn constraints(table: &Table) -> Constraints {
    let mut all = Vec::new();
    if !table.has_hidden_key() {
        all.push(Constraint::PrimaryKey(table.primary_key_places()));
    }
    Constraints::new_unverified(all)
}

#[async_trait]
impl TableProvider for TableScanProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::error::Result<Vec<TableProviderFilterPushDown>> {
        let schema = self.table.arrow_schema();
        Ok(filters
            .iter()
            .map(|filter| match &self.derived {
                None => super::bounds::is_usable(filter, schema),
                Some(derived) => {
                    super::bounds::is_usable(&derived.rewrite(filter), derived.schema())
                        || derived.is_term(filter)
                }
            })
            .map(|usable| match usable {
                true => TableProviderFilterPushDown::Inexact,
                false => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let columns = self.table.arrow_schema().fields().len();
        let wanted: Vec<usize> = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let with_row_key = wanted.contains(&columns);
        let read: Vec<usize> = wanted.iter().copied().filter(|place| *place < columns).collect();
        let bound = crate::query::slots::bound(filters, state.config_options())?;
        let conditions = bound.as_deref().unwrap_or(filters);
        let (derived, seqscan) = (self.derived.as_deref(), self.methods.seqscan);
        let choice = match self.methods.indexscan {
            true => access::choose(&self.table, derived, self.rows, seqscan, conditions, &read)?,
            false => access::whole(self.rows),
        };
        let parallelism = state.config().target_partitions();
        let parts = match (choice.rows as u64 / ROWS_PER_PARTITION_MIN).min(parallelism as u64) {
            0 | 1 => vec![choice.access.clone()],
            parts if limit.is_none_or(|limit| limit as u64 > ROWS_PER_PARTITION_MIN) => {
                cairn_engine::table::split(&self.view, &self.table, &choice.access, parts as usize)
            }
            _ => vec![choice.access.clone()],
        };
        let spec = TableScanSpec {
            table: Arc::clone(&self.table),
            source: Source::View(self.view.clone()),
            wanted,
            with_row_key,
            limit,
            reverse: false,
            wanted_rows: None,
            template: bound.map(|bound| {
                let (table, derived) = (Arc::clone(&self.table), self.derived.clone());
                let (choice, parts) = (choice.clone(), parts.len());
                let filters = filters.to_vec();
                let template = Template::new(table, derived, self.rows, filters, read, choice, parts);
                Arc::new(template.settled_for(&bound))
            }),
            slot: None,
            narrows: self.methods.indexscan,
        };
        Ok(Arc::new(TableScanExec::new(spec, choice, parts)?))
    }
}
