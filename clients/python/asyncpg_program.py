"""CairnDB through asyncpg: types that it looks up, pools, COPY, cursors, notifications, errors."""

import asyncio
import datetime
import decimal
import os
import uuid

import asyncpg

HOST = os.environ["CAIRN_HOST"]


async def values(connection):
    await connection.execute(
        "CREATE TYPE ap_mood AS ENUM ('calm', 'merry');"
        "CREATE DOMAIN ap_positive AS int CHECK (VALUE > 0);"
        "CREATE TYPE ap_point AS (x int, y float8);"
        "CREATE TABLE ap (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n numeric(12,3), d date, at timestamptz, j jsonb,"
        " a int[], texts text[], u uuid, b bytea, f float8, t text, m ap_mood, moods ap_mood[], p ap_positive, c ap_point,"
        " span interval, r int4range, ip inet)"
    )
    row = (
        decimal.Decimal("1.500"),
        datetime.date(2020, 2, 29),
        datetime.datetime(2020, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc),
        '{"a": [1, null]}',
        [1, None, 3],
        ["a", None, 'b"c'],
        uuid.UUID(int=7),
        b"\x00\xff",
        float("inf"),
        "grün\n",
        "merry",
        ["calm", "merry"],
        7,
        (1, 2.5),
        datetime.timedelta(days=1, seconds=2),
        asyncpg.Range(1, 5),
        "10.0.0.1",
    )
    names = "n, d, at, j, a, texts, u, b, f, t, m, moods, p, c, span, r, ip"
    places = ", ".join(f"${n + 1}" for n in range(len(row)))
    identity = await connection.fetchval(f"INSERT INTO ap ({names}) VALUES ({places}) RETURNING id", *row)
    assert identity == 1
    back = await connection.fetchrow(f"SELECT {names} FROM ap WHERE id = $1", identity)
    assert tuple(back)[:-1] == row[:-1], back
    assert str(back["ip"]) == "10.0.0.1"
    assert await connection.fetchval("SELECT count(*) FROM ap WHERE id = ANY($1)", [1, 2]) == 1
    assert await connection.fetchval("SELECT count(*) FROM ap WHERE m = ANY($1)", ["merry"]) == 1
    number = await connection.fetchval("SELECT oid FROM pg_class WHERE relname = $1", "ap")
    assert await connection.fetchval("SELECT relname FROM pg_class WHERE oid = $1", number) == "ap"
    assert await connection.fetchval("SELECT $1::oid", 2**32 - 1) == 2**32 - 1
    json = await connection.fetchval("SELECT j -> 'a' FROM ap")
    assert json == "[1, null]"


async def copy(connection):
    await connection.execute("CREATE TABLE ap_copy (id int, t text, at timestamptz)")
    moment = datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc)
    records = [(n, f"row {n}", moment) for n in range(1000)]
    assert await connection.copy_records_to_table("ap_copy", records=records) == "COPY 1000"
    chunks = []

    async def keep(chunk):
        chunks.append(chunk)

    await connection.copy_from_query("SELECT id FROM ap_copy WHERE id < $1", 10, output=keep, format="csv")
    assert b"".join(chunks).split() == [str(n).encode() for n in range(10)]


async def transactions(connection):
    async with connection.transaction():
        total = 0
        async for record in connection.cursor("SELECT id FROM ap_copy", prefetch=100):
            total += record["id"]
        assert total == 499500
    try:
        async with connection.transaction(isolation="serializable"):
            await connection.execute("DELETE FROM ap_copy")
            async with connection.transaction():
                await connection.execute("INSERT INTO ap (p) VALUES (-1)")
    except asyncpg.CheckViolationError as error:
        assert error.sqlstate == "23514"
    assert await connection.fetchval("SELECT count(*) FROM ap_copy") == 1000
    await connection.executemany("UPDATE ap_copy SET t = $2 WHERE id = $1", [(n, "new") for n in range(50)])
    assert await connection.fetchval("SELECT count(*) FROM ap_copy WHERE t = 'new'") == 50


async def notifications(connection, other):
    heard = asyncio.Queue()

    def hear(_connection, _process, _channel, payload):
        heard.put_nowait(payload)

    await connection.add_listener("ap_news", hear)
    await other.execute("NOTIFY ap_news, 'hello'")
    assert await asyncio.wait_for(heard.get(), 30) == "hello"
    await connection.remove_listener("ap_news", hear)


async def errors(connection):
    try:
        await connection.fetch("SELECT nothing FROM ap")
        raise AssertionError("no error")
    except asyncpg.UndefinedColumnError as error:
        assert error.position == "8", error.position
    try:
        await asyncio.wait_for(connection.execute("SELECT pg_sleep(60)"), 0.5)
        raise AssertionError("no timeout")
    except asyncio.TimeoutError:
        pass
    assert await connection.fetchval("SELECT 1") == 1


async def main():
    async with asyncpg.create_pool(host=HOST, user="cairn", database="cairn", min_size=2, max_size=4) as pool:
        async with pool.acquire() as connection:
            await values(connection)
            await copy(connection)
            await transactions(connection)
            async with pool.acquire() as other:
                await notifications(connection, other)
            await errors(connection)
    host, port = os.environ["CAIRN_TCP"].split(":")
    connection = await asyncpg.connect(
        host=host, port=int(port), user="cairn", database="cairn", password=os.environ["CAIRN_TCP_PASSWORD"]
    )
    assert await connection.fetchval("SELECT count(*) FROM ap") == 1
    await connection.close()


asyncio.run(main())
print("asyncpg: values, COPY, transactions, notifications, errors")
