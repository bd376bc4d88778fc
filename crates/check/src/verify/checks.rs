//! Every finding that `verify` can make: its id, how bad it is, when it is looked for, and what brokers do with it.
//!
//! Findings take their consequence and suggestion from here, so that a thousand of one kind say the same.

use super::Level;
use crate::finding::Severity::{self, Error, Info, Warning};

/// One kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Stable id, `area.problem`; there is a page of that name under `docs/findings`.
    pub id: &'static str,
    /// How bad it is as a rule. A finding may be milder where the store explains it: under `abort`, on a slave.
    pub severity: Severity,
    /// The lowest level that looks for it.
    pub level: Level,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// What which release does with it. Without a word on how it is known, it was seen on brokers.
    pub consequence: &'static str,
    /// What to do; empty where there is nothing to do.
    pub suggestion: &'static str,
}

impl Check {
    /// The part of the store it belongs to: the id up to its dot.
    pub fn area(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(area, _)| area)
    }
}

/// The check of an id, or `None` for an id that `verify` does not know.
pub fn check(id: &str) -> Option<&'static Check> {
    ALL_CHECKS.iter().find(|check| check.id == id)
}

const fn c(
    id: &'static str,
    severity: Severity,
    level: Level,
    title: &'static str,
    consequence: &'static str,
    suggestion: &'static str,
) -> Check {
    Check { id, severity, level, title, consequence, suggestion }
}

const CUT: &str = "a start that scans this file cuts the log here and deletes every later file; a start that does not \
                   scan it notices nothing, and consumers fail at this message. Scanned are the last 3 files (clean \
                   stop, up to 5.3.1), the files from the one the queues reach on (clean stop, 5.3.2 and later), or \
                   those from the checkpoint's time on (abort)";
const CUT_ADVICE: &str =
    "do not start a broker on it before the damage is understood; take the range from the slave or a backup";
const REBUILD: &str = "rebuild queues and index: stop, copy the store, remove consumequeue, index and checkpoint, create \
                       an empty abort, start (not on 4.9.2 to 4.9.8 with delayed messages pending, and check for \
                       repeated queue offsets first)";

use Level::{Full, Quick};

/// All checks, by area and in the order of the passes.
pub const ALL_CHECKS: &[Check] = &[
    c(
        "store.io-error",
        Error,
        Quick,
        "a file cannot be read",
        "a broker that touches the same bytes fails, too: a mapped page that cannot be read ends the JVM (by reading the source)",
        "check the disk, copy what is still readable, take the rest from the slave",
    ),
    c(
        "store.unclean-stop",
        Info,
        Quick,
        "abort is there: the last stop was not clean",
        "the next start is an abnormal one: it scans the log from the checkpoint's time on, cuts it at the first bad record and deletes the newest index file",
        "",
    ),
    c(
        "store.live",
        Info,
        Quick,
        "a broker holds the lock of this store",
        "files change while they are checked; what the broker has not dispatched yet is told as such",
        "",
    ),
    c(
        "store.foreign-entry",
        Info,
        Quick,
        "an entry of the store root that no broker makes",
        "no release looks at it",
        "",
    ),
    c(
        "commitlog.missing",
        Error,
        Quick,
        "no commit log beside queues that hold messages",
        "every start deletes all consume queues (with abort: all releases; clean: 4.5.0 and later). A clean start up to 4.4.0 keeps them, and new messages then get no unit",
        "mount or restore the log before any start; check storePathCommitLog (up to 4.9.3 it does not follow storePathRootDir)",
    ),
    c(
        "commitlog.file-name",
        Error,
        Quick,
        "the name of a log file is no multiple of the file size",
        "offsets are looked up by counting files, so every read from here on goes wrong (by reading the source)",
        "give the file its own name back: the physical offset in its first record",
    ),
    c(
        "commitlog.file-length",
        Error,
        Quick,
        "a log file has another length than the others",
        "3.2.6 to 4.4.0 and 4.9.2 load no file from here on and later overwrite them from byte 0; other releases refuse to start (\"length not matched\"); a last file of length 0 is deleted by 5.1.3 and later",
        "restore the file at full length (the missing rest may be zeros behind the last record)",
    ),
    c(
        "commitlog.file-gap",
        Error,
        Quick,
        "a log file is missing between two others",
        "checkSelf only logs it. Up to 4.2.0 reads behind the gap return the wrong file's bytes; from 4.3.0 on the gap is passed over without a word",
        "take the missing file from the slave: whole files are equal there",
    ),
    c(
        "commitlog.duplicate-file",
        Error,
        Quick,
        "two log files have the same name",
        "a multi-path log loads both and loses count of its files (derived, never observed)",
        "move the copy away that is all zero or the older one",
    ),
    c(
        "commitlog.foreign-entry",
        Error,
        Quick,
        "something that is no log file lies in the log's folder",
        "a name that sorts before the digits hides the whole log up to 4.4.0 and on 4.9.2, and the hidden files are overwritten later; behind the digits it hides nothing there. 4.5.0 to 4.9.1 and 4.9.3 and later refuse to start on a file, and up to 5.0.0 on a folder; a folder is skipped from 5.1.0 on",
        "move it out of the folder before the next start",
    ),
    c(
        "commitlog.zero-file",
        Warning,
        Quick,
        "more empty files at the end of the log than a broker leaves",
        "the next start unlinks them. A clean stop leaves none, a kill one, a kill right after a new file two",
        "was the store copied from a running broker without its abort file? Then create an empty abort",
    ),
    c("commitlog.magic", Error, Quick, "illegal magic code: no record stands where one should", CUT, CUT_ADVICE),
    c("commitlog.length", Error, Quick, "the length of a record does not match its fields", CUT, CUT_ADVICE),
    c("commitlog.hole", Error, Quick, "zeros where records should be, and records behind them", CUT, CUT_ADVICE),
    c("commitlog.body-crc", Error, Quick, "the body of a message does not match its CRC", CUT, CUT_ADVICE),
    c(
        "commitlog.property-crc",
        Error,
        Quick,
        "a record does not match its property CRC",
        "unnoticed by default; with forceVerifyPropCRC=true (5.2.0 and later) a recovery that scans this file cuts the log here (by reading the source)",
        CUT_ADVICE,
    ),
    c(
        "commitlog.physical-offset",
        Error,
        Quick,
        "a record names another place than the one it stands at",
        "no release compares it (by reading the source); message ids and transactions that rely on it lead elsewhere",
        "was the file renamed, or copied over another one? Compare it with the slave's",
    ),
    c(
        "commitlog.store-host-length",
        Error,
        Quick,
        "a record claims an IPv6 store host and holds an IPv4 one",
        "the broker that wrote it logs \"[BUG]dispatch message to consume queue error\" and gives it no unit; the next start of any release cuts the log here. 5.0.0 to 5.3.3 write such records after brokerIP1 changed from IPv6 to IPv4",
        "do not restart this broker before its messages are consumed; going back to the IPv6 address stops new ones",
    ),
    c(
        "commitlog.blank",
        Error,
        Quick,
        "the blank at the end of a file does not fill it",
        "up to 5.3.1 its length is not looked at; from 5.3.2 on one that claims more than is left ends the log (by reading the source). Records behind it are never read",
        CUT_ADVICE,
    ),
    c(
        "commitlog.torn-tail",
        Warning,
        Quick,
        "the log ends in a record that was not written to its end",
        "the next start cuts it off; normal after a power loss and on a slave, which copies bytes and not records",
        "",
    ),
    c(
        "commitlog.stale-tail",
        Info,
        Quick,
        "bytes behind the end of the log that are not zero",
        "remains of a cut: they are overwritten. Should new records end exactly at an old one, the old ones come back (derived, never observed)",
        "",
    ),
    c(
        "commitlog.topic",
        Warning,
        Quick,
        "the topic of a record is empty or holds characters no topic has",
        "the record is dispatched into a folder of that name",
        "compare the record with the slave's",
    ),
    c(
        "commitlog.queue-id",
        Warning,
        Quick,
        "the queue number of a record cannot be right",
        "the record is dispatched into a queue that no consumer asks for (by reading the source)",
        "compare the record with the slave's",
    ),
    c(
        "commitlog.queue-offset",
        Error,
        Quick,
        "a record carries a queue offset that its neighbours contradict",
        "a rebuild of the queues puts it elsewhere: \"[BUG]logic queue order maybe wrong\"",
        "compare the record with the slave's",
    ),
    c(
        "commitlog.queue-offset-repeated",
        Error,
        Quick,
        "messages carry a queue offset that an earlier message of their queue has",
        "a proof of a rollback to older queues beside a newer log. A rebuild with 4.2.0 or later drops one of each pair; up to 4.1.0 both are kept, at shifted places",
        "rebuild the queues with a release up to 4.1.0, or export the messages without a unit before anything else",
    ),
    c(
        "commitlog.queue-offset-restart",
        Warning,
        Quick,
        "a queue began again at 0: its topic was deleted and made again",
        "older messages have no unit, and committed offsets of the old life may lie beyond the end of the queue; a rebuild mixes both lives",
        "do not rebuild the queues of this store without need",
    ),
    c(
        "commitlog.queue-offset-gap",
        Warning,
        Quick,
        "the queue offsets of a queue jump forward in the log",
        "5.0.0 and 5.1.0 leave such gaps after failed sends; else messages between are gone",
        "compare the range with the slave",
    ),
    c(
        "commitlog.store-time",
        Warning,
        Quick,
        "the store timestamp of a record cannot be right",
        "recovery chooses its first file by such times, retention of index files, too",
        "compare the record with the slave's",
    ),
    c(
        "commitlog.store-time-order",
        Warning,
        Quick,
        "store timestamps step back",
        "the clock was set back, another broker became master, or old records came back to life behind a cut",
        "check the repeated queue offsets and messages without unit of this report, if there are any",
    ),
    c(
        "commitlog.sys-flag",
        Warning,
        Quick,
        "the system flag of a record has bits no release defines",
        "consumers cannot decompress a codec they do not know; other bits are ignored (by reading the source)",
        "",
    ),
    c(
        "commitlog.codec",
        Warning,
        Quick,
        "a body that is flagged as compressed does not begin like that codec",
        "consumers fail to decompress it (by reading the source)",
        "",
    ),
    c(
        "commitlog.reconsume-times",
        Warning,
        Quick,
        "the number of redeliveries of a record is negative",
        "retry goes on for longer than configured (by reading the source)",
        "",
    ),
    c(
        "commitlog.transaction-offset",
        Warning,
        Full,
        "the prepared record that a message names is not there",
        "nothing looks it up again after the commit (by reading the source)",
        "",
    ),
    c(
        "commitlog.properties",
        Warning,
        Quick,
        "the properties of a record do not parse",
        "readers drop the item: up to 4.9.0 any that does not split in two, later only those without a separator",
        "",
    ),
    c(
        "commitlog.inner-batch",
        Warning,
        Quick,
        "an inner batch contradicts itself",
        "INNER_NUM or INNER_BASE that is no number ends the log at a start of 5.0.0 and later (by reading the source)",
        "",
    ),
    c(
        "commitlog.multi-dispatch",
        Warning,
        Quick,
        "names and offsets of a multi-dispatch message do not pair up",
        "the broker logs \"[bug] queues.length!=queueOffsets.length\" and gives none of the queues a unit",
        "",
    ),
    c(
        "commitlog.delay-level",
        Warning,
        Quick,
        "a delayed message lies in the queue of another level",
        "it fires by the queue it lies in; a level that is no number ends the log at a start (by reading the source)",
        "",
    ),
    c(
        "queue.file-name",
        Error,
        Quick,
        "the name of a queue file is no multiple of the file size",
        "offsets are looked up by counting files, so reads of this queue go wrong (by reading the source)",
        REBUILD,
    ),
    c(
        "queue.file-length",
        Error,
        Quick,
        "a queue file has another length than the others",
        "up to 4.4.0 and on 4.9.2 loading stops at it: the end of the queue goes back and later files are overwritten; other releases refuse to start; a last file of length 0 is deleted by 5.1.3 and later",
        "restore the full length, or remove the whole folder of the queue and rebuild",
    ),
    c(
        "queue.file-gap",
        Error,
        Quick,
        "a queue file is missing between two others",
        "checkSelf only logs it. Up to 4.2.0 other messages are served under the offsets behind it; from 4.3.0 on the gap is skipped without a word",
        REBUILD,
    ),
    c(
        "queue.foreign-entry",
        Error,
        Quick,
        "something that is no queue file lies in a queue's folder",
        "counts like a file of wrong length: hides what sorts behind it up to 4.4.0 and on 4.9.2, refused by other releases; a folder is skipped from 5.1.0 on",
        "move it away before the next start",
    ),
    c(
        "queue.zero-file",
        Error,
        Quick,
        "the last file of a queue is empty and the one before it is full",
        "a phantom unit: the end of the queue grows by one at every start of 4.9.7 and 5.3.3, at an abnormal one of 3.5.8; consumers stick there until the next message",
        "remove the empty file while the broker is stopped",
    ),
    c(
        "queue.missing",
        Error,
        Quick,
        "a topic has messages in the log and no queue for them",
        "the queue starts again at 0 and new messages re-use queue offsets; a clean start rebuilds it only if all queues are gone (4.5.0 to 4.9.8, 5.3.2 and later)",
        REBUILD,
    ),
    c(
        "queue.topic-deleted",
        Info,
        Quick,
        "messages of a topic that is neither configured nor has queues",
        "normal after a topic was deleted: its messages stay in the log until they expire; a rebuild brings its queues back",
        "",
    ),
    c(
        "queue.records-without-unit",
        Error,
        Quick,
        "messages that no queue refers to: lost to consumers",
        "older queues beside a newer log. 3.2.6 to 4.4.0 and 5.0.0 to 5.3.1 never repair that at a clean start; 4.5.0 to 4.9.8 do if all queues end there; 5.3.2 and later do but for the first message",
        "do not delete abort if it is there; else, before any new message is stored: remove checkpoint, create an empty abort, start (see the page)",
    ),
    c(
        "queue.dispatch-behind",
        Info,
        Quick,
        "the newest messages have no unit yet",
        "normal while a broker runs and after a kill; an abnormal start dispatches them. Deleting abort loses them up to 4.4.0 and from 5.0.0 to 5.3.1",
        "",
    ),
    c(
        "queue.unit-beyond-log",
        Error,
        Quick,
        "units refer to messages behind the end of the log",
        "cut at every start from 4.5.0 on, and at an abnormal one before; kept by a clean start up to 4.3.1, and new messages are then hidden until the log has passed them",
        "was the log restored from an older copy than the queues? Restore both from one backup",
    ),
    c(
        "queue.unit-offset",
        Error,
        Quick,
        "a unit refers to a place where no record stands",
        "not noticed at a start; consumers get other bytes, an error, or nothing",
        REBUILD,
    ),
    c(
        "queue.unit-size",
        Error,
        Quick,
        "a unit gives another size than its record has",
        "not noticed at a start; consumers get a message that is cut or followed by foreign bytes",
        REBUILD,
    ),
    c(
        "queue.unit-foreign",
        Error,
        Quick,
        "a unit refers to a message of another queue",
        "not noticed at a start; consumers get another queue's message",
        REBUILD,
    ),
    c(
        "queue.duplicate-unit",
        Error,
        Quick,
        "two units of a queue refer to one message",
        "the message is delivered twice, the one that should be there not at all",
        REBUILD,
    ),
    c(
        "queue.order",
        Error,
        Quick,
        "the physical offsets of a queue step back",
        "searches by time and by offset take a wrong turn (by reading the source)",
        REBUILD,
    ),
    c(
        "queue.hole",
        Error,
        Quick,
        "empty units with used ones behind them",
        "in one of the last 3 files the queue ends there and later files are deleted at the next start; before that consumers stick at it",
        "remove the whole folder of the queue and rebuild",
    ),
    c(
        "queue.invalid-unit",
        Error,
        Quick,
        "a unit with a negative offset or no size among good ones",
        "in one of the last 3 files the queue ends there and later files are deleted at the next start; before that consumers stick at it",
        "remove the whole folder of the queue and rebuild",
    ),
    c(
        "queue.pre-blank",
        Error,
        Quick,
        "blank units where messages should be",
        "readers skip them: an abnormal start rebuilt only the end of the queue, for its checkpoint was newer than the queue",
        REBUILD,
    ),
    c(
        "queue.stale-tail",
        Info,
        Quick,
        "old units behind the end of a queue",
        "remains of a cut: overwritten by the next messages (derived, never observed)",
        "",
    ),
    c(
        "queue.misaligned",
        Warning,
        Quick,
        "from here on the units of a queue lie beside their messages' queue offsets",
        "\"[BUG]logic queue order maybe wrong\": 5.3.2 and later do that when started on older queues without abort, 5.0.0 and 5.1.0 after failed sends, older ones after a wrong restore. Offsets still serve each message once; the next send re-uses a queue offset",
        "find out which message is missing at this place; a full rebuild sets the queue right",
    ),
    c(
        "queue.tags-code",
        Error,
        Quick,
        "the tags code of a unit is not that of its message",
        "consumers that filter by tag on the broker miss the message; in SCHEDULE_TOPIC_XXXX it is the time at which the message fires",
        REBUILD,
    ),
    c(
        "queue.delay-time",
        Warning,
        Quick,
        "a delayed message has another due time than its level gives",
        "it fires at the time in the unit. 4.9.2 to 4.9.8 lose the due time in a rebuild, so it fires at once; a changed messageDelayLevel explains it, too",
        "",
    ),
    c(
        "queue.ext",
        Error,
        Full,
        "the extension unit that a queue unit names is not there or another message's",
        "the broker takes the address for the tags code: consumers that filter by tag miss the message (derived, never observed)",
        REBUILD,
    ),
    c(
        "index.foreign-entry",
        Warning,
        Quick,
        "something that is no index file lies in index",
        "3.2.6 to 3.4.6 stop loading at a name that is no number, later releases skip it; a folder with a name of digits ends loading up to 5.0.0 and is refused by 5.1.0 and later",
        "move it away",
    ),
    c(
        "index.length",
        Error,
        Quick,
        "an index file has another length than the others",
        "silently lengthened at the start, its keys are gone",
        "delete the file: key queries for its time find nothing either way",
    ),
    c(
        "index.geometry",
        Error,
        Quick,
        "an index file fits no division into slots and entries",
        "garbage in the header of the newest file makes every key query fail, also in the good files",
        "delete the file",
    ),
    c(
        "index.header",
        Error,
        Quick,
        "the header of an index file contradicts its entries",
        "garbage in the header of the newest file makes every key query fail, also in the good files",
        "delete the file",
    ),
    c(
        "index.slot-count",
        Warning,
        Full,
        "the number of used slots in an index header cannot be right",
        "nothing but a log line uses it (by reading the source)",
        "",
    ),
    c(
        "index.entry",
        Error,
        Full,
        "an index entry holds a value that none can have",
        "queries end at it (by reading the source)",
        "delete the file",
    ),
    c(
        "index.order",
        Error,
        Full,
        "index entries step back in the log",
        "queries by time may miss messages (by reading the source)",
        "delete the file",
    ),
    c(
        "index.chain",
        Error,
        Full,
        "an index entry is not linked to the one before it in its slot",
        "queries miss the older keys of that slot",
        "delete the file",
    ),
    c(
        "index.slot",
        Error,
        Full,
        "a hash slot does not name its newest entry",
        "queries miss keys of that slot; new entries are linked to the wrong one",
        "delete the file",
    ),
    c(
        "index.orphan",
        Error,
        Full,
        "an index entry refers to a place where no record stands",
        "queries for its key fail or return another message",
        "delete the file",
    ),
    c(
        "index.key",
        Error,
        Full,
        "an index entry belongs to none of its message's keys",
        "queries for the key miss the message",
        "delete the file",
    ),
    c(
        "index.time-diff",
        Warning,
        Full,
        "the time of an index entry is not that of its message",
        "queries with a time range miss the message",
        "delete the file",
    ),
    c(
        "index.beyond-log",
        Error,
        Full,
        "index entries refer to messages behind the end of the log",
        "new messages get no index entry until the log has passed them",
        "delete the file",
    ),
    c(
        "index.keys-missing",
        Info,
        Full,
        "keys of messages that are not in the index",
        "normal after a crash: an abnormal start deletes the newest index file and rebuilds only a part of it. Queries for these keys find nothing",
        "",
    ),
    c(
        "checkpoint.missing",
        Info,
        Quick,
        "there is no checkpoint",
        "a clean start makes a new one; an abnormal start reads the whole log",
        "",
    ),
    c(
        "checkpoint.length",
        Warning,
        Quick,
        "the checkpoint does not have 4096 bytes",
        "a shorter one is lengthened with zeros",
        "",
    ),
    c(
        "checkpoint.garbage",
        Error,
        Quick,
        "the checkpoint holds values that none can have",
        "an abnormal start deletes all index files and rebuilds none; log and queues are unharmed",
        "remove the checkpoint: a start makes a new one",
    ),
    c(
        "checkpoint.ahead",
        Error,
        Quick,
        "the checkpoint is newer than the newest message",
        "an abnormal start begins too late: queues miss units and later units lie at wrong places",
        "remove the checkpoint before a start with abort",
    ),
    c(
        "checkpoint.ahead-of-queues",
        Warning,
        Full,
        "the checkpoint is newer than the queues beside it",
        "an abnormal start begins behind the messages that have no unit: they stay lost, and later units lie at wrong places",
        "remove the checkpoint before a start with abort",
    ),
    c(
        "checkpoint.behind",
        Info,
        Full,
        "the checkpoint is older than the newest message, after a clean stop",
        "an abnormal start reads more of the log than it must; normal from 5.5.0 on",
        "",
    ),
    c(
        "checkpoint.confirm-offset",
        Warning,
        Quick,
        "an offset in the checkpoint lies behind the end of the log",
        "in controller mode it is clamped to the log (by reading the source)",
        "",
    ),
    c(
        "checkpoint.trailing",
        Info,
        Quick,
        "bytes behind the fields of the checkpoint",
        "no release reads them; one newer than 5.5.0 may have written them",
        "",
    ),
    c(
        "config.loaded-from-bak",
        Warning,
        Quick,
        "a config file is unusable, its .bak will be loaded",
        "the state before the last write is loaded; up to 4.9.7 the file is not repaired until its next change, so the next damage has no second copy",
        "copy the .bak over the file while the broker is stopped",
    ),
    c(
        "config.lost",
        Error,
        Quick,
        "a config file is unusable and has no .bak",
        "the broker starts with an empty table and no error, and writes it over the file",
        "restore the file from a backup or the slave before the next start",
    ),
    c(
        "config.refused",
        Error,
        Quick,
        "a config file and its .bak are both unusable",
        "the broker does not start (code 253), and its shutdown path writes other files of config/ empty",
        "copy config/ away first, then restore the file",
    ),
    c(
        "config.empty-table",
        Error,
        Quick,
        "a config file holds no table while its .bak does",
        "counts as success with an empty table; the good .bak is not tried and will be overwritten",
        "copy the .bak over the file before the next start",
    ),
    c(
        "config.bak",
        Info,
        Quick,
        "the .bak of a config file is unusable",
        "not read while the file is good; a crash while writing leaves that",
        "",
    ),
    c(
        "config.tmp",
        Info,
        Quick,
        "a .tmp of a config file is left over",
        "no release reads it; a crash or a full disk while writing leaves it",
        "",
    ),
    c(
        "config.missing",
        Warning,
        Quick,
        "there is no topics.json in config/",
        "the broker starts with its built-in topics; every pull of other topics answers code 17 (\"topic not exist\"). 3.5.5 to 3.5.8 keep the file in $HOME/store/config",
        "pass --home, or copy the file and its .bak from $HOME/store/config",
    ),
    c(
        "config.topic-unknown",
        Warning,
        Quick,
        "a topic has queues and is not in topics.json",
        "every pull answers code 17 (\"topic not exist\"); mqadmin cleanUnusedTopic deletes its queues at once",
        "restore topics.json, or create the topic with its number of queues",
    ),
    c(
        "config.name",
        Warning,
        Quick,
        "an entry of a config table carries another name than its key",
        "the broker looks it up by the key (by reading the source); the file was edited",
        "",
    ),
    c(
        "config.two-places",
        Info,
        Quick,
        "a config file lies in the store and in $HOME/store/config",
        "3.5.1 to 3.5.8 read the one in the home folder, all others the one in the store",
        "",
    ),
    c(
        "config.rocksdb-beside-json",
        Info,
        Quick,
        "config in RocksDB beside JSON files",
        "which of the two counts is told by storeType and configManagerVersion; the other is stale",
        "",
    ),
    c("config.foreign-entry", Info, Quick, "a file in config/ that no broker makes", "no release reads it", ""),
    c(
        "config.timercheck",
        Warning,
        Quick,
        "timercheck is not what a broker writes",
        "timers are read again from the queue (by reading the source): some may fire twice",
        "",
    ),
    c(
        "offsets.beyond-max",
        Error,
        Quick,
        "a group's committed offset lies beyond the end of its queue",
        "the queue went back: up to 4.9.3 the consumer is set to 0 if the queue begins at 0 (the whole queue again), else to the end; from 4.9.4 on to the end",
        "find out which of queue and offsets is older; restore both from one backup",
    ),
    c(
        "offsets.behind-min",
        Info,
        Quick,
        "a group's committed offset lies before the first message of its queue",
        "the group continues at the first message; what expired before is lost to it",
        "",
    ),
    c(
        "offsets.no-queue",
        Warning,
        Quick,
        "a group has consumed from a queue that is not there",
        "the queue starts again at 0: the group then stands beyond its end",
        "restore or rebuild the queue",
    ),
    c(
        "offsets.negative",
        Error,
        Quick,
        "a committed offset is negative",
        "the consumer starts by its own policy (by reading the source)",
        "set the offset with mqadmin",
    ),
    c(
        "offsets.key",
        Warning,
        Quick,
        "a key of the offset table is not topic@group",
        "the broker keeps it and uses it for nothing (by reading the source)",
        "",
    ),
    c(
        "delay.beyond-max",
        Error,
        Quick,
        "a delay level was delivered further than its queue reaches",
        "up to 4.9.1 the messages below that offset never fire; from 4.9.2 on it is clamped at the start",
        "correct delayOffset.json while the broker is stopped",
    ),
    c(
        "delay.behind-min",
        Info,
        Quick,
        "a delay level stands before the first message of its queue",
        "it continues at the first message",
        "",
    ),
    c(
        "delay.level",
        Warning,
        Quick,
        "delayOffset.json has an entry for no possible level",
        "the broker ignores it (by reading the source)",
        "",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_grouped_by_area() {
        let mut areas = Vec::new();
        for (n, check) in ALL_CHECKS.iter().enumerate() {
            assert!(!ALL_CHECKS[..n].iter().any(|other| other.id == check.id), "{} is there twice", check.id);
            if areas.last() != Some(&check.area()) {
                assert!(!areas.contains(&check.area()), "{} is apart from its area", check.id);
                areas.push(check.area());
            }
            assert!(!check.title.ends_with('.') && !check.consequence.is_empty(), "{}", check.id);
        }
        assert_eq!(areas, ["store", "commitlog", "queue", "index", "checkpoint", "config", "offsets", "delay"]);
    }

    fn words(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
    }

    #[test]
    fn each_check_has_a_page_that_says_the_same_and_no_page_is_left_over() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
        for check in ALL_CHECKS {
            let page = std::fs::read_to_string(dir.join(format!("{}.md", check.id))).unwrap_or_default();
            assert!(page.starts_with(&format!("# {}\n", check.id)), "no page for {}", check.id);
            let severity = format!("{:?}", check.severity).to_lowercase();
            let line = format!("Severity: {severity}. Looked for from: --level {}.", check.level.as_str());
            assert!(page.contains(&line), "{}: expected {line:?}", check.id);
            for text in [check.title, check.consequence, check.suggestion] {
                assert!(words(&page).contains(&words(text)), "{}: expected {text:?}", check.id);
            }
            assert!((10..=40).contains(&page.lines().count()), "{}: {} lines", check.id, page.lines().count());
        }
        for page in std::fs::read_dir(dir).unwrap() {
            let name = page.unwrap().file_name().into_string().unwrap();
            let id = name.strip_suffix(".md").unwrap_or(&name);
            let ours = ALL_CHECKS.iter().any(|check| id.split('.').next() == Some(check.area()));
            assert!(!ours || check(id).is_some(), "{name} is the page of no check");
        }
    }
}
