//! Parquet in and out, through the environment's files.

use std::io::Read;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use ::parquet::basic;
use ::parquet::errors::{ParquetError, Result as ParquetResult};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::reader::{ChunkReader, Length};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use bytes::Bytes;
use cairn_env::{Env, File};
use cairn_types::DataType;
use cairn_types::text::format_cell;

use super::cell::ColumnSink;
use super::error::{CopyError, Place, Result};
use super::options::Compression;
use super::reader::{BATCH_ROWS, Target, TargetColumn, refuse_type};
use super::source::{Sink, open_file};

/// A file as Parquet's reader wants it.
struct Chunks {
    file: Arc<dyn File>,
    len: u64,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.len
    }
}

/// Reads on from an offset.
struct From {
    file: Arc<dyn File>,
    offset: u64,
}

impl Read for From {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read_at(buf, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

impl ChunkReader for Chunks {
    type T = std::io::BufReader<From>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(std::io::BufReader::new(From { file: Arc::clone(&self.file), offset: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        if start.saturating_add(length as u64) > self.len {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} of {}", self.len)));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// Reads a Parquet file into batches.
pub(super) struct ParquetReader {
    name: String,
    inner: ParquetRecordBatchReader,
    /// For each wanted column its place among those read.
    places: Vec<Option<usize>>,
    columns: Vec<TargetColumn>,
    schema: SchemaRef,
    rows: u64,
    done: bool,
}

impl ParquetReader {
    /// Opens `path`; into the file's own columns without `target`, else into the target's, found by name.
    pub(super) fn open(env: &Env, path: &str, target: Option<&Target>) -> Result<(ParquetReader, Target)> {
        let file = open_file(env, path)?;
        let len = file.len().map_err(|e| CopyError::io("read", path, &e))?;
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(Chunks { file, len }).map_err(|e| broken(path, &e))?;
        let fields = builder.schema().fields().clone();
        let wanted = match target {
            Some(target) => target.clone(),
            None => {
                let column = |f: &Arc<arrow::datatypes::Field>| {
                    Ok(TargetColumn { name: f.name().clone(), ty: sql_type(path, f)? })
                };
                Target {
                    name: path.rsplit('/').next().unwrap_or(path).to_owned(),
                    columns: fields.iter().map(column).collect::<Result<_>>()?,
                }
            }
        };
        let mut roots = Vec::new();
        for column in &wanted.columns {
            let exact = fields.iter().position(|f| *f.name() == column.name);
            let found =
                exact.or_else(|| fields.iter().position(|f| f.name().eq_ignore_ascii_case(&column.name)));
            match found {
                Some(root) => roots.push(root),
                None => {
                    let name = &column.name;
                    return Err(CopyError::new("22P04", format!("file \"{path}\" has no column \"{name}\"")));
                }
            }
        }
        let mut read = roots.clone();
        read.sort_unstable();
        read.dedup();
        let places = roots.iter().map(|r| read.binary_search(r).ok()).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), read);
        let inner = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|e| broken(path, &e))?;
        let reader = ParquetReader {
            name: wanted.name.clone(),
            inner,
            places,
            columns: wanted.columns.clone(),
            schema: wanted.arrow_schema(),
            rows: 0,
            done: false,
        };
        Ok((reader, wanted))
    }

    fn convert(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, place) in self.columns.iter().zip(&self.places) {
            let array = place
                .map(|p| batch.column(p))
                .ok_or_else(|| CopyError::new("XX000", format!("column \"{}\" was not read", column.name)))?;
            arrays.push(self.convert_column(array, column)?);
        }
        self.rows += batch.num_rows() as u64;
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|e| CopyError::new("XX000", e.to_string()))
    }

    fn convert_column(&self, array: &ArrayRef, column: &TargetColumn) -> Result<ArrayRef> {
        let want = column.ty.to_arrow();
        let texts = matches!(array.data_type(), ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View);
        if *array.data_type() == want
            && (!texts || matches!(column.ty, DataType::Text | DataType::Varchar(None)))
        {
            return Ok(Arc::clone(array));
        }
        if texts && !matches!(column.ty, DataType::Text) || want == ArrowType::Utf8 && !texts {
            return self.through_text(array, column);
        }
        if column.ty == DataType::Numeric(None) && DataType::from_arrow(array.data_type()).is_numeric() {
            let wide = crate::functions::wide::widen(array);
            return wide.map(|wide| Arc::new(wide) as ArrayRef).map_err(|e| {
                CopyError::new("22003", format!("column \"{}\" does not fit type numeric", column.name))
                    .with_detail(e.to_string())
            });
        }
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, &want, &strict).map_err(|e| {
            let message = format!("column \"{}\" does not fit type {}", column.name, column.ty.sql_name());
            CopyError::new("22003", message).with_detail(e.to_string())
        })
    }

    /// Each cell as text, read as if it stood in a CSV file.
    fn through_text(&self, array: &ArrayRef, column: &TargetColumn) -> Result<ArrayRef> {
        let from = DataType::from_arrow(array.data_type());
        let array = match from.to_arrow() == *array.data_type() {
            true => Arc::clone(array),
            false => {
                cast_with_options(array, &from.to_arrow(), &CastOptions { safe: false, ..Default::default() })
                    .map_err(|e| CopyError::new("22P04", e.to_string()))?
            }
        };
        let mut sink = ColumnSink::new(&column.ty, array.len());
        let strings = array.as_string_opt::<i32>();
        let mut text = String::new();
        for row in 0..array.len() {
            if array.is_null(row) {
                sink.push_null();
                continue;
            }
            let cell = match strings {
                Some(strings) => strings.value(row),
                None => {
                    text.clear();
                    format_cell(&array, row, &from, &mut text);
                    &text
                }
            };
            sink.push(cell.as_bytes()).map_err(|e| {
                let (name, line) = (self.name.as_str(), self.rows + row as u64 + 1);
                refuse_type(&e).at(&Place {
                    name,
                    line,
                    column: Some(&column.name),
                    data: Some(cell.as_bytes()),
                })
            })?;
        }
        sink.finish().map_err(|e| refuse_type(&e))
    }
}

impl Iterator for ParquetReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = match self.inner.next() {
            Some(Ok(batch)) => self.convert(&batch),
            Some(Err(e)) => Err(CopyError::new("22P04", format!("could not read Parquet data: {e}"))),
            None => {
                self.done = true;
                return None;
            }
        };
        self.done |= batch.is_err();
        Some(batch)
    }
}

/// The SQL type of a Parquet column; structs and maps are refused rather than flattened by guess.
fn sql_type(path: &str, field: &arrow::datatypes::Field) -> Result<DataType> {
    match field.data_type() {
        ArrowType::Struct(_) | ArrowType::Map(..) | ArrowType::Union(..) => {
            Err(CopyError::unsupported(format!(
                "column \"{}\" of file \"{path}\" has type {}, which is not supported",
                field.name(),
                field.data_type()
            )))
        }
        _ => Ok(DataType::from_field(field)),
    }
}

fn broken(path: &str, error: &ParquetError) -> CopyError {
    CopyError::new("22P04", format!("file \"{path}\" is not a valid Parquet file"))
        .with_detail(error.to_string())
}

/// Writes batches to a Parquet file.
pub(super) struct ParquetWriter {
    inner: ArrowWriter<Sink>,
    /// What the file's columns are: those of types that Parquet does not know are text.
    schema: SchemaRef,
    name: String,
}

impl ParquetWriter {
    /// Over `sink`, which must not compress by itself.
    pub(super) fn new(
        sink: Sink,
        name: &str,
        schema: &SchemaRef,
        compression: Option<Compression>,
    ) -> Result<ParquetWriter> {
        let codec = match compression {
            None | Some(Compression::Zstd) => basic::Compression::ZSTD(basic::ZstdLevel::default()),
            Some(Compression::None) => basic::Compression::UNCOMPRESSED,
            Some(Compression::Gzip) => basic::Compression::GZIP(basic::GzipLevel::default()),
            Some(Compression::Snappy) => basic::Compression::SNAPPY,
            Some(Compression::Lz4) => basic::Compression::LZ4_RAW,
        };
        let properties = WriterProperties::builder().set_compression(codec).build();
        let text = |field: &Field| Field::new(field.name(), ArrowType::Utf8, field.is_nullable());
        let fields = schema.fields().iter().map(|field| match is_coded(field) {
            true => Arc::new(text(field)),
            false => Arc::clone(field),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let inner = ArrowWriter::try_new(sink, Arc::clone(&schema), Some(properties))
            .map_err(|e| unwritten(name, &e))?;
        Ok(ParquetWriter { inner, schema, name: name.to_owned() })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if !batch.schema_ref().fields().iter().any(|field| is_coded(field)) {
            return self.inner.write(batch).map_err(|e| unwritten(&self.name, &e));
        }
        let columns = batch.columns().iter().zip(batch.schema_ref().fields());
        let columns = columns.map(|(column, field)| match is_coded(field) {
            true => in_text(column, field),
            false => Arc::clone(column),
        });
        let shown = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())
            .map_err(|e| CopyError::new("XX000", e.to_string()))?;
        self.inner.write(&shown).map_err(|e| unwritten(&self.name, &e))
    }

    /// Writes the footer and ends the file.
    pub(super) fn finish(self) -> Result<()> {
        let sink = self.inner.into_inner().map_err(|e| unwritten(&self.name, &e))?;
        sink.finish()
    }
}

/// Whether a column is of a type that Parquet does not know, a coded one or NUMERIC without parameters, or of arrays of one.
fn is_coded(field: &Field) -> bool {
    let mut ty = DataType::from_field(field);
    while let DataType::Array(element) = ty {
        ty = *element;
    }
    matches!(ty, DataType::Coded(_) | DataType::Numeric(None))
}

/// A column in PostgreSQL's text form.
fn in_text(column: &ArrayRef, field: &Field) -> ArrayRef {
    let ty = DataType::from_field(field);
    let cells = (0..column.len()).map(|row| {
        (!column.is_null(row)).then(|| {
            let mut text = String::new();
            format_cell(column.as_ref(), row, &ty, &mut text);
            text
        })
    });
    Arc::new(cells.collect::<StringArray>())
}

fn unwritten(name: &str, error: &ParquetError) -> CopyError {
    match error {
        ParquetError::NYI(what) => {
            CopyError::unsupported(format!("a Parquet file cannot hold this result: {what}"))
        }
        other => CopyError::new("58030", format!("could not write file \"{name}\": {other}")),
    }
}
