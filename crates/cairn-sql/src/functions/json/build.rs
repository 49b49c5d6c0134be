//! JSON made from SQL values: `to_json`, `json_build_object`, `row_to_json` and their kin. Works on Arrow's columns,
//! because rows (structs) have no SQL value of their own.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use cairn_types::datetime::Zone;
use cairn_types::{Coded, CompositeType, DataType as T, Value};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::tree::write_string;
use crate::context::ScopeExtension;
use crate::functions::{missing, sql_type};
use crate::{Error, Result};

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shape {
    /// The value itself.
    Value,
    /// The value for an aggregate: what is structured begins on a new line.
    Item,
    /// An array of all arguments, or of those that are not NULL.
    Array { absent: bool },
    /// An object of keys and values in turn, or of those with a value.
    Object { absent: bool },
    /// `row_to_json`, `array_to_json`: the value, with line feeds if the second argument says so.
    Pretty { array: bool },
}

/// A function.
#[derive(Debug, PartialEq, Eq)]
struct Build {
    name: &'static str,
    shape: Shape,
    jsonb: bool,
    signature: Signature,
}

impl Hash for Build {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [
        ("to_json", Shape::Value, false),
        ("to_jsonb", Shape::Value, true),
        ("cairn_to_json", Shape::Item, false),
        ("json_build_array", Shape::Array { absent: false }, false),
        ("cairn_json_array_absent", Shape::Array { absent: true }, false),
        ("jsonb_build_array", Shape::Array { absent: false }, true),
        ("json_build_object", Shape::Object { absent: false }, false),
        ("cairn_json_object_absent", Shape::Object { absent: true }, false),
        ("jsonb_build_object", Shape::Object { absent: false }, true),
        ("row_to_json", Shape::Pretty { array: false }, false),
        ("array_to_json", Shape::Pretty { array: true }, false),
    ]
    .into_iter()
    .map(|(name, shape, jsonb)| {
        let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        let signature = Signature::one_of(any, Volatility::Stable);
        ScalarUDF::from(Build { name, shape, jsonb, signature })
    })
    .collect()
}

impl Build {
    fn result(&self) -> T {
        if self.jsonb { T::Jsonb } else { T::Json }
    }

    fn check(&self, args: &ReturnFieldArgs<'_>) -> Result<()> {
        let fields = args.arg_fields;
        let unknown = |at: usize| {
            fields[at].data_type().is_null()
                || *fields[at].data_type() == ArrowType::Utf8
                    && args.scalar_arguments[at].is_some_and(|value| !value.is_null())
                    && fields[at].metadata().is_empty()
        };
        let names = || -> Vec<String> {
            let name = |(at, field): (usize, &FieldRef)| match unknown(at) {
                true => "unknown".to_owned(),
                false => crate::functions::overload::type_name(&sql_type(field)),
            };
            fields.iter().enumerate().map(name).collect()
        };
        let fits = match self.shape {
            Shape::Value | Shape::Item => fields.len() == 1,
            Shape::Pretty { array } => {
                (1..=2).contains(&fields.len())
                    && match fields[0].data_type() {
                        ArrowType::Struct(_) if is_row(&fields[0]) => !array,
                        ArrowType::List(_) => array,
                        ArrowType::Null => true,
                        _ => false,
                    }
            }
            Shape::Array { .. } | Shape::Object { .. } => true,
        };
        if !fits {
            return Err(missing::error(self.name, &names()));
        }
        if matches!(self.shape, Shape::Object { .. }) && fields.len() % 2 == 1 {
            let error = Error::new("22023", "argument list must have even number of elements");
            return Err(error.with_hint(format!(
                "The arguments of {}() must consist of alternating keys and values.",
                self.name
            )));
        }
        Ok(())
    }
}

impl ScalarUDFImpl for Build {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(ArrowType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        self.check(&args)?;
        Ok(Arc::new(self.result().to_field(self.name, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let zone = ScopeExtension::of(&args.config_options).map_or(Zone::UTC, |scope| scope.zone());
        let result = self.result();
        let strict = matches!(self.shape, Shape::Value | Shape::Item | Shape::Pretty { .. });
        let columns = args
            .args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Array(array) => Ok((Arc::clone(array), false)),
                ColumnarValue::Scalar(scalar) => scalar.to_array().map(|array| (array, true)),
            })
            .collect::<DataFusionResult<Vec<(ArrayRef, bool)>>>()?;
        let fields = args.arg_fields.clone();
        crate::functions::rows(&args, &result, |_, row| {
            let cell = |at: usize| {
                let (array, one) = &columns[at];
                (&**array, if *one { 0 } else { row }, &*fields[at])
            };
            if strict && (0..columns.len()).any(|at| is_null(cell(at))) {
                return Ok(Value::Null);
            }
            let mut out = String::new();
            self.write(&cell, columns.len(), zone, &mut out)?;
            Ok(match self.jsonb {
                true => Value::Jsonb(cairn_types::json::normalise(&out)?),
                false => Value::Json(out),
            })
        })
    }
}

impl Build {
    fn write<'c>(
        &self,
        cell: &dyn Fn(usize) -> (&'c dyn Array, usize, &'c Field),
        count: usize,
        zone: Zone,
        out: &mut String,
    ) -> Result<()> {
        match self.shape {
            Shape::Value => write_cell(cell(0), zone, "", out),
            Shape::Item => {
                if is_row(cell(0).2) || matches!(cell(0).2.data_type(), ArrowType::List(_)) {
                    out.push_str("\n ");
                }
                write_cell(cell(0), zone, "", out);
            }
            Shape::Pretty { .. } => {
                let lines = count == 2 && {
                    let (array, row, _) = cell(1);
                    array.as_boolean_opt().is_some_and(|array| array.value(row))
                };
                write_cell(cell(0), zone, if lines { "\n " } else { "" }, out);
            }
            Shape::Array { absent } => {
                out.push('[');
                for (nth, at) in (0..count).filter(|at| !absent || !is_null(cell(*at))).enumerate() {
                    out.push_str(if nth > 0 { ", " } else { "" });
                    write_cell(cell(at), zone, "", out);
                }
                out.push(']');
            }
            Shape::Object { absent } => {
                out.push('{');
                let present = (0..count).step_by(2).filter(|at| !absent || !is_null(cell(at + 1)));
                for (nth, at) in present.enumerate() {
                    out.push_str(if nth > 0 { ", " } else { "" });
                    let (array, row, field) = cell(at);
                    if is_null((array, row, field)) {
                        return Err(match self.jsonb {
                            true => Error::new("22023", format!("argument {}: key must not be null", at + 1)),
                            false => Error::new("22023", format!("argument {} cannot be null", at + 1))
                                .with_hint("Object keys should be text."),
                        });
                    }
                    write_key((array, row, field), zone, out)?;
                    out.push_str(" : ");
                    write_cell(cell(at + 1), zone, "", out);
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

/// One value of a column.
pub(crate) type Cell<'c> = (&'c dyn Array, usize, &'c Field);

/// Whether it is NULL; a column of the type of NULL has no other values.
fn is_null((array, row, _): Cell<'_>) -> bool {
    array.data_type().is_null() || array.is_null(row)
}

/// Whether a column is of rows: structs that are no other type of SQL's.
fn is_row(field: &Field) -> bool {
    matches!(field.data_type(), ArrowType::Struct(_))
        && matches!(sql_type(field), T::Text | T::Coded(Coded::Composite(_)))
}

/// A value as an object's key.
///
/// # Errors
/// `22023` for what cannot be one.
pub(crate) fn write_key((array, row, field): Cell<'_>, zone: Zone, out: &mut String) -> Result<()> {
    let ty = sql_type(field);
    if matches!(ty, T::Array(_) | T::Json | T::Jsonb) || is_row(field) {
        return Err(Error::new("22023", "key value must be scalar, not array, composite, or json"));
    }
    let value = Value::from_array(array, row, &ty);
    write_string(&crate::functions::overload::text_of(&value, &ty, zone), out);
    Ok(())
}

/// A value as JSON; `between` follows the commas of its outermost parts.
pub(crate) fn write_cell((array, row, field): Cell<'_>, zone: Zone, between: &str, out: &mut String) {
    if is_null((array, row, field)) {
        out.push_str("null");
        return;
    }
    match array.data_type() {
        ArrowType::Struct(fields) if sql_type(field) == T::Text => {
            let numbered = fields.iter().enumerate().all(|(at, field)| *field.name() == format!("c{at}"));
            let array = array.as_struct();
            out.push('{');
            for (at, field) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                    out.push_str(between);
                }
                let name = if numbered { format!("f{}", at + 1) } else { field.name().clone() };
                write_string(crate::query::output::display_name(&name), out);
                out.push(':');
                write_cell((&**array.column(at), row, field), zone, "", out);
            }
            out.push('}');
        }
        ArrowType::List(item) => {
            let own = sql_type(field);
            let item = match own {
                T::Array(element) if !matches!(item.data_type(), ArrowType::Struct(_)) => {
                    element.to_field("item", true)
                }
                _ => item.as_ref().clone(),
            };
            let items = array.as_list::<i32>().value(row);
            out.push('[');
            for at in 0..items.len() {
                if at > 0 {
                    out.push(',');
                    out.push_str(between);
                }
                write_cell((&*items, at, &item), zone, "", out);
            }
            out.push(']');
        }
        _ => {
            let ty = sql_type(field);
            match (Value::from_array(array, row, &ty), &ty) {
                (Value::Coded { code, .. }, T::Coded(Coded::Composite(own))) => {
                    write_composite(own, &code, zone, between, out);
                }
                (value, ty) => write_scalar(&value, ty, zone, out),
            }
        }
    }
}

/// A value of a composite type.
fn write_composite(ty: &CompositeType, code: &[u8], zone: Zone, between: &str, out: &mut String) {
    let values = cairn_types::codes::composite::decode(ty, code).unwrap_or_default();
    out.push('{');
    for (nth, (place, field)) in ty.live().enumerate() {
        if nth > 0 {
            out.push(',');
            out.push_str(between);
        }
        write_string(&field.name, out);
        out.push(':');
        write_scalar(values.get(place).unwrap_or(&Value::Null), &field.ty, zone, out);
    }
    out.push('}');
}

/// A value that is no array and no row.
pub(crate) fn write_scalar(value: &Value, ty: &T, zone: Zone, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Json(text) | Value::Jsonb(text) => out.push_str(text),
        Value::Real(_) | Value::Double(_) if value.as_f64().is_none_or(|x| !x.is_finite()) => {
            write_string(&value.to_text(ty), out);
        }
        Value::SmallInt(_)
        | Value::Integer(_)
        | Value::BigInt(_)
        | Value::Real(_)
        | Value::Double(_)
        | Value::Numeric(_) => value.write_text(ty, out),
        Value::Array(items) => {
            let element = match ty {
                T::Array(element) => (**element).clone(),
                _ => T::Text,
            };
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write_scalar(item, &element, zone, out);
            }
            out.push(']');
        }
        Value::Coded { ty: Coded::Composite(own), code } => write_composite(own, code, zone, "", out),
        Value::Timestamp(_) => write_string(&value.to_text(ty).replacen(' ', "T", 1), out),
        Value::TimestampTz(_) => {
            let mut text = String::new();
            value.write_text_in(ty, zone, &mut text);
            let mut text = text.replacen(' ', "T", 1);
            // ISO 8601 has minutes in its offset.
            if text.len() > 3 && matches!(text.as_bytes()[text.len() - 3], b'+' | b'-') {
                text.push_str(":00");
            }
            write_string(&text, out);
        }
        // CHAR(n) keeps its blanks here.
        other => {
            let mut text = String::new();
            other.write_text_in(ty, zone, &mut text);
            write_string(&text, out);
        }
    }
}
