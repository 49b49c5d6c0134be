//! What both simulations (`sim` and `crash`) have: counters of what happened, and a voice for a replayed seed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Says what happens, for the reader of a replayed seed (`CAIRN_SEED`).
macro_rules! say {
    ($rig:expr, $($what:tt)*) => {
        if $rig.talks {
            eprintln!("{:>6} {}", $rig.simulation.changes(), format!($($what)*));
        }
    };
}
pub(crate) use say;

/// `SEEN`, with these counters: what happened in all seeds together. A test that no longer reaches something says so.
macro_rules! seen {
    ($($counter:ident,)*) => {
        #[derive(Debug)]
        pub(crate) struct Seen {
            $(pub(crate) $counter: std::sync::atomic::AtomicU64,)*
        }

        pub(crate) static SEEN: Seen = Seen { $($counter: std::sync::atomic::AtomicU64::new(0),)* };

        impl Seen {
            /// Not for single seeds or few of them.
            fn assert_all_happened(&self) {
                if ["CAIRN_SEED", "CAIRN_SEEDS"].iter().any(|name| std::env::var_os(name).is_some()) {
                    return;
                }
                let all = [$(&self.$counter,)*];
                let happened = all.iter().all(|counter| counter.load(std::sync::atomic::Ordering::Relaxed) > 0);
                assert!(happened, "the seeds do not reach everything: {self:?}");
            }
        }
    };
}
pub(crate) use seen;
