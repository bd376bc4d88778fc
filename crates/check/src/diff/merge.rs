//! One `consumerOffset.json` of both: the larger offset of each queue, inside the range of the queue.
//!
//! Before a master is restarted or given up, the groups may be further on the other side. The file that comes out is
//! written as the release writes that will read it: tabs, no blank behind colons, numeric keys without quotes.
//!
//! ```text
//! {
//!     "offsetTable":{
//!         "TopicTest@GID_a":{0:123,1:456        up to 5.3.3; from 5.4.0 on every queue has a line of its own
//!         }
//!     }
//! }
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mqstore_core::format::config::consumer_offset::split_topic_at_group;
use mqstore_core::release::Release;
use mqstore_core::release::rules::{DataVersionFields, JsonWriter};
use serde::Serialize;

use super::report::Which;
use crate::snapshot::{LmqOffsets, OffsetTable, Snapshot, Version};

/// The file that a broker keeps committed offsets in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffsetFile {
    /// `consumerOffset.json`.
    #[default]
    Consumer,
    /// `lmqConsumerOffset.json`, which a broker with `enableLmq` uses instead (4.9.3 and later).
    Lmq,
}

impl OffsetFile {
    /// Its name in `config`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumerOffset.json",
            Self::Lmq => "lmqConsumerOffset.json",
        }
    }
}

/// What [`merge_offsets`] is to do.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MergeOptions {
    /// The release that will read the file.
    pub release: Release,
    /// The side whose store the file is for: its queues give the range.
    pub target: Which,
    /// The file that its broker reads; `consumerOffset.json` by default.
    pub file: OffsetFile,
}

impl MergeOptions {
    /// A file for the store of `target`, on which a broker of `release` will start.
    pub fn new(release: Release, target: Which) -> Self {
        Self { release, target, file: OffsetFile::default() }
    }
}

/// An offset in the merged file that is not that of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergedOffset {
    /// `lmqOffsetTable` or `pullOffsetTable`; absent for `offsetTable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<&'static str>,
    /// `topic@group`.
    pub key: String,
    /// The queue.
    pub queue_id: i32,
    /// The offset on the target.
    pub target: Option<i64>,
    /// The offset on the other side.
    pub other: Option<i64>,
    /// The offset written.
    pub merged: i64,
    /// Whether the larger of both lies outside the target's queue.
    pub clamped: bool,
}

/// What [`merge_offsets`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergedOffsets {
    /// The content of the file.
    pub bytes: Vec<u8>,
    /// The offsets written.
    pub table: OffsetTable,
    /// The offsets of groups named `%LMQ%…` written, in `lmqConsumerOffset.json` only.
    pub lmq_table: BTreeMap<String, i64>,
    /// What pull consumers have fetched; written for 5.5.0 and later, which read it.
    pub pull_table: OffsetTable,
    /// What changes for the target, in the order of the file.
    pub changes: Vec<MergedOffset>,
}

/// The table of the file that an offset is of, where that is not `offsetTable`.
const LMQ_TABLE: &str = "lmqOffsetTable";
const PULL_TABLE: &str = "pullOffsetTable";

/// Merges the committed offsets of both sides into the text of the [`file`](MergeOptions#structfield.file).
///
/// Each offset is the larger one, moved into the target's queue. A queue that only the other side has is empty on the
/// target, so its offsets become 0. Offsets of queues that neither has, and of static topics, whose queue numbers are
/// logical, stay as they are. What pull consumers have fetched (5.5.0) is merged by the same rule.
pub fn merge_offsets(a: &Snapshot, b: &Snapshot, options: MergeOptions) -> MergedOffsets {
    let (target, other) = if options.target == Which::A { (a, b) } else { (b, a) };
    let [own, theirs] = [target, other].map(|side| tables(side, options.file));
    let mut changes = Vec::new();
    let mut merge = |name, own: &OffsetTable, theirs: &OffsetTable| {
        let mut table = own.clone();
        for (key, queues) in theirs {
            let merged = table.entry(key.clone()).or_default();
            for (queue_id, offset) in queues {
                let value = merged.entry(*queue_id).or_insert(*offset);
                *value = (*value).max(*offset);
            }
        }
        for (key, queues) in &mut table {
            for (queue_id, offset) in queues {
                let larger = *offset;
                *offset = clamp(target, other, key, *queue_id, larger);
                let of = |table: &OffsetTable| table.get(key).and_then(|queues| queues.get(queue_id)).copied();
                let (in_target, in_other) = (of(own), of(theirs));
                if in_target != Some(*offset) {
                    changes.push(MergedOffset {
                        table: name,
                        key: key.clone(),
                        queue_id: *queue_id,
                        target: in_target,
                        other: in_other,
                        merged: *offset,
                        clamped: larger != *offset,
                    });
                }
            }
        }
        table
    };
    let table = merge(None, &own.plain, &theirs.plain);
    let lmq = merge(Some(LMQ_TABLE), &own.lmq, &theirs.lmq);
    let pull = merge(Some(PULL_TABLE), &own.pull, &theirs.pull);
    let version = version(a, b, options.file);
    let lmq_table = lmq.into_iter().filter_map(|(key, queues)| Some((key, *queues.get(&0)?))).collect();
    let bytes = write((&table, &lmq_table, &pull), version, options).into_bytes();
    MergedOffsets { bytes, table, lmq_table, pull_table: pull, changes }
}

#[derive(Debug, Default)]
struct Tables {
    plain: OffsetTable,
    lmq: OffsetTable,
    pull: OffsetTable,
}

fn tables(side: &Snapshot, file: OffsetFile) -> Tables {
    match file {
        OffsetFile::Consumer => Tables {
            plain: side.consumer_offsets.clone().unwrap_or_default(),
            pull: side.pull_offsets.clone().unwrap_or_default(),
            ..Tables::default()
        },
        OffsetFile::Lmq => {
            let LmqOffsets { offset_table, lmq_offset_table } = side.lmq_consumer_offsets.clone().unwrap_or_default();
            let lmq = lmq_offset_table.into_iter().map(|(key, offset)| (key, [(0, offset)].into()));
            Tables { plain: offset_table, lmq: lmq.collect(), ..Tables::default() }
        }
    }
}

fn clamp(target: &Snapshot, other: &Snapshot, key: &str, queue_id: i32, offset: i64) -> i64 {
    let Some((topic, _)) = split_topic_at_group(key) else { return offset };
    if [target, other].iter().any(|side| side.static_topics.iter().any(|name| name == topic)) {
        return offset;
    }
    let signed = |offset: u64| i64::try_from(offset).unwrap_or(i64::MAX);
    match (target.queue(topic, queue_id), other.queue(topic, queue_id)) {
        (Some(queue), _) => offset.clamp(signed(queue.min_offset), signed(queue.max_offset)),
        (None, Some(_)) => 0,
        (None, None) => offset,
    }
}

/// The newer of both versions. A counter of 0 keeps a broker with RocksDB configuration from importing the file.
fn version(a: &Snapshot, b: &Snapshot, file: OffsetFile) -> Version {
    let of = |side: &Snapshot| side.data_versions.get(file.as_str()).copied();
    let newest = [of(a), of(b)].into_iter().flatten().max_by_key(Version::key).unwrap_or_default();
    let stored = [a, b].iter().filter_map(|side| side.log.newest_store_timestamp).max();
    Version { counter: newest.counter.max(0) + 1, timestamp: newest.timestamp.or(stored), ..newest }
}

/// The text as `RemotingSerializable.toJson(.., true)` of the release gives it, keys sorted.
fn write(
    (table, lmq, pull): (&OffsetTable, &BTreeMap<String, i64>, &OffsetTable),
    version: Version,
    MergeOptions { release, file, .. }: MergeOptions,
) -> String {
    let behaviour = release.behaviour();
    let own_lines = behaviour.json_writer.value == JsonWriter::Fastjson2;
    let mut text = String::from("{\n");
    // Up to 4.9.8 the table has no counter.
    if behaviour.data_version_fields.value == DataVersionFields::StateVersion {
        let _ = write!(
            text,
            "\t\"dataVersion\":{{\n\t\t\"counter\":{},\n\t\t\"stateVersion\":{},\n\t\t\"timestamp\":{}\n\t}},\n",
            version.counter,
            version.state_version.unwrap_or(0),
            version.timestamp.unwrap_or(0)
        );
        text.push_str("\t\"groupTopicMap\":");
        write_map(&mut text, &topics_of_groups(table), |text, (group, topics)| {
            let topics: Vec<_> = topics.iter().map(|topic| quoted(topic)).collect();
            if own_lines {
                let _ = write!(text, "{}:[\n\t\t\t{}\n\t\t]", quoted(group), topics.join(",\n\t\t\t"));
            } else {
                let _ = write!(text, "{}:[{}]", quoted(group), topics.join(","));
            }
        });
        text.push_str(",\n");
    }
    if file == OffsetFile::Lmq {
        text.push_str("\t\"lmqOffsetTable\":");
        let entries: Vec<_> = lmq.iter().collect();
        write_map(&mut text, &entries, |text, (key, offset)| {
            let _ = write!(text, "{}:{offset}", quoted(key));
        });
        text.push_str(",\n");
    }
    text.push_str("\t\"offsetTable\":");
    write_offsets(&mut text, table, own_lines);
    if file == OffsetFile::Consumer && release >= Release::V5_5_0 {
        text.push_str(",\n\t\"pullOffsetTable\":");
        write_offsets(&mut text, pull, own_lines);
    }
    text.push_str("\n}");
    text
}

fn write_offsets(text: &mut String, table: &OffsetTable, own_lines: bool) {
    let entries: Vec<_> = table.iter().collect();
    write_map(text, &entries, |text, (key, queues)| {
        let offsets: Vec<_> = queues.iter().map(|(queue_id, offset)| format!("{queue_id}:{offset}")).collect();
        let (open, between) = if own_lines { ("\n\t\t\t", ",\n\t\t\t") } else { ("", ",") };
        if offsets.is_empty() {
            let _ = write!(text, "{}:{{}}", quoted(key));
        } else {
            let _ = write!(text, "{}:{{{open}{}\n\t\t}}", quoted(key), offsets.join(between));
        }
    });
}

fn write_map<T>(text: &mut String, entries: &[T], entry: impl Fn(&mut String, &T)) {
    if entries.is_empty() {
        text.push_str("{}");
        return;
    }
    for (n, one) in entries.iter().enumerate() {
        text.push_str(if n == 0 { "{\n\t\t" } else { ",\n\t\t" });
        entry(text, one);
    }
    text.push_str("\n\t}");
}

fn topics_of_groups(table: &OffsetTable) -> Vec<(&str, Vec<&str>)> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (topic, group) in table.keys().filter_map(|key| split_topic_at_group(key)) {
        groups.entry(group).or_default().push(topic);
    }
    groups.into_iter().collect()
}

fn quoted(text: &str) -> String {
    // Strings always serialize.
    serde_json::to_string(text).unwrap_or_default()
}
