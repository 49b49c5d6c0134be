//! What looks like a bug and does no harm: each has its reason, and the simulation must find nothing. Where it finds
//! something the reason has become wrong, or the bug belongs to the others.

use super::Plant;

/// A change that breaks no promise.
pub struct Harmless {
    /// The change.
    pub plant: Plant,
    /// Why nothing is lost by it.
    pub reason: &'static str,
}

/// Every one.
pub const HARMLESS: &[Harmless] = &[
    Harmless {
        plant: Plant {
            name: "log: header of a new segment not synced",
            file: "crates/cairn-storage/src/wal/writer.rs",
            text: "        self.meter.sync(|| file.sync_all()).map_err(|e| poisoned(&Error::io(\"sync\", path, e)))?;\n        files.sync_dir",
            replacement: "        files.sync_dir",
        },
        reason: "the sync of the first record covers the header; a segment without a record does not count",
    },
    Harmless {
        plant: Plant {
            name: "log: records before a seal not synced",
            file: "crates/cairn-storage/src/wal/writer.rs",
            text: "            job.run().map_err(|e| poisoned(&e))?;\n            self.note_synced(&job);\n        }\n        let Some(segment)",
            replacement: "            self.note_synced(&job);\n        }\n        let Some(segment)",
        },
        reason: "the sync of the seal, in the same file and before anything else happens, covers them",
    },
    Harmless {
        plant: Plant {
            name: "log: seal not synced",
            file: "crates/cairn-storage/src/wal/writer.rs",
            text: "        cut.and_then(|()| self.meter.sync(|| file.sync_all()))\n            .map_err(|e| poisoned(&Error::io(\"sync\", path, e)))?;\n        self.upkeep",
            replacement: "        cut.map_err(|e| poisoned(&Error::io(\"sync\", path, e)))?;\n        self.upkeep",
        },
        reason: "the records before it are synced, and the segment behind it goes on with the very next commit, which shows that only a seal is missing; after a close the manifest names the last commit",
    },
    Harmless {
        plant: Plant {
            name: "flush: log not synced before",
            file: "crates/cairn-storage/src/background.rs",
            text: "        self.sync_log()?;\n        let floor = self.log_floor_without(table)?;",
            replacement: "        let floor = self.log_floor_without(table)?;",
        },
        reason: "the SST holds what the log may lose, and the floor of the log moves behind it in the same edit",
    },
    Harmless {
        plant: Plant {
            name: "flush: room is not told",
            file: "crates/cairn-storage/src/background.rs",
            text: "        self.room.notify_all();\n        self.remove_segments_below(floor);\n        self.wake_compaction();\n        Ok(())",
            replacement: "        self.remove_segments_below(floor);\n        self.wake_compaction();\n        Ok(())",
        },
        reason: "who waits for room has woken both workers before, and each tells it at the end of every step; it is told a little sooner by the flush itself",
    },
    Harmless {
        plant: Plant {
            name: "manifest: failed one appended to",
            file: "crates/cairn-storage/src/manifest/log.rs",
            text: "            failed: !replayed.is_durable,",
            replacement: "            failed: false,",
        },
        reason: "opening begins a new manifest where the last edits of the old may not be durable, and where there is no space for one it gives the old one up besides",
    },
    Harmless {
        plant: Plant {
            name: "snapshots: the newest commit is not registered",
            file: "crates/cairn-storage/src/registry.rs",
            text: "        if seqs.last() != Some(&newest) {",
            replacement: "        if seqs.is_empty() {",
        },
        reason: "what a flush or compaction reads was published before: of what is newer than every snapshot only the newest version of a key counts, whichever commit stands for the end",
    },
    Harmless {
        plant: Plant {
            name: "manifest: adopted without a sync of its name",
            file: "crates/cairn-storage/src/manifest/log.rs",
            text: "        self.take_over(env)?;\n",
            replacement: "        self.adopted = false;\n",
        },
        reason: "as long as CURRENT may go back to the older manifest that one is still there, for which opening syncs the directory, as do a new segment and every edit with new files; it takes a second failure, of just that sync, and a compaction without any output",
    },
    Harmless {
        plant: Plant {
            name: "checkpoint: asks for commits of the log",
            file: "crates/cairn-storage/src/checkpoint.rs",
            text: "            state.durable_seq = state.last_seq;\n",
            replacement: "",
        },
        reason: "only closing notes commits of the log as durable; it waits for a checkpoint, and a checkpoint of a database that was closed before has flushed them",
    },
];
