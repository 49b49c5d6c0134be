//! Result rows as JSON text, one object a line.

use arrow::array::{Array, AsArray, RecordBatch};
use cairn_types::DataType;
use cairn_types::text::format_cell;

/// Appends one row as an object and a line end.
pub(super) fn write_row(batch: &RecordBatch, row: usize, columns: &[(String, DataType)], out: &mut String) {
    out.push('{');
    for (i, (name, ty)) in columns.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write_value(batch.column(i), row, ty, out);
    }
    out.push_str("}\n");
}

/// Appends the value of a row as JSON: numbers, truth values, JSON and lists as these, everything else as text. What is no number of
/// JSON's (NaN, the infinities) is text, too.
pub fn write_value(array: &dyn Array, row: usize, ty: &DataType, out: &mut String) {
    if array.is_null(row) {
        out.push_str("null");
        return;
    }
    match ty {
        DataType::Boolean => {
            let mut text = String::new();
            format_cell(array, row, ty, &mut text);
            out.push_str(if text == "t" || text == "true" { "true" } else { "false" });
        }
        DataType::SmallInt | DataType::Integer | DataType::BigInt | DataType::Jsonb => {
            format_cell(array, row, ty, out);
        }
        // Kept as it was written: line ends between its parts would be those of the row.
        DataType::Json => {
            let from = out.len();
            format_cell(array, row, ty, out);
            if out[from..].contains(['\n', '\r']) {
                let one_line = out.split_off(from).replace(['\n', '\r'], " ");
                out.push_str(&one_line);
            }
        }
        DataType::Real | DataType::Double | DataType::Numeric(_) => {
            let mut text = String::new();
            format_cell(array, row, ty, &mut text);
            // NaN and the infinities are no JSON numbers.
            if text.ends_with(|c: char| c.is_ascii_digit()) {
                out.push_str(&text)
            } else {
                write_string(&text, out)
            }
        }
        DataType::Array(element) if array.as_list_opt::<i32>().is_some() => {
            let items = array.as_list::<i32>().value(row);
            out.push('[');
            for i in 0..items.len() {
                if i > 0 {
                    out.push(',');
                }
                write_value(&items, i, element, out);
            }
            out.push(']');
        }
        _ => {
            let mut text = String::new();
            format_cell(array, row, ty, &mut text);
            if matches!(ty, DataType::Timestamp(_) | DataType::TimestampTz(_)) {
                text = text.replacen(' ', "T", 1);
                // As ISO 8601 has it: `+02` is `+02:00`.
                let zone = text.len().checked_sub(3).map(|at| text.as_bytes()[at]);
                if matches!(ty, DataType::TimestampTz(_)) && matches!(zone, Some(b'+' | b'-')) {
                    text.push_str(":00");
                }
            }
            write_string(&text, out);
        }
    }
}

/// Appends a JSON string.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
