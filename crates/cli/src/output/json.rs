//! The JSON of every document: one envelope, and streams of elements in constant memory.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::Output;
use crate::exit::Exit;
use crate::time::Moment;

/// Version of all documents' keys; they are only ever extended.
const SCHEMA_VERSION: u32 = 1;

/// What a document is about.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct TargetJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<Box<TargetJson>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<Box<TargetJson>>,
}

impl TargetJson {
    pub(crate) fn store(path: &Path) -> Self {
        Self { store: Some(text(path)), ..Self::default() }
    }

    pub(crate) fn archive(path: &Path) -> Self {
        Self { archive: Some(text(path)), ..Self::default() }
    }

    pub(crate) fn dir(path: &Path) -> Self {
        Self { dir: Some(text(path)), ..Self::default() }
    }

    pub(crate) fn snapshot(path: &Path) -> Self {
        Self { snapshot: Some(text(path)), ..Self::default() }
    }

    pub(crate) fn pair(a: Self, b: Self) -> Self {
        Self { a: Some(a.into()), b: Some(b.into()), ..Self::default() }
    }

    pub(crate) fn file(path: &Path) -> Self {
        Self { file: Some(text(path)), ..Self::default() }
    }
}

/// A path as JSON can hold it.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[derive(Serialize)]
struct Head<'a> {
    schema: &'a str,
    schema_version: u32,
    tool: Tool,
    generated_at: Moment,
    target: &'a TargetJson,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Document<'a, T> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(flatten)]
    head: Option<Head<'a>>,
    #[serde(flatten)]
    body: &'a T,
    exit: &'a Exit,
}

fn head<'a>(schema: &'a str, target: &'a TargetJson) -> Head<'a> {
    let tool = Tool { name: "mqstore", version: env!("CARGO_PKG_VERSION") };
    Head { schema, schema_version: SCHEMA_VERSION, tool, generated_at: Moment::now(), target }
}

/// Writes a whole document, over several lines so that people can read it, too; as NDJSON it is one `summary`.
pub(crate) fn document<T: Serialize>(
    out: &mut Output,
    ndjson: bool,
    (schema, target): (&str, &TargetJson),
    body: &T,
    exit: &Exit,
) -> anyhow::Result<()> {
    let kind = ndjson.then_some("summary");
    let document = Document { kind, head: Some(head(schema, target)), body, exit };
    if ndjson {
        serde_json::to_writer(&mut *out, &document).map_err(io::Error::from)?;
    } else {
        serde_json::to_writer_pretty(&mut *out, &document).map_err(io::Error::from)?;
    }
    Ok(writeln!(out)?)
}

/// A whole document as a value, for what else is made of it.
pub(crate) fn value<T: Serialize>(
    (schema, target): (&str, &TargetJson),
    body: &T,
    exit: &Exit,
) -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(Document { kind: None, head: Some(head(schema, target)), body, exit })
}

/// Writes a whole document on one line: for programs, and for files that travel.
pub(crate) fn line<T: Serialize>(
    mut out: impl Write,
    ndjson: bool,
    (schema, target): (&str, &TargetJson),
    body: &T,
    exit: &Exit,
) -> io::Result<()> {
    let document = Document { kind: ndjson.then_some("summary"), head: Some(head(schema, target)), body, exit };
    serde_json::to_writer(&mut out, &document).map_err(io::Error::from)?;
    writeln!(out)
}

/// A document with one long list, written element by element: as JSON the list is a member of the envelope, one element
/// a line; as NDJSON each element is a line with a `type`.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    member: Option<&'a str>,
    elements: u64,
}

impl<'a> Stream<'a> {
    pub(crate) fn begin(
        out: &mut Output,
        ndjson: bool,
        (schema, target): (&str, &TargetJson),
        member: &'a str,
    ) -> anyhow::Result<Self> {
        if !ndjson {
            let head = serde_json::to_string(&head(schema, target))?;
            write!(out, "{},\n\"{member}\":[", head.strip_suffix('}').unwrap_or(&head))?;
        }
        Ok(Self { member: (!ndjson).then_some(member), elements: 0 })
    }

    pub(crate) fn element<T: Serialize>(&mut self, out: &mut Output, element: &T) -> io::Result<()> {
        if self.member.is_some() {
            out.write_all(if self.elements == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut *out, element)?;
        } else {
            serde_json::to_writer(&mut *out, element)?;
            out.write_all(b"\n")?;
        }
        self.elements += 1;
        Ok(())
    }

    pub(crate) fn end<T: Serialize>(self, out: &mut Output, summary: &T, exit: &Exit) -> anyhow::Result<()> {
        let kind = self.member.is_none().then_some("summary");
        let tail = serde_json::to_string(&Document { kind, head: None, body: summary, exit })?;
        if self.member.is_some() {
            // The member of the list is open, and its object: the tail goes on where they end.
            writeln!(out, "\n],\n{}", tail.strip_prefix('{').unwrap_or(&tail))?;
        } else {
            writeln!(out, "{tail}")?;
        }
        Ok(())
    }
}

/// A summary without members of its own.
#[derive(Debug, Serialize)]
pub(crate) struct Empty {}

/// Bytes that are text, most of the time: what is not UTF-8 becomes U+FFFD.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lossy<'a>(pub(crate) &'a [u8]);

impl Serialize for Lossy<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_str(&String::from_utf8_lossy(self.0)),
        }
    }
}

/// A map of names and values, of a name that comes twice the last value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PropertyMap<'a>(pub(crate) mqstore_core::format::commitlog::Properties<'a>);

impl Serialize for PropertyMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Records of today's brokers have up to a dozen.
        const INLINE: usize = 24;
        let mut seen: [(&[u8], &[u8]); INLINE] = [(&[], &[]); INLINE];
        let mut map = serializer.serialize_map(None)?;
        let mut count = 0;
        for pair in self.0.iter() {
            if let Some(slot) = seen.get_mut(count) {
                *slot = pair;
            }
            count += 1;
        }
        if let Some(seen) = seen.get(..count) {
            for (i, (name, value)) in seen.iter().enumerate() {
                let again = seen.get(i + 1..).unwrap_or_default().iter().any(|(later, _)| later == name);
                if !again {
                    map.serialize_entry(&Lossy(name), &Lossy(value))?;
                }
            }
        } else {
            for (name, value) in self.0.to_map() {
                map.serialize_entry(&name, &value)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use mqstore_core::format::commitlog::Properties;

    use super::*;

    #[test]
    fn of_a_property_that_comes_twice_the_last_value_counts() {
        let json = |bytes: &[u8]| serde_json::to_string(&PropertyMap(Properties::new(bytes))).unwrap();
        assert_eq!(json(b"A\x011\x02B\x012\x02A\x013"), r#"{"B":"2","A":"3"}"#);
        let many: Vec<u8> = (0..30).flat_map(|i| format!("N{i}\x01{i}\x02N0\x01x\x02").into_bytes()).collect();
        let map: serde_json::Map<_, _> = serde_json::from_str(&json(&many)).unwrap();
        assert_eq!((map.len(), &map["N0"], &map["N29"]), (30, &"x".into(), &"29".into()));
    }
}
