//! Makes a finding smaller: first its statement, then the statements that make its tables, then its statement again.

use super::cases::Case;
use super::check::{Bench, Verdict};
use super::{Open, Peer};

/// Cases tried for one statement, at most.
const TRIES_MAX: usize = 600;

/// The smallest form found that is wrong in the same way, with what makes its tables.
pub(super) fn smaller(
    open: &Open<'_>,
    mut peer: Option<&mut Peer<'_>>,
    mut setup: Vec<String>,
    mut case: Case,
    kind: &str,
    mut how: String,
) -> String {
    for _ in 0..2 {
        if let Ok(mut bench) = Bench::build(open, peer.as_deref_mut(), &mut setup.clone()) {
            statement(&mut bench, &mut case, kind, &mut how);
        }
        rows(open, peer.as_deref_mut(), &mut setup, &case, kind, &mut how);
    }
    format!("{};\n-- {}\n", setup.join(";\n"), how)
}

fn statement(bench: &mut Bench<'_>, case: &mut Case, kind: &str, how: &mut String) {
    let mut tries = 0;
    let mut at = 0;
    while at < case.nodes.len() {
        let smaller = case.nodes[at].smaller().into_iter().find_map(|node| {
            tries += 1;
            if tries > TRIES_MAX {
                return None;
            }
            let mut other = case.clone();
            other.nodes[at] = node;
            match bench.judge(&other) {
                Verdict::Wrong(own, text) if own == kind => Some((other, text)),
                _ => None,
            }
        });
        match smaller {
            Some((other, text)) => {
                *case = other;
                *how = text;
            }
            None => at += 1,
        }
    }
}

fn rows(
    open: &Open<'_>,
    mut peer: Option<&mut Peer<'_>>,
    setup: &mut Vec<String>,
    case: &Case,
    kind: &str,
    how: &mut String,
) {
    let mut size = setup.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < setup.len() {
            let mut fewer = setup.clone();
            fewer.drain(at..(at + size).min(setup.len()));
            let verdict =
                Bench::build(open, peer.as_deref_mut(), &mut fewer).map(|mut bench| bench.judge(case));
            match verdict {
                Ok(Verdict::Wrong(own, text)) if own == kind => {
                    *setup = fewer;
                    *how = text;
                }
                _ => at += size,
            }
        }
        size /= 2;
    }
}
