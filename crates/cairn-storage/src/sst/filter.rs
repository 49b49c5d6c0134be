//! Blocked bloom filter: every key sets its bits inside one 64-byte line, so a probe costs one miss.
//!
//! Guarantees: no false negatives; about 1 % false positives at 10 bits per key. The scheme (hash,
//! line choice, probes) is part of the format: `docs/format/sst.md`.

use crate::fields::{u32_at, u64_at};

const LINE: usize = 64;
const TAIL: usize = 16;

/// One line of 512 bits, aligned so that it is one line of memory.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([u64; 8]);

/// The hash of a user key.
#[inline]
pub(crate) fn hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

/// Probes for a number of bits per key: the optimum is 0.69 per bit, one fewer costs little.
fn probes_for(bits_per_key: u32) -> u32 {
    (bits_per_key * 6 / 10).clamp(1, 16)
}

#[inline]
fn line_of(hash: u64, lines: usize) -> usize {
    (((hash >> 32) * lines as u64) >> 32) as usize
}

#[inline]
fn next_bit(state: &mut u32) -> usize {
    let bit = (*state >> 23) as usize;
    *state = state.wrapping_mul(0x9e37_79b9);
    bit
}

/// A filter in memory.
#[derive(Debug)]
pub(crate) struct Filter {
    lines: Box<[Line]>,
    probes: u32,
}

impl Filter {
    /// Builds the body of a filter block over hashes of distinct keys.
    pub(crate) fn encode(hashes: &[u64], bits_per_key: u32) -> Vec<u8> {
        let lines = (hashes.len() * bits_per_key as usize).div_ceil(LINE * 8).max(1);
        let probes = probes_for(bits_per_key);
        let mut bits = vec![Line([0; 8]); lines];
        for &hash in hashes {
            let line = &mut bits[line_of(hash, lines)].0;
            let mut state = hash as u32;
            for _ in 0..probes {
                let bit = next_bit(&mut state);
                line[bit >> 6] |= 1 << (bit & 63);
            }
        }
        let mut out = Vec::with_capacity(lines * LINE + TAIL);
        for line in &bits {
            for word in line.0 {
                out.extend_from_slice(&word.to_le_bytes());
            }
        }
        out.extend_from_slice(&(hashes.len() as u64).to_le_bytes());
        out.extend_from_slice(&probes.to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
        out
    }

    /// Reads the body of a filter block.
    pub(crate) fn parse(body: &[u8]) -> Result<Filter, String> {
        if body.len() < LINE + TAIL || !(body.len() - TAIL).is_multiple_of(LINE) {
            return Err(format!("a filter cannot have {} bytes", body.len()));
        }
        let (lines, tail) = body.split_at(body.len() - TAIL);
        let probes = u32_at(tail, 8);
        if !(1..=16).contains(&probes) || u32_at(tail, 12) != 0 {
            return Err(format!("a filter of {probes} probes is not understood"));
        }
        let lines = lines
            .chunks_exact(LINE)
            .map(|line| Line(std::array::from_fn(|word| u64_at(line, 8 * word))))
            .collect();
        Ok(Filter { lines, probes })
    }

    /// Whether a key with this hash may be there; false is certain.
    #[inline]
    pub(crate) fn may_contain(&self, hash: u64) -> bool {
        let line = &self.lines[line_of(hash, self.lines.len())].0;
        let mut state = hash as u32;
        for _ in 0..self.probes {
            let bit = next_bit(&mut state);
            if line[bit >> 6] & 1 << (bit & 63) == 0 {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_misses_and_seldom_lies() {
        let hashes: Vec<u64> = (0..20_000u64).map(|i| hash(&i.to_be_bytes())).collect();
        let filter = Filter::parse(&Filter::encode(&hashes, 10)).expect("a filter just built is sound");
        assert!(hashes.iter().all(|&hash| filter.may_contain(hash)));
        let lies = (20_000..120_000u64).filter(|i| filter.may_contain(hash(&i.to_be_bytes()))).count();
        assert!(lies < 2_000, "{lies} false positives of 100,000");
    }

    #[test]
    fn golden_bytes_and_refusals() {
        let body = Filter::encode(&[hash(b"a"), hash(b"b")], 10);
        assert_eq!(body.len(), 80);
        assert_eq!(hash(b"a"), 0xe6c6_32b6_1e96_4e1f);
        assert!(Filter::parse(&body[..79]).is_err());
        assert!(Filter::parse(&[]).is_err());
        assert!(Filter::parse(&Filter::encode(&[], 10)).is_ok());
    }
}
