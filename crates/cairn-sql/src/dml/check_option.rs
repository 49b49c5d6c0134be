//! WITH CHECK OPTION: what INSERT and UPDATE write through a view must be rows that the view shows, as they are when all
//! triggers have had their say.

use arrow::array::{Array, AsArray, RecordBatch};
use cairn_engine::Table;
use cairn_engine::table::failing_row;
use sqlparser::ast::Expr;

use super::relations::{self, Relation};
use super::target::batch_of;
use crate::context::Context;
use crate::{Error, Result};

/// The condition of one view.
#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) view: String,
    /// Over the table's columns, under the name that the statement has for the table.
    pub(super) condition: Expr,
}

/// Looks at rows of a table that were written.
///
/// # Errors
/// `44000` for the first row that a view does not show.
pub(super) fn verify(
    context: &Context,
    checks: &[Check],
    table: &Table,
    alias: &str,
    batches: &[RecordBatch],
) -> Result<()> {
    if checks.is_empty() {
        return Ok(());
    }
    let item = |(at, check): (usize, &Check)| {
        relations::item(check.condition.clone(), &format!("__cairn_check_{at}"))
    };
    let items: Vec<_> = checks.iter().enumerate().map(item).collect();
    for rows in batches.iter().filter(|rows| rows.num_rows() > 0) {
        let rows = batch_of(table, rows.columns().to_vec(), rows.num_rows())?;
        let side = Relation { alias: alias.to_owned(), rows: rows.clone(), in_wildcard: false };
        let values = relations::evaluate(context, &[side], &items)?;
        for row in 0..rows.num_rows() {
            for (check, value) in checks.iter().zip(values.columns()) {
                // NULL shows no row, either.
                let holds = value.as_boolean_opt().is_some_and(|v| v.is_valid(row) && v.value(row));
                if !holds {
                    let message = format!("new row violates check option for view \"{}\"", check.view);
                    return Err(Error::new("44000", message).with_detail(failing_row(
                        rows.columns(),
                        table,
                        row,
                    )));
                }
            }
        }
    }
    Ok(())
}
