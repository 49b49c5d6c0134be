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
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use cairn_env::{Env, File};

use super::arrays::{Shown, Wanted};
use super::error::{CopyError, Result};
use super::options::Compression;
use super::reader::{BATCH_ROWS, Target};
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
    inner: ParquetRecordBatchReader,
    wanted: Wanted,
    /// The file's columns that are read.
    read: Vec<usize>,
    done: bool,
}

impl ParquetReader {
    /// Opens `path`; into the file's own columns without `target`, else into the target's, found by name.
    pub(super) fn open(env: &Env, path: &str, target: Option<&Target>) -> Result<(ParquetReader, Target)> {
        let file = open_file(env, path)?;
        let len = file.len().map_err(|e| CopyError::io("read", path, &e))?;
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(Chunks { file, len }).map_err(|e| broken(path, &e))?;
        let wanted = Wanted::new(path, builder.schema().fields(), target)?;
        let mut read = wanted.places.clone();
        read.sort_unstable();
        read.dedup();
        let mask = ProjectionMask::roots(builder.parquet_schema(), read.iter().copied());
        let inner = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|e| broken(path, &e))?;
        let target = wanted.target.clone();
        Ok((ParquetReader { inner, wanted, read, done: false }, target))
    }
}

impl Iterator for ParquetReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = match self.inner.next() {
            Some(Ok(batch)) => self.wanted.convert(&batch, |root| self.read.binary_search(&root).ok()),
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

fn broken(path: &str, error: &ParquetError) -> CopyError {
    CopyError::new("22P04", format!("file \"{path}\" is not a valid Parquet file"))
        .with_detail(error.to_string())
}

/// Writes batches to a Parquet file.
pub(super) struct ParquetWriter {
    inner: ArrowWriter<Sink>,
    shown: Shown,
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
        let shown = Shown::new(schema);
        let inner = ArrowWriter::try_new(sink, Arc::clone(&shown.schema), Some(properties))
            .map_err(|e| unwritten(name, &e))?;
        Ok(ParquetWriter { inner, shown, name: name.to_owned() })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.inner.write(&self.shown.batch(batch)?).map_err(|e| unwritten(&self.name, &e))
    }

    /// Writes the footer and ends the file.
    pub(super) fn finish(self) -> Result<()> {
        let sink = self.inner.into_inner().map_err(|e| unwritten(&self.name, &e))?;
        sink.finish()
    }
}

fn unwritten(name: &str, error: &ParquetError) -> CopyError {
    match error {
        ParquetError::NYI(what) => {
            CopyError::unsupported(format!("a Parquet file cannot hold this result: {what}"))
        }
        other => CopyError::new("58030", format!("could not write file \"{name}\": {other}")),
    }
}
