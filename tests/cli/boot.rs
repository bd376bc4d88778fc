//! `boot`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mqstore_testkit::faults::FaultyStore;
use mqstore_testkit::testdata;
use serde_json::{Value, json};

use super::{Run, assert_snapshot, broken, json_session, mqstore, shared};

fn boot(root: &Path, release: &str, more: &[&str]) -> Run {
    let mut args = vec!["boot", root.to_str().unwrap(), "--release", release];
    args.extend(more);
    mqstore(&args)
}

fn assert_snapshots(name: &str, root: &Path, release: &str, more: &[&str], folders: &[(&Path, &str)]) {
    let folders = [folders, &[(root, "STORE")]].concat();
    assert_snapshot(&format!("boot-{name}"), &boot(root, release, more).session(), &folders);
    let run = boot(root, release, &[more, &["--format=json"]].concat());
    assert_snapshot(&format!("boot-{name}-json"), &json_session(&run), &folders);
}

#[test]
fn the_store_of_a_release_starts_on_it() {
    assert_snapshots("4.3.2-clean", &shared("4.3.2-clean").root(), "4.3.2", &[], &[]);
}

#[test]
fn without_its_log_a_store_is_blind() {
    let (_temp, root) = broken("4.3.2-clean");
    fs::remove_dir_all(root.join("commitlog")).unwrap();
    assert_snapshots("no-log", &root, "4.3.2", &[], &[]);
}

#[test]
fn records_that_an_older_release_does_not_know_are_cut_off() {
    assert_snapshots("rollback", &shared("5.3.3-clean").root(), "4.9.7", &[], &[]);
}

#[test]
fn topics_in_the_home_folder_are_found_by_the_releases_that_look_there() {
    let golden = shared("3.5.8-clean");
    let (root, home) = (golden.root(), golden.sub("home"));
    let with_home = ["--home", home.to_str().unwrap()];
    assert_snapshots("3.5.8-without-home", &root, "4.3.2", &[], &[]);
    assert_snapshots("3.5.8-with-home", &root, "4.3.2", &with_home, &[(&home, "HOME")]);
    let own = boot(&root, "3.5.8", &with_home);
    assert_eq!(own.code, 0, "{}", own.stdout);
    assert!(own.stdout.starts_with("starts: 3.5.8 starts, "));
}

#[test]
fn the_document_has_the_keys_of_the_contract() {
    let json = boot(&shared("4.3.2-killed").root(), "4.3.2", &["--format=json"]).json();
    for key in ["release", "outcome", "flags", "steps", "log", "queues", "files", "config", "losses"] {
        assert!(!json[key].is_null(), "{key}");
    }
    assert_eq!((&json["schema"], &json["start_after"]), (&json!("mqstore.boot"), &json!("abort")));
    assert_eq!(json["exit"]["code"].as_u64().unwrap(), u64::from(json["outcome"] != "starts"));
    for key in ["end_before", "end_after", "scan_from", "scan_bytes"] {
        assert!(json["log"][key].is_u64(), "{key}");
    }
    let line = boot(&shared("4.3.2-killed").root(), "4.3.2", &["--format=ndjson"]).ndjson();
    assert_eq!((line.len(), &line[0]["type"]), (1, &json!("summary")));
}

#[test]
fn the_kind_of_stop_can_be_given() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let start_after =
        |more: &[&str]| boot(&root, "4.3.2", &[more, &["--format=json"]].concat()).json()["start_after"].clone();
    assert_eq!(start_after(&[]), "clean");
    assert_eq!(start_after(&["--exit=abort"]), "abort");
    assert_eq!(boot(&root, "4.3.2", &["--exit=crash"]).code, 2);
}

#[test]
fn what_real_brokers_did_is_the_outcome_and_decides_the_code() {
    let recorded: Value = serde_json::from_slice(&fs::read(testdata().join("boot-outcomes.json")).unwrap()).unwrap();
    let mut outcomes = BTreeSet::new();
    for (fault, release, exit) in [
        ("cf_topics_torn_bad_bak", "4.3.2", "clean"),
        ("cl_folder_empty", "5.3.3", "clean"),
        ("cl_folder_empty", "4.3.2", "clean"),
        ("cl_flip_body_last_file", "4.3.2", "clean"),
        ("cq_garbage_unit_phy_small", "4.3.2", "clean"),
        ("cq_hole_in_first_file", "5.3.3", "clean"),
        ("cf_topics_missing_no_bak", "4.3.2", "clean"),
        ("cf_offset_braces_only", "4.3.2", "clean"),
        ("cp_garbage", "4.3.2", "abort"),
        ("cf_offset_trailing_nul", "5.3.3", "clean"),
    ] {
        let of_it = |row: &&Value| row["fault"] == fault && row["release"] == release && row["exit"] == exit;
        let seen = recorded["entries"].as_array().unwrap().iter().find(of_it).unwrap();
        let store = FaultyStore::for_release(release);
        if exit == "abort" {
            store.add_abort();
        }
        assert!(store.inject(fault));
        let temp = tempfile::tempdir().unwrap();
        let conf = temp.path().join("broker.conf");
        fs::write(&conf, store.broker_conf(fault)).unwrap();
        let home = store.home();
        let more = ["-c", conf.to_str().unwrap(), "--home", home.to_str().unwrap()];
        let run = boot(&store.root(), release, &[&more[..], &["--format=json"]].concat());
        let json = run.json();
        assert_eq!(json["flags"], seen["details"]["flags"], "{fault} {release} {exit}");
        assert_eq!((&json["outcome"], &json["start_after"]), (&seen["outcome"], &seen["exit"]), "{fault}");
        assert_eq!(run.code, i32::from(seen["outcome"] != "starts"), "{fault}");
        let text = boot(&store.root(), release, &more);
        assert!(text.stdout.starts_with(&format!("{}: ", seen["outcome"].as_str().unwrap())), "{}", text.stdout);
        outcomes.insert(seen["outcome"].as_str().unwrap().to_owned());
    }
    assert_eq!(outcomes.len(), 10, "one of each");
}

#[test]
fn releases_that_are_not_known_are_refused_with_the_nearest_one() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let mut text = String::new();
    for release in ["4.3.7", "6.0.0", "latest"] {
        text += &boot(&root, release, &[]).session();
    }
    text += &mqstore(&["boot", root.to_str().unwrap()]).session();
    assert_snapshot("boot-unknown-release", &text, &[(&root, "STORE")]);
}

#[test]
fn what_is_not_simulated_gives_no_verdict() {
    for (archive, release) in [("5.3.3-rocksdb", "5.3.3"), ("4.9.7-dledger", "4.9.7"), ("5.3.3-batchcq", "5.3.3")] {
        let run = boot(&shared(archive).root(), release, &["--format=json"]);
        assert_eq!(run.code, 3, "{archive}");
        assert!(!run.json()["skipped"].as_array().unwrap().is_empty(), "{archive}");
    }
    let golden = shared("5.3.3-rocksdb");
    let (root, conf) = (golden.root(), golden.sub("broker.conf"));
    let run = boot(&root, "5.3.3", &["-c", conf.to_str().unwrap()]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (3, "no prediction: the start of 5.3.3 with consume queues in RocksDB is not simulated\n")
    );
    let json = boot(&root, "5.3.3", &["-c", conf.to_str().unwrap(), "--format=json"]).json();
    assert_eq!((&json["outcome"], &json["exit"]["code"]), (&json!(null), &json!(3)));
}
