//! The options behind a command's name: `--name number`, each with a default.

use anyhow::{Context, bail};

/// The numbers that the command line gives for these options, or their defaults.
///
/// # Errors
/// An option that is not listed, or a value that is no number.
pub(crate) fn numbers<const N: usize>(options: [(&str, u64); N]) -> anyhow::Result<[u64; N]> {
    parse(options, std::env::args().skip(2))
}

fn parse<const N: usize>(
    options: [(&str, u64); N],
    mut given: impl Iterator<Item = String>,
) -> anyhow::Result<[u64; N]> {
    let mut numbers = options.map(|(_, default)| default);
    while let Some(argument) = given.next() {
        let Some(at) = options.iter().position(|(name, _)| argument == format!("--{name}")) else {
            let known: Vec<String> =
                options.iter().map(|(name, default)| format!("--{name} N (default {default})")).collect();
            bail!("unknown option {argument}; there is {}", known.join(", "));
        };
        let value = given.next().with_context(|| format!("{argument} needs a number"))?;
        numbers[at] = value.parse().with_context(|| format!("{argument} needs a number, not {value}"))?;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn with(given: &[&str]) -> anyhow::Result<[u64; 2]> {
        parse([("seeds", 7), ("rounds", 8)], given.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn defaults_values_and_refusals() -> anyhow::Result<()> {
        assert_eq!(with(&[])?, [7, 8]);
        assert_eq!(with(&["--rounds", "3"])?, [7, 3]);
        assert!(with(&["--round", "3"]).is_err() && with(&["--rounds"]).is_err());
        assert!(with(&["--rounds", "x"]).is_err());
        Ok(())
    }
}
