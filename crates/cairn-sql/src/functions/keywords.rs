//! `pg_get_keywords()`: the words of PostgreSQL 16's grammar, what they may name, and whether they may be a column's label without AS.

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::Volatility;

use super::{Simple, Takes};

/// A kind of words: its code, whether they are labels without AS, and the words.
struct Words {
    code: &'static str,
    bare: bool,
    words: &'static str,
}

const ALL: &[Words] = &[
    Words { code: "C", bare: false, words: "char character precision" },
    Words {
        code: "C",
        bare: true,
        words: "between bigint bit boolean coalesce dec decimal exists extract float greatest grouping inout int \
                integer interval json_array json_arrayagg json_object json_objectagg least national nchar none \
                normalize nullif numeric out overlay position real row setof smallint substring time timestamp \
                treat trim values varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces \
                xmlparse xmlpi xmlroot xmlserialize xmltable",
    },
    Words {
        code: "R",
        bare: false,
        words: "array as create except fetch for from grant group having intersect into limit offset on order \
                returning to union where window with",
    },
    Words {
        code: "R",
        bare: true,
        words: "all analyse analyze and any asc asymmetric both case cast check collate column constraint \
                current_catalog current_date current_role current_time current_timestamp current_user default \
                deferrable desc distinct do else end false foreign in initially lateral leading localtime \
                localtimestamp not null only or placing primary references select session_user some symmetric \
                system_user table then trailing true unique user using variadic when",
    },
    Words { code: "T", bare: false, words: "isnull notnull overlaps" },
    Words {
        code: "T",
        bare: true,
        words: "authorization binary collation concurrently cross current_schema freeze full ilike inner is join \
                left like natural outer right similar tablesample verbose",
    },
    Words {
        code: "U",
        bare: false,
        words: "day filter hour minute month over second varying within without year",
    },
    Words {
        code: "U",
        bare: true,
        words: "abort absent absolute access action add admin after aggregate also alter always asensitive \
                assertion assignment at atomic attach attribute backward before begin breadth by cache call \
                called cascade cascaded catalog chain characteristics checkpoint class close cluster columns \
                comment comments commit committed compression configuration conflict connection constraints \
                content continue conversion copy cost csv cube current cursor cycle data database deallocate \
                declare defaults deferred definer delete delimiter delimiters depends depth detach dictionary \
                disable discard document domain double drop each enable encoding encrypted enum escape event \
                exclude excluding exclusive execute explain expression extension external family finalize first \
                following force format forward function functions generated global granted groups handler header \
                hold identity if immediate immutable implicit import include including increment indent index \
                indexes inherit inherits inline input insensitive insert instead invoker isolation json key keys \
                label language large last leakproof level listen load local location lock locked logged mapping \
                match matched materialized maxvalue merge method minvalue mode move name names new next nfc nfd \
                nfkc nfkd no normalized nothing notify nowait nulls object of off oids old operator option \
                options ordinality others overriding owned owner parallel parameter parser partial partition \
                passing password plans policy preceding prepare prepared preserve prior privileges procedural \
                procedure procedures program publication quote range read reassign recheck recursive ref \
                referencing refresh reindex relative release rename repeatable replace replica reset restart \
                restrict return returns revoke role rollback rollup routine routines rows rule savepoint scalar \
                schema schemas scroll search security sequence sequences serializable server session set sets \
                share show simple skip snapshot sql stable standalone start statement statistics stdin stdout \
                storage stored strict strip subscription support sysid system tables tablespace temp template \
                temporary text ties transaction transform trigger truncate trusted type types uescape unbounded \
                uncommitted unencrypted unknown unlisten unlogged until update vacuum valid validate validator \
                value version view views volatile whitespace work wrapper write xml yes zone",
    },
];

/// The function that gives the list.
pub(super) fn function() -> Simple {
    let list = T::Array(Box::new(T::Text));
    Simple::new("cairn_set_pg_get_keywords", Takes::Exact(Vec::new()), list, Volatility::Immutable, |_| {
        let mut rows: Vec<(&str, &Words)> =
            ALL.iter().flat_map(|kind| kind.words.split(' ').map(move |word| (word, kind))).collect();
        rows.sort_unstable_by_key(|(word, _)| *word);
        Ok(Value::Array(rows.into_iter().map(|(word, kind)| Value::Text(row(word, kind))).collect()))
    })
}

fn row(word: &str, kind: &Words) -> String {
    let category = match kind.code {
        "U" => "unreserved",
        "C" => "unreserved (cannot be function or type name)",
        "T" => "reserved (can be function or type name)",
        _ => "reserved",
    };
    let label = if kind.bare { "can be bare label" } else { "requires AS" };
    format!("[\"{word}\", \"{}\", \"{}\", \"{category}\", \"{label}\"]", kind.code, kind.bare)
}
