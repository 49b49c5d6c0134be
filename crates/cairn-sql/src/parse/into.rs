//! `SELECT … INTO t …` is `CREATE TABLE t AS SELECT …`.

use sqlparser::ast::{Query, SelectInto, SetExpr, Statement};

use crate::{Error, Result};

/// Says a SELECT INTO as CREATE TABLE AS; leaves any other statement as it is.
///
/// # Errors
/// `0A000` for UNLOGGED.
pub(crate) fn rewrite(statement: &mut Statement) -> Result<()> {
    let Statement::Query(query) = statement else { return Ok(()) };
    let Some(into) = take(query) else { return Ok(()) };
    if into.unlogged {
        return Err(Error::unsupported("SELECT INTO UNLOGGED"));
    }
    let mut made = super::parse_text("CREATE TABLE t AS SELECT 1")?;
    if let Statement::CreateTable(create) = &mut made {
        create.name = into.name;
        create.temporary = into.temporary;
        create.query = Some(query.clone());
    }
    *statement = made;
    Ok(())
}

/// The INTO of a query's first SELECT.
fn take(query: &mut Query) -> Option<SelectInto> {
    let mut body = &mut *query.body;
    loop {
        match body {
            SetExpr::Select(select) => return select.into.take(),
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    }
}
