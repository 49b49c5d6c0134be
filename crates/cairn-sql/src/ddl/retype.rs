//! Changes of all rows of a table that DDL makes: a column's new type, the values of a new column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use cairn_engine::Table;
use cairn_engine::table::{self, OnConflict, ScanRequest};
use cairn_types::datetime::Zone;
use cairn_types::{ColumnBuilder, DataType, Value};
use sqlparser::ast::Expr;

use crate::context::Context;
use crate::dml::assign::{assign_array, is_assignable};
use crate::dml::default::Default;
use crate::dml::relations::{self, Relation};
use crate::dml::target::{batch_of, relaxed};
use crate::{Error, Result};

/// ALTER COLUMN … TYPE: reads all rows, empties the table, and inserts them with the new type.
pub(super) fn run(
    context: &Context,
    old: &Table,
    column: &str,
    ty: DataType,
    using: Option<&Expr>,
) -> Result<()> {
    let from = &old.column(column)?.ty;
    if *from == ty && using.is_none() {
        return Ok(());
    }
    if using.is_none() && !is_assignable(from, &ty)
        || using.is_none() && from.is_character() && !ty.is_character()
    {
        let ty = ty.sql_name();
        return Err(Error::new(
            "42804",
            format!("column \"{column}\" cannot be cast automatically to type {ty}"),
        )
        .with_hint(format!("You might need to specify \"USING {column}::{ty}\".")));
    }
    let place = old.column_place(column).ok_or_else(|| Error::internal("a column is gone"))?;
    let places: Vec<usize> = (0..old.live_columns().len()).collect();
    let view = context.txn().view()?;
    let id = old.column(column)?.id;
    let derived: Vec<_> = old.indexes.iter().filter(|i| !i.is_plain() && i.uses(id)).cloned().collect();
    for index in &derived {
        context.txn().drop_index(&old.schema, &index.name, false)?;
    }
    let batches =
        table::scan(&view, old, ScanRequest::full(places))?.collect::<std::result::Result<Vec<_>, _>>()?;
    let new = context.txn().rewrite_column_type(&old.schema, &old.name, column, &ty)?;
    for batch in batches {
        let rows = batch.num_rows();
        let converted: ArrayRef = match using {
            None => convert(batch.column(place), from, &ty, column, context.zone())?,
            Some(expr) => {
                let rows = batch_of(old, batch.columns().to_vec(), rows)?;
                let side = Relation { alias: old.name.clone(), rows, in_wildcard: false };
                let values =
                    relations::evaluate(context, &[side], &[relations::item(expr.clone(), "value")])?;
                let from = DataType::from_field(values.schema().field(0));
                assign_array(values.column(0), &from, &ty, column, false, context.zone())?
            }
        };
        let mut columns = batch.columns().to_vec();
        columns[place] = converted;
        let batch = table::with_generated(context.txn(), &new, batch_of(&new, columns, rows)?)?;
        table::insert(context.txn(), &new, &batch, OnConflict::Error)?;
    }
    for index in &derived {
        context.txn().create_index(&super::index::spec_of(context, &new, index)?)?;
    }
    Ok(())
}

/// The cast of ALTER TYPE is that of assignment, but lengths are those of an explicit cast: an error where text is cut.
fn convert(array: &ArrayRef, from: &DataType, to: &DataType, column: &str, zone: Zone) -> Result<ArrayRef> {
    if from.is_character() && to.is_character() {
        let mut builder = ColumnBuilder::with_capacity(to, array.len());
        for row in 0..array.len() {
            let value = Value::from_array(array, row, from);
            // The blanks that CHAR(n) adds are not part of the text.
            let value = match (value, from) {
                (Value::Text(text), DataType::Char(_)) => Value::Text(text.trim_end_matches(' ').to_owned()),
                (value, _) => value,
            };
            builder.push(&value.fit(to)?)?;
        }
        return Ok(builder.finish()?);
    }
    assign_array(array, from, to, column, false, zone)
}

/// Gives every row the default of a column that was just added.
pub(super) fn fill(context: &Context, table: &Arc<Table>, column: &str) -> Result<()> {
    let place = table.column_place(column).ok_or_else(|| Error::internal("a column is gone"))?;
    let target = table.live_column(place);
    let default = Default::of(context, target)?;
    let places: Vec<usize> = (0..table.live_columns().len()).collect();
    let request = ScanRequest { with_row_key: true, ..ScanRequest::full(places.clone()) };
    let view = context.txn().view()?;
    let batches = table::scan(&view, table, request)?.collect::<std::result::Result<Vec<_>, _>>()?;
    for batch in batches {
        let rows = batch.num_rows();
        let keys = batch.column(places.len()).as_binary_opt::<i32>().map(table::row_keys);
        let keys = keys.ok_or_else(|| Error::internal("row keys are not binary"))?;
        let mut columns: Vec<ArrayRef> = batch.columns()[..places.len()].to_vec();
        columns[place] = default.array(context, target, rows)?;
        let new = crate::dml::target::batch_with(relaxed(table), columns, rows)?;
        let new = table::with_generated(context.txn(), table, new)?;
        table::update(context.txn(), table, &keys, &new, &[place])?;
    }
    Ok(())
}
