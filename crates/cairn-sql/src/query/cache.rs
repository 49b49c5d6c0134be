//! Plans kept between executions, by statement text; see `point` for what runs from them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::point::PointPlan;

/// Plans kept at most; beyond, the cache starts anew.
const PLANS_MAX: usize = 1024;

/// Point plans by statement text. `None` remembers that a text has none.
#[derive(Default)]
pub(crate) struct PlanCache {
    plans: Mutex<HashMap<Arc<str>, Entry>>,
}

#[derive(Clone)]
struct Entry {
    schema_version: u64,
    plan: Option<Arc<PointPlan>>,
}

impl PlanCache {
    /// What is known of a text at a schema version.
    pub(crate) fn get(&self, sql: &str, schema_version: u64) -> Option<Option<Arc<PointPlan>>> {
        let plans = self.plans.lock();
        let entry = plans.get(sql)?;
        (entry.schema_version == schema_version).then(|| entry.plan.clone())
    }

    /// Remembers what a text has come to.
    pub(crate) fn put(&self, sql: &str, schema_version: u64, plan: Option<Arc<PointPlan>>) {
        let mut plans = self.plans.lock();
        if plans.len() >= PLANS_MAX {
            plans.clear();
        }
        plans.insert(Arc::from(sql), Entry { schema_version, plan });
    }
}
