//! SQL in the making: text, and the texts of its parameters.

use super::super::guest::Guest;
use super::super::problem::Problem;
use cairndb::{Outcome, Value};

/// A statement and its parameters; `None` is NULL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) texts: Vec<Option<String>>,
}

impl Statement {
    pub(super) fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds a parameter.
    pub(super) fn push_value(&mut self, text: Option<String>) {
        self.texts.push(text);
        self.sql.push_str(&format!("${}", self.texts.len()));
    }

    /// Runs it, each parameter read as the type that the statement gives it.
    pub(super) async fn run(&self, guest: &mut Guest) -> Result<Outcome, Problem> {
        let mut values = Vec::with_capacity(self.texts.len());
        if !self.texts.is_empty() {
            let prepared = guest.session.prepare_async(&self.sql, &[]).await?;
            for (text, ty) in self.texts.iter().zip(prepared.parameter_types()) {
                values.push(match text {
                    None => Value::Null,
                    Some(text) => Value::parse_text(text, ty).map_err(cairndb::Error::from)?,
                });
            }
        }
        Ok(guest.run(&self.sql, &values).await?)
    }
}
