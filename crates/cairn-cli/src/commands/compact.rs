//! `cairn compact`: merges all levels and drops what was deleted.

use super::open_existing;
use crate::arguments::Place;
use crate::failure::Outcome;
use crate::progress::Progress;

/// Compacts a database.
pub(crate) fn run(place: &Place) -> Outcome {
    let db = open_existing(&place.database)?;
    let progress = Progress::unknown("compacting");
    let compacted = db.flush().and_then(|()| db.compact());
    progress.finish();
    compacted?;
    Ok(db.close()?)
}
