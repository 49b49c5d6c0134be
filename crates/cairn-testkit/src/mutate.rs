//! Mutations of valid encodings: what a decoder must survive. The same seed gives the same mutations.

/// Makes mutants of valid inputs.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// The mutator of a seed.
    pub fn new(seed: u64) -> Mutator {
        Mutator { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The next number, by xorshift.
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n.max(1)
    }

    /// A mutant of one of the inputs, by one to four changes.
    pub fn mutant(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = inputs.get(self.below(inputs.len())).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, inputs);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        const NUMBERS: [u64; 12] =
            [0, 1, 7, 8, 255, 256, 4096, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];
        let at = self.below(bytes.len());
        let len = bytes.len();
        match self.below(9) {
            0 if len > 0 => bytes[at] ^= 1 << self.below(8),
            1 if len > 0 => bytes[at] = self.next() as u8,
            2 => bytes.truncate(at),
            // Lengths and counts: a number in the place of a field.
            3..=4 if len > 0 => {
                let number = NUMBERS[self.below(NUMBERS.len())].to_le_bytes();
                let width = [1, 2, 4, 8][self.below(4)].min(len - at);
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            // A field a little off.
            5 if len > 0 => bytes[at] = bytes[at].wrapping_add([1, 2, 8, 255, 254][self.below(5)]),
            6 if len > 0 => {
                let end = at + self.below((len - at).min(64)) + 1;
                let piece = bytes[at..end.min(len)].to_vec();
                let place = self.below(len);
                bytes.splice(place..place, piece);
            }
            7 if len > 0 => {
                let end = at + self.below((len - at).min(64)) + 1;
                bytes.drain(at..end.min(len));
            }
            _ => {
                let other = inputs.get(self.below(inputs.len())).map_or(&[][..], Vec::as_slice);
                let from = self.below(other.len());
                let piece = other.get(from..).unwrap_or_default();
                bytes.truncate(at);
                bytes.extend_from_slice(piece);
            }
        }
    }
}

/// Runs `target` on the inputs and on `count` mutants of them; `target` panics on a finding.
pub fn run(seed: u64, count: usize, inputs: &[Vec<u8>], target: impl Fn(&[u8])) {
    inputs.iter().for_each(|input| target(input));
    let mut mutator = Mutator::new(seed);
    for number in 0..count {
        let bytes = mutator.mutant(inputs);
        let survived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| target(&bytes)));
        assert!(survived.is_ok(), "mutant {number} of seed {seed} is a finding: {}", bytes.escape_ascii());
    }
}

/// Writes inputs as files of a fuzzer's corpus.
///
/// # Errors
/// Whatever the file system reports.
pub fn write_corpus(dir: &std::path::Path, inputs: &[Vec<u8>]) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for (at, input) in inputs.iter().enumerate() {
        std::fs::write(dir.join(format!("seed{at}")), input)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutants_differ_and_repeat() {
        let inputs = [vec![1, 2, 3, 4, 5, 6, 7, 8], Vec::new()];
        let make = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..100).map(|_| mutator.mutant(&inputs)).collect::<Vec<_>>()
        };
        assert_eq!(make(1), make(1));
        let mut all = make(1);
        all.sort();
        all.dedup();
        assert!(all.len() > 60, "{} different mutants of 100", all.len());
    }
}
