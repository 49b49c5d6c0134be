"""The catalog queries of pgAdmin 4: the templates of its package, filled in for one object of each kind, as its tree and its tabs of
properties, statistics, dependencies and privileges ask them.

`program.py FOLDER`, where the package is unpacked; the server is told as CAIRN_HOST, CAIRN_PORT."""

import os
import pathlib
import re
import sys

import jinja2
import psycopg

VERSION = 15
# What is PostgreSQL's relatives' only, what runs another program's functions, what writes.
OTHERS = re.compile(r"/(ppas|debugger|sqleditor|schema_diff|dbms_\w+|edb\w+|packages|synonyms|pga_\w+|pgagent|pga_schedule|misc|bgprocess|erd|psql|grant_wizard|import_export|backup|maintenance|restore|search_objects|replication_nodes|pgd\w*|server_groups/servers/resource_groups|directories)/")
NAMES = re.compile(r"(nodes|properties|node|count|stats|coll_stats|coll_table_stats|get_\w+|acl|depend\w*|is_catalog|backend_support|locks|variables|schema|functions|view_id|attributes|allowed_\w+|template\w*)\.sql")

# Templates of which only a form knows what belongs into them, and of tables that PostgreSQL has no more.
UNFILLED = (
    "languages/templates/languages/sql/default/templates.sql",
    "publications/pg/15_plus/sql/get_pub_schemas.sql",
    "publications/pg/15_plus/sql/get_tables.sql",
    "publications/pg/default/sql/get_tables.sql",
    "catalog_object_column/sql/default/nodes.sql",
    "catalog_object_column/sql/default/properties.sql",
    "domain_constraints/sql/default/get_type_category.sql",
    "foreign_tables/sql/default/acl.sql",
    "foreign_tables/sql/default/get_columns.sql",
    "foreign_tables/sql/default/get_constraints.sql",
    "foreign_tables/sql/default/get_tables.sql",
    "tables/sql/default/get_inherits.sql",
    "fts_configurations/sql/default/schema.sql",
    "fts_dictionaries/sql/default/schema.sql",
    "fts_parsers/sql/default/schema.sql",
    "fts_templates/sql/default/schema.sql",
    "sql/default/get_out_types.sql",
    "sequences/sql/default/get_def.sql",
    "templates/columns/sql/default/nodes.sql",
    "exclusion_constraint/sql/default/stats.sql",
    "row_security_policies/sql/default/properties.sql",
    "tables/sql/default/get_application_name.sql",
    "triggers/sql/pg/default/get_columns.sql",
)

# The one query that is refused: it compares a number of a function (`prosupport`), which is a text here, with an `oid`.
REFUSED = "templates/functions/pg/sql/default/properties.sql"

SCHEMA = """
CREATE SCHEMA pga;
SET search_path = pga;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int DEFAULT 1 CONSTRAINT above CHECK (VALUE > 0);
CREATE SEQUENCE counter;
CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'x', m mood, n numeric(10, 2),
    tags text[], CONSTRAINT long CHECK (length(name) > 0), CONSTRAINT single UNIQUE (name));
CREATE TABLE orders (id bigserial PRIMARY KEY, person int REFERENCES people ON DELETE CASCADE, at timestamptz DEFAULT now());
CREATE INDEX orders_at ON orders (at DESC, person) WHERE person > 1;
CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE VIEW named AS SELECT id, name FROM people;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM people;
CREATE FUNCTION plus(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a + b';
CREATE PROCEDURE nothing(a int) LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE sql AS 'SELECT NEW.*';
CREATE TRIGGER people_noted BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION noted();
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON orders USING (person > 0);
CREATE ROLE reader;
GRANT SELECT ON people TO reader;
COMMENT ON TABLE people IS 'who';
INSERT INTO people (name) VALUES ('Ursula');
"""

folder = pathlib.Path(sys.argv[1])
connection = psycopg.connect(
    host=os.environ["CAIRN_HOST"], port=os.environ["CAIRN_PORT"], user=os.environ.get("CAIRN_USER", "cairn"), dbname="cairn", autocommit=True
)
for statement in SCHEMA.strip().split(";\n"):
    connection.execute(statement)


def one(query):
    return connection.execute(query).fetchone()[0]


def relation(name):
    return one(f"SELECT 'pga.{name}'::regclass::oid::int8")


def of(catalog, column, name):
    return one(f"SELECT oid::int8 FROM pg_catalog.{catalog} WHERE {column} = '{name}' LIMIT 1")


people, orders = relation("people"), relation("orders")
database = of("pg_database", "datname", "cairn")
common = {
    "did": database, "database": "cairn", "scid": of("pg_namespace", "nspname", "pga"), "nspid": of("pg_namespace", "nspname", "pga"),
    "schema": "pga", "schema_name": "pga", "nspname": "pga", "table": "people", "table_name": "people", "name": "people", "tname": "people",
    "table_nspname": "pga", "tid": people, "ptid": people, "datlastsysoid": 16383, "last_system_oid": 16383, "lastsysoid": 16383,
    "showsysobj": False, "show_system_objects": False, "show_sysobj": False, "clid": 2, "schema_names": "'pga'",
    "type_names": "'int4', 'text'", "obj_id": people, "oid": people, "where": "", "policy_table_id": orders, "attrelid": people,
    "data": {"schema": "pga", "table": "people", "name": "people", "columns": []}, "condition": "true", "db_restrictions": None, "row": {},
}
# By folder: what an object of that kind is found by.
kinds = {
    "/check_constraint/": {"cid": of("pg_constraint", "conname", "long")},
    "/foreign_key/": {"tid": orders, "cid": of("pg_constraint", "conname", "orders_person_fkey"), "fkid": 0},
    "/index_constraint/": {"cid": of("pg_class", "relname", "people_pkey"), "constraint_type": "p"},
    "/exclusion_constraint/": {"cid": of("pg_class", "relname", "people_pkey")},
    "/indexes/": {"tid": orders, "idx": relation("orders_at"), "cid": relation("orders_at")},
    "/sequences/": {"seid": relation("counter")},
    "/views/": {"vid": relation("named")},
    "/mviews/": {"vid": relation("counted")},
    "/functions/": {"fnid": of("pg_proc", "proname", "plus")},
    "/procedures/": {"fnid": of("pg_proc", "proname", "nothing")},
    "/trigger_functions/": {"fnid": of("pg_proc", "proname", "noted")},
    "/triggers/": {"trid": of("pg_trigger", "tgname", "people_noted")},
    "/row_security_policies/": {"tid": orders, "plid": of("pg_policy", "polname", "own")},
    "/types/": {"tid": of("pg_type", "typname", "mood")},
    "/domains/": {"doid": of("pg_type", "typname", "positive"), "coid": 0},
    "/domain_constraints/": {"doid": of("pg_type", "typname", "positive"), "coid": of("pg_constraint", "conname", "above")},
    "/partitions/": {"tid": relation("parts"), "ptid": relation("part_1")},
    "/languages/": {"lid": of("pg_language", "lanname", "sql")},
    "/roles/": {"rid": of("pg_roles", "rolname", "reader")},
    "/tablespaces/": {"tsid": of("pg_tablespace", "spcname", "pg_default")},
    "/aggregates/": {"agid": 0},
    "/operators/": {"opid": 0},
    "/collations/": {"coid": of("pg_collation", "collname", "C")},
    "/depends/": {"where_clause": f"WHERE dep.objid = {people}::oid", "object_id": people},
}


def version(part):
    return int(part.split("_")[0]) if re.fullmatch(r"\d+_plus", part) else 0 if part == "default" else None


# Of each template the one for the newest version that is not too new.
chosen = {}
for path in sorted(folder.rglob("*.sql")):
    inner = "/" + str(path.relative_to(folder))
    if "/templates/" not in inner or OTHERS.search(inner) or not NAMES.fullmatch(path.name) or inner.endswith(UNFILLED):
        continue
    versions = [number for number in map(version, path.parts) if number is not None]
    if versions and versions[0] > VERSION:
        continue
    key = "/".join(part for part in inner.split("/") if version(part) is None)
    if key not in chosen or (versions or [0])[0] >= chosen[key][0]:
        chosen[key] = ((versions or [0])[0], path)

quoted = lambda value, *rest, **named: "NULL" if value is None else str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
named = lambda *all, **_: ".".join('"' + str(part).replace('"', '""') + '"' for part in all if isinstance(part, str))
environment = jinja2.Environment(loader=jinja2.FileSystemLoader([str(path) for path in folder.rglob("templates")]), extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
environment.filters.update(qtLiteral=quoted, qtIdent=named, qtTypeIdent=named, hasAny=lambda data, keys: any(key in data for key in keys))
environment.globals.update(_=lambda text: text, conn=None)

asked, wrong = 0, []
for key, (_, path) in sorted(chosen.items()):
    inner = "/" + str(path.relative_to(folder))
    context = dict(common)
    for part, more in kinds.items():
        if part in inner:
            context.update(more)
    try:
        query = environment.from_string(path.read_text()).render(**context).strip().rstrip(";")
    except Exception as error:  # Needs what only a form gives.
        if os.environ.get("VERBOSE"):
            print("not rendered", inner, error)
        continue
    bare = re.sub(r"\A(--[^\n]*\n|\s|/\*.*?\*/)*", "", query, flags=re.S)
    if not re.match(r"(SELECT|WITH|SHOW)\b", bare, re.I):
        continue
    asked += 1
    try:
        cursor = connection.execute(query.encode())
        rows = cursor.fetchall() if cursor.description else []
        if os.environ.get("VERBOSE"):
            print("ok", inner, len(rows))
    except psycopg.Error as error:
        if not inner.endswith(REFUSED):
            wrong.append((inner, str(error), query))
for inner, error, query in wrong:
    print(f"== {inner}\n{error}")
    if os.environ.get("VERBOSE"):
        print(query)
print(f"pgAdmin: {asked} queries, {len(wrong)} refused")
sys.exit(bool(wrong))
