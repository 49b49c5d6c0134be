//! PostgreSQL's regular expressions, translated to those of the `regex` crate, and the functions and operators over
//! them. What only backtracking can do (back references, look-around) is refused with `0A000`.
//!
//! Of alternatives that match at the same place the first counts, where PostgreSQL takes the longest.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use cairn_types::{DataType as T, Value};
use datafusion::logical_expr::ScalarUDF;
use regex::{Captures, Regex};

use super::overload::{Args, Code, Overload, Returns, function, is, operator};
use crate::{Error, Result};

/// Compiled patterns that a thread keeps.
const CACHE_MAX: usize = 64;
/// Bytes of a compiled pattern.
const PROGRAM_BYTES_MAX: usize = 10 << 20;

/// How a pattern matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Flags {
    /// Case does not matter.
    pub(crate) ignore_case: bool,
    /// `.` and `[^…]` do not match line feeds.
    pub(crate) newlines_apart: bool,
    /// `^` and `$` match at lines.
    pub(crate) lines: bool,
    /// Blanks and comments in the pattern do not count.
    pub(crate) expanded: bool,
    /// The pattern means itself.
    pub(crate) literal: bool,
}

impl Flags {
    /// Reads PostgreSQL's letters; whether `g` is among them.
    ///
    /// # Errors
    /// `22023` for other letters.
    pub(crate) fn parse(letters: &str) -> Result<(Self, bool)> {
        let (mut flags, mut global) = (Self::default(), false);
        for letter in letters.chars() {
            if letter == 'g' {
                global = true;
            } else if !flags.set(letter) {
                return Err(Error::new("22023", format!("invalid regular expression option: \"{letter}\"")));
            }
        }
        Ok((flags, global))
    }

    fn set(&mut self, letter: char) -> bool {
        match letter {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.newlines_apart, self.lines) = (true, true),
            's' => (self.newlines_apart, self.lines) = (false, false),
            'p' => (self.newlines_apart, self.lines) = (true, false),
            'w' => (self.newlines_apart, self.lines) = (false, true),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'e' | 'b' => {}
            _ => return false,
        }
        true
    }
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Rc<Regex>);

impl Pattern {
    /// Compiles a pattern, or finds it compiled.
    ///
    /// # Errors
    /// `2201B` where it is none, `0A000` for what cannot be translated.
    pub(crate) fn new(pattern: &str, flags: Flags) -> Result<Self> {
        type Cache = HashMap<(String, Flags), Pattern>;
        thread_local! {
            static COMPILED: RefCell<Cache> = RefCell::default();
        }
        COMPILED.with(|cache| {
            let key = (pattern.to_owned(), flags);
            if let Some(known) = cache.borrow().get(&key) {
                return Ok(known.clone());
            }
            let regex = regex::RegexBuilder::new(&translate(pattern, flags)?)
                .size_limit(PROGRAM_BYTES_MAX)
                .build()
                .map_err(|error| invalid(&error))?;
            let compiled = Pattern(Rc::new(regex));
            let mut cache = cache.borrow_mut();
            if cache.len() >= CACHE_MAX {
                cache.clear();
            }
            cache.insert(key, compiled.clone());
            Ok(compiled)
        })
    }

    /// The first group of the first match.
    pub(crate) fn first_group(&self, text: &str) -> Result<Value> {
        let found = self.0.captures(text).and_then(|found| found.get(1));
        Ok(found.map_or(Value::Null, |part| Value::Text(part.as_str().to_owned())))
    }

    /// Whether it matches anywhere.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

fn invalid(error: &regex::Error) -> Error {
    let text = error.to_string();
    let cases = [
        ("unclosed group", "parentheses () not balanced"),
        ("unopened group", "parentheses () not balanced"),
        ("unclosed character class", "brackets [] not balanced"),
        ("repetition operator missing", "quantifier operand invalid"),
        ("unrecognized escape", "invalid escape \\ sequence"),
        ("incomplete escape", "invalid escape \\ sequence"),
        ("invalid character class range", "invalid character range"),
        ("repetition quantifier", "invalid repetition count(s)"),
        ("invalid repetition count range", "invalid repetition count(s)"),
        ("exceeds size limit", "regular expression is too complex"),
        ("Compiled regex exceeds", "regular expression is too complex"),
    ];
    let case = cases.iter().find(|(ours, _)| text.contains(ours)).map(|(_, theirs)| *theirs);
    let why = case.unwrap_or("invalid pattern");
    Error::new("2201B", format!("invalid regular expression: {why}"))
}

/// The pattern in the syntax of the `regex` crate, flags included.
///
/// # Errors
/// As [`Pattern::new`].
pub(crate) fn translate(pattern: &str, mut flags: Flags) -> Result<String> {
    let mut rest = pattern;
    if let Some(literal) = rest.strip_prefix("***=") {
        (flags.literal, rest) = (true, literal);
    } else {
        rest = rest.strip_prefix("***:").unwrap_or(rest);
        if let Some(options) = rest.strip_prefix("(?")
            && let Some(end) = options.find(')')
            && end > 0
            && options[..end].chars().all(|c| c.is_ascii_lowercase())
        {
            for letter in options[..end].chars() {
                if !flags.set(letter) {
                    return Err(Error::new("2201B", "invalid regular expression: invalid embedded option"));
                }
            }
            rest = &options[end + 1..];
        }
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    out.push_str(match (flags.newlines_apart, flags.lines) {
        (false, false) => "(?s)",
        (false, true) => "(?sm)",
        (true, true) => "(?m)",
        (true, false) => "",
    });
    out.push_str(if flags.ignore_case { "(?i)" } else { "" });
    if flags.literal {
        out.push_str(&regex::escape(rest));
        return Ok(out);
    }
    out.push_str(if flags.expanded { "(?x)" } else { "" });
    Translation { rest, newlines_apart: flags.newlines_apart, out: &mut out }.run()?;
    Ok(out)
}

struct Translation<'p, 'o> {
    rest: &'p str,
    newlines_apart: bool,
    out: &'o mut String,
}

impl Translation<'_, '_> {
    fn run(&mut self) -> Result<()> {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.brackets()?,
                '(' => {
                    for (sign, what) in [
                        ("(?=", "lookahead"),
                        ("(?!", "lookahead"),
                        ("(?<=", "lookbehind"),
                        ("(?<!", "lookbehind"),
                    ] {
                        if self.rest.starts_with(sign) {
                            return Err(Error::unsupported(format!("{what} in a regular expression")));
                        }
                    }
                    self.advance(1);
                    self.out.push('(');
                }
                '{' if !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                    self.advance(1);
                    self.out.push_str("\\{");
                }
                c => {
                    self.advance(c.len_utf8());
                    self.out.push(c);
                }
            }
        }
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    fn escape(&mut self, in_brackets: bool) -> Result<()> {
        let Some(c) = self.rest[1..].chars().next() else {
            return Err(Error::new("2201B", "invalid regular expression: invalid escape \\ sequence"));
        };
        self.advance(1 + c.len_utf8());
        match c {
            'm' if !in_brackets => self.out.push_str("\\b{start}"),
            'M' if !in_brackets => self.out.push_str("\\b{end}"),
            'y' if !in_brackets => self.out.push_str("\\b"),
            'Y' if !in_brackets => self.out.push_str("\\B"),
            'A' if !in_brackets => self.out.push_str("\\A"),
            'Z' if !in_brackets => self.out.push_str("\\z"),
            'B' => self.out.push_str("\\\\"),
            'b' => self.out.push_str("\\x08"),
            'e' => self.out.push_str("\\x1B"),
            '0' => self.out.push_str("\\x00"),
            '1'..='9' if !in_brackets => {
                return Err(Error::unsupported("a back reference in a regular expression"));
            }
            'd' | 'w' | 's' | 'D' | 'W' | 'S' | 'n' | 'r' | 't' | 'f' | 'v' | 'a' | 'x' | 'u' | 'U' => {
                self.out.push('\\');
                self.out.push(c);
            }
            c if c.is_ascii_alphanumeric() => {
                return Err(Error::new("2201B", "invalid regular expression: invalid escape \\ sequence"));
            }
            c => {
                self.out.push_str(&regex::escape(&c.to_string()));
            }
        }
        Ok(())
    }

    fn brackets(&mut self) -> Result<()> {
        for (sign, ours) in [("[[:<:]]", "\\b{start}"), ("[[:>:]]", "\\b{end}")] {
            if self.rest.starts_with(sign) {
                self.advance(sign.len());
                self.out.push_str(ours);
                return Ok(());
            }
        }
        self.advance(1);
        self.out.push('[');
        let negated = self.rest.starts_with('^');
        if negated {
            self.advance(1);
            self.out.push('^');
            if self.newlines_apart {
                self.out.push_str("\\n");
            }
        }
        let mut first = true;
        loop {
            let Some(c) = self.rest.chars().next() else {
                return Err(Error::new("2201B", "invalid regular expression: brackets [] not balanced"));
            };
            match c {
                ']' if !first => {
                    self.advance(1);
                    self.out.push(']');
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' if self.rest.starts_with("[:") && self.rest.contains(":]") => {
                    let end = self.rest.find(":]").unwrap_or_default() + 2;
                    self.out.push_str(&self.rest[..end]);
                    self.advance(end);
                }
                '[' | ']' | '&' | '~' => {
                    self.advance(1);
                    self.out.push('\\');
                    self.out.push(c);
                }
                c => {
                    self.advance(c.len_utf8());
                    self.out.push(c);
                }
            }
            first = false;
        }
    }
}

/// Registers functions and operators.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let text = || is(T::Text);
    let int = || is(T::Integer);
    let texts = || T::Array(Box::new(T::Text));
    let two = |optional: usize, result: T, code: Code| {
        vec![Overload::new(vec![text(), text(), text()], Returns::Is(result), code).optional(optional)]
    };
    let test = |name, sign, code: Code| {
        operator(name, sign, vec![Overload::new(vec![text(), text()], Returns::Is(T::Boolean), code)])
    };
    vec![
        test("cairn_regex", "~", |args| matches(args, "")),
        test("cairn_regex_any_case", "~*", |args| matches(args, "i")),
        test("cairn_regex_not", "!~", |args| matches(args, "").map(not)),
        test("cairn_regex_any_case_not", "!~*", |args| matches(args, "i").map(not)),
        function(
            "regexp_like",
            two(1, T::Boolean, |args| {
                let flags = single(args.text_or(2, "")?, "regexp_like")?;
                Ok(Value::Boolean(Pattern::new(args.text(1)?, flags)?.is_match(args.text(0)?)))
            }),
        ),
        function(
            "regexp_match",
            two(1, texts(), |args| {
                let flags = single(args.text_or(2, "")?, "regexp_match")?;
                let pattern = Pattern::new(args.text(1)?, flags)?;
                Ok(pattern.0.captures(args.text(0)?).map_or(Value::Null, |found| groups(&found)))
            }),
        ),
        function("cairn_set_regexp_matches", two(1, T::Array(Box::new(T::Json)), all_matches)),
        function("regexp_split_to_array", two(1, texts(), split)),
        function("cairn_set_regexp_split_to_table", two(1, texts(), split)),
        function(
            "regexp_replace",
            vec![
                Overload::new(vec![text(), text(), text(), text()], Returns::Is(T::Text), replace)
                    .optional(1),
                Overload::new(
                    vec![text(), text(), text(), int(), int(), text()],
                    Returns::Is(T::Text),
                    replace_nth,
                )
                .optional(2),
            ],
        ),
        function(
            "regexp_count",
            vec![
                Overload::new(vec![text(), text(), int(), text()], Returns::Is(T::Integer), count)
                    .optional(2),
            ],
        ),
        function(
            "regexp_instr",
            vec![
                Overload::new(
                    vec![text(), text(), int(), int(), int(), text(), int()],
                    Returns::Is(T::Integer),
                    position,
                )
                .optional(5),
            ],
        ),
        function(
            "regexp_substr",
            vec![
                Overload::new(
                    vec![text(), text(), int(), int(), text(), int()],
                    Returns::Is(T::Text),
                    substring,
                )
                .optional(4),
            ],
        ),
        function("cairn_substring_regex", two(1, T::Text, first_part)),
    ]
}

fn not(value: Value) -> Value {
    match value {
        Value::Boolean(b) => Value::Boolean(!b),
        other => other,
    }
}

fn matches(args: &Args<'_>, flags: &str) -> Result<Value> {
    let (flags, _) = Flags::parse(flags)?;
    Ok(Value::Boolean(Pattern::new(args.text(1)?, flags)?.is_match(args.text(0)?)))
}

/// Flags of a function that looks for one match.
fn single(letters: &str, name: &str) -> Result<Flags> {
    let (flags, global) = Flags::parse(letters)?;
    if global {
        let error = Error::new("22023", format!("{name}() does not support the \"global\" option"));
        return Err(match name {
            "regexp_match" => error.with_hint("Use the regexp_matches function instead."),
            _ => error,
        });
    }
    Ok(flags)
}

/// The groups of a match, or all of it where there are none.
fn groups(found: &Captures<'_>) -> Value {
    let part =
        |at| found.get(at).map_or(Value::Null, |m: regex::Match<'_>| Value::Text(m.as_str().to_owned()));
    Value::Array(match found.len() {
        1 => vec![part(0)],
        count => (1..count).map(part).collect(),
    })
}

/// Each match as a JSON array, which `parse::sets` makes a `text[]` of.
fn all_matches(args: &Args<'_>) -> Result<Value> {
    let (flags, global) = Flags::parse(args.text_or(2, "")?)?;
    let pattern = Pattern::new(args.text(1)?, flags)?;
    let found = pattern.0.captures_iter(args.text(0)?).take(if global { usize::MAX } else { 1 });
    let as_json = |found: Captures<'_>| {
        let mut out = String::new();
        let ty = T::Array(Box::new(T::Text));
        super::json::build::write_scalar(&groups(&found), &ty, cairn_types::datetime::Zone::UTC, &mut out);
        Value::Json(out)
    };
    Ok(Value::Array(found.map(as_json).collect()))
}

fn split(args: &Args<'_>) -> Result<Value> {
    let flags = single(args.text_or(2, "")?, "regexp_split_to_array")?;
    let (text, pattern) = (args.text(0)?, Pattern::new(args.text(1)?, flags)?);
    let (mut parts, mut from) = (Vec::new(), 0);
    for found in pattern.0.find_iter(text) {
        // An empty match at the start or at the end divides nothing.
        if found.is_empty() && (found.start() == 0 || found.start() == text.len()) {
            continue;
        }
        parts.push(Value::Text(text[from..found.start()].to_owned()));
        from = found.end();
    }
    parts.push(Value::Text(text[from..].to_owned()));
    Ok(Value::Array(parts))
}

/// A replacement with `\1` to `\9`, `\&` and `\\`.
fn expand(found: &Captures<'_>, template: &str, out: &mut String) {
    let mut characters = template.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match characters.next() {
            Some('&') => out.push_str(&found[0]),
            Some(digit @ '1'..='9') => {
                out.push_str(found.get(digit as usize - '0' as usize).map_or("", |m| m.as_str()));
            }
            Some('\\') | None => out.push('\\'),
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
}

/// Replaces the `nth` match from `start` on, or all with 0.
fn replaced(text: &str, start: usize, pattern: &Pattern, template: &str, nth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (number, found) in captures_from(&pattern.0, text, start).enumerate() {
        if nth != 0 && number + 1 != nth {
            continue;
        }
        let Some(whole) = found.get(0) else { continue };
        out.push_str(&text[copied..whole.start()]);
        expand(&found, template, &mut out);
        copied = whole.end();
        if nth != 0 {
            break;
        }
    }
    out.push_str(&text[copied..]);
    out
}

/// The matches that begin at a byte or after it; what stands before is still seen by `^` and `\m`.
fn captures_from<'t>(regex: &Regex, text: &'t str, start: usize) -> impl Iterator<Item = Captures<'t>> {
    let mut at = start;
    let mut last_end = None;
    let regex = regex.clone();
    std::iter::from_fn(move || {
        loop {
            if at > text.len() {
                return None;
            }
            let found = regex.captures_at(text, at)?;
            let whole = found.get(0)?;
            let step = text[whole.end()..].chars().next().map_or(1, char::len_utf8);
            if whole.is_empty() {
                at = whole.end() + step;
                if last_end == Some(whole.end()) {
                    continue;
                }
            } else {
                at = whole.end();
            }
            last_end = Some(whole.end());
            return Some(found);
        }
    })
}

fn replace(args: &Args<'_>) -> Result<Value> {
    let letters = args.text_or(3, "")?;
    if letters.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Error::new("22023", format!("invalid regular expression option: \"{}\"", &letters[..1]))
            .with_hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
    }
    let (flags, global) = Flags::parse(letters)?;
    let pattern = Pattern::new(args.text(1)?, flags)?;
    let nth = usize::from(!global);
    Ok(Value::Text(replaced(args.text(0)?, 0, &pattern, args.text(2)?, nth)))
}

fn replace_nth(args: &Args<'_>) -> Result<Value> {
    let start = start(args, 3)?;
    let nth = args.int_or(4, 1)?;
    if nth < 0 {
        return Err(bad_value("n", nth));
    }
    let (flags, global) = Flags::parse(args.text_or(5, "")?)?;
    let nth = if args.len() < 5 && global { 0 } else { nth as usize };
    let pattern = Pattern::new(args.text(1)?, flags)?;
    Ok(Value::Text(replaced(args.text(0)?, start, &pattern, args.text(2)?, nth)))
}

fn bad_value(name: &str, value: i64) -> Error {
    Error::new("22023", format!("invalid value for parameter \"{name}\": {value}"))
}

/// The byte at which the character of an argument begins.
fn start(args: &Args<'_>, at: usize) -> Result<usize> {
    let start = args.int_or(at, 1)?;
    if start < 1 {
        return Err(bad_value("start", start));
    }
    let text = args.text(0)?;
    Ok(text
        .char_indices()
        .nth(start as usize - 1)
        .map_or(text.len() + usize::from(start as usize - 1 > text.chars().count()), |(byte, _)| byte))
}

fn count(args: &Args<'_>) -> Result<Value> {
    let start = start(args, 2)?;
    let flags = single(args.text_or(3, "")?, "regexp_count")?;
    let pattern = Pattern::new(args.text(1)?, flags)?;
    Ok(Value::Integer(captures_from(&pattern.0, args.text(0)?, start).count() as i32))
}

/// The bytes of the group of the match that a call asks for.
fn find(
    args: &Args<'_>,
    start: usize,
    nth: i64,
    letters: &str,
    group: i64,
    name: &str,
) -> Result<Option<(usize, usize)>> {
    if nth < 1 {
        return Err(bad_value("n", nth));
    }
    if group < 0 {
        return Err(bad_value("subexpr", group));
    }
    let pattern = Pattern::new(args.text(1)?, single(letters, name)?)?;
    let found = captures_from(&pattern.0, args.text(0)?, start).nth(nth as usize - 1);
    let found = found.and_then(|found| found.get(group as usize).map(|m| (m.start(), m.end())));
    Ok(found)
}

fn position(args: &Args<'_>) -> Result<Value> {
    let end_option = args.int_or(4, 0)?;
    if !matches!(end_option, 0 | 1) {
        return Err(bad_value("endoption", end_option));
    }
    let found = find(
        args,
        start(args, 2)?,
        args.int_or(3, 1)?,
        args.text_or(5, "")?,
        args.int_or(6, 0)?,
        "regexp_instr",
    )?;
    let place = |byte: usize| Ok::<_, Error>(args.text(0)?[..byte].chars().count() as i32 + 1);
    Ok(Value::Integer(match found {
        None => 0,
        Some((start, end)) => place(if end_option == 0 { start } else { end })?,
    }))
}

fn substring(args: &Args<'_>) -> Result<Value> {
    let found = find(
        args,
        start(args, 2)?,
        args.int_or(3, 1)?,
        args.text_or(4, "")?,
        args.int_or(5, 0)?,
        "regexp_substr",
    )?;
    let text = args.text(0)?;
    Ok(found.map_or(Value::Null, |(start, end)| Value::Text(text[start..end].to_owned())))
}

/// `substring(text FROM pattern)`: the first group, or the whole match; with an escape the part between `escape "`.
fn first_part(args: &Args<'_>) -> Result<Value> {
    let text = args.text(0)?;
    if args.len() == 3 {
        return super::similar::substring(text, args.text(1)?, args.text(2)?);
    }
    let pattern = Pattern::new(args.text(1)?, Flags::default())?;
    Ok(match pattern.0.captures(text) {
        Some(found) => {
            let at = usize::from(found.len() > 1);
            found.get(at).map_or(Value::Null, |m| Value::Text(m.as_str().to_owned()))
        }
        None => Value::Null,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_are_translated() {
        let ours = |pattern: &str| translate(pattern, Flags::default()).unwrap();
        assert_eq!(ours(r"\mfoo\M"), r"(?s)\b{start}foo\b{end}");
        assert_eq!(ours("(?i)a{x}"), r"(?s)(?i)a\{x}");
        assert_eq!(ours("[]a&&b[:alpha:]]"), r"(?s)[\]a\&\&b[:alpha:]]");
        assert_eq!(ours("***=a.c"), r"(?s)a\.c");
        assert_eq!(translate(r"(a)\1", Flags::default()).unwrap_err().sqlstate(), "0A000");
        assert_eq!(translate("a(?=b)", Flags::default()).unwrap_err().sqlstate(), "0A000");
        assert_eq!(Pattern::new("(", Flags::default()).unwrap_err().sqlstate(), "2201B");
    }
}
