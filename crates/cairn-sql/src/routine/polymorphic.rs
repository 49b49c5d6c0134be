//! Functions of `anyelement` and its kin: the types of a call's arguments say what these stand for, and the call is one of
//! the function with those types in their place.

use cairn_engine::catalog::{Parameter, ParameterMode, Returns, RoutineDescriptor};
use cairn_types::DataType;
use cairn_types::polymorphic::Polymorphic;

use crate::functions::overload::{Found, common};
use crate::{Error, Result};

/// Whether any parameter stands for several types.
pub(crate) fn is_polymorphic(routine: &RoutineDescriptor) -> bool {
    routine.inputs().any(|input| Polymorphic::of(&input.ty).is_some())
}

/// What the polymorphic types of one family stand for.
#[derive(Default)]
struct Meaning {
    exact: Option<DataType>,
    compatible: Option<DataType>,
}

impl Meaning {
    /// Takes an argument in; `false` where it does not go with the others.
    fn takes(&mut self, kind: Polymorphic, ty: &DataType) -> bool {
        let Some(element) = kind.element(ty) else { return false };
        let own = if kind.is_compatible() { &mut self.compatible } else { &mut self.exact };
        let met = match own.take() {
            None => Some(element),
            Some(other) if other == element => Some(other),
            Some(other) if kind.is_compatible() => common(&other, &element),
            Some(_) => None,
        };
        *own = met;
        own.is_some()
    }

    fn of(&self, ty: &DataType) -> Option<DataType> {
        let Some(kind) = Polymorphic::of(ty) else { return Some(ty.clone()) };
        let element = if kind.is_compatible() { &self.compatible } else { &self.exact };
        kind.made(element.as_ref()?)
    }
}

/// The function that a call with arguments of these types means; `None` where they do not fit.
///
/// # Errors
/// `42804` where no argument has a type.
pub(crate) fn instance(routine: &RoutineDescriptor, found: &[Found]) -> Result<Option<RoutineDescriptor>> {
    let inputs: Vec<&Parameter> = routine.inputs().collect();
    let mut meaning = Meaning::default();
    for (at, ty) in found.iter().enumerate() {
        let Some(input) = inputs.get(at).or(inputs.last()) else { return Ok(None) };
        let variadic = input.mode == ParameterMode::Variadic;
        if at >= inputs.len() && !variadic {
            return Ok(None);
        }
        let (Some(kind), Some(ty)) = (Polymorphic::of(&input.ty), ty) else { continue };
        let array = matches!(ty, DataType::Array(_));
        let spread = variadic && !(found.len() == inputs.len() && array);
        let kind = match (spread, kind) {
            (true, Polymorphic::Array) => Polymorphic::Element,
            (true, Polymorphic::CompatibleArray) => Polymorphic::Compatible,
            _ => kind,
        };
        if !meaning.takes(kind, ty) {
            return Ok(None);
        }
    }
    // What is left out has the type of its default.
    for input in inputs.iter().skip(found.len()) {
        if let (Some(kind), Some(default)) = (Polymorphic::of(&input.ty), &input.default)
            && !meaning.takes(kind, &default_type(default))
        {
            return Ok(None);
        }
    }
    // A constant text, whose type nobody knows any more, decides where nothing else does.
    meaning.compatible.get_or_insert(DataType::Text);
    meaning.exact.get_or_insert(DataType::Text);
    let unknown =
        || Error::new("42804", "could not determine polymorphic type because input has type unknown");
    let own = |ty: &DataType| meaning.of(ty).ok_or_else(unknown);
    let mut made = routine.clone();
    for parameter in &mut made.parameters {
        parameter.ty = own(&parameter.ty)?;
    }
    made.returns = match &routine.returns {
        Returns::Value { ty, set } => Returns::Value { ty: own(ty)?, set: *set },
        Returns::Rows { columns, set } => Returns::Rows {
            columns: columns.iter().map(|(name, ty)| Ok((name.clone(), own(ty)?))).collect::<Result<_>>()?,
            set: *set,
        },
        other => other.clone(),
    };
    Ok(Some(made))
}

/// The type of a default, as its text shows it.
fn default_type(text: &str) -> DataType {
    match text.trim() {
        number if number.parse::<i32>().is_ok() => DataType::Integer,
        number if number.parse::<i64>().is_ok() => DataType::BigInt,
        number if number.parse::<f64>().is_ok() => DataType::Numeric(None),
        "true" | "false" => DataType::Boolean,
        _ => DataType::Text,
    }
}

/// Refuses a result that no parameter decides.
///
/// # Errors
/// `42P13`.
pub(super) fn check(routine: &RoutineDescriptor) -> Result<()> {
    let kinds: Vec<Polymorphic> = routine.inputs().filter_map(|input| Polymorphic::of(&input.ty)).collect();
    let decided = |ty: &DataType| match Polymorphic::of(ty) {
        Some(own) => kinds.iter().any(|kind| kind.is_compatible() == own.is_compatible()),
        None => true,
    };
    let undecided = routine.types().find(|ty| !decided(ty));
    let Some(ty) = undecided else { return Ok(()) };
    let family = match Polymorphic::of(ty) {
        Some(own) if own.is_compatible() => {
            "anycompatible, anycompatiblearray, anycompatiblenonarray, anycompatiblerange, or anycompatiblemultirange"
        }
        _ => "anyelement, anyarray, anynonarray, anyenum, anyrange, or anymultirange",
    };
    let name = crate::functions::overload::type_name(ty);
    Err(Error::new("42P13", "cannot determine result data type")
        .with_detail(format!("A result of type {name} requires at least one input of type {family}.")))
}
