//! Snapshots and comparisons of recorded and of built pairs, against what the brokers' own truth says of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "diff_pairs/built.rs"]
mod built;
#[path = "diff_pairs/merge.rs"]
mod merge;
#[path = "diff_pairs/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mqstore_check::diff::{Ahead, DiffOptions, DiffReport, How, Limits, Relation, Side, Which, diff};
use mqstore_check::snapshot::{self, DigestScope, GRAIN, Snapshot, SnapshotOptions};
use mqstore_check::{Outcome, Severity};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Golden, STORES, damage, fingerprint, golden, truth, truth_lines};
use serde_json::Value;

fn open(root: &Path) -> Store {
    Store::open(root, StoreOptions::default()).unwrap()
}

fn take(root: &Path) -> Snapshot {
    snapshot::take(&open(root), &SnapshotOptions::default(), &NoProgress).unwrap()
}

/// A snapshot that has been to a file and back.
fn carried(root: &Path) -> Snapshot {
    let mut bytes = Vec::new();
    take(root).to_writer(&mut bytes).unwrap();
    Snapshot::from_reader(zstd::encode_all(bytes.as_slice(), 3).unwrap().as_slice()).unwrap()
}

fn options() -> DiffOptions {
    DiffOptions::default()
}

fn stores(a: &Path, b: &Path, options: &DiffOptions) -> DiffReport {
    let (a, b) = (open(a), open(b));
    diff(&Side::store(&a), &Side::store(&b), options, &NoProgress).unwrap()
}

fn snapshots(a: &Path, b: &Path, options: &DiffOptions) -> DiffReport {
    diff(&Side::Snapshot(&carried(a)), &Side::Snapshot(&carried(b)), options, &NoProgress).unwrap()
}

fn mixed(a: &Path, b: &Path, options: &DiffOptions) -> [DiffReport; 2] {
    let (store_a, store_b) = (open(a), open(b));
    let (snapshot_a, snapshot_b) = (carried(a), carried(b));
    [
        diff(&Side::store(&store_a), &Side::Snapshot(&snapshot_b), options, &NoProgress).unwrap(),
        diff(&Side::Snapshot(&snapshot_a), &Side::store(&store_b), options, &NoProgress).unwrap(),
    ]
}

fn ids(report: &DiffReport, at_least: Severity) -> Vec<&'static str> {
    let findings = report.report.findings().iter().filter(|finding| finding.severity >= at_least);
    let mut ids: Vec<_> = findings.map(|finding| finding.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// End of the log, number of records and store time of the last, as the broker's own classes read them.
fn log_truth(name: &str) -> (u64, Vec<(u64, i64)>) {
    let records: Vec<_> = truth_lines(name).into_iter().filter(|line| line["k"] == "rec").collect();
    let last = records.last().unwrap();
    let end = last["physicalOffset"].as_u64().unwrap() + last["storeSize"].as_u64().unwrap();
    let place = |r: &Value| (r["physicalOffset"].as_u64().unwrap(), r["storeTimestamp"].as_i64().unwrap());
    (end, records.iter().map(place).collect())
}

fn pair(name: &str) -> (Golden, PathBuf, PathBuf) {
    let golden = golden(name);
    let (master, slave) = (golden.sub("master/store"), golden.sub("slave/store"));
    (golden, master, slave)
}

#[test]
fn recorded_pairs_are_as_far_apart_as_the_brokers_classes_say() {
    for name in ["4.3.2-pair", "5.3.3-pair"] {
        let (_golden, master, slave) = pair(name);
        let (master_end, master_records) = log_truth(&format!("{name}.master"));
        let (slave_end, slave_records) = log_truth(&format!("{name}.slave"));
        let missing = master_records.iter().filter(|(at, _)| *at >= slave_end).count() as u64;
        let ms = u64::try_from(master_records.last().unwrap().1 - slave_records.last().unwrap().1).unwrap();
        let common = (slave_records[0].0, slave_end);
        for report in [stores(&master, &slave, &options()), snapshots(&master, &slave, &options())]
            .into_iter()
            .chain(mixed(&master, &slave, &options()))
        {
            let log = &report.commitlog;
            assert_eq!(log.ahead, Ahead::A, "{name}");
            assert_eq!((log.a.max_offset, log.b.max_offset), (master_end, slave_end), "{name}");
            assert_eq!(log.lag_bytes, master_end - slave_end, "{name}");
            assert_eq!((log.lag_messages, log.lag_ms), (Some(missing), Some(ms)), "{name}");
            assert!(log.lag_messages_exact, "{name}");
            assert_eq!(log.divergence, None, "{name}");
            let range = log.common.unwrap();
            assert_eq!((range.from, range.to), common, "{name}");
            assert_eq!(report.outcome(), Outcome::Found, "without limits any lag counts");
            assert_eq!(ids(&report, Severity::Error), [] as [&str; 0], "{name}");
        }
        let by_bytes = stores(&master, &slave, &options());
        assert_eq!(
            (by_bytes.commitlog.compared.how, by_bytes.commitlog.compared.bytes),
            (How::Bytes, common.1 - common.0)
        );
        // Of two snapshots, what the last thousand records do not reach stays unproven, and blanks.
        let by_digests = snapshots(&master, &slave, &options());
        assert_eq!(by_digests.commitlog.compared.how, How::Digests);
        assert!(by_digests.commitlog.compared.bytes + GRAIN + 2000 > common.1 - common.0, "{:?}", by_digests.commitlog);
    }
}

#[test]
fn queues_and_units_of_recorded_pairs_are_those_of_the_truth() {
    for name in ["4.3.2-pair", "5.3.3-pair"] {
        let (_golden, master, slave) = pair(name);
        let report = stores(&master, &slave, &options());
        let ends = |side: &str| {
            let mut ends = BTreeMap::<(String, u64), u64>::new();
            for line in truth_lines(&format!("{name}.{side}")).iter().filter(|line| line["k"] == "cq") {
                let key =
                    (line["topic"].as_str().unwrap().to_owned(), line["queue"].as_str().unwrap().parse().unwrap());
                let end = ends.entry(key).or_default();
                let last = line["units"].as_array().unwrap().last();
                *end = (*end).max(last.map_or(0, |unit| unit[0].as_u64().unwrap() + 1));
            }
            ends
        };
        let (of_master, of_slave) = (ends("master"), ends("slave"));
        assert!(of_master.len() >= 28);
        assert_eq!(report.queues.len(), of_master.len());
        for row in &report.queues {
            let key = (row.topic.clone(), u64::from(row.queue_id));
            let max = |span: Option<mqstore_check::diff::QueueSpan>| span.map(|span| span.max_offset);
            assert_eq!(max(row.a), of_master.get(&key).copied(), "{name} {key:?}");
            assert_eq!(max(row.b), of_slave.get(&key).copied(), "{name} {key:?}");
            assert_eq!(row.lag, of_master[&key] - of_slave.get(&key).copied().unwrap_or(0), "{name} {key:?}");
            assert_eq!(row.first_difference, None, "{name} {key:?}");
        }
        assert!(report.compared_units > 900, "{name}: {}", report.compared_units);
        assert!(!ids(&report, Severity::Info).contains(&"pair.queue-missing"), "every gap lies behind the slave's log");
    }
}

#[test]
fn offsets_of_a_recorded_pair_are_those_in_the_files_and_the_master_wins() {
    let (_golden, master, slave) = pair("4.3.2-pair");
    let report = stores(&master, &slave, &options());
    let shown: Vec<_> = report
        .consumer_offsets
        .iter()
        .map(|d| (d.topic.as_str(), d.group.as_str(), d.queue_id, d.a, d.b, d.winner, d.replayed, d.skipped))
        .collect();
    // Read from the two files by eye: the slave has no entry of GID_Gold_late, and 60 where the master has 150.
    let late = |queue, offset| ("GoldEight", "GID_Gold_late", queue, Some(offset), None, Which::A, 0, 0);
    let mut expected = vec![("GoldOne", "GID_Gold_part", 0, Some(150), Some(60), Which::A, 0, 90)];
    expected.extend([
        late(4, 69),
        late(7, 61),
        late(5, 58),
        late(3, 55),
        late(1, 54),
        late(0, 33),
        late(2, 0),
        late(6, 0),
    ]);
    assert_eq!(shown, expected);
    let levels: Vec<_> = report.delay_offsets.iter().map(|d| (d.level, d.a, d.b, d.replayed)).collect();
    let level = |level, a, b| (level, Some(a), Some(b), 0);
    assert_eq!(
        levels,
        [level(1, 6, 4), level(2, 20, 7), level(3, 13, 5), level(10, 0, 0), level(14, 0, 0), level(18, 0, 0)]
    );
    assert!(ids(&report, Severity::Info).contains(&"pair.delay-compact"));

    // The other way round the roles are told by what only a slave writes, and nothing else changes.
    let swapped = stores(&slave, &master, &options());
    assert_eq!((swapped.relation.first, report.relation.first), (Which::B, Which::A));
    assert!(report.relation.how.contains("checkpoint"), "{}", report.relation.how);
    assert_eq!(swapped.consumer_offsets[0].winner, Which::B);
    assert_eq!(swapped.commitlog.ahead, Ahead::B);
}

#[test]
fn the_slave_of_5_3_3_lags_10094_bytes_and_its_lost_topics_are_explained() {
    let (golden_master, golden_slave) = (golden("5.3.3-ms-master"), golden("5.3.3-ms-slave"));
    let (master, slave) = (golden_master.root(), golden_slave.root());
    let (of_master, of_slave) = (truth("5.3.3-ms-master"), truth("5.3.3-ms-slave"));
    let limits = Limits { max_lag_bytes: Some(10_094), ..Limits::default() };
    let within = DiffOptions::default();
    let within = {
        let mut o = within;
        o.limits = limits;
        o
    };
    for report in [stores(&master, &slave, &within), snapshots(&master, &slave, &within)] {
        let log = &report.commitlog;
        assert_eq!(log.a.max_offset, of_master["commitlogEnd"].as_u64().unwrap());
        assert_eq!(log.b.max_offset, of_slave["commitlogEnd"].as_u64().unwrap());
        assert_eq!((log.lag_bytes, log.lag_messages), (10_094, Some(30)));
        let records = of_master["records"].as_u64().unwrap() - of_slave["records"].as_u64().unwrap();
        assert_eq!(log.lag_messages, Some(records));
        assert_eq!(report.outcome(), Outcome::Clean, "{:#?}", report.report.findings());
        assert!(ids(&report, Severity::Info).contains(&"pair.slave-topics-partial"));
        let topics: Vec<_> = report.config.iter().filter(|diff| diff.file == "topics.json").collect();
        assert_eq!(topics.len(), 18);
        assert!(topics.iter().all(|diff| diff.explained.is_some() && diff.a.is_some() && diff.b.is_none()));
        for row in &report.queues {
            let max = |t: &Value| t["queues"][&row.topic][row.queue_id.to_string()]["max"].as_u64();
            let ours = |span: Option<mqstore_check::diff::QueueSpan>| span.map(|span| span.max_offset);
            assert_eq!((ours(row.a), ours(row.b)), (max(&of_master), max(&of_slave)), "{} {}", row.topic, row.queue_id);
        }
        assert!(report.verdict.starts_with("slave (b) is 10094 bytes / 30 messages / "), "{}", report.verdict);
    }
    let mut tighter = within.clone();
    tighter.limits.max_lag_bytes = Some(10_093);
    let report = stores(&master, &slave, &tighter);
    assert_eq!((report.outcome(), ids(&report, Severity::Warning)), (Outcome::Found, vec!["pair.behind"]));
    tighter.limits = Limits { max_lag_messages: Some(29), ..Limits::default() };
    assert_eq!(stores(&master, &slave, &tighter).outcome(), Outcome::Found);
}

#[test]
fn every_recorded_store_is_the_same_as_itself_and_as_its_snapshot_and_stays_untouched() {
    let mut unpacked: Option<(&str, Golden)> = None;
    let mut compared = 0;
    for (archive, root, _) in STORES {
        let golden = match unpacked.take() {
            Some((name, golden)) if name == *archive => golden,
            _ => golden(archive),
        };
        let root = golden.sub(root);
        let before = fingerprint(&root);
        let store = open(&root);
        let taken = carried(&root);
        for (a, b) in [
            (Side::store(&store), Side::store(&store)),
            (Side::store(&store), Side::Snapshot(&taken)),
            (Side::Snapshot(&taken), Side::store(&store)),
            (Side::Snapshot(&taken), Side::Snapshot(&taken)),
        ] {
            for relation in [Relation::Auto, Relation::BeforeAfter] {
                let mut options = options();
                options.relation = relation;
                let report = diff(&a, &b, &options, &NoProgress).unwrap();
                assert_eq!(ids(&report, Severity::Warning), [] as [&str; 0], "{archive}");
                // What is not read cannot be said to be the same.
                let unread = report.report.coverage.skipped.iter().any(|skipped| !skipped.asked);
                assert_eq!(report.outcome() == Outcome::Clean, !unread, "{archive}: {:?}", report.report.coverage);
                assert_eq!(unread, !taken.unread.is_empty(), "{archive}: {:?}", report.report.coverage);
                assert_eq!((report.moved.a, report.moved.b), (false, false));
                compared += usize::from(!unread);
            }
        }
        positions_are_those_of_the_core(archive, &store, &taken);
        assert_eq!(fingerprint(&root), before, "{archive}");
        unpacked = Some((archive, golden));
    }
    assert!(compared >= 25 * 8, "{compared}");
}

/// Ends found by halving are those found unit by unit.
fn positions_are_those_of_the_core(archive: &str, store: &Store, taken: &Snapshot) {
    let log_min = store.commitlog().min_offset();
    assert_eq!(taken.log.max_offset, store.commitlog().end().unwrap().offset.get(), "{archive}");
    for queue in store.consumequeues().unwrap() {
        let range = queue.range(log_min).unwrap();
        let queue_id = i32::try_from(queue.queue_id()).unwrap();
        let ours = taken.queue(queue.topic(), queue_id).unwrap();
        let place = format!("{archive} {} {queue_id}", queue.topic());
        assert_eq!(ours.max_offset, range.max_offset.get(), "{place}");
        assert_eq!(ours.min_offset, range.min_offset.get().max(ours.first_offset), "{place}");
        let end = ours.last.map(|unit| unit.physical_end());
        assert_eq!(end, range.max_physical_offset.map(mqstore_core::PhysicalOffset::get), "{place}");
    }
}

/// Where the record holding `offset` begins, by the truth lines.
fn record_start(records: &[(u64, i64)], offset: u64) -> u64 {
    records.iter().rev().map(|(at, _)| *at).find(|at| *at <= offset).unwrap()
}

#[test]
fn a_flipped_byte_is_found_exactly_between_stores_and_to_its_grain_between_snapshots() {
    let (_golden, master, slave) = pair("4.3.2-pair");
    let (_, records) = log_truth("4.3.2-pair.slave");
    let file = slave.join("commitlog/00000000000000000000");
    let original = fs::read(&file).unwrap();
    // In a body, in a body checksum, in a total size, in a magic code, and in the first and the last record.
    let (first, some, last) = (records[0].0, records[500].0, records.last().unwrap().0);
    for offset in [first + 100, some + 90, some + 9, some + 3, some + 4, some + 30, last - 5] {
        damage::flip(&file, offset, 3);
        let report = stores(&master, &slave, &options());
        let found = report.commitlog.divergence.as_ref().unwrap_or_else(|| panic!("{offset}: {:#?}", report.commitlog));
        assert_eq!((found.physical_offset, found.exact), (offset, true));
        let start = record_start(&records, offset);
        assert_eq!(found.record_offset, Some(start), "{offset}");
        let before = records.iter().map(|(at, _)| *at).rfind(|at| *at < start);
        assert_eq!(found.last_common.as_ref().map(|shown| shown.physical_offset), before, "{offset}");
        assert_eq!(found.a.as_ref().unwrap().problem, None, "the master's record is sound");
        let next = records.iter().map(|(at, _)| *at).find(|at| *at > start);
        assert_eq!(found.equal_again_from, next, "{offset}");
        assert_eq!(report.outcome(), Outcome::Found);
        assert!(ids(&report, Severity::Error).contains(&"pair.diverged"));

        for report in [snapshots(&master, &slave, &options())].into_iter().chain(mixed(&master, &slave, &options())) {
            let found =
                report.commitlog.divergence.as_ref().unwrap_or_else(|| panic!("{offset}: {:#?}", report.commitlog));
            let chunk = found.chunk.unwrap();
            assert!(chunk.from <= offset && offset < chunk.to, "{offset} is not in {chunk:?}");
            assert!(chunk.to - chunk.from <= GRAIN && !found.exact);
            assert_eq!(report.outcome(), Outcome::Found);
        }
        fs::write(&file, &original).unwrap();
    }
    // A broker cuts a bad last record and gets it again: that is lag.
    damage::flip(&file, last + 95, 3);
    let log = stores(&master, &slave, &options()).commitlog;
    assert_eq!((log.b.max_offset, log.divergence), (last, None));
}

#[test]
fn garbage_in_blanks_and_behind_the_end_does_not_count_but_a_blanks_header_does() {
    let (_golden, master, slave) = pair("5.3.3-pair");
    // A blank of 136 bytes closes the file that both have, by the truth lines of the slave.
    let blank: Vec<_> = truth_lines("5.3.3-pair.slave").into_iter().filter(|line| line["k"] == "blank").collect();
    assert_eq!((blank[0]["off"].as_u64(), blank[0]["size"].as_u64()), (Some(2_097_016), Some(136)));
    let file = slave.join("commitlog/00000000000001048576");
    let before = stores(&master, &slave, &options());
    damage::write_at(&file, 1_048_440 + 8, &[0x5A; 128]);
    // Less than a record's header, behind the slave's last record.
    damage::write_at(&slave.join("commitlog/00000000000002097152"), 33_358, &[0, 0, 1, 0, 0xDA]);
    for report in [stores(&master, &slave, &options()), snapshots(&master, &slave, &options())] {
        assert_eq!(report.commitlog.divergence, None);
        assert_eq!(report.commitlog.lag_bytes, before.commitlog.lag_bytes);
        assert_eq!(ids(&report, Severity::Error), [] as [&str; 0]);
    }
    damage::flip(&file, 1_048_440 + 2, 0);
    let report = stores(&master, &slave, &options());
    assert_eq!(report.commitlog.divergence.unwrap().physical_offset, 2_097_016 + 2);
}

#[test]
fn before_and_after_an_upgrade_nothing_is_lost_and_the_other_way_round_everything_newer_is() {
    let golden = golden("3.5.8-upgraded-4.3.2");
    let home = |path: &str| {
        let mut options = StoreOptions::default();
        options.home = Some(golden.sub(path));
        options
    };
    let before = Store::open(golden.sub("backup-t0/store"), home("backup-t0/home")).unwrap();
    let after = Store::open(golden.sub("store"), home("home")).unwrap();
    let mut options = options();
    options.relation = Relation::BeforeAfter;
    let snapshot = snapshot::take(&before, &SnapshotOptions::default(), &NoProgress).unwrap();
    for side in [Side::store(&before), Side::Snapshot(&snapshot)] {
        let report = diff(&side, &Side::store(&after), &options, &NoProgress).unwrap();
        assert_eq!(ids(&report, Severity::Error), [] as [&str; 0], "{:#?}", report.report.findings());
        assert_eq!(report.commitlog.divergence, None);
        let (end_before, _) = log_truth("3.5.8-upgraded-4.3.2.backup-t0");
        let (end_after, records) = log_truth("3.5.8-upgraded-4.3.2");
        assert_eq!((report.commitlog.a.max_offset, report.commitlog.b.max_offset), (end_before, end_after));
        let more = records.iter().filter(|(at, _)| *at >= end_before).count() as u64;
        assert_eq!(report.commitlog.lag_messages, Some(more));
        assert_eq!(report.commitlog.compared.bytes, end_before);
    }
    let report = diff(&Side::store(&after), &Side::store(&before), &options, &NoProgress).unwrap();
    let found = ids(&report, Severity::Error);
    for id in ["pair.log-lost", "pair.queue-lost"] {
        assert!(found.contains(&id), "{found:?}");
    }
    let restored = mqstore_testkit::golden("rollback-s1");
    let report = diff(&Side::store(&after), &Side::store(&open(&restored.root())), &options, &NoProgress).unwrap();
    assert_eq!(report.outcome(), Outcome::Found, "a rollback that lost queue entries: {}", report.verdict);
}

#[test]
fn a_snapshot_names_the_broker_and_holds_what_was_asked_for() {
    let (_golden, master, _slave) = pair("5.3.3-pair");
    let store = open(&master);
    let with = |digest, chunk| {
        let mut options = SnapshotOptions::default();
        (options.digest, options.chunk) = (digest, chunk);
        snapshot::take(&store, &options, &NoProgress).unwrap()
    };
    let quick = with(DigestScope::Last(2), 16 << 20);
    assert_eq!(
        (quick.identity.cluster.as_deref(), quick.identity.broker.as_deref()),
        (Some("LabCluster"), Some("broker-a"))
    );
    let digested: Vec<_> = quick.log.files.iter().map(|file| file.digest.is_some()).collect();
    assert_eq!(digested, [false, true, true]);
    let all = with(DigestScope::All, 128 << 10);
    assert!(all.log.files.iter().all(|file| file.digest.is_some()));
    let records: u64 = all.log.files.iter().filter_map(|file| file.records).sum();
    assert_eq!(records, truth("5.3.3-pair")["counts"]["master"]["rec"].as_u64().unwrap());
    assert_eq!(all.log.chunks.iter().map(|chunk| chunk.records).sum::<u64>(), records);
    assert_eq!(all.log.tail.iter().map(|chunk| chunk.records).sum::<u64>(), records);
    assert!(all.log.chunks.iter().all(|chunk| chunk.to - chunk.from <= 128 << 10 && chunk.from % (128 << 10) == 0));
    let mut none = with(DigestScope::None, 16 << 20);
    assert!(none.log.chunks.is_empty() && none.log.max_offset == all.log.max_offset);
    // Then only the last records can be compared; without them there is no verdict, and that is said.
    let report = diff(&Side::Snapshot(&none), &Side::Snapshot(&none), &options(), &NoProgress).unwrap();
    let behind = none.log.max_offset - none.log.recent[0].physical_offset;
    assert_eq!((report.outcome(), report.commitlog.compared.bytes), (Outcome::Clean, behind));
    none.log.recent.clear();
    let report = diff(&Side::Snapshot(&none), &Side::Snapshot(&none), &options(), &NoProgress).unwrap();
    assert_eq!(report.outcome(), Outcome::NoVerdict);
}

#[test]
fn the_lag_between_snapshots_is_estimated_from_grains_when_it_is_long() {
    let (_golden, master, slave) = pair("4.3.2-pair");
    let mut options = SnapshotOptions::default();
    options.recent = 10;
    let take = |root: &Path| snapshot::take(&open(root), &options, &NoProgress).unwrap();
    let (a, b) = (take(&master), take(&slave));
    let report = diff(&Side::Snapshot(&a), &Side::Snapshot(&b), &self::options(), &NoProgress).unwrap();
    assert!(!report.commitlog.lag_messages_exact);
    let estimate = report.commitlog.lag_messages.unwrap();
    assert!(estimate.abs_diff(1939 - 1025) < 60, "{estimate}");
}
