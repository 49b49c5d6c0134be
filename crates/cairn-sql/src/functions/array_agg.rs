//! `array_agg`: the query engine's, which forgets the type of the elements where Arrow has no word for it (JSONB, VARCHAR, CHAR(n),
//! enums …): `(array_agg(j))[1] -> 'a'`. With DISTINCT its own, by the order of values: `1.5` and `1.50` are one, and the values come in order, as
//! PostgreSQL's do.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use cairn_types::{DataType, Value};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
};

use super::sql_type;
use crate::Error;

/// Whether values of a type are ordered, and equal, as they are in SQL.
fn has_order(ty: &DataType) -> bool {
    !matches!(ty, DataType::Json | DataType::Jsonb)
}

/// Each value once, in order.
#[derive(Debug)]
struct Sorted {
    ty: DataType,
    /// The Arrow type of the argument.
    item: ArrowType,
    options: Option<SortOptions>,
    values: BTreeSet<Value>,
    bytes: usize,
}

/// What a value takes, roughly.
fn bytes(value: &Value) -> usize {
    let own = match value {
        Value::Text(text) | Value::Json(text) | Value::Jsonb(text) => text.len(),
        Value::Bytea(bytes) => bytes.len(),
        Value::Coded { code, .. } => code.len(),
        Value::Array(values) => values.iter().map(bytes).sum(),
        _ => 0,
    };
    2 * size_of::<Value>() + own
}

impl Sorted {
    fn list(&self, values: &[Value]) -> Result<ScalarValue> {
        let array = Value::to_array(values, &self.ty).map_err(Error::from)?;
        let array = if *array.data_type() == self.item { array } else { cast(&array, &self.item)? };
        Ok(ScalarValue::List(Arc::new(SingleRowListArrayBuilder::new(array).build_list_array())))
    }
}

impl Accumulator for Sorted {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let Some(column) = columns.first() else { return Ok(()) };
        for value in (0..column.len()).map(|row| Value::from_array(column, row, &self.ty)) {
            let bytes = bytes(&value);
            if self.values.insert(value) {
                self.bytes += bytes;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.values.is_empty() {
            return ScalarValue::try_from(ArrowType::List(Arc::new(Field::new_list_field(
                self.item.clone(),
                true,
            ))));
        }
        let (nulls, mut values): (Vec<Value>, Vec<Value>) =
            self.values.iter().cloned().partition(Value::is_null);
        let options = self.options.unwrap_or(SortOptions { descending: false, nulls_first: false });
        if options.descending {
            values.reverse();
        }
        let all = if options.nulls_first { [nulls, values] } else { [values, nulls] };
        self.list(&all.concat())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Vec<Value> = self.values.iter().cloned().collect();
        Ok(vec![self.list(&values)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|state| state.as_list_opt::<i32>()) else { return Ok(()) };
        for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
            self.update_batch(&[lists.value(row)])?;
        }
        Ok(())
    }
}

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ArrayAgg {
    inner: Arc<AggregateUDF>,
}

impl ArrayAgg {
    pub(super) fn new() -> Self {
        Self { inner: array_agg_udaf() }
    }
}

impl AggregateUDFImpl for ArrayAgg {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let own = self.inner.return_field(fields)?;
        let Some(element) = fields.first().map(|field| sql_type(field)) else { return Ok(own) };
        let ty = DataType::Array(Box::new(element));
        let plain = DataType::from_arrow(own.data_type()) == ty;
        Ok(match plain || ty.to_arrow() != *own.data_type() {
            true => own,
            false => Arc::new(ty.to_field(own.name().as_str(), own.is_nullable())),
        })
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let element = args.expr_fields.first().filter(|_| args.is_distinct).map(|field| sql_type(field));
        match (element, args.expr_fields) {
            (Some(ty), [field]) if has_order(&ty) => Ok(Box::new(Sorted {
                ty,
                item: field.data_type().clone(),
                // ORDER BY can only name the argument.
                options: args.order_bys.first().map(|order| order.options),
                values: BTreeSet::new(),
                bytes: 0,
            })),
            _ => self.inner.accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        match args.input_fields {
            [field] if args.is_distinct && has_order(&sql_type(field)) => {
                let item = Arc::new(Field::new_list_field(field.data_type().clone(), true));
                Ok(vec![Arc::new(Field::new(format!("{}[values]", args.name), ArrowType::List(item), true))])
            }
            _ => self.inner.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = Arc::clone(self.inner.inner()).with_beneficial_ordering(beneficial)?;
        Ok(inner.map(|inner| {
            let inner = Arc::new(AggregateUDF::new_from_shared_impl(inner));
            Arc::new(Self { inner }) as Arc<dyn AggregateUDFImpl>
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Reversed(Arc::new(AggregateUDF::from(Self::new())))
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }
}
