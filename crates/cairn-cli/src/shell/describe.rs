//! `\d` and its kin: definitions, out of the catalog as the session sees it.

use std::io::Write;

use anyhow::anyhow;
use cairndb::catalog::{
    Catalog, ForeignKey, PUBLIC, ReferentialAction, Relation, SequenceDescriptor, Table, ViewDescriptor,
};

use super::complete::quoted;
use crate::failure::Outcome;
use crate::format::text_table;
use crate::script::Runner;

/// `\d`, `\dt`, `\dv`, `\ds`: the relations of those kinds (`t`, `v`, `s`).
pub(crate) fn relations(runner: &mut Runner, kinds: &str) -> Outcome {
    let catalog = runner.session.catalog();
    let mut rows: Vec<[String; 4]> = Vec::new();
    let row = |schema: &str, name: &str, kind: &str, comment: &Option<String>| {
        [schema.to_owned(), name.to_owned(), kind.to_owned(), comment.clone().unwrap_or_default()]
    };
    if kinds.contains('t') {
        rows.extend(catalog.tables().map(|t| row(&t.schema, &t.name, "table", &t.comment)));
    }
    if kinds.contains('v') {
        rows.extend(catalog.views().map(|v| row(&v.schema, &v.name, "view", &v.comment)));
    }
    if kinds.contains('s') {
        rows.extend(catalog.sequences().map(|s| row(&s.schema, &s.name, "sequence", &s.comment)));
    }
    rows.sort();
    list(runner, &["Schema", "Name", "Type", "Description"], rows, "No relations.")
}

/// `\di`.
pub(crate) fn indexes(runner: &mut Runner) -> Outcome {
    let catalog = runner.session.catalog();
    let mut rows: Vec<[String; 4]> = Vec::new();
    for table in catalog.tables() {
        for (name, definition) in index_lines(table) {
            rows.push([table.schema.clone(), name, table.name.clone(), definition]);
        }
    }
    rows.sort();
    list(runner, &["Schema", "Name", "Table", "Definition"], rows, "No indexes.")
}

/// `\dn`.
pub(crate) fn schemas(runner: &mut Runner) -> Outcome {
    let catalog = runner.session.catalog();
    let rows: Vec<[String; 2]> =
        catalog.schemas().map(|s| [s.name.clone(), s.comment.clone().unwrap_or_default()]).collect();
    list(runner, &["Name", "Description"], rows, "No schemas.")
}

/// `\l`.
pub(crate) fn database(runner: &mut Runner) -> Outcome {
    let path = runner.db.path().map_or_else(|| ":memory:".to_owned(), |path| path.display().to_string());
    let catalog = runner.session.catalog();
    let tables = catalog.tables().count().to_string();
    list(runner, &["Database", "Tables"], vec![[path, tables]], "")
}

/// `\d NAME`.
pub(crate) fn relation(runner: &mut Runner, name: &str) -> Outcome {
    let catalog = runner.session.catalog();
    let (schema, name) = split_name(name);
    match catalog.relation(&schema, &name) {
        Some(Relation::Table(table)) => describe_table(runner, &catalog, &table),
        Some(Relation::View(view)) => describe_view(runner, &view),
        Some(Relation::Sequence(sequence)) => describe_sequence(runner, &sequence),
        Some(Relation::Index(table, id)) => {
            let found = match id {
                0 => index_lines(&table).into_iter().next(),
                _ => table
                    .index_by_id(id)
                    .and_then(|index| index_lines(&table).into_iter().find(|(name, _)| *name == index.name)),
            };
            let (name, definition) = found.ok_or_else(|| anyhow!("index {name} has no definition"))?;
            Ok(writeln!(runner.output, "Index \"{name}\" of table \"{}\": {definition}", table.name)?)
        }
        None if schema == PUBLIC && name == cairndb::catalog::STORE => {
            let rows = vec![["key".to_owned(), "text".to_owned()], ["value".to_owned(), "text".to_owned()]];
            writeln!(runner.output, "Table \"store\": the raw key-value space")?;
            list(runner, &["Column", "Type"], rows, "")
        }
        None => Err(anyhow!("there is no relation named {name}").into()),
    }
}

/// `schema.name`, both as SQL would fold them.
fn split_name(text: &str) -> (String, String) {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = match rest.strip_prefix('"').and_then(|inner| inner.split_once('"')) {
            Some((inside, after)) => (inside.to_owned(), after),
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_lowercase(), &rest[end..])
            }
        };
        parts.push(part);
        match after.strip_prefix('.') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let name = parts.pop().unwrap_or_default();
    (parts.pop().unwrap_or_else(|| PUBLIC.to_owned()), name)
}

fn describe_table(runner: &mut Runner, catalog: &Catalog, table: &Table) -> Outcome {
    writeln!(runner.output, "Table \"{}.{}\"", table.schema, table.name)?;
    let rows: Vec<[String; 4]> = table
        .live_columns()
        .map(|column| {
            let default = match (&column.identity, &column.default) {
                (Some(identity), _) if identity.always => "generated always as identity".to_owned(),
                (Some(_), _) => "generated by default as identity".to_owned(),
                (None, Some(default)) => default.clone(),
                (None, None) => String::new(),
            };
            let nullable = if column.nullable { "" } else { "not null" };
            [column.name.clone(), column.ty.sql_name(), nullable.to_owned(), default]
        })
        .collect();
    list(runner, &["Column", "Type", "Nullable", "Default"], rows, "")?;
    let out = &mut runner.output;
    section(
        out,
        "Indexes:",
        index_lines(table).into_iter().map(|(name, line)| format!("\"{name}\" {line}")),
    )?;
    section(
        out,
        "Check constraints:",
        table.checks.iter().map(|c| format!("\"{}\" CHECK ({})", c.name, c.sql)),
    )?;
    section(
        out,
        "Foreign-key constraints:",
        table.foreign_keys.iter().map(|key| format!("\"{}\" {}", key.name, foreign_key(catalog, table, key))),
    )?;
    let children = catalog.children(table.id).map(|(child, key)| {
        format!("table \"{}\" constraint \"{}\" {}", child.name, key.name, foreign_key(catalog, child, key))
    });
    section(out, "Referenced by:", children)?;
    if let Some(comment) = &table.comment {
        writeln!(out, "Comment: {comment}")?;
    }
    Ok(())
}

fn describe_view(runner: &mut Runner, view: &ViewDescriptor) -> Outcome {
    writeln!(runner.output, "View \"{}.{}\"", view.schema, view.name)?;
    let rows: Vec<[String; 2]> = view.columns.iter().map(|c| [c.name.clone(), c.ty.sql_name()]).collect();
    list(runner, &["Column", "Type"], rows, "")?;
    Ok(writeln!(runner.output, "View definition:\n {}", view.sql)?)
}

fn describe_sequence(runner: &mut Runner, sequence: &SequenceDescriptor) -> Outcome {
    writeln!(runner.output, "Sequence \"{}.{}\"", sequence.schema, sequence.name)?;
    let numbers = [sequence.start, sequence.min, sequence.max, sequence.increment].map(|n| n.to_string());
    let [start, min, max, increment] = numbers;
    let cycles = if sequence.cycle { "yes" } else { "no" }.to_owned();
    let row = [sequence.ty.sql_name(), start, min, max, increment, cycles, sequence.cache.to_string()];
    list(runner, &["Type", "Start", "Minimum", "Maximum", "Increment", "Cycles?", "Cache"], vec![row], "")
}

/// The indexes of a table, its primary key first: name and definition.
fn index_lines(table: &Table) -> Vec<(String, String)> {
    let name_of = |id| table.column_by_id(id).map_or_else(String::new, |column| quoted(&column.name));
    let mut lines = Vec::new();
    if !table.primary_key.is_empty() {
        let columns: Vec<String> = table.primary_key.iter().map(|id| name_of(*id)).collect();
        lines.push((table.primary_key_name.clone(), format!("PRIMARY KEY ({})", columns.join(", "))));
    }
    for index in &table.indexes {
        let columns: Vec<String> = index
            .key_parts()
            .map(|(part, own)| {
                let mut text = own.map_or_else(|| name_of(part.column), |own| format!("({})", own.sql));
                if part.descending {
                    text.push_str(" DESC");
                }
                // PostgreSQL's defaults are NULLS LAST for ASC and NULLS FIRST for DESC.
                match (part.descending, part.nulls_first) {
                    (false, true) => text.push_str(" NULLS FIRST"),
                    (true, false) => text.push_str(" NULLS LAST"),
                    _ => {}
                }
                text
            })
            .collect();
        let unique = match (index.unique, index.constraint) {
            (true, true) => "UNIQUE CONSTRAINT, ",
            (true, false) => "UNIQUE, ",
            _ => "",
        };
        let mut text = format!("{unique}{} ({})", index.kind, columns.join(", "));
        if !index.include.is_empty() {
            let names: Vec<String> = index.include.iter().map(|id| name_of(*id)).collect();
            text.push_str(&format!(" INCLUDE ({})", names.join(", ")));
        }
        if index.nulls_not_distinct {
            text.push_str(" NULLS NOT DISTINCT");
        }
        if let Some(predicate) = &index.predicate {
            text.push_str(&format!(" WHERE {}", predicate.sql));
        }
        lines.push((index.name.clone(), text));
    }
    lines
}

fn foreign_key(catalog: &Catalog, child: &Table, key: &ForeignKey) -> String {
    let names = |table: &Table, ids: &[u32]| {
        let names: Vec<String> = ids
            .iter()
            .map(|id| table.column_by_id(*id).map_or_else(String::new, |column| quoted(&column.name)))
            .collect();
        names.join(", ")
    };
    let parent = catalog.table_by_id(key.parent);
    let parent_text = parent.map_or_else(String::new, |parent| {
        format!("{}({})", quoted(&parent.name), names(parent, &key.parent_columns))
    });
    let mut text = format!("FOREIGN KEY ({}) REFERENCES {parent_text}", names(child, &key.columns));
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        let action = match action {
            ReferentialAction::NoAction => continue,
            ReferentialAction::Restrict => "RESTRICT",
            ReferentialAction::Cascade => "CASCADE",
            ReferentialAction::SetNull => "SET NULL",
            ReferentialAction::SetDefault => "SET DEFAULT",
        };
        text.push_str(&format!(" ON {event} {action}"));
    }
    text
}

fn section(out: &mut impl Write, title: &str, lines: impl Iterator<Item = String>) -> Outcome {
    for (place, line) in lines.enumerate() {
        if place == 0 {
            writeln!(out, "{title}")?;
        }
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

/// A table of texts; `empty` is said instead where there are no rows.
fn list<const N: usize>(
    runner: &mut Runner,
    head: &[&str; N],
    rows: Vec<[String; N]>,
    empty: &str,
) -> Outcome {
    if rows.is_empty() {
        if !empty.is_empty() {
            writeln!(runner.output, "{empty}")?;
        }
        return Ok(());
    }
    Ok(text_table(head, &rows, &mut runner.output)?)
}

#[cfg(test)]
mod tests {
    //! Names as people type them.

    use super::split_name;

    #[test]
    fn names_are_folded_as_sql_does() {
        assert_eq!(split_name("Flights"), ("public".to_owned(), "flights".to_owned()));
        assert_eq!(split_name("S.\"T.x\""), ("s".to_owned(), "T.x".to_owned()));
    }
}
