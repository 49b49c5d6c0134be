//! `cairn stats`: sizes, counts and levels.

use std::io::Write;

use super::open_existing;
use crate::arguments::Place;
use crate::failure::Outcome;
use crate::output::Output;

/// Prints the figures of a database.
pub(crate) fn run(place: &Place) -> Outcome {
    let db = open_existing(&place.database)?;
    let stats = db.stats();
    let mut out = Output::stdout();
    writeln!(out, "{stats:#?}")?;
    out.flush()?;
    Ok(db.close()?)
}
