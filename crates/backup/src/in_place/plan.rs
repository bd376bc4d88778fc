//! The plan of a restoration in place, as data: shown by a dry run, then carried out.

use std::path::PathBuf;

use mqstore_check::boot::{BootFlag, BootPrediction};
use mqstore_core::release::Release;
use mqstore_core::release::conf::BrokerConf;
use serde::{Deserialize, Serialize};

/// What to restore in place, and for whom.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InPlaceOptions {
    /// The store root, with its commit log.
    pub to: PathBuf,
    /// The release that will start on it.
    pub release: Release,
    /// Its configuration.
    pub conf: Option<BrokerConf>,
    /// Folders of the commit log, instead of the configured ones.
    pub commitlog: Vec<PathBuf>,
    /// Home folder of the broker's user: 3.5.5 to 3.5.8 read topics and groups in `store/config` below it.
    pub home: Option<PathBuf>,
    /// New program folder; absent or empty.
    pub program: Option<PathBuf>,
    /// New folder for the files of `include`; absent or empty.
    pub include: Option<PathBuf>,
    /// Folders in which the earlier archives of an incremental one are looked for, besides its own.
    pub chain: Vec<PathBuf>,
    /// Which part of the backup; `None`: the part that loses least.
    pub what: Option<What>,
    /// The way to take, if not the one that loses least.
    pub way: Option<Way>,
    /// Whose offsets; `None`: the lower of both, but what queues alone are restored keep the present ones.
    pub offsets: Option<Offsets>,
    /// Put topics and groups back exactly as archived: those that were made since are lost.
    pub exact_config: bool,
    /// Accept the backup of a broker of another name, cluster or id.
    pub other_broker: bool,
    /// No broker runs on the store, whatever `abort` says.
    pub stopped: bool,
}

impl InPlaceOptions {
    /// Everything that is not named is chosen by what loses least.
    pub fn new(to: impl Into<PathBuf>, release: Release) -> Self {
        Self {
            to: to.into(),
            release,
            conf: None,
            commitlog: Vec::new(),
            home: None,
            program: None,
            include: None,
            chain: Vec::new(),
            what: None,
            way: None,
            offsets: None,
            exact_config: false,
            other_broker: false,
            stopped: false,
        }
    }
}

/// Which part of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Topics, groups and offsets; queues and index stay.
    Config,
    /// Queues, index and checkpoint; topics, groups, offsets and timers stay.
    Queues,
    /// Everything.
    All,
}

/// How the backup is put beside a log that went on, from the least to the most costly start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// As it was archived, without `abort`.
    AsArchived,
    /// Configuration only; queues, index and checkpoint stay as they are.
    ConfigOnly,
    /// With an empty `abort` and the checkpoint of the archive.
    Abort,
    /// With an empty `abort` and no checkpoint.
    AbortWithoutCheckpoint,
    /// With an empty `abort`, without queues, index and checkpoint.
    Rebuild,
}

impl Way {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::AsArchived, Self::ConfigOnly, Self::Abort, Self::AbortWithoutCheckpoint, Self::Rebuild];

    /// The word in JSON and on the command line: `config_only`.
    pub fn word(self) -> &'static str {
        match self {
            Self::AsArchived => "as_archived",
            Self::ConfigOnly => "config_only",
            Self::Abort => "abort",
            Self::AbortWithoutCheckpoint => "abort_without_checkpoint",
            Self::Rebuild => "rebuild",
        }
    }

    /// What is done, in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::AsArchived => "everything as archived, no abort",
            Self::ConfigOnly => "configuration only: queues, index and checkpoint stay as they are",
            Self::Abort => "old queues with their own checkpoint, and an empty abort",
            Self::AbortWithoutCheckpoint => "old queues without a checkpoint, and an empty abort",
            Self::Rebuild => "no queues, index and checkpoint, and an empty abort: all is built anew from the log",
        }
    }

    /// Whether the start is an abnormal one because of what the way places.
    pub(crate) fn places_abort(self) -> bool {
        matches!(self, Self::Abort | Self::AbortWithoutCheckpoint | Self::Rebuild)
    }

    /// Whether the way restores this part and nothing else.
    pub(crate) fn fits(self, what: Option<What>) -> bool {
        match what {
            None => true,
            Some(What::Config) => self == Self::ConfigOnly,
            Some(What::Queues) => !matches!(self, Self::ConfigOnly | Self::Rebuild),
            Some(What::All) => self != Self::ConfigOnly,
        }
    }
}

/// Whose consumer and delay offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offsets {
    /// Those of the backup; groups that are younger have none.
    Backup,
    /// The present ones.
    Current,
    /// The higher of both: nothing comes twice, what was not consumed may be skipped.
    Max,
    /// The lower of both: nothing is skipped.
    Min,
}

impl Offsets {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Backup, Self::Current, Self::Max, Self::Min];

    /// The word in JSON and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Current => "current",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

/// What will be done, why, and what it costs.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct RestorePlan {
    /// The backup.
    pub backup_id: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// The store root, with links resolved.
    pub root: String,
    /// The release that will start.
    pub release: Release,
    /// The part that is restored.
    pub what: What,
    /// How.
    pub way: Way,
    /// Why this way, by what the release does.
    pub reasons: Vec<Reason>,
    /// The ways that were looked at, in their order; the last one chosen is `way`.
    pub ways: Vec<WayReport>,
    /// What the release would make of the store left as it is; only where the way chosen leaves messages out of reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_as_it_is: Option<WayReport>,
    /// The log beside it.
    pub log: LogCoverage,
    /// What happens to each entry of the root and to each file of the home folder.
    pub entries: Vec<EntryChange>,
    /// Entries of the root that stay because nothing tells what they are.
    pub left_alone: Vec<String>,
    /// Topics that are younger than the backup and are kept.
    pub later_topics: Vec<String>,
    /// Groups that are younger than the backup and are kept.
    pub later_groups: Vec<String>,
    /// Consumer offsets and what each choice comes to.
    pub offsets: OffsetsPlan,
    /// What else is worth a sentence.
    pub notes: Vec<String>,
    /// The start of the release on the result.
    pub prediction: BootPrediction,
}

/// One sentence about the release, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reason {
    /// The sentence.
    pub text: String,
    /// `seen on 4.3.2`, `by reading the source`.
    pub evidence: String,
}

/// A way, and what a start after it comes to. Counts are messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WayReport {
    /// The way; absent for the store left as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Why it is not taken whatever it loses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
    /// The worst that the start comes to.
    pub outcome: BootFlag,
    /// In the log, but no consumer gets them: hidden, cut or passed over.
    pub unreachable: u64,
    /// Reached, but at another offset than the one they were stored with.
    pub shifted: u64,
    /// Left out because the log holds another message of the same queue offset; part of `unreachable`.
    pub repeated: u64,
    /// Delayed messages that fire at once.
    pub fires_at_once: u64,
    /// Delivered again, whatever the offsets are.
    pub redelivered: u64,
    /// Index entries that are gone.
    pub index_keys: u64,
    /// Bytes of log that the start reads.
    pub log_read: u64,
}

/// Whether the log beside the store is the one that the backup needs. Physical offsets, bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogCoverage {
    /// Its folders.
    pub dirs: Vec<String>,
    /// Where it begins.
    pub min_offset: u64,
    /// Where it ends.
    pub max_offset: u64,
    /// First byte that a queue of the backup leads to, absent with empty queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_from: Option<u64>,
    /// Behind the last one.
    pub required_to: u64,
    /// How far it went on since the backup.
    pub grown: u64,
    /// Whether it holds the bytes that the backup was made beside; `false` if that is not known.
    pub same: bool,
    /// Records that were compared with the units that lead to them.
    pub compared: u64,
}

/// What happens to a file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct EntryChange {
    /// Relative to the root, or absolute in the home folder.
    pub path: String,
    /// What is done.
    pub change: Change,
}

/// What is done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The present one is kept aside, that of the backup takes its place.
    Replaced,
    /// The backup's is new.
    Added,
    /// The present one is kept aside, nothing takes its place.
    Removed,
}

/// Consumer offsets: what was chosen and what each choice comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OffsetsPlan {
    /// The choice; absent until it is made.
    pub policy: Option<Offsets>,
    /// One for each policy.
    pub effects: Vec<OffsetEffect>,
    /// Per group and topic, with the choice made; those without an effect are left out.
    pub groups: Vec<GroupEffect>,
}

/// What a policy comes to against where the groups stand now. Counts are messages, added up over groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OffsetEffect {
    /// The policy.
    pub policy: Offsets,
    /// Delivered again.
    pub redelivered: u64,
    /// Never delivered.
    pub skipped: u64,
    /// Queues of groups that lose their offset: where they go on is for the consumer to say.
    pub without_offset: u64,
}

/// What the choice comes to for a group and a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupEffect {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Messages delivered again.
    pub redelivered: u64,
    /// Messages never delivered.
    pub skipped: u64,
}
