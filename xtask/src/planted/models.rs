//! Bugs that only another order of memory accesses shows, or a moment between two instructions: the models find them.

use super::Plant;

/// Every one.
pub const MODEL_PLANTS: &[Plant] = &[
    Plant {
        name: "skiplist: a node is linked without a release",
        file: "crates/cairn-storage/src/memtable/skiplist.rs",
        text: "                        Ordering::Release,\n                        Ordering::Relaxed,",
        replacement: "                        Ordering::Relaxed,\n                        Ordering::Relaxed,",
    },
    Plant {
        name: "skiplist: links are followed without an acquire",
        file: "crates/cairn-storage/src/memtable/skiplist.rs",
        text: "                let next = Node::link(previous, level).load(Ordering::Acquire);\n                if next.is_null() || next == known",
        replacement: "                let next = Node::link(previous, level).load(Ordering::Relaxed);\n                if next.is_null() || next == known",
    },
    Plant {
        name: "skiplist: a lost race is taken for won",
        file: "crates/cairn-storage/src/memtable/skiplist.rs",
        text: "                if linked.is_ok() {",
        replacement: "                if linked.is_ok() || level == 0 {",
    },
    Plant {
        name: "skiplist: an outdated hint is believed",
        file: "crates/cairn-storage/src/memtable/skiplist.rs",
        text: "                let (previous, next) = self.walk(previous, level, key, trailer);\n                (hint.previous",
        replacement: "                let (previous, next) = self.walk(previous, level, b\"\", trailer);\n                (hint.previous",
    },
    Plant {
        name: "arena: a chunk is shown without a release",
        file: "crates/cairn-storage/src/memtable/arena.rs",
        text: "        self.current.store(pointer.cast_mut(), Ordering::Release);",
        replacement: "        self.current.store(pointer.cast_mut(), Ordering::Relaxed);",
    },
    Plant {
        name: "arena: bytes are taken in two steps",
        file: "crates/cairn-storage/src/memtable/arena.rs",
        text: "        let offset = self.used.fetch_add(size, Ordering::Relaxed);",
        replacement: "        let offset = self.used.load(Ordering::Relaxed);\n        self.used.store(offset + size, Ordering::Relaxed);",
    },
    Plant {
        name: "commit: published without a release",
        file: "crates/cairn-storage/src/registry.rs",
        text: "        self.newest.store(seq, Ordering::Release);",
        replacement: "        self.newest.store(seq, Ordering::Relaxed);",
    },
    Plant {
        name: "snapshots: read before it is registered",
        file: "crates/cairn-storage/src/registry.rs",
        text: "        let mut held = self.held.lock();\n        let seq = self.newest();",
        replacement: "        let seq = self.newest();\n        let mut held = self.held.lock();",
    },
    Plant {
        name: "snapshots: the newest commit is looked up outside of the lock",
        file: "crates/cairn-storage/src/registry.rs",
        text: "        let held = self.held.lock();\n        let newest = self.newest();\n        let mut seqs: Vec<CommitSeq> = held.keys().copied().collect();",
        replacement: "        let mut seqs: Vec<CommitSeq> = self.held.lock().keys().copied().collect();\n        let newest = self.newest();",
    },
    Plant {
        name: "directory: a table is shown without a release",
        file: "crates/cairn-storage/src/memtable/directory.rs",
        text: "        self.current.store(pointer.cast_mut(), Ordering::Release);",
        replacement: "        self.current.store(pointer.cast_mut(), Ordering::Relaxed);",
    },
    Plant {
        name: "directory: an entry is shown without a release",
        file: "crates/cairn-storage/src/memtable/directory.rs",
        text: "            if held.is_null() {\n                slot.store(content, Ordering::Release);",
        replacement: "            if held.is_null() {\n                slot.store(content, Ordering::Relaxed);",
    },
    Plant {
        name: "directory: an insertion looks for it before its node is linked for all",
        file: "crates/cairn-storage/src/memtable/skiplist.rs",
        text: "        fence(Ordering::SeqCst);\n        if self.is_announced",
        replacement: "        if self.is_announced",
    },
    Plant {
        name: "directory: links are looked at before it is announced",
        file: "crates/cairn-storage/src/memtable/skiplist.rs",
        text: "                fence(Ordering::SeqCst);\n                self.head.as_ptr()",
        replacement: "                self.head.as_ptr()",
    },
    Plant {
        name: "directory: the larger table is shown before it is filled",
        file: "crates/cairn-storage/src/memtable/directory.rs",
        text: "        for slot in old.0.iter().flat_map(|bucket| &bucket.0) {",
        replacement: "        self.current.store((&raw const *table).cast_mut(), Ordering::Release);\n        for slot in old.0.iter().flat_map(|bucket| &bucket.0) {",
    },
    Plant {
        name: "queue: the lead is given up though others wait",
        file: "crates/cairn-storage/src/commit_lead.rs",
        text: "        let mut queue = self.queue.lock();\n        let Some(next) = queue.take_leader() else {\n            queue.led = false;",
        replacement: "        let mut queue = self.queue.lock();\n        queue.led = false;\n        let Some(next) = queue.take_leader() else {",
    },
    Plant {
        name: "queue: looks whether others wait, then gives up the lead",
        file: "crates/cairn-storage/src/commit_lead.rs",
        text: "            queue.led = false;\n            return !queue.waiting.is_empty();",
        replacement: "            let left = !queue.waiting.is_empty();\n            drop(queue);\n            self.queue.lock().led = false;\n            return left;",
    },
    Plant {
        name: "queue: two may begin to lead what is awaited",
        file: "crates/cairn-storage/src/commit_lead.rs",
        text: "            if queue.led || queue.waiting.is_empty() {",
        replacement: "            if queue.waiting.is_empty() {",
    },
    Plant {
        name: "queue: a waiter is not told",
        file: "crates/cairn-storage/src/commit_queue.rs",
        text: "        self.settled.store(true, Ordering::Release);\n        self.signal.notify_all();",
        replacement: "        self.settled.store(true, Ordering::Release);",
    },
    Plant {
        name: "queue: a waiter is told before it is so",
        file: "crates/cairn-storage/src/commit_queue.rs",
        text: "        self.settled.store(true, Ordering::Release);\n        self.signal.notify_all();",
        replacement: "        self.signal.notify_all();\n        self.settled.store(true, Ordering::Release);",
    },
    Plant {
        name: "queue: the waker is taken out before it is so",
        file: "crates/cairn-storage/src/commit_queue.rs",
        text: "        let waker = {\n            let mut slot = self.slot.lock();\n            slot.state = state;\n            slot.waker.take()\n        };",
        replacement: "        let waker = self.slot.lock().waker.take();\n        self.slot.lock().state = state;",
    },
    Plant {
        name: "queue: closing does not wait for what was begun",
        file: "crates/cairn-storage/src/commit_lead.rs",
        text: "        self.room.wait_until(|| self.queue.lock().awaited == 0);",
        replacement: "",
    },
    Plant {
        name: "queue: who closes is not told",
        file: "crates/cairn-storage/src/commit_lead.rs",
        text: "        if closing {\n            self.room.notify_all();\n        }",
        replacement: "        let _ = closing;",
    },
    Plant {
        name: "signal: notified without the count",
        file: "crates/cairn-env/src/os/signal.rs",
        text: "        *self.epoch.lock() += 1;\n",
        replacement: "",
    },
    Plant {
        name: "signal: the count is read after the condition",
        file: "crates/cairn-env/src/os/signal.rs",
        text: "            let seen = *self.epoch.lock();\n            if cond() {\n                return;\n            }\n            let mut epoch = self.epoch.lock();",
        replacement: "            if cond() {\n                return;\n            }\n            let mut epoch = self.epoch.lock();\n            let seen = *epoch;",
    },
];
