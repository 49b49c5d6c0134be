//! From the parser's data types to ours.

use arrow::datatypes::FieldRef;
use cairn_types::DataType;
use datafusion::logical_expr::planner::TypePlanner;
use sqlparser::ast::{ArrayElemTypeDef, DataType as SqlType};

use crate::{Error, Result};

/// Our type of a type's SQL text.
///
/// # Errors
/// `42704` for a type that does not exist.
pub(crate) fn data_type(sql: &SqlType) -> Result<DataType> {
    if let SqlType::Array(element) = sql {
        return match element {
            ArrayElemTypeDef::AngleBracket(inner)
            | ArrayElemTypeDef::SquareBracket(inner, _)
            | ArrayElemTypeDef::Parenthesis(inner) => Ok(DataType::Array(Box::new(data_type(inner)?))),
            ArrayElemTypeDef::None => Err(Error::new("42601", "an array needs the type of its elements")),
        };
    }
    let text = sql.to_string();
    let bare = text.strip_prefix("\"pg_catalog\".").unwrap_or(&text);
    let unquoted = bare.trim_matches('"');
    // What PostgreSQL calls the types of arrays.
    let element = unquoted.strip_prefix('_').and_then(DataType::parse);
    let list = element.map(|element| DataType::Array(Box::new(element)));
    DataType::parse(unquoted).or(list).ok_or_else(|| missing(unquoted))
}

/// A type as [`data_type`] reads it, whichever it is.
pub(crate) fn written(ty: &DataType) -> SqlType {
    SqlType::Custom(super::named_types::quoted_name(&ty.signature()), Vec::new())
}

fn missing(name: &str) -> Error {
    Error::new("42704", format!("type \"{}\" does not exist", name.to_lowercase()))
}

/// The same for DataFusion's planner: casts are rewritten before it sees them, but typed literals and column
/// definitions are not.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql: &SqlType) -> datafusion::error::Result<Option<FieldRef>> {
        match sql {
            SqlType::Interval { fields: None, precision: None } => Ok(None),
            other => Ok(data_type(other).ok().map(|ty| std::sync::Arc::new(ty.to_field("", true)))),
        }
    }
}
