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

/// `extract` of fields that are whole numbers: `date_part` as NUMERIC.
pub(crate) const EXTRACT: &str = "cairn_extract_field";
/// `date_part` of these fields as DOUBLE PRECISION.
pub(crate) const PART: &str = "cairn_part_field";

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let signature = || Signature::user_defined(Volatility::Immutable);
    let part = || ScalarUDF::from(DatePart { inner: date_part(), signature: signature() });
    let typed =
        |name, ty| ScalarUDF::from(Typed { name, ty, inner: Arc::new(part()), signature: signature() });
    vec![part(), typed(EXTRACT, ArrowType::Decimal128(10, 0)), typed(PART, ArrowType::Float64)]
}

/// `date_part`, whose integers are brought to a type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Typed {
    name: &'static str,
    ty: ArrowType,
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

/// A literal of these types as the integer that it is.
fn whole(literal: &Expr) -> Option<Expr> {
    let Expr::Literal(value, metadata) = literal else { return None };
    let number = match value {
        ScalarValue::Decimal128(Some(number), _, scale) => {
            let unit = 10i128.checked_pow(u32::try_from(*scale).ok()?)?;
            (number % unit == 0).then(|| i32::try_from(number / unit).ok())??
        }
        ScalarValue::Float64(Some(number)) if number.fract() == 0.0 && number.abs() < 1e9 => *number as i32,
        _ => return None,
    };
    Some(Expr::Literal(ScalarValue::Int32(Some(number)), metadata.clone()))
}

impl ScalarUDFImpl for Typed {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[ArrowType]) -> DataFusionResult<Vec<ArrowType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, _types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(self.ty.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        self.inner.return_field_from_args(args)?;
        Ok(Arc::new(Field::new(self.name, self.ty.clone(), true)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        args.return_field = Arc::new(Field::new(self.name, ArrowType::Int32, true));
        self.inner.invoke_with_args(args)?.cast_to(&self.ty, None)
    }

    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        context: &SimplifyContext,
    ) -> DataFusionResult<PreimageResult> {
        match whole(literal) {
            Some(literal) => self.inner.inner().preimage(args, &literal, context),
            None => Ok(PreimageResult::None),
        }
    }
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
