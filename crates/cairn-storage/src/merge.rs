//! Merges cursors into one, forward and back.
//!
//! The current child is kept apart from a binary heap of the others. A step moves it and compares it
//! with the top of the heap only: runs of entries from one child (the rule in a tree whose levels grow
//! tenfold) cost one comparison each. The first eight bytes of each key are compared as a number before
//! whole keys are.
//!
//! Guarantees: entries come in the order of entries; of equal ones (same key and sequence) the child
//! given first comes first, in either direction of a forward run. After an error the cursor is not valid.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::error::Result;
use crate::key::{CommitSeq, Cursor, Kind, Run, SEQ_MAX};

/// A merge of cursors; newer sources are given first.
pub(crate) struct MergeCursor {
    children: Vec<Child>,
    /// Children that are valid but not current, a heap by the current direction.
    heap: Vec<usize>,
    current: Option<usize>,
    forward: bool,
}

struct Child {
    cursor: Box<dyn Cursor>,
    /// First bytes of the key as a number: decides most comparisons.
    prefix: u64,
}

impl Child {
    #[inline]
    fn refresh(&mut self) {
        let key = self.cursor.key();
        self.prefix = match key.first_chunk::<8>() {
            Some(first) => u64::from_be_bytes(*first),
            None => {
                let mut first = [0; 8];
                first[..key.len()].copy_from_slice(key);
                u64::from_be_bytes(first)
            }
        };
    }
}

impl MergeCursor {
    /// Merges `cursors`.
    pub(crate) fn new(cursors: Vec<Box<dyn Cursor>>) -> MergeCursor {
        let children: Vec<Child> = cursors.into_iter().map(|cursor| Child { cursor, prefix: 0 }).collect();
        MergeCursor { heap: Vec::with_capacity(children.len()), children, current: None, forward: true }
    }

    /// The order of two valid children in the order of entries, ties by number.
    #[inline]
    fn compare(&self, a: usize, b: usize) -> Ordering {
        let (x, y) = (&self.children[a], &self.children[b]);
        x.prefix.cmp(&y.prefix).then_with(|| {
            x.cursor
                .key()
                .cmp(y.cursor.key())
                .then_with(|| y.cursor.seq().cmp(&x.cursor.seq()))
                .then_with(|| a.cmp(&b))
        })
    }

    /// Whether child `a` comes before child `b` in the direction of the run.
    #[inline]
    fn comes_first(&self, a: usize, b: usize) -> bool {
        (self.compare(a, b) == Ordering::Less) == self.forward
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let mut first = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.comes_first(self.heap[child], self.heap[first]) {
                    first = child;
                }
            }
            if first == at {
                return;
            }
            self.heap.swap(at, first);
            at = first;
        }
    }

    /// Builds heap and current from the positions of all children.
    fn rebuild(&mut self) {
        self.heap.clear();
        for i in 0..self.children.len() {
            if self.children[i].cursor.valid() {
                self.children[i].refresh();
                self.heap.push(i);
            }
        }
        for at in (0..self.heap.len() / 2).rev() {
            self.sift_down(at);
        }
        self.current = self.pop();
    }

    fn pop(&mut self) -> Option<usize> {
        if self.heap.is_empty() {
            return None;
        }
        let first = self.heap.swap_remove(0);
        self.sift_down(0);
        Some(first)
    }

    /// After the current child moved: is it still first?
    #[inline]
    fn settle(&mut self, current: usize) {
        if self.children[current].cursor.valid() {
            self.children[current].refresh();
            if let Some(&top) = self.heap.first()
                && self.comes_first(top, current)
            {
                self.heap[0] = current;
                self.current = Some(top);
                self.sift_down(0);
            }
        } else {
            self.current = self.pop();
        }
    }

    /// Turns the direction: places every other child on the far side of the current entry.
    #[cold]
    fn turn(&mut self, current: usize, forward: bool) -> Result<()> {
        let key = self.children[current].cursor.key().to_vec();
        let seq = self.children[current].cursor.seq();
        for i in 0..self.children.len() {
            if i == current {
                continue;
            }
            let child = &mut self.children[i].cursor;
            child.seek(&key, seq)?;
            if forward {
                // An equal entry of a child before this one was passed already.
                if i < current && child.valid() && child.key() == key && child.seq() == seq {
                    child.next()?;
                }
            } else if i < current && child.valid() && child.key() == key && child.seq() == seq {
                // An equal entry of a child before this one comes before it: next on the way back.
            } else if child.valid() {
                child.prev()?;
            } else {
                child.seek_last_before(None)?;
            }
        }
        self.forward = forward;
        self.rebuild_around(current);
        Ok(())
    }

    /// As `rebuild`, with the current child known.
    fn rebuild_around(&mut self, current: usize) {
        self.rebuild();
        debug_assert!(self.current.is_some());
        if let Some(found) = self.current
            && found != current
        {
            // `current` is first by construction; put it there whatever the children say.
            self.heap.retain(|&i| i != current);
            self.heap.push(found);
            for at in (0..self.heap.len() / 2).rev() {
                self.sift_down(at);
            }
            self.current = Some(current);
        }
    }

    #[inline]
    fn step(&mut self, forward: bool) -> Result<()> {
        let Some(current) = self.current else { return Ok(()) };
        if self.forward != forward {
            self.turn(current, forward)?;
        }
        let cursor = &mut self.children[current].cursor;
        if forward {
            cursor.next()?
        } else {
            cursor.prev()?
        }
        self.settle(current);
        Ok(())
    }

    /// Forward: leaves out versions of `key`, where the merge stands: of those that no transaction in progress wrote
    /// the ones newer than `upto`; with `upto` 0 all that there are. Costs a seek in each source that has the key
    /// next, however many versions there are.
    #[cold]
    pub(crate) fn leap(&mut self, key: &[u8], upto: CommitSeq) -> Result<()> {
        let leap = |child: &mut Child| {
            let cursor = &mut child.cursor;
            let over = |seq: CommitSeq| upto == 0 || (seq > upto && seq <= SEQ_MAX);
            if cursor.valid() && over(cursor.seq()) && cursor.key() == key {
                cursor.seek(key, upto)
            } else {
                Ok(())
            }
        };
        debug_assert!(self.forward);
        let done = self.children.iter_mut().try_for_each(leap);
        done.inspect_err(|_| self.current = None)?;
        self.rebuild();
        Ok(())
    }

    /// Forward: entries of the current child that lie side by side, and the key before which they come
    /// before all other children's; `None` where they cannot be had. The merge must be valid.
    pub(crate) fn forward_run(&mut self) -> Option<(Run<'_>, Option<&[u8]>)> {
        let current = self.current.filter(|_| self.forward)?;
        let Some(&other) = self.heap.first() else {
            return Some((self.children[current].cursor.run()?, None));
        };
        let [child, other] = self.children.get_disjoint_mut([current, other]).ok()?;
        let run = child.cursor.run()?;
        Some((run, Some(other.cursor.key())))
    }

    #[inline]
    fn here(&self) -> &dyn Cursor {
        let current = self.current.expect("I: the accessors of a cursor are called only where it is valid");
        &*self.children[current].cursor
    }
}

impl Cursor for MergeCursor {
    fn seek(&mut self, key: &[u8], seq: CommitSeq) -> Result<()> {
        self.current = None;
        for child in &mut self.children {
            child.cursor.seek(key, seq)?;
        }
        self.forward = true;
        self.rebuild();
        Ok(())
    }

    fn seek_last_before(&mut self, key: Option<&[u8]>) -> Result<()> {
        self.current = None;
        for child in &mut self.children {
            child.cursor.seek_last_before(key)?;
        }
        self.forward = false;
        self.rebuild();
        Ok(())
    }

    #[inline]
    fn next(&mut self) -> Result<()> {
        self.step(true).inspect_err(|_| self.current = None)
    }

    #[inline]
    fn prev(&mut self) -> Result<()> {
        self.step(false).inspect_err(|_| self.current = None)
    }

    #[inline]
    fn valid(&self) -> bool {
        self.current.is_some()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.here().key()
    }

    #[inline]
    fn seq(&self) -> CommitSeq {
        self.here().seq()
    }

    #[inline]
    fn kind(&self) -> Kind {
        self.here().kind()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.here().value()
    }

    fn value_bytes(&self) -> Bytes {
        self.here().value_bytes()
    }

    #[inline]
    fn run(&mut self) -> Option<Run<'_>> {
        self.children[self.current?].cursor.run()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::key::SEQ_LAST;
    use proptest::prelude::*;

    type Entry = (Vec<u8>, CommitSeq, usize);

    /// A cursor over a sorted list.
    struct ListCursor {
        entries: Vec<Entry>,
        at: Option<usize>,
    }

    fn order(a: &Entry, b: &Entry) -> Ordering {
        a.0.cmp(&b.0).then(b.1.cmp(&a.1)).then(a.2.cmp(&b.2))
    }

    impl Cursor for ListCursor {
        fn seek(&mut self, key: &[u8], seq: CommitSeq) -> Result<()> {
            let at = self.entries.partition_point(|e| (&e.0[..], !e.1) < (key, !seq));
            self.at = (at < self.entries.len()).then_some(at);
            Ok(())
        }
        fn seek_last_before(&mut self, key: Option<&[u8]>) -> Result<()> {
            let at = self.entries.partition_point(|e| key.is_none_or(|key| &e.0[..] < key));
            self.at = at.checked_sub(1);
            Ok(())
        }
        fn next(&mut self) -> Result<()> {
            self.at = self.at.map(|at| at + 1).filter(|&at| at < self.entries.len());
            Ok(())
        }
        fn prev(&mut self) -> Result<()> {
            self.at = self.at.and_then(|at| at.checked_sub(1));
            Ok(())
        }
        fn valid(&self) -> bool {
            self.at.is_some()
        }
        fn key(&self) -> &[u8] {
            &self.entries[self.at.unwrap()].0
        }
        fn seq(&self) -> CommitSeq {
            self.entries[self.at.unwrap()].1
        }
        fn kind(&self) -> Kind {
            Kind::Put
        }
        fn value(&self) -> &[u8] {
            std::slice::from_ref(&[1u8, 2, 3, 4, 5, 6, 7, 8][self.entries[self.at.unwrap()].2])
        }
    }

    proptest! {
        #[test]
        fn equals_a_sorted_list(
            lists in proptest::collection::vec(
                proptest::collection::btree_set(
                    (proptest::collection::vec(0u8..3, 0..4), 1u64..6), 0..20), 0..6),
            moves in proptest::collection::vec((0u8..7, proptest::collection::vec(0u8..3, 0..4), 0u64..6), 1..80),
        ) {
            let mut all: Vec<Entry> = Vec::new();
            let mut cursors: Vec<Box<dyn Cursor>> = Vec::new();
            for (i, list) in lists.into_iter().enumerate() {
                let mut entries: Vec<Entry> = list.into_iter().map(|(key, seq)| (key, seq, i)).collect();
                entries.sort_by(order);
                all.extend(entries.iter().cloned());
                cursors.push(Box::new(ListCursor { entries, at: None }));
            }
            all.sort_by(order);
            let mut merge = MergeCursor::new(cursors);
            let mut at: Option<usize> = None;
            for (what, key, seq) in moves {
                match what {
                    0 => {
                        merge.seek(&key, seq).unwrap();
                        let found = all.partition_point(|e| (&e.0[..], !e.1) < (&key[..], !seq));
                        at = (found < all.len()).then_some(found);
                    }
                    1 => {
                        merge.seek_last_before(Some(&key)).unwrap();
                        at = all.partition_point(|e| e.0 < key).checked_sub(1);
                    }
                    2 | 3 if at.is_some() => {
                        merge.next().unwrap();
                        at = at.map(|at| at + 1).filter(|&at| at < all.len());
                    }
                    4 | 5 if at.is_some() => {
                        merge.prev().unwrap();
                        at = at.and_then(|at| at.checked_sub(1));
                    }
                    6 if at.is_some() && merge.forward => {
                        let here = all[at.unwrap()].0.clone();
                        merge.leap(&here, seq).unwrap();
                        let found = at.unwrap()
                            + all[at.unwrap()..].iter().take_while(|e| e.0 == here && (seq == 0 || e.1 > seq)).count();
                        at = (found < all.len()).then_some(found);
                    }
                    _ => {
                        merge.seek(b"", SEQ_LAST).unwrap();
                        at = (!all.is_empty()).then_some(0);
                    }
                }
                prop_assert_eq!(merge.valid(), at.is_some());
                if let Some(at) = at {
                    prop_assert_eq!(
                        (merge.key(), merge.seq(), usize::from(merge.value()[0]) - 1),
                        (&all[at].0[..], all[at].1, all[at].2)
                    );
                }
            }
        }
    }
}
