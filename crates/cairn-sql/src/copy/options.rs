//! The options of COPY and of files queried in place.
//!
//! [`CopyOptions`] is what `WITH (…)` (or PostgreSQL's spelling before 9.0) says, checked; a [`Dialect`] is what a
//! delimited file is read by once the open questions (format, delimiter, header) are settled for one file.
//!
//! I1. An option that is not understood is an error, never ignored.

use cairn_types::datetime::Zone;

use super::error::{CopyError, Result};

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// PostgreSQL's text format: tabs, backslash escapes, `\N`.
    Text,
    /// Comma-separated values, RFC 4180.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow's stream format (IPC).
    Arrow,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), any number of members.
    Gzip,
    /// Zstandard.
    Zstd,
    /// Snappy; Parquet only.
    Snappy,
    /// LZ4; Parquet only.
    Lz4,
}

/// What the first line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Header {
    /// Data.
    No,
    /// Names, not looked at when the columns are known.
    Yes,
    /// Names that must be the table's, in order.
    Match,
}

/// Some of the columns, for the FORCE options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Columns {
    /// None of them.
    #[default]
    None,
    /// `*`.
    All,
    /// These.
    Named(Vec<String>),
}

impl Columns {
    /// Whether column `name` is meant.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Columns::None => false,
            Columns::All => true,
            Columns::Named(names) => names.iter().any(|n| n == name),
        }
    }
}

/// The encoding of a text file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8, checked.
    #[default]
    Utf8,
    /// ISO 8859-1.
    Latin1,
}

/// Bytes of an uncompressed file that the types of its columns are guessed from by default.
pub const SAMPLE_BYTES_DEFAULT: usize = 8 << 20;

/// Everything that can be said about a file in SQL. `Default` says nothing: the format follows from the file's name,
/// the rest from the format.
///
/// ```
/// use cairn_sql::copy::{CopyOptions, Format};
/// let options = CopyOptions { format: Some(Format::Csv), delimiter: Some(b';'), ..CopyOptions::default() };
/// assert!(options.header.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// `None`: by the file's name (`.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.parquet`, `.arrow`, each also `.gz`, `.zst`).
    pub format: Option<Format>,
    /// `None`: no header in the text and CSV formats if the format was given, else recognised.
    pub header: Option<Header>,
    /// One byte.
    pub delimiter: Option<u8>,
    /// One byte; CSV only; default `"`.
    pub quote: Option<u8>,
    /// One byte; CSV only; default the quote.
    pub escape: Option<u8>,
    /// Texts that mean NULL; default `\N` in text, the empty unquoted string in CSV. The first is what is written.
    pub nulls: Option<Vec<String>>,
    /// Default UTF-8.
    pub encoding: Encoding,
    /// `None`: by magic bytes when read, by name when written.
    pub compression: Option<Compression>,
    /// Columns always quoted when written.
    pub force_quote: Columns,
    /// Columns whose null string counts even if quoted.
    pub force_null: Columns,
    /// Columns whose null string is text.
    pub force_not_null: Columns,
    /// Uncompressed bytes that types are guessed from; 0 means [`SAMPLE_BYTES_DEFAULT`], `usize::MAX` the whole file.
    pub sample_bytes: usize,
    /// The zone of TIMESTAMPTZ that names none; default UTC.
    pub time_zone: Zone,
}

/// The value of one option as it was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// Only the name stood there.
    None,
    /// A word, a number or a string.
    Text(String),
    /// A list in parentheses.
    List(Vec<String>),
    /// `*`.
    Star,
}

impl OptionValue {
    fn text(&self, option: &str) -> Result<&str> {
        match self {
            OptionValue::Text(text) => Ok(text),
            _ => Err(CopyError::new("42601", format!("{option} requires a parameter"))),
        }
    }

    fn boolean(&self, option: &str) -> Result<bool> {
        match self {
            OptionValue::None => Ok(true),
            OptionValue::Text(t) if ["true", "on", "1"].iter().any(|w| t.eq_ignore_ascii_case(w)) => Ok(true),
            OptionValue::Text(t) if ["false", "off", "0"].iter().any(|w| t.eq_ignore_ascii_case(w)) => {
                Ok(false)
            }
            _ => Err(CopyError::new("42601", format!("{option} requires a Boolean value"))),
        }
    }

    fn byte(&self, option: &str) -> Result<u8> {
        match self.text(option)?.as_bytes() {
            [one] => Ok(*one),
            b"\\t" => Ok(b'\t'),
            _ => Err(CopyError::unsupported(format!("COPY {option} must be a single one-byte character"))),
        }
    }

    fn columns(&self, option: &str) -> Result<Columns> {
        match self {
            OptionValue::Star => Ok(Columns::All),
            OptionValue::List(names) => Ok(Columns::Named(names.clone())),
            _ => Err(CopyError::new(
                "22023",
                format!("argument to option \"{option}\" must be a list of column names"),
            )),
        }
    }
}

impl CopyOptions {
    /// The options of a list of names and values, each at most once.
    ///
    /// # Errors
    /// `42601` for an option twice, unknown, or with a value that does not fit; `0A000` and `22023` as PostgreSQL.
    pub fn from_list(list: &[(String, OptionValue)], reading: bool) -> Result<CopyOptions> {
        let mut options = CopyOptions::default();
        for (at, (name, value)) in list.iter().enumerate() {
            if list[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(CopyError::new("42601", "conflicting or redundant options"));
            }
            options.set(name, value)?;
        }
        options.check(reading)?;
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &OptionValue) -> Result<()> {
        match name {
            "format" => {
                self.format = Some(match value.text(name)?.to_ascii_lowercase().as_str() {
                    "text" => Format::Text,
                    "csv" => Format::Csv,
                    "json" | "jsonl" | "ndjson" | "jsonlines" => Format::JsonLines,
                    "parquet" => Format::Parquet,
                    "arrow" => Format::Arrow,
                    "binary" => Format::Binary,
                    other => {
                        return Err(CopyError::new(
                            "22023",
                            format!("COPY format \"{other}\" not recognized"),
                        ));
                    }
                });
            }
            "header" => {
                self.header = Some(match value {
                    OptionValue::Text(t) if t.eq_ignore_ascii_case("match") => Header::Match,
                    other => match other.boolean("header") {
                        Ok(true) => Header::Yes,
                        Ok(false) => Header::No,
                        Err(_) => {
                            return Err(CopyError::new(
                                "42601",
                                "header requires a Boolean value or \"match\"",
                            ));
                        }
                    },
                });
            }
            "delimiter" | "delim" | "sep" => self.delimiter = Some(value.byte("delimiter")?),
            "quote" => self.quote = Some(value.byte("quote")?),
            "escape" => self.escape = Some(value.byte("escape")?),
            "null" | "nullstr" => {
                self.nulls = Some(match value {
                    OptionValue::List(texts) if !texts.is_empty() => texts.clone(),
                    other => vec![other.text("null")?.to_owned()],
                });
            }
            "encoding" => self.encoding = parse_encoding(value.text(name)?)?,
            "compression" => {
                self.compression = Some(match value.text(name)?.to_ascii_lowercase().as_str() {
                    "none" | "uncompressed" => Compression::None,
                    "gzip" | "gz" => Compression::Gzip,
                    "zstd" | "zst" => Compression::Zstd,
                    "snappy" => Compression::Snappy,
                    "lz4" => Compression::Lz4,
                    other => return Err(CopyError::new("22023", format!("unknown compression \"{other}\""))),
                });
            }
            "force_quote" => self.force_quote = value.columns(name)?,
            "force_null" => self.force_null = value.columns(name)?,
            "force_not_null" => self.force_not_null = value.columns(name)?,
            "freeze" => {
                value.boolean(name)?;
            }
            "sample_size" | "sample_bytes" => {
                self.sample_bytes = match value.text(name)? {
                    "-1" | "all" => usize::MAX,
                    n => {
                        n.parse().map_err(|_| CopyError::new("22023", format!("invalid {name}: \"{n}\"")))?
                    }
                };
            }
            other => return Err(CopyError::new("42601", format!("option \"{other}\" not recognized"))),
        }
        Ok(())
    }

    fn check(&self, reading: bool) -> Result<()> {
        let csv_only =
            |given: bool, name: &str| match given && matches!(self.format, Some(f) if f != Format::Csv) {
                true => Err(CopyError::new("0A000", format!("COPY {name} available only in CSV mode"))),
                false => Ok(()),
            };
        csv_only(self.quote.is_some(), "quote")?;
        csv_only(self.escape.is_some(), "escape")?;
        csv_only(self.force_quote != Columns::None, "force quote")?;
        csv_only(self.force_null != Columns::None, "force null")?;
        csv_only(self.force_not_null != Columns::None, "force not null")?;
        if self.force_quote != Columns::None && reading {
            return Err(CopyError::unsupported("COPY force quote only available using COPY TO"));
        }
        if self.force_null != Columns::None && !reading {
            return Err(CopyError::unsupported("COPY force null only available using COPY FROM"));
        }
        if self.force_not_null != Columns::None && !reading {
            return Err(CopyError::unsupported("COPY force not null only available using COPY FROM"));
        }
        if self.header == Some(Header::Match) && !reading {
            return Err(CopyError::new("0A000", "cannot use \"match\" with HEADER in COPY TO"));
        }
        if self.encoding != Encoding::Utf8 && !reading {
            return Err(CopyError::unsupported("COPY TO writes UTF8 only"));
        }
        if self.format == Some(Format::Binary) {
            let given = [
                (self.delimiter.is_some(), "DELIMITER"),
                (self.nulls.is_some(), "NULL"),
                (self.header.is_some(), "HEADER"),
            ];
            if let Some((_, name)) = given.iter().find(|(given, _)| *given) {
                return Err(CopyError::new("42601", format!("cannot specify {name} in BINARY mode")));
            }
        }
        let delimited = !matches!(self.format, Some(Format::Parquet | Format::Arrow | Format::JsonLines));
        if !delimited && (self.delimiter.is_some() || self.nulls.is_some() || self.header.is_some()) {
            return Err(CopyError::unsupported(
                "COPY delimiter, null and header are available only in the text and CSV formats",
            ));
        }
        if matches!(self.compression, Some(Compression::Snappy | Compression::Lz4))
            && matches!(self.format, Some(f) if f != Format::Parquet)
        {
            return Err(CopyError::new("22023", "compression snappy and lz4 are Parquet's only"));
        }
        self.check_bytes()
    }

    fn check_bytes(&self) -> Result<()> {
        let quote = self.quote.unwrap_or(b'"');
        if let Some(delimiter) = self.delimiter {
            if delimiter == b'\n' || delimiter == b'\r' {
                return Err(CopyError::new("22023", "COPY delimiter cannot be newline or carriage return"));
            }
            if self.format == Some(Format::Csv) && delimiter == quote {
                return Err(CopyError::new("0A000", "COPY delimiter and quote must be different"));
            }
            if matches!(self.format, Some(Format::Text) | None)
                && (delimiter.is_ascii_lowercase()
                    || delimiter.is_ascii_digit()
                    || delimiter == b'\\'
                    || delimiter == b'.')
            {
                let shown = char::from(delimiter);
                return Err(CopyError::new("22023", format!("COPY delimiter cannot be \"{shown}\"")));
            }
        }
        for null in self.nulls.iter().flatten() {
            if null.contains(['\n', '\r']) {
                return Err(CopyError::new(
                    "22023",
                    "COPY null representation cannot use newline or carriage return",
                ));
            }
            if self.delimiter.is_some_and(|d| null.as_bytes().contains(&d)) {
                return Err(CopyError::new(
                    "0A000",
                    "COPY delimiter must not appear in the NULL specification",
                ));
            }
        }
        Ok(())
    }

    /// The format of the file `path`: the given one, else the one its name tells, else text.
    pub fn format_of(&self, path: &str) -> Format {
        self.format.unwrap_or_else(|| match extension(path) {
            "csv" | "tsv" => Format::Csv,
            "jsonl" | "ndjson" | "json" => Format::JsonLines,
            "parquet" | "pq" => Format::Parquet,
            "arrow" | "arrows" => Format::Arrow,
            _ => Format::Text,
        })
    }

    /// The compression with which `path` is to be written.
    pub fn compression_of(&self, path: &str) -> Compression {
        let lower = path.to_ascii_lowercase();
        self.compression.unwrap_or(match lower.rsplit('.').next() {
            Some("gz" | "gzip") => Compression::Gzip,
            Some("zst" | "zstd") => Compression::Zstd,
            _ => Compression::None,
        })
    }

    /// How a delimited file of `format` is laid out, header aside.
    pub fn dialect(&self, format: Format, path: &str) -> Dialect {
        let csv = format == Format::Csv;
        let quote = self.quote.unwrap_or(b'"');
        let tabs = !csv || extension(path) == "tsv";
        Dialect {
            csv,
            delimiter: self.delimiter.unwrap_or(if tabs { b'\t' } else { b',' }),
            quote,
            escape: self.escape.unwrap_or(quote),
            nulls: match &self.nulls {
                Some(texts) => texts.iter().map(|t| t.clone().into_bytes()).collect(),
                None if csv => vec![Vec::new()],
                None => vec![b"\\N".to_vec()],
            },
        }
    }
}

/// The extension that tells the format: of `a/b.CSV.gz` it is `csv`. Empty if there is none that is known.
pub(super) fn extension(path: &str) -> &'static str {
    const KNOWN: [&str; 9] = ["csv", "tsv", "jsonl", "ndjson", "json", "parquet", "pq", "arrow", "arrows"];
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let mut parts = file.rsplit('.');
    let mut last = parts.next().unwrap_or("");
    if ["gz", "gzip", "zst", "zstd"].iter().any(|c| last.eq_ignore_ascii_case(c)) {
        last = parts.next().unwrap_or("");
    }
    KNOWN.into_iter().find(|k| last.eq_ignore_ascii_case(k)).unwrap_or("")
}

fn parse_encoding(name: &str) -> Result<Encoding> {
    match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "utf8" | "unicode" => Ok(Encoding::Utf8),
        "latin1" | "iso88591" => Ok(Encoding::Latin1),
        "sqlascii" => Ok(Encoding::Utf8),
        _ => Err(CopyError::new("22023", format!("encoding \"{name}\" is not supported"))
            .with_hint("UTF8 and LATIN1 are.")),
    }
}

/// The bytes that rule a delimited file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// CSV, else PostgreSQL's text format.
    pub csv: bool,
    /// Between cells.
    pub delimiter: u8,
    /// Around cells (CSV).
    pub quote: u8,
    /// Before a quote or itself inside quotes (CSV).
    pub escape: u8,
    /// What means NULL; never empty.
    pub nulls: Vec<Vec<u8>>,
}

impl Dialect {
    /// Whether an unquoted cell means NULL.
    pub fn is_null(&self, cell: &[u8]) -> bool {
        self.nulls.iter().any(|n| n == cell)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(pairs: &[(&str, &str)]) -> Vec<(String, OptionValue)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), OptionValue::Text((*v).to_owned()))).collect()
    }

    #[test]
    fn the_name_tells_the_format() {
        let o = CopyOptions::default();
        assert_eq!(o.format_of("/x/a.CSV.gz"), Format::Csv);
        assert_eq!(o.format_of("a.ndjson"), Format::JsonLines);
        assert_eq!(o.format_of("a.parquet"), Format::Parquet);
        assert_eq!(o.format_of("dir.csv/a"), Format::Text);
        assert_eq!(o.compression_of("a.csv.zst"), Compression::Zstd);
    }

    #[test]
    fn options_are_checked() {
        let bad = |pairs: &[(&str, &str)]| CopyOptions::from_list(&list(pairs), true).unwrap_err().sqlstate;
        assert_eq!(bad(&[("format", "xml")]), "22023");
        assert_eq!(bad(&[("format", "csv"), ("format", "csv")]), "42601");
        assert_eq!(bad(&[("format", "text"), ("quote", "x")]), "0A000");
        assert_eq!(bad(&[("format", "csv"), ("delimiter", "ab")]), "0A000");
        assert_eq!(bad(&[("wat", "1")]), "42601");
        let ok = CopyOptions::from_list(&list(&[("format", "csv"), ("header", "match")]), true).unwrap();
        assert_eq!(ok.header, Some(Header::Match));
    }
}
