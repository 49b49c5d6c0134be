//! Histories of rows and keys of a process that is killed (kill -9), on the real file system: the test starts itself as
//! the child, which says what it asks to be committed before it does and how that ended. What it was killed in between of
//! is of unknown outcome; the next child goes on with the history, and all of it is judged as one.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_env::SeededRandom;
use cairn_history::{Shape, Ticks, Transaction, Workload, parse, run_announced};
use cairndb::{Database, IsolationLevel, OpenOptions};

use super::crashes::{Mixture, read_all};
use super::mixed::{LEVELS, Mixed, by_statements, set_up};
use super::number;

const DIR: &str = "CAIRN_HISTORY_DIR";
const SEED: &str = "CAIRN_HISTORY_SEED";
/// The first plan, process and moment of a child.
const FROM: &str = "CAIRN_HISTORY_FROM";
const PROCESS: &str = "CAIRN_HISTORY_PROCESS";
const TICK: &str = "CAIRN_HISTORY_TICK";
/// Ends a line, which may be cut off where the child was killed.
const WHOLE: &str = "#";
const ROUNDS: u64 = 4;
const CLIENTS: u64 = 4;
/// The clocks of two children are so far apart: more than a child's clients can be ahead of what was heard of them.
const APART: u64 = 1_000;

fn open(dir: &Path) -> Database {
    Database::open_with(dir, OpenOptions::new().memtable_bytes(16 << 10)).unwrap()
}

fn workload(seed: u64) -> Workload {
    Workload::new(seed, Shape::default())
}

/// A whole line in one call: the harness and other clients write lines of their own.
fn say(word: &str, level: &str, transaction: &Transaction) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{word} {level} T1 {transaction} {WHOLE}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn heard(line: &str, word: &str) -> Option<(IsolationLevel, Transaction)> {
    let (name, text) = line.strip_prefix(word)?.strip_suffix(WHOLE)?.split_once(' ')?;
    let (_, level, _) = LEVELS.iter().find(|(known, ..)| *known == name)?;
    Some((*level, parse(text).ok()?.transactions.pop()?))
}

/// The child: goes on until it is killed.
#[test]
#[ignore = "run by `histories_of_a_killed_process`"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let from = number(FROM, 0);
    let workload = workload(number(SEED, 1));
    let db = open(Path::new(&dir));
    set_up(&db).unwrap();
    let (ticks, next) = (Ticks::starting_at(number(TICK, 0)), AtomicU64::new(from));
    let first = number(PROCESS, 0);
    std::thread::scope(|threads| {
        for process in first..first + CLIENTS {
            let (db, ticks, next) = (&db, &ticks, &next);
            threads.spawn(move || {
                let mut random = SeededRandom::new(process);
                let mut client = Mixed::new(db, workload, IsolationLevel::Snapshot, &|| false);
                loop {
                    let (name, level, _) = LEVELS[random.below(LEVELS.len() as u64) as usize];
                    client.level = level;
                    let plan = by_statements(workload.plan(next.fetch_add(1, Ordering::Relaxed)), level);
                    let mut ask = |asked: &Transaction| say("asked", name, asked);
                    let done = run_announced(&mut client, &plan, process as u32, ticks, &mut ask);
                    say("ended", name, &done);
                }
            });
        }
    });
}

#[derive(Default)]
struct Heard {
    mixture: Mixture,
    asked: HashMap<u32, (IsolationLevel, Transaction)>,
    ended: u64,
    tick: u64,
}

impl Heard {
    fn line(&mut self, line: &str) {
        if let Some((level, transaction)) = heard(line, "asked ") {
            self.tick = self.tick.max(transaction.times.unwrap().1);
            self.asked.insert(transaction.process, (level, transaction));
        } else if let Some((level, transaction)) = heard(line, "ended ") {
            self.tick = self.tick.max(transaction.times.unwrap().1);
            self.asked.remove(&transaction.process);
            self.ended += 1;
            self.mixture.0.push((level, transaction));
        }
    }
}

#[test]
fn histories_of_a_killed_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let seed = number("CAIRN_SEED", 1);
    let rounds = number("CAIRN_KILLS", ROUNDS);
    let mut random = SeededRandom::new(seed);
    let (mut heard, mut planned, mut unknown) = (Heard::default(), 0, 0);
    for round in 0..rounds {
        let before = heard.ended;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["isolation::killed::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIR, &path)
            .env(SEED, seed.to_string())
            .env(FROM, planned.to_string())
            .env(TICK, (heard.tick + APART).to_string())
            .env(PROCESS, (round * CLIENTS).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..random.between(1, 400) {
            let line = lines.next().expect("the child ended by itself").unwrap();
            heard.line(&line);
        }
        child.kill().unwrap();
        // What it still said counts too.
        lines.map_while(Result::ok).for_each(|line| heard.line(&line));
        child.wait().unwrap();
        unknown += heard.asked.len();
        let open = heard.asked.drain().map(|(_, asked)| asked);
        heard.mixture.0.extend(open);
        planned += heard.ended - before + CLIENTS;
        let db = open_and_verify(&path, seed, round);
        if random.one_in(2) {
            db.close().unwrap();
        }
    }
    let db = open(&path);
    set_up(&db).unwrap();
    let ticks = Ticks::starting_at(heard.tick + APART);
    let last = read_all(&db, workload(seed), planned, (rounds * CLIENTS) as u32, &ticks);
    heard.mixture.0.push(last);
    println!("seed {seed}: {rounds} kills, {} transactions ended, {unknown} of unknown outcome", heard.ended);
    heard.mixture.judge(&format!("seed {seed}, {rounds} kills")).unwrap();
}

fn open_and_verify(path: &Path, seed: u64, round: u64) -> Database {
    let db = open(path);
    let report = db.verify().unwrap();
    assert!(report.is_sound(), "seed {seed}, round {round}: {report:?}");
    db
}
