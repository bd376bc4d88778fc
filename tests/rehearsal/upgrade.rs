//! A rolling upgrade of masters and their slaves under load: name server, then pair by pair slave and master, each with a
//! backup before it.

use serde_json::Value;

use crate::client::{Client, acked, expect_all_there};
use crate::jars::Jars;
use crate::ledger::Ledger;
use crate::operator::mqstore;
use crate::plan::Stage;
use crate::predict::{on_store, start_as_predicted, text, verify, wait_for_dispatch};
use crate::site::{Broker, Site};

const TOPICS: &[&str] = &["Orders", "Payments", "Stock"];
const GROUP: &str = "GID_rehearsal";

pub(crate) fn of_one(stage: &Stage, ledger: &mut Ledger) {
    run(stage, ledger, &["broker-a"]);
}

pub(crate) fn of_three(stage: &Stage, ledger: &mut Ledger) {
    run(stage, ledger, &["broker-a", "broker-b", "broker-c"]);
}

fn run(stage: &Stage, ledger: &mut Ledger, names: &[&str]) {
    let (old, new) = (&stage.jars[0], &stage.jars[1]);
    let site = Site::new();
    let mut client = Client::with_name_server(&site, old);
    let mut pairs: Vec<(Broker, Broker)> = names.iter().map(|name| site.pair_named(name, old)).collect();
    for (master, _) in &pairs {
        for topic in TOPICS {
            master.ask().create_topic(topic).unwrap();
        }
    }
    client.load(TOPICS, 3);
    client.wait_for_acks(2500);
    client.halt();
    let before = acked(&site);
    let mut consumed = client.consume(GROUP, TOPICS, before.len(), &masters(&pairs));

    // Old brokers register with a new name server, new ones not with an old one.
    client.stop();
    let mut client = Client::with_name_server(&site, new);
    client.load(TOPICS, 3);
    client.wait_for_acks(500);
    client.halt();

    for (name, (master, slave)) in names.iter().zip(&mut pairs) {
        ledger.start(&format!("slave of {name}"));
        expect_together(ledger, "before the slave stops", master, slave);
        switch(ledger, slave, old, new);
        client.load(TOPICS, 3);
        client.wait_for_acks(500);
        client.halt();

        ledger.start(&format!("master of {name}"));
        expect_together(ledger, "before the master stops", master, slave);
        let predicted = switch(ledger, master, old, new);
        ledger.expect("outcome of the start", &predicted["outcome"].as_str(), &Some("starts"));
        client.load(TOPICS, 3);
        client.wait_for_acks(1000);
        client.halt();
        expect_together(ledger, "after both are new", master, slave);
    }

    ledger.start("after all");
    for master in masters(&pairs) {
        wait_for_dispatch(&mut master.ask());
    }
    let sent = acked(&site);
    let found: Vec<_> = TOPICS.iter().flat_map(|topic| client.drain(topic)).collect();
    expect_all_there(ledger, &sent, &found);
    let rest = client.consume(GROUP, TOPICS, sent.len() - consumed.len(), &masters(&pairs));
    let again = rest.iter().filter(|message| consumed.contains(message)).count();
    ledger.expect("messages delivered again to the group", &0, &again);
    consumed.extend(rest);
    expect_all_there(ledger, &sent, &consumed);

    client.stop();
    for (name, (master, slave)) in names.iter().zip(&mut pairs) {
        for (role, broker) in [("slave", slave), ("master", master)] {
            broker.stop();
            let (code, document) = verify(broker, &new.version);
            ledger.expect(
                &format!("verify of the {role} of {name}"),
                &(0, String::new()),
                &(code, reason(code, &document)),
            );
        }
    }
}

fn masters(pairs: &[(Broker, Broker)]) -> Vec<&Broker> {
    pairs.iter().map(|(master, _)| master).collect()
}

/// Stops a broker and starts it with the new release, with a backup in between. Returns the prediction of the start.
fn switch(ledger: &mut Ledger, broker: &mut Broker, old: &Jars, new: &Jars) -> Value {
    broker.stop();
    back_up(ledger, broker, &old.version);
    expect_leave(ledger, broker, &old.version, &new.version);
    start_as_predicted(ledger, broker, new)
}

/// What `verify` objects to.
fn reason(code: i32, document: &Value) -> String {
    if code == 0 { String::new() } else { document["exit"]["reason"].to_string() }
}

/// The operator waits until the slave has all that the master has.
fn expect_together(ledger: &mut Ledger, when: &str, master: &Broker, slave: &Broker) {
    let run = mqstore(&["diff", text(&master.root), text(&slave.root), "--watch", "1s", "--timeout", "300s"]);
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
    let store = ["preflight", root, "--old-conf", text(&conf), "--home", home, "--format", "json"];
    let document = mqstore(&[&store, &releases[..]].concat()).json();
    let failed = document["findings"].as_array().unwrap().iter().filter(|finding| finding["status"] == "fail");
    // How full the disk of this machine is, is no concern of a rehearsal: the brokers are told so, too.
    let failed: Vec<_> = failed.map(|finding| finding["id"].as_str()).filter(|id| *id != Some("store.disk")).collect();
    ledger.expect("preflight does not block", &Vec::new(), &failed);
}

/// A backup of a stopped broker that proves itself.
fn back_up(ledger: &mut Ledger, broker: &Broker, release: &str) {
    let archive = broker.root.with_extension(format!("{release}.tar.zst"));
    let run = on_store("backup create", broker, release, &["-o", text(&archive), "--verify"]);
    ledger.expect("a backup is made", &(0, ""), &(run.code, if run.code == 0 { "" } else { &run.stderr }));
}
