//! A slave that falls behind: the numbers of `diff` against what the two brokers report of themselves, directly and through
//! `mqadmin`.

use std::path::Path;

use serde_json::Value;

use crate::client::Client;
use crate::jars::Jars;
use crate::ledger::Ledger;
use crate::operator::mqstore;
use crate::plan::Stage;
use crate::predict::{text, wait_for_dispatch};
use crate::site::{Broker, Site, wait_until};

const TOPICS: &[&str] = &["Orders", "Payments", "Stock"];

pub(crate) fn run(stage: &Stage, ledger: &mut Ledger) {
    let release = &stage.jars[0];
    let site = Site::new();
    let mut client = Client::with_name_server(&site, release);
    let (mut master, mut slave) = site.pair(release);
    client.load(TOPICS, 3);
    client.wait_for_acks(600);
    client.halt();
    let together = ["--watch", "1s", "--timeout", "300s", "--ignore", "offsets,config"];
    ledger.expect("nothing is missing when it has caught up", &0, &diff(&master, &slave, &together).0);
    expect_as_reported(ledger, &master, &slave);
    slave.stop();
    // Where nobody answers: it runs, and falls behind.
    slave.set("haMasterAddress", "127.0.0.1:1");
    assert!(slave.start(release));
    for round in 1..=stage.rounds {
        ledger.round(round);
        client.load(TOPICS, 3);
        client.wait_for_acks(u64::from(100 + round * 389 % 700));
        client.halt();
        expect_as_reported(ledger, &master, &slave);
    }
    expect_as_mqadmin_says(ledger, &site, release, &master, &slave);
    slave.stop();
    master.stop();
}

fn diff(master: &Broker, slave: &Broker, more: &[&str]) -> (i32, Value) {
    let (a, b) = (master.conf(), slave.conf());
    let places = [text(&master.root), text(&slave.root), "--broker-conf-a", text(&a), "--broker-conf-b", text(&b)];
    let run = mqstore(&[&["diff", "--format", "json"], &places[..], more].concat());
    (run.code, run.json())
}

/// Both brokers run, nobody sends.
fn expect_as_reported(ledger: &mut Ledger, master: &Broker, slave: &Broker) {
    let (mut on_master, mut on_slave) = (master.ask(), slave.ask());
    // What is in the log reaches the queues later.
    wait_for_dispatch(&mut on_master);
    wait_for_dispatch(&mut on_slave);
    let (_, document) = diff(master, slave, &["--ignore", "offsets,config"]);
    let end = |ask: &mut crate::ask::Ask| ask.number("commitLogMaxOffset").unwrap().unwrap();
    let (a, b) = (end(&mut on_master), end(&mut on_slave));
    let log = &document["commitlog"];
    ledger.expect("end of the master's log", &log["a"]["max_offset"].as_u64(), &Some(a));
    ledger.expect("end of the slave's log", &log["b"]["max_offset"].as_u64(), &Some(b));
    ledger.expect("bytes that the slave lacks", &log["lag_bytes"].as_u64(), &Some(a - b));
    let listed = document["queues"].as_array().unwrap();
    let mut messages = 0;
    for topic in TOPICS {
        for queue_id in 0..4 {
            let (a, b) = (on_master.range(topic, queue_id).unwrap(), on_slave.range(topic, queue_id).unwrap());
            let lag = a.1 - b.1;
            messages += lag;
            // Only queues that differ are listed.
            let said = listed.iter().find(|queue| queue["topic"] == *topic && queue["queue_id"] == queue_id);
            let said = said.map_or(0, |queue| queue["lag"].as_i64().unwrap());
            ledger.expect(&format!("messages that {topic}/{queue_id} lacks"), &said, &lag);
        }
    }
    ledger.expect("messages that the slave lacks", &log["lag_messages"].as_i64(), &Some(messages));
}

/// Both brokers run, nobody sends.
fn expect_as_mqadmin_says(ledger: &mut Ledger, site: &Site, release: &Jars, master: &Broker, slave: &Broker) {
    let home = site.path().join("mqadmin");
    let (_, document) = diff(master, slave, &["--ignore", "offsets,config"]);
    let log = &document["commitlog"];
    let [a, b] = [master, slave].map(|broker| {
        let args = ["brokerStatus", "-b", &format!("127.0.0.1:{}", broker.port)];
        mqadmin(release, &home, &args, |said| {
            let mut lines = said.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(name, _)| name.trim() == "commitLogMaxOffset")?.1.trim().parse::<u64>().ok()
        })
    });
    ledger.expect("end of the master's log by brokerStatus", &log["a"]["max_offset"].as_u64(), &Some(a));
    ledger.expect("end of the slave's log by brokerStatus", &log["b"]["max_offset"].as_u64(), &Some(b));
    ledger.expect("bytes that the slave lacks by brokerStatus", &log["lag_bytes"].as_u64(), &Some(a - b));
    for topic in TOPICS {
        let address = format!("127.0.0.1:{}", site.port);
        let rows = mqadmin(release, &home, &["topicStatus", "-n", &address, "-t", topic], |said| {
            // Broker, queue, smallest offset, largest offset, time of the last message.
            let rows = said.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
            let rows: Vec<_> = rows.filter(|row| row.len() > 3 && row[0] == "broker-a").collect();
            (!rows.is_empty()).then_some(rows)
        });
        for queue in document["queues"].as_array().unwrap().iter().filter(|queue| queue["topic"] == *topic) {
            let (queue_id, of) = (queue["queue_id"].to_string(), &queue["a"]);
            let row = rows.iter().find(|row| row[1] == queue_id);
            let row = row.map(|row| (row[2].parse().ok(), row[3].parse().ok()));
            let range = (of["min_offset"].as_i64(), of["max_offset"].as_i64());
            ledger.expect(&format!("range of {topic}/{queue_id} by topicStatus"), &Some(range), &row);
        }
    }
}

/// What is looked for in the words of `mqadmin`, which gives up after five seconds and then says nothing.
fn mqadmin<T>(release: &Jars, home: &Path, args: &[&str], find: impl Fn(&str) -> Option<T>) -> T {
    let mut found = None;
    wait_until("an answer of mqadmin", || {
        found = find(&release.mqadmin(home, args));
        found.is_some()
    });
    found.unwrap()
}
