//! What a DDL statement asks for: plain data, names instead of ids.

use cairn_types::{DataType, Value};

use crate::catalog::{
    Dependency, Materialized, ObjectId, PartitionBound, PartitionStrategy, ReferentialAction, ViewColumn,
    ViewOptions,
};

/// The options of a sequence, as CREATE SEQUENCE and GENERATED … AS IDENTITY (…) take them; `None` = the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SequenceOptions {
    /// AS: SMALLINT, INTEGER or BIGINT (the default).
    pub ty: Option<DataType>,
    /// START WITH.
    pub start: Option<i64>,
    /// INCREMENT BY.
    pub increment: Option<i64>,
    /// MINVALUE; `Some(None)` = NO MINVALUE.
    pub min: Option<Option<i64>>,
    /// MAXVALUE; `Some(None)` = NO MAXVALUE.
    pub max: Option<Option<i64>>,
    /// CACHE.
    pub cache: Option<i64>,
    /// CYCLE.
    pub cycle: Option<bool>,
    /// RESTART (ALTER only): `Some(None)` = at START, `Some(Some(n))` = with n.
    pub restart: Option<Option<i64>>,
}

/// How a column gets a value by itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Generation {
    /// GENERATED { ALWAYS | BY DEFAULT } AS IDENTITY.
    Identity {
        /// ALWAYS.
        always: bool,
        /// The sequence's options.
        options: SequenceOptions,
    },
    /// SMALLSERIAL, SERIAL, BIGSERIAL: an owned sequence, and a default that calls `nextval` on it.
    Serial,
}

/// A column to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: DataType,
    /// NULL allowed.
    pub nullable: bool,
    /// DEFAULT, as SQL text.
    pub default: Option<String>,
    /// SERIAL or IDENTITY.
    pub generation: Option<Generation>,
    /// GENERATED ALWAYS AS an expression: its text and the columns that it names.
    pub expression: Option<ExpressionSpec>,
    /// The domain of its values, of which `ty` is the type below.
    pub domain: Option<ObjectId>,
}

impl ColumnSpec {
    /// A nullable column without default.
    pub fn new(name: impl Into<String>, ty: DataType) -> ColumnSpec {
        ColumnSpec {
            name: name.into(),
            ty,
            nullable: true,
            default: None,
            generation: None,
            expression: None,
            domain: None,
        }
    }

    /// The same, NOT NULL.
    pub fn not_null(self) -> ColumnSpec {
        ColumnSpec { nullable: false, ..self }
    }
}

/// SQL text over the columns of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpressionSpec {
    /// The text.
    pub sql: String,
    /// Its type.
    pub ty: DataType,
    /// The columns that it names.
    pub columns: Vec<String>,
}

/// One column of an index to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexColumnSpec {
    /// Column name; of an expression, what stands for it in the index's name.
    pub column: String,
    /// An expression instead of a column.
    pub expression: Option<ExpressionSpec>,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST (PostgreSQL's default: as `descending`).
    pub nulls_first: bool,
}

impl IndexColumnSpec {
    /// Ascending, NULLs last.
    pub fn ascending(column: impl Into<String>) -> IndexColumnSpec {
        IndexColumnSpec { column: column.into(), expression: None, descending: false, nulls_first: false }
    }
}

/// A constraint to be made; `name: None` = PostgreSQL's default name (`t_a_key`, `t_pkey`, `t_a_fkey`, `t_check`).
#[derive(Clone, Debug, PartialEq)]
pub enum ConstraintSpec {
    /// PRIMARY KEY.
    PrimaryKey {
        /// Name.
        name: Option<String>,
        /// Columns, in key order.
        columns: Vec<String>,
        /// DEFERRABLE: whether INITIALLY DEFERRED too.
        deferrable: Option<bool>,
    },
    /// UNIQUE.
    Unique {
        /// Name.
        name: Option<String>,
        /// Columns, in key order.
        columns: Vec<String>,
        /// NULLS NOT DISTINCT.
        nulls_not_distinct: bool,
        /// INCLUDE.
        include: Vec<String>,
        /// DEFERRABLE: whether INITIALLY DEFERRED too.
        deferrable: Option<bool>,
    },
    /// CHECK.
    Check {
        /// Name.
        name: Option<String>,
        /// The condition, as SQL text.
        sql: String,
        /// The columns that it names.
        columns: Vec<String>,
        /// NOT VALID.
        not_valid: bool,
    },
    /// FOREIGN KEY.
    ForeignKey {
        /// Name.
        name: Option<String>,
        /// The child's columns.
        columns: Vec<String>,
        /// The parent's schema and name.
        parent: (String, String),
        /// The parent's columns; empty = its primary key.
        parent_columns: Vec<String>,
        /// ON DELETE.
        on_delete: ReferentialAction,
        /// ON UPDATE.
        on_update: ReferentialAction,
        /// NOT VALID.
        not_valid: bool,
        /// DEFERRABLE: whether INITIALLY DEFERRED too.
        deferrable: Option<bool>,
    },
}

/// A table to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableSpec {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Columns, in order.
    pub columns: Vec<ColumnSpec>,
    /// Constraints (NOT NULL is the columns').
    pub constraints: Vec<ConstraintSpec>,
    /// Where it is a materialized view: what it is made of.
    pub materialized: Option<Materialized>,
    /// PARTITION BY.
    pub partition_by: Option<PartitionBySpec>,
    /// PARTITION OF.
    pub partition_of: Option<PartitionOfSpec>,
}

/// How a table is to be divided.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionBySpec {
    /// RANGE, LIST or HASH.
    pub strategy: PartitionStrategy,
    /// The columns of the key, in order.
    pub columns: Vec<String>,
}

/// What a table is to be a partition of.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionOfSpec {
    /// Schema and name of the partitioned table.
    pub parent: (String, String),
    /// FOR VALUES.
    pub bound: PartitionBound,
}

/// An index to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexSpec {
    /// The table's schema; the index lives in it too.
    pub schema: String,
    /// The table's name.
    pub table: String,
    /// The index's name; `None` = PostgreSQL's default name (`t_a_b_idx`).
    pub name: Option<String>,
    /// Access method; "btree".
    pub kind: String,
    /// Key columns.
    pub columns: Vec<IndexColumnSpec>,
    /// UNIQUE.
    pub unique: bool,
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// INCLUDE.
    pub include: Vec<String>,
    /// WHERE.
    pub predicate: Option<ExpressionSpec>,
}

/// A view to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewSpec {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// The query, as SQL text.
    pub sql: String,
    /// Output columns.
    pub columns: Vec<ViewColumn>,
    /// What it reads.
    pub depends_on: Vec<Dependency>,
    /// OR REPLACE: a view of that name gets the new query; its old columns must stay as they are.
    pub replace: bool,
    /// WITH (…).
    pub options: ViewOptions,
}

/// What ALTER VIEW changes.
#[derive(Clone, Debug, PartialEq)]
pub enum ViewChange {
    /// RENAME COLUMN.
    RenameColumn {
        /// The column.
        column: String,
        /// What it is called then.
        new_name: String,
    },
    /// ALTER COLUMN … SET DEFAULT (SQL text), DROP DEFAULT.
    Default {
        /// The column.
        column: String,
        /// The expression.
        sql: Option<String>,
    },
    /// SET and RESET: all options as they are then.
    Options(ViewOptions),
}

/// How a new column fills the rows that are there already.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Backfill {
    /// NULL.
    #[default]
    Null,
    /// One value for all (a default that does not differ from row to row): nothing is rewritten.
    Value(Value),
}

/// What COMMENT ON names; a schema goes with each name.
#[derive(Clone, Debug, PartialEq)]
pub enum CommentTarget {
    /// COMMENT ON SCHEMA.
    Schema(String),
    /// COMMENT ON TABLE.
    Table(String, String),
    /// COMMENT ON COLUMN schema.table.column.
    Column(String, String, String),
    /// COMMENT ON CONSTRAINT name ON schema.table.
    Constraint(String, String, String),
    /// COMMENT ON INDEX.
    Index(String, String),
    /// COMMENT ON VIEW.
    View(String, String),
    /// COMMENT ON SEQUENCE.
    Sequence(String, String),
    /// COMMENT ON TYPE and DOMAIN.
    Type(String, String),
}
