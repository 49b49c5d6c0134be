//! Binary operators where PostgreSQL and DataFusion differ: arithmetic on numbers goes to
//! `functions::operators`, string literals beside a typed operand take its type (PostgreSQL's *unknown* literals),
//! integer literals beside an INTEGER are INTEGERs.

use std::sync::Arc;

use cairn_types::datetime::{Zone, parse_timestamptz};
use cairn_types::{Coded, DataType, Value};
use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, ScalarUDF, cast, lit};
use sqlparser::ast::BinaryOperator;

use crate::catalog::column_type;
use crate::functions::operators::{Arithmetic, chained};
use crate::functions::{cast as cast_function, sql_type, subscript};
use crate::{Error, Result};

/// Plans our operators; stands before DataFusion's own planners.
#[derive(Debug)]
pub(crate) struct Operators {
    /// The functions of dates and times.
    functions: Vec<Arc<ScalarUDF>>,
}

impl Operators {
    pub(crate) fn new() -> Self {
        Self { functions: crate::functions::time::functions().into_iter().map(Arc::new).collect() }
    }
}

/// `left = right`, as the operator means it.
pub(super) fn equal(left: Expr, right: Expr, schema: &DFSchema) -> DataFusionResult<Expr> {
    let raw = RawBinaryExpr { op: BinaryOperator::Eq, left, right };
    Ok(match Operators::new().plan_binary_op(raw, schema)? {
        PlannerResult::Planned(equal) => equal,
        PlannerResult::Original(raw) => raw.left.eq(raw.right),
    })
}

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        mut raw: RawBinaryExpr,
        schema: &DFSchema,
    ) -> DataFusionResult<PlannerResult<RawBinaryExpr>> {
        if matches!(raw.op, BinaryOperator::And | BinaryOperator::Or) {
            return Ok(PlannerResult::Original(raw));
        }
        super::open_parameters::tell(&mut raw, schema);
        let (Ok(left), Ok(right)) = (type_of(&raw.left, schema), type_of(&raw.right, schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        if let Some(call) = super::typed_operators::plan(&mut raw, &left, &right)? {
            return Ok(PlannerResult::Planned(call));
        }
        if raw.op == BinaryOperator::StringConcat {
            joined_as_text(&mut raw, &left, &right);
            return Ok(PlannerResult::Original(raw));
        }
        let comparison = is_comparison(&raw.op);
        if comparison {
            refuse_mixed(&raw, &left, &right)?;
        }
        let arithmetic = arithmetic(&raw.op);
        if comparison || arithmetic.is_some() {
            raw.left = adopt(raw.left, &left, &right, comparison)?;
            raw.right = adopt(raw.right, &right, &left, comparison)?;
        }
        if comparison && left != right {
            without_blanks(&mut raw, &left, &right);
            // The query engine's own casts know no infinite dates and moments. A column beside a constant is left to it, which
            // turns the cast of the one into that of the other.
            let fixed = [&raw.left, &raw.right].map(|side| side.column_refs().is_empty());
            for (at, own, other) in [(0, &left, &right), (1, &right, &left)] {
                let moment = matches!(other, DataType::Timestamp(_) | DataType::TimestampTz(_));
                let instant = matches!((own, other), (DataType::Timestamp(_), DataType::TimestampTz(_)));
                if *own == DataType::Date && moment || instant && (fixed[at] || !fixed[1 - at]) {
                    let side = if at == 0 { &mut raw.left } else { &mut raw.right };
                    *side = crate::functions::cast::call(std::mem::take(side), other);
                }
            }
            // A NUMERIC beside a float is compared as one: the float may be NaN.
            let float = |ty: &DataType| matches!(ty, DataType::Real | DataType::Double);
            for (side, own, other) in [(&mut raw.left, &left, &right), (&mut raw.right, &right, &left)] {
                if matches!(own, DataType::Numeric(_)) && float(other) {
                    *side = as_float(std::mem::take(side));
                }
            }
        }
        let Some(operator) = arithmetic else { return Ok(PlannerResult::Original(raw)) };
        let (Ok(mut left), Ok(mut right)) = (type_of(&raw.left, schema), type_of(&raw.right, schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        if let Some(name) = temporal(operator, &left, &right) {
            let (first, second) = match (&left, &right) {
                // number * interval, integer + date, interval + time
                (DataType::Interval(_), DataType::Time(_)) => (raw.right, raw.left),
                (l, r) if l.is_numeric() && !r.is_numeric() => (raw.right, raw.left),
                _ => (raw.left, raw.right),
            };
            return Ok(PlannerResult::Planned(self.temporal(operator, name, first, second, schema)?));
        }
        if matches!(operator, Arithmetic::Add | Arithmetic::Subtract) {
            let back = operator == Arithmetic::Subtract;
            if matches!((&left, &right, back), (DataType::Interval(_), _, false)) {
                std::mem::swap(&mut raw.left, &mut raw.right);
                std::mem::swap(&mut left, &mut right);
            }
            let moved = match (&left, &right) {
                // DATE and INTERVAL make a TIMESTAMP.
                (DataType::Date, DataType::Interval(_)) => {
                    let start = crate::functions::cast::call(
                        std::mem::take(&mut raw.left),
                        &DataType::Timestamp(None),
                    );
                    Some((start, false))
                }
                (DataType::Timestamp(_), DataType::Interval(_)) => {
                    Some((std::mem::take(&mut raw.left), false))
                }
                (DataType::TimestampTz(_), DataType::Interval(_)) => {
                    Some((std::mem::take(&mut raw.left), true))
                }
                _ => None,
            };
            if let Some((moment, instant)) = moved {
                let moved = crate::functions::shift::call(moment, raw.right, instant, back);
                return Ok(PlannerResult::Planned(moved));
            }
        }
        let common = common_type(operator, &left, &right)
            .or_else(|| is_long(operator, &raw).then_some(DataType::Numeric(None)));
        let Some(common) = common else { return Ok(PlannerResult::Original(raw)) };
        let args = [(raw.left, left), (raw.right, right)]
            .map(|(expr, own)| {
                let wanted = match &common {
                    // An integer column is divided as it is.
                    DataType::Numeric(_) if rank(&own).is_some() && constant(&expr).is_none() => {
                        return signed(expr, schema);
                    }
                    // Each side keeps its scale; the function aligns them.
                    DataType::Numeric(_) => as_numeric(&own),
                    other => other.to_arrow(),
                };
                let expr = signed(expr, schema);
                if own.to_arrow() == wanted { expr } else { cast(expr, wanted) }
            })
            .to_vec();
        if let Some(folded) = fold(operator, &args) {
            return Ok(PlannerResult::Planned(folded));
        }
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(
            chained(operator, &args),
            args,
        ))))
    }

    fn plan_field_access(
        &self,
        raw: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> DataFusionResult<PlannerResult<RawFieldAccessExpr>> {
        let own = type_of(&raw.expr, schema);
        if let Ok(DataType::Array(element)) = &own
            && DataType::from_arrow(&element.to_arrow()) != **element
            && matches!(raw.field_access, GetFieldAccess::ListIndex { .. })
            && !column_type::is_vector(&raw.expr.to_field(schema)?.1)
        {
            // The query engine forgets what the elements are.
            let raw = from_one(raw)?;
            let GetFieldAccess::ListIndex { key } = raw.field_access else {
                return Err(Error::internal("a subscript became another").into());
            };
            let part = datafusion::functions_nested::expr_fn::array_element(raw.expr, *key);
            return Ok(PlannerResult::Planned(match **element {
                DataType::Char(_) => crate::functions::cast::call(part, element),
                _ => crate::functions::alike::typed_as(part, element),
            }));
        }
        if matches!(own, Ok(DataType::Text))
            && let GetFieldAccess::ListIndex { key } = &raw.field_access
        {
            // A `name` is an array of its characters, from 0.
            let (_, field) = raw.expr.to_field(schema)?;
            if column_type::told(&field) != Some(column_type::NAME_ID) {
                let message = "cannot subscript type text because it does not support subscripting";
                return Err(Error::new("42804", message).into());
            }
            let place = cast(Expr::clone(key), ArrowType::Int64) + lit(1_i64);
            let part = datafusion::functions::expr_fn::substring(raw.expr, place, lit(1_i64));
            return Ok(PlannerResult::Planned(part));
        }
        if matches!(own, Ok(DataType::Array(_))) && column_type::is_vector(&raw.expr.to_field(schema)?.1) {
            return Ok(PlannerResult::Original(from_one(from_zero(raw))?));
        }
        if !matches!(own, Ok(DataType::Jsonb)) {
            return Ok(PlannerResult::Original(from_one(raw)?));
        }
        let key = match raw.field_access {
            GetFieldAccess::NamedStructField { name } => Expr::Literal(name, None),
            GetFieldAccess::ListIndex { key } => *key,
            GetFieldAccess::ListRange { .. } => {
                return Err(Error::new("42804", "jsonb subscript does not support slices").into());
            }
        };
        let part = super::typed_operators::call("cairn_json_get", vec![raw.expr, key])?;
        Ok(PlannerResult::Planned(part))
    }
}

/// Subscripts that count from 0, as subscripts that count from 1.
fn from_zero(mut raw: RawFieldAccessExpr) -> RawFieldAccessExpr {
    let next = |key: &mut Expr| {
        let own = std::mem::take(key);
        *key = match constant(&own).and_then(|value| value.cast_to(&ArrowType::Int64).ok()) {
            Some(ScalarValue::Int64(Some(number))) => lit(number.saturating_add(1)),
            _ => cast(own, ArrowType::Int64) + lit(1_i64),
        };
    };
    match &mut raw.field_access {
        GetFieldAccess::ListIndex { key } => next(key),
        GetFieldAccess::ListRange { start, stop, .. } => {
            next(start);
            next(stop);
        }
        GetFieldAccess::NamedStructField { .. } => {}
    }
    raw
}

/// Subscripts below 1, which the query engine counts from the end: there is nothing.
fn from_one(mut raw: RawFieldAccessExpr) -> Result<RawFieldAccessExpr> {
    let number = |n: Option<i64>| Expr::Literal(ScalarValue::Int64(n), None);
    let known = |expr: &Expr| {
        let (value, sign) = match expr {
            Expr::Negative(inner) => (constant(inner)?, -1),
            other => (constant(other)?, 1),
        };
        match value.cast_to(&ArrowType::Int64) {
            Ok(ScalarValue::Int64(Some(number))) => Some(number * sign),
            _ => None,
        }
    };
    let bounded = |key: &mut Expr, lowest: i64, instead: Option<i64>| -> Result<()> {
        match known(key) {
            Some(place) if place < lowest => *key = number(instead),
            Some(_) => {}
            None => {
                let place = cast(std::mem::take(key), ArrowType::Int64);
                let arguments = vec![place, number(Some(lowest)), number(instead)];
                *key = super::typed_operators::call(subscript::NAME, arguments)?;
            }
        }
        Ok(())
    };
    match &mut raw.field_access {
        GetFieldAccess::ListIndex { key } => bounded(key, 1, None)?,
        GetFieldAccess::ListRange { start, stop, .. } => {
            bounded(start, 1, Some(1))?;
            bounded(stop, 1, Some(0))?;
        }
        GetFieldAccess::NamedStructField { .. } => {}
    }
    Ok(raw)
}

/// The value of an operation on constants. Folding at once keeps long sums short: planning costs with the cube
/// of the depth. What fails is left to fail where it is evaluated.
fn fold(operator: Arithmetic, args: &[Expr]) -> Option<Expr> {
    let values = args.iter().map(constant).collect::<Option<Vec<_>>>()?;
    crate::functions::operators::evaluate(operator, &values).map(|value| Expr::Literal(value, None))
}

/// Ranks and row numbers have a type that SQL does not know: they are BIGINT.
fn signed(expr: Expr, schema: &DFSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(ArrowType::UInt32 | ArrowType::UInt64) => cast(expr, ArrowType::Int64),
        _ => expr,
    }
}

pub(super) fn as_float(expr: Expr) -> Expr {
    // What a NUMERIC without parameters shows is no part of its value.
    let constant = constant(&expr).filter(|value| !crate::functions::wide::is_wide(&value.data_type()));
    match constant.and_then(|value| value.cast_to(&ArrowType::Float64).ok()) {
        Some(value) => Expr::Literal(value, None),
        None => cast(expr, ArrowType::Float64),
    }
}

/// The value of a literal, cast or not.
fn constant(expr: &Expr) -> Option<ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Cast(cast) => constant(&cast.expr)?.cast_to(cast.field.data_type()).ok(),
        // `'1.5'::numeric`
        Expr::ScalarFunction(function) if function.func.name() == cast_function::NAME => {
            match function.args.as_slice() {
                [
                    Expr::Literal(ScalarValue::Utf8(Some(text)), _),
                    Expr::Literal(ScalarValue::Utf8(Some(ty)), _),
                ] => {
                    let ty = DataType::parse(ty).filter(|ty| matches!(ty, DataType::Numeric(_)))?;
                    scalar(&Value::parse_text(text, &ty).ok()?, &ty).ok()
                }
                _ => None,
            }
        }
        _ => None,
    }
}

impl Operators {
    fn temporal(
        &self,
        operator: Arithmetic,
        name: &str,
        first: Expr,
        second: Expr,
        schema: &DFSchema,
    ) -> Result<Expr> {
        let find = |name: &str| {
            self.functions
                .iter()
                .find(|f| f.name() == name)
                .cloned()
                .ok_or_else(|| Error::internal(format!("no function {name}")))
        };
        let call = |name: &str, args: Vec<Expr>| -> Result<Expr> {
            Ok(Expr::ScalarFunction(ScalarFunction::new_udf(find(name)?, args)))
        };
        let to = |expr: Expr, ty: DataType| -> Result<Expr> {
            Ok(if type_of(&expr, schema)? == ty { expr } else { cast(expr, ty.to_arrow()) })
        };
        match name {
            "cairn_elapsed" => {
                // Where one is an instant, the other is local time.
                let instant = DataType::TimestampTz(None);
                let types = (type_of(&first, schema)?, type_of(&second, schema)?);
                let (first, second) = match (types.0 == instant, types.1 == instant) {
                    (true, false) => (first, cast_function::call(second, &instant)),
                    (false, true) => (cast_function::call(first, &instant), second),
                    _ => (first, second),
                };
                call(
                    name,
                    vec![to(first, DataType::Timestamp(None))?, to(second, DataType::Timestamp(None))?],
                )
            }
            "cairn_add_days" => {
                let days = to(second, DataType::BigInt)?;
                let days =
                    if operator == Arithmetic::Subtract { Expr::Negative(Box::new(days)) } else { days };
                call(name, vec![first, days])
            }
            "cairn_scale_interval" => {
                let number = to(second, DataType::Double)?;
                let name = if operator == Arithmetic::Divide { "cairn_divide_interval" } else { name };
                call(name, vec![first, number])
            }
            "cairn_shift_time" if operator == Arithmetic::Subtract => {
                let minus = Expr::Literal(ScalarValue::Float64(Some(-1.0)), None);
                call(name, vec![first, call("cairn_scale_interval", vec![second, minus])?])
            }
            _ => call(name, vec![first, second]),
        }
    }
}

/// The function of an operation on dates and times that DataFusion lacks or types differently.
fn temporal(operator: Arithmetic, left: &DataType, right: &DataType) -> Option<&'static str> {
    use Arithmetic as A;
    use DataType as T;
    let integer = |t: &T| matches!(t, T::SmallInt | T::Integer | T::BigInt);
    let moment = |t: &T| matches!(t, T::Timestamp(_) | T::TimestampTz(_));
    match (operator, left, right) {
        (A::Subtract, T::Date, T::Date) => Some("cairn_days_between"),
        (A::Subtract, a, b) if moment(a) && (moment(b) || *b == T::Date) || *a == T::Date && moment(b) => {
            Some("cairn_elapsed")
        }
        (A::Add | A::Subtract, T::Date, n) if integer(n) => Some("cairn_add_days"),
        (A::Add, n, T::Date) if integer(n) => Some("cairn_add_days"),
        (A::Add | A::Subtract, T::Time(_), T::Interval(_)) => Some("cairn_shift_time"),
        (A::Add, T::Interval(_), T::Time(_)) => Some("cairn_shift_time"),
        (A::Add, T::Date, T::Time(_)) | (A::Add, T::Time(_), T::Date) => Some("cairn_date_at_time"),
        (A::Multiply | A::Divide, T::Interval(_), n) if n.is_numeric() => Some("cairn_scale_interval"),
        (A::Multiply, n, T::Interval(_)) if n.is_numeric() => Some("cairn_scale_interval"),
        _ => None,
    }
}

fn as_numeric(own: &DataType) -> ArrowType {
    match own {
        DataType::SmallInt => ArrowType::Decimal128(5, 0),
        DataType::Integer => ArrowType::Decimal128(10, 0),
        DataType::BigInt => ArrowType::Decimal128(19, 0),
        other => other.to_arrow(),
    }
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Result<DataType> {
    if let Expr::ScalarFunction(_) = expr
        && let Some(ty) = crate::functions::operators::shallow_type(expr)
    {
        return Ok(DataType::from_arrow(&ty));
    }
    let (_, field) = expr.to_field(schema)?;
    if field.data_type().is_null() && !matches!(expr, Expr::Literal(..)) {
        return Err(Error::internal("no type yet"));
    }
    Ok(sql_type(&field))
}

/// `||` beside text: what is not text is joined in PostgreSQL's text form, CHAR(n) without the blanks that fill it up.
fn joined_as_text(raw: &mut RawBinaryExpr, left: &DataType, right: &DataType) {
    let converted = |own: &DataType, other: &DataType| {
        matches!(own, DataType::Char(_)) && other.is_character() || is_plain(own) && other.is_character()
    };
    for (side, own, other) in [(&mut raw.left, left, right), (&mut raw.right, right, left)] {
        if converted(own, other) {
            *side = to_text(std::mem::take(side));
        }
    }
}

/// CHAR(n) beside other text: the blanks that fill it up do not count, nor those of VARCHAR, which PostgreSQL compares
/// as CHAR then. Literals are filled up by [`literal`] instead.
fn without_blanks(raw: &mut RawBinaryExpr, left: &DataType, right: &DataType) {
    let is_literal = |expr: &Expr| matches!(expr, Expr::Literal(..));
    let filled = |ty: &DataType| matches!(ty, DataType::Char(_));
    if is_literal(&raw.left) || is_literal(&raw.right) || !left.is_character() || !right.is_character() {
        return;
    }
    for (side, own, other) in [(&mut raw.left, left, right), (&mut raw.right, right, left)] {
        match own {
            DataType::Char(_) => *side = to_text(std::mem::take(side)),
            DataType::Varchar(_) if filled(other) => {
                *side = datafusion::functions::string::expr_fn::rtrim(vec![std::mem::take(side)]);
            }
            _ => {}
        }
    }
}

fn to_text(expr: Expr) -> Expr {
    cast_function::call(expr, &DataType::Text)
}

/// A type with one value and a text form of its own, so that `||` beside text means that form.
pub(super) fn is_plain(ty: &DataType) -> bool {
    !ty.is_character()
        && !matches!(ty, DataType::Array(_) | DataType::Bytea | DataType::Json | DataType::Jsonb)
}

/// Text that has its type is compared with no other type.
fn refuse_mixed(raw: &RawBinaryExpr, left: &DataType, right: &DataType) -> Result<()> {
    let typed = |expr: &Expr| !matches!(expr, Expr::Literal(..) | Expr::Placeholder(_));
    let other =
        |ty: &DataType| ty.is_numeric() || matches!(ty, DataType::Boolean | DataType::Date | DataType::Uuid);
    let mixed = left.is_character() && typed(&raw.left) && other(right)
        || right.is_character() && typed(&raw.right) && other(left);
    let null = |expr: &Expr| matches!(expr, Expr::Literal(value, _) if value.is_null());
    if !mixed || null(&raw.left) || null(&raw.right) {
        return Ok(());
    }
    let name = crate::functions::overload::type_name;
    Err(Error::new("42883", format!("operator does not exist: {} {} {}", name(left), raw.op, name(right)))
        .with_hint(
            "No operator matches the given name and argument types. You might need to add explicit type casts.",
        ))
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

fn arithmetic(op: &BinaryOperator) -> Option<Arithmetic> {
    Some(match op {
        BinaryOperator::Plus => Arithmetic::Add,
        BinaryOperator::Minus => Arithmetic::Subtract,
        BinaryOperator::Multiply => Arithmetic::Multiply,
        BinaryOperator::Divide => Arithmetic::Divide,
        BinaryOperator::Modulo => Arithmetic::Remainder,
        _ => return None,
    })
}

/// A literal beside an operand of another type takes that type.
fn adopt(expr: Expr, own: &DataType, other: &DataType, comparison: bool) -> Result<Expr> {
    match &expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _)
            if !other.is_character() || comparison && matches!(other, DataType::Char(_)) =>
        {
            // In arithmetic a date or time takes an interval.
            let ty = match other {
                DataType::Date | DataType::Timestamp(_) | DataType::TimestampTz(_) | DataType::Time(_)
                    if !comparison =>
                {
                    DataType::Interval(None)
                }
                other => other.clone(),
            };
            literal(text, &ty)
        }
        Expr::Placeholder(placeholder) if placeholder.field.is_none() && *own != *other => {
            Ok(Expr::Placeholder(Placeholder {
                id: placeholder.id.clone(),
                field: Some(Arc::new(other.to_field(&placeholder.id, true))),
            }))
        }
        _ => Ok(expr),
    }
}

/// A typed literal from text.
pub(crate) fn literal(text: &str, ty: &DataType) -> Result<Expr> {
    let ty = match ty {
        // The literal keeps its own digits.
        DataType::Numeric(_) => cast_function::constant_type(text)?,
        // Blanks at the end do not count beside CHAR(n), whose values are filled up with them.
        DataType::Char(n) => {
            let filled = format!("{:width$}", text.trim_end_matches(' '), width = *n as usize);
            return Ok(Expr::Literal(ScalarValue::Utf8(Some(filled)), None));
        }
        // Lengths bind columns, not what they are compared with.
        DataType::Varchar(_) => DataType::Text,
        other => other.clone(),
    };
    if matches!(ty, DataType::Coded(Coded::TimeTz(_))) {
        let text = Expr::Literal(ScalarValue::Utf8(Some(text.to_owned())), None);
        return Ok(crate::functions::cast::call(text, &ty));
    }
    let value = Value::parse_text(text, &ty)?;
    if matches!(ty, DataType::TimestampTz(_)) {
        // Without a zone of its own it is local time, which the session's settings decide.
        let elsewhere = parse_timestamptz(text, Zone::Fixed(3600))?;
        if Value::TimestampTz(elsewhere) != value {
            let text = Expr::Literal(ScalarValue::Utf8(Some(text.to_owned())), None);
            return Ok(cast_function::call(text, &ty));
        }
    }
    scalar(&value, &ty).map(|scalar| Expr::Literal(scalar, None))
}

/// A value as DataFusion's scalar.
pub(crate) fn scalar(value: &Value, ty: &DataType) -> Result<ScalarValue> {
    let array = Value::to_array(std::slice::from_ref(value), ty)?;
    ScalarValue::try_from_array(&array, 0).map_err(Error::from)
}

/// The integers by width; `None` for any other type.
fn rank(ty: &DataType) -> Option<u8> {
    match ty {
        DataType::SmallInt => Some(1),
        DataType::Integer => Some(2),
        DataType::BigInt => Some(3),
        _ => None,
    }
}

/// The type in which an operation is computed by our functions; `None` leaves it to DataFusion.
fn common_type(operator: Arithmetic, left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType as T;
    match (left, right) {
        (a, b) if rank(a).is_some() && rank(b).is_some() => {
            Some(if rank(a) >= rank(b) { a.clone() } else { b.clone() })
        }
        (T::Numeric(_), b) if rank(b).is_some() || matches!(b, T::Numeric(_)) => {
            is_wide(operator, left, right).then_some(T::Numeric(None))
        }
        (a, T::Numeric(_)) if rank(a).is_some() => is_wide(operator, left, right).then_some(T::Numeric(None)),
        (T::Real, T::Real) => Some(T::Real),
        (a, b) if a.is_numeric() && b.is_numeric() => Some(T::Double),
        _ => None,
    }
}

/// Whether the result of an operation on constants has more digits than 38.
fn is_long(operator: Arithmetic, raw: &RawBinaryExpr) -> bool {
    let number = |expr: &Expr| match constant(expr)? {
        ScalarValue::Decimal128(Some(n), _, scale) => Some(cairn_types::Decimal::new(n, scale)),
        _ => None,
    };
    let (Some(left), Some(right)) = (number(&raw.left), number(&raw.right)) else { return false };
    let result = match operator {
        Arithmetic::Multiply => left.times(right),
        Arithmetic::Add => left.plus(right),
        Arithmetic::Subtract => left.minus(right),
        _ => return false,
    };
    result.is_ok_and(|n| n.narrow().is_none_or(|n| n.unsigned_abs() >= 10u128.pow(38)))
}

/// Whether an operation of NUMERICs, or integers beside them, is one of values with scales of their own: a quotient, one
/// of such a value, or one whose result has little room for its digits in 38.
fn is_wide(operator: Arithmetic, left: &DataType, right: &DataType) -> bool {
    /// Digits before the point that are room enough for any result.
    const ROOM: i16 = 24;
    let digits = |ty: &DataType| match ty {
        DataType::Numeric(Some((precision, scale))) => Some((i16::from(*precision), i16::from(*scale))),
        DataType::Numeric(None) => None,
        DataType::SmallInt => Some((5, 0)),
        DataType::Integer => Some((10, 0)),
        _ => Some((19, 0)),
    };
    let (Some((p, s)), Some((q, t))) = (digits(left), digits(right)) else { return true };
    let (before, after) = match operator {
        Arithmetic::Divide => return true,
        Arithmetic::Multiply => (p - s + q - t, s + t),
        Arithmetic::Remainder => ((p - s).min(q - t), s.max(t)),
        Arithmetic::Add | Arithmetic::Subtract => ((p - s).max(q - t) + 1, s.max(t)),
    };
    38 - after < before.min(ROOM)
}
