//! Plans kept between executions, by statement text; see `point` for what runs from them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::point::PointPlan;

/// Plans kept at most; beyond, the cache starts anew.
const PLANS_MAX: usize = 1024;

/// Point plans by statement text.
#[derive(Default)]
pub(crate) struct PlanCache {
    plans: Mutex<HashMap<Arc<str>, Entry>>,
    hits: AtomicU64,
}

struct Entry {
    schema_version: u64,
    plan: Arc<PointPlan>,
}

impl PlanCache {
    /// Texts with plans, and how often one served.
    pub(crate) fn usage(&self) -> (usize, u64) {
        (self.plans.lock().len(), self.hits.load(Ordering::Relaxed))
    }

    /// Whether a text has a plan, perhaps of another schema version.
    pub(crate) fn knows(&self, sql: &str) -> bool {
        self.plans.lock().contains_key(sql)
    }

    /// Whether a text has a plan of that schema version.
    pub(crate) fn has(&self, sql: &str, schema_version: u64) -> bool {
        self.plans.lock().get(sql).is_some_and(|entry| entry.schema_version == schema_version)
    }

    /// The plan of a text at a schema version, to be used; a plan of an older one is forgotten.
    pub(crate) fn get(&self, sql: &str, schema_version: u64) -> Option<Arc<PointPlan>> {
        let mut plans = self.plans.lock();
        let entry = plans.get(sql)?;
        if entry.schema_version == schema_version {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Some(Arc::clone(&entry.plan));
        }
        if entry.schema_version < schema_version {
            plans.remove(sql);
        }
        None
    }

    /// Remembers the plan of a text.
    pub(crate) fn put(&self, sql: &str, schema_version: u64, plan: Arc<PointPlan>) {
        let mut plans = self.plans.lock();
        if plans.len() >= PLANS_MAX {
            plans.clear();
        }
        plans.insert(Arc::from(sql), Entry { schema_version, plan });
    }
}
