// CairnDB through node-postgres: values, pools, transactions, cursors, COPY, notifications, errors.
import assert from "node:assert/strict";
import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import pg from "pg";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import QueryStream from "pg-query-stream";

const local = { host: process.env.CAIRN_HOST, port: Number(process.env.CAIRN_PORT), user: "cairn", database: "cairn" };
const pool = new pg.Pool({ ...local, max: 4 });

async function values() {
  await pool.query(`CREATE TYPE np_mood AS ENUM ('calm', 'merry');
    CREATE TABLE np (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n numeric(12,3), at timestamptz, j jsonb,
      a int[], u uuid, b bytea, f float8, t text, m np_mood, big bigint, ok boolean)`);
  const row = ["1.500", new Date("2020-01-02T03:04:05.678Z"), { a: [1, null] }, [1, null, 3],
    "00000000-0000-0000-0000-000000000007", Buffer.from([0, 255]), Infinity, "grün\n", "merry", "9007199254740993", true];
  const inserted = await pool.query(
    "INSERT INTO np (n, at, j, a, u, b, f, t, m, big, ok) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11) RETURNING *", row);
  const { id, ...rest } = inserted.rows[0];
  assert.equal(id, 1);
  assert.deepEqual(Object.values(rest), row);
  const again = await pool.query({ name: "by-id", text: "SELECT t, m FROM np WHERE id = ANY($1)", values: [[1, 2]] });
  assert.deepEqual(again.rows, [{ t: "grün\n", m: "merry" }]);
  const arrays = await pool.query({ text: "SELECT a, t FROM np WHERE m = $1", values: ["merry"], rowMode: "array" });
  assert.deepEqual(arrays.rows, [[[1, null, 3], "grün\n"]]);
  assert.deepEqual(arrays.fields.map((field) => [field.name, field.dataTypeID]), [["a", 1007], ["t", 25]]);
  const several = await pool.query("SELECT 1 AS a; SELECT 2 AS b");
  assert.deepEqual(several.map((result) => result.rows[0]), [{ a: 1 }, { b: 2 }]);
}

async function transactions() {
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query("INSERT INTO np (t) VALUES ('lost')");
  await assert.rejects(client.query("INSERT INTO np (n) VALUES (1e12)"), { code: "22003" });
  await assert.rejects(client.query("SELECT 1"), { code: "25P02" });
  await client.query("ROLLBACK");
  client.release();
  const { rows } = await pool.query("SELECT count(*)::int AS n FROM np WHERE t = $1", ["lost"]);
  assert.deepEqual(rows, [{ n: 0 }]);
}

async function streams() {
  const client = await pool.connect();
  await client.query("CREATE TABLE np_copy (id int PRIMARY KEY, t text)");
  const lines = Readable.from((function* () { for (let n = 0; n < 5000; n++) yield `${n}\trow ${n}\n`; })());
  await pipeline(lines, client.query(copyFrom("COPY np_copy FROM STDIN")));
  let sum = 0;
  for await (const row of client.query(new QueryStream("SELECT id FROM np_copy WHERE id < $1", [1000], { batchSize: 64 }))) sum += row.id;
  assert.equal(sum, 499500);
  const pieces = [];
  for await (const piece of client.query(copyTo("COPY (SELECT id FROM np_copy WHERE id < 3 ORDER BY id) TO STDOUT"))) pieces.push(piece);
  assert.equal(Buffer.concat(pieces).toString(), "0\n1\n2\n");
  client.release();
}

async function notifications() {
  const listener = await pool.connect();
  await listener.query("LISTEN np_news");
  const heard = once(listener, "notification");
  await pool.query("SELECT pg_notify('np_news', $1)", ["hello"]);
  const [message] = await heard;
  assert.equal(message.payload, "hello");
  listener.release(true);
}

async function errors() {
  await assert.rejects(pool.query("SELECT nothing FROM np"), { code: "42703", position: "8" });
  await assert.rejects(pool.query("INSERT INTO np_copy VALUES (1, 'again')"), { code: "23505", constraint: "np_copy_pkey", table: "np_copy" });
  const [host, port] = process.env.CAIRN_TCP.split(":");
  const wrong = new pg.Client({ host, port: Number(port), user: "cairn", database: "cairn", password: "wrong" });
  await assert.rejects(wrong.connect(), { code: "28P01" });
  const right = new pg.Client({ host, port: Number(port), user: "cairn", database: "cairn", password: process.env.CAIRN_TCP_PASSWORD });
  await right.connect();
  assert.equal((await right.query("SELECT current_user AS me")).rows[0].me, "cairn");
  await right.end();
}

await values();
await transactions();
await streams();
await notifications();
await errors();
await pool.end();
console.log("node-postgres: values, transactions, streams, notifications, errors");
