//! What was observed: transactions with their operations, what these gave, and how each transaction ended.
//!
//! - I1: within a history no value is appended or written twice to one key: a read then names its writer.

use std::fmt;

/// A key: a list or a register, never both in one history.
pub type Key = u64;

/// What is appended to a list or written to a register; unique for its key.
pub type Value = u64;

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The list, oldest first; an absent key is the empty list.
    List(Vec<Value>),
    /// The register; `None` where nothing was written yet.
    Register(Option<Value>),
}

/// One operation of a transaction and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds a value at the end of a list.
    Append {
        /// The list.
        key: Key,
        /// What is added.
        value: Value,
    },
    /// Sets a register.
    Write {
        /// The register.
        key: Key,
        /// Its new value.
        value: Value,
    },
    /// Reads one key.
    Read {
        /// The key.
        key: Key,
        /// What it held.
        found: Found,
    },
    /// Reads every key from `first` up to, without, `end`: a predicate read. Keys that are not in `found` were
    /// absent, which is an observation too.
    Scan {
        /// The first key of the range.
        first: Key,
        /// The first key behind the range.
        end: Key,
        /// What was there, in any order.
        found: Vec<(Key, Found)>,
    },
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged.
    Committed,
    /// It certainly had no effect.
    Aborted,
    /// The answer was lost, by a crash for instance. Counts as committed where somebody read what it wrote, and
    /// as nothing otherwise.
    Unknown,
}

/// A transaction as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Who ran it; a process has one transaction at a time, in the history's order.
    pub process: u32,
    /// When the client began it and when it knew the end, on one clock for all, such as
    /// [`Ticks`](crate::Ticks). Without them there is no real-time order, only that of each process.
    pub times: Option<(u64, u64)>,
    /// How it ended.
    pub outcome: Outcome,
    /// In the order in which they were done.
    pub operations: Vec<Operation>,
}

/// Transactions; those of one process in their order, the others in any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Named `T1`, `T2` … in messages, from the first on.
    pub transactions: Vec<Transaction>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::List(values) => {
                f.write_str("[")?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at > 0 { " " } else { "" })?;
                }
                f.write_str("]")
            }
            Found::Register(Some(value)) => write!(f, "{value}"),
            Found::Register(None) => f.write_str("nil"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Append { key, value } => write!(f, "a({key},{value})"),
            Operation::Write { key, value } => write!(f, "w({key},{value})"),
            Operation::Read { key, found } => write!(f, "r({key})={found}"),
            Operation::Scan { first, end, found } => {
                write!(f, "s({first}..{end})={{")?;
                for (at, (key, found)) in found.iter().enumerate() {
                    write!(f, "{}{key}:{found}", if at > 0 { " " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.process)?;
        if let Some((begin, end)) = self.times {
            write!(f, " {begin}..{end}")?;
        }
        f.write_str(match self.outcome {
            Outcome::Committed => " ok",
            Outcome::Aborted => " fail",
            Outcome::Unknown => " info",
        })?;
        self.operations.iter().try_for_each(|operation| write!(f, " {operation}"))
    }
}

impl fmt::Display for History {
    /// The form that [`parse`](crate::parse) reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.transactions.iter().enumerate().try_for_each(|(at, txn)| writeln!(f, "T{} {txn}", at + 1))
    }
}
