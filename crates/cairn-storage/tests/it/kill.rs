//! A process that is killed (kill -9) while it writes, on the real file system: what it acknowledged is there.
//!
//! The test starts itself as the child; the child says each commit that was acknowledged, the parent kills it
//! after a random number of them. Nothing depends on timing.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use cairn_env::{Env, SeededRandom};
use cairn_storage::{Direction, KeyRange, Store, SyncMode, TxnOptions};

use crate::model::small_options;

const DIR: &str = "CAIRN_KILL_DIR";
const ROUNDS: u64 = 12;

fn open(dir: &Path, seed: u64) -> Store {
    Store::open(&Env::os(), dir, small_options(&mut SeededRandom::new(seed))).unwrap()
}

/// Two keys of each commit, so that half a commit would show.
fn keys(number: u64) -> [Vec<u8>; 2] {
    [format!("first/{number:08}").into_bytes(), format!("second/{number:08}").into_bytes()]
}

fn count(store: &Store) -> u64 {
    let snapshot = store.snapshot();
    let [first, second] = [b"first/".as_slice(), b"second/"].map(|prefix| {
        let mut scan = snapshot.scan(KeyRange::prefix(prefix), Direction::Forward);
        let mut count = 0;
        while let Some((key, value)) = scan.next().unwrap() {
            let number = String::from_utf8_lossy(&key[prefix.len()..]).parse::<u64>().unwrap();
            assert_eq!(number, count, "a commit is missing in the middle");
            assert!(value.iter().all(|byte| *byte == number as u8));
            count += 1;
        }
        count
    });
    assert_eq!(first, second, "half a commit");
    first
}

/// The child: writes until it is killed.
#[test]
#[ignore = "run by `killed_processes_lose_nothing`"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = open(Path::new(&dir), std::process::id().into());
    let mut out = std::io::stdout();
    for number in count(&store).. {
        let sync = if number % 3 == 0 { SyncMode::Async } else { SyncMode::Sync };
        let mut txn = store.begin(TxnOptions { sync: Some(sync), ..TxnOptions::default() });
        for key in keys(number) {
            txn.put(&key, &vec![number as u8; number as usize * 37 % 900]).unwrap();
        }
        txn.commit().unwrap();
        // A whole line in one call: the harness writes lines of its own.
        out.write_all(format!("\ncommitted {number}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn killed_processes_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let mut random = SeededRandom::new(1);
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIR, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..random.between(1, 60) {
            let line = lines.find_map(|line| line.unwrap().strip_prefix("committed ").map(str::to_owned));
            let number: u64 = line.expect("the child ended by itself").parse().unwrap();
            assert_eq!(number, acknowledged, "the child does not go on where it was killed");
            acknowledged = number + 1;
        }
        child.kill().unwrap();
        // What it still said counts too.
        for line in lines.map_while(std::result::Result::ok) {
            if let Some(number) = line.strip_prefix("committed ") {
                acknowledged = number.parse::<u64>().unwrap() + 1;
            }
        }
        child.wait().unwrap();
        let store = open(&path, round);
        let found = count(&store);
        assert!(found >= acknowledged, "{acknowledged} were acknowledged, {found} are there");
        assert!(found <= acknowledged + 1, "one at most was under way");
        assert!(store.verify().unwrap().is_sound());
        acknowledged = found;
        if random.one_in(2) {
            store.close().unwrap();
        }
    }
}
