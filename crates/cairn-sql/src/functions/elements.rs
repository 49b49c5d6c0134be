//! Values with other values for a part of them: what an assignment to elements and slices of an array, and to members of
//! JSONB, comes down to. Arrays begin at 1; what would move that is refused.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_types::datetime::Zone;
use cairn_types::{DataType, Value};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::json::tree::Json;
use super::overload::{Found, found, type_name};
use super::{row_values, rows, sql_type};
use crate::context::ScopeExtension;
use crate::dml::assign::is_assignable;
use crate::{Error, Result};

/// An array with another element: the column's name, the array, the element, its place in each dimension.
pub(crate) const WITH_ELEMENT: &str = "cairn_with_element";
/// An array with another slice: the column's name, the array, the slice, and each bound with whether it is given.
pub(crate) const WITH_SLICE: &str = "cairn_with_slice";
/// JSONB with another member: the column's name, the value, the member, and the keys that lead to it.
pub(crate) const WITH_MEMBER: &str = "cairn_with_member";

/// Most elements that an assignment leaves in an array.
const ELEMENTS_MAX: i64 = 134_217_727;

#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Part {
    Element,
    Slice,
    Member,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct With {
    name: &'static str,
    part: Part,
    signature: Signature,
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [(WITH_ELEMENT, Part::Element), (WITH_SLICE, Part::Slice), (WITH_MEMBER, Part::Member)]
        .map(|(name, part)| {
            ScalarUDF::from(With { name, part, signature: Signature::variadic_any(Volatility::Stable) })
        })
        .to_vec()
}

impl With {
    /// The type that the new value is brought to.
    fn wanted(&self, whole: &DataType, places: usize) -> DataType {
        let mut ty = whole;
        for _ in 0..if self.part == Part::Element { places } else { 0 } {
            if let DataType::Array(item) = ty {
                ty = item;
            }
        }
        ty.clone()
    }

    fn check(&self, fields: &[FieldRef], constants: &[bool]) -> Result<()> {
        let [_, whole, new, places @ ..] = fields else { return Err(Error::internal("too few arguments")) };
        let wanted = self.wanted(&sql_type(whole), places.len());
        let own = found(new, constants[2]);
        if let Some(own) = own
            && (self.part == Part::Member && own != wanted || !is_assignable(&own, &wanted))
        {
            let message = format!(
                "subscripted assignment to \"{}\" requires type {} but expression is of type {}",
                fields[0].name(),
                type_name(&wanted),
                type_name(&own)
            );
            return Err(
                Error::new("42804", message).with_hint("You will need to rewrite or cast the expression.")
            );
        }
        if self.part == Part::Member {
            let unfit = |field: &&FieldRef| {
                let ty = sql_type(field);
                !field.data_type().is_null()
                    && !ty.is_character()
                    && !matches!(ty, DataType::SmallInt | DataType::Integer | DataType::BigInt)
            };
            if let Some(field) = places.iter().find(unfit) {
                let message = format!("subscript type {} is not supported", type_name(&sql_type(field)));
                return Err(Error::new("42804", message)
                    .with_hint("jsonb subscript must be coercible to either integer or text."));
            }
        }
        Ok(())
    }
}

/// The place of an element, from 0.
fn place(value: &Value) -> Result<i64> {
    if value.is_null() {
        return Err(Error::new("22004", "array subscript in assignment must not be null"));
    }
    let place =
        value.as_i64().ok_or_else(|| Error::new("42804", "array subscript must have type integer"))?;
    if place < 1 {
        return Err(Error::unsupported("an array that does not begin at 1"));
    }
    if place > ELEMENTS_MAX {
        return Err(Error::new("54000", format!("array size exceeds the maximum allowed ({ELEMENTS_MAX})")));
    }
    Ok(place - 1)
}

fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn with_element(whole: Value, new: Value, places: &[Value]) -> Result<Value> {
    let [first, rest @ ..] = places else { return Ok(new) };
    let mut items = items(whole);
    let at = place(first)?;
    if items.is_empty() && at > 0 {
        return Err(Error::unsupported("an array that does not begin at 1"));
    }
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    if !rest.is_empty() && !items.is_empty() && at >= items.len() {
        return Err(Error::new("2202E", "array subscript out of range"));
    }
    if at >= items.len() {
        items.resize(at + 1, Value::Null);
    }
    let inner = std::mem::take(&mut items[at]);
    if let ([next, ..], Value::Array(own)) = (rest, &inner)
        && place(next)? >= own.len() as i64
    {
        return Err(Error::new("2202E", "array subscript out of range"));
    }
    items[at] = with_element(inner, new, rest)?;
    Ok(Value::Array(items))
}

fn with_slice(whole: Value, new: Value, bounds: &[Value]) -> Result<Value> {
    let [from, from_given, to, to_given] = bounds else {
        return Err(Error::internal("four bounds expected"));
    };
    if new.is_null() {
        return Ok(whole);
    }
    let (mut items, new) = (items(whole), items(new));
    let given = |given: &Value| *given == Value::Boolean(true);
    if items.is_empty() && !(given(from_given) && given(to_given)) {
        return Err(Error::new("2202E", "array slice subscript must provide both boundaries").with_detail(
            "When assigning to a slice of an empty array value, slice boundaries must be fully specified.",
        ));
    }
    let from = if given(from_given) { place(from)? } else { 0 };
    let to = match given(to_given) {
        true if to.as_i64().is_some_and(|to| to < 1) => to.as_i64().unwrap_or_default() - 1,
        true => place(to)?,
        false => items.len() as i64 - 1,
    };
    if to < from {
        return Err(Error::new("2202E", "upper bound cannot be less than lower bound"));
    }
    if items.is_empty() && from > 0 {
        return Err(Error::unsupported("an array that does not begin at 1"));
    }
    let count = usize::try_from(to - from + 1).unwrap_or(usize::MAX);
    if new.len() < count {
        return Err(Error::new("2202E", "source array too small"));
    }
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    if items.len() < from + count {
        items.resize(from + count, Value::Null);
    }
    for (at, value) in new.into_iter().take(count).enumerate() {
        items[from + at] = value;
    }
    Ok(Value::Array(items))
}

fn with_member(whole: &Value, new: &Value, keys: &[Value]) -> Result<Value> {
    let new = match new {
        Value::Null => Json::Null,
        new => Json::parse(new.as_str().unwrap_or_default())?,
    };
    let mut texts = Vec::with_capacity(keys.len());
    for key in keys {
        texts.push(match key {
            Value::Null => {
                return Err(Error::new("22004", "jsonb subscript in assignment must not be null"));
            }
            Value::Text(text) => text.clone(),
            number => number.as_i64().unwrap_or_default().to_string(),
        });
    }
    let mut json = match whole {
        Value::Null if keys.first().is_some_and(|key| key.as_i64().is_some()) => Json::Array(Vec::new()),
        Value::Null => Json::Object(Vec::new()),
        whole => Json::parse(whole.as_str().unwrap_or_default())?,
    };
    let steps: Vec<&str> = texts.iter().map(String::as_str).collect();
    put(&mut json, &steps, new, 1)?;
    Ok(Value::Jsonb(json.to_jsonb()?))
}

fn put(json: &mut Json, steps: &[&str], new: Json, number: usize) -> Result<()> {
    let [step, rest @ ..] = steps else {
        *json = new;
        return Ok(());
    };
    // What is not there yet is an array where a number leads into it.
    let empty = || match rest.first() {
        Some(next) if next.parse::<i32>().is_ok() => Json::Array(Vec::new()),
        _ => Json::Object(Vec::new()),
    };
    match json {
        Json::Object(members) => {
            let at = match members.iter().position(|(key, _)| key == step) {
                Some(at) => at,
                None => {
                    members.push(((*step).to_owned(), empty()));
                    members.len() - 1
                }
            };
            put(&mut members[at].1, rest, new, number + 1)
        }
        Json::Array(all) => {
            let index: i32 = step.trim().parse().map_err(|_| {
                let message = format!("path element at position {number} is not an integer: \"{step}\"");
                Error::new("22P02", message)
            })?;
            let length = all.len() as i64;
            let at = if index < 0 { i64::from(index) + length } else { i64::from(index) };
            let at = usize::try_from(at).map_err(|_| {
                Error::new("22023", format!("path element at position {number} is out of range: {index}"))
            })?;
            if at as i64 >= ELEMENTS_MAX {
                return Err(Error::new(
                    "54000",
                    "number of jsonb array elements exceeds the maximum allowed",
                ));
            }
            if at >= all.len() {
                all.resize(at, Json::Null);
                all.push(empty());
            }
            put(&mut all[at], rest, new, number + 1)
        }
        _ => Err(Error::new("22023", "cannot replace existing key")
            .with_detail("The path assumes key is a composite object, but it is a scalar value.")),
    }
}

impl ScalarUDFImpl for With {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        Err(Error::internal("the type of the result follows from the arguments").into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> datafusion::error::Result<FieldRef> {
        let constants: Vec<bool> = args.scalar_arguments.iter().map(Option::is_some).collect();
        let mut fields = args.arg_fields.to_vec();
        if let Some(Some(datafusion::common::ScalarValue::Utf8(Some(name)))) = args.scalar_arguments.first() {
            fields[0] = Arc::new(fields[0].as_ref().clone().with_name(name));
        }
        self.check(&fields, &constants)?;
        Ok(Arc::new(sql_type(&args.arg_fields[1]).to_field(self.name, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let zone = ScopeExtension::of(&args.config_options).map_or(Zone::UTC, |scope| scope.zone());
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| sql_type(field)).collect();
        let constant = matches!(args.args[2], ColumnarValue::Scalar(_));
        let own: Found = found(&args.arg_fields[2], constant);
        let whole = types[1].clone();
        let wanted = self.wanted(&whole, types.len() - 3);
        rows(&args, &whole, |args, row| {
            let mut values = row_values(args, &types, row)?;
            let places = values.split_off(3);
            let new = values.pop().unwrap_or_default();
            let old = values.pop().unwrap_or_default();
            let new = crate::dml::assign::assign_value(new, &wanted, "", own.is_none(), zone)?;
            match self.part {
                Part::Element => with_element(old, new, &places),
                Part::Slice => with_slice(old, new, &places),
                Part::Member => with_member(&old, &new, &places),
            }
        })
    }
}
