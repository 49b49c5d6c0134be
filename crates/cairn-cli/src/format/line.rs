//! One value per line: `line` in sqlite3's form, and psql's expanded table (`\x`).

use std::io::{self, Write};

use cairndb::Column;
use cairndb::arrow::RecordBatch;

use super::{RowWriter, text};

/// `name = value`, names leaning right, an empty line between rows.
#[derive(Default)]
pub(crate) struct Line {
    any: bool,
}

impl RowWriter for Line {
    fn begin(&mut self, _: &[Column], _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self, columns: &[Column], batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let widest = columns.iter().map(|c| text::width(c.name())).max().unwrap_or(0);
        let mut buffer = String::new();
        for row in 0..batch.num_rows() {
            if self.any {
                out.write_all(b"\n")?;
            }
            self.any = true;
            for (i, column) in columns.iter().enumerate() {
                let pad = widest - text::width(column.name());
                let value = text::cell(columns, batch, row, i, &mut buffer).unwrap_or(text::NULL);
                writeln!(out, "{:pad$}{} = {}", "", column.name(), text::printable(value))?;
            }
        }
        Ok(())
    }

    fn end(&mut self, _: &[Column], _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// `-[ RECORD 1 ]---` and `name | value` lines.
#[derive(Default)]
pub(crate) struct Expanded {
    rows: u64,
}

impl RowWriter for Expanded {
    fn begin(&mut self, _: &[Column], _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn batch(&mut self, columns: &[Column], batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let widest = columns.iter().map(|c| text::width(c.name())).max().unwrap_or(0);
        let mut buffer = String::new();
        for row in 0..batch.num_rows() {
            self.rows += 1;
            let head = format!("-[ RECORD {} ]", self.rows);
            writeln!(out, "{head}{}", "-".repeat((widest + 12).saturating_sub(head.len())))?;
            for (i, column) in columns.iter().enumerate() {
                let pad = widest - text::width(column.name());
                let value = text::cell(columns, batch, row, i, &mut buffer).unwrap_or(text::NULL);
                let value = text::printable(value);
                for (n, part) in value.split('\n').enumerate() {
                    let name = if n == 0 { column.name() } else { "" };
                    let pad = if n == 0 { pad } else { widest };
                    writeln!(out, "{name}{:pad$} | {part}", "")?;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, _: &[Column], out: &mut dyn Write) -> io::Result<()> {
        if self.rows == 0 { writeln!(out, "(0 rows)") } else { writeln!(out) }
    }
}
