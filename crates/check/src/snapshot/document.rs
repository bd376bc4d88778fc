//! The document: what a snapshot holds, and how it looks as JSON.
//!
//! Queues are rows without names, because there may be ten thousand of them: see [`QueuePosition`]. Keys that are numbers are
//! strings, as JSON demands.

use std::collections::BTreeMap;

use mqstore_core::StoreError;
use mqstore_core::format::checkpoint::Checkpoint;
use mqstore_core::format::config::DataVersion;
use mqstore_core::format::config::timercheck::TimerCheckpoint;
use mqstore_core::format::consumequeue::CqUnit;
use mqstore_core::release::Release;
use mqstore_core::release::marks::ReleaseBounds;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::Digest;

/// Every position of a store, with digests of its log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Of what it was taken, as the envelope of the document says.
    #[serde(skip_serializing)]
    pub target: TakenOf,
    /// Which broker it is.
    pub identity: Identity,
    /// Which releases can have written it.
    pub release: ReleaseRange,
    /// Whether a broker runs on it, how the last one stopped, and its checkpoint.
    pub state: StoreState,
    /// The log.
    #[serde(rename = "commitlog")]
    pub log: LogSnapshot,
    /// Topic → its queues in files, by number.
    pub queues: QueueTable,
    /// `consumerOffset.json`: `topic@group` → queue → committed offset. `None` if there is no such file, none of its
    /// copies counts, or the offsets are in RocksDB.
    pub consumer_offsets: Option<OffsetTable>,
    /// `pullOffsetTable` of that file, which 5.5.0 writes: what pull consumers have fetched, not confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_offsets: Option<OffsetTable>,
    /// `lmqConsumerOffset.json`, which a broker with `enableLmq` uses instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lmq_consumer_offsets: Option<LmqOffsets>,
    /// `delayOffset.json`: delay level → next offset in queue `level - 1` of `SCHEDULE_TOPIC_XXXX`.
    pub delay_offsets: Option<BTreeMap<i32, i64>>,
    /// `delayOffset.json` is a single line, as a slave writes its master's answer.
    pub delay_offsets_compact: bool,
    /// Topics, groups, filters.
    pub config: ConfigTables,
    /// File name → its change counter.
    pub data_versions: DataVersions,
    /// Topics whose queue numbers are logical ones (static topics of 5.x).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub static_topics: Vec<String>,
    /// `timercheck`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timer: Option<TimerProgress>,
    /// `timermetrics`, `transactionMetrics`: file → topic → messages waiting.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting: BTreeMap<String, BTreeMap<String, i64>>,
    /// The log of DLedger, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dledger: Option<DledgerPosition>,
    /// What is there and could not be read, or is not read at all, although a pair should agree on it.
    pub unread: Vec<Unread>,
}

/// `topic@group` → queue → committed offset.
pub type OffsetTable = BTreeMap<String, BTreeMap<i32, i64>>;
/// Topic → its queues, by number.
pub type QueueTable = BTreeMap<String, Vec<QueuePosition>>;
/// File name → its change counter.
pub type DataVersions = BTreeMap<String, Version>;

impl Snapshot {
    pub(crate) fn cannot_read(&mut self, what: &str, error: &StoreError) {
        self.unread.push(Unread { what: what.to_owned(), why: full_text(error) });
    }

    /// The queue of a topic.
    pub fn queue(&self, topic: &str, queue_id: i32) -> Option<&QueuePosition> {
        find_queue(self.queues.get(topic)?, queue_id)
    }
}

/// The queue of that number in a row of the table.
pub(crate) fn find_queue(queues: &[QueuePosition], queue_id: i32) -> Option<&QueuePosition> {
    let queue_id = u32::try_from(queue_id).ok()?;
    let at = queues.binary_search_by_key(&queue_id, |queue| queue.queue_id).ok()?;
    queues.get(at)
}

/// An error with its sources, for people.
pub(crate) fn full_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// The store that a snapshot was taken of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TakenOf {
    /// Its root on the machine where the snapshot was taken.
    pub store: Option<String>,
}

/// Which broker it is: from its configuration, else names from the topics that it made itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// `brokerClusterName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `brokerName`, the same on master and slave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker: Option<String>,
    /// `brokerId`: 0 is the master. Only the configuration tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_id: Option<i64>,
}

/// Bounds on the release that wrote the store, as text; see [`ReleaseBounds`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseRange {
    /// A release of at least this opened the store.
    pub oldest: Option<String>,
    /// The last to write was at most this release.
    pub newest: Option<String>,
    /// Signs of a rollback or of an upgrade that was cut short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed: Option<String>,
}

impl ReleaseRange {
    /// The bounds as releases; a name of a later version of this program is none.
    pub fn bounds(&self) -> (Option<Release>, Option<Release>) {
        let parse = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        (parse(&self.oldest), parse(&self.newest))
    }

    /// All releases within the bounds, oldest first.
    pub fn releases(&self) -> impl Iterator<Item = Release> + use<> {
        let (oldest, newest) = self.bounds();
        let (oldest, newest) = (oldest.unwrap_or(Release::OLDEST), newest.unwrap_or(Release::NEWEST));
        Release::ALL.into_iter().filter(move |release| (oldest..=newest).contains(release))
    }
}

impl From<ReleaseBounds> for ReleaseRange {
    fn from(bounds: ReleaseBounds) -> Self {
        let name = |release: Option<Release>| release.map(|release| release.name().to_owned());
        Self { oldest: name(bounds.oldest), newest: name(bounds.newest), mixed: bounds.mixed.map(|mixed| mixed.says) }
    }
}

/// Where the log of a DLedger member begins and ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DledgerPosition {
    /// The member's id (`dLegerSelfId`).
    pub id: String,
    /// Physical offset of the first byte of its data files.
    pub min_offset: u64,
    /// Physical offset behind its last entry.
    pub max_offset: u64,
    /// Number of the last entry.
    pub last_index: Option<i64>,
    /// Term of the last entry.
    pub last_term: Option<i64>,
    /// Number of the last entry that a majority had, as its `checkpoint` says.
    pub committed_index: Option<i64>,
}

/// Flags and flush marks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreState {
    /// `abort` is there: a broker runs, or the last one did not stop cleanly.
    pub abort: bool,
    /// The process id in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_pid: Option<u32>,
    /// `free`, `held` or `absent`.
    pub lock: String,
    /// Who holds the lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_pid: Option<u32>,
    /// `checkpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointMarks>,
    /// There is an `epochFileCheckpoint`: a broker in controller mode wrote the store.
    pub controller_mode: bool,
}

/// The fields of `checkpoint`, as stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckpointMarks {
    /// `physicMsgTimestamp`, milliseconds since the epoch; 0 on slaves up to 4.5.2.
    pub physic_msg_timestamp: i64,
    /// `logicsMsgTimestamp`, milliseconds since the epoch.
    pub logics_msg_timestamp: i64,
    /// `indexMsgTimestamp`, milliseconds since the epoch.
    pub index_msg_timestamp: i64,
    /// `masterFlushedOffset`, a physical offset.
    pub master_flushed_offset: i64,
    /// `confirmPhyOffset`, a physical offset.
    pub confirm_phy_offset: i64,
}

impl From<Checkpoint> for CheckpointMarks {
    fn from(checkpoint: Checkpoint) -> Self {
        Self {
            physic_msg_timestamp: checkpoint.physic_msg_timestamp,
            logics_msg_timestamp: checkpoint.logics_msg_timestamp,
            index_msg_timestamp: checkpoint.index_msg_timestamp,
            master_flushed_offset: checkpoint.master_flushed_offset,
            confirm_phy_offset: checkpoint.confirm_phy_offset,
        }
    }
}

/// The log: range, digests, and how many messages lie where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSnapshot {
    /// Bytes of a file, as most have it.
    pub file_size: u64,
    /// Physical offset of the first byte.
    pub min_offset: u64,
    /// Physical offset behind the last record of the last file that was written to.
    pub max_offset: u64,
    /// What lies there: `zeros`, `file-end`, `torn` or `garbage`.
    pub end: String,
    /// Records that can still be read behind the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<Stale>,
    /// Store time of the last record, milliseconds since the epoch.
    pub newest_store_timestamp: Option<i64>,
    /// Name of the digest.
    pub digest: Option<String>,
    /// Bytes of a chunk.
    pub chunk_size: u64,
    /// Every file.
    pub files: Vec<FileDigest>,
    /// The chunks of the files that have digests.
    pub chunks: Vec<Chunk>,
    /// The grains of the last 64 MiB that have digests.
    pub tail: Vec<Chunk>,
    /// The last records before the end.
    pub recent: Vec<RecentRecord>,
    /// A stretch of the log record by record, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<RecordRange>,
    /// What was seen in the files that were read.
    pub features: LogFeatures,
}

/// Kinds of records that older releases cannot read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFeatures {
    /// Records of magic V2, from 5.1.0 on.
    pub magic_v2: bool,
    /// IPv6 hosts, from 4.6.0 on.
    pub ipv6_host: bool,
}

/// Records behind the end of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// Where the first stands.
    pub first: u64,
    /// Where the last ends.
    pub end: u64,
    /// How many there are.
    pub records: u64,
    /// Digest of the first, as in [`RecentRecord`].
    pub first_digest: u64,
}

/// One record. As JSON it is a row: `[physical_offset, store_timestamp, digest]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, i64, u64)", into = "(u64, i64, u64)")]
pub struct RecentRecord {
    /// Where it begins.
    pub physical_offset: u64,
    /// When a broker stored it, milliseconds since the epoch.
    pub store_timestamp: i64,
    /// The low 48 bits of its XXH3-128: what a JSON number holds exactly.
    pub digest: u64,
}

impl From<(u64, i64, u64)> for RecentRecord {
    fn from((physical_offset, store_timestamp, digest): (u64, i64, u64)) -> Self {
        Self { physical_offset, store_timestamp, digest }
    }
}

impl From<RecentRecord> for (u64, i64, u64) {
    fn from(record: RecentRecord) -> Self {
        (record.physical_offset, record.store_timestamp, record.digest)
    }
}

/// A stretch of the log cut into rows without gaps: a record each, the header of a blank, or a run that cannot be read, none
/// longer than [`PIECE`](super::PIECE); what is longer goes on in the next row. Of a stretch no longer than that each byte
/// is a row, so two of them tell the byte where logs part.
///
/// It holds digests, no content. But the digests of single bytes tell them to whoever tries all 256, so that is done only
/// for a stretch that is asked for by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordRange {
    /// Where the first row begins: at or before what was asked for, because a row of more than a byte is not cut.
    pub from: u64,
    /// Behind the last row.
    pub to: u64,
    /// Bytes of a row at most.
    pub piece: u64,
    /// Where the record or the unreadable run begins that holds the first row.
    pub record: u64,
    /// Digest of what the file holds before the first row, if rows are bytes: so much is equal, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// The rows. What is no record has 0 as its time, and what goes on from the row before −1.
    pub records: Vec<RecentRecord>,
}

/// A file of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Physical offset of its first byte: its name.
    pub from: u64,
    /// Length in bytes.
    pub length: u64,
    /// Records in it, if it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Digest of its chunks, if it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// A run of log inside one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Physical offset of its first byte.
    pub from: u64,
    /// Physical offset behind its last byte.
    pub to: u64,
    /// Records that begin in it.
    pub records: u64,
    /// Store time of the first of them, milliseconds since the epoch; 0 without records.
    pub first_store_timestamp: i64,
    /// Store time of the last of them.
    pub last_store_timestamp: i64,
    /// XXH3-128 of its bytes (a grain) or of its grains' digests (a chunk).
    pub digest: Digest,
}

/// A queue. As JSON it is a row: `[queue_id, first_offset, min_offset, max_offset, min_physical_offset or null, unit or
/// null]`, the unit being `[physical_offset, size, tags_code]` of the last message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "QueueRow", into = "QueueRow")]
pub struct QueuePosition {
    /// Its number in its topic.
    pub queue_id: u32,
    /// The first unit in its files that is none of the filling before a queue's first message.
    pub first_offset: u64,
    /// The first unit whose message is in the log.
    pub min_offset: u64,
    /// The offset that the next message would get.
    pub max_offset: u64,
    /// Physical offset of the message at the minimum.
    pub min_physical_offset: Option<u64>,
    /// The last unit.
    pub last: Option<CqUnit>,
}

type QueueRow = (u32, u64, u64, u64, Option<u64>, Option<(i64, i32, i64)>);

impl From<QueueRow> for QueuePosition {
    fn from((queue_id, first_offset, min_offset, max_offset, min_physical_offset, last): QueueRow) -> Self {
        let last = last.map(|(physical_offset, size, tags_code)| CqUnit { physical_offset, size, tags_code });
        Self { queue_id, first_offset, min_offset, max_offset, min_physical_offset, last }
    }
}

impl From<QueuePosition> for QueueRow {
    fn from(queue: QueuePosition) -> Self {
        let QueuePosition { queue_id, first_offset, min_offset, max_offset, min_physical_offset, last } = queue;
        let last = last.map(|unit| (unit.physical_offset, unit.size, unit.tags_code));
        (queue_id, first_offset, min_offset, max_offset, min_physical_offset, last)
    }
}

/// What `lmqConsumerOffset.json` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LmqOffsets {
    /// `topic@group` → queue → committed offset.
    pub offset_table: OffsetTable,
    /// `topic@group` of groups named `%LMQ%…` → committed offset in queue 0.
    pub lmq_offset_table: BTreeMap<String, i64>,
}

/// The configuration by meaning: what a release does not write has the value that it would have there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigTables {
    /// Name of the table (as [`TOPICS`](super::TOPICS)) → entry → its fields by the broker's names. A table is missing when
    /// its file is, or when none of the file's copies counts.
    pub tables: BTreeMap<String, BTreeMap<String, Value>>,
}

/// A change counter; see [`DataVersion`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Version {
    /// Number of changes.
    pub counter: i64,
    /// Time of the last change, milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// `stateVersion`, from 5.0.0 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_version: Option<i64>,
}

impl Version {
    /// Ordered as 5.0.0 and later compare: state version, counter, timestamp.
    pub(crate) fn key(&self) -> (i64, i64, i64) {
        (self.state_version.unwrap_or(0), self.counter, self.timestamp.unwrap_or(0))
    }
}

impl From<DataVersion> for Version {
    fn from(version: DataVersion) -> Self {
        Self { counter: version.counter, timestamp: version.timestamp, state_version: version.state_version }
    }
}

/// How far the timer has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimerProgress {
    /// Timers due before this have fired, milliseconds since the epoch.
    pub last_read_time_ms: i64,
    /// Next queue offset of `rmq_sys_wheel_timer` to enqueue.
    pub last_timer_queue_offset: i64,
    /// The same of the master, on a slave.
    pub master_timer_queue_offset: i64,
    /// Position in `timerlog` flushed so far, in bytes.
    pub last_timer_log_flush_pos: i64,
}

impl From<TimerCheckpoint> for TimerProgress {
    fn from(timer: TimerCheckpoint) -> Self {
        Self {
            last_read_time_ms: timer.last_read_time_ms,
            last_timer_queue_offset: timer.last_timer_queue_offset,
            master_timer_queue_offset: timer.master_timer_queue_offset,
            last_timer_log_flush_pos: timer.last_timer_log_flush_pos,
        }
    }
}

/// Something that is there and not in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The file or folder, relative to the store root.
    pub what: String,
    /// The reason.
    pub why: String,
}
