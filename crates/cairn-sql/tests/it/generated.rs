//! Generated queries, judged without knowing the answers; `cargo xtask queries` runs more of them and beside PostgreSQL.
#![allow(clippy::disallowed_types)]

use std::time::{Duration, Instant};

use cairn_engine::Database;
use cairn_sql::{Engine, Session, SqlOptions};
use cairn_testkit::interleave;
use cairn_testkit::psql::Psql;
use cairn_testkit::queries::{self, Open, Plan, Report};
use cairn_testkit::slt::Outcome;

use crate::slt::outcome;

struct InMemory(Engine);

struct Own(Session);

impl queries::Database for InMemory {
    fn session(&self) -> Box<dyn interleave::Session> {
        Box::new(Own(self.0.session()))
    }
}

impl interleave::Session for Own {
    fn execute(&mut self, sql: &str) -> Outcome {
        outcome(&mut self.0, sql)
    }
}

fn open() -> Box<dyn queries::Database> {
    // Two partitions, wherever it runs: joins on sorted inputs are those of more than one.
    let mut options = SqlOptions::default();
    options.parallelism = 2;
    Box::new(InMemory(Engine::new(Database::in_memory().unwrap(), options).unwrap()))
}

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Until there are that many queries, or the time is over.
fn on_thread(thread: u64, threads: u64, plan: Plan<'_>, until: Option<Instant>) -> Report {
    let open: &Open<'_> = &open;
    let mut report = Report::default();
    let mut plan = Plan { seed: plan.seed + thread, ..plan };
    let conninfo = std::env::var("CAIRN_POSTGRES").ok();
    let mut peer = conninfo.map(|conninfo| Psql::start(Some(&conninfo)).expect("psql is there"));
    let wanted = plan.queries / threads;
    while report.queries < wanted && until.is_none_or(|until| Instant::now() < until) {
        let most = wanted - report.queries;
        let part = Plan { queries: most.min(1_000), ..plan };
        let peer = peer.as_mut().map(|peer| peer as &mut queries::Peer<'_>);
        report.add(queries::run(part, threads, open, peer));
        plan.seed += 1_000 * threads;
        if report.findings.len() >= plan.findings {
            break;
        }
    }
    report
}

#[test]
fn generated_queries_agree_with_themselves() {
    // Texts that findings hold which are known, between bars.
    let known = std::env::var("CAIRN_KNOWN").unwrap_or_default();
    let known: Vec<String> = known.split('|').filter(|text| !text.is_empty()).map(str::to_owned).collect();
    let plan = Plan {
        known: &known,
        seed: asked("CAIRN_SEED").unwrap_or(1),
        queries: asked("CAIRN_QUERIES").unwrap_or(100),
        findings: asked("CAIRN_FINDINGS").unwrap_or(8) as usize,
    };
    println!("CAIRN_SEED={}", plan.seed);
    let until = asked("CAIRN_MINUTES").map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
    // PostgreSQL's schema serves one.
    let threads =
        if std::env::var("CAIRN_POSTGRES").is_ok() { 1 } else { asked("CAIRN_THREADS").unwrap_or(1) };
    let mut report = Report::default();
    std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || on_thread(thread, threads, plan, until))).collect();
        for one in all {
            report.add(one.join().unwrap());
        }
    });
    println!("{}", report.figures());
    if asked("CAIRN_REASONS").is_some() {
        println!("{}", report.reasons());
    }
    assert!(report.findings.is_empty(), "{}\n{}", report.findings.join("\n"), report.figures());
    assert!(report.skipped * 2 < report.queries, "most say nothing:\n{}", report.reasons());
}
