//! One broker through several releases and back, a step each: every start against its prediction.

use crate::client::{Client, Seen, acked, expect_all_there, missing};
use crate::ledger::Ledger;
use crate::plan::Stage;
use crate::predict::{start_as_predicted, verify};
use crate::site::Site;

const TOPICS: &[&str] = &["Orders", "Payments", "Stock"];

pub(crate) fn run(stage: &Stage, ledger: &mut Ledger) {
    let newest = stage.jars.last().unwrap();
    let site = Site::new();
    // The name server goes first, and stays.
    let mut client = Client::with_name_server(&site, newest);
    let mut broker = site.broker("master", &[]);
    let up = stage.jars.iter();
    let down = stage.jars.iter().rev().skip(1);
    for (step, release) in (1..).zip(up.chain(down)) {
        ledger.round(step);
        if step == 1 {
            assert!(broker.start(release));
        } else {
            let predicted = start_as_predicted(ledger, &mut broker, release);
            let losses = &predicted["losses"];
            let lost = ["hidden", "cut"].iter().map(|kind| losses[kind]["total"].as_u64().unwrap()).sum::<u64>();
            let sent = acked(&site);
            let found = drain(&mut client);
            if lost == 0 {
                expect_all_there(ledger, &sent, &found);
            } else {
                ledger.expect(
                    &format!("messages lost by {}", release.version),
                    &lost,
                    &(missing(&sent, &found).len() as u64),
                );
            }
        }
        client.load(TOPICS, 3);
        client.wait_for_acks(700);
        client.halt();
        broker.stop();
        let (code, document) = verify(&broker, &release.version);
        let reason = if code == 0 { String::new() } else { document["exit"]["reason"].to_string() };
        ledger.expect(&format!("verify after {}", release.version), &(0, String::new()), &(code, reason));
    }
}

fn drain(client: &mut Client) -> Vec<Seen> {
    TOPICS.iter().flat_map(|topic| client.drain(topic)).collect()
}
