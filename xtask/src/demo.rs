//! `cargo xtask demo`: the main job, as a newcomer sees it. Builds `cairn`, makes a database of the flights data in
//! `target/demo/flights.db`, asks every question of `examples/flights/questions` and compares each answer with the
//! one that DuckDB and SQLite gave.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use cairn_testkit::answers;

use crate::cargo::cargo;

/// Runs the demonstration; fails when an answer is not the expected one.
pub fn run(root: &Path) -> anyhow::Result<()> {
    cargo(root, &["build", "--package", "cairn-cli"])?;
    let cairn = binary(root)?;
    let database = root.join("target/demo/flights.db");
    if database.exists() {
        fs::remove_dir_all(&database).context("cannot remove the last demo's database")?;
    }
    fs::create_dir_all(database.parent().unwrap_or(root))?;

    let started = Instant::now();
    for script in ["schema.sql", "load.sql"] {
        run_cairn(root, &cairn, &database, &root.join("examples/flights").join(script), "csv")?;
    }
    println!(
        "loaded the flights data in {:.1} s into {}\n",
        started.elapsed().as_secs_f64(),
        database.display()
    );

    let mut wrong = Vec::new();
    let questions = answers::questions(root, "flights").context("cannot read the questions")?;
    for question in &questions {
        let text = fs::read_to_string(&question.sql)?;
        println!("{}", text.trim_end());
        let started = Instant::now();
        let shown = run_cairn(root, &cairn, &database, &question.sql, "table")?;
        println!("{}({:.0} ms with opening the database)\n", shown, started.elapsed().as_secs_f64() * 1e3);
        let got = run_cairn(root, &cairn, &database, &question.sql, "csv")?;
        if let Err(difference) = answers::compare(&fs::read_to_string(&question.answer)?, &got) {
            wrong.push(format!("{}: {difference}", question.name));
        }
    }
    ensure!(wrong.is_empty(), "{} answers are not the expected ones:\n{}", wrong.len(), wrong.join("\n"));
    println!("all {} answers are those that DuckDB and SQLite gave", questions.len());
    println!("go on with: {} {}", cairn.display(), database.display());
    Ok(())
}

fn binary(root: &Path) -> anyhow::Result<PathBuf> {
    let target = crate::cargo::target(root);
    let path = target.join("debug").join(if cfg!(windows) { "cairn.exe" } else { "cairn" });
    ensure!(path.exists(), "{} was not built", path.display());
    Ok(path)
}

fn run_cairn(
    root: &Path,
    cairn: &Path,
    database: &Path,
    script: &Path,
    format: &str,
) -> anyhow::Result<String> {
    let output = Command::new(cairn)
        .arg(database)
        .arg("-f")
        .arg(script)
        .args(["--format", format])
        .current_dir(root)
        .output()
        .with_context(|| format!("cannot start {}", cairn.display()))?;
    if !output.status.success() {
        bail!("{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
