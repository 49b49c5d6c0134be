//! `cairn checkpoint`: a consistent copy in a new directory.

use super::open_existing;
use crate::arguments::Checkpoint;
use crate::failure::Outcome;

/// Copies a database.
pub(crate) fn run(command: &Checkpoint) -> Outcome {
    let db = open_existing(&command.database)?;
    db.checkpoint(&command.directory)?;
    Ok(db.close()?)
}
