//! `to_char` and `to_number` of numbers, by PostgreSQL's template patterns (`src/backend/utils/adt/formatting.c`, whose
//! steps and names this follows).

use cairn_types::{DataType as T, Decimal, Value};
use datafusion::logical_expr::ScalarUDF;

use super::overload::{Args, Overload, Returns, function, is};
use crate::{Error, Result};

/// `to_number`.
pub(super) fn functions() -> Vec<ScalarUDF> {
    vec![function(
        "to_number",
        vec![Overload::new(vec![is(T::Text), is(T::Text)], Returns::Is(T::Numeric(None)), to_number)],
    )]
}

/// `to_char` of the number types.
pub(super) fn overloads() -> Vec<Overload> {
    let of = |own: T, code| Overload::new(vec![is(own), is(T::Text)], Returns::Is(T::Text), code);
    vec![
        of(T::Integer, |args: &Args<'_>| format(Decimal::from(args.int(0)?), args.text(1)?)),
        of(T::BigInt, |args: &Args<'_>| format(Decimal::from(args.int(0)?), args.text(1)?)),
        of(T::Numeric(None), |args: &Args<'_>| format(args.decimal(0)?, args.text(1)?)),
        of(T::Real, |args: &Args<'_>| format_float(args, 6)),
        of(T::Double, |args: &Args<'_>| format_float(args, 15)),
    ]
}

/// One piece of a template.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Nine,
    Zero,
    Point,
    Comma,
    Sign,
    Minus,
    Plus,
    Either,
    Currency,
    Ordinal { upper: bool },
    Roman { upper: bool },
    Literal(char),
}

/// What a template asks for.
#[derive(Debug, Default)]
struct Template {
    pieces: Vec<Piece>,
    /// Digits before and after the point.
    pre: usize,
    post: usize,
    /// Digits after `V`.
    multi: Option<usize>,
    /// Where the first `0` stands, from 1; 0 for none.
    zero_start: usize,
    zero_end: usize,
    decimal: bool,
    fill: bool,
    bracket: bool,
    plus: bool,
    minus: bool,
    roman: bool,
    exponent: bool,
    /// `S` before (true) or behind the number.
    sign: Option<bool>,
    /// Digits before `S`.
    sign_after: usize,
}

const KEYWORDS: &[&str] = &["EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "TH", "B", "D", "G", "L", "S", "V"];

fn wrong(message: &str) -> Error {
    Error::new("42601", message)
}

impl Template {
    fn parse(text: &str) -> Result<Self> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                rest = template.quoted(&rest[1..]);
                continue;
            }
            if first == '\\' && rest.len() > 1 {
                rest = &rest[1..];
                let escaped = rest.chars().next().unwrap_or('\\');
                template.pieces.push(Piece::Literal(escaped));
                rest = &rest[escaped.len_utf8()..];
                continue;
            }
            let keyword = KEYWORDS
                .iter()
                .find(|word| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)));
            if let Some(word) = keyword {
                let upper = rest.starts_with(|c: char| c.is_ascii_uppercase());
                rest = &rest[word.len()..];
                template.keyword(word, upper)?;
                continue;
            }
            rest = &rest[first.len_utf8()..];
            template.character(first)?;
        }
        Ok(template)
    }

    fn quoted<'t>(&mut self, text: &'t str) -> &'t str {
        let mut characters = text.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => return &text[at + 1..],
                '\\' => {
                    if let Some((_, escaped)) = characters.next() {
                        self.pieces.push(Piece::Literal(escaped));
                    }
                }
                c => self.pieces.push(Piece::Literal(c)),
            }
        }
        ""
    }

    fn character(&mut self, c: char) -> Result<()> {
        if self.exponent {
            return Err(wrong("\"EEEE\" must be the last pattern used"));
        }
        match c {
            '9' => {
                if self.bracket {
                    return Err(wrong("\"9\" must be ahead of \"PR\""));
                }
                match &mut self.multi {
                    Some(multi) => *multi += 1,
                    None if self.decimal => self.post += 1,
                    None => self.pre += 1,
                }
                self.pieces.push(Piece::Nine);
            }
            '0' => {
                if self.bracket {
                    return Err(wrong("\"0\" must be ahead of \"PR\""));
                }
                if self.zero_start == 0 && !self.decimal {
                    self.zero_start = self.pre + 1;
                }
                *(if self.decimal { &mut self.post } else { &mut self.pre }) += 1;
                self.zero_end = self.pre + self.post;
                self.pieces.push(Piece::Zero);
            }
            '.' => self.point()?,
            ',' => self.pieces.push(Piece::Comma),
            c => self.pieces.push(Piece::Literal(c)),
        }
        Ok(())
    }

    fn point(&mut self) -> Result<()> {
        if self.decimal {
            return Err(wrong("multiple decimal points"));
        }
        if self.multi.is_some() {
            return Err(wrong("cannot use \"V\" and decimal point together"));
        }
        self.decimal = true;
        self.pieces.push(Piece::Point);
        Ok(())
    }

    fn keyword(&mut self, word: &str, upper: bool) -> Result<()> {
        match word {
            "D" => self.point()?,
            "G" => self.pieces.push(Piece::Comma),
            "L" => self.pieces.push(Piece::Currency),
            "FM" => self.fill = true,
            "B" => {}
            "S" => {
                if self.sign.is_some() {
                    return Err(wrong("cannot use \"S\" twice"));
                }
                if self.plus || self.minus || self.bracket {
                    return Err(wrong("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together"));
                }
                self.sign = Some(!self.decimal);
                self.sign_after = self.pre;
                self.pieces.push(Piece::Sign);
            }
            "MI" | "PL" | "SG" => {
                if self.sign.is_some() {
                    return Err(wrong(&format!("cannot use \"S\" and \"{word}\" together")));
                }
                self.minus |= word != "PL";
                self.plus |= word != "MI";
                self.pieces.push(match word {
                    "MI" => Piece::Minus,
                    "PL" => Piece::Plus,
                    _ => Piece::Either,
                });
            }
            "PR" => {
                if self.sign.is_some() || self.plus || self.minus {
                    return Err(wrong("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together"));
                }
                self.bracket = true;
            }
            "RN" => {
                self.roman = true;
                self.pieces.push(Piece::Roman { upper });
            }
            "TH" => self.pieces.push(Piece::Ordinal { upper }),
            "V" => {
                if self.decimal {
                    return Err(wrong("cannot use \"V\" and decimal point together"));
                }
                self.multi = Some(0);
            }
            _ => {
                if self.fill
                    || self.sign.is_some()
                    || self.bracket
                    || self.minus
                    || self.plus
                    || self.roman
                    || self.multi.is_some()
                {
                    return Err(wrong("\"EEEE\" is incompatible with other formats").with_detail(
                        "\"EEEE\" may only be used together with digit and decimal point patterns.",
                    ));
                }
                self.exponent = true;
            }
        }
        Ok(())
    }
}

fn format_float(args: &Args<'_>, digits: usize) -> Result<Value> {
    let number = args.double(0)?;
    let template = Template::parse(args.text(1)?)?;
    if !number.is_finite() {
        return Err(Error::unsupported("to_char of NaN and infinities"));
    }
    // No more digits than the type has.
    let whole = format!("{:.0}", number.abs()).len();
    let post = if template.exponent { digits } else { template.post.min(digits.saturating_sub(whole)) };
    let text = if template.roman { format!("{number:.0}") } else { format!("{number:.post$}") };
    let number = Decimal::parse(&text).map_err(|_| Error::new("22003", "value overflows numeric format"))?;
    write(&template, number)
}

fn format(number: Decimal, template: &str) -> Result<Value> {
    write(&Template::parse(template)?, number)
}

fn write(template: &Template, number: Decimal) -> Result<Value> {
    let overflow = || Error::new("22003", "value overflows numeric format");
    if template.roman {
        return Ok(Value::Text(Writer::roman(template, number)));
    }
    if template.exponent {
        return Ok(Value::Text(scientific(template, number)));
    }
    let mut number = number;
    let mut pre = template.pre;
    if let Some(multi) = template.multi {
        number = number.times(Decimal::parse(&format!("1e{multi}"))?)?;
        pre += multi;
    }
    let rounded = number.rescale(template.post.min(38) as i8).ok_or_else(overflow)?;
    let mut digits = rounded.to_string();
    let negative = digits.starts_with('-');
    if negative {
        digits.remove(0);
    }
    if template.decimal && template.post == 0 {
        digits.push('.');
    }
    let whole = digits.find('.').unwrap_or(digits.len());
    if whole > pre {
        digits = format!("{}.{}", "#".repeat(pre), "#".repeat(template.post));
    }
    let spaces = pre.saturating_sub(whole);
    Ok(Value::Text(Writer::new(template, digits.into_bytes(), negative, spaces, pre).run()))
}

fn scientific(template: &Template, number: Decimal) -> String {
    let digits = number.unscaled.wrapping_abs().to_string();
    let mut exponent = digits.len() as i32 - 1 - i32::from(number.scale);
    // One digit before the point, rounded half away from zero.
    let wanted = template.post + 1;
    let mut kept: Vec<u8> =
        digits.bytes().chain(std::iter::repeat(b'0')).take(wanted.max(digits.len())).collect();
    let up = kept.get(wanted).is_some_and(|digit| *digit >= b'5');
    kept.truncate(wanted);
    if up {
        let mut at = kept.len();
        while at > 0 && kept[at - 1] == b'9' {
            kept[at - 1] = b'0';
            at -= 1;
        }
        if at == 0 {
            kept.insert(0, b'1');
            kept.pop();
            exponent += 1;
        } else {
            kept[at - 1] += 1;
        }
    }
    if number.sign() == 0 {
        exponent = 0;
    }
    let text = String::from_utf8_lossy(&kept).into_owned();
    let (first, rest) = text.split_at(1);
    let sign = if number.sign() < 0 { '-' } else { ' ' };
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// PostgreSQL's `NUMProc`.
struct Writer<'t> {
    template: &'t Template,
    number: Vec<u8>,
    at: usize,
    negative: bool,
    spaces: usize,
    zero_start: usize,
    zero: bool,
    bracket: bool,
    sign_before: Option<bool>,
    sign_written: bool,
    last_relevant: Option<usize>,
    count: usize,
    current: usize,
    in_number: bool,
    out: String,
}

impl<'t> Writer<'t> {
    fn new(template: &'t Template, number: Vec<u8>, negative: bool, spaces: usize, pre: usize) -> Self {
        let mut bracket = template.bracket;
        let mut sign_before = template.sign;
        let sign_written = if template.plus || template.minus {
            template.minus
        } else {
            if !negative && template.fill {
                bracket = false;
            }
            if sign_before == Some(true) && pre == template.sign_after {
                sign_before = Some(false);
            }
            !negative && template.fill && template.sign.is_none()
        };
        let mut last_relevant = None;
        if template.fill && template.decimal {
            let point = number.iter().position(|b| *b == b'.');
            last_relevant =
                point.map(|point| number.iter().rposition(|b| *b != b'0').map_or(point, |at| at.max(point)));
            if let Some(last) = &mut last_relevant
                && template.zero_end > spaces
            {
                *last = (*last).max((number.len() - 1).min(template.zero_end - spaces));
            }
        }
        let mut count = (template.post + pre).saturating_sub(1);
        if !sign_written && spaces == 0 {
            count += 1;
        }
        Self {
            template,
            number,
            at: 0,
            negative,
            spaces,
            zero_start: template.zero_start.saturating_sub(1),
            zero: template.zero_start > 0,
            bracket,
            sign_before,
            sign_written,
            last_relevant,
            count,
            current: 0,
            in_number: false,
            out: String::new(),
        }
    }

    fn run(mut self) -> String {
        for piece in &self.template.pieces {
            match piece {
                Piece::Nine | Piece::Zero | Piece::Point => self.digit(*piece == Piece::Zero),
                Piece::Comma if self.in_number => self.out.push(','),
                Piece::Comma => self.blank(),
                // The C locale has none.
                Piece::Currency => self.out.push(' '),
                Piece::Minus if self.negative => self.out.push('-'),
                Piece::Plus if !self.negative => self.out.push('+'),
                Piece::Minus | Piece::Plus => self.blank(),
                Piece::Either => self.out.push(if self.negative { '-' } else { '+' }),
                Piece::Ordinal { upper } => {
                    if self.number.first() != Some(&b'#') && !self.negative && !self.template.decimal {
                        let ending = super::format_time::ordinal(&String::from_utf8_lossy(&self.number));
                        self.out.push_str(&if *upper { ending.to_uppercase() } else { ending.to_owned() });
                    }
                }
                Piece::Literal(c) => self.out.push(*c),
                Piece::Sign | Piece::Roman { .. } => {}
            }
        }
        self.out
    }

    fn blank(&mut self) {
        if !self.template.fill {
            self.out.push(' ');
        }
    }

    /// A zero before the point that is not written: `0.1` as `.1`.
    fn is_bare_zero(&self) -> bool {
        !self.zero && self.at == 0 && self.number.first() == Some(&b'0') && self.template.post != 0
    }

    fn is_last_point(&self) -> bool {
        self.last_relevant.is_some_and(|last| self.number.get(last) == Some(&b'.'))
    }

    fn point(&mut self) {
        if !self.is_last_point() || self.template.fill {
            self.out.push('.');
        }
    }

    fn write_sign(&mut self) {
        match (self.sign_before, self.bracket) {
            (Some(true), _) => self.out.push(if self.negative { '-' } else { '+' }),
            (Some(false), _) => return,
            (None, true) => self.out.push(if self.negative { '<' } else { ' ' }),
            (None, false) if self.negative => self.out.push('-'),
            (None, false) => self.blank(),
        }
        self.sign_written = true;
    }

    fn digit(&mut self, zero: bool) {
        let begun = self.current >= self.spaces || self.zero && self.zero_start == self.current;
        if !self.sign_written && begun && (!self.is_bare_zero() || self.is_last_point()) {
            self.write_sign();
        }
        if self.current < self.spaces && (self.zero_start > self.current || !self.zero) {
            self.blank();
        } else if self.zero && self.current < self.spaces && self.zero_start <= self.current {
            self.out.push('0');
            self.in_number = true;
        } else {
            match self.number.get(self.at) {
                Some(b'.') => self.point(),
                _ if self.last_relevant.is_some_and(|last| self.at > last) && !zero => {}
                _ if self.is_bare_zero() => {
                    if !self.template.fill {
                        self.out.push(' ');
                    } else if self.is_last_point() {
                        self.out.push('0');
                    }
                }
                Some(digit) => {
                    self.out.push(char::from(*digit));
                    self.in_number = true;
                }
                None => {}
            }
            if self.at < self.number.len() {
                self.at += 1;
            }
        }
        let mut end = self.count + usize::from(self.spaces > 0) + usize::from(self.template.decimal);
        if self.last_relevant == Some(self.at) {
            end = self.current;
        }
        if self.current + 1 == end {
            if self.sign_written && self.bracket {
                self.out.push(if self.negative { '>' } else { ' ' });
            } else if self.sign_before == Some(false) {
                self.out.push(if self.negative { '-' } else { '+' });
            }
        }
        self.current += 1;
    }

    fn roman(template: &Template, number: Decimal) -> String {
        let number = number.to_i64().unwrap_or_default();
        let numeral = match number {
            1..=3999 => super::format_time::roman(number as u32),
            _ => "#".repeat(15),
        };
        let mut out = String::new();
        for piece in &template.pieces {
            match piece {
                Piece::Roman { upper } => {
                    let numeral = if *upper { numeral.clone() } else { numeral.to_lowercase() };
                    out.push_str(&if template.fill { numeral } else { format!("{numeral:>15}") });
                }
                Piece::Literal(c) => out.push(*c),
                _ => {}
            }
        }
        out
    }
}

fn to_number(args: &Args<'_>) -> Result<Value> {
    let template = Template::parse(args.text(1)?)?;
    if template.exponent || template.roman {
        return Err(Error::unsupported("to_number with \"EEEE\" or \"RN\""));
    }
    let input: Vec<char> = args.text(0)?.chars().collect();
    let (mut at, mut negative, mut digits, mut point) = (0, false, String::new(), false);
    let mut sign_at = |at: &mut usize| match input.get(*at) {
        Some('-') => {
            negative = true;
            *at += 1;
        }
        Some('<') if template.bracket => {
            negative = true;
            *at += 1;
        }
        Some('+') => *at += 1,
        _ => {}
    };
    for piece in &template.pieces {
        match piece {
            Piece::Nine | Piece::Zero => {
                if digits.is_empty() {
                    while input.get(at) == Some(&' ') {
                        at += 1;
                    }
                    sign_at(&mut at);
                }
                match input.get(at) {
                    Some(c) if c.is_ascii_digit() => {
                        digits.push(*c);
                        at += 1;
                    }
                    Some('.') if !point && template.decimal => {
                        point = true;
                        digits.push('.');
                        at += 1;
                        if let Some(c) = input.get(at).filter(|c| c.is_ascii_digit()) {
                            digits.push(*c);
                            at += 1;
                        }
                    }
                    _ => {}
                }
            }
            Piece::Point if input.get(at) == Some(&'.') && !point => {
                point = true;
                digits.push('.');
                at += 1;
            }
            Piece::Comma => at += usize::from(input.get(at) == Some(&',')),
            Piece::Sign | Piece::Minus | Piece::Plus | Piece::Either => sign_at(&mut at),
            Piece::Currency => {
                at += usize::from(input.get(at).is_some_and(|c| !c.is_ascii_digit() && !"+-.,".contains(*c)));
            }
            Piece::Literal(_) => at += 1,
            _ => {}
        }
    }
    if digits.is_empty() || digits == "." {
        return Err(Error::new("22P02", "invalid input syntax for type numeric: \" \""));
    }
    let number = Decimal::parse(&digits)?;
    let scaled = match template.multi {
        Some(multi) => number.times(Decimal::parse(&format!("1e-{multi}"))?)?,
        None => number,
    };
    Ok(Value::Numeric(if negative { scaled.negated() } else { scaled }))
}
