"""CairnDB through psycopg2, which sends simple queries only."""

import datetime
import io
import os

import psycopg2
import psycopg2.extras

connection = psycopg2.connect(host=os.environ["CAIRN_HOST"], port=os.environ["CAIRN_PORT"], user="cairn", dbname="cairn")
with connection, connection.cursor() as cursor:
    cursor.execute("DROP TABLE IF EXISTS p2")
    cursor.execute("CREATE TABLE p2 (id int PRIMARY KEY, name text, day date, tags text[])")
    psycopg2.extras.execute_values(
        cursor,
        "INSERT INTO p2 VALUES %s",
        [(n, f"name {n}", datetime.date(2026, 1, n), ["a", "b,c"]) for n in range(1, 11)],
    )
    cursor.execute("SELECT * FROM p2 WHERE id = %s", (3,))
    assert cursor.fetchone() == (3, "name 3", datetime.date(2026, 1, 3), ["a", "b,c"])
    cursor.copy_from(io.StringIO("11\televen\n12\t\\N\n"), "p2", columns=("id", "name"))
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT id, name FROM p2 WHERE id > 10 ORDER BY id) TO STDOUT", out)
    assert out.getvalue() == "11\televen\n12\t\\N\n"
try:
    with connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM p2")
        cursor.execute("INSERT INTO p2 VALUES (NULL)")
except psycopg2.errors.NotNullViolation as error:
    assert error.diag.column_name == "id"
with connection, connection.cursor("named") as cursor:
    cursor.execute("SELECT id FROM p2 ORDER BY id")
    assert [n for (n,) in cursor] == list(range(1, 13))
# The password, over TCP.
host, port = os.environ["CAIRN_TCP"].split(":")
psycopg2.connect(host=host, port=port, user="cairn", password=os.environ["CAIRN_TCP_PASSWORD"]).close()
try:
    psycopg2.connect(host=host, port=port, user="cairn", password="wrong")
    raise AssertionError("a wrong password came in")
except psycopg2.OperationalError as error:
    assert "password authentication failed" in str(error)
print("psycopg2 ok")
