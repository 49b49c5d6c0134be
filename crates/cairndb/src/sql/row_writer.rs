//! Rows of a result in the formats of COPY.

use std::io::Write;

use arrow_array::RecordBatch;
use cairn_sql::copy::{CopyOptions, Writer};

use crate::{Result, Rows};

/// Writes the batches of a result as a file of any format that COPY writes: CSV, JSON lines, Parquet, Arrow streams, PostgreSQL's.
///
/// ```
/// use cairndb::Database;
/// use cairndb::copy::{CopyOptions, Format, Header, RowWriter};
/// let mut rows = Database::in_memory()?.query("SELECT 1 AS a, 'x' AS b", &[])?;
/// let options = CopyOptions { format: Some(Format::Csv), header: Some(Header::Yes), ..CopyOptions::default() };
/// let file = tempfile::NamedTempFile::new().unwrap();
/// let mut writer = RowWriter::new(file.reopen().unwrap(), &options, &rows)?;
/// while let Some(batch) = rows.next_batch()? {
///     writer.write(&batch)?;
/// }
/// assert_eq!(writer.finish()?, 1);
/// assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "a,b\n1,x\n");
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Debug)]
pub struct RowWriter {
    inner: Writer,
}

impl RowWriter {
    /// Begins to write rows of these columns to `out`. Without a format it is PostgreSQL's text.
    ///
    /// # Errors
    /// SQLSTATE `42703` for an option that names a column that there is not, `58030` where `out` refuses.
    pub fn new(out: impl Write + Send + 'static, options: &CopyOptions, rows: &Rows) -> Result<RowWriter> {
        let inner = Writer::stream(Box::new(out), options, rows.schema()).map_err(cairn_sql::Error::from)?;
        Ok(RowWriter { inner })
    }

    /// Adds rows of the result; they may be held back until [`RowWriter::finish`].
    ///
    /// # Errors
    /// SQLSTATE `58030` and `53100` where `out` refuses.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        Ok(self.inner.write(batch).map_err(cairn_sql::Error::from)?)
    }

    /// Ends the file; gives the number of rows.
    ///
    /// # Errors
    /// As [`RowWriter::write`].
    pub fn finish(self) -> Result<u64> {
        Ok(self.inner.finish().map_err(cairn_sql::Error::from)?)
    }
}
