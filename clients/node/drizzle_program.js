// CairnDB through Drizzle over node-postgres: typed tables, relations with lateral joins, transactions, upserts.
import assert from "node:assert/strict";
import { desc, eq, relations, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, jsonb, numeric, pgTable, serial, text, timestamp } from "drizzle-orm/pg-core";
import pg from "pg";

const people = pgTable("dz_people", {
  id: serial("id").primaryKey(),
  name: text("name").notNull().unique(),
  data: jsonb("data"),
  tags: text("tags").array(),
  seen: timestamp("seen", { withTimezone: true }).defaultNow(),
});
const orders = pgTable("dz_orders", {
  id: serial("id").primaryKey(),
  personId: integer("person_id").references(() => people.id),
  total: numeric("total", { precision: 10, scale: 2 }).notNull(),
});
const peopleRelations = relations(people, ({ many }) => ({ orders: many(orders) }));
const ordersRelations = relations(orders, ({ one }) => ({ person: one(people, { fields: [orders.personId], references: [people.id] }) }));

const pool = new pg.Pool({ host: process.env.CAIRN_HOST, port: Number(process.env.CAIRN_PORT), user: "cairn", database: "cairn" });
const db = drizzle(pool, { schema: { people, orders, peopleRelations, ordersRelations } });

await db.execute(sql`CREATE TABLE dz_people (id serial PRIMARY KEY, name text NOT NULL UNIQUE, data jsonb, tags text[], seen timestamptz DEFAULT now())`);
await db.execute(sql`CREATE TABLE dz_orders (id serial PRIMARY KEY, person_id int REFERENCES dz_people, total numeric(10,2) NOT NULL)`);
const inserted = await db.insert(people).values([1, 2, 3].map((n) => ({ name: `person ${n}`, data: { n }, tags: ["a", `${n}`] }))).returning({ id: people.id });
await db.insert(orders).values(inserted.flatMap(({ id }) => [10, 20].map((k) => ({ personId: id, total: String(id * k) }))));
const found = await db.query.people.findMany({
  where: (p, { gt }) => gt(p.id, 1),
  orderBy: (p) => p.id,
  columns: { name: true, tags: true },
  with: { orders: { columns: { total: true }, orderBy: (o) => desc(o.total), limit: 1 } },
});
assert.deepEqual(found.map((p) => [p.name, p.tags, p.orders.map((o) => Number(o.total))]), [["person 2", ["a", "2"], [40]], ["person 3", ["a", "3"], [60]]]);
const one = await db.query.orders.findFirst({ with: { person: true }, orderBy: (o) => o.id });
assert.equal(one.person.name, "person 1");
const joined = await db.select({ name: people.name, total: sql`sum(${orders.total})`.mapWith(Number) }).from(people)
  .leftJoin(orders, eq(orders.personId, people.id)).groupBy(people.name).orderBy(people.name);
assert.deepEqual(joined.map((row) => row.total), [30, 60, 90]);
await db.insert(people).values({ name: "person 1" }).onConflictDoUpdate({ target: people.name, set: { data: { n: 7 } } });
assert.deepEqual((await db.select().from(people).where(eq(people.name, "person 1")))[0].data, { n: 7 });
await assert.rejects(db.transaction(async (tx) => {
  await tx.update(people).set({ name: "gone" }).where(eq(people.id, 1));
  await tx.insert(people).values({ name: "person 2" });
}));
assert.equal((await db.select().from(people).where(eq(people.name, "gone"))).length, 0);
await pool.end();
console.log("Drizzle: tables, relations, transactions, upserts");
