//! `inspect commitlog`.

use std::collections::BTreeMap;

use mqstore_testkit::{truth, truth_lines};
use serde_json::{Value, json};

use super::{REPRESENTATIVE, Run, assert_snapshot, mqstore, shared};

fn records(run: &Run) -> Vec<Value> {
    run.ndjson().into_iter().filter(|line| line["type"] == "record").collect()
}

fn ndjson(root: &std::path::Path, flags: &[&str]) -> Run {
    let mut args = vec!["inspect", "commitlog", "--format=ndjson", root.to_str().unwrap()];
    args.extend_from_slice(flags);
    mqstore(&args)
}

#[test]
fn every_record_is_what_the_brokers_own_decoder_reads() {
    for (archive, root, name) in [
        ("3.2.6-clean", "store", "3.2.6-clean"),
        ("3.5.8-killed", "store", "3.5.8-killed"),
        ("4.3.2-clean", "store", "4.3.2-clean"),
        ("4.3.2-pair", "slave/store", "4.3.2-pair.slave"),
        ("5.3.3-clean", "store", "5.3.3-clean"),
        ("5.3.3-v6mix", "store", "5.3.3-v6mix"),
    ] {
        let golden = shared(archive);
        let run = ndjson(&golden.sub(root), &[]);
        let (lines, truth) = (run.ndjson(), truth_lines(name));
        let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
        let true_of = |kind: &str| truth.iter().filter(|line| line["k"] == kind).collect::<Vec<_>>();
        let (found, expected) = (of("record"), true_of("rec"));
        assert_eq!(found.len(), expected.len(), "{name}");
        for (record, truth) in found.iter().zip(expected) {
            for (ours, theirs) in [
                ("physical_offset", "off"),
                ("total_size", "storeSize"),
                ("topic", "topic"),
                ("queue_id", "queueId"),
                ("queue_offset", "queueOffset"),
                ("flag", "flag"),
                ("sys_flag", "sysFlag"),
                ("born_timestamp", "bornTimestamp"),
                ("store_timestamp", "storeTimestamp"),
                ("reconsume_times", "reconsumeTimes"),
                ("prepared_transaction_offset", "preparedTransactionOffset"),
                ("body_crc", "bodyCRC"),
                ("body_length", "bodyLength"),
            ] {
                assert_eq!(record[ours], truth[theirs], "{name} at {}: {ours}", truth["off"]);
            }
            assert_eq!(record["properties"], truth["properties"], "{name} at {}", truth["off"]);
        }
        let blanks = of("blank").iter().map(|b| b["physical_offset"].clone()).collect::<Vec<_>>();
        assert_eq!(blanks, true_of("blank").iter().map(|b| b["off"].clone()).collect::<Vec<_>>(), "{name}");
        let summary = lines.last().unwrap();
        assert_eq!(summary["type"], "summary");
        assert_eq!(summary["records"], found.len());
    }
}

#[test]
fn streams_end_with_exactly_one_summary_that_tells_the_exit_code() {
    for (archive, root, _) in mqstore_testkit::STORES {
        let golden = shared(archive);
        for command in ["commitlog", "queues", "index", "checkpoint", "config", "offsets"] {
            let root = golden.sub(root);
            let run = mqstore(&["inspect", command, root.to_str().unwrap(), "--format=ndjson"]);
            let lines = run.ndjson();
            let summaries = lines.iter().filter(|line| line["type"] == "summary").count();
            assert_eq!((summaries, &lines.last().unwrap()["type"]), (1, &json!("summary")), "{archive} {command}");
            assert_eq!(lines.last().unwrap()["exit"]["code"], run.code, "{archive} {command}");
            assert!(lines.iter().all(|line| line["type"].is_string()), "{archive} {command}");
        }
    }
}

#[test]
fn json_holds_the_same_records_as_ndjson() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let json = mqstore(&["inspect", "commitlog", root.to_str().unwrap(), "--format=json", "--topic=GoldUni"]).json();
    assert_eq!(json["schema"], "mqstore.inspect.commitlog");
    assert_eq!(json["entries"], Value::from(records(&ndjson(&root, &["--topic=GoldUni"]))));
    assert_eq!(json["records"], 332);
    assert_eq!(json["exit"]["code"], 0);
}

#[test]
fn filters_take_what_they_say_and_nothing_else() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let truth: Vec<Value> = truth_lines("4.3.2-clean").into_iter().filter(|line| line["k"] == "rec").collect();
    let expect = |flags: &[&str], takes: &dyn Fn(&Value) -> bool| {
        let run = ndjson(&root, flags);
        let found: Vec<Value> = records(&run).iter().map(|record| record["physical_offset"].clone()).collect();
        let expected: Vec<Value> = truth.iter().filter(|rec| takes(rec)).map(|rec| rec["off"].clone()).collect();
        assert!(!expected.is_empty(), "{flags:?} shows nothing, the test is empty");
        assert_eq!(found, expected, "{flags:?}");
        assert_eq!(run.code, 0, "{flags:?}");
    };
    let topic = |rec: &Value, name: &str| rec["topic"] == name;
    let number = |rec: &Value, name: &str| rec[name].as_i64().unwrap();
    let keys = |rec: &Value| rec["properties"]["KEYS"].as_str().unwrap_or_default().to_owned();
    expect(&["--topic=GoldEight"], &|rec| topic(rec, "GoldEight"));
    expect(&["--topic=GoldE*,GoldUn?"], &|rec| topic(rec, "GoldEight") || topic(rec, "GoldUni"));
    expect(&["--topic=GoldEight", "--queue=3", "--queue=5"], &|rec| {
        topic(rec, "GoldEight") && [3, 5].contains(&number(rec, "queueId"))
    });
    expect(&["--tag=标签*"], &|rec| rec["properties"]["TAGS"].as_str().is_some_and(|tag| tag.starts_with("标签")));
    expect(&["--key=user2?"], &|rec| {
        keys(rec).split(' ').any(|key| key.chars().count() == 6 && key.starts_with("user2"))
    });
    let unique = truth[1234]["properties"]["UNIQ_KEY"].as_str().unwrap();
    expect(&[&format!("--key={unique}")], &|rec| rec["properties"]["UNIQ_KEY"] == unique);
    let (from, to) = (truth[1000]["off"].as_u64().unwrap(), truth[1010]["off"].as_u64().unwrap());
    expect(&[&format!("--from-offset={from}"), &format!("--to-offset={to}")], &|rec| {
        (from..to).contains(&rec["off"].as_u64().unwrap())
    });
    let (since, until) = (number(&truth[2000], "storeTimestamp"), number(&truth[2500], "storeTimestamp"));
    expect(&[&format!("--since={since}"), &format!("--until={until}")], &|rec| {
        (since..until).contains(&number(rec, "storeTimestamp"))
    });
    expect(&["--limit=3", "--topic=GoldOne"], &|rec| topic(rec, "GoldOne") && number(rec, "queueOffset") < 3);
}

#[test]
fn bodies_are_shown_only_when_asked_for_and_in_three_forms() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let of = |flags: &[&str]| records(&ndjson(&root, flags));
    let stored = of(&["--topic=GoldZip"]);
    assert!(stored.iter().all(|record| record.get("body").is_none()));
    let hex = of(&["--topic=GoldZip", "--body=hex"]);
    let text = of(&["--topic=GoldZip", "--body=text"]);
    let base64 = of(&["--topic=GoldOne", "--body=base64", "--limit=1"]);
    for (hex, text) in hex.iter().zip(&text) {
        assert_eq!(hex["body"].as_str().unwrap().len() as u64, 2 * hex["body_length"].as_u64().unwrap());
        assert!(hex["body"].as_str().unwrap().starts_with("78"), "zlib as stored");
        assert!(text["body"].as_str().unwrap().len() as u64 > text["body_length"].as_u64().unwrap(), "unpacked");
    }
    assert_eq!(base64[0]["body"], "YmF0Y2ggd2VzdCBzdG9jayBwYWlkIGdhbW1hIHByaWNlIGRlbHRhIA==");
}

#[test]
fn a_single_file_is_read_by_its_own() {
    let golden = shared("4.3.2-clean");
    let file = golden.root().join("commitlog/00000000000001048576");
    let run = ndjson(&file, &[]);
    let offsets: Vec<u64> = records(&run).iter().map(|record| record["physical_offset"].as_u64().unwrap()).collect();
    let truth = truth_lines("4.3.2-clean");
    let offset = |line: &&Value| line["off"].as_u64().filter(|off| (1_048_576..2_097_152).contains(off));
    let expected: Vec<u64> = truth.iter().filter(|line| line["k"] == "rec").filter_map(|line| offset(&line)).collect();
    assert_eq!(offsets, expected);
    assert_eq!(run.code, 0);
}

#[test]
fn an_offset_inside_a_record_leads_to_the_next_one_and_that_is_said() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let run = mqstore(&["inspect", "commitlog", root.to_str().unwrap(), "--from-offset=200", "--limit=2"]);
    assert_snapshot("commitlog-resync", &run.session(), &[(&root, "STORE")]);
}

#[test]
fn text_of_the_first_and_last_records() {
    for (archive, root) in REPRESENTATIVE {
        let golden = shared(archive);
        let root = golden.sub(root);
        let run = mqstore(&["inspect", "commitlog", root.to_str().unwrap()]);
        let lines: Vec<&str> = run.stdout.lines().collect();
        let (first, last) = (lines.iter().take(4), lines.iter().rev().take(5).rev());
        let abridged: Vec<&str> = first.chain(&["..."]).chain(last).copied().collect();
        let stdout = if lines.len() > 9 { abridged.join("\n") + "\n" } else { run.stdout.clone() };
        let abridged = Run { code: run.code, stdout, stderr: run.stderr };
        assert_snapshot(&format!("commitlog-{archive}"), &abridged.session(), &[(&root, "STORE")]);
    }
}

#[test]
fn a_torn_tail_is_a_note_and_garbage_is_damage() {
    let (_temp, root) = super::broken("4.3.2-clean");
    let end = 3_285_572 - 3_145_728;
    let file = root.join("commitlog/00000000000003145728");
    let mut bytes = std::fs::read(&file).unwrap();
    // The length and magic code of a record that never came to disk.
    bytes[end..end + 8].copy_from_slice(&[0, 0, 1, 0, 0xDA, 0xA3, 0x20, 0xA7]);
    std::fs::write(&file, &bytes).unwrap();
    let torn = mqstore(&["inspect", "commitlog", root.to_str().unwrap(), "--from-offset=3285000"]);
    assert_snapshot("commitlog-torn", &torn.session(), &[(&root, "STORE")]);
    bytes[end..end + 64].copy_from_slice(&[0x55; 64]);
    std::fs::write(&file, &bytes).unwrap();
    let garbage = mqstore(&["inspect", "commitlog", root.to_str().unwrap(), "--from-offset=3285000"]);
    assert_snapshot("commitlog-garbage", &garbage.session(), &[(&root, "STORE")]);
    let live =
        mqstore(&["inspect", "commitlog", root.to_str().unwrap(), "--live", "--limit=1", "--from-offset=3285191"]);
    assert_eq!(live.code, 0, "the limit ends before the garbage");
    let live = mqstore(&["inspect", "commitlog", root.to_str().unwrap(), "--live"]);
    assert_eq!(live.code, 3, "a running broker may be writing there");
}

#[test]
fn records_behind_a_bad_one_are_counted_and_can_be_shown() {
    let (_temp, root) = super::broken("4.3.2-clean");
    let file = root.join("commitlog/00000000000003145728");
    let mut bytes = std::fs::read(&file).unwrap();
    let truth: Vec<u64> =
        truth_lines("4.3.2-clean").iter().filter(|l| l["k"] == "rec").map(|l| l["off"].as_u64().unwrap()).collect();
    let (bad, next) = (truth[3700], truth[3701]);
    bytes[usize::try_from(bad).unwrap() - 3_145_728] = 0x7F;
    std::fs::write(&file, &bytes).unwrap();
    let run = ndjson(&root, &[]);
    let summary = run.ndjson().pop().unwrap();
    assert_eq!((run.code, &summary["records"], &summary["end"]), (1, &json!(3700), &json!("garbage")));
    assert_eq!(summary["stale"], json!({"first": next, "end": 3_285_572, "records": truth.len() - 3701}));
    assert!(run.stderr.contains(&format!("--from-offset {next}")), "{}", run.stderr);
    let behind = ndjson(&root, &[&format!("--from-offset={next}")]);
    assert_eq!((behind.code, records(&behind).len()), (0, truth.len() - 3701));
}

#[test]
fn what_matches_nothing_is_an_error_that_names_it() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let mut text = BTreeMap::new();
    for flags in [
        "--topic=Nothing",
        "--topic=GoldOne,Nothing*",
        "--queue=77",
        "--topic=GoldOne --tag=T1",
        "--key=no-such-key",
        "--since=2030-01-01T00:00:00Z",
        "--from-offset=99999999",
    ] {
        let args: Vec<&str> =
            ["inspect", "commitlog", root.to_str().unwrap()].into_iter().chain(flags.split(' ')).collect();
        let run = mqstore(&args);
        assert_eq!(run.code, 2, "{flags}");
        text.insert(flags, run.stderr);
    }
    let text: Vec<String> = text.iter().map(|(flags, stderr)| format!("{flags}\n{stderr}\n")).collect();
    let text = text.concat();
    assert_snapshot("commitlog-nothing-matches", &text, &[(&root, "STORE")]);
}

#[test]
fn the_number_of_records_is_what_was_recorded() {
    let golden = shared("5.3.3-clean");
    let summary = ndjson(&golden.root(), &[]).ndjson().pop().unwrap();
    let counts = &truth("5.3.3-clean")["counts"]["store"];
    assert_eq!((&summary["records"], &summary["blanks"]), (&counts["rec"], &counts["blank"]));
}
