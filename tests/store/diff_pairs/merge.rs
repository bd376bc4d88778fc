//! Merged offsets, against what is in the files by eye, and against the texts that brokers wrote.

use std::collections::BTreeMap;
use std::fs;

use mqstore_check::diff::{MergeOptions, Which, merge_offsets};
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
