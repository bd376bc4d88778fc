//! The Java client of a site, and what it wrote down.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::jars::Jars;
use crate::ledger::Ledger;
use crate::site::{Broker, PATIENCE, Process, Site, wait_until};

/// How long no message must come until a consumer believes that there is none.
const IDLE: Duration = Duration::from_secs(120);

/// A JVM with a producer, consumers and, if it was asked for, the name server of the site.
#[derive(Debug)]
pub(crate) struct Client {
    process: Process,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    folder: PathBuf,
    files: u32,
}

/// A message as a client saw it: acknowledged, or received.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    /// `brokerName`.
    pub(crate) broker: String,
    pub(crate) topic: String,
    pub(crate) queue_id: u64,
    pub(crate) queue_offset: u64,
    pub(crate) key: String,
    /// Digest of the body.
    pub(crate) body: String,
}

impl Client {
    /// With the name server of the site in the same JVM.
    pub(crate) fn with_name_server(site: &Site, release: &Jars) -> Self {
        let conf = site.path().join("namesrv.conf");
        fs::write(&conf, format!("listenPort={}\n", site.port)).unwrap();
        Self::start(site, release, Some(&conf))
    }

    fn start(site: &Site, release: &Jars, name_server: Option<&Path>) -> Self {
        let folder = site.path().join("client");
        let home = folder.join(format!("home-{}", release.version));
        fs::create_dir_all(&home).unwrap();
        let mut java = release.java(&home, "256m");
        java.arg("Agent").arg(format!("127.0.0.1:{}", site.port)).arg(truth_file(site)).args(name_server);
        java.stdin(Stdio::piped()).stdout(Stdio::piped());
        let output = folder.join(format!("client-{}.out", release.version));
        let file = File::create(&output).unwrap();
        let mut process = Process::spawn_piped(&mut java, &folder, "client", file, output);
        let child = process.child();
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut client = Self { process, orders, answers, folder, files: 0 };
        assert_eq!(client.answer()["ready"], true);
        client
    }

    /// Sends so many messages to a topic.
    pub(crate) fn send(&mut self, topic: &str, count: u64) {
        self.order(&format!("send {topic} {count} {}", PATIENCE.as_millis()));
    }

    /// Starts to send to these topics, until [`Client::halt`].
    pub(crate) fn load(&mut self, topics: &[&str], threads: u32) {
        self.order(&format!("load {} {threads}", topics.join(",")));
    }

    /// Messages acknowledged since the client started.
    pub(crate) fn acked(&mut self) -> u64 {
        self.order("acked")["acked"].as_u64().unwrap()
    }

    /// Waits until so many more messages are acknowledged.
    pub(crate) fn wait_for_acks(&mut self, more: u64) {
        let wanted = self.acked() + more;
        wait_until("messages under load", || self.acked() >= wanted);
    }

    /// Ends the load.
    pub(crate) fn halt(&mut self) {
        self.order("halt");
    }

    /// Every message of a topic that can be pulled, in the order of its queues.
    pub(crate) fn drain(&mut self, topic: &str) -> Vec<Seen> {
        self.files += 1;
        let file = self.folder.join(format!("drain-{}.jsonl", self.files));
        let _ = fs::remove_file(&file);
        self.order(&format!("drain {topic} {}", file.display()));
        seen(&file)
    }

    /// Consumes these topics as a group until it has so many different messages, or none came for a while. If it has, the
    /// group leaves when these brokers, which run, have its offsets: at the ends of their queues.
    pub(crate) fn consume(&mut self, group: &str, topics: &[&str], wanted: usize, at: &[&Broker]) -> Vec<Seen> {
        self.files += 1;
        let file = self.folder.join(format!("consumed-{}.jsonl", self.files));
        let _ = fs::remove_file(&file);
        let order = format!("consume {group} {} {wanted} {} {}", topics.join(","), IDLE.as_millis(), file.display());
        if self.order(&order)["messages"].as_u64() >= Some(wanted as u64) {
            for broker in at {
                wait_until("offsets of the group", || broker.ask().has_committed_all(group, topics));
            }
        }
        self.order("leave");
        seen(&file)
    }

    /// Ends it, and the name server with it.
    pub(crate) fn stop(self) {
        self.process.stop();
    }

    fn order(&mut self, line: &str) -> Value {
        writeln!(self.orders, "{line}").unwrap();
        let answer = self.answer();
        assert!(answer["error"].is_null(), "{line}: {answer}: {}", self.process.output());
        answer
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e} in {line:?}: {}", self.process.output()))
    }
}

fn truth_file(site: &Site) -> PathBuf {
    site.path().join("truth.jsonl")
}

/// The messages that a broker has acknowledged in the whole life of the site.
pub(crate) fn acked(site: &Site) -> Vec<Seen> {
    seen(&truth_file(site))
}

fn seen(file: &Path) -> Vec<Seen> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines = lines.filter(|line| line["state"] != "unsure");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let seen = lines.map(|line| Seen {
        broker: text(&line["broker"]),
        topic: text(&line["topic"]),
        queue_id: line["queue_id"].as_u64().unwrap(),
        queue_offset: line["queue_offset"].as_u64().unwrap(),
        key: text(&line["key"]),
        body: text(&line["body"]),
    });
    seen.collect()
}

/// Acknowledged messages that were not found at their place.
pub(crate) fn missing<'a>(acked: &'a [Seen], found: &[Seen]) -> BTreeSet<&'a Seen> {
    let found: BTreeSet<&Seen> = found.iter().collect();
    acked.iter().filter(|seen| !found.contains(seen)).collect()
}

/// No message that was acknowledged is lost or at another place, and no queue has a gap: two statements for each queue.
pub(crate) fn expect_all_there(ledger: &mut Ledger, acked: &[Seen], found: &[Seen]) {
    let missing = missing(acked, found);
    let queues: BTreeSet<_> = acked.iter().map(|seen| (&seen.broker, &seen.topic, seen.queue_id)).collect();
    for (broker, topic, queue_id) in queues {
        let of_it = |seen: &&Seen| (&seen.broker, &seen.topic, seen.queue_id) == (broker, topic, queue_id);
        let lost: Vec<u64> = missing.iter().copied().filter(of_it).map(|seen| seen.queue_offset).collect();
        ledger.expect(
            &format!("{broker}: {topic}/{queue_id}: acknowledged messages that are lost"),
            &Vec::new(),
            &lost,
        );
        let offsets: BTreeSet<u64> = found.iter().filter(of_it).map(|seen| seen.queue_offset).collect();
        let first = offsets.first().copied().unwrap_or_default();
        let gap = (first..).zip(&offsets).find(|(n, at)| n != *at).map(|(n, _)| n);
        ledger.expect(&format!("{broker}: {topic}/{queue_id}: first gap"), &None, &gap);
    }
}
