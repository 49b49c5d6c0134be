//! Colours while typing: keywords, strings, numbers, comments.

use reedline::{Color, Highlighter, StyledText};

use super::complete::KEYWORDS;

/// Colours SQL.
pub(crate) struct SqlHighlighter;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Keyword,
    Text,
    Number,
    Comment,
}

impl Highlighter for SqlHighlighter {
    fn highlight(&self, line: &str, _: usize) -> StyledText {
        let mut styled = StyledText::new();
        for (kind, piece) in pieces(line) {
            let style = match kind {
                Kind::Plain => Color::Default.normal(),
                Kind::Keyword => Color::Default.bold(),
                Kind::Text => Color::Green.normal(),
                Kind::Number => Color::Cyan.normal(),
                Kind::Comment => Color::Default.dimmed(),
            };
            styled.push((style, piece.to_owned()));
        }
        styled
    }
}

/// Cuts a text into pieces of one kind; together they are the text.
fn pieces(text: &str) -> Vec<(Kind, &str)> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = if rest.starts_with("--") {
            (Kind::Comment, rest.find('\n').unwrap_or(rest.len()))
        } else if first == '\'' {
            (Kind::Text, rest[1..].find('\'').map_or(rest.len(), |at| at + 2))
        } else if first.is_ascii_digit() {
            (Kind::Number, run(rest, |c| c.is_ascii_digit() || c == '.'))
        } else if first.is_alphabetic() || first == '_' {
            let length = run(rest, |c| c.is_alphanumeric() || c == '_');
            let word = &rest[..length];
            let known = KEYWORDS.iter().any(|k| k.split(' ').any(|part| part.eq_ignore_ascii_case(word)));
            (if known { Kind::Keyword } else { Kind::Plain }, length)
        } else {
            (Kind::Plain, first.len_utf8())
        };
        let (piece, after) = rest.split_at(length);
        all.push((kind, piece));
        rest = after;
    }
    all
}

fn run(text: &str, fits: impl Fn(char) -> bool) -> usize {
    text.find(|c| !fits(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    //! The pieces are the text, and of the right kind.

    use super::*;

    #[test]
    fn pieces_join_to_the_text() {
        let text = "SELECT 'it''s', 1.5 FROM größe -- end";
        let all = pieces(text);
        assert_eq!(all.iter().map(|(_, piece)| *piece).collect::<String>(), text);
        assert!(all[0] == (Kind::Keyword, "SELECT"));
        assert!(all.contains(&(Kind::Number, "1.5")));
        assert!(all.last().is_some_and(|p| p.0 == Kind::Comment));
    }
}
