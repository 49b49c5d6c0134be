//! Reference models: small databases that are right by construction, each at one isolation level, whose clients are
//! interleaved by a seed. Their histories may have what the level permits and nothing else.

use std::collections::BTreeMap;

use cairn_history::{
    Found, History, Key, Operation, Outcome, Plan, Planned, Shape, Transaction, Value, Workload,
};

/// How a model isolates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// Each transaction is done at one moment.
    Serial,
    /// A snapshot, and at commit all that was read and written must be as it was.
    Validated,
    /// A snapshot, and at commit all that was written must be as it was.
    Snapshot,
    /// Each operation reads what is committed; writers lock keys until they end.
    Committed,
    /// As `Committed`, but reads see what is not committed too.
    Uncommitted,
}

/// A number generator: xorshift.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.below(2);
        }
        random
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}

/// A key's committed versions with the commits that made them.
type Store = BTreeMap<Key, Vec<(u64, Found)>>;

struct Client {
    number: u64,
    plan: Plan,
    /// Next operation.
    at: usize,
    begin: u64,
    snapshot: u64,
    own: BTreeMap<Key, Vec<Value>>,
    done: Vec<Operation>,
}

const CLIENTS: usize = 6;

/// A history of about so many transactions, with a read of all keys at its end.
pub(crate) fn generate(seed: u64, model: Model, transactions: u64) -> History {
    let workload = Workload::new(seed, Shape::default());
    let mut random = Random::new(seed);
    let mut world = World { workload, store: Store::new(), commits: 0, locks: BTreeMap::new() };
    let mut history = History::default();
    let (mut clock, mut next) = (0, 0);
    let mut clients: Vec<Option<Client>> = (0..CLIENTS).map(|_| None).collect();
    while next < transactions || clients.iter().any(Option::is_some) {
        clock += 1;
        let at = random.below(CLIENTS);
        let Some(client) = clients[at].as_mut() else {
            if next < transactions {
                let plan = workload.plan(next);
                let snapshot = world.commits;
                let (own, done) = (BTreeMap::new(), Vec::new());
                clients[at] = Some(Client { number: next, plan, at: 0, begin: clock, snapshot, own, done });
                next += 1;
            }
            continue;
        };
        if let Some(outcome) = world.step(model, client, &mut random) {
            world.locks.retain(|_, owner| *owner != client.number);
            let client = clients[at].take().unwrap();
            history.transactions.push(Transaction {
                process: at as u32,
                times: Some((client.begin, clock)),
                outcome,
                operations: client.done,
            });
        }
    }
    let end = workload.keys_end(transactions);
    let found = (0..end).filter_map(|key| Some((key, world.committed(key, u64::MAX)?))).collect();
    history.transactions.push(Transaction {
        process: CLIENTS as u32,
        times: Some((clock + 1, clock + 2)),
        outcome: Outcome::Committed,
        operations: vec![Operation::Scan { first: 0, end, found }],
    });
    history
}

struct World {
    workload: Workload,
    store: Store,
    commits: u64,
    /// Who writes a key.
    locks: BTreeMap<Key, u64>,
}

impl World {
    fn committed(&self, key: Key, snapshot: u64) -> Option<Found> {
        let versions = self.store.get(&key)?;
        versions.iter().rev().find(|(commit, _)| *commit <= snapshot).map(|(_, found)| found.clone())
    }

    /// What a client sees of a key; `None` if it is absent.
    fn seen(&self, model: Model, client: &Client, key: Key) -> Option<Found> {
        let snapshot = match model {
            Model::Validated | Model::Snapshot => client.snapshot,
            _ => u64::MAX,
        };
        let base = self.committed(key, snapshot);
        match client.own.get(&key) {
            None => base,
            Some(own) => Some(self.with(key, base, own)),
        }
    }

    fn with(&self, key: Key, base: Option<Found>, own: &[Value]) -> Found {
        match base {
            _ if self.workload.is_register(key) => Found::Register(own.last().copied()),
            Some(Found::List(list)) => Found::List([&list[..], own].concat()),
            _ => Found::List(own.to_vec()),
        }
    }

    fn absent(&self, key: Key) -> Found {
        if self.workload.is_register(key) { Found::Register(None) } else { Found::List(Vec::new()) }
    }

    /// One step of a client; its outcome when it ended.
    fn step(&mut self, model: Model, client: &mut Client, random: &mut Random) -> Option<Outcome> {
        if model == Model::Serial && random.below(3) > 0 {
            return None;
        }
        loop {
            let Some(planned) = client.plan.operations.get(client.at).copied() else {
                return Some(self.end(model, client));
            };
            if let Planned::Append(key, _) | Planned::Write(key, _) = planned
                && matches!(model, Model::Committed | Model::Uncommitted)
                && *self.locks.entry(key).or_insert(client.number) != client.number
            {
                // It waits, or is the victim of a deadlock that was not looked for.
                return (random.below(8) == 0).then(|| self.abort(model, client));
            }
            let operation = self.operate(model, client, planned);
            client.done.push(operation);
            client.at += 1;
            if model != Model::Serial {
                return None;
            }
        }
    }

    fn operate(&mut self, model: Model, client: &mut Client, planned: Planned) -> Operation {
        match planned {
            Planned::Append(key, value) | Planned::Write(key, value) => {
                client.own.entry(key).or_default().push(value);
                if model == Model::Uncommitted {
                    let base = self.committed(key, u64::MAX);
                    let now = self.with(key, base, &[value]);
                    self.commits += 1;
                    self.store.entry(key).or_default().push((self.commits, now));
                }
                match planned {
                    Planned::Append(..) => Operation::Append { key, value },
                    _ => Operation::Write { key, value },
                }
            }
            Planned::Read(key) => {
                let found = self.look(model, client, key).unwrap_or_else(|| self.absent(key));
                Operation::Read { key, found }
            }
            Planned::Scan(first, end) => {
                let keys = (first..end).filter_map(|key| Some((key, self.look(model, client, key)?)));
                Operation::Scan { first, end, found: keys.collect() }
            }
        }
    }

    fn look(&self, model: Model, client: &Client, key: Key) -> Option<Found> {
        match model {
            // Own writes are among what is there.
            Model::Uncommitted => self.committed(key, u64::MAX),
            _ => self.seen(model, client, key),
        }
    }

    fn end(&mut self, model: Model, client: &mut Client) -> Outcome {
        if client.plan.rolls_back {
            return self.abort(model, client);
        }
        let changed = |world: &World, key: Key| {
            world
                .store
                .get(&key)
                .and_then(|versions| versions.last())
                .is_some_and(|(at, _)| *at > client.snapshot)
        };
        let reads = client.done.iter().flat_map(|operation| match operation {
            Operation::Read { key, .. } => *key..*key + 1,
            Operation::Scan { first, end, .. } => *first..*end,
            _ => 0..0,
        });
        let conflict = match model {
            Model::Snapshot => client.own.keys().any(|key| changed(self, *key)),
            Model::Validated if client.own.is_empty() => false,
            Model::Validated => reads.chain(client.own.keys().copied()).any(|key| changed(self, key)),
            _ => false,
        };
        if conflict {
            return Outcome::Aborted;
        }
        if model != Model::Uncommitted {
            self.commits += 1;
            for (key, own) in &client.own {
                let now = self.with(*key, self.committed(*key, u64::MAX), own);
                self.store.entry(*key).or_default().push((self.commits, now));
            }
        }
        Outcome::Committed
    }

    /// Takes back what is in the store already; the keys are locked, so nobody wrote upon it.
    fn abort(&mut self, model: Model, client: &Client) -> Outcome {
        if model == Model::Uncommitted {
            for (key, own) in &client.own {
                let versions = self.store.entry(*key).or_default();
                versions.truncate(versions.len() - own.len());
                if versions.is_empty() {
                    self.store.remove(key);
                }
            }
        }
        Outcome::Aborted
    }
}
