//! Files queried in place: `FROM 'flights.csv.gz'`. The reader is that of COPY: CSV with the types told by its
//! head (empty cells and `NA` are NULL), JSON lines, Parquet; plain, gzip or zstd.
//!
//! The file is opened for its columns when the query is planned and read once per execution, in one partition.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cairn_env::Env;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use crate::context::Context;
use crate::copy::{CopyOptions, open_reader};
use crate::{Error, Result};

/// The provider of a file.
///
/// # Errors
/// The file's: `58P01` where it is not there, `22P04` where it is not of its format.
pub(super) fn provider(context: &Context, path: &str) -> Result<Arc<dyn TableProvider>> {
    let env = context.scope.shared.options.files.clone();
    let reader = open_reader(&env, path, &CopyOptions::default()).map_err(Error::from)?;
    Ok(Arc::new(File { env, path: path.to_owned(), schema: Arc::clone(reader.schema()) }))
}

#[derive(Debug)]
struct File {
    env: Env,
    path: String,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for File {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let (env, path) = (self.env.clone(), self.path.clone());
        Ok(Arc::new(FileScan { env, path, projection, limit, schema, properties }))
    }
}

#[derive(Debug)]
struct FileScan {
    env: Env,
    path: String,
    projection: Vec<usize>,
    limit: Option<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for FileScan {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileScan: '{}'", self.path)
    }
}

impl ExecutionPlan for FileScan {
    fn name(&self) -> &str {
        "FileScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        _task: Arc<TaskContext>,
    ) -> DataFusionResult<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("the file has no partition {partition}");
        }
        let reader = open_reader(&self.env, &self.path, &CopyOptions::default()).map_err(Error::from)?;
        let mut left = self.limit.unwrap_or(usize::MAX);
        let projection = self.projection.clone();
        let batches = reader.prefetch(&self.env).map_while(move |batch| {
            if left == 0 {
                return None;
            }
            Some(batch.map_err(|error| DataFusionError::from(Error::from(error))).and_then(|batch| {
                let batch = batch.project(&projection)?;
                let rows = batch.num_rows().min(left);
                left -= rows;
                Ok(batch.slice(0, rows))
            }))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), futures::stream::iter(batches))))
    }
}
