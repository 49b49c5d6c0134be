//! The grammar of `jsonpath`, by recursive descent.
//!
//! ```text
//! path      = [strict | lax] expression
//! or        = and { "||" and }                and = unary-predicate { "&&" unary-predicate }
//! predicate = "!" predicate | sum [comparison sum | starts with … | like_regex …] | exists ( … )
//! sum       = product { (+ | -) product }     product = unary { (* | / | %) unary }
//! unary     = (+ | -) unary | primary { accessor }
//! accessor  = .key | .* | .**[{levels}] | [*] | [subscripts] | .method() | ? ( predicate )
//! ```

use crate::{Error, Result};

/// Brackets and operators within each other.
const DEPTH_MAX: usize = 200;

/// A path.
#[derive(Debug)]
pub(super) struct Path {
    /// Whether structural errors are errors.
    pub(super) strict: bool,
    pub(super) root: Expr,
}

/// A node of a path.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    /// `$`.
    Root,
    /// `@`.
    Current,
    /// `last`.
    Last,
    /// `$name`.
    Variable(String),
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    /// An item, and what is done with it.
    Access(Box<Expr>, Step),
    Negate(Box<Expr>),
    Plus(Box<Expr>),
    Arithmetic(char, Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsUnknown(Box<Expr>),
    Exists(Box<Expr>),
    StartsWith(Box<Expr>, Box<Expr>),
    LikeRegex {
        item: Box<Expr>,
        pattern: String,
        flags: String,
    },
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// What follows an item.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Key(String),
    AnyKey,
    /// `.**{from to to}`; `None` is without end.
    Descend {
        from: u32,
        to: Option<u32>,
    },
    AnyElement,
    Elements(Vec<(Expr, Option<Expr>)>),
    Filter(Box<Expr>),
    Method(String, Option<String>),
}

/// Reads a path.
///
/// # Errors
/// `42601`.
pub(super) fn parse(text: &str) -> Result<Path> {
    let mut parser = Parser { text, at: 0, depth: 0, filters: 0, subscripts: 0 };
    parser.blanks();
    if parser.at == text.len() {
        return Err(Error::new("22P02", format!("invalid input syntax for type jsonpath: \"{text}\"")));
    }
    let strict = parser.word("strict");
    if !strict {
        parser.word("lax");
    }
    let root = parser.or()?;
    parser.blanks();
    if parser.at < text.len() {
        return Err(parser.error());
    }
    Ok(Path { strict, root })
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    /// Filters that are open: `@` means something in them.
    filters: usize,
    /// Subscripts that are open: `last` means something in them.
    subscripts: usize,
}

impl Parser<'_> {
    fn error(&self) -> Error {
        let rest: String = self.text[self.at..].chars().take(20).collect();
        let place = match rest.split_whitespace().next() {
            Some(word) => format!("at or near \"{word}\" of jsonpath input"),
            None => "at end of jsonpath input".to_owned(),
        };
        Error::new("42601", format!("syntax error {place}"))
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            if !self.rest().starts_with("/*") {
                return;
            }
            self.at = self.rest().find("*/").map_or(self.text.len(), |end| self.at + end + 2);
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.blanks();
        self.rest().chars().next()
    }

    fn take(&mut self, sign: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len() } else { 0 };
        found
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.error()) }
    }

    /// A keyword.
    fn word(&mut self, word: &str) -> bool {
        self.blanks();
        let found = self.rest().get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            && !self.rest()[word.len()..].starts_with(is_name);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::new("54001", "jsonpath nests too deep"));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        while self.take("||") {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.predicate()?;
        while self.take("&&") {
            left = Expr::And(Box::new(left), Box::new(self.predicate()?));
        }
        Ok(left)
    }

    fn predicate(&mut self) -> Result<Expr> {
        self.blanks();
        if self.rest().starts_with('!') && !self.rest().starts_with("!=") {
            self.at += 1;
            return self.nested(|parser| Ok(Expr::Not(Box::new(parser.predicate()?))));
        }
        if self.word("exists") {
            self.expect("(")?;
            let inner = self.nested(Self::or)?;
            self.expect(")")?;
            return Ok(Expr::Exists(Box::new(inner)));
        }
        let left = self.sum()?;
        for (sign, comparison) in [
            ("==", Comparison::Equal),
            ("<>", Comparison::NotEqual),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessEqual),
            (">=", Comparison::GreaterEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("=", Comparison::Equal),
        ] {
            if self.take(sign) {
                return Ok(Expr::Compare(comparison, Box::new(left), Box::new(self.sum()?)));
            }
        }
        if self.word("starts") {
            if !self.word("with") {
                return Err(self.error());
            }
            return Ok(Expr::StartsWith(Box::new(left), Box::new(self.sum()?)));
        }
        if self.word("like_regex") {
            self.blanks();
            let pattern = self.string()?;
            let flags = if self.word("flag") {
                self.blanks();
                self.string()?
            } else {
                String::new()
            };
            return Ok(Expr::LikeRegex { item: Box::new(left), pattern, flags });
        }
        if self.word("is") {
            if !self.word("unknown") {
                return Err(self.error());
            }
            return Ok(Expr::IsUnknown(Box::new(left)));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr> {
        let mut left = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.peek() {
            self.at += 1;
            left = Expr::Arithmetic(sign, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expr> {
        let mut left = self.unary()?;
        while let Some(sign @ ('*' | '/' | '%')) = self.peek() {
            self.at += 1;
            left = Expr::Arithmetic(sign, Box::new(left), Box::new(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr> {
        match self.peek() {
            Some('-') => {
                self.at += 1;
                self.nested(|parser| Ok(Expr::Negate(Box::new(parser.unary()?))))
            }
            Some('+') => {
                self.at += 1;
                self.nested(|parser| Ok(Expr::Plus(Box::new(parser.unary()?))))
            }
            _ => {
                let item = self.primary()?;
                self.steps(item)
            }
        }
    }

    fn primary(&mut self) -> Result<Expr> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.nested(Self::or)?;
                self.expect(")")?;
                Ok(inner)
            }
            Some('$') => {
                self.at += 1;
                match self.rest().chars().next() {
                    Some('"') => Ok(Expr::Variable(self.string()?)),
                    Some(c) if is_name(c) => Ok(Expr::Variable(self.name())),
                    _ => Ok(Expr::Root),
                }
            }
            Some('@') if self.filters > 0 => {
                self.at += 1;
                Ok(Expr::Current)
            }
            Some('@') => Err(Error::new("42601", "@ is not allowed in root expressions")),
            Some('"') => Ok(Expr::Text(self.string()?)),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            _ if self.word("null") => Ok(Expr::Null),
            _ if self.word("true") => Ok(Expr::Boolean(true)),
            _ if self.word("false") => Ok(Expr::Boolean(false)),
            _ if self.word("last") => match self.subscripts > 0 {
                true => Ok(Expr::Last),
                false => Err(Error::new("42601", "LAST is allowed only in array subscripts")),
            },
            _ => Err(self.error()),
        }
    }

    fn number(&mut self) -> Result<Expr> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |at: &mut usize| {
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
        };
        digits(&mut self.at);
        if bytes.get(self.at) == Some(&b'.') && bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
            digits(&mut self.at);
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            let mut end = self.at + 1;
            if matches!(bytes.get(end), Some(b'+' | b'-')) {
                end += 1;
            }
            let from = end;
            digits(&mut end);
            if end > from {
                self.at = end;
            }
        }
        if self.at == start || self.rest().starts_with(is_name) {
            return Err(Error::new(
                "42601",
                "trailing junk after numeric literal at or near \"".to_owned()
                    + &self.text[start..]
                    + "\" of jsonpath input",
            ));
        }
        let text = &self.text[start..self.at];
        let normal = match text.starts_with('.') {
            true => cairn_types::json::normalise(&format!("0{text}"))?,
            false => cairn_types::json::normalise(text)?,
        };
        Ok(Expr::Number(normal))
    }

    fn steps(&mut self, mut item: Expr) -> Result<Expr> {
        loop {
            let step = match self.peek() {
                Some('.') => self.member()?,
                Some('[') => {
                    self.at += 1;
                    self.subscripts()?
                }
                Some('?') => {
                    self.at += 1;
                    self.expect("(")?;
                    self.filters += 1;
                    let filter = self.nested(Self::or)?;
                    self.filters -= 1;
                    self.expect(")")?;
                    Step::Filter(Box::new(filter))
                }
                _ => return Ok(item),
            };
            item = Expr::Access(Box::new(item), step);
        }
    }

    fn member(&mut self) -> Result<Step> {
        self.at += 1;
        if self.take("**") {
            if !self.take("{") {
                return Ok(Step::Descend { from: 0, to: None });
            }
            let level = |parser: &mut Self| -> Result<Option<u32>> {
                if parser.word("last") {
                    return Ok(None);
                }
                match parser.number()? {
                    Expr::Number(text) => text.parse().map(Some).map_err(|_| parser.error()),
                    _ => Err(parser.error()),
                }
            };
            self.blanks();
            let from = level(self)?;
            let to = if self.word("to") {
                self.blanks();
                level(self)?
            } else {
                from
            };
            self.expect("}")?;
            return Ok(Step::Descend { from: from.unwrap_or(u32::MAX), to });
        }
        if self.take("*") {
            return Ok(Step::AnyKey);
        }
        if self.peek() == Some('"') {
            return Ok(Step::Key(self.string()?));
        }
        if !self.rest().starts_with(is_name) {
            return Err(self.error());
        }
        let name = self.name();
        self.blanks();
        if !self.rest().starts_with('(') {
            return Ok(Step::Key(name));
        }
        if !super::methods::NAMES.contains(&name.as_str()) {
            return Err(self.error());
        }
        self.at += 1;
        let argument = match self.peek() {
            Some('"') if name == "datetime" => Some(self.string()?),
            _ => None,
        };
        self.expect(")")?;
        Ok(Step::Method(name, argument))
    }

    fn subscripts(&mut self) -> Result<Step> {
        if self.take("*") {
            self.expect("]")?;
            return Ok(Step::AnyElement);
        }
        self.subscripts += 1;
        let mut places = Vec::new();
        loop {
            let from = self.nested(Self::sum)?;
            let to = if self.word("to") { Some(self.nested(Self::sum)?) } else { None };
            places.push((from, to));
            if !self.take(",") {
                break;
            }
        }
        self.subscripts -= 1;
        self.expect("]")?;
        Ok(Step::Elements(places))
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        self.at += end;
        name
    }

    /// A string in double quotes, with JSON's escapes.
    fn string(&mut self) -> Result<String> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let (true, Some((end, _))) = (rest.starts_with('"'), end) else { return Err(self.error()) };
        let quoted = &rest[..=end];
        let text = match super::super::tree::Node::parse(quoted).map(|node| node.as_text()) {
            Ok(Some(text)) => text,
            _ => return Err(self.error()),
        };
        self.at += end + 1;
        Ok(text)
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || !c.is_ascii()
}
