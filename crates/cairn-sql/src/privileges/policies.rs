//! Row-level security: the conditions that a role's rows have to meet, and CREATE, ALTER and DROP POLICY.
//!
//! The permissive policies that concern a role and a command are joined by OR (none: no row), the restrictive ones by AND.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use cairn_engine::catalog::{AccessDescriptor, ObjectId, PUBLIC_ROLE, Policy, Relation};
use cairn_engine::{Catalog, Table};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use sqlparser::ast::{Expr, ObjectName};

use super::relations::Reads;
use super::statement::{AlterPolicy, CreatePolicy, RowSecurity};
use crate::catalog::view::bound_expr;
use crate::context::Context;
use crate::ddl::names::{self, Kind};
use crate::dml::default::parse_expr;
use crate::dml::relations::{self, Relation as Side};
use crate::dml::target;
use crate::results::StatementResult;
use crate::session::variables::fold;
use crate::{Error, Result};

/// The policies for a command that concern a role.
fn concerned<'a>(
    catalog: &Catalog,
    access: &'a AccessDescriptor,
    role: ObjectId,
    command: char,
) -> Vec<&'a Policy> {
    let roles = catalog.inherited(role);
    let all = catalog.is_superuser(role);
    let concerns = |own: &ObjectId| *own == PUBLIC_ROLE || all || roles.contains(own);
    let policies = access.policies.iter().filter(|own| own.command == '*' || own.command == command);
    policies.filter(|own| own.roles.iter().any(concerns)).collect()
}

/// The condition of policies: USING, or what new rows have to meet.
fn condition(policies: &[&Policy], text: fn(&Policy) -> Option<&String>) -> String {
    let of = |permissive: bool| {
        let own = policies.iter().filter(move |own| own.permissive == permissive);
        own.filter_map(move |own| text(own)).map(|text| format!("({text})")).collect::<Vec<_>>()
    };
    let permissive = of(true);
    let first = if permissive.is_empty() { "false".to_owned() } else { permissive.join(" OR ") };
    let mut all = vec![format!("({first})")];
    all.extend(of(false));
    all.join(" AND ")
}

fn using(policy: &Policy) -> Option<&String> {
    policy.using.as_ref()
}

fn check(policy: &Policy) -> Option<&String> {
    policy.check.as_ref().or(policy.using.as_ref())
}

/// The condition of the rows that a role sees, for what they are read for.
pub(super) fn visible(catalog: &Catalog, access: &AccessDescriptor, role: ObjectId, reads: Reads) -> String {
    let of = |command: char| condition(&concerned(catalog, access, role, command), using);
    match reads {
        Reads::Select | Reads::Names | Reads::Merge => of('r'),
        Reads::Lock | Reads::Update { selects: true } => format!("{} AND {}", of('w'), of('r')),
        Reads::Update { selects: false } => of('w'),
        Reads::Delete { selects: true } => format!("{} AND {}", of('d'), of('r')),
        Reads::Delete { selects: false } => of('d'),
    }
}

/// What is asked of rows that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// New rows of INSERT.
    Inserted,
    /// Rows as UPDATE leaves them.
    Updated,
    /// Rows that ON CONFLICT DO UPDATE is about to change.
    Conflicting,
    /// Rows that MERGE is about to update.
    Merged,
    /// Rows that MERGE is about to delete.
    MergeDeleted,
}

/// Looks at rows that a statement writes to a table; `selects`: it needs SELECT on them, too.
///
/// # Errors
/// `42501` for the first that a policy does not let pass.
pub(crate) fn verify(
    context: &Context,
    role: ObjectId,
    table: &Table,
    (written, selects): (Written, bool),
    batch: &RecordBatch,
) -> Result<()> {
    let catalog = context.txn().catalog();
    let Some(access) = catalog.row_security(role, table.id) else { return Ok(()) };
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let name = &table.name;
    let mut conditions: Vec<(String, String)> = Vec::new();
    let new =
        |policy: &str| format!("new row violates row-level security policy {policy}for table \"{name}\"");
    let mut add = |command: char, text: fn(&Policy) -> Option<&String>, message: Option<&str>| {
        let policies = concerned(&catalog, access, role, command);
        let permissive: Vec<&Policy> = policies.iter().copied().filter(|own| own.permissive).collect();
        let said = |policy: &str| message.map_or_else(|| new(policy), str::to_owned);
        conditions.push((condition(&permissive, text), said("")));
        for own in policies.iter().filter(|own| !own.permissive) {
            if let Some(text) = text(own) {
                conditions.push((text.clone(), said(&format!("\"{}\" ", own.name))));
            }
        }
    };
    let old =
        format!("target row violates row-level security policy (USING expression) for table \"{name}\"");
    let conflicting = new("(USING expression) ");
    match written {
        Written::Inserted => add('a', check, None),
        Written::Updated => add('w', check, None),
        Written::Conflicting => add('w', using, Some(&conflicting)),
        Written::Merged => add('w', using, Some(&old)),
        Written::MergeDeleted => add('d', using, Some(&old)),
    }
    if selects {
        match written {
            Written::Conflicting => add('r', using, Some(&conflicting)),
            Written::Inserted | Written::Updated => add('r', using, None),
            Written::Merged | Written::MergeDeleted => {}
        }
    }
    let items = conditions
        .iter()
        .enumerate()
        .map(|(at, (text, _))| Ok(relations::item(parse_expr(text)?, &format!("__cairn_policy_{at}"))));
    let items = items.collect::<Result<Vec<_>>>()?;
    let rows = target::batch_of(table, batch.columns().to_vec(), batch.num_rows())?;
    let side = Side { alias: name.clone(), rows, in_wildcard: false };
    let values = relations::evaluate(&context.checking_as(role), &[side], &items)?;
    for row in 0..batch.num_rows() {
        for ((_, message), value) in conditions.iter().zip(values.columns()) {
            let holds = value.as_boolean_opt().is_some_and(|v| v.is_valid(row) && v.value(row));
            if !holds {
                return Err(Error::new("42501", message.clone()));
            }
        }
    }
    Ok(())
}

/// The table that policies are of, which is the role's.
fn find(context: &Context, name: &ObjectName) -> Result<Arc<Table>> {
    match names::require(context, &*context.catalog()?, name, Kind::Table)?.2 {
        Relation::Table(table) => Ok(table),
        _ => Err(Error::internal("a table is no table")),
    }
}

fn access_of(context: &Context, id: ObjectId) -> AccessDescriptor {
    let access = context.txn().catalog().access(id).map(|own| AccessDescriptor::clone(own));
    access.unwrap_or_else(|| AccessDescriptor::new(id))
}

/// ENABLE, DISABLE, FORCE and NO FORCE ROW LEVEL SECURITY.
pub(super) fn switch(context: &Context, name: &ObjectName, to: RowSecurity) -> Result<StatementResult> {
    secure(context, find(context, name)?.id, to)?;
    Ok(StatementResult::command("ALTER TABLE"))
}

/// The same of the table of that number.
pub(super) fn secure(context: &Context, table: ObjectId, to: RowSecurity) -> Result<()> {
    let mut access = access_of(context, table);
    match to {
        RowSecurity::Enable => access.row_security = true,
        RowSecurity::Disable => access.row_security = false,
        RowSecurity::Force => access.force_row_security = true,
        RowSecurity::NoForce => access.force_row_security = false,
    }
    Ok(context.txn().set_access("ALTER TABLE", access)?)
}

/// CREATE POLICY.
pub(super) fn create(context: &Context, create: &CreatePolicy) -> Result<StatementResult> {
    let table = find(context, &create.table)?;
    let mut access = access_of(context, table.id);
    let name = names::stored(&create.name);
    if access.policies.iter().any(|own| own.name == name) {
        let message = format!("policy \"{name}\" for table \"{}\" already exists", table.name);
        return Err(Error::new("42710", message));
    }
    match create.command {
        'a' if create.using.is_some() => {
            return Err(Error::new("42601", "only WITH CHECK expression allowed for INSERT"));
        }
        'r' | 'd' if create.check.is_some() => {
            return Err(Error::new("42601", "WITH CHECK cannot be applied to SELECT or DELETE"));
        }
        _ => {}
    }
    let mut policy = Policy {
        name,
        permissive: create.permissive,
        command: create.command,
        roles: super::roles::numbers(context, &create.roles)?,
        using: create.using.as_ref().map(|expr| bound_expr(context, expr)).transpose()?,
        check: create.check.as_ref().map(|expr| bound_expr(context, expr)).transpose()?,
        columns: Vec::new(),
    };
    // One without a condition lets all rows pass.
    if policy.using.is_none() && policy.check.is_none() {
        match policy.command {
            'a' => policy.check = Some("true".to_owned()),
            _ => policy.using = Some("true".to_owned()),
        }
    }
    complete(context, &table, &mut policy)?;
    access.policies.push(policy);
    access.policies.sort_by(|a, b| a.name.cmp(&b.name));
    context.txn().set_access("CREATE POLICY", access)?;
    Ok(StatementResult::command("CREATE POLICY"))
}

/// Plans the conditions of a policy, so that what is wrong with them shows now, and notes their columns.
fn complete(context: &Context, table: &Table, policy: &mut Policy) -> Result<()> {
    let mut columns = BTreeSet::new();
    for text in [&policy.using, &policy.check].into_iter().flatten() {
        let expr = parse_expr(text)?;
        let side = Side {
            alias: table.name.clone(),
            rows: RecordBatch::new_empty(target::relaxed(table)),
            in_wildcard: false,
        };
        let plan = relations::plan(context, &[side], &[relations::item(expr.clone(), "value")], None)?;
        refuse_groups(&plan)?;
        let ty = cairn_types::DataType::from_field(plan.schema().field(0));
        if ty != cairn_types::DataType::Boolean && !plan.schema().field(0).data_type().is_null() {
            let message = format!("argument of POLICY must be type boolean, not type {}", ty.sql_name());
            return Err(Error::new("42804", message));
        }
        for name in named_in(&expr) {
            columns.extend(table.column_place(&name).map(|place| table.live_column(place).id));
        }
    }
    policy.columns = columns.into_iter().collect();
    Ok(())
}

/// Refuses what is of more than one row.
fn refuse_groups(plan: &LogicalPlan) -> Result<()> {
    let mut found = Ok(());
    plan.apply(|node| {
        let refused = |state, what: &str| {
            Err(Error::new(state, format!("{what} functions are not allowed in policy expressions")))
        };
        found = match node {
            LogicalPlan::Aggregate(_) => refused("42803", "aggregate"),
            LogicalPlan::Window(_) => refused("42P20", "window"),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    })?;
    found
}

/// All names in an expression, those in its subqueries too.
fn named_in(expr: &Expr) -> BTreeSet<String> {
    struct Names(BTreeSet<String>);
    impl sqlparser::ast::Visitor for Names {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> std::ops::ControlFlow<()> {
            match expr {
                Expr::Identifier(ident) => drop(self.0.insert(fold(ident))),
                Expr::CompoundIdentifier(parts) => self.0.extend(parts.last().map(fold)),
                _ => {}
            }
            std::ops::ControlFlow::Continue(())
        }
    }
    let mut names = Names(BTreeSet::new());
    let _ = sqlparser::ast::Visit::visit(expr, &mut names);
    names.0
}

fn missing(name: &str, table: &str) -> Error {
    Error::new("42704", format!("policy \"{name}\" for table \"{table}\" does not exist"))
}

/// ALTER POLICY.
pub(super) fn alter(context: &Context, alter: &AlterPolicy) -> Result<StatementResult> {
    let table = find(context, &alter.table)?;
    let mut access = access_of(context, table.id);
    let name = fold(&alter.name);
    let renamed = alter.rename.as_ref().map(names::stored);
    if let Some(new) = &renamed
        && access.policies.iter().any(|own| own.name == *new)
    {
        let message = format!("policy \"{new}\" for table \"{}\" already exists", table.name);
        return Err(Error::new("42710", message));
    }
    let policy = access.policies.iter_mut().find(|own| own.name == name);
    let policy = policy.ok_or_else(|| missing(&name, &table.name))?;
    if let Some(new) = renamed {
        policy.name = new;
    }
    match policy.command {
        'a' if alter.using.is_some() => {
            return Err(Error::new("42601", "only WITH CHECK expression allowed for INSERT"));
        }
        'r' | 'd' if alter.check.is_some() => {
            return Err(Error::new("42601", "only USING expression allowed for SELECT, DELETE"));
        }
        _ => {}
    }
    if let Some(roles) = &alter.roles {
        policy.roles = super::roles::numbers(context, roles)?;
    }
    if let Some(using) = &alter.using {
        policy.using = Some(bound_expr(context, using)?);
    }
    if let Some(check) = &alter.check {
        policy.check = Some(bound_expr(context, check)?);
    }
    complete(context, &table, policy)?;
    access.policies.sort_by(|a, b| a.name.cmp(&b.name));
    context.txn().set_access("ALTER POLICY", access)?;
    Ok(StatementResult::command("ALTER POLICY"))
}

/// Takes a policy away that cannot be without something that goes.
pub(crate) fn forget(context: &Context, table: ObjectId, name: &str) -> Result<()> {
    let mut access = access_of(context, table);
    access.policies.retain(|own| own.name != name);
    Ok(context.txn().set_access("DROP POLICY", access)?)
}

/// DROP POLICY.
pub(super) fn drop_policy(
    context: &Context,
    name: &sqlparser::ast::Ident,
    table: &ObjectName,
    if_exists: bool,
) -> Result<StatementResult> {
    let done = || Ok(StatementResult::command("DROP POLICY"));
    let name = fold(name);
    let found = match find(context, table) {
        Err(error) if if_exists && error.sqlstate() == "42P01" => {
            crate::ddl::notice(context, "00000", format!("{}, skipping", error.message()));
            return done();
        }
        found => found?,
    };
    let mut access = access_of(context, found.id);
    let before = access.policies.len();
    access.policies.retain(|own| own.name != name);
    if access.policies.len() == before {
        if if_exists {
            let message = missing(&name, &found.name);
            let shown = message.message().replace("for table", "for relation");
            crate::ddl::notice(context, "00000", format!("{shown}, skipping"));
            return done();
        }
        return Err(missing(&name, &found.name));
    }
    context.txn().set_access("DROP POLICY", access)?;
    done()
}
