//! `diff`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use mqstore_testkit::truth_lines;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Run, assert_snapshot, broken, command, json_session, mqstore, shared};

fn diff(a: &Path, b: &Path, more: &[&str]) -> Run {
    let mut args = vec!["diff", a.to_str().unwrap(), b.to_str().unwrap()];
    args.extend(more);
    mqstore(&args)
}

/// Master and slave of a recorded pair.
fn pair(archive: &str) -> (PathBuf, PathBuf) {
    (shared(archive).sub("master/store"), shared(archive).sub("slave/store"))
}

/// A snapshot in a folder of the test.
fn snapshot(store: &Path, file: &Path) {
    let args = ["snapshot", store.to_str().unwrap(), "-q", "--digest=all", "-o", file.to_str().unwrap()];
    assert_eq!(mqstore(&args).code, 0);
}

/// A copy of 4.3.2-clean with one byte of the log flipped.
fn flipped(file: &str, at: usize) -> (tempfile::TempDir, PathBuf) {
    let (temp, root) = broken("4.3.2-clean");
    let path = root.join("commitlog").join(file);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    (temp, root)
}

fn assert_snapshots(name: &str, a: &Path, b: &Path, more: &[&str]) {
    let folders = [(a, "A"), (b, "B")];
    assert_snapshot(&format!("diff-{name}"), &diff(a, b, more).session(), &folders);
    let run = diff(a, b, &[more, &["--format=json"]].concat());
    assert_snapshot(&format!("diff-{name}-json"), &json_session(&run), &folders);
}

#[test]
fn recorded_pairs_of_master_and_slave() {
    for archive in ["4.3.2-pair", "5.3.3-pair"] {
        let _kept = shared(archive);
        let (master, slave) = pair(archive);
        assert_snapshots(archive, &master, &slave, &[]);
    }
    let (master, slave) = (shared("5.3.3-ms-master"), shared("5.3.3-ms-slave"));
    assert_snapshots("5.3.3-ms", &master.root(), &slave.root(), &[]);
}

#[test]
fn the_lag_is_that_of_the_brokers_own_classes() {
    let _kept = shared("4.3.2-pair");
    let (master, slave) = pair("4.3.2-pair");
    let [of_master, of_slave] = ["4.3.2-pair.master", "4.3.2-pair.slave"].map(truth_lines);
    let end = |lines: &[Value]| {
        let end = lines.iter().find(|line| line["k"] == "end").unwrap();
        end["file"].as_str().unwrap().parse::<u64>().unwrap() + end["pos"].as_u64().unwrap()
    };
    let (end_of_master, end_of_slave) = (end(&of_master), end(&of_slave));
    let records =
        |from: u64| of_master.iter().filter(|l| l["k"] == "rec" && l["off"].as_u64().unwrap() >= from).count();
    let json = diff(&master, &slave, &["--format=json"]).json();
    assert_eq!(json["commitlog"]["lag_bytes"], end_of_master - end_of_slave);
    assert_eq!(json["commitlog"]["lag_messages"], records(end_of_slave));
    assert_eq!(json["commitlog"]["ahead"], "a");
    let max = |lines: &[Value], topic: &str, queue: &str| {
        let units = lines.iter().filter(|l| l["k"] == "cq" && l["topic"] == topic && l["queue"] == queue);
        units.map(|line| line["valid"].as_u64().unwrap()).sum::<u64>()
    };
    for queue in json["queues"].as_array().unwrap() {
        let (topic, id) = (queue["topic"].as_str().unwrap(), queue["queue_id"].to_string());
        let lag = max(&of_master, topic, &id) - max(&of_slave, topic, &id);
        assert_eq!(queue["lag"], lag, "{topic}/{id}");
    }
    // The other way round it is the same pair.
    let back = diff(&slave, &master, &["--format=json"]).json();
    assert_eq!(
        (&back["commitlog"]["lag_bytes"], &back["commitlog"]["ahead"]),
        (&json["commitlog"]["lag_bytes"], &json!("b"))
    );
    assert_eq!(back["relation"]["first"], "b", "the slave's checkpoint tells");
}

#[test]
fn a_store_is_the_same_as_its_own_snapshot_and_archive() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let temp = tempfile::tempdir().unwrap();
    let [plain, packed, archive] = ["s.json", "s.json.zst", "s.tar.zst"].map(|name| temp.path().join(name));
    snapshot(&root, &plain);
    // Not by its name: by its content.
    snapshot(&root, &packed);
    let unnamed = temp.path().join("unnamed");
    fs::rename(&packed, &unnamed).unwrap();
    let args = ["backup", "create", root.to_str().unwrap(), "-o", archive.to_str().unwrap()];
    assert_eq!(mqstore(&args).code, 0);
    assert_snapshots("own-snapshot", &root, &plain, &[]);
    assert_snapshots("own-archive", &root, &archive, &[]);
    for (a, b) in [(&unnamed, &root), (&plain, &unnamed), (&archive, &plain), (&archive, &archive)] {
        for relation in ["auto", "master-slave", "before-after"] {
            let run = diff(a, b, &["--relation", relation, "--format=json"]);
            assert_eq!(run.code, 0, "{} {}: {}", a.display(), b.display(), run.stderr);
            assert_eq!(run.json()["counts"]["warning"], 0);
        }
    }
    let json = diff(&archive, &root, &["--format=json"]).json();
    assert_eq!(json["commitlog"]["a"]["max_offset"], 3_285_572, "the manifest says where it stood");
    assert_eq!(
        json["coverage"]["skipped"],
        json!([{"what": "log", "why": "an archive does not hold it", "asked": true}])
    );
    assert_eq!(json["compared_units"], 3_822);
}

#[test]
fn archives_and_stores_of_a_pair_differ_as_the_stores_do() {
    let _kept = shared("4.3.2-pair");
    let (master, slave) = pair("4.3.2-pair");
    let temp = tempfile::tempdir().unwrap();
    let archive = temp.path().join("slave.tar.zst");
    assert_eq!(mqstore(&["backup", "create", slave.to_str().unwrap(), "-o", archive.to_str().unwrap()]).code, 0);
    let stores = diff(&master, &slave, &["--format=json"]);
    let mixed = diff(&master, &archive, &["--format=json"]);
    assert_eq!((stores.code, mixed.code), (1, 1));
    let (stores, mixed) = (stores.json(), mixed.json());
    for same in ["queues", "consumer_offsets", "delay_offsets", "config"] {
        assert_eq!(stores[same], mixed[same], "{same}");
    }
    assert_eq!(stores["commitlog"]["lag_bytes"], mixed["commitlog"]["lag_bytes"]);
    let within = ["--ignore=queues,offsets,delay,config,timer", "--max-lag-bytes"];
    let code = |limit: &str| diff(&master, &archive, &[&within[..], &[limit]].concat()).code;
    assert_eq!((code("703928"), code("703927")), (0, 1), "the limit holds for what the manifest says");
}

#[test]
fn logs_that_part_are_told_apart_by_the_byte() {
    let golden = shared("4.3.2-clean");
    let (_temp, other) = flipped("00000000000001048576", 500_000);
    assert_snapshots("parted", &golden.root(), &other, &[]);
    let json = diff(&golden.root(), &other, &["--format=json"]).json();
    assert_eq!(json["commitlog"]["divergence"]["physical_offset"], 1_548_576);
    // As `cmp` counts, from 1.
    let file = "commitlog/00000000000001048576";
    let cmp = Command::new("cmp").args([golden.root().join(file), other.join(file)]).output().unwrap();
    assert!(String::from_utf8(cmp.stdout).unwrap().contains("500001"));
    let snapshots = tempfile::tempdir().unwrap();
    let file = snapshots.path().join("s.json");
    snapshot(&other, &file);
    let run = diff(&golden.root(), &file, &["--format=json"]);
    assert_eq!(run.code, 1);
    let chunk = run.json()["commitlog"]["divergence"]["chunk"].clone();
    assert!((chunk["from"].as_u64().unwrap()..chunk["to"].as_u64().unwrap()).contains(&1_548_576), "{chunk}");
}

#[test]
fn codes_follow_limits_and_areas() {
    let _kept = (shared("4.3.2-pair"), shared("5.3.3-rocksdb"), shared("4.3.2-clean"));
    let (master, slave) = pair("4.3.2-pair");
    let clean = shared("4.3.2-clean").root();
    let rocksdb = shared("5.3.3-rocksdb").root();
    let rest = "--ignore=queues,offsets,delay,timer,config";
    for (a, b, args, expected) in [
        (&clean, &clean, &[][..], 0),
        (&master, &slave, &[], 1),
        (&master, &slave, &[rest], 1),
        (&master, &slave, &[rest, "--max-lag-bytes=703928"], 0),
        (&master, &slave, &[rest, "--max-lag-bytes=703927"], 1),
        (&master, &slave, &[rest, "--max-lag-bytes=1MiB", "--max-lag-messages=913"], 1),
        (&master, &slave, &[rest, "--max-lag-bytes=1MiB", "--max-lag-messages=914"], 0),
        (&master, &slave, &[rest, "--max-lag-time=24s"], 1),
        (&master, &slave, &[rest, "--max-lag-time=25s"], 0),
        (&slave, &master, &["--relation=before-after"], 0),
        (&master, &slave, &["--relation=before-after"], 1),
        (&rocksdb, &rocksdb, &[], 3),
        (&clean, &clean, &["--ignore=bodies"], 2),
        (&clean, &clean, &["--timeout=5s"], 2),
        (&clean, &clean, &["--max-lag-time=5"], 2),
        (&clean, &PathBuf::from("/nowhere"), &[], 2),
    ] {
        let run = diff(a, b, args);
        assert_eq!(run.code, expected, "{} {} {args:?}: {}", a.display(), b.display(), run.stderr);
    }
}

#[test]
fn a_file_that_is_no_side_is_named() {
    let golden = shared("4.3.2-clean");
    let temp = tempfile::tempdir().unwrap();
    let verify = temp.path().join("verify.json");
    fs::write(&verify, r#"{"schema":"mqstore.verify","schema_version":1}"#).unwrap();
    let noise = temp.path().join("noise");
    fs::write(&noise, "no archive").unwrap();
    let mut text = String::new();
    for file in [&verify, &noise] {
        text += &diff(&golden.root(), file, &[]).session();
    }
    assert_snapshot("diff-no-side", &text, &[(temp.path(), "TEMP"), (&golden.root(), "STORE")]);
}

#[test]
fn findings_of_ndjson_come_before_one_summary() {
    let _kept = shared("4.3.2-pair");
    let (master, slave) = pair("4.3.2-pair");
    let lines = diff(&master, &slave, &["--format=ndjson"]).ndjson();
    let (summary, findings) = lines.split_last().unwrap();
    assert!(findings.iter().all(|line| line["type"] == "finding" && line["id"].as_str().unwrap().starts_with("pair.")));
    let document = diff(&master, &slave, &["--format=json"]).json();
    assert_eq!(findings, document["findings"].as_array().unwrap().as_slice());
    assert_eq!((&summary["type"], &summary["exit"]["code"]), (&json!("summary"), &json!(1)));
    assert_eq!(summary["commitlog"], document["commitlog"]);
}

#[test]
fn merged_offsets_are_a_new_file_that_moves_no_group_back() {
    let _kept = shared("4.3.2-pair");
    let (master, slave) = pair("4.3.2-pair");
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("consumerOffset.json");
    let merge = |more: &[&str]| {
        diff(&slave, &master, &[&["--format=json", "--merge-offsets", file.to_str().unwrap()], more].concat())
    };
    let run = merge(&["--merge-for=b"]);
    assert_eq!(run.json()["merged_offsets"]["target"], "b");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"GoldOne@GID_Gold_part\":{0:150"), "keys as 4.3.2 writes them: {text}");
    // The master is ahead everywhere, so for the master nothing changes.
    assert_eq!(run.json()["merged_offsets"]["changes"], json!([]));
    let again = merge(&[]);
    assert_eq!(again.code, 4, "a file that exists is not written over");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    fs::remove_file(&file).unwrap();

    let json = merge(&["--merge-for=a"]).json();
    let clamped =
        json["merged_offsets"]["changes"].as_array().unwrap().iter().filter(|change| change["clamped"] == true);
    assert!(clamped.count() > 0, "the master's groups are behind the end of the slave's queues");
    // Read back as part of a copy of the slave, no offset lies outside its queue.
    let copy = temp.path().join("copy");
    assert!(Command::new("cp").arg("-a").arg(&slave).arg(&copy).status().unwrap().success());
    fs::copy(&file, copy.join("config/consumerOffset.json")).unwrap();
    let offsets = mqstore(&["inspect", "offsets", copy.to_str().unwrap(), "--format=json"]).json();
    let states: Vec<_> = offsets["offsets"].as_array().unwrap().iter().map(|row| row["state"].clone()).collect();
    assert!(!states.is_empty() && !states.contains(&json!("beyond_max")), "{states:?}");
    let inside = master.join("config/merged.json");
    let other = copy.join("config/merged.json");
    for path in [&inside, &other] {
        assert_eq!(diff(&slave, &master, &["--merge-offsets", path.to_str().unwrap()]).code, 4, "{}", path.display());
        assert!(!path.exists());
    }
    let unknown = diff(&slave, &master, &["--merge-offsets=/nowhere/x", "--release=4.3.7"]);
    assert_eq!(
        (unknown.code, unknown.stderr.contains("4.3.7 is no release that is known, the nearest is 4.3.2")),
        (2, true)
    );
}

/// A watch on two snapshots of the pair, and the first line that it says: the sides are too far apart then.
fn watching(temp: &Path, more: &[&str]) -> (Child, PathBuf, PathBuf) {
    let _kept = shared("4.3.2-pair");
    let (master, slave) = pair("4.3.2-pair");
    let [a, b] = ["a.json", "b.json"].map(|name| temp.join(name));
    snapshot(&master, &a);
    snapshot(&slave, &b);
    let mut command = command();
    command.arg("diff").args([&a, &b]).args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("note: slave (b) is 687.4 KiB / 914 messages"), "{line}");
    (child, a, b)
}

#[test]
fn a_watch_ends_when_the_sides_are_close_enough() {
    let temp = tempfile::tempdir().unwrap();
    let (child, a, b) = watching(temp.path(), &["--watch=20ms", "--timeout=5m"]);
    // The slave has caught up.
    let newer = temp.path().join("newer");
    fs::copy(&a, &newer).unwrap();
    fs::rename(&newer, &b).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("both end at 1,517,886"));
}

#[test]
fn a_watch_is_ended_by_its_time_or_by_ctrl_c() {
    let temp = tempfile::tempdir().unwrap();
    let (child, a, b) = watching(temp.path(), &["--watch=1h"]);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    let run = diff(&a, &b, &["--watch=1h", "--timeout=1ms"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("not within the limits after"), "{}", run.stderr);
}
