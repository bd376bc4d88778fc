//! Writing and reading the document.

use std::borrow::Cow;
use std::io::{Read, Write};

use serde::{Deserialize, Serialize};

use super::document::Snapshot;
use super::error::SnapshotError;

/// `schema` of the document.
pub const SCHEMA: &str = "mqstore.snapshot";
/// `schema_version` of the document.
pub const SCHEMA_VERSION: u32 = 1;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// No snapshot is longer than this, unpacked; a compressed text could name any length.
const MAX_BYTES: u64 = 2 << 30;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    schema_version: u32,
    #[serde(flatten)]
    snapshot: &'a Snapshot,
}

/// The part of the envelope that decides how the rest is read.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default, borrow)]
    schema: Option<Cow<'a, str>>,
    #[serde(default)]
    schema_version: Option<u32>,
}

impl Snapshot {
    /// Writes the document on one line, with the two members of the envelope that say how to read it.
    pub fn to_writer(&self, out: impl Write) -> Result<(), SnapshotError> {
        let document = Document { schema: SCHEMA, schema_version: SCHEMA_VERSION, snapshot: self };
        let failed = |e: serde_json::Error| SnapshotError::Io { action: "write", source: e.into() };
        serde_json::to_writer(out, &document).map_err(failed)
    }

    /// Reads a document, plain or packed with zstd, with or without the rest of the envelope.
    ///
    /// # Errors
    /// A text that is another document, or of a later version of the schema.
    pub fn from_reader(mut input: impl Read) -> Result<Self, SnapshotError> {
        let failed = |source| SnapshotError::Io { action: "read", source };
        let mut bytes = Vec::new();
        input.by_ref().take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.starts_with(&ZSTD_MAGIC) {
            let mut unpacked = Vec::new();
            let decoder = zstd::Decoder::new(bytes.as_slice()).map_err(failed)?;
            decoder.take(MAX_BYTES).read_to_end(&mut unpacked).map_err(failed)?;
            bytes = unpacked;
        }
        Self::from_slice(&bytes)
    }

    fn from_slice(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let not = |problem: String| SnapshotError::NotASnapshot { problem };
        let head: Head<'_> = serde_json::from_slice(bytes).map_err(|e| not(e.to_string()))?;
        match (head.schema.as_deref(), head.schema_version) {
            (Some(SCHEMA), Some(SCHEMA_VERSION)) => {}
            (Some(SCHEMA), version) => {
                let found = version.map_or("none".to_owned(), |version| version.to_string());
                return Err(not(format!("expected schema version {SCHEMA_VERSION}, found {found}")));
            }
            (schema, _) => {
                let found = schema.unwrap_or("none");
                return Err(not(format!("expected schema {SCHEMA}, found {found}")));
            }
        }
        serde_json::from_slice(bytes).map_err(|e| not(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{QueuePosition, Version};
    use mqstore_core::format::consumequeue::CqUnit;

    fn small() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let last = Some(CqUnit { physical_offset: 1024, size: 130, tags_code: i64::MIN });
        let queue = QueuePosition {
            queue_id: 3,
            first_offset: 1,
            min_offset: 2,
            max_offset: 9,
            min_physical_offset: Some(91),
            last,
        };
        snapshot.queues.insert("T".into(), vec![queue]);
        snapshot.consumer_offsets = Some([("T@G".to_owned(), [(0, 5), (3, 9)].into())].into());
        snapshot.data_versions.insert("topics.json".into(), Version { counter: 4, ..Version::default() });
        snapshot
    }

    #[test]
    fn a_document_comes_back_as_it_was_plain_and_packed() {
        let mut plain = Vec::new();
        small().to_writer(&mut plain).unwrap();
        let text = String::from_utf8(plain.clone()).unwrap();
        assert!(text.starts_with(r#"{"schema":"mqstore.snapshot","schema_version":1,"identity":{"#), "{text}");
        assert!(text.contains(r#""T":[[3,1,2,9,91,[1024,130,-9223372036854775808]]]"#), "{text}");
        assert!(text.contains(r#""T@G":{"0":5,"3":9}"#), "{text}");
        assert_eq!(Snapshot::from_reader(plain.as_slice()).unwrap(), small());
        let packed = zstd::encode_all(plain.as_slice(), 3).unwrap();
        assert_eq!(Snapshot::from_reader(packed.as_slice()).unwrap(), small());
        let enveloped = text.replacen('{', r#"{"tool":{"name":"mqstore"},"exit":{"code":0},"#, 1);
        assert_eq!(Snapshot::from_reader(enveloped.as_bytes()).unwrap(), small());
    }

    #[test]
    fn other_documents_are_refused_with_what_they_are() {
        let error = |text: &str| Snapshot::from_reader(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            error(r#"{"schema":"mqstore.verify","schema_version":1}"#),
            "not a snapshot: expected schema mqstore.snapshot, found mqstore.verify"
        );
        assert_eq!(
            error(r#"{"schema":"mqstore.snapshot","schema_version":2}"#),
            "not a snapshot: expected schema version 1, found 2"
        );
        assert_eq!(error("{}"), "not a snapshot: expected schema mqstore.snapshot, found none");
        assert!(error("{").starts_with("not a snapshot: EOF"), "{}", error("{"));
    }
}
