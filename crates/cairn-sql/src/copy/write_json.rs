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

fn write_value(array: &dyn Array, row: usize, ty: &DataType, out: &mut String) {
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
        DataType::SmallInt | DataType::Integer | DataType::BigInt | DataType::Json | DataType::Jsonb => {
            format_cell(array, row, ty, out);
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
            }
            write_string(&text, out);
        }
    }
}

/// Appends a JSON string.
pub(super) fn write_string(text: &str, out: &mut String) {
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
