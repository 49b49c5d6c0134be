//! A table of the engine as DataFusion sees it while planning.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use cairn_engine::table::{Access, ROW_KEY, row_key_prefix};
use cairn_engine::{Catalog, ReadView, Table};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraint, Constraints};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;

use super::access::{self, Size};
use super::bitmap;
use super::derived::Derived;
use super::exec::{Shown, Source, TableScanExec, TableScanSpec};
use super::prune::{self, Part};
use super::template::Template;
use crate::Result;
use crate::context::Context;
use crate::session::methods::Methods;

/// Rows below which a scan is not worth splitting.
const ROWS_PER_PARTITION_MIN: u64 = 16 * 1024;

/// A table, as one transaction sees it at the start of one statement.
#[derive(Clone)]
pub(crate) struct TableScanProvider {
    table: Arc<Table>,
    view: ReadView,
    size: Size,
    schema: SchemaRef,
    constraints: Constraints,
    derived: Option<Arc<Derived>>,
    methods: Methods,
    /// Of a partitioned table, whose partitions are read.
    partitioned: Option<Arc<Partitioned>>,
    /// What the query calls it, where it is explained.
    alias: Option<Arc<str>>,
}

struct Partitioned {
    catalog: Arc<Catalog>,
    /// All that hold rows, with what is known of each.
    leaves: Vec<Leaf>,
}

/// A table that rows are read from.
struct Leaf {
    table: Arc<Table>,
    size: Size,
    derived: Option<Arc<Derived>>,
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
        let partitioned = match table.is_partitioned() {
            true => Some(Arc::new(Partitioned::new(context, &table)?)),
            false => None,
        };
        Ok(Self {
            view: context.view()?,
            size: match &partitioned {
                Some(own) => {
                    Size { rows: own.leaves.iter().map(|leaf| leaf.size.rows).sum(), statistics: None }
                }
                None => size(context, &table),
            },
            partitioned,
            constraints: constraints(&table),
            derived: Derived::of(context, &table)?,
            methods: context.scope.settings.methods.clone(),
            schema,
            table,
            alias: None,
        })
    }

    /// The same by the name that a query has for it.
    pub(crate) fn called(&self, alias: &str) -> Self {
        Self { alias: Some(Arc::from(alias)), ..self.clone() }
    }
}

impl TableScanProvider {
    /// The number of a column of the table, from 1.
    pub(crate) fn column_number(&self, name: &str) -> Option<i16> {
        let place = self.table.live_columns().position(|column| column.name == name)?;
        i16::try_from(place + 1).ok()
    }

    /// The table's number.
    pub(crate) fn table_id(&self) -> cairn_engine::catalog::ObjectId {
        self.table.id
    }

    /// Whether the rows are those of partitions.
    pub(crate) fn is_partitioned(&self) -> bool {
        self.partitioned.is_some()
    }
}

/// What is known of a table that holds rows.
fn size(context: &Context, table: &Table) -> Size {
    // Where statistics are due they are made first.
    let statistics = crate::statistics::of(context, table);
    Size { rows: context.scope.shared.database.approximate_rows(table.id), statistics }
}

impl Partitioned {
    fn new(context: &Context, table: &Arc<Table>) -> Result<Self> {
        let catalog = context.catalog()?;
        let leaf = |table: Arc<Table>| {
            Ok(Leaf { size: size(context, &table), derived: Derived::of(context, &table)?, table })
        };
        let leaves = prune::leaves(&catalog, table, &[]).into_iter().map(leaf).collect::<Result<_>>()?;
        Ok(Self { catalog, leaves })
    }
}

impl TableScanProvider {
    /// The scan of a table that holds rows: this one or one of its partitions, `several` of which are read.
    #[allow(clippy::too_many_arguments)]
    fn scan_leaf(
        &self,
        state: &dyn Session,
        leaf: &Leaf,
        wanted: &[usize],
        filters: &[Expr],
        bound: Option<&[Expr]>,
        limit: Option<usize>,
        several: bool,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let columns = leaf.table.arrow_schema().fields().len();
        let wanted: Vec<usize> = match &self.partitioned {
            None => wanted.to_vec(),
            Some(_) => {
                let own = |place: &usize| match self.table.arrow_schema().fields().get(*place) {
                    Some(field) => leaf.table.column_place(field.name()),
                    None => Some(columns),
                };
                wanted.iter().filter_map(own).collect()
            }
        };
        let with_row_key = wanted.contains(&columns);
        let read: Vec<usize> = wanted.iter().copied().filter(|place| *place < columns).collect();
        let conditions = bound.unwrap_or(filters);
        let (derived, seqscan) = (leaf.derived.as_deref(), self.methods.seqscan);
        let mut choice = match self.methods.indexscan {
            true => access::choose(&leaf.table, derived, &leaf.size, seqscan, conditions, &read)?,
            false => access::whole(leaf.size.rows),
        };
        if self.methods.bitmapscan && self.methods.indexscan && bound.is_none() && derived.is_none() {
            let several = bitmap::choose(&leaf.table, &leaf.size, conditions, &read, &choice, seqscan)?;
            choice = several.unwrap_or(choice);
        }
        let parallelism = state.config().target_partitions();
        let mut parts = match (choice.rows as u64 / ROWS_PER_PARTITION_MIN).min(parallelism as u64) {
            0 | 1 => vec![choice.access.clone()],
            _ if choice.bitmap.is_some() => vec![choice.access.clone()],
            parts if limit.is_none_or(|limit| limit as u64 > ROWS_PER_PARTITION_MIN) => {
                cairn_engine::table::split(&self.view, &leaf.table, &choice.access, parts as usize)
            }
            _ => vec![choice.access.clone()],
        };
        let part = self.partitioned.as_ref().map(|own| Part::new(&own.catalog, &self.table, leaf.table.id));
        let template = bound.map(|bound| {
            let (table, derived) = (Arc::clone(&leaf.table), leaf.derived.clone());
            let (choice, parts) = (choice.clone(), parts.len());
            let filters = filters.to_vec();
            let template = Template::new(table, derived, leaf.size.clone(), filters, read, choice, parts)
                .of_part(part.clone());
            Arc::new(template.settled_for(bound))
        });
        if let Some(part) = &part
            && bound.is_some_and(|bound| part.is_excluded(bound))
        {
            parts.iter_mut().for_each(|access| *access = Access::Rows(Vec::new()));
        }
        let spec = TableScanSpec {
            table: Arc::clone(&leaf.table),
            source: Source::View(self.view.clone()),
            shown: self
                .partitioned
                .as_ref()
                .map(|_| Shown { fields: self.fields_of(leaf), key_prefix: row_key_prefix(leaf.table.id) }),
            wanted,
            with_row_key,
            limit,
            reverse: false,
            wanted_rows: None,
            template,
            slot: None,
            narrows: self.methods.indexscan,
            size: leaf.size.clone(),
            alias: match (&self.alias, &self.partitioned) {
                (None, Some(_)) => Some(Arc::from(self.table.name.as_str())),
                (alias, _) => alias.clone(),
            },
            is_one_of_several: several,
        };
        Ok(Arc::new(TableScanExec::new(spec, choice, parts)?))
    }

    /// The fields of a partition's columns as this table shows them.
    fn fields_of(&self, leaf: &Leaf) -> SchemaRef {
        let own = |field: &Arc<Field>| self.table.arrow_schema().field_with_name(field.name()).cloned();
        let fields = leaf.table.arrow_schema().fields().iter();
        let fields: Vec<Field> =
            fields.map(|field| own(field).unwrap_or_else(|_| field.as_ref().clone())).collect();
        Arc::new(Schema::new(fields))
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
                None => super::bounds::is_usable(filter, schema) || bitmap::is_usable(filter, schema),
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
        let wanted: Vec<usize> = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        let bound = crate::query::slots::bound(filters, state.config_options())?;
        let bound = bound.as_deref();
        let Some(partitioned) = &self.partitioned else {
            let (table, derived) = (Arc::clone(&self.table), self.derived.clone());
            let leaf = Leaf { table, size: self.size.clone(), derived };
            return self.scan_leaf(state, &leaf, &wanted, filters, bound, limit, false);
        };
        // A plan for all values of its parameters has all partitions: those to be read are told by the values.
        let read =
            prune::leaves(&partitioned.catalog, &self.table, if bound.is_some() { &[] } else { filters });
        let mut scans = Vec::with_capacity(read.len());
        for leaf in partitioned.leaves.iter().filter(|leaf| read.iter().any(|own| own.id == leaf.table.id)) {
            scans.push(self.scan_leaf(state, leaf, &wanted, filters, bound, limit, read.len() > 1)?);
        }
        match scans.len() {
            0 => Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(&wanted)?)))),
            1 => Ok(scans.swap_remove(0)),
            _ => UnionExec::try_new(scans),
        }
    }
}
