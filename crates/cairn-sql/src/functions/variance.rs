//! `variance`, `stddev` and their kin as PostgreSQL computes them: of floats (and BIGINT) by Youngs and Cramer's way, of
//! INTEGER and NUMERIC exactly, with PostgreSQL's number of digits.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Decimal128Type, Decimal256Type, Field, FieldRef, Float64Type, Int8Type, Int64Type,
    i256,
};
use cairn_types::Decimal;
use cairn_types::decimal::arithmetic::{big, big_ten_to, divide_big};
use cairn_types::decimal::wide::{self, ARROW};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use num_bigint::{BigInt, Sign};

use super::distinct::Distinct;
use crate::Error;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Spread {
    name: &'static str,
    aliases: Vec<String>,
    sample: bool,
    root: bool,
    signature: Signature,
}

/// All of them.
pub(super) fn functions() -> Vec<AggregateUDF> {
    [
        ("var_samp", &["var", "var_sample", "variance"][..], true, false),
        ("var_pop", &["var_population"][..], false, false),
        ("stddev", &["stddev_samp"][..], true, true),
        ("stddev_pop", &[][..], false, true),
    ]
    .into_iter()
    .map(|(name, aliases, sample, root)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        AggregateUDF::from(Spread { name, aliases, sample, root, signature })
    })
    .collect()
}

impl AggregateUDFImpl for Spread {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[ArrowType]) -> Result<Vec<ArrowType>> {
        match types {
            [ty @ ArrowType::Decimal128(..)] => Ok(vec![ty.clone()]),
            [ArrowType::Decimal256(..)] => Ok(vec![ARROW]),
            // The squares of larger integers have no room for digits after the point.
            [ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32] => Ok(vec![ArrowType::Decimal128(10, 0)]),
            [ty] if ty.is_numeric() || ty.is_null() => Ok(vec![ArrowType::Float64]),
            _ => {
                let names: Vec<String> =
                    types.iter().map(|ty| cairn_types::DataType::from_arrow(ty).sql_name()).collect();
                let message = format!("function {}({}) does not exist", self.name, names.join(", "));
                Err(Error::new("42883", message)
                    .with_hint("No function matches the given name and argument types.")
                    .into())
            }
        }
    }

    fn return_type(&self, types: &[ArrowType]) -> Result<ArrowType> {
        Ok(match types.first() {
            Some(ArrowType::Decimal128(..) | ArrowType::Decimal256(..)) => ARROW,
            _ => ArrowType::Float64,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            return Ok(Distinct::state_fields(args.name, args.input_fields));
        }
        let field = |part: &str, ty| Arc::new(Field::new(format!("{}[{part}]", args.name), ty, true));
        let count = field("count", ArrowType::Int64);
        Ok(match args.input_fields.first().map(|f| f.data_type()) {
            // Numbers of any length are kept as text.
            Some(ArrowType::Decimal128(..) | ArrowType::Decimal256(..)) => vec![
                count,
                field("sum", ArrowType::Utf8),
                field("squares", ArrowType::Utf8),
                field("shown", ArrowType::Int8),
                field("special", ArrowType::Boolean),
            ],
            _ => vec![count, field("sum", ArrowType::Float64), field("squares", ArrowType::Float64)],
        })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (sample, root) = (self.sample, self.root);
        let own: Box<dyn Accumulator> = match args.expr_fields.first().map(|field| field.data_type()) {
            Some(ArrowType::Decimal128(_, scale)) => Box::new(Exact::new(sample, root, *scale, *scale)),
            Some(ArrowType::Decimal256(..)) => Box::new(Exact::new(sample, root, wide::DIGITS_AFTER, 0)),
            _ => Box::new(Float { sample, root, count: 0.0, sum: 0.0, squares: 0.0 }),
        };
        Ok(if args.is_distinct { Box::new(Distinct::new(own, args.expr_fields)) } else { own })
    }
}

/// Floats: how many, their sum, and the sum of the squares of their distances from the mean.
#[derive(Debug)]
struct Float {
    sample: bool,
    root: bool,
    count: f64,
    sum: f64,
    squares: f64,
}

impl Accumulator for Float {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Float64Type>().iter().flatten() {
            let before = self.count;
            self.count += 1.0;
            self.sum += value;
            if before > 0.0 {
                let away = value * self.count - self.sum;
                self.squares += away * away / (self.count * before);
                if !self.squares.is_finite() || !self.sum.is_finite() {
                    self.squares = f64::NAN;
                }
            } else if !value.is_finite() {
                self.squares = f64::NAN;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let least = if self.sample { 1.0 } else { 0.0 };
        if self.count <= least {
            return Ok(ScalarValue::Float64(None));
        }
        let spread = self.squares / (self.count - least);
        Ok(ScalarValue::Float64(Some(if self.root { spread.sqrt() } else { spread })))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.count as i64)),
            ScalarValue::Float64(Some(self.sum)),
            ScalarValue::Float64(Some(self.squares)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<Int64Type>();
        let (sums, squares) =
            (states[1].as_primitive::<Float64Type>(), states[2].as_primitive::<Float64Type>());
        for row in (0..counts.len()).filter(|row| counts.is_valid(*row)) {
            let (count, sum, square) = (counts.value(row) as f64, sums.value(row), squares.value(row));
            if count == 0.0 {
                continue;
            }
            if self.count == 0.0 {
                (self.count, self.sum, self.squares) = (count, sum, square);
                continue;
            }
            let away = self.sum / self.count - sum / count;
            let all = self.count + count;
            self.squares += square + self.count * count * away * away / all;
            self.sum += sum;
            self.count = all;
        }
        Ok(())
    }
}

/// Decimals: how many, the sum of their digits and of the squares of these.
#[derive(Debug)]
struct Exact {
    sample: bool,
    root: bool,
    /// Digits after the point of what is added up.
    scale: i8,
    /// The most digits that a value shows.
    shown: i8,
    /// Whether any of them is NaN or infinite.
    special: bool,
    count: i64,
    sum: BigInt,
    squares: BigInt,
}

impl Exact {
    fn new(sample: bool, root: bool, scale: i8, shown: i8) -> Self {
        let (sum, squares) = (BigInt::ZERO, BigInt::ZERO);
        Self { sample, root, scale, shown, special: false, count: 0, sum, squares }
    }

    /// As PostgreSQL's `numeric_stddev_internal`: (n Σx² - (Σx)²) / (n (n - 1)).
    fn result(&self) -> Result<Decimal> {
        if self.special {
            return Ok(Decimal::NAN);
        }
        let below = self.count - i64::from(self.sample);
        let top = &self.squares * self.count - &self.sum * &self.sum;
        if top.sign() != Sign::Plus {
            return Ok(Decimal::new(0, 0));
        }
        let bottom = Decimal::new(i128::from(self.count) * i128::from(below), 0);
        // Both sides of the difference have twice the digits of the values.
        let shown = 2 * i32::from(self.shown);
        let cut = big_ten_to((2 * i32::from(self.scale) - shown).unsigned_abs());
        let top = top / cut;
        let by = BigInt::from(self.count) * below;
        let scale = quotient_scale(&top, shown, bottom);
        let shift = scale - shown;
        let (top, by) = match u32::try_from(shift) {
            Ok(up) => (top * big_ten_to(up), by),
            Err(_) => (top, by * big_ten_to(shift.unsigned_abs())),
        };
        let spread = Decimal::of_big(&divide_big(&top, &by), scale).map_err(Error::from)?;
        // The root is that of the rounded quotient, as in PostgreSQL.
        Ok(if self.root { spread.square_root_with(scale).map_err(Error::from)? } else { spread })
    }
}

/// The digits after the point of a quotient whose dividend may be of any length.
fn quotient_scale(top: &BigInt, scale: i32, bottom: Decimal) -> i32 {
    let most = i32::from(wide::DIGITS_AFTER);
    // The leading digits decide.
    let count = top.magnitude().to_string().len() as i32;
    let cut = (count - 36).max(scale - most).max(0);
    let head = Decimal::of_big(&(top / big_ten_to(cut.unsigned_abs())), 0).unwrap_or(Decimal::new(1, 0));
    let head = Decimal { scale: i8::try_from(scale - cut).unwrap_or_default(), ..head };
    head.quotient_scale(bottom).max(scale.min(most))
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values[0].data_type() {
            ArrowType::Decimal256(..) => {
                for raw in values[0].as_primitive::<Decimal256Type>().iter().flatten() {
                    self.count += 1;
                    if !wide::is_finite(raw) {
                        self.special = true;
                        continue;
                    }
                    let (key, _) = wide::parts(raw);
                    self.shown = self.shown.max(Decimal::from_wide(raw).scale);
                    let value = big(key.wrapping_div(i256::from_i128(100)));
                    self.squares += &value * &value;
                    self.sum += value;
                }
            }
            _ => {
                for value in values[0].as_primitive::<Decimal128Type>().iter().flatten() {
                    self.count += 1;
                    match value.checked_mul(value) {
                        Some(square) => self.squares += square,
                        None => self.squares += BigInt::from(value) * value,
                    }
                    self.sum += value;
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = match self.count <= i64::from(self.sample) {
            true => None,
            false => Some(self.result()?.to_wide().map_err(Error::from)?),
        };
        Ok(ScalarValue::Decimal256(value, wide::PRECISION, wide::SCALE))
    }

    fn size(&self) -> usize {
        size_of_val(self) + 128
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.count)),
            ScalarValue::Utf8(Some(self.sum.to_string())),
            ScalarValue::Utf8(Some(self.squares.to_string())),
            ScalarValue::Int8(Some(self.shown)),
            ScalarValue::Boolean(Some(self.special)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<Int64Type>();
        let (sums, squares) = (states[1].as_string::<i32>(), states[2].as_string::<i32>());
        let shown = states[3].as_primitive::<Int8Type>();
        let special = states[4].as_boolean();
        let number =
            |text: &str| text.parse::<BigInt>().map_err(|_| Error::internal("a sum that is no number"));
        for row in (0..counts.len()).filter(|row| counts.is_valid(*row)) {
            self.count += counts.value(row);
            self.sum += number(sums.value(row))?;
            self.squares += number(squares.value(row))?;
            self.shown = self.shown.max(shown.value(row));
            self.special |= special.value(row);
        }
        Ok(())
    }
}
