//! Functions of enums: `enum_first`, `enum_last`, `enum_range`. They go by the type of their arguments, also of NULL.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_types::{Coded, DataType, EnumType, Value};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::{missing, row_values, rows, sql_type};
use crate::{Error, Result};

#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Kind {
    First,
    Last,
    Range,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfEnum {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

/// Registers them.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [("enum_first", Kind::First), ("enum_last", Kind::Last), ("enum_range", Kind::Range)]
        .into_iter()
        .map(|(name, kind)| {
            let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
            ScalarUDF::from(OfEnum { name, kind, signature: Signature::one_of(any, Volatility::Immutable) })
        })
        .collect()
}

impl OfEnum {
    /// The enum of the arguments.
    fn of(&self, fields: &[FieldRef]) -> Result<Arc<EnumType>> {
        let types: Vec<DataType> = fields.iter().map(|field| sql_type(field)).collect();
        let typed = || types.iter().zip(fields).filter(|(_, field)| !field.data_type().is_null());
        let none =
            || missing::error(self.name, &types.iter().map(super::overload::type_name).collect::<Vec<_>>());
        let expected = if self.kind == Kind::Range { 1..=2 } else { 1..=1 };
        if !expected.contains(&types.len()) {
            return Err(none());
        }
        let mut found = None;
        for (ty, _) in typed() {
            match (ty, &found) {
                (DataType::Coded(Coded::Enum(ty)), None) => found = Some(Arc::clone(ty)),
                (DataType::Coded(Coded::Enum(ty)), Some(other)) if ty.id == other.id => {}
                _ => return Err(none()),
            }
        }
        found.ok_or_else(|| {
            Error::new("42804", "could not determine polymorphic type because input has type unknown")
        })
    }
}

/// The value of a label.
fn value(ty: &Arc<EnumType>, at: usize) -> Value {
    let order = ty.labels[at].order;
    Value::Coded { ty: Coded::Enum(Arc::clone(ty)), code: cairn_types::coded::order_code(order).to_vec() }
}

impl ScalarUDFImpl for OfEnum {
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
        let own = DataType::Coded(Coded::Enum(self.of(args.arg_fields)?));
        let ty = if self.kind == Kind::Range { DataType::Array(Box::new(own)) } else { own };
        Ok(Arc::new(ty.to_field(self.name, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let ty = self.of(&args.arg_fields)?;
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| sql_type(field)).collect();
        let result = DataType::from_field(&args.return_field);
        let all: Vec<Value> = (0..ty.labels.len()).map(|at| value(&ty, at)).collect();
        rows(&args, &result, |args, row| {
            Ok(match self.kind {
                Kind::First => all.first().cloned().unwrap_or_default(),
                Kind::Last => all.last().cloned().unwrap_or_default(),
                Kind::Range => {
                    let bounds = row_values(args, &types, row)?;
                    let (low, high) = match bounds.as_slice() {
                        [low, high] => (low.clone(), high.clone()),
                        _ => (Value::Null, Value::Null),
                    };
                    let within =
                        |v: &&Value| (low.is_null() || **v >= low) && (high.is_null() || **v <= high);
                    Value::Array(all.iter().filter(within).cloned().collect())
                }
            })
        })
    }
}
