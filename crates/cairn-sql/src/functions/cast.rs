//! `cairn_cast(value, 'type')`: every cast of SQL text, as PostgreSQL does it. `parse::rewrite` writes all casts
//! in this form; where DataFusion's own cast does the same it is put back by `simplify`, so that conditions
//! over it can be pushed down.
//!
//! Ways, in order: nothing to do; Arrow's kernel where it agrees with PostgreSQL (with rounding done first);
//! otherwise through PostgreSQL's text form of each value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Float64Array, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, FieldRef, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use cairn_types::datetime::{self, Zone};
use cairn_types::{Coded, CompositeField, DataType, Decimal, Value};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::context::ScopeExtension;
use crate::{Error, Result};

/// The function's name.
pub(crate) const NAME: &str = "cairn_cast";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cast {
    signature: Signature,
}

impl Cast {
    pub(crate) fn new() -> Self {
        // Stable: text and TIMESTAMPTZ depend on the session's time zone.
        Self { signature: Signature::any(2, Volatility::Stable) }
    }
}

/// The cast of an expression.
pub(crate) fn call(expr: Expr, ty: &DataType) -> Expr {
    static CAST: std::sync::LazyLock<Arc<ScalarUDF>> =
        std::sync::LazyLock::new(|| Arc::new(ScalarUDF::from(Cast::new())));
    let name = Expr::Literal(ScalarValue::Utf8(Some(ty.signature())), None);
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&CAST), vec![expr, name]))
}

/// The target of a cast; `numeric` without scale takes its scale from what is cast.
fn target(args: &[Option<&ScalarValue>], source: &FieldRef) -> Result<DataType> {
    let Some(Some(ScalarValue::Utf8(Some(name)))) = args.get(1) else {
        return Err(Error::internal("the type of a cast is not constant"));
    };
    let ty = DataType::parse(name)
        .ok_or_else(|| Error::new("42704", format!("type \"{name}\" does not exist")))?;
    if ty != DataType::Numeric(None) {
        return Ok(ty);
    }
    Ok(match source.data_type() {
        ArrowType::Decimal128(_, scale) => DataType::Numeric(Some((38, *scale))),
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32 | ArrowType::Int64 => {
            DataType::Numeric(Some((38, 0)))
        }
        _ => ty,
    })
}

/// The type of a constant NUMERIC: with its own digits where 38 are enough.
///
/// # Errors
/// Where the text is no number.
pub(crate) fn constant_type(text: &str) -> Result<DataType> {
    let number = Decimal::parse(text)?;
    let narrow = number.narrow().is_some_and(|n| n.unsigned_abs() < 10u128.pow(38));
    Ok(match number.scale {
        scale @ 0..=16 if narrow => DataType::Numeric(Some((38, scale))),
        _ => DataType::Numeric(None),
    })
}

/// The error for NaN and the infinities where an integer is asked for.
pub(crate) fn no_integer(number: Decimal, ty: &DataType) -> Error {
    let what = if number.is_nan() { "NaN" } else { "infinity" };
    Error::new("0A000", format!("cannot convert {what} to {}", ty.base_name()))
}

/// A float as NUMERIC, with as many digits as it is sure of.
pub(crate) fn float_to_numeric(value: &Value, ty: &DataType) -> Result<Value> {
    let number = match value {
        Value::Real(x) => super::wide::of_float(f64::from(*x), 5)?,
        other => super::wide::of_float(other.as_f64().unwrap_or(f64::NAN), 14)?,
    };
    Ok(Value::Numeric(number).fit(ty)?)
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        Err(Error::internal("the type of a cast follows from its arguments").into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> datafusion::error::Result<FieldRef> {
        let source = &args.arg_fields[0];
        let ty = target(args.scalar_arguments, source)?;
        // An infinite moment has no time of day.
        let timeless = matches!(ty, DataType::Time(_) | DataType::Coded(Coded::TimeTz(_)))
            && matches!(source.data_type(), ArrowType::Timestamp(..));
        let nullable = source.is_nullable() || source.data_type().is_null() || timeless;
        Ok(Arc::new(ty.to_field("cast", nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let source = super::sql_type(&args.arg_fields[0]);
        let ty = DataType::from_field(&args.return_field);
        let zone = zone(&args);
        match &args.args[0] {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(cast(array, &source, &ty, zone)?)),
            ColumnarValue::Scalar(scalar) => {
                let array = cast(&scalar.to_array()?, &source, &ty, zone)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
        }
    }

    fn simplify(
        &self,
        mut args: Vec<Expr>,
        info: &SimplifyContext,
    ) -> datafusion::error::Result<ExprSimplifyResult> {
        use datafusion::logical_expr::ExprSchemable;
        let Some(Expr::Literal(ScalarValue::Utf8(Some(name)), _)) = args.get(1) else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let Some(ty) = DataType::parse(name) else { return Ok(ExprSimplifyResult::Original(args)) };
        let (_, field) = args[0].to_field(info.schema())?;
        let source = super::sql_type(&field);
        let same = source == ty && *field.data_type() == ty.to_arrow();
        if same {
            return Ok(ExprSimplifyResult::Simplified(args.swap_remove(0)));
        }
        let widening = matches!(
            (field.data_type(), &ty),
            (ArrowType::Int16, DataType::Integer | DataType::BigInt | DataType::Real | DataType::Double)
                | (ArrowType::Int32, DataType::BigInt | DataType::Double)
                | (ArrowType::Int64 | ArrowType::Float32, DataType::Double)
        );
        if widening {
            let inner = args.swap_remove(0);
            return Ok(ExprSimplifyResult::Simplified(datafusion::logical_expr::cast(inner, ty.to_arrow())));
        }
        Ok(ExprSimplifyResult::Original(args))
    }
}

/// The session's time zone.
fn zone(args: &ScalarFunctionArgs) -> Zone {
    let Ok(scope) = ScopeExtension::of(&args.config_options) else { return Zone::UTC };
    let zone = scope.zone();
    // A time of day has no day that would tell the zone's distance: it is today's.
    match DataType::from_field(&args.return_field) {
        DataType::Coded(Coded::TimeTz(_)) => Zone::Fixed(zone.offset_at(scope.transaction_start_us)),
        _ => zone,
    }
}

fn kernel(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options).map_err(Error::from)
}

fn is_integer(ty: &DataType) -> bool {
    matches!(ty, DataType::SmallInt | DataType::Integer | DataType::BigInt)
}

/// Casts an array.
pub(crate) fn cast(array: &ArrayRef, source: &DataType, ty: &DataType, zone: Zone) -> Result<ArrayRef> {
    let arrow = ty.to_arrow();
    let untyped = array.data_type().is_null();
    if !untyped && !is_allowed(source, ty) {
        return Err(not_allowed(source, ty));
    }
    if untyped || array.null_count() == array.len() {
        return Ok(arrow::array::new_null_array(&arrow, array.len()));
    }
    if source == ty && *array.data_type() == arrow {
        return Ok(Arc::clone(array));
    }
    let out_of_range = |_| Error::new("22003", format!("{} out of range", ty.base_name()));
    match (source, ty) {
        (from, to) if is_integer(from) && is_integer(to) => kernel(array, &arrow).map_err(out_of_range),
        (DataType::Real | DataType::Double, to) if is_integer(to) => {
            let doubles = kernel(array, &ArrowType::Float64)?;
            let rounded: Float64Array = doubles.as_primitive::<Float64Type>().unary(f64::round_ties_even);
            kernel(&(Arc::new(rounded) as ArrayRef), &arrow).map_err(out_of_range)
        }
        (DataType::Numeric(None), to) if is_integer(to) => {
            let whole = super::wide::widen(array)?.try_unary::<_, Int64Type, Error>(|raw| {
                let number = Decimal::from_wide(raw);
                if !number.is_finite() {
                    return Err(no_integer(number, to));
                }
                number.to_i64().ok_or_else(|| Error::new("22003", format!("{} out of range", to.base_name())))
            })?;
            kernel(&(Arc::new(whole) as ArrayRef), &arrow).map_err(out_of_range)
        }
        (DataType::Numeric(None), DataType::Double) => {
            let floats: Float64Array =
                super::wide::widen(array)?.unary::<_, Float64Type>(|raw| Decimal::from_wide(raw).to_f64());
            Ok(Arc::new(floats))
        }
        (DataType::Numeric(None), DataType::Real) => {
            let floats: arrow::array::Float32Array = super::wide::widen(array)?
                .unary::<_, arrow::datatypes::Float32Type>(|raw| Decimal::from_wide(raw).to_f64() as f32);
            Ok(Arc::new(floats))
        }
        (from, DataType::Numeric(None)) if from.is_numeric() => Ok(Arc::new(super::wide::widen(array)?)),
        (DataType::Numeric(None), DataType::Numeric(Some((precision, scale)))) => {
            super::wide::narrow(&super::wide::widen(array)?, *precision, *scale)
        }
        (DataType::Numeric(_), to) if is_integer(to) => {
            let whole = kernel(array, &ArrowType::Decimal128(38, 0)).map_err(out_of_range)?;
            kernel(&whole, &arrow).map_err(out_of_range)
        }
        (from, DataType::Real | DataType::Double)
            if is_integer(from) || matches!(from, DataType::Numeric(_)) =>
        {
            kernel(array, &arrow).map_err(out_of_range)
        }
        (DataType::Real, DataType::Double) => kernel(array, &arrow),
        (from, DataType::Numeric(_)) if is_integer(from) || matches!(from, DataType::Numeric(_)) => {
            kernel(array, &arrow).map_err(|_| {
                Error::from(cairn_types::TypeError::NumericOverflow {
                    precision: numeric(ty).0,
                    scale: numeric(ty).1,
                })
            })
        }
        (DataType::Integer, DataType::Boolean) => kernel(array, &arrow),
        (DataType::Date, DataType::Timestamp(_)) => midnights(array),
        (DataType::Timestamp(_), DataType::Date) => Ok(days(array)?),
        (DataType::Boolean, DataType::Integer) => kernel(array, &arrow),
        _ => through_values(array, source, ty, zone),
    }
}

fn numeric(ty: &DataType) -> (u8, i8) {
    match ty {
        DataType::Numeric(Some(parameters)) => *parameters,
        _ => (38, 10),
    }
}

/// The days of timestamps: Arrow's cast to a date rounds towards 1970 and knows no infinity.
fn days(array: &ArrayRef) -> Result<ArrayRef> {
    let micros = kernel(array, &ArrowType::Timestamp(TimeUnit::Microsecond, None))?;
    let days: Date32Array = micros.as_primitive::<TimestampMicrosecondType>().unary(datetime::date_of);
    Ok(Arc::new(days))
}

/// The timestamps at which days begin.
fn midnights(array: &ArrayRef) -> Result<ArrayRef> {
    let out_of_range = || ArrowError::ComputeError("date out of range for timestamp".to_owned());
    let days = array.as_primitive::<Date32Type>();
    let micros: std::result::Result<TimestampMicrosecondArray, _> =
        days.try_unary(|days| datetime::midnight(days).ok_or_else(out_of_range));
    Ok(Arc::new(micros.map_err(|error| Error::new("22008", error_text(error)))?))
}

fn error_text(error: ArrowError) -> String {
    match error {
        ArrowError::ComputeError(text) => text,
        other => other.to_string(),
    }
}

fn through_values(array: &ArrayRef, source: &DataType, ty: &DataType, zone: Zone) -> Result<ArrayRef> {
    let mut column = cairn_types::ColumnBuilder::with_capacity(ty, array.len());
    let limited = ty.clone().without_limit() != *ty;
    for row in 0..array.len() {
        if array.is_null(row) {
            column.push_null();
            continue;
        }
        let value = Value::from_array(&**array, row, source);
        let converted = convert(value, source, ty, zone)?;
        column.push(&if limited { converted.fit(ty)? } else { converted })?;
    }
    Ok(column.finish()?)
}

pub(crate) fn not_allowed(source: &DataType, ty: &DataType) -> Error {
    let name = super::overload::type_name;
    let error = Error::new("42846", format!("cannot cast type {} to {}", name(source), name(ty)));
    match (source, ty) {
        (DataType::Coded(Coded::Composite(from)), DataType::Coded(Coded::Composite(to))) => {
            let (given, wanted) = (from.live().count(), to.live().count());
            let differing = from.live().zip(to.live()).position(|((_, a), (_, b))| !is_allowed(&a.ty, &b.ty));
            match differing {
                _ if given < wanted => error.with_detail("Input has too few columns."),
                _ if given > wanted => error.with_detail("Input has too many columns."),
                Some(at) => {
                    let fields = from.live().zip(to.live()).nth(at);
                    let types = fields.map(|((_, a), (_, b))| (name(&a.ty), name(&b.ty)));
                    let (a, b) = types.unwrap_or_default();
                    error.with_detail(format!("Cannot cast type {a} to {b} in column {}.", at + 1))
                }
                None => error,
            }
        }
        _ => error,
    }
}

/// Whether PostgreSQL has this cast: text casts to and from everything, and these.
fn is_allowed(source: &DataType, ty: &DataType) -> bool {
    use DataType as T;
    let dates = |t: &T| matches!(t, T::Date | T::Timestamp(_) | T::TimestampTz(_));
    let times = |t: &T| matches!(t, T::Time(_) | T::Interval(_));
    let bits = |t: &T| matches!(t, T::Json | T::Jsonb);
    match (source, ty) {
        (a, b) if a == b || a.is_character() || b.is_character() => true,
        (T::Array(a), T::Array(b)) => is_allowed(a, b),
        (a, b) if a.is_numeric() && b.is_numeric() => true,
        (a, b) if dates(a) && dates(b) => true,
        (a, b) if times(a) && times(b) => true,
        (a, b) if bits(a) && bits(b) => true,
        (T::Timestamp(_) | T::TimestampTz(_), T::Time(_)) => true,
        (T::Coded(Coded::TimeTz(_)), T::Time(_)) => true,
        (T::Time(_) | T::TimestampTz(_), T::Coded(Coded::TimeTz(_))) => true,
        (T::Boolean, T::Integer) | (T::Integer | T::BigInt, T::Boolean) => true,
        (T::Jsonb, T::Boolean) => true,
        (T::Jsonb, b) => b.is_numeric(),
        (T::Coded(a), T::Coded(b)) => castable(a, b),
        (T::SmallInt | T::Integer | T::BigInt, T::Coded(Coded::Bit(_))) => true,
        (T::Coded(Coded::Bit(_)), T::Integer | T::BigInt) => true,
        _ => false,
    }
}

/// Whether values of one coded type cast to another.
pub(crate) fn castable(from: &Coded, to: &Coded) -> bool {
    let address = |ty: &Coded| matches!(ty, Coded::Inet | Coded::Cidr);
    let mac = |ty: &Coded| matches!(ty, Coded::MacAddr | Coded::MacAddr8);
    let bits = |ty: &Coded| matches!(ty, Coded::Bit(_) | Coded::VarBit(_));
    if let (Coded::Composite(from), Coded::Composite(to)) = (from, to) {
        let alike = |((_, from), (_, to)): ((usize, &CompositeField), (usize, &CompositeField))| {
            is_allowed(&from.ty, &to.ty)
        };
        return from.live().count() == to.live().count() && from.live().zip(to.live()).all(alike);
    }
    from.is_kind_of(to) || mac(from) && mac(to) || address(from) && address(to) || bits(from) && bits(to)
}

/// Casts one value as [`cast`] does an array.
pub(crate) fn single(value: Value, source: &DataType, ty: &DataType, zone: Zone) -> Result<Value> {
    if source == ty || value.is_null() {
        return Ok(value);
    }
    let array = cast(&Value::to_array(&[value], source)?, source, ty, zone)?;
    Ok(Value::from_array(&*array, 0, ty))
}

/// Converts one value that is not NULL.
pub(crate) fn convert(value: Value, source: &DataType, ty: &DataType, zone: Zone) -> Result<Value> {
    use DataType as T;
    const DAY: i64 = 86_400_000_000;
    if let Some(bits) = super::bits::cast(&value, source, ty)? {
        return Ok(bits);
    }
    if let Some(time) = super::zoned_time::cast(&value, ty, zone) {
        return Ok(time);
    }
    Ok(match (value, ty) {
        (Value::Coded { code, .. }, T::Coded(to @ (Coded::MacAddr | Coded::MacAddr8))) => {
            Value::Coded { ty: to.clone(), code: super::network::resized(code, to)? }
        }
        (Value::Coded { code, .. }, T::Coded(Coded::Inet)) => Value::Coded { ty: Coded::Inet, code },
        (Value::Coded { code, .. }, T::Coded(Coded::Cidr)) => {
            let network = cairn_types::codes::Network::from_code(&code).map(|own| own.network().to_code());
            Value::Coded { ty: Coded::Cidr, code: network.unwrap_or(code) }
        }
        (Value::Coded { ty: Coded::Composite(from), code }, T::Coded(Coded::Composite(to))) => {
            let own = Value::Coded { ty: Coded::Composite(Arc::clone(&from)), code };
            let given = super::composite::fields(&from, &own)?;
            let mut all = vec![Value::Null; to.fields.len()];
            for ((place, field), (at, to)) in from.live().zip(to.live()) {
                all[at] = match &given[place] {
                    Value::Null => Value::Null,
                    value => single(value.clone(), &field.ty, &to.ty, zone)?,
                };
            }
            super::composite::value(to, &all)?
        }
        (Value::Array(items), T::Array(item)) => {
            let from = match source {
                T::Array(from) => (**from).clone(),
                other => other.clone(),
            };
            let items = items
                .into_iter()
                .map(|v| if v.is_null() { Ok(v) } else { convert(v, &from, item, zone) })
                .collect::<Result<_>>()?;
            Value::Array(items)
        }
        (Value::TimestampTz(t), T::Timestamp(_)) => Value::Timestamp(zone.local(t)),
        (Value::TimestampTz(t), T::Date) => Value::Date(datetime::date_of(zone.local(t))),
        (Value::TimestampTz(t) | Value::Timestamp(t), T::Time(_)) if datetime::is_infinite(t) => Value::Null,
        (Value::TimestampTz(t), T::Time(_)) => Value::Time(zone.local(t).rem_euclid(DAY)),
        (Value::Timestamp(t), T::Time(_)) => Value::Time(t.rem_euclid(DAY)),
        (Value::Timestamp(t), T::TimestampTz(_)) => Value::TimestampTz(to_utc(t, zone)?),
        (Value::Date(d), T::TimestampTz(_)) => {
            let midnight = datetime::midnight(d);
            let out_of_range = || Error::new("22008", "date out of range for timestamp");
            Value::TimestampTz(to_utc(midnight.ok_or_else(out_of_range)?, zone)?)
        }
        (Value::Interval(i), T::Time(_)) => Value::Time((i.nanos / 1000).rem_euclid(DAY)),
        (Value::Time(t), T::Interval(_)) => {
            Value::Interval(cairn_types::Interval { months: 0, days: 0, nanos: t * 1000 })
        }
        (Value::BigInt(i), T::Boolean) => Value::Boolean(i != 0),
        (Value::Jsonb(text), ty) if ty.is_numeric() || *ty == T::Boolean => from_jsonb(&text, ty)?,
        (value @ Value::Time(_), T::Time(_))
        | (value @ Value::Timestamp(_), T::Timestamp(_))
        | (value @ Value::TimestampTz(_), T::TimestampTz(_))
        | (value @ Value::Interval(_), T::Interval(_)) => value,
        (value @ (Value::TimestampTz(_) | Value::Array(_)), character) if character.is_character() => {
            let mut text = String::new();
            value.write_text_in(source, zone, &mut text);
            truncated(Value::Text(text), source, ty)?
        }
        (value, T::TimestampTz(_)) if source.is_character() => {
            let text = value.as_str().unwrap_or_default();
            Value::TimestampTz(datetime::parse_timestamptz(text, zone)?)
        }
        (Value::Coded { ty: Coded::Inet, code }, character) if character.is_character() => {
            // As text it has its bits, also where they are all.
            let mut text = String::new();
            if let Some(address) = cairn_types::codes::Network::from_code(&code) {
                address.write(true, &mut text);
            }
            truncated(Value::Text(text), source, ty)?
        }
        (value @ Value::Coded { .. }, character) if character.is_character() => {
            let mut text = String::new();
            value.write_text_in(source, zone, &mut text);
            truncated(Value::Text(text), source, ty)?
        }
        (value, T::Coded(coded)) if source.is_character() => {
            let code =
                cairn_types::codes::parse(&coded.without_length(), value.as_str().unwrap_or_default(), zone)?;
            let whole = Value::Coded { ty: coded.without_length(), code };
            // An explicit cast cuts bits off and fills them up.
            match super::bits::cast(&whole, source, ty)? {
                Some(bits) => bits,
                None => whole,
            }
        }
        (Value::Boolean(b), character) if character.is_character() => {
            truncated(Value::Text(b.to_string()), source, character)?
        }
        // The blanks that fill up CHAR(n) are not part of the text.
        (Value::Text(text), T::Text | T::Varchar(_)) if matches!(source, T::Char(_)) => {
            truncated(Value::Text(text.trim_end_matches(' ').to_owned()), source, ty)?
        }
        (value, T::Varchar(_) | T::Char(_)) => truncated(value, source, ty)?,
        (value, ty) if source.is_character() => {
            let text = value.as_str().unwrap_or_default();
            if *ty == T::Jsonb && text.contains("\\u0000") && cairn_types::json::validate(text).is_ok() {
                return Err(Error::new("22P05", "unsupported Unicode escape sequence")
                    .with_detail("\\u0000 cannot be converted to text."));
            }
            let read = Value::parse_text(text, ty)?;
            if let Value::Array(items) = &read
                && !is_rectangular(items)
            {
                return Err(Error::new("22P02", format!("malformed array literal: \"{text}\""))
                    .with_detail("Multidimensional arrays must have sub-arrays with matching dimensions."));
            }
            read
        }
        (value @ (Value::Real(_) | Value::Double(_)), T::Numeric(_)) => float_to_numeric(&value, ty)?,
        (value @ Value::Numeric(_), T::Numeric(_)) => value.fit(ty)?,
        (value, ty) => Value::parse_text(&value.to_text(source), ty)?,
    })
}

/// Whether the arrays within an array have one length, and so those within them.
fn is_rectangular(items: &[Value]) -> bool {
    let length = |item: &Value| match item {
        Value::Array(inner) => Some(inner.len()),
        _ => None,
    };
    let first = items.first().and_then(length);
    items.iter().all(|item| {
        length(item) == first
            && match item {
                Value::Array(inner) => is_rectangular(inner),
                _ => true,
            }
    })
}

/// A number or boolean of JSONB.
fn from_jsonb(text: &str, ty: &DataType) -> Result<Value> {
    let kind = match text.as_bytes().first() {
        Some(b'"') => "string",
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "numeric",
    };
    let wanted = if *ty == DataType::Boolean { "boolean" } else { "numeric" };
    if kind != wanted {
        return Err(Error::new("22023", format!("cannot cast jsonb {kind} to type {}", ty.base_name())));
    }
    if ty.is_numeric() && !matches!(ty, DataType::Numeric(_)) {
        // By way of NUMERIC, which rounds.
        let number = cairn_types::Decimal::parse(text)?;
        return match ty {
            DataType::Real | DataType::Double => Ok(Value::parse_text(text, ty)?),
            _ => {
                let range = || Error::new("22003", format!("{} out of range", ty.base_name()));
                let whole = number.to_i64().ok_or_else(range)?;
                Value::BigInt(whole).fit(ty).map_err(|_| range())
            }
        };
    }
    Ok(Value::parse_text(text, ty)?)
}

/// An explicit cast to VARCHAR(n) or CHAR(n) cuts what is too long.
fn truncated(value: Value, source: &DataType, ty: &DataType) -> Result<Value> {
    let text = match value {
        Value::Text(text) => text,
        other => other.to_text(source),
    };
    let limit = match ty {
        DataType::Varchar(Some(n)) | DataType::Char(n) => *n as usize,
        _ => usize::MAX,
    };
    let text = match text.char_indices().nth(limit) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    };
    Ok(Value::parse_text(&text, ty)?)
}

fn to_utc(local_micros: i64, zone: Zone) -> Result<i64> {
    zone.to_utc(local_micros).ok_or_else(|| Error::new("22008", "timestamp out of range"))
}
