//! Scans of tables: which index to take, and DataFusion's plan node over `cairn_engine::table::scan`.

pub(crate) mod access;
pub(crate) mod bitmap;
pub(crate) mod bounds;
pub(crate) mod derived;
mod estimated;
pub(crate) mod exec;
mod lookup;
pub(crate) mod narrow;
pub(crate) mod provider;
pub(crate) mod prune;
pub(crate) mod template;
