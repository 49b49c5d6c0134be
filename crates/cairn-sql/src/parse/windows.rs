//! Named windows, written out where they are used: the query engine knows them in the SELECT list alone, and their frames are
//! rewritten where calls are. Bounds of frames lose casts of numbers, which say what the bound says without them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    CastKind, DataType, Expr, Function, Ident, NamedWindowExpr, Query, Select, SetExpr, Value, Visit,
    VisitMut, Visitor, VisitorMut, WindowFrame, WindowFrameBound, WindowSpec, WindowType,
};

use super::lexer::{Kind, Lexer, Token};
use crate::session::variables::fold;
use crate::{Error, Result};

/// Takes `::interval` off the text of a bound, which the parser reads as an interval anyway and then expects its end.
pub(super) fn before_parsing(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().windows(10).any(|word| word.eq_ignore_ascii_case(b"::interval")) {
        return Cow::Borrowed(text);
    }
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let is = |at: usize, word: &str| {
        tokens.get(at).is_some_and(|token| {
            token.kind == Kind::Word && text[token.start..token.end].eq_ignore_ascii_case(word)
        })
    };
    let mut out: Option<String> = None;
    for at in 1..tokens.len() {
        let bounds = is(at, "INTERVAL") && (is(at + 1, "PRECEDING") || is(at + 1, "FOLLOWING"));
        if !bounds {
            continue;
        }
        let (end, mut first) = (tokens[at].end, at);
        while first > 0 && matches!(&text[tokens[first - 1].start..tokens[first - 1].end], ":" | "::") {
            first -= 1;
        }
        if first < at && first > 0 && tokens[first - 1].kind == Kind::Quoted {
            let from = tokens[first].start;
            out.get_or_insert_with(|| text.to_owned()).replace_range(from..end, &" ".repeat(end - from));
        }
    }
    out.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Writes them out in a query.
///
/// # Errors
/// `42704` for windows that are not there, `42P20` for what may not be added to one.
pub(super) fn resolve(query: &mut Query) -> Result<()> {
    if Visit::visit(query, &mut Used).is_continue() {
        return Ok(());
    }
    match VisitMut::visit(query, &mut Written::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Looks for a window.
struct Used;

impl Visitor for Used {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.named_window.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(Function { over: Some(_), .. }) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[derive(Default)]
struct Written {
    /// WINDOW of the queries that are open.
    open: Vec<HashMap<String, WindowSpec>>,
}

fn duplicate(name: &str) -> Error {
    Error::new("42P20", format!("window \"{name}\" is already defined"))
}

fn cannot(what: &str, name: &str) -> Error {
    Error::new("42P20", format!("cannot {what} window \"{name}\""))
}

/// A window that adds to another one.
fn upon(named: &HashMap<String, WindowSpec>, mut spec: WindowSpec) -> Result<WindowSpec> {
    let Some(base) = spec.window_name.take() else { return Ok(spec) };
    let name = fold(&base);
    let base = find(named, &base)?;
    let marked = spec.partition_by.first().is_some_and(super::exclude::is_mark);
    if spec.partition_by.len() > usize::from(marked) {
        return Err(cannot("override PARTITION BY clause of", &name));
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        return Err(cannot("override ORDER BY clause of", &name));
    }
    if base.window_frame.is_some() {
        return Err(Error::new(
            "42P20",
            format!("cannot copy window \"{name}\" because it has a frame clause"),
        ));
    }
    spec.partition_by.extend(base.partition_by.iter().cloned());
    if spec.order_by.is_empty() {
        spec.order_by.clone_from(&base.order_by);
    }
    Ok(spec)
}

fn find<'n>(named: &'n HashMap<String, WindowSpec>, name: &Ident) -> Result<&'n WindowSpec> {
    let name = fold(name);
    named.get(&name).ok_or_else(|| Error::new("42704", format!("window \"{name}\" does not exist")))
}

/// The windows of a SELECT; each may add to those before it.
fn named(select: &mut Select) -> Result<HashMap<String, WindowSpec>> {
    let mut named = HashMap::new();
    for window in std::mem::take(&mut select.named_window) {
        let name = fold(&window.0);
        let spec = match window.1 {
            NamedWindowExpr::WindowSpec(spec) => upon(&named, spec)?,
            NamedWindowExpr::NamedWindow(base) => find(&named, &base)?.clone(),
        };
        if named.insert(name.clone(), spec).is_some() {
            return Err(duplicate(&name));
        }
    }
    Ok(named)
}

/// A bound without the cast of its number.
fn plain(bound: &mut WindowFrameBound) {
    let (WindowFrameBound::Preceding(Some(offset)) | WindowFrameBound::Following(Some(offset))) = bound
    else {
        return;
    };
    let is_number = |ty: &DataType| {
        matches!(
            ty,
            DataType::SmallInt(_)
                | DataType::Int(_)
                | DataType::Integer(_)
                | DataType::BigInt(_)
                | DataType::Int2(_)
                | DataType::Int4(_)
                | DataType::Int8(_)
                | DataType::Float4
                | DataType::Float8
                | DataType::Real
                | DataType::DoublePrecision
                | DataType::Numeric(_)
        )
    };
    while let Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, .. } = &mut **offset
        && is_number(data_type)
        && matches!(&**expr, Expr::Value(value) if matches!(value.value, Value::Number(..)))
    {
        **offset = std::mem::replace(&mut **expr, Expr::Value(Value::Null.into()));
    }
}

fn plain_frame(frame: Option<&mut WindowFrame>) {
    if let Some(frame) = frame {
        plain(&mut frame.start_bound);
        frame.end_bound.as_mut().into_iter().for_each(plain);
    }
}

impl VisitorMut for Written {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let windows = match &mut *query.body {
            SetExpr::Select(select) => named(select),
            _ => Ok(HashMap::new()),
        };
        match windows {
            Ok(windows) => self.open.push(windows),
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<Error> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        // Those of a query's own SELECT are taken already; what is left is a side of a set operation.
        if !select.named_window.is_empty() {
            match (named(select), self.open.last_mut()) {
                (Ok(windows), Some(open)) => *open = windows,
                (Err(error), _) => return ControlFlow::Break(error),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Function(Function { over: Some(over), .. }) = expr else {
            return ControlFlow::Continue(());
        };
        let none = HashMap::new();
        let named = self.open.last().unwrap_or(&none);
        let spec = match over {
            WindowType::NamedWindow(name) => find(named, name).cloned(),
            WindowType::WindowSpec(spec) => upon(named, spec.clone()),
        };
        match spec {
            Ok(mut spec) => {
                plain_frame(spec.window_frame.as_mut());
                *over = WindowType::WindowSpec(spec);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}
