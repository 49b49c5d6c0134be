//! Tables of the storage half: figures of each engine, the best peer, and the goals.
//!
//! Ratios are of speed (or of smallness, where less is better): 2 is twice as good as the peer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What is to be reached.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// This many times as good as the best of these columns; of all peers where none is named.
    Times(f64, &'static [&'static str]),
    /// At least so much.
    Least(f64),
    /// At most so much.
    Most(f64),
}

/// One line of a table.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// Case and figure.
    pub from: (&'static str, &'static str),
    pub what: &'static str,
    pub unit: &'static str,
    /// More is better.
    pub more: bool,
    pub goals: &'static [Goal],
}

/// What came of the runs of one engine.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Figures of all runs by case and figure.
    pub figures: BTreeMap<(String, String), Vec<f64>>,
    /// The first error of a case.
    pub errors: BTreeMap<String, String>,
}

#[derive(Debug)]
pub struct Report<'a> {
    pub lines: &'a [Line],
    pub columns: &'a [&'a str],
    pub outcomes: &'a [Outcome],
}

fn is_ours(column: &str) -> bool {
    column.starts_with("cairn")
}

/// Ours that goals are for; further columns show other isolation levels.
fn is_judged(column: &str) -> bool {
    ["cairndb", "cairn-storage"].contains(&column)
}

impl Report<'_> {
    fn median(&self, column: usize, line: &Line) -> Option<f64> {
        let key = (line.from.0.to_owned(), line.from.1.to_owned());
        let mut runs = self.outcomes[column].figures.get(&key)?.clone();
        runs.sort_by(f64::total_cmp);
        runs.get(runs.len() / 2).copied()
    }

    /// How many times as good as the best of the named columns.
    fn times(&self, own: usize, line: &Line, named: &[&str]) -> Option<f64> {
        let ours = self.median(own, line)?;
        let all = self.columns.iter().enumerate();
        let peers = all.filter(|(_, column)| {
            if named.is_empty() { !is_ours(column) && **column != "bare" } else { named.contains(column) }
        });
        let figures = peers.filter_map(|(at, _)| self.median(at, line));
        let tiny = f64::MIN_POSITIVE;
        if line.more {
            figures.reduce(f64::max).map(|best| ours / best.max(tiny))
        } else {
            figures.reduce(f64::min).map(|best| best / ours.max(tiny))
        }
    }

    /// How a goal is met: the ratio or nothing, and whether it is.
    fn met(&self, own: usize, line: &Line, goal: Goal) -> Option<(Option<f64>, bool)> {
        let figure = self.median(own, line)?;
        Some(match goal {
            Goal::Times(least, named) => {
                let ratio = self.times(own, line, named)?;
                (Some(ratio), ratio >= least)
            }
            Goal::Least(least) => (None, figure >= least),
            Goal::Most(most) => (None, figure <= most),
        })
    }

    fn cell(&self, column: usize, line: &Line) -> String {
        if let Some(figure) = self.median(column, line) {
            return short(figure, line.unit.ends_with("/s"));
        }
        let error = self.outcomes[column].errors.get(line.from.0);
        error.map_or_else(|| "–".to_owned(), |error| format!("error: {}", brief(error)))
    }

    /// What the goals and the best peer give for one of ours.
    fn verdict(&self, own: usize, line: &Line) -> String {
        let mut parts: Vec<String> = Vec::new();
        for goal in line.goals {
            let Some((ratio, met)) = self.met(own, line, *goal) else { continue };
            let mark = if met { "✓" } else { "✗" };
            parts.push(ratio.map_or_else(|| mark.to_owned(), |ratio| format!("{ratio:.2} {mark}")));
        }
        if parts.is_empty() { "–".to_owned() } else { parts.join(", ") }
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let own: Vec<usize> = (0..self.columns.len()).filter(|at| is_judged(self.columns[*at])).collect();
        let mut out = "| work | unit |".to_owned();
        for column in self.columns {
            let _ = write!(out, " {column} |");
        }
        for at in &own {
            let _ = write!(out, " {} × best |", self.columns[*at]);
        }
        out += " goal |";
        for at in &own {
            let _ = write!(out, " {} reached |", self.columns[*at]);
        }
        let _ = writeln!(out, "\n|{}", "---|".repeat(3 + self.columns.len() + 2 * own.len()));
        for line in self.lines {
            let _ = write!(out, "| {} | {} |", line.what, line.unit);
            for column in 0..self.columns.len() {
                let _ = write!(out, " {} |", self.cell(column, line));
            }
            for at in &own {
                let ratio = self.times(*at, line, &[]);
                let _ =
                    write!(out, " {} |", ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")));
            }
            let _ = write!(out, " {} |", goals(line));
            for at in &own {
                let _ = write!(out, " {} |", self.verdict(*at, line));
            }
            out.push('\n');
        }
        out
    }

    /// The lines whose goals the first of ours misses.
    pub fn missed(&self) -> Vec<String> {
        let Some(own) = self.columns.iter().position(|column| is_judged(column)) else { return Vec::new() };
        let misses = |line: &&Line| {
            line.goals.iter().any(|goal| self.met(own, line, *goal).is_some_and(|(_, met)| !met))
        };
        let missed = self.lines.iter().filter(misses);
        missed.map(|line| format!("{} ({}; {})", line.what, goals(line), self.verdict(own, line))).collect()
    }

    /// Prints the table to the terminal.
    pub fn print(&self) {
        for line in self.lines {
            let mut text = format!("{:<58} {:>9}", line.what, line.unit);
            for (at, column) in self.columns.iter().enumerate() {
                let _ = write!(text, "  {column} {}", self.cell(at, line));
            }
            for (at, column) in self.columns.iter().enumerate().filter(|(_, column)| is_judged(column)) {
                let ratio = self.times(at, line, &[]).unwrap_or(f64::NAN);
                let _ = write!(text, " | {column} ×{ratio:.2} [{}]", self.verdict(at, line));
            }
            println!("{text}");
        }
    }
}

fn goals(line: &Line) -> String {
    let one = |goal: &Goal| match goal {
        Goal::Times(times, []) => format!("≥ {times} × best"),
        Goal::Times(times, named) => format!("≥ {times} × {}", named.join(", ")),
        Goal::Least(least) => format!("≥ {}", short(*least, false)),
        Goal::Most(most) => format!("≤ {most}"),
    };
    line.goals.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The beginning of an error, fit for a cell.
fn brief(error: &str) -> String {
    error.chars().map(|c| if c == '|' || c.is_control() { ' ' } else { c }).take(60).collect()
}

/// Three digits: rates as 1.23M.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(figures: &[f64]) -> Outcome {
        let figures = BTreeMap::from([(("case".to_owned(), "f".to_owned()), figures.to_vec())]);
        Outcome { figures, errors: BTreeMap::new() }
    }

    fn report_of(line: Line) -> String {
        let mut outcomes = vec![outcome(&[100.0, 90.0, 300.0]), outcome(&[50.0]), outcome(&[200.0])];
        outcomes.push(Outcome::default());
        outcomes[3].errors.insert("case".to_owned(), "no | luck".to_owned());
        let columns = ["cairndb", "rocksdb", "lmdb", "redb"];
        Report { lines: &[line], columns: &columns, outcomes: &outcomes }.markdown()
    }

    #[test]
    fn goals_compare_with_the_peers_that_they_name() {
        const GOALS: &[Goal] = &[Goal::Times(1.5, &["rocksdb"]), Goal::Times(0.77, &["lmdb"])];
        let line = Line { from: ("case", "f"), what: "w", unit: "x", more: true, goals: GOALS };
        let last = report_of(line).lines().last().unwrap_or_default().to_owned();
        let expected = "| w | x | 100 | 50.0 | 200 | error: no   luck | 0.50 | ≥ 1.5 × rocksdb; ≥ 0.77 × lmdb | 2.00 ✓, 0.50 ✗ |";
        assert_eq!(last, expected);
    }

    #[test]
    fn less_is_better_where_the_line_says_so() {
        const GOALS: &[Goal] = &[Goal::Times(1.0, &[]), Goal::Most(99.0)];
        let line = Line { from: ("case", "f"), what: "w", unit: "MiB", more: false, goals: GOALS };
        let last = report_of(line).lines().last().unwrap_or_default().to_owned();
        assert!(last.ends_with("| 0.50 | ≥ 1 × best; ≤ 99 | 0.50 ✗, ✗ |"), "{last}");
    }
}
