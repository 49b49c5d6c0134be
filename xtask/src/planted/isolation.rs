//! Planted bugs of isolation: each lets transactions see or do what their level forbids. The histories of
//! `crates/cairn-storage/tests/it/isolation.rs` must show each.

use super::Plant;

/// Every planted bug of isolation.
pub const ISOLATION_PLANTS: &[Plant] = &[
    Plant {
        name: "isolation: keys read are not validated",
        file: "crates/cairn-storage/src/commit.rs",
        text: "    for key in &request.checks.keys {\n",
        replacement: "    for key in request.checks.keys.iter().take(0) {\n",
    },
    Plant {
        name: "isolation: ranges read are not validated",
        file: "crates/cairn-storage/src/commit.rs",
        text: "    for range in &request.checks.ranges {\n",
        replacement: "    for range in request.checks.ranges.iter().take(0) {\n",
    },
    Plant {
        name: "isolation: the first committer does not win",
        file: "crates/cairn-storage/src/commit.rs",
        text: "            return conflict(\"another transaction wrote the same key\");\n",
        replacement: "            continue;\n",
    },
    Plant {
        name: "isolation: a group is not validated against itself",
        file: "crates/cairn-storage/src/commit.rs",
        text: "            if at + 1 < members {\n                group.add(",
        replacement: "            if at + 1 < members && at > members {\n                group.add(",
    },
    Plant {
        name: "isolation: a commit is visible before it is applied",
        file: "crates/cairn-storage/src/commit.rs",
        text: "        if sync && let Err(error) = self.sync_written(writer) {\n",
        replacement: "        self.snapshots.publish(writer.last_seq + accepted.len() as u64);\n        if sync && let Err(error) = self.sync_written(writer) {\n",
    },
    Plant {
        name: "isolation: a snapshot is taken too early",
        file: "crates/cairn-storage/src/registry.rs",
        text: "        let seq = self.newest();\n",
        replacement: "        let seq = self.newest().saturating_sub(1);\n",
    },
    Plant {
        name: "isolation: absence is not validated",
        file: "crates/cairn-storage/src/txn.rs",
        text: "        reads.add_key(key);\n",
        replacement: "        if hold.core().get(key, hold.seq())?.is_some() {\n            reads.add_key(key);\n        }\n",
    },
    Plant {
        name: "isolation: a range counts up to its last key",
        file: "crates/cairn-storage/src/visible.rs",
        text: "    fn finish(&mut self) {\n        self.mark = None;\n",
        replacement: "    fn finish(&mut self) {\n        if let Some(mark) = self.mark.take() {\n            mark.reads.narrow(mark.number, self.direction, &self.key);\n        }\n",
    },
    Plant {
        name: "isolation: reads come from the newest commit",
        file: "crates/cairn-storage/src/txn.rs",
        text: "    hold.core().get(key, hold.seq())\n}",
        replacement: "    hold.core().get(key, hold.core().snapshots.newest())\n}",
    },
    Plant {
        name: "isolation: own writes are not read",
        file: "crates/cairn-storage/src/txn.rs",
        text: "    if !own.is_empty() {\n        let (entry, cover)",
        replacement: "    if own.is_empty() && !own.is_empty() {\n        let (entry, cover)",
    },
    Plant {
        name: "isolation: a rollback commits",
        file: "crates/cairn-storage/src/txn.rs",
        text: "    pub fn rollback(self) {}\n",
        replacement: "    pub fn rollback(self) {\n        let _ = self.commit();\n    }\n",
    },
    Plant {
        name: "isolation: what is locked is read in the statement's snapshot",
        file: "crates/cairn-storage/src/txn.rs",
        text: "        sources.get(key, core.snapshots.newest())\n",
        replacement: "        sources.get(key, self.hold.seq())\n",
    },
    Plant {
        name: "isolation: Repeatable Read goes on from what has changed",
        file: "crates/cairn-storage/src/txn.rs",
        text: "            Locked::Changed if self.isolation != Isolation::ReadCommitted => {\n",
        replacement: "            Locked::Changed if self.isolation == Isolation::Snapshot => {\n",
    },
    Plant {
        name: "isolation: keys changed in SSTs are not validated",
        file: "crates/cairn-storage/src/core.rs",
        text: "        Ok(self.version.newest_seq(key, seq)?.is_some_and(|change| change > seq))\n",
        replacement: "        Ok(self.version.newest_seq(key, seq)?.is_some_and(|_| false))\n",
    },
    Plant {
        name: "isolation: ranges changed in SSTs are not validated",
        file: "crates/cairn-storage/src/core.rs",
        text: "        self.version.changed_since(range, seq)\n",
        replacement: "        Ok(self.version.changed_since(range, seq)? && range.is_empty())\n",
    },
];

/// Planted bugs of locks beside optimistic commits: `optimistic_commits_do_not_break_in_on_locks` must show each.
pub const LOCK_PLANTS: &[Plant] = &[
    Plant {
        name: "isolation: a lock is taken beside commits under way",
        file: "crates/cairn-storage/src/locks/held.rs",
        text: "        self.table.await_passers();\n        Ok(if taken",
        replacement: "        Ok(if taken",
    },
    Plant {
        name: "isolation: a commit passes by whoever holds locks",
        file: "crates/cairn-storage/src/locks/table.rs",
        text: "        (self.users.load(Ordering::SeqCst) == 0).then_some(passer)",
        replacement: "        Some(passer)",
    },
];
