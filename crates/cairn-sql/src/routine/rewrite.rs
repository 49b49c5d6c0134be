//! Calls of functions in SQL, said so that the planner knows them: a function in FROM becomes a lateral subquery over the
//! list of its rows, arguments with names get their places, a set in a select list is unnested.

use std::ops::ControlFlow;

use cairn_engine::Catalog;
use cairn_engine::catalog::{Returns, RoutineDescriptor, RoutineKind};
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Select,
    SelectItem, Statement, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::{columns, function, gives_rows, is_set, named};
use crate::context::Context;
use crate::dml::default::parse_expr;
use crate::parse;
use crate::session::variables::fold;
use crate::{Error, Result};

/// Rewrites the calls of a query.
///
/// # Errors
/// `42883`, `42725`, `0A000`; `42809` for a procedure.
pub(crate) fn query(context: &Context, catalog: &Catalog, query: &mut Query) -> Result<()> {
    match query.visit(&mut Calls { context, catalog, any: catalog.routines().next().is_some() }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

pub(super) struct Calls<'c> {
    pub(super) context: &'c Context,
    pub(super) catalog: &'c Catalog,
    /// Whether there are functions in SQL at all.
    any: bool,
}

impl Calls<'_> {
    pub(super) fn routines(&self, name: &ObjectName) -> Vec<std::sync::Arc<RoutineDescriptor>> {
        if !self.any {
            return Vec::new();
        }
        let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(fold).collect();
        match parts.as_slice() {
            [name] => named(self.context, self.catalog, None, name),
            [schema, name] => named(self.context, self.catalog, Some(schema), name),
            _ => Vec::new(),
        }
    }

    fn factor(&self, factor: &mut TableFactor) -> Result<()> {
        if self.rows_from(factor)? {
            return Ok(());
        }
        let (name, args, alias) = match &*factor {
            TableFactor::Table { name, args: Some(args), alias, .. } => (name, &args.args, alias),
            TableFactor::Function { name, args, alias, .. } => (name, args, alias),
            _ => return Ok(()),
        };
        let routines = self.routines(name);
        if routines.is_empty() {
            return Ok(());
        }
        let mut args = args.clone();
        self.place(&routines, &mut args)?;
        if !routines.iter().any(|routine| takes(routine, args.len())) {
            // The planner says what is wrong.
            return Ok(());
        }
        let first = &self.chosen(&routines, args.len())?;
        let shape = columns(self.catalog, first)?;
        let scalar = !gives_rows(first);
        let own = alias.as_ref().map_or_else(|| first.name.clone(), |alias| fold(&alias.name));
        let mut items = Vec::with_capacity(shape.len());
        for (at, (column, _)) in shape.iter().enumerate() {
            let column = if scalar && !matches!(first.returns, Returns::Rows { .. }) { &own } else { column };
            let member = function::member(at);
            items.push(format!("get_field(item, '{member}') AS {}", parse::names::exact(column)));
        }
        let list: Vec<String> = args.iter().map(ToString::to_string).collect();
        let text = format!(
            "SELECT {} FROM (SELECT unnest({}({})) AS item) AS cairn_set",
            items.join(", "),
            rows_name(name),
            list.join(", ")
        );
        let alias = alias.clone().unwrap_or_else(|| TableAlias {
            explicit: true,
            name: Ident::with_quote('"', &first.name),
            columns: Vec::new(),
            at: None,
        });
        let Statement::Query(subquery) = parse::parse_text(&text)? else {
            return Err(Error::internal("a set is no query"));
        };
        let lateral = args.iter().any(parse::sets::has_columns);
        *factor = TableFactor::Derived { lateral, subquery, alias: Some(alias), sample: None };
        Ok(())
    }

    /// The function that a call with so many arguments means; all that may be meant give the same columns.
    pub(super) fn chosen(
        &self,
        routines: &[std::sync::Arc<RoutineDescriptor>],
        given: usize,
    ) -> Result<std::sync::Arc<RoutineDescriptor>> {
        let fitting: Vec<_> = routines.iter().filter(|routine| takes(routine, given)).collect();
        let Some(first) = fitting.first() else {
            return Err(crate::functions::missing::error(
                &routines[0].name,
                &vec!["unknown".to_owned(); given],
            ));
        };
        refuse_procedure(first)?;
        let shape = columns(self.catalog, first)?;
        for other in &fitting {
            if columns(self.catalog, other)? != shape {
                return Err(Error::unsupported(format!(
                    "function {} in FROM, of which there are several that give other columns",
                    first.name
                )));
            }
        }
        Ok(std::sync::Arc::clone(first))
    }

    fn call(&self, expr: &mut Expr) -> Result<()> {
        let Expr::Function(call) = expr else { return Ok(()) };
        let routines = self.routines(&call.name);
        if routines.is_empty() {
            return Ok(());
        }
        let FunctionArguments::List(list) = &mut call.args else { return Ok(()) };
        if call.over.is_some() || call.filter.is_some() || list.duplicate_treatment.is_some() {
            let name = &routines[0].name;
            return Err(Error::new(
                "42809",
                format!("OVER, FILTER or DISTINCT specified, but {name} is not an aggregate function"),
            ));
        }
        self.place(&routines, &mut list.args)?;
        let Some(first) = routines.iter().find(|routine| takes(routine, list.args.len())) else {
            return Ok(());
        };
        refuse_procedure(first)?;
        if !is_set(first) {
            return Ok(());
        }
        let args: Vec<String> = list.args.iter().map(ToString::to_string).collect();
        if gives_rows(first) {
            let name = named_with(function::VALUES, &call.name);
            *expr = parse_expr(&format!("unnest({name}({}))", args.join(", ")))?;
            return Ok(());
        }
        let text = format!(
            "get_field(unnest({}({})), '{}')",
            rows_name(&call.name),
            args.join(", "),
            function::member(0)
        );
        *expr = parse_expr(&text)?;
        Ok(())
    }

    /// Puts arguments with names in their places, and defaults in those between.
    pub(super) fn place(
        &self,
        routines: &[std::sync::Arc<RoutineDescriptor>],
        args: &mut Vec<FunctionArg>,
    ) -> Result<()> {
        if !args.iter().any(|arg| matches!(arg, FunctionArg::Named { .. })) {
            return Ok(());
        }
        let positional = args.iter().take_while(|arg| matches!(arg, FunctionArg::Unnamed(_))).count();
        let mut given: Vec<(String, FunctionArgExpr)> = Vec::new();
        for arg in &args[positional..] {
            match arg {
                FunctionArg::Named { name, arg, .. } => given.push((fold(name), arg.clone())),
                _ => return Err(Error::new("42601", "positional argument cannot follow named argument")),
            }
        }
        for routine in routines {
            let inputs: Vec<_> = routine.inputs().collect();
            let known = |name: &String| inputs.iter().skip(positional).any(|input| input.name == *name);
            if positional > inputs.len() || !given.iter().all(|(name, _)| known(name)) {
                continue;
            }
            let mut placed = Vec::new();
            for input in inputs.iter().skip(positional) {
                let own = given.iter().find(|(name, _)| *name == input.name).map(|(_, arg)| arg.clone());
                placed.push(match (own, &input.default) {
                    (Some(arg), _) => arg,
                    (None, Some(default)) => {
                        let text = format!("CAST({default} AS {})", input.ty.sql_name());
                        FunctionArgExpr::Expr(parse_expr(&text)?)
                    }
                    (None, None) => {
                        placed.clear();
                        break;
                    }
                });
            }
            if placed.len() == inputs.len() - positional {
                args.truncate(positional);
                args.extend(placed.into_iter().map(FunctionArg::Unnamed));
                return Ok(());
            }
        }
        let names: Vec<String> = given.iter().map(|(name, _)| format!("{name} => unknown")).collect();
        Err(crate::functions::missing::error(&routines[0].name, &names))
    }
}

fn takes(routine: &RoutineDescriptor, given: usize) -> bool {
    let inputs: Vec<_> = routine.inputs().collect();
    given <= inputs.len() && inputs[given..].iter().all(|input| input.default.is_some())
}

fn refuse_procedure(routine: &RoutineDescriptor) -> Result<()> {
    match (routine.kind, &routine.returns) {
        (RoutineKind::Procedure, _) => {
            Err(Error::new("42809", format!("{} is a procedure", routine.signature()))
                .with_hint("To call a procedure, use CALL."))
        }
        (_, Returns::Trigger) => Err(Error::new("0A000", "trigger functions can only be called as triggers")),
        _ => Ok(()),
    }
}

/// The name of the function that gives the rows of another as a list.
pub(super) fn rows_name(name: &ObjectName) -> ObjectName {
    named_with(function::ROWS, name)
}

/// A name with something before its last part.
pub(super) fn named_with(prefix: &str, name: &ObjectName) -> ObjectName {
    let mut name = name.clone();
    if let Some(ObjectNamePart::Identifier(last)) = name.0.last_mut() {
        *last = Ident::with_quote('"', format!("{prefix}{}", fold(last)));
    }
    name
}

impl VisitorMut for Calls<'_> {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        // A set that is unnested keeps its function's name.
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Function(call)) = item
                && self.routines(&call.name).first().is_some_and(|routine| is_set(routine))
            {
                let alias = call.name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default();
                let alias = parse::names::exact(&alias);
                *item = SelectItem::ExprWithAlias { expr: Expr::Function(call.clone()), alias };
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        match self.factor(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match self.call(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}
