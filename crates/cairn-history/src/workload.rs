//! Random transactions to be run against a database: plans, each a pure function of the seed and its number, so that
//! any number of clients can take the next one.
//!
//! Keys come in a window that moves on with the transactions' numbers: a key is in use for a while, gets some ten
//! writes and is left alone, so that lists stay short and ranges always have keys that are not there yet.
//!
//! - I1: no value is planned twice for one key.

use crate::history::{Key, Value};

/// What a transaction is made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Keys in use at a time; few of them make conflicts.
    pub keys: u64,
    /// Transactions until the window moves on by one key.
    pub transactions_per_key: u64,
    /// Greatest number of operations of a transaction.
    pub operations_max: u64,
    /// One in this many keys is a register, the others are lists; 0 = none.
    pub register_one_in: u64,
}

impl Default for Shape {
    /// Contended: 8 keys, 6 transactions a key, 6 operations, a quarter of the keys registers.
    fn default() -> Shape {
        Shape { keys: 8, transactions_per_key: 6, operations_max: 6, register_one_in: 4 }
    }
}

/// A source of plans.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    seed: u64,
    shape: Shape,
}

/// One planned operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {
    /// Add a value to a list.
    Append(Key, Value),
    /// Set a register.
    Write(Key, Value),
    /// Read a key.
    Read(Key),
    /// Read every key from the first up to, without, the second.
    Scan(Key, Key),
}

/// One planned transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub operations: Vec<Planned>,
    /// To be taken back at its end.
    pub rolls_back: bool,
}

impl Workload {
    /// The plans of a seed.
    pub fn new(seed: u64, shape: Shape) -> Workload {
        Workload { seed, shape }
    }

    /// Whether a key holds a register; else a list.
    pub fn is_register(&self, key: Key) -> bool {
        self.shape.register_one_in != 0 && key % self.shape.register_one_in == 1
    }

    /// The first key behind all keys that the transactions before number `count` may have used.
    pub fn keys_end(&self, count: u64) -> Key {
        count / self.shape.transactions_per_key.max(1) + self.shape.keys + 1
    }

    /// The transaction of a number; one value in it is its own for every key.
    pub fn plan(&self, number: u64) -> Plan {
        let mut random = Scatter(self.seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        let first = number / self.shape.transactions_per_key.max(1);
        let mut operations = Vec::new();
        for at in 0..=random.below(self.shape.operations_max) {
            let key = first + random.below(self.shape.keys);
            // Unique: the transaction's number and the operation's (I1).
            let value = number * (self.shape.operations_max + 1) + at + 1;
            operations.push(match random.below(10) {
                0..=3 if self.is_register(key) => Planned::Write(key, value),
                0..=3 => Planned::Append(key, value),
                4..=7 => Planned::Read(key),
                _ => Planned::Scan(key, key + 1 + random.below(self.shape.keys / 2 + 1)),
            });
        }
        Plan { operations, rolls_back: random.below(32) == 0 }
    }
}

/// SplitMix64.
struct Scatter(u64);

impl Scatter {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n.max(1))) >> 64) as u64
    }
}
