//! Functions of the application's own: Rust closures that SQL calls by name.
//!
//! They live as long as the [`crate::Engine`] and stand in no catalog: whoever opens a database whose definitions call
//! one (a CHECK, a DEFAULT, an index) gives it again first. Names of built-in functions stay theirs.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_types::{DataType, Value};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility as Kind,
};
use parking_lot::RwLock;

use super::{column, row_values};
use crate::{Error, Result};

/// What a function gives for the same arguments, as in CREATE FUNCTION.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Volatility {
    /// The same for ever: indexes and generated columns may use it.
    Immutable,
    /// The same within one statement.
    Stable,
    /// Anything: it is called for each row (the default).
    #[default]
    Volatile,
}

/// The code of a function: the arguments are of the declared types. What it fails with becomes the message of an
/// error `38000`.
pub type Code = dyn Fn(&[Value]) -> std::result::Result<Value, String> + Send + Sync;

/// A scalar function to be made.
#[derive(Clone)]
pub struct ScalarFunction {
    /// Name, as SQL folds it: in lower case unless it is always written in quotes.
    pub name: String,
    /// Types of the parameters.
    pub parameters: Vec<DataType>,
    /// Type of the result.
    pub result: DataType,
    /// See [`Volatility`].
    pub volatility: Volatility,
    /// Whether a NULL argument makes the result NULL without a call (STRICT).
    pub strict: bool,
    /// The code. It runs on the threads of queries, several at once; it should not block.
    pub code: Arc<Code>,
}

impl std::fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScalarFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The functions of one engine, by name.
#[derive(Debug, Default)]
pub(crate) struct Closures(RwLock<HashMap<String, Arc<ScalarUDF>>>);

impl Closures {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.0.read().get(name).cloned()
    }

    /// Adds a function.
    ///
    /// # Errors
    /// `42723` where there is one of that name.
    pub(crate) fn add(&self, function: ScalarFunction) -> Result<()> {
        let mut all = self.0.write();
        let name = function.name.clone();
        if all.contains_key(&name) {
            return Err(Error::new("42723", format!("function \"{name}\" already exists")));
        }
        all.insert(name, Arc::new(ScalarUDF::from(Closure::new(function))));
        Ok(())
    }
}

#[derive(Debug)]
struct Closure {
    function: ScalarFunction,
    signature: Signature,
}

impl Closure {
    fn new(function: ScalarFunction) -> Closure {
        let kind = match function.volatility {
            Volatility::Immutable => Kind::Immutable,
            Volatility::Stable => Kind::Stable,
            Volatility::Volatile => Kind::Volatile,
        };
        let takes = match function.parameters.is_empty() {
            true => TypeSignature::Nullary,
            false => TypeSignature::Exact(function.parameters.iter().map(DataType::to_arrow).collect()),
        };
        Closure { function, signature: Signature::new(takes, kind) }
    }
}

// One of each name in an engine, and plans do not go from one engine to another.
impl PartialEq for Closure {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name
    }
}
impl Eq for Closure {}
impl Hash for Closure {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Closure {
    fn name(&self) -> &str {
        &self.function.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        Ok(self.function.result.to_arrow())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> datafusion::error::Result<FieldRef> {
        Ok(Arc::new(self.function.result.to_field(&self.function.name, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let ScalarFunction { name, parameters, result, strict, code, .. } = &self.function;
        let each = self.signature.volatility == Kind::Volatile;
        column(&args, result, each, |args, row| {
            let values = row_values(args, parameters, row)?;
            if *strict && values.iter().any(Value::is_null) {
                return Ok(Value::Null);
            }
            let value = code(&values).map_err(|message| Error::new("38000", message))?;
            value.fit(result).map_err(|error| {
                Error::new("39000", format!("function {name} gave a value of another type than it declares"))
                    .with_detail(error.to_string())
            })
        })
    }
}
