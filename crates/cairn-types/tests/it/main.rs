//! Integration tests of cairn-types: one binary, a module for each part.

mod json;
mod key;
mod random;
mod row;
mod text;
mod types;
