//! The keys that decide where a store lies, how its files look and what a start does to them. Many more exist; of those
//! mqstore says nothing.

use super::Release;

/// Type of a key's setter, and so what its value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueKind {
    /// `int`: a number of 32 bits.
    Int,
    /// `long`: a number of 64 bits.
    Long,
    /// `boolean`: `true` in any case is true, everything else false.
    Bool,
    /// `String`.
    Text,
    /// `BrokerRole`: `ASYNC_MASTER`, `SYNC_MASTER` or `SLAVE`.
    BrokerRole,
    /// `FlushDiskType`: `ASYNC_FLUSH` or `SYNC_FLUSH`.
    FlushDiskType,
    /// Has no setter in any release.
    NeverRead,
}

/// One key of `broker.conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfKey {
    /// Its name; with a `*` at the end all names that start so.
    pub name: &'static str,
    /// What its value must look like.
    pub kind: ValueKind,
    /// First release that reads it.
    pub since: Release,
    /// Last release that reads it.
    pub until: Release,
    /// Name of the same setting in the other releases.
    pub other_name: Option<&'static str>,
}

impl ConfKey {
    /// The key of that name, if it is one that mqstore can judge.
    pub fn find(name: &str) -> Option<&'static ConfKey> {
        let matches =
            |key: &&ConfKey| key.name.strip_suffix('*').map_or(key.name == name, |start| name.starts_with(start));
        KEYS.iter().find(matches)
    }

    /// All keys that mqstore can judge.
    pub fn all() -> &'static [ConfKey] {
        KEYS
    }

    /// Whether the release has a setter for it.
    pub fn is_read_by(&self, release: Release) -> bool {
        self.kind != ValueKind::NeverRead && self.since <= release && release <= self.until
    }
}

const fn key(name: &'static str, kind: ValueKind, since: Release, until: Release) -> ConfKey {
    ConfKey { name, kind, since, until, other_name: None }
}

const fn renamed(name: &'static str, kind: ValueKind, since: Release, until: Release, other: &'static str) -> ConfKey {
    ConfKey { name, kind, since, until, other_name: Some(other) }
}

const FIRST: Release = Release::OLDEST;
const LAST: Release = Release::NEWEST;

#[rustfmt::skip]
const KEYS: &[ConfKey] = {
    use Release as R;
    use ValueKind::{Bool, BrokerRole, FlushDiskType, Int, Long, NeverRead, Text};
    &[
        // Where things lie.
        key("storePathRootDir", Text, FIRST, LAST),
        key("storePathCommitLog", Text, FIRST, LAST),
        key("readOnlyCommitLogStorePaths", Text, R::V4_9_2, LAST),
        key("storePathDLedgerCommitLog", Text, R::V4_9_4, LAST),
        key("storePathEpochFile", Text, R::V5_0_0, LAST),
        key("storePathBrokerIdentity", Text, R::V5_1_1, LAST),
        key("storePathConsumeQueue", NeverRead, FIRST, LAST),
        key("storePathIndex", NeverRead, FIRST, LAST),
        key("storeCheckpoint", NeverRead, FIRST, LAST),
        key("abortFile", NeverRead, FIRST, LAST),
        key("maxCommitLogFilesNumber", NeverRead, FIRST, LAST),
        key("useSeparateStorePathForRocksdbCQ", Bool, R::V5_5_0, LAST),
        // Sizes.
        renamed("mapedFileSizeCommitLog", Int, FIRST, R::V4_5_1, "mappedFileSizeCommitLog"),
        renamed("mappedFileSizeCommitLog", Int, R::V4_5_2, LAST, "mapedFileSizeCommitLog"),
        renamed("mapedFileSizeConsumeQueue", Int, FIRST, R::V4_5_1, "mappedFileSizeConsumeQueue"),
        renamed("mappedFileSizeConsumeQueue", Int, R::V4_5_2, LAST, "mapedFileSizeConsumeQueue"),
        key("mappedFileSizeConsumeQueueExt", Int, R::V4_1_0, LAST),
        key("bitMapLengthConsumeQueueExt", Int, R::V4_1_0, LAST),
        key("mapperFileSizeBatchConsumeQueue", Int, R::V5_0_0, LAST),
        key("mappedFileSizeTimerLog", Int, R::V5_0_0, LAST),
        key("compactionMappedFileSize", Int, R::V5_1_0, LAST),
        key("compactionCqMappedFileSize", Int, R::V5_1_0, LAST),
        key("maxHashSlotNum", Int, FIRST, LAST),
        key("maxIndexNum", Int, FIRST, LAST),
        key("maxMessageSize", Int, FIRST, LAST),
        // Who the broker is.
        key("brokerClusterName", Text, FIRST, LAST),
        key("brokerName", Text, FIRST, LAST),
        key("brokerId", Long, FIRST, LAST),
        key("brokerRole", BrokerRole, FIRST, LAST),
        key("brokerIP1", Text, FIRST, LAST),
        key("brokerIP2", Text, FIRST, LAST),
        key("listenPort", Int, FIRST, LAST),
        key("haListenPort", Int, FIRST, LAST),
        key("haMasterAddress", Text, FIRST, LAST),
        key("namesrvAddr", Text, FIRST, LAST),
        // What is kept and flushed.
        key("flushDiskType", FlushDiskType, FIRST, LAST),
        key("flushIntervalCommitLog", Int, FIRST, LAST),
        key("fileReservedTime", Int, FIRST, LAST),
        key("deleteWhen", Text, FIRST, LAST),
        key("diskMaxUsedSpaceRatio", Int, FIRST, LAST),
        key("warmMapedFileEnable", Bool, R::V3_3_1, LAST),
        key("transientStorePoolEnable", Bool, R::V4_0_0, LAST),
        // What is written, and how it is read again.
        key("messageDelayLevel", Text, FIRST, LAST),
        key("messageIndexEnable", Bool, FIRST, LAST),
        key("messageIndexSafe", Bool, FIRST, LAST),
        key("checkCRCOnRecover", Bool, FIRST, LAST),
        key("duplicationEnable", Bool, R::V3_5_5, LAST),
        key("enableConsumeQueueExt", Bool, R::V4_1_0, LAST),
        key("enableDLegerCommitLog", Bool, R::V4_5_0, LAST),
        key("dLegerGroup", Text, R::V4_5_0, LAST),
        key("dLegerPeers", Text, R::V4_5_0, LAST),
        key("dLegerSelfId", Text, R::V4_5_0, LAST),
        key("enableLmq", Bool, R::V4_9_3, LAST),
        key("enableMultiDispatch", Bool, R::V4_9_3, LAST),
        key("timerWheelEnable", Bool, R::V5_0_0, LAST),
        key("enableControllerMode", Bool, R::V5_0_0, LAST),
        key("recheckReputOffsetFromCq", Bool, R::V5_0_0, LAST),
        key("enableCompaction", Bool, R::V5_1_0, LAST),
        key("autoMessageVersionOnTopicLen", Bool, R::V5_1_0, LAST),
        key("storeType", Text, R::V5_1_4, LAST),
        key("enabledAppendPropCRC", Bool, R::V5_2_0, LAST),
        key("forceVerifyPropCRC", Bool, R::V5_2_0, LAST),
        key("rocksdbCQDoubleWriteEnable", Bool, R::V5_3_1, LAST),
        key("configManagerVersion", Text, R::V5_3_2, LAST),
        key("popConsumerKVServiceInit", Bool, R::V5_3_2, LAST),
        key("popConsumerKVServiceEnable", Bool, R::V5_3_2, LAST),
        key("timerRocksDBEnable", Bool, R::V5_4_0, LAST),
        key("transRocksDBEnable", Bool, R::V5_4_0, LAST),
        key("transferMetadataJsonToRocksdb", Bool, R::V5_3_1, R::V5_3_1),
        key("transferOffsetJsonToRocksdb", Bool, R::V5_3_1, R::V5_3_1),
        // Around it.
        key("autoCreateTopicEnable", Bool, FIRST, LAST),
        key("autoCreateSubscriptionGroup", Bool, FIRST, LAST),
        key("offsetCheckInSlave", Bool, FIRST, LAST),
        renamed("haSlaveFallbehindMax", Int, FIRST, R::V4_9_8, "haMaxGapNotInSync"),
        renamed("haMaxGapNotInSync", Int, R::V5_0_0, LAST, "haSlaveFallbehindMax"),
        key("totalReplicas", Int, R::V5_0_0, LAST),
        key("inSyncReplicas", Int, R::V5_0_0, LAST),
        key("aclEnable", Bool, R::V4_4_0, LAST),
        key("traceTopicEnable", Bool, R::V4_4_0, LAST),
        key("authenticationEnabled", Bool, R::V5_3_0, LAST),
        key("authorizationEnabled", Bool, R::V5_3_0, LAST),
        key("commercial*", Text, FIRST, R::V4_9_8),
        key("filterServerNums", Int, FIRST, R::V5_1_0),
        key("maxDelayTime", Int, FIRST, R::V5_1_0),
        key("memTableFlushInterval", Long, FIRST, R::V5_1_4),
        key("batchWriteKvCqSize", Int, FIRST, R::V5_3_1),
        renamed("isEnableBatchPush", Bool, FIRST, R::V5_1_1, "enableBatchPush"),
        renamed("enableBatchPush", Bool, R::V5_1_2, LAST, "isEnableBatchPush"),
    ]
};
