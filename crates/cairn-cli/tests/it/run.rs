//! Running the binary.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl Ran {
    /// Standard output of a run that ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }

    /// Standard error of a run that ended with that status.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.err
    }
}

/// The binary, ready to be given arguments.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command.env("CAIRN_HISTORY", "");
    command
}

/// Runs the binary without input.
pub(crate) fn cairn<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    fed(arguments, "")
}

/// Runs the binary with input.
pub(crate) fn fed<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>, input: impl AsRef<[u8]>) -> Ran {
    let mut child = spawn(command().args(arguments));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.as_ref().to_vec();
    // The binary may stop reading early, which is no error of the test.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Ran {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

/// Starts a command with all three streams piped.
pub(crate) fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A directory of the test's own, and a path in it for a database.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The database.
    pub(crate) fn db(&self) -> String {
        self.text("test.db")
    }

    /// Runs statements on the database; they must succeed.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        cairn([self.db().as_str(), sql]).ok()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.text(name)
    }
}

/// Files of a database with that ending.
pub(crate) fn files(db: &str, ending: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(Path::new(db))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    all.sort();
    all
}

/// A small generator, so that a random test repeats from its seed: `CAIRN_SEED`, printed on failure.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Random {
        let seed = std::env::var("CAIRN_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x5eed);
        println!("CAIRN_SEED={seed}");
        Random(seed)
    }

    /// SplitMix64.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
