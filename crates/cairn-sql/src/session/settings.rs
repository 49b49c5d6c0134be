//! Run-time parameters: SET, SHOW, RESET. Names, values and errors are PostgreSQL's.
//!
//! A parameter is one row in [`PARAMETERS`]; parameters that CairnDB needs have a field in [`Settings`] besides
//! their text, kept in step by [`Settings::set`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cairn_engine::{Isolation, SyncMode};

use super::accepted::{ACCEPTED, DESCRIPTION};
use super::custom::{self, Custom};
use super::identity::Identity;
use super::methods::Methods;
use crate::{Error, Result};

/// An isolation level by the name that SQL has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// The same as the next, as in PostgreSQL.
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    /// One snapshot and no waiting; only CairnDB has it.
    Snapshot,
    Serializable,
}

impl Level {
    const ALL: [Level; 5] = [
        Level::ReadUncommitted,
        Level::ReadCommitted,
        Level::RepeatableRead,
        Level::Snapshot,
        Level::Serializable,
    ];

    /// What the engine calls it.
    pub(crate) fn isolation(self) -> Isolation {
        match self {
            Level::ReadUncommitted | Level::ReadCommitted => Isolation::ReadCommitted,
            Level::RepeatableRead => Isolation::RepeatableRead,
            Level::Snapshot => Isolation::Snapshot,
            Level::Serializable => Isolation::Serializable,
        }
    }

    /// As SHOW gives it.
    fn name(self) -> &'static str {
        match self {
            Level::ReadUncommitted => "read uncommitted",
            Level::ReadCommitted => "read committed",
            Level::RepeatableRead => "repeatable read",
            Level::Snapshot => "snapshot",
            Level::Serializable => "serializable",
        }
    }
}

impl From<Isolation> for Level {
    fn from(isolation: Isolation) -> Level {
        match isolation {
            Isolation::ReadCommitted => Level::ReadCommitted,
            Isolation::RepeatableRead => Level::RepeatableRead,
            Isolation::Snapshot => Level::Snapshot,
            Isolation::Serializable => Level::Serializable,
        }
    }
}

/// The parameters of a session.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, String>,
    /// Parameters of the application's own.
    custom: Custom,
    /// What the client began with, to which RESET comes back.
    start: BTreeMap<&'static str, String>,
    /// Schemas searched for unqualified names, in order; the catalog's own come first of all.
    pub(crate) search_path: Vec<String>,
    /// Name of the session's time zone.
    pub(crate) time_zone: String,
    pub(crate) default_isolation: Level,
    pub(crate) default_read_only: bool,
    /// Of the running block.
    pub(crate) transaction_isolation: Level,
    /// Of the running block.
    pub(crate) transaction_read_only: bool,
    /// Milliseconds; 0 = no limit.
    pub(crate) statement_timeout_ms: u64,
    /// For how long a statement waits for a lock: milliseconds; 0 = no limit.
    pub(crate) lock_timeout_ms: u64,
    /// For how long a block may wait for its next statement: milliseconds; 0 = no limit.
    pub(crate) idle_timeout_ms: u64,
    /// What commits wait for; `None` = as the database was opened.
    pub(crate) synchronous_commit: Option<SyncMode>,
    /// Means of running statements that are allowed.
    pub(crate) methods: Methods,
    /// As whom the session acts.
    pub(crate) identity: Arc<Identity>,
}

impl Settings {
    /// Whether a statement means the same under the other settings.
    pub(crate) fn plans_like(&self, other: &Settings) -> bool {
        std::ptr::eq(self, other)
            || self.identity.current == other.identity.current
                && self.identity.session == other.identity.session
                && self.search_path == other.search_path
                && self.time_zone == other.time_zone
                && self.values == other.values
    }
}

/// What PostgreSQL tells its clients of at the beginning, and whenever it changes.
const REPORTED: [&str; 14] = [
    "application_name",
    "client_encoding",
    "datestyle",
    "default_transaction_read_only",
    "in_hot_standby",
    "integer_datetimes",
    "intervalstyle",
    "is_superuser",
    "search_path",
    "session_authorization",
    "server_encoding",
    "server_version",
    "standard_conforming_strings",
    "timezone",
];

/// How a value is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Boolean,
    /// One of the values that act.
    Only(&'static [&'static str]),
    /// Milliseconds, with a unit.
    Duration,
    Isolation,
    TimeZone,
    Encoding,
    SearchPath,
    SynchronousCommit,
    DateStyle,
    /// Cannot be set.
    Fixed,
}

type Parameter = (&'static str, &'static str, Form, &'static str);

/// Name, default, form, description.
const PARAMETERS: &[Parameter] = &[
    ("application_name", "", Form::Text, "Sets the application name to be reported in statistics and logs."),
    ("bytea_output", "hex", Form::Only(&["hex"]), "Sets the output format for bytea."),
    ("cairn.decorrelate", "on", Form::Boolean, "Turns correlated subqueries into joins where it can."),
    ("cairn.join_order", "on", Form::Boolean, "Puts inner joins in the cheapest order."),
    ("cairn.plan_cache", "on", Form::Boolean, "Keeps plans between executions."),
    ("cairn.point_path", "on", Form::Boolean, "Runs statements on one row by its key without planning."),
    ("client_encoding", "UTF8", Form::Encoding, "Sets the client's character set encoding."),
    ("client_min_messages", "notice", Form::Text, "Sets the message levels that are sent to the client."),
    ("datestyle", "ISO, MDY", Form::DateStyle, "Sets the display format for date and time values."),
    ("deadlock_timeout", "0", Form::Duration, "Does nothing: deadlocks are found when a wait begins."),
    (
        "default_transaction_isolation",
        "read committed",
        Form::Isolation,
        "Sets the transaction isolation level of each new transaction.",
    ),
    (
        "default_transaction_deferrable",
        "off",
        Form::Boolean,
        "Does nothing: a block that only reads never waits and never fails.",
    ),
    (
        "default_transaction_read_only",
        "off",
        Form::Boolean,
        "Sets the default read-only status of new transactions.",
    ),
    ("enable_bitmapscan", "on", Form::Boolean, "Enables the planner's use of bitmap-scan plans."),
    ("enable_hashjoin", "on", Form::Boolean, "Enables the planner's use of hash join plans."),
    ("enable_indexscan", "on", Form::Boolean, "Enables the planner's use of index-scan plans."),
    (
        "enable_nestloop",
        "on",
        Form::Boolean,
        "Enables the planner's use of nested-loop joins that look up rows.",
    ),
    ("enable_seqscan", "on", Form::Boolean, "Enables the planner's use of sequential-scan plans."),
    ("enable_sort", "on", Form::Boolean, "Enables the planner's use of explicit sort steps."),
    (
        "extra_float_digits",
        "1",
        Form::Only(&["1", "2", "3"]),
        "Sets the number of digits displayed for floating-point values.",
    ),
    (
        "idle_in_transaction_session_timeout",
        "0",
        Form::Duration,
        "Sets the maximum allowed idle time in a transaction.",
    ),
    ("in_hot_standby", "off", Form::Fixed, "Shows whether hot standby is currently active."),
    ("integer_datetimes", "on", Form::Fixed, "Shows whether datetimes are integer based."),
    ("intervalstyle", "postgres", Form::Only(&["postgres"]), "Sets the display format for interval values."),
    ("is_superuser", "on", Form::Fixed, "Shows whether the current user is a superuser."),
    ("lc_collate", "C", Form::Fixed, "Shows the collation order locale."),
    ("lc_ctype", "C", Form::Fixed, "Shows the character classification and case conversion locale."),
    ("lock_timeout", "0", Form::Duration, "Sets the maximum allowed duration of any wait for a lock."),
    ("max_index_keys", "32", Form::Fixed, "Shows the maximum number of index keys."),
    ("max_identifier_length", "65535", Form::Fixed, "Shows the maximum identifier length."),
    ("role", "none", Form::Fixed, "Sets the current role."),
    ("row_security", "on", Form::Boolean, "Enables row security."),
    (
        "search_path",
        "\"$user\", public",
        Form::SearchPath,
        "Sets the schema search order for names that are not schema-qualified.",
    ),
    ("session_authorization", "", Form::Fixed, "Sets the session user name."),
    ("server_encoding", "UTF8", Form::Fixed, "Shows the server (database) character set encoding."),
    ("server_version", crate::functions::POSTGRES_VERSION, Form::Fixed, "Shows the server version."),
    ("server_version_num", "150000", Form::Fixed, "Shows the server version as an integer."),
    (
        "standard_conforming_strings",
        "on",
        Form::Boolean,
        "Causes '...' strings to treat backslashes literally.",
    ),
    ("statement_timeout", "0", Form::Duration, "Sets the maximum allowed duration of any statement."),
    ("synchronous_commit", "default", Form::SynchronousCommit, "Sets what a commit waits for."),
    ("timezone", "UTC", Form::TimeZone, "Sets the time zone for displaying and interpreting time stamps."),
    (
        "transaction_isolation",
        "read committed",
        Form::Isolation,
        "Sets the current transaction's isolation level.",
    ),
    (
        "transaction_deferrable",
        "off",
        Form::Boolean,
        "Does nothing: a block that only reads never waits and never fails.",
    ),
    ("transaction_read_only", "off", Form::Boolean, "Sets the current transaction's read-only status."),
    ("work_mem", "65536", Form::Text, "Sets the maximum memory to be used for query workspaces."),
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            values: BTreeMap::new(),
            start: BTreeMap::new(),
            custom: Custom::default(),
            search_path: vec!["public".to_owned()],
            time_zone: "UTC".to_owned(),
            default_isolation: Level::ReadCommitted,
            default_read_only: false,
            transaction_isolation: Level::ReadCommitted,
            transaction_read_only: false,
            statement_timeout_ms: 0,
            lock_timeout_ms: 0,
            idle_timeout_ms: 0,
            synchronous_commit: None,
            methods: Methods::default(),
            identity: Arc::default(),
        }
    }
}

fn find(name: &str) -> Result<Parameter> {
    let lower = name.to_ascii_lowercase();
    let lower = if lower == "time zone" { "timezone".to_owned() } else { lower };
    parameters()
        .find(|p| p.0 == lower)
        .ok_or_else(|| Error::new("42704", format!("unrecognized configuration parameter \"{name}\"")))
}

/// Name, default, form, description; those that have no effect, too.
fn parameters() -> impl Iterator<Item = Parameter> {
    let accepted = ACCEPTED.iter().map(|(name, default)| (*name, *default, Form::Text, DESCRIPTION));
    PARAMETERS.iter().copied().chain(accepted)
}

fn invalid(name: &str, value: &str) -> Error {
    Error::new("22023", format!("invalid value for parameter \"{name}\": \"{value}\""))
}

fn boolean(name: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Ok(true),
        "off" | "false" | "no" | "0" | "f" | "n" => Ok(false),
        _ => Err(Error::new("22023", format!("parameter \"{name}\" requires a Boolean value"))),
    }
}

fn isolation(name: &str, value: &str) -> Result<Level> {
    let level = Level::ALL.into_iter().find(|level| value.eq_ignore_ascii_case(level.name()));
    level.ok_or_else(|| invalid(name, value))
}

/// Milliseconds of `100`, `'5s'`, `'1 min'` …
fn duration_ms(name: &str, value: &str) -> Result<u64> {
    let text = value.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| invalid(name, value))?;
    let factor = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(invalid(name, value)),
    };
    number.checked_mul(factor).ok_or_else(|| invalid(name, value))
}

impl Settings {
    /// Where in the search path the schema stands that is called as the user.
    pub(crate) fn user_schema_at(&self) -> Option<usize> {
        let text = self.show("search_path").ok()?;
        let at = text.split(',').position(|part| part.trim().trim_matches('"') == "$user")?;
        // That of temporary tables is before the path.
        let temporary = self.search_path.first().is_some_and(|own| super::temporary::is_temporary(own));
        Some(at + usize::from(temporary))
    }

    /// For how long a statement waits for a lock; `None` is for ever.
    pub(crate) fn lock_timeout(&self) -> Option<Duration> {
        (self.lock_timeout_ms > 0).then(|| Duration::from_millis(self.lock_timeout_ms))
    }

    /// The text of a parameter, as SHOW gives it.
    pub(crate) fn show(&self, name: &str) -> Result<String> {
        if custom::is_custom(name) {
            return self.custom.show(name);
        }
        let (name, default, ..) = find(name)?;
        Ok(match name {
            "transaction_isolation" => self.transaction_isolation.name().to_owned(),
            "default_transaction_isolation" => self.default_isolation.name().to_owned(),
            "role" | "session_authorization" | "is_superuser" => self.identity.show(name).unwrap_or_default(),
            "transaction_read_only" => if self.transaction_read_only { "on" } else { "off" }.to_owned(),
            name => self.values.get(name).map_or_else(|| default.to_owned(), Clone::clone),
        })
    }

    /// What the client calls itself.
    pub(crate) fn application_name(&self) -> &str {
        self.values.get("application_name").map_or("", String::as_str)
    }

    /// The name under which SHOW reports a parameter.
    pub(crate) fn display_name(name: &str) -> &str {
        match find(name).map(|p| p.0) {
            Ok("timezone") => "TimeZone",
            Ok("datestyle") => "DateStyle",
            Ok("intervalstyle") => "IntervalStyle",
            Ok(name) => name,
            Err(_) if custom::is_custom(name) => name,
            Err(_) => "",
        }
    }

    /// Name and value of those that clients are told of.
    pub(crate) fn reported(&self) -> impl Iterator<Item = (&'static str, String)> {
        REPORTED.iter().map(|name| (Self::display_name(name), self.show(name).unwrap_or_default()))
    }

    /// All parameters: name, value, description.
    pub(crate) fn all(&self) -> Vec<(&'static str, String, &'static str)> {
        parameters().map(|p| (Self::display_name(p.0), self.show(p.0).unwrap_or_default(), p.3)).collect()
    }

    /// Sets a parameter; more than one value only for lists.
    pub(crate) fn set(&mut self, name: &str, values: &[String]) -> Result<()> {
        if custom::is_custom(name) {
            return self.custom.set(name, values);
        }
        let (name, default, form, _) = find(name)?;
        let mut value = values.join(", ");
        if value.eq_ignore_ascii_case("default") && form != Form::SynchronousCommit {
            return self.reset(name);
        }
        if values.len() > 1 && !matches!(form, Form::SearchPath | Form::DateStyle) {
            return Err(Error::new("22023", format!("SET {name} takes only one argument")));
        }
        match form {
            Form::Fixed => {
                return Err(Error::new("55P02", format!("parameter \"{name}\" cannot be changed")));
            }
            Form::Boolean => {
                let on = boolean(name, &value)?;
                match name {
                    "default_transaction_read_only" => self.default_read_only = on,
                    "transaction_read_only" => self.transaction_read_only = on,
                    "standard_conforming_strings" if !on => return Err(invalid(name, &value)),
                    _ => self.methods.set(name, on),
                }
                value = if on { "on" } else { "off" }.to_owned();
            }
            Form::Duration => {
                let ms = duration_ms(name, &value)?;
                match name {
                    "statement_timeout" => self.statement_timeout_ms = ms,
                    "lock_timeout" => self.lock_timeout_ms = ms,
                    "idle_in_transaction_session_timeout" => self.idle_timeout_ms = ms,
                    _ => {}
                }
                value = duration_text(ms);
            }
            Form::Only(values) => {
                value.make_ascii_lowercase();
                if !values.contains(&value.as_str()) {
                    let only =
                        values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(", ");
                    return Err(Error::unsupported(format!("{name} = \"{value}\""))
                        .with_hint(format!("Supported: {only}.")));
                }
            }
            Form::Isolation => {
                let level = isolation(name, &value)?;
                match name {
                    "transaction_isolation" => self.transaction_isolation = level,
                    _ => self.default_isolation = level,
                }
            }
            Form::TimeZone => {
                value = time_zone(&value)?;
                self.time_zone.clone_from(&value);
            }
            // Of a name only letters and digits count, as in PostgreSQL: 'utf-8', in quotes, too.
            Form::Encoding => match letters_and_digits(&value).as_str() {
                "UTF8" | "UNICODE" => value = "UTF8".to_owned(),
                _ => return Err(invalid(name, &value)),
            },
            Form::SearchPath => {
                self.search_path = values.iter().filter(|v| *v != "$user").cloned().collect();
            }
            Form::SynchronousCommit => {
                self.synchronous_commit = match value.to_ascii_lowercase().as_str() {
                    "on" | "local" | "remote_write" | "remote_apply" | "true" => Some(SyncMode::Sync),
                    "off" | "false" => Some(SyncMode::Async),
                    "none" => Some(SyncMode::None),
                    "default" => None,
                    _ => return Err(invalid(name, &value)),
                };
            }
            Form::DateStyle => {
                let upper = value.to_ascii_uppercase();
                if !upper.split(',').all(|part| matches!(part.trim(), "ISO" | "MDY")) {
                    return Err(
                        invalid(name, &value).with_detail("Only the style \"ISO, MDY\" is supported.")
                    );
                }
                value = default.to_owned();
            }
            Form::Text => {}
        }
        self.values.insert(name, value);
        Ok(())
    }

    /// The values that a text gives a parameter: more than one for lists.
    pub(crate) fn values_of(name: &str, value: &str) -> Result<Vec<String>> {
        if custom::is_custom(name) {
            return Ok(vec![value.to_owned()]);
        }
        let (.., form, _) = find(name)?;
        Ok(elements(form, value))
    }

    /// Sets a parameter back to its default.
    pub(crate) fn reset(&mut self, name: &str) -> Result<()> {
        if custom::is_custom(name) {
            self.custom.reset(name);
            return Ok(());
        }
        let (name, _, form, _) = find(name)?;
        if let Some(value) = self.start.get(name).cloned() {
            return self.begin_with(name, &value);
        }
        let default = Self::default();
        match name {
            "search_path" => self.search_path = default.search_path,
            "timezone" => self.time_zone = default.time_zone,
            "statement_timeout" => self.statement_timeout_ms = 0,
            "lock_timeout" => self.lock_timeout_ms = 0,
            "idle_in_transaction_session_timeout" => self.idle_timeout_ms = 0,
            "default_transaction_isolation" => self.default_isolation = default.default_isolation,
            "default_transaction_read_only" => self.default_read_only = false,
            "synchronous_commit" => self.synchronous_commit = None,
            "transaction_isolation" => self.transaction_isolation = self.default_isolation,
            "transaction_read_only" => self.transaction_read_only = self.default_read_only,
            _ if form == Form::Fixed => {
                return Err(Error::new("55P02", format!("parameter \"{name}\" cannot be changed")));
            }
            // Every switch is on unless it is set.
            _ => self.methods.set(name, true),
        }
        self.values.remove(name);
        Ok(())
    }

    /// Parameters of the application's own that the other settings know are known here, too.
    pub(super) fn know_custom(&mut self, others: &Settings) {
        self.custom.know(&others.custom);
    }

    /// RESET ALL.
    pub(crate) fn reset_all(&mut self) {
        let (isolation, read_only) = (self.transaction_isolation, self.transaction_read_only);
        let start = std::mem::take(&mut self.start);
        let identity = Arc::clone(&self.identity);
        let mut custom = std::mem::take(&mut self.custom);
        custom.reset_all();
        *self = Self {
            custom,
            transaction_isolation: isolation,
            transaction_read_only: read_only,
            identity,
            ..Self::default()
        };
        for (name, value) in start {
            // It was set once.
            let _ = self.begin_with(name, &value);
        }
    }

    /// Sets a parameter, and what RESET comes back to.
    pub(crate) fn begin_with(&mut self, name: &str, value: &str) -> Result<()> {
        if custom::is_custom(name) {
            return self.custom.begin_with(name, value);
        }
        let (name, _, form, _) = find(name)?;
        self.start.remove(name);
        self.set(name, &elements(form, value))?;
        if form == Form::SearchPath {
            // A list that comes as one text is shown as it came.
            self.values.insert(name, value.to_owned());
        }
        self.start.insert(name, value.to_owned());
        Ok(())
    }
}

fn letters_and_digits(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

/// The values in a text: more than one for lists.
fn elements(form: Form, value: &str) -> Vec<String> {
    match form {
        Form::SearchPath => {
            let parts = value.split(',').map(|part| part.trim().trim_matches('"').to_owned());
            parts.filter(|part| !part.is_empty()).collect()
        }
        _ => vec![value.to_owned()],
    }
}

/// Milliseconds in the largest unit that divides them.
fn duration_text(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    match UNITS.iter().find(|(length, _)| ms > 0 && ms.is_multiple_of(*length)) {
        Some((length, unit)) => format!("{}{unit}", ms / length),
        None if ms == 0 => "0".to_owned(),
        None => format!("{ms}ms"),
    }
}

/// The canonical name of a time zone: an IANA name, `UTC`, or an offset.
fn time_zone(value: &str) -> Result<String> {
    let text = value.trim();
    if let Ok(hours) = text.parse::<f64>() {
        if hours.abs() > 15.0 {
            return Err(invalid("TimeZone", value));
        }
        let minutes = (hours * 60.0).round() as i32;
        let sign = if minutes < 0 { '-' } else { '+' };
        return Ok(format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60));
    }
    if matches!(text.to_ascii_lowercase().as_str(), "utc" | "gmt" | "z" | "zulu" | "local" | "default") {
        return Ok("UTC".to_owned());
    }
    crate::functions::time::find_zone(text).ok_or_else(|| invalid("TimeZone", value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn set_show_reset() {
        let mut settings = Settings::default();
        settings.set("statement_timeout", &["5s".to_owned()]).unwrap();
        assert_eq!(settings.statement_timeout_ms, 5000);
        assert_eq!(settings.show("STATEMENT_TIMEOUT").unwrap(), "5s");
        settings.set("TimeZone", &["America/New_York".to_owned()]).unwrap();
        assert_eq!(settings.show("timezone").unwrap(), "America/New_York");
        assert_eq!(settings.set("nosuch", &[]).unwrap_err().sqlstate(), "42704");
        assert_eq!(settings.set("server_version", &["1".to_owned()]).unwrap_err().sqlstate(), "55P02");
        assert_eq!(settings.set("timezone", &["Mars".to_owned()]).unwrap_err().sqlstate(), "22023");
        settings.reset_all();
        assert_eq!(settings.show("timezone").unwrap(), "UTC");
    }
}
