//! Nodes as PostgreSQL's JSON.

use super::node::{Node, Property};
use super::text::Detail;

/// The plan with what is said of the whole: label and number.
pub(super) fn document(node: &Node, detail: Detail, summary: &[(&str, f64)]) -> String {
    let mut out = String::from("[\n  {\n    \"Plan\": ");
    write(node, None, detail, 4, &mut out);
    for (label, number) in summary {
        out.push_str(&format!(",\n    {}: {number:.3}", string(label)));
    }
    out.push_str("\n  }\n]");
    out
}

fn write(node: &Node, parent: Option<&str>, detail: Detail, depth: usize, out: &mut String) {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut field = |label: &str, value: String| fields.push((label.to_owned(), value));
    let kind = type_of(node);
    field("Node Type", string(kind.0));
    for (label, value) in &kind.1 {
        field(label, string(value));
    }
    if let Some(parent) = parent {
        field("Parent Relationship", string(parent));
    }
    field("Parallel Aware", "false".to_owned());
    field("Async Capable", "false".to_owned());
    if node.kind.ends_with("Join") || node.kind == "Nested Loop" {
        field("Join Type", string(node.join.unwrap_or("Inner")));
    }
    if let Some(index) = &node.index {
        field("Scan Direction", string(if node.backward { "Backward" } else { "Forward" }));
        field("Index Name", string(index));
    }
    if let Some(relation) = &node.relation {
        field("Relation Name", string(relation));
        field("Alias", string(node.alias.as_ref().unwrap_or(relation)));
    }
    if detail.costs {
        field("Startup Cost", format!("{:.2}", node.estimate.startup));
        field("Total Cost", format!("{:.2}", node.estimate.cost));
        field("Plan Rows", format!("{:.0}", node.estimate.rows.max(1.0)));
        field("Plan Width", format!("{:.0}", node.estimate.width()));
    }
    if let Some(actual) = &node.actual {
        if detail.timing {
            field("Actual Startup Time", format!("{:.3}", actual.startup_ms));
            field("Actual Total Time", format!("{:.3}", actual.ms));
        }
        field("Actual Rows", actual.rows.to_string());
        field("Actual Loops", "1".to_owned());
    }
    for (label, property) in &node.properties {
        let value = match property {
            Property::Text(text) => string(text),
            Property::List(items) => {
                format!("[{}]", items.iter().map(|item| string(item)).collect::<Vec<_>>().join(", "))
            }
            Property::Number(number) => number.to_string(),
        };
        field(label, value);
    }
    let gap = " ".repeat(depth + 2);
    out.push_str("{\n");
    for (at, (label, value)) in fields.iter().enumerate() {
        let comma = if at == 0 { "" } else { ",\n" };
        out.push_str(&format!("{comma}{gap}{}: {value}", string(label)));
    }
    if !node.children.is_empty() {
        out.push_str(&format!(",\n{gap}\"Plans\": [\n"));
        for (at, child) in node.children.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { ",\n" });
            out.push_str(&" ".repeat(depth + 4));
            let relation = if at == 0 { "Outer" } else { "Inner" };
            write(child, Some(relation), detail, depth + 4, out);
        }
        out.push_str(&format!("\n{gap}]"));
    }
    out.push_str(&format!("\n{}}}", " ".repeat(depth)));
}

/// PostgreSQL's type of a node, and what its name in text says besides.
fn type_of(node: &Node) -> (&str, Vec<(&'static str, &'static str)>) {
    let (partial, kind) = if let Some(kind) = node.kind.strip_prefix("Partial ") {
        ("Partial", kind)
    } else if let Some(kind) = node.kind.strip_prefix("Finalize ") {
        ("Finalize", kind)
    } else {
        ("Simple", node.kind.as_str())
    };
    let strategy = match kind {
        "Aggregate" => "Plain",
        "HashAggregate" => "Hashed",
        "GroupAggregate" => "Sorted",
        other => return (other, Vec::new()),
    };
    ("Aggregate", vec![("Strategy", strategy), ("Partial Mode", partial)])
}

/// A JSON string.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
