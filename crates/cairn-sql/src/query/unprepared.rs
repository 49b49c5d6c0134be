//! Statements that are not prepared and differ in their literals share a plan: the literals are lifted out of the text, and
//! what is left is found, and remembered, as a statement with parameters is.
//!
//! Lifted are whole numbers, with their sign, and strings that are compared with a column (`c = 1`, `c IN (1, 2)`, `c BETWEEN 1
//! AND 2`), that a column is set to, numbers that UPDATE counts on (`SET n = n + 1`), and the values of INSERT, of which numbers
//! may have decimals. All other literals stay what they are, as part of the text: they may be ordinals, sizes of types or
//! patterns.
//!
//! I1: what a lifted text is found by names the kinds of its literals: `c = 1` and `c = '1'` are two statements.

use std::fmt::Write;

use cairn_types::{Decimal, Value};
use sqlparser::ast::Statement;

use crate::context::Context;
use crate::parse::lexer::{Kind, Lexer, Token};
use crate::results::{Column, StatementResult};
use crate::{Result, parse};

/// Longest text whose literals are lifted, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;
/// Literals that are lifted at most.
const LITERALS_MAX: usize = 256;
/// Ends the text in what a lifted statement is found by; the kinds follow (I1).
const END: char = '\u{3}';

/// A text without its literals.
#[derive(Debug)]
pub(crate) struct Lifted {
    /// What the statement is found by.
    pub(crate) key: String,
    /// The values of its parameters.
    pub(crate) values: Vec<Value>,
}

/// Words that may follow a literal that is compared.
const WORDS_AFTER: &[&str] = &[
    "and",
    "or",
    "order",
    "group",
    "limit",
    "offset",
    "fetch",
    "having",
    "where",
    "union",
    "except",
    "intersect",
    "then",
    "end",
    "returning",
    "from",
    "window",
    "join",
    "left",
    "right",
    "inner",
    "full",
    "cross",
];

/// Where the literals are in a text.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Nowhere in particular.
    Plain,
    /// Behind `column =` or another comparison.
    Compared,
    /// Behind `column BETWEEN`.
    Between,
    /// Behind `column BETWEEN literal`.
    BetweenFirst,
    /// Behind `column BETWEEN literal AND`.
    BetweenSecond,
    /// Behind `column IN`.
    In,
    /// Behind `column +` and the like in SET.
    Counted,
}

impl Lifted {
    /// The text without its literals; `None` where it has none that are lifted, or parameters, or is of another kind than
    /// SELECT, INSERT, UPDATE and DELETE.
    pub(crate) fn of(sql: &str) -> Option<Lifted> {
        if sql.len() > TEXT_BYTES_MAX || sql.contains(END) {
            return None;
        }
        let mut lifter = Lifter::new(sql);
        let mut tokens = Lexer::new(sql).peekable();
        let first = tokens.peek().map(|token| &sql[token.start..token.end])?;
        lifter.inserts = first.eq_ignore_ascii_case("insert");
        lifter.updates = first.eq_ignore_ascii_case("update");
        if !lifter.inserts
            && !["select", "update", "delete"].iter().any(|word| first.eq_ignore_ascii_case(word))
        {
            return None;
        }
        while let Some(token) = tokens.next() {
            match token.kind {
                Kind::Parameter | Kind::Unterminated => return None,
                // A second statement.
                Kind::Punctuation(b';') if tokens.peek().is_some() => return None,
                _ => lifter.take(token, tokens.peek().copied())?,
            }
        }
        lifter.finish()
    }

    /// The text with parameters.
    fn text(&self) -> &str {
        self.key.split(END).next().unwrap_or(&self.key)
    }
}

struct Lifter<'s> {
    sql: &'s str,
    out: String,
    kinds: String,
    values: Vec<Value>,
    copied: usize,
    inserts: bool,
    updates: bool,
    /// Behind SET of an UPDATE, before WHERE.
    in_set: bool,
    /// A minus before a number.
    sign: Option<Token>,
    /// Behind VALUES of an INSERT, and how many brackets are open there.
    in_values: Option<u32>,
    /// Within `IN (…)`, of which all so far was literals.
    in_list: bool,
    place: Place,
    /// The tokens before.
    last: [Option<Token>; 2],
}

impl<'s> Lifter<'s> {
    fn new(sql: &'s str) -> Lifter<'s> {
        Lifter {
            sql,
            out: String::with_capacity(sql.len() + 16),
            kinds: String::new(),
            values: Vec::new(),
            copied: 0,
            inserts: false,
            updates: false,
            in_set: false,
            sign: None,
            in_values: None,
            in_list: false,
            place: Place::Plain,
            last: [None, None],
        }
    }

    fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == Kind::Word && self.sql[token.start..token.end].eq_ignore_ascii_case(word)
    }

    /// Takes a token; `None` where there are too many literals.
    fn take(&mut self, token: Token, next: Option<Token>) -> Option<()> {
        if self.is_sign(token, next) {
            self.sign = Some(token);
            return Some(());
        }
        let sign = self.sign.take();
        if matches!(token.kind, Kind::Number | Kind::Quoted) {
            if self.may_lift(next)
                && let Some((value, kind)) = self.value(token, sign.is_some())
            {
                self.lift(sign.unwrap_or(token).start, token.end, value, kind)?;
                self.place = match self.place {
                    Place::Between => Place::BetweenFirst,
                    _ => Place::Plain,
                };
            } else {
                self.place = Place::Plain;
                self.in_list = false;
            }
        } else {
            self.place = self.place_behind(token);
            self.note_brackets(token);
        }
        self.last = [self.last[1], Some(token)];
        Some(())
    }

    /// Whether a token is the minus of a number that may be lifted with it.
    fn is_sign(&self, token: Token, next: Option<Token>) -> bool {
        let first = || {
            self.last[1].is_some_and(|before| matches!(before.kind, Kind::Punctuation(b'(' | b',')))
                && (self.in_values == Some(1) || self.in_list)
        };
        self.sign.is_none()
            && token.kind == Kind::Operator
            && &self.sql[token.start..token.end] == "-"
            && next.is_some_and(|next| next.kind == Kind::Number)
            && (!matches!(self.place, Place::Plain | Place::In) || first())
    }

    /// Where what follows a token that is no literal stands.
    fn place_behind(&self, token: Token) -> Place {
        let before = self.last[1];
        let is_column = |token: Option<Token>| {
            token.is_some_and(|token| match token.kind {
                Kind::Word => true,
                Kind::Quoted => self.sql.as_bytes()[token.start] == b'"',
                _ => false,
            })
        };
        match token.kind {
            Kind::Operator if is_column(before) => match &self.sql[token.start..token.end] {
                "=" | "<" | ">" | "<=" | ">=" | "<>" | "!=" => Place::Compared,
                "+" | "-" | "*" | "/" if self.in_set => Place::Counted,
                _ => Place::Plain,
            },
            Kind::Word if self.is_word(token, "between") && is_column(before) => Place::Between,
            Kind::Word if self.place == Place::BetweenFirst && self.is_word(token, "and") => {
                Place::BetweenSecond
            }
            Kind::Word if self.is_word(token, "in") && is_column(before) => Place::In,
            _ => Place::Plain,
        }
    }

    fn note_brackets(&mut self, token: Token) {
        match token.kind {
            Kind::Punctuation(b'(') => {
                self.in_list = self.last[1].is_some_and(|before| self.is_word(before, "in"));
                self.in_values = self.in_values.map(|depth| depth + 1);
            }
            Kind::Punctuation(b')') => {
                self.in_list = false;
                self.in_values = self.in_values.map(|depth| depth.saturating_sub(1));
            }
            Kind::Punctuation(b',') => {}
            Kind::Word if self.inserts && self.is_word(token, "values") => self.in_values = Some(0),
            Kind::Word => {
                self.in_list = false;
                if self.updates {
                    self.in_set = self.is_word(token, "set")
                        || self.in_set
                            && !["where", "from", "returning", "select"]
                                .iter()
                                .any(|word| self.is_word(token, word));
                }
                if self.in_values == Some(0) {
                    // ON CONFLICT, RETURNING.
                    self.in_values = None;
                    self.inserts = false;
                }
            }
            _ => self.in_list = false,
        }
    }

    /// Whether a literal may be lifted that stands here and before `next`.
    fn may_lift(&self, next: Option<Token>) -> bool {
        let behind = |allowed: &[u8]| {
            self.last[1]
                .is_some_and(|token| matches!(token.kind, Kind::Punctuation(b) if allowed.contains(&b)))
        };
        let before = |allowed: &[u8]| {
            next.is_some_and(|token| matches!(token.kind, Kind::Punctuation(b) if allowed.contains(&b)))
        };
        if self.in_values == Some(1) || self.in_list {
            return behind(b"(,") && before(b"),");
        }
        let ends = || match next {
            None => true,
            Some(next) => match next.kind {
                Kind::Punctuation(b) => matches!(b, b')' | b',' | b';'),
                Kind::Word => WORDS_AFTER.iter().any(|word| self.is_word(next, word)),
                _ => false,
            },
        };
        match self.place {
            Place::Compared | Place::BetweenSecond | Place::Counted => ends(),
            Place::Between => next.is_some_and(|next| self.is_word(next, "and")),
            _ => false,
        }
    }

    /// A literal's value and the letter of its kind.
    fn value(&self, token: Token, negative: bool) -> Option<(Value, char)> {
        let text = &self.sql[token.start..token.end];
        if token.kind == Kind::Number {
            let is_plain = |digits: &str| {
                digits.bytes().all(|b| b.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'))
            };
            if let Some((whole, decimals)) = text.split_once('.') {
                let is_number = self.in_values == Some(1)
                    && is_plain(whole)
                    && !(whole.is_empty() || decimals.is_empty())
                    && decimals.bytes().all(|b| b.is_ascii_digit());
                let number = if is_number { Decimal::parse(text).ok()? } else { return None };
                return Some((Value::Numeric(if negative { number.negated() } else { number }), 'n'));
            }
            let number: i64 = if is_plain(text) { text.parse().ok()? } else { return None };
            let sign = if negative { -1 } else { 1 };
            return Some(match i32::try_from(number) {
                Ok(number) => (Value::Integer(sign * number), 'i'),
                Err(_) => (Value::BigInt(i64::from(sign) * number), 'b'),
            });
        }
        let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
        Some((Value::Text(inner.replace("''", "'")), 't'))
    }

    fn lift(&mut self, start: usize, end: usize, value: Value, kind: char) -> Option<()> {
        if self.values.len() == LITERALS_MAX {
            return None;
        }
        self.values.push(value);
        self.kinds.push(kind);
        self.out.push_str(&self.sql[self.copied..start]);
        // Writing to a string does not fail.
        let _ = write!(self.out, "${}", self.values.len());
        self.copied = end;
        Some(())
    }

    fn finish(mut self) -> Option<Lifted> {
        if self.values.is_empty() {
            return None;
        }
        self.out.push_str(&self.sql[self.copied..]);
        self.out.push(END);
        self.out.push_str(&self.kinds);
        Some(Lifted { key: self.out, values: self.values })
    }
}

/// Plans a statement for its next execution with other literals, when it has run a second time.
pub(crate) fn remember(context: &Context, lifted: Lifted, result: &StatementResult) -> Result<()> {
    let shared = &context.scope.shared;
    if !context.scope.settings.methods.plan_cache
        || context.txn().has_ddl()
        || !shared.reuse.is_worth_planning(&lifted.key, context.catalog_version())
    {
        return Ok(());
    }
    // The text has run: what does not parse without its literals has no plan.
    let Ok(Some(statement)) = parse::statement(lifted.text()) else { return Ok(()) };
    let Lifted { key, values } = lifted;
    let context = &context.with_parameters(values);
    // What cannot be planned so is planned each time.
    remember_as(context, &key, &statement, result).or(Ok(()))
}

/// Remembers a statement that has run, with parameters, under that text.
pub(crate) fn remember_as(
    context: &Context,
    sql: &str,
    statement: &Statement,
    result: &StatementResult,
) -> Result<()> {
    let columns: Option<&[Column]> = match result {
        StatementResult::Rows(rows) => Some(rows.columns()),
        StatementResult::Command { .. } => None,
    };
    match columns {
        Some(columns) => {
            super::point::remember(context, sql, statement)?;
            super::reuse::keep_with_slots(context, sql, statement, columns)
        }
        None => context.scope.shared.point_writes.remember(context, sql, statement),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lifted(sql: &str) -> Option<(String, String)> {
        let lifted = Lifted::of(sql)?;
        Some((lifted.text().to_owned(), format!("{:?}", lifted.values)))
    }

    #[test]
    fn what_is_compared_set_or_inserted_is_lifted() {
        let (text, values) =
            lifted("SELECT a FROM t WHERE id = 7 AND name = 'it''s' ORDER BY 1 LIMIT 5").unwrap();
        assert_eq!(text, "SELECT a FROM t WHERE id = $1 AND name = $2 ORDER BY 1 LIMIT 5");
        assert_eq!(values, r#"[Integer(7), Text("it's")]"#);
        let (text, _) = lifted("select * from t where a in (1, 2,3) or b between 5 and 6000000000").unwrap();
        assert_eq!(text, "select * from t where a in ($1, $2,$3) or b between $4 and $5");
        let (text, _) =
            lifted("INSERT INTO t (a, b) VALUES (1, 'x'), (2, NULL) ON CONFLICT (a) DO NOTHING").unwrap();
        assert_eq!(text, "INSERT INTO t (a, b) VALUES ($1, $2), ($3, NULL) ON CONFLICT (a) DO NOTHING");
        let (text, values) = lifted("UPDATE t SET n = 5, m = n + -1 WHERE id = 3 AND a + 1 > b;").unwrap();
        assert_eq!(text, "UPDATE t SET n = $1, m = n + $2 WHERE id = $3 AND a + 1 > b;");
        assert_eq!(values, "[Integer(5), Integer(-1), Integer(3)]");
        let (text, values) = lifted("INSERT INTO t VALUES (-2147483648, -3, f(4))").unwrap();
        assert_eq!(text, "INSERT INTO t VALUES ($1, $2, f(4))");
        assert_eq!(values, "[BigInt(-2147483648), Integer(-3)]");
        let (text, _) = lifted("INSERT INTO t VALUES (-1.50, 2 - 3)").unwrap();
        assert_eq!(text, "INSERT INTO t VALUES ($1, 2 - 3)");
        let (text, _) =
            lifted("SELECT a FROM t WHERE a = -1 AND b IN (-1, 2) AND c BETWEEN -5 AND -2").unwrap();
        assert_eq!(text, "SELECT a FROM t WHERE a = $1 AND b IN ($2, $3) AND c BETWEEN $4 AND $5");
        assert_ne!(
            Lifted::of("SELECT 1 FROM t WHERE a = 1").unwrap().key,
            Lifted::of("SELECT 1 FROM t WHERE a = '1'").unwrap().key
        );
    }

    #[test]
    fn everything_else_stays() {
        for sql in [
            "SELECT 1",
            "SELECT a FROM t ORDER BY 1",
            "SELECT a FROM t WHERE a = 1 + 1",
            "SELECT a FROM t WHERE a = -1.5",
            "SELECT a FROM t WHERE a = -1::bigint",
            "SELECT a + 1 FROM t GROUP BY a + 1",
            "UPDATE t SET n = n + 1 + m, s = s || 'x'",
            "UPDATE t SET n = (SELECT m + 1 FROM u)",
            "SELECT a FROM t WHERE a = 1.5",
            "SELECT a FROM t WHERE a = 1::bigint",
            "SELECT a FROM t WHERE a = '1' COLLATE \"C\"",
            "SELECT a FROM t WHERE a = E'x'",
            "SELECT a FROM t WHERE a = 'x' 'y'",
            "SELECT a FROM t WHERE a = 99999999999999999999",
            "SELECT a FROM t WHERE a LIKE 'x%'",
            "SELECT a FROM t WHERE a IN (1 + 1)",
            "SELECT a FROM t WHERE d = date '2026-01-01'",
            "SELECT a FROM t WHERE a = 1 AND b = $1",
            "SELECT a FROM t WHERE f(a) = 1",
            "INSERT INTO t VALUES (1 + 1, 1 - -2, f(3))",
            "CREATE TABLE t (a int CHECK (a > 5))",
            "SELECT a FROM t WHERE a = 1; SELECT 2",
        ] {
            assert_eq!(lifted(sql), None, "{sql}");
        }
    }
}
