//! Index, checkpoint, configuration and offsets.

use std::fs;

use mqstore_check::Outcome::{Clean, Found};
use mqstore_testkit::damage::{add_file, files, flip, remove, replace_text, swap, tear, truncate, write_at, zero};

use super::{CLEAN, ENTRIES, Mutation, i64_bytes, m};

pub(crate) const MUTATIONS: &[Mutation] = &[
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
        &["config.rocksdb-beside-json", "store.rocksdb-open"],
        Found,
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
