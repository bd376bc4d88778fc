//! Timers, DLedger logs, batch and compaction queues, extensions, RocksDB, controller mode.

use std::fs;
use std::path::PathBuf;

use mqstore_check::Outcome::{Clean, Found, NoVerdict};
use mqstore_testkit::damage::{add_file, flip, remove, replace_text, truncate, write_at, zero};
use mqstore_testkit::rocksdb::put;

use super::{CLEAN, Mutation, Sick, i64_bytes, m};

const TIMER: &str = "5.3.3-timer";
const DLEDGER: &str = "5.3.3-dledger";
const BATCH: &str = "5.3.3-batchcq";
const ROCKSDB: &str = "5.3.3-rocksdb";
/// Units of the timer log that were written; the last of them wait.
const UNITS: u64 = 52;

fn number(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The bytes of a file at a place.
fn read(path: PathBuf, at: u64, length: usize) -> Vec<u8> {
    fs::read(path).unwrap()[usize::try_from(at).unwrap()..][..length].to_vec()
}

/// The file of the timer log, and the places of the units that wait and of their slots.
fn waiting(s: &Sick) -> (PathBuf, Vec<(u64, u64)>) {
    let read_up_to = number(&fs::read(s.config("timercheck")).unwrap(), 0);
    let path = s.path("timerlog/00000000000000000000");
    let log = fs::read(&path).unwrap();
    let units = (0..UNITS).map(|n| n * 52).filter_map(|at| {
        let unit = &log[usize::try_from(at).unwrap()..][..52];
        let time = number(unit, 16) + i64::from(i32::from_be_bytes(unit[24..28].try_into().unwrap()));
        let slot = u64::try_from(time / 1000 % 1_209_600).unwrap() * 32;
        (time >= read_up_to).then_some((at, slot))
    });
    let units: Vec<_> = units.collect();
    assert!(units.len() > 15);
    (path, units)
}

/// Places of the entries of the first DLedger data file.
fn entries(s: &Sick) -> (PathBuf, Vec<u64>) {
    let path = s.path("dledger-n0/data/00000000000000000000");
    let bytes = fs::read(&path).unwrap();
    let (mut at, mut found) = (0, Vec::new());
    while bytes[at..at + 4] == [0, 0, 0, 1] {
        found.push(at as u64);
        at += usize::try_from(u32::from_be_bytes(bytes[at + 4..at + 8].try_into().unwrap())).unwrap();
    }
    (path, found)
}

fn batch(s: &Sick) -> PathBuf {
    s.path("batchconsumequeue/TBatch/0/00000000000000000000")
}

/// Key of a unit, and of the end of a queue, in the database of queues.
fn unit_key(topic: &str, queue: u8, offset: u8) -> Vec<u8> {
    let mut key = vec![0, 0, 0, u8::try_from(topic.len()).unwrap(), 1];
    key.extend(topic.as_bytes());
    key.extend([1, 0, 0, 0, queue, 1, 0, 0, 0, 0, 0, 0, 0, offset]);
    key
}

fn end_key(topic: &str, queue: u8) -> Vec<u8> {
    let mut key = vec![0, 0, 0, u8::try_from(topic.len()).unwrap(), 1];
    key.extend(topic.as_bytes());
    key.extend(b"\x01max\x01\0\0\0");
    key.push(queue);
    key
}

/// Topic, queue and queue offset of the first record of the log.
fn first_record(s: &Sick) -> (String, u8, u8) {
    let record = s.get(0, 300);
    let body = usize::try_from(u32::from_be_bytes(record[84..88].try_into().unwrap())).unwrap();
    let topic = &record[88 + body + 1..][..usize::from(record[88 + body])];
    (String::from_utf8(topic.to_vec()).unwrap(), record[15], record[27])
}

pub(crate) const MUTATIONS: &[Mutation] = &[
    // Timer.
    m("a text file in timerlog", TIMER, |s| add_file(&s.path("timerlog/readme"), b"x"), &["timer.file"], Found, false),
    m(
        "the timer wheel is one slot short",
        TIMER,
        |s| truncate(&s.path("timerwheel"), 38_707_168),
        &["timer.file"],
        Found,
        false,
    ),
    m(
        "a unit of the timer log has another magic",
        TIMER,
        |s| flip(&waiting(s).0, 52 * 20 + 15, 3),
        &["timer.unit", "timer.checkpoint", "timer.chain", "timer.lost", "timer.metrics"],
        Found,
        true,
    ),
    m(
        "the last unit of the timer log is half written",
        TIMER,
        |s| zero(&waiting(s).0, 52 * 51 + 14..52 * 52),
        &["timer.log-tail", "timer.checkpoint"],
        Clean,
        true,
    ),
    m(
        "a waiting slot is for another second",
        TIMER,
        |s| flip(&s.path("timerwheel"), waiting(s).1[0].1 + 7, 3),
        &["timer.slot", "timer.lost"],
        Found,
        false,
    ),
    m(
        "a waiting slot counts too many units",
        TIMER,
        |s| write_at(&s.path("timerwheel"), waiting(s).1[0].1 + 24, &[0, 0, 0, 99]),
        &["timer.slot"],
        Found,
        true,
    ),
    m(
        "a waiting unit names a unit that is not there",
        TIMER,
        |s| {
            let (path, units) = waiting(s);
            write_at(&path, units[0].0 + 4, &i64_bytes(1 << 40));
        },
        &["timer.chain"],
        Found,
        false,
    ),
    m(
        "a unit of the timer log refers beside its message",
        TIMER,
        |s| flip(&waiting(s).0, 52 * 3 + 35, 0),
        &["timer.message"],
        Found,
        true,
    ),
    m(
        "a unit of the timer log gives another size",
        TIMER,
        |s| flip(&waiting(s).0, 52 * 3 + 39, 0),
        &["timer.message"],
        Found,
        true,
    ),
    m(
        "a unit of the timer log waits for another time",
        TIMER,
        |s| write_at(&waiting(s).0, 52 * 3 + 24, &[0, 0, 0, 0]),
        &["timer.due-time"],
        Clean,
        true,
    ),
    m(
        "timerwheel and timerlog are lost and timercheck is kept",
        TIMER,
        |s| {
            remove(&s.path("timerwheel"));
            remove(&s.path("timerlog"));
        },
        &["timer.lost", "timer.checkpoint", "timer.metrics"],
        Found,
        false,
    ),
    m(
        "timercheck has taken more messages than there are",
        TIMER,
        |s| write_at(&s.config("timercheck"), 16, &i64_bytes(999)),
        &["timer.checkpoint"],
        Clean,
        true,
    ),
    m(
        "timermetrics counts more than wait",
        TIMER,
        |s| replace_text(&s.config("timermetrics"), "\"count\":15", "\"count\":77"),
        &["timer.metrics"],
        Clean,
        true,
    ),
    m("the timer wheel is lost beside its log", TIMER, |s| remove(&s.path("timerwheel")), &["timer.file"], Clean, true),
    // DLedger.
    m(
        "an entry has another index",
        DLEDGER,
        |s| {
            let (path, places) = entries(s);
            flip(&path, places[9] + 15, 4);
        },
        &["commitlog.dledger-entry", "commitlog.dledger-index"],
        Found,
        false,
    ),
    m(
        "an entry has no magic code",
        DLEDGER,
        |s| {
            let (path, places) = entries(s);
            flip(&path, places[9] + 3, 4);
        },
        &["commitlog.dledger-entry"],
        Found,
        false,
    ),
    m(
        "an entry has a checksum that no release writes",
        DLEDGER,
        |s| {
            let (path, places) = entries(s);
            flip(&path, places[9] + 43, 4);
        },
        &["commitlog.dledger-entry"],
        Clean,
        true,
    ),
    m(
        "zeros over some entries",
        DLEDGER,
        |s| {
            let (path, places) = entries(s);
            zero(&path, places[9]..places[12]);
        },
        &["commitlog.hole"],
        Found,
        false,
    ),
    m(
        "the body of a message in an entry has another byte",
        DLEDGER,
        |s| {
            let (path, places) = entries(s);
            flip(&path, places[9] + 48 + 88, 4);
        },
        &["commitlog.body-crc"],
        Found,
        true,
    ),
    m(
        "a unit of the DLedger index has another place",
        DLEDGER,
        |s| flip(&s.path("dledger-n0/index/00000000000000000000"), 32 * 5 + 11, 0),
        &["commitlog.dledger-index"],
        Clean,
        true,
    ),
    m(
        "the DLedger checkpoint is ahead of the log",
        DLEDGER,
        |s| fs::write(s.path("dledger-n0/checkpoint"), "committedIndex=999\nendIndex=999\n").unwrap(),
        &["commitlog.dledger-state"],
        Clean,
        true,
    ),
    m(
        "the newest entries waited for a majority at a kill",
        DLEDGER,
        |s| {
            fs::write(s.path("dledger-n0/checkpoint"), "committedIndex=268\nendIndex=270\n").unwrap();
            add_file(&s.path("abort"), b"4711");
        },
        &["commitlog.dledger-uncommitted", "store.unclean-stop"],
        Clean,
        true,
    ),
    // Batch queues.
    m(
        "a batch topic became a plain one",
        BATCH,
        |s| replace_text(&s.config("topics.json"), "BatchCQ", "SimpleCQ"),
        &["queue.type"],
        Found,
        false,
    ),
    m(
        "the last batch unit covers more messages than its record",
        BATCH,
        |s| write_at(&batch(s), 46 * 11 + 36, &[0, 9]),
        &["queue.unit-span"],
        Found,
        false,
    ),
    m(
        "a batch unit has another base",
        BATCH,
        |s| flip(&batch(s), 46 * 5 + 35, 0),
        &["queue.unit-span", "queue.order", "queue.gap"],
        Found,
        false,
    ),
    m(
        "a batch unit has another store time",
        BATCH,
        |s| flip(&batch(s), 46 * 5 + 27, 0),
        &["queue.unit-store-time"],
        Found,
        true,
    ),
    m(
        "a batch unit has another tags code",
        BATCH,
        |s| flip(&batch(s), 46 * 5 + 19, 0),
        &["queue.tags-code"],
        Found,
        true,
    ),
    m("a batch unit has another size", BATCH, |s| flip(&batch(s), 46 * 5 + 11, 0), &["queue.unit-size"], Found, false),
    m(
        "a batch unit refers beside its record",
        BATCH,
        |s| flip(&batch(s), 46 * 5 + 7, 0),
        &["queue.unit-offset", "queue.records-without-unit"],
        Found,
        false,
    ),
    m(
        "a batch unit is empty",
        BATCH,
        |s| zero(&batch(s), 46 * 5..46 * 6),
        &["queue.hole", "queue.records-without-unit", "offsets.beyond-max"],
        Found,
        false,
    ),
    m(
        "the last batch unit is lost",
        BATCH,
        |s| zero(&batch(s), 46 * 11..46 * 12),
        &["queue.records-without-unit", "offsets.beyond-max"],
        Found,
        false,
    ),
    m(
        "a batch queue and its record jump ahead alike",
        BATCH,
        |s| {
            let position = u64::try_from(number(&read(batch(s), 46 * 11, 46), 0)).unwrap();
            let base = s.find_in((position, 1013), b"INNER_BASE\x0147");
            s.put(base + 11, b"87");
            s.put(position + 20, &i64_bytes(87));
            write_at(&batch(s), 46 * 11 + 28, &i64_bytes(87));
        },
        &["queue.gap", "commitlog.queue-offset-gap"],
        Clean,
        true,
    ),
    // Light queues.
    m(
        "an offset of a light queue lies beyond its end",
        "5.3.3-lmq",
        |s| replace_text(&s.config("lmqConsumerOffset.json"), ":27", ":2700"),
        &["offsets.beyond-max"],
        Found,
        true,
    ),
    // Extension.
    m(
        "a unit of the extension has another bit map size",
        "4.3.2-cqext",
        |s| flip(&s.path("consumequeue_ext/TExt/0/00000000000000002000"), 19, 0),
        &["queue.ext-unit", "queue.ext"],
        Found,
        false,
    ),
    m(
        "the filters of a topic have longer bit maps than its extension",
        "4.3.2-cqext",
        |s| replace_text(&s.config("consumerFilter.json"), "\"bitNum\":112", "\"bitNum\":224"),
        &["queue.ext-bit-map"],
        Clean,
        true,
    ),
    // Compaction.
    m(
        "a file of a compaction log is lost",
        BATCH,
        |s| remove(&s.path("compaction/compactionLog/TComp/0/00000000000000119370")),
        &["queue.compaction-pair"],
        Found,
        false,
    ),
    m(
        "a record in a compaction log has another byte",
        BATCH,
        |s| flip(&s.path("compaction/compactionLog/TComp/0/00000000000000119370"), 95, 2),
        &["queue.compaction-unit"],
        Found,
        false,
    ),
    m(
        "a unit of a compaction queue leads elsewhere",
        BATCH,
        |s| flip(&s.path("compaction/compactionCq/TComp/0/00000000000000119370"), 46 * 3 + 7, 0),
        &["queue.compaction-unit"],
        Found,
        false,
    ),
    m(
        "a compaction got further than its queue",
        BATCH,
        |s| replace_text(&s.path("compaction/position-checkpoint"), ":272", ":272000"),
        &["queue.compaction-position"],
        Clean,
        true,
    ),
    m(
        "a compaction left a file",
        BATCH,
        |s| add_file(&s.path("compaction/compactionLog/TComp/0/00000000000000000000.delete"), b"x"),
        &["queue.compaction-leftover"],
        Clean,
        true,
    ),
    // RocksDB.
    m(
        "a database has no CURRENT",
        ROCKSDB,
        |s| remove(&s.path("config/topics/CURRENT")),
        &["store.rocksdb-open"],
        Found,
        false,
    ),
    m(
        "a manifest has another byte",
        ROCKSDB,
        |s| flip(&s.path("config/topics/MANIFEST-000025"), 100, 0),
        &["store.rocksdb-open"],
        Found,
        false,
    ),
    m(
        "a table of a database is lost",
        ROCKSDB,
        |s| remove(&s.path("consumequeue/000027.sst")),
        &["store.rocksdb-file"],
        Found,
        false,
    ),
    m(
        "a table of a database has another byte",
        ROCKSDB,
        |s| flip(&s.path("consumequeue/000024.sst"), 1000, 0),
        &["store.rocksdb-block"],
        Found,
        false,
    ),
    m(
        "a manifest is cut",
        ROCKSDB,
        |s| {
            let path = s.path("config/consumerOffsets/MANIFEST-000025");
            truncate(&path, fs::metadata(&path).unwrap().len() - 3);
        },
        &["store.rocksdb-manifest"],
        Clean,
        true,
    ),
    m(
        "a write-ahead log is lost",
        ROCKSDB,
        |s| remove(&s.path("config/topics/000028.log")),
        &["store.rocksdb-manifest"],
        Clean,
        true,
    ),
    m(
        "a write-ahead log holds writes",
        ROCKSDB,
        |s| fs::write(s.path("config/topics/000028.log"), [0; 40]).unwrap(),
        &[],
        NoVerdict,
        true,
    ),
    m(
        "the first message of the log has no unit in the database",
        ROCKSDB,
        |s| {
            let (topic, queue, offset) = first_record(s);
            put(&s.path("consumequeue"), 0, &[(&unit_key(&topic, queue, offset), None)]);
        },
        &["queue.first-record"],
        Found,
        false,
    ),
    m(
        "a queue in files that ended before storeType was switched",
        ROCKSDB,
        |s| {
            let record = first_record(s);
            let size = s.get(0, 4);
            let unit = [&[0; 8][..], &size, &[0; 8]].concat();
            let mut file = vec![0; 20_000];
            file[..20].copy_from_slice(&unit);
            add_file(&s.queue(&record.0, u32::from(record.1)), &file);
        },
        &["queue.two-kinds"],
        Clean,
        true,
    ),
    m(
        "a unit in the middle of a queue is not in the database",
        ROCKSDB,
        |s| put(&s.path("consumequeue"), 0, &[(&unit_key("TPlain", 0, 5), None)]),
        &["queue.records-without-unit"],
        Found,
        false,
    ),
    m(
        "a queue in the database ends too late",
        ROCKSDB,
        |s| {
            let row = [&i64_bytes(1000)[..], &i64_bytes(9999)].concat();
            put(&s.path("consumequeue"), 1, &[(&end_key("TPlain", 0), Some(&row))]);
        },
        &["queue.rocksdb-range", "queue.records-without-unit"],
        Found,
        false,
    ),
    m(
        "the queues in the database were dispatched beyond the log",
        ROCKSDB,
        |s| put(&s.path("consumequeue"), 1, &[(&end_key("CHECKPOINT_TOPIC", 0), Some(&i64_bytes(1 << 40)))]),
        &["queue.rocksdb-range"],
        Found,
        false,
    ),
    m(
        "a row in the database of queues is none of a broker's",
        ROCKSDB,
        |s| put(&s.path("consumequeue"), 1, &[(b"foreign", Some(b"row"))]),
        &["queue.rocksdb-row"],
        Clean,
        true,
    ),
    m(
        "a topic in the database is no JSON",
        ROCKSDB,
        |s| put(&s.path("config/topics"), 0, &[(b"TForeign", Some(b"{"))]),
        &["config.rocksdb-row"],
        Clean,
        true,
    ),
    m(
        "a JSON file with the counter 0 was ahead of the database",
        ROCKSDB,
        |s| add_file(&s.config("consumerOffset.json"), br#"{"offsetTable":{"TPlain@GNew":{0:1}}}"#),
        &["offsets.not-imported", "config.rocksdb-beside-json"],
        Clean,
        false,
    ),
    m(
        "a committed offset in the database lies beyond its queue",
        ROCKSDB,
        |s| put(&s.path("config/consumerOffsets"), 0, &[(b"TPlain@GNew", Some(br#"{"offsetTable":{"0":99999}}"#))]),
        &["offsets.beyond-max"],
        Found,
        true,
    ),
    // Controller mode.
    m(
        "an epoch file counts more epochs than it has",
        CLEAN,
        |s| add_file(&s.path("epochFileCheckpoint"), b"2\n0\n1-0\n"),
        &["store.epoch-file"],
        Clean,
        true,
    ),
    m(
        "an epoch begins behind the end of the log",
        CLEAN,
        |s| add_file(&s.path("epochFileCheckpoint"), b"1\n0\n1-99999999\n"),
        &["store.epoch-file"],
        Clean,
        true,
    ),
    m(
        "a broker identity without an id",
        CLEAN,
        |s| add_file(&s.path("brokerIdentity"), b"DefaultCluster#broker-a"),
        &["store.broker-identity"],
        Clean,
        true,
    ),
];
