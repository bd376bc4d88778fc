//! The store as a whole.

use super::{Check, c};
use crate::finding::Severity::{Error, Info, Warning};
use crate::verify::Level::{Full, Quick};

pub(super) const CHECKS: &[Check] = &[
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
        "store.rocksdb-open",
        Error,
        Quick,
        "a RocksDB database cannot be opened",
        "a broker does not start on a manifest that is missing or damaged; without CURRENT it makes a new, empty database in the same folder (by reading the source)",
        "restore the whole folder of the database from one backup; a database of queues may also be removed as a whole and rebuilt from the log",
    ),
    c(
        "store.rocksdb-file",
        Error,
        Quick,
        "a file that the manifest of a RocksDB database names is missing or has another length",
        "the database does not open, or fails at the first look at the file (by reading the source)",
        "restore the whole folder of the database from one backup; a database of queues may also be removed as a whole and rebuilt from the log",
    ),
    c(
        "store.rocksdb-block",
        Error,
        Full,
        "a block of a RocksDB file does not match its checksum",
        "reading any key of the block fails; a damaged write-ahead log ends recovery there or refuses the start (by reading the source)",
        "restore the whole folder of the database from one backup; a database of queues may also be removed as a whole and rebuilt from the log",
    ),
    c(
        "store.rocksdb-manifest",
        Warning,
        Quick,
        "the manifest of a RocksDB database is torn, or contradicts the files",
        "a torn edit is dropped at the next start; writes that were only in a lost write-ahead log are gone without a word (by reading the source)",
        "compare the database with the slave's or a backup before the next start",
    ),
    c(
        "store.epoch-file",
        Warning,
        Quick,
        "epochFileCheckpoint does not say which epochs the log has",
        "controller mode: the .bak is read; without epochs, or with ones older than the log, a slave cuts its log at the last common epoch at the next handshake (by reading the source)",
        "restore it together with the log, from one copy",
    ),
    c(
        "store.broker-identity",
        Warning,
        Quick,
        "brokerIdentity does not hold cluster, name and id",
        "controller mode: the broker does not register under the identity it had (by reading the source)",
        "remove it together with brokerIdentity-temp only if the controller may give the broker a new id",
    ),
];
