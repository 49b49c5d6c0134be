#!/usr/bin/env python3
"""Makes the golden answers to the questions, independently of CairnDB.

    pip install duckdb==2.0.0 && python3 examples/flights/answers.py

Each question in `questions/` is run by DuckDB; each that SQLite can run is run by SQLite too, and the two must
agree, or nothing is written. `NAME.sqlite.sql` is SQLite's wording of a question whose syntax it lacks.
Answers are CSV with a header; NULL is an empty field.
"""
import csv, gzip, math, os, shutil, sqlite3, sys, tempfile
import duckdb

HERE = os.path.dirname(os.path.abspath(__file__))
TABLES = ["airlines", "airports", "planes", "weather", "flights"]
DUCKDB_ONLY = {"33-spread", "34-by-week"}


def rows_of(name):
    path = os.path.join(HERE, name + ".csv")
    opener = open(path, newline="") if os.path.exists(path) else gzip.open(path + ".gz", "rt", newline="")
    with opener as f:
        reader = csv.reader(f)
        header = next(reader)
        yield header
        for row in reader:
            yield [None if cell == "NA" else cell for cell in row]


def load(duck, lite):
    schema = open(os.path.join(HERE, "schema.sql")).read()
    duck.execute("SET TimeZone = 'UTC'")
    # DuckDB wants the referenced column named, and checks foreign keys row by row: leave them out.
    duck.execute(schema.replace(" REFERENCES airlines", "").replace(" REFERENCES airports", ""))
    lite.executescript(schema)
    with tempfile.TemporaryDirectory() as tmp:
        for table in TABLES:
            source = os.path.join(HERE, table + ".csv")
            if not os.path.exists(source):
                source = os.path.join(tmp, table + ".csv")
                with gzip.open(os.path.join(HERE, table + ".csv.gz")) as a, open(source, "wb") as b:
                    shutil.copyfileobj(a, b)
            duck.execute(f"COPY {table} FROM '{source}' (FORMAT csv, HEADER, NULLSTR 'NA')")
            rows = rows_of(table)
            width = len(next(rows))
            lite.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * width)})", rows)


def same(a, b):
    if a is None or b is None:
        return a is None and b is None
    try:
        return math.isclose(float(a), float(b), rel_tol=1e-9, abs_tol=0.0051)
    except (TypeError, ValueError):
        return str(a) == str(b)


def main():
    duck, lite = duckdb.connect(), sqlite3.connect(":memory:")
    load(duck, lite)
    questions = os.path.join(HERE, "questions")
    for file in sorted(os.listdir(questions)):
        name = file.removesuffix(".sql")
        if name.endswith(".sqlite"):
            continue
        sql = open(os.path.join(questions, file)).read()
        result = duck.execute(sql)
        header = [column[0] for column in result.description]
        rows = result.fetchall()
        if name not in DUCKDB_ONLY:
            own = os.path.join(questions, name + ".sqlite.sql")
            other = lite.execute(open(own).read() if os.path.exists(own) else sql).fetchall()
            if len(rows) != len(other) or not all(len(x) == len(y) and all(map(same, x, y)) for x, y in zip(rows, other)):
                sys.exit(f"{name}: DuckDB and SQLite disagree\n{rows[:5]}\n{other[:5]}")
        with open(os.path.join(HERE, "answers", name + ".csv"), "w", newline="") as f:
            writer = csv.writer(f, lineterminator="\n")
            writer.writerow(header)
            writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
        print(f"{name}: {len(rows)} rows")


main()
