//! `lag`, `lead` and `ntile` whose offset, default or count is no constant, or whose default is of another type. The query
//! engine's take constants only: `parse::computed_windows` calls these instead.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType as ArrowType, FieldRef, Int64Type};
use cairn_types::DataType;
use cairn_types::datetime::Zone;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;

use crate::functions::overload::{common, type_name};
use crate::functions::{cast, sql_type};
use crate::{Error, Result};

/// Begins the names of these functions.
pub(crate) const PREFIX: &str = "cairn_computed_";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Lag,
    Lead,
    Ntile,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Computed {
    kind: Kind,
    signature: Signature,
}

/// The function of a name.
pub(crate) fn function(name: &str) -> Option<Arc<WindowUDF>> {
    let kind = match name.strip_prefix(PREFIX)? {
        "lag" => Kind::Lag,
        "lead" => Kind::Lead,
        "ntile" => Kind::Ntile,
        _ => return None,
    };
    let signature = Signature::user_defined(Volatility::Immutable);
    Some(Arc::new(WindowUDF::from(Computed { kind, signature })))
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Lag => "lag",
            Kind::Lead => "lead",
            Kind::Ntile => "ntile",
        }
    }
}

/// The type of the result, and what the value and the default are.
fn types(fields: &[FieldRef]) -> Result<(DataType, DataType, Option<DataType>)> {
    let own = |at: usize| fields.get(at).map(|field| (sql_type(field), field.data_type().is_null()));
    let (value, untyped) = own(0).ok_or_else(|| Error::internal("a function without arguments"))?;
    let Some((default, nothing)) = own(2) else { return Ok((value.clone(), value, None)) };
    let result = match () {
        () if nothing || value == default => value.clone(),
        () if untyped => default.clone(),
        // A text without a type is read as the value's.
        () if default == DataType::Text => value.clone(),
        () => common(&value, &default).ok_or_else(|| {
            let (value, default) = (type_name(&value), type_name(&default));
            Error::new("42883", format!("function lag({value}, integer, {default}) does not exist"))
                .with_hint("No function matches the given name and argument types.")
        })?,
    };
    Ok((result, value, Some(default)))
}

impl WindowUDFImpl for Computed {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Lag => "cairn_computed_lag",
            Kind::Lead => "cairn_computed_lead",
            Kind::Ntile => "cairn_computed_ntile",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[ArrowType]) -> DataFusionResult<Vec<ArrowType>> {
        let (least, most, whole) = match self.kind {
            Kind::Ntile => (1, 1, 0),
            _ => (1, 3, 1),
        };
        let number = types.get(whole).is_none_or(|ty| ty.is_integer() || ty.is_null());
        if types.len() < least || types.len() > most || !number {
            let names: Vec<String> = types.iter().map(|ty| type_name(&DataType::from_arrow(ty))).collect();
            return Err(crate::functions::missing::error(self.kind.name(), &names).into());
        }
        let mut types = types.to_vec();
        if let Some(ty) = types.get_mut(whole) {
            *ty = ArrowType::Int64;
        }
        Ok(types)
    }

    fn field(&self, args: WindowUDFFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let ty = match self.kind {
            Kind::Ntile => DataType::Integer,
            _ => types(args.input_fields())?.0,
        };
        Ok(Arc::new(ty.to_field(args.name(), true)))
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs<'_>,
    ) -> DataFusionResult<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Evaluator { kind: self.kind, fields: args.input_fields().to_vec() }))
    }

    fn limit_effect(&self, _args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }
}

/// Over a whole partition at once.
#[derive(Debug)]
struct Evaluator {
    kind: Kind,
    fields: Vec<FieldRef>,
}

impl Evaluator {
    fn all(&self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let number = |at: usize, row: usize| -> Option<i64> {
            let numbers = values.get(at)?.as_primitive::<Int64Type>();
            numbers.is_valid(row).then(|| numbers.value(row))
        };
        if self.kind == Kind::Ntile {
            return Ok(Arc::new(buckets(if rows == 0 { None } else { number(0, 0) }, rows)?));
        }
        let (result, value, default) = types(&self.fields)?;
        let brought = |array: &ArrayRef, from: &DataType| -> Result<ArrayRef> {
            match from == &result && *array.data_type() == result.to_arrow() {
                true => Ok(Arc::clone(array)),
                false if array.data_type().is_null() => {
                    Ok(arrow::array::new_null_array(&result.to_arrow(), rows))
                }
                false => cast::cast(array, from, &result, Zone::UTC),
            }
        };
        let own = brought(&values[0], &value)?;
        let other = match default {
            Some(default) => brought(&values[2], &default)?,
            None => arrow::array::new_null_array(own.data_type(), rows),
        };
        let nothing = arrow::array::new_null_array(own.data_type(), 1);
        let places: Vec<(usize, usize)> = (0..rows)
            .map(|row| {
                let offset = if values.len() > 1 { number(1, row) } else { Some(1) };
                let Some(offset) = offset else { return (2, 0) };
                let moved = match self.kind {
                    Kind::Lag => (row as i64).checked_sub(offset),
                    _ => (row as i64).checked_add(offset),
                };
                match moved.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < rows) {
                    Some(at) => (0, at),
                    None => (1, row),
                }
            })
            .collect();
        Ok(interleave(&[&*own, &*other, &*nothing], &places)?)
    }
}

/// The numbers of so many buckets, the first ones larger by one where they are not equal.
fn buckets(count: Option<i64>, rows: usize) -> Result<Int32Array> {
    let Some(count) = count else { return Ok(Int32Array::new_null(rows)) };
    let all = usize::try_from(count).ok().filter(|count| *count > 0);
    let all = all.ok_or_else(|| Error::new("22014", "argument of ntile must be greater than zero"))?;
    let (size, larger) = (rows / all, rows % all);
    let border = larger * (size + 1);
    let bucket = |row: usize| match row < border {
        true => row / (size + 1),
        false => larger + (row - border) / size.max(1),
    };
    Ok((0..rows).map(|row| i32::try_from(bucket(row) + 1).ok()).collect())
}

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> DataFusionResult<ArrayRef> {
        Ok(self.all(values, rows)?)
    }

    fn evaluate_all_with_rank(&self, _rows: usize, _ranks: &[Range<usize>]) -> DataFusionResult<ArrayRef> {
        Err(Error::internal("a function that looks at no ranks").into())
    }
}
