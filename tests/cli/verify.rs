//! `verify`: verdicts, their exit codes, and the forms of a report.

use std::fs;

use mqstore_testkit::{STORES, damage};
use serde_json::Value;

use super::{assert_snapshot, assert_snapshots, broken, mqstore, shared};

fn code(root: &std::path::Path, args: &[&str]) -> i32 {
    let mut all = vec!["verify", root.to_str().unwrap()];
    all.extend(args);
    mqstore(&all).code
}

#[test]
fn recorded_stores_are_sound_or_damaged_as_their_truth_says() {
    for (archive, root, _) in STORES {
        let expected = i32::from(["rollback-s1", "5.3.3-v6mix"].contains(archive));
        assert_eq!(code(&shared(archive).sub(root), &["--level", "full"]), expected, "{archive}");
    }
    for healthy in ["3.2.6-clean", "3.5.8-killed", "4.9.7-dledger", "5.3.3-rocksdb", "5.3.3-timer", "5.5.0-clean"] {
        assert_eq!(code(&shared(healthy).root(), &["--level", "quick"]), 0, "{healthy}");
    }
}

#[test]
fn writes_that_are_not_applied_are_named_and_leave_no_verdict() {
    let (_temp, root) = broken("5.3.3-rocksdb");
    fs::write(root.join("config/topics/000028.log"), [0; 40]).unwrap();
    let run = mqstore(&["verify", root.to_str().unwrap(), "--level", "full"]);
    assert_eq!(run.code, 3);
    let why = "config/topics: 40 bytes of its newest writes are in the write-ahead log, which is not applied";
    assert!(run.stdout.contains(why), "{}", run.stdout);
}

#[test]
fn texts_and_documents_of_sound_rolled_back_and_unreadable_stores() {
    for name in ["4.3.2-clean", "rollback-s1", "5.3.3-rocksdb", "5.3.3-v6mix"] {
        assert_snapshots(&format!("verify-{name}"), &shared(name), "store", &["verify", "STORE", "--level", "full"]);
    }
}

#[test]
fn a_stream_of_findings_ends_with_one_summary_that_carries_the_exit() {
    let run =
        mqstore(&["verify", shared("rollback-s1").root().to_str().unwrap(), "--level", "full", "--format", "ndjson"]);
    let lines = run.ndjson();
    let (summary, findings) = lines.split_last().unwrap();
    assert!(findings.iter().all(|line| line["type"] == "finding") && !findings.is_empty());
    assert_eq!((&summary["type"], &summary["exit"]["code"]), (&Value::from("summary"), &Value::from(1)));
    let errors = findings.iter().filter(|line| line["severity"] == "error").count();
    assert_eq!(summary["counts"]["error"], errors);
    assert_eq!(summary["coverage"]["records"], 2539);
}

#[test]
fn selections_and_limits_change_the_verdict_and_are_named() {
    let golden = shared("rollback-s1");
    let root = golden.root();
    let full = |args: &[&str]| {
        let mut all = vec!["--level", "full"];
        all.extend(args);
        code(&root, &all)
    };
    assert_eq!(full(&["--skip", "commitlog,queue"]), 0);
    assert_eq!(full(&["--only", "commitlog"]), 1);
    assert_eq!(full(&["--only", "checkpoint"]), 0);
    assert_eq!(full(&["--skip", "commitlog,queue", "--fail-on", "info"]), 1);
    assert_eq!(code(&root, &["--only", "nothing-of-that-name"]), 2);
    assert_eq!(code(&root, &["--sample", "0%"]), 2);
    let run = mqstore(&["verify", root.to_str().unwrap(), "--skip", "commitlog", "--format", "json"]);
    assert_eq!(run.json()["coverage"]["skipped"][0]["what"], "commitlog");
}

#[test]
fn an_archive_is_verified_as_a_store_without_log() {
    let temp = tempfile::tempdir().unwrap();
    for (name, expected) in [("4.3.2-clean", 0), ("5.3.3-clean", 0)] {
        let archive = temp.path().join(format!("{name}.tar.zst"));
        let golden = shared(name);
        let root = golden.root();
        let create = mqstore(&["backup", "create", root.to_str().unwrap(), "-o", archive.to_str().unwrap()]);
        assert_eq!(create.code, 0, "{}", create.stderr);
        let run = mqstore(&["verify", archive.to_str().unwrap(), "--level", "full"]);
        assert_eq!(run.code, expected, "{}", run.session());
        // One byte of it is another, so it is no longer a proof of anything.
        damage::flip(&archive, fs::metadata(&archive).unwrap().len() / 2, 0);
        assert_eq!(mqstore(&["verify", archive.to_str().unwrap()]).code, 1);
    }
}

#[test]
fn a_flipped_bit_of_a_body_is_found_by_full_and_named_with_its_place() {
    let (_temp, root) = broken("4.3.2-clean");
    damage::flip(&root.join("commitlog/00000000000000000000"), 500_000, 3);
    let run = mqstore(&["verify", root.to_str().unwrap(), "--level", "full"]);
    assert_eq!(run.code, 1, "{}", run.session());
    assert_snapshot("verify-flipped-body", &run.session(), &[(&root, "STORE")]);
}

#[test]
fn junit_has_a_case_per_check_and_a_failure_per_error() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("verify.xml");
    let golden = shared("rollback-s1");
    let root = golden.root();
    let run = mqstore(&[
        "verify",
        root.to_str().unwrap(),
        "--level",
        "full",
        "--junit",
        file.to_str().unwrap(),
        "--format",
        "json",
    ]);
    let xml = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{e}: {}", run.session()));
    let errors = run.json()["counts"]["error"].as_u64().unwrap();
    assert_eq!(xml.matches("<failure ").count() as u64, errors);
    assert!(xml.contains(r#"<testcase classname="mqstore.commitlog" name="commitlog.body-crc"/>"#), "{xml}");
    let inside = root.join("verify.xml");
    assert_eq!(mqstore(&["verify", root.to_str().unwrap(), "--junit", inside.to_str().unwrap()]).code, 4);
    assert!(!inside.exists());
}

#[test]
fn every_check_is_listed_with_its_page() {
    let checks = mqstore(&["verify", "--list-checks", "--format", "json"]).json();
    let checks = checks["checks"].as_array().unwrap();
    assert!(checks.len() > 40, "{}", checks.len());
    let pages = mqstore_testkit::testdata().join("../docs/findings");
    for check in checks {
        assert!(pages.join(format!("{}.md", check["id"].as_str().unwrap())).is_file(), "{check}");
    }
}
