//! `subscriptionGroup.json`: the consumer groups a broker knows. Written on every change, by 5.x also at shutdown.
//!
//! ```text
//! {"dataVersion":{…},"forbiddenTable":{},"subscriptionGroupTable":{"GID_a":{"brokerId":0,"consumeEnable":true,…}}}
//! ```
//!
//! | since | fields (= default) |
//! |---|---|
//! | 3.x | `groupName`, `consumeEnable` = true, `consumeFromMinEnable` = true, `consumeBroadcastEnable` = true, `retryQueueNums` = 1, `retryMaxTimes` = 16, `brokerId` = 0, `whichBrokerWhenConsumeSlowly` = 1 |
//! | 4.0.0 | `notifyConsumerIdsChangedEnable` = true |
//! | 5.0.0 | `consumeMessageOrderly` = false, `groupSysFlag` = 0, `consumeTimeoutMinute` = 15, `groupRetryPolicy`; root: `forbiddenTable` |
//! | 5.1.1 | `subscriptionDataSet`, omitted if null |
//! | 5.1.3 | `attributes` |
//!
//! Fields of a later release are `None` where the file has none: their presence dates the last writer.
//!
//! Java: `common/.../subscription/SubscriptionGroupConfig.java` at 3.2.6, 3.5.8, 4.0.0, 4.3.2, 5.0.0, 5.1.1, 5.1.3, 5.3.3;
//! `broker/.../subscription/SubscriptionGroupManager.java` at 3.5.8, 5.3.3.

use std::collections::BTreeMap;

use super::fastjson::{self, ConfigError};
use super::node::{Fields, Node, long, string_key, table, text};
use super::{ConfigTable, DataVersion};

/// What `subscriptionGroup.json` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionGroupTable {
    /// Counts the changes.
    pub data_version: Option<DataVersion>,
    /// Each group under its name.
    pub groups: BTreeMap<String, SubscriptionGroupConfig>,
    /// Per group and topic a mask of what is forbidden (bit i = forbidden index i); `None` as written before 5.0.0.
    pub forbidden_table: Option<BTreeMap<String, BTreeMap<String, i64>>>,
    /// Members of the root that no release read here writes.
    pub unknown_keys: Vec<String>,
}

/// One consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionGroupConfig {
    /// The name inside the entry; differs from the key only in a file that was edited.
    pub group_name: Option<String>,
    /// Whether the group may consume at all.
    pub consume_enable: bool,
    /// Whether a new group may start at the oldest message.
    pub consume_from_min_enable: bool,
    /// Whether the group may consume in broadcast mode.
    pub consume_broadcast_enable: bool,
    /// Queues of the group's `%RETRY%` topic.
    pub retry_queue_nums: i32,
    /// Retries before a message goes to `%DLQ%`.
    pub retry_max_times: i32,
    /// Broker the group consumes from.
    pub broker_id: i64,
    /// Broker it is sent to when it is slow.
    pub which_broker_when_consume_slowly: i64,
    /// Whether consumers are told of a change in their group (true when absent); `None` as written before 4.0.0.
    pub notify_consumer_ids_changed_enable: Option<bool>,
    /// Whether POP consumes in order (false when absent); `None` as written before 5.0.0.
    pub consume_message_orderly: Option<bool>,
    /// System flag bits (0 when absent); `None` as written before 5.0.0.
    pub group_sys_flag: Option<i32>,
    /// Time a consumer has for a message, in minutes (15 when absent); `None` as written before 5.0.0.
    pub consume_timeout_minute: Option<i32>,
    /// How retries are delayed; `None` as written before 5.0.0.
    pub group_retry_policy: Option<GroupRetryPolicy>,
    /// Topics the group subscribes to, if the broker was told; `None` otherwise.
    pub subscription_data_set: Option<Vec<SimpleSubscriptionData>>,
    /// Attributes; `None` as written before 5.1.3.
    pub attributes: Option<BTreeMap<String, String>>,
}

/// How retries of a group are delayed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupRetryPolicy {
    /// `CUSTOMIZED` or `EXPONENTIAL`.
    pub kind: String,
    /// Delays of a customized policy in milliseconds, one after the other; empty when the file names none.
    pub customized_next_ms: Vec<i64>,
    /// Exponential policy: first delay, longest delay (both milliseconds) and multiplier.
    pub exponential: Option<[i64; 3]>,
}

/// One topic that a group subscribes to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimpleSubscriptionData {
    /// The topic.
    pub topic: String,
    /// `TAG` or `SQL92`.
    pub expression_type: String,
    /// The filter.
    pub expression: String,
    /// Version of the subscription in milliseconds since the epoch.
    pub version: i64,
}

impl ConfigTable for SubscriptionGroupTable {
    const TABLES: &'static [&'static str] = &["subscriptionGroupTable"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        let groups = fields.table("subscriptionGroupTable", string_key, SubscriptionGroupConfig::from_node)?;
        Ok(Self {
            data_version: DataVersion::of_root(&fields)?,
            groups: groups.unwrap_or_default(),
            forbidden_table: fields.table("forbiddenTable", string_key, |group| table(group, string_key, long))?,
            unknown_keys: fields.unknown(&["dataVersion", "subscriptionGroupTable", "forbiddenTable"]),
        })
    }
}

impl SubscriptionGroupConfig {
    /// Parses one group: the value of a row of RocksDB.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::from_node(&fastjson::parse(bytes)?.root)
    }

    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        let subscriptions = fields.get("subscriptionDataSet");
        Ok(Self {
            group_name: fields.string("groupName")?,
            consume_enable: fields.bool("consumeEnable")?.unwrap_or(true),
            consume_from_min_enable: fields.bool("consumeFromMinEnable")?.unwrap_or(true),
            consume_broadcast_enable: fields.bool("consumeBroadcastEnable")?.unwrap_or(true),
            retry_queue_nums: fields.i32("retryQueueNums")?.unwrap_or(1),
            retry_max_times: fields.i32("retryMaxTimes")?.unwrap_or(16),
            broker_id: fields.i64("brokerId")?.unwrap_or(0),
            which_broker_when_consume_slowly: fields.i64("whichBrokerWhenConsumeSlowly")?.unwrap_or(1),
            notify_consumer_ids_changed_enable: fields.bool("notifyConsumerIdsChangedEnable")?,
            consume_message_orderly: fields.bool("consumeMessageOrderly")?,
            group_sys_flag: fields.i32("groupSysFlag")?,
            consume_timeout_minute: fields.i32("consumeTimeoutMinute")?,
            group_retry_policy: fields.get("groupRetryPolicy").map(GroupRetryPolicy::from_node).transpose()?,
            subscription_data_set: match subscriptions {
                Some(_) => Some(fields.list("subscriptionDataSet", SimpleSubscriptionData::from_node)?),
                None => None,
            },
            attributes: fields.table("attributes", string_key, text)?,
        })
    }
}

impl GroupRetryPolicy {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        let customized = fields.get("customizedRetryPolicy").map(Fields::of).transpose()?;
        let exponential = fields.get("exponentialRetryPolicy").map(Fields::of).transpose()?;
        let exponential = exponential.map(|f| -> Result<_, ConfigError> {
            let field = |name| f.i64(name).map(Option::unwrap_or_default);
            Ok([field("initial")?, field("max")?, field("multiplier")?])
        });
        Ok(Self {
            kind: fields.string("type")?.unwrap_or_else(|| "CUSTOMIZED".to_owned()),
            customized_next_ms: customized.map_or(Ok(Vec::new()), |f| f.list("next", long))?,
            exponential: exponential.transpose()?,
        })
    }
}

impl SimpleSubscriptionData {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        Ok(Self {
            topic: fields.string("topic")?.unwrap_or_default(),
            expression_type: fields.string("expressionType")?.unwrap_or_default(),
            expression: fields.string("expression")?.unwrap_or_default(),
            version: fields.i64("version")?.unwrap_or(0),
        })
    }
}
