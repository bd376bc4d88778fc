//! `snapshot`.

use std::fs;
use std::path::Path;

use mqstore_testkit::{fingerprint, truth_lines};

use super::{assert_snapshot, broken, json_session, mqstore, shared};

#[test]
fn the_document_of_representative_stores() {
    for (archive, root) in [("4.3.2-clean", "store"), ("4.3.2-pair", "slave/store"), ("5.3.3-clean", "store")] {
        let golden = shared(archive);
        let root = golden.sub(root);
        let run = mqstore(&["snapshot".as_ref(), root.as_os_str()]);
        assert_eq!(run.stdout.lines().count(), 1, "one line: for programs");
        assert_snapshot(&format!("snapshot-{archive}"), &json_session(&run), &[(&root, "STORE")]);
    }
}

#[test]
fn it_says_what_the_brokers_own_classes_said() {
    let golden = shared("4.3.2-pair");
    let root = golden.sub("slave/store");
    let json = mqstore(&["snapshot".as_ref(), root.as_os_str()]).json();
    let truth = truth_lines("4.3.2-pair.slave");
    let end = truth.iter().find(|line| line["k"] == "end").unwrap();
    let file: u64 = end["file"].as_str().unwrap().parse().unwrap();
    assert_eq!(json["commitlog"]["max_offset"], file + end["pos"].as_u64().unwrap());
    let offsets = truth.iter().find(|line| line["k"] == "config" && line["file"] == "consumerOffset.json").unwrap();
    assert_eq!(json["consumer_offsets"], offsets["json"]["offsetTable"]);
}

#[test]
fn a_file_is_the_same_document_packed_if_its_name_says_so() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let root = root.to_str().unwrap();
    let temp = tempfile::tempdir().unwrap();
    let [plain, packed] = ["s.json", "s.json.zst"].map(|name| temp.path().join(name));
    for path in [&plain, &packed] {
        let run = mqstore(&["snapshot", root, "-o", path.to_str().unwrap()]);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""));
        assert!(
            run.stderr.ends_with("log 0 to 3,285,572, digests of 2 of 4 log files, 39 queues, 20 consumer offsets\n")
        );
    }
    let without_time = |text: &str| {
        let mut json: serde_json::Value = serde_json::from_str(text).unwrap();
        json.as_object_mut().unwrap().remove("generated_at").unwrap();
        json
    };
    // The tool of the format's makers unpacks it.
    let unpacked = std::process::Command::new("zstd").arg("-dc").arg(&packed).output().unwrap();
    assert!(unpacked.status.success());
    let unpacked = String::from_utf8(unpacked.stdout).unwrap();
    assert_eq!(without_time(&unpacked), without_time(&fs::read_to_string(&plain).unwrap()));
    assert!(fs::metadata(&packed).unwrap().len() < fs::metadata(&plain).unwrap().len());
}

#[test]
fn digests_cover_what_was_asked_for() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let files = |digest: &str| {
        let args = ["snapshot", root.to_str().unwrap(), "--digest", digest, "--chunk", "256KiB"];
        let json = mqstore(&args).json();
        let files = json["commitlog"]["files"].as_array().unwrap().clone();
        let chunks = json["commitlog"]["chunks"].as_array().unwrap().len();
        (files.iter().filter(|file| !file["digest"].is_null()).count(), chunks)
    };
    // Three whole files of 1 MiB, and 139,844 bytes of the fourth.
    assert_eq!(files("all"), (4, 13));
    assert_eq!(files("last:1"), (1, 1));
    assert_eq!(files("none"), (0, 0));
}

#[test]
fn the_brokers_configuration_tells_who_it_is() {
    let golden = shared("4.3.2-pair");
    let (root, conf) = (golden.sub("slave/store"), golden.sub("slave/broker.conf"));
    let json = mqstore(&["snapshot".as_ref(), root.as_os_str(), "-c".as_ref(), conf.as_os_str()]).json();
    let identity = serde_json::json!({"cluster": "LabCluster", "broker": "broker-a", "broker_id": 1});
    assert_eq!(json["identity"], identity);
}

#[test]
fn what_is_not_read_is_named_and_gives_3() {
    for (archive, named) in [("5.3.3-rocksdb", "RocksDB"), ("4.9.7-dledger", "DLedger")] {
        let run = mqstore(&["snapshot".as_ref(), shared(archive).root().as_os_str()]);
        assert_eq!(run.code, 3, "{archive}");
        assert!(run.stderr.contains(named), "{archive}: {}", run.stderr);
        assert_eq!(run.json()["exit"]["code"], 3);
    }
    let (_temp, root) = broken("4.3.2-clean");
    fs::remove_dir_all(root.join("commitlog")).unwrap();
    assert_eq!(mqstore(&["snapshot".as_ref(), root.as_os_str()]).code, 3);
}

#[test]
fn it_is_never_written_into_the_store_and_wrong_usage_is_2() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let before = fingerprint(&root);
    let inside = root.join("s.json");
    let code = |args: &[&Path]| mqstore(&[&[Path::new("snapshot"), &root], args].concat()).code;
    assert_eq!(code(&["-o".as_ref(), &inside]), 4);
    for wrong in ["--digest=some", "--digest=last:0", "--chunk=16MB", "--chunk=0"] {
        assert_eq!(code(&[wrong.as_ref()]), 2, "{wrong}");
    }
    assert_eq!(fingerprint(&root), before);
}
