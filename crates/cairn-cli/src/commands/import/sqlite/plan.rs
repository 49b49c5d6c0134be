//! What is in a SQLite database, and what it becomes.

use std::collections::HashSet;

use cairndb::DataType;
use rusqlite::Connection;

use crate::commands::quoted;

/// A type that a column of SQLite becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Boolean,
    BigInt,
    Double,
    Text,
    Bytea,
    Date,
    Timestamp,
}

impl Type {
    /// The type's SQL name.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Type::Boolean => "boolean",
            Type::BigInt => "bigint",
            Type::Double => "double precision",
            Type::Text => "text",
            Type::Bytea => "bytea",
            Type::Date => "date",
            Type::Timestamp => "timestamp",
        }
    }

    /// The database's type.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Type::Boolean => DataType::Boolean,
            Type::BigInt => DataType::BigInt,
            Type::Double => DataType::Double,
            Type::Text => DataType::Text,
            Type::Bytea => DataType::Bytea,
            Type::Date => DataType::Date,
            Type::Timestamp => DataType::Timestamp(None),
        }
    }

    /// The type that a declaration asks for, by SQLite's rules of affinity and the names that people use.
    fn declared(declaration: &str) -> Type {
        let upper = declaration.to_ascii_uppercase();
        let has = |part: &str| upper.contains(part);
        if has("BOOL") {
            Type::Boolean
        } else if has("DATETIME") || has("TIMESTAMP") {
            Type::Timestamp
        } else if upper == "DATE" {
            Type::Date
        } else if has("INT") {
            Type::BigInt
        } else if has("CHAR") || has("CLOB") || has("TEXT") || has("JSON") || has("TIME") {
            Type::Text
        } else if has("BLOB") {
            Type::Bytea
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Type::Double
        } else if upper.is_empty() {
            Type::Bytea
        } else {
            // NUMERIC and DECIMAL: SQLite stores integers and floats.
            Type::Double
        }
    }
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) ty: Type,
    not_null: bool,
    default: Option<String>,
    /// The place in the primary key, from 1; 0 outside.
    key: i64,
}

/// A secondary index.
#[derive(Debug)]
struct Index {
    name: String,
    unique: bool,
    /// Columns with DESC.
    columns: Vec<(String, bool)>,
}

/// A foreign key.
#[derive(Debug)]
struct ForeignKey {
    parent: String,
    columns: Vec<String>,
    /// Empty = the parent's primary key.
    parent_columns: Vec<String>,
    on_update: String,
    on_delete: String,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) rows: u64,
    indexes: Vec<Index>,
    foreign_keys: Vec<ForeignKey>,
}

/// Everything that is to be made, and what is left out.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tables: Vec<Table>,
    /// One line for each thing that is not taken over.
    pub(super) skipped: Vec<String>,
}

impl Plan {
    /// Reads the definitions, and the values where the type depends on them.
    pub(super) fn read(source: &Connection) -> rusqlite::Result<Plan> {
        let mut skipped = Vec::new();
        let mut tables = Vec::new();
        let mut list = source.prepare(
            "SELECT name, type, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             AND type IN ('table', 'view', 'trigger') ORDER BY rowid",
        )?;
        let mut objects = list.query([])?;
        while let Some(object) = objects.next()? {
            let (name, kind, sql): (String, String, String) =
                (object.get(0)?, object.get(1)?, object.get(2)?);
            if kind != "table" {
                skipped.push(format!("{kind} \"{name}\" is not imported"));
            } else if sql.to_ascii_uppercase().starts_with("CREATE VIRTUAL") {
                skipped.push(format!("virtual table \"{name}\" is not imported"));
            } else {
                tables.push(Table::read(source, &name, &sql, &mut skipped)?);
            }
        }
        Ok(Plan { tables, skipped })
    }

    fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }
}

impl Table {
    fn read(
        source: &Connection,
        name: &str,
        sql: &str,
        skipped: &mut Vec<String>,
    ) -> rusqlite::Result<Table> {
        let mut columns = Vec::new();
        let mut info = source
            .prepare("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)")?;
        let mut rows = info.query([name])?;
        while let Some(row) = rows.next()? {
            let hidden: i64 = row.get(5)?;
            if hidden == 1 {
                continue;
            }
            let declaration: String = row.get(1)?;
            columns.push(Column {
                name: row.get(0)?,
                ty: Type::declared(&declaration),
                not_null: row.get(2)?,
                default: if hidden == 0 { row.get(3)? } else { None },
                key: row.get(4)?,
            });
        }
        for column in &mut columns {
            column.ty = fitting(source, name, column)?;
            if let Some(default) = column.default.take() {
                column.default = default_text(&default, column.ty);
                if column.default.is_none() {
                    skipped.push(format!("the default {default} of {name}.{} is not imported", column.name));
                }
            }
        }
        if sql.to_ascii_uppercase().contains("CHECK") {
            skipped.push(format!("CHECK constraints of table \"{name}\" are not imported"));
        }
        let count = format!("SELECT count(*) FROM {}", quoted(name));
        let rows = source.query_row(&count, [], |row| row.get::<_, i64>(0))?;
        Ok(Table {
            indexes: indexes(source, name, skipped)?,
            foreign_keys: foreign_keys(source, name)?,
            rows: u64::try_from(rows).unwrap_or(0),
            name: name.to_owned(),
            columns,
        })
    }

    /// The query for all rows, in the order of the columns.
    pub(super) fn select(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|c| quoted(&c.name)).collect();
        format!("SELECT {} FROM {}", columns.join(", "), quoted(&self.name))
    }

    /// CREATE TABLE, without foreign keys: the rows come before their parents' may.
    pub(super) fn create(&self) -> String {
        let mut parts: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                let mut text = format!("{} {}", quoted(&column.name), column.ty.sql());
                if column.not_null {
                    text.push_str(" NOT NULL");
                }
                if let Some(default) = &column.default {
                    text.push_str(&format!(" DEFAULT {default}"));
                }
                text
            })
            .collect();
        let key = self.key();
        if !key.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", names(&key)));
        }
        format!("CREATE TABLE {} ({})", quoted(&self.name), parts.join(", "))
    }

    fn key(&self) -> Vec<String> {
        let mut key: Vec<&Column> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        key.into_iter().map(|column| column.name.clone()).collect()
    }

    /// CREATE INDEX, one for each.
    pub(super) fn indexes(&self) -> Vec<String> {
        self.indexes
            .iter()
            .map(|index| {
                let unique = if index.unique { "UNIQUE " } else { "" };
                let columns: Vec<String> = index
                    .columns
                    .iter()
                    .map(|(name, descending)| {
                        let order = if *descending { " DESC" } else { "" };
                        format!("{}{order}", quoted(name))
                    })
                    .collect();
                let (name, table) = (quoted(&index.name), quoted(&self.name));
                format!("CREATE {unique}INDEX {name} ON {table} ({})", columns.join(", "))
            })
            .collect()
    }

    /// ALTER TABLE … ADD FOREIGN KEY, one for each.
    pub(super) fn foreign_keys(&self, plan: &Plan) -> Vec<String> {
        self.foreign_keys
            .iter()
            .map(|key| {
                let parent = plan.table(&key.parent);
                let parent_name = parent.map_or(key.parent.as_str(), |parent| parent.name.as_str());
                let parent_columns = match (key.parent_columns.is_empty(), parent) {
                    (true, Some(parent)) => parent.key(),
                    _ => key.parent_columns.clone(),
                };
                let action = |event: &str, action: &str| match action {
                    "NO ACTION" | "" => String::new(),
                    action => format!(" ON {event} {action}"),
                };
                format!(
                    "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({}){}{}",
                    quoted(&self.name),
                    names(&key.columns),
                    quoted(parent_name),
                    names(&parent_columns),
                    action("UPDATE", &key.on_update),
                    action("DELETE", &key.on_delete),
                )
            })
            .collect()
    }
}

fn names(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// The declared type if all values are of it, else the narrowest that holds them all.
fn fitting(source: &Connection, table: &str, column: &Column) -> rusqlite::Result<Type> {
    let name = quoted(&column.name);
    let mut kinds = HashSet::new();
    let mut statement = source.prepare(&format!("SELECT DISTINCT typeof({name}) FROM {}", quoted(table)))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        kinds.insert(row.get::<_, String>(0)?);
    }
    kinds.remove("null");
    let only = |allowed: &[&str]| kinds.iter().all(|kind| allowed.contains(&kind.as_str()));
    let exists = |condition: &str| {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {condition})", quoted(table));
        source.query_row(&sql, [], |row| row.get::<_, bool>(0))
    };
    let fits = match column.ty {
        Type::BigInt => only(&["integer"]),
        Type::Boolean => only(&["integer"]) && !exists(&format!("{name} NOT IN (0, 1)"))?,
        // A float holds integers up to 2^53 exactly.
        Type::Double => {
            only(&["integer", "real"])
                && !exists(&format!("typeof({name}) = 'integer' AND abs({name} / 2) > 4503599627370496"))?
        }
        Type::Text => only(&["text"]),
        Type::Bytea => only(&["blob"]),
        Type::Date => {
            only(&["text"]) && !exists(&format!("{name} IS NOT NULL AND {name} IS NOT date({name})"))?
        }
        Type::Timestamp => {
            let same = format!(
                "{name} IS NOT datetime({name}) AND {name} IS NOT replace(datetime({name}), ' ', 'T')"
            );
            only(&["text"]) && !exists(&format!("{name} IS NOT NULL AND {same}"))?
        }
    };
    if fits && !(kinds.is_empty() && column.ty == Type::Bytea) {
        return Ok(column.ty);
    }
    Ok(if only(&["integer"]) && !kinds.is_empty() {
        Type::BigInt
    } else if only(&["integer", "real"]) && !kinds.is_empty() {
        Type::Double
    } else if kinds.contains("blob") {
        Type::Bytea
    } else {
        Type::Text
    })
}

/// A default that means the same here; `None` for what does not.
fn default_text(default: &str, ty: Type) -> Option<String> {
    let trimmed = default.trim();
    let upper = trimmed.to_ascii_uppercase();
    let is_number = trimmed.parse::<f64>().is_ok();
    let is_string = trimmed.len() > 1 && trimmed.starts_with('\'') && trimmed.ends_with('\'');
    match (ty, upper.as_str()) {
        (_, "NULL") => Some("NULL".to_owned()),
        (Type::Boolean, "0" | "FALSE") => Some("false".to_owned()),
        (Type::Boolean, "1" | "TRUE") => Some("true".to_owned()),
        (Type::Timestamp, "CURRENT_TIMESTAMP") | (Type::Date, "CURRENT_DATE") => Some(upper),
        (Type::BigInt, _) if trimmed.parse::<i64>().is_ok() => Some(trimmed.to_owned()),
        (Type::Double, _) if is_number => Some(trimmed.to_owned()),
        (Type::Text | Type::Date | Type::Timestamp, _) if is_string => Some(trimmed.to_owned()),
        (Type::Text, _) if is_number => Some(format!("'{trimmed}'")),
        _ => None,
    }
}

fn indexes(source: &Connection, table: &str, skipped: &mut Vec<String>) -> rusqlite::Result<Vec<Index>> {
    let mut all = Vec::new();
    let mut list = source
        .prepare("SELECT name, \"unique\", origin, partial FROM pragma_index_list(?1) ORDER BY seq DESC")?;
    let mut rows = list.query([table])?;
    while let Some(row) = rows.next()? {
        let (name, unique): (String, bool) = (row.get(0)?, row.get(1)?);
        let (origin, partial): (String, bool) = (row.get(2)?, row.get(3)?);
        if origin == "pk" {
            continue;
        }
        let mut columns = Vec::new();
        let mut expression = false;
        let mut parts = source
            .prepare("SELECT name, \"desc\" FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno")?;
        let mut part = parts.query([&name])?;
        while let Some(part) = part.next()? {
            match part.get::<_, Option<String>>(0)? {
                Some(column) => columns.push((column, part.get(1)?)),
                None => expression = true,
            }
        }
        if partial || expression {
            let kind = if partial { "partial index" } else { "index on an expression" };
            skipped.push(format!("{kind} \"{name}\" of table \"{table}\" is not imported"));
            continue;
        }
        // The indexes of UNIQUE constraints have names that only SQLite may give.
        let name = if origin == "u" {
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            format!("{table}_{}_key", names.join("_"))
        } else {
            name
        };
        all.push(Index { name, unique, columns });
    }
    Ok(all)
}

fn foreign_keys(source: &Connection, table: &str) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut all: Vec<(i64, ForeignKey)> = Vec::new();
    let mut list = source.prepare(
        "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
    )?;
    let mut rows = list.query([table])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let (column, parent_column): (String, Option<String>) = (row.get(2)?, row.get(3)?);
        if all.last().is_none_or(|(last, _)| *last != id) {
            let key = ForeignKey {
                parent: row.get(1)?,
                columns: Vec::new(),
                parent_columns: Vec::new(),
                on_update: row.get(4)?,
                on_delete: row.get(5)?,
            };
            all.push((id, key));
        }
        if let Some((_, key)) = all.last_mut() {
            key.columns.push(column);
            key.parent_columns.extend(parent_column);
        }
    }
    Ok(all.into_iter().map(|(_, key)| key).collect())
}

#[cfg(test)]
mod tests {
    //! Declared types, and types that the values overrule.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn values_decide_where_the_declaration_does_not_hold() {
        let source = Connection::open_in_memory().unwrap();
        source
            .execute_batch(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT, c BOOLEAN, d DATETIME, e, f NUMERIC, g DATE);
                 INSERT INTO t VALUES (1, 'x', 'y', 1, '2020-01-01 00:00:00', x'00', 1.5, '2020-01-01'),
                                      (2, 2, 'z', 0, 'soon', NULL, 9007199254740993, '2020-02-31');",
            )
            .unwrap();
        let plan = Plan::read(&source).unwrap();
        let types: Vec<Type> = plan.tables[0].columns.iter().map(|column| column.ty).collect();
        use Type::{BigInt, Boolean, Bytea, Double, Text};
        assert_eq!(types, [BigInt, Text, Text, Boolean, Text, Bytea, Double, Text]);
        assert!(plan.tables[0].create().ends_with("PRIMARY KEY (\"id\"))"));
    }

    #[test]
    fn defaults_are_taken_over_where_they_mean_the_same() {
        assert_eq!(default_text("1", Type::Boolean).as_deref(), Some("true"));
        assert_eq!(default_text("'a'", Type::Text).as_deref(), Some("'a'"));
        assert_eq!(default_text("(random())", Type::BigInt), None);
    }
}
