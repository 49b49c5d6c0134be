//! Window frames with EXCLUDE. The query engine knows no such frames: `parse::exclude` calls a function named
//! [`PREFIX`]… instead, whose last arguments are what the window is ordered by; here it is made, of the aggregate that it
//! names. It takes the frame's rows but for those that are excluded, anew for each row.

use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType as ArrowType, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{AccumulatorArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, LimitEffect, PartitionEvaluator, Signature, TypeSignature, Volatility,
    WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

use crate::{Error, Result};

/// Begins the names of these functions; `kind_orders_name` follows.
pub(crate) const PREFIX: &str = "cairn_exclude_";

/// What is excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Exclude {
    Row,
    Group,
    Ties,
    Nothing,
}

/// What is made of the rows that are left.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Made {
    Aggregate(Arc<AggregateUDF>),
    First,
    Last,
    Nth,
}

/// A function over frames with EXCLUDE.
#[derive(Debug, PartialEq, Eq)]
struct Excluding {
    name: String,
    exclude: Exclude,
    /// How many of the arguments are what the window is ordered by.
    orders: usize,
    made: Made,
    signature: Signature,
}

impl Hash for Excluding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The function of a name; `None` where it is none of these, or what it names is no aggregate.
pub(crate) fn function(
    name: &str,
    aggregate: impl FnOnce(&str) -> Option<Arc<AggregateUDF>>,
) -> Option<Arc<WindowUDF>> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '_');
    let exclude = match parts.next()? {
        "row" => Exclude::Row,
        "group" => Exclude::Group,
        "ties" => Exclude::Ties,
        _ => Exclude::Nothing,
    };
    let orders = parts.next()?.parse().ok()?;
    let made = match parts.next()? {
        "first_value" => Made::First,
        "last_value" => Made::Last,
        "nth_value" => Made::Nth,
        other => Made::Aggregate(aggregate(other)?),
    };
    let signature = Signature::user_defined(Volatility::Immutable);
    Some(Arc::new(WindowUDF::from(Excluding { name: name.to_owned(), exclude, orders, made, signature })))
}

impl Excluding {
    /// The arguments of the aggregate itself.
    fn own<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        &all[..all.len().saturating_sub(self.orders)]
    }

    fn field_of(&self, fields: &[FieldRef]) -> DataFusionResult<FieldRef> {
        match &self.made {
            Made::Aggregate(aggregate) => aggregate.return_field(self.own(fields)),
            _ => {
                fields.first().cloned().ok_or_else(|| Error::internal("a function without arguments").into())
            }
        }
    }
}

impl WindowUDFImpl for Excluding {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[ArrowType]) -> DataFusionResult<Vec<ArrowType>> {
        let own = self.own(types);
        let mut coerced = match &self.made {
            Made::Aggregate(aggregate) => match aggregate.signature().type_signature {
                TypeSignature::UserDefined => aggregate.coerce_types(own)?,
                _ => {
                    let fields: Vec<FieldRef> = own
                        .iter()
                        .map(|ty| Arc::new(arrow::datatypes::Field::new("value", ty.clone(), true)))
                        .collect();
                    fields_with_udf(&fields, aggregate.as_ref())?
                        .iter()
                        .map(|field| field.data_type().clone())
                        .collect()
                }
            },
            _ => own.to_vec(),
        };
        coerced.extend_from_slice(&types[own.len()..]);
        Ok(coerced)
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let field = self.field_of(args.input_fields())?;
        Ok(Arc::new(field.as_ref().clone().with_name(args.name()).with_nullable(true)))
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs<'_>,
    ) -> DataFusionResult<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator {
            exclude: self.exclude,
            orders: self.orders,
            made: self.made.clone(),
            field: self.field_of(args.input_fields())?,
            exprs: self.own(args.input_exprs()).to_vec(),
            fields: self.own(args.input_fields()).to_vec(),
            row: 0,
            peers: Vec::new(),
        }))
    }

    fn limit_effect(&self, _args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }
}

/// Over the rows of one partition, one after the other.
#[derive(Debug)]
struct Evaluator {
    exclude: Exclude,
    orders: usize,
    made: Made,
    field: FieldRef,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<FieldRef>,
    /// The row that comes next.
    row: usize,
    /// The rows that are equal in order, group by group.
    peers: Vec<Range<usize>>,
}

impl Evaluator {
    /// The rows of a frame that are not excluded.
    fn kept(&self, frame: &Range<usize>) -> Vec<Range<usize>> {
        let row = self.row..self.row + 1;
        let group = self.peers.iter().find(|group| group.contains(&self.row)).cloned().unwrap_or(row.clone());
        let gaps = match self.exclude {
            Exclude::Nothing => vec![],
            Exclude::Row => vec![row],
            Exclude::Group => vec![group],
            Exclude::Ties => vec![group.start..row.start, row.end..group.end],
        };
        let mut kept = vec![frame.clone()];
        for gap in gaps {
            kept = kept
                .into_iter()
                .flat_map(|part| {
                    [
                        part.start..part.end.min(gap.start.max(part.start)),
                        part.start.max(gap.end.min(part.end))..part.end,
                    ]
                })
                .filter(|part| part.start < part.end)
                .collect();
        }
        kept
    }

    fn accumulator(&self, aggregate: &AggregateUDF) -> DataFusionResult<Box<dyn Accumulator>> {
        aggregate.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.field),
            schema: &Schema::empty(),
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: aggregate.name(),
            is_distinct: false,
            exprs: &self.exprs,
            expr_fields: &self.fields,
        })
    }

    fn value(&self, values: &[ArrayRef], kept: &[Range<usize>]) -> DataFusionResult<ScalarValue> {
        let at = match &self.made {
            Made::Aggregate(aggregate) => {
                let mut accumulator = self.accumulator(aggregate)?;
                for part in kept {
                    let columns: Vec<ArrayRef> =
                        values.iter().map(|column| column.slice(part.start, part.len())).collect();
                    accumulator.update_batch(&columns)?;
                }
                return accumulator.evaluate();
            }
            Made::First => kept.first().map(|part| part.start),
            Made::Last => kept.last().map(|part| part.end - 1),
            Made::Nth => nth(values, self.row, kept)?,
        };
        match at {
            Some(at) => ScalarValue::try_from_array(&values[0], at),
            None => ScalarValue::try_from(self.field.data_type()),
        }
    }
}

/// The place of the n-th row that is kept, n being the second argument.
fn nth(values: &[ArrayRef], row: usize, kept: &[Range<usize>]) -> Result<Option<usize>> {
    let count = ScalarValue::try_from_array(&values[1], row).and_then(|n| n.cast_to(&ArrowType::Int64));
    let ScalarValue::Int64(Some(count)) = count.map_err(Error::from)? else { return Ok(None) };
    let Some(skip) = count.checked_sub(1).and_then(|n| usize::try_from(n).ok()) else {
        return Err(Error::new("22016", "argument of nth_value must be greater than zero"));
    };
    Ok(kept.iter().flat_map(Clone::clone).nth(skip))
}

impl PartitionEvaluator for Evaluator {
    fn uses_window_frame(&self) -> bool {
        true
    }

    fn evaluate(&mut self, values: &[ArrayRef], frame: &Range<usize>) -> DataFusionResult<ScalarValue> {
        // Behind the arguments come the columns of ORDER BY once more.
        let own = &values[..self.exprs.len()];
        let orders = &values[self.exprs.len()..self.exprs.len() + self.orders];
        if self.peers.is_empty() {
            self.peers = match orders.first() {
                Some(_) => arrow::compute::partition(orders)?.ranges(),
                // Without an order all rows are equal.
                None => std::iter::once(0..usize::MAX).collect(),
            };
        }
        let value = self.value(own, &self.kept(frame))?;
        self.row += 1;
        Ok(value)
    }
}
