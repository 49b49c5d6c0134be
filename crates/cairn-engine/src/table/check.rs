//! What can be said of new rows by themselves: the batch's shape, NOT NULL, CHECK; and the words for violations.

use arrow_array::{Array, ArrayRef, RecordBatch};
use cairn_types::text;

use super::codec::IndexCodec;
use crate::catalog::{Column, ColumnId, IndexDescriptor, Table};
use crate::database::Inner;
use crate::error::{Error, ErrorObject, Result, Violation};

/// The batch has the table's live columns, of their Arrow types.
pub(super) fn shape(table: &Table, batch: &RecordBatch) -> Result<()> {
    let wanted = table.arrow_schema().fields();
    if batch.num_columns() != wanted.len() {
        let (found, wanted) = (batch.num_columns(), wanted.len());
        return Err(Error::InvalidArgument(format!("a batch of {found} columns for a table of {wanted}")));
    }
    for (column, field) in batch.columns().iter().zip(wanted) {
        if !column.data_type().equals_datatype(field.data_type()) {
            let (name, wanted, found) = (field.name(), field.data_type(), column.data_type());
            return Err(Error::InvalidArgument(format!("column \"{name}\" must be {wanted}, not {found}")));
        }
    }
    Ok(())
}

/// NOT NULL and CHECK of all rows, as far as they concern the columns at `changed`.
pub(super) fn rows(
    database: &Inner,
    table: &Table,
    batch: &RecordBatch,
    changed: Option<&[usize]>,
) -> Result<()> {
    let concerns = |place: usize| changed.is_none_or(|changed| changed.contains(&place));
    let mut first: Option<(usize, usize)> = None;
    let has_domains = table.columns.iter().any(|column| column.domain.is_some());
    for (place, column) in table.live_columns().enumerate() {
        let cells = batch.column(place);
        let nullable = column.nullable && (!has_domains || table.takes_null(place));
        if nullable || cells.null_count() == 0 || !concerns(place) {
            continue;
        }
        if let Some(row) = (0..cells.len()).find(|row| cells.is_null(*row))
            && first.is_none_or(|(before, _)| row < before)
        {
            first = Some((row, place));
        }
    }
    if let Some((row, place)) = first {
        if table.live_column(place).nullable
            && let Some(domain) = table.domain(place)
        {
            return Err(Error::Constraint {
                violation: Violation::NotNull,
                message: format!("domain {} does not allow null values", domain.domain.sql_name()),
                detail: None,
                object: object(table, None, None),
            });
        }
        return Err(not_null(table, table.live_column(place), batch, row));
    }
    let checks: Vec<usize> = (0..table.all_checks().len())
        .filter(|i| {
            let columns = &table.all_checks()[*i].columns;
            columns.is_empty() || columns.iter().any(|id| table.place_of(*id).is_some_and(concerns))
        })
        .collect();
    check_constraints(database, table, &checks, batch)
}

/// Those CHECKs of all rows.
pub(crate) fn check_constraints(
    database: &Inner,
    table: &Table,
    checks: &[usize],
    batch: &RecordBatch,
) -> Result<()> {
    if checks.is_empty() || batch.num_rows() == 0 {
        return Ok(());
    }
    let expressions = database.expressions().ok_or_else(|| {
        Error::InvalidArgument(format!("table \"{}\" has CHECK constraints: they need SQL", table.name))
    })?;
    let Some(failure) = expressions.check(table, checks, batch)? else { return Ok(()) };
    let name = &table.all_checks()[failure.check].name;
    if let Some(domain) = table.domain_of_check(failure.check) {
        let domain = domain.domain.sql_name();
        return Err(Error::Constraint {
            violation: Violation::Check,
            message: format!("value for domain {domain} violates check constraint \"{name}\""),
            detail: None,
            object: object(table, None, Some(name)),
        });
    }
    Err(Error::Constraint {
        violation: Violation::Check,
        message: format!("new row for relation \"{}\" violates check constraint \"{name}\"", table.name),
        detail: Some(failing_row(batch.columns(), table, failure.row)),
        object: object(table, None, Some(name)),
    })
}

fn not_null(table: &Table, column: &Column, batch: &RecordBatch, row: usize) -> Error {
    Error::Constraint {
        violation: Violation::NotNull,
        message: format!(
            "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
            column.name, table.name
        ),
        detail: Some(failing_row(batch.columns(), table, row)),
        object: object(table, Some(&column.name), None),
    }
}

pub(crate) fn object(table: &Table, column: Option<&str>, constraint: Option<&str>) -> Box<ErrorObject> {
    Box::new(ErrorObject {
        schema: Some(table.schema.clone()),
        table: Some(table.name.clone()),
        column: column.map(str::to_owned),
        constraint: constraint.map(str::to_owned),
    })
}

/// `Failing row contains (1, null, x).`, each value cut at 64 characters as PostgreSQL does.
pub fn failing_row(columns: &[ArrayRef], table: &Table, row: usize) -> String {
    let cells = columns.iter().enumerate().map(|(place, column)| {
        let text = cell_text(column, row, table, place);
        match text.char_indices().nth(64) {
            Some((at, _)) => format!("{}...", &text[..at]),
            None => text,
        }
    });
    format!("Failing row contains ({}).", cells.collect::<Vec<_>>().join(", "))
}

fn cell_text(column: &ArrayRef, row: usize, table: &Table, place: usize) -> String {
    if column.is_null(row) {
        return "null".to_owned();
    }
    let mut out = String::new();
    text::format_cell(column.as_ref(), row, &table.live_column(place).ty, &mut out);
    out
}

/// `(a, b)=(1, x)` for a row of live columns.
pub(crate) fn key_text(table: &Table, columns: &[ArrayRef], row: usize, places: &[usize]) -> String {
    let names: Vec<&str> = places.iter().map(|p| table.live_column(*p).name.as_str()).collect();
    let cells: Vec<String> = places.iter().map(|p| cell_text(&columns[*p], row, table, *p)).collect();
    format!("({})=({})", names.join(", "), cells.join(", "))
}

/// `(a, lower(b))=(1, x)` for the key of an index.
pub(crate) fn entry_text(
    table: &Table,
    index: &IndexCodec,
    descriptor: &IndexDescriptor,
    cells: &[ArrayRef],
    row: usize,
) -> String {
    let names = descriptor.key_parts().map(|(column, expression)| match expression {
        Some(expression) => expression.sql.clone(),
        None => table.column_by_id(column.column).map(|c| c.name.clone()).unwrap_or_default(),
    });
    let values = index.places.iter().zip(&index.shape.columns).map(|(place, column)| {
        let cell = &cells[*place];
        let mut out = String::new();
        match cell.is_null(row) {
            true => out.push_str("null"),
            false => text::format_cell(cell.as_ref(), row, &column.ty, &mut out),
        }
        out
    });
    let (names, values): (Vec<String>, Vec<String>) = (names.collect(), values.collect());
    format!("({})=({})", names.join(", "), values.join(", "))
}

/// 23505 for row `row` of the cells, on that index.
pub(crate) fn duplicate_entry(
    table: &Table,
    index: &IndexCodec,
    descriptor: &IndexDescriptor,
    cells: &[ArrayRef],
    row: usize,
) -> Error {
    let name = &descriptor.name;
    let key = entry_text(table, index, descriptor, cells, row);
    Error::Constraint {
        violation: Violation::Unique,
        message: format!("duplicate key value violates unique constraint \"{name}\""),
        detail: Some(format!("Key {key} already exists.")),
        object: object(table, None, Some(name)),
    }
}

/// The places of columns among the live ones.
pub(crate) fn places(table: &Table, columns: &[ColumnId]) -> Vec<usize> {
    columns.iter().filter_map(|id| table.place_of(*id)).collect()
}

/// 23505 for row `row` of the live columns, on the key with those places.
pub(crate) fn duplicate_key(
    table: &Table,
    constraint: &str,
    columns: &[ArrayRef],
    row: usize,
    places: &[usize],
) -> Error {
    Error::Constraint {
        violation: Violation::Unique,
        message: format!("duplicate key value violates unique constraint \"{constraint}\""),
        detail: Some(format!("Key {} already exists.", key_text(table, columns, row, places))),
        object: object(table, None, Some(constraint)),
    }
}
