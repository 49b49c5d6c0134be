//! What a stored text means: names of relations, functions and types get their schemas when it is stored, so that it means the
//! same whatever the search path is when it runs, and lose them for who reads it, where the path finds them.
//!
//! I1. A name that some WITH of the text gives is left as it is.
//! I2. A text that runs for one role with another's privileges calls nothing that the first one chose.

use std::ops::ControlFlow;

use sqlparser::ast::{
    ArrayElemTypeDef, DataType as SqlType, Expr, Ident, ObjectName, ObjectNamePart, Query, Statement,
    TableFactor, TableObject, Visit, VisitMut, Visitor, VisitorMut,
};

use super::names::exact;
use crate::functions::text::quote_ident;
use crate::session::variables::fold;

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Relation,
    Routine,
    Type,
}

/// Puts the schema that `schema_of` gives before each name that stands alone.
pub(crate) fn bind(text: &mut (impl VisitMut + Visit), schema_of: &dyn Fn(Named, &str) -> Option<String>) {
    let change = |named: Named, name: &mut ObjectName| {
        if let [ObjectNamePart::Identifier(own)] = name.0.as_slice()
            // A file.
            && own.quote_style != Some('\'')
            && let Some(schema) = schema_of(named, &fold(own))
        {
            let plain = quote_ident(&schema) == schema;
            let ident = if plain { Ident::new(schema) } else { exact(&schema) };
            name.0.insert(0, ObjectNamePart::Identifier(ident));
        }
    };
    each(text, &change);
}

/// Takes the schemas of `path` away again. An object of the same name in an earlier schema of the path is not looked for.
pub(crate) fn unbind(text: &mut (impl VisitMut + Visit), path: &[String]) {
    let change = |_: Named, name: &mut ObjectName| {
        if parts(name).is_some_and(|(schema, _)| path.contains(&fold(schema))) {
            name.0.remove(0);
        }
    };
    each(text, &change);
}

/// The same of an expression's text.
pub(crate) fn unbound(sql: &str, path: &[String]) -> String {
    match crate::dml::default::parse_expr(sql) {
        Ok(expr) => {
            let mut short = expr.clone();
            unbind(&mut short, path);
            if short == expr { sql.to_owned() } else { short.to_string() }
        }
        Err(_) => sql.to_owned(),
    }
}

/// The same of the text of statements.
pub(crate) fn unbound_statements(sql: &str, path: &[String]) -> String {
    let (mut all, mut changed) = (Vec::new(), false);
    let mut rest = sql;
    while let Some((own, more)) = super::split::first(rest) {
        rest = more;
        let Ok(statement) = super::parse_text(own) else { return sql.to_owned() };
        let mut short = statement.clone();
        unbind(&mut short, path);
        changed |= short != statement;
        all.push(if short == statement { own.to_owned() } else { short.to_string() });
    }
    if changed { all.join("; ") } else { sql.to_owned() }
}

/// Changes each name, but those of common table expressions.
fn each(text: &mut (impl VisitMut + Visit), change: &dyn Fn(Named, &mut ObjectName)) {
    struct Names<'s> {
        ctes: Vec<String>,
        change: &'s dyn Fn(Named, &mut ObjectName),
    }
    impl Names<'_> {
        fn relation(&self, name: &mut ObjectName) {
            let own = name.0.last().and_then(|part| part.as_ident()).map(fold);
            if own.is_none_or(|own| !self.ctes.contains(&own)) {
                (self.change)(Named::Relation, name);
            }
        }

        fn ty(&self, ty: &mut SqlType) {
            match ty {
                SqlType::Array(
                    ArrayElemTypeDef::AngleBracket(inner)
                    | ArrayElemTypeDef::SquareBracket(inner, _)
                    | ArrayElemTypeDef::Parenthesis(inner),
                ) => self.ty(inner),
                SqlType::Custom(name, modifiers) if modifiers.is_empty() => (self.change)(Named::Type, name),
                _ => {}
            }
        }
    }
    impl VisitorMut for Names<'_> {
        type Break = ();
        fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<()> {
            if let Statement::Insert(insert) = statement
                && let TableObject::TableName(name) = &mut insert.table
            {
                self.relation(name);
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            let alias = match factor {
                TableFactor::Table { name, args: None, alias, .. } => {
                    self.relation(name);
                    alias
                }
                TableFactor::Table { name, args: Some(_), alias, .. }
                | TableFactor::Function { name, alias, .. } => {
                    (self.change)(Named::Routine, name);
                    alias
                }
                TableFactor::TableFunction { alias, .. } => alias,
                _ => return ControlFlow::Continue(()),
            };
            for column in alias.iter_mut().flat_map(|alias| &mut alias.columns) {
                column.data_type.iter_mut().for_each(|ty| self.ty(ty));
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            match expr {
                Expr::Function(call) => (self.change)(Named::Routine, &mut call.name),
                Expr::Cast { data_type, .. } => self.ty(data_type),
                Expr::TypedString(typed) => self.ty(&mut typed.data_type),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let ctes = ctes(text);
    let _ = VisitMut::visit(text, &mut Names { ctes, change });
}

fn parts(name: &ObjectName) -> Option<(&Ident, &Ident)> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(own)] => Some((schema, own)),
        _ => None,
    }
}

/// The names of all WITH in a text.
fn ctes(text: &impl Visit) -> Vec<String> {
    struct Names(Vec<String>);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let all = query.with.iter().flat_map(|with| &with.cte_tables);
            self.0.extend(all.map(|cte| fold(&cte.alias.name)));
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new());
    let _ = Visit::visit(text, &mut names);
    names.0
}
