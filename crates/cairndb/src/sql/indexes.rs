//! Secondary indexes of tables, without writing SQL.

use crate::{Database, Result};

/// How an index is made; for [`Database::create_index`].
///
/// ```
/// use cairndb::{Database, IndexOptions};
/// let db = Database::in_memory()?;
/// db.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT)", &[])?;
/// db.create_index("people_email", "people", &["email"], IndexOptions::new().unique(true))?;
/// assert!(db.list_indexes()?.iter().any(|index| index.name == "people_email" && index.unique));
/// db.drop_index("people_email")?;
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexOptions {
    unique: bool,
    if_not_exists: bool,
}

impl IndexOptions {
    /// A plain index.
    pub fn new() -> IndexOptions {
        IndexOptions::default()
    }

    /// Whether two rows may have the same values in the index's columns; NULLs never collide.
    #[must_use]
    pub fn unique(mut self, unique: bool) -> IndexOptions {
        self.unique = unique;
        self
    }

    /// Whether it is fine that an index of the name exists already.
    #[must_use]
    pub fn if_not_exists(mut self, skip: bool) -> IndexOptions {
        self.if_not_exists = skip;
        self
    }
}

/// An index, as [`Database::list_indexes`] gives it.
///
/// ```
/// let db = cairndb::Database::in_memory()?;
/// db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)", &[])?;
/// let index = &db.list_indexes()?[0];
/// assert_eq!((index.name.as_str(), index.table.as_str(), index.primary), ("t_pkey", "t", true));
/// assert_eq!(index.columns, ["a"]);
/// # Ok::<(), cairndb::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexInfo {
    /// The schema of the table and the index.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The index.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Whether it refuses equal values.
    pub unique: bool,
    /// Whether it is the table's primary key.
    pub primary: bool,
}

/// Indexes.
impl Database {
    /// Makes an index on columns of a table, with the rows that are there. `table` may be `schema.table`.
    ///
    /// # Errors
    /// `42P01`/`42703` for a missing table or column, `42P07` when the name is taken, `23505` when a unique
    /// index finds equal values.
    pub fn create_index(
        &self,
        name: &str,
        table: &str,
        columns: &[&str],
        options: IndexOptions,
    ) -> Result<()> {
        let unique = if options.unique { "UNIQUE " } else { "" };
        let if_not_exists = if options.if_not_exists { "IF NOT EXISTS " } else { "" };
        let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
        let sql = format!(
            "CREATE {unique}INDEX {if_not_exists}{} ON {} ({})",
            quoted(name),
            qualified(table),
            columns.join(", ")
        );
        self.execute(&sql, &[]).map(drop)
    }

    /// Removes an index; `name` may be `schema.index`.
    ///
    /// # Errors
    /// `42704` when there is none of that name, `2BP01` when a constraint needs it.
    pub fn drop_index(&self, name: &str) -> Result<()> {
        self.execute(&format!("DROP INDEX {}", qualified(name)), &[]).map(drop)
    }

    /// All indexes, primary keys included, ordered by schema, table and name.
    ///
    /// # Errors
    /// When a definition cannot be read.
    pub fn list_indexes(&self) -> Result<Vec<IndexInfo>> {
        let catalog = self.catalog();
        let mut all = Vec::new();
        for table in catalog.tables() {
            let name_of =
                |id| table.columns.iter().find(|c| c.id == id).map(|c| c.name.clone()).unwrap_or_default();
            if !table.primary_key.is_empty() {
                all.push(IndexInfo {
                    schema: table.schema.clone(),
                    table: table.name.clone(),
                    name: table.primary_key_name.clone(),
                    columns: table.primary_key.iter().map(|id| name_of(*id)).collect(),
                    unique: true,
                    primary: true,
                });
            }
            for index in &table.indexes {
                all.push(IndexInfo {
                    schema: table.schema.clone(),
                    table: table.name.clone(),
                    name: index.name.clone(),
                    columns: index
                        .key_parts()
                        .map(|(part, own)| own.map_or_else(|| name_of(part.column), |own| own.sql.clone()))
                        .collect(),
                    unique: index.unique,
                    primary: false,
                });
            }
        }
        all.sort_by(|a, b| (&a.schema, &a.table, &a.name).cmp(&(&b.schema, &b.table, &b.name)));
        Ok(all)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.name`, both quoted.
fn qualified(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, name)) => format!("{}.{}", quoted(schema), quoted(name)),
        None => quoted(name),
    }
}
