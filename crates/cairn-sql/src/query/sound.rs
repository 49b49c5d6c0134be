//! A physical rule: where a plan that was made smaller no longer has the order that an operator needs, sorts are put in.
//!
//! What takes columns away takes with them what was known of the order: a join's other column may be ordered with NULLs
//! elsewhere. The query engine checks for that and would fail.
//!
//! Guarantees: a plan that is sound stays as it is.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::ensure_requirements::EnsureRequirements;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::ExecutionPlan;

/// The rule.
#[derive(Debug)]
pub(crate) struct Sound;

impl PhysicalOptimizerRule for Sound {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match SanityCheckPlan::new().optimize(Arc::clone(&plan), config) {
            Ok(_) => Ok(plan),
            Err(_) => EnsureRequirements::new().optimize(plan, config),
        }
    }

    fn name(&self) -> &str {
        "sound"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
