//! `consumerFilter.json`: the SQL92 filters of consumers, from 4.1.0. Written every 10 seconds.
//!
//! ```text
//! {"filterDataByTopic":{"T":{"topic":"T","groupFilterData":{"G":{"bloomFilterData":{"bitNum":112,"bitPos":[66,104]},
//!  "bornTime":…,"clientVersion":…,"consumerGroup":"G","dead":false,"deadTime":0,"expression":"color='blue'",
//!  "expressionType":"SQL92","topic":"T"}}}}}
//! ```
//!
//! `dead` is computed from `deadTime` and ignored when read. The bits match those in the extension of the consume queue.
//!
//! Java: `broker/.../filter/ConsumerFilterManager.java`, `ConsumerFilterData.java` at 4.1.0.

use std::collections::BTreeMap;

use super::ConfigTable;
use super::fastjson::ConfigError;
use super::node::{Fields, Node, int, string_key};

/// What `consumerFilter.json` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerFilterTable {
    /// Topic → group → its filter.
    pub filters: BTreeMap<String, BTreeMap<String, ConsumerFilterData>>,
    /// Members of the root that no release read here writes.
    pub unknown_keys: Vec<String>,
}

/// The filter of one group on one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerFilterData {
    /// The group inside the entry.
    pub consumer_group: Option<String>,
    /// The topic inside the entry.
    pub topic: Option<String>,
    /// The filter.
    pub expression: String,
    /// `SQL92`.
    pub expression_type: String,
    /// When the filter was registered, in milliseconds since the epoch.
    pub born_time: i64,
    /// When its last consumer left, in milliseconds since the epoch; 0 while there is one.
    pub dead_time: i64,
    /// Version of the consumer's subscription, in milliseconds since the epoch.
    pub client_version: i64,
    /// Bits of the filter in the bloom filter.
    pub bloom_filter_data: Option<BloomFilterData>,
}

/// Bits that a filter sets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BloomFilterData {
    /// Length of the bloom filter in bits.
    pub bit_num: i32,
    /// The bits set.
    pub bit_pos: Vec<i32>,
}

impl ConfigTable for ConsumerFilterTable {
    const TABLES: &'static [&'static str] = &["filterDataByTopic"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        let groups = |topic: &Node| {
            let groups = Fields::of(topic)?.table("groupFilterData", string_key, ConsumerFilterData::from_node)?;
            Ok(groups.unwrap_or_default())
        };
        Ok(Self {
            filters: fields.table("filterDataByTopic", string_key, groups)?.unwrap_or_default(),
            unknown_keys: fields.unknown(&["filterDataByTopic"]),
        })
    }
}

impl ConsumerFilterData {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        Ok(Self {
            consumer_group: fields.string("consumerGroup")?,
            topic: fields.string("topic")?,
            expression: fields.string("expression")?.unwrap_or_default(),
            expression_type: fields.string("expressionType")?.unwrap_or_default(),
            born_time: fields.i64("bornTime")?.unwrap_or(0),
            dead_time: fields.i64("deadTime")?.unwrap_or(0),
            client_version: fields.i64("clientVersion")?.unwrap_or(0),
            bloom_filter_data: fields.get("bloomFilterData").map(BloomFilterData::from_node).transpose()?,
        })
    }
}

impl BloomFilterData {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        Ok(Self { bit_num: fields.i32("bitNum")?.unwrap_or(0), bit_pos: fields.list("bitPos", int)? })
    }
}
