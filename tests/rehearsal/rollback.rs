//! Back to the old release by hand: the backup beside a log that has grown. `verify` and `boot` must name the loss.

use std::fs;
use std::process::Command;

use crate::client::{Client, acked, missing};
use crate::ledger::Ledger;
use crate::plan::Stage;
use crate::predict::{on_store, start_as_predicted, text, verify};
use crate::site::Site;

const TOPICS: &[&str] = &["Orders", "Payments", "Stock"];

pub(crate) fn by_hand(stage: &Stage, ledger: &mut Ledger) {
    let (old, new) = (&stage.jars[0], &stage.jars[1]);
    let site = Site::new();
    let mut client = Client::with_name_server(&site, old);
    let mut broker = site.broker("master", &[]);
    assert!(broker.start(old));
    client.load(TOPICS, 3);
    client.wait_for_acks(1500);
    client.halt();
    broker.stop();
    let archive = site.path().join("before.tar.zst");
    on_store("backup create", &broker, &old.version, &["-o", text(&archive), "--verify"]).expect(0);
    let before = acked(&site).len() as u64;

    client.stop();
    let mut client = Client::with_name_server(&site, new);
    start_as_predicted(ledger, &mut broker, new);
    client.load(TOPICS, 3);
    client.wait_for_acks(700);
    client.halt();
    broker.stop();
    let new_messages = acked(&site).len() as u64 - before;

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
