-- What DBeaver and Grafana's PostgreSQL data source ask of a catalog, in the shape in which they ask it, for the table `people`. What pgAdmin asks
-- is asked by `clients/pgadmin`.

-- DBeaver: a connection.
SET application_name = 'DBeaver - Main';
SELECT current_schema(), session_user;
SHOW search_path;
SELECT version();
SELECT word FROM pg_catalog.pg_get_keywords() WHERE word <> ALL ('{select,from,where}'::text[]);
SELECT db.oid, db.* FROM pg_catalog.pg_database db WHERE 1 = 1 AND datallowconn AND NOT datistemplate OR db.datname = 'cairn' ORDER BY db.datname;
SELECT s.name, s.setting, s.unit, s.short_desc FROM pg_catalog.pg_settings s WHERE s.name = 'standard_conforming_strings';
SELECT a.oid, a.*, pg_catalog.shobj_description(a.oid, 'pg_authid') AS description FROM pg_catalog.pg_roles a ORDER BY a.rolname;
SELECT t.oid, t.*, pg_tablespace_location(t.oid) AS loc FROM pg_catalog.pg_tablespace t ORDER BY t.oid;

-- The tree: schemas, relations, types, functions, sequences.
SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = n.oid AND d.objsubid = 0 AND d.classoid = 'pg_namespace'::regclass ORDER BY nspname;
SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS partition_expr, pg_catalog.pg_get_partkeydef(c.oid) AS partition_key
FROM pg_catalog.pg_class c
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c');
SELECT c.oid, pg_catalog.pg_total_relation_size(c.oid) AS total_rel_size, pg_catalog.pg_relation_size(c.oid) AS rel_size
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r';
SELECT t.oid, t.*, c.relkind, format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_type_name, d.description
FROM pg_catalog.pg_type t
LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid = t.typelem
LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid = d.objoid
WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c') AND (et.typcategory IS NULL OR et.typcategory <> 'C');
SELECT e.enumtypid, e.enumlabel FROM pg_catalog.pg_enum e ORDER BY e.enumtypid, e.enumsortorder;
SELECT p.oid, p.*, d.description FROM pg_catalog.pg_proc p
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = p.oid WHERE p.pronamespace = 'public'::regnamespace ORDER BY p.proname;
SELECT sq.oid, sq.relname, d.description FROM pg_catalog.pg_class sq
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = sq.oid AND d.objsubid = 0 WHERE sq.relkind = 'S';
SELECT x.oid, x.*, n.nspname AS schema_name FROM pg_catalog.pg_extension x
JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace ORDER BY x.extname;

-- A table: columns, constraints, indexes, triggers, rules, policies, what depends on it.
SELECT c.relname, a.*, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) AS def_value, dsc.description, dep.objid
FROM pg_catalog.pg_attribute a
INNER JOIN pg_catalog.pg_class c ON (a.attrelid = c.oid)
LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid = ad.adrelid AND a.attnum = ad.adnum)
LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid)
LEFT OUTER JOIN pg_depend dep ON dep.refobjid = a.attrelid AND dep.deptype = 'i' AND dep.refobjsubid = a.attnum AND dep.classid = dep.refclassid
WHERE NOT a.attisdropped AND c.oid = 'people'::regclass ORDER BY a.attnum;
SELECT c.oid, c.*, t.relname AS tabrelname, rt.relnamespace AS refnamespace, d.description,
    CASE WHEN c.contype = 'c' THEN "substring"(pg_get_constraintdef(c.oid), 7) ELSE NULL END consrc_copy
FROM pg_catalog.pg_constraint c
INNER JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid = c.confrelid
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_constraint'::regclass
WHERE c.conrelid = 'people'::regclass ORDER BY c.oid;
SELECT i.*, i.indkey AS keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname AS tabrelname, dsc.description,
    pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) AS expr,
    pg_catalog.pg_relation_size(i.indexrelid) AS index_rel_size
FROM pg_catalog.pg_index i
INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid
LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid
WHERE i.indrelid = 'people'::regclass ORDER BY tabrelname, c.relname;
SELECT t.oid, t.*, d.description FROM pg_catalog.pg_trigger t
LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = t.oid WHERE NOT tgisinternal AND t.tgrelid = 'people'::regclass;
SELECT r.oid, r.*, pg_get_ruledef(r.oid) AS definition FROM pg_catalog.pg_rewrite r WHERE r.ev_class = 'people'::regclass;
SELECT pol.*, pg_get_expr(pol.polqual, pol.polrelid) AS using_expression FROM pg_catalog.pg_policy pol WHERE pol.polrelid = 'people'::regclass;
SELECT DISTINCT dep.deptype, dep.classid, dep.objid, cl.relkind, attr.attname,
    CASE WHEN cl.relkind IN ('r', 'p') THEN CASE WHEN attr.attname IS NOT NULL THEN 'table column' ELSE 'table' END WHEN cl.relkind = 'S' THEN 'sequence' ELSE 'other' END AS type
FROM pg_depend dep
LEFT JOIN pg_class cl ON dep.objid = cl.oid
LEFT JOIN pg_attribute attr ON dep.objid = attr.attrelid AND dep.objsubid = attr.attnum
WHERE dep.refobjid = 'people'::regclass ORDER BY type, classid;
SELECT i.inhparent, i.inhseqno FROM pg_catalog.pg_inherits i WHERE i.inhrelid = 'people'::regclass;
SELECT relacl, (SELECT rolname FROM pg_roles r WHERE r.oid = c.relowner) FROM pg_catalog.pg_class c WHERE c.oid = 'people'::regclass;
SELECT sa.*, current_setting('lock_timeout') FROM pg_catalog.pg_stat_activity sa;
SELECT pg_catalog.pg_get_viewdef('staff'::regclass, true);

-- Grafana: its editor of queries.
SELECT current_setting('server_version_num')::int / 100 AS version;
SELECT extversion FROM pg_extension WHERE extname = 'timescaledb';
SELECT schema_name AS "name" FROM information_schema.schemata WHERE schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_toast') ORDER BY schema_name;
SELECT
    CASE WHEN quote_ident(table_schema) IN (
        SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
        FROM generate_series(
                array_lower(string_to_array(current_setting('search_path'), ','), 1),
                array_upper(string_to_array(current_setting('search_path'), ','), 1)
            ) AS i,
            string_to_array(current_setting('search_path'), ',') s
    )
    THEN quote_ident(table_name)
    ELSE quote_ident(table_schema) || '.' || quote_ident(table_name)
    END AS "table"
FROM information_schema.tables
WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog')
ORDER BY CASE WHEN quote_ident(table_schema) IN (
        SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
        FROM generate_series(
                array_lower(string_to_array(current_setting('search_path'), ','), 1),
                array_upper(string_to_array(current_setting('search_path'), ','), 1)
            ) AS i,
            string_to_array(current_setting('search_path'), ',') s
    ) THEN 0 ELSE 1 END, 1;
SELECT quote_ident(column_name) AS "column", data_type AS "type"
FROM information_schema.columns
WHERE CASE WHEN array_length(parse_ident('people'), 1) = 2
    THEN quote_ident(table_schema) = (parse_ident('people'))[1] AND quote_ident(table_name) = (parse_ident('people'))[2]
    ELSE quote_ident(table_name) = 'people' AND quote_ident(table_schema) IN (
        SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
        FROM generate_series(
                array_lower(string_to_array(current_setting('search_path'), ','), 1),
                array_upper(string_to_array(current_setting('search_path'), ','), 1)
            ) AS i,
            string_to_array(current_setting('search_path'), ',') s
    )
    END;
-- And what its macros write: $__timeGroupAlias, $__timeFilter, $__unixEpochFilter.
SELECT floor(extract(epoch from at) / 300) * 300 AS "time", 'a' AS metric, avg(v) AS value
FROM (VALUES (timestamptz '2026-01-01 00:01:00+00', 1.5), (timestamptz '2026-01-01 00:06:00+00', 2.5)) AS m(at, v)
WHERE at BETWEEN '2026-01-01T00:00:00Z' AND '2026-01-01T01:00:00Z' AND extract(epoch from at) >= 1 GROUP BY 1, 2 ORDER BY 1, 2;
