// CairnDB through Knex: migrations, schema builder, query builder, transactions, upserts, column information.
import assert from "node:assert/strict";
import knex from "knex";

const db = knex({
  client: "pg",
  connection: { host: process.env.CAIRN_HOST, port: Number(process.env.CAIRN_PORT), user: "cairn", database: "cairn" },
});

const migrations = [
  {
    name: "1_people",
    up: (k) => k.schema.createTable("kx_people", (t) => {
      t.increments("id");
      t.string("name", 40).notNullable().unique();
      t.jsonb("data").defaultTo("{}");
      t.enu("mood", ["calm", "merry"]);
      t.timestamps(true, true);
    }),
    down: (k) => k.schema.dropTable("kx_people"),
  },
  {
    name: "2_orders",
    up: (k) => k.schema.createTable("kx_orders", (t) => {
      t.bigIncrements("id");
      t.integer("person_id").references("id").inTable("kx_people").onDelete("CASCADE").index();
      t.decimal("total", 10, 2).notNullable();
    }),
    down: (k) => k.schema.dropTable("kx_orders"),
  },
  {
    name: "3_born",
    up: (k) => k.schema.alterTable("kx_people", (t) => { t.date("born"); t.renameColumn("data", "details"); t.string("name", 80).notNullable().alter(); }),
    down: (k) => k.schema.alterTable("kx_people", (t) => { t.dropColumn("born"); t.renameColumn("details", "data"); }),
  },
];
const migrationSource = {
  getMigrations: async () => migrations,
  getMigrationName: (migration) => migration.name,
  getMigration: async (migration) => migration,
};

const [, done] = await db.migrate.latest({ migrationSource });
assert.equal(done.length, 3);
assert.ok(await db.schema.hasTable("kx_orders"));
assert.ok(await db.schema.hasColumn("kx_people", "details"));
const info = await db("kx_people").columnInfo();
assert.deepEqual([info.name.type, info.name.maxLength, info.name.nullable], ["character varying", 80, false]);

await db("kx_people").insert([...Array(10).keys()].map((n) => ({ name: `person ${n}`, mood: n % 2 ? "merry" : "calm", details: { n } })));
const ids = await db("kx_people").orderBy("id").pluck("id");
await db.batchInsert("kx_orders", ids.flatMap((id) => [1, 2, 3].map((k) => ({ person_id: id, total: id * 10 + k }))), 7);
const totals = await db("kx_people as p").join("kx_orders as o", "o.person_id", "p.id").groupBy("p.mood")
  .select("p.mood").sum({ total: "o.total" }).countDistinct({ people: "p.id" }).orderBy("p.mood");
assert.deepEqual(totals, [{ mood: "calm", total: "780.00", people: "5" }, { mood: "merry", total: "930.00", people: "5" }]);
await db("kx_people").insert({ name: "person 1", mood: "calm" }).onConflict("name").merge(["mood"]);
assert.equal((await db("kx_people").where({ name: "person 1" }).first()).mood, "calm");
assert.equal((await db("kx_people").whereRaw("details @> ?", [{ n: 3 }])).length, 1);
assert.equal((await db("kx_people").where("name", "ilike", "PERSON%").whereIn("id", ids.slice(0, 3))).length, 3);
await assert.rejects(db.transaction(async (trx) => {
  await trx("kx_people").where({ name: "person 2" }).del();
  await trx("kx_people").insert({ name: "person 3" });
}), { code: "23505" });
assert.equal(Number((await db("kx_people").count({ n: "*" }).first()).n), 10);
await db.migrate.rollback({ migrationSource }, true);
assert.equal(await db.schema.hasTable("kx_people"), false);
await db.destroy();
console.log("Knex: migrations, queries, upserts, transactions");
