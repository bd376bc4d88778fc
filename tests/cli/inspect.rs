//! `inspect STORE`.

use std::os::fd::AsFd;

use serde_json::json;

use super::{REPRESENTATIVE, assert_snapshot, assert_snapshots, mqstore, shared};

#[test]
fn the_overview_of_representative_stores() {
    for (archive, root) in REPRESENTATIVE {
        let golden = shared(archive);
        let name = format!("overview-{archive}{}", if root.contains('/') { "-slave" } else { "" });
        assert_snapshots(&name, &golden, root, &["inspect", "STORE"]);
    }
}

#[test]
fn with_the_home_folder_topics_and_groups_of_3_5_8_are_there() {
    let golden = shared("3.5.8-clean");
    let (root, home) = (golden.root(), golden.sub("home"));
    let run =
        mqstore(&["inspect".as_ref(), root.as_os_str(), "--home".as_ref(), home.as_os_str(), "--format=json".as_ref()]);
    let json = run.json();
    // As the release's own fastjson read them: dir 1 is home/store/config.
    let truth = mqstore_testkit::truth_lines("3.5.8-clean");
    let config = |file: &str, table: &str| {
        let line = truth.iter().find(|l| l["k"] == "config" && l["file"] == file && l["dir"] == 1);
        line.map(|line| line["json"][table].as_object().unwrap().len()).unwrap()
    };
    assert_eq!(json["topics"].as_array().unwrap().len(), config("topics.json", "topicConfigTable"));
    assert_eq!(json["groups"].as_array().unwrap().len(), config("subscriptionGroup.json", "subscriptionGroupTable"));
}

#[test]
fn with_the_brokers_configuration_its_paths_are_followed() {
    let golden = shared("3.5.8-clean");
    let temp = tempfile::tempdir().unwrap();
    let root = golden.root();
    let conf = std::fs::read_to_string(golden.sub("broker.conf")).unwrap();
    let conf = conf.replace("/data/rocketmq/store", root.to_str().unwrap());
    let conf_path = temp.path().join("broker.conf");
    std::fs::write(&conf_path, conf).unwrap();
    let home = golden.sub("home");
    let args = ["inspect", "-c", conf_path.to_str().unwrap(), "--home", home.to_str().unwrap(), "--format=json"];
    let by_conf = mqstore(&[args.as_slice(), &["--release", "3.5.8"]].concat()).json();
    assert_eq!(by_conf["store"]["root"], root.to_str().unwrap());
    assert_eq!(by_conf["commitlog"]["max_offset"], 3_232_786);
    assert!(by_conf["topics"].as_array().unwrap().len() > 10, "3.5.8 keeps them in its home");
    let as_4_3_2 = mqstore(&[args.as_slice(), &["--release", "4.3.2"]].concat()).json();
    assert_eq!(as_4_3_2["topics"], json!([]), "4.3.2 looks below its root only");
}

#[test]
fn a_running_broker_is_seen_by_its_lock() {
    let (_temp, root) = super::broken("4.3.2-clean");
    let lock = std::fs::File::options().write(true).open(root.join("lock")).unwrap();
    rustix::fs::fcntl_lock(lock.as_fd(), rustix::fs::FlockOperation::LockExclusive).unwrap();
    let run = mqstore(&["inspect".as_ref(), root.as_os_str()]);
    assert_eq!(run.code, 0);
    let first = run.stdout.lines().next().unwrap();
    assert!(first.ends_with(&format!("a broker runs on it (pid {})", std::process::id())), "{first}");
    let json = mqstore(&["inspect".as_ref(), root.as_os_str(), "--format=json".as_ref()]).json();
    assert_eq!(json["store"]["lock"], json!({"state": "held", "pid": std::process::id()}));
}

#[test]
fn what_no_broker_makes_is_named() {
    let (_temp, root) = super::broken("4.3.2-clean");
    for path in
        ["notes.txt", "commitlog/.snapshot", "consumequeue/GoldOne/0/copy", "index/old", "config/topics.json.orig"]
    {
        std::fs::write(root.join(path), "x").unwrap();
    }
    let json = mqstore(&["inspect".as_ref(), root.as_os_str(), "--format=json".as_ref()]).json();
    let expected =
        ["commitlog/.snapshot", "config/topics.json.orig", "consumequeue/GoldOne/0/copy", "index/old", "notes.txt"];
    assert_eq!(json["foreign"], json!(expected));
    let run = mqstore(&["inspect".as_ref(), root.as_os_str()]);
    assert_snapshot("overview-foreign", &run.session(), &[(&root, "STORE")]);
}

#[test]
fn every_line_of_the_overview_fits_a_screen_and_there_are_not_many() {
    for (archive, root, _) in mqstore_testkit::STORES {
        let golden = shared(archive);
        let run = mqstore(&["inspect".as_ref(), golden.sub(root).as_os_str()]);
        assert!(run.stdout.lines().count() <= 25, "{archive}: {}", run.stdout);
        assert!(!run.stdout.contains('\u{1b}'), "{archive}: colors without a terminal");
    }
}

#[test]
fn the_brokers_configuration_is_held_against_its_files() {
    let golden = shared("4.3.2-clean");
    let (root, conf) = (golden.root(), golden.sub("broker.conf"));
    let args = ["inspect", root.to_str().unwrap(), "-c", conf.to_str().unwrap()];
    // The file spells its size keys as brokers up to 4.5.1 read them.
    let run = mqstore(&[&args[..], &["--format", "json"]].concat());
    assert_eq!(run.json()["broker_conf"]["differences"].as_array().unwrap().len(), 0, "{}", run.session());
    let later = mqstore(&[&args[..], &["--format", "json", "--release", "4.9.7"]].concat()).json();
    let differences = later["broker_conf"]["differences"].as_array().unwrap();
    assert_eq!(differences[0]["what"], "commit log file");
    assert_eq!((&differences[0]["configured"], &differences[0]["found"]), (&(1 << 30).into(), &(1 << 20).into()));
    let keys: Vec<_> = later["broker_conf"]["notes"].as_array().unwrap().iter().map(|note| &note["key"]).collect();
    assert!(keys.contains(&&"mapedFileSizeCommitLog".into()), "{keys:?}");

    let other = tempfile::tempdir().unwrap();
    let wrong = other.path().join("broker.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&wrong, text.replace("maxHashSlotNum=500", "maxHashSlotNum=700") + "storePathIndex=/elsewhere\n")
        .unwrap();
    let text = mqstore(&["inspect", root.to_str().unwrap(), "-c", wrong.to_str().unwrap()]);
    assert_snapshot("inspect-broker-conf", &text.session(), &[(&root, "STORE")]);
}
