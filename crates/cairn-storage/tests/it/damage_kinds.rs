//! What can happen to the files of a database: every kind of damage, at every class of place.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use cairn_env::SeededRandom;

use crate::damage_image::Files;

/// One damage that was done.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// What and where, for messages.
    pub(crate) what: String,
    /// The files that are not what they were.
    pub(crate) files: BTreeSet<String>,
    /// A single bit is wrong, nothing else.
    pub(crate) one_bit: bool,
    /// A whole file is gone or has become another one.
    pub(crate) whole_file: bool,
}

impl Fault {
    /// Whether a file whose name contains `part` was damaged.
    pub(crate) fn touches(&self, part: &str) -> bool {
        self.files.iter().any(|name| name.contains(part))
    }
}

/// How many kinds of damage [`damage`] knows.
pub(crate) const KINDS: u64 = 20;

/// A place in a file of `len` bytes: begin, end, a border of a page, sector or word, or anywhere.
fn offset(len: u64, random: &mut SeededRandom) -> u64 {
    let near = |border: u64, random: &mut SeededRandom| (border + random.below(9)).saturating_sub(4);
    let at = match random.below(8) {
        0 => random.below(64),
        1 => len.saturating_sub(1 + random.below(64)),
        2 => random.below(len / 4096 + 1) * 4096,
        3 => near(random.below(len / 4096 + 1) * 4096, random),
        // The trailer of a block.
        4 => (random.below(len / 4096 + 1) * 4096).saturating_sub(1 + random.below(16)),
        5 => random.below(len / 8 + 1) * 8,
        _ => random.below(len),
    };
    at.min(len - 1)
}

/// A unit of damage at a place: word, sector, page, or a few bytes; cut to the file.
fn unit(len: u64, random: &mut SeededRandom) -> (usize, usize) {
    let size = [1, 3, 8, 64, 512, 4096, 8192][random.below(7) as usize];
    let at = offset(len, random);
    let from = if random.one_in(2) { at / size * size } else { at };
    (from as usize, (from + size).min(len) as usize)
}

/// Damages the files in one way; `None` where that changed nothing.
pub(crate) fn damage(files: &mut Files, random: &mut SeededRandom) -> Option<Fault> {
    // LOCK has no bytes, and the small files are few: every kind of file gets its share.
    let at = random.below(files.len() as u64) as usize;
    let kind = random.below(KINDS);
    damage_file(files, at, kind, random)
}

/// Damages one file in one way, one of [`KINDS`].
pub(crate) fn damage_file(
    files: &mut Files,
    at: usize,
    kind: u64,
    random: &mut SeededRandom,
) -> Option<Fault> {
    let before = files.clone();
    let name = files[at].0.clone();
    let len = files[at].1.len() as u64;
    let what = match kind {
        0..=11 if len == 0 => return None,
        0..=2 => flip(&mut files[at].1, random),
        3..=6 => overwrite(&mut files[at].1, kind, random),
        7..=8 => exchange(&mut files[at].1, kind, random),
        9..=11 => resize(&mut files[at].1, kind, random),
        12..=14 => extend(&mut files[at].1, kind, random),
        15 => copy_from_another(files, at, random),
        _ => whole_file(files, at, kind, random),
    };
    let changed: BTreeSet<String> = before
        .iter()
        .filter(|(name, bytes)| !files.iter().any(|(n, b)| n == name && b == bytes))
        .map(|(name, _)| name.clone())
        .collect();
    let fault = Fault {
        what: format!("{what} in {name}"),
        one_bit: kind == 0,
        whole_file: kind >= 16,
        files: changed,
    };
    (!fault.files.is_empty()).then_some(fault)
}

fn flip(bytes: &mut [u8], random: &mut SeededRandom) -> String {
    let at = offset(bytes.len() as u64, random) as usize;
    let bit = random.below(8);
    bytes[at] ^= 1 << bit;
    format!("bit {bit} of byte {at} flipped")
}

fn overwrite(bytes: &mut [u8], kind: u64, random: &mut SeededRandom) -> String {
    let (from, to) = unit(bytes.len() as u64, random);
    match kind {
        3 | 4 => bytes[from..to].fill(0),
        5 => bytes[from..to].fill(0xff),
        _ => random.fill(&mut bytes[from..to]),
    }
    format!("bytes {from}..{to} overwritten ({kind})")
}

/// Two units swapped, or one copied over another.
fn exchange(bytes: &mut [u8], kind: u64, random: &mut SeededRandom) -> String {
    let len = bytes.len() as u64;
    let (from, to) = unit(len, random);
    let second = (random.below(len) as usize / (to - from)) * (to - from);
    let n = (to - from).min(bytes.len() - second);
    let (a, b) = (bytes[from..from + n].to_vec(), bytes[second..second + n].to_vec());
    bytes[from..from + n].copy_from_slice(&b);
    if kind == 7 && second.abs_diff(from) >= n {
        bytes[second..second + n].copy_from_slice(&a);
        return format!("bytes {from} and {second} swapped, {n} of them");
    }
    format!("bytes {from}..{} are now those of {second}", from + n)
}

/// The file cut, or a unit taken out or put in twice.
fn resize(bytes: &mut Vec<u8>, kind: u64, random: &mut SeededRandom) -> String {
    let (from, to) = unit(bytes.len() as u64, random);
    match kind {
        9 => {
            bytes.truncate(from);
            format!("cut to {from} bytes")
        }
        10 => {
            bytes.drain(from..to);
            format!("bytes {from}..{to} taken out")
        }
        _ => {
            let unit = bytes[from..to].to_vec();
            bytes.splice(from..from, unit);
            format!("bytes {from}..{to} there twice")
        }
    }
}

fn extend(bytes: &mut Vec<u8>, kind: u64, random: &mut SeededRandom) -> String {
    let more = [1, 8, 64, 4096, 8192][random.below(5) as usize];
    let mut tail = vec![0; more];
    match kind {
        12 => {}
        13 => random.fill(&mut tail),
        _ => tail.iter_mut().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from),
    }
    bytes.extend_from_slice(&tail);
    format!("{more} bytes added ({kind})")
}

/// The bytes of another file at the same place: a write that went astray.
fn copy_from_another(files: &mut Files, at: usize, random: &mut SeededRandom) -> String {
    let other = random.below(files.len() as u64) as usize;
    let source = files[other].1.clone();
    let target = &mut files[at].1;
    let len = source.len().min(target.len()) as u64;
    if len == 0 {
        return String::new();
    }
    let (from, to) = unit(len, random);
    target[from..to].copy_from_slice(&source[from..to]);
    format!("bytes {from}..{to} of {}", files[other].0)
}

fn whole_file(files: &mut Files, at: usize, kind: u64, random: &mut SeededRandom) -> String {
    let other = random.below(files.len() as u64) as usize;
    match kind {
        16 => {
            let empty = vec![0; files[at].1.len()];
            files[at].1 = empty;
            "all zeros".to_owned()
        }
        17 => {
            files[at].1 = files[other].1.clone();
            format!("the bytes of {}", files[other].0)
        }
        18 => {
            let bytes = std::mem::take(&mut files[at].1);
            files[at].1 = std::mem::replace(&mut files[other].1, bytes);
            format!("exchanged with {}", files[other].0)
        }
        _ => {
            files.remove(at);
            "the file removed".to_owned()
        }
    }
}
