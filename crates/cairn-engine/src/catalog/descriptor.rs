//! What the catalog knows of each object: plain data, written to table 0 by `format.rs`.
//!
//! Names are stored as they are compared (already folded by SQL); expressions are SQL text, which `cairn-sql`
//! evaluates. Ids are never given twice in the life of a database, columns' and indexes' ids never twice in
//! the life of a table.

use std::collections::BTreeMap;

use cairn_types::{DataType, Value};

use super::partition::{PartitionOf, Partitioning};
use super::routine::TriggerDescriptor;

/// The id of a schema, table, view or sequence: one counter for all. User objects begin at 16,384,
/// as in PostgreSQL, whose programs take smaller numbers for the system's.
pub type ObjectId = u32;
/// The id of a column within its table, never given twice; from 1.
pub type ColumnId = u32;
/// The id of an index within its table, never given twice: 0 = the rows themselves, secondary from 1.
pub type IndexId = u16;

/// A schema (namespace).
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaDescriptor {
    /// Id.
    pub id: ObjectId,
    /// Name.
    pub name: String,
    /// COMMENT ON SCHEMA.
    pub comment: Option<String>,
}

/// GENERATED … AS IDENTITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// ALWAYS (true) or BY DEFAULT (false).
    pub always: bool,
    /// The sequence that gives the values.
    pub sequence: ObjectId,
}

/// GENERATED ALWAYS AS (…) STORED.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The expression, as SQL text.
    pub sql: String,
    /// The columns that it names.
    pub columns: Vec<ColumnId>,
}

/// A column. Dropped columns stay in their place, so that older rows keep their meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Id, stable under renaming.
    pub id: ColumnId,
    /// Name; of a dropped column, empty.
    pub name: String,
    /// Type.
    pub ty: DataType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// DEFAULT, as SQL text.
    pub default: Option<String>,
    /// The value of this column in rows that are older than it.
    pub missing: Option<Value>,
    /// GENERATED AS IDENTITY.
    pub identity: Option<Identity>,
    /// GENERATED AS an expression over the other columns.
    pub generated: Option<Generated>,
    /// The domain of its values; `ty` is the type below.
    pub domain: Option<ObjectId>,
    /// Dropped: no longer visible, written as NULL.
    pub dropped: bool,
    /// COMMENT ON COLUMN.
    pub comment: Option<String>,
}

/// One column of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexColumn {
    /// The column; [`IndexColumn::EXPRESSION`] for the next of the index's expressions.
    pub column: ColumnId,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

impl IndexColumn {
    /// Stands for an expression instead of a column.
    pub const EXPRESSION: ColumnId = 0;

    /// Ascending, NULLs last: PostgreSQL's default.
    pub fn ascending(column: ColumnId) -> IndexColumn {
        IndexColumn { column, descending: false, nulls_first: false }
    }
}

/// An expression in the key of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexExpression {
    /// As SQL text.
    pub sql: String,
    /// Its type.
    pub ty: DataType,
    /// The columns that it names.
    pub columns: Vec<ColumnId>,
}

/// The WHERE of a partial index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexPredicate {
    /// As SQL text.
    pub sql: String,
    /// The columns that it names.
    pub columns: Vec<ColumnId>,
}

/// A secondary index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexDescriptor {
    /// Id within the table.
    pub id: IndexId,
    /// Name, unique among the relations of the schema.
    pub name: String,
    /// The access method, by its name in `cairn_index::KINDS`.
    pub kind: String,
    /// The key, in order.
    pub columns: Vec<IndexColumn>,
    /// Whether two rows may not have the same key (NULLs are never the same, unless `nulls_not_distinct`).
    pub unique: bool,
    /// Whether it belongs to a UNIQUE constraint of the same name.
    pub constraint: bool,
    /// COMMENT ON INDEX.
    pub comment: Option<String>,
    /// The expressions in the key, in the order in which [`IndexColumn::EXPRESSION`] stands for them.
    pub expressions: Vec<IndexExpression>,
    /// WHERE: only rows for which it is true have an entry.
    pub predicate: Option<IndexPredicate>,
    /// INCLUDE: columns that entries hold besides.
    pub include: Vec<ColumnId>,
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// Of a DEFERRABLE constraint: whether it is INITIALLY DEFERRED. Its entries are stored as those of an index that is
    /// not unique.
    pub deferrable: Option<bool>,
    /// Whether it is a PRIMARY KEY's that is DEFERRABLE (rows lie under hidden row ids then).
    pub primary: bool,
}

impl IndexDescriptor {
    /// A btree on those columns: not unique, of all rows, without anything special.
    pub fn on(id: IndexId, name: impl Into<String>, columns: Vec<IndexColumn>) -> IndexDescriptor {
        IndexDescriptor {
            id,
            name: name.into(),
            kind: "btree".to_owned(),
            columns,
            unique: false,
            constraint: false,
            comment: None,
            expressions: Vec::new(),
            predicate: None,
            include: Vec::new(),
            nulls_not_distinct: false,
            deferrable: None,
            primary: false,
        }
    }

    /// Whether no two rows have the same key at any moment.
    pub fn is_always_unique(&self) -> bool {
        self.unique && self.deferrable.is_none()
    }

    /// Whether it has an entry for each row, made of columns: no expressions, no WHERE.
    pub fn is_plain(&self) -> bool {
        self.expressions.is_empty() && self.predicate.is_none()
    }

    /// Whether what it holds depends on that column.
    pub fn uses(&self, column: ColumnId) -> bool {
        let expressions = self.expressions.iter().flat_map(|e| &e.columns);
        let predicate = self.predicate.iter().flat_map(|p| &p.columns);
        let named = expressions.chain(predicate).chain(&self.include);
        self.columns.iter().any(|c| c.column == column) || named.into_iter().any(|c| *c == column)
    }

    /// The key's columns, each with its expression where it is one.
    pub fn key_parts(&self) -> impl Iterator<Item = (&IndexColumn, Option<&IndexExpression>)> {
        let mut expressions = self.expressions.iter();
        self.columns.iter().map(move |column| {
            let expression = if column.column == IndexColumn::EXPRESSION { expressions.next() } else { None };
            (column, expression)
        })
    }
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Constraint name.
    pub name: String,
    /// The condition, as SQL text.
    pub sql: String,
    /// The columns that it names.
    pub columns: Vec<ColumnId>,
    /// Whether rows that were there before it need not keep it (NOT VALID).
    pub not_valid: bool,
}

/// What happens to the child rows when a parent row goes or changes its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReferentialAction {
    /// Refused when the statement ends (the default).
    #[default]
    NoAction,
    /// Refused at once.
    Restrict,
    /// The child rows go or change too.
    Cascade,
    /// The child columns become NULL.
    SetNull,
    /// The child columns become their default.
    SetDefault,
}

/// A FOREIGN KEY constraint, kept by the child table.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignKey {
    /// Constraint name.
    pub name: String,
    /// The child's columns.
    pub columns: Vec<ColumnId>,
    /// The parent table.
    pub parent: ObjectId,
    /// The parent's columns, in the same order: its primary key, or those of a unique index.
    pub parent_columns: Vec<ColumnId>,
    /// ON DELETE.
    pub on_delete: ReferentialAction,
    /// ON UPDATE.
    pub on_update: ReferentialAction,
    /// Whether rows that were there before it need not keep it (NOT VALID).
    pub not_valid: bool,
    /// DEFERRABLE: SET CONSTRAINTS may put it off to the end of the transaction.
    pub deferrable: bool,
    /// INITIALLY DEFERRED: it is put off unless SET CONSTRAINTS says otherwise.
    pub initially_deferred: bool,
}

/// What a materialized view keeps the rows of.
#[derive(Clone, Debug, PartialEq)]
pub struct Materialized {
    /// The query, as SQL text.
    pub sql: String,
    /// What it reads.
    pub depends_on: Vec<Dependency>,
    /// Whether it has been filled (WITH DATA).
    pub populated: bool,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDescriptor {
    /// Id.
    pub id: ObjectId,
    /// The name of its schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// All columns ever, in order; see [`Column::dropped`].
    pub columns: Vec<Column>,
    /// The primary key's columns, in key order; empty = a hidden row id.
    pub primary_key: Vec<ColumnId>,
    /// The name of the primary key constraint; empty when there is none.
    pub primary_key_name: String,
    /// Secondary indexes.
    pub indexes: Vec<IndexDescriptor>,
    /// CHECK constraints.
    pub checks: Vec<Check>,
    /// FOREIGN KEY constraints of which this table is the child.
    pub foreign_keys: Vec<ForeignKey>,
    /// The id that the next column gets.
    pub next_column: ColumnId,
    /// The id that the next index gets.
    pub next_index: IndexId,
    /// COMMENT ON TABLE.
    pub comment: Option<String>,
    /// Its triggers, by name.
    pub triggers: Vec<TriggerDescriptor>,
    /// Where it is a materialized view: what it is made of.
    pub materialized: Option<Materialized>,
    /// PARTITION BY: the rows are those of its partitions.
    pub partitioning: Option<Partitioning>,
    /// Of a partition: of which table, and which rows.
    pub partition: Option<PartitionOf>,
    /// COMMENT ON CONSTRAINT, by the constraint's name.
    pub constraint_comments: BTreeMap<String, String>,
}

impl TableDescriptor {
    /// Whether it has a constraint of that name.
    pub fn has_constraint(&self, name: &str) -> bool {
        (!self.primary_key.is_empty() && self.primary_key_name == name)
            || self.indexes.iter().any(|i| i.constraint && i.name == name)
            || self.checks.iter().any(|c| c.name == name)
            || self.foreign_keys.iter().any(|k| k.name == name)
    }

    /// Has the comment on a constraint be on another name.
    pub(crate) fn move_comment(&mut self, name: &str, new_name: &str) {
        if let Some(comment) = self.constraint_comments.remove(name) {
            self.constraint_comments.insert(new_name.to_owned(), comment);
        }
    }
}

/// An output column of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewColumn {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: DataType,
    /// What INSERT into the view gives it by default, as SQL text.
    pub default: Option<String>,
}

/// Which conditions rows that are written through a view must meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOption {
    /// The view's own.
    Local,
    /// Also those of the views beneath.
    Cascaded,
}

/// The options of a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewOptions {
    /// WITH CHECK OPTION.
    pub check: Option<CheckOption>,
    /// `security_barrier`, kept for the catalog: there is one user.
    pub security_barrier: Option<bool>,
    /// `security_invoker`, as that.
    pub security_invoker: Option<bool>,
}

/// What a view reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// The table or view.
    pub object: ObjectId,
    /// The columns of the table that are read; empty = unknown, taken as all.
    pub columns: Vec<ColumnId>,
}

/// A view.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewDescriptor {
    /// Id.
    pub id: ObjectId,
    /// The name of its schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// The query, as SQL text.
    pub sql: String,
    /// Output columns.
    pub columns: Vec<ViewColumn>,
    /// What it reads.
    pub depends_on: Vec<Dependency>,
    /// COMMENT ON VIEW.
    pub comment: Option<String>,
    /// Its INSTEAD OF triggers, by name.
    pub triggers: Vec<TriggerDescriptor>,
    /// WITH (…).
    pub options: ViewOptions,
}

/// A sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceDescriptor {
    /// Id.
    pub id: ObjectId,
    /// The name of its schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Its type: SMALLINT, INTEGER or BIGINT.
    pub ty: DataType,
    /// START.
    pub start: i64,
    /// INCREMENT, not 0.
    pub increment: i64,
    /// MINVALUE.
    pub min: i64,
    /// MAXVALUE.
    pub max: i64,
    /// How many values are reserved in the log at once, at least 1.
    pub cache: i64,
    /// CYCLE.
    pub cycle: bool,
    /// Grows with each RESTART; its position is kept under (id, generation), so that a restart is transactional.
    pub generation: u32,
    /// The table and column that it goes with (OWNED BY, SERIAL, IDENTITY).
    pub owned_by: Option<(ObjectId, ColumnId)>,
    /// COMMENT ON SEQUENCE.
    pub comment: Option<String>,
}
