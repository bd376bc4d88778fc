//! Every queue, against the running broker and against direct reads by the release's own classes.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use mqstore_core::QueueOffset;
use mqstore_core::format::consumequeue::CqUnit;
use mqstore_core::store::Store;
use mqstore_testkit::{truth, truth_lines};
use serde_json::Value;

use crate::each_store;

fn ranges(store: &Store) -> BTreeMap<(String, u64), (u64, u64)> {
    let log_min = store.commitlog().min_offset();
    let queues = store.consumequeues().unwrap();
    queues
        .iter()
        .map(|queue| {
            let range = queue.range(log_min).unwrap();
            let key = (queue.topic().to_owned(), u64::from(queue.queue_id()));
            (key, (range.min_offset.get(), range.max_offset.get()))
        })
        .collect()
}

/// `topic/queue` or `topic: {queue: ..}` to minimum and maximum.
fn reported(queues: &Value) -> Vec<((String, u64), (u64, u64))> {
    let range = |value: &Value| Some((value["min"].as_u64()?, value["max"].as_u64()?));
    let mut all = Vec::new();
    for (name, value) in queues.as_object().into_iter().flatten() {
        if let Some(range) = range(value) {
            let (topic, queue) = name.rsplit_once('/').unwrap();
            all.push(((topic.to_owned(), queue.parse().unwrap()), range));
        } else {
            let queues = value.as_object().into_iter().flatten();
            all.extend(queues.filter_map(|(q, value)| Some(((name.clone(), q.parse().ok()?), range(value)?))));
        }
    }
    all
}

/// Topics that the broker itself goes on writing between its answer and its stop.
fn grows_by_itself(topic: &str) -> bool {
    topic.starts_with("RMQ_SYS_TRANS_") || topic.ends_with("_REPLY_TOPIC") || topic.starts_with("rmq_sys_")
}

#[test]
fn minimum_and_maximum_of_every_queue_are_what_the_running_broker_reported() {
    let mut compared = 0;
    each_store(|name, _, store, _| {
        let truth = truth(name.split('/').next().unwrap());
        let queues = if truth["live"].is_object() { &truth["live"]["queues"] } else { &truth["queues"] };
        // What the live broker said is about the master, the upgraded store, and not about the copy of T0.
        let other_side = name.ends_with("slave/store") || name.contains("backup-t0");
        if other_side || store.commitlog().is_empty() || name.contains("rocksdb/") || name.contains("rocksdb-killed") {
            return;
        }
        let ours = ranges(store);
        for (queue, (min, max)) in reported(queues) {
            let found = ours.get(&queue).copied();
            if max == 0 || name.contains("batchcq") && found.is_none() {
                continue;
            }
            let (our_min, our_max) = found.unwrap_or_else(|| panic!("{name}: {queue:?} has no folder"));
            if grows_by_itself(&queue.0) {
                assert!(our_max >= max, "{name}: {queue:?}: {our_max} of {max}");
            } else {
                assert_eq!((our_min, our_max), (min, max), "{name}: {queue:?}");
            }
            compared += 1;
        }
    });
    assert!(compared > 400, "{compared} queues compared");
}

#[test]
fn every_unit_is_what_the_releases_own_classes_read() {
    let mut compared = 0;
    each_store(|name, _, store, truth| {
        if truth.is_empty() {
            return;
        }
        let mut expected: BTreeMap<(String, u64), Vec<(u64, CqUnit)>> = BTreeMap::new();
        for line in truth_lines(truth).iter().filter(|line| line["k"] == "cq") {
            let queue = (line["topic"].as_str().unwrap().to_owned(), line["queue"].as_str().unwrap().parse().unwrap());
            let units = expected.entry(queue).or_default();
            for unit in line["units"].as_array().unwrap() {
                let n = |i: usize| unit[i].as_i64().unwrap();
                let size = i32::try_from(n(2)).unwrap();
                units.push((n(0).unsigned_abs(), CqUnit { physical_offset: n(1), size, tags_code: n(3) }));
            }
        }
        let queues = store.consumequeues().unwrap();
        assert_eq!(queues.len(), expected.len(), "{name}");
        for queue in queues {
            let expected = &expected[&(queue.topic().to_owned(), u64::from(queue.queue_id()))];
            let range = queue.range(store.commitlog().min_offset()).unwrap();
            let mut ours = Vec::new();
            queue
                .visit_units(QueueOffset(0), range.max_offset, |offset, unit| {
                    ours.push((offset.get(), unit));
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!(&ours, expected, "{name}: {} {}", queue.topic(), queue.queue_id());
            compared += ours.len();
        }
    });
    assert!(compared > 30_000, "{compared} units compared");
}

#[test]
fn a_slave_that_joined_late_has_pre_blank_units() {
    each_store(|name, _, store, _| {
        if name != "5.3.3-pair/slave/store" {
            return;
        }
        let log_min = store.commitlog().min_offset();
        let blank: u64 =
            store.consumequeues().unwrap().iter().map(|queue| queue.range(log_min).unwrap().pre_blank).sum();
        assert!(blank > 0);
        for queue in store.consumequeues().unwrap() {
            let range = queue.range(log_min).unwrap();
            assert!(range.min_offset.get() >= range.pre_blank, "{}: {range:?}", queue.topic());
        }
    });
}

#[test]
fn units_behind_the_end_are_counted_also_behind_a_hole() {
    use mqstore_core::store::StoreOptions;
    use mqstore_testkit::{Message, StoreBuilder, damage};

    let dir = tempfile::tempdir().unwrap();
    let mut writer = StoreBuilder::new(dir.path()).consumequeue_file_size(6_000_000).start();
    for _ in 0..10 {
        writer.put(&Message::new("T", 0).sized(50));
    }
    writer.finish();
    let file = dir.path().join("consumequeue/T/0/00000000000000000000");
    for unit in [10, 12, 200_000] {
        damage::write_at(&file, unit * 20 + 20, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 91, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let queue = &store.consumequeues().unwrap()[0];
    let range = queue.range(store.commitlog().min_offset()).unwrap();
    assert_eq!((range.max_offset.get(), range.units_behind_end), (10, 3));
}
