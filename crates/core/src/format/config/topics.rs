//! `topics.json`: the topics a broker knows. Written on every change, by 5.x also at shutdown.
//!
//! ```text
//! {"dataVersion":{…},"topicConfigTable":{"TopicTest":{"attributes":{},"order":false,"perm":6,"readQueueNums":8,
//!  "topicFilterType":"SINGLE_TAG","topicName":"TopicTest","topicSysFlag":0,"writeQueueNums":8}}}
//! ```
//!
//! | field | type | default | meaning |
//! |---|---|---|---|
//! | `topicName` | string | | the key again |
//! | `readQueueNums`, `writeQueueNums` | int | 16 | queues to read from and to write to; lowered numbers leave queues behind |
//! | `perm` | int | 6 | bits: 1 inherit, 2 write, 4 read, 8 priority |
//! | `topicFilterType` | enum | `SINGLE_TAG` | or `MULTI_TAG` |
//! | `topicSysFlag` | int | 0 | bits: 1 unit, 2 unit-sub |
//! | `order` | bool | false | ordered topic, overwritten by the name server's list |
//! | `attributes` | map | | 5.0.0 and later; always written there |
//!
//! Releases 3.5.1 to 3.5.8 keep the file under `$HOME/store/config`, whatever the store root is.
//!
//! Java: `common/.../TopicConfig.java`, `broker/.../topic/TopicConfigManager.java` at 3.5.8, 4.3.2, 4.9.8, 5.3.3.

use std::collections::BTreeMap;

use super::fastjson::{self, ConfigError};
use super::node::{Fields, Node, Value, string_key, text};
use super::{ConfigTable, DataVersion};

/// What `topics.json` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicConfigTable {
    /// Counts the changes.
    pub data_version: Option<DataVersion>,
    /// Each topic under its name.
    pub topics: BTreeMap<String, TopicConfig>,
    /// Members of the root that no release read here writes.
    pub unknown_keys: Vec<String>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicConfig {
    /// The name inside the entry; differs from the key only in a file that was edited.
    pub topic_name: Option<String>,
    /// Number of queues consumers read. The queues that exist are those on disk, not these.
    pub read_queue_nums: i32,
    /// Number of queues producers write.
    pub write_queue_nums: i32,
    /// Permission bits: 1 inherit, 2 write, 4 read, 8 priority.
    pub perm: i32,
    /// How consumers filter by tag.
    pub topic_filter_type: TopicFilterType,
    /// System flag bits: 1 unit, 2 unit-sub.
    pub topic_sys_flag: i32,
    /// Whether the topic is ordered.
    pub order: bool,
    /// Attributes such as `message.type`; `None` as written before 5.0.0.
    pub attributes: Option<BTreeMap<String, String>>,
}

/// `TopicFilterType` of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicFilterType {
    /// `SINGLE_TAG`
    SingleTag,
    /// `MULTI_TAG`
    MultiTag,
    /// A name that is none of the two.
    Other(String),
}

impl ConfigTable for TopicConfigTable {
    const TABLES: &'static [&'static str] = &["topicConfigTable"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        Ok(Self {
            data_version: DataVersion::of_root(&fields)?,
            topics: fields.table("topicConfigTable", string_key, TopicConfig::from_node)?.unwrap_or_default(),
            unknown_keys: fields.unknown(&["dataVersion", "topicConfigTable"]),
        })
    }
}

impl TopicConfig {
    /// Parses one topic: the value of a row of RocksDB.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::from_node(&fastjson::parse(bytes)?.root)
    }

    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        Ok(Self {
            topic_name: fields.string("topicName")?,
            read_queue_nums: fields.i32("readQueueNums")?.unwrap_or(16),
            write_queue_nums: fields.i32("writeQueueNums")?.unwrap_or(16),
            perm: fields.i32("perm")?.unwrap_or(6),
            topic_filter_type: fields.get("topicFilterType").map_or(Ok(TopicFilterType::SingleTag), filter_type)?,
            topic_sys_flag: fields.i32("topicSysFlag")?.unwrap_or(0),
            order: fields.bool("order")?.unwrap_or(false),
            attributes: fields.table("attributes", string_key, text)?,
        })
    }
}

fn filter_type(node: &Node) -> Result<TopicFilterType, ConfigError> {
    Ok(match &node.value {
        Value::String(name) if name == "SINGLE_TAG" => TopicFilterType::SingleTag,
        Value::String(name) if name == "MULTI_TAG" => TopicFilterType::MultiTag,
        _ => TopicFilterType::Other(text(node)?),
    })
}
