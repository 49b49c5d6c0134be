//! Locks: how transactions wait for each other. Keys are locked in four modes, objects of the layer above in eight,
//! advisory locks in two; all with PostgreSQL's names and meanings.
//!
//! Locks decide who waits, never what may be committed: every commit is validated (`commit.rs`), locked or not. So a lock
//! may be left out where it would cost too much (memory is full, nobody else takes any) and nothing breaks; see
//! `docs/decisions/0011-transactions.md`.
//!
//! Modules, bottom-up: `mode`, `target`, `table` (holders and queues), `wait` (waiting, deadlocks), `ranges` (of keys),
//! `held` (what one transaction holds), `session` (locks that outlive transactions).

mod held;
mod mode;
mod ranges;
mod session;
mod table;
mod target;
mod wait;

pub(crate) use held::{HeldLocks, Hold, Taken};
pub use mode::{KeyLock, LockMode, ObjectLock};
pub use session::LockSession;
pub(crate) use session::advisory_mode;
pub(crate) use table::{ByTarget, LockTable};
pub use table::{LockInfo, LockOwner};
pub(crate) use target::Name;
pub use target::{AdvisoryKey, LockTarget};
pub(crate) use wait::Patience;
pub use wait::{CancelHandle, LockWait, Wait};

#[cfg(test)]
mod tests;
