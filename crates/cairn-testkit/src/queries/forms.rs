//! Forms of expressions: a template for each, and the types of what takes the places in it.

use super::types::Type;

use Type as T;

/// A template and its types.
type Form = (&'static str, &'static [Type]);

/// Those that give that type.
pub(super) fn of(ty: Type) -> &'static [Form] {
    match ty {
        T::Int => &[
            ("({} + {})", &[T::Int, T::Int]),
            ("({} - {})", &[T::Int, T::Int]),
            ("({} * {})", &[T::Int, T::Int]),
            ("({} / 3)", &[T::Int]),
            ("({} % 4)", &[T::Int]),
            ("(- {})", &[T::Int]),
            ("abs({})", &[T::Int]),
            ("length({})", &[T::Text]),
            ("extract(year FROM {})::int", &[T::Date]),
            ("extract(month FROM {})::int", &[T::Timestamp]),
            ("({} - {})", &[T::Date, T::Date]),
            ("cardinality({})", &[T::Ints]),
            ("array_length({}, 1)", &[T::Texts]),
            ("({})[1]", &[T::Ints]),
            ("octet_length({})", &[T::Bytea]),
            ("({})::int", &[T::Bool]),
            ("({} & {})", &[T::Int, T::Int]),
            ("position({} IN {})", &[T::Text, T::Text]),
        ],
        T::Big => &[("({} + {})", &[T::Big, T::Int]), ("{}::bigint", &[T::Int]), ("(- {})", &[T::Big])],
        T::Num => &[
            ("({} + {})::numeric(10,2)", &[T::Num, T::Num]),
            ("({} - {})::numeric(10,2)", &[T::Num, T::Int]),
            ("({} * 2)::numeric(10,2)", &[T::Num]),
            ("{}::numeric(10,2)", &[T::Int]),
            ("round({}, 1)::numeric(10,2)", &[T::Num]),
            ("abs({})", &[T::Num]),
            ("floor({})::numeric(10,2)", &[T::Num]),
        ],
        T::Double => &[
            ("({} + {})", &[T::Double, T::Double]),
            ("({} * {})", &[T::Double, T::Double]),
            ("(- {})", &[T::Double]),
            ("{}::double precision", &[T::Int]),
            ("{}::double precision", &[T::Num]),
            ("abs({})", &[T::Double]),
        ],
        T::Text => &[
            ("({} || {})", &[T::Text, T::Text]),
            ("lower({})", &[T::Text]),
            ("upper({})", &[T::Text]),
            ("substr({}, 2, 2)", &[T::Text]),
            ("left({}, {})", &[T::Text, T::Int]),
            ("replace({}, {}, {})", &[T::Text, T::Text, T::Text]),
            ("trim({})", &[T::Text]),
            ("{}::text", &[T::Int]),
            ("{}::text", &[T::Num]),
            ("{}::text", &[T::Bool]),
            ("{}::text", &[T::Date]),
            ("concat({}, {})", &[T::Text, T::Int]),
            ("({})[1]", &[T::Texts]),
            ("({} ->> 'a')", &[T::Jsonb]),
            ("reverse({})", &[T::Text]),
            ("lpad({}, 4, 'x')", &[T::Text]),
        ],
        T::Date => &[("({} + {})", &[T::Date, T::Int]), ("{}::date", &[T::Timestamp])],
        T::Timestamp => &[
            ("({} + {})", &[T::Timestamp, T::Interval]),
            ("({} - {})", &[T::Timestamp, T::Interval]),
            ("date_trunc('month', {})", &[T::Timestamp]),
            ("{}::timestamp", &[T::Date]),
        ],
        T::TimestampTz => &[("({} + {})", &[T::TimestampTz, T::Interval])],
        T::Interval => &[
            ("({} + {})", &[T::Interval, T::Interval]),
            ("({} - {})", &[T::Timestamp, T::Timestamp]),
            ("(- {})", &[T::Interval]),
        ],
        T::Jsonb => &[("({} -> 'a')", &[T::Jsonb]), ("to_jsonb({})", &[T::Int])],
        T::Ints => &[
            ("({} || {})", &[T::Ints, T::Ints]),
            ("array_append({}, {})", &[T::Ints, T::Int]),
            ("ARRAY[{}, {}]", &[T::Int, T::Int]),
        ],
        T::Texts => &[("ARRAY[{}, {}]", &[T::Text, T::Text]), ("array_append({}, {})", &[T::Texts, T::Text])],
        T::Bytea => &[("({} || {})", &[T::Bytea, T::Bytea])],
        T::Uuid | T::Bool => &[("coalesce({})", &[T::Uuid])],
    }
}
