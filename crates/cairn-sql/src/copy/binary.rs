//! PostgreSQL's binary format: a signature, rows of counted fields in the form that the protocol's binary values have, and an
//! end.
//!
//! ```text
//!   "PGCOPY\n\xFF\r\n\0"  flags u32  length of more header u32, more header
//!   per row: fields i16, per field: length i32 (-1: NULL), bytes
//!   -1 i16
//! ```
//! Numbers are big-endian. I1. The end may be missing where the bytes end behind a row; what follows it is an error.

use std::io::{BufReader, Read};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use cairn_types::{ColumnBuilder, DataType, Value};

use super::error::{CopyError, Place, Result};
use super::reader::{BATCH_ROWS, Target, TargetColumn, refuse_type};
use super::source::{Progress, Source};

/// Begins every file.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Flags that a reader has to know.
const CRITICAL: u32 = 0xFFFF_0000;
/// The flag of PostgreSQL before 12 for numbers of rows.
const WITH_OIDS: u32 = 1 << 16;
/// Bytes of a field that are taken before it is known whether they come.
const TRUSTED_BYTES: usize = 1 << 20;

/// The signature, no flags, no more header.
pub(super) fn header() -> Vec<u8> {
    [SIGNATURE.as_slice(), &[0; 8]].concat()
}

/// The end.
pub(super) const END: [u8; 2] = (-1i16).to_be_bytes();

/// Appends a row.
pub(super) fn write_row(
    batch: &RecordBatch,
    row: usize,
    columns: &[(String, DataType)],
    out: &mut Vec<u8>,
) -> Result<()> {
    // A table has at most 1,600 columns, and a query no more.
    out.extend_from_slice(&(columns.len() as i16).to_be_bytes());
    for (array, (_, ty)) in batch.columns().iter().zip(columns) {
        if array.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        Value::from_array(array, row, ty).write_binary(ty, out).map_err(|error| refuse_type(&error))?;
        let length = i32::try_from(out.len() - at - 4)
            .map_err(|_| CopyError::new("54000", "a field of more than 2 GiB has no binary form"))?;
        out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

/// Reads the format into batches.
pub(super) struct BinaryReader {
    bytes: BufReader<Box<dyn Read + Send>>,
    /// What messages call it: the table, and the source.
    names: (String, String),
    progress: Progress,
    columns: Vec<TargetColumn>,
    schema: SchemaRef,
    field: Vec<u8>,
    /// Rows begun.
    row: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Header,
    Rows,
    Done,
}

fn malformed(message: impl Into<String>) -> CopyError {
    CopyError::new("22P04", message)
}

fn cut_off() -> CopyError {
    malformed("unexpected EOF in COPY data")
}

impl BinaryReader {
    /// Into columns that are known.
    pub(super) fn with_target(source: Source, target: &Target) -> BinaryReader {
        BinaryReader {
            bytes: BufReader::with_capacity(256 << 10, source.bytes),
            names: (target.name.clone(), source.name),
            progress: source.progress,
            columns: target.columns.clone(),
            schema: target.arrow_schema(),
            field: Vec::new(),
            row: 0,
            state: State::Header,
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Fills `out`; false at the end, before the first byte.
    fn fill(&mut self, out: &mut [u8]) -> Result<bool> {
        let mut filled = 0;
        while filled < out.len() {
            match self.bytes.read(&mut out[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(cut_off()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(CopyError::io("read", &self.names.1, &error)),
            }
        }
        Ok(true)
    }

    fn array<const N: usize>(&mut self) -> Result<Option<[u8; N]>> {
        let mut out = [0; N];
        Ok(self.fill(&mut out)?.then_some(out))
    }

    fn header(&mut self) -> Result<()> {
        let unknown = || malformed("COPY file signature not recognized");
        let signature: [u8; SIGNATURE.len()] = self.array().map_err(|_| unknown())?.ok_or_else(unknown)?;
        if signature != *SIGNATURE {
            return Err(unknown());
        }
        let missing = |what: &str| malformed(format!("invalid COPY file header ({what})"));
        let flags = self.array()?.map(u32::from_be_bytes).ok_or_else(|| missing("missing flags"))?;
        if flags & WITH_OIDS != 0 {
            return Err(missing("WITH OIDS"));
        }
        if flags & CRITICAL != 0 {
            return Err(malformed("unrecognized critical flags in COPY file header"));
        }
        let more = self.array()?.map(i32::from_be_bytes).and_then(|more| u64::try_from(more).ok());
        let more = more.ok_or_else(|| missing("missing length"))?;
        let skipped = std::io::copy(&mut self.bytes.by_ref().take(more), &mut std::io::sink())
            .map_err(|error| CopyError::io("read", &self.names.1, &error))?;
        if skipped < more { Err(missing("wrong length")) } else { Ok(()) }
    }

    /// Reads the bytes of a field, as many as are said to come.
    fn field(&mut self, length: usize) -> Result<()> {
        self.field.clear();
        self.field.reserve(length.min(TRUSTED_BYTES));
        let read = self.bytes.by_ref().take(length as u64).read_to_end(&mut self.field);
        let read = read.map_err(|error| CopyError::io("read", &self.names.1, &error))?;
        if read < length { Err(cut_off()) } else { Ok(()) }
    }

    /// Reads a row; false at the end.
    fn read_row(&mut self, builders: &mut [ColumnBuilder]) -> Result<bool> {
        let Some(count) = self.array()?.map(i16::from_be_bytes) else { return Ok(false) };
        if count == -1 {
            return match self.array::<1>()? {
                None => Ok(false),
                Some(_) => Err(malformed("received copy data after EOF marker")),
            };
        }
        self.row += 1;
        if usize::try_from(count) != Ok(builders.len()) {
            let expected = builders.len();
            return Err(
                malformed(format!("row field count is {count}, expected {expected}")).at(&self.place(None))
            );
        }
        for (at, builder) in builders.iter_mut().enumerate() {
            self.read_field(at, builder).map_err(|error| error.at(&self.place(Some(at))))?;
        }
        Ok(true)
    }

    fn read_field(&mut self, at: usize, builder: &mut ColumnBuilder) -> Result<()> {
        let length = self.array()?.map(i32::from_be_bytes).ok_or_else(cut_off)?;
        let value = match usize::try_from(length) {
            Ok(length) => {
                self.field(length)?;
                let ty = &self.columns[at].ty;
                Value::parse_binary(&self.field, ty).map_err(|error| refuse_type(&error))?
            }
            Err(_) if length == -1 => Value::Null,
            Err(_) => return Err(malformed("invalid field size")),
        };
        builder.push(&value).map_err(|error| refuse_type(&error))
    }

    fn place(&self, column: Option<usize>) -> Place<'_> {
        let column = column.map(|at| self.columns[at].name.as_str());
        Place { name: &self.names.0, line: self.row, column, data: None }
    }

    fn read_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.state == State::Header {
            self.header()?;
            self.state = State::Rows;
        }
        let mut builders: Vec<ColumnBuilder> =
            self.columns.iter().map(|column| ColumnBuilder::with_capacity(&column.ty, BATCH_ROWS)).collect();
        let mut rows = 0;
        while rows < BATCH_ROWS {
            if !self.read_row(&mut builders)? {
                self.state = State::Done;
                break;
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays: Result<Vec<ArrayRef>> = builders
            .iter_mut()
            .map(|builder| builder.finish().map_err(|error| refuse_type(&error)))
            .collect();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays?, &options);
        batch.map(Some).map_err(|error| CopyError::new("XX000", error.to_string()))
    }
}

impl Iterator for BinaryReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Done {
            return None;
        }
        let batch = self.read_batch().transpose();
        if !matches!(batch, Some(Ok(_))) {
            self.state = State::Done;
        }
        batch
    }
}
