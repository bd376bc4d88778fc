//! Named ways to break a healthy recorded store, and exactly what `verify` says about each.
//!
//! Places come from the truth that the broker's own classes left, offsets inside a record or unit are literals.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mqstore_check::verify::{ALL_CHECKS, VerifyOptions, check, verify};
use mqstore_check::{Outcome, Report, Severity};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::damage::{
    add_file, copy_within, files, flip, remove, rename, replace_text, swap, tear, truncate, write_at, zero,
};
use mqstore_testkit::{golden, truth_lines};
use serde_json::Value;

const LOG_FILE: u64 = 1_048_576;
/// Position of the first entry of an index file of 500 slots, number 0, which is not used.
const ENTRIES: u64 = 40 + 500 * 4;

/// A store that is being broken.
struct Sick {
    root: PathBuf,
    lines: Arc<Vec<Value>>,
}

impl Sick {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn config(&self, name: &str) -> PathBuf {
        self.path("config").join(name)
    }

    /// Position and size of the record with this topic, queue and queue offset.
    fn record(&self, topic: &str, queue: i64, offset: i64) -> (u64, u64) {
        let line = self.line(topic, queue, offset);
        (line["physicalOffset"].as_u64().unwrap(), line["storeSize"].as_u64().unwrap())
    }

    fn line(&self, topic: &str, queue: i64, offset: i64) -> &Value {
        let fits =
            |l: &&Value| l["k"] == "rec" && l["topic"] == topic && l["queueId"] == queue && l["queueOffset"] == offset;
        self.lines.iter().find(fits).unwrap()
    }

    fn records(&self, topic: &str, queue: i64) -> impl Iterator<Item = (u64, i64)> {
        let fits = move |l: &&Value| l["k"] == "rec" && l["topic"] == topic && l["queueId"] == queue;
        self.lines
            .iter()
            .filter(fits)
            .map(|l| (l["physicalOffset"].as_u64().unwrap(), l["queueOffset"].as_i64().unwrap()))
    }

    fn log(&self, position: u64) -> (PathBuf, u64) {
        let base = position / LOG_FILE * LOG_FILE;
        (self.path(&format!("commitlog/{base:020}")), position - base)
    }

    /// Overwrites bytes of the log.
    fn put(&self, position: u64, bytes: &[u8]) {
        let (path, at) = self.log(position);
        write_at(&path, at, bytes);
    }

    fn get(&self, position: u64, length: usize) -> Vec<u8> {
        let (path, at) = self.log(position);
        fs::read(path).unwrap()[usize::try_from(at).unwrap()..][..length].to_vec()
    }

    /// The position of `text` in the record at `position`.
    fn find_in(&self, (position, size): (u64, u64), text: &[u8]) -> u64 {
        let bytes = self.get(position, usize::try_from(size).unwrap());
        position + bytes.windows(text.len()).position(|w| w == text).unwrap() as u64
    }

    fn queue(&self, topic: &str, queue: u32) -> PathBuf {
        self.path(&format!("consumequeue/{topic}/{queue}/00000000000000000000"))
    }

    fn index(&self, n: usize) -> PathBuf {
        files(&self.path("index"))[n].clone()
    }
}

/// The first record that contains `text`, in the first log file: its position.
fn find_text(sick: &Sick, text: &[u8]) -> u64 {
    let bytes = fs::read(sick.path("commitlog/00000000000000000000")).unwrap();
    bytes.windows(text.len()).position(|w| w == text).unwrap() as u64
}

struct Mutation {
    name: &'static str,
    store: &'static str,
    apply: fn(&Sick),
    /// The ids that must appear; the first is the one that the mutation is for.
    finds: &'static [&'static str],
    outcome: Outcome,
    /// A start of every release goes on without loss: cut, rebuilt, ignored.
    survives: bool,
}

const fn m(
    name: &'static str,
    store: &'static str,
    apply: fn(&Sick),
    finds: &'static [&'static str],
    outcome: Outcome,
    survives: bool,
) -> Mutation {
    Mutation { name, store, apply, finds, outcome, survives }
}

use Outcome::{Clean, Found};

const CLEAN: &str = "4.3.2-clean";
const KILLED: &str = "4.3.2-killed";

fn i64_bytes(value: i64) -> [u8; 8] {
    value.to_be_bytes()
}

/// Removes the unit with number `n` from a queue file, so that later ones move down.
fn drop_units(path: &Path, n: usize, count: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes.drain(n * 20..(n + count) * 20);
    bytes.resize(bytes.len() + count * 20, 0);
    fs::write(path, bytes).unwrap();
}

const MUTATIONS: &[Mutation] = &[
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
        &["commitlog.inner-batch"],
        Outcome::NoVerdict,
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
    // Queues.
    m(
        "a queue file is renamed by one unit",
        CLEAN,
        |s| rename(&s.path("consumequeue/GoldOne/0/00000000000000020000"), "00000000000000020020"),
        &["queue.file-name", "queue.misaligned"],
        Found,
        false,
    ),
    m(
        "a queue file is cut",
        CLEAN,
        |s| truncate(&s.queue("GoldFour", 0), 10_000),
        &["queue.file-length"],
        Found,
        false,
    ),
    m(
        "a queue file is missing in the middle",
        CLEAN,
        |s| {
            rename(&s.path("consumequeue/GoldOne/0/00000000000000020000"), "00000000000000040000");
        },
        &["queue.file-gap", "queue.misaligned"],
        Found,
        false,
    ),
    m(
        "a foreign file in a queue",
        CLEAN,
        |s| add_file(&s.path("consumequeue/GoldOne/0/.nfs0001"), b"x"),
        &["queue.foreign-entry"],
        Found,
        false,
    ),
    m(
        "an empty queue file behind the last",
        CLEAN,
        |s| {
            add_file(&s.path("consumequeue/GoldOne/0/00000000000000040000"), b"");
            truncate(&s.path("consumequeue/GoldOne/0/00000000000000040000"), 20_000);
        },
        &["queue.zero-file"],
        Found,
        false,
    ),
    m(
        "the folder of a queue is gone",
        CLEAN,
        |s| remove(&s.path("consumequeue/GoldFour/1")),
        &["queue.missing", "offsets.no-queue"],
        Found,
        false,
    ),
    m(
        "a topic was deleted",
        CLEAN,
        |s| {
            remove(&s.path("consumequeue/GoldZip"));
            replace_text(&s.config("topics.json"), "GoldZip", "GoldZap");
        },
        &["queue.topic-deleted"],
        Clean,
        true,
    ),
    m(
        "the last units of a queue are gone",
        CLEAN,
        |s| zero(&s.queue("GoldZip", 0), 143 * 20..163 * 20),
        &["queue.records-without-unit"],
        Found,
        false,
    ),
    m(
        "the last unit of a queue is gone under abort",
        KILLED,
        |s| {
            let last = s.lines.iter().rfind(|l| l["k"] == "rec").unwrap();
            let (topic, queue, offset) =
                (&last["topic"], last["queueId"].as_u64().unwrap(), last["queueOffset"].as_u64().unwrap());
            let path = s.queue(topic.as_str().unwrap(), u32::try_from(queue).unwrap());
            let name = format!("{:020}", offset / 1000 * 20_000);
            zero(&path.with_file_name(name), offset % 1000 * 20..(offset % 1000 + 1) * 20);
        },
        &["queue.dispatch-behind"],
        Clean,
        true,
    ),
    m(
        "a unit is one byte off",
        CLEAN,
        |s| flip(&s.queue("GoldFour", 0), 100 * 20 + 7, 0),
        &["queue.unit-offset"],
        Found,
        false,
    ),
    m(
        "a unit leads behind the log",
        CLEAN,
        |s| flip(&s.queue("GoldFour", 0), 100 * 20 + 2, 0),
        &["queue.unit-offset"],
        Found,
        false,
    ),
    m(
        "a unit gives a wrong size",
        CLEAN,
        |s| flip(&s.queue("GoldFour", 0), 100 * 20 + 11, 0),
        &["queue.unit-size"],
        Found,
        false,
    ),
    m(
        "a unit is that of another queue",
        CLEAN,
        |s| {
            let other = fs::read(s.queue("GoldFour", 1)).unwrap()[2000..2020].to_vec();
            write_at(&s.queue("GoldFour", 0), 2000, &other);
        },
        &["queue.unit-foreign"],
        Found,
        false,
    ),
    m(
        "a unit is there twice",
        CLEAN,
        |s| copy_within(&s.queue("GoldFour", 0), 2000, 2020, 20),
        &["queue.duplicate-unit", "queue.records-without-unit"],
        Found,
        false,
    ),
    m(
        "two units changed places",
        CLEAN,
        |s| swap(&s.queue("GoldFour", 0), 2000, 2020, 20),
        &["queue.order", "queue.records-without-unit"],
        Found,
        false,
    ),
    m("a hole in a queue", CLEAN, |s| zero(&s.queue("GoldFour", 0), 2000..2020), &["queue.hole"], Found, false),
    m(
        "a hole in an older queue file",
        CLEAN,
        |s| zero(&s.queue("GoldOne", 0), 2000..2040),
        &["queue.hole", "offsets.beyond-max"],
        Found,
        false,
    ),
    m(
        "a unit has no size",
        CLEAN,
        |s| write_at(&s.queue("GoldFour", 0), 2008, &[0, 0, 0, 0]),
        &["queue.invalid-unit"],
        Found,
        false,
    ),
    m(
        "a unit has a negative offset",
        CLEAN,
        |s| write_at(&s.queue("GoldFour", 0), 2000, &[0xFF]),
        &["queue.invalid-unit"],
        Found,
        false,
    ),
    m(
        "blank units in the middle of a queue",
        CLEAN,
        |s| {
            write_at(
                &s.queue("GoldFour", 0),
                2000,
                &[0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0],
            );
        },
        &["queue.pre-blank", "queue.records-without-unit"],
        Found,
        false,
    ),
    m(
        "old units behind the end of a queue",
        CLEAN,
        |s| copy_within(&s.queue("GoldFour", 0), 2000, 216 * 20, 40),
        &["queue.stale-tail"],
        Clean,
        true,
    ),
    m(
        "one unit is lost and the others moved down",
        CLEAN,
        |s| drop_units(&s.queue("GoldZip", 0), 80, 1),
        &["queue.misaligned", "queue.records-without-unit"],
        Found,
        false,
    ),
    m("a tags code flips", CLEAN, |s| flip(&s.queue("GoldFour", 0), 2019, 0), &["queue.tags-code"], Found, false),
    m(
        "a due time is off",
        CLEAN,
        |s| flip(&s.queue("SCHEDULE_TOPIC_XXXX", 0), 20 * 20 + 17, 1),
        &["queue.delay-time"],
        Clean,
        false,
    ),
    m(
        "an extension unit changes",
        "4.3.2-cqext",
        |s| {
            let path = files(&s.path("consumequeue_ext"))[0].clone();
            flip(&path, 5, 0);
        },
        &["queue.ext"],
        Found,
        false,
    ),
    // Index.
    m(
        "a text file in the index",
        CLEAN,
        |s| add_file(&s.path("index/readme"), b"x"),
        &["index.foreign-entry"],
        Clean,
        true,
    ),
    m(
        "an index file is cut",
        CLEAN,
        |s| truncate(&s.index(1), 20_000),
        &["index.length", "index.keys-missing"],
        Found,
        false,
    ),
    m(
        "the header of an index file is garbage",
        CLEAN,
        |s| write_at(&s.index(1), 0, &[0x55; 40]),
        &["index.header", "index.keys-missing"],
        Found,
        false,
    ),
    m(
        "the header of the only index file is garbage",
        "5.3.3-ipv6",
        |s| write_at(&s.index(0), 0, &[0x55; 40]),
        &["index.geometry"],
        Found,
        false,
    ),
    m("an index header has another end", CLEAN, |s| flip(&s.index(1), 31, 0), &["index.header"], Found, true),
    m("an index header has another begin", CLEAN, |s| flip(&s.index(1), 22, 0), &["index.header"], Found, true),
    m(
        "an index header counts slots that are none",
        CLEAN,
        |s| write_at(&s.index(1), 32, &[0, 0, 0, 3]),
        &["index.slot-count"],
        Clean,
        true,
    ),
    m(
        "an index entry has a negative hash",
        CLEAN,
        |s| flip(&s.index(1), ENTRIES + 20 * 700, 7),
        &["index.entry", "index.key", "index.chain"],
        Found,
        false,
    ),
    m(
        "two index entries changed places",
        CLEAN,
        |s| swap(&s.index(1), ENTRIES + 20 * 700 + 4, ENTRIES + 20 * 900 + 4, 8),
        &["index.order", "index.keys-missing"],
        Found,
        false,
    ),
    m(
        "an index entry names another predecessor",
        CLEAN,
        |s| write_at(&s.index(1), ENTRIES + 20 * 700 + 16, &[0, 0, 0, 1]),
        &["index.chain"],
        Found,
        false,
    ),
    m(
        "a hash slot is emptied",
        CLEAN,
        |s| {
            let bytes = fs::read(s.index(1)).unwrap();
            let slot = (0..500).find(|slot| bytes[40 + slot * 4..44 + slot * 4] != [0; 4]).unwrap();
            write_at(&s.index(1), 40 + slot as u64 * 4, &[0, 0, 0, 0]);
        },
        &["index.slot"],
        Found,
        false,
    ),
    m(
        "an index entry is one byte off",
        CLEAN,
        |s| flip(&s.index(1), ENTRIES + 20 * 700 + 11, 2),
        &["index.orphan", "index.keys-missing"],
        Found,
        false,
    ),
    m(
        "an index entry has another hash",
        CLEAN,
        |s| flip(&s.index(1), ENTRIES + 20 * 700 + 3, 1),
        &["index.key", "index.chain", "index.slot"],
        Found,
        false,
    ),
    m(
        "an index entry has another time",
        CLEAN,
        |s| flip(&s.index(1), ENTRIES + 20 * 700 + 14, 0),
        &["index.time-diff"],
        Clean,
        true,
    ),
    m("an index file was deleted", CLEAN, |s| remove(&s.index(2)), &["index.keys-missing"], Clean, true),
    // Checkpoint.
    m("there is no checkpoint", CLEAN, |s| remove(&s.path("checkpoint")), &["checkpoint.missing"], Clean, true),
    m("the checkpoint is short", CLEAN, |s| truncate(&s.path("checkpoint"), 40), &["checkpoint.length"], Clean, true),
    m(
        "the checkpoint is garbage",
        CLEAN,
        |s| write_at(&s.path("checkpoint"), 0, &[0xAA; 24]),
        &["checkpoint.garbage"],
        Found,
        false,
    ),
    m(
        "the checkpoint is of next year",
        CLEAN,
        |s| flip(&s.path("checkpoint"), 2, 3),
        &["checkpoint.ahead"],
        Found,
        false,
    ),
    m(
        "the checkpoint is newer than the queues",
        CLEAN,
        |s| {
            for path in files(&s.path("consumequeue")) {
                let units = fs::read(&path).unwrap();
                let late = |unit: &[u8]| u64::from_be_bytes(unit[..8].try_into().unwrap()) >= 2_400_000;
                if let Some(first) = units.chunks(20).position(late) {
                    zero(&path, first as u64 * 20..20_000);
                }
            }
        },
        &[
            "checkpoint.ahead-of-queues",
            "queue.records-without-unit",
            "queue.zero-file",
            "offsets.beyond-max",
            "delay.beyond-max",
        ],
        Found,
        false,
    ),
    m("the checkpoint is old", CLEAN, |s| flip(&s.path("checkpoint"), 13, 4), &["checkpoint.behind"], Clean, true),
    m(
        "the confirmed offset lies behind the log",
        "5.3.3-clean",
        |s| write_at(&s.path("checkpoint"), 32, &i64_bytes(1 << 40)),
        &["checkpoint.confirm-offset"],
        Clean,
        true,
    ),
    m(
        "something behind the fields of the checkpoint",
        CLEAN,
        |s| write_at(&s.path("checkpoint"), 1000, b"x"),
        &["checkpoint.trailing"],
        Clean,
        true,
    ),
    // Configuration.
    m("topics.json is torn", CLEAN, |s| tear(&s.config("topics.json")), &["config.loaded-from-bak"], Clean, true),
    m(
        "topics.json is empty",
        CLEAN,
        |s| truncate(&s.config("topics.json"), 0),
        &["config.loaded-from-bak"],
        Clean,
        true,
    ),
    m(
        "topics.json is all NUL",
        CLEAN,
        |s| zero(&s.config("topics.json"), 0..1 << 20),
        &["config.loaded-from-bak"],
        Clean,
        true,
    ),
    m(
        "consumerOffset.json is gone",
        CLEAN,
        |s| remove(&s.config("consumerOffset.json")),
        &["config.loaded-from-bak"],
        Clean,
        true,
    ),
    m(
        "consumerOffset.json is torn and has no bak",
        CLEAN,
        |s| {
            tear(&s.config("consumerOffset.json"));
            remove(&s.config("consumerOffset.json.bak"));
        },
        &["config.lost"],
        Found,
        false,
    ),
    m(
        "both copies of a file are torn",
        CLEAN,
        |s| {
            tear(&s.config("subscriptionGroup.json"));
            tear(&s.config("subscriptionGroup.json.bak"));
        },
        &["config.refused"],
        Found,
        false,
    ),
    m(
        "a config file became an empty object",
        CLEAN,
        |s| fs::write(s.config("consumerOffset.json"), "{}").unwrap(),
        &["config.empty-table"],
        Found,
        false,
    ),
    m("a bak is torn", CLEAN, |s| tear(&s.config("consumerOffset.json.bak")), &["config.bak"], Clean, true),
    m("a tmp is left over", CLEAN, |s| add_file(&s.config("topics.json.tmp"), b"{"), &["config.tmp"], Clean, true),
    m(
        "topics.json lies elsewhere",
        CLEAN,
        |s| {
            remove(&s.config("topics.json"));
            remove(&s.config("topics.json.bak"));
        },
        &["config.missing"],
        Clean,
        false,
    ),
    m(
        "a topic is not in topics.json",
        CLEAN,
        |s| replace_text(&s.config("topics.json"), "\"GoldFour\"", "\"GoldFire\""),
        &["config.topic-unknown"],
        Clean,
        false,
    ),
    m(
        "a topic's entry carries another name",
        CLEAN,
        |s| replace_text(&s.config("topics.json"), "\"topicName\":\"GoldFour\"", "\"topicName\":\"GoldFire\""),
        &["config.name"],
        Clean,
        true,
    ),
    m(
        "a RocksDB folder beside topics.json",
        CLEAN,
        |s| add_file(&s.config("topics/CURRENT"), b"MANIFEST-000001\n"),
        &["config.rocksdb-beside-json"],
        Outcome::NoVerdict,
        true,
    ),
    m(
        "a text file in config",
        CLEAN,
        |s| add_file(&s.config("notes.txt"), b"x"),
        &["config.foreign-entry"],
        Clean,
        true,
    ),
    m(
        "timercheck is cut",
        "5.3.3-clean",
        |s| truncate(&s.config("timercheck"), 10),
        &["config.timercheck"],
        Clean,
        true,
    ),
    // Offsets.
    m(
        "a group stands behind the end of its queue",
        CLEAN,
        |s| replace_text(&s.config("consumerOffset.json"), "{0:16,1:14", "{0:16,1:999"),
        &["offsets.beyond-max"],
        Found,
        false,
    ),
    m(
        "a group stands before the first message",
        "4.3.2-expired",
        |s| {
            replace_text(&s.config("consumerOffset.json"), "{0:711", "{0:7");
        },
        &["offsets.behind-min"],
        Clean,
        true,
    ),
    m(
        "a committed offset is negative",
        CLEAN,
        |s| replace_text(&s.config("consumerOffset.json"), "{0:16,1:14", "{0:16,1:-1"),
        &["offsets.negative"],
        Found,
        true,
    ),
    m(
        "a key of the offset table has no group",
        CLEAN,
        |s| replace_text(&s.config("consumerOffset.json"), "GoldUni@GID_Gold_part", "GoldUni"),
        &["offsets.key"],
        Clean,
        true,
    ),
    m(
        "a delay level is ahead of its queue",
        CLEAN,
        |s| replace_text(&s.config("delayOffset.json"), "1:102", "1:103"),
        &["delay.beyond-max"],
        Found,
        false,
    ),
    m(
        "a delay level is 0",
        CLEAN,
        |s| replace_text(&s.config("delayOffset.json"), "1:102", "0:102"),
        &["delay.level"],
        Clean,
        true,
    ),
];

/// Ids with another proof than a row of the table.
const PROVEN_ELSEWHERE: &[&str] = &[
    "commitlog.store-host-length", // verify_golden: 5.3.3-v6mix
    "delay.behind-min",            // verify_golden: 4.3.2-expired
    "commitlog.duplicate-file",    // below: needs two folders
    "config.two-places",           // below: needs a home folder
    "store.live",                  // below: needs a process that holds the lock
    "store.io-error",              // a unit test: needs a disk that fails
];

fn run(root: &Path, options: StoreOptions) -> Report {
    let store = Store::open(root, options).unwrap();
    verify(&store, &VerifyOptions::default(), &NoProgress, &mut |_| {}).unwrap()
}

fn ids(report: &Report) -> BTreeSet<&'static str> {
    report.findings().iter().map(|finding| finding.id).collect()
}

#[test]
fn every_mutation_gives_exactly_its_findings() {
    let mut lines: HashMap<&str, Arc<Vec<Value>>> = HashMap::new();
    let mut usual: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    let mut wrong = Vec::new();
    for mutation in MUTATIONS {
        let golden = golden(mutation.store);
        let root = golden.root();
        let lines = lines.entry(mutation.store).or_insert_with(|| {
            let known = ["4.3.2-clean", "4.3.2-killed", "4.3.2-expired"].contains(&mutation.store);
            Arc::new(if known { truth_lines(mutation.store) } else { Vec::new() })
        });
        let usual = usual.entry(mutation.store).or_insert_with(|| ids(&run(&root, StoreOptions::default())));
        (mutation.apply)(&Sick { root: root.clone(), lines: lines.clone() });
        let report = run(&root, StoreOptions::default());
        let new: BTreeSet<_> = ids(&report).difference(usual).copied().collect();
        let expected: BTreeSet<_> = mutation.finds.iter().copied().collect();
        let outcome = report.outcome(Severity::Error);
        if new != expected || outcome != mutation.outcome {
            let mut told: BTreeMap<&str, &str> = BTreeMap::new();
            for finding in report.findings() {
                told.entry(finding.id).or_insert(&finding.message);
            }
            wrong.push(format!(
                "{}: {outcome:?}, {new:?}, expected {:?}, {expected:?}\n    {told:?}",
                mutation.name, mutation.outcome
            ));
        }
    }
    let survived = MUTATIONS.iter().filter(|mutation| mutation.survives).count();
    println!("{} mutations, {survived} of which a broker survives", MUTATIONS.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_check_has_a_mutation() {
    let first: BTreeSet<_> = MUTATIONS.iter().flat_map(|mutation| mutation.finds).copied().collect();
    for found in &first {
        assert!(check(found).is_some(), "{found} is no check");
    }
    let missing: Vec<_> = ALL_CHECKS.iter().map(|check| check.id).filter(|id| !first.contains(id)).collect();
    let missing: Vec<_> = missing.into_iter().filter(|id| !PROVEN_ELSEWHERE.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(MUTATIONS.len() >= 60);
}
