//! `cairn import`: files into tables.
//!
//! I1: each file is one transaction: it is loaded whole or not at all, with the table that was made for it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::anyhow;

use super::open;
use crate::arguments::{FileKind, Import};
use crate::failure::{Failure, Outcome};
use crate::output::reason;

mod sqlite;
mod text;

/// Imports files one after the other.
pub(crate) fn run(command: &Import) -> Outcome {
    // All names are checked before the database is created or changed.
    let mut files = Vec::with_capacity(command.files.len());
    for path in &command.files {
        let kind = match command.kind {
            Some(kind) => {
                first_bytes(path)?;
                kind
            }
            None => kind_of(path)?,
        };
        if kind == FileKind::Sqlite && command.table.is_some() {
            return Err(Failure::Usage(
                "a SQLite database is imported whole; --table does not apply".to_owned(),
            ));
        }
        files.push((path, kind));
    }
    let db = open(&command.database)?;
    for (path, kind) in files {
        match kind {
            FileKind::Sqlite => sqlite::import(&db, path)?,
            _ => text::import(&db, path, kind, command)?,
        }
    }
    Ok(db.close()?)
}

/// What a file is: by its first bytes, then by its name.
fn kind_of(path: &Path) -> Outcome<FileKind> {
    let head = first_bytes(path)?;
    if head.starts_with(b"SQLite format 3\0") {
        return Ok(FileKind::Sqlite);
    }
    if head.starts_with(b"PAR1") {
        return Ok(FileKind::Parquet);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let bare = name.trim_end_matches(".gz").trim_end_matches(".zst");
    match bare.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "csv" | "tsv" | "tab" | "txt" => Ok(FileKind::Csv),
        "jsonl" | "ndjson" | "json" => Ok(FileKind::Jsonl),
        "parquet" => Ok(FileKind::Parquet),
        "sqlite" | "sqlite3" | "db" => Err(anyhow!("{} is not a SQLite database", path.display()).into()),
        _ => Err(Failure::Usage(format!(
            "{}: the name does not say what the file is; --kind csv, jsonl, parquet or sqlite does",
            path.display()
        ))),
    }
}

fn first_bytes(path: &Path) -> Outcome<Vec<u8>> {
    let cannot = |e: std::io::Error| anyhow!("cannot read {}: {}", path.display(), reason(&e));
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(16).read_to_end(&mut head)).map_err(cannot)?;
    Ok(head)
}

/// Says what was loaded, on standard error: standard output is for results.
fn told(rows: u64, table: &str) {
    let unit = if rows == 1 { "row" } else { "rows" };
    eprintln!("{rows} {unit} into {table}");
}
