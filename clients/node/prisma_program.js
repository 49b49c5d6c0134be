// CairnDB through Prisma: a schema pushed, the same schema pulled out of the database again, the generated client.
//
// What `prisma db push` and `prisma db pull` do is called here through the engine that they contain, because the command fetches another
// build of it from Prisma's own host; with a network the two commands do.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { PrismaPg } from "@prisma/adapter-pg";
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";
import * as engineModule from "@prisma/schema-engine-wasm/schema_engine_bg";

const here = join(dirname(fileURLToPath(import.meta.url)), "prisma");
const [host, port] = process.env.CAIRN_TCP.split(":");
const settings = { host, port: Number(port), user: "cairn", password: process.env.CAIRN_TCP_PASSWORD, database: "cairn", options: "-c search_path=prisma" };
const adapter = () => new PrismaPg(settings, { schema: "prisma" });

// The adapter does not know the type "char" of the catalog's columns, which the engine asks for.
const catalogAdapter = () => {
  class Client extends pg.Client {
    query(query, values, done) {
      return super.query(query, values, (error, result) => {
        for (const field of result?.fields ?? []) if (field.dataTypeID === 18) field.dataTypeID = 1042;
        done(error, result);
      });
    }
  }
  return new PrismaPg(new pg.Pool({ ...settings, Client }), { schema: "prisma" });
};

const heading = `generator client {
  provider = "prisma-client-js"
  output   = "./client"
}

datasource db {
  provider = "postgresql"
}
`;

const models = `
model Label {
  id   Int    @id @default(autoincrement())
  name String @unique @db.VarChar(40)
  Post Post[]
}

model Post {
  id        String   @id @default(dbgenerated("gen_random_uuid()")) @db.Uuid
  writer_id Int
  title     String
  price     Decimal? @db.Decimal(10, 2)
  seen      DateTime @default(now()) @db.Timestamptz(6)
  views     BigInt   @default(0)
  notes     Json?
  tags      String[]
  data      Bytes?
  state     state    @default(draft)
  Writer    Writer   @relation(fields: [writer_id], references: [id], onDelete: Cascade)
  Label     Label[]

  @@index([writer_id, seen(sort: Desc)])
}

model Writer {
  id    Int     @id @default(autoincrement())
  email String  @unique
  name  String?
  Post  Post[]
}

enum state {
  draft
  shown
}
`;

async function engine() {
  const module = createRequire(import.meta.url).resolve("@prisma/schema-engine-wasm/schema_engine_bg");
  const code = readFileSync(module.replace(/\.js$/, ".wasm"));
  const { instance } = await WebAssembly.instantiate(code, { "./schema_engine_bg.js": engineModule });
  engineModule.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
  return async (schema) =>
    engineModule.SchemaEngine.new(
      { datamodels: [["schema.prisma", schema]] },
      () => {},
      bindMigrationAwareSqlAdapterFactory(catalogAdapter()),
    );
}

const open = await engine();
const files = (content) => ({ files: [{ path: "schema.prisma", content }] });
const filters = { externalTables: [], externalEnums: [] };

// Pushed, and pushed again: nothing is left to do.
const schema = heading + models;
const push = await open(schema);
const first = await push.schemaPush({ force: false, schema: files(schema), filters });
assert.ok(first.executedSteps > 0 && first.unexecutable.length === 0, JSON.stringify(first));
const second = await push.schemaPush({ force: false, schema: files(schema), filters });
assert.equal(second.executedSteps, 0, JSON.stringify(second));

// Pulled from an empty file: the same models.
const pull = await open(heading);
const pulled = await pull.introspect({
  schema: files(heading),
  baseDirectoryPath: "/",
  force: true,
  compositeTypeDepth: -1,
  namespaces: null,
});
const content = pulled.schema.files[0].content;
assert.equal(content, schema);

// The client that is made of what was pulled.
mkdirSync(here, { recursive: true });
writeFileSync(join(here, "schema.prisma"), content);
writeFileSync(join(here, "prisma.config.ts"), 'export default { schema: "schema.prisma", datasource: { url: "postgresql://unused" } };\n');
const command = createRequire(import.meta.url).resolve("prisma/build/index.js");
execFileSync(process.execPath, [command, "generate"], {
  cwd: here,
  stdio: "ignore",
  env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath },
});
assert.ok(existsSync(join(here, "client")));
const { PrismaClient, Prisma } = createRequire(import.meta.url)(join(here, "client"));
const prisma = new PrismaClient({ adapter: adapter() });

const writer = await prisma.writer.create({
  data: {
    email: "u@example.com",
    name: "Ursula",
    Post: {
      create: [
        { title: "one", price: "12.50", views: 2n ** 62n, notes: { stars: [5, null] }, tags: ["moon", 'a,"b'], data: new Uint8Array([0, 255]), state: "shown", Label: { create: { name: "new" } } },
        { title: "two", Label: { connectOrCreate: { where: { name: "new" }, create: { name: "new" } } } },
      ],
    },
  },
  include: { Post: { include: { Label: true }, orderBy: { title: "asc" } } },
});
const [one, two] = writer.Post;
assert.deepEqual([one.price.toString(), one.views, one.notes, one.tags, [...one.data], one.state], ["12.5", 2n ** 62n, { stars: [5, null] }, ["moon", 'a,"b'], [0, 255], "shown"]);
assert.equal(one.Label[0].id, two.Label[0].id);
assert.ok(one.seen instanceof Date && /^[0-9a-f-]{36}$/.test(one.id) && two.state === "draft");
const found = await prisma.post.findMany({
  where: { OR: [{ title: { startsWith: "O", mode: "insensitive" } }, { price: { gt: 100 } }], Writer: { email: { in: ["u@example.com", "x"] } }, tags: { has: "moon" }, notes: { path: ["stars", "0"], equals: 5 } },
  include: { _count: { select: { Label: true } } },
});
assert.deepEqual(found.map((post) => [post.title, post._count.Label]), [["one", 1]]);
await prisma.writer.createMany({ data: Array.from({ length: 500 }, (_, n) => ({ email: `w${n}@example.com` })), skipDuplicates: true });
const page = await prisma.writer.findMany({ cursor: { id: writer.id }, skip: 1, take: 3, orderBy: { id: "asc" } });
assert.deepEqual(page.map((row) => row.email), ["w0@example.com", "w1@example.com", "w2@example.com"]);
const sums = await prisma.post.groupBy({ by: ["state"], _count: true, _max: { views: true }, orderBy: { state: "asc" } });
assert.deepEqual(sums.map((row) => [row.state, row._count, row._max.views]), [["draft", 1, 0n], ["shown", 1, 2n ** 62n]]);
const upserted = await prisma.writer.upsert({ where: { email: "u@example.com" }, update: { name: "Le Guin" }, create: { email: "u@example.com" } });
assert.deepEqual([upserted.id, upserted.name], [writer.id, "Le Guin"]);
assert.deepEqual(await prisma.post.updateMany({ where: { writer_id: writer.id }, data: { views: { increment: 0 } } }), { count: 2 });

// Errors and transactions.
await assert.rejects(prisma.writer.create({ data: { email: "u@example.com" } }), (error) => error instanceof Prisma.PrismaClientKnownRequestError && error.code === "P2002");
await assert.rejects(prisma.post.create({ data: { title: "x", writer_id: -1 } }), (error) => error.code === "P2003");
await assert.rejects(prisma.writer.delete({ where: { id: -1 } }), (error) => error.code === "P2025");
await assert.rejects(
  prisma.$transaction(async (t) => {
    await t.writer.delete({ where: { id: writer.id } });
    assert.equal(await t.post.count(), 0);
    throw new Error("changed my mind");
  }, { isolationLevel: "Serializable" }),
  /changed my mind/,
);
assert.equal(await prisma.post.count(), 2);
const [count, rows] = await prisma.$transaction([prisma.writer.count(), prisma.$queryRaw`SELECT ${3}::int AS n, now() AS at, ARRAY[1, 2] AS a`]);
assert.deepEqual([count, rows[0].n, rows[0].a], [501, 3, [1, 2]]);
assert.equal(await prisma.$executeRaw`DELETE FROM "prisma"."Writer" WHERE email LIKE ${"w%"}`, 500);
await prisma.$disconnect();
console.log("Prisma: push, pull, the client: relations, filters, upserts, groups, transactions, errors");
