//! `nextval`, `currval`, `setval`, `lastval`, `pg_get_serial_sequence`.
//!
//! They are volatile and computed for each row, also where their arguments are constants: `SELECT nextval('s') FROM t`
//! draws one number a row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use cairn_engine::catalog::{ObjectId, Privileges, SequenceDescriptor};
use cairn_types::{ColumnBuilder, DataType, Value};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::names;
use crate::context::{Context, ScopeExtension};
use crate::functions::{row_values, sql_type};
use crate::{Error, Result, catalog, privileges};

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Next,
    Current,
    Set,
    Last,
    Serial,
}

#[derive(Debug)]
struct SequenceFunction {
    kind: Kind,
    signature: Signature,
}

// One of each kind.
impl PartialEq for SequenceFunction {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}
impl Eq for SequenceFunction {}
impl Hash for SequenceFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
    }
}

/// All of them.
pub(super) fn all() -> Vec<ScalarUDF> {
    let text = || ArrowType::Utf8;
    let name = || vec![TypeSignature::Exact(vec![text()]), TypeSignature::Exact(vec![ArrowType::Int64])];
    let set = |with: &[ArrowType]| -> Vec<TypeSignature> {
        [text(), ArrowType::Int64]
            .into_iter()
            .map(|first| {
                let mut types = vec![first, ArrowType::Int64];
                types.extend(with.iter().cloned());
                TypeSignature::Exact(types)
            })
            .collect()
    };
    let one = |kind: Kind, signature: Vec<TypeSignature>| {
        let signature = Signature::new(TypeSignature::OneOf(signature), Volatility::Volatile);
        ScalarUDF::from(SequenceFunction { kind, signature })
    };
    let mut setval = set(&[]);
    setval.extend(set(&[ArrowType::Boolean]));
    vec![
        one(Kind::Next, name()),
        one(Kind::Current, name()),
        one(Kind::Set, setval),
        one(Kind::Last, vec![TypeSignature::Nullary]),
        one(Kind::Serial, vec![TypeSignature::Exact(vec![text(), text()])]),
    ]
}

impl ScalarUDFImpl for SequenceFunction {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Next => "nextval",
            Kind::Current => "currval",
            Kind::Set => "setval",
            Kind::Last => "lastval",
            Kind::Serial => "pg_get_serial_sequence",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        Ok(if self.kind == Kind::Serial { ArrowType::Utf8 } else { ArrowType::Int64 })
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> datafusion::error::Result<FieldRef> {
        let ty = if self.kind == Kind::Serial { DataType::Text } else { DataType::BigInt };
        Ok(Arc::new(Field::clone(&ty.to_field(self.name(), true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let context = Context { scope: ScopeExtension::of(&args.config_options)? };
        Ok(self.call(&context, &args)?)
    }
}

impl SequenceFunction {
    fn call(&self, context: &Context, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Many numbers of one sequence are drawn at once.
        if self.kind == Kind::Next
            && let [ColumnarValue::Scalar(name)] = args.args.as_slice()
            && let Some(sequence) = by_scalar(context, name)?
        {
            privileges::require_sequence(context, sequence.id, &sequence.name, DRAW)?;
            let numbers = context.txn().nextval_many(sequence.id, args.number_rows)?;
            if let Some(last) = numbers.last() {
                remember(context, sequence.id, *last);
            }
            return Ok(ColumnarValue::Array(Arc::new(Int64Array::from(numbers))));
        }
        let result = if self.kind == Kind::Serial { DataType::Text } else { DataType::BigInt };
        let types: Vec<DataType> = args.arg_fields.iter().map(|f| sql_type(f)).collect();
        let mut column = ColumnBuilder::with_capacity(&result, args.number_rows);
        for row in 0..args.number_rows {
            let values = row_values(args, &types, row)?;
            let value = match values.iter().any(Value::is_null) {
                true => Value::Null,
                false => self.row(context, &values)?,
            };
            column.push(&value)?;
        }
        let array: ArrayRef = column.finish()?;
        Ok(ColumnarValue::Array(array))
    }

    fn row(&self, context: &Context, values: &[Value]) -> Result<Value> {
        match self.kind {
            Kind::Next => {
                let sequence = by_value(context, &values[0])?;
                privileges::require_sequence(context, sequence.id, &sequence.name, DRAW)?;
                let n = context.txn().nextval(sequence.id)?;
                remember(context, sequence.id, n);
                Ok(Value::BigInt(n))
            }
            Kind::Current => {
                let sequence = by_value(context, &values[0])?;
                let any = Privileges::SELECT | Privileges::USAGE;
                privileges::require_sequence(context, sequence.id, &sequence.name, any)?;
                let current = context.scope.sequences.lock().current.get(&sequence.id).copied();
                current.map(Value::BigInt).ok_or_else(|| {
                    let name = &sequence.name;
                    Error::new(
                        "55000",
                        format!("currval of sequence \"{name}\" is not yet defined in this session"),
                    )
                })
            }
            Kind::Last => {
                let memory = context.scope.sequences.lock();
                if let Some(own) =
                    memory.last.and_then(|id| context.txn().catalog().sequence_by_id(id).cloned())
                {
                    let any = Privileges::SELECT | Privileges::USAGE;
                    privileges::require_sequence(context, own.id, &own.name, any)?;
                }
                let last = memory.last.and_then(|id| memory.current.get(&id).copied());
                last.map(Value::BigInt)
                    .ok_or_else(|| Error::new("55000", "lastval is not yet defined in this session"))
            }
            Kind::Set => {
                context.require_writable("setval()")?;
                let sequence = by_value(context, &values[0])?;
                privileges::require_sequence(context, sequence.id, &sequence.name, Privileges::UPDATE)?;
                let n = values[1].as_i64().unwrap_or_default();
                let called = values.get(2).is_none_or(|v| *v == Value::Boolean(true));
                context.txn().setval(sequence.id, n, called)?;
                if called {
                    context.scope.sequences.lock().current.insert(sequence.id, n);
                }
                Ok(Value::BigInt(n))
            }
            Kind::Serial => serial(context, values),
        }
    }
}

/// What `nextval` needs one of.
const DRAW: Privileges = Privileges::DRAW;

fn remember(context: &Context, id: ObjectId, value: i64) {
    let mut memory = context.scope.sequences.lock();
    memory.current.insert(id, value);
    memory.last = Some(id);
}

fn by_scalar(context: &Context, name: &ScalarValue) -> Result<Option<Arc<SequenceDescriptor>>> {
    match name {
        ScalarValue::Utf8(Some(name))
        | ScalarValue::Utf8View(Some(name))
        | ScalarValue::LargeUtf8(Some(name)) => by_name(context, name).map(Some),
        ScalarValue::Int64(Some(id)) => by_id(context, *id).map(Some),
        _ => Ok(None),
    }
}

fn by_value(context: &Context, value: &Value) -> Result<Arc<SequenceDescriptor>> {
    match (value.as_str(), value.as_i64()) {
        (Some(name), _) => by_name(context, name),
        (_, Some(id)) => by_id(context, id),
        _ => Err(Error::new("42804", "a sequence is named by text")),
    }
}

fn by_id(context: &Context, id: i64) -> Result<Arc<SequenceDescriptor>> {
    let catalog = context.catalog()?;
    let found = u32::try_from(id).ok().and_then(|id| catalog.sequence_by_id(id).cloned());
    found.ok_or_else(|| Error::new("42P01", format!("relation with OID {id} does not exist")))
}

fn by_name(context: &Context, name: &str) -> Result<Arc<SequenceDescriptor>> {
    let catalog = context.catalog()?;
    let parsed = names::parse(name)?;
    let (schema, sequence) = catalog::resolve_name(context, &catalog, &parsed)?;
    Ok(catalog.sequence(&schema, &sequence)?)
}

/// The sequence of a SERIAL or IDENTITY column.
fn serial(context: &Context, values: &[Value]) -> Result<Value> {
    let catalog = context.catalog()?;
    let table = names::parse(values[0].as_str().unwrap_or_default())?;
    let (schema, table) = catalog::resolve_name(context, &catalog, &table)?;
    let table = catalog.table(&schema, &table)?;
    let column = table.column(values[1].as_str().unwrap_or_default())?;
    let owned = catalog.owned_sequences(table.id).find(|s| s.owned_by == Some((table.id, column.id)));
    Ok(owned.map_or(Value::Null, |s| Value::Text(format!("{}.{}", s.schema, s.name))))
}
