//! How rows are printed: one file per format, one line in [`Format`] each.
//!
//! A result is written as `begin`, any number of `batch`, `end`. Formats stream: none keeps more
//! than [`table::SAMPLE_ROWS`] rows, so a result larger than memory can be printed.
//!
//! I1: `begin` comes first and once, `end` last and once; a result that fails half-way gets no `end`.

use std::io::{self, Write};

use cairndb::Column;
use cairndb::arrow::RecordBatch;

mod csv;
mod json;
mod line;
mod markdown;
mod table;
mod text;

/// The formats that `--format` and `\format` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns with a header and a row count, as psql prints them
    Table,
    /// Header line, RFC 4180 quoting, NULL as nothing
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object per line
    Jsonl,
    /// A Markdown table
    Markdown,
    /// One `column = value` per line, an empty line between rows
    Line,
}

impl Format {
    /// The writer of this format.
    pub(crate) fn writer(self) -> Box<dyn RowWriter> {
        match self {
            Format::Table => Box::new(table::Table::default()),
            Format::Csv => Box::new(csv::Csv),
            Format::Json => Box::new(json::Json::array()),
            Format::Jsonl => Box::new(json::Json::lines()),
            Format::Markdown => Box::new(markdown::Markdown),
            Format::Line => Box::new(line::Line::default()),
        }
    }

    /// The writer of this format when `\x` is on: the table turns into one record per block.
    pub(crate) fn expanded_writer(self) -> Box<dyn RowWriter> {
        match self {
            Format::Table => Box::new(line::Expanded::default()),
            other => other.writer(),
        }
    }

    /// Whether the format is for people, who want to see `INSERT 0 3` and timings beside the rows.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Format::Table)
    }
}

/// Writes one result.
pub(crate) trait RowWriter {
    /// Before the first row, also of an empty result.
    fn begin(&mut self, columns: &[Column], out: &mut dyn Write) -> io::Result<()>;
    /// A piece of the result, of any number of rows.
    fn batch(&mut self, columns: &[Column], batch: &RecordBatch, out: &mut dyn Write) -> io::Result<()>;
    /// After the last row.
    fn end(&mut self, columns: &[Column], out: &mut dyn Write) -> io::Result<()>;
}

/// A table of texts in the layout of [`Format::Table`], without a row count: what `\d` and `stats` print.
pub(crate) fn text_table<const N: usize>(
    head: &[&str; N],
    rows: &[[String; N]],
    out: &mut dyn Write,
) -> io::Result<()> {
    table::texts(head, rows, out)
}

#[cfg(test)]
mod tests;
