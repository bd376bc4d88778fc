//! Consume queues and their extension.

use std::fs;

use mqstore_check::Outcome::{Clean, Found};
use mqstore_testkit::damage::{
    add_file, copy_within, files, flip, remove, rename, replace_text, swap, truncate, write_at, zero,
};

use super::{CLEAN, KILLED, Mutation, drop_units, m};

pub(crate) const MUTATIONS: &[Mutation] = &[
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
];
