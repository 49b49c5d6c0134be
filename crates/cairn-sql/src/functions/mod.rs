//! SQL functions of our own: PostgreSQL's where DataFusion lacks them or means something else.
//!
//! A function is a [`Simple`] (name, signature, result, code) or, where its type depends on its arguments, a
//! `ScalarUDFImpl` of its own; either way one line in [`register`].

mod aggregate;
pub(crate) mod alike;
pub(crate) mod array;
mod array_agg;
mod average;
mod bits;
mod bytes;
pub(crate) mod case;
pub(crate) mod cast;
mod catalog;
pub(crate) mod checked;
pub(crate) mod closure;
pub(crate) mod coded;
pub(crate) mod composite;
pub(crate) mod date_field;
mod datetime;
mod distinct;
pub(crate) mod domain;
pub(crate) mod elements;
mod enums;
mod erf;
mod exact;
mod exact_average;
mod format_number;
mod format_time;
pub(crate) mod json;
pub(crate) mod kept;
pub(crate) mod keys;
mod keywords;
pub(crate) mod like;
pub(crate) mod listed;
pub(crate) mod lock;
mod math;
pub(crate) mod missing;
mod named_row;
mod network;
mod normal_form;
mod notify;
pub(crate) mod objects;
pub(crate) mod operators;
pub(crate) mod overload;
mod parse_time;
mod privileges;
mod quantified;
mod raise;
mod range;
pub(crate) mod regex;
mod series;
pub(crate) mod shift;
mod signal;
mod similar;
mod strings;
pub(crate) mod subscript;
pub(crate) mod sum;
pub(crate) mod system;
pub(crate) mod text;
pub(crate) mod time;
mod truncate;
pub(crate) mod unknown;
pub(crate) mod variadic;
mod variance;
pub(crate) mod wide;
mod wide_sum;
pub(crate) mod zip;
pub(crate) mod zoned_time;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use cairn_types::{DataType, Value};
use datafusion::execution::SessionState;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::catalog::column_type;
use crate::query::state::register_scalar;
use crate::{Error, Result};

/// The PostgreSQL version whose behaviour is followed; the tail says what answers.
pub(crate) const POSTGRES_VERSION: &str = "15.0 (CairnDB 0.1.0)";

/// Registers everything.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let mut all = vec![ScalarUDF::from(cast::Cast::new())];
    all.extend(alike::functions());
    all.extend(listed::functions());
    all.extend(lock::functions());
    all.extend(notify::functions());
    all.extend(signal::functions());
    all.extend(bytes::functions());
    all.extend(case::functions());
    all.extend(catalog::functions());
    all.extend(datetime::functions());
    all.extend(elements::functions());
    all.extend(enums::functions());
    all.extend(exact::functions());
    all.extend(format_number::functions());
    all.extend(format_time::functions());
    all.extend(math::functions());
    all.extend(of_operators());
    all.extend(operators::functions());
    all.extend(objects::functions());
    all.extend(privileges::functions());
    all.push(named_row::function());
    all.push(raise::function());
    all.extend(system::functions());
    all.extend(text::functions());
    all.extend(time::functions());
    all.extend(variadic::functions());
    all.push(ScalarUDF::from(keywords::function()));
    all.push(truncate::function());
    all.extend(date_field::functions());
    all.push(unknown::function());
    all.extend(crate::ddl::functions());
    for function in all {
        register_scalar(state, function)?;
    }
    state.register_udaf(Arc::new(AggregateUDF::from(sum::Sum::new()))).map_err(Error::from)?;
    state.register_udaf(Arc::new(AggregateUDF::from(average::Average::new()))).map_err(Error::from)?;
    state.register_udaf(Arc::new(AggregateUDF::from(array_agg::ArrayAgg::new()))).map_err(Error::from)?;
    for function in
        aggregate::functions().into_iter().chain(variance::functions()).chain(distinct::functions())
    {
        state.register_udaf(Arc::new(function)).map_err(Error::from)?;
    }
    Ok(())
}

/// Functions that operators become, and their kin.
pub(crate) fn of_operators() -> Vec<ScalarUDF> {
    let mut all = array::functions();
    all.extend(quantified::functions());
    all.extend(coded::functions());
    all.extend(keys::functions());
    all.extend(wide::functions());
    all.extend(composite::functions());
    all.extend(bits::functions());
    all.extend(like::functions());
    all.extend(network::functions());
    all.extend(range::functions());
    all.extend(json::functions());
    all.extend(regex::functions());
    all.extend(strings::functions());
    all.push(subscript::function());
    all.extend(zip::functions());
    all.extend(zoned_time::functions());
    all
}

/// `min` or `max` by the order of values, for types that the query engine orders otherwise.
pub(crate) fn extreme(name: &str) -> Arc<AggregateUDF> {
    static ALL: std::sync::LazyLock<Vec<Arc<AggregateUDF>>> =
        std::sync::LazyLock::new(|| aggregate::functions().into_iter().map(Arc::new).collect());
    let ours = if name == "min" { "cairn_min" } else { "cairn_max" };
    ALL.iter()
        .find(|function| function.name() == ours)
        .map(Arc::clone)
        .expect("aggregate::functions has both")
}

/// The aggregate that gives the first value that it meets.
pub(crate) fn some_value() -> Arc<AggregateUDF> {
    static SOME: std::sync::LazyLock<Arc<AggregateUDF>> = std::sync::LazyLock::new(|| {
        let all = aggregate::functions();
        let some = all.into_iter().find(|function| function.name() == "cairn_some");
        Arc::new(some.expect("aggregate::functions has it"))
    });
    Arc::clone(&SOME)
}

/// What a simple function is called with: one row's arguments, and the statement's configuration.
pub(crate) struct Call<'a> {
    pub(crate) values: &'a [Value],
    pub(crate) args: &'a ScalarFunctionArgs,
}

impl Call<'_> {
    /// The text of an argument.
    pub(crate) fn text(&self, at: usize) -> Result<&str> {
        self.values
            .get(at)
            .and_then(Value::as_str)
            .ok_or_else(|| Error::new("42804", format!("argument {} must be text", at + 1)))
    }

    /// The integer of an argument.
    pub(crate) fn integer(&self, at: usize) -> Result<i64> {
        self.values
            .get(at)
            .and_then(Value::as_i64)
            .ok_or_else(|| Error::new("42804", format!("argument {} must be an integer", at + 1)))
    }
}

/// The code of a simple function.
pub(crate) type Code = fn(&Call<'_>) -> Result<Value>;

/// A function that is computed row by row over values.
pub(crate) struct Simple {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    result: DataType,
    /// NULL in, NULL out, without calling.
    strict: bool,
    /// What clients are told of its result, see [`column_type`].
    told: Option<u32>,
    code: Code,
}

impl std::fmt::Debug for Simple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simple").field("name", &self.name).finish_non_exhaustive()
    }
}

// Names are unique in the registry.
impl PartialEq for Simple {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.signature == other.signature
    }
}
impl Eq for Simple {}
impl Hash for Simple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// What arguments a simple function takes.
pub(crate) enum Takes {
    /// Exactly these types, coerced.
    Exact(Vec<DataType>),
    /// One of these lists.
    OneOf(Vec<Vec<DataType>>),
    /// So many of any type.
    Any(usize),
    /// Any number of any type.
    Variadic,
}

impl Simple {
    pub(crate) fn new(
        name: &'static str,
        takes: Takes,
        result: DataType,
        volatility: Volatility,
        code: Code,
    ) -> Self {
        use datafusion::logical_expr::TypeSignature;
        let exact = |types: Vec<DataType>| {
            if types.is_empty() {
                TypeSignature::Nullary
            } else {
                TypeSignature::Exact(types.iter().map(DataType::to_arrow).collect())
            }
        };
        let signature = match takes {
            Takes::Exact(types) => Signature::new(exact(types), volatility),
            Takes::OneOf(lists) => {
                Signature::new(TypeSignature::OneOf(lists.into_iter().map(exact).collect()), volatility)
            }
            Takes::Any(count) => Signature::any(count, volatility),
            Takes::Variadic => Signature::new(
                TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::VariadicAny]),
                volatility,
            ),
        };
        Self { name, aliases: Vec::new(), signature, result, strict: true, told: None, code }
    }

    /// Calls the code for NULL arguments too.
    pub(crate) fn with_nulls(mut self) -> Self {
        self.strict = false;
        self
    }

    /// Its result is told as PostgreSQL's type of this number.
    pub(crate) fn told(mut self, number: u32) -> Self {
        self.told = Some(number);
        self
    }

    pub(crate) fn alias(mut self, name: &str) -> Self {
        self.aliases.push(name.to_owned());
        self
    }
}

impl ScalarUDFImpl for Simple {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        Ok(self.result.to_arrow())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> datafusion::error::Result<FieldRef> {
        let field = self.result.to_field(self.name, true);
        Ok(Arc::new(match self.told {
            Some(number) => column_type::telling(field, number),
            None => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| sql_type(f)).collect();
        // What is volatile is called for each row, whatever it is called with.
        let each = self.signature.volatility == Volatility::Volatile;
        column(&args, &self.result, each, |args, row| {
            let values = row_values(args, &types, row)?;
            if self.strict && values.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            (self.code)(&Call { values: &values, args })
        })
    }
}

/// The SQL type of an argument, without digits of a second and fields of an interval.
pub(crate) fn sql_type(field: &Field) -> DataType {
    crate::query::output::data_type(field).without_limit()
}

/// The arguments of one row as values.
pub(crate) fn row_values(args: &ScalarFunctionArgs, types: &[DataType], row: usize) -> Result<Vec<Value>> {
    args.args
        .iter()
        .zip(types)
        .map(|(arg, ty)| {
            Ok(match arg {
                ColumnarValue::Array(array) => Value::from_array(&**array, row, ty),
                ColumnarValue::Scalar(scalar) => {
                    let array = scalar.to_array().map_err(Error::from)?;
                    Value::from_array(&*array, 0, ty)
                }
            })
        })
        .collect()
}

/// Computes a column (or one value, where all arguments are constants) row by row.
pub(crate) fn rows(
    args: &ScalarFunctionArgs,
    result: &DataType,
    code: impl FnMut(&ScalarFunctionArgs, usize) -> Result<Value>,
) -> datafusion::error::Result<ColumnarValue> {
    column(args, result, false, code)
}

pub(crate) fn column(
    args: &ScalarFunctionArgs,
    result: &DataType,
    each: bool,
    mut code: impl FnMut(&ScalarFunctionArgs, usize) -> Result<Value>,
) -> datafusion::error::Result<ColumnarValue> {
    let constant =
        !each && !args.args.is_empty() && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
    let count = if constant { 1 } else { args.number_rows };
    let mut column = cairn_types::ColumnBuilder::with_capacity(result, count);
    for row in 0..count {
        let value = code(args, row)?;
        column.push(&value).map_err(Error::from)?;
    }
    let array: ArrayRef = column.finish().map_err(Error::from)?;
    if constant {
        return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&array, 0)?));
    }
    Ok(ColumnarValue::Array(array))
}
