//! A seeded world for tests: a file system that does what disks do at the worst moment, a clock, randomness
//! and background tasks, one at a time. The same seed and the same calls give the same run.
//!
//! Everything runs on the calling thread, background tasks a step at a time; or, with [`SimOptions::fibers`],
//! clients and tasks are threads that pass a baton, chosen by the seed, also in the middle of a commit.
//!
//! What is kept: per file its durable bytes and the ordered list of unsynced operations; per directory its
//! durable entries and the unsynced ones. On a power cut the seed decides:
//!
//! - each unsynced write is cut at multiples of 512 bytes of the file, each piece is kept, dropped or garbled;
//! - the file's length becomes any length that it had since the last sync, whatever became of the data;
//! - each unsynced entry (created, renamed, linked, removed name) is kept or dropped, whatever became of the
//!   file's contents and of other entries.
//!
//! Bytes outside a write are never harmed by it, even within the same 512 bytes (as SQLite, PostgreSQL and
//! RocksDB assume too).
//!
//! ```text
//!             crash(), crash_after(n) at its operation
//!   running ────────────────────────────────────────▶ off ── restart() ──▶ running (durable state only)
//!   running ── restart(): the process died, the system did not ──────────▶ running (all state, still unsynced)
//! ```
//!
//! Invariants:
//! - I1: every choice comes from the seed; no clock, no hash order and no race between threads decides anything.
//! - I2: an environment made before the last crash or restart answers every file call with an error.
//! - I3: what was synced is never changed by a power cut.

pub(crate) mod baton;
mod crash;
mod fault;
mod files;
mod scheduler;
mod simulation;
mod world;

pub use fault::{Fault, Repeat};
pub use simulation::{SimOptions, Simulation, is_power_cut};
