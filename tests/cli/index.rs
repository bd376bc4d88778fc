//! `inspect index`.

use std::collections::BTreeSet;

use mqstore_testkit::{truth, truth_lines};
use serde_json::Value;

use super::{assert_snapshot, assert_snapshots, mqstore, shared};

#[test]
fn the_headers_of_representative_stores() {
    for archive in ["3.5.8-clean", "5.3.3-clean"] {
        assert_snapshots(&format!("index-{archive}"), &shared(archive), "store", &["inspect", "index", "STORE"]);
    }
}

#[test]
fn keys_are_found_where_the_broker_finds_them() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let truth = truth("4.3.2-clean");
    let queries = truth["live"]["queries"].as_array().unwrap();
    let mut compared = 0;
    for query in queries {
        let (topic, key) = (query["topic"].as_str().unwrap(), query["key"].as_str().unwrap());
        let args = ["inspect", "index", root.to_str().unwrap(), "--topic", topic, "--key", key, "--format=json"];
        let offsets = |list: &Value, name: Option<&str>| -> Vec<u64> {
            let list = list.as_array().unwrap().iter();
            list.map(|item| name.map_or(item, |name| &item[name]).as_u64().unwrap()).collect()
        };
        let expected = offsets(&query["offsets"], None);
        // The broker answers with 64 hits at most.
        if expected.len() >= 64 {
            continue;
        }
        compared += usize::from(!expected.is_empty());
        let run = mqstore(&args);
        assert_eq!(run.code, if expected.is_empty() { 2 } else { 0 }, "{topic} {key}");
        let sorted = |offsets: Vec<u64>| offsets.into_iter().collect::<BTreeSet<_>>();
        assert_eq!(sorted(offsets(&run.json()["records"], Some("physical_offset"))), sorted(expected), "{topic} {key}");
    }
    assert!(compared > 8, "{compared} keys compared");
}

#[test]
fn all_entries_are_listed() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let run = mqstore(&["inspect", "index", root.to_str().unwrap(), "--entries", "--format=ndjson"]);
    let lines = run.ndjson();
    let entries = lines.iter().filter(|line| line["type"] == "entry").count();
    let files: usize = truth_lines("4.3.2-clean").iter().filter(|line| line["k"] == "ix").count();
    let json = mqstore(&["inspect", "index", root.to_str().unwrap(), "--format=json"]).json();
    let counts = json["index"].as_array().unwrap().iter().map(|file| file["index_count"].as_u64().unwrap() - 1);
    assert_eq!((entries as u64, json["index"].as_array().unwrap().len()), (counts.sum(), files));
    let text = mqstore(&["inspect", "index", root.to_str().unwrap(), "--entries"]).stdout;
    assert_snapshot("index-entries", &text.lines().take(4).collect::<Vec<_>>().join("\n"), &[]);
}

#[test]
fn a_key_is_shown_with_its_records_newest_first() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let look_up = |key: &str| mqstore(&["inspect", "index", root.to_str().unwrap(), "--topic=GoldOne", "--key", key]);
    assert_snapshot("index-key", &look_up("one2").session(), &[(&root, "STORE")]);
    assert_snapshot("index-no-such-key", &look_up("One2").session(), &[(&root, "STORE")]);
}

#[test]
fn without_the_log_a_key_cannot_be_confirmed() {
    let (_temp, root) = super::broken("4.3.2-clean");
    std::fs::remove_dir_all(root.join("commitlog")).unwrap();
    let run = mqstore(&["inspect", "index", root.to_str().unwrap(), "--topic=GoldOne", "--key=one2"]);
    assert_snapshot("index-key-without-log", &run.session(), &[(&root, "STORE")]);
}
