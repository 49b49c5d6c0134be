//! DataFusion's errors in PostgreSQL's words: walked down to their cause, then known texts are translated.

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

use super::Error;

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        from_ref(&error)
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        arrow(&error)
    }
}

fn from_ref(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => external(inner.as_ref()),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_ref(inner),
        DataFusionError::Shared(inner) => from_ref(inner),
        DataFusionError::Collection(all) => {
            all.first().map_or_else(|| Error::internal("an error without a cause"), from_ref)
        }
        DataFusionError::ArrowError(inner, _) => arrow(inner),
        DataFusionError::ParquetError(inner) => Error::new("22P04", format!("parquet: {inner}")),
        DataFusionError::IoError(inner) => io(inner),
        DataFusionError::SQL(inner, _) => super::syntax_error((**inner).clone(), ""),
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::ResourcesExhausted(text) => Error::new("53200", "out of memory")
            .with_detail(text.clone())
            .with_hint("Raise the memory limit or ask for less at once."),
        DataFusionError::NotImplemented(text) => not_implemented(text),
        DataFusionError::Plan(text) => plan(text),
        DataFusionError::Execution(text) => execution(text),
        DataFusionError::Configuration(text) => Error::new("22023", text.clone()),
        DataFusionError::Internal(text) => internal(text),
        other => execution(&other.strip_backtrace()),
    }
}

fn external(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Error {
    if let Some(own) = error.downcast_ref::<Error>() {
        return own.clone();
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return from_ref(inner);
    }
    if let Some(inner) = error.downcast_ref::<cairn_engine::Error>() {
        return inner.clone().into();
    }
    if let Some(inner) = error.downcast_ref::<ArrowError>() {
        return arrow(inner);
    }
    if let Some(inner) = error.downcast_ref::<std::io::Error>() {
        return io(inner);
    }
    Error::internal(error.to_string())
}

fn io(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::new("58P01", error.to_string()),
        std::io::ErrorKind::StorageFull => Error::new("53100", error.to_string()),
        _ => Error::new("58030", error.to_string()),
    }
}

fn arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::DivideByZero => Error::new("22012", "division by zero"),
        ArrowError::ExternalError(inner) => external(inner.as_ref()),
        ArrowError::IoError(_, inner) => io(inner),
        ArrowError::ArithmeticOverflow(text) => out_of_range(text),
        ArrowError::CastError(text) | ArrowError::ComputeError(text) | ArrowError::ParseError(text) => {
            execution(text)
        }
        ArrowError::InvalidArgumentError(text) => execution(text),
        other => execution(&other.to_string()),
    }
}

/// An overflow in the words of the integer type that it was of, where the text tells.
fn out_of_range(text: &str) -> Error {
    let ends = |number: i64| text.trim_end_matches(')').ends_with(&number.to_string());
    let ty = if text.contains("Int16") || ends(i64::from(i16::MIN)) {
        "smallint"
    } else if text.contains("Int32") || ends(i64::from(i32::MIN)) {
        "integer"
    } else if text.contains("Int64") || ends(i64::MIN) {
        "bigint"
    } else {
        return Error::new("22003", "value out of range").with_detail(tidy(first_line(text)));
    };
    Error::new("22003", format!("{ty} out of range"))
}

fn schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, .. } => {
            let name = match &field.relation {
                Some(relation) => format!("{}.{}", relation.table(), field.name),
                None => field.name.clone(),
            };
            let quoted = if field.relation.is_some() { name } else { format!("\"{name}\"") };
            Error::new("42703", format!("column {quoted} does not exist"))
        }
        SchemaError::AmbiguousReference { field } => {
            Error::new("42702", format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateUnqualifiedField { name } => {
            Error::new("42701", format!("column \"{}\" specified more than once", visible(name)))
        }
        SchemaError::DuplicateQualifiedField { qualifier, .. } => {
            let name = qualifier.table();
            Error::new("42712", format!("table name \"{name}\" specified more than once"))
        }
    }
}

fn visible(name: &str) -> &str {
    crate::query::output::display_name(name)
}

fn not_implemented(text: &str) -> Error {
    let first = first_line(text);
    if first.contains("ScalarSubquery")
        || first.contains("OuterReferenceColumn")
        || first.contains("correlated")
    {
        return Error::unsupported("this form of correlated subquery").with_detail(
            "The subquery depends on its outer query in a way that cannot be turned into a join.",
        );
    }
    if let Some(ty) = first.strip_prefix("Unsupported SQL type ") {
        return Error::new("42704", format!("type \"{}\" does not exist", ty.to_lowercase()));
    }
    Error::new("0A000", tidy(first))
}

fn plan(text: &str) -> Error {
    let first = first_line(text);
    if let Some(qualifier) = first.strip_prefix("Invalid qualifier ") {
        return Error::new("42P01", format!("missing FROM-clause entry for table \"{qualifier}\""));
    }
    if let Some(name) = between(first, "Invalid function '", "'") {
        return function_missing(name, first);
    }
    if first.contains("must appear in the GROUP BY clause")
        || first.contains("could not be resolved from available columns")
    {
        let column = between(first, "Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column ", " ")
            .or_else(|| first.split('"').nth(1))
            .unwrap_or("")
            .trim_matches('"');
        return Error::new(
            "42803",
            format!(
                "column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function"
            ),
        );
    }
    if first.contains("ggregate functions are not allowed in the WHERE clause") {
        return Error::new("42803", "aggregate functions are not allowed in WHERE");
    }
    if let Some(ty) =
        first.split("non-boolean predicate").nth(1).and_then(|rest| rest.rsplit("returning ").next())
    {
        let ty = arrow_name(ty.trim());
        return Error::new("42804", format!("argument of WHERE must be type boolean, not type {ty}"));
    }
    if first.contains("LIMIT must be >= 0") {
        return Error::new("2201W", "LIMIT must not be negative");
    }
    if first.contains("OFFSET must be >=0") {
        return Error::new("2201X", "OFFSET must not be negative");
    }
    if let Some(name) = between(first, "table '", "' not found") {
        return Error::new("42P01", format!("relation \"{name}\" does not exist"));
    }
    if first.contains("No function matches the given name and argument types")
        || first.contains("Function '") && first.contains("expects")
        || first.contains("failed to match any signature")
        || first.contains("No function matches")
    {
        let name = between(first, "argument types '", "'")
            .or_else(|| between(first, "call to '", "'"))
            .or_else(|| between(first, "Function '", "'"))
            .or_else(|| between(first, "function ", " "))
            .unwrap_or("");
        return Error::new("42883", format!("function {} does not exist", display_function(name)))
            .with_hint("No function matches the given name and argument types. You might need to add explicit type casts.");
    }
    if first.contains("Cannot infer common argument type")
        || first.contains("Cannot coerce arithmetic expression")
    {
        return Error::new("42883", "operator does not exist for these types")
            .with_detail(tidy(first))
            .with_hint(
                "No operator matches the given argument types. You might need to add explicit type casts.",
            );
    }
    if let Some(own) = first.split("operator 'NOT' requires a boolean expression, got ").nth(1) {
        let ty = arrow_name(own.trim_end_matches('.'));
        return Error::new("42804", format!("argument of NOT must be type boolean, not type {ty}"));
    }
    if first.contains("tep cannot be zero") {
        return Error::new("22023", "step size cannot equal zero");
    }
    if first.contains("subquery should only return one column") {
        return Error::new("42601", "subquery must return only one column");
    }
    if first.contains("same number of columns") || first.contains("equal number of columns") {
        return Error::new("42601", "each UNION query must have the same number of columns");
    }
    if first.contains("Inconsistent data length across values list") {
        return Error::new("42601", "VALUES lists must all be the same length");
    }
    if first.contains("Order by index starts at 1") || first.contains("Order by column out of bounds") {
        return Error::new("42P10", "ORDER BY position is not in select list");
    }
    if first.contains("ORDER BY expressions") && first.contains("must appear in select list") {
        return Error::new("42P10", "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    }
    if first.contains("Cannot automatically convert")
        || first.contains("type_coercion")
        || first.contains("Cannot cast")
    {
        return Error::new("42804", tidy(first));
    }
    if first.contains("Projections require unique expression names") {
        return Error::new("42701", "a column name is specified more than once").with_detail(tidy(first));
    }
    Error::new("42601", tidy(first))
}

fn function_missing(name: &str, text: &str) -> Error {
    let error = Error::new("42883", format!("function {name} does not exist"));
    match between(text, "Did you mean '", "'") {
        Some(other) if !other.starts_with("cairn_") => {
            error.with_hint(format!("Perhaps you meant \"{other}\"."))
        }
        _ => error.with_hint("No function matches the given name."),
    }
}

fn display_function(name: &str) -> String {
    let mut text = name.replace("Utf8", "text").replace("Int64", "bigint").replace("Int32", "integer");
    for (from, to) in [
        ("Int16", "smallint"),
        ("Float64", "double precision"),
        ("Float32", "real"),
        ("Boolean", "boolean"),
        ("Date32", "date"),
    ] {
        text = text.replace(from, to);
    }
    text
}

fn execution(text: &str) -> Error {
    let first = first_line(text);
    if first.contains("Divide by zero") || first.contains("divide by zero") {
        return Error::new("22012", "division by zero");
    }
    if first.contains("Overflow happened")
        || first.contains("overflow")
        || first.contains("out of range")
        || first.contains("Can't cast value")
        || first.contains("too large to store in a Decimal")
    {
        return out_of_range(first);
    }
    if let Some((field, ty)) = first.split_once(" does not support: ") {
        let field = match field.rsplit(' ').next().unwrap_or(field) {
            "dayOfWeekSunday0" => "dow",
            "dayOfYear" => "doy",
            other => other,
        };
        let ty = match ty {
            ty if ty.starts_with("Time64") => "time without time zone",
            ty if ty.starts_with("Interval") => "interval",
            ty => ty,
        };
        return Error::new("0A000", format!("unit \"{field}\" not supported for type {ty}"));
    }
    if let Some(value) = between(first, "Cannot cast string '", "'") {
        let ty = between(first, "to value of ", " type").unwrap_or("that");
        return Error::new("22P02", format!("invalid input syntax for type {}: \"{value}\"", arrow_name(ty)));
    }
    if first.contains("Error parsing timestamp from '") {
        let value = between(first, "from '", "'").unwrap_or("");
        return Error::new("22007", format!("invalid input syntax for type timestamp: \"{value}\""));
    }
    if first.contains("square root of a negative number") {
        return Error::new("2201F", "cannot take square root of a negative number");
    }
    if first.contains("zero raised to a negative power") {
        return Error::new("2201F", "zero raised to a negative power is undefined");
    }
    if first.contains("negative count not allowed") || first.contains("negative substring length") {
        return Error::new("22011", "negative substring length not allowed");
    }
    if first.contains("LIMIT must be >= 0") || first.contains("OFFSET must be >=0") {
        return plan(text);
    }
    if first.contains("returned more than one row") || first.contains("more than one row") {
        return Error::new("21000", "more than one row returned by a subquery used as an expression");
    }
    if first.contains("memory limit") || first.contains("Not enough memory") {
        return Error::new("53200", "out of memory").with_detail(tidy(first));
    }
    if first.contains("Cast error") || first.contains("cast") {
        return Error::new("22P02", tidy(first));
    }
    if first.contains("Regular expression did not compile") || first.contains("regex parse error") {
        return Error::new("2201B", "invalid regular expression").with_detail(tidy(text));
    }
    Error::new("22000", tidy(first))
}

fn arrow_name(name: &str) -> String {
    match name {
        "Int16" => "smallint",
        "Int32" => "integer",
        "Int64" => "bigint",
        "Float32" => "real",
        "Float64" => "double precision",
        "Boolean" => "boolean",
        "Date32" => "date",
        "Utf8" => "text",
        other => other,
    }
    .to_owned()
}

fn internal(text: &str) -> Error {
    let first = first_line(text);
    if first.contains("work table") {
        return Error::unsupported("a recursive reference inside a subquery");
    }
    if first.contains("UDF returned a different number of rows") || first.contains("Physical input schema") {
        return Error::internal(tidy(first));
    }
    if first.contains("division by zero") || first.contains("Divide by zero") {
        return Error::new("22012", "division by zero");
    }
    Error::internal(tidy(first))
}

/// The part of a text between two others.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let from = text.find(start)? + start.len();
    let length = text[from..].find(end)?;
    Some(&text[from..from + length])
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}

/// A text without DataFusion's prefixes and advice, in lower case at its beginning.
fn tidy(text: &str) -> String {
    let mut text = text.trim();
    loop {
        let before = text;
        for prefix in [
            "Error during planning: ",
            "This feature is not implemented: ",
            "Execution error: ",
            "Arrow error: ",
            "Invalid argument error: ",
            "Cast error: ",
            "Compute error: ",
            "Internal error: ",
            "External error: ",
            "Schema error: ",
            "Parser error: ",
            "type_coercion",
        ] {
            text = text.strip_prefix(prefix).unwrap_or(text);
        }
        if text == before {
            break;
        }
    }
    let text = text.split("This issue was likely caused by a bug").next().unwrap_or(text).trim();
    let text = text.trim_end_matches(['.', ' ']).replace(crate::query::output::UNIQUE_MARK, "#");
    let mut characters = text.chars();
    match (characters.next(), text.chars().nth(1)) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => text,
    }
}
