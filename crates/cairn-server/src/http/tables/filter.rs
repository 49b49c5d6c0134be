//! Conditions of an address: `status=eq.paid`, `total=gt.10`, `or=(a.is.null,b.in.(1,2))`, as PostgREST has them.

use super::super::problem::Problem;
use super::relation::{Relation, quoted};
use super::statement::Statement;

/// Conditions within conditions, at most.
const DEPTH_MAX: usize = 20;

/// Comparisons by name.
const OPERATORS: [(&str, &str); 14] = [
    ("eq", "="),
    ("neq", "<>"),
    ("gt", ">"),
    ("gte", ">="),
    ("lt", "<"),
    ("lte", "<="),
    ("like", "LIKE"),
    ("ilike", "ILIKE"),
    ("match", "~"),
    ("imatch", "~*"),
    ("isdistinct", "IS DISTINCT FROM"),
    ("cs", "@>"),
    ("cd", "<@"),
    ("ov", "&&"),
];

/// A condition on columns of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Compare { column: String, operator: &'static str, value: String },
    In { column: String, values: Vec<String> },
    Is { column: String, what: &'static str },
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
}

impl Filter {
    /// A parameter of an address: `name=rest`.
    pub(super) fn parse(name: &str, rest: &str) -> Result<Filter, Problem> {
        let (base, negated) = match name.strip_prefix("not.") {
            Some(base @ ("and" | "or")) => (base, true),
            _ => (name, false),
        };
        let filter = match base {
            "and" | "or" => group(base, rest, 0)?,
            column => condition(column, rest)?,
        };
        Ok(if negated { Filter::Not(Box::new(filter)) } else { filter })
    }

    /// Appends it as SQL; the columns are looked up.
    pub(super) fn write(&self, relation: &Relation, alias: &str, out: &mut Statement) -> Result<(), Problem> {
        let name = |column: &str| -> Result<String, Problem> {
            relation.column(column)?;
            Ok(format!("{alias}.{}", quoted(column)))
        };
        match self {
            Filter::Compare { column, operator, value } => {
                out.push(&format!("{} {operator} ", name(column)?));
                let pattern = matches!(*operator, "LIKE" | "ILIKE");
                out.push_value(Some(if pattern { value.replace('*', "%") } else { value.clone() }));
            }
            Filter::In { column, values } if values.is_empty() => {
                name(column)?;
                out.push("false");
            }
            Filter::In { column, values } => {
                out.push(&format!("{} IN (", name(column)?));
                for (at, value) in values.iter().enumerate() {
                    out.push(if at > 0 { ", " } else { "" });
                    out.push_value(Some(value.clone()));
                }
                out.push(")");
            }
            Filter::Is { column, what } => out.push(&format!("{} IS {what}", name(column)?)),
            Filter::All(all) => joined(all, " AND ", relation, alias, out)?,
            Filter::Any(all) => joined(all, " OR ", relation, alias, out)?,
            Filter::Not(inner) => {
                out.push("NOT (");
                inner.write(relation, alias, out)?;
                out.push(")");
            }
        }
        Ok(())
    }
}

fn joined(
    all: &[Filter],
    between: &str,
    relation: &Relation,
    alias: &str,
    out: &mut Statement,
) -> Result<(), Problem> {
    out.push("(");
    for (at, filter) in all.iter().enumerate() {
        out.push(if at > 0 { between } else { "" });
        filter.write(relation, alias, out)?;
    }
    out.push(")");
    Ok(())
}

/// `op.value`, `not.op.value`.
fn condition(column: &str, rest: &str) -> Result<Filter, Problem> {
    if let Some(rest) = rest.strip_prefix("not.") {
        return Ok(Filter::Not(Box::new(condition(column, rest)?)));
    }
    let wrong = || {
        let names: Vec<&str> = OPERATORS.iter().map(|own| own.0).collect();
        Problem::request(format!("\"{rest}\" is no condition for \"{column}\""))
            .with_hint(&format!("Say operator.value; operators: {}, in, is, not.", names.join(", ")))
    };
    let (operator, value) = rest.split_once('.').ok_or_else(wrong)?;
    let column = column.to_owned();
    match operator {
        "in" => {
            let inner = value.strip_prefix('(').and_then(|own| own.strip_suffix(')')).ok_or_else(wrong)?;
            let values = if inner.is_empty() {
                Vec::new()
            } else {
                parts(inner).iter().map(|own| bare(own)).collect()
            };
            Ok(Filter::In { column, values })
        }
        "is" => {
            let what = match value.to_ascii_lowercase().as_str() {
                "null" => "NULL",
                "not_null" => "NOT NULL",
                "true" => "TRUE",
                "false" => "FALSE",
                "unknown" => "UNKNOWN",
                _ => return Err(wrong()),
            };
            Ok(Filter::Is { column, what })
        }
        name => {
            let found = OPERATORS.iter().find(|own| own.0 == name).ok_or_else(wrong)?;
            Ok(Filter::Compare { column, operator: found.1, value: value.to_owned() })
        }
    }
}

/// `(a.eq.1,or(b.eq.2,c.eq.3))`.
fn group(word: &str, rest: &str, depth: usize) -> Result<Filter, Problem> {
    if depth >= DEPTH_MAX {
        return Err(Problem::new(400, "54001", format!("conditions are nested deeper than {DEPTH_MAX}")));
    }
    let inner = rest.strip_prefix('(').and_then(|own| own.strip_suffix(')'));
    let inner = inner.filter(|own| !own.is_empty());
    let inner =
        inner.ok_or_else(|| Problem::request(format!("\"{word}\" is followed by conditions in brackets")))?;
    let all = parts(inner).into_iter().map(|part| member(part, depth)).collect::<Result<_, _>>()?;
    Ok(if word == "and" { Filter::All(all) } else { Filter::Any(all) })
}

fn member(part: &str, depth: usize) -> Result<Filter, Problem> {
    for (prefix, word, negated) in
        [("and(", "and", false), ("or(", "or", false), ("not.and(", "and", true), ("not.or(", "or", true)]
    {
        if part.starts_with(prefix) {
            let filter = group(word, &part[prefix.len() - 1..], depth + 1)?;
            return Ok(if negated { Filter::Not(Box::new(filter)) } else { filter });
        }
    }
    let wrong = || {
        Problem::request(format!("\"{part}\" is no condition"))
            .with_hint("Within brackets a condition is column.operator.value.")
    };
    let (column, rest) = match part.strip_prefix('"') {
        Some(rest) => rest.split_once("\".").ok_or_else(wrong)?,
        None => part.split_once('.').ok_or_else(wrong)?,
    };
    match condition(column, rest)? {
        // Commas and brackets of a value stand in double quotes here.
        Filter::Compare { column, operator, value } => {
            Ok(Filter::Compare { column, operator, value: bare(&value) })
        }
        other => Ok(other),
    }
}

/// The parts between commas that stand in no brackets and no quotes.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let (mut all, mut from, mut depth) = (Vec::new(), 0, 0_usize);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                all.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(&text[from..]);
    all
}

/// A value without the quotes around it.
fn bare(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|own| own.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut out = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        out.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(column: &str, operator: &'static str, value: &str) -> Filter {
        Filter::Compare { column: column.to_owned(), operator, value: value.to_owned() }
    }

    #[test]
    fn conditions_are_read() {
        assert_eq!(Filter::parse("a", "eq.1.5").expect("read"), compare("a", "=", "1.5"));
        assert_eq!(
            Filter::parse("a", "not.like.x*").expect("read"),
            Filter::Not(Box::new(compare("a", "LIKE", "x*")))
        );
        let values = vec!["1".to_owned(), "b,c".to_owned(), "d\"".to_owned()];
        assert_eq!(
            Filter::parse("a", r#"in.(1,"b,c","d\"")"#).expect("read"),
            Filter::In { column: "a".to_owned(), values }
        );
        assert_eq!(
            Filter::parse("or", r#"(a.eq."x,y",and(b.gt.1,b.lt.3),c.is.null)"#).expect("read"),
            Filter::Any(vec![
                compare("a", "=", "x,y"),
                Filter::All(vec![compare("b", ">", "1"), compare("b", "<", "3")]),
                Filter::Is { column: "c".to_owned(), what: "NULL" },
            ])
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        for (name, rest) in [
            ("a", "1"),
            ("a", "equals.1"),
            ("a", "is.empty"),
            ("a", "in.1,2"),
            ("or", "a.eq.1"),
            ("or", "()"),
        ] {
            assert!(Filter::parse(name, rest).is_err(), "{name}={rest}");
        }
        let deep = format!("({}a.eq.1{})", "or(".repeat(100), ")".repeat(100));
        assert!(Filter::parse("or", &deep).is_err());
    }
}
