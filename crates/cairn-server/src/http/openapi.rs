//! `GET /openapi.json`: what can be asked for, with the tables as the role sees them now.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use cairndb::{DataType, Outcome};
use serde_json::{Map, Value as Json, json};

use super::guest::Guest;
use super::problem::Problem;
use super::tables::{self, Relation};
use super::{Http, reply};

/// The whole document, OpenAPI 3.1.
pub(super) async fn document(State(_): State<Arc<Http>>, mut guest: Guest) -> Result<Response, Problem> {
    let Outcome::Rows(mut rows) = guest.run(tables::VISIBLE, &[]).await? else {
        return Err(Problem::new(500, "XX000", "a SELECT without rows"));
    };
    let mut relations = Vec::new();
    while let Some(row) = rows.next_async().await? {
        let (schema, name): (String, String) = (row.get(0)?, row.get(1)?);
        let shown = if schema == "public" { name } else { format!("{schema}.{name}") };
        // One that was dropped meanwhile is not told of.
        if let Ok(relation) = Relation::named(&guest.session, &shown) {
            relations.push((shown, relation));
        }
    }
    let (mut paths, mut schemas) = (fixed_paths(), fixed_schemas());
    for (name, relation) in &relations {
        schemas.insert(row_name(name), row_schema(relation, false));
        schemas.insert(format!("{}.new", row_name(name)), row_schema(relation, true));
        let encoded = tables::encoded(name);
        paths.insert(format!("/api/tables/{encoded}"), table_path(name, relation));
        if !relation.key().is_empty() {
            paths.insert(format!("/api/tables/{encoded}/{{key}}"), row_path(name));
        }
    }
    let all = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "CairnDB",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "SQL, tables and keys over HTTP. Errors are problem details (RFC 9457) with PostgreSQL's SQLSTATE.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"basic": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic", "description": "The name and the password of a role."}},
            "schemas": schemas,
            "responses": {"problem": {
                "description": "What went wrong.",
                "content": {"application/problem+json": {"schema": reference("problem")}},
            }},
        },
    });
    Ok(reply::json(StatusCode::OK, all.to_string()))
}

fn reference(schema: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// The name of a table's rows among the schemas, which takes letters, digits and a few signs only.
fn row_name(table: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = |c: char| if plain(c) { c.to_string() } else { format!("-{:x}-", u32::from(c)) };
    format!("row.{}", table.chars().map(name).collect::<String>())
}

/// What a value of a type is in JSON.
fn type_schema(ty: &DataType, nullable: bool) -> Json {
    let (kind, more) = match ty {
        DataType::Json | DataType::Jsonb => return json!({}),
        DataType::Boolean => (json!(["boolean"]), None),
        DataType::SmallInt | DataType::Integer => (json!(["integer"]), Some(("format", json!("int32")))),
        DataType::BigInt => (json!(["integer"]), Some(("format", json!("int64")))),
        // NaN and the infinities are texts.
        DataType::Real | DataType::Double | DataType::Numeric(_) => (json!(["number", "string"]), None),
        DataType::Array(_) => (json!(["array"]), Some(("items", json!({})))),
        DataType::Varchar(Some(n)) => (json!(["string"]), Some(("maxLength", json!(n)))),
        DataType::Uuid => (json!(["string"]), Some(("format", json!("uuid")))),
        _ => (json!(["string"]), None),
    };
    let mut kinds = kind.as_array().cloned().unwrap_or_default();
    if nullable {
        kinds.push(json!("null"));
    }
    let kind = if kinds.len() == 1 { kinds.remove(0) } else { Json::Array(kinds) };
    let mut schema = Map::from_iter([("type".to_owned(), kind)]);
    schema.insert("description".to_owned(), json!(ty.sql_name()));
    schema.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Json::Object(schema)
}

/// A row; of a new one only columns without a default have to be there.
fn row_schema(relation: &Relation, is_new: bool) -> Json {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for column in relation.table.live_columns() {
        properties.insert(column.name.clone(), type_schema(&column.ty, column.nullable));
        if is_new && !column.nullable && !relation.has_default(column) {
            required.push(json!(column.name));
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if is_new {
        schema["additionalProperties"] = json!(false);
    }
    if !required.is_empty() {
        schema["required"] = Json::Array(required);
    }
    schema
}

fn answer(description: &str, schema: &Json) -> Json {
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

fn parameter(place: &str, name: &str, description: &str, schema: &Json) -> Json {
    json!({"name": name, "in": place, "description": description, "required": place == "path", "schema": schema})
}

fn body(schema: &Json) -> Json {
    json!({"required": true, "content": {"application/json": {"schema": schema}}})
}

/// The responses of a request: those given, and problems.
fn responses(own: Json) -> Json {
    let mut all = own;
    all["default"] = json!({"$ref": "#/components/responses/problem"});
    all
}

fn table_path(name: &str, relation: &Relation) -> Json {
    let text = json!({"type": "string"});
    let filter = |column: &cairndb::catalog::Column| {
        parameter("query", &column.name, "operator.value, such as eq.1", &text)
    };
    let filters: Vec<Json> = relation.table.live_columns().map(filter).collect();
    let number = json!({"type": "integer", "minimum": 0});
    let mut reading = filters.clone();
    reading.push(parameter(
        "query",
        "select",
        "Columns, and tables that foreign keys lead to: id,customers(name)",
        &text,
    ));
    reading.push(parameter("query", "order", "column.desc.nullslast, several with commas", &text));
    reading.push(parameter("query", "limit", "Rows, at most", &number));
    reading.push(parameter("query", "offset", "Rows to leave out", &number));
    reading.push(parameter("query", "after", "Where the page before ended, out of its Link", &text));
    let prefer = parameter(
        "header",
        "Prefer",
        "return=representation; resolution=merge-duplicates; count=exact",
        &text,
    );
    let mut changing = filters;
    changing.push(parameter(
        "query",
        "all",
        "true: every row is meant",
        &json!({"type": "string", "enum": ["true"]}),
    ));
    changing.push(prefer.clone());
    let (row, new) = (reference(&row_name(name)), reference(&format!("{}.new", row_name(name))));
    let rows = json!({"type": "array", "items": row});
    let id = row_name(name);
    json!({
        "get": {"operationId": format!("list.{id}"), "summary": format!("Rows of {name}"), "parameters": reading,
            "responses": responses(json!({"200": answer("Rows", &rows)}))},
        "post": {"operationId": format!("insert.{id}"), "summary": format!("New rows of {name}, all or none"), "parameters": [prefer],
            "requestBody": body(&json!({"oneOf": [new, {"type": "array", "items": new}]})),
            "responses": responses(json!({"201": answer("Made; the rows where Prefer asks for them", &rows)}))},
        "patch": {"operationId": format!("update.{id}"), "summary": format!("Changes rows of {name}"), "parameters": changing,
            "requestBody": body(&json!({"type": "object"})),
            "responses": responses(json!({"200": answer("The rows", &rows), "204": {"description": "Changed"}}))},
        "delete": {"operationId": format!("delete.{id}"), "summary": format!("Removes rows of {name}"), "parameters": changing,
            "responses": responses(json!({"200": answer("The rows", &rows), "204": {"description": "Removed"}}))},
    })
}

fn row_path(name: &str) -> Json {
    let key = parameter(
        "path",
        "key",
        "The primary key, with commas between its columns",
        &json!({"type": "string"}),
    );
    let row = reference(&row_name(name));
    let one = |description: &str| responses(json!({"200": answer(description, &row)}));
    let id = row_name(name);
    json!({
        "parameters": [key],
        "get": {"operationId": format!("get.{id}"), "summary": format!("A row of {name}"), "responses": one("The row")},
        "put": {"operationId": format!("put.{id}"), "summary": format!("Makes or changes a row of {name}"), "requestBody": body(&json!({"type": "object"})), "responses": one("The row")},
        "patch": {"operationId": format!("patch.{id}"), "summary": format!("Changes a row of {name}"), "requestBody": body(&json!({"type": "object"})), "responses": one("The row")},
        "delete": {"operationId": format!("remove.{id}"), "summary": format!("Removes a row of {name}"), "responses": responses(json!({"204": {"description": "Removed"}}))},
    })
}

/// What there is whatever the tables are.
fn fixed_paths() -> Map<String, Json> {
    let object = json!({"type": "object"});
    let text = json!({"type": "string"});
    let session = parameter("header", "Cairn-Session", "A session of POST /api/sessions", &text);
    let open = json!([{}]);
    let health = |id: &str, summary: &str| {
        json!({"get": {"operationId": id, "summary": summary, "security": open,
        "responses": responses(json!({"200": answer("It does", &object)}))}})
    };
    let key = |id: &str, summary: &str, schema: &str| {
        json!({"post": {"operationId": id, "summary": summary, "requestBody": body(&reference(schema)),
        "responses": responses(json!({"200": answer("Done", &object)}))}})
    };
    let figures = json!({"get": {"operationId": "stats", "summary": "Figures of the store and the server", "responses": responses(json!({"200": answer("Figures", &object)}))}});
    let all = json!({
        "/api/query": {"post": {
            "operationId": "query",
            "summary": "Runs a statement, or several as one transaction",
            "parameters": [session],
            "requestBody": {"required": true, "content": {
                "application/json": {"schema": reference("query")},
                "application/sql": {"schema": text},
            }},
            "responses": responses(json!({"200": answer("Rows, or what was done", &reference("result"))})),
        }},
        "/api/sessions": {"post": {"operationId": "openSession", "summary": "Opens a session", "responses": responses(json!({"201": answer("Its name", &object)}))}},
        "/api/sessions/{session}": {"delete": {"operationId": "closeSession", "summary": "Ends a session and rolls back",
            "parameters": [parameter("path", "session", "Its name", &text)],
            "responses": responses(json!({"204": {"description": "Ended"}, "202": {"description": "Ends with what runs in it"}}))}},
        "/api/tables": {"get": {"operationId": "tables", "summary": "The tables and views that the role may see",
            "responses": responses(json!({"200": answer("Tables", &json!({"type": "array", "items": object}))}))}},
        "/api/put": key("put", "Puts a value under a key", "keyValue"),
        "/api/get": key("get", "The value of a key", "key"),
        "/api/delete": key("delete", "Removes a key", "key"),
        "/api/flush": {"post": {"operationId": "flush", "summary": "Writes memtables to files", "responses": responses(json!({"200": answer("Done", &object)}))}},
        "/api/stats": figures,
        "/health": health("health", "Whether the process lives"),
        "/api/health": health("apiHealth", "The same"),
        "/ready": health("ready", "Whether it takes requests"),
        "/metrics": {"get": {"operationId": "metrics", "summary": "Figures for Prometheus",
            "responses": responses(json!({"200": {"description": "Figures", "content": {"text/plain": {"schema": text}, "application/json": {"schema": object}}}}))}},
    });
    all.as_object().cloned().unwrap_or_default()
}

fn fixed_schemas() -> Map<String, Json> {
    let text = json!({"type": "string"});
    let parameters = json!({"oneOf": [{"type": "array", "items": {}}, {"type": "object"}], "description": "A list for $1, $2 …, an object for :name"});
    let encoding = json!({"type": "string", "enum": ["text", "base64"]});
    let statement = json!({"type": "object", "required": ["sql"], "additionalProperties": false, "properties": {"sql": text, "params": parameters}});
    let all = json!({
        "query": {"type": "object", "additionalProperties": false, "properties": {
            "sql": text,
            "params": parameters,
            "statements": {"type": "array", "items": statement, "description": "Instead of sql: one transaction"},
            "isolation": {"type": "string", "enum": ["read committed", "repeatable read", "serializable"]},
            "read_only": {"type": "boolean"},
            "timeout": {"type": ["integer", "string"], "description": "Milliseconds, or a text such as 5s"},
            "format": {"type": "string", "enum": ["json", "jsonl", "csv", "arrow", "parquet"]},
            "rows": {"type": "string", "enum": ["lists", "objects"]},
        }},
        "result": {"type": "object", "properties": {
            "columns": {"type": "array", "items": {"type": "object", "properties": {"name": text, "type": text}}},
            "rows": {"type": "array", "items": {}},
            "tag": text,
            "row_count": {"type": "integer", "format": "int64"},
            "notices": {"type": "array", "items": {"type": "object"}},
            "results": {"type": "array", "items": {"type": "object"}},
        }},
        "key": {"type": "object", "required": ["key"], "properties": {"key": text, "encoding": encoding}},
        "keyValue": {"type": "object", "required": ["key", "value"], "properties": {"key": text, "value": text, "encoding": encoding}},
        "problem": {"type": "object", "required": ["type", "title", "status", "detail", "sqlstate"], "properties": {
            "type": text, "title": text, "status": {"type": "integer"}, "detail": text,
            "sqlstate": {"type": "string", "pattern": "^[0-9A-Z]{5}$"},
            "retryable": {"type": "boolean"}, "reason": text, "hint": text, "position": {"type": "integer"},
            "schema": text, "table": text, "column": text, "constraint": text,
        }},
    });
    all.as_object().cloned().unwrap_or_default()
}
