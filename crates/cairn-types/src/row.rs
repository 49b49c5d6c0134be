//! Row code: all columns of a row in one byte string, laid out so that one column is read without touching
//! the others. Byte table: `docs/format/row.md`.
//!
//! ```text
//! form u8 | columns u16 | null bits | fixed section | variable section
//! ```
//!
//! I1. A column's place in the fixed section depends only on the types of the columns before it, never on
//! the row; so columns may be added at the end without touching old rows, and a dropped column keeps its
//! place as NULL.
//! I2. Every decoder is total: bytes that no encoder wrote give [`TypeError::Corrupt`], never a panic, and
//! never a read outside the row.

mod cells;
mod decode;
mod encode;
mod layout;
mod list;

pub use decode::{RowColumn, RowDecoder, decode_row};
pub use encode::{BoundRows, RowEncoder, RowSlot};
pub use layout::COLUMNS_MAX;

#[cfg(doc)]
use crate::error::TypeError;
