//! Java's properties format (`java.util.Properties.load`).

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped; blanks at its end belong to it.
    pub value: String,
    /// Line where the entry starts, from 1.
    pub line: usize,
}

/// A `\u` that four hexadecimal digits do not follow: `Properties.load` throws, and the broker does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed \\u escape in line {line}, expected four hexadecimal digits")]
pub struct BadEscape {
    /// Line where the entry starts, from 1.
    pub line: usize,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, BadEscape> {
    logical_lines(bytes).into_iter().map(|(line, text)| entry(&text, line)).collect()
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// Lines without comments, continued ones joined, blanks at their start dropped; still escaped.
fn logical_lines(bytes: &[u8]) -> Vec<(usize, String)> {
    // ISO-8859-1: byte and code point are the same number.
    let text: String = bytes.iter().copied().map(char::from).collect();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut natural = text.split('\n').enumerate();
    let mut lines = Vec::new();
    while let Some((number, first)) = natural.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut joined = first.to_owned();
        while ends_in_continuation(&joined) {
            joined.pop();
            let Some((_, next)) = natural.next() else { break };
            joined.push_str(next.trim_start_matches(is_blank));
        }
        if !joined.is_empty() {
            lines.push((number + 1, joined));
        }
    }
    lines
}

fn ends_in_continuation(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

fn entry(line_text: &str, line: usize) -> Result<Entry, BadEscape> {
    let mut escaped = false;
    let end = line_text
        .char_indices()
        .find(|(_, c)| {
            let ends = !escaped && (is_blank(*c) || matches!(c, '=' | ':'));
            escaped = !escaped && *c == '\\';
            ends
        })
        .map_or(line_text.len(), |(at, _)| at);
    let (key, rest) = line_text.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).map_or(rest, |value| value.trim_start_matches(is_blank));
    Ok(Entry { key: unescape(key, line)?, value: unescape(value, line)?, line })
}

fn unescape(text: &str, line: usize) -> Result<String, BadEscape> {
    // UTF-16 units as in Java, since two escapes may make one character.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                None => break,
                Some('u') => {
                    let mut unit = 0;
                    for _ in 0..4 {
                        let digit = chars.next().and_then(|d| d.to_digit(16)).and_then(|d| u16::try_from(d).ok());
                        unit = unit << 4 | digit.ok_or(BadEscape { line })?;
                    }
                    units.push(unit);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some(other) => other,
            },
            c => c,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}
