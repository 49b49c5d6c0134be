//! Applies the migrations. The program beside this is checked against the tables that they make, when it is compiled.
#![allow(clippy::unwrap_used)]

use sqlx::postgres::PgPoolOptions;

#[tokio::main]
async fn main() {
    let pool = PgPoolOptions::new().connect(&std::env::var("DATABASE_URL").unwrap()).await.unwrap();
    let migrations = sqlx::migrate!();
    migrations.run(&pool).await.unwrap();
    // Those that are there are left alone.
    migrations.run(&pool).await.unwrap();
    let count: (i64,) = sqlx::query_as("SELECT count(*) FROM _sqlx_migrations WHERE success").fetch_one(&pool).await.unwrap();
    assert_eq!(count.0, 2);
    println!("sqlx: migrations");
}
