//! Data-modifying statements in WITH: `WITH gone AS (DELETE … RETURNING *) INSERT INTO archive SELECT * FROM gone`.
//!
//! ```text
//!   statement ─ what it names ─→ those CTEs run, each once ─→ rows in their place ─→ statement ─→ CTEs that nobody named
//! ```
//! As in PostgreSQL, the statement around runs before the CTEs that it does not read, and these run last to first.
//!
//! I1. All parts read the snapshot with which the whole began, so they see each other's effects in RETURNING only.
//! I2. A row that one part has changed is passed over by the others ([`Context::is_modified`]).
//! I3. Each part runs to its end, whether its rows are read or not.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::datasource::MemTable;
use sqlparser::ast::{
    CopySource, Cte, Delete, FromTable, ObjectName, Query, SelectItem, SetExpr, Statement, TableFactor,
    TableObject, TableWithJoins, UpdateTableFromKind, Visit, Visitor, With,
};

use super::relations::empty_query;
use crate::context::Context;
use crate::query::lock::source_query;
use crate::results::{Results, StatementResult};
use crate::session::variables::fold;
use crate::{Error, Result, parse};

/// The statement of DML that a query is, with the WITH before it.
pub(crate) fn change(query: &Query) -> Option<(Option<&With>, &Statement)> {
    Some((query.with.as_ref(), inner(query)?))
}

/// Whether a CTE changes data.
pub(crate) fn modifies(cte: &Cte) -> bool {
    matches!(
        *cte.query.body,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
    )
}

/// The statement's WITH, where a CTE in it changes data.
fn modifying(statement: &Statement) -> Option<(&Query, &With)> {
    let Statement::Query(query) = statement else { return None };
    let with = query.with.as_ref()?;
    with.cte_tables.iter().any(modifies).then_some((query, with))
}

/// The statements of DML in the WITH of a statement.
pub(crate) fn statements(statement: &Statement) -> impl Iterator<Item = &Statement> {
    let ctes = modifying(statement).map_or(&[][..], |(_, with)| with.cte_tables.as_slice());
    ctes.iter().filter_map(|cte| inner(&cte.query))
}

fn inner(query: &Query) -> Option<&Statement> {
    match &*query.body {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => Some(statement),
        _ => None,
    }
}

/// Runs a statement whose WITH changes data; `None` for any other.
///
/// # Errors
/// `0A000` where a CTE without RETURNING is read, and for MERGE in WITH; `42P19`; those of the parts.
pub(crate) fn run(context: &Context, statement: &Statement) -> Result<Option<StatementResult>> {
    let Some((query, with)) = modifying(statement) else { return Ok(None) };
    if !query.locks.is_empty() {
        return Err(Error::unsupported("FOR UPDATE with a data-modifying statement in WITH"));
    }
    context.require_writable(match &*query.body {
        SetExpr::Insert(_) => "INSERT",
        SetExpr::Update(_) => "UPDATE",
        SetExpr::Delete(_) => "DELETE",
        SetExpr::Merge(_) => "MERGE",
        _ => "SELECT",
    })?;
    let context = context.on_one_snapshot()?;
    let mut work = Work { context: &context, with, parts: vec![Part::Waiting; with.cte_tables.len()] };
    work.check()?;
    let mut body = Query { with: None, ..query.clone() };
    body.with = work.prefix(&Statement::Query(Box::new(body.clone())), None)?;
    let result = match inner(&body) {
        Some(statement) => super::with_prefix(&context, body.with.as_ref(), statement)?,
        None => {
            let rows = context.run(context.plan_query(&body)?)?;
            let schema = Arc::clone(rows.schema());
            StatementResult::Rows(Results::from_batches(schema, rows.collect()?))
        }
    };
    for at in (0..with.cte_tables.len()).rev().filter(|at| modifies(&with.cte_tables[*at])) {
        work.ensure(at)?;
    }
    Ok(Some(result))
}

/// What has become of a CTE.
#[derive(Clone)]
enum Part {
    Waiting,
    Running,
    /// Run; where it gave rows, the query that gives them again.
    Done(Option<Box<Query>>),
}

struct Work<'w> {
    context: &'w Context,
    with: &'w With,
    parts: Vec<Part>,
}

impl Work<'_> {
    /// Refuses what PostgreSQL refuses before anything runs.
    fn check(&self) -> Result<()> {
        for (at, cte) in self.with.cte_tables.iter().enumerate() {
            let Some(statement) = inner(&cte.query) else { continue };
            if matches!(statement, Statement::Merge(_)) {
                return Err(Error::new("0A000", "MERGE not supported in WITH query"));
            }
            let name = fold(&cte.alias.name);
            if self.with.recursive && names_in(statement).contains(&name) && reads_itself(statement, &name) {
                return Err(Error::new(
                    "42P19",
                    format!("recursive query \"{name}\" must not contain data-modifying statements"),
                ));
            }
            let earlier = &self.with.cte_tables[..at];
            if earlier.iter().any(|other| fold(&other.alias.name) == name) {
                return Err(Error::new(
                    "42712",
                    format!("WITH query name \"{name}\" specified more than once"),
                ));
            }
        }
        Ok(())
    }

    /// Runs a CTE, and before it those that it reads.
    fn ensure(&mut self, at: usize) -> Result<()> {
        if !matches!(self.parts[at], Part::Waiting) {
            return Ok(());
        }
        self.parts[at] = Part::Running;
        let cte = &self.with.cte_tables[at];
        let mut query = cte.query.clone();
        let prefix = self.prefix(&Statement::Query(query.clone()), Some(at))?;
        let rows = match inner(&query) {
            Some(statement) => match super::with_prefix(self.context, prefix.as_ref(), statement)? {
                StatementResult::Rows(rows) => Some(rows),
                StatementResult::Command { .. } => None,
            },
            None => {
                let own = Cte { query, ..cte.clone() };
                query = Box::new(all_of(&own)?);
                let mut with = prefix.unwrap_or_else(|| self.empty());
                with.cte_tables.push(own);
                query.with = Some(with);
                Some(self.context.run(self.context.plan_query(&query)?)?)
            }
        };
        self.parts[at] = Part::Done(match rows {
            Some(rows) => {
                let schema = Arc::clone(rows.schema());
                let table = Arc::new(MemTable::try_new(schema, vec![rows.collect()?])?);
                Some(Box::new(source_query(&self.context.add_source(table))?))
            }
            None => None,
        });
        Ok(())
    }

    fn empty(&self) -> With {
        With { cte_tables: Vec::new(), ..self.with.clone() }
    }

    /// The WITH for a part: the CTEs that it names, their rows in place of their queries.
    fn prefix(&mut self, part: &Statement, own: Option<usize>) -> Result<Option<With>> {
        let named = names_in(part);
        let visible = match own {
            Some(at) if !self.with.recursive => at,
            _ => self.with.cte_tables.len(),
        };
        let mut prefix = self.empty();
        prefix.recursive = own.is_some_and(|at| !modifies(&self.with.cte_tables[at])) && self.with.recursive;
        for at in (0..visible).filter(|at| own != Some(*at)) {
            let cte = &self.with.cte_tables[at];
            if !named.contains(&fold(&cte.alias.name)) {
                continue;
            }
            self.ensure(at)?;
            match &self.parts[at] {
                Part::Done(Some(query)) => {
                    prefix.cte_tables.push(Cte { query: query.clone(), ..cte.clone() });
                }
                Part::Done(None) => {
                    let name = fold(&cte.alias.name);
                    return Err(Error::new(
                        "0A000",
                        format!("WITH query \"{name}\" does not have a RETURNING clause"),
                    ));
                }
                Part::Waiting | Part::Running => {
                    return Err(Error::unsupported("mutual recursion between WITH items"));
                }
            }
        }
        Ok((!prefix.cte_tables.is_empty()).then_some(prefix))
    }
}

/// `SELECT * FROM` a CTE.
fn all_of(cte: &Cte) -> Result<Query> {
    let mut query = empty_query()?;
    let select = super::relations::select_of(&mut query)?;
    select.projection.push(SelectItem::Wildcard(Default::default()));
    let name = ObjectName::from(vec![cte.alias.name.clone()]);
    let relation = super::relations::table_factor(name, &fold(&cte.alias.name))?;
    select.from.push(TableWithJoins { relation, joins: Vec::new() });
    Ok(query)
}

/// The bare names of relations in a statement.
fn names_in(statement: &Statement) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
            if let [part] = name.0.as_slice()
                && let Some(ident) = part.as_ident()
            {
                self.0.push(fold(ident));
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    // It never breaks off.
    let _ = statement.visit(&mut names);
    names.0
}

/// Whether a statement names `name` elsewhere than as the table that it changes.
fn reads_itself(statement: &Statement, name: &str) -> bool {
    let times = names_in(statement).iter().filter(|found| *found == name).count();
    times > usize::from(changed_name(statement).is_some_and(|target| last(target) == name))
}

fn last(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default()
}

/// The table that a statement of DML changes.
pub(crate) fn changed_name(statement: &Statement) -> Option<&ObjectName> {
    let factor = match statement {
        Statement::Insert(insert) => {
            return match &insert.table {
                TableObject::TableName(name) => Some(name),
                _ => None,
            };
        }
        Statement::Update(update) => &update.table.relation,
        Statement::Delete(Delete { from, .. }) => {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = from;
            &from.first()?.relation
        }
        Statement::Merge(merge) => &merge.table,
        Statement::Copy { source: CopySource::Table { table_name, .. }, to: false, .. } => {
            return Some(table_name);
        }
        _ => return None,
    };
    match factor {
        TableFactor::Table { name, .. } => Some(name),
        _ => None,
    }
}

/// The statement with queries of the same columns, which change nothing and give nothing, in place of its CTEs that
/// change data: for who only wants to know what it gives.
pub(crate) fn described(statement: &Statement) -> Result<Option<Statement>> {
    let Some((query, _)) = modifying(statement) else { return Ok(None) };
    let mut query = query.clone();
    for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
        let Some(statement) = inner(&cte.query) else { continue };
        let tables =
            |list: &[TableWithJoins]| -> String { list.iter().map(|table| format!(", {table}")).collect() };
        let (items, from) = match statement {
            Statement::Insert(insert) => {
                let alias =
                    insert.table_alias.as_ref().map_or_else(String::new, |a| format!(" AS {}", a.alias));
                (&insert.returning, format!("{}{alias}", insert.table))
            }
            Statement::Update(update) => {
                let more = match &update.from {
                    Some(UpdateTableFromKind::AfterSet(from)) => tables(from),
                    _ => String::new(),
                };
                (&update.returning, format!("{}{more}", update.table))
            }
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                let more = tables(delete.using.as_deref().unwrap_or_default());
                (&delete.returning, format!("{}{more}", tables(from).trim_start_matches(", ")))
            }
            _ => return Ok(None),
        };
        let list = match items {
            Some(items) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            None => "1".to_owned(),
        };
        let text = format!("SELECT {list} FROM {from} WHERE false");
        let Statement::Query(rows) = parse::parse_text(&text)? else {
            return Err(Error::internal("a query was expected"));
        };
        cte.query = rows;
    }
    Ok(Some(Statement::Query(Box::new(query))))
}
