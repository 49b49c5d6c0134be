//! `pg_stats`: statistics for whoever looks.

use cairn_engine::Catalog;
use cairn_types::{DataType, Value};

use crate::Result;
use crate::catalog::column_type::ColumnType;
use crate::catalog::system::{Rows, SystemTable, text};
use crate::context::Context;
use crate::privileges;

/// The view.
pub(crate) const PG_STATS: SystemTable = SystemTable {
    name: "pg_stats",
    columns: &[
        ("schemaname", ColumnType::Text),
        ("tablename", ColumnType::Text),
        ("attname", ColumnType::Text),
        ("inherited", ColumnType::Bool),
        ("null_frac", ColumnType::Float4),
        ("avg_width", ColumnType::Int4),
        ("n_distinct", ColumnType::Float4),
        ("most_common_vals", ColumnType::Text),
        ("most_common_freqs", ColumnType::Text),
        ("histogram_bounds", ColumnType::Text),
        ("correlation", ColumnType::Float4),
        ("most_common_elems", ColumnType::Text),
        ("most_common_elem_freqs", ColumnType::Text),
        ("elem_count_histogram", ColumnType::Text),
    ],
    rows,
};

fn rows(context: &Context, catalog: &Catalog) -> Result<Rows> {
    let mut rows = Rows::new();
    for table in catalog.tables() {
        let Some(statistics) = context.txn().statistics(table)? else { continue };
        for column in table.live_columns() {
            let Some(found) = statistics.column(column.id) else { continue };
            if !privileges::may_see(context, table.id, column.id) {
                continue;
            }
            let list = |values: Vec<Value>, ty: &DataType| match values.is_empty() {
                true => Value::Null,
                false => {
                    let ty = DataType::Array(Box::new(ty.clone()));
                    text(Value::Array(values).to_text(&ty))
                }
            };
            let (values, shares) = found
                .most_common
                .iter()
                .map(|(value, share)| (value.clone(), Value::Real(*share as f32)))
                .unzip();
            rows.push(vec![
                text(&table.schema),
                text(&table.name),
                text(&column.name),
                Value::Boolean(false),
                Value::Real(found.null_fraction as f32),
                Value::Integer(found.average_width.min(i32::MAX as u32) as i32),
                Value::Real(found.distinct as f32),
                list(values, &column.ty),
                list(shares, &DataType::Real),
                list(found.histogram.clone(), &column.ty),
                found.correlation.map_or(Value::Null, |found| Value::Real(found as f32)),
                Value::Null,
                Value::Null,
                Value::Null,
            ]);
        }
    }
    Ok(rows)
}
