//! A file of any format as a schema and an iterator of record batches.
//!
//! I1. Batches have exactly the Arrow types of the columns' SQL types ([`DataType::to_arrow`]).
//! I2. After an error the iterator is at its end.

use std::io::Read;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use cairn_env::Env;
use cairn_types::{DataType, TypeError};

use super::arrow_stream::ArrowReader;
use super::binary::BinaryReader;
use super::delimited::DelimitedReader;
use super::error::{CopyError, Result};
use super::jsonl::JsonReader;
use super::options::{CopyOptions, Format};
use super::parquet::ParquetReader;
use super::prefetch::Prefetch;
use super::source::{Progress, Source};

/// Rows in a batch.
pub(super) const BATCH_ROWS: usize = 8192;

/// A column that a file is read into.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetColumn {
    /// Name; JSON keys and Parquet columns are found by it.
    pub name: String,
    /// Type.
    pub ty: DataType,
}

/// The columns that a file is read into.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The table, for messages.
    pub name: String,
    /// Columns, in the order of the file where it has no names.
    pub columns: Vec<TargetColumn>,
}

impl Target {
    /// The Arrow schema of the batches.
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|c| c.ty.to_field(&c.name, true)).collect::<Vec<_>>()))
    }
}

/// An open file: its columns and its batches.
///
/// ```
/// use cairn_sql::copy::{CopyOptions, open_reader};
/// let env = cairn_env::Env::memory();
/// let file = env.files().open("t.csv".as_ref(), cairn_env::OpenMode::Create)?;
/// file.write_all_at(b"id,name\n1,Ada\n", 0)?;
/// let reader = open_reader(&env, "t.csv", &CopyOptions::default())?;
/// assert_eq!(reader.schema().field(1).name(), "name");
/// assert_eq!(reader.map(|batch| batch.map(|b| b.num_rows())).sum::<Result<usize, _>>()?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader {
    schema: SchemaRef,
    columns: Vec<TargetColumn>,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
    progress: Progress,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Reader {
    fn new(
        target: Target,
        progress: Progress,
        batches: impl Iterator<Item = Result<RecordBatch>> + Send + 'static,
    ) -> Reader {
        Reader {
            schema: target.arrow_schema(),
            columns: target.columns,
            batches: Box::new(batches),
            progress,
        }
    }

    /// The Arrow schema of the batches; fields carry the SQL types.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns with their SQL types.
    pub fn columns(&self) -> &[TargetColumn] {
        &self.columns
    }

    /// How far the file is read; shared, so that another thread can watch it.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Reads ahead on a worker of `env`, so that parsing and what is done with the batches overlap. Where no worker
    /// can be had, reading goes on in the caller.
    #[must_use]
    pub fn prefetch(self, env: &Env) -> Reader {
        let batches = Prefetch::start(env, self.batches);
        Reader { batches: Box::new(batches), ..self }
    }
}

impl Iterator for Reader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

/// Opens a file whose columns and types are told by the file: the names of a header, types guessed from the head
/// (`options.sample_bytes`), Parquet's own schema.
///
/// # Errors
/// The file cannot be opened or read (`58P01`, `42501`, `58030` …), is empty or not of its format (`22P04`, `22P02`).
pub fn open_reader(env: &Env, path: &str, options: &CopyOptions) -> Result<Reader> {
    match options.format_of(path) {
        Format::JsonLines => {
            let (reader, target) = JsonReader::guess(env, path, options)?;
            Ok(Reader::new(target, reader.progress(), reader))
        }
        Format::Parquet => {
            let (reader, target) = ParquetReader::open(env, path, None)?;
            Ok(Reader::new(target, Progress::default(), reader))
        }
        Format::Arrow => {
            let source = Source::open(env, path, options.compression, options.encoding)?;
            let (reader, target) = ArrowReader::new(source, path, None)?;
            Ok(Reader::new(target, Progress::default(), reader))
        }
        Format::Binary => Err(CopyError::unsupported("a file in binary format does not tell its columns")
            .with_hint("COPY reads it into a table.")),
        format => {
            // A name that tells nothing is more often a CSV file than PostgreSQL's text.
            let format = if options.format.is_none() { Format::Csv } else { format };
            let (reader, target) = DelimitedReader::guess(env, path, options, format)?;
            Ok(Reader::new(target, reader.progress(), reader))
        }
    }
}

/// Opens a file to be read into columns that are known.
///
/// # Errors
/// As [`open_reader`].
pub fn open_reader_into(env: &Env, path: &str, options: &CopyOptions, target: &Target) -> Result<Reader> {
    let format = options.format_of(path);
    if format == Format::Parquet {
        let (reader, target) = ParquetReader::open(env, path, Some(target))?;
        return Ok(Reader::new(target, Progress::default(), reader));
    }
    read_into(Source::open(env, path, options.compression, options.encoding)?, path, options, format, target)
}

/// Reads standard input or a connection into columns that are known.
///
/// # Errors
/// As [`open_reader`]; `0A000` for Parquet, which is read from its end.
pub fn stream_reader_into(
    bytes: Box<dyn Read + Send>,
    options: &CopyOptions,
    target: &Target,
) -> Result<Reader> {
    let format = options.format.unwrap_or(Format::Text);
    if format == Format::Parquet {
        return Err(CopyError::unsupported("COPY FROM STDIN in Parquet format is not supported"));
    }
    let source = Source::stream("STDIN", bytes, options.compression, options.encoding)?;
    let options = CopyOptions { format: Some(format), ..options.clone() };
    read_into(source, "", &options, format, target)
}

fn read_into(
    source: Source,
    path: &str,
    options: &CopyOptions,
    format: Format,
    target: &Target,
) -> Result<Reader> {
    if format == Format::JsonLines {
        let reader = JsonReader::with_target(source, options.time_zone, target);
        return Ok(Reader::new(target.clone(), reader.progress(), reader));
    }
    if format == Format::Arrow {
        let (reader, target) = ArrowReader::new(source, path, Some(target))?;
        return Ok(Reader::new(target, Progress::default(), reader));
    }
    if format == Format::Binary {
        let reader = BinaryReader::with_target(source, target);
        return Ok(Reader::new(target.clone(), reader.progress(), reader));
    }
    let reader = DelimitedReader::with_target(source, options, format, path, target)?;
    Ok(Reader::new(target.clone(), reader.progress(), reader))
}

/// An error of a whole column, when the cell is not known any more.
pub(super) fn refuse_type(error: &TypeError) -> CopyError {
    let mut told = CopyError::new(error.sqlstate(), error.to_string());
    told.detail = error.detail();
    told
}
