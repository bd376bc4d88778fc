//! What a prediction holds. The names of the fields are the JSON of `boot --format json`.

use std::collections::BTreeMap;

use mqstore_core::StoreError;
use mqstore_core::release::conf::BrokerConf;
use mqstore_core::release::{Evidence, Release};
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// What the store alone does not tell.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct BootOptions {
    /// The broker's configuration. Without it sizes are taken from the files and everything else is the default.
    pub conf: Option<BrokerConf>,
    /// The home folder of the broker's user: some releases look below it whatever the store root is.
    pub home: Option<PathBuf>,
    /// Folders of the commit log, instead of the configured ones.
    pub commitlog_dirs: Vec<PathBuf>,
    /// Folder of `topics.json` and `subscriptionGroup.json`, as if both had been copied to where the release looks for them.
    pub topics_folder: Option<PathBuf>,
    /// Which kind of start to predict, instead of what the file `abort` says.
    pub exit: Option<Exit>,
}

/// How the broker stopped, and so how it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// There is no file `abort`: the last three log files are looked at.
    Clean,
    /// There is one: the log is read from an older file on and dispatched again.
    Abort,
}

/// What a start comes to: the worst of it is the outcome, all that apply are the flags. Ordered from the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BootFlag {
    /// The process ends before its port opens.
    Refuses,
    /// It starts, its log is empty and the files of the queues are deleted.
    DestroysQueues,
    /// It starts with an empty log while queue and log files stay on disk.
    Blind,
    /// It starts with the end of the log set back; later log files are deleted.
    Truncates,
    /// It starts, and at least one queue answers an offset with another message.
    WrongMessages,
    /// It starts, and a pull at one offset is answered by an error, or not at all, for ever.
    ConsumerStuck,
    /// It starts, and at least one queue has lost messages that could be reached.
    LosesQueueEntries,
    /// It starts with the store unharmed, but topics, groups or offsets are lost.
    LosesConfig,
    /// It starts, and look-ups by key no longer find messages.
    LosesIndex,
    /// It starts, and there is nothing that a consumer or a look-up could notice.
    Starts,
}

impl BootFlag {
    /// The word in JSON and text: `destroys_queues`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuses => "refuses",
            Self::DestroysQueues => "destroys_queues",
            Self::Blind => "blind",
            Self::Truncates => "truncates",
            Self::WrongMessages => "wrong_messages",
            Self::ConsumerStuck => "consumer_stuck",
            Self::LosesQueueEntries => "loses_queue_entries",
            Self::LosesConfig => "loses_config",
            Self::LosesIndex => "loses_index",
            Self::Starts => "starts",
        }
    }
}

/// One thing the broker does, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// A word for what it is: `load_log`, `cut_log`, `next_start`.
    pub what: &'static str,
    /// File or folder, relative to the store root where it lies below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// One sentence.
    pub detail: String,
    /// How it is known: `seen on 4.3.2`, `by reading the source`, `derived, never observed`.
    #[serde(serialize_with = "text")]
    pub evidence: Evidence,
}

fn text<S: Serializer>(evidence: &Evidence, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(evidence)
}

/// The commit log. Offsets are physical, lengths bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LogPrediction {
    /// Behind the last message that log or queues know of.
    pub end_before: u64,
    /// Where the broker takes the log to end, before it appends anything itself.
    pub end_after: u64,
    /// First byte that is read.
    pub scan_from: u64,
    /// Bytes that are read.
    pub scan_bytes: u64,
}

/// The range of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QueueState {
    /// First offset that can be asked for.
    pub min_offset: u64,
    /// The offset that the next message gets.
    pub max_offset: u64,
    /// Messages: before, those that queue or log hold; after, those that a consumer gets that starts at the first
    /// offset, wrong ones included.
    pub readable: u64,
}

/// A queue before and after the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueuePrediction {
    /// The topic.
    pub topic: String,
    /// Its number.
    pub queue_id: i32,
    /// As the files are.
    pub before: QueueState,
    /// As the broker serves it; absent if the start is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<QueueState>,
    /// Messages that were there and that no consumer gets any more: hidden, cut or skipped.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Messages that come at the offset of another one.
    #[serde(skip_serializing_if = "is_zero")]
    pub wrong: u64,
    /// The offset whose pull is never answered as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stuck_at: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Files that the start changes, relative to the store root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileChanges {
    /// Deleted.
    pub removed: Vec<String>,
    /// Made. Index files are named by the clock, so they are `index/new-1`, `index/new-2`.
    pub created: Vec<String>,
    /// Written over or lengthened, other than by appending.
    pub rewritten: Vec<String>,
}

/// Which copy of a config file is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadedFrom {
    /// The file.
    File,
    /// Its `.bak`.
    Bak,
    /// Neither.
    None,
}

/// A config file and what it gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigFile {
    /// Its path, relative to the store root where it lies below it.
    pub file: String,
    /// The copy that is loaded.
    pub loaded_from: LoadedFrom,
    /// Entries of its table.
    pub entries: u64,
}

/// A number of messages, in all and per topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Messages {
    /// In all.
    pub total: u64,
    /// Per topic; topics with none are left out.
    pub topics: BTreeMap<String, u64>,
}

impl Messages {
    pub(super) fn add(&mut self, topic: &str, messages: u64) {
        if messages > 0 {
            self.total += messages;
            *self.topics.entry(topic.to_owned()).or_default() += messages;
        }
    }
}

/// What is lost or comes twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    /// Messages that stay in the log or in hidden files, but that no queue leads to any more.
    pub hidden: Messages,
    /// Messages behind the new end of the log.
    pub cut: Messages,
    /// Messages that are delivered again.
    pub redelivered: Messages,
    /// Messages that consumers pass over without a word, or that lie behind an offset they never get past.
    pub skipped: Messages,
    /// Index entries that are gone.
    pub index_keys: u64,
    /// By consumer group, for groups with a committed offset; those that lose nothing are left out.
    pub groups: BTreeMap<String, GroupLosses>,
}

/// What a consumer group loses or gets twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GroupLosses {
    /// Messages behind its committed offsets that it never gets, at most: where a queue loses messages on both sides of
    /// an offset, all of them may lie behind it.
    pub unread_lost: u64,
    /// Messages that it gets again because its offset lies beyond the end of the queue.
    pub redelivered: u64,
    /// Queues in which its offset lies beyond the end.
    pub queues_beyond_end: u64,
}

/// What a release would do to a store at its start.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BootPrediction {
    /// The release.
    pub release: Release,
    /// The kind of start.
    pub exit: Exit,
    /// The worst of the flags.
    pub outcome: BootFlag,
    /// All that apply, the worst first.
    pub flags: Vec<BootFlag>,
    /// What the broker does, in its order.
    pub steps: Vec<Step>,
    /// The commit log.
    pub log: LogPrediction,
    /// The queues, by topic and number.
    pub queues: Vec<QueuePrediction>,
    /// The files.
    pub files: FileChanges,
    /// The config files, in the order in which they are loaded.
    pub config: Vec<ConfigFile>,
    /// The losses.
    pub losses: Losses,
    /// Stretches of the log whose keys are not found afterwards although messages are there, `from .. to`.
    #[serde(skip)]
    pub unindexed: Vec<(u64, u64)>,
    /// Messages that get no unit because the log holds another one of the same queue offset: 4.2.0 and later drop them.
    #[serde(skip)]
    pub repeated: u64,
    /// Delayed messages that fire at once because the start builds their units anew (4.9.2 to 4.9.8).
    #[serde(skip)]
    pub fires_at_once: u64,
}

/// A start that cannot be predicted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootError {
    /// A file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration asks for something whose start is not simulated.
    #[error("the start of {release} with {what} is not simulated")]
    NotSimulated {
        /// The release.
        release: Release,
        /// What it is.
        what: &'static str,
    },
    /// The release looks below the broker's home folder, which was not given.
    #[error("{release} looks for {key} below the home folder of the broker's user, expected to be told where that is")]
    HomeNeeded {
        /// The release.
        release: Release,
        /// The key that is unset, or the file.
        key: &'static str,
    },
    /// Cancelled.
    #[error("cancelled")]
    Cancelled,
}
