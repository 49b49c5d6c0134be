//! Statements and portals: Parse, Bind, Describe, Execute, Close.

use std::sync::Arc;

use bytes::Bytes;
use cairndb::{Column, DataType, Outcome, Prepared, Rows, SessionStatus, Value, split_statements};

use super::connection::{Connection, Done, Failure};
use super::message::{Form, Object};
use super::object_number;
use super::reply::Report;
use super::rows::{self, Rest};
use super::simple::{Control, deallocated};

/// A statement that was parsed.
#[derive(Debug)]
pub(super) struct Statement {
    sql: String,
    /// None for the empty statement.
    prepared: Option<Prepared>,
    /// The types of the parameters as the client is told of them.
    types: Vec<u32>,
    control: Control,
}

impl Statement {
    fn columns(&self) -> &[Column] {
        self.prepared.as_ref().map_or(&[], Prepared::columns)
    }
}

/// A statement with its values.
#[derive(Debug)]
pub(super) struct Portal {
    statement: Arc<Statement>,
    values: Vec<Value>,
    forms: Vec<Form>,
    state: State,
}

#[derive(Debug)]
enum State {
    New,
    /// Rows, some of which were sent.
    Suspended(Box<Rows>, Rest),
    /// All of its rows were sent.
    Ended,
    /// It ran.
    Done,
}

/// A type that the client leaves open: none, or `unknown`.
fn is_open(oid: u32) -> bool {
    oid == 0 || oid == 705
}

impl Connection {
    pub(super) async fn parse(&mut self, name: String, sql: String, types: Vec<u32>) -> Done {
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(&name) || self.session.named_prepared(&name).is_some() {
            let message = format!("prepared statement \"{name}\" already exists");
            return Err(Report::error("42P05", message).into());
        }
        let split = split_statements(&sql);
        let count = split.statements.len() + usize::from(!split.rest.is_empty());
        let text = split.statements.first().copied().unwrap_or(split.rest).to_owned();
        if count > 1 {
            let message = "cannot insert multiple commands into a prepared statement";
            return Err(Report::error("42601", message).into());
        }
        let control = Control::of(&text);
        if self.session.status() == SessionStatus::Failed && !ends_failed_block(&text, control) {
            return Err(aborted().into());
        }
        let mut declared = Vec::with_capacity(types.len());
        for oid in &types {
            declared.push(match self.session.data_type(*oid) {
                _ if is_open(*oid) => None,
                Some(ty) => Some(ty),
                None => {
                    let message = format!("type with OID {oid} does not exist");
                    return Err(Report::error("42704", message).into());
                }
            });
        }
        let prepared = match count {
            0 => None,
            _ => Some(self.session.prepare_async(&text, &declared).await?),
        };
        let found = prepared.as_ref().map(Prepared::parameter_type_oids).unwrap_or_default();
        let types = found
            .into_iter()
            .enumerate()
            .map(|(at, own)| types.get(at).copied().filter(|declared| !is_open(*declared)).unwrap_or(own))
            .collect();
        if let Some(prepared) = prepared.as_ref().filter(|_| !name.is_empty()) {
            self.session.name_prepared(&name, prepared)?;
        }
        self.statements.insert(name, Arc::new(Statement { sql: text, prepared, types, control }));
        self.wire.replies.parse_complete();
        Ok(())
    }

    fn statement(&self, name: &str) -> Done<Arc<Statement>> {
        let found = self.statements.get(name).cloned().or_else(|| self.of_prepare(name));
        found.ok_or_else(|| match name {
            "" => Report::error("26000", "unnamed prepared statement does not exist").into(),
            name => Report::error("26000", format!("prepared statement \"{name}\" does not exist")).into(),
        })
    }

    /// A statement of PREPARE.
    fn of_prepare(&self, name: &str) -> Option<Arc<Statement>> {
        let prepared = self.session.named_prepared(name)?;
        let (sql, types) = (prepared.sql().to_owned(), prepared.parameter_type_oids());
        let control = Control::of(&sql);
        Some(Arc::new(Statement { sql, prepared: Some(prepared), types, control }))
    }

    pub(super) fn bind(
        &mut self,
        portal: String,
        statement: &str,
        forms: &[Form],
        values: &[Option<Bytes>],
        results: &[Form],
    ) -> Done {
        let statement = self.statement(statement)?;
        if self.session.status() == SessionStatus::Failed
            && !ends_failed_block(&statement.sql, statement.control)
        {
            return Err(aborted().into());
        }
        if portal.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&portal) {
            return Err(Report::error("42P03", format!("cursor \"{portal}\" already exists")).into());
        }
        let types = statement.prepared.as_ref().map_or(&[][..], Prepared::parameter_types);
        if values.len() != types.len() {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement requires {}",
                values.len(),
                types.len()
            );
            return Err(Report::error("08P01", message).into());
        }
        if forms.len() > 1 && forms.len() != values.len() {
            let message =
                format!("bind message has {} parameter formats but {} parameters", forms.len(), values.len());
            return Err(Report::error("08P01", message).into());
        }
        let columns = statement.columns().len();
        if results.len() > 1 && results.len() != columns {
            let message =
                format!("bind message has {} result formats but query has {columns} columns", results.len());
            return Err(Report::error("08P01", message).into());
        }
        let mut read = Vec::with_capacity(values.len());
        for (at, (value, ty)) in values.iter().zip(types).enumerate() {
            let form = match forms {
                [] => Form::Text,
                [all] => *all,
                each => each[at],
            };
            read.push(match value {
                None => Value::Null,
                Some(bytes) => parameter(bytes, form, ty, statement.types[at])?,
            });
        }
        let new = Portal { statement, values: read, forms: results.to_vec(), state: State::New };
        self.portals.insert(portal, new);
        self.wire.replies.bind_complete();
        Ok(())
    }

    /// Forgets statements of Parse that DEALLOCATE or DISCARD ALL names; whether that is all that there is to do.
    pub(super) fn deallocate(&mut self, sql: &str) -> bool {
        match deallocated(sql) {
            // What is empty the session does not know.
            Some(name) => self.statements.remove(&name).is_some_and(|own| own.prepared.is_none()),
            None => {
                self.statements.clear();
                false
            }
        }
    }

    fn missing_portal(name: &str) -> Report {
        Report::error("34000", format!("portal \"{name}\" does not exist"))
    }

    pub(super) fn describe(&mut self, object: &Object) -> Done {
        let (statement, forms) = match object {
            Object::Statement(name) => {
                let statement = self.statement(name)?;
                self.wire.replies.parameter_types(&statement.types);
                (statement, Vec::new())
            }
            Object::Portal(name) if !self.portals.contains_key(name) => {
                // A cursor of DECLARE is a portal, too.
                let columns = self.session.cursor_columns(name).ok_or_else(|| Self::missing_portal(name))?;
                rows::describe(&mut self.wire.replies, &columns, &[]);
                return Ok(());
            }
            Object::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(|| Self::missing_portal(name))?;
                (Arc::clone(&portal.statement), portal.forms.clone())
            }
        };
        match statement.columns() {
            [] => self.wire.replies.no_data(),
            columns => rows::describe(&mut self.wire.replies, columns, &forms),
        }
        Ok(())
    }

    pub(super) fn close(&mut self, object: &Object) {
        match object {
            Object::Statement(name) => {
                self.statements.remove(name);
                self.session.forget_prepared(name);
            }
            Object::Portal(name) => drop(self.portals.remove(name)),
        }
        self.wire.replies.close_complete();
    }

    pub(super) async fn execute(&mut self, name: &str, rows_max: u32) -> Done {
        let mut portal = self.portals.remove(name).ok_or_else(|| Self::missing_portal(name))?;
        let done = self.run_portal(&mut portal, name, rows_max).await;
        if done.is_ok() {
            self.portals.insert(name.to_owned(), portal);
        }
        done
    }

    async fn run_portal(&mut self, portal: &mut Portal, name: &str, rows_max: u32) -> Done {
        let statement = Arc::clone(&portal.statement);
        if statement.prepared.is_none() {
            self.wire.replies.empty_query();
            return Ok(());
        }
        let (mut rows, mut rest) = match std::mem::replace(&mut portal.state, State::Done) {
            State::Suspended(rows, rest) => (*rows, rest),
            State::Ended => {
                portal.state = State::Ended;
                self.wire.replies.complete("SELECT 0");
                return Ok(());
            }
            State::Done => {
                let message = format!("portal \"{name}\" cannot be run");
                return Err(Report::error("55000", message).into());
            }
            State::New => {
                match statement.control {
                    Control::Begin { plain: true } if self.implicit => {
                        self.implicit = false;
                        self.wire.replies.complete("BEGIN");
                        return Ok(());
                    }
                    Control::Begin { .. } => {}
                    Control::End => self.implicit = false,
                    // A series of one statement is a transaction of its own; until more of it is known, it is one of many.
                    Control::Copy | Control::Deallocate | Control::None => match self.wire.peek().await? {
                        Some(b'S') if !self.implicit => {}
                        Some(_) => self.begin_implicit().await?,
                        None => return Err(Failure::Gone(std::io::ErrorKind::UnexpectedEof.into())),
                    },
                }
                if statement.control == Control::Copy {
                    return self.copy(&statement.sql).await;
                }
                if statement.control == Control::Deallocate && self.deallocate(&statement.sql) {
                    self.wire.replies.complete("DEALLOCATE");
                    return Ok(());
                }
                let outcome = self.run_statement(&statement.sql, &portal.values).await?;
                self.tell_notices();
                match outcome {
                    Outcome::Command { tag, .. } => {
                        self.wire.replies.complete(&tag);
                        return Ok(());
                    }
                    Outcome::Rows(rows) => {
                        if !is_as_described(rows.columns(), statement.columns()) {
                            let message = "cached plan must not change result type";
                            return Err(Report::error("0A000", message).into());
                        }
                        (rows, None)
                    }
                }
            }
        };
        let limit = if rows_max == 0 { u64::MAX } else { u64::from(rows_max) };
        let ended = rows::send(&mut self.wire, &mut rows, &mut rest, &portal.forms, limit).await?;
        if ended {
            self.tell_notices();
            self.wire.replies.complete(&rows.tag());
            portal.state = State::Ended;
        } else {
            self.wire.replies.suspended();
            portal.state = State::Suspended(Box::new(rows), rest);
        }
        Ok(())
    }
}

fn aborted() -> Report {
    Report::error("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}

/// Whether a statement is let through in a block that has failed.
fn ends_failed_block(sql: &str, control: Control) -> bool {
    control == Control::End
        || sql.trim_start().get(..8).is_some_and(|word| word.eq_ignore_ascii_case("rollback"))
}

/// Whether rows come as the client was told.
fn is_as_described(columns: &[Column], described: &[Column]) -> bool {
    columns.len() == described.len()
        && columns.iter().zip(described).all(|(a, b)| a.data_type().pg_oid() == b.data_type().pg_oid())
}

fn parameter(bytes: &[u8], form: Form, ty: &DataType, oid: u32) -> Done<Value> {
    let value = match form {
        Form::Binary if object_number::is_of(oid) => {
            return object_number::read(bytes, oid)
                .ok_or_else(|| Report::error("22P03", "incorrect binary data format").into());
        }
        Form::Binary => Value::parse_binary(bytes, ty),
        Form::Text => match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Value::parse_text(text, ty),
            _ => return Err(Report::error("22021", "invalid byte sequence for encoding \"UTF8\"").into()),
        },
    };
    value.map_err(|error| {
        Report { detail: error.detail(), ..Report::error(error.sqlstate(), error.to_string()) }.into()
    })
}
