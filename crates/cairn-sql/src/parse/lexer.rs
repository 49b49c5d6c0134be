//! A lexer that only finds where tokens begin and end: no allocation, no recursion, any bytes. Splitting and
//! guarding use it; the parser has its own, which must agree on quotes and comments.

/// What a token is, as far as splitting and guarding care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or unquoted name.
    Word,
    /// A number.
    Number,
    /// A string in any quotes, or a quoted name.
    Quoted,
    /// A string, quoted name or comment that does not end.
    Unterminated,
    /// `$1`, `?`, `?1` or `:name`.
    Parameter,
    /// An operator of one or more characters.
    Operator,
    /// One of `( ) [ ] { } , ; .` and anything else.
    Punctuation(u8),
}

/// A token: its kind and its bytes in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Words behind which an expression begins, so that `?` is a parameter.
const WORDS_BEFORE_OPERANDS: &[&str] = &[
    "all",
    "and",
    "any",
    "as",
    "between",
    "by",
    "case",
    "distinct",
    "else",
    "escape",
    "except",
    "fetch",
    "filter",
    "first",
    "for",
    "from",
    "having",
    "ilike",
    "in",
    "intersect",
    "interval",
    "into",
    "is",
    "like",
    "limit",
    "next",
    "not",
    "offset",
    "on",
    "or",
    "returning",
    "select",
    "set",
    "similar",
    "some",
    "step",
    "then",
    "to",
    "union",
    "using",
    "values",
    "when",
    "where",
    "with",
    "zone",
];

/// Iterator over the tokens of a text; white space and comments are skipped.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    previous: Option<Kind>,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text: text.as_bytes(), at: 0, previous: None }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Skips white space and comments; false where a comment does not end.
    fn skip_blank(&mut self) -> bool {
        while self.at < self.text.len() {
            let byte = self.text[self.at];
            if byte.is_ascii_whitespace() || byte == 0x0b {
                self.at += 1;
            } else if byte == b'-' && self.peek(1) == b'-' {
                while self.at < self.text.len() && self.text[self.at] != b'\n' {
                    self.at += 1;
                }
            } else if byte == b'/' && self.peek(1) == b'*' {
                if !self.skip_block_comment() {
                    return false;
                }
            } else {
                break;
            }
        }
        true
    }

    fn skip_block_comment(&mut self) -> bool {
        let mut depth = 0usize;
        while self.at < self.text.len() {
            match (self.text[self.at], self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return true;
                    }
                }
                _ => self.at += 1,
            }
        }
        false
    }

    /// Whether what stands directly before is a name, number or bracket: then `:` makes an array slice.
    fn touches_operand(&self, at: usize) -> bool {
        at > 0 && (is_word(self.text[at - 1]) || matches!(self.text[at - 1], b')' | b']' | b'[' | b':'))
    }

    /// Whether the `?` here is JSONB's operator: an operand stands before it, and one after it.
    fn asks_for_a_key(&self) -> bool {
        // `@?` is one operator.
        if self.at > 0 && self.text[self.at - 1] == b'@' {
            return true;
        }
        let operand = match self.previous {
            Some(Kind::Word) => {
                let before = self.text[..self.at].trim_ascii_end();
                let start = before.iter().rposition(|b| !is_word(*b)).map_or(0, |at| at + 1);
                !WORDS_BEFORE_OPERANDS
                    .iter()
                    .any(|word| word.as_bytes().eq_ignore_ascii_case(&before[start..]))
            }
            Some(Kind::Quoted | Kind::Parameter | Kind::Number | Kind::Punctuation(b')' | b']')) => true,
            _ => false,
        };
        let after = if matches!(self.peek(1), b'|' | b'&') { 2 } else { 1 };
        let next = self.text[self.at + after..].trim_ascii_start().first();
        operand
            && next
                .is_some_and(|b| is_name_start(*b) || matches!(b, b'\'' | b'"' | b'$' | b'(' | b'?' | b':'))
    }

    /// Moves past a quoted run that begins at `self.at`; doubled quotes stay inside.
    fn quoted(&mut self, quote: u8, backslash: bool) -> Kind {
        self.at += 1;
        while self.at < self.text.len() {
            let byte = self.text[self.at];
            if backslash && byte == b'\\' {
                self.at += 2;
            } else if byte == quote {
                if self.peek(1) == quote {
                    self.at += 2;
                } else {
                    self.at += 1;
                    return Kind::Quoted;
                }
            } else {
                self.at += 1;
            }
        }
        self.at = self.text.len();
        Kind::Unterminated
    }

    /// A dollar-quoted string, `$1`, or a lone `$`.
    fn dollar(&mut self) -> Kind {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            return Kind::Parameter;
        }
        let mut end = self.at + 1;
        while end < self.text.len() && is_word(self.text[end]) && self.text[end] != b'$' {
            end += 1;
        }
        if end >= self.text.len() || self.text[end] != b'$' {
            self.at += 1;
            return Kind::Punctuation(b'$');
        }
        let tag = &self.text[self.at..=end];
        let mut from = end + 1;
        while from + tag.len() <= self.text.len() {
            if self.text[from] == b'$' && &self.text[from..from + tag.len()] == tag {
                self.at = from + tag.len();
                return Kind::Quoted;
            }
            from += 1;
        }
        self.at = self.text.len();
        Kind::Unterminated
    }

    fn word(&mut self) -> Kind {
        let first = self.text[self.at];
        let second = self.peek(1);
        if second == b'\'' {
            match first {
                b'e' | b'E' => {
                    self.at += 1;
                    return self.quoted(b'\'', true);
                }
                b'b' | b'B' | b'x' | b'X' | b'n' | b'N' => {
                    self.at += 1;
                    return self.quoted(b'\'', false);
                }
                _ => {}
            }
        }
        while self.at < self.text.len() && is_word(self.text[self.at]) {
            self.at += 1;
        }
        Kind::Word
    }

    fn number(&mut self) -> Kind {
        while self.at < self.text.len() {
            let byte = self.text[self.at];
            let exponent_sign = (byte == b'-' || byte == b'+')
                && matches!(self.text[self.at - 1], b'e' | b'E')
                && self.peek(1).is_ascii_digit();
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || exponent_sign {
                self.at += 1;
            } else {
                break;
            }
        }
        Kind::Number
    }

    fn operator(&mut self) -> Kind {
        while self.at < self.text.len() && is_operator(self.text[self.at]) {
            // A comment ends an operator; so does a sign, as far as counting goes.
            if (self.text[self.at] == b'-' && self.peek(1) == b'-')
                || (self.text[self.at] == b'/' && self.peek(1) == b'*')
            {
                break;
            }
            self.at += 1;
            if matches!(self.peek(0), b'-' | b'+') {
                break;
            }
        }
        Kind::Operator
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-'
            | b'*'
            | b'/'
            | b'<'
            | b'>'
            | b'='
            | b'~'
            | b'!'
            | b'@'
            | b'#'
            | b'%'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b':'
    )
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let closed = self.skip_blank();
        let start = self.at;
        if !closed {
            self.previous = Some(Kind::Unterminated);
            let end = self.text.len();
            self.at = end;
            return Some(Token { kind: Kind::Unterminated, start: end, end });
        }
        if start >= self.text.len() {
            return None;
        }
        let byte = self.text[start];
        let kind = match byte {
            b'\'' => self.quoted(b'\'', false),
            b'"' => self.quoted(b'"', false),
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() && self.previous != Some(Kind::Word) => self.number(),
            b'?' if self.asks_for_a_key() => {
                self.at += if matches!(self.peek(1), b'|' | b'&') { 2 } else { 1 };
                Kind::Operator
            }
            b'?' => {
                self.at += 1;
                while self.peek(0).is_ascii_digit() {
                    self.at += 1;
                }
                Kind::Parameter
            }
            b':' if is_name_start(self.peek(1)) && !self.touches_operand(start) => {
                self.at += 1;
                while self.at < self.text.len() && is_word(self.text[self.at]) {
                    self.at += 1;
                }
                Kind::Parameter
            }
            b':' if self.peek(1) == b':' => {
                self.at += 2;
                Kind::Operator
            }
            _ if is_word(byte) => self.word(),
            _ if is_operator(byte) => self.operator(),
            _ => {
                self.at += 1;
                Kind::Punctuation(byte)
            }
        };
        self.previous = Some(kind);
        Some(Token { kind, start, end: self.at.min(self.text.len()) })
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}
