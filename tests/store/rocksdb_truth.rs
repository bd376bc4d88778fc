//! RocksDB databases of brokers: the set of files against what lies there, and rows against what the brokers reported.

use std::collections::BTreeSet;
use std::fs;

use mqstore_core::store::{RocksDb, RocksDbFileKind, SpecialKind, Store, StoreOptions};
use mqstore_testkit::{Golden, damage};

use crate::{each_store, unpacked};

fn database(golden: &Golden, kind: SpecialKind, folder: &str) -> RocksDb {
    let store = Store::open(golden.root(), StoreOptions::default()).unwrap();
    let mut all = store.rocksdbs().into_iter().map(Result::unwrap);
    all.find(|database| database.kind() == kind && database.dir().ends_with(folder)).unwrap()
}

fn families(database: &RocksDb) -> Vec<&str> {
    database.manifest().column_families.values().map(|family| family.name.as_str()).collect()
}

#[test]
fn every_database_of_every_store_is_whole_and_holds_its_families() {
    let mut seen = Vec::new();
    each_store(|name, _, store, _| {
        for database in store.rocksdbs() {
            let database = database.unwrap();
            assert_eq!(database.missing(), [], "{name}: {}", database.dir().display());
            let manifest = database.manifest();
            assert!(manifest.edits > 0 && manifest.end == mqstore_core::format::rocksdb::RecordsEnd::Clean);
            assert_eq!(database.wal_bytes(), 0, "{name}: all these brokers stopped, or wrote without a log");
            for (family, file) in manifest.live_files() {
                assert_eq!(family.comparator, "leveldb.BytewiseComparator");
                assert!(file.number < manifest.next_file_number && file.smallest <= file.largest);
            }
            let expected: &[&str] = match database.kind() {
                SpecialKind::RocksDbQueues => &["default", "offset"],
                SpecialKind::RocksDbConfig if database.dir().ends_with("rdb") => &["default"],
                SpecialKind::RocksDbConfig => &["default", "kvDataVersion", "forbidden"],
                SpecialKind::RocksDbStore => &["default", "timer", "trans"],
                other => panic!("{other:?}"),
            };
            assert_eq!(families(&database), expected, "{name}");
            seen.push(database.kind());
        }
    });
    seen.sort();
    seen.dedup();
    assert_eq!(seen, [SpecialKind::RocksDbQueues, SpecialKind::RocksDbConfig, SpecialKind::RocksDbStore]);
}

#[test]
fn the_set_to_copy_ends_with_current_and_holds_each_live_file_once() {
    let unpacked = unpacked();
    let database = database(&unpacked["5.3.3-rocksdb"], SpecialKind::RocksDbConfig, "topics");
    let needed = database.needed_files();
    assert_eq!(needed.last().unwrap().kind, RocksDbFileKind::Current);
    let names: Vec<_> = needed.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
    let expected =
        ["000013.sst", "000014.sst", "000016.sst", "000017.sst", "000029.sst", "000028.log", "MANIFEST-000025"];
    let live: BTreeSet<_> = database.manifest().live_files().map(|(_, file)| file.number).collect();
    let on_disk: BTreeSet<_> = database
        .files()
        .iter()
        .filter_map(|file| match file.kind {
            RocksDbFileKind::Sst(number) => Some(number),
            _ => None,
        })
        .collect();
    assert_eq!(live, on_disk, "the broker had cleaned up");
    assert_eq!(names[..7], expected);
    assert_eq!(names[7..], ["IDENTITY", "OPTIONS-000027", "CURRENT"]);
    assert_eq!(database.obsolete(), Vec::<&mqstore_core::store::RocksDbFile>::new());
}

#[test]
fn a_lost_a_cut_and_a_foreign_file_are_each_noticed() {
    let copy = tempfile::tempdir().unwrap();
    let unpacked = unpacked();
    let from = unpacked["5.3.3-rocksdb"].root().join("consumequeue");
    for file in damage::files(&from) {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    let open = || RocksDb::open(SpecialKind::RocksDbQueues, copy.path());
    assert_eq!(open().unwrap().missing(), []);
    fs::remove_file(copy.path().join("000027.sst")).unwrap();
    fs::write(copy.path().join("000026.sst"), b"short").unwrap();
    fs::write(copy.path().join("000099.sst"), b"").unwrap();
    let database = open().unwrap();
    let missing: Vec<_> = database.missing().iter().map(|file| (file.number, file.expected, file.found)).collect();
    assert_eq!(missing, [(26, 1559, Some(5)), (27, 2860, None)]);
    assert_eq!(database.obsolete().len(), 1);

    let manifest = copy.path().join("MANIFEST-000019");
    let bytes = fs::read(&manifest).unwrap();
    fs::write(&manifest, &bytes[..bytes.len() - 5]).unwrap();
    let torn = open().unwrap();
    assert_eq!(torn.manifest().end, mqstore_core::format::rocksdb::RecordsEnd::Torn);
    let mut broken = bytes.clone();
    broken[100] ^= 1;
    fs::write(&manifest, broken).unwrap();
    assert!(open().unwrap_err().to_string().ends_with("MANIFEST-000019 is damaged"));
    fs::write(copy.path().join("CURRENT"), "MANIFEST-000018\n").unwrap();
    assert!(open().is_err());
}

mod rows {
    use std::ops::ControlFlow;

    use mqstore_core::PhysicalOffset;
    use mqstore_core::format::rocksdb::rows::{V2Key, V2Table};
    use mqstore_testkit::truth;
    use serde_json::Value;

    use super::*;

    #[test]
    fn queues_end_where_the_broker_said_and_each_unit_leads_to_its_record() {
        let unpacked = unpacked();
        let truth = truth("5.3.3-rocksdb");
        let database = database(&unpacked["5.3.3-rocksdb"], SpecialKind::RocksDbQueues, "consumequeue");
        let queues = database.queues().unwrap();
        let mut compared = 0;
        for (topic, ends) in truth["queues"].as_object().unwrap() {
            for (queue, ends) in ends.as_object().unwrap() {
                let range = queues.ranges[&(topic.clone(), queue.parse().unwrap())];
                assert_eq!(Some(range.min_offset.get()), ends["min"].as_u64());
                // The broker goes on checking transactions between its answer and its stop.
                let max = ends["max"].as_u64().unwrap();
                assert!(range.max_offset.get() == max || topic.starts_with("RMQ_SYS_") && range.max_offset.get() > max);
                compared += 1;
            }
        }
        assert_eq!(compared, 15);
        assert_eq!(queues.unknown_rows, 0);
        let mark = truth["rocksdb"]["consumequeue"]["CHECKPOINT_TOPIC"].as_u64().unwrap();
        assert_eq!(queues.dispatched, Some(PhysicalOffset(mark)));
        assert_eq!(Some(mark), truth["commitlogEnd"].as_u64());

        let store = Store::open(unpacked["5.3.3-rocksdb"].root(), StoreOptions::default()).unwrap();
        let log = store.log().unwrap();
        let mut reader = log.reader();
        let mut units = 0;
        for ((topic, queue_id), range) in &queues.ranges {
            let of_queue = database.queue_units(topic, *queue_id).unwrap();
            assert_eq!(
                of_queue.keys().copied().collect::<Vec<_>>(),
                (0..range.max_offset.get().cast_signed()).collect::<Vec<_>>()
            );
            for (offset, value) in of_queue {
                let at = PhysicalOffset(value.unit.physical_offset.cast_unsigned());
                let record = reader.record_at(at).unwrap().record().unwrap();
                assert_eq!((record.queue_offset, record.topic_str().as_ref()), (offset, topic.as_str()));
                assert_eq!(
                    (record.total_size().cast_signed(), record.store_timestamp),
                    (value.unit.size, value.store_timestamp)
                );
                units += 1;
            }
        }
        assert_eq!(Some(units), truth["rocksdb"]["consumequeue"]["units"].as_u64());
    }

    #[test]
    fn a_killed_broker_left_the_queues_behind_the_log_by_what_it_had_not_flushed() {
        let unpacked = unpacked();
        let truth = truth("5.3.3-rocksdb-killed");
        let database = database(&unpacked["5.3.3-rocksdb-killed"], SpecialKind::RocksDbQueues, "consumequeue");
        let queues = database.queues().unwrap();
        assert_eq!(queues.dispatched.map(PhysicalOffset::get), truth["rocksdb"]["CHECKPOINT_TOPIC"].as_u64());
        let units = database.rows("default", |_| true).unwrap().len();
        assert_eq!(Some(units as u64), truth["rocksdb"]["unitsInRocksdb"].as_u64());
        let store = Store::open(unpacked["5.3.3-rocksdb-killed"].root(), StoreOptions::default()).unwrap();
        let mut behind = 0;
        let mark = queues.dispatched.unwrap();
        let end = store.log().unwrap().scan(true, |record| {
            behind += u64::from(record.position >= mark);
            ControlFlow::Continue(())
        });
        assert_eq!((behind, Some(end.unwrap().records)), (40, truth["records"].as_u64()));
    }

    #[test]
    fn topics_groups_and_offsets_are_as_many_as_were_counted() {
        let unpacked = unpacked();
        let truth = truth("5.3.3-rocksdb");
        for folder in ["topics", "subscriptionGroups", "consumerOffsets"] {
            let database = database(&unpacked["5.3.3-rocksdb"], SpecialKind::RocksDbConfig, folder);
            for (family, rows) in truth["rocksdb"][format!("config/{folder}")].as_object().unwrap() {
                let found = database.rows(family, |_| true).unwrap();
                assert_eq!(Some(found.len() as u64), rows.as_u64(), "{folder} {family}");
                for (key, value) in found {
                    let json: Value = serde_json::from_slice(&value).unwrap();
                    assert!(json.is_object(), "{}", String::from_utf8_lossy(&key));
                }
            }
        }
        let offsets = database(&unpacked["5.3.3-rocksdb"], SpecialKind::RocksDbConfig, "consumerOffsets");
        let rows = offsets.rows("default", |_| true).unwrap();
        for (queue, progress) in truth["consumerProgress"].as_object().unwrap() {
            let (topic, queue) = queue.split_once('/').unwrap();
            let found: Vec<i64> = rows
                .iter()
                .filter(|(key, _)| key.starts_with(format!("{topic}@").as_bytes()))
                .map(|(_, value)| {
                    serde_json::from_slice::<Value>(value).unwrap()["offsetTable"][queue].as_i64().unwrap()
                })
                .collect();
            assert_eq!(found, [progress["consumer"].as_i64().unwrap()]);
        }
    }

    #[test]
    fn config_v2_holds_the_rows_that_were_counted_each_of_a_known_shape() {
        let unpacked = unpacked();
        let truth = truth("5.3.3-rocksdb-v2");
        let database = database(&unpacked["5.3.3-rocksdb-v2"], SpecialKind::RocksDbConfig, "rdb");
        let rows = database.rows("default", |_| true).unwrap();
        assert_eq!(Some(rows.len() as u64), truth["rdbRows"].as_u64());
        let mut committed = 0;
        for (key, value) in &rows {
            match V2Key::parse(key).unwrap() {
                V2Key::Offset { table: V2Table::ConsumerOffset, topic: b"TPlain", queue_id, .. } => {
                    let progress = &truth["consumerProgress"][format!("TPlain/{queue_id}")];
                    let offset = i64::from_be_bytes(value.as_slice().try_into().unwrap());
                    assert_eq!(Some(offset), progress["consumer"].as_i64());
                    committed += 1;
                }
                V2Key::Named(..) => assert!(value[0] == 1 && serde_json::from_slice::<Value>(&value[1..]).is_ok()),
                _ => {}
            }
        }
        assert_eq!(committed, 4);
    }
}
