//! The process that the rigs start: builds it, listens to what it acknowledges, kills it, has it check a database.
//!
//! - I1: what a writer says counts as acknowledged when it was read here; what it says after a kill counts too.
//! - I2: a writer does not outlive the rig: its pipe is closed with the rig, and then it ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use anyhow::{Context, bail, ensure};

use crate::cargo::cargo;

/// Commits by writer.
pub(crate) type Counts = Vec<u64>;

/// Builds the rig's process and gives its path.
pub(crate) fn build(root: &Path) -> anyhow::Result<PathBuf> {
    cargo(root, &["build", "--package", "cairn-storage", "--example", "rig"])?;
    let target = crate::cargo::target(root);
    Ok(target.join("debug/examples/rig"))
}

/// A writer that runs, and what it acknowledged.
pub(crate) struct Writer {
    child: Child,
    acknowledged: Arc<Mutex<Counts>>,
    listener: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts a writer on a database directory.
    pub(crate) fn start(rig: &Path, database: &Path, mode: &str, seed: u64) -> anyhow::Result<Writer> {
        let mut child = Command::new(rig)
            .args(["write".as_ref(), database.as_os_str(), mode.as_ref(), seed.to_string().as_ref()])
            .stdout(Stdio::piped())
            .spawn()
            .context("the writer cannot be started")?;
        let out = child.stdout.take().context("the writer has no output")?;
        let acknowledged: Arc<Mutex<Counts>> = Arc::default();
        let counts = Arc::clone(&acknowledged);
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some((writer, number)) = parse(&line, "acked ") {
                    set(&mut counts.lock().unwrap_or_else(|broken| broken.into_inner()), writer, number + 1);
                }
            }
        });
        Ok(Writer { child, acknowledged, listener: Some(listener) })
    }

    /// What was acknowledged up to now.
    pub(crate) fn acknowledged(&self) -> Counts {
        self.acknowledged.lock().unwrap_or_else(|broken| broken.into_inner()).clone()
    }

    /// Fails if the writer has ended by itself.
    pub(crate) fn check_runs(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the writer ended by itself: {status}"),
            None => Ok(()),
        }
    }

    /// Kills it (kill -9) and gives all that it acknowledged (I1).
    pub(crate) fn kill(mut self) -> anyhow::Result<Counts> {
        self.check_runs()?;
        self.child.kill()?;
        self.child.wait()?;
        if let Some(listener) = self.listener.take() {
            ensure!(listener.join().is_ok(), "the listener failed");
        }
        Ok(self.acknowledged())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Best effort; without its reader it ends anyhow (I2).
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens and checks a database; gives how many commits of each writer are there.
pub(crate) fn check(rig: &Path, database: &Path, seed: u64) -> anyhow::Result<Counts> {
    let output = Command::new(rig)
        .args(["check".as_ref(), database.as_os_str(), seed.to_string().as_ref()])
        .output()
        .context("the check cannot be started")?;
    let failure = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the database does not stand the check: {failure}");
    let mut counts = Counts::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some((writer, count)) = parse(line, "found ") {
            set(&mut counts, writer, count);
        }
    }
    Ok(counts)
}

/// How many acknowledged commits are missing.
pub(crate) fn missing(acknowledged: &Counts, found: &Counts) -> u64 {
    let found = |writer: usize| found.get(writer).copied().unwrap_or(0);
    acknowledged.iter().enumerate().map(|(writer, &count)| count.saturating_sub(found(writer))).sum()
}

fn parse(line: &str, word: &str) -> Option<(usize, u64)> {
    let (writer, number) = line.strip_prefix(word)?.split_once(' ')?;
    Some((writer.parse().ok()?, number.parse().ok()?))
}

fn set(counts: &mut Counts, writer: usize, count: u64) {
    if counts.len() <= writer {
        counts.resize(writer + 1, 0);
    }
    counts[writer] = count;
}

/// A number below `n` that looks random: SplitMix64 of a seed.
pub(crate) fn scatter(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % n.max(1)
}

#[cfg(test)]
mod tests {
    use super::{missing, parse};

    #[test]
    fn lines_and_missing_commits() {
        assert_eq!(parse("acked 3 17", "acked "), Some((3, 17)));
        assert_eq!(parse("found 3", "found "), None);
        assert_eq!(missing(&vec![5, 2], &vec![3, 9]), 2);
        assert_eq!(missing(&vec![5, 2], &vec![5]), 2);
        assert_eq!(missing(&vec![], &vec![5]), 0);
    }
}
