//! One number for the memory of a store: how much there is, and how it is shared out.
//!
//! Guarantees: what [`Options::memory_bytes`] allows is not exceeded by memtables, cached blocks, filters and
//! indexes together, but for one transaction greater than a memtable, and the blocks that cursors hold.
//! Where the option is not set, the limit of the control group (version 2 or 1, of the process' own group and
//! every group above it) is kept as well as the machine's size.

use std::path::Path;

use cairn_env::{Env, OpenMode};

use crate::options::Options;

/// Where the memory is not known, it is taken to be this.
const MEMORY_UNKNOWN: u64 = 1 << 30;
/// The default is this part of the memory: one in so many.
const DEFAULT_PART: u64 = 4;
/// The default is at most this.
const DEFAULT_BYTES_MAX: u64 = 512 << 20;
/// A memtable is at most this part of the memory: one in so many.
const MEMTABLE_PART: usize = 8;
/// What compaction, flushes and the log may use: one part in so many.
const BUFFER_PART: usize = 8;
/// The cache gets this part at least, however many memtables are allowed: one in so many.
const CACHE_PART_MIN: usize = 4;
/// A memtable is not made smaller than this by a small memory.
const MEMTABLE_BYTES_MIN: usize = 256 << 10;

impl Options {
    /// The options with every size that follows from the memory filled in.
    pub(crate) fn with_memory_shared(mut self, env: &Env) -> Options {
        if let (Some(_), None) = (self.cache_bytes, self.memory_bytes) {
            return self;
        }
        let memory = self.memory_bytes.unwrap_or_else(|| default_bytes(env));
        let memtable = (memory / MEMTABLE_PART).max(MEMTABLE_BYTES_MIN);
        self.memtable_bytes = self.memtable_bytes.min(memtable);
        // Recovery reads a segment at once.
        self.wal_segment_bytes = self.wal_segment_bytes.min(memtable as u64);
        let memtables = self.memtable_bytes.saturating_mul(1 + self.immutable_memtables_max);
        let rest = memory.saturating_sub(memtables).saturating_sub(memory / BUFFER_PART);
        self.cache_bytes = self.cache_bytes.or(Some(rest.max(memory / CACHE_PART_MIN)));
        self.memory_bytes = Some(memory);
        self
    }

    /// Bytes that a streaming reader asks the file for at once.
    pub(crate) fn stream_bytes(&self) -> usize {
        self.memory_bytes.map_or(STREAM_BYTES_MAX, |memory| memory / 512).clamp(32 << 10, STREAM_BYTES_MAX)
    }
}

/// A streaming reader's window where memory is plenty.
pub(crate) const STREAM_BYTES_MAX: usize = 512 << 10;

/// A quarter of the memory that the process may use, at most 512 MiB.
fn default_bytes(env: &Env) -> usize {
    let machine = read_number(env, "/proc/meminfo", "MemTotal:").map(|kib| kib * 1024);
    let memory = machine.into_iter().chain(group_limit(env)).min().unwrap_or(MEMORY_UNKNOWN);
    (memory / DEFAULT_PART).min(DEFAULT_BYTES_MAX) as usize
}

/// The least limit of the control groups that the process is in.
fn group_limit(env: &Env) -> Option<u64> {
    let groups = read_text(env, "/proc/self/cgroup").unwrap_or_default();
    let mut limits = Vec::new();
    for line in groups.lines() {
        // number:controllers:path; version 2 has number 0 and no controllers.
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            all if all.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        for group in Path::new(path).ancestors() {
            let group = group.to_string_lossy();
            let file = format!("{root}/{}/{name}", group.trim_matches('/'));
            limits.extend(read_number(env, &file, ""));
        }
    }
    // In a container the group's own path may not be visible: its root is what applies.
    limits.extend(read_number(env, "/sys/fs/cgroup/memory.max", ""));
    limits.extend(read_number(env, "/sys/fs/cgroup/memory/memory.limit_in_bytes", ""));
    limits.into_iter().min()
}

/// The number behind `label` in a small text file of the system; `None` where there is none ("max").
fn read_number(env: &Env, path: &str, label: &str) -> Option<u64> {
    let text = read_text(env, path)?;
    text[text.find(label)? + label.len()..].split_whitespace().next()?.parse().ok()
}

fn read_text(env: &Env, path: &str) -> Option<String> {
    let file = env.files().open(Path::new(path), OpenMode::Read).ok()?;
    let mut text = vec![0; 4096];
    let len = file.read_at(&mut text, 0).ok()?;
    text.truncate(len);
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn env_with(files: &[(&str, &str)]) -> Env {
        let env = Env::memory();
        for (path, text) in files {
            env.files().create_dir_all(Path::new(path).parent().unwrap()).unwrap();
            let file = env.files().open(Path::new(path), OpenMode::CreateNew).unwrap();
            file.write_all_at(text.as_bytes(), 0).unwrap();
        }
        env
    }

    #[test]
    fn the_least_limit_counts() {
        let machine = ("/proc/meminfo", "MemTotal:        8000000 kB\nMemFree: 1 kB\n");
        assert_eq!(default_bytes(&Env::memory()), 256 << 20);
        assert_eq!(default_bytes(&env_with(&[machine])), 512 << 20);
        let own = ("/proc/self/cgroup", "0::/user/app\n");
        let app = ("/sys/fs/cgroup/user/app/memory.max", "max\n");
        let user = ("/sys/fs/cgroup/user/memory.max", "400000000\n");
        assert_eq!(default_bytes(&env_with(&[machine, own, app, user])), 100_000_000);
        let old = ("/proc/self/cgroup", "5:cpu,memory:/docker/x\n3:pids:/y\n");
        let docker = ("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "100000000\n");
        assert_eq!(default_bytes(&env_with(&[machine, old, docker])), 25_000_000);
        // In a container the path is the host's; only the root is mounted.
        let root = ("/sys/fs/cgroup/memory.max", "200000000\n");
        assert_eq!(default_bytes(&env_with(&[machine, own, root])), 50_000_000);
    }

    #[test]
    fn the_parts_fit() {
        for mib in [4usize, 8, 64, 100, 512, 4096] {
            let memory = mib << 20;
            let options = Options { memory_bytes: Some(memory), ..Options::default() };
            let options = options.with_memory_shared(&Env::memory());
            let cache = options.cache_bytes.unwrap();
            let memtables = options.memtable_bytes * (1 + options.immutable_memtables_max);
            assert!(cache + memtables <= memory, "{mib} MiB: {cache} + {memtables}");
            assert!(cache >= memory / 4);
        }
        let fixed = Options { cache_bytes: Some(5), ..Options::default() }.with_memory_shared(&Env::memory());
        assert_eq!((fixed.cache_bytes, fixed.memtable_bytes), (Some(5), 64 << 20));
    }
}
