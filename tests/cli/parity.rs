//! `diff`: whatever a side is given as, store, snapshot or archive, the verdict is the same as far as it goes.

use std::path::{Path, PathBuf};

use mqstore_testkit::{truth, truth_lines};
use serde_json::{Value, json};

use super::{mqstore, shared};

/// What the brokers' own classes said of a log.
struct Truth {
    end: u64,
    /// Where the last record begins that is known, and when it was stored.
    records: Vec<(u64, i64)>,
    count: u64,
}

/// A side as it was recorded.
struct Recorded {
    store: PathBuf,
    home: Option<PathBuf>,
    truth: Truth,
}

impl Recorded {
    /// The side as a snapshot or an archive in `dir`, or as it is.
    fn given_as(&self, form: &str, dir: &Path, name: &str) -> PathBuf {
        let mut command = match form {
            "snapshot" => vec!["snapshot", "--digest=all"],
            "archive" => vec!["backup", "create"],
            _ => return self.store.clone(),
        };
        let file = dir.join(format!("{name}.{form}"));
        command.extend([self.store.to_str().unwrap(), "-q", "-o", file.to_str().unwrap()]);
        if let Some(home) = &self.home {
            command.extend(["--home", home.to_str().unwrap()]);
        }
        let run = mqstore(&command);
        assert_eq!(run.code, 0, "{command:?}: {}", run.stderr);
        file
    }
}

fn lines(name: &str) -> Truth {
    let records: Vec<_> = truth_lines(name).into_iter().filter(|line| line["k"] == "rec").collect();
    let last = records.last().unwrap();
    let end = last["physicalOffset"].as_u64().unwrap() + last["storeSize"].as_u64().unwrap();
    let place = |r: &Value| (r["physicalOffset"].as_u64().unwrap(), r["storeTimestamp"].as_i64().unwrap());
    Truth { end, count: records.len() as u64, records: records.iter().map(place).collect() }
}

fn summary(name: &str) -> Truth {
    let truth = truth(name);
    let [end, count] = ["commitlogEnd", "records"].map(|key| truth[key].as_u64().unwrap());
    Truth { end, count, records: Vec::new() }
}

/// All nine combinations against the truth, and against what two stores give. `a` has the longer log.
fn assert_parity(name: &str, relation: &str, a: &Recorded, b: &Recorded) {
    let temp = tempfile::tempdir().unwrap();
    let forms = ["store", "snapshot", "archive"];
    let given = |side: &Recorded, name: &str| forms.map(|form| side.given_as(form, temp.path(), name));
    let (as_a, as_b) = (given(a, "a"), given(b, "b"));
    let shorter = &b.truth;
    let messages = if a.truth.records.is_empty() {
        a.truth.count - shorter.count
    } else {
        a.truth.records.iter().filter(|(at, _)| *at >= shorter.end).count() as u64
    };
    let ids = |json: &Value| {
        let findings = json["findings"].as_array().unwrap().iter();
        let mut ids: Vec<_> = findings.map(|f| format!("{} {} {}", f["id"], f["severity"], f["location"])).collect();
        ids.retain(|id| !id.contains("\"commitlog"));
        ids.sort();
        ids
    };
    let mut of_stores: Option<(Value, i32)> = None;
    for (form_a, path_a) in forms.iter().zip(&as_a) {
        for (form_b, path_b) in forms.iter().zip(&as_b) {
            let place = format!("{name}: {form_a} and {form_b}");
            let mut args = vec!["diff", "--format=json", "--relation", relation];
            args.extend([path_a.to_str().unwrap(), path_b.to_str().unwrap()]);
            for (flag, side, form) in [("--home-a", a, form_a), ("--home-b", b, form_b)] {
                if let Some(home) = side.home.as_ref().filter(|_| *form == "store") {
                    args.extend([flag, home.to_str().unwrap()]);
                }
            }
            let run = mqstore(&args);
            let json = run.json();
            let log = &json["commitlog"];
            // The log: by the truth, whoever reads it.
            assert_eq!(log["a"]["max_offset"], a.truth.end, "{place}");
            assert_eq!(log["b"]["max_offset"], b.truth.end, "{place}");
            assert_eq!(log["lag_bytes"], a.truth.end - b.truth.end, "{place}");
            assert_eq!((&log["ahead"], &log["divergence"]), (&json!("a"), &Value::Null), "{place}");
            if *form_a == "archive" || *form_b == "archive" {
                assert_eq!((&log["lag_messages"], &log["compared"]["bytes"]), (&Value::Null, &json!(0)), "{place}");
            } else {
                assert_eq!(log["lag_messages"], messages, "{place}");
                if let (Some(last_a), Some(last_b)) = (a.truth.records.last(), b.truth.records.last()) {
                    assert_eq!(log["lag_ms"], last_a.1 - last_b.1, "{place}");
                }
                let common = b.truth.end - log["common"]["from"].as_u64().unwrap();
                let compared = log["compared"]["bytes"].as_u64().unwrap();
                let grain = 64 << 10;
                assert!(compared == common || (*form_a, *form_b) != ("store", "store"), "{place}: {log}");
                assert!(compared <= common && compared + grain >= common, "{place}: {log}");
            }
            // Everything else: as two stores have it.
            let (stores, code) = of_stores.get_or_insert_with(|| (json.clone(), run.code));
            for key in
                ["relation", "queues", "consumer_offsets", "compared_offsets", "delay_offsets", "timer", "config"]
            {
                assert_eq!(json[key], stores[key], "{place}: {key}");
            }
            assert_eq!(ids(&json), ids(stores), "{place}");
            assert_eq!(run.code, *code, "{place}: {}", run.stderr);
        }
    }
}

fn assert_parity_of_recorded_pair(name: &str) {
    let golden = shared(name);
    let [master, slave] = ["master", "slave"].map(|side| Recorded {
        store: golden.sub(&format!("{side}/store")),
        home: None,
        truth: lines(&format!("{name}.{side}")),
    });
    assert_parity(name, "auto", &master, &slave);
}

#[test]
fn a_pair_of_4_3_2_is_as_far_apart_in_every_form() {
    assert_parity_of_recorded_pair("4.3.2-pair");
}

#[test]
fn a_pair_of_5_3_3_is_as_far_apart_in_every_form() {
    assert_parity_of_recorded_pair("5.3.3-pair");
}

#[test]
fn a_pair_of_5_3_3_whose_slave_lost_its_topics_is_as_far_apart_in_every_form() {
    let stores = ["5.3.3-ms-master", "5.3.3-ms-slave"].map(|name| (name, shared(name)));
    let [master, slave] =
        stores.each_ref().map(|(name, golden)| Recorded { store: golden.root(), home: None, truth: summary(name) });
    assert_parity("5.3.3-ms", "auto", &master, &slave);
}

#[test]
fn an_upgraded_broker_has_lost_nothing_in_every_form() {
    let golden = shared("3.5.8-upgraded-4.3.2");
    let [before, after] = [("backup-t0/", ".backup-t0"), ("", "")].map(|(dir, truth)| Recorded {
        store: golden.sub(&format!("{dir}store")),
        home: Some(golden.sub(&format!("{dir}home"))),
        truth: lines(&format!("3.5.8-upgraded-4.3.2{truth}")),
    });
    // The other way round something is lost: so the longer log is the first one.
    assert_parity("3.5.8-upgraded-4.3.2", "before-after", &after, &before);
    assert_parity("3.5.8-upgraded-4.3.2", "master-slave", &after, &before);
}
