//! Functions that give rows, of columns to their left.

use super::expressions::{Maker, Scope};
use super::outputs::flat;
use super::selects::scope_of;
use super::tree::{Kind, Node};
use super::types::Type;

use Type as T;

/// Function calls, the types of what takes the places in them, and of the columns that they give.
type Set = (&'static str, &'static [Type], &'static [Type]);

const SETS: [Set; 23] = [
    ("generate_series(1, ({}) % 4)", &[T::Int], &[T::Int]),
    ("generate_series(({}) % 3, 2, 1)", &[T::Int], &[T::Int]),
    ("generate_series(3, ({}) % 4, -1)", &[T::Int], &[T::Int]),
    ("generate_series(({}) % 3, ({}) % 4)", &[T::Big, T::Big], &[T::Big]),
    ("generate_series({0}, ({0}) + INTERVAL '2 days', INTERVAL '1 day')", &[T::Timestamp], &[T::Timestamp]),
    ("unnest({}) WITH ORDINALITY", &[T::Ints], &[T::Int, T::Big]),
    ("unnest({})", &[T::Texts], &[T::Text]),
    ("unnest({})", &[T::Ints], &[T::Int]),
    ("unnest({}, {})", &[T::Ints, T::Texts], &[T::Int, T::Text]),
    ("unnest(({})[2:]) WITH ORDINALITY", &[T::Texts], &[T::Text, T::Big]),
    ("unnest(ARRAY[{}, {}])", &[T::Int, T::Int], &[T::Int]),
    ("unnest(string_to_array({}, 'a'))", &[T::Text], &[T::Text]),
    ("regexp_split_to_table({}, '[ab]')", &[T::Text], &[T::Text]),
    ("string_to_table({}, 'b')", &[T::Text], &[T::Text]),
    ("generate_subscripts({}, 1)", &[T::Ints], &[T::Int]),
    (
        "jsonb_array_elements(CASE jsonb_typeof({0}) WHEN 'array' THEN {0} ELSE '[3, null]' END)",
        &[T::Jsonb],
        &[T::Jsonb],
    ),
    (
        "jsonb_array_elements_text(CASE WHEN jsonb_typeof({0}) = 'array' THEN {0} END) WITH ORDINALITY",
        &[T::Jsonb],
        &[T::Text, T::Big],
    ),
    (
        "jsonb_object_keys(CASE jsonb_typeof({0}) WHEN 'object' THEN {0} ELSE '{\"q\": 1}' END)",
        &[T::Jsonb],
        &[T::Text],
    ),
    ("jsonb_each(CASE jsonb_typeof({0}) WHEN 'object' THEN {0} END)", &[T::Jsonb], &[T::Text, T::Jsonb]),
    ("jsonb_each_text(jsonb_build_object('a', {}, 'b', {}))", &[T::Int, T::Text], &[T::Text, T::Text]),
    ("jsonb_path_query({}, '$.a')", &[T::Jsonb], &[T::Jsonb]),
    ("jsonb_array_elements(jsonb_build_array({}, {}))", &[T::Int, T::Text], &[T::Jsonb]),
    ("ROWS FROM (unnest({}), generate_series(1, ({}) % 3))", &[T::Texts, T::Int], &[T::Text, T::Int]),
];

/// One of them, as an item of FROM.
pub(super) fn of_outer(maker: &mut Maker<'_>, lateral: &Scope, alias: &str) -> (Node, Scope) {
    let (template, types, columns) = *maker.random.of(&SETS);
    let names: Vec<String> = (0..columns.len()).map(|at| format!("x{at}")).collect();
    let word = *maker.random.of(&["LATERAL ", "LATERAL ", ""]);
    let text = format!("{word}{template} AS {alias}({})", names.join(", "));
    // What stands in several places is the same in all of them.
    let repeated = text.contains("{0}");
    let mut nodes: Vec<Node> = match repeated {
        true => types.iter().map(|ty| flat(maker, |maker| maker.expr(*ty, lateral, 1))).collect(),
        false => types.iter().map(|ty| maker.expr(*ty, lateral, 1)).collect(),
    };
    let text = if repeated { text.replace("{0}", &nodes.remove(0).sql()) } else { text };
    let node = match nodes.is_empty() {
        true => Node::text(Kind::From, text),
        false => Node::new(Kind::From, &text, nodes),
    };
    (node, scope_of(alias, "x", columns))
}
