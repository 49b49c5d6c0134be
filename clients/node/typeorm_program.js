// CairnDB through TypeORM: schema synchronisation (which reads the catalog back), repositories, relations, query builder.
import "reflect-metadata";
import assert from "node:assert/strict";
import typeorm from "typeorm";

const { DataSource, EntitySchema, MoreThan } = typeorm;
const Person = new EntitySchema({
  name: "Person",
  tableName: "to_people",
  columns: {
    id: { type: "int", primary: true, generated: true },
    name: { type: "varchar", length: 40, unique: true },
    mood: { type: "enum", enum: ["calm", "merry"], default: "calm" },
    data: { type: "jsonb", nullable: true },
    tags: { type: "text", array: true, nullable: true },
    seen: { type: "timestamptz", createDate: true },
  },
  relations: { orders: { type: "one-to-many", target: "Order", inverseSide: "person", cascade: true } },
});
const Order = new EntitySchema({
  name: "Order",
  tableName: "to_orders",
  columns: { id: { type: "int", primary: true, generated: true }, total: { type: "numeric", precision: 10, scale: 2 } },
  relations: { person: { type: "many-to-one", target: "Person", joinColumn: true, onDelete: "CASCADE", inverseSide: "orders" } },
  indices: [{ columns: ["total"] }],
});
const source = new DataSource({
  type: "postgres", host: process.env.CAIRN_HOST, port: Number(process.env.CAIRN_PORT), username: "cairn", database: "cairn",
  entities: [Person, Order], synchronize: true,
});
await source.initialize();
// What it reads back is what it asks for: nothing is left to change.
await source.synchronize();
assert.equal((await source.driver.createSchemaBuilder().log()).upQueries.length, 0);
const people = source.getRepository("Person");
await people.save([1, 2, 3].map((n) => ({ name: `person ${n}`, data: { n }, tags: [`t${n}`], orders: [{ total: n }, { total: n * 10 }] })));
const found = await people.find({ where: { id: MoreThan(1) }, relations: { orders: true }, order: { id: "ASC", orders: { total: "DESC" } } });
assert.deepEqual(found.map((p) => [p.name, p.mood, p.tags, p.orders.map((o) => Number(o.total))]),
  [["person 2", "calm", ["t2"], [20, 2]], ["person 3", "calm", ["t3"], [30, 3]]]);
const [page, count] = await people.findAndCount({ relations: { orders: true }, order: { name: "DESC" }, skip: 1, take: 1 });
assert.deepEqual([page[0].name, count], ["person 2", 3]);
const totals = await people.createQueryBuilder("p").innerJoin("p.orders", "o").select("p.name", "name").addSelect("SUM(o.total)", "total")
  .groupBy("p.name").having("SUM(o.total) > :n", { n: 11 }).orderBy("p.name").getRawMany();
assert.deepEqual(totals.map((row) => Number(row.total)), [22, 33]);
await assert.rejects(source.transaction(async (manager) => {
  await manager.delete("Person", { name: "person 1" });
  await manager.insert("Person", { name: "person 2" });
}), { code: "23505" });
assert.equal(await people.count(), 3);
await people.upsert({ name: "person 1", mood: "merry" }, ["name"]);
assert.equal((await people.findOneBy({ name: "person 1" })).mood, "merry");
await people.remove(await people.findOneByOrFail({ name: "person 3" }));
assert.equal(await source.getRepository("Order").count(), 4);
await source.dropDatabase();
await source.destroy();
console.log("TypeORM: synchronisation, repositories, relations, transactions");
