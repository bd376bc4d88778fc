//! The tree of a parsed config text, how fields of Java beans are read from it, and its strict JSON form.

use std::collections::{BTreeMap, HashMap};

use super::fastjson::{ConfigError, KeyOrder, shown};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Position of its first byte in the file, in bytes.
    pub offset: u64,
    /// The value.
    pub value: Value,
}

/// A value of a config text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer that Java's `long` holds.
    Integer(i64),
    /// Any other number, in JSON spelling: a fraction, an exponent, or an integer beyond `long`.
    Number(String),
    /// A string, escapes decoded.
    String(String),
    /// An array.
    Array(Vec<Node>),
    /// Members in the order of the file; the last one of a name counts.
    Object(Vec<(String, Node)>),
    /// `{"$ref":"…"}` that could not be resolved.
    Reference(String),
}

impl Node {
    /// The members of an object in the order of the file, or `None`.
    pub fn as_object(&self) -> Option<&[(String, Node)]> {
        if let Value::Object(members) = &self.value { Some(members) } else { None }
    }

    /// The last member of that name, or `None`.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.as_object()?.iter().rev().find(|(n, _)| n == name).map(|(_, node)| node)
    }

    /// The integer, also when it is written as a string of digits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.value {
            Value::Integer(number) => Some(*number),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The text of a string, or `None`.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = &self.value { Some(text) } else { None }
    }

    /// This value as JSON of RFC 8259, indented by two spaces.
    pub fn to_strict_json(&self, order: KeyOrder) -> String {
        let mut out = String::new();
        self.write(order, 0, &mut out);
        out
    }

    fn write(&self, order: KeyOrder, depth: usize, out: &mut String) {
        match &self.value {
            Value::Null => out.push_str("null"),
            Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
            Value::Integer(number) => out.push_str(&number.to_string()),
            Value::Number(text) => out.push_str(text),
            Value::String(text) => write_string(text, out),
            Value::Reference(path) => {
                out.push_str("{\"$ref\": ");
                write_string(path, out);
                out.push('}');
            }
            Value::Array(elements) => write_block('[', ']', elements, depth, out, |node, out| {
                node.write(order, depth + 1, out);
            }),
            Value::Object(members) => {
                let members = counting_members(members, order);
                write_block('{', '}', &members, depth, out, |(name, node), out| {
                    write_string(name, out);
                    out.push_str(": ");
                    node.write(order, depth + 1, out);
                });
            }
        }
    }

    pub(crate) fn unexpected(&self, expected: &'static str) -> ConfigError {
        ConfigError { offset: self.offset, expected, found: shown(&self.value) }
    }
}

/// The members without those that a later one of the same name replaces.
fn counting_members(members: &[(String, Node)], order: KeyOrder) -> Vec<(&str, &Node)> {
    let last: HashMap<&str, usize> = members.iter().enumerate().map(|(n, (name, _))| (name.as_str(), n)).collect();
    let members = members.iter().enumerate().map(|(n, (name, node))| (n, name.as_str(), node));
    let mut kept: Vec<_> = members.filter(|(n, name, _)| last.get(name) == Some(n)).map(|(_, k, v)| (k, v)).collect();
    if order == KeyOrder::Sorted {
        // Numbers before texts, so that the order is total also in a table that mixes them.
        kept.sort_by_cached_key(|(name, _)| name.parse::<i64>().map_or((true, 0, *name), |n| (false, n, *name)));
    }
    kept
}

fn write_block<T>(
    open: char,
    close: char,
    items: &[T],
    depth: usize,
    out: &mut String,
    item: impl Fn(&T, &mut String),
) {
    out.push(open);
    for (n, one) in items.iter().enumerate() {
        out.push_str(if n == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        item(one, out);
    }
    if !items.is_empty() {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(close);
}

fn write_string(text: &str, out: &mut String) {
    // Strings always serialize.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The members of an object read as the fields of a Java bean: missing and null ones keep their default, a value of
/// the wrong type makes the whole file unreadable, as it does for the broker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    node: &'a Node,
    members: &'a [(String, Node)],
}

impl<'a> Fields<'a> {
    /// The fields of an object; null has none.
    pub(super) fn of(node: &'a Node) -> Result<Self, ConfigError> {
        match &node.value {
            Value::Object(members) => Ok(Self { node, members }),
            Value::Null => Ok(Self { node, members: &[] }),
            _ => Err(node.unexpected("an object")),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.node.get(name).filter(|n| n.value != Value::Null)
    }

    pub(super) fn i64(&self, name: &str) -> Result<Option<i64>, ConfigError> {
        // An empty string is null to fastjson.
        self.get(name).filter(|n| n.as_str() != Some("")).map(long).transpose()
    }

    pub(super) fn i32(&self, name: &str) -> Result<Option<i32>, ConfigError> {
        self.get(name).filter(|n| n.as_str() != Some("")).map(int).transpose()
    }

    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>, ConfigError> {
        let Some(node) = self.get(name) else { return Ok(None) };
        match &node.value {
            Value::Bool(yes) => Ok(Some(*yes)),
            Value::Integer(number) => Ok(Some(*number == 1)),
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => Ok(Some(true)),
            Value::String(text) if text.eq_ignore_ascii_case("false") || text == "0" => Ok(Some(false)),
            _ => Err(node.unexpected("true or false")),
        }
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<String>, ConfigError> {
        self.get(name).map(text).transpose()
    }

    pub(super) fn list<T>(
        &self,
        name: &str,
        element: impl Fn(&Node) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Node { value: Value::Array(elements), .. }) => elements.iter().map(element).collect(),
            Some(node) => Err(node.unexpected("an array")),
        }
    }

    /// A map; `None` when the member is missing or null.
    pub(super) fn table<K: Ord, V>(
        &self,
        name: &str,
        key: impl Fn(&str, &Node) -> Result<K, ConfigError>,
        value: impl Fn(&Node) -> Result<V, ConfigError>,
    ) -> Result<Option<BTreeMap<K, V>>, ConfigError> {
        self.get(name).map(|node| table(node, key, value)).transpose()
    }

    /// Names of the members that are none of `known`, sorted.
    pub(super) fn unknown(&self, known: &[&str]) -> Vec<String> {
        let mut names: Vec<String> =
            self.members.iter().map(|(n, _)| n).filter(|n| !known.contains(&n.as_str())).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// A Java map. Null as a value is an error, as the broker's concurrent maps refuse it.
pub(super) fn table<K: Ord, V>(
    node: &Node,
    key: impl Fn(&str, &Node) -> Result<K, ConfigError>,
    value: impl Fn(&Node) -> Result<V, ConfigError>,
) -> Result<BTreeMap<K, V>, ConfigError> {
    let members = node.as_object().ok_or_else(|| node.unexpected("an object"))?;
    let mut table = BTreeMap::new();
    for (name, node) in members {
        if node.value == Value::Null {
            return Err(node.unexpected("a value in the table"));
        }
        table.insert(key(name, node)?, value(node)?);
    }
    Ok(table)
}

/// A map from queue id, level or the like to a `long`.
pub(super) fn numeric_table(node: &Node) -> Result<BTreeMap<i32, i64>, ConfigError> {
    table(node, int_key, long)
}

/// A key of a map from strings.
#[expect(clippy::unnecessary_wraps, reason = "a key reader, like the one for integers that can fail")]
pub(super) fn string_key(name: &str, _: &Node) -> Result<String, ConfigError> {
    Ok(name.to_owned())
}

/// A key of a map from Java's `Integer`.
pub(super) fn int_key(name: &str, node: &Node) -> Result<i32, ConfigError> {
    let not_a_number = || ConfigError {
        offset: node.offset,
        expected: "a key that is an integer",
        found: shown(&Value::String(name.to_owned())),
    };
    name.parse().map_err(|_| not_a_number())
}

pub(super) fn long(node: &Node) -> Result<i64, ConfigError> {
    node.as_i64().ok_or_else(|| node.unexpected("an integer of 64 bits"))
}

pub(super) fn int(node: &Node) -> Result<i32, ConfigError> {
    node.as_i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(|| node.unexpected("an integer of 32 bits"))
}

/// A string; numbers and booleans are taken as their text.
pub(super) fn text(node: &Node) -> Result<String, ConfigError> {
    match &node.value {
        Value::String(text) | Value::Number(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Bool(yes) => Ok(yes.to_string()),
        _ => Err(node.unexpected("a string")),
    }
}
