//! The data of TPC-H, as CSV files with a header, by the generator of the crate `tpchgen`.
//!
//! Guarantees: the same scale gives the same bytes, those of the benchmark's own generator.

use std::fmt::Display;
use std::io::{self, Write};

use tpchgen::csv::{
    CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv,
};
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

/// The tables, in an order in which each refers to earlier ones only.
pub const TABLES: [&str; 8] =
    ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"];

/// Writes a table of that scale factor (1.0: 6 million rows of `lineitem`, 1 GB in all).
///
/// # Errors
/// What writing gives; [`io::ErrorKind::InvalidInput`] for a name that is not one of [`TABLES`].
pub fn write(table: &str, scale: f64, out: &mut impl Write) -> io::Result<()> {
    match table {
        "region" => {
            lines(out, RegionCsv::header(), RegionGenerator::new(scale, 1, 1).iter().map(RegionCsv::new))
        }
        "nation" => {
            lines(out, NationCsv::header(), NationGenerator::new(scale, 1, 1).iter().map(NationCsv::new))
        }
        "part" => lines(out, PartCsv::header(), PartGenerator::new(scale, 1, 1).iter().map(PartCsv::new)),
        "supplier" => lines(
            out,
            SupplierCsv::header(),
            SupplierGenerator::new(scale, 1, 1).iter().map(SupplierCsv::new),
        ),
        "partsupp" => lines(
            out,
            PartSuppCsv::header(),
            PartSuppGenerator::new(scale, 1, 1).iter().map(PartSuppCsv::new),
        ),
        "customer" => lines(
            out,
            CustomerCsv::header(),
            CustomerGenerator::new(scale, 1, 1).iter().map(CustomerCsv::new),
        ),
        "orders" => {
            lines(out, OrderCsv::header(), OrderGenerator::new(scale, 1, 1).iter().map(OrderCsv::new))
        }
        "lineitem" => lines(
            out,
            LineItemCsv::header(),
            LineItemGenerator::new(scale, 1, 1).iter().map(LineItemCsv::new),
        ),
        other => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no table named {other}"))),
    }
}

fn lines<R: Display>(out: &mut impl Write, header: &str, rows: impl Iterator<Item = R>) -> io::Result<()> {
    writeln!(out, "{header}")?;
    for row in rows {
        writeln!(out, "{row}")?;
    }
    Ok(())
}
