//! What is measured beside time: bytes written, space on disk, rest; and loops bounded in time.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

/// Bytes that this process made dirty in the page cache or wrote past it: what reaches the disk.
pub fn written_bytes() -> Result<u64> {
    proc_io("write_bytes: ")
}

fn proc_io(field: &str) -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    Ok(value.context("/proc/self/io lacks a field")?.trim().parse()?)
}

/// Whether a thread of this process beside the calling one runs, wants to run or waits for the disk.
fn others_at_work() -> Result<bool> {
    let own = std::fs::read_link("/proc/thread-self")?;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?;
        // A thread may end while the directory is read.
        let Ok(text) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        let state = text.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        if matches!(state, Some('R' | 'D')) && own.file_name() != Some(&task.file_name()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits until the process has been at rest (no other thread at work, no bytes written) for `quiet`, at most
/// `limit`; gives the time of the last activity. So it is the same for every engine.
pub fn settle(quiet: Duration, limit: Duration) -> Result<Instant> {
    let began = Instant::now();
    let mut active = began;
    let mut before = proc_io("wchar: ")?;
    while began.elapsed() < limit && active.elapsed() < quiet {
        std::thread::sleep(Duration::from_millis(50));
        let after = proc_io("wchar: ")?;
        if after > before || others_at_work()? {
            active = Instant::now();
        }
        before = after;
    }
    Ok(active)
}

/// Bytes that a directory takes on disk (blocks, not lengths).
pub fn disk_bytes(directory: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // A file may go while its directory is read.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

/// Reads every file of a directory, so that all of them are in the page cache.
pub fn warm_files(directory: &Path) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.metadata()?.is_dir() {
            warm_files(&entry.path())?;
            continue;
        }
        let mut file = std::fs::File::open(entry.path())?;
        while file.read(&mut buffer)? > 0 {}
    }
    Ok(())
}

/// Length of the files whose name ends with one of the suffixes.
pub fn length_of(directory: &Path, suffixes: &[&str]) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.metadata()?.is_dir() {
            bytes += length_of(&entry.path(), suffixes)?;
        } else if suffixes.iter().any(|suffix| name.ends_with(suffix)) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Tells workers whether they warm up, count or end.
#[derive(Debug)]
pub struct Phase(AtomicU8);

impl Phase {
    /// Whether to go on; counts the operation before, if it is to be counted.
    pub fn next(&self, count: &mut u64) -> bool {
        match self.0.load(Ordering::Relaxed) {
            0 => true,
            1 => {
                *count += 1;
                true
            }
            _ => false,
        }
    }
}

/// Operations a second of all threads together. A worker runs operations while [`Phase::next`] says so and gives
/// its count.
pub fn rate(
    threads: usize,
    warm: Duration,
    time: Duration,
    worker: &(dyn Fn(usize, &Phase) -> Result<u64> + Sync),
) -> Result<f64> {
    let phase = Phase(AtomicU8::new(0));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let phase = &phase;
                scope.spawn(move || {
                    let outcome = worker(thread, phase);
                    if outcome.is_err() {
                        phase.0.store(2, Ordering::Relaxed);
                    }
                    outcome
                })
            })
            .collect();
        std::thread::sleep(warm);
        let began = Instant::now();
        let _ = phase.0.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
        std::thread::sleep(time);
        phase.0.store(2, Ordering::Relaxed);
        let elapsed = began.elapsed().as_secs_f64();
        let mut count = 0;
        for worker in workers {
            count += worker.join().map_err(|_| anyhow!("a worker panicked"))??;
        }
        Ok(count as f64 / elapsed)
    })
}
