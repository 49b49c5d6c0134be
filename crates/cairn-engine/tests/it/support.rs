//! What the tests share: batches from values, rows as text.

use arrow_array::RecordBatch;
use cairn_engine::ddl::{ColumnSpec, ConstraintSpec, TableSpec};
use cairn_engine::table::{self, ScanRequest};
use cairn_engine::{Database, ReadView, Result, Table, Transaction};
use cairn_types::{DataType, Value};

/// A batch of the live columns from rows of values.
pub(crate) fn batch(table: &Table, rows: &[Vec<Value>]) -> RecordBatch {
    let columns = table.live_columns().enumerate().map(|(i, column)| {
        let cells: Vec<Value> = rows.iter().map(|row| row[i].clone()).collect();
        Value::to_array(&cells, &column.ty).unwrap()
    });
    let fields = table.arrow_schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    let schema = arrow_schema::Schema::new(fields.collect::<Vec<_>>());
    RecordBatch::try_new(std::sync::Arc::new(schema), columns.collect()).unwrap()
}

/// The rows of a scan, as values.
pub(crate) fn rows(view: &ReadView, table: &Table, request: ScanRequest) -> Result<Vec<Vec<Value>>> {
    let places = request.projection.clone();
    let mut out = Vec::new();
    for batch in table::scan(view, table, request)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let cell = |(i, place): (usize, &usize)| {
                Value::from_array(batch.column(i).as_ref(), row, &table.live_column(*place).ty)
            };
            out.push(places.iter().enumerate().map(cell).collect());
        }
    }
    Ok(out)
}

/// All rows of a table, all live columns.
pub(crate) fn all_rows(view: &ReadView, table: &Table) -> Result<Vec<Vec<Value>>> {
    rows(view, table, ScanRequest::full(all(table)))
}

/// The places of all live columns.
pub(crate) fn all(table: &Table) -> Vec<usize> {
    (0..table.live_columns().len()).collect()
}

/// A random number generator for tests: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The seed of a random test: `CAIRN_SEED` or the one given; printed, so that a failure can be run again.
pub(crate) fn seed(default: u64) -> u64 {
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(default);
    println!("CAIRN_SEED={seed}");
    seed
}

/// A table of integers and texts: `id` the primary key, then the columns given.
pub(crate) fn simple_table(
    txn: &Transaction,
    name: &str,
    columns: &[(&str, DataType)],
) -> Result<std::sync::Arc<Table>> {
    let columns = columns.iter().map(|(name, ty)| ColumnSpec::new(*name, ty.clone()));
    txn.create_table(TableSpec {
        schema: "public".into(),
        name: name.into(),
        columns: std::iter::once(ColumnSpec::new("id", DataType::Integer)).chain(columns).collect(),
        constraints: vec![ConstraintSpec::PrimaryKey {
            name: None,
            columns: vec!["id".into()],
            deferrable: None,
        }],
        ..Default::default()
    })
}

pub(crate) fn begin(db: &Database) -> Transaction {
    db.begin(Default::default()).unwrap()
}
