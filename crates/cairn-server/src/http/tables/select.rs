//! `select=`: columns, and rows of tables that foreign keys lead to.
//!
//! ```text
//!   select=id,total,name:customer_name,customers(name,city),items!items_order_fk(*)
//! ```

use super::super::problem::Problem;
use super::filter::parts;
use super::relation::{Relation, quoted};

/// Tables within tables, at most.
const DEPTH_MAX: usize = 8;

/// What `select` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item<'a> {
    All,
    Column { alias: &'a str, name: &'a str },
    Table { alias: &'a str, name: &'a str, by: Option<&'a str>, select: &'a str },
}

/// The select list of `relation`, which is called `t{depth}`.
pub(super) fn list(relation: &Relation, select: &str, depth: usize) -> Result<String, Problem> {
    if depth > DEPTH_MAX {
        return Err(Problem::new(400, "54001", format!("tables are nested deeper than {DEPTH_MAX}")));
    }
    let mut all = Vec::new();
    for part in parts(select) {
        all.push(match item(part)? {
            Item::All => format!("t{depth}.*"),
            Item::Column { alias, name } => {
                relation.column(name)?;
                format!("t{depth}.{} AS {}", quoted(name), quoted(alias))
            }
            Item::Table { alias, name, by, select } => {
                format!("{} AS {}", embedded(relation, (name, by), select, depth)?, quoted(alias))
            }
        });
    }
    Ok(all.join(", "))
}

/// The rows of another table as JSON: an object or NULL, or a list.
fn embedded(
    relation: &Relation,
    (name, by): (&str, Option<&str>),
    select: &str,
    depth: usize,
) -> Result<String, Problem> {
    let link = relation.link(name, by)?;
    let inner = depth + 1;
    let columns = list(&link.other, select, inner)?;
    let on: Vec<String> = link
        .pairs
        .iter()
        .map(|(own, other)| format!("t{inner}.{} = t{depth}.{}", quoted(other), quoted(own)))
        .collect();
    let order = link.other.key().iter().map(|key| format!("t{inner}.{}", quoted(key))).collect::<Vec<_>>();
    let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let rows = format!("SELECT {columns} FROM {} AS t{inner} WHERE {}", link.other.sql(), on.join(" AND "));
    Ok(match link.many {
        true => format!("(SELECT coalesce(json_agg(to_json(e)), '[]'::json) FROM ({rows}{order}) AS e)"),
        false => format!("(SELECT to_json(e) FROM ({rows}) AS e)"),
    })
}

/// One part of a list.
fn item(part: &str) -> Result<Item<'_>, Problem> {
    let part = part.trim();
    if part == "*" {
        return Ok(Item::All);
    }
    let wrong = || {
        Problem::request(format!("\"{part}\" cannot be selected"))
            .with_hint("Say column, alias:column, or table(columns) for a table that a foreign key leads to.")
    };
    let (alias, rest) = match part.split_once(':') {
        Some((alias, rest)) if !alias.contains('(') => (Some(alias), rest),
        _ => (None, part),
    };
    match rest.split_once('(') {
        None if rest.is_empty() => Err(wrong()),
        None => Ok(Item::Column { alias: alias.unwrap_or(rest), name: rest }),
        Some((head, inner)) => {
            let select = inner.strip_suffix(')').ok_or_else(wrong)?;
            let (name, by) = head.split_once('!').map_or((head, None), |(name, by)| (name, Some(by)));
            Ok(Item::Table {
                alias: alias.unwrap_or(name),
                name,
                by,
                select: if select.is_empty() { "*" } else { select },
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read() {
        assert_eq!(item("name:c").expect("read"), Item::Column { alias: "name", name: "c" });
        let table = Item::Table { alias: "who", name: "customers", by: Some("fk"), select: "a,x:b(c)" };
        assert_eq!(item("who:customers!fk(a,x:b(c))").expect("read"), table);
        assert_eq!(
            item("customers(x:b)").expect("read"),
            Item::Table { alias: "customers", name: "customers", by: None, select: "x:b" }
        );
        assert!(item("").is_err() && item("a(b").is_err());
    }
}
