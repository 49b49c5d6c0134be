//! `avg` of integers and NUMERIC: exact sums, and NUMERIC quotients with PostgreSQL's number of digits.
//!
//! Limits: the sum has at most 38 digits, with its scale; what goes beyond is `22003`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array, Int64Array};
use arrow::datatypes::{DataType as ArrowType, Decimal128Type, Field, FieldRef, Int64Type, i256};
use cairn_types::Decimal;
use cairn_types::decimal::wide::{self, ARROW};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::wide::typed;
use crate::Error;

/// Digits of a sum.
const PRECISION: u8 = 38;

/// The type of an average of a type; `None` where it is not one of these.
pub(super) fn result_type(ty: &ArrowType) -> Option<ArrowType> {
    scale_of(ty).map(|_| ARROW)
}

fn scale_of(ty: &ArrowType) -> Option<i8> {
    match ty {
        ArrowType::Int64 => Some(0),
        ArrowType::Decimal128(_, scale) => Some(*scale),
        _ => None,
    }
}

/// The states: the sum, and how many there were.
pub(super) fn state_fields(name: &str, ty: &ArrowType) -> Vec<FieldRef> {
    let scale = scale_of(ty).unwrap_or_default();
    let field = |part: &str, ty| Arc::new(Field::new(format!("{name}[{part}]"), ty, true));
    vec![field("sum", ArrowType::Decimal128(PRECISION, scale)), field("count", ArrowType::Int64)]
}

fn overflow() -> DataFusionError {
    Error::new("22003", "value overflows numeric format").into()
}

/// The average of these, as a value.
fn quotient(sum: i128, count: i64, scale: i8) -> Result<Option<i256>> {
    if count == 0 {
        return Ok(None);
    }
    let average = Decimal::new(sum, scale).over(Decimal::from(count)).and_then(Decimal::to_wide);
    Ok(Some(average.map_err(Error::from)?))
}

/// Averages, one for each group; of all rows it is the one group.
#[derive(Debug)]
pub(super) struct ExactAverage {
    scale: i8,
    sums: Vec<i128>,
    counts: Vec<i64>,
}

impl ExactAverage {
    /// Of values of a type; `None` where it is not one of these.
    pub(super) fn of(ty: &ArrowType) -> Option<Self> {
        Some(Self { scale: scale_of(ty)?, sums: Vec::new(), counts: Vec::new() })
    }

    /// Of all rows.
    pub(super) fn single(ty: &ArrowType) -> Option<Self> {
        let mut all = Self::of(ty)?;
        all.grow(1);
        Some(all)
    }

    fn grow(&mut self, total: usize) {
        self.sums.resize(total.max(self.sums.len()), 0);
        self.counts.resize(total.max(self.counts.len()), 0);
    }

    /// Adds each value to its group, `sign` times.
    fn add(
        &mut self,
        values: &ArrayRef,
        sign: i64,
        mut keep: impl FnMut(usize) -> Option<usize>,
    ) -> Result<()> {
        let (sums, counts) = (&mut self.sums, &mut self.counts);
        let mut one = |row: usize, value: i128| -> Result<()> {
            if let Some(group) = keep(row) {
                sums[group] = sums[group].checked_add(value * i128::from(sign)).ok_or_else(overflow)?;
                counts[group] += sign;
            }
            Ok(())
        };
        match values.data_type() {
            ArrowType::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                for row in 0..values.len() {
                    if !values.is_null(row) {
                        one(row, i128::from(values.value(row)))?;
                    }
                }
            }
            ArrowType::Decimal128(..) => {
                let values = values.as_primitive::<Decimal128Type>();
                for row in 0..values.len() {
                    if !values.is_null(row) {
                        one(row, values.value(row))?;
                    }
                }
            }
            other => {
                return Err(DataFusionError::Internal(format!("an exact average of {other}")));
            }
        }
        Ok(())
    }

    /// Adds states to their groups.
    fn merge(&mut self, states: &[ArrayRef], group: impl Fn(usize) -> usize) -> Result<()> {
        let sums = states[0].as_primitive::<Decimal128Type>();
        let counts = states[1].as_primitive::<Int64Type>();
        for row in 0..counts.len() {
            if sums.is_null(row) || counts.is_null(row) {
                continue;
            }
            let at = group(row);
            self.sums[at] = self.sums[at].checked_add(sums.value(row)).ok_or_else(overflow)?;
            self.counts[at] += counts.value(row);
        }
        Ok(())
    }

    fn sums_as_array(&self, sums: Vec<i128>) -> Result<ArrayRef> {
        let array = Decimal128Array::from(sums).with_precision_and_scale(PRECISION, self.scale)?;
        Ok(Arc::new(array))
    }
}

impl Accumulator for ExactAverage {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], 1, |_| Some(0))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], -1, |_| Some(0))
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = quotient(self.sums[0], self.counts[0], self.scale)?;
        Ok(ScalarValue::Decimal256(value, wide::PRECISION, wide::SCALE))
    }

    fn size(&self) -> usize {
        size_of_val(self) + 24
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Decimal128(Some(self.sums[0]), PRECISION, self.scale),
            ScalarValue::Int64(Some(self.counts[0])),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.merge(states, |_| 0)
    }
}

impl GroupsAccumulator for ExactAverage {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.grow(total);
        match filter {
            None => self.add(&values[0], 1, |row| Some(groups[row])),
            Some(filter) => {
                let kept = |row: usize| !filter.is_null(row) && filter.value(row);
                self.add(&values[0], 1, |row| kept(row).then(|| groups[row]))
            }
        }
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts = emit_to.take_needed(&mut self.counts);
        let values = sums.into_iter().zip(counts).map(|(sum, count)| quotient(sum, count, self.scale));
        let values = values.collect::<Result<Vec<Option<i256>>>>()?;
        Ok(Arc::new(typed(Decimal256Array::from(values))))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts = emit_to.take_needed(&mut self.counts);
        Ok(vec![self.sums_as_array(sums)?, Arc::new(Int64Array::from(counts))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        self.merge(states, |row| groups[row])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut each = Self { scale: self.scale, sums: Vec::new(), counts: Vec::new() };
        let groups: Vec<usize> = (0..values[0].len()).collect();
        GroupsAccumulator::update_batch(&mut each, values, &groups, filter, groups.len())?;
        GroupsAccumulator::state(&mut each, EmitTo::All)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.counts.capacity() * size_of::<i64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_have_postgresqls_digits() {
        let text = |sum, count, scale| {
            quotient(sum, count, scale).expect("it fits").map(|raw| Decimal::from_wide(raw).to_string())
        };
        assert_eq!(text(3, 2, 0).as_deref(), Some("1.5000000000000000"));
        assert_eq!(text(2, 3, 0).as_deref(), Some("0.66666666666666666667"));
        assert_eq!(text(-2, 3, 0).as_deref(), Some("-0.66666666666666666667"));
        assert_eq!(text(1, 0, 0), None);
    }
}
