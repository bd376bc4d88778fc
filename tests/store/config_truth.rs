//! The files under `config/` of every recorded store, against the values that the brokers' own parser and the live
//! brokers gave.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mqstore_core::format::config::consumer_offset::ConsumerOffsetTable;
use mqstore_core::format::config::fastjson::{KeyOrder, to_strict_json};
use mqstore_core::format::config::other::MetricsTable;
use mqstore_core::format::config::subscription_group::SubscriptionGroupTable;
use mqstore_core::format::config::topics::{TopicConfigTable, TopicFilterType};
use mqstore_core::format::config::{ConfigTable, TimestampSpelling};
use mqstore_core::store::config::{ConfigDir, ConfigPlace, ConfigSource, CopyState};
use mqstore_testkit::{STORES, golden, truth, truth_lines};
use serde_json::Value;

use crate::unpacked;

/// One store root of an archive, with the name of its truth lines.
type Recorded = (&'static str, &'static str, &'static str);

/// Gives each wanted store with its root.
fn each_store(wanted: impl Fn(Recorded) -> bool, mut test: impl FnMut(Recorded, &Path)) {
    let unpacked = unpacked();
    for store in STORES.iter().copied().filter(|store| wanted(*store)) {
        test(store, &unpacked[store.0].sub(store.1));
    }
}

/// The folder of 3.5.x beside a store root of the archives.
fn home_beside(root: &Path) -> Option<PathBuf> {
    let home = root.parent()?.join("home/store/config");
    home.is_dir().then_some(home)
}

#[test]
fn every_config_file_has_the_values_that_the_brokers_parser_read() {
    let mut compared = BTreeMap::<String, usize>::new();
    each_store(
        |(_, _, lines)| !lines.is_empty(),
        |(archive, _, lines), root| {
            let config = ConfigDir::new(root).with_home(home_beside(root));
            for line in truth_lines(lines).into_iter().filter(|line| line["k"] == "config") {
                let (file, json) = (line["file"].as_str().unwrap(), &line["json"]);
                let (place, folder) = if line["dir"] == 0 {
                    (ConfigPlace::Root, config.path())
                } else {
                    (ConfigPlace::Home, config.home().unwrap())
                };
                let bytes = fs::read(folder.join(file)).unwrap();
                for order in [KeyOrder::AsWritten, KeyOrder::Sorted] {
                    let strict = to_strict_json(&bytes, order).unwrap_or_else(|e| panic!("{archive} {file}: {e}"));
                    assert_eq!(serde_json::from_str::<Value>(&strict).unwrap(), *json, "{archive} {file}");
                }
                let entries = compare_table(&config, place, file, json);
                *compared.entry(file.trim_end_matches(".bak").to_owned()).or_default() += entries;
            }
        },
    );
    let least = [
        ("topics.json", 370),
        ("subscriptionGroup.json", 170),
        ("consumerOffset.json", 130),
        ("delayOffset.json", 60),
        ("transactionMetrics", 1),
    ];
    for (file, least) in least {
        assert!(compared[file] >= least, "{file}: {compared:?}");
    }
}

/// Compares a table as loaded with what the brokers' parser read; returns how many entries were compared.
fn compare_table(config: &ConfigDir, place: ConfigPlace, file: &str, json: &Value) -> usize {
    match file {
        "topics.json" => compare_topics(config.topics().at(place).unwrap().value().unwrap(), json),
        "subscriptionGroup.json" => {
            compare_groups(config.subscription_groups().at(place).unwrap().value().unwrap(), json)
        }
        "consumerOffset.json" => {
            let table = config.consumer_offsets().into_value().unwrap();
            let ours: Vec<_> = table.committed().map(|c| (c.topic, c.group, c.queue_id, c.offset)).collect();
            assert_eq!(ours, committed_in(json));
            ours.len()
        }
        "delayOffset.json" => {
            let table = config.delay_offsets().into_value().unwrap().offset_table;
            let ours: Value = table.iter().map(|(level, offset)| (level.to_string(), Value::from(*offset))).collect();
            assert_eq!(ours, json["offsetTable"]);
            table.len()
        }
        "timermetrics" | "transactionMetrics" => {
            let counts = config.load::<MetricsTable>(file).into_value().unwrap().counts;
            let entries = json.get("timingCount").or_else(|| json.get("transactionCount")).unwrap();
            assert_eq!(counts.len(), entries.as_object().unwrap().len());
            for (topic, metric) in &counts {
                assert_eq!(entries[topic]["count"], metric.count);
            }
            counts.len()
        }
        _ => 0,
    }
}

fn compare_topics(table: &TopicConfigTable, json: &Value) -> usize {
    assert_eq!(table.topics.len(), json["topicConfigTable"].as_object().unwrap().len());
    for (name, topic) in &table.topics {
        let entry = &json["topicConfigTable"][name];
        assert_eq!(topic.topic_name.as_deref(), entry["topicName"].as_str());
        assert_eq!(entry["readQueueNums"], topic.read_queue_nums);
        assert_eq!(entry["writeQueueNums"], topic.write_queue_nums);
        assert_eq!(entry["perm"], topic.perm);
        assert_eq!(entry["order"], topic.order);
        assert_eq!(entry["topicSysFlag"], topic.topic_sys_flag);
        assert_eq!(topic.topic_filter_type, TopicFilterType::SingleTag);
        assert_eq!(topic.attributes.is_some(), entry.get("attributes").is_some());
    }
    let version = table.data_version.unwrap();
    assert_eq!(json["dataVersion"]["counter"], version.counter);
    let spelled = if version.spelling == TimestampSpelling::Timestatmp { "timestatmp" } else { "timestamp" };
    assert_eq!(json["dataVersion"][spelled].as_i64(), version.timestamp);
    table.topics.len()
}

fn compare_groups(table: &SubscriptionGroupTable, json: &Value) -> usize {
    assert_eq!(table.groups.len(), json["subscriptionGroupTable"].as_object().unwrap().len());
    for (name, group) in &table.groups {
        let entry = &json["subscriptionGroupTable"][name];
        assert_eq!(entry["retryMaxTimes"], group.retry_max_times);
        assert_eq!(entry["consumeFromMinEnable"], group.consume_from_min_enable);
        assert_eq!(entry["consumeBroadcastEnable"], group.consume_broadcast_enable);
        let notify = entry.get("notifyConsumerIdsChangedEnable").and_then(Value::as_bool);
        assert_eq!(notify, group.notify_consumer_ids_changed_enable);
    }
    table.groups.len()
}

/// The offsets of a parsed `consumerOffset.json`, in the order of [`ConsumerOffsetTable::committed`].
fn committed_in(json: &Value) -> Vec<(&str, &str, i32, i64)> {
    let sorted: BTreeMap<&String, &Value> = json["offsetTable"].as_object().unwrap().iter().collect();
    let mut all = Vec::new();
    for (key, queues) in sorted {
        let (topic, group) = key.split_once('@').unwrap();
        let queues: BTreeMap<i32, i64> =
            queues.as_object().unwrap().iter().map(|(k, v)| (k.parse().unwrap(), v.as_i64().unwrap())).collect();
        all.extend(queues.into_iter().map(|(queue, offset)| (topic, group, queue, offset)));
    }
    all
}

#[test]
fn committed_offsets_are_those_that_the_live_broker_answered() {
    let mut above_zero = 0;
    // A slave and a backup are behind what the broker answered last.
    let live = |(archive, root, _): Recorded| {
        (root == "store" || root == "master/store") && truth(archive)["live"]["committed"].is_array()
    };
    each_store(live, |(archive, ..), root| {
        let truth = truth(archive);
        let table = ConfigDir::new(root).consumer_offsets().into_value().unwrap();
        for answer in truth["live"]["committed"].as_array().into_iter().flatten() {
            let key = format!("{}@{}", answer["topic"].as_str().unwrap(), answer["group"].as_str().unwrap());
            let queue = i32::try_from(answer["queue"].as_i64().unwrap()).unwrap();
            // A queue without an entry is at 0 to the broker.
            let stored = table.offset_table.get(&key).and_then(|queues| queues.get(&queue)).copied().unwrap_or(0);
            assert_eq!(answer["offset"], stored, "{archive}: {key} queue {queue}");
            above_zero += usize::from(stored > 0);
        }
    });
    assert!(above_zero >= 60, "{above_zero}");
}

#[test]
fn every_copy_in_every_store_is_good_and_known() {
    let mut databases = Vec::new();
    each_store(
        |_| true,
        |(archive, ..), root| {
            let config = ConfigDir::new(root).with_home(home_beside(root));
            for place in [ConfigPlace::Root, ConfigPlace::Home] {
                let listing = config.list(place).unwrap();
                assert_eq!(listing.unknown, [] as [&str; 0], "{archive}");
                databases.extend(listing.rocksdb.iter().map(|name| format!("{archive}/{name}")));
                for name in listing.files {
                    let Some(loaded) = config.document(place, name) else {
                        assert_eq!(name, "timercheck", "{archive}");
                        assert!(config.timercheck().unwrap().is_some());
                        continue;
                    };
                    assert_eq!(loaded.source, ConfigSource::File, "{archive} {name}");
                    assert_eq!(loaded.file.state, CopyState::Good, "{archive} {name}");
                    assert!(matches!(loaded.bak.state, CopyState::Good | CopyState::Missing), "{archive} {name}");
                    assert_eq!(loaded.tmp, None, "{archive} {name}");
                }
            }
        },
    );
    databases.sort();
    let three = ["consumerOffsets", "subscriptionGroups", "topics"];
    let mut expected: Vec<String> = three.iter().map(|name| format!("5.3.3-rocksdb/{name}")).collect();
    expected.extend(three.iter().map(|name| format!("5.3.3-rocksdb-killed/{name}")));
    expected.push("5.3.3-rocksdb-v2/rdb".to_owned());
    expected.sort();
    assert_eq!(databases, expected);
}

#[test]
fn marks_of_the_writing_release_are_found() {
    use ConfigPlace::{Home, Root};
    use TimestampSpelling::{Timestamp, Timestatmp};

    let seen = |archive: &str| {
        let golden = golden(archive);
        let config = ConfigDir::new(&golden.root()).with_home(home_beside(&golden.root()));
        let topics = config.topics();
        let version = topics.at(topics.newest()).unwrap().value().unwrap().data_version.unwrap();
        let offsets = config.consumer_offsets();
        let own_lines = offsets.copy().unwrap().facts.unwrap().numeric_keys_on_own_lines;
        let pull = offsets.value().unwrap().pull_offset_table.is_some();
        (topics.newest(), version.spelling, version.state_version.is_some(), own_lines, pull)
    };
    assert_eq!(seen("3.2.6-clean"), (Root, Timestatmp, false, Some(false), false));
    assert_eq!(seen("3.5.8-clean"), (Home, Timestatmp, false, Some(false), false));
    assert_eq!(seen("4.9.7-clean"), (Root, Timestamp, false, Some(false), false));
    assert_eq!(seen("5.3.3-clean"), (Root, Timestamp, true, Some(false), false));
    assert_eq!(seen("5.4.0-clean"), (Root, Timestamp, true, Some(true), false));
    assert_eq!(seen("5.5.0-clean"), (Root, Timestamp, true, Some(true), true));
}

#[test]
fn files_in_both_places_are_reported_with_their_counters() {
    let golden = golden("3.5.8-upgraded-4.3.2");
    let config = ConfigDir::new(&golden.root()).with_home(home_beside(&golden.root()));
    let topics = config.topics();
    assert_eq!(topics.places(), [ConfigPlace::Root, ConfigPlace::Home]);
    let [root, home] = topics.data_versions().map(Option::unwrap);
    assert!(root.counter >= home.counter, "4.3.2 went on from the copy: {root:?} {home:?}");
    assert_eq!((root.spelling, home.spelling), (TimestampSpelling::Timestamp, TimestampSpelling::Timestatmp));
    assert_eq!(topics.newest(), ConfigPlace::Root);
    assert_eq!(ConfigDir::new(&golden.root()).topics().places(), [ConfigPlace::Root]);
}

#[test]
fn lmq_offsets_are_read_from_their_own_file() {
    let golden = golden("5.3.3-lmq");
    let lmq = ConfigDir::new(&golden.root()).lmq_consumer_offsets().into_value().unwrap();
    assert_eq!(lmq.lmq_offset_table.unwrap(), BTreeMap::from([("%LMQ%a@%LMQ%ga".to_owned(), 27)]));
    assert_eq!(lmq.offset_table["TPlain@GNormal"], BTreeMap::from([(0, 5), (1, 5)]));
}

/// What 3.5.8, 4.3.2, 4.9.7 or 5.3.3 were seen to do with these damages of `consumerOffset.json` or `topics.json`. Text
/// after the end was seen to be rejected by their parser only; the last two cases are none of damage to the file.
#[test]
fn damaged_copies_are_chosen_as_real_brokers_chose() {
    type Damage = fn(&[u8]) -> Option<Vec<u8>>;
    let gone: Damage = |_| None;
    let same: Damage = |good| Some(good.to_vec());
    let torn: Damage = |good| Some(good[..good.len() / 2].to_vec());
    let empty: Damage = |_| Some(Vec::new());
    let nul: Damage = |good| Some(vec![0; good.len()]);
    let trailing_nul: Damage = |good| Some([good, &[0; 64]].concat());
    let trailing_text: Damage = |good| Some([good, b"xx"].concat());
    let braces: Damage = |_| Some(b"{}".to_vec());
    let blank: Damage = |_| Some(b"   \n".to_vec());
    let quoted: Damage = |good| Some(to_strict_json(good, KeyOrder::AsWritten).unwrap().into_bytes());
    let cases: [(Damage, Damage, ConfigSource, bool); 19] = [
        (torn, same, ConfigSource::Bak, true),
        (torn, gone, ConfigSource::None, false),
        (torn, empty, ConfigSource::None, false),
        (torn, torn, ConfigSource::Refused, false),
        (gone, same, ConfigSource::Bak, true),
        (gone, gone, ConfigSource::None, false),
        (empty, gone, ConfigSource::None, false),
        (empty, same, ConfigSource::Bak, true),
        (nul, gone, ConfigSource::None, false),
        (nul, same, ConfigSource::Bak, true),
        (nul, nul, ConfigSource::Refused, false),
        (quoted, gone, ConfigSource::File, true),
        (trailing_nul, gone, ConfigSource::File, true),
        (trailing_text, gone, ConfigSource::None, false),
        (trailing_text, same, ConfigSource::Bak, true),
        (braces, same, ConfigSource::File, false),
        (blank, same, ConfigSource::File, false),
        (same, torn, ConfigSource::File, true),
        (same, gone, ConfigSource::File, true),
    ];
    let golden = golden("boot-base-4.3.2");
    let good = fs::read(golden.root().join("config/consumerOffset.json")).unwrap();
    let entries = ConsumerOffsetTable::parse(&good).unwrap().committed().count();
    assert!(entries > 0);
    for (n, (file, bak, source, full)) in cases.into_iter().enumerate() {
        for (name, damage) in [("consumerOffset.json", file), ("consumerOffset.json.bak", bak)] {
            let path = golden.root().join("config").join(name);
            match damage(&good) {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => drop(fs::remove_file(path)),
            }
        }
        let loaded = ConfigDir::new(&golden.root()).consumer_offsets();
        assert_eq!(loaded.source, source, "case {n}");
        let found = loaded.value().map_or(0, |table| table.committed().count());
        assert_eq!(found, if full { entries } else { 0 }, "case {n}");
    }
}
