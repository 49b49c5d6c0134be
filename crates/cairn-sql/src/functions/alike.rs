//! COALESCE, GREATEST, LEAST and NULLIF of values whose type Arrow has no word for (JSON, JSONB, VARCHAR, UUID …): the query engine's
//! functions, which forget it. And the function that gives an expression its type again, a CASE for one.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_types::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::core;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, lit,
};

use super::sql_type;
use crate::Error;

/// `cairn_typed(value, 'type')`: the value, which is one of that type.
pub(crate) const TYPED: &str = "cairn_typed";

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let wrapped = [core::coalesce(), core::greatest(), core::least(), core::nullif()];
    let mut all: Vec<ScalarUDF> = wrapped.into_iter().map(|inner| ScalarUDF::from(Alike { inner })).collect();
    all.push(typed());
    all
}

fn typed() -> ScalarUDF {
    ScalarUDF::from(Typed { signature: Signature::any(2, Volatility::Immutable) })
}

/// The type that values have in common, where Arrow's type alone does not say it.
fn common<'f>(fields: impl IntoIterator<Item = &'f FieldRef>) -> Option<DataType> {
    let mut found: Option<(DataType, &ArrowType)> = None;
    for field in fields.into_iter().filter(|field| !field.data_type().is_null()) {
        let ty = sql_type(field);
        match &found {
            None => found = Some((ty, field.data_type())),
            Some((known, _)) if *known == ty => {}
            Some(_) => return None,
        }
    }
    found
        .filter(|(ty, arrow)| DataType::from_arrow(arrow) != *ty && ty.to_arrow() == **arrow)
        .map(|(ty, _)| ty)
}

/// An expression with the type that all of its possible values have. Literals have been given that type, which they do not show.
pub(crate) fn with_type<'e>(
    expr: &Expr,
    values: impl IntoIterator<Item = &'e Expr>,
    schema: &DFSchema,
) -> Option<Expr> {
    let values = values.into_iter().filter(|value| !matches!(value, Expr::Literal(..)));
    let fields: Vec<FieldRef> =
        values.map(|value| Ok(value.to_field(schema)?.1)).collect::<Result<_>>().ok()?;
    let ty = common(&fields)?;
    Some(typed().call(vec![expr.clone(), lit(ty.signature())]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Typed {
    signature: Signature,
}

impl ScalarUDFImpl for Typed {
    fn name(&self) -> &str {
        TYPED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let Some(Some(ScalarValue::Utf8(Some(name)))) = args.scalar_arguments.get(1) else {
            return Err(Error::internal("the name of a type expected").into());
        };
        let ty = DataType::parse(name).ok_or_else(|| Error::internal(format!("no type {name}")))?;
        Ok(Arc::new(ty.to_field(TYPED, args.arg_fields[0].is_nullable())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args[0].cast_to(args.return_field.data_type(), None)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(inputs[0].sort_properties)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Alike {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Alike {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let fields = args.arg_fields.iter().zip(args.scalar_arguments);
        let ty = common(fields.filter(|(_, literal)| literal.is_none()).map(|(field, _)| field));
        let own = self.inner.return_field_from_args(args)?;
        Ok(match ty.filter(|ty| ty.to_arrow() == *own.data_type()) {
            Some(ty) => Arc::new(ty.to_field(own.name().as_str(), own.is_nullable())),
            None => own,
        })
    }

    fn coerce_types(&self, types: &[ArrowType]) -> Result<Vec<ArrowType>> {
        let mut known = types.iter().filter(|ty| !ty.is_null());
        let first = known.next();
        self.inner.inner().coerce_types(types).or_else(|error| match first {
            // Values of one type, NULL aside, have it in common.
            Some(first) if known.all(|ty| ty == first) => Ok(vec![first.clone(); types.len()]),
            _ => Err(error),
        })
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let values = args.clone();
        Ok(match self.inner.inner().simplify(args, info)? {
            ExprSimplifyResult::Simplified(expr @ Expr::Case(_)) => {
                let typed = with_type(&expr, &values, info.schema());
                ExprSimplifyResult::Simplified(typed.unwrap_or(expr))
            }
            other => other,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.inner().conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }
}
