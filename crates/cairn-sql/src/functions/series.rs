//! `generate_series` of integers as one list, by columns: of INTEGERs where all arguments are, of BIGINTs otherwise.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Builder, Int64Builder, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, Int32Type, Int64Type};
use cairn_types::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::overload::{Overload, Returns, is};
use crate::{Error, Result};

/// Longest list.
const COUNT_MAX: usize = 100_000_000;

/// The forms of `generate_series` that take integers.
pub(super) fn overloads() -> Vec<Overload> {
    [DataType::Integer, DataType::BigInt]
        .into_iter()
        .map(|own| {
            let result = Returns::Is(DataType::Array(Box::new(own.clone())));
            let code = |_: &super::overload::Args<'_>| Err(Error::internal("a series goes by columns"));
            let signature = Signature::variadic_any(Volatility::Immutable);
            let native = ScalarUDF::from(Series { item: own.to_arrow(), signature });
            Overload::new(vec![is(own.clone()), is(own.clone()), is(own)], result, code)
                .optional(1)
                .always(Arc::new(native))
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Series {
    item: ArrowType,
    signature: Signature,
}

impl Series {
    fn lists(&self, args: &[ArrayRef], rows: usize, list: &ArrowType) -> Result<ArrayRef> {
        let value = |at: usize, row: usize| -> Option<i64> {
            let Some(array) = args.get(at) else { return Some(1) };
            match self.item {
                ArrowType::Int32 => {
                    let array = array.as_primitive::<Int32Type>();
                    array.is_valid(row).then(|| i64::from(array.value(row)))
                }
                _ => {
                    let array = array.as_primitive::<Int64Type>();
                    array.is_valid(row).then(|| array.value(row))
                }
            }
        };
        let (mut narrow, mut large) = (Int32Builder::new(), Int64Builder::new());
        let (mut lengths, mut valid) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut count = 0usize;
        for row in 0..rows {
            let (Some(start), Some(stop), Some(step)) = (value(0, row), value(1, row), value(2, row)) else {
                lengths.push(0);
                valid.push(false);
                continue;
            };
            if step == 0 {
                return Err(Error::new("22023", "step size cannot equal zero"));
            }
            let (mut at, mut own) = (Some(start), 0usize);
            while let Some(number) = at.filter(|at| if step > 0 { *at <= stop } else { *at >= stop }) {
                match self.item {
                    ArrowType::Int32 => narrow.append_value(number as i32),
                    _ => large.append_value(number),
                }
                own += 1;
                count += 1;
                if count > COUNT_MAX {
                    return Err(Error::new("54000", format!("a series of more than {COUNT_MAX} numbers")));
                }
                at = number.checked_add(step);
            }
            lengths.push(own);
            valid.push(true);
        }
        let items: ArrayRef = match self.item {
            ArrowType::Int32 => Arc::new(narrow.finish()),
            _ => Arc::new(large.finish()),
        };
        let ArrowType::List(field) = list else { return Err(Error::internal("a series is a list")) };
        let nulls = NullBuffer::from(valid);
        let lists =
            ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), items, Some(nulls))?;
        Ok(Arc::new(lists))
    }
}

impl ScalarUDFImpl for Series {
    fn name(&self) -> &str {
        "cairn_series"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(ArrowType::new_list(self.item.clone(), true))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> =
            args.args.iter().map(|arg| arg.to_array(rows)).collect::<DataFusionResult<_>>()?;
        let lists = self.lists(&arrays, rows, args.return_field.data_type())?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&lists, 0)?),
            false => ColumnarValue::Array(lists),
        })
    }
}
