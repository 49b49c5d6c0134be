//! The SQL face: queries, statements, rows, sessions; blocking and async.

mod asynchronous;
mod column;
mod convert;
mod database;
mod functions;
mod indexes;
mod params;
mod row;
pub(crate) mod row_writer;
mod rows;
mod served;
mod session;
mod statement;
mod transaction;

pub use cairn_sql::{
    ClientAddress, Login, Notification, Split, StatementCancel, parameter_names, split_statements,
};
pub use cairn_types::text::format_cell;
pub use cairn_types::{DataType, Decimal, Interval, Value};
pub use column::Column;
pub use convert::{Cell, FromSql, ToSql};
pub use functions::Volatility;
pub use indexes::{IndexInfo, IndexOptions};
pub use params::Params;
pub use row::{ColumnIndex, Row};
pub use rows::{Batches, RowStream, Rows};
pub use served::{Notice, Prepared};
pub use session::{Outcome, Session, SessionStatus};
pub use statement::Statement;

/// The engine's options out of those of the database.
pub(crate) fn options(options: &crate::OpenOptions) -> cairn_sql::SqlOptions {
    let mut sql = cairn_sql::SqlOptions::default();
    if let Some(bytes) = options.query_memory_bytes {
        sql.memory_bytes_max = bytes;
    }
    if let Some(directory) = &options.temporary_directory {
        sql.temporary_directory = Some(directory.clone());
    }
    sql
}
