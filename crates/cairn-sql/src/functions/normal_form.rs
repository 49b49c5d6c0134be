//! Unicode's normal forms (UAX 15). `normal_forms.txt` has a line for each character with a combining class or a
//! decomposition: code, class, kind, decomposition; kind `c` is composed again, `x` is not, `k` is of compatibility.

use std::collections::HashMap;
use std::sync::LazyLock;

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

impl Form {
    /// By its name.
    pub(super) fn parse(name: &str) -> Option<Form> {
        Some(match name.to_ascii_uppercase().as_str() {
            "NFC" => Self::Nfc,
            "NFD" => Self::Nfd,
            "NFKC" => Self::Nfkc,
            "NFKD" => Self::Nfkd,
            _ => return None,
        })
    }
}

const HANGUL: u32 = 0xAC00;
const LEADING: u32 = 0x1100;
const VOWEL: u32 = 0x1161;
const TRAILING: u32 = 0x11A7;
const VOWELS: u32 = 21;
const TRAILINGS: u32 = 28;
const SYLLABLES: u32 = 19 * VOWELS * TRAILINGS;

#[derive(Default)]
struct Tables {
    classes: HashMap<char, u8>,
    canonical: HashMap<char, Vec<char>>,
    compatible: HashMap<char, Vec<char>>,
    composed: HashMap<(char, char), char>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let code = |text: &str| u32::from_str_radix(text, 16).ok().and_then(char::from_u32);
    let mut tables = Tables::default();
    for line in include_str!("normal_forms.txt").lines() {
        let mut words = line.split(' ');
        let (Some(own), Some(class), Some(kind)) =
            (words.next().and_then(code), words.next().and_then(|class| class.parse().ok()), words.next())
        else {
            continue;
        };
        if class != 0 {
            tables.classes.insert(own, class);
        }
        let parts: Vec<char> = words.filter_map(code).collect();
        match (kind, parts.as_slice()) {
            ("k", _) => _ = tables.compatible.insert(own, parts),
            ("c", [first, second]) => {
                tables.composed.insert((*first, *second), own);
                tables.canonical.insert(own, parts);
            }
            ("c" | "x", _) => _ = tables.canonical.insert(own, parts),
            _ => {}
        }
    }
    tables
});

fn decompose(c: char, compatible: bool, out: &mut Vec<char>) {
    let code = u32::from(c);
    if (HANGUL..HANGUL + SYLLABLES).contains(&code) {
        let at = code - HANGUL;
        let parts = [
            LEADING + at / (VOWELS * TRAILINGS),
            VOWEL + at % (VOWELS * TRAILINGS) / TRAILINGS,
            TRAILING + at % TRAILINGS,
        ];
        out.extend(parts.iter().filter(|part| **part != TRAILING).filter_map(|part| char::from_u32(*part)));
        return;
    }
    let of_compatibility = || TABLES.compatible.get(&c).filter(|_| compatible);
    match TABLES.canonical.get(&c).or_else(of_compatibility) {
        Some(parts) => parts.iter().for_each(|part| decompose(*part, compatible, out)),
        None => out.push(c),
    }
}

fn class(c: char) -> u8 {
    TABLES.classes.get(&c).copied().unwrap_or(0)
}

fn pair(first: char, second: char) -> Option<char> {
    let (a, b) = (u32::from(first), u32::from(second));
    if (LEADING..LEADING + 19).contains(&a) && (VOWEL..VOWEL + VOWELS).contains(&b) {
        return char::from_u32(HANGUL + ((a - LEADING) * VOWELS + (b - VOWEL)) * TRAILINGS);
    }
    let syllable = (HANGUL..HANGUL + SYLLABLES).contains(&a) && (a - HANGUL).is_multiple_of(TRAILINGS);
    if syllable && (TRAILING + 1..TRAILING + TRAILINGS).contains(&b) {
        return char::from_u32(a + b - TRAILING);
    }
    TABLES.composed.get(&(first, second)).copied()
}

fn compose(text: &[char]) -> String {
    let mut out: Vec<char> = Vec::with_capacity(text.len());
    let mut starter: Option<usize> = None;
    let mut last = 0u8;
    for &c in text {
        let own = class(c);
        if let Some(at) = starter
            && (out.len() == at + 1 || last < own)
            && let Some(composed) = pair(out[at], c)
        {
            out[at] = composed;
            continue;
        }
        if own == 0 {
            starter = Some(out.len());
        }
        last = own;
        out.push(c);
    }
    out.into_iter().collect()
}

/// A text in a normal form.
pub(super) fn normalized(text: &str, form: Form) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut parts = Vec::with_capacity(text.len());
    for c in text.chars() {
        decompose(c, matches!(form, Form::Nfkc | Form::Nfkd), &mut parts);
    }
    let mut from = 0;
    while from < parts.len() {
        let end = parts[from..].iter().position(|c| class(*c) == 0).map_or(parts.len(), |at| from + at);
        parts[from..end].sort_by_key(|c| class(*c));
        from = end + 1;
    }
    match form {
        Form::Nfc | Form::Nfkc => compose(&parts),
        Form::Nfd | Form::Nfkd => parts.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_unicodes() {
        assert_eq!(normalized("a\u{308}bc", Form::Nfc), "\u{e4}bc");
        assert_eq!(normalized("\u{e4}\u{fb01}", Form::Nfd), "a\u{308}\u{fb01}");
        assert_eq!(normalized("\u{fb01}\u{2460}", Form::Nfkc), "fi1");
        assert_eq!(normalized("q\u{307}\u{323}", Form::Nfc), "q\u{323}\u{307}");
        assert_eq!(normalized("\u{d55c}", Form::Nfd), "\u{1112}\u{1161}\u{11ab}");
        assert_eq!(normalized("\u{1112}\u{1161}\u{11ab}", Form::Nfc), "\u{d55c}");
        assert_eq!(normalized("\u{212b}\u{1e9b}\u{323}", Form::Nfkd), "A\u{30a}s\u{323}\u{307}");
    }
}
