//! Nodes as PostgreSQL's text: one line a node, its properties below, children behind an arrow.

use super::node::{Node, Property};

/// What is shown of estimates and of what was measured.
#[derive(Clone, Copy)]
pub(super) struct Detail {
    pub(super) costs: bool,
    pub(super) timing: bool,
}

/// The lines of a node and those below it.
pub(super) fn lines(node: &Node, detail: Detail) -> Vec<String> {
    let mut out = Vec::new();
    write(node, detail, 0, &mut out);
    out
}

fn write(node: &Node, detail: Detail, depth: usize, out: &mut Vec<String>) {
    let (head, rest) = match depth {
        0 => (String::new(), "  ".to_owned()),
        depth => (format!("{}->  ", " ".repeat(6 * depth - 4)), " ".repeat(6 * depth + 2)),
    };
    out.push(format!("{head}{}{}", title(node), figures(node, detail)));
    for (label, property) in &node.properties {
        let text = match property {
            Property::Text(text) => text.clone(),
            Property::List(items) => items.join(", "),
            Property::Number(number) => number.to_string(),
        };
        out.push(format!("{rest}{label}: {text}"));
    }
    for child in &node.children {
        write(child, detail, depth + 1, out);
    }
}

fn title(node: &Node) -> String {
    let mut title = match (node.join, node.kind.strip_suffix(" Join")) {
        (Some(join), Some(kind)) => format!("{kind} {join} Join"),
        (Some(join), None) => format!("{} {join} Join", node.kind),
        (None, _) => node.kind.clone(),
    };
    if node.backward {
        title.push_str(" Backward");
    }
    if let Some(index) = &node.index {
        let word = if node.kind == "Bitmap Index Scan" { "on" } else { "using" };
        title.push_str(&format!(" {word} {}", quoted(index)));
    }
    if let Some(relation) = &node.relation {
        title.push_str(&format!(" on {}", quoted(relation)));
        if let Some(alias) = node.alias.as_ref().filter(|alias| table_of(relation) != alias.as_str()) {
            title.push_str(&format!(" {}", quoted(alias)));
        }
    }
    title
}

/// The name of a relation without its schema.
fn table_of(relation: &str) -> &str {
    relation.rsplit_once('.').map_or(relation, |(_, table)| table)
}

fn quoted(name: &str) -> String {
    let plain =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.' || !c.is_ascii();
    match name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

fn figures(node: &Node, detail: Detail) -> String {
    let mut text = String::new();
    if detail.costs {
        let estimate = &node.estimate;
        text.push_str(&format!(
            "  (cost={:.2}..{:.2} rows={:.0} width={:.0})",
            estimate.startup,
            estimate.cost,
            estimate.rows.max(1.0),
            estimate.width()
        ));
    }
    if let Some(actual) = &node.actual {
        let gap = if detail.costs { " " } else { "  " };
        match detail.timing {
            true => text.push_str(&format!(
                "{gap}(actual time={:.3}..{:.3} rows={} loops=1)",
                actual.startup_ms, actual.ms, actual.rows
            )),
            false => text.push_str(&format!("{gap}(actual rows={} loops=1)", actual.rows)),
        }
    }
    text
}
