//! What tables are called in a query that is explained: the alias goes with the table's name, so that the scan knows it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::session::variables::fold;

/// Stands between a table's name and its alias.
const MARK: &str = "\u{1}as\u{1}";

/// Notes the aliases of tables in a query.
pub(crate) fn note(query: &mut Query) {
    let mut ctes = Ctes(Vec::new());
    let _ = Visit::visit(query, &mut ctes);
    let _ = VisitMut::visit(query, &mut Note { ctes: ctes.0 });
}

/// The name and the alias of a noted one.
pub(crate) fn read(name: &str) -> Option<(&str, &str)> {
    name.split_once(MARK)
}

struct Ctes(Vec<String>);

impl Visitor for Ctes {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(ctes.map(|cte| fold(&cte.alias.name)));
        ControlFlow::Continue(())
    }
}

struct Note {
    /// Names that may not be a table's.
    ctes: Vec<String>,
}

impl VisitorMut for Note {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias: Some(alias), args: None, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let Some(own) = name.0.last().and_then(|part| part.as_ident()).map(fold) else {
            return ControlFlow::Continue(());
        };
        let alias = fold(&alias.name);
        // What has a mark already is no table by its name alone.
        let marked = |part: &ObjectNamePart| part.as_ident().is_some_and(|p| p.value.starts_with('\u{1}'));
        if name.0.iter().any(marked) {
            return ControlFlow::Continue(());
        }
        if alias != own && !(name.0.len() == 1 && self.ctes.contains(&own)) {
            let noted = Ident::with_quote('"', format!("{own}{MARK}{alias}"));
            let ObjectName(parts) = name;
            parts.pop();
            parts.push(ObjectNamePart::Identifier(noted));
        }
        ControlFlow::Continue(())
    }
}
