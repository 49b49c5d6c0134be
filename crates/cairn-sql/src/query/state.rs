//! DataFusion's session state: one template per database with functions, planners, rules and memory pool; each
//! statement takes a copy with its own configuration.

use std::sync::Arc;

use chrono::DateTime;
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::registry::FunctionRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::{AnalyzerRule, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::prelude::SessionConfig;

use super::interrupt::{LookingAnalyzer, LookingRule};
use super::join_order;
use super::late::LateProjection;
use super::literals::UnknownLiterals;
use super::operators::Operators;
use super::predicates::LongPredicates;
use super::total_rows::TotalRows;
use super::unmistaken;
use super::unnest::UnnestedKeys;
use super::value_order::ValueOrder;
use super::zones::SessionZone;
use crate::context::{Context, ScopeExtension};
use crate::engine::SqlOptions;
use crate::functions::listed::LongLists;
use crate::scan::narrow::LIST_MAX;
use crate::{Error, Result};

/// Rows in a batch.
const BATCH_ROWS: usize = 8192;
/// Of the memory pool, kept back for merging spilled runs. A sort needs this much whatever its size.
const SORT_SPILL_RESERVATION_BYTES: usize = 1 << 20;
/// Below, batches are short and joins sort, since what is sorted can be spilled.
const MEMORY_BYTES_SMALL: usize = 64 << 20;
/// Memory for each of the parts that a query runs in side by side: each has its fair share only, and what an aggregate makes of
/// one batch has to fit.
const PART_BYTES_MIN: usize = 8 << 20;
/// Rows in a batch where memory is small: several batches of every operator fit.
const BATCH_ROWS_SMALL: usize = 1024;

/// The state that all statements copy.
pub(crate) fn template(options: &SqlOptions) -> Result<SessionState> {
    let disk = match &options.temporary_directory {
        Some(directory) => DiskManagerMode::Directories(vec![directory.clone()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(options.memory_bytes_max)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
        .build_arc()
        .map_err(Error::from)?;
    let state = SessionStateBuilder::new()
        .with_config(config(options))
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    let mut planners = vec![Arc::new(Operators::new()) as Arc<dyn ExprPlanner>];
    planners.extend(state.expr_planners().iter().cloned());
    let mut rules = vec![
        Arc::new(LongLists) as Arc<dyn AnalyzerRule + Send + Sync>,
        Arc::new(UnknownLiterals),
        Arc::new(SessionZone),
        Arc::new(super::ties::Ties),
        Arc::new(UnnestedKeys),
        Arc::new(super::group_keys::GroupKeys),
        Arc::new(ValueOrder),
        Arc::new(super::row_nulls::RowNulls),
        Arc::new(super::frames::Frames),
        Arc::new(LongPredicates),
    ];
    rules.extend(state.analyzer().rules.iter().cloned());
    // When all values have their types.
    rules.push(Arc::new(super::numeric_keys::NumericKeys));
    rules.push(Arc::new(super::kept_types::KeptTypes));
    let looking = |rule| Arc::new(LookingAnalyzer(rule)) as Arc<dyn AnalyzerRule + Send + Sync>;
    let rules = rules.into_iter().map(looking).collect();
    let mut optimizers = state.optimizer().rules.clone();
    if let Some(at) = optimizers.iter().position(|rule| rule.name() == TotalRows::BEFORE) {
        optimizers.insert(at, Arc::new(TotalRows));
    }
    let own = Arc::new(super::repeated_keys::RepeatedKeys) as Arc<dyn OptimizerRule + Send + Sync>;
    let optimizers = optimizers
        .into_iter()
        .chain([own])
        .map(|rule| Arc::new(LookingRule(rule)) as Arc<dyn OptimizerRule + Send + Sync>)
        .collect();
    let mut physical = state.physical_optimizers().to_vec();
    if let Some(rule) = physical.iter_mut().find(|rule| rule.name() == join_order::REPLACED) {
        *rule = Arc::new(join_order::JoinOrder);
    }
    for rule in physical.iter_mut().filter(|rule| rule.name().starts_with(unmistaken::REPLACED)) {
        *rule = Arc::new(unmistaken::Unmistaken(Arc::clone(rule)));
    }
    physical.insert(0, Arc::new(super::ordered_input::OrderedInput));
    physical.insert(0, Arc::new(super::grouping_sets::GroupingSets));
    // Before sorts are placed for good.
    let before = physical.iter().position(|rule| rule.name() == join_order::JoinOrder.name());
    physical.insert(before.unwrap_or_default() + 1, Arc::new(super::index_order::IndexOrder));
    // The last rule checks the plan.
    physical.insert(physical.len().saturating_sub(1), Arc::new(LateProjection));
    physical.insert(physical.len().saturating_sub(1), Arc::new(super::few::FewRows));
    physical.insert(physical.len().saturating_sub(1), Arc::new(super::pauses::Pauses));
    physical.insert(physical.len().saturating_sub(1), Arc::new(super::sound::Sound));
    physical.insert(physical.len().saturating_sub(1), Arc::new(super::merge_filter::MergeFilter));
    let mut state = SessionStateBuilder::new_from_existing(state)
        .with_expr_planners(planners)
        .with_analyzer_rules(rules)
        .with_optimizer_rules(optimizers)
        .with_physical_optimizer_rules(physical)
        .build();
    crate::functions::register(&mut state)?;
    register_scalar(&mut state, super::ties::function())?;
    register_scalar(&mut state, super::copies::function())?;
    Ok(state)
}

fn config(options: &SqlOptions) -> SessionConfig {
    let small = options.memory_bytes_max < MEMORY_BYTES_SMALL;
    let mut config = SessionConfig::new()
        .with_batch_size(if small { BATCH_ROWS_SMALL } else { BATCH_ROWS })
        .with_target_partitions(options.parallelism.min(options.memory_bytes_max / PART_BYTES_MIN).max(1))
        .with_information_schema(false);
    let o = config.options_mut();
    o.sql_parser.parse_float_as_decimal = true;
    o.sql_parser.map_string_types_to_utf8view = false;
    o.sql_parser.support_varchar_with_length = true;
    // The order of a subquery is that of the query around, where that asks for none.
    o.sql_parser.enable_subquery_sort_elimination = false;
    o.execution.sort_spill_reservation_bytes =
        SORT_SPILL_RESERVATION_BYTES.min(options.memory_bytes_max / 32);
    // What a sort holds is sorted as one before it is spilled: merging its batches would take as much memory again for
    // their keys, which nobody keeps back.
    o.execution.sort_in_place_threshold_bytes = options.memory_bytes_max;
    o.execution.parquet.schema_force_view_types = false;
    o.execution.collect_statistics = true;
    // What an aggregate says of its columns being NULL is an estimate, which rules may make better.
    o.execution.skip_physical_aggregate_schema_check = true;
    o.optimizer.expand_views_at_output = false;
    o.optimizer.skip_failed_rules = false;
    // What a join tells the scan of its other side is a list up to this length: scans look it up in an index.
    o.optimizer.hash_join_inlist_pushdown_max_distinct_values = LIST_MAX;
    // Scans come in as many partitions as are worth it.
    o.optimizer.enable_round_robin_repartition = false;
    config
}

/// The state of one statement: its scope, time and time zone.
pub(crate) fn of(context: &Context) -> SessionState {
    let scope = &context.scope;
    let mut state = scope.shared.template.clone();
    let options = state.config_mut().options_mut();
    options.execution.time_zone = Some(match scope.settings.time_zone.as_str() {
        "UTC" => "+00:00".to_owned(),
        zone => zone.to_owned(),
    });
    options.optimizer.prefer_hash_join =
        scope.settings.methods.hashjoin && scope.shared.options.memory_bytes_max >= MEMORY_BYTES_SMALL;
    options.extensions.insert(ScopeExtension::new(Arc::clone(scope)));
    let config = Arc::clone(state.config().options());
    let props = state.execution_props_mut();
    props.mark_start_execution(config);
    props.query_execution_start_time = DateTime::from_timestamp_micros(scope.transaction_start_us);
    state
}

/// Registers one scalar function, replacing DataFusion's of the same name.
pub(crate) fn register_scalar(
    state: &mut SessionState,
    function: datafusion::logical_expr::ScalarUDF,
) -> Result<()> {
    state.register_udf(Arc::new(function)).map_err(Error::from)?;
    Ok(())
}
