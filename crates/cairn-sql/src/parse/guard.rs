//! Counts, before parsing, whatever would make the parser, the planner or a destructor recurse too deep or
//! plan too long, and refuses it. One pass over the tokens, no recursion, no allocation but a stack of
//! counters: 16 MiB of anything take well under a second.
//!
//! What is counted, each since the last comma or clause word of the same bracket, and summed over the open
//! brackets: operators (a chain of n makes a tree n deep), AND/OR (long chains are rebuilt balanced by
//! `parse::balance`, hence their own, wider limit), set operations, joins, and brackets and CASE themselves.
//!
//! I1: a text that passes makes a tree at most `DEPTH_MAX + OPERATORS_MAX + LOGICAL_MAX` deep, for
//! which the stacks of `runtime` have room.

use super::lexer::{Kind, Lexer};
use crate::{Error, Result};

/// Longest statement, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 64 << 20;
/// Tokens in an INSERT.
pub const INSERT_TOKENS_MAX: usize = 4_500_000;
/// Tokens in any other statement.
pub const TOKENS_MAX: usize = 500_000;
/// Nested brackets and CASEs.
pub const DEPTH_MAX: usize = 256;
/// Operators other than AND and OR in one expression.
pub const OPERATORS_MAX: usize = 256;
/// ORs in one expression.
pub const LOGICAL_MAX: usize = 10_000;
/// ANDs in one expression: each is a condition of its own to the planner.
pub const ANDS_MAX: usize = 2_000;
/// Parts of a qualified name.
const NAME_PARTS_MAX: usize = 32;
/// UNIONs of one query.
pub const UNIONS_MAX: usize = 10_000;
/// INTERSECTs and EXCEPTs of one query, and UNIONs one of which is ALL and the next one is not.
pub const SET_OPERATIONS_MAX: usize = 1_000;
/// Joins of one FROM.
pub const JOINS_MAX: usize = 128;
/// Repetitions of one word on end.
const REPEATS_MAX: usize = 256;

#[derive(Default, Clone, Copy)]
struct Frame {
    operators: usize,
    logical: usize,
    ands: usize,
    unions: usize,
    set_operations: usize,
    joins: usize,
    /// Not ended by AND, which belongs to them.
    betweens: usize,
    case: bool,
}

/// Refuses a statement that is too long (`54000`) or too deep (`54001`).
///
/// # Errors
/// `54001` `stack depth limit exceeded` with what was too deep in the detail.
pub fn check(text: &str) -> Result<()> {
    if text.len() > STATEMENT_BYTES_MAX {
        return Err(Error::new("54000", "statement is too long")
            .with_detail(format!("The limit is {STATEMENT_BYTES_MAX} bytes.")));
    }
    let mut counter = Counter::default();
    let mut tokens_max = TOKENS_MAX;
    for (tokens, token) in Lexer::new(text).enumerate() {
        if tokens == 0 && text[token.start..token.end].eq_ignore_ascii_case("INSERT") {
            tokens_max = INSERT_TOKENS_MAX;
        }
        if tokens > tokens_max {
            return Err(Error::new("54001", "statement too complex")
                .with_detail(format!("It has more than {tokens_max} tokens."))
                .with_hint("Use COPY to load many rows, and a join with a table instead of a long list."));
        }
        counter.token(token.kind, &text.as_bytes()[token.start..token.end])?;
    }
    Ok(())
}

/// Refuses the character with which names of our own making begin, strings aside: whoever could say such a name would read
/// rows past all privileges. A text that we have changed ourselves may have it.
///
/// # Errors
/// `42602`.
pub(crate) fn refuse_marks(text: &str) -> Result<()> {
    const MARK: u8 = 1;
    if !text.as_bytes().contains(&MARK) {
        return Ok(());
    }
    let is_string = |own: &[u8]| own.first() == Some(&b'$') || own.last() == Some(&b'\'');
    let marked = Lexer::new(text).any(|token| {
        let own = &text.as_bytes()[token.start..token.end];
        own.contains(&MARK) && !(token.kind == Kind::Quoted && is_string(own))
    });
    match marked {
        true => Err(Error::new("42602", "a name cannot have the character U+0001 in it")),
        false => Ok(()),
    }
}

#[derive(Default)]
struct Counter {
    frames: Vec<Frame>,
    current: Frame,
    /// Sums over the frames below the current one.
    operators_below: usize,
    logical_below: usize,
    last_word: u64,
    repeats: usize,
    dots: usize,
}

impl Counter {
    fn token(&mut self, kind: Kind, text: &[u8]) -> Result<()> {
        match kind {
            Kind::Punctuation(b'.') => self.dots += 1,
            Kind::Word | Kind::Quoted => {}
            _ => self.dots = 0,
        }
        if self.dots > NAME_PARTS_MAX {
            return Err(too_deep(format!("A name has more than {NAME_PARTS_MAX} parts.")));
        }
        match kind {
            Kind::Word => self.word(text),
            Kind::Operator => {
                self.current.operators += 1;
                self.bound()
            }
            Kind::Punctuation(b'(' | b'[' | b'{') => self.open(false),
            Kind::Punctuation(b')' | b']' | b'}') => {
                while self.current.case {
                    self.close();
                }
                self.close();
                // `a[1][1]…` and `f(…)(…)` nest without an operator.
                self.current.operators += 1;
                self.bound()
            }
            Kind::Punctuation(b',' | b';') => {
                self.reset();
                Ok(())
            }
            _ => {
                self.repeats = 0;
                self.last_word = 0;
                Ok(())
            }
        }
    }

    fn word(&mut self, text: &[u8]) -> Result<()> {
        let mut upper = [0u8; 16];
        if text.len() > upper.len() {
            self.repeats = 0;
            return Ok(());
        }
        for (to, from) in upper.iter_mut().zip(text) {
            *to = from.to_ascii_uppercase();
        }
        let word = &upper[..text.len()];
        self.repeated(word)?;
        match word {
            b"CASE" => self.open(true)?,
            b"END" if self.current.case => self.close(),
            b"AND" | b"OR" | b"XOR" => {
                // Ends an operand.
                self.current.logical += 1;
                self.current.ands += usize::from(word == b"AND");
                self.current.operators = 0;
            }
            b"BETWEEN" => {
                self.current.betweens += 1;
                self.current.operators += 1;
            }
            b"NOT" | b"IS" | b"LIKE" | b"ILIKE" | b"SIMILAR" | b"COLLATE" | b"AT" | b"IN" | b"ISNULL"
            | b"NOTNULL" | b"OPERATOR" | b"DIV" | b"REGEXP" | b"RLIKE" | b"OVERLAPS" | b"PRIOR"
            | b"INTERVAL" | b"EXISTS" | b"ANY" | b"ALL" | b"EXPLAIN" | b"PREPARE" => {
                self.current.operators += 1;
            }
            b"UNION" => {
                self.current.unions += 1;
                self.reset();
            }
            b"EXCEPT" | b"INTERSECT" | b"MINUS" => {
                self.current.set_operations += 1;
                self.reset();
            }
            b"JOIN" => {
                self.current.joins += 1;
                self.reset();
            }
            b"SELECT" => {
                self.current.joins = 0;
                self.reset();
            }
            b"FROM" | b"WHERE" | b"GROUP" | b"HAVING" | b"ORDER" | b"LIMIT" | b"WHEN" | b"THEN" | b"ELSE"
            | b"ON" | b"VALUES" | b"SET" | b"AS" => self.reset(),
            _ => return Ok(()),
        }
        self.bound()
    }

    fn repeated(&mut self, word: &[u8]) -> Result<()> {
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for byte in word {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.repeats = if hash == self.last_word { self.repeats + 1 } else { 0 };
        self.last_word = hash;
        if self.repeats > REPEATS_MAX {
            return Err(too_deep(format!("A word is repeated more than {REPEATS_MAX} times.")));
        }
        Ok(())
    }

    fn open(&mut self, case: bool) -> Result<()> {
        if self.frames.len() >= DEPTH_MAX {
            return Err(too_deep(format!("Brackets and CASE nest deeper than {DEPTH_MAX}.")));
        }
        self.operators_below += self.current.operators;
        self.logical_below += self.current.logical;
        self.frames.push(self.current);
        self.current = Frame { case, ..Frame::default() };
        Ok(())
    }

    fn close(&mut self) {
        self.current = self.frames.pop().unwrap_or_default();
        self.operators_below = self.operators_below.saturating_sub(self.current.operators);
        self.logical_below = self.logical_below.saturating_sub(self.current.logical);
    }

    /// A new expression begins in this bracket.
    fn reset(&mut self) {
        self.current.operators = 0;
        self.current.logical = 0;
        self.current.ands = 0;
        self.current.betweens = 0;
        self.repeats = 0;
        self.last_word = 0;
    }

    fn bound(&self) -> Result<()> {
        let operators = self.operators_below + self.current.operators;
        if operators > OPERATORS_MAX || self.current.betweens > OPERATORS_MAX {
            return Err(too_deep(format!("An expression has more than {OPERATORS_MAX} chained operators.")));
        }
        if self.logical_below + self.current.logical > LOGICAL_MAX {
            return Err(too_deep(format!("An expression has more than {LOGICAL_MAX} ANDs and ORs.")));
        }
        if self.current.ands.saturating_sub(self.current.betweens) > ANDS_MAX {
            return Err(too_deep(format!("An expression has more than {ANDS_MAX} ANDs.")));
        }
        if self.current.unions > UNIONS_MAX {
            return Err(too_deep(format!("A query has more than {UNIONS_MAX} UNIONs.")));
        }
        if self.current.set_operations > SET_OPERATIONS_MAX {
            return Err(too_deep(format!("A query has more than {SET_OPERATIONS_MAX} set operations.")));
        }
        if self.current.joins > JOINS_MAX {
            return Err(too_deep(format!("A FROM has more than {JOINS_MAX} joins.")));
        }
        Ok(())
    }
}

fn too_deep(detail: String) -> Error {
    Error::new("54001", "stack depth limit exceeded")
        .with_detail(detail)
        .with_hint("Simplify the statement or split it.")
}
