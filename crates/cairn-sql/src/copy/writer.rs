//! Record batches to a file of any format.
//!
//! CSV is RFC 4180 as PostgreSQL writes it: NULL is nothing, the empty string is `""`, quotes only where needed, LF.

use std::io::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use cairn_env::Env;
use cairn_types::DataType;
use cairn_types::text::format_cell;

use super::arrow_stream::ArrowStreamWriter;
use super::error::{CopyError, Result};
use super::options::{Columns, Compression, CopyOptions, Dialect, Format, Header};
use super::parquet::ParquetWriter;
use super::source::Sink;
use super::{binary, write_json};

/// Text gathered before it is handed on.
const CHUNK_BYTES: usize = 64 << 10;

/// Writes the batches of one result; nothing is seen of a file before [`Writer::finish`].
pub struct Writer {
    kind: Kind,
    columns: Vec<(String, DataType)>,
    name: String,
    rows: u64,
}

enum Kind {
    Delimited { sink: Sink, dialect: Dialect, quoted: Vec<bool>, text: String },
    Json { sink: Sink, text: String },
    Binary { sink: Sink, bytes: Vec<u8> },
    Parquet(Box<ParquetWriter>),
    Arrow(Box<ArrowStreamWriter>),
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Writer {
    /// Creates the file `path` for rows of `schema`.
    ///
    /// # Errors
    /// The file cannot be made (`58P01`, `42501`, `58030`).
    pub fn create(env: &Env, path: &str, options: &CopyOptions, schema: &SchemaRef) -> Result<Writer> {
        let format = options.format_of(path);
        let around = if format == Format::Parquet { Compression::None } else { options.compression_of(path) };
        Writer::over(Sink::create(env, path, around)?, path, options, format, schema)
    }

    /// Writes to `bytes` (standard output, a connection).
    ///
    /// # Errors
    /// As [`Writer::create`].
    pub fn stream(bytes: Box<dyn Write + Send>, options: &CopyOptions, schema: &SchemaRef) -> Result<Writer> {
        let format = options.format.unwrap_or(Format::Text);
        let around = match format {
            Format::Parquet => Compression::None,
            _ => options.compression.unwrap_or(Compression::None),
        };
        Writer::over(Sink::stream(bytes, "STDOUT", around)?, "STDOUT", options, format, schema)
    }

    fn over(
        sink: Sink,
        name: &str,
        options: &CopyOptions,
        format: Format,
        schema: &SchemaRef,
    ) -> Result<Writer> {
        let columns: Vec<_> =
            schema.fields().iter().map(|f| (f.name().clone(), DataType::from_field(f))).collect();
        if let Columns::Named(names) = &options.force_quote
            && let Some(unknown) = names.iter().find(|n| !columns.iter().any(|(c, _)| c == *n))
        {
            return Err(CopyError::new("42703", format!("column \"{unknown}\" does not exist")));
        }
        let kind = match format {
            Format::Parquet => {
                Kind::Parquet(Box::new(ParquetWriter::new(sink, name, schema, options.compression)?))
            }
            Format::Arrow => Kind::Arrow(Box::new(ArrowStreamWriter::new(sink, name, schema)?)),
            Format::JsonLines => Kind::Json { sink, text: String::new() },
            Format::Binary => Kind::Binary { sink, bytes: binary::header() },
            format => {
                let dialect = options.dialect(format, name);
                let quoted = columns.iter().map(|(n, _)| options.force_quote.contains(n)).collect();
                // A file that nobody gave a format is for people: it gets its names.
                let named = match options.header {
                    Some(header) => header != Header::No,
                    None => options.format.is_none() && format == Format::Csv,
                };
                let mut text = String::new();
                if named {
                    for (i, (name, _)) in columns.iter().enumerate() {
                        if i > 0 {
                            text.push(char::from(dialect.delimiter));
                        }
                        write_cell(name, &dialect, false, columns.len() == 1, &mut text);
                    }
                    text.push('\n');
                }
                Kind::Delimited { sink, dialect, quoted, text }
            }
        };
        Ok(Writer { kind, columns, name: name.to_owned(), rows: 0 })
    }

    /// Adds rows; they must be of the schema given.
    ///
    /// # Errors
    /// `53100`, `58030`: the device refused.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let failed = |e: std::io::Error| CopyError::io("write", &self.name, &e);
        match &mut self.kind {
            Kind::Parquet(writer) => writer.write(batch),
            Kind::Arrow(writer) => writer.write(batch),
            Kind::Json { sink, text } => {
                for row in 0..batch.num_rows() {
                    write_json::write_row(batch, row, &self.columns, text);
                    drain(sink, text, CHUNK_BYTES).map_err(failed)?;
                }
                Ok(())
            }
            Kind::Binary { sink, bytes } => {
                for row in 0..batch.num_rows() {
                    binary::write_row(batch, row, &self.columns, bytes)?;
                    if bytes.len() > CHUNK_BYTES {
                        sink.write_all(bytes).map_err(failed)?;
                        bytes.clear();
                    }
                }
                Ok(())
            }
            Kind::Delimited { sink, dialect, quoted, text } => {
                let null = String::from_utf8_lossy(&dialect.nulls[0]).into_owned();
                let mut cell = String::new();
                for row in 0..batch.num_rows() {
                    for (i, (_, ty)) in self.columns.iter().enumerate() {
                        if i > 0 {
                            text.push(char::from(dialect.delimiter));
                        }
                        let array = batch.column(i);
                        if array.is_null(row) {
                            text.push_str(&null);
                            continue;
                        }
                        cell.clear();
                        format_cell(array, row, ty, &mut cell);
                        write_cell(&cell, dialect, quoted[i], self.columns.len() == 1, text);
                    }
                    text.push('\n');
                    drain(sink, text, CHUNK_BYTES).map_err(failed)?;
                }
                Ok(())
            }
        }
    }

    /// Ends the file and gives it its name; returns the rows written.
    ///
    /// # Errors
    /// As [`Writer::write`]; no file appears.
    pub fn finish(self) -> Result<u64> {
        let failed = |e: std::io::Error| CopyError::io("write", &self.name, &e);
        match self.kind {
            Kind::Parquet(writer) => writer.finish()?,
            Kind::Arrow(writer) => writer.finish()?,
            Kind::Binary { mut sink, mut bytes } => {
                bytes.extend_from_slice(&binary::END);
                sink.write_all(&bytes).map_err(failed)?;
                sink.finish()?;
            }
            Kind::Json { mut sink, mut text } | Kind::Delimited { mut sink, mut text, .. } => {
                drain(&mut sink, &mut text, 0).map_err(failed)?;
                sink.finish()?;
            }
        }
        Ok(self.rows)
    }
}

fn drain(sink: &mut Sink, text: &mut String, over: usize) -> std::io::Result<()> {
    if text.len() > over {
        sink.write_all(text.as_bytes())?;
        text.clear();
    }
    Ok(())
}

fn write_cell(cell: &str, dialect: &Dialect, force: bool, alone: bool, out: &mut String) {
    let delimiter = char::from(dialect.delimiter);
    if !dialect.csv {
        for c in cell.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{b}' => out.push_str("\\v"),
                c if c == delimiter => {
                    out.push('\\');
                    out.push(c);
                }
                c => out.push(c),
            }
        }
        return;
    }
    let special = |b: u8| b == dialect.delimiter || b == dialect.quote || b == b'\n' || b == b'\r';
    let quote = char::from(dialect.quote);
    let ends_data = alone && cell == "\\.";
    if !(force || ends_data || dialect.is_null(cell.as_bytes()) || cell.bytes().any(special)) {
        out.push_str(cell);
        return;
    }
    out.push(quote);
    for c in cell.chars() {
        if c == quote || c == char::from(dialect.escape) {
            out.push(char::from(dialect.escape));
        }
        out.push(c);
    }
    out.push(quote);
}
