//! Delimited text cut into records and cells: CSV (RFC 4180, as PostgreSQL reads it) and PostgreSQL's text format.
//!
//! One pass over a buffer that grows to the longest record. A cell is a range of the buffer, or of a scratch
//! buffer where quotes or escapes had to be taken out, so that most cells are never copied.
//!
//! I1. Quotes may begin and end anywhere in a CSV cell; a cell with any is never NULL by its text.
//! I2. Lines end with LF or CRLF; a lone CR outside quotes is an error, as a silent wrong cut would be worse.

use std::io::Read;

use super::error::{CopyError, Place, Result};
use super::options::Dialect;
use super::source::{Progress, Source};

/// Longest record, in bytes.
const RECORD_BYTES_MAX: usize = 1 << 30;
/// First size of the buffer.
const BUFFER_BYTES: usize = 1 << 20;

/// One cell of the current record.
#[derive(Debug, Clone, Copy)]
struct Cell {
    start: usize,
    end: usize,
    scratch: bool,
    quoted: bool,
    /// The text format knows NULL only before escapes are taken out.
    null: bool,
}

/// A reader of records.
pub(super) struct Records {
    pub(super) name: String,
    source: Box<dyn Read + Send>,
    dialect: Dialect,
    /// Bytes that end the quick scan of a cell.
    special: [bool; 256],
    buffer: Vec<u8>,
    pos: usize,
    end: usize,
    eof: bool,
    scratch: Vec<u8>,
    cells: Vec<Cell>,
    /// The current record in the buffer, its line end aside.
    record: (usize, usize),
    line: u64,
    next_line: u64,
    /// The next advance stays where it is.
    stay: bool,
    pub(super) progress: Progress,
}

/// How the scan of a record ended.
enum Scan {
    /// The record is whole; the next begins here.
    Whole(usize),
    /// The buffer ends within the record.
    More,
}

impl Records {
    /// Over `source`; a byte order mark is skipped.
    pub(super) fn new(source: Source, dialect: Dialect) -> Result<Records> {
        let mut special = [false; 256];
        let ends = [dialect.delimiter, b'\n', b'\r', if dialect.csv { dialect.quote } else { b'\\' }];
        for byte in ends {
            special[usize::from(byte)] = true;
        }
        let mut records = Records {
            name: source.name,
            source: source.bytes,
            dialect,
            special,
            buffer: vec![0; BUFFER_BYTES],
            pos: 0,
            end: 0,
            eof: false,
            scratch: Vec::new(),
            cells: Vec::new(),
            record: (0, 0),
            line: 0,
            next_line: 1,
            stay: false,
            progress: source.progress,
        };
        while records.end < 3 && !records.eof {
            records.fill()?;
        }
        match &records.buffer[..records.end] {
            [0xef, 0xbb, 0xbf, ..] => records.pos = 3,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                let message = format!("file \"{}\" is UTF-16", records.name);
                return Err(CopyError::new("22021", message).with_hint("Convert it to UTF-8."));
            }
            _ => {}
        }
        Ok(records)
    }

    /// Reads more into the buffer, making room first.
    fn fill(&mut self) -> Result<()> {
        if self.pos > 0 {
            self.buffer.copy_within(self.pos..self.end, 0);
            self.end -= self.pos;
            self.pos = 0;
        }
        if self.end == self.buffer.len() {
            if self.buffer.len() >= RECORD_BYTES_MAX {
                return Err(
                    CopyError::new("54000", "a record is longer than 1 GiB").at(&self.place(None, None))
                );
            }
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.eof = true,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    return Err(CopyError::io("read", &self.name, &e).at(&self.place(None, None)));
                }
            }
            return Ok(());
        }
    }

    /// Goes to the next record; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        if std::mem::take(&mut self.stay) {
            return Ok(true);
        }
        loop {
            if self.pos == self.end {
                if self.eof {
                    return Ok(false);
                }
                self.fill()?;
                continue;
            }
            self.line = self.next_line;
            match self.scan()? {
                Scan::Whole(next) => {
                    let (start, end) = self.record;
                    self.pos = next;
                    self.next_line = self.line + 1;
                    if !self.dialect.csv && &self.buffer[start..end] == b"\\." {
                        self.pos = self.end;
                        self.eof = true;
                        return Ok(false);
                    }
                    return Ok(true);
                }
                Scan::More => self.fill()?,
            }
        }
    }

    /// Lets the next [`Records::advance`] give the current record again.
    pub(super) fn stay(&mut self) {
        self.stay = true;
    }

    fn scan(&mut self) -> Result<Scan> {
        self.cells.clear();
        self.scratch.clear();
        let mut at = self.pos;
        loop {
            let start = at;
            while at < self.end && !self.special[usize::from(self.buffer[at])] {
                at += 1;
            }
            let mut cell = Cell { start, end: at, scratch: false, quoted: false, null: false };
            if at < self.end {
                let byte = self.buffer[at];
                if self.dialect.csv && byte == self.dialect.quote && byte != b'\n' {
                    match self.quoted(start)? {
                        Some((quoted, after)) => (cell, at) = (quoted, after),
                        None => return Ok(Scan::More),
                    }
                } else if !self.dialect.csv && byte == b'\\' {
                    match self.escaped(start) {
                        Some((escaped, after)) => (cell, at) = (escaped, after),
                        None => return Ok(Scan::More),
                    }
                }
            }
            if !self.dialect.csv && !cell.scratch {
                cell.null = self.dialect.is_null(&self.buffer[cell.start..cell.end]);
            }
            if at == self.end {
                if !self.eof {
                    return Ok(Scan::More);
                }
                self.cells.push(cell);
                self.record = (self.pos, at);
                return Ok(Scan::Whole(at));
            }
            let byte = self.buffer[at];
            if byte == self.dialect.delimiter {
                self.cells.push(cell);
                at += 1;
                continue;
            }
            let next = if byte == b'\n' {
                at + 1
            } else if at + 1 < self.end && self.buffer[at + 1] == b'\n' {
                at + 2
            } else if at + 1 == self.end && !self.eof {
                return Ok(Scan::More);
            } else if at + 1 == self.end {
                at + 1
            } else {
                self.record = (self.pos, at);
                return Err(CopyError::new("22P04", "unquoted carriage return found in data")
                    .with_hint("Use quoted CSV field to represent carriage return.")
                    .at(&self.place(None, Some(self.raw()))));
            };
            self.cells.push(cell);
            self.record = (self.pos, at);
            return Ok(Scan::Whole(next));
        }
    }

    /// A CSV cell from `start` with at least one quote; the cell and where its delimiter or line end is.
    fn quoted(&mut self, start: usize) -> Result<Option<(Cell, usize)>> {
        let (quote, escape) = (self.dialect.quote, self.dialect.escape);
        let buffer = &self.buffer[..self.end];
        // The usual cell: one pair of quotes around all of it and none within.
        if buffer[start] == quote && quote == escape {
            let body = start + 1;
            let close = buffer[body..].iter().position(|b| *b == quote).map(|n| body + n);
            if let Some(close) = close
                && let Some(&after) = buffer.get(close + 1)
                && (after == self.dialect.delimiter || after == b'\n' || after == b'\r')
            {
                self.line += count_lines(&buffer[body..close]);
                return Ok(Some((
                    Cell { start: body, end: close, scratch: false, quoted: true, null: false },
                    close + 1,
                )));
            }
        }
        let from = self.scratch.len();
        let mut at = start;
        let mut inside = false;
        let mut lines = 0;
        while at < buffer.len() {
            let byte = buffer[at];
            if inside && byte == escape && (escape != quote) {
                match buffer.get(at + 1) {
                    Some(&next) if next == quote || next == escape => {
                        self.scratch.push(next);
                        at += 2;
                        continue;
                    }
                    None if !self.eof => return Ok(None),
                    _ => {}
                }
            }
            if byte == quote {
                if inside && quote == escape && buffer.get(at + 1) == Some(&quote) {
                    self.scratch.push(quote);
                    at += 2;
                    continue;
                }
                if inside && at + 1 == buffer.len() && !self.eof {
                    return Ok(None);
                }
                inside = !inside;
            } else if !inside && (byte == self.dialect.delimiter || byte == b'\n' || byte == b'\r') {
                break;
            } else {
                lines += u64::from(byte == b'\n');
                self.scratch.push(byte);
            }
            at += 1;
        }
        if at == buffer.len() {
            if !self.eof {
                return Ok(None);
            }
            if inside {
                return Err(CopyError::new("22P04", "unterminated CSV quoted field")
                    .at(&self.place(None, Some(&self.buffer[self.pos..self.end]))));
            }
        }
        self.line += lines;
        let end = self.scratch.len();
        Ok(Some((Cell { start: from, end, scratch: true, quoted: true, null: false }, at)))
    }

    /// A cell of the text format from `start` with at least one backslash.
    fn escaped(&mut self, start: usize) -> Option<(Cell, usize)> {
        let buffer = &self.buffer[..self.end];
        let from = self.scratch.len();
        let mut at = start;
        let mut lines = 0;
        while let Some(&byte) = buffer.get(at) {
            if byte == self.dialect.delimiter || byte == b'\n' || byte == b'\r' {
                break;
            }
            at += 1;
            if byte != b'\\' {
                self.scratch.push(byte);
                continue;
            }
            let Some(&code) = buffer.get(at) else {
                if !self.eof {
                    return None;
                }
                self.scratch.push(b'\\');
                break;
            };
            at += 1;
            lines += u64::from(code == b'\n');
            let literal = match code {
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 11,
                b'0'..=b'7' => take_digits(buffer, &mut at, u32::from(code - b'0'), 8, 2),
                b'x' if buffer.get(at).is_some_and(u8::is_ascii_hexdigit) => {
                    take_digits(buffer, &mut at, 0, 16, 2)
                }
                other => other,
            };
            self.scratch.push(literal);
        }
        if at == buffer.len() && !self.eof {
            return None;
        }
        self.line += lines;
        let null = self.dialect.is_null(&buffer[start..at]);
        Some((Cell { start: from, end: self.scratch.len(), scratch: true, quoted: false, null }, at))
    }

    /// Cells of the current record.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Cell `i` of the current record, quotes and escapes taken out.
    #[inline]
    pub(super) fn cell(&self, i: usize) -> &[u8] {
        let cell = &self.cells[i];
        if cell.scratch { &self.scratch[cell.start..cell.end] } else { &self.buffer[cell.start..cell.end] }
    }

    /// Whether cell `i` means NULL, if nothing is forced.
    #[inline]
    pub(super) fn is_null(&self, i: usize) -> bool {
        let cell = &self.cells[i];
        if self.dialect.csv { !cell.quoted && self.dialect.is_null(self.cell(i)) } else { cell.null }
    }

    /// Whether cell `i` had quotes.
    pub(super) fn is_quoted(&self, i: usize) -> bool {
        self.cells[i].quoted
    }

    /// Whether the current record is an empty line.
    pub(super) fn is_blank(&self) -> bool {
        self.record.0 == self.record.1
    }

    /// The current record as it stands in the file.
    pub(super) fn raw(&self) -> &[u8] {
        &self.buffer[self.record.0..self.record.1]
    }

    /// Line of the current record (of its last line, if quotes hold line ends), from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// How the file is laid out.
    pub(super) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// The place of an error in the current record.
    pub(super) fn place<'a>(&'a self, column: Option<&'a str>, data: Option<&'a [u8]>) -> Place<'a> {
        Place { name: &self.name, line: self.line.max(1), column, data }
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

/// Up to `max` more digits of `radix` after `first`; the low byte of the number, as PostgreSQL takes it.
fn take_digits(buffer: &[u8], at: &mut usize, first: u32, radix: u32, max: usize) -> u8 {
    let mut number = first;
    for _ in 0..max {
        match buffer.get(*at).and_then(|b| char::from(*b).to_digit(radix)) {
            Some(digit) => number = number * radix + digit,
            None => break,
        }
        *at += 1;
    }
    (number & 0xff) as u8
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::copy::options::{CopyOptions, Encoding, Format};

    /// Gives one byte at a time, so that every border falls everywhere.
    struct Drip(Vec<u8>, usize);
    impl Read for Drip {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let n = usize::from(self.1 < self.0.len()).min(buf.len());
            buf[..n].copy_from_slice(&self.0[self.1..self.1 + n]);
            self.1 += n;
            Ok(n)
        }
    }

    fn read(text: &str, format: Format) -> Result<Vec<Vec<Option<String>>>> {
        let mut outcomes = Vec::new();
        for drip in [false, true] {
            let bytes: Box<dyn Read + Send> = match drip {
                true => Box::new(Drip(text.as_bytes().to_vec(), 0)),
                false => Box::new(std::io::Cursor::new(text.as_bytes().to_vec())),
            };
            let source = Source::stream("t", bytes, None, Encoding::Utf8)?;
            let mut records = Records::new(source, CopyOptions::default().dialect(format, ""))?;
            let mut all = Vec::new();
            while records.advance()? {
                let row = (0..records.len())
                    .map(|i| {
                        (!records.is_null(i)).then(|| String::from_utf8(records.cell(i).to_vec()).unwrap())
                    })
                    .collect();
                all.push(row);
            }
            outcomes.push(all);
        }
        assert_eq!(outcomes[0], outcomes[1]);
        Ok(outcomes.remove(0))
    }

    fn some(cells: &[&str]) -> Vec<Option<String>> {
        cells.iter().map(|c| Some((*c).to_owned())).collect()
    }

    #[test]
    fn csv_is_rfc_4180() {
        let rows = read("\u{feff}a,\"b \"\"q\"\"\",c\r\n\"x\ny\",,\"\"\n1,2,3", Format::Csv).unwrap();
        assert_eq!(rows[0], some(&["a", "b \"q\"", "c"]));
        assert_eq!(rows[1], vec![Some("x\ny".into()), None, Some(String::new())]);
        assert_eq!(rows[2], some(&["1", "2", "3"]));
        assert_eq!(read("a\"b,c\"d,e\n", Format::Csv).unwrap()[0], some(&["ab,cd", "e"]));
    }

    #[test]
    fn text_takes_escapes_out() {
        let rows = read("a\\tb\t\\N\t\\\\N\n\\x41\\101\t\t\\\n\n\\.\nrest\n", Format::Text).unwrap();
        assert_eq!(rows[0], vec![Some("a\tb".into()), None, Some("\\N".into())]);
        assert_eq!(rows[1], some(&["AA", "", "\n"]));
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn damage_is_reported_with_its_line() {
        let error = read("a,b\nc,\"d\n", Format::Csv).unwrap_err();
        assert_eq!(error.message, "unterminated CSV quoted field");
        let error = read("a,b\nc\rd,e\n", Format::Csv).unwrap_err();
        assert!(error.context.unwrap().starts_with("COPY t, line 2"));
    }
}
