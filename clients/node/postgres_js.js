// CairnDB through postgres.js: fragments, helpers, types that it looks up, cursors, COPY, listening, transactions, errors.
import assert from "node:assert/strict";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import postgres from "postgres";

const [host, port] = process.env.CAIRN_TCP.split(":");
const sql = postgres({ host, port: Number(port), user: "cairn", database: "cairn", password: process.env.CAIRN_TCP_PASSWORD, onnotice: () => {} });

await sql`CREATE TABLE pj (id int PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now(), j jsonb, a int[], texts text[], n numeric, d date)`;
const people = [...Array(50).keys()].map((n) => ({ id: n, name: `person ${n}`, j: { n }, a: [n, n + 1], texts: ["a", `b"${n}`] }));
await sql`INSERT INTO pj ${sql(people, "id", "name", "j", "a", "texts")}`;
assert.deepEqual([...(await sql`SELECT id, name, j, a, texts FROM pj WHERE id = ${7}`)], [people[7]]);
assert.equal((await sql`SELECT * FROM pj WHERE id IN ${sql([1, 2, 99])}`).length, 2);
assert.equal((await sql`SELECT * FROM pj WHERE id = ANY(${[1, 2, 3]})`).length, 3);
await sql`UPDATE pj SET ${sql({ name: "new", n: "1.50" }, "name", "n")} WHERE id = ${1}`;
const [row] = await sql`SELECT name, n, at FROM pj WHERE id = 1`;
assert.deepEqual([row.name, row.n, row.at instanceof Date], ["new", "1.50", true]);
const described = await sql`SELECT id, name FROM pj WHERE at < ${new Date(0)}`.describe();
assert.deepEqual(described.columns.map((column) => column.type), [23, 25]);

let seen = 0;
await sql`SELECT id FROM pj ORDER BY id`.cursor(20, (rows) => { seen += rows.length; });
assert.equal(seen, 50);

await sql.begin(async (tx) => {
  await tx`INSERT INTO pj (id, name) VALUES (100, 'kept')`;
  await tx.savepoint(async (inner) => { await inner`INSERT INTO pj (id, name) VALUES (101, ${null})`; }).catch((error) => assert.equal(error.code, "23502"));
});
assert.equal((await sql`SELECT count(*)::int AS n FROM pj WHERE id >= 100`)[0].n, 1);

await pipeline(Readable.from(["200\tone\n", "201\ttwo\n"]), await sql`COPY pj (id, name) FROM STDIN`.writable());
const pieces = [];
for await (const piece of await sql`COPY (SELECT name FROM pj WHERE id >= 200 ORDER BY id) TO STDOUT`.readable()) pieces.push(piece);
assert.equal(Buffer.concat(pieces).toString(), "one\ntwo\n");

const heard = new Promise((resolve) => sql.listen("pj_news", resolve));
await new Promise((resolve) => setTimeout(resolve, 200));
await sql.notify("pj_news", "hello");
assert.equal(await heard, "hello");

await assert.rejects(sql`SELECT nothing FROM pj`, { code: "42703" });
await sql.end();
console.log("postgres.js: rows, cursors, transactions, COPY, listening, errors");
