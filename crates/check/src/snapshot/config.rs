//! Topics, groups, offsets and small state, read once and by meaning.

use std::collections::{BTreeMap, BTreeSet};

use mqstore_core::format::config::consumer_filter::ConsumerFilterTable;
use mqstore_core::format::config::other::{MessageRequestModeTable, MetricsTable, TopicQueueMappingTable};
use mqstore_core::format::config::subscription_group::{SubscriptionGroupConfig, SubscriptionGroupTable};
use mqstore_core::format::config::topics::{TopicConfig, TopicConfigTable, TopicFilterType};
use mqstore_core::format::config::{ConfigTable, DataVersion};
use mqstore_core::format::system_topic::REVIVE_TOPIC_PREFIX;
use mqstore_core::store::Store;
use mqstore_core::store::config::{ConfigDir, ConfigSource, CopyState, Loaded, Placed};
use serde_json::{Value, json};

use super::document::{Identity, LmqOffsets, Snapshot, Unread};

/// Table of the topics, from `topics.json`.
pub const TOPICS: &str = "topics";
/// Table of the groups, from `subscriptionGroup.json`.
pub const GROUPS: &str = "groups";
/// Table of what groups are forbidden, from `subscriptionGroup.json`.
pub const FORBIDDEN: &str = "forbidden";
/// Table of the filters, `topic@group`, from `consumerFilter.json`.
pub const FILTERS: &str = "filters";
/// Table of the request modes, `topic@group`, from `messageRequestMode.json`.
pub const MODES: &str = "request_modes";

pub(super) fn read(store: &Store, snapshot: &mut Snapshot) {
    let dir = super::config_dir(store);
    offsets(&dir, snapshot);
    tables(&dir, snapshot);
    small_state(&dir, snapshot);
    name_the_broker(snapshot);
}

/// Takes the copy that a broker would load, and says so when there is one that it cannot load.
fn loaded<T>(name: &str, loaded: Loaded<T>, snapshot: &mut Snapshot) -> Option<T> {
    if loaded.source == ConfigSource::Refused {
        let state = match (&loaded.file.state, &loaded.bak.state) {
            (CopyState::Missing | CopyState::Empty, bak) => bak,
            (file, _) => file,
        };
        let why = match state {
            CopyState::Bad(error) => error.to_string(),
            CopyState::TooLarge => "too large".to_owned(),
            other => format!("{other:?}"),
        };
        snapshot.unread.push(Unread { what: format!("config/{name}"), why });
    }
    loaded.into_value()
}

fn newest<T>(name: &str, placed: Placed<T>, snapshot: &mut Snapshot) -> Option<T>
where
    T: mqstore_core::store::config::HasDataVersion,
{
    use mqstore_core::store::config::ConfigPlace;
    match (placed.newest(), placed) {
        (ConfigPlace::Home, Placed { home: Some(home), .. }) => loaded(name, home, snapshot),
        (_, placed) => loaded(name, placed.root, snapshot),
    }
}

fn version(name: &str, version: Option<DataVersion>, snapshot: &mut Snapshot) {
    if let Some(version) = version {
        snapshot.data_versions.insert(name.to_owned(), version.into());
    }
}

fn offsets(dir: &ConfigDir, snapshot: &mut Snapshot) {
    const CONSUMER: &str = "consumerOffset.json";
    const LMQ: &str = "lmqConsumerOffset.json";
    const DELAY: &str = "delayOffset.json";
    let delay = dir.delay_offsets();
    let compact = |path| std::fs::read(path).is_ok_and(|bytes| !bytes.is_empty() && !bytes.contains(&b'\n'));
    snapshot.delay_offsets_compact = delay.copy().is_some_and(|copy| compact(&copy.path));
    if let Some(table) = loaded(DELAY, delay, snapshot) {
        version(DELAY, table.data_version, snapshot);
        snapshot.delay_offsets = Some(table.offset_table);
    }
    if let Some(table) = loaded(CONSUMER, dir.consumer_offsets(), snapshot) {
        version(CONSUMER, table.data_version, snapshot);
        snapshot.consumer_offsets = Some(table.offset_table);
        snapshot.pull_offsets = table.pull_offset_table;
    }
    if let Some(table) = loaded(LMQ, dir.lmq_consumer_offsets(), snapshot) {
        version(LMQ, table.data_version, snapshot);
        let lmq_offset_table = table.lmq_offset_table.unwrap_or_default();
        snapshot.lmq_consumer_offsets = Some(LmqOffsets { offset_table: table.offset_table, lmq_offset_table });
    }
}

fn tables(dir: &ConfigDir, snapshot: &mut Snapshot) {
    if let Some(table) = newest::<TopicConfigTable>("topics.json", dir.topics(), snapshot) {
        version("topics.json", table.data_version, snapshot);
        let topics = table.topics.iter().map(|(name, topic)| (name.clone(), topic_fields(topic))).collect();
        snapshot.config.tables.insert(TOPICS.to_owned(), topics);
    }
    if let Some(table) = newest::<SubscriptionGroupTable>("subscriptionGroup.json", dir.subscription_groups(), snapshot)
    {
        version("subscriptionGroup.json", table.data_version, snapshot);
        let groups = table.groups.iter().map(|(name, group)| (name.clone(), group_fields(group))).collect();
        snapshot.config.tables.insert(GROUPS.to_owned(), groups);
        let forbidden = table.forbidden_table.unwrap_or_default();
        let forbidden: BTreeMap<_, _> = forbidden.into_iter().map(|(group, topics)| (group, json!(topics))).collect();
        snapshot.config.tables.insert(FORBIDDEN.to_owned(), forbidden);
    }
    if let Some(table) = loaded::<ConsumerFilterTable>("consumerFilter.json", dir.consumer_filters(), snapshot) {
        let filters = table.filters.into_iter().flat_map(|(topic, groups)| {
            groups.into_iter().map(move |(group, filter)| {
                let fields = json!({"expression": filter.expression, "expressionType": filter.expression_type});
                (format!("{topic}@{group}"), fields)
            })
        });
        snapshot.config.tables.insert(FILTERS.to_owned(), filters.collect());
    }
    if let Some(table) = load::<MessageRequestModeTable>("messageRequestMode.json", dir, snapshot) {
        let modes = table.modes.into_iter().flat_map(|(topic, groups)| {
            groups.into_iter().map(move |(group, mode)| {
                let fields = json!({"mode": mode.mode, "popShareQueueNum": mode.pop_share_queue_num});
                (format!("{topic}@{group}"), fields)
            })
        });
        snapshot.config.tables.insert(MODES.to_owned(), modes.collect());
    }
    if let Some(table) = load::<TopicQueueMappingTable>("topicQueueMapping.json", dir, snapshot) {
        snapshot.static_topics = table.topics.into_keys().collect();
    }
}

fn load<T: ConfigTable>(name: &str, dir: &ConfigDir, snapshot: &mut Snapshot) -> Option<T> {
    loaded(name, dir.load(name), snapshot)
}

fn small_state(dir: &ConfigDir, snapshot: &mut Snapshot) {
    match dir.timercheck() {
        Ok(timer) => snapshot.timer = timer.map(Into::into),
        Err(error) => snapshot.cannot_read("config/timercheck", &error),
    }
    for name in ["timermetrics", "transactionMetrics"] {
        let Some(table) = load::<MetricsTable>(name, dir, snapshot) else { continue };
        version(name, table.data_version, snapshot);
        let counts = table.counts.into_iter().map(|(topic, metric)| (topic, metric.count)).collect();
        snapshot.waiting.insert(name.to_owned(), counts);
    }
}

fn topic_fields(topic: &TopicConfig) -> Value {
    let filter_type = match &topic.topic_filter_type {
        TopicFilterType::MultiTag => "MULTI_TAG",
        TopicFilterType::Other(name) => name,
        _ => "SINGLE_TAG",
    };
    json!({
        "attributes": topic.attributes.clone().unwrap_or_default(),
        "order": topic.order,
        "perm": topic.perm,
        "readQueueNums": topic.read_queue_nums,
        "topicFilterType": filter_type,
        "topicSysFlag": topic.topic_sys_flag,
        "writeQueueNums": topic.write_queue_nums,
    })
}

fn group_fields(group: &SubscriptionGroupConfig) -> Value {
    let policy = group.group_retry_policy.as_ref();
    let subscriptions = group
        .subscription_data_set
        .iter()
        .flatten()
        .map(|subscription| json!([subscription.topic, subscription.expression_type, subscription.expression]));
    json!({
        "attributes": group.attributes.clone().unwrap_or_default(),
        "brokerId": group.broker_id,
        "consumeBroadcastEnable": group.consume_broadcast_enable,
        "consumeEnable": group.consume_enable,
        "consumeFromMinEnable": group.consume_from_min_enable,
        "consumeMessageOrderly": group.consume_message_orderly.unwrap_or(false),
        "consumeTimeoutMinute": group.consume_timeout_minute.unwrap_or(15),
        "groupRetryPolicy": {
            "type": policy.map_or("CUSTOMIZED", |policy| policy.kind.as_str()),
            "customized": policy.map_or(&[][..], |policy| &policy.customized_next_ms),
            "exponential": policy.and_then(|policy| policy.exponential),
        },
        "groupSysFlag": group.group_sys_flag.unwrap_or(0),
        "notifyConsumerIdsChangedEnable": group.notify_consumer_ids_changed_enable.unwrap_or(true),
        "retryMaxTimes": group.retry_max_times,
        "retryQueueNums": group.retry_queue_nums,
        "subscriptionDataSet": subscriptions.collect::<Vec<_>>(),
        "whichBrokerWhenConsumeSlowly": group.which_broker_when_consume_slowly,
    })
}

/// Cluster and broker by the topics that a broker makes for itself: 5.x puts both names into longer ones; earlier both
/// are topics of permission 7, the cluster's of 16 queues and the broker's of one.
fn name_the_broker(snapshot: &mut Snapshot) {
    let Some(topics) = snapshot.config.tables.get(TOPICS) else { return };
    let suffix_of = |prefix: &str| topics.keys().find_map(|name| name.strip_prefix(prefix)).map(str::to_owned);
    let reply = || topics.keys().find_map(|name| name.strip_suffix("_REPLY_TOPIC")).map(str::to_owned);
    let made = |queues: i64| {
        let fits = |fields: &Value| fields["perm"] == 7 && fields["readQueueNums"] == queues;
        let names = topics.iter().filter(|(name, fields)| *name != "TBW102" && fits(fields)).map(|(name, _)| name);
        let names: BTreeSet<_> = names.collect();
        names.first().filter(|_| names.len() == 1).map(|name| (*name).clone())
    };
    let cluster = suffix_of(REVIVE_TOPIC_PREFIX).or_else(reply).or_else(|| made(16));
    let broker = suffix_of("rmq_sys_SYNC_BROKER_MEMBER_").or_else(|| made(1));
    let Identity { cluster: known_cluster, broker: known_broker, .. } = &mut snapshot.identity;
    *known_cluster = known_cluster.take().or(cluster);
    *known_broker = known_broker.take().or(broker);
}
