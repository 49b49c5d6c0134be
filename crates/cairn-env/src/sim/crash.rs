//! What is left of unsynced changes after a power cut or a failed sync.

use std::collections::BTreeMap;

use super::world::{DirNode, DirOp, FileNode, FileOp};
use crate::memory::Content;
use crate::random::SeededRandom;

/// The unit in which a disk writes.
const SECTOR: u64 = 512;

/// How the changes of one file or directory fare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Kept,
    Mixed,
}

fn fate(random: &mut SeededRandom) -> Fate {
    match random.below(4) {
        0 => Fate::Lost,
        1 => Fate::Kept,
        _ => Fate::Mixed,
    }
}

/// What reached the disk of a file's unsynced operations, on top of its durable bytes.
pub(super) fn settle_file(file: &FileNode, random: &mut SeededRandom) -> Content {
    let mut out = file.durable.clone();
    if file.unsynced.is_empty() {
        return out;
    }
    let fate = fate(random);
    if fate == Fate::Lost {
        return out;
    }
    let mut len = file.durable.len();
    let mut lens = vec![len];
    for op in &file.unsynced {
        match op {
            FileOp::Write { offset, bytes } => {
                len = len.max(offset + bytes.len() as u64);
                settle_write(&mut out, *offset, bytes, fate, random);
            }
            FileOp::SetLen(new) => {
                len = *new;
                if len < out.len() && (fate == Fate::Kept || random.one_in(2)) {
                    out.set_len(len);
                }
            }
        }
        lens.push(len);
    }
    let kept = if fate == Fate::Kept { Some(&len) } else { random.pick(&lens) };
    out.set_len(kept.copied().unwrap_or(len));
    out
}

fn settle_write(out: &mut Content, offset: u64, bytes: &[u8], fate: Fate, random: &mut SeededRandom) {
    let whole = if fate == Fate::Kept { 0 } else { random.below(4) };
    match whole {
        0 => return out.write(bytes, offset),
        1 => return,
        _ => {}
    }
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        let part = ((SECTOR - at % SECTOR) as usize).min(bytes.len() - done);
        let piece = &bytes[done..done + part];
        match random.below(8) {
            0..=3 => out.write(piece, at),
            4 => out.write(&garbled(piece, random), at),
            5 => out.write(&vec![0; part], at),
            _ => {}
        }
        done += part;
    }
}

/// Noise, or the right bytes with some bits wrong.
fn garbled(piece: &[u8], random: &mut SeededRandom) -> Vec<u8> {
    let mut out = piece.to_vec();
    if random.one_in(2) {
        random.fill(&mut out);
    } else {
        for _ in 0..random.between(1, 4) {
            let at = random.below(out.len() as u64) as usize;
            out[at] ^= 1 << random.below(8);
        }
    }
    out
}

/// The entries that reached the disk.
pub(super) fn settle_dir(dir: &DirNode, random: &mut SeededRandom) -> BTreeMap<String, u64> {
    let mut out = dir.durable.clone();
    let fate = fate(random);
    for op in &dir.unsynced {
        if fate == Fate::Kept || (fate == Fate::Mixed && random.one_in(2)) {
            apply_dir_op(&mut out, op);
        }
    }
    out
}

/// One directory operation, also where an earlier one that it built on was lost.
pub(super) fn apply_dir_op(entries: &mut BTreeMap<String, u64>, op: &DirOp) {
    match op {
        DirOp::Link { name, inode } => {
            entries.insert(name.clone(), *inode);
        }
        DirOp::Unlink { name } => {
            entries.remove(name);
        }
        DirOp::Rename { from, to, inode } => {
            entries.remove(from);
            entries.insert(to.clone(), *inode);
        }
    }
}
