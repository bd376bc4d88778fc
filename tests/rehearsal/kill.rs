//! `kill -9` of a broker that takes messages, again and again: `boot` says what the next start does, then it happens.

use std::fs;

use crate::client::{Client, acked, expect_all_there, missing};
use crate::ledger::Ledger;
use crate::plan::Stage;
use crate::predict::{boot, start_as_predicted, verify};
use crate::site::Site;

const TOPICS: &[&str] = &["Orders", "Payments", "Stock"];

pub(crate) fn run(stage: &Stage, ledger: &mut Ledger) {
    let release = &stage.jars[0];
    let site = Site::new();
    let mut client = Client::with_name_server(&site, release);
    let mut broker = site.broker("master", &[]);
    assert!(broker.start(release));
    for topic in TOPICS {
        client.send(topic, 1);
    }
    for round in 1..=stage.rounds {
        ledger.round(round);
        client.load(TOPICS, 3);
        // Another moment each time: files roll every few thousand messages.
        client.wait_for_acks(u64::from(200 + round * 389 % 1100));
        broker.kill();
        client.halt();
        let wrong = ledger.wrong();
        let copied = broker.copy_store(&format!("round-{round}"));
        let (code, _) = verify(&broker, &release.version);
        ledger.expect("verify finds no damage", &0, &code);
        start_as_predicted(ledger, &mut broker, release);
        if ledger.wrong() == wrong {
            fs::remove_dir_all(copied).unwrap();
        }
    }
    let found: Vec<_> = TOPICS.iter().flat_map(|topic| client.drain(topic)).collect();
    expect_all_there(ledger, &acked(&site), &found);
    broker.stop();
}

/// The abnormal start of 3.2.6 races with itself, so what it leaves cannot be predicted: but `verify` must see whatever a
/// consumer would miss.
pub(crate) fn run_racing(stage: &Stage, ledger: &mut Ledger) {
    let release = &stage.jars[0];
    for round in 1..=stage.rounds {
        ledger.round(round);
        let site = Site::new();
        let mut client = Client::with_name_server(&site, release);
        let mut broker = site.broker("master", &[]);
        assert!(broker.start(release));
        for topic in TOPICS {
            client.send(topic, 1);
        }
        for part in 1..=3 {
            client.load(TOPICS, 3);
            client.wait_for_acks(u64::from(200 + (round + part) * 389 % 1100));
            broker.kill();
            client.halt();
            let predicted = boot(&broker, &release.version);
            let steps = predicted["steps"].as_array().unwrap();
            let warned = steps.iter().any(|step| step["detail"].as_str().unwrap().contains("left a queue damaged"));
            ledger.expect("boot warns of the race", &true, &warned);
            assert!(broker.start(release));
        }
        let found: Vec<_> = TOPICS.iter().flat_map(|topic| client.drain(topic)).collect();
        broker.stop();
        let (code, _) = verify(&broker, &release.version);
        ledger.expect("verify sees what a consumer misses", &(code == 1), &!missing(&acked(&site), &found).is_empty());
    }
}
