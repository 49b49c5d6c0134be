//! Views with INSTEAD OF triggers: INSERT, UPDATE and DELETE find the rows that the view shows, and the triggers do the
//! rest.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use cairn_engine::Table;
use cairn_engine::catalog::{TriggerTiming, ViewDescriptor};
use cairn_engine::table::ROW_KEY;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use sqlparser::ast::{ObjectName, SelectItem, TableWithJoins, WildcardAdditionalOptions};

use crate::Result;
use crate::context::Context;
use crate::dml::relations::{arrow_error, concat, empty_query, quoted, select_of, table_factor};
use crate::dml::target::relaxed;

/// The view as a table, where it has a trigger that takes the statement's place.
pub(crate) fn as_table(view: &ViewDescriptor, verb: &str) -> Option<Arc<Table>> {
    let instead = view.triggers.iter().filter(|t| t.enabled && t.timing == TriggerTiming::InsteadOf);
    let mut events = instead.map(|trigger| trigger.events);
    let fits = match verb {
        "INSERT" | "COPY" => events.any(|events| events.insert),
        "UPDATE" => events.any(|events| events.update),
        "DELETE" => events.any(|events| events.delete),
        _ => false,
    };
    fits.then(|| Arc::new(Table::of_view(view)))
}

/// Whether a table is a view in truth.
pub(crate) fn is_view(context: &Context, table: &Table) -> Result<bool> {
    Ok(context.catalog()?.view_by_id(table.id).is_some())
}

/// What the view shows, with numbers for row keys.
pub(crate) fn rows(context: &Context, table: &Table) -> Result<Arc<dyn TableProvider>> {
    let mut query = empty_query()?;
    let select = select_of(&mut query)?;
    select.projection.push(SelectItem::Wildcard(WildcardAdditionalOptions::default()));
    let name = ObjectName::from(vec![quoted(&table.schema), quoted(&table.name)]);
    let relation = table_factor(name, &table.name)?;
    select.from.push(TableWithJoins { relation, joins: Vec::new() });
    let (schema, batches) = context.collect(context.plan_query(&query)?)?;
    let rows = concat(&schema, &batches)?;
    let own = relaxed(table);
    let mut fields: Vec<_> = own.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(ROW_KEY, ArrowType::Binary, false)));
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
    for (column, field) in rows.columns().iter().zip(own.fields()) {
        columns.push(match column.data_type() == field.data_type() {
            true => Arc::clone(column),
            false => arrow::compute::cast(column, field.data_type()).map_err(arrow_error)?,
        });
    }
    let numbers = (0..rows.num_rows() as u64).map(u64::to_be_bytes);
    columns.push(Arc::new(BinaryArray::from_iter_values(numbers)));
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(arrow_error)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}
