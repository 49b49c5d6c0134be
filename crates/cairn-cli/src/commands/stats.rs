//! `cairn stats`: sizes, counts and levels.

use std::io::Write;

use super::open_existing;
use crate::arguments::Place;
use crate::failure::Outcome;
use crate::format::text_table;
use crate::output::Output;

/// Prints the figures of a database.
pub(crate) fn run(place: &Place) -> Outcome {
    let db = open_existing(&place.database)?;
    let stats = db.stats();
    let mut out = Output::stdout();
    let catalog = db.catalog();
    let mut figures = vec![
        figure("last commit", stats.last_committed),
        figure("tables", catalog.tables().count()),
        figure("indexes", db.list_indexes()?.len()),
        figure("snapshots", format!("{}, oldest {}", stats.snapshots, stats.oldest_snapshot)),
        figure("log segments", format!("{} of {} bytes", stats.wal_segments, stats.wal_bytes)),
        figure("memtable entries", stats.memtable_entries),
        figure("memtable bytes", stats.memtable_bytes),
        figure("cache bytes", format!("{} of {}", stats.tree.cache.bytes, stats.tree.cache.capacity)),
        figure(
            "cache hits",
            format!("{} of {}", stats.tree.cache.hits, stats.tree.cache.hits + stats.tree.cache.misses),
        ),
    ];
    figures.extend(stats.warnings().into_iter().map(|warning| figure("warning", warning)));
    text_table(&["Figure", "Value"], &figures, &mut out)?;
    let levels: Vec<[String; 4]> = stats
        .tree
        .levels
        .iter()
        .enumerate()
        .filter(|(_, level)| level.files > 0)
        .map(|(number, level)| {
            [number.to_string(), level.files.to_string(), level.bytes.to_string(), level.entries.to_string()]
        })
        .collect();
    if !levels.is_empty() {
        writeln!(out)?;
        text_table(&["Level", "Files", "Bytes", "Entries"], &levels, &mut out)?;
    }
    out.flush()?;
    Ok(db.close()?)
}

fn figure(name: &str, value: impl ToString) -> [String; 2] {
    [name.to_owned(), value.to_string()]
}
