//! `fleet`: one table of what was fetched from many brokers.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{assert_snapshot, broken, json_session, mqstore, shared};

/// The slave of the recorded pair was stopped while the master went on, and has not fetched what came into its config.
const WITHIN: [&str; 2] = ["--max-lag-bytes=1MiB", "--ignore=config,offsets,delay,queues"];

fn run(args: &[&str], paths: [&Path; 2]) -> i32 {
    let [store, file] = paths;
    let mut all: Vec<PathBuf> = args.iter().map(PathBuf::from).collect();
    all.extend([store.to_path_buf(), "--output".into(), file.to_path_buf()]);
    mqstore(&all).code
}

/// A master and its slave, each verified and with a snapshot, as a play that runs on both fetches them.
fn fetched() -> (tempfile::TempDir, PathBuf) {
    let golden = shared("4.3.2-pair");
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("fetched");
    for side in ["master", "slave"] {
        let folder = dir.join(format!("broker-a-{side}"));
        fs::create_dir_all(&folder).unwrap();
        let store = golden.sub(&format!("{side}/store"));
        assert_eq!(run(&["snapshot"], [&store, &folder.join("snapshot.json.zst")]), 0);
        assert_eq!(run(&["verify", "--format=json"], [&store, &folder.join("verify.json")]), 0);
    }
    (temp, dir)
}

fn fleet(dir: &Path, more: &[&str]) -> super::Run {
    let mut args = vec!["fleet", dir.to_str().unwrap()];
    args.extend(more);
    mqstore(&args)
}

#[test]
fn a_slave_that_lags_is_named_with_how_far_and_is_fine_within_the_limits() {
    let (_temp, dir) = fetched();
    let behind = fleet(&dir, &[]);
    assert_snapshot("fleet-behind", &behind.session(), &[(&dir, "DIR")]);
    let json = fleet(&dir, &["--format=json"]);
    let pair = &json.json()["pairs"][0];
    assert_eq!((pair["lag_messages"].as_u64(), pair["diverged_at"].is_null()), (Some(914), true), "{pair}");
    let within = fleet(&dir, &WITHIN);
    assert_eq!((within.code, within.stderr.as_str()), (0, ""), "{}", within.stdout);
    assert!(within.stdout.contains("nothing stands in the way"), "{}", within.stdout);
}

#[test]
fn the_damaged_broker_and_the_pair_that_parted_come_first() {
    let (_temp, dir) = fetched();
    let (_keep, store) = broken("4.3.2-clean");
    let log = store.join("commitlog/00000000000000000000");
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(&log, bytes).unwrap();
    let verify = run(&["verify", "--level=full", "--format=json"], [&store, &dir.join("broker-z.verify.json")]);
    assert_eq!(verify, 1);
    // The slave's store of another history, under the same name.
    let pair = shared("5.3.3-pair");
    let other = pair.sub("slave/store");
    let slave = dir.join("broker-a-slave/snapshot.json.zst");
    fs::remove_file(&slave).unwrap();
    assert_eq!(run(&["snapshot"], [&other, &slave]), 0);
    let run = fleet(&dir, &["--max-lag-bytes=1GiB"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    let line = |text: &str| run.stdout.lines().position(|line| line.starts_with(text));
    assert!(line("broker-z") < line("broker-a-master"), "{}", run.stdout);
    assert!(run.stdout.contains("PARTED"), "{}", run.stdout);
    let next: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with("next:")).collect();
    assert!(next[0].contains("stop no broker of broker-a-master and broker-a-slave"), "{next:?}");
    assert!(next[1].contains("broker-z: do not restart it"), "{next:?}");
}

#[test]
fn what_is_no_document_or_too_old_is_no_verdict() {
    let (_temp, dir) = fetched();
    let verify = dir.join("broker-a-slave/verify.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&verify).unwrap()).unwrap();
    document["generated_at"] = "2026-01-01T00:00:00Z".into();
    fs::write(&verify, document.to_string()).unwrap();
    assert_eq!(fleet(&dir, &WITHIN).code, 0);
    let old = fleet(&dir, &[WITHIN[0], WITHIN[1], "--max-age=24h"]);
    assert_eq!(old.code, 3);
    assert!(old.stdout.contains("older than allowed"), "{}", old.stdout);

    fs::write(dir.join("hosts.json"), "[]").unwrap();
    fs::write(dir.join("broker-a-slave/boot.json"), "{\"schema\":\"mqstore.boot\",\"schema_ve").unwrap();
    let strange = fleet(&dir, &[WITHIN[0], WITHIN[1], "--format=json"]);
    assert_eq!(strange.code, 3);
    let skipped: Vec<_> = strange.json()["skipped"].as_array().unwrap().iter().map(|s| s["file"].clone()).collect();
    assert_eq!(skipped, ["broker-a-slave/boot.json", "hosts.json"]);

    let empty = tempfile::tempdir().unwrap();
    assert_eq!(fleet(empty.path(), &[]).code, 3);
    assert_eq!(fleet(Path::new("/nowhere"), &[]).code, 2);
}

#[test]
fn the_document_of_a_fleet_has_brokers_pairs_and_what_is_next() {
    let (_temp, dir) = fetched();
    let run = fleet(&dir, &["--format=json"]);
    let mut text = json_session(&run);
    for broker in run.json()["brokers"].as_array().unwrap() {
        for document in broker["documents"].as_array().unwrap() {
            text = text.replace(document["generated_at"].as_str().unwrap(), "[then]");
        }
    }
    assert_snapshot("fleet-json", &text, &[(&dir, "DIR")]);
}
