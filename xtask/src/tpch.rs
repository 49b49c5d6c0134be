//! `cargo xtask tpch`: writes the tables of TPC-H as CSV files into `target/tpch`, for `examples/tpch`. `--scale 0.01` says how
//! much; scale 1, the default, is 1 GB.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use cairn_testkit::tpch;

/// Writes the files.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let scale = scale(std::env::args().skip(2))?;
    let directory = root.join("target/tpch");
    std::fs::create_dir_all(&directory).context("making target/tpch")?;
    for table in tpch::TABLES {
        let path = directory.join(format!("{table}.csv"));
        let mut file = BufWriter::new(File::create(&path).with_context(|| path.display().to_string())?);
        tpch::write(table, scale, &mut file)?;
        file.flush()?;
        println!("{}", path.display());
    }
    Ok(())
}

fn scale(mut given: impl Iterator<Item = String>) -> anyhow::Result<f64> {
    let Some(option) = given.next() else { return Ok(1.0) };
    let value = given.next();
    match (option.as_str(), value.as_deref().map(str::parse::<f64>), given.next()) {
        ("--scale", Some(Ok(scale)), None) if scale > 0.0 => Ok(scale),
        ("--scale", ..) => bail!("--scale needs one number above 0"),
        _ => bail!("unknown option {option}; there is --scale N (default 1)"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::scale;

    #[test]
    fn options() {
        let with = |given: &[&str]| scale(given.iter().map(|word| (*word).to_owned()));
        assert_eq!(with(&[]).unwrap(), 1.0);
        assert_eq!(with(&["--scale", "0.01"]).unwrap(), 0.01);
        assert!(with(&["--scale"]).is_err());
        assert!(with(&["--scale", "0"]).is_err());
        assert!(with(&["--scale", "1", "2"]).is_err());
        assert!(with(&["--size", "1"]).is_err());
    }
}
