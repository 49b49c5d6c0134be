//! Values, descriptions, results, errors.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use futures::TryStreamExt;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::support::{self, code};

pub(crate) async fn values_of_every_type_go_there_and_back_in_binary() {
    let client = support::client().await;
    client
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, a bool, b int2, c int8, d float4, e float8, f text, g varchar(5),
                 h bytea, i date, j time, k timestamp, l timestamptz, m uuid, n jsonb, o int[], p text[])",
        )
        .await
        .unwrap();
    let day = NaiveDate::from_ymd_opt(1969, 7, 20).unwrap();
    let time = NaiveTime::from_hms_micro_opt(20, 17, 40, 123_456).unwrap();
    let moment = NaiveDateTime::new(day, time);
    let instant: DateTime<Utc> = moment.and_utc();
    let uuid = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
    let json = serde_json::json!({"a": [1, null, "é"]});
    let bytes: &[u8] = &[0, 255, 10];
    let values: [&(dyn ToSql + Sync); 17] = [
        &1i32,
        &true,
        &-5i16,
        &i64::MIN,
        &1.5f32,
        &f64::NAN,
        &"grün",
        &"x",
        &bytes,
        &day,
        &time,
        &moment,
        &instant,
        &uuid,
        &json,
        &vec![Some(1i32), None, Some(3)],
        &vec!["a,b", "\"", ""],
    ];
    let places: Vec<String> = (1..=values.len()).map(|n| format!("${n}")).collect();
    let insert = format!("INSERT INTO t VALUES ({})", places.join(", "));
    assert_eq!(client.execute(&insert, &values).await.unwrap(), 1);
    let row = client.query_one("SELECT * FROM t WHERE id = $1", &[&1i32]).await.unwrap();
    assert_eq!(row.get::<_, bool>("a"), true);
    assert_eq!(row.get::<_, i16>("b"), -5);
    assert_eq!(row.get::<_, i64>("c"), i64::MIN);
    assert_eq!(row.get::<_, f32>("d"), 1.5);
    assert!(row.get::<_, f64>("e").is_nan());
    assert_eq!(row.get::<_, &str>("f"), "grün");
    assert_eq!(row.get::<_, &[u8]>("h"), bytes);
    assert_eq!(row.get::<_, NaiveDate>("i"), day);
    assert_eq!(row.get::<_, NaiveTime>("j"), time);
    assert_eq!(row.get::<_, NaiveDateTime>("k"), moment);
    assert_eq!(row.get::<_, DateTime<Utc>>("l"), instant);
    assert_eq!(row.get::<_, Uuid>("m"), uuid);
    assert_eq!(row.get::<_, serde_json::Value>("n"), json);
    assert_eq!(row.get::<_, Vec<Option<i32>>>("o"), [Some(1), None, Some(3)]);
    assert_eq!(row.get::<_, Vec<String>>("p"), ["a,b", "\"", ""]);
    assert_eq!(row.columns()[7].type_(), &Type::VARCHAR);
    // NULL of each type.
    client.execute("INSERT INTO t (id) VALUES (2)", &[]).await.unwrap();
    let row = client.query_one("SELECT * FROM t WHERE id = 2", &[]).await.unwrap();
    assert_eq!(row.get::<_, Option<Uuid>>("m"), None);
    assert_eq!(row.get::<_, Option<Vec<i32>>>("o"), None);
}

pub(crate) async fn statements_are_described_before_they_run() {
    let client = support::client().await;
    client.batch_execute("CREATE TABLE t (id bigint PRIMARY KEY, name text)").await.unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1, $2) RETURNING name").await.unwrap();
    assert_eq!(insert.params(), [Type::INT8, Type::TEXT]);
    assert_eq!(insert.columns()[0].name(), "name");
    let none = client.prepare("UPDATE t SET name = $2 WHERE id = $1").await.unwrap();
    assert_eq!((none.params().len(), none.columns().len()), (2, 0));
    let typed = client.prepare_typed("SELECT $1", &[Type::INT4]).await.unwrap();
    assert_eq!(typed.params(), [Type::INT4]);
    assert_eq!(client.query_one(&typed, &[&7i32]).await.unwrap().get::<_, i32>(0), 7);
    let show = client.prepare("SHOW server_encoding").await.unwrap();
    assert_eq!(show.columns()[0].name(), "server_encoding");
    // A table that changes under a statement.
    let all = client.prepare("SELECT * FROM t").await.unwrap();
    client.batch_execute("ALTER TABLE t ADD COLUMN more int").await.unwrap();
    assert_eq!(code(&client.query(&all, &[]).await.unwrap_err()), "0A000");
    assert_eq!(client.query("SELECT * FROM t", &[]).await.unwrap().len(), 0);
}

pub(crate) async fn a_large_result_streams_and_may_be_left() {
    let client = support::client().await;
    let rows = client
        .query_raw("SELECT n::int FROM generate_series(1, 200000) AS s(n)", Vec::<i32>::new())
        .await
        .unwrap();
    let sum = rows
        .try_fold(0i64, |sum, row| async move { Ok(sum + i64::from(row.get::<_, i32>(0))) })
        .await
        .unwrap();
    assert_eq!(sum, 20_000_100_000);
    // Portals give some rows at a time, within a transaction.
    let mut client = support::client().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT n::int FROM generate_series(1, 10) AS s(n)", &[]).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let some = transaction.query_portal(&portal, 4).await.unwrap();
        seen.push(some.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>());
    }
    assert_eq!(seen, [vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9, 10], vec![]]);
}

pub(crate) async fn errors_have_postgresqls_fields_and_the_session_goes_on() {
    let client = support::client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, x int CHECK (x > 0))").await.unwrap();
    client.execute("INSERT INTO t VALUES (1, 1)", &[]).await.unwrap();
    let error = client.execute("INSERT INTO t VALUES ($1, 1)", &[&1i32]).await.unwrap_err();
    let fields = error.as_db_error().unwrap();
    assert_eq!(fields.code().code(), "23505");
    assert_eq!(fields.constraint(), Some("t_pkey"));
    assert_eq!(fields.table(), Some("t"));
    assert_eq!(fields.detail(), Some("Key (id)=(1) already exists."));
    let error = client.query("SELECT nothing FROM t", &[]).await.unwrap_err();
    assert_eq!(code(&error), "42703");
    let position = error.as_db_error().unwrap().position();
    assert_eq!(position, Some(&tokio_postgres::error::ErrorPosition::Original(8)));
    // The second statement of a text: its place counts from the text's beginning.
    let error = client.batch_execute("SELECT 1; SELECT oh FROM t").await.unwrap_err();
    let position = error.as_db_error().unwrap().position();
    assert_eq!(position, Some(&tokio_postgres::error::ErrorPosition::Original(18)));
    assert_eq!(client.query_one("SELECT 2", &[]).await.unwrap().get::<_, i32>(0), 2);
}

pub(crate) async fn simple_queries_give_text_and_tags() {
    let client = support::client().await;
    let messages = client
        .simple_query("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, NULL), (2, 'x'); TABLE t; ; ")
        .await
        .unwrap();
    let rows: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((row.get(0).map(str::to_owned), row.get(1).map(str::to_owned)))
            }
            _ => None,
        })
        .collect();
    assert_eq!(rows, [(Some("1".into()), None), (Some("2".into()), Some("x".into()))]);
    let counts: Vec<u64> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => Some(*count),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [0, 2, 2]);
    assert!(client.simple_query("").await.unwrap().iter().all(|m| !matches!(m, SimpleQueryMessage::Row(_))));
}

pub(crate) async fn many_statements_are_sent_ahead() {
    let client = support::client().await;
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY)").await.unwrap();
    let insert = client.prepare("INSERT INTO t VALUES ($1)").await.unwrap();
    let ids: Vec<i32> = (0..500).collect();
    let all = ids.iter().map(|id| {
        let (client, insert) = (&client, &insert);
        async move { client.execute(insert, &[id]).await }
    });
    let done = futures::future::try_join_all(all).await.unwrap();
    assert_eq!(done.iter().sum::<u64>(), 500);
    let count = client.query_one("SELECT count(*) FROM t", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 500);
}
