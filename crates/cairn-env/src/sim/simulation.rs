//! The simulation as tests hold it: environments, crashes, faults, damage.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::baton::{self, Baton, FiberTasks};
use super::fault::{Fault, Plan, Repeat};
use super::files::SimFileSystem;
use super::scheduler::SimTasks;
use super::world::{FileNode, Inode, World};
use crate::clock::Clock;
use crate::random::{Random, SeededRandom};
use crate::tasks::Tasks;
use crate::{Env, memory::Content};

/// Settings of a [`Simulation`].
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Decides everything.
    pub seed: u64,
    /// One in this many reads and writes comes short, and a quarter as many are interrupted; 0 = none. Both
    /// are legal and must not be noticed.
    pub short_one_in: u64,
    /// One in this many yield points lets background tasks run; 0 = none: they run only when waited for.
    pub yield_one_in: u64,
    /// Clients and background tasks are fibers that interleave at file operations too, see
    /// [`Simulation::run_clients`]. Off, everything runs on the calling thread, a task's step at a time.
    pub fibers: bool,
    /// With fibers, at one in this many file operations that change something another may go on; 0 = none.
    pub switch_one_in: u64,
    /// Bytes on the disk; `u64::MAX` = no limit.
    pub capacity: u64,
    /// The wall clock at the start, microseconds since 1970.
    pub wall_micros: i64,
}

impl SimOptions {
    /// The usual settings: one in 16 reads and writes comes short, tasks run at one in 4 yield points.
    pub fn new(seed: u64) -> SimOptions {
        SimOptions {
            seed,
            short_one_in: 16,
            yield_one_in: 4,
            fibers: false,
            switch_one_in: 4,
            capacity: u64::MAX,
            wall_micros: 1_700_000_000_000_000,
        }
    }
}

/// Whether an error is the answer of a machine whose power was cut.
pub fn is_power_cut(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string() == "simulated power cut"
}

/// A simulated machine. To be used from one thread, and from the clients that [`Simulation::run_clients`] runs; from any
/// with [`Simulation::env_on_threads`].
///
/// ```
/// use cairn_env::{OpenMode, sim::{SimOptions, Simulation}};
/// use std::path::Path;
///
/// let simulation = Simulation::new(SimOptions::new(42));
/// let env = simulation.env();
/// let file = env.files().open(Path::new("/a"), OpenMode::CreateNew)?;
/// file.write_all_at(b"gone", 0)?;
/// file.sync_data()?; // the contents are safe, the name is not: no sync_dir
/// simulation.crash();
/// assert!(file.len().is_err());
/// let after = simulation.restart();
/// println!("the name survived: {}", after.files().exists(Path::new("/a"))?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Simulation {
    world: Arc<Mutex<World>>,
    tasks: Mutex<Arc<dyn Tasks>>,
    baton: Option<Arc<Baton>>,
}

impl Simulation {
    /// A machine with an empty disk. With fibers, the calling thread is the first of them, until the simulation
    /// is dropped; it makes one such simulation at a time.
    pub fn new(options: SimOptions) -> Simulation {
        let fibers = options.fibers;
        let world = Arc::new(Mutex::new(World::new(options)));
        let baton = fibers.then(|| Baton::new(Arc::clone(&world)));
        let tasks = Mutex::new(Simulation::new_tasks(&world, baton.as_ref()));
        Simulation { world, tasks, baton }
    }

    fn new_tasks(world: &Arc<Mutex<World>>, baton: Option<&Arc<Baton>>) -> Arc<dyn Tasks> {
        match baton {
            Some(baton) => Arc::new(FiberTasks { baton: Arc::clone(baton) }),
            None => Arc::new(SimTasks::new(Arc::clone(world))),
        }
    }

    /// Runs clients beside each other and the background tasks, one at a time and interleaved by the seed, and
    /// returns when all have ended. A client's panic kills the process (see [`Simulation::kill_after`]), so that
    /// the others end too, and is then passed on.
    ///
    /// # Panics
    /// In a simulation without fibers, where the system has no thread to give, and with a client's panic.
    pub fn run_clients(&self, clients: Vec<Box<dyn FnOnce() + Send>>) {
        let baton = self.baton.as_ref().expect("SimOptions::fibers is on");
        baton.run_all(clients).expect("the system has a thread for each client");
        if let Some(panic) = baton.take_panic() {
            std::panic::resume_unwind(panic);
        }
    }

    /// The environment of the running process. Calls before the next crash or restart give the same one.
    pub fn env(&self) -> Env {
        let incarnation = self.world.lock().incarnation;
        let tasks = Arc::clone(&self.tasks.lock());
        Env::from_parts(
            Arc::new(SimFileSystem { world: Arc::clone(&self.world), incarnation }),
            Arc::new(SimClock { world: Arc::clone(&self.world) }),
            Arc::new(SimRandom { world: Arc::clone(&self.world) }),
            tasks,
        )
    }

    /// As [`Simulation::env`], with the operating system's threads, clock and randomness over the simulated disk: for what
    /// needs threads of its own. What happens then depends on how they meet, not on the seed alone.
    pub fn env_on_threads(&self) -> Env {
        let incarnation = self.world.lock().incarnation;
        let files = Arc::new(SimFileSystem { world: Arc::clone(&self.world), incarnation });
        Env { files, ..Env::os() }
    }

    /// Cuts the power now. Every later file call of the environment fails, see [`is_power_cut`].
    pub fn crash(&self) {
        let mut world = self.world.lock();
        world.crash_at = None;
        if world.powered {
            world.cut_power();
        }
    }

    /// Cuts the power in the `n`-th (1 = the next) file operation that changes anything: writes, lengths,
    /// syncs, names. That operation may have happened wholly, partly or not. Opening for reading, reading,
    /// listing and the like are not counted: a crash there is one before the next change.
    pub fn crash_after(&self, n: u64) {
        let mut world = self.world.lock();
        world.crash_at = Some(world.changes + n.max(1));
    }

    /// Has the process die (kill -9) before the `n`-th (1 = the next) operation that [`Simulation::crash_after`]
    /// counts. Every later file call of the environment fails, but what was written is there at the restart,
    /// as unsynced as before.
    pub fn kill_after(&self, n: u64) {
        let mut world = self.world.lock();
        world.kill_at = Some(world.changes + n.max(1));
    }

    /// Disarms [`Simulation::crash_after`] and [`Simulation::kill_after`].
    pub fn cancel_crash(&self) {
        let mut world = self.world.lock();
        (world.crash_at, world.kill_at) = (None, None);
    }

    /// Whether the power was cut, or the process killed, and there was no restart since.
    pub fn is_off(&self) -> bool {
        let world = self.world.lock();
        !world.powered || world.killed
    }

    /// Whether the power is on: false only after a power cut.
    pub fn is_powered(&self) -> bool {
        self.world.lock().powered
    }

    /// Starts a new process and gives its environment. After a crash it finds what survived. Without one the
    /// old process is taken to have died (kill -9): all that it wrote is there, and as unsynced as before.
    /// Planned faults and crashes are forgotten.
    pub fn restart(&self) -> Env {
        {
            let mut world = self.world.lock();
            if world.powered {
                world.end_process();
            }
            world.powered = true;
            world.killed = false;
            world.incarnation += 1;
            (world.crash_at, world.kill_at) = (None, None);
            world.plans.clear();
        }
        *self.tasks.lock() = Simulation::new_tasks(&self.world, self.baton.as_ref());
        self.env()
    }

    /// Makes the `n`-th (1 = the next) operation that `fault` can hit fail, once or from then on.
    pub fn fail_nth(&self, n: u64, fault: Fault, repeat: Repeat) {
        self.world.lock().plans.push(Plan { fault, repeat, left: n.max(1), hits: 0 });
    }

    /// How often planned faults have struck since the last restart or [`Simulation::clear_faults`].
    pub fn fault_hits(&self) -> u64 {
        self.world.lock().plans.iter().map(|plan| plan.hits).sum()
    }

    /// Forgets all planned faults.
    pub fn clear_faults(&self) {
        self.world.lock().plans.clear();
    }

    /// Sets the size of the disk; `u64::MAX` = no limit. May be below what is used: then nothing can grow.
    pub fn set_capacity(&self, bytes: u64) {
        self.world.lock().capacity = bytes;
    }

    /// Bytes free on the disk.
    pub fn free_bytes(&self) -> u64 {
        self.world.lock().room()
    }

    /// File operations so far, of all environments.
    pub fn operations(&self) -> u64 {
        self.world.lock().operations
    }

    /// Operations so far that [`Simulation::crash_after`] counts.
    pub fn changes(&self) -> u64 {
        self.world.lock().changes
    }

    /// A hash of all operations so far with their bytes and of all choices of the scheduler: equal for equal
    /// runs.
    pub fn trace_hash(&self) -> u64 {
        self.world.lock().trace
    }

    /// Flips one bit (0 to 7) of a file, on the disk and in the cache.
    ///
    /// # Errors
    /// `NotFound` if there is no such file, `UnexpectedEof` if it ends before `offset`.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let mut bytes = self.read_file(path)?;
        let byte = usize::try_from(offset).ok().and_then(|at| bytes.get_mut(at));
        *byte.ok_or(io::ErrorKind::UnexpectedEof)? ^= 1 << (bit & 7);
        self.write_file(path, &bytes)
    }

    /// A file's bytes as calls see them, without counting as an operation.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut world = self.world.lock();
        let number = world.find(path)?;
        Ok(world.file(number)?.current.to_vec())
    }

    /// Replaces a file's bytes, durably, without counting as an operation; creates the file in a directory
    /// that is there. Open handles see the new bytes.
    ///
    /// # Errors
    /// `NotFound` if the directory is missing.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.world.lock();
        let number = match world.find(path) {
            Ok(number) => number,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let (parent, name) = world.find_parent(path)?;
                let number = world.add(Inode::File(FileNode::default()));
                let dir = world.dir(parent)?;
                dir.durable.insert(name.clone(), number);
                dir.current.insert(name, number);
                number
            }
            Err(e) => return Err(e),
        };
        let file = world.file(number)?;
        let mut content = Content::default();
        content.write(bytes, 0);
        file.unsynced.clear();
        file.durable = content.clone();
        file.current = content;
        Ok(())
    }

    /// Removes a file's name, durably, without counting as an operation.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world.lock();
        world.find(path)?;
        let (parent, name) = world.find_parent(path)?;
        let dir = world.dir(parent)?;
        dir.durable.remove(&name);
        dir.current.remove(&name);
        Ok(())
    }

    /// The names in a directory, sorted, without counting as an operation.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    pub fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut world = self.world.lock();
        let number = world.find(path)?;
        Ok(world.dir(number)?.current.keys().cloned().collect())
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        let panic = self.baton.as_ref().and_then(|baton| baton.end());
        if let Some(panic) = panic
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// Time that passes only by operations, sleeping and waiting.
#[derive(Debug)]
struct SimClock {
    world: Arc<Mutex<World>>,
}

impl Clock for SimClock {
    fn wall_micros(&self) -> i64 {
        let world = self.world.lock();
        world.options.wall_micros.saturating_add((world.nanos / 1000) as i64)
    }

    fn monotonic_nanos(&self) -> u64 {
        // A loop that waits for a moment must get there.
        let mut world = self.world.lock();
        world.nanos += 100;
        world.nanos
    }

    fn sleep(&self, duration: Duration) {
        if !baton::sleep(duration) {
            self.world.lock().nanos += duration.as_nanos() as u64;
        }
    }
}

/// The random numbers of the process, from the same seed as all else.
#[derive(Debug)]
struct SimRandom {
    world: Arc<Mutex<World>>,
}

impl Random for SimRandom {
    fn next_u64(&self) -> u64 {
        let mut world = self.world.lock();
        let seed = world.random.next();
        SeededRandom::new(seed).next()
    }
}
