//! What each entry of a store root is.

use std::ffi::OsStr;

/// What an entry directly below the store root is, told by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// `commitlog/`: the messages.
    CommitLog,
    /// `consumequeue/`: the queues; with `storeType=defaultRocksDB` a RocksDB database lies in the same folder.
    ConsumeQueue,
    /// `consumequeue_ext/`: extension units, 4.1.0 and later with `enableConsumeQueueExt`.
    ConsumeQueueExt,
    /// `batchconsumequeue/`: queues of topics with `queue.type=BatchCQ`, 5.0.0 and later.
    BatchConsumeQueue,
    /// `consumequeue_rocksdb/`: RocksDB queues apart from the others, 5.5.0 and later by a switch.
    ConsumeQueueRocksDb,
    /// `index/`: key look-up.
    Index,
    /// `checkpoint`: flush marks.
    Checkpoint,
    /// `abort`: there while a broker runs and after an unclean stop.
    Abort,
    /// `abort.bak`, `abort.tmp`: side effects of writing `abort` from 5.0.0 on; they mean nothing.
    AbortLeftover,
    /// `lock`: what a broker locks from 4.2.0 on; its existence means nothing.
    Lock,
    /// `config/`: topics, groups, offsets.
    Config,
    /// `timerwheel` and its snapshots, `timerlog/`: timed messages, 5.0.0 and later.
    Timer,
    /// `compaction/`: compacted copies of topics, 5.1.0 and later.
    Compaction,
    /// `dledger-<id>/`: the log of a DLedger broker, 4.5.0 and later.
    Dledger,
    /// `kvStore/`: POP records in RocksDB, 5.3.2 and later.
    KvStore,
    /// `rocksdbstore/`: index, timers and transactions in RocksDB, made by every broker from 5.4.0 on.
    RocksDbStore,
    /// `epochFileCheckpoint`: epochs of a controller mode broker, 5.0.0 and later.
    EpochFile,
    /// `brokerIdentity`: identity of a controller mode broker, 5.1.1 and later.
    BrokerIdentity,
    /// `tiered_index_file/`: index of tiered storage, 5.1.0 and later.
    TieredIndex,
    /// `transaction/`: left over from 3.1 and earlier; nothing reads it.
    Transaction,
    /// Nothing that a broker makes here.
    Unknown,
}

/// Names by kind. A name that ends in `*` is the beginning of one.
const NAMES: &[(&str, EntryKind)] = &[
    ("commitlog", EntryKind::CommitLog),
    ("consumequeue", EntryKind::ConsumeQueue),
    ("consumequeue_ext", EntryKind::ConsumeQueueExt),
    ("batchconsumequeue", EntryKind::BatchConsumeQueue),
    ("consumequeue_rocksdb", EntryKind::ConsumeQueueRocksDb),
    ("index", EntryKind::Index),
    ("checkpoint", EntryKind::Checkpoint),
    ("abort", EntryKind::Abort),
    ("abort.bak", EntryKind::AbortLeftover),
    ("abort.tmp", EntryKind::AbortLeftover),
    ("lock", EntryKind::Lock),
    ("config", EntryKind::Config),
    ("timerwheel", EntryKind::Timer),
    ("timerwheel.*", EntryKind::Timer),
    ("timerlog", EntryKind::Timer),
    ("compaction", EntryKind::Compaction),
    ("dledger-*", EntryKind::Dledger),
    ("kvStore", EntryKind::KvStore),
    ("rocksdbstore", EntryKind::RocksDbStore),
    ("RocksDBMessageStore", EntryKind::RocksDbStore),
    ("epochFileCheckpoint", EntryKind::EpochFile),
    ("epochFileCheckpoint.bak", EntryKind::EpochFile),
    ("brokerIdentity", EntryKind::BrokerIdentity),
    ("brokerIdentity-temp", EntryKind::BrokerIdentity),
    ("brokerIdentity.bak", EntryKind::BrokerIdentity),
    ("tiered_index_file", EntryKind::TieredIndex),
    ("transaction", EntryKind::Transaction),
];

impl EntryKind {
    /// The kind of the entry `name` of a store root.
    pub fn of(name: &OsStr) -> Self {
        let name = name.to_string_lossy();
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => name.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()),
            None => name == pattern,
        };
        NAMES.iter().find(|(pattern, _)| fits(pattern)).map_or(Self::Unknown, |(_, kind)| *kind)
    }

    /// Whether an entry of this kind makes a folder a store.
    pub fn marks_a_store(self) -> bool {
        matches!(
            self,
            Self::CommitLog
                | Self::ConsumeQueue
                | Self::BatchConsumeQueue
                | Self::Index
                | Self::Checkpoint
                | Self::Dledger
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_from_those_that_begin_alike() {
        let kind = |name: &str| EntryKind::of(OsStr::new(name));
        assert_eq!(kind("abort"), EntryKind::Abort);
        assert_eq!(kind("abort.bak"), EntryKind::AbortLeftover);
        assert_eq!(kind("dledger-n0"), EntryKind::Dledger);
        assert_eq!(kind("dledger-"), EntryKind::Unknown);
        assert_eq!(kind("timerwheel.4711"), EntryKind::Timer);
        assert_eq!(kind("commitlog2"), EntryKind::Unknown);
    }
}
