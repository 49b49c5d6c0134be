//! Rows made, changed and removed: INSERT, upserts, UPDATE and DELETE of what an address names.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cairndb::{DataType, Outcome};
use serde_json::{Map, Value as Json, json};

use super::super::guest::Guest;
use super::super::problem::Problem;
use super::super::{Http, parameters, reply, request};
use super::relation::{Relation, quoted};
use super::statement::Statement;
use super::{Asked, by_key, encoded, objects, one, prefers, select};

/// Values of one INSERT, at most.
const VALUES_MAX: usize = 10_000;

/// What is to happen to rows that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Refuse,
    Keep,
    Replace,
}

impl Existing {
    fn of(headers: &HeaderMap) -> Existing {
        if prefers(headers, "resolution=merge-duplicates") {
            Existing::Replace
        } else if prefers(headers, "resolution=ignore-duplicates") {
            Existing::Keep
        } else {
            Existing::Refuse
        }
    }
}

/// `POST /api/tables/{table}`: a row, or a list of rows; all of them or none.
pub(in super::super) async fn insert(
    State(http): State<Arc<Http>>,
    Path(table): Path<String>,
    Query(address): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    mut guest: Guest,
    body: Body,
) -> Result<Response, Problem> {
    let asked = Asked::of(address)?;
    let has_filters = !asked.filters.is_empty();
    asked.refuse(&[
        ("order", asked.order.is_some()),
        ("limit", asked.limit.is_some()),
        ("after", asked.after.is_some()),
        ("a filter", has_filters),
    ])?;
    let relation = Relation::named(&guest.session, &table)?;
    let given: Json = request::json(&request::bytes(&http, body).await?)?;
    let is_one = given.is_object();
    let rows = match given {
        Json::Object(row) => vec![row],
        Json::Array(rows) => rows.into_iter().map(row_of).collect::<Result<_, _>>()?,
        _ => return Err(Problem::request("the body is a row (an object) or a list of rows")),
    };
    let existing = Existing::of(&headers);
    let returned = prefers(&headers, "return=representation").then(|| asked.select.as_deref().unwrap_or("*"));
    let conflict = asked.on_conflict.as_deref();
    // What comes back has to be readable for the role, which it need not be for who only asks for rows to be made.
    let told = returned.or_else(|| prefers(&headers, "return=headers-only").then_some("*"));
    let given = if is_one { rows.first().and_then(|row| key_of(row, &relation)) } else { None };
    let made = insert_all(&mut guest, &relation, rows, (existing, conflict), told).await?;
    let mut response = match returned {
        Some(_) => reply::json(StatusCode::CREATED, format!("[{}]", made.objects.join(",\n"))),
        None => (StatusCode::CREATED, ()).into_response(),
    };
    if let Some(key) = made.key.filter(|_| is_one).or(given.filter(|_| made.rows == 1))
        && let Ok(address) =
            HeaderValue::from_str(&format!("/api/tables/{}/{}", encoded(&table), encoded(&key)))
    {
        response.headers_mut().insert(header::LOCATION, address);
    }
    Ok(counted(response, made.rows))
}

fn row_of(json: Json) -> Result<Map<String, Json>, Problem> {
    match json {
        Json::Object(row) => Ok(row),
        other => Err(Problem::request(format!("{other} is no row: rows are objects"))),
    }
}

/// Rows changed, for the client to see.
fn counted(mut response: Response, rows: u64) -> Response {
    if let Ok(range) = HeaderValue::from_str(&format!("*/{rows}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

#[derive(Default)]
struct Made {
    rows: u64,
    objects: Vec<String>,
    /// The key of the row, where it is one.
    key: Option<String>,
}

/// Inserts rows in one transaction. Those with the same columns go into one statement.
async fn insert_all(
    guest: &mut Guest,
    relation: &Relation,
    rows: Vec<Map<String, Json>>,
    existing: (Existing, Option<&str>),
    returned: Option<&str>,
) -> Result<Made, Problem> {
    let is_one = rows.len() == 1;
    let statements = inserts(relation, rows, existing, returned)?;
    let mut made = Made::default();
    let in_block = statements.len() > 1;
    if in_block {
        guest.run("BEGIN", &[]).await?;
    }
    for statement in &statements {
        match statement.run(guest).await? {
            Outcome::Command { rows, .. } => made.rows += rows,
            Outcome::Rows(mut rows) => {
                let page = objects(&mut rows, 0).await?;
                made.rows += page.rows;
                if is_one && page.rows == 1 {
                    let rows: Vec<Map<String, Json>> = serde_json::from_str(&page.text).unwrap_or_default();
                    made.key = rows.first().and_then(|row| key_of(row, relation));
                }
                let inner = page.text.trim_start_matches('[').trim_end_matches(']');
                made.objects.extend((!inner.is_empty()).then(|| inner.to_owned()));
            }
        }
    }
    if in_block {
        guest.run("COMMIT", &[]).await?;
    }
    Ok(made)
}

/// The key of a row, as it stands in an address; `None` where the row does not have all of it.
fn key_of(row: &Map<String, Json>, relation: &Relation) -> Option<String> {
    let value = |column: &str| row.get(column).filter(|own| !own.is_null());
    let text = |own: &Json| own.as_str().map_or_else(|| own.to_string(), str::to_owned);
    let values: Vec<String> =
        relation.key().into_iter().map(|column| value(column).map(text)).collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.join(","))
}

/// The text of a value for a column: JSON is kept as it is for columns of JSON.
fn text_of(value: &Json, ty: &DataType) -> Option<String> {
    match (value, ty) {
        (Json::Null, _) => None,
        (value, DataType::Json | DataType::Jsonb) => Some(value.to_string()),
        (value, ty) => Some(parameters::text(value, ty)),
    }
}

/// Rows with the same columns.
struct Alike {
    columns: Vec<String>,
    rows: Vec<Map<String, Json>>,
}

/// The statements that insert rows, those with the same columns in one.
fn inserts(
    relation: &Relation,
    rows: Vec<Map<String, Json>>,
    (existing, conflict): (Existing, Option<&str>),
    returned: Option<&str>,
) -> Result<Vec<Statement>, Problem> {
    let mut groups: Vec<Alike> = Vec::new();
    let mut places: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    for row in rows {
        let columns: Vec<String> = row.keys().cloned().collect();
        let mut sorted = columns.clone();
        sorted.sort_unstable();
        let place = *places.entry(sorted).or_insert_with(|| {
            groups.push(Alike { columns, rows: Vec::new() });
            groups.len() - 1
        });
        groups[place].rows.push(row);
    }
    let mut all = Vec::new();
    for Alike { columns, rows } in groups {
        let types = columns.iter().map(|name| relation.type_of(name)).collect::<Result<Vec<_>, _>>()?;
        for rows in rows.chunks((VALUES_MAX / columns.len().max(1)).max(1)) {
            let mut statement = Statement::default();
            statement.push(&format!("INSERT INTO {} AS t0", relation.sql()));
            if columns.is_empty() {
                // Rows of nothing but defaults.
                for _ in rows {
                    let mut own = statement.clone();
                    own.push(" DEFAULT VALUES");
                    finish(relation, &[], (existing, conflict), returned, &mut own)?;
                    all.push(own);
                }
                continue;
            }
            let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
            statement.push(&format!(" ({}) VALUES ", names.join(", ")));
            for (at, row) in rows.iter().enumerate() {
                statement.push(if at > 0 { ", (" } else { "(" });
                for (place, (name, ty)) in columns.iter().zip(&types).enumerate() {
                    statement.push(if place > 0 { ", " } else { "" });
                    statement.push_value(row.get(name).and_then(|value| text_of(value, ty)));
                }
                statement.push(")");
            }
            finish(relation, &columns, (existing, conflict), returned, &mut statement)?;
            all.push(statement);
        }
    }
    Ok(all)
}

/// Appends ON CONFLICT and RETURNING.
fn finish(
    relation: &Relation,
    columns: &[String],
    (existing, conflict): (Existing, Option<&str>),
    returned: Option<&str>,
    statement: &mut Statement,
) -> Result<(), Problem> {
    let target: Vec<String> = match conflict {
        Some(names) => names
            .split(',')
            .map(|name| relation.column(name).map(|own| own.name.clone()))
            .collect::<Result<_, _>>()?,
        None => relation.key().into_iter().map(str::to_owned).collect(),
    };
    let quoted_target: Vec<String> = target.iter().map(|name| quoted(name)).collect();
    match existing {
        Existing::Refuse => {}
        _ if target.is_empty() => {
            let message = format!("relation \"{}\" has no primary key", relation.table.name);
            return Err(Problem::new(400, "42P10", message).with_hint("Name the columns: ?on_conflict=a,b."));
        }
        Existing::Keep => statement.push(&format!(" ON CONFLICT ({}) DO NOTHING", quoted_target.join(", "))),
        Existing::Replace => {
            let others = columns.iter().filter(|name| !target.contains(name));
            let set: Vec<String> = others.map(|name| format!("{0} = excluded.{0}", quoted(name))).collect();
            let what =
                if set.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", set.join(", ")) };
            statement.push(&format!(" ON CONFLICT ({}) DO {what}", quoted_target.join(", ")));
        }
    }
    returning(relation, returned, statement)
}

fn returning(relation: &Relation, returned: Option<&str>, statement: &mut Statement) -> Result<(), Problem> {
    if let Some(select) = returned {
        statement.push(&format!(" RETURNING {}", select::list(relation, select, 0)?));
    }
    Ok(())
}

/// `PATCH /api/tables/{table}?filter`.
pub(in super::super) async fn update(
    State(http): State<Arc<Http>>,
    Path(table): Path<String>,
    Query(address): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    mut guest: Guest,
    body: Body,
) -> Result<Response, Problem> {
    let asked = changes(Asked::of(address)?, "PATCH")?;
    let relation = Relation::named(&guest.session, &table)?;
    let row = row_of(request::json(&request::bytes(&http, body).await?)?)?;
    let returned = prefers(&headers, "return=representation").then(|| asked.select.as_deref().unwrap_or("*"));
    let statement = update_of(&relation, &row, &asked, returned)?;
    changed(&mut guest, &statement).await
}

/// `PATCH /api/tables/{table}/{key}`.
pub(in super::super) async fn update_one(
    State(http): State<Arc<Http>>,
    Path((table, key)): Path<(String, String)>,
    mut guest: Guest,
    body: Body,
) -> Result<Response, Problem> {
    let relation = Relation::named(&guest.session, &table)?;
    let row = row_of(request::json(&request::bytes(&http, body).await?)?)?;
    let asked = Asked { filters: by_key(&relation, &key)?, ..Asked::default() };
    let Outcome::Rows(mut rows) = update_of(&relation, &row, &asked, Some("*"))?.run(&mut guest).await?
    else {
        return Err(Problem::new(500, "XX000", "RETURNING without rows"));
    };
    one(&mut rows, StatusCode::OK).await
}

/// `PUT /api/tables/{table}/{key}`: the row with this key, made or changed.
pub(in super::super) async fn replace_one(
    State(http): State<Arc<Http>>,
    Path((table, key)): Path<(String, String)>,
    mut guest: Guest,
    body: Body,
) -> Result<Response, Problem> {
    let relation = Relation::named(&guest.session, &table)?;
    let mut row = row_of(request::json(&request::bytes(&http, body).await?)?)?;
    for filter in by_key(&relation, &key)? {
        let super::Filter::Compare { column, value, .. } = filter else { continue };
        let ty = relation.type_of(&column)?;
        match row.get(&column) {
            Some(own) if text_of(own, ty).as_ref() != Some(&value) => {
                return Err(Problem::request(format!(
                    "\"{column}\" is {own} in the body and {value} in the address"
                )));
            }
            Some(_) => {}
            None => drop(row.insert(column, json!(value))),
        }
    }
    let statements = inserts(&relation, vec![row], (Existing::Replace, None), Some("*"))?;
    let Some(statement) = statements.first() else { return Err(Problem::request("the row is empty")) };
    let Outcome::Rows(mut rows) = statement.run(&mut guest).await? else {
        return Err(Problem::new(500, "XX000", "RETURNING without rows"));
    };
    let page = objects(&mut rows, 0).await?;
    if page.rows == 0 {
        // It is there, and there was nothing to change.
        let asked = Asked { filters: by_key(&relation, &key)?, ..Asked::default() };
        let Outcome::Rows(mut rows) = super::query(&relation, &asked, &[], false)?.run(&mut guest).await?
        else {
            return Err(Problem::new(500, "XX000", "a SELECT without rows"));
        };
        return one(&mut rows, StatusCode::OK).await;
    }
    Ok(reply::json(StatusCode::OK, page.text.trim_matches(['[', ']']).to_owned()))
}

/// `DELETE /api/tables/{table}?filter`.
pub(in super::super) async fn delete(
    Path(table): Path<String>,
    Query(address): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    mut guest: Guest,
) -> Result<Response, Problem> {
    let asked = changes(Asked::of(address)?, "DELETE")?;
    let relation = Relation::named(&guest.session, &table)?;
    let returned = prefers(&headers, "return=representation").then(|| asked.select.as_deref().unwrap_or("*"));
    let mut statement = Statement::default();
    statement.push(&format!("DELETE FROM {} AS t0", relation.sql()));
    asked.write_where(&relation, "t0", &mut statement)?;
    returning(&relation, returned, &mut statement)?;
    changed(&mut guest, &statement).await
}

/// `DELETE /api/tables/{table}/{key}`.
pub(in super::super) async fn delete_one(
    Path((table, key)): Path<(String, String)>,
    mut guest: Guest,
) -> Result<Response, Problem> {
    let relation = Relation::named(&guest.session, &table)?;
    let asked = Asked { filters: by_key(&relation, &key)?, ..Asked::default() };
    let mut statement = Statement::default();
    statement.push(&format!("DELETE FROM {} AS t0", relation.sql()));
    asked.write_where(&relation, "t0", &mut statement)?;
    match statement.run(&mut guest).await? {
        Outcome::Command { rows: 1.., .. } => Ok((StatusCode::NO_CONTENT, ()).into_response()),
        _ => Err(Problem::new(404, "02000", "there is no such row")),
    }
}

/// What changes every row is to be meant.
fn changes(asked: Asked, method: &str) -> Result<Asked, Problem> {
    asked.refuse(&[
        ("order", asked.order.is_some()),
        ("limit", asked.limit.is_some()),
        ("after", asked.after.is_some()),
        ("on_conflict", asked.on_conflict.is_some()),
    ])?;
    if asked.filters.is_empty() && !asked.all {
        let message = format!("{method} without a filter would take every row");
        return Err(Problem::request(message).with_hint("?all=true says that this is meant."));
    }
    Ok(asked)
}

fn update_of(
    relation: &Relation,
    row: &Map<String, Json>,
    asked: &Asked,
    returned: Option<&str>,
) -> Result<Statement, Problem> {
    if row.is_empty() {
        return Err(Problem::request("the row is empty: there is nothing to change"));
    }
    let mut statement = Statement::default();
    statement.push(&format!("UPDATE {} AS t0 SET ", relation.sql()));
    for (at, (name, value)) in row.iter().enumerate() {
        let ty = relation.type_of(name)?;
        statement.push(&format!("{}{} = ", if at > 0 { ", " } else { "" }, quoted(name)));
        statement.push_value(text_of(value, ty));
    }
    asked.write_where(relation, "t0", &mut statement)?;
    returning(relation, returned, &mut statement)?;
    Ok(statement)
}

/// Runs a change of what may be many rows.
async fn changed(guest: &mut Guest, statement: &Statement) -> Result<Response, Problem> {
    match statement.run(guest).await? {
        Outcome::Command { rows, .. } => Ok(counted((StatusCode::NO_CONTENT, ()).into_response(), rows)),
        Outcome::Rows(mut rows) => {
            let page = objects(&mut rows, 0).await?;
            Ok(counted(reply::json(StatusCode::OK, page.text), page.rows))
        }
    }
}
