//! `inspect queues`.

use mqstore_testkit::{truth, truth_lines};
use serde_json::json;

use super::{REPRESENTATIVE, assert_snapshot, assert_snapshots, mqstore, shared};

#[test]
fn the_queues_of_representative_stores() {
    for (archive, root) in REPRESENTATIVE {
        let golden = shared(archive);
        let name = format!("queues-{archive}{}", if root.contains('/') { "-slave" } else { "" });
        assert_snapshots(&name, &golden, root, &["inspect", "queues", "STORE"]);
    }
}

#[test]
fn ranges_are_those_that_the_broker_answered() {
    for archive in ["3.2.6-clean", "3.5.8-clean", "4.3.2-clean", "4.3.2-expired", "4.9.7-clean", "5.3.3-clean"] {
        let golden = shared(archive);
        let root = golden.root();
        let json = mqstore(&["inspect", "queues", root.to_str().unwrap(), "--format=json"]).json();
        let queues = json["queues"].as_array().unwrap();
        let mut compared = 0;
        for (name, live) in truth(archive)["live"]["queues"].as_object().unwrap() {
            // They may grow between the answer and the stop.
            if name.starts_with("RMQ_SYS_TRANS") || name.starts_with("DefaultCluster") || name.starts_with("LabCluster")
            {
                continue;
            }
            let (topic, queue_id) = name.rsplit_once('/').unwrap();
            let queue_id: u64 = queue_id.parse().unwrap();
            let ours = queues.iter().find(|queue| queue["topic"] == topic && queue["queue_id"] == queue_id);
            let range = |min, max| json!([min, max]);
            match ours {
                Some(ours) => {
                    let found = range(&ours["min_offset"], &ours["max_offset"]);
                    assert_eq!(found, range(&live["min"], &live["max"]), "{archive} {name}");
                }
                None => assert_eq!(live["max"], 0, "{archive} {name}: a queue without folder never got a message"),
            }
            compared += 1;
        }
        assert!(compared > 20, "{archive}: {compared} queues compared");
    }
}

#[test]
fn the_units_of_a_queue_are_those_that_the_broker_wrote() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let args = ["inspect", "queues", root.to_str().unwrap(), "GoldOne", "0", "--format=ndjson"];
    let lines = mqstore(&args).ndjson();
    let found: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "unit")
        .map(|unit| json!([unit["queue_offset"], unit["physical_offset"], unit["size"], unit["tags_code"]]))
        .collect();
    let truth = truth_lines("4.3.2-clean");
    let files = truth.iter().filter(|l| l["k"] == "cq" && l["topic"] == "GoldOne" && l["queue"] == "0");
    let expected: Vec<_> = files.flat_map(|file| file["units"].as_array().unwrap().clone()).collect();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 1102);
    for unit in lines.iter().filter(|line| line["type"] == "unit") {
        assert_eq!(unit["tags_code_str"].as_str().unwrap().parse::<i64>().ok(), unit["tags_code"].as_i64());
    }
}

#[test]
fn units_can_be_taken_by_their_place_in_the_log() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let run = mqstore(&[
        "inspect",
        "queues",
        root.to_str().unwrap(),
        "SCHEDULE*",
        "2",
        "--from-offset=1800000",
        "--to-offset=1900000",
    ]);
    assert_snapshot("queues-units", &run.session(), &[(&root, "STORE")]);
}

#[test]
fn a_topic_that_is_not_there_is_an_error() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let run = mqstore(&["inspect", "queues", root.to_str().unwrap(), "GoldTwelve", "3"]);
    assert_snapshot("queues-nothing-matches", &run.session(), &[(&root, "STORE")]);
}
