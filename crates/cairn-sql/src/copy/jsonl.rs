//! JSON lines: one object a line, keys to columns by name.
//!
//! Values are read as text in the column's type (so that a NUMERIC keeps all its digits), nested values go whole into
//! JSON and JSONB columns, JSON arrays into array columns. A key that is missing is NULL.
//!
//! I1. The reader works on borrowed text and never recurses deeper than [`DEPTH_MAX`].

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cairn_env::Env;
use cairn_types::datetime::Zone;
use cairn_types::{DataType, TypeError, Value};

use super::cell::ColumnSink;
use super::error::{CopyError, Place, Result};
use super::infer::Candidates;
use super::options::{CopyOptions, SAMPLE_BYTES_DEFAULT};
use super::reader::{BATCH_ROWS, Target, TargetColumn, refuse_type};
use super::source::{Progress, Source};

/// Deepest nesting of one value.
const DEPTH_MAX: usize = 1000;

/// Reads JSON lines into batches.
pub(super) struct JsonReader {
    lines: Lines,
    zone: Zone,
    columns: Vec<TargetColumn>,
    by_name: HashMap<String, usize>,
    schema: SchemaRef,
    done: bool,
}

struct Lines {
    name: String,
    progress: Progress,
    bytes: BufReader<Box<dyn Read + Send>>,
    line: String,
    raw: Vec<u8>,
    number: u64,
}

impl Lines {
    fn new(source: Source) -> Lines {
        let bytes = BufReader::with_capacity(256 << 10, source.bytes);
        Lines {
            name: source.name,
            progress: source.progress,
            bytes,
            line: String::new(),
            raw: Vec::new(),
            number: 0,
        }
    }

    /// The next line that is not blank.
    fn advance(&mut self) -> Result<bool> {
        loop {
            self.raw.clear();
            let n = self
                .bytes
                .read_until(b'\n', &mut self.raw)
                .map_err(|e| CopyError::io("read", &self.name, &e))?;
            if n == 0 {
                return Ok(false);
            }
            self.number += 1;
            let raw = match self.number {
                1 => self.raw.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.raw),
                _ => &self.raw,
            };
            self.line.clear();
            match std::str::from_utf8(raw) {
                Ok(text) => self.line.push_str(text.trim()),
                Err(_) => {
                    return Err(CopyError::new("22021", "invalid byte sequence for encoding \"UTF8\"")
                        .at(&self.place(None, None)));
                }
            }
            if !self.line.is_empty() {
                return Ok(true);
            }
        }
    }

    fn place<'a>(&'a self, column: Option<&'a str>, data: Option<&'a [u8]>) -> Place<'a> {
        Place { name: &self.name, line: self.number, column, data }
    }

    fn malformed(&self, what: &str) -> CopyError {
        CopyError::new("22P02", "invalid input syntax for type json")
            .with_detail(what)
            .at(&self.place(None, Some(self.line.as_bytes())))
    }
}

impl JsonReader {
    /// Into columns that are known.
    pub(super) fn with_target(source: Source, zone: Zone, target: &Target) -> JsonReader {
        let mut lines = Lines::new(source);
        lines.name.clone_from(&target.name);
        let by_name = target.columns.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect();
        let columns = target.columns.clone();
        JsonReader { lines, zone, columns, by_name, schema: target.arrow_schema(), done: false }
    }

    /// Into columns guessed from the head of the file `path`: the keys in order of appearance.
    pub(super) fn guess(env: &Env, path: &str, options: &CopyOptions) -> Result<(JsonReader, Target)> {
        let open = || Source::open(env, path, options.compression, options.encoding);
        let limit = if options.sample_bytes == 0 { SAMPLE_BYTES_DEFAULT } else { options.sample_bytes };
        let mut lines = Lines::new(open()?);
        let mut guesses: Vec<(String, JsonGuess)> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        let mut seen = 0usize;
        while seen < limit && lines.advance()? {
            seen = seen.saturating_add(lines.raw.len());
            let mut cursor = Cursor::new(&lines.line);
            cursor
                .object(|key, value| {
                    let at = *index.entry(key.to_owned()).or_insert_with(|| {
                        guesses.push((key.to_owned(), JsonGuess::default()));
                        guesses.len() - 1
                    });
                    guesses[at].1.look(&value);
                    Ok(())
                })
                .map_err(|e| e.told(&lines))?;
        }
        if guesses.is_empty() {
            return Err(CopyError::new("22P04", format!("file \"{path}\" is empty")));
        }
        let columns =
            guesses.into_iter().map(|(name, guess)| TargetColumn { name, ty: guess.ty() }).collect();
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let target = Target { name, columns };
        Ok((JsonReader::with_target(open()?, options.time_zone, &target), target))
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        self.lines.progress.clone()
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        let mut sinks: Vec<ColumnSink> =
            self.columns.iter().map(|c| ColumnSink::new(&c.ty, BATCH_ROWS).in_zone(self.zone)).collect();
        let mut rows = 0;
        let mut set = vec![false; self.columns.len()];
        while rows < BATCH_ROWS {
            if !self.lines.advance()? {
                self.done = true;
                break;
            }
            self.push(&mut sinks, &mut set)?;
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays: Result<Vec<_>> =
            sinks.into_iter().map(|s| s.finish().map_err(|e| refuse_type(&e))).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays?)
            .map(Some)
            .map_err(|e| CopyError::new("XX000", e.to_string()))
    }

    fn push(&self, sinks: &mut [ColumnSink], set: &mut [bool]) -> Result<()> {
        set.fill(false);
        let lines = &self.lines;
        let mut cursor = Cursor::new(&lines.line);
        cursor
            .object(|key, value| {
                let Some(&i) = self.by_name.get(key) else {
                    return Err(Fault::UnknownKey(key.to_owned()));
                };
                if std::mem::replace(&mut set[i], true) {
                    return Err(Fault::Malformed(format!("Key \"{key}\" comes twice.")));
                }
                push_json(&mut sinks[i], &value, &self.columns[i].ty)
                    .map_err(|e| Fault::Cell(i, e, value.shown()))
            })
            .map_err(|fault| match fault {
                Fault::Cell(i, error, shown) => {
                    let mut told = CopyError::new(error.sqlstate(), error.to_string());
                    told.detail = error.detail();
                    told.at(&lines.place(Some(&self.columns[i].name), Some(shown.as_bytes())))
                }
                other => other.told(lines),
            })?;
        for (sink, set) in sinks.iter_mut().zip(set) {
            if !*set {
                sink.push_null();
            }
        }
        Ok(())
    }
}

impl Iterator for JsonReader {
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

/// What is wrong with a line.
enum Fault {
    Malformed(String),
    UnknownKey(String),
    Cell(usize, TypeError, String),
}

impl Fault {
    fn told(self, lines: &Lines) -> CopyError {
        match self {
            Fault::Malformed(what) => lines.malformed(&what),
            Fault::UnknownKey(key) => {
                let message = format!("key \"{key}\" is no column");
                CopyError::new("22P04", message).at(&lines.place(None, Some(lines.line.as_bytes())))
            }
            Fault::Cell(_, error, _) => CopyError::new(error.sqlstate(), error.to_string()),
        }
    }
}

/// A JSON value as it stands in the line.
enum Json<'a> {
    Null,
    /// `true`, `false` or a number.
    Bare(&'a str),
    Text(String),
    /// An array or object.
    Nested(&'a str),
}

impl Json<'_> {
    fn shown(&self) -> String {
        match self {
            Json::Null => "null".to_owned(),
            Json::Bare(t) | Json::Nested(t) => (*t).to_owned(),
            Json::Text(t) => t.clone(),
        }
    }

    /// As a JSON text again.
    fn json(&self) -> String {
        match self {
            Json::Text(t) => {
                let mut out = String::new();
                super::write_json::write_string(t, &mut out);
                out
            }
            other => other.shown(),
        }
    }
}

fn push_json(sink: &mut ColumnSink, value: &Json<'_>, ty: &DataType) -> Result<(), TypeError> {
    match (value, ty) {
        (Json::Null, _) => {
            sink.push_null();
            Ok(())
        }
        (_, DataType::Json | DataType::Jsonb) => sink.push(value.json().as_bytes()),
        (Json::Nested(text), DataType::Array(_)) => sink.push_value(array_value(text, ty)?),
        (Json::Bare(text) | Json::Nested(text), _) => sink.push(text.as_bytes()),
        (Json::Text(text), _) => sink.push(text.as_bytes()),
    }
}

fn array_value(text: &str, ty: &DataType) -> Result<Value, TypeError> {
    let DataType::Array(element) = ty else { return Value::parse_text(text, ty) };
    let mut values = Vec::new();
    let mut cursor = Cursor::new(text);
    let malformed = |detail: String| TypeError::MalformedArray { input: text.to_owned(), detail };
    let walked = cursor.array(|item| {
        values.push(match (&item, element.as_ref()) {
            (Json::Null, _) => Value::Null,
            (Json::Nested(inner), DataType::Array(_)) => {
                array_value(inner, element).map_err(|e| Fault::Cell(0, e, String::new()))?
            }
            (item, DataType::Json | DataType::Jsonb) => {
                Value::parse_text(&item.json(), element).map_err(|e| Fault::Cell(0, e, String::new()))?
            }
            (item, _) => {
                Value::parse_text(&item.shown(), element).map_err(|e| Fault::Cell(0, e, String::new()))?
            }
        });
        Ok(())
    });
    match walked {
        Ok(()) => Ok(Value::Array(values)),
        Err(Fault::Cell(_, error, _)) => Err(error),
        Err(Fault::Malformed(what)) => Err(malformed(what)),
        Err(Fault::UnknownKey(key)) => Err(malformed(key)),
    }
}

/// What a key's values have been so far.
#[derive(Default)]
struct JsonGuess {
    nested: bool,
    text: Option<Candidates>,
    bare: Option<Candidates>,
}

impl JsonGuess {
    fn look(&mut self, value: &Json<'_>) {
        match value {
            Json::Null => {}
            Json::Nested(_) => self.nested = true,
            Json::Bare(text) => self.bare.get_or_insert_with(Candidates::new).look(text.as_bytes()),
            Json::Text(text) => self.text.get_or_insert_with(Candidates::new).look(text.as_bytes()),
        }
    }

    fn ty(&self) -> DataType {
        match (self.nested, &self.bare, &self.text) {
            (true, ..) => DataType::Json,
            (false, Some(bare), None) => match bare.ty() {
                DataType::Text => DataType::Numeric(None),
                known => known,
            },
            // Strings may spell times; numbers in quotes stay text, as their writer meant.
            (false, None, Some(text)) => match text.ty() {
                known @ (DataType::Date | DataType::Timestamp(_) | DataType::TimestampTz(_)) => known,
                _ => DataType::Text,
            },
            _ => DataType::Text,
        }
    }
}

/// Walks over JSON text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn skip_blanks(&mut self) {
        while self.bytes().get(self.at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            found => Err(self.unexpected(found, &format!("\"{}\"", char::from(byte)))),
        }
    }

    fn unexpected(&self, found: Option<u8>, wanted: &str) -> Fault {
        let column = self.text[..self.at.min(self.text.len())].chars().count() + 1;
        match found {
            None => Fault::Malformed("The input string ended unexpectedly.".to_owned()),
            Some(_) => {
                let c = self.text[self.at..].chars().next().unwrap_or(' ');
                Fault::Malformed(format!("Expected {wanted}, but found \"{c}\" at character {column}."))
            }
        }
    }

    /// The members of the one object that is the whole text.
    fn object(&mut self, mut each: impl FnMut(&str, Json<'a>) -> Result<(), Fault>) -> Result<(), Fault> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return self.ended();
        }
        loop {
            if self.peek() != Some(b'"') {
                let found = self.peek();
                return Err(self.unexpected(found, "a key"));
            }
            let key = self.string()?;
            self.expect(b':')?;
            let value = self.value()?;
            each(&key, value)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return self.ended();
                }
                found => return Err(self.unexpected(found, "\",\" or \"}\"")),
            }
        }
    }

    /// The items of the one array that is the whole text.
    fn array(&mut self, mut each: impl FnMut(Json<'a>) -> Result<(), Fault>) -> Result<(), Fault> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return self.ended();
        }
        loop {
            let value = self.value()?;
            each(value)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return self.ended();
                }
                found => return Err(self.unexpected(found, "\",\" or \"]\"")),
            }
        }
    }

    fn ended(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            found => Err(self.unexpected(found, "end of input")),
        }
    }

    fn value(&mut self) -> Result<Json<'a>, Fault> {
        match self.peek() {
            Some(b'"') => self.string().map(Json::Text),
            Some(b'{' | b'[') => self.nested().map(Json::Nested),
            Some(_) => {
                let word = self.word();
                match word {
                    "null" => Ok(Json::Null),
                    "true" | "false" => Ok(Json::Bare(word)),
                    number if is_number(number) => Ok(Json::Bare(number)),
                    _ => {
                        self.at -= word.len();
                        let found = self.peek();
                        Err(self.unexpected(found, "a JSON value"))
                    }
                }
            }
            None => Err(self.unexpected(None, "a JSON value")),
        }
    }

    fn word(&mut self) -> &'a str {
        let start = self.at;
        while self
            .bytes()
            .get(self.at)
            .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// An array or object, skipped over; its insides are checked by the column that takes it.
    fn nested(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        let mut depth = 0usize;
        while let Some(&byte) = self.bytes().get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Ok(&self.text[start..self.at]);
            }
            if depth > DEPTH_MAX {
                return Err(Fault::Malformed(format!("A value is nested deeper than {DEPTH_MAX}.")));
            }
        }
        Err(self.unexpected(None, "\"}\""))
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while self.bytes().get(self.at).is_some_and(|b| !matches!(b, b'"' | b'\\') && *b >= 0x20) {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                Some(_) => {
                    return Err(Fault::Malformed("A control character stands in a string.".to_owned()));
                }
                None => return Err(self.unexpected(None, "\"")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let code = self.bytes().get(self.at).copied();
        self.at += 1;
        Ok(match code {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut unit = self.hex4()?;
                if (0xd800..0xdc00).contains(&unit) && self.bytes()[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.hex4()?;
                    if (0xdc00..0xe000).contains(&low) {
                        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    }
                }
                match char::from_u32(unit) {
                    Some('\0') => {
                        return Err(Fault::Malformed("\\u0000 cannot be converted to text.".to_owned()));
                    }
                    Some(c) => c,
                    None => return Err(Fault::Malformed("Unicode surrogates come in pairs.".to_owned())),
                }
            }
            _ => return Err(Fault::Malformed("Escape sequence is invalid.".to_owned())),
        })
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        self.at += 4;
        digits.and_then(|d| u32::from_str_radix(d, 16).ok()).ok_or_else(|| {
            Fault::Malformed("\"\\u\" must be followed by four hexadecimal digits.".to_owned())
        })
    }
}

/// A number by JSON's grammar.
fn is_number(word: &str) -> bool {
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['+', '-']).unwrap_or(e))),
        None => (unsigned, None),
    };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((w, f)) => (w, Some(f)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::copy::options::Encoding;

    fn read(text: &str, columns: &[(&str, DataType)]) -> Result<Vec<Vec<Value>>> {
        let bytes = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let source = Source::stream("t", bytes, None, Encoding::Utf8)?;
        let columns: Vec<_> =
            columns.iter().map(|(n, t)| TargetColumn { name: (*n).to_owned(), ty: t.clone() }).collect();
        let target = Target { name: "t".to_owned(), columns };
        let mut rows = Vec::new();
        for batch in JsonReader::with_target(source, Zone::UTC, &target) {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let of = |(i, c): (usize, &TargetColumn)| Value::from_array(batch.column(i), row, &c.ty);
                rows.push(target.columns.iter().enumerate().map(of).collect());
            }
        }
        Ok(rows)
    }

    #[test]
    fn objects_become_rows() {
        let text = "{\"a\": 1, \"b\": \"x\\u00e4\\n\"}\n\n{\"b\": null, \"a\": -2, \"j\": {\"k\": [1, \"}\"]}, \"l\": [1, null]}\n";
        let columns = [
            ("a", DataType::Integer),
            ("b", DataType::Text),
            ("j", DataType::Json),
            ("l", DataType::Array(Box::new(DataType::Integer))),
        ];
        let rows = read(text, &columns).unwrap();
        assert_eq!(rows[0][..2], [Value::Integer(1), Value::Text("xä\n".to_owned())]);
        assert_eq!(rows[1][2], Value::Json("{\"k\": [1, \"}\"]}".to_owned()));
        assert_eq!(rows[1][3], Value::Array(vec![Value::Integer(1), Value::Null]));
    }

    #[test]
    fn bad_lines_are_told() {
        let bad = |text: &str| {
            let error = read(text, &[("a", DataType::Integer)]).unwrap_err();
            (error.sqlstate, error.context.unwrap_or_default())
        };
        assert_eq!(bad("{\"a\": 1}\n{\"a\": \"x\"}").1, "COPY t, line 2, column a: \"x\"");
        assert_eq!(bad("{\"a\": 1").0, "22P02");
        assert_eq!(bad("[1]").0, "22P02");
        assert_eq!(bad("{\"a\": 01}").0, "22P02");
        assert_eq!(bad("{\"z\": 1}").0, "22P04");
    }
}
