//! Functions, procedures and triggers: plain data, written to table 0 by `format/program.rs`.
//!
//! Bodies are SQL text, which `cairn-sql` reads when a routine runs. Names in them mean what they mean then (late
//! binding), but those of a body that is no string, on whose tables and views the routine depends.

use cairn_types::{Coded, DataType};

use super::descriptor::{ColumnId, ObjectId};

/// What a routine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutineKind {
    /// Called in expressions and in FROM.
    Function,
    /// Called by CALL.
    Procedure,
}

/// Which way a parameter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterMode {
    /// IN.
    In,
    /// OUT.
    Out,
    /// INOUT.
    InOut,
    /// VARIADIC: an array, of which callers give the elements.
    Variadic,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name; empty where it has none.
    pub name: String,
    /// Type.
    pub ty: DataType,
    /// Direction.
    pub mode: ParameterMode,
    /// DEFAULT, as SQL text.
    pub default: Option<String>,
}

impl Parameter {
    /// Whether a caller gives it a value.
    pub fn is_input(&self) -> bool {
        self.mode != ParameterMode::Out
    }

    /// Whether it is part of what the routine gives.
    pub fn is_output(&self) -> bool {
        matches!(self.mode, ParameterMode::Out | ParameterMode::InOut)
    }
}

/// What a routine gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Returns {
    /// Nothing.
    Void,
    /// The new row of a trigger.
    Trigger,
    /// A value; a set of them.
    Value {
        /// Its type.
        ty: DataType,
        /// SETOF.
        set: bool,
    },
    /// Rows of these columns: RETURNS TABLE, or several OUT parameters.
    Rows {
        /// Names and types.
        columns: Vec<(String, DataType)>,
        /// Whether there may be more than one.
        set: bool,
    },
    /// Rows of a table or view.
    Relation {
        /// Its id.
        object: ObjectId,
        /// SETOF.
        set: bool,
    },
}

/// How often a function may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutineVolatility {
    /// Gives the same for the same arguments.
    Immutable,
    /// The same within a statement.
    Stable,
    /// Anything, and may change data.
    Volatile,
}

/// How the body was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// A string of statements.
    Text,
    /// RETURN expression.
    Return,
    /// BEGIN ATOMIC … END: the statements between.
    Atomic,
}

/// A function or procedure.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutineDescriptor {
    /// Id.
    pub id: ObjectId,
    /// The name of its schema.
    pub schema: String,
    /// Name. Several may have it that differ in the types of their inputs.
    pub name: String,
    /// Function or procedure.
    pub kind: RoutineKind,
    /// The parameters, in order.
    pub parameters: Vec<Parameter>,
    /// What it gives.
    pub returns: Returns,
    /// Whether a NULL argument makes the result NULL without a call.
    pub strict: bool,
    /// How often it may be called.
    pub volatility: RoutineVolatility,
    /// How the body was given.
    pub form: BodyForm,
    /// The statements, or the expression.
    pub body: String,
    /// Tables and views that it cannot do without.
    pub depends_on: Vec<ObjectId>,
    /// SECURITY DEFINER: it runs as its owner.
    pub definer: bool,
    /// SET: what its body runs with, by name.
    pub settings: Vec<(String, String)>,
}

impl RoutineDescriptor {
    /// The parameters that a caller gives values.
    pub fn inputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.is_input())
    }

    /// The types of its parameters and of what it gives.
    pub fn types(&self) -> impl Iterator<Item = &DataType> {
        let given: Vec<&DataType> = match &self.returns {
            Returns::Value { ty, .. } => vec![ty],
            Returns::Rows { columns, .. } => columns.iter().map(|(_, ty)| ty).collect(),
            Returns::Void | Returns::Trigger | Returns::Relation { .. } => Vec::new(),
        };
        self.parameters.iter().map(|parameter| &parameter.ty).chain(given)
    }

    /// The same, to be changed.
    pub(crate) fn types_mut(&mut self) -> impl Iterator<Item = &mut DataType> {
        let given: Vec<&mut DataType> = match &mut self.returns {
            Returns::Value { ty, .. } => vec![ty],
            Returns::Rows { columns, .. } => columns.iter_mut().map(|(_, ty)| ty).collect(),
            Returns::Void | Returns::Trigger | Returns::Relation { .. } => Vec::new(),
        };
        self.parameters.iter_mut().map(|parameter| &mut parameter.ty).chain(given)
    }

    /// `name(types)`, as messages have it.
    pub fn signature(&self) -> String {
        let types: Vec<String> = self.inputs().map(|parameter| type_name(&parameter.ty)).collect();
        format!("{}({})", self.name, types.join(","))
    }

    /// Whether another routine of the name takes the same types of arguments.
    pub fn is_same_call(&self, other: &RoutineDescriptor) -> bool {
        let types = |routine: &RoutineDescriptor| -> Vec<String> {
            routine.inputs().map(|parameter| type_name(&parameter.ty)).collect()
        };
        self.schema == other.schema && self.name == other.name && types(self) == types(other)
    }

    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self.kind {
            RoutineKind::Function => "function",
            RoutineKind::Procedure => "procedure",
        }
    }
}

/// A type without its parameters.
fn type_name(ty: &DataType) -> String {
    match ty {
        DataType::Array(_) => format!("{}[]", ty.base_name()),
        DataType::Coded(Coded::Enum(ty)) => ty.sql_name(),
        DataType::Coded(Coded::Composite(ty)) => ty.sql_name(),
        ty => ty.base_name().to_owned(),
    }
}

/// When a trigger runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerTiming {
    /// Before the change.
    Before,
    /// After the statement's changes.
    After,
    /// In place of the change (views).
    InsteadOf,
}

/// What makes a trigger run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TriggerEvents {
    /// INSERT.
    pub insert: bool,
    /// UPDATE.
    pub update: bool,
    /// DELETE.
    pub delete: bool,
    /// TRUNCATE.
    pub truncate: bool,
}

/// A trigger of a table or view. Those of one time run in the order of their names.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerDescriptor {
    /// Name, unique within the table.
    pub name: String,
    /// When it runs.
    pub timing: TriggerTiming,
    /// What makes it run.
    pub events: TriggerEvents,
    /// UPDATE OF: the columns one of which SET must name; empty = any.
    pub columns: Vec<ColumnId>,
    /// FOR EACH ROW, or else FOR EACH STATEMENT.
    pub per_row: bool,
    /// REFERENCING OLD TABLE AS.
    pub old_table: Option<String>,
    /// REFERENCING NEW TABLE AS.
    pub new_table: Option<String>,
    /// WHEN, as SQL text.
    pub when: Option<String>,
    /// The function that it runs.
    pub function: ObjectId,
    /// What TG_ARGV shows it.
    pub arguments: Vec<String>,
    /// ENABLE or DISABLE TRIGGER.
    pub enabled: bool,
}
