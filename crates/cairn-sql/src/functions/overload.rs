//! Functions with PostgreSQL's overloads: which one a call means is decided by the types of its arguments, string
//! literals without a type fitting any; arguments are brought to the types of the one that is found; where none
//! fits, the call fails with `42883` and PostgreSQL's words.
//!
//! I1: what an overload's code is called with has the types that the overload takes.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_types::composite::RECORD;
use cairn_types::datetime::Zone;
use cairn_types::{Coded, DataType, Decimal, Interval, Value};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::missing;
use crate::catalog::column_type::is_vector;
use crate::context::{Scope, ScopeExtension};
use crate::{Error, Result};

/// What an argument may be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// This type, or one that casts to it implicitly.
    Is(DataType),
    /// Any type, unchanged.
    Any,
    /// A value of the call's element type (PostgreSQL's `anycompatible`).
    Element,
    /// An array of the call's element type (`anycompatiblearray`).
    Array,
}

/// The type of a result.
#[derive(Debug, Clone)]
pub(crate) enum Returns {
    /// Always this one.
    Is(DataType),
    /// An array of the call's element type.
    Array,
    /// NUMERIC; where the first argument has a declared number of digits, too, with as many digits after the point as
    /// that argument says, if it is constant.
    Digits(usize),
}

/// The code of an overload.
pub(crate) type Code = fn(&Args<'_>) -> Result<Value>;

/// One list of arguments of a function, and what it does with them.
#[derive(Debug, Clone)]
pub(crate) struct Overload {
    takes: Vec<Kind>,
    /// How many arguments at the end may be left out.
    optional: usize,
    /// The last argument may come any number of times, also none.
    variadic: bool,
    /// NULL in, NULL out, without calling.
    strict: bool,
    returns: Returns,
    code: Code,
    /// The query engine's function, which does the same with arguments of just these types, but by columns.
    native: Option<Arc<ScalarUDF>>,
    /// Whether that is called after arguments were brought to their types, too.
    casts: bool,
}

impl Overload {
    /// A strict overload.
    pub(crate) fn new(takes: Vec<Kind>, returns: Returns, code: Code) -> Self {
        Self { takes, optional: 0, variadic: false, strict: true, returns, code, native: None, casts: false }
    }

    /// The last arguments may be left out.
    pub(crate) fn optional(mut self, count: usize) -> Self {
        self.optional = count;
        self
    }

    /// The last argument may be repeated.
    pub(crate) fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    /// The code is called for NULL too.
    pub(crate) fn with_nulls(mut self) -> Self {
        self.strict = false;
        self
    }

    /// What is called with the arguments brought to their types, whatever they were.
    pub(crate) fn always(mut self, function: Arc<ScalarUDF>) -> Self {
        self.native = Some(function);
        self.casts = true;
        self
    }

    /// What is called where no argument needs to be brought to its type.
    pub(crate) fn native(mut self, function: Arc<ScalarUDF>) -> Self {
        self.native = Some(function);
        self
    }

    fn kind(&self, at: usize) -> Option<&Kind> {
        match self.variadic && at + 1 >= self.takes.len() {
            true => self.takes.last(),
            false => self.takes.get(at),
        }
    }

    fn takes_count(&self, count: usize) -> bool {
        let most = self.takes.len();
        let least = most - self.optional - usize::from(self.variadic);
        count >= least && (count <= most || self.variadic)
    }
}

/// Shorthand for an argument or result of one type.
pub(crate) fn is(ty: DataType) -> Kind {
    Kind::Is(ty)
}

/// A function.
#[derive(Debug)]
pub(crate) struct Overloaded {
    name: &'static str,
    /// How PostgreSQL writes the operator that this function is, for messages.
    operator: Option<&'static str>,
    signature: Signature,
    overloads: Vec<Overload>,
}

impl PartialEq for Overloaded {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Overloaded {}
impl Hash for Overloaded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// A function that depends on its arguments alone.
pub(crate) fn function(name: &'static str, overloads: Vec<Overload>) -> ScalarUDF {
    Overloaded::new(name, overloads, Volatility::Immutable).into()
}

/// A function that depends on the session too.
pub(crate) fn stable(name: &'static str, overloads: Vec<Overload>) -> ScalarUDF {
    Overloaded::new(name, overloads, Volatility::Stable).into()
}

/// The function of an operator.
pub(crate) fn operator(name: &'static str, symbol: &'static str, overloads: Vec<Overload>) -> ScalarUDF {
    Overloaded::new(name, overloads, Volatility::Immutable).of_operator(symbol).into()
}

/// An argument's type; `None` for a literal that has none yet.
pub(crate) type Found = Option<DataType>;

/// An overload that fits, with the types that its arguments are brought to.
struct Choice<'o> {
    overload: &'o Overload,
    types: Vec<DataType>,
    element: Option<DataType>,
}

impl Overloaded {
    pub(crate) fn new(name: &'static str, overloads: Vec<Overload>, volatility: Volatility) -> Self {
        let signature =
            Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], volatility);
        Self { name, operator: None, signature, overloads }
    }

    /// The function is that of an operator.
    pub(crate) fn of_operator(mut self, symbol: &'static str) -> Self {
        self.operator = Some(symbol);
        self
    }

    /// The types that arguments are brought to.
    pub(crate) fn taken(&self, found: &[Found]) -> Result<Vec<DataType>> {
        self.choose(found).map(|choice| choice.types)
    }

    fn choose(&self, found: &[Found]) -> Result<Choice<'_>> {
        let mut best: Option<(i32, Choice<'_>)> = None;
        for overload in self.overloads.iter().filter(|overload| overload.takes_count(found.len())) {
            if let Some((score, choice)) = fits(overload, found)
                && best.as_ref().is_none_or(|(other, _)| score > *other)
            {
                best = Some((score, choice));
            }
        }
        best.map(|(_, choice)| choice).ok_or_else(|| self.no_match(found))
    }

    fn no_match(&self, found: &[Found]) -> Error {
        let names: Vec<String> =
            found.iter().map(|ty| ty.as_ref().map_or_else(|| "unknown".to_owned(), type_name)).collect();
        let Some(symbol) = self.operator else { return missing::error(self.name, &names) };
        let words = match names.as_slice() {
            [one] => format!("{symbol} {one}"),
            [left, right] => format!("{left} {symbol} {right}"),
            _ => symbol.to_owned(),
        };
        Error::new("42883", format!("operator does not exist: {words}")).with_hint(
            "No operator matches the given name and argument types. You might need to add explicit type casts.",
        )
    }
}

/// The name of a type without parameters, `[]` after that of an array.
pub(crate) fn type_name(ty: &DataType) -> String {
    match ty {
        // However many dimensions it has.
        DataType::Array(_) => format!("{}[]", ty.base_name().trim_end_matches("[]")),
        DataType::Coded(Coded::Enum(ty)) => ty.sql_name(),
        DataType::Coded(Coded::Composite(ty)) => ty.sql_name(),
        other => other.base_name().to_owned(),
    }
}

/// How well an overload fits: an argument of the very type counts most, a literal as text more than as another.
fn fits<'o>(overload: &'o Overload, found: &[Found]) -> Option<(i32, Choice<'o>)> {
    let mut element: Option<DataType> = None;
    for (at, ty) in found.iter().enumerate() {
        let own = match (overload.kind(at)?, ty) {
            (Kind::Element, Some(ty)) => ty,
            (Kind::Array, Some(DataType::Array(item))) => item,
            (Kind::Array, Some(_)) => return None,
            _ => continue,
        };
        element = Some(match element {
            None => own.clone(),
            Some(other) => common(&other, own)?,
        });
    }
    let mut score = 0;
    let mut types = Vec::with_capacity(found.len());
    for (at, ty) in found.iter().enumerate() {
        let item = || element.clone().unwrap_or(DataType::Text);
        let wanted = match overload.kind(at)? {
            Kind::Is(wanted) => wanted.clone(),
            Kind::Any => ty.clone().unwrap_or(DataType::Text),
            Kind::Element => item(),
            Kind::Array => DataType::Array(Box::new(item())),
        };
        score += match ty {
            None if matches!(wanted, DataType::Text) => 20,
            None => 10,
            Some(ty) => closeness(ty, &wanted)?,
        };
        types.push(wanted);
    }
    Some((score, Choice { overload, types, element }))
}

/// The type in which values of two types meet.
pub(crate) fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType as T;
    if a == b {
        return Some(a.clone());
    }
    if a.is_character() && b.is_character() {
        return Some(T::Text);
    }
    let exact = |ty: &T| matches!(ty, T::SmallInt | T::Integer | T::BigInt | T::Numeric(_));
    if exact(a) && exact(b) && (matches!(a, T::Numeric(_)) || matches!(b, T::Numeric(_))) {
        return Some(T::Numeric(None));
    }
    let wider = |a: &T, b: &T| closeness(a, b).is_some();
    if wider(a, b) {
        return Some(b.clone());
    }
    wider(b, a).then(|| a.clone())
}

/// How near a type is to another that it casts to implicitly; `None` where it does not.
pub(crate) fn closeness(from: &DataType, to: &DataType) -> Option<i32> {
    use DataType as T;
    let rank = |ty: &T| match ty {
        T::SmallInt => Some(1),
        T::Integer => Some(2),
        T::BigInt => Some(3),
        T::Numeric(_) => Some(4),
        T::Real => Some(5),
        T::Double => Some(6),
        _ => None,
    };
    if from == to || matches!((from, to), (T::Numeric(_), T::Numeric(_))) {
        return Some(100);
    }
    match (from, to) {
        (T::Varchar(_) | T::Char(_) | T::Text, T::Text | T::Varchar(_)) => Some(90),
        (T::Char(_), T::Char(_)) => Some(100),
        (T::Coded(a), T::Coded(b)) => closeness_of_coded(a, b),
        (T::Date, T::Timestamp(_)) => Some(30),
        (T::Date | T::Timestamp(_), T::TimestampTz(_)) => Some(40),
        (T::Time(_), T::Interval(_)) => Some(30),
        (T::Time(_), T::Coded(Coded::TimeTz(_))) => Some(25),
        (T::Array(a), T::Array(b)) => closeness(a, b),
        (a, b) => match (rank(a)?, rank(b)?) {
            // Small numbers are BIGINT where the planner writes them.
            (3, 1 | 2) => Some(5),
            // The preferred type wins over one that is merely nearer.
            (a, b) if a < b => Some(if b == 6 { 45 } else { 40 - (b - a) }),
            _ => None,
        },
    }
}

/// The same of coded types: a network is an address.
fn closeness_of_coded(from: &Coded, to: &Coded) -> Option<i32> {
    match (from, to) {
        (a, b) if a.is_kind_of(b) => Some(100),
        (Coded::Cidr, Coded::Inet) => Some(90),
        (Coded::MacAddr, Coded::MacAddr8) => Some(40),
        (Coded::Bit(_), Coded::VarBit(_)) => Some(40),
        (Coded::Composite(row), Coded::Composite(_)) if row.id == RECORD => {
            super::cast::castable(from, to).then_some(60)
        }
        _ => None,
    }
}

/// What a call is made with: one row's arguments.
pub(crate) struct Args<'a> {
    pub(crate) values: Vec<Value>,
    pub(crate) types: &'a [DataType],
    pub(crate) result: &'a DataType,
    config: Option<&'a ConfigOptions>,
    fields: &'a [FieldRef],
}

impl<'a> Args<'a> {
    /// The subscript of an array's first element.
    pub(crate) fn lower_bound(&self, at: usize) -> i32 {
        match self.fields.get(at) {
            Some(field) if is_vector(field) => 0,
            _ => 1,
        }
    }

    fn wrong(&self, at: usize, what: &str) -> Error {
        Error::internal(format!("argument {} is no {what}", at + 1))
    }

    /// Calls code with the elements of the last argument, an array, in its place.
    pub(crate) fn spread(&self, code: Code) -> Result<Value> {
        let last = self.len().saturating_sub(1);
        let elements = self.array(last)?;
        let mut values = self.values[..last].to_vec();
        values.extend_from_slice(elements);
        let mut types = self.types[..last].to_vec();
        let item = match &self.types[last] {
            DataType::Array(item) => (**item).clone(),
            other => other.clone(),
        };
        types.extend(std::iter::repeat_n(item, elements.len()));
        code(&Args { values, types: &types, result: self.result, config: self.config, fields: self.fields })
    }

    /// Calls code with the first arguments alone.
    pub(crate) fn first(&self, count: usize, code: Code) -> Result<Value> {
        let values = self.values[..count].to_vec();
        code(&Args {
            values,
            types: &self.types[..count],
            result: self.result,
            config: self.config,
            fields: self.fields,
        })
    }

    /// How many arguments there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// A text.
    pub(crate) fn text(&self, at: usize) -> Result<&str> {
        self.values.get(at).and_then(Value::as_str).ok_or_else(|| self.wrong(at, "text"))
    }

    /// A text that may be left out.
    pub(crate) fn text_or(&'a self, at: usize, other: &'a str) -> Result<&'a str> {
        if at < self.len() { self.text(at) } else { Ok(other) }
    }

    /// An integer.
    pub(crate) fn int(&self, at: usize) -> Result<i64> {
        self.values.get(at).and_then(Value::as_i64).ok_or_else(|| self.wrong(at, "integer"))
    }

    /// An integer that may be left out.
    pub(crate) fn int_or(&self, at: usize, other: i64) -> Result<i64> {
        if at < self.len() { self.int(at) } else { Ok(other) }
    }

    /// A boolean that may be left out.
    pub(crate) fn bool_or(&self, at: usize, other: bool) -> Result<bool> {
        match self.values.get(at) {
            None => Ok(other),
            Some(Value::Boolean(b)) => Ok(*b),
            Some(_) => Err(self.wrong(at, "boolean")),
        }
    }

    /// A float.
    pub(crate) fn double(&self, at: usize) -> Result<f64> {
        self.values.get(at).and_then(Value::as_f64).ok_or_else(|| self.wrong(at, "number"))
    }

    /// A numeric.
    pub(crate) fn decimal(&self, at: usize) -> Result<Decimal> {
        match self.values.get(at) {
            Some(Value::Numeric(n)) => Ok(*n),
            Some(Value::SmallInt(n)) => Ok(Decimal::new(i128::from(*n), 0)),
            Some(Value::Integer(n)) => Ok(Decimal::new(i128::from(*n), 0)),
            Some(Value::BigInt(n)) => Ok(Decimal::new(i128::from(*n), 0)),
            _ => Err(self.wrong(at, "numeric")),
        }
    }

    /// The bytes of a BYTEA.
    pub(crate) fn bytes(&self, at: usize) -> Result<&[u8]> {
        match self.values.get(at) {
            Some(Value::Bytea(bytes)) => Ok(bytes),
            _ => Err(self.wrong(at, "bytea")),
        }
    }

    /// The elements of an array.
    pub(crate) fn array(&self, at: usize) -> Result<&[Value]> {
        match self.values.get(at) {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(self.wrong(at, "array")),
        }
    }

    /// An interval.
    pub(crate) fn interval(&self, at: usize) -> Result<Interval> {
        match self.values.get(at) {
            Some(Value::Interval(interval)) => Ok(*interval),
            _ => Err(self.wrong(at, "interval")),
        }
    }

    /// The statement.
    pub(crate) fn scope(&self) -> Result<Arc<Scope>> {
        let config = self.config.ok_or_else(|| Error::internal("no statement"))?;
        ScopeExtension::of(config)
    }

    /// The session's time zone.
    pub(crate) fn zone(&self) -> Zone {
        self.config.and_then(|config| ScopeExtension::of(config).ok()).map_or(Zone::UTC, |s| s.zone())
    }

    /// An argument in PostgreSQL's text form.
    pub(crate) fn as_text(&self, at: usize) -> Result<String> {
        let (Some(value), Some(ty)) = (self.values.get(at), self.types.get(at)) else {
            return Err(self.wrong(at, "value"));
        };
        Ok(text_of(value, ty, self.zone()))
    }
}

/// A value in PostgreSQL's text form, as casts to text give it.
pub(crate) fn text_of(value: &Value, ty: &DataType, zone: Zone) -> String {
    match (value, ty) {
        (Value::Text(text), DataType::Char(_)) => text.trim_end_matches(' ').to_owned(),
        _ => {
            let mut text = String::new();
            value.write_text_in(ty, zone, &mut text);
            text
        }
    }
}

/// A value as one of another type, to which it casts implicitly; a literal by its text.
pub(crate) fn coerce(value: Value, from: &Found, to: &DataType, zone: Zone) -> Result<Value> {
    if value.is_null() {
        return Ok(value);
    }
    let Some(from) = from else { return parse(value, to, zone) };
    if from == to {
        return Ok(value);
    }
    Ok(match (value, to) {
        (value @ Value::Coded { ty: Coded::Composite(_), .. }, to) => {
            super::cast::single(value, from, to, zone)?
        }
        (value @ Value::Coded { ty: Coded::MacAddr, .. }, to) => super::cast::convert(value, from, to, zone)?,
        (Value::Coded { code, .. }, DataType::Coded(to)) => Value::Coded { ty: to.clone(), code },
        (value @ Value::Numeric(_), DataType::Numeric(_)) => value,
        (value, DataType::Numeric(_)) if value.as_i64().is_some() => {
            Value::Numeric(Decimal::from(value.as_i64().unwrap_or_default()))
        }
        (Value::Numeric(n), DataType::Double) => Value::Double(n.to_f64()),
        (value, to) if from.is_numeric() && to.is_numeric() => value.fit(to)?,
        (Value::Array(items), DataType::Array(item)) => {
            let own = match from {
                DataType::Array(own) => Some((**own).clone()),
                other => Some(other.clone()),
            };
            Value::Array(items.into_iter().map(|v| coerce(v, &own, item, zone)).collect::<Result<_>>()?)
        }
        (Value::Text(text), DataType::Text | DataType::Varchar(_)) => match from {
            DataType::Char(_) => Value::Text(text.trim_end_matches(' ').to_owned()),
            _ => Value::Text(text),
        },
        (value, to) => super::cast::convert(value, from, to, zone)?,
    })
}

fn parse(value: Value, to: &DataType, zone: Zone) -> Result<Value> {
    match (value, to) {
        (Value::Text(text), DataType::Numeric(_)) => Ok(Value::Numeric(Decimal::parse(&text)?)),
        (Value::Text(text), DataType::TimestampTz(_)) => {
            Ok(Value::TimestampTz(cairn_types::datetime::parse_timestamptz(&text, zone)?))
        }
        (Value::Text(text), to @ DataType::Array(item))
            if !matches!(**item, DataType::Array(_)) && text.trim_start().starts_with("{{") =>
        {
            Ok(Value::parse_text(&text, &DataType::Array(Box::new(to.clone())))?)
        }
        (Value::Text(text), to) => Ok(Value::parse_text(&text, to)?),
        (value, _) => Ok(value),
    }
}

pub(crate) fn found(field: &FieldRef, constant: bool) -> Found {
    if field.data_type().is_null() {
        return None;
    }
    let ty = super::sql_type(field);
    (!(constant && ty == DataType::Text)).then_some(ty)
}

impl ScalarUDFImpl for Overloaded {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Err(Error::internal("the type of a call follows from its arguments").into())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let found: Vec<Found> = args
            .arg_fields
            .iter()
            .zip(args.scalar_arguments)
            .map(|(field, constant)| found(field, constant.is_some()))
            .collect();
        let choice = self.choose(&found)?;
        let ty = match &choice.overload.returns {
            Returns::Is(ty) => ty.clone(),
            Returns::Array => DataType::Array(Box::new(choice.element.clone().unwrap_or(DataType::Text))),
            Returns::Digits(at) => match (digits(args.scalar_arguments.get(*at)), found.first()) {
                (_, Some(Some(DataType::Numeric(None)) | None)) | (None, _) => DataType::Numeric(None),
                (Some(digits), _) => DataType::Numeric(Some((38, digits))),
            },
        };
        Ok(Arc::new(ty.to_field(self.name, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let result = super::sql_type(&args.return_field);
        let own: Vec<DataType> = args.arg_fields.iter().map(|field| super::sql_type(field)).collect();
        let found: Vec<Found> = args
            .arg_fields
            .iter()
            .zip(&args.args)
            .map(|(field, arg)| found(field, matches!(arg, ColumnarValue::Scalar(_))))
            .collect();
        let choice = self.choose(&found)?;
        if let Some(native) = &choice.overload.native
            && (choice.overload.casts
                || own.iter().zip(&choice.types).all(|(own, wanted)| own == wanted || is_wider(own, wanted)))
        {
            let mut args = args;
            for (arg, wanted) in args.args.iter_mut().zip(&choice.types) {
                *arg = arg.cast_to(&wanted.to_arrow(), None)?;
            }
            return native.invoke_with_args(args);
        }
        let config = Arc::clone(&args.config_options);
        let zone = ScopeExtension::of(&config).map_or(Zone::UTC, |scope| scope.zone());
        let each = self.signature.volatility == Volatility::Volatile;
        super::column(&args, &result, each, |args, row| {
            let mut values = super::row_values(args, &own, row)?;
            if choice.overload.strict && values.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            for (at, value) in values.iter_mut().enumerate() {
                *value = coerce(std::mem::take(value), &found[at], &choice.types[at], zone)?;
            }
            (choice.overload.code)(&Args {
                values,
                types: &choice.types,
                result: &result,
                config: Some(&config),
                fields: &args.arg_fields,
            })
        })
    }
}

/// Whether an integer goes as it is where a wider one is taken.
fn is_wider(own: &DataType, wanted: &DataType) -> bool {
    *wanted == DataType::BigInt && matches!(own, DataType::SmallInt | DataType::Integer)
}

/// The digits after the point that a constant argument asks for; `None` where they leave little room before it.
fn digits(constant: Option<&Option<&ScalarValue>>) -> Option<i8> {
    match constant?.as_ref()?.cast_to(&ArrowType::Int64).ok()? {
        ScalarValue::Int64(Some(digits)) if digits <= 16 => Some(digits.max(0) as i8),
        _ => None,
    }
}
