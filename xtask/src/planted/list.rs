//! The planted bugs: the code of a file, and what is put in its place. Each breaks one promise that the store makes.
//!
//! What is not here, because it does no harm and so cannot be found: the sync of a new segment's header (the first
//! record's sync covers it), the sync of the records before a seal (the seal's covers them), the sync of the log
//! before a flush (the SST then holds what the log lost).

/// One bug.
pub struct Plant {
    /// What is wrong.
    pub name: &'static str,
    /// Path below the root.
    pub file: &'static str,
    /// Stands exactly once in the file; an ordinary test checks that.
    pub text: &'static str,
    /// Takes its place.
    pub replacement: &'static str,
}

/// Every planted bug.
pub const PLANTS: &[Plant] = &[
    Plant {
        name: "log sync dropped",
        file: "crates/cairn-storage/src/wal/writer.rs",
        text: "        self.meter.sync(|| self.file.sync_data()).map_err(|e| Error::io(\"sync\", &self.path, e))\n    }\n}\n\nimpl LogWriter",
        replacement: "        Ok(())\n    }\n}\n\nimpl LogWriter",
    },
    Plant {
        name: "log: background sync dropped",
        file: "crates/cairn-storage/src/background.rs",
        text: "if let Err(error) = job.run() {",
        replacement: "if let Err(error) = Ok::<(), Error>(()) {",
    },
    Plant {
        name: "log: checksum without the segment's number",
        file: "crates/cairn-storage/src/wal/format.rs",
        text: "    place[16..24].copy_from_slice(&segment.to_le_bytes());\n",
        replacement: "    let _ = segment;\n",
    },
    Plant {
        name: "log: segment kept that is still needed",
        file: "crates/cairn-storage/src/background.rs",
        text: "        let unneeded = segments.into_iter().filter(|&segment| segment < floor);",
        replacement: "        let unneeded = segments.into_iter().filter(|&segment| segment <= floor);",
    },
    Plant {
        name: "log: directory of a new segment not synced",
        file: "crates/cairn-storage/src/wal/writer.rs",
        text: "        files.sync_dir(&self.dir).map_err(|e| poisoned(&Error::io(\"sync\", &self.dir, e)))?;\n",
        replacement: "",
    },
    Plant {
        name: "log: seal not synced",
        file: "crates/cairn-storage/src/wal/writer.rs",
        text: "        cut.and_then(|()| self.meter.sync(|| file.sync_all()))\n            .map_err(|e| poisoned(&Error::io(\"sync\", path, e)))?;\n        self.upkeep",
        replacement: "        cut.map_err(|e| poisoned(&Error::io(\"sync\", path, e)))?;\n        self.upkeep",
    },
    Plant {
        name: "log: segment left without a seal",
        file: "crates/cairn-storage/src/wal/writer.rs",
        text: "        self.write()?;\n        if self.current.as_ref()",
        replacement: "        self.write()?;\n        if true || self.current.as_ref()",
    },
    Plant {
        name: "log: failed append not cut off",
        file: "crates/cairn-storage/src/wal/writer.rs",
        text: "segment.file.set_len(segment.written).and_then(|()| segment.file.sync_all());",
        replacement: "segment.file.sync_all();",
    },
    Plant {
        name: "log: failed append cut off without a sync",
        file: "crates/cairn-storage/src/wal/writer.rs",
        text: "segment.file.set_len(segment.written).and_then(|()| segment.file.sync_all());",
        replacement: "segment.file.set_len(segment.written);",
    },
    Plant {
        name: "log: first sequence of a segment wrong",
        file: "crates/cairn-storage/src/wal/writer.rs",
        text: "first_seq: self.last_seq + 1 };",
        replacement: "first_seq: self.last_seq };",
    },
    Plant {
        name: "log: record says too much was synced",
        file: "crates/cairn-storage/src/wal/writer.rs",
        text: "header.synced_offset = segment.synced;",
        replacement: "header.synced_offset = segment.tail + self.pending.len() as u64;",
    },
    Plant {
        name: "commit: awaited ones left when the leader goes",
        file: "crates/cairn-storage/src/commit.rs",
        text: "            return !queue.waiting.is_empty();",
        replacement: "            return false;",
    },
    Plant {
        name: "commit: waker forgotten",
        file: "crates/cairn-storage/src/commit_queue.rs",
        text: "            slot.waker.take()",
        replacement: "            None::<Waker>",
    },
    Plant {
        name: "commit: acknowledged before the sync",
        file: "crates/cairn-storage/src/commit.rs",
        text: "if sync && let Err(error) = self.sync_written(writer) {",
        replacement: "if false && sync && let Err(error) = self.sync_written(writer) {",
    },
    Plant {
        name: "commit: sync mode Async not written",
        file: "crates/cairn-storage/src/commit.rs",
        text: "accepted.iter().any(|request| request.sync != SyncMode::None),",
        replacement: "accepted.iter().any(|request| request.sync == SyncMode::Sync),",
    },
    Plant {
        name: "commit: only the leader's sync mode counts",
        file: "crates/cairn-storage/src/commit.rs",
        text: "accepted.iter().any(|request| request.sync == SyncMode::Sync),\n",
        replacement: "accepted.iter().take(1).any(|request| request.sync == SyncMode::Sync),\n",
    },
    Plant {
        name: "commit: failed fsync tried again",
        file: "crates/cairn-storage/src/commit.rs",
        text: "if let Err(error) = job.run() {",
        replacement: "if job.run().is_err()\n            && let Err(error) = job.run()\n        {",
    },
    Plant {
        name: "commit: failed fsync forgotten",
        file: "crates/cairn-storage/src/commit.rs",
        text: "            self.poison(&error);\n            return Err(error);\n        }\n        writer.log",
        replacement: "            return Err(error);\n        }\n        writer.log",
    },
    Plant {
        name: "commit: failed group stays in the log",
        file: "crates/cairn-storage/src/background.rs",
        text: "            && let Err(broken) = writer.log.undo()\n        {",
        replacement: "            && let Err(broken) = Ok::<(), Error>(())\n        {",
    },
    Plant {
        name: "commit: member not validated against the group's keys",
        file: "crates/cairn-storage/src/commit.rs",
        text: "Ok(group.changes_key(key) || others && ",
        replacement: "Ok(others && ",
    },
    Plant {
        name: "commit: member not validated against the group's ranges",
        file: "crates/cairn-storage/src/commit.rs",
        text: "Ok(group.changes_range(range) || others && ",
        replacement: "Ok(others && ",
    },
    Plant {
        name: "commit: the last commit is not validated against",
        file: "crates/cairn-storage/src/commit.rs",
        text: "let others = last_seq > snapshot;",
        replacement: "let others = last_seq > snapshot + 1;",
    },
    Plant {
        name: "commit: reads of keys not validated",
        file: "crates/cairn-storage/src/commit.rs",
        text: "if key_changed(key)? {\n            return conflict(\"another transaction changed a key",
        replacement: "if false && key_changed(key)? {\n            return conflict(\"another transaction changed a key",
    },
    Plant {
        name: "commit: reads of ranges not validated",
        file: "crates/cairn-storage/src/commit.rs",
        text: "if range_changed(range)? {",
        replacement: "if false && range_changed(range)? {",
    },
    Plant {
        name: "commit: refused members use up sequences",
        file: "crates/cairn-storage/src/commit.rs",
        text: "writer.last_seq += accepted.len() as u64;",
        replacement: "writer.last_seq += requests.len() as u64;",
    },
    Plant {
        name: "commit: the lead is not handed over",
        file: "crates/cairn-storage/src/commit.rs",
        text: "            next.give_lead(request);",
        replacement: "            drop(request);",
    },
    Plant {
        name: "commit: a follower is not told",
        file: "crates/cairn-storage/src/commit_queue.rs",
        text: "        self.signal.notify_all();\n        if let Some(waker)",
        replacement: "        if let Some(waker)",
    },
    Plant {
        name: "commit: a group fails when the store is closed",
        file: "crates/cairn-storage/src/commit.rs",
        text: "        self.check_sound()?;\n        if let Err(error) = job.run() {",
        replacement: "        self.check_writable()?;\n        if let Err(error) = job.run() {",
    },
    Plant {
        name: "close: the sync left out",
        file: "crates/cairn-storage/src/store.rs",
        text: "            job.run()?;\n            writer.log.note_synced(&job);",
        replacement: "            writer.log.note_synced(&job);",
    },
    Plant {
        name: "close: the directory released under a compaction",
        file: "crates/cairn-storage/src/store.rs",
        text: "        let _compacting = self.tree.compaction.lock();\n",
        replacement: "",
    },
    Plant {
        name: "recovery: a segment skipped",
        file: "crates/cairn-storage/src/wal/reader.rs",
        text: "    let mut expected: Option<u64> = None;",
        replacement: "    let mut expected: Option<u64> = None;\n    if segments.len() > 2 {\n        segments.pop();\n    }",
    },
    Plant {
        name: "recovery: one commit too few",
        file: "crates/cairn-storage/src/recovery.rs",
        text: "if record.header.seq <= state.last_seq {",
        replacement: "if record.header.seq <= state.last_seq + 1 {",
    },
    Plant {
        name: "recovery: record checksum skipped",
        file: "crates/cairn-storage/src/wal/format.rs",
        text: "        if sum != found {\n            return Err(format!(\"record checksum",
        replacement: "        if false && sum != found {\n            return Err(format!(\"record checksum",
    },
    Plant {
        name: "recovery: torn tail taken for damage",
        file: "crates/cairn-storage/src/wal/reader.rs",
        text: "        match self.synced_record_behind(offset) {\n            Some(at) => {",
        replacement: "        match self.synced_record_behind(offset).or(Some(offset)) {\n            Some(at) => {",
    },
    Plant {
        name: "recovery: what a failed fsync left is built upon",
        file: "crates/cairn-storage/src/recovery.rs",
        text: "let flush = !was_clean || has_data",
        replacement: "let flush = has_data",
    },
    Plant {
        name: "recovery: directory's parents not synced",
        file: "crates/cairn-storage/src/manifest/identity.rs",
        text: "    for parent in dir.ancestors().skip(1) {",
        replacement: "    for parent in dir.ancestors().skip(99) {",
    },
    Plant {
        name: "recovery: commits before the log's memtables are flushed",
        file: "crates/cairn-storage/src/commit.rs",
        text: "self.finish_recovery().and_then(|()| self.wait_for_room());",
        replacement: "self.wait_for_room();",
    },
    Plant {
        name: "flush: log removed before the manifest says so",
        file: "crates/cairn-storage/src/background.rs",
        text: "        self.tree.flush(table, floor, table.seq_max(), oldest)?;",
        replacement: "        self.remove_segments_below(floor);\n        self.tree.flush(table, floor, table.seq_max(), oldest)?;",
    },
    Plant {
        name: "flush: floor of the log one segment too far",
        file: "crates/cairn-storage/src/background.rs",
        text: "            Some(segment) => Ok(segment),\n            None => match",
        replacement: "            Some(segment) => Ok(segment + 1),\n            None => match",
    },
    Plant {
        name: "flush: floor ignores other memtables",
        file: "crates/cairn-storage/src/background.rs",
        text: ".filter(|&segment| segment > 0)\n            .min();",
        replacement: ".filter(|&segment| segment > 0)\n            .max();",
    },
    Plant {
        name: "flush: memtable gone before its SST is shown",
        file: "crates/cairn-storage/src/background.rs",
        text: "            sources.version = self.tree.version();\n        });\n        self.room.notify_all();\n        self.remove",
        replacement: "        });\n        self.room.notify_all();\n        self.remove",
    },
    Plant {
        name: "flush: newest snapshot instead of the oldest",
        file: "crates/cairn-storage/src/background.rs",
        text: "let oldest = readable.first().copied().unwrap_or(0);",
        replacement: "let oldest = readable.last().copied().unwrap_or(0);",
    },
    Plant {
        name: "flush: room is not told",
        file: "crates/cairn-storage/src/background.rs",
        text: "        self.room.notify_all();\n        self.remove_segments_below(floor);\n        self.wake_compaction();\n        Ok(())",
        replacement: "        self.remove_segments_below(floor);\n        self.wake_compaction();\n        Ok(())",
    },
    Plant {
        name: "manifest: edit not synced",
        file: "crates/cairn-storage/src/manifest/log.rs",
        text: "        self.file.sync_data().map_err(|e| Error::io(\"sync\", &self.path, e))?;\n        self.failed = false;",
        replacement: "        self.failed = false;",
    },
    Plant {
        name: "manifest: new one not synced",
        file: "crates/cairn-storage/src/manifest/log.rs",
        text: "            file.sync_data().map_err(|e| Error::io(\"sync\", &path, e))?;\n            Ok((file,",
        replacement: "            Ok((file,",
    },
    Plant {
        name: "manifest: its name not synced before CURRENT",
        file: "crates/cairn-storage/src/tree.rs",
        text: "if let Err(error) = sync_dir(env, dir).and_then(|()| prepare_current(env, dir, id)) {",
        replacement: "if let Err(error) = prepare_current(env, dir, id) {",
    },
    Plant {
        name: "manifest: CURRENT not synced before its rename",
        file: "crates/cairn-storage/src/manifest/identity.rs",
        text: "        file.sync_data().map_err(|e| Error::io(\"sync\", &beside, e))\n",
        replacement: "        Ok(())\n",
    },
    Plant {
        name: "manifest: rename of CURRENT not synced",
        file: "crates/cairn-storage/src/manifest/identity.rs",
        text: "    env.files().rename(&beside, &path).map_err(|e| Error::io(\"rename\", &path, e))?;\n    sync_dir(env, dir)",
        replacement: "    env.files().rename(&beside, &path).map_err(|e| Error::io(\"rename\", &path, e))",
    },
    Plant {
        name: "manifest: names of SSTs not synced",
        file: "crates/cairn-storage/src/tree.rs",
        text: "        if !outputs.files().is_empty() {\n            sync_dir(&self.env, &self.dir)?;\n        }\n",
        replacement: "",
    },
    Plant {
        name: "manifest: uncertain edit gone on with",
        file: "crates/cairn-storage/src/manifest/log.rs",
        text: "is_durable: edits_end <= durable_end && u32_at",
        replacement: "is_durable: u32_at",
    },
    Plant {
        name: "manifest: adopted without a sync of its name",
        file: "crates/cairn-storage/src/manifest/log.rs",
        text: "        self.take_over(env)?;\n",
        replacement: "        self.adopted = false;\n",
    },
    Plant {
        name: "manifest: failed one appended to",
        file: "crates/cairn-storage/src/manifest/log.rs",
        text: "            failed: !replayed.is_durable,",
        replacement: "            failed: false,",
    },
    Plant {
        name: "manifest: record checksum skipped",
        file: "crates/cairn-storage/src/manifest/format.rs",
        text: "    if found != expected {",
        replacement: "    if false && found != expected {",
    },
    Plant {
        name: "manifest: edit written twice after a failure",
        file: "crates/cairn-storage/src/manifest/log.rs",
        text: "        self.failed = true;\n        self.take_over(env)?;",
        replacement: "        self.take_over(env)?;",
    },
    Plant {
        name: "manifest: file numbers used again",
        file: "crates/cairn-storage/src/tree.rs",
        text: "state.next_file = state.next_file.max(n.saturating_add(1));",
        replacement: "state.next_file = state.next_file.max(n.saturating_sub(1));",
    },
    Plant {
        name: "SST not synced",
        file: "crates/cairn-storage/src/sst/writer.rs",
        text: "        self.file.sync_data().map_err(|e| Error::io(\"sync\", &self.path, e))?;\n",
        replacement: "",
    },
    Plant {
        name: "SST: block checksum skipped",
        file: "crates/cairn-storage/src/sst/format.rs",
        text: "    if sum != expected {",
        replacement: "    if false && sum != expected {",
    },
    Plant {
        name: "SST: obsolete files removed under readers",
        file: "crates/cairn-storage/src/version.rs",
        text: "        self.obsolete.store(true, Ordering::Release);",
        replacement: "        self.obsolete.store(true, Ordering::Release);\n        let _ = self.tables.env.files().remove_file(&self.path);\n        *self.table.write() = None;",
    },
    Plant {
        name: "compaction: versions dropped one too eagerly",
        file: "crates/cairn-storage/src/compaction/rewrite.rs",
        text: "self.snapshots.partition_point(|&snapshot| snapshot < seq)",
        replacement: "self.snapshots.partition_point(|&snapshot| snapshot + 1 < seq)",
    },
    Plant {
        name: "snapshots: the registry leaves out the oldest",
        file: "crates/cairn-storage/src/snapshot.rs",
        text: "held.keys().copied().collect();",
        replacement: "held.keys().copied().skip(1).collect();",
    },
    Plant {
        name: "snapshots: released for all readers at once",
        file: "crates/cairn-storage/src/snapshot.rs",
        text: "            if *count == 0 {",
        replacement: "            if *count <= 1 {",
    },
    Plant {
        name: "snapshots: the newest commit is not registered",
        file: "crates/cairn-storage/src/snapshot.rs",
        text: "        if seqs.last() != Some(&newest) {",
        replacement: "        if seqs.is_empty() {",
    },
    Plant {
        name: "checkpoint: asks for commits of the log",
        file: "crates/cairn-storage/src/checkpoint.rs",
        text: "            state.durable_seq = state.last_seq;\n",
        replacement: "",
    },
    Plant {
        name: "checkpoint: its name not synced",
        file: "crates/cairn-storage/src/checkpoint.rs",
        text: "            create_dir(&self.env, dir)?;\n",
        replacement: "",
    },
];
