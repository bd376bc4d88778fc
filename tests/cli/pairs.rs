//! `snapshot --range`, the places of two stores, merged offsets of light queues and of pull consumers, and the areas.

use std::fs;
use std::path::Path;

use mqstore_testkit::{damage, truth};
use serde_json::{Value, json};

use super::{assert_snapshot, broken, command, mqstore, run, shared};

fn diff(a: &Path, b: &Path, more: &[&str]) -> super::Run {
    let mut args = vec!["diff", a.to_str().unwrap(), b.to_str().unwrap()];
    args.extend(more);
    mqstore(&args)
}

#[test]
fn the_commands_that_it_names_lead_from_the_chunk_to_the_record_to_the_byte() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let (_temp, other) = broken("4.3.2-clean");
    // Far before the last thousand records, which are known one by one.
    damage::flip(&other.join("commitlog/00000000000001048576"), 500_000, 0);
    let temp = tempfile::tempdir().unwrap();
    let start = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], "mqstore", "{line}");
        run(command().args(&words[1..]).current_dir(temp.path()))
    };
    let roots = [root.to_str().unwrap(), other.to_str().unwrap()];
    let mut commands: Vec<String> = roots
        .iter()
        .zip(["a.json", "b.json"])
        .map(|(root, file)| format!("mqstore snapshot {root} --digest=all -o {file}"))
        .collect();
    commands.push("mqstore diff a.json b.json".to_owned());
    let mut said = String::new();
    while let Some((comparison, snapshots)) = commands.split_last() {
        for snapshot in snapshots {
            assert_eq!(start(snapshot).code, 0, "{snapshot}");
        }
        let session = start(comparison);
        assert_eq!(session.code, 1, "{}", session.stderr);
        said += &["$ ", comparison, "\n"].concat();
        let told = |line: &&str| line.contains("part") || line.starts_with("next: ") || line.contains("differ");
        let told: Vec<&str> = session.stdout.lines().filter(told).collect();
        said += &(told.join("\n") + "\n\n");
        let next = told.iter().filter_map(|line| line.strip_prefix("next: "));
        commands = next.filter(|line| line.contains("range")).map(str::to_owned).collect();
    }
    assert_snapshot("diff-range", &said, &[(&root, "A"), (&other, "B")]);
    let found = |a: &Path, b: &Path| diff(a, b, &["--format=json"]).json()["commitlog"]["divergence"].clone();
    let [a, b] = ["a-range.json", "b-range.json"].map(|file| temp.path().join(file));
    let expected = json!({"physical_offset": 1_548_576, "exact": true, "record_offset": 1_526_038});
    let place = |found: &Value| {
        let kept = ["physical_offset", "exact", "record_offset"];
        kept.iter().map(|key| ((*key).to_owned(), found[key].clone())).collect::<serde_json::Map<_, _>>()
    };
    for (a, b) in [(&a, &b), (&a, &other), (&root, &b), (&root, &other)] {
        assert_eq!(Value::Object(place(&found(a, b))), expected, "{} {}", a.display(), b.display());
    }
}

#[test]
fn a_range_is_told_record_by_record_or_byte_by_byte_and_lies_inside_the_log() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let take = |range: &str| mqstore(&["snapshot", root.to_str().unwrap(), "--digest=none", "--range", range]);
    let rows = |range: &str| take(range).json()["commitlog"]["range"].clone();
    let records = rows("1500000..1530000");
    // The record at 1526038 is a big one, so it goes on in rows of 1 KiB.
    let big: Vec<_> = records["records"].as_array().unwrap().iter().filter(|row| row[1] == -1).collect();
    assert!(records["piece"] == 1024 && !big.is_empty(), "{records}");
    let bytes = rows("1526038..1526062");
    assert_eq!((&bytes["from"], &bytes["to"], &bytes["piece"]), (&json!(1_526_038), &json!(1_526_062), &json!(1)));
    assert_eq!(bytes["records"].as_array().unwrap().len(), 24);
    for outside in ["9000000..9000100", "3285572..3285600"] {
        let run = take(outside);
        assert_eq!(run.code, 2, "{outside}");
        assert!(run.stderr.contains("no record lies in"), "{}", run.stderr);
    }
    for wrong in ["5", "6..5", "5..5", "a..b"] {
        assert_eq!(take(wrong).code, 2, "{wrong}");
    }
}

#[test]
fn a_log_in_other_folders_is_compared_where_the_flags_say_it_lies() {
    let golden = shared("4.3.2-clean");
    let (_temp, moved) = broken("4.3.2-clean");
    let elsewhere = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| elsewhere.path().join(name));
    fs::create_dir(&two).unwrap();
    fs::rename(moved.join("commitlog"), &one).unwrap();
    let plain = diff(&golden.root(), &golden.root(), &["--format=json"]).json();
    let flags = |side: &str, dirs: &[&Path]| -> Vec<String> {
        dirs.iter().map(|dir| format!("--commitlog-{side}={}", dir.display())).collect()
    };
    let compared = |a: &Path, b: &Path, flags: &[String]| {
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--format=json"]).collect();
        diff(a, b, &flags)
    };
    let one_folder = compared(&golden.root(), &moved, &flags("b", &[&one]));
    // From 4.6.0 on a log may lie in several folders.
    fs::rename(one.join("00000000000001048576"), two.join("00000000000001048576")).unwrap();
    let two_folders = compared(&moved, &golden.root(), &flags("a", &[&one, &two]));
    for run in [one_folder, two_folders] {
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(run.json()["commitlog"], plain["commitlog"]);
    }
    let without = compared(&golden.root(), &moved, &[]);
    assert_ne!(without.code, 0, "a side without its log is not the same");
}

#[test]
fn offsets_of_light_queues_are_merged_into_the_file_that_such_a_broker_reads() {
    let golden = shared("5.3.3-lmq");
    let root = golden.root();
    let (temp, further) = broken("5.3.3-lmq");
    let path = further.join("config/lmqConsumerOffset.json");
    damage::replace_text(&path, "\"%LMQ%a@%LMQ%ga\":27", "\"%LMQ%a@%LMQ%ga\":1000000");
    damage::replace_text(&path, "\"%LMQ%b@GOther\":{0:5", "\"%LMQ%b@GOther\":{0:6");
    let file = temp.path().join("merged.json");
    let run = diff(&root, &further, &["--format=json", "--merge-offsets", file.to_str().unwrap()]);
    let merged = run.json()["merged_offsets"].clone();
    assert_eq!(merged["name"], "lmqConsumerOffset.json", "{}", run.stderr);
    let max = |topic: &str| truth("5.3.3-lmq")["queues"][topic]["0"]["max"].as_i64().unwrap();
    let changes: Vec<_> = merged["changes"].as_array().unwrap().iter().map(|c| (&c["key"], &c["merged"])).collect();
    let expected = [("%LMQ%b@GOther", 6.min(max("%LMQ%b"))), ("%LMQ%a@%LMQ%ga", max("%LMQ%a"))];
    let expected = expected.map(|(key, offset)| (json!(key), json!(offset)));
    assert_eq!(changes, expected.each_ref().map(|(key, offset)| (key, offset)), "no further than the broker's queues");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("\"lmqOffsetTable\":{\n\t\t\"%LMQ%a@%LMQ%ga\":"), "{text}");
    // Read back as part of a copy, both sides agree.
    fs::copy(&file, &path).unwrap();
    let rows = diff(&further, &further, &["--format=json"]).json();
    assert_eq!(rows["consumer_offsets"], json!([]), "no offset lies outside its queue");
}

#[test]
fn what_pull_consumers_fetched_is_compared_and_merged() {
    let golden = shared("5.5.0-clean");
    let (temp, behind) = broken("5.5.0-clean");
    let path = behind.join("config/consumerOffset.json");
    let pull = |offset: u64| format!("\"pullOffsetTable\":{{\n\t\t\"TPlain@GNormal\":{{\n\t\t\t0:{offset}");
    damage::replace_text(&path, &pull(15), &pull(14));
    let file = temp.path().join("merged.json");
    let flags = ["--format=json", "--merge-for=b", "--release=5.5.0", "--merge-offsets", file.to_str().unwrap()];
    let json = diff(&golden.root(), &behind, &flags).json();
    let row = &json["consumer_offsets"][0];
    assert_eq!(
        (&row["file"], &row["a"], &row["b"], &row["queue_id"]),
        (&json!("consumerOffset.json#pullOffsetTable"), &json!(15), &json!(14), &json!(0))
    );
    let changes = json!([{"table": "pullOffsetTable", "key": "TPlain@GNormal", "queue_id": 0, "target": 14, "other": 15, "merged": 15, "clamped": false}]);
    assert_eq!(json["merged_offsets"]["changes"], changes);
    let text = fs::read_to_string(&file).unwrap();
    let (_, pulled) = text.split_once("\"pullOffsetTable\":").unwrap();
    assert!(pulled.contains("\"TPlain@GNormal\":{\n\t\t\t0:15"), "{text}");
}

#[test]
fn an_area_that_is_ignored_is_named_and_gives_no_finding() {
    let golden = shared("4.3.2-pair");
    let (master, slave) = (golden.sub("master/store"), golden.sub("slave/store"));
    let paths = [
        ("log", "commitlog"),
        ("queues", "consumequeue"),
        ("offsets", "config/consumerOffset.json"),
        ("delay", "config/delayOffset.json"),
        ("config", "config/topics.json"),
    ];
    let findings = |json: &Value, path: &str| {
        let findings = json["findings"].as_array().unwrap().iter();
        findings
            .filter(|f| f["location"]["path"].as_str().unwrap().starts_with(path) && f["id"] != "pair.data-version")
            .count()
    };
    let whole = diff(&master, &slave, &["--format=json"]).json();
    for (area, path) in paths {
        assert!(findings(&whole, path) > 0, "{area}");
        let json = diff(&master, &slave, &["--format=json", "--ignore", area]).json();
        assert_eq!(findings(&json, path), 0, "{area}");
        let others = |json: &Value| {
            paths.iter().filter(|(other, _)| *other != area).map(|(_, path)| findings(json, path)).sum::<usize>()
        };
        assert_eq!(others(&json), others(&whole), "{area}");
        let skipped = json["coverage"]["skipped"].as_array().unwrap();
        assert!(skipped.contains(&json!({"what": area, "why": "ignored", "asked": true})), "{area}: {skipped:?}");
    }
}

#[test]
fn a_limit_counts_for_what_it_names_and_the_others_then_do_not() {
    let golden = shared("4.3.2-pair");
    let (master, slave) = (golden.sub("master/store"), golden.sub("slave/store"));
    // 703,928 bytes, 914 messages, 24.896 seconds; 318 messages in the queue that is furthest behind.
    for (args, code) in [
        (&["--max-lag-bytes=703928"][..], 1),
        (&["--max-lag-bytes=703928", "--ignore=config"], 0),
        (&["--max-lag-bytes=703927", "--ignore=config"], 1),
        (&["--max-lag-messages=914", "--ignore=config"], 0),
        (&["--max-lag-messages=913", "--ignore=config"], 1),
        (&["--max-lag-time=24896ms", "--ignore=config"], 0),
        (&["--max-lag-time=24895ms", "--ignore=config"], 1),
        (&["--max-lag-bytes=1MiB", "--max-lag-messages=1000", "--max-lag-time=1m", "--ignore=config"], 0),
        (&["--max-lag-bytes=1MiB", "--max-lag-messages=1000", "--max-lag-time=1s", "--ignore=config"], 1),
    ] {
        let stores = diff(&master, &slave, args);
        assert_eq!(stores.code, code, "{args:?}: {}", stores.stderr);
    }
    let (rocksdb, within) = (shared("5.3.3-rocksdb"), ["--max-lag-bytes=1GiB", "--max-lag-messages=1000000"]);
    assert_eq!(diff(&rocksdb.root(), &rocksdb.root(), &within).code, 3, "what is not read is within no limit");
    let waited = diff(&master, &slave, &["--max-lag-bytes=0", "--watch=1ms", "--timeout=2ms"]);
    assert_eq!(waited.code, 1, "{}", waited.stderr);
}
