<?php
// CairnDB through PHP's PDO: values, prepared statements, transactions, COPY, and the shapes of Laravel's queries.

function check(bool $holds, mixed $what): void
{
    if (!$holds) {
        throw new Exception(var_export($what, true));
    }
}

$source = "pgsql:host={$_SERVER['CAIRN_HOST']};port={$_SERVER['CAIRN_PORT']};dbname=cairn";
$db = new PDO($source, 'cairn', null, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC]);

// As Laravel's migrations make tables.
$db->exec('create table "ph_users" ("id" bigserial not null primary key, "name" varchar(255) not null, "email" varchar(255) not null,'
    . ' "options" jsonb null, "active" boolean not null default \'1\', "created_at" timestamp(0) without time zone null)');
$db->exec('alter table "ph_users" add constraint "ph_users_email_unique" unique ("email")');
$db->exec('create table "ph_posts" ("id" bigserial not null primary key, "user_id" bigint not null, "title" text not null, "views" integer not null default \'0\')');
$db->exec('alter table "ph_posts" add constraint "ph_posts_user_id_foreign" foreign key ("user_id") references "ph_users" ("id") on delete cascade');
$db->exec('create index "ph_posts_views_index" on "ph_posts" ("views")');
$db->exec('alter table "ph_users" add column "age" smallint null');

foreach ([false, true] as $emulated) {
    $db->setAttribute(PDO::ATTR_EMULATE_PREPARES, $emulated);
    $insert = $db->prepare('insert into "ph_users" ("name", "email", "options", "active", "created_at") values (?, ?, ?, ?, ?) returning "id"');
    $from = $emulated ? 10 : 0;
    for ($n = $from; $n < $from + 10; $n++) {
        $insert->bindValue(1, "user $n");
        $insert->bindValue(2, "user$n@example.org");
        $insert->bindValue(3, json_encode(['n' => $n, 'tags' => ['a']]));
        $insert->bindValue(4, $n % 2 === 0, PDO::PARAM_BOOL);
        $insert->bindValue(5, '2024-01-02 03:04:05');
        $insert->execute();
        $id = $insert->fetchColumn();
        $post = $db->prepare('insert into "ph_posts" ("user_id", "title", "views") values (?, ?, ?), (?, ?, ?)');
        $post->execute([$id, "post $n", $n, $id, "it's $n", $n * 10]);
    }
}
check((int) $db->query('select count(*) as aggregate from "ph_posts"')->fetch()['aggregate'] === 40, 'posts');
$exists = $db->prepare('select exists(select * from "ph_users" where "email" = ?) as "exists"');
$exists->execute(['user3@example.org']);
check($exists->fetch()['exists'] === true, 'exists');
$with = $db->prepare('select "ph_users".*, (select count(*) from "ph_posts" where "ph_users"."id" = "ph_posts"."user_id" and "views" > ?) as "posts_count"'
    . ' from "ph_users" where "options"->>\'n\' = ? and exists (select * from "ph_posts" where "ph_users"."id" = "ph_posts"."user_id") order by "created_at" desc limit 1 offset 0');
$with->execute([5, '7']);
$row = $with->fetch();
check($row['name'] === 'user 7' && $row['posts_count'] === 2 && $row['active'] === false, $row);
$upsert = $db->prepare('insert into "ph_users" ("email", "name") values (?, ?) on conflict ("email") do update set "name" = "excluded"."name"');
$upsert->execute(['user7@example.org', 'renamed']);
$contains = $db->prepare('select "name" from "ph_users" where ("options"->\'tags\')::jsonb @> ? and "name"::text ilike ? order by "id" asc');
$contains->execute(['["a"]', 'REN%']);
check($contains->fetchAll(PDO::FETCH_COLUMN) === ['renamed'], 'contains');
$update = $db->prepare('update "ph_posts" set "views" = "views" + 1 where "id" in (?, ?, ?)');
$update->execute([1, 2, 3]);
check($update->rowCount() === 3, $update->rowCount());

$db->beginTransaction();
try {
    $db->exec('delete from "ph_posts"');
    $db->exec('SAVEPOINT trans2');
    $db->exec('ROLLBACK TO SAVEPOINT trans2');
    $db->exec('insert into "ph_users" ("name", "email") values (\'x\', \'user1@example.org\')');
    throw new Exception('no error');
} catch (PDOException $error) {
    check($error->getCode() === '23505' && str_contains($error->getMessage(), 'ph_users_email_unique'), $error->getMessage());
    $db->rollBack();
}
check((int) $db->query('select count(*) from "ph_posts"')->fetchColumn() === 40, 'rolled back');

check($db->pgsqlCopyFromArray('ph_posts', ["100\t1\tcopied\t7"]), 'COPY');
$copied = $db->pgsqlCopyToArray('ph_posts');
check(count($copied) === 41, count($copied));
check((int) $db->lastInsertId('ph_users_id_seq') >= 20, $db->lastInsertId('ph_users_id_seq'));
$meta = $db->query('select "id", "options", "created_at" from "ph_users" limit 1');
check($meta->getColumnMeta(1)['native_type'] === 'jsonb', $meta->getColumnMeta(1));

// What Laravel asks for the tables and columns of a schema.
$tables = $db->query("select c.relname as name, n.nspname as schema, pg_total_relation_size(c.oid) as size, obj_description(c.oid, 'pg_class') as comment"
    . " from pg_class c, pg_namespace n where c.relkind in ('r', 'p') and n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema')"
    . " and c.relname like 'ph%' order by c.relname")->fetchAll();
check(array_column($tables, 'name') === ['ph_posts', 'ph_users'], $tables);
$columns = $db->query("select a.attname as name, t.typname as type_name, format_type(a.atttypid, a.atttypmod) as type, (select tc.collcollate from pg_catalog.pg_collation tc where tc.oid = a.attcollation) as collation,"
    . " not a.attnotnull as nullable, (select pg_get_expr(adbin, adrelid) from pg_attrdef where c.oid = pg_attrdef.adrelid and pg_attrdef.adnum = a.attnum) as default,"
    . " a.attgenerated as generated, col_description(c.oid, a.attnum) as comment from pg_attribute a, pg_class c, pg_type t, pg_namespace n"
    . " where c.relname = 'ph_users' and n.nspname = 'public' and a.attnum > 0 and a.attrelid = c.oid and a.atttypid = t.oid and n.oid = c.relnamespace order by a.attnum")->fetchAll();
check($columns[1]['type'] === 'character varying(255)' && $columns[0]['default'] === "nextval('ph_users_id_seq'::regclass)", $columns);
$indexes = $db->query("select ic.relname as name, string_agg(a.attname, ',' order by indseq.ord) as columns, am.amname as \"type\", i.indisunique as \"unique\", i.indisprimary as \"primary\""
    . " from pg_index i join pg_class tc on tc.oid = i.indrelid join pg_namespace tn on tn.oid = tc.relnamespace join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam"
    . " join lateral unnest(i.indkey) with ordinality as indseq(num, ord) on true left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = indseq.num"
    . " where tc.relname = 'ph_users' and tn.nspname = 'public' group by ic.relname, am.amname, i.indisunique, i.indisprimary order by 1")->fetchAll();
check(array_column($indexes, 'columns') === ['email', 'id'], $indexes);
$keys = $db->query("select c.conname as name, string_agg(la.attname, ',' order by conseq.ord) as columns, fn.nspname as foreign_schema, fc.relname as foreign_table,"
    . " string_agg(fa.attname, ',' order by conseq.ord) as foreign_columns, c.confupdtype as on_update, c.confdeltype as on_delete"
    . " from pg_constraint c join pg_class tc on c.conrelid = tc.oid join pg_namespace tn on tn.oid = tc.relnamespace join pg_class fc on c.confrelid = fc.oid"
    . " join pg_namespace fn on fn.oid = fc.relnamespace join lateral unnest(c.conkey) with ordinality as conseq(num, ord) on true"
    . " join pg_attribute la on la.attrelid = c.conrelid and la.attnum = conseq.num join pg_attribute fa on fa.attrelid = c.confrelid and fa.attnum = c.confkey[conseq.ord]"
    . " where c.contype = 'f' and tc.relname = 'ph_posts' and tn.nspname = 'public' group by c.conname, fn.nspname, fc.relname, c.confupdtype, c.confdeltype")->fetchAll();
check($keys[0]['foreign_table'] === 'ph_users' && $keys[0]['on_delete'] === 'c', $keys);
echo "PHP PDO: values, transactions, COPY, Laravel's queries\n";
