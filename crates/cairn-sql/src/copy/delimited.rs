//! CSV and text files as record batches.

use std::io::Read;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cairn_env::Env;
use cairn_types::DataType;
use cairn_types::datetime::Zone;

use super::cell::ColumnSink;
use super::error::{CopyError, Result};
use super::infer::{self, Candidates, NOT_AVAILABLE};
use super::options::{CopyOptions, Dialect, Format, Header, SAMPLE_BYTES_DEFAULT};
use super::reader::{BATCH_ROWS, Target, TargetColumn, refuse_type};
use super::records::Records;
use super::source::{Progress, Source};

/// Bytes of variable-length values in one column of a batch, at most; far below what its offsets can tell.
const BATCH_HEAP_BYTES_MAX: usize = 64 << 20;
/// Lines looked at to guess a delimiter.
const SNIFF_LINES: usize = 20;

/// Reads delimited records into batches.
pub(super) struct DelimitedReader {
    records: Records,
    zone: Zone,
    columns: Vec<TargetColumn>,
    schema: SchemaRef,
    force: Vec<Force>,
    /// A guessed file: blank lines are skipped, and an error says how to help.
    guessed: bool,
    done: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Force {
    null: bool,
    not_null: bool,
    not_available: bool,
}

impl DelimitedReader {
    /// Into columns that are known.
    pub(super) fn with_target(
        source: Source,
        options: &CopyOptions,
        format: Format,
        path: &str,
        target: &Target,
    ) -> Result<DelimitedReader> {
        let mut records = Records::new(source, options.dialect(format, path))?;
        records.name.clone_from(&target.name);
        let force = target
            .columns
            .iter()
            .map(|c| Force {
                null: options.force_null.contains(&c.name),
                not_null: options.force_not_null.contains(&c.name),
                not_available: false,
            })
            .collect();
        let mut reader = DelimitedReader {
            records,
            zone: options.time_zone,
            columns: target.columns.clone(),
            schema: target.arrow_schema(),
            force,
            guessed: false,
            done: false,
        };
        reader.take_header(options)?;
        Ok(reader)
    }

    fn take_header(&mut self, options: &CopyOptions) -> Result<()> {
        let header = match options.header {
            Some(header) => header,
            // Nothing was said of the format either: a first line that is the column names is a header.
            None if options.format.is_none() => {
                let more = self.records.advance()?;
                let named = more
                    && self.records.len() == self.columns.len()
                    && (self.columns.iter().enumerate())
                        .all(|(i, c)| self.records.cell(i).eq_ignore_ascii_case(c.name.as_bytes()));
                if more && !named {
                    self.records.stay();
                }
                return Ok(());
            }
            None => Header::No,
        };
        if header == Header::No || !self.records.advance()? {
            return Ok(());
        }
        if header == Header::Match {
            self.match_header()?;
        }
        Ok(())
    }

    fn match_header(&self) -> Result<()> {
        let wrong = |message: String| {
            CopyError::new("22P04", message).at(&self.records.place(None, Some(self.records.raw())))
        };
        if self.records.len() != self.columns.len() {
            let (found, want) = (self.records.len(), self.columns.len());
            return Err(wrong(format!(
                "wrong number of fields in header line: got {found}, expected {want}"
            )));
        }
        for (i, column) in self.columns.iter().enumerate() {
            let found = self.records.cell(i);
            if found != column.name.as_bytes() {
                let found = String::from_utf8_lossy(found);
                let at = i + 1;
                let want = &column.name;
                return Err(wrong(format!(
                    "column name mismatch in header line field {at}: got \"{found}\", expected \"{want}\""
                )));
            }
        }
        Ok(())
    }

    /// Into columns guessed from the head of the file `path`.
    pub(super) fn guess(
        env: &Env,
        path: &str,
        options: &CopyOptions,
        format: Format,
    ) -> Result<(DelimitedReader, Target)> {
        let open = || Source::open(env, path, options.compression, options.encoding);
        let mut dialect = options.dialect(format, path);
        if options.delimiter.is_none() && dialect.csv && super::options::extension(path) != "tsv" {
            dialect.delimiter = sniff_delimiter(open()?, &dialect)?;
        }
        let limit = if options.sample_bytes == 0 { SAMPLE_BYTES_DEFAULT } else { options.sample_bytes };
        let guessed = Guess::of(Records::new(open()?, dialect.clone())?, options, limit)?;
        let mut records = Records::new(open()?, dialect)?;
        if guessed.header {
            records.advance()?;
        }
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let mut columns = Vec::new();
        let mut force = Vec::new();
        for (name, candidates) in guessed.names.into_iter().zip(&guessed.candidates) {
            let ty = candidates.ty();
            force.push(Force {
                null: options.force_null.contains(&name),
                not_null: options.force_not_null.contains(&name),
                not_available: options.nulls.is_none() && ty != DataType::Text,
            });
            columns.push(TargetColumn { name, ty });
        }
        let target = Target { name, columns };
        let reader = DelimitedReader {
            records,
            zone: options.time_zone,
            columns: target.columns.clone(),
            schema: target.arrow_schema(),
            force,
            guessed: true,
            done: false,
        };
        Ok((reader, target))
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        self.records.progress.clone()
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        let mut sinks: Vec<ColumnSink> =
            self.columns.iter().map(|c| ColumnSink::new(&c.ty, BATCH_ROWS).in_zone(self.zone)).collect();
        let mut lines = Vec::with_capacity(BATCH_ROWS);
        while lines.len() < BATCH_ROWS {
            if !self.records.advance()? {
                self.done = true;
                break;
            }
            if self.guessed && self.records.is_blank() && self.columns.len() != 1 {
                continue;
            }
            self.check_width()?;
            self.push(&mut sinks)?;
            lines.push(self.records.line());
            if lines.len() % 64 == 0 && sinks.iter().any(|s| s.heap_bytes() > BATCH_HEAP_BYTES_MAX) {
                break;
            }
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(sinks.len());
        for (sink, column) in sinks.into_iter().zip(&self.columns) {
            let bad = sink
                .first_invalid_utf8()
                .map(|(row, cell)| self.invalid_utf8(lines[row], &column.name, cell));
            if let Some(error) = bad {
                return Err(error);
            }
            arrays.push(sink.finish().map_err(|e| refuse_type(&e))?);
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(lines.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(|e| CopyError::new("XX000", e.to_string()))
    }

    #[inline]
    fn push(&self, sinks: &mut [ColumnSink]) -> Result<()> {
        let records = &self.records;
        for (i, (sink, force)) in sinks.iter_mut().zip(&self.force).enumerate() {
            let cell = records.cell(i);
            let null = match force {
                Force { not_null: true, .. } if !records.is_quoted(i) => false,
                Force { null: true, .. } => records.is_null(i) || records.dialect().is_null(cell),
                Force { not_available: true, .. } => records.is_null(i) || cell == NOT_AVAILABLE,
                _ => records.is_null(i),
            };
            if null {
                sink.push_null();
            } else if let Err(error) = sink.push(cell) {
                return Err(self.bad_cell(i, &error));
            }
        }
        Ok(())
    }

    fn bad_cell(&self, i: usize, error: &cairn_types::TypeError) -> CopyError {
        let mut told = CopyError::new(error.sqlstate(), error.to_string());
        told.detail = error.detail();
        if self.guessed {
            let ty = self.columns[i].ty.sql_name();
            told.hint = Some(format!(
                "The type {ty} was guessed from the head of the file; SAMPLE_SIZE 'all' reads all of it first."
            ));
        }
        told.at(&self.records.place(Some(&self.columns[i].name), Some(self.records.cell(i))))
    }

    fn invalid_utf8(&self, line: u64, column: &str, cell: &[u8]) -> CopyError {
        let valid = std::str::from_utf8(cell).err().map_or(0, |e| e.valid_up_to());
        let shown: Vec<String> = cell[valid..].iter().take(3).map(|b| format!("0x{b:02x}")).collect();
        let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
        let place = super::error::Place { name: &self.records.name, line, column: Some(column), data: None };
        CopyError::new("22021", message).with_hint("ENCODING 'latin1' reads ISO 8859-1.").at(&place)
    }

    fn check_width(&self) -> Result<()> {
        let (found, want) = (self.records.len(), self.columns.len());
        if found == want {
            return Ok(());
        }
        let message = match self.columns.get(found) {
            Some(missing) => format!("missing data for column \"{}\"", missing.name),
            None if want == 0 && self.records.is_blank() => return Ok(()),
            None => "extra data after last expected column".to_owned(),
        };
        Err(CopyError::new("22P04", message).at(&self.records.place(None, Some(self.records.raw()))))
    }
}

impl Iterator for DelimitedReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = self.read();
        self.done |= batch.is_err();
        batch.transpose()
    }
}

/// What the head of a file tells.
struct Guess {
    header: bool,
    names: Vec<String>,
    candidates: Vec<Candidates>,
}

impl Guess {
    fn of(mut records: Records, options: &CopyOptions, limit: usize) -> Result<Guess> {
        let mut guess = Guess { header: false, names: Vec::new(), candidates: Vec::new() };
        if !records.advance()? {
            return Err(CopyError::new("22P04", format!("file \"{}\" is empty", records.name)));
        }
        let width = records.len();
        guess.header = match options.header {
            Some(header) => header != Header::No,
            None => infer::is_header((0..width).map(|i| records.cell(i))),
        };
        let text = |i: usize| String::from_utf8_lossy(records.cell(i)).into_owned();
        guess.names = match guess.header {
            true => infer::unique_names((0..width).map(text)),
            false => (1..=width).map(|n| format!("column{n}")).collect(),
        };
        guess.candidates = vec![Candidates::new(); width];
        if !guess.header {
            guess.look(&records);
        }
        let mut seen = 0;
        while seen < limit && records.advance()? {
            seen = seen.saturating_add(records.raw().len() + 1);
            guess.look(&records);
        }
        Ok(guess)
    }

    fn look(&mut self, records: &Records) {
        for (i, candidates) in self.candidates.iter_mut().enumerate().take(records.len()) {
            if !records.is_null(i) {
                candidates.look(records.cell(i));
            }
        }
    }
}

/// The delimiter among `, ; TAB |` that cuts the first lines into the most cells, equally many in each.
fn sniff_delimiter(source: Source, dialect: &Dialect) -> Result<u8> {
    let mut head = vec![0u8; 64 << 10];
    let mut len = 0;
    let Source { name, mut bytes, .. } = source;
    while len < head.len() {
        match bytes.read(&mut head[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) => return Err(CopyError::io("read", &name, &e)),
        }
    }
    head.truncate(len);
    // A record cut at the end of the head would count wrong.
    if len == 64 << 10
        && let Some(end) = head.iter().rposition(|b| *b == b'\n')
    {
        head.truncate(end + 1);
    }
    let mut best = (1, b',');
    for delimiter in [b',', b';', b'\t', b'|'] {
        let tried = Dialect { delimiter, ..dialect.clone() };
        let bytes = Box::new(std::io::Cursor::new(head.clone()));
        let source = Source { name: name.clone(), bytes, progress: Default::default() };
        let Ok(mut records) = Records::new(source, tried) else { continue };
        let mut width = 0;
        let mut same = true;
        for _ in 0..SNIFF_LINES {
            match records.advance() {
                Ok(true) if records.is_blank() => {}
                Ok(true) if width == 0 => width = records.len(),
                Ok(true) => same &= width == records.len(),
                Ok(false) => break,
                Err(_) => same = false,
            }
        }
        if same && width > best.0 {
            best = (width, delimiter);
        }
    }
    Ok(best.1)
}
