//! Elements of arrays and parts of JSONB as targets: `SET a[2] = …`, `SET j['k'] = …`, `INSERT INTO t (a[1], a[2])`. The parser
//! knows names only: subscripts are carried in a further part of the name that begins with a mark. Of SET they are moved
//! into the value, a call of [`PUT`] with the new value and the subscripts, and the part says only which there are;
//! `dml::composite` puts both together.

use std::borrow::Cow;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, Assignment, AssignmentTarget, Expr, Ident, MergeAction, MergeClause, ObjectName,
    ObjectNamePart, OnConflictAction, OnInsert, Statement, Subscript, VisitMut, VisitorMut,
};

use super::lexer::{Kind, Lexer, Token};
use super::rewrite::call;
use crate::{Error, Result};

/// Begins a part of a name that holds subscripts.
pub(crate) const MARK: &str = "\u{1}subscripts ";
/// Carries a new value and the subscripts of its target.
pub(crate) const PUT: &str = "cairn_put";

/// Writes the subscripts of targets as parts of their names.
pub(crate) fn before_parsing(text: &str) -> Cow<'_, str> {
    if !text.contains('[') {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let targets = Targets { text, tokens: &tokens };
    let mut out = String::new();
    let mut done = 0;
    for (start, end) in targets.subscripts() {
        let (start, end) = (tokens[start].start, tokens[end - 1].end);
        out.push_str(&text[done..start]);
        out.push_str(&format!(".\"{MARK}{}\"", text[start..end].replace('"', "\"\"")));
        done = end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

struct Targets<'t> {
    text: &'t str,
    tokens: &'t [Token],
}

impl Targets<'_> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| {
            token.kind == Kind::Word && self.text[token.start..token.end].eq_ignore_ascii_case(word)
        })
    }

    fn is_mark(&self, at: usize, byte: u8) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Punctuation(byte))
    }

    fn is_name(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| match token.kind {
            Kind::Word => true,
            Kind::Quoted => self.text[token.start..].starts_with('"'),
            _ => false,
        })
    }

    fn is_equals(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| &self.text[token.start..token.end] == "=")
    }

    /// Behind the bracket that opens there.
    fn behind(&self, at: usize) -> Option<usize> {
        let mut depth = 0usize;
        for (at, token) in self.tokens.iter().enumerate().skip(at) {
            match token.kind {
                Kind::Punctuation(b'(' | b'[' | b'{') => depth += 1,
                Kind::Punctuation(b')' | b']' | b'}') => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The subscripts of the target that begins there, and what follows it; `None` where there is none.
    fn target(&self, start: usize) -> Option<(Vec<(usize, usize)>, usize)> {
        let mut found = Vec::new();
        let mut at = start;
        if !self.is_name(at) {
            return None;
        }
        at += 1;
        loop {
            if self.is_mark(at, b'.') && self.is_name(at + 1) {
                at += 2;
            } else if self.is_mark(at, b'[') {
                let first = at;
                while self.is_mark(at, b'[') {
                    at = self.behind(at)?;
                }
                found.push((first, at));
            } else {
                return Some((found, at));
            }
        }
    }

    /// The subscripts of all targets, as tokens from and to.
    fn subscripts(&self) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut depth = 0usize;
        // How deep the list of SET lies that is open.
        let mut lists: Vec<usize> = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            match self.tokens[at].kind {
                Kind::Punctuation(b'(' | b'[' | b'{') => depth += 1,
                Kind::Punctuation(b')' | b']' | b'}') => {
                    depth = depth.saturating_sub(1);
                    lists.retain(|list| *list <= depth);
                }
                _ => {}
            }
            let begins = self.is(at, "set");
            if begins && lists.last() != Some(&depth) {
                lists.push(depth);
            }
            if ["from", "where", "returning"].iter().any(|word| self.is(at, word))
                && lists.last() == Some(&depth)
            {
                lists.pop();
            }
            if begins || self.is_mark(at, b',') && lists.last() == Some(&depth) {
                if self.is_mark(at + 1, b'(') {
                    if let Some(list) = self.list(at + 1).filter(|(_, end)| self.is_equals(*end)) {
                        found.extend(list.0);
                    }
                } else if let Some((own, end)) = self.target(at + 1)
                    && self.is_equals(end)
                {
                    found.extend(own);
                }
            }
            if self.is(at, "into")
                && let Some((own, mut end)) = self.target(at + 1)
                && own.is_empty()
            {
                if self.is(end, "as") {
                    end += 1;
                }
                let listed = if self.is_mark(end, b'(') { end } else { end + 1 };
                if let Some((own, _)) = self.list(listed) {
                    found.extend(own);
                }
            }
            at += 1;
        }
        found
    }

    /// The subscripts in a list of targets, and what follows it.
    fn list(&self, open: usize) -> Option<(Vec<(usize, usize)>, usize)> {
        let mut found = Vec::new();
        let mut at = open;
        if !self.is_mark(at, b'(') {
            return None;
        }
        loop {
            let (own, end) = self.target(at + 1)?;
            found.extend(own);
            at = end;
            if self.is_mark(at, b')') {
                return Some((found, at + 1));
            }
            if !self.is_mark(at, b',') {
                return None;
            }
        }
    }
}

/// The subscripts that a part of a name carries; `None` where it is a name.
///
/// # Errors
/// `42601` where they are none.
pub(crate) fn carried(part: &Ident) -> Result<Option<Vec<Subscript>>> {
    let Some(text) = part.value.strip_prefix(MARK) else { return Ok(None) };
    let Expr::CompoundFieldAccess { access_chain, .. } =
        crate::dml::default::parse_expr(&format!("(x){text}"))?
    else {
        return Err(Error::new("42601", format!("syntax error at or near \"{text}\"")));
    };
    let subscripts = access_chain.into_iter().map(|access| match access {
        AccessExpr::Subscript(subscript) => Ok(subscript),
        AccessExpr::Dot(_) => Err(Error::new("42601", format!("syntax error at or near \"{text}\""))),
    });
    subscripts.collect::<Result<_>>().map(Some)
}

/// Moves the subscripts of SET into the values.
///
/// # Errors
/// `42601` for subscripts that are none.
pub(crate) fn unpack(statement: &mut Statement) -> Result<()> {
    match statement.visit(&mut Statements) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Statements;

impl VisitorMut for Statements {
    type Break = Error;

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Error> {
        unpack_one(statement).map_or_else(ControlFlow::Break, ControlFlow::Continue)
    }
}

fn unpack_one(statement: &mut Statement) -> Result<()> {
    match statement {
        Statement::Update(update) => all(&mut update.assignments),
        Statement::Insert(insert) => match &mut insert.on {
            Some(OnInsert::OnConflict(conflict)) => match &mut conflict.action {
                OnConflictAction::DoUpdate(update) => all(&mut update.assignments),
                OnConflictAction::DoNothing => Ok(()),
            },
            _ => Ok(()),
        },
        Statement::Merge(merge) => {
            merge.clauses.iter_mut().try_for_each(|clause: &mut MergeClause| match &mut clause.action {
                MergeAction::Update(update) => all(&mut update.assignments),
                _ => Ok(()),
            })
        }
        _ => Ok(()),
    }
}

fn all(assignments: &mut [Assignment]) -> Result<()> {
    assignments.iter_mut().try_for_each(|assignment| match &mut assignment.target {
        AssignmentTarget::ColumnName(name) => {
            let (shape, subscripts) = taken(name)?;
            if !subscripts.is_empty() {
                let mut arguments = vec![super::rewrite::take(&mut assignment.value)];
                arguments.extend(subscripts);
                assignment.value = call(PUT, arguments);
                *name = shape;
            }
            Ok(())
        }
        AssignmentTarget::Tuple(_) => Ok(()),
    })
}

/// A name whose parts say which subscripts there are, and the subscripts.
fn taken(name: &ObjectName) -> Result<(ObjectName, Vec<Expr>)> {
    let mut shape = Vec::with_capacity(name.0.len());
    let mut all = Vec::new();
    for part in &name.0 {
        let ObjectNamePart::Identifier(ident) = part else {
            shape.push(part.clone());
            continue;
        };
        let Some(subscripts) = carried(ident)? else {
            shape.push(part.clone());
            continue;
        };
        let mut form = String::from(MARK);
        for subscript in subscripts {
            let mut place = |expr: Option<Expr>| match expr {
                Some(expr) => {
                    all.push(expr);
                    format!("\"{PUT} {}\"", all.len())
                }
                None => String::new(),
            };
            form.push_str(&match subscript {
                Subscript::Index { index } => format!("[{}]", place(Some(index))),
                Subscript::Slice { lower_bound, upper_bound, .. } => {
                    format!("[{}:{}]", place(lower_bound), place(upper_bound))
                }
            });
        }
        shape.push(ObjectNamePart::Identifier(Ident::with_quote('"', form)));
    }
    Ok((ObjectName(shape), all))
}

/// A subscript of a target of SET in place of which the value holds the real one.
pub(crate) fn held(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Identifier(ident) => {
            ident.value.strip_prefix(PUT)?.trim().parse::<usize>().ok()?.checked_sub(1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscripts_of_targets_are_carried() {
        let mark = |text: &str| text.replace('<', &format!(".\"{MARK}")).replace('>', "\"");
        for (given, wanted) in [
            ("UPDATE t SET a[1] = b[2]", "UPDATE t SET a<[1]> = b[2]"),
            (
                "UPDATE t SET x = f(a[1], b[2] = 3), a[1:2] = 3",
                "UPDATE t SET x = f(a[1], b[2] = 3), a<[1:2]> = 3",
            ),
            ("UPDATE t SET a[1][2].f = 3 WHERE b[1] = 2", "UPDATE t SET a<[1][2]>.f = 3 WHERE b[1] = 2"),
            ("INSERT INTO t (a[1], b) VALUES (a[1])", "INSERT INTO t (a<[1]>, b) VALUES (a[1])"),
        ] {
            assert_eq!(before_parsing(given), mark(wanted));
        }
        for same in
            ["SELECT a[1] INTO t FROM b", "SELECT ARRAY[1] = a", "INSERT INTO t SELECT a[1], b[2] = 3"]
        {
            assert_eq!(before_parsing(same), same);
        }
    }
}
