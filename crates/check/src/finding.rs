//! One finding: what is wrong, where, what a broker does with it and what to do.

use serde::Serialize;

/// How much a finding matters; ordered, so that `>=` compares with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Normal on some healthy stores, worth knowing.
    Info,
    /// A broker copes, but something is lost, slow or about to be.
    Warning,
    /// Damage: bytes that contradict each other or the format.
    Error,
}

/// Where a finding is. Every part is optional and absent parts are left out of the JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Location {
    /// File or folder, relative to the store root, with `/` between the parts (in an archive: the member's name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// First byte concerned: a physical offset in the commit log, else the position in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Bytes concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Topic name as stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Queue number; signed, as Java's `int` in the record, since a damaged one may be negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_id: Option<i32>,
    /// Number of the unit in its queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_offset: Option<i64>,
    /// Consumer group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Location {
    /// A file or folder, relative to the store root.
    pub fn path(path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }

    /// A queue of a topic.
    pub fn queue(topic: impl Into<String>, queue_id: i32) -> Self {
        Self::default().in_queue(topic, queue_id)
    }

    /// The same place, at a byte offset.
    #[must_use]
    pub fn at(self, offset: u64) -> Self {
        Self { offset: Some(offset), ..self }
    }

    /// The same place, so many bytes long.
    #[must_use]
    pub fn spanning(self, length: u64) -> Self {
        Self { length: Some(length), ..self }
    }

    /// The same place, in a queue of a topic.
    #[must_use]
    pub fn in_queue(self, topic: impl Into<String>, queue_id: i32) -> Self {
        Self { topic: Some(topic.into()), queue_id: Some(queue_id), ..self }
    }

    /// The same place, at the unit with this number.
    #[must_use]
    pub fn at_unit(self, queue_offset: i64) -> Self {
        Self { queue_offset: Some(queue_offset), ..self }
    }

    /// The same place, as seen by a consumer group.
    #[must_use]
    pub fn of_group(self, group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..self }
    }
}

/// What to do about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// One sentence.
    pub summary: String,
    /// A command line that does it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Whether following it removes or overwrites data.
    pub destructive: bool,
}

/// One thing that a check found. Its JSON has `"type":"finding"` and leaves absent keys out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "finding")]
pub struct Finding {
    /// Stable id, `area.problem`, as `commitlog.body-crc`; never renamed or used for something else.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// Where it is.
    pub location: Location,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// What is wrong, one sentence: lower case, no full stop.
    pub message: String,
    /// What which release does with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consequence: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Suggestion>,
}

impl Finding {
    /// A finding without expected and actual values, consequence or suggestion.
    pub fn new(id: &'static str, severity: Severity, location: Location, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { id, severity, location, expected: None, actual: None, message, consequence: None, suggestion: None }
    }

    /// A finding of severity [`Severity::Error`].
    pub fn error(id: &'static str, location: Location, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Error, location, message)
    }

    /// A finding of severity [`Severity::Warning`].
    pub fn warning(id: &'static str, location: Location, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, location, message)
    }

    /// A finding of severity [`Severity::Info`].
    pub fn info(id: &'static str, location: Location, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Info, location, message)
    }

    /// The same finding, with what would be right and what is there.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers pass numbers and literals, references would be noise")]
    pub fn values(self, expected: impl ToString, actual: impl ToString) -> Self {
        Self { expected: Some(expected.to_string()), actual: Some(actual.to_string()), ..self }
    }

    /// The same finding, with what which release does with it.
    #[must_use]
    pub fn consequence(self, text: impl Into<String>) -> Self {
        Self { consequence: Some(text.into()), ..self }
    }

    /// The same finding, with a harmless thing to do about it.
    #[must_use]
    pub fn suggest(self, summary: impl Into<String>) -> Self {
        let suggestion = Suggestion { summary: summary.into(), command: None, destructive: false };
        Self { suggestion: Some(suggestion), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_a_finding_is_the_contract_and_leaves_absent_keys_out() {
        let place = Location::path("commitlog/00000000000000000000").at(4096).spanning(91).in_queue("T", 3).at_unit(7);
        let finding = Finding::error("commitlog.body-crc", place, "body does not match its checksum")
            .values("0x10", "0x11")
            .suggest("read it from the slave");
        assert_eq!(
            serde_json::to_string(&finding).unwrap(),
            concat!(
                r#"{"type":"finding","id":"commitlog.body-crc","severity":"error","#,
                r#""location":{"path":"commitlog/00000000000000000000","offset":4096,"length":91,"topic":"T","#,
                r#""queue_id":3,"queue_offset":7},"expected":"0x10","actual":"0x11","#,
                r#""message":"body does not match its checksum","#,
                r#""suggestion":{"summary":"read it from the slave","destructive":false}}"#
            )
        );
    }
}
