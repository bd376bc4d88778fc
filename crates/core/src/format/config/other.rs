//! The rarer files of 5.x: static topics, ordered POP, request modes, metrics.
//!
//! | file | since | root |
//! |---|---|---|
//! | `topicQueueMapping.json` | 5.0.0 | `dataVersion`, `topicQueueMappingInfoMap`: topic → detail |
//! | `consumerOrderInfo.json` | 5.0.0 | `table`: `topic@group` → queue id → order info |
//! | `messageRequestMode.json` | 5.0.0 | `messageRequestModeMap`: topic → group → mode |
//! | `timermetrics` | 5.0.0 | `dataVersion`, `timingCount`: topic → `{count, timeStamp}` |
//! | `transactionMetrics` | 5.2.0 | `dataVersion`, `transactionCount`: topic → `{count, timeStamp}` |
//!
//! On a broker with static topics, the queue ids and offsets of consumers are logical ones: do not compare them with the
//! consume queues directly. Order info comes in two spellings, long names in 5.0.0 and short ones from 5.1.0; it was
//! never seen non-empty on a running broker, the fields are by reading the source.
//!
//! Java: `TopicQueueMappingDetail`, `LogicQueueMappingItem`, `ConsumerOrderInfoManager`, `MessageRequestModeManager`,
//! `TimerMetrics`, `TransactionMetrics` at 5.0.0, 5.1.1, 5.3.3.

use std::collections::BTreeMap;

use super::fastjson::ConfigError;
use super::node::{Fields, Node, Value, int, int_key, long, string_key, table};
use super::{ConfigTable, DataVersion};

/// What `topicQueueMapping.json` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicQueueMappingTable {
    /// Counts the changes.
    pub data_version: Option<DataVersion>,
    /// Static topic → where its queues are.
    pub topics: BTreeMap<String, TopicQueueMappingDetail>,
    /// Members of the root that no release read here writes.
    pub unknown_keys: Vec<String>,
}

/// Where the queues of a static topic are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicQueueMappingDetail {
    /// The topic inside the entry.
    pub topic: Option<String>,
    /// Scope of the static topic.
    pub scope: Option<String>,
    /// Number of global queues.
    pub total_queues: i32,
    /// Name of this broker.
    pub bname: Option<String>,
    /// Version of the mapping, in milliseconds since the epoch.
    pub epoch: i64,
    /// Global queue id → id of the queue on this broker.
    pub curr_id_map: BTreeMap<i32, i32>,
    /// Global queue id → the pieces it consists of, oldest first.
    pub hosted_queues: BTreeMap<i32, Vec<LogicQueueMappingItem>>,
}

/// One piece of a global queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogicQueueMappingItem {
    /// Generation.
    pub generation: i32,
    /// Queue on the broker.
    pub queue_id: i32,
    /// Name of the broker.
    pub bname: Option<String>,
    /// Logical offset of the piece's first message.
    pub logic_offset: i64,
    /// First queue offset on the broker.
    pub start_offset: i64,
    /// End of the piece on the broker, exclusive; -1 while it is written to.
    pub end_offset: i64,
    /// Time of its first message in milliseconds since the epoch, -1 unknown.
    pub time_of_start: i64,
    /// Time of its last message in milliseconds since the epoch, -1 unknown.
    pub time_of_end: i64,
}

/// What `consumerOrderInfo.json` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerOrderInfoTable {
    /// `topic@group` → queue id → what was popped last.
    pub table: BTreeMap<String, BTreeMap<i32, OrderInfo>>,
    /// Members of the root besides the table, such as `orderedConsumptionLevel`.
    pub unknown_keys: Vec<String>,
}

/// What an ordered POP consumer got last from one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrderInfo {
    /// Time of the pop in milliseconds since the epoch; `None` as written by 5.0.0.
    pub pop_time: Option<i64>,
    /// How long it stays invisible, in milliseconds; `None` as written by 5.0.0.
    pub invisible_time: Option<i64>,
    /// Queue offsets as stored: from 5.1.0 the first is absolute, the others are distances from it.
    pub offset_list: Vec<i64>,
    /// Queue offset → when it becomes visible again, in milliseconds since the epoch.
    pub offset_next_visible_time: BTreeMap<i64, i64>,
    /// Queue offset → times consumed.
    pub offset_consumed_count: BTreeMap<i64, i32>,
    /// Time of the last consumption in milliseconds since the epoch.
    pub last_consume_timestamp: i64,
    /// Bit n is set when entry n of the list is acknowledged.
    pub commit_offset_bit: i64,
    /// Id of the attempt; `None` as written before 5.1.1.
    pub attempt_id: Option<String>,
}

/// What `messageRequestMode.json` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageRequestModeTable {
    /// Topic → group → how the group is served.
    pub modes: BTreeMap<String, BTreeMap<String, MessageRequestMode>>,
    /// Members of the root that no release read here writes.
    pub unknown_keys: Vec<String>,
}

/// How a group is served on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageRequestMode {
    /// `PULL` or `POP`.
    pub mode: String,
    /// How many consumers share a queue in POP mode, -1 all.
    pub pop_share_queue_num: i32,
}

/// What `timermetrics` or `transactionMetrics` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsTable {
    /// Counts the changes.
    pub data_version: Option<DataVersion>,
    /// Topic → messages waiting.
    pub counts: BTreeMap<String, Metric>,
    /// Members of the root that no release read here writes.
    pub unknown_keys: Vec<String>,
}

/// Messages waiting for their time or their decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Number of messages; a broker was seen to write a negative one.
    pub count: i64,
    /// Time of the last change in milliseconds since the epoch.
    pub time_stamp: i64,
}

impl ConfigTable for TopicQueueMappingTable {
    const TABLES: &'static [&'static str] = &["topicQueueMappingInfoMap"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        let topics = fields.table("topicQueueMappingInfoMap", string_key, TopicQueueMappingDetail::from_node)?;
        Ok(Self {
            data_version: DataVersion::of_root(&fields)?,
            topics: topics.unwrap_or_default(),
            unknown_keys: fields.unknown(&["dataVersion", "topicQueueMappingInfoMap"]),
        })
    }
}

impl TopicQueueMappingDetail {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        let items = |node: &Node| match &node.value {
            Value::Array(items) => items.iter().map(LogicQueueMappingItem::from_node).collect(),
            _ => Err(node.unexpected("an array")),
        };
        Ok(Self {
            topic: fields.string("topic")?,
            scope: fields.string("scope")?,
            total_queues: fields.i32("totalQueues")?.unwrap_or(0),
            bname: fields.string("bname")?,
            epoch: fields.i64("epoch")?.unwrap_or(0),
            curr_id_map: fields.table("currIdMap", int_key, int)?.unwrap_or_default(),
            hosted_queues: fields.table("hostedQueues", int_key, items)?.unwrap_or_default(),
        })
    }
}

impl LogicQueueMappingItem {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        Ok(Self {
            generation: fields.i32("gen")?.unwrap_or(0),
            queue_id: fields.i32("queueId")?.unwrap_or(0),
            bname: fields.string("bname")?,
            logic_offset: fields.i64("logicOffset")?.unwrap_or(0),
            start_offset: fields.i64("startOffset")?.unwrap_or(0),
            end_offset: fields.i64("endOffset")?.unwrap_or(-1),
            time_of_start: fields.i64("timeOfStart")?.unwrap_or(-1),
            time_of_end: fields.i64("timeOfEnd")?.unwrap_or(-1),
        })
    }
}

impl ConfigTable for ConsumerOrderInfoTable {
    const TABLES: &'static [&'static str] = &["table"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        let queues = |node: &Node| table(node, int_key, OrderInfo::from_node);
        Ok(Self {
            table: fields.table("table", string_key, queues)?.unwrap_or_default(),
            unknown_keys: fields.unknown(&["table"]),
        })
    }
}

impl OrderInfo {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        let offset_key = |name: &str, node: &Node| {
            name.parse::<i64>().map_err(|_| node.unexpected("a value under a key that is an integer"))
        };
        let offsets = if fields.get("o").is_some() { "o" } else { "offsetList" };
        let last = fields.i64("l")?.or(fields.i64("lastConsumeTimestamp")?);
        let bits = fields.i64("cm")?.or(fields.i64("commitOffsetBit")?);
        Ok(Self {
            pop_time: fields.i64("popTime")?,
            invisible_time: fields.i64("i")?,
            offset_list: fields.list(offsets, long)?,
            offset_next_visible_time: fields.table("ot", offset_key, long)?.unwrap_or_default(),
            offset_consumed_count: fields.table("oc", offset_key, int)?.unwrap_or_default(),
            last_consume_timestamp: last.unwrap_or(0),
            commit_offset_bit: bits.unwrap_or(0),
            attempt_id: fields.string("a")?,
        })
    }
}

impl ConfigTable for MessageRequestModeTable {
    const TABLES: &'static [&'static str] = &["messageRequestModeMap"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        let groups = |node: &Node| table(node, string_key, MessageRequestMode::from_node);
        Ok(Self {
            modes: fields.table("messageRequestModeMap", string_key, groups)?.unwrap_or_default(),
            unknown_keys: fields.unknown(&["messageRequestModeMap"]),
        })
    }
}

impl MessageRequestMode {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        Ok(Self {
            mode: fields.string("mode")?.unwrap_or_else(|| "PULL".to_owned()),
            pop_share_queue_num: fields.i32("popShareQueueNum")?.unwrap_or(0),
        })
    }
}

impl ConfigTable for MetricsTable {
    const TABLES: &'static [&'static str] = &["timingCount", "transactionCount"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        let table = if fields.get("transactionCount").is_some() { "transactionCount" } else { "timingCount" };
        Ok(Self {
            data_version: DataVersion::of_root(&fields)?,
            counts: fields.table(table, string_key, Metric::from_node)?.unwrap_or_default(),
            unknown_keys: fields.unknown(&["dataVersion", "timingCount", "transactionCount"]),
        })
    }
}

impl Metric {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        Ok(Self { count: fields.i64("count")?.unwrap_or(0), time_stamp: fields.i64("timeStamp")?.unwrap_or(0) })
    }
}
