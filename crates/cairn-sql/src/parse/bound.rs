//! The relations that a stored query means: their names get their schemas when it is stored, so that it means the same
//! whatever the search path is when it runs, and lose them for who reads it, where the path finds them.
//!
//! I1. A name that some WITH of the query gives is left as it is.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use super::names::exact;
use crate::functions::text::quote_ident;
use crate::session::variables::fold;

/// Puts the schema that `schema_of` gives before each name that stands alone.
pub(crate) fn bind(query: &mut Query, schema_of: &dyn Fn(&str) -> Option<String>) {
    struct Bind<'s> {
        ctes: Vec<String>,
        schema_of: &'s dyn Fn(&str) -> Option<String>,
    }
    impl VisitorMut for Bind<'_> {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: None, .. } = factor
                && let [ObjectNamePart::Identifier(own)] = name.0.as_slice()
                // A file.
                && own.quote_style != Some('\'')
                && !self.ctes.contains(&fold(own))
                && let Some(schema) = (self.schema_of)(&fold(own))
            {
                let plain = quote_ident(&schema) == schema;
                let ident = if plain { Ident::new(schema) } else { exact(&schema) };
                name.0.insert(0, ObjectNamePart::Identifier(ident));
            }
            ControlFlow::Continue(())
        }
    }
    let ctes = ctes(query);
    let _ = query.visit(&mut Bind { ctes, schema_of });
}

/// Takes the schemas of `path` away again. A relation of the same name in an earlier schema of the path is not looked for.
pub(crate) fn unbind(query: &mut Query, path: &[String]) {
    struct Unbind<'s> {
        ctes: Vec<String>,
        path: &'s [String],
    }
    impl VisitorMut for Unbind<'_> {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: None, .. } = factor
                && let Some((schema, own)) = parts(name)
                && self.path.contains(&fold(schema))
                && !self.ctes.contains(&fold(own))
            {
                name.0.remove(0);
            }
            ControlFlow::Continue(())
        }
    }
    let ctes = ctes(query);
    let _ = query.visit(&mut Unbind { ctes, path });
}

fn parts(name: &ObjectName) -> Option<(&Ident, &Ident)> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(own)] => Some((schema, own)),
        _ => None,
    }
}

/// The names of all WITH in a query.
fn ctes(query: &Query) -> Vec<String> {
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
    let _ = Visit::visit(query, &mut names);
    names.0
}
