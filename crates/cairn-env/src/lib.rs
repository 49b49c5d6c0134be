//! The outside world behind traits: files, clock, randomness, background tasks.
//!
//! Everything above this crate is synchronous code that never touches the operating system itself. It
//! takes an [`Env`], of which there are three kinds:
//!
//! - [`Env::os`]: the real thing, for Unix;
//! - [`Env::memory`]: files that live in memory, with real threads and a real clock;
//! - [`sim::Simulation`]: a seeded world, one thread at a time, whose file system loses, tears and garbles what was
//!   not synced, fails, comes short, fills up and flips bits. The same seed gives the same run.
//!
//! Invariants:
//! - I1: nothing outside this crate uses `std::fs`, `std::time`'s clocks, thread spawning or randomness.
//! - I2: what the traits do not promise, the simulation does not give: a caller that works there by design
//!   works on any file system that keeps POSIX.
//!
//! Modules, bottom-up: [`files`], [`clock`], [`random`], [`signal`], [`tasks`], then the implementations
//! `os`, `memory` and [`sim`], and [`lock`], a mutex that the simulation can see.
#![deny(unsafe_code)]

pub mod clock;
pub mod files;
pub mod lock;
pub mod random;
pub mod signal;
pub mod tasks;

mod memory;
mod os;
pub mod sim;
mod sync;

use std::sync::Arc;

pub use clock::Clock;
pub use files::{Advice, File, FileLock, FileSystem, Metadata, OpenMode};
pub use lock::{Lock, LockGuard};
pub use random::{Random, SeededRandom};
pub use signal::{Signal, SignalCore};
pub use tasks::{Step, Task, TaskHandle, Tasks};

/// The outside world as one cheap, cloneable handle.
///
/// ```
/// use cairn_env::{Env, OpenMode};
/// use std::path::Path;
///
/// let env = Env::memory();
/// let file = env.files().open(Path::new("/greeting"), OpenMode::CreateNew)?;
/// file.write_all_at(b"hello", 0)?;
/// assert_eq!(file.len()?, 5);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Env {
    files: Arc<dyn FileSystem>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    tasks: Arc<dyn Tasks>,
}

impl Env {
    /// The operating system: its file system, clock, randomness and threads.
    pub fn os() -> Env {
        Env::from_parts(
            Arc::new(os::OsFileSystem),
            Arc::new(os::OsClock::new()),
            Arc::new(os::OsRandom::new()),
            Arc::new(os::OsTasks),
        )
    }

    /// A new, empty file system in memory; clock, randomness and threads are the operating system's.
    /// Clones share the files; they are gone with the last clone and the last open file.
    pub fn memory() -> Env {
        Env::from_parts(
            Arc::new(memory::MemoryFileSystem::new()),
            Arc::new(os::OsClock::new()),
            Arc::new(os::OsRandom::new()),
            Arc::new(os::OsTasks),
        )
    }

    /// Puts an environment together from its parts, for tests and for hosts with a world of their own.
    pub fn from_parts(
        files: Arc<dyn FileSystem>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        tasks: Arc<dyn Tasks>,
    ) -> Env {
        Env { files, clock, random, tasks }
    }

    /// The file system.
    pub fn files(&self) -> &dyn FileSystem {
        &*self.files
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The source of random numbers.
    pub fn random(&self) -> &dyn Random {
        &*self.random
    }

    /// The runner of background work.
    pub fn tasks(&self) -> &dyn Tasks {
        &*self.tasks
    }

    /// A new signal: how foreground code waits for background work.
    pub fn signal(&self) -> Signal {
        self.tasks.signal()
    }
}
