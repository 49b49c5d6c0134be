//! What is kept of a table's values for the planner (`docs/format/catalog.md`): plain data.

use cairn_types::{Coded, DataType, Value};

use super::{ColumnId, ObjectId};

/// Statistics of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableStatistics {
    /// Which table.
    pub table: ObjectId,
    /// About how many rows it had.
    pub rows: f64,
    /// About what it took on disk, in units of 8 KiB.
    pub pages: u64,
    /// The columns that were looked at, by id.
    pub columns: Vec<ColumnStatistics>,
}

impl TableStatistics {
    /// Those of a column.
    pub fn column(&self, id: ColumnId) -> Option<&ColumnStatistics> {
        self.columns.iter().find(|column| column.column == id)
    }
}

/// Statistics of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnStatistics {
    /// Which column.
    pub column: ColumnId,
    /// Its type when it was looked at.
    pub ty: DataType,
    /// Of the rows, those with NULL: 0 to 1.
    pub null_fraction: f64,
    /// Bytes of a value that is not NULL.
    pub average_width: u32,
    /// Distinct values but NULL; where negative, for each row of the table. 0: none are known.
    pub distinct: f64,
    /// Values with their shares of all rows, most common first.
    pub most_common: Vec<(Value, f64)>,
    /// Ascending bounds of parts of equal size of the other values; empty or at least two.
    pub histogram: Vec<Value>,
    /// Of the values' order with the keys': -1 to 1.
    pub correlation: Option<f64>,
}

impl ColumnStatistics {
    /// Distinct values but NULL, in a table of so many rows.
    pub fn distinct_of(&self, rows: f64) -> f64 {
        let distinct = if self.distinct < 0.0 { -self.distinct * rows } else { self.distinct };
        distinct.clamp(1.0, rows.max(1.0))
    }

    /// Gives its values the type as it is now: labels of an enum are kept elsewhere.
    pub(crate) fn complete(&mut self, now: &Coded) {
        self.ty = DataType::Coded(now.clone());
        let values = self.most_common.iter_mut().map(|(value, _)| value).chain(&mut self.histogram);
        for value in values {
            if let Value::Coded { ty, .. } = value {
                *ty = now.clone();
            }
        }
    }
}
