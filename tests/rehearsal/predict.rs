//! `boot` against a broker that starts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ask::Ask;
use crate::jars::Jars;
use crate::ledger::Ledger;
use crate::operator::mqstore;
use crate::site::Broker;

/// Predicts the start of a release on a store, starts it, and holds the one against the other. Returns the prediction.
pub(crate) fn start_as_predicted(ledger: &mut Ledger, broker: &mut Broker, release: &Jars) -> Value {
    let before = files(&broker.root);
    let predicted = boot(broker, &release.version);
    let started = broker.start(release);
    ledger.expect(&format!("it starts{}", broker.failure), &(predicted["outcome"] != "refuses"), &started);
    assert!(started, "the broker is needed for what follows");
    expect_as_predicted(ledger, &predicted, broker, &before, &Tolerance::default());
    predicted
}

/// How much more a broker may have than its start gave it.
#[derive(Debug, Default)]
pub(crate) struct Tolerance {
    /// Bytes of log.
    pub(crate) bytes: u64,
    /// Messages, of one queue only.
    pub(crate) messages: i64,
    /// That queue.
    pub(crate) queue: (&'static str, u64),
}

/// Holds a prediction against the broker that has started since, on a store that had these files.
pub(crate) fn expect_as_predicted(
    ledger: &mut Ledger,
    predicted: &Value,
    broker: &Broker,
    before: &BTreeSet<String>,
    more: &Tolerance,
) {
    let mut ask = broker.ask();
    // A slave goes on where its log ends as soon as it is up.
    let (bytes, messages) = if broker.is_slave() { (u64::MAX, i64::MAX) } else { (more.bytes, more.messages) };
    wait_for_dispatch(&mut ask);
    let seen = ask.number("commitLogMaxOffset").unwrap().unwrap();
    let end = predicted["log"]["end_after"].as_u64().unwrap();
    ledger.expect("end of the log", &end, &if seen > end && seen - end <= bytes { end } else { seen });
    for queue in predicted["queues"].as_array().unwrap() {
        let (topic, queue_id) = (queue["topic"].as_str().unwrap(), queue["queue_id"].as_u64().unwrap());
        let after = &queue["after"];
        let number = |name: &str| after[name].as_i64().unwrap_or_default();
        let range = (number("min_offset"), number("max_offset"));
        let (min, mut max) = ask.range(topic, queue_id).unwrap();
        let may_have_more = broker.is_slave() || more.queue == (topic, queue_id);
        if may_have_more && max > range.1 && max - range.1 <= messages {
            max = range.1;
        }
        ledger.expect(&format!("range of {topic}/{queue_id}"), &range, &(min, max));
    }
    let after = files(&broker.root);
    let of_messages =
        |file: &&String| ["commitlog/", "consumequeue/", "index/"].iter().any(|folder| file.starts_with(folder));
    let gone: BTreeSet<&String> = before.difference(&after).filter(of_messages).collect();
    let removed =
        predicted["files"]["removed"].as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned());
    // What was removed and made again is not seen.
    let removed: Vec<String> = removed.filter(|file| !after.contains(file)).collect();
    ledger.expect("deleted files", &removed.iter().filter(of_messages).collect(), &gone);
}

/// Queues are filled behind the open port. On a damaged store that may never end, and then nothing moves.
pub(crate) fn wait_for_dispatch(ask: &mut Ask) {
    let mut behind = None;
    let mut moved = Instant::now();
    while moved.elapsed() < Duration::from_secs(20) {
        let now = ask.number("dispatchBehindBytes").unwrap();
        if now.is_none_or(|bytes| bytes == 0) {
            return;
        }
        if now != behind {
            (behind, moved) = (now, Instant::now());
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The prediction for the store of a broker that does not run.
pub(crate) fn boot(broker: &Broker, release: &str) -> Value {
    boot_if_simulated(broker, release).unwrap()
}

/// The same, if this start is simulated.
pub(crate) fn boot_if_simulated(broker: &Broker, release: &str) -> Option<Value> {
    let run = on_store("boot", broker, release, &["--format", "json"]);
    assert!(matches!(run.code, 0 | 1 | 3), "{} {}", run.stdout, run.stderr);
    (run.code != 3).then(|| run.json())
}

/// The exit code of `verify`, and its document.
pub(crate) fn verify(broker: &Broker, release: &str) -> (i32, Value) {
    let run = on_store("verify", broker, release, &["--level", "full", "--format", "json"]);
    (run.code, run.json())
}

/// A command on the store of a broker, with its `broker.conf` and home folder.
pub(crate) fn on_store(command: &str, broker: &Broker, release: &str, more: &[&str]) -> crate::operator::Run {
    broker.write_conf();
    let conf = broker.conf();
    let mut args: Vec<&str> = command.split(' ').collect();
    args.extend([text(&broker.root), "-c", text(&conf), "--home", text(&broker.home), "--release", release]);
    args.extend(more);
    mqstore(&args)
}

/// Files below a folder, by their relative paths.
pub(crate) fn files(root: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
