//! What a value is in CairnDB: SQL types, values and their order, PostgreSQL's text forms, the row
//! code and the order-preserving key code. Batches of rows are Arrow arrays.
//!
//! Modules, bottom-up; a module names only those above it:
//!
//! | module | what |
//! |---|---|
//! | [`error`] | [`TypeError`] with SQLSTATE and PostgreSQL's wording |
//! | [`coded`] | types whose values are byte codes: enums, ranges, addresses, bit strings |
//! | [`datatype`] | [`DataType`], its SQL names and its catalog code |
//! | [`field`] | mapping between [`DataType`] and Arrow types and fields |
//! | [`decimal`], [`interval`], [`datetime`], [`float`], [`json`] | one kind of value each: arithmetic, order, text |
//! | [`value`] | [`Value`], total order, conversions |
//! | [`mod@column`] | Arrow arrays to values and back |
//! | [`text`] | PostgreSQL's text input and output |
//! | [`key`] | order-preserving key code (`docs/format/key.md`) |
//! | [`codes`] | what those bytes say |
//! | [`row`] | row code (`docs/format/row.md`) |
//!
//! The crate does no I/O and has no state. Every decoder is total: damaged bytes give an error.

#![forbid(unsafe_code)]

pub mod error;

pub mod coded;

pub mod datatype;

pub mod field;

pub mod decimal;

pub mod interval;

pub mod datetime;

pub mod float;

pub mod json;

pub mod value;

pub mod column;

pub mod key;

pub mod codes;

mod binary;

pub mod composite;

/// Types that stand for any type of a family.
pub mod polymorphic;
pub mod row;

pub mod text;

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

pub use coded::{Coded, EnumLabel, EnumType, RangeKind};
pub use column::ColumnBuilder;
pub use composite::{CompositeField, CompositeType};
pub use datatype::DataType;
pub use decimal::Decimal;
pub use error::TypeError;
pub use interval::{Interval, IntervalLimit};
pub use value::Value;

/// Result of the operations of this crate.
pub type Result<T, E = TypeError> = std::result::Result<T, E>;
