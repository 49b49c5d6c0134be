//! What a life with several clients may have done: which commits are known to stand where in the order, which
//! were tried and never answered, what was read at which commit; and the judgement of what is found afterwards.
//!
//! A commit that is answered has its sequence. One that failed, or was under way when the machine stopped, is
//! open: it stands in one of the gaps, or nowhere. The judgement looks for one order that explains everything
//! that was found and read, and panics where there is none.
//!
//! Invariants:
//! - I1: sequences are consecutive: every one up to the last is known or filled by an open commit.
//! - I2: `durable` and `written` are sequences; all up to them survive a power cut, or the process's death.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cairn_storage::{KeyRange, SyncMode};

use crate::model::{State, Write, difference};

/// Orders tried before the judgement gives up.
const ORDERS_MAX: usize = 20_000;

/// Something that was read.
pub(crate) struct Look {
    /// At which commit.
    pub(crate) seq: u64,
    /// Own writes of the transaction so far.
    pub(crate) own: Vec<Write>,
    pub(crate) range: KeyRange,
    pub(crate) found: Vec<(Bytes, Bytes)>,
}

/// A transaction that was validated.
pub(crate) struct Deal {
    pub(crate) snapshot: u64,
    /// Its sequence, or the last visible commit when it was told of a conflict.
    pub(crate) outcome: Result<u64, u64>,
    pub(crate) writes: Vec<KeyRange>,
    /// What a serializable transaction read.
    pub(crate) reads: Vec<KeyRange>,
    /// What it read of which own writes answered a part.
    pub(crate) partly_own: Vec<KeyRange>,
}

/// A commit without a sequence.
struct Open {
    writes: Arc<Vec<Write>>,
    /// How many attempts there were when it failed; none while it is under way.
    failed: Option<u64>,
    /// It stands before this sequence if anywhere: what failed does not come back behind what began later.
    before: u64,
}

/// One life of the database, with several clients.
#[derive(Default)]
pub(crate) struct Life {
    /// The last commit of the life before, and what it left.
    base: u64,
    start: Arc<State>,
    known: BTreeMap<u64, Arc<Vec<Write>>>,
    open: BTreeMap<u64, Open>,
    tried: u64,
    pub(crate) durable: u64,
    pub(crate) written: u64,
    pub(crate) acknowledged: u64,
    pub(crate) looks: Vec<Look>,
    pub(crate) deals: Vec<Deal>,
    /// Checkpoints that were acknowledged.
    pub(crate) copies: Vec<(std::path::PathBuf, u64)>,
    /// How many compact or make a checkpoint.
    pub(crate) maintaining: usize,
    /// Somebody makes a checkpoint, or did.
    pub(crate) copying: bool,
    /// Somebody did not wait for an answer, and there are no checkpoints.
    pub(crate) forgets: bool,
    /// Somebody closes the store while others work.
    pub(crate) closing: bool,
    /// Somebody opened it again meanwhile.
    pub(crate) reopened: bool,
    pub(crate) poisoned: bool,
    /// The commit that must be found at least; set when the life has ended.
    pub(crate) floor: u64,
    /// A power cut was among the ends since: what is found then is on the disk.
    pub(crate) after_cut: bool,
}

impl Life {
    /// A life that begins with `start`, after commit `base`; all before `durable` is on the disk.
    pub(crate) fn new(base: u64, start: State, durable: u64) -> Life {
        let start = Arc::new(start);
        Life { base, start, durable, written: base, acknowledged: base, ..Life::default() }
    }

    /// Notes what is about to be committed.
    pub(crate) fn attempt(&mut self, writes: Vec<Write>) -> u64 {
        self.tried += 1;
        self.open.insert(self.tried, Open { writes: Arc::new(writes), failed: None, before: u64::MAX });
        self.tried
    }

    /// An attempt was acknowledged; `before` is what [`Life::acknowledged`] was when it began.
    pub(crate) fn acknowledge(&mut self, attempt: u64, seq: u64, mode: SyncMode, before: u64) {
        let writes = self.open.remove(&attempt).unwrap().writes;
        for failed in self.open.values_mut().filter(|open| open.failed.is_some_and(|at| at < attempt)) {
            failed.before = failed.before.min(seq);
        }
        assert!(seq > before, "commit {seq} began when {before} was acknowledged");
        assert!(self.known.insert(seq, writes).is_none(), "two commits are told the sequence {seq}");
        self.acknowledged = self.acknowledged.max(seq);
        match mode {
            SyncMode::Sync => self.durable = self.durable.max(seq),
            SyncMode::Async => self.written = self.written.max(seq),
            SyncMode::None => {}
        }
        self.written = self.written.max(self.durable);
    }

    /// Everything up to a commit is on the disk.
    pub(crate) fn synced(&mut self, seq: u64) {
        self.durable = self.durable.max(seq);
        self.written = self.written.max(seq);
    }

    /// An attempt failed; whether it is there shows after the next start, unless it is known to be nowhere. Others may
    /// have met it as a conflict.
    pub(crate) fn fail(&mut self, attempt: u64, is_nowhere: bool) {
        let open = self.open.get_mut(&attempt).unwrap();
        open.failed = Some(self.tried);
        if is_nowhere {
            open.before = 0;
        }
    }

    /// An attempt was refused: it is nowhere.
    pub(crate) fn refuse(&mut self, attempt: u64) {
        self.open.remove(&attempt);
    }

    /// How many attempts have no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.open.len()
    }

    /// Judges that the store holds `found` as of commit `last`; gives the states of the copies.
    pub(crate) fn judge(&self, found: &State, last: u64, floor: u64) -> Vec<(std::path::PathBuf, State)> {
        assert!(last >= floor, "commits up to {floor} are due, the last one found is {last}");
        let known = self.known.keys().next_back().copied().unwrap_or(self.base);
        let read = self.looks.iter().map(|look| look.seq).max().unwrap_or(self.base);
        let end = last.max(known).max(read);
        let gaps: Vec<u64> = (self.base + 1..=end).filter(|seq| !self.known.contains_key(seq)).collect();
        let open: Vec<&Open> = self.open.values().collect();
        let gaps_told = format!("gaps {gaps:?} of {}..={end}, {} open commits", self.base + 1, open.len());
        assert!(gaps.len() <= open.len(), "a sequence without a commit: {gaps_told}");
        let mut tried = 0;
        let mut first = None;
        let mut order = Vec::new();
        let judged = fill(&gaps, &open, &mut order, &mut |order| {
            tried += 1;
            assert!(tried < ORDERS_MAX, "too many orders: {gaps_told}");
            let mut commits = self.known.clone();
            commits.extend(gaps.iter().zip(order).map(|(gap, at)| (*gap, Arc::clone(&open[*at].writes))));
            match self.explain(&commits, found, last, end) {
                Ok(copies) => Some(copies),
                Err(what) => {
                    first.get_or_insert(what);
                    None
                }
            }
        });
        judged.unwrap_or_else(|| {
            panic!("no order of {tried} explains it ({gaps_told}): {}", first.unwrap_or_default())
        })
    }

    /// Whether one order explains everything.
    fn explain(
        &self,
        commits: &BTreeMap<u64, Arc<Vec<Write>>>,
        found: &State,
        last: u64,
        end: u64,
    ) -> Result<Vec<(std::path::PathBuf, State)>, String> {
        let mut looks: Vec<&Look> = self.looks.iter().collect();
        looks.sort_by_key(|look| look.seq);
        let mut looks = looks.into_iter().peekable();
        let mut copies = Vec::new();
        let mut state = State::clone(&self.start);
        for seq in self.base..=end {
            if let Some(writes) = commits.get(&seq) {
                writes.iter().for_each(|write| write.apply(&mut state));
            }
            if seq == last && state != *found {
                let differing = difference(&state, found);
                return Err(format!(
                    "commit {seq} is not what is found: {:?}",
                    &differing[..differing.len().min(3)]
                ));
            }
            while let Some(look) = looks.next_if(|look| look.seq <= seq) {
                look.check(&state)?;
            }
            for (dir, _) in self.copies.iter().filter(|(_, copied)| *copied == seq) {
                copies.push((dir.clone(), state.clone()));
            }
        }
        self.deals.iter().try_for_each(|deal| self.check_deal(deal, commits))?;
        Ok(copies)
    }

    /// First committer wins, and a serializable transaction's reads hold at its commit.
    fn check_deal(&self, deal: &Deal, commits: &BTreeMap<u64, Arc<Vec<Write>>>) -> Result<(), String> {
        let touched = |ranges: &[KeyRange], write: &Write| ranges.iter().any(|range| write.touches(range));
        let involved = |write: &Write| touched(&deal.writes, write) || touched(&deal.reads, write);
        match deal.outcome {
            Ok(seq) => {
                let between = commits.range(deal.snapshot + 1..seq.max(deal.snapshot + 1));
                for (other, writes) in between {
                    // A delete of what is not there is no change.
                    let broken =
                        writes.iter().find(|write| matches!(write, Write::Put(..)) && involved(write));
                    if let Some(write) = broken {
                        return Err(format!(
                            "commit {seq} of snapshot {} passed over commit {other}: {write:?}",
                            deal.snapshot
                        ));
                    }
                }
            }
            Err(upto) => {
                // An open commit may be the cause, wherever it stands.
                let mut others =
                    commits.range(deal.snapshot + 1..=upto.max(deal.snapshot + 1)).map(|(_, writes)| writes);
                if !others.any(|writes| writes.iter().any(involved)) && self.open.is_empty() {
                    return Err(format!(
                        "a conflict without cause: snapshot {}, up to {upto}",
                        deal.snapshot
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Look {
    fn check(&self, state: &State) -> Result<(), String> {
        let mut own;
        let mut state = state;
        if !self.own.is_empty() {
            own = state.clone();
            self.own.iter().for_each(|write| write.apply(&mut own));
            state = &own;
        }
        let wanted = state.iter().filter(|(key, _)| self.range.contains(key));
        if wanted.eq(self.found.iter().map(|(key, value)| (key, value))) {
            return Ok(());
        }
        let wanted = state.iter().filter(|(key, _)| self.range.contains(key));
        let wanted = wanted.map(|(key, value)| (key.clone(), value.clone())).collect();
        let differing = difference(&wanted, &self.found.iter().cloned().collect());
        Err(format!(
            "a read of {:?} at commit {} with {} own writes: {:?}",
            self.range,
            self.seq,
            self.own.len(),
            &differing[..differing.len().min(3)]
        ))
    }
}

/// Tries every way to fill the gaps with different ones of `open`, until `judge` gives something.
fn fill<T>(
    gaps: &[u64],
    open: &[&Open],
    order: &mut Vec<usize>,
    judge: &mut dyn FnMut(&[usize]) -> Option<T>,
) -> Option<T> {
    let Some(gap) = gaps.get(order.len()) else { return judge(order) };
    for at in 0..open.len() {
        if order.contains(&at) || *gap >= open[at].before {
            continue;
        }
        order.push(at);
        let judged = fill(gaps, open, order, judge);
        order.pop();
        if judged.is_some() {
            return judged;
        }
    }
    None
}
