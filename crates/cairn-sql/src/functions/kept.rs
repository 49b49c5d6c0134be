//! Calls that keep the types that they were planned with. What Arrow has no word for (JSONB, CHAR(n), UUID …) stands in the
//! metadata of fields, which the query engine forgets on its ways: for NULLs in the place of a side of a join that is known to be
//! empty, for results of CASE, in batches whose schema is that of another operator. A function that looks at its arguments' types would
//! then do something else, or nothing. So each call gets the types of its arguments written into it, once all of them are known.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef};
use cairn_types::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExprSchemable, ExpressionPlacement, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, StructFieldMapping,
};

use super::alike::typed_as;
use super::sql_type;

/// A function, called with arguments of these types.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept {
    inner: Arc<ScalarUDF>,
    /// `None` where Arrow's type leaves no doubt.
    types: Vec<Option<DataType>>,
}

/// The function for arguments of these fields; `None` where their types cannot be forgotten.
pub(crate) fn keeping(function: &Arc<ScalarUDF>, fields: &[FieldRef]) -> Option<Arc<ScalarUDF>> {
    if function.inner().is::<Kept>() || function.as_async().is_some() {
        return None;
    }
    let types: Vec<Option<DataType>> = fields.iter().map(in_doubt).collect();
    let kept = || Arc::new(ScalarUDF::from(Kept { inner: Arc::clone(function), types: types.clone() }));
    types.iter().any(Option::is_some).then(kept)
}

/// The type of values that are others too for Arrow.
fn in_doubt(field: &FieldRef) -> Option<DataType> {
    let ambiguous = match field.data_type() {
        ArrowType::Utf8 | ArrowType::Binary | ArrowType::FixedSizeBinary(_) => true,
        ArrowType::List(_) | ArrowType::Struct(_) => true,
        _ => !field.metadata().is_empty(),
    };
    if !ambiguous {
        return None;
    }
    let ty = sql_type(field);
    (ty.to_arrow() == *field.data_type()).then_some(ty)
}

impl Kept {
    /// The field, of that type again.
    fn restored(field: &FieldRef, ty: Option<&DataType>) -> FieldRef {
        let Some(ty) = ty.filter(|ty| Self::is_forgotten(field, ty)) else { return Arc::clone(field) };
        Arc::new(ty.to_field(field.name(), field.is_nullable()))
    }

    fn is_forgotten(field: &FieldRef, ty: &DataType) -> bool {
        sql_type(field) != *ty && ty.to_arrow() == *field.data_type()
    }

    fn fields(&self, fields: &[FieldRef]) -> Vec<FieldRef> {
        let types = self.types.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        fields.iter().zip(types).map(|(field, ty)| Self::restored(field, ty)).collect()
    }

    /// The arguments, each of its type again.
    fn args(&self, args: Vec<Expr>, info: &SimplifyContext) -> Vec<Expr> {
        let types = self.types.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        let one = |(arg, ty): (Expr, Option<&DataType>)| {
            let (Some(ty), Ok((_, field))) = (ty, arg.to_field(info.schema())) else { return arg };
            if Self::is_forgotten(&field, ty) { typed_as(arg, ty) } else { arg }
        };
        args.into_iter().zip(types).map(one).collect()
    }
}

impl ScalarUDFImpl for Kept {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        self.inner.return_type(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = Arc::new(self.inner.inner().with_updated_config(config)?);
        Some(ScalarUDF::from(Kept { inner, types: self.types.clone() }))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let arg_fields = self.fields(args.arg_fields);
        let args = ReturnFieldArgs { arg_fields: &arg_fields, scalar_arguments: args.scalar_arguments };
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arg_fields = self.fields(&args.arg_fields);
        self.inner.invoke_with_args(ScalarFunctionArgs { arg_fields, ..args })
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.inner().simplify(self.args(args, info), info)
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner.inner().preimage(args, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.inner().conditional_arguments(args)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(inputs)
    }

    fn propagate_constraints(
        &self,
        interval: &Interval,
        inputs: &[&Interval],
    ) -> Result<Option<Vec<Interval>>> {
        self.inner.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, types: &[ArrowType]) -> Result<Vec<ArrowType>> {
        self.inner.coerce_types(types)
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner.struct_field_mapping(literals)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(args)
    }
}
