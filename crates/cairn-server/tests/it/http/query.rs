//! `/api/query`.

use reqwest::Method;
use serde_json::json;

use super::{exact, send, site};

#[tokio::test]
async fn rows_come_with_their_columns() {
    let site = site().await;
    let answer = site
        .post("/api/query", json!({"sql": "SELECT 1 AS a, 'x'::text AS b, NULL::date AS c, 1.50::numeric AS d, '{\"k\":[1]}'::jsonb AS e, ARRAY[1,NULL] AS f, 'NaN'::float8 AS g, 2 AS a"}))
        .await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(
        answer.ok(),
        json!({
            "columns": [
                {"name": "a", "type": "integer"}, {"name": "b", "type": "text"}, {"name": "c", "type": "date"},
                {"name": "d", "type": "numeric"}, {"name": "e", "type": "jsonb"}, {"name": "f", "type": "integer[]"},
                {"name": "g", "type": "double precision"}, {"name": "a", "type": "integer"},
            ],
            "rows": [[1, "x", null, exact("1.50"), {"k": [1]}, [1, null], "NaN", 2]],
            "tag": "SELECT 1",
            "row_count": 1,
        })
    );
}

#[tokio::test]
async fn rows_can_be_objects() {
    let site = site().await;
    let objects =
        json!({"sql": "SELECT n, n * n AS square FROM generate_series(1, 2) AS g(n)", "rows": "objects"});
    assert_eq!(
        site.post("/api/query", objects).await.ok()["rows"],
        json!([{"n": 1, "square": 1}, {"n": 2, "square": 4}])
    );
    let twice = site.post("/api/query", json!({"sql": "SELECT 1 AS a, 2 AS a", "rows": "objects"})).await;
    assert_eq!(twice.problem(), (400, "42701".to_owned()));
}

#[tokio::test]
async fn statements_without_rows_tell_what_they_did() {
    let site = site().await;
    assert_eq!(site.sql("CREATE TABLE t (a int)").await, json!({"tag": "CREATE TABLE", "row_count": 0}));
    assert_eq!(site.sql("INSERT INTO t VALUES (1), (2)").await, json!({"tag": "INSERT 0 2", "row_count": 2}));
    let told = site.sql("CREATE TABLE IF NOT EXISTS t (a int)").await;
    assert_eq!(told["notices"][0]["message"], "relation \"t\" already exists, skipping");
}

#[tokio::test]
async fn parameters_are_read_as_the_statement_says() {
    let site = site().await;
    let sql = "SELECT $1::int + 1 AS a, $2::date AS b, $3::jsonb ->> 'k' AS c, $4::numeric AS d, $5::text[] AS e, $6::boolean AS f, $7::text AS g";
    let params =
        json!([41, "2026-01-31", {"k": "v"}, "12345678901234567890.5", ["a", null, "b,\"c"], true, null]);
    let rows = site.post("/api/query", json!({"sql": sql, "params": params})).await.ok();
    assert_eq!(rows["rows"][0][0], 42);
    assert_eq!(rows["rows"][0][1], "2026-01-31");
    assert_eq!(rows["rows"][0][2], "v");
    assert_eq!(rows["rows"][0][3].to_string(), "12345678901234567890.5");
    assert_eq!(rows["rows"][0][4], json!(["a", null, "b,\"c"]));
    assert_eq!((&rows["rows"][0][5], &rows["rows"][0][6]), (&json!(true), &json!(null)));
    let named = json!({"sql": "SELECT :b::int - :a::int AS n, :a::int AS m", "params": {"a": 1, "b": 10}});
    assert_eq!(site.post("/api/query", named).await.ok()["rows"], json!([[9, 1]]));
    for (params, sqlstate) in
        [(json!([1, 2]), "42P02"), (json!([]), "08P01"), (json!(["x"]), "22P02"), (json!({"z": 1}), "42P02")]
    {
        let answer = site.post("/api/query", json!({"sql": "SELECT $1::int", "params": params})).await;
        assert_eq!(answer.problem(), (400, sqlstate.to_owned()), "{params}");
    }
}

#[tokio::test]
async fn errors_have_postgresqls_fields() {
    let site = site().await;
    site.sql("CREATE TABLE t (a int PRIMARY KEY, b int CHECK (b > 0))").await;
    site.sql("INSERT INTO t VALUES (1, 1)").await;
    let again = site.post("/api/query", json!({"sql": "INSERT INTO t VALUES (1, 1)"})).await;
    assert_eq!(again.problem(), (409, "23505".to_owned()));
    let json = again.json();
    assert_eq!(json["detail"], "duplicate key value violates unique constraint \"t_pkey\"");
    assert_eq!(json["reason"], "Key (a)=(1) already exists.");
    assert_eq!((&json["table"], &json["constraint"]), (&json!("t"), &json!("t_pkey")));
    let status = async |sql: &str| site.post("/api/query", json!({"sql": sql})).await.problem();
    assert_eq!(status("INSERT INTO t VALUES (2, 0)").await, (422, "23514".to_owned()));
    assert_eq!(status("SELECT 1/0").await, (400, "22012".to_owned()));
    assert_eq!(status("SELEC 1").await, (400, "42601".to_owned()));
    assert_eq!(status("BEGIN").await, (400, "25001".to_owned()));
    let syntax = site.post("/api/query", json!({"sql": "SELECT nothing"})).await;
    assert_eq!(syntax.json()["position"], 8);
}

#[tokio::test]
async fn a_list_of_statements_is_one_transaction() {
    let site = site().await;
    site.sql("CREATE TABLE t (a int PRIMARY KEY)").await;
    let list = json!({"statements": [
        {"sql": "INSERT INTO t VALUES ($1)", "params": [1]},
        {"sql": "SELECT a FROM t"},
        {"sql": "INSERT INTO t VALUES (2) RETURNING a"},
    ], "isolation": "serializable"});
    let results = site.post("/api/query", list).await.ok();
    assert_eq!(results["results"][0]["tag"], "INSERT 0 1");
    assert_eq!(results["results"][1]["rows"], json!([[1]]));
    assert_eq!(results["results"][2]["rows"], json!([[2]]));
    let failing =
        json!({"statements": [{"sql": "INSERT INTO t VALUES (3)"}, {"sql": "INSERT INTO t VALUES (1)"}]});
    assert_eq!(site.post("/api/query", failing).await.problem(), (409, "23505".to_owned()));
    let ending = json!({"statements": [{"sql": "INSERT INTO t VALUES (4)"}, {"sql": "COMMIT"}, {"sql": "SELECT 1/0"}]});
    assert_eq!(site.post("/api/query", ending).await.status.as_u16(), 400);
    let writing = json!({"statements": [{"sql": "INSERT INTO t VALUES (5)"}], "read_only": true});
    assert_eq!(site.post("/api/query", writing).await.problem().1, "25006");
    assert_eq!(site.sql("SELECT count(*) FROM t WHERE a IN (3, 5)").await["rows"], json!([[0]]));
}

#[tokio::test]
async fn a_request_leaves_nothing_behind() {
    let site = site().await;
    site.sql("SET timezone TO 'Asia/Tokyo'").await;
    site.sql("CREATE TEMPORARY TABLE gone (a int)").await;
    assert_eq!(site.sql("SHOW timezone").await["rows"], json!([["UTC"]]));
    assert_eq!(site.post("/api/query", json!({"sql": "SELECT * FROM gone"})).await.problem().1, "42P01");
}

#[tokio::test]
async fn sql_alone_is_a_request_too() {
    let site = site().await;
    let request =
        site.request(Method::POST, "/api/query?rows=objects").header("content-type", "application/sql");
    assert_eq!(send(request.body("SELECT 1 AS one")).await.ok()["rows"], json!([{"one": 1}]));
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let site = site().await;
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"sql": 1}"#,
        r#"{"sql": "SELECT 1", "statement": []}"#,
        r#"{"sql": "SELECT 1", "statements": []}"#,
    ] {
        let answer = send(site.request(Method::POST, "/api/query").body(body)).await;
        assert_eq!(answer.problem(), (400, "22023".to_owned()), "{body}");
    }
    assert_eq!(site.get("/api/query").await.problem().0, 405);
    assert_eq!(site.get("/api/nothing").await.problem().0, 404);
    let accept = site.request(Method::POST, "/api/query").header("accept", "image/png");
    assert_eq!(send(accept.json(&json!({"sql": "SELECT 1"}))).await.problem().0, 406);
}

#[tokio::test]
async fn a_statement_ends_when_its_time_is_over() {
    let site = site().await;
    let slow = "SELECT count(*) FROM generate_series(1, 100000000000)";
    let answer = site.post("/api/query", json!({"sql": slow, "timeout": 50})).await;
    assert_eq!(answer.problem(), (504, "57014".to_owned()));
    let answer = site.post("/api/query?timeout=50ms", json!({"sql": slow})).await;
    assert_eq!(answer.problem(), (504, "57014".to_owned()));
}

/// Ends within the test only where dropping the request cancels the statement: the table is locked until then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_cancels_its_statement() {
    let site = site().await;
    site.sql("CREATE TABLE t (a int)").await;
    let list = json!({"statements": [
        {"sql": "LOCK TABLE t IN ACCESS EXCLUSIVE MODE"},
        {"sql": "SELECT count(*) FROM generate_series(1, 100000000000)"},
    ]});
    let request = site.request(Method::POST, "/api/query").json(&list);
    let running = tokio::spawn(request.send());
    let locked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted";
    while site.sql(locked).await["rows"] == json!([[0]]) {
        tokio::task::yield_now().await;
    }
    running.abort();
    site.sql("INSERT INTO t VALUES (1)").await;
}
