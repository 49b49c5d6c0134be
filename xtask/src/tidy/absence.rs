//! The invariants of absence: what a crate must not name. ARCHITECTURE.md lists them; this is their check.

use super::{Tree, is_comment};

struct Absence {
    /// Where it holds.
    below: &'static [&'static str],
    /// Paths below that may name it all the same.
    except: &'static [&'static str],
    /// The words that must not occur in code.
    words: &'static [&'static str],
    why: &'static str,
}

const ABSENCES: &[Absence] = &[
    Absence {
        below: &["crates/", "xtask/"],
        except: &["crates/cairn-sql/", "xtask/src/tidy/"],
        words: &["datafusion::", "use datafusion", "datafusion_"],
        why: "only cairn-sql names datafusion",
    },
    Absence {
        below: &[
            "crates/cairn-types/src/",
            "crates/cairn-storage/src/",
            "crates/cairn-index/src/",
            "crates/cairn-engine/src/",
            "crates/cairn-sql/src/",
            "crates/cairndb/src/",
        ],
        except: &[],
        words: &[
            "std::fs",
            "time::Instant",
            "time::SystemTime",
            "thread::spawn",
            "thread::Builder",
            "thread::sleep",
        ],
        why: "files, clocks and threads are reached through cairn-env",
    },
    Absence {
        below: &["crates/cairn-storage/"],
        except: &[],
        words: &[
            "arrow::",
            "arrow_array",
            "arrow_schema",
            "cairn_types",
            "sqlparser",
            "cairn_engine",
            "cairn_index",
        ],
        why: "cairn-storage has heard of neither rows nor SQL",
    },
    Absence {
        below: &["crates/cairn-index/src/"],
        except: &[],
        words: &["sqlparser", "cairn_sql", "cairn_engine"],
        why: "cairn-index has not heard of SQL",
    },
    Absence {
        below: &[
            "crates/cairn-env/",
            "crates/cairn-types/",
            "crates/cairn-storage/",
            "crates/cairn-index/",
            "crates/cairn-engine/",
        ],
        except: &[],
        words: &["async fn", "async move", "tokio", "futures::", ".await"],
        why: "the kernel is synchronous",
    },
    Absence {
        below: &["crates/", "xtask/"],
        except: &["xtask/src/tidy/"],
        words: &["todo!(", "unimplemented!(", "FIXME", "TODO"],
        why: "unfinished work is left out, not marked",
    },
];

/// Files that may hold `unsafe` code: small islands with a safe API.
const UNSAFE_ISLANDS: &[&str] = &[
    "crates/cairn-env/src/os/map.rs",
    "crates/cairn-storage/src/memtable/arena.rs",
    "crates/cairn-storage/src/memtable/directory.rs",
    "crates/cairn-storage/src/memtable/skiplist.rs",
];

pub(super) fn check(tree: &Tree, findings: &mut Vec<String>) {
    for absence in ABSENCES {
        for (path, text) in tree.rust(absence.below) {
            let test = path.ends_with("/tests.rs") && absence.words.contains(&"thread::spawn");
            if test || absence.except.iter().any(|prefix| path.starts_with(prefix)) {
                continue;
            }
            for (index, line) in text.lines().enumerate() {
                if is_comment(line) {
                    continue;
                }
                for word in absence.words.iter().filter(|word| names(line, word)) {
                    findings.push(format!("{path}:{}: `{word}`: {}", index + 1, absence.why));
                }
            }
        }
    }
    unsafe_code(tree, findings);
}

/// Whether a line has the word; `.await` is neither in `.awaited` nor in `.await_all`.
fn names(line: &str, word: &str) -> bool {
    let goes_on = |rest: &str| {
        word.starts_with('.') && rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
    };
    line.match_indices(word).any(|(at, _)| !goes_on(&line[at + word.len()..]))
}

fn unsafe_code(tree: &Tree, findings: &mut Vec<String>) {
    for (path, text) in tree.rust(&["crates/", "xtask/"]) {
        if UNSAFE_ISLANDS.contains(&path) || path.starts_with("xtask/src/tidy/") {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            if !is_comment(line) && line.contains("unsafe ") && !line.contains("allow(") {
                findings.push(format!("{path}:{}: unsafe code outside its islands", index + 1));
            }
        }
    }
    for crate_root in tree.paths.iter().filter(|path| path.ends_with("/src/lib.rs")) {
        let text = tree.text(crate_root).unwrap_or_default();
        if !text.contains("#![forbid(unsafe_code)]") && !text.contains("#![deny(unsafe_code)]") {
            findings.push(format!("{crate_root}:1: neither forbids nor denies unsafe code"));
        }
    }
}
