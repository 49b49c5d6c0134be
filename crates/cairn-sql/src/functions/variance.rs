//! `variance`, `stddev` and their kin as PostgreSQL computes them: of floats (and BIGINT) by Youngs and Cramer's way, of
//! INTEGER and NUMERIC exactly, with 16 digits after the point.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Decimal128Type, Decimal256Type, Field, FieldRef, Float64Type, Int64Type, i256,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use crate::Error;

/// Digits after the point of an exact result.
const SCALE: i8 = 16;
/// 10 to so many is beyond 256 bits.
const TENS_MAX: u32 = 76;

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
            Some(ArrowType::Decimal128(_, scale)) => ArrowType::Decimal128(38, SCALE.max(*scale)),
            _ => ArrowType::Float64,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |part: &str, ty| Arc::new(Field::new(format!("{}[{part}]", args.name), ty, true));
        let exact =
            matches!(args.input_fields.first().map(|f| f.data_type()), Some(ArrowType::Decimal128(..)));
        let number = if exact { ArrowType::Decimal256(76, 0) } else { ArrowType::Float64 };
        Ok(vec![field("count", ArrowType::Int64), field("sum", number.clone()), field("squares", number)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (sample, root) = (self.sample, self.root);
        Ok(match args.expr_fields.first().map(|field| field.data_type()) {
            Some(ArrowType::Decimal128(_, scale)) => Box::new(Exact {
                sample,
                root,
                scale: *scale,
                count: 0,
                sum: i256::ZERO,
                squares: i256::ZERO,
            }),
            _ => Box::new(Float { sample, root, count: 0.0, sum: 0.0, squares: 0.0 }),
        })
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
    scale: i8,
    count: i64,
    sum: i256,
    squares: i256,
}

fn overflow() -> Error {
    Error::new("22003", "value overflows numeric format")
}

fn ten_to(exponent: u32) -> Option<i256> {
    (exponent <= TENS_MAX)
        .then(|| (0..exponent).fold(i256::ONE, |power, _| power.wrapping_mul(i256::from_i128(10))))
}

/// The whole part of a square root.
fn root(n: i256) -> i256 {
    let two = i256::from_i128(2);
    if n < two {
        return n;
    }
    let mut guess = n;
    let mut next = guess.wrapping_add(i256::ONE).wrapping_div(two);
    while next < guess {
        guess = next;
        next = guess.wrapping_add(n.wrapping_div(guess)).wrapping_div(two);
    }
    guess
}

impl Exact {
    fn result(&self) -> Option<i128> {
        let count = i256::from_i128(i128::from(self.count));
        let out = SCALE.max(self.scale);
        // (n Σx² - (Σx)²) / (n (n - 1)), in units of 10^(-2 scale).
        let top = count.checked_mul(self.squares)?.checked_sub(self.sum.checked_mul(self.sum)?)?;
        let below = i256::from_i128(i128::from(self.count - i64::from(self.sample)));
        let bottom = count.checked_mul(below)?;
        let tenth = |n: i256| n.wrapping_add(i256::from_i128(5)).wrapping_div(i256::from_i128(10));
        // One digit more is computed, for the rounding.
        let shift = i32::from(out) + 1 - 2 * i32::from(self.scale);
        let (top, bottom) = match u32::try_from(shift) {
            Ok(shift) => (top.checked_mul(ten_to(shift)?)?, bottom),
            Err(_) => (top, bottom.checked_mul(ten_to(shift.unsigned_abs())?)?),
        };
        let spread = tenth(top.checked_div(bottom)?);
        // The root is that of the rounded quotient, as in PostgreSQL.
        let rounded = match self.root {
            true => tenth(root(spread.checked_mul(ten_to(u32::try_from(out).ok()? + 2)?)?)),
            false => spread,
        };
        rounded.to_i128().filter(|n| n.unsigned_abs() < 10u128.pow(38))
    }
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in values[0].as_primitive::<Decimal128Type>().iter().flatten() {
            let value = i256::from_i128(value);
            self.count += 1;
            self.sum = self.sum.checked_add(value).ok_or_else(overflow)?;
            let square = value.checked_mul(value).and_then(|square| self.squares.checked_add(square));
            self.squares = square.ok_or_else(overflow)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let scale = SCALE.max(self.scale);
        if self.count <= i64::from(self.sample) {
            return Ok(ScalarValue::Decimal128(None, 38, scale));
        }
        let value = self.result().ok_or_else(overflow)?;
        Ok(ScalarValue::Decimal128(Some(value), 38, scale))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.count)),
            ScalarValue::Decimal256(Some(self.sum), 76, 0),
            ScalarValue::Decimal256(Some(self.squares), 76, 0),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<Int64Type>();
        let (sums, squares) =
            (states[1].as_primitive::<Decimal256Type>(), states[2].as_primitive::<Decimal256Type>());
        for row in (0..counts.len()).filter(|row| counts.is_valid(*row)) {
            self.count += counts.value(row);
            self.sum = self.sum.checked_add(sums.value(row)).ok_or_else(overflow)?;
            self.squares = self.squares.checked_add(squares.value(row)).ok_or_else(overflow)?;
        }
        Ok(())
    }
}
