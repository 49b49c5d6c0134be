//! Generated tables and queries, judged without knowing the answers (see [`cases`]) or by PostgreSQL. What fails is
//! made smaller and printed with the statements that show it.

mod cases;
mod changes;
mod check;
mod expressions;
mod forms;
mod groups;
mod outputs;
mod prepared;
mod random;
mod selects;
mod sets;
mod shrink;
mod tables;
mod tree;
mod types;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use self::cases::{Form, case, fill};
use self::check::{Bench, Verdict};
use self::expressions::Maker;
use self::random::Random;
use crate::interleave::Session;

/// A database without tables.
pub trait Database {
    /// A session of it.
    fn session(&self) -> Box<dyn Session>;
}

/// Makes databases.
pub type Open<'o> = dyn Fn() -> Box<dyn Database> + Sync + 'o;

/// A session of PostgreSQL; its schema `cairn_queries` is dropped and made anew.
pub type Peer<'p> = dyn Session + 'p;

/// Cases that one set of tables serves.
const CASES_PER_DATABASE: u64 = 100;

/// How much to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'k> {
    /// The first database's seed; the others follow.
    pub seed: u64,
    /// Cases, at least.
    pub queries: u64,
    /// Findings after which to stop.
    pub findings: usize,
    /// What findings that are known say: those that say it are counted apart.
    pub known: &'k [String],
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Cases judged: generated queries and changes.
    pub queries: u64,
    /// Of these, such that nothing can be said: an error of data, or a refusal.
    pub skipped: u64,
    /// Of these, findings that are known ([`Plan::known`]).
    pub known: u64,
    /// Statements run.
    pub statements: u64,
    /// What is wrong, ready to be read.
    pub findings: Vec<String>,
    /// Why cases were skipped, and how often.
    pub reasons: BTreeMap<String, u64>,
}

impl Report {
    /// One line of figures.
    pub fn figures(&self) -> String {
        format!(
            "{} generated queries ({} of them with an error of data or refused, {} with what is known), {} statements, {} findings",
            self.queries,
            self.skipped,
            self.known,
            self.statements,
            self.findings.len()
        )
    }

    /// Adds what another one saw.
    pub fn add(&mut self, other: Report) {
        self.queries += other.queries;
        self.skipped += other.skipped;
        self.known += other.known;
        self.statements += other.statements;
        self.findings.extend(other.findings);
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
    }

    /// The commonest reasons, one a line.
    pub fn reasons(&self) -> String {
        let mut all: Vec<(&String, &u64)> = self.reasons.iter().collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let mut text = String::new();
        for (reason, count) in all.into_iter().take(40) {
            let _ = writeln!(text, "{count:8} {reason}");
        }
        text
    }
}

/// Runs databases of the seeds from the plan's on, with `step` between them, until there are queries or findings enough.
pub fn run(plan: Plan<'_>, step: u64, open: &Open<'_>, mut peer: Option<&mut Peer<'_>>) -> Report {
    let mut report = Report::default();
    let mut seed = plan.seed;
    let mut known = Vec::new();
    while report.queries < plan.queries && report.findings.len() < plan.findings {
        one(seed, plan, open, peer.as_deref_mut(), &mut report, &mut known);
        seed += step;
    }
    report
}

/// One database and its cases.
fn one(
    seed: u64,
    plan: Plan<'_>,
    open: &Open<'_>,
    mut peer: Option<&mut Peer<'_>>,
    report: &mut Report,
    known: &mut Vec<String>,
) {
    let mut random = Random::new(seed);
    let generated = tables::Database::generate(&mut random);
    let mut setup = generated.statements;
    let asks_peer = peer.is_some();
    let mut bench = match Bench::build(open, peer.as_deref_mut(), &mut setup) {
        Ok(bench) => bench,
        Err(wrong) => {
            report.findings.push(format!("CAIRN_SEED={seed}: {wrong}"));
            return;
        }
    };
    for _ in 0..CASES_PER_DATABASE.min(plan.queries) {
        let mut maker = Maker {
            random: &mut random,
            tables: &generated.tables,
            names: 0,
            ctes: generated.views.clone(),
            subqueries: true,
        };
        let case = case(&mut maker);
        report.queries += 1;
        match bench.judge(&case) {
            Verdict::Agrees => {
                // Some changes last, so that tables do not stay as they were made; not where PostgreSQL has them too.
                if let Form::Change { change, .. } | Form::Effect { change, .. } = &case.form
                    && !asks_peer
                    && random.one_in(2)
                {
                    let change = fill(change, &case.nodes);
                    if bench.apply(&change) {
                        setup.push(change);
                    }
                }
            }
            Verdict::Skipped(state, message) => {
                report.skipped += 1;
                let short: String = message.chars().take(70).collect();
                *report.reasons.entry(format!("{state} {short}")).or_default() += 1;
            }
            Verdict::Wrong(kind, how) => {
                if let Some(said) = plan.known.iter().find(|said| kind.contains(*said) || how.contains(*said))
                {
                    report.known += 1;
                    *report.reasons.entry(format!("known: {said}")).or_default() += 1;
                    continue;
                }
                if known.contains(&kind) {
                    *report.reasons.entry(format!("finding again: {kind}")).or_default() += 1;
                    continue;
                }
                known.push(kind.clone());
                println!("CAIRN_SEED={seed}: {kind}: made smaller first\n{how}");
                report.statements += bench.statements;
                drop(bench);
                let small = shrink::smaller(open, peer.as_deref_mut(), setup, case, &kind, how);
                println!("-- made smaller:\n{small}");
                report.findings.push(format!("CAIRN_SEED={seed}: {kind}\n{small}"));
                return;
            }
        }
    }
    report.statements += bench.statements;
}
