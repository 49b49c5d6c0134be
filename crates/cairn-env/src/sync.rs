//! What the operating system's signals are made of. Here the plain types under their own names, at no cost;
//! `models/` compiles the same source file against the types of a model checker.

pub(crate) use std::hint::spin_loop;

pub(crate) use parking_lot::{Condvar, Mutex};
