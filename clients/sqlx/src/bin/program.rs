//! CairnDB through `sqlx`: queries whose types the compiler has from the database, a pool, transactions, streams, COPY, LISTEN, errors.
#![allow(clippy::unwrap_used)]

use chrono::{DateTime, NaiveDate, Utc};
use futures::TryStreamExt;
use rust_decimal::Decimal;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Connection, PgPool, Row};
use uuid::Uuid;

#[derive(Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "mood", rename_all = "lowercase")]
enum Mood {
    Sad,
    Happy,
}

#[derive(Debug, sqlx::FromRow)]
struct Author {
    id: i32,
    name: String,
}

#[tokio::main]
async fn main() {
    let pool = PgPoolOptions::new().max_connections(4).connect(&std::env::var("DATABASE_URL").unwrap()).await.unwrap();
    values(&pool).await;
    nullability(&pool).await;
    transactions(&pool).await;
    streams(&pool).await;
    notifications(&pool).await;
    println!("sqlx: checked queries, values, transactions, streams, COPY, LISTEN, errors");
}

async fn values(pool: &PgPool) {
    let author = sqlx::query_scalar!("INSERT INTO authors (name) VALUES ($1) RETURNING id", "Ursula").fetch_one(pool).await.unwrap();
    let mark = Uuid::new_v4();
    let day = NaiveDate::from_ymd_opt(1969, 3, 1).unwrap();
    let tags = ["winter".to_owned(), "a,b".to_owned()];
    let written = sqlx::query!(
        r#"INSERT INTO books (author_id, title, price, published, mark, notes, tags, mood)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id, seen"#,
        author,
        "The Left Hand of Darkness",
        Decimal::new(1250, 2),
        day,
        mark,
        serde_json::json!({"stars": 5}),
        &tags,
        Mood::Happy as Mood,
    )
    .fetch_one(pool)
    .await
    .unwrap();
    let id: i64 = written.id;
    let seen: DateTime<Utc> = written.seen;
    let book = sqlx::query!(
        r#"SELECT b.id, title, price, published, seen, mark, notes, tags, mood AS "mood: Mood", a.name
           FROM books b JOIN authors a ON a.id = b.author_id WHERE b.id = $1"#,
        id
    )
    .fetch_one(pool)
    .await
    .unwrap();
    // NOT NULL columns are values, the others are options: the compiler knows.
    let title: String = book.title;
    assert_eq!((title.as_str(), book.name.as_str()), ("The Left Hand of Darkness", "Ursula"));
    assert_eq!((book.price, book.published, book.mark), (Some(Decimal::new(1250, 2)), Some(day), Some(mark)));
    assert_eq!((book.seen, book.notes, book.tags), (seen, serde_json::json!({"stars": 5}), tags.to_vec()));
    assert_eq!(book.mood, Some(Mood::Happy));
    let authors = sqlx::query_as!(Author, "SELECT id, name FROM authors WHERE id = ANY($1)", &[author, 77]).fetch_all(pool).await.unwrap();
    assert_eq!((authors.len(), authors[0].id, authors[0].name.as_str()), (1, author, "Ursula"));
}

async fn nullability(pool: &PgPool) {
    // The outer side of a join may be NULL (`?`), and a count never is (`!`).
    let rows = sqlx::query!(
        r#"SELECT a.name, b.title AS "title?", count(*) OVER () AS "count!" FROM authors a LEFT JOIN books b ON b.author_id = a.id AND b.id < 0"#
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert_eq!((rows[0].name.as_str(), rows[0].title.as_deref(), rows[0].count), ("Ursula", None, 1));
    let none = sqlx::query!("SELECT id FROM books WHERE title = $1", "nothing").fetch_optional(pool).await.unwrap();
    assert!(none.is_none());
}

async fn transactions(pool: &PgPool) {
    let mut outer = pool.begin().await.unwrap();
    sqlx::query!("INSERT INTO authors (name) VALUES ('kept')").execute(&mut *outer).await.unwrap();
    {
        let mut inner = outer.begin().await.unwrap();
        let error = sqlx::query!("INSERT INTO authors (name) VALUES ('kept')").execute(&mut *inner).await.unwrap_err();
        let error = error.as_database_error().unwrap();
        assert_eq!((error.code().as_deref(), error.constraint()), (Some("23505"), Some("authors_name_key")));
        assert!(error.is_unique_violation());
        inner.rollback().await.unwrap();
    }
    outer.commit().await.unwrap();
    {
        // Dropped: rolled back.
        let mut lost = pool.begin().await.unwrap();
        sqlx::query!("DELETE FROM authors").execute(&mut *lost).await.unwrap();
    }
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM authors"#).fetch_one(pool).await.unwrap();
    assert_eq!(count, 2);
}

async fn streams(pool: &PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let mut copy = connection.copy_in_raw("COPY authors (name) FROM STDIN").await.unwrap();
    let rows: String = (0..5_000).map(|n| format!("author {n}\n")).collect();
    copy.send(rows.as_bytes()).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 5_000);
    let mut sum = 0;
    let mut rows = sqlx::query("SELECT n::int8 FROM generate_series(1, 10000) AS s(n)").fetch(pool);
    while let Some(row) = rows.try_next().await.unwrap() {
        sum += row.get::<i64, _>(0);
    }
    assert_eq!(sum, 50_005_000);
    let (names, numbers): (Vec<String>, Vec<i64>) = (0..3).map(|n| (format!("many {n}"), n)).unzip();
    let made = sqlx::query!(
        "INSERT INTO authors (name) SELECT name || number FROM unnest($1::text[], $2::int8[]) AS t(name, number)",
        &names,
        &numbers
    )
    .execute(pool)
    .await
    .unwrap();
    assert_eq!(made.rows_affected(), 3);
}

async fn notifications(pool: &PgPool) {
    let mut listener = PgListener::connect_with(pool).await.unwrap();
    listener.listen("orders").await.unwrap();
    sqlx::query!("SELECT pg_notify($1, $2)", "orders", "number 7").fetch_one(pool).await.unwrap();
    let message = listener.recv().await.unwrap();
    assert_eq!((message.channel(), message.payload()), ("orders", "number 7"));
}
