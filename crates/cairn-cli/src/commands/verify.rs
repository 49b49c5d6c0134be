//! `cairn verify`: checks every checksum and structure without opening the database for writing.

use std::io::Write;

use cairndb::Database;

use crate::arguments::Place;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::Progress;

/// Verifies a database; exit status 3 when there is damage.
pub(crate) fn run(place: &Place) -> Outcome {
    let progress = Progress::unknown("verifying");
    let report = Database::verify_path(&place.database);
    progress.finish();
    let report = report?;
    let mut out = Output::stdout();
    if report.damage.is_empty() {
        writeln!(out, "no damage found in {} files, {} bytes", report.files, report.bytes)?;
        out.flush()?;
        return Ok(());
    }
    for damage in &report.damage {
        writeln!(out, "damage: {}, offset {}: {}", damage.file.display(), damage.offset, damage.what)?;
    }
    out.flush()?;
    Err(Failure::Damage)
}
