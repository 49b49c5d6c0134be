//! `date_part`: the query engine's, and ours for TIME WITH TIME ZONE and for moments that it does not reach, infinite ones too.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use cairn_types::Value;
use cairn_types::datetime::Zone;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::functions::datetime::date_part;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::datetime::field_of;

/// The function.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(DatePart {
        inner: date_part(),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

fn is_zoned(ty: &ArrowType) -> bool {
    *ty == super::zoned_time::TYPE.to_arrow()
}

/// The fields value by value.
fn by_value(args: &ScalarFunctionArgs, name: &str, moments: &ArrayRef) -> crate::Result<ArrayRef> {
    let ty = super::sql_type(&args.arg_fields[1]);
    let fields = (0..moments.len()).map(|row| {
        let value = Value::from_array(&**moments, row, &ty);
        if value.is_null() {
            return Ok(None);
        }
        let field = field_of(name, &value, &ty, &|| Zone::UTC)?;
        Ok(field
            .and_then(|field| field.rescale(0))
            .and_then(|field| field.to_i64())
            .and_then(|field| i32::try_from(field).ok()))
    });
    Ok(Arc::new(fields.collect::<crate::Result<Int32Array>>()?))
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[ArrowType]) -> DataFusionResult<Vec<ArrowType>> {
        if let [_, moment] = types
            && is_zoned(moment)
        {
            return Ok(vec![ArrowType::Utf8, moment.clone()]);
        }
        let fields: Vec<FieldRef> =
            types.iter().map(|ty| Arc::new(Field::new("argument", ty.clone(), true))).collect();
        Ok(fields_with_udf(&fields, &*self.inner)?.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let own = self.inner.return_field_from_args(args)?;
        // Moments without end have no month.
        Ok(Arc::new(own.as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let (name, one) = match args.args.as_slice() {
            [ColumnarValue::Scalar(ScalarValue::Utf8(Some(name))), moment] => {
                (name.clone(), matches!(moment, ColumnarValue::Scalar(_)))
            }
            _ => return self.inner.invoke_with_args(args),
        };
        if *args.return_field.data_type() != ArrowType::Int32 {
            return self.inner.invoke_with_args(args);
        }
        let moments = args.args[1].to_array(if one { 1 } else { args.number_rows })?;
        if !is_zoned(moments.data_type()) {
            let found = self.inner.invoke_with_args(args.clone())?;
            let missing = match &found {
                ColumnarValue::Array(array) => array.null_count(),
                ColumnarValue::Scalar(value) => usize::from(value.is_null()),
            };
            if missing == moments.null_count() {
                return Ok(found);
            }
        }
        let fields = by_value(&args, &name, &moments)?;
        Ok(match one {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&fields, 0)?),
            false => ColumnarValue::Array(fields),
        })
    }

    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        context: &SimplifyContext,
    ) -> DataFusionResult<PreimageResult> {
        self.inner.preimage(args, literal, context)
    }
}
