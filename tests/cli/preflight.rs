//! `preflight`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Run, abridged, assert_snapshot, broken, mqstore, shared};

fn preflight(root: &Path, from: &str, to: &str, more: &[&str]) -> Run {
    let mut args = vec!["preflight", root.to_str().unwrap(), "--from", from, "--to", to];
    args.extend(more);
    mqstore(&args)
}

/// What a run gave, without what it says of the disk of the machine that runs the tests.
fn without_disk(run: &Run) -> String {
    let mut kept = Vec::new();
    let mut of_disk = false;
    for line in run.session().lines() {
        of_disk = line.contains(" store.disk ") && line.contains(" %") || of_disk && line.starts_with("             ");
        if !of_disk {
            kept.push(line.replace("store.disk            ", ""));
        }
    }
    kept.join("\n") + "\n"
}

fn json_without_disk(run: &Run) -> String {
    let mut json = run.json();
    json["findings"].as_array_mut().unwrap().retain(|line| line["id"] != "store.disk");
    let lines: Vec<Value> = json["findings"].as_array().unwrap().iter().map(abridged).collect();
    let mut json = abridged(&json);
    json["findings"] = lines.into();
    let stdout = serde_json::to_string_pretty(&json).unwrap() + "\n";
    Run { code: run.code, stdout, stderr: run.stderr.clone() }.session()
}

fn assert_snapshots(name: &str, root: &Path, (from, to): (&str, &str), more: &[&str], folders: &[(&Path, &str)]) {
    let folders = [folders, &[(root, "STORE")]].concat();
    let text = preflight(root, from, to, more);
    assert_snapshot(&format!("preflight-{name}"), &without_disk(&text), &folders);
    let run = preflight(root, from, to, &[more, &["--format=json"]].concat());
    assert_snapshot(&format!("preflight-{name}-json"), &json_without_disk(&run), &folders);
}

#[test]
fn the_upgrade_of_the_story_is_told_on_one_screen() {
    let golden = shared("3.5.8-clean");
    let (root, home, conf) = (golden.root(), golden.sub("home"), golden.sub("broker.conf"));
    let more = ["--home", home.to_str().unwrap(), "--old-conf", conf.to_str().unwrap(), "--name-server", "3.5.8"];
    let folders: [(&Path, &str); 2] = [(&home, "HOME"), (&conf, "CONF")];
    assert_snapshots("up", &root, ("3.5.8", "4.3.2"), &more, &folders);
}

#[test]
fn a_way_back_that_cuts_the_log_is_told() {
    let golden = shared("5.3.3-clean");
    let (root, conf) = (golden.root(), golden.sub("broker.conf"));
    let more = ["--old-conf", conf.to_str().unwrap()];
    assert_snapshots("down", &root, ("5.3.3", "4.9.7"), &more, &[(&conf, "CONF")]);
}

#[test]
fn without_a_configuration_there_is_no_verdict() {
    assert_snapshots("no-conf", &shared("4.9.7-clean").root(), ("4.9.7", "5.3.3"), &[], &[]);
}

#[test]
fn a_failed_line_is_1_a_warning_0_or_1_as_asked_and_what_was_not_checked_3() {
    let golden = shared("4.3.2-clean");
    let (root, conf) = (golden.root(), golden.sub("broker.conf"));
    let temp = tempfile::tempdir().unwrap();
    let new = temp.path().join("new.conf");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&new, text.clone() + "mappedFileSizeCommitLog=1048576\nmappedFileSizeConsumeQueue=20000\n").unwrap();
    let (old, new) = (conf.to_str().unwrap(), new.to_str().unwrap());
    let both = ["--old-conf", old, "--new-conf", new];
    let code = |more: &[&str]| preflight(&root, "4.3.2", "4.9.7", more).code;
    assert_eq!(code(&both), 0);
    assert_eq!(code(&[&both[..], &["--fail-on", "warning"]].concat()), 1);
    assert_eq!(code(&["--old-conf", old]), 1);
    assert_eq!(code(&[]), 3);
    let refused = preflight(&root, "4.3.2", "4.9.7", &["--old-conf", old]);
    assert!(refused.stdout.starts_with("FAIL: 4.3.2 to 4.9.7: "), "{}", refused.stdout);
    assert!(refused.stderr.contains("first: boot.start: 4.9.7 refuses to start"), "{}", refused.stderr);
}

#[test]
fn releases_that_are_not_known_or_the_same_are_refused() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let mut text = String::new();
    for (from, to) in [("4.3.7", "4.9.7"), ("4.3.2", "6.0.0"), ("4.3.2", "4.3.2")] {
        text += &preflight(&root, from, to, &[]).session();
    }
    text += &preflight(&root, "4.3.2", "4.9.7", &["--name-server", "4.3"]).session();
    assert_snapshot("preflight-unknown-release", &text, &[(&root, "STORE")]);
}

#[test]
fn the_pair_is_a_snapshot() {
    let golden = shared("4.3.2-pair");
    let (master, slave) = (golden.sub("master/store"), golden.sub("slave/store"));
    let temp = tempfile::tempdir().unwrap();
    let taken = temp.path().join("slave.json.zst");
    assert_eq!(mqstore(&["snapshot", slave.to_str().unwrap(), "-o", taken.to_str().unwrap()]).code, 0);
    let json = preflight(&master, "4.3.2", "4.9.7", &["--pair", taken.to_str().unwrap(), "--format=json"]).json();
    let line = json["findings"].as_array().unwrap().iter().find(|line| line["id"] == "pair.limits").unwrap();
    assert_eq!(line["status"], "warn", "{line}");
    let waits = json["plan"].as_array().unwrap().iter().filter_map(|step| step["command"].as_str());
    let wait = waits.into_iter().find(|command| command.starts_with("mqstore diff")).unwrap().to_owned();
    assert!(wait.ends_with("--watch 5s") && wait.contains(taken.to_str().unwrap()), "{wait}");
    let folder = preflight(&master, "4.3.2", "4.9.7", &["--pair", slave.to_str().unwrap()]);
    assert_eq!(folder.code, 2);
    assert!(folder.stderr.contains("expected a snapshot"), "{}", folder.stderr);
}

#[test]
fn the_commands_of_the_plan_can_be_typed() {
    let golden = shared("3.5.8-upgraded-4.3.2");
    let (root, home, conf) = (golden.root(), golden.sub("home"), golden.sub("broker.conf"));
    let more = ["--home", home.to_str().unwrap(), "--old-conf", conf.to_str().unwrap(), "--format=json"];
    let json = preflight(&root, "4.3.2", "3.5.8", &more).json();
    let commands = json["plan"].as_array().unwrap().iter().filter_map(|step| step["command"].as_str());
    let temp = tempfile::tempdir().unwrap();
    let mut typed = 0;
    for command in commands.filter(|command| command.starts_with("mqstore ")) {
        // Folders that people put in, and names relative to where they are.
        let command = command.replace("BACKUP_DIR", temp.path().to_str().unwrap());
        let command = command.replace("before.json.zst", temp.path().join("before.json.zst").to_str().unwrap());
        let run = mqstore(&command.split(' ').skip(1).collect::<Vec<_>>());
        assert!(run.code <= 1, "{command}: {}", run.stderr);
        typed += 1;
    }
    assert!(typed >= 4, "{typed}");
}

#[test]
fn each_line_is_an_object_of_its_own_as_ndjson_and_an_answer_never_goes_into_the_store() {
    let (_temp, root) = broken("4.3.2-clean");
    let lines = preflight(&root, "4.3.2", "4.9.7", &["--format=ndjson"]).ndjson();
    let (last, findings) = lines.split_last().unwrap();
    assert_eq!(
        (&last["type"], &last["schema"], &last["exit"]["code"]),
        (&json!("summary"), &json!("mqstore.preflight"), &json!(3))
    );
    assert!(last["findings"].is_null() && last["way_back"].is_object());
    assert!(findings.len() > 20 && findings.iter().all(|line| line["type"] == "finding" && line["status"].is_string()));
    let inside = root.join("config/answer");
    assert_eq!(preflight(&root, "4.3.2", "4.9.7", &["-o", inside.to_str().unwrap()]).code, 4);
    assert!(!inside.exists());
}

#[test]
fn releases_and_files_can_be_given_by_the_environment() {
    let golden = shared("4.3.2-clean");
    let conf = golden.sub("broker.conf");
    let by_flags = preflight(&golden.root(), "4.3.2", "4.9.7", &["--new-conf", conf.to_str().unwrap()]);
    let mut command = super::command();
    command.arg("preflight").arg(golden.root());
    command.envs([("MQSTORE_FROM", "4.3.2"), ("MQSTORE_TO", "4.9.7"), ("MQSTORE_NEW_CONF", conf.to_str().unwrap())]);
    let by_environment = super::run(&mut command);
    assert_eq!(without_disk(&by_environment), without_disk(&by_flags));
    for (name, value) in [
        ("MQSTORE_NAME_SERVER", "x"),
        ("MQSTORE_PAIR", "/nowhere"),
        ("MQSTORE_OLD_CONF", "/nowhere"),
        ("MQSTORE_MAX_LAG_BYTES", "x"),
        ("MQSTORE_FAIL_ON", "x"),
    ] {
        assert_eq!(super::run(command.env(name, value)).code, 2, "{name}");
        command.env_remove(name);
    }
}
