"""CairnDB through asyncpg, which speaks binary only and asks the catalogs for types."""

import asyncio
import os

import asyncpg


async def main():
    connection = await asyncpg.connect(
        host=os.environ["CAIRN_HOST"], port=int(os.environ["CAIRN_PORT"]), user="cairn", database="cairn"
    )
    await connection.execute("DROP TABLE IF EXISTS pa; CREATE TABLE pa (id int PRIMARY KEY, name text, tags text[])")
    assert await connection.fetchval("SELECT $1::int + $2::int", 3, 4) == 7
    await connection.executemany("INSERT INTO pa VALUES ($1, $2, $3)", [(n, str(n), ["x", None]) for n in range(100)])
    row = await connection.fetchrow("SELECT * FROM pa WHERE id = $1", 7)
    assert dict(row) == {"id": 7, "name": "7", "tags": ["x", None]}
    async with connection.transaction():
        seen = [record["id"] async for record in connection.cursor("SELECT id FROM pa ORDER BY id", prefetch=7)]
    assert seen == list(range(100))
    try:
        async with connection.transaction():
            await connection.execute("DELETE FROM pa")
            await connection.fetch("SELECT 1/0")
    except asyncpg.DivisionByZeroError:
        pass
    assert await connection.fetchval("SELECT count(*) FROM pa") == 100
    await connection.close()


asyncio.run(main())
print("asyncpg ok")
