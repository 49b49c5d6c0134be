//! A Markdown (GitHub) table: pipes are escaped, newlines become `<br>`, numbers lean right.

use std::io::{self, Write};

use cairndb::Column;
use cairndb::arrow::RecordBatch;

use super::{RowWriter, table, text};

/// The Markdown writer.
pub(crate) struct Markdown;

impl RowWriter for Markdown {
    fn begin(&mut self, columns: &[Column], out: &mut dyn Write) -> io::Result<()> {
        for column in columns {
            write!(out, "| {} ", escaped(column.name()))?;
        }
        out.write_all(b"|\n")?;
        for column in columns {
            out.write_all(if table::leans_right(column.data_type()) { b"|---:" } else { b"|----" })?;
        }
        out.write_all(b"|\n")
    }

    fn batch(&mut self, columns: &[Column], batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let mut buffer = String::new();
        for row in 0..batch.num_rows() {
            for column in 0..columns.len() {
                let value = text::cell(columns, batch, row, column, &mut buffer).unwrap_or(text::NULL);
                write!(out, "| {} ", escaped(value))?;
            }
            out.write_all(b"|\n")?;
        }
        Ok(())
    }

    fn end(&mut self, _: &[Column], _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('|', "\\|").replace("\r\n", "<br>").replace(['\n', '\r'], "<br>")
}
