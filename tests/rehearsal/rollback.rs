//! Back to the old release after an upgrade: through `backup restore`, which must hide nothing, and by hand, beside a log
//! that has grown, where `verify` and `boot` must name the loss.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::client::{Client, acked, expect_all_there, missing};
use crate::jars::Jars;
use crate::ledger::Ledger;
use crate::plan::Stage;
use crate::predict::{on_store, start_as_predicted, text, verify, wait_for_dispatch};
use crate::site::{Broker, Site};

const TOPICS: &[&str] = &["Orders", "Payments", "Stock"];
const GROUP: &str = "GID_rehearsal";

pub(crate) fn by_restore(stage: &Stage, ledger: &mut Ledger) {
    let (old, new) = (&stage.jars[0], &stage.jars[1]);
    let Upgraded { site, mut client, mut broker, archive, before } = upgrade(ledger, old, new);
    let run = on_store(&format!("backup restore {} --to", text(&archive)), &broker, &old.version, &[]);
    ledger.expect("the backup is put back", &(0, ""), &(run.code, if run.code == 0 { "" } else { &run.stderr }));
    let predicted = start_as_predicted(ledger, &mut broker, old);
    for loss in ["hidden", "cut", "skipped"] {
        let lost = predicted["losses"][loss]["total"].as_u64();
        ledger.expect(&format!("messages that boot says are {loss}"), &Some(0), &lost);
    }
    let sent = acked(&site);
    let found: Vec<_> = TOPICS.iter().flat_map(|topic| client.drain(topic)).collect();
    expect_all_there(ledger, &sent, &found);
    // The group had all that there was before the backup, and nothing since.
    let rest = client.consume(GROUP, TOPICS, sent.len() - before, &[&broker]);
    ledger.expect("messages that the group goes on with", &0, &missing(&sent[before..], &rest).len());
    let again = rest.iter().filter(|message| sent[..before].contains(message)).count();
    ledger.expect("messages delivered again to the group", &0, &again);
    client.load(TOPICS, 3);
    client.wait_for_acks(300);
    client.halt();
    wait_for_dispatch(&mut broker.ask());
    let found: Vec<_> = TOPICS.iter().flat_map(|topic| client.drain(topic)).collect();
    expect_all_there(ledger, &acked(&site), &found);
    broker.stop();
    let (code, document) = verify(&broker, &old.version);
    let objection = if code == 1 { document["exit"]["reason"].to_string() } else { String::new() };
    ledger.expect("verify finds no damage at the end", &String::new(), &objection);
}

pub(crate) fn by_hand(stage: &Stage, ledger: &mut Ledger) {
    let (old, new) = (&stage.jars[0], &stage.jars[1]);
    let Upgraded { site, mut client, mut broker, archive, before } = upgrade(ledger, old, new);
    let new_messages = acked(&site).len() - before;
    // Everything but the log is replaced by what the archive holds.
    for entry in fs::read_dir(&broker.root).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("commitlog") {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(&path).unwrap() } else { fs::remove_file(&path).unwrap() }
    }
    let plain = site.path().join("plain");
    fs::create_dir(&plain).unwrap();
    let tar = Command::new("tar").args(["--zstd", "-xf", text(&archive), "-C", text(&plain)]).status().unwrap();
    assert!(tar.success());
    let put = Command::new("cp").arg("-a").arg(plain.join("store/.")).arg(&broker.root).status().unwrap();
    assert!(put.success());

    let (code, document) = verify(&broker, &old.version);
    ledger.expect("verify objects", &1, &code);
    let without =
        document["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == "queue.records-without-unit");
    let without = without.map(|finding| finding["actual"].to_string().trim_matches('"').to_owned());
    ledger.expect("messages that verify says are without unit", &without, &Some(new_messages.to_string()));
    let predicted = start_as_predicted(ledger, &mut broker, old);
    let found: Vec<_> = TOPICS.iter().flat_map(|topic| client.drain(topic)).collect();
    let hidden = predicted["losses"]["hidden"]["total"].as_u64().unwrap();
    let acked = acked(&site);
    let lost = missing(&acked, &found);
    ledger.expect("messages that boot says are hidden", &hidden, &(lost.len() as u64));
    broker.stop();
}

/// A broker that was backed up, upgraded, has taken more messages, and is stopped.
struct Upgraded {
    site: Site,
    /// Of the new release, and the name server.
    client: Client,
    broker: Broker,
    /// Made before the upgrade.
    archive: PathBuf,
    /// Messages acknowledged until then; the group has consumed them.
    before: usize,
}

fn upgrade(ledger: &mut Ledger, old: &Jars, new: &Jars) -> Upgraded {
    let site = Site::new();
    let mut client = Client::with_name_server(&site, old);
    let mut broker = site.broker("master", &[]);
    assert!(broker.start(old));
    client.load(TOPICS, 3);
    client.wait_for_acks(1500);
    client.halt();
    let before = acked(&site).len();
    client.consume(GROUP, TOPICS, before, &[&broker]);
    broker.stop();
    let archive = site.path().join("before.tar.zst");
    on_store("backup create", &broker, &old.version, &["-o", text(&archive), "--verify"]).expect(0);

    client.stop();
    let mut client = Client::with_name_server(&site, new);
    start_as_predicted(ledger, &mut broker, new);
    client.load(TOPICS, 3);
    client.wait_for_acks(700);
    client.halt();
    broker.stop();
    Upgraded { site, client, broker, archive, before }
}
