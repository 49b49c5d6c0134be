//! `information_schema`: the standard's picture of the catalog, with all columns that PostgreSQL gives it; what has no meaning here,
//! or none in PostgreSQL, is NULL.

mod absent;
mod columns;
mod constraints;
mod facts;
mod privileges;
mod relations;
mod routines;
mod standard;
mod usage;
mod user_types;

use std::sync::LazyLock;

use super::DATABASE;
use super::column_type::ColumnType;
use super::system::SystemTable;

pub(super) use constraints::{action_name, keys};

const T: ColumnType = ColumnType::Text;
const I: ColumnType = ColumnType::Int4;

/// The tables of this schema.
pub(crate) fn tables() -> &'static [SystemTable] {
    static ALL: LazyLock<Vec<SystemTable>> = LazyLock::new(|| {
        let parts = [
            relations::TABLES,
            columns::TABLES,
            constraints::TABLES,
            routines::TABLES,
            user_types::TABLES,
            privileges::TABLES,
            usage::TABLES,
            absent::TABLES,
            standard::TABLES,
        ];
        parts.concat()
    });
    &ALL
}
