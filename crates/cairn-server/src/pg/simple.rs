//! Query: the statements of a text, one after the other, as one transaction.

use cairndb::{Outcome, split_statements};

use super::connection::{Connection, Done, Failure, report};
use super::message::Form;
use super::rows;

/// What a statement does with the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// BEGIN, START TRANSACTION; whether it says more than that.
    Begin {
        plain: bool,
    },
    /// COMMIT, ROLLBACK and their kin.
    End,
    /// COPY from or to the client.
    Copy,
    /// DEALLOCATE, DISCARD ALL.
    Deallocate,
    None,
}

impl Control {
    pub(super) fn of(sql: &str) -> Control {
        let mut words = words(sql).map(str::to_ascii_lowercase);
        match words.next().as_deref() {
            Some("begin") => {
                let plain = words.all(|word| matches!(word.as_str(), "work" | "transaction"));
                Control::Begin { plain }
            }
            Some("start") => {
                words.next();
                Control::Begin { plain: words.next().is_none() }
            }
            Some("commit" | "end" | "abort") => Control::End,
            Some("rollback") => {
                let savepoint = words.any(|word| matches!(word.as_str(), "to" | "prepared"));
                if savepoint { Control::None } else { Control::End }
            }
            Some("prepare") if words.next().as_deref() == Some("transaction") => Control::End,
            Some("copy") => Control::Copy,
            Some("deallocate" | "discard") => Control::Deallocate,
            _ => Control::None,
        }
    }
}

/// The first words of a statement, comments left out.
fn words(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            if let Some(comment) = rest.strip_prefix("--") {
                rest = comment.split_once('\n').map_or("", |(_, after)| after);
            } else if let Some(comment) = rest.strip_prefix("/*") {
                rest = comment.split_once("*/").map_or("", |(_, after)| after);
            } else {
                break;
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then_some(word)
    })
}

impl Connection {
    pub(super) async fn query(&mut self, sql: &str) -> Done {
        self.portals.remove("");
        let split = split_statements(sql);
        let mut statements = split.statements;
        if !split.rest.is_empty() {
            statements.push(split.rest);
        }
        if statements.is_empty() {
            self.wire.replies.empty_query();
            return Ok(());
        }
        let several = statements.len() > 1;
        for statement in statements {
            if let Err(failure) = self.one_of(statement, several).await {
                return Err(match failure {
                    Failure::Told(mut told) => {
                        let before = statement.as_ptr() as usize - sql.as_ptr() as usize;
                        if let Some(position) = &mut told.position {
                            *position += sql[..before].chars().count();
                        }
                        Failure::Told(told)
                    }
                    gone => gone,
                });
            }
        }
        self.end_implicit().await
    }

    async fn one_of(&mut self, sql: &str, several: bool) -> Done {
        let control = Control::of(sql);
        match control {
            Control::Begin { plain: true } if self.implicit => {
                // What came before in this text belongs to the block.
                self.implicit = false;
                self.wire.replies.complete("BEGIN");
                return Ok(());
            }
            Control::End => self.implicit = false,
            Control::Begin { .. } => {}
            Control::Copy | Control::Deallocate | Control::None if several => self.begin_implicit().await?,
            Control::Copy | Control::Deallocate | Control::None => {}
        }
        if control == Control::Copy {
            return self.copy(sql).await;
        }
        if control == Control::Deallocate && self.deallocate(sql) {
            self.wire.replies.complete("DEALLOCATE");
            return Ok(());
        }
        let outcome = self.run_statement(sql, &[]).await?;
        self.tell_notices();
        match outcome {
            Outcome::Command { tag, .. } => self.wire.replies.complete(&tag),
            Outcome::Rows(mut rows) => {
                rows::describe(&mut self.wire.replies, rows.columns(), &[Form::Text]);
                rows::send(&mut self.wire, &mut rows, &mut None, &[Form::Text], u64::MAX).await?;
                self.tell_notices();
                self.wire.replies.complete(&rows.tag());
            }
        }
        self.wire.flush_many().await?;
        Ok(())
    }
}

/// The statement that DEALLOCATE names; `None` for all of them, and for DISCARD ALL.
pub(super) fn deallocated(sql: &str) -> Option<String> {
    let mut rest = words(sql).skip(1);
    let mut word = rest.next()?;
    if word.eq_ignore_ascii_case("prepare") {
        word = rest.next()?;
    }
    if word != "\"" {
        return (!word.eq_ignore_ascii_case("all")).then(|| word.to_lowercase());
    }
    let (_, quoted) = sql.split_once('"')?;
    let (name, _) = quoted.rsplit_once('"')?;
    Some(name.replace("\"\"", "\""))
}

/// An error of a COPY or of rows as the client gets it.
pub(super) fn told(error: &cairndb::Error) -> Failure {
    report(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_does_with_the_transaction() {
        for (sql, control) in [
            ("BEGIN", Control::Begin { plain: true }),
            (" /* a */ begin -- b\n work", Control::Begin { plain: true }),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE", Control::Begin { plain: false }),
            ("START TRANSACTION", Control::Begin { plain: true }),
            ("START TRANSACTION READ ONLY", Control::Begin { plain: false }),
            ("COMMIT", Control::End),
            ("ROLLBACK TO a", Control::None),
            ("ROLLBACK WORK TO SAVEPOINT a", Control::None),
            ("rollback", Control::End),
            ("COPY t FROM STDIN", Control::Copy),
            ("SELECT 'commit'", Control::None),
            ("DISCARD ALL", Control::Deallocate),
            ("", Control::None),
        ] {
            assert_eq!(Control::of(sql), control, "{sql}");
        }
    }

    #[test]
    fn what_is_deallocated() {
        for (sql, name) in [
            ("DEALLOCATE a", Some("a")),
            ("deallocate PREPARE B;", Some("b")),
            ("DEALLOCATE \"_pg3_0\"", Some("_pg3_0")),
            ("DEALLOCATE PREPARE \"a\"\"B\"", Some("a\"B")),
            ("DEALLOCATE ALL", None),
            ("DISCARD ALL", None),
        ] {
            assert_eq!(deallocated(sql).as_deref(), name, "{sql}");
        }
    }
}
