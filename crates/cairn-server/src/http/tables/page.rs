//! Order, and the page that comes after a row.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairndb::arrow::{Array, RecordBatch};
use cairndb::{Column, format_cell};

use super::super::problem::Problem;
use super::relation::{Relation, quoted};
use super::statement::Statement;

/// A column of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sorted {
    pub(super) column: String,
    descending: bool,
    nulls_first: bool,
}

impl Sorted {
    fn ascending(column: &str) -> Sorted {
        Sorted { column: column.to_owned(), descending: false, nulls_first: false }
    }

    /// `column.desc.nullslast`.
    fn parse(text: &str) -> Result<Sorted, Problem> {
        let mut words = text.split('.');
        let mut sorted = Sorted::ascending(words.next().unwrap_or_default());
        let mut nulls = None;
        for word in words {
            match word {
                "asc" => sorted.descending = false,
                "desc" => sorted.descending = true,
                "nullsfirst" => nulls = Some(true),
                "nullslast" => nulls = Some(false),
                _ => {
                    let message = format!("\"{text}\" is no order");
                    return Err(
                        Problem::request(message).with_hint("Say column.desc.nullslast, for example.")
                    );
                }
            }
        }
        sorted.nulls_first = nulls.unwrap_or(sorted.descending);
        Ok(sorted)
    }

    fn sql(&self, alias: &str) -> String {
        let direction = if self.descending { "DESC" } else { "ASC" };
        let nulls = if self.nulls_first { "FIRST" } else { "LAST" };
        format!("{alias}.{} {direction} NULLS {nulls}", quoted(&self.column))
    }
}

/// The order that is asked for, and the primary key behind it: no two rows are equal then.
pub(super) fn order(relation: &Relation, asked: Option<&str>) -> Result<Vec<Sorted>, Problem> {
    let mut all = Vec::new();
    for part in asked.into_iter().flat_map(|asked| asked.split(',')) {
        let sorted = Sorted::parse(part)?;
        relation.column(&sorted.column)?;
        all.push(sorted);
    }
    for key in relation.key() {
        if !all.iter().any(|own: &Sorted| own.column == key) {
            all.push(Sorted::ascending(key));
        }
    }
    Ok(all)
}

/// ` ORDER BY …`; empty without columns.
pub(super) fn order_by(order: &[Sorted], alias: &str) -> String {
    match order {
        [] => String::new(),
        order => {
            let all: Vec<String> = order.iter().map(|own| own.sql(alias)).collect();
            format!(" ORDER BY {}", all.join(", "))
        }
    }
}

/// Where a page ended: the values of the order's columns in its last row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor(Vec<Option<String>>);

impl Cursor {
    /// That of the last row of a batch, whose last columns are those of the order.
    pub(super) fn of(batch: &RecordBatch, columns: &[Column]) -> Option<Cursor> {
        let row = batch.num_rows().checked_sub(1)?;
        let from = batch.num_columns().checked_sub(columns.len())?;
        let value = |at: usize| {
            let array = batch.column(from + at);
            (!array.is_null(row)).then(|| {
                let mut text = String::new();
                format_cell(array.as_ref(), row, columns[at].data_type(), &mut text);
                text
            })
        };
        Some(Cursor((0..columns.len()).map(value).collect()))
    }

    /// As it stands in an address.
    pub(super) fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::json!(self.0).to_string())
    }

    pub(super) fn parse(text: &str, order: &[Sorted]) -> Result<Cursor, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let values = bytes.and_then(|bytes| serde_json::from_slice::<Vec<Option<String>>>(&bytes).ok());
        let wrong = || Problem::request("\"after\" is none that this order gave");
        values.filter(|own| own.len() == order.len() && !own.is_empty()).map(Cursor).ok_or_else(wrong)
    }

    /// Appends the condition of rows that come after: for each column, equal in those before it and later in it.
    pub(super) fn write(&self, order: &[Sorted], alias: &str, out: &mut Statement) {
        out.push("(");
        for at in 0..order.len() {
            out.push(if at > 0 { " OR (" } else { "(" });
            for (sorted, value) in order.iter().zip(&self.0).take(at) {
                let column = format!("{alias}.{}", quoted(&sorted.column));
                match value {
                    None => out.push(&format!("{column} IS NULL AND ")),
                    Some(value) => {
                        out.push(&format!("{column} = "));
                        out.push_value(Some(value.clone()));
                        out.push(" AND ");
                    }
                }
            }
            let sorted = &order[at];
            let column = format!("{alias}.{}", quoted(&sorted.column));
            match (&self.0[at], sorted.nulls_first) {
                (None, true) => out.push(&format!("{column} IS NOT NULL")),
                (None, false) => out.push("false"),
                (Some(value), nulls_first) => {
                    let operator = if sorted.descending { "<" } else { ">" };
                    out.push(&format!("({column} {operator} "));
                    out.push_value(Some(value.clone()));
                    out.push(if nulls_first { ")" } else { "" });
                    if !nulls_first {
                        out.push(&format!(" OR {column} IS NULL)"));
                    }
                }
            }
            out.push(")");
        }
        out.push(")");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_row() {
        let order = [Sorted::parse("a.desc").expect("read"), Sorted::parse("b").expect("read")];
        let written = |values: [Option<&str>; 2]| {
            let cursor = Cursor(values.map(|own| own.map(str::to_owned)).to_vec());
            assert_eq!(Cursor::parse(&cursor.to_text(), &order).expect("read"), cursor);
            let mut out = Statement::default();
            cursor.write(&order, "t", &mut out);
            out.sql
        };
        assert_eq!(
            written([Some("1"), Some("2")]),
            r#"((((t."a" < $1)) OR (t."a" = $2 AND (t."b" > $3 OR t."b" IS NULL)))"#
                .replacen("((((", "(((", 1)
        );
        assert_eq!(written([None, None]), r#"((t."a" IS NOT NULL) OR (t."a" IS NULL AND false))"#);
    }
}
