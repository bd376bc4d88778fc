//! What a release puts into a store that others do not know, and what those make of it: the way back, as a table.
//!
//! One row per feature. A row holds for one range of releases that write it and one range of releases that do not know
//! it; the formats themselves are described in [`format`](crate::format).

use super::{Evidence, Release};

/// What becomes of a store with a feature when a release opens it that does not know the feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing that anybody notices.
    Safe,
    /// Everything is served, but something that was set no longer holds.
    Degraded,
    /// Messages are cut, skipped or never delivered.
    LosesData,
    /// It refuses to start, or starts without what the store holds.
    Impossible,
}

impl Effect {
    /// The word for it in JSON: `loses_data`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Degraded => "degraded",
            Self::LosesData => "loses_data",
            Self::Impossible => "impossible",
        }
    }
}

/// A condition on `broker.conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Switch {
    /// The key has this value, in any case.
    Is(&'static str, &'static str),
    /// The key's value holds this text.
    Holds(&'static str, &'static str),
}

impl Switch {
    /// Its key.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Is(key, _) | Self::Holds(key, _) => key,
        }
    }

    /// Whether the configuration fulfils it, as a release reads it that knows the key.
    pub fn is_on(self, conf: &super::conf::BrokerConf) -> bool {
        let value = |key| conf.get(key).map(|entry| entry.value.trim());
        match self {
            Self::Is(key, wanted) => value(key).is_some_and(|value| value.eq_ignore_ascii_case(wanted)),
            Self::Holds(key, part) => value(key).is_some_and(|value| value.contains(part)),
        }
    }
}

/// How a feature gets into a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetsIn {
    /// With every start.
    Start,
    /// As soon as this happens.
    Use(&'static str),
    /// When `broker.conf` says so; any of these is enough.
    Switch(&'static [Switch]),
}

/// What waits in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// Half messages of 4.3.0 and later.
    Half,
    /// Timed messages.
    Timer,
    /// Messages that POP consumers took and did not acknowledge.
    Pop,
}

/// What shows on disk that a feature is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trace {
    /// Nothing that can be told from the files.
    Unseen,
    /// One of these below the store root: a file that is not empty, or a folder with something in it; a `*` at the end
    /// stands for any rest of the name.
    Path(&'static [&'static str]),
    /// A record with magic code 0xDAA320AB.
    MagicV2,
    /// A record with sysFlag 0x10 or 0x20.
    Ipv6Host,
    /// A record with sysFlag 0x80.
    InnerBatch,
    /// A record with the property `__CRC32#`.
    PropertyCrc,
    /// A record larger than the reader's `maxMessageSize`.
    AboveMaxMessageSize,
    /// A topic with attributes in `topics.json`.
    TopicAttributes,
    /// Something that waits: what is through already does not matter.
    Waiting(Waiting),
}

/// Something that some releases put into a store and others do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feature {
    /// Stable name: `ipv6_hosts`.
    pub name: &'static str,
    /// First release that writes it.
    pub since: Release,
    /// First and last release that do not know it.
    pub unknown_to: (Release, Release),
    /// How it gets in.
    pub gets_in: GetsIn,
    /// What shows that it is in.
    pub trace: Trace,
    /// What becomes of it in those that do not know it.
    pub effect: Effect,
    /// What they do with it, one sentence.
    pub says: &'static str,
    /// What to do about it before going back; empty if there is nothing to do.
    pub advice: &'static str,
    /// How that is known.
    pub evidence: Evidence,
}

impl Feature {
    /// All of them, by the release that brought them.
    pub const fn all() -> &'static [Feature] {
        FEATURES
    }

    /// Those that `writer` may leave behind and `reader` does not know.
    pub fn between(writer: Release, reader: Release) -> impl Iterator<Item = &'static Feature> {
        FEATURES.iter().filter(move |feature| feature.since <= writer && feature.is_unknown_to(reader))
    }

    /// Those that `reader` does not know, whoever wrote them.
    pub fn unknown(reader: Release) -> impl Iterator<Item = &'static Feature> {
        FEATURES.iter().filter(move |feature| feature.is_unknown_to(reader))
    }

    /// Whether the release does not know it.
    pub fn is_unknown_to(&self, release: Release) -> bool {
        self.unknown_to.0 <= release && release <= self.unknown_to.1
    }
}

macro_rules! features {
    ($( $name:ident since $since:ident, unknown to $from:ident..$until:ident: $effect:ident, $gets_in:expr, $trace:expr,
        $says:literal, $advice:literal, [$($evidence:ident)+]; )+) => {
        const FEATURES: &[Feature] = &[$( Feature {
            name: stringify!($name),
            since: Release::$since,
            unknown_to: (Release::$from, Release::$until),
            gets_in: $gets_in,
            trace: $trace,
            effect: Effect::$effect,
            says: $says,
            advice: $advice,
            evidence: evidence!($($evidence)+),
        }, )+];
    };
}

macro_rules! evidence {
    (seen $($release:ident)+) => { Evidence::Seen(&[$(Release::$release),+]) };
    (source) => { Evidence::Source };
    (derived) => { Evidence::Derived };
}
pub(super) use evidence;

const TRUE: &str = "true";

features! {
    records_above_512_kib since V3_3_1, unknown to V3_2_6..V3_2_6: LosesData,
        GetsIn::Use("a message larger than its maxMessageSize"), Trace::AboveMaxMessageSize,
        "the log is cut at the first record that is larger than maxMessageSize", "set maxMessageSize above the largest record", [source];
    queue_extension since V4_1_0, unknown to V3_2_6..V4_0_0: LosesData,
        GetsIn::Switch(&[Switch::Is("enableConsumeQueueExt", TRUE)]), Trace::Path(&["consumequeue_ext"]),
        "addresses of extension units are taken for tag hashes: consumers that filter by tag skip messages",
        "leave enableConsumeQueueExt off; once used, the queues must be removed and rebuilt for the older release", [derived];
    consumer_filters since V4_1_0, unknown to V3_2_6..V4_0_0: Safe, GetsIn::Start, Trace::Path(&["config/consumerFilter.json"]),
        "config/consumerFilter.json is ignored", "", [source];
    lock_file since V4_2_0, unknown to V3_2_6..V4_1_0: Safe, GetsIn::Start, Trace::Path(&["lock"]),
        "the file lock is ignored, and no lock is taken: two brokers on one store are not kept apart", "", [seen V3_5_8];
    half_messages since V4_3_0, unknown to V3_2_6..V4_2_0: LosesData,
        GetsIn::Use("a transaction that is open at the stop"), Trace::Waiting(Waiting::Half),
        "half messages that wait are never checked, and so never delivered",
        "let the producers end all transactions before the stop", [source];
    acl_1 since V4_4_0, unknown to V3_2_6..V4_3_2: Degraded,
        GetsIn::Switch(&[Switch::Is("aclEnable", TRUE)]), Trace::Unseen,
        "there is no access control: everybody may send and consume", "close the port to strangers", [source];
    dledger since V4_5_0, unknown to V3_2_6..V4_4_0: Impossible,
        GetsIn::Switch(&[Switch::Is("enableDLegerCommitLog", TRUE)]), Trace::Path(&["dledger-*"]),
        "messages below dledger-* are not seen, and queue entries behind the old end of the log are cut",
        "a migration, not a rollback: leave enableDLegerCommitLog off until there is no way back", [derived];
    ipv6_hosts since V4_6_0, unknown to V3_2_6..V4_5_2: LosesData,
        GetsIn::Use("a client or the broker on an IPv6 address"), Trace::Ipv6Host,
        "the log is cut at the first such record in the range that the start reads, without a warning",
        "keep brokerIP1 and clients on IPv4 while there is to be a way back", [seen V4_5_2];
    hash_slot_count since V4_7_1, unknown to V3_2_6..V4_7_0: Safe, GetsIn::Start, Trace::Unseen,
        "hashSlotCount of index files counts used slots instead of entries", "", [source];
    several_log_folders since V4_9_2, unknown to V3_2_6..V4_9_1: Impossible,
        GetsIn::Switch(&[Switch::Holds("storePathCommitLog", ",")]), Trace::Unseen,
        "the list is taken as one folder name: the log is empty, and from 4.5.0 on the queues are destroyed",
        "keep one folder while there is to be a way back", [derived];
    lmq since V4_9_3, unknown to V3_2_6..V4_9_2: Degraded,
        GetsIn::Switch(&[Switch::Is("enableLmq", TRUE), Switch::Is("enableMultiDispatch", TRUE)]),
        Trace::Path(&["config/lmqConsumerOffset.json", "consumequeue/%LMQ%*"]),
        "light queues get no new messages", "", [source];
    json_fields_of_5 since V5_0_0, unknown to V3_2_6..V4_9_8: Safe, GetsIn::Start, Trace::Unseen,
        "stateVersion and other new fields of the JSON files are read over, and gone with the next persist", "", [seen V4_9_7];
    topic_attributes since V5_0_0, unknown to V3_2_6..V4_9_8: Degraded,
        GetsIn::Use("a topic with attributes: message type, queue type, cleanup policy"), Trace::TopicAttributes,
        "attributes of topics and groups are gone with the next persist", "keep a copy of config/", [seen V4_9_7];
    abort_with_pid since V5_0_0, unknown to V3_2_6..V4_9_8: Safe, GetsIn::Start, Trace::Path(&["abort.bak"]),
        "only the existence of abort counts; abort.bak is ignored", "", [seen V4_9_7];
    checkpoint_fields since V5_0_0, unknown to V3_2_6..V4_9_8: Safe, GetsIn::Start, Trace::Unseen,
        "the new fields of checkpoint are left as they are", "", [seen V4_9_7];
    timer since V5_0_0, unknown to V3_2_6..V4_9_8: LosesData,
        GetsIn::Use("a message with a delivery time that waits at the stop"), Trace::Waiting(Waiting::Timer),
        "timed messages stay in rmq_sys_wheel_timer, undelivered, until they expire; 5.x delivers them when it opens the store again",
        "stop sending timed messages and wait until the last one fired, or go back only for a short time", [seen V4_9_7];
    pop since V5_0_0, unknown to V3_2_6..V4_9_8: LosesData,
        GetsIn::Use("a POP consumer that has not acknowledged at the stop"), Trace::Waiting(Waiting::Pop),
        "messages that POP consumers took and did not acknowledge are not delivered again",
        "stop the POP consumers and wait until nothing is in flight", [source];
    batch_queues since V5_0_0, unknown to V3_2_6..V4_9_8: Impossible,
        GetsIn::Use("a topic with queue.type=BatchCQ"), Trace::Path(&["batchconsumequeue"]),
        "a batch gets one unit: queue offsets part, and the newer release then refuses the queue",
        "a migration, not a rollback: make no topic with queue.type=BatchCQ while there is to be a way back", [source];
    inner_batches since V5_0_0, unknown to V3_2_6..V4_9_8: LosesData,
        GetsIn::Use("a topic with queue.type=BatchCQ"), Trace::InnerBatch,
        "a batch is indexed as one message", "make no topic with queue.type=BatchCQ while there is to be a way back", [source];
    static_topics since V5_0_0, unknown to V3_2_6..V4_9_8: LosesData,
        GetsIn::Use("a static topic"), Trace::Unseen,
        "the mapping of logical to physical queues is gone with the next persist", "keep a copy of config/topicQueueMapping.json", [source];
    controller_mode since V5_0_0, unknown to V3_2_6..V4_9_8: Impossible,
        GetsIn::Switch(&[Switch::Is("enableControllerMode", TRUE)]), Trace::Path(&["epochFileCheckpoint", "brokerIdentity"]),
        "epochs and elections are not known, and plain HA does not speak with controller mode",
        "a migration, not a rollback: leave enableControllerMode off until there is no way back", [source];
    magic_v2 since V5_1_0, unknown to V3_2_6..V5_0_0: LosesData,
        GetsIn::Use("a topic name above 127 bytes, as retry topics of POP get"), Trace::MagicV2,
        "the log is cut at the first such record in the range that the start reads",
        "autoMessageVersionOnTopicLen=false, and short names of groups, while there is to be a way back", [seen V4_9_7];
    compaction since V5_1_0, unknown to V3_2_6..V5_0_0: Degraded,
        GetsIn::Use("a topic with cleanup.policy=COMPACTION"), Trace::Path(&["compaction/compactionLog"]),
        "compacted topics are served from the log only: older values than its first file are not seen", "", [source];
    tiered_storage since V5_1_0, unknown to V3_2_6..V5_0_0: LosesData,
        GetsIn::Use("the plug-in for tiered storage"), Trace::Path(&["config/tieredStoreMetadata.json", "tiered_index_file"]),
        "messages that lie only in tiered storage are not seen", "", [source];
    rocksdb_config since V5_1_4, unknown to V3_2_6..V5_1_3: Impossible,
        GetsIn::Switch(&[Switch::Is("storeType", "defaultRocksDB")]),
        Trace::Path(&["config/topics/CURRENT", "config/subscriptionGroups/CURRENT", "config/consumerOffsets/CURRENT"]),
        "topics, groups and offsets are read from JSON files that nobody kept up",
        "a migration, not a rollback: leave storeType as it is until there is no way back", [source];
    rocksdb_queues since V5_2_0, unknown to V3_2_6..V5_1_4: Impossible,
        GetsIn::Switch(&[Switch::Is("storeType", "defaultRocksDB")]), Trace::Path(&["consumequeue/CURRENT"]),
        "the files of RocksDB are ignored: the queues are empty, or old",
        "a migration, not a rollback: leave storeType as it is until there is no way back", [source];
    property_crc since V5_2_0, unknown to V3_2_6..V5_1_4: Safe,
        GetsIn::Switch(&[Switch::Is("enabledAppendPropCRC", TRUE)]), Trace::PropertyCrc,
        "the property __CRC32# is a property like any other", "", [source];
    transaction_metrics since V5_2_0, unknown to V3_2_6..V5_1_4: Safe, GetsIn::Start, Trace::Path(&["config/transactionMetrics"]),
        "config/transactionMetrics is ignored", "", [source];
    auth_2 since V5_3_0, unknown to V3_2_6..V5_2_0: Degraded,
        GetsIn::Switch(&[Switch::Is("authenticationEnabled", TRUE), Switch::Is("authorizationEnabled", TRUE)]),
        Trace::Path(&["config/users", "config/acls"]),
        "users and rules are ignored: everybody may send and consume", "close the port to strangers", [source];
    rocksdb_config_kv_data_version since V5_3_1, unknown to V5_1_4..V5_3_0: Impossible,
        GetsIn::Switch(&[Switch::Is("storeType", "defaultRocksDB")]), Trace::Path(&["config/topics/CURRENT"]),
        "the database has column families that the release does not open: it refuses to start",
        "a complete backup from before is the only way back", [source];
    config_v2 since V5_3_2, unknown to V3_2_6..V5_3_1: Impossible,
        GetsIn::Switch(&[Switch::Is("configManagerVersion", "v2")]), Trace::Path(&["config/rdb/CURRENT"]),
        "config/rdb is ignored: topics, groups and offsets are empty or old",
        "leave configManagerVersion as it is until there is no way back", [source];
    pop_kv_store since V5_3_2, unknown to V3_2_6..V5_3_1: LosesData,
        GetsIn::Switch(&[Switch::Is("popConsumerKVServiceEnable", TRUE), Switch::Is("popConsumerKVServiceInit", TRUE)]), Trace::Path(&["kvStore"]),
        "messages in flight that kvStore keeps are not delivered again", "", [derived];
    rocksdb_folder since V5_4_0, unknown to V3_2_6..V5_3_4: Safe, GetsIn::Start, Trace::Path(&["rocksdbstore"]),
        "the folder rocksdbstore is ignored", "", [seen V5_3_3];
    rocksdb_timers_and_transactions since V5_4_0, unknown to V3_2_6..V5_3_4: LosesData,
        GetsIn::Switch(&[Switch::Is("timerRocksDBEnable", TRUE), Switch::Is("transRocksDBEnable", TRUE)]), Trace::Unseen,
        "timed and half messages that wait in rocksdbstore are never delivered",
        "leave timerRocksDBEnable and transRocksDBEnable off until there is no way back", [source];
    tags_in_index since V5_4_0, unknown to V3_2_6..V5_3_4: Safe, GetsIn::Start, Trace::Unseen,
        "index entries for tags are keys that nobody asks for", "", [seen V5_3_3];
    json_of_fastjson2 since V5_4_0, unknown to V3_2_6..V5_3_4: Safe, GetsIn::Start, Trace::Unseen,
        "JSON files with other line breaks are read alike", "", [seen V5_3_3];
    pull_offsets since V5_5_0, unknown to V3_2_6..V5_4_0: Degraded, GetsIn::Start, Trace::Unseen,
        "pullOffsetTable of consumerOffset.json is gone with the next persist", "", [seen V5_3_3];
    separate_rocksdb_queues since V5_5_0, unknown to V3_2_6..V5_4_0: Impossible,
        GetsIn::Switch(&[Switch::Is("useSeparateStorePathForRocksdbCQ", TRUE)]), Trace::Path(&["consumequeue_rocksdb"]),
        "consumequeue_rocksdb is ignored: the queues are empty, or old",
        "leave useSeparateStorePathForRocksdbCQ off until there is no way back", [derived];
}
