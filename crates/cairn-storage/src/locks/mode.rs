//! Lock modes and which of them exclude each other: PostgreSQL's, for keys (its row locks) and for objects (its
//! table locks). Advisory locks use [`ObjectLock::Share`] and [`ObjectLock::Exclusive`].
//!
//! I1: the conflict relation is symmetric, and modes of keys and of objects never meet on one target.

use std::fmt;

/// How a key is locked; each mode is stronger than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyLock {
    /// FOR KEY SHARE: the key stays, its value may change. What a foreign key needs of its parent.
    KeyShare,
    /// FOR SHARE: the value stays.
    Share,
    /// FOR NO KEY UPDATE: the value may be changed by the holder. What writing a value takes.
    NoKeyUpdate,
    /// FOR UPDATE: the holder may delete the key. What deleting it takes.
    Update,
}

/// How an object is locked: PostgreSQL's eight table modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectLock {
    /// Reading.
    AccessShare,
    /// Locking rows.
    RowShare,
    /// Writing rows.
    RowExclusive,
    /// One maintenance job at a time.
    ShareUpdateExclusive,
    /// No writing by others: building an index.
    Share,
    /// As `Share`, by one holder.
    ShareRowExclusive,
    /// Others read only.
    Exclusive,
    /// Nobody else.
    AccessExclusive,
}

/// A lock mode of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockMode {
    /// Of a key.
    Key(KeyLock),
    /// Of an object, or of an advisory lock.
    Object(ObjectLock),
}

/// A set of modes: a bit for each.
pub(crate) type Modes = u16;

/// How many modes there are.
pub(crate) const MODES: usize = 12;

/// For each mode, by its place, those that it excludes: first the four of keys, then the eight of objects.
const CONFLICTS: [Modes; MODES] = [
    0b1000,
    0b1100,
    0b1110,
    0b1111,
    0b1000_0000 << 4,
    0b1100_0000 << 4,
    0b1111_0000 << 4,
    0b1111_1000 << 4,
    0b1110_1100 << 4,
    0b1111_1100 << 4,
    0b1111_1110 << 4,
    0b1111_1111 << 4,
];

impl LockMode {
    /// All modes.
    pub(crate) const ALL: [LockMode; MODES] = [
        LockMode::Key(KeyLock::KeyShare),
        LockMode::Key(KeyLock::Share),
        LockMode::Key(KeyLock::NoKeyUpdate),
        LockMode::Key(KeyLock::Update),
        LockMode::Object(ObjectLock::AccessShare),
        LockMode::Object(ObjectLock::RowShare),
        LockMode::Object(ObjectLock::RowExclusive),
        LockMode::Object(ObjectLock::ShareUpdateExclusive),
        LockMode::Object(ObjectLock::Share),
        LockMode::Object(ObjectLock::ShareRowExclusive),
        LockMode::Object(ObjectLock::Exclusive),
        LockMode::Object(ObjectLock::AccessExclusive),
    ];

    fn place(self) -> usize {
        match self {
            LockMode::Key(mode) => mode as usize,
            LockMode::Object(mode) => 4 + mode as usize,
        }
    }

    pub(crate) fn bit(self) -> Modes {
        1 << self.place()
    }

    /// The modes that this one excludes.
    pub(crate) fn conflicting(self) -> Modes {
        CONFLICTS[self.place()]
    }

    /// Whether two transactions cannot hold these modes of one target at once.
    pub fn conflicts_with(self, other: LockMode) -> bool {
        self.conflicting() & other.bit() != 0
    }

    /// The modes of a set, weakest first.
    pub(crate) fn of(modes: Modes) -> impl Iterator<Item = LockMode> {
        LockMode::ALL.into_iter().filter(move |mode| modes & mode.bit() != 0)
    }
}

impl KeyLock {
    /// Whether writers are kept away: then what was read under the lock stays.
    pub(crate) fn excludes_writers(self) -> bool {
        self >= KeyLock::Share
    }
}

impl fmt::Display for LockMode {
    /// PostgreSQL's name for it: `ForUpdate` of its row locks, `RowExclusiveLock` of its table locks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockMode::Key(KeyLock::KeyShare) => f.write_str("For Key Share"),
            LockMode::Key(KeyLock::Share) => f.write_str("For Share"),
            LockMode::Key(KeyLock::NoKeyUpdate) => f.write_str("For No Key Update"),
            LockMode::Key(KeyLock::Update) => f.write_str("For Update"),
            LockMode::Object(mode) => write!(f, "{mode:?}Lock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PostgreSQL's documentation, tables 13.2 and 13.3: X = excluded.
    #[test]
    fn the_matrix_is_postgresqls() {
        let keys = ["...X", "..XX", ".XXX", "XXXX"];
        let objects =
            [".......X", "......XX", "....XXXX", "...XXXXX", "..XX.XXX", "..XXXXXX", ".XXXXXXX", "XXXXXXXX"];
        for (i, a) in LockMode::ALL.into_iter().enumerate() {
            for (j, b) in LockMode::ALL.into_iter().enumerate() {
                let wanted = match (i < 4, j < 4) {
                    (true, true) => keys[i].as_bytes()[j] == b'X',
                    (false, false) => objects[i - 4].as_bytes()[j - 4] == b'X',
                    _ => false,
                };
                assert_eq!(a.conflicts_with(b), wanted, "{a} {b}");
                assert_eq!(a.conflicts_with(b), b.conflicts_with(a));
            }
        }
    }
}
