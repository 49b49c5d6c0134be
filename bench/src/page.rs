//! Tables of figures, on the terminal and in `docs/benchmarks.md`.
//!
//! The page has one part for each half, and for each suite of the storage half, between marks, so that one can be
//! measured again alone.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::CACHE_BYTES;

/// The parts of the page that this run measured.
#[derive(Debug, Default)]
pub struct Sections {
    /// Key-value work.
    pub kv: Option<Table>,
    /// SQL work.
    pub sql: Option<Table>,
    /// Work of the server.
    pub server: Option<Table>,
}

/// Figures of several engines, ours in the first columns.
#[derive(Debug)]
pub struct Table {
    title: &'static str,
    peers: Vec<String>,
    /// How many of the first peers are ours.
    own: usize,
    rows: Vec<Row>,
    /// Further paragraphs under the table.
    pub notes: Vec<String>,
}

#[derive(Debug)]
struct Row {
    case: String,
    description: String,
    unit: String,
    /// Median of each peer.
    medians: Vec<Option<f64>>,
    /// More is better.
    rate: bool,
    /// The ratio to the best other that is to be reached.
    goal: Option<f64>,
    /// The peers that the goal speaks of; all others where empty.
    against: Vec<String>,
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

impl Table {
    /// A table of `peers`, of which the first that begin with `cairn` are ours.
    pub fn new(title: &'static str, peers: &[&str], own_max: usize) -> Self {
        let own = peers.iter().take(own_max).filter(|peer| peer.starts_with("cairn")).count();
        Self {
            title,
            peers: peers.iter().map(|peer| (*peer).to_owned()).collect(),
            own,
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a row of rates (more is better) with the goal of the key-value half.
    pub fn push_rates(&mut self, case: &str, description: &str, unit: &str, figures: Vec<Vec<f64>>) {
        self.push(case, description, unit, figures, true, Some(2.0), &[]);
    }

    /// Adds a row; `figures` are the runs of each peer.
    #[allow(clippy::too_many_arguments)]
    pub fn push(
        &mut self,
        case: &str,
        description: &str,
        unit: &str,
        figures: Vec<Vec<f64>>,
        rate: bool,
        goal: Option<f64>,
        against: &[&str],
    ) {
        self.rows.push(Row {
            case: case.to_owned(),
            description: description.to_owned(),
            unit: unit.to_owned(),
            medians: figures.into_iter().map(median).collect(),
            rate,
            goal,
            against: against.iter().map(|peer| (*peer).to_owned()).collect(),
        });
    }

    /// How many times slower ours (column `own`) is than the best of the others.
    fn ratio(&self, row: &Row, own: usize) -> Option<f64> {
        let ours = row.medians.get(own).copied().flatten()?;
        let others = row
            .medians
            .iter()
            .enumerate()
            .skip(self.own)
            .filter(|(i, _)| row.against.is_empty() || row.against.contains(&self.peers[*i]));
        let others = others.filter_map(|(_, figure)| *figure);
        if row.rate {
            others.reduce(f64::max).map(|best| best / ours)
        } else {
            others.reduce(f64::min).map(|best| ours / best)
        }
    }

    /// Prints the last row to the terminal.
    pub fn print_last(&self) {
        let Some(row) = self.rows.last() else { return };
        let mut line = format!("{:<24}", row.case);
        for (peer, figure) in self.peers.iter().zip(&row.medians) {
            let _ = write!(line, " {peer} {}", figure.map_or_else(|| "-".to_owned(), |f| short(f, row.rate)));
        }
        for own in 0..self.own {
            if let Some(ratio) = self.ratio(row, own) {
                let _ = write!(line, " | {} ×{ratio:.2}{}", self.peers[own], missed(row, ratio));
            }
        }
        println!("{line} ({})", row.unit);
    }

    /// The table in Markdown, and what misses its goal.
    fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = write!(out, "| work | unit |");
        for peer in &self.peers {
            let _ = write!(out, " {peer} |");
        }
        for own in &self.peers[..self.own] {
            let _ = write!(out, " {own} × best |");
        }
        let columns = 2 + self.peers.len() + self.own;
        let _ = writeln!(out, "\n|{}", "---|".repeat(columns));
        let mut misses = Vec::new();
        for row in &self.rows {
            let _ = write!(out, "| {} | {} |", row.description, row.unit);
            for figure in &row.medians {
                let _ = write!(out, " {} |", figure.map_or_else(|| "–".to_owned(), |f| short(f, row.rate)));
            }
            for own in 0..self.own {
                let ratio = self.ratio(row, own);
                let text =
                    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}{}", missed(row, ratio)));
                let _ = write!(out, " {text} |");
                if own == 0
                    && let Some(ratio) = ratio.filter(|ratio| row.goal.is_some_and(|goal| *ratio > goal))
                {
                    let goal = row.goal.unwrap_or_default();
                    misses.push(format!("{} ({ratio:.2}, goal {goal:.1})", row.description));
                }
            }
            out.push('\n');
        }
        let _ = match misses.as_slice() {
            [] => writeln!(out, "\nEvery {} goal is reached.", self.title),
            _ => writeln!(out, "\nGoals missed: {}.", misses.join("; ")),
        };
        for note in &self.notes {
            let _ = writeln!(out, "\n{note}");
        }
        out
    }
}

fn missed(row: &Row, ratio: f64) -> &'static str {
    if row.goal.is_some_and(|goal| ratio > goal) { " ✗" } else { "" }
}

/// Three digits: rates as 1.23M, times in seconds or milliseconds.
fn short(figure: f64, rate: bool) -> String {
    match figure {
        f if rate && f >= 1e6 => format!("{:.2}M", f / 1e6),
        f if rate && f >= 1e4 => format!("{:.0}k", f / 1e3),
        f if rate && f >= 1e3 => format!("{:.1}k", f / 1e3),
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
}

fn page_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md")
}

/// Writes the measured parts into the page; the other part stays.
pub fn write(sections: &Sections) -> Result<()> {
    let mut page = old_page();
    let parts = [
        ("kv", "Key-value work", &sections.kv, KV_SETTINGS),
        ("sql", "SQL work", &sections.sql, SQL_SETTINGS),
        ("server", "Server work", &sections.server, SERVER_SETTINGS),
    ];
    for (mark, title, table, settings) in parts {
        if let Some(table) = table {
            put_part(
                &mut page,
                mark,
                &format!("\n## {title}\n\n{}\n\n{settings}\n\n{}", machine(), table.markdown()),
            );
        }
    }
    std::fs::write(page_path(), page)?;
    println!("wrote docs/benchmarks.md");
    Ok(())
}

/// The page as it stands, under the newest introduction.
fn old_page() -> String {
    let old = std::fs::read_to_string(page_path()).unwrap_or_default();
    let parts = old.find("<!-- ").map_or("", |at| &old[at..]);
    format!("{INTRODUCTION}\n{parts}")
}

const INTRODUCTION: &str = "# Benchmarks

Written by `bench/` (`cargo run --release` there). Each engine runs in a process of its own; every figure is the median of three runs, which \
take turns. ✗ misses the goal. In the key-value and SQL parts `× best` is how many times slower than the best of the others, in the storage \
part how many times as good. Figures of different days or machines cannot be compared.
";

const KV_SETTINGS: &str = "Keys of 16 bytes, values of 100 (half of them random). Every engine has 256 MiB of cache and makes every \
transaction durable before it returns: CairnDB `SyncMode::Sync`, SQLite WAL with `synchronous = FULL`, redb `Durability::Immediate`, fjall \
`PersistMode::SyncData`. All else is the default. Reads and ranges run in one thread from one snapshot, after as many reads to warm up, on data \
loaded in key order in transactions of 10,000 rows, flushed and reopened. `cairndb` is the public API, `cairn-storage` the storage engine below it. \
Goal: not more than 2 times slower than the best.";

const SQL_SETTINGS: &str = "The flights data of `examples/flights`, plain CSV files. SQLite: WAL, `synchronous = FULL`, 256 MiB of cache, CSV read \
by the harness and inserted with a prepared statement in one transaction. DuckDB: its Python package, on disk, default settings. CairnDB: \
256 MiB of cache, all else default. Goals: loading within 2 times of DuckDB, no question slower than SQLite.";

const SERVER_SETTINGS: &str = "Each server with one client program (pgbench with as many threads as it has clients, two at most; a client of the \
harness for rows), on the same cores, over a Unix socket. Both make each transaction durable before they answer. PostgreSQL: Debian's, \
`shared_buffers` 256 MB, `max_wal_size` 4 GB, all else default. CairnDB: 256 MiB of cache, all else default. pgbench: scale 10, 10 s a run. Goal: no \
slower, and no longer waits.";

/// A part of the page that is written alone.
#[cfg(feature = "storage")]
#[derive(Debug)]
pub struct Section {
    pub name: &'static str,
    pub markdown: String,
}

/// Writes one suite of the storage half into the page, and what stands above all of them; all else stays. `all`
/// are the names and titles of the suites: those that were not measured yet get their place too.
#[cfg(feature = "storage")]
pub fn write_storage(introduction: &str, all: &[(&str, &str)], section: &Section) -> Result<()> {
    let mut page = old_page();
    let text = format!("\n## Storage work\n\n{}\n\n{introduction}\n", machine());
    put_part(&mut page, "storage", &text);
    for (name, title) in all {
        let mark = format!("storage {name}");
        if *name == section.name {
            put_part(&mut page, &mark, &section.markdown);
        } else if !page.contains(&format!("<!-- {mark} -->")) {
            put_part(&mut page, &mark, &format!("\n### {title}\n\nNot measured yet.\n"));
        }
    }
    std::fs::write(page_path(), page)?;
    println!("wrote {} to docs/benchmarks.md", section.name);
    Ok(())
}

/// Replaces what stands between the marks of a part; a new part comes to the end.
fn put_part(page: &mut String, mark: &str, text: &str) {
    let (begin, end) = (format!("<!-- {mark} -->"), format!("<!-- end of {mark} -->"));
    let place = page.find(&begin).zip(page.find(&end)).filter(|(from, to)| from < to);
    match place {
        Some((from, to)) => page.replace_range(from + begin.len()..to, text),
        None => {
            let _ = write!(page, "\n{begin}{text}{end}\n");
        }
    }
}

/// The date.
#[cfg(feature = "storage")]
pub fn today() -> String {
    first("date", &["-u", "+%Y-%m-%d"])
}

/// What a program prints, without white space around.
fn first(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}

/// The machine, the date and the versions.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory.split_ascii_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let at = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map_or("", |(_, rest)| rest);
        at.split('"').next().unwrap_or_default().to_owned()
    };
    format!(
        "Measured {} on {cores} cores of {model}, {} GiB of memory, {}; {} SQLite {} (rusqlite {}), redb {}, fjall {}, DuckDB {}; cache {} MiB.",
        first("date", &["-u", "+%Y-%m-%d"]),
        kib >> 20,
        first("uname", &["-sr"]),
        first("rustc", &["--version"]).split(' ').take(2).collect::<Vec<_>>().join(" ") + ",",
        rusqlite::version(),
        version("rusqlite"),
        version("redb"),
        version("fjall"),
        include_str!("../requirements.txt").trim().trim_start_matches("duckdb=="),
        CACHE_BYTES >> 20,
    )
}

#[cfg(test)]
mod tests {
    use super::put_part;

    #[test]
    fn a_part_is_replaced_alone() {
        let mut page = "# Title\n".to_owned();
        put_part(&mut page, "storage", "one");
        put_part(&mut page, "storage load", "two");
        put_part(&mut page, "storage", "three");
        let expected = "# Title\n\n<!-- storage -->three<!-- end of storage -->\n\n\
                        <!-- storage load -->two<!-- end of storage load -->\n";
        assert_eq!(page, expected);
    }
}
