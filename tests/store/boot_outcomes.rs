//! What `boot` predicts, against what real brokers did: every start recorded in `testdata/boot-outcomes.json`.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use mqstore_check::boot::{BootFlag, BootOptions, BootPrediction, boot};
use mqstore_core::progress::NoProgress;
use mqstore_core::release::conf::BrokerConf;
use mqstore_testkit::faults::FaultyStore;
use mqstore_testkit::testdata;
use serde_json::Value;

fn main_compare() {
    let file = std::fs::read(testdata().join("boot-outcomes.json")).unwrap();
    let all: Value = serde_json::from_slice(&file).unwrap();
    let mut right = 0;
    let mut total = 0;
    let only = std::env::var("ONLY").ok();
    for entry in all["entries"].as_array().unwrap() {
        let (fault, release, exit) = (entry["fault"].as_str().unwrap(), entry["release"].as_str().unwrap(), entry["exit"].as_str().unwrap());
        if only.as_ref().is_some_and(|o| !format!("{fault} {release} {exit}").contains(o.as_str())) { continue; }
        if fault.starts_with("t1_") || fault.starts_with("cf_refused") { continue; }
        let store = FaultyStore::for_release(release);
        if exit == "abort" { store.add_abort(); }
        let records = store.records();
        assert!(store.inject(fault), "{fault}");
        let mut options = BootOptions::default();
        options.conf = Some(BrokerConf::parse(store.broker_conf(fault).as_bytes()).unwrap());
        options.home = Some(store.home());
        let p = boot(store.root(), release.parse().unwrap(), &options, &NoProgress).unwrap();
        if only.is_some() { println!("{}", serde_json::to_string_pretty(&p).unwrap()); }
        total += 1;
        let d = &entry["details"];
        let flags: Vec<&str> = p.flags.iter().map(|f| f.word()).collect();
        let want: Vec<&str> = d["flags"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
        let mut wrong = Vec::new();
        if flags != want { wrong.push(format!("flags {flags:?} want {want:?}")); }
        if let Some(log) = d["log_end"].as_array() {
            let end = log[1].as_u64().unwrap();
            if end < p.log.end_after || end > p.log.end_after + 1800 { wrong.push(format!("end {} want {end}", p.log.end_after)); }
            if p.log.end_before != log[0].as_u64().unwrap() { wrong.push(format!("before {} want {}", p.log.end_before, log[0])); }
        }
        let find = |t: &str, q: i32| p.queues.iter().find(|x| x.topic == t && x.queue_id == q).and_then(|x| x.after).unwrap_or_default();
        if let Some(q) = d["queue"]["after"].as_array() {
            let a = find("TopicA", 1);
            let w: Vec<u64> = q[..3].iter().map(|x| x.as_u64().unwrap()).collect();
            if [a.min_offset, a.max_offset, a.readable] != w[..] { wrong.push(format!("queue {a:?} want {w:?}")); }
        }
        if let Some(o) = d["other_queues_readable"].as_object() {
            for (k, v) in o {
                let (t, q) = k.split_once('/').unwrap();
                let a = find(t, q.parse().unwrap());
                if Some(a.readable) != v[1].as_u64() { wrong.push(format!("{k} {} want {}", a.readable, v[1])); }
            }
        }
        let mut removed: BTreeMap<&str, u64> = BTreeMap::new();
        for f in &p.files.removed { *removed.entry(f.split('/').next().unwrap()).or_default() += 1; }
        let want: BTreeMap<&str, u64> = d["removed"].as_object().into_iter().flatten().map(|(k, v)| (k.as_str(), v.as_u64().unwrap())).collect();
        if removed != want && !fault.starts_with("send_") { wrong.push(format!("removed {removed:?} want {want:?}")); }
        if !p.flags.contains(&BootFlag::Refuses) {
            let found = (0..50).filter(|n| { let key = format!("K{}", n * 60); let r = records.iter().find(|r| r.keys == key).unwrap();
                r.physical_offset < p.log.end_after && !p.unindexed.iter().any(|(a, b)| r.physical_offset >= *a && r.physical_offset < *b) && p.log.end_after > 0 && (r.file.exists()) }).count();
            let want = d["index"].as_str().map(|s| s.split('/').next().unwrap().parse::<usize>().unwrap()).unwrap_or(50);
            if found != want { wrong.push(format!("index {found} want {want}")); }
        }
        if wrong.is_empty() { right += 1; } else { println!("{fault} {release} {exit}: {}", wrong.join("; ")); }
    }
    println!("{right} / {total}");
}

#[test]
fn every_start() { main_compare(); let _: Option<BootPrediction> = None; }
