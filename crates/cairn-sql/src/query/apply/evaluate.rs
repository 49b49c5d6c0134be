//! A subquery as a function of outer columns.
//!
//! The plan is optimised once, with parameters in the place of the outer columns; for each combination of values they
//! are put in and the plan is made physical, so that the scans choose their indexes by them. What came out is remembered
//! by the values ([`MEMO_ENTRIES_MAX`], [`MEMO_BYTES_MAX`]; the memory of both counts in the pool of all queries).
//!
//! The work is done where the function is called, on a thread of the runtime, which hands its other tasks on meanwhile.
//!
//! I1: every scan within the plan reads the snapshot at which the statement was planned.
//! I2: the bytes reserved are at least those remembered.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, BooleanArray, ListArray, RecordBatch, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, concat_batches, take};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::common::metadata::{FieldMetadata, ScalarAndMetadata};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use parking_lot::Mutex;

use super::members::Members;
use crate::context::Context;
use crate::query::run::{deadline_ns, expired, task_context};
use crate::{Error, Result};

/// Results remembered of one subquery.
const MEMO_ENTRIES_MAX: usize = 64 << 10;
/// Their bytes.
const MEMO_BYTES_MAX: usize = 32 << 20;

/// What is made of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The only column of the only row; NULL where there is none.
    Scalar,
    /// Whether there is a row.
    Exists,
    /// All of them, as a list of structs.
    Rows,
    /// Whether the last argument, which is no parameter of the plan, is among the values of the only column.
    Member,
}

/// The name of a column within the structs of [`Kind::Rows`].
pub(super) fn member_name(at: usize) -> String {
    format!("c{at}")
}

/// A subquery as a function.
pub(super) struct Apply {
    /// Unlike that of any other.
    id: u64,
    kind: Kind,
    signature: Signature,
    /// Optimised, with parameters.
    plan: LogicalPlan,
    parameters: Vec<FieldRef>,
    result: FieldRef,
    context: Context,
    state: SessionState,
    task: Arc<TaskContext>,
    deadline_ns: Option<u64>,
    memo: Mutex<Memo>,
}

/// Results by the values of the parameters, one row each.
struct Memo {
    results: HashMap<Vec<ScalarValue>, ArrayRef>,
    /// What [`Kind::Member`] looks into.
    members: HashMap<Vec<ScalarValue>, Arc<Members>>,
    reservation: MemoryReservation,
}

impl std::fmt::Debug for Apply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Apply").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PartialEq for Apply {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for Apply {}
impl Hash for Apply {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl Apply {
    /// The function of a plan whose parameters `$1` … are of these fields.
    ///
    /// # Errors
    /// Whatever optimising the plan says.
    pub(super) fn new(
        context: &Context,
        state: &SessionState,
        kind: Kind,
        plan: LogicalPlan,
        parameters: Vec<FieldRef>,
    ) -> DataFusionResult<Self> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        // One row more than is wanted tells that there are too many.
        let plan = match kind {
            Kind::Scalar => LogicalPlanBuilder::from(plan).limit(0, Some(2))?.build()?,
            Kind::Exists => LogicalPlanBuilder::from(plan).limit(0, Some(1))?.build()?,
            Kind::Rows | Kind::Member => plan,
        };
        let plan = state.optimize(&plan)?;
        let result = match kind {
            Kind::Scalar => plan.schema().field(0).as_ref().clone().with_nullable(true).with_name("apply"),
            Kind::Exists => Field::new("apply", ArrowType::Boolean, false),
            Kind::Member => Field::new("apply", ArrowType::Boolean, true),
            Kind::Rows => Field::new("apply", list_type(plan.schema().as_arrow()), true),
        };
        let pool = &context.scope.shared.runtime_env().memory_pool;
        let reservation = MemoryConsumer::new("subquery").register(pool);
        Ok(Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            kind,
            signature: Signature::one_of(
                vec![TypeSignature::Nullary, TypeSignature::VariadicAny],
                Volatility::Stable,
            ),
            plan,
            parameters,
            result: Arc::new(result),
            context: context.clone(),
            state: state.clone(),
            task: task_context(context, state),
            deadline_ns: deadline_ns(context),
            memo: Mutex::new(Memo { results: HashMap::new(), members: HashMap::new(), reservation }),
        })
    }

    /// A name for the column of its results.
    pub(super) fn column_name(&self) -> String {
        format!("__cairn_rows_{}", self.id)
    }

    /// The call with these arguments.
    pub(super) fn call(self, args: Vec<Expr>) -> Expr {
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(self)), args))
    }

    /// The values of the only column for one combination of parameters.
    fn members(&self, key: &[ScalarValue]) -> Result<Arc<Members>> {
        if let Some(known) = self.memo.lock().members.get(key) {
            return Ok(Arc::clone(known));
        }
        if let Some(error) = expired(&self.context.scope.shared, self.deadline_ns) {
            return Err(error);
        }
        let (_, batches) = self.run(key)?;
        let members = Arc::new(Members::of(batches.iter().map(|batch| batch.column(0)))?);
        let memo = &mut *self.memo.lock();
        if memo.members.len() >= MEMO_ENTRIES_MAX || memo.reservation.size() + members.bytes > MEMO_BYTES_MAX
        {
            memo.members.clear();
            memo.reservation.free();
        }
        // I2. One set is remembered whatever its size, as long as there is memory: a row more asks for it again.
        if memo.reservation.try_grow(members.bytes).is_ok() {
            memo.members.insert(key.to_vec(), Arc::clone(&members));
        }
        Ok(members)
    }

    /// The result for one combination of values, a single row.
    fn result(&self, key: &[ScalarValue]) -> Result<ArrayRef> {
        if self.kind == Kind::Member
            && let [parameters @ .., value] = key
        {
            let holds = self.members(parameters)?.holds(value);
            return Ok(Arc::new(BooleanArray::from(vec![holds])));
        }
        if let Some(known) = self.memo.lock().results.get(key) {
            return Ok(Arc::clone(known));
        }
        if let Some(error) = expired(&self.context.scope.shared, self.deadline_ns) {
            return Err(error);
        }
        let result = self.compute(key)?;
        self.remember(key, &result);
        Ok(result)
    }

    fn remember(&self, key: &[ScalarValue], result: &ArrayRef) {
        let bytes = result.get_array_memory_size() + key.iter().map(ScalarValue::size).sum::<usize>();
        let memo = &mut *self.memo.lock();
        if memo.results.len() >= MEMO_ENTRIES_MAX || memo.reservation.size() + bytes > MEMO_BYTES_MAX {
            memo.results.clear();
            memo.reservation.free();
        }
        // I2. Where there is no memory to remember it, it is computed again.
        if bytes <= MEMO_BYTES_MAX && memo.reservation.try_grow(bytes).is_ok() {
            memo.results.insert(key.to_vec(), Arc::clone(result));
        }
    }

    fn compute(&self, key: &[ScalarValue]) -> Result<ArrayRef> {
        let (schema, batches) = self.run(key)?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        match self.kind {
            Kind::Exists => Ok(Arc::new(BooleanArray::from(vec![rows > 0]))),
            Kind::Scalar if rows > 1 => {
                Err(Error::new("21000", "more than one row returned by a subquery used as an expression"))
            }
            Kind::Scalar => {
                let of_row = batches.iter().find(|batch| batch.num_rows() > 0);
                let ty = self.result.data_type();
                match of_row {
                    None => Ok(arrow::array::new_null_array(ty, 1)),
                    Some(batch) if batch.column(0).data_type() == ty => Ok(Arc::clone(batch.column(0))),
                    Some(batch) => Ok(arrow::compute::cast(batch.column(0), ty)?),
                }
            }
            Kind::Member => Err(Error::internal("members are looked up")),
            Kind::Rows if rows == 0 => Ok(arrow::array::new_null_array(self.result.data_type(), 1)),
            Kind::Rows => self.list(&concat_batches(&schema, &batches)?),
        }
    }

    /// The rows of a batch as one list.
    fn list(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let ArrowType::List(item) = self.result.data_type() else {
            return Err(Error::internal("rows that are no list"));
        };
        let ArrowType::Struct(fields) = item.data_type() else {
            return Err(Error::internal("rows that are no structs"));
        };
        let columns = rows
            .columns()
            .iter()
            .zip(fields)
            .map(|(column, field)| match column.data_type() == field.data_type() {
                true => Ok(Arc::clone(column)),
                false => Ok(arrow::compute::cast(column, field.data_type())?),
            })
            .collect::<Result<Vec<_>>>()?;
        let structs = StructArray::try_new(fields.clone(), columns, None)?;
        let offsets = OffsetBuffer::from_lengths([rows.num_rows()]);
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, Arc::new(structs), None)?))
    }

    /// Runs the plan with these values.
    fn run(&self, key: &[ScalarValue]) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let values = key.iter().zip(&self.parameters).map(|(value, field)| {
            let metadata = (!field.metadata().is_empty()).then(|| FieldMetadata::new_from_field(field));
            ScalarAndMetadata::new(value.clone(), metadata)
        });
        let plan = self.plan.clone().replace_params_with_values(&ParamValues::List(values.collect()))?;
        let shared = &self.context.scope.shared;
        let work = || -> Result<(SchemaRef, Vec<RecordBatch>)> {
            shared.runtime.wait(async {
                let planner = self.state.query_planner();
                let physical = planner.create_physical_plan(&plan, &self.state).await?;
                let schema = physical.schema();
                let mut stream = execute_stream(physical, Arc::clone(&self.task))?;
                let mut batches = Vec::new();
                let reservation = self.memo.lock().reservation.new_empty();
                while let Some(batch) = stream.next().await {
                    let batch = batch?;
                    reservation.try_grow(batch.get_array_memory_size())?;
                    batches.push(batch);
                    if let Some(error) = expired(shared, self.deadline_ns) {
                        return Err(error);
                    }
                }
                Ok((schema, batches))
            })?
        };
        tokio::task::block_in_place(work)
    }
}

/// The type of all rows of a schema in one value.
fn list_type(schema: &Schema) -> ArrowType {
    let members =
        schema.fields().iter().enumerate().map(|(at, field)| {
            Arc::new(field.as_ref().clone().with_name(member_name(at)).with_nullable(true))
        });
    let row = ArrowType::Struct(Fields::from_iter(members));
    ArrowType::List(Arc::new(Field::new_list_field(row, true)))
}

impl ScalarUDFImpl for Apply {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Scalar => "subquery",
            Kind::Exists => "exists_in_subquery",
            Kind::Rows => "rows_of_subquery",
            Kind::Member => "in_subquery",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(self.result.data_type().clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(Arc::clone(&self.result))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args
            .args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Array(array) => Ok(Arc::clone(array)),
                ColumnarValue::Scalar(value) => value.to_array_of_size(rows),
            })
            .collect::<DataFusionResult<Vec<_>>>()?;
        let mut places: HashMap<Vec<ScalarValue>, u32> = HashMap::new();
        let mut results: Vec<ArrayRef> = Vec::new();
        let mut of_row = Vec::with_capacity(rows);
        let held = self.memo.lock().reservation.new_empty();
        for row in 0..rows {
            let key = columns
                .iter()
                .map(|column| ScalarValue::try_from_array(column, row))
                .collect::<DataFusionResult<Vec<_>>>()?;
            let place = match places.get(&key) {
                Some(place) => *place,
                None => {
                    let result = self.result(&key)?;
                    held.try_grow(result.get_array_memory_size())?;
                    results.push(result);
                    let place = results.len() as u32 - 1;
                    places.insert(key, place);
                    place
                }
            };
            of_row.push(place);
        }
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&results[0], 0)?));
        }
        if results.is_empty() {
            return Ok(ColumnarValue::Array(arrow::array::new_empty_array(self.result.data_type())));
        }
        let distinct: Vec<&dyn Array> = results.iter().map(|result| result.as_ref()).collect();
        let column = take(&concat(&distinct)?, &UInt32Array::from(of_row), None)?;
        Ok(ColumnarValue::Array(column))
    }
}
