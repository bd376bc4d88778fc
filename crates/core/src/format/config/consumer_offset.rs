//! `consumerOffset.json` and `lmqConsumerOffset.json`: how far each group has consumed. Written every 5 seconds.
//!
//! ```text
//! {"dataVersion":{…},"groupTopicMap":{"GID_a":["TopicTest"]},"offsetTable":{"TopicTest@GID_a":{0:123,1:456}}}
//! ```
//!
//! | member | since | meaning |
//! |---|---|---|
//! | `offsetTable` | 3.x | `topic@group` → queue id → committed queue offset |
//! | `dataVersion`, `groupTopicMap` | 5.0.0 | change counter; topics of each group, derived from the offsets |
//! | `pullOffsetTable` | 5.5.0 | as `offsetTable`, offset of the last pull |
//! | `lmqOffsetTable` | 4.9.3 | only in `lmqConsumerOffset.json`: `topic@group` → offset, for groups named `%LMQ%…` |
//!
//! With `enableLmq=true` the broker uses `lmqConsumerOffset.json` *instead of* `consumerOffset.json`.
//!
//! Java: `broker/.../offset/ConsumerOffsetManager.java` at 3.2.6, 3.5.8, 4.3.2, 5.3.3;
//! `LmqConsumerOffsetManager.java` at 4.9.3, 5.3.3.

use std::collections::BTreeMap;

use super::fastjson::{self, ConfigError};
use super::node::{Fields, Node, long, numeric_table, string_key, text};
use super::{ConfigTable, DataVersion};

/// What `consumerOffset.json` or `lmqConsumerOffset.json` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerOffsetTable {
    /// Counts the changes; `None` as written before 5.0.0. While it is 0, a RocksDB config does not import the file.
    pub data_version: Option<DataVersion>,
    /// `topic@group` → queue id → committed queue offset.
    pub offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
    /// `topic@group` → queue id → offset of the last pull; `None` as written before 5.5.0.
    pub pull_offset_table: Option<BTreeMap<String, BTreeMap<i32, i64>>>,
    /// `topic@group` → offset, of the groups named `%LMQ%…`; `None` in `consumerOffset.json`.
    pub lmq_offset_table: Option<BTreeMap<String, i64>>,
    /// Group → its topics, derived by the broker; `None` as written before 5.0.0.
    pub group_topic_map: Option<BTreeMap<String, Vec<String>>>,
    /// Members of the root that no release read here writes.
    pub unknown_keys: Vec<String>,
}

/// One committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommittedOffset<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The consumer group.
    pub group: &'a str,
    /// The queue.
    pub queue_id: i32,
    /// The next queue offset the group wants, as stored.
    pub offset: i64,
}

impl ConsumerOffsetTable {
    /// The committed offsets, sorted by key and queue, of all keys that are `topic@group`; those of `lmqOffsetTable`
    /// come last and count for queue 0, the only one such a queue has.
    pub fn committed(&self) -> impl Iterator<Item = CommittedOffset<'_>> {
        let plain = self.offset_table.iter().filter_map(|(key, queues)| Some((split_topic_at_group(key)?, queues)));
        let plain = plain.flat_map(|((topic, group), queues)| {
            let queues = queues.iter();
            queues.map(move |(queue_id, offset)| CommittedOffset { topic, group, queue_id: *queue_id, offset: *offset })
        });
        let lmq = self.lmq_offset_table.iter().flatten().filter_map(|(key, offset)| {
            let (topic, group) = split_topic_at_group(key)?;
            Some(CommittedOffset { topic, group, queue_id: 0, offset: *offset })
        });
        plain.chain(lmq)
    }

    /// The keys of `offsetTable` and `lmqOffsetTable` that are not `topic@group`.
    pub fn keys_that_do_not_split(&self) -> impl Iterator<Item = &str> {
        let lmq = self.lmq_offset_table.iter().flat_map(BTreeMap::keys);
        let keys = self.offset_table.keys().chain(lmq).map(String::as_str);
        keys.filter(|key| split_topic_at_group(key).is_none())
    }
}

/// The topic and the group of a key `topic@group`, or `None` if one of them is empty.
///
/// Neither name may hold an `@`. Should a group do so nevertheless, the topic still ends at the first one, unless the
/// topic is the group's own `%RETRY%group` or `%DLQ%group`.
///
/// ```
/// use mqstore_core::format::config::consumer_offset::split_topic_at_group;
///
/// assert_eq!(split_topic_at_group("%RETRY%GID_a@GID_a"), Some(("%RETRY%GID_a", "GID_a")));
/// assert_eq!(split_topic_at_group("TopicTest"), None);
/// ```
pub fn split_topic_at_group(key: &str) -> Option<(&str, &str)> {
    let own = ["%RETRY%", "%DLQ%"].into_iter().find_map(|prefix| {
        let names = key.strip_prefix(prefix)?;
        // `group@group` is twice as long as the group, and one byte.
        let group = names.get(names.len() / 2 + 1..)?;
        let topic = key.get(..prefix.len() + names.len() / 2)?;
        (topic.strip_prefix(prefix) == Some(group) && key.get(topic.len()..)?.starts_with('@'))
            .then_some((topic, group))
    });
    own.or_else(|| key.split_once('@')).filter(|(topic, group)| !topic.is_empty() && !group.is_empty())
}

/// Offsets of one topic and group by queue: `{"offsetTable":{"0":1}}`, the value of a row of RocksDB.
pub fn parse_offsets_of_group(bytes: &[u8]) -> Result<BTreeMap<i32, i64>, ConfigError> {
    let root = fastjson::parse(bytes)?.root;
    let fields = Fields::of(&root)?;
    fields.get("offsetTable").map_or_else(|| Ok(BTreeMap::new()), numeric_table)
}

impl ConfigTable for ConsumerOffsetTable {
    const TABLES: &'static [&'static str] = &["offsetTable"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        let topics = |node: &Node| match &node.value {
            super::Value::Array(names) => names.iter().map(text).collect(),
            _ => Err(node.unexpected("an array")),
        };
        Ok(Self {
            data_version: DataVersion::of_root(&fields)?,
            offset_table: fields.table("offsetTable", string_key, numeric_table)?.unwrap_or_default(),
            pull_offset_table: fields.table("pullOffsetTable", string_key, numeric_table)?,
            lmq_offset_table: fields.table("lmqOffsetTable", string_key, long)?,
            group_topic_map: fields.table("groupTopicMap", string_key, topics)?,
            unknown_keys: fields.unknown(&[
                "dataVersion",
                "groupTopicMap",
                "lmqOffsetTable",
                "offsetTable",
                "pullOffsetTable",
            ]),
        })
    }
}
