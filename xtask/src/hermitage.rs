//! `cargo xtask hermitage [SCRIPT …]`: the scripts of `tests/isolation` against a PostgreSQL server, so that what they
//! expect is what PostgreSQL does; then, where no script is named, histories and soaks at each level, so that the
//! expected table is what a real database shows. It needs `psql`, which finds the server by its usual variables (`PGHOST`, `PGPORT`, `PGUSER`,
//! `PGDATABASE`). The schema `cairn_hermitage` of that database is dropped and made anew for each script.

use std::path::Path;

use anyhow::{Error, ensure};
use cairn_history::{AnomalyKind, Level, Shape, Workload};
use cairn_testkit::histories::{SqlClient, expected, judge, record, unseen};
use cairn_testkit::interleave::{Conflicts, ScriptLevel, Session, run_script};
use cairn_testkit::psql::Psql;
use cairn_testkit::slt::Outcome;
use cairn_testkit::soak;

/// Commits of a history, and the sessions that make them.
const COMMITS: u64 = 2_000;
const CLIENTS: u64 = 8;

/// Runs every script at every level; fails where PostgreSQL does otherwise.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let chosen: Vec<String> = std::env::args().skip(2).collect();
    let mut steps = 0;
    let mut reports = Vec::new();
    for (name, text) in cairn_testkit::interleave::scripts(&root.join("tests/isolation"))? {
        if !chosen.is_empty() && !chosen.iter().any(|word| name.starts_with(word.as_str())) {
            continue;
        }
        for level in ScriptLevel::ALL {
            let mut setup = start()?;
            for sql in ["drop schema if exists cairn_hermitage cascade", "create schema cairn_hermitage"] {
                let outcome = setup.execute(sql);
                ensure!(matches!(outcome, Outcome::Command(_)), "{sql}: {outcome:?}");
            }
            let mut connect = || -> Box<dyn Session> { Box::new(start().expect("psql started before")) };
            match run_script(&name, &text, level, Conflicts::Wait, &mut connect) {
                Ok(judged) => steps += judged,
                Err(report) => reports.push(report),
            }
        }
    }
    ensure!(reports.is_empty(), "{}", reports.join("\n"));
    println!("{steps} steps as written");
    if chosen.is_empty() {
        ScriptLevel::ALL.into_iter().try_for_each(histories)?;
        ScriptLevel::ALL.into_iter().try_for_each(soaks)?;
    }
    Ok(())
}

/// A session in the scripts' schema.
fn start() -> anyhow::Result<Psql> {
    let mut psql = Psql::start(None)?;
    let outcome = psql.execute("set search_path = cairn_hermitage");
    ensure!(matches!(outcome, Outcome::Command(_)), "there is no server: {outcome:?}");
    Ok(psql)
}

fn open() -> Box<dyn Session> {
    Box::new(start().expect("psql started before"))
}

fn empty_schema() -> anyhow::Result<()> {
    let mut session = start()?;
    for sql in ["drop schema if exists cairn_hermitage cascade", "create schema cairn_hermitage"] {
        let outcome = session.execute(sql);
        ensure!(matches!(outcome, Outcome::Command(_)), "{sql}: {outcome:?}");
    }
    Ok(())
}

/// Random transactions of eight sessions show what the table says.
fn histories(level: ScriptLevel) -> anyhow::Result<()> {
    empty_schema()?;
    open().execute(SqlClient::SETUP);
    let workload = Workload::new(1, Shape::default());
    let history = record(&workload, COMMITS, CLIENTS, |_| SqlClient::new(open(), workload, level));
    let mut expected = expected(level);
    if level == ScriptLevel::Serializable {
        // PostgreSQL promises some serial order, not one that agrees with the clock.
        expected.keeps = Level::Serializable;
        expected.permitted = &[AnomalyKind::G2Item, AnomalyKind::G2];
    }
    let verdict = judge(level.sql(), &expected, &history).map_err(Error::msg)?;
    let line = verdict.to_string().lines().next().unwrap_or_default().to_owned();
    println!("{}: {line}", level.sql());
    let unseen = unseen(&expected, &[verdict]);
    ensure!(unseen.is_empty(), "{} never shows {unseen:?}", level.sql());
    Ok(())
}

fn soaks(level: ScriptLevel) -> anyhow::Result<()> {
    empty_schema()?;
    let bank = soak::bank(&open, level, 4, 200);
    let on_call = soak::on_call(&open, level, 4, 200);
    println!("{}: bank {bank:?}, on call {on_call:?}", level.sql());
    ensure!(bank.broken == 0, "money was made or lost");
    ensure!(level != ScriptLevel::Serializable || on_call.broken == 0, "nobody was on call");
    Ok(())
}
