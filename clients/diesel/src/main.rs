//! CairnDB through Diesel (on libpq): migrations and their way back, queries built in Rust, an ENUM of its own, upserts, joins,
//! nested transactions, a pool, errors.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use uuid::Uuid;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

mod schema {
    #[derive(diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[diesel(postgres_type(name = "shelf"))]
    pub struct Shelf;

    diesel::table! {
        writers (id) {
            id -> Int4,
            name -> Varchar,
        }
    }

    diesel::table! {
        use diesel::sql_types::*;
        use super::Shelf;

        works (id) {
            id -> Int8,
            writer_id -> Int4,
            title -> Text,
            price -> Nullable<Numeric>,
            published -> Nullable<Date>,
            seen -> Timestamptz,
            mark -> Nullable<Uuid>,
            notes -> Jsonb,
            tags -> Array<Text>,
            shelf -> Shelf,
        }
    }

    diesel::joinable!(works -> writers (writer_id));
    diesel::allow_tables_to_appear_in_same_query!(writers, works);
}

use schema::{works, writers};

#[derive(Debug, Clone, Copy, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = schema::Shelf)]
enum Shelf {
    Low,
    High,
}

impl ToSql<schema::Shelf, Pg> for Shelf {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(match self {
            Shelf::Low => b"low",
            Shelf::High => b"high",
        })?;
        Ok(IsNull::No)
    }
}

impl FromSql<schema::Shelf, Pg> for Shelf {
    fn from_sql(bytes: PgValue<'_>) -> deserialize::Result<Self> {
        match bytes.as_bytes() {
            b"low" => Ok(Shelf::Low),
            b"high" => Ok(Shelf::High),
            _ => Err("another shelf".into()),
        }
    }
}

#[derive(Debug, PartialEq, Queryable, Selectable, Identifiable)]
#[diesel(table_name = writers, check_for_backend(Pg))]
struct Writer {
    id: i32,
    name: String,
}

#[derive(Debug, PartialEq, Queryable, Selectable, Identifiable, Associations)]
#[diesel(belongs_to(Writer), table_name = works, check_for_backend(Pg))]
struct Work {
    id: i64,
    writer_id: i32,
    title: String,
    price: Option<BigDecimal>,
    published: Option<NaiveDate>,
    seen: DateTime<Utc>,
    mark: Option<Uuid>,
    notes: serde_json::Value,
    tags: Vec<String>,
    shelf: Shelf,
}

#[derive(Insertable)]
#[diesel(table_name = works)]
struct NewWork<'a> {
    writer_id: i32,
    title: &'a str,
    price: Option<BigDecimal>,
    published: Option<NaiveDate>,
    mark: Option<Uuid>,
    notes: serde_json::Value,
    tags: Vec<String>,
    shelf: Shelf,
}

fn main() {
    let pool = Pool::builder()
        .max_size(3)
        .build(ConnectionManager::<PgConnection>::new(std::env::var("DATABASE_URL").unwrap()))
        .unwrap();
    let connection = &mut pool.get().unwrap();
    connection.run_pending_migrations(MIGRATIONS).unwrap();
    connection.revert_last_migration(MIGRATIONS).unwrap();
    connection.run_pending_migrations(MIGRATIONS).unwrap();
    assert!(!connection.has_pending_migration(MIGRATIONS).unwrap());
    values(connection);
    queries(connection);
    transactions(connection);
    let threads: Vec<_> = (0..6)
        .map(|n| {
            let pool = pool.clone();
            std::thread::spawn(move || {
                let mut own = pool.get().unwrap();
                diesel::insert_into(writers::table).values(writers::name.eq(format!("thread {n}"))).execute(&mut own).unwrap()
            })
        })
        .collect();
    assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>(), 6);
    println!("diesel: migrations, values, an ENUM, upserts, joins, transactions, a pool, errors");
}

fn values(connection: &mut PgConnection) {
    let writer: Writer = diesel::insert_into(writers::table)
        .values(writers::name.eq("Ursula"))
        .returning(Writer::as_returning())
        .get_result(connection)
        .unwrap();
    let new = NewWork {
        writer_id: writer.id,
        title: "The Dispossessed",
        price: Some("12.50".parse().unwrap()),
        published: NaiveDate::from_ymd_opt(1974, 5, 1),
        mark: Some(Uuid::from_u128(7)),
        notes: serde_json::json!({"stars": [5, null]}),
        tags: vec!["moon".to_owned(), "a,\"b".to_owned()],
        shelf: Shelf::High,
    };
    let work: Work =
        diesel::insert_into(works::table).values(&new).returning(Work::as_returning()).get_result(connection).unwrap();
    let found: Work = works::table.find(work.id).select(Work::as_select()).first(connection).unwrap();
    assert_eq!(found, work);
    assert_eq!((found.price, found.notes, found.tags, found.shelf), (new.price, new.notes, new.tags, new.shelf));
    let theirs = Work::belonging_to(&writer).select(Work::as_select()).load(connection).unwrap();
    assert_eq!(theirs, [work]);
}

fn queries(connection: &mut PgConnection) {
    let upserted = |name: &str, connection: &mut PgConnection| -> i32 {
        diesel::insert_into(writers::table)
            .values(writers::name.eq(name))
            .on_conflict(writers::name)
            .do_update()
            .set(writers::name.eq(diesel::upsert::excluded(writers::name)))
            .returning(writers::id)
            .get_result(connection)
            .unwrap()
    };
    let first = upserted("Ursula", connection);
    assert_eq!(first, upserted("Ursula", connection));
    let pairs: Vec<(String, Option<String>)> = writers::table
        .left_join(works::table)
        .filter(writers::name.ilike("URS%"))
        .order((writers::name.asc(), works::title.desc().nulls_last()))
        .select((writers::name, works::title.nullable()))
        .load(connection)
        .unwrap();
    assert_eq!(pairs, [("Ursula".to_owned(), Some("The Dispossessed".to_owned()))]);
    let some: Vec<i64> = works::table
        .filter(works::writer_id.eq_any([first, 99]))
        .filter(works::tags.contains(vec!["moon"]))
        .filter(works::notes.retrieve_as_object("stars").is_not_null())
        .filter(works::shelf.eq(Shelf::High))
        .select(works::id)
        .limit(5)
        .offset(0)
        .load(connection)
        .unwrap();
    assert_eq!(some.len(), 1);
    let counted: Vec<(i32, i64)> = works::table
        .group_by(works::writer_id)
        .select((works::writer_id, diesel::dsl::count_star()))
        .having(diesel::dsl::count_star().gt(0))
        .load(connection)
        .unwrap();
    assert_eq!(counted, [(first, 1)]);
    let there: bool =
        diesel::select(diesel::dsl::exists(writers::table.filter(writers::name.eq("nobody")))).get_result(connection).unwrap();
    assert!(!there);
    let changed = diesel::update(works::table.filter(works::writer_id.eq(first)))
        .set((works::price.eq(works::price * BigDecimal::from(2)), works::shelf.eq(Shelf::Low)))
        .get_result::<(i64, i32, String, Option<BigDecimal>, Option<NaiveDate>, DateTime<Utc>, Option<Uuid>, serde_json::Value, Vec<String>, Shelf)>(connection)
        .unwrap();
    assert_eq!((changed.3, changed.9), (Some("25.00".parse().unwrap()), Shelf::Low));
    // Rows as they come, and locked ones.
    let names: Vec<String> = writers::table.select(writers::name).for_update().skip_locked().load(connection).unwrap();
    assert_eq!(names, ["Ursula"]);
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        n: i64,
    }
    let sum: i64 = diesel::sql_query("SELECT n FROM generate_series(1::int8, $1) AS s(n)")
        .bind::<diesel::sql_types::BigInt, _>(1000)
        .load_iter::<Number, diesel::pg::PgRowByRowLoadingMode>(connection)
        .unwrap()
        .map(|row| row.unwrap().n)
        .sum();
    assert_eq!(sum, 500_500);
}

fn transactions(connection: &mut PgConnection) {
    let insert = |name: &str, connection: &mut PgConnection| {
        diesel::insert_into(writers::table).values(writers::name.eq(name)).execute(connection)
    };
    connection
        .transaction::<_, Error, _>(|connection| {
            insert("kept", connection)?;
            let inner = connection.transaction::<_, Error, _>(|connection| insert("kept", connection));
            match inner {
                Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information)) => {
                    assert_eq!(information.constraint_name(), Some("writers_name_key"));
                    assert_eq!(information.table_name(), Some("writers"));
                }
                other => panic!("{other:?}"),
            }
            Ok(())
        })
        .unwrap();
    let lost = connection.transaction::<(), Error, _>(|connection| {
        insert("lost", connection)?;
        Err(Error::RollbackTransaction)
    });
    assert_eq!(lost, Err(Error::RollbackTransaction));
    let serializable = connection.build_transaction().serializable().read_only().run(|connection| {
        let failed = insert("nothing", connection);
        assert!(matches!(failed, Err(Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _))), "{failed:?}");
        Err::<(), Error>(Error::RollbackTransaction)
    });
    assert!(serializable.is_err());
    let names: Vec<String> = writers::table.select(writers::name).order(writers::id).load(connection).unwrap();
    assert_eq!(names, ["Ursula", "kept"]);
}
