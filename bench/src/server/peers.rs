//! The servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cairn_server::Options;
use cairndb::{Database, OpenOptions};

use super::binary;
use super::client::Client;
use crate::CACHE_BYTES;

const SESSIONS_MAX: usize = 1100;
const PORT: u16 = 5432;

/// A server that runs.
pub struct Peer {
    pub name: &'static str,
    pub user: &'static str,
    pub database: &'static str,
    /// The directory of its socket.
    pub socket: PathBuf,
    pub port: u16,
    process: Child,
}

impl Peer {
    /// Makes a database and starts its server.
    pub fn start(name: &str, directory: &Path) -> Result<Peer> {
        let directory = directory.join(name);
        fs::create_dir_all(&directory)?;
        let peer = match name {
            "cairndb" => cairndb(&directory)?,
            "postgresql" => postgresql(&directory)?,
            other => bail!("no server named {other}"),
        };
        let began = Instant::now();
        while let Err(error) = Client::connect(&peer) {
            ensure!(began.elapsed() < Duration::from_secs(30), "{name} does not start: {error}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(peer)
    }

    /// Memory that is its own, of all its processes.
    pub fn memory_kib(&self) -> Result<u64> {
        let mut total = 0;
        for process in processes(self.process.id()) {
            let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
            for line in text.lines().filter(|line| line.starts_with("Private_")) {
                total +=
                    line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        ensure!(total > 0, "no memory figures of {}", self.name);
        Ok(total)
    }

    /// Ends it.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.process.id().to_string();
        // Fast shutdown is SIGINT for PostgreSQL, for us the same as SIGTERM.
        Command::new("kill").args(["-INT", &pid]).status()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Not where it was stopped.
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
            let _ = self.process.wait();
        }
    }
}

/// A process and its children.
fn processes(parent: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let children = children.split_ascii_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(parent).chain(children.flat_map(processes)).collect()
}

/// This program as a server.
fn cairndb(directory: &Path) -> Result<Peer> {
    let script = "ulimit -n $(ulimit -H -n); exec \"$0\" \"$@\"";
    let process = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe()?)
        .arg("--serve")
        .arg(directory)
        .stdin(Stdio::null())
        .spawn()?;
    let socket = directory.to_owned();
    Ok(Peer { name: "cairndb", user: "cairn", database: "cairn", socket, port: PORT, process })
}

/// `--serve DIRECTORY`: serves a database there at a Unix socket there.
pub fn serve(directory: &Path) -> Result<()> {
    let database = Database::open_with(directory.join("db"), OpenOptions::new().cache_bytes(CACHE_BYTES))?;
    let mut options = Options::default();
    options.socket_directory = Some(directory.to_owned());
    options.socket_port = PORT;
    options.connections_max = SESSIONS_MAX;
    cairn_server::serve(database, options, |_| {})?;
    Ok(())
}

/// Debian's PostgreSQL with as much cache; it refuses to run as root and runs as the user that its package made then.
fn postgresql(directory: &Path) -> Result<Peer> {
    let data = directory.join("data");
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if is_root {
        let done = Command::new("chown").arg("postgres").arg(directory).status()?;
        ensure!(done.success(), "no user postgres: is PostgreSQL installed?");
    }
    let run = |program: &str| -> Result<Command> {
        let path = binary(program)?;
        Ok(match is_root {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(path);
                command
            }
            false => Command::new(path),
        })
    };
    let made = run("initdb")?
        .args(["-A", "trust", "-U", "postgres", "--locale=C.UTF-8", "-D"])
        .arg(&data)
        .stdout(Stdio::null())
        .status()
        .context("running initdb")?;
    ensure!(made.success(), "initdb failed");
    let mut server = run("postgres")?;
    server.arg("-D").arg(&data).arg("-k").arg(directory);
    for setting in [
        "listen_addresses=".to_owned(),
        format!("port={PORT}"),
        format!("max_connections={SESSIONS_MAX}"),
        format!("shared_buffers={}MB", CACHE_BYTES >> 20),
        "max_wal_size=4GB".to_owned(),
    ] {
        server.arg("-c").arg(setting);
    }
    let log = fs::File::create(directory.join("log"))?;
    let process = server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    let socket = directory.to_owned();
    Ok(Peer { name: "postgresql", user: "postgres", database: "postgres", socket, port: PORT, process })
}
