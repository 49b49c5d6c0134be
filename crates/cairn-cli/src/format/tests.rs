//! The formats against texts written by hand.
#![allow(clippy::unwrap_used)]

use super::Format;
use cairndb::Database;

fn print(format: Format, sql: &str) -> String {
    let db = Database::in_memory().unwrap();
    let mut rows = db.query(sql, &[]).unwrap();
    let columns = rows.columns().to_vec();
    let mut writer = format.writer();
    let mut out = Vec::new();
    writer.begin(&columns, &mut out).unwrap();
    while let Some(batch) = rows.next_batch().unwrap() {
        writer.batch(&columns, &batch, &mut out).unwrap();
    }
    writer.end(&columns, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const ODD: &str = "SELECT 1 AS n, 'a,\"b\"' AS s, 1.5::double precision AS d UNION ALL SELECT 22, '', NULL \
                   UNION ALL SELECT NULL, E'two\\nlines', 'NaN'::double precision ORDER BY n";

#[test]
fn table_is_laid_out_as_psql_does() {
    assert_eq!(
        print(Format::Table, ODD),
        "  n   |   s   |  d\n------+-------+------\n    1 | a,\"b\" |  1.5\n   22 |       | NULL\n NULL | two  +|  NaN\n      | lines |\n(3 rows)\n"
    );
}

#[test]
fn csv_quotes_and_keeps_null_apart_from_empty() {
    assert_eq!(print(Format::Csv, ODD), "n,s,d\n1,\"a,\"\"b\"\"\",1.5\n22,\"\",\n,\"two\nlines\",NaN\n");
}

#[test]
fn json_is_one_array_and_jsonl_an_object_per_line() {
    let first = r#"{"n":1,"s":"a,\"b\"","d":1.5}"#;
    let second = r#"{"n":22,"s":"","d":null}"#;
    let third = r#"{"n":null,"s":"two\nlines","d":"NaN"}"#;
    assert_eq!(print(Format::Json, ODD), format!("[{first},\n{second},\n{third}]\n"));
    assert_eq!(print(Format::Jsonl, ODD), format!("{first}\n{second}\n{third}\n"));
    assert_eq!(print(Format::Json, "SELECT 1 AS a WHERE false"), "[]\n");
}

#[test]
fn json_makes_names_distinct_and_times_iso() {
    assert_eq!(
        print(Format::Jsonl, "SELECT 1 AS a, true AS a, TIMESTAMPTZ '2013-01-01 05:00:00+00' AS t"),
        "{\"a\":1,\"a_2\":true,\"t\":\"2013-01-01T05:00:00+00:00\"}\n"
    );
}

#[test]
fn markdown_escapes_pipes() {
    assert_eq!(
        print(Format::Markdown, "SELECT 1 AS n, 'a|b' AS s"),
        "| n | s |\n|---:|----|\n| 1 | a\\|b |\n"
    );
}

#[test]
fn line_prints_a_value_a_line() {
    assert_eq!(print(Format::Line, "SELECT 1 AS n, NULL AS long"), "   n = 1\nlong = NULL\n");
}
