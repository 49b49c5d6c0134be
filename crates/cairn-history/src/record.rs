//! Runs a plan against a database and writes down what was seen. The database is behind [`Client`].

use std::sync::atomic::{AtomicU64, Ordering};

use crate::history::{Found, Key, Operation, Outcome, Transaction, Value};
use crate::workload::{Plan, Planned};

/// A clock that all clients share: it counts calls. What it says agrees with real time and needs none.
#[derive(Debug, Default)]
pub struct Ticks(AtomicU64);

impl Ticks {
    /// A clock whose first moment is this one: it goes on where another ended.
    pub fn starting_at(moment: u64) -> Ticks {
        Ticks(AtomicU64::new(moment))
    }

    /// A moment after all that were given before.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Why an operation did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The transaction had no effect for sure: a conflict, a deadlock, a refusal.
    Aborted,
    /// Nobody knows, or not yet: the machine went down, the connection was lost.
    Unknown,
}

/// One client of a database, with one transaction at a time. Other failures than [`Failure`] are bugs: panic.
pub trait Client {
    /// Begins a transaction.
    ///
    /// # Errors
    /// A [`Failure`] ends the transaction; here and below.
    fn begin(&mut self) -> Result<(), Failure>;

    /// Adds a value to the end of a list that may be absent.
    ///
    /// # Errors
    /// See [`Client::begin`].
    fn append(&mut self, key: Key, value: Value) -> Result<(), Failure>;

    /// Sets a register.
    ///
    /// # Errors
    /// See [`Client::begin`].
    fn write(&mut self, key: Key, value: Value) -> Result<(), Failure>;

    /// Reads a key.
    ///
    /// # Errors
    /// See [`Client::begin`].
    fn read(&mut self, key: Key) -> Result<Found, Failure>;

    /// Reads a range of keys; what is absent is left out.
    ///
    /// # Errors
    /// See [`Client::begin`].
    fn scan(&mut self, first: Key, end: Key) -> Result<Vec<(Key, Found)>, Failure>;

    /// Commits.
    ///
    /// # Errors
    /// See [`Client::begin`].
    fn commit(&mut self) -> Result<(), Failure>;

    /// Takes the transaction back, if there is one. Called after a failure too.
    fn rollback(&mut self);
}

/// Runs one transaction and gives what the client saw of it.
pub fn run(client: &mut dyn Client, plan: &Plan, process: u32, ticks: &Ticks) -> Transaction {
    run_announced(client, plan, process, ticks, &mut |_| {})
}

/// As [`run`]; `announce` gets the transaction as one of unknown outcome right before its commit is asked for, which is
/// what is known of it should the process not live to tell the answer.
pub fn run_announced(
    client: &mut dyn Client,
    plan: &Plan,
    process: u32,
    ticks: &Ticks,
    announce: &mut dyn FnMut(&Transaction),
) -> Transaction {
    let begin = ticks.next();
    let mut operations = Vec::with_capacity(plan.operations.len());
    let worked = client.begin().and_then(|()| {
        for planned in &plan.operations {
            operations.push(operation(client, planned)?);
        }
        Ok(())
    });
    let outcome = match worked {
        // Nothing was asked to be committed, so nothing was, whatever went wrong.
        Err(_) => {
            client.rollback();
            Outcome::Aborted
        }
        Ok(()) if plan.rolls_back => {
            client.rollback();
            Outcome::Aborted
        }
        Ok(()) => {
            let times = Some((begin, ticks.next()));
            let asked = Transaction { process, times, outcome: Outcome::Unknown, operations };
            announce(&asked);
            operations = asked.operations;
            match client.commit() {
                Ok(()) => Outcome::Committed,
                Err(Failure::Aborted) => Outcome::Aborted,
                Err(Failure::Unknown) => Outcome::Unknown,
            }
        }
    };
    Transaction { process, times: Some((begin, ticks.next())), outcome, operations }
}

fn operation(client: &mut dyn Client, planned: &Planned) -> Result<Operation, Failure> {
    Ok(match *planned {
        Planned::Append(key, value) => {
            client.append(key, value)?;
            Operation::Append { key, value }
        }
        Planned::Write(key, value) => {
            client.write(key, value)?;
            Operation::Write { key, value }
        }
        Planned::Read(key) => Operation::Read { key, found: client.read(key)? },
        Planned::Scan(first, end) => Operation::Scan { first, end, found: client.scan(first, end)? },
    })
}
