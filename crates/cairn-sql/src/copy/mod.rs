//! COPY FROM and COPY TO: text, CSV, binary, JSON lines, Parquet and Arrow streams, plain or compressed with gzip or zstd; and the readers that
//! queries over files and `cairn import` use.
//!
//! ```text
//!   file ─ Source (decompress) ─ Records ─ ColumnSink ─┐
//!                              ├ binary ───────────────┤
//!                              ├ Arrow stream ─────────┤
//!                              └ JSON lines ───────────┼─ batches ─ Prefetch ─ Inserter ─ engine
//!   file ─ Parquet ────────────────────────────────────┘
//!   query ─ batches ─ Writer ─ Sink (compress) ─ file, renamed when whole
//! ```
//! I1. All files are reached through `cairn_env`.
//! I2. A bad line ends the COPY with its number, column and text, and the statement leaves nothing behind.

mod arrays;
mod arrow_stream;
mod binary;
mod cell;
mod delimited;
mod error;
mod infer;
mod jsonl;
mod options;
mod parquet;
mod prefetch;
mod reader;
mod records;
mod run;
mod source;
mod statement;
mod write_json;
mod writer;

pub use error::CopyError;
pub use options::{
    Columns, Compression, CopyOptions, Encoding, Format, Header, OptionValue, SAMPLE_BYTES_DEFAULT,
};
pub use reader::{Reader, Target, TargetColumn, open_reader, open_reader_into, stream_reader_into};
pub use run::{Begun, Streams, create_table_sql, write_all};
pub use source::Progress;
pub use write_json::{write_string as write_json_string, write_value as write_json_value};
pub use writer::Writer;

pub(crate) use run::execute as execute_with;
pub(crate) use statement::parse;

use sqlparser::ast::Statement;

use crate::Result;
use crate::context::Context;
use crate::results::StatementResult;

/// Runs `Statement::Copy`; standard input and output are those of the session, if it has any.
pub(crate) fn execute(context: &Context, statement: &Statement) -> Result<StatementResult> {
    execute_with(context, statement, context.take_streams())
}
