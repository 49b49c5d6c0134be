//! Finds the fenced code blocks and the links of a Markdown text, so that documentation can be run and checked.

/// A fenced code block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands after the opening fence, such as `sql` or `rust,no_run`.
    pub info: String,
    /// The text between the fences.
    pub text: String,
    /// The 1-based line of the opening fence.
    pub line: usize,
}

/// The fenced code blocks of a Markdown text, in order.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in markdown.lines().enumerate() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            match open.take() {
                Some(block) => found.push(block),
                None => {
                    open = Some(Block { info: info.trim().to_string(), text: String::new(), line: index + 1 })
                }
            }
        } else if let Some(block) = &mut open {
            block.text.push_str(line);
            block.text.push('\n');
        }
    }
    found
}

/// The targets of the inline links `[text](target)` outside code blocks.
pub fn links(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let mut rest = line;
            while let Some(start) = rest.find("](") {
                rest = &rest[start + 2..];
                if let Some(end) = rest.find(')') {
                    found.push(rest[..end].to_string());
                    rest = &rest[end..];
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{blocks, links};

    #[test]
    fn blocks_carry_info_text_and_line() {
        let found = blocks("a\n```sql\nSELECT 1;\n```\n\n```\nx\n```\n");
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].info.as_str(), found[0].text.as_str(), found[0].line),
            ("sql", "SELECT 1;\n", 2)
        );
    }

    #[test]
    fn links_inside_code_do_not_count() {
        assert_eq!(links("[a](b.md) and [c](d)\n```\n[x](y)\n```\n"), ["b.md", "d"]);
    }
}
