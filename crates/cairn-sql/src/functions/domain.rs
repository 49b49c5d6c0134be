//! The function that a cast to a domain calls: it gives the value back if the domain has it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, FieldRef, Schema};
use cairn_engine::catalog::{TypeDescriptor, TypeKind};
use cairn_types::DataType;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;

use crate::context::Context;
use crate::dml::{default, relations};
use crate::{Error, Result};

/// The column that conditions of a domain name.
pub(crate) const VALUE: &str = "value";

#[derive(Debug)]
struct Domain {
    name: String,
    shown: String,
    ty: DataType,
    nullable: bool,
    checks: Vec<(String, Arc<dyn PhysicalExpr>)>,
    /// What it was made of.
    made_of: TypeKind,
    signature: Signature,
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.made_of == other.made_of
    }
}
impl Eq for Domain {}
impl std::hash::Hash for Domain {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The function for a domain, under that name.
///
/// # Errors
/// What planning its conditions says.
pub(crate) fn function(context: &Context, name: &str, domain: &TypeDescriptor) -> Result<ScalarUDF> {
    let TypeKind::Domain { base, nullable, checks, .. } = &domain.kind else {
        return Err(Error::internal("a domain is no domain"));
    };
    let schema = Arc::new(Schema::new(vec![base.to_field(VALUE, true)]));
    let mut compiled = Vec::with_capacity(checks.len());
    for check in checks {
        let condition = relations::compile(context, VALUE, &schema, default::parse_expr(&check.sql)?)?;
        let condition = condition.ok_or_else(|| Error::internal("a condition is not one expression"))?;
        compiled.push((check.name.clone(), condition.expr));
    }
    Ok(ScalarUDF::from(Domain {
        name: name.to_owned(),
        shown: domain.sql_name(),
        ty: base.clone(),
        nullable: *nullable,
        checks: compiled,
        made_of: domain.kind.clone(),
        signature: Signature::any(1, Volatility::Stable),
    }))
}

impl Domain {
    fn check(&self, values: &ArrayRef) -> Result<()> {
        if !self.nullable && values.null_count() > 0 {
            return Err(Error::new("23502", format!("domain {} does not allow null values", self.shown)));
        }
        let schema = Arc::new(Schema::new(vec![self.ty.to_field(VALUE, true)]));
        let rows = RecordBatch::try_new(schema, vec![Arc::clone(values)]).map_err(relations::arrow_error)?;
        for (name, condition) in &self.checks {
            let kept = condition.evaluate(&rows)?.into_array(rows.num_rows())?;
            let broken = match kept.as_boolean_opt() {
                Some(kept) => kept.true_count() + kept.null_count() < kept.len(),
                None => false,
            };
            if broken {
                let message = format!("value for domain {} violates check constraint \"{name}\"", self.shown);
                return Err(Error::new("23514", message));
            }
        }
        Ok(())
    }
}

impl ScalarUDFImpl for Domain {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[ArrowType]) -> datafusion::error::Result<ArrowType> {
        Ok(self.ty.to_arrow())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> datafusion::error::Result<FieldRef> {
        // A NUMERIC without scale has that of what is cast.
        Ok(Arc::new(args.arg_fields[0].as_ref().clone().with_name(self.name.as_str())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion::error::Result<ColumnarValue> {
        let value = args.args.into_iter().next().ok_or_else(|| Error::internal("no value"))?;
        let array = value.to_array(args.number_rows)?;
        let zone = cairn_types::datetime::Zone::UTC;
        let own = super::sql_type(&args.arg_fields[0]);
        self.check(&super::cast::cast(&array, &own, &self.ty, zone)?)?;
        Ok(value)
    }
}
