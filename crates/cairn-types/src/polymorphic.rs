//! Types that stand for any type of a family in the parameters and the result of a function: `anyelement` and its kin. They
//! are written as enums without labels of numbers that no object has, and no value is of one.

use std::sync::Arc;

use crate::coded::{Coded, EnumType};
use crate::datatype::DataType;

/// The number of the first; objects never get so far.
const FIRST: u32 = 4_294_900_000;

/// One of these types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polymorphic {
    /// ANYELEMENT.
    Element,
    /// ANYARRAY.
    Array,
    /// ANYNONARRAY.
    NonArray,
    /// ANYENUM.
    Enum,
    /// ANYRANGE.
    Range,
    /// ANYCOMPATIBLE: what the arguments have in common.
    Compatible,
    /// ANYCOMPATIBLEARRAY.
    CompatibleArray,
    /// ANYCOMPATIBLENONARRAY.
    CompatibleNonArray,
    /// ANYCOMPATIBLERANGE.
    CompatibleRange,
}

const ALL: [(Polymorphic, &str); 9] = [
    (Polymorphic::Element, "anyelement"),
    (Polymorphic::Array, "anyarray"),
    (Polymorphic::NonArray, "anynonarray"),
    (Polymorphic::Enum, "anyenum"),
    (Polymorphic::Range, "anyrange"),
    (Polymorphic::Compatible, "anycompatible"),
    (Polymorphic::CompatibleArray, "anycompatiblearray"),
    (Polymorphic::CompatibleNonArray, "anycompatiblenonarray"),
    (Polymorphic::CompatibleRange, "anycompatiblerange"),
];

impl Polymorphic {
    /// The one of a name in lower case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, own)| *own == name).map(|(ty, _)| *ty)
    }

    /// The one of a number.
    #[must_use]
    pub fn of_id(id: u32) -> Option<Self> {
        let at = usize::try_from(id.checked_sub(FIRST)?).ok()?;
        ALL.get(at).map(|(ty, _)| *ty)
    }

    /// The one that a type is.
    #[must_use]
    pub fn of(ty: &DataType) -> Option<Self> {
        match ty {
            DataType::Coded(Coded::Enum(own)) => Self::of_id(own.id),
            _ => None,
        }
    }

    /// The type as a type of parameters.
    #[must_use]
    pub fn data_type(self) -> DataType {
        let at = ALL.iter().position(|(ty, _)| *ty == self).unwrap_or(0);
        let id = FIRST + u32::try_from(at).unwrap_or(0);
        let (schema, name) = (String::new(), ALL[at].1.to_owned());
        DataType::Coded(Coded::Enum(Arc::new(EnumType { id, schema, name, labels: Vec::new() })))
    }

    /// Whether it stands for the common type of the arguments, not for the type of each.
    #[must_use]
    pub fn is_compatible(self) -> bool {
        matches!(
            self,
            Self::Compatible | Self::CompatibleArray | Self::CompatibleNonArray | Self::CompatibleRange
        )
    }

    /// The type that it stands for where its elements are of that type; `None` where no range has them.
    #[must_use]
    pub fn made(self, element: &DataType) -> Option<DataType> {
        match self {
            Self::Array | Self::CompatibleArray => Some(DataType::Array(Box::new(element.clone()))),
            Self::Range | Self::CompatibleRange => crate::coded::RangeKind::ALL
                .into_iter()
                .find(|kind| kind.element() == *element)
                .map(|kind| DataType::Coded(Coded::Range(kind))),
            _ => Some(element.clone()),
        }
    }

    /// The element of a type that it is to stand for; `None` where it does not stand for such a type.
    #[must_use]
    pub fn element(self, ty: &DataType) -> Option<DataType> {
        let own = match (self, ty) {
            (Self::Array | Self::CompatibleArray, DataType::Array(element)) => (**element).clone(),
            (Self::Range | Self::CompatibleRange, DataType::Coded(Coded::Range(kind))) => kind.element(),
            (Self::Array | Self::CompatibleArray | Self::Range | Self::CompatibleRange, _) => return None,
            (Self::NonArray | Self::CompatibleNonArray, DataType::Array(_)) => return None,
            (Self::Enum, DataType::Coded(Coded::Enum(_))) => ty.clone(),
            (Self::Enum, _) => return None,
            _ => ty.clone(),
        };
        Some(own.without_limit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_come_back() {
        for (ty, name) in ALL {
            assert_eq!(Polymorphic::parse(name), Some(ty));
            assert_eq!(Polymorphic::of(&ty.data_type()), Some(ty));
        }
        assert_eq!(Polymorphic::of(&DataType::Integer), None);
        assert_eq!(Polymorphic::of_id(1000), None);
    }
}
