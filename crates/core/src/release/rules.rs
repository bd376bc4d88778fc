//! The rules by which releases differ: the values of the table.
//!
//! A yes-or-no property is a `bool` in [`Behaviour`](super::Behaviour); where there are more ways than two, or where `true`
//! would not say what happens, it is one of these.

macro_rules! rules {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$vdoc:meta])* $variant:ident, )+ } )+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name { $( $(#[$vdoc])* $variant, )+ }
    )+ };
}

rules! {
    /// Where a folder or file lies when its key is unset.
    DefaultPlace {
        /// The release has no such thing.
        Absent,
        /// Below `$HOME/store`, whatever `storePathRootDir` says.
        Home,
        /// Below `storePathRootDir`.
        Root,
    }
    /// Spelling of the two file size keys. The other spelling is ignored without a word.
    SizeKey {
        /// `mapedFileSizeCommitLog`, `mapedFileSizeConsumeQueue`.
        Maped,
        /// `mappedFileSizeCommitLog`, `mappedFileSizeConsumeQueue`.
        Mapped,
    }
    /// What loading does at a file whose length is not the configured size.
    WrongLength {
        /// Stops loading there and goes on: that file and all with later names are invisible, to be overwritten when the
        /// log or queue grows to their names.
        HidesLater,
        /// The start fails.
        Refuses,
    }
    /// What loading does at a folder among the files of a log or queue.
    SubFolder {
        /// As at a file of wrong length.
        AsWrongLength,
        /// Passes it over.
        Skipped,
    }
    /// What loading does at a last file of length zero.
    ZeroLengthLastFile {
        /// As at any file of wrong length.
        AsWrongLength,
        /// Deletes it, also when it is a data file that lost its content.
        Deleted,
    }
    /// What loading does at a file name that is no number.
    ForeignName {
        /// Length differs: as a wrong length. Right length: `NumberFormatException`, the start fails.
        RefusesAtRightLength,
    }
    /// How a physical or queue offset finds its file.
    FileLookup {
        /// By counting files from the first one: behind a missing file it returns bytes of the wrong file.
        ByFileCount,
        /// By count, then verified by name: a missing file is passed over without a word.
        Verified,
    }
    /// What a record is judged by when its total size differs from the sum of its fields.
    LengthMismatch {
        /// Not compared at all: a lying total size derails the next parse.
        Unchecked,
        /// Ends the log there.
        Fails,
        /// Ends the log on a normal start; an abnormal start counts it as valid and goes on.
        AbnormalGoesOn,
    }
    /// The commit log file where the scan of a normal start begins.
    NormalScanStart {
        /// The third-last file.
        LastThree,
        /// The file that holds the highest physical offset of the consume queues.
        HighestCqPosition,
        /// The last file whose first record parses, is dated and lies not beyond the consume queues.
        ValidFirstRecord,
    }
    /// The commit log file where the scan of an abnormal start begins.
    AbnormalScanStart {
        /// The newest file whose first record carries a message magic and a `storeTimestamp` not above the checkpoint's
        /// minimum; else the first file.
        FirstStoreTimestamp,
        /// The same, but the first record must parse as a whole.
        ValidFirstRecord,
        /// The newest file whose first record parses and lies not above the checkpoint's `logicsPhysicalOffset`; while that
        /// is 0, one with a `storeTimestamp` not above `logicsMsgTimestamp`, without the margin of three seconds.
        DispatchedOffset,
    }
    /// When recovery cuts consume queues at the end of the log.
    CqTruncation {
        /// Not at all: units beyond the end stay.
        Never,
        /// When the highest physical offset of the queues reaches the end; see
        /// [`max_physic_offset`](super::Behaviour::max_physic_offset).
        IfBeyond,
        /// Always.
        Always,
    }
    /// What a queue remembers as its highest physical offset.
    MaxPhysicOffset {
        /// Start of the last unit's record.
        Phy,
        /// Its end.
        PhyPlusSize,
    }
    /// How the minimum of a queue is found (`correctMinOffset`).
    MinLogicOffset {
        /// First unit of the first file at or above the log's minimum; if none, the value stays as it was.
        LinearScan,
        /// Queue empty if its last unit is below the log's minimum; else binary search in the first file.
        BinarySearch,
    }
    /// What happens to a unit whose queue offset lies below the queue's end.
    RepeatedQueueOffset {
        /// Appended all the same, at the wrong place.
        Appended,
        /// Dropped.
        Skipped,
    }
    /// When an all-zero last queue file behind a full one gains a unit (0, 0, 0).
    PhantomUnit {
        /// At abnormal starts.
        AbnormalStart,
        /// Never.
        Never,
        /// At every start.
        EveryStart,
    }
    /// What a pull at a unit that cannot be read answers.
    UnreadableUnit {
        /// Fails with code 1.
        FailsWithCode1,
        /// Is never answered.
        NeverAnswered,
    }
    /// What recovery does to the queues when the commit log holds no file.
    EmptyLog {
        /// Queues stay; new messages get no unit, old offsets read wrong bytes.
        Ignored,
        /// All queues are deleted.
        DestroysQueues,
    }
    /// Which records a start without `abort` puts in queues and index.
    CleanDispatch {
        /// None: a gap between queues and log stays for ever.
        Nothing,
        /// From the highest end over all queues, or the log's start if there is none. One queue behind the others stays so.
        FromQueues,
        /// As `FromQueues`, but the record exactly at that end is left out, and its queue is one short from there on. Removed
        /// queues are rebuilt whole.
        FromQueuesButFirst,
    }
    /// Which records a start with `abort` puts in queues and index.
    AbortDispatch {
        /// All from the scan start on, while the queues are cut by another thread: some starts damage a queue.
        Racing,
        /// All from the scan start on, whatever queues already hold is skipped.
        FromScanStart,
    }
    /// Content of `abort`.
    AbortContent {
        /// Zero bytes.
        Empty,
        /// The process id in decimal, no newline; `abort.bak` stays for ever.
        Pid,
    }
    /// When a stop leaves `abort` behind.
    AbortKept {
        /// Never.
        Never,
        /// When the store is not writable (full disk).
        NotWritable,
        /// When it is not writable, or the dispatcher is behind.
        NotWritableOrBehind,
    }
    /// When `logicsMsgTimestamp` of the checkpoint moves.
    CheckpointLogics {
        /// With every unit.
        OnAppend,
        /// At the thorough flush every 60 s only, not at a clean stop.
        ThoroughFlush,
    }
    /// How config files are read.
    ConfigRead {
        /// Characters read are compared with the length in bytes: a file with a multi-byte character counts as unreadable.
        Chars,
        /// Bytes.
        Bytes,
    }
    /// Charset of config files.
    ConfigCharset {
        /// The JVM's default.
        JvmDefault,
        /// UTF-8.
        Utf8,
    }
    /// How config files are written.
    ConfigWriter {
        /// `.tmp` written, current copied to `.bak`, deleted, `.tmp` renamed: a crash leaves no current one but a good `.tmp`
        /// and `.bak`.
        TmpRename,
        /// Current copied to `.bak`, then overwritten in place: a crash leaves it torn.
        InPlace,
        /// Current moved to `.bak`, new one written and synced.
        MoveThenSync,
    }
    /// What loading does with a config file that cannot be parsed.
    BadConfig {
        /// Left as it is; `.bak` is loaded.
        Kept,
        /// Deleted; `.bak` is loaded.
        Deleted,
    }
    /// Which file a refused start overwrites with an empty table.
    RefusedStart {
        /// `consumerOffset.json`.
        EmptiesConsumerOffset,
        /// `delayOffset.json`.
        EmptiesDelayOffset,
    }
    /// When `delayOffset.json` is loaded.
    DelayOffsetLoad {
        /// First thing of the store: a bad one ends the start before the log is touched.
        BeforeLog,
        /// Behind recovery: a bad one ends the start when log and queues have been cut already.
        AfterRecovery,
    }
    /// Library, and so layout, of the JSON files.
    JsonWriter {
        /// fastjson 1: entries with numeric keys stand on one line.
        Fastjson1,
        /// fastjson 2: every entry on a line of its own.
        Fastjson2,
    }
    /// Spelling of the fields of `dataVersion`.
    DataVersionFields {
        /// `counter`, `timestatmp`.
        Timestatmp,
        /// `counter`, `timestamp`.
        Timestamp,
        /// `counter`, `timestamp`, `stateVersion`.
        StateVersion,
    }
    /// What loading does at an index file that cannot be opened.
    IndexLoad {
        /// The start goes on without that file and all later ones.
        Ignored,
        /// The start fails.
        Refuses,
    }
    /// What loading does at a file in `index/` whose name is no number.
    IndexForeignName {
        /// An exception stops the load.
        StopsLoad,
        /// Logged and passed over.
        Skipped,
    }
    /// How messages get into the index.
    IndexDispatch {
        /// By a thread of its own, from a queue that drops what does not fit.
        AsyncLossy,
        /// By the dispatcher.
        Synchronous,
    }
    /// What `hashSlotCount` of an index header counts.
    HashSlotCount {
        /// Every entry.
        Entries,
        /// Used slots.
        UsedSlots,
    }
    /// Where a consumer that asks beyond the end of a queue is sent.
    OverflowBadly {
        /// To 0 if the queue's minimum is 0, else to the maximum.
        MinIfZero,
        /// To the maximum.
        Max,
    }
    /// What becomes of a delay offset outside its queue at load.
    DelayOffset {
        /// Kept: the level stalls, and messages below it never fire.
        Kept,
        /// Moved into the queue's range.
        Clamped,
    }
    /// Which commit log files expiry deletes.
    Expiry {
        /// Every expired one, so gaps are possible.
        AnyExpired,
        /// Up to the first one not expired.
        UpToFirstUnexpired,
    }
    /// What a broker with `storeType=defaultRocksDB` makes of existing JSON config.
    RocksDbImport {
        /// The release has no RocksDB config.
        Absent,
        /// Ignored: topics, groups and offsets are empty.
        Ignored,
        /// Imported with `transferMetadataJsonToRocksdb`, `transferOffsetJsonToRocksdb`.
        BySwitch,
        /// Imported when the JSON file's `dataVersion.counter` is above the database's.
        ByCounter,
    }
    /// What a slave's topic sync does to its own `topics.json`.
    SlaveTopicSync {
        /// Merges or replaces it by the master's.
        Follows,
        /// Deletes all, and stops at the first topic with attributes.
        Destroys,
    }
}
