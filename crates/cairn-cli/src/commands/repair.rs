//! `cairn repair`: a database of all that is undamaged in the place of a damaged one, which is kept beside.

use std::io::Write;
use std::ops::Bound;

use cairndb::{Database, KeyRange, Loss};

use crate::arguments::Place;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::Progress;

/// Repairs a database; exit status 3 when something could not be saved.
pub(crate) fn run(place: &Place) -> Outcome {
    let progress = Progress::unknown("repairing");
    let report = Database::repair_path(&place.database);
    progress.finish();
    let report = report?;
    let mut out = Output::stdout();
    let Some(aside) = &report.moved_to else {
        writeln!(out, "no damage found, nothing was changed")?;
        out.flush()?;
        return Ok(());
    };
    for damage in &report.damage {
        writeln!(out, "damage: {}, offset {}: {}", damage.file.display(), damage.offset, damage.what)?;
    }
    for loss in &report.lost {
        writeln!(out, "lost: {}", describe(loss))?;
    }
    if report.manifest_rebuilt {
        writeln!(out, "the manifest was rebuilt: keys deleted shortly before a crash may be back")?;
    }
    writeln!(out, "saved {} entries, up to commit {}", report.entries, report.last_commit)?;
    writeln!(out, "the damaged database is kept in {}", aside.display())?;
    out.flush()?;
    if report.lost.is_empty() { Ok(()) } else { Err(Failure::Damage) }
}

fn describe(loss: &Loss) -> String {
    let place = format!("{}, offset {}: {}", loss.file.display(), loss.offset, loss.what);
    match loss.keys == KeyRange::all() {
        true => format!("{place}; any key"),
        false => format!("{place}; keys {}", range(&loss.keys)),
    }
}

fn range(keys: &KeyRange) -> String {
    let start = match &keys.start {
        Bound::Unbounded => "the first".to_owned(),
        Bound::Included(key) | Bound::Excluded(key) => format!("\"{}\"", key.escape_ascii()),
    };
    let end = match &keys.end {
        Bound::Unbounded => "the last".to_owned(),
        Bound::Included(key) | Bound::Excluded(key) => format!("\"{}\"", key.escape_ascii()),
    };
    format!("from {start} to {end}")
}
