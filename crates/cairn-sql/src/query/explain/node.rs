//! From a physical plan to the nodes that PostgreSQL would show for it.
//!
//! A filter is shown with what it filters, a projection not at all; the side of a hash join that is kept in memory lies below
//! a node `Hash`, and what is read past it comes first. Of what the query engine adds, `Gather` stands for bringing parts
//! together, `Redistribute` for cutting into parts by keys.

use std::sync::Arc;

use cairn_engine::table::Access;
use datafusion::common::{JoinSide, JoinType};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, JoinOnRef, NestedLoopJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode, Partitioning};

use super::expressions::{all, bare, clean, show, sort_key};
use crate::query::index_join::IndexJoinExec;
use crate::query::interrupt::condition_of;
use crate::scan::bitmap::Bitmap;
use crate::scan::exec::TableScanExec;
use crate::statistics::estimate::{Estimate, Estimates, ROW};

/// What is said of a node besides its name.
#[derive(Clone)]
pub(super) enum Property {
    Text(String),
    List(Vec<String>),
    Number(u64),
}

/// What an execution has shown.
#[derive(Clone, Copy, Default)]
pub(super) struct Actual {
    pub(super) rows: u64,
    /// Of processors, this node and those below, in milliseconds.
    pub(super) ms: f64,
    /// Before the first row.
    pub(super) startup_ms: f64,
}

/// A node.
#[derive(Default)]
pub(super) struct Node {
    /// "Hash Join" …
    pub(super) kind: String,
    /// Between kind and name in text: "Left" …
    pub(super) join: Option<&'static str>,
    pub(super) index: Option<String>,
    pub(super) relation: Option<String>,
    pub(super) alias: Option<String>,
    pub(super) backward: bool,
    pub(super) properties: Vec<(&'static str, Property)>,
    pub(super) estimate: Estimate,
    pub(super) actual: Option<Actual>,
    pub(super) children: Vec<Node>,
}

impl Node {
    fn with(mut self, label: &'static str, property: Property) -> Node {
        self.properties.push((label, property));
        self
    }

    fn text(self, label: &'static str, terms: &[String]) -> Node {
        if terms.is_empty() { self } else { self.with(label, Property::Text(all(terms))) }
    }

    fn list(self, label: &'static str, items: Vec<String>) -> Node {
        if items.is_empty() { self } else { self.with(label, Property::List(items)) }
    }
}

/// Makes nodes of plans.
pub(super) struct Shown {
    pub(super) estimates: Estimates,
    pub(super) analyze: bool,
    pub(super) verbose: bool,
    /// Whether columns are shown with their tables.
    pub(super) qualified: bool,
    /// What the scans are called: the table's name, with a number where it is read before.
    pub(super) called: Vec<(*const TableScanExec, String)>,
}

/// A node, and how the columns of its output are shown.
type Named = (Node, Vec<String>);

impl Shown {
    /// The node of a plan.
    pub(super) fn node(&mut self, plan: &Arc<dyn ExecutionPlan>) -> Named {
        self.limited(plan, false)
    }

    /// `limited`: whether a node above says how many rows are wanted.
    fn limited(&mut self, plan: &Arc<dyn ExecutionPlan>, limited: bool) -> Named {
        if let Some(below) = transparent(plan) {
            return self.limited(below, limited);
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            return self.projection(plan, projection, limited);
        }
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            let wanted = filter.fetch().is_some() && !limited;
            let (node, names) = self.filter(plan, filter, limited || wanted);
            return if wanted { (limit(node), names) } else { (node, names) };
        }
        let fetch = plan.fetch().filter(|_| !limited && !is_limit(plan));
        let (mut node, names) = self.inner(plan, limited || fetch.is_some() || is_limit(plan));
        self.measure(plan, &mut node);
        if self.verbose && !names.is_empty() {
            node.properties.insert(0, ("Output", Property::List(names.iter().map(|n| bare(n)).collect())));
        }
        if fetch.is_some() { (limit(node), names) } else { (node, names) }
    }

    fn measure(&mut self, plan: &Arc<dyn ExecutionPlan>, node: &mut Node) {
        node.estimate = Estimate::clone(&self.estimates.of(plan));
        if !self.analyze {
            return;
        }
        let below: f64 = node.children.iter().filter_map(|child| child.actual).map(|actual| actual.ms).sum();
        let metrics = plan.metrics().map(|metrics| metrics.aggregate_by_name());
        let rows = metrics.as_ref().and_then(|metrics| metrics.output_rows()).unwrap_or(0);
        let (mut nanos, mut memory) = (0, None);
        for metric in metrics.iter().flat_map(|metrics| metrics.iter()) {
            match metric.value() {
                MetricValue::ElapsedCompute(time) => nanos += time.value(),
                MetricValue::Time { time, .. } if metric.value().name().ends_with("_time") => {
                    nanos += if node.children.len() > 1 { time.value() } else { 0 };
                }
                MetricValue::Gauge { name, gauge } if name.contains("mem") => memory = Some(gauge.value()),
                MetricValue::SpilledBytes(bytes) if bytes.value() > 0 => {
                    node.properties.push(("Disk kB", Property::Number(bytes.value().div_ceil(1024) as u64)));
                }
                _ => {}
            }
        }
        let is_blocking = matches!(node.kind.as_str(), "Sort" | "HashAggregate" | "Aggregate");
        let ms = below + nanos as f64 / 1e6;
        let startup_ms = if is_blocking { ms } else { 0.0 };
        node.actual = Some(Actual { rows: rows as u64, ms, startup_ms });
        if let Some(bytes) = memory.filter(|bytes| *bytes > 0) {
            let label = ("Memory Usage kB", Property::Number(bytes.div_ceil(1024) as u64));
            match node.children.iter_mut().find(|child| child.kind == "Hash") {
                Some(hash) => hash.properties.push(label),
                None => node.properties.push(label),
            }
        }
    }

    fn projection(
        &mut self,
        plan: &Arc<dyn ExecutionPlan>,
        projection: &ProjectionExec,
        limited: bool,
    ) -> Named {
        let (mut node, below) = self.limited(projection.input(), limited);
        let names: Vec<String> = projection.expr().iter().map(|item| show(&item.expr, &below)).collect();
        node.estimate.columns = self.estimates.of(plan).columns.clone();
        if self.verbose {
            node.properties.retain(|(label, _)| *label != "Output");
            node.properties.insert(0, ("Output", Property::List(names.iter().map(|n| bare(n)).collect())));
        }
        (node, names)
    }

    fn filter(&mut self, plan: &Arc<dyn ExecutionPlan>, filter: &FilterExec, limited: bool) -> Named {
        let terms = split_conjunction(filter.predicate());
        let mut input = filter.input();
        while let Some(below) = transparent(input) {
            input = below;
        }
        let (mut node, names, own) = match input.downcast_ref::<TableScanExec>() {
            Some(scan) => {
                let names = self.columns(scan);
                let (used, own): (Vec<_>, Vec<_>) = terms.into_iter().partition(|term| scan.is_used(term));
                let used: Vec<String> = used.into_iter().map(|term| show(term, &names)).collect();
                let mut node = self.scan(scan, used);
                self.measure(input, &mut node);
                (node, names, own)
            }
            None => {
                let (node, names) = self.limited(input, limited);
                (node, names, terms)
            }
        };
        let told = |term: &&Arc<dyn PhysicalExpr>| {
            !(term.as_ref() as &dyn std::any::Any)
                .is::<datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr>()
        };
        let shown: Vec<String> = own.into_iter().filter(told).map(|term| show(term, &names)).collect();
        let has_own = !shown.is_empty();
        node = node.text("Filter", &shown);
        let before = node.actual.map_or(0, |actual| actual.rows);
        let inner = std::mem::take(&mut node.estimate);
        node.estimate = Estimate::clone(&self.estimates.of(plan));
        node.estimate.startup = inner.startup;
        if self.analyze {
            let mut whole = Node { children: vec![node], ..Node::default() };
            self.measure(plan, &mut whole);
            let actual = whole.actual;
            let Some(inside) = whole.children.pop() else { return (whole, names) };
            node = inside;
            node.actual = actual;
            let removed = before.saturating_sub(actual.map_or(0, |actual| actual.rows));
            if has_own {
                node = node.with("Rows Removed by Filter", Property::Number(removed));
            }
        }
        let names: Vec<String> = match filter.projection() {
            Some(places) => places.iter().filter_map(|at| names.get(*at).cloned()).collect(),
            None => names,
        };
        if self.verbose {
            node.properties.retain(|(label, _)| *label != "Output");
            node.properties.insert(0, ("Output", Property::List(names.iter().map(|n| bare(n)).collect())));
        }
        (node, names)
    }

    /// What a scan is called.
    fn alias(&mut self, scan: &TableScanExec) -> String {
        let key = std::ptr::from_ref(scan);
        if let Some((_, name)) = self.called.iter().find(|(known, _)| *known == key) {
            return name.clone();
        }
        let table = scan.spec().alias.as_deref().unwrap_or(&scan.table().name);
        let is_new = |name: &String| self.called.iter().all(|(_, known)| known != name);
        // The name itself is that of the partitioned table.
        let mut number = usize::from(scan.spec().is_one_of_several);
        let mut name = if number == 0 { table.to_owned() } else { format!("{table}_{number}") };
        while !is_new(&name) {
            number += 1;
            name = format!("{table}_{number}");
        }
        self.called.push((key, name.clone()));
        name
    }

    fn columns(&mut self, scan: &TableScanExec) -> Vec<String> {
        let name = self.alias(scan);
        let prefix = if self.qualified { format!("{name}.") } else { String::new() };
        scan.schema().fields().iter().map(|field| format!("{prefix}{}", clean(field.name()))).collect()
    }

    fn scan(&mut self, scan: &TableScanExec, used: Vec<String>) -> Node {
        let alias = self.alias(scan);
        let table = scan.table();
        let relation = match table.schema == "public" || !self.verbose {
            true => table.name.clone(),
            false => format!("{}.{}", table.schema, table.name),
        };
        let (access, index) = scan.way();
        let by_key = || Some(table.primary_key_name.clone()).filter(|_| !table.has_hidden_key());
        let (kind, index) = match access {
            Access::Full if !scan.is_reverse() => ("Seq Scan", None),
            Access::Index { .. } if scan.is_index_only() => {
                ("Index Only Scan", table.index_by_id(index).map(|index| index.name.clone()))
            }
            Access::Index { .. } => ("Index Scan", table.index_by_id(index).map(|index| index.name.clone())),
            _ => match by_key() {
                Some(name) => ("Index Scan", Some(name)),
                None => ("Seq Scan", None),
            },
        };
        let mut terms = used;
        if terms.is_empty() && !matches!(access, Access::Full) {
            terms = scan.conditions().iter().map(|condition| bracketed(condition)).collect();
        }
        let node = Node {
            kind: kind.to_owned(),
            index,
            relation: Some(relation),
            alias: Some(alias),
            backward: scan.is_reverse(),
            ..Node::default()
        };
        let mut node = match scan.bitmap() {
            Some(_) => node.text("Recheck Cond", &terms),
            None => node.text("Index Cond", &terms),
        };
        if let Some(bitmap) = scan.bitmap() {
            node.kind = "Bitmap Heap Scan".to_owned();
            node.index = None;
            node.children = vec![bitmap_node(bitmap, table)];
        }
        match scan.lookup() {
            Some(name) => node.with("Index for Few Join Values", Property::Text(name)),
            None => node,
        }
    }

    fn inner(&mut self, plan: &Arc<dyn ExecutionPlan>, limited: bool) -> Named {
        if let Some(scan) = plan.downcast_ref::<TableScanExec>() {
            let names = self.columns(scan);
            return (self.scan(scan, Vec::new()), names);
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            return self.hash_join(join);
        }
        if let Some(join) = plan.downcast_ref::<SortMergeJoinExec>() {
            let (left, right) = (self.node(join.left()), self.node(join.right()));
            let kind = join.join_type();
            return joined(
                "Merge Join",
                "Merge Cond",
                kind,
                left,
                right,
                join.on(),
                join.filter().as_ref(),
                None,
            );
        }
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let (left, right) = (self.node(join.left()), self.node(join.right()));
            let (kind, places) = (*join.join_type(), join.projection().as_deref());
            return joined("Nested Loop", "", kind, left, right, &[], join.filter(), places);
        }
        if let Some(join) = plan.downcast_ref::<CrossJoinExec>() {
            let (left, right) = (self.node(join.left()), self.node(join.right()));
            return joined("Nested Loop", "", JoinType::Inner, left, right, &[], None, None);
        }
        if let Some(join) = plan.downcast_ref::<IndexJoinExec>()
            && let Some(scan) = join.scan()
        {
            return self.index_join(join, scan);
        }
        if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
            return self.aggregate(aggregate);
        }
        self.other(plan, limited)
    }

    fn hash_join(&mut self, join: &HashJoinExec) -> Named {
        let (build, names) = self.node(join.left());
        let (estimate, actual) = (build.estimate.clone(), build.actual);
        let estimate = Estimate { startup: estimate.cost, ..estimate };
        let hash =
            Node { kind: "Hash".to_owned(), estimate, actual, children: vec![build], ..Node::default() };
        let probe = self.node(join.right());
        let places = join.projection.as_deref();
        let kind = *join.join_type();
        let (mut node, names) =
            joined("Hash Join", "Hash Cond", kind, (hash, names), probe, join.on(), join.filter(), places);
        // What is read past the other side comes first, and gives the join its name.
        node.children.reverse();
        node.join = join_name(kind.swap());
        (node, names)
    }

    fn index_join(&mut self, join: &IndexJoinExec, scan: &TableScanExec) -> Named {
        let (outer, mut names) = self.node(join.outer());
        let own = self.columns(scan);
        let inner: Vec<String> = join.inner.columns.iter().filter_map(|at| own.get(*at).cloned()).collect();
        let pair = |(l, r): &(usize, usize)| {
            let name = |names: &[String], at: usize| names.get(at).cloned().unwrap_or_else(|| "?".to_owned());
            format!("({} = {})", name(&inner, *r), name(&names, *l))
        };
        let pairs: Vec<String> = join.keys.iter().map(pair).collect();
        let terms = join.inner.condition.iter().flat_map(split_conjunction).map(|term| show(term, &own));
        let terms: Vec<String> = pairs.iter().skip(1).cloned().chain(terms).collect();
        let table = scan.table();
        let index = match join.inner.index {
            0 => Some(table.primary_key_name.clone()),
            index => table.index_by_id(index).map(|index| index.name.clone()),
        };
        let mut node = Node {
            kind: "Index Scan".to_owned(),
            index,
            relation: Some(table.name.clone()),
            alias: Some(self.alias(scan)),
            estimate: Estimate::clone(&self.estimates.of(join.inner_plan())),
            ..Node::default()
        };
        let found =
            (node.estimate.before / outer.estimate.rows.max(1.0)).clamp(1.0, node.estimate.before.max(1.0));
        node.estimate = node.estimate.cut(found);
        if self.analyze {
            let rows =
                join.metrics().and_then(|metrics| metrics.sum_by_name("looked_up")).map(|sum| sum.as_usize());
            node.actual = Some(Actual { rows: rows.unwrap_or(0) as u64, ..Actual::default() });
        }
        let node = node.text("Index Cond", &pairs[..pairs.len().min(1)]).text("Filter", &terms);
        names.extend(inner);
        let filter: Vec<String> =
            join.filter.iter().flat_map(split_conjunction).map(|term| show(term, &names)).collect();
        names.truncate(join.schema().fields().len());
        let (kind, children) = ("Nested Loop".to_owned(), vec![outer, node]);
        let whole = Node { kind, join: join_name(join.kind), children, ..Node::default() };
        (whole.text("Join Filter", &filter), names)
    }

    fn aggregate(&mut self, aggregate: &AggregateExec) -> Named {
        let (input, below) = self.node(aggregate.input());
        let keys: Vec<String> = aggregate.group_expr().expr().iter().map(|(e, _)| show(e, &below)).collect();
        let step = match aggregate.mode() {
            AggregateMode::Partial => "Partial ",
            AggregateMode::Final | AggregateMode::FinalPartitioned => "Finalize ",
            _ => "",
        };
        let kind = match (keys.is_empty(), aggregate.input_order_mode()) {
            (true, _) => "Aggregate",
            (false, InputOrderMode::Linear) => "HashAggregate",
            (false, _) => "GroupAggregate",
        };
        let mut names = keys.clone();
        let mut place = keys.len();
        for call in aggregate.aggr_expr() {
            let states = call.state_fields().map_or(1, |fields| fields.len());
            let text = match step {
                "Finalize " => below.get(place).cloned().unwrap_or_else(|| clean(call.name())),
                _ => {
                    let args: Vec<String> =
                        call.expressions().iter().map(|arg| bare(&show(arg, &below))).collect();
                    let args = if args == ["1"] { "*".to_owned() } else { args.join(", ") };
                    let distinct = if call.is_distinct() { "DISTINCT " } else { "" };
                    format!("{}({distinct}{args})", call.fun().name())
                }
            };
            let times = if step == "Partial " { states } else { 1 };
            names.extend(std::iter::repeat_n(text, times));
            place += states;
        }
        names.resize(aggregate.schema().fields().len(), "?".to_owned());
        let node = Node { kind: format!("{step}{kind}"), children: vec![input], ..Node::default() };
        (node.list("Group Key", keys.iter().map(|key| bare(key)).collect()), names)
    }

    fn other(&mut self, plan: &Arc<dyn ExecutionPlan>, limited: bool) -> Named {
        let inputs: Vec<Named> =
            plan.children().into_iter().map(|child| self.limited(child, limited && is_limit(plan))).collect();
        let mut names = inputs.first().map(|(_, names)| names.clone()).unwrap_or_default();
        let fields = plan.schema();
        if inputs.len() != 1 || fields.fields().len() < names.len() {
            names = fields.fields().iter().map(|field| clean(field.name())).collect();
        }
        for field in fields.fields().iter().skip(names.len()) {
            names.push(clean(field.name()));
        }
        let below = inputs.first().map(|(_, names)| names.clone()).unwrap_or_default();
        let children = inputs.into_iter().map(|(node, _)| node).collect();
        let node = Node { kind: kind_of(plan), children, ..Node::default() };
        let keys = |order: &datafusion::physical_expr::LexOrdering| {
            order.iter().map(|key| sort_key(key, &below)).collect::<Vec<_>>()
        };
        let node = if let Some(sort) = plan.downcast_ref::<SortExec>() {
            node.list("Sort Key", keys(sort.expr()))
        } else if let Some(merge) = plan.downcast_ref::<SortPreservingMergeExec>() {
            node.list("Sort Key", keys(merge.expr()))
        } else if let Some(parts) = plan.downcast_ref::<RepartitionExec>() {
            match parts.partitioning() {
                Partitioning::Hash(keys, _) => {
                    node.list("Hash Key", keys.iter().map(|key| bare(&show(key, &below))).collect())
                }
                _ => node,
            }
        } else {
            node
        };
        (node, names)
    }
}

/// A node that says no more than how many rows of the one below are wanted.
fn limit(node: Node) -> Node {
    let (estimate, actual) = (node.estimate.clone(), node.actual);
    Node { kind: "Limit".to_owned(), estimate, actual, children: vec![node], ..Node::default() }
}

fn bracketed(text: &str) -> String {
    if text.starts_with('(') { text.to_owned() } else { format!("({text})") }
}

/// What collects the rows of several indexes.
fn bitmap_node(bitmap: &Bitmap, table: &cairn_engine::Table) -> Node {
    let part = |part: &crate::scan::bitmap::Part| {
        let conditions: Vec<String> = part.conditions.iter().map(|text| bracketed(text)).collect();
        let index = table.index_by_id(part.index).map(|index| index.name.clone());
        let (rows, cost) = (part.rows, part.rows * ROW);
        let estimate = Estimate { rows, before: rows, cost, ..Estimate::default() };
        let node = Node { kind: "Bitmap Index Scan".to_owned(), index, estimate, ..Node::default() };
        node.text("Index Cond", &conditions)
    };
    let children: Vec<Node> = bitmap.parts.iter().map(part).collect();
    let kind = if bitmap.any { "BitmapOr" } else { "BitmapAnd" };
    let cost = bitmap.entries() * ROW;
    let estimate = Estimate { rows: bitmap.entries(), startup: cost, cost, ..Estimate::default() };
    Node { kind: kind.to_owned(), estimate, children, ..Node::default() }
}

/// The input of a node that is not worth showing.
fn transparent(plan: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    let hidden = matches!(
        plan.name(),
        "CooperativeExec" | "OutputRequirementExec" | "CoalesceBatchesExec" | "SlicesExec" | "UnknownRows"
    );
    plan.children().first().copied().filter(|_| hidden)
}

fn is_limit(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<GlobalLimitExec>().is_some() || plan.downcast_ref::<LocalLimitExec>().is_some()
}

/// What PostgreSQL calls a node like this one.
fn kind_of(plan: &Arc<dyn ExecutionPlan>) -> String {
    if plan.downcast_ref::<WindowAggExec>().is_some() || plan.downcast_ref::<BoundedWindowAggExec>().is_some()
    {
        return "WindowAgg".to_owned();
    }
    if plan.downcast_ref::<SortExec>().is_some() {
        return "Sort".to_owned();
    }
    let kind = match plan.name() {
        "GlobalLimitExec" | "LocalLimitExec" => "Limit",
        "UnionExec" | "InterleaveExec" => "Append",
        "CoalescePartitionsExec" => "Gather",
        "SortPreservingMergeExec" => "Gather Merge",
        "RepartitionExec" => "Redistribute",
        "PlaceholderRowExec" | "EmptyExec" => "Result",
        "UnnestExec" => "ProjectSet",
        "RecursiveQueryExec" => "Recursive Union",
        "WorkTableExec" => "WorkTable Scan",
        "DataSourceExec" | "MemoryExec" => "Values Scan",
        "LazyMemoryExec" => "Function Scan",
        other => return other.strip_suffix("Exec").unwrap_or(other).to_owned(),
    };
    kind.to_owned()
}

/// How a join whose first child is on the left is called.
fn join_name(kind: JoinType) -> Option<&'static str> {
    match kind {
        JoinType::Inner => None,
        JoinType::Left => Some("Left"),
        JoinType::Right => Some("Right"),
        JoinType::Full => Some("Full"),
        JoinType::LeftSemi => Some("Semi"),
        JoinType::RightSemi => Some("Right Semi"),
        JoinType::LeftAnti => Some("Anti"),
        JoinType::RightAnti => Some("Right Anti"),
        JoinType::LeftMark => Some("Mark"),
        JoinType::RightMark => Some("Right Mark"),
    }
}

#[allow(clippy::too_many_arguments)]
fn joined(
    name: &str,
    label: &'static str,
    kind: JoinType,
    left: Named,
    right: Named,
    on: JoinOnRef<'_>,
    filter: Option<&JoinFilter>,
    projection: Option<&[usize]>,
) -> Named {
    let (left, of_left) = left;
    let (right, of_right) = right;
    let pair = |(l, r): &(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)| match label {
        "Hash Cond" => format!("({} = {})", show(r, &of_right), show(l, &of_left)),
        _ => format!("({} = {})", show(l, &of_left), show(r, &of_right)),
    };
    let pairs: Vec<String> = on.iter().map(pair).collect();
    let terms = filter.map_or_else(Vec::new, |filter| {
        let places = filter.column_indices().iter();
        let names: Vec<String> = places
            .map(|place| match place.side {
                JoinSide::Left => of_left.get(place.index),
                _ => of_right.get(place.index),
            })
            .map(|name| name.cloned().unwrap_or_else(|| "?".to_owned()))
            .collect();
        split_conjunction(condition_of(filter.expression()))
            .into_iter()
            .map(|term| show(term, &names))
            .collect()
    });
    let mut names = Vec::new();
    if !matches!(kind, JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark) {
        names.extend(of_left);
    }
    if !matches!(kind, JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark) {
        names.extend(of_right);
    }
    if matches!(kind, JoinType::LeftMark | JoinType::RightMark) {
        names.push("mark".to_owned());
    }
    if let Some(places) = projection {
        names = places.iter().filter_map(|at| names.get(*at).cloned()).collect();
    }
    let node =
        Node { kind: name.to_owned(), join: join_name(kind), children: vec![left, right], ..Node::default() };
    (node.text(label, &pairs).text("Join Filter", &terms), names)
}
