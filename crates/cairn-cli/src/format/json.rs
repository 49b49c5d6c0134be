//! JSON, as one array of objects or as one object per line.
//!
//! Numbers and booleans are bare, JSON values nested as they are, arrays are arrays, dates and times
//! are ISO 8601 strings, everything else is a string of its PostgreSQL text; NaN and the infinities,
//! which JSON lacks, are strings too. Two columns of one name become `name` and `name_2`.

use std::io::{self, Write};

use cairndb::arrow::{Array, ListArray, RecordBatch};
use cairndb::{Column, DataType};

use super::RowWriter;

/// The JSON writers.
pub(crate) struct Json {
    array: bool,
    any: bool,
    keys: Vec<String>,
}

impl Json {
    /// One array of objects.
    pub(crate) fn array() -> Json {
        Json { array: true, any: false, keys: Vec::new() }
    }

    /// An object per line.
    pub(crate) fn lines() -> Json {
        Json { array: false, any: false, keys: Vec::new() }
    }
}

impl RowWriter for Json {
    fn begin(&mut self, columns: &[Column], out: &mut dyn Write) -> io::Result<()> {
        self.keys = keys(columns);
        if self.array { out.write_all(b"[") } else { Ok(()) }
    }

    fn batch(&mut self, columns: &[Column], batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            if self.array && self.any {
                line.push_str(",\n");
            }
            self.any = true;
            line.push('{');
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    line.push(',');
                }
                line.push_str(&self.keys[i]);
                value(batch.column(i).as_ref(), row, column.data_type(), &mut line);
            }
            line.push('}');
            if !self.array {
                line.push('\n');
            }
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn end(&mut self, _: &[Column], out: &mut dyn Write) -> io::Result<()> {
        if self.array { out.write_all(b"]\n") } else { Ok(()) }
    }
}

/// `"name":` for each column, made distinct.
fn keys(columns: &[Column]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut name = column.name().to_owned();
        let mut n = 2;
        while names.contains(&name) {
            name = format!("{}_{n}", column.name());
            n += 1;
        }
        names.push(name);
    }
    names
        .iter()
        .map(|name| {
            let mut key = String::new();
            string(name, &mut key);
            key.push(':');
            key
        })
        .collect()
}

fn value(array: &dyn Array, row: usize, ty: &DataType, out: &mut String) {
    if array.is_null(row) || array.data_type().is_null() {
        return out.push_str("null");
    }
    if let (DataType::Array(item), Some(list)) = (ty, array.as_any().downcast_ref::<ListArray>()) {
        let items = list.value(row);
        out.push('[');
        for i in 0..items.len() {
            if i > 0 {
                out.push(',');
            }
            value(items.as_ref(), i, item, out);
        }
        return out.push(']');
    }
    let mut text = String::new();
    cairndb::format_cell(array, row, ty, &mut text);
    match ty {
        DataType::Boolean => out.push_str(if text.starts_with('t') { "true" } else { "false" }),
        DataType::SmallInt | DataType::Integer | DataType::BigInt => out.push_str(&text),
        DataType::Real | DataType::Double | DataType::Numeric(_) => {
            if text.bytes().any(|b| matches!(b, b'N' | b'I')) {
                string(&text, out);
            } else {
                out.push_str(&text);
            }
        }
        DataType::Json | DataType::Jsonb => out.push_str(&text.replace(['\n', '\r'], " ")),
        DataType::Timestamp(_) => string(&text.replacen(' ', "T", 1), out),
        DataType::TimestampTz(_) => {
            let mut iso = text.replacen(' ', "T", 1);
            // PostgreSQL leaves the minutes of a whole-hour offset out, ISO 8601's profile does not.
            if iso.len() >= 3 && matches!(iso.as_bytes()[iso.len() - 3], b'+' | b'-') {
                iso.push_str(":00");
            }
            string(&iso, out);
        }
        _ => string(&text, out),
    }
}

/// A JSON string literal.
fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}
