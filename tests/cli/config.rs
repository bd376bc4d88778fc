//! `inspect config`.

use super::{assert_snapshot, assert_snapshots, mqstore, shared};

#[test]
fn the_files_of_representative_stores() {
    for archive in ["3.5.8-clean", "5.3.3-clean", "5.3.3-rocksdb"] {
        assert_snapshots(&format!("config-{archive}"), &shared(archive), "store", &["inspect", "config", "STORE"]);
    }
}

#[test]
fn one_file_is_strict_json_whatever_the_dialect() {
    let golden = shared("4.3.2-clean");
    let args = ["inspect", "config", "STORE", "delayOffset"];
    assert_snapshots("config-delay-offset", &golden, "store", &args);
    let root = golden.root();
    let strict = mqstore(&["inspect", "config", root.to_str().unwrap(), "consumerOffset.json"]).json();
    let truth = mqstore_testkit::truth_lines("4.3.2-clean");
    let truth = truth.iter().find(|l| l["k"] == "config" && l["file"] == "consumerOffset.json").unwrap();
    assert_eq!(strict, truth["json"], "as fastjson reads it");
}

#[test]
fn which_copy_counts_is_said() {
    let (_temp, root) = super::broken("4.3.2-clean");
    let topics = root.join("config/topics.json");
    let text = std::fs::read_to_string(&topics).unwrap();
    std::fs::write(&topics, &text[..1000]).unwrap();
    let folders: [(&std::path::Path, &str); 1] = [(&root, "STORE")];
    let run = mqstore(&["inspect", "config", root.to_str().unwrap(), "topics"]);
    assert_eq!((run.code, run.json()["topicConfigTable"].as_object().unwrap().len()), (0, 21));
    assert_snapshot("config-bak-counts", &run.stderr, &folders);
    std::fs::write(root.join("config/topics.json.bak"), "{\"topicConfigTable\":{").unwrap();
    let run = mqstore(&["inspect", "config", root.to_str().unwrap(), "topics"]);
    assert_snapshot("config-none-counts", &run.session(), &folders);
    let run = mqstore(&["inspect", "config", root.to_str().unwrap()]);
    assert_eq!(run.code, 1);
}

#[test]
fn names_that_are_not_known_or_not_there_are_errors() {
    let golden = shared("3.5.8-clean");
    let root = golden.root();
    let text: String = ["topics", "passwords", "timercheck"]
        .map(|name| mqstore(&["inspect", "config", root.to_str().unwrap(), name]).session())
        .concat();
    assert_snapshot("config-no-such-file", &text, &[(&root, "STORE")]);
}
