//! Sequences and counters: numbers that are given once and never taken back.
//!
//! I1: a value is given only after the log holds a position at or behind it. The position is written on its own,
//! unsynced: the log is in order, so when a row that holds the value is durable, the position is too.
//! I2: a sequence that a transaction has created or restarted stands in that transaction until it commits.
//!
//! Positions are logged [`AHEAD`] values ahead, so a crash leaves a gap of at most that; a clean close leaves none.

use std::collections::HashMap;

use cairn_storage::{Store, SyncMode, WriteBatch};
use parking_lot::Mutex;

use crate::catalog::{ObjectId, SequenceDescriptor};
use crate::error::{Error, Result};
use crate::key_space::{object_key, section, sequence_key};
use crate::transaction::Transaction;

/// How many values are logged ahead, at least.
const AHEAD: i64 = 32;

/// Where a sequence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The value given last, or the one to be given first.
    pub(crate) last: i64,
    /// Whether `last` was given.
    pub(crate) called: bool,
}

impl Position {
    pub(crate) fn start(sequence: &SequenceDescriptor) -> Position {
        Position { last: sequence.start, called: false }
    }

    /// 9 bytes: `last` i64 LE, `called` u8.
    pub(crate) fn encode(self) -> [u8; 9] {
        let mut out = [0; 9];
        out[..8].copy_from_slice(&self.last.to_le_bytes());
        out[8] = u8::from(self.called);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Position> {
        let bytes: [u8; 9] = bytes.try_into().map_err(|_| Error::corrupt("sequence state", "not 9 bytes"))?;
        let mut last = [0; 8];
        last.copy_from_slice(&bytes[..8]);
        Ok(Position { last: i64::from_le_bytes(last), called: bytes[8] != 0 })
    }

    /// The next value, and the position after it.
    fn next(self, sequence: &SequenceDescriptor) -> Result<Position> {
        if !self.called {
            return Ok(Position { last: self.last, called: true });
        }
        let next = self.last.checked_add(sequence.increment);
        let next = next.filter(|n| (sequence.min..=sequence.max).contains(n));
        let last = match next {
            Some(next) => next,
            None if sequence.cycle && sequence.increment > 0 => sequence.min,
            None if sequence.cycle => sequence.max,
            None => return Err(exhausted(sequence)),
        };
        Ok(Position { last, called: true })
    }
}

fn exhausted(sequence: &SequenceDescriptor) -> Error {
    let (word, limit) =
        if sequence.increment > 0 { ("maximum", sequence.max) } else { ("minimum", sequence.min) };
    let message = format!("nextval: reached {word} value of sequence \"{}\" ({limit})", sequence.name);
    Error::Data { sqlstate: "2200H", message }
}

#[derive(Clone, Copy, Debug)]
struct Cursor {
    position: Position,
    /// How many more values the logged position covers.
    ahead: i64,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    next: u64,
    logged: u64,
}

/// The sequences and counters of an open database.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    cursors: Mutex<HashMap<(ObjectId, u32), Cursor>>,
    counters: Mutex<HashMap<ObjectId, Counter>>,
}

impl Sequences {
    /// Gives `n` values of a committed sequence to `give`.
    fn take(
        &self,
        store: &Store,
        sequence: &SequenceDescriptor,
        n: usize,
        mut give: impl FnMut(i64),
    ) -> Result<()> {
        let mut cursors = self.cursors.lock();
        let mut cursor = match cursors.get(&id(sequence)) {
            Some(cursor) => *cursor,
            None => Cursor { position: load(store, sequence)?, ahead: 0 },
        };
        let mut values = Vec::with_capacity(n);
        for _ in 0..n {
            cursor.position = cursor.position.next(sequence)?;
            values.push(cursor.position.last);
        }
        cursor.ahead -= n as i64;
        if cursor.ahead < 0 {
            let mut logged = cursor.position;
            cursor.ahead = 0;
            while cursor.ahead < AHEAD.max(sequence.cache)
                && let Some(last) = logged.last.checked_add(sequence.increment)
                && (sequence.min..=sequence.max).contains(&last)
            {
                logged.last = last;
                cursor.ahead += 1;
            }
            write_position(store, sequence, logged)?;
        }
        cursors.insert(id(sequence), cursor);
        values.into_iter().for_each(&mut give);
        Ok(())
    }

    fn set(&self, store: &Store, sequence: &SequenceDescriptor, position: Position) -> Result<()> {
        let mut cursors = self.cursors.lock();
        write_position(store, sequence, position)?;
        cursors.insert(id(sequence), Cursor { position, ahead: 0 });
        Ok(())
    }

    fn position(&self, store: &Store, sequence: &SequenceDescriptor) -> Result<Position> {
        match self.cursors.lock().get(&id(sequence)) {
            Some(cursor) => Ok(cursor.position),
            None => load(store, sequence),
        }
    }

    /// DDL has committed: increments may be others now, so what is logged ahead no longer counts.
    pub(crate) fn definitions_changed(&self) {
        self.cursors.lock().values_mut().for_each(|cursor| cursor.ahead = 0);
    }

    /// The first of `n` consecutive numbers of a counter (row ids of a table; object ids under 0), from `first` on.
    pub(crate) fn count(&self, store: &Store, counter: ObjectId, first: u64, n: u64) -> Result<u64> {
        let mut counters = self.counters.lock();
        let key = object_key(section::COUNTERS, counter);
        let mut at = match counters.get(&counter) {
            Some(at) => *at,
            None => {
                let next = match store.snapshot().get(&key)? {
                    Some(bytes) => decode_u64(&bytes)?.max(first),
                    None => first,
                };
                Counter { next, logged: next }
            }
        };
        let start = at.next;
        at.next += n;
        if at.next > at.logged {
            at.logged = at.next + if counter == 0 { 15 } else { n.clamp(64, 4096) };
            let mut batch = WriteBatch::new();
            batch.put(&key, &at.logged.to_le_bytes())?;
            store.write(batch, Some(SyncMode::None))?;
        }
        counters.insert(counter, at);
        Ok(start)
    }

    /// Logs where all sequences really stand, so that a clean close leaves no gaps. `known` tells which still exist.
    pub(crate) fn settle(&self, store: &Store, known: impl Fn(ObjectId, u32) -> bool) -> Result<()> {
        let mut cursors = self.cursors.lock();
        let mut batch = WriteBatch::new();
        for ((id, generation), cursor) in cursors.iter_mut() {
            if cursor.ahead == 0 || !known(*id, *generation) {
                continue;
            }
            batch.put(&sequence_key(*id, *generation), &cursor.position.encode())?;
            cursor.ahead = 0;
        }
        if !batch.is_empty() {
            store.write(batch, Some(SyncMode::None))?;
        }
        Ok(())
    }
}

fn decode_u64(bytes: &[u8]) -> Result<u64> {
    let bytes: [u8; 8] = bytes.try_into().map_err(|_| Error::corrupt("counter", "not 8 bytes"))?;
    Ok(u64::from_le_bytes(bytes))
}

fn load(store: &Store, sequence: &SequenceDescriptor) -> Result<Position> {
    match store.snapshot().get(&sequence_key(sequence.id, sequence.generation))? {
        Some(bytes) => Position::decode(&bytes),
        None => Ok(Position::start(sequence)),
    }
}

fn id(sequence: &SequenceDescriptor) -> (ObjectId, u32) {
    (sequence.id, sequence.generation)
}

fn write_position(store: &Store, sequence: &SequenceDescriptor, position: Position) -> Result<()> {
    let mut batch = WriteBatch::new();
    batch.put(&sequence_key(sequence.id, sequence.generation), &position.encode())?;
    store.write(batch, Some(SyncMode::None))?;
    Ok(())
}

impl Transaction {
    /// The next value of a sequence. It is given for good: neither rollback nor a crash gives it again.
    ///
    /// # Errors
    /// [`Error::Data`] (2200H) at the end of a sequence without CYCLE, [`Error::Undefined`], [`Error::Storage`].
    pub fn nextval(&self, sequence: ObjectId) -> Result<i64> {
        let mut value = 0;
        self.take_values(sequence, 1, |v| value = v)?;
        Ok(value)
    }

    /// The next `n` values of a sequence, for bulk inserts; all of them or none.
    ///
    /// # Errors
    /// As [`Transaction::nextval`].
    pub fn nextval_many(&self, sequence: ObjectId, n: usize) -> Result<Vec<i64>> {
        let mut values = Vec::with_capacity(n);
        self.take_values(sequence, n, |v| values.push(v))?;
        Ok(values)
    }

    fn take_values(&self, id: ObjectId, n: usize, mut give: impl FnMut(i64)) -> Result<()> {
        self.check_writable("nextval()")?;
        let mut definitions = self.definitions.lock();
        let sequence = descriptor(&definitions.catalog, id)?;
        if let Some(position) = definitions.sequences.get_mut(&id) {
            let mut at = *position;
            let mut values = Vec::with_capacity(n);
            for _ in 0..n {
                at = at.next(&sequence)?;
                values.push(at.last);
            }
            *position = at;
            values.into_iter().for_each(give);
            return Ok(());
        }
        drop(definitions);
        self.database.sequences.take(&self.database.store, &sequence, n, &mut give)
    }

    /// Sets where a sequence stands, at once and for all, as PostgreSQL's `setval`: the next value is `value` itself
    /// where `called` is false.
    ///
    /// # Errors
    /// [`Error::Data`] (22003) where `value` is out of the sequence's bounds, [`Error::Undefined`],
    /// [`Error::Storage`].
    pub fn setval(&self, id: ObjectId, value: i64, called: bool) -> Result<()> {
        self.check_writable("setval()")?;
        let mut definitions = self.definitions.lock();
        let sequence = descriptor(&definitions.catalog, id)?;
        if !(sequence.min..=sequence.max).contains(&value) {
            let (name, min, max) = (&sequence.name, sequence.min, sequence.max);
            let message =
                format!("setval: value {value} is out of bounds for sequence \"{name}\" ({min}..{max})");
            return Err(Error::Data { sqlstate: "22003", message });
        }
        let position = Position { last: value, called };
        if let Some(at) = definitions.sequences.get_mut(&id) {
            *at = position;
            return Ok(());
        }
        drop(definitions);
        self.database.sequences.set(&self.database.store, &sequence, position)
    }

    /// Where a sequence stands: its last value (or first, where none was given yet), and whether that was given.
    ///
    /// # Errors
    /// [`Error::Undefined`], [`Error::Storage`].
    pub fn sequence_state(&self, id: ObjectId) -> Result<(i64, bool)> {
        let definitions = self.definitions.lock();
        let sequence = descriptor(&definitions.catalog, id)?;
        let local = definitions.sequences.get(&id).copied();
        drop(definitions);
        let position = match local {
            Some(position) => position,
            None => self.database.sequences.position(&self.database.store, &sequence)?,
        };
        Ok((position.last, position.called))
    }
}

fn descriptor(catalog: &crate::catalog::Catalog, id: ObjectId) -> Result<std::sync::Arc<SequenceDescriptor>> {
    let missing = || Error::undefined(crate::error::ObjectKind::Relation, &id.to_string());
    catalog.sequence_by_id(id).cloned().ok_or_else(missing)
}
