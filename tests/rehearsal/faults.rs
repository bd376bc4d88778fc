//! Recorded faults, put into recorded stores once more: releases start on them, against what `boot` says.

use std::collections::BTreeSet;
use std::{env, fs};

use mqstore_testkit::faults::FaultyStore;
use mqstore_testkit::testdata;
use serde_json::Value;

use crate::ledger::Ledger;
use crate::plan::{Stage, say};
use crate::predict::{Tolerance, boot_if_simulated, expect_as_predicted, files};
use crate::site::Site;

/// What a broker appends by itself until it is asked: the delayed messages of the recorded stores, eight for one queue, that
/// came due long ago.
const COMES_DUE: Tolerance = Tolerance { bytes: 8 * 256, messages: 8, queue: ("TopicA", 0) };

pub(crate) fn run(stage: &Stage, ledger: &mut Ledger) {
    let release = &stage.jars[0];
    let all = starts();
    // Evenly from the whole list.
    let wanted = all.len().min(stage.rounds as usize);
    for n in 0..wanted {
        let (fault, exit) = &all[n * all.len() / wanted];
        let store = FaultyStore::for_release(&release.version);
        if exit == "abort" {
            store.add_abort();
        }
        if !store.inject(fault) {
            continue;
        }
        ledger.start(&format!("{fault} after {exit}"));
        let site = Site::new();
        let mut broker = site.broker_on(store.root(), store.home(), &store.broker_conf(fault));
        let before = files(&broker.root);
        let Some(predicted) = boot_if_simulated(&broker, &release.version) else { continue };
        let started = broker.start(release);
        ledger.expect(&format!("it starts{}", broker.failure), &(predicted["outcome"] != "refuses"), &started);
        if started && predicted["outcome"] != "refuses" {
            expect_as_predicted(ledger, &predicted, &broker, &before, &COMES_DUE);
            broker.kill();
        }
    }
    say(&format!("{wanted} of {} starts", all.len()));
}

/// Each recorded fault with each kind of exit, whichever release it was recorded for.
fn starts() -> Vec<(String, String)> {
    let recorded: Value = serde_json::from_slice(&fs::read(testdata().join("boot-outcomes.json")).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entries = recorded["entries"].as_array().unwrap().iter();
    // What is sent after the start is no part of the start.
    let starts = entries.map(|entry| (text(&entry["fault"]), text(&entry["exit"])));
    let only = env::var("MQSTORE_REHEARSAL_FAULT").unwrap_or_default();
    let starts = starts.filter(|(fault, _)| !fault.starts_with("send_") && fault.starts_with(&only));
    let starts: BTreeSet<_> = starts.collect();
    starts.into_iter().collect()
}
