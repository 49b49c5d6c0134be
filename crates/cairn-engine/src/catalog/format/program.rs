//! The bytes of routines and triggers; specified in `docs/format/catalog.md`.

use super::{Decoder, Descriptor, Encoder};
use crate::catalog::routine::{
    BodyForm, Parameter, ParameterMode, Returns, RoutineDescriptor, RoutineKind, RoutineVolatility,
    TriggerDescriptor, TriggerEvents, TriggerTiming,
};
use crate::error::Result;

/// Extras of a routine: as whom and with which settings it runs.
const EXTRA_RUN_AS: u8 = 40;

/// A value of an enumeration by its place in `all`.
fn read_one<T: Copy>(from: &mut Decoder<'_>, all: &[T], what: &str) -> Result<T> {
    let code = from.u8()?;
    all.get(usize::from(code)).copied().ok_or_else(|| from.damage(&format!("{code} for {what}")))
}

fn write_one<T: PartialEq>(out: &mut Encoder, all: &[T], value: &T) {
    out.u8(all.iter().position(|one| one == value).unwrap_or(0) as u8);
}

const KINDS: [RoutineKind; 2] = [RoutineKind::Function, RoutineKind::Procedure];
const MODES: [ParameterMode; 4] =
    [ParameterMode::In, ParameterMode::Out, ParameterMode::InOut, ParameterMode::Variadic];
const VOLATILITIES: [RoutineVolatility; 3] =
    [RoutineVolatility::Immutable, RoutineVolatility::Stable, RoutineVolatility::Volatile];
const FORMS: [BodyForm; 3] = [BodyForm::Text, BodyForm::Return, BodyForm::Atomic];
const TIMINGS: [TriggerTiming; 3] = [TriggerTiming::Before, TriggerTiming::After, TriggerTiming::InsteadOf];

fn write_returns(out: &mut Encoder, returns: &Returns) {
    match returns {
        Returns::Void => out.u8(0),
        Returns::Trigger => out.u8(1),
        Returns::Value { ty, set } => {
            out.u8(2);
            out.ty(ty);
            out.bool(*set);
        }
        Returns::Rows { columns, set } => {
            out.u8(3);
            out.list(columns, |out, (name, ty)| {
                out.text(name);
                out.ty(ty);
            });
            out.bool(*set);
        }
        Returns::Relation { object, set } => {
            out.u8(4);
            out.u32(*object);
            out.bool(*set);
        }
    }
}

fn read_returns(from: &mut Decoder<'_>) -> Result<Returns> {
    Ok(match from.u8()? {
        0 => Returns::Void,
        1 => Returns::Trigger,
        2 => Returns::Value { ty: from.ty()?, set: from.bool()? },
        3 => Returns::Rows { columns: from.list(|from| Ok((from.text()?, from.ty()?)))?, set: from.bool()? },
        4 => Returns::Relation { object: from.u32()?, set: from.bool()? },
        other => return Err(from.damage(&format!("{other} for what a routine gives"))),
    })
}

impl Descriptor for RoutineDescriptor {
    const WHAT: &'static str = "routine";

    fn write(&self, out: &mut Encoder) -> Result<()> {
        out.u32(self.id);
        out.text(&self.schema);
        out.text(&self.name);
        write_one(out, &KINDS, &self.kind);
        out.list(&self.parameters, |out, parameter| {
            out.text(&parameter.name);
            out.ty(&parameter.ty);
            write_one(out, &MODES, &parameter.mode);
            out.text_option(&parameter.default);
        });
        write_returns(out, &self.returns);
        out.bool(self.strict);
        write_one(out, &VOLATILITIES, &self.volatility);
        write_one(out, &FORMS, &self.form);
        out.text(&self.body);
        out.list(&self.depends_on, |out, id| out.u32(*id));
        Ok(())
    }

    fn read(from: &mut Decoder<'_>) -> Result<Self> {
        Ok(RoutineDescriptor {
            id: from.u32()?,
            schema: from.text()?,
            name: from.text()?,
            kind: read_one(from, &KINDS, "a kind of routine")?,
            parameters: from.list(|from| {
                Ok(Parameter {
                    name: from.text()?,
                    ty: from.ty()?,
                    mode: read_one(from, &MODES, "a mode of a parameter")?,
                    default: from.option(Decoder::text)?,
                })
            })?,
            returns: read_returns(from)?,
            strict: from.bool()?,
            volatility: read_one(from, &VOLATILITIES, "a volatility")?,
            form: read_one(from, &FORMS, "a form of body")?,
            body: from.text()?,
            depends_on: from.list(Decoder::u32)?,
            definer: false,
            settings: Vec::new(),
        })
    }

    fn extras(&self) -> Result<Vec<(u8, Vec<u8>)>> {
        if !self.definer && self.settings.is_empty() {
            return Ok(Vec::new());
        }
        let mut out = Encoder { bytes: Vec::new() };
        out.bool(self.definer);
        out.list(&self.settings, |out, (name, value)| {
            out.text(name);
            out.text(value);
        });
        Ok(vec![(EXTRA_RUN_AS, out.bytes)])
    }

    fn read_extra(&mut self, tag: u8, from: &mut Decoder<'_>) -> Result<()> {
        if tag != EXTRA_RUN_AS {
            return Err(from.damage(&format!("an extra of kind {tag}, which this program does not know")));
        }
        self.definer = from.bool()?;
        self.settings = from.list(|from| Ok((from.text()?, from.text()?)))?;
        Ok(())
    }
}

/// The triggers of a table or view, as one extra.
pub(super) fn triggers_extra(triggers: &[TriggerDescriptor]) -> Vec<u8> {
    let mut out = Encoder { bytes: Vec::new() };
    out.list(triggers, |out, trigger| {
        out.text(&trigger.name);
        write_one(out, &TIMINGS, &trigger.timing);
        let TriggerEvents { insert, update, delete, truncate } = trigger.events;
        [insert, update, delete, truncate].into_iter().for_each(|event| out.bool(event));
        out.list(&trigger.columns, |out, id| out.u32(*id));
        out.bool(trigger.per_row);
        out.text_option(&trigger.old_table);
        out.text_option(&trigger.new_table);
        out.text_option(&trigger.when);
        out.u32(trigger.function);
        out.list(&trigger.arguments, |out, argument| out.text(argument));
        out.bool(trigger.enabled);
    });
    out.bytes
}

pub(super) fn read_triggers(from: &mut Decoder<'_>) -> Result<Vec<TriggerDescriptor>> {
    from.list(|from| {
        Ok(TriggerDescriptor {
            name: from.text()?,
            timing: read_one(from, &TIMINGS, "a time of a trigger")?,
            events: TriggerEvents {
                insert: from.bool()?,
                update: from.bool()?,
                delete: from.bool()?,
                truncate: from.bool()?,
            },
            columns: from.list(Decoder::u32)?,
            per_row: from.bool()?,
            old_table: from.option(Decoder::text)?,
            new_table: from.option(Decoder::text)?,
            when: from.option(Decoder::text)?,
            function: from.u32()?,
            arguments: from.list(Decoder::text)?,
            enabled: from.bool()?,
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cairn_types::DataType;

    use super::*;

    #[test]
    fn routines_come_back_and_damage_is_told() {
        let routine = RoutineDescriptor {
            id: 1001,
            schema: "public".to_owned(),
            name: "f".to_owned(),
            kind: RoutineKind::Procedure,
            parameters: vec![Parameter {
                name: "a".to_owned(),
                ty: DataType::Integer,
                mode: ParameterMode::InOut,
                default: Some("1".to_owned()),
            }],
            returns: Returns::Rows { columns: vec![("a".to_owned(), DataType::Text)], set: true },
            strict: true,
            volatility: RoutineVolatility::Stable,
            form: BodyForm::Atomic,
            body: "SELECT a".to_owned(),
            depends_on: vec![1000],
            definer: true,
            settings: vec![("a".to_owned(), "b".to_owned())],
        };
        let bytes = routine.encode().unwrap();
        assert_eq!(RoutineDescriptor::decode(&bytes).unwrap(), routine);
        for len in 0..bytes.len() {
            assert!(RoutineDescriptor::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn golden_bytes_of_triggers() {
        let trigger = TriggerDescriptor {
            name: "t".to_owned(),
            timing: TriggerTiming::After,
            events: TriggerEvents { update: true, ..TriggerEvents::default() },
            columns: vec![2],
            per_row: true,
            old_table: None,
            new_table: Some("n".to_owned()),
            when: None,
            function: 7,
            arguments: vec!["x".to_owned()],
            enabled: true,
        };
        let bytes = triggers_extra(std::slice::from_ref(&trigger));
        let golden = [
            1, 0, 0, 0, 1, 0, 0, 0, b't', 1, 0, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, b'n',
            0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, b'x', 1,
        ];
        assert_eq!(bytes, golden);
        let mut from = Decoder { bytes: &bytes, what: "table" };
        assert_eq!(read_triggers(&mut from).unwrap(), [trigger]);
    }
}
