//! `manifest.json`: what an archive holds, what it leaves out, and where the store stood.
//!
//! These are wire types: the JSON is a contract (`schema` and `schema_version` name it), keys are added and never
//! renamed. Unknown keys are ignored when an archive of a later version is read. Paths are UTF-8 with `/` between the
//! parts; those of files and folders are the archive's member names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The value of `schema`.
pub const SCHEMA: &str = "mqstore.backup";
/// The newest `schema_version` that this crate reads: that of an incremental archive. A program that does not know it would
/// take what earlier archives hold for missing.
pub const SCHEMA_VERSION: u32 = 2;
/// The `schema_version` of an archive that holds all of its files.
pub(crate) const WHOLE_VERSION: u32 = 1;

/// The document. Files and folders are in the order of the archive's members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// 1; of an incremental archive 2.
    pub schema_version: u32,
    /// Names the backup: time of creation and a digest of the files.
    pub backup_id: String,
    /// RFC 3339, UTC, whole seconds.
    pub created_at: String,
    /// Of an incremental archive what it was made since, and where the rest is; absent for one that holds all of its files.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Since>,
    /// What wrote the archive.
    pub tool: Tool,
    /// Whether the broker ran while the store was read.
    pub capture: Capture,
    /// Whose store it is.
    pub broker: Broker,
    /// Sizes and paths that are not in the files but decide how to read them.
    pub layout: Layout,
    /// Optional features that the store uses, as `delay`, `timer`, `consumequeue_ext`.
    pub features: Vec<String>,
    /// Where the log, the queues and the flush marks stood.
    pub positions: Positions,
    /// What was left out on purpose, the commit log above all.
    pub excluded: Vec<Excluded>,
    /// All folders, empty ones too.
    pub folders: Vec<FolderEntry>,
    /// All files of the state, also those that earlier archives hold, except the manifest and `SHA256SUMS`.
    pub files: Vec<FileEntry>,
    /// What should be here but is not, or not for certain. Empty for a complete backup.
    pub gaps: Vec<Gap>,
}

impl Manifest {
    /// The files whose content this archive holds itself.
    pub fn stored_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(|file| file.held_in.is_none())
    }
}

/// What an incremental archive was made since, and which earlier archives hold the rest of its files.
///
/// It names every archive that it needs, however many were made in between: a file that is not stored here is stored, not
/// referred to, in the one that its entry names. So a chain has no length, and no archive is needed only to find another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// For whoever reads the manifest without a program: that this archive alone is not the whole.
    pub note: String,
    /// Id of the archive that the store was compared with.
    pub backup_id: String,
    /// Its file name.
    pub archive: String,
    /// The archives that hold files of this state; empty if every file had changed.
    pub needs: Vec<EarlierArchive>,
}

/// An archive that holds files of a later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierArchive {
    /// Its id.
    pub backup_id: String,
    /// Its file name when the later one was made.
    pub archive: String,
    /// How many files of the later one it holds.
    pub files: u64,
    /// Their bytes between the holes.
    pub stored_length: u64,
}

/// Name and version of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Name of the program.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Whether the broker ran while the store was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// It did not: the files agree with each other.
    #[default]
    Stopped,
    /// It may have: later files may be newer than earlier ones.
    Live,
}

/// Whose store it is, as far as known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Broker {
    /// `brokerClusterName`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster: Option<String>,
    /// `brokerName`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// `brokerId`: 0 is a master.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub id: Option<i64>,
    /// Releases that can have written the store.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub release: Option<ReleaseBounds>,
}

impl Broker {
    /// The first of cluster, name and id that both know and that differs: its key, what stands here, what `other` has.
    pub(crate) fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let id = |broker: &Self| broker.id.map(|id| id.to_string());
        let keys = [
            ("brokerClusterName", self.cluster.clone(), other.cluster.clone()),
            ("brokerName", self.name.clone(), other.name.clone()),
            ("brokerId", id(self), id(other)),
        ];
        let mut known = keys.into_iter().filter_map(|(key, here, there)| Some((key, here?, there?)));
        known.find(|(_, here, there)| here != there)
    }
}

/// An inclusive range of broker releases, open where a bound is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReleaseBounds {
    /// Oldest release that fits, as `3.5.8`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oldest: Option<String>,
    /// Newest release that fits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub newest: Option<String>,
}

/// Sizes and paths by the broker's own key (`mappedFileSizeCommitLog`, `storePathCommitLog`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layout {
    /// Sizes in bytes, and counts.
    pub sizes: BTreeMap<String, u64>,
    /// Absolute paths on the machine of the broker.
    pub paths: BTreeMap<String, String>,
}

/// Where the store stood; of a live capture at its end, so that an archived queue may end before what is said here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Positions {
    /// The commit log, absent where it was not found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commitlog: Option<CommitLogPositions>,
    /// Every queue, sorted by topic and number.
    pub queues: Vec<QueuePosition>,
    /// The flush marks, absent without a readable checkpoint.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<CheckpointPositions>,
    /// Whether the abort file was there: the broker ran, or ended without a clean stop.
    pub abort: bool,
}

/// Physical offsets of the commit log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CommitLogPositions {
    /// First physical offset held.
    pub min_offset: u64,
    /// Physical offset behind the last record.
    pub max_offset: u64,
    /// What the archived queues need of it, absent when they are empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub required: Option<OffsetRange>,
    /// The last record, absent for a log without one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_record: Option<LastRecord>,
    /// The bytes before `max_offset`, which tell whether another log is this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tail: Option<LogTail>,
}

/// The last record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LastRecord {
    /// Where it begins.
    pub physical_offset: u64,
    /// Its length in bytes.
    pub total_size: u64,
    /// When the broker stored it, in milliseconds since the epoch.
    pub store_timestamp: i64,
}

/// A digest of the log's last bytes: whole records, up to 256 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogTail {
    /// Physical offset of the first byte, where a record begins.
    pub from: u64,
    /// Physical offset behind the last byte.
    pub to: u64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// Physical offsets from `from` up to but not including `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OffsetRange {
    /// First offset.
    pub from: u64,
    /// Offset behind the last one.
    pub to: u64,
}

/// Range of one queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePosition {
    /// Topic name.
    pub topic: String,
    /// Queue number.
    pub queue_id: u32,
    /// `file`, `batch` or `rocksdb`.
    pub kind: String,
    /// First queue offset.
    pub min_offset: u64,
    /// Queue offset behind the last unit.
    pub max_offset: u64,
    /// Physical offset of the first unit's record, absent for an empty queue.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub min_physical_offset: Option<u64>,
    /// Physical offset behind the last unit's record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_physical_offset: Option<u64>,
}

/// Flush marks of `checkpoint`, milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CheckpointPositions {
    /// Store time of the last record flushed to the commit log.
    pub physic_msg_timestamp: i64,
    /// Store time of the last record flushed to the queues.
    pub logics_msg_timestamp: i64,
    /// Store time of the last record in a full index file.
    pub index_msg_timestamp: i64,
}

/// A folder that was left out on purpose, with what it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// Relative to the store root, or absolute where it lies elsewhere.
    pub path: String,
    /// Why.
    pub reason: String,
    /// Its files, sorted.
    pub files: Vec<ExcludedFile>,
}

/// A file that was left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedFile {
    /// Relative to the folder.
    pub name: String,
    /// Length in bytes.
    pub length: u64,
    /// Time of the last change, nanoseconds since the epoch: a broker counts the retention of log files from it.
    #[serde(default)]
    pub mtime_ns: i64,
}

/// A folder of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    /// Member name without the slash at its end.
    pub path: String,
    /// Time of the last change, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Permission bits.
    pub mode: u32,
}

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Member name.
    pub path: String,
    /// Length in bytes, holes included.
    pub length: u64,
    /// Bytes between the holes: what the archive stores of it before compression.
    pub stored_length: u64,
    /// Time of the last change, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Permission bits.
    pub mode: u32,
    /// SHA-256 in hexadecimal over the bytes between the holes; for a file without holes its plain SHA-256.
    pub sha256: String,
    /// The bytes between the holes, as `[offset, length]` each.
    pub extents: Vec<Extent>,
    /// Which file the content is from.
    pub source: Source,
    /// What kind of file it is.
    pub class: FileClass,
    /// Id of the earlier archive that holds the content; absent if this one does. Mode and times are those of this capture.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none", default)]
    pub held_in: Option<String>,
}

/// A run of bytes between two holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64)", into = "(u64, u64)")]
pub struct Extent {
    /// Position in the file, a multiple of 4096.
    pub offset: u64,
    /// Length in bytes; a multiple of 4096 except at the end of the file.
    pub length: u64,
}

impl From<(u64, u64)> for Extent {
    fn from((offset, length): (u64, u64)) -> Self {
        Self { offset, length }
    }
}

impl From<Extent> for (u64, u64) {
    fn from(extent: Extent) -> Self {
        (extent.offset, extent.length)
    }
}

/// Which file the content of a file entry is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The file itself.
    #[default]
    File,
    /// Its `.bak` twin, because the file itself was being rewritten.
    Bak,
}

/// What kind of file it is, by its place in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileClass {
    /// `checkpoint`.
    Checkpoint,
    /// `abort`, `abort.bak`.
    Abort,
    /// `lock`.
    Lock,
    /// JSON state under `config/`, also that of `home/store/config/`.
    Config,
    /// Index files.
    Index,
    /// Files of consume queues.
    Consumequeue,
    /// Their extension files.
    ConsumequeueExt,
    /// Files of batch consume queues.
    Batchconsumequeue,
    /// Timer wheel, timer log and their marks.
    Timer,
    /// Compacted logs, their queues and positions.
    Compaction,
    /// Any `RocksDB` folder.
    Rocksdb,
    /// State beside the log of a `dledger-…` folder.
    Dledger,
    /// `epochFileCheckpoint`, `brokerIdentity`.
    Epoch,
    /// Index of the tiered store.
    Tiered,
    /// The broker's program folder.
    Program,
    /// What the user named in addition.
    Include,
    /// Anything else, also a class of a later version.
    #[serde(other)]
    Other,
}

/// Something that should be in the archive but is not, or not for certain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Member name it has or would have.
    pub path: String,
    /// What happened.
    pub kind: GapKind,
    /// In words, with the values.
    pub reason: String,
}

/// What happened to something that should be in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GapKind {
    /// It changed while it was read; what was read is archived.
    Changed,
    /// It was there when the plan was made and gone when it was to be read.
    Vanished,
    /// It could not be read; if it is archived, then with zeros in place of what was not read.
    Unreadable,
    /// A symbolic link, which is not followed.
    Symlink,
    /// A socket, pipe or device.
    Special,
    /// A name that is not UTF-8 or holds control characters.
    Name,
    /// A kind of a later version.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_entry_has_the_keys_of_the_contract_in_their_order() {
        let entry = FileEntry {
            path: "store/index/20260101000000000".into(),
            length: 12288,
            stored_length: 4096,
            mtime_ns: 1_700_000_000_000_000_001,
            mode: 0o644,
            sha256: "ab".repeat(32),
            extents: vec![Extent { offset: 4096, length: 4096 }],
            source: Source::File,
            class: FileClass::Index,
            held_in: None,
        };
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(
            text,
            format!(
                concat!(
                    r#"{{"path":"store/index/20260101000000000","length":12288,"stored_length":4096,"#,
                    r#""mtime_ns":1700000000000000001,"mode":420,"sha256":"{}","#,
                    r#""extents":[[4096,4096]],"source":"file","class":"index"}}"#
                ),
                "ab".repeat(32)
            )
        );
        assert_eq!(serde_json::from_str::<FileEntry>(&text).unwrap(), entry);
    }

    #[test]
    fn a_class_of_a_later_version_reads_as_other() {
        assert_eq!(serde_json::from_str::<FileClass>("\"holographic\"").unwrap(), FileClass::Other);
    }
}
