//! `cargo xtask soak`: churn on one store for minutes or hours, with memory, file handles and disk space sampled:
//! after the first third none of them may grow.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::arguments::numbers;
use crate::rig::build;

#[derive(Debug, Clone, Copy)]
struct Sample {
    seconds: u64,
    resident: u64,
    handles: u64,
    disk: u64,
    live: u64,
}

/// One of the numbers of a sample.
type Field = fn(&Sample) -> u64;

/// Runs the churn and judges the samples.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let [minutes, seed] = numbers([("minutes", 15), ("seed", 1)])?;
    let rig = build(root)?;
    let dir = std::env::temp_dir().join(format!("cairn-soak-{}", std::process::id()));
    let samples = churn(&rig, &dir, minutes * 60, seed);
    std::fs::remove_dir_all(&dir).context("the database cannot be removed")?;
    judge(&samples?)
}

fn churn(rig: &Path, dir: &Path, seconds: u64, seed: u64) -> anyhow::Result<Vec<Sample>> {
    let mut child = Command::new(rig)
        .args(["soak".as_ref(), dir.as_os_str(), seconds.to_string().as_ref(), seed.to_string().as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .context("the churn cannot be started")?;
    let out = child.stdout.take().context("the churn has no output")?;
    let mut samples: Vec<Sample> = Vec::new();
    for line in BufReader::new(out).lines() {
        let line = line?;
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        if let [seconds, resident, handles, disk, live] = numbers[..] {
            samples.push(Sample { seconds, resident, handles, disk, live });
            if samples.len() % 12 == 1 {
                let mib = |bytes: u64| bytes >> 20;
                eprintln!(
                    "{seconds:>5} s: resident {} MiB, {handles} handles, disk {} MiB, live {} MiB",
                    mib(resident),
                    mib(disk),
                    mib(live)
                );
            }
        }
    }
    ensure!(child.wait()?.success(), "the churn failed");
    Ok(samples)
}

/// The last third against the middle third.
fn judge(samples: &[Sample]) -> anyhow::Result<()> {
    ensure!(samples.len() >= 9, "{} samples are too few to judge", samples.len());
    let third = samples.len() / 3;
    let (middle, last) = (&samples[third..2 * third], &samples[2 * third..]);
    let median = |part: &[Sample], of: Field| {
        let mut values: Vec<u64> = part.iter().map(of).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    let most = |of: Field| samples[third..].iter().map(of).max().unwrap_or(0);
    println!("over {} s, from the first third on:", samples[samples.len() - 1].seconds);
    let kinds: [(&str, Field, u64); 3] = [
        ("resident memory", |sample| sample.resident, 4 << 20),
        ("file handles", |sample| sample.handles, 4),
        ("disk", |sample| sample.disk, 16 << 20),
    ];
    for (name, of, slack) in kinds {
        let (before, after) = (median(middle, of), median(last, of));
        println!("  {name}: median {before} then {after}, at most {}", most(of));
        ensure!(after <= before + before / 10 + slack, "{name} grows: {before} then {after}");
    }
    let amplification = last.iter().map(|sample| sample.disk as f64 / sample.live.max(1) as f64);
    println!("  disk to live data: at most {:.2}", amplification.fold(0.0, f64::max));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Sample, judge};

    #[test]
    fn growth_is_noticed() {
        let flat =
            |seconds| Sample { seconds, resident: 50 << 20, handles: 30, disk: 90 << 20, live: 40 << 20 };
        let samples: Vec<Sample> = (0..30).map(flat).collect();
        assert!(judge(&samples).is_ok());
        let grown = |seconds| Sample { resident: (50 + seconds * 2) << 20, ..flat(seconds) };
        assert!(judge(&(0..30).map(grown).collect::<Vec<_>>()).is_err());
        assert!(judge(&samples[..5]).is_err());
    }
}
