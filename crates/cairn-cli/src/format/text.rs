//! The text of one cell, and what a terminal makes of it.

use cairndb::Column;
use cairndb::arrow::{Array, RecordBatch};
use unicode_width::UnicodeWidthStr;

/// What the formats for people show where there is no value.
pub(crate) const NULL: &str = "NULL";

/// The PostgreSQL text of a cell, `None` for NULL.
pub(crate) fn cell<'a>(
    columns: &[Column],
    batch: &RecordBatch,
    row: usize,
    column: usize,
    buffer: &'a mut String,
) -> Option<&'a str> {
    let array = batch.column(column);
    if array.is_null(row) || array.data_type().is_null() {
        return None;
    }
    buffer.clear();
    cairndb::format_cell(array.as_ref(), row, columns[column].data_type(), buffer);
    Some(buffer)
}

/// Columns of the terminal that `text` fills.
pub(crate) fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { UnicodeWidthStr::width(text) }
}

/// Replaces what would move the cursor or change the terminal: tabs by spaces, other control
/// characters but the newline by `\xNN`.
pub(crate) fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.chars().any(|c| c.is_control() && c != '\n') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\x{:02X}", c as u32)),
            c => out.push(c),
        }
    }
    out.into()
}
