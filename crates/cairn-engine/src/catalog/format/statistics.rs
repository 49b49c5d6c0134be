//! The bytes of statistics.

use cairn_types::row::RowEncoder;
use cairn_types::{DataType, Value};

use super::{Decoder, Descriptor, Encoder};
use crate::catalog::{ColumnStatistics, TableStatistics};
use crate::error::Result;

fn write_value(out: &mut Encoder, value: &Value, ty: &DataType) -> Result<()> {
    let mut row = Vec::new();
    RowEncoder::new(std::slice::from_ref(ty))?.encode_values(std::slice::from_ref(value), &mut row)?;
    out.blob(&row);
    Ok(())
}

fn write_share(out: &mut Encoder, share: f64) {
    out.i64(share.to_bits() as i64);
}

fn read_share(from: &mut Decoder<'_>) -> Result<f64> {
    let share = f64::from_bits(from.i64()? as u64);
    if share.is_finite() { Ok(share) } else { Err(from.damage("a share that is no number")) }
}

impl Descriptor for TableStatistics {
    const WHAT: &'static str = "table's statistics";

    fn write(&self, out: &mut Encoder) -> Result<()> {
        out.u32(self.table);
        write_share(out, self.rows);
        out.i64(self.pages as i64);
        out.u32(self.columns.len() as u32);
        for column in &self.columns {
            out.u32(column.column);
            out.ty(&column.ty);
            write_share(out, column.null_fraction);
            out.u32(column.average_width);
            write_share(out, column.distinct);
            out.u32(column.most_common.len() as u32);
            for (value, share) in &column.most_common {
                write_value(out, value, &column.ty)?;
                write_share(out, *share);
            }
            out.u32(column.histogram.len() as u32);
            for value in &column.histogram {
                write_value(out, value, &column.ty)?;
            }
            out.option(&column.correlation, |out, correlation| write_share(out, *correlation));
        }
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self> {
        let table = from.u32()?;
        let rows = read_share(from)?;
        let pages = from.i64()?.max(0) as u64;
        let columns = from.list(|from| {
            let column = from.u32()?;
            let ty = from.ty()?;
            Ok(ColumnStatistics {
                column,
                null_fraction: read_share(from)?,
                average_width: from.u32()?,
                distinct: read_share(from)?,
                most_common: from.list(|from| Ok((from.value(&ty)?, read_share(from)?)))?,
                histogram: from.list(|from| from.value(&ty))?,
                correlation: from.option(read_share)?,
                ty,
            })
        })?;
        Ok(TableStatistics { table, rows, pages, columns })
    }
}
