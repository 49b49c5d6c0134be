//! The aligned table, laid out as psql does.
//!
//! The column widths come from the first [`SAMPLE_ROWS`] rows, which are kept until then; later rows
//! are printed as they come, in the same widths. So a table of any length prints in bounded memory.

use std::io::{self, Write};

use cairndb::arrow::RecordBatch;
use cairndb::{Column, DataType};

use super::{RowWriter, text};

/// Rows that are looked at before the first is printed.
pub(crate) const SAMPLE_ROWS: usize = 10_000;

/// Whether values of this type are set against the right border.
pub(crate) fn leans_right(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::SmallInt
            | DataType::Integer
            | DataType::BigInt
            | DataType::Real
            | DataType::Double
            | DataType::Numeric(_)
    )
}

/// The table writer.
#[derive(Default)]
pub(crate) struct Table {
    waiting: Vec<Vec<String>>,
    widths: Vec<usize>,
    right: Vec<bool>,
    rows: u64,
    head_printed: bool,
}

impl RowWriter for Table {
    fn begin(&mut self, columns: &[Column], _: &mut dyn Write) -> io::Result<()> {
        self.widths = columns.iter().map(|c| text::width(c.name())).collect();
        self.right = columns.iter().map(|c| leans_right(c.data_type())).collect();
        Ok(())
    }

    fn batch(&mut self, columns: &[Column], batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
        let mut buffer = String::new();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = (0..columns.len())
                .map(|column| match text::cell(columns, batch, row, column, &mut buffer) {
                    None => text::NULL.to_owned(),
                    Some(value) => text::printable(value).into_owned(),
                })
                .collect();
            self.rows += 1;
            if self.head_printed {
                self.row(&cells, out)?;
                continue;
            }
            for (width, cell) in self.widths.iter_mut().zip(&cells) {
                let widest = cell.split('\n').map(text::width).max().unwrap_or(0);
                *width = (*width).max(widest);
            }
            self.waiting.push(cells);
            if self.waiting.len() == SAMPLE_ROWS {
                self.print_waiting(columns, out)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, columns: &[Column], out: &mut dyn Write) -> io::Result<()> {
        self.print_waiting(columns, out)?;
        match self.rows {
            1 => writeln!(out, "(1 row)"),
            n => writeln!(out, "({n} rows)"),
        }
    }
}

/// Rows of texts, all known.
pub(super) fn texts<const N: usize>(
    head: &[&str; N],
    rows: &[[String; N]],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut table =
        Table { widths: head.map(text::width).to_vec(), right: vec![false; N], ..Table::default() };
    for row in rows {
        for (width, cell) in table.widths.iter_mut().zip(row) {
            *width = (*width).max(text::width(cell));
        }
    }
    table.head(head, out)?;
    rows.iter().try_for_each(|row| table.row(row, out))
}

impl Table {
    fn print_waiting(&mut self, columns: &[Column], out: &mut dyn Write) -> io::Result<()> {
        if !self.head_printed {
            self.head_printed = true;
            let names: Vec<&str> = columns.iter().map(Column::name).collect();
            self.head(&names, out)?;
        }
        for cells in std::mem::take(&mut self.waiting) {
            self.row(&cells, out)?;
        }
        Ok(())
    }

    fn head(&self, names: &[&str], out: &mut dyn Write) -> io::Result<()> {
        let mut line = String::new();
        let mut rule = String::new();
        for (i, name) in names.iter().enumerate() {
            if i > 0 {
                line.push('|');
                rule.push('+');
            }
            let spare = self.widths[i].saturating_sub(text::width(name));
            let (left, right) = (spare / 2, spare - spare / 2);
            line.push_str(&format!(" {:left$}{name}{:right$} ", "", ""));
            rule.push_str(&"-".repeat(self.widths[i] + 2));
        }
        writeln!(out, "{}", line.trim_end())?;
        writeln!(out, "{rule}")
    }

    /// One row; a cell of several lines takes as many, each but its last marked with `+`.
    fn row(&self, cells: &[String], out: &mut dyn Write) -> io::Result<()> {
        let parts: Vec<Vec<&str>> = cells.iter().map(|c| c.split('\n').collect()).collect();
        let height = parts.iter().map(Vec::len).max().unwrap_or(1);
        let mut line = String::new();
        for at in 0..height {
            line.clear();
            for (i, cell) in parts.iter().enumerate() {
                if i > 0 {
                    line.push('|');
                }
                let part = cell.get(at).copied().unwrap_or("");
                let spare = self.widths[i].saturating_sub(text::width(part));
                let more = if at + 1 < cell.len() { '+' } else { ' ' };
                line.push(' ');
                if self.right[i] {
                    line.extend(std::iter::repeat_n(' ', spare));
                    line.push_str(part);
                } else {
                    line.push_str(part);
                    line.extend(std::iter::repeat_n(' ', spare));
                }
                line.push(more);
            }
            writeln!(out, "{}", line.trim_end_matches(' '))?;
        }
        Ok(())
    }
}
