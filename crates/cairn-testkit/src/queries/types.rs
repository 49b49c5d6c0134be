//! The types of generated columns, and values of each: few, so that they meet, and those that are easily got wrong.

/// A type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Type {
    Int,
    Big,
    Num,
    Double,
    Text,
    Date,
    Timestamp,
    TimestampTz,
    Interval,
    Bool,
    Uuid,
    Bytea,
    Jsonb,
    Ints,
    Texts,
    Small,
    Dec,
    Char,
    Time,
}

use Type as T;

impl Type {
    /// All of them; the common ones several times.
    pub(super) const ALL: [Type; 27] = [
        T::Int,
        T::Int,
        T::Int,
        T::Int,
        T::Big,
        T::Num,
        T::Num,
        T::Double,
        T::Double,
        T::Text,
        T::Text,
        T::Text,
        T::Date,
        T::Timestamp,
        T::TimestampTz,
        T::Interval,
        T::Bool,
        T::Uuid,
        T::Bytea,
        T::Jsonb,
        T::Ints,
        T::Texts,
        T::Small,
        T::Dec,
        T::Dec,
        T::Char,
        T::Time,
    ];

    /// Its name.
    pub(super) fn sql(self) -> &'static str {
        match self {
            T::Int => "integer",
            T::Big => "bigint",
            T::Num => "numeric(10,2)",
            T::Double => "double precision",
            T::Text => "text",
            T::Date => "date",
            T::Timestamp => "timestamp",
            T::TimestampTz => "timestamptz",
            T::Interval => "interval",
            T::Bool => "boolean",
            T::Uuid => "uuid",
            T::Bytea => "bytea",
            T::Jsonb => "jsonb",
            T::Ints => "integer[]",
            T::Texts => "text[]",
            T::Small => "smallint",
            T::Dec => "numeric",
            T::Char => "char(4)",
            T::Time => "time",
        }
    }

    /// Literals.
    pub(super) fn literals(self) -> &'static [&'static str] {
        match self {
            T::Int => &["0", "1", "2", "3", "5", "7", "(-1)", "(-4)", "100"],
            T::Big => &["0::bigint", "1::bigint", "2::bigint", "10::bigint", "(-3)::bigint", "10000000000"],
            T::Num => &["0.00", "1.50", "(-2.25)", "100.00", "0.01", "3.00"],
            T::Double => &[
                "'0'::double precision",
                "'-0'::double precision",
                "'1.5'::double precision",
                "'-2.25'::double precision",
                "'NaN'::double precision",
                "'Infinity'::double precision",
                "'-Infinity'::double precision",
                "'10000'::double precision",
            ],
            T::Text => {
                &["''", "'a'", "'B'", "'b'", "'ä'", "'日本'", "'aB c'", "'%'", "'a_b'", "'ab'", "'zz '"]
            }
            T::Date => &["DATE '2020-01-31'", "DATE '1999-12-31'", "DATE '2024-02-29'", "DATE '2000-01-01'"],
            T::Timestamp => &[
                "TIMESTAMP '2020-01-31 00:00:00'",
                "TIMESTAMP '1999-12-31 23:59:59.5'",
                "TIMESTAMP '2024-02-29 12:00:00'",
            ],
            T::TimestampTz => &[
                "TIMESTAMPTZ '2020-01-31 00:00:00+00'",
                "TIMESTAMPTZ '1999-12-31 23:59:59.5+00'",
                "TIMESTAMPTZ '2024-02-29 12:00:00+02'",
            ],
            T::Interval => &[
                "INTERVAL '1 day'",
                "INTERVAL '-3 hours'",
                "INTERVAL '2 months'",
                "INTERVAL '00:00:01.5'",
                "INTERVAL '0'",
            ],
            T::Bool => &["true", "false"],
            T::Uuid => &[
                "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
                "'00000000-0000-0000-0000-000000000000'::uuid",
                "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid",
            ],
            T::Bytea => &["'\\x'::bytea", "'\\x00'::bytea", "'\\xff01'::bytea", "'\\x616263'::bytea"],
            T::Jsonb => &[
                "'1'::jsonb",
                "'null'::jsonb",
                "'\"a\"'::jsonb",
                "'{\"a\": 1}'::jsonb",
                "'[1, 2]'::jsonb",
                "'{\"a\": {\"b\": [1]}}'::jsonb",
                "'true'::jsonb",
                "'{}'::jsonb",
            ],
            T::Ints => &["'{}'::int[]", "'{1,2}'::int[]", "'{NULL,3}'::int[]", "'{1}'::int[]"],
            T::Small => &["0::smallint", "1::smallint", "2::smallint", "(-3)::smallint", "32767::smallint"],
            T::Dec => &[
                "0::numeric",
                "1.5::numeric",
                "1.50::numeric",
                "'-0.001'::numeric",
                "'12345678901234567890.123'::numeric",
                "100::numeric",
            ],
            T::Char => {
                &["'a'::char(4)", "'ab'::char(4)", "''::char(4)", "'B   '::char(4)", "'zzzz'::char(4)"]
            }
            T::Time => &["TIME '00:00:00'", "TIME '12:30:00.25'", "TIME '23:59:59'"],
            T::Texts => &["'{}'::text[]", "'{a,b}'::text[]", "'{\"\",NULL}'::text[]"],
        }
    }

    /// Whether `min` and `max` take it.
    pub(super) fn has_extremes(self) -> bool {
        !matches!(self, T::Bool | T::Uuid | T::Bytea | T::Jsonb | T::Ints | T::Texts | T::Char)
    }
}
