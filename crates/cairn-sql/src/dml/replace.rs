//! Rows as they become: the assignments of SET over rows that are at hand (ON CONFLICT DO UPDATE, MERGE).

use arrow::array::{ArrayRef, RecordBatch};
use cairn_engine::Table;
use cairn_types::DataType;
use sqlparser::ast::{Expr, SelectItem};

use super::assign::assign_array;
use super::default::Default;
use super::literal;
use super::relations::{self, Relation};
use super::target::batch_of;
use super::update::{Assigned, NewValue};
use crate::Result;
use crate::context::Context;

/// What must be evaluated for those assignments, in their order.
pub(super) fn items(assigned: &[Assigned]) -> Vec<SelectItem> {
    let mut items = Vec::new();
    for (n, assigned) in assigned.iter().enumerate() {
        if let NewValue::Expr(expr) = &assigned.value {
            items.push(relations::item(Expr::clone(expr), &format!("__cairn_new_{n}")));
        }
    }
    items
}

/// The rows `old` (all live columns) with the assigned columns replaced; `values` begins with what [`items`] gave.
pub(super) fn with_values(
    context: &Context,
    table: &Table,
    assigned: &[Assigned],
    old: &[ArrayRef],
    values: &RecordBatch,
    rows: usize,
) -> Result<RecordBatch> {
    let mut columns = old.to_vec();
    let mut next = 0;
    for assigned in assigned {
        let column = table.live_column(assigned.place);
        columns[assigned.place] = match &assigned.value {
            NewValue::Default => Default::of(context, column)?.array(context, column, rows)?,
            NewValue::Expr(expr) => {
                next += 1;
                let from = DataType::from_field(values.schema().field(next - 1));
                let unknown = literal::is_unknown(expr);
                let value = values.column(next - 1);
                assign_array(value, &from, &column.ty, &column.name, unknown, context.zone())?
            }
        };
    }
    let new = batch_of(table, columns, rows)?;
    Ok(cairn_engine::table::with_generated(context.txn(), table, new)?)
}

/// The places of the columns that those assignments change.
pub(super) fn changed(table: &Table, assigned: &[Assigned]) -> Vec<usize> {
    assigned.iter().map(|a| a.place).chain(table.generated_places()).collect()
}

/// The same, evaluated over `sides`, whose rows are those of `old`.
pub(super) fn rows(
    context: &Context,
    table: &Table,
    assigned: &[Assigned],
    old: &RecordBatch,
    sides: &[Relation],
) -> Result<RecordBatch> {
    let items = items(assigned);
    let values = match items.is_empty() {
        true => RecordBatch::new_empty(old.schema()),
        false => relations::evaluate(context, sides, &items)?,
    };
    with_values(context, table, assigned, old.columns(), &values, old.num_rows())
}
