//! Runs a case and judges it.

use std::collections::BTreeMap;

use super::cases::{Case, Form, Ways, fill};
use super::prepared::filled;
use super::{Open, Peer};
use crate::interleave::Session;
use crate::slt::Outcome;

/// Settings of the sessions that must agree; the first has none.
pub(super) const METHODS: [&[&str]; 5] = [
    &[],
    &["enable_indexscan = off", "cairn.point_path = off", "cairn.plan_cache = off"],
    &["enable_seqscan = off"],
    &["enable_hashjoin = off"],
    &["cairn.decorrelate = off"],
];

/// Numbers agree to this many digits: sums of DOUBLE PRECISION depend on their order.
const DIGITS: usize = 9;

/// A judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Agrees,
    /// Nothing can be said: SQLSTATE and message of an error that the data may cause, or a refusal.
    Skipped(String, String),
    /// What is wrong: of which kind, and how it shows.
    Wrong(String, String),
}

use Verdict::{Agrees, Skipped, Wrong};

/// What a statement with parameters is run with.
struct Given<'g> {
    types: &'g [&'static str],
    values: &'g [Vec<String>],
    sorted: bool,
    by_text: bool,
}

/// A database under test with one session for each method, and PostgreSQL beside it.
pub(super) struct Bench<'b> {
    sessions: Vec<Box<dyn Session>>,
    peer: Option<&'b mut (dyn Session + 'b)>,
    /// The methods that are tried beside the first.
    ways: Ways,
    pub(super) statements: u64,
}

impl<'b> Bench<'b> {
    /// A new database made by these statements; those that fail are left out of the list.
    pub(super) fn build(
        open: &Open<'_>,
        peer: Option<&'b mut Peer<'_>>,
        setup: &mut Vec<String>,
    ) -> Result<Bench<'b>, String> {
        let database = open();
        let mut sessions = Vec::new();
        for settings in METHODS {
            let mut session = database.session();
            for setting in settings {
                if let Outcome::Error(state, message) = session.execute(&format!("SET {setting}")) {
                    return Err(format!("SET {setting}: {state} {message}"));
                }
            }
            sessions.push(session);
        }
        let mut peer = peer.map(|peer| peer as &mut (dyn Session + 'b));
        if let Some(peer) = &mut peer {
            for sql in [
                "DROP SCHEMA IF EXISTS cairn_queries CASCADE",
                "CREATE SCHEMA cairn_queries",
                "SET search_path = cairn_queries",
            ] {
                peer.execute(sql);
            }
        }
        let mut wrong = None;
        setup.retain(|sql| {
            let own = sessions[0].execute(sql);
            if let Outcome::Error(state, message) = &own {
                if is_internal(state) {
                    wrong = Some(format!("{sql}: {state} {message}"));
                }
                return false;
            }
            let Some(peer) = &mut peer else { return true };
            let Outcome::Error(state, message) = peer.execute(sql) else { return true };
            // What PostgreSQL refuses is in neither, as an index may keep rows out.
            let mut words = sql.split_whitespace().skip_while(|word| !matches!(*word, "INDEX" | "VIEW"));
            match (words.next(), words.next()) {
                (Some(kind), Some(name)) => {
                    sessions[0].execute(&format!("DROP {kind} IF EXISTS {name}"));
                }
                _ => wrong = Some(format!("PostgreSQL refuses {sql}: {state} {message}")),
            }
            false
        });
        match wrong {
            Some(wrong) => Err(wrong),
            None => Ok(Bench { sessions, peer, ways: &[1], statements: setup.len() as u64 }),
        }
    }

    fn run(&mut self, method: usize, sql: &str) -> Outcome {
        self.statements += 1;
        self.sessions[method].execute(sql)
    }

    /// Judges a case.
    pub(super) fn judge(&mut self, case: &Case) -> Verdict {
        self.ways = case.ways;
        match &case.form {
            Form::Methods { sorted } => self.methods(&fill("{0}", &case.nodes), *sorted),
            Form::Pair { name, left, right } => {
                self.pair(name, &fill(left, &case.nodes), &fill(right, &case.nodes))
            }
            Form::Change { name, change, foretold, table } => {
                self.change(name, &fill(change, &case.nodes), &fill(foretold, &case.nodes), table)
            }
            Form::Effect { change, table } => self.effect(&fill(change, &case.nodes), table),
            Form::Prepared { types, values, sorted, by_text } => {
                let given = Given { types, values, sorted: *sorted, by_text: *by_text };
                self.prepared(&fill("{0}", &case.nodes), &given)
            }
        }
    }

    fn methods(&mut self, sql: &str, sorted: bool) -> Verdict {
        let first = match answer(self.run(0, sql), sorted) {
            Ok(rows) => rows,
            Err(verdict) => return self.beside(sql, Err(verdict), sorted),
        };
        for method in self.ways.iter().copied() {
            match answer(self.run(method, sql), sorted) {
                Ok(rows) if rows == first => {}
                Ok(rows) => {
                    let how = METHODS[method].join(", ");
                    return Wrong(format!("differs: {how}"), format!("{sql}\n{}", difference(&first, &rows)));
                }
                Err(Skipped(state, _)) if is_of_data(&state) => {}
                Err(Skipped(state, message)) => {
                    let how = METHODS[method].join(", ");
                    return Wrong(format!("fails: {how}"), format!("{sql}\n{state} {message}"));
                }
                Err(verdict) => return verdict,
            }
        }
        self.beside(sql, Ok(first), sorted)
    }

    /// What PostgreSQL says to it, if it is asked.
    fn beside(&mut self, sql: &str, own: Result<Vec<String>, Verdict>, sorted: bool) -> Verdict {
        let verdict = own.as_ref().err().cloned().unwrap_or(Agrees);
        if let Wrong(kind, message) = verdict {
            return Wrong(kind, format!("{sql}\n{message}"));
        }
        let Some(peer) = &mut self.peer else { return verdict };
        let there = answer(peer.execute(sql), sorted);
        compared(sql, own, there)
    }

    fn pair(&mut self, name: &str, left: &str, right: &str) -> Verdict {
        let one = match answer(self.run(0, left), false) {
            Ok(rows) => rows,
            Err(verdict) => return self.beside(left, Err(verdict), false),
        };
        match answer(self.run(0, right), false) {
            Ok(rows) if rows == one => self.beside(left, Ok(one), false),
            Ok(rows) => Wrong(name.to_owned(), format!("{left};\n{right}\n{}", difference(&one, &rows))),
            Err(verdict) => self.beside(right, Err(verdict), false),
        }
    }

    /// Runs the change in a block of two sessions, and foretells its state there.
    fn change(&mut self, name: &str, change: &str, foretold: &str, table: &str) -> Verdict {
        let state = format!("SELECT * FROM {table}");
        for method in [0, self.ways[0]] {
            self.run(method, "BEGIN");
            let verdict = self.changed(method, name, change, foretold, &state);
            self.run(method, "ROLLBACK");
            if verdict != Agrees {
                return verdict;
            }
        }
        Agrees
    }

    /// Runs the change in a block of each session: what it returns and leaves must be the same.
    fn effect(&mut self, change: &str, table: &str) -> Verdict {
        let state = format!("SELECT * FROM {table}");
        let mut first: Option<Result<Vec<String>, Verdict>> = None;
        for method in [0, self.ways[0]] {
            self.run(method, "BEGIN");
            let outcome = answer(self.run(method, change), false);
            let outcome = outcome.and_then(|returned| {
                let left = answer(self.run(method, &state), false)?;
                Ok(returned.into_iter().chain(["then".to_owned()]).chain(left).collect::<Vec<_>>())
            });
            self.run(method, "ROLLBACK");
            let how = METHODS[method].join(", ");
            match (&first, outcome) {
                (_, Err(Wrong(kind, text))) => return Wrong(kind, format!("{change}\n{text}")),
                (None, outcome) => first = Some(outcome),
                (Some(Ok(one)), Ok(other)) if *one != other => {
                    let text = format!("{change}\n{}", difference(one, &other));
                    return Wrong(format!("effect differs: {how}"), text);
                }
                (Some(Ok(_)), Err(Skipped(state, message))) if !is_of_data(&state) => {
                    return Wrong(format!("change fails: {how}"), format!("{change}\n{state} {message}"));
                }
                _ => {}
            }
        }
        let own = first.unwrap_or_else(|| Ok(Vec::new()));
        let verdict = own.as_ref().err().cloned().unwrap_or(Agrees);
        let Some(peer) = &mut self.peer else { return verdict };
        peer.execute("BEGIN");
        let there = answer(peer.execute(change), false).and_then(|returned| {
            let left = answer(peer.execute(&state), false)?;
            Ok(returned.into_iter().chain(["then".to_owned()]).chain(left).collect::<Vec<_>>())
        });
        peer.execute("ROLLBACK");
        compared(change, own, there)
    }

    /// Runs the statement for each row of values, from its kept plan and with the values in its text.
    fn prepared(&mut self, sql: &str, given: &Given<'_>) -> Verdict {
        let named = format!("PREPARE q({}) AS {sql}", given.types.join(", "));
        if !given.by_text
            && let Err(verdict) = answer(self.run(0, &named), false)
        {
            let plain = filled(sql, given.types, &given.values[0], true);
            return match (verdict, answer(self.run(1, &plain), false)) {
                (Skipped(state, message), Ok(_)) if !is_of_data(&state) => Wrong(
                    format!("PREPARE fails: {}", signature(&message)),
                    format!("{named}\n{state} {message}"),
                ),
                (Wrong(kind, message), _) => Wrong(kind, format!("{named}\n{message}")),
                (verdict, _) => verdict,
            };
        }
        let verdict = self.executed(sql, &named, given);
        if !given.by_text {
            self.run(0, "DEALLOCATE q");
        }
        verdict
    }

    fn executed(&mut self, sql: &str, named: &str, given: &Given<'_>) -> Verdict {
        let mut first = None;
        for values in given.values {
            let plain = filled(sql, given.types, values, true);
            let run = match given.by_text {
                true => filled(sql, given.types, values, false),
                false => format!("EXECUTE q({})", values.join(", ")),
            };
            let expected = answer(self.run(1, &plain), given.sorted);
            let own = answer(self.run(0, &run), given.sorted);
            let text = |how: &str| match given.by_text {
                true => format!("{plain};\n{run}\n{how}"),
                false => format!("{named};\n{plain};\n{run}\n{how}"),
            };
            match (&expected, own) {
                (Ok(expected), Ok(own)) if *expected != own => {
                    let kind = if given.by_text { "literals differ" } else { "parameters differ" };
                    return Wrong(kind.to_owned(), text(&difference(expected, &own)));
                }
                (_, Err(Wrong(kind, how))) => return Wrong(kind, text(&how)),
                (Err(Wrong(kind, how)), _) => return Wrong(kind.clone(), text(how)),
                (Ok(_), Err(Skipped(state, how))) if !is_of_data(&state) && !given.by_text => {
                    return Wrong(
                        format!("EXECUTE fails: {}", signature(&how)),
                        text(&format!("{state} {how}")),
                    );
                }
                _ => {}
            }
            first.get_or_insert((plain, expected));
        }
        match first {
            Some((plain, expected)) => self.beside(&plain, expected, given.sorted),
            None => Agrees,
        }
    }

    fn changed(&mut self, method: usize, name: &str, change: &str, foretold: &str, state: &str) -> Verdict {
        let expected = match answer(self.run(method, foretold), false) {
            Ok(rows) => rows,
            Err(verdict) => return verdict,
        };
        if let Outcome::Error(state, message) = self.run(method, change) {
            return judged_error(state, message);
        }
        let wrong = |how: &str, there: &[String]| {
            Wrong(format!("{name}{how}"), format!("{foretold};\n{change}\n{}", difference(&expected, there)))
        };
        let other =
            if method == 0 { "SET LOCAL enable_indexscan = off" } else { "SET LOCAL enable_seqscan = off" };
        for settings in ["", other] {
            if !settings.is_empty() {
                self.run(method, settings);
            }
            match answer(self.run(method, state), false) {
                Ok(rows) if rows == expected => {}
                Ok(rows) => return wrong(settings, &rows),
                Err(verdict) => return verdict,
            }
        }
        Agrees
    }

    /// Makes a change last; false where it failed.
    pub(super) fn apply(&mut self, change: &str) -> bool {
        !matches!(self.run(0, change), Outcome::Error(..))
    }
}

/// What is said here held against what PostgreSQL says.
fn compared(sql: &str, own: Result<Vec<String>, Verdict>, there: Result<Vec<String>, Verdict>) -> Verdict {
    match (own, there) {
        (Ok(own), Ok(there)) if own == there => Agrees,
        (Ok(own), Ok(there)) => {
            Wrong("PostgreSQL differs".to_owned(), format!("{sql}\n{}", difference(&there, &own)))
        }
        (Err(Skipped(state, message)), Ok(_)) if !is_of_data(&state) && state != "0A000" => {
            Wrong(format!("PostgreSQL answers: {}", signature(&message)), format!("{sql}\n{state} {message}"))
        }
        (Ok(_), Err(Skipped(state, message))) if state.starts_with("42") => {
            Wrong(format!("PostgreSQL refuses: {}", signature(&message)), format!("{sql}\n{state} {message}"))
        }
        (Ok(_), Err(Skipped(state, message))) => Skipped(state, message),
        (Err(verdict), _) => verdict,
        (_, Err(verdict)) => verdict,
    }
}

/// Errors that depend on the data and on what is evaluated first.
fn is_of_data(state: &str) -> bool {
    ["21", "22", "23"].iter().any(|class| state.starts_with(class))
}

fn is_internal(state: &str) -> bool {
    !is_of_data(state) && !["0A", "42", "54"].iter().any(|class| state.starts_with(class))
}

fn judged_error(state: String, message: String) -> Verdict {
    match is_internal(&state) {
        true => Wrong(format!("{state} {}", signature(&message)), message),
        false => Skipped(state, message),
    }
}

/// A message without what is special to one statement.
fn signature(message: &str) -> String {
    message.chars().filter(|c| !c.is_ascii_digit()).take(60).collect()
}

/// The rows as lines, in the order given where they are sorted.
fn answer(outcome: Outcome, sorted: bool) -> Result<Vec<String>, Verdict> {
    match outcome {
        Outcome::Rows(rows) => {
            let line = |row: &Vec<Option<String>>| {
                row.iter()
                    .map(|cell| cell.as_deref().map_or("NULL".to_owned(), normal))
                    .collect::<Vec<_>>()
                    .join(" | ")
            };
            let mut lines: Vec<String> = rows.iter().map(line).collect();
            if !sorted {
                lines.sort();
            }
            Ok(lines)
        }
        Outcome::Command(rows) => Ok(vec![rows.to_string()]),
        Outcome::Error(state, message) => Err(judged_error(state, message)),
    }
}

/// One text for what is equal: numbers by value, neither zero with a sign.
fn normal(cell: &str) -> String {
    let numeric = cell.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    match cell.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => {
            let number = if number == 0.0 { 0.0 } else { number };
            format!("{number:.DIGITS$e}")
        }
        _ => cell.to_owned(),
    }
}

fn difference(one: &[String], other: &[String]) -> String {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    one.iter().for_each(|line| *counts.entry(line).or_default() += 1);
    other.iter().for_each(|line| *counts.entry(line).or_default() -= 1);
    let some = |sign: i64| -> String {
        let lines: Vec<String> = counts
            .iter()
            .filter(|(_, count)| **count * sign > 0)
            .take(4)
            .map(|(line, count)| format!("  {}x {line}", count.abs()))
            .collect();
        lines.join("\n")
    };
    format!(
        "{} rows and {}; only in the first:\n{}\nonly in the second:\n{}",
        one.len(),
        other.len(),
        some(1),
        some(-1)
    )
}
