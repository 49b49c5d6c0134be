//! `cairn export`: a table or the result of a query, to a file or to standard output.
//!
//! I1: a file that could not be written wholly is removed again; a file that was there is replaced only with
//! `--overwrite`.

use std::io::Write;
use std::path::Path;

use anyhow::anyhow;
use cairndb::Database;

use super::open_existing;
use crate::arguments::{Export, ExportFormat};
use crate::failure::{Failure, Outcome};
use crate::format::Format;
use crate::output::{Output, reason};
use crate::progress::Progress;

/// Exports.
pub(crate) fn run(command: &Export) -> Outcome {
    let format = command.format.unwrap_or_else(|| format_of(command.file.as_deref()));
    if let Some(path) = &command.file {
        if path.exists() && !command.overwrite {
            return Err(anyhow!("{} exists already; --overwrite replaces it", path.display()).into());
        }
    } else if format == ExportFormat::Parquet {
        return Err(Failure::Usage("Parquet is written to a file only: give its name".to_owned()));
    }
    let db = open_existing(&command.database)?;
    let query = query_of(&db, &command.what)?;
    match (&command.file, printed(format)) {
        (None, Some(format)) => print(&db, &query, format, &mut Output::stdout(), None).map(drop),
        (Some(path), Some(format)) if !is_compressed(path) => to_file(&db, &query, format, path),
        (Some(path), _) => copy_to(&db, &query, format, path),
        (None, None) => Ok(()),
    }
}

/// The format that prints, where it is one.
fn printed(format: ExportFormat) -> Option<Format> {
    Some(match format {
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Json => Format::Json,
        ExportFormat::Jsonl => Format::Jsonl,
        ExportFormat::Markdown => Format::Markdown,
        ExportFormat::Table => Format::Table,
        ExportFormat::Line => Format::Line,
        ExportFormat::Parquet => return None,
    })
}

fn format_of(path: Option<&Path>) -> ExportFormat {
    let name = path.map(|path| path.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    match name.rsplit('.').next().unwrap_or("") {
        "json" => ExportFormat::Json,
        "jsonl" | "ndjson" => ExportFormat::Jsonl,
        "parquet" => ExportFormat::Parquet,
        "md" | "markdown" => ExportFormat::Markdown,
        _ => ExportFormat::Csv,
    }
}

fn is_compressed(path: &Path) -> bool {
    matches!(path.extension().and_then(|e| e.to_str()), Some("gz" | "zst"))
}

/// A name of a table or view becomes a query for all its rows.
fn query_of(db: &Database, what: &str) -> Outcome<String> {
    if what.trim().contains(char::is_whitespace) {
        return Ok(what.trim().trim_end_matches(';').to_owned());
    }
    let catalog = db.catalog();
    let (schema, name) = what.split_once('.').unwrap_or((cairndb::catalog::PUBLIC, what));
    let is_there = |schema: &str, name: &str| {
        catalog.relation(schema, name).is_some() || name == cairndb::catalog::STORE
    };
    let lower = name.to_lowercase();
    let name = if is_there(schema, name) { name } else { &lower };
    if !is_there(schema, name) {
        return Err(anyhow!("there is no table or view named {what}").into());
    }
    Ok(format!("SELECT * FROM {}.{}", super::quoted(schema), super::quoted(name)))
}

/// Prints the rows; gives their number.
fn print(
    db: &Database,
    query: &str,
    format: Format,
    out: &mut Output,
    progress: Option<&Progress>,
) -> Outcome<u64> {
    let mut rows = db.query(query, &[]).map_err(|error| Failure::statement(error, query))?;
    let columns = rows.columns().to_vec();
    let mut writer = format.writer();
    writer.begin(&columns, out)?;
    let mut count = 0;
    while let Some(batch) = rows.next_batch().map_err(|error| Failure::statement(error, query))? {
        writer.batch(&columns, &batch, out)?;
        count += batch.num_rows() as u64;
        if let Some(progress) = progress {
            progress.advance(batch.num_rows() as u64);
        }
    }
    writer.end(&columns, out)?;
    out.flush()?;
    Ok(count)
}

fn to_file(db: &Database, query: &str, format: Format, path: &Path) -> Outcome {
    let partial = partial_name(path);
    let progress = Progress::unknown("exporting");
    let outcome =
        Output::file(&partial).and_then(|mut out| print(db, query, format, &mut out, Some(&progress)));
    progress.finish();
    complete(outcome, &partial, path)
}

/// Parquet and compressed files are written by COPY.
fn copy_to(db: &Database, query: &str, format: ExportFormat, path: &Path) -> Outcome {
    let options = match format {
        ExportFormat::Parquet => "FORMAT parquet",
        ExportFormat::Csv => "FORMAT csv, HEADER",
        ExportFormat::Jsonl => "FORMAT json",
        _ => {
            return Err(Failure::Usage("only csv and jsonl can be compressed".to_owned()));
        }
    };
    let partial = partial_name(path);
    let Some(name) = partial.to_str() else {
        return Err(anyhow!("the name of {} is not UTF-8", path.display()).into());
    };
    let sql = format!("COPY ({query}) TO '{}' WITH ({options})", name.replace('\'', "''"));
    let progress = Progress::unknown("exporting");
    let outcome = db.execute(&sql, &[]).map_err(|error| Failure::statement(error, &sql));
    progress.finish();
    complete(outcome, &partial, path)
}

/// The name under which a file is written until it is whole; it keeps the endings that say its format.
fn partial_name(path: &Path) -> std::path::PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{}.partial-{name}", std::process::id()))
}

/// Gives a whole file its name, removes a partial one (I1).
fn complete(outcome: Outcome<u64>, partial: &Path, path: &Path) -> Outcome {
    match outcome {
        Ok(rows) => {
            std::fs::rename(partial, path)
                .map_err(|e| anyhow!("cannot write {}: {}", path.display(), reason(&e)))?;
            eprintln!("{rows} rows written to {}", path.display());
            Ok(())
        }
        Err(failure) => {
            // It may never have been created; the failure itself says more.
            let _ = std::fs::remove_file(partial);
            Err(failure)
        }
    }
}

#[cfg(test)]
mod tests {
    //! Formats by name.

    use super::*;

    #[test]
    fn the_name_of_the_file_says_its_format() {
        for (name, format) in [
            ("a.csv", ExportFormat::Csv),
            ("a.jsonl.gz", ExportFormat::Jsonl),
            ("a.JSON", ExportFormat::Json),
            ("a.parquet", ExportFormat::Parquet),
            ("a", ExportFormat::Csv),
        ] {
            assert_eq!(format_of(Some(Path::new(name))), format, "{name}");
        }
    }
}
