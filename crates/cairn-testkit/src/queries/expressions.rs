//! Generated expressions of each type over the columns in scope.

use super::forms;
use super::random::Random;
use super::selects;
use super::tables::Table;
use super::tree::{Kind, Node};
use super::types::Type;

use Type as T;

/// What expressions may mention: names with their types.
pub(super) type Scope = Vec<(String, Type)>;

/// What makes expressions and queries.
pub(super) struct Maker<'m> {
    pub(super) random: &'m mut Random,
    pub(super) tables: &'m [Table],
    /// Names given so far.
    pub(super) names: usize,
    /// CTEs in scope.
    pub(super) ctes: Vec<(String, Vec<Type>)>,
    /// Whether expressions may hold queries.
    pub(super) subqueries: bool,
}

impl Maker<'_> {
    /// A name that was not given before.
    pub(super) fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    pub(super) fn constant(&mut self, ty: Type) -> Node {
        let text = match self.random.one_in(12) {
            true => format!("NULL::{}", ty.sql()),
            false => (*self.random.of(ty.literals())).to_owned(),
        };
        Node::text(Kind::Value(ty), text)
    }

    /// A column in scope, or a constant.
    pub(super) fn leaf(&mut self, ty: Type, scope: &Scope) -> Node {
        let fitting: Vec<&(String, Type)> = scope.iter().filter(|(_, own)| *own == ty).collect();
        if fitting.is_empty() || self.random.one_in(4) {
            return self.constant(ty);
        }
        let (name, _) = *self.random.of(&fitting);
        Node::text(Kind::Value(ty), name.clone())
    }

    /// The type of some column in scope.
    pub(super) fn some_type(&mut self, scope: &Scope) -> Type {
        match scope.is_empty() || self.random.one_in(12) {
            true => *self.random.of(&Type::ALL),
            false => self.random.of(scope).1,
        }
    }

    /// An expression of that type, at most `depth` deep.
    pub(super) fn expr(&mut self, ty: Type, scope: &Scope, depth: usize) -> Node {
        if ty == T::Bool {
            // A comparison of booleans may ask for one more, without end.
            return if depth == 0 { self.leaf(ty, scope) } else { self.predicate(scope, depth) };
        }
        if depth == 0 || self.random.one_in(3) {
            return self.leaf(ty, scope);
        }
        if self.random.one_in(5) {
            return self.any_type(ty, scope, depth - 1);
        }
        let (template, types) = *self.random.of(forms::of(ty));
        let nodes = types.iter().map(|ty| self.expr(*ty, scope, depth - 1)).collect();
        Node::value(ty, template, nodes)
    }

    /// Forms that there are for every type.
    fn any_type(&mut self, ty: Type, scope: &Scope, depth: usize) -> Node {
        let own = |maker: &mut Self| maker.expr(ty, scope, depth);
        if ty == T::Ints && self.subqueries && self.random.one_in(4) {
            let query = selects::select(self, &[T::Int], scope, depth.min(1));
            return Node::value(ty, "ARRAY(SELECT s.x0 FROM ({}) AS s ORDER BY s.x0)", vec![query]);
        }
        match self.random.below(6) {
            0 => {
                let (a, b) = (own(self), own(self));
                Node::value(ty, "coalesce({}, {})", vec![a, b])
            }
            1 => {
                let (a, b) = (own(self), own(self));
                Node::value(ty, "nullif({}, {})", vec![a, b])
            }
            2 => {
                let (a, b) = (own(self), own(self));
                let p = self.predicate(scope, depth);
                Node::value(ty, "CASE WHEN {} THEN {} ELSE {} END", vec![p, a, b])
            }
            3 => {
                let (a, b) = (own(self), own(self));
                let case = self.some_type(scope);
                let (subject, when) = (self.expr(case, scope, depth), self.expr(case, scope, depth));
                Node::value(ty, "CASE {} WHEN {} THEN {} ELSE {} END", vec![subject, when, a, b])
            }
            4 => {
                let (a, b) = (own(self), own(self));
                let name = *self.random.of(&["greatest", "least"]);
                Node::value(ty, &format!("{name}({{}}, {{}})"), vec![a, b])
            }
            _ if !self.subqueries => self.leaf(ty, scope),
            _ => {
                let query = selects::scalar(self, ty, scope, depth);
                Node::value(ty, "({})", vec![query])
            }
        }
    }

    /// A condition.
    pub(super) fn predicate(&mut self, scope: &Scope, depth: usize) -> Node {
        if depth == 0 {
            return self.comparison(scope, 0);
        }
        let next = depth - 1;
        let (template, count) = match self.random.below(18) {
            0..=3 => return self.comparison(scope, next),
            4 => ("({} AND {})", 2),
            5 => ("({} OR {})", 2),
            6 => ("(NOT {})", 1),
            7 => *self.random.of(&[
                ("({} IS TRUE)", 1),
                ("({} IS NOT TRUE)", 1),
                ("({} IS FALSE)", 1),
                ("({} IS UNKNOWN)", 1),
                ("({} IS NOT UNKNOWN)", 1),
                ("({} = {})", 2),
                ("({} < {})", 2),
            ]),
            8 if self.subqueries => return selects::subquery_predicate(self, scope, next),
            9 => return self.of_type_text(scope, next),
            10 => return self.row(scope, next),
            11 => return self.of_type_container(scope, next),
            12 => {
                let (a, b, c) =
                    (self.predicate(scope, next), self.predicate(scope, next), self.predicate(scope, next));
                return Node::value(T::Bool, "CASE WHEN {} THEN {} ELSE {} END", vec![a, b, c]);
            }
            13 => return self.leaf(T::Bool, scope),
            15 => return self.compound(scope, next),
            16 => return self.of_functions(scope, next),
            14 => {
                let ty = self.some_type(scope);
                let value = self.expr(ty, scope, next);
                let template = *self.random.of(&["({} IS NULL)", "({} IS NOT NULL)", "({} ISNULL)"]);
                return Node::value(T::Bool, template, vec![value]);
            }
            _ => return self.list(scope, next),
        };
        let nodes = (0..count).map(|_| self.predicate(scope, next)).collect();
        Node::value(T::Bool, template, nodes)
    }

    fn comparison(&mut self, scope: &Scope, depth: usize) -> Node {
        let ty = self.some_type(scope);
        // What an index may answer comes often.
        let left = if self.random.one_in(2) { self.leaf(ty, scope) } else { self.expr(ty, scope, depth) };
        let right = |maker: &mut Self| match maker.random.one_in(2) {
            true => maker.constant(ty),
            false => maker.expr(ty, scope, depth),
        };
        let mut nodes = vec![left, right(self)];
        let template = *self.random.of(&[
            "({} = {})",
            "({} = {})",
            "({} = {})",
            "({} <> {})",
            "({} < {})",
            "({} <= {})",
            "({} > {})",
            "({} >= {})",
            "({} IS DISTINCT FROM {})",
            "({} IS NOT DISTINCT FROM {})",
            "({} BETWEEN {} AND {})",
            "({} NOT BETWEEN {} AND {})",
            "({} BETWEEN SYMMETRIC {} AND {})",
        ]);
        if template.matches("{}").count() == 3 {
            nodes.push(right(self));
        }
        Node::value(T::Bool, template, nodes)
    }

    /// Lists and queries of members between other conditions.
    fn compound(&mut self, scope: &Scope, depth: usize) -> Node {
        let member = |maker: &mut Self| match maker.subqueries && maker.random.one_in(2) {
            true => {
                let ty = maker.some_type(scope);
                let value = maker.leaf(ty, scope);
                let query = selects::select(maker, &[ty], scope, depth.min(1));
                let template = *maker.random.of(&["({} IN ({}))", "({} NOT IN ({}))"]);
                Node::value(T::Bool, template, vec![value, query])
            }
            false => maker.list(scope, depth),
        };
        let (a, b) = (member(self), member(self));
        let c = self.comparison(scope, depth.min(1));
        let template = *self.random.of(&[
            "({} AND ({} OR {}))",
            "({} OR {} AND {})",
            "(({} OR {}) AND NOT {})",
            "(NOT ({} AND {}) OR {})",
            "(({} = {}) IS DISTINCT FROM {})",
            "CASE WHEN {} THEN {} ELSE {} END",
            "(coalesce({}, {}) AND {})",
            "((CASE WHEN {} THEN 1 WHEN {} THEN 2 ELSE 3 END) IN (1, 3) AND {})",
        ]);
        Node::value(T::Bool, template, vec![a, b, c])
    }

    /// Functions of texts, times and numbers.
    fn of_functions(&mut self, scope: &Scope, depth: usize) -> Node {
        let (template, types) = *self.random.of(forms::CONDITIONS);
        let nodes = types.iter().map(|ty| self.expr(*ty, scope, depth)).collect();
        Node::value(T::Bool, template, nodes)
    }

    fn list(&mut self, scope: &Scope, depth: usize) -> Node {
        let ty = self.some_type(scope);
        let mut nodes = vec![self.leaf(ty, scope)];
        let mut template = (*self.random.of(&[
            "({} IN ({}",
            "({} NOT IN ({}",
            "({} = ANY (ARRAY[{}",
            "({} <> ALL (ARRAY[{}",
        ]))
        .to_owned();
        nodes.push(self.constant(ty));
        for _ in 0..self.random.below(4) {
            nodes.push(if self.random.one_in(4) { self.expr(ty, scope, depth) } else { self.constant(ty) });
            template.push_str(", {}");
        }
        template.push_str(if template.contains("ARRAY") { "]))" } else { "))" });
        // There are no arrays of arrays in either.
        if matches!(ty, T::Ints | T::Texts) && template.contains("ARRAY") {
            return self.comparison(scope, depth);
        }
        Node::value(T::Bool, &template, nodes)
    }

    fn row(&mut self, scope: &Scope, depth: usize) -> Node {
        let (a, b) = (self.some_type(scope), self.some_type(scope));
        let mut nodes = vec![self.leaf(a, scope), self.leaf(b, scope)];
        nodes.push(self.expr(a, scope, depth));
        nodes.push(self.expr(b, scope, depth));
        let template = *self.random.of(&[
            "(({}, {}) = ({}, {}))",
            "(({}, {}) < ({}, {}))",
            "(({}, {}) >= ({}, {}))",
            "(({}, {}) <> ({}, {}))",
            "(({}, {}) IN (({}, {})))",
            "(({}, {}) IS DISTINCT FROM ({}, {}))",
        ]);
        Node::value(T::Bool, template, nodes)
    }

    fn of_type_text(&mut self, scope: &Scope, depth: usize) -> Node {
        let text = self.expr(T::Text, scope, depth);
        let template = *self.random.of(&[
            "({} LIKE 'a%')",
            "({} LIKE '%b')",
            "({} NOT LIKE '_')",
            "({} ILIKE 'A%')",
            "({} LIKE 'a\\_b')",
            "({} ~ '^[ab]+$')",
            "({} !~* 'B')",
            "({} SIMILAR TO '(a|b)%')",
            "starts_with({}, 'a')",
            "({} ^@ 'a')",
        ]);
        Node::value(T::Bool, template, vec![text])
    }

    fn of_type_container(&mut self, scope: &Scope, depth: usize) -> Node {
        let forms: &[(&str, &[Type])] = &[
            ("({} @> {})", &[T::Jsonb, T::Jsonb]),
            ("({} <@ {})", &[T::Jsonb, T::Jsonb]),
            ("({} ? 'a')", &[T::Jsonb]),
            ("({} @> {})", &[T::Ints, T::Ints]),
            ("({} && {})", &[T::Ints, T::Ints]),
            ("({} = ANY ({}))", &[T::Int, T::Ints]),
            ("({} > ALL ({}))", &[T::Int, T::Ints]),
            ("({} = ANY ({}))", &[T::Text, T::Texts]),
            ("({} <@ {})", &[T::Texts, T::Texts]),
            ("({} ?| '{a,b}')", &[T::Jsonb]),
            ("({} ?& '{a}')", &[T::Jsonb]),
            ("({} @? '$.a')", &[T::Jsonb]),
            ("({} IN (1, 2.5, {}))", &[T::Int, T::Num]),
            ("({} = {})", &[T::Int, T::Double]),
            ("({} < {})", &[T::Num, T::Dec]),
            ("({} >= {})", &[T::Big, T::Dec]),
            ("({} = {})", &[T::Small, T::Big]),
            ("({} < {})", &[T::Date, T::Timestamp]),
            ("({} >= {})", &[T::TimestampTz, T::Date]),
            ("({} = {})", &[T::Char, T::Text]),
            ("(({}, {}) OVERLAPS ({}, {}))", &[T::Date, T::Date, T::Date, T::Date]),
            ("({} LIKE {})", &[T::Text, T::Text]),
            ("({} ILIKE '%' || {} || '%')", &[T::Text, T::Text]),
            ("({} LIKE ANY (ARRAY['a%', {}]))", &[T::Text, T::Text]),
            ("({} ~ 'a|b')", &[T::Char]),
            ("({} COLLATE \"C\" < {})", &[T::Text, T::Text]),
            ("(ROW({}, {}) IS NULL)", &[T::Int, T::Text]),
            ("(ROW({}, {}) IS NOT NULL)", &[T::Int, T::Text]),
            ("({} = 'NaN')", &[T::Double]),
            ("isfinite({})", &[T::Date]),
        ];
        let (template, types) = *self.random.of(forms);
        let nodes = types.iter().map(|ty| self.expr(*ty, scope, depth)).collect();
        Node::value(T::Bool, template, nodes)
    }
}
