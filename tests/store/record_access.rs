//! Single records by offset, and the next one behind any offset.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use mqstore_core::PhysicalOffset;
use mqstore_core::format::commitlog::Entry;
use mqstore_core::release::marks::LogMarks;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{golden, truth_lines};

/// The offsets of all records and of all blanks, by the release's own reading.
fn truth_offsets(name: &str) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let lines = truth_lines(name);
    let offsets = |kind: &str| {
        lines.iter().filter(|line| line["k"] == kind).map(|line| line["off"].as_u64().unwrap()).collect::<BTreeSet<_>>()
    };
    (offsets("rec"), offsets("blank"))
}

#[test]
fn the_next_entry_behind_any_offset_is_the_one_the_broker_reads_there() {
    let golden = golden("4.3.2-clean");
    let store = Store::open(golden.root(), StoreOptions::default()).unwrap();
    let log = store.commitlog();
    let (records, blanks) = truth_offsets("4.3.2-clean");
    let entries: BTreeSet<u64> = records.union(&blanks).copied().collect();
    for wanted in (0..3_285_572).step_by(9_973).chain(records.iter().copied().step_by(500)) {
        let found = log.entry_from(PhysicalOffset(wanted)).unwrap().map(PhysicalOffset::get);
        let (next_entry, next_record) = (entries.range(wanted..).next(), records.range(wanted..).next());
        // A blank is found only where it begins: inside other entries only records can be told.
        let expected = if next_entry == Some(&wanted) { next_entry } else { next_record };
        assert_eq!(found.as_ref(), expected, "behind {wanted}");
    }
    assert_eq!(log.entry_from(PhysicalOffset(3_285_572)).unwrap(), None, "there is nothing behind the end");
    assert_eq!(log.entry_from(PhysicalOffset(1 << 40)).unwrap(), None);
}

#[test]
fn a_record_is_read_where_one_begins_and_nowhere_else() {
    let golden = golden("3.5.8-clean");
    let store = Store::open(golden.root(), StoreOptions::default()).unwrap();
    let log = store.commitlog();
    for line in truth_lines("3.5.8-clean").iter().filter(|line| line["k"] == "rec").step_by(97) {
        let offset = PhysicalOffset(line["off"].as_u64().unwrap());
        let topic = log.with_record(offset, |record| record.topic_str().into_owned()).unwrap();
        assert_eq!(topic.as_deref(), line["topic"].as_str());
        assert_eq!(log.with_record(offset + 1, |_| ()).unwrap(), None);
    }
    assert_eq!(log.with_record(PhysicalOffset(1 << 40), |_| ()).unwrap(), None);
}

#[test]
fn the_marks_seen_in_a_log_are_those_that_its_records_carry() {
    let golden = golden("5.3.3-clean");
    let store = Store::open(golden.root(), StoreOptions::default()).unwrap();
    let mut marks = LogMarks::default();
    let see = |entry: &Entry<'_>| {
        if let Entry::Message(record) = entry {
            marks.see(record);
        }
        ControlFlow::Continue(())
    };
    store.commitlog().scan(PhysicalOffset(0), true, see).unwrap();
    let lines = truth_lines("5.3.3-clean");
    let first = |is_mark: &dyn Fn(&serde_json::Value) -> bool| {
        let line = lines.iter().find(|line| line["k"] == "rec" && is_mark(line));
        line.map(|line| PhysicalOffset(line["off"].as_u64().unwrap()))
    };
    let flag = |line: &serde_json::Value, bits: i64| line["sysFlag"].as_i64().unwrap() & bits != 0;
    let seen = |mark: Option<mqstore_core::release::marks::Sighting>| mark.map(|sighting| sighting.physical_offset);
    assert_eq!(seen(marks.ipv6_host), first(&|line| flag(line, 0x30)));
    assert_eq!(seen(marks.magic_v2), first(&|line| line["magic"] == -626_843_477));
    assert_eq!(seen(marks.uniq_key), first(&|line| line["properties"]["UNIQ_KEY"].is_string()));
    assert_eq!(seen(marks.cluster_property), first(&|line| line["properties"]["CLUSTER"].is_string()));
    assert_eq!(seen(marks.codec_bits), first(&|line| flag(line, 0x700)));
    assert!(marks.magic_v2.is_some() && marks.ipv6_host.is_some() && marks.prop_crc.is_none());
    assert_eq!(marks.prepared_in_business_topic, None, "5.3.3 keeps them in the half topic");
}
