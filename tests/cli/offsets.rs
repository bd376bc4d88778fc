//! `inspect offsets`.

use mqstore_testkit::truth;
use serde_json::{Value, json};

use super::{REPRESENTATIVE, assert_snapshot, assert_snapshots, mqstore, shared};

#[test]
fn the_offsets_of_representative_stores() {
    for (archive, root) in REPRESENTATIVE {
        let golden = shared(archive);
        let name = format!("offsets-{archive}{}", if root.contains('/') { "-slave" } else { "" });
        assert_snapshots(&name, &golden, root, &["inspect", "offsets", "STORE"]);
    }
}

#[test]
fn committed_offsets_are_those_that_the_broker_answered() {
    for archive in ["3.2.6-clean", "3.5.8-clean", "4.3.2-clean", "4.9.7-clean", "5.3.3-clean"] {
        let golden = shared(archive);
        let root = golden.root();
        let json = mqstore(&["inspect", "offsets", root.to_str().unwrap(), "--format=json"]).json();
        let rows = json["offsets"].as_array().unwrap();
        let committed = truth(archive)["live"]["committed"].as_array().unwrap().clone();
        assert!(committed.len() > 5, "{archive}");
        for live in committed {
            let row = rows.iter().find(|row| {
                row["group"] == live["group"] && row["topic"] == live["topic"] && row["queue_id"] == live["queue"]
            });
            // A broker answers 0 for what was never committed, too.
            let offset = row.map_or(json!(0), |row| row["offset"].clone());
            assert_eq!(offset, live["offset"], "{archive} {live}");
        }
    }
}

#[test]
fn an_offset_is_put_against_its_queue() {
    let (_temp, root) = super::broken("4.3.2-expired");
    let queues = mqstore(&["inspect", "queues", root.to_str().unwrap(), "GoldOne", "--format=json"]).json();
    let (min, max) =
        (queues["queues"][0]["min_offset"].as_i64().unwrap(), queues["queues"][0]["max_offset"].as_i64().unwrap());
    assert!(min > 1, "the log was cut at its beginning");
    let table = format!(
        r#"{{"offsetTable":{{"GoldOne@ok":{{0:{min}}},"GoldOne@end":{{0:{max}}},"GoldOne@behind":{{0:{}}},"GoldOne@beyond":{{0:{}}},"Gone@lost":{{0:5}},"Never@idle":{{0:0}}}}}}"#,
        min - 1,
        max + 1
    );
    std::fs::write(root.join("config/consumerOffset.json"), table).unwrap();
    let json = mqstore(&["inspect", "offsets", root.to_str().unwrap(), "--format=json"]).json();
    let of = |group: &str| {
        let row: &Value = json["offsets"].as_array().unwrap().iter().find(|row| row["group"] == group).unwrap();
        (row["state"].clone(), row["lag"].clone())
    };
    assert_eq!(of("ok"), (json!("ok"), json!(max - min)));
    assert_eq!(of("end"), (json!("ok"), json!(0)));
    assert_eq!(of("behind"), (json!("behind_min"), json!(max - min + 1)));
    assert_eq!(of("beyond"), (json!("beyond_max"), json!(-1)));
    assert_eq!(of("lost"), (json!("no_queue"), Value::Null));
    assert_eq!(of("idle"), (json!("no_queue"), Value::Null));
    let run = mqstore(&["inspect", "offsets", root.to_str().unwrap()]);
    assert_snapshot("offsets-states", &run.session(), &[(&root, "STORE")]);
}

#[test]
fn groups_and_topics_can_be_chosen_and_what_matches_nothing_is_an_error() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let root = root.to_str().unwrap();
    let json = mqstore(&["inspect", "offsets", root, "--format=json", "--group=GID_Gold_*", "--topic=GoldOne"]).json();
    assert_eq!(json["offsets"].as_array().unwrap().len(), 1);
    assert_eq!(json["delay_offsets"], json!([]));
    let run = mqstore(&["inspect", "offsets", root, "--group=GID_Silver*"]);
    assert_snapshot("offsets-nothing-matches", &run.session(), &[]);
}
