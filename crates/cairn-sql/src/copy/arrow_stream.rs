//! Arrow's stream format (IPC), in and out: batches as they are in memory, one after the other.

use std::io::{BufReader, Read};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::arrays::{Shown, Wanted};
use super::error::{CopyError, Result};
use super::reader::Target;
use super::source::{Sink, Source};

/// Reads a stream into batches.
pub(super) struct ArrowReader {
    inner: StreamReader<BufReader<Box<dyn Read + Send>>>,
    wanted: Wanted,
    done: bool,
}

impl ArrowReader {
    /// Over `source`; into the stream's own columns without `target`, else into the target's, found by name.
    pub(super) fn new(source: Source, path: &str, target: Option<&Target>) -> Result<(ArrowReader, Target)> {
        let inner = StreamReader::try_new_buffered(source.bytes, None).map_err(|e| unread(&e))?;
        let wanted = Wanted::new(path, inner.schema().fields(), target)?;
        let target = wanted.target.clone();
        Ok((ArrowReader { inner, wanted, done: false }, target))
    }
}

impl Iterator for ArrowReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = match self.inner.next() {
            Some(Ok(batch)) => self.wanted.convert(&batch, Some),
            Some(Err(error)) => Err(unread(&error)),
            None => {
                self.done = true;
                return None;
            }
        };
        self.done |= batch.is_err();
        Some(batch)
    }
}

fn unread(error: &ArrowError) -> CopyError {
    CopyError::new("22P04", "the data is not a valid Arrow stream").with_detail(error.to_string())
}

/// Writes batches as a stream.
pub(super) struct ArrowStreamWriter {
    inner: StreamWriter<Sink>,
    shown: Shown,
    name: String,
}

impl ArrowStreamWriter {
    /// Over `sink`.
    pub(super) fn new(sink: Sink, name: &str, schema: &SchemaRef) -> Result<ArrowStreamWriter> {
        let shown = Shown::new(schema);
        let inner = StreamWriter::try_new(sink, &shown.schema).map_err(|e| unwritten(name, &e))?;
        Ok(ArrowStreamWriter { inner, shown, name: name.to_owned() })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.inner.write(&self.shown.batch(batch)?).map_err(|e| unwritten(&self.name, &e))
    }

    /// Ends the stream.
    pub(super) fn finish(self) -> Result<()> {
        let name = self.name;
        // Says that it is whole.
        let sink = self.inner.into_inner().map_err(|e| unwritten(&name, &e))?;
        sink.finish()
    }
}

fn unwritten(name: &str, error: &ArrowError) -> CopyError {
    CopyError::new("58030", format!("could not write file \"{name}\": {error}"))
}
