//! Integration tests of the SQL layer, from outside.

mod slt;
