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
use crate::snapshot::{OffsetTable, Snapshot, Version};

/// What [`merge_offsets`] is to do.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MergeOptions {
    /// The release that will read the file.
    pub release: Release,
    /// The side whose store the file is for: its queues give the range.
    pub target: Which,
}

impl MergeOptions {
    /// A file for the store of `target`, on which a broker of `release` will start.
    pub fn new(release: Release, target: Which) -> Self {
        Self { release, target }
    }
}

/// An offset in the merged file that is not that of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergedOffset {
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
    /// What changes for the target, in the order of the file.
    pub changes: Vec<MergedOffset>,
}

/// Merges the committed offsets of both sides into the text of a `consumerOffset.json`.
///
/// Each offset is the larger one, moved into the target's queue. A queue that only the other side has is empty on the
/// target, so its offsets become 0. Offsets of queues that neither has, and of static topics, whose queue numbers are
/// logical, stay as they are. Groups named `%LMQ%…` are kept in `lmqConsumerOffset.json`, which is not merged.
pub fn merge_offsets(a: &Snapshot, b: &Snapshot, options: MergeOptions) -> MergedOffsets {
    let (target, other) = if options.target == Which::A { (a, b) } else { (b, a) };
    let none = OffsetTable::new();
    let (own, theirs) = (target.consumer_offsets.as_ref(), other.consumer_offsets.as_ref());
    let (own, theirs) = (own.unwrap_or(&none), theirs.unwrap_or(&none));
    let mut table = own.clone();
    for (key, queues) in theirs {
        let merged = table.entry(key.clone()).or_default();
        for (queue_id, offset) in queues {
            let value = merged.entry(*queue_id).or_insert(*offset);
            *value = (*value).max(*offset);
        }
    }
    let mut changes = Vec::new();
    for (key, queues) in &mut table {
        for (queue_id, offset) in queues {
            let larger = *offset;
            *offset = clamp(target, other, key, *queue_id, larger);
            let of = |table: &OffsetTable| table.get(key).and_then(|queues| queues.get(queue_id)).copied();
            let (in_target, in_other) = (of(own), of(theirs));
            if in_target != Some(*offset) {
                changes.push(MergedOffset {
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
    let version = version(a, b);
    MergedOffsets { bytes: write(&table, version, options.release).into_bytes(), table, changes }
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
fn version(a: &Snapshot, b: &Snapshot) -> Version {
    let of = |side: &Snapshot| side.data_versions.get("consumerOffset.json").copied();
    let newest = [of(a), of(b)].into_iter().flatten().max_by_key(Version::key).unwrap_or_default();
    let stored = [a, b].iter().filter_map(|side| side.log.newest_store_timestamp).max();
    Version { counter: newest.counter.max(0) + 1, timestamp: newest.timestamp.or(stored), ..newest }
}

/// The text as `RemotingSerializable.toJson(.., true)` of the release gives it, keys sorted.
fn write(table: &OffsetTable, version: Version, release: Release) -> String {
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
    text.push_str("\t\"offsetTable\":");
    let entries: Vec<_> = table.iter().collect();
    write_map(&mut text, &entries, |text, (key, queues)| {
        let offsets: Vec<_> = queues.iter().map(|(queue_id, offset)| format!("{queue_id}:{offset}")).collect();
        let (open, between) = if own_lines { ("\n\t\t\t", ",\n\t\t\t") } else { ("", ",") };
        if offsets.is_empty() {
            let _ = write!(text, "{}:{{}}", quoted(key));
        } else {
            let _ = write!(text, "{}:{{{open}{}\n\t\t}}", quoted(key), offsets.join(between));
        }
    });
    text.push_str("\n}");
    text
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
