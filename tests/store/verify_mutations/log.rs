//! The root of a store, the folder of its log, and its records.

use std::fs;

use mqstore_check::Outcome::{Clean, Found};
use mqstore_testkit::damage::{add_file, flip, remove, rename, truncate, write_at, zero};

use super::{CLEAN, KILLED, LOG_FILE, Mutation, drop_units, find_text, i64_bytes, m};

pub(crate) const MUTATIONS: &[Mutation] = &[
    m("abort is there", CLEAN, |s| add_file(&s.path("abort"), b""), &["store.unclean-stop"], Clean, true),
    m(
        "a text file in the root",
        CLEAN,
        |s| add_file(&s.path("notes.txt"), b"x"),
        &["store.foreign-entry"],
        Clean,
        true,
    ),
    // The log's folder.
    m("the log is not mounted", CLEAN, |s| remove(&s.path("commitlog")), &["commitlog.missing"], Found, false),
    m(
        "a log file is cut in half",
        CLEAN,
        |s| truncate(&s.path("commitlog/00000000000001048576"), LOG_FILE / 2),
        &["commitlog.file-length", "commitlog.length"],
        Found,
        false,
    ),
    m(
        "a log file is gone from the middle",
        CLEAN,
        |s| remove(&s.path("commitlog/00000000000001048576")),
        &["commitlog.file-gap"],
        Found,
        false,
    ),
    m(
        "the first log file is gone as after expiry",
        CLEAN,
        |s| remove(&s.path("commitlog/00000000000000000000")),
        &["offsets.behind-min", "delay.behind-min"],
        Clean,
        true,
    ),
    m(
        "the last log file is gone",
        CLEAN,
        |s| remove(&s.path("commitlog/00000000000003145728")),
        &["queue.unit-beyond-log", "index.beyond-log", "checkpoint.ahead"],
        Found,
        false,
    ),
    m(
        "a snapshot folder in the log",
        CLEAN,
        |s| fs::create_dir(s.path("commitlog/.snapshot")).unwrap(),
        &["commitlog.foreign-entry"],
        Found,
        false,
    ),
    m(
        "an NFS leftover in the log",
        CLEAN,
        |s| add_file(&s.path("commitlog/.nfs0001"), b"x"),
        &["commitlog.foreign-entry"],
        Found,
        false,
    ),
    m(
        "a folder behind the log files",
        CLEAN,
        |s| fs::create_dir(s.path("commitlog/old")).unwrap(),
        &["commitlog.foreign-entry"],
        Clean,
        false,
    ),
    m(
        "an empty log file after a clean stop",
        CLEAN,
        |s| {
            add_file(&s.path("commitlog/00000000000004194304"), b"");
            truncate(&s.path("commitlog/00000000000004194304"), LOG_FILE);
        },
        &["commitlog.zero-file"],
        Clean,
        true,
    ),
    m(
        "a log file of length zero at the end",
        CLEAN,
        |s| add_file(&s.path("commitlog/00000000000004194304"), b""),
        &["commitlog.file-length"],
        Found,
        false,
    ),
    m(
        "a log file is renamed by one byte",
        CLEAN,
        |s| rename(&s.path("commitlog/00000000000003145728"), "00000000000003145729"),
        &[
            "commitlog.file-name",
            "commitlog.physical-offset",
            "commitlog.transaction-offset",
            "queue.unit-offset",
            "index.orphan",
            "index.keys-missing",
        ],
        Found,
        false,
    ),
    // Records.
    m(
        "a magic code is overwritten",
        CLEAN,
        |s| s.put(s.record("GoldOne", 0, 500).0 + 4, &[0xDE, 0xAD, 0xBE, 0xEF]),
        &["commitlog.magic"],
        Found,
        false,
    ),
    m(
        "a record becomes a blank",
        CLEAN,
        |s| s.put(s.record("GoldOne", 0, 500).0 + 4, &[0xCB, 0xD4, 0x31, 0x94]),
        &["commitlog.blank"],
        Found,
        false,
    ),
    m(
        "a total size is one too large",
        CLEAN,
        |s| {
            let (at, size) = s.record("GoldFour", 1, 100);
            s.put(at, &(u32::try_from(size).unwrap() + 1).to_be_bytes());
        },
        &["commitlog.length"],
        Found,
        false,
    ),
    m(
        "a total size reaches behind the file",
        CLEAN,
        |s| s.put(s.record("GoldFour", 1, 100).0, &[0x7F]),
        &["commitlog.length"],
        Found,
        false,
    ),
    m(
        "a total size is negative",
        CLEAN,
        |s| s.put(s.record("GoldFour", 1, 100).0, &[0xFF]),
        &["commitlog.length"],
        Found,
        false,
    ),
    m(
        "a topic length lies",
        CLEAN,
        |s| {
            let at = s.find_in(s.record("GoldFour", 2, 50), b"\x08GoldFour");
            s.put(at, &[9]);
        },
        &["commitlog.length"],
        Found,
        false,
    ),
    m(
        "a record is zeroed",
        CLEAN,
        |s| {
            let (at, size) = s.record("GoldFour", 3, 60);
            let (path, at) = s.log(at);
            zero(&path, at..at + size);
        },
        &["commitlog.hole"],
        Found,
        false,
    ),
    m(
        "a page of the log is zeroed",
        CLEAN,
        |s| zero(&s.path("commitlog/00000000000001048576"), 409_600..413_696),
        &["commitlog.length"],
        Found,
        false,
    ),
    m(
        "a body bit flips",
        CLEAN,
        |s| {
            let (path, at) = s.log(s.record("GoldOne", 0, 700).0);
            flip(&path, at + 90, 3);
        },
        &["commitlog.body-crc"],
        Found,
        false,
    ),
    m(
        "the body of the last record flips",
        CLEAN,
        |s| {
            let last = s.lines.iter().rfind(|l| l["k"] == "rec").unwrap();
            let (path, at) = s.log(last["physicalOffset"].as_u64().unwrap());
            flip(&path, at + 90, 3);
        },
        &["commitlog.body-crc"],
        Found,
        false,
    ),
    m(
        "a stored CRC flips",
        CLEAN,
        |s| {
            let (path, at) = s.log(s.record("GoldOne", 0, 700).0);
            flip(&path, at + 9, 0);
        },
        &["commitlog.body-crc"],
        Found,
        false,
    ),
    m(
        "a flag under a property CRC flips",
        "5.3.3-propcrc",
        |s| {
            flip(&s.path("commitlog/00000000000000000000"), 19, 0);
        },
        &["commitlog.property-crc"],
        Found,
        false,
    ),
    m(
        "a physical offset is wrong",
        CLEAN,
        |s| s.put(s.record("GoldOne", 0, 710).0 + 28, &i64_bytes(4096)),
        &["commitlog.physical-offset"],
        Found,
        true,
    ),
    m("a blank is too short", CLEAN, |s| s.put(1_048_441, &100u32.to_be_bytes()), &["commitlog.blank"], Found, true),
    m("a blank loses its magic code", CLEAN, |s| s.put(1_048_445, &[1, 2, 3, 4]), &["commitlog.magic"], Found, false),
    m(
        "the last record is torn under abort",
        KILLED,
        |s| {
            let last = s.lines.iter().rfind(|l| l["k"] == "rec").unwrap();
            let (path, at) = s.log(last["physicalOffset"].as_u64().unwrap());
            zero(&path, at + 60..at + last["storeSize"].as_u64().unwrap());
        },
        &["commitlog.torn-tail", "queue.unit-beyond-log", "index.beyond-log"],
        Clean,
        true,
    ),
    m(
        "half a record behind the end",
        CLEAN,
        |s| {
            let head = s.get(0, 60);
            write_at(&s.path("commitlog/00000000000003145728"), 139_844, &head);
        },
        &["commitlog.torn-tail"],
        Clean,
        true,
    ),
    m(
        "old bytes behind the end",
        CLEAN,
        |s| write_at(&s.path("commitlog/00000000000003145728"), 200_000, b"old bytes"),
        &["commitlog.stale-tail"],
        Clean,
        true,
    ),
    m(
        "a topic has an odd character",
        CLEAN,
        |s| {
            let at = s.find_in(s.record("GoldFour", 2, 50), b"\x08GoldFour");
            s.put(at + 1, b"!");
        },
        &["commitlog.topic", "queue.topic-deleted", "queue.unit-foreign", "index.key"],
        Found,
        true,
    ),
    m(
        "a queue number is negative",
        CLEAN,
        |s| s.put(s.record("GoldFour", 2, 51).0 + 12, &[0xFF]),
        &["commitlog.queue-id", "queue.missing", "queue.unit-foreign"],
        Found,
        true,
    ),
    m(
        "a queue offset is wrong",
        CLEAN,
        |s| s.put(s.record("GoldFour", 2, 52).0 + 20, &i64_bytes(57)),
        &["commitlog.queue-offset"],
        Found,
        true,
    ),
    m(
        "a queue offset is far too large",
        CLEAN,
        |s| s.put(s.record("GoldFour", 2, 52).0 + 20, &[0x7F]),
        &["commitlog.queue-offset"],
        Found,
        true,
    ),
    m(
        "a prepared record has a queue offset",
        CLEAN,
        |s| {
            let (at, _) = s.record("GoldFour", 2, 52);
            let flags = s.get(at + 39, 1)[0];
            s.put(at + 39, &[flags | 0x4]);
        },
        &["commitlog.queue-offset", "queue.unit-foreign"],
        Found,
        true,
    ),
    m(
        "a topic was deleted and made again",
        CLEAN,
        |s| {
            for (at, offset) in s.records("GoldUni", 0).filter(|(_, offset)| *offset >= 100) {
                s.put(at + 20, &i64_bytes(offset - 100));
            }
            for (at, offset) in s.records("GoldUni", 1).filter(|(_, offset)| *offset >= 100) {
                s.put(at + 20, &i64_bytes(offset - 100));
            }
            drop_units(&s.queue("GoldUni", 0), 0, 100);
            drop_units(&s.queue("GoldUni", 1), 0, 100);
        },
        &["commitlog.queue-offset-restart"],
        Clean,
        true,
    ),
    m(
        "one queue of a topic began again at 0",
        CLEAN,
        |s| {
            for (at, offset) in s.records("GoldFour", 0).filter(|(_, offset)| *offset >= 100) {
                s.put(at + 20, &i64_bytes(offset - 100));
            }
            drop_units(&s.queue("GoldFour", 0), 0, 100);
        },
        &["commitlog.queue-offset-repeated", "queue.records-without-unit"],
        Found,
        false,
    ),
    m(
        "offsets were reserved and not written",
        CLEAN,
        |s| {
            for (at, offset) in s.records("GoldUni", 0).filter(|(_, offset)| *offset >= 100) {
                s.put(at + 20, &i64_bytes(offset + 1));
            }
        },
        &["commitlog.queue-offset-gap", "queue.misaligned"],
        Clean,
        true,
    ),
    m(
        "a store time is negative",
        CLEAN,
        |s| s.put(s.record("GoldBatch", 1, 7).0 + 56, &[0xFF]),
        &["commitlog.store-time", "commitlog.store-time-order", "index.time-diff"],
        Clean,
        true,
    ),
    m(
        "a store time is an hour old",
        CLEAN,
        |s| {
            let line = s.line("GoldBatch", 1, 7);
            let time = line["storeTimestamp"].as_i64().unwrap() - 3_600_000;
            s.put(line["physicalOffset"].as_u64().unwrap() + 56, &i64_bytes(time));
        },
        &["commitlog.store-time-order", "index.time-diff"],
        Clean,
        true,
    ),
    m(
        "a system flag has an unknown bit",
        CLEAN,
        |s| s.put(s.record("GoldOne", 0, 5).0 + 38, &[0x08]),
        &["commitlog.sys-flag"],
        Clean,
        true,
    ),
    m(
        "a plain body is flagged as compressed",
        CLEAN,
        |s| s.put(s.record("GoldOne", 0, 5).0 + 39, &[0x01]),
        &["commitlog.codec"],
        Clean,
        true,
    ),
    m(
        "a message was redelivered minus one times",
        CLEAN,
        |s| s.put(s.record("GoldOne", 0, 5).0 + 72, &[0xFF; 4]),
        &["commitlog.reconsume-times"],
        Clean,
        true,
    ),
    m(
        "a commit names no prepared record",
        CLEAN,
        |s| {
            let (at, _) = s.record("GoldTx", 1, 2);
            let prepared = i64::from_be_bytes(s.get(at + 76, 8).try_into().unwrap());
            s.put(at + 76, &i64_bytes(prepared + 1));
        },
        &["commitlog.transaction-offset"],
        Clean,
        true,
    ),
    m(
        "a property loses its separator",
        CLEAN,
        |s| {
            let at = s.find_in(s.record("GoldOne", 0, 5), b"WAIT\x01");
            s.put(at + 4, b"=");
        },
        &["commitlog.properties"],
        Clean,
        true,
    ),
    m(
        "an inner batch lies about its number",
        "5.3.3-batchcq",
        |s| {
            let at = find_text(s, b"INNER_NUM\x01");
            s.put(at + 10, b"9");
        },
        &["commitlog.inner-batch", "queue.unit-span"],
        Found,
        true,
    ),
    m(
        "a multi-dispatch list lacks an offset",
        "5.3.3-lmq",
        |s| {
            let at = find_text(s, b"INNER_MULTI_QUEUE_OFFSET\x010,0");
            s.put(at + 26, b"0");
        },
        &["commitlog.multi-dispatch"],
        Clean,
        true,
    ),
    m(
        "a delay level is another one",
        CLEAN,
        |s| {
            let at = s.find_in(s.record("SCHEDULE_TOPIC_XXXX", 1, 3), b"DELAY\x012");
            s.put(at + 6, b"3");
        },
        &["commitlog.delay-level", "queue.delay-time"],
        Clean,
        true,
    ),
];
