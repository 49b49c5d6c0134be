//! Queries: planning with DataFusion over our catalog, optimising, running, explaining; the plan cache.

mod apply;
pub(crate) mod cache;
pub(crate) mod describe;
pub(crate) mod explain;
pub(crate) mod few;
mod frames;
pub(crate) mod late;
pub(crate) mod literals;
pub(crate) mod lock;
pub(crate) mod nested;
pub(crate) mod operators;
mod optional;
pub(crate) mod output;
pub(crate) mod past;
pub(crate) mod plan;
pub(crate) mod point;
pub(crate) mod point_key;
pub(crate) mod predicates;
pub(crate) mod reuse;
pub(crate) mod run;
pub(crate) mod slots;
pub(crate) mod state;
pub(crate) mod ties;
pub(crate) mod typed_operators;
pub(crate) mod unnest;
mod value_order;
pub(crate) mod zones;
