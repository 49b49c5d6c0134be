//! Golden scripts: each file in `scripts/` is a list of blocks, commands over `---` over what they must print. With
//! `CAIRN_GOLDEN=write` the files are rewritten with what is printed; look at the difference before committing it.
//!
//! A command may begin with `A:`, the name of a transaction; without, it runs in one of its own, committed at once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use cairn_engine::catalog::{ReferentialAction, Relation};
use cairn_engine::ddl::{
    Backfill, ColumnSpec, CommentTarget, ConstraintSpec, Generation, IndexColumnSpec, IndexSpec,
    SequenceOptions, TableSpec, ViewSpec,
};
use cairn_engine::table::{self, Access, Bounds, ConflictTarget, Match, OnConflict, ScanRequest};
use cairn_engine::{
    CheckFailure, Database, Direction, Error, Expressions, Isolation, Result, Savepoint, Table, Transaction,
    TxnOptions,
};
use cairn_types::{DataType, Value};

use crate::support::{all, batch};

#[test]
#[allow(clippy::disallowed_methods)]
fn golden_scripts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts");
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut failed = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let printed = run_file(&text);
        if printed == text {
            continue;
        }
        if std::env::var("CAIRN_GOLDEN").is_ok_and(|v| v == "write") {
            std::fs::write(&path, printed).unwrap();
        } else {
            for (wanted, found) in text.lines().zip(printed.lines()).filter(|(a, b)| a != b).take(5) {
                println!("{}:\n  wanted {wanted}\n  found  {found}", path.display());
            }
            failed.push(path);
        }
    }
    assert!(failed.is_empty(), "scripts that print something else: {failed:?}");
}

fn run_file(text: &str) -> String {
    let mut world = World::new();
    let mut out = String::new();
    for block in text.split("\n\n").filter(|b| !b.trim().is_empty()) {
        let commands: Vec<&str> = block.lines().take_while(|line| *line != "---").collect();
        for command in &commands {
            writeln!(out, "{command}").unwrap();
        }
        writeln!(out, "---").unwrap();
        for command in commands.iter().filter(|c| !c.starts_with('#')) {
            match world.run(command) {
                Ok(text) => out.push_str(&text),
                Err(e) => write_error(&mut out, &e),
            }
        }
        writeln!(out).unwrap();
    }
    // Whatever happened: indexes and rows agree.
    if let Err(e) = cairn_engine::verify::indexes(&world.db.view().unwrap()) {
        write_error(&mut out, &e);
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn write_error(out: &mut String, e: &Error) {
    writeln!(out, "ERROR {}: {e}", e.sqlstate()).unwrap();
    if let Some(detail) = e.detail().filter(|_| !e.is_retryable()) {
        for line in detail.lines() {
            writeln!(out, "  DETAIL {line}").unwrap();
        }
    }
}

/// CHECKs of the form `column > number`; defaults that are numbers.
struct SmallExpressions;

impl Expressions for SmallExpressions {
    fn check(&self, table: &Table, checks: &[usize], rows: &RecordBatch) -> Result<Option<CheckFailure>> {
        for row in 0..rows.num_rows() {
            for check in checks {
                let (column, number) = table.checks[*check].sql.split_once(" > ").unwrap();
                let place = table.column_place(column.trim_matches('"')).unwrap();
                let value = Value::from_array(rows.column(place).as_ref(), row, &table.live_column(place).ty);
                if value.as_i64().is_some_and(|v| v <= number.parse().unwrap()) {
                    return Ok(Some(CheckFailure { row, check: *check }));
                }
            }
        }
        Ok(None)
    }

    fn default(&self, table: &Table, place: usize, rows: usize) -> Result<ArrayRef> {
        let column = table.live_column(place);
        let value = Value::parse_text(column.default.as_deref().unwrap(), &column.ty)?;
        Ok(Value::to_array(&vec![value; rows], &column.ty)?)
    }
}

struct World {
    db: Database,
    open: HashMap<String, (Transaction, HashMap<String, Savepoint>)>,
}

impl World {
    fn new() -> World {
        let db = Database::in_memory().unwrap();
        assert!(db.set_expressions(Arc::new(SmallExpressions)));
        World { db, open: HashMap::new() }
    }

    fn run(&mut self, command: &str) -> Result<String> {
        let Some((name, command)) = command.split_once(": ").filter(|(name, _)| name.len() == 1) else {
            let txn = self.db.begin(TxnOptions::default())?;
            let text = execute(&self.db, &txn, command)?;
            txn.commit()?;
            return Ok(text);
        };
        let words: Vec<&str> = command.split(' ').collect();
        match words[..] {
            ["begin"] | ["begin", "serializable"] => {
                let isolation = if words.len() > 1 { Isolation::Serializable } else { Isolation::Snapshot };
                let txn = self.db.begin(TxnOptions { isolation, ..Default::default() })?;
                self.open.insert(name.to_owned(), (txn, HashMap::new()));
            }
            ["commit"] => {
                self.open.remove(name).unwrap().0.commit()?;
            }
            ["rollback"] => self.open.remove(name).unwrap().0.rollback(),
            ["savepoint", label] => {
                let (txn, savepoints) = self.open.get_mut(name).unwrap();
                savepoints.insert(label.to_owned(), txn.savepoint()?);
            }
            ["rollback-to", label] => {
                let (txn, savepoints) = &self.open[name];
                txn.rollback_to(savepoints[label])?;
            }
            _ => return Ok(prefixed(name, &execute(&self.db, &self.open[name].0, command)?)),
        }
        Ok(String::new())
    }
}

fn prefixed(name: &str, text: &str) -> String {
    text.lines().map(|line| format!("{name}: {line}\n")).collect()
}

fn execute(db: &Database, txn: &Transaction, command: &str) -> Result<String> {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    let mut words = rest.split(' ');
    let mut word = || words.next().unwrap_or("");
    match verb {
        "create-table" => create_table(txn, rest).map(|()| String::new()),
        "create-index" => create_index(txn, rest).map(|()| String::new()),
        "add-column" => add_column(txn, rest).map(|()| String::new()),
        "add-constraint" => txn.add_constraint("public", word(), constraint(word())).map(|()| String::new()),
        "insert" => insert(txn, rest),
        "update" => update(txn, rest),
        "delete" => {
            let table = txn.catalog().table("public", word())?;
            let keys = keys_where(txn, &table, word())?.0;
            Ok(format!("deleted {}\n", table::delete(txn, &table, &keys)?))
        }
        "truncate" => {
            let options = (rest.contains("restart"), rest.contains("cascade"));
            let table = txn.catalog().table("public", word())?;
            table::truncate(txn, &[&table], options.0, options.1).map(|()| String::new())
        }
        "scan" => scan(txn, rest),
        "rows" => {
            let table = txn.catalog().table("public", word())?;
            Ok(format!("about {} rows\n", db.approximate_rows(table.id)))
        }
        "describe" => describe(txn, word()),
        "relations" => {
            let catalog = txn.catalog();
            let tables = catalog.tables().map(|t| format!("table {}.{}\n", t.schema, t.name));
            let views = catalog.views().map(|v| format!("view {}.{}\n", v.schema, v.name));
            let sequences = catalog.sequences().map(|s| format!("sequence {}.{}\n", s.schema, s.name));
            Ok(tables.chain(views).chain(sequences).collect())
        }
        "nextval" => {
            let sequence = txn.catalog().sequence("public", word())?;
            Ok(format!("{}\n", txn.nextval(sequence.id)?))
        }
        "setval" => {
            let sequence = txn.catalog().sequence("public", word())?;
            txn.setval(sequence.id, word().parse().unwrap(), word() != "false").map(|()| String::new())
        }
        _ => definitions(txn, verb, rest).map(|()| String::new()),
    }
}

/// DDL of few words.
fn definitions(txn: &Transaction, verb: &str, rest: &str) -> Result<()> {
    let words: Vec<&str> = rest.split(' ').collect();
    let cascade = words.contains(&"cascade");
    let word = |i: usize| words.get(i).copied().unwrap_or("");
    let p = "public";
    match verb {
        "create-schema" => txn.create_schema(word(0)).map(|_| ()),
        "drop-schema" => txn.drop_schema(word(0), cascade),
        "drop-table" => {
            let names: Vec<_> = words.iter().filter(|w| **w != "cascade").map(|w| (p, *w)).collect();
            txn.drop_tables(&names, cascade)
        }
        "rename-table" => txn.rename_table(p, word(0), word(1)),
        "set-schema" => txn.set_table_schema(p, word(0), word(1)),
        "drop-column" => txn.drop_column(p, word(0), word(1), cascade),
        "rename-column" => txn.rename_column(p, word(0), word(1), word(2)),
        "set-default" => txn.set_default(p, word(0), word(1), Some(word(2).to_owned())),
        "set-not-null" => txn.set_not_null(p, word(0), word(1), true),
        "drop-not-null" => txn.set_not_null(p, word(0), word(1), false),
        "drop-constraint" => txn.drop_constraint(p, word(0), word(1), cascade),
        "rename-constraint" => txn.rename_constraint(p, word(0), word(1), word(2)),
        "drop-index" => txn.drop_index(p, word(0), cascade),
        "rename-index" => txn.rename_index(p, word(0), word(1)),
        "create-view" => {
            // create-view name table column,column
            let table = txn.catalog().relation(p, word(1)).unwrap();
            let (object, columns) = match &table {
                Relation::Table(t) => (t.id, word(2).split(',').map(|c| t.column(c).unwrap().id).collect()),
                Relation::View(v) => (v.id, Vec::new()),
                _ => unreachable!(),
            };
            txn.create_view(&ViewSpec {
                schema: p.into(),
                name: word(0).into(),
                sql: format!("SELECT {} FROM {}", word(2), word(1)),
                columns: Vec::new(),
                depends_on: vec![cairn_engine::catalog::Dependency { object, columns }],
                replace: false,
                options: Default::default(),
            })
            .map(|_| ())
        }
        "drop-view" => txn.drop_views(&[(p, word(0))], cascade),
        "create-sequence" => txn.create_sequence(p, word(0), &sequence_options(&words[1..])).map(|_| ()),
        "alter-sequence" => txn.alter_sequence(p, word(0), &sequence_options(&words[1..])),
        "rename-sequence" => txn.rename_sequence(p, word(0), word(1)),
        "drop-sequence" => txn.drop_sequences(&[(p, word(0))], cascade),
        "comment-table" => {
            txn.comment(&CommentTarget::Table(p.into(), word(0).into()), Some(words[1..].join(" ")))
        }
        _ => panic!("no command {verb}"),
    }
}

fn sequence_options(words: &[&str]) -> SequenceOptions {
    let mut options = SequenceOptions::default();
    for word in words.iter().filter(|w| !w.is_empty()) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let number = value.parse::<i64>().ok();
        match name {
            "start" => options.start = number,
            "increment" => options.increment = number,
            "min" => options.min = Some(number),
            "max" => options.max = Some(number),
            "cycle" => options.cycle = Some(true),
            "restart" => options.restart = Some(number),
            _ => panic!("no option {name}"),
        }
    }
    options
}

/// `name:type[!][=default][+serial|+identity]`
fn column(text: &str) -> ColumnSpec {
    let (name, rest) = text.split_once(':').unwrap();
    let (rest, generation) = match rest.split_once('+') {
        Some((rest, "serial")) => (rest, Some(Generation::Serial)),
        Some((rest, _)) => {
            (rest, Some(Generation::Identity { always: true, options: SequenceOptions::default() }))
        }
        None => (rest, None),
    };
    let (rest, default) = rest.split_once('=').map_or((rest, None), |(rest, d)| (rest, Some(d.to_owned())));
    let nullable = !rest.ends_with('!');
    let ty = DataType::parse(rest.trim_end_matches('!')).unwrap();
    ColumnSpec { name: name.into(), ty, nullable, default, generation, expression: None, domain: None }
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

/// `pk(a,b)`, `unique(a)`, `check(a):a_>_0`, `fk(a):parent(b):delete=cascade:update=null`, with `name@` before.
fn constraint(text: &str) -> ConstraintSpec {
    let (name, text) = text.split_once('@').map_or((None, text), |(n, t)| (Some(n.to_owned()), t));
    let mut parts = text.split(':');
    let (kind, columns) = parts.next().unwrap().trim_end_matches(')').split_once('(').unwrap();
    let columns = names(columns);
    match kind {
        "pk" => ConstraintSpec::PrimaryKey { name, columns, deferrable: None },
        "unique" => ConstraintSpec::Unique {
            name,
            columns,
            nulls_not_distinct: false,
            include: Vec::new(),
            deferrable: None,
        },
        "check" => {
            let sql = parts.next().unwrap().replace('_', " ");
            ConstraintSpec::Check { name, sql, columns, not_valid: false }
        }
        "fk" => {
            let parent = parts.next().unwrap();
            let (parent, parent_columns) = match parent.trim_end_matches(')').split_once('(') {
                Some((parent, columns)) => (parent, names(columns)),
                None => (parent, Vec::new()),
            };
            let (mut on_delete, mut on_update) = Default::default();
            for part in parts {
                let (event, action) = part.split_once('=').unwrap();
                let action = match action {
                    "cascade" => ReferentialAction::Cascade,
                    "null" => ReferentialAction::SetNull,
                    "default" => ReferentialAction::SetDefault,
                    "restrict" => ReferentialAction::Restrict,
                    _ => ReferentialAction::NoAction,
                };
                if event == "delete" { on_delete = action } else { on_update = action }
            }
            let parent = ("public".to_owned(), parent.to_owned());
            ConstraintSpec::ForeignKey {
                name,
                columns,
                parent,
                parent_columns,
                on_delete,
                on_update,
                not_valid: false,
                deferrable: None,
            }
        }
        _ => panic!("no constraint {kind}"),
    }
}

/// `name column… [constraint…]`
fn create_table(txn: &Transaction, text: &str) -> Result<()> {
    let mut words = text.split(' ');
    let name = words.next().unwrap();
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    let (constraints, columns): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('('));
    txn.create_table(TableSpec {
        schema: schema.into(),
        name: name.into(),
        columns: columns.into_iter().map(column).collect(),
        constraints: constraints.into_iter().map(constraint).collect(),
        ..Default::default()
    })
    .map(|_| ())
}

/// `[unique] name table a,b.desc`
fn create_index(txn: &Transaction, text: &str) -> Result<()> {
    let (unique, text) = text.strip_prefix("unique ").map_or((false, text), |text| (true, text));
    let words: Vec<&str> = text.split(' ').collect();
    let columns = words[2].split(',').map(|c| {
        let descending = c.ends_with(".desc");
        let column = c.trim_end_matches(".desc").to_owned();
        IndexColumnSpec { column, expression: None, descending, nulls_first: descending }
    });
    let spec = IndexSpec {
        schema: "public".into(),
        table: words[1].into(),
        name: (words[0] != "-").then(|| words[0].to_owned()),
        kind: "btree".into(),
        columns: columns.collect(),
        unique,
        ..Default::default()
    };
    txn.create_index(&spec).map(|_| ())
}

/// `table column [backfill]`
fn add_column(txn: &Transaction, text: &str) -> Result<()> {
    let mut words = text.split(' ');
    let table = words.next().unwrap();
    let column = column(words.next().unwrap());
    let backfill = match words.next() {
        Some(text) => Backfill::Value(Value::parse_text(text, &column.ty)?),
        None => Backfill::Null,
    };
    txn.add_column("public", table, column, backfill)
}

fn value(text: &str, ty: &DataType) -> Result<Value> {
    if text == "null" { Ok(Value::Null) } else { Ok(Value::parse_text(text, ty)?) }
}

/// `table [on-conflict nothing|report [index]] a,b | c,d`
fn insert(txn: &Transaction, text: &str) -> Result<String> {
    let (name, mut text) = text.split_once(' ').unwrap();
    let table = txn.catalog().table("public", name)?;
    let mut on_conflict = OnConflict::Error;
    if let Some(rest) = text.strip_prefix("on-conflict ") {
        let (what, rest) = rest.split_once(' ').unwrap();
        let (action, target) = what.split_once('=').unwrap_or((what, ""));
        let target = match target {
            "" => ConflictTarget::Any,
            "pk" => ConflictTarget::PrimaryKey,
            index => ConflictTarget::Index(table.index_by_name(index).unwrap().id),
        };
        on_conflict = if action == "nothing" {
            OnConflict::DoNothing { target }
        } else {
            OnConflict::Report { target }
        };
        text = rest;
    }
    let mut rows = Vec::new();
    for row in text.split(" | ") {
        let cells = row.split(',').zip(table.live_columns()).map(|(cell, c)| value(cell, &c.ty));
        rows.push(cells.collect::<Result<Vec<_>>>()?);
    }
    let inserted = table::insert(txn, &table, &batch(&table, &rows), on_conflict)?;
    let mut out = format!("inserted {}", inserted.rows);
    for conflict in &inserted.conflicts {
        write!(out, ", row {} conflicts with {:?}", conflict.row, conflict.existing).unwrap();
    }
    Ok(out + "\n")
}

/// The keys and rows for which `column=value` (or `*`).
fn keys_where(
    txn: &Transaction,
    table: &Table,
    condition: &str,
) -> Result<(Vec<bytes::Bytes>, Vec<Vec<Value>>)> {
    let places = all(table);
    let request = ScanRequest { with_row_key: true, ..ScanRequest::full(places.clone()) };
    let (mut keys, mut rows) = (Vec::new(), Vec::new());
    for batch in table::scan(&txn.view()?, table, request)? {
        let batch = batch?;
        let row_keys = batch.column(places.len()).as_any().downcast_ref().unwrap();
        for (row, key) in table::row_keys(row_keys).into_iter().enumerate() {
            let cell = |place: &usize| {
                Value::from_array(batch.column(*place).as_ref(), row, &table.live_column(*place).ty)
            };
            let cells: Vec<Value> = places.iter().map(cell).collect();
            let wanted = match condition.split_once('=') {
                None => true,
                Some((column, text)) => {
                    let place = table.column_place(column).unwrap();
                    cells[place] == value(text, &table.live_column(place).ty)?
                }
            };
            if wanted {
                keys.push(key);
                rows.push(cells);
            }
        }
    }
    Ok((keys, rows))
}

/// `table condition column=value|column+number…`
fn update(txn: &Transaction, text: &str) -> Result<String> {
    let mut words = text.split(' ');
    let table = txn.catalog().table("public", words.next().unwrap())?;
    let (keys, mut rows) = keys_where(txn, &table, words.next().unwrap())?;
    let mut changed = Vec::new();
    for word in words {
        let at = word.find(['=', '+']).unwrap();
        let place = table.column_place(&word[..at]).unwrap();
        let ty = &table.live_column(place).ty;
        changed.push(place);
        for row in &mut rows {
            row[place] = match word.as_bytes()[at] {
                b'=' => value(&word[at + 1..], ty)?,
                _ => {
                    let sum = row[place].as_i64().unwrap() + word[at + 1..].parse::<i64>().unwrap();
                    Value::BigInt(sum).fit(ty)?
                }
            };
        }
    }
    let updated = table::update(txn, &table, &keys, &batch(&table, &rows), &changed)?;
    Ok(format!("updated {updated}\n"))
}

/// `table [reverse] [index name|pk bounds…] [columns=a,b] [limit=n]`; bounds `1,2` equal, `null`, then `>=3`, `<5`.
fn scan(txn: &Transaction, text: &str) -> Result<String> {
    let mut words = text.split(' ').peekable();
    let table = txn.catalog().table("public", words.next().unwrap())?;
    let mut request = ScanRequest::full(all(&table));
    let mut index = None;
    let mut bounds = Bounds::default();
    for word in words {
        if word == "reverse" {
            request.direction = Direction::Reverse;
        } else if word == "pk" {
            index = Some(0);
        } else if let Some(name) = word.strip_prefix("index=") {
            index = Some(table.index_by_name(name).unwrap().id);
        } else if let Some(columns) = word.strip_prefix("columns=") {
            request.projection = columns.split(',').map(|c| table.column_place(c).unwrap()).collect();
        } else if let Some(limit) = word.strip_prefix("limit=") {
            request.limit = Some(limit.parse().unwrap());
        } else {
            bound(&table, index.unwrap(), word, &mut bounds)?;
        }
    }
    request.access = match index {
        None => Access::Full,
        Some(0) => table::primary_access(&table, &[bounds])?,
        Some(index) => table::index_access(&table, index, &[bounds])?,
    };
    let covered =
        index.is_some_and(|i| i > 0) && table::is_covered(&table, index.unwrap(), &request.projection)?;
    let places = request.projection.clone();
    let mut out = if covered { "covered\n".to_owned() } else { String::new() };
    for batch in table::scan(&txn.view()?, &table, request)? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let cell = |(i, place): (usize, &usize)| {
                let ty = &table.live_column(*place).ty;
                let value = Value::from_array(batch.column(i).as_ref(), row, ty);
                if value.is_null() { "null".to_owned() } else { value.to_text(ty) }
            };
            let cells: Vec<String> = places.iter().enumerate().map(cell).collect();
            writeln!(out, "{}", cells.join(",")).unwrap();
        }
    }
    Ok(out)
}

fn bound(table: &Table, index: u16, word: &str, bounds: &mut Bounds) -> Result<()> {
    use std::ops::Bound;
    let key = table.index_key(index).unwrap();
    let ty = &key[bounds.equal.len()].0.ty;
    if let Some(text) = word.strip_prefix(">=") {
        bounds.lower = Bound::Included(value(text, ty)?);
    } else if let Some(text) = word.strip_prefix('>') {
        bounds.lower = Bound::Excluded(value(text, ty)?);
    } else if let Some(text) = word.strip_prefix("<=") {
        bounds.upper = Bound::Included(value(text, ty)?);
    } else if let Some(text) = word.strip_prefix('<') {
        bounds.upper = Bound::Excluded(value(text, ty)?);
    } else if word == "isnull" {
        bounds.equal.push(Match::IsNull);
    } else {
        bounds.equal.push(Match::Equal(value(word, ty)?));
    }
    Ok(())
}

fn describe(txn: &Transaction, name: &str) -> Result<String> {
    let table = txn.catalog().table("public", name)?;
    let mut out = String::new();
    for column in table.live_columns() {
        write!(out, "{} {}", column.name, column.ty.sql_name()).unwrap();
        if !column.nullable {
            out.push_str(" not null");
        }
        if let Some(default) = &column.default {
            write!(out, " default {default}").unwrap();
        }
        if let Some(identity) = &column.identity {
            write!(out, " identity{}", if identity.always { " always" } else { "" }).unwrap();
        }
        out.push('\n');
    }
    let column_names = |ids: &mut dyn Iterator<Item = u32>| {
        ids.map(|id| table.column_by_id(id).unwrap().name.clone()).collect::<Vec<_>>().join(",")
    };
    if !table.has_hidden_key() {
        let columns = column_names(&mut table.primary_key.iter().copied());
        writeln!(out, "primary key {} ({columns})", table.primary_key_name).unwrap();
    }
    for index in &table.indexes {
        let columns = column_names(&mut index.columns.iter().map(|c| c.column));
        let unique = if index.unique { "unique " } else { "" };
        let constraint = if index.constraint { "constraint " } else { "" };
        writeln!(out, "{unique}{constraint}index {} ({columns})", index.name).unwrap();
    }
    for check in &table.checks {
        writeln!(out, "check {} {}", check.name, check.sql).unwrap();
    }
    for key in &table.foreign_keys {
        let parent = txn.catalog().table_by_id(key.parent).unwrap().name.clone();
        let columns = column_names(&mut key.columns.iter().copied());
        writeln!(out, "foreign key {} ({columns}) to {parent}", key.name).unwrap();
    }
    if let Some(comment) = &table.comment {
        writeln!(out, "comment {comment}").unwrap();
    }
    Ok(out)
}
