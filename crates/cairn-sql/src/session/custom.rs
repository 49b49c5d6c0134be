//! Parameters of an application's own, such as `app.tenant`: names of two or more parts, which no one has to declare. Policies
//! read them with `current_setting`.
//!
//! As in PostgreSQL a parameter that was set is known from then on: where its value is taken back it is the empty text.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// Those of a session, by name in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Custom {
    values: BTreeMap<String, String>,
    /// What the session began with, to which RESET comes back.
    start: BTreeMap<String, String>,
}

/// What the system's own names of two parts begin with.
const OWN: &str = "cairn.";

/// Whether a name is one of these, not of the system's.
pub(super) fn is_custom(name: &str) -> bool {
    let own = name.get(..OWN.len()).is_some_and(|first| first.eq_ignore_ascii_case(OWN));
    name.contains('.') && !own
}

fn is_identifier(part: &str) -> bool {
    let mut characters = part.chars();
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
    characters.next().is_some_and(starts) && characters.all(|c| starts(c) || c.is_ascii_digit() || c == '$')
}

impl Custom {
    /// The value of a parameter that was set.
    pub(super) fn show(&self, name: &str) -> Result<String> {
        let unknown = || Error::new("42704", format!("unrecognized configuration parameter \"{name}\""));
        self.values.get(&name.to_ascii_lowercase()).cloned().ok_or_else(unknown)
    }

    pub(super) fn set(&mut self, name: &str, values: &[String]) -> Result<()> {
        if !name.split('.').all(is_identifier) {
            let detail = "Custom parameter names must be two or more simple identifiers separated by dots.";
            return Err(Error::new("42602", format!("invalid configuration parameter name \"{name}\""))
                .with_detail(detail));
        }
        let [value] = values else {
            return Err(Error::new("22023", format!("SET {name} takes only one argument")));
        };
        self.values.insert(name.to_ascii_lowercase(), value.clone());
        Ok(())
    }

    pub(super) fn reset(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        let value = self.start.get(&name).cloned().unwrap_or_default();
        self.values.insert(name, value);
    }

    pub(super) fn reset_all(&mut self) {
        let names: Vec<String> = self.values.keys().cloned().collect();
        names.iter().for_each(|name| self.reset(name));
    }

    /// Sets a parameter, and what RESET comes back to.
    pub(super) fn begin_with(&mut self, name: &str, value: &str) -> Result<()> {
        self.set(name, &[value.to_owned()])?;
        self.start.insert(name.to_ascii_lowercase(), value.to_owned());
        Ok(())
    }

    /// Those that others know are known here, too.
    pub(super) fn know(&mut self, others: &Custom) {
        for name in others.values.keys() {
            if !self.values.contains_key(name) {
                self.reset(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_set_is_known() {
        let mut custom = Custom::default();
        assert_eq!(custom.show("app.tenant").unwrap_err().sqlstate(), "42704");
        custom.set("App.Tenant", &["7".to_owned()]).unwrap();
        assert_eq!(custom.show("app.tenant").unwrap(), "7");
        custom.reset("app.tenant");
        assert_eq!(custom.show("app.tenant").unwrap(), "");
        assert_eq!(custom.set("app.1x", &["7".to_owned()]).unwrap_err().sqlstate(), "42602");
    }
}
