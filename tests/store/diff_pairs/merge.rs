//! Merged offsets, against what is in the files by eye, and against the texts that brokers wrote.

use std::collections::BTreeMap;
use std::fs;

use mqstore_check::diff::{MergeOptions, OffsetFile, Which, merge_offsets};
use mqstore_core::format::config::ConfigTable;
use mqstore_core::format::config::consumer_offset::ConsumerOffsetTable;
use mqstore_core::release::Release;
use mqstore_testkit::{damage, golden};

use super::{pair, take};

#[test]
fn merged_offsets_are_the_larger_ones_inside_the_queues_and_read_back_as_such() {
    let (_golden, master, slave) = pair("4.3.2-pair");
    // The slave was consumed from: one group is further there, and one beyond the end of the master's queue.
    let path = slave.join("config/consumerOffset.json");
    damage::replace_text(&path, "\"GoldOne@GID_Gold_part\":{0:60", "\"GoldOne@GID_Gold_part\":{0:170");
    damage::replace_text(
        &path,
        "\"offsetTable\":{",
        "\"offsetTable\":{\"GoldEight@GID_new\":{0:999,1:7},\"Gone@GID_new\":{3:5},",
    );
    let (a, b) = (take(&master), take(&slave));
    let merged = merge_offsets(&a, &b, MergeOptions::new(Release::V4_3_2, Which::A));
    let table = ConsumerOffsetTable::parse(&merged.bytes).unwrap();
    assert_eq!(table.data_version, None, "4.3.2 writes none");
    let expected: BTreeMap<String, BTreeMap<i32, i64>> = [
        ("%RETRY%GID_Gold_part@GID_Gold_part".to_owned(), [(0, 0)].into()),
        (
            "GoldEight@GID_Gold_late".to_owned(),
            [(0, 33), (1, 54), (2, 0), (3, 55), (4, 69), (5, 58), (6, 0), (7, 61)].into(),
        ),
        // The queue ends at 33.
        ("GoldEight@GID_new".to_owned(), [(0, 33), (1, 7)].into()),
        ("GoldOne@GID_Gold_part".to_owned(), [(0, 170)].into()),
        // Neither side has that queue.
        ("Gone@GID_new".to_owned(), [(3, 5)].into()),
    ]
    .into();
    assert_eq!(table.offset_table, expected);
    let changes: Vec<_> = merged.changes.iter().map(|c| (c.key.as_str(), c.queue_id, c.merged, c.clamped)).collect();
    assert_eq!(
        changes,
        [
            ("GoldEight@GID_new", 0, 33, true),
            ("GoldEight@GID_new", 1, 7, false),
            ("GoldOne@GID_Gold_part", 0, 170, false),
            ("Gone@GID_new", 3, 5, false)
        ]
    );
    // What the master wrote itself comes out as it wrote it, keys sorted: its own file has them so.
    let own = merge_offsets(&a, &a, MergeOptions::new(Release::V4_3_2, Which::A));
    assert_eq!(own.changes, []);
    assert_eq!(
        String::from_utf8(own.bytes).unwrap(),
        fs::read_to_string(master.join("config/consumerOffset.json")).unwrap()
    );
}

#[test]
fn merged_offsets_have_the_text_of_the_release_that_reads_them() {
    for (archive, root, release) in
        [("5.3.3-pair", "master/store", Release::V5_3_3), ("5.4.0-clean", "store", Release::V5_4_0)]
    {
        let golden = golden(archive);
        let root = golden.sub(root);
        let snapshot = take(&root);
        let merged = merge_offsets(&snapshot, &snapshot, MergeOptions::new(release, Which::A));
        let lines = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect();
            // Maps come in hash order there, and the counter moves on here.
            lines.retain(|line| !line.contains("counter") && !line.contains("\"],") && !line.contains(":[\""));
            lines.sort();
            lines
        };
        let theirs = fs::read_to_string(root.join("config/consumerOffset.json")).unwrap();
        let ours = String::from_utf8(merged.bytes.clone()).unwrap();
        assert_eq!(lines(&ours), lines(&theirs), "{archive}");
        let table = ConsumerOffsetTable::parse(&merged.bytes).unwrap();
        assert_eq!(table.offset_table, snapshot.consumer_offsets.unwrap());
        assert!(table.data_version.unwrap().counter > 0, "a counter of 0 is not imported into RocksDB");
    }
}

#[test]
fn merged_offsets_of_light_queues_have_the_text_that_the_broker_wrote_and_the_larger_values() {
    let golden = golden("5.3.3-lmq");
    let root = golden.sub("store");
    let own = take(&root);
    let mut further = own.clone();
    let lmq = further.lmq_consumer_offsets.as_mut().unwrap();
    lmq.lmq_offset_table.insert("%LMQ%a@%LMQ%ga".to_owned(), 1_000_000);
    lmq.offset_table.get_mut("TPlain@GNormal").unwrap().insert(0, 1_000_000);
    let mut options = MergeOptions::new(Release::V5_3_3, Which::A);
    options.file = OffsetFile::Lmq;
    let path = root.join("config/lmqConsumerOffset.json");
    let theirs = ConsumerOffsetTable::parse(&fs::read(&path).unwrap()).unwrap();
    let same = merge_offsets(&own, &own, options);
    assert_eq!(same.changes, []);
    let ours = ConsumerOffsetTable::parse(&same.bytes).unwrap();
    assert_eq!((&ours.offset_table, &ours.lmq_offset_table), (&theirs.offset_table, &theirs.lmq_offset_table));
    let lines = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let lines = text.lines().filter(|line| !line.contains("counter")).map(|l| l.trim_end_matches(',').to_owned());
        let mut lines: Vec<_> = lines.collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&same.bytes), lines(&fs::read(&path).unwrap()), "maps come in hash order there");
    // Both go no further than their queues.
    let merged = merge_offsets(&own, &further, options);
    let max = |topic: &str| i64::try_from(own.queue(topic, 0).unwrap().max_offset).unwrap();
    assert_eq!(merged.lmq_table["%LMQ%a@%LMQ%ga"], max("%LMQ%a"));
    assert_eq!(merged.table["TPlain@GNormal"][&0], max("TPlain"));
    assert!(merged.changes.iter().all(|change| change.clamped), "{:?}", merged.changes);
}

#[test]
fn what_pull_consumers_fetched_is_compared_and_merged_for_5_5_0_only() {
    let golden = golden("5.5.0-clean");
    let own = take(&golden.sub("store"));
    let pull = own.pull_offsets.clone().unwrap();
    assert_eq!(
        own.pull_offsets,
        ConsumerOffsetTable::parse(&fs::read(golden.sub("store/config/consumerOffset.json")).unwrap())
            .unwrap()
            .pull_offset_table
    );
    let merged = merge_offsets(&own, &own, MergeOptions::new(Release::V5_5_0, Which::A));
    assert_eq!(ConsumerOffsetTable::parse(&merged.bytes).unwrap().pull_offset_table, Some(pull));
    let older = merge_offsets(&own, &own, MergeOptions::new(Release::V5_3_3, Which::A));
    assert_eq!(ConsumerOffsetTable::parse(&older.bytes).unwrap().pull_offset_table, None);
}
