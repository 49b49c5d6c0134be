//! `/api/tables/{table}[/{key}]`: rows as JSON objects, filtered, ordered, paged and changed without SQL.
//!
//! Filters, orders and embedded tables are spelled as in PostgREST. Names are looked up in the catalog and quoted; values are
//! parameters.

mod change;
mod filter;
mod page;
mod relation;
mod select;
mod statement;

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use cairndb::{Notice, Outcome, Rows};

use super::Http;
use super::guest::Guest;
use super::json::{RowsAs, row_of};
use super::problem::Problem;
use super::reply::{self, Said, Wanted};
use super::request::Form;
use filter::Filter;
use page::{Cursor, Sorted};
pub(super) use relation::Relation;
use relation::quoted;
use statement::Statement;

pub(super) use change::{delete, delete_one, insert, replace_one, update, update_one};

/// Rows of a page that says where the next one begins, at most; more are streamed.
const PAGE_ROWS_MAX: u64 = 10_000;

/// The tables and views that the role may see.
pub(super) const VISIBLE: &str = "SELECT table_schema AS schema, table_name AS name, CASE table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END AS kind \
     FROM information_schema.tables \
     WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2";

/// What an address asks for.
#[derive(Default)]
struct Asked {
    select: Option<String>,
    order: Option<String>,
    limit: Option<u64>,
    offset: Option<u64>,
    after: Option<String>,
    format: Option<String>,
    on_conflict: Option<String>,
    all: bool,
    filters: Vec<Filter>,
}

impl Asked {
    fn of(address: Vec<(String, String)>) -> Result<Asked, Problem> {
        let mut asked = Asked::default();
        for (name, value) in address {
            let number = || {
                let wrong = || Problem::request(format!("{name} \"{value}\" is no number of rows"));
                value.parse().map(Some).map_err(|_| wrong())
            };
            match name.as_str() {
                "select" => asked.select = Some(value),
                "order" => asked.order = Some(value),
                "limit" => asked.limit = number()?,
                "offset" => asked.offset = number()?,
                "after" => asked.after = Some(value),
                "format" => asked.format = Some(value),
                "on_conflict" => asked.on_conflict = Some(value),
                "all" => asked.all = value == "true",
                name => asked.filters.push(Filter::parse(name, &value)?),
            }
        }
        Ok(asked)
    }

    /// Refuses what a request of this kind has no use for.
    fn refuse(&self, given: &[(&str, bool)]) -> Result<(), Problem> {
        match given.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Problem::request(format!("\"{name}\" has no meaning here"))),
            None => Ok(()),
        }
    }

    /// Appends ` WHERE …`.
    fn write_where(&self, relation: &Relation, alias: &str, out: &mut Statement) -> Result<(), Problem> {
        for (at, filter) in self.filters.iter().enumerate() {
            out.push(if at > 0 { " AND " } else { " WHERE " });
            filter.write(relation, alias, out)?;
        }
        Ok(())
    }
}

/// A word of `Prefer`: `count=exact`.
fn prefers(headers: &HeaderMap, wanted: &str) -> bool {
    let all = headers.get_all("prefer").iter().filter_map(|own| own.to_str().ok());
    all.flat_map(|own| own.split([',', ';'])).any(|own| own.trim() == wanted)
}

/// The guest alone: nothing is to be said beside rows.
impl Said for Guest {
    fn notices(&mut self) -> Vec<Notice> {
        self.session.notices()
    }
}

/// `GET /api/tables`: what the role may see.
pub(super) async fn list(guest: Guest) -> Result<Response, Problem> {
    let mut guest = guest;
    let Outcome::Rows(mut rows) = guest.run(VISIBLE, &[]).await? else {
        return Err(Problem::new(500, "XX000", "a SELECT without rows"));
    };
    Ok(reply::json(StatusCode::OK, objects(&mut rows, 0).await?.text))
}

/// `GET /api/tables/{table}`.
pub(super) async fn select(
    State(_): State<Arc<Http>>,
    Path(table): Path<String>,
    Query(address): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    mut guest: Guest,
) -> Result<Response, Problem> {
    let asked = Asked::of(address)?;
    asked.refuse(&[("on_conflict", asked.on_conflict.is_some()), ("all", asked.all)])?;
    let form = Form::of(asked.format.as_deref(), &headers)?;
    let relation = Relation::named(&guest.session, &table)?;
    let order = page::order(&relation, asked.order.as_deref())?;
    let is_paged = form == Form::Json && asked.limit.is_some_and(|limit| limit <= PAGE_ROWS_MAX);
    let statement = query(&relation, &asked, &order, is_paged)?;
    let total = match prefers(&headers, "count=exact") {
        true => Some(count(&mut guest, &relation, &asked).await?),
        false => None,
    };
    let Outcome::Rows(mut rows) = statement.run(&mut guest).await? else {
        return Err(Problem::new(500, "XX000", "a SELECT without rows"));
    };
    if form != Form::Json {
        return reply::rows(rows, Wanted { form, rows_as: RowsAs::Objects }, guest).await;
    }
    if !is_paged && total.is_none() {
        return reply::rows(rows, Wanted { form, rows_as: RowsAs::Alone }, guest).await;
    }
    let hidden = if is_paged { order.len() } else { 0 };
    let page = objects(&mut rows, hidden).await?;
    let mut response = reply::json(StatusCode::OK, page.text);
    if let Some(next) = page.last.filter(|_| is_paged && Some(page.rows) == asked.limit && page.rows > 0) {
        let link = format!("</api/tables/{}?after={}>; rel=\"next\"", encoded(&table), next.to_text());
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    if let Some(total) = total {
        let from = asked.offset.unwrap_or(0);
        let range = match page.rows {
            0 => format!("*/{total}"),
            rows => format!("{from}-{}/{total}", from + rows - 1),
        };
        if let Ok(range) = HeaderValue::from_str(&range) {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
    }
    Ok(response)
}

/// `GET /api/tables/{table}/{key}`.
pub(super) async fn select_one(
    Path((table, key)): Path<(String, String)>,
    Query(address): Query<Vec<(String, String)>>,
    mut guest: Guest,
) -> Result<Response, Problem> {
    let mut asked = Asked::of(address)?;
    let relation = Relation::named(&guest.session, &table)?;
    asked.filters = by_key(&relation, &key)?;
    let statement = query(&relation, &asked, &[], false)?;
    let Outcome::Rows(mut rows) = statement.run(&mut guest).await? else {
        return Err(Problem::new(500, "XX000", "a SELECT without rows"));
    };
    one(&mut rows, StatusCode::OK).await
}

/// The only row of a result, as an object.
async fn one(rows: &mut Rows, status: StatusCode) -> Result<Response, Problem> {
    let page = objects(rows, 0).await?;
    match page.rows {
        0 => Err(Problem::new(404, "02000", "there is no such row")),
        _ => Ok(reply::json(status, page.text.trim_matches(['[', ']', '\n']).to_owned())),
    }
}

/// Conditions that a row has this key: `7`, or `7,a` where it has two columns.
fn by_key(relation: &Relation, key: &str) -> Result<Vec<Filter>, Problem> {
    let columns = relation.key();
    if columns.is_empty() {
        let message = format!("relation \"{}\" has no primary key", relation.table.name);
        return Err(Problem::new(400, "42P10", message).with_hint("Filter by columns: ?column=eq.value."));
    }
    // The value of a key of one column may hold anything.
    let values: Vec<&str> = if columns.len() == 1 { vec![key] } else { key.split(',').collect() };
    if values.len() != columns.len() {
        let (wanted, given) = (columns.len(), values.len());
        return Err(Problem::request(format!("the key has {wanted} columns, {given} values are given")));
    }
    columns
        .iter()
        .zip(values)
        .map(|(column, value)| {
            Ok(Filter::Compare { column: (*column).to_owned(), operator: "=", value: value.to_owned() })
        })
        .collect()
}

/// The SELECT of an address; where it is one of pages, the columns of the order come last, once more.
fn query(relation: &Relation, asked: &Asked, order: &[Sorted], is_paged: bool) -> Result<Statement, Problem> {
    let mut statement = Statement::default();
    let list = select::list(relation, asked.select.as_deref().unwrap_or("*"), 0)?;
    statement.push(&format!("SELECT {list}"));
    if is_paged {
        for (at, sorted) in order.iter().enumerate() {
            statement.push(&format!(", t0.{} AS \"cairn order {at}\"", quoted(&sorted.column)));
        }
    }
    statement.push(&format!(" FROM {} AS t0", relation.sql()));
    asked.write_where(relation, "t0", &mut statement)?;
    if let Some(after) = &asked.after {
        statement.push(if asked.filters.is_empty() { " WHERE " } else { " AND " });
        Cursor::parse(after, order)?.write(order, "t0", &mut statement);
    }
    let sorted =
        asked.order.is_some() || asked.limit.is_some() || asked.offset.is_some() || asked.after.is_some();
    if sorted {
        statement.push(&page::order_by(order, "t0"));
    }
    if let Some(limit) = asked.limit {
        statement.push(&format!(" LIMIT {limit}"));
    }
    if let Some(offset) = asked.offset {
        statement.push(&format!(" OFFSET {offset}"));
    }
    Ok(statement)
}

/// How many rows there are on all pages.
async fn count(guest: &mut Guest, relation: &Relation, asked: &Asked) -> Result<i64, Problem> {
    let mut statement = Statement::default();
    statement.push(&format!("SELECT count(*) FROM {} AS t0", relation.sql()));
    asked.write_where(relation, "t0", &mut statement)?;
    let Outcome::Rows(mut rows) = statement.run(guest).await? else { return Ok(0) };
    match rows.next_async().await? {
        Some(row) => Ok(row.get::<i64>(0)?),
        None => Ok(0),
    }
}

/// Rows as a list of objects.
struct Page {
    text: String,
    rows: u64,
    last: Option<Cursor>,
}

/// Reads all rows, without the last `hidden` columns.
async fn objects(rows: &mut Rows, hidden: usize) -> Result<Page, Problem> {
    let columns = rows.columns().to_vec();
    let (shown, order) = columns.split_at(columns.len().saturating_sub(hidden));
    let mut page = Page { text: "[".to_owned(), rows: 0, last: None };
    while let Some(batch) = rows.next_batch_async().await? {
        for row in 0..batch.num_rows() {
            page.text.push_str(if page.rows > 0 { ",\n" } else { "" });
            row_of(&batch, row, shown, RowsAs::Objects, &mut page.text);
            page.rows += 1;
        }
        page.last = Cursor::of(&batch, order).or(page.last);
    }
    page.text.push(']');
    Ok(page)
}

/// A name as a part of an address.
pub(super) fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
