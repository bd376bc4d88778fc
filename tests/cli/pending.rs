//! `inspect timer` and `inspect pending`.

use mqstore_testkit::truth;
use serde_json::{Value, json};

use super::{assert_snapshot, assert_snapshots, mqstore, shared};

/// The moment at which the broker of `5.3.3-timer` stopped, by its `timercheck`.
fn stopped() -> String {
    truth("5.3.3-timer")["timer"]["timercheck"][0].to_string()
}

fn document(archive: &str, command: &str, more: &[&str]) -> Value {
    let golden = shared(archive);
    let root = golden.root();
    let args = ["inspect", command, root.to_str().unwrap(), "--format=json"];
    mqstore(&[&args[..], more].concat()).json()
}

fn feature<'a>(document: &'a Value, name: &str) -> &'a Value {
    document["features"].as_array().unwrap().iter().find(|feature| feature["feature"] == name).unwrap()
}

#[test]
fn what_waits_in_the_timer_is_what_the_broker_counted() {
    let truth = truth("5.3.3-timer");
    let timer = &document("5.3.3-timer", "timer", &["--at", &stopped(), "--samples=1"])["timer"];
    assert_eq!(timer["congestion"], truth["timer"]["pendingUnits"]);
    assert_eq!(timer["log_units"], truth["timer"]["timerlogUnits"]);
    assert_eq!(timer["checkpoint"]["last_read_time_ms"], truth["timer"]["timercheck"][0]);
    assert_eq!((&timer["normal"], &timer["rolled"], &timer["overdue"]), (&json!(16), &json!(3), &json!(0)));
    let by_hour: u64 =
        timer["due_by_hour"].as_array().unwrap().iter().map(|hour| hour["count"].as_u64().unwrap()).sum();
    assert_eq!((by_hour, timer["next"].as_array().unwrap().len()), (19, 1));
    let later = document("5.3.3-timer", "timer", &["--at", "2026-11-25T21:00:00Z"]);
    assert_eq!(later["timer"]["overdue"], 16, "all but the rolled ones, which are due days later");
}

#[test]
fn delay_levels_wait_as_the_brokers_runtime_info_said() {
    // scheduleMessageOffset_18 is "next,end" of the level.
    for archive in ["5.3.3-timer", "5.3.3-rocksdb", "5.3.3-dledger", "4.9.7-dledger"] {
        let mut expected = Vec::new();
        let mut named = Vec::new();
        for (name, offsets) in truth(archive)["runtime"].as_object().unwrap() {
            let Some(level) = name.strip_prefix("scheduleMessageOffset_") else { continue };
            let (next, end) = offsets.as_str().unwrap().split_once(',').unwrap();
            let [next, end] = [next, end].map(|offset| offset.parse::<u64>().unwrap());
            named.push(level.parse::<i64>().unwrap());
            if next < end {
                expected.push(json!([level.parse::<i32>().unwrap(), end - next, next, end]));
            }
        }
        // The broker tells of the levels in its table; one that it has not worked on yet waits as a whole, from its first
        // message to the end that the broker answered for its queue.
        for (queue, range) in truth(archive)["queues"]["SCHEDULE_TOPIC_XXXX"].as_object().unwrap() {
            let level = queue.parse::<i64>().unwrap() + 1;
            if !named.contains(&level) {
                let [min, max] = ["min", "max"].map(|end| range[end].as_u64().unwrap());
                expected.push(json!([level, max - min, min, max]));
            }
        }
        let found = document(archive, "pending", &[]);
        let all = found["delay_levels"].as_array().unwrap();
        let levels: Vec<_> = all
            .iter()
            .map(|level| json!([level["level"], level["count"], level["next_offset"], level["max_offset"]]))
            .collect();
        assert_eq!(levels, expected, "{archive}");
        let total: u64 = all.iter().map(|level| level["count"].as_u64().unwrap()).sum();
        assert_eq!(feature(&found, "delay")["count"], total, "{archive}");
    }
}

#[test]
fn every_feature_is_counted_in_the_store_that_uses_it() {
    let timer = document("5.3.3-timer", "pending", &["--at", &stopped()]);
    assert_eq!(feature(&timer, "timer")["count"], 19);
    assert_eq!(feature(&timer, "pop")["count"], 3);
    assert_eq!(timer["pop"]["groups"], json!([{"topic": "TNormal", "group": "GPop", "messages": 3}]));
    let batch = document("5.3.3-batchcq", "pending", &[]);
    let reported = &truth("5.3.3-batchcq")["batchConsumeQueue"];
    let batches: u64 = reported.as_object().unwrap().values().map(|queue| queue["max"].as_u64().unwrap()).sum();
    assert_eq!(feature(&batch, "batch")["count"], batches);
    let lmq = document("5.3.3-lmq", "pending", &[]);
    assert!(feature(&lmq, "lmq")["count"].as_u64() > Some(0));
    let old = document("3.5.8-clean", "pending", &["--scan-log"]);
    assert!(feature(&old, "prepared")["count"].is_u64(), "the whole log was read");
    assert_eq!(document("4.3.2-clean", "timer", &[])["timer"], Value::Null);
}

#[test]
fn texts_of_a_store_where_much_waits_and_of_one_without_a_timer() {
    let golden = shared("5.3.3-timer");
    for command in ["timer", "pending"] {
        let at = format!("--at={}", stopped());
        assert_snapshots(&format!("{command}-5.3.3-timer"), &golden, "store", &["inspect", command, "STORE", &at]);
    }
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let run = mqstore(&["inspect", "timer", root.to_str().unwrap()]);
    assert_snapshot("timer-none", &run.session(), &[(&root, "STORE")]);
}

#[test]
fn a_chain_that_breaks_off_and_a_log_that_ends_in_garbage_are_damage() {
    // Ten units were read long ago: no chain that still waits leads there. A page reaches those that wait.
    for (bytes, chain) in [(520, false), (4096, true)] {
        let (_temp, root) = super::broken("5.3.3-timer");
        let log = root.join("timerlog/00000000000000000000");
        let mut content = std::fs::read(&log).unwrap();
        content[..bytes].fill(0xFF);
        std::fs::write(&log, content).unwrap();
        let run = mqstore(&["inspect", "timer", root.to_str().unwrap(), "--at", &stopped()]);
        assert_eq!(run.code, 1, "{}", run.session());
        assert!(run.stderr.contains("the timer log ends in garbage at 0"), "{}", run.stderr);
        assert_eq!(run.stderr.contains("chain that breaks off"), chain, "{}", run.stderr);
    }
}
