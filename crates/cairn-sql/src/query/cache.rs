//! Plans kept between executions, by statement text; see `point` for what runs from them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::point::PointPlan;

/// Plans kept at most; beyond, the cache starts anew.
const PLANS_MAX: usize = 1024;

/// Point plans by statement text.
#[derive(Default)]
pub(crate) struct PlanCache {
    plans: Mutex<HashMap<Arc<str>, Entry>>,
}

struct Entry {
    schema_version: u64,
    plan: Arc<PointPlan>,
}

impl PlanCache {
    /// Whether a text has a plan, perhaps of another schema version.
    pub(crate) fn knows(&self, sql: &str) -> bool {
        self.plans.lock().contains_key(sql)
    }

    /// The plan of a text at a schema version; a plan of an older one is forgotten.
    pub(crate) fn get(&self, sql: &str, schema_version: u64) -> Option<Arc<PointPlan>> {
        let mut plans = self.plans.lock();
        let entry = plans.get(sql)?;
        if entry.schema_version == schema_version {
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
