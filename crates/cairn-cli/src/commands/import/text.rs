//! CSV, JSON lines and Parquet through COPY. A table that is not there is made with the types found in the
//! file.

use std::path::Path;

use anyhow::anyhow;
use cairndb::copy::{CopyOptions, Format, Header};
use cairndb::{Database, IsolationLevel, Transaction};

use super::told;
use crate::arguments::{FileKind, Import};
use crate::commands::quoted;
use crate::failure::{Failure, Outcome};
use crate::progress::Progress;

/// Loads one file.
pub(super) fn import(db: &Database, path: &Path, kind: FileKind, command: &Import) -> Outcome {
    let table = command.table.clone().unwrap_or_else(|| table_name(path));
    let tx = db.begin_transaction(IsolationLevel::Snapshot)?;
    let (schema, name) = place(&tx, &table)?;
    let exists = tx.catalog().relation(&schema, &name).is_some();
    let target = if schema == cairndb::catalog::PUBLIC {
        quoted(&name)
    } else {
        format!("{}.{}", quoted(&schema), quoted(&name))
    };
    let load = Load { path, kind, command, target, exists };
    let progress = Progress::unknown(&format!("importing {}", path.display()));
    let loaded = load.run(db, &tx);
    progress.finish();
    let rows = loaded?;
    tx.commit()?;
    told(rows, &table);
    Ok(())
}

/// A file on its way into a table.
struct Load<'a> {
    path: &'a Path,
    kind: FileKind,
    command: &'a Import,
    /// The table, quoted.
    target: String,
    exists: bool,
}

impl Load<'_> {
    /// Makes the table if it is not there and copies the rows; gives their number.
    fn run(&self, db: &Database, tx: &Transaction) -> Outcome<u64> {
        let absolute = std::path::absolute(self.path)?;
        let Some(file) = absolute.to_str() else {
            return Err(anyhow!("the name of {} is not UTF-8", self.path.display()).into());
        };
        let options = self.options()?;
        if !self.exists {
            let columns = db.file_columns(file, &options)?;
            let columns: Vec<String> =
                columns.iter().map(|c| format!("{} {}", quoted(c.name()), c.type_name())).collect();
            let sql = format!("CREATE TABLE {} ({})", self.target, columns.join(", "));
            tx.execute(&sql, &[]).map_err(|error| Failure::statement(error, &sql))?;
        }
        let sql = format!("COPY {} FROM {} WITH ({})", self.target, string(file), text_of(&options));
        tx.execute(&sql, &[]).map_err(|error| Failure::statement(error, &sql))
    }

    fn options(&self) -> Outcome<CopyOptions> {
        let mut options = CopyOptions { sample_bytes: usize::MAX, ..CopyOptions::default() };
        options.format = Some(match self.kind {
            FileKind::Parquet => Format::Parquet,
            FileKind::Jsonl | FileKind::Sqlite => Format::JsonLines,
            FileKind::Csv => Format::Csv,
        });
        if self.kind != FileKind::Csv {
            return Ok(options);
        }
        options.header = Some(if self.command.no_header { Header::No } else { Header::Yes });
        let name = self.path.to_string_lossy().to_ascii_lowercase();
        let tabs = name.contains(".tsv") || name.contains(".tab");
        options.delimiter = match self.command.delimiter {
            Some(c) if c.is_ascii() => Some(c as u8),
            Some(c) => return Err(Failure::Usage(format!("the delimiter '{c}' is not one byte"))),
            None => tabs.then_some(b'\t'),
        };
        options.nulls = match &self.command.null {
            Some(null) => Some(vec![null.clone()]),
            None if !self.exists => Some(vec![String::new(), "NA".to_owned()]),
            None => None,
        };
        Ok(options)
    }
}

/// The options as COPY spells them.
fn text_of(options: &CopyOptions) -> String {
    let mut parts = vec![match options.format {
        Some(Format::Parquet) => "FORMAT parquet".to_owned(),
        Some(Format::JsonLines) => "FORMAT json".to_owned(),
        _ => "FORMAT csv".to_owned(),
    }];
    if options.header == Some(Header::Yes) {
        parts.push("HEADER".to_owned());
    }
    if let Some(delimiter) = options.delimiter {
        parts.push(format!("DELIMITER {}", string(&char::from(delimiter).to_string())));
    }
    if let Some(nulls) = &options.nulls {
        let nulls: Vec<String> = nulls.iter().map(|null| string(null)).collect();
        parts.push(format!("NULL ({})", nulls.join(", ")));
    }
    parts.join(", ")
}

fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The file's name without its endings, as SQL would fold it.
fn table_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bare = name.split('.').find(|part| !part.is_empty()).unwrap_or("imported");
    let folded: String =
        bare.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    if folded.starts_with(|c: char| c.is_ascii_digit()) { format!("_{folded}") } else { folded }
}

/// Schema and name of `[schema.]table`; an existing table is found in whatever case it is written.
fn place(tx: &Transaction, table: &str) -> Outcome<(String, String)> {
    let (schema, name) = table.split_once('.').unwrap_or((cairndb::catalog::PUBLIC, table));
    let catalog = tx.catalog();
    let lower = name.to_lowercase();
    let known = |name: &str| catalog.relation(schema, name).is_some();
    let name = if !known(name) && known(&lower) { lower } else { name.to_owned() };
    Ok((schema.to_owned(), name))
}

#[cfg(test)]
mod tests {
    //! Table names from file names.

    use super::*;

    #[test]
    fn the_name_of_the_table_is_that_of_the_file() {
        assert_eq!(table_name(Path::new("/data/Flights.csv.gz")), "flights");
        assert_eq!(table_name(Path::new("my-trips 2013.csv")), "my_trips_2013");
        assert_eq!(table_name(Path::new("2013.csv")), "_2013");
    }
}
