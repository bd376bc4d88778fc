//! The table: one block per property, one line per release from which another rule holds.
//!
//! A line is `first release => rule, how it is known;` and holds until the next line. So ranges cannot overlap or leave gaps;
//! the first line of a block is always the oldest release. Where a boundary is not pinned by what was seen, the property's
//! doc sentence says so. Statements about 5.3.4 and later that were not seen come from the development branch before 5.3.4
//! (see [`Release::is_provisional`](super::Release::is_provisional)).

use super::rules::{
    AbnormalScanStart, AbortContent, AbortDispatch, AbortKept, BadConfig, CheckpointLogics, CleanDispatch,
    ConfigCharset, ConfigRead, ConfigWriter, CqTruncation, DataVersionFields, DefaultPlace, DelayOffset,
    DelayOffsetLoad, EmptyLog, Expiry, FileLookup, ForeignName, HashSlotCount, IndexDispatch, IndexForeignName,
    IndexLoad, JsonWriter, LengthMismatch, MaxPhysicOffset, MinLogicOffset, NormalScanStart, OverflowBadly,
    PhantomUnit, RefusedStart, RepeatedQueueOffset, RocksDbImport, SizeKey, SlaveTopicSync, SubFolder, UnreadableUnit,
    WrongLength, ZeroLengthLastFile,
};
use super::{Evidence, Fact, Release};

/// One property of the table with all its lines, for documentation and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name, a field of [`Behaviour`].
    pub name: &'static str,
    /// Where it is in the broker's source, as `Class.method`.
    pub class: &'static str,
    /// Its lines, oldest first.
    pub rows: Vec<PropertyRow>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyRow {
    /// First release it holds for.
    pub since: Release,
    /// Last release it holds for.
    pub until: Release,
    /// The rule's name.
    pub value: String,
    /// How it is known.
    pub evidence: Evidence,
}

struct Row<T> {
    since: Release,
    value: T,
    evidence: Evidence,
}

fn pick<T: Copy>(first: &Row<T>, later: &[Row<T>], release: Release) -> Fact<T> {
    let &Row { since, value, evidence } = first;
    let mut fact = Fact { value, since, until: Release::NEWEST, evidence };
    for row in later {
        if row.since > release {
            fact.until = row.since.previous().unwrap_or(row.since);
            break;
        }
        (fact.value, fact.since, fact.evidence) = (row.value, row.since, row.evidence);
    }
    fact
}

macro_rules! evidence {
    (seen $($release:ident)+) => { Evidence::Seen(&[$(Release::$release),+]) };
    (source) => { Evidence::Source };
    (derived) => { Evidence::Derived };
}

macro_rules! behaviours {
    ($(
        $(#[$doc:meta])* $name:ident: $ty:ty, $class:literal {
            $first:ident => $first_value:expr, [$($first_evidence:ident)+];
            $( $since:ident => $value:expr, [$($evidence:ident)+]; )*
        }
    )+) => {
        /// What one release does, property by property. Get it with [`Release::behaviour`].
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[non_exhaustive]
        pub struct Behaviour { $( $(#[$doc])* #[doc = concat!("\n\nIn the broker: `", $class, "`.")] pub $name: Fact<$ty>, )+ }

        impl Behaviour {
            pub(super) fn of(release: Release) -> Self {
                Self { $( $name: pick(
                    &Row { since: Release::$first, value: $first_value, evidence: evidence!($($first_evidence)+) },
                    &[$( Row { since: Release::$since, value: $value, evidence: evidence!($($evidence)+) } ),*],
                    release,
                ), )+ }
            }

            /// The whole table.
            pub fn properties() -> Vec<Property> {
                vec![$( Property {
                    name: stringify!($name),
                    class: $class,
                    rows: with_ends(vec![
                        (Release::$first, format!("{:?}", $first_value), evidence!($($first_evidence)+)),
                        $( (Release::$since, format!("{:?}", $value), evidence!($($evidence)+)), )*
                    ]),
                }, )+]
            }
        }
    };
}

fn with_ends(rows: Vec<(Release, String, Evidence)>) -> Vec<PropertyRow> {
    let next =
        rows.iter().skip(1).map(|(since, ..)| since.previous()).chain([Some(Release::NEWEST)]).collect::<Vec<_>>();
    rows.into_iter()
        .zip(next)
        .map(|((since, value, evidence), until)| PropertyRow { since, until: until.unwrap_or(since), value, evidence })
        .collect()
}

behaviours! {
    // Where things lie.

    /// Folder of the commit log when `storePathCommitLog` is unset.
    commit_log_place: DefaultPlace, "MessageStoreConfig.getStorePathCommitLog" {
        V3_2_6 => DefaultPlace::Home, [seen V3_5_8 V4_3_2];
        V4_9_4 => DefaultPlace::Root, [seen V4_9_7 V5_3_3];
    }
    /// Whether `storePathCommitLog` may be a list split by `,`, with `readOnlyCommitLogStorePaths` beside it.
    commit_log_multi_path: bool, "MultiPathMappedFileQueue" {
        V3_2_6 => false, [source];
        V4_9_2 => true, [source];
    }
    /// Spelling of the two file size keys.
    mapped_file_size_key: SizeKey, "MessageStoreConfig" {
        V3_2_6 => SizeKey::Maped, [seen V3_5_8 V4_3_2];
        V4_5_2 => SizeKey::Mapped, [seen V4_5_2 V4_9_2 V4_9_7 V5_0_0 V5_1_4 V5_3_3];
    }
    /// Whether blanks at the end of a text value of `broker.conf` are dropped. Numbers with blanks never parse.
    string_values_trimmed: bool, "MixAll.properties2Object" {
        V3_2_6 => false, [source];
        V5_2_0 => true, [source];
    }
    /// Place of `config/topics.json` and `config/subscriptionGroup.json`. The move to `$HOME` came between 3.4.6 and 3.5.5.
    topics_json_place: DefaultPlace, "TopicConfigManager.configFilePath" {
        V3_2_6 => DefaultPlace::Root, [seen V3_2_6];
        V3_5_5 => DefaultPlace::Home, [seen V3_5_8];
        V4_0_0 => DefaultPlace::Root, [seen V4_3_2 V4_9_7 V5_3_3];
    }
    /// Place of `epochFileCheckpoint` when `storePathEpochFile` is unset.
    epoch_file_place: DefaultPlace, "MessageStoreConfig.getStorePathEpochFile" {
        V3_2_6 => DefaultPlace::Absent, [source];
        V5_0_0 => DefaultPlace::Home, [source];
        V5_1_1 => DefaultPlace::Root, [source];
    }
    /// Place of `brokerIdentity` when `storePathBrokerIdentity` is unset.
    broker_identity_place: DefaultPlace, "MessageStoreConfig.getStorePathBrokerIdentity" {
        V3_2_6 => DefaultPlace::Absent, [source];
        V5_1_1 => DefaultPlace::Root, [source];
    }

    // Small files in the store root.

    /// Whether a start takes an exclusive lock on `lock`. It is taken after recovery, so a second broker has then changed
    /// the store already.
    lock_file: bool, "DefaultMessageStore.start" {
        V3_2_6 => false, [seen V3_5_8];
        V4_2_0 => true, [seen V4_3_2 V4_9_7 V5_3_3];
    }
    /// What `abort` holds.
    abort_content: AbortContent, "DefaultMessageStore.createTempFile" {
        V3_2_6 => AbortContent::Empty, [seen V3_2_6 V3_5_8 V4_3_2 V4_9_7];
        V5_0_0 => AbortContent::Pid, [seen V5_3_3 V5_4_0 V5_5_0];
    }
    /// When an orderly stop leaves `abort` behind.
    abort_kept: AbortKept, "DefaultMessageStore.shutdown" {
        V3_2_6 => AbortKept::Never, [source];
        V3_3_1 => AbortKept::NotWritable, [source];
        V4_2_0 => AbortKept::NotWritableOrBehind, [source];
    }
    /// Number of int64 fields of `checkpoint` that the release knows. The others it leaves as they are.
    checkpoint_fields: u8, "StoreCheckpoint" {
        V3_2_6 => 3, [source];
        V5_0_0 => 4, [source];
        V5_1_1 => 5, [seen V5_3_3 V5_4_0];
        V5_5_0 => 6, [seen V5_5_0];
    }
    /// Whether `physicMsgTimestamp` of the checkpoint moves on slaves and with DLedger.
    checkpoint_physic_on_slave: bool, "StoreCheckpoint.setPhysicMsgTimestamp" {
        V3_2_6 => false, [seen V4_3_2];
        V4_6_0 => true, [source];
    }
    /// When `logicsMsgTimestamp` of the checkpoint moves.
    checkpoint_logics: CheckpointLogics, "StoreCheckpoint.setLogicsMsgTimestamp" {
        V3_2_6 => CheckpointLogics::OnAppend, [seen V3_5_8 V4_3_2 V4_9_7 V5_3_3 V5_4_0];
        V5_5_0 => CheckpointLogics::ThoroughFlush, [seen V5_5_0];
    }

    // Loading the files of the commit log and the queues.

    /// A file of another length than configured, or whose entry is none of the log's files.
    wrong_length: WrongLength, "MappedFileQueue.load" {
        V3_2_6 => WrongLength::HidesLater, [seen V3_5_8 V4_3_2 V4_4_0];
        V4_5_0 => WrongLength::Refuses, [seen V4_5_2];
        V4_9_2 => WrongLength::HidesLater, [seen V4_9_2];
        V4_9_3 => WrongLength::Refuses, [seen V4_9_7 V5_0_0 V5_1_4 V5_3_3];
    }
    /// A folder among the files.
    sub_folder: SubFolder, "MappedFileQueue.doLoad" {
        V3_2_6 => SubFolder::AsWrongLength, [seen V3_5_8 V4_3_2 V4_4_0 V4_5_2 V4_9_2 V4_9_7 V5_0_0];
        V5_1_0 => SubFolder::Skipped, [seen V5_1_4 V5_3_3];
    }
    /// A last file of length zero.
    zero_length_last_file: ZeroLengthLastFile, "MappedFileQueue.doLoad" {
        V3_2_6 => ZeroLengthLastFile::AsWrongLength, [seen V3_5_8 V4_3_2 V4_5_2 V4_9_7 V5_0_0];
        V5_1_3 => ZeroLengthLastFile::Deleted, [seen V5_1_4 V5_3_3];
    }
    /// A file whose name is no number.
    foreign_name: ForeignName, "MappedFile.init" {
        V3_2_6 => ForeignName::RefusesAtRightLength, [seen V3_5_8 V4_3_2 V4_9_7 V5_3_3];
    }
    /// What a read does behind a missing file.
    file_lookup: FileLookup, "MappedFileQueue.findMappedFileByOffset" {
        V3_2_6 => FileLookup::ByFileCount, [seen V3_5_8];
        V4_3_0 => FileLookup::Verified, [seen V4_3_2 V4_9_7 V5_3_3];
    }
    /// An index file that cannot be opened.
    index_load: IndexLoad, "IndexService.load" {
        V3_2_6 => IndexLoad::Ignored, [seen V3_5_8 V4_3_2 V4_9_7];
        V5_1_0 => IndexLoad::Refuses, [seen V5_3_3];
    }
    /// A file in `index/` whose name is no number. The change came between 3.4.6 and 3.5.5.
    index_foreign_name: IndexForeignName, "IndexService.load" {
        V3_2_6 => IndexForeignName::StopsLoad, [source];
        V3_5_5 => IndexForeignName::Skipped, [seen V3_5_8 V4_3_2 V4_9_7];
    }

    // Judging records.

    /// Whether magic code 0xDAA320AB (two-byte topic length) is known. If not, the log is cut at the first such record.
    record_magic_v2: bool, "CommitLog.checkMessageAndReturnSize" {
        V3_2_6 => false, [seen V4_9_7];
        V5_1_0 => true, [seen V5_3_3];
    }
    /// Whether sysFlag 0x10 and 0x20 (16-byte hosts) are known. If not, the log is cut at the first such record.
    ipv6_hosts: bool, "MessageSysFlag" {
        V3_2_6 => false, [seen V4_5_2];
        V4_6_0 => true, [seen V4_9_7 V5_3_3];
    }
    /// Total size against the sum of the fields.
    length_mismatch: LengthMismatch, "CommitLog.checkMessageAndReturnSize" {
        V3_2_6 => LengthMismatch::Unchecked, [source];
        V3_3_1 => LengthMismatch::Fails, [source];
        V3_4_6 => LengthMismatch::AbnormalGoesOn, [seen V3_5_8];
        V4_3_2 => LengthMismatch::Fails, [seen V4_3_2 V4_9_7 V5_3_3];
    }
    /// Whether a record that claims more bytes than remain is refused before they are read. If not, a huge size with a good
    /// magic makes the JVM allocate it.
    remaining_bytes_guard: bool, "CommitLog.checkMessageAndReturnSize" {
        V3_2_6 => false, [source];
        V5_3_2 => true, [source];
    }
    /// Whether a record larger than `maxMessageSize` can be read. If not, the log is cut at the first such record.
    record_above_max_message_size: bool, "CommitLog.checkMessageAndReturnSize" {
        V3_2_6 => false, [source];
        V3_3_1 => true, [source];
    }
    /// Whether `duplicationEnable=true` makes recovery demand a property `DUP_INFO` that nothing writes.
    dup_info_demanded: bool, "CommitLog.checkMessageAndReturnSize" {
        V3_2_6 => false, [seen V3_5_8 V4_3_2 V4_9_7];
        V5_0_0 => true, [seen V5_3_3];
    }
    /// Whether non-numeric properties `INNER_NUM` and `INNER_BASE` fail a record.
    inner_properties_checked: bool, "CommitLog.checkMessageAndReturnSize" {
        V3_2_6 => false, [source];
        V5_0_0 => true, [source];
    }
    /// Whether `forceVerifyPropCRC=true` is known, which fails every record without `__CRC32#`.
    force_verify_prop_crc: bool, "CommitLog.checkMessageAndReturnSize" {
        V3_2_6 => false, [source];
        V5_2_0 => true, [seen V5_3_3];
    }
    /// Default of `maxMessageSize` in bytes. The change came between 3.4.6 and 3.5.5.
    max_message_size: u32, "MessageStoreConfig.maxMessageSize" {
        V3_2_6 => 512 * 1024, [source];
        V3_5_5 => 4 * 1024 * 1024, [source];
    }

    // Recovery of the commit log and the queues.

    /// Where the scan of a start without `abort` begins. Damage before it stays unnoticed.
    normal_scan_start: NormalScanStart, "CommitLog.recoverNormally" {
        V3_2_6 => NormalScanStart::LastThree, [seen V3_5_8 V4_3_2 V4_9_7];
        V5_3_2 => NormalScanStart::HighestCqPosition, [seen V5_3_3];
        V5_3_4 => NormalScanStart::ValidFirstRecord, [source];
    }
    /// Where the scan of a start with `abort` begins.
    abnormal_scan_start: AbnormalScanStart, "CommitLog.isMappedFileMatchedRecover" {
        V3_2_6 => AbnormalScanStart::FirstStoreTimestamp, [seen V3_5_8 V4_3_2 V4_9_7 V5_3_3];
        V5_3_4 => AbnormalScanStart::ValidFirstRecord, [source];
        V5_5_0 => AbnormalScanStart::DispatchedOffset, [seen V5_5_0];
    }
    /// Whether with RocksDB queues the abnormal scan starts by their highest physical offset instead of times.
    abnormal_scan_start_by_rocksdb_cq: bool, "CommitLog.isMappedFileMatchedRecover" {
        V3_2_6 => false, [source];
        V5_2_0 => true, [source];
    }
    /// When a normal start cuts the queues at the log's end.
    cq_truncation_normal: CqTruncation, "CommitLog.recoverNormally" {
        V3_2_6 => CqTruncation::Never, [seen V3_5_8];
        V4_3_2 => CqTruncation::IfBeyond, [seen V4_3_2 V4_9_7 V5_3_3];
        V5_3_4 => CqTruncation::Always, [source];
    }
    /// When an abnormal start cuts the queues at the log's end.
    cq_truncation_abnormal: CqTruncation, "CommitLog.recoverAbnormally" {
        V3_2_6 => CqTruncation::Always, [seen V3_5_8];
        V4_3_2 => CqTruncation::IfBeyond, [seen V4_3_2 V4_9_7 V5_3_3];
        V5_3_4 => CqTruncation::Always, [source];
    }
    /// What the queues' highest physical offset is.
    max_physic_offset: MaxPhysicOffset, "ConsumeQueue.recover" {
        V3_2_6 => MaxPhysicOffset::Phy, [source];
        V4_5_0 => MaxPhysicOffset::PhyPlusSize, [seen V4_9_7 V5_3_3];
    }
    /// How the minimum of a queue is found.
    min_logic_offset: MinLogicOffset, "ConsumeQueue.correctMinOffset" {
        V3_2_6 => MinLogicOffset::LinearScan, [source];
        V5_0_0 => MinLogicOffset::BinarySearch, [source];
    }
    /// A unit below the queue's end, as a rebuild meets them where queue offsets were used twice.
    repeated_queue_offset: RepeatedQueueOffset, "ConsumeQueue.putMessagePositionInfo" {
        V3_2_6 => RepeatedQueueOffset::Appended, [seen V3_5_8];
        V4_2_0 => RepeatedQueueOffset::Skipped, [seen V4_3_2];
    }
    /// An all-zero last queue file behind a full one.
    phantom_unit: PhantomUnit, "ConsumeQueue.truncateDirtyLogicFiles" {
        V3_2_6 => PhantomUnit::AbnormalStart, [seen V3_5_8];
        V4_3_2 => PhantomUnit::Never, [seen V4_3_2];
        V4_5_0 => PhantomUnit::EveryStart, [seen V4_9_7 V5_3_3];
    }
    /// Messages that a pull for 32 of them brings. The boundary is inferred from what was seen.
    messages_of_pull_32: u8, "DefaultMessageStore.isTheBatchFull" {
        V3_2_6 => 31, [seen V3_5_8];
        V4_0_0 => 32, [seen V4_3_2 V4_9_7 V5_3_3];
    }
    /// A pull at a unit that cannot be read. The boundary is inferred from what was seen.
    unreadable_unit: UnreadableUnit, "PullMessageProcessor.processRequest" {
        V3_2_6 => UnreadableUnit::FailsWithCode1, [seen V3_5_8 V4_3_2 V4_9_7];
        V5_0_0 => UnreadableUnit::NeverAnswered, [seen V5_3_3];
    }
    /// Start without `abort` on an empty commit log, or one that is not mounted.
    empty_log_normal: EmptyLog, "CommitLog.recoverNormally" {
        V3_2_6 => EmptyLog::Ignored, [seen V3_2_6 V3_5_8 V4_3_2 V4_4_0];
        V4_5_0 => EmptyLog::DestroysQueues, [seen V4_5_2 V4_9_2 V4_9_7 V5_0_0 V5_1_4 V5_3_3 V5_5_0];
    }
    /// Start with `abort` on an empty commit log.
    empty_log_abnormal: EmptyLog, "CommitLog.recoverAbnormally" {
        V3_2_6 => EmptyLog::DestroysQueues, [seen V3_2_6 V3_5_8 V4_3_2 V4_4_0 V4_5_2 V4_9_2 V4_9_7 V5_0_0 V5_1_4 V5_3_3 V5_5_0];
    }
    /// What a start without `abort` dispatches, `recheckReputOffsetFromCq` being unset.
    clean_dispatch: CleanDispatch, "DefaultMessageStore.start" {
        V3_2_6 => CleanDispatch::Nothing, [seen V3_2_6 V3_5_8 V4_3_2 V4_4_0];
        V4_5_0 => CleanDispatch::FromQueues, [seen V4_5_2 V4_9_2 V4_9_7];
        V5_0_0 => CleanDispatch::Nothing, [seen V5_0_0 V5_1_4];
        V5_3_2 => CleanDispatch::FromQueuesButFirst, [seen V5_3_2 V5_3_3 V5_5_0];
    }
    /// What a start with `abort` dispatches.
    abort_dispatch: AbortDispatch, "CommitLog.recoverAbnormally" {
        V3_2_6 => AbortDispatch::Racing, [seen V3_2_6];
        V3_3_1 => AbortDispatch::FromScanStart, [seen V3_5_8 V4_3_2 V4_4_0 V4_5_2 V4_9_7 V5_1_4 V5_3_2 V5_3_3 V5_5_0];
    }
    /// Whether units of delayed messages that an abnormal start builds get due time 0, so that all fire at once.
    rebuilt_delay_fires_at_once: bool, "ScheduleMessageService.computeDeliverTimestamp" {
        V3_2_6 => false, [seen V3_5_8 V4_3_2];
        V4_9_2 => true, [seen V4_9_7];
        V5_0_0 => false, [seen V5_3_3];
    }
    /// When `delayOffset.json` is loaded. In the releases from 4.9.2 on it comes behind recovery.
    delay_offset_load: DelayOffsetLoad, "DefaultMessageStore.load" {
        V3_2_6 => DelayOffsetLoad::BeforeLog, [source];
        V4_9_2 => DelayOffsetLoad::AfterRecovery, [source];
    }
    /// Whether `recheckReputOffsetFromCq=true` makes the dispatcher begin at the highest end of the queues.
    recheck_reput_from_cq: bool, "DefaultMessageStore.doRecheckReputOffsetFromCq" {
        V3_2_6 => false, [source];
        V5_0_0 => true, [seen V5_3_3];
    }
    /// A delay offset outside its queue.
    delay_offset: DelayOffset, "ScheduleMessageService.correctDelayOffset" {
        V3_2_6 => DelayOffset::Kept, [seen V3_5_8];
        V4_9_2 => DelayOffset::Clamped, [seen V4_9_7];
    }
    /// A consumer beyond the end of its queue.
    overflow_badly: OverflowBadly, "DefaultMessageStore.getMessage" {
        V3_2_6 => OverflowBadly::MinIfZero, [seen V3_5_8];
        V4_9_4 => OverflowBadly::Max, [source];
    }
    /// Which commit log files expiry deletes.
    expiry: Expiry, "MappedFileQueue.deleteExpiredFileByTime" {
        V3_2_6 => Expiry::AnyExpired, [source];
        V4_2_0 => Expiry::UpToFirstUnexpired, [source];
    }

    // Index.

    /// How messages get into the index.
    index_dispatch: IndexDispatch, "IndexService.putRequest" {
        V3_2_6 => IndexDispatch::AsyncLossy, [source];
        V3_3_1 => IndexDispatch::Synchronous, [source];
    }
    /// Whether commit records of transactions are indexed. The change came between 3.4.6 and 3.5.5.
    commit_indexed: bool, "IndexService.buildIndex" {
        V3_2_6 => false, [seen V3_2_6];
        V3_5_5 => true, [seen V3_5_8];
    }
    /// Whether the property `UNIQ_KEY` is indexed. The change came between 3.4.6 and 3.5.5.
    uniq_key_indexed: bool, "IndexService.buildIndex" {
        V3_2_6 => false, [seen V3_2_6];
        V3_5_5 => true, [seen V3_5_8 V4_3_2 V4_9_7 V5_3_3];
    }
    /// Whether tags are indexed, as `topic#T#tag`.
    tags_indexed: bool, "IndexService.buildIndex" {
        V3_2_6 => false, [seen V3_2_6 V3_5_8 V4_3_2 V4_9_7 V5_3_3];
        V5_4_0 => true, [seen V5_4_0 V5_5_0];
    }
    /// What `hashSlotCount` counts.
    hash_slot_count: HashSlotCount, "IndexFile.putKey" {
        V3_2_6 => HashSlotCount::Entries, [seen V3_2_6 V3_5_8 V4_3_2];
        V4_7_1 => HashSlotCount::UsedSlots, [seen V4_9_7 V5_3_3];
    }
    /// Whether an orderly stop forces index files to disk.
    index_forced_at_shutdown: bool, "IndexService.shutdown" {
        V3_2_6 => false, [source];
        V5_0_0 => true, [source];
    }

    // Config files.

    /// How config files are read.
    config_read: ConfigRead, "MixAll.file2String" {
        V3_2_6 => ConfigRead::Chars, [seen V3_5_8];
        V4_1_0 => ConfigRead::Bytes, [source];
    }
    /// Charset of config files.
    config_charset: ConfigCharset, "ConfigManager.persist" {
        V3_2_6 => ConfigCharset::JvmDefault, [source];
        V5_0_0 => ConfigCharset::Utf8, [source];
    }
    /// How config files are written, and so what a crash leaves.
    config_writer: ConfigWriter, "MixAll.string2File" {
        V3_2_6 => ConfigWriter::TmpRename, [source];
        V5_1_0 => ConfigWriter::InPlace, [source];
        V5_3_4 => ConfigWriter::MoveThenSync, [source];
    }
    /// A config file that cannot be parsed.
    bad_config: BadConfig, "ConfigManager.load" {
        V3_2_6 => BadConfig::Kept, [seen V3_5_8 V4_3_2 V4_9_7 V5_3_3];
        V5_3_4 => BadConfig::Deleted, [source];
    }
    /// Whether a start writes `topics.json` again with the built-in topics. The boundary is inferred from what was seen.
    topics_json_written_at_start: bool, "TopicConfigManager" {
        V3_2_6 => false, [seen V3_5_8];
        V4_0_0 => true, [seen V4_3_2 V4_9_7 V5_3_3];
    }
    /// What a refused start overwrites. The boundary is inferred from what was seen.
    refused_start: RefusedStart, "BrokerController.shutdown" {
        V3_2_6 => RefusedStart::EmptiesConsumerOffset, [seen V3_5_8 V4_3_2 V4_9_7];
        V5_0_0 => RefusedStart::EmptiesDelayOffset, [seen V5_3_3];
    }
    /// Library that writes the JSON files.
    json_writer: JsonWriter, "RemotingSerializable.toJson" {
        V3_2_6 => JsonWriter::Fastjson1, [seen V3_2_6 V3_5_8 V4_3_2 V4_4_0 V4_9_7 V5_3_3];
        V5_4_0 => JsonWriter::Fastjson2, [seen V5_4_0 V5_5_0];
    }
    /// Fields of `dataVersion`.
    data_version_fields: DataVersionFields, "DataVersion" {
        V3_2_6 => DataVersionFields::Timestatmp, [seen V3_2_6 V3_5_8];
        V4_1_0 => DataVersionFields::Timestamp, [seen V4_3_2 V4_9_7];
        V5_0_0 => DataVersionFields::StateVersion, [seen V5_3_3 V5_4_0 V5_5_0];
    }
    /// Whether `attributes` of topics and the other fields of 5.x in topics and groups are kept. If not, the next persist
    /// drops them.
    attributes: bool, "TopicConfig.attributes" {
        V3_2_6 => false, [seen V4_9_7];
        V5_0_0 => true, [seen V5_3_3];
    }
    /// Whether topics, groups and offsets are all persisted at an orderly stop.
    config_persisted_at_shutdown: bool, "BrokerController.shutdown" {
        V3_2_6 => false, [source];
        V5_0_0 => true, [source];
    }
    /// What becomes of JSON config when the broker is switched to RocksDB config.
    rocksdb_import: RocksDbImport, "RocksDBConfigManager" {
        V3_2_6 => RocksDbImport::Absent, [source];
        V5_1_4 => RocksDbImport::Ignored, [source];
        V5_3_1 => RocksDbImport::BySwitch, [source];
        V5_3_2 => RocksDbImport::ByCounter, [seen V5_3_3];
    }
    /// What a slave's topic sync does.
    slave_topic_sync: SlaveTopicSync, "SlaveSynchronize.syncTopicConfig" {
        V3_2_6 => SlaveTopicSync::Follows, [seen V3_5_8 V4_3_2];
        V5_3_2 => SlaveTopicSync::Destroys, [seen V5_3_3];
        V5_3_4 => SlaveTopicSync::Follows, [source];
    }

    // What the release can serve at all.

    /// Queue extension units; if not known, their addresses are taken for tag hashes.
    consume_queue_ext: bool, "ConsumeQueueExt" {
        V3_2_6 => false, [source];
        V4_1_0 => true, [seen V4_3_2];
    }
    /// Half messages in a topic of their own; if not known, pending ones are never checked.
    half_message_topic: bool, "TransactionalMessageServiceImpl" {
        V3_2_6 => false, [source];
        V4_3_0 => true, [seen V4_3_2 V4_9_7 V5_3_3];
    }
    /// ACL 1.0 (`conf/plain_acl.yml`) is enforced with `aclEnable=true`.
    acl_1_enforced: bool, "PlainAccessValidator" {
        V3_2_6 => false, [source];
        V4_4_0 => true, [source];
        V5_3_3 => false, [source];
    }
    /// DLedger commit log.
    dledger: bool, "DLedgerCommitLog" {
        V3_2_6 => false, [source];
        V4_5_0 => true, [seen V4_9_7 V5_3_3];
    }
    /// Light queues `%LMQ%…` and `config/lmqConsumerOffset.json`.
    lmq: bool, "MultiDispatch" {
        V3_2_6 => false, [source];
        V4_9_3 => true, [seen V5_3_3];
    }
    /// Timer wheel; if not known, timed messages stay in their topic, undelivered.
    timer_wheel: bool, "TimerMessageStore" {
        V3_2_6 => false, [seen V4_9_7];
        V5_0_0 => true, [seen V5_3_3];
    }
    /// POP consumption; if not known, messages in flight are not delivered again.
    pop: bool, "PopMessageProcessor" {
        V3_2_6 => false, [source];
        V5_0_0 => true, [seen V5_3_3];
    }
    /// Batch queues; if not known, a batch gets one unit and queue offsets diverge.
    batch_consume_queue: bool, "BatchConsumeQueue" {
        V3_2_6 => false, [source];
        V5_0_0 => true, [seen V5_3_3];
    }
    /// Compaction topics.
    compaction: bool, "CompactionStore" {
        V3_2_6 => false, [source];
        V5_1_0 => true, [seen V5_3_3];
    }
    /// Topics, groups and offsets in RocksDB below `config/`.
    rocksdb_config: bool, "RocksDBConfigManager" {
        V3_2_6 => false, [source];
        V5_1_4 => true, [seen V5_3_3];
    }
    /// RocksDB config with the column families `kvDataVersion` and `forbidden`; if not known, it cannot be opened.
    rocksdb_config_kv_data_version: bool, "ConfigRocksDBStorage" {
        V3_2_6 => false, [source];
        V5_3_1 => true, [seen V5_3_3];
    }
    /// Config in `config/rdb`, `configManagerVersion=v2`.
    config_manager_v2: bool, "ConfigStorage" {
        V3_2_6 => false, [source];
        V5_3_2 => true, [seen V5_3_3];
    }
    /// Consume queues in RocksDB; if not known, the queues seem empty or old.
    rocksdb_consume_queue: bool, "RocksDBConsumeQueueStore" {
        V3_2_6 => false, [source];
        V5_2_0 => true, [seen V5_3_3];
    }
    /// `rocksdbstore/` is created at every start.
    rocksdb_message_store: bool, "MessageRocksDBStorage" {
        V3_2_6 => false, [seen V5_3_3];
        V5_4_0 => true, [seen V5_4_0 V5_5_0];
    }

    // Around the store.

    /// Whether the port in `haListenPort` counts; if not, it is `listenPort` + 1 whatever the file says.
    ha_listen_port_honoured: bool, "BrokerStartup.createBrokerController" {
        V3_2_6 => false, [source];
        V5_1_1 => true, [source];
    }
    /// Whether `enableDLegerCommitLog` together with `enableControllerMode` ends the start.
    dledger_with_controller_refused: bool, "BrokerStartup.createBrokerController" {
        V3_2_6 => false, [source];
        V5_1_1 => true, [source];
    }

    /// Number of `MQVersion` constants of its name server, if one that gets a higher ordinal fails the registration: the
    /// broker then starts but is never routed to. `None`: higher ordinals are accepted.
    name_server_version_limit: Option<u16>, "MQVersion.value2Version" {
        V3_2_6 => Some(140), [source];
        V3_5_5 => Some(212), [seen V3_5_8];
        V4_0_0 => Some(224), [source];
        V4_1_0 => None::<u16>, [seen V4_3_2 V5_3_3];
    }
    /// Whether a master closes the connection of a slave that is ahead of it.
    slave_ahead_dropped: bool, "HAConnection" {
        V3_2_6 => false, [source];
        V4_9_3 => true, [source];
        V5_0_0 => false, [source];
    }
    /// Lowest Java version its class files and scripts ask for.
    java_baseline: &'static str, "pom.xml" {
        V3_2_6 => "1.6", [source];
        V4_0_0 => "1.7", [source];
        V4_5_0 => "1.8", [source];
    }
    /// Whether its scripts set `-Djava.ext.dirs`, which Java 9 and later refuse.
    java_ext_dirs: bool, "runbroker.sh" {
        V3_2_6 => false, [source];
        V4_0_0 => true, [source];
        V4_9_3 => false, [source];
    }
}
