//! A backup of a broker that takes messages, restored into another site beside the log: consumers get everything.

use std::fs;
use std::path::Path;

use crate::client::{Client, acked, expect_all_there};
use crate::ledger::Ledger;
use crate::operator::mqstore;
use crate::plan::Stage;
use crate::predict::{on_store, start_as_predicted, text};
use crate::site::{Site, copy};

const TOPICS: &[&str] = &["Orders", "Payments", "Stock"];

pub(crate) fn run(stage: &Stage, ledger: &mut Ledger) {
    let release = &stage.jars[0];
    let site = Site::new();
    let mut client = Client::with_name_server(&site, release);
    let mut master = site.broker("master", &[]);
    for round in 1..=stage.rounds {
        ledger.round(round);
        assert!(master.start(release));
        client.load(TOPICS, 3);
        client.wait_for_acks(u64::from(300 + round * 389 % 1100));
        let archive = site.path().join(format!("round-{round}.tar.zst"));
        let stopped = on_store("backup create", &master, &release.version, &["-o", text(&archive)]);
        ledger.expect("it is seen that the broker runs", &4, &stopped.code);
        let made = on_store("backup create", &master, &release.version, &["--live", "-o", text(&archive), "--verify"]);
        let moved = moved(&archive);
        // No verdict, as the contract has it for what moves.
        ledger.expect("a backup is made under load", &if moved.is_empty() { 0 } else { 3 }, &made.code);
        client.wait_for_acks(100);
        client.halt();
        master.stop();

        // In another folder, at the same address.
        let name = format!("restored-{round}");
        let mut restored = site.broker_at(master.port, &name, &[]);
        let (to, home) = (text(&restored.root), text(&restored.home));
        let put_back = mqstore(&["backup", "restore", text(&archive), "--to", to, "--home", home]);
        assert!(put_back.code == made.code && restored.root.is_dir(), "{}", put_back.stderr);
        copy(&master.root.join("commitlog"), &restored.root.join("commitlog"));
        start_as_predicted(ledger, &mut restored, release);
        let found: Vec<_> = TOPICS.iter().flat_map(|topic| client.drain(topic)).collect();
        expect_all_there(ledger, &acked(&site), &found);
        restored.stop();
        fs::remove_dir_all(site.path().join(name)).unwrap();
    }
}

/// The files of an archive that were written to while they were read: a broker appends to them, and what they lack is in
/// the log. There must be no other gap.
fn moved(archive: &Path) -> Vec<String> {
    let document = mqstore(&["backup", "show", text(archive), "--format", "json"]).json();
    let manifest = document.get("manifest").unwrap_or(&document);
    let gaps = manifest["gaps"].as_array().unwrap_or_else(|| panic!("no gaps in {document}"));
    let moved = gaps.iter().map(|gap| {
        assert_eq!(gap["kind"], "changed", "{gap}");
        gap["path"].as_str().unwrap().to_owned()
    });
    moved.collect()
}
