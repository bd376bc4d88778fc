//! A rolling upgrade of a master and its slave under load: name server, slave, master, each with a backup before it.

use crate::client::{Client, acked, expect_all_there};
use crate::ledger::Ledger;
use crate::operator::mqstore;
use crate::plan::Stage;
use crate::predict::{on_store, start_as_predicted, text, verify};
use crate::site::{Broker, Site};

const TOPICS: &[&str] = &["Orders", "Payments", "Stock"];
const GROUP: &str = "GID_rehearsal";

pub(crate) fn run(stage: &Stage, ledger: &mut Ledger) {
    let (old, new) = (&stage.jars[0], &stage.jars[1]);
    let site = Site::new();
    let mut client = Client::with_name_server(&site, old);
    let (mut master, mut slave) = site.pair(old);
    for topic in TOPICS {
        client.send(topic, 1);
    }
    client.load(TOPICS, 3);
    client.wait_for_acks(2500);
    client.halt();
    let before = acked(&site);
    let mut consumed = client.consume(GROUP, TOPICS, before.len());

    // Old brokers register with a new name server, new ones not with an old one.
    client.stop();
    let mut client = Client::with_name_server(&site, new);
    client.load(TOPICS, 3);
    client.wait_for_acks(500);
    client.halt();

    ledger.round(1);
    expect_together(ledger, "before the slave stops", &master, &slave);
    slave.stop();
    back_up(ledger, &slave, &old.version);
    expect_leave(ledger, &slave, &old.version, &new.version);
    start_as_predicted(ledger, &mut slave, new);
    client.load(TOPICS, 3);
    client.wait_for_acks(500);
    client.halt();

    ledger.round(2);
    expect_together(ledger, "before the master stops", &master, &slave);
    master.stop();
    back_up(ledger, &master, &old.version);
    expect_leave(ledger, &master, &old.version, &new.version);
    let predicted = start_as_predicted(ledger, &mut master, new);
    let outcome = predicted["outcome"].as_str().unwrap().to_owned();
    client.load(TOPICS, 3);
    client.wait_for_acks(2000);
    client.halt();
    expect_together(ledger, "after all is new", &master, &slave);

    let sent = acked(&site);
    let found: Vec<_> = TOPICS.iter().flat_map(|topic| client.drain(topic)).collect();
    ledger.expect("outcome of the start", &outcome, &"starts".to_owned());
    expect_all_there(ledger, &sent, &found);
    let rest = client.consume(GROUP, TOPICS, sent.len() - consumed.len());
    let again = rest.iter().filter(|message| consumed.contains(message)).count();
    ledger.expect("messages delivered again to the group", &0, &again);
    consumed.extend(rest);
    expect_all_there(ledger, &sent, &consumed);

    client.stop();
    slave.stop();
    master.stop();
    for (what, broker) in [("master", &master), ("slave", &slave)] {
        let (code, document) = verify(broker, &new.version);
        ledger.expect(&format!("verify of the {what}"), &(0, String::new()), &(code, reason(code, &document)));
    }
}

/// What `verify` objects to.
fn reason(code: i32, document: &serde_json::Value) -> String {
    if code == 0 { String::new() } else { document["exit"]["reason"].to_string() }
}

/// The operator waits until the slave has all that the master has.
fn expect_together(ledger: &mut Ledger, when: &str, master: &Broker, slave: &Broker) {
    let run = mqstore(&["diff", text(&master.root), text(&slave.root), "--watch", "1s", "--timeout", "100s"]);
    ledger.expect(
        &format!("the slave catches up {when}"),
        &(0, ""),
        &(run.code, if run.code == 0 { "" } else { &run.stdout }),
    );
}

/// `preflight` must not block what turns out to go well.
fn expect_leave(ledger: &mut Ledger, broker: &Broker, from: &str, to: &str) {
    let (root, conf, home) = (text(&broker.root), broker.conf(), text(&broker.home));
    let releases = ["--from", from, "--to", to, "--name-server", to];
    let run = mqstore(&[&["preflight", root, "--old-conf", text(&conf), "--home", home], &releases[..]].concat());
    let blocked = if matches!(run.code, 0 | 3) { "" } else { run.stdout.as_str() };
    ledger.expect("preflight does not block", &"", &blocked);
}

/// A backup of a stopped broker that proves itself.
fn back_up(ledger: &mut Ledger, broker: &Broker, release: &str) {
    let archive = broker.root.with_extension(format!("{release}.tar.zst"));
    let run = on_store("backup create", broker, release, &["-o", text(&archive), "--verify"]);
    ledger.expect("a backup is made", &(0, ""), &(run.code, if run.code == 0 { "" } else { &run.stderr }));
}
