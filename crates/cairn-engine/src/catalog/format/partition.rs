//! The bytes of PARTITION BY and of partitions' bounds; specified in `docs/format/catalog.md`.

use cairn_types::row::RowEncoder;
use cairn_types::{DataType, Value};

use super::{Decoder, EXTRA_PARTITION, EXTRA_PARTITIONING, Encoder};
use crate::catalog::TableDescriptor;
use crate::catalog::partition::{PartitionBound, PartitionOf, PartitionStrategy, Partitioning, RangeEnd};
use crate::error::Result;

const STRATEGIES: [PartitionStrategy; 3] =
    [PartitionStrategy::Range, PartitionStrategy::List, PartitionStrategy::Hash];

/// A value without its type.
fn write_value(out: &mut Encoder, value: &Value, ty: &DataType) -> Result<()> {
    let mut row = Vec::new();
    let encoder = RowEncoder::new(std::slice::from_ref(ty))?;
    encoder.encode_values(std::slice::from_ref(value), &mut row)?;
    out.blob(&row);
    Ok(())
}

fn write_ends(out: &mut Encoder, ends: &[RangeEnd], types: &[DataType]) -> Result<()> {
    for (end, ty) in ends.iter().zip(types) {
        match end {
            RangeEnd::Min => out.u8(0),
            RangeEnd::Value(value) => {
                out.u8(1);
                write_value(out, value, ty)?;
            }
            RangeEnd::Max => out.u8(2),
        }
    }
    Ok(())
}

fn read_ends(from: &mut Decoder<'_>, types: &[DataType]) -> Result<Vec<RangeEnd>> {
    let mut ends = Vec::with_capacity(types.len());
    for ty in types {
        ends.push(match from.u8()? {
            0 => RangeEnd::Min,
            1 => RangeEnd::Value(from.value(ty)?),
            2 => RangeEnd::Max,
            other => return Err(from.damage(&format!("{other} for an end of a range"))),
        });
    }
    Ok(ends)
}

/// Puts both extras of a table, where it has them.
pub(super) fn extras(table: &TableDescriptor, extras: &mut Vec<(u8, Vec<u8>)>) -> Result<()> {
    if let Some(own) = &table.partitioning {
        let mut out = Encoder { bytes: Vec::new() };
        out.u8(STRATEGIES.iter().position(|one| *one == own.strategy).unwrap_or(0) as u8);
        out.list(&own.columns, |out, id| out.u32(*id));
        extras.push((EXTRA_PARTITIONING, out.bytes));
    }
    if let Some(own) = &table.partition {
        let mut out = Encoder { bytes: Vec::new() };
        out.u32(own.parent);
        out.list(&own.types, |out, ty| out.ty(ty));
        match &own.bound {
            PartitionBound::Default => out.u8(0),
            PartitionBound::Range { from, to } => {
                out.u8(1);
                write_ends(&mut out, from, &own.types)?;
                write_ends(&mut out, to, &own.types)?;
            }
            PartitionBound::List(values) => {
                out.u8(2);
                out.u32(values.len() as u32);
                for (value, ty) in values.iter().zip(own.types.iter().cycle()) {
                    write_value(&mut out, value, ty)?;
                }
            }
            PartitionBound::Hash { modulus, remainder } => {
                out.u8(3);
                out.u32(*modulus);
                out.u32(*remainder);
            }
        }
        out.list(&own.indexes, |out, (parent, index)| {
            out.u16(*parent);
            out.u16(*index);
        });
        extras.push((EXTRA_PARTITION, out.bytes));
    }
    Ok(())
}

pub(super) fn read_partitioning(table: &mut TableDescriptor, from: &mut Decoder<'_>) -> Result<()> {
    let strategy = from.u8()?;
    let strategy = STRATEGIES.get(usize::from(strategy)).copied();
    let strategy = strategy.ok_or_else(|| from.damage("an unknown way to divide a table"))?;
    table.partitioning = Some(Partitioning { strategy, columns: from.list(Decoder::u32)? });
    Ok(())
}

pub(super) fn read_partition(table: &mut TableDescriptor, from: &mut Decoder<'_>) -> Result<()> {
    let parent = from.u32()?;
    let types = from.list(Decoder::ty)?;
    let bound = match from.u8()? {
        0 => PartitionBound::Default,
        1 => PartitionBound::Range { from: read_ends(from, &types)?, to: read_ends(from, &types)? },
        2 => {
            let Some(ty) = types.first() else { return Err(from.damage("a list without its type")) };
            PartitionBound::List(from.list(|from| from.value(ty))?)
        }
        3 => {
            let (modulus, remainder) = (from.u32()?, from.u32()?);
            if remainder >= modulus {
                return Err(from.damage("a remainder that is not below its modulus"));
            }
            PartitionBound::Hash { modulus, remainder }
        }
        other => return Err(from.damage(&format!("{other} for a bound"))),
    };
    let indexes = from.list(|from| Ok((from.u16()?, from.u16()?)))?;
    table.partition = Some(PartitionOf { parent, types, bound, indexes });
    Ok(())
}
