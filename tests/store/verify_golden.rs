//! `verify` on the recorded stores: nothing on healthy ones, and what their truth says on the others.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use mqstore_check::verify::{Level, VerifyOptions, verify};
use mqstore_check::{Finding, Outcome, Report, Severity};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{STORES, golden, truth, truth_lines};

fn run(root: &std::path::Path, level: Level) -> Report {
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
