//! `avg` of integers and NUMERIC: exact sums, and a NUMERIC of at least 16 digits after the point, rounded half away from zero.
//!
//! Limits: the sum has at most 38 digits, with its scale; what goes beyond is `22003`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array};
use arrow::datatypes::{DataType as ArrowType, Decimal128Type, Field, FieldRef, Int64Type, i256};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use crate::Error;

/// Digits of a result.
const PRECISION: u8 = 38;
/// Digits after the point of a result, unless its argument has more.
const SCALE: i8 = 16;

/// The type of an average of a type; `None` where it is not one of these.
pub(super) fn result_type(ty: &ArrowType) -> Option<ArrowType> {
    Some(ArrowType::Decimal128(PRECISION, result_scale(scale_of(ty)?)))
}

fn scale_of(ty: &ArrowType) -> Option<i8> {
    match ty {
        ArrowType::Int64 => Some(0),
        ArrowType::Decimal128(_, scale) => Some(*scale),
        _ => None,
    }
}

fn result_scale(scale: i8) -> i8 {
    scale.max(SCALE).min(PRECISION as i8)
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

/// The average of these, in a result's scale.
fn quotient(sum: i128, count: i64, scale: i8) -> Result<Option<i128>> {
    if count == 0 {
        return Ok(None);
    }
    let shift = u32::try_from(result_scale(scale) - scale).unwrap_or_default();
    let scaled =
        i256::from_i128(sum).checked_mul(i256::from_i128(10).wrapping_pow(shift)).ok_or_else(overflow)?;
    let count = i256::from_i128(i128::from(count));
    let (mut whole, rest) = (scaled.wrapping_div(count), scaled.wrapping_rem(count));
    let twice = rest.wrapping_abs().wrapping_add(rest.wrapping_abs());
    if twice >= count {
        let one = i256::from_i128(if sum < 0 { -1 } else { 1 });
        whole = whole.wrapping_add(one);
    }
    let value = whole.to_i128().ok_or_else(overflow)?;
    if value.unsigned_abs() >= 10u128.pow(u32::from(PRECISION)) {
        return Err(overflow());
    }
    Ok(Some(value))
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
        Ok(ScalarValue::Decimal128(value, PRECISION, result_scale(self.scale)))
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
        let values = values.collect::<Result<Vec<Option<i128>>>>()?;
        let array =
            Decimal128Array::from(values).with_precision_and_scale(PRECISION, result_scale(self.scale))?;
        Ok(Arc::new(array))
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
    fn averages_are_rounded_half_away_from_zero() {
        let sixteen = 10i128.pow(16);
        assert_eq!(quotient(3, 2, 0).expect("it fits"), Some(3 * sixteen / 2));
        assert_eq!(quotient(2, 3, 0).expect("it fits"), Some(6_666_666_666_666_667));
        assert_eq!(quotient(-2, 3, 0).expect("it fits"), Some(-6_666_666_666_666_667));
        assert_eq!(quotient(1, 0, 0).expect("it fits"), None);
        assert!(quotient(10i128.pow(37), 1, 0).is_err());
    }
}
