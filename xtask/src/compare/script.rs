//! Scripts for psql, taken apart: statements with the rows of their COPY, variables put in, other commands of psql left out.

use std::collections::BTreeMap;

/// Takes a script apart.
pub(super) fn statements(text: &str, variables: &BTreeMap<String, String>) -> Vec<String> {
    let mut reader = Reader {
        text,
        at: 0,
        variables: variables.clone(),
        statement: String::new(),
        depth: 0,
        done: Vec::new(),
    };
    while reader.at < text.len() {
        reader.step();
    }
    reader.end();
    reader.done
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    variables: BTreeMap<String, String>,
    statement: String,
    /// Brackets that are open.
    depth: usize,
    done: Vec<String>,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The bytes up to the end of the line.
    fn line(&self) -> usize {
        self.rest().find('\n').unwrap_or(self.rest().len())
    }

    fn take(&mut self, length: usize) {
        let end = self.at + length;
        self.statement.push_str(&self.text[self.at..end]);
        self.at = end;
    }

    fn step(&mut self) {
        let Some(next) = self.rest().chars().next() else { return };
        let length = match next {
            '-' if self.rest().starts_with("--") => {
                self.at += self.line();
                return;
            }
            '/' if self.rest().starts_with("/*") => {
                self.at += comment(self.rest());
                self.statement.push(' ');
                return;
            }
            '\'' => string(self.rest(), self.escapes()),
            '"' => 1 + self.rest()[1..].find('"').map_or(self.rest().len() - 1, |end| end + 1),
            '$' => dollar(self.rest(), &self.statement).unwrap_or(1),
            '\\' => return self.command(),
            ';' if self.depth == 0 && !self.is_in_body() => {
                self.at += 1;
                return self.end();
            }
            ':' => return self.variable(),
            '(' | '[' => {
                self.depth += 1;
                1
            }
            ')' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                1
            }
            other => other.len_utf8(),
        };
        self.take(length);
    }

    /// Whether the string that begins here is one of `E'…'`.
    fn escapes(&self) -> bool {
        let mut before = self.statement.chars().rev();
        matches!(before.next(), Some('e' | 'E')) && !before.next().is_some_and(char::is_alphanumeric)
    }

    /// Whether a body of BEGIN ATOMIC is open.
    fn is_in_body(&self) -> bool {
        let upper = self.statement.to_ascii_uppercase();
        let words: Vec<&str> = upper.split_whitespace().collect();
        words.windows(2).any(|two| two == ["BEGIN", "ATOMIC"]) && words.last() != Some(&"END")
    }

    /// A command of psql: `\set` is kept in mind, `\;` and `\g` matter, the rest is for eyes.
    fn command(&mut self) {
        if self.rest().starts_with("\\;") {
            self.at += 2;
            self.statement.push(';');
            return;
        }
        let line = self.rest()[..self.line()].to_owned();
        self.at += line.len();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("\\set") => {
                if let Some(name) = words.next() {
                    let value = words.map(|word| self.put_in(word)).collect();
                    self.variables.insert(name.to_owned(), value);
                }
            }
            Some("\\g" | "\\gx") => self.end(),
            Some("\\gset" | "\\gexec" | "\\gdesc" | "\\crosstabview" | "\\watch") => self.statement.clear(),
            _ => {}
        }
    }

    /// A word of `\set` without its quotes, or the variable that it names.
    fn put_in(&self, word: &str) -> String {
        match word.strip_prefix(':') {
            Some(name) => self.variables.get(name.trim_matches('\'')).cloned().unwrap_or_default(),
            None => word.trim_matches('\'').to_owned(),
        }
    }

    /// `:name`, `:'name'` and `:"name"`, where there is a variable of the name.
    fn variable(&mut self) {
        let rest = &self.rest()[1..];
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let name: String = rest
            .chars()
            .skip(usize::from(quote.is_some()))
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let is_cast = self.statement.ends_with(':') || rest.starts_with(':');
        match self.variables.get(&name).filter(|_| !is_cast && !name.is_empty()) {
            Some(value) => {
                let length = name.len() + 2 * usize::from(quote.is_some());
                let quote = quote.map(String::from).unwrap_or_default();
                let doubled =
                    if quote.is_empty() { value.clone() } else { value.replace(&quote, &quote.repeat(2)) };
                self.statement.push_str(&format!("{quote}{doubled}{quote}"));
                self.at += 1 + length;
            }
            None => self.take(1),
        }
    }

    /// Ends a statement; rows of COPY FROM stdin belong to it.
    fn end(&mut self) {
        self.depth = 0;
        let statement = std::mem::take(&mut self.statement).trim().to_owned();
        if statement.is_empty() {
            return;
        }
        let lower = statement.to_ascii_lowercase();
        let mut statement = format!("{statement};");
        if lower.starts_with("copy") && lower.contains("from stdin") {
            self.at += (self.line() + 1).min(self.rest().len());
            let length = match self.rest().find("\n\\.") {
                Some(end) => end + 3,
                None if self.rest().starts_with("\\.") => 2,
                None => self.rest().len(),
            };
            statement.push('\n');
            statement.push_str(&self.rest()[..length]);
            self.at += length;
        }
        self.done.push(statement);
    }
}

/// The bytes of a comment, with those within it.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The bytes of a string in quotes.
fn string(text: &str, escapes: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 2,
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The bytes of a string in dollar quotes.
fn dollar(text: &str, before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let end = text[1..].find('$')? + 2;
    let tag = &text[..end];
    if !tag[1..end - 1].chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    Some(text[end..].find(tag).map_or(text.len(), |at| end + at + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let variables = BTreeMap::from([("dir".to_owned(), "/it's".to_owned())]);
        statements(text, &variables)
    }

    #[test]
    fn scripts_are_taken_apart() {
        assert_eq!(of("SELECT 1; -- one;\nSELECT 'a;b' /* ; */ ;"), ["SELECT 1;", "SELECT 'a;b';"]);
        assert_eq!(
            of("SELECT E'\\';', $x$;$x$;\n\\d t\nSELECT 2"),
            ["SELECT E'\\';', $x$;$x$;", "SELECT 2;"]
        );
        assert_eq!(
            of("COPY t FROM stdin;\n1\n2\n\\.\nSELECT 1;"),
            ["COPY t FROM stdin;\n1\n2\n\\.", "SELECT 1;"]
        );
        assert_eq!(
            of("\\set f :dir '/x'\nCOPY t FROM :'f'; SELECT a::int"),
            ["COPY t FROM '/it''s/x';", "SELECT a::int;"]
        );
        let body = "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 3;";
        assert_eq!(of(body), ["CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2; END;", "SELECT 3;"]);
    }
}
