//! Functions of composite values: `ROW(…)`, fields taken out and put in, IS NULL.
//!
//! `parse::composites` writes the calls; the names of fields and the types of rows are constants in them.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_types::codes::composite::{decode, encode};
use cairn_types::{Coded, CompositeType, DataType, Value};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::overload::type_name;
use super::{cast, row_values, rows, sql_type};
use crate::context::ScopeExtension;
use crate::{Error, Result};

/// `ROW(a, b)`: a record.
pub(crate) const ROW: &str = "cairn_row";
/// A row of a type: its signature, and the values.
pub(crate) const ROW_OF: &str = "cairn_row_of";
/// A field of a value: the value and the field's name.
pub(crate) const FIELD: &str = "cairn_field";
/// A value with another value for a field: the value, the field's name, the new value.
pub(crate) const WITH_FIELD: &str = "cairn_with_field";
/// IS NULL: whether all fields are NULL.
pub(crate) const IS_NULL: &str = "cairn_row_is_null";
/// IS NOT NULL: whether no field is.
pub(crate) const IS_NOT_NULL: &str = "cairn_row_is_not_null";

#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Kind {
    Row,
    RowOf,
    Field,
    WithField,
    Null { not: bool },
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfComposite {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let any = || TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::VariadicAny]);
    [
        (ROW, Kind::Row, any(), Volatility::Immutable),
        // Values become those of the fields, as casts make them.
        (ROW_OF, Kind::RowOf, any(), Volatility::Stable),
        (FIELD, Kind::Field, TypeSignature::Any(2), Volatility::Immutable),
        (WITH_FIELD, Kind::WithField, TypeSignature::Any(3), Volatility::Stable),
        (IS_NULL, Kind::Null { not: false }, TypeSignature::Any(1), Volatility::Immutable),
        (IS_NOT_NULL, Kind::Null { not: true }, TypeSignature::Any(1), Volatility::Immutable),
    ]
    .into_iter()
    .map(|(name, kind, signature, volatility)| {
        ScalarUDF::from(OfComposite { name, kind, signature: Signature::new(signature, volatility) })
    })
    .collect()
}

/// The composite type that a type is.
pub(crate) fn composite(ty: &DataType) -> Option<&Arc<CompositeType>> {
    match ty {
        DataType::Coded(Coded::Composite(ty)) => Some(ty),
        _ => None,
    }
}

/// The values of a value's fields; those of NULL are NULL.
pub(crate) fn fields(ty: &CompositeType, value: &Value) -> Result<Vec<Value>> {
    match value {
        Value::Coded { code, .. } => {
            decode(ty, code).ok_or_else(|| Error::new("XX001", "a row value is not one of its type"))
        }
        _ => Ok(vec![Value::Null; ty.fields.len()]),
    }
}

/// The value of these fields.
pub(crate) fn value(ty: &Arc<CompositeType>, values: &[Value]) -> Result<Value> {
    Ok(Value::Coded { ty: Coded::Composite(Arc::clone(ty)), code: encode(ty, values)? })
}

fn text(scalar: Option<&ScalarValue>) -> Result<&str> {
    match scalar {
        Some(ScalarValue::Utf8(Some(text))) => Ok(text),
        _ => Err(Error::internal("the name of a field is not constant")),
    }
}

/// The type of a field, and its place; the place of a struct's column where the row has no type.
fn field_of(field: &FieldRef, name: &str) -> Result<(DataType, usize)> {
    let ty = sql_type(field);
    let missing = |of: &str| Error::new("42703", format!("column \"{name}\" not found in data type {of}"));
    if let Some(own) = composite(&ty) {
        let place = own.place(name).ok_or_else(|| missing(&own.sql_name()))?;
        return Ok((own.fields[place].ty.clone(), place));
    }
    if let (DataType::Text, ArrowType::Struct(columns)) = (&ty, field.data_type()) {
        let place = columns.iter().position(|column| column.name() == name);
        let place = place.ok_or_else(|| missing("record"))?;
        return Ok((sql_type(&columns[place]), place));
    }
    let message =
        format!("column notation .{name} applied to type {}, which is not a composite type", type_name(&ty));
    Err(Error::new("42809", message))
}

impl OfComposite {
    fn result(&self, fields: &[FieldRef], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
        match self.kind {
            Kind::Row => {
                let types = fields.iter().zip(1..).map(|(field, at)| (format!("f{at}"), plain(field)));
                Ok(DataType::Coded(Coded::Composite(CompositeType::record(types))))
            }
            Kind::RowOf => {
                let signature = text(constants.first().copied().flatten())?;
                DataType::parse(signature).ok_or_else(|| Error::internal("a row of a type that is none"))
            }
            Kind::Field => Ok(field_of(&fields[0], text(constants[1])?)?.0),
            Kind::WithField => {
                field_of(&fields[0], text(constants[1])?)?;
                Ok(sql_type(&fields[0]))
            }
            Kind::Null { .. } => Ok(DataType::Boolean),
        }
    }
}

/// The type of an argument, that of a literal TEXT.
fn plain(field: &FieldRef) -> DataType {
    match field.data_type() {
        ArrowType::Null => DataType::Text,
        _ => sql_type(field),
    }
}

impl ScalarUDFImpl for OfComposite {
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
        Ok(Arc::new(self.result(args.arg_fields, args.scalar_arguments)?.to_field(self.name, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let constants: Vec<Option<&ScalarValue>> = args
            .args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Scalar(scalar) => Some(scalar),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let result = self.result(&args.arg_fields, &constants)?;
        let zone = ScopeExtension::of(&args.config_options)
            .map_or(cairn_types::datetime::Zone::UTC, |scope| scope.zone());
        if self.kind == Kind::Field && composite(&sql_type(&args.arg_fields[0])).is_none() {
            return part_of_struct(&args, text(constants[1])?);
        }
        let types: Vec<DataType> = args.arg_fields.iter().map(plain).collect();
        let convert = |value: Value, from: &DataType, to: &DataType| cast::single(value, from, to, zone);
        if args.args.is_empty() {
            let Some(own) = composite(&result) else { return Err(Error::internal("no row").into()) };
            let empty = value(own, &[])?;
            return rows(&args, &result, |_, _| Ok(empty.clone()));
        }
        rows(&args, &result, |args, row| {
            let mut values = row_values(args, &types, row)?;
            match self.kind {
                Kind::Row => match composite(&result) {
                    Some(own) => value(own, &values),
                    None => Err(Error::internal("no row")),
                },
                Kind::RowOf => {
                    let Some(own) = composite(&result) else { return Err(Error::internal("no row")) };
                    let mut all = vec![Value::Null; own.fields.len()];
                    let given = values.drain(1..).zip(&types[1..]);
                    for ((place, field), (value, from)) in own.live().zip(given) {
                        all[place] = convert(value, from, &field.ty)?;
                    }
                    value(own, &all)
                }
                Kind::Field => {
                    let (_, place) = field_of(&args.arg_fields[0], text(Some(&scalar(&values[1])))?)?;
                    match composite(&types[0]) {
                        Some(own) => Ok(fields(own, &values[0])?.swap_remove(place)),
                        None => Err(Error::internal("no row")),
                    }
                }
                Kind::WithField => {
                    let (to, place) = field_of(&args.arg_fields[0], text(Some(&scalar(&values[1])))?)?;
                    let Some(own) = composite(&types[0]) else { return Err(Error::internal("no row")) };
                    let mut all = fields(own, &values[0])?;
                    all[place] = convert(values.swap_remove(2), &types[2], &to)?;
                    value(own, &all)
                }
                Kind::Null { not } => {
                    let Some(own) = composite(&types[0]) else { return Err(Error::internal("no row")) };
                    if values[0].is_null() {
                        return Ok(Value::Boolean(!not));
                    }
                    let all = fields(own, &values[0])?;
                    let fits = own.live().all(|(place, _)| all[place].is_null() != not);
                    Ok(Value::Boolean(fits))
                }
            }
        })
    }
}

fn scalar(value: &Value) -> ScalarValue {
    ScalarValue::Utf8(value.as_str().map(str::to_owned))
}

/// A column of a struct that stands for a row without a type.
fn part_of_struct(args: &ScalarFunctionArgs, name: &str) -> datafusion::error::Result<ColumnarValue> {
    let (_, place) = field_of(&args.arg_fields[0], name)?;
    let constant = matches!(args.args[0], ColumnarValue::Scalar(_));
    let array = args.args[0].to_array(if constant { 1 } else { args.number_rows })?;
    let parts = array.as_struct();
    let part = match array.nulls() {
        None => Arc::clone(parts.column(place)),
        Some(nulls) => {
            let missing = arrow::array::BooleanArray::new(!nulls.inner(), None);
            arrow::compute::nullif(parts.column(place), &missing)?
        }
    };
    Ok(match constant {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&part, 0)?),
        false => ColumnarValue::Array(part),
    })
}
