//! From a query's syntax tree to a logical plan over the transaction's catalog.
//!
//! [`Planner`] is DataFusion's view of the world: names are resolved along the search path, views are planned
//! from their text, quoted file names are read in place.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, FieldRef, SchemaRef};
use cairn_engine::Table;
use cairn_engine::catalog::{Dependency, ObjectId};
use cairn_types::Value;
use datafusion::catalog::TableFunctionArgs;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, LogicalPlan, LogicalPlanBuilder, ScalarUDF,
    TableSource, TableType, WindowUDF, cast,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use sqlparser::ast::{Query, Statement};

use crate::catalog::{self, Found};
use crate::context::Context;
use crate::functions::missing;
use crate::privileges::relations;
use crate::query::output::display_name;
use crate::scan::provider::TableScanProvider;
use crate::{Error, Result, parse};

/// Views within views.
const VIEW_DEPTH_MAX: usize = 64;
/// Stands for all roles.
const ANYBODY: ObjectId = ObjectId::MAX;

/// Plans a query; not optimised.
pub(crate) fn query(context: &Context, query: &Query) -> Result<LogicalPlan> {
    let state = super::state::of(context);
    Planner::new(context, &state)?.query(query.clone())
}

/// Plans queries of one statement.
pub(crate) struct Planner<'s> {
    context: &'s Context,
    state: &'s SessionState,
    catalog: Arc<cairn_engine::Catalog>,
    /// By the role that they were looked at for, too; those given are anybody's.
    sources: RefCell<HashMap<(ObjectId, TableReference), Arc<dyn TableSource>>>,
    /// Whose privileges count for names.
    role: Cell<ObjectId>,
    /// What the view reads whose text is planned.
    reads: RefCell<Vec<Dependency>>,
    /// The tables whose policies are planned.
    policies_open: RefCell<Vec<ObjectId>>,
    views_open: RefCell<usize>,
    /// Whether scans are told what their tables are called.
    explaining: bool,
    /// Whether the query is only described: its parameters have no values.
    describing: bool,
}

fn parser_options() -> ParserOptions {
    ParserOptions {
        parse_float_as_decimal: true,
        enable_ident_normalization: true,
        support_varchar_with_length: true,
        enable_options_value_normalization: false,
        collect_spans: false,
        map_string_types_to_utf8view: false,
        default_null_ordering: NullOrdering::NullsMax,
    }
}

impl<'s> Planner<'s> {
    pub(crate) fn new(context: &'s Context, state: &'s SessionState) -> Result<Self> {
        Ok(Self {
            context,
            state,
            catalog: context.catalog()?,
            sources: RefCell::default(),
            role: Cell::new(context.scope.checks_as.unwrap_or_else(|| context.role())),
            reads: RefCell::default(),
            policies_open: RefCell::default(),
            views_open: RefCell::new(0),
            explaining: false,
            describing: false,
        })
    }

    /// The same for EXPLAIN: scans know the aliases of their tables.
    pub(crate) fn explaining(self) -> Self {
        Self { explaining: true, ..self }
    }

    /// The same for a query that is described.
    pub(crate) fn describing(self) -> Self {
        Self { describing: true, ..self }
    }

    /// The value of a constant; `None` where a query is described and it has parameters.
    fn constant(&self, expr: &sqlparser::ast::Expr) -> Result<Option<Value>> {
        if self.describing && parse::parameters::has(expr) {
            return Ok(None);
        }
        let query = parse::frame_bounds::query_of(expr)?;
        let (schema, batches) = self.context.collect(self.context.plan_query(&query)?)?;
        let batch = batches.iter().find(|batch| batch.num_rows() > 0);
        let batch = batch.ok_or_else(|| Error::internal("a constant without a row"))?;
        let ty = crate::query::output::data_type(schema.field(0));
        Ok(Some(Value::from_array(batch.column(0).as_ref(), 0, &ty)))
    }

    /// Lets `name` stand for that source, before anything else is looked for.
    pub(crate) fn add_source(&self, name: &str, provider: Arc<dyn datafusion::catalog::TableProvider>) {
        let name = (ANYBODY, TableReference::bare(name));
        self.sources.borrow_mut().insert(name, provider_as_source(provider));
    }

    /// Plans a query as it came from the parser.
    pub(crate) fn query(&self, query: Query) -> Result<LogicalPlan> {
        self.query_with(query, Vec::new())
    }

    /// The same with the types of the first parameters.
    pub(crate) fn query_with(
        &self,
        mut query: Query,
        declared: Vec<Option<FieldRef>>,
    ) -> Result<LogicalPlan> {
        parse::sets::without_schema(&mut query);
        parse::composites::fields(&mut query);
        crate::routine::rewrite::query(self.context, &self.catalog, &mut query)?;
        parse::composites::stars(&mut query, &|query| self.field_names(query))?;
        let columns = |query: Query| {
            let plan = self.query(query).ok()?;
            Some(plan.schema().fields().iter().map(|field| display_name(field.name()).to_owned()).collect())
        };
        parse::resolve(self.context, &self.catalog, &columns, &mut query)?;
        parse::frame_bounds::write_out(&mut query, &|expr| self.constant(expr))?;
        parse::named_types::resolve(self.context, &self.catalog, &mut query)?;
        parse::rewrite::query(&mut query)?;
        parse::integers::query(&mut query);
        if self.explaining {
            parse::noted_aliases::note(&mut query);
        }
        let statement = Statement::Query(Box::new(query));
        let plan = SqlToRel::new_with_options(self, parser_options()).sql_statement_to_plan_with_context(
            statement,
            &mut PlannerContext::new().with_prepare_param_data_types(declared),
        );
        let plan = plan.map_err(Error::from)?;
        crate::privileges::check_columns(&plan)?;
        super::recursive_types::check(plan)
            .and_then(super::copies::numbered)
            .and_then(super::set_keys::as_columns)
            .and_then(super::common_types::rewrite)
            .and_then(super::outer_aggregates::refuse)
            .and_then(super::optional::rewrite)
            .and_then(super::told::marked)
            .map_err(Error::from)
    }

    /// The names of the fields of what a query of one column gives.
    fn field_names(&self, query: Query) -> Result<Vec<String>> {
        let plan = self.query(query)?;
        let field = plan.schema().field(0);
        let ty = crate::functions::sql_type(field);
        if let Some(own) = crate::functions::composite::composite(&ty) {
            return Ok(own.live().map(|(_, field)| field.name.clone()).collect());
        }
        match (&ty, field.data_type()) {
            (cairn_types::DataType::Text, ArrowType::Struct(columns)) => {
                Ok(columns.iter().map(|column| column.name().clone()).collect())
            }
            _ => {
                let name = crate::functions::overload::type_name(&ty);
                Err(Error::new("42809", format!("type {name} is not composite")))
            }
        }
    }

    /// Whether a name means a function other than a scalar one.
    fn is_function(&self, name: &str) -> bool {
        let state = self.state;
        matches!(name, "unnest" | "grouping")
            || state.aggregate_functions().contains_key(name)
            || state.window_functions().contains_key(name)
            || state.higher_order_functions().contains_key(name)
            || name.starts_with(super::exclude::PREFIX)
            || name.starts_with(super::shifted::PREFIX)
    }

    /// The function of a domain.
    fn domain(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let id = name.strip_prefix(parse::named_types::DOMAIN_FUNCTION)?.parse().ok()?;
        let domain = self.catalog.type_by_id(id)?;
        crate::functions::domain::function(self.context, name, domain).ok().map(Arc::new)
    }

    fn source(&self, name: &TableReference) -> Result<Arc<dyn TableSource>> {
        let known = |role: ObjectId| self.sources.borrow().get(&(role, name.clone())).cloned();
        match known(ANYBODY).or_else(|| known(self.role.get())) {
            Some(source) => Ok(source),
            None => self.new_source(name),
        }
    }

    fn new_source(&self, name: &TableReference) -> Result<Arc<dyn TableSource>> {
        if let TableReference::Bare { table } = name
            && let Some(rows) = self.context.scope.source(table)
        {
            return Ok(provider_as_source(rows));
        }
        if let TableReference::Bare { table } = name
            && let Some(rows) = self.context.scope.transition(table)
        {
            return Ok(provider_as_source(rows));
        }
        let sampled = |schema: &str, table: Arc<Table>| {
            let written = match schema {
                "" => TableReference::bare(table.name.clone()),
                schema => TableReference::partial(schema, table.name.clone()),
            };
            let provider = TableScanProvider::new(self.context, table, true)?;
            self.admitted(&written, Found::Provider(Arc::new(provider)))
        };
        if let Some(plan) = catalog::sample::plan(self.context, &self.catalog, name, &sampled)? {
            let schema = Arc::new(plan.schema().as_arrow().clone());
            return Ok(Arc::new(ViewSource { plan, schema }));
        }
        let noted = parse::noted_aliases::read(name.table());
        let plain = match noted {
            Some((table, _)) => with_table(name, table),
            None => name.clone(),
        };
        let plain = self.bound(plain);
        relations::require_file(self.context, self.role.get(), &plain)?;
        let found = catalog::find(self.context, &self.catalog, &plain)?;
        let found = match (noted, found) {
            (Some((_, alias)), Found::Provider(provider)) => {
                let scan = (provider.as_ref() as &dyn std::any::Any).downcast_ref::<TableScanProvider>();
                Found::Provider(match scan {
                    Some(scan) => Arc::new(scan.called(alias)),
                    None => provider,
                })
            }
            (_, found) => found,
        };
        let source = self.admitted(&plain, found)?;
        self.sources.borrow_mut().insert((self.role.get(), name.clone()), Arc::clone(&source));
        Ok(source)
    }

    /// A name in a view's text means what it meant when the view was made, wherever the search path leads now.
    fn bound(&self, name: TableReference) -> TableReference {
        let TableReference::Bare { table } = &name else { return name };
        match crate::privileges::relations::read_by(&self.catalog, &self.reads.borrow(), table) {
            Some((schema, table)) => TableReference::partial(schema, table),
            None => name,
        }
    }

    /// What is found, as far as the role may see it.
    fn admitted(&self, name: &TableReference, found: Found) -> Result<Arc<dyn TableSource>> {
        let (context, catalog) = (self.context, &self.catalog);
        let written = *self.views_open.borrow() == 0 && self.policies_open.borrow().is_empty();
        let admission = relations::admit(context, catalog, self.role.get(), name, written)?;
        if admission.is_free() {
            return match found {
                Found::Provider(provider) => Ok(provider_as_source(provider)),
                Found::View(view) => {
                    let plan = self.view(&view)?;
                    let schema = Arc::new(plan.schema().as_arrow().clone());
                    Ok(Arc::new(ViewSource { plan, schema }))
                }
            };
        }
        let plan = match found {
            Found::View(view) => self.view(&view)?,
            Found::Provider(provider) => self.visible(name, provider, &admission)?,
        };
        let refusal = relations::refusal(context, catalog, name);
        Ok(provider_as_source(Arc::new(relations::Secured::new(plan, admission, refusal)?)))
    }

    /// The rows of a table that policies let through.
    fn visible(
        &self,
        name: &TableReference,
        provider: Arc<dyn datafusion::catalog::TableProvider>,
        admission: &relations::Admission,
    ) -> Result<LogicalPlan> {
        let table = name.table();
        let Some(condition) = &admission.condition else {
            let scan = LogicalPlanBuilder::scan(table, provider_as_source(provider), None)?;
            return Ok(scan.build()?);
        };
        let id = (provider.as_ref() as &dyn std::any::Any)
            .downcast_ref::<TableScanProvider>()
            .map_or(0, TableScanProvider::table_id);
        if self.policies_open.borrow().contains(&id) {
            let message = format!("infinite recursion detected in policy for relation \"{table}\"");
            return Err(Error::new("42P17", message));
        }
        let mark = format!("__cairn_visible_{}_{}", self.policies_open.borrow().len(), id);
        self.add_source(&mark, provider);
        let quoted = table.replace('"', "\"\"");
        let text = format!("SELECT * FROM \"{mark}\" AS \"{quoted}\" WHERE {condition}");
        let Statement::Query(query) = parse::parse_text(&text)? else {
            return Err(Error::internal("a policy is no condition"));
        };
        self.policies_open.borrow_mut().push(id);
        let reads = self.reads.take();
        let planned = self.query(*query);
        self.reads.replace(reads);
        self.policies_open.borrow_mut().pop();
        let unmarked = (ANYBODY, TableReference::bare(mark));
        self.sources.borrow_mut().remove(&unmarked);
        planned
    }

    fn view(&self, view: &cairn_engine::catalog::ViewDescriptor) -> Result<LogicalPlan> {
        if *self.views_open.borrow() >= VIEW_DEPTH_MAX {
            return Err(Error::new("54001", format!("view \"{}\" nests too deep", view.name)));
        }
        let Statement::Query(query) = parse::parse_text(&view.sql)? else {
            return Err(Error::new(
                "XX001",
                format!("the definition of view \"{}\" is not a query", view.name),
            ));
        };
        *self.views_open.borrow_mut() += 1;
        let role = self.role.get();
        self.role.set(crate::privileges::changes::beneath(self.context, view, role));
        let reads = self.reads.replace(view.depends_on.clone());
        let planned = self.query(*query);
        self.reads.replace(reads);
        self.role.set(role);
        *self.views_open.borrow_mut() -= 1;
        catalog::view::with_columns(planned?, view)
    }
}

/// The reference with another table's name.
fn with_table(name: &TableReference, table: &str) -> TableReference {
    match (name.catalog(), name.schema()) {
        (Some(catalog), Some(schema)) => TableReference::full(catalog, schema, table),
        (None, Some(schema)) => TableReference::partial(schema, table),
        _ => TableReference::bare(table),
    }
}

/// An integer or a NULL as functions in FROM take it: of the widest type, and of none.
/// A text that is a number, as values of parameters are written, as the number.
fn number_of_text(arg: Expr) -> Expr {
    match &arg {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => match text.trim().parse::<i64>() {
            Ok(number) => Expr::Literal(ScalarValue::Int64(Some(number)), None),
            Err(_) => arg,
        },
        _ => arg,
    }
}

/// Whether an argument of `generate_series` is an INTEGER: numbers are written as BIGINT there.
fn is_narrow(arg: &Expr, schema: &datafusion::common::DFSchema) -> bool {
    match arg {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => i32::try_from(*number).is_ok(),
        Expr::Negative(inner) => is_narrow(inner, schema),
        other => matches!(other.get_type(schema), Ok(ArrowType::Int16 | ArrowType::Int32)),
    }
}

fn plain_integer(arg: Expr) -> Expr {
    use datafusion::common::ScalarValue as S;
    let wide = |n: i64| Expr::Literal(S::Int64(Some(n)), None);
    match arg {
        Expr::Literal(S::Int16(Some(n)), _) => wide(i64::from(n)),
        Expr::Literal(S::Int32(Some(n)), _) => wide(i64::from(n)),
        Expr::Literal(value, _) if value.is_null() => Expr::Literal(S::Null, None),
        other => other,
    }
}

/// A view: its plan takes the scan's place.
struct ViewSource {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl TableSource for ViewSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::View
    }
    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

impl ContextProvider for Planner<'_> {
    fn get_table_source(&self, name: TableReference) -> datafusion::error::Result<Arc<dyn TableSource>> {
        Ok(self.source(&name)?)
    }

    fn get_table_function_source(
        &self,
        name: &str,
        args: Vec<Expr>,
    ) -> datafusion::error::Result<Arc<dyn TableSource>> {
        let function = self.state.table_functions().get(name).cloned().ok_or_else(|| {
            Error::new("42883", format!("function {name} does not exist"))
                .with_hint("No function in FROM matches the given name.")
        })?;
        let context = SimplifyContext::builder()
            .with_config_options(Arc::clone(self.state.config_options()))
            .with_query_execution_start_time(self.state.execution_props().query_execution_start_time)
            .build();
        let simplifier = ExprSimplifier::new(context);
        let schema = datafusion::common::DFSchema::empty();
        let args: Vec<Expr> = args.into_iter().map(number_of_text).collect();
        let narrow = name == "generate_series" && args.iter().all(|arg| is_narrow(arg, &schema));
        let args = args
            .into_iter()
            .map(|arg| {
                simplifier.coerce(arg, &schema).and_then(|e| simplifier.simplify(e)).map(plain_integer)
            })
            .collect::<datafusion::error::Result<Vec<_>>>()?;
        let provider = function.create_table_provider_with_args(TableFunctionArgs::new(&args, self.state))?;
        let source = provider_as_source(provider);
        if !narrow {
            return Ok(source);
        }
        let plan = LogicalPlanBuilder::scan(name, source, None)?;
        let column = Expr::Column(plan.schema().columns()[0].clone());
        let name = plan.schema().field(0).name().clone();
        let plan = plan.project([cast(column, ArrowType::Int32).alias(name)])?.build()?;
        let schema = Arc::new(plan.schema().as_arrow().clone());
        Ok(Arc::new(ViewSource { plan, schema }))
    }

    fn create_cte_work_table(
        &self,
        name: &str,
        schema: SchemaRef,
    ) -> datafusion::error::Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.state.relation_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(crate::parse::types::Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let known = self.state.scalar_functions().get(name).cloned();
        let own = || self.context.scope.shared.closures.get(name);
        let routine = || crate::routine::function::of_name(self.context, &self.catalog, name);
        known
            .or_else(own)
            .or_else(|| self.domain(name))
            .or_else(routine)
            .or_else(|| (!self.is_function(name)).then(|| missing::function(name)))
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        let aggregate = |name: &str| self.state.aggregate_functions().get(name).cloned();
        let known = self.state.window_functions().get(name).cloned();
        known.or_else(|| super::exclude::function(name, aggregate)).or_else(|| super::shifted::function(name))
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<ArrowType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
