//! Aggregates that look at all of their values at the end: JSON's, ordered-set and hypothetical-set aggregates, `first`
//! and `last`.
//!
//! [`Collected`] keeps the arguments, and behind them what ORDER BY asks for, as columns; its state for a merge are the
//! same columns as lists. It sorts at the end, so that it does not matter in how many parts the rows came.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortColumn, SortOptions, concat, lexsort_to_indices, take};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use cairn_types::codes::Range;
use cairn_types::{Coded, DataType as T, Interval, RangeKind, Value};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, TypeSignature, Volatility,
};

use super::json::tree::write_string;
use super::{missing, sql_type};
use crate::{Error, Result};

/// What is made of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Array { jsonb: bool, strict: bool },
    Join,
    Object { jsonb: bool, strict: bool, unique: bool },
    Mode,
    Discrete,
    Continuous,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    First,
    Last,
    Least,
    Greatest,
    Intersection,
    Some,
}

/// An aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Collect {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

/// All of them.
pub(super) fn functions() -> Vec<AggregateUDF> {
    let object = |jsonb, strict, unique| Kind::Object { jsonb, strict, unique };
    [
        ("json_agg", Kind::Array { jsonb: false, strict: false }),
        ("jsonb_agg", Kind::Array { jsonb: true, strict: false }),
        ("json_agg_strict", Kind::Array { jsonb: false, strict: true }),
        ("cairn_string_agg", Kind::Join),
        ("json_object_agg", object(false, false, false)),
        ("jsonb_object_agg", object(true, false, false)),
        ("json_object_agg_strict", object(false, true, false)),
        ("jsonb_object_agg_strict", object(true, true, false)),
        ("json_object_agg_unique", object(false, false, true)),
        ("jsonb_object_agg_unique", object(true, false, true)),
        ("json_object_agg_unique_strict", object(false, true, true)),
        ("jsonb_object_agg_unique_strict", object(true, true, true)),
        ("mode", Kind::Mode),
        ("percentile_disc", Kind::Discrete),
        ("percentile_cont", Kind::Continuous),
        ("cairn_rank", Kind::Rank),
        ("cairn_dense_rank", Kind::DenseRank),
        ("cairn_percent_rank", Kind::PercentRank),
        ("cairn_cume_dist", Kind::CumeDist),
        ("first", Kind::First),
        ("last", Kind::Last),
        ("cairn_min", Kind::Least),
        ("cairn_max", Kind::Greatest),
        ("cairn_some", Kind::Some),
        ("range_intersect_agg", Kind::Intersection),
    ]
    .into_iter()
    .map(|(name, kind)| {
        let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        let signature = Signature::one_of(any, Volatility::Immutable);
        AggregateUDF::from(Collect { name, kind, signature })
    })
    .collect()
}

impl Collect {
    fn result(&self, fields: &[FieldRef]) -> Result<T> {
        let types: Vec<T> = fields.iter().map(|field| sql_type(field)).collect();
        let names =
            || missing::error(self.name, &types.iter().map(super::overload::type_name).collect::<Vec<_>>());
        let arrays = |ty: T| match types.get(1) {
            Some(T::Array(_)) => T::Array(Box::new(ty)),
            _ => ty,
        };
        let expected = match self.kind {
            Kind::Array { .. }
            | Kind::Mode
            | Kind::Least
            | Kind::Greatest
            | Kind::Intersection
            | Kind::Some => 1,
            _ => 2,
        };
        if fields.len() != expected {
            return Err(names());
        }
        Ok(match self.kind {
            Kind::Intersection => match &types[0] {
                own @ T::Coded(Coded::Range(_)) => own.clone(),
                _ => return Err(names()),
            },
            Kind::Join => match (&types[0], &types[1]) {
                (T::Bytea, _) => T::Bytea,
                (own, _) if own.is_character() => T::Text,
                _ => return Err(names()),
            },
            Kind::Array { jsonb, .. } | Kind::Object { jsonb, .. } => {
                if jsonb {
                    T::Jsonb
                } else {
                    T::Json
                }
            }
            Kind::Mode | Kind::First | Kind::Last | Kind::Least | Kind::Greatest | Kind::Some => {
                types[0].clone()
            }
            Kind::Discrete => arrays(types[0].clone()),
            Kind::Continuous => match &types[0] {
                T::Interval(_) => arrays(T::Interval(None)),
                ty if ty.is_numeric() => arrays(T::Double),
                _ => return Err(names()),
            },
            Kind::Rank | Kind::DenseRank => T::BigInt,
            Kind::PercentRank | Kind::CumeDist => T::Double,
        })
    }
}

impl AggregateUDFImpl for Collect {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        let fields: Vec<FieldRef> =
            types.iter().map(|ty| Arc::new(Field::new("value", ty.clone(), true))).collect();
        Ok(self.result(&fields)?.to_arrow())
    }

    fn return_field(&self, fields: &[FieldRef]) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(self.result(fields)?.to_field(self.name, true)))
    }

    fn supports_within_group_clause(&self) -> bool {
        matches!(
            self.kind,
            Kind::Mode
                | Kind::Discrete
                | Kind::Continuous
                | Kind::Rank
                | Kind::DenseRank
                | Kind::PercentRank
                | Kind::CumeDist
        )
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::SoftRequirement
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        _beneficial: bool,
    ) -> DataFusionResult<Option<Arc<dyn AggregateUDFImpl>>> {
        // It sorts in any case.
        Ok(Some(self))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let all = args.input_fields.iter().chain(args.ordering_fields).enumerate();
        Ok(all
            .map(|(at, field)| {
                let name = format!("{}[{at}]", args.name);
                let item = Field::new_list_field(field.data_type().clone(), true);
                Arc::new(Field::new(name, ArrowType::List(Arc::new(item)), true))
            })
            .collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        let mut types: Vec<ArrowType> =
            args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        for order in args.order_bys {
            types.push(order.expr.data_type(args.schema)?);
        }
        Ok(Box::new(Collected {
            kind: self.kind,
            fields: args.expr_fields.to_vec(),
            orders: args.order_bys.iter().map(|order| order.options).collect(),
            distinct: args.is_distinct,
            result: sql_type(&args.return_field),
            columns: types.iter().map(|_| Vec::new()).collect(),
            types,
        }))
    }
}

/// The values so far.
#[derive(Debug)]
struct Collected {
    kind: Kind,
    fields: Vec<FieldRef>,
    orders: Vec<SortOptions>,
    distinct: bool,
    result: T,
    types: Vec<ArrowType>,
    /// The pieces of each column.
    columns: Vec<Vec<ArrayRef>>,
}

impl Collected {
    /// Each column in one piece.
    fn whole(&self) -> DataFusionResult<Vec<ArrayRef>> {
        let one = |(pieces, ty): (&Vec<ArrayRef>, &ArrowType)| {
            let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| &**piece).collect();
            Ok(if pieces.is_empty() { new_empty_array(ty) } else { concat(&pieces)? })
        };
        self.columns.iter().zip(&self.types).map(one).collect()
    }

    /// The arguments of each row, in the order that was asked for.
    fn rows(&self) -> DataFusionResult<Vec<Vec<Value>>> {
        let mut columns = self.whole()?;
        let orders = columns.split_off(self.fields.len().min(columns.len()));
        if !orders.is_empty() && orders[0].len() > 1 {
            let keys: Vec<SortColumn> = orders
                .iter()
                .zip(&self.orders)
                .map(|(values, options)| SortColumn { values: Arc::clone(values), options: Some(*options) })
                .collect();
            let indices = lexsort_to_indices(&keys, None)?;
            columns = columns
                .iter()
                .map(|column| take(column, &indices, None))
                .collect::<std::result::Result<_, _>>()?;
        }
        let types: Vec<T> = self.fields.iter().map(|field| sql_type(field)).collect();
        let count = columns.first().map_or(0, |column| column.len());
        let row = |row: usize| {
            columns.iter().zip(&types).map(|(column, ty)| Value::from_array(&**column, row, ty)).collect()
        };
        let mut rows: Vec<Vec<Value>> = (0..count).map(row).collect();
        if self.distinct {
            let mut seen: std::collections::BTreeSet<Vec<Value>> = std::collections::BTreeSet::new();
            rows.retain(|row| seen.insert(row.clone()));
        }
        Ok(rows)
    }

    fn finish(&self) -> Result<Value> {
        let rows = self.rows().map_err(Error::from)?;
        match self.kind {
            Kind::Array { jsonb, strict } => array(&rows, jsonb, strict),
            Kind::Join => Ok(joined(&rows, &self.result)),
            Kind::Object { jsonb, strict, unique } => object(&rows, jsonb, strict, unique),
            Kind::Mode => Ok(mode(&sorted(rows))),
            Kind::Intersection => intersection(rows),
            Kind::Some => {
                Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or_default())
            }
            Kind::Least => Ok(sorted(rows).into_iter().next().unwrap_or_default()),
            Kind::Greatest => Ok(sorted(rows).pop().unwrap_or_default()),
            Kind::Discrete => self.percentiles(&rows, |values, share| {
                let at = (share * values.len() as f64).ceil() as usize;
                Ok(values[at.max(1) - 1].clone())
            }),
            Kind::Continuous => self.percentiles(&rows, between),
            Kind::Rank | Kind::DenseRank | Kind::PercentRank | Kind::CumeDist => Ok(self.hypothetical(rows)),
            Kind::First | Kind::Last => {
                let known = rows.into_iter().filter(|row| !row[1].is_null());
                let found = match self.kind {
                    Kind::First => known.min_by(|a, b| a[1].cmp(&b[1])),
                    // Of equal moments the first.
                    _ => known.reduce(|a, b| if b[1] > a[1] { b } else { a }),
                };
                Ok(found.map_or(Value::Null, |mut row| row.swap_remove(0)))
            }
        }
    }

    fn descending(&self) -> bool {
        self.orders.first().is_some_and(|options| options.descending)
    }

    /// One value, or one for each element, of the fractions that the second argument gives.
    fn percentiles(&self, rows: &[Vec<Value>], code: fn(&[Value], f64) -> Result<Value>) -> Result<Value> {
        let Some(fractions) = rows.first().map(|row| row[1].clone()) else { return Ok(Value::Null) };
        let mut values: Vec<Value> = rows.iter().map(|row| row[0].clone()).filter(|v| !v.is_null()).collect();
        values.sort_by(|a, b| if self.descending() { b.cmp(a) } else { a.cmp(b) });
        let one = |fraction: &Value| -> Result<Value> {
            let share = match fraction {
                Value::Null => return Ok(Value::Null),
                other => number(other),
            };
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::new("22003", format!("percentile value {share} is not between 0 and 1")));
            }
            if values.is_empty() { Ok(Value::Null) } else { code(&values, share) }
        };
        match &fractions {
            Value::Array(_) if values.is_empty() => Ok(Value::Null),
            Value::Array(fractions) => Ok(Value::Array(fractions.iter().map(one).collect::<Result<_>>()?)),
            fraction => one(fraction),
        }
    }

    /// Where the second argument would stand among the first ones.
    fn hypothetical(&self, rows: Vec<Vec<Value>>) -> Value {
        let count = rows.len() as f64;
        let nulls_first = self.orders.first().is_some_and(|options| options.nulls_first);
        let before = |a: &Value, b: &Value| match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => {
                if nulls_first {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (false, true) => {
                if nulls_first {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            _ => {
                let order = compare(a, b);
                if self.descending() { order.reverse() } else { order }
            }
        };
        let less: Vec<&Value> =
            rows.iter().filter(|row| before(&row[0], &row[1]).is_lt()).map(|row| &row[0]).collect();
        let equal = rows.iter().filter(|row| before(&row[0], &row[1]).is_eq()).count();
        let rank = less.len() as i64 + 1;
        match self.kind {
            Kind::Rank => Value::BigInt(rank),
            Kind::DenseRank => {
                let mut different = less;
                different.sort();
                different.dedup();
                Value::BigInt(different.len() as i64 + 1)
            }
            Kind::PercentRank => Value::Double(if count == 0.0 { 0.0 } else { (rank - 1) as f64 / count }),
            _ => Value::Double((rank as f64 + equal as f64) / (count + 1.0)),
        }
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Numeric(n) => n.to_f64(),
        other => other.as_f64().or_else(|| other.as_i64().map(|n| n as f64)).unwrap_or(f64::NAN),
    }
}

/// The order of values that may be numbers of different types.
fn compare(a: &Value, b: &Value) -> Ordering {
    let numeric = |value: &Value| {
        matches!(value, Value::Numeric(_)) || value.as_f64().is_some() || value.as_i64().is_some()
    };
    match (a.data_type(), b.data_type()) {
        (x, y) if x != y && numeric(a) && numeric(b) => number(a).total_cmp(&number(b)),
        _ => a.cmp(b),
    }
}

fn sorted(rows: Vec<Vec<Value>>) -> Vec<Value> {
    let mut values: Vec<Value> =
        rows.into_iter().map(|mut row| row.swap_remove(0)).filter(|v| !v.is_null()).collect();
    values.sort();
    values
}

/// The most frequent value; of equally frequent ones the least.
fn mode(values: &[Value]) -> Value {
    let mut best: Option<(&Value, usize)> = None;
    for group in values.chunk_by(|a, b| a == b) {
        if best.is_none_or(|(_, count)| group.len() > count) {
            best = Some((&group[0], group.len()));
        }
    }
    best.map_or(Value::Null, |(value, _)| value.clone())
}

/// The value at a share of the way, between two neighbours if need be.
fn between(values: &[Value], share: f64) -> Result<Value> {
    let place = share * (values.len() - 1) as f64;
    let (low, part) = (&values[place.floor() as usize], place - place.floor());
    let high = &values[place.ceil() as usize];
    Ok(match (low, high) {
        (Value::Interval(low), Value::Interval(high)) => {
            let span = high.comparison_nanos() - low.comparison_nanos();
            let step = (span as f64 * part).round() as i128;
            let mut nanos = low.comparison_nanos() + step;
            if part == 0.0 {
                return Ok(Value::Interval(*low));
            }
            let day = i128::from(cairn_types::interval::NANOS_PER_DAY);
            let days = nanos / day;
            nanos %= day;
            Value::Interval(Interval { months: 0, days: days as i32, nanos: nanos as i64 })
        }
        (low, high) => {
            let (low, high) = (number(low), number(high));
            Value::Double(if part == 0.0 { low } else { low + part * (high - low) })
        }
    })
}

fn finished(out: String, jsonb: bool) -> Result<Value> {
    Ok(match jsonb {
        true => Value::Jsonb(cairn_types::json::normalise(&out)?),
        false => Value::Json(out),
    })
}

/// What all ranges hold.
fn intersection(rows: Vec<Vec<Value>>) -> Result<Value> {
    let mut all: Option<(RangeKind, Range)> = None;
    for value in rows.into_iter().filter_map(|row| row.into_iter().next()) {
        let Value::Coded { ty: Coded::Range(kind), code } = value else { continue };
        let own = Range::from_code(&code, kind)
            .ok_or_else(|| Error::new("XX001", "the code of a range is damaged"))?;
        all = Some((kind, all.map_or(own.clone(), |(_, all)| all.intersection(&own))));
    }
    Ok(match all {
        Some((kind, range)) => Value::Coded { ty: Coded::Range(kind), code: range.to_code(kind)? },
        None => Value::Null,
    })
}

/// `string_agg`: the values that are not NULL, each but the first behind its own delimiter.
fn joined(rows: &[Vec<Value>], result: &T) -> Value {
    let bytes = |value: &Value| match value {
        Value::Bytea(bytes) => bytes.clone(),
        other => other.as_str().unwrap_or_default().as_bytes().to_vec(),
    };
    let mut out: Option<Vec<u8>> = None;
    for row in rows.iter().filter(|row| !row[0].is_null()) {
        match &mut out {
            None => out = Some(bytes(&row[0])),
            Some(out) => {
                out.extend(bytes(&row[1]));
                out.extend(bytes(&row[0]));
            }
        }
    }
    match (out, result) {
        (None, _) => Value::Null,
        (Some(out), T::Bytea) => Value::Bytea(out),
        (Some(out), _) => Value::Text(String::from_utf8_lossy(&out).into_owned()),
    }
}

/// An array of JSON values; what is structured begins on a line of its own, which `cairn_to_json` has seen to.
fn array(rows: &[Vec<Value>], jsonb: bool, strict: bool) -> Result<Value> {
    if rows.is_empty() {
        return Ok(Value::Null);
    }
    let mut out = String::from("[");
    for (at, row) in rows.iter().filter(|row| !strict || !row[0].is_null()).enumerate() {
        let text = row[0].as_str().unwrap_or("null");
        if at > 0 {
            out.push_str(", ");
            out.push_str(text);
        } else {
            out.push_str(text.trim_start());
        }
    }
    out.push(']');
    finished(out, jsonb)
}

fn object(rows: &[Vec<Value>], jsonb: bool, strict: bool, unique: bool) -> Result<Value> {
    if rows.is_empty() {
        return Ok(Value::Null);
    }
    let mut out = String::from("{ ");
    let mut seen = std::collections::HashSet::new();
    let mut first = true;
    for row in rows {
        let Some(key) = row[0].as_str() else {
            return Err(Error::new("22023", "field name must not be null"));
        };
        if strict && row[1].is_null() {
            continue;
        }
        if unique && !seen.insert(key.to_owned()) {
            return Err(Error::new("22030", format!("duplicate JSON object key value: \"{key}\"")));
        }
        out.push_str(if first { "" } else { ", " });
        first = false;
        write_string(key, &mut out);
        out.push_str(" : ");
        out.push_str(row[1].as_str().unwrap_or("null").trim_start());
    }
    out.push_str(" }");
    finished(out, jsonb)
}

impl Accumulator for Collected {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        let first = self.kind == Kind::Some;
        for (column, values) in self.columns.iter_mut().zip(values) {
            match first {
                // Nothing but the first is kept.
                true if !column.is_empty() || values.is_empty() => {}
                true => column.push(take(values, &arrow::array::UInt32Array::from(vec![0]), None)?),
                false => column.push(Arc::clone(values)),
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        let value = self.finish()?;
        let array = Value::to_array(&[value], &self.result).map_err(Error::from)?;
        ScalarValue::try_from_array(&array, 0)
    }

    fn size(&self) -> usize {
        let arrays = self.columns.iter().flatten().map(|array| array.get_array_memory_size());
        size_of_val(self) + arrays.sum::<usize>()
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        let lists = self.whole()?.into_iter().map(|column| {
            let item = Arc::new(Field::new_list_field(column.data_type().clone(), true));
            let offsets = OffsetBuffer::from_lengths([column.len()]);
            ScalarValue::List(Arc::new(ListArray::new(item, offsets, column, None)))
        });
        Ok(lists.collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        for (column, lists) in self.columns.iter_mut().zip(states) {
            let lists = lists.as_list::<i32>();
            for row in 0..lists.len() {
                column.push(lists.value(row));
            }
        }
        Ok(())
    }
}
