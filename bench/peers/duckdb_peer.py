#!/usr/bin/env python3
"""DuckDB's side of the SQL work. `duckdb_peer.py CASE DIRECTORY QUICK DATA`; prints its figures as JSON.

DATA is a directory with plain CSV files, the flights also as .gz; schema.sql and questions/ stand beside this
file's repository. Every write is durable: a database on disk, default settings.
"""
import json, os, sys, time
import duckdb

case, directory, quick, data = sys.argv[1], sys.argv[2], sys.argv[3] == "1", sys.argv[4]
example = "tpch" if case == "tpch" else "flights"
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples", example)
os.makedirs(directory, exist_ok=True)
connection = duckdb.connect(os.path.join(directory, "bench.duckdb"))
connection.execute("SET TimeZone = 'UTC'")
TABLES = ["airlines", "airports", "planes", "weather", "flights"]
NULL = "NA"
INDEXES = [
    "CREATE INDEX flights_tailnum_idx ON flights (tailnum)",
    "CREATE INDEX weather_origin_time_idx ON weather (origin, year, month, day, hour)",
]
if case == "tpch":
    TABLES = ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"]
    NULL = ""
    INDEXES = []  # they serve no query of DuckDB's


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def load(table, name):
    connection.execute(f"COPY {table} FROM '{data}/{name}' (FORMAT csv, HEADER, NULLSTR '{NULL}')")


def questions():
    all = os.path.join(folder, "questions")
    for file in sorted(os.listdir(all)):
        if file.endswith(".sql") and not file.endswith(".sqlite.sql"):
            yield file.removesuffix(".sql"), open(os.path.join(all, file)).read()


def schema():
    text = open(os.path.join(folder, "schema.sql")).read()
    # DuckDB wants the referenced column named.
    text = text.replace(" REFERENCES airlines", " REFERENCES airlines(carrier)")
    connection.execute(text.replace(" REFERENCES airports", " REFERENCES airports(faa)"))


figures = {}
if case in ("load", "load_gz"):
    schema()
    for table in TABLES[:-1]:
        load(table, table + ".csv")
    figures["seconds"] = timed(lambda: load("flights", "flights.csv" + (".gz" if case == "load_gz" else "")))
elif case in ("questions", "tpch"):

    def tables():
        schema()
        for table in TABLES:
            load(table, table + ".csv")
        for index in INDEXES:
            connection.execute(index)

    figures["loaded"] = timed(tables)
    for name, sql in questions():
        rows = len(connection.execute(sql).fetchall())
        runs = sorted(timed(lambda: connection.execute(sql).fetchall()) for _ in range(1 if quick else 3))
        figures[name] = runs[len(runs) // 2]
        figures[name + " rows"] = rows
elif case == "insert":
    rows = 1_000 if quick else 5_000
    connection.execute("CREATE TABLE t (id integer PRIMARY KEY, name text, amount double precision)")

    def insert():
        connection.begin()
        for i in range(rows):
            connection.execute("INSERT INTO t VALUES ($1, $2, $3)", [i, f"name {i}", i / 8])
        connection.commit()

    figures["rate"] = rows / timed(insert)
elif case in ("select", "unprepared"):
    rows, reads = 100_000, 2_000 if quick else 10_000
    connection.execute(
        "CREATE TABLE t AS SELECT i::integer AS id, 'name ' || i AS name, i / 8.0 AS amount FROM range(100000) r(i)"
    )
    connection.execute("ALTER TABLE t ADD PRIMARY KEY (id)")

    def select():
        for i in range(reads):
            if case == "select":
                connection.execute("SELECT name, amount FROM t WHERE id = $1", [i * 7919 % rows]).fetchall()
            else:
                connection.execute(f"SELECT name, amount FROM t WHERE id = {i * 7919 % rows}").fetchall()

    select()
    figures["rate"] = reads / timed(select)
else:
    sys.exit(f"no case named {case}")
print(json.dumps(figures))
