//! Generated text as a tree, so that a finding can be made smaller: a part gives way to nothing, to a constant, or to a
//! part within it of the same kind.

use super::types::Type;

/// What may stand in a node's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value of that type.
    Value(Type),
    /// Anything that may be left out.
    Clause,
    /// A query with columns of types whose hash this is.
    Rows(u64),
    /// What stands in FROM.
    From,
    /// What stays as it is, but for what is in it.
    Fixed,
}

/// A piece of a statement.
#[derive(Clone, Debug)]
pub(super) struct Node {
    kind: Kind,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Node(Node),
}

impl Node {
    /// A node whose parts take the places of `{}` in the template.
    pub(super) fn new(kind: Kind, template: &str, nodes: Vec<Node>) -> Node {
        let mut parts = Vec::with_capacity(2 * nodes.len() + 1);
        let mut texts = template.split("{}");
        parts.extend(texts.next().map(|text| Part::Text(text.to_owned())));
        let mut nodes = nodes.into_iter();
        for text in texts {
            parts.extend(nodes.next().map(Part::Node));
            parts.push(Part::Text(text.to_owned()));
        }
        debug_assert!(nodes.next().is_none(), "{template}");
        Node { kind, parts }
    }

    /// A value.
    pub(super) fn value(ty: Type, template: &str, nodes: Vec<Node>) -> Node {
        Node::new(Kind::Value(ty), template, nodes)
    }

    /// Text alone, whatever it holds.
    pub(super) fn text(kind: Kind, text: impl Into<String>) -> Node {
        Node { kind, parts: vec![Part::Text(text.into())] }
    }

    /// Nodes with text between.
    pub(super) fn join(kind: Kind, nodes: Vec<Node>, between: &str) -> Node {
        let mut parts = Vec::with_capacity(2 * nodes.len());
        for (at, node) in nodes.into_iter().enumerate() {
            if at > 0 {
                parts.push(Part::Text(between.to_owned()));
            }
            parts.push(Part::Node(node));
        }
        Node { kind, parts }
    }

    /// The text.
    pub(super) fn sql(&self) -> String {
        let mut sql = String::new();
        self.write(&mut sql);
        sql
    }

    fn write(&self, sql: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => sql.push_str(text),
                Part::Node(node) => node.write(sql),
            }
        }
    }

    /// Every tree that is this one with one part made smaller, the greatest steps first.
    pub(super) fn smaller(&self) -> Vec<Node> {
        let mut all = Vec::new();
        for path in self.paths() {
            let Some(node) = self.at(&path) else { continue };
            let mut instead = Vec::new();
            match node.kind {
                Kind::Clause if !node.sql().is_empty() => instead.push(Node::text(Kind::Clause, "")),
                Kind::Value(ty) => {
                    let texts = [ty.literals()[0].to_owned(), format!("NULL::{}", ty.sql())];
                    instead.extend(texts.into_iter().map(|text| Node::text(node.kind, text)));
                }
                _ => {}
            }
            node.descendants(node.kind, &mut instead);
            let length = node.sql().len();
            instead.retain(|instead| instead.sql().len() < length);
            all.extend(instead.into_iter().map(|instead| self.with(&path, instead)));
        }
        all
    }

    fn descendants(&self, kind: Kind, found: &mut Vec<Node>) {
        if kind == Kind::Fixed || kind == Kind::Clause {
            return;
        }
        for part in &self.parts {
            if let Part::Node(node) = part {
                if node.kind == kind {
                    found.push(node.clone());
                }
                node.descendants(kind, found);
            }
        }
    }

    /// The ways to all nodes, this one first.
    fn paths(&self) -> Vec<Vec<usize>> {
        let mut paths = vec![Vec::new()];
        let mut next = 0;
        while let Some(path) = paths.get(next).cloned() {
            if let Some(node) = self.at(&path) {
                for (at, part) in node.parts.iter().enumerate() {
                    if matches!(part, Part::Node(_)) {
                        paths.push(path.iter().copied().chain([at]).collect());
                    }
                }
            }
            next += 1;
        }
        paths
    }

    fn at(&self, path: &[usize]) -> Option<&Node> {
        match path {
            [] => Some(self),
            [first, rest @ ..] => match self.parts.get(*first)? {
                Part::Node(node) => node.at(rest),
                Part::Text(_) => None,
            },
        }
    }

    fn with(&self, path: &[usize], instead: Node) -> Node {
        match path {
            [] => instead,
            [first, rest @ ..] => {
                let mut own = self.clone();
                if let Some(Part::Node(node)) = own.parts.get_mut(*first) {
                    *node = node.with(rest, instead);
                }
                own
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_trees() {
        let one = || Node::text(Kind::Value(Type::Int), "1");
        let sum = Node::value(Type::Int, "({} + {})", vec![one(), one()]);
        let clause = Node::new(Kind::Clause, " WHERE {}", vec![sum]);
        let query = Node::new(Kind::Rows(1), "SELECT{}", vec![clause]);
        assert_eq!(query.sql(), "SELECT WHERE (1 + 1)");
        let smaller: Vec<String> = query.smaller().iter().map(Node::sql).collect();
        assert!(smaller.contains(&"SELECT".to_owned()) && smaller.contains(&"SELECT WHERE 1".to_owned()));
        assert!(smaller.iter().all(|text| text.len() < query.sql().len()), "{smaller:?}");
    }
}
