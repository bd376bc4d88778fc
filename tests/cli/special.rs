//! `inspect` of logs and queues that are not classic files: DLedger, batch queues, RocksDB.

use mqstore_testkit::truth;
use serde_json::{Value, json};

use super::{mqstore, shared};

fn inspect(archive: &str, command: &[&str]) -> Value {
    let golden = shared(archive);
    let root = golden.root();
    let args = [&["inspect"], command, &[root.to_str().unwrap(), "--format=json"]].concat();
    let run = mqstore(&args);
    assert_eq!(run.code, 0, "{archive}: {}", run.stderr);
    run.json()
}

#[test]
fn the_log_of_dledger_is_read_to_the_end_that_the_broker_reported() {
    for archive in ["4.9.7-dledger", "5.3.3-dledger"] {
        let truth = truth(archive);
        let log = inspect(archive, &["commitlog"]);
        let end = log["max_offset"].as_u64().unwrap().to_string();
        assert_eq!(json!(end), truth["runtime"]["commitLogMaxOffset"], "{archive}");
        let overview = inspect(archive, &[]);
        let dledger = &overview["commitlog"]["dledger"];
        assert_eq!(dledger["committed_index"].as_i64(), truth["dledger"]["committedIndex"].as_i64(), "{archive}");
        assert_eq!(overview["commitlog"]["max_offset"], log["max_offset"], "{archive}");
        assert_eq!(overview["not_read"], json!([]), "{archive}");
    }
}

#[test]
fn a_stream_can_begin_inside_the_log_of_dledger() {
    let all = inspect("4.9.7-dledger", &["commitlog"]);
    let entries = all["entries"].as_array().unwrap();
    let middle = entries.iter().filter(|entry| entry["type"] == "record").nth(100).unwrap();
    let from = middle["physical_offset"].to_string();
    let rest = inspect("4.9.7-dledger", &["commitlog", "--from-offset", &from]);
    assert_eq!(&rest["entries"][0], middle);
    assert_eq!(rest["entries"].as_array().unwrap().last(), entries.last());
}

#[test]
fn queues_in_rocksdb_and_of_batches_have_the_ranges_that_the_broker_answered() {
    let mut compared = 0;
    for (archive, kind) in [("5.3.3-rocksdb", "rocksdb"), ("5.3.3-rocksdb-v2", "file"), ("5.3.3-batchcq", "batch")] {
        let found = inspect(archive, &["queues"]);
        let queues = found["queues"].as_array().unwrap();
        assert!(queues.iter().any(|queue| queue["kind"] == kind), "{archive}: {queues:?}");
        for (topic, ends) in truth(archive)["queues"].as_object().unwrap() {
            for (queue_id, ends) in ends.as_object().unwrap() {
                // The broker goes on checking transactions and trying again between its answer and its stop.
                if topic.starts_with("RMQ_SYS_") || topic.starts_with("%RETRY%") || topic.starts_with("SCHEDULE") {
                    continue;
                }
                let ours =
                    queues.iter().find(|q| q["topic"] == *topic && q["queue_id"].as_u64() == queue_id.parse().ok());
                let ours = ours.unwrap_or_else(|| panic!("{archive}: no {topic}/{queue_id}"));
                assert_eq!(
                    (&ours["min_offset"], &ours["max_offset"]),
                    (&ends["min"], &ends["max"]),
                    "{archive} {topic}"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 10, "{compared}");
}

#[test]
fn offsets_in_rocksdb_are_those_that_the_broker_answered() {
    for archive in ["5.3.3-rocksdb", "5.3.3-rocksdb-v2"] {
        let found = inspect(archive, &["offsets"]);
        let rows = found["offsets"].as_array().unwrap();
        let mut compared = 0;
        for (queue, progress) in truth(archive)["consumerProgress"].as_object().unwrap() {
            let row =
                rows.iter().find(|row| format!("{}/{}", row["topic"].as_str().unwrap(), row["queue_id"]) == *queue);
            assert_eq!(row.unwrap()["offset"], progress["consumer"], "{archive} {queue}");
            compared += 1;
        }
        assert_eq!(compared, 4);
        let overview = inspect(archive, &[]);
        assert!(!overview["topics"].as_array().unwrap().is_empty(), "{archive}");
    }
}

#[test]
fn a_database_that_is_damaged_makes_the_answer_incomplete() {
    let (_temp, root) = super::broken("5.3.3-rocksdb");
    std::fs::write(root.join("consumequeue/CURRENT"), "MANIFEST-999999\n").unwrap();
    for command in ["queues", "offsets", "pending"] {
        let run = mqstore(&["inspect", command, root.to_str().unwrap()]);
        assert_eq!(run.code, 3, "{command}: {}", run.session());
        assert!(run.stderr.contains("RocksDB"), "{command}: {}", run.stderr);
    }
}

#[test]
fn a_snapshot_keeps_the_ranges_of_what_it_does_not_digest() {
    let snapshot = |archive: &str| {
        let run = mqstore(&["snapshot".as_ref(), shared(archive).root().as_os_str()]);
        assert_eq!(run.code, 3, "{archive}: what is not kept is named");
        run.json()
    };
    let end_of = |json: &Value, topic: &str, queue_id: usize| json["queues"][topic][queue_id][3].clone();
    let (rocksdb, batch) = (snapshot("5.3.3-rocksdb"), snapshot("5.3.3-batchcq"));
    let told = truth("5.3.3-rocksdb");
    for queue_id in 0..4 {
        assert_eq!(end_of(&rocksdb, "TPlain", queue_id), told["queues"]["TPlain"][queue_id.to_string()]["max"]);
        let committed = &told["consumerProgress"][format!("TPlain/{queue_id}")]["consumer"];
        assert_eq!(rocksdb["consumer_offsets"]["TPlain@GNormal"][queue_id.to_string()], *committed);
    }
    for queue_id in 0..2 {
        let told = &truth("5.3.3-batchcq")["batchConsumeQueue"][format!("TBatch/{queue_id}")]["max"];
        assert_eq!(end_of(&batch, "TBatch", queue_id), *told);
    }
    let (dledger, told) = (&snapshot("4.9.7-dledger")["dledger"], truth("4.9.7-dledger"));
    assert_eq!(dledger["committed_index"].as_i64(), told["dledger"]["committedIndex"].as_i64());
    assert_eq!(json!(dledger["max_offset"].to_string()), told["runtime"]["commitLogMaxOffset"]);
}
