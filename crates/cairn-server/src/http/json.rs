//! A result as one JSON document: `{"columns": […], "rows": […], "tag": "SELECT 2", "row_count": 2}`.

use std::collections::HashSet;

use cairndb::arrow::RecordBatch;
use cairndb::copy::{write_json_string, write_json_value};
use cairndb::{Column, DataType, Notice};
use serde_json::json;

use super::problem::Problem;

/// What a row is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RowsAs {
    /// A list, in the order of the columns.
    #[default]
    Lists,
    /// An object, by the names of the columns.
    Objects,
    /// The same, and the document is nothing but their list.
    #[serde(skip)]
    Alone,
}

/// Writes a result.
pub(super) struct Document {
    columns: Vec<Column>,
    rows_as: RowsAs,
    rows: u64,
    text: String,
}

impl Document {
    pub(super) fn new(columns: &[Column], rows_as: RowsAs) -> Result<Document, Problem> {
        check(columns, rows_as)?;
        if rows_as == RowsAs::Alone {
            return Ok(Document { columns: columns.to_vec(), rows_as, rows: 0, text: "[".to_owned() });
        }
        let mut text = String::from("{");
        columns_of(columns, &mut text);
        text.push_str(",\"rows\":[");
        Ok(Document { columns: columns.to_vec(), rows_as, rows: 0, text })
    }

    /// Adds the rows of a batch.
    pub(super) fn batch(&mut self, batch: &RecordBatch) {
        for row in 0..batch.num_rows() {
            self.text.push_str(if self.rows > 0 { ",\n" } else { "\n" });
            row_of(batch, row, &self.columns, self.rows_as, &mut self.text);
            self.rows += 1;
        }
    }

    /// What was written since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text).into_bytes()
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Ends it.
    pub(super) fn finish(&mut self, tag: &str, notices: &[Notice]) {
        self.text.push_str(if self.rows > 0 { "\n]" } else { "]" });
        if self.rows_as == RowsAs::Alone {
            return;
        }
        self.text.push(',');
        end(tag, self.rows, notices, &mut self.text);
    }

    /// Says why there is no more; the document stays open.
    pub(super) fn fail(&mut self, problem: &Problem) {
        let between = if self.rows_as == RowsAs::Alone { "," } else { "],\"error\":" };
        self.text.push_str(&format!("{between}{}", problem.to_json()));
    }
}

/// Refuses objects that would lose a column.
pub(super) fn check(columns: &[Column], rows_as: RowsAs) -> Result<(), Problem> {
    let mut names = HashSet::new();
    match columns.iter().find(|column| rows_as != RowsAs::Lists && !names.insert(column.name())) {
        None => Ok(()),
        Some(twice) => {
            let message = format!("two columns of the result are called \"{}\"", twice.name());
            Err(Problem::new(400, "42701", message)
                .with_hint("Rows that are lists keep both, as do columns with names of their own (AS)."))
        }
    }
}

/// Appends `"columns":[…]`.
pub(super) fn columns_of(columns: &[Column], text: &mut String) {
    text.push_str("\"columns\":[");
    for (at, column) in columns.iter().enumerate() {
        text.push_str(if at > 0 { ",{\"name\":" } else { "{\"name\":" });
        write_json_string(column.name(), text);
        text.push_str(",\"type\":");
        write_json_string(&type_name(column), text);
        text.push('}');
    }
    text.push(']');
}

/// Appends a row.
pub(super) fn row_of(
    batch: &RecordBatch,
    row: usize,
    columns: &[Column],
    rows_as: RowsAs,
    text: &mut String,
) {
    let (open, close) = if rows_as == RowsAs::Lists { ('[', ']') } else { ('{', '}') };
    text.push(open);
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        if rows_as != RowsAs::Lists {
            write_json_string(column.name(), text);
            text.push(':');
        }
        write_json_value(batch.column(at).as_ref(), row, column.data_type(), text);
    }
    text.push(close);
}

/// The type without its parameters, which a computed column has none of.
fn type_name(column: &Column) -> String {
    let lists = if matches!(column.data_type(), DataType::Array(_)) { "[]" } else { "" };
    format!("{}{lists}", column.data_type().base_name())
}

/// The answer of a statement without rows.
pub(super) fn command(tag: &str, rows: u64, notices: &[Notice]) -> String {
    let mut text = String::from("{");
    end(tag, rows, notices, &mut text);
    text
}

/// Appends `"tag":…,"row_count":…` and the last bracket.
pub(super) fn end(tag: &str, rows: u64, notices: &[Notice], text: &mut String) {
    text.push_str("\"tag\":");
    write_json_string(tag, text);
    text.push_str(&format!(",\"row_count\":{rows}"));
    if !notices.is_empty() {
        let told = |own: &Notice| json!({"sqlstate": own.sqlstate, "message": own.message});
        let all: Vec<_> = notices.iter().map(told).collect();
        text.push_str(&format!(",\"notices\":{}", serde_json::Value::from(all)));
    }
    text.push('}');
}
