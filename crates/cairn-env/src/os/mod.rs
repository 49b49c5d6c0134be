//! The operating system (Unix): files, clock, randomness and threads.
//!
//! The only place in the kernel that names `std::fs`, `std::time`'s clocks and `std::thread` (I1 of the crate).
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

mod clock;
mod files;
mod map;
mod random;
mod signal;
mod tasks;

pub(crate) use clock::OsClock;
pub(crate) use files::OsFileSystem;
pub(crate) use random::OsRandom;
pub(crate) use tasks::OsTasks;
