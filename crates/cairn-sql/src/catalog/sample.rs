//! `t TABLESAMPLE BERNOULLI | SYSTEM (p) [REPEATABLE (seed)]`: rows of a table, each with the same chance. With a seed a
//! row is chosen by a hash of its key and the seed, so that the same rows come as long as they are there. SYSTEM, which
//! takes whole pages elsewhere, takes rows here, too.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType as ArrowType;
use cairn_engine::catalog::{Relation, STORE};
use cairn_engine::table::ROW_KEY;
use cairn_engine::{Catalog, Table};
use datafusion::functions::math::random;
use datafusion::logical_expr::{
    ColumnarValue, LogicalPlan, LogicalPlanBuilder, ScalarUDF, TableSource, Volatility, col, create_udf, lit,
};

use super::missing;
use crate::context::Context;
use crate::parse::sample::CATALOG;
use crate::{Error, Result};

/// What gives the rows of a table of a schema.
type Source<'s> = &'s dyn Fn(&str, Arc<Table>) -> Result<Arc<dyn TableSource>>;

/// The plan of a sample, where a name stands for one.
///
/// # Errors
/// `42P01`, `0A000` for what is no table.
pub(crate) fn plan(
    context: &Context,
    catalog: &Catalog,
    name: &datafusion::common::TableReference,
    source: Source<'_>,
) -> Result<Option<LogicalPlan>> {
    let (Some(given), Some(schema)) = (name.catalog(), name.schema()) else { return Ok(None) };
    let Some(numbers) = given.strip_prefix(CATALOG) else { return Ok(None) };
    let mut numbers = numbers.split(' ').map(str::parse::<f64>);
    let (Some(Ok(percentage)), seed) = (numbers.next(), numbers.next().and_then(std::result::Result::ok))
    else {
        return Err(Error::internal("a sample without its percentage"));
    };
    let relation = match schema {
        "" => {
            let path = &context.scope.settings.search_path;
            path.iter().find_map(|schema| catalog.relation(schema, name.table()))
        }
        schema => catalog.relation(schema, name.table()),
    };
    let table = match relation {
        Some(Relation::Table(table)) => table,
        Some(_) => {
            let message = "TABLESAMPLE clause can only be applied to tables and materialized views";
            return Err(Error::new("0A000", message));
        }
        None if name.table() == STORE || super::is_system_table(name.table()) => {
            return Err(Error::unsupported("TABLESAMPLE on what is no table"));
        }
        None => return Err(missing(name.table())),
    };
    let columns: Vec<_> = table.live_columns().map(|column| column.name.clone()).collect();
    let scan = LogicalPlanBuilder::scan("sampled", source(schema, table)?, None)?;
    let share = percentage / 100.0;
    let filter = match seed {
        Some(seed) => chosen().call(vec![col(ROW_KEY), lit(share), lit(seed)]),
        None => random().call(Vec::new()).lt(lit(share)),
    };
    let columns = columns.into_iter().map(|name| {
        datafusion::logical_expr::Expr::Column(datafusion::common::Column::new(Some("sampled"), name))
    });
    Ok(Some(scan.filter(filter)?.project(columns)?.build()?))
}

/// Whether a row is in the sample of that share and seed.
fn chosen() -> ScalarUDF {
    let run = |args: &[ColumnarValue]| {
        let rows = args.iter().find_map(|arg| match arg {
            ColumnarValue::Array(array) => Some(array.len()),
            ColumnarValue::Scalar(_) => None,
        });
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let keys = arrays[0].as_binary::<i32>();
        let share = arrays[1].as_primitive::<arrow::datatypes::Float64Type>();
        let seed = arrays[2].as_primitive::<arrow::datatypes::Float64Type>();
        let holds = |row: usize| {
            let hash = fnv(seed.value(row).to_bits().to_le_bytes().iter().chain(keys.value(row)));
            // The upper 53 bits as a number from 0 up to, but not including, 1.
            ((hash >> 11) as f64) / ((1_u64 << 53) as f64) < share.value(row)
        };
        let chosen: BooleanArray = (0..rows.unwrap_or(keys.len())).map(|row| Some(holds(row))).collect();
        Ok(ColumnarValue::Array(Arc::new(chosen)))
    };
    let takes = vec![ArrowType::Binary, ArrowType::Float64, ArrowType::Float64];
    create_udf("cairn_chosen", takes, ArrowType::Boolean, Volatility::Immutable, Arc::new(run))
}

/// FNV-1a with a final mix, so that also the upper bits depend on every byte.
fn fnv<'b>(bytes: impl Iterator<Item = &'b u8>) -> u64 {
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
