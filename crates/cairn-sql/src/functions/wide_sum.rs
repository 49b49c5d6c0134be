//! `sum` and `avg` of NUMERIC without parameters: sums of the values as they stand in Arrow, with the most digits that any of
//! them shows.
//!
//! I1. A special value (NaN, an infinity) is counted, not added.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal256Array, Int8Array, Int64Array};
use arrow::datatypes::{DataType as ArrowType, Decimal256Type, Field, FieldRef, Int8Type, Int64Type, i256};
use cairn_types::Decimal;
use cairn_types::decimal::wide::{self, ARROW, PRECISION, SCALE};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::wide::typed;
use crate::Error;

const NAN: i8 = 1;
const ABOVE: i8 = 2;
const BELOW: i8 = 4;

fn overflow() -> DataFusionError {
    Error::new("22003", "value overflows numeric format").into()
}

/// The states: the sum, the digits that it shows, how many there were, and which special values were among them.
pub(super) fn state_fields(name: &str) -> Vec<FieldRef> {
    let field = |part: &str, ty| Arc::new(Field::new(format!("{name}[{part}]"), ty, true));
    vec![
        field("sum", ARROW),
        field("shown", ArrowType::Int8),
        field("count", ArrowType::Int64),
        field("special", ArrowType::Int8),
    ]
}

fn special_of(raw: i256) -> i8 {
    match Decimal::from_wide(raw) {
        number if number.is_nan() => NAN,
        number if number.sign() < 0 => BELOW,
        _ => ABOVE,
    }
}

/// The number that special values add up to; `None` where there are none.
fn special_sum(special: i8) -> Option<Decimal> {
    match special {
        0 => None,
        ABOVE => Some(Decimal::INFINITY),
        BELOW => Some(Decimal::NEG_INFINITY),
        _ => Some(Decimal::NAN),
    }
}

/// What is asked of the values of a group.
fn result(average: bool, sum: i256, shown: i8, count: i64, special: i8) -> Result<Option<i256>> {
    if count == 0 {
        return Ok(None);
    }
    let number = match special_sum(special) {
        Some(number) => number,
        None if !average => return wide::join(sum, shown).map(Some).ok_or_else(overflow),
        None => {
            let exact = Decimal { unscaled: sum, scale: SCALE }.normalised();
            let sum = match exact.scale < shown {
                true => exact.rescale(shown).ok_or_else(overflow)?,
                false => exact,
            };
            sum.over(Decimal::from(count)).map_err(Error::from)?
        }
    };
    Ok(Some(number.to_wide().map_err(Error::from)?))
}

/// Sums, one for each group; of all rows it is the one group.
#[derive(Debug)]
pub(super) struct WideTotals {
    average: bool,
    sums: Vec<i256>,
    shown: Vec<i8>,
    counts: Vec<i64>,
    special: Vec<i8>,
}

impl WideTotals {
    pub(super) fn new(average: bool) -> Self {
        Self { average, sums: Vec::new(), shown: Vec::new(), counts: Vec::new(), special: Vec::new() }
    }

    /// Of all rows.
    pub(super) fn single(average: bool) -> Self {
        let mut all = Self::new(average);
        all.grow(1);
        all
    }

    fn grow(&mut self, total: usize) {
        let total = total.max(self.sums.len());
        self.sums.resize(total, i256::ZERO);
        self.shown.resize(total, 0);
        self.counts.resize(total, 0);
        self.special.resize(total, 0);
    }

    #[inline]
    fn one(&mut self, group: usize, raw: i256) -> Result<()> {
        self.counts[group] += 1;
        if !wide::is_finite(raw) {
            self.special[group] |= special_of(raw);
            return Ok(());
        }
        let (key, shown) = wide::parts(raw);
        self.sums[group] = self.sums[group].checked_add(key).ok_or_else(overflow)?;
        self.shown[group] = self.shown[group].max(shown);
        Ok(())
    }

    fn add(&mut self, values: &ArrayRef, mut keep: impl FnMut(usize) -> Option<usize>) -> Result<()> {
        let values = values.as_primitive::<Decimal256Type>();
        for row in 0..values.len() {
            if values.is_valid(row)
                && let Some(group) = keep(row)
            {
                self.one(group, values.value(row))?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], group: impl Fn(usize) -> usize) -> Result<()> {
        let sums = states[0].as_primitive::<Decimal256Type>();
        let shown = states[1].as_primitive::<Int8Type>();
        let counts = states[2].as_primitive::<Int64Type>();
        let special = states[3].as_primitive::<Int8Type>();
        for row in 0..counts.len() {
            if sums.is_null(row) || counts.is_null(row) {
                continue;
            }
            let at = group(row);
            self.sums[at] = self.sums[at].checked_add(sums.value(row)).ok_or_else(overflow)?;
            self.shown[at] = self.shown[at].max(shown.value(row));
            self.counts[at] += counts.value(row);
            self.special[at] |= special.value(row);
        }
        Ok(())
    }
}

fn scalar(value: Option<i256>) -> ScalarValue {
    ScalarValue::Decimal256(value, PRECISION, SCALE)
}

impl Accumulator for WideTotals {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], |_| Some(0))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = result(self.average, self.sums[0], self.shown[0], self.counts[0], self.special[0])?;
        Ok(scalar(value))
    }

    fn size(&self) -> usize {
        size_of_val(self) + 64
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            scalar(Some(self.sums[0])),
            ScalarValue::Int8(Some(self.shown[0])),
            ScalarValue::Int64(Some(self.counts[0])),
            ScalarValue::Int8(Some(self.special[0])),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.merge(states, |_| 0)
    }
}

impl GroupsAccumulator for WideTotals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.grow(total);
        match filter {
            None => self.add(&values[0], |row| Some(groups[row])),
            Some(filter) => {
                let kept = |row: usize| filter.is_valid(row) && filter.value(row);
                self.add(&values[0], |row| kept(row).then(|| groups[row]))
            }
        }
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let shown = emit_to.take_needed(&mut self.shown);
        let counts = emit_to.take_needed(&mut self.counts);
        let special = emit_to.take_needed(&mut self.special);
        let values = (0..sums.len())
            .map(|at| result(self.average, sums[at], shown[at], counts[at], special[at]))
            .collect::<Result<Vec<Option<i256>>>>()?;
        Ok(Arc::new(typed(Decimal256Array::from(values))))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let shown = emit_to.take_needed(&mut self.shown);
        let counts = emit_to.take_needed(&mut self.counts);
        let special = emit_to.take_needed(&mut self.special);
        Ok(vec![
            Arc::new(typed(Decimal256Array::from(sums))),
            Arc::new(Int8Array::from(shown)),
            Arc::new(Int64Array::from(counts)),
            Arc::new(Int8Array::from(special)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total);
        self.merge(states, |row| groups[row])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut each = Self::new(self.average);
        let groups: Vec<usize> = (0..values[0].len()).collect();
        GroupsAccumulator::update_batch(&mut each, values, &groups, filter, groups.len())?;
        GroupsAccumulator::state(&mut each, EmitTo::All)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i256>() + self.counts.capacity() * (size_of::<i64>() + 2)
    }
}

/// The same for a window that moves: values are taken off again, and the digits that they showed.
#[derive(Debug)]
pub(super) struct WideWindow {
    average: bool,
    sum: i256,
    count: i64,
    shown: BTreeMap<i8, i64>,
    special: BTreeMap<i8, i64>,
}

impl WideWindow {
    pub(super) fn new(average: bool) -> Self {
        Self { average, sum: i256::ZERO, count: 0, shown: BTreeMap::new(), special: BTreeMap::new() }
    }

    fn change(&mut self, values: &ArrayRef, sign: i64) -> Result<()> {
        let count = |counts: &mut BTreeMap<i8, i64>, key: i8| {
            let left = counts.entry(key).or_default();
            *left += sign;
            if *left == 0 {
                counts.remove(&key);
            }
        };
        for raw in values.as_primitive::<Decimal256Type>().iter().flatten() {
            self.count += sign;
            if !wide::is_finite(raw) {
                count(&mut self.special, special_of(raw));
                continue;
            }
            let (key, shown) = wide::parts(raw);
            let key = if sign < 0 { key.wrapping_neg() } else { key };
            self.sum = self.sum.checked_add(key).ok_or_else(overflow)?;
            count(&mut self.shown, shown);
        }
        Ok(())
    }
}

impl Accumulator for WideWindow {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.change(&values[0], 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.change(&values[0], -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let shown = self.shown.keys().next_back().copied().unwrap_or_default();
        let special = self.special.keys().fold(0, |all, one| all | one);
        Ok(scalar(result(self.average, self.sum, shown, self.count, special)?))
    }

    fn size(&self) -> usize {
        size_of_val(self) + 64 * self.shown.len()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(DataFusionError::Internal("a window's sum has no state".to_owned()))
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        Err(DataFusionError::Internal("a window's sum has no state".to_owned()))
    }
}

/// Of different values alone.
#[derive(Debug)]
pub(super) struct WideDistinct {
    totals: WideTotals,
    seen: HashSet<i256>,
}

impl WideDistinct {
    pub(super) fn new(average: bool) -> Self {
        Self { totals: WideTotals::single(average), seen: HashSet::new() }
    }

    /// The states: the values, each one once.
    pub(super) fn state_fields(name: &str) -> Vec<FieldRef> {
        let item = Arc::new(Field::new_list_field(ARROW, true));
        vec![Arc::new(Field::new(format!("{name}[values]"), ArrowType::List(item), true))]
    }
}

impl Accumulator for WideDistinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for raw in values[0].as_primitive::<Decimal256Type>().iter().flatten() {
            if self.seen.insert(wide::key(raw)) {
                self.totals.one(0, raw)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Accumulator::evaluate(&mut self.totals)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.seen.capacity() * size_of::<i256>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        // One value carries the digits that are shown, which are the most of all.
        let shown = self.totals.shown[0];
        let values = self.seen.iter().map(|key| scalar(Some(wide::join(*key, shown).unwrap_or(*key))));
        let values: Vec<ScalarValue> = values.collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&values, &ARROW))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let lists = states[0].as_list::<i32>();
        for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
            self.update_batch(&[lists.value(row)])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_forget_digits_and_special_values() {
        let values = |texts: &[&str]| -> ArrayRef {
            let raw = texts.iter().map(|text| Decimal::parse(text).and_then(Decimal::to_wide).ok());
            Arc::new(typed(Decimal256Array::from_iter(raw)))
        };
        let shown = |window: &mut WideWindow| match window.evaluate() {
            Ok(ScalarValue::Decimal256(Some(raw), ..)) => Decimal::from_wide(raw).to_string(),
            other => format!("{other:?}"),
        };
        let mut window = WideWindow::new(false);
        window.update_batch(&[values(&["1.5", "2.25", "NaN"])]).expect("it fits");
        assert_eq!(shown(&mut window), "NaN");
        window.retract_batch(&[values(&["NaN", "2.25"])]).expect("it fits");
        assert_eq!(shown(&mut window), "1.5");
    }
}
