//! Hash joins of a compiled plan: the build side is read first, and where its keys lead to rows of the other side by the
//! primary key or an index, no others are read.
//!
//! Guarantees: rows in the order of the probe side where the join of DataFusion keeps it.
//! I1: a scan is told what to read only where it would read the whole table, and where no row without a partner is given.
//! I2: keys are compared as they are encoded; only types are taken whose encoding tells apart what `=` does.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use cairn_engine::catalog::IndexId;
use cairn_engine::table::{self, Access, Bounds};
use cairn_types::key::{KeyOrder, encode_value};
use cairn_types::{DataType, Value};
use datafusion::common::{JoinSide, JoinType, NullEquality};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::joins::utils::JoinFilter;

use super::scan::ScanNode;
use super::{Node, ROWS_MAX, Run, Stream, compares_as_key, shaped};
use crate::{Error, Result};

/// Rows of an index that are looked up at most.
const LOOKED_UP_MAX: usize = 1024;

/// See the module.
pub(super) struct JoinNode {
    build: Box<Node>,
    probe: Box<Node>,
    build_keys: Vec<Arc<dyn PhysicalExpr>>,
    probe_keys: Vec<Arc<dyn PhysicalExpr>>,
    types: Vec<DataType>,
    ty: JoinType,
    filter: Option<JoinFilter>,
    lookup: Option<Lookup>,
    /// Where the columns given come from.
    output: Vec<(JoinSide, usize)>,
    build_schema: SchemaRef,
    probe_schema: SchemaRef,
    schema: SchemaRef,
}

/// How keys lead to rows of the probe side.
struct Lookup {
    /// 0 = the rows themselves, by their whole key.
    index: IndexId,
    /// For each column of the key, as far as it goes, which pair of the join's keys tells it.
    columns: Vec<usize>,
}

/// Which rows are given, together.
struct Pairs {
    build: Vec<Option<u32>>,
    probe: Vec<Option<u32>>,
}

impl JoinNode {
    pub(super) fn of(join: &HashJoinExec, build: Node, probe: Node) -> Option<JoinNode> {
        let is_taken = matches!(
            join.join_type(),
            JoinType::Inner
                | JoinType::Left
                | JoinType::Right
                | JoinType::LeftSemi
                | JoinType::LeftAnti
                | JoinType::RightSemi
                | JoinType::RightAnti
        );
        if !is_taken || join.null_aware || join.null_equality() != NullEquality::NullEqualsNothing {
            return None;
        }
        let (build_schema, probe_schema) = (join.left().schema(), join.right().schema());
        let mut types = Vec::new();
        for (left, right) in join.on() {
            let (left, right) =
                (left.return_field(&build_schema).ok()?, right.return_field(&probe_schema).ok()?);
            let ty = DataType::from_field(&right);
            if left.data_type() != right.data_type() || !compares_as_key(&ty) {
                return None;
            }
            types.push(ty);
        }
        let (build_keys, probe_keys): (Vec<_>, Vec<_>) = join.on().iter().cloned().unzip();
        let unmatched = matches!(join.join_type(), JoinType::Right | JoinType::RightAnti);
        let lookup = if unmatched { None } else { Lookup::of(&probe, &probe_keys, &types) };
        let output = output(join, build_schema.fields().len());
        Some(JoinNode {
            build: Box::new(build),
            probe: Box::new(probe),
            build_keys,
            probe_keys,
            types,
            ty: *join.join_type(),
            filter: join.filter().map(crate::query::interrupt::unwatched),
            lookup,
            output,
            build_schema,
            probe_schema,
            schema: join.schema(),
        })
    }

    pub(super) fn run(&self, run: &mut Run<'_>) -> Result<Option<RecordBatch>> {
        let build = whole(&mut Stream::open(&self.build, run, None)?, &self.build_schema, run)?;
        let build_keys = self.keys(&self.build_keys, &build)?;
        let told = match &self.lookup {
            Some(lookup) => lookup.access(&build_keys, &self.types, &self.probe, run)?,
            None => None,
        };
        let probe = whole(&mut Stream::open(&self.probe, run, told.as_ref())?, &self.probe_schema, run)?;
        if run.is_abandoned {
            return Ok(None);
        }
        let probe_keys = self.keys(&self.probe_keys, &probe)?;
        let Some(pairs) = self.matched(&build_keys, &probe_keys, &build, &probe)? else {
            run.is_abandoned = true;
            return Ok(None);
        };
        let pairs = self.given(pairs, build.num_rows(), probe.num_rows());
        let (from_build, from_probe) = (UInt32Array::from(pairs.build), UInt32Array::from(pairs.probe));
        let rows = from_build.len().max(from_probe.len());
        let column = |(side, at): &(JoinSide, usize)| match side {
            JoinSide::Left => taken(build.column(*at), &from_build),
            _ => taken(probe.column(*at), &from_probe),
        };
        let columns = self.output.iter().map(column).collect::<Result<Vec<_>>>()?;
        shaped(&self.schema, columns, rows).map(Some)
    }

    /// The key of each row, encoded; none where a part of it is NULL.
    fn keys(&self, exprs: &[Arc<dyn PhysicalExpr>], batch: &RecordBatch) -> Result<Vec<Option<Key>>> {
        let rows = batch.num_rows();
        let evaluate = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(batch)?.into_array(rows);
        let columns = exprs.iter().map(evaluate).collect::<datafusion::error::Result<Vec<_>>>()?;
        let key = |row: usize| -> Result<Option<Key>> {
            let mut key = Key { values: Vec::with_capacity(columns.len()), encoded: Vec::with_capacity(16) };
            for (column, ty) in columns.iter().zip(&self.types) {
                if column.is_null(row) {
                    return Ok(None);
                }
                let value = Value::from_array(column, row, ty);
                encode_value(&value, ty, KeyOrder::ASCENDING, &mut key.encoded)?;
                key.values.push(value);
            }
            Ok(Some(key))
        };
        (0..rows).map(key).collect()
    }

    /// The pairs of rows that the join's conditions hold of, by the probe side's rows; `None` where more have equal keys than
    /// an execution may hold.
    fn matched(
        &self,
        build_keys: &[Option<Key>],
        probe_keys: &[Option<Key>],
        build: &RecordBatch,
        probe: &RecordBatch,
    ) -> Result<Option<Vec<(u32, u32)>>> {
        let mut by_key: HashMap<&[u8], Vec<u32>> = HashMap::with_capacity(build_keys.len());
        for (row, key) in build_keys.iter().enumerate() {
            if let Some(key) = key {
                by_key.entry(&key.encoded).or_default().push(row as u32);
            }
        }
        let mut pairs = Vec::with_capacity(probe_keys.len());
        for (row, key) in probe_keys.iter().enumerate() {
            let partners = key.as_ref().and_then(|key| by_key.get(key.encoded.as_slice()));
            pairs.extend(partners.into_iter().flatten().map(|partner| (*partner, row as u32)));
            if pairs.len() > ROWS_MAX {
                return Ok(None);
            }
        }
        let Some(filter) = self.filter.as_ref().filter(|_| !pairs.is_empty()) else { return Ok(Some(pairs)) };
        let from_build = UInt32Array::from_iter_values(pairs.iter().map(|pair| pair.0));
        let from_probe = UInt32Array::from_iter_values(pairs.iter().map(|pair| pair.1));
        let columns = filter.column_indices().iter().map(|column| match column.side {
            JoinSide::Left => taken(build.column(column.index), &from_build),
            _ => taken(probe.column(column.index), &from_probe),
        });
        let together = shaped(filter.schema(), columns.collect::<Result<_>>()?, pairs.len())?;
        let told = filter.expression().evaluate(&together)?.into_array(pairs.len())?;
        let Some(told) = told.as_any().downcast_ref::<BooleanArray>() else {
            return Err(Error::internal("a join's condition is no boolean"));
        };
        let held = pairs.into_iter().zip(told).filter(|(_, told)| *told == Some(true));
        Ok(Some(held.map(|(pair, _)| pair).collect()))
    }

    /// Which rows the join gives of these pairs.
    fn given(&self, pairs: Vec<(u32, u32)>, build_rows: usize, probe_rows: usize) -> Pairs {
        let marked = |rows: usize, of: fn(&(u32, u32)) -> u32| {
            let mut marked = vec![false; rows];
            pairs.iter().for_each(|pair| marked[of(pair) as usize] = true);
            marked
        };
        let rows_where = |marks: Vec<bool>, wanted: bool| -> Vec<Option<u32>> {
            let rows = marks.into_iter().enumerate().filter(|(_, marked)| *marked == wanted);
            rows.map(|(row, _)| Some(row as u32)).collect()
        };
        let (mut build, mut probe) = (Vec::new(), Vec::new());
        match self.ty {
            JoinType::LeftSemi => build = rows_where(marked(build_rows, |pair| pair.0), true),
            JoinType::LeftAnti => build = rows_where(marked(build_rows, |pair| pair.0), false),
            JoinType::RightSemi => probe = rows_where(marked(probe_rows, |pair| pair.1), true),
            JoinType::RightAnti => probe = rows_where(marked(probe_rows, |pair| pair.1), false),
            JoinType::Right => {
                let mut left = pairs.iter().peekable();
                for row in 0..probe_rows as u32 {
                    let before = build.len();
                    while let Some(pair) = left.next_if(|pair| pair.1 == row) {
                        build.push(Some(pair.0));
                        probe.push(Some(row));
                    }
                    if build.len() == before {
                        build.push(None);
                        probe.push(Some(row));
                    }
                }
            }
            _ => {
                build = pairs.iter().map(|pair| Some(pair.0)).collect();
                probe = pairs.iter().map(|pair| Some(pair.1)).collect();
                if self.ty == JoinType::Left {
                    build.extend(rows_where(marked(build_rows, |pair| pair.0), false));
                    probe.resize(build.len(), None);
                }
            }
        }
        Pairs { build, probe }
    }
}

/// A join's key of one row.
struct Key {
    values: Vec<Value>,
    encoded: Vec<u8>,
}

impl Lookup {
    fn of(probe: &Node, keys: &[Arc<dyn PhysicalExpr>], types: &[DataType]) -> Option<Lookup> {
        let column = |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Column>().map(Column::index);
        let scan = probe.scan()?;
        if !scan.reads_all() {
            return None;
        }
        let table = scan.table();
        let places: Vec<Option<usize>> =
            keys.iter().map(|key| column(key).and_then(|at| probe.place_of(at))).collect();
        let pair_of = |place: usize| {
            let same = |(at, ty): (usize, &DataType)| {
                (places.get(at).copied().flatten() == Some(place) && table.live_column(place).ty == *ty)
                    .then_some(at)
            };
            types.iter().enumerate().find_map(same)
        };
        let primary = table.primary_key_places();
        if !table.has_hidden_key()
            && let Some(columns) = primary.iter().map(|place| pair_of(*place)).collect::<Option<Vec<_>>>()
        {
            return Some(Lookup { index: 0, columns });
        }
        let by_index = table.indexes.iter().filter(|index| index.is_plain()).filter_map(|index| {
            let places = index.columns.iter().map(|column| table.place_of(column.column));
            let columns: Vec<usize> = places.map_while(|place| place.and_then(pair_of)).collect();
            (!columns.is_empty()).then_some(Lookup { index: index.id, columns })
        });
        by_index.max_by_key(|lookup| lookup.columns.len())
    }

    /// The rows that these keys lead to; `None` where they are too many.
    fn access(
        &self,
        keys: &[Option<Key>],
        types: &[DataType],
        probe: &Node,
        run: &Run<'_>,
    ) -> Result<Option<Access>> {
        let Some(scan) = probe.scan() else { return Ok(None) };
        let table = scan.table();
        if self.index == 0 {
            let encode = |key: &Key| -> Result<Bytes> {
                let mut encoded = Vec::with_capacity(key.encoded.len());
                for at in &self.columns {
                    encode_value(&key.values[*at], &types[*at], KeyOrder::ASCENDING, &mut encoded)?;
                }
                Ok(encoded.into())
            };
            let mut rows = keys.iter().flatten().map(encode).collect::<Result<Vec<_>>>()?;
            rows.sort_unstable();
            rows.dedup();
            return Ok(Some(Access::Rows(rows)));
        }
        let bounds = |key: &Key| Bounds::equal(self.columns.iter().map(|at| key.values[*at].clone()));
        let bounds: Vec<Bounds> = keys.iter().flatten().map(bounds).collect();
        let access = table::index_access(table, self.index, &bounds)?;
        Ok(table::rows_by_index(run.view, table, &access, &Access::Full, LOOKED_UP_MAX)?)
    }
}

/// Where the columns of a join come from.
fn output(join: &HashJoinExec, build_columns: usize) -> Vec<(JoinSide, usize)> {
    let (left, right) = match join.join_type() {
        JoinType::LeftSemi | JoinType::LeftAnti => (build_columns, 0),
        JoinType::RightSemi | JoinType::RightAnti => (0, join.right().schema().fields().len()),
        _ => (build_columns, join.right().schema().fields().len()),
    };
    let all = (0..left).map(|at| (JoinSide::Left, at)).chain((0..right).map(|at| (JoinSide::Right, at)));
    let all: Vec<_> = all.collect();
    match &join.projection {
        Some(columns) => columns.iter().filter_map(|at| all.get(*at)).copied().collect(),
        None => all,
    }
}

/// All rows of a stream.
fn whole(stream: &mut Stream<'_>, schema: &SchemaRef, run: &mut Run<'_>) -> Result<RecordBatch> {
    let mut batches = Vec::new();
    while let Some(batch) = stream.next(run)? {
        batches.push(batch);
    }
    match batches.len() {
        1 => Ok(batches.remove(0)),
        _ => concat_batches(schema, &batches).map_err(Error::from),
    }
}

/// The rows of a column in that order; the column itself where that is its own.
fn taken(column: &ArrayRef, rows: &UInt32Array) -> Result<ArrayRef> {
    let is_own = rows.len() == column.len()
        && rows.null_count() == 0
        && rows.values().iter().enumerate().all(|(at, row)| at == *row as usize);
    if is_own { Ok(Arc::clone(column)) } else { take(column, rows, None).map_err(Error::from) }
}

impl Node {
    /// The scan below, where only filters and columns lie between.
    fn scan(&self) -> Option<&ScanNode> {
        match self {
            Node::Scan(scan) => Some(scan),
            Node::Filter { input, .. } | Node::Columns { input, .. } => input.scan(),
            _ => None,
        }
    }

    /// The place in the table of an output column of such a node.
    fn place_of(&self, output: usize) -> Option<usize> {
        match self {
            Node::Scan(scan) => scan.place_of(output),
            Node::Filter { input, projection, .. } => {
                let output = match projection {
                    Some(columns) => *columns.get(output)?,
                    None => output,
                };
                input.place_of(output)
            }
            Node::Columns { input, columns, .. } => input.place_of(*columns.get(output)?),
            _ => None,
        }
    }
}
