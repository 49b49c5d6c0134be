//! SQL work: prepared statements, loading the flights, the questions of `examples/flights`.

mod cairn;
pub mod points;
mod sqlite;

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use cairn_testkit::tpch;

use crate::Plan;
use crate::kv::Figures;
use crate::page::Table;

const PEERS: [&str; 3] = ["cairndb", "sqlite", "duckdb"];
/// The tables in the order of their loading.
pub const TABLES: [&str; 5] = ["airlines", "airports", "planes", "weather", "flights"];
/// Indexes of the example's load.sql.
pub const INDEXES: &str = "CREATE INDEX flights_tailnum_idx ON flights (tailnum);
CREATE INDEX weather_origin_time_idx ON weather (origin, year, month, day, hour);";
/// Rows of the table of the prepared statements.
pub const ROWS: i64 = 100_000;

/// Why the figures that miss a goal do, as far as profiles tell; to be looked at again with them.
const MISSES: &str = "Question 10 reads 3,322 planes and fetches 260 flights by index; its profile has no hot spot: what is \
    left is the fixed cost of a parallel plan (tasks, channels, hash tables), which SQLite's row at a time \
    does not have. Question 27 divides NUMERICs with 16 digits and more, as PostgreSQL does (a quarter of its \
    time), where SQLite divides floats. Prepared inserts take 2.6 µs a row; no goal was set and they were not \
    profiled yet.";

/// Tables and questions of an example of the repository.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// Its folder in `examples/`, and what the command line calls it (the flights: `questions`).
    pub name: &'static str,
    /// In the order of their loading.
    pub tables: &'static [&'static str],
    pub indexes: &'static str,
    /// What stands for NULL in its files.
    pub null: &'static str,
}

/// The flights and their questions.
pub const FLIGHTS: Example = Example { name: "flights", tables: &TABLES, indexes: INDEXES, null: "NA" };

/// TPC-H with the keys of its schema and the indexes of its foreign keys that queries go by.
pub const TPCH: Example = Example {
    name: "tpch",
    tables: &tpch::TABLES,
    indexes: "CREATE INDEX lineitem_partkey_idx ON lineitem (l_partkey, l_suppkey);
CREATE INDEX orders_custkey_idx ON orders (o_custkey);
CREATE INDEX partsupp_suppkey_idx ON partsupp (ps_suppkey);",
    null: "",
};

impl Example {
    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(self.name)
    }

    /// Its tables' definitions.
    pub fn schema(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder().join("schema.sql"))?)
    }

    /// Its questions, by name; in SQLite's words where it has some.
    pub fn questions(&self, sqlite: bool) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.folder().join("questions"))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if let Some(name) = name.strip_suffix(".sql").filter(|name| !name.ends_with(".sqlite")) {
                let own = path.with_file_name(format!("{name}.sqlite.sql"));
                let path = if sqlite && own.exists() { own } else { path };
                all.push((name.to_owned(), fs::read_to_string(&path)?));
            }
        }
        all.sort();
        Ok(all)
    }
}

/// Scale factor of TPC-H; in a quick run a hundredth.
fn scale(quick: bool) -> f64 {
    let given = std::env::var("TPCH_SCALE").ok().and_then(|scale| scale.parse().ok());
    given.unwrap_or(if quick { 0.01 } else { 1.0 })
}

/// What one engine's half of a case needs.
#[derive(Debug)]
pub struct Work<'a> {
    /// Where its database is made.
    pub directory: &'a Path,
    /// Plain CSV files, and the flights as .gz too.
    pub data: PathBuf,
    /// Fewer rounds.
    pub quick: bool,
}

impl Work<'_> {
    /// Rows of the insert case.
    pub fn inserts(&self) -> i64 {
        if self.quick { 1_000 } else { 5_000 }
    }

    /// Reads of the select case.
    pub fn selects(&self) -> i64 {
        if self.quick { 2_000 } else { 10_000 }
    }

    /// Rounds of each question after the first.
    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }
}

/// Runs all cases and gives their table.
pub fn run(plan: &Plan) -> Result<Table> {
    let peers: Vec<&str> = PEERS.into_iter().filter(|peer| plan.wants_peer(peer)).collect();
    let mut table = Table::new("SQL", &peers, 1);
    unpack(&data_directory(&plan.directory))?;
    let cases = [
        ("insert", "insert rows by a prepared statement, one transaction", "rows/s", None),
        ("select", "select a row by primary key, prepared statement", "reads/s", None),
        ("unprepared", "select a row by primary key, a text of its own each", "reads/s", None),
        ("load", "load flights.csv (336,776 rows of 19 columns)", "s", Some(2.0)),
        ("load_gz", "load flights.csv.gz", "s", Some(2.0)),
    ];
    for (case, description, unit, goal) in cases {
        if !plan.wants_case(case) {
            continue;
        }
        let rate = unit.ends_with("/s");
        let mut figures = vec![Vec::new(); peers.len()];
        for run in 0..plan.runs {
            for (peer, figures) in peers.iter().zip(&mut figures) {
                let measured = one(plan, peer, case, run)?;
                figures.extend(measured.get(if rate { "rate" } else { "seconds" }));
            }
        }
        let against: &[&str] = if goal.is_some() { &["duckdb"] } else { &[] };
        table.push(case, description, unit, figures, rate, goal, against);
        table.print_last();
    }
    for point in &points::POINTS {
        if plan.wants_case(point.name) {
            let figures = |peer: &&str| -> Result<Vec<f64>> {
                // DuckDB is not for this.
                let runs = if *peer == "duckdb" { 0 } else { plan.runs };
                let all = (0..runs).map(|run| one(plan, peer, point.name, run));
                all.map(|figures| Ok(figures?.get("rate").copied().unwrap_or(f64::NAN))).collect()
            };
            let figures = peers.iter().map(figures).collect::<Result<_>>()?;
            table.push(point.name, point.description, "/s", figures, true, Some(1.0), &["sqlite"]);
            table.print_last();
        }
    }
    if plan.wants_case("questions") {
        questions(plan, &FLIGHTS, "questions", &peers, &mut table)?;
        table.notes.push(MISSES.to_owned());
    }
    if plan.wants_case("tpch") {
        let data = data_directory(&plan.directory);
        for name in tpch::TABLES {
            let mut file = BufWriter::new(fs::File::create(data.join(format!("{name}.csv")))?);
            tpch::write(name, scale(plan.quick), &mut file)?;
            file.flush()?;
        }
        questions(plan, &TPCH, "tpch", &peers, &mut table)?;
        table.notes.push(format!(
            "TPC-H: scale factor {}, all keys and foreign keys of the schema, three indexes.",
            scale(plan.quick)
        ));
    }
    Ok(table)
}

fn one(plan: &Plan, peer: &str, case: &str, run: usize) -> Result<Figures> {
    let directory = plan.directory.join(peer).join(format!("sql-{case}-{run}"));
    let figures = crate::in_child("sql", peer, case, &directory, plan.quick)?;
    fs::remove_dir_all(&directory)?;
    Ok(figures)
}

/// Each engine answers all questions in one process, each question once to warm up and then three times.
fn questions(plan: &Plan, example: &Example, case: &str, peers: &[&str], table: &mut Table) -> Result<()> {
    let figures = peers.iter().map(|peer| one(plan, peer, case, 0)).collect::<Result<Vec<_>>>()?;
    let mut totals = vec![0.0; peers.len()];
    for (name, _) in example.questions(false)? {
        let rows = figures.iter().filter_map(|figures| figures.get(&format!("{name} rows")));
        let mut rows = rows.map(|rows| *rows as u64);
        let first = rows.next();
        ensure!(
            rows.all(|rows| Some(rows) == first),
            "question {name}: the engines give different numbers of rows"
        );
        let of_question: Vec<Vec<f64>> = figures
            .iter()
            .map(|figures| figures.get(&name).map(|seconds| seconds * 1e3).into_iter().collect())
            .collect();
        if of_question.iter().all(|figures| !figures.is_empty()) {
            for (total, figures) in totals.iter_mut().zip(&of_question) {
                *total += figures[0];
            }
        }
        table.push(&name, &format!("question {name}"), "ms", of_question, false, Some(1.0), &["sqlite"]);
        table.print_last();
    }
    let totals = totals.into_iter().map(|total| vec![total]).collect();
    let (name, description) = (format!("{case} total"), "all questions that all can answer");
    table.push(&name, description, "ms", totals, false, Some(1.0), &["sqlite"]);
    table.print_last();
    Ok(())
}

/// Beside the databases of all runs.
fn data_directory(base: &Path) -> PathBuf {
    base.join("data")
}

/// Copies the CSV files and unpacks the flights, once.
fn unpack(data: &Path) -> Result<()> {
    fs::create_dir_all(data)?;
    for table in &TABLES[..4] {
        let file = format!("{table}.csv");
        fs::copy(FLIGHTS.folder().join(&file), data.join(&file)).with_context(|| file)?;
    }
    let packed = FLIGHTS.folder().join("flights.csv.gz");
    fs::copy(&packed, data.join("flights.csv.gz"))?;
    let mut plain = fs::File::create(data.join("flights.csv"))?;
    std::io::copy(&mut flate2::read::MultiGzDecoder::new(fs::File::open(packed)?), &mut plain)?;
    Ok(())
}

/// One run in this process, but DuckDB's, which is Python's.
pub fn measure(peer: &str, case: &str, directory: &Path, quick: bool) -> Result<Figures> {
    let base = directory.parent().and_then(Path::parent).context("a directory two below the base")?;
    let work = Work { directory, data: data_directory(base), quick };
    fs::create_dir_all(directory)?;
    match peer {
        "cairndb" => cairn::measure(case, &work),
        "sqlite" => sqlite::measure(case, &work),
        "duckdb" => duckdb(case, &work),
        other => bail!("no engine named {other}"),
    }
}

fn duckdb(case: &str, work: &Work<'_>) -> Result<Figures> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/duckdb_peer.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(case)
        .arg(work.directory)
        .arg(if work.quick { "1" } else { "0" })
        .arg(&work.data)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("running {python}"))?;
    ensure!(
        output.status.success(),
        "duckdb {case}: {} (is `pip install -r requirements.txt` done?)",
        output.status
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The middle one.
pub fn median(mut runs: Vec<f64>) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs.get(runs.len() / 2).copied().unwrap_or(f64::NAN)
}
