//! `verify` on the recorded stores: nothing on healthy ones, and what their truth says on the others.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;

use mqstore_check::verify::{Level, VerifyOptions, verify};
use mqstore_check::{Finding, Outcome, Report, Severity};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::damage::{add_file, files, replace_text, write_at};
use mqstore_testkit::{STORES, golden, truth, truth_lines};

fn run(root: &Path, level: Level) -> Report {
    let store = Store::open(root, StoreOptions::default()).unwrap();
    let mut options = VerifyOptions::default();
    options.level = level;
    let mut streamed = Vec::new();
    let report = verify(&store, &options, &NoProgress, &mut |finding| streamed.push(finding.clone())).unwrap();
    assert_eq!(report.findings(), streamed, "the sink gets what the report keeps, in its order");
    report
}

fn at_least(report: &Report, severity: Severity) -> Vec<&Finding> {
    report.findings().iter().filter(|finding| finding.severity >= severity).collect()
}

/// Stores that were made sick on purpose.
const SICK: &[&str] = &["rollback-s1", "5.3.3-v6mix"];

#[test]
fn healthy_stores_are_clean_at_both_levels() {
    let mut stores = 0;
    let mut wrong = Vec::new();
    for (archive, sub, _) in STORES.iter().filter(|(archive, ..)| !SICK.contains(archive)) {
        let golden = golden(archive);
        for level in [Level::Quick, Level::Full] {
            let report = run(&golden.sub(sub), level);
            assert_eq!(report.outcome(Severity::Error), Outcome::Clean, "{archive}/{sub} {level:?}");
            assert_eq!(report.coverage.skipped, [], "{archive}/{sub} {level:?}: nothing is left out");
            for finding in at_least(&report, Severity::Warning) {
                let tail = archive.contains("killed") && finding.id == "commitlog.torn-tail";
                if !tail {
                    wrong.push(format!("{archive}/{sub} {level:?}: {}", serde_json::to_string(finding).unwrap()));
                }
            }
            assert!(report.coverage.bytes.seen > 0, "{archive}/{sub} {level:?}: nothing was read");
        }
        stores += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(stores, STORES.len() - SICK.len());
}

fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn a_rollback_beside_a_newer_log_is_told_with_its_counts() {
    let expected = &truth("rollback-s1")["expected"];
    let report = run(&golden("rollback-s1").sub("store"), Level::Full);
    let worst = at_least(&report, Severity::Warning);
    let ids: Vec<_> = worst.iter().map(|finding| finding.id).collect();
    assert_eq!(ids, ["commitlog.queue-offset-repeated", "queue.records-without-unit"]);
    let [repeated, without] = worst[..] else { panic!("two findings") };
    assert_eq!(repeated.actual, Some(expected["repeatedQueueOffsets"].to_string()));
    let queues = format!(" of {} queues ", number(&expected["queuesWithRepeatedOffsets"]));
    assert!(repeated.message.contains(&queues), "{}", repeated.message);
    assert_eq!(without.actual, Some(expected["recordsWithoutUnit"].to_string()));
    let (first, last) = (number(&expected["firstWithoutUnit"]), number(&expected["lastWithoutUnit"]));
    assert_eq!((without.location.offset, without.location.length), (Some(first), Some(last - first)));
    assert_eq!(report.outcome(Severity::Error), Outcome::Found);
}

#[test]
fn records_with_a_flag_for_ipv6_and_an_ipv4_store_host_are_told_apart_from_damage() {
    let expected = &truth("5.3.3-v6mix")["expected"]["v6FlagWithV4StoreHost"];
    let offsets: Vec<u64> = expected.as_array().unwrap().iter().map(number).collect();
    let lines = truth_lines("5.3.3-v6mix");
    // The broker's own classes stopped at the last of them, and read no record behind the first.
    let end = lines.iter().find(|line| line["k"] == "end").unwrap();
    let log_end = number(&end["pos"]) + number(&end["size"]);
    assert!(lines.iter().filter(|line| line["k"] == "rec").all(|line| number(&line["off"]) < offsets[0]));
    for level in [Level::Quick, Level::Full] {
        let report = run(&golden("5.3.3-v6mix").sub("store"), level);
        let worst = at_least(&report, Severity::Warning);
        assert!(worst.iter().all(|finding| finding.id == "commitlog.store-host-length"), "{worst:?}");
        assert_eq!(worst.iter().map(|finding| finding.location.offset.unwrap()).collect::<Vec<_>>(), offsets);
        assert_eq!(report.outcome(Severity::Error), Outcome::Found);
        let mut all = report.findings().iter();
        let cut = all.find(|finding| finding.id == "commitlog.cut-ahead").unwrap();
        assert_eq!(cut.location.offset, offsets.first().copied());
        assert_eq!(cut.location.length, Some(log_end - offsets[0]));
        assert!(cut.message.ends_with("bytes with 7 messages, 0 of which can be read"), "{}", cut.message);
    }
}

/// Adds to a number of 8 bytes that is not 0.
fn shift(bytes: &mut [u8], at: usize, by: u64) {
    let value = u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    if value != 0 {
        bytes[at..at + 8].copy_from_slice(&(value + by).to_be_bytes());
    }
}

fn size(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Moves a DLedger log, with its index and the units of its queues, behind a classic log of one file.
fn move_behind(root: &Path, divide: u64) {
    let data = root.join("dledger-n0/data");
    for file in files(&data).into_iter().rev() {
        let mut bytes = fs::read(&file).unwrap();
        let mut at = 0;
        while bytes[at..at + 4] == [0, 0, 0, 1] {
            // The entry's place, which is 0 for the first, the record's, and that of the record's prepared one.
            let place = u64::from_be_bytes(bytes[at + 24..at + 32].try_into().unwrap()) + divide;
            bytes[at + 24..at + 32].copy_from_slice(&place.to_be_bytes());
            shift(&mut bytes, at + 48 + 28, divide);
            shift(&mut bytes, at + 48 + 76, divide);
            at += size(&bytes, at + 4);
        }
        let base: u64 = file.file_name().unwrap().to_str().unwrap().parse().unwrap();
        fs::write(data.join(format!("{:020}", base + divide)), bytes).unwrap();
        fs::remove_file(file).unwrap();
    }
    let index = root.join("dledger-n0/index/00000000000000000000");
    let mut units = fs::read(&index).unwrap();
    for at in (0..units.len()).step_by(32).take_while(|at| *at < 300 * 32) {
        if size(&units, at) == 1 {
            let place = u64::from_be_bytes(units[at + 4..at + 12].try_into().unwrap()) + divide;
            units[at + 4..at + 12].copy_from_slice(&place.to_be_bytes());
        }
    }
    fs::write(index, units).unwrap();
    for queue in files(&root.join("consumequeue")) {
        let mut units = fs::read(&queue).unwrap();
        for at in (0..units.len()).step_by(20) {
            shift(&mut units, at, divide);
        }
        fs::write(queue, units).unwrap();
    }
}

#[test]
fn a_classic_log_that_dledger_goes_on_with_is_one_sound_log() {
    let (classic, entries) = (golden("5.3.3-ipv6"), golden("5.3.3-dledger"));
    let (from, root) = (classic.root(), entries.root());
    let mut log = fs::read(from.join("commitlog/00000000000000000000")).unwrap();
    let divide = log.len() as u64;
    move_behind(&root, divide);
    // The last classic file is closed with a blank.
    let mut end = 0;
    while size(&log, end) != 0 {
        end += size(&log, end);
    }
    let rest = u32::try_from(log.len() - end).unwrap();
    log[end..end + 4].copy_from_slice(&rest.to_be_bytes());
    log[end + 4..end + 8].copy_from_slice(&[0xCB, 0xD4, 0x31, 0x94]);
    add_file(&root.join("commitlog/00000000000000000000"), &log);
    for queue in files(&from.join("consumequeue")) {
        add_file(&root.join(queue.strip_prefix(&from).unwrap()), &fs::read(&queue).unwrap());
    }
    fs::remove_dir_all(root.join("index")).unwrap();
    let topics = root.join("config/topics.json");
    replace_text(&topics, "\"topicConfigTable\":{", "\"topicConfigTable\":{\"TSix\":{\"topicName\":\"TSix\"},");
    for level in [Level::Quick, Level::Full] {
        let report = run(&root, level);
        let worst = at_least(&report, Severity::Warning);
        assert!(worst.is_empty(), "{worst:?}");
        assert_eq!((report.coverage.records, report.outcome(Severity::Error)), (Some(28 + 271), Outcome::Clean));
    }
    // A unit of each part that leads nowhere is told: the log is read across the divide.
    write_at(&root.join("consumequeue/TSix/0/00000000000000000000"), 0, &1u64.to_be_bytes());
    write_at(&root.join("consumequeue/TPlain/0/00000000000000000000"), 20, &(divide + 1).to_be_bytes());
    let report = run(&root, Level::Full);
    let offsets = report.findings().iter().filter(|finding| finding.id == "queue.unit-offset");
    assert_eq!(offsets.count(), 2);
}

/// Flips a bit in each file of a folder, `step` bytes apart.
fn flip(dir: &std::path::Path, step: usize) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            flip(&entry.path(), step);
        } else {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            bytes.iter_mut().skip(step / 3).step_by(step).filter(|byte| **byte != 0).for_each(|byte| *byte ^= 4);
            std::fs::write(entry.path(), bytes).unwrap();
        }
    }
}

#[test]
fn the_report_is_the_same_to_the_byte_with_any_number_of_threads() {
    for (archive, damaged) in [
        ("4.3.2-clean", false),
        ("5.3.3-killed", false),
        ("rollback-s1", false),
        ("3.5.8-clean", true),
        ("4.3.2-clean", true),
        ("5.3.3-clean", true),
    ] {
        let golden = golden(archive);
        let (.., sub, _) = STORES.iter().find(|(name, ..)| *name == archive).unwrap();
        let root = golden.sub(sub);
        if damaged {
            for folder in ["commitlog", "consumequeue", "index"] {
                flip(&root.join(folder), 7_001);
            }
        }
        let report = |jobs| {
            let store = Store::open(&root, StoreOptions::default()).unwrap();
            let mut options = VerifyOptions::default();
            options.jobs = jobs;
            let report = verify(&store, &options, &NoProgress, &mut |_| {}).unwrap();
            assert!(!damaged || report.counts().error > 50, "{:?}", report.counts());
            serde_json::to_string(&report).unwrap()
        };
        let one = report(1);
        for jobs in [2, 7] {
            assert!(report(jobs) == one, "{archive}, damaged: {damaged}, {jobs} threads");
        }
    }
}
