//! What `boot` predicts, against what real brokers did.
//!
//! `testdata/boot-outcomes.json` holds every start that was recorded: a fault, a release, a kind of exit, and what was
//! seen. Each fault is put into a fresh copy of the store that was used, the start is predicted, and outcome, flags, log
//! end, queues, deleted files and keys found are compared. What cannot be compared is named here with its reason.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mqstore_check::boot::{BootError, BootFlag, BootOptions, BootPrediction, Exit, QueueState, boot};
use mqstore_core::progress::NoProgress;
use mqstore_core::release::Release;
use mqstore_core::release::conf::BrokerConf;
use mqstore_testkit::damage::files;
use mqstore_testkit::faults::{FaultyStore, LogRecord};
use mqstore_testkit::{GOLDEN, STORES, fingerprint, golden, mutate, testdata, truth};
use serde_json::Value;

/// Starts in the file.
const RECORDED: usize = 527;
/// Starts that are replayed; the rest is in [`NOT_REPLAYED`].
const REPLAYED: usize = 521;
/// Of those, the ones that are predicted in every detail. May only rise.
const RIGHT: usize = 521;

/// Faults that bytes on disk do not make, with the reason.
const NOT_REPLAYED: &[(&str, &str)] = &[
    ("t1_kill9_abort_kept", "where the scan starts depends on the checkpoint that the killed broker wrote last"),
    (
        "t1_crash_lagging_cq_abort_kept",
        "where the scan starts depends on the checkpoint that the killed broker wrote last",
    ),
];

/// Flags that were recorded for something that the fault or the broker did at another time than the start: fault and
/// release, exit (empty: both), the flag, the reason.
const NOT_OF_THE_START: &[(&str, &str, BootFlag, &str)] = &[
    (
        "cq_only_empty_last_file_kept",
        "",
        BootFlag::LosesIndex,
        "the fault removes the first log file as expiry does: its keys were lost before the start",
    ),
    (
        "send_cl_flip_body_second_last_file 3.5.8",
        "clean",
        BootFlag::WrongMessages,
        "delayed messages came due after the start and were written under units that still point behind the end",
    ),
];

/// Bytes that a broker appends itself until it is looked at: delayed messages that come due.
const APPENDED_AT_MOST: u64 = 1800;
/// Every sixtieth key of three thousand was looked up.
const KEYS: std::ops::Range<usize> = 0..50;

struct Recorded<'a> {
    fault: &'a str,
    release: &'a str,
    exit: &'a str,
    details: &'a Value,
}

impl Recorded<'_> {
    fn is(&self, fault: &str, exit: &str) -> bool {
        let named = format!("{} {}", self.fault, self.release);
        (self.fault == fault || named == fault) && (exit.is_empty() || self.exit == exit)
    }

    /// What differs between this start and the prediction; nothing if all is right.
    fn differences(&self, predicted: &BootPrediction, records: &[LogRecord]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut expect = |what: &str, predicted: String, seen: String| {
            if predicted != seen {
                wrong.push(format!("{what} predicted {predicted}, seen {seen}"));
            }
        };
        expect("flags", format!("{:?}", self.predicted_flags(predicted)), format!("{:?}", self.flags()));
        if let Some(ends) = self.details["log_end"].as_array() {
            let (before, after) = (ends[0].as_u64().unwrap(), ends[1].as_u64().unwrap());
            // Of the stores that a killed broker went on with, only the beginning is known.
            if !self.fault.starts_with("t1_") {
                expect("old log end", predicted.log.end_before.to_string(), before.to_string());
                let appended = after.checked_sub(predicted.log.end_after).filter(|n| *n <= APPENDED_AT_MOST);
                expect("log end", format!("{:?}", appended.map(|_| after)), format!("{:?}", Some(after)));
            }
        }
        if let Some(seen) = self.details["queue"]["after"].as_array() {
            let after = queue(predicted, "TopicA", 1);
            expect("TopicA/1", format!("{after:?}"), format!("{:?}", state(seen)));
        }
        for (name, seen) in self.details["other_queues_readable"].as_object().into_iter().flatten() {
            let (topic, queue_id) = name.split_once('/').unwrap();
            // A delayed message that was written where old units still point.
            if self.is("send_cl_flip_body_second_last_file 3.5.8", "clean") && topic == "TopicB" {
                continue;
            }
            let after = queue(predicted, topic, queue_id.parse().unwrap());
            expect(name, after.readable.to_string(), seen[1].to_string());
        }
        if !self.fault.starts_with("send_") {
            expect("removed", format!("{:?}", self.predicted_removed(predicted)), format!("{:?}", self.removed()));
        }
        if self.fault.starts_with("t1_") || predicted.flags.contains(&BootFlag::Refuses) {
            return wrong;
        }
        let seen =
            self.details["index"].as_str().map_or(KEYS.end, |text| text.split('/').next().unwrap().parse().unwrap());
        expect("keys found", keys_found(predicted, records).to_string(), seen.to_string());
        wrong
    }

    fn flags(&self) -> Vec<&str> {
        self.details["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect()
    }

    /// The predicted flags as the record would have them.
    fn predicted_flags(&self, predicted: &BootPrediction) -> Vec<&'static str> {
        let mut flags = predicted.flags.clone();
        for (_, _, flag, _) in NOT_OF_THE_START.iter().filter(|(fault, exit, ..)| self.is(fault, exit)) {
            flags.push(*flag);
        }
        // Where the broker appended more than was cut before it was looked at, no cut was seen.
        let ends = &self.details["log_end"];
        if ends[1].as_u64() >= ends[0].as_u64() {
            flags.retain(|flag| *flag != BootFlag::Truncates);
        }
        flags.sort();
        flags.dedup();
        flags.iter().map(|flag| flag.word()).collect()
    }

    fn removed(&self) -> BTreeMap<&str, u64> {
        let removed = self.details["removed"].as_object().into_iter().flatten();
        removed.map(|(kind, count)| (kind.as_str(), count.as_u64().unwrap())).collect()
    }

    fn predicted_removed<'p>(&self, predicted: &'p BootPrediction) -> BTreeMap<&'p str, u64> {
        let mut removed = BTreeMap::new();
        // A file that was deleted and made again later shows as one of another length.
        let made_again = |path: &str| self.details["resized"].as_object().is_some_and(|files| files.contains_key(path));
        for path in predicted.files.removed.iter().filter(|path| !made_again(path)) {
            *removed.entry(path.split('/').next().unwrap()).or_default() += 1;
        }
        removed
    }
}

fn state(seen: &[Value]) -> QueueState {
    let number = |n: usize| seen[n].as_u64().unwrap();
    let mut state = QueueState::default();
    (state.min_offset, state.max_offset, state.readable) = (number(0), number(1), number(2));
    state
}

fn queue(predicted: &BootPrediction, topic: &str, queue_id: i32) -> QueueState {
    let queue = predicted.queues.iter().find(|queue| queue.topic == topic && queue.queue_id == queue_id);
    queue.and_then(|queue| queue.after).unwrap_or_default()
}

fn keys_found(predicted: &BootPrediction, records: &[LogRecord]) -> usize {
    let found = |n: &usize| {
        let key = format!("K{}", n * 60);
        let record = records.iter().find(|record| record.keys == key).unwrap();
        let at = record.physical_offset;
        let indexed = !predicted.unindexed.iter().any(|(from, to)| (*from..*to).contains(&at));
        at < predicted.log.end_after && indexed && record.file.exists()
    };
    KEYS.filter(found).count()
}

fn predict(store: &FaultyStore, fault: &str, release: &str) -> BootPrediction {
    let mut options = BootOptions::default();
    options.conf = Some(BrokerConf::parse(store.broker_conf(fault).as_bytes()).unwrap());
    options.home = Some(store.home());
    boot(store.root(), release.parse().unwrap(), &options, &NoProgress).unwrap()
}

/// Two refused starts, then the file that caused them is repaired: what the refusals wrote over shows in the third.
fn refused_twice(store: &FaultyStore, release: &str) -> BootPrediction {
    let topics = store.config("topics.json");
    let good = fs::read(&topics).unwrap();
    assert!(store.inject("cf_topics_torn_bad_bak"));
    for _ in 0..2 {
        let refused = predict(store, "none", release);
        assert_eq!(refused.outcome, BootFlag::Refuses);
        for name in &refused.files.rewritten {
            let file = store.root().join(name);
            fs::rename(&file, file.with_extension("json.bak")).unwrap();
            fs::write(&file, "{\n\t\"offsetTable\":{}\n}").unwrap();
        }
    }
    fs::write(&topics, good).unwrap();
    let mut third = predict(store, "none", release);
    // The store itself no longer tells that there were offsets; the refusals did.
    if third.config.iter().any(|file| file.file.ends_with("consumerOffset.json") && file.entries == 0) {
        third.flags = vec![BootFlag::LosesConfig];
    }
    third
}

fn replay(release_of: impl Fn(&str) -> bool) -> (usize, usize, Vec<String>) {
    let file = fs::read(testdata().join("boot-outcomes.json")).unwrap();
    let all: Value = serde_json::from_slice(&file).unwrap();
    let entries = all["entries"].as_array().unwrap();
    assert_eq!(entries.len(), RECORDED);
    let (mut replayed, mut right, mut wrong) = (0, 0, Vec::new());
    for entry in entries {
        let text = |name: &str| entry[name].as_str().unwrap();
        let recorded =
            Recorded { fault: text("fault"), release: text("release"), exit: text("exit"), details: &entry["details"] };
        let Recorded { fault, release, exit, .. } = recorded;
        if !release_of(release) || NOT_REPLAYED.iter().any(|(name, _)| *name == fault) {
            continue;
        }
        replayed += 1;
        let store = FaultyStore::for_release(release);
        if exit == "abort" {
            store.add_abort();
        }
        let records = store.records();
        let predicted = if fault == "cf_refused_twice_then_topics_repaired" {
            refused_twice(&store, release)
        } else {
            assert!(store.inject(fault), "{fault} is no fault that the testkit knows");
            predict(&store, fault, release)
        };
        let differences = recorded.differences(&predicted, &records);
        if differences.is_empty() {
            right += 1;
        } else {
            wrong.push(format!("{fault} {release} {exit}: {}", differences.join("; ")));
        }
    }
    (replayed, right, wrong)
}

#[test]
fn every_recorded_start_is_predicted_as_the_broker_did_it() {
    // Two halves side by side: most of the time goes into unpacking stores.
    let (three, other) = std::thread::scope(|scope| {
        let early = scope.spawn(|| replay(|release| release < "4.3.3"));
        let late = replay(|release| release >= "4.3.3");
        (early.join().unwrap(), late)
    });
    let (replayed, right) = (three.0 + other.0, three.1 + other.1);
    let wrong = [three.2, other.2].concat();
    println!("{right} right of {replayed} replayed, {RECORDED} recorded");
    assert_eq!((replayed, right), (REPLAYED, RIGHT), "{}", wrong.join("\n"));
}

/// The options that an archive's own `broker.conf` gives.
fn own_options(folder: &Path) -> BootOptions {
    let mut options = BootOptions::default();
    let conf = folder.join("broker.conf");
    if conf.exists() {
        options.conf = Some(BrokerConf::read(conf).unwrap());
    }
    options.home = Some(folder.join("home"));
    options
}

#[test]
fn a_recorded_healthy_store_starts_on_its_own_release() {
    for name in
        ["3.2.6-clean", "3.5.8-clean", "4.3.2-clean", "4.9.7-clean", "5.3.3-clean", "5.4.0-clean", "5.5.0-clean"]
    {
        let store = golden(name);
        let release: Release = name.split('-').next().unwrap().parse().unwrap();
        let predicted = boot(store.root(), release, &own_options(&store.path()), &NoProgress).unwrap();
        assert_eq!(predicted.exit, Exit::Clean, "{name}");
        assert_eq!(predicted.flags, [BootFlag::Starts], "{name}: {predicted:#?}");
        assert_eq!(predicted.log.end_after, predicted.log.end_before, "{name}");
        assert_eq!(predicted.losses.hidden.total, 0, "{name}: {:?}", predicted.losses);
    }
}

#[test]
fn a_record_that_no_release_can_read_is_cut_at_the_next_start() {
    let store = golden("5.3.3-v6mix");
    let predicted = boot(store.root(), Release::V5_3_3, &own_options(&store.path()), &NoProgress).unwrap();
    assert_eq!(predicted.outcome, BootFlag::Truncates);
    assert!(predicted.losses.cut.total > 0, "{:?}", predicted.losses);
    // The releases before IPv6 addresses cut at the first record that has one.
    let older = boot(store.root(), Release::V4_5_2, &own_options(&store.path()), &NoProgress).unwrap();
    assert!(older.log.end_after < predicted.log.end_after && older.flags.contains(&BootFlag::Truncates));
}

#[test]
fn a_prediction_without_a_home_or_for_another_kind_of_store_is_refused_by_name() {
    let store = golden("boot-base-4.3.2");
    let mut options = BootOptions::default();
    options.conf = Some(BrokerConf::parse(b"storePathRootDir=/data/rocketmq/store").unwrap());
    let error = boot(store.root(), Release::V4_3_2, &options, &NoProgress).unwrap_err();
    assert!(matches!(error, BootError::HomeNeeded { key: "storePathCommitLog", .. }), "{error}");
    options.conf = Some(BrokerConf::parse(b"storeType=defaultRocksDB").unwrap());
    let error = boot(store.root(), Release::V5_3_3, &options, &NoProgress).unwrap_err();
    assert_eq!(error.to_string(), "the start of 5.3.3 with consume queues in RocksDB is not simulated");
}

#[test]
fn the_json_has_the_words_of_the_contract() {
    let store = FaultyStore::for_release("4.3.2");
    assert!(store.inject("cq_hole_in_first_file"));
    let json = serde_json::to_value(predict(&store, "none", "4.3.2")).unwrap();
    assert_eq!(
        (&json["release"], &json["exit"], &json["outcome"]),
        (&"4.3.2".into(), &"clean".into(), &"consumer_stuck".into())
    );
    let queue =
        json["queues"].as_array().unwrap().iter().find(|q| q["topic"] == "TopicA" && q["queue_id"] == 1).unwrap();
    assert_eq!(queue["after"], serde_json::json!({"min_offset": 0, "max_offset": 831, "readable": 32}));
    assert_eq!(
        json["config"][0],
        serde_json::json!({"file": "config/topics.json", "loaded_from": "file", "entries": 9})
    );
    for key in ["removed", "created", "rewritten"] {
        assert!(json["files"][key].is_array(), "{key}");
    }
    for key in ["hidden", "cut", "redelivered", "skipped"] {
        assert!(json["losses"][key]["total"].is_u64() && json["losses"][key]["topics"].is_object(), "{key}");
    }
    assert_eq!(json["losses"]["skipped"]["topics"]["TopicA"], 831 - 32);
    let step = &json["steps"][0];
    assert!(["what", "path", "detail", "evidence"].iter().all(|key| step[*key].is_string()), "{step}");
}

/// The queues end where those of the recorded start do; what lies between there and the old end, and was not read, is lost
/// to the group.
#[test]
fn a_group_loses_what_it_had_not_read_of_a_log_that_is_cut() {
    let fault = "cl_flip_body_last_file";
    let store = FaultyStore::for_release("5.3.3");
    assert!(store.inject(fault));
    let predicted = predict(&store, fault, "5.3.3");
    assert!(predicted.flags.contains(&BootFlag::Truncates), "{:?}", predicted.flags);
    let mut expected = 0;
    // Of `consumerOffset.json`: the group stopped at 700 of queue 0, 701 of queue 1, and so on.
    for (topic, queue_id, committed) in
        [("TopicA", 0, 700), ("TopicA", 1, 701), ("TopicA", 2, 702), ("TopicA", 3, 703), ("TopicB", 0, 390)]
    {
        let found = predicted.queues.iter().find(|queue| queue.topic == topic && queue.queue_id == queue_id).unwrap();
        expected += found.before.max_offset.saturating_sub(found.after.unwrap().max_offset.max(committed));
    }
    let lost = predicted.losses.groups["GID_c"];
    assert!(expected > 0);
    assert_eq!((lost.unread_lost, lost.redelivered), (expected, 0), "{:?}", predicted.losses);
}

#[test]
fn damage_at_random_never_ends_a_prediction() {
    for seed in 0..40_u64 {
        let release = ["3.2.6", "3.5.8", "4.3.2", "4.9.7", "5.3.3", "5.5.0"][usize::try_from(seed % 6).unwrap()];
        let store = FaultyStore::for_release(if release < "4" { "3.5.8" } else { "4.3.2" });
        let all = files(&store.root());
        // Each seed breaks another few files of the store.
        for file in all.iter().skip(usize::try_from(seed % 7).unwrap()).step_by(7) {
            fs::write(file, mutate(&fs::read(file).unwrap(), seed)).unwrap();
        }
        let before = fingerprint(&store.root());
        for exit in [Exit::Clean, Exit::Abort] {
            let mut options = BootOptions::default();
            options.exit = Some(exit);
            options.conf = Some(BrokerConf::parse(store.broker_conf("none").as_bytes()).unwrap());
            options.home = Some(store.home());
            let predicted = boot(store.root(), release.parse().unwrap(), &options, &NoProgress).unwrap();
            assert_eq!(predicted.outcome, predicted.flags[0], "seed {seed}, {release}");
        }
        assert!(fingerprint(&store.root()) == before, "seed {seed}: {release} wrote to the store");
    }
}

#[test]
fn a_queue_file_with_a_name_far_beyond_is_passed_over_in_no_time() {
    let store = FaultyStore::for_release("5.3.3");
    let far = store.root().join("consumequeue/TopicA/1/09000000000000000000");
    fs::write(&far, vec![0; 4000]).unwrap();
    let predicted = predict(&store, "none", "5.3.3");
    assert_eq!(queue(&predicted, "TopicA", 1).readable, 857);
}

#[test]
fn no_store_is_written_to_and_no_release_is_too_much_for_any() {
    let roots: BTreeMap<&str, Vec<&str>> = STORES.iter().fold(BTreeMap::new(), |mut roots, (archive, root, _)| {
        roots.entry(*archive).or_insert_with(Vec::new).push(*root);
        roots
    });
    for name in GOLDEN {
        let store = golden(name);
        let before = fingerprint(&store.path());
        for root in &roots[name] {
            for release in ["3.2.6", "3.5.8", "4.3.2", "4.5.2", "4.9.2", "4.9.7", "5.1.4", "5.3.3", "5.5.0"] {
                for exit in [Exit::Clean, Exit::Abort] {
                    let mut options = BootOptions::default();
                    options.exit = Some(exit);
                    match boot(store.sub(root), release.parse().unwrap(), &options, &NoProgress) {
                        Ok(predicted) => {
                            assert!(predicted.log.end_after <= predicted.log.end_before, "{name}/{root} {release}");
                        }
                        Err(BootError::NotSimulated { .. }) => {
                            assert!(name.contains("dledger") || name.contains("rocksdb"), "{name} {release}");
                        }
                        Err(error) => panic!("{name}/{root} {release}: {error}"),
                    }
                }
            }
        }
        assert!(fingerprint(&store.path()) == before, "{name} was written to");
    }
}

/// A store of 3.5.8 that 4.3.2 went on with, set back to the backup of 3.5.8 but for its log. `with` does the rest.
fn rolled_back(with: impl Fn(&Path, &Path)) -> BootPrediction {
    let store = golden("3.5.8-upgraded-4.3.2");
    let (root, backup) = (store.sub("store"), store.sub("backup-t0"));
    with(&root, &backup.join("store"));
    let mut options = BootOptions::default();
    options.conf = Some(BrokerConf::read(store.sub("broker.conf")).unwrap());
    options.commitlog_dirs = vec![root.join("commitlog")];
    options.home = Some(backup.join("home"));
    boot(&root, Release::V3_5_8, &options, &NoProgress).unwrap()
}

fn restore(root: &Path, backup: &Path, names: &[&str]) {
    for name in names {
        let (from, to) = (backup.join(name), root.join(name));
        if to.is_dir() {
            fs::remove_dir_all(&to).unwrap();
        }
        for file in files(&from) {
            let target = to.join(file.strip_prefix(&from).unwrap());
            let target = if file == from { to.clone() } else { target };
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&file, target).unwrap();
        }
    }
}

#[test]
fn a_rollback_beside_the_newer_log_hides_what_came_after_the_backup() {
    let all = ["config", "consumequeue", "index", "checkpoint"];
    let hidden = truth("rollback-s1")["expected"]["recordsWithoutUnit"].as_u64().unwrap();

    let as_written = rolled_back(|root, backup| restore(root, backup, &all));
    assert_eq!(as_written.outcome, BootFlag::LosesQueueEntries);
    assert_eq!(as_written.losses.hidden.total, hidden);

    let with_abort = rolled_back(|root, backup| {
        restore(root, backup, &all);
        fs::write(root.join("abort"), []).unwrap();
    });
    assert_eq!(with_abort.exit, Exit::Abort);
    // Only topics that the restored topics.json does not know are out of reach.
    assert!(with_abort.losses.hidden.total < hidden / 10, "{:?}", with_abort.losses.hidden);

    let only_config = rolled_back(|root, backup| restore(root, backup, &["config"]));
    assert!(!only_config.flags.contains(&BootFlag::WrongMessages));
    assert!(only_config.losses.hidden.total < hidden / 10, "{:?}", only_config.losses.hidden);
}

/// Seen by the rehearsal: 5.3.3 offers the records behind its queues again but for the first, and the others of that queue
/// come one offset too early. They are not lost.
#[test]
fn where_a_rebuild_shifts_a_queue_one_message_is_lost() {
    let store = FaultyStore::for_release("5.3.3");
    assert!(store.inject("cp_true_and_cq_short"));
    let predicted = predict(&store, "cp_true_and_cq_short", "5.3.3");
    assert!(predicted.flags.contains(&BootFlag::WrongMessages));
    assert_eq!(predicted.losses.hidden.total, 1, "{:?}", predicted.losses);
}

/// Seen by the rehearsal on 5.5.0, with a store whose checkpoint does not yet tell what was dispatched: the store time of a
/// file's first record is compared with that of the queues, without the three seconds that older releases go back.
#[test]
fn the_abnormal_scan_of_5_5_0_starts_later_than_that_of_others() {
    let started = |fault: &str, release: &str| {
        let store = FaultyStore::for_release(release);
        store.add_abort();
        assert!(store.inject(fault));
        predict(&store, fault, release)
    };
    let flipped = "cl_flip_body_second_last_file";
    assert_eq!(started(flipped, "5.5.0").log.end_after, 1_691_420);
    assert_eq!(started(flipped, "5.3.3").log.end_after, 1_358_270);
    let short = started("cp_true_and_cq_short", "5.5.0");
    let ends = [("TopicA", 0, 323), ("TopicA", 1, 322), ("TopicA", 2, 322), ("TopicA", 3, 323), ("TopicB", 0, 134)];
    for (topic, queue_id, end) in ends {
        assert_eq!(queue(&short, topic, queue_id).max_offset, end, "{topic}/{queue_id}");
    }
}
