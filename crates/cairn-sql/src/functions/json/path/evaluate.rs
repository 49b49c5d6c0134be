//! Runs a path over a value. Predicates have three values; errors inside of them make *unknown*.
//!
//! In lax mode arrays are unwrapped where an item is wanted, items are wrapped where an array is, and what is not
//! there is no error.

use std::cmp::Ordering;

use cairn_types::datetime::Zone;

use super::super::tree::Json;
use super::methods;
use super::parse::{Comparison, Expr, Path, Step};
use crate::Error;

/// Items of a result, or subscripts looked at, at most.
const ITEMS_MAX: usize = 10_000_000;

/// Why a path has no value.
#[derive(Debug)]
pub(super) struct Failure {
    error: Error,
    /// The data's fault, not the path's.
    suppressible: bool,
}

impl Failure {
    pub(super) fn data(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { error: Error::new(sqlstate, message), suppressible: true }
    }

    pub(super) fn of_data(error: Error) -> Self {
        Self { error, suppressible: true }
    }

    pub(super) fn is_suppressible(&self) -> bool {
        self.suppressible
    }

    pub(super) fn into_error(self) -> Error {
        self.error
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, suppressible: false }
    }
}

pub(super) type Items = Result<Vec<Json>, Failure>;

/// The items of a path.
pub(super) fn evaluate(path: &Path, root: &Json, variables: &[(String, Json)], zone: Option<Zone>) -> Items {
    Evaluator { strict: path.strict, root, variables, zone }
        .items(&path.root, &Place { current: root, last: None })
}

struct Evaluator<'v> {
    strict: bool,
    root: &'v Json,
    variables: &'v [(String, Json)],
    /// The zone by which dates and times without one are compared with those that have one.
    zone: Option<Zone>,
}

/// What `@` and `last` mean.
struct Place<'v> {
    current: &'v Json,
    last: Option<i64>,
}

/// The elements of arrays, and what is none.
fn unwrapped(items: Vec<Json>) -> Vec<Json> {
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Json::Array(inner) => out.extend(inner),
            other => out.push(other),
        }
    }
    out
}

impl Evaluator<'_> {
    /// The items of an operand: arrays are unwrapped in lax mode.
    fn operand(&self, expr: &Expr, place: &Place<'_>) -> Items {
        let items = self.items(expr, place)?;
        Ok(if self.strict { items } else { unwrapped(items) })
    }

    fn items(&self, expr: &Expr, place: &Place<'_>) -> Items {
        Ok(match expr {
            Expr::Root => vec![self.root.clone()],
            Expr::Current => vec![place.current.clone()],
            Expr::Last => match place.last {
                Some(last) => vec![Json::Number(last.to_string())],
                None => return Err(Error::internal("last outside of a subscript").into()),
            },
            Expr::Variable(name) => match self.variables.iter().rev().find(|(known, _)| known == name) {
                Some((_, value)) => vec![value.clone()],
                None => {
                    let message = format!("could not find jsonpath variable \"{name}\"");
                    return Err(Error::new("42704", message).into());
                }
            },
            Expr::Null => vec![Json::Null],
            Expr::Boolean(b) => vec![Json::Boolean(*b)],
            Expr::Number(text) => vec![Json::Number(text.clone())],
            Expr::Text(text) => vec![Json::Text(text.clone())],
            Expr::Access(item, step) => {
                let lenient = !self.strict || descends(item);
                let mut out = Vec::new();
                for item in self.items(item, place)? {
                    self.step(item, step, lenient, place, &mut out)?;
                    if out.len() > ITEMS_MAX {
                        return Err(Error::new("54000", "a jsonpath gives too many items").into());
                    }
                }
                out
            }
            Expr::Negate(inner) | Expr::Plus(inner) => {
                let negative = matches!(expr, Expr::Negate(_));
                let sign = if negative { '-' } else { '+' };
                let items = self.operand(inner, place)?.into_iter();
                items
                    .map(|item| match item {
                        Json::Number(text) => {
                            Ok(Json::Number(if negative { methods::negated(&text) } else { text }))
                        }
                        _ => Err(Failure::data(
                            "2203B",
                            format!("operand of unary jsonpath operator {sign} is not a numeric value"),
                        )),
                    })
                    .collect::<Result<_, _>>()?
            }
            Expr::Arithmetic(sign, left, right) => {
                let single = |items: Vec<Json>, side: &str| match <[Json; 1]>::try_from(items) {
                    Ok([Json::Number(text)]) => Ok(text),
                    _ => Err(Failure::data(
                        "22038",
                        format!("{side} operand of jsonpath operator {sign} is not a single numeric value"),
                    )),
                };
                let left = single(self.operand(left, place)?, "left")?;
                let right = single(self.operand(right, place)?, "right")?;
                vec![Json::Number(methods::arithmetic(*sign, &left, &right)?)]
            }
            predicate => vec![match self.predicate(predicate, place)? {
                Some(b) => Json::Boolean(b),
                None => Json::Null,
            }],
        })
    }

    fn step(
        &self,
        item: Json,
        step: &Step,
        lenient: bool,
        place: &Place<'_>,
        out: &mut Vec<Json>,
    ) -> Result<(), Failure> {
        // In lax mode what wants an object or a scalar looks into an array.
        let unwraps = match step {
            Step::Key(_) | Step::AnyKey | Step::Filter(_) => true,
            Step::Method(name, _) => !matches!(name.as_str(), "type" | "size"),
            _ => false,
        };
        if unwraps
            && !self.strict
            && let Json::Array(items) = item
        {
            return items.into_iter().try_for_each(|item| self.step_one(item, step, lenient, place, out));
        }
        self.step_one(item, step, lenient, place, out)
    }

    fn step_one(
        &self,
        item: Json,
        step: &Step,
        lenient: bool,
        place: &Place<'_>,
        out: &mut Vec<Json>,
    ) -> Result<(), Failure> {
        match (step, item) {
            (Step::Key(key), Json::Object(members)) => {
                match members.into_iter().find(|(own, _)| own == key) {
                    Some((_, value)) => out.push(value),
                    None if lenient => {}
                    None => {
                        let message = format!("JSON object does not contain key \"{key}\"");
                        return Err(Failure::data("2203A", message));
                    }
                }
            }
            (Step::AnyKey, Json::Object(members)) => out.extend(members.into_iter().map(|(_, value)| value)),
            (Step::Key(_) | Step::AnyKey, _) if lenient => {}
            (Step::Key(_), _) => {
                return Err(Failure::data(
                    "2203A",
                    "jsonpath member accessor can only be applied to an object",
                ));
            }
            (Step::AnyKey, _) => {
                let message = "jsonpath wildcard member accessor can only be applied to an object";
                return Err(Failure::data("2203C", message));
            }
            (Step::Descend { from, to }, item) => descend(item, 0, *from, to.unwrap_or(u32::MAX), out),
            (Step::AnyElement, Json::Array(items)) => out.extend(items),
            (Step::AnyElement, item) if !self.strict => out.push(item),
            (Step::AnyElement, _) if lenient => {}
            (Step::AnyElement, _) => {
                let message = "jsonpath wildcard array accessor can only be applied to an array";
                return Err(Failure::data("22039", message));
            }
            (Step::Elements(places), Json::Array(items)) => {
                self.elements(&items, places, lenient, place, out)?;
            }
            (Step::Elements(places), item) if !self.strict => {
                self.elements(&[item], places, lenient, place, out)?;
            }
            (Step::Elements(_), _) if lenient => {}
            (Step::Elements(_), _) => {
                return Err(Failure::data(
                    "22039",
                    "jsonpath array accessor can only be applied to an array",
                ));
            }
            (Step::Filter(filter), item) => {
                if self.predicate(filter, &Place { current: &item, last: None })? == Some(true) {
                    out.push(item);
                }
            }
            (Step::Method(name, argument), item) => {
                methods::call(name, argument.as_deref(), item, self.strict, out)?
            }
        }
        Ok(())
    }

    fn elements(
        &self,
        items: &[Json],
        places: &[(Expr, Option<Expr>)],
        lenient: bool,
        place: &Place<'_>,
        out: &mut Vec<Json>,
    ) -> Result<(), Failure> {
        let count = items.len() as i64;
        let inner = Place { current: place.current, last: Some(count - 1) };
        for (from, to) in places {
            let from = self.subscript(from, &inner)?;
            let to = match to {
                Some(to) => self.subscript(to, &inner)?,
                None => from,
            };
            if !lenient && (from < 0 || from > to || to >= count) {
                return Err(Failure::data("22033", "jsonpath array subscript is out of bounds"));
            }
            let (from, to) = (from.max(0), to.min(count - 1));
            if from <= to {
                out.extend_from_slice(&items[from as usize..=to as usize]);
            }
        }
        Ok(())
    }

    fn subscript(&self, expr: &Expr, place: &Place<'_>) -> Result<i64, Failure> {
        match self.items(expr, place)?.as_slice() {
            [Json::Number(text)] => {
                let whole = text.split('.').next().unwrap_or_default();
                let number = whole.parse::<i32>().map_err(|_| {
                    Failure::data("22033", "jsonpath array subscript is out of integer range")
                })?;
                Ok(i64::from(number))
            }
            _ => Err(Failure::data("22033", "jsonpath array subscript is not a single numeric value")),
        }
    }

    /// A predicate: true, false or unknown.
    fn predicate(&self, expr: &Expr, place: &Place<'_>) -> Result<Option<bool>, Failure> {
        Ok(match expr {
            Expr::And(left, right) => match self.predicate(left, place)? {
                Some(false) => Some(false),
                first => match (first, self.predicate(right, place)?) {
                    (_, Some(false)) => Some(false),
                    (Some(true), second) => second,
                    _ => None,
                },
            },
            Expr::Or(left, right) => match self.predicate(left, place)? {
                Some(true) => Some(true),
                first => match (first, self.predicate(right, place)?) {
                    (_, Some(true)) => Some(true),
                    (Some(false), second) => second,
                    _ => None,
                },
            },
            Expr::Not(inner) => self.predicate(inner, place)?.map(|b| !b),
            Expr::IsUnknown(inner) => Some(self.predicate(inner, place)?.is_none()),
            Expr::Exists(inner) => known(self.items(inner, place))?.map(|items| !items.is_empty()),
            Expr::Compare(comparison, left, right) => {
                self.pairs(left, right, place, |a, b| compare(*comparison, a, b, self.zone))?
            }
            Expr::StartsWith(item, prefix) => self.pairs(item, prefix, place, |a, b| match (a, b) {
                (Json::Text(text), Json::Text(prefix)) => Ok(Some(text.starts_with(prefix.as_str()))),
                _ => Ok(None),
            })?,
            Expr::LikeRegex { item, pattern, flags } => {
                let regex = methods::regex(pattern, flags)?;
                self.pairs(item, &Expr::Null, place, |item, _| match item {
                    Json::Text(text) => Ok(Some(regex.is_match(text))),
                    _ => Ok(None),
                })?
            }
            other => match known(self.items(other, place))?.as_deref() {
                Some([Json::Boolean(b)]) => Some(*b),
                _ => None,
            },
        })
    }

    /// Whether a test holds for any pair of items: unknown where it does for none and some were not comparable.
    fn pairs(
        &self,
        left: &Expr,
        right: &Expr,
        place: &Place<'_>,
        test: impl Fn(&Json, &Json) -> Result<Option<bool>, Failure>,
    ) -> Result<Option<bool>, Failure> {
        let Some(left) = known(self.operand(left, place))? else { return Ok(None) };
        let Some(right) = known(self.operand(right, place))? else { return Ok(None) };
        let (mut found, mut unknown) = (false, false);
        for a in &left {
            for b in &right {
                match test(a, b)? {
                    None if self.strict => return Ok(None),
                    None => unknown = true,
                    Some(true) if !self.strict => return Ok(Some(true)),
                    Some(holds) => found |= holds,
                }
            }
        }
        Ok(if found {
            Some(true)
        } else if unknown {
            None
        } else {
            Some(false)
        })
    }
}

/// Errors of the data are *unknown* in a predicate.
fn known(items: Items) -> Result<Option<Vec<Json>>, Failure> {
    match items {
        Ok(items) => Ok(Some(items)),
        Err(failure) if failure.suppressible => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Whether a path has gone through `.**`, behind which nothing needs to be there.
fn descends(expr: &Expr) -> bool {
    let mut at = expr;
    while let Expr::Access(item, step) = at {
        if matches!(step, Step::Descend { .. }) {
            return true;
        }
        at = item;
    }
    false
}

/// `.**`: everything at these depths, `u32::MAX` for what holds nothing more.
fn descend(item: Json, depth: u32, from: u32, to: u32, out: &mut Vec<Json>) {
    let children: Vec<Json> = match &item {
        Json::Array(items) if depth < to => items.clone(),
        Json::Object(members) if depth < to => members.iter().map(|(_, value)| value.clone()).collect(),
        _ => Vec::new(),
    };
    let leaf = !matches!(item, Json::Array(_) | Json::Object(_));
    if depth >= from || from == u32::MAX && leaf {
        out.push(item);
    }
    for child in children {
        descend(child, depth + 1, from, to, out);
    }
}

fn compare(comparison: Comparison, a: &Json, b: &Json, zone: Option<Zone>) -> Result<Option<bool>, Failure> {
    let order = match (a, b) {
        (Json::Null, Json::Null) => Ordering::Equal,
        (Json::Null, _) | (_, Json::Null) => return Ok(Some(comparison == Comparison::NotEqual)),
        (Json::Array(_) | Json::Object(_), _) | (_, Json::Array(_) | Json::Object(_)) => return Ok(None),
        (Json::Boolean(_), Json::Boolean(_))
        | (Json::Number(_), Json::Number(_))
        | (Json::Text(_), Json::Text(_)) => super::compare(a, b)?,
        (Json::Moment(a), Json::Moment(b)) => match a.compare(b, zone)? {
            Some(order) => order,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterEqual => order.is_ge(),
    }))
}
