//! The bytes of types that users make: enums, domains and composite types.

use cairn_types::{CompositeField, EnumLabel};

use super::{Decoder, Descriptor, Encoder};
use crate::catalog::types::{DomainCheck, TypeDescriptor, TypeKind};
use crate::error::Result;

const ENUM: u8 = 1;
const DOMAIN: u8 = 2;
const COMPOSITE: u8 = 3;

impl Descriptor for TypeDescriptor {
    const WHAT: &'static str = "type";

    fn write(&self, out: &mut Encoder) -> Result<()> {
        out.u32(self.id);
        out.text(&self.schema);
        out.text(&self.name);
        match &self.kind {
            TypeKind::Enum(labels) => {
                out.u8(ENUM);
                out.list(labels, |out, label| {
                    out.i64(label.order.to_bits().cast_signed());
                    out.text(&label.text);
                });
            }
            TypeKind::Domain { base, nullable, default, checks } => {
                out.u8(DOMAIN);
                out.ty(base);
                out.bool(*nullable);
                out.text_option(default);
                out.list(checks, |out, check| {
                    out.text(&check.name);
                    out.text(&check.sql);
                    out.bool(check.not_valid);
                });
            }
            TypeKind::Composite(fields) => {
                out.u8(COMPOSITE);
                out.list(fields, |out, field| {
                    out.text(&field.name);
                    out.ty(&field.ty);
                    out.bool(field.dropped);
                });
            }
        }
        out.text_option(&self.comment);
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self> {
        let (id, schema, name) = (from.u32()?, from.text()?, from.text()?);
        let kind = match from.u8()? {
            ENUM => {
                let labels = from.list(|from| {
                    Ok(EnumLabel { order: f64::from_bits(from.i64()?.cast_unsigned()), text: from.text()? })
                })?;
                if !labels.windows(2).all(|pair| pair[0].order < pair[1].order)
                    || labels.iter().any(|label| !label.order.is_finite())
                {
                    return Err(from.damage("labels that are not in order"));
                }
                TypeKind::Enum(labels)
            }
            DOMAIN => TypeKind::Domain {
                base: from.ty()?,
                nullable: from.bool()?,
                default: from.option(Decoder::text)?,
                checks: from.list(|from| {
                    Ok(DomainCheck { name: from.text()?, sql: from.text()?, not_valid: from.bool()? })
                })?,
            },
            COMPOSITE => TypeKind::Composite(from.list(|from| {
                Ok(CompositeField { name: from.text()?, ty: from.ty()?, dropped: from.bool()? })
            })?),
            other => return Err(from.damage(&format!("{other} for a kind of type"))),
        };
        Ok(TypeDescriptor { id, schema, name, kind, comment: from.option(Decoder::text)? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cairn_types::DataType;

    use super::*;

    /// A change here is a change of the format: old databases must still open.
    #[test]
    fn golden_bytes() {
        let label = |order, text: &str| EnumLabel { order, text: text.to_owned() };
        let mood = TypeDescriptor {
            id: 1000,
            schema: "p".to_owned(),
            name: "m".to_owned(),
            kind: TypeKind::Enum(vec![label(1.0, "a"), label(2.0, "b")]),
            comment: None,
        };
        let head = [1, 0xE8, 3, 0, 0, 1, 0, 0, 0, b'p', 1, 0, 0, 0, b'm', 1, 2, 0, 0, 0];
        let labels =
            [[0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 1, 0, 0, 0, b'a'], [0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0, 0, b'b']];
        let bytes = [&head[..], &labels.concat(), &[0]].concat();
        assert_eq!(mood.encode().unwrap(), bytes);
        assert_eq!(TypeDescriptor::decode(&bytes).unwrap(), mood);
        let mut swapped = bytes.clone();
        swapped[27] = 0x40;
        assert!(TypeDescriptor::decode(&swapped).is_err());
        for length in 0..bytes.len() {
            assert!(TypeDescriptor::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn composite_types_come_back() {
        let field = |name: &str, ty, dropped| CompositeField { name: name.to_owned(), ty, dropped };
        let fields = vec![field("a", DataType::Integer, false), field("b", DataType::Text, true)];
        let ty = TypeDescriptor {
            id: 1000,
            schema: "p".to_owned(),
            name: "c".to_owned(),
            kind: TypeKind::Composite(fields),
            comment: None,
        };
        let head = [1, 0xE8, 3, 0, 0, 1, 0, 0, 0, b'p', 1, 0, 0, 0, b'c', 3, 2, 0, 0, 0];
        let first = [1, 0, 0, 0, b'a', 1, 0, 0, 0, 3, 0];
        let second = [1, 0, 0, 0, b'b', 1, 0, 0, 0, 9, 1];
        let bytes = [&head[..], &first, &second, &[0]].concat();
        assert_eq!(ty.encode().unwrap(), bytes);
        assert_eq!(TypeDescriptor::decode(&bytes).unwrap(), ty);
        for length in 0..bytes.len() {
            assert!(TypeDescriptor::decode(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn domains_come_back() {
        let check = DomainCheck { name: "k".to_owned(), sql: "value > 0".to_owned(), not_valid: true };
        let domain = TypeDescriptor {
            id: 7,
            schema: "public".to_owned(),
            name: "d".to_owned(),
            kind: TypeKind::Domain {
                base: DataType::Numeric(Some((5, 2))),
                nullable: false,
                default: Some("1".to_owned()),
                checks: vec![check],
            },
            comment: Some("c".to_owned()),
        };
        let bytes = domain.encode().unwrap();
        assert_eq!(TypeDescriptor::decode(&bytes).unwrap(), domain);
    }
}
