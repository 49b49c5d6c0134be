//! The questions of the examples and their golden answers, and how an answer is compared with its golden one.
//!
//! Engines print numbers differently (`13.9` and `13.90`), so cells that are numbers on both sides are compared as
//! numbers, within half a unit of the second decimal (ties in `round` fall either way); all other cells are
//! compared as text. Column names must be the same.

use std::path::{Path, PathBuf};

/// A question of an example, with its golden answer.
#[derive(Debug, Clone)]
pub struct Question {
    /// The file name without its ending, such as `01-how-many`.
    pub name: String,
    /// The file that holds the SQL.
    pub sql: PathBuf,
    /// The file that holds the golden answer, as CSV.
    pub answer: PathBuf,
}

/// The questions of an example (`flights`, `tpch`) in order, of the repository at `root`.
///
/// # Errors
/// When the directory cannot be read.
pub fn questions(root: &Path, example: &str) -> std::io::Result<Vec<Question>> {
    let example = root.join("examples").join(example);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(example.join("questions"))? {
        let sql = entry?.path();
        let name = sql.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.ends_with(".sqlite") {
            let answer = example.join("answers").join(format!("{name}.csv"));
            found.push(Question { name, sql, answer });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Compares two CSV texts with a header line each.
///
/// # Errors
/// The first difference, in words.
pub fn compare(expected: &str, found: &str) -> Result<(), String> {
    let (expected, found) = (records(expected), records(found));
    if expected.first() != found.first() {
        return Err(format!("columns {:?}, expected {:?}", found.first(), expected.first()));
    }
    if expected.len() != found.len() {
        return Err(format!("{} lines, expected {}", found.len(), expected.len()));
    }
    for (line, (want, have)) in expected.iter().zip(&found).enumerate() {
        if want.len() != have.len() || !want.iter().zip(have).all(|(a, b)| same_cell(a, b)) {
            return Err(format!("line {}: {have:?}, expected {want:?}", line + 1));
        }
    }
    Ok(())
}

fn same_cell(a: &str, b: &str) -> bool {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() <= 0.0051_f64.max(a.abs() * 1e-9),
        _ => a == b,
    }
}

/// Splits CSV text (RFC 4180) into records of fields.
pub fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        records.push(record);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::{compare, records};

    #[test]
    fn quoted_fields_keep_commas_quotes_and_newlines() {
        assert_eq!(records("a,\"b,\"\"c\nd\"\n,\n"), [vec!["a", "b,\"c\nd"], vec!["", ""]]);
    }

    #[test]
    fn numbers_compare_as_numbers_and_text_as_text() {
        assert_eq!(compare("a\n13.9\n", "a\n13.90\n"), Ok(()));
        assert!(compare("a\n13.9\n", "a\n13.8\n").is_err());
        assert!(compare("a\nx\n", "a\ny\n").is_err());
        assert!(compare("a\n1\n", "b\n1\n").is_err());
        assert!(compare("a\n1\n", "a\n1\n2\n").is_err());
    }
}
