//! The names of what can go wrong, and which isolation levels forbid it.

use std::fmt;

/// An anomaly. Names after Adya (1999), Berenson et al. (1995), the Hermitage suite and Elle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AnomalyKind {
    /// A value was read that nobody wrote.
    Garbage,
    /// A list holds a value twice.
    Duplicate,
    /// Two reads of a list, neither of which is the beginning of the other.
    IncompatibleOrder,
    /// The writes of a register follow each other in a circle.
    CyclicVersions,
    /// A transaction does not see its own writes as it made them.
    Internal,
    /// Dirty write: a cycle of write dependencies.
    G0,
    /// Aborted read: a committed transaction read what an aborted one wrote.
    G1a,
    /// Intermediate read: a committed transaction read what its writer overwrote itself.
    G1b,
    /// Circular information flow: a cycle of write and read dependencies.
    G1c,
    /// A committed write lies upon an aborted one.
    DirtyUpdate,
    /// Observed transaction vanishes: after reading from a transaction another read misses a write of it.
    Otv,
    /// Lost update (P4): two transactions read the same version of a key and both wrote the key.
    LostUpdate,
    /// Read skew: a cycle with exactly one anti-dependency.
    GSingle,
    /// Predicate-many-preceders: a read skew through a row that a range read did not find.
    Pmp,
    /// A cycle of anti-dependencies no two of which are adjacent, other than a long fork.
    GNonadjacent,
    /// Two readers see two independent writers in opposite orders.
    LongFork,
    /// Write skew: a cycle with adjacent anti-dependencies on keys that were there.
    G2Item,
    /// Write skew through a range read: one of the anti-dependencies is a phantom.
    G2,
    /// A read misses what was acknowledged before its transaction began.
    StaleRead,
}

use AnomalyKind as Kind;

impl AnomalyKind {
    /// Every kind.
    pub const ALL: [Kind; 19] = [
        Kind::Garbage,
        Kind::Duplicate,
        Kind::IncompatibleOrder,
        Kind::CyclicVersions,
        Kind::Internal,
        Kind::G0,
        Kind::G1a,
        Kind::G1b,
        Kind::G1c,
        Kind::DirtyUpdate,
        Kind::Otv,
        Kind::LostUpdate,
        Kind::GSingle,
        Kind::Pmp,
        Kind::GNonadjacent,
        Kind::LongFork,
        Kind::G2Item,
        Kind::G2,
        Kind::StaleRead,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Garbage => "garbage",
            Kind::Duplicate => "duplicate",
            Kind::IncompatibleOrder => "incompatible-order",
            Kind::CyclicVersions => "cyclic-versions",
            Kind::Internal => "internal",
            Kind::G0 => "G0",
            Kind::G1a => "G1a",
            Kind::G1b => "G1b",
            Kind::G1c => "G1c",
            Kind::DirtyUpdate => "dirty-update",
            Kind::Otv => "OTV",
            Kind::LostUpdate => "P4",
            Kind::GSingle => "G-single",
            Kind::Pmp => "PMP",
            Kind::GNonadjacent => "G-nonadjacent",
            Kind::LongFork => "long-fork",
            Kind::G2Item => "G2-item",
            Kind::G2 => "G2",
            Kind::StaleRead => "stale-read",
        }
    }

    /// What it is called in plain words.
    pub fn plain(self) -> &'static str {
        match self {
            Kind::Garbage => "a value that nobody wrote",
            Kind::Duplicate => "a value twice in one list",
            Kind::IncompatibleOrder => "two reads that contradict each other",
            Kind::CyclicVersions => "writes in a circle",
            Kind::Internal => "own writes not seen as made",
            Kind::G0 => "dirty write",
            Kind::G1a => "aborted read",
            Kind::G1b => "intermediate read",
            Kind::G1c => "circular information flow",
            Kind::DirtyUpdate => "a write upon an aborted one",
            Kind::Otv => "observed transaction vanishes",
            Kind::LostUpdate => "lost update",
            Kind::GSingle => "read skew",
            Kind::Pmp => "predicate-many-preceders, a phantom read",
            Kind::GNonadjacent => "no order of snapshots",
            Kind::LongFork => "long fork",
            Kind::G2Item => "write skew",
            Kind::G2 => "write skew with a phantom",
            Kind::StaleRead => "a read of the past",
        }
    }

    /// The weakest levels that forbid it, where the cycle needs the order of time or of a process (`ordered`),
    /// or does not.
    fn forbidden_from(self, ordered: bool) -> &'static [Level] {
        match self {
            Kind::StaleRead => &[Level::StrongSnapshot, Level::StrictSerializable],
            Kind::G2Item | Kind::G2 if ordered => &[Level::StrictSerializable],
            _ if ordered => &[Level::StrongSnapshot, Level::StrictSerializable],
            Kind::Garbage | Kind::Duplicate | Kind::CyclicVersions | Kind::G0 => &[Level::ReadUncommitted],
            Kind::IncompatibleOrder
            | Kind::Internal
            | Kind::G1a
            | Kind::G1b
            | Kind::G1c
            | Kind::DirtyUpdate => &[Level::ReadCommitted],
            Kind::Otv => &[Level::MonotonicAtomicView],
            Kind::LostUpdate | Kind::GSingle | Kind::Pmp | Kind::GNonadjacent | Kind::LongFork => {
                &[Level::Snapshot]
            }
            Kind::G2Item | Kind::G2 => &[Level::Serializable],
        }
    }
}

impl fmt::Display for AnomalyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Isolation levels.
///
/// ```text
/// StrictSerializable ─▶ Serializable ───┬▶ Snapshot ─▶ MonotonicAtomicView ─▶ ReadCommitted ─▶ ReadUncommitted
///         └───────────▶ StrongSnapshot ─┘
/// ```
/// An arrow leads to what is implied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// No dirty writes (Adya's PL-1).
    ReadUncommitted,
    /// Only what was committed is read (PL-2).
    ReadCommitted,
    /// And what was seen of a transaction stays seen: what PostgreSQL gives at READ COMMITTED.
    MonotonicAtomicView,
    /// All reads from one snapshot, no lost updates: PostgreSQL's REPEATABLE READ. Write skew is permitted.
    Snapshot,
    /// Snapshots that hold all that was acknowledged before they were taken.
    StrongSnapshot,
    /// As one after the other (PL-3).
    Serializable,
    /// As one after the other, in an order that agrees with the clock.
    StrictSerializable,
}

impl Level {
    /// Every level.
    pub const ALL: [Level; 7] = [
        Level::ReadUncommitted,
        Level::ReadCommitted,
        Level::MonotonicAtomicView,
        Level::Snapshot,
        Level::StrongSnapshot,
        Level::Serializable,
        Level::StrictSerializable,
    ];

    /// Whether this level promises all that the other does.
    pub fn implies(self, other: Level) -> bool {
        match (self, other) {
            (a, b) if a == b => true,
            (Level::Serializable, Level::StrongSnapshot) => false,
            // The order of the names, apart from that fork.
            (a, b) => a > b,
        }
    }

    /// Whether an anomaly must not occur here; `ordered`: its cycle needs the order of time or of a process.
    pub fn forbids(self, kind: AnomalyKind, ordered: bool) -> bool {
        kind.forbidden_from(ordered).iter().any(|from| self.implies(*from))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::ReadUncommitted => "read uncommitted",
            Level::ReadCommitted => "read committed",
            Level::MonotonicAtomicView => "monotonic atomic view",
            Level::Snapshot => "snapshot",
            Level::StrongSnapshot => "strong snapshot",
            Level::Serializable => "serializable",
            Level::StrictSerializable => "strict serializable",
        })
    }
}

/// One anomaly that was found.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// What it is.
    pub kind: AnomalyKind,
    /// Its cycle is none without the order of time or of a process.
    pub ordered: bool,
    /// The transactions in it, by their place in the history (from 0 on); a cycle's in its order.
    pub transactions: Vec<usize>,
    /// What happened, for people: the cycle with its reasons, and the operations in it.
    pub explanation: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ordered = if self.ordered { ", against the order of time" } else { "" };
        write!(f, "{} ({}{ordered}): {}", self.kind, self.kind.plain(), self.explanation)
    }
}
