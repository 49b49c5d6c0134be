//! The server beside PostgreSQL: pgbench's scripts, COPY, a large result, many clients, over Unix sockets.
//!
//! Both servers run for the whole part, each as a process of its own (ours is this binary with `--serve`), and take turns.

mod client;
mod peers;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use self::client::Client;
use self::peers::Peer;
pub use self::peers::serve;
use crate::Plan;
use crate::page::Table;

/// What pgbench is told for each of its cases.
const SCRIPTS: [(&str, &[&str]); 2] = [("select-only", &["-S"]), ("tpcb-like", &[])];
const PROTOCOLS: [&str; 2] = ["simple", "prepared"];
const CLIENTS: [usize; 3] = [1, 8, 64];
const MANY_CLIENTS: usize = 1000;
/// How long they have to connect, besides.
const MANY_CLIENTS_SECONDS: u64 = 10;
/// Sessions that do nothing.
const IDLE: usize = 500;

/// How much is done.
struct Size {
    /// Of pgbench: 100,000 accounts each.
    scale: usize,
    seconds: u64,
    /// Of the table that is copied and read.
    rows: u64,
}

/// Runs all cases and gives their table.
pub fn run(plan: &Plan) -> Result<Table> {
    let size = match plan.quick {
        true => Size { scale: 1, seconds: 2, rows: 100_000 },
        false => Size { scale: 10, seconds: 10, rows: 10_000_000 },
    };
    let names: Vec<&str> =
        ["cairndb", "postgresql"].into_iter().filter(|name| plan.wants_peer(name)).collect();
    let mut table = Table::new("server", &names, 1);
    let peers = names.iter().map(|name| Peer::start(name, &plan.directory)).collect::<Result<Vec<_>>>()?;
    // First: later sessions take what work has left.
    if wants(plan, "idle") {
        let memory = |peer: &Peer| -> Result<Vec<f64>> { Ok(vec![idle(peer)?]) };
        let figures = peers.iter().map(memory).collect::<Result<_>>()?;
        let description = format!("memory of each of {IDLE} idle sessions, resident and not shared");
        table.push("idle", &description, "KiB", figures, false, None, &[]);
        table.print_last();
    }
    if wants(plan, "pgbench") {
        for peer in &peers {
            let scale = size.scale.to_string();
            command(peer, "pgbench", &["-i", "-q", "-s", &scale])?;
        }
        for protocol in PROTOCOLS {
            for (script, arguments) in SCRIPTS {
                for clients in CLIENTS {
                    let name = format!("pgbench {script} {protocol} {clients}");
                    pgbench(plan, &size, &peers, &mut table, &name, arguments, protocol, clients)?;
                }
            }
        }
        let name = format!("pgbench select-only prepared {MANY_CLIENTS}");
        pgbench(plan, &size, &peers, &mut table, &name, &["-S"], "prepared", MANY_CLIENTS)?;
    }
    if wants(plan, "rows") {
        rows(plan, &size, &peers, &mut table)?;
    }
    for peer in peers {
        peer.stop()?;
    }
    Ok(table)
}

fn wants(plan: &Plan, group: &str) -> bool {
    plan.cases.is_empty() || plan.cases.iter().any(|case| case.starts_with(group))
}

#[allow(clippy::too_many_arguments)]
fn pgbench(
    plan: &Plan,
    size: &Size,
    peers: &[Peer],
    table: &mut Table,
    name: &str,
    arguments: &[&str],
    protocol: &str,
    clients: usize,
) -> Result<()> {
    if !plan.wants_case(name) {
        return Ok(());
    }
    let mut rates = vec![Vec::new(); peers.len()];
    let mut latencies = vec![Vec::new(); peers.len()];
    // pgbench's time begins before its clients are connected.
    let connecting = if clients == MANY_CLIENTS { MANY_CLIENTS_SECONDS } else { 0 };
    let (seconds, count, threads) =
        ((size.seconds + connecting).to_string(), clients.to_string(), clients.min(2).to_string());
    for _ in 0..plan.runs {
        for (at, peer) in peers.iter().enumerate() {
            let log = plan.directory.join("pgbench_log");
            let mut all = vec!["-n", "-M", protocol, "-c", &count, "-j", &threads, "-T", &seconds, "-l"];
            let prefix = format!("--log-prefix={}", log.display());
            all.push(&prefix);
            all.extend(arguments);
            let output = command(peer, "pgbench", &all)?;
            let rate = output.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
            let rate = rate.with_context(|| format!("{name}: {} names no rate: {output}", peer.name))?;
            rates[at].push(rate.parse()?);
            latencies[at].push(slowest_hundredth(&plan.directory)?);
        }
    }
    table.push(name, name, "/s", rates, true, Some(1.0), &[]);
    table.print_last();
    table.push(name, &format!("{name}: 99th percentile"), "ms", latencies, false, Some(1.0), &[]);
    table.print_last();
    Ok(())
}

/// The 99th percentile of the latencies in pgbench's logs, in milliseconds; removes the logs.
fn slowest_hundredth(directory: &Path) -> Result<f64> {
    let mut latencies: Vec<u64> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pgbench_log.")) {
            let text = fs::read_to_string(&path)?;
            latencies.extend(text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()));
            fs::remove_file(path)?;
        }
    }
    latencies.sort_unstable();
    let at = latencies.len() * 99 / 100;
    Ok(latencies.get(at).map_or(f64::NAN, |us| *us as f64 / 1e3))
}

/// A table of two columns, copied in, read and copied out.
fn rows(plan: &Plan, size: &Size, peers: &[Peer], table: &mut Table) -> Result<()> {
    let file = plan.directory.join("rows.tsv");
    {
        use std::io::Write;
        let mut out = std::io::BufWriter::new(File::create(&file)?);
        for n in 0..size.rows {
            writeln!(out, "{n}\trow {n} of the table")?;
        }
        out.flush()?;
    }
    let mut took = vec![[const { Vec::new() }; 3]; peers.len()];
    for _ in 0..plan.runs {
        for (peer, took) in peers.iter().zip(&mut took) {
            let mut client = Client::connect(peer)?;
            client.run("DROP TABLE IF EXISTS big")?;
            client.run("CREATE TABLE big(n bigint PRIMARY KEY, t text)")?;
            let began = Instant::now();
            client.copy_in("COPY big FROM STDIN", &mut File::open(&file)?)?;
            took[0].push(size.rows as f64 / began.elapsed().as_secs_f64());
            let began = Instant::now();
            let read = client.run("SELECT n, t FROM big")?;
            took[1].push(size.rows as f64 / began.elapsed().as_secs_f64());
            ensure!(read == size.rows, "{}: {read} rows of {}", peer.name, size.rows);
            let began = Instant::now();
            let read = client.run("COPY big TO STDOUT")?;
            took[2].push(size.rows as f64 / began.elapsed().as_secs_f64());
            ensure!(read == size.rows, "{}: {read} rows of {}", peer.name, size.rows);
        }
    }
    fs::remove_file(file)?;
    let cases = [("rows in", "COPY FROM STDIN"), ("rows select", "SELECT"), ("rows out", "COPY TO STDOUT")];
    for (at, (name, what)) in cases.into_iter().enumerate() {
        let figures = took.iter().map(|took| took[at].clone()).collect();
        table.push(name, &format!("{what} of {} rows", size.rows), "rows/s", figures, true, Some(1.0), &[]);
        table.print_last();
    }
    Ok(())
}

/// KiB for each of many sessions that have run a statement.
fn idle(peer: &Peer) -> Result<f64> {
    let before = peer.memory_kib()?;
    let mut clients = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        let mut client = Client::connect(peer)?;
        client.run("SELECT 1")?;
        clients.push(client);
    }
    Ok((peer.memory_kib()?.saturating_sub(before)) as f64 / IDLE as f64)
}

/// Runs one of PostgreSQL's programs against a peer; what it prints.
fn command(peer: &Peer, program: &str, arguments: &[&str]) -> Result<String> {
    // A thousand clients are as many files.
    let script = "ulimit -n $(ulimit -H -n); exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(binary(program)?)
        .args(["-h", &peer.socket.display().to_string(), "-p", &peer.port.to_string(), "-U", peer.user])
        .args(arguments)
        .arg(peer.database)
        .env("PGCONNECT_TIMEOUT", "30")
        .stdin(Stdio::null())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{program} {arguments:?} against {}: {errors}", peer.name);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program of PostgreSQL is: the newest of Debian's, or in PATH.
fn binary(program: &str) -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        versions.map(|entry| entry.path().join("bin").join(program)).filter(|path| path.exists()).collect();
    found.sort();
    Ok(found.pop().unwrap_or_else(|| program.into()))
}
