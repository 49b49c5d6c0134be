//! `cargo xtask power-cut`: power cuts on a real kernel and a real file system.
//!
//! ```text
//! XFS with reflink, on a loop device
//!   disk.img ── ext4 on a loop device ── the database, which a process writes
//!   cut.img  ── `cp --reflink=always` of disk.img while it writes: the disk at one instant. Mounted, opened, checked.
//! ```
//! It loses what a power cut loses: the page cache, and ext4's journal as far as it was not committed. It does not
//! model a drive that reorders its own cache: the simulation does.
//!
//! Needs root, xfsprogs and e2fsprogs. Everything is mounted in a mount namespace of its own, which the kernel takes
//! away with the last process in it: nothing stays mounted, however this ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::arguments::numbers;
use crate::rig::{self, Writer, build, missing, scatter};

/// Set in the process that has a mount namespace of its own.
const INSIDE: &str = "CAIRN_POWER_CUT_INSIDE";
/// The database is begun anew after so many cuts, so that the disk does not fill.
const CUTS_PER_DATABASE: u64 = 20;

/// Runs the cuts; fails at the first that lost anything (or, with `--unsafe 1`, if none did).
pub fn run(root: &Path) -> anyhow::Result<()> {
    let [cuts, seed, no_sync] = numbers([("cuts", 200), ("seed", 1), ("unsafe", 0)])?;
    require_tools()?;
    if std::env::var_os(INSIDE).is_none() {
        return enter_namespace();
    }
    let rig = build(root)?;
    let dir = std::env::temp_dir().join(format!("cairn-power-cut-{}", std::process::id()));
    std::fs::create_dir_all(&dir).context("the directory cannot be made")?;
    let started = Instant::now();
    let outcome =
        Disk::make(&dir).and_then(|disk| cut_again_and_again(&rig, &disk, cuts, seed, no_sync != 0));
    std::fs::remove_dir_all(&dir).context("the directory cannot be removed")?;
    let Outcome { commits, cuts_with_loss, lost } = outcome?;
    let seconds = started.elapsed().as_secs();
    println!(
        "{cuts} power cuts, {commits} commits acknowledged, {lost} lost in {cuts_with_loss} cuts, {seconds} s"
    );
    ensure!(
        no_sync == 0 || cuts_with_loss > 0,
        "nothing was synced and nothing was lost: the rig has no teeth"
    );
    Ok(())
}

fn require_tools() -> anyhow::Result<()> {
    let mut id = Command::new("id");
    let user = id.arg("-u").output().context("cannot start id")?;
    ensure!(user.stdout.trim_ascii() == b"0", "power cuts need root: loop devices are mounted");
    let tools = [
        ("mkfs.xfs", "xfsprogs"),
        ("mkfs.ext4", "e2fsprogs"),
        ("mount", "mount"),
        ("umount", "mount"),
        ("unshare", "util-linux"),
        ("cp", "coreutils"),
    ];
    for (tool, package) in tools {
        let mut which = Command::new("sh");
        which.args(["-c", &format!("command -v {tool}")]).stdout(Stdio::null()).stderr(Stdio::null());
        ensure!(which.status()?.success(), "power cuts need {tool} (package {package})");
    }
    Ok(())
}

/// Runs this command once more in a mount namespace of its own.
fn enter_namespace() -> anyhow::Result<()> {
    let this = std::env::current_exe().context("where this program lies is not known")?;
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(this)
        .args(std::env::args().skip(1))
        .env(INSIDE, "1")
        .status()
        .context("unshare cannot be started")?;
    ensure!(status.success(), "the power cuts failed");
    Ok(())
}

fn command(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// A mounted image; unmounted on drop.
struct Mount {
    at: PathBuf,
}

impl Mount {
    fn new(image: &Path, at: PathBuf) -> anyhow::Result<Mount> {
        std::fs::create_dir_all(&at)?;
        let (from, to) = (image.display().to_string(), at.display().to_string());
        command("mount", &["-o", "loop", &from, &to])?;
        Ok(Mount { at })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let at = self.at.display().to_string();
        if command("umount", &[&at]).is_err() {
            // In use by something that is about to go.
            let _ = command("umount", &["--lazy", &at]);
        }
    }
}

/// The file system that is cut, on top of the one that copies. Fields are dropped in this order.
struct Disk {
    live: Mount,
    below: Mount,
}

impl Disk {
    fn make(dir: &Path) -> anyhow::Result<Disk> {
        let sparse = |path: &Path, len: u64| -> anyhow::Result<String> {
            std::fs::File::create(path)?.set_len(len)?;
            Ok(path.display().to_string())
        };
        let xfs = sparse(&dir.join("xfs.img"), 4 << 30)?;
        command("mkfs.xfs", &["-q", "-m", "reflink=1", &xfs])?;
        let below = Mount::new(Path::new(&xfs), dir.join("xfs"))?;
        let disk = sparse(&below.at.join("disk.img"), 768 << 20)?;
        command("mkfs.ext4", &["-q", "-F", &disk])?;
        let live = Mount::new(Path::new(&disk), dir.join("live"))?;
        Ok(Disk { live, below })
    }

    /// The disk at this instant, mounted elsewhere, as after a power cut.
    fn cut(&self) -> anyhow::Result<Mount> {
        let (disk, copy) = (self.below.at.join("disk.img"), self.below.at.join("cut.img"));
        let _ = std::fs::remove_file(&copy);
        let (from, to) = (disk.display().to_string(), copy.display().to_string());
        command("cp", &["--reflink=always", &from, &to])?;
        Mount::new(&copy, self.below.at.with_file_name("cut"))
    }
}

#[derive(Debug, Default)]
struct Outcome {
    commits: u64,
    cuts_with_loss: u64,
    lost: u64,
}

fn cut_again_and_again(
    rig: &Path,
    disk: &Disk,
    cuts: u64,
    seed: u64,
    no_sync: bool,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mode = if no_sync { "none" } else { "sync" };
    let mut done = 0;
    while done < cuts {
        let name = format!("db{}", done / CUTS_PER_DATABASE);
        let database = disk.live.at.join(&name);
        let mut writer = Writer::start(rig, &database, mode, seed + done)?;
        while writer.acknowledged().is_empty() {
            writer.check_runs()?;
            std::thread::sleep(Duration::from_millis(5));
        }
        for _ in 0..CUTS_PER_DATABASE.min(cuts - done) {
            std::thread::sleep(Duration::from_millis(scatter(seed + done, 400)));
            writer.check_runs()?;
            // What was acknowledged before the copy begins must be on it.
            let acknowledged = writer.acknowledged();
            let cut = disk.cut()?;
            let lost = match rig::check(rig, &cut.at.join(&name), done) {
                Ok(found) => missing(&acknowledged, &found),
                // Without syncs anything may be missing, the files of a database too.
                Err(_) if no_sync => acknowledged.iter().sum(),
                Err(error) => return Err(error).with_context(|| format!("cut {done}")),
            };
            ensure!(
                no_sync || lost == 0,
                "cut {done}: {lost} of {acknowledged:?} acknowledged commits are lost"
            );
            outcome.lost += lost;
            outcome.cuts_with_loss += u64::from(lost > 0);
            done += 1;
            if done % 20 == 0 {
                eprintln!("{done} cuts, {} with a loss", outcome.cuts_with_loss);
            }
        }
        outcome.commits += writer.kill()?.iter().sum::<u64>();
        std::fs::remove_dir_all(&database).context("the database cannot be removed")?;
    }
    Ok(outcome)
}
