//! The state of the simulated machine: inodes, counters, planned crash and faults.
//!
//! Invariants:
//! - I1: `durable` of a file or directory is what a power cut now would surely leave, `current` what calls see.
//!   After a failed sync they may differ without an unsynced operation.
//! - I2: an inode is kept as long as an entry, durable or not, or an open handle names it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::Path;

use super::crash::{apply_dir_op, settle_dir, settle_file};
use super::fault::{Fault, Op, Plan};
use super::simulation::SimOptions;
use crate::memory::{Content, normal, parent_and_name};
use crate::random::SeededRandom;

/// The root directory's inode.
pub(super) const ROOT: u64 = 0;

/// How many bytes a sync and any other operation take of simulated time, in nanoseconds.
const SYNC_NANOS: u64 = 500_000;
const OP_NANOS: u64 = 5_000;

#[derive(Debug)]
pub(super) enum Inode {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug, Default)]
pub(super) struct FileNode {
    pub(super) durable: Content,
    pub(super) current: Content,
    pub(super) unsynced: Vec<FileOp>,
    pub(super) handles: u64,
}

#[derive(Debug)]
pub(super) enum FileOp {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

#[derive(Debug, Default)]
pub(super) struct DirNode {
    pub(super) durable: BTreeMap<String, u64>,
    pub(super) current: BTreeMap<String, u64>,
    pub(super) unsynced: Vec<DirOp>,
}

#[derive(Debug)]
pub(super) enum DirOp {
    Link { name: String, inode: u64 },
    Unlink { name: String },
    Rename { from: String, to: String, inode: u64 },
}

impl FileNode {
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if !bytes.is_empty() {
            self.current.write(bytes, offset);
            self.unsynced.push(FileOp::Write { offset, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len != self.current.len() {
            self.current.set_len(len);
            self.unsynced.push(FileOp::SetLen(len));
        }
    }

    pub(super) fn sync(&mut self) {
        for op in self.unsynced.drain(..) {
            match op {
                FileOp::Write { offset, bytes } => self.durable.write(&bytes, offset),
                FileOp::SetLen(len) => self.durable.set_len(len),
            }
        }
    }

    pub(super) fn fail_sync(&mut self, random: &mut SeededRandom) {
        self.durable = settle_file(self, random);
        self.unsynced.clear();
    }
}

impl DirNode {
    pub(super) fn change(&mut self, op: DirOp) {
        apply_dir_op(&mut self.current, &op);
        self.unsynced.push(op);
    }

    pub(super) fn sync(&mut self) {
        for op in self.unsynced.drain(..) {
            apply_dir_op(&mut self.durable, &op);
        }
    }

    pub(super) fn fail_sync(&mut self, random: &mut SeededRandom) {
        self.durable = settle_dir(self, random);
        self.unsynced.clear();
    }
}

/// What an operation is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// Do it wholly, partly or not (by seed), then cut the power and fail.
    Crash,
    Fail(Fault),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) options: SimOptions,
    pub(super) random: SeededRandom,
    pub(super) inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    sweep_at: usize,
    /// Counts environments; handles of earlier ones are dead.
    pub(super) incarnation: u64,
    pub(super) powered: bool,
    /// The process is dead: its calls fail, the rest is as it was.
    pub(super) killed: bool,
    pub(super) locks: BTreeSet<u64>,
    pub(super) operations: u64,
    pub(super) changes: u64,
    /// The value of `changes` at which the power is cut.
    pub(super) crash_at: Option<u64>,
    /// The value of `changes` at which the process dies.
    pub(super) kill_at: Option<u64>,
    pub(super) plans: Vec<Plan>,
    pub(super) capacity: u64,
    pub(super) nanos: u64,
    pub(super) trace: u64,
}

/// What file calls answer when the machine is off.
pub(super) fn power_cut() -> io::Error {
    io::Error::other("simulated power cut")
}

impl World {
    pub(super) fn new(options: SimOptions) -> World {
        World {
            random: SeededRandom::new(options.seed),
            inodes: BTreeMap::from([(ROOT, Inode::Dir(DirNode::default()))]),
            next_inode: ROOT + 1,
            sweep_at: 64,
            incarnation: 0,
            powered: true,
            killed: false,
            locks: BTreeSet::new(),
            operations: 0,
            changes: 0,
            crash_at: None,
            kill_at: None,
            plans: Vec::new(),
            capacity: options.capacity,
            nanos: 0,
            trace: options.seed ^ 0xcbf2_9ce4_8422_2325,
            options,
        }
    }

    /// Begins an operation: counts and traces it, and says how it fares.
    pub(super) fn enter(&mut self, incarnation: u64, op: Op) -> io::Result<Verdict> {
        if !self.powered || self.killed || incarnation != self.incarnation {
            return Err(power_cut());
        }
        self.operations += 1;
        self.changes += u64::from(op.changes());
        self.nanos += if matches!(op, Op::Sync | Op::SyncDir) { SYNC_NANOS } else { OP_NANOS };
        self.note(op as u64);
        if op.changes() && self.kill_at.is_some_and(|at| self.changes >= at) {
            self.kill_at = None;
            self.killed = true;
            return Err(power_cut());
        }
        if op.changes() && self.crash_at.is_some_and(|at| self.changes >= at) {
            self.crash_at = None;
            return Ok(Verdict::Crash);
        }
        for plan in &mut self.plans {
            if plan.strikes(op) {
                return Ok(Verdict::Fail(plan.fault));
            }
        }
        Ok(Verdict::Go)
    }

    /// Mixes a number into the trace.
    pub(super) fn note(&mut self, value: u64) {
        self.trace = (self.trace.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    /// Mixes bytes into the trace.
    pub(super) fn note_bytes(&mut self, bytes: &[u8]) {
        self.note(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.note(u64::from_le_bytes(word));
        }
    }

    /// Cuts the power: only what is durable or happened to reach the disk is left.
    pub(super) fn cut_power(&mut self) {
        self.powered = false;
        self.locks.clear();
        for inode in self.inodes.values_mut() {
            match inode {
                Inode::File(file) => {
                    file.fail_sync(&mut self.random);
                    file.current = file.durable.clone();
                    file.handles = 0;
                }
                Inode::Dir(dir) => {
                    dir.fail_sync(&mut self.random);
                    dir.current = dir.durable.clone();
                }
            }
        }
        self.sweep();
    }

    /// The process died and another begins: locks and handles are gone, the page cache is not.
    pub(super) fn end_process(&mut self) {
        self.locks.clear();
        for inode in self.inodes.values_mut() {
            if let Inode::File(file) = inode {
                file.handles = 0;
            }
        }
    }

    fn sweep(&mut self) {
        let mut seen = BTreeSet::from([ROOT]);
        let mut queue = vec![ROOT];
        for (number, inode) in &self.inodes {
            if matches!(inode, Inode::File(file) if file.handles > 0) {
                seen.insert(*number);
            }
        }
        while let Some(number) = queue.pop() {
            let Some(Inode::Dir(dir)) = self.inodes.get(&number) else { continue };
            let pending = dir.unsynced.iter().filter_map(|op| match op {
                DirOp::Link { inode, .. } | DirOp::Rename { inode, .. } => Some(inode),
                DirOp::Unlink { .. } => None,
            });
            for child in dir.durable.values().chain(dir.current.values()).chain(pending) {
                if seen.insert(*child) {
                    queue.push(*child);
                }
            }
        }
        self.inodes.retain(|number, _| seen.contains(number));
        self.sweep_at = self.inodes.len() * 2 + 64;
    }

    pub(super) fn add(&mut self, inode: Inode) -> u64 {
        if self.inodes.len() >= self.sweep_at {
            self.sweep();
        }
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, inode);
        number
    }

    /// The inode that a path names now.
    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        let mut at = ROOT;
        for name in normal(path).iter() {
            let Some(Inode::Dir(dir)) = self.inodes.get(&at) else {
                return Err(ErrorKind::NotADirectory.into());
            };
            let next = name.to_str().and_then(|name| dir.current.get(name));
            at = *next.ok_or(ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    /// The directory inode and the last name of a path.
    pub(super) fn find_parent(&self, path: &Path) -> io::Result<(u64, String)> {
        let (parent, name) = parent_and_name(&normal(path))?;
        let parent = self.find(&parent)?;
        match self.inodes.get(&parent) {
            Some(Inode::Dir(_)) => Ok((parent, name)),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&mut self, number: u64) -> io::Result<&mut FileNode> {
        match self.inodes.get_mut(&number) {
            Some(Inode::File(file)) => Ok(file),
            Some(Inode::Dir(_)) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn dir(&mut self, number: u64) -> io::Result<&mut DirNode> {
        match self.inodes.get_mut(&number) {
            Some(Inode::Dir(dir)) => Ok(dir),
            Some(Inode::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Bytes still free under the capacity. A file counts with its length as long as it is named or open.
    pub(super) fn room(&self) -> u64 {
        if self.capacity == u64::MAX {
            return u64::MAX;
        }
        let mut named = BTreeSet::new();
        for inode in self.inodes.values() {
            if let Inode::Dir(dir) = inode {
                named.extend(dir.current.values().copied());
            }
        }
        let used: u64 = self
            .inodes
            .iter()
            .map(|(number, inode)| match inode {
                Inode::File(file) if file.handles > 0 || named.contains(number) => file.current.len(),
                _ => 0,
            })
            .sum();
        self.capacity.saturating_sub(used)
    }
}
