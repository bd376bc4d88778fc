//! What a comparison has to say, as data; the names are those of `diff --format json`.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::finding::Severity;
use crate::report::{Outcome, Report};
use crate::snapshot::{Stale, TimerProgress, Version};

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The first one.
    A,
    /// The second one.
    B,
}

impl Which {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "a",
            Self::B => "b",
        })
    }
}

/// The result of [`diff`](super::diff).
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DiffReport {
    /// What the sides are to each other.
    pub relation: RelationFound,
    /// The result in one sentence.
    pub verdict: String,
    /// The log.
    pub commitlog: LogDiff,
    /// Every queue that one of the sides has, those furthest apart first.
    pub queues: Vec<QueueDiff>,
    /// Units that were compared.
    pub compared_units: u64,
    /// The committed offsets that differ or lie outside their queue, those furthest apart first.
    pub consumer_offsets: Vec<OffsetDiff>,
    /// Committed offsets that were compared.
    pub compared_offsets: u64,
    /// The delay levels.
    pub delay_offsets: Vec<DelayDiff>,
    /// The timer, if one side has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timer: Option<TimerDiff>,
    /// The entries of the configuration that differ.
    pub config: Vec<ConfigDiff>,
    /// Whether a side went on while it was read.
    pub moved: Moved,
    /// Findings of the area `pair`, and what was compared and skipped.
    #[serde(flatten)]
    pub report: Report,
}

impl DiffReport {
    pub(super) fn new(relation: RelationFound) -> Self {
        Self {
            relation,
            verdict: String::new(),
            commitlog: LogDiff::default(),
            queues: Vec::new(),
            compared_units: 0,
            consumer_offsets: Vec::new(),
            compared_offsets: 0,
            delay_offsets: Vec::new(),
            timer: None,
            config: Vec::new(),
            moved: Moved::default(),
            report: Report::new(),
        }
    }

    /// Clean: within the limits. Found: beyond them, or parted. No verdict: something could not be compared, and nothing
    /// worse was proven.
    pub fn outcome(&self) -> Outcome {
        self.report.outcome(Severity::Warning)
    }
}

/// What the sides are to each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelationFound {
    /// `master-slave` or `before-after`.
    pub kind: &'static str,
    /// The master, or what came before.
    pub first: Which,
    /// How that is known.
    pub how: &'static str,
}

/// Whether a side went on while it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The first one.
    pub a: bool,
    /// The second one.
    pub b: bool,
}

/// The log of both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogDiff {
    /// The first one.
    pub a: LogSide,
    /// The second one.
    pub b: LogSide,
    /// What both hold.
    pub common: Option<PhysicalRange>,
    /// How much of it was compared.
    pub compared: Compared,
    /// Where they part.
    pub divergence: Option<Divergence>,
    /// Bytes that the shorter one lacks at its end.
    pub lag_bytes: u64,
    /// Messages in them, if that is known.
    pub lag_messages: Option<u64>,
    /// Whether the messages were counted one by one, not estimated from chunks.
    pub lag_messages_exact: bool,
    /// Time between the last records of both, in milliseconds.
    pub lag_ms: Option<u64>,
    /// Who is ahead.
    pub ahead: Ahead,
}

/// Who is ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ahead {
    /// The first one.
    A,
    /// The second one.
    B,
    /// Both end at the same offset.
    #[default]
    None,
}

/// The log of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogSide {
    /// Physical offset of the first byte.
    pub min_offset: u64,
    /// Physical offset behind the last record.
    pub max_offset: u64,
    /// What lies there: `zeros`, `file-end`, `torn` or `garbage`.
    pub end: String,
    /// Records that can still be read behind the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<Stale>,
    /// Store time of the last record, milliseconds since the epoch.
    pub newest_store_timestamp: Option<i64>,
}

/// A run of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PhysicalRange {
    /// Its first physical offset.
    pub from: u64,
    /// The physical offset behind it.
    pub to: u64,
}

/// How much was compared, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Bytes of the common range. Blanks are left out behind their headers when digests are compared.
    pub bytes: u64,
    /// How.
    pub how: How,
}

/// How logs were compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Byte by byte.
    #[default]
    Bytes,
    /// By digests.
    Digests,
}

/// Where two logs part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// The first byte that differs; the first byte of [`chunk`](Self::chunk) when digests were compared.
    pub physical_offset: u64,
    /// Whether that is the byte itself.
    pub exact: bool,
    /// The run of log that differs somewhere, when digests were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk: Option<PhysicalRange>,
    /// Where the first record begins that differs.
    pub record_offset: Option<u64>,
    /// Name of the file.
    pub file: Option<String>,
    /// Place of the byte in it.
    pub file_offset: Option<u64>,
    /// The last record that both have.
    pub last_common: Option<RecordShown>,
    /// The first record that differs, on the first side.
    pub a: Option<RecordShown>,
    /// The same on the second side.
    pub b: Option<RecordShown>,
    /// Where the sides go on with the same bytes to the end of what both hold: then one record was damaged or
    /// changed, and no other log was written.
    pub equal_again_from: Option<u64>,
    /// All of it in one sentence.
    pub message: String,
}

/// A record as the report shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecordShown {
    /// Where it begins.
    pub physical_offset: u64,
    /// Its length in bytes; 0 if there is no record.
    pub total_size: u32,
    /// Its topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Its queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_id: Option<i32>,
    /// Its number in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_offset: Option<i64>,
    /// When a broker stored it, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_timestamp: Option<i64>,
    /// What is wrong with it, or why there is no record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A queue of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueDiff {
    /// The topic.
    pub topic: String,
    /// The queue.
    pub queue_id: u32,
    /// On the first side.
    pub a: Option<QueueSpan>,
    /// On the second side.
    pub b: Option<QueueSpan>,
    /// Messages between the two ends.
    pub lag: u64,
    /// The first unit that differs, by its queue offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_difference: Option<u64>,
}

/// The range of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QueueSpan {
    /// The first unit whose message is in the log.
    pub min_offset: u64,
    /// The offset that the next message would get.
    pub max_offset: u64,
}

/// A committed offset on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OffsetDiff {
    /// `lmqConsumerOffset.json`, or `consumerOffset.json#pullOffsetTable` (5.5.0); absent for the committed offsets in
    /// `consumerOffset.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'static str>,
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The queue.
    pub queue_id: i32,
    /// The offset on the first side.
    pub a: Option<i64>,
    /// The offset on the second side.
    pub b: Option<i64>,
    /// The first side's against its queue.
    pub a_state: Option<OffsetState>,
    /// The second side's against its queue.
    pub b_state: Option<OffsetState>,
    /// The side whose value both have after the next sync.
    pub winner: Which,
    /// Messages that the group gets again because a higher value is overwritten.
    pub replayed: u64,
    /// Messages that the group had not confirmed where a lower value is overwritten, and does not get there any more.
    pub skipped: u64,
}

/// A committed offset against its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetState {
    /// Inside.
    Ok,
    /// Its next message is gone: messages were removed before the group got them.
    BehindMin,
    /// Behind the end: the queue was cut or restored.
    BeyondMax,
    /// There is no such queue on disk, as for every queue that never got a message.
    NoQueue,
}

/// How far a delay level has been delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DelayDiff {
    /// The level, from 1.
    pub level: i32,
    /// On the first side.
    pub a: Option<i64>,
    /// On the second side.
    pub b: Option<i64>,
    /// The side whose value both have after the next sync.
    pub winner: Which,
    /// Messages that are delivered again because a higher value is overwritten.
    pub replayed: u64,
}

/// The timer of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimerDiff {
    /// On the first side.
    pub a: Option<TimerProgress>,
    /// On the second side.
    pub b: Option<TimerProgress>,
}

/// An entry of the configuration that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigDiff {
    /// The file.
    pub file: &'static str,
    /// The entry, and the field where only that differs, after a dot.
    pub path: String,
    /// The value on the first side; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<Value>,
    /// The value on the second side; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<Value>,
    /// Why this is normal, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<&'static str>,
}

impl From<Version> for Value {
    fn from(version: Version) -> Self {
        serde_json::json!({"counter": version.counter, "timestamp": version.timestamp})
    }
}
