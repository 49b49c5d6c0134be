//! CSV, JSON lines and Parquet through COPY. A table that is not there is made with the types found in the
//! file.

use std::path::Path;

use anyhow::anyhow;
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
    let literal = file_literal(path)?;
    let progress = Progress::unknown(&format!("importing {}", path.display()));
    let loaded = load(&tx, &target, &literal, exists, kind, path, command);
    progress.finish();
    let rows = loaded?;
    tx.commit()?;
    told(rows, &table);
    Ok(())
}

fn load(
    tx: &Transaction,
    target: &str,
    literal: &str,
    exists: bool,
    kind: FileKind,
    path: &Path,
    command: &Import,
) -> Outcome<u64> {
    let options = options(kind, path, command, exists);
    if !exists {
        let sql = format!("CREATE TABLE {target} FROM {literal} WITH ({options})");
        tx.execute(&sql, &[]).map_err(|error| Failure::statement(error, &sql))?;
    }
    let sql = format!("COPY {target} FROM {literal} WITH ({options})");
    tx.execute(&sql, &[]).map_err(|error| Failure::statement(error, &sql))
}

/// COPY's options.
fn options(kind: FileKind, path: &Path, command: &Import, exists: bool) -> String {
    let mut options = match kind {
        FileKind::Parquet => return "FORMAT parquet".to_owned(),
        FileKind::Jsonl | FileKind::Sqlite => return "FORMAT json".to_owned(),
        FileKind::Csv => vec!["FORMAT csv".to_owned()],
    };
    if !command.no_header {
        options.push("HEADER".to_owned());
    }
    let name = path.to_string_lossy().to_ascii_lowercase();
    let tabs = name.contains(".tsv") || name.contains(".tab");
    if let Some(delimiter) = command.delimiter.or(tabs.then_some('\t')) {
        options.push(format!("DELIMITER {}", string(&delimiter.to_string())));
    }
    match &command.null {
        Some(null) => options.push(format!("NULL {}", string(null))),
        None if !exists => options.push("NULL 'NA'".to_owned()),
        None => {}
    }
    options.join(", ")
}

fn string(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The absolute path as a string literal.
fn file_literal(path: &Path) -> Outcome<String> {
    let absolute = std::path::absolute(path)?;
    match absolute.to_str() {
        Some(text) => Ok(string(text)),
        None => Err(anyhow!("the name of {} is not UTF-8", path.display()).into()),
    }
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
