//! Keys, values and random numbers: the same for every engine, made from a number each, so that what is read
//! can be checked.
//!
//! I1: the first eight bytes of a value follow from the number of its key, the next eight are its counter.

/// A key: 16 bytes.
pub type Key = [u8; 16];

/// Least length of a value.
pub const VALUE_BYTES_MIN: usize = 16;

/// A row to be put, or to be deleted where it has no value.
#[derive(Debug, Clone)]
pub struct Row {
    pub key: Key,
    pub value: Option<Vec<u8>>,
}

/// SplitMix64's finish: a bijection, so that keys differ.
pub fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn key(high: u64, low: u64) -> Key {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&high.to_be_bytes());
    key[8..].copy_from_slice(&low.to_be_bytes());
    key
}

/// The key of number `i`, spread over all keys.
pub fn random_key(i: u64) -> Key {
    key(mix(i), i)
}

/// The key of number `i`, ascending.
pub fn sequential_key(i: u64) -> Key {
    key(0, i)
}

/// The number of a key.
pub fn number(key: &[u8]) -> u64 {
    key.get(8..16).map_or(u64::MAX, |low| u64::from_be_bytes(low.try_into().unwrap_or_default()))
}

fn head(i: u64) -> u64 {
    mix(i ^ 0x5EED_0000_0000_0000)
}

/// How values look.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Length in bytes.
    pub bytes: usize,
    /// The part of it that does not compress, in percent.
    pub random_percent: usize,
}

impl Shape {
    /// Writes the value of number `i` with counter 0.
    pub fn fill(&self, i: u64, salt: u64, value: &mut Vec<u8>) {
        value.clear();
        value.resize(self.bytes, b'v');
        let random = (self.bytes * self.random_percent / 100).clamp(VALUE_BYTES_MIN, self.bytes);
        let seed = mix(i ^ salt << 40);
        for (word, bytes) in value[16..random].chunks_mut(8).enumerate() {
            bytes.copy_from_slice(&mix(seed ^ word as u64).to_le_bytes()[..bytes.len()]);
        }
        value[..8].copy_from_slice(&head(i).to_le_bytes());
        value[8..16].fill(0);
    }

    /// The value of number `i`.
    pub fn value(&self, i: u64) -> Vec<u8> {
        let mut value = Vec::new();
        self.fill(i, 0, &mut value);
        value
    }

    /// Whether this can be the value of number `i`.
    pub fn fits(&self, i: u64, value: &[u8]) -> bool {
        value.len() == self.bytes && value[..8] == head(i).to_le_bytes()
    }
}

/// The counter of a value.
pub fn counter(value: &[u8]) -> u64 {
    value.get(8..16).map_or(u64::MAX, |bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
}

/// Adds one to the counter of a value.
pub fn count_up(value: &mut [u8]) {
    let next = counter(value).wrapping_add(1);
    if let Some(bytes) = value.get_mut(8..16) {
        bytes.copy_from_slice(&next.to_le_bytes());
    }
}

/// Random numbers from a seed (xorshift64*).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(1)) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// YCSB's scrambled zipfian distribution with constant 0.99 (Gray et al., "Quickly generating billion-record
/// synthetic databases"): few numbers are drawn often, and these lie anywhere.
#[derive(Debug, Clone)]
pub struct Zipf {
    items: u64,
    zeta: f64,
    alpha: f64,
    eta: f64,
    second: f64,
}

impl Zipf {
    const THETA: f64 = 0.99;

    pub fn new(items: u64) -> Self {
        let zeta = |n: u64| (1..=n).map(|i| 1.0 / (i as f64).powf(Self::THETA)).sum::<f64>();
        let (all, two) = (zeta(items), zeta(2));
        let eta = (1.0 - (2.0 / items as f64).powf(1.0 - Self::THETA)) / (1.0 - two / all);
        Self { items, zeta: all, alpha: 1.0 / (1.0 - Self::THETA), eta, second: two }
    }

    /// A number below the number of items.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let unit = (random.next() >> 11) as f64 / (1u64 << 53) as f64;
        let scaled = unit * self.zeta;
        let rank = if scaled < 1.0 {
            0
        } else if scaled < self.second {
            1
        } else {
            (self.items as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha)) as u64
        };
        mix(rank) % self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_own_number_only() {
        let shape = Shape { bytes: 100, random_percent: 50 };
        let mut value = shape.value(7);
        assert!(shape.fits(7, &value));
        assert!(!shape.fits(8, &value));
        count_up(&mut value);
        assert_eq!(counter(&value), 1);
        assert!(shape.fits(7, &value), "the counter is no part of what has to fit");
        assert_eq!(number(&random_key(7)), 7);
        assert!(value[50..].iter().all(|byte| *byte == b'v'));
        assert!(!shape.fits(7, &value[..99]));
    }

    /// With constant 0.99 the most frequent of a million is drawn 6.5 % of the time, and most are hardly ever.
    #[test]
    fn zipf_draws_few_numbers_often() {
        let (items, draws) = (1_000_000, 200_000);
        let (zipf, mut random) = (Zipf::new(items), Random::new(1));
        let mut counts = std::collections::HashMap::new();
        for _ in 0..draws {
            let drawn = zipf.draw(&mut random);
            assert!(drawn < items);
            *counts.entry(drawn).or_insert(0u64) += 1;
        }
        let most = counts.values().max().copied().unwrap_or_default();
        assert!((draws / 18..draws / 13).contains(&most), "{most} of {draws}");
        assert!((30_000..90_000).contains(&counts.len()), "{} different", counts.len());
    }
}
