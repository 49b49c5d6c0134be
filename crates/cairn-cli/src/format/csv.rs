//! Comma-separated values: a header line, RFC 4180 quoting, lines ended by a newline.
//!
//! NULL is nothing and the empty string is `""`, so that the two stay apart when read again.

use std::io::{self, Write};

use cairndb::Column;
use cairndb::arrow::RecordBatch;

use super::{RowWriter, text};

/// The CSV writer.
pub(crate) struct Csv;

impl RowWriter for Csv {
    fn begin(&mut self, columns: &[Column], out: &mut dyn Write) -> io::Result<()> {
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                out.write_all(b",")?;
            }
            field(column.name(), out)?;
        }
        out.write_all(b"\n")
    }

    fn batch(&mut self, columns: &[Column], batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let mut buffer = String::new();
        for row in 0..batch.num_rows() {
            for column in 0..columns.len() {
                if column > 0 {
                    out.write_all(b",")?;
                }
                if let Some(value) = text::cell(columns, batch, row, column, &mut buffer) {
                    field(value, out)?;
                }
            }
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    fn end(&mut self, _: &[Column], _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn field(value: &str, out: &mut dyn Write) -> io::Result<()> {
    let quoted = value.is_empty() || value.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r'));
    if !quoted {
        return out.write_all(value.as_bytes());
    }
    out.write_all(b"\"")?;
    let mut rest = value;
    while let Some(at) = rest.find('"') {
        out.write_all(&rest.as_bytes()[..=at])?;
        out.write_all(b"\"")?;
        rest = &rest[at + 1..];
    }
    out.write_all(rest.as_bytes())?;
    out.write_all(b"\"")
}
