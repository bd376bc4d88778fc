//! What a release makes of the keys.

use std::path::{Path, PathBuf};

use super::keys::ConfKey;
use super::{BrokerConf, Entry, Release};
use crate::release::rules::{DefaultPlace, SizeKey};

/// Bytes of one unit of a consume queue.
const CQ_STORE_UNIT_SIZE: u64 = 20;
const DELAY_LEVELS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From this key in this line of the file.
    Key {
        /// The key.
        key: &'static str,
        /// Its line, from 1.
        line: usize,
    },
    /// The release's default, although this line sets the key: the value does not parse.
    DefaultInsteadOf {
        /// The key.
        key: &'static str,
        /// Its line, from 1.
        line: usize,
    },
    /// The release's default; the key is not set, or the release does not know it.
    Default,
}

/// A value with its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<T> {
    /// What the broker uses.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Value<T> {
    fn default(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }

    fn map<U>(self, f: impl FnOnce(T) -> U) -> Value<U> {
        Value { value: f(self.value), origin: self.origin }
    }
}

/// Folders of the DLedger commit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DLedgerConf {
    /// `dLegerSelfId`, `None` if unset.
    pub self_id: Value<Option<String>>,
    /// `dLegerGroup`, `None` if unset.
    pub group: Value<Option<String>>,
    /// `<root>/dledger-<selfId>`.
    pub folder: PathBuf,
    /// Folder of the data files.
    pub data: Value<PathBuf>,
}

/// The settings of one broker, as one release reads its `broker.conf`. Paths are as the broker would open them, relative ones
/// not made absolute; sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// The release that reads.
    pub release: Release,
    /// Store root.
    pub store_path_root_dir: Value<PathBuf>,
    /// Folders of the commit log: several only from 4.9.2, when the value holds a `,`. The plain commit log, also when
    /// [`Resolved::dledger`] is set.
    pub commit_log_paths: Value<Vec<PathBuf>>,
    /// Folders that are loaded but not written, honoured only beside several commit log folders.
    pub read_only_commit_log_paths: Value<Vec<PathBuf>>,
    /// Folder of `topics.json` and `subscriptionGroup.json`: not below the root in 3.5.5 to 3.5.8.
    pub topics_json_folder: PathBuf,
    /// Epoch file of controller mode, `None` before 5.0.0.
    pub epoch_file: Option<Value<PathBuf>>,
    /// Identity file of controller mode, `None` before 5.1.1.
    pub broker_identity: Option<Value<PathBuf>>,
    /// DLedger, if `enableDLegerCommitLog` is true and known.
    pub dledger: Option<DLedgerConf>,
    /// Length of commit log files.
    pub mapped_file_size_commit_log: Value<u64>,
    /// Length of consume queue files, rounded up to a multiple of 20.
    pub mapped_file_size_consume_queue: Value<u64>,
    /// Length of queue extension files.
    pub mapped_file_size_consume_queue_ext: Value<u64>,
    /// Length of batch queue files, not rounded.
    pub mapper_file_size_batch_consume_queue: Value<u64>,
    /// Length of timer log files.
    pub mapped_file_size_timer_log: Value<u64>,
    /// Hash slots of an index file.
    pub max_hash_slot_num: Value<u32>,
    /// Entries of an index file.
    pub max_index_num: Value<u32>,
    /// Largest message in bytes.
    pub max_message_size: Value<u32>,
    /// `brokerClusterName`.
    pub broker_cluster_name: Value<String>,
    /// `brokerName`, `None` if unset: the host's name.
    pub broker_name: Value<Option<String>>,
    /// `brokerId` as the broker ends up with: 0 on masters (not in controller mode), -1 with DLedger.
    pub broker_id: Value<i64>,
    /// `ASYNC_MASTER`, `SYNC_MASTER` or `SLAVE`.
    pub broker_role: Value<String>,
    /// `ASYNC_FLUSH` or `SYNC_FLUSH`.
    pub flush_disk_type: Value<String>,
    /// `default` or `defaultRocksDB`.
    pub store_type: Value<String>,
    /// `v1` or `v2`.
    pub config_manager_version: Value<String>,
    /// `messageDelayLevel`, as `1s 5s …`.
    pub message_delay_level: Value<String>,
    /// Hours that commit log files are kept, by their modification time.
    pub file_reserved_time: Value<i32>,
    /// `messageIndexEnable`.
    pub message_index_enable: Value<bool>,
    /// `messageIndexSafe`: the abnormal scan start heeds the index, too.
    pub message_index_safe: Value<bool>,
    /// `checkCRCOnRecover`.
    pub check_crc_on_recover: Value<bool>,
    /// `duplicationEnable`.
    pub duplication_enable: Value<bool>,
    /// `enableConsumeQueueExt`.
    pub enable_consume_queue_ext: Value<bool>,
    /// `transientStorePoolEnable`.
    pub transient_store_pool_enable: Value<bool>,
    /// `enableLmq`.
    pub enable_lmq: Value<bool>,
    /// `enableMultiDispatch`.
    pub enable_multi_dispatch: Value<bool>,
    /// `timerWheelEnable`.
    pub timer_wheel_enable: Value<bool>,
    /// `enableControllerMode`.
    pub enable_controller_mode: Value<bool>,
    /// `recheckReputOffsetFromCq`: a clean start of 5.0.0 to 5.3.1 dispatches after all.
    pub recheck_reput_offset_from_cq: Value<bool>,
    /// `enabledAppendPropCRC`.
    pub enabled_append_prop_crc: Value<bool>,
    /// `forceVerifyPropCRC`.
    pub force_verify_prop_crc: Value<bool>,
    /// `offsetCheckInSlave`.
    pub offset_check_in_slave: Value<bool>,
    /// `autoCreateTopicEnable`.
    pub auto_create_topic_enable: Value<bool>,
}

pub(super) fn resolve(conf: &BrokerConf, release: Release, home: &Path) -> Resolved {
    let keys = Reader { conf, release };
    let behaviour = release.behaviour();
    let root = keys.text_or("storePathRootDir", || path_text(&home.join("store"))).map(PathBuf::from);
    let under = |place: DefaultPlace, name: &str| match place {
        DefaultPlace::Absent => None,
        DefaultPlace::Home => Some(home.join("store").join(name)),
        DefaultPlace::Root => Some(root.value.join(name)),
    };
    let placed = |key: &'static str, place: DefaultPlace, name: &str| {
        let default = under(place, name)?;
        Some(keys.text_or(key, || path_text(&default)).map(PathBuf::from))
    };
    let commit_log = placed("storePathCommitLog", behaviour.commit_log_place.value, "commitlog")
        .unwrap_or_else(|| Value::default(root.value.join("commitlog")));
    let multi_path = behaviour.commit_log_multi_path.value && path_text(&commit_log.value).contains(',');
    let commit_log_paths = commit_log.map(|path| if multi_path { split_paths(&path_text(&path)) } else { vec![path] });
    let read_only = keys.text_or("readOnlyCommitLogStorePaths", String::new);
    let size_keys = match behaviour.mapped_file_size_key.value {
        SizeKey::Maped => ("mapedFileSizeCommitLog", "mapedFileSizeConsumeQueue"),
        SizeKey::Mapped => ("mappedFileSizeCommitLog", "mappedFileSizeConsumeQueue"),
    };
    let enable_controller_mode = keys.bool("enableControllerMode", false);
    let dledger = keys.bool("enableDLegerCommitLog", false).value.then(|| dledger(&keys, &root.value));
    let broker_role = keys.parsed("brokerRole", "ASYNC_MASTER".to_owned(), |v| valid_role(v).map(str::to_owned));
    let mut broker_id = keys.number("brokerId", 0_i64);
    if dledger.is_some() {
        broker_id = Value::default(-1);
    } else if broker_role.value != "SLAVE" && !enable_controller_mode.value {
        broker_id = Value::default(0);
    }

    Resolved {
        release,
        commit_log_paths,
        read_only_commit_log_paths: if multi_path {
            read_only.map(|text| split_paths(&text))
        } else {
            Value::default(Vec::new())
        },
        topics_json_folder: under(behaviour.topics_json_place.value, "config")
            .unwrap_or_else(|| root.value.join("config")),
        epoch_file: placed("storePathEpochFile", behaviour.epoch_file_place.value, "epochFileCheckpoint"),
        broker_identity: placed("storePathBrokerIdentity", behaviour.broker_identity_place.value, "brokerIdentity"),
        dledger,
        mapped_file_size_commit_log: keys.size(size_keys.0, 1 << 30),
        mapped_file_size_consume_queue: keys
            .size(size_keys.1, 300_000 * CQ_STORE_UNIT_SIZE)
            .map(|size| size.next_multiple_of(CQ_STORE_UNIT_SIZE)),
        mapped_file_size_consume_queue_ext: keys.size("mappedFileSizeConsumeQueueExt", 48 << 20),
        mapper_file_size_batch_consume_queue: keys.size("mapperFileSizeBatchConsumeQueue", 300_000 * 46),
        mapped_file_size_timer_log: keys.size("mappedFileSizeTimerLog", 100 << 20),
        max_hash_slot_num: keys.count("maxHashSlotNum", 5_000_000),
        max_index_num: keys.count("maxIndexNum", 20_000_000),
        max_message_size: keys.count("maxMessageSize", behaviour.max_message_size.value),
        broker_cluster_name: keys.text_or("brokerClusterName", || "DefaultCluster".to_owned()),
        broker_name: keys.text("brokerName"),
        broker_id,
        broker_role,
        flush_disk_type: keys.parsed("flushDiskType", "ASYNC_FLUSH".to_owned(), |v| valid_flush(v).map(str::to_owned)),
        store_type: keys.text_or("storeType", || "default".to_owned()),
        config_manager_version: keys.text_or("configManagerVersion", || "v1".to_owned()),
        message_delay_level: keys.text_or("messageDelayLevel", || DELAY_LEVELS.to_owned()),
        file_reserved_time: keys.number("fileReservedTime", 72_i32),
        message_index_enable: keys.bool("messageIndexEnable", true),
        message_index_safe: keys.bool("messageIndexSafe", false),
        check_crc_on_recover: keys.bool("checkCRCOnRecover", true),
        duplication_enable: keys.bool("duplicationEnable", false),
        enable_consume_queue_ext: keys.bool("enableConsumeQueueExt", false),
        transient_store_pool_enable: keys.bool("transientStorePoolEnable", false),
        enable_lmq: keys.bool("enableLmq", false),
        enable_multi_dispatch: keys.bool("enableMultiDispatch", false),
        timer_wheel_enable: keys.bool("timerWheelEnable", behaviour.timer_wheel.value),
        enable_controller_mode,
        recheck_reput_offset_from_cq: keys.bool("recheckReputOffsetFromCq", false),
        enabled_append_prop_crc: keys.bool("enabledAppendPropCRC", false),
        force_verify_prop_crc: keys.bool("forceVerifyPropCRC", false),
        offset_check_in_slave: keys.bool("offsetCheckInSlave", false),
        auto_create_topic_enable: keys.bool("autoCreateTopicEnable", true),
        store_path_root_dir: root,
    }
}

fn dledger(keys: &Reader<'_>, root: &Path) -> DLedgerConf {
    let self_id = keys.text("dLegerSelfId");
    // Java joins the text "null" when the key is unset.
    let folder = root.join(format!("dledger-{}", self_id.value.as_deref().unwrap_or("null")));
    let data = keys.text_or("storePathDLedgerCommitLog", || path_text(&folder.join("data"))).map(PathBuf::from);
    DLedgerConf { group: keys.text("dLegerGroup"), data, folder, self_id }
}

pub(super) fn valid_role(value: &str) -> Option<&str> {
    Some(value).filter(|v| matches!(*v, "ASYNC_MASTER" | "SYNC_MASTER" | "SLAVE"))
}

pub(super) fn valid_flush(value: &str) -> Option<&str> {
    Some(value).filter(|v| matches!(*v, "ASYNC_FLUSH" | "SYNC_FLUSH"))
}

/// `String.trim`: it drops control characters, too.
pub(super) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn split_paths(list: &str) -> Vec<PathBuf> {
    java_trim(list).split(',').filter(|path| !path.is_empty()).map(PathBuf::from).collect()
}

/// The file through the eyes of one release.
struct Reader<'a> {
    conf: &'a BrokerConf,
    release: Release,
}

impl Reader<'_> {
    fn entry(&self, key: &str) -> Option<&Entry> {
        ConfKey::find(key).filter(|known| known.is_read_by(self.release)).and_then(|known| self.conf.get(known.name))
    }

    fn parsed<T>(&self, key: &'static str, default: T, parse: impl FnOnce(&str) -> Option<T>) -> Value<T> {
        let Some(entry) = self.entry(key) else { return Value::default(default) };
        let line = entry.line;
        match parse(self.trimmed(&entry.value)) {
            Some(value) => Value { value, origin: Origin::Key { key, line } },
            None => Value { value: default, origin: Origin::DefaultInsteadOf { key, line } },
        }
    }

    fn trimmed<'t>(&self, value: &'t str) -> &'t str {
        if self.release.behaviour().string_values_trimmed.value { java_trim(value) } else { value }
    }

    /// Numbers and booleans are never trimmed.
    fn untrimmed<T>(&self, key: &'static str, default: T, parse: impl FnOnce(&str) -> Option<T>) -> Value<T> {
        let Some(Entry { value, line, .. }) = self.entry(key) else { return Value::default(default) };
        match parse(value) {
            Some(value) => Value { value, origin: Origin::Key { key, line: *line } },
            None => Value { value: default, origin: Origin::DefaultInsteadOf { key, line: *line } },
        }
    }

    fn text(&self, key: &'static str) -> Value<Option<String>> {
        self.parsed(key, None, |value| Some(Some(value.to_owned())))
    }

    fn text_or(&self, key: &'static str, default: impl FnOnce() -> String) -> Value<String> {
        self.text(key).map(|value| value.unwrap_or_else(default))
    }

    fn number<T: std::str::FromStr>(&self, key: &'static str, default: T) -> Value<T> {
        self.untrimmed(key, default, |value| value.parse().ok())
    }

    /// `Boolean.parseBoolean`: what is not `true` is false.
    fn bool(&self, key: &'static str, default: bool) -> Value<bool> {
        self.untrimmed(key, default, |value| Some(value.eq_ignore_ascii_case("true")))
    }

    /// A Java `int` that counts bytes. A negative one fails every broker at its first file; it is taken as the default here.
    fn size(&self, key: &'static str, default: u64) -> Value<u64> {
        self.untrimmed(key, default, |value| u64::try_from(value.parse::<i32>().ok()?).ok())
    }

    fn count(&self, key: &'static str, default: u32) -> Value<u32> {
        self.untrimmed(key, default, |value| u32::try_from(value.parse::<i32>().ok()?).ok())
    }
}
