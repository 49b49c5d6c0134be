"""CairnDB through psycopg 3: connect, migrate, insert, query, transactions, COPY, pipelines, errors."""

import datetime
import decimal
import os
import uuid

import psycopg
from psycopg.types.json import Jsonb

DSN = f"host={os.environ['CAIRN_HOST']} port={os.environ['CAIRN_PORT']} user=cairn dbname=cairn"


def values(connection):
    connection.execute(
        "CREATE TABLE p3 (id int PRIMARY KEY, n numeric(12,3), d date, at timestamptz, j jsonb, a int[], u uuid,"
        " b bytea, f float8, t text)"
    )
    row = (
        1,
        decimal.Decimal("1.500"),
        datetime.date(2020, 2, 29),
        datetime.datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc),
        {"a": [1, None]},
        [1, None, 3],
        uuid.UUID(int=7),
        b"\x00\xff",
        float("inf"),
        "grün\n",
    )
    given = list(row)
    given[4] = Jsonb(row[4])
    connection.execute("INSERT INTO p3 VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)", given)
    connection.commit()
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        assert cursor.execute("SELECT * FROM p3 WHERE id = %s", (1,)).fetchone() == row


def cursors(connection):
    with connection.cursor(name="some") as cursor:
        cursor.itersize = 100
        cursor.execute("SELECT n FROM generate_series(1, 1000) AS s(n)")
        assert sum(n for (n,) in cursor) == 500500
    connection.commit()


def copy(connection):
    with connection.cursor().copy("COPY p3 (id, t) FROM STDIN") as copy:
        for n in range(2, 1002):
            copy.write_row((n, f"tab\t{n}"))
    connection.commit()
    with connection.cursor().copy("COPY (SELECT id, t FROM p3 WHERE id > 1 ORDER BY id) TO STDOUT") as copy:
        rows = list(copy.rows())
    assert len(rows) == 1000 and rows[0] == ("2", "tab\t2")
    with connection.cursor().copy("COPY p3 (id, t) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "text"])
        for n in range(2000, 2010):
            copy.write_row((n, None if n % 2 else f"tab\t{n}"))
    connection.commit()
    with connection.cursor().copy("COPY (SELECT id, t FROM p3 WHERE id >= 2000 ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int4", "text"])
        rows = list(copy.rows())
    assert rows[:2] == [(2000, "tab\t2000"), (2001, None)] and len(rows) == 10


def transactions(connection):
    try:
        with connection.transaction():
            connection.execute("INSERT INTO p3 (id) VALUES (5000)")
            with connection.transaction():
                connection.execute("SELECT 1/0")
    except psycopg.errors.DivisionByZero as error:
        assert error.diag.sqlstate == "22012"
    assert connection.execute("SELECT count(*) FROM p3 WHERE id = 5000").fetchone() == (0,)
    try:
        connection.execute("INSERT INTO p3 (id) VALUES (1)")
    except psycopg.errors.UniqueViolation as error:
        assert error.diag.constraint_name == "p3_pkey"
    connection.rollback()


def pipelines(connection):
    with connection.pipeline():
        for n in range(6000, 6100):
            connection.execute("INSERT INTO p3 (id) VALUES (%s)", (n,))
    connection.commit()
    assert connection.execute("SELECT count(*) FROM p3 WHERE id >= 6000").fetchone() == (100,)
    # executemany is a pipeline, too.
    connection.cursor().executemany("DELETE FROM p3 WHERE id = %s", [(n,) for n in range(6000, 6100)])
    connection.commit()


def notifications(connection):
    with psycopg.connect(DSN, autocommit=True) as listening:
        listening.execute("LISTEN orders")
        connection.execute("SELECT pg_notify('orders', %s)", ("number 7",))
        assert list(listening.notifies(timeout=0)) == []
        connection.commit()
        message = next(listening.notifies(timeout=60, stop_after=1))
        assert (message.channel, message.payload, message.pid) == ("orders", "number 7", connection.info.backend_pid)


with psycopg.connect(DSN) as connection:
    assert connection.info.server_version >= 150000
    connection.execute("DROP TABLE IF EXISTS p3")
    for part in (values, cursors, copy, transactions, pipelines, notifications):
        part(connection)
        print(f"psycopg 3: {part.__name__} ok")
