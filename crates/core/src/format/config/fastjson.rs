//! The dialect of JSON that brokers write and read: fastjson 1.x, and fastjson2 from 5.4.0.
//!
//! A broker writes `config/*.json` with integer map keys unquoted, which is not JSON:
//!
//! ```text
//! {                                      up to 5.3.3: no line break before a numeric key
//!     "offsetTable":{
//!         "TopicTest@GID_a":{0:123,1:456
//!         }
//!     }
//! }                                      no newline at the end
//! ```
//!
//! Beyond JSON its parser accepts, and so does [`parse`]: unquoted integer keys, names in single quotes or without
//! quotes, extra commas, `/* */` comments, a byte order mark, NUL bytes after the end, a name given twice (the last one
//! counts). It rejects other text after the end, a text cut short, and a text of NUL bytes only. A text of blanks is
//! taken as `null`. `{"$ref":"$.a.b"}` stands for a second occurrence of one object and is resolved where it names
//! members from the root; other forms stay and are counted.
//!
//! The result is an own tree, not a text for `serde_json`, because there a number in the wrong place has lost its offset, a
//! member given twice is an error, and a `long` may pass through a float. [`to_strict_json`] gives plain JSON.
//!
//! Java: `com.alibaba.fastjson.JSON`, called by `RemotingSerializable.fromJson` and `toJson`.

use super::node::{Node, Value};

/// Objects and arrays may nest this deep; the deepest config file of a broker needs six.
const MAX_DEPTH: usize = 128;
/// References resolved in one text. No broker is known to write one.
const MAX_REFERENCES: usize = 1024;
/// Nodes that may be copied in resolving references.
const MAX_COPIED_NODES: usize = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Text that the broker's parser would reject, or a value of another type than the field has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found} at offset {offset}")]
pub struct ConfigError {
    /// Position of the byte or value in the file, in bytes.
    pub offset: u64,
    /// What would be right there, in words.
    pub expected: &'static str,
    /// What is there; a long text is cut.
    pub found: String,
}

/// How the bytes of a text were turned into characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8, or plain ASCII.
    Utf8,
    /// Not UTF-8, so each byte was taken as one character. Brokers up to 4.9.8 write in the charset of their JVM: names
    /// outside ASCII may be shown wrong.
    Latin1,
}

/// What the text of a config file tells apart from its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TextFacts {
    /// How the bytes were read.
    pub encoding: Encoding,
    /// Whether the first unquoted numeric key has a line of its own, as 5.4.0 and later write it; `None` without such
    /// a key.
    pub numeric_keys_on_own_lines: Option<bool>,
    /// `$ref` objects that name nothing that can be resolved.
    pub unresolved_references: usize,
}

/// A parsed config text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// The value: an object, or null for a text of blanks or `null`.
    pub root: Node,
    /// What the text tells besides.
    pub facts: TextFacts,
}

/// Order of the members in a strict text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrder {
    /// As in the file. Brokers write maps in hash order.
    AsWritten,
    /// By name; keys that are integers by value.
    Sorted,
}

/// Parses a config text as the broker's parser would.
///
/// ```
/// use mqstore_core::format::config::fastjson::parse;
///
/// let document = parse(b"{\"offsetTable\":{\"TopicTest@GID_a\":{0:123,1:456}}}")?;
/// let queues = document.root.get("offsetTable").and_then(|t| t.get("TopicTest@GID_a"));
/// assert_eq!(queues.and_then(|q| q.get("1")).and_then(|n| n.as_i64()), Some(456));
///
/// let error = parse(b"{\"offsetTable\":{1:").unwrap_err();
/// assert_eq!(error.to_string(), "expected a value, found the end of the file at offset 18");
/// # Ok::<(), mqstore_core::format::config::ConfigError>(())
/// ```
pub fn parse(bytes: &[u8]) -> Result<Document, ConfigError> {
    let encoding = if std::str::from_utf8(bytes).is_ok() { Encoding::Utf8 } else { Encoding::Latin1 };
    let mut facts = TextFacts { encoding, numeric_keys_on_own_lines: None, unresolved_references: 0 };
    if bytes.iter().all(|b| is_space(*b)) {
        return Ok(Document { root: Node { offset: 0, value: Value::Null }, facts });
    }
    let at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut parser = Parser { bytes, at, encoding, own_lines: None, references: 0 };
    parser.skip_space()?;
    let mut root = parser.value(0)?;
    parser.skip_space()?;
    while parser.peek().is_some_and(|b| b == 0 || is_space(b)) {
        parser.at += 1;
    }
    if parser.peek().is_some() {
        return Err(parser.error("the end of the file"));
    }
    facts.numeric_keys_on_own_lines = parser.own_lines;
    if parser.references > 0 {
        facts.unresolved_references = resolve_references(&mut root);
    }
    Ok(Document { root, facts })
}

/// The text as JSON of RFC 8259, indented by two spaces, without a newline at the end.
///
/// A member given twice is written once, with its last value. Numbers keep their digits.
///
/// ```
/// use mqstore_core::format::config::fastjson::{KeyOrder, to_strict_json};
///
/// assert_eq!(to_strict_json(b"{1:10,3:12,}", KeyOrder::AsWritten)?, "{\n  \"1\": 10,\n  \"3\": 12\n}");
/// # Ok::<(), mqstore_core::format::config::ConfigError>(())
/// ```
pub fn to_strict_json(bytes: &[u8], order: KeyOrder) -> Result<String, ConfigError> {
    parse(bytes).map(|document| document.root.to_strict_json(order))
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
    own_lines: Option<bool>,
    references: usize,
}

/// The blanks of fastjson's lexer; form feed and backspace are among them.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x08)
}

fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    #[cold]
    fn error(&self, expected: &'static str) -> ConfigError {
        let found = match self.peek() {
            None => "the end of the file".to_owned(),
            Some(byte @ 0x21..=0x7e) => format!("'{}'", char::from(byte)),
            Some(byte) => format!("byte {byte:#04x}"),
        };
        ConfigError { offset: self.at as u64, expected, found }
    }

    /// Skips blanks and comments; whether a line break was among them.
    fn skip_space(&mut self) -> Result<bool, ConfigError> {
        let mut line_break = false;
        loop {
            match self.peek() {
                Some(byte) if is_space(byte) => {
                    line_break |= byte == b'\n';
                    self.at += 1;
                }
                Some(b'/') if self.rest().starts_with(b"/*") => {
                    let Some(end) = memchr::memmem::find(self.rest().get(2..).unwrap_or_default(), b"*/") else {
                        return Err(self.error("a comment that ends"));
                    };
                    self.at += end + 4;
                }
                _ => return Ok(line_break),
            }
        }
    }

    /// Skips blanks, comments and commas, of which any number may stand between two members.
    fn skip_commas(&mut self) -> Result<bool, ConfigError> {
        let mut line_break = self.skip_space()?;
        while self.take(b',') {
            line_break |= self.skip_space()?;
        }
        Ok(line_break)
    }

    fn value(&mut self, depth: usize) -> Result<Node, ConfigError> {
        if depth > MAX_DEPTH {
            return Err(self.error("at most 128 levels of nesting"));
        }
        let offset = self.at as u64;
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(quote @ (b'"' | b'\'')) => Value::String(self.string(quote)?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { offset, value })
    }

    fn word(&mut self) -> Result<Value, ConfigError> {
        let words = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
        for (word, value) in words {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.error("a value"))
    }

    fn object(&mut self, depth: usize) -> Result<Value, ConfigError> {
        self.at += 1;
        let mut members = Vec::new();
        loop {
            let line_break = self.skip_commas()?;
            let name = match self.peek() {
                Some(b'}') => break,
                Some(quote @ (b'"' | b'\'')) => self.string(quote)?,
                Some(b'-' | b'0'..=b'9') => {
                    self.own_lines.get_or_insert(line_break);
                    self.digits_of_a_key()?
                }
                Some(byte) if starts_name(byte) => self.bare_name(),
                _ => return Err(self.error("a name or '}'")),
            };
            self.skip_space()?;
            if !self.take(b':') {
                return Err(self.error("':'"));
            }
            self.skip_space()?;
            members.push((name, self.value(depth + 1)?));
            self.skip_space()?;
            if !matches!(self.peek(), Some(b',' | b'}')) {
                return Err(self.error("',' or '}'"));
            }
        }
        self.at += 1;
        if let [(name, Node { value: Value::String(target), .. })] = members.as_mut_slice()
            && name == "$ref"
        {
            self.references += 1;
            return Ok(Value::Reference(std::mem::take(target)));
        }
        Ok(Value::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Value, ConfigError> {
        self.at += 1;
        let mut elements = Vec::new();
        loop {
            self.skip_commas()?;
            if self.take(b']') {
                return Ok(Value::Array(elements));
            }
            elements.push(self.value(depth + 1)?);
            self.skip_space()?;
            if !matches!(self.peek(), Some(b',' | b']')) {
                return Err(self.error("',' or ']'"));
            }
        }
    }

    fn decode(&self, bytes: &[u8], into: &mut String) {
        match self.encoding {
            Encoding::Utf8 => into.push_str(&String::from_utf8_lossy(bytes)),
            Encoding::Latin1 => into.extend(bytes.iter().map(|b| char::from(*b))),
        }
    }

    fn bare_name(&mut self) -> String {
        let len = self.rest().iter().take_while(|b| starts_name(**b) || b.is_ascii_digit()).count();
        let mut name = String::new();
        self.decode(self.rest().get(..len).unwrap_or_default(), &mut name);
        self.at += len;
        name
    }

    fn digits_of_a_key(&mut self) -> Result<String, ConfigError> {
        let start = self.at;
        if let Value::Integer(key) = self.number()? {
            return Ok(key.to_string());
        }
        self.at = start;
        Err(self.error("a key that is an integer"))
    }

    fn skip_digits(&mut self) -> Result<(), ConfigError> {
        let digits = self.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { Err(self.error("a digit")) } else { Ok(()) }
    }

    /// A number. It stays text unless it is an integer that Java's `long` holds, so that none passes through a float.
    fn number(&mut self) -> Result<Value, ConfigError> {
        let negative = self.take(b'-');
        let start = self.at;
        self.skip_digits()?;
        if self.take(b'.') {
            self.skip_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            let _signed = self.take(b'+') || self.take(b'-');
            self.skip_digits()?;
        }
        let text = String::from_utf8_lossy(self.bytes.get(start..self.at).unwrap_or_default());
        let digits = text.trim_start_matches('0');
        let zero = if digits.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "0" };
        let text = format!("{}{zero}{digits}", if negative { "-" } else { "" });
        Ok(text.parse().map_or(Value::Number(text), Value::Integer))
    }

    fn string(&mut self, quote: u8) -> Result<String, ConfigError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(len) = memchr::memchr2(quote, b'\\', self.rest()) else {
                self.at = self.bytes.len();
                return Err(self.error("a string that ends"));
            };
            self.decode(self.rest().get(..len).unwrap_or_default(), &mut text);
            self.at += len;
            if self.take(quote) {
                return Ok(text);
            }
            self.at += 1;
            text.push(self.escape()?);
        }
    }

    /// The character of an escape, after its backslash. A surrogate without its other half becomes U+FFFD.
    fn escape(&mut self) -> Result<char, ConfigError> {
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\'' | b'\\' | b'/')) => char::from(byte),
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => {
                self.at += 1;
                let unit = self.hex4()?;
                if !(0xd800..0xdc00).contains(&unit) || !self.rest().starts_with(b"\\u") {
                    return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                let second_escape = self.at;
                self.at += 2;
                let low = self.hex4()?;
                if (0xdc00..0xe000).contains(&low) {
                    let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                self.at = second_escape;
                return Ok(char::REPLACEMENT_CHARACTER);
            }
            _ => return Err(self.error("an escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn hex4(&mut self) -> Result<u32, ConfigError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(16)) else {
                return Err(self.error("a hexadecimal digit"));
            };
            unit = unit << 4 | digit;
            self.at += 1;
        }
        Ok(unit)
    }
}

/// Replaces references by copies of what they name; returns how many could not be.
fn resolve_references(root: &mut Node) -> usize {
    let original = root.clone();
    let mut budget = Budget { references: MAX_REFERENCES, nodes: MAX_COPIED_NODES };
    budget.resolve(root, &original)
}

/// Limits of the work: references to objects that hold references would grow without bound, so those are left alone.
struct Budget {
    references: usize,
    nodes: usize,
}

impl Budget {
    fn resolve(&mut self, node: &mut Node, root: &Node) -> usize {
        match &mut node.value {
            Value::Reference(path) => {
                if self.references == 0 {
                    return 1;
                }
                self.references -= 1;
                let Some(target) = named(root, path) else { return 1 };
                if !self.pay_for(target) {
                    return 1;
                }
                node.value = target.value.clone();
                0
            }
            Value::Array(elements) => elements.iter_mut().map(|n| self.resolve(n, root)).sum(),
            Value::Object(members) => members.iter_mut().map(|(_, n)| self.resolve(n, root)).sum(),
            _ => 0,
        }
    }

    fn pay_for(&mut self, node: &Node) -> bool {
        let Some(left) = self.nodes.checked_sub(1) else { return false };
        self.nodes = left;
        match &node.value {
            Value::Reference(_) => false,
            Value::Array(elements) => elements.iter().all(|n| self.pay_for(n)),
            Value::Object(members) => members.iter().all(|(_, n)| self.pay_for(n)),
            _ => true,
        }
    }
}

/// The node that a path like `$.offsetTable.name` leads to.
fn named<'a>(root: &'a Node, path: &str) -> Option<&'a Node> {
    path.strip_prefix("$.")?.split('.').try_fold(root, |node, name| node.get(name))
}

/// A value in a few words, for an error.
pub(super) fn shown(value: &Value) -> String {
    let cut = |text: &str| text.chars().take(40).collect::<String>();
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Number(text) => cut(text),
        Value::String(text) => format!("{:?}", cut(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Reference(path) => format!("a reference to {:?}", cut(path)),
    }
}

#[cfg(test)]
#[path = "fastjson_tests.rs"]
mod tests;
