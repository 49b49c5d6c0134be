//! Lists side by side, as functions in FROM give their rows: `cairn_zip(list, …)` is one list of structs with a member
//! for each list and the number of the row, NULL where a list is shorter than the longest; `cairn_flat(array)` are the
//! elements of an array of any number of dimensions.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray, UInt64Builder};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields};
use cairn_types::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::sql_type;
use crate::routine::function::member;
use crate::{Error, Result};

/// The function that puts lists side by side.
pub(crate) const ZIP: &str = "cairn_zip";
/// The function that takes the dimensions of an array away.
pub(crate) const FLAT: &str = "cairn_flat";
/// The member with the number of the row.
pub(crate) const NUMBER: &str = "number";

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::variadic_any(Volatility::Immutable);
    vec![
        ScalarUDF::from(Lists { flat: false, signature: signature() }),
        ScalarUDF::from(Lists { flat: true, signature: signature() }),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Lists {
    flat: bool,
    signature: Signature,
}

/// The field of a list's elements.
fn item_of(list: &Field, name: String) -> Result<FieldRef> {
    let ArrowType::List(item) = list.data_type() else {
        return Err(Error::new("42804", "a list was expected"));
    };
    Ok(Arc::new(match sql_type(list) {
        DataType::Array(ty) if ty.to_arrow() == *item.data_type() => ty.to_field(name, true),
        _ => item.as_ref().clone().with_name(name).with_nullable(true),
    }))
}

/// The list of an array's elements, however deep they are.
fn flattened(lists: &ArrayRef) -> Result<ArrayRef> {
    let mut lists = Arc::clone(lists);
    loop {
        let outer = lists.as_list::<i32>();
        let Some(inner) = outer.values().as_list_opt::<i32>() else { return Ok(lists) };
        // NULL among arrays holds nothing.
        let offsets = outer.value_offsets().iter().map(|at| inner.value_offsets()[*at as usize]).collect();
        let ArrowType::List(item) = inner.data_type() else {
            return Err(Error::internal("an array of lists"));
        };
        let flat = ListArray::try_new(
            Arc::clone(item),
            OffsetBuffer::new(offsets),
            Arc::clone(inner.values()),
            outer.nulls().cloned(),
        )?;
        lists = Arc::new(flat);
    }
}

impl Lists {
    fn zipped(lists: &[ArrayRef], rows: usize, result: &ArrowType) -> Result<ArrayRef> {
        let ArrowType::List(item) = result else { return Err(Error::internal("rows that are no list")) };
        let ArrowType::Struct(fields) = item.data_type() else {
            return Err(Error::internal("rows that are no structs"));
        };
        let lists: Vec<&ListArray> = lists.iter().map(|list| list.as_list::<i32>()).collect();
        let lengths: Vec<usize> = (0..rows)
            .map(|row| {
                let each = lists.iter().map(|list| match list.is_valid(row) {
                    true => list.value_length(row) as usize,
                    false => 0,
                });
                each.max().unwrap_or(0)
            })
            .collect();
        let total = lengths.iter().sum();
        let mut members: Vec<ArrayRef> = Vec::with_capacity(fields.len());
        for list in &lists {
            let mut places = UInt64Builder::with_capacity(total);
            for (row, length) in lengths.iter().enumerate() {
                let start = list.value_offsets()[row] as usize;
                let own = if list.is_valid(row) { list.value_length(row) as usize } else { 0 };
                for at in 0..*length {
                    places.append_option((at < own).then_some((start + at) as u64));
                }
            }
            members.push(arrow::compute::take(list.values(), &places.finish(), None)?);
        }
        let numbers: Int64Array =
            lengths.iter().flat_map(|length| (1..=*length).map(|at| Some(at as i64))).collect();
        members.push(Arc::new(numbers));
        let structs = StructArray::try_new_with_length(fields.clone(), members, None, total)?;
        let lists = ListArray::try_new(
            Arc::clone(item),
            OffsetBuffer::from_lengths(lengths),
            Arc::new(structs),
            None,
        )?;
        Ok(Arc::new(lists))
    }
}

impl ScalarUDFImpl for Lists {
    fn name(&self) -> &str {
        if self.flat { FLAT } else { ZIP }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Err(Error::internal("the type of a call follows from its arguments").into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        if self.flat {
            let mut ty = sql_type(&args.arg_fields[0]);
            if !matches!(&ty, DataType::Array(item) if matches!(**item, DataType::Array(_))) {
                return Ok(Arc::clone(&args.arg_fields[0]));
            }
            while let DataType::Array(item) = &ty
                && matches!(**item, DataType::Array(_))
            {
                ty = (**item).clone();
            }
            return Ok(Arc::new(ty.to_field(self.name(), true)));
        }
        let mut fields = Vec::with_capacity(args.arg_fields.len() + 1);
        for (at, list) in args.arg_fields.iter().enumerate() {
            fields.push(item_of(list, member(at))?);
        }
        fields.push(Arc::new(Field::new(NUMBER, ArrowType::Int64, true)));
        let row = ArrowType::Struct(Fields::from(fields));
        Ok(Arc::new(Field::new(
            self.name(),
            ArrowType::List(Arc::new(Field::new_list_field(row, true))),
            true,
        )))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        if self.flat && args.return_field.data_type() == args.arg_fields[0].data_type() {
            return Ok(args.args.swap_remove(0));
        }
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let lists: Vec<ArrayRef> =
            args.args.iter().map(|arg| arg.to_array(rows)).collect::<DataFusionResult<_>>()?;
        let lists = match self.flat {
            true => flattened(&lists[0])?,
            false => Self::zipped(&lists, rows, args.return_field.data_type())?,
        };
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&lists, 0)?),
            false => ColumnarValue::Array(lists),
        })
    }
}
