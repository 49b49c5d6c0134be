//! Who may come in how: a list of rules as PostgreSQL's `pg_hba.conf` has them.
//!
//! ```text
//!   # type    database  user   address        method
//!   local     all       all                   peer
//!   hostssl   all       all    10.0.0.0/8     scram-sha-256
//!   host      all       all    0.0.0.0/0      reject
//! ```
//! The first rule that fits a connection decides; where none fits it is refused. Databases and users are `all` or names, several
//! with commas between them; `+role` are the role's members. What stands in double quotes is a name, whatever it says. Addresses
//! are `all`, an address with the length of its network, or an address and a mask.

use std::net::IpAddr;

/// How somebody shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    Trust,
    /// Nobody comes in.
    Reject,
    /// With a password.
    Scram,
    /// With a certificate of TLS whose common name is the role's.
    Certificate,
    /// As the user of the system that the process runs as.
    Peer,
}

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RuleError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// The rules, in their order.
///
/// ```
/// let rules = cairn_server::Rules::parse("host all all 127.0.0.1/32 scram-sha-256")?;
/// assert!(cairn_server::Rules::parse("host all all somewhere md5").is_err());
/// # Ok::<(), cairn_server::RuleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// A connection that asks to come in.
pub(crate) struct Asking<'a> {
    /// None over the Unix socket.
    pub(crate) address: Option<IpAddr>,
    pub(crate) protected: bool,
    pub(crate) database: &'a str,
    pub(crate) user: &'a str,
    /// The roles that the user is a member of.
    pub(crate) roles: &'a [String],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    kind: Kind,
    databases: Vec<Name>,
    users: Vec<Name>,
    /// `None`: of all.
    network: Option<(IpAddr, u32)>,
    method: Method,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Local,
    Host,
    HostSsl,
    HostNoSsl,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    All,
    Is(String),
    MemberOf(String),
}

/// A word of a line.
#[derive(Debug, PartialEq, Eq)]
struct Word {
    text: String,
    quoted: bool,
}

impl Rules {
    /// Reads rules, one a line.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn parse(text: &str) -> Result<Rules, RuleError> {
        let mut rules = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let rule =
                fields(line).and_then(|fields| if fields.is_empty() { Ok(None) } else { rule(&fields) });
            rules.extend(rule.map_err(|what| RuleError { line: at + 1, what })?);
        }
        Ok(Rules(rules))
    }

    /// What the first rule that fits says.
    pub(crate) fn method(&self, asking: &Asking<'_>) -> Option<Method> {
        self.0.iter().find(|rule| rule.fits(asking)).map(|rule| rule.method)
    }
}

impl Rule {
    fn fits(&self, asking: &Asking<'_>) -> bool {
        let kind = match (self.kind, asking.address) {
            (Kind::Local, None) | (Kind::Host, Some(_)) => true,
            (Kind::HostSsl, Some(_)) => asking.protected,
            (Kind::HostNoSsl, Some(_)) => !asking.protected,
            _ => false,
        };
        let database = |name: &Name| match name {
            Name::All => true,
            Name::Is(name) => name == asking.database,
            Name::MemberOf(_) => false,
        };
        let user = |name: &Name| match name {
            Name::All => true,
            Name::Is(name) => name == asking.user,
            Name::MemberOf(role) => asking.roles.contains(role),
        };
        let within = match (self.network, asking.address) {
            (Some((network, bits)), Some(address)) => is_within(address, network, bits),
            _ => true,
        };
        kind && within && self.databases.iter().any(database) && self.users.iter().any(user)
    }
}

/// The fields of a line, each a list of words; none of an empty one.
fn fields(line: &str) -> Result<Vec<Vec<Word>>, String> {
    let mut fields: Vec<Vec<Word>> = Vec::new();
    let mut rest = line.trim_start();
    let mut goes_on = false;
    while let Some(first) = rest.chars().next() {
        if first == '#' {
            break;
        }
        let (word, behind) = match rest.strip_prefix('"') {
            Some(inner) => {
                let end = inner.find('"').ok_or("a quote that does not end")?;
                (Word { text: inner[..end].to_owned(), quoted: true }, &inner[end + 1..])
            }
            None => {
                let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '#' | '"');
                let end = rest.find(ends).unwrap_or(rest.len());
                (Word { text: rest[..end].to_owned(), quoted: false }, &rest[end..])
            }
        };
        if word.text.is_empty() && !word.quoted {
            return Err("a comma without a name before it".to_owned());
        }
        match fields.last_mut() {
            Some(field) if goes_on => field.push(word),
            _ => fields.push(vec![word]),
        }
        let trimmed = behind.trim_start();
        goes_on = trimmed.starts_with(',');
        rest = trimmed.strip_prefix(',').map_or(trimmed, str::trim_start);
    }
    if goes_on { Err("a comma without a name behind it".to_owned()) } else { Ok(fields) }
}

fn single<'w>(field: Option<&'w Vec<Word>>, what: &str) -> Result<&'w str, String> {
    match field.map(Vec::as_slice) {
        Some([word]) => Ok(&word.text),
        Some(_) => Err(format!("more than one {what}")),
        None => Err(format!("the line ends before the {what}")),
    }
}

fn names(field: Option<&Vec<Word>>, what: &str) -> Result<Vec<Name>, String> {
    let words = field.ok_or_else(|| format!("the line ends before the {what}"))?;
    let name = |word: &Word| match (word.quoted, word.text.as_str(), word.text.strip_prefix('+')) {
        (false, "all", _) => Ok(Name::All),
        (false, _, Some(role)) if what == "user" => Ok(Name::MemberOf(role.to_owned())),
        (false, own @ ("sameuser" | "samerole" | "samegroup" | "replication"), _) if what == "database" => {
            Err(format!("the {what} \"{own}\" is not supported"))
        }
        (false, own, _) if own.starts_with(['/', '@']) => {
            Err(format!("the {what} \"{own}\": neither patterns nor files are supported"))
        }
        (_, own, _) => Ok(Name::Is(own.to_owned())),
    };
    words.iter().map(name).collect()
}

fn rule(fields: &[Vec<Word>]) -> Result<Option<Rule>, String> {
    let kind = match single(fields.first(), "type")? {
        "local" => Kind::Local,
        "host" => Kind::Host,
        "hostssl" => Kind::HostSsl,
        "hostnossl" => Kind::HostNoSsl,
        other => return Err(format!("invalid connection type \"{other}\"")),
    };
    let databases = names(fields.get(1), "database")?;
    let users = names(fields.get(2), "user")?;
    let mut at = 3;
    let mut network = None;
    if kind != Kind::Local {
        let address = single(fields.get(at), "address")?;
        at += 1;
        network = match address.split_once('/') {
            _ if address == "all" => None,
            Some((address, bits)) => Some(cidr(address, bits)?),
            None => {
                let address = ip(address)?;
                let mask = single(fields.get(at), "mask of the address")?;
                at += 1;
                Some((address, prefix(address, mask)?))
            }
        };
    }
    let method = match single(fields.get(at), "method")? {
        "trust" => Method::Trust,
        "reject" => Method::Reject,
        "scram-sha-256" => Method::Scram,
        "cert" if kind == Kind::HostSsl => Method::Certificate,
        "cert" => return Err("cert authentication is only supported on hostssl connections".to_owned()),
        "peer" if kind == Kind::Local => Method::Peer,
        "peer" => return Err("peer authentication is only supported on local sockets".to_owned()),
        own @ ("md5" | "password") => {
            return Err(format!("the method \"{own}\" is not supported: passwords are for scram-sha-256"));
        }
        other => return Err(format!("invalid authentication method \"{other}\"")),
    };
    match fields.get(at + 1) {
        Some(_) => Err("options of a method are not supported".to_owned()),
        None => Ok(Some(Rule { kind, databases, users, network, method })),
    }
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("invalid IP address \"{text}\""))
}

fn cidr(address: &str, bits: &str) -> Result<(IpAddr, u32), String> {
    let network = ip(address)?;
    let most = if network.is_ipv4() { 32 } else { 128 };
    let length = bits.parse().ok().filter(|bits| *bits <= most);
    let length = length.ok_or_else(|| format!("invalid CIDR mask in address \"{address}/{bits}\""))?;
    Ok((network, length))
}

/// The length of the network of a mask.
fn prefix(address: IpAddr, mask: &str) -> Result<u32, String> {
    let invalid = || format!("invalid IP mask \"{mask}\"");
    let parsed: IpAddr = mask.parse().map_err(|_| invalid())?;
    if parsed.is_ipv4() != address.is_ipv4() {
        return Err("IP address and mask do not match".to_owned());
    }
    let (bits, width) = bits_of(parsed);
    let ones = (bits << (128 - width)).leading_ones().min(width);
    match bits_of(parsed).0 == network_mask(ones, width) {
        true => Ok(ones),
        false => Err(invalid()),
    }
}

fn bits_of(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(own) => (u128::from(u32::from(own)), 32),
        IpAddr::V6(own) => (u128::from(own), 128),
    }
}

/// The lowest `width` bits with `ones` set from above.
fn network_mask(ones: u32, width: u32) -> u128 {
    let all = u128::MAX >> (128 - width);
    if ones == 0 { 0 } else { all & !(all.checked_shr(ones).unwrap_or(0)) }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let address = address.to_canonical();
    if address.is_ipv4() != network.is_ipv4() {
        return false;
    }
    let ((own, width), (wanted, _)) = (bits_of(address), bits_of(network));
    let mask = network_mask(bits, width);
    own & mask == wanted & mask
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(rules: &str, address: Option<&str>, protected: bool, user: &str) -> Option<Method> {
        let address = address.map(|own| own.parse().unwrap());
        let roles = if user == "ann" { vec!["clerk".to_owned()] } else { Vec::new() };
        let asking = Asking { address, protected, database: "cairn", user, roles: &roles };
        Rules::parse(rules).unwrap().method(&asking)
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = "
            # comment
            local all all peer   # behind a rule, too
            hostssl cairn,other +clerk, \"all\" 10.0.0.0/8 cert
            host all ben 10.1.0.0 255.255.0.0 trust
            host all all ::1/128 scram-sha-256
            hostnossl all all 0.0.0.0/0 reject
            host all all all scram-sha-256
        ";
        assert_eq!(asked(rules, None, false, "ann"), Some(Method::Peer));
        assert_eq!(asked(rules, Some("10.9.0.1"), true, "ann"), Some(Method::Certificate));
        assert_eq!(asked(rules, Some("10.9.0.1"), true, "all"), Some(Method::Certificate));
        assert_eq!(asked(rules, Some("10.9.0.1"), true, "ben"), Some(Method::Scram));
        assert_eq!(asked(rules, Some("10.1.7.7"), false, "ben"), Some(Method::Trust));
        assert_eq!(asked(rules, Some("::ffff:10.1.7.7"), false, "ben"), Some(Method::Trust));
        assert_eq!(asked(rules, Some("10.2.7.7"), false, "ben"), Some(Method::Reject));
        assert_eq!(asked(rules, Some("::1"), false, "ben"), Some(Method::Scram));
        assert_eq!(asked("host all all 10.0.0.0/8 trust", Some("11.0.0.0"), false, "ben"), None);
        assert_eq!(asked("host other all 10.0.0.0/8 trust", Some("10.0.0.0"), false, "ben"), None);
        assert_eq!(asked("local all all trust", Some("10.0.0.0"), false, "ben"), None);
        assert_eq!(asked("host all all 0.0.0.0/0 trust", Some("9.9.9.9"), false, "b"), Some(Method::Trust));
        assert_eq!(asked("", None, false, "cairn"), None);
    }

    #[test]
    fn what_is_no_rule_is_refused_with_its_line() {
        for (line, what) in [
            ("hosts all all all trust", "invalid connection type \"hosts\""),
            ("local all all", "the line ends before the method"),
            ("host all all 1.2.3/8 trust", "invalid IP address \"1.2.3\""),
            ("host all all 1.2.3.4/33 trust", "invalid CIDR mask in address \"1.2.3.4/33\""),
            ("host all all 1.2.3.4 255.0.255.0 trust", "invalid IP mask \"255.0.255.0\""),
            ("host all all 1.2.3.4 ::1 trust", "IP address and mask do not match"),
            ("host all all somewhere trust", "invalid IP address \"somewhere\""),
            ("host all all all cert", "cert authentication is only supported on hostssl connections"),
            ("host all all all peer", "peer authentication is only supported on local sockets"),
            ("host all all all ldap", "invalid authentication method \"ldap\""),
            ("hostssl all all all cert map=x", "options of a method are not supported"),
            ("local \"all", "a quote that does not end"),
            ("local all, , all trust", "a comma without a name before it"),
        ] {
            let error = Rules::parse(&format!("# first\n{line}")).unwrap_err();
            assert_eq!(error, RuleError { line: 2, what: what.to_owned() }, "{line}");
        }
    }
}
